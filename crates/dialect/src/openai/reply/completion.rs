//! Reads whole legacy completions.
//!
//! Owns the form of `text_completion`, whose words are chat's otherwise. **Invariant:** what
//! [`encode_completion`](super::encode_completion) wrote is read as the answer that it wrote.

use super::{stop_reason, stop_sequence, stop_with};
use crate::conversation::{ChatReply, Choice, Part};
use crate::openai::{error, usage::read_usage};
use crate::wire::ReplyFault;
use serde_json::{Map, Value, json};

/// Reads a `text_completion` body that came with a status of success. The four lists of its log probabilities become
/// chat's one.
///
/// # Errors
/// As for [`decode_reply`](super::decode_reply).
pub fn decode_completion(body: &[u8]) -> Result<ChatReply, ReplyFault> {
    let Ok(Value::Object(mut members)) = serde_json::from_slice(body) else {
        return Err(ReplyFault::Malformed("the body is not a JSON object"));
    };
    let Some(Value::Array(choices)) = members.remove("choices") else {
        return Err(error::in_place_of_answer(&Value::Object(members))
            .map_or(ReplyFault::Malformed("there are no choices"), ReplyFault::Error));
    };
    if choices.is_empty() {
        return Err(ReplyFault::Malformed("the list of choices is empty"));
    }
    let text = |name: &str| members.get(name).and_then(Value::as_str).map(str::to_owned);
    Ok(ChatReply {
        id: text("id").unwrap_or_default(),
        model: text("model").unwrap_or_default(),
        created: members.get("created").and_then(Value::as_u64),
        choices: (0..).zip(&choices).map(|(at, choice)| read_choice(at, choice)).collect::<Result<_, _>>()?,
        usage: members.get("usage").and_then(read_usage).unwrap_or_default(),
        system_fingerprint: text("system_fingerprint"),
        service_tier: text("service_tier"),
    })
}

fn read_choice(at: u64, choice: &Value) -> Result<Choice, ReplyFault> {
    let choice = choice.as_object().ok_or(ReplyFault::Malformed("a choice is not an object"))?;
    let text =
        choice.get("text").and_then(Value::as_str).ok_or(ReplyFault::Malformed("a choice has no text"))?;
    let stop_sequence = stop_sequence(choice);
    let stop = choice.get("finish_reason").and_then(Value::as_str).map(stop_reason);
    Ok(Choice {
        index: choice.get("index").and_then(Value::as_u64).unwrap_or(at),
        parts: if text.is_empty() { Vec::new() } else { vec![Part::text(text)] },
        stop: stop.map(|stop| stop_with(stop, stop_sequence.as_deref())),
        stop_sequence,
        logprobs: choice.get("logprobs").and_then(chat_logprobs),
    })
}

/// The legacy form's parallel lists as chat's list of tokens.
fn chat_logprobs(logprobs: &Value) -> Option<Value> {
    let list = |name: &str| logprobs.get(name).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let (values, tops) = (list("token_logprobs"), list("top_logprobs"));
    let tokens = logprobs.get("tokens")?.as_array()?.iter().enumerate();
    let content = tokens.map(|(at, token)| {
        let top = tops.get(at).and_then(Value::as_object).into_iter().flatten();
        let top =
            top.map(|(token, value)| json!({"token": token, "logprob": value, "bytes": token.as_bytes()}));
        let mut entry = Map::new();
        entry.insert("token".to_owned(), token.clone());
        entry.insert("logprob".to_owned(), values.get(at).cloned().unwrap_or_default());
        entry.insert("bytes".to_owned(), json!(token.as_str().unwrap_or_default().as_bytes()));
        entry.insert("top_logprobs".to_owned(), top.collect());
        Value::Object(entry)
    });
    Some(json!({"content": content.collect::<Vec<_>>(), "refusal": null}))
}
