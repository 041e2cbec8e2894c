//! Providers' credentials as they are kept: encrypted, and bound to the place that they were put.
//!
//! Every place (a record's member) has a key of its own, by HKDF-SHA256 (RFC 5869) from `LITELLM_SALT_KEY` or, without one,
//! from the master key, with what it is for in its name; so nothing that is sealed here is good for anything else, and a
//! text that is moved to another row does not open there. AES-256-GCM with a nonce of 96 random bits: a place would have
//! to be written 2^32 times before nonces repeat (NIST SP 800-38D, 8.3). Both come with `ring`, which TLS brings already.
//!
//! The text: `tollgate.1.` the first digits of a fingerprint of the secret, `.` and base64 of nonce, ciphertext and tag.
//! **Invariant:** what was not sealed by one of the secrets at hand, for this place, does not open.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};
use std::fmt;

/// What every sealed text of this version begins with.
const PREFIX: &str = "tollgate.1.";
/// Sets the keys that are derived here apart from any others of the same secret.
const SALT: &[u8] = b"tollgate sealed credentials, version 1";
/// The most that is sealed at once: longer than any provider's key file.
const LENGTH_MAX: usize = 256 * 1024;
/// Bytes of the fingerprint: enough to say which secret is missing, not enough to check guesses of it well.
const FINGERPRINT: usize = 4;

/// Where a sealed text is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place<'a> {
    /// The id of the record.
    pub record: &'a str,
    /// The member of its document.
    pub member: &'a str,
}

/// Why something was not sealed or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// There is nothing to derive a key from.
    #[error("neither LITELLM_SALT_KEY nor a master key is set, so that no credential can be kept")]
    NoSecret,
    /// It is longer than anything that is to be kept.
    #[error("a credential has at most {LENGTH_MAX} bytes")]
    Long,
    /// It is no sealed text.
    #[error("this is not a sealed credential")]
    Form,
    /// It was sealed by a secret that is not at hand.
    #[error("this credential was sealed by another LITELLM_SALT_KEY (or master key)")]
    OtherSecret,
    /// It was changed, or belongs elsewhere.
    #[error("this credential was changed, or belongs to another record")]
    Broken,
}

/// The keys that follow from one secret.
pub struct Sealer {
    root: Prk,
    fingerprint: String,
}

impl fmt::Debug for Sealer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Sealer({})", self.fingerprint)
    }
}

/// Keys of 256 bits, and fingerprints.
#[derive(Clone, Copy)]
struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

impl Sealer {
    /// The keys of a secret: `LITELLM_SALT_KEY`, else the master key.
    ///
    /// # Errors
    /// Where it is empty.
    pub fn new(secret: &str) -> Result<Self, SealError> {
        if secret.is_empty() {
            return Err(SealError::NoSecret);
        }
        let root = Salt::new(HKDF_SHA256, SALT).extract(secret.as_bytes());
        let mut fingerprint = [0; FINGERPRINT];
        derive(&root, &[b"fingerprint"], &mut fingerprint)?;
        Ok(Self { root, fingerprint: URL_SAFE_NO_PAD.encode(fingerprint) })
    }

