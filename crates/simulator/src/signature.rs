//! Signatures of thoughts, as Anthropic and Google hang them on what is to come back unchanged.
//!
//! Owns: making and checking them. Leaves to others: where on a wire they stand.
//!
//! **Invariant:** only what [`sign`] made passes, and only on the text that it was made for; no state is kept, so that a
//! signature is good on every surface, at every simulator and after every restart, as the providers' are.

use crate::base64;
use crate::compose::Ids;
use crate::openai::embedding::{base64 as encode, hash};

/// Letters and digits that make each signature another.
const NONCE: usize = 28;
/// Digits of the checksum.
const SUM: usize = 16;

/// A signature of a text.
pub(crate) fn sign(text: &str, ids: &mut Ids) -> String {
    let nonce = ids.next("", NONCE);
    encode(format!("{nonce}{}", sum(&nonce, text)).as_bytes())
}

/// Whether a signature was made for this text.
pub(crate) fn is_good(signature: &str, text: &str) -> bool {
    let plain = base64::decode(signature).and_then(|bytes| String::from_utf8(bytes).ok());
    plain.is_some_and(|plain| {
        plain.len() == NONCE + SUM
            && plain.split_at_checked(NONCE).is_some_and(|(nonce, found)| found == sum(nonce, text))
    })
}

fn sum(nonce: &str, text: &str) -> String {
    format!("{:016x}", hash(&format!("{nonce}\u{0}{text}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_good_for_its_text_alone() {
        let mut ids = Ids::new(1);
        let (first, second) = (sign("thought", &mut ids), sign("thought", &mut ids));
        assert_ne!(first, second);
        assert!(is_good(&first, "thought") && is_good(&second, "thought"));
        for (signature, text) in [(first.as_str(), "other"), ("", "thought"), ("c2ln", "thought"), ("é", "")]
        {
            assert!(!is_good(signature, text), "{signature}");
        }
    }
}
