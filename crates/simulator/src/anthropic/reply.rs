//! Anthropic's replies: messages, plain and streamed, token counts, models.
//!
//! Owns: their shapes and headers. Leaves to others: the answer itself (`compose`).
//!
//! **Invariant:** a stream's blocks put together are the plain reply's; every block that starts also stops, and
//! `message_delta` and `message_stop` come after the last.

use super::blocks::blocks;
use super::usage::{self, usage};
use crate::ask::pieces;
use crate::behaviour::Finish;
use crate::compose::Counts;
use crate::reply::{Event, Making, Reply, Role};
use serde_json::{Map, Value, json};

/// The API's word for why an answer ended.
fn stop_reason(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop => "end_turn",
        Finish::StopSequence => "stop_sequence",
        Finish::Length => "max_tokens",
        Finish::Tools => "tool_use",
        Finish::Filtered => "refusal",
    }
}

/// A plain reply.
pub(crate) fn message(model: &str, making: &mut Making<'_>) -> Value {
    message_of_tier(model, "standard", making)
}

/// A plain reply of a service tier.
pub(crate) fn message_of_tier(model: &str, tier: &str, making: &mut Making<'_>) -> Value {
    let content = Value::Array(blocks(making));
    let usage = making.usage(usage(making.composed, tier));
    let id = making.ids.next("msg_", 24);
    envelope(&id, model, content, End::of(making), usage)
}

/// Why an answer ended.
#[derive(Default)]
struct End {
    reason: Value,
    sequence: Value,
    details: Value,
}

impl End {
    fn of(making: &Making<'_>) -> End {
        let word = making.composed.extras.stop_word.as_deref();
        let word = word.unwrap_or(stop_reason(making.finish()));
        let details = (word == "refusal").then(|| {
            json!({"type": "refusal", "category": "general_harms", "explanation": "This request was declined."})
        });
        End {
            reason: json!(word),
            sequence: json!(making.composed.stop_sequence),
            details: details.unwrap_or_default(),
        }
    }
}

fn envelope(id: &str, model: &str, content: Value, end: End, usage: Option<Value>) -> Value {
    let mut message = Map::new();
    message.insert("id".to_owned(), json!(id));
    message.insert("type".to_owned(), json!("message"));
    message.insert("role".to_owned(), json!("assistant"));
    message.insert("model".to_owned(), json!(model));
    message.insert("content".to_owned(), content);
    message.insert("stop_reason".to_owned(), end.reason);
    message.insert("stop_sequence".to_owned(), end.sequence);
    message.insert("stop_details".to_owned(), end.details);
    if let Some(usage) = usage {
        message.insert("usage".to_owned(), usage);
    }
    Value::Object(message)
}

/// A stream.
pub(crate) fn events(model: &str, making: &mut Making<'_>) -> Vec<Event> {
    let mut frames = Frames { events: Vec::new() };
    let blocks = blocks(making);
    // The stream begins before it is known how much comes out of it.
    let counts = Counts { completion: 1, reasoning: 0, ..making.composed.counts };
    let id = making.ids.next("msg_", 24);
    let message =
        envelope(&id, model, json!([]), End::default(), making.usage(usage::counts(&counts, "standard")));
    frames.push(Role::Opening, "message_start", json!({"message": message}));
    for (index, block) in blocks.iter().enumerate() {
        frames.block(index, block);
    }
    if blocks.is_empty() {
        frames.push(Role::Opening, "ping", json!({}));
    }
    let end = End::of(making);
    let delta = json!({
        "stop_reason": end.reason,
        "stop_sequence": end.sequence,
        "stop_details": end.details,
    });
    let counts = usage(making.composed, "standard");
    if let Some(first) = making.first_usage(&counts) {
        frames.push(Role::Closing, "message_delta", json!({"delta": delta, "usage": first}));
    }
    let mut end = json!({"delta": delta});
    if let (Some(fields), Some(usage)) = (end.as_object_mut(), making.usage(counts)) {
        fields.insert("usage".to_owned(), usage);
    }
    frames.push(Role::Closing, "message_delta", end);
    frames.push(Role::End, "message_stop", json!({}));
    frames.events
}

struct Frames {
    events: Vec<Event>,
}

impl Frames {
    fn push(&mut self, role: Role, name: &str, mut data: Value) {
        if let Some(fields) = data.as_object_mut() {
            fields.shift_insert(0, "type".to_owned(), json!(name));
        }
        self.events.push(Event::named(role, name, &data));
    }

    fn delta(&mut self, role: Role, index: usize, delta: &Value) {
        self.push(role, "content_block_delta", json!({"index": index, "delta": delta}));
    }

