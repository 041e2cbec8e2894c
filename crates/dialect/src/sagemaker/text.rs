//! Prompts for a container with Hugging Face's text server.
//!
//! The server puts a prompt of plain text before its model; the turns of a conversation are told apart by their
//! speakers' names, since the model's own template is not known here.

use super::path;
use crate::admit::{Admission, Bounds};
use crate::conversation::{ChatReply, ChatRequest, Choice, Part, StopReason, StreamEvent, Usage};
use crate::json::value::{count, insert, insert_some, items, owned_text, text};
use crate::openai::in_place_of_answer;
use crate::prompt::Prompt;
use crate::sse::Frame;
use crate::wire::{Capabilities, EncodeError, EncodeOptions, Losses, Outbound, Reading, ReplyFault, Support};
use serde_json::{Map, Value, json};

/// What the text server does with each of OpenAI's chat parameters.
pub const TEXT_CAPABILITIES: Capabilities = &[
    ("frequency_penalty", Support::Takes),
    ("max_completion_tokens", Support::Translates),
    ("max_tokens", Support::Translates),
    ("seed", Support::Takes),
    ("stop", Support::Takes),
    ("stream", Support::Takes),
    ("temperature", Support::Takes),
    ("top_k", Support::Takes),
    ("top_p", Support::Takes),
    // Plain text only.
    ("modalities", Support::Ignores),
    ("metadata", Support::Ignores),
    ("parallel_tool_calls", Support::Ignores),
    ("prompt_cache_key", Support::Ignores),
    ("prompt_cache_retention", Support::Ignores),
    ("safety_identifier", Support::Ignores),
    ("service_tier", Support::Ignores),
    ("store", Support::Ignores),
    ("stream_options", Support::Ignores),
    ("user", Support::Ignores),
    ("audio", Support::Refuses),
    ("function_call", Support::Refuses),
    ("functions", Support::Refuses),
    ("logit_bias", Support::Refuses),
    ("logprobs", Support::Refuses),
    ("n", Support::Refuses),
    ("prediction", Support::Refuses),
    ("presence_penalty", Support::Refuses),
    ("reasoning_effort", Support::Refuses),
    ("response_format", Support::Refuses),
    ("thinking", Support::Refuses),
    ("tool_choice", Support::Refuses),
    ("tools", Support::Refuses),
    ("top_logprobs", Support::Refuses),
    ("verbosity", Support::Refuses),
    ("web_search_options", Support::Refuses),
];

/// Parameters of the server's own that a caller may write beside OpenAI's.
const NATIVE_PARAMS: &[&str] =
    &["best_of", "do_sample", "repetition_penalty", "truncate", "typical_p", "watermark"];

const ADMISSION: Admission =
    Admission { capabilities: TEXT_CAPABILITIES, native: NATIVE_PARAMS, dialect: None };

/// Writes a prompt; the model's name is the endpoint's.
///
/// # Errors
/// [`EncodeError::Unsupported`] names all parameters that the server does not have, unless they may be dropped;
/// [`EncodeError::Invalid`] names the place of what is no text.
pub fn encode_text(request: &ChatRequest, options: &EncodeOptions) -> Result<Outbound, EncodeError> {
    let mut lost = Losses::default();
    ADMISSION.admit(request, options, &mut lost)?;
    let prompt = Prompt::of(request, &mut lost)?;
    let sampling = &request.sampling;
    let mut parameters = Map::new();
    insert_some(&mut parameters, "max_new_tokens", sampling.max_tokens);
    // The server wants more than 0, and draws nothing where it is not told to.
    let temperature = sampling.temperature.filter(|temperature| *temperature > 0.0);
    insert_some(&mut parameters, "temperature", temperature);
    if temperature.is_some() {
        insert(&mut parameters, "do_sample", true);
    }
    insert_some(&mut parameters, "top_p", sampling.top_p.filter(|p| *p > 0.0 && *p < 1.0));
    insert_some(&mut parameters, "top_k", sampling.top_k);
    insert_some(&mut parameters, "frequency_penalty", sampling.frequency_penalty);
    let mut bounds = Bounds { options, lost: &mut lost };
    let seed =
        bounds.keep("seed", sampling.seed, |seed| *seed >= 0, "must not be negative for this provider")?;
    insert_some(&mut parameters, "seed", seed);
    if !sampling.stop.is_empty() {
        insert(&mut parameters, "stop", sampling.stop.clone());
    }
    insert(&mut parameters, "return_full_text", false);
    insert(&mut parameters, "details", true);
    for (name, value) in ADMISSION.native_members(request) {
        insert(&mut parameters, name, value.clone());
    }
    let mut body = Map::new();
    insert(&mut body, "inputs", prompt.with_instructions());
    insert(&mut body, "parameters", parameters);
    if request.stream {
        insert(&mut body, "stream", true);
    }
    Ok(Outbound {
        path: path(&request.model, request.stream)?,
        body: Value::Object(body).to_string().into_bytes(),
        reading: Reading { model: request.model.clone(), ..Reading::default() },
        lost,
        ..Outbound::default()
    })
}

