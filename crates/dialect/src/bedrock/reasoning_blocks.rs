//! Blocks of reasoning, and the signatures in them.
//!
//! Owns how a signature of any maker travels in this dialect. An unmarked one in a caller's request is taken for
//! Anthropic's, whose models are by far the most that sign here. **Invariant:** what [`write_text`] and
//! [`write_redacted`] wrote for a caller, [`read`] reads back the same.

use super::members::{filled_text, object, text};
use crate::base64;
use crate::conversation::{Issuer, Part, Signature};
use serde_json::Value;

/// Whose signatures need no mark towards a caller.
pub(super) const HOME: Issuer = Issuer::Anthropic;

/// What a marked signature begins with ([`Signature::written`]).
const MARK: &[u8] = b"tollgate.";

/// Reads the value of a `reasoningContent`; `None` when it is neither readable nor redacted. `home` issued what has no
/// mark.
pub(super) fn read(value: &Value, home: Issuer) -> Option<Part> {
    if let Some(data) = text(value, "redactedContent") {
        return Some(Part::RedactedReasoning { data: read_redacted(data, home) });
    }
    let reasoning = value.get("reasoningText")?;
    let signature = filled_text(reasoning, "signature").map(|signature| Signature::read(signature, home));
    Some(Part::Reasoning { text: text(reasoning, "text")?.to_owned(), signature })
}

/// Reads the base64 of a redacted block; the text stays base64, as the issuer sent it.
pub(super) fn read_redacted(data: &str, home: Issuer) -> Signature {
    let marked = base64::decode(data).filter(|bytes| bytes.starts_with(MARK));
    match marked.and_then(|bytes| String::from_utf8(bytes).ok()) {
        Some(marked) => Signature::read(&marked, home),
        None => Signature::new(home, data),
    }
}

/// The value of a `reasoningContent` with text.
pub(super) fn write_text(text: &str, signature: Option<&str>) -> Value {
    let mut reasoning = object([("text", text.into())]);
    if let (Some(members), Some(signature)) = (reasoning.as_object_mut(), signature) {
        members.insert("signature".to_owned(), signature.into());
    }
    object([("reasoningText", reasoning)])
}

/// The value of a `reasoningContent` without text, for a caller.
pub(super) fn write_redacted(data: &Signature) -> Value {
    object([("redactedContent", redacted_text(data).into())])
}

/// A redacted block's base64 for a caller: as it is if Anthropic's models made it, in a marked form otherwise.
pub(super) fn redacted_text(data: &Signature) -> String {
    let is_plain = base64::decode(&data.text).is_some_and(|bytes| !bytes.starts_with(MARK));
    if data.issuer == HOME && is_plain && !data.text.contains(['\r', '\n']) {
        return data.text.clone();
    }
    // At another's home even its own is marked.
    let elsewhere = if data.issuer == Issuer::Google { Issuer::OpenAi } else { Issuer::Google };
    base64::encode(data.written(elsewhere).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_signature_comes_back_as_it_left() {
        for issuer in [Issuer::Anthropic, Issuer::Google, Issuer::OpenAi, Issuer::Amazon] {
            for text in ["", "EqQB", "not base64!", "tollgate.google.x", "dG9sbGdhdGUu", "Zm9v\nYmFy"] {
                let data = Signature::new(issuer, text);
                let part = Part::RedactedReasoning { data: data.clone() };
                assert_eq!(read(&write_redacted(&data), HOME), Some(part), "{issuer:?} {text}");
                assert!(base64::decode(&redacted_text(&data)).is_some(), "{issuer:?} {text}");
                let written = write_text("so", Some(&data.written(HOME)));
                let signature = Some(data).filter(|data| !data.written(HOME).is_empty());
                assert_eq!(read(&written, HOME), Some(Part::Reasoning { text: "so".to_owned(), signature }));
            }
        }
    }

    #[test]
    fn anthropics_own_are_written_as_they_are() {
        assert_eq!(redacted_text(&Signature::new(Issuer::Anthropic, "EqQB")), "EqQB");
        assert_eq!(read_redacted("EqQB", Issuer::Amazon), Signature::new(Issuer::Amazon, "EqQB"));
        assert_eq!(read(&object([("other", 1.into())]), HOME), None);
    }
}
