//! Tokens for one form at one place: OAuth client credentials, Databricks, IBM.
//!
//! Owns: [`FormGrant`], which Entra and Google's refresh tokens use, too.

use crate::call::{Courier, Place, basic};
use crate::error::CredentialError;
use crate::renewal::Fresh;
use crate::secret::{Secret, fingerprint};
use crate::token::read_token;
use http::{HeaderMap, HeaderValue};
use tollgate_upstream::{Failure, Trust};

/// IBM Cloud's public IAM.
const IBM_IAM: &str = "https://iam.cloud.ibm.com";
/// The grant by which IBM's IAM takes API keys.
const IBM_GRANT: &str = "urn:ibm:params:oauth:grant-type:apikey";
/// Where a Databricks workspace gives tokens to service principals, and for what.
const DATABRICKS_PATH: &str = "/oidc/v1/token";
const DATABRICKS_SCOPE: &str = "all-apis";

/// An OAuth client that speaks for itself.
#[derive(Debug, Clone)]
pub struct ClientCredentials {
    /// The token endpoint's URL.
    pub token_url: String,
    /// The client's id.
    pub client_id: String,
    /// The client's secret.
    pub client_secret: Secret,
    /// What the token is for; as the server writes it, several with spaces between them.
    pub scope: String,
}

/// A form that is exchanged for a token.
pub(crate) struct FormGrant {
    /// Who gives the token, for errors.
    pub(crate) giver: &'static str,
    pub(crate) place: Place,
    pub(crate) form: Vec<(&'static str, Secret)>,
    /// Beside those of the form.
    pub(crate) headers: HeaderMap,
}

impl FormGrant {
    pub(crate) async fn fetch(&self, courier: Courier<'_>) -> Result<Fresh<HeaderValue>, Failure> {
        let pairs: Vec<(&str, &str)> =
            self.form.iter().map(|(name, value)| (*name, value.expose())).collect();
        let answer = courier.post_form(&self.place, &pairs, self.headers.clone()).await?;
        let token = answer.json().as_ref().and_then(read_token);
        token.ok_or_else(|| answer.refusal(&format!("{} gave no token", self.giver)))
    }
}

pub(crate) fn client_credentials(given: &ClientCredentials) -> Result<(String, FormGrant), CredentialError> {
    let place = Place::parse("token URL", &given.token_url, Trust::Operator)?;
    let identity = format!(
        "oauth {} {} {} {}",
        place.host(),
        given.client_id,
        given.scope,
        fingerprint(&[&given.token_url, given.client_secret.expose()])
    );
    let form =
        vec![("grant_type", Secret::new("client_credentials")), ("scope", Secret::new(given.scope.as_str()))];
    let headers = basic(&given.client_id, &given.client_secret);
    Ok((identity, FormGrant { giver: "the OAuth server", place, form, headers }))
}

/// A workspace's URL is often given as the base of its models, `https://x.cloud.databricks.com/serving-endpoints`.
pub(crate) fn databricks(workspace: &str, id: &str, secret: &Secret) -> ClientCredentials {
    let workspace = workspace.trim();
    let host_at = workspace.find("://").map_or(0, |scheme| scheme + 3);
    let path_at = workspace.get(host_at..).and_then(|rest| rest.find(['/', '?'])).map(|at| host_at + at);
    let root = path_at.and_then(|at| workspace.get(..at)).unwrap_or(workspace);
    ClientCredentials {
        token_url: format!("{root}{DATABRICKS_PATH}"),
        client_id: id.to_owned(),
        client_secret: secret.clone(),
        scope: DATABRICKS_SCOPE.to_owned(),
    }
}

pub(crate) fn ibm(api_key: &Secret, base: Option<&str>) -> Result<(String, FormGrant), CredentialError> {
    let (base, trust) = base.map_or((IBM_IAM, Trust::Catalogue), |base| (base, Trust::Operator));
    let place = Place::below("IAM URL", base, "/identity/token", trust)?;
    let identity = format!("ibm {} {}", place.host(), fingerprint(&[base, api_key.expose()]));
    let form = vec![("grant_type", Secret::new(IBM_GRANT)), ("apikey", api_key.clone())];
    Ok((identity, FormGrant { giver: "IBM IAM", place, form, headers: HeaderMap::new() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_databricks_token_is_asked_for_at_the_workspaces_root() {
        for workspace in [
            "https://dbc-1.cloud.databricks.com",
            "https://dbc-1.cloud.databricks.com/",
            " https://dbc-1.cloud.databricks.com/serving-endpoints",
            "https://dbc-1.cloud.databricks.com?o=1",
        ] {
            let credentials = databricks(workspace, "id", &Secret::new("s"));
            assert_eq!(
                credentials.token_url, "https://dbc-1.cloud.databricks.com/oidc/v1/token",
                "{workspace}"
            );
        }
    }

    #[test]
    fn another_secret_is_another_identity_and_none_is_shown() {
        let identity = |secret: &str| {
            let credentials = databricks("https://x.test", "id", &Secret::new(secret));
            client_credentials(&credentials).unwrap().0
        };
        assert_eq!(identity("one-secret"), identity("one-secret"));
        assert_ne!(identity("one-secret"), identity("other-secret"));
        assert!(!identity("one-secret").contains("one-secret"));
        let ibm = |key: &str| ibm(&Secret::new(key), None).unwrap().0;
        assert_ne!(ibm("one-secret"), ibm("other-secret"));
        assert!(ibm("one-secret").starts_with("ibm iam.cloud.ibm.com "));
    }
}
