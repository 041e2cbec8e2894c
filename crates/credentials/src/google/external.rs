//! Workload identity federation: a token of somebody else's is exchanged for one of Google's (RFC 8693, AIP-4117).
//!
//! Subject tokens come from a file or a URL, and are asked for anew at each renewal, since others renew them.
//! Executables are never run, and AWS's and certificates' ways are said to be missing.

use super::SCOPE;
use super::file::Members;
use crate::call::{Courier, Place, basic, refused};
use crate::error::CredentialError;
use crate::renewal::Fresh;
use crate::secret::Secret;
use crate::surroundings::Surroundings;
use crate::token::read_token;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use std::path::PathBuf;
use tollgate_upstream::{Failure, Trust};

/// Google's Security Token Service.
const TOKEN_URL: &str = "https://sts.googleapis.com/v1/token";
const GRANT: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const REQUESTED: &str = "urn:ietf:params:oauth:token-type:access_token";

/// A workload's identity, and who it is to Google.
pub(super) struct External {
    audience: String,
    subject_token_type: String,
    place: Place,
    subject: Subject,
    /// `Authorization: Basic` of a client, where there is one.
    headers: HeaderMap,
    user_project: Option<String>,
}

/// Where the subject token is.
struct Subject {
    source: Source,
    /// The member of a JSON object that is the token; the whole text without it.
    field: Option<String>,
}

enum Source {
    File(PathBuf, Surroundings),
    Url(Box<Place>, HeaderMap),
}

impl External {
    pub(super) fn read(members: &Members<'_>, surroundings: &Surroundings) -> Result<Self, CredentialError> {
        let headers = match (members.optional("client_id"), members.optional("client_secret")) {
            (Some(id), Some(secret)) => basic(id, &Secret::new(secret)),
            _ => HeaderMap::new(),
        };
        let user_project = members.optional("workforce_pool_user_project").map(str::to_owned);
        Ok(Self {
            audience: members.wanted("audience")?.to_owned(),
            subject_token_type: members.wanted("subject_token_type")?.to_owned(),
            place: members.place("token_url", Some(TOKEN_URL))?,
            subject: Subject::read(members, surroundings)?,
            // A client's id says the project already.
            user_project: user_project.filter(|_| headers.is_empty()),
            headers,
        })
    }

    pub(super) fn audience(&self) -> &str {
        &self.audience
    }

    pub(super) async fn fetch(&self, courier: Courier<'_>) -> Result<Fresh<HeaderValue>, Failure> {
        let subject = self.subject.fetch(courier).await?;
        let options = self.user_project.as_ref().map(|project| json!({"userProject": project}).to_string());
        let mut form = vec![
            ("grant_type", GRANT),
            ("audience", self.audience.as_str()),
            ("scope", SCOPE),
            ("requested_token_type", REQUESTED),
            ("subject_token", subject.expose()),
            ("subject_token_type", self.subject_token_type.as_str()),
        ];
        form.extend(options.as_deref().map(|options| ("options", options)));
        let answer = courier.post_form(&self.place, &form, self.headers.clone()).await?;
        let token = answer.json().as_ref().and_then(read_token);
        token.ok_or_else(|| answer.refusal("Google did not take the workload's token"))
    }
}

impl Subject {
    fn read(members: &Members<'_>, surroundings: &Surroundings) -> Result<Self, CredentialError> {
        let named = format!("{}: \"credential_source\"", members.named);
        let object = members.object.get("credential_source").unwrap_or(&Value::Null);
        let given = Members { named: &named, object };
        if let Some(unknown) =
            ["environment_id", "executable", "certificate"].iter().find(|name| object.get(**name).is_some())
        {
            return Err(given
                .wrong(&format!("{unknown:?} is not supported; a token from a \"file\" or a \"url\" is")));
        }
        let source = match (given.optional("file"), given.optional("url")) {
            (Some(path), _) => Source::File(PathBuf::from(path), surroundings.clone()),
            (None, Some(url)) => {
                let place = Place::parse(&format!("{named}: \"url\""), url, Trust::Operator)?;
                Source::Url(Box::new(place), headers(&given)?)
            }
            (None, None) => return Err(given.wrong("\"file\" or \"url\" is missing")),
        };
        let format = object.get("format").unwrap_or(&Value::Null);
        let format = Members { named: &named, object: format };
        let field = match format.optional("type") {
            Some("json") => Some(format.wanted("subject_token_field_name")?.to_owned()),
            Some("text") | None => None,
            Some(_) => return Err(given.wrong("\"format\" has a type that is neither text nor json")),
        };
        Ok(Self { source, field })
    }

    async fn fetch(&self, courier: Courier<'_>) -> Result<Secret, Failure> {
        let text = match &self.source {
            Source::File(path, surroundings) => surroundings.text_aside(path).await?,
            Source::Url(place, headers) => {
                let answer = courier.get(place, headers.clone()).await?;
                let text = answer.text().map(Secret::new);
                text.ok_or_else(|| answer.refusal("there was no subject token"))?
            }
        };
        let token = match &self.field {
            Some(field) => serde_json::from_str(text.expose())
                .ok()
                .and_then(|json: Value| json.get(field)?.as_str().map(Secret::new)),
            None => Some(Secret::new(text.expose().trim())),
        };
        token
            .filter(|token| !token.expose().is_empty())
            .ok_or_else(|| refused("the subject token is missing where it should be"))
    }
}

fn headers(given: &Members<'_>) -> Result<HeaderMap, CredentialError> {
    let mut headers = HeaderMap::new();
    for (name, value) in given.object.get("headers").and_then(Value::as_object).into_iter().flatten() {
        let wrong = || given.wrong("\"headers\" has one that is no header");
        let name = HeaderName::try_from(name.as_str()).map_err(|_| wrong())?;
        let mut value = HeaderValue::from_str(value.as_str().ok_or_else(wrong)?).map_err(|_| wrong())?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_supported_is_said_and_nothing_is_run() {
        let check = |source: &str, expected: &str| {
            let text = format!(r#"{{"audience":"a","subject_token_type":"t","credential_source":{source}}}"#);
            let object: Value = serde_json::from_str(&text).unwrap();
            let members = Members { named: "key.json", object: &object };
            let error = External::read(&members, &Surroundings::of_process()).err().unwrap().to_string();
            assert_eq!(error, format!("key.json: \"credential_source\": {expected}"));
        };
        let missing = "is not supported; a token from a \"file\" or a \"url\" is";
        check(r#"{"executable":{"command":"rm"}}"#, &format!("\"executable\" {missing}"));
        check(r#"{"environment_id":"aws1"}"#, &format!("\"environment_id\" {missing}"));
        check(r#"{"certificate":{}}"#, &format!("\"certificate\" {missing}"));
        check("{}", "\"file\" or \"url\" is missing");
        check(r#"{"url":"nowhere"}"#, "\"url\": the scheme must be http or https");
        check(r#"{"url":"http://x.test","headers":{"a b":"c"}}"#, "\"headers\" has one that is no header");
        check(r#"{"file":"/t","format":{"type":"json"}}"#, "\"subject_token_field_name\" is missing");
        check(
            r#"{"file":"/t","format":{"type":"xml"}}"#,
            "\"format\" has a type that is neither text nor json",
        );
    }
}
