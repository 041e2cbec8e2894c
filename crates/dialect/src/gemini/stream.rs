//! A streamed answer of `streamGenerateContent?alt=sse`: each frame is a `GenerateContentResponse` of its own.
//!
//! Owns what is known across frames: which candidates began and ended, how many calls each made. Leaves parts to
//! `candidate`. **Invariant:** `Start` comes once and first, a call's number has no gaps over all frames of its
//! candidate, each candidate that began finishes at most once, and after its finish nothing of it comes.

use super::candidate::{Candidate, Finish, Piece, take_candidates, take_text};
use super::ident::call_id;
use super::reply::{is_prompt_blocked, read_response};
use super::usage::read_usage;
use crate::conversation::{StopReason, StreamEvent, Usage};
use crate::sse::Frame;
use crate::wire::{EventDecoder, Reading, ReplyFault};
use serde_json::{Map, Value};

/// Longest frame of a stream that is worth accepting, in bytes ([`crate::sse::Framer::with_cap`]): the image models send
/// a whole picture as base64 in one frame.
pub const FRAME_BYTES_MAX: usize = 16 << 20;

/// Most candidates of one stream that are kept apart. Google's own limit is 8.
const CANDIDATES_MAX: usize = 128;

/// Reads one stream. Gemini has no end mark of its own: the stream is complete when every candidate that began has
/// given its reason to finish, or when the prompt was blocked.
#[derive(Debug, Default)]
pub struct StreamDecoder {
    id_seed: u64,
    is_started: bool,
    candidates: Vec<Progress>,
    searches: u64,
    usage: Option<Usage>,
}

/// One candidate so far.
#[derive(Debug)]
struct Progress {
    index: u64,
    calls: u64,
    is_finished: bool,
}

impl StreamDecoder {
    /// A decoder at the beginning of the stream that answers the request of `reading`.
    pub fn new(reading: &Reading) -> Self {
        Self { id_seed: reading.id_seed, ..Self::default() }
    }

    fn start(&mut self, root: &mut Map<String, Value>, out: &mut Vec<StreamEvent>) -> Result<(), ReplyFault> {
        let id = take_text(root, "responseId")?.unwrap_or_default();
        let model = take_text(root, "modelVersion")?.unwrap_or_default();
        if !self.is_started {
            self.is_started = true;
            out.push(StreamEvent::Start { id, model });
        }
        Ok(())
    }

    /// The place of a candidate among those that began.
    fn progress(&mut self, index: u64) -> Result<&mut Progress, ReplyFault> {
        let place = self.candidates.iter().position(|candidate| candidate.index == index);
        if place.is_none() {
            if self.candidates.len() == CANDIDATES_MAX {
                return Err(ReplyFault::Malformed("too many candidates in one stream"));
            }
            self.candidates.push(Progress { index, calls: 0, is_finished: false });
        }
        let place = place.unwrap_or(self.candidates.len() - 1);
        self.candidates.get_mut(place).ok_or(ReplyFault::Malformed("a candidate was lost"))
    }

    fn read_candidate(&mut self, candidate: Candidate, out: &mut Vec<StreamEvent>) -> Result<(), ReplyFault> {
        let choice = candidate.index;
        let seed = self.id_seed;
        let progress = self.progress(choice)?;
        if progress.is_finished {
            return Ok(());
        }
        for piece in candidate.pieces {
            progress.write_piece(piece, seed, out);
        }
        if let Some(logprobs) = candidate.logprobs {
            out.push(StreamEvent::Logprobs { choice, logprobs });
        }
        if let Some(finish) = candidate.finish {
            progress.finish(finish, out);
        }
        self.searches = self.searches.max(candidate.searches);
        Ok(())
    }

    /// Google counts from the beginning in each frame; what it searched it says in one frame only.
    fn read_usage(&mut self, root: &Map<String, Value>, out: &mut Vec<StreamEvent>) {
        let before = self.usage;
        if let Some(metadata) = root.get("usageMetadata").filter(|metadata| metadata.is_object()) {
            self.usage = Some(read_usage(metadata));
        }
        let Some(usage) = &mut self.usage else { return };
        usage.web_search_requests = self.searches;
        if before != Some(*usage) {
            out.push(StreamEvent::Usage(*usage));
        }
    }
}

impl Progress {
    fn write_piece(&mut self, piece: Piece, seed: u64, out: &mut Vec<StreamEvent>) {
        let choice = self.index;
        match piece {
            Piece::Text(delta) => out.push(StreamEvent::Text { choice, delta }),
            Piece::Thought { text, signature } => {
                out.push(StreamEvent::Reasoning { choice, delta: text });
                out.extend(signature.map(|signature| StreamEvent::ReasoningSignature { choice, signature }));
            }
            Piece::Signature(signature) => out.push(StreamEvent::ReasoningSignature { choice, signature }),
            Piece::Call { id, name, arguments, signature } => {
                let index = self.calls;
                let id = id.unwrap_or_else(|| call_id(seed, choice, index));
                out.push(StreamEvent::ToolCallStart { choice, index, id, name, is_custom: false, signature });
                out.push(StreamEvent::ToolCallArguments { choice, index, delta: arguments });
                self.calls += 1;
            }
            // The events of a stream have no place for bytes that a model made.
            Piece::Media { .. } => {}
        }
    }

    fn finish(&mut self, finish: Finish, out: &mut Vec<StreamEvent>) {
        self.is_finished = true;
        out.push(StreamEvent::Finish {
            choice: self.index,
            stop: finish.stop_reason(self.calls > 0),
            stop_sequence: None,
        });
    }
}

impl EventDecoder for StreamDecoder {
    fn read(&mut self, frame: &Frame<'_>, out: &mut Vec<StreamEvent>) -> Result<(), ReplyFault> {
        let mut root = read_response(&frame.data)?;
        let candidates = take_candidates(&mut root)?;
        self.start(&mut root, out)?;
        for candidate in candidates {
            self.read_candidate(candidate, out)?;
        }
        if self.candidates.is_empty() && is_prompt_blocked(&root) {
            self.candidates.push(Progress { index: 0, calls: 0, is_finished: true });
            out.push(StreamEvent::Finish { choice: 0, stop: StopReason::ContentFilter, stop_sequence: None });
        }
        self.read_usage(&root, out);
        Ok(())
    }

    fn is_complete(&self) -> bool {
        !self.candidates.is_empty() && self.candidates.iter().all(|candidate| candidate.is_finished)
    }
}
