//! Where a request would go: told by `/route/explain` and by dry runs, held against where it then goes.

use crate::support::{App, Setup, Wire, hello, post, streamed};
use serde_json::{Value, json};
use std::fmt::Write as _;
use tollgate_simulator::{Behaviour, Fault, Rule, Script};

/// A `model_list` of OpenAI's deployments: group, id, further parameters.
fn list(entries: &[(&str, &str, &str)]) -> String {
    entries.iter().fold("model_list:\n".to_owned(), |mut yaml, (group, id, more)| {
        let parameters = Wire::OpenAi.parameters(id);
        let _ = writeln!(
            yaml,
            "  - {{model_name: {group:?}, litellm_params: {{{parameters}{more}}}, model_info: {{id: {id}}}}}"
        );
        yaml
    })
}

async fn start(yaml: String) -> App {
    Setup::new(yaml).script(Script::new()).start().await
}

/// What is told of a request.
async fn explain(app: &App, body: &Value) -> Value {
    let answer = app.post("/route/explain", body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("content-type"), Some("application/json"));
    answer.json()
}

/// A column of a list of objects.
fn column<'v>(rows: &'v Value, name: &str) -> Vec<&'v Value> {
    rows.as_array().unwrap_or_else(|| panic!("no list: {rows}")).iter().map(|row| &row[name]).collect()
}

/// Id and reason of each candidate.
fn reasons(candidates: &Value) -> Vec<(&str, Option<&str>)> {
    let rows = candidates.as_array().unwrap().iter();
    rows.map(|row| (row["model_id"].as_str().unwrap(), row["passed_over"]["reason"].as_str())).collect()
}

#[tokio::test]
async fn who_decides_is_told_by_the_name_that_the_configuration_has_for_it() {
    for name in ["usage-based-routing", "usage-based-routing-v2", "least-busy"] {
        let settings = format!("router_settings: {{routing_strategy: {name}}}\n");
        let app = start(list(&[("m", "a", "")]) + &settings).await;
        let mut body = hello("m");
        let told = explain(&app, &body).await;
        assert_eq!((&told["strategy"], &told["decided_by"]), (&json!(name), &json!(name)));
        body["metadata"] = json!({"cost_sensitive": true});
        let told = explain(&app, &body).await;
        assert_eq!((&told["strategy"], &told["decided_by"]), (&json!(name), &json!("cost-based-routing")));
        app.stop().await;
    }
}

#[tokio::test]
async fn every_candidate_is_told_with_its_score_its_limits_and_why_it_is_passed_over() {
    let yaml = list(&[
        ("m", "a", ", weight: 3, rpm: 10, max_parallel_requests: 4, region_name: eu-west-1"),
        ("m", "b", ", weight: 1, region_name: eu-central-1, data_residency: eu"),
        ("m", "c", ", region_name: us-east-1"),
        ("m", "d", ""),
    ]);
    let app = start(yaml).await;
    let told = explain(&app, &hello("m")).await;
    assert_eq!(told["group"], "m");
    assert_eq!(
        (&told["strategy"], &told["decided_by"]),
        (&json!("simple-shuffle"), &json!("simple-shuffle"))
    );
    assert_eq!(reasons(&told["candidates"]), [("a", None), ("b", None), ("c", None), ("d", None)]);
    assert_eq!(column(&told["candidates"], "share"), [0.75, 0.25, 0.0, 0.0]);
    assert_eq!(column(&told["candidates"], "score"), [3.0, 1.0, 0.0, 0.0]);
    assert_eq!(column(&told["candidates"], "unit"), ["weight"; 4]);
    let first = &told["candidates"][0];
    assert_eq!(
        first["limits"],
        json!({
            "rpm": {"limit": 10, "used": 0, "left": 10},
            "max_parallel_requests": {"limit": 4, "used": 0, "left": 4},
        })
    );
    assert_eq!((&first["provider"], &first["model"]), (&json!("openai"), &json!("gpt-4o")));
    assert_eq!((&first["standing"], &first["credential"]), (&json!("up"), &json!("up")));
    assert_eq!((&first["in_flight"], &first["forced"]), (&json!(0), &Value::Null));

    let mut body = hello("m");
    body["metadata"] = json!({"data_residency": "eu"});
    body["allowed_model_region"] = json!("eu");
    let told = explain(&app, &body).await;
    assert_eq!(told["requirements"]["region"], "eu");
    assert_eq!(told["requirements"]["data_residency"], "eu");
    let region = Some("region");
    assert_eq!(
        reasons(&told["candidates"]),
        [("a", Some("data_residency")), ("b", None), ("c", region), ("d", region)]
    );
    let because = &told["candidates"][0]["passed_over"]["because"];
    assert_eq!(because, "it does not declare that data stays in eu");
    assert_eq!(told["choice"], json!({"model_id": "b", "why": "only"}));
    assert_eq!(column(&told["plan"], "model_id"), ["b", "b", "b"]);
    assert_eq!(app.received().len(), 0);
    app.stop().await;
}

