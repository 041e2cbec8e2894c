//! Whole response objects, read and written.

use super::annotation;
use super::echo::Echo;
use super::events::Events;
use super::item::Item;
use super::output::{CallStart, Output};
use super::response::{Response, Status};
use super::seal::{self, Seal};
use super::usage;
use crate::conversation::{ChatReply, Choice, Citation, MediaSource, Native, Part, Signature, StopReason};
use crate::openai::{decode_error, in_place_of_answer};
use crate::told::{OPENAI, note_reply};
use crate::wire::{Dialect, Losses, ReplyFacts, ReplyFault};
use serde_json::{Map, Value};

/// Reads a response object that came with a status of success.
///
/// # Errors
/// [`ReplyFault::Error`] when the response failed, or when the body is an error in its place;
/// [`ReplyFault::Malformed`] when it is no response at all, or one that is not finished (`background`).
pub fn decode_reply(body: &[u8], _reading: &crate::wire::Reading) -> Result<ChatReply, ReplyFault> {
    let Ok(response @ Value::Object(_)) = serde_json::from_slice::<Value>(body) else {
        return Err(ReplyFault::Malformed("the body is not a JSON object"));
    };
    read_response(&response)
}

/// Reads a response object.
pub(super) fn read_response(response: &Value) -> Result<ChatReply, ReplyFault> {
    if let Some(error) = failure(response) {
        return Err(error);
    }
    let Some(items) = response.get("output").and_then(Value::as_array) else {
        return Err(ReplyFault::Malformed("there is no output"));
    };
    let text = |name: &str| response.get(name).and_then(Value::as_str).map(str::to_owned);
    let mut reader = ItemReader::default();
    for item in items {
        reader.read(item)?;
    }
    let (parts, logprobs) = reader.finish();
    Ok(ChatReply {
        id: text("id").unwrap_or_default(),
        model: text("model").unwrap_or_default(),
        created: response.get("created_at").and_then(read_time),
        choices: vec![Choice {
            index: 0,
            stop: Some(stop_reason(response, &parts)),
            parts,
            stop_sequence: None,
            logprobs,
        }],
        usage: usage::of_response(response, 0).unwrap_or_default(),
        system_fingerprint: None,
        service_tier: text("service_tier"),
    })
}

/// The fault for a response that is not an answer.
pub(super) fn failure(response: &Value) -> Option<ReplyFault> {
    match response.get("status").and_then(Value::as_str) {
        Some("failed" | "cancelled") => Some(
            in_place_of_answer(response)
                .map_or_else(|| ReplyFault::Error(decode_error(500, b"")), ReplyFault::Error),
        ),
        Some("queued" | "in_progress") => Some(ReplyFault::Malformed("the response is not finished")),
        _ => in_place_of_answer(response).map(ReplyFault::Error),
    }
}

/// Seconds since 1970; OpenAI's types allow a fraction.
fn read_time(value: &Value) -> Option<u64> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a cast of a float saturates"
    )]
    let whole = |seconds: f64| seconds as u64;
    value.as_u64().or_else(|| value.as_f64().map(whole))
}

/// Why a response ended.
pub(super) fn stop_reason(response: &Value, parts: &[Part]) -> StopReason {
    let calls_tools = parts.iter().any(|part| matches!(part, Part::ToolCall { .. }));
    let reason = response.get("incomplete_details").and_then(|details| details.get("reason")?.as_str());
    match (response.get("status").and_then(Value::as_str), reason) {
        (Some("incomplete"), Some("content_filter")) => StopReason::ContentFilter,
        (Some("incomplete"), _) => StopReason::Length,
        _ if calls_tools => StopReason::ToolCalls,
        _ => StopReason::Stop,
    }
}

/// Reads the items of an output as parts.
#[derive(Default)]
pub(super) struct ItemReader {
    parts: Vec<Part>,
    logprobs: Vec<Value>,
    /// A signature whose tool call is to follow.
    call_signature: Option<Signature>,
}

