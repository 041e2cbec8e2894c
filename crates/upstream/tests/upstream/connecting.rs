//! No name, no connection, a slow one, and several addresses of which some are dead.

use crate::support::{GOOD, LONG, Provider, SHORT, call, client, client_asking, failure, patient, post};
use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tollgate_upstream::{
    Client, Dial, Dialing, Endpoint, Kind, Limits, Lookup, Outgoing, Phase, Resolver, Shared, Socket,
    Timeouts, Trust,
};

const HERE: [u8; 4] = [127, 0, 0, 1];

fn endpoint(host: &str, port: u16) -> Endpoint {
    Endpoint::parse(&format!("http://{host}:{port}"), Trust::Operator).unwrap()
}

/// Connecting may take so long, everything else as long as it likes.
fn hurried(connect: Duration) -> Outgoing {
    Outgoing { timeouts: Timeouts { connect, ..patient() }, ..post() }
}

fn resolver(addresses: Vec<IpAddr>) -> Resolver {
    Resolver::with_lookup(Arc::new(move |_, _| {
        let addresses = addresses.clone();
        Box::pin(async move { Ok(addresses) })
    }))
}

/// A port of this machine that is taken, and where nobody listens.
fn dead_port() -> (socket2::Socket, u16) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((HERE, 0)).into()).unwrap();
    let port = socket.local_addr().unwrap().as_socket().unwrap().port();
    (socket, port)
}

/// A listener whose queue is full, so that whoever else connects hears nothing.
struct BlackHole {
    address: SocketAddr,
    _listener: socket2::Socket,
    _queue: Vec<TcpStream>,
}

impl BlackHole {
    fn at(address: SocketAddr) -> Self {
        let listener =
            socket2::Socket::new(socket2::Domain::for_address(address), socket2::Type::STREAM, None).unwrap();
        listener.bind(&address.into()).unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap().as_socket().unwrap();
        let mut queue = Vec::new();
        while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
            queue.push(stream);
            assert!(queue.len() < 1_000, "this machine's queue is never full");
        }
        Self { address, _listener: listener, _queue: queue }
    }
}

#[tokio::test]
async fn a_refused_connection_says_connect() {
    let (_taken, port) = dead_port();
    let outcome = client().send(&endpoint("127.0.0.1", port), post()).await;
    assert_eq!(failure(outcome), (Kind::Connect, Phase::Connecting));
}

#[tokio::test]
async fn a_connection_that_nobody_answers_ends_at_its_limit() {
    let hole = BlackHole::at("127.0.0.1:0".parse().unwrap());
    let endpoint = endpoint("127.0.0.1", hole.address.port());
    let outcome = client().send(&endpoint, hurried(SHORT)).await;
    assert_eq!(failure(outcome), (Kind::Timeout, Phase::Connecting));
    let head_by = tokio::time::Instant::now() + SHORT;
    let outgoing = Outgoing { timeouts: Timeouts { head_by, ..patient() }, ..post() };
    assert_eq!(failure(client().send(&endpoint, outgoing).await), (Kind::Timeout, Phase::Connecting));
}

#[tokio::test]
async fn a_call_whose_time_is_over_does_not_connect() {
    let provider = Provider::answering(GOOD).await;
    let outcome = client().send(&provider.endpoint(), hurried(Duration::ZERO)).await;
    assert_eq!(failure(outcome), (Kind::Timeout, Phase::Connecting));
    assert_eq!(call(&client(), &provider.endpoint()).await.unwrap(), "good");
    assert_eq!(provider.accepts(), 1);
}

#[tokio::test]
async fn a_name_that_does_not_resolve_says_dns_and_one_that_takes_too_long_says_timeout() {
    let check = async |lookup: Lookup, kind: Kind| {
        let outcome =
            client_asking(Resolver::with_lookup(lookup)).send(&endpoint("x.test", 80), hurried(SHORT)).await;
        assert_eq!(failure(outcome), (kind, Phase::Connecting));
    };
    check(Arc::new(|_, _| Box::pin(async { Err(io::Error::other("NXDOMAIN")) })), Kind::Dns).await;
    check(Arc::new(|_, _| Box::pin(async { Ok(Vec::new()) })), Kind::Dns).await;
    check(Arc::new(|_, _| Box::pin(std::future::pending())), Kind::Timeout).await;
}

