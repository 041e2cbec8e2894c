//! Properties of every Messages body that the encoder writes, whatever the conversation; and that nothing is too odd to
//! be read or refused.
#![allow(clippy::unwrap_used, clippy::panic, clippy::needless_pass_by_value)]

use proptest::prelude::*;
use serde_json::Value;
use std::collections::HashSet;
use tollgate_dialect::anthropic::{StreamDecoder, StreamEncoder, decode_request, encode_chat};
use tollgate_dialect::conversation::{ChatRequest, Message, Part, Role};
use tollgate_dialect::sse::Frame;
use tollgate_dialect::wire::{Dialect, EncodeOptions, EventDecoder, EventEncoder, Outbound, ReplyFacts};

/// One step of a conversation: who speaks what, or a round of calls and their results.
#[derive(Debug, Clone)]
enum Step {
    Says(Role, Vec<String>),
    /// Ids of the calls; the results come in the order that the flag says, with text before them if there is one.
    Calls(Vec<String>, bool, Option<String>),
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), Just(" \n".to_owned()), "[a-z]{1,5} ?", "\\PC{0,6}"]
}

fn step() -> impl Strategy<Value = Step> {
    let role = prop_oneof![
        Just(Role::System),
        Just(Role::Developer),
        Just(Role::User),
        Just(Role::User),
        Just(Role::Assistant)
    ];
    let says = (role, prop::collection::vec(text(), 0..3)).prop_map(|(role, texts)| Step::Says(role, texts));
    let id = prop_oneof!["[a-c]", "call[._:]1", "\\PC{0,3}"];
    let calls = (prop::collection::vec(id, 1..4), any::<bool>(), prop::option::of(text()))
        .prop_map(|(ids, reversed, said)| Step::Calls(ids, reversed, said));
    prop_oneof![3 => says, 1 => calls]
}

fn message(role: Role, parts: Vec<Part>) -> Message {
    Message { role, parts, name: None }
}

