//! One candidate of a whole answer, and what its stream shares with it: parts of each kind.
//!
//! **Invariant:** a call that cannot be read is not written as one: the candidate says that it was malformed, as Google's
//! own do.

use crate::conversation::{Choice, Issuer, MediaSource, Part, StopReason, custom};
use crate::gemini::citations::{self, Cited};
use crate::gemini::host::Host;
use crate::gemini::{finish, logprobs, part, seal};
use crate::wire::{Dialect, Losses};
use serde_json::{Map, Value, json};

/// Writes a candidate.
pub(super) fn write(choice: &Choice, lost: &mut Losses) -> Value {
    let mut writer = Writer { lost, parts: Vec::new(), thoughts: Vec::new(), unreadable: None };
    let mut texts = Vec::new();
    for part in &choice.parts {
        let place = writer.parts.len();
        writer.write(part);
        if let Part::Text { text, citations, .. } = part
            && !text.is_empty()
        {
            texts.push(Cited { part: place, text, citations });
        }
    }
    let Writer { parts, unreadable, .. } = writer;
    let mut candidate = Map::new();
    let mut content = Map::new();
    if !parts.is_empty() {
        content.insert("parts".to_owned(), Value::Array(parts));
    }
    content.insert("role".to_owned(), json!("model"));
    candidate.insert("content".to_owned(), Value::Object(content));
    let stop = choice.stop.unwrap_or(StopReason::Stop);
    write_end(stop, unreadable.as_deref(), &mut candidate);
    candidate.insert("index".to_owned(), json!(choice.index));
    if !texts.iter().flat_map(|text| text.citations).all(citations::is_whole) {
        lost.note("citations");
    }
    citations::write(&texts, &mut candidate);
    if let Some(logprobs) = choice.logprobs.as_ref().and_then(logprobs::write) {
        candidate.insert("logprobsResult".to_owned(), logprobs);
    }
    if choice.stop_sequence.is_some() {
        lost.note("stop_sequence");
    }
    Value::Object(candidate)
}

/// Writes why a candidate ended. A call that cannot be read is Google's `MALFORMED_FUNCTION_CALL`, with what the model
/// wrote, unless it was cut.
pub(super) fn write_end(stop: StopReason, unreadable: Option<&str>, candidate: &mut Map<String, Value>) {
    let is_natural = matches!(stop, StopReason::Stop | StopReason::ToolCalls | StopReason::StopSequence);
    let stop = if is_natural && unreadable.is_some() { StopReason::MalformedToolCall } else { stop };
    candidate.insert("finishReason".to_owned(), json!(finish::write(stop)));
    if let Some(call) = unreadable {
        candidate.insert("finishMessage".to_owned(), json!(format!("Malformed function call: {call}")));
    }
}

/// A whole call as a part; what the model wrote where it cannot be read.
///
/// # Errors
/// The call as text: its function and what stands for its arguments.
pub(super) fn call_part(
    (id, name): (&str, &str),
    arguments: &str,
    is_custom: bool,
    signature: Option<String>,
) -> Result<Value, String> {
    let wrapped;
    let arguments = if is_custom {
        wrapped = custom::wrap_input(arguments);
        &wrapped
    } else {
        arguments
    };
    let Some(args) = part::arguments(arguments) else { return Err(format!("{name}({arguments})")) };
    let mut written = Map::new();
    written.insert("functionCall".to_owned(), Value::Object(part::call(id, name, args)));
    written.extend(signature.map(|signature| ("thoughtSignature".to_owned(), json!(signature))));
    Ok(Value::Object(written))
}

/// A picture, sound or document that a model made; `None` for a file that only its provider can read.
pub(super) fn media_part(part: &Part) -> Option<Value> {
    let written = match part {
        Part::Image { source: MediaSource::FileId(_), .. }
        | Part::Audio { source: MediaSource::FileId(_), .. }
        | Part::File { source: MediaSource::FileId(_), .. } => return None,
        Part::Image { source, .. } => part::image(Host::AiStudio, source, ""),
        Part::Audio { source, format, .. } => part::audio(Host::AiStudio, source, format, ""),
        Part::File { source, filename, .. } => {
            part::file(Host::AiStudio, source, filename.as_deref(), true, "")
        }
        _ => return None,
    };
    written.ok()
}

struct Writer<'a> {
    lost: &'a mut Losses,
    parts: Vec<Value>,
    /// Signed thoughts of others since the last call.
    thoughts: Vec<Part>,
    /// The first call that cannot be read.
    unreadable: Option<String>,
}

impl Writer<'_> {
    fn write(&mut self, part: &Part) {
        match part {
            Part::Text { text, .. } | Part::Refusal(text) => {
                if !text.is_empty() {
                    self.parts.push(json!({ "text": text }));
                }
            }
            Part::Reasoning { text, signature: Some(signature) } => {
                let own = signature.issuer == Issuer::Google;
                let written = seal::written(signature);
                if text.is_empty() && own {
                    part::sign_last(&mut self.parts, &written);
                } else {
                    self.parts.push(part::thought(text, Some(&written)));
                }
                if !own {
                    self.thoughts.push(part.clone());
                }
            }
            Part::Reasoning { text, signature: None } => self.parts.push(part::thought(text, None)),
            Part::RedactedReasoning { data } => {
                self.parts.push(part::thought("", Some(&seal::redacted(data))));
                self.thoughts.push(part.clone());
            }
            Part::ToolCall { .. } => self.write_call(part),
            Part::Image { .. } | Part::Audio { .. } | Part::File { .. } => self.write_media(part),
            Part::Native(native) if native.dialect == Dialect::Gemini => {
                self.parts.push(native.value.clone());
            }
            Part::Native(native) => self.lost.note(part::native_name(&native.value)),
            Part::ToolResult { .. } => self.lost.note("tool_result"),
        }
    }

    fn write_call(&mut self, part: &Part) {
        let Part::ToolCall { id, name, arguments, is_custom, signature } = part else { return };
        let brought = seal::thoughts(&std::mem::take(&mut self.thoughts));
        let signature = signature.as_ref().map(seal::written).or(brought);
        match call_part((id, name), arguments, *is_custom, signature) {
            Ok(call) => self.parts.push(call),
            Err(text) => {
                self.lost.note("tool_calls");
                self.unreadable.get_or_insert(text);
            }
        }
    }

    fn write_media(&mut self, part: &Part) {
        match media_part(part) {
            Some(media) => self.parts.push(media),
            None => self.lost.note(match part {
                Part::Image { .. } => "images",
                Part::Audio { .. } => "audio",
                _ => "files",
            }),
        }
        if let Part::Audio { transcript: Some(words), .. } = part
            && !words.is_empty()
        {
            self.parts.push(json!({ "text": words }));
        }
    }
}
