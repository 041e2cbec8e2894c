//! Messages as Gemini's `systemInstruction` and `contents`.
//!
//! Owns who says what in which turn. Leaves the bytes of media to `media`. **Invariant:** turns of one speaker are one
//! content, the results of a turn's calls are a content of their own, and the first content is the user's.

use super::media::{guess_media_type, is_base64, media_part};
use crate::conversation::{Issuer, MediaSource, Message, Part, Role};
use crate::wire::{Dialect, EncodeError, EncodeOptions};
use serde_json::{Map, Value, json};
use std::collections::HashMap;

/// What stands where Google wants a word of the user and there is none; an empty text would be refused. LiteLLM sends
/// the same.
const BLANK_TEXT: &str = " ";

/// Google's own mark for a call that came without a thought signature, from another model or an older history: without
/// it the Gemini 3 models refuse the request (Google's guide to thought signatures).
const FOREIGN_SIGNATURE: &str = "skip_thought_signature_validator";

/// The two places into which messages go.
#[derive(Debug, PartialEq)]
pub(super) struct Conversation {
    /// All system and developer messages; `None` where there are none.
    pub(super) system: Option<Value>,
    /// The turns, at least one.
    pub(super) contents: Vec<Value>,
}

/// Writes messages.
///
/// # Errors
/// [`EncodeError::Invalid`] as listed at [`super::encode_chat`].
pub(super) fn write(messages: &[Message], options: &EncodeOptions) -> Result<Conversation, EncodeError> {
    let mut writer =
        Writer { names: HashMap::new(), turns: Vec::new(), by_level: options.reasoning_by_level };
    let mut system = Vec::new();
    for (index, message) in messages.iter().enumerate() {
        match message.role {
            Role::System | Role::Developer => write_system(message, index, &mut system)?,
            Role::User | Role::Tool => writer.write_user(message, index)?,
            Role::Assistant => writer.write_model(message, index)?,
        }
    }
    if writer.turns.first().is_none_or(|turn| turn.role != "user") {
        writer.turns.insert(0, Turn { role: "user", is_results: false, parts: vec![text_part(BLANK_TEXT)] });
    }
    let system = (!system.is_empty()).then(|| json!({ "parts": system }));
    let contents = writer.turns.into_iter().map(|turn| json!({ "role": turn.role, "parts": turn.parts }));
    Ok(Conversation { system, contents: contents.collect() })
}

fn write_system(message: &Message, index: usize, system: &mut Vec<Value>) -> Result<(), EncodeError> {
    for (number, part) in message.parts.iter().enumerate() {
        match part {
            Part::Text { text, .. } if text.is_empty() => {}
            Part::Text { text, .. } => system.push(text_part(text)),
            _ => return Err(invalid(part_place(index, number), "Gemini's system instruction is text only")),
        }
    }
    Ok(())
}

struct Turn {
    role: &'static str,
    is_results: bool,
    parts: Vec<Value>,
}

struct Writer<'a> {
    /// Function names by call id: Gemini's results repeat the name. Where an id comes twice, the later call counts.
    names: HashMap<&'a str, &'a str>,
    turns: Vec<Turn>,
    by_level: bool,
}

impl<'a> Writer<'a> {
    fn push(&mut self, role: &'static str, is_results: bool, mut parts: Vec<Value>) {
        if parts.is_empty() {
            return;
        }
        match self.turns.last_mut() {
            Some(turn) if turn.role == role && turn.is_results == is_results => turn.parts.append(&mut parts),
            _ => self.turns.push(Turn { role, is_results, parts }),
        }
    }

    fn write_user(&mut self, message: &'a Message, index: usize) -> Result<(), EncodeError> {
        let mut results = Vec::new();
        let mut said = Vec::new();
        for (number, part) in message.parts.iter().enumerate() {
            let at = part_place(index, number);
            match part {
                Part::ToolResult { .. } => self.write_result(message, part, index, &mut results)?,
                Part::ToolCall { .. } => return Err(invalid(at, "only the assistant calls tools")),
                _ => said.extend(plain_part(part, &at)?),
            }
        }
        if results.is_empty() && said.is_empty() {
            said.push(text_part(BLANK_TEXT));
        }
        self.push("user", true, results);
        self.push("user", false, said);
        Ok(())
    }

    fn write_model(&mut self, message: &'a Message, index: usize) -> Result<(), EncodeError> {
        let mut parts = Vec::new();
        let mut calls = 0u32;
        for (number, part) in message.parts.iter().enumerate() {
            let at = part_place(index, number);
            match part {
                Part::ToolCall { id, name, .. } => {
                    self.names.insert(id, name);
                    let mut call = call_part(part, &format!("messages[{index}].tool_calls[{calls}]"))?;
                    // Google checks the first call of a step; parallel ones after it carry no signature.
                    if calls == 0 && self.by_level && !call.contains_key("thoughtSignature") {
                        call.insert("thoughtSignature".to_owned(), json!(FOREIGN_SIGNATURE));
                    }
                    calls += 1;
                    parts.push(Value::Object(call));
                }
                Part::ToolResult { .. } => return Err(invalid(at, "the assistant gives no tool results")),
                _ => parts.extend(plain_part(part, &at)?),
            }
        }
        self.push("model", false, parts);
        Ok(())
    }

