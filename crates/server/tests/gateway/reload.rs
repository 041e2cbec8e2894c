//! Configurations taken over while requests run: nobody notices but the next request.

use crate::support::{
    App, Connection, Wire, data, hello, model_list, post, seconds, settle, streamed, sum_of, until,
};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tollgate_config::Config;
use tollgate_simulator::{Answer, Behaviour, Fault, Rule, Script};

const CHAT: &str = "/v1/chat/completions";

/// A configuration in which the group `m` is at `/d/v<version>`.
fn version(version: usize) -> String {
    model_list(&[("m", &Wire::OpenAi.parameters(&format!("v{version}")))])
}

/// A configuration that is sound and cannot be served: the organization is no header's value.
fn unservable(app: &App) -> Config {
    let text = version(0).replace("api_key:", "organization: \"org\\u0001\", api_key:");
    let text = text.replace("{sim}", &app.simulator.address().to_string());
    let loaded = Config::from_yaml_text(&text, &|_| None);
    let report = loaded.report.to_string();
    loaded.config.unwrap_or_else(|| panic!("{report}"))
}

/// What one caller of a load saw.
#[derive(Default)]
struct Seen {
    answered: AtomicUsize,
    is_over: AtomicBool,
}

/// Asks on one connection, plain and streamed in turn, until the load is over.
async fn load(address: std::net::SocketAddr, seen: Arc<Seen>) {
    let mut connection = Connection::open(address).await;
    while !seen.is_over.load(Ordering::SeqCst) {
        connection.write(&post(CHAT, &[], hello("m").to_string().as_bytes())).await;
        let answer = connection.answer().await;
        assert!(answer.content().contains("hello there"));
        connection.write(&post(CHAT, &[], streamed(hello("m")).to_string().as_bytes())).await;
        let answer = connection.answer().await;
        assert!(answer.status == 200 && answer.text().ends_with("data: [DONE]\n\n"), "{answer:?}");
        seen.answered.fetch_add(2, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn fifty_reloads_under_load_cost_no_request_and_no_stream() {
    let text = "a b c d e f g h i j k l m n o p q r s t u v w x y z ".repeat(40);
    let slow = Behaviour::new().text(text.clone()).pace(Duration::from_millis(1));
    let script = Script::new().rule(Rule::model("slow-*", slow));
    let with_slow = |number: usize| {
        let slow = "model: \"openai/slow-*\", api_base: \"http://{sim}/d/slow/v1\", api_key: sk-slow";
        let fast = Wire::OpenAi.parameters(&format!("v{number}"));
        model_list(&[("m", &fast), ("slow-*", slow)])
    };
    let app = App::start(with_slow(0), script).await;
    let seen = Arc::new(Seen::default());
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..4 {
        callers.spawn(load(app.address, Arc::clone(&seen)));
    }
    let mut streams = Vec::new();
    for number in 0..4 {
        streams.push(app.hello_stream(&format!("slow-{number}")).await);
    }
    for number in 1..=50 {
        let before = seen.answered.load(Ordering::SeqCst);
        app.reload(&with_slow(number));
        // The very next request is served by the new one.
        assert_eq!(app.hello("m").await.status, 200);
        let newest = app
            .received()
            .into_iter()
            .rev()
            .find(|got| got.deployment.as_deref() == Some(&format!("v{number}")));
        assert!(newest.is_some(), "reload {number} is not seen");
        if number % 10 == 0 {
            until("the load goes on", || seen.answered.load(Ordering::SeqCst) > before).await;
        }
    }
    seen.is_over.store(true, Ordering::SeqCst);
    while let Some(done) = callers.join_next().await {
        done.unwrap();
    }
    for stream in &mut streams {
        let events = stream.rest().await;
        let (last, chunks) = events.split_last().unwrap();
        assert_eq!(last, "data: [DONE]\n\n");
        let chunks = chunks.iter().map(|event| data(event)["choices"][0]["delta"]["content"].clone());
        let said: String = chunks.filter_map(|content| content.as_str().map(str::to_owned)).collect();
        assert_eq!(said, text);
    }
    let metrics = app.get("/metrics").await.text();
    assert_eq!(sum_of(&metrics, "tollgate_config_reloads_total", &[]), 50.0);
    assert_eq!(sum_of(&metrics, "tollgate_config_reload_failures_total", &[]), 0.0);
    assert_eq!(sum_of(&metrics, "litellm_proxy_failed_requests_metric_total", &[]), 0.0);
    // The provider's address has not changed, so its connections serve on.
    let connections = app.simulator.connections();
    assert!(connections <= 30, "{connections} connections to one provider");
    drop(streams);
    app.stop().await;
}

#[tokio::test]
async fn a_configuration_that_cannot_be_served_leaves_the_old_one() {
    let app = App::start(version(1), Script::new()).await;
    for failures in 1..=20 {
        let error = app.gateway.reload(unservable(&app), None).unwrap_err().to_string();
        assert!(error.contains("'m'") && error.contains("organization"), "{error}");
        // Whoever tried says so; a file that was no configuration never came here.
        app.gateway.note_refused_reload();
        assert_eq!(app.hello("m").await.status, 200);
        let counted = app.metric("tollgate_config_reload_failures_total", &[]).await;
        assert_eq!(counted, f64::from(failures));
    }
    assert_eq!(app.metric("tollgate_config_reloads_total", &[]).await, 0.0);
    assert_eq!(app.sends(["v0", "v1"]), [0, 20]);
    app.stop().await;
}

#[tokio::test]
async fn a_stream_outlives_its_model_and_a_request_keeps_what_it_began_with() {
    let yaml = model_list(&[
        ("m", &format!("{}, weight: 1, timeout: 20", Wire::OpenAi.parameters("old-first"))),
        ("m", &format!("{}, weight: 0", Wire::OpenAi.parameters("old-second"))),
        ("streamed", &Wire::OpenAi.parameters("streamed")),
    ]);
    let script = Script::new().rule(Rule::deployment("old-first", Behaviour::new().fault(Fault::Hang))).rule(
        Rule::deployment(
            "streamed",
            Behaviour::new().answer(Answer::Tokens(30)).pace(Duration::from_millis(5)),
        ),
    );
    let app = App::start(yaml, script).await;
    let mut stream = app.hello_stream("streamed").await;
    let mut connection = app.connect().await;
    connection.write(&post(CHAT, &[], hello("m").to_string().as_bytes())).await;
    app.until("both are at their providers", |app| app.received().len() == 2).await;
    app.reload(&version(9));
    assert_eq!(app.hello("streamed").await.status, 400);
    assert_eq!(stream.rest().await.last().unwrap(), "data: [DONE]\n\n");
    settle().await;
    crate::support::advance(seconds(20)).await;
    assert_eq!(connection.answer().await.status, 200);
    assert_eq!(app.sends(["old-first", "old-second", "v9"]), [1, 1, 0]);
    assert_eq!(app.hello("m").await.status, 200);
    assert_eq!(app.sends(["old-second", "v9"]), [1, 1]);
    app.stop().await;
}

#[tokio::test]
async fn another_master_key_holds_from_the_next_request_on_the_same_connection() {
    let with_key = |key: &str| format!("{}general_settings: {{master_key: {key}}}\n", version(1));
    let app = App::start(with_key("sk-one"), Script::new()).await;
    let mut connection = app.connect().await;
    let mut ask = async |key: &str| {
        let bearer = format!("Bearer {key}");
        let body = hello("m").to_string();
        connection.write(&post(CHAT, &[("authorization", &bearer)], body.as_bytes())).await;
        connection.answer().await.status
    };
    assert_eq!([ask("sk-one").await, ask("sk-two").await], [200, 401]);
    app.reload(&with_key("sk-two"));
    assert_eq!([ask("sk-one").await, ask("sk-two").await], [401, 200]);
    drop(connection);
    app.stop_while_draining().await;
}

#[tokio::test]
async fn prices_aliases_and_limits_change_with_the_configuration() {
    let app = App::start(version(1), Script::new()).await;
    let answer = app.hello("other-name").await;
    assert_eq!(answer.status, 400);
    let priced = version(1).replace("}}", ", input_cost_per_token: 0.5, output_cost_per_token: 0}}");
    app.reload(&format!(
        "{priced}router_settings: {{model_group_alias: {{other-name: m}}}}\ntollgate_settings: {{body_bytes_max: 200}}\n"
    ));
    let answer = app.hello("other-name").await;
    let prompt = app.received()[0].tokens.0 as f64;
    let cost: f64 = answer.header("x-litellm-response-cost").unwrap().parse().unwrap();
    assert_eq!(cost, prompt * 0.5);
    let mut long = hello("m");
    long["messages"][0]["content"] = json!("x".repeat(300));
    assert_eq!(app.chat(&long).await.status, 413);
    app.stop().await;
}
