//! The rules of a response's body, and OpenAI's words for a broken one.
//!
//! Owns: rules that relate parameters, parameters that other APIs of OpenAI have. Leaves to others: the fields
//! (`tables`), items among each other (`links`).
//!
//! **Invariant:** of several faults the first is reported, unknown parameters before all else.

use super::store::Store;
use super::{links, tables};
use crate::ask::{flag_at, items_at, text_at};
use crate::error::ApiError;
use crate::openai::check::{is_reasoning_model, is_set, param_of, spell};
use crate::openai::messages::image_url;
use crate::openai::schema;
use crate::platform::Owner;
use crate::shape::{self, Keys, Step, Violation, Wrong};
use serde_json::{Map, Value};

/// Most pairs of `metadata`, and the longest key.
const METADATA_PAIRS_MAX: usize = 16;
const METADATA_KEY_CHARS_MAX: usize = 64;

/// Parameters of chat completions and where they are in this API.
const MOVED: &[(&str, &str)] = &[
    ("messages", "input"),
    ("max_tokens", "max_output_tokens"),
    ("max_completion_tokens", "max_output_tokens"),
    ("response_format", "text.format"),
    ("reasoning_effort", "reasoning.effort"),
    ("verbosity", "text.verbosity"),
];

/// Checks a body; the error is the one that the API would answer.
pub(crate) fn check(body: &Value, model: &str, store: &Store, owner: &Owner) -> Result<(), ApiError> {
    let Some(object) = body.as_object() else {
        return Err(ApiError::bad_request("We expected a JSON object in the request body."));
    };
    moved(object)?;
    if let Some(violation) = first_violation(object) {
        return Err(spell(&violation));
    }
    if model.is_empty() && !is_set(body, "prompt") {
        return Err(ApiError::bad_request("Missing required parameter: 'model'.")
            .param("model")
            .code("missing_required_parameter"));
    }
    metadata(body, "metadata")?;
    combinations(body)?;
    of_model(body, model)?;
    tools(body)?;
    text_format(body)?;
    items(items_at(body, "input"))?;
    let context = store.context(owner, body)?;
    links::check(&context, items_at(body, "input"), store, owner)
}

/// Checks the items that are put into a conversation.
pub(crate) fn check_items(body: &Value) -> Result<(), ApiError> {
    let Some(object) = body.as_object() else {
        return Err(ApiError::bad_request("We expected a JSON object in the request body."));
    };
    let found = shape::check(object, tables::ITEMS, Keys::Exact).into_iter().next();
    if let Some(violation) = found {
        return Err(spell(&violation));
    }
    metadata(body, "metadata")?;
    items(items_at(body, "items"))
}

/// Checks a body of metadata alone.
pub(crate) fn check_metadata(body: &Value) -> Result<(), ApiError> {
    let object = body.as_object().cloned().unwrap_or_default();
    match shape::check(&object, tables::METADATA_ALONE, Keys::Exact).first() {
        Some(violation) => Err(spell(violation)),
        None => metadata(body, "metadata"),
    }
}

fn moved(object: &Map<String, Value>) -> Result<(), ApiError> {
    let found = MOVED.iter().find(|(name, _)| object.contains_key(*name));
    let Some((name, now)) = found else { return Ok(()) };
    let message = format!(
        "Unsupported parameter: '{name}'. In the Responses API, this parameter has moved to '{now}'. Try again with the \
         new parameter."
    );
    Err(ApiError::bad_request(message).param(*name).code("unsupported_parameter"))
}

fn first_violation(object: &Map<String, Value>) -> Option<Violation> {
    let found = shape::check(object, tables::CREATE, Keys::Exact);
    // A function in the shape of chat completions is told what it lacks, not what it has too much.
    let nested = |violation: &Violation| {
        violation.wrong == Wrong::Unknown
            && matches!(violation.path.as_slice(), [Step::Key(tools), .., Step::Key(key)] if tools == "tools" && key == "function")
    };
    let lacks = |violation: &Violation| {
        violation.wrong == Wrong::Missing && param_of(&violation.path).starts_with("tools[")
    };
    if found.first().is_some_and(nested) && found.iter().any(lacks) {
        return found.into_iter().find(lacks);
    }
    found.into_iter().next()
}

/// Checks the limits of metadata.
pub(crate) fn metadata(body: &Value, name: &str) -> Result<(), ApiError> {
    let Some(pairs) = body.get(name).and_then(Value::as_object) else { return Ok(()) };
    if pairs.len() > METADATA_PAIRS_MAX {
        let message = format!(
            "Invalid '{name}': too many properties. Expected an object with at most {METADATA_PAIRS_MAX} properties, but \
             got an object with {} properties instead.",
            pairs.len()
        );
        return Err(ApiError::bad_request(message).param(name).code("object_above_max_properties"));
    }
    match pairs.keys().find(|key| key.chars().count() > METADATA_KEY_CHARS_MAX) {
        None => Ok(()),
        Some(key) => {
            let message = format!(
                "Invalid property name in '{name}': '{key}' is too long. Expected a name with maximum length \
                 {METADATA_KEY_CHARS_MAX}."
            );
            Err(ApiError::bad_request(message).param(name).code("property_name_above_max_length"))
        }
    }
}

