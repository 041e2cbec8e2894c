//! A token of somebody else's identity provider (Kubernetes, a CI service) that STS exchanges for a role's keys.
//!
//! Owns: where the token is. A token in a file or a variable is read at each renewal, since others renew it.

use super::sts::Role;
use crate::call::refused;
use crate::error::CredentialError;
use crate::secret::Secret;
use crate::surroundings::Surroundings;
use std::path::PathBuf;
use tollgate_upstream::Failure;

/// A token's place, and the role that it is for.
pub(super) struct WebIdentity {
    pub(super) token: Token,
    pub(super) role: Role,
}

/// Where a token is.
pub(super) enum Token {
    File(PathBuf),
    Variable(String),
    Fixed(Secret),
}

impl Token {
    /// What LiteLLM's `aws_web_identity_token` means by a text.
    pub(super) fn parse(text: &Secret, surroundings: &Surroundings) -> Result<Self, CredentialError> {
        let text = text.expose().trim();
        let Some(reference) = text.strip_prefix("oidc/") else {
            // A JSON Web Token begins with an encoded `{"`.
            return match text {
                text if text.starts_with("eyJ") => Ok(Self::Fixed(Secret::new(text))),
                text if text.starts_with('/') => Ok(Self::File(PathBuf::from(text))),
                name if surroundings.variable(name).is_some() => Ok(Self::Variable(name.to_owned())),
                _ => Err(wrong("it is neither a token, nor a file, nor a variable that is set")),
            };
        };
        let path_in = |variable: &str| {
            let path = surroundings.variable(variable).map(PathBuf::from);
            path.map(Self::File).ok_or_else(|| wrong(&format!("{variable} is not set")))
        };
        match reference.split_once('/').unwrap_or((reference, "")) {
            ("file", path) => Ok(Self::File(PathBuf::from(path))),
            ("env", name) => Ok(Self::Variable(name.to_owned())),
            ("env_path", name) => path_in(name),
            ("azure", _) => path_in("AZURE_FEDERATED_TOKEN_FILE"),
            ("circleci", _) => Ok(Self::Variable("CIRCLE_OIDC_TOKEN".to_owned())),
            ("circleci_v2", _) => Ok(Self::Variable("CIRCLE_OIDC_TOKEN_V2".to_owned())),
            _ => Err(wrong("of oidc/, file, env, env_path, azure, circleci and circleci_v2 are supported")),
        }
    }

    /// The token as it is now.
    pub(super) async fn read(&self, surroundings: &Surroundings) -> Result<Secret, Failure> {
        let text = match self {
            Self::File(path) => surroundings.text_aside(path).await?,
            Self::Variable(name) => {
                let value = surroundings.variable(name).map(Secret::new);
                value.ok_or_else(|| refused(format!("the variable {name} has no web identity token")))?
            }
            Self::Fixed(token) => token.clone(),
        };
        let token = Secret::new(text.expose().trim());
        if token.expose().is_empty() { Err(refused("the web identity token is empty")) } else { Ok(token) }
    }

    /// What tells it from others.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Variable(name) => name.clone(),
            Self::Fixed(token) => crate::secret::fingerprint(&[token.expose()]),
        }
    }
}

fn wrong(reason: &str) -> CredentialError {
    CredentialError::new(format!("aws_web_identity_token: {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn a_token_is_where_litellm_would_look_for_it() {
        let surroundings = Surroundings {
            variables: Arc::new(|name| match name {
                "WHERE" => Some("/run/token".to_owned()),
                "TOKEN" => Some("eyJ".to_owned()),
                _ => None,
            }),
            ..Surroundings::of_process()
        };
        let check = |text: &str, expected: Result<&str, &str>| {
            let token = Token::parse(&Secret::new(text), &surroundings);
            let found = token.map(|token| token.describe()).map_err(|error| error.to_string());
            let expected =
                expected.map(str::to_owned).map_err(|why| format!("aws_web_identity_token: {why}"));
            assert_eq!(found, expected, "{text}");
        };
        check("oidc/file//var/run/token", Ok("/var/run/token"));
        check("oidc/env/TOKEN", Ok("TOKEN"));
        check("oidc/env_path/WHERE", Ok("/run/token"));
        check("oidc/env_path/NOWHERE", Err("NOWHERE is not set"));
        check("oidc/circleci/", Ok("CIRCLE_OIDC_TOKEN"));
        check("oidc/azure/", Err("AZURE_FEDERATED_TOKEN_FILE is not set"));
        check(
            "oidc/google/x",
            Err("of oidc/, file, env, env_path, azure, circleci and circleci_v2 are supported"),
        );
        check("TOKEN", Ok("TOKEN"));
        check("/run/token", Ok("/run/token"));
        check("sk-secret", Err("it is neither a token, nor a file, nor a variable that is set"));
        let token = Token::parse(&Secret::new("eyJhbGciOi.x.y"), &surroundings).unwrap();
        assert!(matches!(&token, Token::Fixed(_)) && !token.describe().contains("eyJ"));
    }
}
