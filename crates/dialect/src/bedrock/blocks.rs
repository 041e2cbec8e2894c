//! Content blocks of a request: parts of the conversation model, written for the wire.
//!
//! Owns the shape of every block but pictures and documents ([`media`](super::media)). Leaves the order of blocks and
//! the pairing of tool calls with results to [`turns`](super::turns).

use super::media::{self, DocumentNames};
use super::members::{object, text};
use super::model::{Maker, Model};
use super::own::Own;
use super::{citations, reasoning_blocks};
use crate::conversation::{CacheControl, Citation, Native, Part, Signature, custom};
use crate::json::read::type_name;
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

/// A call as the conversation model has it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call<'p> {
    /// The function.
    pub(super) name: &'p str,
    /// JSON text, or free text for a custom tool.
    pub(super) arguments: &'p str,
    /// The tool takes free text.
    pub(super) is_custom: bool,
}

/// Writes the blocks of one request and notes what they cannot say.
#[derive(Debug)]
pub(super) struct BlockWriter<'r, 'l> {
    /// The model that reads them.
    pub(super) model: Model<'r>,
    /// What the caller said beyond the conversation model.
    pub(super) own: Own<'r>,
    /// What the wire cannot say.
    pub(super) lost: &'l mut Losses,
    /// The names of documents so far.
    pub(super) names: DocumentNames,
}

impl BlockWriter<'_, '_> {
    /// A part that a user, an assistant or a tool says, apart from calls, results and reasoning, and its cache point;
    /// nothing for blank text and for what only another dialect has a form for.
    ///
    /// # Errors
    /// [`EncodeError`] for parts of other kinds, and for media that the wire does not take.
    pub(super) fn content(&mut self, part: &Part, place: Place) -> Result<Vec<Value>, EncodeError> {
        if let Some((block, mark)) = self.own.take_block(part) {
            if let Some(name) = block.get("document").and_then(|document| text(document, "name")) {
                self.names.take(name, "");
            }
            return self.with_mark(Some(block), mark.as_ref(), place);
        }
        match part {
            Part::Text { text, cache_control, citations } => {
                let block = self.text(text, citations);
                self.with_mark(block, cache_control.as_ref(), place)
            }
            Part::Refusal(text) => Ok(self.text(text, &[]).into_iter().collect()),
            Part::Image { source, detail, cache_control } => {
                if detail.as_deref().is_some_and(|detail| detail != "auto") {
                    self.lost.note("detail");
                }
                let image = media::image(source).map_err(|message| place.invalid("image_url", message))?;
                self.with_mark(Some(object([("image", image)])), cache_control.as_ref(), place)
            }
            Part::File { cache_control, .. } => {
                let file = media::file(part, &mut self.names);
                let (kind, value) = file.map_err(|message| place.invalid("file", message))?;
                self.with_mark(Some(object([(kind, value)])), cache_control.as_ref(), place)
            }
            Part::Audio { .. } if self.model.maker == Maker::Anthropic => {
                Err(place.invalid("input_audio", "this provider's models do not listen"))
            }
            Part::Audio { source, format, .. } => {
                let audio = media::audio(source, format);
                let audio = audio.map_err(|message| place.invalid("input_audio", message))?;
                Ok(vec![object([("audio", audio)])])
            }
            Part::Native(native) => Ok(self.native(native).into_iter().collect()),
            Part::ToolCall { .. }
            | Part::ToolResult { .. }
            | Part::Reasoning { .. }
            | Part::RedactedReasoning { .. } => {
                Err(place.invalid("", "does not belong in a message of this role"))
            }
        }
    }

    /// A text block, or nothing for text without a visible character, which the API refuses. Only citations of
    /// Bedrock's own go back: others would be put into the model's mouth.
    fn text(&mut self, text: &str, cited: &[Citation]) -> Option<Value> {
        if text.trim().is_empty() {
            return None;
        }
        let own: Vec<Value> = cited.iter().filter_map(citations::own_words).cloned().collect();
        if own.len() < cited.len() {
            self.lost.note("citations");
        }
        let words = object([("text", text.into())]);
        if own.is_empty() {
            return Some(words);
        }
        let content = [("content", Value::Array(vec![words])), ("citations", Value::Array(own))];
        Some(object([("citationsContent", object(content))]))
    }

    /// A block and the cache point after it.
    ///
    /// # Errors
    /// [`EncodeError::Invalid`] for a time to live that is none of the wire's.
    pub(super) fn with_mark(
        &mut self,
        block: Option<Value>,
        mark: Option<&CacheControl>,
        place: Place,
    ) -> Result<Vec<Value>, EncodeError> {
        let Some(block) = block else { return Ok(Vec::new()) };
        let mut blocks = vec![block];
        if let Some(mark) = mark {
            blocks.extend(cache_point(
                mark,
                self.model,
                self.model.cache_places().content,
                &place,
                self.lost,
            )?);
        }
        Ok(blocks)
    }

