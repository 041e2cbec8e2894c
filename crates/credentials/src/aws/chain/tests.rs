//! Which credential each combination of parameters, variables and files means.

use super::*;
use std::io;
use std::path::Path;
use std::sync::Arc;

const CONFIG: &str = "\
[default]
region = eu-west-1
[profile role]
role_arn = arn:aws:iam::1:role/outer
source_profile = middle
external_id = ext
duration_seconds = 900
role_session_name = me
[profile middle]
role_arn = arn:aws:iam::1:role/inner
source_profile = keys
[profile itself]
role_arn = arn:aws:iam::1:role/self
source_profile = itself
aws_access_key_id = AK-SELF
aws_secret_access_key = sk-secret
[profile a]
role_arn = arn:a
source_profile = b
[profile b]
role_arn = arn:b
source_profile = a
[profile alone]
role_arn = arn:alone
source_profile = alone
[profile both]
role_arn = arn:both
source_profile = keys
credential_source = Environment
[profile neither]
role_arn = arn:neither
[profile lost]
role_arn = arn:lost
source_profile = nowhere
[profile empty]
region = ap-south-1
[profile from-empty]
role_arn = arn:x
source_profile = empty
[profile ec2]
role_arn = arn:ec2
credential_source = Ec2InstanceMetadata
[profile odd]
role_arn = arn:odd
credential_source = Elsewhere
[profile web]
role_arn = arn:aws:iam::1:role/web
web_identity_token_file = /run/token
[profile sso]
sso_start_url = https://corp.test
[profile process]
credential_process = /bin/keys
[profile mfa]
role_arn = arn:mfa
source_profile = keys
mfa_serial = arn:phone
[profile half]
aws_access_key_id = AK-HALF
[profile span]
role_arn = arn:span
source_profile = keys
duration_seconds = an hour
";
const CREDENTIALS: &str = "\
[keys]
aws_access_key_id = AK-KEYS
aws_secret_access_key = sk-secret
";

type Pairs = &'static [(&'static str, &'static str)];

fn surroundings(variables: Pairs) -> Surroundings {
    Surroundings {
        variables: Arc::new(move |name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned()).or_else(|| (name == "HOME").then(|| "/h".to_owned()))
        }),
        files: Arc::new(|path: &Path| match path.to_str().unwrap() {
            "/h/.aws/config" => Ok(CONFIG.into()),
            "/h/.aws/credentials" => Ok(CREDENTIALS.into()),
            _ => Err(io::ErrorKind::NotFound.into()),
        }),
        ..Surroundings::of_process()
    }
}

fn parameters(given: Pairs) -> AwsParameters {
    let text = |name: &str| given.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
    let secret = |name: &str| text(name).map(Secret::new);
    AwsParameters {
        access_key_id: text("access_key_id"),
        secret_access_key: secret("secret_access_key"),
        session_token: secret("session_token"),
        region_name: text("region_name"),
        session_name: text("session_name"),
        profile_name: text("profile_name"),
        role_name: text("role_name"),
        web_identity_token: secret("web_identity_token"),
        sts_endpoint: text("sts_endpoint"),
        external_id: text("external_id"),
    }
}

/// A short description of what is meant: the first keys, then the roles.
fn meant(given: Pairs, variables: Pairs) -> Result<String, String> {
    let found = resolve(&parameters(given), &surroundings(variables)).map_err(|error| error.to_string())?;
    assert!(!found.identity.contains("sk-secret"), "{}", found.identity);
    let mut text = match &found.plan.first {
        First::Fixed(keys) => {
            let token = keys.session_token().map_or("", |_| "+token");
            format!("{}{token}", keys.access_key_id())
        }
        First::WebIdentity(web) => format!("{} for {}", web.token.describe(), web.role.arn),
        First::Container(container) => format!("container {}", container.host()),
        First::Instance(instance) => format!("instance {}", instance.host()),
    };
    for role in &found.plan.roles {
        text.push_str(&format!(" > {}", role.arn));
    }
    Ok(text)
}

const KEYS: Pairs = &[("access_key_id", "AK"), ("secret_access_key", "sk-secret")];
const ENV_KEYS: Pairs = &[("AWS_ACCESS_KEY_ID", "AK-ENV"), ("AWS_SECRET_ACCESS_KEY", "sk-secret")];
const IRSA: Pairs =
    &[("AWS_WEB_IDENTITY_TOKEN_FILE", "/run/pod"), ("AWS_ROLE_ARN", "arn:aws:iam::1:role/pod")];

