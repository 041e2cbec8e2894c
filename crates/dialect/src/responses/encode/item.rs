//! Writes messages as items of `input`.
//!
//! **Invariant:** an item of reasoning goes out only where OpenAI made it and can read it again, and never without an item
//! of the model behind it: OpenAI refuses both.

use super::tool::namespace;
use super::{insert, insert_some};
use crate::base64;
use crate::conversation::{CacheControl, MediaSource, Message, Part, Role, Signature, Tool};
use crate::openai::{data_url, with_documents_as_text};
use crate::responses::request::item::PHASE;
use crate::responses::{annotation, seal};
use crate::wire::{Dialect, EncodeError, Losses};
use serde_json::{Map, Value, json};

/// What decides how items are written.
pub(super) struct Terms<'a> {
    /// The number of the first message, for places in errors.
    pub(super) first: usize,
    /// The request came in this dialect.
    pub(super) is_own: bool,
    /// OpenAI keeps responses for this caller, so ids mean something there.
    pub(super) stores: bool,
    /// The request's tools.
    pub(super) tools: &'a [Tool],
}

/// Writes the items.
pub(super) fn write_items(
    messages: &[Message],
    terms: &Terms<'_>,
    lost: &mut Losses,
) -> Result<Vec<Value>, EncodeError> {
    let mut writer = Writer { terms, lost, items: Vec::new(), custom_calls: Vec::new(), phase: None };
    for (index, message) in messages.iter().enumerate() {
        let place = format!("messages[{}]", terms.first + index);
        if message.name.is_some() {
            writer.lost.note("name");
        }
        match message.role {
            Role::System => writer.said("system", message, &place)?,
            Role::Developer => writer.said("developer", message, &place)?,
            Role::User => writer.said("user", message, &place)?,
            Role::Assistant => writer.assistant(message, &place)?,
            Role::Tool => writer.results(message, &place)?,
        }
    }
    writer.drop_dangling_reasoning();
    Ok(writer.items)
}

struct Writer<'a> {
    terms: &'a Terms<'a>,
    lost: &'a mut Losses,
    items: Vec<Value>,
    /// Ids of the calls whose outputs are a custom tool's.
    custom_calls: Vec<String>,
    /// What the next message of the assistant is to its turn.
    phase: Option<Value>,
}

fn invalid(param: &str, message: &str) -> EncodeError {
    EncodeError::Invalid { param: param.to_owned(), message: message.to_owned() }
}

