//! Cohere's dialect, version 2, on both sides: chats of callers and to providers, replies, streams, errors, embeddings.
//!
//! Owns every fact about that wire: which parameters it has ([`CAPABILITIES`]), how messages, documents, tools and
//! citations are written and read, what is billed. Leaves rankings to [`rerank`](crate::rerank), credentials and base
//! URLs to others.
//!
//! What the model says before its calls (`tool_plan`) is text: it is a part of the conversation that every other wire
//! has a place for and sends back, which hidden reasoning is not. The other way, text right before calls is the plan.
//!
//! **Invariant:** of an encoded chat every call is answered before anything else comes, no message is empty, and `p`,
//! `k`, the penalties and the number of stop texts are within Cohere's bounds.
//! **Invariant:** token counts are those that Cohere bills; what it counts beyond them is told apart.

mod answer;
mod citations;
mod documents;
mod embed;
mod errors;
mod finish;
mod inbound;
mod logprobs;
mod params;
mod reply;
mod request;
mod stream;
mod stream_encoder;
mod tools;
mod turns;
mod usage;

pub use answer::encode_reply;
pub(crate) use documents::words as words_of;
pub use embed::{
    EmbedShape, INPUT_TYPE_DEFAULT, VectorType, decode_embed_request, decode_embeddings, encode_embed_reply,
    encode_embeddings,
};
pub use errors::{decode_error, encode_error};
pub use inbound::decode_request;
pub use params::{CAPABILITIES, NATIVE_PARAMS};
pub use reply::decode_reply;
pub use request::encode_chat;
pub use stream::StreamDecoder;
pub use stream_encoder::StreamEncoder;

/// The path of chats after the deployment's base URL.
pub const CHAT_PATH: &str = "/v2/chat";

/// The path of embeddings after the deployment's base URL.
pub const EMBED_PATH: &str = "/v2/embed";

/// The tool that stands in for a response format beside other tools, which Cohere does not take together (LiteLLM's
/// name for it).
pub const ANSWER_TOOL: &str = "json_tool_call";
