//! Streams of OpenAI's surface: events to chunks, chunks to events, and the transducer between a provider's stream
//! and the caller's.
//!
//! Owns the form and order of chunks. Leaves framing to [`crate::sse`] and a provider's own events to its decoder.

mod decoder;
mod encoder;
mod translator;

pub use decoder::ChunkDecoder;
pub use encoder::{ChunkEncoder, StreamPlan, StreamShape};
pub use translator::Translator;