impl Writer<'_> {
    fn said(&mut self, role: &str, message: &Message, place: &str) -> Result<(), EncodeError> {
        let mut natives = Vec::new();
        let spoken: Vec<&Part> =
            message.parts.iter().filter(|part| !self.take_native(part, &mut natives)).collect();
        let content = self.content(&spoken, place)?;
        if !spoken.is_empty() {
            self.items.push(json!({"type": "message", "role": role, "content": content}));
        }
        self.items.append(&mut natives);
        Ok(())
    }

    /// Takes a part that one dialect alone has: this one's goes out again, another's is lost.
    fn take_native(&mut self, part: &Part, items: &mut Vec<Value>) -> bool {
        let Part::Native(native) = part else { return false };
        if native.dialect == Dialect::Responses {
            items.push(native.value.clone());
        } else {
            let kind = native.value.get("type").and_then(Value::as_str).unwrap_or("native");
            self.lost.note(kind.to_owned());
        }
        true
    }

    /// One text without a mark is a plain string; anything else a list of parts.
    fn content(&mut self, parts: &[&Part], place: &str) -> Result<Value, EncodeError> {
        match parts {
            [Part::Text { text, cache_control, .. }] if cache_control.is_none() || !self.terms.is_own => {
                self.note_mark(cache_control.as_ref());
                Ok(json!(text))
            }
            parts => {
                let mut out = Vec::with_capacity(parts.len());
                for (position, part) in parts.iter().enumerate() {
                    out.push(self.part(part, &format!("{place}.content[{position}]"))?);
                }
                Ok(Value::Array(out))
            }
        }
    }

    fn part(&mut self, part: &Part, place: &str) -> Result<Value, EncodeError> {
        let mut out = Map::new();
        match part {
            Part::Text { text, cache_control, .. } => {
                insert(&mut out, "type", "input_text");
                insert(&mut out, "text", text.as_str());
                self.write_mark(cache_control.as_ref(), &mut out);
            }
            Part::Image { source, detail, cache_control } => {
                insert(&mut out, "type", "input_image");
                write_image_source(source, place, &mut out)?;
                // The type demands one (OpenAI's published types, `ResponseInputImage`); its own callers may leave it.
                let detail = detail.as_deref().or((!self.terms.is_own).then_some("auto"));
                insert_some(&mut out, "detail", detail);
                self.write_mark(cache_control.as_ref(), &mut out);
            }
            Part::Audio { source: MediaSource::Base64 { data, .. }, format, .. } => {
                insert(&mut out, "type", "input_audio");
                insert(&mut out, "input_audio", json!({"data": data, "format": format}));
            }
            Part::Audio { .. } => {
                return Err(invalid(place, "a sound has to be sent as base64 data to this model"));
            }
            Part::File { source, filename, context, citations, cache_control } => {
                insert(&mut out, "type", "input_file");
                write_file_source(source, filename.as_deref(), place, &mut out)?;
                self.write_mark(cache_control.as_ref(), &mut out);
                if context.is_some() {
                    self.lost.note("context");
                }
                if *citations {
                    self.lost.note("citations");
                }
            }
            Part::Refusal(text) => {
                insert(&mut out, "type", "input_text");
                insert(&mut out, "text", text.as_str());
            }
            Part::ToolCall { .. } | Part::Reasoning { .. } | Part::RedactedReasoning { .. } => {
                return Err(invalid(
                    place,
                    "tool calls and reasoning stand in the assistant's messages only",
                ));
            }
            Part::ToolResult { .. } => {
                return Err(invalid(place, "a tool's answer stands in a message of its own"));
            }
            Part::Native(_) => return Err(invalid(place, "a part that only another dialect has")),
        }
        Ok(Value::Object(out))
    }

    fn note_mark(&mut self, mark: Option<&CacheControl>) {
        if mark.is_some() {
            self.lost.note("cache_control");
        }
    }

    /// Newer models take a mark; only a caller who knows them sends one.
    fn write_mark(&mut self, mark: Option<&CacheControl>, out: &mut Map<String, Value>) {
        match mark {
            Some(mark) if self.terms.is_own => {
                let mut breakpoint = Map::new();
                insert(&mut breakpoint, "mode", "explicit");
                if mark.ttl.as_deref() == Some("1h") {
                    insert(&mut breakpoint, "ttl", "12h");
                }
                insert(out, "prompt_cache_breakpoint", breakpoint);
            }
            mark => self.note_mark(mark),
        }
    }

    fn assistant(&mut self, message: &Message, place: &str) -> Result<(), EncodeError> {
        let mut spoken: Vec<Value> = Vec::new();
        for (position, part) in message.parts.iter().enumerate() {
            let place = format!("{place}.content[{position}]");
            match part {
                Part::Text { text, citations, cache_control } => {
                    self.note_mark(cache_control.as_ref());
                    let length = text.chars().count() as u64;
                    let annotations = citations
                        .iter()
                        .map(|citation| annotation::write(citation, citation.span.unwrap_or((0, length))));
                    let annotations: Vec<Value> = annotations.collect();
                    spoken.push(json!({"type": "output_text", "text": text, "annotations": annotations}));
                    continue;
                }
                Part::Refusal(text) => {
                    spoken.push(json!({"type": "refusal", "refusal": text}));
                    continue;
                }
                _ => self.speak(&mut spoken),
            }
            self.done_by_assistant(part, &place)?;
        }
        self.speak(&mut spoken);
        Ok(())
    }

    /// What the assistant said so far becomes a message.
    fn speak(&mut self, spoken: &mut Vec<Value>) {
        if spoken.is_empty() {
            return;
        }
        let phase = self.phase.take();
        let content = match spoken.as_slice() {
            [only] if is_plain_text(only) => only.get("text").cloned().unwrap_or_default(),
            _ => {
                let id = format!("msg_{}", self.items.len());
                self.push_message(
                    json!({
                        "type": "message", "id": id, "role": "assistant", "status": "completed",
                        "content": std::mem::take(spoken),
                    }),
                    phase,
                );
                return;
            }
        };
        spoken.clear();
        self.push_message(json!({"type": "message", "role": "assistant", "content": content}), phase);
    }

    fn push_message(&mut self, mut message: Value, phase: Option<Value>) {
        if let (Some(phase), Some(message)) = (phase, message.as_object_mut()) {
            insert(message, PHASE, phase);
        }
        self.items.push(message);
    }

    fn done_by_assistant(&mut self, part: &Part, place: &str) -> Result<(), EncodeError> {
        match part {
            Part::Reasoning { text, signature } => self.reasoning(text, signature.as_ref()),
            Part::RedactedReasoning { data } => self.reasoning("", Some(data)),
            Part::ToolCall { id, name, arguments, is_custom, signature } => {
                if signature.is_some() {
                    self.lost.note("reasoning");
                }
                let tool = self.terms.tools.iter().find(|tool| tool.name == *name);
                let mut call = if *is_custom {
                    self.custom_calls.push(id.clone());
                    json!({"type": "custom_tool_call", "call_id": id, "name": name, "input": arguments})
                } else {
                    json!({"type": "function_call", "call_id": id, "name": name, "arguments": arguments})
                };
                if let (Some(space), Some(call)) = (tool.and_then(namespace), call.as_object_mut()) {
                    insert(call, "namespace", space.name.as_str());
                }
                self.items.push(call);
            }
            Part::Image { source: MediaSource::Base64 { data, .. }, .. } => {
                let id = format!("ig_{}", self.items.len());
                self.items.push(json!({
                    "type": "image_generation_call", "id": id, "status": "completed", "result": data,
                }));
            }
            Part::Audio { transcript: Some(words), .. } => {
                self.lost.note("audio");
                self.items.push(json!({"type": "message", "role": "assistant", "content": words}));
            }
            Part::Audio { .. } => self.lost.note("audio"),
            Part::Native(native)
                if native.dialect == Dialect::Responses && kind_of(&native.value) == PHASE =>
            {
                self.phase = native.value.get(PHASE).cloned();
            }
            Part::Native(_) => {
                let mut natives = Vec::new();
                self.take_native(part, &mut natives);
                self.items.append(&mut natives);
            }
            Part::Image { .. } | Part::File { .. } => {
                return Err(invalid(
                    place,
                    "the assistant's own pictures and files have to be base64 pictures",
                ));
            }
            Part::ToolResult { .. } => {
                return Err(invalid(place, "a tool's answer stands in a message of its own"));
            }
            Part::Text { .. } | Part::Refusal(_) => {}
        }
        Ok(())
    }

    fn reasoning(&mut self, text: &str, signature: Option<&Signature>) {
        let own = signature.and_then(seal::split);
        let Some((id, encrypted)) = own.filter(|(_, content)| !content.is_empty() || self.terms.stores)
        else {
            self.lost.note("reasoning");
            return;
        };
        let mut out = Map::new();
        insert(&mut out, "type", "reasoning");
        insert(&mut out, "id", id);
        let summary =
            if text.is_empty() { json!([]) } else { json!([{"type": "summary_text", "text": text}]) };
        insert(&mut out, "summary", summary);
        if !encrypted.is_empty() {
            insert(&mut out, "encrypted_content", encrypted);
        }
        self.items.push(Value::Object(out));
    }

    fn results(&mut self, message: &Message, place: &str) -> Result<(), EncodeError> {
        for (position, part) in message.parts.iter().enumerate() {
            let place = format!("{place}.content[{position}]");
            let mut natives = Vec::new();
            if self.take_native(part, &mut natives) {
                self.items.append(&mut natives);
                continue;
            }
            let Part::ToolResult { call_id, content, is_error, cache_control } = part else {
                return Err(invalid(&place, "a tool's message holds the answers of tools only"));
            };
            if *is_error {
                self.lost.note("is_error");
            }
            self.note_mark(cache_control.as_ref());
            let is_custom = self.custom_calls.contains(call_id);
            let kind = if is_custom { "custom_tool_call_output" } else { "function_call_output" };
            let content = with_documents_as_text(content, self.lost);
            let content: Vec<&Part> = content.iter().collect();
            let output = if content.is_empty() { json!("") } else { self.content(&content, &place)? };
            self.items.push(json!({"type": kind, "call_id": call_id, "output": output}));
        }
        Ok(())
    }

    /// OpenAI refuses reasoning "without its required following item".
    fn drop_dangling_reasoning(&mut self) {
        let mut follows = false;
        let mut kept = Vec::with_capacity(self.items.len());
        for item in std::mem::take(&mut self.items).into_iter().rev() {
            let is_reasoning = kind_of(&item) == "reasoning";
            if is_reasoning && !follows {
                self.lost.note("reasoning");
                continue;
            }
            follows = is_reasoning || is_of_model(&item);
            kept.push(item);
        }
        kept.reverse();
        self.items = kept;
    }
}

