//! Properties of every chat that goes out to Cohere, whatever the conversation.
#![allow(clippy::unwrap_used, clippy::panic, clippy::needless_pass_by_value)]

use proptest::prelude::*;
use serde_json::Value;
use std::collections::HashSet;
use tollgate_dialect::cohere::{decode_request, encode_chat};
use tollgate_dialect::conversation::{ChatRequest, MediaSource, Message, Part, Role};
use tollgate_dialect::wire::{Dialect, EncodeOptions};

/// One step of a conversation: who speaks what, or a round of calls and their results.
#[derive(Debug, Clone)]
enum Step {
    Says(Role, Vec<Part>),
    /// Ids of the calls; the results come in the order that the flag says, after what was said between, if anything.
    Calls(Vec<String>, bool, Option<String>),
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), "[a-z]{1,5}", "\\PC{0,6}", Just("{\"a\":1}".to_owned())]
}

fn part() -> impl Strategy<Value = Part> {
    let file =
        (text(), prop::option::of("[a-z]{0,4}"), any::<bool>()).prop_map(|(words, filename, citations)| {
            let source = MediaSource::Text(words);
            Part::File { source, filename, context: None, citations, cache_control: None }
        });
    prop_oneof![4 => text().prop_map(Part::text), 1 => file]
}

fn step() -> impl Strategy<Value = Step> {
    let words = || prop::collection::vec(text().prop_map(Part::text), 0..3);
    let asks = prop::collection::vec(part(), 0..3).prop_map(|parts| Step::Says(Role::User, parts));
    let instructs = words().prop_map(|parts| Step::Says(Role::System, parts));
    let thinks = (prop::option::of(text()), words()).prop_map(|(thought, parts)| {
        let thought = thought.map(|text| Part::Reasoning { text, signature: None });
        Step::Says(Role::Assistant, thought.into_iter().chain(parts).collect())
    });
    let id = prop_oneof!["[a-c]", "\\PC{0,3}"];
    let calls = (prop::collection::vec(id, 1..4), any::<bool>(), prop::option::of(text()))
        .prop_map(|(ids, reversed, said)| Step::Calls(ids, reversed, said));
    prop_oneof![2 => asks, 1 => instructs, 1 => thinks, 2 => calls]
}

fn message(role: Role, parts: Vec<Part>) -> Message {
    Message { role, parts, name: None }
}

fn request(steps: &[Step]) -> ChatRequest {
    let mut messages = vec![message(Role::User, vec![Part::text("begin")])];
    for step in steps {
        match step {
            Step::Says(role, parts) => messages.push(message(*role, parts.clone())),
            Step::Calls(ids, reversed, said) => {
                let call = |id: &String| Part::ToolCall {
                    id: id.clone(),
                    name: "f".to_owned(),
                    arguments: "{}".to_owned(),
                    is_custom: false,
                    signature: None,
                };
                messages.push(message(Role::Assistant, ids.iter().map(call).collect()));
                messages.extend(said.iter().map(|said| message(Role::User, vec![Part::text(said)])));
                let result = |id: &String| Part::ToolResult {
                    call_id: id.clone(),
                    content: vec![Part::text(id)],
                    is_error: false,
                    cache_control: None,
                };
                let mut results: Vec<Message> =
                    ids.iter().map(|id| message(Role::Tool, vec![result(id)])).collect();
                if *reversed {
                    results.reverse();
                }
                messages.extend(results);
            }
        }
    }
    ChatRequest { model: "m".to_owned(), messages, ..ChatRequest::default() }
}

fn encode(request: &ChatRequest) -> Vec<u8> {
    encode_chat(request, &EncodeOptions::default()).unwrap().body
}

fn is_empty(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => true,
        Some(Value::String(text)) => text.is_empty(),
        Some(Value::Array(items)) => items.is_empty(),
        Some(_) => false,
    }
}

proptest! {
    #[test]
    fn calls_are_answered_at_once_and_no_message_is_empty(steps in prop::collection::vec(step(), 0..12)) {
        let body: Value = serde_json::from_slice(&encode(&request(&steps))).unwrap();
        let mut open: HashSet<String> = HashSet::new();
        for message in body["messages"].as_array().unwrap() {
            if message["role"] == "tool" {
                prop_assert!(open.remove(message["tool_call_id"].as_str().unwrap()));
                continue;
            }
            prop_assert!(open.is_empty(), "{}", message);
            let calls = message["tool_calls"].as_array().map_or(&[][..], Vec::as_slice);
            for call in calls {
                prop_assert!(open.insert(call["id"].as_str().unwrap().to_owned()), "{} twice", call);
            }
            prop_assert!(!calls.is_empty() || !is_empty(message.get("content")), "{}", message);
        }
        prop_assert!(open.is_empty());
    }

    #[test]
    fn what_goes_out_goes_out_again_as_it_is(steps in prop::collection::vec(step(), 0..12)) {
        let written = encode(&request(&steps));
        let read = decode_request(&written).unwrap();
        prop_assert_eq!(read.dialect, Dialect::Cohere);
        let again: Value = serde_json::from_slice(&encode(&read)).unwrap();
        let mut expect: Value = serde_json::from_slice(&written).unwrap();
        // Only a caller of another dialect has it said.
        expect.as_object_mut().unwrap().shift_remove("stream");
        prop_assert_eq!(again, expect);
    }
}
