//! OpenAI's Responses API: what it accepts, what a request asks for, what it keeps and replies.
//!
//! Owns: reading a body into an [`Ask`], the operations on kept responses. Leaves to others: the rules of a body
//! (`check`), of its items among each other (`links`), the objects (`reply`), the stream (`events`), what is kept
//! (`store`).
//!
//! **Invariant:** a response that was not to be stored is not found later, and one that was is found by its owner alone.

pub(crate) mod check;
pub(crate) mod conversations;
mod events;
mod hosted;
mod links;
mod reply;
mod seal;
mod store;
mod tables;

use crate::ask::{Ask, PromptCount, Thinking, Tool, ToolChoice, flag_at, items_at, number_at, text_at};
use crate::error::ApiError;
use crate::platform::{Owner, page};
use crate::reply::{Making, Reply};
use serde_json::{Value, json};

pub(crate) use store::Store;

/// Most items of a page.
const PAGE_MAX: usize = 100;

/// Gives each item of a list its type, which a message may leave out.
pub(crate) fn spell_out(body: &mut Value) {
    for list in ["input", "items"] {
        let items = body.get_mut(list).and_then(Value::as_array_mut);
        spell_out_items(items.into_iter().flatten());
    }
}

/// Gives each item its type.
fn spell_out_items<'a>(items: impl Iterator<Item = &'a mut Value>) {
    for item in items {
        if let Some(fields) = item.as_object_mut() {
            let message = fields.contains_key("role") && !fields.contains_key("type");
            let kind = if message { Some("message") } else { None };
            // A reference is known by its id alone.
            let bare = fields.len() == 1 && fields.contains_key("id");
            if let Some(kind) = kind.or(bare.then_some("item_reference")) {
                fields.insert("type".to_owned(), json!(kind));
            } else if fields.get("type") == Some(&Value::Null) && fields.contains_key("id") {
                fields.insert("type".to_owned(), json!("item_reference"));
            }
        }
    }
}

/// Reads what a response asks for. `items` is everything that the model gets to see, from the first turn on.
pub(crate) fn read(body: &Value, items: &[Value], model: &str) -> Ask {
    let mut count = PromptCount { tokens: 3 };
    let mut ask = Ask { model: model.to_owned(), choices: 1, ..Ask::default() };
    count.text(text_at(body, "instructions"));
    for item in items {
        read_item(item, &mut ask, &mut count);
    }
    if let Some(text) = body.get("input").and_then(Value::as_str) {
        count.message();
        count.text(text);
        (ask.last_user, ask.tool_result) = (text.to_owned(), None);
    }
    for tool in items_at(body, "tools") {
        count.json(tool);
        let schema = match text_at(tool, "type") {
            "function" => tool.get("parameters").filter(|schema| schema.is_object()).cloned(),
            "custom" => Some(json!({"type": "object", "properties": {"input": {"type": "string"}}})),
            _ => continue,
        };
        let schema = schema.unwrap_or_else(|| json!({"type": "object"}));
        ask.tools.push(Tool { name: text_at(tool, "name").to_owned(), schema });
    }
    ask.prompt_tokens = count.tokens;
    ask.tool_choice = tool_choice(body);
    ask.parallel = body.get("parallel_tool_calls").and_then(Value::as_bool).unwrap_or(true);
    ask.schema = body.pointer("/text/format/schema").cloned();
    ask.json = body.pointer("/text/format/type").and_then(Value::as_str) == Some("json_object");
    ask.max_tokens = number_at(body, "max_output_tokens");
    ask.stream = flag_at(body, "stream");
    ask.thinking = thinking(body);
    ask
}

fn read_item(item: &Value, ask: &mut Ask, count: &mut PromptCount) {
    match text_at(item, "type") {
        "message" => {
            count.message();
            let text = content_text(item.get("content"), count);
            match text_at(item, "role") {
                "user" => (ask.last_user, ask.tool_result) = (text, None),
                "assistant" => ask.tool_result = None,
                _ => {}
            }
        }
        kind if kind.ends_with("_output") => {
            count.message();
            let text = content_text(item.get("output"), count);
            ask.tool_result.get_or_insert_default().push_str(&text);
        }
        _ => count.json(item),
    }
}

