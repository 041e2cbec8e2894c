//! A whole answer as events.
//!
//! Owns their order: the start, the tier, the prompt's counts, each answer with its end, the counts of all. Leaves where
//! texts are cut to `pieces` and `logprobs`.
//!
//! **Invariant:** each call's number has no gaps, nothing of an answer comes behind its end, and the last event is the
//! usage: what decoders promise of a provider's stream.

use super::logprobs::Spelled;
use super::pieces;
use crate::conversation::{ChatReply, Choice, Citation, MediaSource, Part, StopReason, StreamEvent, Usage};

/// What a stream of this answer would have said, in the order in which every dialect's encoder takes it.
///
/// Text, reasoning and refusals go out in pieces of some words, with the log probabilities of their tokens beside them
/// where these spell the text. A call's arguments go out whole: a call is of no use before. An answer that gives no
/// reason for its end ends as its content says.
///
/// Not carried, since no event says it: when the answer was made and by which configuration
/// ([`ChatReply::created`], [`ChatReply::system_fingerprint`]); the format of a sound, which is raw samples in every
/// stream, and one that is no base64; documents and results of tools, which no model's answer has; prompt-cache marks and
/// a picture's `detail`, which are of requests; where reasoning without a signature ends and more begins; reasoning,
/// text and refusals that say nothing.
pub fn events_of(reply: &ChatReply) -> Vec<StreamEvent> {
    let mut events = vec![StreamEvent::Start { id: reply.id.clone(), model: reply.model.clone() }];
    events.extend(reply.service_tier.clone().map(StreamEvent::ServiceTier));
    events.push(StreamEvent::Usage(of_prompt(&reply.usage)));
    for choice in &reply.choices {
        tell(choice, &mut events);
    }
    events.push(StreamEvent::Usage(reply.usage));
    events
}

/// What is known of the usage before the first word: Anthropic's streams begin with it.
fn of_prompt(usage: &Usage) -> Usage {
    Usage {
        input_tokens: usage.input_tokens,
        cached_tokens: usage.cached_tokens,
        cache_write_tokens: usage.cache_write_tokens,
        cache_write_1h_tokens: usage.cache_write_1h_tokens,
        input_audio_tokens: usage.input_audio_tokens,
        input_image_tokens: usage.input_image_tokens,
        unbilled_input_tokens: usage.unbilled_input_tokens,
        ..Usage::default()
    }
}

/// Tells one of the answers, from its first part to its end.
fn tell(choice: &Choice, events: &mut Vec<StreamEvent>) {
    let mut voice = Voice::new(choice, events);
    for (position, part) in choice.parts.iter().enumerate() {
        voice.part(position, part);
    }
    voice.logprobs_behind(choice.parts.len());
    let natural_end = if voice.calls > 0 { StopReason::ToolCalls } else { StopReason::Stop };
    events.push(StreamEvent::Finish {
        choice: choice.index,
        stop: choice.stop.unwrap_or(natural_end),
        stop_sequence: choice.stop_sequence.clone(),
    });
}

/// One answer while it is told.
struct Voice<'a> {
    answer: &'a Choice,
    events: &'a mut Vec<StreamEvent>,
    /// Characters of text so far, which sources are counted in.
    chars: u64,
    /// What was said last is text, so that more of it is another block.
    is_text: bool,
    calls: u64,
    /// Log probabilities that go out with their text.
    spelled: Option<Spelled<'a>>,
    /// Behind which part those go out that do not.
    logprobs_at: usize,
}

impl<'a> Voice<'a> {
    fn new(answer: &'a Choice, events: &'a mut Vec<StreamEvent>) -> Self {
        let texts: Vec<&str> = answer.parts.iter().filter_map(text_of).collect();
        let last = |is_it: fn(&Part) -> bool| answer.parts.iter().rposition(is_it);
        let last_said = last(|part| text_of(part).is_some()).or_else(|| last(is_refusal));
        Self {
            spelled: answer.logprobs.as_ref().and_then(|logprobs| Spelled::of(logprobs, &texts)),
            // Encoders look for them right behind the words that they are of.
            logprobs_at: last_said.unwrap_or(answer.parts.len()),
            answer,
            events,
            chars: 0,
            is_text: false,
            calls: 0,
        }
    }

    /// Tells the log probabilities that go out in one, if they belong behind this part's words.
    fn logprobs_behind(&mut self, position: usize) {
        if let (Some(logprobs), None) = (&self.answer.logprobs, &self.spelled)
            && position == self.logprobs_at
        {
            self.events.push(StreamEvent::Logprobs { choice: self.answer.index, logprobs: logprobs.clone() });
        }
    }

