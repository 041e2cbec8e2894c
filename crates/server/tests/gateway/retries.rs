//! What follows a failed attempt: how often, where, after which wait, and what the caller is told in the end.

use crate::support::{
    Answer, App, WIRES, Wire, advance, hello, many, model_list, one_of, post, seconds, settle, streamed,
    two_of,
};
use serde_json::{Value, json};
use tollgate_simulator::{Behaviour, Fault, Reason, ResetPoint, Rule, Script};

const CHAT: &str = "/v1/chat/completions";

fn failing(deployment: &str, fault: Fault) -> Script {
    Script::new().rule(Rule::deployment(deployment, Behaviour::new().fault(fault)))
}

fn always(fault: Fault) -> Script {
    Script::new().rule(Rule::any(Behaviour::new().fault(fault)))
}

/// Status, type and code of an error.
fn shape(answer: &Answer) -> (u16, String, String) {
    let error = answer.error();
    let text = |name: &str| error[name].as_str().unwrap().to_owned();
    (answer.status, text("type"), text("code"))
}

#[tokio::test]
async fn what_another_deployment_may_mend_goes_there_once_and_the_caller_sees_a_200() {
    let statuses = [500, 502, 503, 504, 529, 429, 401, 402, 403, 404].map(Fault::status);
    let transport = [
        Fault::Refuse,
        Fault::Reset(ResetPoint::BeforeHead),
        Fault::Reset(ResetPoint::AfterHead),
        Fault::cut(0),
    ];
    for wire in WIRES {
        // Google knows no 402.
        let known = |fault: &&Fault| wire != Wire::Gemini || **fault != Fault::status(402);
        for fault in statuses.iter().filter(known).chain(&transport) {
            for body in [hello("m"), streamed(hello("m"))] {
                // Each on fresh connections: a kept one that is reset at once counts as closed before the request.
                let app = App::start(two_of(wire), failing("a", fault.clone())).await;
                let answer = app.chat(&body).await;
                assert_eq!(answer.status, 200, "{wire:?} {fault:?}: {}", answer.text());
                assert_eq!(app.sends(["a", "b"]), [1, 1], "{wire:?} {fault:?}");
                assert_eq!(answer.header("x-litellm-attempted-retries"), Some("1"));
                assert_eq!(answer.header("x-litellm-max-retries"), Some("2"));
                let served = answer.header("x-litellm-model-api-base").unwrap();
                assert!(served.ends_with("/d/b/v1"), "{served}");
                app.stop().await;
            }
        }
    }
}

#[tokio::test]
async fn the_callers_own_mistakes_are_never_sent_again() {
    for wire in WIRES {
        let app = App::start(two_of(wire), Script::new()).await;
        for (fault, status) in [
            (Fault::status(400), 400),
            (Fault::status(413), 413),
            (Fault::status(422), 422),
            (Fault::refusal(Reason::ContextWindow), 400),
            (Fault::refusal(Reason::ContentPolicy), 400),
        ] {
            app.simulator.forget_received();
            let behaviour = Behaviour::new().fault(fault.clone());
            app.simulator.script().set_rules(vec![Rule::deployment("a", behaviour)]);
            let answer = app.hello("m").await;
            assert_eq!((answer.status, app.sends(["a", "b"])), (status, [1, 0]), "{wire:?} {fault:?}");
            assert_eq!(answer.error()["type"], "invalid_request_error");
        }
        app.stop().await;
    }
}

#[tokio::test]
async fn a_failure_of_the_only_deployment_reaches_the_caller_in_litellms_shape() {
    for wire in WIRES {
        for (code, status, kind, opening) in [
            (400, 400, "invalid_request_error", "litellm.BadRequestError: "),
            (401, 401, "authentication_error", "litellm.AuthenticationError: "),
            (403, 403, "permission_error", "litellm."),
            (404, 404, "invalid_request_error", "litellm.NotFoundError: "),
            (413, 413, "invalid_request_error", "litellm.BadRequestError: "),
            (504, 408, "invalid_request_error", "litellm.Timeout: "),
            (429, 429, "throttling_error", "litellm.RateLimitError: RateLimitError: "),
            (500, 500, "internal_server_error", "litellm.InternalServerError: InternalServerError: "),
            (502, 502, "internal_server_error", "litellm.BadGatewayError: BadGatewayError: "),
            (503, 503, "internal_server_error", "litellm.ServiceUnavailableError: ServiceUnavailableError: "),
            (529, 503, "internal_server_error", "litellm.ServiceUnavailableError: ServiceUnavailableError: "),
        ] {
            // 529 is Anthropic's own; Google has a word for every status that it sends.
            if wire == Wire::Gemini && code == 529 {
                continue;
            }
            for body in [hello("m"), streamed(hello("m"))] {
                // A gateway of its own each time: after a limit, nothing is sent for a while.
                let app = App::start(one_of(wire), always(Fault::status(code))).await;
                let answer = app.chat(&body).await;
                assert_eq!(shape(&answer), (status, kind.to_owned(), status.to_string()), "{wire:?} {code}");
                let message = answer.error_message();
                assert!(message.starts_with(opening), "{message}");
                assert!(message.contains(&format!("{} - ", wire.exception())), "{message}");
                assert_eq!(app.sends(["a"]), [1], "{wire:?} {code}");
                app.stop().await;
            }
        }
    }
}

