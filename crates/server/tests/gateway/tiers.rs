//! Tiers: which one serves, and where that can be seen.

use crate::support::{Answer, App, Wire, hello, model_list, streamed};
use serde_json::json;
use tollgate_simulator::{Behaviour, Fault, Rule, Script};

fn config(more: &str) -> String {
    let entries = ["a", "b", "c"].map(|name| Wire::OpenAi.parameters(name));
    let [a, b, c] = &entries;
    format!("{}{more}", model_list(&[("first", a), ("second", b), ("third", c)]))
}

const TIERS: &str = "router_settings: {num_retries: 0, disable_cooldowns: true}\ntollgate_settings: {tiers: {chat: [\
    {name: best, model: first}, {name: good, model: second}, {name: cheap, model: third, alert_share: 10%}]}}\n";

async fn served(app: &App, tier: &str) -> f64 {
    app.metric("tollgate_tier_requests_total", &["list=\"chat\"", &format!("tier=\"{tier}\"")]).await
}

fn tier(answer: &Answer) -> (Option<&str>, Option<&str>) {
    (answer.header("x-tollgate-tier"), answer.header("x-litellm-attempted-fallbacks"))
}

fn script(failing: &[&str]) -> Vec<Rule> {
    let fails = |name: &&str| Rule::deployment(*name, Behaviour::new().fault(Fault::status(500)));
    failing.iter().map(fails).collect()
}

#[tokio::test]
async fn the_serving_tier_is_in_the_head_and_in_the_metrics() {
    let app = App::start(config(TIERS), Script::new()).await;
    for (failing, expect, counts) in [
        (vec![], (Some("best"), Some("0")), [2.0, 0.0, 0.0]),
        (vec!["a"], (Some("good"), Some("1")), [2.0, 2.0, 0.0]),
        (vec!["a", "b"], (Some("cheap"), Some("2")), [2.0, 2.0, 2.0]),
    ] {
        app.simulator.script().set_rules(script(&failing));
        for body in [hello("chat"), streamed(hello("chat"))] {
            let answer = app.chat(&body).await;
            assert_eq!((answer.status, tier(&answer)), (200, expect), "{failing:?}");
        }
        for (name, count) in ["best", "good", "cheap"].into_iter().zip(counts) {
            assert!((served(&app, name).await - count).abs() < 0.1, "{failing:?} {name}");
        }
    }
    // Nobody answers: nobody has served.
    app.simulator.script().set_rules(script(&["a", "b", "c"]));
    assert_eq!(app.hello("chat").await.status, 500);
    assert!((app.metric("tollgate_tier_requests_total", &[]).await - 6.0).abs() < 0.1);
    app.stop().await;
}

#[tokio::test]
async fn fallbacks_are_counted_under_litellms_names() {
    let more =
        "router_settings: {num_retries: 0, disable_cooldowns: true, fallbacks: [{first: [second, third]}]}\n";
    let app = App::start(config(more), Script::new()).await;
    let counted = async |name: &str, labels: &[&str]| {
        app.metric(&format!("litellm_deployment_{name}_fallbacks_total"), labels).await
    };
    app.hello("first").await;
    assert!(counted("successful", &[]).await.abs() < 0.1 && counted("failed", &[]).await.abs() < 0.1);
    app.simulator.script().set_rules(script(&["a", "b"]));
    assert_eq!(app.hello("first").await.status, 200);
    let from = "requested_model=\"first\"";
    let status = "exception_status=\"500\"";
    assert!((counted("failed", &[from, "fallback_model=\"second\"", status]).await - 1.0).abs() < 0.1);
    assert!(
        (counted("successful", &[from, "fallback_model=\"third\"", status, "exception_class=\"server\""])
            .await
            - 1.0)
            .abs()
            < 0.1
    );
    app.simulator.script().set_rules(script(&["a", "b", "c"]));
    assert_eq!(app.hello("first").await.status, 500);
    assert!((counted("failed", &[from]).await - 3.0).abs() < 0.1);
    assert!((counted("successful", &[from]).await - 1.0).abs() < 0.1);
    app.stop().await;
}

#[tokio::test]
async fn a_tier_that_answers_more_than_its_share_raises_one_alert() {
    let app = App::start(config(TIERS), Script::new()).await;
    let mut fallen = hello("chat");
    let ask = async |body: &serde_json::Value, times: usize| {
        for _ in 0..times {
            assert_eq!(app.chat(body).await.status, 200);
        }
        app.metric("tollgate_alerts_total", &["tier_share"]).await
    };
    let first = ask(&hello("chat"), 40).await;
    app.simulator.script().set_rules(script(&["a", "b"]));
    fallen["metadata"] = json!({});
    assert!(first.abs() < 0.1);
    // Nine of forty-nine are too many, but too few requests to say so.
    assert!(ask(&fallen, 9).await.abs() < 0.1);
    assert!((ask(&fallen, 1).await - 1.0).abs() < 0.1);
    assert!((ask(&fallen, 30).await - 1.0).abs() < 0.1);
    app.stop().await;
}

#[tokio::test]
async fn one_answer_for_everything_is_a_last_tier() {
    let tiers = "router_settings: {num_retries: 0, disable_cooldowns: true}\ntollgate_settings: {tiers: [first, {canned: {answer_when_nothing_matches: We call you back.}}]}\n";
    let app = App::start(config(tiers), Script::new()).await;
    app.simulator.script().set_rules(script(&["a"]));
    for messages in [
        json!([{"role": "user", "content": "Are you open on Sundays?"}]),
        json!([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]}]),
        json!([{"role": "system", "content": "Be brief."}]),
    ] {
        let answer = app.chat(&json!({"model": "first", "messages": messages})).await;
        assert_eq!((answer.status, tier(&answer)), (200, (Some("canned"), Some("1"))), "{messages}");
        assert!(answer.text().contains("We call you back."), "{}", answer.text());
    }
    app.stop().await;
}

