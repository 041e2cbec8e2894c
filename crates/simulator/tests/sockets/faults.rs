//! Every fault over a socket, as a caller sees it.

use crate::common::{answer, exchange, gemini, messages, openai, read_until_silence, request, send, until};
use serde_json::{Value, json};
use std::io::Read;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tollgate_simulator::{
    Behaviour, CutEnding, Fault, RateLimit, ResetPoint, Rule, Script, Simulator, StatusFault, Verdict,
};

async fn failing(fault: Fault) -> Simulator {
    Simulator::bind(Script::new().rule(Rule::any(Behaviour::new().fault(fault)))).await.unwrap()
}

fn stream() -> Value {
    json!({"stream": true})
}

/// The tokens of a stream, of any surface.
fn tokens(events: &[String]) -> usize {
    let values = events.iter().filter_map(|event| serde_json::from_str::<Value>(event).ok());
    let paths = ["/choices/0/delta/content", "/delta/text", "/candidates/0/content/parts/0/text"];
    let filled = |value: &Value| paths.iter().any(|path| value.pointer(path).is_some_and(|text| text != ""));
    values.filter(filled).count()
}

#[tokio::test]
async fn a_cut_comes_after_the_same_number_of_tokens_on_every_wire() {
    for after in [0, 1, 3] {
        let simulator = failing(Fault::cut(after)).await;
        for request in [
            openai("m", &stream()),
            messages("m", &stream()),
            gemini("m", "streamGenerateContent?alt=sse", &json!({})),
        ] {
            let answer = send(simulator.address(), &request).await;
            assert_eq!((answer.status, tokens(&answer.events())), (200, after), "{}", answer.text());
            assert!(answer.was_closed() && !answer.text().contains("[DONE]"));
        }
        let received = simulator.received();
        assert!(received.iter().all(|one| one.tokens_written == after && !one.finished && !one.hung_up));
        assert!(received.iter().all(|one| one.verdict == Verdict::Faulted && one.status == 200));
    }
}

#[tokio::test]
async fn a_behaviours_headers_take_the_place_of_the_providers_own_on_answers_and_errors() {
    for behaviour in [Behaviour::new(), Behaviour::new().fault(Fault::status(429))] {
        let own = behaviour.header("X-Request-Id", "req_own").header("retry-after-ms", "30000");
        let simulator = Simulator::bind(Script::new().rule(Rule::any(own))).await.unwrap();
        let answer = send(simulator.address(), &openai("m", &json!({}))).await;
        let lines = answer.head.to_ascii_lowercase();
        assert!(lines.contains("retry-after-ms: 30000"), "{lines}");
        assert_eq!(lines.matches("x-request-id: ").count(), 1, "{lines}");
        assert_eq!(answer.header("x-request-id"), Some("req_own"));
    }
}

#[tokio::test]
async fn the_ending_of_a_cut_shows_on_the_wire() {
    let cut = |ending| Fault::Cut { after: 2, ending };
    let simulator = failing(cut(CutEnding::Terminated)).await;
    let clean = send(simulator.address(), &openai("m", &stream())).await;
    assert_eq!((tokens(&clean.events()), clean.end.is_none()), (2, true));
    let simulator = failing(cut(CutEnding::CloseDelimited)).await;
    let open = send(simulator.address(), &openai("m", &stream())).await;
    assert_eq!((open.header("transfer-encoding"), open.header("content-length")), (None, None));
    assert_eq!((tokens(&open.events()), open.was_closed()), (2, true));
}

#[tokio::test]
async fn a_reset_is_a_reset_wherever_it_comes() {
    for (point, status, events) in [
        (ResetPoint::BeforeHead, 0, 0),
        (ResetPoint::AfterHead, 200, 0),
        (ResetPoint::AfterEvents(2), 200, 2),
    ] {
        let simulator = failing(Fault::Reset(point)).await;
        let answer = send(simulator.address(), &openai("m", &stream())).await;
        assert!(answer.was_reset(), "{point:?}: {:?}", answer.end);
        assert_eq!((answer.status, tokens(&answer.events())), (status, events), "{point:?}");
    }
    let simulator = failing(Fault::Refuse).await;
    assert!(send(simulator.address(), &openai("m", &json!({}))).await.was_reset());
}

