//! R8 to R19: what comes back from a provider, or does not.

use crate::support::{
    ATTEMPTS, CHAT, FAILURES, Load, RawProvider, Site, Told, count, deployment, hello, open_ai, post,
    streamed,
};
use serde_json::json;
use std::time::{Duration, Instant};
use tollgate_simulator::{Behaviour, Fault, Reason, ResetPoint, Rule, Script, UsageFault};

/// The group `m` of `a`, which is asked first, and `b`, which is asked when `a` failed or is not to be asked.
fn two(more_of_a: &str) -> String {
    let a = open_ai("m", "a", &format!(", weight: 1{more_of_a}"));
    format!("model_list:\n{a}{}", open_ai("m", "b", ", weight: 0"))
}

/// The group `m` of three deployments that are alike.
fn three() -> String {
    format!("model_list:\n{}", ["a", "b", "c"].map(|name| open_ai("m", name, "")).concat())
}

/// `a` fails like this.
fn failing(fault: Fault) -> Script {
    Script::new().rule(Rule::deployment("a", Behaviour::new().fault(fault)))
}

#[tokio::test]
async fn r08_a_reset_before_the_head_is_mended_elsewhere_and_every_attempt_is_counted_once() {
    for fault in [Fault::Reset(ResetPoint::BeforeHead), Fault::Reset(ResetPoint::AfterHead)] {
        // As many as a group may retry at once.
        let rule = Rule::deployment("a", Behaviour::new().fault(fault.clone())).times(25);
        let yaml = format!("{}router_settings: {{disable_cooldowns: true}}\n", two(""));
        let site = Site::start(&yaml, Script::new().rule(rule)).await;
        let requests = count(100, 1_000);
        site.load(Load::new(requests, 8)).await.all_answered();
        let received = site.received();
        let resets =
            received.iter().filter(|request| request.verdict != tollgate_simulator::Verdict::Answered);
        assert_eq!(resets.count(), 25, "{fault:?}");
        assert_eq!(received.len(), requests + 25);
        // A kept connection that is reset at once was closed before the request, for all that anyone can know: it is
        // replaced without a new attempt.
        let [attempts, failures] =
            [site.gateway.counted(ATTEMPTS, &[]).await, site.gateway.counted(FAILURES, &[]).await];
        assert_eq!(attempts - failures, requests, "{fault:?}");
        assert!(attempts <= received.len() && failures > 0, "{fault:?}: {attempts} {failures}");
        site.stop().await;
    }
}

#[tokio::test]
async fn r09_a_slow_first_byte_costs_its_limit_and_another_answers() {
    let slow = Behaviour::new().latency(Duration::from_secs(600));
    let late = Behaviour::new().fault(Fault::SlowFirstEvent(Duration::from_secs(600)));
    for (behaviour, body) in
        [(slow.clone(), hello("m")), (slow, streamed(hello("m"))), (late, streamed(hello("m")))]
    {
        let script = Script::new().rule(Rule::deployment("a", behaviour));
        let site = Site::start(&two(", timeout: 0.3, stream_timeout: 0.3"), script).await;
        let mut connection = site.connect().await;
        connection.write(&post(CHAT, &[], body.to_string().as_bytes())).await;
        let told = Told::read(&mut connection).await;
        assert_eq!((told.status(), told.is_whole), (200, true), "{}", told.body());
        assert_eq!(told.header("x-litellm-model-id"), Some("b"));
        assert_eq!(told.header("x-litellm-attempted-retries"), Some("1"));
        assert_eq!(site.order(), ["a", "b"]);
        site.until("the slow one is let go", |site| site.received()[0].hung_up).await;
        assert_eq!(site.gateway.counted(FAILURES, &["model_id=\"a\"", "\"timeout\""]).await, 1);
        site.stop().await;
    }
}

/// A kind of deployment: its model, its base, and the name of its error on the wire.
const WIRES: [(&str, &str); 3] = [
    ("openai/gpt-4o", "http://{sim}/d/a/v1"),
    ("anthropic/claude-sonnet-4-5", "http://{sim}/d/a"),
    ("gemini/gemini-2.5-flash", "http://{sim}/d/a"),
];

