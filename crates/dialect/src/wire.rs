//! What every wire format offers to the gateway: encode a request, read a reply, read a stream, read an error; and,
//! for the dialects that callers speak, the other way round.
//!
//! Each format's module has the functions; this module has what they share, so that the server can drive any of them
//! the same way.

use crate::conversation::{ChatReply, ChatRequest, Namespace, StreamEvent, Usage};
use crate::failure::ProviderError;
use crate::sse::Frame;
use bytes::Bytes;
use serde_json::Value;

/// The dialects that callers speak. Providers speak them too, and a few more.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Dialect {
    /// OpenAI's chat completions.
    #[default]
    OpenAi,
    /// OpenAI's Responses.
    Responses,
    /// Anthropic's Messages.
    Anthropic,
    /// Google's `generateContent`.
    Gemini,
    /// Amazon Bedrock's Converse.
    Bedrock,
    /// Cohere's chat, version 2.
    Cohere,
}

impl Dialect {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::OpenAi, Self::Responses, Self::Anthropic, Self::Gemini, Self::Bedrock, Self::Cohere];

    /// Its name in documentation, headers and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Responses => "responses",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
            Self::Bedrock => "bedrock",
            Self::Cohere => "cohere",
        }
    }
}

/// Facts about the target model that an encoder needs and that the catalogue, not the dialect, knows.
#[derive(Debug, Clone, Default)]
pub struct EncodeOptions {
    /// Leave out parameters that this wire cannot express instead of refusing (LiteLLM's `drop_params`), and name them
    /// in [`Outbound::lost`].
    pub drop_unsupported: bool,
    /// OpenAI's parameters that the operator lets through whatever this wire's table says (`allowed_openai_params`):
    /// no reason to refuse; whoever calls the encoder adds them to the body.
    pub allowed_params: Vec<String>,
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
    /// The model goes on from a last turn of the assistant's, and how it is told to is known.
    pub takes_prefill: bool,
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
    /// What the request said and this wire could not, by the names that [`Losses`] gives; empty for most.
    pub lost: Losses,
}

/// What one side said and the other could not: names of parameters and kinds of content (`seed`, `cache_control`,
/// `reasoning`, `citations`), each once, in the order in which they were met. Told to the caller, never dropped in
/// silence.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Losses(Vec<std::borrow::Cow<'static, str>>);

impl Losses {
    /// Notes one.
    pub fn note(&mut self, name: impl Into<std::borrow::Cow<'static, str>>) {
        let name = name.into();
        if !self.0.contains(&name) {
            self.0.push(name);
        }
    }

    /// Takes over what another found.
    pub fn extend(&mut self, other: Self) {
        for name in other.0 {
            self.note(name);
        }
    }

    /// Nothing was lost.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(std::convert::AsRef::as_ref)
    }
}

/// What reading a reply has to know of the request that it answers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reading {
    /// A tool of this name stands in for the response format: its arguments are the answer's text.
    pub answer_tool: Option<String>,
    /// Where made-up tool-call ids start from, so that they are the same whenever the same request is read.
    pub id_seed: u64,
    /// The model as named to the provider, for wires whose replies do not name it.
    pub model: String,
}

/// What a reply to the caller says beside the answer itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReplyFacts {
    /// The model as the caller named it; every reply names it so, whoever answered.
    pub client_model: String,
    /// The caller's clock in seconds since 1970, for a provider that gives no time.
    pub created: u64,
    /// What the id of a reply is made of where the provider gives none: a UUID's text. Each dialect puts its own prefix
    /// before it.
    pub fallback_id: String,
    /// The custom tools of the request ([`ToolKind::Custom`](crate::conversation::ToolKind)) by name: a call of one that
    /// comes back as a function's is written as a custom tool's.
    pub custom_tools: Vec<String>,
    /// The tools of the request that lie in a namespace of the caller's: the name that each goes by, and where it lies.
    pub namespaced_tools: Vec<(String, Namespace)>,
    /// The caller wants the usage at the end of a stream, where its dialect leaves that to it.
    pub include_usage: bool,
}

/// An error on its way to a caller, in words that every dialect can be written from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallerError<'a> {
    /// The HTTP status; within a stream, the one that it stands for.
    pub status: u16,
    /// OpenAI's or LiteLLM's type (`invalid_request_error`), `None` where it has none.
    pub kind: Option<&'a str>,
    /// What went wrong.
    pub message: &'a str,
    /// The parameter at fault.
    pub param: Option<&'a str>,
    /// OpenAI's code.
    pub code: Option<&'a str>,
    /// What the request is looked for by: the provider's id for it, else the gateway's. For dialects whose errors say it.
    pub request_id: Option<&'a str>,
}

/// What a wire does with one of OpenAI's chat parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Support {
    /// Takes it as it is, under this name or another.
    Takes,
    /// Says the same in its own way.
    Translates,
    /// Leaves it out and says so: the answer is the same without it.
    Ignores,
    /// Cannot express it.
    Refuses,
}

