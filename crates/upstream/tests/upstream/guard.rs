//! No spelling of an inner address, and no name that turns inward, is ever connected to.

use crate::support::{GOOD, Provider, client, client_asking, failure, patient, post};
use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;
use tollgate_upstream::{Endpoint, EndpointError, Kind, Lookup, Outgoing, Phase, Resolver, Timeouts, Trust};

/// Hosts that mean this machine, its network or its cloud's metadata service, one way or another.
const INNER: &[&str] = &[
    "127.0.0.1",
    "127.0.0.2",
    "127.255.255.254",
    "127.1",
    "127.0.1",
    "127.0.0.1.",
    "2130706433",
    "2130706433.",
    "017700000001",
    "0177.0.0.1",
    "0177.0.0.01",
    "00000177.0.0.1",
    "0x7f000001",
    "0X7F000001",
    "0x7f.0.0.1",
    "0x7f.1",
    "0x7F.0x0.0x0.0x1",
    "0x7f.0.1",
    "127.0x1",
    "127.000.000.001",
    "0",
    "0.",
    "0x0",
    "00",
    "0.0",
    "0.0.0.0",
    "0.0.0.0.",
    "000.000.000.000",
    "localhost",
    "localhost.",
    "LOCALHOST",
    "LocalHost",
    "localhost.localdomain",
    "ip6-localhost",
    "x.localhost",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[0000:0000:0000:0000:0000:0000:0000:0001]",
    "[::0001]",
    "[::]",
    "[0::0]",
    "[::ffff:127.0.0.1]",
    "[::FFFF:7F00:1]",
    "[0:0:0:0:0:ffff:7f00:0001]",
    "[::ffff:0:127.0.0.1]",
    "[::127.0.0.1]",
    "[::7f00:1]",
    "[64:ff9b::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b:1::7f00:1]",
    "[64:ff9b::a9fe:a9fe]",
    "[2002:7f00:1::]",
    "[2002:a9fe:a9fe::1]",
    "[2001:0:7f00:1::]",
    "[fe80::1]",
    "[fe80::1%25lo]",
    "[fe80::1%lo]",
    "[::1%25lo]",
    "[::1%1]",
    "[fd00:ec2::254]",
    "[fc00::1]",
    "[fec0::1]",
    "[ff02::1]",
    "[100::1]",
    "169.254.169.254",
    "169.254.169.254.",
    "0xa9fea9fe",
    "2852039166",
    "0251.0376.0251.0376",
    "169.16689662",
    "[::ffff:169.254.169.254]",
    "[::ffff:a9fe:a9fe]",
    "168.63.129.16",
    "100.100.100.200",
    "192.0.0.192",
    "10.0.0.1",
    "10.1",
    "172.16.0.1",
    "192.168.1",
    "192.168.0.1",
    "198.18.0.1",
    "224.0.0.1",
    "255.255.255.255",
    "metadata.google.internal",
    "metadata",
    "host.docker.internal",
    "kubernetes.default.svc",
    "127.0.0.1.nip.io",
    "user@127.0.0.1",
    "api.openai.com@127.0.0.1",
    "user:password@localhost",
    "api.openai.com:443@127.0.0.1",
    "127.0.0.1%2eapi.test",
    "127.0.0.1%00.api.test",
    "%6c%6f%63%61%6c%68%6f%73%74",
    "%31%32%37.0.0.1",
    "\u{2460}\u{2461}\u{2466}.0.0.1",
    "127\u{3002}0\u{3002}0\u{3002}1",
    "\u{ff11}\u{ff12}\u{ff17}.0.0.1",
    "loc\u{e0}lhost",
    "127.0.0.1\\.api.test",
    "127.0.0.1 .api.test",
    "127.0.0.1\t",
    "127.0.0.1\r\nhost: api.test",
    "[127.0.0.1]",
    "[localhost]",
    "[::1",
    "::1]",
];