fn is_plain_text(content: &Value) -> bool {
    content.get("annotations").and_then(Value::as_array).is_some_and(Vec::is_empty)
}

fn kind_of(item: &Value) -> &str {
    item.get("type").and_then(Value::as_str).unwrap_or_default()
}

fn is_of_model(item: &Value) -> bool {
    match kind_of(item) {
        "message" => item.get("role").is_some_and(|role| role == "assistant"),
        "item_reference" => true,
        kind => kind.ends_with("_call"),
    }
}

fn write_image_source(
    source: &MediaSource,
    place: &str,
    out: &mut Map<String, Value>,
) -> Result<(), EncodeError> {
    match source {
        MediaSource::Url(url) => insert(out, "image_url", url.as_str()),
        MediaSource::Base64 { media_type, data } => insert(out, "image_url", data_url(media_type, data)),
        MediaSource::FileId(id) => insert(out, "file_id", id.as_str()),
        MediaSource::Text(_) => return Err(invalid(place, "a picture cannot be a text")),
    }
    Ok(())
}

/// Data wants a name beside it. Buckets of other clouds are no address to OpenAI, and films are no documents.
fn write_file_source(
    source: &MediaSource,
    filename: Option<&str>,
    place: &str,
    out: &mut Map<String, Value>,
) -> Result<(), EncodeError> {
    let fallback = match source {
        MediaSource::Url(url) if !url.starts_with("http://") && !url.starts_with("https://") => {
            return Err(invalid(place, "a document has to have an http(s) address for this model"));
        }
        MediaSource::Base64 { media_type, .. } if media_type.starts_with("video/") => {
            return Err(invalid(place, "this model takes no films"));
        }
        MediaSource::Url(url) => {
            insert(out, "file_url", url.as_str());
            None
        }
        MediaSource::FileId(id) => {
            insert(out, "file_id", id.as_str());
            None
        }
        MediaSource::Base64 { media_type, data } => {
            insert(out, "file_data", data_url(media_type, data));
            Some(if media_type == "application/pdf" { "document.pdf" } else { "document" })
        }
        MediaSource::Text(text) => {
            insert(out, "file_data", data_url("text/plain", &base64::encode(text.as_bytes())));
            Some("document.txt")
        }
    };
    insert_some(out, "filename", filename.or(fallback));
    Ok(())
}
