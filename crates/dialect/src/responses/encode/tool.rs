//! Writes tools and the choice among them in this API's flat forms.

use super::{insert, insert_some};
use crate::conversation::{ChatRequest, Namespace, Tool, ToolChoice, ToolKind};
use crate::wire::{Dialect, Losses};
use serde_json::{Map, Value, json};

/// What the types of hosted tools begin with. Source: OpenAI's published `ToolParam`.
const HOSTED: [&str; 12] = [
    "apply_patch",
    "code_interpreter",
    "computer_use",
    "file_search",
    "image_generation",
    "local_shell",
    "mcp",
    "namespace",
    "programmatic_tool_calling",
    "shell",
    "tool_search",
    "web_search",
];

/// Members of chat completions' `web_search_options` and of the tool that go by the same name.
const SEARCH_MEMBERS: [&str; 4] =
    ["search_context_size", "filters", "external_web_access", "search_content_types"];

pub(super) fn write_tools(request: &ChatRequest, body: &mut Map<String, Value>, lost: &mut Losses) {
    let is_own = request.dialect == Dialect::Responses;
    let mut tools = Vec::new();
    for tool in &request.tools {
        let declared = write_tool(tool, is_own, lost);
        match namespace(tool) {
            Some(namespace) => write_in_namespace(namespace, declared, &mut tools),
            None => tools.push(declared),
        }
    }
    for tool in request.extra.get("tools").and_then(Value::as_array).into_iter().flatten() {
        tools.extend(hosted(tool, is_own));
    }
    tools.extend(request.extra.get("web_search_options").map(search_tool));
    if tools.is_empty() {
        // A choice among no tools is an error at OpenAI.
        return;
    }
    insert(body, "tools", tools);
    insert_some(body, "tool_choice", choice(request));
    insert_some(body, "parallel_tool_calls", request.parallel_tool_calls);
}

fn write_tool(tool: &Tool, is_own: bool, lost: &mut Losses) -> Value {
    let mut out = Map::new();
    if tool.cache_control.is_some() {
        lost.note("cache_control");
    }
    let description = match namespace(tool) {
        Some(space) => &space.tool_description,
        None => &tool.description,
    };
    match &tool.kind {
        ToolKind::Function => {
            insert(&mut out, "type", "function");
            insert(&mut out, "name", tool.name.as_str());
            insert_some(&mut out, "description", description.as_deref());
            insert(&mut out, "parameters", tool.parameters.clone().unwrap_or_default());
            // Here, other than in chat completions, a schema is strict unless it is said not to be.
            let strict = if is_own { tool.strict } else { Some(tool.strict.unwrap_or(false)) };
            insert(&mut out, "strict", strict.map_or(Value::Null, Value::Bool));
        }
        ToolKind::Custom { format } => {
            insert(&mut out, "type", "custom");
            insert(&mut out, "name", tool.name.as_str());
            insert_some(&mut out, "description", description.as_deref());
            insert_some(&mut out, "format", format.as_ref().map(flat_format));
        }
    }
    Value::Object(out)
}

/// The namespace that a tool goes out in. One that had to be given another name goes out by that name, since a call of it
/// comes back by its name alone.
pub(super) fn namespace(tool: &Tool) -> Option<&Namespace> {
    tool.namespace.as_deref().filter(|space| space.tool == tool.name)
}

/// Puts a tool beside the others of its namespace, which is opened where it is not there yet.
fn write_in_namespace(namespace: &Namespace, declared: Value, tools: &mut Vec<Value>) {
    let is_it = |tool: &&mut Value| {
        tool.get("type").is_some_and(|kind| kind == "namespace")
            && tool.get("name").is_some_and(|name| *name == namespace.name)
    };
    let opened = tools.iter_mut().find(is_it).and_then(|tool| tool.get_mut("tools")?.as_array_mut());
    if let Some(opened) = opened {
        opened.push(declared);
        return;
    }
    let mut out = Map::new();
    insert(&mut out, "type", "namespace");
    insert(&mut out, "name", namespace.name.as_str());
    // OpenAI wants one, be it empty.
    insert(&mut out, "description", namespace.description.as_deref().unwrap_or_default());
    insert(&mut out, "tools", vec![declared]);
    tools.push(Value::Object(out));
}

