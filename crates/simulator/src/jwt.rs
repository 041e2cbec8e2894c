//! Signed web tokens (RFC 7519), the receiving side.
//!
//! Owns: reading one, its RS256 signature by the one key that the simulated issuers have, its times. Leaves to others:
//! what its claims are to say.
//!
//! **Invariant:** a token passes only with a signature of the key in `fixtures/simulated-public-key.json`, whose other
//! half is in the simulated service account.

use crate::base64;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use serde_json::Value;
use std::sync::LazyLock;

/// How far clocks may be apart (seconds).
const SKEW_SECONDS: u64 = 60;

/// Why a token is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It is no token, or not of the algorithm.
    Malformed,
    /// The signature is not of the known key.
    Signature,
    /// It has ended.
    Ended,
    /// It is not good yet.
    Early,
}

static KEY: LazyLock<(Vec<u8>, Vec<u8>)> = LazyLock::new(|| {
    // The file is part of the program; a test verifies a token with it.
    let key: Value =
        serde_json::from_str(include_str!("../fixtures/simulated-public-key.json")).unwrap_or_default();
    let number = |name: &str| {
        let text = key.get(name).and_then(Value::as_str).unwrap_or_default();
        base64::decode_url(text).unwrap_or_default()
    };
    (number("n"), number("e"))
});

/// The claims of a token that is good at `now` (seconds since 1970).
pub(crate) fn verify(token: &str, now: u64) -> Result<Value, Refusal> {
    let (signed, signature) = token.rsplit_once('.').ok_or(Refusal::Malformed)?;
    let (head, claims) = signed.split_once('.').ok_or(Refusal::Malformed)?;
    let json = |text: &str| -> Result<Value, Refusal> {
        let bytes = base64::decode_url(text).ok_or(Refusal::Malformed)?;
        serde_json::from_slice(&bytes).map_err(|_| Refusal::Malformed)
    };
    if json(head)?.get("alg").and_then(Value::as_str) != Some("RS256") {
        return Err(Refusal::Malformed);
    }
    let claims = json(claims)?;
    let signature = base64::decode_url(signature).ok_or(Refusal::Malformed)?;
    let (n, e) = &*KEY;
    RsaPublicKeyComponents { n, e }
        .verify(&RSA_PKCS1_2048_8192_SHA256, signed.as_bytes(), &signature)
        .map_err(|_| Refusal::Signature)?;
    let time = |name: &str| claims.get(name).and_then(Value::as_u64);
    if time("exp").is_none_or(|end| end + SKEW_SECONDS < now) {
        return Err(Refusal::Ended);
    }
    if time("iat").is_some_and(|start| start > now + SKEW_SECONDS) {
        return Err(Refusal::Early);
    }
    Ok(claims)
}

/// A token with these claims, signed by the simulated service account.
#[cfg(test)]
pub(crate) fn signed(claims: &Value) -> String {
    use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};

    let account: Value = serde_json::from_str(crate::clouds::GOOGLE_SERVICE_ACCOUNT).unwrap();
    let pem: String =
        account["private_key"].as_str().unwrap().lines().filter(|line| !line.starts_with("---")).collect();
    let key = RsaKeyPair::from_pkcs8(&base64::decode(&pem).unwrap()).unwrap();
    let url = |bytes: &[u8]| {
        crate::openai::embedding::base64(bytes).trim_end_matches('=').replace('+', "-").replace('/', "_")
    };
    let text = format!("{}.{}", url(br#"{"alg":"RS256","typ":"JWT"}"#), url(claims.to_string().as_bytes()));
    let mut signature = vec![0; key.public().modulus_len()];
    let random = ring::rand::SystemRandom::new();
    key.sign(&RSA_PKCS1_SHA256, &random, text.as_bytes(), &mut signature).unwrap();
    format!("{text}.{}", url(&signature))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_token_of_the_known_key_is_good_between_its_times() {
        let token = signed(&json!({"iss": "me", "iat": 1_000, "exp": 4_600}));
        assert_eq!(verify(&token, 2_000).unwrap()["iss"], "me");
        for (now, refusal) in [(4_661, Refusal::Ended), (900, Refusal::Early)] {
            assert_eq!(verify(&token, now), Err(refusal), "{now}");
        }
    }

    #[test]
    fn a_token_that_was_changed_is_refused() {
        let token = signed(&json!({"iss": "me", "exp": 4_600}));
        let other = signed(&json!({"iss": "you", "exp": 4_600}));
        let (text, _) = token.rsplit_once('.').unwrap();
        let (_, signature) = other.rsplit_once('.').unwrap();
        for (token, refusal) in [
            (format!("{text}.{signature}"), Refusal::Signature),
            ("a.b".to_owned(), Refusal::Malformed),
            ("a.b.c".to_owned(), Refusal::Malformed),
            ("e30.e30.AAAA".to_owned(), Refusal::Malformed),
        ] {
            assert_eq!(verify(&token, 2_000), Err(refusal), "{token}");
        }
    }
}
