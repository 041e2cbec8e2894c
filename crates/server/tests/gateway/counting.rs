//! Counts of tokens, and what LiteLLM's helpers say of a request before it is sent.

use crate::support::admin::{MASTER, ask_as, key, seen};
use crate::support::{Answer, App, Wire, model_list};
use serde_json::{Value, json};
use tollgate_identity::secret::Token;
use tollgate_simulator::{Behaviour, Fault, Rule, Script};

fn groups() -> String {
    model_list(&[
        ("gpt-4o", &Wire::OpenAi.parameters("o")),
        ("claude", &Wire::Anthropic.parameters("a")),
        ("gemini", &Wire::Gemini.parameters("g")),
    ])
}

async fn app() -> App {
    App::start(groups(), Script::new()).await
}

fn say(model: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": "hi"}]})
}

fn operations(app: &App) -> Vec<&'static str> {
    app.received().iter().map(|request| request.operation).collect()
}

#[tokio::test]
async fn anthropics_callers_get_a_count_from_the_provider_or_an_estimate() {
    let app = app().await;
    let count = async |model: &str| app.post("/v1/messages/count_tokens", &say(model)).await.json();
    let claude = count("claude").await;
    assert_eq!(claude["litellm_count_source"], "provider");
    assert!(claude["input_tokens"].as_u64().unwrap() > 0);
    let gemini = count("gemini").await;
    assert_eq!(gemini["litellm_count_source"], "provider");
    assert_eq!(operations(&app), ["count_tokens", "count_tokens"]);
    let body: Value = serde_json::from_slice(&app.received()[0].body).unwrap();
    assert_eq!(body["model"], "claude-sonnet-4-5");
    assert_eq!(count("gpt-4o").await, json!({"input_tokens": 8, "litellm_count_source": "local_estimate"}));
    assert_eq!(app.received().len(), 2);
    app.stop().await;
}

#[tokio::test]
async fn googles_callers_get_theirs_in_their_shape() {
    let app = app().await;
    let body = json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]});
    for (path, is_asked) in [
        ("/v1beta/models/gemini:countTokens", true),
        ("/v1/models/gemini:countTokens", true),
        ("/gemini/v1beta/models/claude:countTokens", true),
        ("/v1beta/models/gpt-4o:countTokens", false),
    ] {
        let before = app.received().len();
        let answer = app.post(path, &body).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        assert!(answer.json()["totalTokens"].as_u64().unwrap() > 0, "{path}");
        assert_eq!(app.received().len() - before, usize::from(is_asked), "{path}");
    }
    app.stop().await;
}

#[tokio::test]
async fn a_provider_that_cannot_count_is_counted_for_and_a_wrong_request_is_told() {
    let rule = Rule::model("claude-*", Behaviour::new().fault(Fault::status(529)));
    let app = App::start(groups(), Script::new().rule(rule.times(1))).await;
    let counted = app.post("/v1/messages/count_tokens", &say("claude")).await;
    assert_eq!(counted.json(), json!({"input_tokens": 8, "litellm_count_source": "local_estimate"}));
    let told = |answer: &Answer| (answer.status, answer.json()["error"]["type"].clone());
    let wrong = json!({"model": "claude", "messages": [{"role": "user", "content": 7}]});
    let answer = app.post("/v1/messages/count_tokens", &wrong).await;
    assert_eq!(told(&answer), (400, json!("invalid_request_error")), "{}", answer.text());
    let refused = json!({"model": "claude", "messages": []});
    let answer = app.post("/v1/messages/count_tokens", &refused).await;
    assert_eq!((answer.status, answer.json()["type"].as_str()), (400, Some("error")), "{}", answer.text());
    let unknown = app.post("/v1/messages/count_tokens", &say("nobody")).await;
    assert_eq!((unknown.status, unknown.json()["type"].as_str()), (400, Some("error")));
    let google = app.post("/v1beta/models/nobody:countTokens", &json!({"contents": []})).await;
    assert_eq!((google.status, google.json()["error"]["status"].as_str()), (400, Some("INVALID_ARGUMENT")));
    app.stop().await;
}

