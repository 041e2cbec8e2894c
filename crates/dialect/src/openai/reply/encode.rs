//! Writes whole answers: `chat.completion` and `text_completion`.
//!
//! **Invariant:** `model` is the caller's name for it, and the id and the time are always there.

use super::{finish_reason, reply_id, write_stop_sequence};
use crate::conversation::custom::unwrap_input;
use crate::conversation::{ChatReply, Choice, Citation, Issuer, MediaSource, Part, Signature, StopReason};
use crate::openai::data_url;
use crate::openai::thought::{self, Thought};
use crate::openai::usage::write_usage;
use crate::openai::write::Object;
use crate::told::{OPENAI, note_reply};
use crate::wire::{Losses, ReplyFacts};
use serde_json::{Value, json};
use std::borrow::Cow;

/// Writes a `chat.completion`.
///
/// Reasoning is `reasoning_content`, with what the provider wants back in `thinking_blocks`; pictures are `images`
/// (all three LiteLLM's names). What no answer holds (sources that are no addresses, files, another dialect's blocks) is
/// named in `losses`.
pub fn encode_reply(reply: &ChatReply, facts: &ReplyFacts, losses: &mut Losses) -> Vec<u8> {
    note_reply(reply, &OPENAI, losses);
    encode(reply, facts, "chat.completion", |choice, out| {
        Answer::gather(&choice.parts, losses).write_choice(choice, facts, out);
    })
}

/// Writes a legacy `text_completion`: the text of each answer and nothing else of it.
pub fn encode_completion(reply: &ChatReply, facts: &ReplyFacts) -> Vec<u8> {
    encode(reply, facts, "text_completion", write_text_choice)
}

fn encode(
    reply: &ChatReply,
    facts: &ReplyFacts,
    object: &str,
    mut write_choice: impl FnMut(&Choice, &mut Vec<u8>),
) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(1_024);
    let mut out = Object::open(&mut bytes);
    out.string("id", &reply_id(facts, &reply.id));
    out.string("object", object);
    out.integer("created", reply.created.unwrap_or(facts.created));
    out.string("model", &facts.client_model);
    if let Some(fingerprint) = &reply.system_fingerprint {
        out.string("system_fingerprint", fingerprint);
    }
    if let Some(tier) = &reply.service_tier {
        out.string("service_tier", tier);
    }
    out.list("choices", &reply.choices, |choice, out| write_choice(choice, out));
    write_usage(&reply.usage, out.member("usage"));
    out.close();
    bytes
}

/// The parts of an answer by the members that they become.
#[derive(Default)]
struct Answer<'a> {
    text: Option<String>,
    refusal: Option<String>,
    /// Sources with where they stand in the text.
    citations: Vec<(&'a Citation, (u64, u64))>,
    thoughts: Vec<Thought<'a>>,
    calls: Vec<&'a Part>,
    images: Vec<&'a MediaSource>,
    audio: Option<(&'a MediaSource, Option<&'a str>)>,
}

impl<'a> Answer<'a> {
    fn gather(parts: &'a [Part], losses: &mut Losses) -> Self {
        let mut answer = Self::default();
        let mut chars = 0;
        for part in parts {
            match part {
                Part::Text { text, citations, .. } => {
                    answer.text.get_or_insert_default().push_str(text);
                    let start = chars;
                    if !citations.is_empty() || parts.len() > 1 {
                        chars += text.chars().count() as u64;
                    }
                    for citation in citations {
                        let span = citation.span.map(|(from, to)| (from + start, to + start));
                        answer.cite(citation, span.unwrap_or((start, chars)), losses);
                    }
                }
                Part::Refusal(piece) => answer.refusal.get_or_insert_default().push_str(piece),
                Part::Reasoning { .. } | Part::RedactedReasoning { .. } => {
                    answer.thoughts.extend(Thought::of(part));
                }
                Part::ToolCall { .. } => answer.calls.push(part),
                Part::Image { source, .. } => answer.images.push(source),
                Part::Audio { source, transcript, .. } if answer.audio.is_none() => {
                    answer.audio = Some((source, transcript.as_deref()));
                }
                Part::Audio { .. } => losses.note("audio"),
                Part::File { .. } => losses.note("files"),
                Part::ToolResult { .. } => losses.note("tool_results"),
                Part::Native(native) => losses.note(native_kind(native)),
            }
        }
        answer
    }

