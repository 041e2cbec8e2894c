//! A whole answer as the stream that it might have been, and a stream as the whole answer that it told.
//!
//! Owns both directions between [`ChatReply`](crate::conversation::ChatReply) and
//! [`StreamEvent`](crate::conversation::StreamEvent)s. Leaves bytes to each dialect's decoders and encoders, and which
//! answers are kept to others.
//!
//! **Invariant:** `reply_of(&events_of(&reply))` is `Some(reply)` where every call's arguments can be read, but for what
//! [`events_of`] and [`Heard`] name as not carried, and that a source of all of a text has no span.
//! **Invariant:** the same answer gives the same events, whenever it is asked for.

mod events;
mod heard;
mod logprobs;
mod pieces;

pub use events::events_of;
pub use heard::{Heard, reply_of};
