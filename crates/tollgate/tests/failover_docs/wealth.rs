//! The chatbot of the wealth manager: its tiers one after the other, and the way back.

use crate::page::{Design, shows};
use crate::stand::{Stand, TEXT, answers, question};
use serde_json::{Value, json};
use tollgate_simulator::{Fault, Reason, ResetPoint};

pub(crate) const AZURE: &str = "azure-sweden";
pub(crate) const MISTRAL: &str = "mistral-eu";
pub(crate) const MINI: &str = "openai-mini";

pub(crate) async fn start() -> Stand {
    Stand::start(Design::Wealth).await
}

/// A question that no canned answer is for.
pub(crate) fn bonds() -> Value {
    question("wealth-chat", "What moved the bond market this week?")
}

/// A question that one is for.
pub(crate) fn adviser() -> Value {
    question("wealth-chat", "How can I reach my adviser?")
}

/// A body with a member more.
pub(crate) fn with(mut body: Value, member: &str, value: Value) -> Value {
    body[member] = value;
    body
}

#[tokio::test]
async fn all_is_well_and_the_first_tier_answers() {
    let stand = start().await;
    let told = stand.stream(&bonds()).await;
    answers(&told);
    shows("wealth well", &told.head);
    let answer = stand.ask(&bonds()).await;
    assert_eq!(answer.content(), TEXT);
    shows("wealth well", &answer);
    assert_eq!(stand.sent(), [AZURE, AZURE]);
    stand.stop().await;
}

#[tokio::test]
async fn azure_fails_in_any_way_and_the_second_tier_answers_the_same_request() {
    for fault in [
        Fault::status(429),
        Fault::status(500),
        Fault::status(503),
        Fault::Reset(ResetPoint::BeforeHead),
        Fault::Html { status: 200 },
        Fault::Hang,
    ] {
        let stand = start().await;
        stand.let_fail(&[AZURE], &fault);
        let told = stand.stream(&bonds()).await;
        answers(&told);
        shows("wealth second", &told.head);
        assert_eq!(stand.sent(), [AZURE, MISTRAL], "{fault:?}");
        stand.stop().await;
    }
}

#[tokio::test]
async fn nothing_is_sent_to_azure_before_the_end_of_its_pause() {
    let stand = start().await;
    stand.let_fail(&[AZURE], &Fault::status_retry_after(429, "600"));
    for _ in 0..5 {
        let answer = stand.ask(&bonds()).await;
        assert_eq!(answer.content(), TEXT);
        shows("wealth second", &answer);
    }
    assert_eq!(stand.sent(), [AZURE, MISTRAL, MISTRAL, MISTRAL, MISTRAL, MISTRAL]);
    stand.stop().await;
}

#[tokio::test]
async fn a_stream_that_breaks_goes_on_from_the_second_tier() {
    let stand = start().await;
    stand.let_fail(&[AZURE], &Fault::cut(5));
    let told = stand.stream(&bonds()).await;
    answers(&told);
    shows("wealth well", &told.head);
    let label = ": x-tollgate-rescued deployment=mistral-eu mode=";
    assert!(told.body().contains(label), "{}", told.body());
    assert_eq!(stand.sent(), [AZURE, MISTRAL]);
    stand.stop().await;
}

#[tokio::test]
async fn what_azure_calls_wrong_or_refuses_for_its_content_stays_there() {
    let stand = start().await;
    for fault in [Fault::status(400), Fault::refusal(Reason::ContentPolicy)] {
        stand.let_fail(&[AZURE], &fault);
        assert_eq!(stand.ask(&bonds()).await.status, 400, "{fault:?}");
        assert_eq!(stand.sent(), [AZURE], "{fault:?}");
    }
    stand.stop().await;
}

#[tokio::test]
async fn a_request_may_ask_to_stay_in_its_tier() {
    let stand = start().await;
    stand.let_fail(&[AZURE], &Fault::status(500));
    let answer = stand.ask(&with(bonds(), "disable_fallbacks", json!(true))).await;
    assert_eq!((answer.status, stand.sent()), (500, vec![AZURE.to_owned()]));
    stand.stop().await;
}

#[tokio::test]
async fn azure_and_mistral_fail_and_the_dependable_model_answers() {
    let stand = start().await;
    stand.let_fail(&[AZURE, MISTRAL], &Fault::status(500));
    let answer = stand.ask(&bonds()).await;
    assert_eq!(answer.content(), TEXT);
    shows("wealth dependable", &answer);
    assert_eq!(stand.sent(), [AZURE, MISTRAL, MINI]);
    let good_or_none = with(bonds(), "metadata", json!({"min_quality": 0.8}));
    assert_eq!(stand.ask(&good_or_none).await.status, 500);
    assert!(!stand.sent().contains(&MINI.to_owned()));
    stand.stop().await;
}

#[tokio::test]
async fn nothing_answers_and_what_the_bank_has_written_goes_out() {
    let stand = start().await;
    stand.let_fail(&[AZURE, MISTRAL, MINI], &Fault::status(500));
    let answer = stand.ask(&adviser()).await;
    shows("wealth canned", &answer);
    assert!(answer.content().starts_with("The assistant is not available at the moment."));
    assert_eq!(stand.sent(), [AZURE, MISTRAL, MINI]);
    let told = stand.stream(&adviser()).await;
    shows("wealth canned", &told.head);
    assert_eq!(told.text(), answer.content());
    assert!(told.is_whole && told.is_done() && told.error().is_none(), "{}", told.body());
    let answer = stand.ask(&bonds()).await;
    assert_eq!(answer.status, 500);
    assert!(answer.error_message().contains("AzureException"), "{}", answer.text());
    stand.stop().await;
}

#[tokio::test]
async fn azures_quota_holds_exactly_and_the_rest_goes_to_the_second_tier() {
    let stand = start().await;
    for _ in 0..302 {
        assert_eq!(stand.ask(&bonds()).await.status, 200);
    }
    assert_eq!(stand.site.sends([AZURE, MISTRAL, MINI]), [300, 2, 0]);
    stand.stop().await;
}

#[tokio::test]
async fn a_tier_that_is_out_is_passed_by_at_once_and_is_back_when_azure_is() {
    let stand = start().await;
    stand.let_fail(&[AZURE], &Fault::status(500));
    for _ in 0..10 {
        let answer = stand.ask(&bonds()).await;
        shows("wealth second", &answer);
    }
    assert_eq!(stand.site.sends([AZURE, MISTRAL]), [3, 10]);
    stand.let_fail(&[], &Fault::status(500));
    stand.sent();
    while stand.site.sends([AZURE]) == [0] {
        assert_eq!(stand.ask(&bonds()).await.content(), TEXT);
        tokio::time::sleep(crate::support::ms(50)).await;
    }
    shows("wealth well", &stand.ask(&bonds()).await);
    stand.stop().await;
}
