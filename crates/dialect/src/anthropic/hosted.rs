//! Tools that Anthropic defines itself, which come in `extra` as the caller wrote them: search, code, computer, memory.
//!
//! Owns which types are Anthropic's and which want a beta header. Leaves functions to [`tools`](super::tools).

use super::members::{object, text};
use serde_json::{Map, Value};

/// What Anthropic's tool types begin with; a date follows. Source: `ToolUnionParam` of its published request types,
/// the beta ones included.
const FAMILIES: [&str; 12] = [
    "advisor_20",
    "bash_20",
    "browser_toolset_20",
    "code_execution_20",
    "computer_20",
    "computer_toolset_20",
    "memory_20",
    "mcp_toolset",
    "text_editor_20",
    "tool_search_tool_",
    "web_fetch_20",
    "web_search_20",
];

/// Types that are taken only with a value of the header `anthropic-beta`.
const BETAS: [(&str, &str); 4] = [
    ("advisor_20260301", "advisor-tool-2026-03-01"),
    ("computer_20241022", "computer-use-2024-10-22"),
    ("computer_20250124", "computer-use-2025-01-24"),
    ("computer_20251124", "computer-use-2025-11-24"),
];

/// The name of the search tool, whatever its version.
pub(super) const SEARCH_NAME: &str = "web_search";

/// Under which its further members are kept; no function can have this name.
pub(super) const SEARCH_KEY: &str = "(web_search)";

/// The first version of the search tool, which every model that searches knows.
const SEARCH_TYPE: &str = "web_search_20250305";

/// The members of OpenAI's place, and of Anthropic's.
const PLACE_MEMBERS: [&str; 4] = ["city", "region", "country", "timezone"];

/// Searches that each of OpenAI's `search_context_size` allows (LiteLLM's figures).
const SEARCHES: [(&str, u64); 3] = [("low", 1), ("medium", 5), ("high", 10)];

/// Whether a member of the caller's `tools` is Anthropic's own, or a function in Anthropic's words (`custom` with an
/// `input_schema`; OpenAI's `custom` has none).
pub(super) fn is_hosted(tool: &Value) -> bool {
    match text(tool, "type") {
        Some("custom") => tool.get("input_schema").is_some(),
        Some(kind) => FAMILIES.iter().any(|family| kind.starts_with(family)),
        None => false,
    }
}

/// Whether a tool that goes out is the search tool, as opposed to a function of its name.
pub(super) fn is_search(tool: &Value) -> bool {
    text(tool, "type").is_some_and(|kind| kind.starts_with("web_search_"))
}

/// The tools of `extra` that go out, and OpenAI's `web_search_options` as the search tool if no other is there.
pub(super) fn tools(extra: &Map<String, Value>) -> Vec<Value> {
    let mut tools: Vec<Value> = given(extra).filter(|tool| is_hosted(tool)).cloned().collect();
    if !tools.iter().any(|tool| text(tool, "name") == Some(SEARCH_NAME)) {
        tools.extend(extra.get("web_search_options").and_then(search_tool));
    }
    tools
}

/// The beta headers that the tools want.
pub(super) fn betas(extra: &Map<String, Value>) -> impl Iterator<Item = &'static str> {
    let is_given = |kind: &str| given(extra).any(|tool| text(tool, "type") == Some(kind));
    BETAS.iter().filter(move |(kind, _)| is_given(kind)).map(|(_, beta)| *beta)
}

fn given(extra: &Map<String, Value>) -> impl Iterator<Item = &Value> {
    extra.get("tools").and_then(Value::as_array).into_iter().flatten()
}

fn search_tool(asked: &Value) -> Option<Value> {
    if !asked.is_object() {
        return None;
    }
    let mut tool = object([("type", SEARCH_TYPE.into()), ("name", SEARCH_NAME.into())]);
    let size = text(asked, "search_context_size");
    if let Some((_, searches)) = SEARCHES.iter().find(|(name, _)| size == Some(*name)) {
        tool.insert("max_uses".to_owned(), (*searches).into());
    }
    if let Some(place) = asked.get("user_location").and_then(|location| location.get("approximate")) {
        let mut location = object([("type", "approximate".into())]);
        for member in PLACE_MEMBERS {
            if let Some(name) = text(place, member) {
                location.insert(member.to_owned(), name.into());
            }
        }
        tool.insert("user_location".to_owned(), Value::Object(location));
    }
    Some(Value::Object(tool))
}

/// A caller's search tool as OpenAI's `web_search_options`, and the members that these cannot hold.
pub(super) fn search_options(kind: &str, mut members: Map<String, Value>) -> (Value, Map<String, Value>) {
    let mut options = Map::new();
    members.shift_remove("name");
    let size =
        SEARCHES.iter().find(|(_, searches)| members.get("max_uses").is_some_and(|uses| uses == searches));
    if let Some((size, _)) = size {
        options.insert("search_context_size".to_owned(), (*size).into());
        members.shift_remove("max_uses");
    }
    if let Some(Value::Object(place)) = members.get("user_location") {
        let of_openai = |name: &&str| place.get(*name).is_some_and(Value::is_string);
        let named = PLACE_MEMBERS.into_iter().filter(of_openai);
        let approximate: Map<String, Value> =
            named.filter_map(|name| Some((name.to_owned(), place.get(name)?.clone()))).collect();
        let location = object([("type", "approximate".into()), ("approximate", approximate.into())]);
        options.insert("user_location".to_owned(), location.into());
        members.shift_remove("user_location");
    }
    if kind != SEARCH_TYPE {
        members.insert("type".to_owned(), kind.into());
    }
    (Value::Object(options), members)
}