#[tokio::test]
async fn explaining_sends_reserves_and_changes_nothing() {
    let entries = [("m", "a", ", rpm: 2"), ("m", "b", ", rpm: 2")];
    let app = start(list(&entries) + "router_settings: {routing_strategy: round-robin}\n").await;
    let first = explain(&app, &hello("m")).await;
    for _ in 0..20 {
        assert_eq!(explain(&app, &hello("m")).await["choice"], first["choice"]);
    }
    assert_eq!(app.received().len(), 0);
    let mut served = Vec::new();
    for _ in 0..4 {
        let told = explain(&app, &hello("m")).await;
        let answer = app.hello("m").await;
        assert_eq!(answer.status, 200);
        let id = answer.header("x-litellm-model-id").unwrap().to_owned();
        assert_eq!(told["choice"]["model_id"], id.as_str(), "the same code chooses");
        served.push(id);
    }
    assert_eq!(served, ["a", "b", "a", "b"]);
    let told = explain(&app, &hello("m")).await;
    assert_eq!(reasons(&told["candidates"]), [("a", Some("rpm")), ("b", Some("rpm"))]);
    assert_eq!(column(&told["candidates"], "limits")[0]["rpm"], json!({"limit": 2, "used": 2, "left": 0}));
    assert_eq!((&told["choice"]["nobody"], &told["choice"]["status"]), (&json!("full"), &json!(429)));
    assert_eq!(told["plan"], json!([]));
    assert_eq!(app.received().len(), 4);
    assert!(app.metric("litellm_proxy_total_requests_metric_total", &[]).await == 4.0);
    app.stop().await;
}

#[tokio::test]
async fn the_plan_is_the_way_that_a_request_then_takes() {
    let yaml = list(&[
        ("m", "a", ", order: 1"),
        ("m", "b", ", order: 2"),
        ("m", "c", ", order: 3"),
        ("n", "d", ""),
        ("o", "e", ""),
        ("big", "f", ""),
    ]) + "router_settings: {num_retries: 1, fallbacks: [{m: [n, o]}], context_window_fallbacks: [{m: [big]}]}\n";
    let script = Script::new().rule(Rule::any(Behaviour::new().fault(Fault::status(500))));
    let app = Setup::new(yaml).script(script).start().await;
    let told = explain(&app, &hello("m")).await;
    // The last deployment of a group is come back to, after a wait.
    let planned = column(&told["plan"], "model_id");
    assert_eq!(planned, ["a", "b", "d", "d", "e", "e"], "{told}");
    assert_eq!(column(&told["plan"], "leg"), [0, 0, 1, 1, 2, 2]);
    let legs = &told["legs"]["server_error"];
    assert_eq!(column(legs, "group"), ["m", "n", "o"]);
    assert_eq!(column(legs, "source"), ["asked", "fallbacks", "fallbacks"]);
    assert_eq!(legs[1]["choice"], json!({"model_id": "d", "why": "only"}));
    assert_eq!(column(&told["legs"]["context_window"], "group"), ["m", "big"]);
    assert_eq!(column(&told["legs"]["content_policy"], "group"), ["m"]);
    assert!(told["legs"].get("rate_limit").is_none(), "it leads the same way: {}", told["legs"]);
    assert_eq!(told["retries"]["num_retries"], 1);
    assert_eq!(told["retries"]["sends_max"], 6);
    assert_eq!(app.received().len(), 0);
    assert_eq!(app.hello("m").await.status, 500);
    let received = app.received();
    let sent: Vec<&str> = received.iter().map(|request| request.deployment.as_deref().unwrap()).collect();
    assert_eq!(sent, planned);
    app.stop().await;
}