fn messages(steps: &[Step]) -> Vec<Message> {
    let mut messages = Vec::new();
    for step in steps {
        match step {
            Step::Says(role, texts) => messages.push(message(*role, texts.iter().map(Part::text).collect())),
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
    messages
}

fn encode(steps: &[Step]) -> Outbound {
    let mut messages = messages(steps);
    if messages.is_empty() {
        messages.push(message(Role::User, Vec::new()));
    }
    let request = ChatRequest { model: "m".to_owned(), messages, ..ChatRequest::default() };
    encode_chat(&request, &EncodeOptions::default()).unwrap()
}

/// Members and words that the dialect knows, so that chance builds something near a body.
const WORDS: [&str; 34] = [
    "type",
    "text",
    "role",
    "user",
    "assistant",
    "system",
    "content",
    "source",
    "data",
    "image",
    "document",
    "tool_use",
    "tool_result",
    "thinking",
    "signature",
    "id",
    "name",
    "input",
    "tool_use_id",
    "citations",
    "title",
    "cache_control",
    "ephemeral",
    "ttl",
    "5m",
    "search_result",
    "base64",
    "media_type",
    "index",
    "delta",
    "content_block",
    "text_delta",
    "message",
    "usage",
];

/// Names of a stream's events.
const KINDS: [&str; 6] = [
    "message_start",
    "content_block_start",
    "content_block_delta",
    "content_block_stop",
    "message_delta",
    "message_stop",
];

fn word() -> impl Strategy<Value = String> {
    prop::sample::select(&WORDS[..]).prop_map(str::to_owned)
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        word().prop_map(Value::from),
        "\\PC{0,3}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((word(), inner), 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn blocks(turn: &Value) -> Vec<Value> {
    match &turn["content"] {
        Value::String(text) => vec![serde_json::json!({"type": "text", "text": text})],
        Value::Array(blocks) => blocks.clone(),
        other => panic!("content is {other}"),
    }
}

fn ids(turn: &Value, kind: &str, member: &str) -> Vec<String> {
    let of_kind = blocks(turn).into_iter().filter(|block| block["type"] == kind);
    of_kind.map(|block| block[member].as_str().unwrap().to_owned()).collect()
}

proptest! {
    #[test]
    fn roles_alternate_from_user_and_no_text_is_blank(steps in prop::collection::vec(step(), 0..12)) {
        let body: Value = serde_json::from_slice(&encode(&steps).body).unwrap();
        let turns = body["messages"].as_array().unwrap();
        prop_assert!(!turns.is_empty());
        for (index, turn) in turns.iter().enumerate() {
            prop_assert_eq!(&turn["role"], if index % 2 == 0 { "user" } else { "assistant" });
            let blocks = blocks(turn);
            prop_assert!(!blocks.is_empty());
            for block in blocks.iter().filter(|block| block["type"] == "text") {
                prop_assert!(!block["text"].as_str().unwrap().trim().is_empty());
            }
        }
        let last = turns.last().unwrap();
        if last["role"] == "assistant" {
            let blocks = blocks(last);
            let text = blocks.last().unwrap()["text"].as_str().unwrap_or_default();
            prop_assert_eq!(text, text.trim_end());
        }
    }

    #[test]
    fn every_result_follows_its_call_and_ids_are_unique_and_clean(steps in prop::collection::vec(step(), 0..12)) {
        let body: Value = serde_json::from_slice(&encode(&steps).body).unwrap();
        let turns = body["messages"].as_array().unwrap();
        let mut seen = HashSet::new();
        for (index, turn) in turns.iter().enumerate() {
            let calls = ids(turn, "tool_use", "id");
            for id in &calls {
                prop_assert!(seen.insert(id.clone()), "{} twice", id);
                prop_assert!(!id.is_empty());
                prop_assert!(id.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-'), "{}", id);
            }
            let answered = turns.get(index + 1).map(|next| ids(next, "tool_result", "tool_use_id"));
            let answered: HashSet<String> = answered.unwrap_or_default().into_iter().collect();
            prop_assert_eq!(calls.into_iter().collect::<HashSet<_>>(), answered);
            let kinds: Vec<bool> = blocks(turn).iter().map(|block| block["type"] == "tool_result").collect();
            prop_assert!(kinds.is_sorted_by(|a, b| a >= b), "results come first");
        }
        prop_assert!(ids(&turns[0], "tool_result", "tool_use_id").is_empty());
    }

    #[test]
    fn whatever_a_caller_sends_is_read_or_refused(messages in prop::collection::vec(json(), 1..4), role in word()) {
        let turns: Vec<Value> =
            messages.into_iter().map(|content| serde_json::json!({"role": role, "content": [content]})).collect();
        let body = serde_json::json!({"model": "m", "max_tokens": 9, "messages": turns}).to_string();
        if let Ok(request) = decode_request(body.as_bytes()) {
            prop_assert_eq!(request.dialect, Dialect::Anthropic);
            // Written or refused: calls may be without results, addresses without a scheme.
            let _ = encode_chat(&request, &EncodeOptions::default());
        }
    }

    #[test]
    fn whatever_a_provider_streams_is_read_or_malformed(frames in prop::collection::vec((word(), json()), 1..9)) {
        let (mut decoder, mut events) = (StreamDecoder::default(), Vec::new());
        for (word, data) in frames {
            let kind = KINDS.iter().find(|kind| kind.len() % 4 == word.len() % 4).copied();
            if decoder.read(&Frame::new(kind, data.to_string().as_bytes()), &mut events).is_err() {
                break;
            }
        }
        let mut out = Vec::new();
        StreamEncoder::new(ReplyFacts::default()).encode(&events, &mut out);
        prop_assert!(std::str::from_utf8(&out).is_ok());
    }

    #[test]
    fn equal_requests_are_equal_bytes(steps in prop::collection::vec(step(), 0..8)) {
        prop_assert_eq!(encode(&steps).body, encode(&steps).body);
    }
}
