//! The conversation model: what every wire format decodes to and encodes from.
//!
//! A format that cannot express a field says so when it encodes ([`crate::wire::EncodeError::Unsupported`]); what the
//! model has no field for travels in `extra` and comes out again only where both ends speak the same dialect.

mod embedding;
mod event;
mod reply;
mod request;

pub use embedding::{Embedding, EmbeddingInput, EmbeddingReply, EmbeddingRequest};
pub use event::StreamEvent;
pub use reply::{ChatReply, Choice, StopReason, Usage};
pub use request::{
    CacheControl, ChatRequest, Effort, MediaSource, Message, Part, Reasoning, ResponseFormat, Role, Sampling,
    Tool, ToolChoice,
};
