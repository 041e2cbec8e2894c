//! What is known of deployments, what operators say of them, and the checks beside the requests.

use crate::support::{Answer, App, Wire, advance, hello, patiently, post, seconds, settle};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tollgate_server::{Stage, Worker, check_deployments};
use tollgate_simulator::{Behaviour, Fault, Rule, Script};
use tollgate_upstream::{Limits, Resolver, Shared};

const WEEK: u64 = 7 * 86_400;

/// A `model_list` of OpenAI's deployments: group, id, further parameters, further model info.
fn list(entries: &[(&str, &str, &str, &str)]) -> String {
    entries.iter().fold("model_list:\n".to_owned(), |mut yaml, (group, id, more, info)| {
        let parameters = Wire::OpenAi.parameters(id);
        let _ = writeln!(
            yaml,
            "  - {{model_name: {group:?}, litellm_params: {{{parameters}{more}}}, model_info: {{id: {id}{info}}}}}"
        );
        yaml
    })
}

fn failing(ids: &[&str], fault: &Fault) -> Script {
    let rule = |id: &&str| Rule::deployment(*id, Behaviour::new().fault(fault.clone()));
    ids.iter().map(rule).fold(Script::new(), Script::rule)
}

async fn force(app: &App, id: &str, state: &str, expires_in: u64) {
    let body = json!({"model_id": id, "state": state, "expires_in": expires_in});
    let answer = app.post("/health/override", &body).await;
    let left = if state == "auto" { Value::Null } else { json!(expires_in) };
    assert_eq!(answer.status, 200, "{}", answer.text());
    let expect = json!({"model_id": id, "state": state, "expires_in_seconds": left, "is_kept": false});
    assert_eq!(answer.json(), expect, "the database of tests is in memory");
}

/// Who answers so many requests.
async fn served(app: &App, model: &str, count: usize) -> Vec<String> {
    let mut served = Vec::new();
    for _ in 0..count {
        let answer = app.hello(model).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        served.push(answer.header("x-litellm-model-id").unwrap().to_owned());
    }
    served
}

#[tokio::test]
async fn who_finds_all_taken_out_is_told_to_come_back_when_the_first_word_ends() {
    let app = App::start(list(&[("m", "a", "", ""), ("m", "b", "", "")]), Script::new()).await;
    force(&app, "a", "down", 300).await;
    force(&app, "b", "draining", 7).await;
    let answer = app.hello("m").await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("7")));
    app.stop().await;
}

#[tokio::test]
async fn a_429_that_says_at_once_does_not_send_callers_into_the_pause() {
    let limited = Behaviour::new().fault(Fault::status_retry_after(429, "0"));
    let script = Script::new().rule(Rule::deployment("a", limited));
    let yaml = list(&[("m", "a", "", "")]) + "router_settings: {num_retries: 0}\n";
    let app = App::start(yaml, script).await;
    let answer = app.hello("m").await;
    let seconds: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert_eq!(answer.status, 429);
    let left = row(&app, "a").await["standing_seconds"].as_f64().unwrap();
    assert!(seconds >= 1 && seconds as f64 >= left, "{seconds} s, and a pause of {left} s");
    app.stop().await;
}

#[tokio::test]
async fn a_reset_ends_a_pause_and_a_refused_credential_at_once_and_is_kept_nowhere() {
    let limited = Behaviour::new().fault(Fault::status_retry_after(429, "7200"));
    let script = Script::new().rule(Rule::deployment("a", limited));
    let script = script.rule(Rule::deployment("b", Behaviour::new().fault(Fault::status(401))));
    let app = App::start(list(&[("m", "a", "", ""), ("n", "b", "", "")]), script).await;
    let reset =
        async |id: &str| app.post("/health/override", &json!({"model_id": id, "state": "reset"})).await;
    assert_eq!((app.hello("m").await.status, app.hello("n").await.status), (429, 401));
    assert_eq!(row(&app, "a").await["standing"], "paused");
    assert_eq!(row(&app, "b").await["credential"], "ejected");
    app.simulator.script().clear();
    assert_eq!(app.hello("m").await.status, 429, "it asked for two hours");
    for id in ["a", "b"] {
        let answer = reset(id).await;
        let expect = json!({"model_id": id, "state": "reset", "expires_in_seconds": null});
        assert_eq!((answer.status, answer.json()), (200, expect));
    }
    assert_eq!(app.get("/health/override").await.json(), json!({"overrides": []}));
    assert_eq!((app.hello("m").await.status, app.hello("n").await.status), (200, 200));
    assert_eq!(reset("nobody").await.status, 404);
    app.stop().await;
}

