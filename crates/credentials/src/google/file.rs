//! Google's credential files: their kinds and members (AIP-4110 to 4117, and what `google-auth` reads).
//!
//! Owns: what a file must say. **Invariant:** an error names the file and the member, never a member's value.

use super::external::External;
use super::jwt::ServiceAccount;
use super::{Base, Grant, Impersonation};
use crate::call::Place;
use crate::error::CredentialError;
use crate::oauth::FormGrant;
use crate::secret::Secret;
use crate::surroundings::Surroundings;
use http::HeaderMap;
use serde_json::Value;
use tollgate_upstream::Trust;

/// Where Google exchanges keys and refresh tokens for access tokens.
const TOKEN_URI: &str = "https://oauth2.googleapis.com/token";
/// Longest life of an impersonated token that needs no leave of the organisation.
const LIFETIME_SECONDS: u64 = 3_600;

/// One object of a file, with the name by which errors speak of it.
pub(super) struct Members<'a> {
    pub(super) named: &'a str,
    pub(super) object: &'a Value,
}

impl Members<'_> {
    pub(super) fn optional(&self, member: &str) -> Option<&str> {
        self.object.get(member)?.as_str().filter(|text| !text.is_empty())
    }

    pub(super) fn wanted(&self, member: &str) -> Result<&str, CredentialError> {
        self.optional(member).ok_or_else(|| self.wrong(&format!("{member:?} is missing")))
    }

    pub(super) fn wrong(&self, reason: &str) -> CredentialError {
        CredentialError::new(format!("{}: {reason}", self.named))
    }

    /// A place that the file names, or else Google's own. A file names Google's own places, too, and an operator's network
    /// may lead them to its own addresses (Private Service Connect).
    pub(super) fn place(&self, member: &str, default: Option<&str>) -> Result<Place, CredentialError> {
        let named = format!("{}: {member:?}", self.named);
        match (self.optional(member), default) {
            (Some(url), _) => Place::parse(&named, url, Trust::Operator),
            (None, Some(default)) => Place::parse(&named, default, Trust::Catalogue),
            (None, None) => Err(self.wrong(&format!("{member:?} is missing"))),
        }
    }
}

/// Whose credential it is, for the identity, and the way to its tokens.
pub(super) fn read(
    named: &str,
    text: &str,
    surroundings: &Surroundings,
) -> Result<(String, Grant), CredentialError> {
    let json: Value = serde_json::from_str(text)
        .map_err(|_| CredentialError::new(format!("{named}: not a credential file, which is JSON")))?;
    let members = Members { named, object: &json };
    let project = |member: &str| members.optional(member).map(str::to_owned);
    match members.wanted("type")? {
        "service_account" => {
            let account = ServiceAccount::read(&members, TOKEN_URI, surroundings)?;
            let who = account.email().to_owned();
            let base = Base::ServiceAccount(account);
            Ok((who, Grant { base, impersonation: None, project_id: project("project_id") }))
        }
        "authorized_user" => {
            let base = Base::User(user(&members)?);
            let grant = Grant { base, impersonation: None, project_id: project("quota_project_id") };
            Ok(("user".to_owned(), grant))
        }
        "external_account" => {
            let external = External::read(&members, surroundings)?;
            let who = external.audience().to_owned();
            let impersonation = match members.optional("service_account_impersonation_url") {
                Some(_) => Some(impersonation(&members, surroundings)?),
                None => None,
            };
            let base = Base::External(external);
            Ok((who, Grant { base, impersonation, project_id: project("quota_project_id") }))
        }
        "impersonated_service_account" => impersonated(&members, surroundings),
        other => {
            // The kinds that Google has, and no free text out of a file that may be something else.
            let known = ["external_account_authorized_user", "gdch_service_account"].contains(&other);
            let kind = if known { other } else { "that" };
            Err(members.wrong(&format!(
                "credentials of the type {kind} are not supported; service_account, authorized_user, \
                 external_account and impersonated_service_account are"
            )))
        }
    }
}

