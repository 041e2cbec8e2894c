//! The legacy `/v1/completions` body, read as a chat of one user message, for providers that only chat.

use super::{Place, read_stream_options, sampling};
use crate::conversation::{ChatRequest, Message, Part, Role};
use crate::openai::read;
use crate::wire::RequestError;
use serde_json::Value;

/// Reads a `completions` body.
///
/// `logprobs: n` becomes log probabilities with n alternatives. What a chat cannot do (`suffix`, `echo`, `best_of`)
/// is kept in `extra` where it asks for something, so that it is refused or dropped like any other parameter.
///
/// # Errors
/// [`RequestError`] as in [`super::decode_chat`]; also for prompts of token ids, which belong to one model's
/// vocabulary, and for several prompts in one request.
pub fn decode_completions(body: &[u8]) -> Result<ChatRequest, RequestError> {
    let mut request = ChatRequest::default();
    let (mut has_model, mut prompt) = (false, None);
    for (name, value) in read::body(body)? {
        if value.is_null() {
            continue;
        }
        let at = &Place::Top(&name);
        match name.as_str() {
            "model" => {
                request.model = read::filled_string(value, at)?;
                has_model = true;
            }
            "prompt" => prompt = Some(read_prompt(value, at)?),
            "max_tokens" => request.sampling.max_tokens = Some(read::natural(&value, at)?),
            "logprobs" => {
                request.sampling.logprobs = Some(true);
                request.sampling.top_logprobs = Some(read::natural(&value, at)?);
            }
            "user" => request.user = Some(read::string(value, at)?),
            "stream" => request.stream = read::boolean(&value, at)?,
            "stream_options" => read_stream_options(value, at, &mut request)?,
            "echo" if !read::boolean(&value, at)? => {}
            "suffix" if read::string(value.clone(), at)?.is_empty() => {}
            "best_of" if read::natural(&value, at)? <= 1 => {}
            _ => {
                if let Some(value) = sampling::read(&mut request.sampling, value, at)? {
                    request.extra.insert(name, value);
                }
            }
        }
    }
    if !has_model {
        return Err(Place::Top("model").missing());
    }
    let text = prompt.ok_or_else(|| Place::Top("prompt").missing())?;
    request.messages.push(Message { role: Role::User, parts: vec![Part::text(text)], name: None });
    Ok(request)
}

fn read_prompt(value: Value, at: &Place<'_>) -> Result<String, RequestError> {
    let items = match value {
        Value::String(text) => return Ok(text),
        Value::Array(items) => items,
        other => return Err(read::neither_string_nor_list(&other, "strings", at)),
    };
    if items.iter().any(|item| item.is_number() || item.is_array()) {
        return Err(at.error("is made of token ids, which this model cannot take; send text"));
    }
    let mut texts = items.into_iter();
    match (texts.next(), texts.next()) {
        (Some(text), None) => read::string(text, &at.item(0)),
        (None, _) => Err(at.error("must not be an empty list")),
        (Some(_), Some(_)) => {
            Err(at.error("has several prompts, but this model takes one at a time; send a request for each"))
        }
    }
}
