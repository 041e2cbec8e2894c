//! Connections that become WebSockets: the handshake, and everything that every other connection is held to.

use crate::support::{LONG, Provider, SECRET, SHORT, client, client_with, patient, post};
use futures_util::{SinkExt, StreamExt};
use http::HeaderValue;
use http::header::SEC_WEBSOCKET_EXTENSIONS;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::{Error, Message};
use tollgate_upstream::websocket::{Handshake, accept_key};
use tollgate_upstream::{Client, Endpoint, Failure, Kind, Limits, Phase, Timeouts, Trust};

const CAP: usize = 1 << 10;

async fn open(client: &Client, endpoint: &Endpoint) -> Result<Handshake, Failure> {
    client.open_websocket(endpoint, post(), CAP).await
}

fn refused(outcome: Result<Handshake, Failure>) -> (Kind, Phase) {
    match outcome {
        Err(failure) => (failure.kind, failure.phase),
        Ok(_) => panic!("it was answered"),
    }
}

/// The value of a header of a request, as it came.
fn header(request: &[u8], name: &str) -> Option<String> {
    let text = String::from_utf8(request.to_vec()).unwrap();
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(": ")?;
        key.eq_ignore_ascii_case(name).then(|| value.to_owned())
    })
}

/// The 101 that answers a handshake.
fn switching(request: &[u8]) -> String {
    let accept = accept_key(header(request, "sec-websocket-key").unwrap().as_bytes()).unwrap();
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\nx-there: yes\r\nsec-websocket-accept: {}\r\n\r\n",
        accept.to_str().unwrap()
    )
}

/// A provider that opens, says these bytes and listens to the end.
async fn opening(then: &'static [u8]) -> Provider {
    Provider::start(move |mut peer| async move {
        let Some(request) = peer.request().await else { return };
        peer.say(switching(&request).as_bytes()).await;
        peer.say(then).await;
        peer.until_closed().await;
    })
    .await
}

#[tokio::test]
async fn a_handshake_has_what_it_needs_and_nothing_of_the_callers_framing() {
    let provider = opening(b"\x81\x02hi").await;
    let client = client();
    let mut outgoing = post();
    outgoing.headers.insert(SEC_WEBSOCKET_EXTENSIONS, HeaderValue::from_static("permessage-deflate"));
    let opened = client.open_websocket(&provider.endpoint(), outgoing, CAP).await.unwrap();
    let Handshake::Open { headers, mut socket } = opened else { panic!("refused") };
    assert_eq!(headers["x-there"], "yes");
    assert_eq!(socket.next().await.unwrap().unwrap(), Message::text("hi"));
    socket.send(Message::text("ho")).await.unwrap();
    let request = provider.requests().remove(0);
    assert!(request.starts_with(b"GET /v1/chat HTTP/1.1\r\n"));
    for (name, value) in [
        ("connection", Some("Upgrade")),
        ("upgrade", Some("websocket")),
        ("sec-websocket-version", Some("13")),
        ("authorization", Some(SECRET)),
        ("sec-websocket-extensions", None),
        ("content-length", None),
        ("transfer-encoding", None),
    ] {
        assert_eq!(header(&request, name).as_deref(), value, "{name}");
    }
    drop(socket);
    provider.closes(1).await;
    assert_eq!((provider.accepts(), client.idle_connections()), (1, 0));
}

#[tokio::test]
async fn a_refusal_is_a_reply_like_any_other_and_its_connection_is_kept() {
    let provider = Provider::answering("HTTP/1.1 401 Unauthorized\r\ncontent-length: 2\r\n\r\nno").await;
    let client = client();
    let Ok(Handshake::Refused(reply)) = open(&client, &provider.endpoint()).await else { panic!("opened") };
    assert_eq!((reply.status.as_u16(), &reply.body.collect().await.unwrap()[..]), (401, &b"no"[..]));
    assert_eq!(client.idle_connections(), 1);
}

#[tokio::test]
async fn what_is_no_answer_to_the_handshake_is_a_failure_and_the_connection_is_closed() {
    for reply in [
        "HTTP/1.1 101 Switching Protocols\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: x\r\n\r\n",
    ] {
        let provider = Provider::hanging_after(reply).await;
        let failed = refused(open(&client(), &provider.endpoint()).await);
        assert_eq!(failed, (Kind::Protocol, Phase::Reading), "{reply}");
        provider.closes(1).await;
    }
}

#[tokio::test]
async fn a_switch_that_nobody_asked_for_is_a_failure() {
    let reply = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
    let provider = Provider::hanging_after(reply).await;
    let failed = client().send(&provider.endpoint(), post()).await.unwrap_err();
    assert_eq!((failed.kind, failed.phase), (Kind::Protocol, Phase::Reading));
    provider.closes(1).await;
}

#[tokio::test]
async fn the_guard_and_the_limits_of_every_connection_hold() {
    let provider = opening(b"").await;
    let inner = Endpoint::parse(&format!("http://{}/v1", provider.address), Trust::Catalogue).unwrap();
    assert_eq!(refused(open(&client(), &inner).await), (Kind::Blocked, Phase::Connecting));
    assert_eq!(provider.accepts(), 0);

    let silent = Provider::hanging_after("").await;
    let mut outgoing = post();
    let head_by = Instant::now() + SHORT;
    outgoing.timeouts = Timeouts { connect: LONG, head_by, ..patient() };
    let late = client().open_websocket(&silent.endpoint(), outgoing, CAP).await;
    assert_eq!(refused(late), (Kind::Timeout, Phase::AwaitingHead));
    silent.closes(1).await;

    let many = "x: y\r\n".repeat(50);
    let chatty = Provider::hanging_after(format!("HTTP/1.1 101 Switching Protocols\r\n{many}\r\n")).await;
    let few = client_with(Limits { headers_max: 20, ..Limits::default() });
    assert_eq!(refused(open(&few, &chatty.endpoint()).await).0, Kind::Protocol);
}

#[tokio::test]
async fn a_message_beyond_the_cap_is_refused_by_its_head() {
    // A binary message of 2^62 bytes, of which none follows; and one of pieces that are too many.
    let endless: &[u8] = &[0x82, 127, 0x40, 0, 0, 0, 0, 0, 0, 0];
    let provider = opening(endless).await;
    let Ok(Handshake::Open { mut socket, .. }) = open(&client(), &provider.endpoint()).await else {
        panic!("refused")
    };
    assert!(matches!(socket.next().await, Some(Err(Error::Capacity(_)))));
    let provider = Provider::start(|mut peer| async move {
        let Some(request) = peer.request().await else { return };
        peer.say(switching(&request).as_bytes()).await;
        peer.say(&[&[0x02, 126, 2, 0][..], &[0; 512]].concat()).await;
        peer.repeat(&[&[0x00, 126, 2, 0][..], &[0; 512]].concat()).await;
    })
    .await;
    let Ok(Handshake::Open { mut socket, .. }) = open(&client(), &provider.endpoint()).await else {
        panic!("refused")
    };
    assert!(matches!(socket.next().await, Some(Err(Error::Capacity(_)))));
    drop(socket);
    provider.closes(1).await;
}