#[tokio::test]
async fn what_will_not_mend_is_asked_once_where_there_is_nobody_else() {
    for code in [401, 402, 403, 404, 410] {
        let app = App::start(many(1, ""), always(Fault::status(code))).await;
        assert!(app.hello("m").await.status >= 400);
        assert_eq!(app.received().len(), 1, "{code}");
        app.stop().await;
        // With others, each of them is asked and none twice.
        let app = App::start(many(3, ", num_retries: 5"), always(Fault::status(code))).await;
        assert!(app.hello("m").await.status >= 400);
        assert_eq!(app.sends(["a0", "a1", "a2"]), [1, 1, 1], "{code}");
        app.stop().await;
    }
}

#[tokio::test]
async fn the_number_of_retries_is_the_requests_before_the_deployments_before_the_routers() {
    let check = async |more: &str, tail: &str, headers: &[(&str, &str)], body: Value, sends: usize| {
        let app = App::start(many(8, more) + tail, always(Fault::status(500))).await;
        let mut whole = hello("m");
        whole.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
        let request = post(CHAT, headers, whole.to_string().as_bytes());
        let answer = app.ask(&request).await;
        assert_eq!(answer.status, 500);
        let received = app.received();
        assert_eq!(received.len(), sends, "{more} {tail} {headers:?} {body}");
        assert!(received.iter().all(|got| got.json().get("num_retries").is_none()));
        app.stop().await;
    };
    let router = "router_settings: {num_retries: 1}\n";
    let litellm = "litellm_settings: {num_retries: 4}\n";
    let header = ("x-litellm-num-retries", "2");
    check("", "", &[], json!({}), 3).await;
    check("", router, &[], json!({}), 2).await;
    check("", litellm, &[], json!({}), 5).await;
    check(", num_retries: 3", router, &[], json!({}), 4).await;
    check(", max_retries: 0", router, &[], json!({}), 1).await;
    check(", num_retries: 3", router, &[], json!({"num_retries": 0}), 1).await;
    check(", num_retries: 3", router, &[header], json!({"num_retries": 0}), 3).await;
    // Never more than six, whoever asks for more.
    check("", "router_settings: {num_retries: 50}\n", &[], json!({}), 6).await;
    check("", "", &[("x-litellm-num-retries", "1000000")], json!({}), 6).await;
    check("", "", &[], json!({"num_retries": 19}), 6).await;
}

#[tokio::test]
async fn six_sends_are_all_even_where_one_deployment_is_asked_again_and_again() {
    let app = App::start(many(2, ", num_retries: 20"), always(Fault::status(503))).await;
    assert_eq!(app.hello("m").await.status, 503);
    assert_eq!(app.sends(["a0", "a1"]).iter().sum::<usize>(), 6);
    app.stop().await;
}

#[tokio::test]
async fn a_lone_deployments_retry_after_is_waited_for_and_no_wait_follows_the_last_attempt() {
    // Longer than a test's patience: whoever waited once too often would be caught.
    let rule = Fault::status_retry_after(429, "50");
    let app = App::start(many(1, ", num_retries: 2"), always(rule)).await;
    let mut connection = app.connect().await;
    connection.write(&post(CHAT, &[], hello("m").to_string().as_bytes())).await;
    for sends in 1..=2 {
        app.until("the attempt has failed", |app| {
            app.received().iter().filter(|got| got.finished).count() == sends
        })
        .await;
        settle().await;
        advance(seconds(49)).await;
        settle().await;
        assert_eq!(app.received().len(), sends, "asked again before it was told to");
        advance(seconds(1)).await;
    }
    let answer = connection.answer().await;
    assert_eq!((answer.status, answer.header("retry-after"), app.received().len()), (429, Some("50"), 3));
    app.stop().await;
}

