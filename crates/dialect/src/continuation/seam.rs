//! Where the old stream ends in the new one.
//!
//! Owns the comparison. **Invariant:** what passes does not depend on how either stream was cut into events.

use super::{Mode, Sent};
use crate::conversation::StreamEvent;
use crate::wire::ReplyFault;
use std::sync::Arc;

/// A provider that knows nothing of prefilled turns answers from the beginning, and Mistral repeats them before it goes
/// on. That is noticed by its repeating all of the turn, if that was at least so many bytes; less may be said twice by
/// chance.
pub(super) const ECHO_BYTES_MIN: usize = 32;

/// The place in the new stream up to which the caller has the answer.
#[derive(Debug)]
pub(super) struct Seam {
    sent: Arc<Sent>,
    text: Text,
    thoughts: Thoughts,
    /// Text of the new stream has passed.
    has_spoken: bool,
}

/// What is to be done with text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Text {
    /// Asked anew: so many bytes of what was sent have come again.
    Repeats(usize),
    /// Asked to go on, and so many bytes of the prefilled turn have come again, held back: it may be an answer from the
    /// beginning after all.
    Echoes(usize),
    /// Asked to go on after a text without its white space, of which this many bytes are in what was sent.
    Gap(usize),
    /// All is new.
    New,
}

/// What is to be done with reasoning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Thoughts {
    /// So many bytes of what was sent have come again.
    Repeats(usize),
    /// It is other than what the caller has, or the caller has enough of it: the text alone counts.
    Unheard,
    /// All is new.
    New,
}

impl Seam {
    pub(super) fn new(sent: Arc<Sent>, mode: Mode) -> Self {
        let text = match mode {
            Mode::Replay if sent.text.is_empty() => Text::New,
            Mode::Replay => Text::Repeats(0),
            Mode::Prefill if sent.text.trim_end().len() >= ECHO_BYTES_MIN => Text::Echoes(0),
            Mode::Prefill => Text::Gap(sent.text.trim_end().len()),
        };
        let thoughts = match text {
            Text::New if !sent.is_signed => Thoughts::Repeats(0),
            _ => Thoughts::Unheard,
        };
        Self { sent, text, thoughts, has_spoken: false }
    }

    /// Passes on what of an event is new.
    pub(super) fn pass(&mut self, event: StreamEvent, out: &mut Vec<StreamEvent>) -> Result<(), ReplyFault> {
        if event.choice() > 0 {
            return Err(ReplyFault::Disagrees);
        }
        match event {
            StreamEvent::Start { .. } => {}
            StreamEvent::Usage(_) | StreamEvent::ServiceTier(_) => out.push(event),
            StreamEvent::Text { delta, .. } => self.say(&delta, out)?,
            StreamEvent::Reasoning { delta, .. } => self.think(&delta, out),
            StreamEvent::ReasoningSignature { .. } | StreamEvent::RedactedReasoning { .. } => {
                self.sign(event, out);
            }
            // They are of text that the caller has, at least in part.
            StreamEvent::Logprobs { .. } | StreamEvent::Citation { .. } => {
                if self.has_spoken {
                    out.push(event);
                }
            }
            StreamEvent::Refusal { .. }
            | StreamEvent::ToolCallStart { .. }
            | StreamEvent::ToolCallArguments { .. }
            | StreamEvent::Image { .. }
            | StreamEvent::Audio { .. }
            | StreamEvent::Native { .. }
            | StreamEvent::Finish { .. } => {
                self.end_of_old(out)?;
                out.push(event);
            }
        }
        Ok(())
    }

    /// Something else than text comes: the old stream's text has to be over by then.
    fn end_of_old(&mut self, out: &mut Vec<StreamEvent>) -> Result<(), ReplyFault> {
        match self.text {
            Text::Repeats(_) => return Err(ReplyFault::Disagrees),
            Text::Echoes(held) => {
                let text = self.sent.text.get(..held).unwrap_or_default().to_owned();
                self.bridge(&text, out);
            }
            Text::Gap(_) | Text::New => {}
        }
        self.text = Text::New;
        self.thoughts = Thoughts::New;
        Ok(())
    }

