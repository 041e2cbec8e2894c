//! Which credential is meant: LiteLLM's parameters first, then AWS's default chain in the order that boto3 documents.
//!
//! Owns: the order. **Invariant:** a profile that wants what is not supported is an error, never passed over for a
//! credential further down that somebody did not mean.

use super::container::Container;
use super::instance::Instance;
use super::profile::{Profile, Profiles};
use super::sts::{Role, Sts};
use super::web_identity::{Token, WebIdentity};
use super::{AwsKeys, AwsParameters, First, Plan};
use crate::error::CredentialError;
use crate::secret::{Secret, fingerprint};
use crate::surroundings::Surroundings;
use std::path::PathBuf;

/// Most roles that are assumed one after another.
const ROLES_MAX: usize = 8;
/// The profile that is meant when none is named.
const DEFAULT_PROFILE: &str = "default";

/// A credential found.
pub(super) struct Resolved {
    pub(super) identity: String,
    pub(super) region: Option<String>,
    pub(super) plan: Plan,
}

/// The first keys, and the roles to assume from there.
struct Way {
    first: First,
    roles: Vec<Role>,
}

impl Way {
    fn just(first: First) -> Self {
        Self { first, roles: Vec::new() }
    }
}

pub(super) fn resolve(
    parameters: &AwsParameters,
    surroundings: &Surroundings,
) -> Result<Resolved, CredentialError> {
    let given = completed(parameters, surroundings);
    let profiles = Profiles::read(surroundings)?;
    let search = Search { profiles: &profiles, surroundings };
    let way = search.way(&given)?;
    let profile = search.profile_name(given.profile_name.as_deref());
    let of_profile = profiles.get(&profile).and_then(|profile| profile.get("region")).map(str::to_owned);
    let standard =
        surroundings.variable("AWS_REGION").or_else(|| surroundings.variable("AWS_DEFAULT_REGION"));
    let region = given.region_name.clone().or_else(|| standard.clone()).or(of_profile);
    let region = region.map(|region| checked_region(&region)).transpose()?;
    // LiteLLM asks STS where the process is, and the model where it is configured to be.
    let sts_region = standard.map(|region| checked_region(&region)).transpose()?.or_else(|| region.clone());
    let sts = Sts::new(given.sts_endpoint.as_deref(), sts_region.as_deref(), surroundings)?;
    let identity = identity(&way, &sts);
    let plan = Plan { first: way.first, roles: way.roles, sts, surroundings: surroundings.clone() };
    Ok(Resolved { identity, region, plan })
}

/// The parameters, and LiteLLM's variables for those that are not given. Keys go together: half a pair from here and half
/// from there is none.
fn completed(given: &AwsParameters, surroundings: &Surroundings) -> AwsParameters {
    let or = |value: &Option<String>, name: &str| {
        value.clone().filter(|value| !value.is_empty()).or_else(|| surroundings.variable(name))
    };
    let secret = |name: &str| surroundings.variable(name).map(Secret::new);
    let has_keys = given.access_key_id.is_some() || given.secret_access_key.is_some();
    let mut complete = AwsParameters {
        region_name: or(&given.region_name, "AWS_REGION_NAME"),
        session_name: or(&given.session_name, "AWS_SESSION_NAME"),
        profile_name: or(&given.profile_name, "AWS_PROFILE_NAME"),
        role_name: or(&given.role_name, "AWS_ROLE_NAME"),
        sts_endpoint: or(&given.sts_endpoint, "AWS_STS_ENDPOINT"),
        external_id: or(&given.external_id, "AWS_EXTERNAL_ID"),
        web_identity_token: given.web_identity_token.clone().or_else(|| secret("AWS_WEB_IDENTITY_TOKEN")),
        ..given.clone()
    };
    if !has_keys {
        complete.access_key_id = surroundings.variable("AWS_ACCESS_KEY_ID");
        complete.secret_access_key = secret("AWS_SECRET_ACCESS_KEY");
        complete.session_token = given.session_token.clone().or_else(|| secret("AWS_SESSION_TOKEN"));
    }
    complete
}

