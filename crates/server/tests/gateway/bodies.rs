//! Bodies and heads of callers that are too large, too slow, of another kind or no JSON.

use crate::support::{App, Wire, advance, hello, one_of, post, seconds, settle, until};
use tollgate_simulator::{Behaviour, Rule, Script};

const CHAT: &str = "/v1/chat/completions";

/// A gateway whose provider takes any JSON.
async fn app() -> App {
    let rule = Rule::any(Behaviour::new().lenient());
    App::start(one_of(Wire::OpenAi), Script::new().rule(rule)).await
}

#[tokio::test]
async fn json_bombs_are_refused_before_anything_is_sent() {
    let app = app().await;
    let member = |json: String| format!("{{\"model\":\"m\",\"messages\":[],\"x\":{json}}}");
    let nested =
        |open: &str, close: &str, depth: usize| format!("{}{}", open.repeat(depth), close.repeat(depth));
    for body in [
        member(nested("[", "]", 65)),
        member(nested("[", "]", 100_000)),
        member(nested("{\"a\":", "}", 100_000)),
        member("[".repeat(1_000_000)),
        member(format!("[{}{{}}]", "{},".repeat(1_000_000))),
        member(format!("[{}0]", "0,".repeat(250_000))),
        format!("{}{{}}{}", "{\"model\":".repeat(70), "}".repeat(70)),
        "[".repeat(5_000_000),
        "\"".to_owned(),
        "{\"model\":\"m".to_owned(),
        member("1e".to_owned()),
        member("1e400".to_owned()),
        member(format!("1{}", "0".repeat(1_000_000))),
        member("01".to_owned()),
        member("+1".to_owned()),
        member("NaN".to_owned()),
        member("'x'".to_owned()),
        member("[1,]".to_owned()),
        member("\"\u{1}\"".to_owned()),
        member("\"\\x\"".to_owned()),
        member("\"\\ud800".to_owned()),
        member("tru".to_owned()),
        member("/* */ 1".to_owned()),
        format!("\u{feff}{}", hello("m")),
        format!("{} {}", hello("m"), hello("m")),
        format!("{}\0", hello("m")),
    ] {
        let answer = app.ask(&post(CHAT, &[], body.as_bytes())).await;
        let start: String = body.chars().take(80).collect();
        assert_eq!((answer.status, answer.error()["param"].as_str()), (400, Some("request_body")), "{start}");
        assert!(answer.error_message().starts_with("Invalid JSON payload: "), "{start}");
        assert!(answer.body.len() < 500, "{start}: {}", answer.text());
    }
    for bytes in
        [&b"{\"model\":\"m\xff\",\"messages\":[]}"[..], b"\xff\xfe{\x00}\x00", b"{\"\xc3\x28\":1}", b"\x80"]
    {
        assert_eq!(app.ask(&post(CHAT, &[], bytes)).await.status, 400);
    }
    assert_eq!(app.received().len(), 0);
    app.stop().await;
}

