//! An answer that is kept, and its bytes outside of this process.
//!
//! Owns the layout of those bytes and what proves them. Leaves to others what an answer means and when it may be given.
//!
//! **Invariant**: bytes that were cut, changed, put under another key or written by somebody else are no entry: they read
//! as nothing, whatever they say.

use crate::key::{KEY_BYTES, Key, KeyMaker};
use bytes::{Buf, BufMut, Bytes, BytesMut};

/// What the bytes begin with: the layout and its version.
const MAGIC: &[u8; 4] = b"TGC1";
/// Bytes before those that are sealed.
const HEAD_BYTES: usize = MAGIC.len() + KEY_BYTES;

/// How an answer was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// As one body.
    Whole,
    /// As a stream; the bytes are those of its frames.
    Stream {
        /// Its end says what was used, where that is said only to callers who ask for it.
        tells_usage: bool,
    },
}

impl Form {
    fn code(self) -> u8 {
        match self {
            Self::Whole => 0,
            Self::Stream { tells_usage: false } => 1,
            Self::Stream { tells_usage: true } => 2,
        }
    }

    fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Whole),
            1 => Some(Self::Stream { tells_usage: false }),
            2 => Some(Self::Stream { tells_usage: true }),
            _ => None,
        }
    }
}

/// An answer that is kept. Times are microseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The kind of call that it answers: nothing else may be answered with it.
    pub kind: Box<str>,
    /// How it was said.
    pub form: Form,
    /// Its bytes, in the caller's dialect.
    pub body: Bytes,
    /// The deployment that gave it.
    pub deployment: Box<str>,
    /// What whoever keeps it wants to know of it again; the cache does not read it.
    pub facts: Box<str>,
    /// When it was kept.
    pub stored_at: i64,
    /// From when on it is not given any more.
    pub expires_at: i64,
}

impl Entry {
    /// Bytes of memory that it takes, about.
    #[must_use]
    pub fn size(&self) -> usize {
        // What the maps around it need for an entry is some 200 bytes.
        const OVERHEAD_BYTES: usize = size_of::<Entry>() + KEY_BYTES + 200;
        let texts = self.kind.len() + self.deployment.len() + self.facts.len();
        OVERHEAD_BYTES + texts + self.body.len()
    }

    /// Whether it may be given no more.
    #[must_use]
    pub fn is_expired(&self, now: i64) -> bool {
        self.expires_at <= now
    }

    /// How long it has been kept, in whole seconds.
    #[must_use]
    pub fn age_seconds(&self, now: i64) -> u64 {
        u64::try_from(now.saturating_sub(self.stored_at) / 1_000_000).unwrap_or(0)
    }

    /// Its bytes for a place outside of this process.
    #[must_use]
    pub fn to_bytes(&self, key: &Key, maker: &KeyMaker) -> Bytes {
        let mut out = BytesMut::with_capacity(HEAD_BYTES + 64 + self.size());
        out.put_slice(MAGIC);
        out.put_bytes(0, KEY_BYTES);
        out.put_i64(self.stored_at);
        out.put_i64(self.expires_at);
        out.put_u8(self.form.code());
        for text in [&self.kind, &self.deployment, &self.facts] {
            out.put_u64(text.len() as u64);
            out.put_slice(text.as_bytes());
        }
        out.put_slice(&self.body);
        let sealed = out.split_off(HEAD_BYTES);
        let seal = maker.seal(key, &sealed);
        out.truncate(MAGIC.len());
        out.put_slice(&seal);
        out.unsplit(sealed);
        out.freeze()
    }

