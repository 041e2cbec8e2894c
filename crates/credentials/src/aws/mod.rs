//! AWS keys: which are meant, how they are fetched, and how they are kept fresh.
//!
//! Owns: [`AwsKeys`], [`AwsParameters`] and [`AwsSource`]. Which credential the parameters and surroundings mean is
//! decided in `chain.rs` out of files read in `profile.rs`; the first keys come from `container.rs`, `instance.rs`, a web
//! identity or a fixed pair, and roles are assumed from there in `sts.rs`.
//!
//! **Invariant:** configuration files are read when the source is made; tokens that others renew on disk, at each
//! renewal. **Invariant:** no program is run, whatever a profile says.

mod chain;
mod container;
mod instance;
mod profile;
mod sts;
mod web_identity;

use crate::call::Courier;
use crate::error::CredentialError;
use crate::renewal::{Fetch, Fresh, Renewal};
use crate::secret::Secret;
use crate::surroundings::Surroundings;
use container::Container;
use instance::Instance;
use serde_json::Value;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use sts::{Role, Sts};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tollgate_upstream::{Client, Failure};
use web_identity::WebIdentity;

/// What LiteLLM's parameters of the same names (with `aws_` before them) say. What is not given is looked for in the
/// variables of those names in upper case, and then where AWS's own tools look.
#[derive(Debug, Clone, Default)]
pub struct AwsParameters {
    /// `aws_access_key_id`.
    pub access_key_id: Option<String>,
    /// `aws_secret_access_key`.
    pub secret_access_key: Option<Secret>,
    /// `aws_session_token`.
    pub session_token: Option<Secret>,
    /// `aws_region_name`.
    pub region_name: Option<String>,
    /// `aws_session_name`: by which an assumed role is seen in the audit log.
    pub session_name: Option<String>,
    /// `aws_profile_name`.
    pub profile_name: Option<String>,
    /// `aws_role_name`: the ARN of a role to be assumed.
    pub role_name: Option<String>,
    /// `aws_web_identity_token`: `oidc/file/..`, `oidc/env/..`, `oidc/env_path/..`, the name of a variable, or the token.
    pub web_identity_token: Option<Secret>,
    /// `aws_sts_endpoint`.
    pub sts_endpoint: Option<String>,
    /// `aws_external_id`.
    pub external_id: Option<String>,
}

/// A pair of keys, and the token that temporary ones need besides.
#[derive(Clone, PartialEq, Eq)]
pub struct AwsKeys(Arc<Keys>);

#[derive(PartialEq, Eq)]
struct Keys {
    access_key_id: Secret,
    secret_access_key: Secret,
    session_token: Option<Secret>,
}

impl fmt::Debug for AwsKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AwsKeys").finish_non_exhaustive()
    }
}

impl AwsKeys {
    /// The keys of a user, or of a session.
    pub fn new(
        access_key_id: impl Into<Box<str>>,
        secret_access_key: impl Into<Box<str>>,
        session_token: Option<&str>,
    ) -> Self {
        Self(Arc::new(Keys {
            access_key_id: Secret::new(access_key_id),
            secret_access_key: Secret::new(secret_access_key),
            session_token: session_token.map(Secret::new),
        }))
    }

    /// Says whose keys they are.
    pub fn access_key_id(&self) -> &str {
        self.0.access_key_id.expose()
    }

    /// Signs.
    pub fn secret_access_key(&self) -> &Secret {
        &self.0.secret_access_key
    }

    /// Goes along with temporary keys.
    pub fn session_token(&self) -> Option<&Secret> {
        self.0.session_token.as_ref()
    }
}

/// Where the first keys come from.
enum First {
    Fixed(AwsKeys),
    WebIdentity(WebIdentity),
    Container(Container),
    Instance(Instance),
}

/// The way to a deployment's keys: the first ones, and the roles that are assumed from there, one after another.
pub(crate) struct Plan {
    first: First,
    roles: Vec<Role>,
    sts: Sts,
    surroundings: Surroundings,
}

impl Fetch for Plan {
    type Value = AwsKeys;

    async fn fetch(&self, courier: Courier<'_>) -> Result<Fresh<AwsKeys>, Failure> {
        let mut fresh = match &self.first {
            First::Fixed(keys) => Fresh { value: keys.clone(), life: None },
            First::WebIdentity(identity) => self.sts.with_web_identity(courier, identity).await?,
            First::Container(container) => container.fetch(courier, &self.surroundings).await?,
            First::Instance(instance) => instance.fetch(courier, &self.surroundings).await?,
        };
        for role in &self.roles {
            fresh = self.sts.assume(courier, role, &fresh.value).await?;
        }
        Ok(fresh)
    }
}

/// Where a deployment's AWS keys come from: fetched once, used until shortly before their end, renewed beside the
/// requests. Share one among deployments, workers and reloads by its [`AwsSource::identity`].
#[derive(Debug)]
pub struct AwsSource {
    renewal: Arc<Renewal<Plan>>,
    region: Option<String>,
}

