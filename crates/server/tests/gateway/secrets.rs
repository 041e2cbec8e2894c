//! Keys, which no answer shows.

use crate::support::{Answer, App, RawProvider, WIRES, Wire, data, hello, model_list, post, streamed};
use serde_json::json;
use tollgate_simulator::{Behaviour, Fault, Reason, Rule, Script, StatusFault};

const MASTER: &str = "sk-master-0123456789";
const PROVIDERS: &str = "sk-key-of-a";
const STRANGERS: &str = "sk-stranger-0123456789";

fn yaml(wire: Wire) -> String {
    let list = model_list(&[("m", &wire.parameters("a"))]);
    format!("{list}router_settings: {{num_retries: 0}}\ngeneral_settings: {{master_key: {MASTER}}}\n")
}

fn check(answer: &Answer, context: &str) {
    let everything = answer.everything();
    for secret in [MASTER, PROVIDERS, STRANGERS] {
        assert!(!everything.contains(secret), "{context}: {everything}");
    }
}

/// Asks with the master key.
async fn ask(app: &App, body: &serde_json::Value) -> Answer {
    let headers = [("authorization", format!("Bearer {MASTER}"))];
    let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
    app.ask(&post("/v1/chat/completions", &headers, body.to_string().as_bytes())).await
}

#[tokio::test]
async fn a_provider_that_repeats_its_key_does_not_give_it_to_the_caller() {
    let sentences =
        ["Incorrect API key provided: {key}.", "{key}", "{key}{key} x{key}x", "Bearer {key} is bad"];
    for wire in WIRES {
        let app = App::start(yaml(wire), Script::new()).await;
        for code in [400, 401, 403, 404, 413, 422, 429, 500, 502, 503] {
            for reason in [Reason::Usual, Reason::ContextWindow, Reason::ContentPolicy] {
                for message in sentences {
                    let fault =
                        StatusFault { code, message: Some(message.to_owned()), reason, retry_after: None };
                    let behaviour = Behaviour::new().fault(Fault::Status(fault.clone()));
                    app.simulator.script().set_rules(vec![Rule::any(behaviour)]);
                    for body in [hello("m"), streamed(hello("m"))] {
                        let answer = ask(&app, &body).await;
                        assert!(answer.status >= 400);
                        check(&answer, &format!("{wire:?} {fault:?}"));
                    }
                }
            }
        }
        app.stop_while_draining().await;
    }
}

