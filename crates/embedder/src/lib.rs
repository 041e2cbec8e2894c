//! Sentences into vectors, inside the process.
//!
//! Owns the words, the model, and the threads that run it. It knows nothing of requests, caches or routes: text goes in, 384
//! numbers come out.
//!
//! The model is sentence-transformers/all-MiniLM-L6-v2 (Apache-2.0, `model/NOTICE`), 23 MB of it in the binary and none of it in
//! memory before the first text.
//!
//! **Invariant**: a caller never waits for a queue that is longer than its patience; what cannot be embedded in time is
//! [`Skipped`], and the caller does without.

mod embedder;
mod model;
mod words;

use std::sync::Arc;

pub use embedder::{Embedder, Settings};
pub use words::{BYTES_MAX, TOKENS_MAX};

/// Numbers of a vector.
pub const WIDTH: usize = 384;

/// Which model made a vector: its name and the first eight hex digits of the file's SHA-256. Vectors of different models are
/// not to be compared.
pub const MODEL_ID: &str = "all-MiniLM-L6-v2-int8@82f463f3";

/// A vector of [`WIDTH`] numbers and length 1. Two texts are as similar as the sum of the products (the cosine).
pub type Embedding = Arc<[f32]>;

/// Why a text has no vector. None of these is the text's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Skipped {
    /// It would wait longer than the patience that was set.
    #[error("the embedder's queue is late")]
    Late,
    /// As many texts wait as may.
    #[error("the embedder's queue is full")]
    Full,
    /// The embedder is shutting down, or its model could not be run.
    #[error("the embedder is closed")]
    Closed,
}

/// The engine's words about a model that it cannot load or run.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the embedder's model: {0}")]
pub struct Broken(pub(crate) String);
