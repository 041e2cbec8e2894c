//! Embeddings: made from the words of a text, so that texts that share words are near each other.
//!
//! Owns: the vectors and the shape of the reply. Leaves to others: the rules of a request (`check`).
//!
//! **Invariant:** the same text and number of dimensions always give the same vector, of length one.

use crate::ask::{PromptCount, number_at, text_at, tokens_of};
use serde_json::{Value, json};

/// Most dimensions that are made.
const DIMENSIONS_MAX: usize = 8_192;

/// The reply to a request for embeddings.
pub(crate) fn reply(body: &Value, model: &str) -> Value {
    let dimensions = number_at(body, "dimensions").and_then(|n| usize::try_from(n).ok());
    let dimensions = dimensions.unwrap_or(dimensions_of(model));
    let as_base64 = text_at(body, "encoding_format") == "base64";
    let (inputs, tokens) = inputs(body.get("input").unwrap_or(&Value::Null));
    let data: Vec<Value> = inputs
        .iter()
        .enumerate()
        .map(|(index, text)| {
            let vector = vector(text, dimensions);
            let embedding = if as_base64 { json!(base64(&little_endian(&vector))) } else { json!(vector) };
            json!({"object": "embedding", "index": index, "embedding": embedding})
        })
        .collect();
    json!({
        "object": "list",
        "data": data,
        "model": model,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    })
}

/// The texts to embed and their tokens.
fn inputs(input: &Value) -> (Vec<String>, u64) {
    let is_tokens = |items: &[Value]| items.first().is_some_and(Value::is_number);
    let items = match input {
        Value::Array(items) if !is_tokens(items) => items.as_slice(),
        one => std::slice::from_ref(one),
    };
    let mut tokens = 0;
    let texts = items.iter().map(|item| match item {
        Value::String(text) => {
            tokens += tokens_of(text);
            text.clone()
        }
        Value::Array(ids) => {
            tokens += ids.len() as u64;
            item.to_string()
        }
        other => other.to_string(),
    });
    (texts.collect(), tokens)
}

/// The tokens of the texts in a request for embeddings.
pub(crate) fn prompt_tokens(body: &Value) -> u64 {
    let mut count = PromptCount::default();
    count.tokens += inputs(body.get("input").unwrap_or(&Value::Null)).1;
    count.tokens
}

/// The dimensions of known models (embeddings guide); few for others, to keep replies small.
fn dimensions_of(model: &str) -> usize {
    match model {
        "text-embedding-3-large" => 3_072,
        _ if model.starts_with("text-embedding-") => 1_536,
        _ if model.starts_with("gemini-embedding-") => 3_072,
        _ => 64,
    }
}

/// The vector of a text.
pub(crate) fn vector(text: &str, dimensions: usize) -> Vec<f32> {
    let mut sum = vec![0f32; dimensions.clamp(1, DIMENSIONS_MAX)];
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    for word in words.chain([""]) {
        // The empty word gives a text without words a direction too; it weighs little.
        let weight = if word.is_empty() { 0.1 } else { 1.0 };
        let mut random = fastrand::Rng::with_seed(hash(&word.to_lowercase()));
        for value in &mut sum {
            *value += weight * (random.f32() - 0.5);
        }
    }
    let length = sum.iter().map(|value| value * value).sum::<f32>().sqrt();
    if length > 0.0 {
        for value in &mut sum {
            *value /= length;
        }
    }
    sum
}

/// FNV-1a, 64 bits: the same on every machine and in every version.
pub(crate) fn hash(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

fn little_endian(vector: &[f32]) -> Vec<u8> {
    vector.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// Base64 with padding (RFC 4648, section 4).
pub(crate) fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let octet = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let group = octet(0) << 16 | octet(1) << 8 | octet(2);
        for place in 0..4 {
            let six = (group >> (18 - 6 * place)) & 63;
            let letter = LETTERS.get(six as usize).copied().unwrap_or(b'=');
            out.push(if place <= chunk.len() { char::from(letter) } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(left: &str, right: &str) -> f32 {
        vector(left, 256).iter().zip(vector(right, 256)).map(|(a, b)| a * b).sum()
    }

    #[test]
    fn texts_that_share_words_are_near() {
        assert!((near("open the gate", "open the gate") - 1.0).abs() < 1e-5);
        assert!(near("open the gate", "Open the old gate!") > 0.7);
        assert!(near("open the gate", "price of tea").abs() < 0.3);
    }

    #[test]
    fn base64_is_that_of_the_standard() {
        for (plain, encoded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(plain.as_bytes()), encoded);
        }
    }

    #[test]
    fn a_reply_has_a_vector_for_each_input_in_the_wanted_form() {
        let body = json!({"input": ["abcd", "efghi"], "dimensions": 3});
        let made = reply(&body, "m");
        assert_eq!(made["data"][1]["embedding"].as_array().unwrap().len(), 3);
        assert_eq!(made["usage"]["prompt_tokens"], 3);
        let encoded = reply(&json!({"input": "x", "dimensions": 3, "encoding_format": "base64"}), "m");
        assert_eq!(encoded["data"][0]["embedding"].as_str().unwrap().len(), 16);
        let ids = reply(&json!({"input": [1, 2, 3]}), "text-embedding-3-small");
        assert_eq!(ids["data"].as_array().unwrap().len(), 1);
        assert_eq!(ids["data"][0]["embedding"].as_array().unwrap().len(), 1_536);
    }
}