/// What becomes a part of a host's name has only letters, digits and hyphens.
fn checked_region(region: &str) -> Result<String, CredentialError> {
    let region = region.trim();
    let is_name = region.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
    if is_name && !region.is_empty() {
        return Ok(region.to_owned());
    }
    Err(CredentialError::new("the AWS region may have lower-case letters, digits and hyphens only"))
}

fn identity(way: &Way, sts: &Sts) -> String {
    let mut identity = match &way.first {
        First::Fixed(keys) => {
            let token = keys.session_token().map_or("", Secret::expose);
            let secret = keys.secret_access_key().expose();
            format!("aws keys {}", fingerprint(&[keys.access_key_id(), secret, token]))
        }
        First::WebIdentity(web) => format!("aws web identity {} {:?}", web.token.describe(), web.role),
        First::Container(container) => format!("aws container {}", container.host()),
        First::Instance(instance) => format!("aws instance {}", instance.host()),
    };
    for role in &way.roles {
        identity.push_str(&format!(" {role:?}"));
    }
    if !way.roles.is_empty() || matches!(way.first, First::WebIdentity(_)) {
        identity.push_str(&format!(" {}", sts.describe()));
    }
    identity
}

/// What is looked through.
struct Search<'a> {
    profiles: &'a Profiles,
    surroundings: &'a Surroundings,
}

