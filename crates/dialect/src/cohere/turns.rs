//! The conversation as this wire wants it.
//!
//! **Invariant:** right behind an assistant's message with calls stand the results of all of them and nothing else; no
//! message is empty. What the caller put between calls and results stands behind the results.

use super::citations::{self, Cited};
use super::documents::{self, DOCUMENT_IDS, TOOL_DOCUMENT_IDS};
use crate::conversation::{ChatRequest, Citation, MediaSource, Message, Part, Role, custom};
use crate::json::value::{insert, insert_some, text as text_of};
use crate::wire::{Dialect, EncodeError, Losses};
use serde_json::{Map, Value, json};

/// What stands where the wire demands words and the caller has none (LiteLLM's placeholder).
const PLACEHOLDER: &str = ".";

/// What a tool's message says whose answer is pictures only.
const SHOWN_BELOW: &str = "The result is shown in the next message.";

/// The messages of a request, written for the wire.
#[derive(Debug, Default)]
pub(super) struct Conversation {
    /// `messages`.
    pub(super) messages: Vec<Value>,
    /// `documents`.
    pub(super) documents: Vec<Value>,
    /// A document is to be cited.
    pub(super) wants_citations: bool,
}

/// Writes the caller's messages. `is_inline`: documents go into the messages as text.
///
/// # Errors
/// [`EncodeError::Invalid`] names the message and part that cannot be written.
pub(super) fn encode_messages(
    request: &ChatRequest,
    is_inline: bool,
    lost: &mut Losses,
) -> Result<Conversation, EncodeError> {
    let ids = |name: &str| {
        let own = if request.dialect == Dialect::Cohere { request.native.get(name) } else { None };
        let ids = own.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        ids.iter()
    };
    let mut writer = Writer {
        lost,
        is_inline,
        ids: ids(DOCUMENT_IDS),
        tool_ids: ids(TOOL_DOCUMENT_IDS),
        written: Conversation::default(),
        open: Vec::new(),
        waiting: Vec::new(),
        shown: Vec::new(),
    };
    for (index, message) in request.messages.iter().enumerate() {
        if message.name.is_some() {
            writer.lost.note("name");
        }
        match message.role {
            Role::System | Role::Developer => writer.instructions(message, index)?,
            Role::User | Role::Tool => writer.user(message, index)?,
            Role::Assistant => writer.assistant(message, index)?,
        }
    }
    writer.require_answered()?;
    if writer.written.messages.is_empty() {
        return Err(invalid("messages", "at least one message with content is needed"));
    }
    Ok(writer.written)
}

fn invalid(param: impl Into<String>, message: &str) -> EncodeError {
    EncodeError::Invalid { param: param.into(), message: message.to_owned() }
}

/// A call that no result has answered.
#[derive(Debug)]
struct OpenCall {
    caller_id: String,
    id: String,
    message: usize,
}

struct Writer<'r, 'l> {
    lost: &'l mut Losses,
    is_inline: bool,
    /// The caller's ids of documents that are still to come.
    ids: std::slice::Iter<'r, Value>,
    tool_ids: std::slice::Iter<'r, Value>,
    written: Conversation,
    open: Vec<OpenCall>,
    /// Messages that came between calls and their results.
    waiting: Vec<Value>,
    /// Pictures of tools' results, for a message of the user behind them.
    shown: Vec<Value>,
}

impl Writer<'_, '_> {
    /// A message that is no result and has no calls.
    fn push(&mut self, role: &str, content: Value) {
        let mut message = Map::new();
        insert(&mut message, "role", role);
        insert(&mut message, "content", content);
        let queue = if self.open.is_empty() { &mut self.written.messages } else { &mut self.waiting };
        queue.push(Value::Object(message));
    }

    /// Writes what waited for the last result.
    fn release(&mut self) {
        if !self.open.is_empty() {
            return;
        }
        let shown = std::mem::take(&mut self.shown);
        if !shown.is_empty() {
            self.push("user", Value::Array(shown));
        }
        let waiting = std::mem::take(&mut self.waiting);
        self.written.messages.extend(waiting);
    }

