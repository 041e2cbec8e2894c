//! Responses and conversations that are kept.
//!
//! Owns: [`Store`], what a kept response's context is. Leaves to others: the objects (`reply`).
//!
//! **Invariant:** the context of a response is everything that its model saw and said, in order, so that the next
//! response can be held to it.

use crate::ask::{flag_at, text_at};
use crate::compose::Ids;
use crate::error::ApiError;
use crate::platform::{Owner, Shelf};
use serde_json::{Value, json};

/// Kept responses and conversations.
#[derive(Debug, Default)]
pub(crate) struct Store {
    responses: Shelf<Kept>,
    pub(super) conversations: Shelf<Conversation>,
}

/// A kept response.
#[derive(Debug, Clone)]
struct Kept {
    object: Value,
    input: Vec<Value>,
    /// What came before it, its input and its output.
    context: Vec<Value>,
    /// A response in the background: how often it is still seen before it is complete.
    waits: u8,
    background: bool,
}

/// A kept conversation.
#[derive(Debug, Clone)]
pub(crate) struct Conversation {
    pub(crate) object: Value,
    pub(crate) items: Vec<Value>,
}

/// How often a response in the background is seen unfinished: queued when made, in progress when first asked for.
const BACKGROUND_POLLS: u8 = 1;

/// The conversation that a body names.
fn conversation_of(body: &Value) -> Option<&str> {
    match body.get("conversation") {
        Some(Value::String(id)) => Some(id),
        Some(conversation @ Value::Object(_)) => Some(text_at(conversation, "id")),
        _ => None,
    }
}

