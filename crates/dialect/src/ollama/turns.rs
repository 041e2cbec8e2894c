//! The conversation as this wire wants it: messages of one text, with pictures beside it.

use crate::conversation::{ChatRequest, MediaSource, Message, Part, Role, custom};
use crate::json::value::{insert, insert_some, text as text_of};
use crate::wire::{EncodeError, Losses};
use serde_json::{Map, Value, json};
use std::collections::HashMap;

/// Writes the caller's messages.
///
/// # Errors
/// [`EncodeError::Invalid`] names the message and part that cannot be written.
pub(super) fn encode_messages(request: &ChatRequest, lost: &mut Losses) -> Result<Vec<Value>, EncodeError> {
    let mut writer = Writer { lost, names: HashMap::new(), messages: Vec::new() };
    for (index, message) in request.messages.iter().enumerate() {
        if message.name.is_some() {
            writer.lost.note("name");
        }
        match message.role {
            Role::System | Role::Developer => writer.spoken("system", message, index)?,
            Role::User => writer.spoken("user", message, index)?,
            Role::Tool => writer.results(message, index)?,
            Role::Assistant => writer.assistant(message, index)?,
        }
    }
    Ok(writer.messages)
}

fn invalid(param: String, message: impl Into<String>) -> EncodeError {
    EncodeError::Invalid { param, message: message.into() }
}

struct Writer<'m, 'l> {
    lost: &'l mut Losses,
    /// Functions by the ids of their calls.
    names: HashMap<&'m str, &'m str>,
    messages: Vec<Value>,
}

/// What a message says.
#[derive(Default)]
struct Content {
    lines: Vec<String>,
    images: Vec<String>,
}

impl Content {
    fn write(self, role: &str) -> Map<String, Value> {
        let mut message = Map::new();
        insert(&mut message, "role", role);
        insert(&mut message, "content", self.lines.join("\n"));
        if !self.images.is_empty() {
            insert(&mut message, "images", self.images);
        }
        message
    }
}