fn combinations(body: &Value) -> Result<(), ApiError> {
    let sources = ["previous_response_id", "prompt", "conversation"];
    let empty = body.get("input").is_none_or(|input| input.as_array().is_some_and(Vec::is_empty));
    if empty && !sources.iter().any(|name| is_set(body, name)) {
        return Err(ApiError::bad_request(
            "One of \"input\" or \"previous_response_id\" or 'prompt' or 'conversation' must be provided.",
        )
        .param("input")
        .code("missing_required_parameter"));
    }
    if is_set(body, "previous_response_id") && is_set(body, "conversation") {
        return Err(ApiError::bad_request(
            "Mutually exclusive parameters: Ensure you are only providing one of: 'previous_response_id' or \
             'conversation'.",
        )
        .code("mutually_exclusive_parameters"));
    }
    if is_set(body, "stream_options") && !flag_at(body, "stream") {
        let message = "The 'stream_options' parameter is only allowed when 'stream' is enabled.";
        return Err(ApiError::bad_request(message).param("stream_options"));
    }
    if flag_at(body, "background") && body.get("store") == Some(&Value::Bool(false)) {
        let message = "Background mode requires 'store' to be true.";
        return Err(ApiError::bad_request(message).param("background"));
    }
    if is_set(body, "prompt_cache_retention") && is_set(body, "prompt_cache_options") {
        let message = "Only one of 'prompt_cache_retention' and 'prompt_cache_options' can be set.";
        return Err(ApiError::bad_request(message).param("prompt_cache_retention"));
    }
    Ok(())
}

/// Models without reasoning.
fn never_reasons(model: &str) -> bool {
    ["gpt-4", "gpt-3.5", "chatgpt-4o"].iter().any(|family| model.starts_with(family))
}

fn of_model(body: &Value, model: &str) -> Result<(), ApiError> {
    let unsupported = |name: &str| {
        ApiError::bad_request(format!("Unsupported parameter: '{name}' is not supported with this model."))
            .param(name)
            .code("unsupported_parameter")
    };
    if is_reasoning_model(model) {
        for name in ["temperature", "top_p"] {
            if body.get(name).and_then(Value::as_f64).is_some_and(|value| value != 1.0) {
                return Err(unsupported(name));
            }
        }
    }
    if never_reasons(model) {
        if body.get("reasoning").is_some_and(|config| is_set(config, "effort")) {
            return Err(unsupported("reasoning.effort"));
        }
        if body.get("reasoning").is_some_and(|config| is_set(config, "summary")) {
            return Err(unsupported("reasoning.summary"));
        }
        if super::reply::includes(body, "reasoning.encrypted_content") {
            return Err(
                ApiError::bad_request("Encrypted content is not supported with this model.").param("include")
            );
        }
    }
    Ok(())
}

fn tools(body: &Value) -> Result<(), ApiError> {
    let tools = items_at(body, "tools");
    for (index, tool) in tools.iter().enumerate() {
        if text_at(tool, "type") == "function" {
            schema::check_parameters(tool, &format!("tools[{index}].parameters"))?;
        }
        if text_at(tool, "type") == "mcp" && !is_set(tool, "server_url") && !is_set(tool, "connector_id") {
            let message = "One of 'server_url' or 'connector_id' must be provided.";
            return Err(ApiError::bad_request(message).param(format!("tools[{index}]")));
        }
    }
    let Some(choice) = body.get("tool_choice") else { return Ok(()) };
    if choice == "required" && tools.is_empty() {
        let message = "Tool choice 'required' must be specified with 'tools' parameter.";
        return Err(ApiError::bad_request(message).param("tool_choice"));
    }
    let kind = text_at(choice, "type");
    let declared = |tool: &Value| match kind {
        "function" | "custom" => {
            text_at(tool, "type") == kind && text_at(tool, "name") == text_at(choice, "name")
        }
        "mcp" => text_at(tool, "server_label") == text_at(choice, "server_label"),
        "" | "allowed_tools" => true,
        _ => text_at(tool, "type").starts_with(kind),
    };
    if !kind.is_empty() && kind != "allowed_tools" && !tools.iter().any(declared) {
        let message = format!("Tool choice '{kind}' not found in 'tools' parameter.");
        return Err(ApiError::bad_request(message).param("tool_choice"));
    }
    Ok(())
}