#[tokio::test]
async fn what_stands_in_the_way_is_told_by_its_own_reason() {
    let yaml = list(&[("m", "a", ""), ("m", "b", ""), ("m", "c", ", order: 1"), ("m", "d", ", order: 2")])
        + "router_settings: {num_retries: 0, cooldown_time: 600}\n";
    let script = Script::new()
        .rule(Rule::deployment("a", Behaviour::new().fault(Fault::status(404))))
        .rule(Rule::deployment("b", Behaviour::new().fault(Fault::status_retry_after(429, "30"))))
        .rule(Rule::deployment("c", Behaviour::new().fault(Fault::status(401))));
    let app = Setup::new(yaml).script(script).start().await;
    for id in ["a", "b", "c"] {
        assert!(app.hello(id).await.status >= 400);
    }
    let told = explain(&app, &hello("m")).await;
    let expect = [("a", Some("ejected")), ("b", Some("paused")), ("c", Some("ejected")), ("d", None)];
    assert_eq!(reasons(&told["candidates"]), expect);
    assert_eq!(column(&told["candidates"], "standing"), ["ejected", "paused", "up", "up"]);
    assert_eq!(column(&told["candidates"], "credential"), ["up", "up", "ejected", "up"]);
    let seconds: Vec<Option<f64>> =
        column(&told["candidates"], "standing_seconds").into_iter().map(Value::as_f64).collect();
    assert!(seconds[0].is_some_and(|left| (400.0..=720.0).contains(&left)), "{seconds:?}");
    assert!(seconds[1].is_some_and(|left| (1.0..=30.0).contains(&left)), "{seconds:?}");
    assert_eq!(column(&told["plan"], "model_id"), ["d"]);
    assert_eq!(told["plan"][0]["why"], "only");
    assert_eq!(app.sends(["a", "b", "c", "d"]), [1, 1, 1, 0]);
    app.stop().await;
}

#[tokio::test]
async fn a_dry_run_of_any_call_tells_the_plan_and_sends_nothing() {
    let yaml = list(&[("m", "a", ", weight: 1"), ("m", "b", ", weight: 0")]);
    let app = start(yaml).await;
    let dry = ("x-tollgate-dry-run", "true");
    let message = json!([{"role": "user", "content": "hello there"}]);
    for (path, surface, body) in [
        ("/v1/chat/completions", "/chat/completions", hello("m")),
        ("/v1/chat/completions", "/chat/completions", streamed(hello("m"))),
        ("/engines/m/chat/completions", "/chat/completions", json!({"messages": message})),
        ("/v1/completions", "/completions", json!({"model": "m", "prompt": "hello"})),
        ("/v1/embeddings", "/embeddings", json!({"model": "m", "input": "hello"})),
        ("/v1/responses", "/responses", json!({"model": "m", "input": "hello"})),
        ("/v1/messages", "/v1/messages", json!({"model": "m", "max_tokens": 9, "messages": message})),
        (
            "/v1beta/models/m:generateContent",
            "/generateContent",
            json!({"contents": [{"role": "user", "parts": [{"text": "hello"}]}]}),
        ),
    ] {
        let text = body.to_string();
        let answer = app.ask(&post(path, &[dry], text.as_bytes())).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        assert!(answer.header("x-litellm-call-id").is_some());
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!(answer.header("x-frame-options"), Some("DENY"));
        let told = answer.json();
        assert_eq!((&told["path"], &told["group"]), (&json!(surface), &json!("m")));
        assert_eq!(told["stream"], text.contains("\"stream\":true"));
        assert_eq!(told["plan"][0]["model_id"], "a");
        let asked = json!({"path": format!("{path}?api-version=1"), "request": body});
        let explained = explain(&app, &asked).await;
        assert_eq!(explained, told, "both tell the same");
    }
    assert_eq!(app.received().len(), 0);
    let off = app.hello_with("m", &[("x-tollgate-dry-run", "false")]).await;
    assert_eq!((off.status, app.received().len()), (200, 1));
    let odd = app.hello_with("m", &[("x-tollgate-dry-run", "perhaps")]).await;
    assert_eq!(odd.status, 400);
    assert!(odd.error_message().contains("'x-tollgate-dry-run'"));
    let passing = app.ask(&post("/openai/v1/assistants", &[dry], b"{}")).await;
    assert_eq!(passing.status, 400, "{}", passing.text());
    assert!(passing.error_message().contains("'x-tollgate-dry-run'"));
    assert_eq!(app.received().len(), 1);
    app.stop().await;
}

