//! What happens in a streamed answer, whatever the wire. Owns the type only.

use super::{Citation, MediaSource, Native, Signature, StopReason, Usage};
use serde_json::Value;

/// One step of a streamed answer. `choice` is the answer's number, 0 unless several were asked for.
#[derive(Debug, Clone, PartialEq)]
pub enum StreamEvent {
    /// The answer begins. Sent once, first.
    Start {
        /// The provider's id for it; empty where it gives none.
        id: String,
        /// The model that answers, as the provider names it.
        model: String,
    },
    /// A piece of text. An empty one says that the provider begins another block of it, which matters to those whose
    /// sources are of whole blocks.
    Text {
        /// Which answer.
        choice: u64,
        /// The piece.
        delta: String,
    },
    /// A piece of readable reasoning.
    Reasoning {
        /// Which answer.
        choice: u64,
        /// The piece.
        delta: String,
    },
    /// The signature that closes a block of reasoning.
    ReasoningSignature {
        /// Which answer.
        choice: u64,
        /// The whole signature.
        signature: Signature,
    },
    /// A block of encrypted reasoning.
    RedactedReasoning {
        /// Which answer.
        choice: u64,
        /// The opaque bytes, as sent.
        data: Signature,
    },
    /// A piece of a refusal.
    Refusal {
        /// Which answer.
        choice: u64,
        /// The piece.
        delta: String,
    },
    /// A tool call begins.
    ToolCallStart {
        /// Which answer.
        choice: u64,
        /// The call's number within the answer, from 0 without gaps.
        index: u64,
        /// Its id.
        id: String,
        /// The function.
        name: String,
        /// The tool is a custom one: its arguments are free text.
        is_custom: bool,
        /// Gemini's thought signature, where one came with the call.
        signature: Option<Signature>,
    },
    /// A piece of a tool call's arguments (JSON text; free text for a custom tool).
    ToolCallArguments {
        /// Which answer.
        choice: u64,
        /// The call's number.
        index: u64,
        /// The piece.
        delta: String,
    },
    /// Log probabilities of the pieces just sent, as OpenAI writes them.
    Logprobs {
        /// Which answer.
        choice: u64,
        /// OpenAI's `logprobs` object.
        logprobs: Value,
    },
    /// A source of the text just sent.
    Citation {
        /// Which answer.
        choice: u64,
        /// The source. Its span counts from the beginning of all text of the answer, since some providers tell all their
        /// sources at the end. Without one, it is of the text just sent.
        citation: Box<Citation>,
    },
    /// A picture that the model made, whole.
    Image {
        /// Which answer.
        choice: u64,
        /// Its bytes.
        source: MediaSource,
    },
    /// A piece of what the model says aloud.
    Audio {
        /// Which answer.
        choice: u64,
        /// The sound's id at the provider; empty where it gives none.
        id: String,
        /// Base64 of the piece's bytes; may be empty.
        data: String,
        /// The piece's words; may be empty.
        transcript: String,
    },
    /// A whole block that one dialect alone has a form for.
    Native {
        /// Which answer.
        choice: u64,
        /// The block.
        native: Native,
    },
    /// An answer ended.
    Finish {
        /// Which answer.
        choice: u64,
        /// Why.
        stop: StopReason,
        /// The stop text that ended it, where the provider says which.
        stop_sequence: Option<String>,
    },
    /// The tier that serves the request, in OpenAI's word where it has one.
    ServiceTier(String),
    /// Tokens used so far; each one replaces the one before (last wins).
    Usage(Usage),
}

impl StreamEvent {
    /// Which answer it is of; 0 for what is of all of them.
    pub fn choice(&self) -> u64 {
        match self {
            Self::Text { choice, .. }
            | Self::Reasoning { choice, .. }
            | Self::ReasoningSignature { choice, .. }
            | Self::RedactedReasoning { choice, .. }
            | Self::Refusal { choice, .. }
            | Self::ToolCallStart { choice, .. }
            | Self::ToolCallArguments { choice, .. }
            | Self::Logprobs { choice, .. }
            | Self::Citation { choice, .. }
            | Self::Image { choice, .. }
            | Self::Audio { choice, .. }
            | Self::Native { choice, .. }
            | Self::Finish { choice, .. } => *choice,
            Self::Start { .. } | Self::ServiceTier(_) | Self::Usage(_) => 0,
        }
    }

    /// Whether what was said last is text, given whether it was before this event.
    pub(crate) fn leaves_text(&self, was_text: bool) -> bool {
        match self {
            Self::Text { delta, .. } => was_text || !delta.is_empty(),
            Self::Reasoning { .. }
            | Self::ReasoningSignature { .. }
            | Self::RedactedReasoning { .. }
            | Self::Refusal { .. }
            | Self::ToolCallStart { .. }
            | Self::Image { .. }
            | Self::Audio { .. }
            | Self::Native { .. } => false,
            Self::Start { .. }
            | Self::ToolCallArguments { .. }
            | Self::Logprobs { .. }
            | Self::Citation { .. }
            | Self::Finish { .. }
            | Self::ServiceTier(_)
            | Self::Usage(_) => was_text,
        }
    }
}
