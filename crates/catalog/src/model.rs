//! Models: what the catalogue knows about one, and the spellings under which it is found.
//!
//! Owns looking models up, LiteLLM's key spellings, the operator's overlay of the catalogue. Leaves what a usage
//! costs to [`crate::cost`] and which names a deployment shows to the configuration.
//!
//! **Invariant:** a model is returned for a provider only if it belongs to that provider: one provider's prices are
//! never used for another's model of the same name.

mod overlay;
mod packed;
mod sizes;

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::value::RawValue;

use crate::prices::{PriceError, Prices};

pub use overlay::{Overlay, OverlayError};
pub use sizes::sizes;

/// The kind of endpoint that a model is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are LiteLLM's modes")]
pub enum Mode {
    Chat,
    Responses,
    Completion,
    Embedding,
    ImageGeneration,
    ImageEdit,
    AudioTranscription,
    AudioSpeech,
    VideoGeneration,
    Realtime,
    Rerank,
    Moderation,
    Search,
    Ocr,
    Evaluation,
    Extraction,
    Guardrail,
    VectorStore,
    /// Not said, or a mode that is not in this list.
    Unknown,
}

const MODES: &[(Mode, &str)] = &[
    (Mode::Chat, "chat"),
    (Mode::Responses, "responses"),
    (Mode::Completion, "completion"),
    (Mode::Embedding, "embedding"),
    (Mode::ImageGeneration, "image_generation"),
    (Mode::ImageEdit, "image_edit"),
    (Mode::AudioTranscription, "audio_transcription"),
    (Mode::AudioSpeech, "audio_speech"),
    (Mode::VideoGeneration, "video_generation"),
    (Mode::Realtime, "realtime"),
    (Mode::Rerank, "rerank"),
    (Mode::Moderation, "moderation"),
    (Mode::Search, "search"),
    (Mode::Ocr, "ocr"),
    (Mode::Evaluation, "evaluation"),
    (Mode::Extraction, "extraction"),
    (Mode::Guardrail, "guardrail"),
    (Mode::VectorStore, "vector_store"),
];

impl Mode {
    /// The mode of that name, [`Mode::Unknown`] for any other.
    pub fn from_name(name: &str) -> Mode {
        MODES.iter().find(|(_, known)| *known == name).map_or(Mode::Unknown, |(mode, _)| *mode)
    }

    /// LiteLLM's name of the mode; `None` if it is unknown.
    pub fn name(self) -> Option<&'static str> {
        MODES.iter().find(|(mode, _)| *mode == self).map(|(_, name)| *name)
    }
}

/// What the catalogue knows about one model.
#[derive(Clone, Debug)]
pub struct Model {
    /// The catalogue's key, in LiteLLM's spelling.
    pub key: Cow<'static, str>,
    /// `litellm_provider` as written (see [`family`]); empty if an overlay says nothing.
    pub provider: Cow<'static, str>,
    /// The kind of endpoint.
    pub mode: Mode,
    /// LiteLLM's `max_tokens`: the output limit where there is one, else the window.
    pub max_tokens: Option<u64>,
    /// The longest prompt, in tokens.
    pub max_input_tokens: Option<u64>,
    /// The longest answer, in tokens.
    pub max_output_tokens: Option<u64>,
    /// The length of an embedding, in numbers.
    pub output_vector_size: Option<u64>,
    /// The prices; see [`Prices::is_priced`].
    pub prices: Prices,
    /// The day on which the provider switches it off, `YYYY-MM-DD`.
    pub deprecation_date: Option<String>,
    raw: Cow<'static, str>,
}

/// Why a model's JSON is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ModelError {
    /// Not a JSON object.
    #[error("not a JSON object: {0}")]
    Syntax(String),
    /// A field of the wrong type.
    #[error("`{field}` must be {expected}")]
    Field {
        /// The field's name.
        field: &'static str,
        /// What it must be.
        expected: &'static str,
    },
    /// A price that is not one.
    #[error(transparent)]
    Price(#[from] PriceError),
}

