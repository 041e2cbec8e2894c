//! Embeddings of Amazon's Titan and of Cohere, as invoked models.
//!
//! Owns: their bodies' rules and replies ("Amazon Titan Embeddings", "Cohere Embed" in Bedrock's user guide). Leaves to
//! others: the vectors (`openai::embedding`).
//!
//! **Invariant:** a body that breaks a rule is told so in the words of the service's JSON schema.

use crate::ask::{items_at, text_at, tokens_of};
use crate::compose::Ids;
use crate::error::ApiError;
use crate::openai::embedding::vector;
use crate::shape::Shape::{Bool, Closed, Int, List, ShortText, Text, Word};
use crate::shape::{self, Field, Keys, Shape, Step, Violation, Wrong, list, may, must};
use serde_json::{Map, Value, json};

/// Whose embeddings, in which version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Maker {
    TitanV1,
    TitanV2,
    TitanImage,
    Cohere,
}

impl Maker {
    /// By the model's name without its maker.
    pub(super) fn of_titan(name: &str) -> Maker {
        if name.contains("image") {
            Maker::TitanImage
        } else if name.contains("v2") {
            Maker::TitanV2
        } else {
            Maker::TitanV1
        }
    }
}

/// Longest input of Titan's text embeddings in tokens.
const TITAN_TOKENS_MAX: u64 = 8_192;

static TITAN_V1: &[Field] = &[must("inputText", Text)];
static TITAN_V2: &[Field] = &[
    must("inputText", Text),
    may("dimensions", Int(256, 1_024)),
    may("normalize", Bool),
    may("embeddingTypes", list(&Word(&["float", "binary"]))),
];
static TITAN_IMAGE: &[Field] = &[
    may("inputText", Text),
    may("inputImage", Text),
    may("embeddingConfig", Closed(&[may("outputEmbeddingLength", Int(256, 1_024))])),
];
const TYPES: Shape = list(&Word(&["float", "int8", "uint8", "binary", "ubinary"]));
static COHERE: &[Field] = &[
    may("texts", List { of: &ShortText(2_048), min: 1, max: 96 }),
    may("images", List { of: &Text, min: 1, max: 1 }),
    may("inputs", list(&Shape::Object)),
    must("input_type", Word(&["search_document", "search_query", "classification", "clustering", "image"])),
    may("truncate", Word(&["NONE", "START", "LEFT", "END", "RIGHT"])),
    may("embedding_types", TYPES),
    may("max_tokens", Int(1, 128_000)),
    may("output_dimension", Int(256, 1_536)),
];

fn malformed(what: &str) -> ApiError {
    ApiError::bad_request(format!(
        "Malformed input request: {what}, please reformat your input and try again."
    ))
}

/// Checks a body.
pub(super) fn check(body: &Value, maker: Maker) -> Result<(), ApiError> {
    let fields = match maker {
        Maker::TitanV1 => TITAN_V1,
        Maker::TitanV2 => TITAN_V2,
        Maker::TitanImage => TITAN_IMAGE,
        Maker::Cohere => COHERE,
    };
    let Some(object) = body.as_object() else { return Err(malformed("#: expected type: JSONObject")) };
    if let Some(violation) = shape::check(object, fields, Keys::Exact).first() {
        return Err(malformed(&spell(violation)));
    }
    let asked = body.get("dimensions").or_else(|| body.pointer("/embeddingConfig/outputEmbeddingLength"));
    let sizes: &[u64] = if maker == Maker::TitanImage { &[256, 384, 1_024] } else { &[256, 512, 1_024] };
    if let Some(asked) = asked.and_then(Value::as_u64).filter(|size| !sizes.contains(size)) {
        return Err(malformed(&format!("#/dimensions: {asked} is not a valid enum value")));
    }
    match maker {
        Maker::TitanV1 | Maker::TitanV2 => {
            if text_at(body, "inputText").is_empty() {
                return Err(malformed("#/inputText: expected minLength: 1, actual: 0"));
            }
            let tokens = tokens_of(text_at(body, "inputText"));
            if tokens > TITAN_TOKENS_MAX {
                return Err(ApiError::bad_request(format!(
                    "400 Bad Request: Too many input tokens. Max input tokens: {TITAN_TOKENS_MAX}, request input token \
                     count: {tokens} "
                )));
            }
        }
        Maker::TitanImage if body.get("inputText").is_none() && body.get("inputImage").is_none() => {
            return Err(malformed("#: at least one of [inputText, inputImage] is required"));
        }
        Maker::TitanImage => {}
        Maker::Cohere => {
            let given =
                ["texts", "images", "inputs"].iter().filter(|name| body.get(**name).is_some()).count();
            if given != 1 {
                return Err(malformed("#: exactly one of [texts, images, inputs] is required"));
            }
            if (text_at(body, "input_type") == "image") != body.get("images").is_some() {
                return Err(malformed("#/input_type: image goes with images alone"));
            }
        }
    }
    Ok(())
}