/// The row of a deployment.
async fn row(app: &App, id: &str) -> Value {
    let rows = app.get(&format!("/health/deployments?model={id}")).await.json();
    let rows = rows["deployments"].as_array().unwrap().clone();
    assert_eq!(rows.len(), 1, "{rows:?}");
    rows[0].clone()
}

/// The checker of the process, beside a gateway.
fn checker(app: &App) -> JoinHandle<()> {
    let shared = Shared::new(Resolver::default(), Limits::default(), Vec::new()).unwrap();
    tokio::spawn(check_deployments(Worker::new(Arc::clone(&app.gateway), Arc::new(shared))))
}

/// Waits until `/health` shows so many answers, well and ill.
async fn until_checked(app: &App, counts: (u64, u64)) -> Value {
    let until = async {
        loop {
            let told = app.get("/health").await.json();
            let count = |name: &str| told[name].as_u64().unwrap();
            if (count("healthy_count"), count("unhealthy_count")) == counts {
                return told;
            }
        }
    };
    patiently(&format!("{counts:?} are healthy and unhealthy"), until).await
}

fn ids(rows: &Value) -> Vec<&str> {
    rows.as_array().unwrap().iter().map(|row| row["model_id"].as_str().unwrap()).collect()
}

async fn reason(app: &App, model: &str, id: &str) -> Option<String> {
    let told = app.post("/route/explain", &hello(model)).await.json();
    let rows = told["candidates"].as_array().unwrap();
    let row = rows.iter().find(|row| row["model_id"] == id).unwrap();
    row["passed_over"]["reason"].as_str().map(str::to_owned)
}

#[tokio::test]
async fn a_deployment_that_is_forced_down_gets_nothing_until_that_expires() {
    let yaml = list(&[("m", "a", ", order: 1", ""), ("m", "b", ", order: 2", "")]);
    let app = App::start(yaml, Script::new()).await;
    assert_eq!(served(&app, "m", 1).await, ["a"]);
    force(&app, "a", "down", 600).await;
    assert_eq!(served(&app, "m", 3).await, ["b", "b", "b"]);
    assert_eq!(reason(&app, "m", "a").await.as_deref(), Some("forced_down"));
    let told = row(&app, "a").await;
    assert_eq!((&told["forced"], &told["standing"]), (&json!("down"), &json!("up")));
    assert!(app.metric("tollgate_deployment_forced", &["model_id=\"a\"", "state=\"down\""]).await == 1.0);
    assert!(app.metric("tollgate_deployment_forced", &[]).await == 1.0, "nobody else, nothing else");
    assert!(app.metric("litellm_deployment_state", &["model_id=\"a\""]).await == 2.0);
    assert!(app.metric("litellm_deployment_state", &["model_id=\"b\""]).await == 0.0);
    let listed = app.get("/health/override").await.json();
    assert_eq!(listed["overrides"][0]["state"], "down");
    advance(seconds(599)).await;
    assert_eq!(served(&app, "m", 1).await, ["b"]);
    advance(seconds(2)).await;
    assert_eq!(served(&app, "m", 1).await, ["a"]);
    assert_eq!(app.get("/health/override").await.json(), json!({"overrides": []}));
    assert!(app.metric("tollgate_deployment_forced", &[]).await == 0.0);
    assert_eq!(app.sends(["a", "b"]), [2, 4]);
    app.stop().await;
}

