//! AWS keys from every place that gives them.

use crate::support::{Asked, SECRET, Said, Server, client, is_clean, surroundings};
use std::sync::Arc;
use std::time::Duration;
use tollgate_credentials::{AwsKeys, AwsParameters, AwsSource, Secret, Surroundings};
use tollgate_upstream::{Failure, Kind};

const HOUR: &str = "2015-08-30T13:36:00Z";

fn source(parameters: &AwsParameters, surroundings: &Surroundings) -> Arc<AwsSource> {
    let source = AwsSource::new(parameters, surroundings).unwrap();
    is_clean(&format!("{parameters:?} {source:?} {}", source.identity()));
    source
}

async fn keys(source: &Arc<AwsSource>) -> Result<AwsKeys, Failure> {
    source.keys(&client()).await
}

/// As metadata services write keys.
fn document(id: &str) -> String {
    format!(
        r#"{{"Code":"Success","AccessKeyId":"{id}","SecretAccessKey":"s","Token":"t","Expiration":"{HOUR}"}}"#
    )
}

/// As STS writes keys.
fn assumed(action: &str, id: &str) -> String {
    format!(
        "<{action}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{action}Result><Credentials>\
         <AccessKeyId>{id}</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>\
         <Expiration>{HOUR}</Expiration></Credentials></{action}Result></{action}Response>"
    )
}

/// An STS that gives keys named after the role that is asked for.
async fn sts() -> Server {
    Server::start(|asked, _| {
        let value = |name: &str| {
            let pairs = asked.body.split('&').filter_map(|pair| pair.split_once('='));
            pairs.filter(|(key, _)| *key == name).map(|(_, value)| value.to_owned()).next().unwrap()
        };
        Said::ok(assumed(&value("Action"), &format!("ASIA-{}", value("RoleArn"))))
    })
    .await
}

fn static_keys() -> AwsParameters {
    AwsParameters {
        access_key_id: Some("AKIDEXAMPLE".to_owned()),
        secret_access_key: Some(Secret::new(SECRET)),
        ..AwsParameters::default()
    }
}

fn signed_by(asked: &Asked) -> &str {
    let credential = asked.header("authorization").split_once("Credential=").map_or("", |(_, rest)| rest);
    credential.split('/').next().unwrap_or_default()
}

#[tokio::test]
async fn keys_that_are_given_are_used_as_they_are() {
    let given = AwsParameters { session_token: Some(Secret::new("token")), ..static_keys() };
    let source = source(&given, &surroundings(&[], &[]));
    let found = keys(&source).await.unwrap();
    assert_eq!(found, AwsKeys::new("AKIDEXAMPLE", SECRET, Some("token")));
    is_clean(&format!("{found:?}"));
}

#[tokio::test]
async fn a_role_is_assumed_with_the_keys_that_are_given() {
    let server = sts().await;
    let given = AwsParameters {
        role_name: Some("arn:r".to_owned()),
        session_name: Some("me".to_owned()),
        external_id: Some("e/1".to_owned()),
        sts_endpoint: Some(server.url("")),
        region_name: Some("eu-west-1".to_owned()),
        ..static_keys()
    };
    let source = source(&given, &surroundings(&[], &[]));
    assert_eq!(keys(&source).await.unwrap(), AwsKeys::new("ASIA-arn%3Ar", "s", Some("t")));
    let asked = server.asked().remove(0);
    assert_eq!(asked.line, "POST /");
    assert_eq!(
        asked.body,
        "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Ar&RoleSessionName=me&ExternalId=e%2F1"
    );
    assert_eq!(asked.header("content-type"), "application/x-www-form-urlencoded; charset=utf-8");
    assert_eq!(asked.header("x-amz-date"), "20150830T123600Z");
    let signature = asked.header("authorization");
    let start = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/eu-west-1/sts/aws4_request, \
                 SignedHeaders=content-type;host;x-amz-date, Signature=";
    assert!(signature.starts_with(start) && signature.len() == start.len() + 64, "{signature}");
}

