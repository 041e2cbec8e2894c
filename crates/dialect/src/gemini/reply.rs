//! A whole answer of `generateContent`.
//!
//! Owns the frame of a `GenerateContentResponse`. Leaves parts to `candidate` and counts to `usage`.

use super::candidate::{Candidate, Piece, take_candidates, take_text};
use super::citations::Found;
use super::error::{find_error, read_error};
use super::finish;
use super::ident::call_id;
use super::usage::{read_tier, read_usage};
use crate::conversation::{ChatReply, Choice, Part, StopReason};
use crate::wire::{Reading, ReplyFault};
use serde_json::{Map, Value};

/// Reads a whole answer. Tool calls without an id get one made from `reading.id_seed` and their place, so the same
/// request gives the same ids. A prompt that Google blocked is one choice without parts, ended by the filter.
///
/// # Errors
/// [`ReplyFault::Error`] for an error object in the place of an answer, [`ReplyFault::Malformed`] for anything that is
/// not a `GenerateContentResponse` with an answer or a reason why there is none.
pub fn decode_reply(body: &[u8], reading: &Reading) -> Result<ChatReply, ReplyFault> {
    let mut root = read_response(body)?;
    let mut usage = root.get("usageMetadata").map(read_usage).unwrap_or_default();
    let candidates = take_candidates(&mut root)?;
    usage.web_search_requests =
        candidates.iter().fold(0, |sum, candidate| candidate.searches.saturating_add(sum));
    let mut choices: Vec<Choice> =
        candidates.into_iter().map(|candidate| choice(candidate, reading.id_seed)).collect();
    if choices.is_empty() {
        if !is_prompt_blocked(&root) {
            return Err(ReplyFault::Malformed("neither candidates nor a reason why there are none"));
        }
        choices.push(Choice { stop: Some(StopReason::ContentFilter), ..Choice::default() });
    }
    Ok(ChatReply {
        id: take_text(&mut root, "responseId")?.unwrap_or_default(),
        model: take_text(&mut root, "modelVersion")?.unwrap_or_default(),
        choices,
        usage,
        service_tier: root.get("usageMetadata").and_then(read_tier),
        ..ChatReply::default()
    })
}

/// The object of a reply or of a stream's frame.
pub(super) fn read_response(body: &[u8]) -> Result<Map<String, Value>, ReplyFault> {
    let root: Value = serde_json::from_slice(body).map_err(|_| ReplyFault::Malformed("not JSON"))?;
    if let Some(error) = find_error(&root) {
        return Err(ReplyFault::Error(read_error(error, None)));
    }
    match root {
        Value::Object(root) => Ok(root),
        _ => Err(ReplyFault::Malformed("not an object")),
    }
}

/// Google refused the prompt before a model saw it.
pub(super) fn is_prompt_blocked(root: &Map<String, Value>) -> bool {
    let reason = root.get("promptFeedback").and_then(|feedback| feedback.get("blockReason"));
    reason.and_then(Value::as_str).is_some_and(|reason| reason != "BLOCKED_REASON_UNSPECIFIED")
}

fn choice(candidate: Candidate, seed: u64) -> Choice {
    let mut answer = Answer { index: candidate.index, seed, ..Answer::default() };
    for (number, piece) in candidate.pieces {
        answer.take(number, piece);
    }
    for found in candidate.citations {
        answer.cite(found);
    }
    Choice {
        stop_sequence: None,
        index: candidate.index,
        stop: candidate.finish.map(|stop| finish::with_calls(stop, answer.calls > 0)),
        parts: answer.parts,
        logprobs: candidate.logprobs,
    }
}

/// The parts of one answer while its pieces come in.
#[derive(Default)]
struct Answer {
    index: u64,
    seed: u64,
    calls: u64,
    parts: Vec<Part>,
    /// Where Google's parts lie: number there, place in `parts`, offset in bytes.
    texts: Vec<(usize, usize, usize)>,
}

impl Answer {
    fn take(&mut self, number: usize, piece: Piece) {
        match (piece, self.parts.last_mut()) {
            // Google cuts one text into several parts; the caller sees one.
            (Piece::Text(text), Some(Part::Text { text: before, .. })) => {
                let offset = before.len();
                before.push_str(&text);
                self.texts.push((number, self.parts.len() - 1, offset));
            }
            (
                Piece::Thought { text, signature },
                Some(Part::Reasoning { text: before, signature: none @ None }),
            ) => {
                before.push_str(&text);
                *none = signature;
            }
            (Piece::Text(text), _) => {
                self.texts.push((number, self.parts.len(), 0));
                self.parts.push(Part::text(text));
            }
            (Piece::Thought { text, signature }, _) => self.parts.push(Part::Reasoning { text, signature }),
            (Piece::Signature(signature), _) => {
                self.parts.push(Part::Reasoning { text: String::new(), signature: Some(signature) });
            }
            (Piece::Redacted(data), _) => self.parts.push(Part::RedactedReasoning { data }),
            (Piece::Call { id, name, arguments, signature }, _) => {
                let id = id.unwrap_or_else(|| call_id(self.seed, self.index, self.calls));
                self.calls += 1;
                self.parts.push(Part::ToolCall { id, name, arguments, is_custom: false, signature });
            }
            (Piece::Media(part), _) => self.parts.push(part),
            (Piece::Native(native), _) => self.parts.push(Part::Native(native)),
        }
    }

    /// Puts a citation on its text; where Google names a part that is no text, on the first.
    fn cite(&mut self, found: Found) {
        let named = self.texts.iter().find(|(number, ..)| *number == found.part);
        let Some((_, place, offset)) = named.or(self.texts.first()).copied() else { return };
        if let Some(Part::Text { text, citations, .. }) = self.parts.get_mut(place) {
            citations.push(found.placed(text, offset));
        }
    }
}
