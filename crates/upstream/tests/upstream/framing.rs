//! Where a reply ends: a provider that lies about it can spoil its own reply, never the next one.

use crate::support::{GOOD, Provider, call, client, failure, post};
use bytes::Bytes;
use std::time::Duration;
use tollgate_upstream::{Failure, Kind, Phase};

/// A whole reply that nobody asked for.
const EVIL: &str = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nEVIL";

/// A provider whose first connection says `reply` and closes or waits, and whose others answer well.
async fn first_says(reply: String, then_closes: bool) -> Provider {
    Provider::start(move |mut peer| {
        let reply = reply.clone();
        async move {
            while peer.number > 0 && peer.request().await.is_some() {
                peer.say(GOOD).await;
            }
            peer.request().await;
            peer.say(reply.as_bytes()).await;
            if !then_closes {
                peer.until_closed().await;
            }
        }
    })
    .await
}

#[tokio::test]
async fn bytes_after_a_reply_are_never_taken_for_the_next_one() {
    let evil_length = format!("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ngood{EVIL}");
    let evil_chunks =
        format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\ngood\r\n0\r\n\r\n{EVIL}");
    for reply in [
        evil_length.as_str(),
        evil_chunks.as_str(),
        "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ngood, and more",
        "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ngood\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\ngood\r\n0\r\n\r\n0\r\n\r\n",
    ] {
        let provider = first_says(reply.to_owned(), false).await;
        let (client, endpoint) = (client(), provider.endpoint());
        for _ in 0..3 {
            assert_eq!(call(&client, &endpoint).await.unwrap(), "good", "{reply}");
        }
        assert_eq!((provider.accepts(), provider.request_count()), (2, 3), "{reply}");
    }
    for empty in ["content-length: 0", "x: y\r\ncontent-length: 0"] {
        let provider = first_says(format!("HTTP/1.1 200 OK\r\n{empty}\r\n\r\n{EVIL}"), false).await;
        let (client, endpoint) = (client(), provider.endpoint());
        assert_eq!(call(&client, &endpoint).await.unwrap(), "");
        assert_eq!(call(&client, &endpoint).await.unwrap(), "good");
    }
    let provider =
        first_says(format!("HTTP/1.1 204 No Content\r\ncontent-length: 4\r\n\r\n{EVIL}"), false).await;
    let (client, endpoint) = (client(), provider.endpoint());
    assert_eq!(call(&client, &endpoint).await.unwrap(), "");
    assert_eq!(call(&client, &endpoint).await.unwrap(), "good");
}

#[tokio::test]
async fn a_reply_that_comes_while_nobody_asks_is_never_taken_for_the_next_one() {
    let provider = Provider::start(|mut peer| async move {
        peer.request().await;
        peer.say(GOOD).await;
        if peer.number == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
            peer.say(EVIL.as_bytes()).await;
        }
        peer.until_closed().await;
    })
    .await;
    let (client, endpoint) = (client(), provider.endpoint());
    assert_eq!(call(&client, &endpoint).await.unwrap(), "good");
    assert_eq!(client.idle_connections(), 1);
    provider.closes(1).await;
    assert_eq!(call(&client, &endpoint).await.unwrap(), "good");
    assert_eq!((provider.accepts(), provider.request_count()), (2, 2));
}

