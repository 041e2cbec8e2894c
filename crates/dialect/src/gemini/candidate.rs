//! One candidate of an answer, whole or as far as one frame of a stream brings it.
//!
//! Owns the reading of parts, finish reasons and log probabilities, for replies and streams alike. Leaves made-up ids
//! and the order of events to those.

use crate::conversation::{Issuer, Signature, StopReason};
use crate::wire::ReplyFault;
use serde_json::{Map, Value, json};

/// A part of a candidate that has a place in the conversation model.
#[derive(Debug, PartialEq)]
pub(super) enum Piece {
    /// Text of the answer, never empty.
    Text(String),
    /// A summary of thoughts, perhaps with the signature that closes it.
    Thought { text: String, signature: Option<Signature> },
    /// The signature of the thoughts before it, sent with the answer's text or with an empty one.
    Signature(Signature),
    /// A function is to be called; `arguments` is JSON text.
    Call { id: Option<String>, name: String, arguments: String, signature: Option<Signature> },
    /// Bytes that the model made.
    Media { media_type: String, data: String },
}

/// What is said of one candidate.
#[derive(Debug, PartialEq)]
pub(super) struct Candidate {
    pub(super) index: u64,
    pub(super) pieces: Vec<Piece>,
    pub(super) finish: Option<Finish>,
    /// OpenAI's `logprobs` object.
    pub(super) logprobs: Option<Value>,
    /// Searches that Google made for it.
    pub(super) searches: u64,
}

/// Why a candidate ended, as far as Google says: that calls are to be made it does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Finish {
    /// Done, or broken off in a way that OpenAI's reasons have no word for.
    Stopped,
    /// At the limit of tokens.
    Length,
    /// By a filter.
    Filtered,
}

impl Finish {
    /// The stop reason, given whether the answer calls functions. A filter or a limit stays what it is: the last call
    /// may be cut.
    pub(super) fn stop_reason(self, has_calls: bool) -> StopReason {
        match self {
            Self::Stopped if has_calls => StopReason::ToolCalls,
            Self::Stopped => StopReason::Stop,
            Self::Length => StopReason::Length,
            Self::Filtered => StopReason::ContentFilter,
        }
    }

    /// Reads Google's `FinishReason`. The filters are those that LiteLLM counts as filters; a word that is newer than
    /// this table means an end like any other.
    fn read(reason: &str) -> Self {
        match reason {
            "MAX_TOKENS" => Self::Length,
            "SAFETY"
            | "RECITATION"
            | "LANGUAGE"
            | "OTHER"
            | "BLOCKLIST"
            | "PROHIBITED_CONTENT"
            | "SPII"
            | "IMAGE_SAFETY"
            | "IMAGE_PROHIBITED_CONTENT"
            | "IMAGE_RECITATION"
            | "IMAGE_OTHER"
            | "MODEL_ARMOR" => Self::Filtered,
            _ => Self::Stopped,
        }
    }
}

/// Takes the candidates out of a `GenerateContentResponse`; none is an empty list.
///
/// # Errors
/// [`ReplyFault::Malformed`] where a member has another type than Google's reference gives it.
pub(super) fn take_candidates(reply: &mut Map<String, Value>) -> Result<Vec<Candidate>, ReplyFault> {
    match reply.get_mut("candidates").map(Value::take) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(candidates)) => candidates
            .into_iter()
            .enumerate()
            .map(|(place, candidate)| read_candidate(place, candidate))
            .collect(),
        Some(_) => Err(ReplyFault::Malformed("candidates is not an array")),
    }
}

fn read_candidate(place: usize, candidate: Value) -> Result<Candidate, ReplyFault> {
    let Value::Object(mut candidate) = candidate else {
        return Err(ReplyFault::Malformed("a candidate is not an object"));
    };
    let index = match candidate.get("index") {
        // Google leaves out a zero; the place tells the number all the same.
        None | Some(Value::Null) => place as u64,
        Some(index) => index.as_u64().ok_or(ReplyFault::Malformed("a candidate's index is not a number"))?,
    };
    let finish = match candidate.get("finishReason") {
        None | Some(Value::Null) => None,
        Some(Value::String(reason)) if reason == "FINISH_REASON_UNSPECIFIED" => None,
        Some(Value::String(reason)) => Some(Finish::read(reason)),
        Some(_) => return Err(ReplyFault::Malformed("a finishReason is not a text")),
    };
    let queries = candidate.get("groundingMetadata").and_then(|grounding| grounding.get("webSearchQueries"));
    Ok(Candidate {
        index,
        finish,
        logprobs: candidate.get("logprobsResult").and_then(read_logprobs),
        searches: queries.and_then(Value::as_array).map_or(0, |queries| queries.len() as u64),
        pieces: take_pieces(&mut candidate)?,
    })
}

