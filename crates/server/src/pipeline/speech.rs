//! How each provider is spoken to: one table from a deployment's speech to the wire that writes, reads and frames it.
//!
//! Owns the choice of the wire's functions, nothing of what they do. **Invariant:** every speech has all five: write,
//! read, stream, error, path; a new wire is one new arm in each.

use crate::percent;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use tollgate_dialect::anthropic::Host;
use tollgate_dialect::compat::{self, Flavor};
use tollgate_dialect::conversation::{ChatReply, ChatRequest};
use tollgate_dialect::failure::ProviderError;
use tollgate_dialect::framing::Framing;
use tollgate_dialect::openai::Extensions;
use tollgate_dialect::relay::{ModelPlace, NativeRelay};
use tollgate_dialect::replicate::{self, Prediction};
use tollgate_dialect::sagemaker::Container;
use tollgate_dialect::translate::Translator;
use tollgate_dialect::watsonx::Place;
use tollgate_dialect::wire::{
    Dialect, EncodeError, EncodeOptions, EventDecoder, EventEncoder, Outbound, Reading, ReplyFault,
    Transducer,
};
use tollgate_dialect::{anthropic, bedrock, cohere, gemini, ollama, openai, responses, sagemaker, watsonx};

/// The words that a deployment's provider wants, for conversations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speech {
    /// OpenAI's chat completions.
    OpenAi,
    /// The same, with one provider's liberties.
    Compat(Flavor),
    /// OpenAI's Responses.
    Responses,
    /// Anthropic's Messages, wherever they are served.
    Anthropic(Host),
    /// Google's `generateContent`, at AI Studio or on Vertex.
    Gemini(gemini::Host),
    /// Amazon Bedrock's Converse.
    Bedrock,
    /// Cohere's chat, version 2.
    Cohere,
    /// Ollama's own API.
    Ollama,
    /// A container at SageMaker.
    SageMaker(Container),
    /// IBM's watsonx.
    Watsonx,
    /// Replicate, whose predictions are made and then looked at (`prediction`).
    Replicate,
}

impl Speech {
    /// The callers' dialect that is the same, so that bodies need not be rebuilt.
    pub(crate) fn dialect(self) -> Option<Dialect> {
        match self {
            Self::OpenAi => Some(Dialect::OpenAi),
            Self::Responses => Some(Dialect::Responses),
            Self::Anthropic(_) => Some(Dialect::Anthropic),
            Self::Gemini(_) => Some(Dialect::Gemini),
            Self::Bedrock => Some(Dialect::Bedrock),
            Self::Cohere => Some(Dialect::Cohere),
            Self::Compat(_) | Self::Ollama | Self::SageMaker(_) | Self::Watsonx | Self::Replicate => None,
        }
    }

    /// Whether everything beside conversations is asked for in OpenAI's words, at OpenAI's paths.
    pub(crate) fn has_openais_paths(self) -> bool {
        matches!(self, Self::OpenAi | Self::Compat(_))
    }

    /// Where a request of the wire's own dialect goes, and with which headers of the wire.
    pub(crate) fn address(self, model: &str, stream: bool) -> Result<Address, EncodeError> {
        let address = |path: &str| Address { path: path.to_owned(), headers: Vec::new() };
        match self {
            Self::OpenAi | Self::Compat(_) => Ok(address("/chat/completions")),
            Self::Responses => Ok(address(responses::RESPONSES_PATH)),
            Self::Anthropic(Host::Anthropic) => Ok(Address {
                headers: vec![("anthropic-version", anthropic::API_VERSION.to_owned())],
                ..address(anthropic::MESSAGES_PATH)
            }),
            Self::Anthropic(host) => hosted_path(host, model, stream).map(|path| address(&path)),
            Self::Gemini(host) => gemini::call_path_for(host, model, stream).map(|path| address(&path)),
            Self::Bedrock => bedrock::call_path(model, stream).map(|path| address(&path)),
            Self::Cohere => Ok(address("/v2/chat")),
            // No caller speaks these.
            Self::Ollama | Self::SageMaker(_) | Self::Watsonx | Self::Replicate => Ok(address("/")),
        }
    }

