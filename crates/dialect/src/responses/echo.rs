//! What a response object repeats of the request that it answers.
//!
//! Owns the members, their order and what stands where the caller said nothing. Leaves to the server what only it knows
//! (whether the response is stored), which it puts in by [`Echo::set`].

use crate::conversation::{ChatRequest, Part, Role};
use crate::json::read;
use crate::json::write::{self, Object};
use crate::wire::{EncodeOptions, RequestError};
use serde_json::{Map, Value, json};

/// The members that every response has, in OpenAI's order, and their values where nothing was said; `None` stands for a
/// member of the response itself.
const MEMBERS: [(&str, Option<&str>); 23] = [
    ("background", Some("false")),
    ("error", None),
    ("incomplete_details", None),
    ("instructions", Some("null")),
    ("max_output_tokens", Some("null")),
    ("max_tool_calls", Some("null")),
    ("model", None),
    ("output", None),
    ("parallel_tool_calls", Some("true")),
    ("previous_response_id", Some("null")),
    ("prompt_cache_key", Some("null")),
    ("reasoning", Some(r#"{"effort":null,"summary":null}"#)),
    ("safety_identifier", Some("null")),
    ("service_tier", None),
    ("store", Some("true")),
    ("temperature", Some("null")),
    ("text", Some(r#"{"format":{"type":"text"}}"#)),
    ("tool_choice", Some(r#""auto""#)),
    ("tools", Some("[]")),
    ("top_logprobs", Some("0")),
    ("top_p", Some("null")),
    ("truncation", Some(r#""disabled""#)),
    ("usage", None),
];

/// Members that stand in a response only where the request had them.
const SPARSE: [&str; 6] = [
    "conversation",
    "prompt",
    "prompt_cache_retention",
    "prompt_cache_options",
    "moderation",
    "access_programs",
];

/// What is repeated.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Echo {
    members: Map<String, Value>,
}

impl Echo {
    /// What a response to this body repeats, in the caller's own words.
    ///
    /// # Errors
    /// [`RequestError`] when the body is no JSON object.
    pub fn read(body: &[u8]) -> Result<Self, RequestError> {
        let mut members = read::body(body)?;
        let is_repeated = |name: &str| {
            MEMBERS.iter().any(|(member, default)| *member == name && default.is_some())
                || SPARSE.contains(&name)
                || ["metadata", "user", "service_tier"].contains(&name)
        };
        members.retain(|name, value| is_repeated(name) && !value.is_null());
        if let Some(Value::Object(reasoning)) = members.get_mut("reasoning") {
            fill(reasoning, "effort", Value::Null);
            fill(reasoning, "summary", Value::Null);
        }
        if let Some(Value::Object(text)) = members.get_mut("text") {
            fill(text, "format", json!({"type": "text"}));
        }
        if let Some(conversation @ Value::String(_)) = members.get_mut("conversation") {
            *conversation = json!({"id": conversation.take()});
        }
        Ok(Self { members })
    }

    /// What a response to this request repeats, for one whose body is not at hand. A first system message counts as the
    /// instructions.
    pub fn of(request: &ChatRequest) -> Self {
        let options = EncodeOptions { drop_unsupported: true, ..EncodeOptions::default() };
        let mut bare = request.clone();
        // Messages are not repeated, and need not have a form here.
        bare.messages.truncate(1);
        bare.messages.retain(|message| {
            message.role == Role::System && matches!(message.parts.as_slice(), [Part::Text { .. }])
        });
        let written = super::encode_chat(&bare, &options).ok();
        let mut echo = written.and_then(|written| Self::read(&written.body).ok()).unwrap_or_default();
        if request.native.get("store").is_none() && request.extra.get("store").is_none() {
            echo.members.shift_remove("store");
        }
        echo
    }

    /// Sets a member.
    pub fn set(&mut self, name: &str, value: Value) {
        self.members.insert(name.to_owned(), value);
    }

    /// A member that the request gave.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.members.get(name)
    }

    /// Writes every member from `background` on; `own` writes those of the response itself.
    pub(super) fn write(&self, out: &mut Object<'_>, mut own: impl FnMut(&str, &mut Object<'_>)) {
        for (name, default) in MEMBERS {
            match (self.members.get(name), default) {
                (_, None) => own(name, out),
                (Some(value), Some(_)) => out.value(name, value),
                (None, Some(default)) => out.raw(name, default),
            }
        }
        for name in SPARSE {
            if let Some(value) = self.members.get(name) {
                out.value(name, value);
            }
        }
        write::value(self.members.get("user").unwrap_or(&Value::Null), out.member("user"));
        match self.members.get("metadata") {
            Some(metadata) => out.value("metadata", metadata),
            None => out.raw("metadata", "{}"),
        }
    }
}

fn fill(members: &mut Map<String, Value>, name: &str, value: Value) {
    if !members.contains_key(name) {
        members.insert(name.to_owned(), value);
    }
}
