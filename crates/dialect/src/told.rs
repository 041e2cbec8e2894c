//! What an answer says beside its content, and a caller's dialect has no place for: which counts, which reasons for its
//! end; and what the events of a stream say that it has none for.
//!
//! Owns the names under which it is told. Leaves content to each dialect's encoder. **Invariant:** what is told of a stream
//! is what is told of the same answer when it comes whole.

use crate::conversation::{ChatReply, Choice, MediaSource, Part, StopReason, StreamEvent, Usage};
use crate::wire::{EventEncoder, Losses};

/// What the replies of a dialect can say.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Places {
    /// Its usage's counts by the names of [`Usage`]'s fields, beside those of the whole prompt and the whole answer.
    pub(crate) counts: &'static [&'static str],
    /// The reasons for an end that its words tell apart, or whose word means the same to a client.
    pub(crate) stops: &'static [StopReason],
}

/// What `chat.completion`s and responses say beside their content.
pub(crate) const OPENAI: Places = Places {
    counts: &[
        "cached_tokens",
        "cache_write_tokens",
        "cache_write_1h_tokens",
        "tool_prompt_tokens",
        "input_audio_tokens",
        "input_image_tokens",
        "reasoning_tokens",
        "output_audio_tokens",
        "output_image_tokens",
        "web_search_requests",
        "web_fetch_requests",
    ],
    stops: &[
        StopReason::Stop,
        StopReason::StopSequence,
        StopReason::Length,
        StopReason::ToolCalls,
        StopReason::ContentFilter,
        StopReason::Refusal,
    ],
};

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

/// Gathers what a stream says and the dialect that it is written in cannot. Each thing that might be lost is shown by itself
/// to the dialect's writer of whole replies.
#[derive(Debug, Default)]
pub(crate) struct Teller {
    usage: Option<Usage>,
    tier: Option<String>,
    /// What comes in great numbers is shown once.
    has_sound: bool,
    has_logprobs: bool,
    has_rivals: bool,
    /// Of several answers the first alone is written.
    is_single: bool,
}

impl Teller {
    /// Takes in events that were written by the encoder; gives what of them was lost.
    pub(crate) fn hear(&mut self, events: &[StreamEvent], encoder: &impl EventEncoder, lost: &mut Losses) {
        for event in events {
            if event.choice() > 0 && !std::mem::replace(&mut self.has_rivals, true) {
                let choices = vec![Choice::default(), Choice { index: 1, ..Choice::default() }];
                let mut of_both = Losses::default();
                encoder.note_lost(&ChatReply { choices, ..ChatReply::default() }, &mut of_both);
                self.is_single = !of_both.is_empty();
                lost.extend(of_both);
            }
            if event.choice() > 0 && self.is_single {
                continue;
            }
            if let Some(choice) = self.shown(event) {
                encoder.note_lost(&ChatReply { choices: vec![choice], ..ChatReply::default() }, lost);
            }
        }
    }

    /// What counts at the end alone: usage and tier.
    pub(crate) fn end(&mut self, encoder: &impl EventEncoder, lost: &mut Losses) {
        let (usage, service_tier) = (self.usage.take(), self.tier.take());
        if usage.is_some() || service_tier.is_some() {
            let usage = usage.unwrap_or_default();
            encoder.note_lost(&ChatReply { usage, service_tier, ..ChatReply::default() }, lost);
        }
    }

    /// The event as an answer that says nothing else; `None` for what every dialect has a place for.
    fn shown(&mut self, event: &StreamEvent) -> Option<Choice> {
        let part = match event {
            StreamEvent::Usage(usage) => {
                self.usage = Some(*usage);
                return None;
            }
            StreamEvent::ServiceTier(tier) => {
                self.tier = Some(tier.clone());
                return None;
            }
            StreamEvent::Finish { stop, stop_sequence, .. } => {
                let stop_sequence = stop_sequence.clone();
                return Some(Choice { stop: Some(*stop), stop_sequence, ..Choice::default() });
            }
            StreamEvent::Logprobs { logprobs, .. } => {
                let is_first = !std::mem::replace(&mut self.has_logprobs, true);
                let logprobs = is_first.then(|| logprobs.clone())?;
                return Some(Choice { logprobs: Some(logprobs), ..Choice::default() });
            }
            // The transcript alone has its place as text.
            StreamEvent::Audio { data, .. } => {
                let is_first = !data.is_empty() && !std::mem::replace(&mut self.has_sound, true);
                let source = MediaSource::Base64 { media_type: String::new(), data: String::new() };
                let format = "pcm16".to_owned();
                is_first.then_some(Part::Audio { source, format, transcript: None })?
            }
            StreamEvent::Image { source, .. } => {
                Part::Image { source: source.clone(), detail: None, cache_control: None }
            }
            StreamEvent::Native { native, .. } => Part::Native(native.clone()),
            StreamEvent::Citation { citation, .. } => {
                // Some say nothing of the sources of a text of no words.
                let citations = vec![(**citation).clone()];
                Part::Text { text: " ".to_owned(), cache_control: None, citations }
            }
            StreamEvent::Start { .. }
            | StreamEvent::Text { .. }
            | StreamEvent::Reasoning { .. }
            | StreamEvent::ReasoningSignature { .. }
            | StreamEvent::RedactedReasoning { .. }
            | StreamEvent::Refusal { .. }
            | StreamEvent::ToolCallStart { .. }
            | StreamEvent::ToolCallArguments { .. } => return None,
        };
        Some(Choice { parts: vec![part], ..Choice::default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
