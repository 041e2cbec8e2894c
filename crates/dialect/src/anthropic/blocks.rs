//! Content blocks of a request: parts of the conversation model, written for the wire.
//!
//! Owns the shape of every block but pictures and documents ([`media`](super::media)). Leaves the order of blocks and
//! the pairing of tool calls with results to [`turns`](super::turns), and the blocks of a reply to
//! [`reply_blocks`](super::reply_blocks).

use super::inbound::asides::{TOOL_RESULT, TOOL_USE};
use super::members::{object, text, type_name};
use super::own::Own;
use super::{citations, media};
use crate::conversation::{CacheControl, Citation, Issuer, MediaSource, Native, Part, Signature, custom};
use crate::wire::{Dialect, EncodeError, Losses};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::fmt;

/// Where a part stands in the caller's request, for error messages.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// Index in `messages`.
    pub(super) message: usize,
    /// Index of the part in the message.
    pub(super) part: usize,
    /// Index within the content of a tool result.
    pub(super) nested: Option<usize>,
}

impl Place {
    /// The same place, `index` parts into a tool result's content.
    fn within(self, index: usize) -> Self {
        Self { nested: Some(index), ..self }
    }

    /// The request is wrong at this place, or at its member `member` (empty for the part itself).
    pub(super) fn invalid(self, member: &str, message: impl Into<String>) -> EncodeError {
        let param = if member.is_empty() { self.to_string() } else { format!("{self}.{member}") };
        EncodeError::Invalid { param, message: message.into() }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "messages[{}].content[{}]", self.message, self.part)?;
        self.nested.map_or(Ok(()), |index| write!(formatter, ".content[{index}]"))
    }
}

/// Adds the prompt-cache mark to a block or tool. `place` names the block if the time to live is none of the wire's.
pub(super) fn mark_for_cache(
    block: &mut Map<String, Value>,
    mark: Option<&CacheControl>,
    place: &dyn fmt::Display,
) -> Result<(), EncodeError> {
    let Some(mark) = mark else { return Ok(()) };
    let mut encoded = object([("type", "ephemeral".into())]);
    match mark.ttl.as_deref() {
        None => {}
        Some(ttl @ ("5m" | "1h")) => {
            encoded.insert("ttl".to_owned(), ttl.into());
        }
        Some(_) => {
            return Err(EncodeError::Invalid {
                param: format!("{place}.cache_control.ttl"),
                message: "must be 5m or 1h".to_owned(),
            });
        }
    }
    block.insert("cache_control".to_owned(), Value::Object(encoded));
    Ok(())
}

/// A call as the conversation model has it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call<'p> {
    /// The caller's id for it.
    pub(super) id: &'p str,
    /// The function.
    pub(super) name: &'p str,
    /// JSON text, or free text for a custom tool.
    pub(super) arguments: &'p str,
    /// The tool takes free text.
    pub(super) is_custom: bool,
    /// Another maker's signature has no place here.
    pub(super) signature: Option<&'p Signature>,
}

/// What a tool returned.
#[derive(Debug, Clone, Copy)]
pub(super) struct ToolResult<'p> {
    /// The caller's id of the call that it answers.
    pub(super) call_id: &'p str,
    /// Text, picture and document parts.
    pub(super) content: &'p [Part],
    /// The call failed.
    pub(super) is_error: bool,
    /// The prompt-cache mark of the whole result.
    pub(super) mark: Option<&'p CacheControl>,
}

/// Writes the blocks of one request and notes what they cannot say.
#[derive(Debug)]
pub(super) struct BlockWriter<'r, 'l> {
    /// What the caller said beyond the model.
    pub(super) own: Own<'r>,
    /// What the wire cannot say.
    pub(super) lost: &'l mut Losses,
    /// A block names a stored file.
    pub(super) names_files: bool,
}

impl BlockWriter<'_, '_> {
    /// A part that a user, an assistant or a tool says, apart from calls, results and reasoning; `None` for blank text
    /// and for what only another dialect has a form for.
    ///
    /// # Errors
    /// [`EncodeError`] for parts of other kinds, and for media that the wire does not take.
    pub(super) fn content(&mut self, part: &Part, place: Place) -> Result<Option<Value>, EncodeError> {
        match part {
            Part::Text { text, cache_control, citations } => {
                self.text(text, cache_control.as_ref(), citations, place)
            }
            Part::Refusal(text) => self.text(text, None, &[], place),
            Part::Image { source, cache_control, detail } => {
                if detail.as_deref().is_some_and(|detail| detail != "auto") {
                    self.lost.note("detail");
                }
                self.names_files |= matches!(source, MediaSource::FileId(_));
                let mut block = media::image(source, place)?;
                mark_for_cache(&mut block, cache_control.as_ref(), &place)?;
                Ok(Some(Value::Object(block)))
            }
            Part::File { .. } => self.document(part, place).map(Some),
            Part::Native(native) => Ok(self.native(native)),
            Part::Audio { .. } => Err(place.invalid("input_audio", "this provider's models do not listen")),
            Part::ToolCall { .. }
            | Part::ToolResult { .. }
            | Part::Reasoning { .. }
            | Part::RedactedReasoning { .. } => {
                Err(place.invalid("", "does not belong in a message of this role"))
            }
        }
    }

