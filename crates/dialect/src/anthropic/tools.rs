//! Tools, how they are to be used, and the form of the answer (natively, or by a tool that stands in for it).

use super::blocks::mark_for_cache;
use super::inbound::asides::TOOLS;
use super::members::{object, text};
use super::own::Own;
use super::{hosted, schema};
use crate::conversation::{ChatRequest, ResponseFormat, Tool, ToolChoice, custom};
use crate::wire::{EncodeError, EncodeOptions, Losses};
use serde_json::{Map, Value};

/// The tool that stands in for a response format (LiteLLM's name for it).
pub const ANSWER_TOOL: &str = "json_tool_call";

/// Tools and answer format as they go out.
#[derive(Debug, Default)]
pub(super) struct ToolPlan {
    /// `tools`.
    pub(super) tools: Vec<Value>,
    /// `tool_choice`.
    pub(super) choice: Option<Value>,
    /// `output_config.format`.
    pub(super) format: Option<Value>,
    /// The tool whose input is the answer.
    pub(super) answer_tool: Option<String>,
}

/// What the rest of the request has to do with its tools.
#[derive(Debug)]
pub(super) struct Past<'r> {
    /// The functions that past turns call: the API wants tools wherever there are calls, so a caller who sends none
    /// any more gets them declared, and forbidden, which is what OpenAI's wire means by it.
    pub(super) called: &'r [String],
    /// The model will think, which rules out a forced tool.
    pub(super) is_thinking: bool,
    /// What an Anthropic caller said of its tools beyond the model.
    pub(super) own: &'r Own<'r>,
}

/// Writes tools, choice and format.
///
/// # Errors
/// [`EncodeError::Invalid`] names the tool or schema that cannot be written, or the choice that cannot be forced.
pub(super) fn plan(
    request: &ChatRequest,
    options: &EncodeOptions,
    past: &Past<'_>,
    lost: &mut Losses,
) -> Result<ToolPlan, EncodeError> {
    let mut plan = ToolPlan::default();
    for (index, tool) in request.tools.iter().enumerate() {
        if tool.strict == Some(true) && !options.native_structured_output {
            lost.note("strict");
        }
        plan.tools.push(encode_tool(&custom::as_function(tool), options, index)?);
    }
    plan.tools.extend(hosted::tools(&request.extra));
    restore_members(&mut plan.tools, past.own);
    let has_own_tools = !plan.tools.is_empty();
    add_format(&mut plan, request, options)?;
    let choice = match (&plan.answer_tool, request.tool_choice.as_ref()) {
        (Some(answer), _) if !has_own_tools => Some(ToolChoice::Function(answer.clone())),
        (Some(answer), Some(ToolChoice::None)) => Some(ToolChoice::Function(answer.clone())),
        (Some(_), None | Some(ToolChoice::Auto)) => Some(ToolChoice::Required),
        (None, _) if !has_own_tools => None,
        (_, chosen) => chosen.cloned(),
    };
    if plan.tools.is_empty() {
        plan.tools.extend(past.called.iter().map(|name| declared_tool(name)));
        plan.choice = (!past.called.is_empty()).then(|| Value::Object(object([("type", "none".into())])));
        return Ok(plan);
    }
    let choice = admitted(choice, request, options, past.is_thinking, lost)?;
    let is_answer_alone = plan.answer_tool.is_some() && !has_own_tools;
    let is_single = is_answer_alone || request.parallel_tool_calls == Some(false);
    plan.choice = encode_choice(choice.as_ref(), is_single);
    Ok(plan)
}

/// The choice, if it can be had. Where the model cannot be forced, a choice that only the answer tool brought in is
/// left to the model, and the caller's own is an error unless parameters may be dropped.
fn admitted(
    choice: Option<ToolChoice>,
    request: &ChatRequest,
    options: &EncodeOptions,
    is_thinking: bool,
    lost: &mut Losses,
) -> Result<Option<ToolChoice>, EncodeError> {
    let is_forced =
        |choice: Option<&ToolChoice>| matches!(choice, Some(ToolChoice::Required | ToolChoice::Function(_)));
    if !(is_thinking || options.rejects_forced_tools) || !is_forced(choice.as_ref()) {
        return Ok(choice);
    }
    if !is_forced(request.tool_choice.as_ref()) {
        return Ok(None);
    }
    if !options.drop_unsupported {
        let reason = if is_thinking { "while it reasons" } else { "at all" };
        return Err(EncodeError::Invalid {
            param: "tool_choice".to_owned(),
            message: format!("this model cannot be made to call a tool {reason}"),
        });
    }
    lost.note("tool_choice");
    Ok(None)
}

