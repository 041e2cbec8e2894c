//! The rules of Anthropic's request bodies, and its words for a broken one.
//!
//! Owns: rules that relate top-level fields; the translation of a [`Violation`] into Anthropic's error. Leaves to
//! others: the fields (`tables`), the order of messages (`turns`), what a model takes (`model`).
//!
//! **Invariant:** of several faults the first is reported, as the API does.

use super::Version;
use super::model::{Abilities, abilities};
use super::tables::{COUNT_FIELDS, CUSTOM_TOOL, MESSAGES_FIELDS};
use super::turns;
use crate::ask::{flag_at, items_at, number_at, text_at};
use crate::error::ApiError;
use crate::shape::{self, Keys, Step, Violation, Wrong};
use serde_json::Value;
use std::collections::HashSet;

/// Most marks of the prompt cache in one request (prompt caching guide).
const CACHE_MARKS_MAX: usize = 4;
/// What the types of Anthropic's own tools begin with; a date follows.
const SERVER_TOOLS: [&str; 11] = [
    "advisor_",
    "bash_",
    "code_execution_",
    "computer_",
    "mcp_toolset",
    "memory_",
    "text_editor_",
    "tool_search_tool_",
    "web_fetch_",
    "web_search_",
    "computer_toolset_",
];
/// The sampling parameters.
const SAMPLING: [&str; 3] = ["temperature", "top_p", "top_k"];

/// Checks a request for a message.
pub(crate) fn check(body: &Value, version: Version) -> Result<(), ApiError> {
    let abilities = abilities(text_at(body, "model"));
    if version >= Version::V2026 {
        // Refused even at their default values.
        if let Some(name) = SAMPLING.into_iter().find(|name| body.get(name).is_some()) {
            return Err(ApiError::bad_request(format!("{name}: Extra inputs are not permitted")));
        }
    }
    common(body, MESSAGES_FIELDS, abilities)?;
    blocks(body, version)?;
    sampling(body, abilities)?;
    thinking(body, abilities)?;
    output(body)?;
    if let Some(stop) = items_at(body, "stop_sequences").iter().find(|stop| is_blank(stop)) {
        let message = format!("stop_sequences: each stop sequence must contain non-whitespace (got {stop})");
        return Err(ApiError::bad_request(message));
    }
    Ok(())
}

/// Checks the parameters of a model alone, as they come by way of another API.
pub(crate) fn check_parameters(parameters: &Value) -> Result<(), ApiError> {
    let abilities = abilities(text_at(parameters, "model"));
    let Some(object) = parameters.as_object() else { return Ok(()) };
    let absent = |violation: &Violation| violation.wrong == Wrong::Missing && violation.path.len() == 1;
    let violations = shape::check(object, MESSAGES_FIELDS, Keys::Exact);
    if let Some(violation) = violations.iter().find(|violation| !absent(violation)) {
        return Err(ApiError::bad_request(spell(violation)));
    }
    sampling(parameters, abilities)?;
    thinking(parameters, abilities)
}

/// Checks a request to count tokens.
pub(crate) fn check_count(body: &Value, version: Version) -> Result<(), ApiError> {
    common(body, COUNT_FIELDS, abilities(text_at(body, "model")))?;
    blocks(body, version)
}

/// What version 2026-10-21 no longer takes of blocks.
fn blocks(body: &Value, version: Version) -> Result<(), ApiError> {
    if version < Version::V2026 {
        return Ok(());
    }
    let cites = |block: &Value| text_at(block, "type") == "text" && !items_at(block, "citations").is_empty();
    for (index, message) in items_at(body, "messages").iter().enumerate() {
        let user = text_at(message, "role") == "user";
        for (at, block) in items_at(message, "content").iter().enumerate() {
            let kind = text_at(block, "type");
            let wrong = if user {
                cites(block) || (kind == "search_result" && items_at(block, "content").iter().any(cites))
            } else {
                kind == "document"
            };
            if wrong {
                let what = if user { "citations" } else { "`document` blocks" };
                let role = text_at(message, "role");
                return Err(ApiError::bad_request(format!(
                    "messages.{index}.content.{at}: {what} are not permitted in `{role}` messages"
                )));
            }
        }
    }
    Ok(())
}

fn common(body: &Value, fields: &'static [shape::Field], abilities: Abilities) -> Result<(), ApiError> {
    let Some(object) = body.as_object() else {
        return Err(ApiError::bad_request(
            "Input should be a valid dictionary or object to extract fields from",
        ));
    };
    if let Some(violation) = shape::check(object, fields, Keys::Exact).first() {
        return Err(ApiError::bad_request(spell(violation)));
    }
    tools(body, abilities)?;
    cache_marks(body)?;
    turns::check(body, abilities)
}

