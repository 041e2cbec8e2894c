//! The AWS Security Token Service: roles for keys and for web identities (STS API reference, version 2011-06-15).
//!
//! **Invariant:** of a refusal, the code is kept where it is one of STS's own, and nothing else.

use super::web_identity::WebIdentity;
use super::{AwsKeys, dns_suffix, life_until};
use crate::call::{Answer, Courier, Place, refused};
use crate::encoding::form;
use crate::error::CredentialError;
use crate::renewal::Fresh;
use crate::sigv4::{Request, Scope, body_sha256, sign};
use crate::surroundings::Surroundings;
use bytes::Bytes;
use http::Method;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use std::time::SystemTime;
use tollgate_upstream::{Failure, Trust};

const VERSION: &str = "2011-06-15";
const FORM: &str = "application/x-www-form-urlencoded; charset=utf-8";
/// The name of a session that nobody named.
const SESSION_NAME: &str = "tollgate";
/// Where the service is when no region is known, and the region that signs there.
const GLOBAL: &str = "https://sts.amazonaws.com";
const GLOBAL_REGION: &str = "us-east-1";

/// Codes that say what is wrong, of the API reference's common errors and those of the two actions.
const CODES: [&str; 15] = [
    "AccessDenied",
    "ExpiredToken",
    "ExpiredTokenException",
    "IDPCommunicationError",
    "IDPRejectedClaim",
    "IncompleteSignature",
    "InternalFailure",
    "InvalidClientTokenId",
    "InvalidIdentityToken",
    "MalformedPolicyDocument",
    "RegionDisabledException",
    "RequestExpired",
    "SignatureDoesNotMatch",
    "Throttling",
    "ValidationError",
];

/// A role to be assumed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Role {
    pub(super) arn: String,
    pub(super) session_name: Option<String>,
    pub(super) external_id: Option<String>,
    pub(super) duration_seconds: Option<u32>,
}

/// The service in one region.
pub(super) struct Sts {
    place: Place,
    region: String,
    surroundings: Surroundings,
}

impl Sts {
    /// At `endpoint`, or else where AWS has it for the region. The region of an endpoint's own name signs before the one
    /// that is given.
    pub(super) fn new(
        endpoint: Option<&str>,
        region: Option<&str>,
        surroundings: &Surroundings,
    ) -> Result<Self, CredentialError> {
        // The operator's network may lead AWS's names to its own addresses (PrivateLink), so they are the operator's.
        let (url, region) = match (endpoint, region) {
            (Some(endpoint), region) => {
                let region = region_of(endpoint).or(region).unwrap_or(GLOBAL_REGION);
                (endpoint.to_owned(), region)
            }
            (None, Some(region)) => (format!("https://sts.{region}.{}", dns_suffix(region)), region),
            (None, None) => (GLOBAL.to_owned(), GLOBAL_REGION),
        };
        let place = Place::parse("aws_sts_endpoint", &url, Trust::Operator)?;
        Ok(Self { place, region: region.to_owned(), surroundings: surroundings.clone() })
    }

    pub(super) fn describe(&self) -> String {
        format!("{} {}", self.place.host(), self.region)
    }

    /// `AssumeRole`, signed with the keys that there are.
    pub(super) async fn assume(
        &self,
        courier: Courier<'_>,
        role: &Role,
        keys: &AwsKeys,
    ) -> Result<Fresh<AwsKeys>, Failure> {
        let duration = role.duration_seconds.map(|seconds| seconds.to_string());
        let mut pairs = parameters("AssumeRole", role, duration.as_deref());
        pairs.extend(role.external_id.as_deref().map(|id| ("ExternalId", id)));
        let body = Bytes::from(form(&pairs));
        let now = self.surroundings.now();
        let mut headers = self.signature(&body, keys, now).map_err(|error| refused(error.to_string()))?;
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(FORM));
        let answer = courier.send(Method::POST, &self.place, headers, body).await?;
        read(&answer, now)
    }

    /// `AssumeRoleWithWebIdentity`, which the token itself proves.
    pub(super) async fn with_web_identity(
        &self,
        courier: Courier<'_>,
        identity: &WebIdentity,
    ) -> Result<Fresh<AwsKeys>, Failure> {
        let token = identity.token.read(&self.surroundings).await?;
        let duration = identity.role.duration_seconds.map(|seconds| seconds.to_string());
        let mut pairs = parameters("AssumeRoleWithWebIdentity", &identity.role, duration.as_deref());
        pairs.push(("WebIdentityToken", token.expose()));
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(FORM))]);
        let now = self.surroundings.now();
        let answer = courier.send(Method::POST, &self.place, headers, Bytes::from(form(&pairs))).await?;
        read(&answer, now)
    }

    fn signature(&self, body: &[u8], keys: &AwsKeys, now: SystemTime) -> Result<HeaderMap, CredentialError> {
        let host = self.place.authority().to_str().unwrap_or_default();
        let target = self.place.target();
        let request = Request {
            method: "POST",
            target: &target,
            headers: &[("host", host), ("content-type", FORM)],
            body_sha256: body_sha256([body]),
        };
        sign(&request, keys, &Scope { region: &self.region, service: "sts", now })
    }
}

