//! Streams of the Responses API: events to and from the conversation model's.

mod decoder;
mod encoder;

pub use decoder::StreamDecoder;
pub use encoder::StreamEncoder;

/// Longest frame of a stream that is worth accepting, in bytes ([`crate::sse::Framer::with_cap`]): the last event carries
/// the whole response with the tools and instructions of its request, and a picture comes as base64 in one frame.
pub const FRAME_BYTES_MAX: usize = 32 << 20;
