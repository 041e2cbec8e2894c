//! Requests whose end two readers would see at different places.
//!
//! Every case is an attack, then a marker on the same connection as the next caller behind a proxy would send it. The
//! attack holds a request that must never be answered; the marker is answered to whoever sent it, or not at all.

use crate::support::{App, Wire, hello, model_list, post};
use tollgate_simulator::Script;

/// What the attack hides.
const HIDDEN: &str = "GET /v1/models/smuggled HTTP/1.1\r\nhost: g\r\n\r\n";
/// What comes next on the connection.
const MARKER: &str = "GET /v1/models/marker HTTP/1.1\r\nhost: g\r\n\r\n";
/// A body that is an answerable call.
const BODY: &str = r#"{"model":"nope","messages":[]}"#;

/// Statuses that a refusal of a request's form may have.
const REFUSALS: [u16; 8] = [400, 408, 411, 413, 414, 431, 501, 505];

async fn app() -> App {
    App::start(model_list(&[("m", &Wire::OpenAi.parameters("a"))]), Script::new()).await
}

/// Holds one attack against the invariant. `true`: it was refused and the connection closed.
async fn check(app: &App, attack: &[u8]) -> bool {
    let context = String::from_utf8_lossy(attack).chars().take(300).collect::<String>();
    let mut connection = app.connect().await;
    connection.write(&[attack, MARKER.as_bytes()].concat()).await;
    let (answers, ended) = connection.answers(2).await;
    for answer in &answers {
        assert!(!answer.text().contains("smuggled"), "{context:?}: {answers:?}");
        assert_ne!(answer.status, 101, "{context:?}");
    }
    let refused = ended && answers.iter().all(|answer| REFUSALS.contains(&answer.status));
    match &answers[..] {
        [] | [_] => assert!(ended, "{context:?}: {answers:?}"),
        [first, second] => {
            assert!(!first.text().contains("marker"), "{context:?}: {answers:?}");
            assert!(second.text().contains("`marker` does not exist"), "{context:?}: {answers:?}");
        }
        more => panic!("{context:?}: {more:?}"),
    }
    // Whoever comes on a connection of its own is answered in any case.
    let victim = app.get("/v1/models/victim").await;
    assert!(victim.text().contains("`victim` does not exist"), "{context:?}: {victim:?}");
    refused
}

/// Runs the cases against a route that reads the body and one that does not.
async fn check_all(cases: &[(String, String)], refused: impl Fn(usize) -> bool) {
    let app = app().await;
    for (number, (headers, body)) in cases.iter().enumerate() {
        for path in ["/v1/chat/completions", "/nowhere"] {
            let attack = format!(
                "POST {path} HTTP/1.1\r\nhost: g\r\ncontent-type: application/json\r\n{headers}\r\n{body}"
            );
            let was_refused = check(&app, attack.as_bytes()).await;
            assert!(was_refused || !refused(number), "{path} is to refuse {headers:?}");
        }
    }
    assert_eq!(app.received().len(), 0);
    app.stop().await;
}

/// A body that is empty to a reader of chunks and holds a request to one of lengths, or the other way about.
fn hidden_behind_the_end() -> String {
    format!("0\r\n\r\n{HIDDEN}")
}

#[tokio::test]
async fn a_length_and_chunks_at_once() {
    let hidden = hidden_behind_the_end();
    let whole = hidden.len();
    let inside = format!("{:x}\r\n{HIDDEN}\r\n0\r\n\r\n", HIDDEN.len());
    let cases: Vec<(String, String)> = [
        (format!("content-length: {whole}\r\ntransfer-encoding: chunked\r\n"), hidden.clone()),
        (format!("transfer-encoding: chunked\r\ncontent-length: {whole}\r\n"), hidden.clone()),
        ("content-length: 4\r\ntransfer-encoding: chunked\r\n".to_owned(), inside.clone()),
        ("transfer-encoding: chunked\r\ncontent-length: 4\r\n".to_owned(), inside.clone()),
        ("content-length: 0\r\ntransfer-encoding: chunked\r\n".to_owned(), inside.clone()),
        ("content-length: 6\r\nTRANSFER-ENCODING: CHUNKED\r\n".to_owned(), inside.clone()),
        (
            "Content-Length: 0\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n".to_owned(),
            inside.clone(),
        ),
        (
            format!("transfer-encoding: chunked\r\ncontent-length: {whole}\r\nconnection: keep-alive\r\n"),
            hidden,
        ),
        ("content-length: 4\r\ntransfer-encoding: chunked\r\nconnection: keep-alive\r\n".to_owned(), inside),
    ]
    .into();
    // Chunks count, and the connection ends behind them whatever was asked for (RFC 9112, 6.3).
    check_all(&cases, |_| false).await;
    let app = app().await;
    for (headers, body) in cases {
        let mut connection = app.connect().await;
        let attack = format!("POST /v1/chat/completions HTTP/1.1\r\nhost: g\r\n{headers}\r\n{body}{MARKER}");
        connection.write(attack.as_bytes()).await;
        let (answers, ended) = connection.answers(2).await;
        assert!(answers.len() <= 1 && ended, "{headers:?}: {answers:?}");
    }
    app.stop().await;
}

