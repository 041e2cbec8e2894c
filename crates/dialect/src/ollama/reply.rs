//! A whole reply as the conversation model has it.

use crate::conversation::{ChatReply, Choice, Part, StopReason, Usage};
use crate::gemini::ident::call_id;
use crate::json::value::{count, filled_text, items, owned_text, text};
use crate::openai::in_place_of_answer;
use crate::wire::{Reading, ReplyFault};
use serde_json::{Value, json};

/// Reads the body of a successful reply. Calls without an id get one made from `reading.id_seed` and their place, so
/// that the same reply reads the same.
///
/// # Errors
/// [`ReplyFault::Error`] for an error in the place of an answer, [`ReplyFault::Malformed`] for what is no reply.
pub fn decode_reply(body: &[u8], reading: &Reading) -> Result<ChatReply, ReplyFault> {
    let reply: Value = serde_json::from_slice(body).map_err(|_| ReplyFault::Malformed("not JSON"))?;
    let message = message_of(&reply)?;
    let mut parts = Vec::new();
    if let Some(thought) = filled_text(message, "thinking") {
        parts.push(Part::Reasoning { text: thought.to_owned(), signature: None });
    }
    parts.extend(filled_text(message, "content").map(Part::text));
    for (position, call) in items(message, "tool_calls").iter().enumerate() {
        let call = Call::read(call, position as u64, reading.id_seed)?;
        parts.push(Part::ToolCall {
            id: call.id,
            name: call.name,
            arguments: call.arguments,
            is_custom: false,
            signature: None,
        });
    }
    let calls_tools = parts.iter().any(|part| matches!(part, Part::ToolCall { .. }));
    Ok(ChatReply {
        model: owned_text(&reply, "model"),
        choices: vec![Choice {
            parts,
            stop: Some(stop_reason(&reply, calls_tools)),
            logprobs: logprobs(&reply),
            ..Choice::default()
        }],
        usage: usage(&reply).unwrap_or_default(),
        ..ChatReply::default()
    })
}

/// The message of a reply or of a line.
pub(super) fn message_of(reply: &Value) -> Result<&Value, ReplyFault> {
    if let Some(error) = in_place_of_answer(reply) {
        return Err(ReplyFault::Error(error));
    }
    reply
        .get("message")
        .filter(|message| message.is_object())
        .ok_or(ReplyFault::Malformed("a reply has no message"))
}

/// A call, which comes whole.
pub(super) struct Call {
    pub(super) id: String,
    pub(super) name: String,
    /// JSON text.
    pub(super) arguments: String,
}

impl Call {
    pub(super) fn read(call: &Value, position: u64, seed: u64) -> Result<Self, ReplyFault> {
        let function = call.get("function").unwrap_or(&Value::Null);
        let name = filled_text(function, "name").ok_or(ReplyFault::Malformed("a tool call has no name"))?;
        let arguments = match function.get("arguments") {
            None | Some(Value::Null) => "{}".to_owned(),
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        };
        let id = filled_text(call, "id").map_or_else(|| call_id(seed, 0, position), str::to_owned);
        Ok(Self { id, name: name.to_owned(), arguments })
    }
}

/// Ollama has no word for calls.
pub(super) fn stop_reason(reply: &Value, calls_tools: bool) -> StopReason {
    match text(reply, "done_reason") {
        Some("length") => StopReason::Length,
        _ if calls_tools => StopReason::ToolCalls,
        _ => StopReason::Stop,
    }
}

/// The counts; `None` where there is none of them. The prompt's is missing where all of it was in the cache.
pub(super) fn usage(reply: &Value) -> Option<Usage> {
    let (input, output) = (count(reply, "prompt_eval_count"), count(reply, "eval_count"));
    if input.is_none() && output.is_none() {
        return None;
    }
    let (input_tokens, output_tokens) = (input.unwrap_or(0), output.unwrap_or(0));
    Some(Usage { input_tokens, output_tokens, ..Usage::default() })
}

/// The list as OpenAI's `logprobs` object, which has the same entries.
pub(super) fn logprobs(reply: &Value) -> Option<Value> {
    let list = items(reply, "logprobs");
    if list.is_empty() {
        return None;
    }
    let mut content = list.to_vec();
    for token in &mut content {
        if let Value::Object(members) = token {
            members.entry("top_logprobs").or_insert_with(|| Value::Array(Vec::new()));
            members.entry("bytes").or_insert(Value::Null);
        }
    }
    Some(json!({"content": content, "refusal": null}))
}
