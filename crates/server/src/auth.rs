//! Who calls: the key of a request, held against the master key.
//!
//! **Invariant:** a [`Caller`] comes from [`Keys::authenticate`] alone, so a route that asks for one cannot be reached
//! without the check. **Invariant:** keys are compared as SHA-256 digests in constant time, and are never printed.

use crate::error::Rejection;
use crate::realtime::protocol_key;
use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderName};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// A caller whose key was checked.
#[derive(Debug, Clone, Default)]
pub(crate) struct Caller {
    /// SHA-256 of the key; all zeros where no key is asked for.
    digest: [u8; 32],
}

impl Caller {
    /// What the caller owns is kept under this name: the hash of its key, as LiteLLM writes it.
    pub(crate) fn owner(&self) -> String {
        hex(&self.digest)
    }
}

impl Caller {
    /// A number for the caller's key; none where no key is asked for.
    pub(crate) fn key_hash(&self) -> Option<u64> {
        Some(self.hash()).filter(|hash| *hash != 0)
    }

    /// A number for the caller's key.
    pub(crate) fn hash(&self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.digest;
        u64::from_be_bytes([a, b, c, d, e, f, g, h])
    }
}

/// The keys that open the gateway.
#[derive(Debug, Clone, Default)]
pub(crate) struct Keys {
    master: Option<[u8; 32]>,
}

/// Headers that may carry a key, in LiteLLM's order after its own: each is what one family of client libraries sends.
static KEY_HEADERS: [HeaderName; 5] = [
    HeaderName::from_static("x-litellm-api-key"),
    AUTHORIZATION,
    HeaderName::from_static("api-key"),
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("x-goog-api-key"),
];

impl Keys {
    /// With a master key, every caller needs it; without, nobody needs any.
    pub(crate) fn new(master_key: Option<&str>) -> Self {
        Self { master: master_key.map(|key| Sha256::digest(key.as_bytes()).into()) }
    }

    /// Checks the request's key: in a header, else in the query of a surface whose clients put it there.
    pub(crate) fn authenticate(
        &self,
        headers: &HeaderMap,
        in_query: Option<&str>,
    ) -> Result<Caller, Rejection> {
        let Some(master) = &self.master else { return Ok(Caller { digest: [0; 32] }) };
        let key = key_of(headers).or_else(|| protocol_key(headers)).or(in_query.map(str::as_bytes));
        let key = key.ok_or_else(Rejection::no_key)?;
        let digest: [u8; 32] = Sha256::digest(key).into();
        if bool::from(digest.ct_eq(master)) {
            return Ok(Caller { digest });
        }
        if key.starts_with(b"sk-") {
            return Err(Rejection::unknown_key(&hex(&digest)));
        }
        Err(Rejection::not_a_virtual_key())
    }
}

/// The key in the first header that has one; a `Bearer ` before it, in any case, is not part of it.
fn key_of(headers: &HeaderMap) -> Option<&[u8]> {
    KEY_HEADERS.iter().find_map(|name| {
        let value = headers.get(name)?.as_bytes().trim_ascii();
        if let Some(signed) = value.strip_prefix(b"AWS4-HMAC-SHA256 ") {
            return access_key(signed);
        }
        let key = match value.split_at_checked(7) {
            Some((scheme, key)) if scheme.eq_ignore_ascii_case(b"bearer ") => key.trim_ascii(),
            _ if *name == AUTHORIZATION && value.eq_ignore_ascii_case(b"bearer") => b"",
            _ => value,
        };
        (!key.is_empty()).then_some(key)
    })
}

/// AWS's clients sign requests instead of sending a key (Signature Version 4). The id of the access key stands in the
/// signature in clear, and is the gateway's key here: as good as any other header that carries it.
fn access_key(signed: &[u8]) -> Option<&[u8]> {
    let start = memchr::memmem::find(signed, b"Credential=")? + b"Credential=".len();
    let credential = signed.get(start..)?;
    credential.split(|byte| *byte == b'/').next().filter(|key| !key.is_empty())
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn headers(rows: &[(&'static str, &str)]) -> HeaderMap {
        rows.iter()
            .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_str(value).unwrap()))
            .collect()
    }

    fn verdict(rows: &[(&'static str, &str)]) -> Result<(), u16> {
        Keys::new(Some("sk-1234"))
            .authenticate(&headers(rows), None)
            .map(|_| ())
            .map_err(|r| r.status().as_u16())
    }

    #[test]
    fn the_master_key_is_taken_from_every_clients_header() {
        for (name, value) in [
            ("authorization", "Bearer sk-1234"),
            ("authorization", "bearer  sk-1234 "),
            ("authorization", "sk-1234"),
            ("api-key", "sk-1234"),
            ("x-api-key", "sk-1234"),
            ("x-goog-api-key", "sk-1234"),
            ("x-litellm-api-key", "Bearer sk-1234"),
            ("x-litellm-api-key", "sk-1234"),
            (
                "authorization",
                "AWS4-HMAC-SHA256 Credential=sk-1234/20261122/us-east-1/bedrock/aws4_request, SignedHeaders=host, Signature=00",
            ),
        ] {
            assert_eq!(verdict(&[(name, value)]), Ok(()), "{name}: {value}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for rows in [
            &[][..],
            &[("authorization", "")],
            &[("authorization", "Bearer ")],
            &[("authorization", "Bearer")],
            &[("authorization", "Bearer sk-1235")],
            &[("authorization", "Bearer sk-12345")],
            &[("authorization", "Bearer sk-123")],
            &[("authorization", "Basic sk-1234")],
            &[("authorization", "Bearer SK-1234")],
            &[("cookie", "sk-1234")],
            &[(
                "authorization",
                "AWS4-HMAC-SHA256 Credential=sk-1235/20261122/us-east-1/bedrock/aws4_request",
            )],
            &[("authorization", "AWS4-HMAC-SHA256 SignedHeaders=host")],
            &[("authorization", "AWS4-HMAC-SHA256 Credential=/x")],
            &[("authorization", "Bearer sk-no"), ("x-api-key", "sk-1234")],
        ] {
            assert_eq!(verdict(rows), Err(401), "{rows:?}");
        }
    }

    #[test]
    fn without_a_master_key_nobody_is_asked() {
        assert!(Keys::new(None).authenticate(&HeaderMap::new(), None).is_ok());
    }

    #[test]
    fn the_hash_in_the_message_is_the_one_litellm_prints() {
        let rejection =
            Keys::new(Some("sk-1234")).authenticate(&headers(&[("authorization", "Bearer sk-bad")]), None);
        let message = rejection.err().map(|r| r.message().to_owned()).unwrap();
        assert!(
            message.contains("3f23a3100c3183021be4f433982d93c1f20ea652ad60ef8cbe04abfe8a5a0dcf"),
            "{message}"
        );
        assert!(!message.contains("sk-bad"));
    }
}
