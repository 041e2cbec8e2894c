//! A whole answer of `generateContent`.
//!
//! Owns the frame of a `GenerateContentResponse`. Leaves parts to `candidate` and counts to `usage`.

use super::candidate::{Candidate, Piece, take_candidates, take_text};
use super::error::{find_error, read_error};
use super::ident::call_id;
use super::usage::read_usage;
use crate::conversation::{ChatReply, Choice, MediaSource, Part, StopReason};
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
    let mut calls = 0;
    let mut parts: Vec<Part> = Vec::with_capacity(candidate.pieces.len());
    for piece in candidate.pieces {
        let is_call = matches!(piece, Piece::Call { .. });
        match (piece, parts.last_mut()) {
            // Google cuts one text into several parts; the caller sees one.
            (Piece::Text(text), Some(Part::Text { text: before, .. })) => before.push_str(&text),
            (
                Piece::Thought { text, signature },
                Some(Part::Reasoning { text: before, signature: none @ None }),
            ) => {
                before.push_str(&text);
                *none = signature;
            }
            (piece, _) => parts.push(part(piece, || call_id(seed, candidate.index, calls))),
        }
        calls += u64::from(is_call);
    }
    Choice {
        stop_sequence: None,
        index: candidate.index,
        parts,
        stop: candidate.finish.map(|finish| finish.stop_reason(calls > 0)),
        logprobs: candidate.logprobs,
    }
}

fn part(piece: Piece, make_id: impl FnOnce() -> String) -> Part {
    match piece {
        Piece::Text(text) => Part::text(text),
        Piece::Thought { text, signature } => Part::Reasoning { text, signature },
        Piece::Signature(signature) => Part::Reasoning { text: String::new(), signature: Some(signature) },
        Piece::Call { id, name, arguments, signature } => {
            Part::ToolCall { id: id.unwrap_or_else(make_id), name, arguments, is_custom: false, signature }
        }
        Piece::Media { media_type, data } => match media_type.strip_prefix("audio/") {
            Some(format) => {
                let format = format.to_owned();
                Part::Audio { source: MediaSource::Base64 { media_type, data }, format, transcript: None }
            }
            None => Part::Image {
                source: MediaSource::Base64 { media_type, data },
                detail: None,
                cache_control: None,
            },
        },
    }
}
