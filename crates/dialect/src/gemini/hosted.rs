//! Tools that run at Google, and functions declared in Google's own form.
//!
//! Owns which they are and what other dialects call the search among them. Leaves functions of the conversation model
//! to `request`.

use super::host::Host;
use super::params::camel_case;
use serde_json::{Map, Value, json};

/// Members of Google's `Tool`. Source: the `Tool` type of Google's `google-genai` package.
const MEMBERS: &[&str] = &[
    "googleSearch",
    "googleSearchRetrieval",
    "codeExecution",
    "urlContext",
    "googleMaps",
    "computerUse",
    "fileSearch",
    "functionDeclarations",
    "retrieval",
    "enterpriseWebSearch",
    "parallelAiSearch",
    "exaAiSearch",
    "mcpServers",
];

/// A tool of a caller's that is no function of the conversation model.
#[derive(Debug, PartialEq)]
pub(super) enum Hosted {
    /// OpenAI's or Anthropic's search of the web, which is Google's search here.
    Search,
    /// A tool in Google's own form.
    Tool(Value),
}

/// Reads a tool; `None` for one that Google does not have.
pub(super) fn read(tool: &Value, host: Host) -> Option<Hosted> {
    let members = tool.as_object()?;
    if let Some(kind) = members.get("type").and_then(Value::as_str) {
        return match kind {
            _ if kind.starts_with("web_search") => Some(Hosted::Search),
            // Anthropic's and OpenAI's tools that run code without a file; Google's takes no options.
            _ if kind.starts_with("code_execution_20") || kind == "code_interpreter" => {
                Some(Hosted::Tool(json!({ "codeExecution": {} })))
            }
            _ if kind.starts_with("web_fetch_20") => Some(Hosted::Tool(json!({ "urlContext": {} }))),
            _ => None,
        };
    }
    if members.is_empty() {
        return None;
    }
    let mut native = Map::with_capacity(members.len());
    for (name, value) in members {
        let name = camel_case(name);
        if !MEMBERS.contains(&name.as_str()) || !host.takes(&name) {
            return None;
        }
        native.insert(name, value.clone());
    }
    Some(Hosted::Tool(Value::Object(native)))
}
