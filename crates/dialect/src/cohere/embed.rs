//! Embeddings: `/v2/embed` on both sides, and `/v1/embed` for callers.
//!
//! Owns the types of vectors that Cohere has. Every other provider gives numbers, and the smaller types are made of
//! them here: eight bits are a number times 127, one bit is its sign, as the types are defined for vectors of length 1.
//! **Invariant:** there is one vector of each type asked for per input, in the order of the inputs.

use super::inbound::messages::image_source;
use super::{EMBED_PATH, errors};
use crate::base64;
use crate::conversation::{
    Embedding, EmbeddingInput, EmbeddingPurpose, EmbeddingReply, EmbeddingRequest, MediaSource, Usage,
};
use crate::json::read::{self, Place};
use crate::json::value::{count, filled_text, insert, insert_some, text};
use crate::json::write::Object;
use crate::wire::{EncodeError, Losses, Outbound, Reading, ReplyFacts, ReplyFault, RequestError};
use serde_json::{Map, Value, json};

/// The `input_type` that goes out when the caller names none (LiteLLM's default): the API demands one.
pub const INPUT_TYPE_DEFAULT: &str = "search_document";

const PURPOSES: [(&str, EmbeddingPurpose); 5] = [
    ("search_document", EmbeddingPurpose::Document),
    ("search_query", EmbeddingPurpose::Query),
    ("classification", EmbeddingPurpose::Classification),
    ("clustering", EmbeddingPurpose::Clustering),
    ("image", EmbeddingPurpose::Image),
];

/// Members of Cohere's that another caller may write beside OpenAI's.
const NATIVE_PARAMS: &[&str] = &["truncate", "max_tokens", "priority"];

/// OpenAI's members without which the vectors are the same.
const IGNORED_PARAMS: &[&str] = &["encoding_format", "metadata"];

/// A type of vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VectorType {
    /// Numbers.
    Float,
    /// Whole numbers from -128 to 127.
    Int8,
    /// Whole numbers from 0 to 255.
    Uint8,
    /// Signs, eight to a number from -128 to 127.
    Binary,
    /// Signs, eight to a number from 0 to 255.
    Ubinary,
    /// Base64 of little-endian f32.
    Base64,
}

impl VectorType {
    const ALL: [(Self, &'static str); 6] = [
        (Self::Float, "float"),
        (Self::Int8, "int8"),
        (Self::Uint8, "uint8"),
        (Self::Binary, "binary"),
        (Self::Ubinary, "ubinary"),
        (Self::Base64, "base64"),
    ];

    fn name(self) -> &'static str {
        Self::ALL.iter().find(|(kind, _)| *kind == self).map_or("", |(_, name)| name)
    }
}

/// How a caller wants the vectors back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EmbedShape {
    /// The types, in the caller's order; empty for the bare list of the first version.
    pub types: Vec<VectorType>,
    /// The texts, which the reply repeats.
    pub texts: Vec<String>,
}

/// Reads the body of `POST /v2/embed` or `POST /v1/embed` (`version` 2 or 1).
///
/// Pictures are inputs in the form of data URIs.
///
/// # Errors
/// [`RequestError`] names the first member that is missing, of the wrong type or not a known word. An input of several
/// pieces (a text and a picture in one vector) is refused: no wire but Cohere's has it.
pub fn decode_embed_request(
    body: &[u8],
    version: u8,
) -> Result<(EmbeddingRequest, EmbedShape), RequestError> {
    let mut request = EmbeddingRequest::default();
    let mut shape = EmbedShape::default();
    for (name, value) in read::body(body)? {
        if value.is_null() {
            continue;
        }
        let at = &Place::Top(&name);
        match name.as_str() {
            "model" => request.model = read::filled_string(value, at)?,
            "texts" => {
                shape.texts = strings(value, at)?;
                request.input.extend(shape.texts.iter().cloned().map(EmbeddingInput::Text));
            }
            "images" => request.input.extend(strings(value, at)?.into_iter().map(EmbeddingInput::Text)),
            "inputs" => read_inputs(value, at, &mut request.input)?,
            "input_type" => request.purpose = Some(read_purpose(value, at)?),
            "embedding_types" => shape.types = read_types(value, at)?,
            "output_dimension" => request.dimensions = Some(read::natural(&value, at)?),
            _ => {
                request.native.insert(name, value);
            }
        }
    }
    if request.model.is_empty() {
        return Err(Place::Top("model").missing());
    }
    if request.input.is_empty() {
        return Err(Place::Top("texts").missing());
    }
    if version >= 2 && shape.types.is_empty() {
        shape.types.push(VectorType::Float);
    }
    Ok((request, shape))
}

fn strings(value: Value, at: &Place<'_>) -> Result<Vec<String>, RequestError> {
    let items = read::list(value, at)?.into_iter().enumerate();
    items.map(|(index, item)| read::string(item, &at.item(index))).collect()
}