impl Search<'_> {
    /// LiteLLM's order.
    fn way(&self, given: &AwsParameters) -> Result<Way, CredentialError> {
        let keys = pair(given)?;
        let role = given.role_name.as_ref().map(|arn| Role {
            arn: arn.clone(),
            session_name: given.session_name.clone(),
            external_id: given.external_id.clone(),
            duration_seconds: None,
        });
        let explicit_profile = given.profile_name.as_deref();
        match (&given.web_identity_token, role) {
            (Some(token), Some(role)) => {
                let token = Token::parse(token, self.surroundings)?;
                Ok(Way::just(First::WebIdentity(WebIdentity { token, role })))
            }
            (Some(_), None) => {
                Err(CredentialError::new("aws_web_identity_token: aws_role_name is missing beside it"))
            }
            (None, Some(role)) => {
                let mut way = match keys {
                    Some(keys) => Way::just(First::Fixed(keys)),
                    None => self.chain(explicit_profile)?,
                };
                // A pod that has the role already need not be allowed to assume it once more.
                let has_it = matches!(&way.first, First::WebIdentity(web) if web.role.arn == role.arn);
                if !has_it || !way.roles.is_empty() {
                    way.roles.push(role);
                }
                Ok(way)
            }
            (None, None) => match (explicit_profile, keys) {
                (None, Some(keys)) => Ok(Way::just(First::Fixed(keys))),
                (profile, _) => self.chain(profile),
            },
        }
    }

    fn profile_name(&self, explicit: Option<&str>) -> String {
        let named = || {
            let variable = self.surroundings.variable("AWS_PROFILE");
            variable.or_else(|| self.surroundings.variable("AWS_DEFAULT_PROFILE"))
        };
        explicit.map(str::to_owned).or_else(named).unwrap_or_else(|| DEFAULT_PROFILE.to_owned())
    }

    /// AWS's default chain. A profile that was named goes before the variables.
    fn chain(&self, explicit: Option<&str>) -> Result<Way, CredentialError> {
        if explicit.is_none()
            && let Some(keys) = self.keys_of_variables()?
        {
            return Ok(Way::just(First::Fixed(keys)));
        }
        let name = self.profile_name(explicit);
        match self.profiles.get(&name) {
            Some(profile) => {
                let may_use_variables = explicit.is_none();
                if let Some(way) = self.profile(&name, profile, may_use_variables)? {
                    return Ok(way);
                }
            }
            None if name != DEFAULT_PROFILE => {
                return Err(CredentialError::new(format!("the AWS profile {name:?} does not exist")));
            }
            None => {
                if let Some(web) = self.web_identity_of_variables()? {
                    return Ok(Way::just(First::WebIdentity(web)));
                }
            }
        }
        self.machine()
    }

    fn keys_of_variables(&self) -> Result<Option<AwsKeys>, CredentialError> {
        let secret = |name: &str| self.surroundings.variable(name).map(Secret::new);
        pair(&AwsParameters {
            access_key_id: self.surroundings.variable("AWS_ACCESS_KEY_ID"),
            secret_access_key: secret("AWS_SECRET_ACCESS_KEY"),
            session_token: secret("AWS_SESSION_TOKEN"),
            ..AwsParameters::default()
        })
    }

    fn web_identity_of_variables(&self) -> Result<Option<WebIdentity>, CredentialError> {
        let Some(file) = self.surroundings.variable("AWS_WEB_IDENTITY_TOKEN_FILE") else { return Ok(None) };
        let arn = self.surroundings.variable("AWS_ROLE_ARN").ok_or_else(|| {
            CredentialError::new("AWS_WEB_IDENTITY_TOKEN_FILE: AWS_ROLE_ARN is missing beside it")
        })?;
        let role = Role {
            arn,
            session_name: self.surroundings.variable("AWS_ROLE_SESSION_NAME"),
            external_id: None,
            duration_seconds: None,
        };
        Ok(Some(WebIdentity { token: Token::File(PathBuf::from(file)), role }))
    }

    /// What a profile says, in boto3's order: a role with its source, a web identity, SSO, keys, a program.
    fn profile(
        &self,
        name: &str,
        profile: &Profile,
        may_use_variables: bool,
    ) -> Result<Option<Way>, CredentialError> {
        if profile.get("role_arn").is_some() && profile.get("web_identity_token_file").is_none() {
            return self.assumed(name).map(Some);
        }
        if may_use_variables && let Some(web) = self.web_identity_of_variables()? {
            return Ok(Some(Way::just(First::WebIdentity(web))));
        }
        own(name, profile)
    }

    /// Follows `source_profile` from role to role, and turns the way round.
    fn assumed(&self, name: &str) -> Result<Way, CredentialError> {
        let mut roles = Vec::new();
        let mut visited: Vec<String> = Vec::new();
        let mut current = name.to_owned();
        loop {
            let wrong = |reason: &str| CredentialError::new(format!("the AWS profile {current:?}: {reason}"));
            let profile = self.profiles.get(&current).ok_or_else(|| wrong("it does not exist"))?;
            // A profile that is the source of another gives its keys where it has some, as boto3 has it.
            let has_keys = profile.get("aws_access_key_id").is_some();
            let assumes =
                profile.get("role_arn").is_some() && profile.get("web_identity_token_file").is_none();
            if !assumes || (has_keys && !visited.is_empty()) {
                let own = own(&current, profile)?.ok_or_else(|| wrong("it has no credentials of its own"))?;
                roles.reverse();
                return Ok(Way { first: own.first, roles });
            }
            if visited.contains(&current) || roles.len() >= ROLES_MAX {
                return Err(wrong("its source_profile leads nowhere"));
            }
            roles.push(role_of(&current, profile)?);
            match (profile.get("source_profile"), profile.get("credential_source")) {
                (Some(source), None) => {
                    let source = source.to_owned();
                    visited.push(std::mem::replace(&mut current, source));
                }
                (None, Some(source)) => {
                    let first = self.named_source(source).map_err(|error| wrong(&error.to_string()))?;
                    roles.reverse();
                    return Ok(Way { first, roles });
                }
                (Some(_), Some(_)) => return Err(wrong("it has both source_profile and credential_source")),
                (None, None) => return Err(wrong("source_profile or credential_source is missing")),
            }
        }
    }

    fn named_source(&self, source: &str) -> Result<First, CredentialError> {
        let missing =
            || CredentialError::new(format!("credential_source {source:?} has no credentials here"));
        match source {
            "Environment" => self.keys_of_variables()?.map(First::Fixed).ok_or_else(missing),
            "EcsContainer" => Container::find(self.surroundings)?.map(First::Container).ok_or_else(missing),
            "Ec2InstanceMetadata" => {
                Instance::find(self.surroundings)?.map(First::Instance).ok_or_else(missing)
            }
            _ => Err(CredentialError::new(
                "credential_source is none of Environment, EcsContainer and Ec2InstanceMetadata",
            )),
        }
    }

    /// The container's role, or the machine's.
    fn machine(&self) -> Result<Way, CredentialError> {
        if let Some(container) = Container::find(self.surroundings)? {
            return Ok(Way::just(First::Container(container)));
        }
        if let Some(instance) = Instance::find(self.surroundings)? {
            return Ok(Way::just(First::Instance(instance)));
        }
        Err(CredentialError::new(
            "no AWS credentials: neither keys, a profile, a web identity nor a container's role are \
             configured, and AWS_EC2_METADATA_DISABLED forbids to ask for an instance's",
        ))
    }
}