#[tokio::test]
async fn a_coding_of_the_transfer_that_is_not_exactly_chunked() {
    let hidden = hidden_behind_the_end();
    let length = format!("content-length: {}\r\n", hidden.len());
    let codings = [
        "transfer-encoding: xchunked",
        "transfer-encoding : chunked",
        "transfer-encoding\t: chunked",
        "transfer-encoding: chunked\r\ntransfer-encoding: identity",
        "transfer-encoding: identity\r\ntransfer-encoding: chunked\r\ntransfer-encoding: gzip",
        "transfer-encoding: chunked, identity",
        "transfer-encoding: \"chunked\"",
        "transfer-encoding: chunked;q=1",
        "transfer-encoding: 'chunked'",
        "transfer-encoding:\u{b}chunked",
        "transfer-encoding: chunked\0",
        "transfer-encoding: \0chunked",
        "transfer-encoding: chunked chunked",
        "transfer-encoding: ch\u{fc}nked",
        "transfer-encoding: chunked\r\n , identity",
        "transfer-encoding:\r\n chunked",
        " transfer-encoding: chunked",
        "x: y\r\n transfer-encoding: chunked",
        "transfer-encoding",
        "transfer-encoding: cow",
        "transfer-encoding: identity",
        "transfer-encoding: deflate",
        ": chunked",
        "transfer-encoding: chunked\r\nfoo bar: 1",
        "transfer-encoding: chunked\rx: y",
        "transfer encoding: chunked",
    ];
    let mut cases: Vec<(String, String)> =
        codings.iter().map(|coding| (format!("{length}{coding}\r\n"), hidden.clone())).collect();
    cases.extend(codings.iter().map(|coding| (format!("{coding}\r\n{length}"), hidden.clone())));
    check_all(&cases, |_| true).await;
    // Spellings that a lax reader takes for chunks: the body is what the length says, or chunks and the end.
    let lax = [
        "transfer_encoding: chunked",
        "x-transfer-encoding: chunked",
        "transfer-encoding: chunked, chunked",
        "transfer-encoding: gzip, chunked",
        "transfer-encoding: identity, chunked",
        "transfer-encoding: , chunked",
        "transfer-encoding: chunked,",
        "transfer-encoding:chunked",
        "transfer-encoding:\tchunked",
        "transfer-encoding:  chunked  ",
        "transfer-encoding:",
        "te: chunked",
        "trailer: transfer-encoding",
    ];
    let cases: Vec<(String, String)> =
        lax.iter().map(|coding| (format!("{length}{coding}\r\n"), hidden.clone())).collect();
    check_all(&cases, |_| false).await;
}

