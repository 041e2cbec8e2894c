//! Who serves Anthropic's models: Anthropic itself, Google's Vertex, Amazon's Bedrock.
//!
//! Owns what the body and the headers say differently there. Leaves addresses, and the model's name in them, to the
//! caller. Source: the clients for Vertex and Bedrock in Anthropic's published package, and the providers' references.

use super::API_VERSION;
use serde_json::{Map, Value};

/// Where a Messages request goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Host {
    /// Anthropic's own API, and whoever imitates it.
    #[default]
    Anthropic,
    /// `rawPredict` and `streamRawPredict` of Vertex: the model stands in the path, the version in the body.
    Vertex,
    /// `invoke` and `invoke-with-response-stream` of Bedrock: model and streaming stand in the path, version and betas
    /// in the body.
    BedrockInvoke,
}

/// The version that Vertex takes.
const VERTEX_VERSION: &str = "vertex-2023-10-16";
/// The version that Bedrock takes.
const BEDROCK_VERSION: &str = "bedrock-2023-05-31";

impl Host {
    /// Puts version and betas where the host wants them, takes out of the body what the host has in the path, and gives
    /// the headers.
    pub(super) fn fit(self, body: &mut Map<String, Value>, betas: &[&str]) -> Vec<(&'static str, String)> {
        let beta_header = (!betas.is_empty()).then(|| ("anthropic-beta", betas.join(",")));
        match self {
            Self::Anthropic => {
                let version = ("anthropic-version", API_VERSION.to_owned());
                std::iter::once(version).chain(beta_header).collect()
            }
            Self::Vertex => {
                body.shift_remove("model");
                body.insert("anthropic_version".to_owned(), VERTEX_VERSION.into());
                beta_header.into_iter().collect()
            }
            Self::BedrockInvoke => {
                body.shift_remove("model");
                body.shift_remove("stream");
                body.insert("anthropic_version".to_owned(), BEDROCK_VERSION.into());
                if !betas.is_empty() {
                    body.insert("anthropic_beta".to_owned(), betas.into());
                }
                Vec::new()
            }
        }
    }
}
