//! A service account's key: it signs who it is, and Google gives a token for that (RFC 7523, 2.1).

use super::SCOPE;
use super::file::Members;
use crate::call::{Courier, Place, refused};
use crate::encoding::base64_url;
use crate::error::CredentialError;
use crate::renewal::Fresh;
use crate::surroundings::Surroundings;
use crate::token::read_token;
use http::{HeaderMap, HeaderValue};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::json;
use tollgate_upstream::Failure;

/// The grant by which a signed assertion is exchanged (RFC 7523, 2.1).
const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// How long an assertion holds; Google takes no more than an hour.
const ASSERTION_SECONDS: u64 = 3_600;

/// A service account and its key.
pub(super) struct ServiceAccount {
    email: String,
    key: RsaKeyPair,
    key_id: Option<String>,
    audience: String,
    place: Place,
    surroundings: Surroundings,
}

impl ServiceAccount {
    pub(super) fn read(
        members: &Members<'_>,
        token_uri: &str,
        surroundings: &Surroundings,
    ) -> Result<Self, CredentialError> {
        let email = members.wanted("client_email")?.to_owned();
        let key = rsa_key(members.wanted("private_key")?)
            .ok_or_else(|| members.wrong(r#""private_key" is not an RSA key in PEM"#))?;
        Ok(Self {
            email,
            key,
            key_id: members.optional("private_key_id").map(str::to_owned),
            audience: members.optional("token_uri").unwrap_or(token_uri).to_owned(),
            place: members.place("token_uri", Some(token_uri))?,
            surroundings: surroundings.clone(),
        })
    }

    pub(super) fn email(&self) -> &str {
        &self.email
    }

    pub(super) async fn fetch(&self, courier: Courier<'_>) -> Result<Fresh<HeaderValue>, Failure> {
        let assertion = self
            .assertion(self.surroundings.unix_seconds())
            .ok_or_else(|| refused("the service account's key could not sign"))?;
        let form = [("grant_type", GRANT), ("assertion", assertion.as_str())];
        let answer = courier.post_form(&self.place, &form, HeaderMap::new()).await?;
        let token = answer.json().as_ref().and_then(read_token);
        token.ok_or_else(|| answer.refusal("Google gave no token"))
    }

    /// A JSON Web Token, RS256 (RFC 7515, 3.1; RFC 7518, 3.3).
    fn assertion(&self, now: u64) -> Option<String> {
        let mut header = json!({"alg": "RS256", "typ": "JWT"});
        if let (Some(id), Some(header)) = (&self.key_id, header.as_object_mut()) {
            header.insert("kid".to_owned(), id.as_str().into());
        }
        let claims = json!({
            "iss": self.email,
            "scope": SCOPE,
            "aud": self.audience,
            "iat": now,
            "exp": now + ASSERTION_SECONDS,
        });
        let signed = format!(
            "{}.{}",
            base64_url(header.to_string().as_bytes()),
            base64_url(claims.to_string().as_bytes())
        );
        let mut signature = vec![0; self.key.public().modulus_len()];
        self.key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature).ok()?;
        Some(format!("{signed}.{}", base64_url(&signature)))
    }
}

/// From PKCS#8, as Google writes its files, or PKCS#1.
fn rsa_key(pem: &str) -> Option<RsaKeyPair> {
    match PrivateKeyDer::from_pem_slice(pem.as_bytes()).ok()? {
        PrivateKeyDer::Pkcs8(key) => RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()).ok(),
        PrivateKeyDer::Pkcs1(key) => RsaKeyPair::from_der(key.secret_pkcs1_der()).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
    use serde_json::Value;

    /// Made for these tests alone.
    const FILE: &str = include_str!("../../tests/fixtures/service_account.json");

    fn account() -> ServiceAccount {
        let object: Value = serde_json::from_str(FILE).unwrap();
        let members = Members { named: "key.json", object: &object };
        ServiceAccount::read(&members, "https://token.test", &Surroundings::of_process()).unwrap()
    }

    #[test]
    fn an_assertion_says_who_asks_what_for_and_for_how_long_and_is_signed() {
        let account = account();
        let assertion = account.assertion(1_700_000_000).unwrap();
        let parts: Vec<&str> = assertion.split('.').collect();
        let header = r#"{"alg":"RS256","typ":"JWT","kid":"key-1"}"#;
        let claims = concat!(
            r#"{"iss":"gateway@project-1.iam.gserviceaccount.com","#,
            r#""scope":"https://www.googleapis.com/auth/cloud-platform","#,
            r#""aud":"https://oauth2.googleapis.com/token","iat":1700000000,"exp":1700003600}"#
        );
        assert_eq!(parts[..2], [base64_url(header.as_bytes()), base64_url(claims.as_bytes())]);
        let mut signature = vec![0; 256];
        let signed = format!("{}.{}", parts[0], parts[1]);
        account.key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature).unwrap();
        assert_eq!(parts[2], base64_url(&signature), "PKCS#1 v1.5 signs the same the same way");
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, account.key.public().as_ref())
            .verify(signed.as_bytes(), &signature)
            .unwrap();
    }

    #[test]
    fn a_key_that_is_none_is_refused() {
        for pem in ["", "sk-secret", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"] {
            assert!(rsa_key(pem).is_none(), "{pem}");
        }
    }
}
