//! Streams of OpenAI's surface: events to chunks, chunks to events.
//!
//! Owns the form and order of chunks. Leaves framing to [`crate::sse`] and a provider's own events to its decoder.

mod decoder;
mod encoder;

pub use decoder::ChunkDecoder;
pub use encoder::{ChunkEncoder, StreamPlan, StreamShape};
