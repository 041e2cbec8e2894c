//! Messages as Gemini's `systemInstruction` and `contents`.
//!
//! Owns who says what in which turn, and what of it has no place there. Leaves single parts to `part` and the bytes of
//! media to `media`. **Invariant:** turns of one speaker are one content, the results of a turn's calls are a content of
//! their own, and the first content is the user's.

use super::host::Host;
use super::media::is_base64;
use super::own::{CALLS, Own, RESULTS};
use super::part::{self, invalid};
use super::seal::NO_SIGNATURE;
use crate::conversation::{Issuer, MediaSource, Message, Part, Role, custom};
use crate::wire::{Dialect, EncodeError, EncodeOptions, Losses};
use serde_json::{Map, Value, json};
use std::collections::HashMap;

/// What stands where Google wants a word of the user and there is none; an empty text would be refused. LiteLLM sends
/// the same.
const BLANK_TEXT: &str = " ";

/// The two places into which messages go.
#[derive(Debug, PartialEq)]
pub(super) struct Conversation {
    /// All system and developer messages; `None` where there are none.
    pub(super) system: Option<Value>,
    /// The turns, at least one.
    pub(super) contents: Vec<Value>,
}

/// Where messages are written for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target<'r> {
    /// Which of Google's two.
    pub(super) host: Host,
    /// The model is one of Gemini 3 or later, which thinks by level.
    pub(super) by_level: bool,
    /// What the caller said in Gemini's own words.
    pub(super) own: Own<'r>,
}

impl<'r> Target<'r> {
    pub(super) fn new(host: Host, options: &EncodeOptions, own: Own<'r>) -> Self {
        Self { host, by_level: options.reasoning_by_level, own }
    }
}

