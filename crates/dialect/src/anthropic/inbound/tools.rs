//! Tools and the choice among them.
//!
//! Owns which tools are functions, which are web search (every dialect has one), and which only Anthropic has.

use super::asides::{Asides, TOOLS};
use super::blocks::take_cache_control;
use crate::anthropic::hosted;
use crate::conversation::{ChatRequest, Tool, ToolChoice, ToolKind};
use crate::json::read::{self, Place};
use crate::wire::RequestError;
use serde_json::{Map, Value};

/// Reads `tools`. Functions become the request's tools, web search becomes OpenAI's `web_search_options`, Anthropic's
/// other tools stay in `extra` as they came.
pub(super) fn read_tools(
    value: Value,
    at: &Place<'_>,
    request: &mut ChatRequest,
    asides: &mut Asides,
) -> Result<(), RequestError> {
    let mut hosted_tools = Vec::new();
    for (index, item) in read::list(value, at)?.into_iter().enumerate() {
        let at = &at.item(index);
        let mut members = read::object(item, at)?;
        let kind = match read::take(&mut members, "type") {
            Some(kind) => read::string(kind, &at.member("type"))?,
            None => "custom".to_owned(),
        };
        match kind.as_str() {
            // `function` is no word of Anthropic's, but of some that write tools in its form.
            "custom" | "function" => request.tools.push(read_tool(members, at, asides)?),
            search if search.starts_with("web_search_") => {
                let (options, rest) = hosted::search_options(search, members);
                request.extra.insert("web_search_options".to_owned(), options);
                asides.keep(TOOLS, hosted::SEARCH_KEY, rest);
            }
            _ => {
                let mut tool = Map::new();
                tool.insert("type".to_owned(), kind.into());
                tool.extend(members);
                hosted_tools.push(Value::Object(tool));
            }
        }
    }
    if !hosted_tools.is_empty() {
        request.extra.insert("tools".to_owned(), Value::Array(hosted_tools));
    }
    Ok(())
}

fn read_tool(
    mut members: Map<String, Value>,
    at: &Place<'_>,
    asides: &mut Asides,
) -> Result<Tool, RequestError> {
    let name = read::filled_string(read::require(&mut members, "name", at)?, &at.member("name"))?;
    let schema = read::require(&mut members, "input_schema", at)?;
    let tool = Tool {
        description: read::take_string(&mut members, "description", at)?,
        parameters: Some(Value::Object(read::object(schema, &at.member("input_schema"))?)),
        strict: read::take_boolean(&mut members, "strict", at)?,
        cache_control: take_cache_control(&mut members, at)?,
        kind: ToolKind::Function,
        namespace: None,
        name,
    };
    asides.keep(TOOLS, &tool.name, members);
    Ok(tool)
}

/// Reads `tool_choice`, in which the limit to one call stands as well.
pub(super) fn read_choice(
    value: Value,
    at: &Place<'_>,
    request: &mut ChatRequest,
) -> Result<(), RequestError> {
    const KINDS: [&str; 4] = ["auto", "any", "tool", "none"];
    let mut members = read::object(value, at)?;
    let kind = read::require_string(&mut members, "type", at)?;
    request.tool_choice = Some(match kind.as_str() {
        "auto" => ToolChoice::Auto,
        "any" => ToolChoice::Required,
        "none" => ToolChoice::None,
        "tool" => ToolChoice::Function(read::require_string(&mut members, "name", at)?),
        _ => return Err(at.member("type").unknown_word(&kind, &KINDS)),
    });
    let is_single = read::take_boolean(&mut members, "disable_parallel_tool_use", at)?;
    request.parallel_tool_calls = is_single.map(|is_single| !is_single);
    Ok(())
}
