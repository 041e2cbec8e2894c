//! Tools, how they are to be used, and the form of the answer.
//!
//! Cohere takes a form for the answer or tools, not both (its guide to structured outputs): beside tools, one more tool
//! stands in for the form, as for the models of other makers that have none.

use super::ANSWER_TOOL;
use crate::anthropic::schema::rooted_in_object;
use crate::conversation::{ChatRequest, ResponseFormat, Tool, ToolChoice, ToolKind, custom};
use crate::json::value::{insert, insert_some};
use crate::wire::{Dialect, EncodeError, Losses};
use serde_json::{Map, Value, json};

/// Tools and answer format as they go out.
#[derive(Debug, Default)]
pub(super) struct ToolPlan {
    /// `tools`.
    pub(super) tools: Vec<Value>,
    /// `tool_choice`.
    pub(super) choice: Option<&'static str>,
    /// `strict_tools`.
    pub(super) is_strict: bool,
    /// `response_format`.
    pub(super) format: Option<Value>,
    /// The tool whose arguments are the answer.
    pub(super) answer_tool: Option<String>,
}

/// Writes tools, choice and format.
///
/// # Errors
/// [`EncodeError::Invalid`] names the tool, schema or choice that cannot be written.
pub(super) fn plan(request: &ChatRequest, lost: &mut Losses) -> Result<ToolPlan, EncodeError> {
    let format = request.response_format.as_ref().filter(|format| **format != ResponseFormat::Text);
    let is_forbidden = request.tool_choice == Some(ToolChoice::None);
    let mut tools: Vec<Tool> = request.tools.iter().map(custom::as_function).collect();
    if tools.is_empty() || (is_forbidden && format.is_some()) {
        let format = format.map(write_format).transpose()?;
        return Ok(ToolPlan { format, ..ToolPlan::default() });
    }
    if request.tools.iter().any(|tool| tool.cache_control.is_some()) {
        lost.note("cache_control");
    }
    let mut choice = match &request.tool_choice {
        None | Some(ToolChoice::Auto) => None,
        Some(ToolChoice::None) => Some("NONE"),
        Some(ToolChoice::Required) => Some("REQUIRED"),
        Some(ToolChoice::Function(name)) => {
            tools.retain(|tool| tool.name == *name);
            Some("REQUIRED")
        }
    };
    if tools.is_empty() {
        return Err(invalid("tool_choice", "names a function that is not among the tools"));
    }
    let mut answer_tool = None;
    // A call that is forced is the answer; the form would be for words that never come.
    if let Some(format) = format.filter(|_| !matches!(request.tool_choice, Some(ToolChoice::Function(_)))) {
        let tool = stand_in(format, &tools)?;
        answer_tool = Some(tool.name.clone());
        tools.push(tool);
        choice = Some("REQUIRED");
    }
    let is_strict = is_strict(&tools, request.dialect, lost);
    let tools = tools.iter().enumerate().map(|(index, tool)| write_tool(tool, index));
    Ok(ToolPlan { tools: tools.collect::<Result<_, _>>()?, choice, is_strict, format: None, answer_tool })
}

fn invalid(param: impl Into<String>, message: &str) -> EncodeError {
    EncodeError::Invalid { param: param.into(), message: message.to_owned() }
}

/// All tools are held to their schemas or none is, and only those with a required argument can be.
fn is_strict(tools: &[Tool], dialect: Dialect, lost: &mut Losses) -> bool {
    let demands = |tool: &Tool| {
        let required = tool.parameters.as_ref().and_then(|schema| schema.get("required"));
        required.and_then(Value::as_array).is_some_and(|names| !names.is_empty())
    };
    let is_own = dialect == Dialect::Cohere;
    let is_strict = tools.iter().all(|tool| tool.strict == Some(true) && (is_own || demands(tool)));
    if !is_strict && tools.iter().any(|tool| tool.strict == Some(true) && tool.name != ANSWER_TOOL) {
        lost.note("strict");
    }
    is_strict
}

fn write_tool(tool: &Tool, index: usize) -> Result<Value, EncodeError> {
    let parameters = rooted_in_object(tool.parameters.as_ref())
        .map_err(|reason| invalid(format!("tools[{index}].function.parameters"), reason))?;
    let mut function = Map::new();
    insert(&mut function, "name", tool.name.as_str());
    insert_some(&mut function, "description", tool.description.as_deref().filter(|text| !text.is_empty()));
    insert(&mut function, "parameters", parameters);
    Ok(json!({"type": "function", "function": function}))
}

fn write_format(format: &ResponseFormat) -> Result<Value, EncodeError> {
    let mut written = Map::new();
    insert(&mut written, "type", "json_object");
    if let ResponseFormat::JsonSchema { schema, .. } = format {
        insert(&mut written, "json_schema", rooted(schema)?);
    }
    Ok(Value::Object(written))
}

fn rooted(schema: &Value) -> Result<Map<String, Value>, EncodeError> {
    rooted_in_object(Some(schema)).map_err(|reason| invalid("response_format.json_schema.schema", reason))
}

/// The tool whose arguments are the answer.
fn stand_in(format: &ResponseFormat, tools: &[Tool]) -> Result<Tool, EncodeError> {
    let (schema, description) = match format {
        ResponseFormat::JsonSchema { schema, description, .. } => {
            (Value::Object(rooted(schema)?), description.clone())
        }
        ResponseFormat::Text | ResponseFormat::JsonObject => (json!({"type": "object"}), None),
    };
    let mut name = ANSWER_TOOL.to_owned();
    while tools.iter().any(|tool| tool.name == name) {
        name.push('_');
    }
    let description = description
        .unwrap_or_else(|| "Gives the final answer. Its arguments are the whole answer.".to_owned());
    Ok(Tool {
        name,
        description: Some(description),
        parameters: Some(schema),
        strict: Some(true),
        cache_control: None,
        kind: ToolKind::Function,
        namespace: None,
    })
}
