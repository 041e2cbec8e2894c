//! Why an answer ended: the service's words to the model's, and back. Also what becomes of the stand-in for an answer.
//!
//! **Invariant:** a reason that was written reads back the same, but for the two that the wire has no word for: a
//! recitation is filtered content, a pause is an end.

use crate::conversation::{Part, StopReason};
use crate::wire::Reading;

/// Words of the service model (`StopReason`). The first row of a reason is the one that is written.
const REASONS: [(&str, StopReason); 9] = [
    ("end_turn", StopReason::Stop),
    ("stop_sequence", StopReason::StopSequence),
    ("max_tokens", StopReason::Length),
    ("model_context_window_exceeded", StopReason::ContextWindow),
    ("tool_use", StopReason::ToolCalls),
    ("content_filtered", StopReason::ContentFilter),
    ("guardrail_intervened", StopReason::Refusal),
    ("malformed_tool_use", StopReason::MalformedToolCall),
    ("malformed_model_output", StopReason::MalformedToolCall),
];

/// Reads a reason. Words that are not known yet count as a plain end.
pub(super) fn read(word: &str) -> StopReason {
    REASONS.iter().find(|(known, _)| *known == word).map_or(StopReason::Stop, |(_, reason)| *reason)
}

/// Writes a reason.
pub(super) fn write(reason: StopReason) -> &'static str {
    let reason = match reason {
        StopReason::Recitation => StopReason::ContentFilter,
        StopReason::Pause => StopReason::Stop,
        other => other,
    };
    REASONS.iter().find(|(_, known)| *known == reason).map_or("end_turn", |(word, _)| word)
}

/// The reason as the caller is told it: the call of the answer tool is no call, and an answer that calls tools has not
/// simply ended, whatever a model says.
pub(super) fn settled(reason: StopReason, reading: &Reading, calls_tools: bool) -> StopReason {
    match reason {
        StopReason::ToolCalls if reading.answer_tool.is_some() && !calls_tools => StopReason::Stop,
        StopReason::Stop if calls_tools => StopReason::ToolCalls,
        other => other,
    }
}

/// Puts the first call of the answer tool in its place as text. Text around it and further calls of it would spoil the
/// JSON that the caller asked for.
pub(super) fn with_answer(parts: Vec<Part>, answer_tool: &str) -> Vec<Part> {
    let is_answer = |part: &Part| matches!(part, Part::ToolCall { name, .. } if name == answer_tool);
    if !parts.iter().any(is_answer) {
        return parts;
    }
    let mut is_answered = false;
    parts
        .into_iter()
        .filter_map(|part| match part {
            Part::Text { .. } => None,
            Part::ToolCall { name, arguments, .. } if name == answer_tool => {
                let is_first = !std::mem::replace(&mut is_answered, true);
                is_first.then(|| Part::text(arguments))
            }
            other => Some(other),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_of_the_wire_is_read_and_written() {
        for (word, reason) in REASONS {
            assert_eq!(read(word), reason);
            let expect = if word == "malformed_model_output" { "malformed_tool_use" } else { word };
            assert_eq!(write(reason), expect);
        }
        assert_eq!(read("tomorrow"), StopReason::Stop);
        assert_eq!(write(StopReason::Recitation), "content_filtered");
        assert_eq!(write(StopReason::Pause), "end_turn");
    }

    #[test]
    fn calls_settle_what_an_end_means() {
        let answering = Reading { answer_tool: Some("a".to_owned()), ..Reading::default() };
        let check = |reason, reading: &Reading, calls, expect| {
            assert_eq!(settled(reason, reading, calls), expect);
        };
        check(StopReason::ToolCalls, &answering, false, StopReason::Stop);
        check(StopReason::ToolCalls, &answering, true, StopReason::ToolCalls);
        check(StopReason::Stop, &Reading::default(), true, StopReason::ToolCalls);
        check(StopReason::Length, &Reading::default(), true, StopReason::Length);
    }
}