#[tokio::test]
async fn a_count_is_a_request_of_the_limits_whoever_counts_and_a_row_where_a_provider_does() {
    let app =
        App::start(format!("{}general_settings: {{master_key: {MASTER}}}\n", groups()), Script::new()).await;
    let contents = json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]});
    for (path, body, by_provider) in [
        ("/v1/messages/count_tokens", say("claude"), true),
        ("/v1/messages/count_tokens", say("gpt-4o"), false),
        ("/v1beta/models/gemini:countTokens", contents.clone(), true),
        ("/utils/token_counter", say("gpt-4o"), false),
        ("/utils/token_counter?call_endpoint=true", say("claude"), true),
    ] {
        let held = key(&app, json!({"rpm_limit": 1})).await;
        let before = app.received().len();
        let counted = ask_as(&app, &held, path, &body).await;
        assert_eq!(counted.status, 200, "{path}: {}", counted.text());
        assert_eq!(counted.header("x-ratelimit-api_key-remaining-requests"), Some("0"), "{path}");
        let refused = ask_as(&app, &held, path, &body).await;
        assert_eq!((refused.status, refused.header("rate_limit_type")), (429, Some("requests")), "{path}");
        assert_eq!(app.received().len() - before, usize::from(by_provider), "{path}");
        let mut rows = Vec::new();
        for _ in 0..500 {
            let page =
                seen(&app, &format!("/spend/logs/v2?api_key={}", Token::of(held.as_bytes()).as_str())).await;
            rows = page["data"].as_array().unwrap().clone();
            // The refusal is one as well.
            if rows.len() == 1 + usize::from(by_provider) {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        let of_counts: Vec<&Value> = rows.iter().filter(|row| row["call_type"] == "count_tokens").collect();
        assert_eq!(
            (rows.len(), of_counts.len()),
            (1 + usize::from(by_provider), usize::from(by_provider)),
            "{path}: {rows:?}"
        );
        for row in of_counts {
            assert_eq!((&row["spend"], &row["status"]), (&json!(0.0), &json!("success")), "{path}: {row}");
            assert!(row["metadata"].get("tollgate_unpriced").is_none(), "{row}");
        }
    }
    let one = key(&app, json!({"max_parallel_requests": 0})).await;
    let full = ask_as(&app, &one, "/v1/messages/count_tokens", &say("claude")).await;
    assert_eq!((full.status, full.header("rate_limit_type")), (429, Some("max_parallel_requests")));
    app.stop().await;
}

#[tokio::test]
async fn without_a_key_nothing_is_counted_and_the_refusal_is_in_the_callers_shape() {
    let yaml = groups() + "general_settings: {master_key: sk-master-0123456789}\n";
    let app = App::start(yaml, Script::new()).await;
    let answer = app.post("/v1/messages/count_tokens", &say("claude")).await;
    assert_eq!((answer.status, answer.json()["error"]["type"].as_str()), (401, Some("authentication_error")));
    let answer = app.post("/v1beta/models/gemini:countTokens", &json!({"contents": []})).await;
    assert_eq!((answer.status, answer.json()["error"]["code"].as_u64()), (401, Some(401)));
    assert_eq!(app.post("/utils/token_counter", &say("gpt-4o")).await.status, 401);
    let with_key = "/v1beta/models/gemini:countTokens?key=sk-master-0123456789";
    let body = json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]});
    assert_eq!(app.post(with_key, &body).await.status, 200);
    app.stop_while_draining().await;
}

#[tokio::test]
async fn litellms_counter_answers_as_litellm_does() {
    let app = app().await;
    let answer = app.post("/utils/token_counter", &say("gpt-4o")).await;
    let expect = json!({
        "total_tokens": 8, "request_model": "gpt-4o", "model_used": "gpt-4o",
        "tokenizer_type": "openai_tokenizer", "count_source": "local_estimate", "original_response": null,
        "error": false, "error_message": null, "status_code": null,
    });
    assert_eq!(answer.json(), expect);
    let check = async |path: &str, body: Value, tokenizer: &str, source: &str| {
        let answer = app.post(path, &body).await;
        let told = answer.json();
        assert_eq!(told["tokenizer_type"], tokenizer, "{body}: {told}");
        assert_eq!(told["count_source"], source, "{body}");
        assert!(told["total_tokens"].as_u64().unwrap() > 0, "{body}");
    };
    let path = "/utils/token_counter";
    check(path, say("claude"), "estimate", "local_estimate").await;
    check(path, say("no-group-of-ours"), "estimate", "local_estimate").await;
    check(path, json!({"model": "gpt-4o", "prompt": "hi"}), "openai_tokenizer", "local_estimate").await;
    check(path, json!({"model": "gpt-4o", "prompt": ["hi", "ho"]}), "openai_tokenizer", "local_estimate")
        .await;
    let contents = json!([{"role": "user", "parts": [{"text": "hi"}]}]);
    check(path, json!({"model": "gemini", "contents": contents}), "estimate", "local_estimate").await;
    assert_eq!(app.received().len(), 0);
    let path = "/utils/token_counter?call_endpoint=true";
    check(path, say("claude"), "anthropic_api", "provider").await;
    check(path, say("gemini"), "gemini_api", "provider").await;
    check(path, say("gpt-4o"), "openai_tokenizer", "local_estimate").await;
    for body in
        [json!({"model": "gpt-4o"}), json!({"messages": []}), json!([]), json!({"model": "m", "prompt": 7})]
    {
        assert_eq!(app.post(path, &body).await.status, 400, "{body}");
    }
    app.stop().await;
}

