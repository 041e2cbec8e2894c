//! How each caller is spoken to: one table from a surface's dialect to what reads its requests and writes its replies.
//!
//! Owns the choice of the dialect's functions, nothing of what they do.

use super::receive::Received;
use super::rescue::Onward;
use crate::surface::Surface;
use bytes::Bytes;
use http::header::HeaderValue;
use std::sync::{Arc, OnceLock};
use tollgate_dialect::continuation::Sent;
use tollgate_dialect::conversation::{ChatReply, ChatRequest};
use tollgate_dialect::openai::{self, ChunkEncoder, StreamPlan, StreamShape};
use tollgate_dialect::responses::{Echo, Passed};
use tollgate_dialect::wire::{CallerError, Dialect, EventEncoder, Losses, ReplyFacts, RequestError};
use tollgate_dialect::{anthropic, bedrock, cohere, gemini, responses};

/// Where a stream's encoder leaves the whole answer for whoever keeps it.
pub(crate) type FinalSlot = Arc<OnceLock<Bytes>>;

/// Reads a request as a conversation.
pub(crate) fn decode(surface: Surface, body: &[u8]) -> Result<ChatRequest, RequestError> {
    match surface {
        Surface::Completions => openai::decode_completions(body),
        Surface::Responses => responses::decode_request(body),
        Surface::Messages => anthropic::decode_request(body),
        Surface::GenerateContent => gemini::decode_request(body),
        Surface::Converse => bedrock::decode_request(body),
        Surface::CohereChat => cohere::decode_request(body),
        _ => openai::decode_chat(body),
    }
}

/// Writes a whole reply.
pub(crate) fn encode_reply(
    (surface, received): (Surface, &Received<'_>),
    reply: &ChatReply,
    facts: &ReplyFacts,
    losses: &mut Losses,
) -> Vec<u8> {
    match surface {
        Surface::Completions => openai::encode_completion(reply, facts),
        Surface::Responses => responses::encode_reply(reply, facts, &received.echo(), losses),
        Surface::Messages => anthropic::encode_reply(reply, facts, losses),
        Surface::Converse => bedrock::encode_reply(reply, facts, losses),
        Surface::CohereChat => cohere::encode_reply(reply, facts, losses),
        Surface::GenerateContent => gemini::encode_reply(reply, facts, losses),
        _ => openai::encode_reply(reply, facts, losses),
    }
}

/// Writes a stream.
pub(crate) fn stream_encoder(
    surface: Surface,
    facts: ReplyFacts,
    received: &Received<'_>,
) -> (Box<dyn EventEncoder>, Option<FinalSlot>) {
    match surface {
        Surface::Responses => {
            let encoder = responses::StreamEncoder::new(facts, received.echo());
            let slot = encoder.final_slot();
            (Box::new(encoder), Some(slot))
        }
        Surface::Messages => (Box::new(anthropic::StreamEncoder::new(facts)), None),
        Surface::Converse => (Box::new(bedrock::StreamEncoder::new(facts)), None),
        Surface::CohereChat => (Box::new(cohere::StreamEncoder::new(facts)), None),
        Surface::GenerateContent => (Box::new(gemini::StreamEncoder::new(facts, received.as_array)), None),
        Surface::Completions => {
            (Box::new(ChunkEncoder::new(StreamPlan { facts, shape: StreamShape::Completion })), None)
        }
        _ => (Box::new(ChunkEncoder::new(StreamPlan { facts, shape: StreamShape::Chat })), None),
    }
}

/// Writes the rest of a stream of which the caller has the beginning.
pub(crate) fn continuing_encoder(
    (surface, facts): (Surface, ReplyFacts),
    received: &Received<'_>,
    onward: &Onward,
) -> (Box<dyn EventEncoder>, Option<FinalSlot>) {
    // What it writes for the beginning, the caller has.
    let mut unheard = Vec::new();
    match (surface, &onward.id, &onward.passed) {
        (Surface::Chat, Some(id), _) => {
            let plan = StreamPlan { facts, shape: StreamShape::Chat };
            let mut encoder = ChunkEncoder::with_id(plan, id);
            encoder.encode(onward.sent.events(), &mut unheard);
            (Box::new(encoder), None)
        }
        (Surface::Responses, _, Some(passed)) => {
            let mut encoder = responses::StreamEncoder::new(facts, received.echo());
            encoder.encode(onward.sent.events(), &mut unheard);
            encoder.go_on_after(passed);
            let slot = encoder.final_slot();
            (Box::new(encoder), Some(slot))
        }
        _ => {
            let (mut encoder, slot) = stream_encoder(surface, facts, received);
            encoder.encode(onward.sent.events(), &mut unheard);
            (encoder, slot)
        }
    }
}

/// Whether the rest of a response that was passed on can be written here.
pub(crate) fn can_take_place(sent: &Sent, passed: &Passed) -> bool {
    let mut encoder = responses::StreamEncoder::new(ReplyFacts::default(), Echo::default());
    encoder.encode(sent.events(), &mut Vec::new());
    encoder.go_on_after(passed)
}

/// The type of a stream; `None` for server-sent events.
pub(crate) fn stream_type(surface: Surface, as_array: bool) -> Option<HeaderValue> {
    match surface {
        Surface::GenerateContent if as_array => Some(HeaderValue::from_static("application/json")),
        Surface::Converse => Some(HeaderValue::from_static("application/vnd.amazon.eventstream")),
        _ => None,
    }
}

/// The body of an error in a dialect of its own; `None` for OpenAI's.
pub(crate) fn encode_error(dialect: Dialect, error: &CallerError<'_>) -> Option<Vec<u8>> {
    match dialect {
        Dialect::Anthropic => Some(anthropic::encode_error(error)),
        Dialect::Bedrock => Some(bedrock::encode_error(error)),
        Dialect::Cohere => Some(cohere::encode_error(error)),
        Dialect::Gemini => Some(gemini::encode_error(error)),
        _ => None,
    }
}
