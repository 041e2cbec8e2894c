//! The metadata service of a machine at Google (Compute Engine, GKE, Cloud Run): its service account's tokens and its
//! project.
//!
//! **Invariant:** unless `GCE_METADATA_HOST` says otherwise, the service is asked at its address and not by its name, so
//! that no name server decides who answers, and the guard needs no exception for names of link-local hosts.

use super::SCOPE;
use crate::call::{Answer, Courier, Place, header, refused};
use crate::encoding::percent;
use crate::error::CredentialError;
use crate::renewal::Fresh;
use crate::surroundings::Surroundings;
use crate::token::read_token;
use http::{HeaderName, HeaderValue};
use std::sync::OnceLock;
use tollgate_upstream::{Failure, Trust};

/// Where the service is, and the name that it goes by.
const ADDRESS: &str = "169.254.169.254";
const NAME: &str = "metadata.google.internal";
/// Asked with, and answered with: so that neither side is taken for another.
const FLAVOR: HeaderName = HeaderName::from_static("metadata-flavor");
const GOOGLE: HeaderValue = HeaderValue::from_static("Google");

pub(super) struct Metadata {
    token: Place,
    project: Place,
    project_id: OnceLock<String>,
}

impl Metadata {
    pub(super) fn new(surroundings: &Surroundings) -> Result<Self, CredentialError> {
        let named = surroundings.variable("GCE_METADATA_HOST");
        let host = named.or_else(|| surroundings.variable("GCE_METADATA_ROOT"));
        let host = host.as_deref().map_or(ADDRESS, str::trim);
        let host = if host.eq_ignore_ascii_case(NAME) { ADDRESS } else { host };
        let base = format!("http://{host}/computeMetadata/v1");
        let token = format!("/instance/service-accounts/default/token?scopes={}", percent(SCOPE));
        let below = |path: &str| Place::below("GCE_METADATA_HOST", &base, path, Trust::Operator);
        Ok(Self {
            token: below(&token)?,
            project: below("/project/project-id")?,
            project_id: OnceLock::new(),
        })
    }

    pub(super) fn host(&self) -> &str {
        self.token.host()
    }

    pub(super) fn project_id(&self) -> Option<&str> {
        self.project_id.get().map(String::as_str)
    }

    pub(super) async fn fetch(&self, courier: Courier<'_>) -> Result<Fresh<HeaderValue>, Failure> {
        let answer = courier.get(&self.token, header(FLAVOR, GOOGLE)).await?;
        if !is_google(&answer) {
            return Err(refused("what answers as Google's metadata service is another"));
        }
        let token = answer.json().as_ref().and_then(read_token);
        let token = token.ok_or_else(|| answer.refusal("Google's metadata service gave no token"))?;
        if self.project_id.get().is_none() {
            self.learn_project(courier).await;
        }
        Ok(token)
    }

    /// A token is worth having without it: the configuration may name the project.
    async fn learn_project(&self, courier: Courier<'_>) {
        let answer = courier.get(&self.project, header(FLAVOR, GOOGLE)).await;
        match answer.as_ref().map(|answer| answer.text().filter(|_| is_google(answer)).map(str::trim)) {
            Ok(Some(project)) if !project.is_empty() => {
                // Whoever was first has written the same.
                let _ = self.project_id.set(project.to_owned());
            }
            Ok(_) => tracing::warn!("Google's metadata service names no project"),
            Err(failure) => {
                tracing::warn!(%failure, "asking Google's metadata service for the project failed");
            }
        }
    }
}

fn is_google(answer: &Answer) -> bool {
    answer.headers.get(FLAVOR).is_some_and(|flavor| *flavor == GOOGLE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn the_service_is_asked_at_its_address_unless_the_environment_says_otherwise() {
        let check = |variable: Option<&'static str>, expected: &str| {
            let surroundings = Surroundings {
                variables: Arc::new(move |name| {
                    variable.filter(|_| name == "GCE_METADATA_HOST").map(str::to_owned)
                }),
                ..Surroundings::of_process()
            };
            let metadata = Metadata::new(&surroundings).unwrap();
            assert_eq!(metadata.token.authority().to_str().unwrap(), expected);
            assert_eq!(metadata.project.target(), "/computeMetadata/v1/project/project-id");
            assert_eq!(
                metadata.token.target(),
                "/computeMetadata/v1/instance/service-accounts/default/token\
                 ?scopes=https%3A%2F%2Fwww.googleapis.com%2Fauth%2Fcloud-platform"
            );
        };
        check(None, "169.254.169.254");
        check(Some("metadata.google.internal"), "169.254.169.254");
        check(Some("169.254.169.252:988"), "169.254.169.252:988");
        check(Some("127.0.0.1:9000"), "127.0.0.1:9000");
    }
}
