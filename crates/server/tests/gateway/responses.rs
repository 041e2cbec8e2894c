//! The Responses surface: relayed, translated, stored, continued.

use crate::support::{App, Wire, data, model_list, post};
use serde_json::{Value, json};
use tollgate_simulator::{Behaviour, Fault, Rule, Script};

/// Groups of one deployment each, `openai`, `anthropic` and `gemini`, and `both` of the first two, OpenAI's first.
fn groups() -> String {
    let first = format!("{}, weight: 1", Wire::OpenAi.parameters("o"));
    let second = format!("{}, weight: 0", Wire::Anthropic.parameters("a"));
    let list = model_list(&[
        ("openai", &Wire::OpenAi.parameters("o")),
        ("anthropic", &Wire::Anthropic.parameters("a")),
        ("gemini", &Wire::Gemini.parameters("g")),
        ("both", &first),
        ("both", &second),
    ]);
    format!("{list}tollgate_settings: {{database_file: ':memory:'}}\n")
}

async fn respond(app: &App, body: Value) -> Value {
    let answer = app.post("/v1/responses", &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

/// What the simulated providers were asked last.
fn last_asked(app: &App) -> Value {
    app.received().last().unwrap().json()
}

/// Reads a stream of the Responses API to its end: the events' data.
async fn stream(app: &App, mut body: Value) -> Vec<Value> {
    body["stream"] = json!(true);
    let mut connection = app.connect().await;
    connection.write(&post("/v1/responses", &[], body.to_string().as_bytes())).await;
    let events = connection.stream().await.rest().await;
    events.iter().map(|event| data(event)).collect()
}

#[tokio::test]
async fn a_responses_caller_is_relayed_to_a_provider_that_speaks_it() {
    let app = App::start(groups(), Script::new()).await;
    let reply = respond(&app, json!({"model": "openai", "input": "Hello", "metadata": {"a": "b"}})).await;
    assert_eq!((reply["object"].as_str(), reply["model"].as_str()), (Some("response"), Some("openai")));
    let sent = app.received().remove(0);
    assert!(sent.path.ends_with("/v1/responses"), "{}", sent.path);
    assert_eq!(sent.json(), json!({"model": "gpt-4o", "input": "Hello", "metadata": {"a": "b"}}));
    app.stop().await;
}

#[tokio::test]
async fn a_responses_caller_is_answered_by_every_wire() {
    let app = App::start(groups(), Script::new()).await;
    for group in ["anthropic", "gemini"] {
        let reply =
            respond(&app, json!({"model": group, "instructions": "Be brief.", "input": "Hello"})).await;
        assert_eq!((reply["status"].as_str(), reply["model"].as_str()), (Some("completed"), Some(group)));
        assert_eq!(reply["instructions"], "Be brief.");
        assert_eq!(reply["output"][0]["type"], "message", "{reply}");
        assert!(reply["usage"]["output_tokens"].as_u64().unwrap() > 0);
        let events = stream(&app, json!({"model": group, "input": "Hello"})).await;
        let numbers: Vec<u64> =
            events.iter().map(|event| event["sequence_number"].as_u64().unwrap()).collect();
        assert_eq!(numbers, (0..events.len() as u64).collect::<Vec<_>>(), "{group}");
        assert_eq!(events[0]["type"], "response.created");
        assert_eq!(events.last().unwrap()["type"], "response.completed");
    }
    app.stop().await;
}

#[tokio::test]
async fn a_stored_response_is_got_listed_and_deleted() {
    let app = App::start(groups(), Script::new()).await;
    for group in ["openai", "anthropic"] {
        let reply = respond(&app, json!({"model": group, "input": "Hello"})).await;
        let id = reply["id"].as_str().unwrap();
        let path = format!("/v1/responses/{id}");
        assert_eq!(app.get(&path).await.json(), reply, "{group}");
        let items = app.get(&format!("{path}/input_items")).await.json();
        assert_eq!(items["data"][0]["content"][0]["text"], "Hello");
        assert_eq!((items["object"].as_str(), items["has_more"].as_bool()), (Some("list"), Some(false)));
        let cancelled = app.post(&format!("{path}/cancel"), &json!({})).await;
        assert_eq!(cancelled.status, 400);
        let deleted = app.ask(format!("DELETE {path} HTTP/1.1\r\nhost: g\r\n\r\n").as_bytes()).await;
        assert_eq!(deleted.json(), json!({"id": id, "object": "response", "deleted": true}));
        assert_eq!(app.get(&path).await.status, 404);
    }
    app.stop().await;
}

#[tokio::test]
async fn what_is_not_to_be_stored_is_not() {
    let app = App::start(groups(), Script::new()).await;
    let reply = respond(&app, json!({"model": "anthropic", "input": "Hello", "store": false})).await;
    let answer = app.get(&format!("/v1/responses/{}", reply["id"].as_str().unwrap())).await;
    assert_eq!(answer.status, 404, "{}", answer.text());
    app.stop().await;
}

#[tokio::test]
async fn a_conversation_goes_on_at_any_provider() {
    let app = App::start(groups(), Script::new()).await;
    let first = respond(&app, json!({"model": "openai", "input": "My name is Ada."})).await;
    // The provider that has it is told its id, and nothing is sent twice.
    let second =
        respond(&app, json!({"model": "openai", "input": "And?", "previous_response_id": first["id"]})).await;
    let asked = last_asked(&app);
    assert_eq!((&asked["previous_response_id"], &asked["input"]), (&first["id"], &json!("And?")));
    // Another one is sent all of it.
    let third =
        respond(&app, json!({"model": "anthropic", "input": "Who?", "previous_response_id": second["id"]}))
            .await;
    assert_eq!(third["previous_response_id"], second["id"]);
    let asked = last_asked(&app);
    let roles: Vec<&str> =
        asked["messages"].as_array().unwrap().iter().map(|turn| turn["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["user", "assistant", "user", "assistant", "user"]);
    assert!(asked.to_string().contains("My name is Ada."));
    // And back: what was said at the other provider goes along.
    respond(&app, json!({"model": "openai", "input": "Sure?", "previous_response_id": third["id"]})).await;
    let asked = last_asked(&app);
    assert_eq!(asked["input"].as_array().unwrap().len(), 7, "{asked}");
    assert_eq!(asked.get("previous_response_id"), None);
    app.stop().await;
}

#[tokio::test]
async fn a_conversation_survives_the_provider_that_has_it() {
    let app = App::start(groups(), Script::new()).await;
    let first = respond(&app, json!({"model": "both", "input": "My name is Ada."})).await;
    assert_eq!(app.sends(["o", "a"]), [1, 0]);
    app.simulator.script().push_first(Rule::deployment("o", Behaviour::new().fault(Fault::status(503))));
    let second =
        respond(&app, json!({"model": "both", "input": "And?", "previous_response_id": first["id"]})).await;
    assert_eq!(second["status"], "completed");
    assert_eq!(app.sends(["o", "a"]), [2, 1]);
    assert!(last_asked(&app).to_string().contains("My name is Ada."));
    app.stop().await;
}

#[tokio::test]
async fn a_streamed_answer_is_stored_before_its_end_is_seen() {
    let app = App::start(groups(), Script::new()).await;
    for group in ["openai", "anthropic"] {
        let events = stream(&app, json!({"model": group, "input": "Hello"})).await;
        let whole = &events.last().unwrap()["response"];
        let id = whole["id"].as_str().unwrap();
        let got = app.get(&format!("/v1/responses/{id}")).await;
        assert_eq!((got.status, &got.json()), (200, whole), "{group}");
    }
    app.stop().await;
}

#[tokio::test]
async fn an_unknown_turn_cannot_be_continued() {
    let app = App::start(groups(), Script::new()).await;
    let body = json!({"model": "openai", "input": "And?", "previous_response_id": "resp_nobody"});
    let answer = app.post("/v1/responses", &body).await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.error()["code"], "previous_response_not_found");
    assert_eq!(app.received().len(), 0);
    app.stop().await;
}

#[tokio::test]
async fn a_provider_without_responses_is_asked_in_chat_from_then_on() {
    let list = model_list(&[("m", &format!("{}, weight: 1", Wire::OpenAi.parameters("o")))]);
    let yaml = format!("{list}tollgate_settings: {{database_file: ':memory:'}}\n");
    let script =
        Script::new().rule(Rule::deployment("o", Behaviour { no_responses: true, ..Behaviour::new() }));
    let app = App::start(yaml, script).await;
    for sends in [2, 3] {
        let reply = respond(&app, json!({"model": "m", "input": "Hello"})).await;
        assert_eq!(reply["output"][0]["content"][0]["type"], "output_text");
        assert_eq!(app.received().len(), sends);
    }
    assert!(app.received().last().unwrap().path.ends_with("/chat/completions"));
    app.stop().await;
}

#[tokio::test]
async fn the_background_and_foreign_conversations_are_refused_by_name() {
    let app = App::start(groups(), Script::new()).await;
    for (name, value) in [("background", json!(true)), ("conversation", json!("conv_1"))] {
        let mut body = json!({"model": "openai", "input": "Hello"});
        body[name] = value;
        let answer = app.post("/v1/responses", &body).await;
        assert_eq!((answer.status, answer.error()["param"].as_str()), (400, Some(name)));
    }
    app.stop().await;
}
