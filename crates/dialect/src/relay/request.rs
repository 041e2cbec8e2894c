//! What changes in a request between caller and provider.

use crate::json::{Fault, Object, ScanError, Segments, Splice};
use bytes::Bytes;

/// The edits of one request. They are made in the order of the fields.
#[derive(Debug, Clone, Copy, Default)]
pub struct RequestEdits<'a> {
    /// Members that the provider must not see (those that only LiteLLM knows, those that it rejects).
    pub remove: &'a [&'a str],
    /// Members that the provider knows by another name: from, to. Where the caller gave both, the renamed one stays.
    pub rename: &'a [(&'a str, &'a str)],
    /// The model as the provider names it; `None` leaves the caller's.
    pub model: Option<&'a str>,
    /// Ask for usage at the end of the stream (`stream_options.include_usage`).
    pub include_usage: bool,
    /// Members that are added where the caller gave none: name, JSON text.
    pub defaults: &'a [(String, String)],
}

/// Writes the request for the provider. `body` is the text that `object` was scanned from; nothing of it is copied
/// apart from `stream_options`.
///
/// # Errors
/// [`ScanError`] when `stream_options` names a member twice, so that nobody could tell what the provider would read.
pub fn plan_request(
    object: &Object<'_>,
    edits: &RequestEdits<'_>,
    body: &Bytes,
) -> Result<Segments, ScanError> {
    let mut splice = Splice::new(object);
    let is_removed = |name: &str| edits.remove.contains(&name);
    for name in edits.remove {
        splice.remove(name);
    }
    for (from, to) in edits.rename {
        splice.rename(from, *to);
    }
    if let Some(model) = edits.model {
        let named = object.get("model").and_then(|value| value.as_str());
        if is_removed("model") || named.is_none_or(|named| named != model) {
            splice.set_string("model", model);
        }
    }
    if edits.include_usage && (is_removed("stream_options") || !asks_for_usage(object)) {
        let asked = splice.set_in("stream_options", "include_usage", "true");
        asked.map_err(|error| error_in_body(error, object, body))?;
    }
    for (name, json) in edits.defaults {
        // The caller's own may stand under another name by now, or have been taken out for good.
        if object.get(name).is_none() && !splice.contains(name) {
            splice.set(name.as_str(), json.as_str());
        }
    }
    Ok(splice.finish(body))
}

/// The place of an error in `stream_options` as a place in the body.
fn error_in_body(error: ScanError, object: &Object<'_>, body: &Bytes) -> ScanError {
    let start = object.get("stream_options").map_or(0, |options| options.span().start);
    Fault { offset: start + error.offset, kind: error.kind }.locate(body)
}

fn asks_for_usage(object: &Object<'_>) -> bool {
    let options = object.get("stream_options").and_then(|value| value.as_object());
    options.and_then(|options| options.get("include_usage")?.as_bool()).unwrap_or(false)
}
