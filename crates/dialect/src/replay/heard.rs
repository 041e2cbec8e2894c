//! A stream's events as a whole answer.
//!
//! Owns what each event adds. Leaves how much is kept to whoever hands the events in: what is held is as long as what was
//! said.
//!
//! **Invariant:** an answer is given only where it is whole: every answer that began has its end, and every call's
//! arguments can be read.

use super::logprobs::merge;
use crate::base64;
use crate::conversation::{
    ChatReply, Choice, Citation, MediaSource, Part, Signature, StopReason, StreamEvent, Usage,
};
use serde_json::Value;
use std::collections::BTreeMap;

/// The type of the samples that streams say sounds in: 16 bits, 24,000 a second, as OpenAI (`pcm16`) and Google send them.
const SAMPLES: (&str, &str) = ("audio/L16;rate=24000", "pcm16");

/// The whole answer that a stream told; `None` where it is not whole.
///
/// See [`Heard::into_reply`] for what is not whole and [`Heard`] for what is not carried. The events are to be those of a
/// stream that came to its end ([`EventDecoder::is_complete`](crate::wire::EventDecoder::is_complete)): that a further
/// answer never began, no event tells.
pub fn reply_of(events: &[StreamEvent]) -> Option<ChatReply> {
    let mut heard = Heard::default();
    for event in events {
        heard.hear(event);
    }
    heard.into_reply()
}

/// What a stream has told so far.
///
/// Not carried, since an answer's parts have no place for it: the id of a sound at its provider, which of a call's
/// arguments came between which words, and a text that is the refusal behind it word by word. A source whose text spans several parts is one of the part that it begins in. When
/// the answer was made and by which configuration no event says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Heard {
    id: String,
    model: String,
    service_tier: Option<String>,
    usage: Usage,
    answers: BTreeMap<u64, Answer>,
}

impl Heard {
    /// Takes in the next event.
    pub fn hear(&mut self, event: &StreamEvent) {
        match event {
            StreamEvent::Start { id, model } => {
                self.id.clone_from(id);
                self.model.clone_from(model);
            }
            StreamEvent::ServiceTier(tier) => self.service_tier = Some(tier.clone()),
            StreamEvent::Usage(usage) => self.usage = *usage,
            StreamEvent::Text { .. }
            | StreamEvent::Reasoning { .. }
            | StreamEvent::ReasoningSignature { .. }
            | StreamEvent::RedactedReasoning { .. }
            | StreamEvent::Refusal { .. }
            | StreamEvent::ToolCallStart { .. }
            | StreamEvent::ToolCallArguments { .. }
            | StreamEvent::Logprobs { .. }
            | StreamEvent::Citation { .. }
            | StreamEvent::Image { .. }
            | StreamEvent::Audio { .. }
            | StreamEvent::Native { .. }
            | StreamEvent::Finish { .. } => self.answers.entry(event.choice()).or_default().hear(event),
        }
    }

    /// The whole answer. `None` where no answer came, one of them has no end, a call that is not a custom tool's has
    /// arguments that are no JSON (none at all are good), a piece belongs to no call, or a sound is no base64.
    pub fn into_reply(self) -> Option<ChatReply> {
        if self.answers.is_empty() {
            return None;
        }
        let choices = self.answers.into_iter().map(|(index, answer)| answer.into_choice(index));
        Some(ChatReply {
            id: self.id,
            model: self.model,
            created: None,
            choices: choices.collect::<Option<_>>()?,
            usage: self.usage,
            system_fingerprint: None,
            service_tier: self.service_tier,
        })
    }
}

/// One of the answers.
#[derive(Debug, Clone, Default, PartialEq)]
struct Answer {
    parts: Vec<Part>,
    open: Open,
    place: TextPlace,
    /// Where the text of each text part begins among the answer's characters, with the part's place.
    texts: Vec<(u64, usize)>,
    /// Where each call stands, by its number.
    calls: BTreeMap<u64, usize>,
    /// The pieces of each sound, by its part's place.
    sounds: BTreeMap<usize, Vec<String>>,
    logprobs: Option<Value>,
    end: Option<(StopReason, Option<String>)>,
    is_broken: bool,
}

/// What goes on with the next piece.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Open {
    #[default]
    Nothing,
    /// Another block of text begins, by the provider's word.
    NextText,
    /// The last part.
    LastPart,
}

/// How far the text is, in characters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct TextPlace {
    end: u64,
    /// The stretch that sources without a span are of.
    cited: (u64, u64),
}