#[tokio::test]
async fn what_the_request_says_of_itself_is_told() {
    let yaml = list(&[("m", "a", ", timeout: 7, weight: 1"), ("m", "b", ", weight: 0")])
        + "router_settings: {num_retries: 3, retry_after: 1}\n\
           litellm_settings: {request_timeout: 15}\n\
           tollgate_settings: {total_timeout_seconds: 20, first_token_timeout_seconds: 4, hedge: {after: 150ms, max: 1}}\n";
    let app = start(yaml).await;
    let mut body = streamed(hello("m"));
    body["metadata"] = json!({"tags": ["x"], "cost_sensitive": true});
    body["max_tokens"] = json!(30);
    body["priority"] = json!(3);
    let request = post("/route/explain", &[("x-litellm-tags", "y")], body.to_string().as_bytes());
    let told = app.ask(&request).await.json();
    assert_eq!(told["tags"], json!(["x", "y"]));
    assert_eq!((&told["leaning"], &told["decided_by"]), (&json!("cost"), &json!("cost-based-routing")));
    assert_eq!(told["priority"], 3);
    let dollars = told["candidates"][0]["score"].as_f64().unwrap();
    assert!(dollars > 1e-6 && dollars < 1e-2, "a short chat costs cents at most: {dollars}");
    assert_eq!(told["candidates"][0]["unit"], "usd");
    let tokens = (body.to_string().len() as u64).div_ceil(4);
    assert_eq!(
        told["prompt"],
        json!({"tokens": tokens, "is_counted": false, "output_tokens": 30, "reserved_tokens": tokens + 30})
    );
    assert_eq!(told["retries"]["num_retries"], 3);
    assert_eq!(told["retries"]["wait_min_seconds"], 1.0);
    assert_eq!(told["timeouts"]["total_seconds"], 20.0);
    assert_eq!(told["hedge"], json!({"after_seconds": 0.15, "max": 1}));
    let timeouts = |told: &Value| told["plan"][0]["timeouts"].clone();
    assert_eq!(
        timeouts(&told),
        json!({"connect_seconds": 3.0, "attempt_seconds": 4.0, "chunk_seconds": 30.0})
    );
    let plain = explain(&app, &json!({"request": {"model": "a", "messages": []}})).await;
    assert_eq!(
        timeouts(&plain),
        json!({"connect_seconds": 3.0, "attempt_seconds": 7.0, "chunk_seconds": null})
    );
    assert_eq!(app.received().len(), 0);
    app.stop().await;
}

#[tokio::test]
async fn tiers_canned_answers_and_rehearsed_failures_are_part_of_the_way() {
    let yaml = list(&[("good", "a", ""), ("second", "b", "")])
        + "router_settings: {num_retries: 0}\n\
           tollgate_settings:\n  tiers:\n\
           \x20   - {name: first, model: good, move_on: [server_error, {first_token: 2}]}\n\
           \x20   - {name: spare, model: second, move_on: [server_error, rate_limit]}\n\
           \x20   - {name: faq, canned: {faq: faq.yaml, threshold: 0.6}}\n";
    let app =
        Setup::new(yaml).file("faq.yaml", "[{questions: [hello there], answer: Good day}]").start().await;
    let told = explain(&app, &hello("good")).await;
    assert_eq!(told["tiers"], json!(["first", "spare", "faq"]));
    let legs = &told["legs"]["server_error"];
    assert_eq!(column(legs, "group"), [&json!("good"), &json!("second"), &Value::Null]);
    assert_eq!(column(legs, "source"), ["asked", "tiers", "tiers"]);
    assert_eq!(column(legs, "first_token_seconds"), [&json!(2.0), &Value::Null, &Value::Null]);
    assert_eq!(column(legs, "is_canned"), [false, false, true]);
    assert_eq!(column(legs, "is_answered"), [false, false, true]);
    assert_eq!(column(&told["plan"], "model_id"), [&json!("a"), &json!("b"), &Value::Null]);
    assert_eq!(told["plan"][2], json!({"leg": 2, "canned": true}));
    assert_eq!(column(&told["legs"]["rate_limit"], "tier"), ["first"], "the first does not move on for it");

    let mut body = hello("good");
    body["mock_testing_fallbacks"] = json!(true);
    let told = explain(&app, &body).await;
    assert_eq!(told["legs"]["server_error"][0]["mocked"], "server");
    assert_eq!(column(&told["plan"], "model_id"), [&json!("b"), &Value::Null]);
    body["disable_fallbacks"] = json!(true);
    let told = explain(&app, &body).await;
    assert_eq!(told["plan"], json!([]));
    assert_eq!(app.received().len(), 0);
    app.stop().await;
}