#[tokio::test]
async fn an_order_is_obeyed_by_the_last_deployment_too_and_taken_back() {
    let app = App::start(list(&[("m", "a", "", "")]), Script::new()).await;
    force(&app, "a", "down", WEEK).await;
    let refused = app.hello("m").await;
    assert_eq!(refused.status, 503, "{}", refused.text());
    force(&app, "a", "draining", 60).await;
    assert_eq!(app.hello("m").await.status, 503);
    assert_eq!(reason(&app, "m", "a").await.as_deref(), Some("draining"));
    force(&app, "a", "auto", 3_600).await;
    assert_eq!(served(&app, "m", 1).await, ["a"]);
    let taken_back = app.post("/health/override", &json!({"model_id": "a", "state": null})).await;
    assert_eq!(taken_back.json()["state"], "auto");
    assert_eq!(app.sends(["a"]), [1]);
    app.stop().await;
}

#[tokio::test]
async fn a_deployment_that_is_forced_up_is_asked_whatever_its_health() {
    let yaml = list(&[("m", "a", ", order: 1", ""), ("m", "b", ", order: 2", "")])
        + "router_settings: {num_retries: 0, cooldown_time: 600}\n";
    let app = App::start(yaml, failing(&["a"], &Fault::status(404))).await;
    assert_eq!(app.hello("m").await.status, 404);
    assert_eq!(row(&app, "a").await["standing"], "ejected");
    assert!(app.metric("litellm_deployment_state", &["model_id=\"a\""]).await == 2.0);
    assert_eq!(served(&app, "m", 2).await, ["b", "b"]);
    force(&app, "a", "up", 60).await;
    assert_eq!(app.hello("m").await.status, 404);
    assert_eq!(app.sends(["a", "b"]), [2, 2]);
    app.stop().await;
}

#[tokio::test]
async fn an_order_holds_for_every_model_of_a_wildcard_and_over_reloads() {
    let pattern = |id: &str, order: u8| {
        format!(
            "  - {{model_name: \"openai/*\", litellm_params: {{model: \"openai/*\", \
             api_base: \"http://{{sim}}/d/{id}/v1\", api_key: sk-{id}, order: {order}}}, model_info: {{id: {id}}}}}\n"
        )
    };
    let yaml = format!("model_list:\n{}{}", pattern("a", 1), pattern("b", 2));
    let app = App::start(yaml.clone(), Script::new()).await;
    assert_eq!(served(&app, "openai/gpt-4o", 1).await, ["a"]);
    force(&app, "a", "down", 600).await;
    assert_eq!(served(&app, "openai/gpt-4o", 1).await, ["b"], "one that was asked before");
    assert_eq!(served(&app, "openai/gpt-4o-mini", 1).await, ["b"], "one that was not");
    app.reload(&yaml);
    assert_eq!(served(&app, "openai/gpt-4.1", 1).await, ["b"]);
    let rows = app.get("/health/deployments?model=a").await.json();
    let rows = rows["deployments"].as_array().unwrap();
    assert!(rows.iter().all(|row| row["forced"] == "down"), "{rows:?}");
    force(&app, "a", "auto", 3_600).await;
    assert_eq!(served(&app, "openai/gpt-4.1", 1).await, ["a"]);
    assert_eq!(app.sends(["a", "b"]), [2, 3]);
    app.stop().await;
}

