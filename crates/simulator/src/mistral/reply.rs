//! Mistral's replies: chats and fill-in-the-middle plain and streamed, embeddings, pages, models.
//!
//! Owns: their shapes. Leaves to others: the answer itself (`compose`).
//!
//! **Invariant:** a stream's pieces put together are the plain reply's thinking, text and calls; tool calls come whole
//! in one event, and the counts with the reason to stop.

use crate::ask::{Ask, items_at, number_at, pieces, text_at};
use crate::behaviour::Finish;
use crate::cohere::quantized;
use crate::compose::Call;
use crate::openai::embedding;
use crate::reply::{Event, Making, Role};
use bytes::Bytes;
use serde_json::{Map, Value, json};

/// Dimensions of `mistral-embed` (embeddings guide).
const EMBED_DIMENSIONS: u64 = 1_024;

fn finish_word(ask: &Ask, finish: Finish) -> &'static str {
    match finish {
        Finish::Stop | Finish::StopSequence => "stop",
        // Without a limit of the request's own it was the model's.
        Finish::Length if ask.max_tokens.is_none() => "model_length",
        Finish::Length => "length",
        Finish::Tools => "tool_calls",
        Finish::Filtered => "error",
    }
}

fn usage(making: &Making<'_>) -> Value {
    let counts = &making.composed.counts;
    let mut usage = json!({
        "prompt_tokens": counts.prompt,
        "completion_tokens": counts.completion,
        "total_tokens": counts.prompt + counts.completion,
    });
    if let (true, Some(fields)) = (counts.cached > 0, usage.as_object_mut()) {
        fields.insert("prompt_tokens_details".to_owned(), json!({"cached_tokens": counts.cached}));
    }
    usage
}

fn thought(text: &str) -> Value {
    json!({"type": "thinking", "thinking": [{"type": "text", "text": text}]})
}

fn tool_calls(making: &mut Making<'_>) -> Value {
    let composed = making.composed;
    let mut call = |(index, call): (usize, &Call)| {
        json!({
            "id": making.ids.next("", 9),
            "function": {"name": call.name, "arguments": call.arguments.to_string()},
            "index": index,
        })
    };
    let calls: Vec<Value> = composed.calls.iter().enumerate().map(&mut call).collect();
    if calls.is_empty() { Value::Null } else { Value::Array(calls) }
}

/// A plain reply.
pub(super) fn chat(ask: &Ask, making: &mut Making<'_>) -> Value {
    let composed = making.composed;
    let mut choices = Vec::new();
    for index in 0..ask.choices {
        let content = match &composed.reasoning {
            Some(reasoning) => json!([thought(reasoning), {"type": "text", "text": composed.text}]),
            None => json!(composed.text),
        };
        let message = json!({"role": "assistant", "tool_calls": tool_calls(making), "content": content});
        let finish = making.word(finish_word(ask, making.finish()));
        choices.push(json!({"index": index, "finish_reason": finish, "message": message}));
    }
    let mut reply = json!({
        "id": making.ids.hex("", 32),
        "created": making.created,
        "model": ask.model,
        "object": "chat.completion",
        "choices": choices,
    });
    if let (Some(fields), Some(usage)) = (reply.as_object_mut(), making.usage(usage(making))) {
        fields.insert("usage".to_owned(), usage);
    }
    reply
}

/// What the last events of a stream say beside the delta.
#[derive(Debug, Default)]
struct Ending<'e> {
    finish: Option<&'e str>,
    usage: Option<Value>,
}

struct Frames<'a> {
    ask: &'a Ask,
    id: String,
    created: u64,
    events: Vec<Event>,
}

impl Frames<'_> {
    fn push(&mut self, role: Role, index: usize, delta: &Value, ending: Ending<'_>) {
        let choice = json!({"index": index, "delta": delta, "finish_reason": ending.finish});
        let mut frame = json!({
            "id": self.id,
            "object": "chat.completion.chunk",
            "created": self.created,
            "model": self.ask.model,
            "choices": [choice],
        });
        if let (Some(fields), Some(usage)) = (frame.as_object_mut(), ending.usage) {
            fields.insert("usage".to_owned(), usage);
        }
        self.events.push(Event::data(role, &frame));
    }

    fn content(&mut self, index: usize, content: &Value) {
        self.push(Role::Content, index, &json!({ "content": content }), Ending::default());
    }
}

