//! The key of an answer: what has to be the same for it to be given again.
//!
//! Owns how the parts of a key are joined and hashed. Leaves to others which parts of a request change its answer, and
//! their canonical form.
//!
//! **Invariant**: no key is made without a [`Scope`], and keys of different scopes never meet. **Invariant**: no two lists
//! of parts that differ are hashed as the same bytes: every part goes in with its length. **Invariant**: whoever does not
//! have the secret can neither tell from a key what was asked nor find the key of a question.

use ring::hmac;
use std::fmt;
use subtle::ConstantTimeEq;

/// Bytes of a key: those of SHA-256.
pub const KEY_BYTES: usize = 32;

/// Whose answers they are. There is no default: whoever looks something up says who may see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope<'a> {
    /// One holder's, of a kind (`team`, `user`, `key`, ...) and by its id.
    Own {
        /// The kind of holder.
        kind: &'a str,
        /// Its id.
        id: &'a str,
    },
    /// Everybody's: the operator has said that they share.
    Shared,
}

/// What an answer is kept under.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key([u8; KEY_BYTES]);

impl Key {
    /// The key of these bytes.
    #[must_use]
    pub fn new(bytes: [u8; KEY_BYTES]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }

    /// 64 hexadecimal digits, as LiteLLM writes its keys.
    #[must_use]
    pub fn to_hex(&self) -> String {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let digits = self.0.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
        digits.filter_map(|digit| DIGITS.get(usize::from(digit))).map(|digit| char::from(*digit)).collect()
    }

    /// The key that [`Key::to_hex`] wrote; `None` for anything else.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        let digits: Vec<u8> = text
            .bytes()
            .map(|digit| match digit {
                b'0'..=b'9' => Some(digit - b'0'),
                b'a'..=b'f' => Some(digit - b'a' + 10),
                _ => None,
            })
            .collect::<Option<_>>()?;
        let bytes: Vec<u8> =
            digits.chunks_exact(2).map(|pair| pair.iter().fold(0, |sum, it| sum << 4 | it)).collect();
        let is_whole = digits.len() == 2 * KEY_BYTES;
        Some(Self(bytes.try_into().ok().filter(|_| is_whole)?))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.to_hex())
    }
}

/// Makes keys, and seals what is kept under them, with the secret of an installation.
#[derive(Clone)]
pub struct KeyMaker {
    keys: hmac::Key,
    seals: hmac::Key,
}

impl fmt::Debug for KeyMaker {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("KeyMaker")
    }
}

impl KeyMaker {
    /// Makes keys with a secret. The same secret makes the same keys: gateways that share a cache share it, and what lies
    /// on a disk is found again by whoever has it.
    #[must_use]
    pub fn new(secret: &[u8]) -> Self {
        let root = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let derived = |purpose: &[u8]| hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&root, purpose).as_ref());
        Self { keys: derived(b"tollgate cache keys 1"), seals: derived(b"tollgate cache seals 1") }
    }

    /// The key of everything that these parts say, for those of a scope.
    #[must_use]
    pub fn key(&self, scope: Scope<'_>, parts: &[&[u8]]) -> Key {
        let mut hash = hmac::Context::with_key(&self.keys);
        match scope {
            Scope::Shared => add(&mut hash, b"shared"),
            Scope::Own { kind, id } => {
                add(&mut hash, b"own");
                add(&mut hash, kind.as_bytes());
                add(&mut hash, id.as_bytes());
            }
        }
        for part in parts {
            add(&mut hash, part);
        }
        Key(digest(&hash.sign()))
    }

    /// What proves that this installation has put these bytes under this key.
    #[must_use]
    pub(crate) fn seal(&self, key: &Key, bytes: &[u8]) -> [u8; KEY_BYTES] {
        let mut hash = hmac::Context::with_key(&self.seals);
        hash.update(key.as_bytes());
        hash.update(bytes);
        digest(&hash.sign())
    }

    /// Whether it has.
    #[must_use]
    pub(crate) fn has_sealed(&self, key: &Key, bytes: &[u8], seal: &[u8]) -> bool {
        self.seal(key, bytes).ct_eq(seal).into()
    }
}

/// A part, so that no other way of cutting the same bytes gives the same hash.
fn add(hash: &mut hmac::Context, part: &[u8]) {
    hash.update(&(part.len() as u64).to_be_bytes());
    hash.update(part);
}

fn digest(tag: &hmac::Tag) -> [u8; KEY_BYTES] {
    let mut bytes = [0; KEY_BYTES];
    for (to, from) in bytes.iter_mut().zip(tag.as_ref()) {
        *to = *from;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn own<'a>(kind: &'a str, id: &'a str) -> Scope<'a> {
        Scope::Own { kind, id }
    }

    #[test]
    fn a_key_is_the_same_for_the_same_and_another_for_everything_else() {
        let maker = KeyMaker::new(b"secret");
        let base = maker.key(own("team", "a"), &[b"gpt", b"{}"]);
        assert_eq!(base, KeyMaker::new(b"secret").key(own("team", "a"), &[b"gpt", b"{}"]));
        let others = [
            KeyMaker::new(b"other").key(own("team", "a"), &[b"gpt", b"{}"]),
            maker.key(own("team", "b"), &[b"gpt", b"{}"]),
            maker.key(own("key", "a"), &[b"gpt", b"{}"]),
            maker.key(own("teama", ""), &[b"gpt", b"{}"]),
            maker.key(Scope::Shared, &[b"gpt", b"{}"]),
            maker.key(own("team", "a"), &[b"gpt{}"]),
            maker.key(own("team", "a"), &[b"gp", b"t{}"]),
            maker.key(own("team", "a"), &[b"gpt", b"{}", b""]),
            maker.key(own("team", "a"), &[b"{}", b"gpt"]),
            maker.key(own("team", "agpt"), &[b"{}"]),
        ];
        let distinct: BTreeSet<Key> = others.iter().copied().chain([base]).collect();
        assert_eq!(distinct.len(), others.len() + 1);
    }

    #[test]
    fn a_key_is_read_as_it_was_written() {
        let key = KeyMaker::new(b"secret").key(Scope::Shared, &[]);
        let text = key.to_hex();
        assert_eq!((text.len(), Key::from_hex(&text)), (64, Some(key)));
        for wrong in [
            &text[1..],
            &text[2..],
            "",
            &text.to_uppercase(),
            &format!("{text}00"),
            &text.replace(&text[..1], "x"),
        ] {
            assert_eq!(Key::from_hex(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_seal_is_of_one_key_and_of_these_bytes() {
        let maker = KeyMaker::new(b"secret");
        let [a, b] = [b"a", b"b"].map(|part| maker.key(Scope::Shared, &[part]));
        let seal = maker.seal(&a, b"answer");
        assert!(maker.has_sealed(&a, b"answer", &seal));
        assert!(!maker.has_sealed(&b, b"answer", &seal));
        assert!(!maker.has_sealed(&a, b"Answer", &seal));
        assert!(!maker.has_sealed(&a, b"answer", &seal[1..]));
        assert!(!KeyMaker::new(b"other").has_sealed(&a, b"answer", &seal));
    }
}
