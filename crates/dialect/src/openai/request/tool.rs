//! Tools and the choice among them: today's `tools` and the older `functions`.

use super::part;
use crate::conversation::{ChatRequest, Tool, ToolChoice, ToolKind};
use crate::openai::read::{self, Place};
use crate::wire::RequestError;
use serde_json::{Map, Value};

/// What a `tool_choice` says.
pub(super) enum Choice {
    /// Something that the conversation model knows.
    Known(ToolChoice),
    /// OpenAI's `allowed_tools`, kept as it came.
    Foreign(Value),
}

/// Reads `tools`. Functions and custom tools become the request's tools; other types (hosted tools of a provider) stay as
/// they came, in `extra`. So does a `custom` in Anthropic's words, which is a function with a schema of its own.
pub(super) fn read_tools(
    value: Value,
    at: &Place<'_>,
    request: &mut ChatRequest,
) -> Result<(), RequestError> {
    let mut foreign = Vec::new();
    for (index, item) in read::list(value, at)?.into_iter().enumerate() {
        let at = &at.item(index);
        let mut members = read::object(item, at)?;
        let kind = members.get("type").ok_or_else(|| at.member("type").missing())?;
        if kind == "function" {
            request.tools.push(read_tool(&mut members, at)?);
        } else if kind == "custom" && members.contains_key("custom") {
            request.tools.push(read_custom(&mut members, at)?);
        } else {
            read::string(kind.clone(), &at.member("type"))?;
            foreign.push(Value::Object(members));
        }
    }
    if !foreign.is_empty() {
        request.extra.insert("tools".to_owned(), Value::Array(foreign));
    }
    Ok(())
}

fn read_tool(members: &mut Map<String, Value>, at: &Place<'_>) -> Result<Tool, RequestError> {
    let place = at.member("function");
    let mut function = read::object(read::require(members, "function", at)?, &place)?;
    let mark = part::take_cache_control(members, at)?;
    let mut tool = read_function(&mut function, &place)?;
    tool.cache_control = mark.or(tool.cache_control);
    Ok(tool)
}

fn read_custom(members: &mut Map<String, Value>, at: &Place<'_>) -> Result<Tool, RequestError> {
    let place = at.member("custom");
    let mut custom = read::object(read::require(members, "custom", at)?, &place)?;
    let format =
        read::take(&mut custom, "format").map(|format| read::object(format, &place.member("format")));
    Ok(Tool {
        name: read::filled_string(read::require(&mut custom, "name", &place)?, &place.member("name"))?,
        description: read::take_string(&mut custom, "description", &place)?,
        kind: ToolKind::Custom { format: format.transpose()?.map(Value::Object) },
        cache_control: part::take_cache_control(members, at)?,
        ..Tool::default()
    })
}

fn read_function(function: &mut Map<String, Value>, at: &Place<'_>) -> Result<Tool, RequestError> {
    let parameters = read::take(function, "parameters")
        .map(|schema| read::object(schema, &at.member("parameters")))
        .transpose()?;
    Ok(Tool {
        kind: ToolKind::Function,
        name: read::filled_string(read::require(function, "name", at)?, &at.member("name"))?,
        description: read::take_string(function, "description", at)?,
        parameters: parameters.map(Value::Object),
        strict: read::take_boolean(function, "strict", at)?,
        cache_control: part::take_cache_control(function, at)?,
        namespace: None,
    })
}

/// Reads the deprecated `functions`.
pub(super) fn read_functions(value: Value, at: &Place<'_>) -> Result<Vec<Tool>, RequestError> {
    let items = read::list(value, at)?.into_iter().enumerate();
    items
        .map(|(index, item)| {
            let at = &at.item(index);
            read_function(&mut read::object(item, at)?, at)
        })
        .collect()
}

/// Reads `tool_choice`.
pub(super) fn read_choice(value: Value, at: &Place<'_>) -> Result<Choice, RequestError> {
    const WORDS: [&str; 3] = ["none", "auto", "required"];
    const TYPES: [&str; 3] = ["function", "allowed_tools", "custom"];
    let mut members = match value {
        Value::String(word) => {
            return match word.as_str() {
                "none" => Ok(Choice::Known(ToolChoice::None)),
                "auto" => Ok(Choice::Known(ToolChoice::Auto)),
                "required" => Ok(Choice::Known(ToolChoice::Required)),
                _ => Err(at.unknown_word(&word, &WORDS)),
            };
        }
        Value::Object(members) => members,
        other => {
            let message = format!("must be a string or an object, not {}", read::type_name(&other));
            return Err(at.error(message));
        }
    };
    let kind = members.get("type").ok_or_else(|| at.member("type").missing())?;
    let kind = read::string(kind.clone(), &at.member("type"))?;
    match kind.as_str() {
        "function" | "custom" => {
            let place = at.member(&kind);
            let mut function = read::object(read::require(&mut members, &kind, at)?, &place)?;
            Ok(Choice::Known(ToolChoice::Function(read::require_string(&mut function, "name", &place)?)))
        }
        "allowed_tools" => Ok(Choice::Foreign(Value::Object(members))),
        _ => Err(at.member("type").unknown_word(&kind, &TYPES)),
    }
}

/// Reads the deprecated `function_call` of a request.
pub(super) fn read_function_choice(value: Value, at: &Place<'_>) -> Result<ToolChoice, RequestError> {
    match value {
        Value::String(word) => match word.as_str() {
            "none" => Ok(ToolChoice::None),
            "auto" => Ok(ToolChoice::Auto),
            _ => Err(at.unknown_word(&word, &["none", "auto"])),
        },
        Value::Object(mut members) => {
            Ok(ToolChoice::Function(read::require_string(&mut members, "name", at)?))
        }
        other => Err(at.error(format!("must be a string or an object, not {}", read::type_name(&other)))),
    }
}
