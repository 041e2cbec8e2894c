//! Writes messages and their parts in OpenAI's form.
//!
//! Owns where a part goes that OpenAI's message of its role cannot hold: pictures of a tool's answer into a message of the
//! user behind it. **Invariant:** the answers to one turn's calls stand together, as OpenAI demands.

use super::{Extensions, insert, insert_some, write_mark};
use crate::base64;
use crate::conversation::{Issuer, MediaSource, Message, Part, Role};
use crate::openai::reply::native_kind;
use crate::openai::request::part::is_address;
use crate::openai::thought::{self, Thought};
use crate::wire::{EncodeError, Losses};
use serde_json::{Map, Value, json};

/// What a tool's message says whose answer is pictures only.
const SHOWN_BELOW: &str = "The result is shown in the next message.";

/// Writes every message. One message of several tool results becomes one message for each, as OpenAI wants it.
pub(super) fn write_messages(
    messages: &[Message],
    extensions: Extensions,
    lost: &mut Losses,
) -> Result<Vec<Value>, EncodeError> {
    let mut writer = Writer { extensions, lost, shown: Vec::new() };
    let mut out = Vec::with_capacity(messages.len());
    for (index, message) in messages.iter().enumerate() {
        let place = format!("messages[{index}]");
        if message.role != Role::Tool {
            out.extend(writer.show());
        }
        match message.role {
            Role::System => out.push(writer.plain("system", message, &place)?),
            Role::Developer => out.push(writer.plain("developer", message, &place)?),
            Role::User => out.push(writer.plain("user", message, &place)?),
            Role::Assistant => out.push(writer.assistant(message, &place)?),
            Role::Tool => {
                for (position, part) in message.parts.iter().enumerate() {
                    let place = format!("{place}.content[{position}]");
                    out.extend(writer.tool(part, message.name.as_deref(), &place)?);
                }
            }
        }
    }
    out.extend(writer.show());
    Ok(out)
}

fn invalid(param: &str, message: &str) -> EncodeError {
    EncodeError::Invalid { param: param.to_owned(), message: message.to_owned() }
}

struct Writer<'a> {
    extensions: Extensions,
    lost: &'a mut Losses,
    /// Parts of tools' answers for a message of the user behind them.
    shown: Vec<Value>,
}