    fn require_answered(&mut self) -> Result<(), EncodeError> {
        match self.open.first() {
            None => Ok(()),
            Some(call) => Err(invalid(
                format!("messages[{}].tool_calls", call.message),
                "each tool call must be answered by a tool message before the next turn",
            )),
        }
    }

    fn instructions(&mut self, message: &Message, index: usize) -> Result<(), EncodeError> {
        let mut blocks = Vec::with_capacity(message.parts.len());
        for (position, part) in message.parts.iter().enumerate() {
            match part {
                Part::Text { .. } => blocks.extend(self.text(part)),
                Part::Native(native) => {
                    self.lost.note(text_of(&native.value, "type").unwrap_or("content").to_owned());
                }
                _ => return Err(invalid(place(index, position), "instructions can only be text")),
            }
        }
        if !blocks.is_empty() {
            self.push("system", collapse(blocks));
        }
        Ok(())
    }

    /// A text block; nothing for a text without letters, since no message may be empty.
    fn text(&mut self, part: &Part) -> Option<Value> {
        let Part::Text { text, cache_control, citations } = part else { return None };
        if cache_control.is_some() {
            self.lost.note("cache_control");
        }
        if !citations.is_empty() {
            self.lost.note("citations");
        }
        (!text.is_empty()).then(|| text_block(text))
    }

    fn user(&mut self, message: &Message, index: usize) -> Result<(), EncodeError> {
        let mut blocks = Vec::with_capacity(message.parts.len());
        let mut has_documents = false;
        for (position, part) in message.parts.iter().enumerate() {
            let place = place(index, position);
            match part {
                Part::ToolResult { .. } => self.result(part, &place)?,
                Part::File { source, .. } if !is_picture(source) => {
                    has_documents = true;
                    blocks.extend(self.document(part, &place)?);
                }
                _ => blocks.extend(self.content(part, &place)?),
            }
        }
        if blocks.is_empty() && has_documents {
            blocks.push(text_block(PLACEHOLDER));
        }
        if !blocks.is_empty() {
            self.push("user", collapse(blocks));
        }
        Ok(())
    }

    /// A text or a picture.
    fn content(&mut self, part: &Part, place: &str) -> Result<Option<Value>, EncodeError> {
        match part {
            Part::Text { .. } => Ok(self.text(part)),
            Part::Refusal(words) => Ok((!words.is_empty()).then(|| text_block(words))),
            Part::Image { source, detail, cache_control } => {
                if cache_control.is_some() {
                    self.lost.note("cache_control");
                }
                self.image(source, detail.as_deref(), place).map(Some)
            }
            Part::File { source, .. } => self.image(source, None, place).map(Some),
            Part::Native(native) => {
                self.lost.note(text_of(&native.value, "type").unwrap_or("content").to_owned());
                Ok(None)
            }
            Part::Audio { .. } => {
                Err(invalid(format!("{place}.input_audio"), "this provider's models do not listen"))
            }
            Part::ToolCall { .. }
            | Part::ToolResult { .. }
            | Part::Reasoning { .. }
            | Part::RedactedReasoning { .. } => {
                Err(invalid(place, "does not belong in a message of this role"))
            }
        }
    }

    fn image(
        &mut self,
        source: &MediaSource,
        detail: Option<&str>,
        place: &str,
    ) -> Result<Value, EncodeError> {
        let url = match source {
            MediaSource::Url(url) => url.clone(),
            MediaSource::Base64 { media_type, data } => format!("data:{media_type};base64,{data}"),
            MediaSource::FileId(_) | MediaSource::Text(_) => {
                return Err(invalid(
                    format!("{place}.image_url"),
                    "must be an address or base64 data for this provider",
                ));
            }
        };
        let mut image = Map::new();
        insert(&mut image, "url", url);
        match detail {
            None | Some("auto" | "low" | "high") => insert_some(&mut image, "detail", detail),
            Some(_) => self.lost.note("detail"),
        }
        Ok(json!({"type": "image_url", "image_url": image}))
    }

