//! The callers: each sends one request, reads what comes of it, and says how it ended.
//!
//! Owns reading the two dialects strictly: what ends a stream, and that nothing follows it. Leaves to others whether the
//! text is the right one (oracle). **Invariant:** a caller waits for longer than any time limit of the gateway allows,
//! so that whoever is still waiting then has found a request that has no end.

use crate::ledger::{Ledger, Outcome, Seen};
use crate::scenario::{Call, Dialect, GATEWAY_PORT, Host, Leave, MASTER_KEY};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::time::{Instant, sleep_until, timeout_at};
use turmoil::net::TcpStream;

/// Sends a request and notes what it sees.
pub(crate) async fn ask(call: &Call, ledger: &Arc<Ledger>) -> Seen {
    ledger.note(format_args!(
        "call {} asks for {} {:?} stream={}",
        call.number, call.model, call.dialect, call.is_stream
    ));
    let mut seen = Seen {
        outcome: Outcome::Overdue,
        text: String::new(),
        head_after: None,
        rescues: 0,
        deployment: None,
    };
    let begun = Instant::now();
    let leaves_at = match call.leaves {
        Some(Leave::After(after)) => begun + after,
        _ => begun + call.longest() * 2,
    };
    let outcome = tokio::select! {
        biased;
        () = sleep_until(leaves_at) => Outcome::Left,
        outcome = timeout_at(begun + call.longest(), exchange(call, begun, &mut seen)) => {
            outcome.unwrap_or(Outcome::Overdue)
        }
    };
    seen.outcome = outcome;
    ledger.note(format_args!("call {} ends as {:?} with {:?}", call.number, seen.outcome, seen.text));
    ledger.record().seen.entry(call.number).or_default().push(seen.clone());
    seen
}

/// A reply of the gateway's to a path, whole.
pub(crate) async fn get(path: &str) -> Result<String, String> {
    let request =
        Request::get(path).header("host", "gateway").header("authorization", format!("Bearer {MASTER_KEY}"));
    let response = send(request.body(Full::default()).unwrap()).await?;
    let body = response.into_body().collect().await.map_err(|error| error.to_string())?;
    Ok(String::from_utf8_lossy(&body.to_bytes()).into_owned())
}

fn request(call: &Call) -> Request<Full<Bytes>> {
    let question = format!("number={} words={} please", call.number, call.words);
    let mut body = json!({"model": call.model, "messages": [{"role": "user", "content": question}]});
    if call.is_stream {
        body["stream"] = json!(true);
    }
    let path = match call.dialect {
        Dialect::OpenAi => "/v1/chat/completions",
        Dialect::Anthropic => {
            body["max_tokens"] = json!(1_000);
            "/v1/messages"
        }
    };
    Request::post(path)
        .header("host", "gateway")
        .header("authorization", format!("Bearer {MASTER_KEY}"))
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(body.to_string())))
        .unwrap()
}

async fn send(request: Request<Full<Bytes>>) -> Result<Response<Incoming>, String> {
    let stream = TcpStream::connect((Host::Gateway.address(), GATEWAY_PORT))
        .await
        .map_err(|error| error.to_string())?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| error.to_string())?;
    // Ends with the sender, or with the body.
    tokio::spawn(connection);
    sender.send_request(request).await.map_err(|error| error.to_string())
}

async fn exchange(call: &Call, begun: Instant, seen: &mut Seen) -> Outcome {
    let response = match send(request(call)).await {
        Ok(response) => response,
        Err(error) => return Outcome::Lost(error),
    };
    seen.head_after = Some(begun.elapsed());
    let status = response.status().as_u16();
    let deployment = response.headers().get("x-litellm-model-id").and_then(|value| value.to_str().ok());
    seen.deployment = deployment.map(str::to_owned);
    let read = if status == 200 && call.is_stream {
        streamed(call, response.into_body(), seen).await
    } else {
        plain(call, status, response.into_body(), seen).await
    };
    read.unwrap_or_else(Outcome::Lost)
}