/// Tiers of which the first moves on from answers that do not do.
fn choosy() -> String {
    config(
        "router_settings: {num_retries: 0}\ntollgate_settings: {tiers: [\
         {model: first, move_on: [quality, server_error]}, {model: second, move_on: [server_error]}, {model: third}]}\n",
    )
}

#[tokio::test]
async fn an_answer_that_does_not_do_goes_to_the_next_tier_where_the_tier_says_so() {
    let says = |text: &str| Rule::deployment("a", Behaviour::new().text(text));
    let json_asked = |mut body: serde_json::Value| {
        body["response_format"] = json!({"type": "json_object"});
        body["messages"][0]["content"] = json!("answer in JSON");
        body
    };
    for (text, body, expect) in [
        ("hello", hello("first"), [1, 0]),
        ("", hello("first"), [1, 1]),
        ("", streamed(hello("first")), [1, 1]),
        ("hello", streamed(hello("first")), [1, 0]),
        ("no JSON", json_asked(hello("first")), [1, 1]),
        ("{\"a\": 1}", json_asked(hello("first")), [1, 0]),
    ] {
        let app = App::start(choosy(), Script::new().rule(says(text))).await;
        let answer = app.chat(&body).await;
        assert_eq!(
            (answer.status, app.sends(["a", "b"])),
            (200, expect),
            "{text:?} {body} {}",
            answer.text()
        );
        // It hurts the deployment's health no more than any answer does.
        for _ in 0..4 {
            app.chat(&body).await;
        }
        assert_eq!(app.sends(["a"]), [5], "{text:?}");
        app.stop().await;
    }
    // Elsewhere an empty answer is an answer.
    let app =
        App::start(choosy(), Script::new().rule(Rule::deployment("b", Behaviour::new().text("")))).await;
    assert_eq!((app.hello("second").await.status, app.sends(["b", "c"])), (200, [1, 0]));
    app.stop().await;
}

#[tokio::test]
async fn what_was_tried_in_vain_is_told_to_those_who_ask() {
    let app = App::start(config(TIERS), Script::new()).await;
    app.simulator.script().set_rules(script(&["a", "b"]));
    let mut body = hello("chat");
    assert_eq!(app.chat(&body).await.header("x-litellm-fallback-errors"), None);
    body["include_fallback_errors"] = json!(true);
    for body in [body.clone(), streamed(body)] {
        let answer = app.chat(&body).await;
        let told: serde_json::Value =
            serde_json::from_str(answer.header("x-litellm-fallback-errors").unwrap()).unwrap();
        let rows: Vec<(&str, u64)> = told
            .as_array()
            .unwrap()
            .iter()
            .map(|row| (row["model_group"].as_str().unwrap(), row["status_code"].as_u64().unwrap()))
            .collect();
        assert_eq!((answer.status, rows), (200, vec![("first", 500), ("second", 500)]));
        assert_eq!(answer.header("x-tollgate-not-yet-active"), None);
    }
    app.stop().await;
}

#[tokio::test]
async fn lists_of_tiers_are_listed_as_models() {
    let app = App::start(config(TIERS), Script::new()).await;
    let listed = app.get("/v1/models").await.json();
    let ids: Vec<&str> =
        listed["data"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["first", "second", "third", "chat"]);
    assert_eq!(app.get("/v1/models/chat").await.json()["max_input_tokens"], 128_000);
    let info = app.get("/model_group/info?model_group=chat").await.json();
    assert_eq!(info["data"][0]["model_group"], "chat", "{info}");
    assert_eq!(info["data"][0]["providers"], json!(["openai"]));
    app.stop().await;
}

#[tokio::test]
async fn a_blocked_deployment_gets_nothing_and_tags_without_the_prefix_choose_none() {
    let entry = |name: &str, more: &str| format!("{}{more}", Wire::OpenAi.parameters(name));
    let blocked = entry("a", ", weight: 100, blocked: true");
    let app =
        App::start(model_list(&[("m", &blocked), ("m", &entry("b", ", weight: 1"))]), Script::new()).await;
    for _ in 0..10 {
        assert_eq!(app.hello("m").await.status, 200);
    }
    assert_eq!(app.sends(["a", "b"]), [0, 10]);
    app.stop().await;
    let alone = App::start(model_list(&[("m", &blocked)]), Script::new()).await;
    assert_eq!((alone.hello("m").await.status, alone.sends(["a"])), (503, [0]));
    alone.stop().await;
    let yaml =
        model_list(&[("m", &entry("paid", ", tags: [paid]")), ("m", &entry("rest", ", tags: [default]"))])
            + "router_settings: {enable_tag_filtering: true, tag_routing_prefix: \"route:\"}\n";
    let app = App::start(yaml, Script::new()).await;
    for (tags, expect) in
        [("paid", [0, 1]), ("team-x", [0, 1]), ("route:paid", [1, 0]), ("x, route:paid", [1, 0])]
    {
        app.simulator.forget_received();
        assert_eq!(app.hello_with("m", &[("x-litellm-tags", tags)]).await.status, 200, "{tags}");
        assert_eq!(app.sends(["paid", "rest"]), expect, "{tags}");
    }
    app.stop().await;
}