    /// The entry of these bytes; `None` where they are not what this installation put under this key.
    #[must_use]
    pub fn from_bytes(bytes: &Bytes, key: &Key, maker: &KeyMaker) -> Option<Self> {
        let seal = bytes.strip_prefix(MAGIC)?.get(..KEY_BYTES)?;
        let mut sealed = bytes.slice(HEAD_BYTES..);
        if !maker.has_sealed(key, &sealed, seal) {
            return None;
        }
        let stored_at = sealed.try_get_i64().ok()?;
        let expires_at = sealed.try_get_i64().ok()?;
        let form = Form::from_code(sealed.try_get_u8().ok()?)?;
        let kind = text(&mut sealed)?;
        let deployment = text(&mut sealed)?;
        let facts = text(&mut sealed)?;
        Some(Self { kind, form, body: sealed, deployment, facts, stored_at, expires_at })
    }
}

fn text(bytes: &mut Bytes) -> Option<Box<str>> {
    let length = usize::try_from(bytes.try_get_u64().ok()?).ok()?;
    let text = (length <= bytes.len()).then(|| bytes.split_to(length))?;
    std::str::from_utf8(&text).ok().map(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Scope;
    use proptest::prelude::*;

    fn entry() -> Entry {
        Entry {
            kind: "/chat/completions".into(),
            form: Form::Stream { tells_usage: true },
            body: Bytes::from_static(b"data: {}\n\n"),
            deployment: "d1".into(),
            facts: "[1,2]".into(),
            stored_at: 1_000_000,
            expires_at: 61_000_000,
        }
    }

    fn key(name: &[u8]) -> (KeyMaker, Key) {
        let maker = KeyMaker::new(b"secret");
        let key = maker.key(Scope::Shared, &[name]);
        (maker, key)
    }

    #[test]
    fn bytes_are_read_as_they_were_written() {
        let (maker, key) = key(b"a");
        for form in [Form::Whole, Form::Stream { tells_usage: false }, Form::Stream { tells_usage: true }] {
            let entry = Entry { form, ..entry() };
            assert_eq!(Entry::from_bytes(&entry.to_bytes(&key, &maker), &key, &maker), Some(entry));
        }
        let empty =
            Entry { kind: "".into(), body: Bytes::new(), deployment: "".into(), facts: "".into(), ..entry() };
        assert_eq!(Entry::from_bytes(&empty.to_bytes(&key, &maker), &key, &maker), Some(empty));
    }

    #[test]
    fn what_is_damaged_misplaced_or_foreign_is_nothing() {
        let (maker, own) = key(b"a");
        let bytes = entry().to_bytes(&own, &maker);
        for end in 0..bytes.len() {
            assert_eq!(Entry::from_bytes(&bytes.slice(..end), &own, &maker), None, "cut at {end}");
        }
        for at in 0..bytes.len() {
            let mut changed = bytes.to_vec();
            changed[at] ^= 1;
            assert_eq!(Entry::from_bytes(&changed.into(), &own, &maker), None, "changed at {at}");
        }
        let longer = [&bytes[..], b"x"].concat();
        assert_eq!(Entry::from_bytes(&longer.into(), &own, &maker), None);
        assert_eq!(Entry::from_bytes(&bytes, &key(b"b").1, &maker), None);
        assert_eq!(Entry::from_bytes(&bytes, &own, &KeyMaker::new(b"other")), None);
    }

    #[test]
    fn an_entry_grows_old() {
        let entry = entry();
        assert!(!entry.is_expired(60_999_999) && entry.is_expired(61_000_000));
        assert_eq!(
            (entry.age_seconds(900_000), entry.age_seconds(1_999_999), entry.age_seconds(2_000_000)),
            (0, 0, 1)
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_harm(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let (maker, key) = key(b"a");
            prop_assert_eq!(Entry::from_bytes(&Bytes::from(bytes.clone()), &key, &maker), None);
            // Those who have the secret may write nonsense too.
            let mut sealed = MAGIC.to_vec();
            sealed.extend(maker.seal(&key, &bytes));
            sealed.extend(&bytes);
            let _ = Entry::from_bytes(&sealed.into(), &key, &maker);
        }
    }
}
