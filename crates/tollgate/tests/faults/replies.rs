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

#[tokio::test]
async fn r10_where_nobody_ever_answers_each_is_asked_once_and_the_caller_is_told_in_time() {
    for body in [hello("m"), streamed(hello("m"))] {
        let more = ", timeout: 0.3, stream_timeout: 0.3";
        let list = ["a", "b"].map(|name| open_ai("m", name, more)).concat();
        let yaml = format!("model_list:\n{list}router_settings: {{num_retries: 5}}\n");
        let hang = Rule::any(Behaviour::new().fault(Fault::Hang));
        let site = Site::start(&yaml, Script::new().rule(hang)).await;
        let answer = site.chat(&body).await;
        assert_eq!(
            (answer.status, answer.header("x-litellm-timeout")),
            (408, Some("0.3")),
            "{}",
            answer.text()
        );
        let mut order = site.order();
        order.sort();
        assert_eq!(order, ["a", "b"], "who stayed silent is not asked again");
        // Nothing is held on to: this also looks at the requests in flight.
        site.stop().await;
    }
}

#[tokio::test]
async fn r11_a_limited_deployment_is_not_sent_to_before_its_time_whatever_form_that_has() {
    let limited = |code: Fault| Behaviour::new().fault(code);
    let in_header = limited(Fault::status(429)).header("retry-after-ms", "30000");
    for (name, behaviour, told) in [
        ("seconds", limited(Fault::status_retry_after(429, "30")), "30"),
        ("milliseconds", in_header, "30"),
        ("date", limited(Fault::status_retry_after(429, "Wed, 21 Oct 2099 07:28:00 GMT")), "3600"),
        ("far", limited(Fault::status_retry_after(429, "86400")), "3600"),
    ] {
        let script = Script::new().rule(Rule::deployment("a", behaviour.clone()).times(1));
        let site = Site::start(&two(""), script).await;
        site.load(Load::new(60, 1)).await.all_answered();
        assert_eq!(site.sends(["a", "b"]), [1, 60], "{name}");
        site.stop().await;
        // Where there is nobody else the caller hears the same time.
        let alone = format!("model_list:\n{}", open_ai("m", "a", ", num_retries: 0"));
        let site = Site::start(&alone, Script::new().rule(Rule::any(behaviour))).await;
        assert_eq!(site.hello("m").await.header("retry-after"), Some(told), "{name}");
        site.stop().await;
    }
}

#[tokio::test]
async fn r11_a_limit_that_headers_tell_of_is_kept_to_as_well() {
    let left = |left: &str| {
        Behaviour::new()
            .header("x-ratelimit-limit-requests", "60")
            .header("x-ratelimit-remaining-requests", left)
            .header("x-ratelimit-reset-requests", "30s")
    };
    for (behaviour, sends) in [
        // Refused without a word of when to come back, and answered with the last that there was.
        (left("0").fault(Fault::status(429)), [1, 60]),
        (left("0"), [1, 59]),
        (left("1"), [60, 0]),
    ] {
        let script = Script::new().rule(Rule::deployment("a", behaviour));
        let site = Site::start(&two(""), script).await;
        site.load(Load::new(60, 1)).await.all_answered();
        assert_eq!(site.sends(["a", "b"]), sends);
        site.stop().await;
    }
}

#[tokio::test]
async fn r11_a_limit_that_is_over_is_over() {
    for said in ["1", "soon", ""] {
        let behaviour = Behaviour::new().fault(Fault::status_retry_after(429, said));
        let script = Script::new().rule(Rule::deployment("a", behaviour).times(1));
        let site = Site::start(&two(""), script).await;
        let started = Instant::now();
        assert_eq!(site.hello("m").await.status, 200);
        assert_eq!(site.sends(["a", "b"]), [1, 1], "{said:?}");
        while started.elapsed() < Duration::from_millis(500) {
            assert_eq!(site.hello("m").await.status, 200);
            // Where a machine was so slow that the time is over already, there is nothing to see.
            if started.elapsed() < Duration::from_millis(700) {
                assert_eq!(site.sends(["a"]), [1], "{said:?}: sent to while it is limited");
            }
        }
        site.ask_until("the limit is over", |site| site.sends(["a"])[0] > 1).await;
        site.stop().await;
    }
}