    fn cite(&mut self, citation: &'a Citation, span: (u64, u64), losses: &mut Losses) {
        let is_bare = citation.quote.is_none()
            && citation.place.is_none()
            && citation.source_id.is_none()
            && citation.document.is_none();
        if citation.url.is_none() || !is_bare {
            losses.note("citations");
        }
        if citation.url.is_some() {
            self.citations.push((citation, span));
        }
    }

    fn write_choice(&self, choice: &Choice, facts: &ReplyFacts, out: &mut Vec<u8>) {
        let natural_end = if self.calls.is_empty() { StopReason::Stop } else { StopReason::ToolCalls };
        let mut object = Object::open(out);
        object.integer("index", choice.index);
        object.object("message", |message| self.write_message(facts, message));
        if let Some(logprobs) = &choice.logprobs {
            object.value("logprobs", logprobs);
        }
        object.string("finish_reason", finish_reason(choice.stop.unwrap_or(natural_end)));
        write_stop_sequence(choice.stop_sequence.as_deref(), &mut object);
        object.close();
    }

    fn write_message(&self, facts: &ReplyFacts, message: &mut Object<'_>) {
        message.string("role", "assistant");
        match &self.text {
            Some(text) => message.string("content", text),
            None if self.calls.is_empty() && self.refusal.is_none() && self.audio.is_none() => {
                message.string("content", "");
            }
            None => message.raw("content", "null"),
        }
        write_reasoning(&self.thoughts, message);
        if let Some(refusal) = &self.refusal {
            message.string("refusal", refusal);
        }
        if !self.citations.is_empty() {
            message.list("annotations", &self.citations, |(citation, span), out| {
                write_annotation(citation, *span, out);
            });
        }
        if let Some((source, transcript)) = self.audio {
            message.object("audio", |audio| write_audio(source, transcript, facts, audio));
        }
        if !self.images.is_empty() {
            message.list("images", self.images.iter().enumerate(), |(index, source), out| {
                write_image(index as u64, source, out);
            });
        }
        if !self.calls.is_empty() {
            message.list("tool_calls", &self.calls, |call, out| write_tool_call(call, facts, out));
        }
    }
}

/// What a block that another dialect alone has is called.
pub(in crate::openai) fn native_kind(native: &crate::conversation::Native) -> String {
    native.value.get("type").and_then(Value::as_str).unwrap_or("native").to_owned()
}

/// Writes a source that has an address.
pub(in crate::openai) fn write_annotation(citation: &Citation, (start, end): (u64, u64), out: &mut Vec<u8>) {
    let mut annotation = Object::open(out);
    annotation.string("type", "url_citation");
    annotation.object("url_citation", |source| {
        source.integer("start_index", start);
        source.integer("end_index", end);
        source.string("title", citation.title.as_deref().unwrap_or_default());
        source.string("url", citation.url.as_deref().unwrap_or_default());
    });
    annotation.close();
}

/// A sound's id: the provider's, or one made up. Nothing is kept under that, as its time says.
pub(in crate::openai) fn audio_id<'a>(id: &'a str, facts: &ReplyFacts) -> Cow<'a, str> {
    if id.is_empty() { Cow::Owned(format!("audio_{}", facts.fallback_id)) } else { Cow::Borrowed(id) }
}

fn write_audio(source: &MediaSource, transcript: Option<&str>, facts: &ReplyFacts, audio: &mut Object<'_>) {
    let data = match source {
        MediaSource::Base64 { data, .. } => data.as_str(),
        MediaSource::Url(_) | MediaSource::FileId(_) | MediaSource::Text(_) => "",
    };
    audio.string("id", &audio_id("", facts));
    audio.string("data", data);
    audio.integer("expires_at", facts.created);
    audio.string("transcript", transcript.unwrap_or_default());
}