#[tokio::test]
async fn an_order_that_makes_no_sense_changes_nothing() {
    let yaml = list(&[("m", "a", "", "")]) + "general_settings: {master_key: sk-1234}\n";
    let app = App::start(yaml, Script::new()).await;
    let key = ("authorization", "Bearer sk-1234");
    let ask = async |body: Value| -> Answer {
        app.ask(&post("/health/override", &[key], body.to_string().as_bytes())).await
    };
    let unknown = ask(json!({"model_id": "nobody", "state": "down"})).await;
    assert_eq!((unknown.status, unknown.error()["param"].as_str()), (404, Some("model_id")));
    assert_eq!(ask(json!({"model_id": "m", "state": "down"})).await.status, 404, "a group is no deployment");
    for (body, param) in [
        (json!({"state": "down"}), "model_id"),
        (json!({"model_id": "a"}), "state"),
        (json!({"model_id": "a", "state": "sideways"}), "state"),
        (json!({"model_id": "a", "state": "down", "expires_in": WEEK + 1}), "expires_in"),
        (json!({"model_id": "a", "state": "down", "expires_in": "for ever"}), "expires_in"),
        (json!({"model_id": "a", "state": "down", "expiry": 60}), "expiry"),
    ] {
        let answer = ask(body).await;
        assert_eq!((answer.status, answer.error()["param"].as_str()), (400, Some(param)));
    }
    let body = json!({"model_id": "a", "state": "down"});
    assert_eq!(app.post("/health/override", &body).await.status, 401);
    for path in ["/health/override", "/health/deployments"] {
        assert_eq!(app.get(path).await.status, 401, "{path}");
        let open = format!("GET {path} HTTP/1.1\r\nhost: g\r\nauthorization: Bearer sk-1234\r\n\r\n");
        let answer = app.ask(open.as_bytes()).await;
        assert_eq!(answer.status, 200, "{path}");
        assert!(!answer.text().contains("sk-key-of-a"), "{path} shows a credential");
        assert!(!answer.text().contains("down"), "{}", answer.text());
    }
}

#[tokio::test]
async fn what_is_known_of_a_deployment_is_told_without_asking_it() {
    let yaml = list(&[("m", "a", ", rpm: 5, tpm: 100000, max_parallel_requests: 2", ""), ("n", "b", "", "")])
        + "router_settings: {num_retries: 0}\n";
    let app = App::start(yaml, failing(&["b"], &Fault::status_retry_after(429, "60"))).await;
    let fresh = app.get("/health/deployments").await.json();
    assert_eq!(ids(&fresh["deployments"]), ["a", "b"]);
    let expect = json!({
        "model_id": "a", "model_name": "m", "provider": "openai", "model": "gpt-4o",
        "standing": "up", "standing_seconds": null, "credential": "up", "credential_seconds": null,
        "forced": null, "forced_seconds": null,
        "consecutive_failures": 0, "ejections": 0,
        "in_flight": 0, "requests_last_minute": 0, "tokens_last_minute": 0,
        "limits": {
            "rpm": {"limit": 5, "used": 0, "left": 5},
            "tpm": {"limit": 100_000, "used": 0, "left": 100_000},
            "max_parallel_requests": {"limit": 2, "used": 0, "left": 2},
        },
        "latency": {"first_token_seconds": null, "per_token_seconds": null},
        "last_check": null,
    });
    assert_eq!(fresh["deployments"][0], expect);
    assert_eq!(app.received().len(), 0);
    assert_eq!(served(&app, "m", 2).await, ["a", "a"]);
    assert_eq!(app.hello("n").await.status, 429);
    let used = row(&app, "a").await;
    assert_eq!(used["limits"]["rpm"], json!({"limit": 5, "used": 2, "left": 3}));
    assert_eq!((&used["requests_last_minute"], &used["in_flight"]), (&json!(2), &json!(0)));
    assert!(used["latency"]["per_token_seconds"].is_f64(), "{used}");
    let paused = row(&app, "b").await;
    assert_eq!((&paused["standing"], &paused["ejections"]), (&json!("paused"), &json!(0)));
    assert!(paused["standing_seconds"].as_f64().is_some_and(|left| left > 1.0 && left <= 60.0));
    assert!(app.metric("litellm_deployment_state", &["model_id=\"b\""]).await == 1.0);
    app.stop().await;
}