fn encode_choice(choice: Option<&ToolChoice>, is_single: bool) -> Option<Value> {
    let mut encoded = match choice {
        None if !is_single => return None,
        None | Some(ToolChoice::Auto) => object([("type", "auto".into())]),
        Some(ToolChoice::None) => return Some(Value::Object(object([("type", "none".into())]))),
        Some(ToolChoice::Required) => object([("type", "any".into())]),
        Some(ToolChoice::Function(name)) => object([("type", "tool".into()), ("name", name.as_str().into())]),
    };
    if is_single {
        encoded.insert("disable_parallel_tool_use".to_owned(), true.into());
    }
    Some(Value::Object(encoded))
}

/// One function. `strict` goes out where the model can hold to a schema at all; clients set it by default, so that a
/// model which cannot is no reason to refuse.
fn encode_tool(tool: &Tool, options: &EncodeOptions, index: usize) -> Result<Value, EncodeError> {
    let place = format!("tools[{index}]");
    let mut input_schema = schema::rooted_in_object(tool.parameters.as_ref()).map_err(|reason| {
        EncodeError::Invalid { param: format!("{place}.function.parameters"), message: reason.to_owned() }
    })?;
    let is_strict = tool.strict == Some(true) && options.native_structured_output;
    if is_strict && let Value::Object(enforced) = schema::enforced(&Value::Object(input_schema.clone())) {
        input_schema = enforced;
    }
    let mut encoded = object([("name", tool.name.as_str().into())]);
    if let Some(description) = tool.description.as_deref().filter(|text| !text.is_empty()) {
        encoded.insert("description".to_owned(), description.into());
    }
    encoded.insert("input_schema".to_owned(), Value::Object(input_schema));
    if is_strict {
        encoded.insert("strict".to_owned(), true.into());
    }
    mark_for_cache(&mut encoded, tool.cache_control.as_ref(), &place)?;
    Ok(Value::Object(encoded))
}

fn restore_members(tools: &mut [Value], own: &Own<'_>) {
    for tool in tools {
        let key = if hosted::is_search(tool) { Some(hosted::SEARCH_KEY) } else { text(tool, "name") };
        let key = key.map(str::to_owned);
        if let (Value::Object(members), Some(key)) = (tool, key) {
            own.restore_members(TOOLS, &key, members);
        }
    }
}

/// A function known only from past calls.
fn declared_tool(name: &str) -> Value {
    let schema = object([("type", "object".into())]);
    Value::Object(object([("name", name.into()), ("input_schema", Value::Object(schema))]))
}

/// Adds the form of the answer: natively for a schema where the model can, by a tool otherwise. "Any JSON object" is
/// always a tool, because the native form wants closed objects.
fn add_format(
    plan: &mut ToolPlan,
    request: &ChatRequest,
    options: &EncodeOptions,
) -> Result<(), EncodeError> {
    let (schema, description) = match &request.response_format {
        None | Some(ResponseFormat::Text) => return Ok(()),
        Some(ResponseFormat::JsonObject) => {
            let open = object([
                ("type", "object".into()),
                ("additionalProperties", true.into()),
                ("properties", Value::Object(Map::new())),
            ]);
            (open, None)
        }
        Some(ResponseFormat::JsonSchema { schema, .. }) if options.native_structured_output => {
            let Value::Object(_) = schema else { return Err(invalid_schema("must be a JSON Schema object")) };
            let format = object([("type", "json_schema".into()), ("schema", schema::enforced(schema))]);
            plan.format = Some(Value::Object(format));
            return Ok(());
        }
        Some(ResponseFormat::JsonSchema { schema, description, .. }) => {
            (schema::rooted_in_object(Some(schema)).map_err(invalid_schema)?, description.as_deref())
        }
    };
    let mut name = ANSWER_TOOL.to_owned();
    while request.tools.iter().any(|tool| tool.name == name) {
        name.push('_');
    }
    let description = description.unwrap_or("Gives the final answer. Its input is the whole answer.");
    plan.tools.push(Value::Object(object([
        ("name", name.as_str().into()),
        ("description", description.into()),
        ("input_schema", Value::Object(schema)),
    ])));
    plan.answer_tool = Some(name);
    Ok(())
}

fn invalid_schema(reason: &'static str) -> EncodeError {
    EncodeError::Invalid {
        param: "response_format.json_schema.schema".to_owned(),
        message: reason.to_owned(),
    }
}
