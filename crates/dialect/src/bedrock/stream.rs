//! A streamed Converse reply as events.
//!
//! Owns the order of the wire's events and the state between them. Leaves framing to
//! [`event_stream`](crate::framing::event_stream). Events and deltas of unknown type are passed over.
//! **Invariant:** tool calls are numbered from 0 without gaps, whatever stands between them; one `Finish` comes, after
//! all content; signatures, pictures and the blocks of Amazon's own tools come whole.

use super::inbound::blocks::native;
use super::members::{filled_text, object, text};
use super::model::Model;
use super::reply::{block_index, service_tier, stop_sequence};
use super::{citations, errors, media, reasoning_blocks, stop, usage};
use crate::base64;
use crate::conversation::{Citation, Issuer, MediaSource, Part, Signature, StopReason, StreamEvent};
use crate::framing::event_stream::UNMODELLED_ERROR;
use crate::sse::Frame;
use crate::wire::{EventDecoder, Reading, ReplyFault};
use serde_json::Value;

/// Most blocks that may be open at one time; the API opens one after the other.
const OPEN_BLOCKS_MAX: usize = 64;

/// Most bytes that are held back: of text until it is known whether the answer comes by its tool, and of one block that
/// is given out whole.
const HELD_BYTES_MAX: usize = 32 << 20;

/// Most sources of one block of text; they are held back until it is known how far the text reaches.
const CITATIONS_MAX: usize = 4_096;

/// Events that say something of the answer, so that it has begun by then.
const CONTENT_EVENTS: [&str; 6] =
    ["messageStart", "contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStop", "metadata"];

/// Reads one stream.
#[derive(Debug)]
pub struct StreamDecoder {
    reading: Reading,
    /// Who signs the model's reasoning.
    issuer: Issuer,
    open: Vec<OpenBlock>,
    tool_count: u64,
    /// How many characters of text the answer has so far.
    text_chars: u64,
    /// A signature of Google's, which belongs to the call that follows it.
    call_signature: Option<Signature>,
    /// Text while an answer tool is awaited; it is the answer only if the tool is not called.
    held: String,
    is_answered: bool,
    /// What was said last is text.
    is_text: bool,
    is_started: bool,
    is_finished: bool,
    is_complete: bool,
}

#[derive(Debug)]
struct OpenBlock {
    index: u64,
    kind: BlockKind,
}

#[derive(Debug)]
enum BlockKind {
    /// Where its text begins among the answer's characters, and its sources.
    Text(u64, Vec<Citation>),
    Reasoning {
        signature: String,
        /// Pieces of a redacted block, base64 each.
        redacted: Vec<String>,
    },
    /// A call to the caller, by its number, and whether a piece of its input came.
    Call(u64, bool),
    /// The call whose input is the answer, and whether a piece of it came.
    Answer(bool),
    /// A picture: its media type and the pieces of its bytes.
    Image(&'static str, Vec<u8>),
    /// A call of one of Amazon's own tools, with its input so far.
    OwnCall(Value, String),
    /// The result of one, with its content so far.
    OwnResult(Value, Vec<Value>),
    /// Nothing of it is passed on.
    Passed,
}

impl StreamDecoder {
    /// A decoder at the beginning of a stream that answers the request which `reading` came from.
    pub fn new(reading: Reading) -> Self {
        let issuer = Model::of(&reading.model).issuer();
        Self {
            reading,
            issuer,
            open: Vec::new(),
            tool_count: 0,
            text_chars: 0,
            call_signature: None,
            held: String::new(),
            is_answered: false,
            is_text: false,
            is_started: false,
            is_finished: false,
            is_complete: false,
        }
    }

    fn start(&mut self, out: &mut Vec<StreamEvent>) {
        if !std::mem::replace(&mut self.is_started, true) {
            out.push(StreamEvent::Start { id: String::new(), model: self.reading.model.clone() });
        }
    }

    fn open_block(&mut self, event: &Value, out: &mut Vec<StreamEvent>) -> Result<(), ReplyFault> {
        let index = block_index(event)?;
        let start = event.get("start").unwrap_or(&Value::Null);
        let kind = if let Some(call) = start.get("toolUse") {
            self.open_call(call, out)?
        } else if let Some(result) = start.get("toolResult") {
            BlockKind::OwnResult(result.clone(), Vec::new())
        } else if let Some(image) = start.get("image") {
            let media_type = text(image, "format").and_then(media::image_type);
            BlockKind::Image(media_type.unwrap_or("image/png"), Vec::new())
        } else {
            // Text and reasoning are told by their first delta, as a rule without a start.
            return Ok(());
        };
        self.insert(index, kind)
    }

