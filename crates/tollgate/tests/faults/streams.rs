//! R20 to R25: streams that break, stall, end oddly or come in odd pieces.

use crate::support::{Load, Site, Told, count, deployment, hello, open_ai, words};
use serde_json::json;
use tokio::net::TcpListener;
use tollgate_simulator::proxy::Plan;
use tollgate_simulator::{
    Answer, Behaviour, CutEnding, Fault, FaultProxy, ResetPoint, Rule, Script, Simulator, TokenCounts,
    UsageFault,
};

/// Tokens of the answers that break.
const TOKENS: usize = 12;

/// What the streams' tests begin with: a short limit, so that silence is noticed soon, and a budget for many rescues.
const IMPATIENT: &str = "tollgate_settings: {chunk_timeout_seconds: 0.3, retry_budget: {ratio: 1.0}}\n";

/// The group `m` of `a`, which is always asked first, and `b`, which is asked when `a` failed.
fn two() -> String {
    let [a, b] = [open_ai("m", "a", ", weight: 1"), open_ai("m", "b", ", weight: 0")];
    format!("model_list:\n{a}{b}router_settings: {{disable_cooldowns: true}}\n{IMPATIENT}")
}

/// The group `m` of `a` alone, asked once.
fn alone() -> String {
    format!("model_list:\n{}{IMPATIENT}", open_ai("m", "a", ", num_retries: 0"))
}

fn tokens(count: usize) -> Behaviour {
    Behaviour::new().text(words(count))
}

/// Every way in which a stream can break after so many tokens.
fn breaks(after: usize) -> [Fault; 4] {
    [
        Fault::Reset(ResetPoint::AfterEvents(after)),
        Fault::cut(after),
        Fault::Cut { after, ending: CutEnding::Terminated },
        Fault::Cut { after, ending: CutEnding::CloseDelimited },
    ]
}

/// The text of an answer of so many tokens, by tokens.
async fn pieces(site: &Site, count: usize) -> Vec<String> {
    site.simulator.script().set_rules(vec![Rule::any(tokens(count))]);
    let told = site.hello_stream("m").await;
    let pieces = told.pieces();
    assert_eq!(pieces.len(), count, "{}", told.body());
    site.simulator.forget_received();
    pieces
}

/// Holds that a stream ends with one error event and without the end mark.
fn check_broken(told: &Told) {
    assert!(told.is_whole, "the transfer is cut: {told:?}");
    let error = told.error().unwrap_or_else(|| panic!("no error: {}", told.body()));
    assert_eq!(error["code"], "500", "{error}");
    assert!(told.events().last().unwrap().contains("\"error\""), "{}", told.body());
    assert!(!told.is_done() && told.finishes().is_empty(), "{}", told.body());
    for word in ["127.0.0.1", "sk-key-of"] {
        assert!(!told.body().contains(word), "{}", told.body());
    }
}

#[tokio::test]
async fn r20_a_stream_that_breaks_anywhere_goes_on_from_another_deployment_without_a_byte_lost_or_repeated() {
    let site = Site::start(&two(), Script::new()).await;
    let whole = pieces(&site, TOKENS).await.concat();
    for after in 0..=TOKENS {
        for fault in breaks(after) {
            site.simulator.forget_received();
            let broken = Rule::deployment("a", tokens(TOKENS).fault(fault.clone()));
            site.simulator.script().set_rules(vec![broken, Rule::any(tokens(TOKENS))]);
            let told = site.hello_stream("m").await;
            assert_eq!(told.complete("m"), whole, "{fault:?}");
            assert_eq!(site.order(), ["a", "b"], "{fault:?}");
        }
    }
    site.stop().await;
}