/// The items of a body's input, text as the message that it stands for.
pub(super) fn input_of(body: &Value) -> Vec<Value> {
    match body.get("input") {
        Some(Value::String(text)) => {
            vec![
                json!({"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}),
            ]
        }
        Some(Value::Array(items)) => items.clone(),
        _ => Vec::new(),
    }
}

/// An item as the API lists it: with an id, a status, and its content in parts.
pub(crate) fn listed(item: &Value, ids: &mut Ids) -> Value {
    let mut item = item.clone();
    let Some(fields) = item.as_object_mut() else { return item };
    let kind = fields.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
    let prefix = match kind.as_str() {
        "message" => "msg_",
        "function_call" => "fc_",
        "function_call_output" => "fco_",
        "reasoning" => "rs_",
        "custom_tool_call" => "ctc_",
        "custom_tool_call_output" => "ctco_",
        _ => "item_",
    };
    if !fields.get("id").is_some_and(Value::is_string) {
        fields.insert("id".to_owned(), json!(ids.hex(prefix, 48)));
    }
    if kind != "reasoning" && kind != "item_reference" && !fields.get("status").is_some_and(Value::is_string)
    {
        fields.insert("status".to_owned(), json!("completed"));
    }
    if kind == "message"
        && let Some(Value::String(text)) = fields.get("content").cloned()
    {
        let of_model = fields.get("role").and_then(Value::as_str) == Some("assistant");
        let part = if of_model {
            json!({"type": "output_text", "text": text, "annotations": []})
        } else {
            json!({"type": "input_text", "text": text})
        };
        fields.insert("content".to_owned(), json!([part]));
    }
    item
}

impl Store {
    /// Everything before a body's own input: the context of the response that it continues, the conversation's items.
    pub(crate) fn context(&self, owner: &Owner, body: &Value) -> Result<Vec<Value>, ApiError> {
        if let Some(id) = body.get("previous_response_id").and_then(Value::as_str) {
            let context = self.responses.change(owner, id, |kept| kept.context.clone());
            return context.ok_or_else(|| {
                ApiError::bad_request(format!("Previous response with id '{id}' not found."))
                    .param("previous_response_id")
                    .code("previous_response_not_found")
            });
        }
        match conversation_of(body) {
            None => Ok(Vec::new()),
            Some(id) => self.conversations.change(owner, id, |kept| kept.items.clone()).ok_or_else(|| {
                ApiError::new(404, format!("Conversation with id '{id}' not found.")).code("")
            }),
        }
    }

    /// Everything that the model gets to see, references replaced by what they stand for; an input that is text is not
    /// among it.
    pub(crate) fn seen(&self, owner: &Owner, body: &Value) -> Vec<Value> {
        let mut items = self.context(owner, body).unwrap_or_default();
        if let Some(Value::Array(input)) = body.get("input") {
            items.extend(input.iter().map(|item| self.resolved(owner, item).unwrap_or_else(|| item.clone())));
        }
        items
    }

    /// What a reference stands for; another item is itself.
    pub(super) fn resolved(&self, owner: &Owner, item: &Value) -> Option<Value> {
        if text_at(item, "type") != "item_reference" {
            return Some(item.clone());
        }
        self.item(owner, text_at(item, "id")).map(|(item, _)| item)
    }

    /// A kept item, and the reasoning item right before it, if one is.
    pub(super) fn item(&self, owner: &Owner, id: &str) -> Option<(Value, Option<Value>)> {
        let find = |items: &[Value]| {
            let at = items.iter().position(|item| text_at(item, "id") == id)?;
            let before = at.checked_sub(1).and_then(|before| items.get(before));
            let reasoning = before.filter(|item| text_at(item, "type") == "reasoning").cloned();
            items.get(at).map(|item| (item.clone(), reasoning))
        };
        let kept = self.responses.list(owner).iter().find_map(|kept| find(&kept.context));
        kept.or_else(|| self.conversations.list(owner).iter().find_map(|kept| find(&kept.items)))
    }

    /// Keeps a response; one in the background is seen unfinished at first.
    pub(super) fn keep(&self, owner: &Owner, body: &Value, object: &Value, ids: &mut Ids) {
        let input: Vec<Value> = input_of(body)
            .iter()
            .filter_map(|item| self.resolved(owner, item))
            .map(|item| listed(&item, ids))
            .collect();
        let mut context = self.context(owner, body).unwrap_or_default();
        context.extend(input.iter().cloned());
        context.extend(crate::ask::items_at(object, "output").iter().cloned());
        let background = flag_at(body, "background");
        let waits = if background && !flag_at(body, "stream") { BACKGROUND_POLLS } else { 0 };
        let kept = Kept { object: object.clone(), input, context, waits, background };
        self.responses.add(owner, text_at(object, "id"), kept);
    }

    /// Adds a response's input and output to its conversation.
    pub(super) fn converse(&self, owner: &Owner, body: &Value, object: &Value, ids: &mut Ids) {
        let Some(id) = conversation_of(body) else { return };
        let input: Vec<Value> = input_of(body).iter().map(|item| listed(item, ids)).collect();
        let output = crate::ask::items_at(object, "output").to_vec();
        self.conversations.change(owner, id, |kept| kept.items.extend(input.into_iter().chain(output)));
    }

    /// A kept response, as far as it has come.
    pub(super) fn poll(&self, owner: &Owner, id: &str) -> Option<Value> {
        self.responses.change(owner, id, |kept| {
            let mut object = kept.object.clone();
            if kept.waits > 0 {
                kept.waits -= 1;
                unfinished(&mut object, "in_progress");
            }
            object
        })
    }

    /// Cancels a response; `Some(None)`: it does not run in the background.
    pub(super) fn cancel(&self, owner: &Owner, id: &str) -> Option<Option<Value>> {
        self.responses.change(owner, id, |kept| {
            if kept.waits > 0 {
                kept.waits = 0;
                unfinished(&mut kept.object, "cancelled");
            }
            kept.background.then(|| kept.object.clone())
        })
    }

    /// The input of a kept response.
    pub(super) fn input(&self, owner: &Owner, id: &str) -> Option<Vec<Value>> {
        self.responses.change(owner, id, |kept| kept.input.clone())
    }

    /// Lets a response go.
    pub(super) fn remove(&self, owner: &Owner, id: &str) -> Option<()> {
        self.responses.remove(owner, id).map(|_| ())
    }
}

/// Makes a response one that has no outcome.
pub(super) fn unfinished(object: &mut Value, status: &str) {
    if let Some(fields) = object.as_object_mut() {
        for (name, value) in [
            ("status", json!(status)),
            ("output", json!([])),
            ("usage", Value::Null),
            ("completed_at", Value::Null),
            ("incomplete_details", Value::Null),
        ] {
            fields.insert(name.to_owned(), value);
        }
    }
}
