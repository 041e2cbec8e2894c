//! What watsonx takes, and how it answers.

use super::*;
use crate::behaviour::Behaviour;
use crate::compose::{Ids, compose};

fn body(extra: &Value) -> Value {
    let mut body =
        json!({"model_id": "m", "project_id": "p", "messages": [{"role": "user", "content": "hi"}]});
    for (key, value) in extra.as_object().unwrap() {
        body[key] = value.clone();
    }
    body
}

fn verdict(body: &Value) -> Result<(), ApiError> {
    match shape::check(body.as_object().unwrap(), tables::CHAT, Keys::Exact).first() {
        Some(violation) => Err(spell(violation)),
        None => place(body, false).and_then(|()| chat(body)),
    }
}

fn refused(extra: Value, code: &str, message: &str) {
    let error = verdict(&body(&extra)).unwrap_err();
    assert_eq!((error.status, error.kind), (400, Some(code)), "{extra}: {error:?}");
    assert!(error.message.contains(message), "{extra}: {error:?}");
}

#[test]
fn what_the_schema_does_not_have_is_refused() {
    let tools = json!([{"type": "function", "function": {"name": "f"}}]);
    assert_eq!(
        verdict(&body(&json!({"tools": tools, "tool_choice_option": "required", "time_limit": 5}))),
        Ok(())
    );
    refused(json!({"model": "m"}), "json_validation_error", "model is not a known field");
    refused(json!({"space_id": "s"}), "invalid_request_entity", "Only one of space_id and project_id");
    refused(
        json!({"response_format": {}}),
        "invalid_request_entity",
        "Missing json field response_format.type",
    );
    refused(json!({"stop": "x"}), "json_type_error", "stop should be an array");
    refused(
        json!({"tool_choice": "auto", "tools": tools}),
        "json_type_error",
        "tool_choice should be an object",
    );
    refused(json!({"tool_choice_option": "auto"}), "invalid_input_argument", "need tools");
    refused(
        json!({"messages": [{"role": "system", "content": [{"type": "text", "text": "x"}]}]}),
        "json_type_error",
        "messages[0].content",
    );
}

#[test]
fn a_deployment_names_neither_model_nor_place() {
    assert_eq!(place(&json!({}), true), Ok(()));
    assert!(place(&json!({"project_id": "p"}), true).is_err());
    assert!(is_date("2025-02-11") && !is_date("20250211") && !is_date("2025-2-11x"));
}

#[test]
fn a_stream_has_numbered_events_and_the_counts_last() {
    let asked = body(&json!({"include_reasoning": true}));
    let ask = read_chat(&asked, "m", true);
    let composed = compose(&ask, &Behaviour::new());
    let mut making = Making { composed: &composed, ids: &mut Ids::new(1), created: 0, usage_fault: None };
    let plain = whole(&ask, &mut making);
    let events = events(&ask, &mut making);
    let mut frames: Vec<Value> = Vec::new();
    for (index, event) in events.iter().enumerate() {
        let text = String::from_utf8_lossy(&event.bytes).into_owned();
        let data = text.strip_prefix(&format!("id: {}\nevent: message\ndata: ", index + 1)).unwrap();
        frames.push(serde_json::from_str(data).unwrap());
    }
    let joined = |pointer: &str| -> String {
        frames.iter().filter_map(|frame| frame.pointer(pointer).and_then(Value::as_str)).collect()
    };
    let message = &plain["choices"][0]["message"];
    assert_eq!(joined("/choices/0/delta/content"), message["content"]);
    assert_eq!(joined("/choices/0/delta/reasoning_content"), message["reasoning_content"]);
    let last = frames.last().unwrap();
    assert_eq!((&last["choices"], &last["usage"]), (&json!([]), &plain["usage"]));
}

#[test]
fn embeddings_are_results_with_a_count() {
    let composed = crate::compose::Composed::default();
    let making = Making { composed: &composed, ids: &mut Ids::new(1), created: 0, usage_fault: None };
    let asked = json!({"model_id": "m", "inputs": ["a", "b"], "parameters": {"return_options": {"input_text": true}}});
    let reply = embeddings(&asked, &making);
    assert_eq!((reply["results"].as_array().unwrap().len(), &reply["results"][1]["input"]), (2, &json!("b")));
    assert_eq!(reply["input_token_count"], 0);
}