    /// A document goes to the request's documents, or is a text where those cannot be.
    fn document(&mut self, part: &Part, place: &str) -> Result<Option<Value>, EncodeError> {
        let Part::File { source, filename, context, citations, cache_control } = part else {
            return Ok(None);
        };
        if cache_control.is_some() {
            self.lost.note("cache_control");
        }
        let words = documents::words(source).ok_or_else(|| not_words(place))?;
        if self.is_inline {
            if *citations {
                self.lost.note("citations");
            }
            let title = filename.as_deref().filter(|title| !title.is_empty());
            let lines = title.into_iter().chain(context.as_deref()).chain([words.as_ref()]);
            return Ok(Some(text_block(&lines.collect::<Vec<_>>().join("\n"))));
        }
        let id = self.ids.next().and_then(Value::as_str);
        let data = documents::data(&words, filename.as_deref(), context.as_deref());
        self.written.documents.push(documents::write(data, id));
        self.written.wants_citations |= *citations;
        Ok(None)
    }

    /// The result of a tool. Pictures have no place in it, so they are shown by the user behind all results.
    fn result(&mut self, part: &Part, place: &str) -> Result<(), EncodeError> {
        let Part::ToolResult { call_id, content, is_error, cache_control } = part else { return Ok(()) };
        let position = self.open.iter().position(|call| call.caller_id == *call_id).ok_or_else(|| {
            invalid(
                format!("{}.tool_call_id", place.split(".content").next().unwrap_or_default()),
                "answers no tool call of the assistant turn before it",
            )
        })?;
        let call = self.open.remove(position);
        if *is_error {
            self.lost.note("is_error");
        }
        if cache_control.is_some() {
            self.lost.note("cache_control");
        }
        let mut blocks = Vec::with_capacity(content.len());
        let mut shown = Vec::new();
        for (index, part) in content.iter().enumerate() {
            let place = format!("{place}.content[{index}]");
            match part {
                Part::File { source, filename, context, .. } if !is_picture(source) => {
                    let words = documents::words(source).ok_or_else(|| not_words(&place))?;
                    let data = documents::data(&words, filename.as_deref(), context.as_deref());
                    let id = self.tool_ids.next().and_then(Value::as_str);
                    blocks.push(json!({"type": "document", "document": documents::write_object(data, id)}));
                }
                Part::Image { .. } | Part::File { .. } => shown.extend(self.content(part, &place)?),
                _ => blocks.extend(self.content(part, &place)?),
            }
        }
        if !shown.is_empty() {
            if blocks.is_empty() {
                blocks.push(text_block(SHOWN_BELOW));
            }
            self.shown.push(text_block(&format!("Result of the tool call {call_id}:")));
            self.shown.extend(shown);
        }
        let content = if blocks.is_empty() { "".into() } else { collapse(blocks) };
        let mut message = Map::new();
        insert(&mut message, "role", "tool");
        insert(&mut message, "tool_call_id", call.id);
        insert(&mut message, "content", content);
        self.written.messages.push(Value::Object(message));
        self.release();
        Ok(())
    }

    fn assistant(&mut self, message: &Message, index: usize) -> Result<(), EncodeError> {
        self.require_answered()?;
        let mut spoken: Vec<Spoken<'_>> = Vec::with_capacity(message.parts.len());
        let mut calls = Vec::new();
        for (position, part) in message.parts.iter().enumerate() {
            match part {
                Part::ToolCall { .. } => calls.extend(self.call(part, index)),
                Part::ToolResult { .. } => {
                    return Err(invalid(place(index, position), "does not belong in a message of this role"));
                }
                _ => spoken.extend(self.spoken(part)),
            }
        }
        let plan = if calls.is_empty() {
            None
        } else {
            spoken
                .iter()
                .rposition(|said| matches!(said, Spoken::Words(..)))
                .map(|position| spoken.remove(position))
        };
        let mut out = Map::new();
        insert(&mut out, "role", "assistant");
        let mut cited = Vec::new();
        if !spoken.is_empty() {
            for (index, said) in spoken.iter().enumerate() {
                cited.extend(self.cited(said, Cited::Content(index as u64)));
            }
            insert(&mut out, "content", collapse(spoken.iter().map(Spoken::block).collect()));
        }
        if let Some(Spoken::Words(words, _)) = &plan {
            insert(&mut out, "tool_plan", *words);
        }
        cited.extend(plan.iter().flat_map(|plan| self.cited(plan, Cited::Plan)));
        if !cited.is_empty() {
            insert(&mut out, "citations", cited);
        }
        if !calls.is_empty() {
            insert(&mut out, "tool_calls", calls);
        }
        if out.len() > 1 {
            self.written.messages.push(Value::Object(out));
        }
        Ok(())
    }