    fn write_result(
        &self,
        message: &Message,
        part: &Part,
        index: usize,
        results: &mut Vec<Value>,
    ) -> Result<(), EncodeError> {
        let Part::ToolResult { call_id, content, is_error, .. } = part else { return Ok(()) };
        let name = self.names.get(call_id.as_str()).copied().or(message.name.as_deref());
        let Some(name) = name else {
            let at = format!("messages[{index}].tool_call_id");
            return Err(invalid(at, "no call of this id comes before its result"));
        };
        let mut text = String::new();
        let mut media = Vec::new();
        for (number, piece) in content.iter().enumerate() {
            match piece {
                Part::Text { text: piece, .. } | Part::Refusal(piece) => text.push_str(piece),
                Part::Image { .. } | Part::Audio { .. } | Part::File { .. } => {
                    media.extend(plain_part(piece, &part_place(index, number))?);
                }
                _ => {}
            }
        }
        let mut response = Map::new();
        if !call_id.is_empty() {
            response.insert("id".to_owned(), json!(call_id));
        }
        response.insert("name".to_owned(), json!(name));
        response.insert("response".to_owned(), result_object(&text, *is_error));
        // Pictures inside a result are known from Gemini 3 on; before it they stand beside the result.
        if self.by_level && !media.is_empty() {
            response.insert("parts".to_owned(), Value::Array(std::mem::take(&mut media)));
        }
        results.push(json!({ "functionResponse": response }));
        results.append(&mut media);
        Ok(())
    }
}

/// Google takes an object: one passes as it is, anything else goes under `result`, a failure under `error`.
fn result_object(text: &str, is_error: bool) -> Value {
    let value = match text.trim_start().as_bytes().first() {
        Some(b'{' | b'[') => serde_json::from_str(text).unwrap_or_else(|_| json!(text)),
        _ => json!(text),
    };
    match value {
        value if is_error => json!({ "error": value }),
        Value::Object(_) => value,
        value => json!({ "result": value }),
    }
}

fn call_part(part: &Part, at: &str) -> Result<Map<String, Value>, EncodeError> {
    let mut written = Map::new();
    let Part::ToolCall { id, name, arguments, signature, is_custom: _ } = part else { return Ok(written) };
    let mut call = Map::new();
    if !id.is_empty() {
        call.insert("id".to_owned(), json!(id));
    }
    call.insert("name".to_owned(), json!(name));
    call.insert("args".to_owned(), arguments_object(arguments, at)?);
    written.insert("functionCall".to_owned(), Value::Object(call));
    if let Some(signature) = signature
        .as_ref()
        .and_then(|signature| signature.of(Issuer::Google))
        .filter(|signature| is_base64(signature))
    {
        written.insert("thoughtSignature".to_owned(), json!(signature));
    }
    Ok(written)
}

fn arguments_object(arguments: &str, at: &str) -> Result<Value, EncodeError> {
    if arguments.trim().is_empty() {
        return Ok(json!({}));
    }
    match serde_json::from_str(arguments) {
        Ok(value @ Value::Object(_)) => Ok(value),
        _ => {
            Err(invalid(format!("{at}.function.arguments"), "Gemini takes arguments that are a JSON object"))
        }
    }
}

/// What either side may say; nothing for parts that have no place here.
fn plain_part(part: &Part, at: &str) -> Result<Option<Value>, EncodeError> {
    Ok(match part {
        Part::Text { text, .. } | Part::Refusal(text) => (!text.is_empty()).then(|| text_part(text)),
        Part::Image { source, .. } => Some(media_part(source, inline_fallback(source, "image/jpeg"), at)?),
        Part::Audio { source, format, transcript: _ } => Some(audio_part(source, format, at)?),
        Part::File { source, filename, .. } => {
            Some(media_part(source, filename.as_deref().and_then(guess_media_type), at)?)
        }
        Part::Reasoning { text, signature } => {
            reasoning_part(text, signature.as_ref().and_then(|signature| signature.of(Issuer::Google)))
        }
        Part::Native(native) => (native.dialect == Dialect::Gemini).then(|| native.value.clone()),
        Part::RedactedReasoning { .. } | Part::ToolCall { .. } | Part::ToolResult { .. } => None,
    })
}

/// Google names the types of sounds by their formats (`audio/mp3`, where the register says `audio/mpeg`).
fn audio_part(source: &MediaSource, format: &str, at: &str) -> Result<Value, EncodeError> {
    let named = format!("audio/{format}");
    match source {
        MediaSource::Base64 { data, .. } if !format.is_empty() => {
            Ok(json!({ "inlineData": { "mimeType": named, "data": data } }))
        }
        _ => media_part(source, (!format.is_empty()).then_some(named.as_str()), at),
    }
}

/// Bytes need a media type; of an address Google can find it out by itself.
fn inline_fallback(source: &MediaSource, media_type: &'static str) -> Option<&'static str> {
    matches!(source, MediaSource::Base64 { .. }).then_some(media_type)
}

/// A thought, or a signature alone: Google puts one on an empty text at the end of a stream and wants it back so.
fn reasoning_part(text: &str, signature: Option<&str>) -> Option<Value> {
    let signature = signature.filter(|signature| is_base64(signature));
    if text.is_empty() && signature.is_none() {
        return None;
    }
    let mut written = Map::new();
    written.insert("text".to_owned(), json!(text));
    if !text.is_empty() {
        written.insert("thought".to_owned(), json!(true));
    }
    if let Some(signature) = signature {
        written.insert("thoughtSignature".to_owned(), json!(signature));
    }
    Some(Value::Object(written))
}

fn text_part(text: &str) -> Value {
    json!({ "text": text })
}

fn part_place(message: usize, part: usize) -> String {
    format!("messages[{message}].content[{part}]")
}

fn invalid(param: String, message: &str) -> EncodeError {
    EncodeError::Invalid { param, message: message.to_owned() }
}
