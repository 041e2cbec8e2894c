//! Which deployment of a group serves a request: by strategy, by tags, by what the request requires, by what it continues.

use crate::support::{App, Wire, hello, model_list};
use serde_json::{Value, json};
use std::time::Duration;
use tollgate_simulator::{Behaviour, Rule, Script};

/// A group `m` of deployments `a`, `b`, `c` with these further parameters.
fn group(more: [&str; 3], settings: &str) -> String {
    let entries = ["a", "b", "c"].map(|name| Wire::OpenAi.parameters(name));
    let entries: Vec<String> =
        entries.into_iter().zip(more).map(|(parameters, more)| format!("{parameters}{more}")).collect();
    let list: Vec<(&str, &str)> = entries.iter().map(|parameters| ("m", parameters.as_str())).collect();
    model_list(&list) + settings
}

fn with(body: Value) -> Value {
    let mut whole = hello("m");
    if let Value::Object(members) = body {
        whole.as_object_mut().unwrap().extend(members);
    }
    whole
}

async fn send(app: &App, body: Value, times: usize) -> [usize; 3] {
    app.simulator.forget_received();
    for _ in 0..times {
        let answer = app.chat(&with(body.clone())).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    app.sends(["a", "b", "c"])
}

#[tokio::test]
async fn round_robin_takes_turns_by_weight() {
    let app =
        App::start(group(["", "", ""], "router_settings: {routing_strategy: round-robin}\n"), Script::new())
            .await;
    assert_eq!(send(&app, json!({}), 9).await, [3, 3, 3]);
    app.stop().await;
    let weights = [", weight: 3", ", weight: 1", ", weight: 2"];
    let app =
        App::start(group(weights, "router_settings: {routing_strategy: round-robin}\n"), Script::new()).await;
    assert_eq!(send(&app, json!({}), 12).await, [6, 2, 4]);
    app.stop().await;
}

#[tokio::test]
async fn cost_and_latency_choose_the_cheapest_and_the_fastest_and_a_request_may_lean_to_either() {
    let prices = |input: &str| format!(", input_cost_per_token: {input}, output_cost_per_token: {input}");
    let (dear, cheap, middle) = (prices("0.00003"), prices("0.00001"), prices("0.00002"));
    let by_cost = "router_settings: {routing_strategy: cost-based-routing}\n";
    let app = App::start(group([&dear, &cheap, &middle], by_cost), Script::new()).await;
    assert_eq!(send(&app, json!({}), 5).await, [0, 5, 0]);
    app.stop().await;
    let app = App::start(group([&dear, &cheap, &middle], ""), Script::new()).await;
    assert_eq!(send(&app, json!({"metadata": {"cost_sensitive": true}}), 5).await, [0, 5, 0]);
    app.stop().await;
    let slow = |name: &str| Rule::deployment(name, Behaviour::new().latency(Duration::from_millis(150)));
    let script = Script::new().rule(slow("a")).rule(slow("b"));
    let by_latency = "router_settings: {routing_strategy: latency-based-routing}\n";
    let app = App::start(group(["", "", ""], by_latency), script).await;
    // Each is tried once, and then the fastest serves.
    assert_eq!(send(&app, json!({}), 3).await, [1, 1, 1]);
    assert_eq!(send(&app, json!({}), 5).await, [0, 0, 5]);
    app.stop().await;
}

#[tokio::test]
async fn least_busy_goes_where_the_fewest_requests_are_under_way() {
    let slow = Rule::deployment("a", Behaviour::new().latency(Duration::from_secs(3_000)));
    let yaml = group(["", ", weight: 1", ", weight: 1"], "router_settings: {routing_strategy: least-busy}\n");
    let app = App::start(yaml, Script::new().rule(slow)).await;
    // Whoever gets `a` waits there; from then on the others are less busy.
    let mut held = Vec::new();
    while app.sends(["a"]) == [0] {
        let mut connection = app.connect().await;
        let body = hello("m").to_string();
        connection.write(&crate::support::post("/v1/chat/completions", &[], body.as_bytes())).await;
        app.until("it is sent", |app| app.received().len() > held.len()).await;
        held.push(connection);
        crate::support::settle().await;
    }
    for _ in 0..6 {
        assert_eq!(app.hello("m").await.status, 200);
    }
    assert_eq!(app.sends(["a"]), [1]);
    drop(held);
    app.stop().await;
}

/// Asks, and hangs up on whoever has `a`, which never answers, after half a second. How often each was sent to.
async fn ask_impatiently(app: &App, times: usize) -> [usize; 3] {
    app.simulator.forget_received();
    let mut waited = 0;
    for asked in 0..times {
        let mut connection = app.connect().await;
        let body = hello("m").to_string();
        connection.write(&crate::support::post("/v1/chat/completions", &[], body.as_bytes())).await;
        app.until("it is sent", |app| app.received().len() == asked + 1).await;
        if app.sends(["a"]) == [waited] {
            assert_eq!(connection.answer().await.status, 200);
        } else {
            waited += 1;
            crate::support::settle().await;
            crate::support::advance(Duration::from_millis(500)).await;
        }
        drop(connection);
        app.until("nothing is under way", |app| app.simulator.active_requests() == 0).await;
        crate::support::settle().await;
    }
    app.sends(["a", "b", "c"])
}

#[tokio::test]
async fn whose_callers_hang_up_unanswered_is_not_preferred_for_being_untried_or_idle() {
    for strategy in ["latency-based-routing", "least-busy"] {
        let silent = Rule::deployment("a", Behaviour::new().latency(Duration::from_secs(3_000)));
        let settings = format!("router_settings: {{routing_strategy: {strategy}}}\n");
        let app = App::start(group(["", "", ""], &settings), Script::new().rule(silent)).await;
        let [a, b, c] = ask_impatiently(&app, 12).await;
        assert!(a <= 1, "{strategy}: {a}, {b} and {c}");
        assert_eq!(a + b + c, 12, "{strategy}");
        app.stop().await;
    }
}

#[tokio::test]
async fn who_has_served_fast_and_hangs_now_is_left_for_the_others() {
    let slow = |name: &str| Rule::deployment(name, Behaviour::new().latency(Duration::from_millis(100)));
    let script = Script::new().rule(slow("b")).rule(slow("c"));
    let by_latency = "router_settings: {routing_strategy: latency-based-routing}\n";
    let app = App::start(group(["", "", ""], by_latency), script.clone()).await;
    assert_eq!(send(&app, json!({}), 3).await, [1, 1, 1]);
    assert_eq!(send(&app, json!({}), 5).await, [5, 0, 0]);
    let hangs = Rule::deployment("a", Behaviour::new().latency(Duration::from_secs(3_000)));
    app.simulator.script().replace(script.rule(hangs));
    assert_eq!(ask_impatiently(&app, 4).await[0], 1);
    app.stop().await;
}

#[tokio::test]
async fn a_session_stays_with_its_deployment_and_hashing_needs_no_memory() {
    let sticky = "router_settings: {optional_pre_call_checks: [session_affinity]}\n";
    let hashed = "router_settings: {routing_strategy: consistent-hash}\n";
    for settings in [sticky, hashed] {
        let app = App::start(group(["", "", ""], settings), Script::new()).await;
        for session in ["one", "two", "three", "four"] {
            let sends = send(&app, json!({"litellm_session_id": session}), 6).await;
            assert!(sends.contains(&6), "{settings} {session}: {sends:?}");
        }
        app.stop().await;
    }
}

#[tokio::test]
async fn a_long_prompt_goes_on_where_it_is_cached() {
    let settings = "router_settings: {optional_pre_call_checks: [prompt_caching]}\n";
    let app = App::start(group(["", "", ""], settings), Script::new()).await;
    let turn = |role: &str, text: &str| json!({"role": role, "content": text});
    let long = "a rule of the house. ".repeat(400);
    for conversation in ["first", "second", "third"] {
        app.simulator.forget_received();
        let mut messages = vec![turn("system", &long), turn("user", conversation)];
        for number in 0..5 {
            let answer = app.chat(&json!({"model": "m", "messages": messages})).await;
            assert_eq!(answer.status, 200);
            messages.push(turn("assistant", &answer.content()));
            messages.push(turn("user", &format!("and {number}?")));
        }
        let sends = app.sends(["a", "b", "c"]);
        assert!(sends.contains(&5), "{sends:?}");
    }
    app.stop().await;
}

#[tokio::test]
async fn tags_choose_exclude_and_require() {
    let more = [", tags: [free]", ", tags: [paid, eu]", ", tags: [default]"];
    let app = App::start(group(more, "router_settings: {enable_tag_filtering: true}\n"), Script::new()).await;
    let tags = |tags: &[&str]| json!({"metadata": {"tags": tags}});
    assert_eq!(send(&app, tags(&["free"]), 3).await, [3, 0, 0]);
    assert_eq!(send(&app, tags(&["paid"]), 3).await, [0, 3, 0]);
    assert_eq!(send(&app, json!({}), 3).await, [0, 0, 3]);
    let answer = app.chat(&with(tags(&["free", "!free"]))).await;
    assert_eq!(answer.status, 401, "{}", answer.text());
    app.stop().await;
    let regex = [", tag_regex: ['^User-Agent: probe/.*']", ", tags: [default]", ", tags: [default]"];
    let app =
        App::start(group(regex, "router_settings: {enable_tag_filtering: true}\n"), Script::new()).await;
    for _ in 0..3 {
        assert_eq!(app.hello_with("m", &[("user-agent", "probe/2")]).await.status, 200);
    }
    assert_eq!(app.sends(["a", "b", "c"]), [3, 0, 0]);
    app.stop().await;
}

#[tokio::test]
async fn regions_capabilities_and_quality_are_never_relaxed() {
    let more = [
        ", region_name: eu-west-1, tollgate_quality: 0.5",
        ", region_name: us-east-1, tollgate_quality: 0.9",
        "",
    ];
    let app = App::start(group(more, "router_settings: {num_retries: 5}\n"), Script::new()).await;
    assert_eq!(send(&app, json!({"allowed_model_region": "eu"}), 4).await, [4, 0, 0]);
    assert_eq!(send(&app, json!({"metadata": {"min_quality": 0.8}}), 4).await, [0, 4, 0]);
    app.simulator.forget_received();
    for _ in 0..3 {
        assert_eq!(app.hello_with("m", &[("x-tollgate-region", "us")]).await.status, 200);
    }
    assert_eq!(app.sends(["a", "b", "c"]), [0, 3, 0]);
    for (body, what) in [
        (
            json!({"metadata": {"zero_data_retention": true}}),
            "meet the request's data policy (data_retention)",
        ),
        (
            json!({"metadata": {"capabilities": ["telepathy"]}}),
            "have the capabilities that the request asks for",
        ),
        (json!({"metadata": {"min_quality": 1}}), "have the quality that the request asks for (quality)"),
        (json!({"allowed_model_region": "ap-south-1"}), "meet the request's data policy (region)"),
    ] {
        app.simulator.forget_received();
        let answer = app.chat(&with(body)).await;
        assert_eq!((answer.status, app.received().len()), (403, 0), "{}", answer.text());
        assert!(answer.error_message().contains(what), "{}", answer.text());
    }
    assert_eq!(app.chat(&with(json!({"metadata": {"region": "emea", "tags": "beta"}}))).await.status, 200);
    app.stop().await;
}
