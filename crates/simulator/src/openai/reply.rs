//! OpenAI's replies: chat and legacy completions, plain and streamed, models.
//!
//! Owns: their shapes and headers. Leaves to others: the answer itself (`compose`), Azure's additions (`azure`).
//!
//! **Invariant:** a stream's pieces put together are the plain reply's text and arguments.

use super::embedding::base64;
use crate::ask::{Ask, items_at, pieces, text_at, tokens_of};
use crate::behaviour::Finish;
use crate::compose::{Call, Composed, Counts};
use crate::media::silence;
use crate::reply::{Event, Making, Reply, Role};
use bytes::Bytes;
use serde_json::{Map, Value, json};

/// A fingerprint, as the API sends one.
const FINGERPRINT: &str = "fp_70119a7e00";
/// The log probability of every token.
const LOGPROB: f64 = -0.125;
/// Milliseconds of sound for a token that is spoken.
const SOUND_TOKEN_MS: u64 = 40;
/// Tokens of a piece of sound in a prompt, as attachments are counted.
const SOUND_TOKENS: u64 = 85;
/// Seconds that a spoken answer is kept to be referred to.
const SOUND_SECONDS: u64 = 3_600;

/// The API's word for why an answer ended.
pub(crate) fn finish_word(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop | Finish::StopSequence => "stop",
        Finish::Length => "length",
        Finish::Tools => "tool_calls",
        Finish::Filtered => "content_filter",
    }
}

/// The counts as the API reports them.
pub(crate) fn usage(counts: &Counts) -> Value {
    json!({
        "prompt_tokens": counts.prompt,
        "completion_tokens": counts.completion,
        "total_tokens": counts.prompt + counts.completion,
        "prompt_tokens_details": {"cached_tokens": counts.cached, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": counts.reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    })
}

/// What of the request the shape of the reply depends on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) ask: &'a Ask,
    pub(crate) logprobs: bool,
    pub(crate) top_logprobs: u64,
    body: &'a Value,
}

impl<'a> Wanted<'a> {
    pub(crate) fn new(ask: &'a Ask, body: &'a Value) -> Wanted<'a> {
        Wanted {
            ask,
            logprobs: crate::ask::flag_at(body, "logprobs"),
            top_logprobs: crate::ask::number_at(body, "top_logprobs").unwrap_or(0),
            body,
        }
    }

    /// The tier that serves it: the one asked for, where that is one.
    fn tier(&self) -> &'a str {
        match text_at(self.body, "service_tier") {
            "" | "auto" => "default",
            "fast" => "priority",
            tier => tier,
        }
    }

    /// Whether a call is one of a custom tool, whose input is no JSON.
    fn is_custom(&self, call: &Call) -> bool {
        let custom =
            |tool: &Value| tool.get("custom").is_some_and(|custom| text_at(custom, "name") == call.name);
        items_at(self.body, "tools").iter().any(custom)
    }

    /// The answer is spoken.
    fn speaks(&self, composed: &Composed) -> bool {
        let wanted = items_at(self.body, "modalities").iter().any(|modality| modality == "audio");
        wanted && !composed.text.is_empty() && !composed.refused
    }

    /// The sound of a text.
    fn sound(&self, text: &str) -> String {
        let format = self.body.pointer("/audio/format").and_then(Value::as_str).unwrap_or_default();
        base64(&silence(format, SOUND_TOKEN_MS * tokens_of(text)))
    }

    /// The counts, those of sound told apart.
    fn usage(&self, composed: &Composed) -> Value {
        let counts = &composed.counts;
        let mut usage = usage(counts);
        let heard: usize = items_at(self.body, "messages")
            .iter()
            .map(|message| {
                items_at(message, "content")
                    .iter()
                    .filter(|part| text_at(part, "type") == "input_audio")
                    .count()
            })
            .sum();
        let said = if self.speaks(composed) { counts.completion.saturating_sub(counts.reasoning) } else { 0 };
        let heard = (heard as u64 * SOUND_TOKENS).min(counts.prompt);
        for (pointer, tokens) in [
            ("/prompt_tokens_details/audio_tokens", heard),
            ("/completion_tokens_details/audio_tokens", said),
        ] {
            if let Some(slot) = usage.pointer_mut(pointer) {
                *slot = json!(tokens);
            }
        }
        usage
    }

    fn logprobs(&self, text: &str) -> Value {
        if !self.logprobs {
            return Value::Null;
        }
        let token = |piece: &str| {
            let one = json!({"token": piece, "logprob": LOGPROB, "bytes": piece.as_bytes()});
            let mut token = one.clone();
            let top: Vec<Value> = (0..self.top_logprobs).map(|_| one.clone()).collect();
            if let Some(fields) = token.as_object_mut() {
                fields.insert("top_logprobs".to_owned(), Value::Array(top));
            }
            token
        };
        json!({"content": pieces(text).into_iter().map(token).collect::<Vec<_>>(), "refusal": null})
    }

    /// As `logprobs`, of an answer that may be a refusal.
    fn answer_logprobs(&self, text: &str, refused: bool) -> Value {
        let mut logprobs = self.logprobs(text);
        if let (Some(fields), true) = (logprobs.as_object_mut(), refused) {
            let content = fields.insert("content".to_owned(), Value::Null);
            fields.insert("refusal".to_owned(), content.unwrap_or_default());
        }
        logprobs
    }
}

