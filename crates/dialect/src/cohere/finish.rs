//! Why an answer ended, in Cohere's words and in the model's.

use super::errors;
use crate::conversation::StopReason;
use crate::failure::{FailureClass, ProviderError};
use crate::wire::ReplyFault;

/// What a `finish_reason` means. `error` is the sentence that may come with it, `has_content` whether the model has said
/// anything. Words that are not known yet count as a plain end.
///
/// `ERROR` is the word for a generation that broke and for one that was blocked, so the sentence decides; where there is
/// none, an answer that had begun was blocked.
///
/// # Errors
/// [`ReplyFault::Error`] for a generation that broke or timed out.
pub(super) fn read(reason: &str, error: Option<&str>, has_content: bool) -> Result<StopReason, ReplyFault> {
    let error = error.filter(|sentence| !sentence.is_empty());
    Ok(match reason {
        "STOP_SEQUENCE" => StopReason::StopSequence,
        "MAX_TOKENS" => StopReason::Length,
        "TOOL_CALL" => StopReason::ToolCalls,
        "ERROR_TOXIC" => StopReason::ContentFilter,
        "ERROR_LIMIT" => StopReason::ContextWindow,
        "TIMEOUT" => {
            let message = error.unwrap_or("the generation timed out");
            return Err(ReplyFault::Error(errors::of_stream(message, Some(FailureClass::Timeout))));
        }
        "ERROR" => return of_error(error, has_content),
        _ => StopReason::Stop,
    })
}

fn of_error(error: Option<&str>, has_content: bool) -> Result<StopReason, ReplyFault> {
    let Some(sentence) = error else {
        return if has_content {
            Ok(StopReason::ContentFilter)
        } else {
            Err(ReplyFault::Error(ProviderError {
                message: "the generation failed".to_owned(),
                kind: Some("ERROR".to_owned()),
                ..ProviderError::default()
            }))
        };
    };
    let error = errors::of_stream(sentence, None);
    if error.class == FailureClass::ContentPolicy && has_content {
        return Ok(StopReason::ContentFilter);
    }
    Err(ReplyFault::Error(error))
}

/// Cohere's word. Providers say `stop` beside tool calls, and `tool_calls` where none is left.
pub(super) fn write(stop: Option<StopReason>, calls_tools: bool) -> &'static str {
    match stop {
        Some(StopReason::Length | StopReason::ContextWindow) => "MAX_TOKENS",
        Some(StopReason::ContentFilter | StopReason::Recitation | StopReason::Refusal) => "ERROR",
        _ if calls_tools => "TOOL_CALL",
        Some(StopReason::StopSequence) => "STOP_SEQUENCE",
        None
        | Some(
            StopReason::Stop | StopReason::ToolCalls | StopReason::Pause | StopReason::MalformedToolCall,
        ) => "COMPLETE",
    }
}
