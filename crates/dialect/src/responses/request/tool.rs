//! Tools and the choice among them.
//!
//! Owns how this API's flat forms are said in chat completions' nested ones, in which `extra` keeps them.

use super::namespace::{self, NamespacedCall};
use super::{keep_extra, word};
use crate::conversation::{ChatRequest, Namespace, Tool, ToolChoice, ToolKind};
use crate::json::read::{self, Place};
use crate::wire::RequestError;
use serde_json::{Map, Value, json};

/// The tools that a request offers, from whichever of its places.
#[derive(Default)]
pub(super) struct Offered {
    tools: Vec<Tool>,
    /// Tools that the provider runs, as they came.
    hosted: Vec<Value>,
    search: Option<Value>,
}

impl Offered {
    /// Reads a list of tools. Functions and custom tools, those of namespaces too, become the request's tools, the first
    /// web search becomes `web_search_options`; other hosted tools stay as they came.
    pub(super) fn read(&mut self, value: Value, at: &Place<'_>) -> Result<(), RequestError> {
        for (index, item) in read::list(value, at)?.into_iter().enumerate() {
            let at = &at.item(index);
            let mut members = read::object(item, at)?;
            let kind = read::string(read::require(&mut members, "type", at)?, &at.member("type"))?;
            match kind.as_str() {
                "function" => self.tools.push(read_function(&mut members, at)?),
                "custom" => self.tools.push(read_custom(&mut members, at)?),
                "namespace" => self.tools.extend(read_namespace(&mut members, at)?),
                _ if kind.starts_with("web_search") && self.search.is_none() => {
                    self.search = Some(search_options(&kind, members));
                }
                _ => {
                    let mut tool = Map::new();
                    tool.insert("type".to_owned(), json!(kind));
                    tool.extend(members);
                    self.hosted.push(Value::Object(tool));
                }
            }
        }
        Ok(())
    }

    /// Adds what another place offers.
    pub(super) fn extend(&mut self, other: Self) {
        self.tools.extend(other.tools);
        self.hosted.extend(other.hosted);
        self.search = self.search.take().or(other.search);
    }

    /// Puts them into the request, each under a name of its own, and the choice among them in these names.
    pub(super) fn offer(mut self, calls: &[NamespacedCall], request: &mut ChatRequest) {
        namespace::name_tools(&mut self.tools);
        namespace::name_calls(calls, &mut request.messages, &self.tools);
        if let Some(ToolChoice::Function(name)) = &mut request.tool_choice {
            namespace::name_choice(name, &self.tools);
        }
        let allowed = request.extra.get_mut("tool_choice").and_then(|choice| choice.get_mut("allowed_tools"));
        let allowed = allowed.and_then(|allowed| allowed.get_mut("tools")?.as_array_mut());
        for choice in allowed.into_iter().flatten() {
            let kind = choice.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
            if let Some(Value::String(name)) = choice.get_mut(&kind).and_then(|tool| tool.get_mut("name")) {
                namespace::name_choice(name, &self.tools);
            }
        }
        request.tools = self.tools;
        if let Some(search) = self.search {
            keep_extra(request, "web_search_options", search);
        }
        if !self.hosted.is_empty() {
            keep_extra(request, "tools", self.hosted);
        }
    }
}

/// The tools of a namespace; their names are made when all are known.
fn read_namespace(members: &mut Map<String, Value>, at: &Place<'_>) -> Result<Vec<Tool>, RequestError> {
    let name = read::filled_string(read::require(members, "name", at)?, &at.member("name"))?;
    let description = read::take_string(members, "description", at)?;
    let place = at.member("tools");
    let mut tools = Vec::new();
    for (index, item) in read::list(read::require(members, "tools", at)?, &place)?.into_iter().enumerate() {
        let at = &place.item(index);
        let mut members = read::object(item, at)?;
        let kind = read::require_string(&mut members, "type", at)?;
        let tool = match kind.as_str() {
            "function" => read_function(&mut members, at)?,
            "custom" => read_custom(&mut members, at)?,
            other => return Err(at.member("type").unknown_word(other, &["function", "custom"])),
        };
        let namespace = Namespace {
            name: name.clone(),
            description: description.clone(),
            tool: tool.name.clone(),
            tool_description: tool.description.clone(),
        };
        tools.push(Tool { namespace: Some(Box::new(namespace)), ..tool });
    }
    Ok(tools)
}