    /// Seals a text for a place. `nonce` is random, and new each time.
    ///
    /// # Errors
    /// Where it is too long.
    pub fn seal(&self, place: Place<'_>, nonce: [u8; NONCE_LEN], text: &str) -> Result<String, SealError> {
        if text.len() > LENGTH_MAX {
            return Err(SealError::Long);
        }
        let mut sealed = text.as_bytes().to_vec();
        let bound = Aad::from(bound(place));
        self.key(place)?
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), bound, &mut sealed)
            .map_err(|_| SealError::Long)?;
        let mut whole = nonce.to_vec();
        whole.append(&mut sealed);
        Ok(format!("{PREFIX}{}.{}", self.fingerprint, URL_SAFE_NO_PAD.encode(whole)))
    }

    /// Opens what was sealed for this place.
    ///
    /// # Errors
    /// Where it was not, or by another secret.
    pub fn open(&self, place: Place<'_>, sealed: &str) -> Result<String, SealError> {
        let (fingerprint, body) = parts(sealed).ok_or(SealError::Form)?;
        if fingerprint != self.fingerprint {
            return Err(SealError::OtherSecret);
        }
        if body.len() > LENGTH_MAX * 2 {
            return Err(SealError::Form);
        }
        let mut whole = URL_SAFE_NO_PAD.decode(body).map_err(|_| SealError::Form)?;
        let (nonce, sealed) = whole.split_first_chunk_mut::<NONCE_LEN>().ok_or(SealError::Form)?;
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let opened = self.key(place)?.open_in_place(nonce, Aad::from(bound(place)), sealed);
        let opened = opened.map_err(|_| SealError::Broken)?;
        String::from_utf8(opened.to_vec()).map_err(|_| SealError::Broken)
    }

    fn key(&self, place: Place<'_>) -> Result<LessSafeKey, SealError> {
        let mut key = [0; 32];
        derive(&self.root, &[b"credential", &bound(place)], &mut key)?;
        let key = UnboundKey::new(&AES_256_GCM, &key).map_err(|_| SealError::Form)?;
        Ok(LessSafeKey::new(key))
    }
}

fn derive(root: &Prk, purpose: &[&[u8]], out: &mut [u8]) -> Result<(), SealError> {
    let derived = root.expand(purpose, Length(out.len())).map_err(|_| SealError::Form)?;
    derived.fill(out).map_err(|_| SealError::Form)
}

/// A place as bytes, of which no other place has the same: the length of its first part stands before it.
fn bound(place: Place<'_>) -> Vec<u8> {
    let length = u64::try_from(place.record.len()).unwrap_or(u64::MAX).to_be_bytes();
    [&length, place.record.as_bytes(), place.member.as_bytes()].concat()
}

fn parts(sealed: &str) -> Option<(&str, &str)> {
    sealed.strip_prefix(PREFIX)?.split_once('.')
}

/// The secret that seals now, and those that did before.
#[derive(Debug)]
pub struct Vault {
    current: Sealer,
    former: Vec<Sealer>,
}

impl Vault {
    /// Seals by `current`, opens also what `former` sealed.
    pub fn new(current: Sealer, former: Vec<Sealer>) -> Self {
        Self { current, former }
    }

    /// Whether a sealed text is by the secret that seals now.
    pub fn is_current(&self, sealed: &str) -> bool {
        parts(sealed).is_some_and(|(fingerprint, _)| fingerprint == self.current.fingerprint)
    }

    /// Whether a text was sealed here, by whichever secret.
    pub fn is_sealed(text: &str) -> bool {
        parts(text).is_some()
    }

    /// Seals a text for a place. `nonce` is random, and new each time.
    ///
    /// # Errors
    /// Where it is too long.
    pub fn seal(&self, place: Place<'_>, nonce: [u8; NONCE_LEN], text: &str) -> Result<String, SealError> {
        self.current.seal(place, nonce, text)
    }

    /// Opens what was sealed for this place, by any of the secrets.
    ///
    /// # Errors
    /// Where none of them opens it.
    pub fn open(&self, place: Place<'_>, sealed: &str) -> Result<String, SealError> {
        let mut opened = self.current.open(place, sealed);
        for former in &self.former {
            if opened != Err(SealError::OtherSecret) {
                break;
            }
            opened = former.open(place, sealed);
        }
        opened
    }