fn word<T: Copy>(value: Value, at: &Place<'_>, known: &[(&'static str, T)]) -> Result<T, RequestError> {
    let word = read::string(value, at)?;
    let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
    let found = known.iter().find(|(name, _)| *name == word);
    found.map(|(_, meant)| *meant).ok_or_else(|| at.unknown_word(&word, &names))
}

fn read_purpose(value: Value, at: &Place<'_>) -> Result<EmbeddingPurpose, RequestError> {
    word(value, at, &PURPOSES)
}

fn read_types(value: Value, at: &Place<'_>) -> Result<Vec<VectorType>, RequestError> {
    let known = VectorType::ALL.map(|(kind, name)| (name, kind));
    let items = read::list(value, at)?.into_iter().enumerate();
    items.map(|(index, item)| word(item, &at.item(index), &known)).collect()
}

fn read_inputs(value: Value, at: &Place<'_>, input: &mut Vec<EmbeddingInput>) -> Result<(), RequestError> {
    for (index, item) in read::list(value, at)?.into_iter().enumerate() {
        let at = &at.item(index);
        let mut members = read::object(item, at)?;
        let place = &at.member("content");
        let pieces = read::list(read::require(&mut members, "content", at)?, place)?;
        let [piece] = pieces.as_slice() else {
            return Err(
                place.error("must have exactly one piece: only Cohere's models embed several at once")
            );
        };
        let place = &place.item(0);
        let said = match text(piece, "type") {
            Some("text") => text(piece, "text").map(str::to_owned),
            Some("image_url") => {
                piece.get("image_url").and_then(|image| text(image, "url")).map(str::to_owned)
            }
            _ => return Err(place.member("type").error("must be one of 'text', 'image_url'")),
        };
        input.push(EmbeddingInput::Text(
            said.ok_or_else(|| place.error("has neither a text nor an address"))?,
        ));
    }
    Ok(())
}

/// Writes an embedding request for `POST /v2/embed`. A text that is a data URI of a picture is embedded as that picture.
///
/// # Errors
/// [`EncodeError::Invalid`] for token ids, which only OpenAI's models read, and for no input at all;
/// [`EncodeError::Unsupported`] for members that Cohere has no word for.
pub fn encode_embeddings(request: &EmbeddingRequest) -> Result<Outbound, EncodeError> {
    let mut body = Map::new();
    insert(&mut body, "model", request.model.as_str());
    let mut texts = Vec::with_capacity(request.input.len());
    for (index, input) in request.input.iter().enumerate() {
        match input {
            EmbeddingInput::Text(text) => texts.push(text.as_str()),
            EmbeddingInput::Tokens(_) => {
                return Err(EncodeError::Invalid {
                    param: format!("input[{index}]"),
                    message: "this provider embeds text, not token ids".to_owned(),
                });
            }
        }
    }
    if texts.is_empty() {
        let message = "there is nothing to embed".to_owned();
        return Err(EncodeError::Invalid { param: "input".to_owned(), message });
    }
    if texts.iter().any(|text| is_picture(text)) {
        insert(&mut body, "inputs", texts.iter().map(|text| input_of(text)).collect::<Vec<_>>());
    } else {
        insert(&mut body, "texts", texts);
    }
    let purpose =
        PURPOSES.iter().find(|(_, purpose)| Some(*purpose) == request.purpose).map(|(name, _)| *name);
    let said = request.extra.get("input_type").and_then(Value::as_str);
    insert(&mut body, "input_type", purpose.or(said).unwrap_or(INPUT_TYPE_DEFAULT));
    insert(&mut body, "embedding_types", json!(["float"]));
    insert_some(&mut body, "output_dimension", request.dimensions);
    add_native(&mut body, request)?;
    Ok(Outbound {
        path: EMBED_PATH.to_owned(),
        headers: Vec::new(),
        body: Value::Object(body).to_string().into_bytes(),
        reading: Reading { model: request.model.clone(), ..Reading::default() },
        lost: Losses::default(),
    })
}

fn is_picture(text: &str) -> bool {
    matches!(image_source(text.to_owned()), MediaSource::Base64 { media_type, .. } if media_type.starts_with("image/"))
}

fn input_of(text: &str) -> Value {
    if is_picture(text) {
        json!({"content": [{"type": "image_url", "image_url": {"url": text}}]})
    } else {
        json!({"content": [{"type": "text", "text": text}]})
    }
}

fn add_native(body: &mut Map<String, Value>, request: &EmbeddingRequest) -> Result<(), EncodeError> {
    let mut params = Vec::new();
    for (name, value) in request.extra.iter().filter(|(_, value)| !value.is_null()) {
        match name.as_str() {
            "input_type" => {}
            name if NATIVE_PARAMS.contains(&name) => insert(body, name, value.clone()),
            name if IGNORED_PARAMS.contains(&name) => {}
            _ => params.push(name.clone()),
        }
    }
    body.extend(request.native.iter().map(|(name, value)| (name.clone(), value.clone())));
    if params.is_empty() { Ok(()) } else { Err(EncodeError::Unsupported { params }) }
}