/// A profile's credentials without its `source_profile`.
fn own(name: &str, profile: &Profile) -> Result<Option<Way>, CredentialError> {
    let wrong = |reason: &str| CredentialError::new(format!("the AWS profile {name:?}: {reason}"));
    if let Some(file) = profile.get("web_identity_token_file") {
        let role = role_of(name, profile)?;
        let token = Token::File(PathBuf::from(file));
        return Ok(Some(Way::just(First::WebIdentity(WebIdentity { token, role }))));
    }
    if let Some(setting) = profile.any_beginning("sso_") {
        return Err(wrong(&format!("{setting}: IAM Identity Center (SSO) is not supported")));
    }
    let keys = (profile.get("aws_access_key_id"), profile.get("aws_secret_access_key"));
    match keys {
        (Some(id), Some(secret)) => {
            let keys = AwsKeys::new(id, secret, profile.get("aws_session_token"));
            Ok(Some(Way::just(First::Fixed(keys))))
        }
        (None, None) if profile.get("credential_process").is_some() => {
            Err(wrong("credential_process: programs are not run; use keys, a role or a metadata service"))
        }
        (None, None) => Ok(None),
        _ => Err(wrong("aws_access_key_id and aws_secret_access_key belong together")),
    }
}

fn role_of(name: &str, profile: &Profile) -> Result<Role, CredentialError> {
    let wrong = |reason: &str| CredentialError::new(format!("the AWS profile {name:?}: {reason}"));
    if profile.get("mfa_serial").is_some() {
        return Err(wrong("mfa_serial: nobody is there to type a code"));
    }
    let duration = profile
        .get("duration_seconds")
        .map(|text| text.parse().map_err(|_| wrong("duration_seconds is not a number of seconds")));
    Ok(Role {
        arn: profile.get("role_arn").ok_or_else(|| wrong("role_arn is missing"))?.to_owned(),
        session_name: profile.get("role_session_name").map(str::to_owned),
        external_id: profile.get("external_id").map(str::to_owned),
        duration_seconds: duration.transpose()?,
    })
}

/// A pair of keys, or none.
fn pair(given: &AwsParameters) -> Result<Option<AwsKeys>, CredentialError> {
    match (&given.access_key_id, &given.secret_access_key) {
        (Some(id), Some(secret)) => {
            let token = given.session_token.as_ref().map(Secret::expose);
            Ok(Some(AwsKeys::new(id.as_str(), secret.expose(), token)))
        }
        (None, None) => Ok(None),
        _ => Err(CredentialError::new("aws_access_key_id and aws_secret_access_key belong together")),
    }
}

#[cfg(test)]
mod tests;
