//! Whole `GenerateContentResponse`s, each with the next pieces and the counts so far; the last says why it ended.

use super::{Feed, items, pieces, text, without};
use serde_json::{Value, json};

pub(super) fn write(reply: &Value, size: usize, feed: &mut Feed) {
    let frame = |candidates: Value, usage: Value| {
        json!({"candidates": candidates, "usageMetadata": usage, "modelVersion": reply["modelVersion"],
            "responseId": reply["responseId"]})
    };
    // The prompt is known from the first frame on; the answer's tokens grow.
    let so_far = json!({
        "promptTokenCount": reply["usageMetadata"]["promptTokenCount"],
        "candidatesTokenCount": 1,
        "totalTokenCount": reply["usageMetadata"]["promptTokenCount"].as_u64().unwrap_or(0) + 1,
    });
    for candidate in items(reply, "candidates") {
        let tells_probabilities = candidate.get("logprobsResult").is_some();
        let parts = items(&candidate["content"], "parts").iter();
        let parts: Vec<Value> =
            parts.flat_map(|part| split(part, if tells_probabilities { usize::MAX } else { size })).collect();
        for part in &parts {
            let mut next =
                json!({"content": {"role": "model", "parts": [part]}, "index": candidate["index"]});
            if tells_probabilities {
                next["logprobsResult"] = candidate["logprobsResult"].clone();
            }
            feed.push(frame(json!([next]), so_far.clone()));
        }
        let mut last = without(candidate, &["content", "logprobsResult"]);
        last["content"] = json!({"role": "model", "parts": [{"text": ""}]});
        feed.push(frame(json!([last]), reply["usageMetadata"].clone()));
    }
}

/// A text in pieces, the signature with the last of them; any other part whole.
fn split(part: &Value, size: usize) -> Vec<Value> {
    if part.get("text").is_none() {
        return vec![part.clone()];
    }
    let mut split: Vec<Value> = pieces(text(part, "text"), size)
        .into_iter()
        .map(|piece| {
            let mut part = without(part, &["thoughtSignature"]);
            part["text"] = json!(piece);
            part
        })
        .collect();
    if let (Some(last), Some(signature)) = (split.last_mut(), part.get("thoughtSignature")) {
        last["thoughtSignature"] = signature.clone();
    }
    split
}
