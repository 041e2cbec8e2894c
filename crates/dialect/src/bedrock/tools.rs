//! Tools, how they are to be used, and the form of the answer (natively, or by a tool that stands in for it).

use super::blocks::cache_point;
use super::inbound::tools::SEARCH;
use super::members::object;
use super::model::{Choices, Model};
use super::own::Own;
use super::params::{Refusals, allowed_tools};
use crate::anthropic::{ANSWER_TOOL, schema};
use crate::conversation::{ChatRequest, ResponseFormat, Tool, ToolChoice, custom};
use crate::wire::{Dialect, EncodeError, EncodeOptions};
use serde_json::{Map, Value};
use std::borrow::Cow;

/// Tools and answer format as they go out.
#[derive(Debug, Default)]
pub(super) struct ToolPlan {
    /// `toolConfig`.
    pub(super) config: Option<Value>,
    /// `tool_choice` among the model's own parameters, for what Converse has no word for.
    pub(super) own_choice: Option<Value>,
    /// `outputConfig.textFormat`.
    pub(super) format: Option<Value>,
    /// The tool whose input is the answer.
    pub(super) answer_tool: Option<String>,
}

/// What the plan is made from.
#[derive(Clone, Copy)]
pub(super) struct Ask<'r> {
    pub(super) request: &'r ChatRequest,
    pub(super) options: &'r EncodeOptions,
    pub(super) model: Model<'r>,
    /// Functions that past turns call: the API wants tools wherever there are calls.
    pub(super) called: &'r [String],
    /// The model reasons, which rules out a forced tool for Claude.
    pub(super) is_thinking: bool,
}

/// Writes tools, choice and format.
///
/// # Errors
/// [`EncodeError::Invalid`] names the tool or schema that cannot be written, or the choice that cannot be forced.
pub(super) fn plan(
    ask: &Ask<'_>,
    own: &Own<'_>,
    refusals: &mut Refusals<'_>,
) -> Result<ToolPlan, EncodeError> {
    let request = ask.request;
    let mut plan = ToolPlan::default();
    let mut tools = Vec::new();
    let allowed = allowed_tools(request);
    for (index, tool) in request.tools.iter().enumerate() {
        // The wire has no choice among some; those that may not be called are not declared.
        if allowed.as_ref().is_some_and(|(_, names)| !names.contains(&tool.name.as_str())) {
            refusals.lost.note("tools");
            continue;
        }
        encode_tool(tool, index, ask, refusals, &mut tools)?;
    }
    tools.extend(search_tool(ask, refusals));
    tools.extend(own.tools.iter().cloned());
    let has_own_tools = !tools.is_empty();
    let answer = answer_tool(ask, &mut plan)?;
    if let Some((name, tool)) = answer {
        tools.push(tool);
        plan.answer_tool = Some(name);
    }
    let asked = allowed.as_ref().map(|(choice, _)| choice).or(request.tool_choice.as_ref());
    let choice = match (&plan.answer_tool, asked) {
        (Some(answer), _) if !has_own_tools => Some(ToolChoice::Function(answer.clone())),
        (Some(answer), Some(ToolChoice::None)) => Some(ToolChoice::Function(answer.clone())),
        (Some(_), None | Some(ToolChoice::Auto)) => Some(ToolChoice::Required),
        (None, chosen) => chosen.cloned().filter(|_| has_own_tools),
        (Some(_), chosen) => chosen.cloned(),
    };
    if tools.is_empty() || choice == Some(ToolChoice::None) {
        forbid(ask, tools, &mut plan, refusals);
        return Ok(plan);
    }
    let choice = admitted(choice, ask, refusals)?;
    let is_answer_alone = plan.answer_tool.is_some() && !has_own_tools;
    let is_single = request.parallel_tool_calls == Some(false) && !is_answer_alone;
    write_choice(choice, is_single, ask, tools, (&mut plan, refusals));
    Ok(plan)
}

/// No tool is to be called: then none are declared, unless past turns call some.
fn forbid(ask: &Ask<'_>, mut tools: Vec<Value>, plan: &mut ToolPlan, refusals: &mut Refusals<'_>) {
    if ask.called.is_empty() {
        return;
    }
    if tools.is_empty() {
        tools.extend(ask.called.iter().map(|name| declared_tool(name)));
    } else if !ask.model.is_anthropic() {
        refusals.refuse("tool_choice");
    }
    plan.config = Some(object([("tools", Value::Array(tools))]));
    plan.own_choice = ask.model.is_anthropic().then(|| object([("type", "none".into())]));
}

