//! Certificates, versions, and providers that do not speak TLS where they should.

use crate::support::{GOOD, LONG, Peer, Provider, SECRET, SHORT, call, failure, patient, post};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tollgate_upstream::{
    Client, Endpoint, Kind, Limits, Outgoing, Phase, Resolver, Shared, Timeouts, Trust, extra_roots_from_pem,
};

/// Who signs the providers' certificates here.
struct Authority {
    pem: String,
    der: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "Tests");
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self { pem: certificate.pem(), der: certificate.der().clone(), issuer: Issuer::new(params, key) }
    }

    /// A server's certificate for these names, after `change`.
    fn signs(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Identity {
        let mut params = params(names);
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Identity { chain: vec![certificate.der().clone()], key: private(&key) }
    }
}

/// What a server shows and signs with.
struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

fn params(names: &[&str]) -> CertificateParams {
    CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap()
}

fn private(key: &KeyPair) -> PrivateKeyDer<'static> {
    PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()))
}

fn builder() -> rustls::ConfigBuilder<ServerConfig, rustls::WantsVerifier> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap()
}

fn config(identity: Identity) -> ServerConfig {
    let mut config = builder().with_no_client_auth().with_single_cert(identity.chain, identity.key).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config
}

/// What a TLS provider was offered at its handshakes: the server's name, and the protocol that was agreed on.
type Handshakes = Arc<Mutex<Vec<(Option<String>, Option<Vec<u8>>)>>>;

/// A provider behind TLS that follows `script` after each handshake.
async fn provider<F, R>(config: ServerConfig, script: F) -> (Provider, Handshakes)
where
    F: Fn(Peer<tokio_rustls::server::TlsStream<TcpStream>>) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let handshakes = Handshakes::default();
    let seen = Arc::clone(&handshakes);
    let provider = Provider::start(move |peer| {
        let (acceptor, seen, script) = (acceptor.clone(), Arc::clone(&seen), script.clone());
        async move {
            let (stream, peer) = peer.split();
            let Ok(tls) = acceptor.accept(stream).await else { return };
            let agreed = tls.get_ref().1;
            seen.lock()
                .unwrap()
                .push((agreed.server_name().map(str::to_owned), agreed.alpn_protocol().map(<[u8]>::to_vec)));
            script(peer.over(tls)).await;
        }
    })
    .await;
    (provider, handshakes)
}

/// A provider behind TLS that answers well.
async fn good(config: ServerConfig) -> (Provider, Handshakes) {
    provider(config, |mut peer| async move {
        while peer.request().await.is_some() {
            peer.say(GOOD).await;
        }
        peer.is_closed();
    })
    .await
}

/// A client that trusts `authority` and finds every name on this machine.
fn client(authority: &Authority) -> Client {
    let here =
        Resolver::with_lookup(Arc::new(|_, _| Box::pin(async { Ok(vec![IpAddr::from([127, 0, 0, 1])]) })));
    let roots = extra_roots_from_pem(authority.pem.as_bytes()).unwrap();
    Client::new(Arc::new(Shared::new(here, Limits::default(), roots).unwrap()))
}

fn endpoint(host: &str, provider: &Provider) -> Endpoint {
    Endpoint::parse(&format!("https://{host}:{}", provider.address.port()), Trust::Operator).unwrap()
}

#[tokio::test]
async fn a_trusted_extra_root_works_and_http_1_1_is_agreed_on() {
    let authority = Authority::new();
    let (provider, handshakes) = good(config(authority.signs(&["api.test"], |_| {}))).await;
    let client = client(&authority);
    for host in ["api.test", "API.test", "api.test."] {
        for _ in 0..3 {
            assert_eq!(call(&client, &endpoint(host, &provider)).await.unwrap(), "good", "{host}");
        }
    }
    let agreed = (Some("api.test".to_owned()), Some(b"http/1.1".to_vec()));
    assert_eq!(
        *handshakes.lock().unwrap(),
        [agreed.clone(), agreed],
        "one handshake for each spelling that differs"
    );
    assert_eq!(provider.request_count(), 9);
}

#[tokio::test]
async fn an_address_in_the_certificate_is_enough_where_the_host_is_one() {
    let authority = Authority::new();
    let (provider, _) = good(config(authority.signs(&["127.0.0.1"], |_| {}))).await;
    assert_eq!(call(&client(&authority), &endpoint("127.0.0.1", &provider)).await.unwrap(), "good");
}

#[tokio::test]
async fn a_certificate_that_proves_nothing_ends_before_the_request() {
    let authority = Authority::new();
    let stranger = Authority::new();
    let key = KeyPair::generate().unwrap();
    let self_signed = params(&["api.test"]).self_signed(&key).unwrap();
    let own = Identity { chain: vec![self_signed.der().clone()], key: private(&key) };
    let expired = |params: &mut CertificateParams| {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
    };
    let not_yet = |params: &mut CertificateParams| params.not_before = date_time_ymd(2090, 1, 1);
    for (what, identity) in [
        ("expired", authority.signs(&["api.test"], expired)),
        ("not yet valid", authority.signs(&["api.test"], not_yet)),
        ("another host", authority.signs(&["other.test"], |_| {})),
        ("a host below", authority.signs(&["*.api.test"], |_| {})),
        ("no host", authority.signs(&[], |_| {})),
        ("signed by itself", own),
        ("signed by a stranger", stranger.signs(&["api.test"], |_| {})),
    ] {
        let (provider, handshakes) = good(config(identity)).await;
        let outcome = client(&authority).send(&endpoint("api.test", &provider), post()).await;
        assert_eq!(failure(outcome), (Kind::Tls, Phase::Connecting), "{what}");
        assert_eq!((provider.accepts(), provider.request_count()), (1, 0), "{what}");
        drop(handshakes);
    }
    let (provider, _) = good(config(authority.signs(&["api.test"], |_| {}))).await;
    let public_roots_alone = crate::support::client();
    let outcome = public_roots_alone.send(&endpoint("127.0.0.1", &provider), post()).await;
    assert_eq!(failure(outcome), (Kind::Tls, Phase::Connecting));
    assert_eq!(provider.request_count(), 0);
}

