//! Keys of a container's role, on ECS and EKS ("Container credential provider" in the AWS SDKs and Tools Reference
//! Guide).
//!
//! **Invariant:** a URI with plain HTTP names this machine or AWS's own metadata addresses, nothing else.

use super::{AwsKeys, keys_of};
use crate::call::{Courier, Place, header, refused};
use crate::error::CredentialError;
use crate::renewal::Fresh;
use crate::secret::Secret;
use crate::surroundings::Surroundings;
use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderValue};
use std::net::IpAddr;
use std::path::PathBuf;
use tollgate_upstream::{Failure, Trust};

/// Where ECS gives a task its keys.
const ECS: &str = "http://169.254.170.2";
/// Where ECS and EKS give keys over plain HTTP.
const HOSTS: [&str; 4] = ["169.254.170.2", "169.254.170.23", "fd00:ec2::23", "localhost"];

const RELATIVE: &str = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI";
const FULL: &str = "AWS_CONTAINER_CREDENTIALS_FULL_URI";
const TOKEN: &str = "AWS_CONTAINER_AUTHORIZATION_TOKEN";
const TOKEN_FILE: &str = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE";

pub(super) struct Container {
    place: Place,
    token: Option<Token>,
}

/// What the service wants to see.
enum Token {
    /// Renewed by others.
    File(PathBuf),
    Fixed(Secret),
}

impl Container {
    /// `None` where the variables name no such service.
    pub(super) fn find(surroundings: &Surroundings) -> Result<Option<Self>, CredentialError> {
        let place = match (surroundings.variable(RELATIVE), surroundings.variable(FULL)) {
            (Some(path), _) => Place::below(RELATIVE, ECS, path.trim(), Trust::Operator)?,
            (None, Some(url)) => full(url.trim())?,
            (None, None) => return Ok(None),
        };
        let file = surroundings.variable(TOKEN_FILE).map(|path| Token::File(PathBuf::from(path)));
        let token = file.or_else(|| Some(Token::Fixed(Secret::new(surroundings.variable(TOKEN)?))));
        Ok(Some(Self { place, token }))
    }

    pub(super) fn host(&self) -> &str {
        self.place.host()
    }

    pub(super) async fn fetch(
        &self,
        courier: Courier<'_>,
        surroundings: &Surroundings,
    ) -> Result<Fresh<AwsKeys>, Failure> {
        let token = match &self.token {
            Some(Token::File(path)) => Some(surroundings.text_aside(path).await?),
            Some(Token::Fixed(token)) => Some(token.clone()),
            None => None,
        };
        let headers = match token {
            Some(token) => {
                let mut value = HeaderValue::from_str(token.expose().trim())
                    .map_err(|_| refused("the container's authorization token is no header value"))?;
                value.set_sensitive(true);
                header(AUTHORIZATION, value)
            }
            None => HeaderMap::new(),
        };
        let answer = courier.get(&self.place, headers).await?;
        let keys = answer.json().and_then(|json| keys_of(&json, surroundings.now()));
        keys.ok_or_else(|| answer.refusal("the container's credential service gave no keys"))
    }
}

fn full(url: &str) -> Result<Place, CredentialError> {
    let place = Place::parse(FULL, url, Trust::Operator)?;
    let is_loopback = place.host().parse().is_ok_and(|address: IpAddr| address.is_loopback());
    let is_encrypted = url.get(..8).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https://"));
    if is_encrypted || is_loopback || HOSTS.contains(&place.host()) {
        return Ok(place);
    }
    Err(CredentialError::new(format!(
        "{FULL}: over plain HTTP only this machine and AWS's own metadata addresses are asked, not {}",
        place.host()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn found(variables: &'static [(&str, &str)]) -> Result<Option<Container>, CredentialError> {
        let find = move |name: &str| variables.iter().find(|(known, _)| *known == name);
        let surroundings = Surroundings {
            variables: Arc::new(move |name| find(name).map(|(_, value)| (*value).to_owned())),
            ..Surroundings::of_process()
        };
        Container::find(&surroundings)
    }

    #[test]
    fn a_task_is_asked_for_at_its_own_path() {
        let container =
            found(&[(RELATIVE, "/v2/credentials/1"), (FULL, "http://10.0.0.1/")]).unwrap().unwrap();
        assert_eq!(
            (container.host(), container.place.target().as_str()),
            ("169.254.170.2", "/v2/credentials/1")
        );
        assert!(container.token.is_none());
        assert!(found(&[]).unwrap().is_none());
    }

    #[test]
    fn plain_http_goes_to_this_machine_and_awss_own_addresses_alone() {
        assert!(found(&[(FULL, "http://169.254.170.23/v1/credentials")]).is_ok());
        assert!(found(&[(FULL, "http://[fd00:ec2::23]/v1/credentials")]).is_ok());
        assert!(found(&[(FULL, "http://127.0.0.9:80/")]).is_ok());
        assert!(found(&[(FULL, "http://[::1]/")]).is_ok());
        assert!(found(&[(FULL, "http://localhost:1234/")]).is_ok());
        assert!(found(&[(FULL, "https://keys.test/")]).is_ok());
        for variables in [
            &[(FULL, "http://keys.test/")],
            &[(FULL, "http://169.254.169.254/")],
            &[(FULL, "http://10.0.0.1/")],
            &[(FULL, "http://localhost.keys.test/")],
        ] {
            let error = found(variables).err().unwrap().to_string();
            assert!(error.starts_with("AWS_CONTAINER_CREDENTIALS_FULL_URI: over plain HTTP"), "{error}");
        }
    }
}
