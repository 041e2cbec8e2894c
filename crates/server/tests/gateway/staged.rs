//! `tollgate_fault`: deployments that fail on purpose, and what becomes of it.

use crate::support::{App, Wire, advance, data, hello, model_list, seconds, settle, streamed};
use tollgate_simulator::{Behaviour, Rule, Script};

const TEXT: &str = "Once upon a time, a gateway failed on purpose and nobody noticed.";
const FAULT: &str = "x-tollgate-fault";

fn script() -> Script {
    Script::new().rule(Rule::any(Behaviour::new().text(TEXT)))
}

fn entry(wire: Wire, name: &str, more: &str) -> String {
    format!("{}, {more}", wire.parameters(name))
}

/// A group `m` of `a`, which has this fault and is asked first, and of `b`, which has none.
fn two(wire: Wire, fault: &str) -> String {
    let first = entry(wire, "a", &format!("weight: 1, tollgate_fault: {{{fault}}}"));
    model_list(&[("m", &first), ("m", &entry(Wire::OpenAi, "b", "weight: 0"))])
}

/// A group `m` of `a` alone, asked once.
fn one(wire: Wire, fault: &str) -> String {
    let only = entry(wire, "a", &format!("tollgate_fault: {{{fault}}}"));
    model_list(&[("m", &only)]) + "router_settings: {num_retries: 0}\n"
}

fn texts_of(events: &[String]) -> Vec<String> {
    let chunks = events.iter().filter(|event| event.starts_with("data: {")).map(|event| data(event));
    let texts =
        chunks.filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str().map(str::to_owned));
    texts.filter(|text| !text.is_empty()).collect()
}

#[tokio::test]
async fn a_fault_in_the_place_of_an_answer_sends_nothing_and_another_deployment_answers() {
    for wire in [Wire::OpenAi, Wire::Anthropic, Wire::Gemini] {
        for (fault, kind) in [
            ("kind: error", "error"),
            ("kind: error, status: 503", "error"),
            ("kind: rate_limit, retry_after: 7", "rate_limit"),
            ("kind: reset", "reset"),
        ] {
            for body in [hello("m"), streamed(hello("m"))] {
                let app = App::start(two(wire, fault), script()).await;
                let answer = app.chat(&body).await;
                assert_eq!(answer.status, 200, "{wire:?} {fault}: {}", answer.text());
                assert_eq!(answer.header(FAULT), Some(kind), "{fault}");
                assert_eq!(answer.header("x-litellm-attempted-retries"), Some("1"));
                assert_eq!(app.sends(["a", "b"]), [0, 1], "{fault}");
                assert!(
                    (app.metric("litellm_deployment_failure_responses_total", &[]).await - 1.0).abs() < 0.1
                );
                app.stop().await;
            }
        }
    }
}

#[tokio::test]
async fn the_caller_sees_the_error_that_the_provider_would_have_given() {
    for (fault, status, opening, retry_after) in [
        ("kind: error", 500, "litellm.InternalServerError: ", None),
        ("kind: error, status: 503, retry_after: 3", 503, "litellm.ServiceUnavailableError: ", Some("3")),
        ("kind: error, status: 400", 400, "litellm.BadRequestError: ", None),
        ("kind: error, status: 401", 401, "litellm.AuthenticationError: ", None),
        ("kind: error, status: 404", 404, "litellm.NotFoundError: ", None),
        ("kind: rate_limit, retry_after: 7", 429, "litellm.RateLimitError: ", Some("7")),
        ("kind: reset", 500, "litellm.InternalServerError: ", None),
    ] {
        for wire in [Wire::OpenAi, Wire::Anthropic, Wire::Gemini] {
            let app = App::start(one(wire, fault), script()).await;
            let answer = app.hello("m").await;
            assert_eq!(answer.status, status, "{wire:?} {fault}");
            // Where the provider names no time, it is up to the gateway to say when to come back.
            assert!(retry_after.is_none() || answer.header("retry-after") == retry_after, "{wire:?} {fault}");
            assert!(answer.error_message().starts_with(opening), "{fault}: {}", answer.error_message());
            assert!(answer.header(FAULT).is_some(), "{fault}");
            assert_eq!(app.received().len(), 0);
            app.stop().await;
        }
    }
}

#[tokio::test]
async fn a_limit_on_purpose_pauses_the_deployment_as_a_real_one_does() {
    let app = App::start(one(Wire::OpenAi, "kind: rate_limit, retry_after: 7"), script()).await;
    assert_eq!(app.hello("m").await.header("retry-after"), Some("7"));
    // The second is not even tried.
    let second = app.hello("m").await;
    assert_eq!((second.status, second.header(FAULT)), (429, None));
    assert!((app.metric("litellm_deployment_total_requests_total", &[]).await - 1.0).abs() < 0.1);
    app.stop().await;
}

