//! OpenAI's rules for the JSON schemas of functions and of structured outputs.
//!
//! Owns: what `strict` demands (structured outputs guide). Leaves to others: everything else in a body.
//!
//! **Invariant:** a schema that is not strict is checked for its outermost type alone.

use crate::ask::{flag_at, text_at};
use crate::error::ApiError;
use serde_json::Value;

/// Deepest nesting that strict mode takes (structured outputs guide).
const DEPTH_MAX: usize = 10;

/// Checks the schema of a function's parameters.
pub(super) fn check_function(function: &Value, index: usize) -> Result<(), ApiError> {
    check_parameters(function, &format!("tools[{index}].function.parameters"))
}

/// Checks the schema of a function's parameters, which stands at `param`.
pub(crate) fn check_parameters(function: &Value, param: &str) -> Result<(), ApiError> {
    let parameters = function.get("parameters").filter(|parameters| !parameters.is_null());
    let Some(parameters) = parameters else { return Ok(()) };
    let name = text_at(function, "name");
    let refuse = |reason: String| {
        ApiError::bad_request(format!("Invalid schema for function '{name}': {reason}"))
            .param(param)
            .code("invalid_function_parameters")
    };
    let empty = parameters.as_object().is_some_and(serde_json::Map::is_empty);
    match parameters.get("type") {
        _ if empty => {}
        Some(Value::String(kind)) if kind == "object" => {}
        kind => {
            let got = kind.map_or_else(|| "\"None\"".to_owned(), Value::to_string);
            return Err(refuse(format!(
                "schema must be a JSON Schema of 'type: \"object\"', got 'type: {got}'."
            )));
        }
    }
    if flag_at(function, "strict") { strict(parameters, &mut Vec::new()).map_err(refuse) } else { Ok(()) }
}

/// Checks the schema of a structured output.
pub(super) fn check_response_format(format: &Value) -> Result<(), ApiError> {
    if format.get("schema").is_none() {
        return Err(ApiError::bad_request(
            "Missing required parameter: 'response_format.json_schema.schema'.",
        )
        .param("response_format.json_schema.schema")
        .code("missing_required_parameter"));
    }
    check_output(format).map_err(|reason| reason.param("response_format"))
}

/// Checks the schema of a structured output, wherever it stands.
pub(crate) fn check_output(format: &Value) -> Result<(), ApiError> {
    let name = text_at(format, "name");
    let refuse = |reason: String| {
        ApiError::bad_request(format!("Invalid schema for response_format '{name}': {reason}"))
    };
    let schema = format.get("schema").unwrap_or(&Value::Null);
    if !flag_at(format, "strict") {
        return Ok(());
    }
    if schema.get("type").and_then(Value::as_str) != Some("object") {
        let got = schema.get("type").map_or_else(|| "\"None\"".to_owned(), Value::to_string);
        return Err(refuse(format!(
            "schema must be a JSON Schema of 'type: \"object\"', got 'type: {got}'."
        )));
    }
    strict(schema, &mut Vec::new()).map_err(refuse)
}

/// Keywords that strict mode does not take (structured outputs guide).
const UNSUPPORTED: [&str; 7] =
    ["allOf", "not", "dependentRequired", "dependentSchemas", "if", "then", "else"];

fn strict(schema: &Value, context: &mut Vec<String>) -> Result<(), String> {
    let Some(object) = schema.as_object() else { return Ok(()) };
    let place = format!("In context=({}), ", context.join(", "));
    if context.len() > DEPTH_MAX * 2 {
        return Err(format!("{place}the schema is nested too deeply."));
    }
    if let Some(keyword) = UNSUPPORTED.iter().find(|keyword| object.contains_key(**keyword)) {
        return Err(format!("{place}'{keyword}' is not permitted."));
    }
    if let Some(properties) = object.get("properties").and_then(Value::as_object) {
        if object.get("additionalProperties") != Some(&Value::Bool(false)) {
            return Err(format!("{place}'additionalProperties' is required to be supplied and to be false."));
        }
        let required =
            object.get("required").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        if let Some(missing) =
            properties.keys().find(|name| !required.iter().any(|item| item == name.as_str()))
        {
            return Err(format!(
                "{place}'required' is required to be supplied and to be an array including every key in properties. \
                 Missing '{missing}'."
            ));
        }
        within(properties.iter(), "properties", context)?;
    } else if object.get("type").and_then(Value::as_str) == Some("object")
        && object.get("additionalProperties") != Some(&Value::Bool(false))
    {
        return Err(format!("{place}'additionalProperties' is required to be supplied and to be false."));
    }
    for key in ["$defs", "definitions"] {
        if let Some(definitions) = object.get(key).and_then(Value::as_object) {
            within(definitions.iter(), key, context)?;
        }
    }
    if let Some(items) = object.get("items") {
        context.push("'items'".to_owned());
        strict(items, context)?;
        context.pop();
    }
    for choice in object.get("anyOf").and_then(Value::as_array).into_iter().flatten() {
        context.push("'anyOf'".to_owned());
        strict(choice, context)?;
        context.pop();
    }
    Ok(())
}

fn within<'a>(
    schemas: impl Iterator<Item = (&'a String, &'a Value)>,
    key: &str,
    context: &mut Vec<String>,
) -> Result<(), String> {
    for (name, schema) in schemas {
        context.extend([format!("'{key}'"), format!("'{name}'")]);
        strict(schema, context)?;
        context.truncate(context.len().saturating_sub(2));
    }
    Ok(())
}
