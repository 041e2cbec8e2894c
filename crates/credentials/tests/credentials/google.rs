//! Google's credentials: each kind of file, the machine's, and which of them is found.

use crate::support::{Asked, NOW, SECRET, Said, Server, client, is_clean, surroundings};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;
use tollgate_credentials::{CredentialError, GoogleCredential, Secret, Surroundings, TokenSource};
use tollgate_upstream::{Failure, Kind};

/// Made for these tests alone.
const SERVICE_ACCOUNT: &str = include_str!("../fixtures/service_account.json");

fn source(file: &Value, surroundings: &Surroundings) -> Arc<TokenSource> {
    let credential = GoogleCredential::Json(Secret::new(file.to_string()));
    let source = TokenSource::google(&credential, surroundings).unwrap();
    is_clean(&format!("{credential:?} {source:?} {}", source.identity()));
    source
}

async fn token(source: &Arc<TokenSource>) -> Result<String, Failure> {
    source.bearer(&client()).await.map(|header| header.to_str().unwrap().to_owned())
}

fn form(asked: &Asked) -> Vec<(String, String)> {
    let pairs = asked.body.split('&').map(|pair| pair.split_once('=').unwrap());
    pairs.map(|(name, value)| (name.to_owned(), value.replace("%3A", ":").replace("%2F", "/"))).collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn service_account(token_uri: &str) -> Value {
    let mut file: Value = serde_json::from_str(SERVICE_ACCOUNT).unwrap();
    file["token_uri"] = token_uri.into();
    file
}

fn user(token_uri: &str) -> Value {
    json!({
        "type": "authorized_user", "client_id": "id", "client_secret": "cs", "refresh_token": SECRET,
        "token_uri": token_uri, "quota_project_id": "p-user",
    })
}

fn external(server: &Server, source: &Value) -> Value {
    json!({
        "type": "external_account", "audience": "//iam/x", "subject_token_type": "urn:jwt",
        "token_url": server.url("/sts"), "credential_source": source,
    })
}

#[tokio::test]
async fn a_service_account_signs_an_assertion_and_gets_a_token() {
    let server = Server::giving("abc").await;
    let source = source(&service_account(&server.url("/token")), &surroundings(&[], &[]));
    assert_eq!(token(&source).await.unwrap(), "Bearer abc");
    assert_eq!(source.project_id(), Some("project-1"));
    let asked = server.asked().remove(0);
    assert_eq!(asked.line, "POST /token");
    let sent = form(&asked);
    assert_eq!(sent[0], pairs(&[("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer")])[0]);
    assert_eq!((sent[1].0.as_str(), sent[1].1.split('.').count()), ("assertion", 3));
}

#[tokio::test]
async fn a_users_refresh_token_gets_a_token() {
    let server = Server::giving("abc").await;
    let source = source(&user(&server.url("/token")), &surroundings(&[], &[]));
    assert_eq!(token(&source).await.unwrap(), "Bearer abc");
    assert_eq!(source.project_id(), Some("p-user"));
    let expected = [
        ("grant_type", "refresh_token"),
        ("client_id", "id"),
        ("client_secret", "cs"),
        ("refresh_token", SECRET),
    ];
    assert_eq!(form(&server.asked()[0]), pairs(&expected));
}

#[tokio::test]
async fn a_workloads_token_in_a_file_is_exchanged() {
    let server = Server::giving("abc").await;
    let file = external(&server, &json!({"file": "/run/token"}));
    let source = source(&file, &surroundings(&[], &[("/run/token", "subject\n")]));
    assert_eq!(token(&source).await.unwrap(), "Bearer abc");
    let expected = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("audience", "//iam/x"),
        ("scope", "https://www.googleapis.com/auth/cloud-platform"),
        ("requested_token_type", "urn:ietf:params:oauth:token-type:access_token"),
        ("subject_token", "subject"),
        ("subject_token_type", "urn:jwt"),
    ];
    assert_eq!(form(&server.asked()[0]), pairs(&expected));
    assert_eq!(source.project_id(), None);
}