/// A resolver with the worst answers that there are: whatever the name, everything inner.
fn worst() -> (Resolver, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let resolver = Resolver::with_lookup(Arc::new(move |_, _| {
        count.fetch_add(1, Ordering::SeqCst);
        let inner =
            ["127.0.0.1", "::1", "::ffff:127.0.0.1", "0.0.0.0", "::", "169.254.169.254", "64:ff9b::7f00:1"];
        Box::pin(async move { Ok(inner.iter().map(|text| text.parse().unwrap()).collect()) })
    }));
    (resolver, asked)
}

/// Providers at both loopback addresses, on one port.
async fn both_loopbacks() -> (Provider, Provider) {
    loop {
        let four = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = four.local_addr().unwrap().port();
        if let Ok(six) = TcpListener::bind(("::1", port)).await {
            let script = |mut peer: crate::support::Peer<_>| async move {
                peer.request().await;
                peer.say(GOOD).await;
            };
            return (Provider::on(four, script), Provider::on(six, script));
        }
    }
}

#[tokio::test]
async fn no_spelling_of_an_inner_address_is_connected_to_for_anyone_but_the_operator() {
    assert!(INNER.len() >= 60);
    let (four, six) = both_loopbacks().await;
    let port = four.address.port();
    let client = client_asking(worst().0);
    let mut judged = 0;
    for trust in [Trust::Caller, Trust::Catalogue] {
        for host in INNER {
            for scheme in ["http", "https"] {
                let Ok(endpoint) = Endpoint::parse(&format!("{scheme}://{host}:{port}/v1"), trust) else {
                    continue;
                };
                judged += 1;
                let outcome = failure(client.send(&endpoint, post()).await);
                assert_eq!(outcome, (Kind::Blocked, Phase::Connecting), "{trust:?} {scheme}://{host}");
            }
        }
    }
    assert!(judged >= 240, "only {judged} were URLs at all");
    assert_eq!((four.accepts(), six.accepts()), (0, 0));
}

#[tokio::test]
async fn the_systems_own_reading_of_a_number_makes_no_difference() {
    let (four, six) = both_loopbacks().await;
    let (client, port) = (client(), four.address.port());
    for host in [
        "127.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.1",
        "0",
        "localhost",
        "LOCALHOST",
        "127.0.0.1",
    ] {
        let endpoint = Endpoint::parse(&format!("http://{host}:{port}"), Trust::Catalogue).unwrap();
        let connect = Duration::from_secs(2);
        let outgoing = Outgoing { timeouts: Timeouts { connect, ..patient() }, ..post() };
        let (kind, phase) = failure(client.send(&endpoint, outgoing).await);
        // Where a system's resolver does not read such numbers, it asks the network for them.
        assert!(matches!(kind, Kind::Blocked | Kind::Dns | Kind::Timeout), "{host}: {kind:?}");
        assert_eq!(phase, Phase::Connecting);
    }
    assert_eq!((four.accepts(), six.accepts()), (0, 0));
    let endpoint = Endpoint::parse(&format!("http://127.0.0.1:{port}"), Trust::Operator).unwrap();
    assert!(client.send(&endpoint, post()).await.is_ok(), "the operator means it");
    assert_eq!(four.accepts(), 1);
}

#[tokio::test]
async fn what_is_no_url_is_refused_before_anything_is_asked() {
    let check = |host: &str, expected: EndpointError| {
        for trust in [Trust::Caller, Trust::Catalogue, Trust::Operator] {
            let parsed = Endpoint::parse(&format!("http://{host}/v1"), trust);
            assert_eq!(parsed.err(), Some(expected.clone()), "{host}");
        }
    };
    check("user@127.0.0.1", EndpointError::UserInfo);
    check("api.openai.com:443@127.0.0.1", EndpointError::UserInfo);
    check("127.0.0.1 .api.test", EndpointError::Malformed);
    check("127.0.0.1\\.api.test", EndpointError::Malformed);
    check("127.0.0.1\r\nhost: api.test", EndpointError::Malformed);
    check("\u{2460}\u{2461}\u{2466}.0.0.1", EndpointError::Malformed);
    check("[::1", EndpointError::Malformed);
    check("127.0.0.1:0", EndpointError::Port);
    check("127.0.0.1:65536", EndpointError::Port);
    check("127.0.0.1:080808080", EndpointError::Port);
}

