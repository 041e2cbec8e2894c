//! The events of ConverseStream: the message, its blocks with their deltas, the stop, the metadata.

use super::{Feed, items, pieces, text};
use serde_json::{Value, json};

pub(super) fn write(reply: &Value, size: usize, feed: &mut Feed) {
    let message = &reply["output"]["message"];
    feed.named("messageStart", json!({"role": message["role"]}));
    for (index, block) in items(message, "content").iter().enumerate() {
        if let Some(start) = start(block) {
            feed.named("contentBlockStart", json!({"contentBlockIndex": index, "start": start}));
        }
        for delta in deltas(block, size) {
            feed.named("contentBlockDelta", json!({"contentBlockIndex": index, "delta": delta}));
        }
        feed.named("contentBlockStop", json!({"contentBlockIndex": index}));
    }
    let mut stop = json!({"stopReason": reply["stopReason"]});
    if let Some(fields) = reply.get("additionalModelResponseFields") {
        stop["additionalModelResponseFields"] = fields.clone();
    }
    feed.named("messageStop", stop);
    let mut metadata = json!({"usage": reply["usage"], "metrics": reply["metrics"]});
    if let Some(tier) = reply.get("serviceTier") {
        metadata["serviceTier"] = tier.clone();
    }
    feed.named("metadata", metadata);
}

fn start(block: &Value) -> Option<Value> {
    if let Some(call) = block.get("toolUse") {
        return Some(json!({"toolUse": {"toolUseId": call["toolUseId"], "name": call["name"]}}));
    }
    let image = block.get("image")?;
    Some(json!({"image": {"format": image["format"]}}))
}

fn deltas(block: &Value, size: usize) -> Vec<Value> {
    let (kind, value) = block.as_object().unwrap().iter().next().unwrap();
    match kind.as_str() {
        "text" => {
            pieces(value.as_str().unwrap(), size).into_iter().map(|text| json!({"text": text})).collect()
        }
        "toolUse" => pieces(&value["input"].to_string(), size)
            .into_iter()
            .map(|json| json!({"toolUse": {"input": json}}))
            .collect(),
        "image" => vec![json!({"image": {"source": value["source"]}})],
        "reasoningContent" => {
            if let Some(data) = value.get("redactedContent") {
                return vec![json!({"reasoningContent": {"redactedContent": data}})];
            }
            let thought = &value["reasoningText"];
            let texts = pieces(text(thought, "text"), size).into_iter();
            let mut deltas: Vec<Value> =
                texts.map(|text| json!({"reasoningContent": {"text": text}})).collect();
            deltas.push(json!({"reasoningContent": {"signature": thought["signature"]}}));
            deltas
        }
        "citationsContent" => {
            let texts =
                items(value, "content").iter().flat_map(|content| pieces(text(content, "text"), size));
            let mut deltas: Vec<Value> = texts.map(|text| json!({"text": text})).collect();
            deltas.extend(items(value, "citations").iter().map(|citation| json!({"citation": citation})));
            deltas
        }
        other => panic!("no delta of {other}"),
    }
}
