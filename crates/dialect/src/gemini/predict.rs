//! Embeddings at Vertex: `:predict` for the text models, `:embedContent` for those that embed whole contents.
//!
//! Owns Vertex's forms of the request and of the reply, and the choice between the two hosts. Leaves AI Studio's form to
//! `embedding`.

use super::embedding::{
    NativeForm, decode_embeddings, encode_embeddings, invalid, native_members, read_vector, text_of,
};
use super::error::{find_error, read_error};
use super::host::Host;
use super::ident::model_resource;
use super::usage::read_usage;
use crate::conversation::{Embedding, EmbeddingReply, EmbeddingRequest, Usage};
use crate::wire::{EncodeError, Losses, Outbound, Reading, ReplyFault};
use serde_json::{Map, Value, json};

/// Whether Vertex serves a model by `:embedContent`: the newer Gemini ones, as Google's package tells them apart.
fn embeds_contents(model: &str) -> bool {
    let name = model.rsplit('/').next().unwrap_or(model);
    name.contains("gemini")
        && !name.starts_with("gemini-embedding-001")
        && !name.starts_with("gemini-embedding-exp")
}

/// Writes an embedding request for one of Google's two hosts.
///
/// # Errors
/// As [`encode_embeddings`]; also for several inputs to a model of Vertex's that embeds one content a request.
pub fn encode_embeddings_for(host: Host, request: &EmbeddingRequest) -> Result<Outbound, EncodeError> {
    if host == Host::AiStudio {
        return encode_embeddings(request);
    }
    let resource = model_resource(host, &request.model)?;
    let takes_contents = embeds_contents(&request.model);
    let form = if takes_contents { NativeForm::Camel } else { NativeForm::Predict };
    let natives = native_members(&request.extra, form)?;
    if request.input.is_empty() {
        return Err(invalid("input".to_owned(), "there is nothing to embed"));
    }
    let mut texts = Vec::with_capacity(request.input.len());
    for (place, input) in request.input.iter().enumerate() {
        texts.push(text_of(input, place)?);
    }
    let (method, body) = match texts.as_slice() {
        [text] if takes_contents => ("embedContent", content_body(text, request.dimensions, natives)),
        _ if takes_contents => {
            return Err(invalid("input".to_owned(), "this model embeds one input a request"));
        }
        texts => ("predict", predict_body(texts, request.dimensions, &natives)),
    };
    Ok(Outbound {
        path: format!("/{resource}:{method}"),
        headers: Vec::new(),
        body: body.to_string().into_bytes(),
        reading: Reading::default(),
        lost: Losses::default(),
    })
}

fn content_body(text: &str, dimensions: Option<u64>, natives: Map<String, Value>) -> Value {
    let mut config = natives;
    config.extend(dimensions.map(|length| ("outputDimensionality".to_owned(), json!(length))));
    let mut body = Map::new();
    body.insert("content".to_owned(), json!({ "parts": [{ "text": text }] }));
    if !config.is_empty() {
        body.insert("embedContentConfig".to_owned(), Value::Object(config));
    }
    Value::Object(body)
}

/// Members of the text stand with each instance, the rest under `parameters`.
fn predict_body(texts: &[&str], dimensions: Option<u64>, natives: &Map<String, Value>) -> Value {
    let mut parameters = Map::new();
    parameters.extend(dimensions.map(|length| ("outputDimensionality".to_owned(), json!(length))));
    let mut shared = Map::new();
    for (name, value) in natives {
        let place = if name == "autoTruncate" { &mut parameters } else { &mut shared };
        place.insert(name.clone(), value.clone());
    }
    let instances = texts.iter().map(|text| {
        let mut instance = Map::new();
        instance.insert("content".to_owned(), json!(text));
        instance.extend(shared.clone());
        Value::Object(instance)
    });
    let mut body = Map::new();
    body.insert("instances".to_owned(), instances.collect());
    if !parameters.is_empty() {
        body.insert("parameters".to_owned(), Value::Object(parameters));
    }
    Value::Object(body)
}

/// Reads the vectors of either host.
///
/// # Errors
/// As [`decode_embeddings`].
pub fn decode_embeddings_for(
    host: Host,
    body: &[u8],
    request: &EmbeddingRequest,
) -> Result<EmbeddingReply, ReplyFault> {
    if host == Host::AiStudio {
        return decode_embeddings(body, request);
    }
    let root: Value = serde_json::from_slice(body).map_err(|_| ReplyFault::Malformed("not JSON"))?;
    if let Some(error) = find_error(&root) {
        return Err(ReplyFault::Error(read_error(error, None)));
    }
    let mut usage = root.get("usageMetadata").map(read_usage).unwrap_or_default();
    let vectors: Vec<&Value> = match root.get("embedding") {
        Some(vector) => vec![vector],
        None => {
            let predictions = root.get("predictions").and_then(Value::as_array);
            let predictions = predictions.ok_or(ReplyFault::Malformed("no predictions"))?;
            predictions.iter().filter_map(|prediction| prediction.get("embeddings")).collect()
        }
    };
    if vectors.len() != request.input.len() {
        return Err(ReplyFault::Malformed("not one embedding per input"));
    }
    if usage.input_tokens == 0 {
        usage =
            Usage { input_tokens: vectors.iter().map(|vector| counted(vector)).sum(), ..Usage::default() };
    }
    let data: Option<Vec<Embedding>> = vectors.into_iter().map(read_vector).collect();
    Ok(EmbeddingReply {
        model: request.model.clone(),
        data: data.ok_or(ReplyFault::Malformed("an embedding is not a list of numbers"))?,
        usage,
    })
}

/// The tokens of one input, which Vertex counts with each vector, sometimes as a float.
fn counted(vector: &Value) -> u64 {
    // The largest count that is believed; far above any model's window.
    const COUNT_MAX: f64 = 1e9;
    let count = vector.get("statistics").and_then(|statistics| statistics.get("token_count"));
    let count = count.and_then(Value::as_f64).filter(|count| (0.0..=COUNT_MAX).contains(count));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within 0..=1e9")]
    count.map_or(0, |count| count as u64)
}
