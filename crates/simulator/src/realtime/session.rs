//! A session of the Realtime API: its settings, its conversation, its sound.
//!
//! Owns: what each event of a caller does, and what is said to it. Leaves to others: answers of the model (`respond`),
//! the wire (`talk`).
//!
//! **Invariant:** every event of a caller is answered or changes something, and one that is wrong is answered with an
//! error event that names it; the session goes on.

use super::{base64, respond, tables};
use crate::ask::{items_at, number_at, text_at};
use crate::behaviour::Behaviour;
use crate::compose::Ids;
use crate::error::ApiError;
use crate::openai::check::spell;
use crate::reply::Role;
use crate::shape::{self, Keys, Step, Violation, Wrong};
use serde_json::{Map, Value, json};
use std::collections::VecDeque;

/// Most items of a conversation; the oldest goes first.
const ITEMS_MAX: usize = 1_000;
/// Bytes of a millisecond of sound: 24 kHz, 16 bits.
pub(super) const BYTES_A_MS: usize = 48;
/// Least sound of a commit, in milliseconds (Realtime reference).
const COMMIT_MS_MIN: usize = 100;
/// Most sound of one event, in bytes (Realtime reference: 15 MiB).
const APPEND_BYTES_MAX: usize = 15 << 20;

/// Something to say.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Said {
    pub(crate) role: Role,
    pub(crate) event: Value,
}

/// A session.
#[derive(Debug)]
pub(crate) struct Session {
    pub(super) config: Value,
    pub(super) items: VecDeque<Value>,
    pub(super) behaviour: Behaviour,
    pub(super) ids: Ids,
    pub(super) conversation: String,
    pub(super) model: String,
    /// The names of events before the API left its beta.
    early: bool,
    sound_bytes: usize,
    /// The caller is speaking, as this item.
    speaking: Option<String>,
    /// The id of the response that is being said.
    pub(super) active: Option<String>,
    pub(crate) outbox: VecDeque<Said>,
}

/// The settings of a session that nobody has changed.
pub(super) fn config(id: &str, model: &str) -> Value {
    let pcm = json!({"type": "audio/pcm", "rate": 24_000});
    let detection = json!({
        "type": "server_vad", "threshold": 0.5, "prefix_padding_ms": 300, "silence_duration_ms": 200,
        "idle_timeout_ms": null, "create_response": true, "interrupt_response": true,
    });
    json!({
        "id": id,
        "object": "realtime.session",
        "type": "realtime",
        "model": model,
        "output_modalities": ["audio"],
        "instructions": "Be kind.",
        "tools": [],
        "tool_choice": "auto",
        "max_output_tokens": "inf",
        "tracing": null,
        "truncation": "auto",
        "prompt": null,
        "audio": {
            "input": {"format": pcm, "transcription": null, "noise_reduction": null, "turn_detection": detection},
            "output": {"format": pcm, "voice": "alloy", "speed": 1.0},
        },
        "include": null,
    })
}

/// Puts what is given over what there is, objects member by member.
pub(super) fn merge(into: &mut Value, given: &Value) {
    match (into, given) {
        (Value::Object(into), Value::Object(given)) => {
            for (name, value) in given {
                match into.get_mut(name) {
                    Some(slot @ Value::Object(_)) if value.is_object() => merge(slot, value),
                    _ => {
                        into.insert(name.clone(), value.clone());
                    }
                }
            }
        }
        (into, given) => *into = given.clone(),
    }
}

/// The names of events in the beta, and after it.
const RENAMED: &[(&str, &str)] = &[
    ("response.output_text.", "response.text."),
    ("response.output_audio_transcript.", "response.audio_transcript."),
    ("response.output_audio.", "response.audio."),
    ("conversation.item.added", "conversation.item.created"),
];

impl Session {
    /// A new session, which says so.
    pub(super) fn new(model: &str, early: bool, behaviour: Behaviour, mut ids: Ids) -> Session {
        let id = ids.next("sess_", 21);
        let conversation = ids.next("conv_", 21);
        let mut session = Session {
            config: config(&id, model),
            items: VecDeque::new(),
            behaviour,
            ids,
            conversation,
            model: model.to_owned(),
            early,
            sound_bytes: 0,
            speaking: None,
            active: None,
            outbox: VecDeque::new(),
        };
        let config = session.config.clone();
        session.say(Role::Opening, "session.created", json!({"session": config}));
        session
    }

    /// Says that a session needs a model.
    pub(super) fn without_model(&mut self) {
        self.outbox.clear();
        let error =
            ApiError::bad_request("You must provide a model parameter.").param("model").code("missing_model");
        self.refuse(&error, &Value::Null);
    }