/// The pages that an answer cites.
fn annotations(composed: &Composed) -> Value {
    let annotation = |cited: &crate::compose::Citation| {
        let page = json!({
            "start_index": cited.start,
            "end_index": cited.end,
            "url": cited.url,
            "title": cited.title,
        });
        json!({"type": "url_citation", "url_citation": page})
    };
    composed.citations.iter().map(annotation).collect()
}

/// A chat's plain reply.
pub(crate) fn chat(wanted: Wanted<'_>, making: &mut Making<'_>) -> Value {
    let composed = making.composed;
    let mut choices = Vec::new();
    for index in 0..wanted.ask.choices {
        let mut message = Map::new();
        message.insert("role".to_owned(), json!("assistant"));
        let speaks = wanted.speaks(composed);
        let silent = (composed.text.is_empty() && !composed.calls.is_empty()) || composed.refused || speaks;
        message.insert("content".to_owned(), if silent { Value::Null } else { json!(composed.text) });
        if let Some(reasoning) = &composed.reasoning {
            message.insert("reasoning_content".to_owned(), json!(reasoning));
        }
        if !composed.calls.is_empty() {
            let calls: Vec<Value> =
                composed.calls.iter().map(|call| tool_call(wanted, call, making)).collect();
            message.insert("tool_calls".to_owned(), Value::Array(calls));
        }
        message
            .insert("refusal".to_owned(), if composed.refused { json!(composed.text) } else { Value::Null });
        message.insert("annotations".to_owned(), annotations(composed));
        if speaks {
            let audio = json!({
                "id": making.ids.hex("audio_", 32),
                "data": wanted.sound(&composed.text),
                "expires_at": making.created + SOUND_SECONDS,
                "transcript": composed.text,
            });
            message.insert("audio".to_owned(), audio);
        }
        choices.push(json!({
            "index": index,
            "message": message,
            "logprobs": wanted.answer_logprobs(&composed.text, composed.refused),
            "finish_reason": finish_word(making.finish()),
        }));
    }
    let mut reply = json!({
        "id": making.ids.next("chatcmpl-", 29),
        "object": "chat.completion",
        "created": making.created,
        "model": wanted.ask.model,
        "choices": choices,
        "service_tier": wanted.tier(),
        "system_fingerprint": FINGERPRINT,
    });
    add_usage(&mut reply, wanted, making);
    reply
}

fn add_usage(reply: &mut Value, wanted: Wanted<'_>, making: &Making<'_>) {
    let counts = wanted.usage(making.composed);
    if let (Some(fields), Some(usage)) = (reply.as_object_mut(), making.usage(counts)) {
        fields.insert("usage".to_owned(), usage);
    }
}

