//! Items of the tools that the provider runs itself.
//!
//! Owns: one made-up use of each hosted tool of a request, and the events of it. Leaves to others: calls of the
//! caller's own functions (`reply`).
//!
//! **Invariant:** every item here needs no answer of the caller, so that a conversation goes on without one.

use crate::ask::{Ask, items_at, text_at};
use crate::compose::Ids;
use crate::media::PIXEL;
use serde_json::{Value, json};

/// One item (of a remote server two) for each hosted tool of the request.
pub(super) fn items(body: &Value, ask: &Ask, ids: &mut Ids) -> Vec<Value> {
    let query: String = ask.last_user.chars().take(80).collect();
    items_at(body, "tools").iter().flat_map(|tool| used(tool, body, &query, ids)).collect()
}

fn used(tool: &Value, body: &Value, query: &str, ids: &mut Ids) -> Vec<Value> {
    let included = |what: &str| super::reply::includes(body, what);
    match text_at(tool, "type") {
        kind if kind.starts_with("web_search") => {
            let mut action = json!({"type": "search", "query": query, "queries": [query]});
            if included("web_search_call.action.sources")
                && let Some(fields) = action.as_object_mut()
            {
                let source = json!({"type": "url", "url": "https://example.com/page-1"});
                fields.insert("sources".to_owned(), json!([source]));
            }
            let id = ids.hex("ws_", 48);
            vec![json!({"id": id, "type": "web_search_call", "status": "completed", "action": action})]
        }
        "file_search" => {
            let found = json!([{"file_id": "file-simulated", "filename": "notes.txt", "score": 0.9, "text": query,
                "attributes": {}}]);
            let results = if included("file_search_call.results") { found } else { Value::Null };
            vec![json!({"id": ids.hex("fs_", 48), "type": "file_search_call", "status": "completed",
                "queries": [query], "results": results})]
        }
        "code_interpreter" => {
            let logs = json!([{"type": "logs", "logs": "42"}]);
            let outputs = if included("code_interpreter_call.outputs") { logs } else { Value::Null };
            vec![json!({"id": ids.hex("ci_", 48), "type": "code_interpreter_call", "status": "completed",
                "code": "print(6 * 7)", "container_id": ids.hex("cntr_", 40), "outputs": outputs})]
        }
        "image_generation" => vec![json!({
            "id": ids.hex("ig_", 48), "type": "image_generation_call", "status": "completed", "result": PIXEL,
            "action": "generate", "background": "opaque", "output_format": "png", "quality": "low",
            "revised_prompt": query, "size": "1024x1024",
        })],
        "mcp" => {
            let label = text_at(tool, "server_label");
            let schema = json!({"type": "object", "properties": {}});
            let listed =
                json!({"name": "look", "description": "Looks.", "input_schema": schema, "annotations": null});
            vec![
                json!({"id": ids.hex("mcpl_", 48), "type": "mcp_list_tools", "server_label": label,
                    "tools": [listed], "error": null}),
                json!({"id": ids.hex("mcp_", 48), "type": "mcp_call", "status": "completed", "name": "look",
                    "arguments": "{}", "output": query, "server_label": label, "error": null,
                    "approval_request_id": null}),
            ]
        }
        _ => Vec::new(),
    }
}

/// An item as it is when it begins, and the names of the events between its beginning and its end; `true`: the event
/// carries code or arguments piece by piece.
pub(super) fn steps(item: &Value) -> Option<(Value, Vec<Step>)> {
    use Step::{Plain, Text};
    let mut begun = item.clone();
    let fields = begun.as_object_mut()?;
    let steps = match text_at(item, "type") {
        "web_search_call" => {
            vec![
                Plain("web_search_call.in_progress"),
                Plain("web_search_call.searching"),
                Plain("web_search_call.completed"),
            ]
        }
        "file_search_call" => {
            fields.insert("queries".to_owned(), json!([]));
            fields.insert("results".to_owned(), Value::Null);
            vec![
                Plain("file_search_call.in_progress"),
                Plain("file_search_call.searching"),
                Plain("file_search_call.completed"),
            ]
        }
        "code_interpreter_call" => {
            fields.insert("code".to_owned(), json!(""));
            fields.insert("outputs".to_owned(), Value::Null);
            vec![
                Plain("code_interpreter_call.in_progress"),
                Text("code_interpreter_call_code", "code"),
                Plain("code_interpreter_call.interpreting"),
                Plain("code_interpreter_call.completed"),
            ]
        }
        "image_generation_call" => {
            fields.insert("result".to_owned(), Value::Null);
            vec![
                Plain("image_generation_call.in_progress"),
                Plain("image_generation_call.generating"),
                Plain("image_generation_call.completed"),
            ]
        }
        "mcp_list_tools" => {
            fields.insert("tools".to_owned(), json!([]));
            return Some((
                begun,
                vec![Plain("mcp_list_tools.in_progress"), Plain("mcp_list_tools.completed")],
            ));
        }
        "mcp_call" => {
            fields.insert("arguments".to_owned(), json!(""));
            fields.insert("output".to_owned(), Value::Null);
            vec![
                Plain("mcp_call.in_progress"),
                Text("mcp_call_arguments", "arguments"),
                Plain("mcp_call.completed"),
            ]
        }
        _ => return None,
    };
    fields.insert("status".to_owned(), json!("in_progress"));
    Some((begun, steps))
}

/// An event of a hosted tool's use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// An event of this name (behind `response.`) without more.
    Plain(&'static str),
    /// `.delta` events and a `.done` event that carry this member of the item.
    Text(&'static str, &'static str),
}