fn user(members: &Members<'_>) -> Result<FormGrant, CredentialError> {
    let form = vec![
        ("grant_type", Secret::new("refresh_token")),
        ("client_id", Secret::new(members.wanted("client_id")?)),
        ("client_secret", Secret::new(members.wanted("client_secret")?)),
        ("refresh_token", Secret::new(members.wanted("refresh_token")?)),
    ];
    let place = members.place("token_uri", Some(TOKEN_URI))?;
    Ok(FormGrant { giver: "Google", place, form, headers: HeaderMap::new() })
}

/// What `gcloud auth application-default login --impersonate-service-account` leaves behind.
fn impersonated(
    members: &Members<'_>,
    surroundings: &Surroundings,
) -> Result<(String, Grant), CredentialError> {
    let named = format!("{}: \"source_credentials\"", members.named);
    let object = members.object.get("source_credentials").unwrap_or(&Value::Null);
    let source = Members { named: &named, object };
    let base = match source.wanted("type")? {
        "authorized_user" => Base::User(user(&source)?),
        "service_account" => Base::ServiceAccount(ServiceAccount::read(&source, TOKEN_URI, surroundings)?),
        "external_account" => Base::External(External::read(&source, surroundings)?),
        _ => return Err(source.wrong("its type cannot impersonate a service account")),
    };
    let impersonation = impersonation(members, surroundings)?;
    let who = impersonation.place.target();
    let project_id = members.optional("quota_project_id").map(str::to_owned);
    Ok((who, Grant { base, impersonation: Some(impersonation), project_id }))
}

fn impersonation(
    members: &Members<'_>,
    surroundings: &Surroundings,
) -> Result<Impersonation, CredentialError> {
    let delegates = members.object.get("delegates").and_then(Value::as_array);
    let options = members.object.get("service_account_impersonation");
    let lifetime = options.and_then(|options| options.get("token_lifetime_seconds")).and_then(Value::as_u64);
    Ok(Impersonation {
        place: members.place("service_account_impersonation_url", None)?,
        delegates: delegates.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect(),
        lifetime_seconds: lifetime.unwrap_or(LIFETIME_SECONDS),
        surroundings: surroundings.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        read("key.json", text, &Surroundings::of_process()).err().unwrap().to_string()
    }

    #[test]
    fn what_is_wrong_with_a_file_is_said_without_its_values() {
        let check = |text: &str, expected: &str| {
            let error = error(text);
            assert!(error.starts_with("key.json: ") && error.contains(expected), "{error}");
            assert!(!error.contains("sk-secret"), "{error}");
        };
        check("sk-secret", "not a credential file, which is JSON");
        check(r#"{"private_key":"sk-secret"}"#, r#""type" is missing"#);
        check(r#"{"type":"sk-secret"}"#, "credentials of the type that are not supported");
        check(
            r#"{"type":"gdch_service_account"}"#,
            "credentials of the type gdch_service_account are not supported",
        );
        check(r#"{"type":"service_account","client_email":"a@b"}"#, r#""private_key" is missing"#);
        check(
            r#"{"type":"service_account","client_email":"a@b","private_key":"sk-secret"}"#,
            r#""private_key" is not an RSA key"#,
        );
        check(
            r#"{"type":"authorized_user","client_id":"a","client_secret":"sk-secret"}"#,
            r#""refresh_token" is missing"#,
        );
        check(
            r#"{"type":"authorized_user","client_id":"a","client_secret":"b","refresh_token":"c","token_uri":"sk-secret"}"#,
            r#""token_uri": the scheme must be http or https"#,
        );
        check(r#"{"type":"impersonated_service_account"}"#, r#""source_credentials": "type" is missing"#);
        check(
            r#"{"type":"impersonated_service_account","source_credentials":{"type":"sk-secret"}}"#,
            "its type cannot impersonate",
        );
    }

    #[test]
    fn the_project_is_the_one_that_the_credential_names() {
        let text = r#"{"type":"authorized_user","client_id":"a","client_secret":"b","refresh_token":"c",
            "quota_project_id":"p-1"}"#;
        let (_, grant) = read("key.json", text, &Surroundings::of_process()).unwrap();
        assert_eq!(grant.project_id(), Some("p-1"));
    }
}