#[tokio::test]
async fn a_workloads_token_from_a_url_is_exchanged_and_impersonates_a_service_account() {
    let server = Server::start(|asked, _| match asked.line.as_str() {
        "GET /subject?aud=x" => Said::ok(r#"{"value":"subject"}"#),
        "POST /sts" => Said::ok(r#"{"access_token":"first","expires_in":3600}"#),
        "POST /impersonate:generateAccessToken" => {
            Said::ok(r#"{"accessToken":"second","expireTime":"2015-08-30T13:36:00Z"}"#)
        }
        line => panic!("{line}"),
    })
    .await;
    let given = json!({
        "url": server.url("/subject?aud=x"),
        "headers": {"X-Flavor": SECRET},
        "format": {"type": "json", "subject_token_field_name": "value"},
    });
    let mut file = external(&server, &given);
    file["service_account_impersonation_url"] = server.url("/impersonate:generateAccessToken").into();
    file["service_account_impersonation"] = json!({"token_lifetime_seconds": 2_800});
    file["client_id"] = "id".into();
    file["client_secret"] = "secret".into();
    let source = source(&file, &surroundings(&[], &[]));
    assert_eq!(token(&source).await.unwrap(), "Bearer second");
    let asked = server.asked();
    assert_eq!(asked[0].header("x-flavor"), SECRET);
    assert_eq!(asked[1].header("authorization"), "Basic aWQ6c2VjcmV0");
    assert_eq!(asked[2].header("authorization"), "Bearer first");
    let body: Value = serde_json::from_str(&asked[2].body).unwrap();
    let scope = "https://www.googleapis.com/auth/cloud-platform";
    assert_eq!(body, json!({"delegates": [], "scope": [scope], "lifetime": "2800s"}));
}

#[tokio::test]
async fn a_user_may_impersonate_a_service_account() {
    let server = Server::start(|asked, _| match asked.line.as_str() {
        "POST /token" => Said::ok(r#"{"access_token":"first","expires_in":3600}"#),
        _ => Said::ok(r#"{"accessToken":"second","expireTime":"2015-08-30T13:36:00Z"}"#),
    })
    .await;
    let file = json!({
        "type": "impersonated_service_account", "source_credentials": user(&server.url("/token")),
        "service_account_impersonation_url": server.url("/sa:generateAccessToken"), "delegates": ["d"],
        "quota_project_id": "p-quota",
    });
    let source = source(&file, &surroundings(&[], &[]));
    assert_eq!(token(&source).await.unwrap(), "Bearer second");
    assert_eq!(server.lines(), ["POST /token", "POST /sa:generateAccessToken"]);
    assert_eq!(source.project_id(), Some("p-quota"));
    assert!(server.asked()[1].body.contains(r#""delegates":["d"]"#));
}

/// A metadata service that knows a token and a project.
async fn metadata() -> Server {
    Server::start(|asked, _| {
        assert_eq!(asked.header("metadata-flavor"), "Google");
        let flavor = "metadata-flavor: Google\r\n";
        match asked.line.as_str() {
            "GET /computeMetadata/v1/project/project-id" => Said(200, flavor, "p-machine\n".to_owned()),
            _ => Said(200, flavor, r#"{"access_token":"abc","expires_in":3000}"#.to_owned()),
        }
    })
    .await
}

#[tokio::test]
async fn a_machine_has_a_token_and_a_project() {
    let server = metadata().await;
    let host = server.address.to_string();
    let surroundings = surroundings(&[("GCE_METADATA_HOST", &host)], &[]);
    let source = TokenSource::google(&GoogleCredential::Metadata, &surroundings).unwrap();
    assert_eq!(source.project_id(), None);
    assert_eq!(token(&source).await.unwrap(), "Bearer abc");
    assert_eq!(source.project_id(), Some("p-machine"));
    assert_eq!(
        server.lines(),
        [
            "GET /computeMetadata/v1/instance/service-accounts/default/token\
             ?scopes=https%3A%2F%2Fwww.googleapis.com%2Fauth%2Fcloud-platform",
            "GET /computeMetadata/v1/project/project-id",
        ]
    );
}

#[tokio::test]
async fn what_is_not_googles_metadata_service_is_not_believed() {
    let server = Server::giving(SECRET).await;
    let host = server.address.to_string();
    let surroundings = surroundings(&[("GCE_METADATA_HOST", &host)], &[]);
    let source = TokenSource::google(&GoogleCredential::Metadata, &surroundings).unwrap();
    let failure = token(&source).await.unwrap_err();
    assert_eq!(failure.detail, "what answers as Google's metadata service is another");
}

/// The application default's source among these variables and files.
fn default(variables: &[(&str, &str)], files: &[(&str, &str)]) -> Result<Arc<TokenSource>, CredentialError> {
    TokenSource::google(&GoogleCredential::ApplicationDefault, &surroundings(variables, files))
}

#[tokio::test]
async fn the_application_default_is_what_googles_libraries_would_find() {
    let user = user("https://x.test").to_string();
    let files = [
        ("/keys/sa.json", SERVICE_ACCOUNT),
        ("/h/.config/gcloud/application_default_credentials.json", user.as_str()),
        ("/c/application_default_credentials.json", user.as_str()),
    ];
    let check = |variables: &[(&str, &str)], identity: &str, project: Option<&str>| {
        let source = default(variables, &files).unwrap();
        assert!(source.identity().starts_with(identity), "{}", source.identity());
        assert_eq!(source.project_id(), project);
    };
    let named = ("GOOGLE_APPLICATION_CREDENTIALS", "/keys/sa.json");
    check(&[named, ("HOME", "/h")], "google gateway@project-1", Some("project-1"));
    check(&[named, ("GOOGLE_CLOUD_PROJECT", "p-env")], "google gateway@project-1", Some("p-env"));
    check(&[("HOME", "/h")], "google user ", Some("p-user"));
    check(&[("HOME", "/h"), ("CLOUDSDK_CONFIG", "/c")], "google user ", Some("p-user"));
    check(&[("HOME", "/nobody")], "google metadata 169.254.169.254", None);
    check(&[], "google metadata 169.254.169.254", None);
    let error = default(&[("GOOGLE_APPLICATION_CREDENTIALS", "/none.json")], &files).unwrap_err();
    assert_eq!(error.to_string(), "GOOGLE_APPLICATION_CREDENTIALS: /none.json does not exist");
}

#[tokio::test]
async fn a_file_is_named_where_it_cannot_be_used() {
    let check = |text: &str, expected: &str| {
        let credential = GoogleCredential::File(PathBuf::from("/key.json"));
        let error = TokenSource::google(&credential, &surroundings(&[], &[("/key.json", text)])).unwrap_err();
        is_clean(&format!("{error} {error:?}"));
        assert_eq!(error.to_string(), expected);
    };
    check(SECRET, "/key.json: not a credential file, which is JSON");
    check("{}", "/key.json: \"type\" is missing");
}

#[tokio::test]
async fn refusals_and_replies_without_a_token_repeat_nothing() {
    for (status, body) in [
        (400, r#"{"error":"invalid_grant","error_description":"sk-very-secret"}"#),
        (403, r#"{"error":{"code":403,"message":"sk-very-secret"}}"#),
        (200, SECRET),
        (200, r#"{"access_token":"sk-very-secret"}"#),
        (200, r#"{"accessToken":"sk-very-secret","expireTime":"sk-very-secret"}"#),
    ] {
        let server = Server::saying(status, body).await;
        let at = surroundings(&[], &[("/run/token", SECRET)]);
        for file in [
            service_account(&server.url("/token")),
            user(&server.url("/token")),
            external(&server, &json!({"file": "/run/token"})),
            external(&server, &json!({"file": "/run/none"})),
            external(
                &server,
                &json!({"url": server.url("/subject"), "format": {"type": "json",
                "subject_token_field_name": "none"}}),
            ),
        ] {
            let failure = token(&source(&file, &at)).await.unwrap_err();
            assert_eq!(failure.kind, Kind::Protocol, "{failure}");
            is_clean(&format!("{failure:?} {failure}"));
        }
    }
}

#[tokio::test]
async fn an_impersonated_token_that_has_ended_is_no_token() {
    let server = Server::start(|asked, _| match asked.line.as_str() {
        "POST /token" => Said::ok(r#"{"access_token":"first","expires_in":3600}"#),
        _ => Said::ok(r#"{"accessToken":"second","expireTime":"2015-08-30T12:36:00Z"}"#),
    })
    .await;
    assert_eq!(NOW.as_secs(), 1_440_938_160);
    let file = json!({
        "type": "impersonated_service_account", "source_credentials": user(&server.url("/token")),
        "service_account_impersonation_url": server.url("/sa:generateAccessToken"),
    });
    let failure = token(&source(&file, &surroundings(&[], &[]))).await.unwrap_err();
    assert_eq!(failure.detail, "the credential has ended already");
}