#[tokio::test]
async fn a_late_answer_is_the_providers_own_and_too_late_is_a_timeout() {
    for body in [hello("m"), streamed(hello("m"))] {
        let app = App::start(one(Wire::OpenAi, "kind: latency, delay: 5"), script()).await;
        let mut connection = app.connect().await;
        let request = crate::support::post("/v1/chat/completions", &[], body.to_string().as_bytes());
        connection.write(&request).await;
        app.until("the provider is asked", |app| app.received().len() == 1).await;
        settle().await;
        assert_eq!(app.gateway.in_flight(), 1, "it has answered already");
        advance(seconds(5)).await;
        let answer = connection.answer().await;
        assert_eq!((answer.status, answer.header(FAULT)), (200, Some("latency")));
        drop(connection);
        app.stop().await;
    }
    let late = two(Wire::OpenAi, "kind: latency, delay: 60")
        + "router_settings: {num_retries: 0, timeout: 2, stream_timeout: 2}\n";
    let app = App::start(late, script()).await;
    let mut connection = app.connect().await;
    let request = crate::support::post("/v1/chat/completions", &[], hello("m").to_string().as_bytes());
    connection.write(&request).await;
    app.until("the provider is asked", |app| app.received().len() == 1).await;
    settle().await;
    advance(seconds(3)).await;
    let answer = connection.answer().await;
    assert_eq!((answer.status, answer.header(FAULT)), (408, Some("latency")), "{}", answer.text());
    drop(connection);
    app.stop().await;
}

#[tokio::test]
async fn a_stream_breaks_after_exactly_so_many_events_and_ends_with_an_error() {
    for wire in [Wire::OpenAi, Wire::Anthropic, Wire::Gemini] {
        let whole = App::start(model_list(&[("m", &wire.parameters("a"))]), script()).await;
        let all = texts_of(&whole.hello_stream("m").await.rest().await);
        assert_eq!(all.concat(), TEXT);
        whole.stop().await;
        for kind in ["cut", "malformed", "reset"] {
            for after in [1, 2, 4] {
                let app = App::start(one(wire, &format!("kind: {kind}, after: {after}")), script()).await;
                let mut stream = app.hello_stream("m").await;
                assert_eq!(stream.head.header(FAULT), Some(kind));
                let events = stream.rest().await;
                assert_eq!(texts_of(&events), all[..after], "{wire:?} {kind} {after}");
                assert!(events.last().unwrap().contains("\"error\""), "{wire:?} {kind}: {events:?}");
                assert!(!events.iter().any(|event| event.contains("[DONE]")), "{events:?}");
                app.stop().await;
            }
        }
    }
}

#[tokio::test]
async fn a_stalled_stream_is_given_up_after_the_longest_pause() {
    let yaml = one(Wire::OpenAi, "kind: stall, after: 2") + "tollgate_settings: {chunk_timeout: 10}\n";
    let app = App::start(yaml, script()).await;
    let mut stream = app.hello_stream("m").await;
    let mut events = stream.events(3).await;
    settle().await;
    assert_eq!(app.gateway.in_flight(), 1);
    advance(seconds(11)).await;
    events.extend(stream.rest().await);
    assert_eq!(texts_of(&events).len(), 2, "{events:?}");
    assert!(events.last().unwrap().contains("stalled"), "{events:?}");
    app.stop().await;
}

#[tokio::test]
async fn a_stream_that_breaks_on_purpose_is_rescued_like_any_other() {
    for wire in [Wire::OpenAi, Wire::Anthropic, Wire::Gemini] {
        for fault in
            ["kind: cut, after: 3", "kind: malformed", "kind: reset, after: 2", "kind: cut, after: 0"]
        {
            let app = App::start(two(wire, fault), script()).await;
            let mut stream = app.hello_stream("m").await;
            assert!(stream.head.header(FAULT).is_some());
            let events = stream.rest().await;
            assert_eq!(texts_of(&events).concat(), TEXT, "{wire:?} {fault}");
            assert_eq!(events.last().unwrap(), "data: [DONE]\n\n");
            assert_eq!(app.sends(["a", "b"]), [1, 1], "{fault}");
            app.stop().await;
        }
    }
}

#[tokio::test]
async fn a_plain_reply_that_breaks_half_way_is_a_failed_attempt() {
    for fault in ["kind: cut", "kind: malformed", "kind: reset, after: 1"] {
        let app = App::start(two(Wire::OpenAi, fault), script()).await;
        let answer = app.hello("m").await;
        assert_eq!((answer.status, answer.content()), (200, TEXT.to_owned()), "{fault}");
        assert!(answer.header(FAULT).is_some(), "{fault}");
        assert_eq!(app.sends(["a", "b"]), [1, 1], "{fault}");
        app.stop().await;
    }
}

#[tokio::test]
async fn a_fault_meets_its_share_of_the_requests() {
    let check = async |rate: &str, expect: f64| {
        let yaml = one(Wire::OpenAi, &format!("kind: error, status: 400, rate: {rate}"));
        let app = App::start(yaml, script()).await;
        let mut failed = 0.0;
        for _ in 0..200 {
            failed += f64::from(u8::from(app.hello("m").await.status == 400));
        }
        // Six standard deviations of a binomial count.
        let bound = 6.0 * (200.0 * expect * (1.0 - expect)).sqrt();
        assert!((failed - 200.0 * expect).abs() <= bound, "{rate}: {failed}");
        assert!((app.received().len() as f64 - (200.0 - failed)).abs() < 0.1);
        app.stop().await;
    };
    check("0", 0.0).await;
    check("50%", 0.5).await;
    check("1", 1.0).await;
}
