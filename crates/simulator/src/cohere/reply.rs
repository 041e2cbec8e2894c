//! Cohere's chat replies, plain and streamed, and its list of models.
//!
//! Owns: their shapes. Leaves to others: the answer itself (`compose`), embeddings and rankings (`vectors`).
//!
//! **Invariant:** a stream's pieces put together are the plain reply's thinking, text, plan, calls and citations.

use super::{document_text, uuid};
use crate::ask::{flag_at, items_at, pieces, text_at};
use crate::behaviour::Finish;
use crate::compose::Call;
use crate::reply::{Event, Making, Role};
use bytes::Bytes;
use serde_json::{Map, Value, json};

/// The log probability of every token.
const LOGPROB: f64 = -0.125;
/// What is said of an answer that the policy cut.
const BLOCKED: &str = "the response was blocked because it may violate the usage guidelines";

fn finish_word(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop => "COMPLETE",
        Finish::StopSequence => "STOP_SEQUENCE",
        Finish::Length => "MAX_TOKENS",
        Finish::Tools => "TOOL_CALL",
        Finish::Filtered => "ERROR",
    }
}

fn usage(making: &Making<'_>) -> Value {
    let counts = &making.composed.counts;
    let tokens = json!({"input_tokens": counts.prompt, "output_tokens": counts.completion});
    json!({"billed_units": tokens, "tokens": tokens, "cached_tokens": counts.cached})
}

/// What the model says it is going to do, where it does not think aloud.
fn plan(making: &Making<'_>) -> Option<String> {
    let composed = making.composed;
    let names: Vec<&str> = composed.calls.iter().map(|call| call.name.as_str()).collect();
    (!names.is_empty() && composed.reasoning.is_none()).then(|| format!("I will use {}.", names.join(", ")))
}

fn tool_call(call: &Call, making: &mut Making<'_>) -> Value {
    // Ids are the tool's name and some letters.
    let id = making.ids.next(&format!("{}_", call.name), 12);
    json!({"id": id, "type": "function", "function": {"name": call.name, "arguments": call.arguments.to_string()}})
}

/// One citation for each document that the request gives: of the answer's first words, in order.
fn citations(body: &Value, making: &Making<'_>) -> Vec<Value> {
    let mode = body.pointer("/citation_options/mode").and_then(Value::as_str).unwrap_or_default();
    if matches!(mode, "OFF" | "DISABLED") || making.composed.text.is_empty() {
        return Vec::new();
    }
    let index = usize::from(making.composed.reasoning.is_some());
    let mut at = 0;
    let words = making.composed.text.split(' ').map(|word| {
        let start = at;
        let len = word.chars().count();
        at += len + 1;
        (word, start, start + len)
    });
    let cited = sources(body).into_iter().zip(words.collect::<Vec<_>>());
    cited
        .map(|(source, (word, start, end))| {
            json!({"start": start, "end": end, "text": word, "sources": [source], "type": "TEXT_CONTENT",
                "content_index": index})
        })
        .collect()
}

fn sources(body: &Value) -> Vec<Value> {
    let mut sources = Vec::new();
    for (index, document) in items_at(body, "documents").iter().enumerate() {
        let id =
            document.get("id").and_then(Value::as_str).map_or_else(|| format!("doc:{index}"), str::to_owned);
        let mut shown = match document.get("data").and_then(Value::as_object) {
            Some(data) => data.clone(),
            None => Map::from_iter([("text".to_owned(), json!(document_text(document)))]),
        };
        shown.insert("id".to_owned(), json!(id));
        sources.push(json!({"type": "document", "id": id, "document": shown}));
    }
    let messages = items_at(body, "messages");
    let results =
        messages.iter().rev().take_while(|message| text_at(message, "role") == "tool").collect::<Vec<_>>();
    for message in results.into_iter().rev() {
        for (index, block) in items_at(message, "content").iter().enumerate() {
            if let Some(data) = block.pointer("/document/data") {
                let id = format!("{}:{index}", text_at(message, "tool_call_id"));
                sources.push(json!({"type": "tool", "id": id, "tool_output": data}));
            }
        }
    }
    sources
}

fn logprob(piece: &str) -> Value {
    json!({"text": piece, "token_ids": [piece.len()], "logprobs": [LOGPROB]})
}

/// A chat's plain reply.
pub(super) fn chat(body: &Value, making: &mut Making<'_>) -> Value {
    let composed = making.composed;
    let mut message = Map::new();
    message.insert("role".to_owned(), json!("assistant"));
    let thinking = composed.reasoning.iter().map(|text| json!({"type": "thinking", "thinking": text}));
    let silent = composed.text.is_empty() && !composed.calls.is_empty();
    let text = (!silent).then(|| json!({"type": "text", "text": composed.text}));
    let content: Vec<Value> = thinking.chain(text).collect();
    if !content.is_empty() {
        message.insert("content".to_owned(), Value::Array(content));
    }
    if let Some(plan) = plan(making) {
        message.insert("tool_plan".to_owned(), json!(plan));
    }
    if !composed.calls.is_empty() {
        let calls: Vec<Value> = composed.calls.iter().map(|call| tool_call(call, making)).collect();
        message.insert("tool_calls".to_owned(), Value::Array(calls));
    }
    let citations = citations(body, making);
    if !citations.is_empty() {
        message.insert("citations".to_owned(), Value::Array(citations));
    }
    let mut reply = Map::new();
    reply.insert("id".to_owned(), json!(uuid(&making.ids.hex("", 32))));
    reply.insert("message".to_owned(), Value::Object(message));
    reply.insert("finish_reason".to_owned(), json!(making.word(finish_word(making.finish()))));
    if let Some(usage) = making.usage(usage(making)) {
        reply.insert("usage".to_owned(), usage);
    }
    if flag_at(body, "logprobs") {
        let logprobs: Vec<Value> = pieces(&composed.text).into_iter().map(logprob).collect();
        reply.insert("logprobs".to_owned(), Value::Array(logprobs));
    }
    Value::Object(reply)
}

