//! The rules of OpenAI's request bodies, and its words for a broken one.
//!
//! Owns: rules that relate top-level fields; the translation of a [`Violation`] into OpenAI's error. Leaves to others:
//! the fields (`tables`), the order of messages (`messages`), what a strict schema is (`schema`).
//!
//! **Invariant:** of several faults the first is reported, unknown top-level parameters before all else, as the API
//! does.

use super::tables::{CHAT, COMPLETION, EMBEDDING};
use super::{messages, schema};
use crate::ask::{flag_at, items_at, number_at, text_at, tokens_of};
use crate::error::ApiError;
use crate::shape::{self, Field, Keys, Step, Violation, Wrong};
use serde_json::{Map, Value};

/// What a body is checked as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Chat,
    Completion,
    Embedding,
}

/// Whether the body must name a model, which on one of Azure's routes the path does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ModelIn {
    Body,
    Path,
}

/// Checks a body; the error is the one that the API would answer.
pub(crate) fn check(body: &Value, kind: Kind, model_in: ModelIn, model: &str) -> Result<(), ApiError> {
    let Some(object) = body.as_object() else {
        return Err(ApiError::bad_request("We expected a JSON object in the request body."));
    };
    let fields = match kind {
        Kind::Chat => CHAT,
        Kind::Completion => COMPLETION,
        Kind::Embedding => EMBEDDING,
    };
    unknown_arguments(object, fields)?;
    if model_in == ModelIn::Body && text_at(body, "model").is_empty() {
        return Err(ApiError::bad_request("you must provide a model parameter"));
    }
    let mut violations = shape::check(object, fields, Keys::Exact).into_iter();
    let no_model = [Step::Key("model".to_owned())];
    if let Some(violation) = violations.find(|found| found.wrong != Wrong::Missing || found.path != no_model)
    {
        return Err(spell(&violation));
    }
    match kind {
        Kind::Chat => chat(body, model),
        Kind::Completion => completion(body),
        Kind::Embedding => embedding(body, model),
    }
}

fn unknown_arguments(object: &Map<String, Value>, fields: &[Field]) -> Result<(), ApiError> {
    let known = |key: &&String| fields.iter().any(|field| field.name == key.as_str());
    let unknown: Vec<&str> = object.keys().filter(|key| !known(key)).map(String::as_str).collect();
    match unknown.as_slice() {
        [] => Ok(()),
        [one] => Err(ApiError::bad_request(format!("Unrecognized request argument supplied: {one}"))),
        many => Err(ApiError::bad_request(format!(
            "Unrecognized request arguments supplied: {}",
            many.join(", ")
        ))),
    }
}

/// Whether a field is there and not null.
pub(crate) fn is_set(body: &Value, key: &str) -> bool {
    body.get(key).is_some_and(|value| !value.is_null())
}

fn chat(body: &Value, model: &str) -> Result<(), ApiError> {
    stream_options(body)?;
    if is_set(body, "max_tokens") && is_set(body, "max_completion_tokens") {
        return Err(ApiError::bad_request(
            "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.",
        )
        .code("invalid_parameter_combination"));
    }
    if is_set(body, "top_logprobs") && !flag_at(body, "logprobs") {
        return Err(only_with("top_logprobs", "'logprobs' is enabled"));
    }
    for name in ["tool_choice", "parallel_tool_calls"] {
        if is_set(body, name) && !is_set(body, "tools") {
            let message =
                format!("Invalid value for '{name}': '{name}' is only allowed when 'tools' are specified.");
            return Err(ApiError::bad_request(message).param(name));
        }
    }
    if is_reasoning_model(model) {
        reasoning_model(body)?;
    }
    sound(body)?;
    tools(body)?;
    response_format(body)?;
    messages::check(items_at(body, "messages"))
}

/// What is spoken needs a voice and, in a stream, a format without frames.
fn sound(body: &Value) -> Result<(), ApiError> {
    let speaks = items_at(body, "modalities").iter().any(|modality| modality == "audio");
    if speaks != is_set(body, "audio") {
        let (has, lacks) = if speaks { ("modalities", "audio") } else { ("audio", "modalities") };
        let message =
            format!("Missing required parameter: '{lacks}', which goes with '{has}' for spoken answers.");
        return Err(ApiError::bad_request(message).param(lacks).code("missing_required_parameter"));
    }
    let format = body.pointer("/audio/format").and_then(Value::as_str).unwrap_or_default();
    if speaks && flag_at(body, "stream") && format != "pcm16" {
        let message = format!(
            "Unsupported value: 'audio.format' does not support '{format}' when stream=true. Supported values are: \
             'pcm16'."
        );
        return Err(ApiError::bad_request(message).param("audio.format").code("unsupported_value"));
    }
    Ok(())
}