#[tokio::test]
async fn lengths_that_are_no_number_or_more_than_one() {
    let whole = BODY.len() + HIDDEN.len();
    let refused = [
        format!("content-length: {whole}\r\ncontent-length: {}", BODY.len()),
        format!("content-length: {}\r\ncontent-length: {whole}", BODY.len()),
        format!("content-length: {}, {whole}", BODY.len()),
        format!("content-length: {whole}, {whole}"),
        format!("content-length: +{}", BODY.len()),
        format!("content-length: -{}", BODY.len()),
        "content-length: -1".to_owned(),
        format!("content-length: 0x{:x}", BODY.len()),
        format!("content-length: {}.0", BODY.len()),
        format!("content-length: {};", BODY.len()),
        format!("content-length: {} {}", BODY.len(), BODY.len()),
        "content-length: 1e2".to_owned(),
        "content-length:".to_owned(),
        "content-length: ,".to_owned(),
        "content-length: \u{665}".to_owned(),
        "content-length: 18446744073709551616".to_owned(),
        "content-length: 18446744073709551646".to_owned(),
        "content-length: 99999999999999999999999999".to_owned(),
        format!("content-length: {}\0", BODY.len()),
        format!("content-length: \u{b}{}", BODY.len()),
        format!("content-length : {}", BODY.len()),
        format!("content-length\t: {}", BODY.len()),
        format!("content-length:\r\n {}", BODY.len()),
        format!("content-length: {}\r\n 0", BODY.len()),
        "content-length: two".to_owned(),
        "content-length: 0_1".to_owned(),
    ];
    let cases: Vec<(String, String)> =
        refused.iter().map(|line| (format!("{line}\r\n"), format!("{BODY}{HIDDEN}"))).collect();
    check_all(&cases, |_| true).await;
    // The whole is the body, however its length is dressed.
    let fair = [
        format!("content-length: {whole}\r\ncontent-length: {whole}"),
        format!("content-length:\t{whole}\t"),
        format!("content-length: 000{whole}"),
        format!("content-length:{whole}"),
        format!("Content-LENGTH:     {whole}"),
        format!("content_length: 0\r\ncontent-length: {whole}"),
        // Longer than anything that comes, and no number that a reader would cut.
        "content-length: 9223372036854775808".to_owned(),
        format!("x-content-length: 0\r\ncontent-length: {whole}"),
    ];
    let cases: Vec<(String, String)> =
        fair.iter().map(|line| (format!("{line}\r\n"), format!("{BODY}{HIDDEN}"))).collect();
    check_all(&cases, |_| false).await;
}

#[tokio::test]
async fn chunks_that_are_not_well_made() {
    let size = BODY.len();
    let end = "\r\n0\r\n\r\n";
    let headers = "transfer-encoding: chunked\r\n";
    let refused = [
        format!("0x{size:x}\r\n{BODY}{end}{HIDDEN}"),
        format!("+{size:x}\r\n{BODY}{end}{HIDDEN}"),
        format!("-{size:x}\r\n{BODY}{end}{HIDDEN}"),
        format!("\r\n{size:x}\r\n{BODY}{end}{HIDDEN}"),
        format!("{size:x}g\r\n{BODY}{end}{HIDDEN}"),
        format!("\u{b}{size:x}\r\n{BODY}{end}{HIDDEN}"),
        format!("ffffffffffffffff1\r\n{BODY}{end}{HIDDEN}"),
        format!("1{size:016x}\r\n{BODY}{end}{HIDDEN}"),
        format!("fffffffffffffffe\r\n{BODY}{end}{HIDDEN}").replace("fffffffffffffffe", "zz"),
        format!(";\r\n{BODY}{end}{HIDDEN}"),
        format!("{size:x}\r\n{BODY}XX0\r\n\r\n{HIDDEN}"),
        format!("{size:x}\r\n{BODY}0\r\n\r\n{HIDDEN}"),
        format!("{size:x}\r{BODY}{end}{HIDDEN}"),
        format!("{size:x};ext=\"\n\"\r\n{BODY}{end}{HIDDEN}"),
        format!("{size:x};{}\r\n{BODY}{end}{HIDDEN}", "e".repeat(40_000)),
    ];
    let cases: Vec<(String, String)> =
        refused.iter().map(|body| (headers.to_owned(), body.clone())).collect();
    let app = app().await;
    for (headers, body) in &cases {
        let attack = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: g\r\ncontent-type: application/json\r\n{headers}\r\n{body}"
        );
        let mut connection = app.connect().await;
        connection.write(&[attack.as_bytes(), MARKER.as_bytes()].concat()).await;
        let (answers, ended) = connection.answers(2).await;
        assert!(ended && answers.len() <= 1, "{body:?}: {answers:?}");
        assert!(answers.iter().all(|answer| REFUSALS.contains(&answer.status)), "{body:?}: {answers:?}");
    }
    assert_eq!(app.received().len(), 0);
    app.stop().await;
    // Odd, and read by every reader alike; what is hidden is within the chunk.
    let data = format!("{BODY}{HIDDEN}");
    let size = data.len();
    let fair = [
        format!("{size:x};name=value\r\n{data}{end}"),
        format!("{size:x};a;b;c=\"d\"\r\n{data}{end}"),
        format!("{size:X}\r\n{data}{end}"),
        format!("000000{size:x}\r\n{data}{end}"),
        format!("{size:x}\r\n{data}\r\n0;last\r\n\r\n"),
        format!("{size:x}\r\n{data}\r\n000\r\n\r\n"),
        format!("{size:x}\r\n{data}\r\n0\r\nx-trailer: 1\r\n\r\n"),
        format!("{size:x}\r\n{data}\r\n0\r\ncontent-length: 5\r\ntransfer-encoding: gzip\r\n\r\n"),
        format!("{size:x}\r\n{data}\r\n0\r\nhost: other\r\nauthorization: Bearer x\r\n\r\n"),
    ];
    let cases: Vec<(String, String)> = fair.iter().map(|body| (headers.to_owned(), body.clone())).collect();
    check_all(&cases, |_| false).await;
}

