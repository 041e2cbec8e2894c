//! Writes messages and their parts in OpenAI's form.

use super::{Extensions, insert, insert_some, write_mark};
use crate::base64;
use crate::conversation::{Issuer, MediaSource, Message, Part, Role};
use crate::openai::request::part::is_address;
use crate::openai::thought::{self, Thought};
use crate::wire::EncodeError;
use serde_json::{Map, Value, json};

/// Writes every message. One message of several tool results becomes one message for each, as OpenAI wants it.
pub(super) fn write_messages(
    messages: &[Message],
    extensions: Extensions,
) -> Result<Vec<Value>, EncodeError> {
    let mut out = Vec::with_capacity(messages.len());
    for (index, message) in messages.iter().enumerate() {
        let place = format!("messages[{index}]");
        match message.role {
            Role::System => out.push(plain("system", message, extensions, &place)?),
            Role::Developer => out.push(plain("developer", message, extensions, &place)?),
            Role::User => out.push(plain("user", message, extensions, &place)?),
            Role::Assistant => out.push(assistant(message, extensions, &place)?),
            Role::Tool => {
                for (position, part) in message.parts.iter().enumerate() {
                    let place = format!("{place}.content[{position}]");
                    out.push(tool(part, message.name.as_deref(), extensions, &place)?);
                }
            }
        }
    }
    Ok(out)
}

fn invalid(param: &str, message: &str) -> EncodeError {
    EncodeError::Invalid { param: param.to_owned(), message: message.to_owned() }
}

fn plain(role: &str, message: &Message, extensions: Extensions, place: &str) -> Result<Value, EncodeError> {
    let mut out = Map::new();
    insert(&mut out, "role", role);
    insert(&mut out, "content", content(&message.parts, extensions, place)?);
    insert_some(&mut out, "name", message.name.as_deref());
    Ok(Value::Object(out))
}

/// One text without a mark is a plain string; anything else a list of parts.
fn content(parts: &[Part], extensions: Extensions, place: &str) -> Result<Value, EncodeError> {
    match parts {
        [Part::Text { text, cache_control, citations: _ }]
            if cache_control.is_none() || extensions == Extensions::Omit =>
        {
            Ok(json!(text))
        }
        parts => {
            let parts = parts.iter().enumerate();
            let parts = parts.map(|(position, part)| {
                write_part(part, extensions, &format!("{place}.content[{position}]"))
            });
            Ok(Value::Array(parts.collect::<Result<_, _>>()?))
        }
    }
}

fn write_part(part: &Part, extensions: Extensions, place: &str) -> Result<Value, EncodeError> {
    let mut out = Map::new();
    match part {
        Part::Text { text, cache_control, citations: _ } => {
            insert(&mut out, "type", "text");
            insert(&mut out, "text", text.as_str());
            write_mark(cache_control.as_ref(), extensions, &mut out);
        }
        Part::Image { source, detail, cache_control } => {
            let mut image = Map::new();
            insert(&mut image, "url", image_url(source, place)?);
            insert_some(&mut image, "detail", detail.as_deref());
            insert(&mut out, "type", "image_url");
            insert(&mut out, "image_url", image);
            write_mark(cache_control.as_ref(), extensions, &mut out);
        }
        Part::Audio { source: MediaSource::Base64 { data, .. }, format, transcript: _ } => {
            insert(&mut out, "type", "input_audio");
            insert(&mut out, "input_audio", json!({"data": data, "format": format}));
        }
        Part::Audio { .. } => {
            return Err(invalid(place, "a sound has to be sent as base64 data to this model"));
        }
        Part::File { source, filename, cache_control, context: _, citations: _ } => {
            insert(&mut out, "type", "file");
            insert(&mut out, "file", file(source, filename.as_deref(), extensions, place)?);
            write_mark(cache_control.as_ref(), extensions, &mut out);
        }
        Part::Refusal(text) => {
            insert(&mut out, "type", "refusal");
            insert(&mut out, "refusal", text.as_str());
        }
        Part::ToolCall { .. } | Part::Reasoning { .. } | Part::RedactedReasoning { .. } => {
            return Err(invalid(place, "tool calls and reasoning stand in the assistant's messages only"));
        }
        Part::Native(_) => return Err(invalid(place, "a part that only another dialect has")),
        Part::ToolResult { .. } => {
            return Err(invalid(place, "a tool's answer stands in a message of its own"));
        }
    }
    Ok(Value::Object(out))
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

fn tool(part: &Part, name: Option<&str>, extensions: Extensions, place: &str) -> Result<Value, EncodeError> {
    let Part::ToolResult { call_id, content: parts, is_error: _, cache_control } = part else {
        return Err(invalid(place, "a tool's message holds the answers of tools only"));
    };
    let mut out = Map::new();
    insert(&mut out, "role", "tool");
    insert(&mut out, "tool_call_id", call_id.as_str());
    insert(&mut out, "content", content(parts, extensions, place)?);
    if extensions == Extensions::Include {
        insert_some(&mut out, "name", name);
    }
    write_mark(cache_control.as_ref(), extensions, &mut out);
    Ok(Value::Object(out))
}

fn assistant(message: &Message, extensions: Extensions, place: &str) -> Result<Value, EncodeError> {
    let mut spoken = Vec::new();
    let mut calls = Vec::new();
    let mut thoughts = Vec::new();
    for part in &message.parts {
        match part {
            Part::ToolCall { .. } => calls.push(tool_call(part, extensions)),
            Part::Reasoning { .. } | Part::RedactedReasoning { .. } => thoughts.extend(Thought::of(part)),
            Part::Text { .. }
            | Part::Refusal(_)
            | Part::Image { .. }
            | Part::Audio { .. }
            | Part::File { .. }
            | Part::Native(_)
            | Part::ToolResult { .. } => spoken.push(part.clone()),
        }
    }
    let mut out = Map::new();
    insert(&mut out, "role", "assistant");
    let said = match spoken.as_slice() {
        [] if calls.is_empty() => json!(""),
        [] => Value::Null,
        parts => content(parts, extensions, place)?,
    };
    insert(&mut out, "content", said);
    if extensions == Extensions::Include {
        write_reasoning(&thoughts, &mut out);
    }
    if !calls.is_empty() {
        insert(&mut out, "tool_calls", calls);
    }
    insert_some(&mut out, "name", message.name.as_deref());
    Ok(Value::Object(out))
}

fn tool_call(part: &Part, extensions: Extensions) -> Value {
    let mut out = Map::new();
    if let Part::ToolCall { id, name, arguments, is_custom: _, signature } = part {
        insert(&mut out, "id", id.as_str());
        insert(&mut out, "type", "function");
        insert(&mut out, "function", json!({"name": name, "arguments": arguments}));
        if let (Some(signature), Extensions::Include) = (signature, extensions) {
            insert(
                &mut out,
                "provider_specific_fields",
                json!({"thought_signature": signature.written(Issuer::Google)}),
            );
        }
    }
    Value::Object(out)
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
