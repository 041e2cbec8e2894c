//! Reads the stream of a provider that speaks this API.
//!
//! Owns which of its events say something new: texts come as deltas, again whole when they are done, again in their item
//! and once more in the last event. **Invariant:** each is told once, from whichever event has it first, so that a
//! provider which leaves deltas or `done` events out loses nothing.

use crate::conversation::{Native, Part, Signature, StopReason, StreamEvent};
use crate::openai::{decode_error, in_place_of_answer};
use crate::responses::reply::{self, chat_logprobs};
use crate::responses::seal::Seal;
use crate::responses::{annotation, usage};
use crate::sse::Frame;
use crate::wire::{Dialect, EventDecoder, ReplyFault};
use serde_json::Value;
use std::collections::BTreeMap;

/// Most items of one answer; the tools that one answer calls are limited to 128 at OpenAI, searches to far fewer.
const ITEMS_MAX: usize = 4_096;

/// Reads events.
#[derive(Debug, Default)]
pub struct StreamDecoder {
    has_started: bool,
    is_complete: bool,
    /// Items by their number in the output.
    items: BTreeMap<u64, Seen>,
    calls: u64,
    /// Searches of the web among the items that were told.
    searches: u64,
    /// A signature whose tool call is to follow.
    call_signature: Option<Signature>,
}

/// What has been told of an item.
#[derive(Debug, Default)]
struct Seen {
    id: String,
    /// The number of the call that it is.
    call: Option<u64>,
    /// Pieces of text by their number: of content, of a call (0), of a summary.
    texts: BTreeMap<(Kind, u64), Told>,
    is_done: bool,
}

/// How much of a text has been told.
#[derive(Debug, Default)]
struct Told {
    bytes: usize,
    chars: u64,
    annotations: u64,
    has_logprobs: bool,
}

/// Which texts of an item share numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Text,
    Refusal,
    Input,
    Summary,
    Thought,
}

impl StreamDecoder {
    /// A decoder at the beginning of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Every event of a response carries the response as far as it is.
    fn start(&mut self, response: &Value, out: &mut Vec<StreamEvent>) {
        if !std::mem::replace(&mut self.has_started, true) {
            let text = |name: &str| response.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
            out.push(StreamEvent::Start { id: text("id"), model: text("model") });
        }
    }

    fn read_event(
        &mut self,
        kind: &str,
        event: &Value,
        out: &mut Vec<StreamEvent>,
    ) -> Result<(), ReplyFault> {
        let response = event.get("response").unwrap_or(&Value::Null);
        match kind {
            "response.created" | "response.queued" | "response.in_progress" => self.start(response, out),
            "response.completed" | "response.incomplete" => {
                self.start(response, out);
                self.end(response, out)?;
            }
            "response.failed" | "response.cancelled" => return Err(failed(response)),
            "error" => return Err(broken(event)),
            "response.output_item.added" | "response.output_item.done" => {
                self.start(&Value::Null, out);
                // An event that shows no item says nothing.
                if let Some(item) = event.get("item").filter(|item| item.is_object()) {
                    let number = self.number(event, item)?;
                    self.item(number, item, kind.ends_with(".done"), out)?;
                }
            }
            "response.output_text.annotation.added" => {
                self.start(&Value::Null, out);
                self.annotation(event, out)?;
            }
            "response.audio.delta" | "response.audio.transcript.delta" => {
                self.start(&Value::Null, out);
                let delta = text_at(event, "delta").to_owned();
                let (data, transcript) = if kind == "response.audio.delta" {
                    (delta, String::new())
                } else {
                    (String::new(), delta)
                };
                out.push(StreamEvent::Audio { choice: 0, id: String::new(), data, transcript });
            }
            _ => self.read_text(kind, event, out)?,
        }
        Ok(())
    }