    fn block(&mut self, index: usize, block: &Value) {
        let text = |key: &str| block.get(key).and_then(Value::as_str).unwrap_or_default();
        let mut empty = block.clone();
        for (key, value) in empty.as_object_mut().into_iter().flat_map(Map::iter_mut) {
            match key.as_str() {
                "text" | "thinking" | "signature" => *value = json!(""),
                "input" => *value = json!({}),
                "citations" => *value = json!([]),
                _ => {}
            }
        }
        self.push(Role::Opening, "content_block_start", json!({"index": index, "content_block": empty}));
        if index == 0 {
            self.push(Role::Opening, "ping", json!({}));
        }
        match text("type") {
            "thinking" => {
                for piece in pieces(text("thinking")) {
                    self.delta(Role::Content, index, &json!({"type": "thinking_delta", "thinking": piece}));
                }
                let signature = json!({"type": "signature_delta", "signature": text("signature")});
                self.delta(Role::Opening, index, &signature);
            }
            "tool_use" | "server_tool_use" => {
                let input = block.get("input").map(Value::to_string).unwrap_or_default();
                // The first delta of a tool's input is empty, as the API has it.
                self.delta(Role::Opening, index, &json!({"type": "input_json_delta", "partial_json": ""}));
                for piece in pieces(&input) {
                    self.delta(
                        Role::Content,
                        index,
                        &json!({"type": "input_json_delta", "partial_json": piece}),
                    );
                }
            }
            _ => {
                for piece in pieces(text("text")) {
                    self.delta(Role::Content, index, &json!({"type": "text_delta", "text": piece}));
                }
                for citation in block.get("citations").and_then(Value::as_array).into_iter().flatten() {
                    self.delta(
                        Role::Opening,
                        index,
                        &json!({"type": "citations_delta", "citation": citation}),
                    );
                }
            }
        }
        self.push(Role::Opening, "content_block_stop", json!({"index": index}));
    }
}

/// The error event of a stream that fails after it began.
pub(crate) fn error_event(body: &Value) -> Event {
    let mut body = body.clone();
    if let Some(fields) = body.as_object_mut() {
        fields.shift_remove("request_id");
    }
    Event::named(Role::Closing, "error", &body)
}

/// The reply to a request to count tokens.
pub(crate) fn token_count(tokens: u64) -> Value {
    json!({"input_tokens": tokens})
}

/// The list of models.
pub(crate) fn models(models: &[String]) -> Value {
    let data: Vec<Value> = models.iter().map(|model| one_model(model)).collect();
    json!({"data": data, "has_more": false, "first_id": models.first(), "last_id": models.last()})
}

/// One model.
pub(crate) fn one_model(model: &str) -> Value {
    json!({"type": "model", "id": model, "display_name": model, "created_at": "2025-02-19T00:00:00Z", "lifecycle": "active"})
}

