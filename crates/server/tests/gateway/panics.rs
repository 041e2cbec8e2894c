//! A defect in the code of one request ends that request and nothing else.
//!
//! The defect is a log that panics at a request with a telling id: the one seam in a request's code that a test can
//! reach without changing it.

use crate::support::{App, Connection, Wire, hello, many, one_of, post, settle, streamed};
use std::sync::LazyLock;
use tollgate_simulator::{Behaviour, Fault, Rule, Script};
use tracing::Dispatch;
use tracing::field::{Field, Visit};
use tracing::span;
use tracing::subscriber::{DefaultGuard, Subscriber, set_default};

const CHAT: &str = "/v1/chat/completions";
const TELLING: &str = "panic-at-this-one";

/// A log that panics at events of the telling call.
struct Panicking;

struct Finder(bool);

impl Visit for Finder {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0 |= field.name() == "call_id" && format!("{value:?}").contains(TELLING);
    }
}

impl Subscriber for Panicking {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let mut finder = Finder(false);
        event.record(&mut finder);
        assert!(!finder.0, "on purpose");
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// While there is one log alone, a line that is first met on another thread asks that thread's log, which is none, and is
/// then silent everywhere; a second one lets both be asked.
static SECOND: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(Panicking));

fn panic_at_telling_ones() -> DefaultGuard {
    LazyLock::force(&SECOND);
    // The message of a panic that is meant is noise.
    set_default(Panicking)
}

fn telling(body: &serde_json::Value) -> Vec<u8> {
    post(CHAT, &[("x-litellm-call-id", TELLING)], body.to_string().as_bytes())
}

#[tokio::test]
async fn a_panic_is_a_500_for_its_request_and_the_connection_serves_on() {
    let _guard = panic_at_telling_ones();
    let app = App::start(one_of(Wire::OpenAi), Script::new()).await;
    let mut connection = app.connect().await;
    for round in 1..=3 {
        connection.write(&telling(&hello("m"))).await;
        let answer = connection.answer().await;
        assert_eq!(answer.status, 500);
        let error = answer.error();
        assert_eq!(
            (error["type"].as_str(), error["code"].as_str(), error["message"].as_str()),
            (Some("internal_server_error"), Some("500"), Some("Internal error of the gateway."))
        );
        assert_eq!(answer.header("x-frame-options"), Some("DENY"));
        connection.write(&post(CHAT, &[], hello("m").to_string().as_bytes())).await;
        assert_eq!(connection.answer().await.status, 200);
        assert_eq!(app.metric("tollgate_bugs_total", &[]).await, f64::from(round));
        assert_eq!(app.gateway.in_flight(), 0);
    }
    drop(connection);
    app.stop_while_draining().await;
}

#[tokio::test]
async fn a_panic_after_a_failed_attempt_is_a_500_too() {
    let _guard = panic_at_telling_ones();
    let rule = Rule::any(Behaviour::new().fault(Fault::status(500)));
    let app = App::start(many(3, ""), Script::new().rule(rule)).await;
    let answer = app.ask(&telling(&hello("m"))).await;
    assert_eq!((answer.status, answer.error_message().as_str()), (500, "Internal error of the gateway."));
    assert_eq!(app.received().len(), 1);
    assert_eq!(app.metric("tollgate_bugs_total", &[]).await, 1.0);
    app.stop_while_draining().await;
}

#[tokio::test]
async fn others_are_not_touched_by_a_panic_beside_them() {
    let _guard = panic_at_telling_ones();
    let app = App::start(one_of(Wire::OpenAi), Script::new()).await;
    let mut running = tokio::task::JoinSet::new();
    for number in 0..40 {
        let address = app.address;
        running.spawn(async move {
            let mut connection = Connection::open(address).await;
            let body = if number % 2 == 0 { hello("m") } else { streamed(hello("m")) };
            let is_telling = number % 4 == 0;
            if is_telling {
                connection.write(&telling(&body)).await;
            } else {
                connection.write(&post(CHAT, &[], body.to_string().as_bytes())).await;
            }
            (is_telling, connection.answer().await.status)
        });
    }
    while let Some(done) = running.join_next().await {
        let (is_telling, status) = done.unwrap();
        assert_eq!(status, if is_telling { 500 } else { 200 });
    }
    assert_eq!(app.metric("tollgate_bugs_total", &[]).await, 10.0);
    app.stop_while_draining().await;
}

#[tokio::test]
async fn a_panic_at_the_end_of_a_stream_ends_that_connection_alone() {
    let _guard = panic_at_telling_ones();
    let app = App::start(one_of(Wire::OpenAi), Script::new()).await;
    let mut connection = app.connect().await;
    connection.write(&telling(&streamed(hello("m")))).await;
    assert_eq!(connection.head().await.status, 200);
    while let Ok(Some(_)) = connection.piece().await {}
    app.until("the provider is let go", |app| app.simulator.active_requests() == 0).await;
    assert_eq!(app.hello("m").await.status, 200);
    settle().await;
    assert_eq!(app.metric("tollgate_bugs_total", &[]).await, 1.0);
    app.stop_while_draining().await;
}

#[tokio::test]
async fn a_resolver_that_panics_is_an_attempt_that_failed() {
    use crate::support::Setup;
    use std::sync::Arc;
    use tollgate_upstream::Lookup;
    let broken: Lookup = Arc::new(|host, _| {
        Box::pin(async move {
            if host == "broken.example" { panic!("on purpose") } else { Ok(vec![[127, 0, 0, 1].into()]) }
        })
    });
    let list = "model_list:
  - {model_name: m, litellm_params: {model: openai/x, api_base: \"http://broken.example/v1\", api_key: sk-1, weight: 1}}
  - {model_name: m, litellm_params: {model: openai/x, api_base: \"http://{sim}/d/b/v1\", api_key: sk-1, weight: 0}}
  - {model_name: alone, litellm_params: {model: openai/x, api_base: \"http://broken.example/v1\", api_key: sk-1}}
";
    let app = Setup::new(list).lookup(broken).start().await;
    assert_eq!(app.hello("m").await.status, 200);
    let answer = app.hello("alone").await;
    assert_eq!(answer.status, 500);
    assert!(answer.error_message().ends_with("Connection error."), "{answer:?}");
    app.stop().await;
}
