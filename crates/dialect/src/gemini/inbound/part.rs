//! Single parts of a caller's contents.
//!
//! Owns the shape of every part that the model has a form for. **Invariant:** a part of another kind is a native one,
//! whole; members beside what a part says are kept for it ([`crate::gemini::own`]).

use super::members;
use crate::conversation::{MediaSource, Native, Part, Signature};
use crate::gemini::candidate::audio_format;
use crate::gemini::media::{FILES_BASE, guess_media_type};
use crate::gemini::own::{Asides, MEDIA, PARTS, part_key};
use crate::gemini::seal::{self, Seal};
use crate::json::read::{self, Place};
use crate::wire::{Dialect, RequestError};
use serde_json::{Map, Value};

/// Kinds of parts that only Google has.
const NATIVE_KINDS: [&str; 4] = ["executableCode", "codeExecutionResult", "toolCall", "toolResponse"];

/// What a part says.
pub(super) enum Read {
    /// Something that stands for itself.
    Part(Part),
    /// The signature on the part before it, or on nothing that can be seen.
    Signature(Signature),
    /// The model calls a function.
    Call(Call),
    /// What a function gave.
    Result(Outcome),
}

/// A `functionCall`.
pub(super) struct Call {
    pub(super) id: Option<String>,
    pub(super) name: String,
    /// JSON text of an object.
    pub(super) arguments: String,
    pub(super) seal: Option<Seal>,
    /// Members without a field.
    pub(super) rest: Map<String, Value>,
}

/// A `functionResponse`.
pub(super) struct Outcome {
    pub(super) id: Option<String>,
    pub(super) name: String,
    pub(super) response: Value,
    pub(super) is_error: bool,
    /// Pictures and the like that came with it.
    pub(super) media: Vec<Part>,
    /// Members without a field.
    pub(super) rest: Map<String, Value>,
}

impl Outcome {
    /// What the function gave, as text. Google wants an object; what is only wrapped into one for that (`result`,
    /// `output`, `error`) is what it wraps.
    pub(super) fn text(&self) -> String {
        let members = self.response.as_object();
        let only = members.filter(|members| members.len() == 1).and_then(|members| members.iter().next());
        match only {
            Some((name, Value::String(text))) if WRAPPERS.contains(&name.as_str()) => text.clone(),
            Some((name, value)) if name == "error" || (name == "result" && !value.is_object()) => {
                value.to_string()
            }
            _ if members.is_some_and(Map::is_empty) => String::new(),
            _ => self.response.to_string(),
        }
    }
}

/// Names under which clients put a result that is no object: Google's packages, and its command-line agent.
const WRAPPERS: [&str; 3] = ["result", "output", "error"];

/// Reads a part; a signature on it is a part of its own after it.
pub(super) fn read(value: Value, at: &Place<'_>, asides: &mut Asides) -> Result<Vec<Read>, RequestError> {
    let whole = value.clone();
    let mut part = members::read(value, at)?;
    part.retain(|_, value| !value.is_null());
    if NATIVE_KINDS.iter().any(|kind| part.contains_key(*kind)) {
        return Ok(vec![native(whole)]);
    }
    let is_thought = read::take_boolean(&mut part, "thought", at)?.unwrap_or(false);
    let seal = read::take_string(&mut part, "thoughtSignature", at)?;
    let seal = seal.filter(|text| !text.is_empty() && text != seal::NO_SIGNATURE);
    let seal = seal.map(|text| seal::open(&text));
    if let Some(call) = read::take(&mut part, "functionCall") {
        return Ok(vec![Read::Call(read_call(call, seal, &at.member("functionCall"))?)]);
    }
    if let Some(result) = read::take(&mut part, "functionResponse") {
        return Ok(vec![Read::Result(read_result(result, &at.member("functionResponse"), asides)?)]);
    }
    let has_media = part.contains_key("inlineData") || part.contains_key("fileData");
    if !has_media && !part.contains_key("text") && seal.is_none() {
        // Google's own words for it; what has members of a newer kind is passed on.
        return match part.is_empty() {
            true => Err(at.error("must have one initialized field")),
            false => Ok(vec![native(whole)]),
        };
    }
    if has_media {
        let media = read_media(&mut part, at, asides)?;
        return Ok(with_signature(media, seal));
    }
    let text = read::take_string(&mut part, "text", at)?.unwrap_or_default();
    asides.keep(PARTS, &part_key(&text), part);
    Ok(read_text(text, is_thought, seal))
}

fn native(value: Value) -> Read {
    Read::Part(Part::Native(Native { dialect: Dialect::Gemini, value }))
}

fn read_text(text: String, is_thought: bool, seal: Option<Seal>) -> Vec<Read> {
    match seal {
        Some(Seal::Redacted(data)) => vec![Read::Part(Part::RedactedReasoning { data })],
        Some(Seal::Signature(signature)) if is_thought => {
            vec![Read::Part(Part::Reasoning { text, signature: Some(signature) })]
        }
        Some(Seal::Signature(signature)) if text.is_empty() => vec![Read::Signature(signature)],
        _ if is_thought => match text.is_empty() {
            true => Vec::new(),
            false => vec![Read::Part(Part::Reasoning { text, signature: None })],
        },
        seal => with_signature(Part::text(text), seal),
    }
}