fn parameters<'a>(
    action: &'a str,
    role: &'a Role,
    duration: Option<&'a str>,
) -> Vec<(&'static str, &'a str)> {
    let session_name = role.session_name.as_deref().unwrap_or(SESSION_NAME);
    let mut pairs = vec![
        ("Action", action),
        ("Version", VERSION),
        ("RoleArn", role.arn.as_str()),
        ("RoleSessionName", session_name),
    ];
    pairs.extend(duration.map(|duration| ("DurationSeconds", duration)));
    pairs
}

/// The region in `sts.eu-west-1.amazonaws.com` and `vpce-x.sts.eu-west-1.vpce.amazonaws.com`.
fn region_of(endpoint: &str) -> Option<&str> {
    let host = endpoint.split_once("://").map_or(endpoint, |(_, rest)| rest);
    let host = host.split(['/', ':', '?']).next()?;
    if !host.contains(".amazonaws.") {
        return None;
    }
    let mut labels = host.split('.').skip_while(|label| !matches!(*label, "sts" | "sts-fips")).skip(1);
    labels.next().filter(|label| label.contains('-'))
}

fn read(answer: &Answer, now: SystemTime) -> Result<Fresh<AwsKeys>, Failure> {
    let refusal = || {
        let body = std::str::from_utf8(&answer.body).unwrap_or_default();
        let code = element(body, "Code");
        let code = CODES.into_iter().find(|known| code.as_deref() == Some(*known));
        answer.refusal_saying("STS gave no keys", code)
    };
    let keys = answer.text().and_then(|body| {
        let body = element(body, "Credentials")?;
        let value = AwsKeys::new(
            element(&body, "AccessKeyId")?,
            element(&body, "SecretAccessKey")?,
            Some(&element(&body, "SessionToken")?),
        );
        Some(Fresh { value, life: Some(life_until(&element(&body, "Expiration")?, now)?) })
    });
    keys.ok_or_else(refusal)
}

/// The text of the first element of that name. STS's replies have neither attributes nor CDATA in what is read here, and
/// each of the names once.
fn element(xml: &str, name: &str) -> Option<String> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    let text = text.trim();
    let mut plain = text.to_owned();
    if !text.contains('<') {
        for (entity, character) in
            [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")]
        {
            plain = plain.replace(entity, character);
        }
    }
    Some(plain).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::StatusCode;
    use std::time::{Duration, UNIX_EPOCH};

    fn answer(status: u16, body: &str) -> Answer {
        let status = StatusCode::from_u16(status).unwrap();
        Answer { status, headers: HeaderMap::new(), body: Bytes::copy_from_slice(body.as_bytes()) }
    }

    fn sts(endpoint: Option<&str>, region: Option<&str>) -> Sts {
        Sts::new(endpoint, region, &Surroundings::of_process()).unwrap()
    }

    #[test]
    fn the_service_is_asked_in_the_region_and_the_endpoints_own_region_signs() {
        let check = |endpoint: Option<&str>, region: Option<&str>, expected: &str| {
            assert_eq!(sts(endpoint, region).describe(), expected);
        };
        check(None, None, "sts.amazonaws.com us-east-1");
        check(None, Some("eu-west-1"), "sts.eu-west-1.amazonaws.com eu-west-1");
        check(None, Some("cn-north-1"), "sts.cn-north-1.amazonaws.com.cn cn-north-1");
        check(
            Some("https://sts.us-west-2.amazonaws.com"),
            Some("eu-west-1"),
            "sts.us-west-2.amazonaws.com us-west-2",
        );
        check(
            Some("https://vpce-1.sts.eu-west-1.vpce.amazonaws.com/"),
            None,
            "vpce-1.sts.eu-west-1.vpce.amazonaws.com eu-west-1",
        );
        check(Some("https://sts.amazonaws.com"), Some("eu-west-1"), "sts.amazonaws.com eu-west-1");
        check(Some("http://127.0.0.1:4566"), None, "127.0.0.1 us-east-1");
    }

    #[test]
    fn keys_are_read_from_the_reply() {
        let xml = "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult>
            <AssumedRoleUser><Arn>arn</Arn></AssumedRoleUser><Credentials><AccessKeyId>ASIA</AccessKeyId>
            <SecretAccessKey>a&amp;b/+=</SecretAccessKey><SessionToken> t&lt;u </SessionToken>
            <Expiration>2015-08-30T13:36:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>";
        let now = UNIX_EPOCH + Duration::from_secs(1_440_938_160);
        let fresh = read(&answer(200, xml), now).unwrap();
        assert!(fresh.value == AwsKeys::new("ASIA", "a&b/+=", Some("t<u")));
        assert_eq!(fresh.life, Some(Duration::from_secs(3_600)));
    }

    #[test]
    fn a_refusal_says_the_code_and_nothing_of_the_reply() {
        let check = |status: u16, body: &str, expected: &str| {
            let failure = read(&answer(status, body), UNIX_EPOCH).err().unwrap();
            assert_eq!(failure.detail, expected);
        };
        let error =
            "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>sk-secret</Message>";
        check(403, error, "STS gave no keys (status 403, AccessDenied)");
        check(403, "<Code>sk-secret</Code>", "STS gave no keys (status 403)");
        check(
            200,
            "<Credentials><AccessKeyId>sk-secret</AccessKeyId></Credentials>",
            "STS gave no keys (status 200)",
        );
        check(200, "", "STS gave no keys (status 200)");
    }
}
