//! A streamed answer of `streamGenerateContent?alt=sse`: each frame is a `GenerateContentResponse` of its own.
//!
//! Owns what is known across frames: which candidates began and ended, how many calls each made. Leaves parts to
//! `candidate`. **Invariant:** `Start` comes once and first, a call's number has no gaps over all frames of its
//! candidate, each candidate that began finishes at most once, and after its finish nothing of it comes.

use super::candidate::{Candidate, Piece, take_candidates, take_text};
use super::citations::Found;
use super::finish;
use super::ident::call_id;
use super::reply::{is_prompt_blocked, read_response};
use super::usage::{read_tier, read_usage};
use crate::conversation::{Citation, MediaSource, Part, Signature, StopReason, StreamEvent, Usage};
use crate::sse::Frame;
use crate::wire::{EventDecoder, Reading, ReplyFault};
use serde_json::{Map, Value};

/// Longest frame of a stream that is worth accepting, in bytes ([`crate::sse::Framer::with_cap`]): the image models send
/// a whole picture as base64 in one frame.
pub const FRAME_BYTES_MAX: usize = 16 << 20;

/// Most candidates of one stream that are kept apart. Google's own limit is 8.
const CANDIDATES_MAX: usize = 128;

/// Most text of one candidate in which the spans of citations are found, in bytes; what comes after it is cited whole.
const CITED_TEXT_BYTES_MAX: usize = 4 << 20;

/// Reads one stream. Gemini has no end mark of its own: the stream is complete when every candidate that began has
/// given its reason to finish, or when the prompt was blocked.
#[derive(Debug, Default)]
pub struct StreamDecoder {
    id_seed: u64,
    is_started: bool,
    candidates: Vec<Progress>,
    searches: u64,
    usage: Option<Usage>,
    tier: Option<String>,
}

/// One candidate so far.
#[derive(Debug, Default)]
struct Progress {
    index: u64,
    calls: u64,
    is_finished: bool,
    text: String,
    cited: Vec<Citation>,
    /// Of the text that is being written.
    signatures: Vec<Signature>,
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
            // The number is a limit as well: other wires hold it to the same one.
            if self.candidates.len() == CANDIDATES_MAX || index >= CANDIDATES_MAX as u64 {
                return Err(ReplyFault::Malformed("too many candidates in one stream"));
            }
            self.candidates.push(Progress { index, ..Progress::default() });
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
        for (_, piece) in candidate.pieces {
            progress.write_piece(piece, seed, out);
        }
        for found in candidate.citations {
            progress.cite(found, out);
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
            let tier = read_tier(metadata);
            if tier.is_some() && tier != self.tier {
                self.tier.clone_from(&tier);
                out.extend(tier.map(StreamEvent::ServiceTier));
            }
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
        if !matches!(piece, Piece::Text(_) | Piece::Signature(_)) {
            self.end_text(out);
        }
        match piece {
            Piece::Text(delta) => {
                if self.text.len() + delta.len() <= CITED_TEXT_BYTES_MAX {
                    self.text.push_str(&delta);
                }
                out.push(StreamEvent::Text { choice, delta });
            }
            Piece::Thought { text, signature } => {
                if !text.is_empty() {
                    out.push(StreamEvent::Reasoning { choice, delta: text });
                }
                out.extend(signature.map(|signature| StreamEvent::ReasoningSignature { choice, signature }));
            }
            // Of no text at all: the part that it signs is whole.
            Piece::Signature(signature) if self.text.is_empty() => {
                out.push(StreamEvent::ReasoningSignature { choice, signature });
            }
            // Google may sign a text at its first piece; the signature's place is behind the whole of it.
            Piece::Signature(signature) => self.signatures.push(signature),
            Piece::Redacted(data) => out.push(StreamEvent::RedactedReasoning { choice, data }),
            Piece::Call { id, name, arguments, signature } => {
                let index = self.calls;
                let id = id.unwrap_or_else(|| call_id(seed, choice, index));
                out.push(StreamEvent::ToolCallStart { choice, index, id, name, is_custom: false, signature });
                out.push(StreamEvent::ToolCallArguments { choice, index, delta: arguments });
                self.calls += 1;
            }
            Piece::Media(part) => out.extend(media_event(choice, part)),
            Piece::Native(native) => out.push(StreamEvent::Native { choice, native }),
        }
    }

    /// Tells a citation once, however often Google repeats it.
    fn cite(&mut self, found: Found, out: &mut Vec<StreamEvent>) {
        let citation = found.placed(&self.text, 0);
        if !self.cited.contains(&citation) {
            self.cited.push(citation.clone());
            out.push(StreamEvent::Citation { choice: self.index, citation: Box::new(citation) });
        }
    }

    /// The signatures of a text that has ended.
    fn end_text(&mut self, out: &mut Vec<StreamEvent>) {
        let choice = self.index;
        let signatures = self.signatures.drain(..);
        out.extend(signatures.map(|signature| StreamEvent::ReasoningSignature { choice, signature }));
    }

    fn finish(&mut self, stop: StopReason, out: &mut Vec<StreamEvent>) {
        self.end_text(out);
        self.is_finished = true;
        out.push(StreamEvent::Finish {
            choice: self.index,
            stop: finish::with_calls(stop, self.calls > 0),
            stop_sequence: None,
        });
    }
}

/// What the model made, as an event. A document has none, and no model makes any.
fn media_event(choice: u64, part: Part) -> Option<StreamEvent> {
    match part {
        Part::Image { source, .. } => Some(StreamEvent::Image { choice, source }),
        Part::Audio { source: MediaSource::Base64 { data, .. }, .. } => {
            Some(StreamEvent::Audio { choice, id: String::new(), data, transcript: String::new() })
        }
        _ => None,
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
            self.candidates.push(Progress { is_finished: true, ..Progress::default() });
            out.push(StreamEvent::Finish { choice: 0, stop: StopReason::ContentFilter, stop_sequence: None });
        }
        self.read_usage(&root, out);
        Ok(())
    }

    fn is_complete(&self) -> bool {
        !self.candidates.is_empty() && self.candidates.iter().all(|candidate| candidate.is_finished)
    }
}
