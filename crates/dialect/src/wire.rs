//! What every wire format offers to the gateway: encode a request, read a reply, read a stream, read an error.
//!
//! Each format's module (`openai`, `anthropic`, `gemini`) has the functions; this module has what they share, so that
//! the server can drive any of them the same way.

use crate::conversation::{StreamEvent, Usage};
use crate::failure::ProviderError;
use crate::sse::Frame;
use bytes::Bytes;

/// Facts about the target model that an encoder needs and that the catalogue, not the dialect, knows.
#[derive(Debug, Clone, Default)]
pub struct EncodeOptions {
    /// Leave out parameters that this wire cannot express instead of refusing (LiteLLM's `drop_params`).
    pub drop_unsupported: bool,
    /// The limit to send where the wire demands one and the caller gave none (Anthropic's `max_tokens`).
    pub default_max_tokens: Option<u64>,
    /// The model takes a JSON schema for its answer natively (Anthropic's newer models); otherwise a tool stands in.
    pub native_structured_output: bool,
    /// The model reasons by level (`effort`, Gemini's `thinkingLevel`) rather than by a number of tokens.
    pub reasoning_by_level: bool,
    /// The model refuses `temperature`, `top_p` and `top_k` (Anthropic's from Opus 4.7 on).
    pub rejects_sampling: bool,
    /// The model refuses to be made to call a tool (some of Anthropic's newest).
    pub rejects_forced_tools: bool,
}

/// A request as it goes to the provider.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Outbound {
    /// Path and query after the deployment's base URL, beginning with `/`.
    pub path: String,
    /// Headers that this wire needs for this request, apart from credentials and content type.
    pub headers: Vec<(&'static str, String)>,
    /// The JSON body.
    pub body: Vec<u8>,
    /// What reading the reply has to know of the request.
    pub reading: Reading,
}

/// What reading a reply has to know of the request that it answers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reading {
    /// A tool of this name stands in for the response format: its arguments are the answer's text.
    pub answer_tool: Option<String>,
    /// Where made-up tool-call ids start from, so that they are the same whenever the same request is read.
    pub id_seed: u64,
}

/// Why a request could not be written for this wire.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// Parameters that this wire cannot express, by their OpenAI names; may be left out by `drop_params`.
    #[error("unsupported parameters: {}", params.join(", "))]
    Unsupported {
        /// The parameters' names in the caller's dialect.
        params: Vec<String>,
    },
    /// Something in the request has no meaning here, whether or not parameters may be dropped.
    #[error("{param}: {message}")]
    Invalid {
        /// Where: `messages[2].content[0].image_url`.
        param: String,
        /// What is wrong.
        message: String,
    },
}

/// Why a request in the caller's dialect could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{param}: {message}")]
pub struct RequestError {
    /// Where: `messages[2].content[0].image_url`.
    pub param: String,
    /// What is wrong, in a sentence for the caller.
    pub message: String,
}

/// Why a provider's reply or stream could not be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReplyFault {
    /// Not what this wire says a reply is; the text says which rule it breaks and never quotes the body.
    #[error("malformed reply: {0}")]
    Malformed(&'static str),
    /// An error in the place of an answer (a 200 with an error body, an error event in a stream).
    #[error("provider error in the reply")]
    Error(ProviderError),
}

/// Reads one provider's stream: frames in, events out. The same events for every chunking, since frames come whole.
pub trait EventDecoder: Send {
    /// Reads one frame and appends its events.
    ///
    /// # Errors
    /// [`ReplyFault`] when the frame is malformed or carries an error; the stream is then over.
    fn read(&mut self, frame: &Frame<'_>, out: &mut Vec<StreamEvent>) -> Result<(), ReplyFault>;

    /// The provider has said all that it will say (its own end mark was read), so a closed socket is no failure.
    fn is_complete(&self) -> bool;
}

/// What is known of a stream so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// The last usage that the provider reported.
    pub usage: Option<Usage>,
    /// Something that the caller sees as content has been passed on, so the attempt can no longer be repeated.
    pub content_started: bool,
    /// The provider's own end of stream was read.
    pub complete: bool,
    /// Bytes of answer text passed on (text, reasoning, arguments): the ground for an estimate where usage is missing.
    pub content_bytes: u64,
}

/// Turns a provider's stream into the caller's: chunks in, chunks out.
pub trait Transducer: Send {
    /// Takes the next chunk of the provider's body and appends what the caller gets for it.
    ///
    /// # Errors
    /// [`ReplyFault`] as in [`EventDecoder::read`]. What was appended before the fault is good and is to be sent.
    fn push(&mut self, chunk: Bytes, out: &mut Vec<Bytes>) -> Result<(), ReplyFault>;

    /// The provider closed its body. Appends the caller's end of stream.
    ///
    /// # Errors
    /// [`ReplyFault::Malformed`] when the stream was cut: no end mark had come.
    fn finish(&mut self, out: &mut Vec<Bytes>) -> Result<(), ReplyFault>;

    /// What is known so far.
    fn progress(&self) -> Progress;
}
