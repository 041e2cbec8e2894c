//! Sensitive requests: however they are marked and whatever fails, they go to deployments that promise what is asked.

use crate::page::shows;
use crate::stand::{Headers, Stand, TEXT};
use crate::wealth::{AZURE, MINI, MISTRAL, adviser, bonds, start, with};
use serde_json::{Value, json};
use tollgate_simulator::{Behaviour, Fault, Rule};

/// How a request is marked.
struct Mark {
    headers: Headers<'static>,
    metadata: Value,
}

impl Mark {
    fn on(&self, body: Value) -> Value {
        if self.metadata.is_null() { body } else { with(body, "metadata", self.metadata.clone()) }
    }

    async fn ask(&self, stand: &Stand, body: Value) -> crate::support::Answer {
        stand.ask_with(self.headers, &self.on(body)).await
    }
}

/// Marks a request, and holds every claim of the page to it.
async fn check(headers: Headers<'static>, metadata: Value) {
    let mark = Mark { headers, metadata };
    served_where_the_promise_is_made(&mark).await;
    not_taken_up_outside(&mark).await;
    refused_at_once(&mark).await;
}

async fn served_where_the_promise_is_made(mark: &Mark) {
    let stand = start().await;
    assert_eq!(mark.ask(&stand, bonds()).await.content(), TEXT);
    assert_eq!(stand.sent(), [AZURE]);
    let down = Fault::status(500);
    stand.let_fail(&[AZURE], &down);
    shows("wealth second", &mark.ask(&stand, bonds()).await);
    assert_eq!(stand.sent(), [AZURE, MISTRAL]);
    stand.let_fail(&[AZURE, MISTRAL], &down);
    let refused = mark.ask(&stand, bonds()).await;
    shows("wealth refused", &refused);
    assert!(refused.error_message().contains("AzureException"), "{}", refused.text());
    let told = stand.stream_with(mark.headers, &mark.on(bonds())).await;
    assert_eq!(told.status(), 500);
    shows("wealth canned", &mark.ask(&stand, adviser()).await);
    assert_eq!(stand.site.sends([MINI]), [0]);
    // Whoever asks for nothing is served there meanwhile.
    shows("wealth dependable", &stand.ask(&bonds()).await);
    stand.stop().await;
}

async fn not_taken_up_outside(mark: &Mark) {
    let stand = start().await;
    stand.let_fail(&[MISTRAL], &Fault::status(500));
    let cut = Behaviour::new().text(TEXT).fault(Fault::cut(5));
    stand.site.simulator.script().push_first(Rule::deployment(AZURE, cut));
    let told = stand.stream_with(mark.headers, &mark.on(bonds())).await;
    assert!(told.error().is_some(), "{}", told.body());
    assert_eq!(stand.sent(), [AZURE, MISTRAL]);
    stand.stop().await;
}

async fn refused_at_once(mark: &Mark) {
    let stand = start().await;
    let outside = with(bonds(), "model", json!("wealth-chat-dependable"));
    shows("wealth forbidden", &mark.ask(&stand, outside).await);
    assert_eq!(stand.sent(), [""; 0]);
    stand.stop().await;
}

#[tokio::test]
async fn a_request_may_ask_by_its_metadata() {
    check(&[], json!({"data_residency": "eu", "zero_data_retention": true})).await;
}

#[tokio::test]
async fn a_request_may_ask_for_a_region_by_a_header() {
    check(&[("x-tollgate-region", "eu")], Value::Null).await;
}

#[tokio::test]
async fn a_request_may_be_marked_by_a_tag_of_its_metadata() {
    check(&[], json!({"tags": ["portfolio"]})).await;
}

#[tokio::test]
async fn a_request_may_be_marked_by_a_tag_in_a_header() {
    check(&[("x-litellm-tags", "portfolio")], Value::Null).await;
}

#[tokio::test]
async fn what_is_asked_twice_adds_up_and_what_excludes_itself_admits_nobody() {
    let stand = start().await;
    let apart = with(bonds(), "metadata", json!({"data_residency": "us", "tags": ["portfolio"]}));
    shows("wealth forbidden", &stand.ask(&apart).await);
    assert_eq!(stand.sent(), [""; 0]);
    stand.stop().await;
}