/// A stream.
pub(super) fn events(ask: &Ask, making: &mut Making<'_>) -> Vec<Event> {
    let composed = making.composed;
    let mut frames = Frames { ask, id: making.ids.hex("", 32), created: making.created, events: Vec::new() };
    for index in 0..ask.choices {
        frames.push(Role::Opening, index, &json!({"role": "assistant", "content": ""}), Ending::default());
        for piece in composed.reasoning.as_deref().map(pieces).unwrap_or_default() {
            frames.content(index, &json!([thought(piece)]));
        }
        for piece in pieces(&composed.text) {
            frames.content(index, &json!(piece));
        }
        let calls = tool_calls(making);
        if !calls.is_null() {
            frames.push(
                Role::Content,
                index,
                &json!({"content": "", "tool_calls": calls}),
                Ending::default(),
            );
        }
    }
    let counts = usage(making);
    for index in 0..ask.choices {
        let last = index + 1 == ask.choices;
        if let Some(first) = making.first_usage(&counts).filter(|_| last) {
            frames.push(
                Role::Closing,
                index,
                &json!({"content": ""}),
                Ending { finish: None, usage: Some(first) },
            );
        }
        let usage = if last { making.usage(counts.clone()) } else { None };
        let finish = Some(making.word(finish_word(ask, making.finish())));
        frames.push(Role::Closing, index, &json!({"content": ""}), Ending { finish, usage });
    }
    frames.events.push(Event { bytes: Bytes::from_static(b"data: [DONE]\n\n"), role: Role::End });
    frames.events
}

/// The reply to a request for embeddings.
pub(super) fn embeddings(body: &Value, making: &mut Making<'_>) -> Value {
    let model = text_at(body, "model");
    let usual = if model == "mistral-embed" { EMBED_DIMENSIONS } else { 64 };
    let dimensions = number_at(body, "output_dimension").unwrap_or(usual);
    let input = body.get("input").cloned().unwrap_or_default();
    let mut reply = embedding::reply(&json!({"input": input, "dimensions": dimensions}), model);
    let base64 = text_at(body, "encoding_format") == "base64";
    let kind = if base64 { "base64" } else { text_at(body, "output_dtype") };
    let mut framed = Map::from_iter([("id".to_owned(), json!(making.ids.hex("", 32)))]);
    if let Some(fields) = reply.as_object_mut() {
        for one in fields.get_mut("data").and_then(Value::as_array_mut).into_iter().flatten() {
            if let Some(vector) = one.get_mut("embedding") {
                #[expect(clippy::cast_possible_truncation, reason = "the numbers were made as f32")]
                let values: Vec<f32> = vector
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(Value::as_f64)
                    .map(|v| v as f32)
                    .collect();
                *vector = quantized(&values, kind);
            }
        }
        fields.shift_remove("usage");
        framed.append(fields);
    }
    if let Some(usage) = making.usage(usage(making)) {
        framed.insert("usage".to_owned(), usage);
    }
    Value::Object(framed)
}

/// The reply to a request to read a document: a page for each that is asked for, or one.
pub(super) fn pages(body: &Value) -> Value {
    let source = body.get("document").unwrap_or(&Value::Null);
    let name = ["document_url", "file_id", "image_url"].into_iter().find_map(|key| match source.get(key) {
        Some(Value::String(text)) => Some(text.as_str()),
        Some(other) => other.get("url").and_then(Value::as_str),
        None => None,
    });
    let name: String = name.unwrap_or_default().chars().take(80).collect();
    let asked: Vec<u64> = items_at(body, "pages").iter().filter_map(Value::as_u64).collect();
    let asked = if asked.is_empty() { vec![0] } else { asked };
    let page = |index: &u64| {
        json!({
            "index": index, "markdown": format!("# Page {index}\n\nRead from {name}"), "images": [],
            "dimensions": {"dpi": 200, "height": 2_200, "width": 1_700},
        })
    };
    json!({
        "pages": asked.iter().map(page).collect::<Vec<_>>(),
        "model": body.get("model"),
        "document_annotation": null,
        "usage_info": {"pages_processed": asked.len(), "doc_size_bytes": 4_096},
    })
}

/// One model.
pub(super) fn model(name: &str) -> Value {
    json!({
        "id": name, "object": "model", "created": 1_700_000_000, "owned_by": "mistralai", "max_context_length": 131_072,
        "capabilities": {"completion_chat": true, "completion_fim": true, "function_calling": true, "vision": true},
        "type": "base",
    })
}