fn take_pieces(candidate: &mut Map<String, Value>) -> Result<Vec<Piece>, ReplyFault> {
    let mut content = match candidate.get_mut("content").map(Value::take) {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Object(content)) => content,
        Some(_) => return Err(ReplyFault::Malformed("a candidate's content is not an object")),
    };
    let parts = match content.get_mut("parts").map(Value::take) {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(parts)) => parts,
        Some(_) => return Err(ReplyFault::Malformed("a content's parts are not an array")),
    };
    let mut pieces = Vec::with_capacity(parts.len());
    for part in parts {
        let Value::Object(part) = part else { return Err(ReplyFault::Malformed("a part is not an object")) };
        read_part(part, &mut pieces)?;
    }
    Ok(pieces)
}

fn read_part(mut part: Map<String, Value>, pieces: &mut Vec<Piece>) -> Result<(), ReplyFault> {
    let signature = take_text(&mut part, "thoughtSignature")?
        .filter(|signature| !signature.is_empty())
        .map(|signature| Signature::new(Issuer::Google, signature));
    if let Some(call) = part.get_mut("functionCall").map(Value::take) {
        pieces.push(read_call(call, signature)?);
        return Ok(());
    }
    if let Some(Value::Object(mut blob)) = part.get_mut("inlineData").map(Value::take) {
        let media_type = take_text(&mut blob, "mimeType")?.unwrap_or_default();
        let data = take_text(&mut blob, "data")?.unwrap_or_default();
        pieces.push(Piece::Media { media_type, data });
    }
    let is_thought = part.get("thought") == Some(&Value::Bool(true));
    let text = take_text(&mut part, "text")?.filter(|text| !text.is_empty());
    match text {
        Some(text) if is_thought => pieces.push(Piece::Thought { text, signature }),
        text => {
            pieces.extend(text.map(Piece::Text));
            pieces.extend(signature.map(Piece::Signature));
        }
    }
    Ok(())
}

fn read_call(call: Value, signature: Option<Signature>) -> Result<Piece, ReplyFault> {
    let Value::Object(mut call) = call else {
        return Err(ReplyFault::Malformed("a functionCall is not an object"));
    };
    let name = take_text(&mut call, "name")?.filter(|name| !name.is_empty());
    let arguments = match call.get("args") {
        None | Some(Value::Null) => "{}".to_owned(),
        Some(args @ Value::Object(_)) => args.to_string(),
        Some(_) => return Err(ReplyFault::Malformed("a functionCall's args are not an object")),
    };
    Ok(Piece::Call {
        id: take_text(&mut call, "id")?.filter(|id| !id.is_empty()),
        name: name.ok_or(ReplyFault::Malformed("a functionCall has no name"))?,
        arguments,
        signature,
    })
}

/// Takes a text member; null is as good as absent.
pub(super) fn take_text(object: &mut Map<String, Value>, name: &str) -> Result<Option<String>, ReplyFault> {
    match object.get_mut(name).map(Value::take) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(ReplyFault::Malformed("a text member is of another type")),
    }
}

/// Google's `logprobsResult` as OpenAI's `logprobs`: the chosen token of each step, and beside it its rivals.
fn read_logprobs(result: &Value) -> Option<Value> {
    let chosen = result.get("chosenCandidates")?.as_array()?;
    let rivals = result.get("topCandidates").and_then(Value::as_array);
    let mut content = Vec::with_capacity(chosen.len());
    for (step, token) in chosen.iter().enumerate() {
        let rivals = rivals.and_then(|steps| steps.get(step)).and_then(|rivals| rivals.get("candidates"));
        let rivals = rivals.and_then(Value::as_array).into_iter().flatten();
        let mut entry = token_logprob(token);
        entry.insert(
            "top_logprobs".to_owned(),
            rivals.map(|rival| Value::Object(token_logprob(rival))).collect(),
        );
        content.push(Value::Object(entry));
    }
    Some(json!({ "content": content, "refusal": null }))
}

/// A certain token has the logarithm 0, which Google leaves out.
fn token_logprob(candidate: &Value) -> Map<String, Value> {
    let token = candidate.get("token").and_then(Value::as_str).unwrap_or_default();
    let logprob = candidate.get("logProbability").and_then(Value::as_f64).unwrap_or(0.0);
    let mut entry = Map::new();
    entry.insert("token".to_owned(), json!(token));
    entry.insert("logprob".to_owned(), json!(logprob));
    entry.insert("bytes".to_owned(), json!(token.as_bytes()));
    entry
}
