//! What happens in a streamed answer, whatever the wire. Owns the type only.

use super::{StopReason, Usage};
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
    /// A piece of text.
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
        signature: String,
    },
    /// A block of encrypted reasoning.
    RedactedReasoning {
        /// Which answer.
        choice: u64,
        /// The opaque bytes, as sent.
        data: String,
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
        /// Gemini's thought signature, where one came with the call.
        signature: Option<String>,
    },
    /// A piece of a tool call's arguments (JSON text).
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
    /// An answer ended.
    Finish {
        /// Which answer.
        choice: u64,
        /// Why.
        stop: StopReason,
    },
    /// Tokens used so far; each one replaces the one before (last wins).
    Usage(Usage),
}