/// The choice, if it can be had. Where the model cannot be forced, a choice that only the answer tool brought in is left
/// to the model, and the caller's own is refused.
fn admitted(
    choice: Option<ToolChoice>,
    ask: &Ask<'_>,
    refusals: &mut Refusals<'_>,
) -> Result<Option<ToolChoice>, EncodeError> {
    let is_forced =
        |choice: Option<&ToolChoice>| matches!(choice, Some(ToolChoice::Required | ToolChoice::Function(_)));
    if !is_forced(choice.as_ref()) {
        return Ok(choice);
    }
    let allowed = allowed_tools(ask.request).map(|(choice, _)| choice);
    let is_asked = is_forced(allowed.as_ref().or(ask.request.tool_choice.as_ref()));
    if ask.model.choices() == Choices::None {
        if is_asked {
            refusals.refuse("tool_choice");
        }
        return Ok(None);
    }
    let is_ruled_out = ask.options.rejects_forced_tools || (ask.is_thinking && ask.model.is_anthropic());
    if !is_ruled_out {
        return Ok(choice);
    }
    if is_asked && !ask.options.drop_unsupported {
        let reason = if ask.is_thinking { "while it reasons" } else { "at all" };
        return Err(EncodeError::Invalid {
            param: "tool_choice".to_owned(),
            message: format!("this model cannot be made to call a tool {reason}"),
        });
    }
    if is_asked {
        refusals.lost.note("tool_choice");
    }
    Ok(None)
}