    /// What the host of Anthropic's models wants in the body beside Anthropic's own members: name, JSON.
    pub(crate) fn host_members(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Anthropic(Host::Vertex) => &[("anthropic_version", "\"vertex-2023-10-16\"")],
            Self::Anthropic(Host::BedrockInvoke) => &[("anthropic_version", "\"bedrock-2023-05-31\"")],
            _ => &[],
        }
    }

    /// Whether the body names the model, not the path.
    pub(crate) fn body_names_model(self) -> bool {
        !matches!(self, Self::Gemini(_) | Self::Bedrock | Self::Anthropic(Host::Vertex | Host::BedrockInvoke))
    }

    /// Passes a stream of the wire's own dialect on.
    pub(crate) fn relay(
        self,
        reading: Reading,
        encoder: Box<dyn EventEncoder>,
        client_model: &str,
        watch: impl FnOnce(Box<dyn EventDecoder>) -> Box<dyn EventDecoder>,
    ) -> Box<dyn Transducer> {
        let place: ModelPlace = match self {
            Self::Anthropic(_) => &["message", "model"],
            Self::Responses => &["response", "model"],
            Self::OpenAi | Self::Compat(_) => &["model"],
            Self::Gemini(_) => &["modelVersion"],
            Self::Cohere | Self::Ollama | Self::SageMaker(_) | Self::Watsonx | Self::Replicate => &[],
            Self::Bedrock => return Box::new(bedrock::StreamRelay::new(reading)),
        };
        match self.stream(reading) {
            (Framing::Events(framer), decoder) => {
                let relay = NativeRelay::new(framer, (watch(decoder), encoder), place, client_model);
                Box::new(match self {
                    Self::Anthropic(_) => relay.ending_with(anthropic::END_MARK),
                    _ => relay,
                })
            }
            (framing, decoder) => Box::new(Translator::new(framing, decoder, encoder)),
        }
    }

    /// Where a plain reply names the model.
    pub(crate) fn reply_model(self) -> ModelPlace {
        match self {
            Self::OpenAi | Self::Compat(_) | Self::Responses | Self::Anthropic(_) => &["model"],
            Self::Gemini(_) => &["modelVersion"],
            Self::Bedrock
            | Self::Cohere
            | Self::Ollama
            | Self::SageMaker(_)
            | Self::Watsonx
            | Self::Replicate => &[],
        }
    }

    /// Writes a request.
    pub(crate) fn encode(
        self,
        conversation: &ChatRequest,
        options: &EncodeOptions,
        place: &Place,
    ) -> Result<Outbound, EncodeError> {
        match self {
            Self::OpenAi => openai::encode_chat(conversation, Extensions::Omit, options),
            Self::Compat(flavor) => compat::encode_chat(flavor, conversation, options),
            Self::Responses => responses::encode_chat(conversation, options),
            Self::Anthropic(Host::Anthropic) => anthropic::encode_chat(conversation, options),
            Self::Anthropic(host) => {
                let path = hosted_path(host, &conversation.model, conversation.stream)?;
                Ok(Outbound { path, ..anthropic::encode_chat_for(host, conversation, options)? })
            }
            Self::Gemini(host) => gemini::encode_chat_for(host, conversation, options),
            Self::Bedrock => bedrock::encode_chat(conversation, options),
            Self::Cohere => cohere::encode_chat(conversation, options),
            Self::Ollama => ollama::encode_chat(conversation, options),
            Self::SageMaker(Container::Messages) => sagemaker::encode_chat(conversation, options),
            Self::SageMaker(Container::Text) => sagemaker::encode_text(conversation, options),
            Self::Watsonx => watsonx::encode_chat(conversation, place, options),
            Self::Replicate => replicate::encode_chat(conversation, options),
        }
    }

    /// Reads a whole reply.
    pub(crate) fn decode_reply(self, body: &[u8], reading: &Reading) -> Result<ChatReply, ReplyFault> {
        match self {
            Self::OpenAi => openai::decode_reply(body),
            Self::Compat(flavor) => compat::decode_reply(flavor, body),
            Self::Responses => responses::decode_reply(body, reading),
            Self::Anthropic(_) => anthropic::decode_reply(body, reading),
            Self::Gemini(_) => gemini::decode_reply(body, reading),
            Self::Bedrock => bedrock::decode_reply(body, reading),
            Self::Cohere => cohere::decode_reply(body, reading),
            Self::Ollama => ollama::decode_reply(body, reading),
            Self::SageMaker(Container::Messages) => sagemaker::decode_reply(body, reading),
            Self::SageMaker(Container::Text) => sagemaker::decode_text_reply(body, reading),
            Self::Watsonx => watsonx::decode_reply(body),
            Self::Replicate => Prediction::read(body)?.into_reply(reading),
        }
    }

    /// Reads a stream: its framing, and its events.
    pub(crate) fn stream(self, reading: Reading) -> (Framing, Box<dyn EventDecoder>) {
        match self {
            Self::OpenAi => (Framing::events(), Box::new(openai::ChunkDecoder::default())),
            Self::Compat(flavor) => (Framing::events(), Box::new(compat::StreamDecoder::new(flavor))),
            Self::Responses => (
                Framing::events_with_cap(responses::FRAME_BYTES_MAX),
                Box::new(responses::StreamDecoder::new()),
            ),
            Self::Anthropic(Host::BedrockInvoke) => {
                (Framing::event_stream(), Box::new(anthropic::StreamDecoder::new(reading)))
            }
            Self::Anthropic(_) => (Framing::events(), Box::new(anthropic::StreamDecoder::new(reading))),
            Self::Bedrock => (Framing::event_stream(), Box::new(bedrock::StreamDecoder::new(reading))),
            Self::Cohere => (Framing::events(), Box::new(cohere::StreamDecoder::new(reading))),
            Self::Ollama => (Framing::lines(), Box::new(ollama::StreamDecoder::new(reading))),
            Self::SageMaker(container) => {
                (Framing::event_stream(), Box::new(sagemaker::StreamDecoder::new(container, reading)))
            }
            Self::Watsonx => (Framing::events(), Box::new(watsonx::StreamDecoder::new())),
            Self::Replicate => (
                Framing::events_with_cap(replicate::FRAME_BYTES_MAX),
                Box::new(replicate::StreamDecoder::new(reading)),
            ),
            Self::Gemini(_) => (
                Framing::events_with_cap(gemini::FRAME_BYTES_MAX),
                Box::new(gemini::StreamDecoder::new(&reading)),
            ),
        }
    }

    /// Whether a reply's type is that of a stream.
    pub(crate) fn is_stream(self, headers: &HeaderMap) -> bool {
        let wanted: &[u8] = match self {
            Self::Ollama => b"application/x-ndjson",
            Self::SageMaker(_) | Self::Bedrock | Self::Anthropic(Host::BedrockInvoke) => {
                b"application/vnd.amazon.eventstream"
            }
            Self::OpenAi
            | Self::Compat(_)
            | Self::Responses
            | Self::Anthropic(_)
            | Self::Gemini(_)
            | Self::Cohere
            | Self::Watsonx
            | Self::Replicate => b"text/event-stream",
        };
        headers
            .get(CONTENT_TYPE)
            .is_some_and(|value| value.as_bytes().trim_ascii_start().to_ascii_lowercase().starts_with(wanted))
    }

    /// Reads an error reply.
    pub(crate) fn decode_error(self, status: u16, body: &[u8]) -> ProviderError {
        match self {
            Self::OpenAi => openai::decode_error(status, body),
            Self::Compat(flavor) => compat::decode_error(flavor, status, body),
            Self::Responses => responses::decode_error(status, body),
            Self::Bedrock | Self::Anthropic(Host::BedrockInvoke) => bedrock::decode_error(status, body),
            Self::Anthropic(_) => anthropic::decode_error(status, body),
            Self::Cohere => cohere::decode_error(status, body),
            Self::Ollama => ollama::decode_error(status, body),
            Self::SageMaker(_) => sagemaker::decode_error(status, body),
            Self::Watsonx => watsonx::decode_error(status, body),
            Self::Replicate => replicate::decode_error(status, body),
            Self::Gemini(_) => gemini::decode_error(status, body),
        }
    }

    /// A provider that reports no tokens at all sends no counts on this wire; elsewhere zeros mean "not counted".
    pub(crate) fn believes_zero(self) -> bool {
        matches!(self, Self::OpenAi | Self::Compat(_) | Self::Responses)
    }
}