    /// The text as the current secret seals it; none where it already does.
    ///
    /// # Errors
    /// Where none of the secrets opens it.
    pub fn renewed(
        &self,
        place: Place<'_>,
        nonce: [u8; NONCE_LEN],
        sealed: &str,
    ) -> Result<Option<String>, SealError> {
        let (fingerprint, _) = parts(sealed).ok_or(SealError::Form)?;
        if fingerprint == self.current.fingerprint {
            return Ok(None);
        }
        let opened = self.open(place, sealed)?;
        self.seal(place, nonce, &opened).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::{KeyText, Token, WeakKey, is_password};

    const HERE: Place<'_> = Place { record: "openai-prod", member: "api_key" };

    fn sealer(secret: &str) -> Sealer {
        Sealer::new(secret).unwrap()
    }

    #[test]
    fn what_is_sealed_opens_where_it_was_put_and_nowhere_else() {
        let sealer = sealer("sk-salt");
        let sealed = sealer.seal(HERE, [7; 12], "sk-proj-secret").unwrap();
        assert!(!sealed.contains("secret"), "{sealed}");
        assert_eq!(sealer.open(HERE, &sealed).as_deref(), Ok("sk-proj-secret"));
        let elsewhere = [
            Place { record: "openai-test", member: "api_key" },
            Place { record: "openai-prod", member: "api_base" },
            Place { record: "openai-proda", member: "pi_key" },
            Place { record: "", member: "" },
        ];
        for place in elsewhere {
            assert_eq!(sealer.open(place, &sealed), Err(SealError::Broken), "{place:?}");
        }
    }

    #[test]
    fn every_byte_of_a_sealed_text_counts() {
        let sealer = sealer("sk-salt");
        let sealed = sealer.seal(HERE, [7; 12], "sk-proj-secret").unwrap();
        for at in 0..sealed.len() {
            let mut changed = sealed.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert!(sealer.open(HERE, &changed).is_err(), "{at}: {changed}");
        }
        for cut in 0..sealed.len() {
            assert!(sealer.open(HERE, &sealed[..cut]).is_err(), "{cut}");
        }
        assert!(sealer.open(HERE, &format!("{sealed}A")).is_err());
    }

    #[test]
    fn another_secret_is_named_as_the_reason() {
        let sealed = sealer("one").seal(HERE, [7; 12], "text").unwrap();
        assert_eq!(sealer("two").open(HERE, &sealed), Err(SealError::OtherSecret));
        assert_eq!(Sealer::new("").err(), Some(SealError::NoSecret));
    }

    #[test]
    fn the_same_text_is_sealed_differently_each_time() {
        let sealer = sealer("one");
        assert_ne!(sealer.seal(HERE, [1; 12], "text"), sealer.seal(HERE, [2; 12], "text"));
    }

    #[test]
    fn a_secret_is_changed_by_sealing_anew_what_the_former_sealed() {
        let old = sealer("old").seal(HERE, [7; 12], "text").unwrap();
        let vault = Vault::new(sealer("new"), vec![sealer("older"), sealer("old")]);
        assert_eq!(vault.open(HERE, &old).as_deref(), Ok("text"));
        let new = vault.renewed(HERE, [8; 12], &old).unwrap().unwrap();
        assert_eq!(sealer("new").open(HERE, &new).as_deref(), Ok("text"));
        assert_eq!(vault.renewed(HERE, [9; 12], &new), Ok(None));
        let foreign = sealer("foreign").seal(HERE, [7; 12], "text").unwrap();
        assert_eq!(vault.renewed(HERE, [8; 12], &foreign), Err(SealError::OtherSecret));
        assert_eq!(vault.renewed(HERE, [8; 12], "text"), Err(SealError::Form));
    }

    #[test]
    fn a_sealed_text_is_no_other_kind_of_secret() {
        let sealed = sealer("one").seal(HERE, [7; 12], "text").unwrap();
        assert!(Vault::is_sealed(&sealed));
        assert_eq!(KeyText::chosen(&sealed, None), Err(WeakKey::Prefix));
        assert_eq!(Token::named(&sealed), None);
        assert!(!is_password("text", &sealed));
        for other in ["sk-proj-secret", "text", "", "tollgate.1", "tollgate.2.AAAA.BBBB"] {
            assert!(!Vault::is_sealed(other), "{other}");
        }
    }

    #[test]
    fn nothing_is_printed_of_the_secret() {
        assert!(!format!("{:?}", Vault::new(sealer("sk-salt"), Vec::new())).contains("salt"));
    }
}
