//! Google Cloud's credentials: which one is meant, and how each becomes a token.
//!
//! Owns: [`GoogleCredential`], the order of the application default credentials, and [`Grant`]. What a credential file
//! says is read in `file.rs`, signed in `jwt.rs`; a workload's identity is exchanged in `external.rs`, a machine's asked
//! for in `metadata.rs`.
//!
//! **Invariant:** a file is read when the source is made; only tokens that others renew on disk are read at each renewal.

mod external;
mod file;
mod jwt;
mod metadata;

use crate::call::{Courier, Place, bearer};
use crate::error::CredentialError;
use crate::oauth::FormGrant;
use crate::renewal::Fresh;
use crate::secret::{Secret, fingerprint};
use crate::surroundings::Surroundings;
use bytes::Bytes;
use external::External;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Method};
use jwt::ServiceAccount;
use metadata::Metadata;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Duration;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tollgate_upstream::Failure;

/// What tokens are asked for; Vertex AI takes no narrower one.
pub(crate) const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

/// Which credential of Google's is meant.
#[derive(Debug, Clone)]
pub enum GoogleCredential {
    /// The text of a credential file.
    Json(Secret),
    /// A credential file.
    File(PathBuf),
    /// What Google's own libraries would find: the file that `GOOGLE_APPLICATION_CREDENTIALS` names, else the one that
    /// `gcloud auth application-default login` has left, else the metadata service.
    ApplicationDefault,
    /// The service account of the machine, from its metadata service (`GCE_METADATA_HOST`).
    Metadata,
}

/// A way to a token of Google's.
pub(crate) struct Grant {
    base: Base,
    impersonation: Option<Impersonation>,
    project_id: Option<String>,
}

/// Who asks.
enum Base {
    ServiceAccount(ServiceAccount),
    User(FormGrant),
    External(External),
    Metadata(Metadata),
}

/// A service account that the first token speaks for.
struct Impersonation {
    place: Place,
    delegates: Vec<String>,
    lifetime_seconds: u64,
    surroundings: Surroundings,
}

/// The grant, and what tells it from others.
pub(crate) fn grant(
    credential: &GoogleCredential,
    surroundings: &Surroundings,
) -> Result<(String, Grant), CredentialError> {
    match credential {
        GoogleCredential::Json(text) => from_text("credentials", text, surroundings),
        GoogleCredential::File(path) => from_file(path, surroundings),
        GoogleCredential::Metadata => from_metadata(surroundings),
        GoogleCredential::ApplicationDefault => {
            let (identity, mut grant) = application_default(surroundings)?;
            // As Google's libraries have it, the variable goes before the credential's own project.
            let named = surroundings.variable("GOOGLE_CLOUD_PROJECT");
            grant.project_id = named.or(grant.project_id);
            Ok((identity, grant))
        }
    }
}

fn application_default(surroundings: &Surroundings) -> Result<(String, Grant), CredentialError> {
    if let Some(path) = surroundings.variable("GOOGLE_APPLICATION_CREDENTIALS") {
        return from_file(Path::new(&path), surroundings)
            .map_err(|error| CredentialError::new(format!("GOOGLE_APPLICATION_CREDENTIALS: {error}")));
    }
    let folder = surroundings.variable("CLOUDSDK_CONFIG").map(PathBuf::from);
    let folder = folder.or_else(|| Some(surroundings.home()?.join(".config").join("gcloud")));
    if let Some(path) = folder.map(|folder| folder.join("application_default_credentials.json"))
        && let Some(text) = surroundings.text_if_there(&path)?
    {
        return from_text(&path.display().to_string(), &Secret::new(text), surroundings);
    }
    from_metadata(surroundings)
}

fn from_file(path: &Path, surroundings: &Surroundings) -> Result<(String, Grant), CredentialError> {
    let text = Secret::new(surroundings.text(path)?);
    from_text(&path.display().to_string(), &text, surroundings)
}

fn from_text(
    named: &str,
    text: &Secret,
    surroundings: &Surroundings,
) -> Result<(String, Grant), CredentialError> {
    let (who, grant) = file::read(named, text.expose(), surroundings)?;
    Ok((format!("google {who} {}", fingerprint(&[text.expose()])), grant))
}

fn from_metadata(surroundings: &Surroundings) -> Result<(String, Grant), CredentialError> {
    let metadata = Metadata::new(surroundings)?;
    let identity = format!("google metadata {}", metadata.host());
    Ok((identity, Grant { base: Base::Metadata(metadata), impersonation: None, project_id: None }))
}

impl Grant {
    pub(crate) async fn fetch(&self, courier: Courier<'_>) -> Result<Fresh<HeaderValue>, Failure> {
        let token = match &self.base {
            Base::ServiceAccount(account) => account.fetch(courier).await?,
            Base::User(grant) => grant.fetch(courier).await?,
            Base::External(external) => external.fetch(courier).await?,
            Base::Metadata(metadata) => metadata.fetch(courier).await?,
        };
        match &self.impersonation {
            Some(impersonation) => impersonation.fetch(courier, token.value).await,
            None => Ok(token),
        }
    }

    pub(crate) fn project_id(&self) -> Option<&str> {
        match (&self.project_id, &self.base) {
            (Some(project), _) => Some(project),
            (None, Base::Metadata(metadata)) => metadata.project_id(),
            (None, _) => None,
        }
    }
}

impl Impersonation {
    /// `generateAccessToken` of the IAM Service Account Credentials API, v1.
    async fn fetch(&self, courier: Courier<'_>, first: HeaderValue) -> Result<Fresh<HeaderValue>, Failure> {
        let body = json!({
            "delegates": self.delegates,
            "scope": [SCOPE],
            "lifetime": format!("{}s", self.lifetime_seconds),
        });
        let headers = HeaderMap::from_iter([
            (AUTHORIZATION, first),
            (CONTENT_TYPE, HeaderValue::from_static("application/json")),
        ]);
        let body = Bytes::from(body.to_string());
        let answer = courier.send(Method::POST, &self.place, headers, body).await?;
        let token = answer.json().and_then(|json| self.read(&json));
        token.ok_or_else(|| answer.refusal("Google did not let the service account be impersonated"))
    }

    fn read(&self, json: &Value) -> Option<Fresh<HeaderValue>> {
        let value = bearer(json.get("accessToken")?.as_str()?)?;
        let ends = OffsetDateTime::parse(json.get("expireTime")?.as_str()?, &Rfc3339).ok()?;
        let life = ends - OffsetDateTime::from(self.surroundings.now());
        Some(Fresh { value, life: Some(Duration::try_from(life).unwrap_or_default()) })
    }
}