    /// The events of the texts: a piece of it, or all of it.
    fn read_text(&mut self, kind: &str, event: &Value, out: &mut Vec<StreamEvent>) -> Result<(), ReplyFault> {
        let Some((name, step)) = kind.rsplit_once('.') else { return Ok(()) };
        let (of, index, whole) = match name {
            "response.output_text" => (Kind::Text, "content_index", "text"),
            "response.refusal" => (Kind::Refusal, "content_index", "refusal"),
            "response.function_call_arguments" => (Kind::Input, "", "arguments"),
            "response.custom_tool_call_input" => (Kind::Input, "", "input"),
            "response.reasoning_summary_text" => (Kind::Summary, "summary_index", "text"),
            "response.reasoning_text" => (Kind::Thought, "content_index", "text"),
            _ => return Ok(()),
        };
        self.start(&Value::Null, out);
        let number = self.number(event, &Value::Null)?;
        let index = event.get(index).and_then(Value::as_u64).unwrap_or(0);
        match step {
            "delta" => {
                self.tell(number, (of, index), Piece::Delta(text_at(event, "delta")), out);
                if let Some(Value::Array(entries)) = event.get("logprobs")
                    && !entries.is_empty()
                {
                    self.told(number, (of, index)).has_logprobs = true;
                    out.push(StreamEvent::Logprobs { choice: 0, logprobs: chat_logprobs(entries.clone()) });
                }
            }
            "done" => self.tell(number, (of, index), Piece::Whole(text_at(event, whole)), out),
            _ => {}
        }
        Ok(())
    }

    /// The number of the item that an event is about. Some providers give the item's id alone.
    fn number(&mut self, event: &Value, item: &Value) -> Result<u64, ReplyFault> {
        let id = match text_at(event, "item_id") {
            "" => text_at(item, "id"),
            id => id,
        };
        let known = || {
            let same = |(_, seen): &(&u64, &Seen)| !id.is_empty() && seen.id == id;
            self.items.iter().find(same).map(|(number, _)| *number)
        };
        let last = self.items.keys().next_back().copied();
        let next = || if item.is_null() { last.unwrap_or(0) } else { last.map_or(0, |last| last + 1) };
        let number = event.get("output_index").and_then(Value::as_u64).or_else(known).unwrap_or_else(next);
        let is_new = !self.items.contains_key(&number);
        if is_new && self.items.len() >= ITEMS_MAX {
            return Err(ReplyFault::Malformed("an answer has more items than any limit allows"));
        }
        let seen = self.items.entry(number).or_default();
        if seen.id.is_empty() {
            seen.id = id.to_owned();
        }
        Ok(number)
    }

    fn told(&mut self, number: u64, text: (Kind, u64)) -> &mut Told {
        self.items.entry(number).or_default().texts.entry(text).or_default()
    }

    /// Tells a piece of a text, or what of the whole has not been told.
    fn tell(&mut self, number: u64, text: (Kind, u64), piece: Piece<'_>, out: &mut Vec<StreamEvent>) {
        let call = self.items.get(&number).and_then(|seen| seen.call);
        // A summary's parts are paragraphs.
        let is_next_part = matches!(text.0, Kind::Summary | Kind::Thought) && text.1 > 0;
        let told = self.told(number, text);
        let delta = match piece {
            Piece::Delta(delta) => delta,
            Piece::Whole(whole) => whole.get(told.bytes..).unwrap_or_default(),
        };
        // What comes before it is known which call it belongs to comes again with the call.
        if delta.is_empty() || (text.0 == Kind::Input && call.is_none()) {
            return;
        }
        let breaks = if is_next_part && told.bytes == 0 { "\n\n" } else { "" };
        told.bytes += delta.len();
        told.chars += delta.chars().count() as u64;
        let delta = format!("{breaks}{delta}");
        let choice = 0;
        match text.0 {
            Kind::Text => out.push(StreamEvent::Text { choice, delta }),
            Kind::Refusal => out.push(StreamEvent::Refusal { choice, delta }),
            Kind::Summary | Kind::Thought => out.push(StreamEvent::Reasoning { choice, delta }),
            Kind::Input => {
                out.extend(call.map(|index| StreamEvent::ToolCallArguments { choice, index, delta }));
            }
        }
    }

