//! Anthropic's wire, outbound: a [`ChatRequest`](crate::conversation::ChatRequest) as a Messages request, and its
//! replies, streams and errors as the conversation model.
//!
//! Owns every fact about that wire: which parameters it has ([`params`]), how turns, blocks, tools, reasoning and
//! schemas are written, how usage is counted, what its errors mean. Leaves credentials, extra headers of the caller,
//! base URLs and model facts ([`EncodeOptions`](crate::wire::EncodeOptions)) to others.
//!
//! **Invariant:** an encoded body begins with a user turn, alternates, holds no empty text, and every `tool_result`
//! answers a `tool_use` of the turn right before it; what cannot be written so is an error that names the place.

mod blocks;
mod errors;
mod hosted;
mod media;
mod members;
pub mod params;
mod reasoning;
mod reply;
mod request;
pub(crate) mod schema;
mod stream;
mod tool_ids;
mod tools;
mod turns;
mod usage;

pub use errors::decode_error;
pub use reply::decode_reply;
pub use request::encode_chat;
pub use stream::StreamDecoder;
pub use tools::ANSWER_TOOL;

/// The version of the API that is spoken (`anthropic-version`), the only one since its general release.
pub const API_VERSION: &str = "2023-06-01";

/// The path of the Messages API after the deployment's base URL.
pub const MESSAGES_PATH: &str = "/v1/messages";

/// The `max_tokens` that goes out when neither the caller nor the catalogue names one (LiteLLM's default).
pub const MAX_TOKENS_DEFAULT: u64 = 4_096;