#[tokio::test]
async fn the_providers_retry_after_reaches_the_caller() {
    let check = async |fault: Fault, expect: Option<&str>| {
        for body in [hello("m"), streamed(hello("m"))] {
            let app = App::start(one_of(Wire::OpenAi), always(fault.clone())).await;
            let answer = app.chat(&body).await;
            assert_eq!(answer.header("retry-after"), expect, "{fault:?}");
            app.stop().await;
        }
    };
    check(Fault::status_retry_after(429, "7"), Some("7")).await;
    check(Fault::status_retry_after(429, "1.2"), Some("2")).await;
    check(Fault::status_retry_after(503, "30"), Some("30")).await;
    check(Fault::status_retry_after(500, "3"), Some("3")).await;
    check(Fault::status_retry_after(429, "999999"), Some("3600")).await;
    // Where the provider does not say, or says "at once", the gateway leaves it alone for a second or so, and says that.
    for silent in [
        Fault::status_retry_after(429, "0"),
        Fault::status_retry_after(429, "soon"),
        Fault::status_retry_after(429, "-5"),
        Fault::status_retry_after(429, "1e400"),
        Fault::status(429),
    ] {
        let app = App::start(one_of(Wire::OpenAi), always(silent)).await;
        let answer = app.hello("m").await;
        assert!(
            matches!(answer.header("retry-after"), Some("1" | "2")),
            "{:?}",
            answer.header("retry-after")
        );
        app.stop().await;
    }
    check(Fault::status(500), None).await;
}

#[tokio::test]
async fn of_several_limits_the_soonest_reaches_the_caller() {
    let limited = |name: &str, after: &str| {
        Rule::deployment(name, Behaviour::new().fault(Fault::status_retry_after(429, after)))
    };
    let script = Script::new().rule(limited("a0", "50")).rule(limited("a1", "9")).rule(limited("a2", "30"));
    let app = App::start(many(3, ""), script).await;
    assert_eq!(app.hello("m").await.header("retry-after"), Some("9"));
    // Whoever has said so is left alone until then.
    for _ in 0..6 {
        let answer = app.hello("m").await;
        let seconds: u32 = answer.header("retry-after").unwrap().parse().unwrap();
        assert!(answer.status == 429 && (1..=9).contains(&seconds), "{seconds}");
    }
    assert_eq!(app.sends(["a0", "a1", "a2"]), [1, 1, 1]);
    app.stop().await;
}

#[tokio::test]
async fn a_limited_lone_deployment_is_asked_once_when_it_names_a_time_that_is_too_far() {
    let app = App::start(many(1, ", num_retries: 5"), always(Fault::status_retry_after(429, "61"))).await;
    let answer = app.hello("m").await;
    assert_eq!((answer.status, answer.header("retry-after"), app.received().len()), (429, Some("61"), 1));
    // Nor is a wait begun that would end after the request's own time.
    let app2 = App::start(many(1, ", num_retries: 5"), always(Fault::status_retry_after(429, "20"))).await;
    let answer = app2.hello_with("m", &[("x-litellm-timeout", "10")]).await;
    assert_eq!((answer.status, answer.header("retry-after"), app2.received().len()), (429, Some("20"), 1));
    app.stop().await;
    app2.stop().await;
}