impl TextPlace {
    /// Where a source without a span belongs: to the text that came since the last that had one.
    fn cite(&mut self) -> (u64, u64) {
        if self.end > self.cited.1 {
            self.cited = (self.cited.1, self.end);
        }
        self.cited
    }
}

impl Answer {
    fn hear(&mut self, event: &StreamEvent) {
        match event {
            StreamEvent::Text { delta, .. } => self.text(delta),
            StreamEvent::Reasoning { delta, .. } => self.reasoning(delta),
            StreamEvent::ReasoningSignature { signature, .. } => self.sign(signature),
            StreamEvent::RedactedReasoning { data, .. } => {
                self.whole(Part::RedactedReasoning { data: data.clone() });
            }
            StreamEvent::Refusal { delta, .. } => self.refusal(delta),
            StreamEvent::ToolCallStart { index, id, name, is_custom, signature, .. } => {
                let place = self.parts.len();
                self.is_broken |= self.calls.insert(*index, place).is_some();
                self.whole(Part::ToolCall {
                    id: id.clone(),
                    name: name.clone(),
                    arguments: String::new(),
                    is_custom: *is_custom,
                    signature: signature.clone(),
                });
            }
            StreamEvent::ToolCallArguments { index, delta, .. } => self.arguments(*index, delta),
            StreamEvent::Logprobs { logprobs, .. } => merge(&mut self.logprobs, logprobs),
            StreamEvent::Citation { citation, .. } => self.cite(citation),
            StreamEvent::Image { source, .. } => {
                self.whole(Part::Image { source: source.clone(), detail: None, cache_control: None });
            }
            StreamEvent::Audio { id: _, data, transcript, .. } => self.sound(data, transcript),
            StreamEvent::Native { native, .. } => self.whole(Part::Native(native.clone())),
            StreamEvent::Finish { stop, stop_sequence, .. } => {
                self.end = Some((*stop, stop_sequence.clone()));
            }
            // They are of no answer alone.
            StreamEvent::Start { .. } | StreamEvent::ServiceTier(_) | StreamEvent::Usage(_) => {}
        }
    }

    /// Adds a part that nothing goes on with.
    fn whole(&mut self, part: Part) {
        self.parts.push(part);
        self.open = Open::Nothing;
    }

    /// Adds a part that the next piece may go on with.
    fn begin(&mut self, part: Part) {
        self.parts.push(part);
        self.open = Open::LastPart;
    }

    /// The part that the next piece goes on with, if it is of its kind.
    fn open_part(&mut self) -> Option<&mut Part> {
        self.parts.last_mut().filter(|_| self.open == Open::LastPart)
    }

    fn begin_text(&mut self) {
        self.texts.push((self.place.end, self.parts.len()));
        self.place.cited.1 = self.place.end;
        self.begin(Part::text(""));
    }

    fn text(&mut self, delta: &str) {
        if delta.is_empty() {
            self.open = Open::NextText;
            return;
        }
        if !matches!(self.open_part(), Some(Part::Text { .. })) {
            self.begin_text();
        }
        if let Some(Part::Text { text, .. }) = self.open_part() {
            text.push_str(delta);
        }
        self.place.end += delta.chars().count() as u64;
    }

    fn reasoning(&mut self, delta: &str) {
        if delta.is_empty() {
            return;
        }
        match self.open_part() {
            Some(Part::Reasoning { text, .. }) => text.push_str(delta),
            _ => self.begin(Part::Reasoning { text: delta.to_owned(), signature: None }),
        }
    }

    /// A signature closes the reasoning before it; behind anything else it is one by itself.
    fn sign(&mut self, new: &Signature) {
        match self.open_part() {
            Some(Part::Reasoning { signature, .. }) => *signature = Some(new.clone()),
            _ => self.parts.push(Part::Reasoning { text: String::new(), signature: Some(new.clone()) }),
        }
        self.open = Open::Nothing;
    }

    fn refusal(&mut self, delta: &str) {
        if delta.is_empty() {
            return;
        }
        match self.open_part() {
            Some(Part::Refusal(text)) => text.push_str(delta),
            _ => self.begin(Part::Refusal(delta.to_owned())),
        }
    }

    fn arguments(&mut self, index: u64, delta: &str) {
        let place = self.calls.get(&index).copied();
        match place.and_then(|place| self.parts.get_mut(place)) {
            Some(Part::ToolCall { arguments, .. }) => arguments.push_str(delta),
            _ => self.is_broken = true,
        }
    }