    /// What of an assistant's part can be said again. A thought that is signed is another maker's, and proves nothing
    /// here.
    fn spoken<'p>(&mut self, part: &'p Part) -> Option<Spoken<'p>> {
        match part {
            Part::Text { text, citations, cache_control } => {
                if cache_control.is_some() {
                    self.lost.note("cache_control");
                }
                (!text.is_empty()).then_some(Spoken::Words(text, citations))
            }
            Part::Refusal(text) => (!text.is_empty()).then_some(Spoken::Words(text, &[])),
            Part::Reasoning { text, signature: None } => (!text.is_empty()).then_some(Spoken::Thought(text)),
            Part::Reasoning { .. } | Part::RedactedReasoning { .. } => {
                self.lost.note("reasoning");
                None
            }
            Part::Audio { transcript, .. } => {
                self.lost.note("audio");
                transcript.as_deref().map(|words| Spoken::Words(words, &[]))
            }
            Part::Native(native) => {
                self.lost.note(text_of(&native.value, "type").unwrap_or("content").to_owned());
                None
            }
            Part::Image { .. } => {
                self.lost.note("image");
                None
            }
            Part::File { .. } | Part::ToolCall { .. } | Part::ToolResult { .. } => {
                self.lost.note("file");
                None
            }
        }
    }

    /// Cohere's own citations go back to it; it cannot have made others.
    fn cited(&mut self, said: &Spoken<'_>, place: Cited) -> Vec<Value> {
        let Spoken::Words(words, citations) = said else { return Vec::new() };
        let is_own = |citation: &&Citation| {
            citation.native.as_ref().is_some_and(|native| native.dialect == Dialect::Cohere)
        };
        let own: Vec<Citation> = citations.iter().filter(is_own).cloned().collect();
        if own.len() < citations.len() {
            self.lost.note("citations");
        }
        citations::write_all(words, &own, place)
    }

    fn call(&mut self, part: &Part, index: usize) -> Option<Value> {
        let Part::ToolCall { id: caller_id, name, arguments, is_custom, signature } = part else {
            return None;
        };
        if signature.is_some() {
            self.lost.note("reasoning");
        }
        let base = if caller_id.is_empty() { "call" } else { caller_id.as_str() };
        let mut id = base.to_owned();
        let mut suffix = 1;
        while self.open.iter().any(|call| call.id == id) {
            suffix += 1;
            id = format!("{base}_{suffix}");
        }
        let arguments = match (is_custom, arguments.trim().is_empty()) {
            (true, _) => custom::wrap_input(arguments),
            (false, true) => "{}".to_owned(),
            (false, false) => arguments.clone(),
        };
        self.open.push(OpenCall { caller_id: caller_id.clone(), id: id.clone(), message: index });
        Some(json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}))
    }
}

/// What an assistant said.
enum Spoken<'p> {
    Words(&'p str, &'p [Citation]),
    Thought(&'p str),
}

impl Spoken<'_> {
    fn block(&self) -> Value {
        match self {
            Self::Words(words, _) => text_block(words),
            Self::Thought(words) => json!({"type": "thinking", "thinking": words}),
        }
    }
}

fn place(message: usize, part: usize) -> String {
    format!("messages[{message}].content[{part}]")
}

fn not_words(place: &str) -> EncodeError {
    invalid(format!("{place}.file"), "this provider's models read documents of text, not files")
}

fn is_picture(source: &MediaSource) -> bool {
    matches!(source, MediaSource::Base64 { media_type, .. } if media_type.to_ascii_lowercase().starts_with("image/"))
}

fn text_block(text: &str) -> Value {
    json!({"type": "text", "text": text})
}

/// Blocks as `content`: one text as the string that stands for it, everything else as the list.
fn collapse(mut blocks: Vec<Value>) -> Value {
    match blocks.as_mut_slice() {
        [Value::Object(block)] => match block.get_mut("text") {
            Some(Value::String(text)) => Value::String(std::mem::take(text)),
            _ => Value::Array(blocks),
        },
        _ => Value::Array(blocks),
    }
}
