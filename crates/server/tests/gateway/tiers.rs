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