#[tokio::test]
async fn heads_that_are_not_well_made() {
    let app = app().await;
    let refused = [
        "GET /v1/models HTTP/1.1\r\nhost: g\r\nno colon\r\n\r\n".to_owned(),
        "GET /v1/models HTTP/1.1\r\nhost: g\r\n: empty\r\n\r\n".to_owned(),
        "GET /v1/models HTTP/1.1\r\nhost: g\r\nx y: 1\r\n\r\n".to_owned(),
        "GET /v1/models HTTP/1.1\r\nhost: g\r\nx\0: 1\r\n\r\n".to_owned(),
        "GET /v1/models HTTP/1.1\r\nhost: g\r\nx: a\0b\r\n\r\n".to_owned(),
        "GET /v1/models HTTP/1.1\r\nhost: g\r\nx: a\rb\r\n\r\n".to_owned(),
        "GET /v1/models HTTP/1.1\r\nhost: g\r\nx: a\r\n folded\r\n\r\n".to_owned(),
        "GET /v1/models HTTP/1.1\r\nhost: g\r\nx: a\r\n\tfolded\r\n\r\n".to_owned(),
        "GET /v1/models HTTP/1.1\r\n host: g\r\n\r\n".to_owned(),
        "GET /v1/models HTTP/1.1\r\nhost: g\r\n\u{e9}: 1\r\n\r\n".to_owned(),
        "GET /v1/models HTTP/1.1\r\nhost: g\r\nx(y): 1\r\n\r\n".to_owned(),
        "GET /v1/models HTTP/2.0\r\nhost: g\r\n\r\n".to_owned(),
        "GET /v1/models HTTP/1.2\r\nhost: g\r\n\r\n".to_owned(),
        "GET /v1/models HTTP/0.9\r\nhost: g\r\n\r\n".to_owned(),
        "GET /v1/models http/1.1\r\nhost: g\r\n\r\n".to_owned(),
        "GET /v1/models HTTP/1.1 \r\nhost: g\r\n\r\n".to_owned(),
        "GET /v1/models\r\nhost: g\r\n\r\n".to_owned(),
        "GET  /v1/models HTTP/1.1\r\nhost: g\r\n\r\n".to_owned(),
        "GET\t/v1/models HTTP/1.1\r\nhost: g\r\n\r\n".to_owned(),
        "GET /v1/models\tHTTP/1.1\r\nhost: g\r\n\r\n".to_owned(),
        "GET /v1/ models HTTP/1.1\r\nhost: g\r\n\r\n".to_owned(),
        "GET /v1/models\0 HTTP/1.1\r\nhost: g\r\n\r\n".to_owned(),
        "G\0T /v1/models HTTP/1.1\r\nhost: g\r\n\r\n".to_owned(),
        "G(T /v1/models HTTP/1.1\r\nhost: g\r\n\r\n".to_owned(),
        " GET /v1/models HTTP/1.1\r\nhost: g\r\n\r\n".to_owned(),
        "GET v1/models HTTP/1.1\r\nhost: g\r\n\r\n".to_owned(),
        "GET \\v1\\models HTTP/1.1\r\nhost: g\r\n\r\n".to_owned(),
        "\0\0\0\0\r\n\r\n".to_owned(),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
        "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}\u{fc}\u{3}\u{3}\r\n\r\n".to_owned(),
        "POST /v1/chat/completions HTTP/1.0\r\nhost: g\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"
            .to_owned(),
        format!("GET /{} HTTP/1.1\r\nhost: g\r\n\r\n", "a".repeat(70_000)),
        format!("GET / HTTP/1.1\r\nhost: g\r\nx: {}\r\n\r\n", "a".repeat(70_000)),
        format!("GET / HTTP/1.1\r\nhost: g\r\n{}: 1\r\n\r\n", "a".repeat(70_000)),
        format!("GET / HTTP/1.1\r\nhost: g\r\n{}\r\n", "x: 1\r\n".repeat(100)),
    ];
    for attack in &refused {
        assert!(check(&app, attack.as_bytes()).await, "{:?}", attack.chars().take(200).collect::<String>());
    }
    app.stop().await;
}