#[tokio::test]
async fn a_silent_provider_is_a_408_that_says_which_limit_it_met() {
    let check = async |more: &str, tail: &str, headers: &[(&str, &str)], body: Value, limit: u64| {
        let yaml = many(1, more) + tail;
        let app = App::start(yaml, always(Fault::Hang)).await;
        let mut whole = hello("m");
        whole.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
        let mut connection = app.connect().await;
        connection.write(&post(CHAT, headers, whole.to_string().as_bytes())).await;
        app.until_waiting(1).await;
        advance(seconds(limit - 1)).await;
        settle().await;
        assert_eq!(app.simulator.active_requests(), 1, "given up early: {more} {tail} {headers:?} {body}");
        advance(seconds(1)).await;
        let answer = connection.answer().await;
        assert_eq!(shape(&answer), (408, "invalid_request_error".to_owned(), "408".to_owned()));
        assert_eq!(answer.header("x-litellm-timeout"), Some(format!("{limit}.0").as_str()), "{tail} {body}");
        let message = answer.error_message();
        assert!(message.starts_with("litellm.Timeout: APITimeoutError - Request timed out."), "{message}");
        app.until("the provider's connection is closed", |app| app.received()[0].hung_up).await;
        assert_eq!(app.received().len(), 1);
        app.stop().await;
    };
    let once = "router_settings: {num_retries: 0, timeout: 500, stream_timeout: 44}\n";
    let stream = json!({"stream": true});
    check("", once, &[], json!({}), 500).await;
    check("", "litellm_settings: {num_retries: 0, request_timeout: 40}\n", &[], json!({}), 40).await;
    check(", timeout: 33", once, &[], json!({}), 33).await;
    check(", timeout: 33", once, &[], json!({"timeout": 20}), 20).await;
    check(", timeout: 33", once, &[("x-litellm-timeout", "21")], json!({"timeout": 20}), 21).await;
    check("", once, &[], stream.clone(), 44).await;
    check(", stream_timeout: 9", once, &[], stream.clone(), 9).await;
    check(", stream_timeout: 9", once, &[], json!({"stream": true, "stream_timeout": 7}), 7).await;
    check(", stream_timeout: 9", once, &[("x-litellm-stream-timeout", "6")], stream.clone(), 6).await;
    check(", timeout: 5, stream_timeout: 9", once, &[], stream.clone(), 5).await;
    check("", "router_settings: {num_retries: 0}\n", &[], json!({}), 6_000).await;
    check("", "router_settings: {num_retries: 0}\n", &[], stream, 60).await;
}

#[tokio::test]
async fn when_the_requests_own_time_is_over_nobody_else_is_asked() {
    for body in [hello("m"), streamed(hello("m"))] {
        let app = App::start(many(3, ""), always(Fault::Hang)).await;
        let mut connection = app.connect().await;
        let request = post(CHAT, &[("x-litellm-timeout", "15")], body.to_string().as_bytes());
        connection.write(&request).await;
        app.until_waiting(1).await;
        advance(seconds(15)).await;
        let answer = connection.answer().await;
        assert_eq!(answer.status, 408, "{}", answer.text());
        assert_eq!(answer.header("x-litellm-timeout"), Some("15.0"));
        settle().await;
        assert_eq!(app.received().len(), 1, "{body}");
        app.stop().await;
    }
}

#[tokio::test]
async fn a_second_attempt_has_what_is_left_of_the_requests_time() {
    let first = format!("{}, weight: 1, timeout: 10", Wire::OpenAi.parameters("a"));
    let second = format!("{}, weight: 0", Wire::OpenAi.parameters("b"));
    let yaml = model_list(&[("m", &first), ("m", &second)]) + "router_settings: {timeout: 25}\n";
    let app = App::start(yaml, always(Fault::Hang)).await;
    let mut connection = app.connect().await;
    connection.write(&post(CHAT, &[], hello("m").to_string().as_bytes())).await;
    app.until_waiting(1).await;
    advance(seconds(10)).await;
    app.until("the second is asked", |app| app.sends(["a", "b"]) == [1, 1]).await;
    app.until_waiting(1).await;
    advance(seconds(14)).await;
    settle().await;
    assert_eq!(app.simulator.active_requests(), 1, "given up early");
    advance(seconds(1)).await;
    let answer = connection.answer().await;
    assert_eq!((answer.status, answer.header("x-litellm-timeout")), (408, Some("25.0")));
    assert_eq!(app.sends(["a", "b"]), [1, 1]);
    app.stop().await;
}

#[tokio::test]
async fn a_caller_that_hangs_up_during_a_wait_is_not_asked_for_again() {
    let app = App::start(many(1, ", num_retries: 5"), always(Fault::status_retry_after(429, "20"))).await;
    let mut connection = app.connect().await;
    connection.write(&post(CHAT, &[], hello("m").to_string().as_bytes())).await;
    app.until("the attempt has failed", |app| app.received().iter().any(|got| got.finished)).await;
    settle().await;
    drop(connection);
    app.until("the request is given up", |app| app.gateway.in_flight() == 0).await;
    advance(seconds(100)).await;
    settle().await;
    assert_eq!(app.received().len(), 1);
    app.stop().await;
}

