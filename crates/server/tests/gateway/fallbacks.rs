//! Where a request goes when its own group does not answer, and what the caller is told of it.

use crate::support::{Answer, App, Wire, hello, model_list, post, streamed};
use serde_json::{Value, json};
use tollgate_simulator::{Behaviour, Fault, Reason, Rule, Script};

const GROUPS: [&str; 4] = ["a", "b", "c", "d"];

/// Four groups of one deployment each, named alike.
fn groups(settings: &str) -> String {
    let entries = GROUPS.map(|name| (name, Wire::OpenAi.parameters(name)));
    let list = entries.each_ref().map(|(name, parameters)| (*name, parameters.as_str()));
    format!("{}router_settings: {{num_retries: 0, {settings}}}\n", model_list(&list))
}

fn failing(rows: &[(&str, Fault)]) -> Script {
    rows.iter().fold(Script::new(), |script, (name, fault)| {
        script.rule(Rule::deployment(*name, Behaviour::new().fault(fault.clone())))
    })
}

fn with(body: Value) -> Value {
    let mut whole = hello("a");
    if let Value::Object(members) = body {
        whole.as_object_mut().unwrap().extend(members);
    }
    whole
}

fn served(answer: &Answer) -> (u16, Option<&str>, Option<&str>) {
    (answer.status, answer.header("x-litellm-model-group"), answer.header("x-litellm-attempted-fallbacks"))
}

#[tokio::test]
async fn a_failed_group_goes_on_along_its_chain_and_the_head_says_so() {
    let check = async |settings: &str, down: &[(&str, Fault)], body: Value, group: &str, depth: &str| {
        let app = App::start(groups(settings), failing(down)).await;
        for body in [with(body.clone()), streamed(with(body.clone()))] {
            let answer = app.chat(&body).await;
            assert_eq!(served(&answer), (200, Some(group), Some(depth)), "{settings}: {}", answer.text());
            // As at LiteLLM: the caller's own name, unless another group has answered.
            let model = if depth == "0" { "\"model\":\"a\"" } else { "\"model\":\"gpt-4o\"" };
            assert!(answer.text().contains(model), "{}", answer.text());
        }
        app.stop().await;
    };
    let down = |names: &[&'static str]| -> Vec<(&'static str, Fault)> {
        names.iter().map(|name| (*name, Fault::status(500))).collect()
    };
    let chain = "fallbacks: [{a: [b, c]}]";
    check(chain, &[], json!({}), "a", "0").await;
    check(chain, &down(&["a"]), json!({}), "b", "1").await;
    check(chain, &down(&["a", "b"]), json!({}), "c", "2").await;
    // Chains nest.
    check("fallbacks: [{a: [b]}, {b: [d]}]", &down(&["a", "b"]), json!({}), "d", "2").await;
    check("default_fallbacks: [d]", &down(&["a"]), json!({}), "d", "1").await;
    // The caller's own list stands in the place of the operator's.
    check(chain, &down(&["a"]), json!({"fallbacks": ["d"]}), "d", "1").await;
    check("", &down(&["a"]), json!({"fallbacks": [{"model": "c", "temperature": 0}]}), "c", "1").await;
    check("", &down(&["a"]), json!({"router_settings_override": {"fallbacks": ["d"]}}), "d", "1").await;
    for status in [401, 403, 404, 429, 503] {
        check(chain, &[("a", Fault::status(status))], json!({}), "b", "1").await;
    }
}

#[tokio::test]
async fn what_another_group_cannot_mend_or_may_not_goes_nowhere() {
    let check = async |settings: &str, fault: Fault, body: Value, status: u16| {
        let app = App::start(groups(settings), failing(&[("a", fault.clone())])).await;
        let answer = app.chat(&with(body)).await;
        assert_eq!((answer.status, app.sends(GROUPS)), (status, [1, 0, 0, 0]), "{settings} {fault:?}");
        app.stop().await;
    };
    let chain = "fallbacks: [{a: [b]}], default_fallbacks: [c]";
    for status in [400, 413, 422] {
        check(chain, Fault::status(status), json!({}), status).await;
    }
    // A refusal is an answer, unless the operator has said otherwise.
    check(chain, Fault::refusal(Reason::ContentPolicy), json!({}), 400).await;
    check("content_policy_fallbacks: [{b: [c]}]", Fault::refusal(Reason::ContentPolicy), json!({}), 400)
        .await;
    check(chain, Fault::status(500), json!({"disable_fallbacks": true}), 500).await;
    // A list for long prompts is for them alone, and what has no entry in it keeps its error.
    let both = "fallbacks: [{a: [b]}], context_window_fallbacks: [{c: [d]}]";
    check(both, Fault::refusal(Reason::ContextWindow), json!({}), 400).await;
}

#[tokio::test]
async fn long_prompts_and_refusals_have_chains_of_their_own() {
    let check = async |settings: &str, reason: Reason, group: &str| {
        let app = App::start(groups(settings), failing(&[("a", Fault::refusal(reason))])).await;
        let answer = app.hello("a").await;
        assert_eq!(served(&answer), (200, Some(group), Some("1")), "{settings}");
        assert_eq!(app.sends(["a"]), [1]);
        app.stop().await;
    };
    let all =
        "fallbacks: [{a: [b]}], context_window_fallbacks: [{a: [c]}], content_policy_fallbacks: [{a: [d]}]";
    check(all, Reason::ContextWindow, "c").await;
    check(all, Reason::ContentPolicy, "d").await;
    // Without a list for long prompts, the general one serves them.
    check("fallbacks: [{a: [b]}]", Reason::ContextWindow, "b").await;
}

