//! The text of a virtual key, and what is kept of it.
//!
//! **Invariant:** of a key only its SHA-256 and its last four characters are kept: enough for 256 random bits, which nobody
//! can try out, and the reason why a chosen key that is short or common is refused.

use super::common::{WeakKey, refuse_weak};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use std::fmt;

const HEX_DIGITS: &[u8; 16] = b"0123456789abcdef";

/// LiteLLM's `token`: the SHA-256 of a key in lower-case hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Token([u8; 64]);

impl Token {
    /// What is kept of a key.
    pub fn of(key: &[u8]) -> Self {
        Self::of_digest(Sha256::digest(key).into())
    }

    /// The same of a SHA-256 that was already made.
    pub fn of_digest(digest: [u8; 32]) -> Self {
        let digit = |nibble: u8| HEX_DIGITS.get(usize::from(nibble & 15)).copied().unwrap_or(b'0');
        let mut text = [b'0'; 64];
        for (pair, byte) in text.chunks_exact_mut(2).zip(digest) {
            pair.copy_from_slice(&[digit(byte >> 4), digit(byte)]);
        }
        Self(text)
    }

    /// Which key an administrator means, who may name it by its text or by its token. A caller's own key is never read so:
    /// there a token is not a key.
    pub fn named(text: &str) -> Option<Self> {
        if text.starts_with("sk-") {
            return Some(Self::of(text.as_bytes()));
        }
        let is_digit = |byte: &u8| HEX_DIGITS.contains(byte);
        let digits: [u8; 64] = text.as_bytes().try_into().ok()?;
        digits.iter().all(is_digit).then_some(Self(digits))
    }

    /// The SHA-256 that a token is of; none of what is no token.
    pub fn digest(token: &str) -> Option<[u8; 32]> {
        let digits: [u8; 64] = token.as_bytes().try_into().ok()?;
        let mut digest = [0; 32];
        for (byte, pair) in digest.iter_mut().zip(digits.chunks_exact(2)) {
            let value = |digit: &u8| HEX_DIGITS.iter().position(|known| known == digit);
            let [high, low] = pair else { return None };
            *byte = u8::try_from(value(high)? << 4 | value(low)?).ok()?;
        }
        Some(digest)
    }

    /// Its 64 digits.
    pub fn as_str(&self) -> &str {
        // Only digits are ever put in.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

impl fmt::Display for Token {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// A virtual key, to be shown once to whoever it is for.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyText(String);

impl KeyText {
    /// A key of 256 random bits: `sk-` and 43 characters of URL-safe base64 (RFC 4648, section 5) without padding.
    pub fn minted(random: [u8; 32]) -> Self {
        Self(format!("sk-{}", URL_SAFE_NO_PAD.encode(random)))
    }

    /// A key that somebody chose. `master` is the SHA-256 of the master key, which no other key may be.
    ///
    /// # Errors
    /// What makes it too easy to find.
    pub fn chosen(text: &str, master: Option<&[u8; 32]>) -> Result<Self, WeakKey> {
        if master.is_some_and(|master| <[u8; 32]>::from(Sha256::digest(text.as_bytes())) == *master) {
            return Err(WeakKey::Master);
        }
        refuse_weak(text)?;
        Ok(Self(text.to_owned()))
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What is kept of it.
    pub fn token(&self) -> Token {
        Token::of(self.0.as_bytes())
    }

    /// LiteLLM's `key_name`: what it may be recognised by, `sk-...` and its last four characters.
    pub fn name(&self) -> String {
        // A chosen key is ASCII, so that every index is a boundary.
        format!("sk-...{}", self.0.get(self.0.len().saturating_sub(4)..).unwrap_or_default())
    }
}

impl fmt::Debug for KeyText {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minted_key_has_256_bits_in_url_safe_base64() {
        let key = KeyText::minted([0xff; 32]);
        assert_eq!(key.as_str(), "sk-__________________________________________8");
        assert_eq!(key.as_str().len(), 46);
        assert_eq!(key.name(), "sk-...___8");
        assert_ne!(KeyText::minted([1; 32]), KeyText::minted([2; 32]));
    }

    #[test]
    fn the_token_of_a_key_is_litellms() {
        // Recorded of LiteLLM 1.106.2.
        let row =
            ("sk-k2kSDjet7R2P1H2aljDfeA", "6e7956a58e9823fff9c8b89fa51013a78f564319dcfa5e27080b6713cd8b88da");
        assert_eq!(Token::of(row.0.as_bytes()).as_str(), row.1);
        assert_eq!(KeyText::chosen(row.0, None).unwrap().name(), "sk-...DfeA");
        assert_eq!(Token::named(row.0), Some(Token::of(row.0.as_bytes())));
        assert_eq!(Token::named(row.1), Some(Token::of(row.0.as_bytes())));
        let digest = Token::digest(row.1).unwrap();
        assert_eq!(Token::of_digest(digest), Token::of(row.0.as_bytes()));
        for text in ["", row.0, &row.1[..63], &row.1.to_uppercase()] {
            assert_eq!(Token::digest(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_neither_a_key_nor_a_token_names_nothing() {
        let token = Token::of(b"sk-x").to_string();
        for text in ["", "k", &token[1..], &token.to_uppercase(), &format!("{token}0"), "hashed"] {
            assert_eq!(Token::named(text), None, "{text}");
        }
    }

    #[test]
    fn a_token_is_no_key() {
        let token = KeyText::minted([7; 32]).token();
        assert_eq!(KeyText::chosen(token.as_str(), None), Err(WeakKey::Prefix));
        assert_ne!(Token::of(token.as_str().as_bytes()), token);
    }

    #[test]
    fn the_master_key_is_nobody_elses() {
        let text = "sk-9fR2_kq7Zt0vLmXw";
        let master: [u8; 32] = Sha256::digest(text.as_bytes()).into();
        assert_eq!(KeyText::chosen(text, Some(&master)), Err(WeakKey::Master));
        assert!(KeyText::chosen(text, Some(&[0; 32])).is_ok());
    }

    #[test]
    fn a_key_is_not_printed() {
        let key = KeyText::minted([7; 32]);
        assert!(!format!("{key:?}").contains(&key.as_str()[3..20]));
    }
}
