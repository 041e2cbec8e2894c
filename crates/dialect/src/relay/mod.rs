//! The road for OpenAI's dialect on both sides: bodies and stream frames are scanned, spliced and passed on.
//!
//! Owns the edits that a request, a reply and a stream need between two ends of the same dialect, and reading usage,
//! errors and the end of a stream on the way past. Leaves decoding to the wires. **Invariant:** a byte that no edit
//! touches is passed on as it came, and what comes out reads as the same edits made on a tree.

mod chunk;
mod native;
mod output;
mod pass;
mod reply;
mod request;
mod stream;
mod usage;

pub use native::{ModelPlace, NativeRelay, rename_reply};
pub use pass::{PassRelay, reply_usage};
pub use reply::{ReplyView, relay_reply};
pub use request::{RequestEdits, plan_request};
pub use stream::{OpenAiRelay, RelayOptions};