#[tokio::test]
async fn health_asks_each_deployment_that_may_be_asked_once() {
    let yaml = list(&[
        ("m", "a", "", ""),
        ("m", "b", "", ""),
        ("m", "c", ", rpm: 1", ""),
        ("m", "d", "", ""),
        ("p", "e", "", ", mode: image_generation"),
        ("v", "f", "", ", mode: embedding"),
    ]);
    let app = App::start(yaml, failing(&["b"], &Fault::status(500))).await;
    assert_eq!(served(&app, "c", 1).await, ["c"]);
    force(&app, "d", "down", 60).await;
    let told = app.get("/health").await.json();
    assert_eq!((&told["healthy_count"], &told["unhealthy_count"]), (&json!(2), &json!(3)), "{told}");
    assert_eq!(ids(&told["healthy_endpoints"]), ["a", "f"]);
    assert_eq!(ids(&told["unhealthy_endpoints"]), ["b", "c", "d"]);
    let errors: Vec<(u64, &str)> = told["unhealthy_endpoints"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["exception_status"].as_u64().unwrap(), row["error"].as_str().unwrap()))
        .collect();
    assert_eq!(errors[0].0, 500);
    assert!(errors[0].1.starts_with("litellm.InternalServerError: "), "{errors:?}");
    assert_eq!(errors[1], (429, "Not asked: its own limits leave no room."));
    assert_eq!(errors[2], (503, "Not asked: an operator has taken it out."));
    assert_eq!(app.sends(["a", "b", "c", "d", "e", "f"]), [1, 1, 1, 0, 0, 1]);
    // Asking teaches nothing: the next request chooses as before.
    assert_eq!(row(&app, "b").await["consecutive_failures"], 0);
    let one = app.get("/health?model=a").await.json();
    assert_eq!(ids(&one["healthy_endpoints"]), ["a"]);
    app.stop().await;
}

#[tokio::test]
async fn a_deployment_that_fails_on_purpose_looks_ill_to_who_asks_it() {
    let check = async |fault: &str, expect: Option<u64>, sends: usize| {
        let more = format!(", tollgate_fault: {{{fault}}}");
        let yaml = list(&[("m", "a", &more, ", health_check_timeout: 1"), ("m", "b", "", "")]);
        let app = App::start(yaml, Script::new()).await;
        let told = app.get("/health").await.json();
        let ill = told["unhealthy_endpoints"].as_array().unwrap();
        let found = ill.first().map(|row| row["exception_status"].as_u64().unwrap());
        assert_eq!(
            (found, ids(&told["healthy_endpoints"]).contains(&"b")),
            (expect, true),
            "{fault}: {told}"
        );
        assert!(ill.iter().all(|row| row["error"].as_str().unwrap().matches("tollgate_fault").count() == 1));
        assert_eq!(app.sends(["a", "b"]), [sends, 1], "{fault}");
        assert_eq!(row(&app, "a").await["consecutive_failures"], 0, "asking teaches nothing");
        app.stop().await;
    };
    check("kind: error", Some(500), 0).await;
    check("kind: error, status: 401", Some(401), 0).await;
    check("kind: rate_limit, retry_after: 7", Some(429), 0).await;
    check("kind: reset", Some(500), 0).await;
    check("kind: cut", Some(500), 1).await;
    check("kind: malformed", Some(502), 1).await;
    check("kind: stall", Some(408), 1).await;
    check("kind: latency, delay: 30", Some(408), 1).await;
    check("kind: latency, delay: 10ms", None, 1).await;
    check("kind: error, rate: 0", None, 1).await;
}

/// Checks beside the requests, as often as the clock says.
fn checked(more: &str, router: &str) -> String {
    let entries = [
        ("m", "a", ", order: 1", ""),
        ("m", "b", ", order: 2", ""),
        ("n", "c", "", ", disable_background_health_check: true"),
    ];
    let yaml = list(&entries);
    format!(
        "{yaml}general_settings: {{background_health_checks: true, health_check_interval: 300{more}}}\n\
         router_settings: {{num_retries: 0, cooldown_time: 20{router}}}\n"
    )
}

#[tokio::test]
async fn checks_beside_the_requests_are_what_health_shows() {
    let app = App::start(checked("", ""), failing(&["b"], &Fault::status(500))).await;
    let nothing = app.get("/health").await.json();
    assert_eq!((&nothing["healthy_count"], &nothing["unhealthy_count"]), (&json!(0), &json!(0)));
    let checker = checker(&app);
    let told = until_checked(&app, (1, 1)).await;
    assert_eq!((ids(&told["healthy_endpoints"]), ids(&told["unhealthy_endpoints"])), (vec!["a"], vec!["b"]));
    for _ in 0..5 {
        let _ = app.get("/health").await;
    }
    assert_eq!(app.sends(["a", "b", "c"]), [1, 1, 0], "nobody is asked by whoever looks");
    assert_eq!(
        row(&app, "b").await["consecutive_failures"],
        0,
        "checks count for nothing unless they are to"
    );
    let last = row(&app, "b").await["last_check"].clone();
    assert_eq!((&last["is_healthy"], &last["status"]), (&json!(false), &json!(500)));
    app.simulator.script().clear();
    advance(seconds(300)).await;
    until_checked(&app, (2, 0)).await;
    assert_eq!(app.sends(["a", "b", "c"]), [2, 2, 0]);
    app.gateway.advance(Stage::Draining);
    patiently("the checker ends with the drain", checker).await.unwrap();
    app.stop_while_draining().await;
}

