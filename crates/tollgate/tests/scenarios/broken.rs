//! 8 to 11 and 14: the primary's stream breaks when the caller has seen two thirds of it.

use crate::support::{Site, Told, deployment};
use crate::{BREAK, FALLBACKS, TOKENS, answering, script, sites_config, whole};
use tollgate_simulator::{CutEnding, Fault, Received, ResetPoint, Rule, StatusFault};

/// With a short limit between two parts.
fn config() -> String {
    sites_config(&format!("{FALLBACKS}tollgate_settings: {{chunk_timeout_seconds: 0.4}}\n"))
}

/// Streams once with a primary that breaks like this after two thirds, and holds that the caller reads the whole
/// answer, every byte of it once, and is told that it was rescued.
async fn check(fault: Fault) {
    let site = Site::start(&config(), script([])).await;
    let text = whole(&site).await;
    site.simulator.script().push_first(Rule::deployment("p", answering().fault(fault.clone())));
    let told = site.hello_stream("m").await;
    assert_eq!(told.complete("m"), text, "{fault:?}");
    assert_eq!(site.order(), ["p", "s"], "{fault:?}");
    check_rescued(&told);
    let received = site.received();
    assert!(received[0].tokens_written >= BREAK, "{}", received[0].tokens_written);
    site.until("the broken one is let go", |site| site.simulator.active_requests() == 0).await;
    site.stop().await;
}

/// Holds that a stream says that it was rescued.
fn check_rescued(told: &Told) {
    assert!(told.body().contains("rescued"), "{}", told.body());
}

#[tokio::test]
async fn s08_a_stream_that_is_cut_at_token_40_of_60_goes_on_from_another() {
    check(Fault::cut(BREAK)).await;
    check(Fault::Cut { after: BREAK, ending: CutEnding::Terminated }).await;
    check(Fault::Reset(ResetPoint::AfterEvents(BREAK))).await;
}

#[tokio::test]
async fn s09_a_stream_that_stalls_goes_on_from_another() {
    check(Fault::Stall { after: BREAK }).await;
}

#[tokio::test]
async fn s10_a_malformed_chunk_is_never_relayed_and_the_stream_goes_on_from_another() {
    check(Fault::MalformedEvent { after: BREAK }).await;
    let site = Site::start(&config(), script([])).await;
    let text = whole(&site).await;
    let broken = answering().fault(Fault::MalformedEvent { after: 0 });
    site.simulator.script().push_first(Rule::deployment("p", broken));
    let told = site.hello_stream("m").await;
    assert_eq!(told.complete("m"), text);
    assert!(!told.body().contains("broken"), "{}", told.body());
    assert_eq!(site.order(), ["p", "s"]);
    site.stop().await;
}

#[tokio::test]
async fn s11_an_end_without_its_mark_is_completed_and_one_without_a_reason_is_no_end() {
    let site = Site::start(&config(), script([])).await;
    let text = whole(&site).await;
    site.simulator.script().push_first(Rule::deployment("p", answering().fault(Fault::NoDone)));
    assert_eq!(site.hello_stream("m").await.complete("m"), text);
    assert_eq!(site.order(), ["p"], "the answer was whole");
    site.stop().await;
    check(Fault::Cut { after: TOKENS, ending: CutEnding::Terminated }).await;
}

/// The primary and its rescuer, both Anthropic's.
fn two_claudes(model: &str, group: &str) -> String {
    let claude = |group: &str, name: &str, weight: u32| {
        let more = format!(", api_base: \"http://{{sim}}/d/{name}\", weight: {weight}");
        deployment(group, name, &format!("anthropic/{model}"), &more)
    };
    let weight = u32::from(group != "m");
    format!("model_list:\n{}{}{FALLBACKS}", claude("m", "p", 1), claude(group, "f", weight))
}

#[tokio::test]
async fn s14_a_rescuer_that_rejects_assistant_prefill_costs_nothing() {
    // Of the same group, and of the one to fall back on.
    for group in ["m", "other"] {
        // It is known of newer models that they refuse a conversation which ends with the assistant's turn.
        let site = Site::start(&two_claudes("claude-opus-4-6", group), script([])).await;
        let text = whole(&site).await;
        site.simulator.script().push_first(Rule::deployment("p", answering().fault(Fault::cut(BREAK))));
        let told = site.hello_stream("m").await;
        assert_eq!(told.complete("m"), text);
        check_rescued(&told);
        assert_eq!(site.sends(["p", "f"]), [1, 1], "{group}");
        assert_eq!(site.received()[1].status, 200);
        site.stop().await;
        // And it is found out of one that was believed to take it.
        let site = Site::start(&two_claudes("claude-sonnet-4-5", group), script([])).await;
        let text = whole(&site).await;
        let refusal = Fault::Status(StatusFault {
            code: 400,
            message: Some("This model does not support assistant message prefill.".to_owned()),
            ..StatusFault::default()
        });
        site.simulator.script().push_first(Rule::deployment("p", answering().fault(Fault::cut(BREAK))));
        site.simulator.script().push_first(Rule::deployment("f", answering().fault(refusal)).times(1));
        let told = site.hello_stream("m").await;
        assert_eq!(told.complete("m"), text);
        check_rescued(&told);
        assert_eq!(site.sends(["p", "f"]), [1, 2], "{group}");
        let roles: Vec<String> = site.received().iter().map(last_role).collect();
        assert_eq!(roles, ["user", "assistant", "user"], "{group}");
        site.stop().await;
    }
}

/// Who speaks last in a request.
fn last_role(request: &Received) -> String {
    let json = request.json();
    let messages = json["messages"].as_array().unwrap();
    messages.last().unwrap()["role"].as_str().unwrap().to_owned()
}