/// A part, and the signature of Google's that stands on it.
fn with_signature(part: Part, seal: Option<Seal>) -> Vec<Read> {
    let mut read = vec![Read::Part(part)];
    match seal {
        Some(Seal::Signature(signature)) => read.push(Read::Signature(signature)),
        Some(Seal::Redacted(data)) => read.push(Read::Part(Part::RedactedReasoning { data })),
        Some(Seal::Thoughts(thoughts)) => read.extend(thoughts.into_iter().map(Read::Part)),
        None => {}
    }
    read
}

fn read_call(value: Value, seal: Option<Seal>, at: &Place<'_>) -> Result<Call, RequestError> {
    let mut call = members::read(value, at)?;
    let arguments = match read::take(&mut call, "args") {
        Some(args) => Value::Object(read::object(args, &at.member("args"))?).to_string(),
        None => "{}".to_owned(),
    };
    Ok(Call {
        id: read::take_string(&mut call, "id", at)?.filter(|id| !id.is_empty()),
        name: read::filled_string(read::require(&mut call, "name", at)?, &at.member("name"))?,
        arguments,
        seal,
        rest: call,
    })
}

fn read_result(value: Value, at: &Place<'_>, asides: &mut Asides) -> Result<Outcome, RequestError> {
    let mut result = members::read(value, at)?;
    let response = match read::take(&mut result, "response") {
        Some(response) => Value::Object(read::object(response, &at.member("response"))?),
        None => Value::Object(Map::new()),
    };
    let mut media = Vec::new();
    let parts = read::take(&mut result, "parts").map(members::one_or_many).unwrap_or_default();
    for (index, part) in parts.into_iter().enumerate() {
        let at = at.member("parts");
        let at = at.item(index);
        let mut part = members::read(part, &at)?;
        part.retain(|_, value| !value.is_null());
        media.push(read_media(&mut part, &at, asides)?);
    }
    let is_error =
        response.as_object().is_some_and(|members| members.len() == 1 && members.contains_key("error"));
    Ok(Outcome {
        id: read::take_string(&mut result, "id", at)?.filter(|id| !id.is_empty()),
        name: read::filled_string(read::require(&mut result, "name", at)?, &at.member("name"))?,
        response,
        is_error,
        media,
        rest: result,
    })
}

/// Reads bytes or an address, and keeps what stands beside them.
fn read_media(
    part: &mut Map<String, Value>,
    at: &Place<'_>,
    asides: &mut Asides,
) -> Result<Part, RequestError> {
    let (media, key) = match read::take(part, "inlineData") {
        Some(blob) => read_inline(blob, &at.member("inlineData"), asides)?,
        None => {
            let file = read::require(part, "fileData", at)?;
            read_file(file, &at.member("fileData"), asides)?
        }
    };
    asides.keep(PARTS, &key, std::mem::take(part));
    Ok(media)
}

fn read_inline(value: Value, at: &Place<'_>, asides: &mut Asides) -> Result<(Part, String), RequestError> {
    let mut blob = members::read(value, at)?;
    let media_type = read::filled_string(read::require(&mut blob, "mimeType", at)?, &at.member("mimeType"))?;
    let data = read::filled_string(read::require(&mut blob, "data", at)?, &at.member("data"))?;
    let data = seal::standard_alphabet(&data).into_owned();
    let key = part_key(&data);
    let text = (media_type == "text/plain").then(|| seal::decode(&data)).flatten();
    let source = match text.and_then(|bytes| String::from_utf8(bytes).ok()) {
        Some(text) => MediaSource::Text(text),
        None => MediaSource::Base64 { media_type: media_type.clone(), data },
    };
    Ok((media_of(&media_type, source, &mut blob, (&key, asides)), key))
}

fn read_file(value: Value, at: &Place<'_>, asides: &mut Asides) -> Result<(Part, String), RequestError> {
    let mut file = members::read(value, at)?;
    let uri = read::filled_string(read::require(&mut file, "fileUri", at)?, &at.member("fileUri"))?;
    let given = read::take_string(&mut file, "mimeType", at)?;
    let key = part_key(&uri);
    let guessed = guess_media_type(&uri);
    if let Some(given) = given.as_deref().filter(|given| guessed != Some(*given)) {
        asides.keep_one(MEDIA, &key, "mimeType", given.into());
    }
    let media_type = given.as_deref().or(guessed).unwrap_or_default().to_owned();
    let is_stored = uri.starts_with("files/") || uri.starts_with(FILES_BASE);
    let source = if is_stored { MediaSource::FileId(uri) } else { MediaSource::Url(uri) };
    Ok((media_of(&media_type, source, &mut file, (&key, asides)), key))
}

/// A picture, a sound, or (films too) a document.
fn media_of(
    media_type: &str,
    source: MediaSource,
    rest: &mut Map<String, Value>,
    (key, asides): (&str, &mut Asides),
) -> Part {
    let part = match media_type.split('/').next() {
        Some("image") => Part::Image { source, detail: None, cache_control: None },
        Some("audio") => Part::Audio { source, format: audio_format(media_type), transcript: None },
        _ => {
            let filename = match rest.shift_remove("displayName") {
                Some(Value::String(name)) => Some(name),
                _ => None,
            };
            Part::File { source, filename, context: None, citations: false, cache_control: None }
        }
    };
    asides.keep(MEDIA, key, std::mem::take(rest));
    part
}
