//! Rankings: the request of callers (Cohere's form, which is LiteLLM's), and the forms of those who rank.
//!
//! Owns every provider's names and what of a request it can express. Leaves base URLs and credentials to others.
//!
//! **Invariant:** documents never come back from a provider: the results that repeat them have those of the request, so
//! that all providers answer alike.

mod reply;
mod request;

pub use reply::{decode_error, decode_reply, encode_reply};
pub use request::{decode_request, encode_request};

/// A form of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RerankWire {
    /// Cohere, version 2: texts.
    Cohere,
    /// Cohere, version 1: texts and objects.
    CohereV1,
    /// Jina.
    Jina,
    /// Voyage.
    Voyage,
    /// Together.
    Together,
    /// Infinity, and the servers that have its form.
    Infinity,
    /// Hugging Face's server for embeddings, which ranks too.
    HuggingFace,
}
