//! One candidate of an answer, whole or as far as one frame of a stream brings it.
//!
//! Owns the reading of parts, for replies and streams alike. Leaves made-up ids and the order of events to those.
//! **Invariant:** a part that the conversation model has no form for (code that ran at Google, a kind that is newer than
//! this) is a native one, whole.

use super::citations::{self, Found};
use super::finish;
use super::logprobs;
use super::seal::{self, Seal};
use crate::conversation::{MediaSource, Native, Part, Signature, StopReason};
use crate::wire::{Dialect, ReplyFault};
use serde_json::{Map, Value};

/// A part of a candidate that has a place in the conversation model.
#[derive(Debug, PartialEq)]
pub(super) enum Piece {
    /// Text of the answer, never empty.
    Text(String),
    /// A summary of thoughts, perhaps with the signature that closes it; empty where only that came.
    Thought { text: String, signature: Option<Signature> },
    /// The signature of the part before it, or of nothing that can be seen.
    Signature(Signature),
    /// Encrypted thoughts of another maker.
    Redacted(Signature),
    /// A function is to be called; `arguments` is JSON text.
    Call { id: Option<String>, name: String, arguments: String, signature: Option<Signature> },
    /// A picture, a sound or a document that the model made.
    Media(Part),
    /// What only Google has a form for.
    Native(Native),
}

/// What is said of one candidate.
#[derive(Debug, PartialEq)]
pub(super) struct Candidate {
    pub(super) index: u64,
    /// What it says, each with the number of the part that said it.
    pub(super) pieces: Vec<(usize, Piece)>,
    /// Why it ended, as far as Google says.
    pub(super) finish: Option<StopReason>,
    /// OpenAI's `logprobs` object.
    pub(super) logprobs: Option<Value>,
    /// What it leans on.
    pub(super) citations: Vec<Found>,
    /// Searches that Google made for it.
    pub(super) searches: u64,
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
        Some(Value::String(reason)) => Some(finish::read(reason)),
        Some(_) => return Err(ReplyFault::Malformed("a finishReason is not a text")),
    };
    let queries = candidate.get("groundingMetadata").and_then(|grounding| grounding.get("webSearchQueries"));
    Ok(Candidate {
        index,
        finish,
        logprobs: candidate.get("logprobsResult").and_then(logprobs::read),
        citations: citations::find(&candidate),
        searches: queries.and_then(Value::as_array).map_or(0, |queries| queries.len() as u64),
        pieces: take_pieces(&mut candidate)?,
    })
}

fn take_pieces(candidate: &mut Map<String, Value>) -> Result<Vec<(usize, Piece)>, ReplyFault> {
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
    let mut own = Vec::new();
    for (number, part) in parts.into_iter().enumerate() {
        let Value::Object(part) = part else { return Err(ReplyFault::Malformed("a part is not an object")) };
        read_part(part, &mut own)?;
        pieces.extend(own.drain(..).map(|piece| (number, piece)));
    }
    Ok(pieces)
}

fn read_part(mut part: Map<String, Value>, pieces: &mut Vec<Piece>) -> Result<(), ReplyFault> {
    // Members without a value say nothing, and `thought: false` is what its absence says.
    part.retain(|name, value| !value.is_null() && (name != "thought" || *value == Value::Bool(true)));
    let is_known = part.is_empty()
        || ["text", "functionCall", "inlineData", "fileData", "thought", "thoughtSignature"]
            .iter()
            .any(|name| part.contains_key(*name));
    if !is_known || is_unusual(&part) {
        pieces.push(Piece::Native(Native { dialect: Dialect::Gemini, value: Value::Object(part) }));
        return Ok(());
    }
    let seal = take_text(&mut part, "thoughtSignature")?.filter(|text| !text.is_empty());
    let seal = seal.map(|text| seal::open(&text));
    if let Some(call) = part.get_mut("functionCall").map(Value::take) {
        // Thoughts that a call brings back were told before it.
        let signature = if let Some(Seal::Signature(signature)) = seal { Some(signature) } else { None };
        pieces.push(read_call(call, signature)?);
        return Ok(());
    }
    let is_thought = part.contains_key("thought");
    let signature = match seal {
        Some(Seal::Redacted(data)) => {
            pieces.push(Piece::Redacted(data));
            return Ok(());
        }
        Some(Seal::Signature(signature)) => Some(signature),
        Some(Seal::Thoughts(_)) | None => None,
    };
    pieces.extend(take_media(&mut part)?.map(Piece::Media));
    let text = take_text(&mut part, "text")?.filter(|text| !text.is_empty());
    match (text, signature) {
        (text, signature) if is_thought && (text.is_some() || signature.is_some()) => {
            pieces.push(Piece::Thought { text: text.unwrap_or_default(), signature });
        }
        (text, signature) => {
            pieces.extend(text.map(Piece::Text));
            pieces.extend(signature.map(Piece::Signature));
        }
    }
    Ok(())
}

/// A part of a known kind beside one that is not: a picture of a code's output, a tool that ran at Google.
fn is_unusual(part: &Map<String, Value>) -> bool {
    ["executableCode", "codeExecutionResult", "functionResponse", "toolCall", "toolResponse"]
        .iter()
        .any(|name| part.contains_key(*name))
}

/// The bytes or the address that a part holds.
fn take_media(part: &mut Map<String, Value>) -> Result<Option<Part>, ReplyFault> {
    if let Some(Value::Object(mut blob)) = part.get_mut("inlineData").map(Value::take) {
        let media_type = take_text(&mut blob, "mimeType")?.unwrap_or_default();
        let data = take_text(&mut blob, "data")?.unwrap_or_default();
        let data = seal::standard_alphabet(&data).into_owned();
        return Ok(Some(media_of(&media_type, MediaSource::Base64 { media_type: media_type.clone(), data })));
    }
    if let Some(Value::Object(mut file)) = part.get_mut("fileData").map(Value::take) {
        let media_type = take_text(&mut file, "mimeType")?.unwrap_or_default();
        let uri = take_text(&mut file, "fileUri")?.unwrap_or_default();
        return Ok(Some(media_of(&media_type, MediaSource::Url(uri))));
    }
    Ok(None)
}

/// What a model made is a sound, a document, or (also where its type is not said) a picture.
fn media_of(media_type: &str, source: MediaSource) -> Part {
    match media_type.split_once('/') {
        Some(("audio", _)) => Part::Audio { source, format: audio_format(media_type), transcript: None },
        Some(("image", _)) | None => Part::Image { source, detail: None, cache_control: None },
        Some(_) => {
            Part::File { source, filename: None, context: None, citations: false, cache_control: None }
        }
    }
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

/// OpenAI's word for a sound's type: Google's raw samples (`audio/L16`, 24 kHz) are its `pcm16`.
pub(super) fn audio_format(media_type: &str) -> String {
    let kind = media_type.split(';').next().unwrap_or(media_type);
    let kind = kind.strip_prefix("audio/").unwrap_or(kind).to_ascii_lowercase();
    match kind.as_str() {
        "l16" | "pcm" => "pcm16".to_owned(),
        "mpeg" | "mpga" => "mp3".to_owned(),
        "x-wav" | "wave" | "vnd.wave" => "wav".to_owned(),
        _ => kind,
    }
}

/// Takes a text member; null is as good as absent.
pub(super) fn take_text(object: &mut Map<String, Value>, name: &str) -> Result<Option<String>, ReplyFault> {
    match object.get_mut(name).map(Value::take) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(ReplyFault::Malformed("a text member is of another type")),
    }
}