fn only_with(name: &str, condition: &str) -> ApiError {
    ApiError::bad_request(format!("The '{name}' parameter is only allowed when {condition}.")).param(name)
}

fn stream_options(body: &Value) -> Result<(), ApiError> {
    if is_set(body, "stream_options") && !flag_at(body, "stream") {
        return Err(only_with("stream_options", "'stream' is enabled"));
    }
    Ok(())
}

/// The o-series and the first GPT-5 models take `max_completion_tokens` and the default sampling alone.
pub(crate) fn is_reasoning_model(model: &str) -> bool {
    let families = ["o1", "o3", "o4-mini", "gpt-5", "gpt-5-mini", "gpt-5-nano"];
    families.iter().any(|family| {
        let tail = model.strip_prefix(family);
        // The name alone, or with a date: `gpt-5.1` and `gpt-5-chat` have rules of their own.
        tail.is_some_and(|tail| tail.is_empty() || tail == "-mini" || tail.starts_with("-20"))
    })
}

fn reasoning_model(body: &Value) -> Result<(), ApiError> {
    if is_set(body, "max_tokens") {
        return Err(ApiError::bad_request(
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' \
             instead.",
        )
        .param("max_tokens")
        .code("unsupported_parameter"));
    }
    for (name, default) in
        [("temperature", 1.0), ("top_p", 1.0), ("presence_penalty", 0.0), ("frequency_penalty", 0.0)]
    {
        if let Some(value) = body.get(name).and_then(Value::as_f64).filter(|value| *value != default) {
            let message = format!(
                "Unsupported value: '{name}' does not support {value} with this model. Only the default ({default}) \
                 value is supported."
            );
            return Err(ApiError::bad_request(message).param(name).code("unsupported_value"));
        }
    }
    Ok(())
}

fn tools(body: &Value) -> Result<(), ApiError> {
    let tools = items_at(body, "tools");
    for (index, tool) in tools.iter().enumerate() {
        let Some(function) = tool.get("function") else { continue };
        schema::check_function(function, index)?;
    }
    let Some(choice) = body.get("tool_choice") else { return Ok(()) };
    let named = choice.pointer("/function/name").and_then(Value::as_str);
    let declared = |name: &str| {
        tools.iter().any(|tool| tool.pointer("/function/name").and_then(Value::as_str) == Some(name))
    };
    match named.filter(|name| !declared(name)) {
        Some(name) => {
            let message = format!("Tool choice '{name}' not found in 'tools' parameter.");
            Err(ApiError::bad_request(message).param("tool_choice"))
        }
        None => Ok(()),
    }
}

fn response_format(body: &Value) -> Result<(), ApiError> {
    let Some(format) = body.get("response_format") else { return Ok(()) };
    match text_at(format, "type") {
        "json_object" => {
            let messages =
                body.get("messages").map(Value::to_string).unwrap_or_default().to_ascii_lowercase();
            if messages.contains("json") {
                return Ok(());
            }
            let message = "'messages' must contain the word 'json' in some form, to use 'response_format' of type \
                           'json_object'.";
            Err(ApiError::bad_request(message).param("messages"))
        }
        "json_schema" => format.get("json_schema").map_or(Ok(()), schema::check_response_format),
        _ => Ok(()),
    }
}

fn completion(body: &Value) -> Result<(), ApiError> {
    stream_options(body)?;
    let best_of = number_at(body, "best_of").unwrap_or(u64::MAX);
    if best_of < number_at(body, "n").unwrap_or(1) {
        return Err(ApiError::bad_request(
            "You requested that the server return more choices than it will generate (n > best_of).",
        ));
    }
    if best_of > 1 && best_of < u64::MAX && flag_at(body, "stream") {
        return Err(ApiError::bad_request("best_of must be 1 when streaming."));
    }
    Ok(())
}

/// Tokens that one input of an embedding model may have (embeddings guide).
const EMBEDDING_TOKENS_MAX: u64 = 8_192;