impl AwsSource {
    /// What the parameters mean, in LiteLLM's order: a web identity with a role, a role, a profile, keys; else AWS's
    /// default chain: variables, profile (role, web identity, keys), container, instance.
    ///
    /// # Errors
    /// The parameters contradict each other, a profile is not there or wants what is not supported (SSO,
    /// `credential_process`, MFA), or nothing is configured at all.
    pub fn new(
        parameters: &AwsParameters,
        surroundings: &Surroundings,
    ) -> Result<Arc<Self>, CredentialError> {
        let chain::Resolved { identity, region, plan } = chain::resolve(parameters, surroundings)?;
        Ok(Arc::new(Self { renewal: Renewal::new(identity, plan), region }))
    }

    /// What tells one credential from another, within this process; has no secret in it.
    pub fn identity(&self) -> &str {
        self.renewal.identity()
    }

    /// The region of the parameters, of `AWS_REGION_NAME`, `AWS_REGION` or `AWS_DEFAULT_REGION`, or of the profile.
    pub fn region(&self) -> Option<&str> {
        self.region.as_deref()
    }

    /// Fetches the first keys in the background, and keeps them renewed. Must be called within a runtime.
    pub fn start(self: &Arc<Self>, client: &Arc<Client>) {
        self.renewal.keep(client);
    }

    /// The keys; waits only when none hold, and then for 12 s at most.
    ///
    /// # Errors
    /// [`tollgate_upstream::Kind::Protocol`] when the credential was refused; other kinds when nobody was reached. For
    /// a while after a failure, five seconds at most, it is the same failure without another try.
    pub async fn keys(self: &Arc<Self>, client: &Arc<Client>) -> Result<AwsKeys, Failure> {
        self.renewal.current(client).await
    }
}

/// What follows a service's name and region in AWS's host names, by the region's partition: `amazonaws.com` for most.
pub fn dns_suffix(region: &str) -> &'static str {
    // The partitions of AWS's endpoint rules.
    const SUFFIXES: [(&str, &str); 6] = [
        ("cn-", "amazonaws.com.cn"),
        ("us-iso-", "c2s.ic.gov"),
        ("us-isob-", "sc2s.sgov.gov"),
        ("us-isof-", "csp.hci.ic.gov"),
        ("eu-isoe-", "cloud.adc-e.uk"),
        ("eusc-", "amazonaws.eu"),
    ];
    let found = SUFFIXES.iter().find(|(prefix, _)| region.starts_with(prefix));
    found.map_or("amazonaws.com", |(_, suffix)| suffix)
}

/// How long something that ends at `text` (RFC 3339) lives from `now`; no time at all when it has ended.
fn life_until(text: &str, now: SystemTime) -> Option<Duration> {
    let ends = OffsetDateTime::parse(text.trim(), &Rfc3339).ok()?;
    Some(Duration::try_from(ends - OffsetDateTime::from(now)).unwrap_or_default())
}

/// The keys of a metadata service's reply: members as both container and instance services write them.
fn keys_of(json: &Value, now: SystemTime) -> Option<Fresh<AwsKeys>> {
    let text = |member: &str| json.get(member)?.as_str().filter(|text| !text.is_empty());
    let value = AwsKeys::new(text("AccessKeyId")?, text("SecretAccessKey")?, text("Token"));
    let life = match text("Expiration") {
        Some(ends) => Some(life_until(ends, now)?),
        None => None,
    };
    Some(Fresh { value, life })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::UNIX_EPOCH;

    #[test]
    fn keys_are_never_printed() {
        let keys = AwsKeys::new("AKIDEXAMPLE", "sk-secret", Some("token-secret"));
        assert_eq!(format!("{keys:?}"), "AwsKeys { .. }");
    }

    #[test]
    fn an_end_in_the_past_leaves_no_life() {
        let now = UNIX_EPOCH + Duration::from_secs(1_440_938_160);
        for (text, expected) in [
            ("2015-08-30T12:37:00Z", Some(60)),
            ("2015-08-30T13:36:00.000Z", Some(3_600)),
            ("2015-08-30T14:36:00+01:00", Some(3_600)),
            ("2015-08-30T12:35:00Z", Some(0)),
            ("1440938160", None),
            ("", None),
        ] {
            assert_eq!(life_until(text, now), expected.map(Duration::from_secs), "{text}");
        }
    }

    #[test]
    fn a_region_says_in_which_domain_its_services_are() {
        for (region, expected) in [
            ("us-east-1", "amazonaws.com"),
            ("us-gov-west-1", "amazonaws.com"),
            ("cn-north-1", "amazonaws.com.cn"),
            ("us-iso-east-1", "c2s.ic.gov"),
            ("us-isob-east-1", "sc2s.sgov.gov"),
            ("eusc-de-east-1", "amazonaws.eu"),
        ] {
            assert_eq!(dns_suffix(region), expected, "{region}");
        }
    }
}