impl Model {
    /// Reads a model from its JSON object.
    fn read(key: Cow<'static, str>, raw: Cow<'static, str>) -> Result<Model, ModelError> {
        let fields: Fields<'_> = fields(&raw)?;
        let provider = text(&fields, "litellm_provider")?.unwrap_or_default();
        let mode = text(&fields, "mode")?;
        let mut model = Model {
            key,
            mode: mode.as_deref().map_or(Mode::Unknown, Mode::from_name),
            max_tokens: count(&fields, "max_tokens")?,
            max_input_tokens: count(&fields, "max_input_tokens")?,
            max_output_tokens: count(&fields, "max_output_tokens")?,
            output_vector_size: count(&fields, "output_vector_size")?,
            deprecation_date: text(&fields, "deprecation_date")?,
            prices: Prices::read(&provider, fields.iter().map(|(name, value)| (name.as_str(), value.get())))?,
            provider: Cow::Owned(provider),
            raw: Cow::Borrowed(""),
        };
        model.raw = raw;
        Ok(model)
    }

    /// Whether the catalogue says that the model has that capability: `supports_vision`, or just `vision`. What it
    /// does not mention is not supported.
    pub fn supports(&self, capability: &str) -> bool {
        let Ok(fields) = fields(&self.raw) else { return false };
        let wanted = capability.strip_prefix("supports_").unwrap_or(capability);
        fields
            .iter()
            .any(|(name, value)| name.strip_prefix("supports_") == Some(wanted) && value.get() == "true")
    }

    /// What the catalogue says that the model can, without `supports_` before it.
    pub fn capabilities(&self) -> Vec<String> {
        let Ok(fields) = fields(&self.raw) else { return Vec::new() };
        let able = fields.iter().filter(|(_, value)| value.get() == "true");
        able.filter_map(|(name, _)| name.strip_prefix("supports_").map(str::to_owned)).collect()
    }

    /// Whether the catalogue says that the model has not that capability: `supports_sampling_params: false`. What it
    /// does not mention is not denied.
    pub fn denies(&self, capability: &str) -> bool {
        let Ok(fields) = fields(&self.raw) else { return false };
        let wanted = capability.strip_prefix("supports_").unwrap_or(capability);
        fields
            .iter()
            .any(|(name, value)| name.strip_prefix("supports_") == Some(wanted) && value.get() == "false")
    }

    /// The model's JSON object as it is in the catalogue, every field included.
    pub fn raw(&self) -> &str {
        &self.raw
    }
}

type Fields<'a> = BTreeMap<String, &'a RawValue>;

fn fields(raw: &str) -> Result<Fields<'_>, ModelError> {
    serde_json::from_str(raw).map_err(|error| ModelError::Syntax(error.to_string()))
}

fn text(fields: &Fields<'_>, field: &'static str) -> Result<Option<String>, ModelError> {
    let Some(value) = fields.get(field) else { return Ok(None) };
    serde_json::from_str(value.get()).map_err(|_| ModelError::Field { field, expected: "a text" })
}

/// A whole number of tokens; the data writes some of them as `2048.0`.
fn count(fields: &Fields<'_>, field: &'static str) -> Result<Option<u64>, ModelError> {
    let Some(value) = fields.get(field).map(|value| value.get()).filter(|value| *value != "null") else {
        return Ok(None);
    };
    let digits =
        value.trim_matches('"').trim_end_matches('0').strip_suffix('.').unwrap_or(value.trim_matches('"'));
    digits.parse().map(Some).map_err(|_| ModelError::Field { field, expected: "a whole number" })
}

/// The model that a provider sells under that name, found as LiteLLM finds it: as `provider/model`, as the bare
/// name, then both again without the name's version (see [`unversioned`]). A key counts only if its model belongs to
/// the provider, or the provider is one that resells.
pub fn model(provider: &str, model: &str) -> Option<Model> {
    find(provider, model, model_by_key)
}

