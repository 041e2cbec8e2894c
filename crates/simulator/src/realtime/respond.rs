//! The answers of a Realtime session.
//!
//! Owns: the events of a response, its counts. Leaves to others: the answer itself (`compose`), when they go out
//! (`talk`).
//!
//! **Invariant:** the deltas of a response put together are what its `done` events say, and `response.done` is its
//! last event but one.

use super::session::{Session, limit, merge};
use crate::ask::{Ask, PromptCount, Tool, ToolChoice, items_at, pieces, text_at, tokens_of};
use crate::behaviour::Finish;
use crate::compose::{Call, Composed, compose};
use crate::fault::Fault;
use crate::media::silence;
use crate::openai::embedding::base64;
use crate::reply::{Making, Role, usage_fault};
use serde_json::{Value, json};

/// Milliseconds of sound for a token that is spoken.
const TOKEN_MS: u64 = 40;

/// What is asked of the model: the conversation, with the settings of the session and of this response.
fn read(session: &Session, settings: &Value) -> (Ask, bool) {
    let mut count = PromptCount::default();
    let mut ask =
        Ask { model: session.model.clone(), choices: 1, parallel: true, stream: true, ..Ask::default() };
    let mut sound = false;
    count.text(text_at(settings, "instructions"));
    let own = settings.get("input").and_then(Value::as_array);
    let items: Vec<&Value> = own.map_or_else(|| session.items.iter().collect(), |own| own.iter().collect());
    for item in items {
        count.message();
        match (text_at(item, "type"), text_at(item, "role")) {
            ("message", role) => {
                let mut text = String::new();
                for part in items_at(item, "content") {
                    let said = [text_at(part, "text"), text_at(part, "transcript")].concat();
                    count.text(&said);
                    text.push_str(&said);
                    if text_at(part, "type") == "input_audio" {
                        sound = true;
                        count.attachment();
                    }
                }
                match role {
                    "user" => (ask.last_user, ask.tool_result) = (text, None),
                    "assistant" => ask.tool_result = None,
                    _ => {}
                }
            }
            ("function_call_output", _) => {
                count.text(text_at(item, "output"));
                ask.tool_result.get_or_insert_default().push_str(text_at(item, "output"));
            }
            _ => count.json(item),
        }
    }
    for tool in items_at(settings, "tools").iter().filter(|tool| text_at(tool, "type") == "function") {
        count.json(tool);
        let schema = tool.get("parameters").cloned().unwrap_or_else(|| json!({"type": "object"}));
        ask.tools.push(Tool { name: text_at(tool, "name").to_owned(), schema });
    }
    ask.tool_choice = match settings.get("tool_choice") {
        Some(Value::String(word)) if word == "none" => ToolChoice::Never,
        Some(Value::String(word)) if word == "required" => ToolChoice::Any,
        Some(choice @ Value::Object(_)) => ToolChoice::Named(text_at(choice, "name").to_owned()),
        _ => ToolChoice::Free,
    };
    ask.prompt_tokens = count.tokens;
    ask.max_tokens = limit(settings);
    (ask, sound)
}

/// The settings of a response: those of the session, and over them its own.
fn settings(session: &Session, given: &Value) -> Value {
    let mut settings = session.config.clone();
    if given.is_object() {
        merge(&mut settings, given);
    }
    settings
}

fn object(session: &Session, id: &str, settings: &Value) -> Value {
    let conversation =
        if text_at(settings, "conversation") == "none" { Value::Null } else { json!(session.conversation) };
    json!({
        "object": "realtime.response",
        "id": id,
        "status": "in_progress",
        "status_details": null,
        "output": [],
        "conversation_id": conversation,
        "output_modalities": settings.get("output_modalities"),
        "max_output_tokens": settings.get("max_output_tokens"),
        "audio": {"output": {
            "format": settings.pointer("/audio/output/format"),
            "voice": settings.pointer("/audio/output/voice"),
        }},
        "usage": null,
        "metadata": settings.get("metadata"),
    })
}