/// Reads the vectors of numbers, in both forms of reply.
///
/// # Errors
/// [`ReplyFault::Error`] for an error in the place of an answer, [`ReplyFault::Malformed`] for anything but one vector
/// of numbers per input.
pub fn decode_embeddings(body: &[u8], request: &EmbeddingRequest) -> Result<EmbeddingReply, ReplyFault> {
    let reply: Value = serde_json::from_slice(body).map_err(|_| ReplyFault::Malformed("not JSON"))?;
    let found = reply.get("embeddings");
    let vectors = found.and_then(|found| found.get("float")).or(found).and_then(Value::as_array);
    let Some(vectors) = vectors else {
        return Err(match filled_text(&reply, "message") {
            Some(sentence) => ReplyFault::Error(errors::of_stream(sentence, None)),
            None => ReplyFault::Malformed("a reply has no vectors of numbers"),
        });
    };
    if vectors.len() != request.input.len() {
        return Err(ReplyFault::Malformed("not one embedding per input"));
    }
    let data: Option<Vec<Embedding>> = vectors.iter().map(Embedding::of_numbers).collect();
    let billed = reply.get("meta").and_then(|meta| meta.get("billed_units")).unwrap_or(&Value::Null);
    let pictures = count(billed, "image_tokens").unwrap_or(0);
    Ok(EmbeddingReply {
        model: request.model.clone(),
        data: data.ok_or(ReplyFault::Malformed("an embedding is not a list of numbers"))?,
        usage: Usage {
            input_tokens: count(billed, "input_tokens").unwrap_or(0).saturating_add(pictures),
            input_image_tokens: pictures,
            ..Usage::default()
        },
    })
}

/// Writes the reply that a caller of `/v1/embed` or `/v2/embed` wants.
pub fn encode_embed_reply(reply: &EmbeddingReply, shape: &EmbedShape, facts: &ReplyFacts) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(256);
    let mut out = Object::open(&mut bytes);
    out.string("id", &facts.fallback_id);
    out.list("texts", &shape.texts, |text, out| crate::json::write::string(text, out));
    if shape.types.is_empty() {
        out.string("response_type", "embeddings_floats");
        out.list("embeddings", &reply.data, |vector, out| write_vector(vector, VectorType::Float, out));
    } else {
        out.string("response_type", "embeddings_by_type");
        out.object("embeddings", |by_type| {
            for kind in &shape.types {
                by_type.list(kind.name(), &reply.data, |vector, out| write_vector(vector, *kind, out));
            }
        });
    }
    out.object("meta", |meta| {
        let version = if shape.types.is_empty() { "1" } else { "2" };
        meta.object("api_version", |api| api.string("version", version));
        meta.object("billed_units", |billed| {
            let usage = &reply.usage;
            billed.integer("input_tokens", usage.input_tokens.saturating_sub(usage.input_image_tokens));
            if usage.input_image_tokens > 0 {
                billed.integer("image_tokens", usage.input_image_tokens);
            }
        });
    });
    out.close();
    bytes
}

fn write_vector(vector: &Embedding, kind: VectorType, out: &mut Vec<u8>) {
    let eighths = || vector.0.iter().map(|number| i64::from(eight_bits(*number)));
    let signs = || {
        vector.0.chunks(8).map(|eight| {
            let bits = eight.iter().zip(0_u32..).filter(|(number, _)| **number > 0.0);
            bits.fold(0_i64, |byte, (_, place)| byte | (128 >> place))
        })
    };
    // Writing into memory cannot fail. f32 has its own shortest form: 0.1 stays 0.1.
    let _ = match kind {
        VectorType::Float => serde_json::to_writer(out, &vector.0),
        VectorType::Int8 => serde_json::to_writer(out, &eighths().collect::<Vec<_>>()),
        VectorType::Uint8 => {
            serde_json::to_writer(out, &eighths().map(|number| number + 128).collect::<Vec<_>>())
        }
        VectorType::Ubinary => serde_json::to_writer(out, &signs().collect::<Vec<_>>()),
        VectorType::Binary => serde_json::to_writer(out, &signs().map(|byte| byte - 128).collect::<Vec<_>>()),
        VectorType::Base64 => {
            let bytes: Vec<u8> = vector.0.iter().flat_map(|number| number.to_le_bytes()).collect();
            serde_json::to_writer(out, &base64::encode(bytes))
        }
    };
}

#[expect(clippy::cast_possible_truncation, reason = "within the bounds of eight bits; no number is 0")]
fn eight_bits(number: f32) -> i8 {
    (number * 127.0).round().clamp(-128.0, 127.0) as i8
}
