//! Routing groups that are asked for by their names: the models of several groups together, in order of priority or not.

use crate::support::{App, Wire, hello, model_list, post, settle};
use serde_json::{Value, json};
use std::time::Duration;
use tollgate_simulator::{Behaviour, Fault, Rule, Script};

/// Groups `ma`, `mb`, `mc` of one deployment each, `a`, `b`, `c`, with these further parameters, and the router's settings.
fn groups(more: [&str; 3], router: &str) -> String {
    let entries = ["a", "b", "c"].map(|name| Wire::OpenAi.parameters(name));
    let entries: Vec<String> =
        entries.into_iter().zip(more).map(|(parameters, more)| format!("{parameters}{more}")).collect();
    let names = ["ma", "mb", "mc"];
    let list: Vec<(&str, &str)> = names.into_iter().zip(entries.iter().map(String::as_str)).collect();
    format!("{}router_settings:\n  num_retries: 5\n{router}", model_list(&list))
}

/// `together`: first `b`, then `a` and `c` alike.
const BY_PRIORITY: &str = "  routing_groups:\n  - {group_name: together, models: [ma, mb, mc], \
     routing_strategy: priority, model_priorities: {ma: 2, mb: 1, mc: 2}}\n";
const IN_TURN: &str = "  routing_groups:\n  - {group_name: together, models: [ma, mb], \
     routing_strategy: round-robin}\n";

