//! What an answer says beside its content, and a caller's dialect has no place for: which counts, which reasons for its
//! end.
//!
//! Owns the names under which it is told. Leaves content to each dialect's encoder.

use crate::conversation::{ChatReply, StopReason, Usage};
use crate::wire::Losses;

/// What the replies of a dialect can say.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Places {
    /// Its usage's counts by the names of [`Usage`]'s fields, beside those of the whole prompt and the whole answer.
    pub(crate) counts: &'static [&'static str],
    /// The reasons for an end that its words tell apart, or whose word means the same to a client.
    pub(crate) stops: &'static [StopReason],
}

/// Notes the counts and the reasons that have no place: `usage.reasoning_tokens`, `finish_reason`.
pub(crate) fn note_reply(reply: &ChatReply, places: &Places, lost: &mut Losses) {
    if reply.choices.iter().filter_map(|choice| choice.stop).any(|stop| !places.stops.contains(&stop)) {
        lost.note("finish_reason");
    }
    for (name, count) in counts(&reply.usage) {
        if count > 0 && !places.counts.contains(&name) {
            lost.note(format!("usage.{name}"));
        }
    }
}

/// The counts that are parts of others, or beside them.
fn counts(usage: &Usage) -> [(&'static str, u64); 14] {
    [
        ("cached_tokens", usage.cached_tokens),
        ("cache_write_tokens", usage.cache_write_tokens),
        ("cache_write_1h_tokens", usage.cache_write_1h_tokens),
        ("tool_prompt_tokens", usage.tool_prompt_tokens),
        ("input_audio_tokens", usage.input_audio_tokens),
        ("input_image_tokens", usage.input_image_tokens),
        ("reasoning_tokens", usage.reasoning_tokens),
        ("output_audio_tokens", usage.output_audio_tokens),
        ("output_image_tokens", usage.output_image_tokens),
        ("web_search_requests", usage.web_search_requests),
        ("web_fetch_requests", usage.web_fetch_requests),
        ("search_units", usage.search_units),
        ("unbilled_input_tokens", usage.unbilled_input_tokens),
        ("unbilled_output_tokens", usage.unbilled_output_tokens),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conversation::Choice;

    #[test]
    fn what_has_no_place_is_told_by_name() {
        let places = Places { counts: &["cached_tokens"], stops: &[StopReason::Stop] };
        let check = |stop: StopReason, usage: Usage, expect: &[&str]| {
            let choices = vec![Choice { stop: Some(stop), ..Choice::default() }];
            let mut lost = Losses::default();
            note_reply(&ChatReply { choices, usage, ..ChatReply::default() }, &places, &mut lost);
            assert_eq!(lost.names().collect::<Vec<_>>(), expect);
        };
        let plain = Usage { input_tokens: 9, output_tokens: 9, cached_tokens: 3, ..Usage::default() };
        check(StopReason::Stop, plain, &[]);
        check(StopReason::Pause, plain, &["finish_reason"]);
        let searched = Usage { reasoning_tokens: 1, web_search_requests: 2, ..plain };
        check(StopReason::Stop, searched, &["usage.reasoning_tokens", "usage.web_search_requests"]);
    }
}
