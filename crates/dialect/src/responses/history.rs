//! Stored conversations: the input items of a request as the API lists them, and earlier turns put before a request.
//!
//! Owns the form of listed items. Leaves finding what is stored, and in which order a list is given, to the server.

use crate::json::read::{self, Place};
use crate::wire::RequestError;
use serde_json::{Map, Value, json};

/// What ids of items begin with, by type.
const PREFIXES: [(&str, &str); 7] = [
    ("message", "msg"),
    ("function_call", "fc"),
    ("function_call_output", "fco"),
    ("custom_tool_call", "ctc"),
    ("custom_tool_call_output", "ctco"),
    ("reasoning", "rs"),
    ("image_generation_call", "ig"),
];

/// What stands before a signature that is not OpenAI's, in JSON.
const MARK: &[u8] = b"\"tollgate.";

/// One turn that has been answered.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StoredTurn {
    /// The items that [`input_items`] gave for its request.
    pub input: Vec<Value>,
    /// The `output` of its response.
    pub output: Vec<Value>,
}

/// The input items of a request's body in the order in which they came, as `GET /responses/{id}/input_items` shows them:
/// every item has a type and an id (made of `id_seed` where the caller gave none), every message a list of parts and a
/// status.
///
/// # Errors
/// [`RequestError`] when the body is no JSON object, or `input` no string and no list of objects.
pub fn input_items(body: &[u8], id_seed: &str) -> Result<Vec<Value>, RequestError> {
    let mut items = take_input(&mut read::body(body)?)?;
    for (index, item) in items.iter_mut().enumerate() {
        let at = Place::Top("input");
        let Value::Object(members) = item else { return Err(at.item(index).error("must be an object")) };
        let kind = match members.get("type").and_then(Value::as_str) {
            Some(kind) => kind.to_owned(),
            None if members.contains_key("role") => "message".to_owned(),
            None => "item_reference".to_owned(),
        };
        let prefix = PREFIXES.iter().find(|(of, _)| *of == kind).map_or("item", |(_, prefix)| *prefix);
        let mut listed = Map::new();
        listed.insert("id".to_owned(), json!(format!("{prefix}_{id_seed}_{index}")));
        listed.insert("type".to_owned(), json!(kind));
        if kind == "message" {
            listed.insert("status".to_owned(), json!("completed"));
        }
        members.retain(|_, value| !value.is_null());
        listed.extend(std::mem::take(members));
        if kind == "message" {
            spell_out_content(&mut listed);
        }
        *item = Value::Object(listed);
    }
    Ok(items)
}

/// A message's content as a list of parts.
fn spell_out_content(message: &mut Map<String, Value>) {
    let is_answer = message.get("role").is_some_and(|role| role == "assistant");
    if let Some(content) = message.get_mut("content")
        && let Value::String(text) = content
    {
        let part = if is_answer {
            json!({"type": "output_text", "text": text, "annotations": []})
        } else {
            json!({"type": "input_text", "text": text})
        };
        *content = json!([part]);
    }
}

/// Takes `input` as a list of items; none is an empty list.
fn take_input(members: &mut Map<String, Value>) -> Result<Vec<Value>, RequestError> {
    let at = Place::Top("input");
    match read::take(members, "input") {
        None => Ok(Vec::new()),
        Some(Value::String(text)) => Ok(vec![json!({"type": "message", "role": "user", "content": text})]),
        Some(Value::Array(items)) => Ok(items),
        Some(other) => Err(read::neither_string_nor_list(&other, "items", &at)),
    }
}

/// The body of a request with earlier turns before its own input, oldest first, and without `previous_response_id`: the
/// same request for a provider that stores nothing. Instructions of earlier turns do not count, as at OpenAI.
///
/// An item that the request gives again (by its id) stands where the caller put it, once.
///
/// # Errors
/// As [`input_items`].
pub fn extend(previous: &[StoredTurn], body: &[u8]) -> Result<Vec<u8>, RequestError> {
    let mut members = read::body(body)?;
    let own = take_input(&mut members)?;
    members.shift_remove("previous_response_id");
    let id_of = |item: &Value| item.get("id").and_then(Value::as_str).map(str::to_owned);
    let given: Vec<String> = own.iter().filter_map(id_of).collect();
    let earlier = previous.iter().flat_map(|turn| turn.input.iter().chain(&turn.output));
    let earlier = earlier.filter(|item| !id_of(item).is_some_and(|id| given.contains(&id)));
    let input: Vec<Value> = earlier.cloned().chain(own).collect();
    members.insert("input".to_owned(), Value::Array(input));
    Ok(Value::Object(members).to_string().into_bytes())
}

/// Whether a body holds what another maker's model signed, which OpenAI itself would refuse: such a body has to be read and
/// written again, not passed on.
pub fn carries_marks(body: &[u8]) -> bool {
    memchr::memmem::find(body, MARK).is_some()
}