/// What a wire does with each of OpenAI's chat parameters ([`crate::openai::CHAT_PARAMS`] and LiteLLM's `thinking`,
/// `top_k`). A parameter that is not listed is refused. The encoder acts by the same table.
pub type Capabilities = &'static [(&'static str, Support)];

/// What a table says of a parameter.
pub fn support(capabilities: Capabilities, param: &str) -> Support {
    capabilities.iter().find(|(name, _)| *name == param).map_or(Support::Refuses, |(_, support)| *support)
}

/// Notes what a table leaves out though the request says it: the answer is the same, but the caller is to know. What
/// asks for nothing (`store: false`), and what a wire does unasked, is no loss; nor is what is sent all the same.
pub(crate) fn note_ignored(
    capabilities: Capabilities,
    request: &ChatRequest,
    is_sent: impl Fn(&str) -> bool,
    lost: &mut Losses,
) {
    let asks = |value: &Value| match value {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty(),
        Value::Object(members) => !members.is_empty(),
        _ => true,
    };
    let user = request.user.as_deref().filter(|user| !user.is_empty()).map(|_| "user");
    let extra = request.extra.iter().filter(|(_, value)| asks(value)).map(|(name, _)| name.as_str());
    let is_lost = |name: &&str| {
        // A tier is spoken of by value; usage is in every stream.
        !["service_tier", "stream_options"].contains(name)
            && support(capabilities, name) == Support::Ignores
            && !is_sent(name)
    };
    for name in user.into_iter().chain(extra).filter(is_lost) {
        lost.note(name.to_owned());
    }
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
    /// The reply is sound, and not the one that the caller has the beginning of
    /// ([`Continuation`](crate::continuation::Continuation)).
    #[error("the answer asked for anew is another one")]
    Disagrees,
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

/// Writes one caller's stream: events in, bytes out, in the framing of its dialect.
pub trait EventEncoder: Send {
    /// Appends what the caller gets for some events, in order.
    fn encode(&mut self, events: &[StreamEvent], out: &mut Vec<u8>);

    /// Appends the end of a stream that ended as it should.
    fn finish(&mut self, out: &mut Vec<u8>);

    /// Appends the end of a stream that broke off: the error in the dialect's own form.
    fn fail(&mut self, error: &CallerError<'_>, out: &mut Vec<u8>);

    /// Notes what of a whole reply this dialect cannot say, in the words of its plain replies.
    fn note_lost(&self, reply: &ChatReply, lost: &mut Losses);
}

/// What is known of a stream so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// The last usage that the provider reported.
    pub usage: Option<Usage>,
    /// Nothing that counts as content came after it, so that it counts all of the answer.
    pub usage_is_last: bool,
    /// The tier that serves it, in the provider's word.
    pub service_tier: Option<String>,
    /// Something that the caller sees as content has been passed on, so the attempt can no longer be repeated.
    pub content_started: bool,
    /// The provider's own end of stream was read.
    pub complete: bool,
    /// The reason for the end of an answer was passed on.
    pub finished: bool,
    /// What it said and the caller's dialect cannot; what counts at its end is there at its end.
    pub lost: Losses,
    /// Bytes of answer text passed on (text, reasoning, arguments): the ground for an estimate where usage is missing.
    pub content_bytes: u64,
    /// How long the sound was that it is, in milliseconds.
    pub sound_ms: Option<u64>,
    /// Frames with data that were passed on, the one at which reading failed included where its beginning was: what it
    /// takes to read again what the caller has.
    pub frames: u64,
}

impl Progress {
    /// Counts what an event adds to what is known.
    pub fn note(&mut self, event: &StreamEvent) {
        let is_content = match event {
            StreamEvent::Text { delta, .. }
            | StreamEvent::Reasoning { delta, .. }
            | StreamEvent::Refusal { delta, .. }
            | StreamEvent::ToolCallArguments { delta, .. }
            | StreamEvent::Audio { transcript: delta, .. } => {
                self.content_bytes += delta.len() as u64;
                !delta.is_empty() || matches!(event, StreamEvent::Audio { .. })
            }
            StreamEvent::Usage(usage) => {
                self.usage = Some(*usage);
                self.usage_is_last = true;
                false
            }
            StreamEvent::ServiceTier(tier) => {
                self.service_tier = Some(tier.clone());
                false
            }
            StreamEvent::ReasoningSignature { .. }
            | StreamEvent::RedactedReasoning { .. }
            | StreamEvent::Image { .. }
            | StreamEvent::Native { .. }
            | StreamEvent::ToolCallStart { .. } => true,
            StreamEvent::Finish { .. } => {
                self.finished = true;
                false
            }
            StreamEvent::Start { .. } | StreamEvent::Logprobs { .. } | StreamEvent::Citation { .. } => false,
        };
        self.content_started |= is_content;
        self.usage_is_last &= !is_content;
    }
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

    /// The stream broke off: appends the error in the caller's dialect. Nothing is to be pushed after it.
    fn fail(&mut self, error: &CallerError<'_>, out: &mut Vec<Bytes>);

    /// What is known so far.
    fn progress(&self) -> &Progress;
}
