//! Azure's Entra ID tokens: asked for once, used until shortly before they end, renewed beside the requests.
//!
//! OAuth 2.0 client credentials (RFC 6749, 4.4) at Microsoft's identity platform v2. **Invariant:** one request for a
//! token runs at a time per identity, and a token that still holds is never waited for.

use crate::percent;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Method, Uri};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use tollgate_config::{AzureAuth, Secret};
use tollgate_upstream::{Client, Endpoint, Failure, Kind, Outgoing, Phase, SegmentBody, Timeouts, Trust};

/// Azure OpenAI's usual scope.
const SCOPE: &str = "https://cognitiveservices.azure.com/.default";
/// Microsoft's public authority; an operator names another one in AZURE_AUTHORITY_HOST.
pub(crate) const AUTHORITY: &str = "https://login.microsoftonline.com";
/// Longest wait for a token.
const TIMEOUT: Duration = Duration::from_secs(10);
/// A token is renewed when this much of its life is left, and used no more when [`LAST_USE`] is left.
const RENEW_BEFORE: Duration = Duration::from_secs(300);
const LAST_USE: Duration = Duration::from_secs(30);

#[derive(Debug, Clone)]
struct Token {
    bearer: HeaderValue,
    ends: Instant,
}

/// One service principal's token.
#[derive(Debug)]
pub(crate) struct EntraToken {
    identity: String,
    endpoint: Endpoint,
    target: Uri,
    form: String,
    token: Mutex<Option<Token>>,
    asking: tokio::sync::Mutex<()>,
}

impl EntraToken {
    /// For a deployment's credentials; `None` when they are not a service principal's.
    pub(crate) fn new(auth: &AzureAuth) -> Result<Option<Self>, String> {
        let (Some(tenant), Some(client), Some(secret)) =
            (&auth.tenant_id, &auth.client_id, &auth.client_secret)
        else {
            return Ok(None);
        };
        let authority = auth.authority.as_deref().unwrap_or(AUTHORITY);
        let trust = if auth.authority.is_some() { Trust::Operator } else { Trust::Catalogue };
        let endpoint =
            Endpoint::parse(authority, trust).map_err(|error| format!("AZURE_AUTHORITY_HOST: {error}"))?;
        let target = endpoint
            .target(&format!("/{}/oauth2/v2.0/token", percent::encode(tenant)))
            .map_err(|error| format!("tenant_id: {error}"))?;
        let scope = auth.scope.as_deref().unwrap_or(SCOPE);
        let form = format!(
            "grant_type=client_credentials&client_id={}&client_secret={}&scope={}",
            percent::encode(client),
            percent::encode(secret.expose()),
            percent::encode(scope)
        );
        Ok(Some(Self {
            identity: format!("{authority} {tenant} {client} {scope}"),
            endpoint,
            target,
            form,
            token: Mutex::new(None),
            asking: tokio::sync::Mutex::new(()),
        }))
    }

    /// What tells one principal from another; has no secret in it.
    pub(crate) fn identity(&self) -> &str {
        &self.identity
    }

    /// The `Authorization` header. Waits only when no token holds.
    pub(crate) async fn bearer(self: &Arc<Self>, client: &Arc<Client>) -> Result<HeaderValue, Failure> {
        if let Some(token) = self.held() {
            if token.ends.saturating_duration_since(Instant::now()) < RENEW_BEFORE
                && self.asking.try_lock().is_ok()
            {
                let (this, client) = (Arc::clone(self), Arc::clone(client));
                tokio::spawn(async move {
                    let Ok(_alone) = this.asking.try_lock() else { return };
                    if let Err(failure) = this.renew(&client).await {
                        tracing::warn!(%failure, "renewing an Entra token failed");
                    }
                });
            }
            return Ok(token.bearer);
        }
        let _alone = self.asking.lock().await;
        match self.held() {
            Some(token) => Ok(token.bearer),
            None => self.renew(client).await,
        }
    }

    fn held(&self) -> Option<Token> {
        let token = self.token.lock().unwrap_or_else(PoisonError::into_inner);
        token.clone().filter(|token| token.ends.saturating_duration_since(Instant::now()) > LAST_USE)
    }

    async fn renew(&self, client: &Client) -> Result<HeaderValue, Failure> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        let by = Instant::now() + TIMEOUT;
        let outgoing = Outgoing {
            method: Method::POST,
            target: self.target.clone(),
            headers,
            body: SegmentBody::from(Bytes::from(self.form.clone())),
            timeouts: Timeouts { connect: Duration::from_secs(3), head_by: by, idle: TIMEOUT, whole_by: by },
        };
        let reply = client.send(&self.endpoint, outgoing).await?;
        let status = reply.status;
        let body = reply.body.collect().await?;
        let token = if status.is_success() { read_token(&body) } else { None };
        // The body may repeat the credential: the log gets the status alone.
        let token = token.ok_or_else(|| {
            Failure::new(Kind::Protocol, Phase::Connecting, format!("Entra gave no token (status {status})"))
        })?;
        let bearer = token.bearer.clone();
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = Some(token);
        Ok(bearer)
    }
}

fn read_token(body: &[u8]) -> Option<Token> {
    let json: serde_json::Value = serde_json::from_slice(body).ok()?;
    let seconds = match json.get("expires_in")? {
        serde_json::Value::String(text) => text.parse().ok()?,
        number => number.as_u64()?,
    };
    let secret = Secret::new(json.get("access_token")?.as_str()?);
    let mut bearer = HeaderValue::from_str(&format!("Bearer {}", secret.expose())).ok()?;
    bearer.set_sensitive(true);
    Some(Token { bearer, ends: Instant::now() + Duration::from_secs(seconds) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_with_its_life_as_number_or_text() {
        for body in
            [r#"{"access_token":"abc","expires_in":3599}"#, r#"{"access_token":"abc","expires_in":"3599"}"#]
        {
            let token = read_token(body.as_bytes()).unwrap();
            assert_eq!(token.bearer.to_str().unwrap(), "Bearer abc");
            assert!(token.bearer.is_sensitive());
        }
        for body in ["", "{}", r#"{"access_token":"a\nb","expires_in":1}"#, r#"{"error":"invalid_client"}"#] {
            assert!(read_token(body.as_bytes()).is_none(), "{body}");
        }
    }
}