    fn insert(&mut self, index: u64, kind: BlockKind) -> Result<(), ReplyFault> {
        if self.open.len() >= OPEN_BLOCKS_MAX {
            return Err(ReplyFault::Malformed("too many open content blocks"));
        }
        self.open.retain(|open| open.index != index);
        self.open.push(OpenBlock { index, kind });
        Ok(())
    }

    fn open_call(&mut self, call: &Value, out: &mut Vec<StreamEvent>) -> Result<BlockKind, ReplyFault> {
        if filled_text(call, "type").is_some() {
            return Ok(BlockKind::OwnCall(call.clone(), String::new()));
        }
        let (Some(id), Some(name)) = (text(call, "toolUseId"), filled_text(call, "name")) else {
            return Err(ReplyFault::Malformed("a toolUse block has no id or no name"));
        };
        if self.reading.answer_tool.as_deref() == Some(name) {
            self.held.clear();
            let is_first = !std::mem::replace(&mut self.is_answered, true);
            return Ok(if is_first { BlockKind::Answer(false) } else { BlockKind::Passed });
        }
        let number = self.tool_count;
        self.tool_count += 1;
        out.push(StreamEvent::ToolCallStart {
            choice: 0,
            index: number,
            id: id.to_owned(),
            name: name.to_owned(),
            is_custom: false,
            signature: self.call_signature.take(),
        });
        Ok(BlockKind::Call(number, false))
    }

    fn delta(&mut self, event: &Value, out: &mut Vec<StreamEvent>) -> Result<(), ReplyFault> {
        let index = block_index(event)?;
        let delta = event.get("delta").ok_or(ReplyFault::Malformed("contentBlockDelta has no delta"))?;
        if let Some(piece) = text(delta, "text") {
            self.open_text(index, out)?;
            return self.push_text(piece, out);
        }
        if let Some(citation) = delta.get("citation") {
            self.open_text(index, out)?;
            return self.hold_citation(index, citation);
        }
        if let Some(reasoning) = delta.get("reasoningContent") {
            self.open_if_new(index, || BlockKind::Reasoning {
                signature: String::new(),
                redacted: Vec::new(),
            })?;
            if let Some(piece) = filled_text(reasoning, "text") {
                out.push(StreamEvent::Reasoning { choice: 0, delta: piece.to_owned() });
            }
        }
        match self.open.iter_mut().find(|block| block.index == index) {
            Some(block) => add_delta(&mut block.kind, delta, out),
            None if delta.get("toolUse").is_some() => {
                Err(ReplyFault::Malformed("a delta for a content block that is not open"))
            }
            // A block of a type that is not known yet.
            None => Ok(()),
        }
    }

    /// Opens a block of text that is not; one that goes on with a text says so.
    fn open_text(&mut self, index: u64, out: &mut Vec<StreamEvent>) -> Result<(), ReplyFault> {
        if self.open.iter().any(|block| block.index == index) {
            return Ok(());
        }
        if self.is_text && self.reading.answer_tool.is_none() {
            out.push(StreamEvent::Text { choice: 0, delta: String::new() });
        }
        self.insert(index, BlockKind::Text(self.text_chars, Vec::new()))
    }

    /// Keeps a source until it is known how far its block reaches.
    fn hold_citation(&mut self, index: u64, citation: &Value) -> Result<(), ReplyFault> {
        let block = self.open.iter_mut().find(|block| block.index == index);
        if let Some(OpenBlock { kind: BlockKind::Text(_, held), .. }) = block
            && self.reading.answer_tool.is_none()
        {
            if held.len() >= CITATIONS_MAX {
                return Err(ReplyFault::Malformed("too many citations of one text"));
            }
            held.push(citations::read(citation));
        }
        Ok(())
    }

    fn open_if_new(&mut self, index: u64, kind: impl FnOnce() -> BlockKind) -> Result<(), ReplyFault> {
        if self.open.iter().any(|block| block.index == index) {
            return Ok(());
        }
        self.insert(index, kind())
    }

    fn close_block(&mut self, event: &Value, out: &mut Vec<StreamEvent>) -> Result<(), ReplyFault> {
        let index = block_index(event)?;
        if let Some(position) = self.open.iter().position(|block| block.index == index) {
            let kind = self.open.remove(position).kind;
            self.close(kind, out);
        }
        Ok(())
    }

