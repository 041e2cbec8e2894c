//! The dialects, each as one row of functions, so that every property is written once.

use tollgate_dialect::conversation::{ChatReply, ChatRequest};
use tollgate_dialect::failure::ProviderError;
use tollgate_dialect::framing::Framing;
use tollgate_dialect::relay::ModelPlace;
use tollgate_dialect::wire::{
    CallerError, EncodeError, EncodeOptions, EventDecoder, EventEncoder, Losses, Outbound, Reading,
    ReplyFacts, ReplyFault, RequestError,
};
use tollgate_dialect::{anthropic, bedrock, cohere, gemini, openai, responses};

/// A dialect's functions on both sides.
pub(crate) struct Wire {
    /// Its name, for what is said of a failure.
    pub(crate) name: &'static str,
    /// Callers speak it too: what is written in it can be read in it again.
    pub(crate) is_of_callers: bool,
    /// The model that stands in the path where the body does not name it.
    pub(crate) path_model: Option<&'static str>,
    pub(crate) decode_request: fn(&[u8]) -> Result<ChatRequest, RequestError>,
    pub(crate) encode_chat: fn(&ChatRequest, &EncodeOptions) -> Result<Outbound, EncodeError>,
    pub(crate) decode_reply: fn(&[u8]) -> Result<ChatReply, ReplyFault>,
    pub(crate) encode_reply: fn(&ChatReply, &mut Losses) -> Vec<u8>,
    /// The framing of providers' streams, which is also that of the streams for callers.
    pub(crate) framing: fn() -> Framing,
    pub(crate) decoder: fn() -> Box<dyn EventDecoder>,
    pub(crate) encoder: fn() -> Box<dyn EventEncoder>,
    /// Where a frame of a stream names the model; `None` where streams are not relayed frame by frame.
    pub(crate) model_place: Option<ModelPlace>,
    pub(crate) decode_error: fn(u16, &[u8]) -> ProviderError,
    pub(crate) encode_error: fn(&CallerError<'_>) -> Vec<u8>,
}

/// All of them.
pub(crate) const ALL: [&Wire; 6] = [&OPENAI, &RESPONSES, &ANTHROPIC, &GEMINI, &BEDROCK, &COHERE];

pub(crate) const OPENAI: Wire = Wire {
    name: "openai",
    is_of_callers: true,
    path_model: None,
    decode_request: openai::decode_chat,
    encode_chat: |request, options| openai::encode_chat(request, openai::Extensions::Include, options),
    decode_reply: openai::decode_reply,
    encode_reply: |reply, losses| openai::encode_reply(reply, &facts(), losses),
    framing: Framing::events,
    decoder: || Box::new(openai::ChunkDecoder::new()),
    encoder: || {
        let shape = openai::StreamShape::Chat;
        Box::new(openai::ChunkEncoder::new(openai::StreamPlan { facts: facts(), shape }))
    },
    model_place: Some(&["model"]),
    decode_error: openai::decode_error,
    encode_error: openai::encode_error,
};

pub(crate) const RESPONSES: Wire = Wire {
    name: "responses",
    is_of_callers: true,
    path_model: None,
    decode_request: responses::decode_request,
    encode_chat: responses::encode_chat,
    decode_reply: |body| responses::decode_reply(body, &reading()),
    encode_reply: |reply, losses| {
        responses::encode_reply(reply, &facts(), &responses::Echo::default(), losses)
    },
    framing: || Framing::events_with_cap(responses::FRAME_BYTES_MAX),
    decoder: || Box::new(responses::StreamDecoder::new()),
    encoder: || Box::new(responses::StreamEncoder::new(facts(), responses::Echo::default())),
    model_place: Some(&["response", "model"]),
    decode_error: responses::decode_error,
    encode_error: responses::encode_error,
};

pub(crate) const ANTHROPIC: Wire = Wire {
    name: "anthropic",
    is_of_callers: true,
    path_model: None,
    decode_request: anthropic::decode_request,
    encode_chat: anthropic::encode_chat,
    decode_reply: |body| anthropic::decode_reply(body, &reading()),
    encode_reply: |reply, losses| anthropic::encode_reply(reply, &facts(), losses),
    framing: Framing::events,
    decoder: || Box::new(anthropic::StreamDecoder::new(reading())),
    encoder: || Box::new(anthropic::StreamEncoder::new(facts())),
    model_place: Some(&["message", "model"]),
    decode_error: anthropic::decode_error,
    encode_error: anthropic::encode_error,
};

pub(crate) const GEMINI: Wire = Wire {
    name: "gemini",
    is_of_callers: true,
    path_model: Some("gemini-2.5-pro"),
    decode_request: gemini::decode_request,
    encode_chat: gemini::encode_chat,
    decode_reply: |body| gemini::decode_reply(body, &reading()),
    encode_reply: |reply, losses| gemini::encode_reply(reply, &facts(), losses),
    framing: || Framing::events_with_cap(gemini::FRAME_BYTES_MAX),
    decoder: || Box::new(gemini::StreamDecoder::new(&reading())),
    encoder: || Box::new(gemini::StreamEncoder::new(facts(), false)),
    model_place: Some(&["modelVersion"]),
    decode_error: gemini::decode_error,
    encode_error: gemini::encode_error,
};

pub(crate) const BEDROCK: Wire = Wire {
    name: "bedrock",
    is_of_callers: true,
    path_model: Some("anthropic.claude-sonnet-4-5-v1:0"),
    decode_request: bedrock::decode_request,
    encode_chat: bedrock::encode_chat,
    decode_reply: |body| bedrock::decode_reply(body, &reading()),
    encode_reply: |reply, losses| bedrock::encode_reply(reply, &facts(), losses),
    framing: Framing::event_stream,
    decoder: || Box::new(bedrock::StreamDecoder::new(reading())),
    encoder: || Box::new(bedrock::StreamEncoder::new(facts())),
    model_place: None,
    decode_error: bedrock::decode_error,
    encode_error: bedrock::encode_error,
};

pub(crate) const COHERE: Wire = Wire {
    name: "cohere",
    is_of_callers: true,
    path_model: None,
    decode_request: cohere::decode_request,
    encode_chat: cohere::encode_chat,
    decode_reply: |body| cohere::decode_reply(body, &reading()),
    encode_reply: |reply, losses| cohere::encode_reply(reply, &facts(), losses),
    framing: Framing::events,
    decoder: || Box::new(cohere::StreamDecoder::new(reading())),
    encoder: || Box::new(cohere::StreamEncoder::new(facts())),
    model_place: Some(&[]),
    decode_error: cohere::decode_error,
    encode_error: cohere::encode_error,
};

/// What replies to callers say.
pub(crate) fn facts() -> ReplyFacts {
    ReplyFacts {
        client_model: "alias".to_owned(),
        created: 1_700_000_000,
        fallback_id: "0b5e3c52-4f1c-4a3e-9d0a-111111111111".to_owned(),
        custom_tools: vec!["apply_patch".to_owned()],
        namespaced_tools: Vec::new(),
        include_usage: true,
    }
}

/// What is known of the request that is answered.
pub(crate) fn reading() -> Reading {
    Reading {
        answer_tool: Some(anthropic::ANSWER_TOOL.to_owned()),
        id_seed: 7,
        model: "anthropic.claude-sonnet-4-5-v1:0".to_owned(),
    }
}

/// An error for a caller.
pub(crate) fn caller_error(message: &str) -> CallerError<'_> {
    CallerError { status: 500, kind: Some("api_error"), message, param: None, code: None, request_id: None }
}