#[tokio::test]
async fn a_stall_and_a_hang_last_until_the_caller_leaves() {
    for (fault, written) in [(Fault::Hang, 0), (Fault::Stall { after: 3 }, 3)] {
        let simulator = failing(fault).await;
        let mut connection = TcpStream::connect(simulator.address()).await.unwrap();
        connection.write_all(openai("m", &stream()).as_bytes()).await.unwrap();
        let came = answer(&read_until_silence(&mut connection).await, None);
        assert_eq!(tokens(&came.events()), written);
        assert_eq!((simulator.active_requests(), simulator.open_connections()), (1, 1));
        drop(connection);
        until("the request is over", || simulator.active_requests() == 0).await;
        until("the connection is closed", || simulator.open_connections() == 0).await;
        let received = simulator.received();
        assert!(received[0].hung_up && received[0].tokens_written == written);
    }
}

#[tokio::test]
async fn a_caller_that_hangs_up_in_a_paced_stream_is_noticed() {
    let behaviour = Behaviour::new().pace(Duration::from_millis(20));
    let simulator = Simulator::bind(Script::new().rule(Rule::any(behaviour))).await.unwrap();
    let mut connection = TcpStream::connect(simulator.address()).await.unwrap();
    connection.write_all(openai("sim", &stream()).as_bytes()).await.unwrap();
    until("a token is written", || simulator.received().iter().any(|one| one.tokens_written > 0)).await;
    drop(connection);
    until("the hang-up is noticed", || simulator.received()[0].hung_up).await;
    assert!(simulator.received()[0].tokens_written < 12);
    assert_eq!(simulator.active_requests(), 0);
}

#[tokio::test]
async fn bodies_that_are_no_replies_are_sent_as_they_are_described() {
    for (fault, status, content_type, body) in [
        (Fault::Html { status: 200 }, 200, "text/html; charset=utf-8", "<!DOCTYPE html>"),
        (Fault::Html { status: 502 }, 502, "text/html; charset=utf-8", "<!DOCTYPE html>"),
        (Fault::Empty { status: 200 }, 200, "application/json", ""),
        (Fault::WrongContentType, 200, "text/html; charset=utf-8", "{\"id\":"),
        (Fault::ErrorInOk, 200, "application/json", "{\"error\":"),
        (Fault::TruncatedJson, 200, "application/json", "{\"id\":"),
    ] {
        let simulator = failing(fault.clone()).await;
        let answer = send(simulator.address(), &openai("m", &json!({}))).await;
        assert_eq!((answer.status, answer.header("content-type")), (status, Some(content_type)), "{fault:?}");
        assert!(answer.text().starts_with(body), "{fault:?}");
        let whole = serde_json::from_slice::<Value>(&answer.body).is_ok();
        assert_eq!(whole, matches!(fault, Fault::WrongContentType | Fault::ErrorInOk), "{fault:?}");
        assert!(simulator.received()[0].finished);
    }
}

#[tokio::test]
async fn a_status_has_the_providers_body_and_the_scripts_retry_after() {
    let simulator = failing(Fault::status_retry_after(429, "Wed, 21 Oct 2026 07:28:00 GMT")).await;
    let answer = send(simulator.address(), &openai("m", &json!({}))).await;
    assert_eq!((answer.status, answer.header("retry-after")), (429, Some("Wed, 21 Oct 2026 07:28:00 GMT")));
    assert_eq!(answer.json()["error"]["code"], "rate_limit_exceeded");
    let echo =
        StatusFault { code: 500, message: Some("failed with {key}".to_owned()), ..StatusFault::default() };
    let simulator = failing(Fault::Status(echo)).await;
    let answer = send(simulator.address(), &messages("m", &json!({}))).await;
    assert_eq!(answer.json()["error"]["message"], "failed with sk-ant");
}

#[tokio::test]
async fn an_error_event_ends_a_stream_that_began_well() {
    let simulator = failing(Fault::ErrorEvent { after: 2, code: 529 }).await;
    for (request, pointer, word) in [
        (openai("m", &stream()), "/error/type", "server_error"),
        (messages("m", &stream()), "/error/type", "overloaded_error"),
        (gemini("m", "streamGenerateContent?alt=sse", &json!({})), "/error/status", "INTERNAL"),
    ] {
        let events = send(simulator.address(), &request).await.events();
        assert_eq!(tokens(&events), 2);
        let last: Value = serde_json::from_str(events.last().unwrap()).unwrap();
        assert_eq!(last.pointer(pointer), Some(&json!(word)), "{last}");
    }
}