impl<'m> Writer<'m, '_> {
    fn spoken(&mut self, role: &str, message: &'m Message, index: usize) -> Result<(), EncodeError> {
        let mut content = Content::default();
        for (position, part) in message.parts.iter().enumerate() {
            match part {
                Part::ToolResult { .. } => self.result(part, index, position)?,
                _ => self.add(part, &format!("messages[{index}].content[{position}]"), &mut content)?,
            }
        }
        let is_result = message.parts.iter().all(|part| matches!(part, Part::ToolResult { .. }));
        if message.parts.is_empty() || !is_result {
            self.messages.push(Value::Object(content.write(role)));
        }
        Ok(())
    }

    /// A text, a document of text as what it says, or a picture.
    fn add(&mut self, part: &Part, place: &str, content: &mut Content) -> Result<(), EncodeError> {
        let mark = match part {
            Part::Text { cache_control, .. }
            | Part::Image { cache_control, .. }
            | Part::File { cache_control, .. } => cache_control.as_ref(),
            _ => None,
        };
        if mark.is_some() {
            self.lost.note("cache_control");
        }
        match part {
            Part::Text { text, citations, .. } => {
                if !citations.is_empty() {
                    self.lost.note("citations");
                }
                content.lines.push(text.clone());
            }
            Part::Refusal(text) => content.lines.push(text.clone()),
            Part::Image { source, detail, .. } => {
                if detail.as_deref().is_some_and(|detail| detail != "auto") {
                    self.lost.note("detail");
                }
                content.images.push(picture(source, place)?);
            }
            Part::File { source, filename, context, citations, .. } => {
                if is_picture(source) {
                    content.images.push(picture(source, place)?);
                    return Ok(());
                }
                if *citations {
                    self.lost.note("citations");
                }
                let words = crate::cohere::words_of(source).ok_or_else(|| {
                    invalid(
                        format!("{place}.file"),
                        "this provider's models read text and pictures, not files",
                    )
                })?;
                let title = filename.iter().chain(context).filter(|line| !line.is_empty());
                content.lines.extend(title.cloned());
                content.lines.push(words.into_owned());
            }
            Part::Audio { transcript: Some(words), .. } => {
                self.lost.note("audio");
                content.lines.push(words.clone());
            }
            Part::Audio { .. } => {
                return Err(invalid(format!("{place}.input_audio"), "this provider's models do not listen"));
            }
            Part::Native(native) => {
                self.lost.note(text_of(&native.value, "type").unwrap_or("content").to_owned());
            }
            Part::ToolCall { .. }
            | Part::ToolResult { .. }
            | Part::Reasoning { .. }
            | Part::RedactedReasoning { .. } => {
                return Err(invalid(place.to_owned(), "does not belong in a message of this role"));
            }
        }
        Ok(())
    }

    fn results(&mut self, message: &'m Message, index: usize) -> Result<(), EncodeError> {
        for (position, part) in message.parts.iter().enumerate() {
            match part {
                Part::ToolResult { .. } => self.result(part, index, position)?,
                Part::Native(native) => {
                    self.lost.note(text_of(&native.value, "type").unwrap_or("content").to_owned());
                }
                _ => {
                    let place = format!("messages[{index}].content[{position}]");
                    return Err(invalid(place, "a tool's message holds the answers of tools only"));
                }
            }
        }
        Ok(())
    }

    fn result(&mut self, part: &'m Part, index: usize, position: usize) -> Result<(), EncodeError> {
        let Part::ToolResult { call_id, content: parts, is_error, cache_control } = part else {
            return Ok(());
        };
        if *is_error {
            self.lost.note("is_error");
        }
        if cache_control.is_some() {
            self.lost.note("cache_control");
        }
        let mut content = Content::default();
        for (nested, part) in parts.iter().enumerate() {
            let place = format!("messages[{index}].content[{position}].content[{nested}]");
            self.add(part, &place, &mut content)?;
        }
        let mut message = content.write("tool");
        insert_some(&mut message, "tool_name", self.names.get(call_id.as_str()).copied());
        insert(&mut message, "tool_call_id", call_id.as_str());
        self.messages.push(Value::Object(message));
        Ok(())
    }

    fn assistant(&mut self, message: &'m Message, index: usize) -> Result<(), EncodeError> {
        let mut content = Content::default();
        let mut thoughts = Vec::new();
        let mut calls = Vec::new();
        for (position, part) in message.parts.iter().enumerate() {
            let place = format!("messages[{index}].content[{position}]");
            match part {
                // Thoughts that are signed are another maker's, and prove nothing here.
                Part::Reasoning { text, signature: None } => thoughts.push(text.as_str()),
                Part::Reasoning { .. } | Part::RedactedReasoning { .. } => self.lost.note("reasoning"),
                Part::ToolCall { id, name, arguments, is_custom, signature } => {
                    if signature.is_some() {
                        self.lost.note("reasoning");
                    }
                    self.names.insert(id, name);
                    let arguments = call_arguments(arguments, *is_custom)
                        .map_err(|reason| invalid(format!("{place}.function.arguments"), reason))?;
                    let function = json!({"index": calls.len(), "name": name, "arguments": arguments});
                    calls.push(json!({"id": id, "function": function}));
                }
                Part::Audio { transcript: None, .. } => self.lost.note("audio"),
                Part::Image { .. } => self.lost.note("image"),
                part => self.add(part, &place, &mut content)?,
            }
        }
        let mut message = content.write("assistant");
        if !thoughts.is_empty() {
            insert(&mut message, "thinking", thoughts.join("\n"));
        }
        if !calls.is_empty() {
            insert(&mut message, "tool_calls", calls);
        }
        self.messages.push(Value::Object(message));
        Ok(())
    }
}

/// Arguments as the object that the wire wants; nothing at all and `null` are a call without arguments.
fn call_arguments(arguments: &str, is_custom: bool) -> Result<Map<String, Value>, String> {
    if is_custom {
        let mut input = Map::new();
        insert(&mut input, custom::INPUT, arguments);
        return Ok(input);
    }
    if arguments.trim().is_empty() {
        return Ok(Map::new());
    }
    match serde_json::from_str(arguments) {
        Ok(Value::Object(input)) => Ok(input),
        Ok(Value::Null) => Ok(Map::new()),
        Ok(_) => Err("must be a JSON object".to_owned()),
        Err(fault) => Err(format!("is not JSON: {fault}")),
    }
}

fn is_picture(source: &MediaSource) -> bool {
    matches!(source, MediaSource::Base64 { media_type, .. } if media_type.to_ascii_lowercase().starts_with("image/"))
}

/// The bare base64 of a picture.
fn picture(source: &MediaSource, place: &str) -> Result<String, EncodeError> {
    match source {
        MediaSource::Base64 { data, .. } => Ok(data.chars().filter(|c| !c.is_ascii_whitespace()).collect()),
        MediaSource::Url(_) | MediaSource::FileId(_) | MediaSource::Text(_) => {
            Err(invalid(format!("{place}.image_url"), "must be base64 data: this provider fetches nothing"))
        }
    }
}