#[tokio::test]
async fn r20_where_nobody_can_go_on_the_caller_is_told_and_pays_for_what_it_got() {
    for after in 1..=TOKENS {
        let site = Site::start(&alone(), Script::new()).await;
        let whole = pieces(&site, TOKENS).await;
        let billed = site.gateway.counted("litellm_output_tokens_metric_total", &[]).await;
        for (number, fault) in breaks(after).into_iter().enumerate() {
            let broken = tokens(TOKENS).fault(fault.clone());
            site.simulator.script().set_rules(vec![Rule::any(broken)]);
            let told = site.hello_stream("m").await;
            check_broken(&told);
            // Bytes behind a reset may have been lost on the way to the gateway, none may be wrong.
            let text = told.text();
            let given = whole[..after].concat();
            assert!(given.starts_with(&text), "{fault:?}: {text:?}");
            if number > 0 {
                assert_eq!(text, given, "{fault:?}");
            }
            assert_eq!(site.received().len(), number + 1, "a second attempt after content: {fault:?}");
        }
        let now = site.gateway.counted("litellm_output_tokens_metric_total", &[]).await;
        assert!(now > billed, "what was delivered is billed");
        site.stop().await;
    }
}

#[tokio::test]
async fn r21_a_stream_that_stalls_goes_on_from_another_deployment_and_the_silent_one_is_let_go() {
    let site = Site::start(&two(), Script::new()).await;
    let whole = pieces(&site, TOKENS).await.concat();
    for after in [1, TOKENS / 2, TOKENS - 1] {
        site.simulator.forget_received();
        let silent = Rule::deployment("a", tokens(TOKENS).fault(Fault::Stall { after }));
        site.simulator.script().set_rules(vec![silent, Rule::any(tokens(TOKENS))]);
        let told = site.hello_stream("m").await;
        assert_eq!(told.complete("m"), whole);
        assert_eq!(site.order(), ["a", "b"]);
        site.until("the silent one is let go", |site| site.received()[0].hung_up).await;
    }
    site.stop().await;
}

#[tokio::test]
async fn r21_a_stall_that_nobody_mends_ends_with_the_error_event() {
    let site = Site::start(&alone(), Script::new()).await;
    let whole = pieces(&site, TOKENS).await;
    site.simulator.script().set_rules(vec![Rule::any(tokens(TOKENS).fault(Fault::Stall { after: 3 }))]);
    let told = site.hello_stream("m").await;
    check_broken(&told);
    assert_eq!(told.text(), whole[..3].concat());
    site.until("the silent one is let go", |site| site.received()[0].hung_up).await;
    assert_eq!(site.received().len(), 1);
    site.stop().await;
}

/// The chunks without what differs from one answer to the next.
fn normal(told: &Told) -> Vec<serde_json::Value> {
    let mut chunks = told.chunks();
    for chunk in &mut chunks {
        chunk["id"] = json!(null);
        chunk["created"] = json!(null);
        chunk["system_fingerprint"] = json!(null);
    }
    chunks
}

#[tokio::test]
async fn r22_however_the_network_cuts_a_stream_the_caller_reads_the_same() {
    let simulator = Simulator::bind(Script::new()).await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = FaultProxy::start(listener, simulator.address()).await.unwrap();
    for (model, path) in
        [("openai/gpt-4o", "/v1"), ("anthropic/claude-sonnet-4-5", ""), ("gemini/gemini-2.5-flash", "")]
    {
        simulator
            .script()
            .set_rules(vec![Rule::any(tokens(20).text("Zw\u{f6}lf Boxk\u{e4}mpfer \u{1f600} jagen."))]);
        let base = format!(", api_base: \"http://{}{path}\"", proxy.address());
        let yaml = format!("model_list:\n{}", deployment("m", "a", model, &base));
        let gateway = crate::support::Gateway::start(&yaml).await;
        let ask = async || {
            let mut connection = gateway.connect().await;
            let body = crate::support::streamed(hello("m")).to_string();
            connection.write(&crate::support::post(crate::support::CHAT, &[], body.as_bytes())).await;
            Told::read(&mut connection).await
        };
        let whole = ask().await;
        assert!(whole.complete("m").contains('\u{1f600}'));
        for size in [1, 2, 3, 5, 7, 11, 64, 1_000] {
            proxy.handle().reset_all();
            proxy.handle().set(Plan::healthy().slice(size));
            let told = ask().await;
            assert_eq!(normal(&told), normal(&whole), "{model} in pieces of {size}");
        }
        proxy.handle().heal();
        gateway.stop().await;
    }
}