fn read_function(members: &mut Map<String, Value>, at: &Place<'_>) -> Result<Tool, RequestError> {
    let parameters = read::take(members, "parameters")
        .map(|schema| read::object(schema, &at.member("parameters")))
        .transpose()?;
    Ok(Tool {
        name: read::filled_string(read::require(members, "name", at)?, &at.member("name"))?,
        description: read::take_string(members, "description", at)?,
        parameters: parameters.map(Value::Object),
        strict: read::take_boolean(members, "strict", at)?,
        ..Tool::default()
    })
}

fn read_custom(members: &mut Map<String, Value>, at: &Place<'_>) -> Result<Tool, RequestError> {
    let format = match read::take(members, "format") {
        Some(format) => Some(read_format(format, &at.member("format"))?),
        None => None,
    };
    Ok(Tool {
        name: read::filled_string(read::require(members, "name", at)?, &at.member("name"))?,
        description: read::take_string(members, "description", at)?,
        kind: ToolKind::Custom { format },
        ..Tool::default()
    })
}

/// A custom tool's format as chat completions say it: the grammar's members stand in an object of their own.
fn read_format(value: Value, at: &Place<'_>) -> Result<Value, RequestError> {
    let mut members = read::object(value, at)?;
    let kind = read::require_string(&mut members, "type", at)?;
    match kind.as_str() {
        "text" => Ok(json!({"type": "text"})),
        "grammar" => {
            let syntax = read::require_string(&mut members, "syntax", at)?;
            let definition = read::require_string(&mut members, "definition", at)?;
            Ok(json!({"type": "grammar", "grammar": {"syntax": syntax, "definition": definition}}))
        }
        other => Err(at.member("type").unknown_word(other, &["text", "grammar"])),
    }
}

/// The tool as `web_search_options`: the place of the user stands one level deeper there. A dated type and what chat
/// completions have no name for stay beside it.
fn search_options(kind: &str, mut members: Map<String, Value>) -> Value {
    let mut options = Map::new();
    if kind != "web_search" {
        options.insert("type".to_owned(), json!(kind));
    }
    members.retain(|_, value| !value.is_null());
    if let Some(Value::Object(mut place)) = members.shift_remove("user_location") {
        place.shift_remove("type");
        let place = json!({"type": "approximate", "approximate": place});
        options.insert("user_location".to_owned(), place);
    }
    options.extend(members);
    Value::Object(options)
}

/// Reads `tool_choice`. A choice that the conversation model has no field for is kept in `extra`; `allowed_tools` in the
/// form of chat completions.
pub(super) fn read_choice(
    value: Value,
    at: &Place<'_>,
    request: &mut ChatRequest,
) -> Result<(), RequestError> {
    const WORDS: [&str; 3] = ["none", "auto", "required"];
    let mut members = match value {
        Value::String(word) => {
            request.tool_choice = Some(match word.as_str() {
                "none" => ToolChoice::None,
                "auto" => ToolChoice::Auto,
                "required" => ToolChoice::Required,
                _ => return Err(at.unknown_word(&word, &WORDS)),
            });
            return Ok(());
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
            let name = read::require_string(&mut members, "name", at)?;
            request.tool_choice = Some(ToolChoice::Function(name));
        }
        "allowed_tools" => keep_extra(request, "tool_choice", allowed_tools(&mut members, at)?),
        _ => keep_extra(request, "tool_choice", Value::Object(members)),
    }
    Ok(())
}

fn allowed_tools(members: &mut Map<String, Value>, at: &Place<'_>) -> Result<Value, RequestError> {
    let mode = read::require_string(members, "mode", at)?;
    let place = at.member("tools");
    let mut tools = Vec::new();
    for (index, tool) in read::list(read::require(members, "tools", at)?, &place)?.into_iter().enumerate() {
        let tool = read::object(tool, &place.item(index))?;
        tools.push(match word(&tool, "type") {
            kind @ ("function" | "custom") => {
                json!({"type": kind, kind: {"name": word(&tool, "name")}})
            }
            _ => Value::Object(tool),
        });
    }
    Ok(json!({"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": tools}}))
}