fn embedding(body: &Value, model: &str) -> Result<(), ApiError> {
    let input = body.get("input").unwrap_or(&Value::Null);
    let texts = input.as_array().map_or_else(|| std::slice::from_ref(input), Vec::as_slice);
    for (index, text) in texts.iter().filter_map(Value::as_str).enumerate() {
        if text.is_empty() {
            let param = if input.is_array() { format!("input[{index}]") } else { "input".to_owned() };
            let message = format!("Invalid '{param}': input cannot be an empty string.");
            return Err(ApiError::bad_request(message).param(param));
        }
        let tokens = tokens_of(text);
        if tokens > EMBEDDING_TOKENS_MAX {
            return Err(ApiError::bad_request(format!(
                "This model's maximum context length is {EMBEDDING_TOKENS_MAX} tokens, however you requested {tokens} \
                 tokens ({tokens} in your prompt; 0 for the completion). Please reduce your prompt; or completion \
                 length."
            )));
        }
    }
    if is_set(body, "dimensions") && model.starts_with("text-embedding-ada") {
        return Err(
            ApiError::bad_request("This model does not support specifying dimensions.").param("dimensions")
        );
    }
    Ok(())
}

/// `messages[0].content[1].text`
pub(crate) fn param_of(path: &[Step]) -> String {
    let mut param = String::new();
    for step in path {
        match step {
            Step::Key(key) if param.is_empty() => param.push_str(key),
            Step::Key(key) => param.extend([".", key]),
            Step::Index(index) => param.push_str(&format!("[{index}]")),
            Step::Case(_) => {}
        }
    }
    param
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(number) if number.is_f64() => "a decimal",
        Value::Number(_) => "an integer",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// `'a', 'b', and 'c'`
fn listed(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
    match quoted.split_last() {
        None => String::new(),
        Some((one, [])) => one.clone(),
        Some((last, [first])) => format!("{first} and {last}"),
        Some((last, rest)) => format!("{}, and {last}", rest.join(", ")),
    }
}

/// A violation in OpenAI's words.
pub(crate) fn spell(violation: &Violation) -> ApiError {
    let param = param_of(&violation.path);
    let (message, code) = match &violation.wrong {
        Wrong::Unknown => (format!("Unknown parameter: '{param}'."), "unknown_parameter"),
        Wrong::Missing => (format!("Missing required parameter: '{param}'."), "missing_required_parameter"),
        Wrong::Type { expected, got } => (
            format!("Invalid type for '{param}': expected {expected}, but got {} instead.", kind_of(got)),
            "invalid_type",
        ),
        Wrong::Word { given, allowed } => {
            (format!("Invalid value: '{given}'. Supported values are: {}.", listed(allowed)), "invalid_value")
        }
        Wrong::Below { min, got } => {
            let kind = number_kind(got);
            let message = format!(
                "Invalid '{param}': {kind} below minimum value. Expected a value >= {min}, but got {got} instead."
            );
            (message, if kind == "integer" { "integer_below_min_value" } else { "decimal_below_min_value" })
        }
        Wrong::Above { max, got } => {
            let kind = number_kind(got);
            let message = format!(
                "Invalid '{param}': {kind} above maximum value. Expected a value <= {max}, but got {got} instead."
            );
            (message, if kind == "integer" { "integer_above_max_value" } else { "decimal_above_max_value" })
        }
        Wrong::Pattern => (
            format!(
                "Invalid '{param}': string does not match pattern. Expected a string that matches the pattern \
                 '^[a-zA-Z0-9_-]+$'."
            ),
            "invalid_value",
        ),
        Wrong::TooLong { max, len } => (
            format!(
                "Invalid '{param}': string too long. Expected a string with maximum length {max}, but got a string \
                 with length {len} instead."
            ),
            "string_above_max_length",
        ),
        Wrong::TooFew { min } => (
            format!(
                "Invalid '{param}': empty array. Expected an array with minimum length {min}, but got an empty array \
                 instead."
            ),
            "empty_array",
        ),
        Wrong::TooMany { max, len } => (
            format!(
                "Invalid '{param}': array too long. Expected an array with maximum length {max}, but got an array \
                 with length {len} instead."
            ),
            "array_above_max_length",
        ),
    };
    ApiError::bad_request(message).param(param).code(code)
}

fn number_kind(number: &Value) -> &'static str {
    if number.is_f64() { "decimal" } else { "integer" }
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