/// Answers.
pub(super) fn respond(session: &mut Session, given: &Value) {
    let settings = settings(session, given);
    let (ask, heard) = read(session, &settings);
    let composed = compose(&ask, &session.behaviour);
    let spoken = items_at(&settings, "output_modalities").iter().any(|modality| modality == "audio");
    let id = session.ids.next("resp_", 21);
    session.active = Some(id.clone());
    let begun = object(session, &id, &settings);
    session.say(Role::Opening, "response.created", json!({"response": begun}));
    let kept = text_at(&settings, "conversation") != "none";
    let mut saying = Saying { session, id, kept, output: Vec::new() };
    if !composed.text.is_empty() || composed.calls.is_empty() {
        saying.message(&composed.text, spoken);
    }
    for call in &composed.calls {
        saying.call(call);
    }
    let output = saying.output;
    let reason = match composed.finish() {
        Finish::Length => Some("max_output_tokens"),
        Finish::Filtered => Some("content_filter"),
        _ => None,
    };
    let (status, details) = match reason {
        Some(reason) => ("incomplete", json!({"type": "incomplete", "reason": reason})),
        None => ("completed", Value::Null),
    };
    let usage = usage(session, &composed, heard, spoken && !composed.text.is_empty());
    let mut done = begun;
    merge(&mut done, &json!({"status": status, "status_details": details, "output": output, "usage": usage}));
    session.say(Role::Closing, "response.done", json!({"response": done}));
    rate_limits(session);
}

fn rate_limits(session: &mut Session) {
    let limit = |name: &str, limit: u64| json!({"name": name, "limit": limit, "remaining": limit - 1, "reset_seconds": 0.1});
    let limits = [limit("requests", 10_000), limit("tokens", 2_000_000)];
    session.say(Role::End, "rate_limits.updated", json!({"rate_limits": limits}));
}

/// The counts of a response, text and sound apart.
fn usage(session: &mut Session, composed: &Composed, heard: bool, spoken: bool) -> Option<Value> {
    let counts = &composed.counts;
    let sound_in = if heard { counts.prompt / 2 } else { 0 };
    let sound_out = if spoken { counts.completion * 3 / 4 } else { 0 };
    let usage = json!({
        "total_tokens": counts.prompt + counts.completion,
        "input_tokens": counts.prompt,
        "output_tokens": counts.completion,
        "input_token_details": {
            "text_tokens": counts.prompt - sound_in,
            "audio_tokens": sound_in,
            "image_tokens": 0,
            "cached_tokens": counts.cached,
            "cached_tokens_details": {"text_tokens": counts.cached, "audio_tokens": 0, "image_tokens": 0},
        },
        "output_token_details": {"text_tokens": counts.completion - sound_out, "audio_tokens": sound_out},
    });
    let fault = usage_fault(session.behaviour.fault.as_ref());
    Making { composed, ids: &mut session.ids, created: 0, usage_fault: fault }.usage(usage)
}

/// Says that a response was cancelled.
pub(super) fn cancelled(session: &mut Session, id: &str) {
    let mut done = object(session, id, &session.config.clone());
    let details = json!({"type": "cancelled", "reason": "client_cancelled"});
    merge(&mut done, &json!({"status": "cancelled", "status_details": details}));
    session.say(Role::Closing, "response.done", json!({"response": done}));
}

/// Says that the response failed, as the fault has it, and drops what is left of it.
pub(super) fn broken(session: &mut Session) {
    let Some(id) = session.active.take() else { return };
    session.outbox.clear();
    let message = "The server had an error while processing your request. Sorry about that!";
    if let Some(Fault::ErrorEvent { code, .. }) = session.behaviour.fault {
        let (kind, code) =
            if code == 429 { ("tokens", "rate_limit_exceeded") } else { ("server_error", "server_error") };
        let error = json!({"type": kind, "code": code, "message": message, "param": null, "event_id": null});
        return session.say(Role::Closing, "error", json!({"error": error}));
    }
    let mut done = object(session, &id, &session.config.clone());
    let error = json!({"type": "server_error", "code": "server_error", "message": message});
    merge(&mut done, &json!({"status": "failed", "status_details": {"type": "failed", "error": error}}));
    session.say(Role::Closing, "response.done", json!({"response": done}));
}