/// Tries the spellings of (`provider`, `model`) on `by_key`.
fn find(provider: &str, model: &str, by_key: impl Fn(&str) -> Option<Model>) -> Option<Model> {
    let provider = crate::provider::provider(provider).map_or(provider, |row| row.name);
    let short = unversioned(provider, model);
    let mut names = vec![model];
    if short != model {
        names.push(short);
    }
    names.iter().find_map(|name| {
        [format!("{provider}/{name}").as_str(), name]
            .iter()
            .filter_map(|key| by_key(key))
            .find(|known| belongs(known, provider))
    })
}

fn belongs(model: &Model, provider: &str) -> bool {
    let owner: &str = &model.provider;
    match provider {
        // Resellers of anybody's models.
        "litellm_proxy" | "github" | "nadir" => true,
        // What Azure AI does not list itself it sells at Azure OpenAI's and OpenAI's prices.
        "azure_ai" if matches!(owner, "azure" | "openai") => true,
        _ => owner.is_empty() || family(owner) == family(provider),
    }
}

/// The provider that a finer name of the catalogue belongs to: `vertex_ai-language-models` is `vertex_ai`,
/// `bedrock_converse` is `bedrock`. Other names are their own family.
pub fn family(name: &str) -> &str {
    if name.starts_with("vertex_ai") {
        return "vertex_ai";
    }
    match name {
        "bedrock_converse" => "bedrock",
        "cohere_chat" => "cohere",
        "fireworks_ai-embedding-models" => "fireworks_ai",
        "ollama_chat" => "ollama",
        "text-completion-openai" | "custom_openai" | "openai_like" => "openai",
        "azure_text" => "azure",
        "ai21_chat" => "ai21",
        other => other,
    }
}

/// `model` without the version at its end, where LiteLLM looks for it that way too: `-001` at Google and Databricks,
/// the three parts after a fine-tuned base (`ft:gpt-4o:organization:name:id`), else a date `-YYYY-MM-DD`.
fn unversioned<'a>(provider: &str, model: &'a str) -> &'a str {
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if matches!(provider, "gemini" | "vertex_ai" | "databricks") {
        return model.rsplit_once('-').filter(|(_, end)| is_digits(end)).map_or(model, |(base, _)| base);
    }
    if model.starts_with("ft:") {
        let mut end = model.len();
        for _ in 0..3 {
            match model.get(..end).and_then(|head| head.rfind(':')) {
                Some(colon) => end = colon,
                None => return model,
            }
        }
        return model.get(..end).filter(|base| *base != "ft").unwrap_or(model);
    }
    let mut base = model;
    for length in [2, 2, 4] {
        match base.rsplit_once('-') {
            Some((head, part)) if part.len() == length && is_digits(part) => base = head,
            _ => return model,
        }
    }
    base
}

/// The model of exactly that key.
pub fn model_by_key(key: &str) -> Option<Model> {
    let place = packed::find(key)?;
    // The data that is built in is read whole by a test, so an error cannot come up here.
    Model::read(Cow::Borrowed(packed::key(place)), Cow::Borrowed(packed::raw(place))).ok()
}

/// The keys of a provider's models, the family of its finer names included (see [`family`]), each provider name's in
/// order.
pub fn models_of_provider(provider: &str) -> impl Iterator<Item = &'static str> + use<> {
    let provider = crate::provider::provider(provider).map_or(provider, |row| row.name);
    let wanted = family(provider).to_owned();
    packed::provider_names()
        .filter(move |name| family(name) == wanted)
        .flat_map(packed::members)
        .map(packed::key)
}

/// Every key of the catalogue, in order.
pub fn keys() -> impl Iterator<Item = &'static str> {
    packed::places().map(packed::key)
}

#[cfg(test)]
mod tests;