impl ItemReader {
    pub(super) fn read(&mut self, item: &Value) -> Result<(), ReplyFault> {
        let text = |name: &str| item.get(name).and_then(Value::as_str).unwrap_or_default();
        match text("type") {
            "message" => self.message(item),
            "function_call" => self.call(item, "arguments", false)?,
            "custom_tool_call" => self.call(item, "input", true)?,
            "reasoning" => self.reasoning(item),
            "image_generation_call" => self.parts.push(read_image(item).unwrap_or_else(|| native(item))),
            "" => return Err(ReplyFault::Malformed("an item has no type")),
            _ => self.parts.push(native(item)),
        }
        Ok(())
    }

    pub(super) fn finish(mut self) -> (Vec<Part>, Option<Value>) {
        self.unsigned();
        let logprobs = (!self.logprobs.is_empty()).then(|| chat_logprobs(self.logprobs));
        (self.parts, logprobs)
    }

    fn message(&mut self, item: &Value) {
        for piece in item.get("content").and_then(Value::as_array).into_iter().flatten() {
            let text = |name: &str| piece.get(name).and_then(Value::as_str).map(str::to_owned);
            match piece.get("type").and_then(Value::as_str) {
                Some("refusal") => self.parts.extend(text("refusal").map(Part::Refusal)),
                _ => {
                    let Some(text) = text("text") else { continue };
                    let citations = read_annotations(piece, 0);
                    self.parts.push(Part::Text { text, cache_control: None, citations });
                    let logprobs = piece.get("logprobs").and_then(Value::as_array).into_iter().flatten();
                    self.logprobs.extend(logprobs.cloned());
                }
            }
        }
    }

    fn call(&mut self, item: &Value, input: &str, is_custom: bool) -> Result<(), ReplyFault> {
        let text = |name: &str| item.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let name = text("name");
        if name.is_empty() {
            return Err(ReplyFault::Malformed("a tool call names no function"));
        }
        let signature = self.call_signature.take();
        self.parts.push(Part::ToolCall {
            id: text("call_id"),
            name,
            arguments: text(input),
            is_custom,
            signature,
        });
        Ok(())
    }

    fn reasoning(&mut self, item: &Value) {
        self.unsigned();
        match read_seal(item) {
            Some(Seal::Call(signature)) => self.call_signature = Some(signature),
            Some(Seal::Redacted(data)) => self.parts.push(Part::RedactedReasoning { data }),
            Some(Seal::Reasoning(signature)) => {
                self.parts.push(Part::Reasoning { text: read_summary(item), signature: Some(signature) });
            }
            None => {
                let text = read_summary(item);
                if !text.is_empty() {
                    self.parts.push(Part::Reasoning { text, signature: None });
                }
            }
        }
    }

    /// A call's signature whose call did not come.
    fn unsigned(&mut self) {
        if let Some(signature) = self.call_signature.take() {
            self.parts.push(Part::Reasoning { text: String::new(), signature: Some(signature) });
        }
    }
}

/// What the encrypted content of an item of reasoning is.
pub(super) fn read_seal(item: &Value) -> Option<Seal> {
    let text = |name: &str| item.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    Some(seal::open(text("id").unwrap_or_default(), text("encrypted_content")?))
}

/// The readable text of an item of reasoning: its summary, or what open models give in full.
pub(super) fn read_summary(item: &Value) -> String {
    let texts = |name: &str| {
        let parts = item.get(name).and_then(Value::as_array).into_iter().flatten();
        parts.filter_map(|part| part.get("text")?.as_str()).collect::<Vec<_>>().join("\n\n")
    };
    let summary = texts("summary");
    if summary.is_empty() { texts("content") } else { summary }
}

/// The sources of a piece of text; `offset` characters stand before it.
pub(super) fn read_annotations(piece: &Value, offset: u64) -> Vec<Citation> {
    let annotations = piece.get("annotations").and_then(Value::as_array).into_iter().flatten();
    annotations.filter_map(|value| annotation::read(value, offset)).collect()
}

