//! The fast mode over a socket.

use crate::common::{exchange, gemini, messages, openai, send};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::net::TcpStream;
use tollgate_simulator::{Bench, Script, Simulator};

#[tokio::test]
async fn canned_replies_come_on_every_surface_and_nothing_is_recorded() {
    let bench = Bench { tokens: 5, ..Bench::default() };
    let simulator = Simulator::bind(Script::bench(bench)).await.unwrap();
    let mut connection = TcpStream::connect(simulator.address()).await.unwrap();
    for request in
        [openai("m", &json!({})), messages("m", &json!({})), gemini("m", "generateContent", &json!({}))]
    {
        let answer = exchange(&mut connection, &request).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
        assert!(answer.json().is_object());
    }
    assert_eq!((simulator.connections(), simulator.received().len()), (1, 0));
}

#[tokio::test]
async fn streams_have_their_tokens_with_and_without_a_pace() {
    for bench in [
        Bench { tokens: 5, ..Bench::default() },
        Bench { tokens: 5, separate_writes: true, ..Bench::default() },
        Bench {
            tokens: 5,
            pace: Duration::from_millis(1),
            latency: Duration::from_millis(1),
            ..Bench::default()
        },
    ] {
        let simulator = Simulator::bind(Script::bench(bench)).await.unwrap();
        let answer = send(simulator.address(), &openai("m", &json!({"stream": true}))).await;
        let events = answer.events();
        let contents = events.iter().filter_map(|event| serde_json::from_str::<Value>(event).ok());
        let texts: Vec<String> = contents
            .filter_map(|event| {
                event.pointer("/choices/0/delta/content").and_then(Value::as_str).map(str::to_owned)
            })
            .collect();
        assert_eq!((texts.len(), events.last().map(String::as_str)), (1 + 5, Some("[DONE]")));
    }
}

#[tokio::test]
async fn a_large_request_is_read_to_its_end_and_its_connection_used_again() {
    let simulator = Simulator::bind(Script::bench(Bench::default())).await.unwrap();
    let mut connection = TcpStream::connect(simulator.address()).await.unwrap();
    let large = json!({"messages": [{"role": "user", "content": "x".repeat(200_000)}], "stream": true});
    for _ in 0..3 {
        let answer = exchange(&mut connection, &openai("m", &large)).await;
        assert_eq!(answer.events().last().map(String::as_str), Some("[DONE]"));
    }
    assert_eq!(simulator.connections(), 1);
}
