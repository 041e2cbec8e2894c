//! `chat.completion.chunk`s: the role, deltas, the finish, then the usage without choices.

use super::{Feed, items, pieces, text};
use serde_json::{Value, json};

pub(super) fn write(reply: &Value, size: usize, feed: &mut Feed) {
    let chunk = |choices: Value, usage: &Value| {
        let mut chunk = json!({
            "id": reply["id"], "object": "chat.completion.chunk", "created": reply["created"], "model": reply["model"],
            "choices": choices, "usage": usage,
        });
        if !reply["service_tier"].is_null() {
            chunk["service_tier"] = reply["service_tier"].clone();
        }
        chunk
    };
    for choice in items(reply, "choices") {
        let index = &choice["index"];
        let mut delta = |delta: Value, logprobs: Value| {
            let choice = json!({"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": null});
            feed.push(chunk(json!([choice]), &Value::Null));
        };
        write_message(choice, size, &mut delta);
        let mut last =
            json!({"index": index, "delta": {}, "logprobs": null, "finish_reason": choice["finish_reason"]});
        if let Some(stop) = choice.get("stop_reason") {
            last["stop_reason"] = stop.clone();
        }
        feed.push(chunk(json!([last]), &Value::Null));
    }
    feed.push(chunk(json!([]), &reply["usage"]));
}

fn write_message(choice: &Value, size: usize, delta: &mut dyn FnMut(Value, Value)) {
    let message = &choice["message"];
    delta(json!({"role": "assistant", "content": "", "refusal": null}), Value::Null);
    for piece in pieces(text(message, "reasoning_content"), size) {
        delta(json!({"reasoning_content": piece}), Value::Null);
    }
    let tokens = items(&choice["logprobs"], "content");
    for token in tokens {
        delta(json!({"content": token["token"]}), json!({"content": [token], "refusal": null}));
    }
    if tokens.is_empty() {
        for piece in pieces(text(message, "content"), size) {
            delta(json!({"content": piece}), Value::Null);
        }
    }
    if !items(message, "annotations").is_empty() {
        delta(json!({"annotations": message["annotations"]}), Value::Null);
    }
    for piece in pieces(text(message, "refusal"), size) {
        delta(json!({"refusal": piece}), Value::Null);
    }
    if let Some(audio) = message.get("audio") {
        delta(json!({"audio": {"id": audio["id"], "transcript": ""}}), Value::Null);
        for piece in pieces(text(audio, "transcript"), size) {
            delta(json!({"audio": {"transcript": piece}}), Value::Null);
        }
        delta(json!({"audio": {"data": audio["data"]}}), Value::Null);
        delta(json!({"audio": {"expires_at": audio["expires_at"]}}), Value::Null);
    }
    if let Some(images) = message.get("images") {
        delta(json!({"images": images}), Value::Null);
    }
    for (index, call) in items(message, "tool_calls").iter().enumerate() {
        let (kind, argument) =
            if call["type"] == "custom" { ("custom", "input") } else { ("function", "arguments") };
        let start = json!({"index": index, "id": call["id"], "type": kind, kind: {"name": call[kind]["name"], argument: ""}});
        delta(json!({"tool_calls": [start]}), Value::Null);
        for piece in pieces(text(&call[kind], argument), size) {
            delta(json!({"tool_calls": [{"index": index, kind: {argument: piece}}]}), Value::Null);
        }
    }
}
