//! A caller's requests, read into the conversation model.
//!
//! Owns the top level of each body. Leaves turns, parts, tools, `generationConfig` and schemas to its neighbours in this
//! folder; the model and whether the answer is streamed stand in the path, which is the server's.
//!
//! **Invariant:** nothing that the caller says is forgotten: a member that the model has no field for is in `native`, a
//! member of a part, a result or a declaration under a name with a dot ([`super::own`]), and comes out again where
//! Google answers.

mod contents;
mod embedding;
mod generation;
mod members;
mod part;
mod schema;
mod tools;

pub use embedding::{decode_batch_embed_request, decode_embed_request};

use super::own::Asides;
use crate::conversation::{ChatRequest, Message, Part, Role};
use crate::json::read::{self, Place};
use crate::wire::{Dialect, RequestError};
use serde_json::Value;

/// Reads the body of `generateContent` and `streamGenerateContent`.
///
/// Takes the published types of Google's package, each name in camel case and in snake case, one thing where a list is
/// meant, and numbers as text, as Google's own API does. `null` is the same as absent. System instructions become the
/// first message, turns of the model in a row one message, results of functions a message of their own. Calls without an
/// id get one from their place, and results without one the id of the first call of their function that has none yet.
///
/// # Errors
/// [`RequestError`] names the first member that is missing, of the wrong type or not a known word. For a body that is
/// no JSON object the place is `request_body`.
pub fn decode_request(body: &[u8]) -> Result<ChatRequest, RequestError> {
    let at = &Place::Top("request_body");
    Draft::default().finish(Value::Object(read::body(body)?), at)
}

/// Reads the body of `countTokens`: `contents` alone, or a whole request as `generateContentRequest`; Vertex's members
/// beside `contents` are taken too.
///
/// # Errors
/// As [`decode_request`].
pub fn decode_count_request(body: &[u8]) -> Result<ChatRequest, RequestError> {
    let at = &Place::Top("request_body");
    let mut members = members::read(Value::Object(read::body(body)?), at)?;
    match read::take(&mut members, "generateContentRequest") {
        Some(whole) => Draft::default().finish(whole, &Place::Top("generateContentRequest")),
        None => Draft::default().finish(Value::Object(members), at),
    }
}

/// A request while its members come in, in whatever order the caller wrote them.
#[derive(Default)]
struct Draft {
    request: ChatRequest,
    asides: Asides,
    contents: Option<Value>,
    system: Option<Value>,
    tool_config: Option<Value>,
}

impl Draft {
    fn finish(mut self, whole: Value, at: &Place<'_>) -> Result<ChatRequest, RequestError> {
        for (name, value) in members::read(whole, at)? {
            if !value.is_null() {
                self.read(name, value)?;
            }
        }
        let request = &mut self.request;
        request.dialect = Dialect::Gemini;
        // Google tells the usage of every stream.
        request.include_usage = true;
        if let Some(config) = self.tool_config {
            tools::read_config(config, &Place::Top("toolConfig"), request)?;
        }
        if let Some(system) = self.system {
            request.messages.extend(read_system(system, &mut self.asides)?);
        }
        let at = &Place::Top("contents");
        let contents = self.contents.ok_or_else(|| at.missing())?;
        request.messages.extend(contents::read(contents, at, &mut self.asides)?);
        request.native.extend(self.asides.into_members());
        Ok(self.request)
    }

    fn read(&mut self, name: String, value: Value) -> Result<(), RequestError> {
        let at = &Place::Top(&name);
        let request = &mut self.request;
        match name.as_str() {
            "model" => {
                let model = read::filled_string(value, at)?;
                request.model = model.strip_prefix("models/").unwrap_or(&model).to_owned();
            }
            "contents" => self.contents = Some(value),
            "systemInstruction" => self.system = Some(value),
            "tools" => tools::read(value, at, request, &mut self.asides)?,
            // Its meaning depends on the tools, which may stand behind it.
            "toolConfig" => self.tool_config = Some(value),
            "generationConfig" => generation::read(value, at, request)?,
            "serviceTier" => {
                let tier = read::string(value, at)?.to_ascii_lowercase();
                let tier = match tier.strip_prefix("service_tier_").unwrap_or(&tier) {
                    "unspecified" => return Ok(()),
                    "standard" => "default",
                    other => other,
                };
                request.extra.insert("service_tier".to_owned(), tier.into());
            }
            "store" => {
                read::boolean(&value, at)?;
                request.extra.insert(name, value);
            }
            "safetySettings" => {
                let settings = members::one_or_many(value);
                for (index, setting) in settings.iter().enumerate() {
                    read::object(setting.clone(), &at.item(index))?;
                }
                if !settings.is_empty() {
                    request.native.insert(name, Value::Array(settings));
                }
            }
            "cachedContent" => {
                read::string(value.clone(), at)?;
                request.native.insert(name, value);
            }
            "labels" => {
                read::object(value.clone(), at)?;
                request.native.insert(name, value);
            }
            _ => {
                request.native.insert(name, value);
            }
        }
        Ok(())
    }
}

/// Reads the instructions: a text, a content, or its parts.
fn read_system(value: Value, asides: &mut Asides) -> Result<Option<Message>, RequestError> {
    let at = &Place::Top("systemInstruction");
    let parts = match value {
        Value::String(text) => vec![Part::text(text)],
        list @ Value::Array(_) => contents::read_text_parts(list, at, asides)?,
        other => {
            let mut members = members::read(other, at)?;
            let place = at.member("parts");
            match read::take(&mut members, "parts") {
                Some(parts) => contents::read_text_parts(parts, &place, asides)?,
                // One part in the place of a content.
                None if members.contains_key("text") => {
                    contents::read_text_parts(Value::Object(members), at, asides)?
                }
                None => Vec::new(),
            }
        }
    };
    let is_empty = parts.iter().all(|part| matches!(part, Part::Text { text, .. } if text.is_empty()));
    Ok((!is_empty).then_some(Message { role: Role::System, parts, name: None }))
}
