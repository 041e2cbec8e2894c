//! What the tests over sockets share: a raw HTTP/1.1 exchange, and bodies that each surface takes.

use serde_json::{Value, json};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Longest wait for something that must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
/// Wait for something that must not come.
pub(crate) const SILENCE: Duration = Duration::from_millis(150);

/// What came back on a connection.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    /// How the connection ended after it; `None`: it was left open.
    pub(crate) end: Option<io::Result<()>>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The data of each event.
    pub(crate) fn events(&self) -> Vec<String> {
        let text = self.text().replace("\r\n", "\n");
        let frames = text.split("\n\n").filter(|frame| !frame.is_empty());
        frames.filter_map(|frame| frame.split_once("data: ").map(|(_, data)| data.to_owned())).collect()
    }

    pub(crate) fn was_reset(&self) -> bool {
        matches!(&self.end, Some(Err(error)) if error.kind() == io::ErrorKind::ConnectionReset)
    }

    pub(crate) fn was_closed(&self) -> bool {
        matches!(self.end, Some(Ok(())))
    }
}

pub(crate) fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> String {
    let mut text = format!("{method} {path} HTTP/1.1\r\nhost: sim\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text + "\r\n" + body
}

/// Sends a request on a connection of its own and reads until the reply is complete or the connection ends, but not
/// beyond a silence.
pub(crate) async fn send(address: SocketAddr, request: &str) -> Answer {
    let mut stream = TcpStream::connect(address).await.unwrap();
    exchange(&mut stream, request).await
}

pub(crate) async fn exchange(stream: &mut TcpStream, request: &str) -> Answer {
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut raw = Vec::new();
    let mut end = None;
    loop {
        if complete(&raw) {
            break;
        }
        let mut buffer = vec![0; 65_536];
        match timeout(PATIENCE, stream.read(&mut buffer)).await {
            Err(_) => panic!("no end of the reply: {}", String::from_utf8_lossy(&raw)),
            Ok(Ok(0)) => end = Some(Ok(())),
            Ok(Ok(read)) => raw.extend_from_slice(&buffer[..read]),
            Ok(Err(error)) => end = Some(Err(error)),
        }
        if end.is_some() {
            break;
        }
    }
    answer(&raw, end)
}

/// Reads what comes until a silence, and leaves the connection open.
pub(crate) async fn read_until_silence(stream: &mut TcpStream) -> Vec<u8> {
    let mut raw = Vec::new();
    let mut buffer = vec![0; 65_536];
    while let Ok(read) = timeout(SILENCE, stream.read(&mut buffer)).await {
        match read.unwrap() {
            0 => break,
            read => raw.extend_from_slice(&buffer[..read]),
        }
    }
    raw
}

fn split(raw: &[u8]) -> Option<(String, &[u8])> {
    let at = raw.windows(4).position(|window| window == b"\r\n\r\n")?;
    Some((String::from_utf8_lossy(&raw[..at]).into_owned(), &raw[at + 4..]))
}

fn complete(raw: &[u8]) -> bool {
    let Some((head, body)) = split(raw) else { return false };
    let head = head.to_ascii_lowercase();
    if head.contains("transfer-encoding: chunked") {
        return body.ends_with(b"0\r\n\r\n");
    }
    if head.starts_with("http/1.1 204") {
        return true;
    }
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
    length.is_some_and(|length| body.len() >= length)
}

pub(crate) fn answer(raw: &[u8], end: Option<io::Result<()>>) -> Answer {
    let (head, body) = split(raw).unwrap_or_default();
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
    let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    let body = if chunked { unchunk(body) } else { body.to_vec() };
    Answer { status, head, body, end }
}

fn unchunk(mut body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    while let Some(at) = body.windows(2).position(|window| window == b"\r\n") {
        let size = usize::from_str_radix(&String::from_utf8_lossy(&body[..at]), 16).unwrap_or(0);
        let end = (at + 2 + size).min(body.len());
        out.extend_from_slice(&body[at + 2..end]);
        body = &body[(end + 2).min(body.len())..];
        if size == 0 {
            break;
        }
    }
    out
}

const JSON: (&str, &str) = ("content-type", "application/json");

pub(crate) fn chat(path: &str, model: &str, extra: &Value) -> String {
    let mut body = json!({"model": model, "messages": [{"role": "user", "content": "hello"}]});
    merge(&mut body, extra);
    request("POST", path, &[JSON, ("authorization", "Bearer sk-test")], &body.to_string())
}

pub(crate) fn openai(model: &str, extra: &Value) -> String {
    chat("/v1/chat/completions", model, extra)
}

pub(crate) fn messages(model: &str, extra: &Value) -> String {
    let mut body =
        json!({"model": model, "max_tokens": 1000, "messages": [{"role": "user", "content": "hello"}]});
    merge(&mut body, extra);
    let headers = [JSON, ("x-api-key", "sk-ant"), ("anthropic-version", "2023-06-01")];
    request("POST", "/v1/messages", &headers, &body.to_string())
}

pub(crate) fn gemini(model: &str, method: &str, extra: &Value) -> String {
    let mut body = json!({"contents": [{"role": "user", "parts": [{"text": "hello"}]}]});
    merge(&mut body, extra);
    let path = format!("/v1beta/models/{model}:{method}");
    request("POST", &path, &[JSON, ("x-goog-api-key", "AIza")], &body.to_string())
}

pub(crate) fn merge(body: &mut Value, extra: &Value) {
    for (key, value) in extra.as_object().unwrap() {
        body[key] = value.clone();
    }
}

/// Waits until something holds, which must come.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    assert!(timeout(PATIENCE, waiting).await.is_ok(), "{what}");
}
