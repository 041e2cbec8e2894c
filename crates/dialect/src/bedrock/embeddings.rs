//! Embeddings of Amazon's Titan and of Cohere, as models that Bedrock invokes.
//!
//! Owns their bodies ("Amazon Titan Embeddings" and "Cohere Embed" in Bedrock's user guide). A call takes one input of
//! Titan's, one picture, or up to 96 texts of Cohere's, so that a request may become several calls: the server sends
//! each and gives all the bodies back, in order. Cohere's tokens are counted in the header
//! `x-amzn-bedrock-input-token-count` alone, which whoever has the headers adds. **Invariant:** the vectors come out in
//! the order of the inputs, one each.

use super::errors;
use super::members::{count, object};
use super::model::{Maker, Model, invoke_path};
use super::params::CAPABILITIES;
use crate::conversation::{Embedding, EmbeddingInput, EmbeddingReply, EmbeddingRequest, Usage};
use crate::wire::{EncodeError, EncodeOptions, Losses, Outbound, Reading, ReplyFault, Support, support};
use serde_json::{Map, Value};

/// Most texts of one call of Cohere's.
const TEXTS_MAX: usize = 96;

/// What Cohere's texts are taken for where the caller does not say (LiteLLM's choice).
const INPUT_TYPE_DEFAULT: &str = "search_document";

/// Members of Cohere's body that a caller may give by their names.
const COHERE_MEMBERS: [&str; 4] = ["input_type", "truncate", "output_dimension", "max_tokens"];

/// Whose embeddings, in which form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    /// A text and nothing else.
    TitanFirst,
    /// A text, and the vector's length.
    TitanSecond,
    /// A text or a picture.
    TitanImage,
    Cohere,
}

impl Family {
    fn of(model: &str) -> Option<Self> {
        let Model { maker, name } = Model::of(model);
        match maker {
            Maker::Amazon if name.starts_with("titan-embed-image") => Some(Self::TitanImage),
            Maker::Amazon if name.starts_with("titan-embed-text-v2") => Some(Self::TitanSecond),
            // `titan-embed-text-v1` and `titan-embed-g1-text-02`.
            Maker::Amazon if name.starts_with("titan-embed") => Some(Self::TitanFirst),
            Maker::Cohere if name.starts_with("embed") => Some(Self::Cohere),
            _ => None,
        }
    }
}

/// Writes an embedding request as the calls that it takes, `POST /model/{id}/invoke` each. An input that is a `data:`
/// URL of a picture is one, for the models that see.
///
/// # Errors
/// [`EncodeError::Invalid`] for a model whose body is not known, for token ids and for no input at all;
/// [`EncodeError::Unsupported`] for parameters that the model does not have, unless they may be dropped.
pub fn encode_embeddings(
    request: &EmbeddingRequest,
    options: &EncodeOptions,
) -> Result<Vec<Outbound>, EncodeError> {
    let Some(family) = Family::of(&request.model) else {
        return Err(invalid("model", "is no embedding model of Titan's or Cohere's on Bedrock"));
    };
    if request.input.is_empty() {
        return Err(invalid("input", "there is nothing to embed"));
    }
    let lost = losses(request, family, options)?;
    let mut texts = Vec::with_capacity(request.input.len());
    for (index, input) in request.input.iter().enumerate() {
        let EmbeddingInput::Text(text) = input else {
            return Err(invalid(
                &format!("input[{index}]"),
                "must be text: token ids are OpenAI's models' own",
            ));
        };
        texts.push(text.as_str());
    }
    let path = invoke_path(&request.model)?;
    let bodies = calls(&texts, family).map(|call| match family {
        Family::Cohere => cohere(call, request),
        _ => titan(call.first().copied().unwrap_or_default(), family, request),
    });
    let outbound = |body: Value| Outbound {
        path: path.clone(),
        headers: Vec::new(),
        body: body.to_string().into_bytes(),
        reading: Reading { model: request.model.clone(), ..Reading::default() },
        lost: lost.clone(),
    };
    Ok(bodies.map(outbound).collect())
}