#[tokio::test]
async fn details_are_shown_where_they_are_wanted() {
    let app =
        App::start(checked(", health_check_details: false", ""), failing(&["b"], &Fault::status(500))).await;
    let checker = checker(&app);
    let told = until_checked(&app, (1, 1)).await;
    assert_eq!(told["unhealthy_endpoints"], json!([{"model": "openai/gpt-4o", "model_id": "b"}]));
    app.gateway.advance(Stage::Draining);
    patiently("the checker ends", checker).await.unwrap();
    app.stop_while_draining().await;
}

#[tokio::test]
async fn checks_that_count_take_a_deployment_out_and_bring_it_back_at_no_callers_cost() {
    let app =
        App::start(checked("", ", enable_health_check_routing: true"), failing(&["a"], &Fault::status(404)))
            .await;
    let checker = checker(&app);
    until_checked(&app, (1, 1)).await;
    assert_eq!(row(&app, "a").await["standing"], "ejected");
    assert_eq!(served(&app, "m", 2).await, ["b", "b"], "no caller has seen the failure");
    app.simulator.script().clear();
    // Over the ejection: half-open, until the check is its probe.
    advance(seconds(60)).await;
    assert_eq!(row(&app, "a").await["standing"], "half_open");
    advance(seconds(240)).await;
    until_checked(&app, (2, 0)).await;
    assert_eq!(row(&app, "a").await["standing"], "up");
    assert_eq!(served(&app, "m", 1).await, ["a"]);
    assert_eq!(app.sends(["a", "b", "c"]), [3, 4, 0]);
    app.gateway.advance(Stage::Draining);
    patiently("the checker ends", checker).await.unwrap();
    app.stop_while_draining().await;
}

#[tokio::test]
async fn passing_failures_of_checks_count_for_nothing_where_that_is_wanted() {
    for (router, standing) in [
        (", enable_health_check_routing: true", "paused"),
        (", enable_health_check_routing: true, health_check_ignore_transient_errors: true", "up"),
    ] {
        let fault = Fault::status_retry_after(429, "100");
        let app = App::start(checked("", router), failing(&["a"], &fault)).await;
        let checker = checker(&app);
        until_checked(&app, (1, 1)).await;
        assert_eq!(row(&app, "a").await["standing"], standing, "{router}");
        app.gateway.advance(Stage::Draining);
        patiently("the checker ends", checker).await.unwrap();
        app.stop_while_draining().await;
    }
}

#[tokio::test]
async fn checks_of_a_deployment_that_fails_on_purpose_rehearse_its_outage() {
    let staged = |fault: &str| {
        let yaml = checked("", ", enable_health_check_routing: true");
        yaml.replacen("order: 1", &format!("order: 1, tollgate_fault: {{{fault}}}"), 1)
    };
    for (fault, standing) in
        [("kind: error, status: 404", "ejected"), ("kind: rate_limit, retry_after: 100", "paused")]
    {
        let app = App::start(staged(fault), Script::new()).await;
        let checker = checker(&app);
        until_checked(&app, (1, 1)).await;
        assert_eq!(row(&app, "a").await["standing"], standing, "{fault}");
        assert_eq!(served(&app, "m", 2).await, ["b", "b"], "no caller has seen the failure");
        // The rehearsal is over: the next check that may ask finds it well.
        app.reload(&checked("", ", enable_health_check_routing: true"));
        advance(seconds(300)).await;
        until_checked(&app, (2, 0)).await;
        assert_eq!(row(&app, "a").await["standing"], "up", "{fault}");
        assert_eq!(served(&app, "m", 1).await, ["a"]);
        app.gateway.advance(Stage::Draining);
        patiently("the checker ends", checker).await.unwrap();
        app.stop_while_draining().await;
    }
}