#[tokio::test]
async fn r15_every_kind_of_refusal_goes_where_it_belongs() {
    for (model, base) in WIRES {
        for (fault, status, sends) in [
            (Fault::status(400), 400, [1, 0]),
            (Fault::status(413), 413, [1, 0]),
            (Fault::status(422), 422, [1, 0]),
            (Fault::refusal(Reason::ContextWindow), 400, [1, 0]),
            (Fault::refusal(Reason::ContentPolicy), 400, [1, 0]),
            (Fault::status(401), 200, [1, 1]),
            (Fault::status(403), 200, [1, 1]),
            (Fault::status(404), 200, [1, 1]),
            (Fault::status(429), 200, [1, 1]),
        ] {
            let a = deployment("m", "a", model, &format!(", weight: 1, api_base: \"{base}\""));
            let yaml = format!("model_list:\n{a}{}", open_ai("m", "b", ", weight: 0"));
            let site = Site::start(&yaml, failing(fault.clone())).await;
            let answer = site.hello("m").await;
            assert_eq!((answer.status, site.sends(["a", "b"])), (status, sends), "{model} {fault:?}");
            site.stop().await;
        }
    }
}

#[tokio::test]
async fn r16_a_page_in_place_of_a_reply_is_never_relayed() {
    for body in [hello("m"), streamed(hello("m"))] {
        for fault in [Fault::Html { status: 200 }, Fault::Html { status: 502 }, Fault::Html { status: 403 }] {
            let site = Site::start(&two(""), failing(fault.clone())).await;
            let mut connection = site.connect().await;
            connection.write(&post(CHAT, &[], body.to_string().as_bytes())).await;
            let told = Told::read(&mut connection).await;
            assert_eq!((told.status(), site.sends(["a", "b"])), (200, [1, 1]), "{fault:?}");
            assert!(!told.body().contains('<'), "{}", told.body());
            site.stop().await;
            let alone = format!("model_list:\n{}", open_ai("m", "a", ", num_retries: 0"));
            let site = Site::start(&alone, failing(fault.clone())).await;
            let answer = site.chat(&body).await;
            assert!(
                answer.status >= 400 && !answer.everything().contains("<html"),
                "{}",
                answer.everything()
            );
            site.stop().await;
        }
    }
}