    /// Gives out what comes whole; a redacted block of Google's waits for the call that it signs.
    fn close(&mut self, kind: BlockKind, out: &mut Vec<StreamEvent>) {
        if let BlockKind::Text(start, held) = kind {
            let span = (self.text_chars > start).then_some((start, self.text_chars));
            out.extend(held.into_iter().map(|citation| StreamEvent::Citation {
                choice: 0,
                citation: Box::new(Citation { span, ..citation }),
            }));
            return;
        }
        let before = out.len();
        close(kind, self.issuer, out);
        let of_google = |event: &mut StreamEvent| matches!(event, StreamEvent::RedactedReasoning { data, .. } if data.issuer == Issuer::Google);
        if out.len() > before
            && let Some(StreamEvent::RedactedReasoning { data, .. }) = out.pop_if(of_google)
        {
            self.flush_call_signature(out);
            self.call_signature = Some(data);
        }
    }

    fn flush_call_signature(&mut self, out: &mut Vec<StreamEvent>) {
        let data = self.call_signature.take();
        out.extend(data.map(|data| StreamEvent::RedactedReasoning { choice: 0, data }));
    }

    /// Ends the answer, once: text that turned out to be the answer goes first.
    fn finish(&mut self, event: &Value, out: &mut Vec<StreamEvent>) {
        if std::mem::replace(&mut self.is_finished, true) {
            return;
        }
        for block in std::mem::take(&mut self.open) {
            self.close(block.kind, out);
        }
        self.flush_call_signature(out);
        if !self.held.is_empty() {
            out.push(StreamEvent::Text { choice: 0, delta: std::mem::take(&mut self.held) });
        }
        let stop = text(event, "stopReason").map_or(StopReason::Stop, stop::read);
        let stop = stop::settled(stop, &self.reading, self.tool_count > 0);
        out.push(StreamEvent::Finish { choice: 0, stop, stop_sequence: stop_sequence(event) });
    }

    /// The counts come last, and once.
    fn metadata(&mut self, event: &Value, out: &mut Vec<StreamEvent>) {
        out.extend(service_tier(event).map(StreamEvent::ServiceTier));
        if let Some(counts) = event.get("usage").filter(|counts| counts.is_object()) {
            out.push(StreamEvent::Usage(usage::read(counts)));
        }
        self.is_complete = self.is_finished;
    }

    /// Passes text on, or holds it back while an answer tool may still be called.
    fn push_text(&mut self, piece: &str, out: &mut Vec<StreamEvent>) -> Result<(), ReplyFault> {
        if self.reading.answer_tool.is_none() {
            if !piece.is_empty() {
                self.text_chars += piece.chars().count() as u64;
                out.push(StreamEvent::Text { choice: 0, delta: piece.to_owned() });
            }
            return Ok(());
        }
        if !self.is_answered {
            require_room(self.held.len(), piece.len())?;
            self.held.push_str(piece);
        }
        Ok(())
    }
}

impl EventDecoder for StreamDecoder {
    fn read(&mut self, frame: &Frame<'_>, out: &mut Vec<StreamEvent>) -> Result<(), ReplyFault> {
        let before = out.len();
        self.read_frame(frame, out)?;
        self.is_text =
            out.iter().skip(before).fold(self.is_text, |was_text, event| event.leaves_text(was_text));
        Ok(())
    }

