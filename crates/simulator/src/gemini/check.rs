//! The rules of Gemini's request bodies, and its words for a broken one.
//!
//! Owns: rules that relate fields; the translation of [`Violation`]s into Google's error. Leaves to others: the fields
//! (`tables`), the order of contents (`turns`).
//!
//! **Invariant:** all unknown fields are reported at once, as the API does; of other faults the first.

use super::tables::{COUNT, EMBED, EMBED_MANY, GENERATE};
use super::{get, items, text, turns};
use crate::error::ApiError;
use crate::shape::{self, Field, Keys, Step, Violation, Wrong};
use serde_json::{Value, json};

/// Checks a request to generate.
pub(crate) fn check_generate(body: &Value, model: &str) -> Result<(), ApiError> {
    check_members(body, model, &GENERATE)
}

/// Checks a request to generate whose members are those of a table.
pub(crate) fn check_members(body: &Value, model: &str, table: &'static [Field]) -> Result<(), ApiError> {
    fields(body, table)?;
    if items(body, "contents").is_empty() {
        return Err(refusal("contents", "contents is not specified"));
    }
    let contents = items(body, "contents");
    for (index, content) in contents.iter().enumerate() {
        parts(content, &format!("contents[{index}]"))?;
        if !matches!(text(content, "role"), "" | "user" | "model" | "function") {
            return Err(ApiError::bad_request("Please use a valid role: user, model."));
        }
    }
    if let Some(system) = get(body, "systemInstruction") {
        parts(system, "system_instruction")?;
    }
    tools(body)?;
    if let Some(config) = get(body, "generationConfig") {
        generation(config, body, model)?;
    }
    turns::check(contents)?;
    turns::check_signatures(contents, model)
}

/// Checks a request to count tokens.
pub(crate) fn check_count(body: &Value) -> Result<(), ApiError> {
    fields(body, COUNT)?;
    let inner = get(body, "generateContentRequest").unwrap_or(body);
    if items(inner, "contents").is_empty() {
        return Err(refusal("contents", "contents is not specified"));
    }
    Ok(())
}

/// Checks a request to embed one content.
pub(crate) fn check_embed(body: &Value) -> Result<(), ApiError> {
    fields(body, EMBED)?;
    embed_content(body, "content")
}

/// Checks a request to embed several contents.
pub(crate) fn check_embed_many(body: &Value, model: &str) -> Result<(), ApiError> {
    fields(body, EMBED_MANY)?;
    let requests = items(body, "requests");
    if requests.is_empty() {
        return Err(ApiError::bad_request(
            "* BatchEmbedContentsRequest.requests: requests is not specified\n",
        ));
    }
    for (index, request) in requests.iter().enumerate() {
        // Each part of a batch names the model once more, and it must be the same one.
        if text(request, "model") != format!("models/{model}") {
            return Err(ApiError::bad_request(format!(
                "* BatchEmbedContentsRequest.requests[{index}].model: must match the model of the batch\n"
            )));
        }
        embed_content(request, &format!("requests[{index}].content"))?;
    }
    Ok(())
}

fn embed_content(request: &Value, place: &str) -> Result<(), ApiError> {
    match get(request, "content") {
        None => {
            Err(ApiError::bad_request(format!("* EmbedContentRequest.{place}: content is not specified\n")))
        }
        Some(content) => parts(content, place),
    }
}

fn refusal(place: &str, reason: &str) -> ApiError {
    ApiError::bad_request(format!("* GenerateContentRequest.{place}: {reason}\n"))
}

/// Fields of a part of which it has just one.
const DATA: [&str; 9] = [
    "text",
    "inlineData",
    "fileData",
    "functionCall",
    "functionResponse",
    "executableCode",
    "codeExecutionResult",
    "toolCall",
    "toolResponse",
];

fn parts(content: &Value, place: &str) -> Result<(), ApiError> {
    let parts = items(content, "parts");
    if parts.is_empty() {
        return Err(refusal(&format!("{place}.parts"), "contents.parts must not be empty."));
    }
    for (index, part) in parts.iter().enumerate() {
        let place = format!("{place}.parts[{index}]");
        let mut set = DATA.iter().filter(|name| get(part, name).is_some());
        match (set.next(), set.next()) {
            (None, _) if get(part, "thoughtSignature").is_none() => {
                return Err(refusal(
                    &format!("{place}.data"),
                    "required oneof field 'data' must have one initialized field",
                ));
            }
            (Some(_), Some(second)) => {
                return Err(ApiError::bad_request(format!(
                    "Invalid value at '{place}' (oneof), oneof field 'data' is already set. Cannot set '{second}'"
                )));
            }
            _ => {}
        }
        for (name, kind) in [("functionCall", "function_call"), ("functionResponse", "function_response")] {
            if get(part, name).is_some_and(|call| text(call, "name").is_empty()) {
                return Err(refusal(&format!("{place}.{kind}.name"), "Name cannot be empty."));
            }
        }
        if get(part, "inlineData").is_some_and(|blob| text(blob, "mimeType").is_empty()) {
            return Err(refusal(&format!("{place}.inline_data.mime_type"), "must not be empty."));
        }
    }
    Ok(())
}