async fn plain(call: &Call, status: u16, body: Incoming, seen: &mut Seen) -> Result<Outcome, String> {
    let body = body.collect().await.map_err(|error| error.to_string())?.to_bytes();
    let json: Value = serde_json::from_slice(&body).map_err(|error| format!("no JSON: {error}"))?;
    if status != 200 {
        let is_error = match call.dialect {
            Dialect::OpenAi => json["error"]["message"].is_string() && json["error"]["type"].is_string(),
            Dialect::Anthropic => json["type"] == "error" && json["error"]["message"].is_string(),
        };
        return if is_error { Ok(Outcome::Refused(status)) } else { Err(format!("no error: {json}")) };
    }
    let text = match call.dialect {
        Dialect::OpenAi => &json["choices"][0]["message"]["content"],
        Dialect::Anthropic => &json["content"][0]["text"],
    };
    seen.text = text.as_str().ok_or(format!("no answer: {json}"))?.to_owned();
    Ok(Outcome::Answered)
}

/// How far a stream is.
#[derive(Debug, Default)]
struct Reading {
    finishes: usize,
    ended: Option<Outcome>,
}

async fn streamed(call: &Call, mut body: Incoming, seen: &mut Seen) -> Result<Outcome, String> {
    let mut unread = String::new();
    let mut reading = Reading::default();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| error.to_string())?;
        let Some(bytes) = frame.data_ref() else { continue };
        unread.push_str(std::str::from_utf8(bytes).map_err(|error| error.to_string())?);
        while let Some((event, rest)) = unread.split_once("\n\n") {
            let (event, rest) = (event.to_owned(), rest.to_owned());
            read_event(call, &event, seen, &mut reading)?;
            unread = rest;
            if matches!(call.leaves, Some(Leave::AtBytes(bytes)) if seen.text.len() >= bytes) {
                return Ok(Outcome::Left);
            }
        }
    }
    if !unread.is_empty() {
        return Err(format!("half an event: {unread:?}"));
    }
    reading.ended.ok_or("a clean end without an end mark".to_owned())
}

fn read_event(call: &Call, event: &str, seen: &mut Seen, reading: &mut Reading) -> Result<(), String> {
    if event.starts_with(':') {
        seen.rescues += usize::from(event.starts_with(": x-tollgate-rescued"));
        return Ok(());
    }
    if reading.ended.is_some() {
        return Err(format!("after the end: {event}"));
    }
    let data =
        event.lines().find_map(|line| line.strip_prefix("data: ")).ok_or(format!("no data: {event:?}"))?;
    if data == "[DONE]" {
        reading.ended = Some(Outcome::Answered);
        return if reading.finishes == 1 { Ok(()) } else { Err(format!("{} finishes", reading.finishes)) };
    }
    let json: Value = serde_json::from_str(data).map_err(|error| format!("{error}: {data}"))?;
    if json["error"].is_object() {
        reading.ended = Some(Outcome::BrokenOff);
        return Ok(());
    }
    let (text, finish) = match call.dialect {
        Dialect::OpenAi => {
            let choice = &json["choices"][0];
            (choice["delta"]["content"].as_str(), choice["finish_reason"].is_string())
        }
        Dialect::Anthropic => {
            if json["type"] == "message_stop" {
                reading.ended = Some(Outcome::Answered);
                let whole = reading.finishes == 1;
                return if whole { Ok(()) } else { Err(format!("{} finishes", reading.finishes)) };
            }
            (json["delta"]["text"].as_str(), json["type"] == "message_delta")
        }
    };
    reading.finishes += usize::from(finish);
    let text = text.unwrap_or_default();
    if reading.finishes > 0 && !text.is_empty() {
        return Err(format!("text after the finish: {text:?}"));
    }
    seen.text.push_str(text);
    Ok(())
}
