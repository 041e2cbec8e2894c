//! How each provider is spoken to: one table from a deployment's speech to the wire that writes, reads and frames it.
//!
//! Owns the choice of the wire's functions, nothing of what they do. **Invariant:** every speech has all five: write,
//! read, stream, error, path; a new wire is one new arm in each.

use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use tollgate_dialect::conversation::{ChatReply, ChatRequest};
use tollgate_dialect::failure::ProviderError;
use tollgate_dialect::framing::Framing;
use tollgate_dialect::openai::Extensions;
use tollgate_dialect::relay::{ModelPlace, NativeRelay};
use tollgate_dialect::translate::Translator;
use tollgate_dialect::wire::{
    Dialect, EncodeError, EncodeOptions, EventDecoder, EventEncoder, Outbound, Reading, ReplyFault,
    Transducer,
};
use tollgate_dialect::{anthropic, gemini, openai};

/// The words that a deployment's provider wants, for conversations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speech {
    /// OpenAI's chat completions.
    OpenAi,
    /// Anthropic's Messages.
    Anthropic,
    /// Google's `generateContent`.
    Gemini,
}

impl Speech {
    /// The callers' dialect that is the same, so that bodies need not be rebuilt.
    pub(crate) fn dialect(self) -> Option<Dialect> {
        match self {
            Self::OpenAi => Some(Dialect::OpenAi),
            Self::Anthropic => Some(Dialect::Anthropic),
            Self::Gemini => Some(Dialect::Gemini),
        }
    }

    /// Where a request of the wire's own dialect goes, and with which headers of the wire.
    pub(crate) fn address(self, model: &str, stream: bool) -> Result<Address, EncodeError> {
        let address = |path: &str| Address { path: path.to_owned(), headers: Vec::new() };
        match self {
            Self::OpenAi => Ok(address("/chat/completions")),
            Self::Anthropic => Ok(Address {
                headers: vec![("anthropic-version", anthropic::API_VERSION.to_owned())],
                ..address(anthropic::MESSAGES_PATH)
            }),
            Self::Gemini => gemini::call_path(model, stream).map(|path| address(&path)),
        }
    }

    /// Whether the body names the model, not the path.
    pub(crate) fn body_names_model(self) -> bool {
        !matches!(self, Self::Gemini)
    }

    /// Passes a stream of the wire's own dialect on.
    pub(crate) fn relay(
        self,
        reading: Reading,
        encoder: Box<dyn EventEncoder>,
        client_model: &str,
    ) -> Box<dyn Transducer> {
        let place: ModelPlace = match self {
            Self::Anthropic => &["message", "model"],
            Self::OpenAi => &["model"],
            Self::Gemini => &[],
        };
        match self.stream(reading) {
            (Framing::Events(framer), decoder) => {
                Box::new(NativeRelay::new(framer, (decoder, encoder), place, client_model))
            }
            (framing, decoder) => Box::new(Translator::new(framing, decoder, encoder)),
        }
    }

    /// Where a plain reply names the model.
    pub(crate) fn reply_model(self) -> ModelPlace {
        match self {
            Self::OpenAi | Self::Anthropic => &["model"],
            Self::Gemini => &[],
        }
    }

    /// Writes a request.
    pub(crate) fn encode(
        self,
        conversation: &ChatRequest,
        options: &EncodeOptions,
    ) -> Result<Outbound, EncodeError> {
        match self {
            Self::OpenAi => {
                let body = openai::encode_chat(conversation, Extensions::Omit, options)?;
                Ok(Outbound { path: "/chat/completions".to_owned(), body, ..Outbound::default() })
            }
            Self::Anthropic => anthropic::encode_chat(conversation, options),
            Self::Gemini => gemini::encode_chat(conversation, options),
        }
    }

    /// Reads a whole reply.
    pub(crate) fn decode_reply(self, body: &[u8], reading: &Reading) -> Result<ChatReply, ReplyFault> {
        match self {
            Self::OpenAi => openai::decode_reply(body),
            Self::Anthropic => anthropic::decode_reply(body, reading),
            Self::Gemini => gemini::decode_reply(body, reading),
        }
    }

    /// Reads a stream: its framing, and its events.
    pub(crate) fn stream(self, reading: Reading) -> (Framing, Box<dyn EventDecoder>) {
        match self {
            Self::OpenAi => (Framing::events(), Box::new(openai::ChunkDecoder::default())),
            Self::Anthropic => (Framing::events(), Box::new(anthropic::StreamDecoder::new(reading))),
            Self::Gemini => (
                Framing::events_with_cap(gemini::FRAME_BYTES_MAX),
                Box::new(gemini::StreamDecoder::new(&reading)),
            ),
        }
    }

    /// Whether a reply's type is that of a stream.
    pub(crate) fn is_stream(self, headers: &HeaderMap) -> bool {
        let wanted: &[u8] = match self {
            Self::OpenAi | Self::Anthropic | Self::Gemini => b"text/event-stream",
        };
        headers
            .get(CONTENT_TYPE)
            .is_some_and(|value| value.as_bytes().trim_ascii_start().to_ascii_lowercase().starts_with(wanted))
    }

    /// Reads an error reply.
    pub(crate) fn decode_error(self, status: u16, body: &[u8]) -> ProviderError {
        match self {
            Self::OpenAi => openai::decode_error(status, body),
            Self::Anthropic => anthropic::decode_error(status, body),
            Self::Gemini => gemini::decode_error(status, body),
        }
    }

    /// A provider that reports no tokens at all sends no counts on this wire; elsewhere zeros mean "not counted".
    pub(crate) fn believes_zero(self) -> bool {
        self == Self::OpenAi
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