    fn annotation(&mut self, event: &Value, out: &mut Vec<StreamEvent>) -> Result<(), ReplyFault> {
        let number = self.number(event, &Value::Null)?;
        let index = event.get("content_index").and_then(Value::as_u64).unwrap_or(0);
        self.told(number, (Kind::Text, index)).annotations += 1;
        let offset = self.chars_before(number, index);
        let citation = event.get("annotation").and_then(|value| annotation::read(value, offset));
        out.extend(
            citation.map(|citation| StreamEvent::Citation { choice: 0, citation: Box::new(citation) }),
        );
        Ok(())
    }

    /// Sources count from the beginning of all text of the answer.
    fn chars_before(&self, number: u64, index: u64) -> u64 {
        let earlier = self
            .items
            .range(..number)
            .flat_map(|(_, seen)| seen.texts.range((Kind::Text, 0)..=(Kind::Text, u64::MAX)));
        let own = self.items.get(&number).into_iter();
        let own = own.flat_map(|seen| seen.texts.range((Kind::Text, 0)..(Kind::Text, index)));
        earlier.chain(own).map(|(_, told)| told.chars).sum()
    }

    /// An item that begins, or that is there as a whole.
    fn item(
        &mut self,
        number: u64,
        item: &Value,
        is_done: bool,
        out: &mut Vec<StreamEvent>,
    ) -> Result<(), ReplyFault> {
        if self.items.get(&number).is_some_and(|seen| seen.is_done) {
            return Ok(());
        }
        match text_at(item, "type") {
            "message" if is_done => self.message(number, item, out),
            "function_call" => self.call(number, item, "arguments", out)?,
            "custom_tool_call" => self.call(number, item, "input", out)?,
            "reasoning" if is_done => self.reasoning(number, item, out),
            "message" | "reasoning" => {}
            "image_generation_call" if is_done => match reply::read_image(item) {
                Some(Part::Image { source, .. }) => out.push(StreamEvent::Image { choice: 0, source }),
                _ => out.push(native(item)),
            },
            _ if is_done => out.push(native(item)),
            _ => {}
        }
        self.searches += u64::from(is_done && usage::is_search(item));
        if let Some(seen) = self.items.get_mut(&number) {
            seen.is_done = is_done;
        }
        Ok(())
    }

    fn message(&mut self, number: u64, item: &Value, out: &mut Vec<StreamEvent>) {
        let pieces = item.get("content").and_then(Value::as_array).into_iter().flatten();
        for (index, piece) in (0_u64..).zip(pieces) {
            if text_at(piece, "type") == "refusal" {
                self.tell(number, (Kind::Refusal, index), Piece::Whole(text_at(piece, "refusal")), out);
                continue;
            }
            self.tell(number, (Kind::Text, index), Piece::Whole(text_at(piece, "text")), out);
            let offset = self.chars_before(number, index);
            let told = self.told(number, (Kind::Text, index));
            let known = usize::try_from(std::mem::take(&mut told.annotations)).unwrap_or(usize::MAX);
            if let Some(Value::Array(entries)) = piece.get("logprobs")
                && !entries.is_empty()
                && !std::mem::replace(&mut told.has_logprobs, true)
            {
                out.push(StreamEvent::Logprobs { choice: 0, logprobs: chat_logprobs(entries.clone()) });
            }
            let citations = reply::read_annotations(piece, offset).into_iter().skip(known);
            out.extend(
                citations.map(|citation| StreamEvent::Citation { choice: 0, citation: Box::new(citation) }),
            );
        }
    }

    fn call(
        &mut self,
        number: u64,
        item: &Value,
        input: &str,
        out: &mut Vec<StreamEvent>,
    ) -> Result<(), ReplyFault> {
        let name = text_at(item, "name");
        let is_new = self.items.get(&number).is_none_or(|seen| seen.call.is_none());
        if is_new {
            if name.is_empty() {
                return Err(ReplyFault::Malformed("a tool call names no function"));
            }
            let index = self.calls;
            self.calls += 1;
            self.items.entry(number).or_default().call = Some(index);
            out.push(StreamEvent::ToolCallStart {
                choice: 0,
                index,
                id: text_at(item, "call_id").to_owned(),
                name: name.to_owned(),
                is_custom: input == "input",
                signature: self.call_signature.take(),
            });
        }
        self.tell(number, (Kind::Input, 0), Piece::Whole(text_at(item, input)), out);
        Ok(())
    }