#[tokio::test]
async fn roles_of_profiles_are_assumed_one_after_another() {
    let server = sts().await;
    let config = "[profile outer]\nrole_arn = outer\nsource_profile = inner\nduration_seconds = 900\n\
                  [profile inner]\nrole_arn = inner\nsource_profile = keys\n";
    let credentials = "[keys]\naws_access_key_id = AK\naws_secret_access_key = sk-very-secret\n";
    let at = surroundings(
        &[("HOME", "/h"), ("AWS_STS_ENDPOINT", &server.url("")), ("AWS_PROFILE", "outer")],
        &[("/h/.aws/config", config), ("/h/.aws/credentials", credentials)],
    );
    let source = source(&AwsParameters::default(), &at);
    assert_eq!(keys(&source).await.unwrap().access_key_id(), "ASIA-outer");
    let asked = server.asked();
    assert_eq!((signed_by(&asked[0]), signed_by(&asked[1])), ("AK", "ASIA-inner"));
    assert_eq!(asked[1].header("x-amz-security-token"), "t");
    assert!(asked[1].body.ends_with("RoleArn=outer&RoleSessionName=tollgate&DurationSeconds=900"));
}

#[tokio::test]
async fn a_pods_token_is_exchanged_without_a_signature() {
    let server = sts().await;
    let at = surroundings(
        &[
            ("AWS_WEB_IDENTITY_TOKEN_FILE", "/run/token"),
            ("AWS_ROLE_ARN", "pod"),
            ("AWS_ROLE_SESSION_NAME", "session"),
            ("AWS_STS_ENDPOINT", &server.url("")),
        ],
        &[("/run/token", "sk-very-secret\n")],
    );
    let source = source(&AwsParameters::default(), &at);
    assert_eq!(keys(&source).await.unwrap().access_key_id(), "ASIA-pod");
    let asked = server.asked().remove(0);
    assert_eq!(asked.header("authorization"), "");
    assert_eq!(
        asked.body,
        "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=pod&RoleSessionName=session\
         &WebIdentityToken=sk-very-secret"
    );
}

#[tokio::test]
async fn a_pods_role_may_assume_another() {
    let server = sts().await;
    let at = surroundings(
        &[
            ("AWS_WEB_IDENTITY_TOKEN_FILE", "/t"),
            ("AWS_ROLE_ARN", "pod"),
            ("AWS_STS_ENDPOINT", &server.url("")),
        ],
        &[("/t", "token")],
    );
    let given = AwsParameters { role_name: Some("far".to_owned()), ..AwsParameters::default() };
    assert_eq!(keys(&source(&given, &at)).await.unwrap().access_key_id(), "ASIA-far");
    let asked = server.asked();
    assert_eq!((signed_by(&asked[0]), signed_by(&asked[1])), ("", "ASIA-pod"));
}

#[tokio::test]
async fn a_container_is_asked_with_the_token_that_is_in_the_file() {
    let server = Server::start(|_, _| Said::ok(document("ASIA-task"))).await;
    let at = surroundings(
        &[
            ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &server.url("/v1/credentials?a=b")),
            ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "/run/token"),
            ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "other"),
        ],
        &[("/run/token", "sk-very-secret\n")],
    );
    let source = source(&AwsParameters::default(), &at);
    assert_eq!(keys(&source).await.unwrap(), AwsKeys::new("ASIA-task", "s", Some("t")));
    let asked = server.asked().remove(0);
    assert_eq!(asked.line, "GET /v1/credentials?a=b");
    assert_eq!(asked.header("authorization"), SECRET);
}

/// An instance's metadata service whose keys end at `expiration`.
async fn instance(expiration: &'static str) -> Server {
    Server::start(move |asked, _| match asked.line.as_str() {
        "PUT /latest/api/token" => {
            assert_eq!(asked.header("x-aws-ec2-metadata-token-ttl-seconds"), "60");
            Said::ok("session")
        }
        line => {
            assert_eq!(asked.header("x-aws-ec2-metadata-token"), "session");
            match line {
                "GET /latest/meta-data/iam/security-credentials/" => Said::ok("my role\n"),
                _ => Said::ok(document("ASIA-vm").replace(HOUR, expiration)),
            }
        }
    })
    .await
}