#[tokio::test]
async fn a_head_that_can_be_read_in_two_ways_is_refused() {
    for (lines, phase) in [
        ("content-length: 4\r\ncontent-length: 5", Phase::AwaitingHead),
        ("content-length: 4, 5", Phase::AwaitingHead),
        ("content-length: -4", Phase::AwaitingHead),
        ("content-length: +4", Phase::AwaitingHead),
        ("content-length: 0x4", Phase::AwaitingHead),
        ("content-length: 4 4", Phase::AwaitingHead),
        ("content-length: 18446744073709551616", Phase::AwaitingHead),
        ("content-length:", Phase::AwaitingHead),
        ("transfer-encoding: chunked\r\ncontent-length: 4", Phase::Reading),
        ("content-length: 4\r\ntransfer-encoding: chunked", Phase::Reading),
        ("transfer-encoding: gzip, chunked", Phase::Reading),
        ("transfer-encoding: gzip", Phase::Reading),
        ("transfer-encoding: identity", Phase::Reading),
        ("transfer-encoding: xchunked", Phase::Reading),
        ("transfer-encoding: chunked\r\ntransfer-encoding: chunked", Phase::Reading),
        ("transfer-encoding: chunked, chunked", Phase::Reading),
        ("transfer-encoding: \"chunked\"", Phase::Reading),
        ("transfer-encoding: chunked\r\ntransfer-encoding: identity", Phase::Reading),
        ("transfer-encoding:\tchunked\r\ncontent-length: 0", Phase::Reading),
    ] {
        let provider =
            first_says(format!("HTTP/1.1 200 OK\r\n{lines}\r\n\r\n4\r\ngood\r\n0\r\n\r\n"), false).await;
        let (client, endpoint) = (client(), provider.endpoint());
        assert_eq!(failure(client.send(&endpoint, post()).await), (Kind::Protocol, phase), "{lines}");
        provider.closes(1).await;
        assert_eq!(call(&client, &endpoint).await.unwrap(), "good", "{lines}");
        assert_eq!(provider.request_count(), 2, "{lines}");
    }
    for (version, lines) in [("1.0", "transfer-encoding: chunked")] {
        let provider =
            first_says(format!("HTTP/{version} 200 OK\r\n{lines}\r\n\r\n4\r\ngood\r\n0\r\n\r\n"), false)
                .await;
        let outcome = client().send(&provider.endpoint(), post()).await;
        assert_eq!(failure(outcome), (Kind::Protocol, Phase::AwaitingHead), "{version} {lines}");
    }
}

/// What came of a body before its failure.
async fn read(provider: &Provider) -> (Vec<u8>, Failure) {
    let client = client();
    let mut reply = client.send(&provider.endpoint(), post()).await.unwrap();
    let mut read = Vec::new();
    loop {
        match reply.body.next().await {
            Some(Ok(piece)) => read.extend_from_slice(&piece),
            Some(Err(failure)) => {
                assert!(reply.body.next().await.is_none(), "nothing follows a failure");
                assert_eq!(client.idle_connections(), 0);
                return (read, failure);
            }
            None => panic!("a false end after {:?}", Bytes::from(read)),
        }
    }
}

#[tokio::test]
async fn a_body_that_is_cut_is_a_reset_after_what_came_of_it() {
    for (reply, read_before) in [
        ("content-length: 10\r\n\r\nsome", "some"),
        ("content-length: 10\r\n\r\n", ""),
        ("transfer-encoding: chunked\r\n\r\n4\r\nsome\r\n", "some"),
        ("transfer-encoding: chunked\r\n\r\n4\r\nsome\r\n0\r\n", "some"),
        ("transfer-encoding: chunked\r\n\r\n4\r\nsome\r\n0\r\nx: y", "some"),
        ("transfer-encoding: chunked\r\n\r\n8\r\nsome", "some"),
        ("transfer-encoding: chunked\r\n\r\n8", ""),
        ("transfer-encoding: chunked\r\n\r\n", ""),
    ] {
        let provider = first_says(format!("HTTP/1.1 200 OK\r\n{reply}"), true).await;
        let (read, failure) = read(&provider).await;
        assert_eq!((failure.kind, failure.phase), (Kind::Reset, Phase::Reading), "{reply}: {failure}");
        assert_eq!(read, read_before.as_bytes(), "{reply}");
    }
}

#[tokio::test]
async fn chunks_that_are_none_are_a_protocol_failure() {
    let endless_extension = format!("4;{}\r\nsome\r\n", "x".repeat(100_000));
    let many_extensions = format!("4;{}\r\nsome\r\n", "x".repeat(10_000)).repeat(10);
    let endless_trailer = format!("4\r\nsome\r\n0\r\nx: {}\r\n\r\n", "y".repeat(100_000));
    let many_trailers = format!("4\r\nsome\r\n0\r\n{}\r\n", "x: y\r\n".repeat(10_000));
    for body in [
        "x\r\nsome\r\n",
        "-4\r\nsome\r\n",
        "+4\r\nsome\r\n",
        "0x4\r\nsome\r\n",
        "\r\nsome\r\n",
        "4\rsome\r\n",
        "4 4\r\nsome\r\n",
        "4\r\nsomething\r\n",
        "FFFFFFFFFFFFFFFFF\r\nsome\r\n",
        endless_extension.as_str(),
        many_extensions.as_str(),
        endless_trailer.as_str(),
        many_trailers.as_str(),
    ] {
        let shown = &body[..body.len().min(30)];
        let provider =
            first_says(format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{body}"), false).await;
        let (_, failure) = read(&provider).await;
        assert_eq!((failure.kind, failure.phase), (Kind::Protocol, Phase::Reading), "{shown}: {failure}");
        provider.closes(1).await;
    }
}