    /// A text block, or nothing for text without a visible character, which the API refuses. Only citations of
    /// Anthropic's own go back, since it refuses to have others put into its mouth.
    fn text(
        &mut self,
        text: &str,
        mark: Option<&CacheControl>,
        cited: &[Citation],
        place: Place,
    ) -> Result<Option<Value>, EncodeError> {
        if text.trim().is_empty() {
            return Ok(None);
        }
        let mut block = object([("type", "text".into()), ("text", text.into())]);
        let own: Vec<Value> = cited.iter().filter_map(citations::own_words).cloned().collect();
        if own.len() < cited.len() {
            self.lost.note("citations");
        }
        if !own.is_empty() {
            block.insert("citations".to_owned(), Value::Array(own));
        }
        mark_for_cache(&mut block, mark, &place)?;
        Ok(Some(Value::Object(block)))
    }

    fn document(&mut self, part: &Part, place: Place) -> Result<Value, EncodeError> {
        let Part::File { source, filename, context, citations, cache_control } = part else {
            return Err(place.invalid("file", "is no document"));
        };
        if let Some(block) = self.own.take_block(part) {
            return Ok(block);
        }
        self.names_files |= matches!(source, MediaSource::FileId(_));
        let mut block = media::document(source, filename.as_deref(), place)?;
        let is_document = text(&Value::Object(block.clone()), "type") == Some("document");
        if let Some(context) = context.as_deref().filter(|context| is_document && !context.is_empty()) {
            block.insert("context".to_owned(), context.into());
        }
        if *citations && is_document {
            let enabled = object([("enabled", true.into())]);
            block.insert("citations".to_owned(), Value::Object(enabled));
        }
        mark_for_cache(&mut block, cache_control.as_ref(), &place)?;
        Ok(Value::Object(block))
    }

    /// A block in Anthropic's own words; another dialect's is named as lost by its type.
    pub(super) fn native(&mut self, native: &Native) -> Option<Value> {
        if native.dialect == Dialect::Anthropic {
            self.names_files |= text(&native.value, "type") == Some("container_upload");
            return Some(native.value.clone());
        }
        self.lost.note(text(&native.value, "type").unwrap_or("content").to_owned());
        None
    }

    /// A thinking block. Without its own signature the API refuses it, so it is left out: the text proves nothing.
    pub(super) fn thinking(&mut self, text: &str, signature: Option<&Signature>) -> Option<Value> {
        let own = signature.and_then(|signature| signature.of(Issuer::Anthropic));
        let Some(signature) = own.filter(|found| !found.is_empty()) else {
            self.lost.note("reasoning");
            return None;
        };
        Some(Value::Object(object([
            ("type", "thinking".into()),
            ("thinking", text.into()),
            ("signature", signature.into()),
        ])))
    }

    /// A block of encrypted thinking, if Anthropic encrypted it.
    pub(super) fn redacted_thinking(&mut self, data: &Signature) -> Option<Value> {
        let Some(data) = data.of(Issuer::Anthropic) else {
            self.lost.note("reasoning");
            return None;
        };
        Some(Value::Object(object([("type", "redacted_thinking".into()), ("data", data.into())])))
    }

    /// A `tool_use` block under the id that the wire takes.
    pub(super) fn tool_use(
        &mut self,
        id: String,
        call: Call<'_>,
        place: Place,
    ) -> Result<Value, EncodeError> {
        if call.signature.is_some() {
            self.lost.note("reasoning");
        }
        let arguments = match call.is_custom {
            true => Cow::Owned(custom::wrap_input(call.arguments)),
            false => Cow::Borrowed(call.arguments),
        };
        let mut block = object([
            ("type", "tool_use".into()),
            ("id", id.into()),
            ("name", call.name.into()),
            ("input", Value::Object(tool_input(&arguments, place)?)),
        ]);
        self.own.restore_members(TOOL_USE, call.id, &mut block);
        Ok(Value::Object(block))
    }

    /// A `tool_result` block under the id that its call went out with. A single plain text goes out as a string.
    pub(super) fn tool_result(
        &mut self,
        id: String,
        result: ToolResult<'_>,
        place: Place,
    ) -> Result<Value, EncodeError> {
        let mut content = Vec::with_capacity(result.content.len());
        for (index, part) in result.content.iter().enumerate() {
            content.extend(self.content(part, place.within(index))?);
        }
        let mut block = object([("type", "tool_result".into()), ("tool_use_id", id.into())]);
        if !content.is_empty() {
            block.insert("content".to_owned(), collapse(content));
        }
        if result.is_error {
            block.insert("is_error".to_owned(), true.into());
        }
        mark_for_cache(&mut block, result.mark, &place)?;
        self.own.restore_members(TOOL_RESULT, result.call_id, &mut block);
        Ok(Value::Object(block))
    }
}

/// The arguments of a call as the object that the wire wants; nothing at all and `null` are a call without arguments.
fn tool_input(arguments: &str, place: Place) -> Result<Map<String, Value>, EncodeError> {
    if arguments.trim().is_empty() {
        return Ok(Map::new());
    }
    match serde_json::from_str(arguments) {
        Ok(Value::Object(input)) => Ok(input),
        Ok(Value::Null) => Ok(Map::new()),
        Ok(other) => {
            let message = format!("must be a JSON object, not {}", type_name(&other));
            Err(place.invalid("function.arguments", message))
        }
        Err(fault) => {
            let message = format!("is not JSON: {fault}");
            Err(place.invalid("function.arguments", message))
        }
    }
}

/// Blocks as `content`: one plain text as the string that stands for it, everything else as the list.
pub(super) fn collapse(mut blocks: Vec<Value>) -> Value {
    match blocks.as_mut_slice() {
        [Value::Object(block)] if block.len() == 2 => match block.get_mut("text") {
            Some(Value::String(text)) => Value::String(std::mem::take(text)),
            _ => Value::Array(blocks),
        },
        _ => Value::Array(blocks),
    }
}