#[tokio::test]
async fn r23_an_end_without_its_mark_is_an_end_where_the_reason_to_stop_came_and_a_break_where_not() {
    let site = Site::start(&alone(), Script::new()).await;
    let whole = pieces(&site, TOKENS).await;
    site.simulator.script().set_rules(vec![Rule::any(tokens(TOKENS).fault(Fault::NoDone))]);
    let told = site.hello_stream("m").await;
    assert_eq!(told.complete("m"), whole.concat());
    let cut = Fault::Cut { after: TOKENS, ending: CutEnding::Terminated };
    site.simulator.script().set_rules(vec![Rule::any(tokens(TOKENS).fault(cut))]);
    let told = site.hello_stream("m").await;
    check_broken(&told);
    assert_eq!(told.text(), whole.concat());
    site.simulator
        .script()
        .set_rules(vec![Rule::any(tokens(TOKENS).fault(Fault::Usage(UsageFault::Missing)))]);
    let told = site.hello_stream("m").await;
    assert_eq!(told.complete("m"), whole.concat());
    assert_eq!(
        site.gateway.counted("tollgate_estimated_usage_total", &[]).await,
        2,
        "the cut one and the silent one"
    );
    site.stop().await;
}

#[tokio::test]
async fn r24_the_last_usage_counts_a_zero_is_believed_and_what_cannot_be_is_estimated() {
    let counts = TokenCounts { prompt: Some(1_000), completion: Some(100), ..TokenCounts::default() };
    for (usage, billed, estimated) in [
        (UsageFault::Twice, Some((1_000, 100)), 0),
        (UsageFault::Zero, Some((0, 0)), 0),
        (UsageFault::Missing, None, 1),
        (UsageFault::Negative, None, 1),
        (UsageFault::Huge, None, 1),
    ] {
        let behaviour = tokens(TOKENS).tokens(counts).fault(Fault::Usage(usage));
        let site = Site::start(&alone(), Script::new().rule(Rule::any(behaviour))).await;
        assert!(!site.hello_stream("m").await.complete("m").is_empty());
        let found = (
            site.gateway.counted("litellm_input_tokens_metric_total", &[]).await,
            site.gateway.counted("litellm_output_tokens_metric_total", &[]).await,
        );
        let is_due = billed
            .map_or((1..100).contains(&found.0) && (1..100).contains(&found.1), |billed| found == billed);
        assert!(is_due, "{usage:?}: {found:?}");
        let told = site.gateway.counted("tollgate_estimated_usage_total", &[]).await;
        assert_eq!(told, estimated, "{usage:?}");
        site.stop().await;
    }
}

#[tokio::test]
async fn r25_a_stream_of_single_bytes_arrives_whole_while_others_are_served() {
    // Each four letters are an event of some 270 bytes: 70 kB, a megabyte.
    let answer = "x".repeat(count(1_000, 16_000));
    let behaviour = Behaviour::new().text(answer).fault(Fault::OneByteChunks);
    let slow = open_ai("drip", "drip", "");
    let yaml = format!("model_list:\n{}{slow}", open_ai("m", "a", ""));
    let site = Site::start(&yaml, Script::new().rule(Rule::deployment("drip", behaviour.clone()))).await;
    let whole = {
        let plain = Behaviour { fault: None, ..behaviour.clone() };
        site.simulator.script().push_first(Rule::deployment("drip", plain).times(1));
        site.stream(&hello("drip")).await.complete("drip")
    };
    let body = hello("drip");
    let (told, others) = tokio::join!(site.stream(&body), site.load(Load::new(100, 4)));
    others.all_answered();
    assert_eq!(told.complete("drip"), whole);
    site.stop().await;
}

#[tokio::test]
async fn r25_ten_thousand_events_as_fast_as_they_come_arrive_in_order() {
    let count = count(10_000, 100_000);
    let many = Behaviour::new().answer(Answer::Tokens(count as u64));
    let site = Site::start(&alone(), Script::new().rule(Rule::any(many))).await;
    let told = site.hello_stream("m").await;
    assert_eq!(told.pieces().len(), count);
    assert!(!told.complete("m").is_empty());
    let received = site.received().remove(0);
    assert_eq!((received.tokens_written, received.finished), (count, true));
    assert_eq!(site.gateway.counted("litellm_output_tokens_metric_total", &[]).await, count);
    site.stop().await;
}
