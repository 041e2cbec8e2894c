//! Keys of a virtual machine's role, from the EC2 instance metadata service, version 2 (EC2 user guide, "Use the Instance
//! Metadata Service").
//!
//! Version 1, which answers whoever asks, is not used.

use super::{AwsKeys, keys_of};
use crate::call::{Courier, Place, header};
use crate::encoding::percent;
use crate::error::CredentialError;
use crate::renewal::Fresh;
use crate::surroundings::Surroundings;
use bytes::Bytes;
use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, Method};
use std::time::Duration;
use tollgate_upstream::{Failure, Trust};

const ENDPOINT: &str = "AWS_EC2_METADATA_SERVICE_ENDPOINT";
const IPV4: &str = "http://169.254.169.254";
const IPV6: &str = "http://[fd00:ec2::254]";
const ROLES: &str = "/latest/meta-data/iam/security-credentials/";
/// The session token and its life in seconds, which may be 6 h at most; ours is for one renewal.
const TTL: HeaderName = HeaderName::from_static("x-aws-ec2-metadata-token-ttl-seconds");
const TTL_SECONDS: HeaderValue = HeaderValue::from_static("60");
const TOKEN: HeaderName = HeaderName::from_static("x-aws-ec2-metadata-token");
/// Keys that have ended are what the service gives while it cannot renew them itself; AWS still takes them, and its own
/// tools go on with them for some minutes (AWS SDKs and Tools Reference Guide, "static stability").
const STALE_LIFE: Duration = Duration::from_secs(600);

pub(super) struct Instance {
    session: Place,
}

impl Instance {
    /// `None` where the variables switch it off.
    pub(super) fn find(surroundings: &Surroundings) -> Result<Option<Self>, CredentialError> {
        let is = |name: &str, value: &str| {
            surroundings.variable(name).is_some_and(|given| given.trim().eq_ignore_ascii_case(value))
        };
        if is("AWS_EC2_METADATA_DISABLED", "true") {
            return Ok(None);
        }
        let named = surroundings.variable(ENDPOINT);
        let default = if is("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "ipv6") { IPV6 } else { IPV4 };
        let base = named.as_deref().unwrap_or(default);
        Ok(Some(Self { session: Place::below(ENDPOINT, base, "/latest/api/token", Trust::Operator)? }))
    }

    pub(super) fn host(&self) -> &str {
        self.session.host()
    }

    pub(super) async fn fetch(
        &self,
        courier: Courier<'_>,
        surroundings: &Surroundings,
    ) -> Result<Fresh<AwsKeys>, Failure> {
        let refusal = "the instance's metadata service gave no keys";
        let answer = courier.send(Method::PUT, &self.session, header(TTL, TTL_SECONDS), Bytes::new()).await?;
        let token = answer.text().and_then(|text| HeaderValue::from_str(text.trim()).ok());
        let mut token = token.ok_or_else(|| answer.refusal(refusal))?;
        token.set_sensitive(true);
        let headers: HeaderMap = header(TOKEN, token);
        let roles = self.session.at(ROLES).ok_or_else(|| answer.refusal(refusal))?;
        let answer = courier.get(&roles, headers.clone()).await?;
        // One role, or several of which the first is meant.
        let role = answer.text().and_then(|text| text.lines().next()).map(str::trim);
        let role = role.filter(|role| !role.is_empty());
        let place = role.and_then(|role| self.session.at(&format!("{ROLES}{}", percent(role))));
        let place = place.ok_or_else(|| answer.refusal("the instance's metadata service names no role"))?;
        let answer = courier.get(&place, headers).await?;
        let keys = answer.json().and_then(|json| keys_of(&json, surroundings.now()));
        let mut keys = keys.ok_or_else(|| answer.refusal(refusal))?;
        if keys.life.is_some_and(|life| life.is_zero()) {
            tracing::warn!("the instance's metadata service gave keys that have ended; going on with them");
            keys.life = Some(STALE_LIFE);
        }
        Ok(keys)
    }
}