    fn say(&mut self, delta: &str, out: &mut Vec<StreamEvent>) -> Result<(), ReplyFault> {
        let sent = Arc::clone(&self.sent);
        match self.text {
            Text::New => self.speak(delta, out),
            Text::Gap(_) => self.skip_gap(delta, out),
            Text::Repeats(at) => match compare(&sent.text, at, delta) {
                Some((at, _)) if at < sent.text.len() => self.text = Text::Repeats(at),
                Some((_, rest)) => {
                    (self.text, self.thoughts) = (Text::New, Thoughts::New);
                    self.speak(rest, out);
                }
                None => return Err(ReplyFault::Disagrees),
            },
            Text::Echoes(at) => {
                let turn = sent.text.trim_end();
                match compare(turn, at, delta) {
                    Some((at, _)) if at < turn.len() => self.text = Text::Echoes(at),
                    Some((_, rest)) => self.bridge(rest, out),
                    None => {
                        let held = turn.get(..at).unwrap_or_default();
                        self.bridge(&format!("{held}{delta}"), out);
                    }
                }
            }
        }
        Ok(())
    }

    /// Text that goes on from the prefilled turn.
    fn bridge(&mut self, text: &str, out: &mut Vec<StreamEvent>) {
        self.text = Text::Gap(self.sent.text.trim_end().len());
        self.skip_gap(text, out);
    }

    /// The caller has white space that the provider does not know of; it begins with it, or with as much as it finds fit.
    fn skip_gap(&mut self, delta: &str, out: &mut Vec<StreamEvent>) {
        let Text::Gap(mut at) = self.text else { return };
        let mut new = delta.chars();
        loop {
            let gap = self.sent.text.get(at..).unwrap_or_default();
            let rest = new.as_str();
            match (gap.chars().next(), new.next()) {
                (Some(white), Some(next)) if white == next => at += white.len_utf8(),
                (Some(_), None) => {
                    self.text = Text::Gap(at);
                    return;
                }
                _ => {
                    self.text = Text::New;
                    self.thoughts = Thoughts::New;
                    return self.speak(rest, out);
                }
            }
        }
    }

    /// Text that is new. An empty piece says that the provider begins another block, which at the seam is its first.
    fn speak(&mut self, delta: &str, out: &mut Vec<StreamEvent>) {
        if delta.is_empty() && !self.has_spoken {
            return;
        }
        self.has_spoken = true;
        self.thoughts = Thoughts::New;
        out.push(StreamEvent::Text { choice: 0, delta: delta.to_owned() });
    }

    fn think(&mut self, delta: &str, out: &mut Vec<StreamEvent>) {
        match self.thoughts {
            Thoughts::Unheard => {}
            Thoughts::New => out.push(StreamEvent::Reasoning { choice: 0, delta: delta.to_owned() }),
            Thoughts::Repeats(at) => match compare(&self.sent.reasoning, at, delta) {
                None => self.thoughts = Thoughts::Unheard,
                Some((at, "")) => self.thoughts = Thoughts::Repeats(at),
                Some((_, rest)) => {
                    self.thoughts = Thoughts::New;
                    out.push(StreamEvent::Reasoning { choice: 0, delta: rest.to_owned() });
                }
            },
        }
    }

    /// A signature holds for the whole of what it signs: the caller gets it where it got all of that from here.
    fn sign(&mut self, event: StreamEvent, out: &mut Vec<StreamEvent>) {
        match self.thoughts {
            Thoughts::New => out.push(event),
            Thoughts::Repeats(at) if at == self.sent.reasoning.len() => {
                self.thoughts = Thoughts::New;
                out.push(event);
            }
            Thoughts::Repeats(_) | Thoughts::Unheard => self.thoughts = Thoughts::Unheard,
        }
    }
}

/// Holds a piece against what was sent from `at` on. Where they agree: how far what was sent has come again, and what of
/// the piece goes beyond it.
fn compare<'d>(sent: &str, at: usize, delta: &'d str) -> Option<(usize, &'d str)> {
    let left = sent.get(at..)?;
    if left.starts_with(delta) {
        return Some((at + delta.len(), ""));
    }
    delta.strip_prefix(left).map(|rest| (sent.len(), rest))
}