fn is_blank(text: &Value) -> bool {
    text.as_str().is_some_and(|text| text.trim().is_empty())
}

fn sampling(body: &Value, abilities: Abilities) -> Result<(), ApiError> {
    if !abilities.sampling {
        let default =
            |name: &str| body.get(name).is_none_or(|value| name != "top_k" && value.as_f64() == Some(1.0));
        if let Some(name) = SAMPLING.into_iter().find(|name| !default(name)) {
            return Err(ApiError::bad_request(format!("`{name}` is not supported for this model.")));
        }
    }
    if !abilities.both_samplings && body.get("temperature").is_some() && body.get("top_p").is_some() {
        return Err(ApiError::bad_request(
            "`temperature` and `top_p` cannot both be specified for this model. Please use only one.",
        ));
    }
    Ok(())
}

fn thinking(body: &Value, abilities: Abilities) -> Result<(), ApiError> {
    let kind = body.pointer("/thinking/type").and_then(Value::as_str).unwrap_or("disabled");
    if kind == "adaptive" && !abilities.adaptive_thinking && text_at(body, "model").starts_with("claude-") {
        return Err(ApiError::bad_request("adaptive thinking is not supported on this model"));
    }
    if kind != "enabled" {
        return Ok(());
    }
    let refuse = |message: &str| Err(ApiError::bad_request(message));
    if !abilities.budgeted_thinking {
        return refuse(
            "\"thinking.type.enabled\" is not supported for this model. Use \"thinking.type.adaptive\" and \
             \"output_config.effort\" to control thinking behavior.",
        );
    }
    let budget = body.pointer("/thinking/budget_tokens").and_then(Value::as_u64).unwrap_or(0);
    if number_at(body, "max_tokens").unwrap_or(0) <= budget {
        return refuse("`max_tokens` must be greater than `thinking.budget_tokens`.");
    }
    if body.get("temperature").and_then(Value::as_f64).is_some_and(|heat| heat != 1.0) {
        return refuse("`temperature` may only be set to 1 when thinking is enabled.");
    }
    if body.get("top_k").is_some() {
        return refuse("`top_k` must be unset when thinking is enabled.");
    }
    if body.get("top_p").and_then(Value::as_f64).is_some_and(|top| top < 0.95) {
        return refuse("`top_p` must be greater than or equal to 0.95 or unset when thinking is enabled.");
    }
    let choice = body.pointer("/tool_choice/type").and_then(Value::as_str);
    if matches!(choice, Some("any" | "tool")) {
        return refuse("Thinking may not be enabled when tool_choice forces tool use.");
    }
    turns::check_thinking(items_at(body, "messages"))
}

fn output(body: &Value) -> Result<(), ApiError> {
    let Some(schema) = body.pointer("/output_config/format/schema") else { return Ok(()) };
    closed_objects(schema)
        .map_err(|reason| ApiError::bad_request(format!("output_config.format.schema: {reason}")))
}

/// Every object of a schema must rule out further properties.
fn closed_objects(schema: &Value) -> Result<(), String> {
    let is_object = schema.get("type").and_then(Value::as_str) == Some("object");
    if is_object && schema.get("additionalProperties") != Some(&Value::Bool(false)) {
        return Err("For 'object' type, 'additionalProperties' must be explicitly set to false".to_owned());
    }
    for key in ["properties", "$defs", "definitions"] {
        for inner in schema.get(key).and_then(Value::as_object).into_iter().flat_map(|map| map.values()) {
            closed_objects(inner)?;
        }
    }
    schema.get("items").map_or(Ok(()), closed_objects)?;
    ["anyOf", "allOf"].into_iter().flat_map(|key| items_at(schema, key)).try_for_each(closed_objects)
}

fn tools(body: &Value, abilities: Abilities) -> Result<(), ApiError> {
    let tools = items_at(body, "tools");
    let mut names = HashSet::new();
    for (index, tool) in tools.iter().enumerate() {
        let kind = tool.get("type").and_then(Value::as_str).unwrap_or("custom");
        match kind {
            "custom" => custom_tool(tool, index)?,
            _ if SERVER_TOOLS.iter().any(|known| kind.starts_with(known)) => {}
            _ => {
                return Err(ApiError::bad_request(format!(
                    "tools.{index}: Input tag '{kind}' found using 'type' does not match any of the expected tags: \
                     'custom', 'web_search_20250305', 'bash_20250124', 'text_editor_20250728', ..."
                )));
            }
        }
        if !names.insert(text_at(tool, "name")) {
            return Err(ApiError::bad_request("tools: Tool names must be unique."));
        }
    }
    let Some(choice) = body.get("tool_choice") else { return Ok(()) };
    let kind = text_at(choice, "type");
    if tools.is_empty() && kind != "none" {
        return Err(ApiError::bad_request(
            "tool_choice: tool_choice may only be specified while providing tools.",
        ));
    }
    if kind == "tool" && !names.contains(text_at(choice, "name")) {
        let message = format!("Tool '{}' not found in provided tools", text_at(choice, "name"));
        return Err(ApiError::bad_request(message));
    }
    if matches!(kind, "any" | "tool") && !abilities.forced_tools {
        return Err(ApiError::bad_request("tool_choice: forcing tool use is not supported for this model."));
    }
    Ok(())
}

