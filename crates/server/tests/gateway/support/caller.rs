//! A caller that sees every byte: HTTP/1.1 written by hand and read strictly.
//!
//! **Invariant:** framing that is not exactly right is a panic, never a guess.

use super::patiently;
use serde_json::Value;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A POST of a JSON body with headers of the caller's own.
pub(crate) fn post(path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut head = format!("POST {path} HTTP/1.1\r\nhost: gateway\r\ncontent-type: application/json\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
    [head.as_bytes(), body].concat()
}

/// A whole answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Names in lower case, in the order in which they came.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// The head as it came.
    pub(crate) raw_head: String,
}

impl Answer {
    /// A header's value; two headers of one name are a mistake.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let value = values.next();
        assert_eq!(values.next(), None, "{name} came twice");
        value
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The error's message, after its shape was held against OpenAI's.
    pub(crate) fn error_message(&self) -> String {
        self.error()["message"].as_str().unwrap().to_owned()
    }

    /// The error object, after its shape was held against OpenAI's.
    pub(crate) fn error(&self) -> Value {
        assert!(self.status >= 400, "no error: {self:?}");
        assert_eq!(self.header("content-type"), Some("application/json"));
        let json = self.json();
        let error = json["error"].clone();
        assert_eq!(json.as_object().unwrap().len(), 1, "{json}");
        for name in ["message", "type", "code"] {
            assert!(error[name].is_string(), "{name}: {json}");
        }
        assert!(error.get("param").is_some_and(|param| param.is_null() || param.is_string()), "{json}");
        error
    }

    /// The answer's text.
    pub(crate) fn content(&self) -> String {
        assert_eq!(self.status, 200, "{}", self.text());
        self.json()["choices"][0]["message"]["content"].as_str().unwrap().to_owned()
    }

    /// Everything that came, as one text.
    pub(crate) fn everything(&self) -> String {
        format!("{}{}", self.raw_head, String::from_utf8_lossy(&self.body))
    }
}

/// How the body that comes is delimited.
#[derive(Debug, Clone, Copy)]
enum Framing {
    Length(usize),
    Chunked,
    Over,
}

/// A caller's connection.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    framing: Framing,
}

