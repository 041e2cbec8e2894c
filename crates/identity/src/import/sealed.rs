//! Opens what LiteLLM has sealed with its salt key: in NaCl's secret box (XSalsa20 and Poly1305), and in newer releases by
//! AES-256-GCM (`v2:gcm:`, `v3:gcm:`).
//!
//! **Invariant:** nothing is sealed here, and what does not open is an error that does not show it.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use poly1305::Poly1305;
use poly1305::universal_hash::KeyInit as _;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, KeyType, Salt};
use salsa20::XSalsa20;
use salsa20::cipher::{KeyIvInit as _, StreamCipher as _};
use sha2::{Digest, Sha256};

const V3: &str = "v3:gcm:";
const V2: &str = "v2:gcm:";
/// What the keys of `v3` are derived for.
const V3_INFO: &[u8] = b"litellm-at-rest-v3";
/// With or without the signs that fill it up.
const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);

/// LiteLLM's salt key (`LITELLM_SALT_KEY`, else the master key), or none.
#[derive(Default)]
pub struct Opener {
    salt: Option<Box<str>>,
}

impl std::fmt::Debug for Opener {
    /// Without the key.
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Opener").field("has_salt", &self.salt.is_some()).finish()
    }
}

struct Bits256;

impl KeyType for Bits256 {
    fn len(&self) -> usize {
        32
    }
}

impl Opener {
    /// Opens with this key.
    pub fn new(salt: Option<&str>) -> Self {
        Self { salt: salt.filter(|salt| !salt.is_empty()).map(Into::into) }
    }

    /// What was sealed.
    ///
    /// # Errors
    /// A sentence of why it does not open.
    pub fn open(&self, sealed: &str) -> Result<String, String> {
        let Some(salt) = &self.salt else {
            return Err("it is sealed, and neither LITELLM_SALT_KEY nor a master key is set".to_owned());
        };
        let hash = || Sha256::digest(salt.as_bytes()).into();
        let opened = if let Some(text) = sealed.strip_prefix(V3) {
            hkdf(salt).and_then(|key| gcm(&key, text))
        } else if let Some(text) = sealed.strip_prefix(V2) {
            gcm(&hash(), text)
        } else {
            secret_box(&hash(), sealed)
        };
        opened.ok_or_else(|| "it was sealed by another LITELLM_SALT_KEY (or master key)".to_owned())
    }
}

fn hkdf(salt: &str) -> Option<[u8; 32]> {
    // Without a salt HKDF takes as many zeros as its hash has bytes (RFC 5869, 2.2).
    let root = Salt::new(HKDF_SHA256, &[0; 32]).extract(salt.as_bytes());
    let mut key = [0; 32];
    root.expand(&[V3_INFO], Bits256).and_then(|bits| bits.fill(&mut key)).ok()?;
    Some(key)
}

/// Nonce, ciphertext and tag, one after the other.
fn gcm(key: &[u8; 32], text: &str) -> Option<String> {
    let raw = URL_SAFE.decode(text).ok()?;
    let (nonce, sealed) = raw.split_first_chunk::<NONCE_LEN>()?;
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).ok()?);
    let mut sealed = sealed.to_vec();
    let opened = key.open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::empty(), &mut sealed).ok()?;
    String::from_utf8(opened.to_vec()).ok()
}

/// NaCl's secret box: nonce, tag and ciphertext, one after the other.
fn secret_box(key: &[u8; 32], text: &str) -> Option<String> {
    // Old releases have written the other alphabet.
    let raw = URL_SAFE.decode(text).or_else(|_| STANDARD.decode(text)).ok()?;
    let (nonce, rest) = raw.split_first_chunk::<24>()?;
    let (tag, sealed) = rest.split_first_chunk::<16>()?;
    let mut stream = XSalsa20::new(key.into(), nonce.into());
    // The first 32 bytes of the stream are the key of the tag; the text is covered by those after them.
    let mut tag_key = [0; 32];
    stream.try_apply_keystream(&mut tag_key).ok()?;
    let expected = Poly1305::new(&tag_key.into()).compute_unpadded(sealed);
    // Every byte is looked at, whatever the first says.
    let differs = expected.iter().zip(tag).fold(0, |differs, (one, other)| differs | (one ^ other));
    if differs != 0 {
        return None;
    }
    let mut opened = sealed.to_vec();
    stream.try_apply_keystream(&mut opened).ok()?;
    String::from_utf8(opened).ok()
}
