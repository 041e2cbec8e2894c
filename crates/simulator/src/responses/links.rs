//! How the items of a response's input belong together.
//!
//! Owns: calls and their outputs, reasoning and the item that it led to, references to kept items, ids that come twice.
//! Leaves to others: an item by itself (`check`).
//!
//! **Invariant:** what is kept from earlier responses counts as if it stood in the input.

use super::seal;
use super::store::Store;
use crate::ask::text_at;
use crate::error::ApiError;
use crate::platform::Owner;
use serde_json::Value;

/// Kinds of call, of their outputs, and what the API calls them.
const CALLS: &[(&str, &str, &str)] = &[
    ("function_call", "function_call_output", "function call"),
    ("custom_tool_call", "custom_tool_call_output", "custom tool call"),
    ("computer_call", "computer_call_output", "computer call"),
    ("local_shell_call", "local_shell_call_output", "local shell call"),
    ("shell_call", "shell_call_output", "shell call"),
    ("apply_patch_call", "apply_patch_call_output", "apply patch call"),
];

/// Checks the items of an input behind those of its context.
pub(super) fn check(
    context: &[Value],
    input: &[Value],
    store: &Store,
    owner: &Owner,
) -> Result<(), ApiError> {
    let mut items = context.to_vec();
    for item in input {
        known(item, store, owner)?;
        items.extend(store.resolved(owner, item));
    }
    twice(&items)?;
    outputs(&items)?;
    followed(&items)?;
    preceded(&items, store, owner)
}

fn item_not_found(id: &str) -> ApiError {
    ApiError::new(404, format!("Item with id '{id}' not found.")).param("input").code("")
}

/// A reference must point at something kept; reasoning must be sealed here or kept.
fn known(item: &Value, store: &Store, owner: &Owner) -> Result<(), ApiError> {
    let id = text_at(item, "id");
    match text_at(item, "type") {
        "item_reference" if store.item(owner, id).is_none() => Err(item_not_found(id)),
        "reasoning" => match item.get("encrypted_content").and_then(Value::as_str) {
            Some(sealed) => match seal::open(sealed) {
                Some(_) => Ok(()),
                None => {
                    let shown: String = sealed.chars().take(8).collect();
                    let message = format!(
                        "The encrypted content {shown}... could not be verified. Reason: Encrypted content could not be \
                         decrypted or parsed."
                    );
                    Err(ApiError::bad_request(message).code("invalid_encrypted_content"))
                }
            },
            None if !id.is_empty() && store.item(owner, id).is_none() => Err(ApiError::new(
                404,
                format!(
                    "Item with id '{id}' not found. Items are not persisted when `store` is set to false. Try again with \
                     `store` set to true, or remove this item from your input."
                ),
            )
            .param("input")
            .code("")),
            None => Ok(()),
        },
        _ => Ok(()),
    }
}

fn twice(items: &[Value]) -> Result<(), ApiError> {
    let mut seen: Vec<&str> = Vec::new();
    for id in items.iter().map(|item| text_at(item, "id")).filter(|id| !id.is_empty()) {
        if seen.contains(&id) {
            let message = format!(
                "Duplicate item found with id {id}. Remove duplicate items from your input and try again."
            );
            return Err(ApiError::bad_request(message).param("input"));
        }
        seen.push(id);
    }
    Ok(())
}

/// The id of a call, on the call or on its output. A local shell's output may have it as its own id.
fn call_id(item: &Value) -> &str {
    let id = text_at(item, "call_id");
    if id.is_empty() { text_at(item, "id") } else { id }
}

fn outputs(items: &[Value]) -> Result<(), ApiError> {
    let mut open: Vec<(&str, &str)> = Vec::new();
    for item in items {
        let kind = text_at(item, "type");
        if CALLS.iter().any(|(call, _, _)| *call == kind) {
            open.push((kind, call_id(item)));
        }
        let Some((call, _, name)) = CALLS.iter().find(|(_, output, _)| *output == kind) else { continue };
        let id = call_id(item);
        match open.iter().position(|open| *open == (*call, id)) {
            Some(at) => {
                open.remove(at);
            }
            None => {
                let message = format!("No tool call found for {name} output with call_id {id}.");
                return Err(ApiError::bad_request(message).param("input"));
            }
        }
    }
    let Some((kind, id)) = open.first() else { return Ok(()) };
    let name = CALLS.iter().find(|(call, _, _)| call == kind).map_or("tool call", |(_, _, name)| *name);
    Err(ApiError::bad_request(format!("No tool output found for {name} {id}.")).param("input"))
}

/// Whether a model says such an item.
fn is_of_model(item: &Value) -> bool {
    let kind = text_at(item, "type");
    match kind {
        "message" => text_at(item, "role") == "assistant",
        "reasoning" | "compaction" | "mcp_list_tools" | "mcp_approval_request" | "program" => true,
        _ => kind.ends_with("_call"),
    }
}

fn followed(items: &[Value]) -> Result<(), ApiError> {
    for (index, item) in items.iter().enumerate().filter(|(_, item)| text_at(item, "type") == "reasoning") {
        if !items.get(index + 1).is_some_and(is_of_model) {
            let message = format!(
                "Item '{}' of type 'reasoning' was provided without its required following item.",
                text_at(item, "id")
            );
            return Err(ApiError::bad_request(message).param("input"));
        }
    }
    Ok(())
}

/// A kept item that reasoning led to comes with that reasoning.
fn preceded(items: &[Value], store: &Store, owner: &Owner) -> Result<(), ApiError> {
    for item in items {
        let (id, kind) = (text_at(item, "id"), text_at(item, "type"));
        if id.is_empty() || kind == "reasoning" {
            continue;
        }
        let Some((_, Some(reasoning))) = store.item(owner, id) else { continue };
        let needed = text_at(&reasoning, "id");
        if !items.iter().any(|item| text_at(item, "id") == needed) {
            let message = format!(
                "Item '{id}' of type '{kind}' was provided without its required 'reasoning' item: '{needed}'."
            );
            return Err(ApiError::bad_request(message).param("input"));
        }
    }
    Ok(())
}