/// Reads a whole generation: an object, or a list of one.
///
/// # Errors
/// [`ReplyFault::Error`] for an error in the place of an answer, [`ReplyFault::Malformed`] for what is no generation.
pub fn decode_text_reply(body: &[u8], reading: &Reading) -> Result<ChatReply, ReplyFault> {
    let reply: Value = serde_json::from_slice(body).map_err(|_| ReplyFault::Malformed("not JSON"))?;
    if let Some(error) = in_place_of_answer(&reply) {
        return Err(ReplyFault::Error(error));
    }
    let generation = reply.as_array().and_then(|list| list.first()).unwrap_or(&reply);
    let words =
        text(generation, "generated_text").ok_or(ReplyFault::Malformed("there is no generated text"))?;
    let details = generation.get("details").unwrap_or(&Value::Null);
    Ok(ChatReply {
        model: reading.model.clone(),
        choices: vec![Choice {
            parts: vec![Part::text(words)],
            stop: Some(stop_reason(details)),
            ..Choice::default()
        }],
        usage: usage(details).unwrap_or_default(),
        ..ChatReply::default()
    })
}

fn stop_reason(details: &Value) -> StopReason {
    match text(details, "finish_reason") {
        Some("length") => StopReason::Length,
        Some("stop_sequence") => StopReason::StopSequence,
        _ => StopReason::Stop,
    }
}

/// The server counts what it makes; the prompt only where it repeats it, or in a stream's last event (`input_length`).
fn usage(details: &Value) -> Option<Usage> {
    let output_tokens = count(details, "generated_tokens")?;
    let prefill = items(details, "prefill").len() as u64;
    let input_tokens = count(details, "input_length").unwrap_or(prefill);
    Some(Usage { input_tokens, output_tokens, ..Usage::default() })
}

/// Reads a stream of tokens.
#[derive(Debug)]
pub(super) struct TextDecoder {
    reading: Reading,
    has_started: bool,
    is_complete: bool,
}

impl TextDecoder {
    pub(super) fn new(reading: Reading) -> Self {
        Self { reading, has_started: false, is_complete: false }
    }

    pub(super) fn read(&mut self, frame: &Frame<'_>, out: &mut Vec<StreamEvent>) -> Result<(), ReplyFault> {
        if self.is_complete || frame.data.trim_ascii().is_empty() || frame.data.as_ref() == b"[DONE]" {
            return Ok(());
        }
        let event: Value =
            serde_json::from_slice(&frame.data).map_err(|_| ReplyFault::Malformed("an event is not JSON"))?;
        if let Some(error) = in_place_of_answer(&event) {
            return Err(ReplyFault::Error(error));
        }
        if !std::mem::replace(&mut self.has_started, true) {
            let model = self.reading.model.clone();
            out.push(StreamEvent::Start { id: String::new(), model });
        }
        let token = event.get("token").unwrap_or(&Value::Null);
        // Special tokens are the model's own marks of the end.
        let delta = owned_text(token, "text");
        if token.get("special") != Some(&json!(true)) && !delta.is_empty() {
            out.push(StreamEvent::Text { choice: 0, delta });
        }
        if event.get("generated_text").is_some_and(Value::is_string) {
            let details = event.get("details").unwrap_or(&Value::Null);
            out.extend(usage(details).map(StreamEvent::Usage));
            let stop = stop_reason(details);
            out.push(StreamEvent::Finish { choice: 0, stop, stop_sequence: None });
            self.is_complete = true;
        }
        Ok(())
    }

    pub(super) fn is_complete(&self) -> bool {
        self.is_complete
    }
}