/// The frames of a stream, being written.
#[derive(Debug, Default)]
struct Frames {
    events: Vec<Event>,
}

impl Frames {
    fn push(&mut self, role: Role, kind: &str, more: &Value) {
        let mut frame = Map::from_iter([("type".to_owned(), json!(kind))]);
        frame.extend(more.as_object().into_iter().flatten().map(|(key, value)| (key.clone(), value.clone())));
        self.events.push(Event::named(role, kind, &Value::Object(frame)));
    }

    /// A block of content: its start, its tokens, its end.
    fn block(&mut self, index: usize, kind: &str, text: &str, logprobs: bool) {
        let delta = |content: Value| json!({"message": {"content": content}});
        let start = json!({"index": index, "delta": delta(json!({"type": kind, kind: ""}))});
        self.push(Role::Opening, "content-start", &start);
        for piece in pieces(text) {
            let mut frame = json!({"index": index, "delta": delta(json!({kind: piece}))});
            if let (true, Some(fields)) = (logprobs, frame.as_object_mut()) {
                fields.insert("logprobs".to_owned(), logprob(piece));
            }
            self.push(Role::Content, "content-delta", &frame);
        }
        self.push(Role::Opening, "content-end", &json!({"index": index}));
    }

    fn call(&mut self, index: usize, call: &Value) {
        let arguments = call.pointer("/function/arguments").and_then(Value::as_str).unwrap_or_default();
        let opened = json!({
            "id": call.get("id"),
            "type": "function",
            "function": {"name": call.pointer("/function/name"), "arguments": ""},
        });
        let start = json!({"index": index, "delta": {"message": {"tool_calls": opened}}});
        self.push(Role::Opening, "tool-call-start", &start);
        for piece in pieces(arguments) {
            let call = json!({"function": {"arguments": piece}});
            let delta = json!({"index": index, "delta": {"message": {"tool_calls": call}}});
            self.push(Role::Content, "tool-call-delta", &delta);
        }
        self.push(Role::Opening, "tool-call-end", &json!({"index": index}));
    }
}

/// A chat's stream.
pub(super) fn events(body: &Value, making: &mut Making<'_>) -> Vec<Event> {
    let composed = making.composed;
    let mut frames = Frames::default();
    let message =
        json!({"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []});
    let opening = json!({"id": uuid(&making.ids.hex("", 32)), "delta": {"message": message}});
    frames.push(Role::Opening, "message-start", &opening);
    let mut index = 0;
    if let Some(reasoning) = &composed.reasoning {
        frames.block(index, "thinking", reasoning, false);
        index += 1;
    }
    if !composed.text.is_empty() || composed.calls.is_empty() {
        frames.block(index, "text", &composed.text, flag_at(body, "logprobs"));
    }
    for (index, citation) in citations(body, making).iter().enumerate() {
        let start = json!({"index": index, "delta": {"message": {"citations": citation}}});
        frames.push(Role::Opening, "citation-start", &start);
        frames.push(Role::Opening, "citation-end", &json!({"index": index}));
    }
    for piece in plan(making).as_deref().map(pieces).unwrap_or_default() {
        // The plan is no part of the counted answer.
        frames.push(Role::Opening, "tool-plan-delta", &json!({"delta": {"message": {"tool_plan": piece}}}));
    }
    for (index, call) in composed.calls.iter().enumerate() {
        let call = tool_call(call, making);
        frames.call(index, &call);
    }
    end(&mut frames, making);
    frames.events
}

fn end(frames: &mut Frames, making: &Making<'_>) {
    let counts = usage(making);
    if let Some(first) = making.first_usage(&counts) {
        frames.push(Role::Closing, "message-end", &json!({"delta": {"usage": first}}));
    }
    let mut delta = json!({"finish_reason": making.word(finish_word(making.finish()))});
    if let Some(fields) = delta.as_object_mut() {
        if making.finish() == Finish::Filtered {
            fields.insert("error".to_owned(), json!(BLOCKED));
        }
        if let Some(usage) = making.usage(counts) {
            fields.insert("usage".to_owned(), usage);
        }
    }
    frames.push(Role::End, "message-end", &json!({"delta": delta}));
    frames.events.push(Event { bytes: Bytes::from_static(b"data: [DONE]\n\n"), role: Role::End });
}

/// The list of models.
pub(super) fn models(names: &[String]) -> Value {
    let model = |name: &String| {
        json!({"name": name, "endpoints": ["chat"], "finetuned": false, "context_length": 256_000,
            "default_endpoints": [], "is_deprecated": false})
    };
    json!({"models": names.iter().map(model).collect::<Vec<_>>()})
}

#[cfg(test)]
#[path = "reply_tests.rs"]
mod tests;
