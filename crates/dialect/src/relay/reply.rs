//! A plain reply on its way to the caller: checked, read for usage, and given the caller's name for the model.

use super::usage::{UsageMember, read_member};
use crate::conversation::Usage;
use crate::json::{Kind, Limits, Object, Segments, Splice, scan};
use crate::openai::decode_error;
use crate::wire::ReplyFault;
use bytes::Bytes;

/// A reply for the caller, and what the gateway learns from it.
#[derive(Debug, Clone)]
pub struct ReplyView {
    /// What the caller gets.
    pub body: Segments,
    /// What the request took; `None` where the provider does not say so in a form that can be relied on.
    pub usage: Option<Usage>,
    /// There is a `usage`, but a count in it cannot be one (negative, a fraction, huge) or none is there.
    pub is_usage_malformed: bool,
    /// The model that answered, as the provider names it.
    pub model: Option<String>,
    /// The tier that served it, in the provider's word.
    pub service_tier: Option<String>,
}

/// Reads a plain reply (chat completion, completion, list of embeddings) in one scan and splices the model's name.
///
/// # Errors
/// [`ReplyFault::Malformed`] when it is no valid JSON object with `choices` or `data`; [`ReplyFault::Error`] when it
/// is an error with the status of success.
pub fn relay_reply(body: &Bytes, client_model: Option<&str>) -> Result<ReplyView, ReplyFault> {
    let object =
        scan(body, &Limits::REPLY).map_err(|_| ReplyFault::Malformed("the reply is not a JSON object"))?;
    if is_error(&object) {
        return Err(ReplyFault::Error(decode_error(STATUS_OK, body)));
    }
    let has_array = |name: &str| object.get(name).is_some_and(|value| value.kind() == Kind::Array);
    if !has_array("choices") && !has_array("data") {
        return Err(ReplyFault::Malformed("the reply has neither choices nor data"));
    }
    let usage = read_member(object.get("usage").map(|value| value.text()));
    let text = |name: &str| object.get(name).and_then(|value| Some(value.as_str()?.into_owned()));
    let model = text("model");
    Ok(ReplyView {
        body: rename_model(&object, model.as_deref(), client_model, body),
        usage: if let UsageMember::Counted(usage) = usage { Some(usage) } else { None },
        is_usage_malformed: usage == UsageMember::Unreadable,
        service_tier: text("service_tier"),
        model,
    })
}

/// The status of a reply or stream that carries an error nonetheless.
pub(super) const STATUS_OK: u16 = 200;

/// Whether an object is an error in the place of an answer: OpenAI's form, or vLLM's and Mistral's older ones
/// (`{"object": "error", "message": ...}`).
pub(super) fn is_error(object: &Object<'_>) -> bool {
    let says_error = |name: &str| object.get(name).is_some_and(|value| value.raw() == br#""error""#);
    object.get("error").is_some_and(|error| !error.is_null()) || says_error("object") || says_error("type")
}

fn rename_model(
    object: &Object<'_>,
    model: Option<&str>,
    client_model: Option<&str>,
    body: &Bytes,
) -> Segments {
    match (model, client_model) {
        (Some(model), Some(client_model)) if model != client_model => {
            Splice::new(object).set_string("model", client_model).finish(body)
        }
        _ => Segments::unchanged(body.clone()),
    }
}
