//! How each caller is spoken to: one table from a surface's dialect to what reads its requests and writes its replies.
//!
//! Owns the choice of the dialect's functions, nothing of what they do.

use crate::surface::Surface;
use http::header::HeaderValue;
use tollgate_dialect::conversation::{ChatReply, ChatRequest};
use tollgate_dialect::openai::{self, ChunkEncoder, StreamPlan, StreamShape};
use tollgate_dialect::wire::{CallerError, Dialect, EventEncoder, Losses, ReplyFacts, RequestError};

/// Reads a request as a conversation.
pub(crate) fn decode(surface: Surface, body: &[u8]) -> Result<ChatRequest, RequestError> {
    match surface {
        Surface::Completions => openai::decode_completions(body),
        _ => openai::decode_chat(body),
    }
}

/// Writes a whole reply.
pub(crate) fn encode_reply(
    surface: Surface,
    reply: &ChatReply,
    facts: &ReplyFacts,
    _losses: &mut Losses,
) -> Vec<u8> {
    match surface {
        Surface::Completions => openai::encode_completion(reply, facts),
        _ => openai::encode_reply(reply, facts),
    }
}

/// Writes a stream; as a JSON array where Google's clients ask for one.
pub(crate) fn stream_encoder(surface: Surface, facts: ReplyFacts, _as_array: bool) -> Box<dyn EventEncoder> {
    let shape = if surface == Surface::Completions { StreamShape::Completion } else { StreamShape::Chat };
    Box::new(ChunkEncoder::new(StreamPlan { facts, shape }))
}

/// The type of a stream; `None` for server-sent events.
pub(crate) fn stream_type(_surface: Surface, _as_array: bool) -> Option<HeaderValue> {
    None
}

/// The body of an error in a dialect of its own; `None` for OpenAI's.
pub(crate) fn encode_error(dialect: Dialect, _error: &CallerError<'_>) -> Option<Vec<u8>> {
    match dialect {
        Dialect::OpenAi | Dialect::Responses => None,
        _ => None,
    }
}