/// The headers that every reply of the API has.
pub(crate) fn headers(reply: Reply, request_id: &str) -> Reply {
    reply
        .header("request-id", request_id)
        .header("anthropic-organization-id", "00000000-0000-4000-8000-000000000000")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ask::{Ask, Tool};
    use crate::behaviour::{Answer, Behaviour, TokenCounts};
    use crate::compose::{Ids, compose};
    use crate::extras::{Document, DocumentKind, Extras};
    use crate::fault::UsageFault;

    fn asked() -> Ask {
        let schema = json!({"type": "object", "properties": {"q": {"type": "string"}}});
        Ask {
            last_user: "hi".to_owned(),
            parallel: true,
            choices: 1,
            prompt_tokens: 100,
            tools: vec![Tool { name: "f".to_owned(), schema }],
            ..Ask::default()
        }
    }

    fn made(behaviour: &Behaviour, fault: Option<UsageFault>) -> (Value, Vec<(String, Value)>) {
        made_of(asked(), behaviour, fault)
    }

    fn made_of(ask: Ask, behaviour: &Behaviour, fault: Option<UsageFault>) -> (Value, Vec<(String, Value)>) {
        let composed = compose(&ask, behaviour);
        let mut ids = Ids::new(1);
        let mut making = Making { composed: &composed, ids: &mut ids, created: 0, usage_fault: fault };
        let plain = message("claude", &mut making);
        let events = events("claude", &mut making).into_iter().map(|event| {
            let text = String::from_utf8(event.bytes.to_vec()).unwrap();
            let (name, data) = text.strip_prefix("event: ").unwrap().split_once("\ndata: ").unwrap();
            (name.to_owned(), serde_json::from_str(data.strip_suffix("\n\n").unwrap()).unwrap())
        });
        (plain, events.collect())
    }

    fn names(events: &[(String, Value)]) -> Vec<&str> {
        let mut names: Vec<&str> = events.iter().map(|(name, _)| name.as_str()).collect();
        names.dedup();
        names
    }

    #[test]
    fn the_events_come_in_the_documented_order() {
        let (_, events) = made(&Behaviour::new(), None);
        assert_eq!(
            names(&events),
            [
                "message_start",
                "content_block_start",
                "ping",
                "content_block_delta",
                "content_block_stop",
                "message_delta",
                "message_stop",
            ]
        );
        assert!(events.iter().all(|(name, data)| data["type"] == name.as_str()));
    }

    #[test]
    fn a_stream_put_together_is_the_plain_reply() {
        let behaviour = Behaviour::new().reasoning("because").answer(Answer::CallTools(2));
        let (plain, events) = made(&behaviour, None);
        let joined = |index: usize, key: &str| -> String {
            let deltas =
                events.iter().filter(|(name, data)| name == "content_block_delta" && data["index"] == index);
            deltas.filter_map(|(_, data)| data["delta"][key].as_str()).collect()
        };
        assert_eq!(joined(0, "thinking"), "because");
        assert!(!joined(0, "signature").is_empty());
        assert_eq!(joined(1, "partial_json"), r#"{"q":"hi"}"#);
        assert_eq!(joined(2, "partial_json"), r#"{"q":"hi"}"#);
        let kinds: Vec<&str> = plain["content"]
            .as_array()
            .unwrap()
            .iter()
            .map(|block| block["type"].as_str().unwrap())
            .collect();
        assert_eq!(kinds, ["thinking", "tool_use", "tool_use"]);
        assert_eq!(plain["stop_reason"], "tool_use");
    }

    #[test]
    fn cached_tokens_are_not_input_tokens() {
        let tokens = TokenCounts { cached: Some(60), cache_written: Some(30), ..TokenCounts::default() };
        let (plain, events) = made(&Behaviour::new().tokens(tokens), None);
        let usage = &plain["usage"];
        assert_eq!((&usage["input_tokens"], &usage["cache_read_input_tokens"]), (&json!(10), &json!(60)));
        assert_eq!(usage["cache_creation_input_tokens"], 30);
        assert_eq!(events[0].1["message"]["usage"]["output_tokens"], 1);
        assert_eq!(&events[events.len() - 2].1["usage"], usage);
    }

    #[test]
    fn token_counts_are_missing_or_doubled_on_demand() {
        let (plain, events) = made(&Behaviour::new(), Some(UsageFault::Missing));
        assert!(plain.get("usage").is_none());
        assert!(
            events
                .iter()
                .all(|(_, data)| data.get("usage").is_none() && data.pointer("/message/usage").is_none())
        );
        let (_, twice) = made(&Behaviour::new(), Some(UsageFault::Twice));
        assert_eq!(twice.iter().filter(|(name, _)| name == "message_delta").count(), 2);
    }

    #[test]
    fn a_cited_text_is_cut_and_its_citations_are_streamed_after_it() {
        let documents = vec![Document::new(0, Some("d"), "quoted", DocumentKind::Text)];
        let (plain, events) = made_of(Ask { documents, ..asked() }, &Behaviour::new(), None);
        let blocks = plain["content"].as_array().unwrap();
        assert_eq!(blocks.len(), 2);
        assert!(blocks[0].get("citations").is_none());
        assert_eq!(blocks[1]["citations"][0]["type"], "char_location");
        let said: String = blocks.iter().map(|block| block["text"].as_str().unwrap()).collect();
        assert!(said.ends_with("You said: hi"), "{said}");
        let delta = events.iter().find(|(_, data)| data["delta"]["type"] == "citations_delta").unwrap();
        assert_eq!(delta.1["delta"]["citation"], blocks[1]["citations"][0]);
        let tokens = plain["usage"]["output_tokens"].as_u64().unwrap();
        let texts = events.iter().filter(|(_, data)| data["delta"]["type"] == "text_delta").count();
        assert_eq!(texts as u64, tokens);
    }

    #[test]
    fn a_search_of_the_web_comes_with_its_results_and_is_counted() {
        let behaviour = Behaviour { hosted_tools: true, ..Behaviour::new() };
        let (plain, events) = made_of(Ask { searches: true, ..asked() }, &behaviour, None);
        let kinds: Vec<&str> = plain["content"]
            .as_array()
            .unwrap()
            .iter()
            .map(|block| block["type"].as_str().unwrap())
            .collect();
        assert_eq!(kinds, ["server_tool_use", "web_search_tool_result", "text", "text"]);
        assert_eq!(plain["content"][3]["citations"][0]["type"], "web_search_result_location");
        assert_eq!(plain["usage"]["server_tool_use"]["web_search_requests"], 1);
        let result =
            events.iter().find(|(_, data)| data["content_block"]["type"] == "web_search_tool_result");
        assert_eq!(result.unwrap().1["content_block"]["content"][0]["type"], "web_search_result");
    }

    #[test]
    fn redacted_thoughts_and_any_reason_to_stop_come_on_demand() {
        let extras = Extras { redacted: true, stop_word: Some("refusal".to_owned()), ..Extras::default() };
        let (plain, events) = made(&Behaviour::new().extras(extras), None);
        assert!(super::super::blocks::is_redacted(plain["content"][0]["data"].as_str().unwrap()));
        assert_eq!(
            (&plain["stop_reason"], &plain["stop_details"]["type"]),
            (&json!("refusal"), &json!("refusal"))
        );
        assert_eq!(events[1].1["content_block"]["type"], "redacted_thinking");
        assert_eq!(events[events.len() - 2].1["delta"]["stop_reason"], "refusal");
    }
}
