//! The Gemini wire as Google AI Studio speaks it (`v1beta`): chat, streamed chat, embeddings, errors.
//!
//! Owns: what a request, a reply, a stream frame and an error look like at
//! `https://generativelanguage.googleapis.com/v1beta`; which of the caller's parameters this wire expresses
//! ([`SUPPORTED_PARAMS`], [`IGNORED_PARAMS`], [`UNSUPPORTED_PARAMS`]). Leaves to others: the base URL, credentials
//! (`x-goog-api-key`), estimating usage where Google reports none. Shapes follow Google's published API reference and
//! the request types of its `google-genai` package.
//!
//! **Invariant:** every member of a body is one that Google publishes, or one that the caller gave by its Gemini name
//! and that is on the allow-list. **Invariant:** a model's name cannot reach any path but its own.
//!
//! Code-execution parts of an answer (`executableCode`, `codeExecutionResult`) and grounding metadata have no place
//! in the conversation model and are passed over; the answer's text is not.

mod candidate;
mod contents;
mod embedding;
mod error;
mod generation;
mod ident;
mod media;
mod params;
mod reply;
mod request;
mod schema;
mod stream;
mod usage;

pub use embedding::{decode_embeddings, encode_embeddings};
pub use error::decode_error;
pub use params::{IGNORED_PARAMS, SUPPORTED_PARAMS, UNSUPPORTED_PARAMS};
pub use reply::decode_reply;
pub use request::{STOP_SEQUENCES_MAX, call_path, encode_chat};
pub use stream::{FRAME_BYTES_MAX, StreamDecoder};