/// What a custom tool is called with.
fn custom_input(call: &Call) -> &str {
    call.arguments.get("input").and_then(Value::as_str).unwrap_or_default()
}

fn tool_call(wanted: Wanted<'_>, call: &Call, making: &mut Making<'_>) -> Value {
    let id = making.ids.next("call_", 24);
    if wanted.is_custom(call) {
        return json!({"id": id, "type": "custom", "custom": {"name": call.name, "input": custom_input(call)}});
    }
    json!({
        "id": id,
        "type": "function",
        "function": {"name": call.name, "arguments": call.arguments.to_string()},
    })
}

/// A chat's stream, without what Azure adds.
pub(crate) fn chat_events(wanted: Wanted<'_>, making: &mut Making<'_>) -> Vec<Event> {
    let mut frames =
        Frames::new(wanted, making.ids.next("chatcmpl-", 29), making.created, "chat.completion.chunk");
    let composed = making.composed;
    for index in 0..wanted.ask.choices {
        frames.delta(Role::Opening, index, &json!({"role": "assistant", "content": "", "refusal": null}));
        for piece in composed.reasoning.as_deref().map(pieces).unwrap_or_default() {
            frames.delta(Role::Content, index, &json!({"reasoning_content": piece}));
        }
        if wanted.speaks(composed) {
            frames.sound(index, making);
        } else {
            for piece in pieces(&composed.text) {
                let delta =
                    if composed.refused { json!({"refusal": piece}) } else { json!({"content": piece}) };
                let choice = choice(index, &delta, &wanted.answer_logprobs(piece, composed.refused), None);
                frames.push(Role::Content, &json!([choice]), None);
            }
        }
        if !composed.citations.is_empty() {
            frames.delta(Role::Opening, index, &json!({"annotations": annotations(composed)}));
        }
        for (position, call) in composed.calls.iter().enumerate() {
            let id = making.ids.next("call_", 24);
            frames.call(index, position, call, &id);
        }
    }
    for index in 0..wanted.ask.choices {
        let choice = choice(index, &json!({}), &Value::Null, Some(finish_word(making.finish())));
        frames.push(Role::Closing, &json!([choice]), None);
    }
    frames.end(making)
}

