//! Encrypted content of reasoning items: OpenAI's own, and the signatures of others on their way through this dialect.
//!
//! OpenAI's signature is the item's id, a dot, its `encrypted_content`. Others' signatures travel in `encrypted_content`
//! with a mark that says what they belong to. **Invariant:** what a writer here wrote, [`open`] reads back the same.

use crate::conversation::{Issuer, Signature};

/// Before a block that came encrypted as a whole.
const REDACTED: &str = "tollgate.redacted.";

/// Before the signature of the tool call that follows.
const CALL: &str = "tollgate.call.";

/// What all marks begin with.
const MARK: &str = "tollgate.";

/// What an `encrypted_content` is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Seal {
    /// A signature of readable reasoning (of none, where the item has no summary).
    Reasoning(Signature),
    /// A wholly encrypted block of another maker.
    Redacted(Signature),
    /// The signature of the tool call that follows.
    Call(Signature),
}

/// Reads the `encrypted_content` of the item of this id.
pub(super) fn open(id: &str, encrypted: &str) -> Seal {
    if let Some(text) = encrypted.strip_prefix(REDACTED) {
        return Seal::Redacted(Signature::read(text, Issuer::OpenAi));
    }
    if let Some(text) = encrypted.strip_prefix(CALL) {
        return Seal::Call(Signature::read(text, Issuer::OpenAi));
    }
    let signature = Signature::read(encrypted, Issuer::OpenAi);
    if signature.text.len() < encrypted.len() {
        return Seal::Reasoning(signature);
    }
    Seal::Reasoning(own(id, encrypted))
}

/// OpenAI's own signature of an item.
pub(super) fn own(id: &str, encrypted: &str) -> Signature {
    Signature::new(Issuer::OpenAi, format!("{id}.{encrypted}"))
}

/// The id and the encrypted content of an item that OpenAI signed; `None` for a signature of another issuer, or one that
/// is no item's. The content is empty where only the id is known.
pub(super) fn split(signature: &Signature) -> Option<(&str, &str)> {
    let (id, encrypted) = signature.of(Issuer::OpenAi)?.split_once('.')?;
    (id.starts_with("rs_") && !encrypted.starts_with(MARK)).then_some((id, encrypted))
}

/// Any signature of readable reasoning, with a mark.
pub(super) fn foreign(signature: &Signature) -> String {
    // At another's home even OpenAI's own is marked.
    let home = if signature.issuer == Issuer::OpenAi { Issuer::Anthropic } else { Issuer::OpenAi };
    signature.written(home).into_owned()
}

/// A wholly encrypted block.
pub(super) fn redacted(data: &Signature) -> String {
    format!("{REDACTED}{}", foreign(data))
}

/// The signature of the tool call that follows.
pub(super) fn call(signature: &Signature) -> String {
    format!("{CALL}{}", foreign(signature))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_signature_comes_back_as_it_left() {
        for issuer in [Issuer::Anthropic, Issuer::Google, Issuer::OpenAi, Issuer::Amazon] {
            for text in ["", "x", "rs_1.gAAA.x", "rs_1.tollgate.x", "tollgate.google.x", "a.b"] {
                let signature = Signature::new(issuer, text);
                let back = match split(&signature) {
                    Some((id, encrypted)) => open(id, encrypted),
                    None => open("rs_other", &foreign(&signature)),
                };
                assert_eq!(back, Seal::Reasoning(signature.clone()), "{issuer:?} {text}");
                assert_eq!(open("rs_other", &redacted(&signature)), Seal::Redacted(signature.clone()));
                assert_eq!(open("rs_other", &call(&signature)), Seal::Call(signature));
            }
        }
    }

    #[test]
    fn openais_own_is_the_items_id_and_its_content() {
        assert_eq!(open("rs_1", "gAAA"), Seal::Reasoning(Signature::new(Issuer::OpenAi, "rs_1.gAAA")));
        assert_eq!(split(&own("rs_1", "gAAA")), Some(("rs_1", "gAAA")));
        assert_eq!(split(&own("rs_1", "")), Some(("rs_1", "")));
        assert_eq!(split(&Signature::new(Issuer::Anthropic, "rs_1.x")), None);
    }
}