    fn is_complete(&self) -> bool {
        self.is_complete
    }
}

impl StreamDecoder {
    fn read_frame(&mut self, frame: &Frame<'_>, out: &mut Vec<StreamEvent>) -> Result<(), ReplyFault> {
        if self.is_complete {
            return Ok(());
        }
        let Some(name) = frame.event else { return Ok(()) };
        let event = || -> Result<Value, ReplyFault> {
            serde_json::from_slice(&frame.data).map_err(|_| ReplyFault::Malformed("an event is not JSON"))
        };
        if CONTENT_EVENTS.contains(&name) {
            // Also where the service leaves its own start out: nothing comes before it.
            self.start(out);
        }
        match name {
            "contentBlockStart" => self.open_block(&event()?, out)?,
            "contentBlockDelta" => self.delta(&event()?, out)?,
            "contentBlockStop" => self.close_block(&event()?, out)?,
            "messageStop" => self.finish(&event()?, out),
            "metadata" => self.metadata(&event()?, out),
            UNMODELLED_ERROR => {
                let error = errors::of_exception(None, &event().unwrap_or_default());
                return Err(ReplyFault::Error(error));
            }
            name if name.ends_with("Exception") => {
                let error = errors::of_exception(Some(name), &event().unwrap_or_default());
                return Err(ReplyFault::Error(error));
            }
            _ => {}
        }
        Ok(())
    }
}

fn require_room(held: usize, more: usize) -> Result<(), ReplyFault> {
    if held.saturating_add(more) > HELD_BYTES_MAX {
        return Err(ReplyFault::Malformed("a block of the stream is too long"));
    }
    Ok(())
}

/// Adds a delta to its block; text and citations have been seen to.
fn add_delta(kind: &mut BlockKind, delta: &Value, out: &mut Vec<StreamEvent>) -> Result<(), ReplyFault> {
    let input = delta.get("toolUse").and_then(|call| filled_text(call, "input"));
    match (kind, input) {
        (BlockKind::Call(number, has_input), Some(piece)) => {
            *has_input = true;
            out.push(arguments(*number, piece.to_owned()));
        }
        (BlockKind::Answer(has_input), Some(piece)) => {
            *has_input = true;
            out.push(StreamEvent::Text { choice: 0, delta: piece.to_owned() });
        }
        (BlockKind::OwnCall(_, input), Some(piece)) => {
            require_room(input.len(), piece.len())?;
            input.push_str(piece);
        }
        (BlockKind::OwnResult(_, content), _) => {
            let pieces = delta.get("toolResult").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            require_room(content.len(), pieces.len())?;
            content.extend(pieces.iter().cloned());
        }
        (BlockKind::Image(_, bytes), _) => {
            let source = delta.get("image").and_then(|image| image.get("source"));
            let piece = source.and_then(|source| text(source, "bytes")).and_then(base64::decode);
            let piece = piece.unwrap_or_default();
            require_room(bytes.len(), piece.len())?;
            bytes.extend_from_slice(&piece);
        }
        (BlockKind::Reasoning { signature, redacted }, _) => {
            let reasoning = delta.get("reasoningContent").unwrap_or(&Value::Null);
            let signed = text(reasoning, "signature").unwrap_or_default();
            require_room(signature.len(), signed.len())?;
            signature.push_str(signed);
            let data = filled_text(reasoning, "redactedContent");
            require_room(redacted.iter().map(String::len).sum(), data.map_or(0, str::len))?;
            redacted.extend(data.map(str::to_owned));
        }
        // A call without a piece, and deltas of types that are not known yet.
        _ => {}
    }
    Ok(())
}

fn arguments(number: u64, delta: String) -> StreamEvent {
    StreamEvent::ToolCallArguments { choice: 0, index: number, delta }
}

/// Gives out what comes whole. A call without input is one without arguments.
fn close(kind: BlockKind, issuer: Issuer, out: &mut Vec<StreamEvent>) {
    let part = match kind {
        BlockKind::Call(number, false) => {
            out.push(arguments(number, "{}".to_owned()));
            return;
        }
        BlockKind::Answer(false) => {
            out.push(StreamEvent::Text { choice: 0, delta: "{}".to_owned() });
            return;
        }
        BlockKind::Reasoning { signature, redacted } => {
            if !redacted.is_empty() {
                let data = reasoning_blocks::read_redacted(&joined(redacted), issuer);
                out.push(StreamEvent::RedactedReasoning { choice: 0, data });
            }
            if !signature.is_empty() {
                let signature = Signature::read(&signature, issuer);
                out.push(StreamEvent::ReasoningSignature { choice: 0, signature });
            }
            return;
        }
        BlockKind::Image(media_type, bytes) if !bytes.is_empty() => {
            let data = base64::encode(bytes);
            let source = MediaSource::Base64 { media_type: media_type.to_owned(), data };
            out.push(StreamEvent::Image { choice: 0, source });
            return;
        }
        BlockKind::OwnCall(mut call, input) => {
            let input = serde_json::from_str(&input).unwrap_or_else(|_| object([]));
            if let Some(members) = call.as_object_mut() {
                members.insert("input".to_owned(), input);
            }
            native("toolUse".to_owned(), call)
        }
        BlockKind::OwnResult(mut result, content) => {
            if let Some(members) = result.as_object_mut() {
                members.insert("content".to_owned(), Value::Array(content));
            }
            native("toolResult".to_owned(), result)
        }
        _ => return,
    };
    if let Part::Native(native) = part {
        out.push(StreamEvent::Native { choice: 0, native });
    }
}

/// Pieces of base64 as one: as it came if there is one, since nobody else can read it.
fn joined(mut pieces: Vec<String>) -> String {
    if pieces.len() == 1 {
        return pieces.pop().unwrap_or_default();
    }
    let bytes: Vec<u8> = pieces.iter().filter_map(|piece| base64::decode(piece)).flatten().collect();
    base64::encode(bytes)
}
