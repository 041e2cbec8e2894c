//! Ranking requests and replies. Owns types only.

use super::Usage;
use serde_json::{Map, Value};

/// One request to rank documents by how well they answer a query.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RerankRequest {
    /// The model as named to the provider.
    pub model: String,
    /// What is looked for.
    pub query: String,
    /// Where it is looked for; results name documents by their number here.
    pub documents: Vec<RerankDocument>,
    /// How many of the best are wanted; `None` is all of them.
    pub top_n: Option<u64>,
    /// The results are to repeat their documents.
    pub return_documents: Option<bool>,
    /// How much of each document is read, in tokens.
    pub max_tokens_per_doc: Option<u64>,
    /// How much of each document is read, in pieces of the model's window (Cohere's first version).
    pub max_chunks_per_doc: Option<u64>,
    /// The members of documents that are read, in order; empty is `text`.
    pub rank_fields: Vec<String>,
    /// Members that the model has no field for, by the caller's names.
    pub extra: Map<String, Value>,
}

/// One document.
#[derive(Debug, Clone, PartialEq)]
pub enum RerankDocument {
    /// A text.
    Text(String),
    /// An object, of which the request's `rank_fields` are read.
    Object(Map<String, Value>),
}

/// The ranking.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RerankReply {
    /// The provider's id for it; empty where it gives none.
    pub id: String,
    /// The model that ranked, where the provider names it.
    pub model: String,
    /// The best first.
    pub results: Vec<RerankResult>,
    /// What it used: search units, tokens, or both.
    pub usage: Usage,
}

/// How well one document answers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RerankResult {
    /// The document's number in the request, from 0.
    pub index: u64,
    /// 0 to 1 as a rule, more is better; some models give raw scores.
    pub score: f64,
}