    /// Says something.
    pub(super) fn say(&mut self, role: Role, kind: &str, fields: Value) {
        let renamed = RENAMED.iter().filter(|_| self.early);
        let kind = renamed
            .filter_map(|(now, then)| kind.strip_prefix(now).map(|tail| format!("{then}{tail}")))
            .next()
            .unwrap_or_else(|| kind.to_owned());
        // The beta has no end of an item apart from its creation.
        if self.early && kind == "conversation.item.done" {
            return;
        }
        let mut event = Map::new();
        event.insert("type".to_owned(), json!(kind));
        event.insert("event_id".to_owned(), json!(self.ids.next("event_", 21)));
        if let Value::Object(fields) = fields {
            event.extend(fields);
        }
        self.outbox.push_back(Said { role, event: Value::Object(event) });
    }

    /// Says what is wrong with an event.
    fn refuse(&mut self, error: &ApiError, event: &Value) {
        let kind = error.kind.unwrap_or("invalid_request_error");
        let error = json!({
            "type": kind,
            "code": error.code.filter(|code| !code.is_empty()),
            "message": error.message,
            "param": error.param,
            "event_id": event.get("event_id"),
        });
        self.say(Role::Opening, "error", json!({"error": error}));
    }

    /// Takes an event of the caller's.
    pub(crate) fn receive(&mut self, text: &str) {
        let Ok(event) = serde_json::from_str::<Value>(text) else {
            let error = ApiError::bad_request("Could not parse the event as JSON.").code("invalid_json");
            return self.refuse(&error, &Value::Null);
        };
        if let Err(error) = self.check(&event).and_then(|()| self.act(&event)) {
            self.refuse(&error, &event);
        }
    }

    fn check(&self, event: &Value) -> Result<(), ApiError> {
        if self.early && text_at(event, "type") == "session.update" {
            // The beta's settings have other names; they are taken as they come.
            return Ok(());
        }
        let mut wrapped = Map::new();
        wrapped.insert("event".to_owned(), event.clone());
        let Some(mut violation) = shape::check(&wrapped, tables::EVENT, Keys::Exact).into_iter().next()
        else {
            return message_parts(event);
        };
        if matches!(violation.wrong, Wrong::Type { .. }) && violation.path.len() == 1 {
            return Err(ApiError::bad_request("An event is an object.").code("invalid_event"));
        }
        let path: Vec<Step> = violation.path.drain(1..).collect();
        Err(spell(&Violation { path, wrong: violation.wrong }))
    }

    fn act(&mut self, event: &Value) -> Result<(), ApiError> {
        match text_at(event, "type") {
            "session.update" => {
                if let Some(given) = event.get("session") {
                    merge(&mut self.config, given);
                }
                let config = self.config.clone();
                self.say(Role::Opening, "session.updated", json!({"session": config}));
                Ok(())
            }
            "conversation.item.create" => self.create_item(event),
            "conversation.item.retrieve" => {
                let item = self.find(event, "item_retrieve_invalid_item_id")?;
                self.say(Role::Opening, "conversation.item.retrieved", json!({"item": item}));
                Ok(())
            }
            "conversation.item.delete" => {
                let id = text_at(&self.find(event, "item_delete_invalid_item_id")?, "id").to_owned();
                self.items.retain(|item| text_at(item, "id") != id);
                self.say(Role::Opening, "conversation.item.deleted", json!({"item_id": id}));
                Ok(())
            }
            "conversation.item.truncate" => {
                let id = text_at(&self.find(event, "item_truncate_invalid_item_id")?, "id").to_owned();
                let (at, ms) = (event.get("content_index"), event.get("audio_end_ms"));
                let fields = json!({"item_id": id, "content_index": at, "audio_end_ms": ms});
                self.say(Role::Opening, "conversation.item.truncated", fields);
                Ok(())
            }
            "input_audio_buffer.append" => self.append(event),
            "input_audio_buffer.commit" => self.commit(),
            "input_audio_buffer.clear" => {
                (self.sound_bytes, self.speaking) = (0, None);
                self.say(Role::Opening, "input_audio_buffer.cleared", json!({}));
                Ok(())
            }
            "output_audio_buffer.clear" => {
                self.say(Role::Opening, "output_audio_buffer.cleared", json!({}));
                Ok(())
            }
            "response.create" => {
                if self.active.is_some() {
                    return Err(ApiError::bad_request(
                        "Conversation already has an active response. Wait until the response is finished before \
                         creating a new one.",
                    )
                    .code("conversation_already_has_active_response"));
                }
                respond::respond(self, event.get("response").unwrap_or(&Value::Null));
                Ok(())
            }
            _ => self.cancel(),
        }
    }