#[tokio::test]
async fn what_is_large_and_sound_passes_as_it_came() {
    let app = app().await;
    let members = [
        ("x", format!("[{}1]", "1,".repeat(50_000))),
        ("huge", format!("1{}", "0".repeat(300))),
        ("tiny", "-1.5e-99999".to_owned()),
        ("deep", format!("{}{}", "[".repeat(60), "]".repeat(60))),
        ("text", format!("\"{}\"", "x".repeat(2 << 20))),
        ("escapes", format!("\"{}\"", "\\ud83d\\ude00".repeat(10_000))),
    ];
    for (name, value) in members {
        let text = hello("m").to_string();
        let body = format!("{{\"{name}\":{value},{}", &text[1..]);
        let answer = app.ask(&post(CHAT, &[], body.as_bytes())).await;
        assert_eq!(answer.status, 200, "{name}: {}", answer.text());
        let received = app.received().pop().unwrap();
        let sent = String::from_utf8(received.body.to_vec()).unwrap();
        assert!(sent.contains(&format!("\"{name}\":{value}")), "{name}");
    }
    app.stop().await;
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_refused_without_being_read_to_its_end() {
    let yaml = one_of(Wire::OpenAi) + "tollgate_settings: {body_bytes_max: 100000}\n";
    let app = App::start(yaml, Script::new()).await;
    let head = |framing: &str| {
        format!("POST {CHAT} HTTP/1.1\r\nhost: g\r\ncontent-type: application/json\r\n{framing}\r\n\r\n")
    };
    // Announced: refused at once, with no byte of it there, and without being asked to go on.
    for length in ["100001", "34603008", "1152921504606846976", "18446744073709551613"] {
        for more in ["", "\r\nexpect: 100-continue"] {
            let answer = app.ask(head(&format!("content-length: {length}{more}")).as_bytes()).await;
            assert_eq!(
                (answer.status, answer.error()["param"].as_str()),
                (413, Some("request_body")),
                "{length}"
            );
            assert!(answer.error_message().contains("100000"), "{answer:?}");
        }
    }
    // In chunks: as soon as it is too long.
    let mut connection = app.connect().await;
    connection.write(head("transfer-encoding: chunked").as_bytes()).await;
    let chunk = format!("1000\r\n{}\r\n", " ".repeat(0x1000));
    for _ in 0..25 {
        connection.write(chunk.as_bytes()).await;
    }
    let answer = connection.answer().await;
    assert_eq!(answer.status, 413);
    assert!(connection.is_ended().await);
    // Up to the limit it is fine.
    let mut body = hello("m").to_string();
    body.push_str(&" ".repeat(100_000 - body.len()));
    assert_eq!(app.ask(&post(CHAT, &[], body.as_bytes())).await.status, 200);
    body.push(' ');
    assert_eq!(app.ask(&post(CHAT, &[], body.as_bytes())).await.status, 413);
    assert_eq!(app.received().len(), 1);
    app.stop().await;
}

#[tokio::test]
async fn the_usual_limit_is_32_mib() {
    let app = app().await;
    let mut body = hello("m").to_string();
    body.push_str(&" ".repeat((32 << 20) - body.len()));
    assert_eq!(app.ask(&post(CHAT, &[], body.as_bytes())).await.status, 200);
    body.push(' ');
    assert_eq!(app.ask(&post(CHAT, &[], body.as_bytes())).await.status, 413);
    app.stop().await;
}

#[tokio::test]
async fn a_body_that_does_not_come_is_a_408_and_one_that_breaks_off_sends_nothing() {
    let app = app().await;
    let request = post(CHAT, &[], hello("m").to_string().as_bytes());
    for part in [request.len() - 1, request.len() - 30] {
        let mut connection = app.connect().await;
        connection.write(&request[..part]).await;
        until("the body is awaited", || app.gateway.in_flight() == 1).await;
        settle().await;
        advance(seconds(29)).await;
        settle().await;
        assert_eq!(app.gateway.in_flight(), 1, "given up early");
        advance(seconds(1)).await;
        let answer = connection.answer().await;
        assert_eq!((answer.status, answer.error()["param"].as_str()), (408, Some("request_body")));
        assert!(connection.is_ended().await, "what is left of the body would be read as a request");
        // The caller goes away in the middle.
        let mut connection = app.connect().await;
        connection.write(&request[..part]).await;
        until("the body is awaited", || app.gateway.in_flight() == 1).await;
        drop(connection);
        until("the request is given up", || app.gateway.in_flight() == 0).await;
    }
    assert_eq!(app.received().len(), 0);
    app.stop().await;
}

#[tokio::test]
async fn a_head_that_does_not_come_and_an_idle_connection_are_closed() {
    let app = app().await;
    for start in ["", "GET / HT", "GET / HTTP/1.1\r\nhost: g\r\nx: "] {
        let mut connection = app.connect().await;
        connection.write(start.as_bytes()).await;
        settle().await;
        advance(seconds(11)).await;
        let (answers, ended) = connection.answers(1).await;
        assert!(ended || connection.is_ended().await, "{start:?}");
        assert!(answers.iter().all(|answer| answer.status == 408), "{start:?}: {answers:?}");
    }
    let mut connection = app.connect().await;
    connection.write(&post(CHAT, &[], hello("m").to_string().as_bytes())).await;
    assert_eq!(connection.answer().await.status, 200);
    settle().await;
    advance(seconds(11)).await;
    assert!(connection.is_ended().await);
    app.stop().await;
}

#[tokio::test]
async fn heads_that_are_too_large_are_refused() {
    let app = app().await;
    let get = |more: String| format!("GET /health/liveliness HTTP/1.1\r\nhost: g\r\n{more}\r\n");
    for (request, status) in [
        (get("x: 1\r\n".repeat(99)), 200),
        (get("x: 1\r\n".repeat(100)), 431),
        (get(format!("x: {}\r\n", "a".repeat(65_000))), 200),
        (get(format!("x: {}\r\n", "a".repeat(66_000))), 431),
        (get(format!("x: {}\r\n", "a".repeat(1_000_000))), 431),
        (format!("GET /{} HTTP/1.1\r\nhost: g\r\n\r\n", "a".repeat(60_000)), 404),
    ] {
        let mut connection = app.connect().await;
        connection.write(request.as_bytes()).await;
        assert_eq!(connection.head().await.status, status, "{} bytes", request.len());
    }
    app.stop().await;
}

#[tokio::test]
async fn bodies_of_another_type_are_refused_unread() {
    let app = app().await;
    let body = hello("m").to_string();
    let ask = async |headers: &str| {
        let length = body.len();
        let request =
            format!("POST {CHAT} HTTP/1.1\r\nhost: g\r\n{headers}content-length: {length}\r\n\r\n{body}");
        app.ask(request.as_bytes()).await
    };
    for refused in [
        "content-type: text/plain\r\n",
        "content-type: application/x-www-form-urlencoded\r\n",
        "content-type: multipart/form-data; boundary=x\r\n",
        "content-type: application/jsonx\r\n",
        "content-type: text/json\r\n",
        "content-type:\r\n",
        "content-type: application/json\r\ncontent-encoding: gzip\r\n",
        "content-type: application/json\r\ncontent-encoding: br\r\n",
    ] {
        let answer = ask(refused).await;
        assert_eq!(
            (answer.status, answer.error()["param"].as_str()),
            (415, Some("content-type")),
            "{refused:?}"
        );
    }
    assert_eq!(app.received().len(), 0);
    for taken in [
        "",
        "content-type: application/json; charset=utf-8\r\n",
        "content-type: APPLICATION/JSON\r\n",
        "content-type: application/json\r\ncontent-encoding: identity\r\n",
    ] {
        assert_eq!(ask(taken).await.status, 200, "{taken:?}");
    }
    app.stop().await;
}

#[tokio::test]
async fn a_caller_that_asks_first_is_told_to_go_on_where_its_body_will_be_read() {
    let app = app().await;
    let body = hello("m").to_string();
    let request = post(CHAT, &[("expect", "100-continue")], body.as_bytes());
    let (head, body) = request.split_at(request.len() - body.len());
    let mut connection = app.connect().await;
    connection.write(head).await;
    assert_eq!(connection.head().await.status, 100);
    connection.write(body).await;
    assert_eq!(connection.answer().await.status, 200);
    app.stop().await;
}