impl Writer<'_> {
    /// The message of the user that shows what tools' messages could not hold.
    fn show(&mut self) -> Option<Value> {
        let shown = std::mem::take(&mut self.shown);
        (!shown.is_empty()).then(|| json!({"role": "user", "content": shown}))
    }

    fn plain(&mut self, role: &str, message: &Message, place: &str) -> Result<Value, EncodeError> {
        let mut out = Map::new();
        insert(&mut out, "role", role);
        insert(&mut out, "content", self.content(&message.parts, place)?);
        insert_some(&mut out, "name", message.name.as_deref());
        Ok(Value::Object(out))
    }

    /// One text without a mark is a plain string; anything else a list of parts.
    fn content(&mut self, parts: &[Part], place: &str) -> Result<Value, EncodeError> {
        let is_words = |part: &Part| matches!(part, Part::File { source: MediaSource::Text(_), .. });
        if parts.iter().any(is_words) {
            // Chat completions read no files but PDFs.
            let parts = with_documents_as_text(parts, self.lost);
            return self.content(&parts, place);
        }
        match parts {
            [Part::Text { text, cache_control, citations }]
                if cache_control.is_none() || self.extensions == Extensions::Omit =>
            {
                if cache_control.is_some() {
                    self.lost.note("cache_control");
                }
                if !citations.is_empty() {
                    self.lost.note("citations");
                }
                Ok(json!(text))
            }
            parts => {
                let mut out = Vec::with_capacity(parts.len());
                for (position, part) in parts.iter().enumerate() {
                    match part {
                        Part::Native(native) => self.lost.note(native_kind(native)),
                        part => out.push(self.part(part, &format!("{place}.content[{position}]"))?),
                    }
                }
                // What is left when all parts were another dialect's own; a list must not be empty.
                Ok(if out.is_empty() && !parts.is_empty() { json!("") } else { Value::Array(out) })
            }
        }
    }

    fn part(&mut self, part: &Part, place: &str) -> Result<Value, EncodeError> {
        let mut out = Map::new();
        match part {
            Part::Text { text, cache_control, citations } => {
                insert(&mut out, "type", "text");
                insert(&mut out, "text", text.as_str());
                write_mark(cache_control.as_ref(), self.extensions, &mut out, self.lost);
                if !citations.is_empty() {
                    self.lost.note("citations");
                }
            }
            Part::Image { source, detail, cache_control } => {
                let mut image = Map::new();
                insert(&mut image, "url", image_url(source, place)?);
                insert_some(&mut image, "detail", detail.as_deref());
                insert(&mut out, "type", "image_url");
                insert(&mut out, "image_url", image);
                write_mark(cache_control.as_ref(), self.extensions, &mut out, self.lost);
            }
            Part::Audio { source: MediaSource::Base64 { data, .. }, format, transcript: _ } => {
                insert(&mut out, "type", "input_audio");
                insert(&mut out, "input_audio", json!({"data": data, "format": format}));
            }
            Part::Audio { .. } => {
                return Err(invalid(place, "a sound has to be sent as base64 data to this model"));
            }
            Part::File { source, filename, cache_control, context, citations } => {
                insert(&mut out, "type", "file");
                insert(&mut out, "file", file(source, filename.as_deref(), self.extensions, place)?);
                write_mark(cache_control.as_ref(), self.extensions, &mut out, self.lost);
                if context.is_some() {
                    self.lost.note("context");
                }
                if *citations {
                    self.lost.note("citations");
                }
            }
            Part::Refusal(text) => {
                insert(&mut out, "type", "refusal");
                insert(&mut out, "refusal", text.as_str());
            }
            Part::ToolCall { .. } | Part::Reasoning { .. } | Part::RedactedReasoning { .. } => {
                return Err(invalid(
                    place,
                    "tool calls and reasoning stand in the assistant's messages only",
                ));
            }
            Part::Native(_) => return Err(invalid(place, "a part that only another dialect has")),
            Part::ToolResult { .. } => {
                return Err(invalid(place, "a tool's answer stands in a message of its own"));
            }
        }
        Ok(Value::Object(out))
    }

    /// The answer of one tool. OpenAI takes text there; LiteLLM's form holds pictures and files too.
    fn tool(&mut self, part: &Part, name: Option<&str>, place: &str) -> Result<Option<Value>, EncodeError> {
        let (call_id, parts, is_error, mark) = match part {
            Part::ToolResult { call_id, content, is_error, cache_control } => {
                (call_id, content, *is_error, cache_control)
            }
            Part::Native(native) => {
                self.lost.note(native_kind(native));
                return Ok(None);
            }
            _ => return Err(invalid(place, "a tool's message holds the answers of tools only")),
        };
        if is_error {
            self.lost.note("is_error");
        }
        let mut out = Map::new();
        insert(&mut out, "role", "tool");
        insert(&mut out, "tool_call_id", call_id.as_str());
        let content = match self.extensions {
            Extensions::Include => self.content(parts, place)?,
            Extensions::Omit => self.tool_text(call_id, parts, place)?,
        };
        insert(&mut out, "content", content);
        if self.extensions == Extensions::Include {
            insert_some(&mut out, "name", name);
        }
        write_mark(mark.as_ref(), self.extensions, &mut out, self.lost);
        Ok(Some(Value::Object(out)))
    }

    /// The text of a tool's answer, that of its documents included; the rest of it goes to the message behind, named
    /// by its call.
    fn tool_text(&mut self, call_id: &str, parts: &[Part], place: &str) -> Result<Value, EncodeError> {
        let parts = with_documents_as_text(parts, self.lost);
        let is_text = |part: &&Part| matches!(part, Part::Text { .. } | Part::Native(_));
        let (texts, shown): (Vec<&Part>, Vec<&Part>) = parts.iter().partition(is_text);
        if !shown.is_empty() {
            self.shown.push(json!({"type": "text", "text": format!("Result of the tool call {call_id}:")}));
        }
        for part in &shown {
            let shown = self.part(part, place)?;
            self.shown.push(shown);
        }
        let texts: Vec<Part> = texts.into_iter().cloned().collect();
        match texts.as_slice() {
            [] if shown.is_empty() => Ok(json!("")),
            [] => Ok(json!(SHOWN_BELOW)),
            texts => self.content(texts, place),
        }
    }

    fn assistant(&mut self, message: &Message, place: &str) -> Result<Value, EncodeError> {
        let mut spoken = Vec::new();
        let mut calls = Vec::new();
        let mut thoughts = Vec::new();
        let mut audio = None;
        for part in &message.parts {
            match part {
                Part::ToolCall { .. } => calls.push(self.tool_call(part)),
                Part::Reasoning { .. } | Part::RedactedReasoning { .. } => thoughts.extend(Thought::of(part)),
                // OpenAI keeps what it said; what another model said is told by its words.
                Part::Audio { source: MediaSource::FileId(id), .. } => audio = Some(id.as_str()),
                Part::Audio { transcript, .. } => {
                    self.lost.note("audio");
                    spoken.extend(transcript.as_deref().map(Part::text));
                }
                // An earlier answer's picture has no form in what the assistant said.
                Part::Image { .. } => self.lost.note("images"),
                Part::Native(native) => self.lost.note(native_kind(native)),
                Part::Text { .. } | Part::Refusal(_) | Part::File { .. } | Part::ToolResult { .. } => {
                    spoken.push(part.clone());
                }
            }
        }
        let mut out = Map::new();
        insert(&mut out, "role", "assistant");
        let said = match spoken.as_slice() {
            [] if calls.is_empty() && audio.is_none() => json!(""),
            [] => Value::Null,
            parts => self.content(parts, place)?,
        };
        insert(&mut out, "content", said);
        match self.extensions {
            Extensions::Include => write_reasoning(&thoughts, &mut out),
            Extensions::Omit if !thoughts.is_empty() => self.lost.note("reasoning"),
            Extensions::Omit => {}
        }
        insert_some(&mut out, "audio", audio.map(|id| json!({"id": id})));
        if !calls.is_empty() {
            insert(&mut out, "tool_calls", calls);
        }
        insert_some(&mut out, "name", message.name.as_deref());
        Ok(Value::Object(out))
    }

    fn tool_call(&mut self, part: &Part) -> Value {
        let mut out = Map::new();
        if let Part::ToolCall { id, name, arguments, is_custom, signature } = part {
            insert(&mut out, "id", id.as_str());
            if *is_custom {
                insert(&mut out, "type", "custom");
                insert(&mut out, "custom", json!({"name": name, "input": arguments}));
            } else {
                insert(&mut out, "type", "function");
                insert(&mut out, "function", json!({"name": name, "arguments": arguments}));
            }
            match (signature, self.extensions) {
                (None, _) => {}
                (Some(_), Extensions::Omit) => self.lost.note("reasoning"),
                (Some(signature), Extensions::Include) => insert(
                    &mut out,
                    "provider_specific_fields",
                    json!({"thought_signature": signature.written(Issuer::Google)}),
                ),
            }
        }
        Value::Object(out)
    }
}

