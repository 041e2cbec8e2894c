//! What may stand before a reply's body: everything else ends as a failure, soon and in little memory.

use crate::support::{LONG, Provider, SHORT, call, client, failure, patient, post};
use http::header::LOCATION;
use std::time::Duration;
use tokio::time::{Instant, timeout};
use tollgate_upstream::{Endpoint, Kind, Outgoing, Phase, Timeouts, Trust};

/// More than the network itself holds, less than what a provider without end would send.
const TAKEN_MAX: usize = 32 << 20;

/// One request to a provider that answers with these bytes and then waits: how it fails, and that it costs nothing more.
async fn check(reply: impl Into<Vec<u8>>, expected: (Kind, Phase)) {
    let reply = reply.into();
    let shown = String::from_utf8_lossy(&reply[..reply.len().min(80)]).into_owned();
    let provider = Provider::hanging_after(reply).await;
    let client = client();
    assert_eq!(failure(client.send(&provider.endpoint(), post()).await), expected, "{shown}");
    provider.closes(1).await;
    assert_eq!(
        (client.idle_connections(), provider.accepts(), provider.request_count()),
        (0, 1, 1),
        "{shown}"
    );
}

#[tokio::test]
async fn what_is_not_http_is_a_protocol_failure() {
    for reply in [
        "<html><body>hello</body></html>\n",
        "hello\r\n\r\n",
        "{\"choices\":[]}",
        "SSH-2.0-OpenSSH_9.6\r\n",
        "220 mail.test ESMTP\r\n",
        "-ERR unknown command\r\n",
        "HTTP/2.0 200 OK\r\n\r\n",
        "HTTP/0.9 200 OK\r\n\r\n",
        "HTTP/1.1 OK\r\n\r\n",
        "HTTP/1.1 abc OK\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1 099 OK\r\n\r\n",
        "http/1.1 200 OK\r\n\r\n",
        " HTTP/1.1 200 OK\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: x\r\n\r\n",
    ] {
        check(reply, (Kind::Protocol, Phase::AwaitingHead)).await;
    }
    check([0_u8; 64], (Kind::Protocol, Phase::AwaitingHead)).await;
    check([0xff_u8; 64], (Kind::Protocol, Phase::AwaitingHead)).await;
    check(b"\x00\x00\x12\x04\x00\x00\x00\x00\x00".as_slice(), (Kind::Protocol, Phase::AwaitingHead)).await;
}

#[tokio::test]
async fn header_lines_that_readers_disagree_about_are_a_protocol_failure() {
    for line in [
        "x-a : 1",
        "x a: 1",
        ": 1",
        "x-a",
        "x-a: 1\r\n folded",
        "x-a: 1\r\n\tfolded",
        " x-a: 1",
        "x-a: \0",
        "x-a: 1\rx-b: 2",
        "x\0a: 1",
        "x\u{e4}: 1",
    ] {
        check(
            format!("HTTP/1.1 200 OK\r\n{line}\r\ncontent-length: 0\r\n\r\n"),
            (Kind::Protocol, Phase::AwaitingHead),
        )
        .await;
    }
}