#[tokio::test]
async fn an_instance_is_asked_in_a_session_of_version_two() {
    let server = instance(HOUR).await;
    let at = surroundings(&[("AWS_EC2_METADATA_SERVICE_ENDPOINT", &server.url("/"))], &[]);
    let source = source(&AwsParameters::default(), &at);
    assert_eq!(keys(&source).await.unwrap().access_key_id(), "ASIA-vm");
    assert_eq!(
        server.lines(),
        [
            "PUT /latest/api/token",
            "GET /latest/meta-data/iam/security-credentials/",
            "GET /latest/meta-data/iam/security-credentials/my%20role",
        ]
    );
}

#[tokio::test]
async fn keys_that_an_instance_cannot_renew_are_used_on() {
    let server = instance("2015-08-30T12:00:00Z").await;
    let at = surroundings(&[("AWS_EC2_METADATA_SERVICE_ENDPOINT", &server.url(""))], &[]);
    assert_eq!(keys(&source(&AwsParameters::default(), &at)).await.unwrap().access_key_id(), "ASIA-vm");
}

#[tokio::test]
async fn keys_are_renewed_beside_the_requests_from_one_place_for_all() {
    let server = sts().await;
    let given = AwsParameters {
        role_name: Some("r".to_owned()),
        sts_endpoint: Some(server.url("")),
        ..static_keys()
    };
    let (source, client) = (source(&given, &surroundings(&[], &[])), client());
    let mut requests = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let (source, client) = (Arc::clone(&source), Arc::clone(&client));
        requests.spawn(async move { source.keys(&client).await.unwrap() });
    }
    assert_eq!(requests.join_all().await.len(), 100);
    assert_eq!(server.asked().len(), 1);
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(3_301)).await;
    tokio::time::resume();
    server.until_asked(2).await;
}

#[tokio::test]
async fn refusals_repeat_nothing() {
    let check = async |source: Arc<AwsSource>, expected: &str| {
        let failure = keys(&source).await.unwrap_err();
        assert_eq!((failure.kind, failure.detail.as_str()), (Kind::Protocol, expected));
        is_clean(&format!("{failure:?} {failure} {source:?}"));
    };
    let error = "<ErrorResponse><Error><Code>AccessDenied</Code><Message>sk-very-secret</Message></Error>";
    let server = Server::saying(403, error).await;
    let role = AwsParameters {
        role_name: Some("r".to_owned()),
        sts_endpoint: Some(server.url("")),
        ..static_keys()
    };
    check(source(&role, &surroundings(&[], &[])), "STS gave no keys (status 403, AccessDenied)").await;
    for body in ["sk-very-secret", "{}", r#"{"AccessKeyId":"sk-very-secret","SecretAccessKey":7}"#] {
        let server = Server::saying(200, body).await;
        let at = surroundings(&[("AWS_CONTAINER_CREDENTIALS_FULL_URI", &server.url("/"))], &[]);
        let expected = "the container's credential service gave no keys (status 200)";
        check(source(&AwsParameters::default(), &at), expected).await;
    }
    let server = Server::saying(404, "sk-very-secret").await;
    let at = surroundings(&[("AWS_EC2_METADATA_SERVICE_ENDPOINT", &server.url(""))], &[]);
    let expected = "the instance's metadata service gave no keys (status 404)";
    check(source(&AwsParameters::default(), &at), expected).await;
    let server = Server::saying(200, "").await;
    let at = surroundings(&[("AWS_EC2_METADATA_SERVICE_ENDPOINT", &server.url(""))], &[]);
    let expected = "the instance's metadata service names no role (status 200)";
    check(source(&AwsParameters::default(), &at), expected).await;
    let at = surroundings(
        &[
            ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &server.url("/")),
            ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "sk-very-secret\u{7f}\n!"),
        ],
        &[],
    );
    let expected = "the container's authorization token is no header value";
    check(source(&AwsParameters::default(), &at), expected).await;
}