#[tokio::test]
async fn a_data_policy_holds_in_every_group_that_follows() {
    let yaml = list(&[("m", "a", ", region_name: eu"), ("n", "b", ""), ("o", "c", ", region_name: eu")])
        + "router_settings: {num_retries: 0}\n";
    let app = start(yaml).await;
    let mut body = hello("m");
    body["allowed_model_region"] = json!("eu");
    body["fallbacks"] = json!(["n", {"model": "o", "temperature": 0}]);
    let told = explain(&app, &body).await;
    assert_eq!(column(&told["plan"], "model_id"), ["a", "c"]);
    let legs = &told["legs"]["server_error"];
    assert_eq!(column(legs, "source"), ["asked", "client", "client"]);
    assert_eq!(column(legs, "changes_request"), [false, false, true]);
    assert_eq!(reasons(&legs[1]["candidates"]), [("b", Some("region"))]);
    assert_eq!(
        (&legs[1]["choice"]["nobody"], &legs[1]["choice"]["status"]),
        (&json!("not_allowed"), &json!(403))
    );
    assert_eq!(reasons(&legs[2]["candidates"]), [("c", None)]);
    assert_eq!(app.received().len(), 0);
    app.stop().await;
}

#[tokio::test]
async fn a_question_that_makes_no_sense_is_refused() {
    let app = start(list(&[("m", "a", "")])).await;
    let check = async |body: &[u8], part: &str| {
        let answer = app.ask(&post("/route/explain", &[], body)).await;
        assert_eq!(answer.status, 400, "{}", answer.text());
        assert!(answer.error_message().contains(part), "{part}: {}", answer.text());
    };
    check(b"{", "Invalid JSON payload").await;
    check(b"[]", "Invalid JSON payload").await;
    check(br#"{"model": "nope", "messages": []}"#, "Invalid model name passed in model=nope").await;
    check(br#"{"messages": []}"#, "Invalid model name passed in model=None").await;
    check(br#"{"model": "m"}"#, "Missing required parameter: 'messages'").await;
    check(br#"{"request": "m"}"#, "'request': expected an object").await;
    check(br#"{"request": {}, "path": 7}"#, "'path': expected a string").await;
    for path in ["/nowhere", "/v1/models", "/openai/v1/assistants", ""] {
        let body = json!({"path": path, "request": {"model": "m", "messages": []}}).to_string();
        check(body.as_bytes(), "'path': no call of a model that is routed").await;
    }
    check(br#"{"request": {"model": "m", "messages": [], "priority": "high"}}"#, "'priority'").await;
    check(
        br#"{"path": "/v1/responses", "request": {"model": "m", "input": "x", "previous_response_id": "r"}}"#,
        "Previous response with id 'r' not found",
    )
    .await;
    let form = json!({"path": "/v1/audio/transcriptions", "request": {"model": "m"}});
    assert_eq!(explain(&app, &form).await["plan"][0]["model_id"], "a");
    let session = json!({"path": "/v1/realtime", "request": {"model": "m"}});
    assert_eq!(explain(&app, &session).await["plan"][0]["model_id"], "a");
    assert_eq!(app.received().len(), 0);
    app.stop().await;
}

#[tokio::test]
async fn only_callers_may_ask() {
    let app = start(list(&[("m", "a", "")]) + "general_settings: {master_key: sk-1234}\n").await;
    assert_eq!(app.post("/route/explain", &hello("m")).await.status, 401);
    let body = hello("m").to_string();
    let answer =
        app.ask(&post("/route/explain", &[("authorization", "Bearer sk-1234")], body.as_bytes())).await;
    assert_eq!(answer.status, 200);
    assert!(!answer.text().contains("sk-key-of-a"), "no credential is shown");
}