fn tools(body: &Value) -> Result<(), ApiError> {
    let mut names = Vec::new();
    for (index, tool) in items(body, "tools").iter().enumerate() {
        for (at, function) in items(tool, "functionDeclarations").iter().enumerate() {
            let place = format!("tools[{index}].function_declarations[{at}]");
            let name = text(function, "name");
            if !is_function_name(name) {
                return Err(refusal(
                    &format!("{place}.name"),
                    "Invalid function name. Must start with a letter or an underscore. Must be alphanumeric (a-z, \
                     A-Z, 0-9), underscores (_), dots (.), colons (:), or dashes (-), with a maximum length of 128.",
                ));
            }
            if names.contains(&name) {
                return Err(ApiError::bad_request(format!("Duplicate function declaration found: {name}")));
            }
            names.push(name);
            if get(function, "parameters").is_some() && get(function, "parametersJsonSchema").is_some() {
                return Err(refusal(&place, "only one of parameters and parameters_json_schema may be set"));
            }
            if let Some(parameters) = get(function, "parameters") {
                schema(parameters, &format!("{place}.parameters"))?;
            }
        }
    }
    let config = get(body, "toolConfig").and_then(|config| get(config, "functionCallingConfig"));
    let Some(config) = config else { return Ok(()) };
    let allowed = items(config, "allowedFunctionNames");
    let mode = text(config, "mode").to_ascii_uppercase();
    if !allowed.is_empty() && !matches!(mode.as_str(), "ANY" | "VALIDATED") {
        return Err(refusal(
            "tool_config.function_calling_config",
            "allowed_function_names may be set only when the mode is ANY or VALIDATED",
        ));
    }
    match allowed.iter().filter_map(Value::as_str).find(|name| !names.contains(name)) {
        Some(name) => Err(refusal(
            "tool_config.function_calling_config.allowed_function_names",
            &format!("'{name}' is not a declared function"),
        )),
        None => Ok(()),
    }
}

fn is_function_name(name: &str) -> bool {
    let begins = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let rest = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b':' | b'-');
    begins && name.len() <= 128 && name.bytes().all(rest)
}

fn schema(schema_of: &Value, place: &str) -> Result<(), ApiError> {
    let kind = text(schema_of, "type").to_ascii_uppercase();
    if kind.is_empty() && get(schema_of, "anyOf").is_none() {
        return Err(refusal(&format!("{place}.type"), "must be specified"));
    }
    if get(schema_of, "enum").is_some() && kind != "STRING" {
        return Err(refusal(&format!("{place}.enum"), "only allowed for STRING type"));
    }
    if items(schema_of, "enum").iter().any(|word| word.as_str() == Some("")) {
        return Err(refusal(&format!("{place}.enum"), "cannot be empty"));
    }
    if kind == "ARRAY" && get(schema_of, "items").is_none() {
        return Err(refusal(&format!("{place}.items"), "missing field."));
    }
    let properties = get(schema_of, "properties").and_then(Value::as_object);
    if kind == "OBJECT" && properties.is_none_or(serde_json::Map::is_empty) {
        return Err(refusal(&format!("{place}.properties"), "should be non-empty for OBJECT type"));
    }
    for required in items(schema_of, "required").iter().filter_map(Value::as_str) {
        if !properties.is_some_and(|properties| properties.contains_key(required)) {
            return Err(refusal(
                &format!("{place}.required"),
                &format!("property is not defined: {required}"),
            ));
        }
    }
    for (name, inner) in properties.into_iter().flatten() {
        schema(inner, &format!("{place}.properties[{name}]"))?;
    }
    for (index, inner) in items(schema_of, "anyOf").iter().enumerate() {
        schema(inner, &format!("{place}.any_of[{index}]"))?;
    }
    get(schema_of, "items").map_or(Ok(()), |inner| schema(inner, &format!("{place}.items")))
}

fn generation(config: &Value, body: &Value, model: &str) -> Result<(), ApiError> {
    let place = "generation_config";
    let mime = text(config, "responseMimeType");
    let wants_json = mime == "application/json";
    if !matches!(mime, "" | "text/plain" | "application/json" | "text/x.enum") {
        return Err(refusal(
            &format!("{place}.response_mime_type"),
            "allowed mimetypes are `text/plain`, `application/json`, `application/xml`, `application/yaml` and \
             `text/x.enum`.",
        ));
    }
    for (name, spelt) in
        [("responseSchema", "response_schema"), ("responseJsonSchema", "response_json_schema")]
    {
        if get(config, name).is_some() && !wants_json && mime != "text/x.enum" {
            return Err(refusal(
                &format!("{place}.{spelt}"),
                "only allowed for response mimetypes `application/json` and `text/x.enum`",
            ));
        }
    }
    if let Some(response) = get(config, "responseSchema") {
        if get(config, "responseJsonSchema").is_some() {
            return Err(refusal(place, "only one of response_schema and response_json_schema may be set"));
        }
        schema(response, &format!("{place}.response_schema"))?;
    }
    // Gemini 3 takes both at once.
    let older = ["gemini-1", "gemini-2"].iter().any(|family| model.starts_with(family));
    let calls = items(body, "tools").iter().any(|tool| !items(tool, "functionDeclarations").is_empty());
    if older && calls && wants_json {
        return Err(ApiError::bad_request(
            "Function calling with a response mime type: 'application/json' is unsupported",
        ));
    }
    if get(config, "logprobs").is_some() && get(config, "responseLogprobs") != Some(&Value::Bool(true)) {
        return Err(refusal(&format!("{place}.logprobs"), "only allowed when response_logprobs is true"));
    }
    thinking(config, model, older)
}