/// Writes messages; what has no place is noted in `lost`.
///
/// # Errors
/// [`EncodeError::Invalid`] as listed at [`super::encode_chat`].
pub(super) fn write(
    messages: &[Message],
    target: Target<'_>,
    lost: &mut Losses,
) -> Result<Conversation, EncodeError> {
    let mut writer = Writer { names: HashMap::new(), turns: Vec::new(), target, lost };
    let mut system = Vec::new();
    for (index, message) in messages.iter().enumerate() {
        if message.name.is_some() && message.role != Role::Tool {
            writer.lost.note("name");
        }
        match message.role {
            Role::System | Role::Developer => {
                if !writer.turns.is_empty() {
                    writer.lost.note("system_position");
                }
                writer.write_system(message, index, &mut system)?;
            }
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

struct Turn {
    role: &'static str,
    is_results: bool,
    parts: Vec<Value>,
}

struct Writer<'a> {
    /// Function names by call id: Gemini's results repeat the name. Where an id comes twice, the later call counts.
    names: HashMap<&'a str, &'a str>,
    turns: Vec<Turn>,
    target: Target<'a>,
    lost: &'a mut Losses,
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

    fn write_system(
        &mut self,
        message: &Message,
        index: usize,
        system: &mut Vec<Value>,
    ) -> Result<(), EncodeError> {
        for (number, part) in message.parts.iter().enumerate() {
            self.note_annotations(part);
            match part {
                Part::Text { text, .. } if text.is_empty() => {}
                Part::Text { .. } => system.extend(self.plain_part(part, "")?),
                Part::Native(_) => drop(self.plain_part(part, "")?),
                _ => {
                    let at = part_place(index, number);
                    return Err(invalid(at, "Gemini's system instruction is text only"));
                }
            }
        }
        Ok(())
    }

    fn write_user(&mut self, message: &'a Message, index: usize) -> Result<(), EncodeError> {
        let mut results = Vec::new();
        let mut said = Vec::new();
        for (number, part) in message.parts.iter().enumerate() {
            let at = part_place(index, number);
            self.note_annotations(part);
            match part {
                Part::ToolResult { .. } => self.write_result(message, part, index, &mut results)?,
                Part::ToolCall { .. } => return Err(invalid(at, "only the assistant calls tools")),
                _ => said.extend(self.plain_part(part, &at)?),
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
        let mut parts: Vec<Value> = Vec::new();
        let mut calls = 0u32;
        for (number, part) in message.parts.iter().enumerate() {
            let at = part_place(index, number);
            self.note_annotations(part);
            match part {
                Part::ToolCall { id, name, .. } => {
                    self.names.insert(id, name);
                    let mut call = self.call_part(part, &format!("messages[{index}].tool_calls[{calls}]"))?;
                    // Google checks the first call of a step; parallel ones after it carry no signature.
                    if calls == 0 && self.target.by_level && !call.contains_key("thoughtSignature") {
                        call.insert("thoughtSignature".to_owned(), json!(NO_SIGNATURE));
                    }
                    calls += 1;
                    parts.push(Value::Object(call));
                }
                Part::ToolResult { .. } => return Err(invalid(at, "the assistant gives no tool results")),
                Part::Reasoning { text, signature: Some(signature) } if text.is_empty() => {
                    match signature.of(Issuer::Google).filter(|text| is_base64(text)) {
                        Some(signature) => part::sign_last(&mut parts, signature),
                        None => self.lost.note("reasoning"),
                    }
                }
                _ => parts.extend(self.plain_part(part, &at)?),
            }
        }
        self.push("model", false, parts);
        Ok(())
    }

    fn write_result(
        &mut self,
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
            self.note_annotations(piece);
            match piece {
                Part::Text { text: piece, .. }
                | Part::Refusal(piece)
                | Part::File { source: MediaSource::Text(piece), .. } => text.push_str(piece),
                _ => media.extend(self.plain_part(piece, &part_place(index, number))?),
            }
        }
        let mut response = Map::new();
        if !call_id.is_empty() {
            response.insert("id".to_owned(), json!(call_id));
        }
        response.insert("name".to_owned(), json!(name));
        response.insert("response".to_owned(), part::result_object(&text, *is_error));
        // Pictures inside a result are known from Gemini 3 on; before it they stand beside the result.
        if self.target.by_level && !media.is_empty() {
            response.insert("parts".to_owned(), Value::Array(std::mem::take(&mut media)));
        }
        self.target.own.complete(RESULTS, call_id, &mut response);
        results.push(json!({ "functionResponse": response }));
        results.append(&mut media);
        Ok(())
    }

    fn call_part(&self, part: &Part, at: &str) -> Result<Map<String, Value>, EncodeError> {
        let mut written = Map::new();
        let Part::ToolCall { id, name, arguments, signature, is_custom } = part else { return Ok(written) };
        let args = if *is_custom {
            part::arguments(&custom::wrap_input(arguments))
        } else {
            part::arguments(arguments)
        };
        let args = args.ok_or_else(|| {
            invalid(format!("{at}.function.arguments"), "Gemini takes arguments that are a JSON object")
        })?;
        let mut call = part::call(id, name, args);
        self.target.own.complete(CALLS, id, &mut call);
        written.insert("functionCall".to_owned(), Value::Object(call));
        let signature = signature.as_ref().and_then(|signature| signature.of(Issuer::Google));
        if let Some(signature) = signature.filter(|signature| is_base64(signature)) {
            written.insert("thoughtSignature".to_owned(), json!(signature));
        }
        Ok(written)
    }

    /// What either side may say; nothing for parts that have no place here.
    fn plain_part(&mut self, part: &Part, at: &str) -> Result<Option<Value>, EncodeError> {
        let host = self.target.host;
        let written = match part {
            Part::Text { text, .. } | Part::Refusal(text) => (!text.is_empty()).then(|| text_part(text)),
            Part::Image { source, .. } => Some(part::image(host, source, at)?),
            // An answer's sound is known by its id to its provider alone; its words are known to all.
            Part::Audio { source: MediaSource::FileId(_), transcript: Some(words), .. } => {
                self.lost.note("audio");
                Some(text_part(words))
            }
            Part::Audio { source, format, .. } => Some(part::audio(host, source, format, at)?),
            Part::File { source, filename, .. } => {
                let names = host == Host::Vertex || self.target.own.is_own();
                if filename.is_some() && !names {
                    self.lost.note("filename");
                }
                Some(part::file(host, source, filename.as_deref(), names, at)?)
            }
            Part::Reasoning { text, signature } => {
                self.thought(text, signature.as_ref().map(|own| own.of(Issuer::Google)))
            }
            Part::RedactedReasoning { .. } => {
                self.lost.note("reasoning");
                None
            }
            Part::Native(native)
                if native.dialect == Dialect::Gemini && part::is_taken(host, &native.value) =>
            {
                Some(native.value.clone())
            }
            Part::Native(native) => {
                self.lost.note(part::native_name(&native.value));
                None
            }
            Part::ToolCall { .. } | Part::ToolResult { .. } => None,
        };
        Ok(written.map(|mut written| {
            if let Value::Object(members) = &mut written {
                self.target.own.complete_part(members);
            }
            written
        }))
    }

    /// A thought of Google's, signed or not, or one of another without a signature. With a signature of another issuer
    /// it is nothing that Google takes back.
    fn thought(&mut self, text: &str, signature: Option<Option<&str>>) -> Option<Value> {
        let signature = match signature {
            None => None,
            Some(Some(own)) if is_base64(own) => Some(own),
            Some(_) => {
                self.lost.note("reasoning");
                return None;
            }
        };
        (!text.is_empty()).then(|| part::thought(text, signature))
    }

    /// Notes what stands on a part and has no place here.
    fn note_annotations(&mut self, part: &Part) {
        let mark = match part {
            Part::Text { cache_control, citations, .. } => {
                if !citations.is_empty() {
                    self.lost.note("citations");
                }
                cache_control
            }
            Part::Image { detail, cache_control, .. } => {
                if detail.as_deref().is_some_and(|detail| detail != "auto") {
                    self.lost.note("detail");
                }
                cache_control
            }
            Part::File { context, citations, cache_control, .. } => {
                if context.is_some() {
                    self.lost.note("context");
                }
                if *citations {
                    self.lost.note("citations");
                }
                cache_control
            }
            Part::ToolResult { cache_control, .. } => cache_control,
            _ => return,
        };
        if mark.is_some() {
            self.lost.note("cache_control");
        }
    }
}

fn text_part(text: &str) -> Value {
    json!({ "text": text })
}

fn part_place(message: usize, part: usize) -> String {
    format!("messages[{message}].content[{part}]")
}
