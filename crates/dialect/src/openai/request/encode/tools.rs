//! Writes tools and the choice among them in OpenAI's form.

use super::{Extensions, insert, insert_some, write_mark};
use crate::conversation::{ChatRequest, Tool, ToolChoice, ToolKind};
use crate::wire::{Dialect, Losses};
use serde_json::{Map, Value, json};

/// Members of `web_search_options` in OpenAI's published types.
const SEARCH_MEMBERS: [&str; 2] = ["search_context_size", "user_location"];

/// What Anthropic's search tool begins with; its date follows.
const ANTHROPIC_SEARCH: &str = "web_search_20";

/// Whether there are hosted tools of another maker, which OpenAI's chat completions do not have. An OpenAI caller's go out
/// as they came: compatible providers have their own.
pub(super) fn has_foreign(request: &ChatRequest) -> bool {
    request.dialect != Dialect::OpenAi
        && hosted(request).any(|tool| !kind_of(tool).starts_with(ANTHROPIC_SEARCH))
}

fn hosted(request: &ChatRequest) -> impl Iterator<Item = &Value> {
    request.extra.get("tools").and_then(Value::as_array).into_iter().flatten()
}

fn kind_of(tool: &Value) -> &str {
    tool.get("type").and_then(Value::as_str).unwrap_or_default()
}

pub(super) fn write_tools(
    request: &ChatRequest,
    extensions: Extensions,
    body: &mut Map<String, Value>,
    lost: &mut Losses,
) {
    let mut tools: Vec<Value> = request.tools.iter().map(|tool| write_tool(tool, extensions, lost)).collect();
    let passes_on = request.dialect == Dialect::OpenAi || extensions == Extensions::Include;
    if request.dialect == Dialect::OpenAi {
        tools.extend(hosted(request).cloned());
    } else if extensions == Extensions::Include && hosted(request).next().is_some() {
        // Whose they are, this provider is not.
        lost.note("tools");
    }
    let searches = !passes_on && hosted(request).any(|tool| kind_of(tool).starts_with(ANTHROPIC_SEARCH));
    if let Some(options) = request.extra.get("web_search_options") {
        insert(body, "web_search_options", search_options(options, passes_on, lost));
    } else if searches {
        insert(body, "web_search_options", json!({}));
    }
    if !tools.is_empty() {
        insert(body, "tools", tools);
    }
    insert_some(
        body,
        "tool_choice",
        request.tool_choice.as_ref().map(|choice| write_choice(choice, request)),
    );
    insert_some(body, "parallel_tool_calls", request.parallel_tool_calls);
}

fn write_choice(choice: &ToolChoice, request: &ChatRequest) -> Value {
    match choice {
        ToolChoice::Auto => json!("auto"),
        ToolChoice::None => json!("none"),
        ToolChoice::Required => json!("required"),
        ToolChoice::Function(name) => {
            let is_custom = |tool: &Tool| tool.name == *name && matches!(tool.kind, ToolKind::Custom { .. });
            let kind = if request.tools.iter().any(is_custom) { "custom" } else { "function" };
            json!({"type": kind, kind: {"name": name}})
        }
    }
}

/// Another dialect's search may say more (which sites, how live) than chat completions do.
fn search_options(options: &Value, passes_on: bool, lost: &mut Losses) -> Value {
    let Value::Object(members) = options else { return options.clone() };
    if passes_on {
        return options.clone();
    }
    let mut kept = members.clone();
    kept.retain(|name, _| SEARCH_MEMBERS.contains(&name.as_str()));
    if members.keys().any(|name| name != "type" && !kept.contains_key(name)) {
        lost.note("web_search_options");
    }
    Value::Object(kept)
}

fn write_tool(tool: &Tool, extensions: Extensions, lost: &mut Losses) -> Value {
    let mut declared = Map::new();
    insert(&mut declared, "name", tool.name.as_str());
    insert_some(&mut declared, "description", tool.description.as_deref());
    let kind = match &tool.kind {
        ToolKind::Function => {
            insert_some(&mut declared, "parameters", tool.parameters.clone());
            insert_some(&mut declared, "strict", tool.strict);
            "function"
        }
        ToolKind::Custom { format } => {
            insert_some(&mut declared, "format", format.clone());
            "custom"
        }
    };
    let mut out = Map::new();
    insert(&mut out, "type", kind);
    insert(&mut out, kind, declared);
    write_mark(tool.cache_control.as_ref(), extensions, &mut out, lost);
    Value::Object(out)
}