fn thinking(config: &Value, model: &str, older: bool) -> Result<(), ApiError> {
    let Some(thinking) = get(config, "thinkingConfig") else { return Ok(()) };
    let budget = get(thinking, "thinkingBudget");
    if budget.is_some() && get(thinking, "thinkingLevel").is_some() {
        return Err(ApiError::bad_request(
            "You can only set only one of thinking budget and thinking level.",
        ));
    }
    if older && get(thinking, "thinkingLevel").is_some() {
        return Err(ApiError::bad_request("Thinking level is not supported for this model."));
    }
    // Gemini 2.5 Pro cannot do without thinking (thinking guide).
    if model.starts_with("gemini-2.5-pro") && budget.and_then(Value::as_i64) == Some(0) {
        return Err(ApiError::bad_request("Budget 0 is invalid. This model only works in thinking mode."));
    }
    Ok(())
}

/// Checks the members of a body against a table.
pub(crate) fn fields(body: &Value, table: &'static [Field]) -> Result<(), ApiError> {
    let Some(object) = body.as_object() else {
        return Err(ApiError::bad_request("Invalid JSON payload received. Root element must be a message."));
    };
    let violations = shape::check(object, table, Keys::Proto);
    let unknown: Vec<&Violation> = violations.iter().filter(|found| found.wrong == Wrong::Unknown).collect();
    let reported = if unknown.is_empty() { violations.iter().take(1).collect() } else { unknown };
    if reported.is_empty() {
        return Ok(());
    }
    let messages: Vec<String> = reported.iter().map(|violation| spell(violation)).collect();
    let details: Vec<Value> = reported
        .iter()
        .zip(&messages)
        .map(|(violation, message)| json!({"field": place_of(&violation.path), "description": message}))
        .collect();
    let mut error = ApiError::bad_request(messages.join("\n"));
    error.details = Some(Box::new(
        json!([{"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": details}]),
    ));
    Err(error)
}

/// `generation_config.thinking_config` or `contents[0].parts[1]`
fn place_of(path: &[Step]) -> String {
    let mut place = String::new();
    for step in path {
        match step {
            Step::Key(key) => {
                if !place.is_empty() {
                    place.push('.');
                }
                place.push_str(&snake(key));
            }
            Step::Index(index) => place.push_str(&format!("[{index}]")),
            Step::Case(_) => {}
        }
    }
    place
}

fn snake(key: &str) -> String {
    let mut out = String::with_capacity(key.len() + 4);
    for c in key.chars() {
        if c.is_ascii_uppercase() {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

fn spell(violation: &Violation) -> String {
    let place = place_of(&violation.path);
    match &violation.wrong {
        Wrong::Unknown => {
            let (name, around) = match violation.path.split_last() {
                Some((Step::Key(name), around)) => (name.as_str(), place_of(around)),
                _ => ("", String::new()),
            };
            let at = if around.is_empty() { String::new() } else { format!(" at '{around}'") };
            format!("Invalid JSON payload received. Unknown name \"{name}\"{at}: Cannot find field.")
        }
        Wrong::Type { expected, got } => {
            let kind = match *expected {
                "a string" => "TYPE_STRING",
                "an integer" => "TYPE_INT32",
                "a decimal" => "TYPE_FLOAT",
                "a boolean" => "TYPE_BOOL",
                _ => "TYPE_MESSAGE",
            };
            format!("Invalid value at '{place}' ({kind}), {got}")
        }
        Wrong::Word { given, .. } => format!("Invalid value at '{place}' (TYPE_ENUM), \"{given}\""),
        Wrong::Below { min, got } => {
            format!("* GenerateContentRequest.{place}: {got} is below the minimum of {min}\n")
        }
        Wrong::Above { max, got } => {
            format!("* GenerateContentRequest.{place}: {got} is above the maximum of {max}\n")
        }
        Wrong::TooMany { max, len } => {
            format!(
                "* GenerateContentRequest.{place}: the number of items must not exceed {max}, got {len}\n"
            )
        }
        Wrong::Missing | Wrong::TooFew { .. } | Wrong::Pattern | Wrong::TooLong { .. } => {
            format!("* GenerateContentRequest.{place}: invalid value\n")
        }
    }
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