    /// A block in Bedrock's own words; another dialect's is named as lost by its type.
    fn native(&mut self, native: &Native) -> Option<Value> {
        if native.dialect == Dialect::Bedrock {
            return Some(native.value.clone());
        }
        self.lost.note(text(&native.value, "type").unwrap_or("content").to_owned());
        None
    }

    /// A block of reasoning. Without the model's own signature it proves nothing and may be refused, so it is left out.
    pub(super) fn reasoning(&mut self, text: &str, signature: Option<&Signature>) -> Option<Value> {
        let own = signature.and_then(|signature| signature.of(self.model.issuer()));
        let Some(signature) = own.filter(|found| !found.is_empty()) else {
            self.lost.note("reasoning");
            return None;
        };
        Some(object([("reasoningContent", reasoning_blocks::write_text(text, Some(signature)))]))
    }

    /// A block of encrypted reasoning, if the model's maker encrypted it. On this wire it is bytes.
    pub(super) fn redacted(&mut self, data: &Signature) -> Option<Value> {
        let own = data.of(self.model.issuer()).and_then(|text| media::plain_base64(text).ok());
        let Some(data) = own else {
            self.lost.note("reasoning");
            return None;
        };
        let data = data.as_ref();
        Some(object([("reasoningContent", object([("redactedContent", data.into())]))]))
    }

    /// A `toolUse` block under the id that the wire takes.
    pub(super) fn tool_use(
        &mut self,
        id: String,
        call: Call<'_>,
        place: Place,
    ) -> Result<Value, EncodeError> {
        let arguments = match call.is_custom {
            true => Cow::Owned(custom::wrap_input(call.arguments)),
            false => Cow::Borrowed(call.arguments),
        };
        let input = tool_input(&arguments, place)?;
        Ok(object([(
            "toolUse",
            object([("toolUseId", id.into()), ("name", call.name.into()), ("input", Value::Object(input))]),
        )]))
    }

    /// A `toolResult` block under the id that its call went out with, and its cache point.
    pub(super) fn tool_result(
        &mut self,
        id: String,
        part: &Part,
        place: Place,
    ) -> Result<Vec<Value>, EncodeError> {
        if let Some((mut block, mark)) = self.own.take_block(part) {
            if let Some(Value::Object(result)) = block.get_mut("toolResult") {
                result.insert("toolUseId".to_owned(), id.into());
            }
            return self.with_mark(Some(block), mark.as_ref(), place);
        }
        let Part::ToolResult { content, is_error, cache_control, .. } = part else {
            return Err(place.invalid("", "is no result of a tool"));
        };
        let mut mark = cache_control.clone();
        let mut blocks = Vec::with_capacity(content.len());
        for (index, part) in content.iter().enumerate() {
            let place = Place { nested: Some(index), ..place };
            for block in self.content(part, place)? {
                // Within a result there are no cache points; the nearest place is after it.
                match block.get("cachePoint") {
                    Some(point) => {
                        let ttl = text(point, "ttl").map(str::to_owned);
                        mark = mark.or(Some(CacheControl { ttl }));
                    }
                    None => blocks.push(block),
                }
            }
        }
        if blocks.is_empty() {
            blocks.push(object([("text", "".into())]));
        }
        let mut result = object([("toolUseId", id.into()), ("content", Value::Array(blocks))]);
        if *is_error {
            match result.as_object_mut() {
                // A remark of the service model: the status is for Claude and Nova.
                Some(members) if self.model.is_anthropic() || self.model.is_nova() => {
                    members.insert("status".to_owned(), "error".into());
                }
                _ => self.lost.note("is_error"),
            }
        }
        self.with_mark(Some(object([("toolResult", result)])), mark.as_ref(), place)
    }
}

/// A cache point for a mark; none where the model takes none there, which is noted.
///
/// # Errors
/// [`EncodeError::Invalid`] for a time to live that is none of the wire's.
pub(super) fn cache_point(
    mark: &CacheControl,
    model: Model<'_>,
    is_taken: bool,
    place: &dyn fmt::Display,
    lost: &mut Losses,
) -> Result<Option<Value>, EncodeError> {
    if mark.ttl.as_deref().is_some_and(|ttl| !["5m", "1h"].contains(&ttl)) {
        return Err(EncodeError::Invalid {
            param: format!("{place}.cache_control.ttl"),
            message: "must be 5m or 1h".to_owned(),
        });
    }
    if !is_taken {
        lost.note("cache_control");
        return Ok(None);
    }
    let mut point = Map::from_iter([("type".to_owned(), Value::from("default"))]);
    match mark.ttl.as_deref() {
        Some(ttl) if model.is_anthropic() => {
            point.insert("ttl".to_owned(), ttl.into());
        }
        // Others keep everything for five minutes.
        Some("1h") => lost.note("cache_control.ttl"),
        _ => {}
    }
    Ok(Some(object([("cachePoint", Value::Object(point))])))
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
        Err(fault) => Err(place.invalid("function.arguments", format!("is not JSON: {fault}"))),
    }
}
