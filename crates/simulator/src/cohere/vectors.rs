//! Cohere's replies about texts: embeddings of every type, rankings.
//!
//! Owns: their shapes; the scores. Leaves to others: the vectors themselves (`openai::embedding`), the rules of a
//! request (`check`).
//!
//! **Invariant:** a document that is the query itself has the best score, and of equal scores the earlier document
//! comes first.

use super::uuid;
use crate::ask::{PromptCount, flag_at, items_at, number_at, text_at, tokens_of};
use crate::openai::embedding::{base64, vector};
use crate::reply::Making;
use serde_json::{Map, Value, json};

/// Documents of one search unit (pricing page).
const UNIT_DOCUMENTS: u64 = 100;
/// Dimensions of the vectors that texts are compared by.
const SCORE_DIMENSIONS: usize = 256;

/// The texts of a request for embeddings, images as what they are made of.
fn texts(body: &Value) -> Vec<String> {
    let plain = items_at(body, "texts").iter().chain(items_at(body, "images"));
    let mut all: Vec<String> = plain.filter_map(Value::as_str).map(str::to_owned).collect();
    for input in items_at(body, "inputs") {
        let parts = items_at(input, "content").iter().map(|part| match text_at(part, "type") {
            "text" => text_at(part, "text"),
            _ => part.pointer("/image_url/url").and_then(Value::as_str).unwrap_or_default(),
        });
        all.push(parts.collect::<Vec<_>>().join(" "));
    }
    all
}

/// The tokens of a request for embeddings.
pub(super) fn tokens_to_embed(body: &Value) -> u64 {
    let mut count = PromptCount::default();
    for text in texts(body) {
        if text.starts_with("data:image/") {
            count.attachment();
        } else {
            count.text(&text);
        }
    }
    count.tokens
}

/// The tokens of a request to rank.
pub(super) fn tokens_to_rank(body: &Value) -> u64 {
    let documents: u64 =
        items_at(body, "documents").iter().map(|document| tokens_of(&document_text(document))).sum();
    documents + tokens_of(text_at(body, "query"))
}

/// The dimensions of a model's vectors; few for models that do not exist, to keep replies small.
fn dimensions(body: &Value) -> usize {
    let asked = number_at(body, "output_dimension").and_then(|n| usize::try_from(n).ok());
    asked.unwrap_or(match text_at(body, "model") {
        "embed-v4.0" => 1_536,
        model if model.contains("light-v3") => 384,
        model if model.contains("-v3") => 1_024,
        _ => 64,
    })
}

fn meta(version: u8, billed: &Value, making: &Making<'_>) -> Value {
    let mut meta = Map::new();
    meta.insert("api_version".to_owned(), json!({"version": version.to_string()}));
    if let Some(billed) = making.usage(billed.clone()) {
        meta.insert("billed_units".to_owned(), billed);
    }
    Value::Object(meta)
}

/// The reply to a request for embeddings.
pub(super) fn embeddings(body: &Value, version: u8, making: &mut Making<'_>) -> Value {
    let texts = texts(body);
    let vectors: Vec<Vec<f32>> = texts.iter().map(|text| vector(text, dimensions(body))).collect();
    let types: Vec<&str> = items_at(body, "embedding_types").iter().filter_map(Value::as_str).collect();
    let id = uuid(&making.ids.hex("", 32));
    let shown = if items_at(body, "texts").is_empty() { json!([]) } else { json!(texts) };
    let meta = meta(version, &json!({"input_tokens": making.composed.counts.prompt}), making);
    if types.is_empty() && version == 1 {
        return json!({
            "id": id, "texts": shown, "embeddings": vectors, "meta": meta, "response_type": "embeddings_floats",
        });
    }
    let types = if types.is_empty() { vec!["float"] } else { types };
    let by_type: Map<String, Value> = types
        .into_iter()
        .map(|kind| (kind.to_owned(), vectors.iter().map(|vector| quantized(vector, kind)).collect()))
        .collect();
    json!({"id": id, "texts": shown, "embeddings": by_type, "meta": meta, "response_type": "embeddings_by_type"})
}

/// A vector in one of the types: whole numbers of eight bits are a value times 127, bits are signs, eight to a number.
#[expect(clippy::cast_possible_truncation, reason = "a value of a vector of length one is within -1 and 1")]
pub(crate) fn quantized(vector: &[f32], kind: &str) -> Value {
    let eighths = || vector.iter().map(|value| (value * 127.0).round() as i16);
    let bits = || {
        vector.chunks(8).map(|eight| {
            let set = |byte: u8, (at, value): (usize, &f32)| byte | (u8::from(*value > 0.0) << (7 - at));
            eight.iter().enumerate().fold(0, set)
        })
    };
    match kind {
        "int8" => eighths().collect(),
        "uint8" => eighths().map(|value| value + 128).collect(),
        "ubinary" => bits().collect(),
        "binary" => bits().map(|byte| i16::from(byte) - 128).collect(),
        "base64" => json!(base64(&vector.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>())),
        _ => json!(vector),
    }
}

