//! Keys over real sockets: a server that answers what it is told and remembers what it was asked.
#![allow(clippy::unwrap_used, clippy::panic)]

use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tollgate_identity::jwt::{BadToken, Issuer};
use tollgate_oidc::{Address, Gate, Refusal, Source, Times};
use tollgate_policy::clock::Wall;
use tollgate_upstream::{Client, Limits, Resolver, Shared};

const NOW: Wall = Wall::from_micros(1_795_001_000_000_000);

fn fixture() -> Value {
    serde_json::from_str(include_str!("../../identity/src/jwt/fixture.json")).unwrap()
}

fn token() -> String {
    fixture()["good"][7][1].as_str().unwrap().to_owned()
}

fn keys() -> String {
    json!({"keys": fixture()["keys"]}).to_string()
}

/// A reply: status, header lines, body.
type Said = (u16, String, String);

struct Server {
    origin: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Answers by the path; `ORIGIN` in an answer is its own address.
    async fn start(answer: impl Fn(&str) -> Said + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (log, own) = (Arc::clone(&asked), origin.clone());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    let mut byte = [0];
                    if stream.read(&mut byte).await.unwrap_or(0) == 0 {
                        break;
                    }
                    head.push(byte[0]);
                }
                let head = String::from_utf8(head).unwrap();
                let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
                log.lock().unwrap().push(path.clone());
                let (status, lines, body) = answer(&path);
                let (lines, body) = (lines.replace("ORIGIN", &own), body.replace("ORIGIN", &own));
                let length = body.len();
                let reply = format!(
                    "HTTP/1.1 {status} x\r\n{lines}content-length: {length}\r\nconnection: close\r\n\r\n{body}"
                );
                let _ = stream.write_all(reply.as_bytes()).await;
            }
        });
        Self { origin, asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn client() -> Arc<Client> {
    let shared = Shared::new(Resolver::default(), Limits::default(), Vec::new()).unwrap();
    Arc::new(Client::new(Arc::new(shared)))
}

async fn check(addresses: Vec<Address>, token: &str) -> Result<(), Refusal> {
    let issuer =
        Issuer { issuer: Some("https://id.example.com".to_owned()), audiences: vec!["gateway".to_owned()] };
    let gate = Gate::new(vec![Source { issuer, addresses, is_fallback: true }], Times::default(), None);
    gate.check(&client(), token, NOW).await.map(|_| ())
}

fn address(server: &Server, path: &str) -> Address {
    Address::parse(&format!("{}{path}", server.origin), None).unwrap()
}

#[tokio::test]
async fn keys_come_from_their_address_or_by_way_of_a_document() {
    let server = Server::start(|path| match path {
        "/keys?v=1" => (200, String::new(), keys()),
        "/a/.well-known/openid-configuration" => {
            (200, String::new(), r#"{"issuer":"x","jwks_uri":"ORIGIN/keys?v=1"}"#.to_owned())
        }
        _ => (404, String::new(), String::new()),
    })
    .await;
    assert_eq!(check(vec![address(&server, "/keys?v=1")], &token()).await, Ok(()));
    assert_eq!(check(vec![address(&server, "/a/.well-known/openid-configuration")], &token()).await, Ok(()));
    assert_eq!(server.asked(), ["/keys?v=1", "/a/.well-known/openid-configuration", "/keys?v=1"]);
}

#[tokio::test]
async fn what_is_no_set_of_keys_lets_nobody_in() {
    let answers: [(&str, Said); 7] = [
        ("/500", (500, String::new(), keys())),
        ("/404", (404, String::new(), keys())),
        ("/html", (200, String::new(), "<html>".to_owned())),
        ("/empty", (200, String::new(), "{\"keys\":[]}".to_owned())),
        ("/oct", (200, String::new(), r#"{"keys":[{"kty":"oct","kid":"p256","k":"AAAA"}]}"#.to_owned())),
        ("/large", (200, String::new(), format!("{}{}", keys(), " ".repeat(300_000)))),
        ("/moved", (302, "location: ORIGIN/keys\r\n".to_owned(), String::new())),
    ];
    let paths = answers.clone().map(|(path, _)| path);
    let server = Server::start(move |path| {
        let found = answers.iter().find(|(known, _)| *known == path);
        found.map_or_else(|| (200, String::new(), keys()), |(_, said)| said.clone())
    })
    .await;
    for path in paths {
        let refusal = check(vec![address(&server, path)], &token()).await.unwrap_err();
        assert!(matches!(refusal, Refusal::NoKeys(_)), "{path}: {refusal:?}");
    }
    // No redirect was followed.
    assert_eq!(server.asked(), paths);
}

#[tokio::test]
async fn nothing_that_a_token_says_is_fetched() {
    let server = Server::start(|_| (200, String::new(), keys())).await;
    let evil = Server::start(|_| (200, String::new(), keys())).await;
    let encode = |text: String| {
        use std::fmt::Write as _;
        // Base64 for URLs (RFC 4648, 5), in a few lines.
        const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let mut out = String::new();
        for piece in text.as_bytes().chunks(3) {
            let bits = piece.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte))
                << (8 * (3 - piece.len()));
            for at in 0..=piece.len() {
                let digit = DIGITS[(bits >> (18 - 6 * at) & 63) as usize];
                write!(out, "{}", char::from(digit)).unwrap();
            }
        }
        out
    };
    let claims = json!({"iss": evil.origin, "aud": "gateway", "exp": 1_795_003_600, "jwks_uri": evil.origin});
    for header in [
        json!({"alg": "ES256", "kid": evil.origin}),
        json!({"alg": "ES256", "kid": "p256", "jku": evil.origin}),
        json!({"alg": "ES256", "kid": "p256", "x5u": evil.origin}),
    ] {
        let token =
            format!("{}.{}.{}", encode(header.to_string()), encode(claims.to_string()), "A".repeat(86));
        let refusal = check(vec![address(&server, "/keys")], &token).await.unwrap_err();
        assert!(matches!(refusal, Refusal::Bad(BadToken::Signature | BadToken::UnknownKey)), "{refusal:?}");
    }
    assert_eq!(evil.asked(), [""; 0]);
    assert_eq!(server.asked().len(), 3);
}
