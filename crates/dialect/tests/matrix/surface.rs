//! The dialects as rows: what the matrix needs of each of them.

use tollgate_dialect::conversation::{ChatReply, ChatRequest};
use tollgate_dialect::failure::ProviderError;
use tollgate_dialect::framing::Framing;
use tollgate_dialect::wire::{
    CallerError, Dialect, EncodeError, EncodeOptions, EventDecoder, EventEncoder, Losses, Outbound, Reading,
    ReplyFacts, ReplyFault, RequestError,
};
use tollgate_dialect::{anthropic, bedrock, cohere, gemini, openai, responses};

/// One dialect, on both sides.
pub(crate) struct Surface {
    pub(crate) dialect: Dialect,
    /// Its name in the table.
    pub(crate) title: &'static str,
    /// A model that its provider serves; what may be asked depends on it at Bedrock.
    pub(crate) model: &'static str,
    pub(crate) decode_request: fn(&[u8]) -> Result<ChatRequest, RequestError>,
    pub(crate) encode_chat: fn(&ChatRequest, &EncodeOptions) -> Result<Outbound, EncodeError>,
    pub(crate) decode_reply: fn(&[u8], &Reading) -> Result<ChatReply, ReplyFault>,
    pub(crate) encode_reply: fn(&ChatReply, &ReplyFacts, &mut Losses) -> Vec<u8>,
    pub(crate) framing: fn() -> Framing,
    pub(crate) decoder: fn(Reading) -> Box<dyn EventDecoder>,
    pub(crate) encoder: fn(ReplyFacts) -> Box<dyn EventEncoder>,
    pub(crate) decode_error: fn(u16, &[u8]) -> ProviderError,
    pub(crate) encode_error: fn(&CallerError<'_>) -> Vec<u8>,
}

/// Every dialect, in the order of the table.
pub(crate) const SURFACES: &[Surface] = &[
    Surface {
        dialect: Dialect::OpenAi,
        title: "OpenAI chat",
        model: "gpt-5",
        decode_request: openai::decode_chat,
        encode_chat: |request, options| openai::encode_chat(request, openai::Extensions::Omit, options),
        decode_reply: |body, _| openai::decode_reply(body),
        encode_reply: openai::encode_reply,
        framing: Framing::events,
        decoder: |_| Box::new(openai::ChunkDecoder::new()),
        encoder: |facts| {
            let plan = openai::StreamPlan { facts, shape: openai::StreamShape::Chat };
            Box::new(openai::ChunkEncoder::new(plan))
        },
        decode_error: openai::decode_error,
        encode_error: openai::encode_error,
    },
    Surface {
        dialect: Dialect::Responses,
        title: "Responses",
        model: "gpt-5",
        decode_request: responses::decode_request,
        encode_chat: responses::encode_chat,
        decode_reply: responses::decode_reply,
        encode_reply: |reply, facts, losses| {
            responses::encode_reply(reply, facts, &responses::Echo::default(), losses)
        },
        framing: || Framing::events_with_cap(responses::FRAME_BYTES_MAX),
        decoder: |_| Box::new(responses::StreamDecoder::new()),
        encoder: |facts| Box::new(responses::StreamEncoder::new(facts, responses::Echo::default())),
        decode_error: responses::decode_error,
        encode_error: responses::encode_error,
    },
    Surface {
        dialect: Dialect::Anthropic,
        title: "Anthropic",
        model: "claude-sonnet-4-5",
        decode_request: anthropic::decode_request,
        encode_chat: anthropic::encode_chat,
        decode_reply: anthropic::decode_reply,
        encode_reply: anthropic::encode_reply,
        framing: Framing::events,
        decoder: |reading| Box::new(anthropic::StreamDecoder::new(reading)),
        encoder: |facts| Box::new(anthropic::StreamEncoder::new(facts)),
        decode_error: anthropic::decode_error,
        encode_error: anthropic::encode_error,
    },
    Surface {
        dialect: Dialect::Gemini,
        title: "Gemini",
        model: "gemini-3-pro",
        decode_request: gemini::decode_request,
        encode_chat: gemini::encode_chat,
        decode_reply: gemini::decode_reply,
        encode_reply: gemini::encode_reply,
        framing: || Framing::events_with_cap(gemini::FRAME_BYTES_MAX),
        decoder: |reading| Box::new(gemini::StreamDecoder::new(&reading)),
        encoder: |facts| Box::new(gemini::StreamEncoder::new(facts, false)),
        decode_error: gemini::decode_error,
        encode_error: gemini::encode_error,
    },
    Surface {
        dialect: Dialect::Bedrock,
        title: "Bedrock",
        model: "anthropic.claude-sonnet-4-5-20250929-v1:0",
        decode_request: bedrock::decode_request,
        encode_chat: bedrock::encode_chat,
        decode_reply: bedrock::decode_reply,
        encode_reply: bedrock::encode_reply,
        framing: Framing::event_stream,
        decoder: |reading| Box::new(bedrock::StreamDecoder::new(reading)),
        encoder: |facts| Box::new(bedrock::StreamEncoder::new(facts)),
        decode_error: bedrock::decode_error,
        encode_error: bedrock::encode_error,
    },
    Surface {
        dialect: Dialect::Cohere,
        title: "Cohere",
        model: "command-a-reasoning-08-2025",
        decode_request: cohere::decode_request,
        encode_chat: cohere::encode_chat,
        decode_reply: cohere::decode_reply,
        encode_reply: cohere::encode_reply,
        framing: Framing::events,
        decoder: |reading| Box::new(cohere::StreamDecoder::new(reading)),
        encoder: |facts| Box::new(cohere::StreamEncoder::new(facts)),
        decode_error: cohere::decode_error,
        encode_error: cohere::encode_error,
    },
];

/// What the reply to a caller says beside the answer.
pub(crate) fn facts() -> ReplyFacts {
    ReplyFacts {
        client_model: "my-model".to_owned(),
        created: 1_700_000_000,
        fallback_id: "0b1ff3c1-0f0f-4a4a-8b8b-000000000001".to_owned(),
        include_usage: true,
        ..ReplyFacts::default()
    }
}

/// What reading an answer knows of its request.
pub(crate) fn reading(provider: &Surface) -> Reading {
    Reading { model: provider.model.to_owned(), id_seed: 1, ..Reading::default() }
}

/// A dialect of this name exists, whether or not it has a row yet.
pub(crate) fn name_is_known(name: &str) -> bool {
    Dialect::ALL.iter().any(|dialect| dialect.name() == name)
}
