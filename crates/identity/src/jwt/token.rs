//! The check of a token.
//!
//! **Invariant:** what is refused is refused before anything in it is used, but the name of the issuer and the id of the
//! key, which choose among what is configured.

use super::claims::Claims;
use super::json;
use super::keys::{Algorithm, JwkSet, KID_MAX};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use tollgate_policy::clock::Wall;

/// The most bytes of a token: what a header line of the usual servers holds.
const BYTES_MAX: usize = 16 * 1024;
/// By how much clocks may differ.
const SKEW_MICROS: i64 = 60 * 1_000_000;
const SECOND_MICROS: f64 = 1e6;

/// Why a token is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadToken {
    /// It is too large.
    #[error("the token has more than {BYTES_MAX} bytes")]
    Large,
    /// It is no signed token.
    #[error("this is no signed token (RFC 7519)")]
    Form,
    /// Its algorithm is not allowed, or not for this key.
    #[error("the token's algorithm is not allowed")]
    Algorithm,
    /// It has header members that must be understood and are not.
    #[error("the token has a header that is not understood")]
    Header,
    /// No key of the issuer has its id. Newer keys may.
    #[error("the token was signed by a key that is not known")]
    UnknownKey,
    /// It was not signed by that key.
    #[error("the token's signature is wrong")]
    Signature,
    /// It says nothing of its end, or is no longer valid.
    #[error("the token has expired")]
    Expired,
    /// It is not yet valid, or from the future.
    #[error("the token is not yet valid")]
    NotYet,
    /// It is another issuer's, or nobody's.
    #[error("the token is not of a known issuer")]
    Issuer,
    /// It is for somebody else, or for nobody.
    #[error("the token is not for this gateway")]
    Audience,
    /// A time is no time.
    #[error("the token's times cannot be read")]
    Times,
}

/// Whose tokens are taken, and whom they are to be for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Issuer {
    /// `iss`; none where any is taken whose key is known.
    pub issuer: Option<String>,
    /// `aud`, one of these; none where it is not looked at.
    pub audiences: Vec<String>,
}

impl Issuer {
    /// Checks a token by the keys of this issuer.
    ///
    /// # Errors
    /// The first thing that is wrong with it. [`BadToken::UnknownKey`] is worth a look at newer keys, once.
    pub fn verify(&self, token: &str, keys: &JwkSet, now: Wall) -> Result<Claims, BadToken> {
        let parts = Parts::of(token)?;
        let header = parts.header()?;
        let key = keys.find(header.kid.as_deref(), header.algorithm).ok_or({
            if keys.has(header.kid.as_deref()) { BadToken::Algorithm } else { BadToken::UnknownKey }
        })?;
        if !key.has_signed(header.algorithm, parts.message.as_bytes(), &parts.signature) {
            return Err(BadToken::Signature);
        }
        let members = parts.claims()?;
        self.is_meant(&members)?;
        let until = times(&members, now)?;
        let issuer = self.issuer.as_deref().map(Into::into);
        Ok(Claims { members, issuer, until, token: Sha256::digest(token).into() })
    }

    fn is_meant(&self, members: &Map<String, Value>) -> Result<(), BadToken> {
        let issuer = members.get("iss");
        if self.issuer.as_deref().is_some_and(|wants| issuer.and_then(Value::as_str) != Some(wants)) {
            return Err(BadToken::Issuer);
        }
        if self.audiences.is_empty() {
            return Ok(());
        }
        let is_ours = |text: &Value| self.audiences.iter().any(|ours| text.as_str() == Some(ours));
        let is_for_us = match members.get("aud") {
            Some(Value::Array(rows)) => rows.iter().all(Value::is_string) && rows.iter().any(is_ours),
            Some(text) => is_ours(text),
            None => false,
        };
        if is_for_us { Ok(()) } else { Err(BadToken::Audience) }
    }
}

/// Whether a caller's credential may be such a token, and is not a key: three parts that base64 may be.
pub fn is_token(credential: &str) -> bool {
    let is_part = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    // Every header is an object, which begins so in base64.
    credential.starts_with("eyJ") && credential.split('.').count() == 3 && credential.split('.').all(is_part)
}