#[tokio::test]
async fn a_persons_url_reaches_no_port_but_the_webs_and_its_name_is_not_even_asked() {
    let (resolver, asked) = worst();
    let client = client_asking(resolver);
    for port in [22, 25, 53, 5_432, 6_379, 9_200, 11_211] {
        let endpoint = Endpoint::parse(&format!("http://x.test:{port}"), Trust::Caller).unwrap();
        assert_eq!(
            failure(client.send(&endpoint, post()).await),
            (Kind::Blocked, Phase::Connecting),
            "{port}"
        );
    }
    assert_eq!(asked.load(Ordering::SeqCst), 0);
}

/// A resolver that says these one after another, the first of them only when nobody waits for it any more.
fn in_turn(answers: &[&str]) -> Resolver {
    let answers: VecDeque<IpAddr> = answers.iter().map(|text| text.parse().unwrap()).collect();
    let answers = Arc::new(Mutex::new((answers, true)));
    let lookup: Lookup = Arc::new(move |_, _| {
        let mut locked = answers.lock().unwrap();
        let address = locked.0.pop_front().unwrap();
        let is_first = std::mem::take(&mut locked.1);
        Box::pin(async move {
            if is_first {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            Ok(vec![address])
        })
    });
    Resolver::with_lookup(lookup)
}

#[tokio::test(start_paused = true)]
async fn a_public_name_of_the_operators_that_turns_inward_is_not_connected_to() {
    for inward in
        ["127.0.0.1", "::1", "::ffff:127.0.0.1", "169.254.169.254", "10.0.0.1", "fd00:ec2::254", "0.0.0.0"]
    {
        let (four, six) = both_loopbacks().await;
        let client = client_asking(in_turn(&["8.8.8.8", inward]));
        let endpoint =
            Endpoint::parse(&format!("http://x.test:{}", four.address.port()), Trust::Operator).unwrap();
        // The public answer comes when this call has ended already, so that nothing is sent anywhere.
        let connect = Duration::from_millis(100);
        let outgoing = Outgoing { timeouts: Timeouts { connect, ..patient() }, ..post() };
        assert_eq!(failure(client.send(&endpoint, outgoing).await), (Kind::Timeout, Phase::Connecting));
        tokio::time::sleep(Duration::from_secs(2 * 3_600)).await;
        let outcome = failure(client.send(&endpoint, post()).await);
        assert_eq!(outcome, (Kind::Blocked, Phase::Connecting), "{inward}");
        assert_eq!((four.accepts(), six.accepts()), (0, 0), "{inward}");
    }
}

#[tokio::test]
async fn the_operators_own_names_may_be_inner_but_not_the_metadata_service() {
    let provider = Provider::answering(GOOD).await;
    let port = provider.address.port();
    let check = async |address: &'static str, is_reached: bool| {
        let lookup: Lookup =
            Arc::new(move |_, _| Box::pin(async move { Ok(vec![address.parse().unwrap()]) }));
        let client = client_asking(Resolver::with_lookup(lookup));
        let endpoint = Endpoint::parse(&format!("http://model.internal:{port}"), Trust::Operator).unwrap();
        let outcome = client.send(&endpoint, post()).await.map(|reply| reply.status.as_u16());
        assert_eq!(
            outcome.as_ref().map_err(|failure| failure.kind).copied(),
            if is_reached { Ok(200) } else { Err(Kind::Blocked) },
            "{address}"
        );
    };
    check("127.0.0.1", true).await;
    check("169.254.169.254", false).await;
    check("168.63.129.16", false).await;
    check("0.0.0.0", false).await;
    check("::", false).await;
    assert_eq!(provider.accepts(), 1);
}