#[tokio::test]
async fn a_stream_that_ends_with_an_error_which_repeats_the_key_does_not_give_it_to_the_caller() {
    let openai = format!(
        "data: {}\n\ndata: {}\n\n",
        json!({"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "x",
               "choices": [{"index": 0, "delta": {"content": "hi"}, "finish_reason": null}]}),
        json!({"error": {"message": format!("bad key {PROVIDERS}!"), "type": "server_error", "code": null}})
    );
    let anthropic = format!(
        "event: message_start\ndata: {}\n\nevent: content_block_start\ndata: {}\n\nevent: content_block_delta\ndata: {}\n\nevent: error\ndata: {}\n\n",
        json!({"type": "message_start", "message": {"id": "x", "type": "message", "role": "assistant", "model": "x",
               "content": [], "stop_reason": null, "stop_sequence": null, "usage": {"input_tokens": 1, "output_tokens": 1}}}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hi"}}),
        json!({"type": "error", "error": {"type": "api_error", "message": format!("bad key {PROVIDERS}!")}})
    );
    let gemini = format!(
        "data: {}\n\ndata: {}\n\n",
        json!({"candidates": [{"index": 0, "content": {"role": "model", "parts": [{"text": "hi"}]}}]}),
        json!({"error": {"code": 500, "status": "INTERNAL", "message": format!("bad key {PROVIDERS}!")}})
    );
    for (wire, stream) in [(Wire::OpenAi, openai), (Wire::Anthropic, anthropic), (Wire::Gemini, gemini)] {
        let provider = RawProvider::of("text/event-stream", &stream).await;
        let app = App::start(yaml(wire).replace("{sim}", &provider.address.to_string()), Script::new()).await;
        let answer = ask(&app, &streamed(hello("m"))).await;
        check(&answer, &format!("{wire:?}"));
        let text = answer.text();
        let last = text.split_inclusive("\n\n").last().unwrap();
        let message = data(last)["error"]["message"].as_str().unwrap().to_owned();
        assert!(message.ends_with("bad key ****!"), "{wire:?}: {message}");
        app.stop_while_draining().await;
    }
}

#[tokio::test]
async fn a_provider_that_repeats_its_key_in_a_header_does_not_give_it_to_the_caller() {
    for wire in WIRES {
        let behaviour = Behaviour::new()
            .header("x-echo", PROVIDERS)
            .header("x-ratelimit-key", PROVIDERS)
            .header("x-request-id", PROVIDERS)
            .header("x-debug", format!("authorization=Bearer {PROVIDERS}; x"));
        let app = App::start(yaml(wire), Script::new().rule(Rule::any(behaviour))).await;
        for body in [hello("m"), streamed(hello("m"))] {
            let answer = ask(&app, &body).await;
            assert_eq!(answer.status, 200);
            check(&answer, &format!("{wire:?}"));
        }
        app.stop_while_draining().await;
    }
}

#[tokio::test]
async fn no_page_of_the_gateway_shows_a_key() {
    for wire in WIRES {
        let more = "environment_variables: {MY_SECRET: sk-key-of-a}\n";
        let app = App::start(yaml(wire) + more, Script::new().keys(["another"])).await;
        ask(&app, &hello("m")).await;
        for path in [
            "/v1/models",
            "/v1/models/m",
            "/v1/model/info",
            "/model/info",
            "/model_group/info",
            "/health",
            "/health/readiness",
            "/metrics",
            "/openapi.json",
            "/",
            "/nope",
            "/key/info",
        ] {
            let request = format!("GET {path} HTTP/1.1\r\nhost: g\r\nauthorization: Bearer {MASTER}\r\n\r\n");
            let answer = app.ask(request.as_bytes()).await;
            assert!(answer.status != 401, "{path}");
            check(&answer, path);
            let request =
                format!("GET {path} HTTP/1.1\r\nhost: g\r\nauthorization: Bearer {STRANGERS}\r\n\r\n");
            check(&app.ask(request.as_bytes()).await, path);
        }
        app.stop_while_draining().await;
    }
}

#[tokio::test]
async fn a_strangers_key_is_told_by_its_hash() {
    let app = App::start(yaml(Wire::OpenAi), Script::new()).await;
    for (key, kind) in [(STRANGERS, "token_not_found_in_db"), ("stranger-0123456789", "auth_error")] {
        for header in ["authorization", "x-api-key", "api-key", "x-goog-api-key", "x-litellm-api-key"] {
            let answer = app.hello_with("m", &[(header, key)]).await;
            assert_eq!((answer.status, answer.error()["type"].as_str()), (401, Some(kind)), "{header}");
            assert!(!answer.everything().contains("0123456789"), "{header}: {answer:?}");
        }
    }
    assert_eq!(app.received().len(), 0);
    app.stop_while_draining().await;
}

#[tokio::test]
async fn a_key_that_is_no_header_value_is_refused_at_the_start_without_being_shown() {
    use tollgate_config::Config;
    use tollgate_server::Gateway;
    for wire in WIRES {
        let text = yaml(wire).replace("sk-key-of-a", "\"sk-key\\nof-a\"").replace("{sim}", "127.0.0.1:1");
        let loaded = Config::from_yaml_text(&text, &|_| None);
        let said = match loaded.config {
            None => loaded.report.to_string(),
            Some(config) => Gateway::new(config, None).err().expect("it is taken").to_string(),
        };
        assert!(!said.contains("of-a"), "{wire:?}: {said}");
    }
}