/// A provider that says these bytes to whatever comes first, and what it has heard.
async fn raw(answer: &'static [u8]) -> (Provider, Arc<Mutex<Vec<u8>>>) {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&heard);
    let provider = Provider::start(move |mut peer| {
        let kept = Arc::clone(&kept);
        async move {
            let mut bytes = vec![0; 4_096];
            let mut is_answered = false;
            while let Ok(count @ 1..) = peer.stream.read(&mut bytes).await {
                kept.lock().unwrap().extend_from_slice(&bytes[..count]);
                if !is_answered {
                    let _ = peer.stream.write_all(answer).await;
                    is_answered = true;
                }
            }
            peer.is_closed();
        }
    })
    .await;
    (provider, heard)
}

#[tokio::test]
async fn a_provider_that_speaks_no_tls_or_an_old_one_never_sees_the_request() {
    // Server hellos that choose a version below 1.2: record, handshake header, version, random, no session, a cipher.
    const fn hello(minor: u8) -> [u8; 47] {
        let mut bytes = [0; 47];
        let start = [22, 3, minor, 0, 42, 2, 0, 0, 38, 3, minor];
        let mut at = 0;
        while at < start.len() {
            bytes[at] = start[at];
            at += 1;
        }
        // 32 bytes of randomness and an empty session id, then TLS_RSA_WITH_AES_128_CBC_SHA without compression.
        bytes[45] = 0x2f;
        bytes
    }
    const TLS_1_0: &[u8] = &hello(1);
    const TLS_1_1: &[u8] = &hello(2);
    const VERSION_ALERT: &[u8] = &[21, 3, 1, 0, 2, 2, 70];
    let authority = Authority::new();
    for (what, answer, kind) in [
        ("TLS 1.0", TLS_1_0, Kind::Tls),
        ("TLS 1.1", TLS_1_1, Kind::Tls),
        ("an alert about the version", VERSION_ALERT, Kind::Tls),
        ("plain HTTP", b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n".as_slice(), Kind::Tls),
        (
            "plain HTML",
            b"<html><body>The plain HTTP request was sent to the HTTPS port</body></html>",
            Kind::Tls,
        ),
        ("SSH", b"SSH-2.0-OpenSSH_9.6\r\n", Kind::Tls),
        ("nothing at all", b"", Kind::Timeout),
        ("half a record", &[22, 3, 3, 0x40, 0], Kind::Timeout),
    ] {
        let (provider, heard) = raw(answer).await;
        let client = client(&authority);
        let timeouts = Timeouts { connect: if kind == Kind::Timeout { SHORT } else { LONG }, ..patient() };
        let outcome = client.send(&endpoint("api.test", &provider), Outgoing { timeouts, ..post() }).await;
        assert_eq!(failure(outcome), (kind, Phase::Connecting), "{what}");
        provider.closes(1).await;
        let heard = heard.lock().unwrap();
        assert_eq!(heard.first(), Some(&22), "{what}: a handshake record comes first");
        for secret in [SECRET, "POST", "/v1/chat", "{\"a\":1}"] {
            let is_there = heard.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!is_there, "{what}: {secret} in the clear");
        }
        assert_eq!((provider.accepts(), client.idle_connections()), (1, 0), "{what}");
    }
}

#[tokio::test]
async fn an_end_without_a_farewell_is_no_end_of_a_reply() {
    let authority = Authority::new();
    let (provider, _) = provider(config(authority.signs(&["api.test"], |_| {})), |mut peer| async move {
        peer.request().await;
        peer.say(b"HTTP/1.1 200 OK\r\n\r\ncut by whoever can cut a wire").await;
        // The socket closes, TLS does not.
    })
    .await;
    let outcome = call(&client(&authority), &endpoint("api.test", &provider)).await;
    assert_eq!(outcome.map_err(|failure| (failure.kind, failure.phase)), Err((Kind::Reset, Phase::Reading)));
}

#[tokio::test]
async fn a_reply_dropped_before_its_end_closes_a_tls_connection_too() {
    let authority = Authority::new();
    let (provider, _) = provider(config(authority.signs(&["api.test"], |_| {})), |mut peer| async move {
        peer.request().await;
        peer.say(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nsome").await;
        peer.until_closed().await;
    })
    .await;
    let client = client(&authority);
    let mut reply = client.send(&endpoint("api.test", &provider), post()).await.unwrap();
    assert_eq!(reply.body.next().await.unwrap().unwrap(), "some");
    drop(reply);
    provider.closes(1).await;
    assert_eq!(client.idle_connections(), 0);
}

#[tokio::test]
async fn a_provider_that_wants_a_certificate_of_ours_is_a_tls_failure() {
    let authority = Authority::new();
    let mut roots = RootCertStore::empty();
    roots.add(authority.der.clone()).unwrap();
    let crypto = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), crypto).build().unwrap();
    let identity = authority.signs(&["api.test"], |_| {});
    let config =
        builder().with_client_cert_verifier(verifier).with_single_cert(identity.chain, identity.key).unwrap();
    let (provider, _) = good(config).await;
    let (kind, _) = failure(client(&authority).send(&endpoint("api.test", &provider), post()).await);
    assert_eq!((kind, provider.request_count()), (Kind::Tls, 0));
}