/// The inputs of each call: runs of texts as long as they may be, pictures alone.
fn calls<'t>(texts: &'t [&'t str], family: Family) -> impl Iterator<Item = &'t [&'t str]> {
    let runs = texts.chunk_by(|before, after| !is_picture(before) && !is_picture(after));
    runs.flat_map(move |run| run.chunks(if family == Family::Cohere { TEXTS_MAX } else { 1 }))
}

fn is_picture(text: &str) -> bool {
    text.starts_with("data:image/")
}

fn titan(text: &str, family: Family, request: &EmbeddingRequest) -> Value {
    let mut body = Map::new();
    match text.split_once(";base64,").filter(|_| family == Family::TitanImage && is_picture(text)) {
        Some((_, data)) => body.insert("inputImage".to_owned(), data.into()),
        None => body.insert("inputText".to_owned(), text.into()),
    };
    match (family, request.dimensions) {
        (Family::TitanSecond, Some(dimensions)) => {
            body.insert("dimensions".to_owned(), dimensions.into());
        }
        (Family::TitanImage, Some(dimensions)) => {
            let config = object([("outputEmbeddingLength", dimensions.into())]);
            body.insert("embeddingConfig".to_owned(), config);
        }
        _ => {}
    }
    let normalize = request.extra.get("normalize").filter(|_| family == Family::TitanSecond);
    super::members::insert_some(&mut body, "normalize", normalize.cloned());
    Value::Object(body)
}

fn cohere(texts: &[&str], request: &EmbeddingRequest) -> Value {
    let mut body = Map::new();
    let list = Value::Array(texts.iter().map(|text| Value::from(*text)).collect());
    let is_picture = texts.first().is_some_and(|text| is_picture(text));
    body.insert(if is_picture { "images" } else { "texts" }.to_owned(), list);
    body.insert("input_type".to_owned(), INPUT_TYPE_DEFAULT.into());
    super::members::insert_some(&mut body, "output_dimension", request.dimensions.map(Value::from));
    for name in COHERE_MEMBERS {
        let value = request.extra.get(name).filter(|value| !value.is_null());
        super::members::insert_some(&mut body, name, value.cloned());
    }
    if is_picture {
        body.insert("input_type".to_owned(), "image".into());
    }
    body.insert("embedding_types".to_owned(), Value::Array(vec!["float".into()]));
    Value::Object(body)
}

/// Refuses what the model does not have, or notes it.
fn losses(
    request: &EmbeddingRequest,
    family: Family,
    options: &EncodeOptions,
) -> Result<Losses, EncodeError> {
    let is_cohere = family == Family::Cohere;
    // Only from its fourth version on, which has its number in its name.
    let has_dimensions = match family {
        Family::TitanFirst => false,
        Family::TitanSecond | Family::TitanImage => true,
        Family::Cohere => Model::of(&request.model).name.starts_with("embed-v"),
    };
    let mut lost = Losses::default();
    if request.user.is_some() {
        lost.note("user");
    }
    let mut params: Vec<&str> = Vec::new();
    if request.dimensions.is_some() && !has_dimensions {
        params.push("dimensions");
    }
    for (name, _) in request.extra.iter().filter(|(_, value)| !value.is_null()) {
        let is_taken = (is_cohere && COHERE_MEMBERS.contains(&name.as_str()))
            || (family == Family::TitanSecond && name == "normalize");
        if !is_taken && support(CAPABILITIES, name) == Support::Ignores {
            lost.note(name.clone());
        } else if !is_taken {
            params.push(name);
        }
    }
    params.retain(|param| !options.allowed_params.iter().any(|allowed| allowed == param));
    if !params.is_empty() && !options.drop_unsupported {
        let params = params.into_iter().map(str::to_owned).collect();
        return Err(EncodeError::Unsupported { params });
    }
    params.into_iter().for_each(|param| lost.note(param.to_owned()));
    Ok(lost)
}

/// Reads the replies to all calls of a request, in the order in which [`encode_embeddings`] wrote them, as one.
///
/// # Errors
/// [`ReplyFault::Error`] for an error in the place of vectors, [`ReplyFault::Malformed`] for anything but one vector of
/// numbers per input.
pub fn decode_embeddings<B: AsRef<[u8]>>(
    bodies: &[B],
    request: &EmbeddingRequest,
) -> Result<EmbeddingReply, ReplyFault> {
    let mut data = Vec::with_capacity(request.input.len());
    let mut input_tokens = 0_u64;
    for body in bodies {
        let body: Value =
            serde_json::from_slice(body.as_ref()).map_err(|_| ReplyFault::Malformed("not JSON"))?;
        let vectors = read_vectors(&body);
        if vectors.is_empty()
            && let Some(error) = errors::in_reply(&body)
        {
            return Err(ReplyFault::Error(error));
        }
        for vector in vectors {
            data.push(
                read_vector(vector).ok_or(ReplyFault::Malformed("an embedding is not a list of numbers"))?,
            );
        }
        input_tokens = input_tokens.saturating_add(count(&body, "inputTextTokenCount").unwrap_or(0));
    }
    if data.len() != request.input.len() {
        return Err(ReplyFault::Malformed("not one embedding per input"));
    }
    let usage = Usage { input_tokens, ..Usage::default() };
    Ok(EmbeddingReply { model: request.model.clone(), data, usage })
}

/// The vectors of a body: Titan's one, or Cohere's list, which stands under its type where a type was asked for.
fn read_vectors(body: &Value) -> Vec<&Value> {
    if let Some(vector) = body.get("embedding").filter(|vector| vector.is_array()) {
        return vec![vector];
    }
    let by_type = body.get("embeddingsByType").and_then(|types| types.get("float"));
    if let Some(vector) = by_type {
        return vec![vector];
    }
    let list = body.get("embeddings").map(|found| found.get("float").unwrap_or(found));
    list.and_then(Value::as_array).into_iter().flatten().collect()
}

fn read_vector(vector: &Value) -> Option<Embedding> {
    let values = vector.as_array().filter(|values| !values.is_empty())?;
    // The conversation model holds single precision, as every provider's vectors have it.
    let numbers = values.iter().map(|value| value.as_f64().map(|number| number as f32));
    // JSON has no word for infinity, so a number beyond f32 could not be passed on.
    let numbers = numbers.map(|number| number.filter(|number| number.is_finite()));
    numbers.collect::<Option<Vec<f32>>>().map(Embedding)
}

fn invalid(param: &str, message: &str) -> EncodeError {
    EncodeError::Invalid { param: param.to_owned(), message: message.to_owned() }
}
