//! Amazon Bedrock's Converse, both ways, and the embeddings of models that Bedrock invokes.
//!
//! Owns every fact about that wire: which parameters it has, how turns, blocks, tools, cache points and a model's own
//! parameters are written, how usage is counted, what its errors mean. Leaves the framing of streams to
//! [`framing::event_stream`](crate::framing::event_stream), signatures of requests, hosts and headers to others.
//!
//! **Invariant:** an encoded body begins with a user turn, alternates, holds no blank text, and every `toolResult`
//! answers a `toolUse` of the turn right before it; what cannot be written so is an error that names the place.

mod answer;
mod blocks;
mod citations;
mod embeddings;
mod errors;
mod inbound;
mod media;
mod members;
mod model;
mod own;
mod params;
mod reasoning_blocks;
mod relay;
mod reply;
mod request;
mod stop;
mod stream;
mod stream_encoder;
mod thinking;
mod tool_ids;
mod tools;
mod turns;
mod usage;

pub use answer::encode_reply;
pub use embeddings::{decode_embeddings, encode_embeddings};
pub use errors::{decode_error, encode_error, error_type};
pub use inbound::decode_request;
pub use model::{call_path, count_path, invoke_path};
pub use params::CAPABILITIES;
pub use relay::StreamRelay;
pub use reply::{decode_count_reply, decode_reply};
pub use request::{encode_chat, encode_count};
pub use stream::StreamDecoder;
pub use stream_encoder::StreamEncoder;
