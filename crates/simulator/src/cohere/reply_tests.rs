//! Cohere's chat, plain and streamed.

use super::*;
use crate::ask::Ask;
use crate::behaviour::{Answer, Behaviour};
use crate::compose::{Ids, compose};
use crate::fault::UsageFault;

fn asking(body: &Value) -> Ask {
    super::super::read_chat(body)
}

/// The plain reply and the frames of the stream.
fn made(body: &Value, behaviour: &Behaviour, fault: Option<UsageFault>) -> (Value, Vec<Value>) {
    let composed = compose(&asking(body), behaviour);
    let mut ids = Ids::new(1);
    let mut making = Making { composed: &composed, ids: &mut ids, created: 0, usage_fault: fault };
    let plain = chat(body, &mut making);
    let events = events(body, &mut making);
    let frames = events.iter().filter_map(|event| {
        let text = String::from_utf8_lossy(&event.bytes).into_owned();
        let (head, data) = text.split_once("data: ")?;
        let frame: Value = serde_json::from_str(data).ok()?;
        assert_eq!(head, format!("event: {}\n", frame["type"].as_str()?));
        Some(frame)
    });
    (plain, frames.collect())
}

fn joined(frames: &[Value], pointer: &str) -> String {
    frames.iter().filter_map(|frame| frame.pointer(pointer).and_then(Value::as_str)).collect()
}

fn kinds(frames: &[Value]) -> Vec<&str> {
    let mut kinds: Vec<&str> = frames.iter().filter_map(|frame| frame["type"].as_str()).collect();
    kinds.dedup();
    kinds
}

fn body(extra: &Value) -> Value {
    let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
    for (key, value) in extra.as_object().unwrap() {
        body[key] = value.clone();
    }
    body
}

#[test]
fn a_stream_says_what_the_plain_reply_says() {
    let thinking = body(&json!({"thinking": {"type": "enabled"}, "logprobs": true}));
    let (plain, frames) = made(&thinking, &Behaviour::new(), None);
    assert_eq!(plain["finish_reason"], "COMPLETE");
    assert_eq!(
        joined(&frames, "/delta/message/content/thinking"),
        plain["message"]["content"][0]["thinking"]
    );
    assert_eq!(joined(&frames, "/delta/message/content/text"), plain["message"]["content"][1]["text"]);
    let starts =
        ["message-start", "content-start", "content-delta", "content-end", "content-start", "content-delta"];
    assert_eq!(kinds(&frames)[..6], starts);
    assert_eq!(kinds(&frames)[6..], ["content-end", "message-end"]);
    assert_eq!(frames.last().unwrap()["delta"]["usage"], plain["usage"]);
    let counted = plain["logprobs"].as_array().unwrap().len();
    assert_eq!(frames.iter().filter(|frame| frame.get("logprobs").is_some()).count(), counted);
}

#[test]
fn calls_come_with_a_plan_and_their_arguments_in_pieces() {
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}});
    let tool = |name: &str| json!({"type": "function", "function": {"name": name, "parameters": schema}});
    let asked = body(&json!({"tools": [tool("look"), tool("ring")]}));
    let (plain, frames) = made(&asked, &Behaviour::new().answer(Answer::CallTools(2)), None);
    let message = &plain["message"];
    assert_eq!(
        (&plain["finish_reason"], &message["tool_plan"]),
        (&json!("TOOL_CALL"), &json!("I will use look, ring."))
    );
    assert_eq!(message.get("content"), None);
    assert_eq!(
        message["tool_calls"][1]["function"],
        json!({"name": "ring", "arguments": "{\"city\":\"hi\"}"})
    );
    assert_eq!(joined(&frames, "/delta/message/tool_plan"), "I will use look, ring.");
    let arguments = "/delta/message/tool_calls/function/arguments";
    assert_eq!(joined(&frames, arguments), "{\"city\":\"hi\"}{\"city\":\"hi\"}");
    let started: Vec<&Value> = frames.iter().filter(|frame| frame["type"] == "tool-call-start").collect();
    assert_eq!((started.len(), &started[1]["index"]), (2, &json!(1)));
    assert_eq!(started[1].pointer("/delta/message/tool_calls/function/name"), Some(&json!("ring")));
}

#[test]
fn documents_are_cited_unless_citations_are_off() {
    let documents = json!(["gate", {"data": {"title": "t"}, "id": "second"}]);
    let (plain, frames) =
        made(&body(&json!({"documents": documents})), &Behaviour::new().text("äh well so"), None);
    let citations = plain["message"]["citations"].as_array().unwrap();
    assert_eq!(citations.len(), 2);
    assert_eq!(
        (&citations[1]["start"], &citations[1]["end"], &citations[1]["text"]),
        (&json!(3), &json!(7), &json!("well"))
    );
    assert_eq!(citations[1]["sources"][0]["document"], json!({"title": "t", "id": "second"}));
    let streamed: Vec<&Value> = frames
        .iter()
        .filter_map(|frame| frame.pointer("/delta/message/citations"))
        .filter(|one| one.is_object())
        .collect();
    assert_eq!(streamed, citations.iter().collect::<Vec<_>>());
    let off = body(&json!({"documents": documents, "citation_options": {"mode": "OFF"}}));
    assert_eq!(made(&off, &Behaviour::new(), None).0["message"].get("citations"), None);
    let result = json!({"messages": [
        {"role": "user", "content": "x"},
        {"role": "assistant", "tool_calls": [{"id": "a"}]},
        {"role": "tool", "tool_call_id": "a", "content": [{"type": "document", "document": {"data": {"x": "y"}}}]},
    ]});
    let source = &made(&body(&result), &Behaviour::new(), None).0["message"]["citations"][0]["sources"][0];
    assert_eq!(*source, json!({"type": "tool", "id": "a:0", "tool_output": {"x": "y"}}));
}

#[test]
fn each_reason_to_stop_has_its_word() {
    for (finish, word) in [
        (Finish::Stop, "COMPLETE"),
        (Finish::StopSequence, "STOP_SEQUENCE"),
        (Finish::Length, "MAX_TOKENS"),
        (Finish::Filtered, "ERROR"),
    ] {
        let (plain, frames) = made(&body(&json!({})), &Behaviour::new().finish(finish), None);
        assert_eq!(plain["finish_reason"], word);
        let delta = &frames.last().unwrap()["delta"];
        assert_eq!((&delta["finish_reason"], delta.get("error").is_some()), (&json!(word), word == "ERROR"));
    }
}

#[test]
fn counts_can_go_missing_or_come_twice() {
    let ends = |fault| {
        let (_, frames) = made(&body(&json!({})), &Behaviour::new(), Some(fault));
        frames.into_iter().filter(|frame| frame["type"] == "message-end").collect::<Vec<Value>>()
    };
    assert_eq!(ends(UsageFault::Missing)[0]["delta"].get("usage"), None);
    let twice = ends(UsageFault::Twice);
    let output =
        |end: &Value| end.pointer("/delta/usage/tokens/output_tokens").and_then(Value::as_u64).unwrap();
    assert_eq!((twice.len(), output(&twice[0])), (2, output(&twice[1]) / 2));
}