fn custom_tool(tool: &Value, index: usize) -> Result<(), ApiError> {
    let Some(object) = tool.as_object() else { return Ok(()) };
    if let Some(violation) = shape::check(object, CUSTOM_TOOL, Keys::Exact).into_iter().next() {
        let mut path = vec![Step::Key("tools".to_owned()), Step::Index(index), Step::Case("custom")];
        path.extend(violation.path);
        return Err(ApiError::bad_request(spell(&Violation { path, ..violation })));
    }
    let schema = tool.get("input_schema").unwrap_or(&Value::Null);
    match schema.get("type") {
        None => Err(ApiError::bad_request(format!("tools.{index}.custom.input_schema.type: Field required"))),
        Some(kind) if kind != "object" => Err(ApiError::bad_request(format!(
            "tools.{index}.custom.input_schema.type: Input should be 'object'"
        ))),
        Some(_) if flag_at(tool, "strict") => closed_objects(schema)
            .map_err(|reason| ApiError::bad_request(format!("tools.{index}.custom.input_schema: {reason}"))),
        Some(_) => Ok(()),
    }
}

fn cache_marks(body: &Value) -> Result<(), ApiError> {
    let blocks =
        |value: &Value| value.as_array().into_iter().flatten().filter(|block| is_marked(block)).count();
    let in_messages: usize =
        items_at(body, "messages").iter().map(|message| message.get("content").map_or(0, blocks)).sum();
    let elsewhere: usize = ["system", "tools"].iter().map(|key| body.get(key).map_or(0, blocks)).sum();
    let found = in_messages + elsewhere + usize::from(is_marked(body));
    if found > CACHE_MARKS_MAX {
        return Err(ApiError::bad_request(format!(
            "A maximum of {CACHE_MARKS_MAX} blocks with cache_control may be provided. Found {found}."
        )));
    }
    Ok(())
}

fn is_marked(block: &Value) -> bool {
    block.get("cache_control").is_some_and(|mark| !mark.is_null())
}

/// `messages.0.content.1.text.citations: Extra inputs are not permitted`
fn spell(violation: &Violation) -> String {
    let path: Vec<String> = violation
        .path
        .iter()
        .map(|step| match step {
            Step::Key(key) => key.clone(),
            Step::Index(index) => index.to_string(),
            Step::Case(case) => (*case).to_owned(),
        })
        .collect();
    format!("{}: {}", path.join("."), reason(&violation.wrong))
}

fn reason(wrong: &Wrong) -> String {
    match wrong {
        Wrong::Unknown => "Extra inputs are not permitted".to_owned(),
        Wrong::Missing => "Field required".to_owned(),
        Wrong::Type { expected, .. } => match *expected {
            "a string" => "Input should be a valid string".to_owned(),
            "an integer" => "Input should be a valid integer".to_owned(),
            "a decimal" => "Input should be a valid number".to_owned(),
            "a boolean" => "Input should be a valid boolean".to_owned(),
            "an object" => "Input should be a valid dictionary".to_owned(),
            "one of the documented types" => "Input should be a valid string or list".to_owned(),
            _ => "Input should be a valid list".to_owned(),
        },
        Wrong::Word { allowed, .. } => {
            let quoted: Vec<String> = allowed.iter().map(|word| format!("'{word}'")).collect();
            match quoted.split_last() {
                Some((last, rest)) if !rest.is_empty() => {
                    format!("Input should be {} or {last}", rest.join(", "))
                }
                _ => format!("Input should be {}", quoted.concat()),
            }
        }
        Wrong::Below { min, .. } => format!("Input should be greater than or equal to {min}"),
        Wrong::Above { max, .. } => format!("Input should be less than or equal to {max}"),
        Wrong::Pattern => "String should match pattern '^[a-zA-Z0-9_-]+$'".to_owned(),
        Wrong::TooLong { max, .. } => format!("String should have at most {max} characters"),
        Wrong::TooFew { min } => format!("List should have at least {min} item after validation"),
        Wrong::TooMany { max, len } => {
            format!("List should have at most {max} items after validation, not {len}")
        }
    }
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