#[tokio::test]
async fn a_stream_may_lack_its_end_mark_or_have_a_malformed_event() {
    let simulator = failing(Fault::NoDone).await;
    let chat = send(simulator.address(), &openai("m", &stream())).await;
    assert!(
        tokens(&chat.events()) == 12 && !chat.text().contains("[DONE]") && chat.text().contains("\"stop\"")
    );
    let message = send(simulator.address(), &messages("m", &stream())).await;
    assert!(!message.text().contains("message_stop") && message.text().contains("message_delta"));
    let content = send(simulator.address(), &gemini("m", "streamGenerateContent?alt=sse", &json!({}))).await;
    assert!(tokens(&content.events()) == 12 && !content.text().contains("finishReason"));
    let simulator = failing(Fault::MalformedEvent { after: 1 }).await;
    let events = send(simulator.address(), &openai("m", &stream())).await.events();
    let bad: Vec<usize> =
        (0..events.len()).filter(|at| serde_json::from_str::<Value>(&events[*at]).is_err()).collect();
    assert_eq!(bad, [2, events.len() - 1]);
}

#[tokio::test]
async fn packed_bodies_unpack_to_the_good_reply_or_to_very_much() {
    let simulator = failing(Fault::Gzip).await;
    for extra in [json!({}), stream()] {
        let answer = send(simulator.address(), &openai("m", &extra)).await;
        assert_eq!(answer.header("content-encoding"), Some("gzip"));
        let mut plain = String::new();
        flate2::read::GzDecoder::new(answer.body.as_slice()).read_to_string(&mut plain).unwrap();
        assert!(plain.contains("chat.completion"), "{plain}");
    }
    let simulator = failing(Fault::GzipBomb { bytes: 64 << 20 }).await;
    let answer = send(simulator.address(), &openai("m", &json!({}))).await;
    assert!(answer.body.len() < 128 << 10);
    let unpacked =
        std::io::copy(&mut flate2::read::GzDecoder::new(answer.body.as_slice()), &mut std::io::sink());
    assert_eq!(unpacked.unwrap(), 64 << 20);
}

#[tokio::test]
async fn heads_and_bodies_without_end_go_on_until_the_caller_leaves() {
    for fault in [Fault::EndlessHeaders, Fault::EndlessBody] {
        let simulator = failing(fault).await;
        let mut connection = TcpStream::connect(simulator.address()).await.unwrap();
        connection.write_all(openai("m", &json!({})).as_bytes()).await.unwrap();
        let mut buffer = vec![0; 1 << 20];
        tokio::io::AsyncReadExt::read_exact(&mut connection, &mut buffer).await.unwrap();
        drop(connection);
        until("the request is over", || simulator.active_requests() == 0).await;
        assert!(simulator.received()[0].hung_up);
    }
}

#[tokio::test]
async fn odd_heads_and_framings_are_sent_as_they_are_described() {
    let simulator = failing(Fault::HugeHeaders { bytes: 100_000 }).await;
    let answer = send(simulator.address(), &openai("m", &json!({}))).await;
    assert_eq!(answer.header("x-huge").map(str::len), Some(100_000));
    let simulator =
        failing(Fault::Redirect { status: 307, location: "http://127.0.0.1:9/x".to_owned() }).await;
    let answer = send(simulator.address(), &openai("m", &json!({}))).await;
    assert_eq!((answer.status, answer.header("location")), (307, Some("http://127.0.0.1:9/x")));
    for by in [16, -16] {
        let simulator = failing(Fault::ContentLengthLies { by }).await;
        let answer = send(simulator.address(), &openai("m", &json!({}))).await;
        let promised: i64 = answer.header("content-length").unwrap().parse().unwrap();
        assert_eq!(promised - answer.body.len() as i64, by);
    }
    let simulator = failing(Fault::OneByteChunks).await;
    let answer = send(simulator.address(), &openai("m", &stream())).await;
    assert_eq!(tokens(&answer.events()), 12);
}

