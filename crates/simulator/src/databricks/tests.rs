//! What the endpoints take, and how they answer.

use super::*;
use crate::behaviour::{Answer, Behaviour};
use crate::compose::{Ids, compose};

fn body(extra: &Value) -> Value {
    let mut body = json!({"messages": [{"role": "user", "content": "hi"}]});
    for (key, value) in extra.as_object().unwrap() {
        body[key] = value.clone();
    }
    body
}

fn verdict(body: &Value) -> Result<(), ApiError> {
    match shape::check(body.as_object().unwrap(), tables::CHAT, Keys::Exact).first() {
        Some(violation) => Err(spell(violation)),
        None => chat(body),
    }
}

fn refused(extra: Value, kind: &str, message: &str) {
    let error = verdict(&body(&extra)).unwrap_err();
    assert_eq!((error.status, error.kind), (400, Some(kind)), "{extra}");
    assert!(error.message.contains(message), "{extra}: {error:?}");
}

#[test]
fn a_field_that_is_not_in_the_reference_is_unknown() {
    refused(json!({"stream_options": {}}), "BAD_REQUEST", "json: unknown field \"stream_options\"");
    let traced = json!([{"role": "assistant", "content": "x", "reasoning_content": "t"}]);
    refused(json!({"messages": traced}), "BAD_REQUEST", "json: unknown field \"reasoning_content\"");
    refused(json!({"messages": []}), "BAD_REQUEST", "must not be empty");
    refused(json!({"n": 6}), "BAD_REQUEST", "n must be at most 5");
    refused(json!({"tool_choice": "auto"}), "BAD_REQUEST", "tool_choice requires tools");
    refused(
        json!({"messages": [{"role": "user"}]}),
        "INVALID_PARAMETER_VALUE",
        "Missing required Chat parameter: 'messages.content'",
    );
    let answer =
        json!([{"role": "user", "content": "x"}, {"role": "tool", "tool_call_id": "a", "content": "r"}]);
    refused(json!({"messages": answer}), "BAD_REQUEST", "answers no tool call");
}

#[test]
fn reasoning_goes_back_in_as_it_came_out() {
    let said = json!({"role": "assistant", "content": [reasoning("t", "s"), {"type": "text", "text": "x"}]});
    let marked = json!({"role": "user", "content": [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}]});
    let extra =
        json!({"messages": [marked, said, {"role": "user", "content": "go on"}], "reasoning_effort": "low"});
    assert_eq!(verdict(&body(&extra)), Ok(()));
}

fn made(extra: &Value, behaviour: &Behaviour) -> (Value, Vec<Value>) {
    let ask = read_chat(&body(extra), "databricks-claude-sonnet-4");
    let composed = compose(&ask, behaviour);
    let mut making = Making { composed: &composed, ids: &mut Ids::new(1), created: 0, usage_fault: None };
    let plain = whole(&ask, &mut making);
    let events = events(&ask, &mut making);
    let frames =
        events.iter().filter_map(|event| serde_json::from_slice(event.bytes.strip_prefix(b"data: ")?).ok());
    (plain, frames.collect())
}

#[test]
fn thinking_is_a_block_with_its_signature_at_the_end() {
    let thinking = json!({"thinking": {"type": "enabled", "budget_tokens": 1_024}});
    let (plain, frames) = made(&thinking, &Behaviour::new());
    let content = &plain["choices"][0]["message"]["content"];
    assert_eq!((&content[0]["type"], &content[1]["type"]), (&json!("reasoning"), &json!("text")));
    let joined = |pointer: &str| -> String {
        frames.iter().filter_map(|frame| frame.pointer(pointer).and_then(Value::as_str)).collect()
    };
    let summary = "/choices/0/delta/content/0/summary/0";
    assert_eq!(joined(&format!("{summary}/text")), content[0]["summary"][0]["text"]);
    assert_eq!(joined(&format!("{summary}/signature")), content[0]["summary"][0]["signature"]);
    assert_eq!(joined("/choices/0/delta/content"), content[1]["text"]);
}

#[test]
fn every_event_has_the_counts_up_to_there() {
    let (plain, frames) = made(&json!({}), &Behaviour::new().answer(Answer::Tokens(3)));
    let counts: Vec<u64> =
        frames.iter().map(|frame| frame["usage"]["completion_tokens"].as_u64().unwrap()).collect();
    assert_eq!(counts, [0, 1, 2, 3, 3]);
    assert_eq!(frames.last().unwrap()["usage"], plain["usage"]);
}
