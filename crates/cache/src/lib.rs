//! Answers that are kept.