fn write_reasoning(thoughts: &[Thought<'_>], message: &mut Object<'_>) {
    let readable = thought::readable(thoughts);
    if !readable.is_empty() {
        message.string("reasoning_content", &readable);
    }
    if thought::needs_blocks(thoughts) {
        message.list("thinking_blocks", thoughts, |thought, out| thought.write(out));
    }
}

/// Gemini's thought signature on a tool call, under LiteLLM's name.
pub(in crate::openai) fn write_signature_fields(signature: Option<&Signature>, call: &mut Object<'_>) {
    if let Some(signature) = signature {
        call.object("provider_specific_fields", |fields| {
            fields.string("thought_signature", &signature.written(Issuer::Google));
        });
    }
}

/// A custom tool's call has free text, also where a function stood in for it.
fn write_tool_call(part: &Part, facts: &ReplyFacts, out: &mut Vec<u8>) {
    if let Part::ToolCall { id, name, arguments, is_custom, signature } = part {
        let stands_in = !is_custom && facts.custom_tools.contains(name);
        let mut call = Object::open(out);
        call.string("id", id);
        if *is_custom || stands_in {
            call.string("type", "custom");
            call.object("custom", |custom| {
                custom.string("name", name);
                if stands_in {
                    custom.string("input", &unwrap_input(arguments));
                } else {
                    custom.string("input", arguments);
                }
            });
        } else {
            call.string("type", "function");
            call.object("function", |function| {
                function.string("name", name);
                function.string("arguments", arguments);
            });
        }
        write_signature_fields(signature.as_ref(), &mut call);
        call.close();
    }
}

pub(in crate::openai) fn write_image(index: u64, source: &MediaSource, out: &mut Vec<u8>) {
    let url = match source {
        MediaSource::Url(url) | MediaSource::FileId(url) | MediaSource::Text(url) => url.clone(),
        MediaSource::Base64 { media_type, data } => data_url(media_type, data),
    };
    let mut image = Object::open(out);
    image.integer("index", index);
    image.string("type", "image_url");
    image.object("image_url", |inner| inner.string("url", &url));
    image.close();
}

fn write_text_choice(choice: &Choice, out: &mut Vec<u8>) {
    let text: String = choice
        .parts
        .iter()
        .filter_map(|part| if let Part::Text { text, .. } = part { Some(text.as_str()) } else { None })
        .collect();
    let mut object = Object::open(out);
    object.string("text", &text);
    object.integer("index", choice.index);
    object.value("logprobs", &choice.logprobs.as_ref().map_or(Value::Null, legacy_logprobs));
    object.string("finish_reason", legacy_finish_reason(choice.stop));
    object.close();
}

/// Legacy completions know no tool calls.
pub(in crate::openai) fn legacy_finish_reason(stop: Option<StopReason>) -> &'static str {
    match stop {
        None | Some(StopReason::Stop | StopReason::ToolCalls) => finish_reason(StopReason::Stop),
        Some(stop) => finish_reason(stop),
    }
}

/// Turns chat's log probabilities into the four parallel lists of the legacy form; `text_offset` counts characters
/// from the beginning of what is given.
pub(in crate::openai) fn legacy_logprobs(logprobs: &Value) -> Value {
    let (mut tokens, mut values, mut tops, mut offsets) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut offset = 0;
    for entry in logprobs.get("content").and_then(Value::as_array).map_or(&[][..], Vec::as_slice) {
        let token = entry.get("token").and_then(Value::as_str).unwrap_or_default();
        tokens.push(json!(token));
        values.push(entry.get("logprob").cloned().unwrap_or_default());
        let alternatives = entry.get("top_logprobs").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let top = alternatives
            .iter()
            .filter_map(|top| Some((top.get("token")?.as_str()?.to_owned(), top.get("logprob")?.clone())));
        tops.push(Value::Object(top.collect()));
        offsets.push(json!(offset));
        offset += token.chars().count();
    }
    json!({"tokens": tokens, "token_logprobs": values, "top_logprobs": tops, "text_offset": offsets})
}