    fn find(&self, event: &Value, code: &'static str) -> Result<Value, ApiError> {
        let id = text_at(event, "item_id");
        let found = self.items.iter().find(|item| text_at(item, "id") == id).cloned();
        found.ok_or_else(|| {
            ApiError::bad_request(format!("Item with item_id '{id}' does not exist."))
                .param("item_id")
                .code(code)
        })
    }

    /// The id of the last item.
    fn last_id(&self) -> Value {
        self.items.back().and_then(|item| item.get("id")).cloned().unwrap_or_default()
    }

    /// Adds an item behind another, or at the end, and says so.
    pub(super) fn add(&mut self, item: Value, behind: Option<usize>) {
        let previous = match behind {
            Some(at) => {
                at.checked_sub(1).and_then(|at| self.items.get(at)).and_then(|item| item.get("id")).cloned()
            }
            None => Some(self.last_id()),
        };
        let fields = json!({"previous_item_id": previous, "item": item});
        self.items.insert(behind.unwrap_or(self.items.len()).min(self.items.len()), item);
        if self.items.len() > ITEMS_MAX {
            self.items.pop_front();
        }
        self.say(Role::Opening, "conversation.item.added", fields);
    }

    fn create_item(&mut self, event: &Value) -> Result<(), ApiError> {
        let mut item = event.get("item").cloned().unwrap_or_default();
        let id = text_at(&item, "id").to_owned();
        if !id.is_empty() && self.items.iter().any(|item| text_at(item, "id") == id) {
            let message = format!("Error adding item: an item with id '{id}' already exists.");
            return Err(ApiError::bad_request(message)
                .param("item.id")
                .code("item_create_duplicate_item_id"));
        }
        if text_at(&item, "type") == "function_call_output" {
            let call = text_at(&item, "call_id");
            let called =
                |item: &Value| text_at(item, "type") == "function_call" && text_at(item, "call_id") == call;
            if !self.items.iter().any(called) {
                let message = format!("Tool call ID '{call}' not found in conversation.");
                return Err(ApiError::bad_request(message)
                    .param("item.call_id")
                    .code("invalid_tool_call_id"));
            }
        }
        let behind = match event.get("previous_item_id").and_then(Value::as_str) {
            None => None,
            Some("root") => Some(0),
            Some(previous) => {
                let at = self.items.iter().position(|item| text_at(item, "id") == previous);
                let Some(at) = at else {
                    let message =
                        format!("Error adding item: the previous item with id '{previous}' does not exist.");
                    return Err(ApiError::bad_request(message)
                        .param("previous_item_id")
                        .code("item_create_invalid_previous_item_id"));
                };
                Some(at + 1)
            }
        };
        if let Some(fields) = item.as_object_mut() {
            if id.is_empty() {
                fields.insert("id".to_owned(), json!(self.ids.next("item_", 21)));
            }
            fields.insert("object".to_owned(), json!("realtime.item"));
            fields.entry("status").or_insert_with(|| json!("completed"));
        }
        self.add(item.clone(), behind);
        self.say(Role::Opening, "conversation.item.done", json!({"item": item}));
        Ok(())
    }

    /// Whether the session itself finds out when the caller speaks.
    fn detection(&self) -> Option<Value> {
        self.config.pointer("/audio/input/turn_detection").filter(|detection| detection.is_object()).cloned()
    }