impl Connection {
    /// Connects.
    pub(crate) async fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, buffer: Vec::new(), framing: Framing::Over }
    }

    /// Writes bytes. A gateway that has answered and closed already is none of the writer's business.
    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes).await;
    }

    /// Reads more; `false` at the end, also at a reset.
    async fn fill(&mut self) -> bool {
        let read = self.stream.read_buf(&mut self.buffer);
        patiently("more comes or the connection ends", read).await.unwrap_or(0) > 0
    }

    async fn line(&mut self) -> Option<String> {
        loop {
            if let Some(at) = self.buffer.windows(2).position(|pair| pair == b"\r\n") {
                let line = self.buffer.drain(..at + 2).take(at).collect();
                return Some(String::from_utf8(line).unwrap());
            }
            if !self.fill().await {
                assert!(self.buffer.is_empty(), "cut within a line: {:?}", self.buffer);
                return None;
            }
        }
    }

    /// The next answer's head; `None` when the connection ends instead.
    pub(crate) async fn try_head(&mut self) -> Option<Answer> {
        let line = self.line().await?;
        let mut raw_head = format!("{line}\r\n");
        let status: u16 = line.strip_prefix("HTTP/1.1 ").unwrap().get(..3).unwrap().parse().unwrap();
        let mut headers = Vec::new();
        loop {
            let line = self.line().await.expect("cut within the head");
            if line.is_empty() {
                break;
            }
            raw_head.push_str(&format!("{line}\r\n"));
            let (name, value) = line.split_once(':').expect("a header without a colon");
            assert!(!name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic()), "{line:?}");
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let answer = Answer { status, headers, body: Vec::new(), raw_head };
        self.framing = match (answer.header("content-length"), answer.header("transfer-encoding")) {
            (Some(length), None) => Framing::Length(length.parse().unwrap()),
            (None, Some("chunked")) => Framing::Chunked,
            (None, None) if status == 204 || status == 100 => Framing::Over,
            framing => panic!("{framing:?}"),
        };
        Some(answer)
    }

    /// The next answer's head.
    pub(crate) async fn head(&mut self) -> Answer {
        self.try_head().await.expect("no answer")
    }

    /// The next piece of the body; `Ok(None)` at its end, `Err` when the connection ends before it.
    pub(crate) async fn piece(&mut self) -> Result<Option<Vec<u8>>, ()> {
        let size = match self.framing {
            Framing::Over | Framing::Length(0) => return Ok(None),
            Framing::Length(left) => left,
            Framing::Chunked => {
                let line = self.line().await.ok_or(())?;
                usize::from_str_radix(&line, 16).unwrap_or_else(|_| panic!("no chunk size: {line:?}"))
            }
        };
        let tail = if matches!(self.framing, Framing::Chunked) { 2 } else { 0 };
        while self.buffer.len() < size + tail {
            if !self.fill().await {
                return Err(());
            }
        }
        let piece: Vec<u8> = self.buffer.drain(..size).collect();
        let end: Vec<u8> = self.buffer.drain(..tail).collect();
        assert!(end.is_empty() || end == b"\r\n", "a chunk that is longer than it says");
        if matches!(self.framing, Framing::Length(_)) || size == 0 {
            self.framing = Framing::Over;
        }
        Ok((size > 0).then_some(piece))
    }

    /// The next answer, whole; `None` when the connection ends instead.
    pub(crate) async fn try_answer(&mut self) -> Option<Answer> {
        let mut answer = self.try_head().await?;
        while let Some(piece) = self.piece().await.expect("cut within the body") {
            answer.body.extend(piece);
        }
        Some(answer)
    }

    /// The next answer, whole.
    pub(crate) async fn answer(&mut self) -> Answer {
        self.try_answer().await.expect("no answer")
    }

    /// At most so many answers, fewer where the connection ends before. `true`: it ended.
    pub(crate) async fn answers(&mut self, most: usize) -> (Vec<Answer>, bool) {
        let mut answers = Vec::new();
        while answers.len() < most {
            match self.try_answer().await {
                Some(answer) => answers.push(answer),
                None => return (answers, true),
            }
        }
        (answers, false)
    }

    /// Whether the connection ends without another byte.
    pub(crate) async fn is_ended(&mut self) -> bool {
        self.buffer.is_empty() && !self.fill().await
    }

    /// The next answer as a stream.
    pub(crate) async fn stream(mut self) -> Stream {
        let head = self.head().await;
        Stream { head, connection: self, pending: Vec::new() }
    }
}

/// A streamed answer that is being read.
pub(crate) struct Stream {
    pub(crate) head: Answer,
    connection: Connection,
    pending: Vec<u8>,
}

impl Stream {
    /// The next event with its blank line, as it came; `None` at the end of the stream.
    pub(crate) async fn event(&mut self) -> Option<String> {
        loop {
            let ends = [&b"\n\n"[..], b"\r\n\r\n"].into_iter().filter_map(|blank| {
                let at = self.pending.windows(blank.len()).position(|bytes| bytes == blank)?;
                Some(at + blank.len())
            });
            if let Some(end) = ends.min() {
                let event = self.pending.drain(..end).collect();
                return Some(String::from_utf8(event).unwrap());
            }
            match self.connection.piece().await.expect("the stream was cut") {
                Some(piece) => self.pending.extend(piece),
                None => {
                    assert!(self.pending.is_empty(), "half an event: {:?}", self.pending);
                    return None;
                }
            }
        }
    }

    /// The next so many events.
    pub(crate) async fn events(&mut self, count: usize) -> Vec<String> {
        let mut events = Vec::new();
        for _ in 0..count {
            events.push(self.event().await.expect("the stream is over"));
        }
        events
    }

    /// All that is left of the stream, event by event.
    pub(crate) async fn rest(&mut self) -> Vec<String> {
        assert_eq!(self.head.status, 200, "{}", self.head.raw_head);
        let mut events = Vec::new();
        while let Some(event) = self.event().await {
            events.push(event);
        }
        events
    }
}

/// The JSON of an event.
pub(crate) fn data(event: &str) -> Value {
    let text = event.lines().find_map(|line| line.strip_prefix("data: "));
    let text = text.unwrap_or_else(|| panic!("no data: {event:?}"));
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {event:?}"))
}