/// Puts tools and choice together. One call at a time is a word of Anthropic's, which stands among its own parameters:
/// beside `toolChoice`, which alone may say the kind of choice then, or with a kind of its own where there is none. A
/// single tool of a model that cannot be told which is the only one that is declared.
fn write_choice(
    choice: Option<ToolChoice>,
    is_single: bool,
    ask: &Ask<'_>,
    mut tools: Vec<Value>,
    (plan, refusals): (&mut ToolPlan, &mut Refusals<'_>),
) {
    let mut choice =
        choice.filter(|choice| *choice != ToolChoice::Auto || ask.model.choices() != Choices::None);
    if is_single && ask.model.is_anthropic() {
        choice = choice.filter(|choice| *choice != ToolChoice::Auto);
        let single = ("disable_parallel_tool_use", true.into());
        plan.own_choice = Some(match choice {
            None => object([("type", "auto".into()), single]),
            Some(_) => object([single]),
        });
    } else if is_single {
        refusals.refuse("parallel_tool_calls");
    }
    let nothing = || Value::Object(Map::new());
    let written = match choice {
        Some(ToolChoice::Auto) => object([("auto", nothing())]),
        Some(ToolChoice::Required) => object([("any", nothing())]),
        Some(ToolChoice::Function(name)) if ask.model.choices() == Choices::Named => {
            object([("tool", object([("name", name.into())]))])
        }
        Some(ToolChoice::Function(name)) => {
            tools.retain(|tool| {
                tool.get("toolSpec").and_then(|spec| spec.get("name")).is_some_and(|known| *known == name)
            });
            object([("any", nothing())])
        }
        None | Some(ToolChoice::None) => Value::Null,
    };
    let mut config = object([("tools", Value::Array(tools))]);
    if let Some(members) = config.as_object_mut().filter(|_| !written.is_null()) {
        members.insert("toolChoice".to_owned(), written);
    }
    plan.config = Some(config);
}

/// Writes one function and its cache point.
fn encode_tool(
    tool: &Tool,
    index: usize,
    ask: &Ask<'_>,
    refusals: &mut Refusals<'_>,
    tools: &mut Vec<Value>,
) -> Result<(), EncodeError> {
    let place = format!("tools[{index}]");
    let tool = custom::as_function(tool);
    let input_schema =
        Value::Object(schema::rooted_in_object(tool.parameters.as_ref()).map_err(|reason| {
            EncodeError::Invalid { param: format!("{place}.function.parameters"), message: reason.to_owned() }
        })?);
    let is_strict = tool.strict == Some(true) && may_be_strict(ask);
    if tool.strict == Some(true) && !is_strict {
        refusals.lost.note("strict");
    }
    let mut spec = Map::from_iter([("name".to_owned(), Value::from(tool.name.as_str()))]);
    if let Some(description) = tool.description.as_deref().filter(|text| !text.is_empty()) {
        spec.insert("description".to_owned(), description.into());
    }
    spec.insert("inputSchema".to_owned(), object([("json", input_schema)]));
    if is_strict {
        spec.insert("strict".to_owned(), true.into());
    }
    tools.push(object([("toolSpec", Value::Object(spec))]));
    if let Some(mark) = &tool.cache_control {
        let is_taken = ask.model.cache_places().tools;
        tools.extend(cache_point(mark, ask.model, is_taken, &place, &mut refusals.lost)?);
    }
    Ok(())
}

/// Strict tools go out for a caller of this dialect alone, who knows the model: many refuse them over Converse, Claude's
/// newest among them, and OpenAI's clients set `strict` by default.
fn may_be_strict(ask: &Ask<'_>) -> bool {
    ask.request.dialect == Dialect::Bedrock
}

/// OpenAI's web search as Amazon's own, which its Nova models have.
fn search_tool(ask: &Ask<'_>, refusals: &mut Refusals<'_>) -> Option<Value> {
    ask.request.extra.get("web_search_options").filter(|asked| !asked.is_null())?;
    if !ask.model.is_nova() {
        refusals.refuse("web_search_options");
        return None;
    }
    Some(object([("systemTool", object([("name", SEARCH.into())]))]))
}

/// A function known only from past calls.
fn declared_tool(name: &str) -> Value {
    let schema = object([("json", object([("type", "object".into())]))]);
    object([("toolSpec", object([("name", name.into()), ("inputSchema", schema)]))])
}

/// The form of the answer: natively for a schema where the model can, by a tool otherwise, which is given with its name.
/// "Any JSON object" is always a tool, because the native form wants a schema.
fn answer_tool(ask: &Ask<'_>, plan: &mut ToolPlan) -> Result<Option<(String, Value)>, EncodeError> {
    let (schema, description) = match &ask.request.response_format {
        None | Some(ResponseFormat::Text) => return Ok(None),
        Some(ResponseFormat::JsonObject) => {
            let open = object([
                ("type", "object".into()),
                ("additionalProperties", true.into()),
                ("properties", Value::Object(Map::new())),
            ]);
            (open, None)
        }
        Some(ResponseFormat::JsonSchema { schema, name, description, .. })
            if ask.options.native_structured_output =>
        {
            plan.format = Some(native_format(schema, name, description.as_deref(), ask)?);
            return Ok(None);
        }
        Some(ResponseFormat::JsonSchema { schema, description, .. }) => {
            let rooted = schema::rooted_in_object(Some(schema)).map_err(invalid_schema)?;
            (Value::Object(rooted), description.as_deref())
        }
    };
    let mut name = ANSWER_TOOL.to_owned();
    while ask.request.tools.iter().any(|tool| tool.name == name) {
        name.push('_');
    }
    let description = description.unwrap_or("Gives the final answer. Its input is the whole answer.");
    let spec = object([
        ("name", name.as_str().into()),
        ("description", description.into()),
        ("inputSchema", object([("json", schema)])),
    ]);
    Ok(Some((name, object([("toolSpec", spec)]))))
}

/// `outputConfig.textFormat`: the schema is JSON in a string.
fn native_format(
    schema: &Value,
    name: &str,
    description: Option<&str>,
    ask: &Ask<'_>,
) -> Result<Value, EncodeError> {
    let Value::Object(_) = schema else { return Err(invalid_schema("must be a JSON Schema object")) };
    let schema = match ask.model.is_anthropic() {
        true => Cow::Owned(schema::enforced(schema)),
        false => Cow::Borrowed(schema),
    };
    let mut definition = Map::from_iter([("schema".to_owned(), Value::from(schema.to_string()))]);
    if !name.is_empty() {
        definition.insert("name".to_owned(), name.into());
    }
    if let Some(description) = description.filter(|text| !text.is_empty()) {
        definition.insert("description".to_owned(), description.into());
    }
    let structure = object([("jsonSchema", Value::Object(definition))]);
    Ok(object([("type", "json_schema".into()), ("structure", structure)]))
}

fn invalid_schema(reason: &'static str) -> EncodeError {
    EncodeError::Invalid {
        param: "response_format.json_schema.schema".to_owned(),
        message: reason.to_owned(),
    }
}