    fn sound(&mut self, data: &str, words: &str) {
        if data.is_empty() && words.is_empty() {
            return;
        }
        if !matches!(self.open_part(), Some(Part::Audio { .. })) {
            let source = MediaSource::Base64 { media_type: SAMPLES.0.to_owned(), data: String::new() };
            self.begin(Part::Audio { source, format: SAMPLES.1.to_owned(), transcript: None });
        }
        if let Some(Part::Audio { transcript, .. }) = self.open_part()
            && !words.is_empty()
        {
            transcript.get_or_insert_default().push_str(words);
        }
        if !data.is_empty() {
            self.sounds.entry(self.parts.len().saturating_sub(1)).or_default().push(data.to_owned());
        }
    }

    /// Puts a source on the text part that it begins in.
    fn cite(&mut self, citation: &Citation) {
        let is_of_next =
            self.open == Open::NextText && citation.span.is_none_or(|(start, _)| start >= self.place.end);
        if is_of_next || self.texts.is_empty() {
            self.begin_text();
        }
        let (from, to) = citation.span.unwrap_or_else(|| self.place.cite());
        let begun = self.texts.partition_point(|(start, _)| *start <= from);
        let found = begun.checked_sub(1).and_then(|number| self.texts.get(number));
        let Some((start, place)) = found.copied() else { return };
        if let Some(Part::Text { citations, .. }) = self.parts.get_mut(place) {
            let span = Some((from.saturating_sub(start), to.saturating_sub(start)));
            citations.push(Citation { span, ..citation.clone() });
        }
    }

    fn into_choice(mut self, index: u64) -> Option<Choice> {
        let (stop, stop_sequence) = self.end?;
        for part in &mut self.parts {
            match part {
                Part::ToolCall { arguments, is_custom, .. } if !*is_custom && !is_json(arguments) => {
                    return None;
                }
                Part::Text { text, citations, .. } => settle_spans(text, citations),
                Part::ToolCall { .. }
                | Part::Image { .. }
                | Part::Audio { .. }
                | Part::File { .. }
                | Part::ToolResult { .. }
                | Part::Reasoning { .. }
                | Part::RedactedReasoning { .. }
                | Part::Refusal(_)
                | Part::Native(_) => {}
            }
        }
        for (place, pieces) in self.sounds {
            if let Some(Part::Audio { source: MediaSource::Base64 { data, .. }, .. }) =
                self.parts.get_mut(place)
            {
                *data = joined(&pieces)?;
            }
        }
        let choice = Choice {
            index,
            parts: refused_once(self.parts),
            stop: Some(stop),
            stop_sequence,
            logprobs: self.logprobs,
        };
        (!self.is_broken).then_some(choice)
    }
}

/// The parts without a text that only gives the words of the refusal behind it: Anthropic's streams say them as both, for
/// those who show nothing else.
fn refused_once(parts: Vec<Part>) -> Vec<Part> {
    let mut once: Vec<Part> = Vec::with_capacity(parts.len());
    for part in parts {
        if let Part::Refusal(words) = &part {
            once.pop_if(|before| matches!(before, Part::Text { text, .. } if text == words));
        }
        once.push(part);
    }
    once
}

/// Arguments that a dialect can write as what they are; a call without any has none.
fn is_json(arguments: &str) -> bool {
    arguments.trim().is_empty() || serde_json::from_str::<Value>(arguments).is_ok()
}

/// Brings sources into the form of whole answers: within their text, and without a span where they are of all of it.
fn settle_spans(text: &str, citations: &mut [Citation]) {
    if citations.is_empty() {
        return;
    }
    let end = text.chars().count() as u64;
    for citation in citations {
        let span = citation.span.map(|(from, to)| (from.min(end), to.min(end)));
        citation.span = span.filter(|span| *span != (0, end));
    }
}

/// Pieces of base64 as one. Each may be padded by itself.
fn joined(pieces: &[String]) -> Option<String> {
    let is_in_fours = |piece: &String| {
        piece.len().is_multiple_of(4) && !piece.ends_with('=') && !piece.contains(['\r', '\n'])
    };
    let before_last = pieces.len().saturating_sub(1);
    if pieces.iter().take(before_last).all(is_in_fours) {
        return Some(pieces.concat());
    }
    let bytes: Option<Vec<Vec<u8>>> = pieces.iter().map(|piece| base64::decode(piece)).collect();
    Some(base64::encode(bytes?.concat()))
}
