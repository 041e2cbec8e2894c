//! `message_start`, the blocks with their deltas, `message_delta` with the cumulative usage, `message_stop`.

use super::{Feed, items, pieces, text, without};
use serde_json::{Value, json};

pub(super) fn write(reply: &Value, size: usize, feed: &mut Feed) {
    let mut begun = without(reply, &["stop_details"]);
    begun["content"] = json!([]);
    begun["stop_reason"] = Value::Null;
    begun["stop_sequence"] = Value::Null;
    begun["usage"]["output_tokens"] = json!(1);
    event(feed, json!({"type": "message_start", "message": begun}));
    event(feed, json!({"type": "ping"}));
    for (index, block) in items(reply, "content").iter().enumerate() {
        event(feed, json!({"type": "content_block_start", "index": index, "content_block": begin(block)}));
        for delta in deltas(block, size) {
            event(feed, json!({"type": "content_block_delta", "index": index, "delta": delta}));
        }
        event(feed, json!({"type": "content_block_stop", "index": index}));
    }
    let mut end = json!({"stop_reason": reply["stop_reason"], "stop_sequence": reply["stop_sequence"]});
    if let Some(details) = reply.get("stop_details") {
        end["stop_details"] = details.clone();
    }
    // What the beginning said of the prompt is said again, in sum.
    let usage = without(&reply["usage"], &["service_tier", "cache_creation"]);
    event(feed, json!({"type": "message_delta", "delta": end, "usage": usage}));
    event(feed, json!({"type": "message_stop"}));
}

fn event(feed: &mut Feed, data: Value) {
    let name = text(&data, "type").to_owned();
    feed.named(&name, data);
}

fn begin(block: &Value) -> Value {
    let mut begun = block.clone();
    match text(block, "type") {
        "text" => {
            begun["text"] = json!("");
            if block.get("citations").is_some() {
                begun["citations"] = json!([]);
            }
        }
        "thinking" => {
            begun["thinking"] = json!("");
            begun["signature"] = json!("");
        }
        "tool_use" | "server_tool_use" => begun["input"] = json!({}),
        _ => {}
    }
    begun
}

fn deltas(block: &Value, size: usize) -> Vec<Value> {
    let mut deltas = Vec::new();
    match text(block, "type") {
        "text" => {
            deltas.extend(
                items(block, "citations")
                    .iter()
                    .map(|citation| json!({"type": "citations_delta", "citation": citation})),
            );
            deltas.extend(
                pieces(text(block, "text"), size)
                    .into_iter()
                    .map(|text| json!({"type": "text_delta", "text": text})),
            );
        }
        "thinking" => {
            let thoughts = pieces(text(block, "thinking"), size).into_iter();
            deltas.extend(thoughts.map(|text| json!({"type": "thinking_delta", "thinking": text})));
            deltas.push(json!({"type": "signature_delta", "signature": block["signature"]}));
        }
        "tool_use" | "server_tool_use" => {
            deltas.push(json!({"type": "input_json_delta", "partial_json": ""}));
            let input = if block["input"].as_object().is_some_and(|input| input.is_empty()) {
                String::new()
            } else {
                block["input"].to_string()
            };
            deltas.extend(
                pieces(&input, size)
                    .into_iter()
                    .map(|json| json!({"type": "input_json_delta", "partial_json": json})),
            );
        }
        _ => {}
    }
    deltas
}