/// The list of models.
pub(super) fn models(names: &[String]) -> Value {
    json!({"object": "list", "data": names.iter().map(|name| model(name)).collect::<Vec<_>>()})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::behaviour::{Answer, Behaviour};
    use crate::compose::{Ids, compose};

    fn made(extra: Value, behaviour: &Behaviour) -> (Value, Vec<Value>) {
        let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
        for (key, value) in extra.as_object().unwrap() {
            body[key] = value.clone();
        }
        let ask = super::super::read_chat(&body);
        let composed = compose(&ask, behaviour);
        let mut making = Making { composed: &composed, ids: &mut Ids::new(1), created: 0, usage_fault: None };
        let plain = chat(&ask, &mut making);
        let events = events(&ask, &mut making);
        let frames = events
            .iter()
            .filter_map(|event| serde_json::from_slice(event.bytes.strip_prefix(b"data: ")?).ok());
        (plain, frames.collect())
    }

    fn joined(frames: &[Value], pointer: &str) -> String {
        frames.iter().filter_map(|frame| frame.pointer(pointer).and_then(Value::as_str)).collect()
    }

    #[test]
    fn thinking_is_a_chunk_before_the_text() {
        let (plain, frames) = made(json!({"model": "magistral-medium-latest"}), &Behaviour::new());
        let content = &plain["choices"][0]["message"]["content"];
        let thought = "/choices/0/delta/content/0/thinking/0/text";
        assert_eq!(joined(&frames, thought), content[0]["thinking"][0]["text"]);
        assert_eq!(joined(&frames, "/choices/0/delta/content"), content[1]["text"]);
        let last = frames.last().unwrap();
        assert_eq!((&last["usage"], &last["choices"][0]["finish_reason"]), (&plain["usage"], &json!("stop")));
    }

    #[test]
    fn calls_come_whole_with_ids_of_nine() {
        let tool = json!({"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}});
        let asked = json!({"tools": [tool], "tool_choice": "any"});
        let (plain, frames) = made(asked, &Behaviour::new().answer(Answer::CallTools(2)));
        let calls = &plain["choices"][0]["message"]["tool_calls"];
        assert_eq!((calls.as_array().unwrap().len(), calls[1]["id"].as_str().unwrap().len()), (2, 9));
        assert_eq!(plain["choices"][0]["finish_reason"], "tool_calls");
        let streamed: Vec<&Value> =
            frames.iter().filter_map(|frame| frame.pointer("/choices/0/delta/tool_calls")).collect();
        assert_eq!((streamed.len(), &streamed[0][1]["function"]["arguments"]), (1, &json!("{}")));
    }

    #[test]
    fn the_models_own_limit_has_a_word_of_its_own() {
        let cut = Behaviour::new().finish(Finish::Length);
        for (extra, word) in [(json!({}), "model_length"), (json!({"max_tokens": 2}), "length")] {
            assert_eq!(made(extra, &cut).0["choices"][0]["finish_reason"], word);
        }
    }

    #[test]
    fn embeddings_come_in_the_wanted_type() {
        let composed = crate::compose::Composed::default();
        let mut making = Making { composed: &composed, ids: &mut Ids::new(1), created: 0, usage_fault: None };
        let body = json!({"model": "codestral-embed", "input": ["a", "b"], "output_dimension": 16, "output_dtype": "binary"});
        let reply = embeddings(&body, &mut making);
        assert_eq!(reply["data"][1]["embedding"].as_array().unwrap().len(), 2);
        let plain = embeddings(&json!({"model": "mistral-embed", "input": "a"}), &mut making);
        assert_eq!(plain["data"][0]["embedding"].as_array().unwrap().len(), 1_024);
    }

    #[test]
    fn a_document_has_the_pages_that_are_asked_for() {
        let body = json!({"model": "m", "document": {"type": "image_url", "image_url": {"url": "u"}}, "pages": [2, 5]});
        let reply = pages(&body);
        assert_eq!(
            (&reply["pages"][1]["index"], &reply["usage_info"]["pages_processed"]),
            (&json!(5), &json!(2))
        );
        assert_eq!(pages(&json!({}))["pages"].as_array().unwrap().len(), 1);
    }
}
