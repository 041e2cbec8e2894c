//! Entra, IBM, Databricks and OAuth clients in general: what is asked, what is kept, what is said when it fails.

use crate::support::{SECRET, Said, Server, client, is_clean};
use std::sync::Arc;
use std::time::Duration;
use tollgate_credentials::{ClientCredentials, EntraPrincipal, Secret, TokenSource};
use tollgate_upstream::{Failure, Kind};

fn entra(authority: &str) -> Arc<TokenSource> {
    TokenSource::entra(&EntraPrincipal {
        tenant_id: "tenant".to_owned(),
        client_id: "client id".to_owned(),
        client_secret: Secret::new(SECRET),
        authority: Some(authority.to_owned()),
        scope: None,
    })
    .unwrap()
}

async fn token(source: &Arc<TokenSource>) -> Result<String, Failure> {
    source.bearer(&client()).await.map(|header| {
        assert!(header.is_sensitive());
        header.to_str().unwrap().to_owned()
    })
}

#[tokio::test]
async fn entra_is_asked_with_the_principals_form() {
    let server = Server::giving("abc").await;
    let source = entra(&server.url(""));
    assert_eq!(token(&source).await.unwrap(), "Bearer abc");
    let asked = server.asked().remove(0);
    assert_eq!(asked.line, "POST /tenant/oauth2/v2.0/token");
    assert_eq!(asked.header("content-type"), "application/x-www-form-urlencoded");
    assert_eq!(
        asked.body,
        "grant_type=client_credentials&client_id=client%20id&client_secret=sk-very-secret\
         &scope=https%3A%2F%2Fcognitiveservices.azure.com%2F.default"
    );
    is_clean(&format!("{source:?} {}", source.identity()));
}

#[tokio::test]
async fn ibm_exchanges_the_key_that_it_is_given() {
    let server = Server::giving("abc").await;
    let source = TokenSource::ibm(&Secret::new(SECRET), Some(&server.url(""))).unwrap();
    assert_eq!(token(&source).await.unwrap(), "Bearer abc");
    let asked = server.asked().remove(0);
    assert_eq!(asked.line, "POST /identity/token");
    assert_eq!(asked.header("accept"), "application/json");
    assert_eq!(
        asked.body,
        "grant_type=urn%3Aibm%3Aparams%3Aoauth%3Agrant-type%3Aapikey&apikey=sk-very-secret"
    );
    is_clean(&format!("{source:?} {}", source.identity()));
}

#[tokio::test]
async fn databricks_takes_the_clients_secret_as_a_password() {
    let server = Server::giving("abc").await;
    let base = server.url("/serving-endpoints");
    let source = TokenSource::databricks(&base, "id", &Secret::new("secret")).unwrap();
    assert_eq!(token(&source).await.unwrap(), "Bearer abc");
    let asked = server.asked().remove(0);
    assert_eq!(asked.line, "POST /oidc/v1/token");
    assert_eq!(asked.header("authorization"), "Basic aWQ6c2VjcmV0");
    assert_eq!(asked.body, "grant_type=client_credentials&scope=all-apis");
}

#[tokio::test]
async fn any_oauth_server_takes_client_credentials() {
    let server = Server::giving("abc").await;
    let credentials = ClientCredentials {
        token_url: server.url("/oauth/token?x=y"),
        client_id: "id".to_owned(),
        client_secret: Secret::new(SECRET),
        scope: "a b".to_owned(),
    };
    let source = TokenSource::client_credentials(&credentials).unwrap();
    assert_eq!(token(&source).await.unwrap(), "Bearer abc");
    assert_eq!(server.lines(), ["POST /oauth/token?x=y"]);
    assert_eq!(server.asked().remove(0).body, "grant_type=client_credentials&scope=a%20b");
    is_clean(&format!("{credentials:?} {source:?} {}", source.identity()));
}

#[tokio::test]
async fn a_hundred_requests_at_once_ask_for_one_token() {
    let server = Server::giving("abc").await;
    let (source, client) = (entra(&server.url("")), client());
    let mut requests = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let (source, client) = (Arc::clone(&source), Arc::clone(&client));
        requests.spawn(async move { source.bearer(&client).await.unwrap() });
    }
    assert!(requests.join_all().await.iter().all(|token| token == "Bearer abc"));
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn a_token_is_renewed_beside_the_requests_before_it_ends() {
    let server =
        Server::start(|_, before| Said::ok(format!(r#"{{"access_token":"t{before}","expires_in":"3600"}}"#)))
            .await;
    let (source, client) = (entra(&server.url("")), client());
    source.start(&client);
    server.until_asked(1).await;
    for _ in 0..3 {
        assert_eq!(source.bearer(&client).await.unwrap(), "Bearer t0");
    }
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(3_301)).await;
    tokio::time::resume();
    assert_eq!(source.bearer(&client).await.unwrap(), "Bearer t0", "it holds still");
    server.until_asked(2).await;
    while source.bearer(&client).await.unwrap() != "Bearer t1" {
        tokio::task::yield_now().await;
    }
    assert_eq!(server.asked().len(), 2);
}

#[tokio::test]
async fn a_renewal_that_fails_keeps_the_token() {
    let server = Server::start(|_, before| match before {
        0 => Said::ok(r#"{"access_token":"abc","expires_in":3600}"#),
        _ => Said(503, "", SECRET.to_owned()),
    })
    .await;
    let (source, client) = (entra(&server.url("")), client());
    assert_eq!(source.bearer(&client).await.unwrap(), "Bearer abc");
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(3_301)).await;
    tokio::time::resume();
    server.until_asked(3).await;
    assert_eq!(source.bearer(&client).await.unwrap(), "Bearer abc");
}

#[tokio::test]
async fn a_reply_without_a_usable_token_is_a_failure_that_repeats_nothing() {
    for (status, body, expected) in [
        (
            401,
            r#"{"error":"invalid_client","error_description":"sk-very-secret"}"#,
            "(status 401, invalid_client)",
        ),
        (400, r#"{"error":"sk-very-secret"}"#, "(status 400)"),
        (500, "<html>sk-very-secret", "(status 500)"),
        (302, "", "(status 302)"),
        (200, "sk-very-secret", "(status 200)"),
        (200, r#"{"access_token":"sk-very-secret"}"#, "(status 200)"),
        (200, r#"{"access_token":"sk-very-secret\n","expires_in":3600}"#, "(status 200)"),
        (200, r#"{"access_token":"sk-very-secret","expires_in":0}"#, "the credential has ended already"),
        (200, r#"{"access_token":"sk-very-secret","expires_in":"soon"}"#, "(status 200)"),
    ] {
        let server = Server::saying(status, body).await;
        let source = entra(&server.url(""));
        let failure = token(&source).await.unwrap_err();
        assert_eq!(failure.kind, Kind::Protocol, "{body}");
        assert!(failure.detail.ends_with(expected), "{failure}");
        is_clean(&format!("{failure} {failure:?} {source:?}"));
    }
}

#[tokio::test]
async fn a_reply_larger_than_a_token_can_be_is_not_read_on() {
    let server = Server::saying(200, &" ".repeat((64 << 10) + 1)).await;
    assert_eq!(token(&entra(&server.url(""))).await.unwrap_err().kind, Kind::TooLarge);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_a_connection_that_failed() {
    let address = {
        let server = Server::giving("abc").await;
        server.address
    };
    tokio::task::yield_now().await;
    let failure = token(&entra(&format!("http://{address}"))).await.unwrap_err();
    assert!(matches!(failure.kind, Kind::Connect | Kind::Reset), "{failure}");
    is_clean(&failure.to_string());
}