#[tokio::test]
async fn usage_goes_wrong_on_every_surface() {
    for (name, expect) in [("zero", Some(0)), ("negative", Some(-1 - 9)), ("none", None)] {
        let simulator = Simulator::bind(Script::new()).await.unwrap();
        let model = format!("sim-usage-{name}");
        for (request, pointer) in [
            (openai(&model, &json!({})), "/usage/prompt_tokens"),
            (messages(&model, &json!({})), "/usage/input_tokens"),
            (gemini(&model, "generateContent", &json!({})), "/usageMetadata/promptTokenCount"),
        ] {
            let body = send(simulator.address(), &request).await.json();
            assert_eq!(body.pointer(pointer).and_then(Value::as_i64), expect, "{body}");
        }
    }
}

#[tokio::test]
async fn a_provider_has_limits_of_its_own() {
    let limit = RateLimit { requests: Some(2), tokens: None };
    let script = Script::new().rule(Rule::any(Behaviour::new().limit(limit)));
    let simulator = Simulator::bind(script).await.unwrap();
    let mut statuses = Vec::new();
    for _ in 0..3 {
        let answer = send(simulator.address(), &openai("m", &json!({}))).await;
        let left = answer.header("x-ratelimit-remaining-requests").unwrap().to_owned();
        statuses.push((answer.status, left, answer.header("retry-after").is_some()));
    }
    let expect =
        [(200, "1"), (200, "0"), (429, "0")].map(|(status, left)| (status, left.to_owned(), status == 429));
    assert_eq!(statuses, expect);
    assert_eq!(simulator.received()[2].verdict, Verdict::Limited);
}

#[tokio::test]
async fn a_spelt_fault_passes_after_its_number_of_times() {
    let simulator = Simulator::bind(Script::new()).await.unwrap();
    let mut connection = TcpStream::connect(simulator.address()).await.unwrap();
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(exchange(&mut connection, &openai("sim-error-503+times-2", &json!({}))).await.status);
    }
    assert_eq!(statuses, [503, 503, 200]);
    assert_eq!(simulator.connections(), 1);
    let wrong = send(simulator.address(), &openai("sim-slow-fast", &json!({}))).await;
    assert_eq!((wrong.status, &wrong.json()["error"]["code"]), (404, &json!("model_not_found")));
}

#[tokio::test]
async fn rules_and_records_are_at_hand_over_http_too() {
    let simulator = Simulator::bind(Script::new()).await.unwrap();
    let address = simulator.address();
    let rules = r#"[{"deployment": "west", "behave": "error-500", "times": 1}]"#;
    assert_eq!(send(address, &request("PUT", "/sim/rules", &[], rules)).await.status, 204);
    let west = || crate::common::chat("/d/west/v1/chat/completions", "m", &json!({}));
    assert_eq!(send(address, &west()).await.status, 500);
    assert_eq!(send(address, &west()).await.status, 200);
    let lines = send(address, &request("GET", "/sim/received", &[], "")).await.text();
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(
        (lines.len(), &lines[0]["deployment"], &lines[0]["body"]["model"]),
        (2, &json!("west"), &json!("m"))
    );
    assert_eq!((&lines[0]["verdict"], &lines[1]["verdict"]), (&json!("faulted"), &json!("answered")));
    send(address, &request("DELETE", "/sim/received", &[], "")).await;
    assert_eq!(simulator.received(), []);
    let stats = send(address, &request("GET", "/sim/stats", &[], "")).await.json();
    assert_eq!(stats["rules_used"], json!([1]));
    let redirect = send(address, &openai("sim-redirect-302", &json!({}))).await;
    let location = redirect.header("location").unwrap().to_owned();
    send(address, &request("GET", &location, &[], "")).await;
    assert_eq!(simulator.redirects_followed(), 1);
}

#[tokio::test]
async fn stopping_closes_every_connection_and_the_port() {
    let simulator = failing(Fault::Hang).await;
    let address = simulator.address();
    let mut connection = TcpStream::connect(address).await.unwrap();
    connection.write_all(openai("m", &json!({})).as_bytes()).await.unwrap();
    until("the request is there", || simulator.active_requests() == 1).await;
    simulator.stop().await;
    assert_eq!(read_until_silence(&mut connection).await, b"");
    assert!(TcpStream::connect(address).await.is_err());
}
