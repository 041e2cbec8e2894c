//! Sentences into vectors.