/// A grammar's members stand beside its type here.
fn flat_format(format: &Value) -> Value {
    let mut out = Map::new();
    insert_some(&mut out, "type", format.get("type").cloned());
    match format.get("grammar") {
        Some(Value::Object(grammar)) => out.extend(grammar.clone()),
        _ => return format.clone(),
    }
    Value::Object(out)
}

/// A hosted tool as this API takes it; `None` for one of another maker. Anthropic's dated search is its own.
pub(super) fn hosted(tool: &Value, is_own: bool) -> Option<Value> {
    let kind = tool.get("type").and_then(Value::as_str)?;
    let date = kind.strip_prefix("web_search_").filter(|date| date.bytes().all(|byte| byte.is_ascii_digit()));
    match date {
        Some(_) => Some(anthropic_search(tool)),
        None if is_own || HOSTED.iter().any(|family| kind.starts_with(family)) => Some(tool.clone()),
        None => None,
    }
}

fn anthropic_search(tool: &Value) -> Value {
    let mut out = Map::new();
    insert(&mut out, "type", "web_search");
    if let Some(domains) = tool.get("allowed_domains").filter(|domains| domains.is_array()) {
        insert(&mut out, "filters", json!({"allowed_domains": domains}));
    }
    insert_some(
        &mut out,
        "user_location",
        tool.get("user_location").filter(|place| place.is_object()).cloned(),
    );
    Value::Object(out)
}

/// `web_search_options` as the tool: the place of the user stands one level higher here.
fn search_tool(options: &Value) -> Value {
    let mut out = Map::new();
    let kind = options.get("type").and_then(Value::as_str).unwrap_or("web_search");
    insert(&mut out, "type", kind);
    for name in SEARCH_MEMBERS {
        insert_some(&mut out, name, options.get(name).cloned());
    }
    let place = options.get("user_location").and_then(|place| place.get("approximate")?.as_object());
    if let Some(place) = place {
        let mut location = Map::new();
        insert(&mut location, "type", "approximate");
        location.extend(place.clone());
        insert(&mut out, "user_location", location);
    }
    Value::Object(out)
}

fn choice(request: &ChatRequest) -> Option<Value> {
    let is_custom = |name: &str| {
        request.tools.iter().any(|tool| tool.name == name && matches!(tool.kind, ToolKind::Custom { .. }))
    };
    match &request.tool_choice {
        Some(ToolChoice::Auto) => Some(json!("auto")),
        Some(ToolChoice::None) => Some(json!("none")),
        Some(ToolChoice::Required) => Some(json!("required")),
        Some(ToolChoice::Function(name)) => {
            let kind = if is_custom(name) { "custom" } else { "function" };
            Some(json!({"type": kind, "name": name}))
        }
        None => request.extra.get("tool_choice").map(flat_choice),
    }
}

/// A choice that the conversation model has no field for, without the level that chat completions have more.
fn flat_choice(choice: &Value) -> Value {
    let flat = |choice: &Value| {
        let kind = choice.get("type").and_then(Value::as_str).unwrap_or_default();
        match choice.get(kind).and_then(|inner| inner.get("name")) {
            Some(name) => json!({"type": kind, "name": name}),
            None => choice.clone(),
        }
    };
    match choice.get("allowed_tools") {
        Some(allowed) => {
            let tools = allowed.get("tools").and_then(Value::as_array).into_iter().flatten();
            let tools: Vec<Value> = tools.map(flat).collect();
            json!({"type": "allowed_tools", "mode": allowed.get("mode"), "tools": tools})
        }
        None => flat(choice),
    }
}