fn choice(index: usize, delta: &Value, logprobs: &Value, finish: Option<&str>) -> Value {
    json!({"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish})
}

/// The frames of a stream, being written.
struct Frames<'a> {
    wanted: Wanted<'a>,
    id: String,
    created: u64,
    object: &'static str,
    events: Vec<Event>,
}

impl<'a> Frames<'a> {
    fn new(wanted: Wanted<'a>, id: String, created: u64, object: &'static str) -> Frames<'a> {
        Frames { wanted, id, created, object, events: Vec::new() }
    }

    fn push(&mut self, role: Role, choices: &Value, usage: Option<Value>) {
        let mut frame = json!({
            "id": self.id,
            "object": self.object,
            "created": self.created,
            "model": self.wanted.ask.model,
            "service_tier": self.wanted.tier(),
            "system_fingerprint": FINGERPRINT,
            "choices": choices,
        });
        if let (Some(fields), true) = (frame.as_object_mut(), self.wanted.ask.include_usage) {
            // Every chunk of such a stream has the field, null until the last.
            fields.insert("usage".to_owned(), usage.unwrap_or_default());
        }
        self.events.push(Event::data(role, &frame));
    }

    fn delta(&mut self, role: Role, index: usize, delta: &Value) {
        self.push(role, &json!([choice(index, delta, &Value::Null, None)]), None);
    }

    /// A spoken answer: what is said and its sound side by side, then until when it is kept.
    fn sound(&mut self, index: usize, making: &mut Making<'_>) {
        let id = making.ids.hex("audio_", 32);
        self.delta(Role::Opening, index, &json!({"audio": {"id": id, "transcript": ""}}));
        for piece in pieces(&making.composed.text) {
            self.delta(Role::Content, index, &json!({"audio": {"transcript": piece}}));
            let data = self.wanted.sound(piece);
            self.delta(Role::Opening, index, &json!({"audio": {"data": data}}));
        }
        let expires = making.created + SOUND_SECONDS;
        self.delta(Role::Opening, index, &json!({"audio": {"expires_at": expires}}));
    }

    /// A call: its name first, then what it is called with.
    fn call(&mut self, index: usize, position: usize, call: &Call, id: &str) {
        let (kind, member, text) = if self.wanted.is_custom(call) {
            ("custom", "input", custom_input(call).to_owned())
        } else {
            ("function", "arguments", call.arguments.to_string())
        };
        let opening =
            json!({"index": position, "id": id, "type": kind, kind: {"name": call.name, member: ""}});
        self.delta(Role::Opening, index, &json!({"tool_calls": [opening]}));
        for piece in pieces(&text) {
            let delta = json!({"tool_calls": [{"index": position, kind: {member: piece}}]});
            self.delta(Role::Content, index, &delta);
        }
    }

    fn text(&mut self, role: Role, index: usize, text: &str, finish: Option<&str>) {
        let choice = json!({"index": index, "text": text, "logprobs": null, "finish_reason": finish});
        self.push(role, &json!([choice]), None);
    }

    fn end(mut self, making: &Making<'_>) -> Vec<Event> {
        if self.wanted.ask.include_usage {
            let counts = self.wanted.usage(making.composed);
            if let Some(first) = making.first_usage(&counts) {
                self.push(Role::Closing, &json!([]), Some(first));
            }
            if let Some(counts) = making.usage(counts) {
                self.push(Role::Closing, &json!([]), Some(counts));
            }
        }
        self.events.push(Event { bytes: Bytes::from_static(b"data: [DONE]\n\n"), role: Role::End });
        self.events
    }
}

/// A legacy completion's plain reply.
pub(crate) fn completion(wanted: Wanted<'_>, making: &mut Making<'_>) -> Value {
    let word = finish_word(making.finish());
    let choice = |index: usize| json!({"index": index, "text": making.composed.text, "logprobs": null, "finish_reason": word});
    let choices: Vec<Value> = (0..wanted.ask.choices).map(choice).collect();
    let mut reply = json!({
        "id": making.ids.next("cmpl-", 29),
        "object": "text_completion",
        "created": making.created,
        "model": wanted.ask.model,
        "choices": choices,
        "system_fingerprint": FINGERPRINT,
    });
    add_usage(&mut reply, wanted, making);
    reply
}

/// A legacy completion's stream.
pub(crate) fn completion_events(wanted: Wanted<'_>, making: &mut Making<'_>) -> Vec<Event> {
    let mut frames = Frames::new(wanted, making.ids.next("cmpl-", 29), making.created, "text_completion");
    for index in 0..wanted.ask.choices {
        for piece in pieces(&making.composed.text) {
            frames.text(Role::Content, index, piece, None);
        }
        frames.text(Role::Closing, index, "", Some(finish_word(making.finish())));
    }
    frames.end(making)
}

/// The error event of a stream that fails after it began.
pub(crate) fn error_event(body: &Value) -> Event {
    Event::data(Role::Closing, body)
}

/// The list of models.
pub(crate) fn models(models: &[String]) -> Value {
    json!({"object": "list", "data": models.iter().map(|model| one_model(model)).collect::<Vec<_>>()})
}

/// One model.
pub(crate) fn one_model(model: &str) -> Value {
    // A fixed time: the list is the same on every start.
    json!({"id": model, "object": "model", "created": 1_677_610_602, "owned_by": "simulator"})
}

/// The headers that every reply of the API has.
pub(crate) fn headers(reply: Reply, request_id: &str, latency_ms: u128) -> Reply {
    reply
        .header("x-request-id", request_id)
        .header("openai-processing-ms", latency_ms.to_string())
        .header("openai-version", "2020-10-01")
        .header("openai-organization", "simulated")
}

#[cfg(test)]
#[path = "reply_tests.rs"]
mod tests;
