//! Who may use a connection again, and when one is closed.

use crate::support::{GOOD, LONG, Provider, call, client, client_asking, client_with, failure, post};
use bytes::Bytes;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::time::timeout;
use tollgate_upstream::{Client, Endpoint, Kind, Limits, Phase, Resolver, SegmentBody, Trust};

#[tokio::test]
async fn a_reply_read_to_its_end_leaves_its_connection_to_the_next_request() {
    let check = async |reply: &'static [u8], body: &'static [u8]| {
        let provider = Provider::answering(reply).await;
        let (client, endpoint) = (client(), provider.endpoint());
        for _ in 0..5 {
            assert_eq!(call(&client, &endpoint).await.unwrap(), body);
            assert_eq!(client.idle_connections(), 1);
        }
        assert_eq!((provider.accepts(), provider.request_count()), (1, 5), "{:?}", Bytes::from_static(reply));
    };
    check(GOOD, b"good").await;
    check(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\ngood\r\n0\r\n\r\n", b"good").await;
    check(
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\ngood\r\n0\r\nx-sum: 1\r\n\r\n",
        b"good",
    )
    .await;
    check(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", b"").await;
    check(b"HTTP/1.1 204 No Content\r\n\r\n", b"").await;
    check(b"HTTP/1.1 429 Too Many Requests\r\ncontent-length: 4\r\n\r\nslow", b"slow").await;
}

#[tokio::test]
async fn a_declared_end_is_known_before_it_is_asked_for() {
    let provider = Provider::answering(GOOD).await;
    let (client, endpoint) = (client(), provider.endpoint());
    let mut reply = client.send(&endpoint, post()).await.unwrap();
    assert_eq!(reply.body.next().await.unwrap().unwrap(), "good");
    assert_eq!(client.idle_connections(), 1);
    assert!(reply.body.next().await.is_none() && reply.body.next().await.is_none());
    drop(reply);
    assert_eq!(client.idle_connections(), 1);
}

#[tokio::test]
async fn a_connection_that_the_reply_ends_is_not_kept() {
    let check = async |reply: &'static str| {
        let provider = Provider::start(move |mut peer| async move {
            peer.request().await;
            peer.say(reply.as_bytes()).await;
            if !reply.contains("length") {
                return;
            }
            peer.until_closed().await;
        })
        .await;
        let (client, endpoint) = (client(), provider.endpoint());
        for round in 1..=2 {
            assert_eq!(call(&client, &endpoint).await.unwrap(), "good", "{reply}");
            assert_eq!((client.idle_connections(), provider.accepts()), (0, round), "{reply}");
        }
        if reply.contains("length") {
            provider.closes(2).await;
        }
    };
    check("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 4\r\n\r\ngood").await;
    check("HTTP/1.1 200 OK\r\nConnection: x, Close\r\ncontent-length: 4\r\n\r\ngood").await;
    check("HTTP/1.0 200 OK\r\ncontent-length: 4\r\n\r\ngood").await;
    check("HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 4\r\n\r\ngood").await;
    check("HTTP/1.1 200 OK\r\n\r\ngood").await;
}

#[tokio::test]
async fn a_reply_dropped_before_its_end_closes_its_connection() {
    let check = async |head: &'static str| {
        let stalled = Provider::hanging_after(head).await;
        let flooding = Provider::start(move |mut peer| async move {
            peer.request().await;
            peer.say(head.as_bytes()).await;
            peer.repeat(b"4\r\nmore\r\n").await;
        })
        .await;
        for provider in [stalled, flooding] {
            let client = client();
            let untouched = client.send(&provider.endpoint(), post()).await.unwrap();
            drop(untouched);
            provider.closes(1).await;
            let mut begun = client.send(&provider.endpoint(), post()).await.unwrap();
            assert!(begun.body.next().await.unwrap().is_ok());
            drop(begun);
            provider.closes(2).await;
            assert_eq!((client.idle_connections(), provider.accepts()), (0, 2), "{head}");
        }
    };
    check("HTTP/1.1 200 OK\r\ncontent-length: 9999999\r\n\r\nsome").await;
    check("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nsome\r\n").await;
    check("HTTP/1.1 200 OK\r\n\r\nsome").await;
}

#[tokio::test]
async fn a_reader_that_waits_and_is_dropped_closes_the_connection() {
    let provider =
        Provider::hanging_after("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nsome\r\n").await;
    let client = client();
    let mut reply = client.send(&provider.endpoint(), post()).await.unwrap();
    reply.body.next().await.unwrap().unwrap();
    assert!(timeout(Duration::from_millis(50), reply.body.next()).await.is_err());
    assert_eq!(provider.close_count(), 0);
    drop(reply);
    provider.closes(1).await;
}

#[tokio::test]
async fn a_request_dropped_before_the_head_closes_its_connection() {
    let provider = Provider::start(|mut peer| async move {
        if peer.number == 1 {
            // The second connection answers once, so that the next request meets a kept one.
            peer.request().await;
            peer.say(GOOD).await;
        }
        peer.request().await;
        peer.until_closed().await;
    })
    .await;
    let (client, endpoint) = (client(), provider.endpoint());
    let hang_up = async |requests: usize| {
        tokio::select! {
            _ = client.send(&endpoint, post()) => panic!("a reply"),
            () = async { while provider.request_count() < requests { tokio::task::yield_now().await } } => {}
        }
    };
    hang_up(1).await;
    provider.closes(1).await;
    assert_eq!(call(&client, &endpoint).await.unwrap(), "good");
    hang_up(3).await;
    provider.closes(2).await;
    assert_eq!((client.idle_connections(), provider.accepts()), (0, 2));
}

