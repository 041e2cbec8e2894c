//! OpenAI's Responses API, as a surface for callers and as a wire for providers.
//!
//! Owns every fact about that wire: items, events and their order, what a response repeats of its request, and how a stored
//! conversation is put before a request. Leaves storing itself, ids of stored responses and credentials to others; errors are
//! OpenAI's.
//!
//! Where this API has no place for something that another maker's model said, it travels in a place that clients send back
//! as they got it: signatures in `encrypted_content`, with a mark.
//!
//! **Invariant:** what is read here and written again is the same request, reply or stream; what this form cannot hold is
//! named as lost.

mod annotation;
mod echo;
mod encode;
mod events;
mod history;
mod item;
mod output;
mod params;
mod passed;
mod reply;
mod request;
mod response;
mod seal;
mod stream;
mod usage;

pub use crate::openai::{decode_error, encode_error};
pub use echo::Echo;
pub use encode::{RESPONSES_PATH, encode_chat};
pub use history::{StoredTurn, carries_marks, extend, input_items};
pub use params::CAPABILITIES;
pub use passed::Passed;
pub use reply::{decode_reply, encode_reply};
pub use request::decode_request;
pub use stream::{FRAME_BYTES_MAX, StreamDecoder, StreamEncoder};