fn content_text(content: Option<&Value>, count: &mut PromptCount) -> String {
    let mut all = String::new();
    match content {
        Some(Value::String(text)) => {
            count.text(text);
            all.clone_from(text);
        }
        Some(Value::Array(parts)) => {
            for part in parts {
                match text_at(part, "type") {
                    "input_text" | "output_text" => {
                        count.text(text_at(part, "text"));
                        all.push_str(text_at(part, "text"));
                    }
                    "refusal" => count.text(text_at(part, "refusal")),
                    _ => count.attachment(),
                }
            }
        }
        Some(other) => count.json(other),
        None => {}
    }
    all
}

fn tool_choice(body: &Value) -> ToolChoice {
    match body.get("tool_choice") {
        Some(Value::String(word)) if word == "none" => ToolChoice::Never,
        Some(Value::String(word)) if word == "required" => ToolChoice::Any,
        Some(choice) => match (text_at(choice, "type"), text_at(choice, "mode")) {
            ("function" | "custom", _) => ToolChoice::Named(text_at(choice, "name").to_owned()),
            ("allowed_tools", "required") => ToolChoice::Any,
            _ => ToolChoice::Free,
        },
        None => ToolChoice::Free,
    }
}

fn thinking(body: &Value) -> Thinking {
    let Some(config) = body.get("reasoning") else { return Thinking::Off };
    let summary = config.get("summary").or_else(|| config.get("generate_summary"));
    match (summary, text_at(config, "effort")) {
        (Some(Value::String(_)), _) => Thinking::Shown,
        (_, "" | "none") => Thinking::Off,
        _ => Thinking::Hidden,
    }
}

/// What a response was asked with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asking<'a> {
    pub(crate) store: &'a Store,
    pub(crate) owner: &'a Owner,
    pub(crate) body: &'a Value,
    pub(crate) ask: &'a Ask,
    /// `Some`: the response fails after so many tokens, with an error event or as a failed response.
    pub(crate) breaks: Option<Breaks>,
}

/// How a response breaks off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Breaks {
    /// With an `error` event (a stream alone).
    Error { after: usize, status: u16 },
    /// With the status `failed`.
    Failed { after: usize },
}

/// Makes a response, keeps it when it is to be kept, and replies with it.
pub(crate) fn create(asking: Asking<'_>, making: &mut Making<'_>) -> Reply {
    let Asking { store, owner, body, ask, breaks } = asking;
    let made = reply::Made::new(asking, making);
    let failed = matches!(breaks, Some(Breaks::Failed { .. }));
    let whole = if failed { made.failed() } else { made.finished() };
    let background = flag_at(body, "background");
    if body.get("store").and_then(Value::as_bool).unwrap_or(true) || background {
        store.keep(owner, body, &whole, making.ids);
    }
    store.converse(owner, body, &whole, making.ids);
    if ask.stream {
        let mut events = events::events(&made, &whole, making);
        if let Some(breaks) = breaks {
            events = events::broken(events, breaks, &made);
        }
        return Reply::events(events);
    }
    Reply::json(&if background { made.queued() } else { whole })
}

/// What a request to count tokens is answered with.
pub(crate) fn token_count(ask: &Ask) -> Reply {
    Reply::json(&json!({"object": "response.input_tokens", "input_tokens": ask.prompt_tokens}))
}

fn not_found(id: &str) -> ApiError {
    ApiError::new(404, format!("Response with id '{id}' not found.")).code("")
}

/// A kept response.
pub(crate) fn get(store: &Store, owner: &Owner, id: &str) -> Result<Reply, ApiError> {
    store.poll(owner, id).map(|object| Reply::json(&object)).ok_or_else(|| not_found(id))
}

/// Lets a kept response go.
pub(crate) fn delete(store: &Store, owner: &Owner, id: &str) -> Result<Reply, ApiError> {
    store.remove(owner, id).ok_or_else(|| not_found(id))?;
    Ok(Reply::json(&json!({"id": id, "object": "response", "deleted": true})))
}

/// Cancels a response that runs in the background.
pub(crate) fn cancel(store: &Store, owner: &Owner, id: &str) -> Result<Reply, ApiError> {
    match store.cancel(owner, id) {
        None => Err(not_found(id)),
        Some(None) => Err(ApiError::bad_request("Cannot cancel a synchronous response.")),
        Some(Some(object)) => Ok(Reply::json(&object)),
    }
}

/// The items that a kept response was asked with.
pub(crate) fn input_items(store: &Store, owner: &Owner, id: &str, query: &str) -> Result<Reply, ApiError> {
    let mut items = store.input(owner, id).ok_or_else(|| not_found(id))?;
    items.reverse();
    page(items, query, PAGE_MAX).map(|page| Reply::json(&page))
}

#[cfg(test)]
mod tests;
