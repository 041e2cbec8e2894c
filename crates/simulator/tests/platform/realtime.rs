//! A Realtime session over a socket.

use crate::common::{request, send, until};
use crate::simulator;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};
use tollgate_simulator::{Simulator, Verdict};

type Wire = WebSocketStream<TcpStream>;

async fn connect(
    simulator: &Simulator,
    query: &str,
    headers: &[(&'static str, &str)],
) -> Result<Wire, Error> {
    let stream = TcpStream::connect(simulator.address()).await.unwrap();
    let mut request =
        format!("ws://{}/v1/realtime?{query}", simulator.address()).into_client_request().unwrap();
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    client_async(request, stream).await.map(|(wire, _)| wire)
}

/// Events up to one of this type, or up to how the connection ended.
async fn events(wire: &mut Wire, last: &str) -> (Vec<Value>, Option<u16>) {
    let mut events: Vec<Value> = Vec::new();
    while let Some(message) = wire.next().await {
        match message {
            Ok(Message::Text(text)) => events.push(serde_json::from_str(&text).unwrap_or_default()),
            Ok(Message::Close(frame)) => return (events, frame.map(|frame| frame.code.into())),
            Ok(_) => {}
            Err(_) => break,
        }
        if events.last().is_some_and(|event| event["type"] == last) {
            break;
        }
    }
    (events, None)
}

async fn respond(wire: &mut Wire) {
    wire.send(Message::text(json!({"type": "response.create"}).to_string())).await.unwrap();
}

const KEY: (&str, &str) = ("authorization", "Bearer sk-test");

#[tokio::test]
async fn a_session_answers_and_what_the_caller_said_is_recorded() {
    let simulator = simulator().await;
    let mut wire = connect(&simulator, "model=gpt-realtime", &[KEY]).await.unwrap();
    respond(&mut wire).await;
    let (said, _) = events(&mut wire, "response.done").await;
    assert_eq!(said[0]["type"], "session.created");
    wire.close(None).await.unwrap();
    until("the end of the session", || simulator.received()[0].finished).await;
    let record = &simulator.received()[0];
    assert_eq!((record.status, record.operation, record.model.as_str()), (101, "realtime", "gpt-realtime"));
    assert_eq!(
        (record.messages.as_slice(), record.hung_up),
        (&[r#"{"type":"response.create"}"#.to_owned()][..], false)
    );
    assert!(record.tokens_written > 0 && record.tokens.1 > 0);
}

#[tokio::test]
async fn a_caller_that_leaves_without_a_word_hung_up() {
    let simulator = simulator().await;
    let mut wire = connect(&simulator, "model=sim-pace-50ms", &[KEY]).await.unwrap();
    respond(&mut wire).await;
    events(&mut wire, "response.output_audio_transcript.delta").await;
    drop(wire);
    until("the record of the hang-up", || simulator.received()[0].hung_up).await;
    assert_eq!(simulator.active_requests(), 0);
}

#[tokio::test]
async fn a_session_breaks_off_as_its_model_says() {
    let simulator = simulator().await;
    for (model, deltas, end) in [
        ("sim-close-2-4008", 2, Some(4_008)),
        ("sim-close-1", 1, Some(1_011)),
        ("sim-cut-3-clean", 3, Some(1_000)),
        ("sim-cut-3", 3, None),
        ("sim-reset-1", 1, None),
    ] {
        let mut wire = connect(&simulator, &format!("model={model}"), &[KEY]).await.unwrap();
        respond(&mut wire).await;
        let (said, code) = events(&mut wire, "response.done").await;
        let found =
            said.iter().filter(|event| event["type"] == "response.output_audio_transcript.delta").count();
        assert_eq!((found, code), (deltas, end), "{model}");
    }
    for (model, last) in [("sim-event-2", "error"), ("sim-failed-2", "response.done")] {
        let mut wire = connect(&simulator, &format!("model={model}"), &[KEY]).await.unwrap();
        respond(&mut wire).await;
        let (said, _) = events(&mut wire, last).await;
        let status = &said.last().unwrap()["response"]["status"];
        assert_eq!(status.as_str().unwrap_or("failed"), "failed", "{model}");
    }
}

#[tokio::test]
async fn a_handshake_is_refused_over_http() {
    let simulator = simulator().await;
    for (query, headers, status) in [
        ("model=m", vec![], 401),
        ("model=sim-error-429", vec![KEY], 429),
        ("model=m", vec![("authorization", "Bearer sk-invalid")], 401),
    ] {
        let error = connect(&simulator, query, &headers).await.unwrap_err();
        let Error::Http(response) = error else { panic!("{error}") };
        assert_eq!(response.status().as_u16(), status, "{query}");
    }
    let plain = send(simulator.address(), &request("GET", "/v1/realtime?model=m", &[KEY], "")).await;
    assert_eq!((plain.status, &plain.json()["error"]["code"]), (426, &json!("websocket_required")));
    assert!(simulator.received().iter().all(|record| record.verdict != Verdict::Answered));
}
