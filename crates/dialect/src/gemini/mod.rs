//! Google's `generateContent`, as AI Studio (`v1beta`) and Vertex AI speak it, on both sides: as the surface for callers
//! and as the wire to Google's models. Chat, streamed chat, token counts, embeddings, errors.
//!
//! Owns what a request, a reply, a stream frame and an error look like there, and which of OpenAI's parameters this wire
//! expresses ([`CAPABILITIES`]). For callers there are [`decode_request`], [`encode_reply`], [`StreamEncoder`] and
//! [`encode_error`]; for providers [`encode_chat`], [`decode_reply`], [`StreamDecoder`] and [`decode_error`]. Leaves to
//! others: base URLs, credentials, estimating usage where Google reports none. Shapes follow Google's published API
//! reference and the types of its `google-genai` package.
//!
//! **Invariant:** every member of a body is one that Google publishes, or one that the caller gave by its Gemini name.
//! **Invariant:** a model's name cannot reach any path but its own.

mod answer;
mod candidate;
mod citations;
mod contents;
mod count;
mod embedding;
mod error;
mod finish;
mod generation;
mod host;
mod hosted;
pub(crate) mod ident;
mod inbound;
mod logprobs;
mod media;
mod own;
mod params;
mod part;
mod predict;
mod reply;
mod request;
mod schema;
mod seal;
mod stream;
mod usage;

pub use answer::{StreamEncoder, encode_batch_embed_reply, encode_embed_reply, encode_reply};
pub use count::{decode_count, encode_count, encode_count_request, encode_count_request_for};
pub use embedding::{decode_embeddings, encode_embeddings};
pub use error::{decode_error, encode_error};
pub use host::Host;
pub use inbound::{decode_batch_embed_request, decode_count_request, decode_embed_request, decode_request};
pub use params::{CAPABILITIES, SUPPORTED_PARAMS};
pub use predict::{decode_embeddings_for, encode_embeddings_for};
pub use reply::decode_reply;
pub use request::{STOP_SEQUENCES_MAX, call_path, call_path_for, encode_chat, encode_chat_for};
pub use stream::{FRAME_BYTES_MAX, StreamDecoder};
