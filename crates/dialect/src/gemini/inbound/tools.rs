//! Tools and the choice among them.
//!
//! Owns which tools are functions, which one is the search that every dialect has, and which only Google has.

use super::members;
use super::schema;
use crate::conversation::{ChatRequest, Tool, ToolChoice};
use crate::gemini::own::{Asides, DECLARATIONS, SEARCH, SEARCH_RETRIEVAL, SEARCHES, TOOL_CONFIG, keep_all};
use crate::json::read::{self, Place};
use crate::wire::RequestError;
use serde_json::{Map, Value, json};

/// Reads `tools`. Functions become the request's tools, search becomes OpenAI's `web_search_options`, Google's other tools
/// stay in `extra` as they came.
pub(super) fn read(
    value: Value,
    at: &Place<'_>,
    request: &mut ChatRequest,
    asides: &mut Asides,
) -> Result<(), RequestError> {
    let mut hosted = Vec::new();
    for (index, item) in members::one_or_many(value).into_iter().enumerate() {
        let at = &at.item(index);
        for (name, value) in members::read(item, at)? {
            let place = at.member(&name);
            match name.as_str() {
                _ if value.is_null() => {}
                "functionDeclarations" => {
                    for (number, declaration) in members::one_or_many(value).into_iter().enumerate() {
                        request.tools.push(read_declaration(declaration, &place.item(number), asides)?);
                    }
                }
                SEARCH | SEARCH_RETRIEVAL => {
                    let options = read::object(value, &place)?;
                    request.extra.insert("web_search_options".to_owned(), json!({}));
                    if !options.is_empty() || name == SEARCH_RETRIEVAL {
                        request.native.insert(format!("{SEARCHES}{name}"), Value::Object(options));
                    }
                }
                _ => hosted.push(json!({ name: value })),
            }
        }
    }
    if !hosted.is_empty() {
        request.extra.insert("tools".to_owned(), Value::Array(hosted));
    }
    Ok(())
}

fn read_declaration(value: Value, at: &Place<'_>, asides: &mut Asides) -> Result<Tool, RequestError> {
    let mut declaration = members::read(value, at)?;
    let name = read::filled_string(read::require(&mut declaration, "name", at)?, &at.member("name"))?;
    let description = read::take_string(&mut declaration, "description", at)?;
    let own = read::take(&mut declaration, "parameters");
    let parameters = match (read::take(&mut declaration, "parametersJsonSchema"), own) {
        (Some(schema), _) => {
            let schema = read::object(schema, &at.member("parametersJsonSchema"))?;
            Some(schema::read_json_schema(Value::Object(schema)))
        }
        (None, Some(own)) => {
            let own = Value::Object(read::object(own, &at.member("parameters"))?);
            Some(schema::to_json_schema(own))
        }
        (None, None) => None,
    };
    asides.keep(DECLARATIONS, &name, declaration);
    Ok(Tool { name, description, parameters, ..Tool::default() })
}

/// Reads `toolConfig`, after the tools.
pub(super) fn read_config(
    value: Value,
    at: &Place<'_>,
    request: &mut ChatRequest,
) -> Result<(), RequestError> {
    let mut config = members::read(value, at)?;
    config.retain(|_, value| !value.is_null());
    if let Some(calling) = read::take(&mut config, "functionCallingConfig") {
        let calling = read_calling(calling, &at.member("functionCallingConfig"), request)?;
        if !calling.is_empty() {
            config.insert("functionCallingConfig".to_owned(), Value::Object(calling));
        }
    }
    keep_all(TOOL_CONFIG, config, request);
    Ok(())
}

/// Reads the mode and the names that it is about; gives what is Google's alone.
fn read_calling(
    value: Value,
    at: &Place<'_>,
    request: &mut ChatRequest,
) -> Result<Map<String, Value>, RequestError> {
    const MODES: [&str; 4] = ["AUTO", "ANY", "NONE", "VALIDATED"];
    let mut calling = members::read(value, at)?;
    // The arguments of a call come whole: other dialects' models know no other way of pieces than their own.
    calling.shift_remove("streamFunctionCallArguments");
    let mode = members::take_word(&mut calling, "mode", at)?;
    let names = read_names(&mut calling, at)?;
    calling.retain(|_, value| !value.is_null());
    let allowed = |mode: &str, names: &[String]| {
        let tools: Vec<Value> =
            names.iter().map(|name| json!({ "type": "function", "function": { "name": name } })).collect();
        json!({ "type": "allowed_tools", "allowed_tools": { "mode": mode, "tools": tools } })
    };
    match (mode.as_deref(), names.as_slice()) {
        (None | Some("MODE_UNSPECIFIED"), _) => {}
        // Without a function these say nothing, and OpenAI refuses a choice among none.
        (Some("AUTO" | "NONE" | "VALIDATED"), _) if request.tools.is_empty() => {}
        (Some("AUTO"), _) => request.tool_choice = Some(ToolChoice::Auto),
        (Some("NONE"), _) => request.tool_choice = Some(ToolChoice::None),
        (Some("ANY"), []) => request.tool_choice = Some(ToolChoice::Required),
        (Some("ANY"), [name]) => request.tool_choice = Some(ToolChoice::Function(name.clone())),
        (Some("ANY"), names) => {
            request.extra.insert("tool_choice".to_owned(), allowed("required", names));
        }
        (Some("VALIDATED"), []) => {
            request.tool_choice = Some(ToolChoice::Auto);
            calling.extend(make_strict(&mut request.tools));
        }
        (Some("VALIDATED"), names) => {
            request.extra.insert("tool_choice".to_owned(), allowed("auto", names));
        }
        (Some(other), _) => return Err(at.member("mode").unknown_word(other, &MODES)),
    }
    Ok(calling)
}

fn read_names(calling: &mut Map<String, Value>, at: &Place<'_>) -> Result<Vec<String>, RequestError> {
    let Some(names) = read::take(calling, "allowedFunctionNames") else { return Ok(Vec::new()) };
    let place = at.member("allowedFunctionNames");
    let names = members::one_or_many(names).into_iter().enumerate();
    names.map(|(index, name)| read::filled_string(name, &place.item(index))).collect()
}

/// Arguments are to fit their schemas, which OpenAI says of each function and takes only with schemas that are closed.
/// Where one is not, the mode stays Google's own word.
fn make_strict(tools: &mut [Tool]) -> Option<(String, Value)> {
    let is_closed = |tool: &Tool| tool.parameters.as_ref().is_none_or(schema::is_closed);
    if tools.is_empty() || !tools.iter().all(is_closed) {
        return Some(("mode".to_owned(), json!("VALIDATED")));
    }
    for tool in tools {
        tool.strict = Some(true);
    }
    None
}
