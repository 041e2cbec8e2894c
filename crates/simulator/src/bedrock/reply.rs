//! Converse's replies, whole and as a stream of frames.
//!
//! Owns: their shapes. Leaves to others: the answer itself (`compose`), the frames (`eventstream`).
//!
//! **Invariant:** a stream's blocks put together are the plain reply's; `messageStop` comes after the last block and
//! `metadata` after it.

use crate::anthropic::blocks::REDACTED;
use crate::ask::pieces;
use crate::aws::eventstream;
use crate::behaviour::Finish;
use crate::compose::Counts;
use crate::extras::{Document, DocumentKind};
use crate::reply::{Event, Making, Role};
use crate::signature;
use serde_json::{Map, Value, json};

/// The service's word for why an answer ended.
fn stop_reason(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop => "end_turn",
        Finish::StopSequence => "stop_sequence",
        Finish::Length => "max_tokens",
        Finish::Tools => "tool_use",
        Finish::Filtered => "content_filtered",
    }
}

/// The counts as the service reports them: `inputTokens` leaves out what came from or went to the cache.
pub(super) fn usage(counts: &Counts) -> Value {
    let mut usage = json!({
        "inputTokens": counts.prompt.saturating_sub(counts.cached).saturating_sub(counts.cache_written),
        "outputTokens": counts.completion,
        "totalTokens": counts.prompt + counts.completion,
        "cacheReadInputTokens": counts.cached,
        "cacheWriteInputTokens": counts.cache_written,
    });
    let short = counts.cache_written.saturating_sub(counts.cache_written_1h);
    let details: Vec<Value> = [("5m", short), ("1h", counts.cache_written_1h)]
        .into_iter()
        .filter(|(_, tokens)| *tokens > 0)
        .map(|(ttl, tokens)| json!({"ttl": ttl, "inputTokens": tokens}))
        .collect();
    if let Some(fields) = usage.as_object_mut().filter(|_| !details.is_empty()) {
        fields.insert("cacheDetails".to_owned(), json!(details));
    }
    usage
}

/// The blocks of an answer, whole.
fn blocks(making: &mut Making<'_>) -> Vec<Value> {
    let composed = making.composed;
    let mut blocks = Vec::new();
    if let Some(reasoning) = &composed.reasoning {
        let signature = signature::sign(reasoning, making.ids);
        let text = json!({"text": reasoning, "signature": signature});
        blocks.push(json!({"reasoningContent": {"reasoningText": text}}));
    }
    if composed.extras.redacted {
        let data = signature::sign(REDACTED, making.ids);
        blocks.push(json!({"reasoningContent": {"redactedContent": data}}));
    }
    if !composed.text.is_empty() {
        match composed.cited.first() {
            Some(cited) => blocks.push(json!({"citationsContent": {
                "content": [{"text": composed.text}],
                "citations": [citation(cited)],
            }})),
            None => blocks.push(json!({"text": composed.text})),
        }
    }
    for call in &composed.calls {
        let id = making.ids.next("tooluse_", 22);
        blocks.push(json!({"toolUse": {"toolUseId": id, "name": call.name, "input": call.arguments}}));
    }
    blocks
}

fn citation(cited: &Document) -> Value {
    let index = cited.index;
    let location = match &cited.kind {
        DocumentKind::Text => {
            json!({"documentChar": {"documentIndex": index, "start": 0, "end": cited.chars()}})
        }
        DocumentKind::Pages => json!({"documentPage": {"documentIndex": index, "start": 1, "end": 2}}),
        DocumentKind::Blocks => json!({"documentChunk": {"documentIndex": index, "start": 0, "end": 1}}),
        DocumentKind::SearchResult(_) => {
            json!({"searchResultLocation": {"searchResultIndex": index, "start": 0, "end": 1}})
        }
    };
    let mut citation = json!({
        "title": cited.title,
        "sourceContent": [{"text": cited.quote}],
        "location": location,
    });
    if let DocumentKind::SearchResult(source) = &cited.kind {
        put(&mut citation, "source", Some(json!(source)));
    }
    citation
}

/// What the request asked to be told beside the answer.
fn fields(body: &Value, making: &Making<'_>) -> Option<Value> {
    let paths = body.get("additionalModelResponseFieldPaths").and_then(Value::as_array)?;
    let known = [("/stop_sequence", json!(making.composed.stop_sequence))];
    let told = known.into_iter().filter(|(path, _)| paths.iter().any(|wanted| wanted == path));
    let told: Map<String, Value> =
        told.map(|(path, value)| (path.trim_start_matches('/').to_owned(), value)).collect();
    (!told.is_empty()).then_some(Value::Object(told))
}

