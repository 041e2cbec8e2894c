//! A provider's public keys (JWK, RFC 7517).
//!
//! Owns which of them can be used, and with which algorithms (RFC 7518, 3.1; RFC 8037). **Invariant:** a key that says
//! less than it must, or is for something else, is left out; a shared secret is never taken for a public key.

use super::json;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{self, RsaPublicKeyComponents, UnparsedPublicKey};
use serde_json::{Map, Value};

/// The most bytes of a set of keys: Microsoft's, the largest of the known ones, has 20 KB.
const BYTES_MAX: usize = 256 * 1024;
/// The most keys of a set.
const KEYS_MAX: usize = 100;
/// The most bytes of a key's id.
pub(super) const KID_MAX: usize = 256;

/// Why a set of keys is of no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadKeys {
    /// It is too large.
    #[error("the set of keys has more than {BYTES_MAX} bytes or {KEYS_MAX} keys")]
    Large,
    /// It is no set of keys.
    #[error("this is no set of keys (RFC 7517)")]
    Form,
    /// None of its keys can be used.
    #[error("the set has no key for RS256 to RS512, PS256 to PS512, ES256, ES384 or EdDSA")]
    Empty,
}

/// What signs a token. Only what a public key checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Algorithm {
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    EdDsa,
}

impl Algorithm {
    /// The algorithm of this name; none of what is not allowed.
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "RS256" => Self::Rs256,
            "RS384" => Self::Rs384,
            "RS512" => Self::Rs512,
            "PS256" => Self::Ps256,
            "PS384" => Self::Ps384,
            "PS512" => Self::Ps512,
            "ES256" => Self::Es256,
            "ES384" => Self::Es384,
            "EdDSA" => Self::EdDsa,
            _ => return None,
        })
    }
}

/// The material of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Material {
    Rsa { n: Vec<u8>, e: Vec<u8> },
    P256(Vec<u8>),
    P384(Vec<u8>),
    Ed25519(Vec<u8>),
}

/// A key that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Jwk {
    kid: Option<Box<str>>,
    /// The one algorithm that it says it is for.
    only: Option<Algorithm>,
    material: Material,
}

/// The keys of an issuer that can be used.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JwkSet {
    keys: Vec<Jwk>,
}

impl JwkSet {
    /// Reads a set: an object with `keys`, or one key.
    ///
    /// # Errors
    /// Where there is nothing in it to check a token by.
    pub fn parse(bytes: &[u8]) -> Result<Self, BadKeys> {
        if bytes.len() > BYTES_MAX {
            return Err(BadKeys::Large);
        }
        let members = json::object(bytes).ok_or(BadKeys::Form)?;
        let keys: Vec<Jwk> = match members.get("keys") {
            None => key(&members).into_iter().collect(),
            Some(Value::Array(rows)) if rows.len() > KEYS_MAX => return Err(BadKeys::Large),
            Some(Value::Array(rows)) => rows.iter().filter_map(Value::as_object).filter_map(key).collect(),
            Some(_) => return Err(BadKeys::Form),
        };
        if keys.is_empty() { Err(BadKeys::Empty) } else { Ok(Self { keys }) }
    }

    /// How many keys can be used.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether none can be used.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The keys that may have signed a token with this id and algorithm. A token without an id is held against the only
    /// key there is.
    pub(super) fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Option<&Jwk> {
        let fits = |key: &&Jwk| key.is_for(algorithm);
        match kid {
            Some(kid) => self.keys.iter().filter(fits).find(|key| key.kid.as_deref() == Some(kid)),
            None => match self.keys.as_slice() {
                [only] => Some(only).filter(fits),
                _ => None,
            },
        }
    }

    /// Whether there is a key of this id, for whatever algorithm; without an id, whether there is one alone.
    pub(super) fn has(&self, kid: Option<&str>) -> bool {
        if kid.is_none() {
            self.keys.len() == 1
        } else {
            self.keys.iter().any(|key| key.kid.as_deref() == kid)
        }
    }
}

