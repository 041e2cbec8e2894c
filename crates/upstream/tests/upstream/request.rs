//! What a provider is sent: one request, framed by the client alone.

use crate::support::{GOOD, Provider, SECRET, call, client, client_asking, post};
use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Method, Uri};
use std::net::IpAddr;
use std::sync::Arc;
use tollgate_upstream::{Endpoint, Outgoing, Resolver, SegmentBody, Trust};

/// The request as it stood on the wire: first line, header lines in lower case and sorted, body.
fn parts(raw: &[u8]) -> (String, Vec<String>, Vec<u8>) {
    let end = raw.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let head = String::from_utf8(raw[..end].to_vec()).unwrap();
    let mut lines = head.split("\r\n").map(str::to_owned);
    let first = lines.next().unwrap();
    let mut headers: Vec<String> = lines.collect();
    headers.sort();
    (first, headers, raw[end + 4..].to_vec())
}

async fn sent(outgoing: Outgoing) -> (String, Vec<String>, Vec<u8>) {
    let provider = Provider::answering(GOOD).await;
    let reply = client().send(&provider.endpoint(), outgoing).await.unwrap();
    reply.body.collect().await.unwrap();
    let (first, mut headers, body) = parts(&provider.requests()[0]);
    let host = format!("host: {}", provider.address);
    assert_eq!(headers.iter().filter(|line| line.starts_with("host:")).collect::<Vec<_>>(), [&host]);
    headers.retain(|line| *line != host);
    (first, headers, body)
}

#[tokio::test]
async fn a_post_is_its_line_its_headers_and_its_bytes() {
    let (first, headers, body) = sent(post()).await;
    assert_eq!(first, "POST /v1/chat HTTP/1.1");
    assert_eq!(headers, [format!("authorization: {SECRET}"), "content-length: 7".to_owned()]);
    assert_eq!(body, b"{\"a\":1}");
}

#[tokio::test]
async fn pieces_are_sent_in_order_and_their_length_is_exact() {
    let check = async |pieces: Vec<Vec<u8>>| {
        let whole = pieces.concat();
        let body = SegmentBody::new(pieces.into_iter().map(Bytes::from));
        assert_eq!(body.length(), whole.len() as u64);
        let (_, headers, arrived) = sent(Outgoing { body, ..post() }).await;
        assert!(headers.contains(&format!("content-length: {}", whole.len())), "{headers:?}");
        assert!(arrived == whole, "{} bytes of {}", arrived.len(), whole.len());
    };
    check(vec![b"one".to_vec()]).await;
    check(vec![b"one".to_vec(), Vec::new(), b"two".to_vec(), b"three".to_vec(), Vec::new()]).await;
    check((0..1_000_u32).map(|number| vec![number as u8; number as usize]).collect()).await;
    check(vec![vec![b'x'; 4 << 20], vec![b'y'; 4 << 20], b"z".to_vec()]).await;
}

#[tokio::test]
async fn a_request_without_a_body_says_so_where_one_is_expected() {
    let check = async |method: Method, expected: &[&str]| {
        let outgoing = Outgoing { method: method.clone(), body: SegmentBody::default(), ..post() };
        let (first, headers, body) = sent(outgoing).await;
        assert_eq!(first, format!("{method} /v1/chat HTTP/1.1"));
        let headers: Vec<&str> =
            headers.iter().map(String::as_str).filter(|line| !line.starts_with("auth")).collect();
        assert_eq!((headers.as_slice(), body.len()), (expected, 0), "{method}");
    };
    check(Method::GET, &[]).await;
    check(Method::DELETE, &[]).await;
    check(Method::POST, &["content-length: 0"]).await;
    check(Method::PUT, &["content-length: 0"]).await;
    check(Method::PATCH, &["content-length: 0"]).await;
}

#[tokio::test]
async fn a_head_request_has_no_body_to_read_whatever_its_length_says() {
    let provider =
        Provider::answering("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\ncontent-encoding: gzip\r\n\r\n")
            .await;
    let client = client();
    for _ in 0..2 {
        let outgoing = Outgoing { method: Method::HEAD, body: SegmentBody::default(), ..post() };
        let reply = client.send(&provider.endpoint(), outgoing).await.unwrap();
        assert_eq!(reply.body.collect().await.unwrap(), "");
    }
    assert_eq!((provider.accepts(), provider.request_count()), (1, 2));
}

