//! 12 and 13: the primary refuses what it was asked.

use crate::support::{Site, deployment, hello};
use crate::{FALLBACKS, answering, script, sites_config, whole};
use serde_json::json;
use tollgate_simulator::{Fault, Finish, Reason, Rule};

#[tokio::test]
async fn s12_a_prompt_that_does_not_fit_is_tried_once_before_the_bigger_model() {
    let chain = "router_settings: {context_window_fallbacks: [{m: [other]}]}\n";
    for chain in [chain, FALLBACKS] {
        let site = Site::start(&sites_config(chain), script([])).await;
        let text = whole(&site).await;
        let refusal = answering().fault(Fault::refusal(Reason::ContextWindow));
        site.simulator.script().push_first(Rule::model("gpt-4o", refusal));
        let told = site.hello_stream("m").await;
        assert_eq!(told.complete("m"), text);
        assert_eq!(site.order(), ["p", "f"], "{chain}: exactly one attempt before the bigger model");
        assert_eq!(told.header("x-litellm-model-id"), Some("f"));
        assert_eq!(told.header("x-litellm-attempted-fallbacks"), Some("1"));
        // It was the prompt's fault and nobody's else.
        site.simulator.script().set_rules(vec![Rule::any(answering())]);
        site.simulator.forget_received();
        assert_eq!(site.hello_stream("m").await.complete("m"), text);
        assert_eq!(site.order(), ["p"]);
        site.stop().await;
    }
}

#[tokio::test]
async fn s12_a_prompt_that_is_known_not_to_fit_is_not_tried_at_all() {
    let small = deployment("m", "p", "openai/gpt-4o", ", api_base: \"http://{sim}/d/p/v1\"")
        .replace("{id: p}", "{id: p, max_input_tokens: 50}");
    let big = deployment("other", "f", "openai/gpt-4o-mini", ", api_base: \"http://{sim}/d/f/v1\"");
    let yaml = format!(
        "model_list:\n{small}{big}router_settings: \
         {{enable_pre_call_checks: true, context_window_fallbacks: [{{m: [other]}}]}}\n"
    );
    let site = Site::start(&yaml, script([])).await;
    let text = whole(&site).await;
    let long = json!({"model": "m", "messages": [{"role": "user", "content": "word ".repeat(400)}]});
    let told = site.stream(&long).await;
    assert_eq!((told.complete("m"), site.order()), (text.clone(), vec!["f".to_owned()]));
    assert_eq!(site.hello_stream("m").await.complete("m"), text);
    assert_eq!(site.order(), ["f", "p"]);
    site.stop().await;
}

#[tokio::test]
async fn s13_a_refusal_is_an_answer_and_not_routed_around_by_default() {
    let site = Site::start(&sites_config(FALLBACKS), script([])).await;
    let text = whole(&site).await;
    let refusal = || answering().fault(Fault::refusal(Reason::ContentPolicy));
    site.simulator.script().push_first(Rule::deployment("p", refusal()).times(1));
    let told = site.hello_stream("m").await;
    assert_eq!((told.status(), site.order()), (400, vec!["p".to_owned()]), "{}", told.body());
    let error = &told.json()["error"];
    assert!(error["message"].as_str().unwrap().contains("ContentPolicyViolationError"), "{error}");
    // A filter that cuts in later is an end like others: what came is the caller's, and so is the reason.
    site.simulator.forget_received();
    site.simulator.script().push_first(Rule::deployment("p", answering().finish(Finish::Filtered)).times(1));
    let told = site.hello_stream("m").await;
    assert_eq!((told.complete("m"), told.finishes()), (text.clone(), vec!["content_filter".to_owned()]));
    assert_eq!(site.order(), ["p"]);
    // Nobody is blamed.
    assert_eq!(site.stream(&hello("m")).await.complete("m"), text);
    assert_eq!(site.sends(["p", "s", "f"]), [2, 0, 0]);
    site.stop().await;
    // Who wants it routed around says so.
    let chain = "router_settings: {content_policy_fallbacks: [{m: [other]}]}\n";
    let site = Site::start(&sites_config(chain), script([])).await;
    let text = whole(&site).await;
    site.simulator.script().push_first(Rule::model("gpt-4o", refusal()));
    assert_eq!(site.hello_stream("m").await.complete("m"), text);
    assert_eq!(site.order(), ["p", "f"]);
    site.stop().await;
}
