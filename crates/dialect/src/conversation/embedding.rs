//! Embedding requests and replies. Owns types only.

use super::Usage;
use serde_json::{Map, Value};

/// One embedding request.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EmbeddingRequest {
    /// The model as named to the provider.
    pub model: String,
    /// What to embed.
    pub input: Vec<EmbeddingInput>,
    /// The length of each vector, where the model offers a choice.
    pub dimensions: Option<u64>,
    /// The caller wants base64 of little-endian f32 instead of numbers (the `openai` packages ask for it by default).
    pub base64: bool,
    /// The caller's end user.
    pub user: Option<String>,
    /// Members that the model has no field for.
    pub extra: Map<String, Value>,
    /// What the vectors are for, where the caller says (Cohere's `input_type`).
    pub purpose: Option<EmbeddingPurpose>,
    /// Members that only the caller's dialect has, by their names there; empty for OpenAI's.
    pub native: Map<String, Value>,
}

/// What vectors are for. Models that know it embed a question and its answer so that they meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EmbeddingPurpose {
    /// Texts that are to be found.
    Document,
    /// What is looked for.
    Query,
    /// Sorting into classes.
    Classification,
    /// Finding groups.
    Clustering,
    /// A picture.
    Image,
}

/// One thing to embed.
#[derive(Debug, Clone, PartialEq)]
pub enum EmbeddingInput {
    /// Text.
    Text(String),
    /// Token ids of the model's own vocabulary (OpenAI only).
    Tokens(Vec<u64>),
}

/// The vectors.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EmbeddingReply {
    /// The model that answered.
    pub model: String,
    /// One vector per input, in order.
    pub data: Vec<Embedding>,
    /// What it used; output is 0.
    pub usage: Usage,
}

/// One vector.
#[derive(Debug, Clone, PartialEq)]
pub struct Embedding(pub Vec<f32>);

impl Embedding {
    /// The vector that a JSON list of numbers is; `None` for anything else.
    pub(crate) fn of_numbers(list: &Value) -> Option<Self> {
        #[expect(clippy::cast_possible_truncation, reason = "vectors are f32; what is finer was never meant")]
        let numbers = list.as_array()?.iter().map(|number| number.as_f64().map(|number| number as f32));
        numbers.collect::<Option<Vec<f32>>>().map(Self)
    }
}