#[tokio::test]
async fn r11_where_all_are_limited_the_caller_hears_the_soonest_time_and_nobody_is_asked_again() {
    let script =
        [("a", "30"), ("b", "20"), ("c", "3600")].iter().fold(Script::new(), |script, (name, after)| {
            script
                .rule(Rule::deployment(*name, Behaviour::new().fault(Fault::status_retry_after(429, *after))))
        });
    let site = Site::start(&three(), script).await;
    let told = |answer: &crate::support::Answer| {
        assert_eq!(answer.status, 429, "{}", answer.text());
        answer.header("retry-after").and_then(|text| text.parse::<u64>().ok()).unwrap_or_default()
    };
    let first = told(&site.hello("m").await);
    assert!((19..=20).contains(&first), "{first}");
    assert_eq!(site.sends(["a", "b", "c"]), [1, 1, 1]);
    for _ in 0..10 {
        let again = told(&site.hello("m").await);
        assert!((10..=20).contains(&again), "{again}");
    }
    assert_eq!(site.sends(["a", "b", "c"]), [1, 1, 1], "a pause is never broken");
    site.stop().await;
}

#[tokio::test]
async fn r12_a_limit_without_a_time_pauses_longer_and_longer_while_others_have_room() {
    let started = Instant::now();
    let site = Site::start(&three(), failing(Fault::status(429))).await;
    for _ in 0..3 {
        site.load(Load::new(count(100, 1_000), 8)).await.all_answered();
    }
    let [limited, b, c] = site.sends(["a", "b", "c"]);
    assert_eq!(b + c, 3 * count(100, 1_000));
    // Eight may be under way at once, and after that one for each pause, the shortest of which is 0.8 s.
    let most = 8 + 8 * usize::try_from(started.elapsed().as_millis() / 800).unwrap();
    assert!((1..=most).contains(&limited), "{limited} of at most {most}");
    site.stop().await;
}

#[tokio::test]
async fn r13_a_storm_of_errors_at_one_of_three_trips_it_and_the_callers_see_none() {
    for status in [500, 502, 503, 529] {
        let site = Site::start(&three(), failing(Fault::status(status))).await;
        let requests = count(150, 1_500);
        site.load(Load::new(requests, 8)).await.all_answered();
        let [a, b, c] = site.sends(["a", "b", "c"]);
        assert!((3..=3 + 8 + 8).contains(&a), "{status}: sent {a} times");
        assert_eq!(b + c, requests);
        site.stop().await;
    }
}

#[tokio::test]
async fn r13_a_storm_of_errors_at_all_goes_down_the_chain_and_where_there_is_none_fails_without_a_storm() {
    let storm = |status| Rule::model("gpt-4o", Behaviour::new().fault(Fault::status(status)));
    let other = deployment("n", "d", "openai/gpt-4o-mini", ", api_base: \"http://{sim}/d/d/v1\"");
    let chained = format!("{}{other}router_settings: {{fallbacks: [{{m: [n]}}]}}\n", three());
    let site = Site::start(&chained, Script::new().rule(storm(503))).await;
    let requests = count(100, 1_000);
    let outcomes = site.load(Load::new(requests, 8)).await;
    assert_eq!(outcomes.of(200), requests);
    assert_eq!(site.sends(["d"]), [requests]);
    site.stop().await;
    for status in [500_u16, 503] {
        let site = Site::start(&three(), Script::new().rule(storm(status))).await;
        let started = Instant::now();
        let outcomes = site.load(Load::new(requests, 8)).await;
        assert_eq!(outcomes.of(status), requests, "{status}");
        let windows = usize::try_from(started.elapsed().as_secs() / 10 + 1).unwrap();
        let (sends, most) = (site.received().len(), requests + requests / 10 + 30 * windows);
        assert!(sends <= most, "{status}: {sends} sends, at most {most} are due");
        site.simulator.script().clear();
        loop {
            let answer = site.hello("m").await;
            if answer.status == 200 {
                break;
            }
        }
        site.stop().await;
    }
}