async fn send(app: &App, model: &str, times: usize) -> [usize; 3] {
    app.simulator.forget_received();
    for _ in 0..times {
        let answer = app.hello(model).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    app.sends(["a", "b", "c"])
}

fn failing(names: &[&str]) -> Script {
    let fails = || Behaviour::new().fault(Fault::status(500));
    names.iter().fold(Script::new(), |script, name| script.rule(Rule::deployment(*name, fails())))
}

#[tokio::test]
async fn the_lowest_priority_goes_first_and_equal_ones_share() {
    let app = App::start(groups(["", "", ""], BY_PRIORITY), Script::new()).await;
    assert_eq!(send(&app, "together", 4).await, [0, 4, 0]);
    app.stop().await;
    let settings = format!("  disable_cooldowns: true\n{BY_PRIORITY}");
    let app = App::start(groups(["", "", ""], &settings), failing(&["b"])).await;
    let [a, b, c] = send(&app, "together", 20).await;
    assert_eq!((a + c, b), (20, 20), "each request began with the first");
    assert!(a > 0 && c > 0, "{a} and {c}");
    app.stop().await;
    let app = App::start(groups(["", "", ""], &settings), failing(&["a", "b"])).await;
    let answer = app.hello("together").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let order = app.received().into_iter().map(|request| request.deployment.unwrap());
    let order: Vec<String> = order.collect();
    assert!(order[0] == "b" && order.last().unwrap() == "c", "{order:?}");
    app.stop().await;
}

#[tokio::test]
async fn a_priority_goes_before_an_order_and_holds_for_the_routing_group_alone() {
    let app = App::start(groups([", order: 1", ", order: 9", ""], BY_PRIORITY), Script::new()).await;
    assert_eq!(send(&app, "together", 2).await, [0, 2, 0]);
    for (model, sends) in [("ma", [2, 0, 0]), ("mb", [0, 2, 0]), ("mc", [0, 0, 2])] {
        assert_eq!(send(&app, model, 2).await, sends, "{model}");
    }
    app.stop().await;
    // And a member that fails has no help of the routing group where it is asked for by its own name.
    let app = App::start(groups(["", "", ""], BY_PRIORITY), failing(&["b"])).await;
    assert_eq!(app.hello("mb").await.status, 500);
    assert_eq!(app.sends(["a", "c"]), [0, 0]);
    app.stop().await;
}

#[tokio::test]
async fn the_table_of_candidates_says_who_comes_later() {
    let app = App::start(groups(["", "", ""], BY_PRIORITY), Script::new()).await;
    let told = app.post("/route/explain", &hello("together")).await.json();
    let rows = told["candidates"].as_array().unwrap();
    let reasons: Vec<Option<&str>> = rows.iter().map(|row| row["passed_over"]["reason"].as_str()).collect();
    assert_eq!(reasons, [Some("order"), None, Some("order")], "{told}");
    let answer = app.hello("together").await;
    assert!(answer.header("x-tollgate-route").unwrap().contains("strategy=priority"));
    assert_eq!(answer.header("x-litellm-model-group"), Some("together"));
    app.stop().await;
}

#[tokio::test]
async fn any_strategy_chooses_among_the_models_of_a_routing_group() {
    let app = App::start(groups(["", "", ""], IN_TURN), Script::new()).await;
    assert_eq!(send(&app, "together", 6).await, [3, 3, 0]);
    assert_eq!(send(&app, "ma", 2).await, [2, 0, 0]);
    app.stop().await;
}

#[tokio::test]
async fn a_routing_group_is_listed_described_and_may_be_an_alias_or_a_fallback() {
    let settings =
        format!("  model_group_alias: {{other: together}}\n  fallbacks: [{{mc: [together]}}]\n{BY_PRIORITY}");
    let app = App::start(groups([", rpm: 5", ", rpm: 7", ""], &settings), failing(&["c"])).await;
    let listed = app.get("/v1/models").await.json();
    let names: Vec<&str> =
        listed["data"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap()).collect();
    assert_eq!(names, ["ma", "mb", "mc", "together", "other"]);
    let told = app.get("/model_group/info?model_group=together").await.json();
    assert_eq!((&told["data"][0]["rpm"], told["data"].as_array().unwrap().len()), (&json!(12), 1));
    let known = app.get("/health/deployments?model=together").await.json();
    assert_eq!(known["deployments"].as_array().unwrap().len(), 3);
    assert_eq!(send(&app, "other", 1).await, [0, 1, 0]);
    let answer = app.hello("mc").await;
    assert_eq!((answer.status, answer.header("x-litellm-attempted-fallbacks")), (200, Some("1")));
    assert_eq!(app.sends(["a", "b"]), [0, 2]);
    app.stop().await;
}

#[tokio::test]
async fn what_a_deployment_has_gone_through_is_known_by_either_name() {
    let app = App::start(groups(["", ", rpm: 2", ""], BY_PRIORITY), Script::new()).await;
    assert_eq!(send(&app, "mb", 2).await, [0, 2, 0]);
    let [a, b, c] = send(&app, "together", 3).await;
    assert_eq!((a + c, b), (3, 0), "its minute is full");
    app.stop().await;
}

#[tokio::test]
async fn who_waits_for_a_routing_group_is_woken_by_a_place_of_a_member() {
    let slow = Script::new().rule(Rule::any(Behaviour::new().latency(Duration::from_millis(300))));
    let only = "  routing_groups:\n  - {group_name: together, models: [ma], routing_strategy: priority, \
                model_priorities: {ma: 1}}\ntollgate_settings: {queue: {max_wait_seconds: 3000}}\n";
    let app = App::start(groups([", max_parallel_requests: 1", "", ""], only), slow).await;
    let request = |model: &str| post("/v1/chat/completions", &[], hello(model).to_string().as_bytes());
    let mut connections = [app.connect().await, app.connect().await, app.connect().await];
    for (connection, model) in connections.iter_mut().zip(["ma", "together", "ma"]) {
        connection.write(&request(model)).await;
        app.until_waiting(1).await;
        settle().await;
    }
    assert_eq!(app.received().len(), 1, "two of them wait");
    for connection in &mut connections {
        assert_eq!(connection.answer().await.status, 200);
    }
    assert_eq!(app.sends(["a"]), [3]);
    app.stop().await;
}

#[tokio::test]
async fn routing_groups_come_and_go_with_the_configuration() {
    let app = App::start(groups(["", "", ""], ""), Script::new()).await;
    let unknown: Value = app.hello("together").await.json();
    assert!(unknown["error"]["message"].as_str().unwrap().contains("together"), "{unknown}");
    app.reload(&groups(["", "", ""], BY_PRIORITY));
    assert_eq!(send(&app, "together", 1).await, [0, 1, 0]);
    app.reload(&groups(["", "", ""], IN_TURN));
    assert_eq!(send(&app, "together", 4).await, [2, 2, 0]);
    app.reload(&groups(["", "", ""], ""));
    assert_ne!(app.hello("together").await.status, 200);
    app.stop().await;
}