#[test]
fn parameters_go_before_everything_else() {
    let check = |given: Pairs, variables: Pairs, expected: &str| {
        assert_eq!(meant(given, variables), Ok(expected.to_owned()), "{given:?} {variables:?}");
    };
    check(KEYS, ENV_KEYS, "AK");
    check(
        &[("access_key_id", "AK"), ("secret_access_key", "sk-secret"), ("session_token", "t")],
        &[],
        "AK+token",
    );
    check(KEYS, &[("AWS_SESSION_TOKEN", "of other keys")], "AK");
    check(&[("profile_name", "keys")], ENV_KEYS, "AK-KEYS");
    check(&[("role_name", "arn:r")], ENV_KEYS, "AK-ENV > arn:r");
    check(
        &[("role_name", "arn:r"), ("access_key_id", "AK"), ("secret_access_key", "sk-secret")],
        IRSA,
        "AK > arn:r",
    );
    check(&[("role_name", "arn:r"), ("profile_name", "keys")], &[], "AK-KEYS > arn:r");
    check(&[("role_name", "arn:r")], IRSA, "/run/pod for arn:aws:iam::1:role/pod > arn:r");
    check(&[("role_name", "arn:aws:iam::1:role/pod")], IRSA, "/run/pod for arn:aws:iam::1:role/pod");
    check(&[("role_name", "arn:r"), ("web_identity_token", "oidc/file//t")], ENV_KEYS, "/t for arn:r");
    check(&[], &[("AWS_ROLE_NAME", "arn:r"), ("AWS_PROFILE_NAME", "keys")], "AK-KEYS > arn:r");
}