/// The picture of an item that made one.
pub(super) fn read_image(item: &Value) -> Option<Part> {
    let text = |name: &str| item.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let media_type = format!("image/{}", text("output_format").unwrap_or("png"));
    let source = MediaSource::Base64 { media_type, data: text("result")?.to_owned() };
    Some(Part::Image { source, detail: None, cache_control: None })
}

/// An item that only this API has.
fn native(item: &Value) -> Part {
    Part::Native(Native { dialect: Dialect::Responses, value: item.clone() })
}

/// Log probabilities as chat completions give them.
pub(super) fn chat_logprobs(entries: Vec<Value>) -> Value {
    let mut logprobs = Map::new();
    logprobs.insert("content".to_owned(), Value::Array(entries));
    logprobs.insert("refusal".to_owned(), Value::Null);
    Value::Object(logprobs)
}

/// Writes a response object. The first answer counts; a response holds no other.
pub fn encode_reply(reply: &ChatReply, facts: &ReplyFacts, echo: &Echo, losses: &mut Losses) -> Vec<u8> {
    note_reply(reply, &OPENAI, losses);
    let mut output = Output::new(facts);
    let mut sequence = 0;
    let mut events = Events::none(&mut sequence);
    let choice = reply.choices.first();
    let refuses =
        choice.is_some_and(|choice| choice.parts.iter().any(|part| matches!(part, Part::Refusal(_))));
    let status = Status::of(choice.and_then(|choice| choice.stop), refuses);
    if let Some(choice) = choice {
        write_choice(choice, &mut output, &mut events, losses);
    }
    if reply.choices.len() > 1 {
        losses.note("n");
    }
    if reply.system_fingerprint.is_some() {
        losses.note("system_fingerprint");
    }
    output.end(status.is_cut(), &mut events);
    let response = Response {
        facts,
        echo,
        provider_id: &reply.id,
        created: reply.created.unwrap_or(facts.created),
        status,
        output: Some(&output),
        usage: Some(&reply.usage),
        service_tier: reply.service_tier.as_deref(),
    };
    let mut out = Vec::with_capacity(2_048);
    response.write(&mut out);
    out
}

fn write_choice(choice: &Choice, output: &mut Output, events: &mut Events<'_>, losses: &mut Losses) {
    let mut logprobs = choice.logprobs.as_ref();
    if choice.stop_sequence.is_some() {
        losses.note("stop_sequence");
    }
    for (index, part) in choice.parts.iter().enumerate() {
        match part {
            Part::Text { text, citations, .. } => {
                let start = output.chars();
                output.text(text, logprobs.take(), events);
                let end = output.chars();
                for citation in citations {
                    if !annotation::is_whole(citation) {
                        losses.note("citations");
                    }
                    let span = citation.span.map(|(from, to)| (from + start, to + start));
                    output.cite(citation, Some(span.unwrap_or((start, end))), events);
                }
            }
            Part::Refusal(text) => output.refusal(text, events),
            Part::Reasoning { text, signature } => {
                output.reasoning(text, events);
                match signature {
                    Some(signature) => output.sign(signature, events),
                    None => output.close(events),
                }
            }
            Part::RedactedReasoning { data } => output.redacted(data, events),
            Part::ToolCall { id, name, arguments, is_custom, signature } => {
                let index = index as u64;
                let (is_custom, signature) = (*is_custom, signature.as_ref());
                output.call(CallStart { index, id, name, is_custom, signature }, events);
                output.arguments(index, arguments, events);
            }
            Part::Image { source, .. } => {
                if !output.image(source, events) {
                    losses.note("images");
                }
            }
            Part::Audio { transcript, .. } => {
                losses.note("audio");
                output.text(transcript.as_deref().unwrap_or_default(), None, events);
            }
            Part::Native(native) if native.dialect == Dialect::Responses => {
                output.whole(Item::Whole(native.value.clone()), events);
            }
            Part::Native(native) => {
                losses.note(native.value.get("type").and_then(Value::as_str).unwrap_or("native").to_owned());
            }
            Part::File { .. } => losses.note("files"),
            Part::ToolResult { .. } => losses.note("tool_results"),
        }
    }
}