/// Parts with the documents that are words as texts, under their titles: where it is a tool's answer, they are read with
/// the call that it answers.
pub(crate) fn with_documents_as_text(parts: &[Part], lost: &mut Losses) -> Vec<Part> {
    let mut told = Vec::with_capacity(parts.len());
    for part in parts {
        let Part::File { source: MediaSource::Text(words), filename, context, citations, cache_control } =
            part
        else {
            told.push(part.clone());
            continue;
        };
        if *citations {
            lost.note("citations");
        }
        let heads = [filename, context].into_iter().flatten().filter(|head| !head.is_empty());
        let lines: Vec<&str> = heads.chain([words]).map(String::as_str).collect();
        let text = lines.join("\n");
        told.push(Part::Text { text, citations: Vec::new(), cache_control: cache_control.clone() });
    }
    told
}

/// Base64 data as an address (RFC 2397).
pub(crate) fn data_url(media_type: &str, data: &str) -> String {
    format!("data:{media_type};base64,{data}")
}

fn image_url(source: &MediaSource, place: &str) -> Result<String, EncodeError> {
    match source {
        MediaSource::Url(url) => Ok(url.clone()),
        MediaSource::Base64 { media_type, data } => Ok(data_url(media_type, data)),
        MediaSource::FileId(_) | MediaSource::Text(_) => {
            Err(invalid(place, "a picture has to be an address or base64 data for this model, not a file id"))
        }
    }
}

fn file(
    source: &MediaSource,
    filename: Option<&str>,
    extensions: Extensions,
    place: &str,
) -> Result<Map<String, Value>, EncodeError> {
    let mut out = Map::new();
    match source {
        MediaSource::Base64 { media_type, .. } if media_type.starts_with("video/") => {
            return Err(invalid(place, "this model takes no films"));
        }
        MediaSource::Base64 { media_type, data } => insert(&mut out, "file_data", data_url(media_type, data)),
        MediaSource::FileId(id) => insert(&mut out, "file_id", id.as_str()),
        MediaSource::Text(text) => {
            insert(&mut out, "file_data", data_url("text/plain", &base64::encode(text.as_bytes())));
        }
        // LiteLLM's form of a document that the provider fetches.
        MediaSource::Url(url) if extensions == Extensions::Include && is_address(url) => {
            insert(&mut out, "file_id", url.as_str());
        }
        MediaSource::Url(_) => {
            return Err(invalid(
                place,
                "a document has to be base64 data or a file id for this model, not an address",
            ));
        }
    }
    insert_some(&mut out, "filename", filename);
    Ok(out)
}

fn write_reasoning(thoughts: &[Thought<'_>], out: &mut Map<String, Value>) {
    let readable = thought::readable(thoughts);
    if !readable.is_empty() {
        insert(out, "reasoning_content", readable);
    }
    if thought::needs_blocks(thoughts) {
        let blocks: Vec<Value> = thoughts.iter().map(|thought| thought.to_value()).collect();
        insert(out, "thinking_blocks", blocks);
    }
}