#[tokio::test]
async fn a_silent_deployment_costs_its_own_time_and_then_another_answers() {
    let first = format!("{}, weight: 1, timeout: 25, stream_timeout: 25", Wire::OpenAi.parameters("a"));
    let second = format!("{}, weight: 0", Wire::OpenAi.parameters("b"));
    for body in [hello("m"), streamed(hello("m"))] {
        for fault in [Fault::Hang, Fault::Stall { after: 0 }] {
            let app = App::start(model_list(&[("m", &first), ("m", &second)]), failing("a", fault)).await;
            let mut connection = app.connect().await;
            connection.write(&post(CHAT, &[], body.to_string().as_bytes())).await;
            app.until_waiting(1).await;
            advance(seconds(25)).await;
            let answer = connection.answer().await;
            assert_eq!((answer.status, app.sends(["a", "b"])), (200, [1, 1]), "{body}");
            app.until("the silent one is let go", |app| app.simulator.active_requests() == 0).await;
            assert!(app.received()[0].hung_up);
            app.stop().await;
        }
    }
}

#[tokio::test]
async fn where_nobody_listens_another_deployment_answers_or_the_caller_hears_of_a_connection_error() {
    // Port 1 is nobody's: the kernel refuses at once.
    for wire in WIRES {
        let dead = wire.parameters("a").replace("{sim}", "127.0.0.1:1");
        let first = format!("{dead}, weight: 1");
        let second = format!("{}, weight: 0", Wire::OpenAi.parameters("b"));
        let app = App::start(model_list(&[("m", &first), ("m", &second)]), Script::new()).await;
        assert_eq!(app.hello("m").await.status, 200);
        assert_eq!(app.hello_stream("m").await.rest().await.last().unwrap(), "data: [DONE]\n\n");
        assert_eq!(app.sends(["b"]), [2]);
        app.stop().await;
        let app = App::start(model_list(&[("m", &dead)]), Script::new()).await;
        for body in [hello("m"), streamed(hello("m"))] {
            let answer = app.chat(&body).await;
            let expect = (500, "internal_server_error".to_owned(), "500".to_owned());
            assert_eq!(shape(&answer), expect, "{wire:?}");
            let message = answer.error_message();
            assert!(message.ends_with(&format!("{} - Connection error.", wire.exception())), "{message}");
            assert!(!answer.everything().contains("127.0.0.1"), "{answer:?}");
        }
        assert_eq!(app.metric("litellm_deployment_failure_responses_total", &["connect"]).await, 6.0);
        app.stop().await;
    }
}

#[tokio::test]
async fn a_parameter_that_one_deployment_cannot_express_goes_to_one_that_can() {
    let app = App::start(two_of(Wire::Anthropic), Script::new()).await;
    let mut body = hello("m");
    body["logit_bias"] = json!({"50256": -100});
    let answer = app.chat(&body).await;
    assert_eq!((answer.status, app.sends(["a", "b"])), (200, [0, 1]), "{}", answer.text());
    let alone = App::start(one_of(Wire::Anthropic), Script::new()).await;
    let answer = alone.chat(&body).await;
    assert_eq!((answer.status, alone.received().len()), (400, 0));
    let error = answer.error();
    assert_eq!(error["param"], "logit_bias");
    assert!(error["message"].as_str().unwrap().starts_with("litellm.UnsupportedParamsError: "), "{error}");
    // The caller may say itself that it is to be left out.
    body["drop_params"] = json!(true);
    let answer = alone.chat(&body).await;
    assert_eq!((answer.status, answer.header("x-tollgate-dropped")), (200, Some("logit_bias")));
    body["drop_params"] = json!(false);
    body["additional_drop_params"] = json!(["logit_bias"]);
    assert_eq!(alone.chat(&body).await.status, 200);
    body["additional_drop_params"] = json!(null);
    body["allowed_openai_params"] = json!(["logit_bias"]);
    alone.chat(&body).await;
    let received = alone.received();
    let bodies: Vec<String> =
        received.iter().map(|sent| String::from_utf8_lossy(&sent.body).into_owned()).collect();
    let has = |body: &String, word| body.contains(word);
    let biased: Vec<bool> = bodies.iter().map(|body| has(body, "logit_bias")).collect();
    assert_eq!(biased, [false, false, true]);
    assert!(bodies.iter().all(|body| !has(body, "drop_params") && !has(body, "allowed_openai_params")));
    app.stop().await;
    alone.stop().await;
}

#[tokio::test]
async fn a_lone_deployment_that_refuses_without_a_word_is_not_waited_for_long() {
    let app = App::start(
        one_of(Wire::OpenAi).replace("num_retries: 0", "num_retries: 2"),
        always(Fault::status(429)),
    )
    .await;
    // The pause grows with every refusal, and beyond two seconds nobody waits for its end.
    for _ in 0..6 {
        assert_eq!(app.hello("m").await.status, 429);
    }
    let sends = app.received().len();
    assert!((2..=4).contains(&sends), "{sends}");
    app.stop().await;
}
