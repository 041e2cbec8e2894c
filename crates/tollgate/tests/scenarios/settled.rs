//! 15 and 16: what is true when it is over.

use crate::support::{FAILURES, Site, hello};
use crate::{FALLBACKS, answering, script, sites_config, whole};
use tollgate_simulator::{Fault, Rule, TokenCounts};

#[tokio::test]
async fn s15_a_primary_that_flaps_is_used_again_soon_after_each_recovery() {
    let settings = "router_settings: {fallbacks: [{m: [other]}], cooldown_time: 1}\n";
    let site = Site::start(&sites_config(settings), script([])).await;
    let text = whole(&site).await;
    for flap in 1..=3 {
        site.simulator.forget_received();
        let down = Rule::deployment("p", answering().fault(Fault::status(503)));
        site.simulator.script().set_rules(vec![down, Rule::any(answering())]);
        for _ in 0..20 {
            assert_eq!(site.hello_stream("m").await.complete("m"), text);
        }
        let [p, s, f] = site.sends(["p", "s", "f"]);
        assert!((1..=6).contains(&p) && s == 20 && f == 0, "flap {flap}: {p} {s} {f}");
        site.simulator.script().set_rules(vec![Rule::any(answering())]);
        site.simulator.forget_received();
        site.ask_until("the primary is used again", |site| site.sends(["p"]) > [0]).await;
        for _ in 0..10 {
            assert_eq!(site.hello_stream("m").await.complete("m"), text);
        }
        let [p, _, f] = site.sends(["p", "s", "f"]);
        assert!(p >= 10 && f == 0, "flap {flap}: {p} after its recovery");
    }
    site.stop().await;
}

#[tokio::test]
async fn s15_left_to_itself_a_primary_is_used_again_without_anybody_saying_so() {
    let site = Site::start(&sites_config(FALLBACKS), script([])).await;
    let text = whole(&site).await;
    site.simulator.script().push_first(Rule::deployment("p", answering().fault(Fault::status(503))).times(3));
    for _ in 0..5 {
        assert_eq!(site.hello_stream("m").await.complete("m"), text);
    }
    assert_eq!(site.sends(["p", "s"]), [3, 5], "it is out of the way");
    site.ask_until("the primary is used again", |site| site.sends(["p"]) > [3]).await;
    site.stop().await;
}

/// US dollars a token: of the primary's model, and of the cheaper one that is fallen back on.
const GPT_4O_MINI: (f64, f64) = (0.15e-6, 0.6e-6);

#[tokio::test]
async fn s16_the_model_that_really_answered_is_the_one_that_is_named_and_paid() {
    let counts = TokenCounts { prompt: Some(1_000), completion: Some(60), ..TokenCounts::default() };
    let settings = "router_settings: {fallbacks: [{m: [other]}], num_retries: 1}\n";
    let site = Site::start(&sites_config(settings), script([])).await;
    let text = whole(&site).await;
    let metric = async |name: &str, id: &str| {
        let label = format!("model_id=\"{id}\"");
        site.gateway.metric(&format!("{name}_total"), &[label.as_str()]).await
    };
    let before = metric("litellm_spend_metric", "p").await;
    site.simulator.script().set_rules(vec![
        Rule::model("gpt-4o", answering().fault(Fault::status(500))),
        Rule::any(answering().tokens(counts)),
    ]);
    let told = site.hello_stream("m").await;
    assert_eq!(told.complete("m"), text);
    assert_eq!(site.order(), ["p", "s", "f"]);
    for (name, value) in [
        ("x-litellm-model-id", "f"),
        ("x-litellm-model-name", "openai/gpt-4o-mini"),
        ("x-litellm-attempted-fallbacks", "1"),
    ] {
        assert_eq!(told.header(name), Some(value), "{name}");
    }
    assert!(told.header("x-litellm-model-api-base").is_some_and(|base| base.ends_with("/d/f/v1")));
    // The oracle's tokens at the price of the model that answered, and not a thing for those that failed.
    let received = site.received();
    assert_eq!(received[2].tokens, (1_000, 60));
    assert_eq!(metric("litellm_input_tokens_metric", "f").await, 1_000.0);
    assert_eq!(metric("litellm_output_tokens_metric", "f").await, 60.0);
    let cost = 1_000.0 * GPT_4O_MINI.0 + 60.0 * GPT_4O_MINI.1;
    let spent = metric("litellm_spend_metric", "f").await;
    assert!((spent - cost).abs() < 1e-9, "{spent} in place of {cost}");
    assert_eq!(metric("litellm_spend_metric", "p").await, before);
    assert_eq!(metric("litellm_spend_metric", "s").await, 0.0);
    for id in ["p", "s"] {
        assert_eq!(site.gateway.counted(FAILURES, &[&format!("model_id=\"{id}\"")]).await, 1);
    }
    // And the cost that a plain answer states is the same.
    let answer = site.chat(&hello("m")).await;
    let stated: f64 = answer.header("x-litellm-response-cost").unwrap().parse().unwrap();
    assert!((stated - cost).abs() < 1e-9, "{stated} in place of {cost}");
    site.stop().await;
}
