//! Bearer tokens: one source for all deployments that share an identity.
//!
//! Owns: [`TokenSource`], and the reading of token replies. Leaves to others: how each kind of token is asked for.

use crate::call::{Courier, bearer};
use crate::entra::{self, EntraPrincipal};
use crate::error::CredentialError;
use crate::google::{self, GoogleCredential};
use crate::oauth::{self, ClientCredentials, FormGrant};
use crate::renewal::{Fetch, Fresh, Renewal};
use crate::secret::Secret;
use crate::surroundings::Surroundings;
use http::HeaderValue;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tollgate_upstream::{Client, Failure};

/// The ways to a token.
pub(crate) enum Grant {
    /// One form at one place.
    Form(Box<FormGrant>),
    /// One of Google's.
    Google(Box<google::Grant>),
}

impl Fetch for Grant {
    type Value = HeaderValue;

    async fn fetch(&self, courier: Courier<'_>) -> Result<Fresh<HeaderValue>, Failure> {
        match self {
            Self::Form(grant) => grant.fetch(courier).await,
            Self::Google(grant) => grant.fetch(courier).await,
        }
    }
}

/// Where a deployment's bearer token comes from: fetched once, used until shortly before its end, renewed beside the
/// requests. Share one among deployments, workers and reloads by its [`TokenSource::identity`].
#[derive(Debug)]
pub struct TokenSource {
    renewal: Arc<Renewal<Grant>>,
}

impl TokenSource {
    fn new(identity: String, grant: Grant) -> Arc<Self> {
        Arc::new(Self { renewal: Renewal::new(identity, grant) })
    }

    /// A service principal of Microsoft Entra ID.
    ///
    /// # Errors
    /// The authority is no URL, or the tenant has no place in one.
    pub fn entra(principal: &EntraPrincipal) -> Result<Arc<Self>, CredentialError> {
        let (identity, grant) = entra::grant(principal)?;
        Ok(Self::new(identity, Grant::Form(Box::new(grant))))
    }

    /// A credential of Google Cloud, for the scope `cloud-platform`.
    ///
    /// # Errors
    /// The credential cannot be read, or is of a kind that is not known.
    pub fn google(
        credential: &GoogleCredential,
        surroundings: &Surroundings,
    ) -> Result<Arc<Self>, CredentialError> {
        let (identity, grant) = google::grant(credential, surroundings)?;
        Ok(Self::new(identity, Grant::Google(Box::new(grant))))
    }

    /// An API key of IBM Cloud, exchanged for tokens at its IAM. `base` is the IAM service, by default
    /// `https://iam.cloud.ibm.com`.
    ///
    /// # Errors
    /// `base` is no URL.
    pub fn ibm(api_key: &Secret, base: Option<&str>) -> Result<Arc<Self>, CredentialError> {
        let (identity, grant) = oauth::ibm(api_key, base)?;
        Ok(Self::new(identity, Grant::Form(Box::new(grant))))
    }

    /// OAuth 2.0 client credentials (RFC 6749, 4.4), the client's secret in an `Authorization: Basic` header.
    ///
    /// # Errors
    /// The token URL is none.
    pub fn client_credentials(credentials: &ClientCredentials) -> Result<Arc<Self>, CredentialError> {
        let (identity, grant) = oauth::client_credentials(credentials)?;
        Ok(Self::new(identity, Grant::Form(Box::new(grant))))
    }

    /// A service principal of a Databricks workspace, `workspace` being its URL with or without a path.
    ///
    /// # Errors
    /// The workspace's URL is none.
    pub fn databricks(workspace: &str, id: &str, secret: &Secret) -> Result<Arc<Self>, CredentialError> {
        Self::client_credentials(&oauth::databricks(workspace, id, secret))
    }

    /// What tells one credential from another, within this process; has no secret in it.
    pub fn identity(&self) -> &str {
        self.renewal.identity()
    }

    /// Google's project, where the credential or its surroundings name one. Of a metadata service it is known once a
    /// token was fetched.
    pub fn project_id(&self) -> Option<&str> {
        match self.renewal.fetch() {
            Grant::Form(_) => None,
            Grant::Google(grant) => grant.project_id(),
        }
    }

    /// Fetches the first token in the background, and keeps it renewed. Must be called within a runtime.
    pub fn start(self: &Arc<Self>, client: &Arc<Client>) {
        self.renewal.keep(client);
    }

    /// The `Authorization` header; waits only when no token holds, and then for 12 s at most.
    ///
    /// # Errors
    /// [`tollgate_upstream::Kind::Protocol`] when the credential was refused; other kinds when nobody was reached. For
    /// a while after a failure, five seconds at most, it is the same failure without another try.
    pub async fn bearer(self: &Arc<Self>, client: &Arc<Client>) -> Result<HeaderValue, Failure> {
        self.renewal.current(client).await
    }
}

/// A token reply of RFC 6749, 5.1. The life may be a number or a text, and is wanted: without it nobody knows when to
/// renew.
pub(crate) fn read_token(json: &Value) -> Option<Fresh<HeaderValue>> {
    let seconds = match json.get("expires_in")? {
        Value::String(text) => text.parse().ok()?,
        number => number.as_u64()?,
    };
    let value = bearer(json.get("access_token")?.as_str()?)?;
    Some(Fresh { value, life: Some(Duration::from_secs(seconds)) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_with_its_life_as_number_or_text() {
        for body in
            [r#"{"access_token":"abc","expires_in":3599}"#, r#"{"access_token":"abc","expires_in":"3599"}"#]
        {
            let token = read_token(&serde_json::from_str(body).unwrap()).unwrap();
            assert_eq!(token.value.to_str().unwrap(), "Bearer abc");
            assert!(token.value.is_sensitive());
            assert_eq!(token.life, Some(Duration::from_secs(3_599)));
        }
        for body in [
            "{}",
            r#"{"access_token":"a\nb","expires_in":1}"#,
            r#"{"access_token":"abc"}"#,
            r#"{"access_token":"abc","expires_in":-1}"#,
            r#"{"access_token":7,"expires_in":1}"#,
            r#"{"error":"invalid_client"}"#,
        ] {
            assert!(read_token(&serde_json::from_str(body).unwrap()).is_none(), "{body}");
        }
    }
}
