//! The events of Cohere's version 2: the blocks of content, the plan, the calls, citations, the end with the usage.

use super::{Feed, items, pieces, text};
use serde_json::{Value, json};

pub(super) fn write(reply: &Value, size: usize, feed: &mut Feed) {
    let message = &reply["message"];
    let begun =
        json!({"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []});
    event(feed, json!({"id": reply["id"], "type": "message-start", "delta": {"message": begun}}));
    for (index, block) in items(message, "content").iter().enumerate() {
        let kind = text(block, "type");
        let content = |text: &str| json!({"message": {"content": {"type": kind, kind: text}}});
        event(feed, json!({"type": "content-start", "index": index, "delta": content("")}));
        for (piece, logprobs) in said(reply, text(block, kind), size) {
            let mut delta = json!({"type": "content-delta", "index": index, "delta": {"message": {"content": {kind: piece}}}});
            if let Some(logprobs) = logprobs {
                delta["logprobs"] = logprobs.clone();
            }
            event(feed, delta);
        }
        event(feed, json!({"type": "content-end", "index": index}));
    }
    for piece in pieces(text(message, "tool_plan"), size) {
        event(feed, json!({"type": "tool-plan-delta", "delta": {"message": {"tool_plan": piece}}}));
    }
    for (index, call) in items(message, "tool_calls").iter().enumerate() {
        let calls = |call: Value| json!({"message": {"tool_calls": call}});
        let mut begun = call.clone();
        begun["function"]["arguments"] = json!("");
        event(feed, json!({"type": "tool-call-start", "index": index, "delta": calls(begun)}));
        for piece in pieces(text(&call["function"], "arguments"), size) {
            let delta = calls(json!({"function": {"arguments": piece}}));
            event(feed, json!({"type": "tool-call-delta", "index": index, "delta": delta}));
        }
        event(feed, json!({"type": "tool-call-end", "index": index}));
    }
    for (index, citation) in items(message, "citations").iter().enumerate() {
        let delta = json!({"message": {"citations": citation}});
        event(feed, json!({"type": "citation-start", "index": index, "delta": delta}));
        event(feed, json!({"type": "citation-end", "index": index}));
    }
    let end = json!({"finish_reason": reply["finish_reason"], "usage": reply["usage"]});
    event(feed, json!({"type": "message-end", "delta": end}));
}

/// The pieces of a text, each with its probabilities where they are told.
fn said<'r>(reply: &'r Value, words: &str, size: usize) -> Vec<(String, Option<&'r Value>)> {
    let tokens = items(reply, "logprobs");
    if tokens.is_empty() {
        return pieces(words, size).into_iter().map(|piece| (piece, None)).collect();
    }
    tokens.iter().map(|token| (text(token, "text").to_owned(), Some(token))).collect()
}

fn event(feed: &mut Feed, data: Value) {
    let name = text(&data, "type").to_owned();
    feed.named(&name, data);
}