#[tokio::test]
async fn a_head_that_ends_early_is_a_reset() {
    for said in
        ["", "H", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nx-a: 1\r\n", "HTTP/1.1 102 Processing\r\n\r\n"]
    {
        let provider = Provider::start(move |mut peer| async move {
            peer.request().await;
            peer.say(said.as_bytes()).await;
        })
        .await;
        let outcome = client().send(&provider.endpoint(), post()).await;
        assert_eq!(failure(outcome), (Kind::Reset, Phase::AwaitingHead), "{said}");
        assert_eq!(provider.request_count(), 1, "{said}");
    }
}

fn head_of(lines: usize) -> String {
    let lines: String = (0..lines).map(|number| format!("x-{number}: 1\r\n")).collect();
    format!("HTTP/1.1 200 OK\r\n{lines}\r\n")
}

#[tokio::test]
async fn a_head_has_a_hundred_lines_at_most() {
    let provider =
        Provider::answering(head_of(99).replace("\r\n\r\n", "\r\ncontent-length: 0\r\n\r\n")).await;
    let reply = client().send(&provider.endpoint(), post()).await.unwrap();
    assert_eq!(reply.headers.len(), 100);
    check(head_of(101), (Kind::Protocol, Phase::AwaitingHead)).await;
    check(head_of(100_000), (Kind::Protocol, Phase::AwaitingHead)).await;
}

#[tokio::test]
async fn one_header_of_ten_megabytes_is_cut_off() {
    let reply = format!("HTTP/1.1 200 OK\r\nx-a: {}\r\n\r\n", "a".repeat(10 << 20));
    check(reply, (Kind::Protocol, Phase::AwaitingHead)).await;
}

#[tokio::test]
async fn a_head_without_end_is_cut_off_whatever_it_is_made_of() {
    for (start, again) in [
        ("HTTP/1.1 200 OK\r\n", "x-a: 1\r\n"),
        ("HTTP/1.1 200 OK\r\nx-a: ", "aaaaaaaaaaaaaaaa"),
        ("HTTP/1.1 200 OK\r\n", "aaaaaaaaaaaaaaaa"),
        ("HTTP/1.1 200 ", "aaaaaaaaaaaaaaaa"),
        ("", "HTTP/1.1 100 Continue\r\n\r\n"),
        ("", "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"),
        ("", "\r\n"),
    ] {
        let provider = Provider::start(move |mut peer| async move {
            peer.request().await;
            peer.say(start.as_bytes()).await;
            peer.repeat(again.repeat(4_096).as_bytes()).await;
        })
        .await;
        let client = client();
        let outcome = timeout(LONG, client.send(&provider.endpoint(), post())).await.unwrap();
        assert_eq!(failure(outcome), (Kind::Protocol, Phase::AwaitingHead), "{start}{again}");
        provider.closes(1).await;
        assert!(provider.written() < TAKEN_MAX, "{} bytes of {again} were taken", provider.written());
        assert_eq!((client.idle_connections(), provider.request_count()), (0, 1));
    }
}

#[tokio::test]
async fn a_few_interim_replies_are_passed_over() {
    let interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n".repeat(10);
    let provider =
        Provider::answering(format!("{interim}HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ngood")).await;
    let client = client();
    for _ in 0..3 {
        assert_eq!(call(&client, &provider.endpoint()).await.unwrap(), "good");
    }
    assert_eq!(provider.accepts(), 1);
}

#[tokio::test]
async fn a_protocol_that_was_not_asked_for_is_a_failure() {
    let head = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
    check(head, (Kind::Protocol, Phase::Reading)).await;
}

#[tokio::test]
async fn a_head_that_comes_too_slowly_ends_at_its_limit() {
    let silent = Provider::hanging_after("").await;
    let slow = Provider::start(|mut peer| async move {
        peer.request().await;
        for byte in b"HTTP/1.1 200 OK\r\nx-slow: ".iter().chain(std::iter::repeat(&b'x')) {
            tokio::time::sleep(Duration::from_millis(5)).await;
            if !peer.say(&[*byte]).await {
                break;
            }
        }
        peer.is_closed();
    })
    .await;
    let interim = Provider::start(|mut peer| async move {
        peer.request().await;
        while peer.say(b"HTTP/1.1 102 Processing\r\n\r\n").await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        peer.is_closed();
    })
    .await;
    for provider in [silent, slow, interim] {
        let client = client();
        let outgoing =
            Outgoing { timeouts: Timeouts { head_by: Instant::now() + SHORT, ..patient() }, ..post() };
        let outcome = client.send(&provider.endpoint(), outgoing).await;
        assert_eq!(failure(outcome), (Kind::Timeout, Phase::AwaitingHead));
        provider.closes(1).await;
        assert_eq!((client.idle_connections(), provider.request_count()), (0, 1));
    }
}

#[tokio::test]
async fn a_redirect_comes_back_as_it_is_and_nobody_is_told_the_credentials() {
    let attacker = Provider::answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    for status in [300, 301, 302, 303, 305, 307, 308] {
        let to = format!("http://{}/stolen", attacker.address);
        let head = format!("HTTP/1.1 {status} Elsewhere\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n");
        let provider = Provider::answering(head).await;
        let reply = client().send(&provider.endpoint(), post()).await.unwrap();
        assert_eq!((reply.status.as_u16(), reply.headers[LOCATION].to_str().unwrap()), (status, to.as_str()));
        assert_eq!(reply.body.collect().await.unwrap(), "");
        assert_eq!(provider.request_count(), 1);
    }
    assert_eq!(attacker.accepts(), 0);
}

#[tokio::test]
async fn a_provider_on_ipv6_answers_too() {
    let listener = tokio::net::TcpListener::bind("[::1]:0").await.unwrap();
    let provider = Provider::on(listener, |mut peer| async move {
        peer.request().await;
        peer.say(crate::support::GOOD).await;
    });
    let endpoint = Endpoint::parse(&format!("http://{}", provider.address), Trust::Operator).unwrap();
    assert_eq!(call(&client(), &endpoint).await.unwrap(), "good");
    let host = format!("\r\nhost: {}\r\n", provider.address);
    assert!(String::from_utf8_lossy(&provider.requests()[0]).contains(&host));
}
