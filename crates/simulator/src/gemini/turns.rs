//! The order of contents at Gemini: a function call follows the user, and as many responses follow it.
//!
//! Owns: rules between contents. Leaves to others: the fields (`tables`), the parts of one content (`check`).
//!
//! **Invariant:** the contents have passed the tables and each has parts. Contents of one role in a row are one turn.

use super::{THOUGHT, UNSIGNED, get, items, text};
use crate::error::ApiError;
use crate::openai::embedding::base64;
use crate::signature;
use serde_json::Value;

#[derive(Default)]
struct Turn<'a> {
    model: bool,
    calls: Vec<&'a str>,
    responses: Vec<&'a str>,
}

/// Checks the contents of a request.
pub(super) fn check(contents: &[Value]) -> Result<(), ApiError> {
    let mut before: Option<Turn<'_>> = None;
    for turn in turns(contents) {
        let previous_calls = before.as_ref().map(|turn| turn.calls.as_slice()).unwrap_or_default();
        if turn.model && !turn.calls.is_empty() && before.is_none() {
            return Err(ApiError::bad_request(
                "Please ensure that function call turn comes immediately after a user turn or after a function \
                 response turn.",
            ));
        }
        if !turn.responses.is_empty() && previous_calls.is_empty() {
            return Err(ApiError::bad_request(
                "Please ensure that function response turn comes immediately after a function call turn.",
            ));
        }
        answered(previous_calls, &turn.responses)?;
        before = Some(turn);
    }
    let last_calls = before.as_ref().map(|turn| turn.calls.as_slice()).unwrap_or_default();
    answered(last_calls, &[])
}

/// Thought signatures come back as they were given out; Gemini 3 wants them on the calls of the turn under way.
pub(super) fn check_signatures(contents: &[Value], model: &str) -> Result<(), ApiError> {
    let parts = contents.iter().flat_map(|content| items(content, "parts"));
    let signatures = parts.filter_map(|part| get(part, "thoughtSignature")).filter_map(Value::as_str);
    if signatures.into_iter().any(|signature| !is_signature(signature)) {
        return Err(ApiError::bad_request("Corrupted thought signature."));
    }
    if !model.starts_with("gemini-3") {
        return Ok(());
    }
    let asks = |content: &Value| {
        text(content, "role") != "model"
            && items(content, "parts").iter().any(|part| get(part, "text").is_some())
    };
    let from = contents.iter().rposition(asks).map_or(0, |at| at + 1);
    for (index, content) in contents.iter().enumerate().skip(from) {
        let mut calls = items(content, "parts").iter().filter(|part| get(part, "functionCall").is_some());
        // Of parallel calls the first is signed.
        let Some(call) = calls.next().filter(|part| get(part, "thoughtSignature").is_none()) else {
            continue;
        };
        let name = get(call, "functionCall").map(|call| text(call, "name")).unwrap_or_default();
        return Err(ApiError::bad_request(format!(
            "Function call is missing a thought_signature in functionCall parts. This is required for tools to work \
             correctly, and missing thought_signature may lead to degraded model performance. Additional data, function \
             call `default_api:{name}` , position {}. Please refer to \
             https://ai.google.dev/gemini-api/docs/thought-signatures for more details.",
            index + 1
        )));
    }
    Ok(())
}

fn is_signature(signature: &str) -> bool {
    let is = |known: &str| signature == known || base64(known.as_bytes()) == signature;
    UNSIGNED.into_iter().any(is) || signature::is_good(signature, THOUGHT)
}

fn answered(calls: &[&str], responses: &[&str]) -> Result<(), ApiError> {
    if calls.len() != responses.len() {
        return Err(ApiError::bad_request(
            "Please ensure that the number of function response parts is equal to the number of function call parts \
             of the function call turn.",
        ));
    }
    match responses.iter().find(|name| !calls.contains(name)) {
        Some(name) => Err(ApiError::bad_request(format!(
            "Please ensure that each function response has the name of a function call: '{name}' has not."
        ))),
        None => Ok(()),
    }
}

fn turns(contents: &[Value]) -> Vec<Turn<'_>> {
    let mut turns: Vec<Turn<'_>> = Vec::new();
    for content in contents {
        let model = text(content, "role") == "model";
        if turns.last().is_none_or(|turn| turn.model != model) {
            turns.push(Turn { model, ..Turn::default() });
        }
        let Some(turn) = turns.last_mut() else { continue };
        for part in items(content, "parts") {
            turn.calls.extend(get(part, "functionCall").map(|call| text(call, "name")));
            turn.responses.extend(get(part, "functionResponse").map(|response| text(response, "name")));
        }
    }
    turns
}
