//! Providers who speak OpenAI's chat completions with liberties that their strictness does not forgive in others.
//!
//! Owns what each of them does differently: which members it knows, ids of calls, the order of messages, how reasoning
//! is shown. Leaves everything else to [`openai`](crate::openai), whose body is written first and then fitted.
//!
//! **Invariant:** a fitted body has no member that its provider is known to refuse; what was left out is named as lost.

mod databricks;
mod fit;
mod huggingface;
mod mistral;
mod prepare;
mod reply;

pub use reply::{StreamDecoder, decode_error, decode_reply};

pub(crate) use fit::{Body, effort_of_thinking, join_texts, list_stop, remove_nulls, rename};
pub(crate) use prepare::{Manner, Media, Thoughts, prepare};

use crate::admit::Admission;
use crate::conversation::{ChatRequest, allowed};
use crate::json::value::{insert, insert_some};
use crate::openai::{self, Extensions};
use crate::wire::{Capabilities, EncodeError, EncodeOptions, Losses, Outbound, Reading};
use serde_json::{Map, Value};

/// A provider with liberties of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Flavor {
    /// Mistral's platform.
    Mistral,
    /// Databricks' serving endpoints.
    Databricks,
    /// Hugging Face: its text server, and its router before it.
    HuggingFace,
}

impl Flavor {
    /// The flavor of a provider by its name in the catalogue.
    pub fn of_provider(name: &str) -> Option<Self> {
        match name {
            "mistral" | "codestral" => Some(Self::Mistral),
            "databricks" => Some(Self::Databricks),
            "huggingface" => Some(Self::HuggingFace),
            _ => None,
        }
    }

    /// What the provider does with each of OpenAI's chat parameters.
    pub fn capabilities(self) -> Capabilities {
        match self {
            Self::Mistral => mistral::CAPABILITIES,
            Self::Databricks => databricks::CAPABILITIES,
            Self::HuggingFace => huggingface::CAPABILITIES,
        }
    }

    fn native(self) -> &'static [&'static str] {
        match self {
            Self::Mistral => mistral::NATIVE_PARAMS,
            Self::Databricks => databricks::NATIVE_PARAMS,
            Self::HuggingFace => huggingface::NATIVE_PARAMS,
        }
    }

    fn manner(self) -> Manner {
        match self {
            Self::Mistral => mistral::MANNER,
            Self::Databricks => databricks::MANNER,
            Self::HuggingFace => huggingface::MANNER,
        }
    }
}

/// Writes a chat request for a provider with liberties.
///
/// # Errors
/// [`EncodeError::Unsupported`] names all parameters that the provider does not have, unless they may be dropped;
/// [`EncodeError::Invalid`] names the place of what cannot be written.
pub fn encode_chat(
    flavor: Flavor,
    request: &ChatRequest,
    options: &EncodeOptions,
) -> Result<Outbound, EncodeError> {
    let admission = Admission { capabilities: flavor.capabilities(), native: flavor.native(), dialect: None };
    let (mut body, mut lost) = write(request, options, admission, flavor.manner())?;
    {
        let mut fitted = Body { members: &mut body, options, lost: &mut lost };
        match flavor {
            Flavor::Mistral => mistral::fit(&mut fitted)?,
            Flavor::Databricks => databricks::fit(&mut fitted)?,
            Flavor::HuggingFace => huggingface::fit(&mut fitted)?,
        }
        fitted.keep_known(admission);
    }
    Ok(Outbound {
        path: openai::CHAT_PATH.to_owned(),
        body: Value::Object(body).to_string().into_bytes(),
        reading: Reading { model: request.model.clone(), ..Reading::default() },
        lost,
        ..Outbound::default()
    })
}

/// The body in OpenAI's form with LiteLLM's extensions, of a request that the provider admits.
pub(crate) fn write(
    request: &ChatRequest,
    options: &EncodeOptions,
    admission: Admission,
    manner: Manner,
) -> Result<(Map<String, Value>, Losses), EncodeError> {
    let narrowed = allowed::narrowed(request);
    let request = narrowed.as_ref().unwrap_or(request);
    let mut lost = Losses::default();
    admission.admit(request, options, &mut lost)?;
    let prepared = prepare(request, manner, &mut lost)?;
    let written = openai::encode_chat(&prepared, Extensions::Include, options)?;
    lost.extend(written.lost);
    let mut body: Map<String, Value> = serde_json::from_slice(&written.body).unwrap_or_default();
    // The usage of a stream comes unasked, and none of these takes the older names.
    body.shift_remove("stream_options");
    let limit = body.shift_remove("max_completion_tokens");
    insert_some(&mut body, "max_tokens", limit);
    if let Some(Value::Array(tools)) = body.get_mut("tools") {
        tools.iter_mut().for_each(with_parameters);
    }
    Ok((body, lost))
}

/// OpenAI alone lets a function go without a schema.
fn with_parameters(tool: &mut Value) {
    if let Some(Value::Object(function)) = tool.get_mut("function")
        && !function.contains_key("parameters")
    {
        insert(function, "parameters", serde_json::json!({"type": "object", "properties": {}}));
    }
}