#[tokio::test]
async fn r16_a_stream_where_none_was_asked_for_and_none_where_one_was_are_no_replies() {
    let plain = json!({"id": "x", "object": "chat.completion", "created": 1, "model": "x", "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "wrong"}, "finish_reason": "stop"}]});
    let events = "data: {\"id\":\"x\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"x\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"wrong\"},\"finish_reason\":null}]}\n\ndata: [DONE]\n\n";
    let list = deployment("m", "a", "openai/gpt-4o", ", api_base: \"http://{odd}/v1\", weight: 1");
    let yaml = format!("model_list:\n{list}{}", open_ai("m", "b", ", weight: 0"));
    for (kind, reply, body) in [
        ("text/event-stream", events.to_owned(), hello("m")),
        ("text/plain", "wrong".to_owned(), hello("m")),
        ("text/plain", "wrong".to_owned(), streamed(hello("m"))),
        ("application/json", plain.to_string(), streamed(hello("m"))),
    ] {
        let odd = RawProvider::of(kind, &reply).await;
        let site = Site::start_with(&yaml, Script::new(), &[("odd", odd.address)]).await;
        let mut connection = site.connect().await;
        connection.write(&post(CHAT, &[], body.to_string().as_bytes())).await;
        let told = Told::read(&mut connection).await;
        assert_eq!(told.status(), 200, "{kind}: {}", told.body());
        assert!(!told.body().contains("wrong"), "{kind}: {}", told.body());
        assert_eq!((odd.connects(), site.sends(["b"])), (1, [1]), "{kind}");
        site.stop().await;
    }
}

#[tokio::test]
async fn r17_what_is_no_reply_of_the_wire_goes_elsewhere() {
    for body in [hello("m"), streamed(hello("m"))] {
        let is_stream = body.get("stream").is_some();
        // Half of a stream's text is content that the caller has seen: a row of streams.
        let half = Fault::TruncatedJson;
        for fault in [
            if is_stream { Fault::cut(0) } else { half },
            Fault::ErrorInOk,
            Fault::Empty { status: 200 },
            Fault::MalformedEvent { after: 0 },
            Fault::BadUtf8,
        ] {
            let behaviour = Behaviour::new().text("evil").fault(fault.clone());
            let sound = Rule::deployment("b", Behaviour::new().text("good"));
            let script = Script::new().rule(Rule::deployment("a", behaviour)).rule(sound);
            let site = Site::start(&two(""), script).await;
            let mut connection = site.connect().await;
            connection.write(&post(CHAT, &[], body.to_string().as_bytes())).await;
            let told = Told::read(&mut connection).await;
            assert_eq!(told.status(), 200, "{fault:?}: {}", told.body());
            assert!(
                told.body().contains("good") && !told.body().contains("evil"),
                "{fault:?}: {}",
                told.body()
            );
            assert_eq!(site.sends(["a", "b"]), [1, 1], "{fault:?}");
            site.stop().await;
        }
    }
}

#[tokio::test]
async fn r17_numbers_beyond_all_measure_make_no_debt_and_no_panic() {
    for usage in [UsageFault::Huge, UsageFault::Negative] {
        let behaviour = Behaviour::new().fault(Fault::Usage(usage));
        let site = Site::start(&two(""), Script::new().rule(Rule::any(behaviour))).await;
        site.load(Load::new(20, 4)).await.all_answered();
        let spent = site.gateway.metric("litellm_spend_metric_total", &[]).await;
        assert!((0.0..0.05).contains(&spent), "{usage:?}: {spent}");
        site.stop().await;
    }
}

/// Bytes that a reply of a provider may have in the tests below.
const REPLY_BYTES_MAX: u64 = 4 << 20;

/// `two`, with replies of at most [`REPLY_BYTES_MAX`].
fn capped(list: &str) -> String {
    format!("{list}general_settings: {{max_response_size_mb: {}}}\n", REPLY_BYTES_MAX >> 20)
}

#[tokio::test]
async fn r18_a_reply_that_breaks_its_own_framing_goes_elsewhere_and_takes_no_memory() {
    let site = Site::start(&capped(&two("")), Script::new()).await;
    site.load(Load::new(20, 4)).await.all_answered();
    let before = site.gateway.memory_max();
    for fault in [
        Fault::ContentLengthLies { by: 16 },
        Fault::cut(0),
        Fault::EndlessHeaders,
        Fault::HugeHeaders { bytes: 10 << 20 },
    ] {
        for _ in 0..3 {
            site.simulator
                .script()
                .set_rules(vec![Rule::deployment("a", Behaviour::new().fault(fault.clone()))]);
            let answer = site.hello("m").await;
            assert_eq!(answer.status, 200, "{fault:?}: {}", answer.text());
        }
    }
    let more = site.gateway.memory_max().saturating_sub(before);
    assert!(more <= 2 * REPLY_BYTES_MAX, "{more} bytes more");
    site.stop().await;
}

#[tokio::test]
async fn r18_bytes_behind_a_reply_are_nobodys_reply() {
    let good = |word: &str| {
        let body = json!({"id": "x", "object": "chat.completion", "created": 1, "model": "x", "choices": [
            {"index": 0, "message": {"role": "assistant", "content": word}, "finish_reason": "stop"}]})
        .to_string();
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ";
        format!("{head}{}\r\n\r\n{body}", body.len())
    };
    let odd = RawProvider::start(good("first") + &good("smuggled")).await;
    let yaml = format!(
        "model_list:\n{}",
        deployment("m", "a", "openai/gpt-4o", ", api_base: \"http://{odd}/v1\", num_retries: 0")
    );
    let site = Site::start_with(&yaml, Script::new(), &[("odd", odd.address)]).await;
    let mut connection = site.connect().await;
    for asked in 1..=20 {
        connection.write(&post(CHAT, &[], hello("m").to_string().as_bytes())).await;
        assert_eq!(connection.answer().await.content(), "first");
        assert_eq!(odd.connects(), asked, "a connection with bytes left over is not used again");
    }
    site.stop().await;
}

#[tokio::test]
async fn r18_a_flood_of_interim_replies_ends() {
    let odd = RawProvider::flood("", "HTTP/1.1 100 Continue\r\n\r\n", 1_000_000).await;
    let list = deployment("m", "a", "openai/gpt-4o", ", api_base: \"http://{odd}/v1\", weight: 1");
    let yaml = format!("model_list:\n{list}{}", open_ai("m", "b", ", weight: 0"));
    let site = Site::start_with(&yaml, Script::new(), &[("odd", odd.address)]).await;
    assert_eq!(site.hello("m").await.status, 200);
    assert_eq!((odd.connects(), site.sends(["b"])), (1, [1]));
    site.stop().await;
}

#[tokio::test]
async fn r19_a_reply_without_end_and_a_bomb_are_cut_at_the_cap() {
    let site = Site::start(&capped(&two("")), Script::new()).await;
    site.load(Load::new(20, 4)).await.all_answered();
    let before = site.gateway.memory_max();
    for fault in [Fault::GzipBomb { bytes: 1 << 30 }, Fault::EndlessBody] {
        site.simulator.script().set_rules(vec![Rule::any(Behaviour::new().fault(fault.clone()))]);
        let alone =
            json!({"model": "m", "num_retries": 0, "messages": [{"role": "user", "content": "hello there"}]});
        let answer = site.chat(&alone).await;
        assert_eq!(answer.status, 502, "{fault:?}: {}", answer.text());
    }
    let more = site.gateway.memory_max().saturating_sub(before);
    assert!(more <= REPLY_BYTES_MAX + (8 << 20), "{more} bytes more");
    site.stop().await;
}