#[tokio::test]
async fn a_hundred_calls_at_once_ask_for_their_name_once() {
    let provider = Provider::answering(GOOD).await;
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let lookup: Lookup = Arc::new(move |_, _| {
        count.fetch_add(1, Ordering::SeqCst);
        Box::pin(async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            Ok(vec![IpAddr::from(HERE)])
        })
    });
    let client = Arc::new(client_asking(Resolver::with_lookup(lookup)));
    let endpoint = endpoint("x.test", provider.address.port());
    let calls: Vec<_> = (0..100)
        .map(|_| {
            let (client, endpoint) = (Arc::clone(&client), endpoint.clone());
            tokio::spawn(async move { call(&client, &endpoint).await })
        })
        .collect();
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap(), "good");
    }
    assert_eq!((asked.load(Ordering::SeqCst), provider.request_count()), (1, 100));
}

#[tokio::test]
async fn dead_addresses_of_a_host_cost_a_little_and_not_the_call() {
    let provider = Provider::answering(GOOD).await;
    let port = provider.address.port();
    let refusing: IpAddr = "127.0.0.9".parse().unwrap();
    let silent = BlackHole::at(SocketAddr::new("::1".parse().unwrap(), port)).address.ip();
    let hole = BlackHole::at(SocketAddr::new("127.0.0.8".parse().unwrap(), port));
    let here = IpAddr::from(HERE);
    for addresses in [
        vec![here],
        vec![refusing, here],
        vec![silent, refusing, here],
        vec![hole.address.ip(), here],
        vec![refusing, hole.address.ip(), refusing, here],
        vec![here, hole.address.ip()],
    ] {
        let client = client_asking(resolver(addresses.clone()));
        let reply = client.send(&endpoint("x.test", port), hurried(LONG)).await;
        let body = reply.unwrap().body.collect().await.unwrap();
        assert_eq!(body, "good", "{addresses:?}");
    }
    assert_eq!(provider.request_count(), 6);
}

#[tokio::test]
async fn when_every_address_is_dead_the_failure_says_how() {
    let hole = BlackHole::at("127.0.0.1:0".parse().unwrap());
    let port = hole.address.port();
    let refusing = |last: u8| IpAddr::from([127, 0, 0, last]);
    let check = async |addresses: Vec<IpAddr>, kind: Kind| {
        let client = client_asking(resolver(addresses.clone()));
        let outcome = client.send(&endpoint("x.test", port), hurried(Duration::from_millis(900))).await;
        assert_eq!(failure(outcome), (kind, Phase::Connecting), "{addresses:?}");
    };
    check((2..=250).map(refusing).collect(), Kind::Connect).await;
    check(vec![hole.address.ip(), refusing(9)], Kind::Timeout).await;
    check(vec![refusing(9), hole.address.ip()], Kind::Timeout).await;
}

/// A network on which every address answers once, and is noted.
#[derive(Debug, Default)]
struct Noted(Mutex<Vec<SocketAddr>>);

impl Dial for Noted {
    fn dial(&self, address: SocketAddr) -> Dialing {
        self.0.lock().unwrap().push(address);
        Box::pin(async {
            let (ours, mut theirs) = tokio::io::duplex(1 << 10);
            tokio::spawn(async move {
                let mut request = [0; 1 << 10];
                let _ = theirs.read(&mut request).await;
                theirs.write_all(GOOD).await
            });
            Ok(Box::new(ours) as Box<dyn Socket>)
        })
    }
}

#[tokio::test]
async fn a_network_that_is_given_is_dialed_at_judged_addresses_alone() {
    let network = Arc::new(Noted::default());
    let addresses = ["10.0.0.1", "8.8.8.8"].map(|address| address.parse().unwrap()).to_vec();
    let shared = Shared::new(resolver(addresses), Limits::default(), Vec::new()).unwrap();
    let client = Client::new(Arc::new(shared.with_dialer(Arc::clone(&network) as Arc<dyn Dial>)));
    let check = async |url: &str, trust: Trust, dialed: &[&str]| {
        let endpoint = Endpoint::parse(url, trust).unwrap();
        let answered = call(&client, &endpoint).await;
        assert_eq!(answered.is_ok(), !dialed.is_empty(), "{url}: {answered:?}");
        let noted: Vec<String> = network.0.lock().unwrap().drain(..).map(|at| at.to_string()).collect();
        assert_eq!(noted, dialed, "{url}");
    };
    check("http://192.168.7.7:8080", Trust::Operator, &["192.168.7.7:8080"]).await;
    check("http://192.168.7.7", Trust::Catalogue, &[]).await;
    check("http://x.test", Trust::Caller, &["8.8.8.8:80"]).await;
}
