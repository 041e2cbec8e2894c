//! An identity provider: a server of its keys, and the tokens that it signs.
//!
//! The keys are those of the fixture of `tollgate-identity`; they sign nothing but tests.

use super::admin::{MASTER, counted};
use super::{App, Setup, Wire, model_list};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{Ed25519KeyPair, RsaKeyPair};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tollgate_policy::clock::Wall;

/// Whose the tokens are.
pub(crate) const ISSUER: &str = "https://id.example.com";
/// What time it is, in seconds, unless a test moves it.
pub(crate) const NOW: i64 = 1_795_001_000;

#[derive(Debug)]
struct Said {
    status: u16,
    body: String,
}

/// An identity provider; it ends when it is dropped.
pub(crate) struct Issuer {
    pub(crate) address: SocketAddr,
    said: Arc<Mutex<Said>>,
    asked: Arc<AtomicUsize>,
    now: Arc<AtomicI64>,
    accepting: JoinHandle<()>,
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Issuer {
    /// A provider with all keys of the fixture.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let said = Arc::new(Mutex::new(Said { status: 200, body: keys(&[]) }));
        let asked = Arc::new(AtomicUsize::new(0));
        let (saying, counting) = (Arc::clone(&said), Arc::clone(&asked));
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counting.fetch_add(1, Ordering::SeqCst);
                answer(stream, &saying).await;
            }
        });
        Self { address, said, asked, now: Arc::new(AtomicI64::new(NOW)), accepting }
    }

    /// Has the keys of these ids from now on; all where none is named.
    pub(crate) fn hand_out(&self, kids: &[&str]) {
        *self.said.lock().unwrap() = Said { status: 200, body: keys(kids) };
    }

    /// Fails from now on.
    pub(crate) fn fail(&self) {
        *self.said.lock().unwrap() = Said { status: 503, body: "<html>".to_owned() };
    }

    /// How often it was asked.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// Moves the gateway's wall.
    pub(crate) fn is_later_by(&self, seconds: i64) {
        self.now.fetch_add(seconds, Ordering::SeqCst);
    }

    /// A configuration that takes its tokens, with these settings of `litellm_jwtauth`, each on a line.
    pub(crate) fn config(&self, settings: &[&str], more: &str) -> String {
        let entries = [Wire::OpenAi.parameters("a"), Wire::OpenAi.parameters("b")];
        let list = model_list(&[("chat", &entries[0]), ("other", &entries[1])]);
        let settings: String = settings.iter().map(|line| format!("    {line}\n")).collect();
        let at = self.address;
        format!(
            "{list}general_settings:\n  master_key: {MASTER}\n  enable_jwt_auth: true\n  litellm_jwtauth:\n{settings}    \
             issuers: [{{issuer: '{ISSUER}', jwks_url: 'http://{at}/keys', audience: gateway}}]\n{more}"
        )
    }

    /// A gateway that takes its tokens, at a time at which they are good.
    pub(crate) async fn gateway(&self, settings: &[&str], more: &str) -> App {
        self.gateway_of(self.config(settings, more)).await
    }

    /// The same with a whole configuration.
    pub(crate) async fn gateway_of(&self, yaml: String) -> App {
        let now = Arc::clone(&self.now);
        let wall = move || Wall::from_micros(now.load(Ordering::SeqCst) * 1_000_000);
        Setup::new(yaml).script(counted()).wall(wall).start().await
    }
}

async fn answer(mut stream: TcpStream, said: &Mutex<Said>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read(&mut byte).await.unwrap_or(0) == 0 {
            return;
        }
        head.push(byte[0]);
    }
    let reply = {
        let Said { status, body } = &*said.lock().unwrap();
        let length = body.len();
        format!("HTTP/1.1 {status} x\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}")
    };
    let _ = stream.write_all(reply.as_bytes()).await;
}

pub(crate) fn fixture() -> Value {
    serde_json::from_str(include_str!("../../../../identity/src/jwt/fixture.json")).unwrap()
}

fn keys(kids: &[&str]) -> String {
    let all = fixture()["keys"].as_array().unwrap().clone();
    let is_wanted = |key: &Value| kids.is_empty() || kids.iter().any(|kid| key["kid"] == *kid);
    let wanted: Vec<Value> = all.into_iter().filter(is_wanted).collect();
    json!({"keys": wanted}).to_string()
}

pub(crate) fn b64(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn private(name: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(fixture()["private"][name].as_str().unwrap()).unwrap()
}

/// The claims of a good token, but for these; `absent` takes one away.
pub(crate) fn claims(changes: &Value) -> Value {
    let mut claims = json!({"iss": ISSUER, "aud": "gateway", "sub": "u1", "iat": NOW - 10, "nbf": NOW - 10,
        "exp": NOW + 600});
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims.as_object_mut().unwrap().retain(|_, value| *value != "absent");
    claims
}

/// A token of these texts, signed by the key `ed`, whatever they say.
pub(crate) fn signed(header: &str, claims: &str) -> String {
    let message = format!("{}.{}", b64(header.as_bytes()), b64(claims.as_bytes()));
    let key = Ed25519KeyPair::from_seed_unchecked(&private("ed")).unwrap();
    format!("{message}.{}", b64(key.sign(message.as_bytes()).as_ref()))
}

/// The same by the key `rsa`.
pub(crate) fn rsa_signed(header: &str, claims: &str) -> String {
    let message = format!("{}.{}", b64(header.as_bytes()), b64(claims.as_bytes()));
    let key = RsaKeyPair::from_pkcs8(&private("rsa")).unwrap();
    let mut signature = vec![0; key.public().modulus_len()];
    let random = ring::rand::SystemRandom::new();
    key.sign(&ring::signature::RSA_PKCS1_SHA256, &random, message.as_bytes(), &mut signature).unwrap();
    format!("{message}.{}", b64(&signature))
}

/// The same with an HMAC by a secret, as one makes who takes a public key for one.
pub(crate) fn hmac_signed(header: &str, claims: &str, secret: &[u8]) -> String {
    let message = format!("{}.{}", b64(header.as_bytes()), b64(claims.as_bytes()));
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret);
    format!("{message}.{}", b64(ring::hmac::sign(&key, message.as_bytes()).as_ref()))
}

/// The header of good tokens.
pub(crate) const HEADER: &str = r#"{"alg":"EdDSA","kid":"ed","typ":"JWT"}"#;

/// A good token, but for these claims.
pub(crate) fn token(changes: &Value) -> String {
    signed(HEADER, &claims(changes).to_string())
}

/// A token under another header.
pub(crate) fn under(header: &Value) -> String {
    signed(&header.to_string(), &claims(&json!({})).to_string())
}