fn put(value: &mut Value, name: &str, inner: Option<Value>) {
    if let (Some(fields), Some(inner)) = (value.as_object_mut(), inner) {
        fields.insert(name.to_owned(), inner);
    }
}

fn word(making: &Making<'_>) -> Value {
    let word = making.composed.extras.stop_word.as_deref();
    json!(word.unwrap_or(stop_reason(making.finish())))
}

/// What is said to have been the time (milliseconds): one for each token.
pub(super) fn latency(making: &Making<'_>) -> u64 {
    making.composed.counts.completion.max(1)
}

/// A plain reply.
pub(super) fn message(body: &Value, making: &mut Making<'_>) -> Value {
    let content = blocks(making);
    let mut reply = json!({
        "metrics": {"latencyMs": latency(making)},
        "output": {"message": {"content": content, "role": "assistant"}},
        "stopReason": word(making),
    });
    put(&mut reply, "usage", making.usage(usage(&making.composed.counts)));
    put(&mut reply, "additionalModelResponseFields", fields(body, making));
    for name in ["performanceConfig", "serviceTier"] {
        put(&mut reply, name, body.get(name).cloned());
    }
    reply
}

/// A stream.
pub(super) fn events(body: &Value, making: &mut Making<'_>) -> Vec<Event> {
    let blocks = blocks(making);
    let mut frames = Frames { events: Vec::new(), padding: making.ids.next("", 26) };
    frames.push(Role::Opening, "messageStart", json!({"role": "assistant"}));
    for (index, block) in blocks.iter().enumerate() {
        frames.block(index, block);
    }
    let mut stop = json!({"stopReason": word(making)});
    put(&mut stop, "additionalModelResponseFields", fields(body, making));
    frames.push(Role::End, "messageStop", stop);
    let counts = usage(&making.composed.counts);
    let latency = latency(making);
    let mut metadata = |usage: Option<Value>| {
        let mut data = json!({"metrics": {"latencyMs": latency}});
        put(&mut data, "usage", usage);
        for name in ["performanceConfig", "serviceTier"] {
            put(&mut data, name, body.get(name).cloned());
        }
        frames.push(Role::End, "metadata", data);
    };
    if let Some(first) = making.first_usage(&counts) {
        metadata(Some(first));
    }
    metadata(making.usage(counts));
    frames.events
}

struct Frames {
    events: Vec<Event>,
    padding: String,
}

impl Frames {
    /// Every payload has a member `p` of changing length, against guessing from the length of frames.
    fn push(&mut self, role: Role, kind: &str, mut payload: Value) {
        let length = 1 + (self.events.len() * 7) % self.padding.len().max(1);
        let padding: String = self.padding.chars().take(length).collect();
        put(&mut payload, "p", Some(json!(padding)));
        self.events.push(eventstream::event(role, kind, &payload));
    }

    fn delta(&mut self, role: Role, index: usize, delta: &Value) {
        self.push(role, "contentBlockDelta", json!({"contentBlockIndex": index, "delta": delta}));
    }

    fn block(&mut self, index: usize, block: &Value) {
        let text = |pointer: &str| block.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        if let Some(used) = block.get("toolUse") {
            // Blocks of text and reasoning have no start of their own.
            let start = json!({"toolUse": {"toolUseId": used.get("toolUseId"), "name": used.get("name")}});
            let start = json!({"contentBlockIndex": index, "start": start});
            self.push(Role::Opening, "contentBlockStart", start);
            let input = used.get("input").map(Value::to_string).unwrap_or_default();
            for piece in pieces(&input) {
                self.delta(Role::Content, index, &json!({"toolUse": {"input": piece}}));
            }
        } else if let Some(reasoning) = block.get("reasoningContent") {
            for piece in pieces(text("/reasoningContent/reasoningText/text")) {
                self.delta(Role::Content, index, &json!({"reasoningContent": {"text": piece}}));
            }
            let last = match reasoning.get("redactedContent") {
                Some(data) => json!({"redactedContent": data}),
                None => json!({"signature": text("/reasoningContent/reasoningText/signature")}),
            };
            self.delta(Role::Opening, index, &json!({"reasoningContent": last}));
        } else if let Some(cited) = block.get("citationsContent") {
            for piece in pieces(text("/citationsContent/content/0/text")) {
                self.delta(Role::Content, index, &json!({"text": piece}));
            }
            for citation in cited.get("citations").and_then(Value::as_array).into_iter().flatten() {
                self.delta(Role::Opening, index, &json!({"citation": citation}));
            }
        } else {
            for piece in pieces(text("/text")) {
                self.delta(Role::Content, index, &json!({"text": piece}));
            }
        }
        self.push(Role::Opening, "contentBlockStop", json!({"contentBlockIndex": index}));
    }
}

#[cfg(test)]
#[path = "reply_tests.rs"]
mod tests;
