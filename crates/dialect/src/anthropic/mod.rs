//! Anthropic's dialect, on both sides: requests of callers and to providers, replies, streams and errors.
//!
//! Owns every fact about that wire: which parameters it has ([`CAPABILITIES`]), how turns, blocks, tools, reasoning,
//! citations and schemas are written and read, how usage is counted, what its errors mean. Leaves credentials, extra
//! headers of the caller, base URLs and model facts ([`EncodeOptions`](crate::wire::EncodeOptions)) to others.
//!
//! **Invariant:** an encoded request begins with a user turn, alternates, holds no empty text, and every `tool_result`
//! answers a `tool_use` of the turn right before it; what cannot be written so is an error that names the place.
//! **Invariant:** what only this dialect says (blocks of the provider's own tools, members without a field in the
//! model) comes out again where both ends speak it.

pub(crate) mod answer;
mod blocks;
mod citations;
mod errors;
mod host;
mod hosted;
mod inbound;
mod media;
mod members;
mod own;
mod params;
mod reasoning;
mod reply;
mod reply_blocks;
mod request;
pub(crate) mod schema;
mod stream;
mod tokens;
mod tool_ids;
mod tools;
mod turns;
mod usage;

pub use answer::{StreamEncoder, encode_reply};
pub use errors::{decode_error, encode_error};
pub use host::Host;
pub use inbound::{decode_count_request, decode_request};
pub use params::{CAPABILITIES, NATIVE_PARAMS};
pub(crate) use reasoning::one_of_both;
pub use reply::decode_reply;
pub use request::{encode_chat, encode_chat_for, encode_count};
pub use stream::{END_MARK, StreamDecoder};
pub use tokens::{decode_count_reply, encode_count_reply};
pub use tools::ANSWER_TOOL;

/// The version of the API that is spoken (`anthropic-version`): the one that takes what every model has, sampling
/// included.
pub const API_VERSION: &str = "2023-06-01";

/// The path of the Messages API after the deployment's base URL.
pub const MESSAGES_PATH: &str = "/v1/messages";

/// The path of token counting after the deployment's base URL.
pub const COUNT_PATH: &str = "/v1/messages/count_tokens";

/// The `max_tokens` that goes out when neither the caller nor the catalogue names one (LiteLLM's default).
pub const MAX_TOKENS_DEFAULT: u64 = 4_096;