#[tokio::test]
async fn a_models_supported_parameters_are_those_that_reach_its_provider() {
    let app = app().await;
    let params = async |model: &str| -> Vec<String> {
        let answer = app.get(&format!("/utils/supported_openai_params?model={model}")).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        serde_json::from_value(answer.json()["supported_openai_params"].clone()).unwrap()
    };
    let has = |params: &[String], name: &str| params.iter().any(|param| param == name);
    let openai = params("gpt-4o").await;
    for name in ["temperature", "logit_bias", "stream_options", "max_retries", "extra_headers", "user"] {
        assert!(has(&openai, name), "{name}: {openai:?}");
    }
    let anthropic = params("claude").await;
    assert!(has(&anthropic, "thinking") && !has(&anthropic, "logit_bias"), "{anthropic:?}");
    // Names in LiteLLM's spelling need no group.
    assert!(!has(&params("mistral/mistral-large-latest").await, "logit_bias"));
    assert_eq!(app.get("/utils/supported_openai_params?model=nobody/x").await.status, 400);
    assert_eq!(app.get("/utils/supported_openai_params").await.status, 400);
    app.stop().await;
}

#[tokio::test]
async fn a_request_is_shown_as_it_would_be_sent_without_its_secrets() {
    let app = app().await;
    let show = async |call: &str, body: Value| {
        let asked = json!({"call_type": call, "request_body": body});
        app.post("/utils/transform_request", &asked).await
    };
    let answer = show("completion", say("gpt-4o")).await;
    let told = answer.json();
    assert!(told["raw_request_api_base"].as_str().unwrap().ends_with("/d/o/v1/chat/completions"), "{told}");
    assert_eq!(told["raw_request_body"], say("gpt-4o"));
    assert_eq!(told["error"], Value::Null);
    let told = show("completion", say("claude")).await.json();
    assert!(told["raw_request_api_base"].as_str().unwrap().ends_with("/d/a/v1/messages"), "{told}");
    assert_eq!(told["raw_request_body"]["model"], "claude-sonnet-4-5");
    assert!(told["raw_request_body"]["max_tokens"].is_u64());
    assert_eq!(told["raw_request_headers"]["x-api-key"], "****", "{told}");
    let everything = told.to_string() + &answer.everything();
    assert!(!everything.contains("sk-key-of"), "{everything}");
    let told = show("acompletion", say("nobody")).await;
    assert_eq!(told.status, 200);
    assert!(told.json()["error"].as_str().unwrap().contains("Invalid model name"), "{}", told.text());
    assert_eq!(show("no_call", say("gpt-4o")).await.status, 400);
    assert_eq!(app.received().len(), 0);
    app.stop().await;
}

#[tokio::test]
async fn capabilities_are_told_for_every_provider() {
    let app = app().await;
    let all = app.get("/v1/capabilities").await.json();
    let rows = all["data"].as_array().unwrap();
    assert!(rows.len() > 80, "{}", rows.len());
    let row = |name: &str| rows.iter().find(|row| row["provider"] == name).cloned().unwrap();
    assert_eq!(row("openai")["params"]["temperature"], "takes");
    assert_eq!(row("anthropic")["params"]["logit_bias"], "refuses");
    assert_eq!(row("cerebras")["params"]["logit_bias"], "refuses");
    let words = ["takes", "translates", "ignores", "refuses"];
    for row in rows {
        for (name, word) in row["params"].as_object().unwrap() {
            assert!(words.contains(&word.as_str().unwrap()), "{row} {name}");
        }
    }
    assert_eq!(app.get("/v1/capabilities?provider=gemini").await.json()["data"].as_array().unwrap().len(), 1);
    assert_eq!(app.get("/v1/capabilities?provider=nobody").await.status, 400);
    app.stop().await;
}