#[tokio::test]
async fn framing_and_connection_headers_of_the_request_are_not_taken_over() {
    let mut outgoing = post();
    for (name, value) in [
        ("host", "evil.test"),
        ("content-length", "3"),
        ("transfer-encoding", "chunked"),
        ("connection", "close, authorization"),
        ("keep-alive", "timeout=1"),
        ("proxy-connection", "keep-alive"),
        ("te", "trailers"),
        ("trailer", "x-sum"),
        ("upgrade", "h2c"),
        ("expect", "100-continue"),
        ("x-kept", "yes"),
    ] {
        outgoing.headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    outgoing.headers.append("content-length", HeaderValue::from_static("4"));
    let (_, headers, body) = sent(outgoing).await;
    assert_eq!(headers, [format!("authorization: {SECRET}").as_str(), "content-length: 7", "x-kept: yes"]);
    assert_eq!(body, b"{\"a\":1}");
}

#[test]
fn neither_a_header_nor_a_target_can_hold_a_line_break() {
    for text in ["a\r\nx-evil: 1", "a\nx-evil: 1", "a\rb", "a\0b", "\r\n\r\nGET / HTTP/1.1"] {
        assert!(HeaderValue::from_str(text).is_err(), "{text:?}");
        assert!(HeaderName::try_from(text).is_err(), "{text:?}");
        assert!(Method::from_bytes(text.as_bytes()).is_err(), "{text:?}");
        assert!(Uri::try_from(format!("/{text}")).is_err(), "{text:?}");
        let endpoint = Endpoint::parse("https://x.test/v1", Trust::Operator).unwrap();
        assert!(endpoint.target(&format!("/{text}")).is_err(), "{text:?}");
        assert!(endpoint.target(&format!("/a?{text}")).is_err(), "{text:?}");
        assert!(Endpoint::parse(&format!("https://x.test/{text}"), Trust::Operator).is_err(), "{text:?}");
    }
}

#[tokio::test]
async fn the_host_is_the_base_urls_with_its_port_and_the_path_stays_below_its_base() {
    let provider = Provider::answering(GOOD).await;
    let here =
        Resolver::with_lookup(Arc::new(|_, _| Box::pin(async { Ok(vec![IpAddr::from([127, 0, 0, 1])]) })));
    let client = client_asking(here);
    let port = provider.address.port();
    let base = format!("http://Model.Test:{port}/openai/v1/?api-version=2");
    let endpoint = Endpoint::parse(&base, Trust::Operator).unwrap();
    let target = endpoint.target("/chat/completions?alt=sse").unwrap();
    client.send(&endpoint, Outgoing { target, ..post() }).await.unwrap();
    let (first, headers, _) = parts(&provider.requests()[0]);
    assert_eq!(first, "POST /openai/v1/chat/completions?api-version=2&alt=sse HTTP/1.1");
    assert!(headers.contains(&format!("host: Model.Test:{port}")), "{headers:?}");
}

#[tokio::test]
async fn requests_on_one_connection_do_not_run_into_each_other() {
    let provider = Provider::answering(GOOD).await;
    let (client, endpoint) = (client(), provider.endpoint());
    for number in 0..50_usize {
        let body = SegmentBody::from(Bytes::from(vec![b'x'; number * 997]));
        client.send(&endpoint, Outgoing { body, ..post() }).await.unwrap().body.collect().await.unwrap();
    }
    call(&client, &endpoint).await.unwrap();
    let lengths: Vec<usize> = provider.requests().iter().map(|raw| parts(raw).2.len()).collect();
    assert_eq!(lengths, (0..50).map(|number| number * 997).chain([7]).collect::<Vec<_>>());
    assert_eq!(provider.accepts(), 1);
}

#[test]
fn what_is_printed_of_a_request_has_no_credential_and_no_prompt() {
    let headers = HeaderMap::from_iter([(http::header::AUTHORIZATION, HeaderValue::from_static(SECRET))]);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let _inside = runtime.enter();
    let outgoing = Outgoing {
        target: Uri::from_static("/v1/models?key=sk-secret"),
        headers,
        body: SegmentBody::from(Bytes::from_static(b"prompt")),
        ..post()
    };
    let printed = format!("{outgoing:?}");
    assert!(
        printed.contains("/v1/models") && !printed.contains("secret") && !printed.contains("prompt"),
        "{printed}"
    );
}
