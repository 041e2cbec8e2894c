//! A chat request as the making of a prediction.
//!
//! Sources: Replicate's HTTP reference, and the input schemas of its language models, which have these names in common.

use crate::admit::Admission;
use crate::conversation::ChatRequest;
use crate::json::value::{insert, insert_some};
use crate::prompt::Prompt;
use crate::wire::{Capabilities, EncodeError, EncodeOptions, Losses, Outbound, Reading, Support};
use serde_json::{Map, Value};

/// What Replicate's language models do with each of OpenAI's chat parameters.
pub const CAPABILITIES: Capabilities = &[
    ("frequency_penalty", Support::Takes),
    ("max_completion_tokens", Support::Translates),
    ("max_tokens", Support::Takes),
    ("presence_penalty", Support::Takes),
    ("seed", Support::Takes),
    ("stop", Support::Translates),
    ("stream", Support::Translates),
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
    ("reasoning_effort", Support::Refuses),
    ("response_format", Support::Refuses),
    ("thinking", Support::Refuses),
    ("tool_choice", Support::Refuses),
    ("tools", Support::Refuses),
    ("top_logprobs", Support::Refuses),
    ("verbosity", Support::Refuses),
    ("web_search_options", Support::Refuses),
];

/// Inputs of models that a caller may write beside OpenAI's members; `input` is an object of any.
pub const NATIVE_PARAMS: &[&str] = &[
    "input",
    "length_penalty",
    "max_length",
    "max_new_tokens",
    "min_new_tokens",
    "min_tokens",
    "prompt_template",
    "repetition_penalty",
    "system_prompt",
];

const ADMISSION: Admission = Admission { capabilities: CAPABILITIES, native: NATIVE_PARAMS, dialect: None };

/// Letters of a version's id.
const VERSION_LETTERS: usize = 64;

/// Writes the making of a prediction.
///
/// The model is `owner/name`, `deployments/owner/name`, `owner/name:version`, or a version alone. Instructions are
/// `system_prompt`, pictures `image`, or `images` where there are several. Models differ in their inputs, and pass over
/// those that they do not know.
///
/// # Errors
/// [`EncodeError::Unsupported`] names all parameters that these models do not have, unless they may be dropped;
/// [`EncodeError::Invalid`] names the place of what cannot be said in a prompt.
pub fn encode_chat(request: &ChatRequest, options: &EncodeOptions) -> Result<Outbound, EncodeError> {
    let mut lost = Losses::default();
    ADMISSION.admit(request, options, &mut lost)?;
    let prompt = Prompt::of(request, &mut lost)?;
    let mut input = Map::new();
    insert(&mut input, "prompt", prompt.text);
    insert_some(&mut input, "system_prompt", prompt.instructions);
    match prompt.pictures.as_slice() {
        [] => {}
        [one] => insert(&mut input, "image", one.as_str()),
        several => insert(&mut input, "images", several),
    }
    let sampling = &request.sampling;
    insert_some(&mut input, "max_tokens", sampling.max_tokens);
    insert_some(&mut input, "temperature", sampling.temperature);
    insert_some(&mut input, "top_p", sampling.top_p);
    insert_some(&mut input, "top_k", sampling.top_k);
    insert_some(&mut input, "seed", sampling.seed);
    insert_some(&mut input, "presence_penalty", sampling.presence_penalty);
    insert_some(&mut input, "frequency_penalty", sampling.frequency_penalty);
    if !sampling.stop.is_empty() {
        // One text with commas between, so that a comma cannot be in one.
        if sampling.stop.iter().any(|text| text.contains(',')) {
            lost.note("stop");
        }
        let texts: Vec<&str> =
            sampling.stop.iter().map(String::as_str).filter(|text| !text.contains(',')).collect();
        insert(&mut input, "stop_sequences", texts.join(","));
    }
    for (name, value) in ADMISSION.native_members(request) {
        match (name.as_str(), value) {
            ("input", Value::Object(own)) => input.extend(own.clone()),
            (name, value) => insert(&mut input, name, value.clone()),
        }
    }
    let (path, version) = address(&request.model)?;
    let mut body = Map::new();
    insert_some(&mut body, "version", version);
    insert(&mut body, "input", input);
    let mut headers = Vec::new();
    if request.stream {
        insert(&mut body, "stream", true);
    } else {
        headers.push(("prefer", "wait".to_owned()));
    }
    Ok(Outbound {
        path,
        headers,
        body: Value::Object(body).to_string().into_bytes(),
        reading: Reading { model: request.model.clone(), ..Reading::default() },
        lost,
    })
}

/// The path after the base URL (which ends in the API's version), and the version of the model for the body.
fn address(model: &str) -> Result<(String, Option<&str>), EncodeError> {
    let invalid = || EncodeError::Invalid {
        param: "model".to_owned(),
        message: "a model is named as owner/name, deployments/owner/name, owner/name:version or by a version"
            .to_owned(),
    };
    let is_version =
        |text: &str| text.len() == VERSION_LETTERS && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_version(model) {
        return Ok(("/predictions".to_owned(), Some(model)));
    }
    let (name, version) = match model.split_once(':') {
        Some((name, version)) => (name, Some(version)),
        None => (model, None),
    };
    let (holder, name) = match name.strip_prefix("deployments/") {
        Some(name) => ("deployments", name),
        None => ("models", name),
    };
    let is_part = |part: &str| {
        let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        !part.is_empty() && part.bytes().all(is_letter) && !part.bytes().all(|byte| byte == b'.')
    };
    let is_named = name.split_once('/').is_some_and(|(owner, name)| is_part(owner) && is_part(name));
    match version {
        _ if !is_named => Err(invalid()),
        None => Ok((format!("/{holder}/{name}/predictions"), None)),
        Some(version) if is_version(version) && holder == "models" => {
            Ok(("/predictions".to_owned(), Some(version)))
        }
        Some(_) => Err(invalid()),
    }
}