fn text_format(body: &Value) -> Result<(), ApiError> {
    let Some(format) = body.pointer("/text/format") else { return Ok(()) };
    match text_at(format, "type") {
        "json_schema" => schema::check_output(format)
            .map_err(|error| error.param("text.format.schema").code("invalid_json_schema")),
        "json_object" => {
            let said = ["input", "instructions"]
                .map(|name| body.get(name).map(Value::to_string).unwrap_or_default());
            if said.iter().any(|text| text.to_ascii_lowercase().contains("json"))
                || is_set(body, "previous_response_id")
            {
                return Ok(());
            }
            let message = "Response input messages must contain the word 'json' in some form to use 'text.format' of \
                           type 'json_object'.";
            Err(ApiError::bad_request(message).param("input"))
        }
        _ => Ok(()),
    }
}

/// What an id of a kind of item begins with.
const ID_PREFIXES: &[(&str, &str)] =
    &[("function_call", "fc"), ("reasoning", "rs"), ("custom_tool_call", "ctc"), ("message", "msg")];

fn items(items: &[Value]) -> Result<(), ApiError> {
    for (index, item) in items.iter().enumerate() {
        let place = format!("input[{index}]");
        let kind = text_at(item, "type");
        let id = text_at(item, "id");
        let prefix = ID_PREFIXES.iter().find(|(of, _)| *of == kind).map(|(_, prefix)| *prefix);
        if let Some(prefix) = prefix.filter(|prefix| !id.is_empty() && !id.starts_with(prefix)) {
            let message =
                format!("Invalid '{place}.id': '{id}'. Expected an ID that begins with '{prefix}'.");
            return Err(ApiError::bad_request(message).param(format!("{place}.id")).code("invalid_value"));
        }
        match kind {
            "message" => message(item, &place)?,
            "function_call_output" | "custom_tool_call_output" => {
                parts(items_at(item, "output"), &format!("{place}.output"))?;
            }
            _ => {}
        }
    }
    Ok(())
}

const OF_MODEL: &[&str] = &["output_text", "refusal"];
const OF_CALLER: &[&str] = &["input_text", "input_image", "input_file", "input_audio"];

fn message(item: &Value, place: &str) -> Result<(), ApiError> {
    let of_model = text_at(item, "role") == "assistant";
    let (takes, names) = if of_model {
        (OF_MODEL, "'output_text' and 'refusal'")
    } else {
        (OF_CALLER, "'input_text', 'input_image', 'input_file', and 'input_audio'")
    };
    for (index, part) in items_at(item, "content").iter().enumerate() {
        let kind = text_at(part, "type");
        if !takes.contains(&kind) {
            let message = format!("Invalid value: '{kind}'. Supported values are: {names}.");
            let param = format!("{place}.content[{index}]");
            return Err(ApiError::bad_request(message).param(param).code("invalid_value"));
        }
    }
    parts(items_at(item, "content"), &format!("{place}.content"))
}

fn parts(parts: &[Value], place: &str) -> Result<(), ApiError> {
    for (index, part) in parts.iter().enumerate() {
        let place = format!("{place}[{index}]");
        let has = |name: &str| is_set(part, name);
        let lacking = |names: &str| {
            ApiError::bad_request(format!(
                "Missing required parameter: one of {names} must be provided at '{place}'."
            ))
            .param(place.clone())
            .code("missing_required_parameter")
        };
        match text_at(part, "type") {
            "input_image" if !has("image_url") && !has("file_id") => {
                return Err(lacking("'image_url' or 'file_id'"));
            }
            "input_image" if has("image_url") => {
                image_url(text_at(part, "image_url"), &format!("{place}.image_url"))?;
            }
            "input_file" if !["file_data", "file_id", "file_url"].into_iter().any(has) => {
                return Err(lacking("'file_id', 'file_url' or 'file_data'"));
            }
            "input_file" if has("file_data") => file_data(part, &place)?,
            _ => {}
        }
    }
    Ok(())
}

/// A file in a body is a data URL, and has a name.
fn file_data(part: &Value, place: &str) -> Result<(), ApiError> {
    let data = text_at(part, "file_data");
    let is_url = data.strip_prefix("data:").and_then(|data| data.split_once(";base64,"));
    if is_url.is_none_or(|(kind, encoded)| kind.is_empty() || encoded.is_empty()) {
        let message = format!(
            "Invalid '{place}.file_data': expected a base64-encoded data URL with a MIME type (e.g. \
             'data:application/pdf;base64,...')."
        );
        return Err(ApiError::bad_request(message).param(format!("{place}.file_data")).code("invalid_value"));
    }
    if text_at(part, "filename").is_empty() {
        let message = format!("Missing required parameter: '{place}.filename'.");
        return Err(ApiError::bad_request(message)
            .param(format!("{place}.filename"))
            .code("missing_required_parameter"));
    }
    Ok(())
}