#[tokio::test]
async fn forms_that_are_unusual_are_answered_once_and_by_their_path_alone() {
    let app = app().await;
    let accepted = [
        ("GET http://evil.example/v1/models/first HTTP/1.1\r\nhost: g\r\n\r\n", 404),
        ("GET https://user:pw@evil.example:1/v1/models/first HTTP/1.1\r\nhost: g\r\n\r\n", 404),
        ("GET /v1/models/first HTTP/1.1\r\nhost: g\r\nhost: evil.example\r\n\r\n", 404),
        ("GET /v1/models/first HTTP/1.1\r\n\r\n", 404),
        ("GET /v1/models/first HTTP/1.1\r\nhost: \r\n\r\n", 404),
        ("GET /v1/models/first HTTP/1.1\nhost: g\n\n", 404),
        ("GET /v1/models/first?x=HTTP/1.1 HTTP/1.1\r\nhost: g\r\n\r\n", 404),
        ("\r\n\r\nGET /v1/models/first HTTP/1.1\r\nhost: g\r\n\r\n", 404),
        (
            "GET /v1/models/first HTTP/1.1\r\nhost: g\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-key: eA==\r\nsec-websocket-version: 13\r\n\r\n",
            404,
        ),
        (
            "GET /v1/models/first HTTP/1.1\r\nhost: g\r\nconnection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n\r\n",
            404,
        ),
        ("OPTIONS /v1/models/first HTTP/1.1\r\nhost: g\r\n\r\n", 204),
        ("GET /v1/models/first HTTP/1.1\r\nhost: g\r\ncontent-length: 5\r\n\r\nhello", 404),
        (
            "GET /v1/models/first HTTP/1.1\r\nhost: g\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            404,
        ),
        ("DELETE /v1/models/first HTTP/1.1\r\nhost: g\r\ncontent-length: 5\r\n\r\nhello", 405),
    ];
    for (attack, status) in accepted {
        let mut connection = app.connect().await;
        connection.write(&[attack.as_bytes(), MARKER.as_bytes()].concat()).await;
        let (answers, _) = connection.answers(2).await;
        assert_eq!(answers[0].status, status, "{attack:?}: {answers:?}");
        assert!(!answers[0].text().contains("marker"), "{attack:?}: {answers:?}");
        assert!(answers.get(1).is_none_or(|answer| answer.text().contains("`marker`")), "{attack:?}");
        check(&app, attack.as_bytes()).await;
    }
    // No tunnel, whatever bytes come early.
    for attack in [
        format!("CONNECT evil.example:443 HTTP/1.1\r\nhost: evil.example:443\r\n\r\n{HIDDEN}"),
        format!("CONNECT 127.0.0.1:1 HTTP/1.1\r\nhost: g\r\n\r\n{HIDDEN}"),
        format!("GET / HTTP/1.1\r\nhost: g\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n{HIDDEN}"),
        format!("GET / HTTP/1.1\r\nhost: g\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n{HIDDEN}"),
        format!("GET / HTTP/1.1\r\nhost: g\r\nupgrade: TLS/1.0\r\n\r\n{HIDDEN}"),
        format!("OPTIONS * HTTP/1.1\r\nhost: g\r\ncontent-length: {}\r\n\r\n{HIDDEN}", HIDDEN.len()),
    ] {
        check(&app, attack.as_bytes()).await;
    }
    app.stop().await;
}

#[tokio::test]
async fn a_caller_that_pipelines_has_its_answers_in_order() {
    let app = app().await;
    let mut connection = app.connect().await;
    let mut requests = Vec::new();
    for number in 0..20 {
        let mut body = hello("m");
        body["messages"][0]["content"] = format!("number {number}!").into();
        requests.extend(post("/v1/chat/completions", &[], body.to_string().as_bytes()));
    }
    connection.write(&requests).await;
    for number in 0..20 {
        assert!(connection.answer().await.content().contains(&format!("number {number}!")));
    }
    drop(connection);
    app.stop().await;
}

#[tokio::test]
async fn a_stream_is_written_though_the_caller_has_sent_its_next_request_already() {
    let app = app().await;
    let mut connection = app.connect().await;
    let body = crate::support::streamed(hello("m")).to_string();
    connection
        .write(&[&post("/v1/chat/completions", &[], body.as_bytes())[..], MARKER.as_bytes()].concat())
        .await;
    let mut stream = connection.stream().await;
    assert_eq!(stream.rest().await.last().unwrap(), "data: [DONE]\n\n");
    app.stop().await;
}