#[tokio::test]
async fn r14_a_third_of_all_failing_is_retried_as_far_as_the_budget_goes() {
    let fault = Rule::any(Behaviour::new().fault(Fault::status(503))).share(0.3);
    let site = Site::start(&three(), Script::new().seed(14).rule(fault)).await;
    let requests = count(400, 4_000);
    let started = Instant::now();
    let outcomes = site.load(Load::new(requests, 8)).await;
    let windows = usize::try_from(started.elapsed().as_secs() / 10 + 1).unwrap();
    let received = site.received();
    let failures = received.iter().filter(|request| request.status != 200).count();
    let (retries, errors) = (received.len() - requests, requests - outcomes.of(200));
    assert_eq!(outcomes.of(503), errors);
    // Every failure was either mended by another attempt or told to the caller.
    assert_eq!(failures, retries + errors);
    let most = requests / 10 + 30 * windows;
    assert!(retries <= most, "{retries} retries, at most {most} are due");
    // What the budget has is used: a third of some hundreds fails more often than it allows to try again.
    assert!(retries * 10 >= most.min(failures) * 8, "{retries} of {most} retries, {failures} failures");
    site.stop().await;
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
async fn r15_a_wrong_key_is_benched_with_all_that_show_it_and_an_alert_is_raised() {
    for status in [401, 403] {
        let base = |name: &str| format!(", api_key: sk-shared, api_base: \"http://{{sim}}/d/{name}/v1\"");
        let shared = |group: &str, name: &str| {
            deployment(group, name, "openai/gpt-4o", &base(name))
                .replace(&format!("api_key: sk-key-of-{name}, "), "")
        };
        let yaml = format!(
            "model_list:\n{}{}{}",
            shared("m", "a").replace("api_base", "weight: 1, api_base"),
            open_ai("m", "b", ", weight: 0"),
            shared("other", "x").replace("api_base", "weight: 1, api_base")
                + &open_ai("other", "y", ", weight: 0"),
        );
        let rule = Rule::deployment("sk-shared", Behaviour::new().fault(Fault::status(status)));
        let site = Site::start(&yaml, Script::new().rule(rule)).await;
        for _ in 0..10 {
            assert_eq!(site.hello("m").await.status, 200);
            assert_eq!(site.hello("other").await.status, 200);
        }
        assert_eq!(site.sends(["a", "b", "x", "y"]), [1, 10, 0, 10], "{status}");
        let log = site.gateway.log_text();
        assert!(log.lines().any(|line| line.contains("credential") && line.contains("WARN")), "{log}");
        site.stop().await;
    }
}

#[tokio::test]
async fn r15_a_model_that_is_not_there_benches_this_deployment_alone() {
    let yaml = format!(
        "{}{}",
        two(""),
        open_ai("other", "x", ", api_key: sk-key-of-a").replace("api_key: sk-key-of-x, ", "")
    );
    let site = Site::start(&yaml, failing(Fault::status(404)).rule(Rule::any(Behaviour::new()))).await;
    for _ in 0..10 {
        assert_eq!(site.hello("m").await.status, 200);
        assert_eq!(site.hello("other").await.status, 200);
    }
    let [a, b, x] = site.sends(["a", "b", "x"]);
    assert!(a <= 3 && b == 10 && x == 10, "{a} {b} {x}");
    site.stop().await;
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

#[tokio::test]
async fn r13_six_sends_are_all_for_one_request_however_long_its_chain() {
    let group = |group: &str, names: [&str; 2]| names.map(|name| open_ai(group, name, "")).concat();
    let groups =
        [group("m", ["a", "b"]), group("n", ["c", "d"]), group("o", ["e", "f"]), group("p", ["g", "h"])];
    let yaml = format!(
        "model_list:\n{}router_settings: {{num_retries: 1, fallbacks: [{{m: [n, o, p]}}]}}\n",
        groups.concat()
    );
    let storm = Rule::any(Behaviour::new().fault(Fault::status(500)));
    for body in [hello("m"), streamed(hello("m"))] {
        let site = Site::start(&yaml, Script::new().rule(storm.clone())).await;
        let answer = site.chat(&body).await;
        assert_eq!(answer.status, 500, "{}", answer.text());
        let order = site.order();
        assert_eq!(order.len(), 6, "{order:?}");
        // Each group keeps a send for every one that follows it, so the last is asked too.
        let mut left = order.as_slice();
        for (sends, names) in [(2, ["a", "b"]), (2, ["c", "d"]), (1, ["e", "f"]), (1, ["g", "h"])] {
            let (group, rest) = left.split_at(sends);
            assert!(group.iter().all(|name| names.contains(&name.as_str())), "{order:?}");
            assert!(sends == 1 || group[0] != group[1], "{order:?}");
            left = rest;
        }
        site.stop().await;
    }
}