#[tokio::test]
async fn two_hundred_hang_ups_leave_nothing_behind() {
    let provider = Provider::start(|mut peer| async move {
        peer.request().await;
        if peer.number >= 200 {
            peer.say(GOOD).await;
        } else {
            peer.say(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nsome\r\n").await;
        }
        peer.until_closed().await;
    })
    .await;
    let client = client_with(Limits { idle_per_host_max: 2, ..Limits::default() });
    for _ in 0..200 {
        drop(client.send(&provider.endpoint(), post()).await.unwrap());
    }
    provider.closes(200).await;
    assert_eq!(call(&client, &provider.endpoint()).await.unwrap(), "good");
    assert_eq!((client.idle_connections(), provider.accepts()), (1, 201));
}

#[tokio::test]
async fn no_more_connections_wait_than_the_limit_per_host() {
    let provider = Provider::answering(GOOD).await;
    let client = client_with(Limits { idle_per_host_max: 2, ..Limits::default() });
    let endpoint = provider.endpoint();
    let mut replies = Vec::new();
    for _ in 0..5 {
        replies.push(client.send(&endpoint, post()).await.unwrap());
    }
    assert_eq!(provider.accepts(), 5);
    for reply in replies {
        reply.body.collect().await.unwrap();
    }
    assert_eq!(client.idle_connections(), 2);
    provider.closes(3).await;
    let none = client_with(Limits { idle_per_host_max: 0, ..Limits::default() });
    call(&none, &endpoint).await.unwrap();
    assert_eq!(none.idle_connections(), 0);
    provider.closes(4).await;
}

#[tokio::test]
async fn endpoints_that_differ_in_name_port_or_trust_never_share() {
    let (provider, other) = (Provider::answering(GOOD).await, Provider::answering(GOOD).await);
    let everything_is_here =
        Resolver::with_lookup(Arc::new(|_, _| Box::pin(async { Ok(vec![IpAddr::from([127, 0, 0, 1])]) })));
    let client = client_asking(everything_is_here);
    let port = provider.address.port();
    let named = |host: &str, port: u16, trust: Trust| {
        Endpoint::parse(&format!("http://{host}:{port}"), trust).unwrap()
    };
    call(&client, &named("127.0.0.1", port, Trust::Operator)).await.unwrap();
    call(&client, &named("a.test", port, Trust::Operator)).await.unwrap();
    call(&client, &named("b.test", port, Trust::Operator)).await.unwrap();
    call(&client, &named("127.0.0.1", other.address.port(), Trust::Operator)).await.unwrap();
    assert_eq!((provider.accepts(), other.accepts(), client.idle_connections()), (3, 1, 4));
    for trust in [Trust::Catalogue, Trust::Caller] {
        let outcome = client.send(&named("a.test", port, trust), post()).await;
        assert_eq!(
            failure(outcome),
            (Kind::Blocked, Phase::Connecting),
            "{trust:?} must not find the operator's"
        );
    }
    call(&client, &named("A.TEST", port, Trust::Operator)).await.unwrap();
    assert_eq!((provider.accepts(), provider.request_count()), (3, 4), "a name has no case");
}

#[tokio::test]
async fn idle_connections_go_by_themselves_when_they_are_old() {
    let provider = Provider::answering(GOOD).await;
    let client = client_with(Limits { idle_for_max: Duration::from_millis(300), ..Limits::default() });
    for round in 1..=2 {
        call(&client, &provider.endpoint()).await.unwrap();
        assert_eq!(client.idle_connections(), 1);
        provider.closes(round).await;
        assert_eq!(client.idle_connections(), 0);
    }
}

#[tokio::test]
async fn a_connection_that_the_provider_closed_is_not_kept() {
    let provider = Provider::start(|mut peer| async move {
        peer.request().await;
        peer.say(GOOD).await;
    })
    .await;
    let client = client();
    call(&client, &provider.endpoint()).await.unwrap();
    let gone = async {
        while client.idle_connections() > 0 {
            tokio::task::yield_now().await;
            client.prune();
        }
    };
    timeout(LONG, gone).await.unwrap();
}

#[tokio::test]
async fn a_reply_that_comes_before_the_upload_has_ended_does_not_stall_the_next_request() {
    let provider = Provider::start(|mut peer| async move {
        if peer.number == 0 {
            let mut head = [0; 64];
            peer.stream.read_exact(&mut head).await.unwrap();
            peer.say(b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 3\r\n\r\nbig").await;
            // Reads no more, and keeps the connection.
            std::future::pending::<()>().await;
        }
        while peer.request().await.is_some() {
            peer.say(GOOD).await;
        }
    })
    .await;
    let (client, endpoint) = (client(), provider.endpoint());
    let large =
        tollgate_upstream::Outgoing { body: SegmentBody::from(Bytes::from(vec![b'x'; 32 << 20])), ..post() };
    let reply = client.send(&endpoint, large).await.unwrap();
    assert_eq!(
        (reply.status.as_u16(), reply.body.collect().await.unwrap()),
        (413, Bytes::from_static(b"big"))
    );
    assert_eq!(client.idle_connections(), 0, "its request is still on its way out");
    assert_eq!(call(&client, &endpoint).await.unwrap(), "good");
    assert_eq!(provider.accepts(), 2);
}

#[tokio::test]
async fn a_client_that_is_dropped_closes_what_it_kept() {
    let provider = Provider::answering(GOOD).await;
    let client: Client = client();
    call(&client, &provider.endpoint()).await.unwrap();
    drop(client);
    provider.closes(1).await;
}