fn key(members: &Map<String, Value>) -> Option<Jwk> {
    let text = |name: &str| members.get(name).and_then(Value::as_str);
    let bytes = |name: &str| URL_SAFE_NO_PAD.decode(text(name)?).ok().filter(|bytes| !bytes.is_empty());
    if members.get("use").is_some_and(|purpose| purpose != "sig") {
        return None;
    }
    let may_verify =
        |rows: &Value| rows.as_array().is_some_and(|rows| rows.iter().any(|row| row == "verify"));
    if members.get("key_ops").is_some_and(|rows| !may_verify(rows)) {
        return None;
    }
    let point = |length: usize| {
        let (x, y) = (bytes("x")?, bytes("y")?);
        // The uncompressed form (SEC 1, 2.3.3).
        (x.len() == length && y.len() == length).then(|| [&[4][..], &x, &y].concat())
    };
    let material = match (text("kty")?, text("crv")) {
        ("RSA", _) => Material::Rsa { n: without_zeros(bytes("n")?), e: without_zeros(bytes("e")?) },
        ("EC", Some("P-256")) => Material::P256(point(32)?),
        ("EC", Some("P-384")) => Material::P384(point(48)?),
        ("OKP", Some("Ed25519")) => Material::Ed25519(bytes("x").filter(|x| x.len() == 32)?),
        _ => return None,
    };
    let only = match members.get("alg") {
        None => None,
        Some(name) => Some(Algorithm::named(name.as_str()?)?),
    };
    let kid = match members.get("kid") {
        None => None,
        Some(kid) => Some(kid.as_str().filter(|kid| kid.len() <= KID_MAX)?.into()),
    };
    let key = Jwk { kid, only, material };
    // A key that says an algorithm of another kind of key is none.
    only.is_none_or(|only| key.is_kind_of(only)).then_some(key)
}

/// Some providers write a modulus with a sign byte in front, which RFC 7518, 2 does not have.
fn without_zeros(bytes: Vec<u8>) -> Vec<u8> {
    bytes.into_iter().skip_while(|byte| *byte == 0).collect()
}

impl Jwk {
    fn is_kind_of(&self, algorithm: Algorithm) -> bool {
        use Algorithm::{EdDsa, Es256, Es384, Ps256, Ps384, Ps512, Rs256, Rs384, Rs512};
        match self.material {
            Material::Rsa { .. } => matches!(algorithm, Rs256 | Rs384 | Rs512 | Ps256 | Ps384 | Ps512),
            Material::P256(_) => algorithm == Es256,
            Material::P384(_) => algorithm == Es384,
            Material::Ed25519(_) => algorithm == EdDsa,
        }
    }

    fn is_for(&self, algorithm: Algorithm) -> bool {
        self.is_kind_of(algorithm) && self.only.is_none_or(|only| only == algorithm)
    }

    /// Whether the signature is this key's. RSA from 2,048 to 8,192 bits.
    pub(super) fn has_signed(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        let rsa = |parameters: &'static signature::RsaParameters| match &self.material {
            Material::Rsa { n, e } => {
                RsaPublicKeyComponents { n, e }.verify(parameters, message, signature).is_ok()
            }
            _ => false,
        };
        let curve = |parameters: &'static dyn signature::VerificationAlgorithm| match &self.material {
            Material::P256(point) | Material::P384(point) | Material::Ed25519(point) => {
                UnparsedPublicKey::new(parameters, point).verify(message, signature).is_ok()
            }
            Material::Rsa { .. } => false,
        };
        self.is_for(algorithm)
            && match algorithm {
                Algorithm::Rs256 => rsa(&signature::RSA_PKCS1_2048_8192_SHA256),
                Algorithm::Rs384 => rsa(&signature::RSA_PKCS1_2048_8192_SHA384),
                Algorithm::Rs512 => rsa(&signature::RSA_PKCS1_2048_8192_SHA512),
                Algorithm::Ps256 => rsa(&signature::RSA_PSS_2048_8192_SHA256),
                Algorithm::Ps384 => rsa(&signature::RSA_PSS_2048_8192_SHA384),
                Algorithm::Ps512 => rsa(&signature::RSA_PSS_2048_8192_SHA512),
                Algorithm::Es256 => curve(&signature::ECDSA_P256_SHA256_FIXED),
                Algorithm::Es384 => curve(&signature::ECDSA_P384_SHA384_FIXED),
                Algorithm::EdDsa => curve(&signature::ED25519),
            }
    }
}