    fn part(&mut self, position: usize, part: &Part) {
        let choice = self.answer.index;
        match part {
            Part::Text { text, citations, cache_control: _ } => return self.text(position, text, citations),
            Part::Reasoning { text, signature } => {
                let pieces = pieces::of_text(text).into_iter();
                self.events
                    .extend(pieces.map(|delta| StreamEvent::Reasoning { choice, delta: delta.to_owned() }));
                let signature = signature.clone();
                self.events
                    .extend(signature.map(|signature| StreamEvent::ReasoningSignature { choice, signature }));
            }
            Part::RedactedReasoning { data } => {
                self.events.push(StreamEvent::RedactedReasoning { choice, data: data.clone() });
            }
            Part::Refusal(text) => {
                let pieces = pieces::of_text(text).into_iter();
                self.events
                    .extend(pieces.map(|delta| StreamEvent::Refusal { choice, delta: delta.to_owned() }));
                self.logprobs_behind(position);
            }
            Part::ToolCall { .. } => self.call(part),
            Part::Image { source, detail: _, cache_control: _ } => {
                self.events.push(StreamEvent::Image { choice, source: source.clone() });
            }
            Part::Audio { source, format: _, transcript } => {
                self.sound(source, transcript.as_deref().unwrap_or_default());
            }
            Part::Native(native) => {
                self.events.push(StreamEvent::Native { choice, native: native.clone() });
            }
            Part::File { .. } | Part::ToolResult { .. } => return,
        }
        self.is_text = false;
    }

    /// A text and what it leans on. Blocks that follow each other are kept apart, since for some their sources are of
    /// whole blocks.
    fn text(&mut self, position: usize, text: &str, citations: &[Citation]) {
        let choice = self.answer.index;
        if text.is_empty() && citations.is_empty() {
            return;
        }
        if self.is_text || text.is_empty() {
            self.events.push(StreamEvent::Text { choice, delta: String::new() });
        }
        let start = self.chars;
        self.chars += text.chars().count() as u64;
        if let Some(spelled) = &mut self.spelled {
            for (delta, logprobs) in spelled.deal(text) {
                self.events.push(StreamEvent::Text { choice, delta: delta.to_owned() });
                self.events.push(StreamEvent::Logprobs { choice, logprobs });
            }
        } else {
            let pieces = pieces::of_text(text).into_iter();
            self.events.extend(pieces.map(|delta| StreamEvent::Text { choice, delta: delta.to_owned() }));
        }
        self.logprobs_behind(position);
        let whole = (start, self.chars);
        self.events.extend(citations.iter().map(|citation| {
            let moved = |(from, to): (u64, u64)| (start.saturating_add(from), start.saturating_add(to));
            let span = Some(citation.span.map_or(whole, moved));
            StreamEvent::Citation { choice, citation: Box::new(Citation { span, ..citation.clone() }) }
        }));
        self.is_text = true;
    }

    fn call(&mut self, part: &Part) {
        let Part::ToolCall { id, name, arguments, is_custom, signature } = part else { return };
        let (choice, index) = (self.answer.index, self.calls);
        self.calls += 1;
        self.events.push(StreamEvent::ToolCallStart {
            choice,
            index,
            id: id.clone(),
            name: name.clone(),
            is_custom: *is_custom,
            signature: signature.clone(),
        });
        if !arguments.is_empty() {
            self.events.push(StreamEvent::ToolCallArguments { choice, index, delta: arguments.clone() });
        }
    }

    /// What is said aloud: its words, then its sound.
    fn sound(&mut self, source: &MediaSource, transcript: &str) {
        let data = match source {
            MediaSource::Base64 { data, .. } => data.as_str(),
            MediaSource::Url(_) | MediaSource::FileId(_) | MediaSource::Text(_) => "",
        };
        let words = pieces::of_text(transcript).into_iter().map(|words| (String::new(), words.to_owned()));
        let sounds = pieces::of_sound(data).into_iter().map(|data| (data.to_owned(), String::new()));
        self.events.extend(words.chain(sounds).map(|(data, transcript)| StreamEvent::Audio {
            choice: self.answer.index,
            id: String::new(),
            data,
            transcript,
        }));
    }
}

/// A text that says something.
fn text_of(part: &Part) -> Option<&str> {
    match part {
        Part::Text { text, .. } => Some(text.as_str()).filter(|text| !text.is_empty()),
        Part::Image { .. }
        | Part::Audio { .. }
        | Part::File { .. }
        | Part::ToolCall { .. }
        | Part::ToolResult { .. }
        | Part::Reasoning { .. }
        | Part::RedactedReasoning { .. }
        | Part::Refusal(_)
        | Part::Native(_) => None,
    }
}

fn is_refusal(part: &Part) -> bool {
    matches!(part, Part::Refusal(text) if !text.is_empty())
}