    fn reasoning(&mut self, number: u64, item: &Value, out: &mut Vec<StreamEvent>) {
        let texts = |name: &str| {
            let parts = item.get(name).and_then(Value::as_array).into_iter().flatten();
            parts.map(|part| text_at(part, "text").to_owned()).collect::<Vec<_>>()
        };
        let mut parts = (Kind::Summary, texts("summary"));
        if parts.1.is_empty() {
            parts = (Kind::Thought, texts("content"));
        }
        for (index, text) in (0_u64..).zip(&parts.1) {
            self.tell(number, (parts.0, index), Piece::Whole(text), out);
        }
        match reply::read_seal(item) {
            Some(Seal::Reasoning(signature)) => {
                out.push(StreamEvent::ReasoningSignature { choice: 0, signature });
            }
            Some(Seal::Redacted(data)) => out.push(StreamEvent::RedactedReasoning { choice: 0, data }),
            Some(Seal::Call(signature)) => self.call_signature = Some(signature),
            None => {}
        }
    }

    /// The last event: what of the output has not been told, the tier, the end, the usage.
    fn end(&mut self, response: &Value, out: &mut Vec<StreamEvent>) -> Result<(), ReplyFault> {
        let items = response.get("output").and_then(Value::as_array).into_iter().flatten();
        for (number, item) in (0_u64..).zip(items) {
            self.items.entry(number).or_default();
            self.item(number, item, true, out)?;
        }
        if let Some(signature) = self.call_signature.take() {
            out.push(StreamEvent::ReasoningSignature { choice: 0, signature });
        }
        if let Some(tier) = response.get("service_tier").and_then(Value::as_str) {
            out.push(StreamEvent::ServiceTier(tier.to_owned()));
        }
        let stop = match reply::stop_reason(response, &[]) {
            StopReason::Stop if self.calls > 0 => StopReason::ToolCalls,
            stop => stop,
        };
        out.push(StreamEvent::Finish { choice: 0, stop, stop_sequence: None });
        out.extend(usage::of_response(response, self.searches).map(StreamEvent::Usage));
        self.is_complete = true;
        Ok(())
    }
}

/// A text in an event.
#[derive(Clone, Copy)]
enum Piece<'a> {
    /// The next piece.
    Delta(&'a str),
    /// All of it.
    Whole(&'a str),
}

fn text_at<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn native(item: &Value) -> StreamEvent {
    StreamEvent::Native { choice: 0, native: Native { dialect: Dialect::Responses, value: item.clone() } }
}

fn failed(response: &Value) -> ReplyFault {
    reply::failure(response).unwrap_or_else(|| ReplyFault::Error(decode_error(500, b"")))
}

fn broken(event: &Value) -> ReplyFault {
    in_place_of_answer(event).map_or(ReplyFault::Malformed("an error event says nothing"), ReplyFault::Error)
}

impl EventDecoder for StreamDecoder {
    fn read(&mut self, frame: &Frame<'_>, out: &mut Vec<StreamEvent>) -> Result<(), ReplyFault> {
        let data = frame.data.trim_ascii();
        // Some imitators end with the mark of chat completions.
        if self.is_complete || data.is_empty() || data == b"[DONE]" {
            return Ok(());
        }
        let Ok(event @ Value::Object(_)) = serde_json::from_slice::<Value>(data) else {
            return Err(ReplyFault::Malformed("an event is not a JSON object"));
        };
        let kind = match text_at(&event, "type") {
            "" => frame.event.unwrap_or_default().to_owned(),
            kind => kind.to_owned(),
        };
        if frame.event == Some("error") || (kind.is_empty() && event.get("error").is_some()) {
            return Err(broken(&event));
        }
        self.read_event(&kind, &event, out)
    }

    /// The last event was read: `response.completed` or `response.incomplete`.
    fn is_complete(&self) -> bool {
        self.is_complete
    }
}
