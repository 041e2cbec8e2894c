//! Answers that do not do, where a tier moves on from them: empty ones, and such as are no JSON where JSON was asked for.
//!
//! Owns the two rules. Leaves what follows to `policy`. **Invariant:** a refusal is an answer, and so is a call of a tool;
//! what cannot be read here is judged by whoever reads it for the caller.

use super::attempt::ReadReply;
use super::outbound::Road;
use super::wasted::Wasted;
use crate::surface::Surface;
use serde_json::Value;
use tollgate_dialect::conversation::{ChatReply, Choice, Part, ResponseFormat, StopReason};
use tollgate_dialect::wire::Reading;

/// What is said of an answer without content.
pub(super) const EMPTY: &str = "it is empty";
/// What is said of an answer that is no JSON.
const NO_JSON: &str = "it is not the JSON that was asked for";

/// The rule that a whole reply to a conversation breaks, and what it has used all the same.
pub(super) fn rule_broken_by(reading: &ReadReply<'_>, bytes: &[u8]) -> Option<(&'static str, Wasted)> {
    let surface = reading.call.surface;
    let is_judged = reading.checks_quality && surface.is_conversation() && surface != Surface::Completions;
    if !is_judged {
        return None;
    }
    let plain = Reading::default();
    let how = match &reading.plan.road {
        Road::Native(how) | Road::Translate(how) => how,
        Road::Relay => &plain,
        Road::Pass | Road::TranslateRerank(_) | Road::TranslateEmbeddings(_) => return None,
    };
    let reply = reading.plan.speech.decode_reply(bytes, how).ok()?;
    let asked = reading.received.conversation(surface).ok();
    let format = asked.and_then(|request| request.response_format.as_ref());
    let wants_json = matches!(format, Some(ResponseFormat::JsonObject | ResponseFormat::JsonSchema { .. }));
    let rule = judge(&reply, wants_json)?;
    let is_told = reply.usage.input_tokens > 0 || reply.usage.output_tokens > 0;
    Some((rule, if is_told { Wasted::Told(Box::new(reply.usage)) } else { Wasted::Prompt }))
}

fn judge(reply: &ChatReply, wants_json: bool) -> Option<&'static str> {
    let declined = |choice: &Choice| {
        let by_stop = matches!(choice.stop, Some(StopReason::ContentFilter | StopReason::Refusal));
        by_stop || choice.parts.iter().any(|part| matches!(part, Part::Refusal(_)))
    };
    let acts = |choice: &Choice| choice.parts.iter().any(|part| matches!(part, Part::ToolCall { .. }));
    let answers: Vec<&Choice> =
        reply.choices.iter().filter(|choice| !declined(choice) && !acts(choice)).collect();
    if answers.is_empty() {
        return reply.choices.is_empty().then_some(EMPTY);
    }
    for choice in answers {
        let texts = choice.parts.iter().filter_map(|part| match part {
            Part::Text { text, .. } => Some(text.as_str()),
            _ => None,
        });
        let text: String = texts.collect();
        let has_media = choice
            .parts
            .iter()
            .any(|part| matches!(part, Part::Image { .. } | Part::Audio { .. } | Part::File { .. }));
        if text.trim().is_empty() && !has_media {
            return Some(EMPTY);
        }
        // What the caller's own maximum has cut is what it asked for.
        let is_cut = choice.stop == Some(StopReason::Length);
        if wants_json && !is_cut && serde_json::from_str::<Value>(text.trim()).is_err() {
            return Some(NO_JSON);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(parts: Vec<Part>, stop: StopReason) -> ChatReply {
        let choice = Choice { parts, stop: Some(stop), ..Choice::default() };
        ChatReply { choices: vec![choice], ..ChatReply::default() }
    }

    #[test]
    fn an_answer_has_content_and_is_json_where_that_was_asked_for() {
        let check = |parts: Vec<Part>, stop: StopReason, expect: [Option<&str>; 2]| {
            let reply = reply(parts, stop);
            assert_eq!([judge(&reply, false), judge(&reply, true)], expect, "{reply:?}");
        };
        let call = Part::ToolCall {
            id: "c".into(),
            name: "f".into(),
            arguments: String::new(),
            is_custom: false,
            signature: None,
        };
        check(vec![Part::text("hello")], StopReason::Stop, [None, Some(NO_JSON)]);
        check(vec![Part::text(" {\"a\": [1]}\n")], StopReason::Stop, [None, None]);
        check(vec![Part::text("{\"a\": ")], StopReason::Stop, [None, Some(NO_JSON)]);
        check(vec![Part::text("{\"a\": ")], StopReason::Length, [None, None]);
        check(vec![Part::text("{\"a\""), Part::text(": 1}")], StopReason::Stop, [None, None]);
        check(vec![], StopReason::Stop, [Some(EMPTY), Some(EMPTY)]);
        check(vec![Part::text(" \n")], StopReason::Stop, [Some(EMPTY), Some(EMPTY)]);
        check(vec![call], StopReason::ToolCalls, [None, None]);
        check(vec![], StopReason::ContentFilter, [None, None]);
        check(vec![Part::text("I won't.")], StopReason::Refusal, [None, None]);
        assert_eq!(judge(&ChatReply::default(), false), Some(EMPTY));
    }
}