/// A response, being said.
struct Saying<'a> {
    session: &'a mut Session,
    id: String,
    /// Its items become part of the conversation.
    kept: bool,
    output: Vec<Value>,
}

impl Saying<'_> {
    fn at(&mut self, role: Role, kind: &str, item: &str, more: &Value) {
        let mut fields = json!({"response_id": self.id, "item_id": item, "output_index": self.output.len()});
        merge(&mut fields, more);
        self.session.say(role, kind, fields);
    }

    fn begin(&mut self, item: &Value) {
        let fields = json!({"response_id": self.id, "output_index": self.output.len(), "item": item});
        self.session.say(Role::Opening, "response.output_item.added", fields);
        if self.kept {
            self.session.add(item.clone(), None);
        }
    }

    fn end(&mut self, item: Value) {
        let fields = json!({"response_id": self.id, "output_index": self.output.len(), "item": item});
        self.session.say(Role::Opening, "response.output_item.done", fields);
        if self.kept {
            if let Some(last) = self.session.items.back_mut() {
                *last = item.clone();
            }
            self.session.say(Role::Opening, "conversation.item.done", json!({"item": item}));
        }
        self.output.push(item);
    }

    fn message(&mut self, text: &str, spoken: bool) {
        let id = self.session.ids.next("item_", 21);
        let item = |status: &str, content: Value| {
            json!({"id": id, "object": "realtime.item", "type": "message", "status": status, "role": "assistant",
                "content": content})
        };
        self.begin(&item("in_progress", json!([])));
        let (kind, member, part) = if spoken {
            ("output_audio_transcript", "transcript", "audio")
        } else {
            ("output_text", "text", "text")
        };
        let place = json!({"content_index": 0});
        let with = |more: Value| {
            let mut fields = place.clone();
            merge(&mut fields, &more);
            fields
        };
        let empty = with(json!({"part": {"type": part, member: ""}}));
        self.at(Role::Opening, "response.content_part.added", &id, &empty);
        for piece in pieces(text) {
            self.at(Role::Content, &format!("response.{kind}.delta"), &id, &with(json!({"delta": piece})));
            if spoken {
                let sound = base64(&silence("pcm", TOKEN_MS * tokens_of(piece)));
                self.at(Role::Opening, "response.output_audio.delta", &id, &with(json!({"delta": sound})));
            }
        }
        if spoken {
            self.at(Role::Opening, "response.output_audio.done", &id, &place);
        }
        self.at(Role::Opening, &format!("response.{kind}.done"), &id, &with(json!({member: text})));
        let whole = with(json!({"part": {"type": part, member: text}}));
        self.at(Role::Opening, "response.content_part.done", &id, &whole);
        let content = if spoken {
            json!([{"type": "output_audio", "transcript": text}])
        } else {
            json!([{"type": "output_text", "text": text}])
        };
        self.end(item("completed", content));
    }

    fn call(&mut self, call: &Call) {
        let id = self.session.ids.next("item_", 21);
        let call_id = self.session.ids.next("call_", 16);
        let arguments = call.arguments.to_string();
        let item = |status: &str, arguments: &str| {
            json!({"id": id, "object": "realtime.item", "type": "function_call", "status": status, "name": call.name,
                "call_id": call_id, "arguments": arguments})
        };
        self.begin(&item("in_progress", ""));
        for piece in pieces(&arguments) {
            let more = json!({"call_id": call_id, "delta": piece});
            self.at(Role::Content, "response.function_call_arguments.delta", &id, &more);
        }
        let more = json!({"call_id": call_id, "name": call.name, "arguments": arguments});
        self.at(Role::Opening, "response.function_call_arguments.done", &id, &more);
        self.end(item("completed", &arguments));
    }
}
