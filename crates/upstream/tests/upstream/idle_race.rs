//! Providers close idle connections at any moment: what is sent again, and what never is.

use crate::support::{GOOD, Peer, Provider, call, client, failure, post};
use bytes::Bytes;
use std::time::Duration;
use tokio::net::TcpStream;
use tollgate_upstream::{Kind, Outgoing, Phase, SegmentBody};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_requests_meet_a_provider_that_closes_after_each_reply_without_an_error() {
    let provider = Provider::start(|mut peer| async move {
        peer.request().await;
        peer.say(GOOD).await;
        // Odd ones are reset, even ones end.
        if peer.number % 2 == 1 {
            peer.reset();
        }
    })
    .await;
    let (client, endpoint) = (client(), provider.endpoint());
    for number in 0..2_000 {
        let outcome = call(&client, &endpoint).await;
        assert!(outcome.as_ref().is_ok_and(|body| body == "good"), "request {number}: {outcome:?}");
    }
    assert_eq!(provider.request_count(), 2_000, "none was worked on twice");
}

#[tokio::test]
async fn a_new_connection_that_closes_without_a_reply_is_a_reset_and_is_not_tried_again() {
    for hard in [false, true] {
        let provider = Provider::start(move |mut peer| async move {
            peer.request().await;
            if hard {
                peer.reset();
            }
        })
        .await;
        let outcome = client().send(&provider.endpoint(), post()).await;
        assert_eq!(failure(outcome), (Kind::Reset, Phase::AwaitingHead));
        assert_eq!((provider.accepts(), provider.request_count()), (1, 1));
    }
}

/// A provider that answers the first request of its first connection, and meets the second as `script` says.
async fn answers_once<R>(script: impl Fn(Peer<TcpStream>) -> R + Clone + Send + Sync + 'static) -> Provider
where
    R: Future<Output = ()> + Send + 'static,
{
    Provider::start(move |mut peer| {
        let script = script.clone();
        async move {
            if peer.number == 0 {
                peer.request().await;
                peer.say(GOOD).await;
            }
            peer.request().await;
            script(peer).await;
        }
    })
    .await
}

#[tokio::test]
async fn a_kept_connection_that_is_closed_at_once_is_replaced_once_with_the_same_bytes() {
    let provider = answers_once(|mut peer| async move {
        if peer.number > 0 {
            peer.say(GOOD).await;
            peer.until_closed().await;
        }
    })
    .await;
    let (client, endpoint) = (client(), provider.endpoint());
    call(&client, &endpoint).await.unwrap();
    let pieces = ["{\"model\":", "\"x\"", "}"].map(|piece| Bytes::from_static(piece.as_bytes()));
    let outgoing = Outgoing { body: SegmentBody::new(pieces), ..post() };
    let reply = client.send(&endpoint, outgoing).await.unwrap();
    assert_eq!(reply.body.collect().await.unwrap(), "good");
    let requests = provider.requests();
    assert_eq!((provider.accepts(), requests.len()), (2, 3));
    assert_eq!(requests[1], requests[2]);
    assert!(requests[2].ends_with(b"\r\n\r\n{\"model\":\"x\"}"));
}

#[tokio::test]
async fn the_second_try_is_the_last() {
    let provider = answers_once(|_| async {}).await;
    let (client, endpoint) = (client(), provider.endpoint());
    call(&client, &endpoint).await.unwrap();
    assert_eq!(failure(client.send(&endpoint, post()).await), (Kind::Reset, Phase::AwaitingHead));
    assert_eq!((provider.accepts(), provider.request_count()), (2, 3));
}

#[tokio::test]
async fn a_kept_connection_that_breaks_after_a_byte_of_the_reply_is_not_replaced() {
    for (said, kind) in [
        ("HTTP/1.1 2", Kind::Reset),
        ("HTTP/1.1 100 Continue\r\n\r\n", Kind::Reset),
        ("garbage", Kind::Protocol),
    ] {
        let provider = answers_once(move |mut peer| async move {
            peer.say(said.as_bytes()).await;
        })
        .await;
        let (client, endpoint) = (client(), provider.endpoint());
        call(&client, &endpoint).await.unwrap();
        assert_eq!(failure(client.send(&endpoint, post()).await), (kind, Phase::AwaitingHead), "{said}");
        assert_eq!((provider.accepts(), provider.request_count()), (1, 2), "{said}");
    }
}

#[tokio::test]
async fn a_kept_connection_that_is_closed_late_was_worked_on_and_is_not_replaced() {
    let provider = answers_once(|peer| async move {
        tokio::time::sleep(Duration::from_millis(1_200)).await;
        drop(peer);
    })
    .await;
    let (client, endpoint) = (client(), provider.endpoint());
    call(&client, &endpoint).await.unwrap();
    assert_eq!(failure(client.send(&endpoint, post()).await), (Kind::Reset, Phase::AwaitingHead));
    assert_eq!((provider.accepts(), provider.request_count()), (1, 2));
}
