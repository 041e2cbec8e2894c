//! Why an answer ended, in Google's words and the conversation model's.
//!
//! Google does not say that calls are to be made, nor which stop text came: both are a `STOP` there.

use crate::conversation::StopReason;

/// Google's `FinishReason` and what it means; the filters are those that LiteLLM counts as filters. A word that is not
/// listed means an end like any other.
const REASONS: &[(&str, StopReason)] = &[
    ("STOP", StopReason::Stop),
    ("MAX_TOKENS", StopReason::Length),
    ("CONTINUATION", StopReason::Length),
    ("SAFETY", StopReason::ContentFilter),
    ("RECITATION", StopReason::Recitation),
    ("IMAGE_RECITATION", StopReason::Recitation),
    ("LANGUAGE", StopReason::ContentFilter),
    ("OTHER", StopReason::ContentFilter),
    ("BLOCKLIST", StopReason::ContentFilter),
    ("PROHIBITED_CONTENT", StopReason::ContentFilter),
    ("SPII", StopReason::ContentFilter),
    ("IMAGE_SAFETY", StopReason::ContentFilter),
    ("IMAGE_PROHIBITED_CONTENT", StopReason::ContentFilter),
    ("IMAGE_OTHER", StopReason::ContentFilter),
    ("MODEL_ARMOR", StopReason::ContentFilter),
    ("ESCALATION", StopReason::ContentFilter),
    ("PUP_LIMITED_DISABLED", StopReason::ContentFilter),
    ("MALFORMED_FUNCTION_CALL", StopReason::MalformedToolCall),
    ("UNEXPECTED_TOOL_CALL", StopReason::MalformedToolCall),
];

/// Reads Google's `FinishReason`.
pub(super) fn read(reason: &str) -> StopReason {
    REASONS.iter().find(|(word, _)| *word == reason).map_or(StopReason::Stop, |(_, stop)| *stop)
}

/// The stop reason of an answer, given whether it calls functions. A filter or a limit stays what it is: the last call
/// may be cut.
pub(super) fn with_calls(stop: StopReason, has_calls: bool) -> StopReason {
    if stop == StopReason::Stop && has_calls { StopReason::ToolCalls } else { stop }
}

/// Google's word for an end. A turn that is to go on (`Pause`) is one that was cut, which clients know what to do about.
pub(super) fn write(stop: StopReason) -> &'static str {
    match stop {
        StopReason::Stop | StopReason::StopSequence | StopReason::ToolCalls => "STOP",
        StopReason::Length | StopReason::ContextWindow | StopReason::Pause => "MAX_TOKENS",
        StopReason::ContentFilter | StopReason::Refusal => "SAFETY",
        StopReason::Recitation => "RECITATION",
        StopReason::MalformedToolCall => "MALFORMED_FUNCTION_CALL",
    }
}
