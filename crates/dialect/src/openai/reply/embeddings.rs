//! Embedding replies: vectors as numbers or as base64 of little-endian f32.

use crate::conversation::{Embedding, EmbeddingReply, Usage};
use crate::openai::error;
use crate::openai::usage::read_usage;
use crate::openai::write::Object;
use crate::wire::ReplyFacts;
use crate::wire::ReplyFault;
use serde_json::Value;

/// How vectors are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VectorForm {
    /// A list of numbers (`encoding_format: float`).
    Numbers,
    /// Base64 of the little-endian f32 values (`encoding_format: base64`).
    Base64,
}

/// Writes an embedding reply.
pub fn encode_embeddings(reply: &EmbeddingReply, form: VectorForm, facts: &ReplyFacts) -> Vec<u8> {
    // At most 13 bytes for a number in its shortest form, as long as it is not tiny.
    const NUMBER_BYTES: usize = 13;
    let number_count: usize = reply.data.iter().map(|vector| vector.0.len()).sum();
    let mut bytes = Vec::with_capacity(256 + number_count * NUMBER_BYTES);
    let mut out = Object::open(&mut bytes);
    out.string("object", "list");
    out.list("data", reply.data.iter().enumerate(), |(index, vector), out| {
        let mut item = Object::open(out);
        item.string("object", "embedding");
        item.integer("index", index as u64);
        match form {
            VectorForm::Numbers => item.list("embedding", &vector.0, |number, out| {
                // Writing into memory cannot fail. f32 has its own shortest form: 0.1 stays 0.1.
                let _ = serde_json::to_writer(out, number);
            }),
            VectorForm::Base64 => {
                let bytes: Vec<u8> = vector.0.iter().flat_map(|number| number.to_le_bytes()).collect();
                let encoded = crate::base64::encode(bytes);
                item.string("embedding", &encoded);
            }
        }
        item.close();
    });
    out.string("model", &facts.client_model);
    out.object("usage", |usage| {
        usage.integer("prompt_tokens", reply.usage.input_tokens);
        usage.integer("total_tokens", reply.usage.total_tokens());
    });
    out.close();
    bytes
}

/// Reads an embedding reply whose vectors are numbers, in the order of their `index`.
///
/// # Errors
/// [`ReplyFault::Error`] when the body is an error in the place of an answer; [`ReplyFault::Malformed`] when it is no
/// list of vectors of numbers.
pub fn decode_embedding_reply(body: &[u8]) -> Result<EmbeddingReply, ReplyFault> {
    let value: Value =
        serde_json::from_slice(body).map_err(|_| ReplyFault::Malformed("the body is not JSON"))?;
    let Some(items) = value.get("data").and_then(Value::as_array) else {
        return Err(error::in_place_of_answer(&value)
            .map_or(ReplyFault::Malformed("there is no list of vectors"), ReplyFault::Error));
    };
    let mut vectors = Vec::with_capacity(items.len());
    for (position, item) in items.iter().enumerate() {
        let index = item.get("index").and_then(Value::as_u64).unwrap_or(position as u64);
        vectors.push((index, read_vector(item)?));
    }
    vectors.sort_by_key(|(index, _)| *index);
    let model = value.get("model").and_then(Value::as_str).unwrap_or_default();
    let usage = value.get("usage").and_then(read_usage).unwrap_or_default();
    Ok(EmbeddingReply {
        model: model.to_owned(),
        data: vectors.into_iter().map(|(_, vector)| vector).collect(),
        usage: Usage { output_tokens: 0, ..usage },
    })
}

fn read_vector(item: &Value) -> Result<Embedding, ReplyFault> {
    let fault = ReplyFault::Malformed("a vector is not a list of numbers");
    let Some(numbers) = item.get("embedding").and_then(Value::as_array) else { return Err(fault) };
    #[expect(clippy::cast_possible_truncation, reason = "vectors are f32; what is finer was never meant")]
    let numbers = numbers.iter().map(|number| number.as_f64().map(|number| number as f32));
    // JSON has no word for infinity, so a number beyond f32 could not be passed on.
    let numbers = numbers.map(|number| number.filter(|number| number.is_finite()));
    numbers.collect::<Option<Vec<f32>>>().map(Embedding).ok_or(fault)
}