/// The issuer that a token names, which nothing vouches for: to choose whose keys to check it by, and for nothing else.
pub fn issuer_of(token: &str) -> Option<String> {
    let claims = Parts::of(token).ok()?.claims().ok()?;
    claims.get("iss").and_then(Value::as_str).map(str::to_owned)
}

/// The three parts of a token.
struct Parts<'a> {
    header: &'a str,
    claims: &'a str,
    /// What is signed: the first two parts with the dot between.
    message: &'a str,
    signature: Vec<u8>,
}

struct Header {
    algorithm: Algorithm,
    kid: Option<String>,
}

impl<'a> Parts<'a> {
    fn of(token: &'a str) -> Result<Self, BadToken> {
        if token.len() > BYTES_MAX {
            return Err(BadToken::Large);
        }
        let (message, signature) = token.rsplit_once('.').ok_or(BadToken::Form)?;
        let (header, claims) = message.split_once('.').ok_or(BadToken::Form)?;
        // A dot more, and it is encrypted (RFC 7516), or nothing at all.
        let signature = decoded(signature).filter(|signature| !signature.is_empty());
        let signature = signature.filter(|_| !claims.contains('.')).ok_or(BadToken::Form)?;
        Ok(Self { header, claims, message, signature })
    }

    fn header(&self) -> Result<Header, BadToken> {
        let members = decoded(self.header).and_then(|bytes| json::object(&bytes)).ok_or(BadToken::Form)?;
        let name = members.get("alg").and_then(Value::as_str).ok_or(BadToken::Algorithm)?;
        let algorithm = Algorithm::named(name).ok_or(BadToken::Algorithm)?;
        // `jku`, `jwk`, `x5u` and `x5c` would be the token's own word on its key; they are not looked at.
        if members.contains_key("crit") || members.contains_key("b64") || members.contains_key("enc") {
            return Err(BadToken::Header);
        }
        let is_token = |kind: &str| kind.eq_ignore_ascii_case("jwt") || kind.eq_ignore_ascii_case("at+jwt");
        let kind = members.get("typ").map(|kind| kind.as_str().unwrap_or_default());
        if kind.is_some_and(|kind| !is_token(kind.strip_prefix("application/").unwrap_or(kind))) {
            return Err(BadToken::Header);
        }
        let kid = match members.get("kid") {
            None => None,
            Some(Value::String(kid)) if kid.len() <= KID_MAX => Some(kid.clone()),
            Some(_) => return Err(BadToken::Header),
        };
        Ok(Header { algorithm, kid })
    }

    fn claims(&self) -> Result<Map<String, Value>, BadToken> {
        decoded(self.claims).and_then(|bytes| json::object(&bytes)).ok_or(BadToken::Form)
    }
}

/// Base64 for URLs, without padding and with no bits left over (RFC 7515, 2).
fn decoded(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// From when to when a token is valid; until when, with what clocks may differ.
fn times(members: &Map<String, Value>, now: Wall) -> Result<Wall, BadToken> {
    let at = |name: &str| members.get(name).map(|value| micros(value).ok_or(BadToken::Times)).transpose();
    let until = at("exp")?.ok_or(BadToken::Expired)?.saturating_add(SKEW_MICROS);
    if until <= now.micros() {
        return Err(BadToken::Expired);
    }
    let latest = now.micros().saturating_add(SKEW_MICROS);
    for name in ["nbf", "iat"] {
        if at(name)?.is_some_and(|from| from > latest) {
            return Err(BadToken::NotYet);
        }
    }
    Ok(Wall::from_micros(until))
}

/// Seconds since the epoch, whole or not (RFC 7519, 2: NumericDate).
fn micros(value: &Value) -> Option<i64> {
    let seconds = value.as_f64().filter(|_| value.is_number())?;
    // Beyond the year 9999 it is no date.
    (0.0..253_402_300_800.0).contains(&seconds).then_some((seconds * SECOND_MICROS) as i64)
}
