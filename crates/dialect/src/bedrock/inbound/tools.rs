//! `toolConfig`: tools and the choice among them.

use super::blocks::{read_cache_point, union};
use crate::conversation::{ChatRequest, Tool, ToolChoice, ToolKind};
use crate::json::read::{self, Place};
use crate::wire::RequestError;
use serde_json::{Map, Value};

/// Where tools that are neither functions nor search stand in `native`, in order.
pub(in crate::bedrock) const OTHER_TOOLS: &str = "toolConfig.tools";

/// Amazon's own search, which is what other dialects call web search.
pub(in crate::bedrock) const SEARCH: &str = "nova_grounding";

/// Reads `toolConfig`.
pub(super) fn read_config(value: Value, request: &mut ChatRequest) -> Result<(), RequestError> {
    let at = &Place::Top("toolConfig");
    let mut members = read::object(value, at)?;
    let place = at.member("tools");
    let tools = read::list(read::require(&mut members, "tools", at)?, &place)?;
    for (index, tool) in tools.into_iter().enumerate() {
        read_entry(tool, &place.item(index), request)?;
    }
    if let Some(choice) = read::take(&mut members, "toolChoice") {
        request.tool_choice = Some(read_choice(choice, &at.member("toolChoice"))?);
    }
    Ok(())
}

fn read_entry(value: Value, at: &Place<'_>, request: &mut ChatRequest) -> Result<(), RequestError> {
    let (kind, value) = union(value, at)?;
    let place = at.member(&kind);
    match kind.as_str() {
        "toolSpec" => request.tools.push(read_spec(value, &place)?),
        "cachePoint" => {
            let mark = read_cache_point(&value, &place)?;
            match request.tools.last_mut().filter(|tool| tool.cache_control.is_none()) {
                Some(tool) => tool.cache_control = Some(mark),
                None => keep(kind, value, request),
            }
        }
        "systemTool" if value.get("name").is_some_and(|name| name == SEARCH) => {
            request.extra.insert("web_search_options".to_owned(), Value::Object(Map::new()));
        }
        _ => keep(kind, value, request),
    }
    Ok(())
}

fn keep(kind: String, value: Value, request: &mut ChatRequest) {
    let list = request.native.entry(OTHER_TOOLS).or_insert_with(|| Value::Array(Vec::new()));
    if let Value::Array(list) = list {
        list.push(Value::Object(Map::from_iter([(kind, value)])));
    }
}

fn read_spec(value: Value, at: &Place<'_>) -> Result<Tool, RequestError> {
    let mut members = read::object(value, at)?;
    let place = at.member("inputSchema");
    let mut schema = read::object(read::require(&mut members, "inputSchema", at)?, &place)?;
    let schema = read::object(read::require(&mut schema, "json", &place)?, &place.member("json"))?;
    Ok(Tool {
        name: read::filled_string(read::require(&mut members, "name", at)?, &at.member("name"))?,
        description: read::take_string(&mut members, "description", at)?,
        parameters: Some(Value::Object(schema)),
        strict: read::take_boolean(&mut members, "strict", at)?,
        cache_control: None,
        kind: ToolKind::Function,
        namespace: None,
    })
}

fn read_choice(value: Value, at: &Place<'_>) -> Result<ToolChoice, RequestError> {
    let (kind, value) = union(value, at)?;
    let place = at.member(&kind);
    match kind.as_str() {
        "auto" => Ok(ToolChoice::Auto),
        "any" => Ok(ToolChoice::Required),
        "tool" => {
            let mut members = read::object(value, &place)?;
            Ok(ToolChoice::Function(read::require_string(&mut members, "name", &place)?))
        }
        other => Err(at.unknown_word(other, &["auto", "any", "tool"])),
    }
}
