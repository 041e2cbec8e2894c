//! The conversation model: what every wire format decodes to and encodes from.
//!
//! A format that cannot express a field says so when it encodes ([`crate::wire::EncodeError::Unsupported`]); what the
//! model has no field for travels in `native` and comes out again only where both ends speak the same dialect.
//! `extra` holds parameters by their names in OpenAI's chat completions, which every encoder knows or names as lost.

pub(crate) mod allowed;
mod citation;
pub mod custom;
mod embedding;
mod event;
mod media;
mod native;
mod reply;
mod request;
mod rerank;
mod signature;

pub use citation::{Citation, PlaceUnit, SourcePlace};
pub use embedding::{Embedding, EmbeddingInput, EmbeddingPurpose, EmbeddingReply, EmbeddingRequest};
pub use event::StreamEvent;
pub use media::sniff_media_type;
pub use native::Native;
pub use reply::{ChatReply, Choice, StopReason, Usage};
pub use request::{
    CacheControl, ChatRequest, Effort, MediaSource, Message, Namespace, Part, Reasoning, ResponseFormat,
    Role, Sampling, Tool, ToolChoice, ToolKind,
};
pub use rerank::{RerankDocument, RerankReply, RerankRequest, RerankResult};
pub use signature::{Issuer, Signature};