/// `#/inputText: expected type: String, found: Integer`
fn spell(violation: &Violation) -> String {
    let steps = |path: &[Step]| -> String {
        let step = |step: &Step| match step {
            Step::Key(key) => format!("/{key}"),
            Step::Index(index) => format!("/{index}"),
            Step::Case(_) => String::new(),
        };
        format!("#{}", path.iter().map(step).collect::<String>())
    };
    let (last, around) = match violation.path.split_last() {
        Some((Step::Key(key), around)) => (key.as_str(), around),
        _ => ("", violation.path.as_slice()),
    };
    let place = steps(&violation.path);
    match &violation.wrong {
        Wrong::Unknown => format!("{}: extraneous key [{last}] is not permitted", steps(around)),
        Wrong::Missing => format!("{}: required key [{last}] not found", steps(around)),
        Wrong::Type { expected, got } => {
            let wanted = match *expected {
                "a string" => "String",
                "an integer" => "Integer",
                "a boolean" => "Boolean",
                "an object" => "JSONObject",
                _ => "JSONArray",
            };
            let found = match got {
                Value::Null => "Null",
                Value::Bool(_) => "Boolean",
                Value::Number(_) => "Integer",
                Value::String(_) => "String",
                Value::Array(_) => "JSONArray",
                Value::Object(_) => "JSONObject",
            };
            format!("{place}: expected type: {wanted}, found: {found}")
        }
        Wrong::Word { given, .. } => format!("{place}: {given} is not a valid enum value"),
        Wrong::Below { min, got } => format!("{place}: {got} is not greater or equal to {min}"),
        Wrong::Above { max, got } => format!("{place}: {got} is not less or equal to {max}"),
        Wrong::Pattern => format!("{place}: string does not match pattern"),
        Wrong::TooLong { max, len } => format!("{place}: expected maxLength: {max}, actual: {len}"),
        Wrong::TooFew { min } => format!("{place}: expected minimum item count: {min}, found: 0"),
        Wrong::TooMany { max, len } => format!("{place}: expected maximum item count: {max}, found: {len}"),
    }
}

fn texts(body: &Value) -> Vec<&str> {
    let listed = ["texts", "images"].iter().flat_map(|name| items_at(body, name)).filter_map(Value::as_str);
    let inputs = items_at(body, "inputs").iter().map(|input| {
        let parts = items_at(input, "content").iter();
        parts.map(|part| text_at(part, "text")).find(|text| !text.is_empty()).unwrap_or("image")
    });
    listed.chain(inputs).collect()
}

/// The tokens of a body.
pub(super) fn prompt_tokens(body: &Value, maker: Maker) -> u64 {
    match maker {
        Maker::Cohere => texts(body).into_iter().map(tokens_of).sum(),
        _ => tokens_of(text_at(body, "inputText")),
    }
}

/// The reply.
pub(super) fn reply(body: &Value, maker: Maker, ids: &mut Ids) -> Value {
    if maker == Maker::Cohere {
        return cohere(body, ids);
    }
    let asked = body.get("dimensions").or_else(|| body.pointer("/embeddingConfig/outputEmbeddingLength"));
    let usual = if maker == Maker::TitanV1 { 1_536 } else { 1_024 };
    let size = asked.and_then(Value::as_u64).and_then(|size| usize::try_from(size).ok()).unwrap_or(usual);
    let text = format!("{}{}", text_at(body, "inputText"), text_at(body, "inputImage"));
    let values = vector(&text, size);
    let mut reply = Map::new();
    let types: Vec<&str> = items_at(body, "embeddingTypes").iter().filter_map(Value::as_str).collect();
    if types.is_empty() || types.contains(&"float") {
        reply.insert("embedding".to_owned(), json!(values));
    }
    if maker == Maker::TitanV2 {
        let types = if types.is_empty() { vec!["float"] } else { types };
        let by_type = types.iter().map(|kind| ((*kind).to_owned(), of_type(&values, kind)));
        reply.insert("embeddingsByType".to_owned(), Value::Object(by_type.collect()));
    }
    reply.insert("inputTextTokenCount".to_owned(), json!(prompt_tokens(body, maker)));
    Value::Object(reply)
}

/// A vector in one of the types: Titan's `binary` has a number a bit, Cohere's packs eight into one.
#[expect(clippy::cast_possible_truncation, reason = "the values lie between -127 and 127")]
fn of_type(values: &[f32], kind: &str) -> Value {
    let bits = |value: &f32| u8::from(*value > 0.0);
    match kind {
        "binary" => json!(values.iter().map(bits).collect::<Vec<_>>()),
        "int8" => json!(values.iter().map(|value| (value * 127.0) as i32).collect::<Vec<_>>()),
        "uint8" => json!(values.iter().map(|value| (value * 127.0) as i32 + 128).collect::<Vec<_>>()),
        _ => json!(values),
    }
}

