//! A chat request for watsonx.
//!
//! Source: the API reference of `text/chat`, and the schemas of IBM's Python package (`TextChatParameters`).

use super::Place;
use crate::admit::Admission;
use crate::compat::{
    Body, Manner, Media, Thoughts, effort_of_thinking, join_texts, list_stop, remove_nulls, rename, write,
};
use crate::conversation::ChatRequest;
use crate::json::value::insert;
use crate::wire::{Capabilities, EncodeError, EncodeOptions, Outbound, Reading, Support};
use serde_json::{Map, Value};

/// What watsonx does with each of OpenAI's chat parameters.
pub const CAPABILITIES: Capabilities = &[
    ("frequency_penalty", Support::Takes),
    ("function_call", Support::Translates),
    ("functions", Support::Translates),
    ("logit_bias", Support::Takes),
    ("logprobs", Support::Takes),
    ("max_completion_tokens", Support::Translates),
    ("max_tokens", Support::Takes),
    ("n", Support::Takes),
    ("presence_penalty", Support::Takes),
    ("reasoning_effort", Support::Takes),
    ("response_format", Support::Takes),
    ("seed", Support::Takes),
    ("stop", Support::Translates),
    // A path of its own.
    ("stream", Support::Translates),
    ("temperature", Support::Takes),
    ("thinking", Support::Translates),
    ("tool_choice", Support::Translates),
    ("tools", Support::Takes),
    ("top_logprobs", Support::Takes),
    ("top_p", Support::Takes),
    // Plain text only.
    ("modalities", Support::Ignores),
    // Labels, hints, and a switch that is always on (usage in a stream).
    ("metadata", Support::Ignores),
    ("prompt_cache_key", Support::Ignores),
    ("prompt_cache_retention", Support::Ignores),
    ("safety_identifier", Support::Ignores),
    ("service_tier", Support::Ignores),
    ("store", Support::Ignores),
    ("stream_options", Support::Ignores),
    ("user", Support::Ignores),
    ("audio", Support::Refuses),
    ("parallel_tool_calls", Support::Refuses),
    ("prediction", Support::Refuses),
    ("top_k", Support::Refuses),
    ("verbosity", Support::Refuses),
    ("web_search_options", Support::Refuses),
];

/// watsonx' own members that a caller may write beside OpenAI's.
pub const NATIVE_PARAMS: &[&str] = &[
    "chat_template_kwargs",
    "context",
    "crypto",
    "guided_choice",
    "guided_grammar",
    "guided_json",
    "guided_regex",
    "include_reasoning",
    "length_penalty",
    "repetition_penalty",
    "time_limit",
    "tool_choice_option",
];

const MANNER: Manner = Manner {
    names: true,
    cache_marks: false,
    thoughts: Thoughts::Unsigned,
    media: Media::Sounds,
    is_orderly: false,
};

/// Most texts in `stop`.
const STOP_MAX: usize = 4;

/// Writes a chat request for a model, or for the deployment that a name of the form `deployment/ID` means.
///
/// # Errors
/// [`EncodeError::Unsupported`] names all parameters that watsonx does not have, unless they may be dropped;
/// [`EncodeError::Invalid`] names the place of what cannot be written, and what is missing of `place`.
pub fn encode_chat(
    request: &ChatRequest,
    place: &Place,
    options: &EncodeOptions,
) -> Result<Outbound, EncodeError> {
    let admission = Admission { capabilities: CAPABILITIES, native: NATIVE_PARAMS, dialect: None };
    let (mut body, mut lost) = write(request, options, admission, MANNER)?;
    let mut fitted = Body { members: &mut body, options, lost: &mut lost };
    fit(&mut fitted)?;
    fitted.keep_known(admission);
    body.shift_remove("stream");
    body.shift_remove("model");
    let operation = if request.stream { "chat_stream" } else { "chat" };
    let path = place.address(&request.model, operation, &mut body)?;
    Ok(Outbound {
        path,
        body: Value::Object(body).to_string().into_bytes(),
        reading: Reading { model: request.model.clone(), ..Reading::default() },
        lost,
        ..Outbound::default()
    })
}

fn fit(body: &mut Body<'_>) -> Result<(), EncodeError> {
    effort_of_thinking(body, None);
    fit_effort(body);
    list_stop(body, STOP_MAX)?;
    if body.members.get("tool_choice").is_some_and(Value::is_string) {
        rename(body.members, "tool_choice", "tool_choice_option");
    }
    if !body.members.contains_key("tools") {
        body.members.shift_remove("tool_choice");
        body.members.shift_remove("tool_choice_option");
    }
    let tools = body.members.get_mut("tools").and_then(Value::as_array_mut);
    for tool in tools.into_iter().flatten() {
        let function = tool.get_mut("function").and_then(Value::as_object_mut);
        if function.and_then(|function| function.shift_remove("strict")) == Some(Value::Bool(true)) {
            body.lost.note("strict");
        }
    }
    for message in body.messages() {
        fit_message(message);
    }
    remove_nulls(body.members);
    Ok(())
}

/// Three levels are all there are.
fn fit_effort(body: &mut Body<'_>) {
    let word = match body.members.get("reasoning_effort").and_then(Value::as_str) {
        Some("minimal") => "low",
        Some("xhigh" | "max") => "high",
        Some("none") => {
            body.members.shift_remove("reasoning_effort");
            body.lost.note("reasoning_effort");
            return;
        }
        _ => return,
    };
    insert(body.members, "reasoning_effort", word);
}

/// Only a user speaks in parts.
fn fit_message(message: &mut Map<String, Value>) {
    message.shift_remove("thinking_blocks");
    match message.get("role").and_then(Value::as_str) {
        Some("system" | "assistant") => join_texts(message),
        Some("tool") => {
            message.shift_remove("name");
        }
        _ => {}
    }
    remove_nulls(message);
}