#[tokio::test]
async fn a_check_takes_a_place_and_is_left_out_where_there_is_none() {
    let yaml = list(&[("m", "a", ", rpm: 1", ""), ("n", "b", ", rpm: 1", "")])
        + "general_settings: {background_health_checks: true, health_check_interval: 300}\n\
           tollgate_settings: {queue: {enabled: false}}\n";
    let app = App::start(yaml, Script::new()).await;
    assert_eq!(served(&app, "m", 1).await, ["a"]);
    let checker = checker(&app);
    until_checked(&app, (1, 0)).await;
    settle().await;
    assert_eq!(app.sends(["a", "b"]), [1, 1]);
    assert_eq!(app.hello("n").await.status, 429, "the check has had the minute's one request");
    assert_eq!(app.sends(["a", "b"]), [1, 1]);
    app.gateway.advance(Stage::Draining);
    patiently("the checker ends", checker).await.unwrap();
    app.stop_while_draining().await;
}

#[tokio::test]
async fn a_wildcard_is_checked_by_the_model_that_it_names_and_none_otherwise() {
    let pattern = |id: &str, info: &str| {
        format!(
            "  - {{model_name: \"{id}/*\", litellm_params: {{model: \"openai/*\", \
             api_base: \"http://{{sim}}/d/{id}/v1\", api_key: sk-{id}}}, model_info: {{id: {id}{info}}}}}\n"
        )
    };
    let yaml = format!(
        "model_list:\n{}{}general_settings: {{background_health_checks: true}}\n\
         router_settings: {{enable_health_check_routing: true, num_retries: 0, cooldown_time: 600}}\n",
        pattern("a", ", health_check_model: openai/gpt-4o-mini"),
        pattern("b", "")
    );
    let app = App::start(yaml, failing(&["a"], &Fault::status(404))).await;
    let checker = checker(&app);
    let told = until_checked(&app, (0, 1)).await;
    assert_eq!(told["unhealthy_endpoints"][0]["model"], "openai/gpt-4o-mini");
    assert_eq!(app.sends(["a", "b"]), [1, 0]);
    assert_eq!(app.received()[0].model, "gpt-4o-mini");
    let standing = async |model: &str| {
        app.post("/route/explain", &hello(model)).await.json()["candidates"][0]["standing"].clone()
    };
    assert_eq!(standing("a/gpt-4o-mini").await, "ejected", "requests for it know what the check found");
    assert_eq!(standing("a/gpt-4o").await, "up", "and those for other models are not concerned");
    app.gateway.advance(Stage::Draining);
    patiently("the checker ends", checker).await.unwrap();
    app.stop_while_draining().await;
}

#[tokio::test]
async fn checks_begin_and_end_with_the_configuration() {
    let (on, off) = (
        checked("", ""),
        checked("", "").replace("background_health_checks: true", "background_health_checks: false"),
    );
    let app = App::start(off.clone(), Script::new()).await;
    let checker = checker(&app);
    settle().await;
    assert_eq!(app.received().len(), 0);
    app.reload(&on);
    until_checked(&app, (2, 0)).await;
    assert_eq!(app.sends(["a", "b", "c"]), [1, 1, 0]);
    app.reload(&on.replace("cooldown_time: 20", "cooldown_time: 30"));
    settle().await;
    assert_eq!(app.sends(["a", "b", "c"]), [1, 1, 0], "a reload is no reason to ask again");
    app.reload(&off);
    settle().await;
    advance(Duration::from_secs(900)).await;
    settle().await;
    assert_eq!(app.sends(["a", "b", "c"]), [1, 1, 0]);
    app.gateway.advance(Stage::Draining);
    patiently("the checker ends", checker).await.unwrap();
    app.stop_while_draining().await;
}