fn packed(values: &[f32], signed: bool) -> Value {
    let pack = |bits: &[f32]| {
        let byte = bits.iter().fold(0_u8, |byte, value| byte << 1 | u8::from(*value > 0.0));
        i32::from(byte) - if signed { 128 } else { 0 }
    };
    json!(values.chunks(8).map(pack).collect::<Vec<_>>())
}

fn cohere(body: &Value, ids: &mut Ids) -> Value {
    let texts = texts(body);
    let size =
        body.get("output_dimension").and_then(Value::as_u64).and_then(|size| usize::try_from(size).ok());
    let vectors: Vec<Vec<f32>> = texts.iter().map(|text| vector(text, size.unwrap_or(1_024))).collect();
    let types: Vec<&str> = items_at(body, "embedding_types").iter().filter_map(Value::as_str).collect();
    let id = crate::aws::request_id(ids);
    if types.is_empty() {
        return json!({"embeddings": vectors, "id": id, "response_type": "embeddings_floats", "texts": texts});
    }
    let one = |kind: &str, values: &[f32]| match kind {
        "binary" => packed(values, true),
        "ubinary" => packed(values, false),
        kind => of_type(values, kind),
    };
    let by_type: Map<String, Value> = types
        .iter()
        .map(|kind| {
            let made: Vec<Value> = vectors.iter().map(|values| one(kind, values)).collect();
            ((*kind).to_owned(), Value::Array(made))
        })
        .collect();
    json!({"embeddings": by_type, "id": id, "response_type": "embeddings_by_type", "texts": texts})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_taken_or_refused_in_the_schemas_words() {
        for (maker, body, words) in [
            (Maker::TitanV1, json!({"inputText": "x"}), ""),
            (Maker::TitanV1, json!({"inputText": "x", "dimensions": 256}), "#: extraneous key [dimensions]"),
            (Maker::TitanV1, json!({}), "#: required key [inputText] not found"),
            (Maker::TitanV1, json!({"inputText": 1}), "#/inputText: expected type: String, found: Integer"),
            (Maker::TitanV1, json!({"inputText": ""}), "expected minLength: 1, actual: 0"),
            (Maker::TitanV1, json!({"inputText": "a".repeat(40_000)}), "Too many input tokens"),
            (Maker::TitanV2, json!({"inputText": "x", "dimensions": 512, "normalize": true}), ""),
            (Maker::TitanV2, json!({"inputText": "x", "dimensions": 300}), "not a valid enum value"),
            (Maker::TitanImage, json!({"inputImage": "AAAA"}), ""),
            (Maker::TitanImage, json!({}), "at least one of"),
            (Maker::Cohere, json!({"texts": ["x"], "input_type": "search_query"}), ""),
            (Maker::Cohere, json!({"texts": ["x"]}), "required key [input_type]"),
            (Maker::Cohere, json!({"texts": [], "input_type": "search_query"}), "minimum item count: 1"),
            (Maker::Cohere, json!({"input_type": "search_query"}), "exactly one of"),
            (Maker::Cohere, json!({"texts": ["x"], "input_type": "image"}), "image goes with images"),
        ] {
            let found = check(&body, maker).err().map(|error| error.message).unwrap_or_default();
            assert!(found.contains(words) && found.is_empty() == words.is_empty(), "{body}: {found}");
        }
    }

    #[test]
    fn replies_have_the_makers_shape() {
        let mut ids = Ids::new(1);
        let titan = reply(&json!({"inputText": "abcde"}), Maker::TitanV1, &mut ids);
        assert_eq!(titan["embedding"].as_array().unwrap().len(), 1_536);
        assert_eq!(titan["inputTextTokenCount"], 2);
        let second = json!({"inputText": "a", "dimensions": 256, "embeddingTypes": ["binary"]});
        let second = reply(&second, Maker::TitanV2, &mut ids);
        assert!(second.get("embedding").is_none());
        assert_eq!(second["embeddingsByType"]["binary"].as_array().unwrap().len(), 256);
        let body =
            json!({"texts": ["a", "b"], "input_type": "clustering", "embedding_types": ["int8", "ubinary"]});
        let cohere = reply(&body, Maker::Cohere, &mut ids);
        assert_eq!(cohere["response_type"], "embeddings_by_type");
        assert_eq!(cohere["embeddings"]["int8"].as_array().unwrap().len(), 2);
        assert_eq!(cohere["embeddings"]["ubinary"][0].as_array().unwrap().len(), 128);
    }
}
