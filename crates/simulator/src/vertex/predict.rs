//! Predictions: text and multimodal embeddings, images.
//!
//! Owns: their instances, parameters and replies ("Text embeddings API", "Multimodal embeddings API", "Imagen API").
//! Leaves to others: the vectors (`openai::embedding`).
//!
//! **Invariant:** there are as many predictions as instances; of an image as many as were asked for.

use crate::ask::{items_at, text_at, tokens_of};
use crate::error::ApiError;
use crate::gemini::check::fields;
use crate::openai::embedding::vector;
use crate::shape::Shape::{Any, Bool, Closed, Int, Object, Text, Word};
use crate::shape::{Field, Shape, list, may, must};
use serde_json::{Value, json};

/// Most texts of one request.
const TEXTS_MAX: usize = 250;

static EMBED: &[Field] = &[
    must(
        "instances",
        list(&Closed(&[
            must("content", Text),
            may(
                "task_type",
                Word(&[
                    "RETRIEVAL_QUERY",
                    "RETRIEVAL_DOCUMENT",
                    "SEMANTIC_SIMILARITY",
                    "CLASSIFICATION",
                    "CLUSTERING",
                    "QUESTION_ANSWERING",
                    "FACT_VERIFICATION",
                    "CODE_RETRIEVAL_QUERY",
                ]),
            ),
            may("taskType", Text),
            may("mimeType", Text),
            may("title", Text),
        ])),
    ),
    may("parameters", Closed(&[may("autoTruncate", Bool), may("outputDimensionality", Int(1, 3_072))])),
];
const IMAGE: Shape = Closed(&[may("bytesBase64Encoded", Text), may("gcsUri", Text), may("mimeType", Text)]);
static MULTIMODAL: &[Field] = &[
    must("instances", list(&Closed(&[may("text", Text), may("image", IMAGE), may("video", Object)]))),
    may("parameters", Closed(&[may("dimension", Int(128, 1_408))])),
];
static PAINT: &[Field] = &[
    must(
        "instances",
        list(&Closed(&[must("prompt", Text), may("image", IMAGE), may("referenceImages", list(&Object))])),
    ),
    may(
        "parameters",
        Closed(&[
            may("sampleCount", Int(1, 8)),
            may("aspectRatio", Word(&["1:1", "3:4", "4:3", "9:16", "16:9"])),
            may("sampleImageSize", Word(&["1K", "2K"])),
            may("negativePrompt", Text),
            may("seed", Int(0, 2_147_483_647)),
            may("addWatermark", Bool),
            may("enhancePrompt", Bool),
            may("guidanceScale", Any),
            may("includeRaiReason", Bool),
            may("includeSafetyAttributes", Bool),
            may("includeResponsibleAiReason", Bool),
            may("language", Text),
            may("outputOptions", Object),
            may("personGeneration", Word(&["dont_allow", "allow_adult", "allow_all"])),
            may("safetySetting", Text),
            may("safetyFilterLevel", Text),
            may("storageUri", Text),
            may("editMode", Text),
            may("editConfig", Object),
            may("mode", Text),
            may("upscaleConfig", Object),
        ]),
    ),
];

/// What a model predicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Prediction {
    Texts,
    Multimodal,
    Images,
}

fn prediction(model: &str) -> Prediction {
    if model.starts_with("imagen") || model.starts_with("imagegeneration") {
        Prediction::Images
    } else if model.starts_with("multimodalembedding") {
        Prediction::Multimodal
    } else {
        Prediction::Texts
    }
}

/// Checks a body.
pub(super) fn check(body: &Value, model: &str) -> Result<(), ApiError> {
    let kind = prediction(model);
    fields(
        body,
        match kind {
            Prediction::Texts => EMBED,
            Prediction::Multimodal => MULTIMODAL,
            Prediction::Images => PAINT,
        },
    )?;
    let instances = items_at(body, "instances");
    let limit = match kind {
        Prediction::Texts if !model.starts_with("gemini-embedding") => TEXTS_MAX,
        _ => 1,
    };
    if instances.is_empty() {
        return Err(ApiError::bad_request("Unable to submit request because the instances field is empty."));
    }
    if instances.len() > limit {
        return Err(ApiError::bad_request(format!(
            "{} instance(s) is not allowed per prediction. Actual: {}.",
            limit,
            instances.len()
        )));
    }
    let empty = |instance: &Value| match kind {
        Prediction::Texts => text_at(instance, "content").is_empty(),
        Prediction::Multimodal => instance.as_object().is_none_or(serde_json::Map::is_empty),
        Prediction::Images => text_at(instance, "prompt").is_empty(),
    };
    if instances.iter().any(empty) {
        return Err(ApiError::bad_request(match kind {
            Prediction::Texts => "The text content is empty.",
            Prediction::Multimodal => "One of text, image and video is wanted.",
            Prediction::Images => "Image generation failed with the following error: The prompt is empty.",
        }));
    }
    Ok(())
}

