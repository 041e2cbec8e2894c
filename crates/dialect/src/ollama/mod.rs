//! Ollama's own API: chats and embeddings at a server of one's own.
//!
//! Owns every fact about that wire: its options, its messages of one text each, calls whose arguments are objects, its
//! lines of JSON ([`Framing::lines`](crate::framing::Framing::lines)). Leaves loading of models and credentials to
//! others.
//!
//! **Invariant:** a request always says whether it is to be streamed: without a word Ollama streams.

mod embed;
mod params;
mod reply;
mod request;
mod stream;
mod turns;

pub use embed::{decode_embeddings, encode_embeddings};
pub use params::{CAPABILITIES, NATIVE_PARAMS};
pub use reply::decode_reply;
pub use request::encode_chat;
pub use stream::StreamDecoder;

use crate::failure::ProviderError;

/// The path of chats after the deployment's base URL.
pub const CHAT_PATH: &str = "/api/chat";

/// The path of embeddings after the deployment's base URL.
pub const EMBED_PATH: &str = "/api/embed";

/// Reads the body of an error reply: `{"error": "sentence"}`.
pub fn decode_error(status: u16, body: &[u8]) -> ProviderError {
    crate::openai::decode_error(status, body)
}
