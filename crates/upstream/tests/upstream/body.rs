//! Reading a reply: its size, its encoding, its silences, and a reader that takes its time.

use crate::support::{GOOD, LONG, Provider, SHORT, call, client, client_with, failure, patient, post};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout};
use tollgate_upstream::{Failure, Kind, Limits, Outgoing, Phase, Reply, Timeouts};

/// What the caps of these tests allow.
const CAP: u64 = 1 << 20;
/// More than the kernel's buffers of both ends hold, less than a flood would send.
const IN_FLIGHT_MAX: usize = 32 << 20;

fn capped() -> tollgate_upstream::Client {
    client_with(Limits { reply_bytes_max: CAP, ..Limits::default() })
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

fn zlib(plain: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

fn encoded(encoding: &str, body: &[u8]) -> Vec<u8> {
    let head =
        format!("HTTP/1.1 200 OK\r\ncontent-encoding: {encoding}\r\ncontent-length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// Reads to the end or a failure; bytes read, and the largest piece.
async fn drain(mut reply: Reply) -> (u64, usize, Result<(), Failure>) {
    let (mut bytes, mut largest) = (0, 0);
    loop {
        match reply.body.next().await {
            Some(Ok(piece)) => {
                bytes += piece.len() as u64;
                largest = largest.max(piece.len());
            }
            Some(Err(failure)) => return (bytes, largest, Err(failure)),
            None => return (bytes, largest, Ok(())),
        }
    }
}

#[tokio::test]
async fn a_declared_length_beyond_the_cap_is_refused_before_a_byte_is_read() {
    let provider =
        Provider::hanging_after(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", CAP + 1)).await;
    let client = capped();
    assert_eq!(failure(client.send(&provider.endpoint(), post()).await), (Kind::TooLarge, Phase::Reading));
    provider.closes(1).await;
    assert_eq!(client.idle_connections(), 0);
}

#[tokio::test]
async fn a_reply_of_the_caps_size_is_read_and_the_next_byte_is_too_much() {
    for (bytes, is_read) in [(CAP, true), (CAP + 1, false)] {
        let chunk = format!("{bytes:x}\r\n{}\r\n0\r\n\r\n", "x".repeat(bytes as usize));
        let provider =
            Provider::answering(format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{chunk}"))
                .await;
        let (read, _, outcome) = drain(capped().send(&provider.endpoint(), post()).await.unwrap()).await;
        assert!(read <= CAP);
        assert_eq!(
            outcome.map_err(|failure| failure.kind),
            if is_read { Ok(()) } else { Err(Kind::TooLarge) }
        );
    }
}

#[tokio::test]
async fn a_reply_without_end_is_cut_off_at_the_cap() {
    for (head, again) in [
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
            format!("400\r\n{}\r\n", "x".repeat(1_024)),
        ),
        ("HTTP/1.1 200 OK\r\n\r\n", "x".repeat(1_024)),
    ] {
        let provider = Provider::start(move |mut peer| {
            let again = again.clone();
            async move {
                peer.request().await;
                peer.say(head.as_bytes()).await;
                peer.repeat(again.as_bytes()).await;
            }
        })
        .await;
        let client = capped();
        let (read, largest, outcome) = drain(client.send(&provider.endpoint(), post()).await.unwrap()).await;
        assert_eq!(
            outcome.map_err(|failure| (failure.kind, failure.phase)),
            Err((Kind::TooLarge, Phase::Reading))
        );
        assert!(read <= CAP && largest <= 64 << 10, "{read} bytes in pieces of up to {largest}");
        provider.closes(1).await;
        assert!(provider.written() < IN_FLIGHT_MAX, "{} bytes were taken", provider.written());
    }
}

#[tokio::test]
async fn a_reader_that_waits_holds_the_provider_back() {
    let provider = Provider::start(|mut peer| async move {
        peer.request().await;
        peer.say(b"HTTP/1.1 200 OK\r\n\r\n").await;
        peer.repeat(&[b'x'; 64 << 10]).await;
    })
    .await;
    let client = client_with(Limits { reply_bytes_max: u64::MAX, ..Limits::default() });
    let mut reply = client.send(&provider.endpoint(), post()).await.unwrap();
    reply.body.next().await.unwrap().unwrap();
    let mut before = usize::MAX;
    while before != provider.written() {
        before = provider.written();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(before < IN_FLIGHT_MAX, "{before} bytes were taken for a reader that reads none");
    drop(reply);
    provider.closes(1).await;
}

#[tokio::test]
async fn compressed_replies_come_out_plain_and_their_headers_no_longer_say_so() {
    let plain: Vec<u8> =
        (0..20_000_u32).flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    for (encoding, packed) in [
        ("gzip", gzip(&plain)),
        ("GZIP", gzip(&plain)),
        ("x-gzip", gzip(&plain)),
        ("deflate", zlib(&plain)),
        ("identity", plain.clone()),
    ] {
        let provider = Provider::answering(encoded(encoding, &packed)).await;
        let client = client();
        for _ in 0..2 {
            let reply = client.send(&provider.endpoint(), post()).await.unwrap();
            let is_identity = encoding == "identity";
            assert_eq!(reply.headers.contains_key(CONTENT_ENCODING), is_identity, "{encoding}");
            assert_eq!(reply.headers.contains_key(CONTENT_LENGTH), is_identity, "{encoding}");
            assert!(reply.body.collect().await.unwrap() == plain, "{encoding}");
        }
        assert_eq!(provider.accepts(), 1, "{encoding}");
    }
}

#[tokio::test]
async fn an_encoding_that_is_unknown_or_doubled_is_a_protocol_failure() {
    for line in [
        "content-encoding: zstd",
        "content-encoding: br, gzip",
        "content-encoding: gzip, gzip",
        "content-encoding: gzip\r\ncontent-encoding: gzip",
        "content-encoding: identity\r\ncontent-encoding: gzip",
        "content-encoding: \u{e4}",
    ] {
        let provider =
            Provider::hanging_after(format!("HTTP/1.1 200 OK\r\n{line}\r\ncontent-length: 4\r\n\r\ngood"))
                .await;
        let client = client();
        assert_eq!(
            failure(client.send(&provider.endpoint(), post()).await),
            (Kind::Protocol, Phase::Reading),
            "{line}"
        );
        provider.closes(1).await;
    }
}

#[tokio::test]
async fn a_false_or_cut_encoding_is_a_protocol_failure() {
    let packed = gzip(&b"some text, and some more text".repeat(100));
    for body in [&packed[..packed.len() - 4], &packed[..10], b"<html>not compressed</html>"] {
        let provider = Provider::answering(encoded("gzip", body)).await;
        let (_, _, outcome) = drain(client().send(&provider.endpoint(), post()).await.unwrap()).await;
        assert_eq!(
            outcome.map_err(|failure| (failure.kind, failure.phase)),
            Err((Kind::Protocol, Phase::Reading))
        );
    }
}

#[tokio::test]
async fn a_bomb_is_defused_before_it_is_large() {
    let nested = gzip(&gzip(&vec![0; 16 << 20]).repeat(20));
    for (bomb, read_max) in [(gzip(&vec![0; 16 << 20]), CAP), (zlib(&vec![0; 16 << 20]), CAP), (nested, CAP)]
    {
        let is_deflate = bomb[0] == 0x78;
        let provider = Provider::answering(encoded(if is_deflate { "deflate" } else { "gzip" }, &bomb)).await;
        let (read, largest, outcome) =
            drain(capped().send(&provider.endpoint(), post()).await.unwrap()).await;
        assert_eq!(
            outcome.map_err(|failure| (failure.kind, failure.phase)),
            Err((Kind::TooLarge, Phase::Reading))
        );
        assert!(read <= read_max && largest <= CAP as usize, "{read} bytes in pieces of up to {largest}");
    }
}

/// A provider whose reply comes in these pieces, each after its pause, and then no more.
async fn paced(pieces: &'static [(u64, &'static str)]) -> Provider {
    Provider::start(move |mut peer| async move {
        peer.request().await;
        peer.say(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
        for (pause_ms, piece) in pieces {
            tokio::time::sleep(Duration::from_millis(*pause_ms)).await;
            peer.say(format!("{:x}\r\n{piece}\r\n", piece.len()).as_bytes()).await;
        }
        peer.until_closed().await;
    })
    .await
}

fn with(timeouts: impl FnOnce(&mut Timeouts)) -> Outgoing {
    let mut outgoing = post();
    timeouts(&mut outgoing.timeouts);
    outgoing
}

#[tokio::test]
async fn a_stream_that_falls_silent_ends_after_its_idle_limit_and_not_at_its_deadline() {
    // The reader waits for the first piece longer than the idle limit: only the deadline is set for that one.
    let provider = paced(&[(400, "one"), (20, "two")]).await;
    let client = client();
    let mut reply = client.send(&provider.endpoint(), with(|limits| limits.idle = SHORT)).await.unwrap();
    assert_eq!(reply.body.next().await.unwrap().unwrap(), "one");
    assert_eq!(reply.body.next().await.unwrap().unwrap(), "two");
    let end = timeout(LONG / 2, reply.body.next()).await.unwrap().unwrap().unwrap_err();
    assert_eq!((end.kind, end.phase), (Kind::Timeout, Phase::Reading));
    assert!(reply.body.next().await.is_none());
    provider.closes(1).await;
}

#[tokio::test]
async fn a_body_that_never_begins_ends_at_the_deadline() {
    let provider = paced(&[]).await;
    let outgoing = with(|limits| limits.whole_by = Instant::now() + SHORT);
    let (read, _, outcome) = drain(client().send(&provider.endpoint(), outgoing).await.unwrap()).await;
    assert_eq!((read, outcome.unwrap_err().kind), (0, Kind::Timeout));
    provider.closes(1).await;
}

#[tokio::test]
async fn a_stream_that_drips_ends_at_the_deadline() {
    let provider = Provider::start(|mut peer| async move {
        peer.request().await;
        peer.say(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
        while peer.say(b"1\r\nx\r\n").await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        peer.is_closed();
    })
    .await;
    let outgoing = with(|limits| {
        limits.idle = SHORT;
        limits.whole_by = Instant::now() + SHORT * 3;
    });
    let (read, _, outcome) = drain(client().send(&provider.endpoint(), outgoing).await.unwrap()).await;
    assert!(read > 1, "it was no silence");
    assert_eq!(outcome.unwrap_err().kind, Kind::Timeout);
    provider.closes(1).await;
}

#[tokio::test]
async fn a_reader_that_was_busy_is_no_silence_of_the_provider() {
    let provider = Provider::start(|mut peer| async move {
        peer.request().await;
        peer.say(b"HTTP/1.1 200 OK\r\ncontent-length: 3000000\r\n\r\n").await;
        peer.say(&vec![b'x'; 2_999_999]).await;
        tokio::time::sleep(SHORT * 5).await;
        peer.say(b"y").await;
        peer.until_closed().await;
    })
    .await;
    let mut reply =
        client().send(&provider.endpoint(), with(|limits| limits.idle = SHORT * 2)).await.unwrap();
    let mut read = 0;
    while read < 2_000_000 {
        read += reply.body.next().await.unwrap().unwrap().len();
        if read < 300_000 {
            // Longer than the idle limit in all, while the provider has long said what there is to read.
            tokio::time::sleep(SHORT / 2).await;
        }
    }
    tokio::time::sleep(SHORT * 5).await;
    while let Some(piece) = reply.body.next().await {
        read += piece.unwrap().len();
    }
    assert_eq!(read, 3_000_000);
}

#[tokio::test]
async fn a_body_in_one_piece_is_not_copied_and_one_in_many_is_whole() {
    let many: String = (0..500).map(|number| format!("4\r\n{number:04}\r\n")).collect();
    let provider =
        Provider::answering(format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{many}0\r\n\r\n"))
            .await;
    let expected: String = (0..500).map(|number| format!("{number:04}")).collect();
    assert_eq!(call(&client(), &provider.endpoint()).await.unwrap(), expected);
    let provider = Provider::answering(GOOD).await;
    let reply = client().send(&provider.endpoint(), post()).await.unwrap();
    assert_eq!(reply.body.collect().await.unwrap(), Bytes::from_static(b"good"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_streams_at_once_arrive_whole_and_in_order() {
    let provider = Provider::start(|mut peer| async move {
        while peer.request().await.is_some() {
            peer.say(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
            for number in 0..50 {
                peer.say(format!("4\r\n{number:04}\r\n").as_bytes()).await;
                tokio::task::yield_now().await;
            }
            peer.say(b"0\r\n\r\n").await;
        }
    })
    .await;
    let client = Arc::new(client());
    let expected: String = (0..50).map(|number| format!("{number:04}")).collect();
    for _ in 0..3 {
        let streams: Vec<_> = (0..100)
            .map(|_| {
                let (client, endpoint) = (Arc::clone(&client), provider.endpoint());
                tokio::spawn(async move { call(&client, &endpoint).await.unwrap() })
            })
            .collect();
        for stream in streams {
            assert_eq!(stream.await.unwrap(), expected);
        }
    }
    assert_eq!(provider.request_count(), 300);
}

#[tokio::test]
async fn limits_that_are_odd_do_no_harm() {
    let provider = Provider::answering(GOOD).await;
    let odd = client_with(Limits { read_buffer_bytes_max: 0, headers_max: 1, ..Limits::default() });
    assert_eq!(call(&odd, &provider.endpoint()).await.unwrap(), "good");
    let endless = Timeouts { connect: Duration::MAX, idle: Duration::MAX, ..patient() };
    let reply = odd.send(&provider.endpoint(), Outgoing { timeouts: endless, ..post() }).await.unwrap();
    assert_eq!(reply.body.collect().await.unwrap(), "good");
}