/// The text of a document to rank: itself, its `text`, or all that it says.
pub(crate) fn document_text(document: &Value) -> String {
    match document {
        Value::String(text) => text.clone(),
        other => match other.get("text").and_then(Value::as_str) {
            Some(text) => text.to_owned(),
            None => other
                .as_object()
                .into_iter()
                .flat_map(Map::values)
                .map(document_text)
                .collect::<Vec<_>>()
                .join(" "),
        },
    }
}

/// The documents of the best scores, best first: their places and scores from 0 to 1.
pub(crate) fn rank(query: &str, documents: &[String], top: Option<u64>) -> Vec<(usize, f64)> {
    let wanted = vector(query, SCORE_DIMENSIONS);
    let score = |text: &String| {
        let likeness: f32 = vector(text, SCORE_DIMENSIONS).iter().zip(&wanted).map(|(a, b)| a * b).sum();
        // Six places, so that the same text scores the same on every machine.
        (f64::from(likeness.clamp(-1.0, 1.0) + 1.0) / 2.0 * 1e6).round() / 1e6
    };
    let mut ranked: Vec<(usize, f64)> = documents.iter().map(score).enumerate().collect();
    ranked.sort_by(|left, right| right.1.total_cmp(&left.1));
    ranked.truncate(top.and_then(|top| usize::try_from(top).ok()).unwrap_or(usize::MAX));
    ranked
}

/// The reply to a request to rank.
pub(super) fn ranking(body: &Value, version: u8, making: &mut Making<'_>) -> Value {
    let documents: Vec<String> = items_at(body, "documents").iter().map(document_text).collect();
    let ranked = rank(text_at(body, "query"), &documents, number_at(body, "top_n"));
    let shown = version == 1 && flag_at(body, "return_documents");
    let results: Vec<Value> = ranked
        .into_iter()
        .map(|(index, score)| {
            let mut result = json!({"index": index, "relevance_score": score});
            if let (true, Some(fields), Some(text)) = (shown, result.as_object_mut(), documents.get(index)) {
                fields.insert("document".to_owned(), json!({"text": text}));
            }
            result
        })
        .collect();
    let units = (documents.len() as u64).div_ceil(UNIT_DOCUMENTS);
    let id = uuid(&making.ids.hex("", 32));
    json!({"id": id, "results": results, "meta": meta(version, &json!({"search_units": units}), making)})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compose::{Composed, Ids};

    fn made(make: impl FnOnce(&mut Making<'_>) -> Value) -> Value {
        let composed = Composed::default();
        make(&mut Making { composed: &composed, ids: &mut Ids::new(1), created: 0, usage_fault: None })
    }

    #[test]
    fn each_type_of_embedding_has_its_numbers() {
        for (kind, expect) in [
            ("int8", json!([127, -127, 0, 64, 0, 0, 0, 0])),
            ("uint8", json!([255, 1, 128, 192, 128, 128, 128, 128])),
            ("ubinary", json!([0b1001_0000])),
            ("binary", json!([0b1001_0000 - 128])),
            ("base64", json!("AACAPwAAgL8AAAAAAAAAPwAAAAAAAAAAAAAAAAAAAAA=")),
        ] {
            assert_eq!(quantized(&[1.0, -1.0, 0.0, 0.5, 0.0, 0.0, 0.0, 0.0], kind), expect, "{kind}");
        }
    }

    #[test]
    fn embeddings_are_by_type_but_for_the_first_version() {
        let body = json!({"model": "m", "texts": ["a", "b"], "input_type": "search_query"});
        let second = made(|making| embeddings(&body, 2, making));
        assert_eq!(second["embeddings"]["float"].as_array().unwrap().len(), 2);
        assert_eq!(second["response_type"], "embeddings_by_type");
        let first = made(|making| embeddings(&body, 1, making));
        assert_eq!(first["embeddings"][1].as_array().unwrap().len(), 64);
        assert_eq!(first["texts"], json!(["a", "b"]));
    }

    #[test]
    fn the_nearest_documents_come_first() {
        let body = json!({"query": "open the gate", "documents": ["price of tea", {"text": "open the gate"}, "the gate"],
            "top_n": 2, "return_documents": true});
        let reply = made(|making| ranking(&body, 1, making));
        let places: Vec<u64> =
            reply["results"].as_array().unwrap().iter().map(|one| one["index"].as_u64().unwrap()).collect();
        assert_eq!(places, [1, 2]);
        assert_eq!(reply["results"][0]["relevance_score"], 1.0);
        assert_eq!(reply["results"][0]["document"]["text"], "open the gate");
        assert_eq!(reply["meta"]["billed_units"], json!({"search_units": 1}));
    }
}