#[test]
fn the_default_chain_has_boto3s_order() {
    let check = |variables: Pairs, expected: &str| {
        assert_eq!(meant(&[], variables), Ok(expected.to_owned()), "{variables:?}");
    };
    check(&[], "instance 169.254.169.254");
    check(ENV_KEYS, "AK-ENV");
    check(
        &[
            ("AWS_ACCESS_KEY_ID", "AK-ENV"),
            ("AWS_SECRET_ACCESS_KEY", "sk-secret"),
            ("AWS_SESSION_TOKEN", "t"),
            ("AWS_PROFILE", "role"),
        ],
        "AK-ENV+token",
    );
    check(&[("AWS_PROFILE", "keys")], "AK-KEYS");
    check(&[("AWS_DEFAULT_PROFILE", "keys")], "AK-KEYS");
    check(IRSA, "/run/pod for arn:aws:iam::1:role/pod");
    check(
        &[("AWS_PROFILE", "keys"), ("AWS_WEB_IDENTITY_TOKEN_FILE", "/run/pod"), ("AWS_ROLE_ARN", "arn:pod")],
        "/run/pod for arn:pod",
    );
    check(&[("AWS_PROFILE", "web")], "/run/token for arn:aws:iam::1:role/web");
    check(&[("AWS_PROFILE", "role")], "AK-KEYS > arn:aws:iam::1:role/inner > arn:aws:iam::1:role/outer");
    check(&[("AWS_PROFILE", "itself")], "AK-SELF > arn:aws:iam::1:role/self");
    check(&[("AWS_PROFILE", "ec2")], "instance 169.254.169.254 > arn:ec2");
    check(&[("AWS_PROFILE", "empty")], "instance 169.254.169.254");
    check(&[("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/c")], "container 169.254.170.2");
    check(&[("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "IPv6")], "instance fd00:ec2::254");
    check(&[("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1338/")], "instance 127.0.0.1");
}

#[test]
fn what_cannot_be_meant_is_an_error_that_says_why() {
    let check = |given: Pairs, variables: Pairs, expected: &str| {
        let error = meant(given, variables).unwrap_err();
        assert!(error.contains(expected) && !error.contains("sk-secret"), "{error}");
    };
    let profile = |name: &'static str, expected: &str| {
        let variables: Pairs = Box::leak(Box::new([("AWS_PROFILE", name)]));
        check(&[], variables, &format!("the AWS profile {expected}"));
    };
    check(&[("access_key_id", "AK")], ENV_KEYS, "belong together");
    check(&[("secret_access_key", "sk-secret")], &[], "belong together");
    check(&[], &[("AWS_ACCESS_KEY_ID", "AK")], "belong together");
    check(&[("web_identity_token", "eyJ")], &[], "aws_role_name is missing");
    check(&[("region_name", "us-east-1.evil.test/")], ENV_KEYS, "lower-case letters");
    check(&[("sts_endpoint", "sts")], ENV_KEYS, "aws_sts_endpoint: ");
    check(&[], &[("AWS_WEB_IDENTITY_TOKEN_FILE", "/t")], "AWS_ROLE_ARN is missing");
    check(&[], &[("AWS_EC2_METADATA_DISABLED", "true")], "no AWS credentials");
    check(&[("profile_name", "nobody")], ENV_KEYS, "\"nobody\" does not exist");
    profile("nobody", "\"nobody\" does not exist");
    profile("sso", "\"sso\": sso_start_url: IAM Identity Center (SSO) is not supported");
    profile("process", "\"process\": credential_process: programs are not run");
    profile("mfa", "\"mfa\": mfa_serial: nobody is there");
    profile("half", "\"half\": aws_access_key_id and aws_secret_access_key belong together");
    profile("a", "\"a\": its source_profile leads nowhere");
    profile("alone", "\"alone\": its source_profile leads nowhere");
    profile("both", "\"both\": it has both");
    profile("neither", "\"neither\": source_profile or credential_source is missing");
    profile("lost", "\"nowhere\": it does not exist");
    profile("from-empty", "\"empty\": it has no credentials of its own");
    profile("odd", "\"odd\": credential_source is none of");
    profile("span", "\"span\": duration_seconds is not a number of seconds");
}

#[test]
fn a_role_has_what_its_profile_says() {
    let found = resolve(&parameters(&[("profile_name", "role")]), &surroundings(&[])).unwrap();
    let expected = Role {
        arn: "arn:aws:iam::1:role/outer".to_owned(),
        session_name: Some("me".to_owned()),
        external_id: Some("ext".to_owned()),
        duration_seconds: Some(900),
    };
    assert_eq!(found.plan.roles.last(), Some(&expected));
}

#[test]
fn the_region_is_the_models_and_sts_is_asked_where_the_process_is() {
    let check = |given: Pairs, variables: Pairs, region: Option<&str>, sts: &str| {
        let found = resolve(&parameters(given), &surroundings(variables)).unwrap();
        assert_eq!((found.region.as_deref(), found.plan.sts.describe().as_str()), (region, sts), "{given:?}");
    };
    let one = "sts.us-east-1.amazonaws.com us-east-1";
    check(&[], &[], Some("eu-west-1"), "sts.eu-west-1.amazonaws.com eu-west-1");
    check(&[], &[("HOME", "/n")], None, "sts.amazonaws.com us-east-1");
    check(&[("profile_name", "empty")], &[], Some("ap-south-1"), "sts.ap-south-1.amazonaws.com ap-south-1");
    check(&[("region_name", "us-west-2")], &[("AWS_REGION", "us-east-1")], Some("us-west-2"), one);
    check(&[], &[("AWS_REGION", "us-east-1"), ("AWS_DEFAULT_REGION", "us-west-1")], Some("us-east-1"), one);
    check(&[], &[("AWS_DEFAULT_REGION", "us-east-1")], Some("us-east-1"), one);
    check(&[], &[("AWS_REGION_NAME", "us-west-2"), ("AWS_REGION", "us-east-1")], Some("us-west-2"), one);
}

#[test]
fn an_identity_tells_credentials_apart() {
    let identity = |given: Pairs, variables: Pairs| {
        resolve(&parameters(given), &surroundings(variables)).unwrap().identity
    };
    let all = [
        identity(KEYS, &[]),
        identity(&[("access_key_id", "AK"), ("secret_access_key", "other")], &[]),
        identity(&[("role_name", "arn:r")], ENV_KEYS),
        identity(&[("role_name", "arn:r"), ("external_id", "e")], ENV_KEYS),
        identity(&[("role_name", "arn:r"), ("session_name", "s")], ENV_KEYS),
        identity(&[("role_name", "arn:r"), ("sts_endpoint", "https://sts.test")], ENV_KEYS),
        identity(&[], IRSA),
        identity(&[], &[]),
    ];
    let distinct: std::collections::HashSet<&String> = all.iter().collect();
    assert_eq!(distinct.len(), all.len(), "{all:?}");
    assert_eq!(identity(KEYS, &[]), identity(KEYS, ENV_KEYS));
    assert_eq!(
        identity(&[("region_name", "us-west-2"), ("profile_name", "keys")], &[]),
        identity(&[("profile_name", "keys")], &[]),
        "keys hold in every region"
    );
}