#[tokio::test]
async fn when_every_group_has_failed_the_caller_gets_the_failure_of_the_one_it_asked_for() {
    let down = [("a", Fault::status(503)), ("b", Fault::status(500)), ("c", Fault::status(404))];
    let app = App::start(groups("fallbacks: [{a: [b, c]}]"), failing(&down)).await;
    let answer = app.hello("a").await;
    assert_eq!((answer.status, app.sends(GROUPS)), (503, [1, 1, 1, 0]));
    app.stop().await;
}

#[tokio::test]
async fn a_fallback_may_change_the_request_and_a_caller_may_not_name_a_host_in_it() {
    let settings = "fallbacks: [{a: [{model: b, messages: [{role: user, content: short}], max_tokens: 7}]}]";
    let app = App::start(groups(settings), failing(&[("a", Fault::status(500))])).await;
    assert_eq!(app.hello("a").await.status, 200);
    let received = app.received();
    let last = received.last().unwrap().json();
    assert_eq!((&last["messages"][0]["content"], &last["max_tokens"]), (&json!("short"), &json!(7)));
    let own = json!({"fallbacks": [{"model": "b", "api_base": "http://127.0.0.1:1/"}]});
    let answer = app.chat(&with(own)).await;
    assert_eq!(answer.status, 400);
    assert!(answer.error_message().contains("api_base is not allowed"), "{}", answer.error_message());
    app.stop().await;
}

#[tokio::test]
async fn litellms_rehearsals_fail_the_first_group_without_asking_it() {
    let settings =
        "fallbacks: [{a: [b]}], context_window_fallbacks: [{a: [c]}], content_policy_fallbacks: [{a: [d]}]";
    for (member, group) in [
        ("mock_testing_fallbacks", "b"),
        ("mock_testing_context_fallbacks", "c"),
        ("mock_testing_content_policy_fallbacks", "d"),
        ("mock_testing_rate_limit_error", "b"),
    ] {
        let app = App::start(groups(settings), Script::new()).await;
        let answer = app.chat(&with(json!({member: true}))).await;
        assert_eq!(served(&answer), (200, Some(group), Some("1")), "{member}");
        assert_eq!(app.sends(["a"]), [0]);
        assert!(app.received().iter().all(|got| got.json().get(member).is_none()));
        app.stop().await;
    }
    let app = App::start(groups(""), Script::new()).await;
    let answer = app.chat(&with(json!({"mock_testing_fallbacks": true}))).await;
    assert_eq!(answer.status, 500);
    assert!(answer.error_message().starts_with("litellm.InternalServerError: InternalServerError"));
    app.stop().await;
}

#[tokio::test]
async fn a_prompt_that_does_not_fit_goes_to_the_next_that_it_fits_without_a_wasted_call() {
    let yaml = |settings: &str| {
        let entries = model_list(&[
            ("a", Wire::OpenAi.parameters("a").as_str()),
            ("b", Wire::OpenAi.parameters("b").as_str()),
        ]);
        let entries = entries.replacen("sk-key-of-a}", "sk-key-of-a}, model_info: {max_input_tokens: 20}", 1);
        format!("{entries}router_settings: {{enable_pre_call_checks: true, {settings}}}\n")
    };
    let long = json!({"model": "a", "messages": [{"role": "user", "content": "word ".repeat(100)}]});
    let app = App::start(yaml("context_window_fallbacks: [{a: [b]}]"), Script::new()).await;
    let answer = app.chat(&long).await;
    assert_eq!((served(&answer), app.sends(["a", "b"])), ((200, Some("b"), Some("1")), [0, 1]));
    assert_eq!(served(&app.hello("a").await), (200, Some("a"), Some("0")));
    app.stop().await;
    let app = App::start(yaml(""), Script::new()).await;
    let answer = app.chat(&long).await;
    assert_eq!((answer.status, app.sends(["a", "b"])), (400, [0, 0]));
    assert!(answer.error_message().starts_with("litellm.ContextWindowExceededError"));
    assert_eq!(answer.error()["code"], "context_length_exceeded");
    app.stop().await;
}

#[tokio::test]
async fn the_lowest_order_serves_and_the_next_takes_over() {
    let of = |name: &str, order: u32| format!("{}, order: {order}", Wire::OpenAi.parameters(name));
    let (one, two) = (of("a", 1), of("b", 2));
    let yaml = model_list(&[("m", one.as_str()), ("m", two.as_str())]);
    let app = App::start(yaml, Script::new()).await;
    for _ in 0..5 {
        assert_eq!(app.hello("m").await.status, 200);
    }
    assert_eq!(app.sends(["a", "b"]), [5, 0]);
    let rule = Rule::deployment("a", Behaviour::new().fault(Fault::status(500)));
    app.simulator.script().set_rules(vec![rule]);
    let request = post("/v1/chat/completions", &[], hello("m").to_string().as_bytes());
    let answer = app.ask(&request).await;
    // As LiteLLM counts it: another order is a fallback, no retry.
    assert_eq!(answer.header("x-litellm-attempted-fallbacks"), Some("1"));
    assert_eq!(answer.header("x-litellm-attempted-retries"), Some("0"));
    assert_eq!(app.sends(["a", "b"]), [6, 1]);
    app.stop().await;
}
