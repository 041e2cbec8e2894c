//! Chats with a container that reads OpenAI's messages.

use super::path;
use crate::admit::Admission;
use crate::compat::{Body, Manner, Media, Thoughts, effort_of_thinking, write};
use crate::conversation::{ChatReply, ChatRequest};
use crate::json::value::insert;
use crate::openai;
use crate::wire::{Capabilities, EncodeError, EncodeOptions, Outbound, Reading, ReplyFault, Support};
use serde_json::{Value, json};

/// What such containers do with each of OpenAI's chat parameters: those of vLLM, which is what most of them run.
pub const CAPABILITIES: Capabilities = &[
    ("frequency_penalty", Support::Takes),
    ("function_call", Support::Translates),
    ("functions", Support::Translates),
    ("logit_bias", Support::Takes),
    ("logprobs", Support::Takes),
    ("max_completion_tokens", Support::Translates),
    ("max_tokens", Support::Takes),
    ("n", Support::Takes),
    ("parallel_tool_calls", Support::Takes),
    ("presence_penalty", Support::Takes),
    ("reasoning_effort", Support::Takes),
    ("response_format", Support::Takes),
    ("seed", Support::Takes),
    ("stop", Support::Takes),
    ("stream", Support::Takes),
    ("stream_options", Support::Takes),
    ("temperature", Support::Takes),
    ("thinking", Support::Translates),
    ("tool_choice", Support::Takes),
    ("tools", Support::Takes),
    ("top_k", Support::Takes),
    ("top_logprobs", Support::Takes),
    ("top_p", Support::Takes),
    // Plain text only.
    ("modalities", Support::Ignores),
    ("metadata", Support::Ignores),
    ("prompt_cache_key", Support::Ignores),
    ("prompt_cache_retention", Support::Ignores),
    ("safety_identifier", Support::Ignores),
    ("service_tier", Support::Ignores),
    ("store", Support::Ignores),
    ("user", Support::Ignores),
    ("audio", Support::Refuses),
    ("prediction", Support::Refuses),
    ("verbosity", Support::Refuses),
    ("web_search_options", Support::Refuses),
];

/// Members of vLLM's that a caller may write beside OpenAI's.
const NATIVE_PARAMS: &[&str] = &["chat_template_kwargs", "min_p", "min_tokens", "repetition_penalty"];

const MANNER: Manner = Manner {
    names: true,
    cache_marks: false,
    thoughts: Thoughts::Nothing,
    media: Media::Sounds,
    is_orderly: false,
};

/// Writes a chat request; the model's name is the endpoint's.
///
/// # Errors
/// [`EncodeError::Unsupported`] names all parameters that such containers do not have, unless they may be dropped;
/// [`EncodeError::Invalid`] names the place of what cannot be written.
pub fn encode_chat(request: &ChatRequest, options: &EncodeOptions) -> Result<Outbound, EncodeError> {
    let admission = Admission { capabilities: CAPABILITIES, native: NATIVE_PARAMS, dialect: None };
    let (mut body, mut lost) = write(request, options, admission, MANNER)?;
    let mut fitted = Body { members: &mut body, options, lost: &mut lost };
    effort_of_thinking(&mut fitted, None);
    fitted.keep_known(admission);
    // The endpoint is the model.
    body.shift_remove("model");
    if request.stream {
        insert(&mut body, "stream_options", json!({"include_usage": true}));
    }
    Ok(Outbound {
        path: path(&request.model, request.stream)?,
        body: Value::Object(body).to_string().into_bytes(),
        reading: Reading { model: request.model.clone(), ..Reading::default() },
        lost,
        ..Outbound::default()
    })
}

/// Reads the body of a successful reply.
///
/// # Errors
/// As [`openai::decode_reply`].
pub fn decode_reply(body: &[u8], reading: &Reading) -> Result<ChatReply, ReplyFault> {
    let mut reply = openai::decode_reply(body)?;
    if reply.model.is_empty() {
        reply.model.clone_from(&reading.model);
    }
    Ok(reply)
}
