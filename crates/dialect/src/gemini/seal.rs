//! Thought signatures: Google's own, and the reasoning of other makers on its way through this dialect.
//!
//! A `thoughtSignature` is base64, and clients decode it and write it again in either alphabet. So what is not Google's
//! own travels as base64 of a marked text. Clients keep the signature of a call but may drop the thoughts before it,
//! which other makers want back beside the call; so the call's signature holds those as well.
//! **Invariant:** what a writer here wrote, [`open`] reads back the same, in either alphabet.

use crate::base64;
use crate::conversation::{Issuer, Part, Signature};
use serde_json::{Value, json};
use std::borrow::Cow;

/// Google's own mark for a call that came without a thought signature, from another model or an older history: without
/// it the Gemini 3 models refuse the request (Google's guide to thought signatures).
pub(super) const NO_SIGNATURE: &str = "skip_thought_signature_validator";

/// What every marked text begins with.
const MARK: &str = "tollgate.";
/// Before a block that came encrypted as a whole.
const REDACTED: &str = "tollgate.redacted.";
/// Before the thoughts that came before a call.
const THOUGHTS: &str = "tollgate.thoughts.";

/// What a `thoughtSignature` is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Seal {
    /// A signature, of Google or of another.
    Signature(Signature),
    /// A wholly encrypted block of another maker.
    Redacted(Signature),
    /// The thoughts before the call that bears it.
    Thoughts(Vec<Part>),
}

/// A signature as it stands in this dialect.
pub(super) fn written(signature: &Signature) -> String {
    match signature.written(Issuer::Google) {
        Cow::Borrowed(own) => own.to_owned(),
        Cow::Owned(marked) => base64::encode(marked),
    }
}

/// A wholly encrypted block.
pub(super) fn redacted(data: &Signature) -> String {
    base64::encode(format!("{REDACTED}{}", marked(data)))
}

/// Thoughts for the call after them; parts of other kinds and unsigned thoughts are passed over, and `None` is given
/// where nothing is left.
pub(super) fn thoughts(parts: &[Part]) -> Option<String> {
    let entries: Vec<Value> = parts
        .iter()
        .filter_map(|part| match part {
            Part::Reasoning { text, signature: Some(signature) } => Some(json!([marked(signature), text])),
            Part::RedactedReasoning { data } => Some(json!([marked(data)])),
            _ => None,
        })
        .collect();
    (!entries.is_empty()).then(|| base64::encode(format!("{THOUGHTS}{}", Value::Array(entries))))
}

/// A signature with a mark, whoever issued it.
fn marked(signature: &Signature) -> String {
    let other_home = if signature.issuer == Issuer::Anthropic { Issuer::Google } else { Issuer::Anthropic };
    signature.written(other_home).into_owned()
}

/// Reads a `thoughtSignature`.
pub(super) fn open(text: &str) -> Seal {
    let own = || Seal::Signature(Signature::new(Issuer::Google, text));
    let Some(inner) = decode(text).and_then(|bytes| String::from_utf8(bytes).ok()) else { return own() };
    if let Some(data) = inner.strip_prefix(REDACTED) {
        return Seal::Redacted(Signature::read(data, Issuer::Google));
    }
    if let Some(entries) = inner.strip_prefix(THOUGHTS) {
        return open_thoughts(entries).map_or_else(own, Seal::Thoughts);
    }
    if !inner.starts_with(MARK) {
        return own();
    }
    let signature = Signature::read(&inner, Issuer::Google);
    if signature.text == inner { own() } else { Seal::Signature(signature) }
}

fn open_thoughts(entries: &str) -> Option<Vec<Part>> {
    let entries: Vec<Vec<String>> = serde_json::from_str(entries).ok()?;
    entries
        .into_iter()
        .map(|entry| match entry.as_slice() {
            [signature, text] => {
                let signature = Some(Signature::read(signature, Issuer::Google));
                Some(Part::Reasoning { text: text.clone(), signature })
            }
            [data] => Some(Part::RedactedReasoning { data: Signature::read(data, Issuer::Google) }),
            _ => None,
        })
        .collect()
}

/// The bytes of base64 in either alphabet.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    base64::decode(&standard_alphabet(text))
}

/// Base64 in the standard alphabet, padded: Google's packages write bytes in the one for URLs, which other providers
/// refuse.
pub(super) fn standard_alphabet(text: &str) -> Cow<'_, str> {
    let lacks = (4 - text.len() % 4) % 4;
    if lacks == 0 && !text.contains(['-', '_']) {
        return Cow::Borrowed(text);
    }
    let digits = text.chars().map(|digit| match digit {
        '-' => '+',
        '_' => '/',
        other => other,
    });
    Cow::Owned(digits.chain(std::iter::repeat_n('=', lacks)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ISSUERS: [Issuer; 4] = [Issuer::Anthropic, Issuer::Google, Issuer::OpenAi, Issuer::Amazon];

    /// The same bytes as Google's Python package writes them.
    fn for_urls(text: &str) -> String {
        text.replace('+', "-").replace('/', "_")
    }

    #[test]
    fn every_signature_comes_back_as_it_left() {
        for issuer in ISSUERS {
            for text in ["QUJD", "rs_1.gAAA", "tollgate.google.x", "\u{fffd}?>~"] {
                let signature = Signature::new(issuer, text);
                let sealed = written(&signature);
                assert_eq!(open(&sealed), Seal::Signature(signature.clone()), "{issuer:?} {text}");
                if issuer != Issuer::Google {
                    assert_eq!(open(&for_urls(&sealed)), Seal::Signature(signature.clone()));
                }
                assert_eq!(open(&for_urls(&redacted(&signature))), Seal::Redacted(signature));
            }
        }
    }

    #[test]
    fn thoughts_before_a_call_come_back_whole() {
        let signature = Signature::new(Issuer::Anthropic, "EqQB+/=");
        let parts = vec![
            Part::Reasoning { text: "Hm \u{1f600}".to_owned(), signature: Some(signature.clone()) },
            Part::RedactedReasoning { data: signature },
        ];
        let sealed = thoughts(&parts).unwrap();
        assert_eq!(open(&for_urls(&sealed)), Seal::Thoughts(parts));
        assert_eq!(thoughts(&[Part::text("x")]), None);
    }

    #[test]
    fn what_is_not_ours_is_googles() {
        for text in ["", "QUJD", "not base64!", "dG9sbGdhdGUu", "dG9sbGdhdGUudGhvdWdodHMueA=="] {
            assert_eq!(open(text), Seal::Signature(Signature::new(Issuer::Google, text)), "{text}");
        }
    }

    #[test]
    fn base64_is_padded_and_of_one_alphabet() {
        for (given, expect) in [("QUJD", "QUJD"), ("-_8", "+/8="), ("QQ", "QQ=="), ("a+/b", "a+/b")] {
            assert_eq!(standard_alphabet(given), expect);
        }
    }
}