    /// Takes sound. Where turns are detected, bytes other than zero are speech, and nothing but zeros is its end.
    fn append(&mut self, event: &Value) -> Result<(), ApiError> {
        let wrong = |message: &str| ApiError::bad_request(message).param("audio").code("invalid_value");
        let sound = base64::decode(text_at(event, "audio"));
        let sound = sound.ok_or_else(|| {
            wrong("Invalid 'audio'. Expected base64-encoded audio bytes, but got a value with an invalid format.")
        })?;
        if sound.len() > APPEND_BYTES_MAX {
            return Err(wrong("Invalid 'audio': too much sound in one event."));
        }
        let at_ms = self.sound_bytes / BYTES_A_MS;
        self.sound_bytes += sound.len();
        let Some(detection) = self.detection() else { return Ok(()) };
        let silent = sound.iter().all(|byte| *byte == 0);
        match (silent, self.speaking.clone()) {
            (false, None) => {
                let id = self.ids.next("item_", 21);
                self.speaking = Some(id.clone());
                let fields = json!({"audio_start_ms": at_ms, "item_id": id});
                self.say(Role::Opening, "input_audio_buffer.speech_started", fields);
            }
            (true, Some(id)) if !sound.is_empty() => {
                let fields = json!({"audio_end_ms": self.sound_bytes / BYTES_A_MS, "item_id": id});
                self.say(Role::Opening, "input_audio_buffer.speech_stopped", fields);
                self.commit()?;
                let answers = detection.get("create_response").and_then(Value::as_bool).unwrap_or(true);
                if answers && self.active.is_none() {
                    respond::respond(self, &Value::Null);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn commit(&mut self) -> Result<(), ApiError> {
        let ms = self.sound_bytes / BYTES_A_MS;
        if ms < COMMIT_MS_MIN {
            return Err(ApiError::bad_request(format!(
                "Error committing input audio buffer: buffer too small. Expected at least {COMMIT_MS_MIN}ms of audio, \
                 but buffer only has {ms}.00ms of audio."
            ))
            .code("input_audio_buffer_commit_empty"));
        }
        let id = self.speaking.take().unwrap_or_else(|| self.ids.next("item_", 21));
        self.sound_bytes = 0;
        let previous = self.last_id();
        let fields = json!({"previous_item_id": previous, "item_id": id});
        self.say(Role::Opening, "input_audio_buffer.committed", fields);
        let heard = format!("{ms} ms of sound");
        let transcribes = self.config.pointer("/audio/input/transcription").is_some_and(Value::is_object);
        let transcript = if transcribes { json!(heard) } else { Value::Null };
        let part = |transcript: &Value| json!([{"type": "input_audio", "transcript": transcript}]);
        let item = |content: Value| {
            json!({"id": id, "object": "realtime.item", "type": "message", "status": "completed", "role": "user",
                "content": content})
        };
        self.add(item(part(&Value::Null)), None);
        self.say(Role::Opening, "conversation.item.done", json!({"item": item(part(&Value::Null))}));
        if transcribes {
            if let Some(last) = self.items.back_mut() {
                *last = item(part(&transcript));
            }
            let place = json!({"item_id": id, "content_index": 0});
            let mut delta = place.clone();
            merge(&mut delta, &json!({"delta": heard}));
            self.say(Role::Opening, "conversation.item.input_audio_transcription.delta", delta);
            let tokens = ms.div_ceil(100);
            let mut done = place;
            let usage = json!({"type": "tokens", "input_tokens": tokens, "output_tokens": 4, "total_tokens": tokens + 4,
                "input_token_details": {"text_tokens": 0, "audio_tokens": tokens}});
            merge(&mut done, &json!({"transcript": heard, "usage": usage}));
            self.say(Role::Opening, "conversation.item.input_audio_transcription.completed", done);
        }
        Ok(())
    }

    /// Cancels the response that is being said: what is left of it is not said.
    fn cancel(&mut self) -> Result<(), ApiError> {
        let Some(id) = self.active.take() else {
            return Err(ApiError::bad_request("Cancellation failed: no active response found")
                .code("response_cancel_not_active"));
        };
        self.outbox.retain(|said| {
            let kind = text_at(&said.event, "type");
            !["response.", "rate_limits.", "conversation.item."].iter().any(|part| kind.starts_with(part))
        });
        respond::cancelled(self, &id);
        Ok(())
    }
}

/// Which role has which parts.
fn message_parts(event: &Value) -> Result<(), ApiError> {
    let Some(item) = event.get("item") else { return Ok(()) };
    let (takes, names): (&[&str], &str) = match text_at(item, "role") {
        "assistant" => (&["output_text", "output_audio"], "'output_text' and 'output_audio'"),
        "system" => (&["input_text"], "'input_text'"),
        _ => {
            (&["input_text", "input_audio", "input_image"], "'input_text', 'input_audio', and 'input_image'")
        }
    };
    for (index, part) in items_at(item, "content").iter().enumerate() {
        let kind = text_at(part, "type");
        if !takes.contains(&kind) {
            let message = format!("Invalid value: '{kind}'. Supported values are: {names}.");
            let param = format!("item.content[{index}].type");
            return Err(ApiError::bad_request(message).param(param).code("invalid_value"));
        }
    }
    Ok(())
}

/// The most tokens of an answer, where there is a limit.
pub(super) fn limit(config: &Value) -> Option<u64> {
    number_at(config, "max_output_tokens")
}
