//! An answer that broke off and goes on from another provider.
//!
//! Owns what the caller has of the answer ([`Sent`]), what of the new stream is new to the caller ([`Continuation`]), and
//! how a request asks for the rest ([`prefill`]). Leaves to others which provider goes on, and when.
//!
//! **Invariant:** no byte of the text reaches the caller twice, and none is left out: what the new stream repeats is
//! swallowed only as long as it agrees with what was sent, byte by byte, and a disagreement is a fault, never a guess.
//! **Invariant:** a call of a tool is never half of one stream and half of another.

mod prefill;
mod seam;

pub use prefill::{can_prefill, mark_prefix, prefill};

use crate::conversation::StreamEvent;
use crate::framing::Framing;
use crate::sse::Frame;
use crate::wire::{EventDecoder, ReplyFault};
use bytes::Bytes;
use seam::Seam;
use std::sync::Arc;

/// How the rest of an answer is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The request ends with what was sent as the assistant's turn; the new answer goes on from there.
    Prefill,
    /// The same request again; what the new answer repeats is skipped.
    Replay,
}

impl Mode {
    /// Its word in logs, metrics and the caller's stream.
    pub fn name(self) -> &'static str {
        match self {
            Self::Prefill => "prefill",
            Self::Replay => "replay",
        }
    }
}

/// Why an answer cannot go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// A part of a tool call was sent.
    #[error("a tool call had begun")]
    ToolCall,
    /// Several answers were asked for.
    #[error("several answers were under way")]
    Several,
    /// Something was sent that cannot be compared with another answer: sound, pictures, refusals, blocks of one provider.
    #[error("more than text had been sent")]
    NotText,
    /// The reason for its end was sent.
    #[error("the answer had ended")]
    Finished,
    /// What was sent cannot be read again.
    #[error("what was sent cannot be read again")]
    Unreadable,
}

/// What the caller has of an answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sent {
    events: Vec<StreamEvent>,
    text: String,
    reasoning: String,
    /// A block of reasoning was closed by its signature.
    is_signed: bool,
}

impl Sent {
    /// What these events say.
    ///
    /// # Errors
    /// [`Unfit`] where no other answer could go on from there.
    pub fn new(events: Vec<StreamEvent>) -> Result<Self, Unfit> {
        let mut sent = Self::default();
        for event in &events {
            if event.choice() > 0 {
                return Err(Unfit::Several);
            }
            match event {
                StreamEvent::Text { delta, .. } => sent.text.push_str(delta),
                StreamEvent::Reasoning { delta, .. } => sent.reasoning.push_str(delta),
                StreamEvent::ReasoningSignature { .. } | StreamEvent::RedactedReasoning { .. } => {
                    sent.is_signed = true;
                }
                StreamEvent::ToolCallStart { .. } | StreamEvent::ToolCallArguments { .. } => {
                    return Err(Unfit::ToolCall);
                }
                StreamEvent::Finish { .. } => return Err(Unfit::Finished),
                StreamEvent::Refusal { .. }
                | StreamEvent::Image { .. }
                | StreamEvent::Audio { .. }
                | StreamEvent::Native { .. } => return Err(Unfit::NotText),
                StreamEvent::Start { .. }
                | StreamEvent::Logprobs { .. }
                | StreamEvent::Citation { .. }
                | StreamEvent::ServiceTier(_)
                | StreamEvent::Usage(_) => {}
            }
        }
        sent.events = events;
        Ok(sent)
    }

    /// All that was sent, in order: by it the caller's encoder comes to where it was.
    pub fn events(&self) -> &[StreamEvent] {
        &self.events
    }

    /// The answer's text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Its readable reasoning.
    pub fn reasoning(&self) -> &str {
        &self.reasoning
    }

    /// Whether a provider that repeats the assistant's turn before it goes on would be noticed to do so.
    pub fn shows_echoes(&self) -> bool {
        self.text.trim_end().len() >= seam::ECHO_BYTES_MIN
    }

    /// The text that the assistant's turn begins with: without white space at its end, which Anthropic refuses there.
    /// `None` where there is none, or where there was reasoning before it, which no such turn can say.
    pub fn prefill(&self) -> Option<&str> {
        let is_plain = self.reasoning.is_empty() && !self.is_signed;
        Some(self.text.trim_end()).filter(|text| is_plain && !text.is_empty())
    }
}

/// Reads again what was sent: the first `frames` frames of a provider's bytes. `ends_in_fault` says that the last of them
/// may be one that could not be read to its end, and whose beginning was sent all the same.
///
/// # Errors
/// [`Unfit::Unreadable`] where they cannot be read.
pub fn read_again(
    raw: Bytes,
    (mut framing, decoder): (Framing, &mut dyn EventDecoder),
    frames: u64,
    ends_in_fault: bool,
) -> Result<Vec<StreamEvent>, Unfit> {
    framing.push(raw);
    let mut events = Vec::new();
    for number in 1..=frames {
        let is_last = number == frames;
        let frame = framing.next_frame().map_err(|_| Unfit::Unreadable)?;
        let read = if let Some(frame) = frame {
            decoder.read(&frame, &mut events)
        } else {
            // The last one may have come without its blank line.
            let pending = framing.take_pending().filter(|_| is_last).ok_or(Unfit::Unreadable)?;
            decoder.read(&pending, &mut events)
        };
        if read.is_err() && !(is_last && ends_in_fault) {
            return Err(Unfit::Unreadable);
        }
    }
    Ok(events)
}

/// Reads the new stream with `D` and lets through what is new to the caller.
#[derive(Debug)]
pub struct Continuation<D> {
    inner: D,
    seam: Seam,
    heard: Vec<StreamEvent>,
}

impl<D: EventDecoder> Continuation<D> {
    /// At the beginning of the new stream.
    pub fn new(inner: D, sent: Arc<Sent>, mode: Mode) -> Self {
        Self { inner, seam: Seam::new(sent, mode), heard: Vec::new() }
    }
}

impl<D: EventDecoder> EventDecoder for Continuation<D> {
    fn read(&mut self, frame: &Frame<'_>, out: &mut Vec<StreamEvent>) -> Result<(), ReplyFault> {
        let read = self.inner.read(frame, &mut self.heard);
        for event in self.heard.drain(..) {
            self.seam.pass(event, out)?;
        }
        read
    }

    fn is_complete(&self) -> bool {
        self.inner.is_complete()
    }
}