/// Where a cloud serves one of Anthropic's models, below its own prefix.
fn hosted_path(host: Host, model: &str, stream: bool) -> Result<String, EncodeError> {
    let is_plain =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'~' | b'@');
    match host {
        Host::BedrockInvoke => {
            let method = if stream { "invoke-with-response-stream" } else { "invoke" };
            Ok(format!("/model/{}/{method}", percent::encode(model)))
        }
        _ if model.bytes().all(is_plain) && !model.bytes().all(|byte| byte == b'.') => {
            let method = if stream { "streamRawPredict" } else { "rawPredict" };
            Ok(format!("/publishers/anthropic/models/{model}:{method}"))
        }
        _ => Err(EncodeError::Invalid {
            param: "model".to_owned(),
            message: "a model on Vertex is named by letters, digits, '.', '_', '-', '~' and '@'".to_owned(),
        }),
    }
}

/// Where a request goes.
pub(crate) struct Address {
    /// Path and query after the base URL.
    pub(crate) path: String,
    /// Headers of the wire.
    pub(crate) headers: Vec<(&'static str, String)>,
}

/// Adds the features in trial that the caller asks for to those that the request needs.
pub(crate) fn add_betas(headers: &mut HeaderMap, asked: &HeaderValue) {
    static NAME: HeaderName = HeaderName::from_static("anthropic-beta");
    let own = headers.get(&NAME).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let asked = asked.to_str().unwrap_or_default();
    let mut words: Vec<&str> = Vec::new();
    for word in own.split(',').chain(asked.split(',')).map(str::trim).filter(|word| is_beta(word)) {
        if !words.contains(&word) {
            words.push(word);
        }
    }
    if let Ok(value) = HeaderValue::from_str(&words.join(",")) {
        headers.insert(NAME.clone(), value);
    }
}

/// The names of features in trial are plain words with their dates.
fn is_beta(word: &str) -> bool {
    !word.is_empty()
        && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}