/// The tokens of a body.
pub(super) fn prompt_tokens(body: &Value) -> u64 {
    items_at(body, "instances").iter().map(|instance| tokens_of(text_at(instance, "content"))).sum()
}

/// The reply.
pub(super) fn reply(body: &Value, model: &str) -> Value {
    let instances = items_at(body, "instances");
    let parameter = |name: &str| body.get("parameters").and_then(|parameters| parameters.get(name)).cloned();
    let size = |name: &str, usual: usize| {
        let asked = parameter(name).and_then(|size| size.as_u64());
        asked.and_then(|size| usize::try_from(size).ok()).unwrap_or(usual)
    };
    match prediction(model) {
        Prediction::Texts => {
            let usual = if model.starts_with("gemini-embedding") { 3_072 } else { 768 };
            let predictions = instances.iter().map(|instance| {
                let text = text_at(instance, "content");
                json!({"embeddings": {
                    "statistics": {"truncated": false, "token_count": tokens_of(text)},
                    "values": vector(text, size("outputDimensionality", usual)),
                }})
            });
            let characters: usize =
                instances.iter().map(|instance| text_at(instance, "content").chars().count()).sum();
            json!({
                "predictions": predictions.collect::<Vec<_>>(),
                "metadata": {"billableCharacterCount": characters},
            })
        }
        Prediction::Multimodal => {
            let size = size("dimension", 1_408);
            let predictions = instances.iter().map(|instance| {
                let mut made = serde_json::Map::new();
                for (name, key) in [("text", "textEmbedding"), ("image", "imageEmbedding")] {
                    if let Some(value) = instance.get(name) {
                        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                        made.insert(key.to_owned(), json!(vector(&text, size)));
                    }
                }
                Value::Object(made)
            });
            json!({"predictions": predictions.collect::<Vec<_>>(), "deployedModelId": "1"})
        }
        Prediction::Images => {
            let image = json!({"mimeType": "image/png", "bytesBase64Encoded": crate::gemini::reply::PNG});
            json!({"predictions": vec![image; size("sampleCount", 4)]})
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instances_are_taken_or_refused() {
        for (model, body, words) in [
            ("text-embedding-005", json!({"instances": [{"content": "a", "task_type": "CLUSTERING"}]}), ""),
            ("text-embedding-005", json!({"instances": [{"content": ""}]}), "text content is empty"),
            ("text-embedding-005", json!({"instances": []}), "instances field is empty"),
            ("text-embedding-005", json!({"instances": [{"text": "a"}]}), "Unknown name \"text\""),
            (
                "gemini-embedding-001",
                json!({"instances": [{"content": "a"}, {"content": "b"}]}),
                "1 instance(s) is not allowed per prediction. Actual: 2.",
            ),
            ("multimodalembedding@001", json!({"instances": [{"image": {"gcsUri": "gs://b/i"}}]}), ""),
            ("multimodalembedding@001", json!({"instances": [{}]}), "One of text"),
            (
                "imagen-4.0-generate-001",
                json!({"instances": [{"prompt": "a gate"}], "parameters": {"sampleCount": 2}}),
                "",
            ),
            (
                "imagen-4.0-generate-001",
                json!({"instances": [{"prompt": "x"}], "parameters": {"n": 2}}),
                "Unknown name",
            ),
        ] {
            let found = check(&body, model).err().map(|error| error.message).unwrap_or_default();
            assert!(found.contains(words) && found.is_empty() == words.is_empty(), "{body}: {found}");
        }
    }

    #[test]
    fn there_are_as_many_predictions_as_were_asked_for() {
        let texts = json!({"instances": [{"content": "a"}, {"content": "bcdef"}], "parameters": {"outputDimensionality": 8}});
        let made = reply(&texts, "text-embedding-005");
        assert_eq!(made["predictions"][1]["embeddings"]["values"].as_array().unwrap().len(), 8);
        assert_eq!(made["predictions"][1]["embeddings"]["statistics"]["token_count"], 2);
        let paint = json!({"instances": [{"prompt": "x"}], "parameters": {"sampleCount": 2}});
        assert_eq!(reply(&paint, "imagen-4.0-generate-001")["predictions"].as_array().unwrap().len(), 2);
        let both = json!({"instances": [{"text": "x", "image": {"gcsUri": "gs://b/i"}}]});
        let both = reply(&both, "multimodalembedding@001");
        assert!(
            both["predictions"][0]["textEmbedding"].is_array()
                && both["predictions"][0]["imageEmbedding"].is_array()
        );
    }
}
