//! What the simulator received, for tests to look at: the oracle of every attempt and every token.
//!
//! Owns: [`Received`], its JSON line, the bounded list of them. Leaves to others: filling it in (`exchange`).
//!
//! **Invariant:** the list keeps the newest requests up to a limit; numbers count on through what was let go.

use crate::platform::Form;
use crate::surface::Surface;
use bytes::Bytes;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Most messages of a WebSocket that are kept.
const MESSAGES_MAX: usize = 10_000;

/// A request that the simulator received, and how far its reply came.
#[derive(Debug, Clone, PartialEq)]
pub struct Received {
    /// Number of the request, from 1 on.
    pub number: u64,
    /// The HTTP method.
    pub method: String,
    /// Path and query as they came.
    pub path: String,
    /// Header names (in lower case) and values in order; a value that is no text has its bad bytes replaced.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
    /// The provider's API that the path belongs to.
    pub surface: Surface,
    /// What was asked: `chat`, `messages`, `generate_content`, ...; empty when the surface has no such route.
    pub operation: &'static str,
    /// The deployment in the base path `/d/<name>`.
    pub deployment: Option<String>,
    /// The model, from the path or the body; empty when there is none.
    pub model: String,
    /// The credential that came.
    pub credential: Option<String>,
    /// What the simulator made of it.
    pub verdict: Verdict,
    /// The status sent, 0 while none was.
    pub status: u16,
    /// Number of the connection, from 1 on.
    pub connection: u64,
    /// The caller closed the connection before it had the whole reply.
    pub hung_up: bool,
    /// The whole reply was handed to the connection.
    pub finished: bool,
    /// Events of the stream that were written.
    pub events_written: usize,
    /// Tokens (content events) of the stream that were written.
    pub tokens_written: usize,
    /// Tokens that the reply reports, or would have: prompt and completion.
    pub tokens: (u64, u64),
    /// Text messages that the caller sent over the WebSocket which the request became, in order; of many the first
    /// 10,000.
    pub messages: Vec<String>,
}

/// What the simulator made of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It was answered.
    Answered,
    /// It breaks a rule of the provider; the text is the provider's sentence.
    Rejected(String),
    /// A rate limit of the provider's own turned it away.
    Limited,
    /// The script made it fail.
    Faulted,
}

impl Received {
    /// The value of a header, by its name in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON, or null.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The parts of a body that is `multipart/form-data`: `{"form": [{"name", "bytes", "text"}]}`, of a file with
    /// `filename` and `content_type`, and `base64` (of a large file the first 64 KiB) where it is no text.
    #[must_use]
    pub fn form(&self) -> Option<Value> {
        let value = self.header("content-type").and_then(|value| http::HeaderValue::from_str(value).ok())?;
        let headers = http::HeaderMap::from_iter([(http::header::CONTENT_TYPE, value)]);
        Form::read(&headers, &self.body).map(|form| form.shown())
    }

    /// The request as one line of JSON, without a line end: surface, operation, path, body (of a form its parts, a
    /// string when it is neither that nor JSON), and what became of it.
    #[must_use]
    pub fn to_json_line(&self) -> String {
        let body = serde_json::from_slice(&self.body)
            .ok()
            .or_else(|| self.form())
            .unwrap_or_else(|| Value::String(String::from_utf8_lossy(&self.body).into_owned()));
        let (verdict, reason) = match &self.verdict {
            Verdict::Answered => ("answered", None),
            Verdict::Rejected(reason) => ("rejected", Some(reason)),
            Verdict::Limited => ("limited", None),
            Verdict::Faulted => ("faulted", None),
        };
        let messages: Vec<Value> = self
            .messages
            .iter()
            .map(|text| serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.clone())))
            .collect();
        let headers: Vec<Value> = self.headers.iter().map(|(name, value)| json!([name, value])).collect();
        json!({
            "number": self.number,
            "surface": self.surface.name(),
            "operation": self.operation,
            "method": self.method,
            "path": self.path,
            "deployment": self.deployment,
            "model": self.model,
            "verdict": verdict,
            "reason": reason,
            "status": self.status,
            "connection": self.connection,
            "hung_up": self.hung_up,
            "finished": self.finished,
            "events_written": self.events_written,
            "tokens_written": self.tokens_written,
            "prompt_tokens": self.tokens.0,
            "completion_tokens": self.tokens.1,
            "headers": headers,
            "body": body,
            "messages": messages,
        })
        .to_string()
    }
}

/// A request while its reply is on its way.
#[derive(Debug)]
pub(crate) struct Entry {
    fixed: Mutex<Received>,
    status: AtomicU16,
    hung_up: AtomicBool,
    finished: AtomicBool,
    events: AtomicUsize,
    tokens: AtomicUsize,
}

impl Entry {
    pub(crate) fn heard(&self, message: &str) {
        let mut fixed = lock(&self.fixed);
        if fixed.messages.len() < MESSAGES_MAX {
            fixed.messages.push(message.to_owned());
        }
    }

    pub(crate) fn set_verdict(&self, verdict: Verdict) {
        lock(&self.fixed).verdict = verdict;
    }

    pub(crate) fn set_tokens(&self, prompt: u64, completion: u64) {
        lock(&self.fixed).tokens = (prompt, completion);
    }

    pub(crate) fn set_status(&self, status: u16) {
        self.status.store(status, Ordering::Release);
    }

    pub(crate) fn set_hung_up(&self) {
        self.hung_up.store(true, Ordering::Release);
    }

    pub(crate) fn set_finished(&self) {
        self.finished.store(true, Ordering::Release);
    }

    pub(crate) fn wrote(&self, events: usize, tokens: usize) {
        self.events.fetch_add(events, Ordering::AcqRel);
        self.tokens.fetch_add(tokens, Ordering::AcqRel);
    }

    fn snapshot(&self) -> Received {
        Received {
            status: self.status.load(Ordering::Acquire),
            hung_up: self.hung_up.load(Ordering::Acquire),
            finished: self.finished.load(Ordering::Acquire),
            events_written: self.events.load(Ordering::Acquire),
            tokens_written: self.tokens.load(Ordering::Acquire),
            ..lock(&self.fixed).clone()
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic elsewhere leaves records that are still good to read.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The list of requests.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    list: Mutex<List>,
}

#[derive(Debug, Default)]
struct List {
    entries: VecDeque<Arc<Entry>>,
    received: u64,
}

impl Recorder {
    /// Adds a request, of which at most `kept` stay; its number is set here.
    pub(crate) fn add(&self, mut received: Received, kept: usize) -> Arc<Entry> {
        let mut list = lock(&self.list);
        list.received += 1;
        received.number = list.received;
        let entry = Arc::new(Entry {
            fixed: Mutex::new(received),
            status: AtomicU16::new(0),
            hung_up: AtomicBool::new(false),
            finished: AtomicBool::new(false),
            events: AtomicUsize::new(0),
            tokens: AtomicUsize::new(0),
        });
        if kept > 0 {
            list.entries.push_back(Arc::clone(&entry));
            while list.entries.len() > kept {
                list.entries.pop_front();
            }
        }
        entry
    }

    /// The requests kept, oldest first.
    pub(crate) fn snapshot(&self) -> Vec<Received> {
        let entries: Vec<Arc<Entry>> = lock(&self.list).entries.iter().map(Arc::clone).collect();
        entries.iter().map(|entry| entry.snapshot()).collect()
    }

    /// Lets all requests go; numbers count on.
    pub(crate) fn clear(&self) {
        lock(&self.list).entries.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(body: &'static str) -> Received {
        Received {
            number: 0,
            method: "POST".to_owned(),
            path: "/v1/chat/completions".to_owned(),
            headers: vec![("authorization".to_owned(), "Bearer k".to_owned())],
            body: Bytes::from_static(body.as_bytes()),
            surface: Surface::OpenAi,
            operation: "chat",
            deployment: None,
            model: "m".to_owned(),
            credential: Some("k".to_owned()),
            verdict: Verdict::Answered,
            status: 0,
            connection: 1,
            hung_up: false,
            finished: false,
            events_written: 0,
            tokens_written: 0,
            tokens: (0, 0),
            messages: Vec::new(),
        }
    }

    #[test]
    fn the_newest_are_kept_and_numbers_count_on() {
        let recorder = Recorder::default();
        for _ in 0..5 {
            recorder.add(received("{}"), 2);
        }
        let numbers = |recorder: &Recorder| -> Vec<u64> {
            recorder.snapshot().iter().map(|received| received.number).collect()
        };
        assert_eq!(numbers(&recorder), [4, 5]);
        recorder.clear();
        recorder.add(received("{}"), 2);
        assert_eq!(numbers(&recorder), [6]);
    }

    #[test]
    fn how_far_a_reply_came_is_seen_while_it_is_under_way() {
        let recorder = Recorder::default();
        let entry = recorder.add(received("{}"), 9);
        entry.set_status(200);
        entry.wrote(3, 2);
        entry.set_hung_up();
        let seen = recorder.snapshot().remove(0);
        assert_eq!((seen.status, seen.events_written, seen.tokens_written), (200, 3, 2));
        assert!(seen.hung_up && !seen.finished);
    }

    #[test]
    fn a_line_of_json_has_the_body_as_json_or_as_text() {
        let line = |body| serde_json::from_str::<Value>(&received(body).to_json_line()).unwrap();
        assert_eq!(line(r#"{"model":"m"}"#)["body"]["model"], "m");
        assert_eq!(line("no json")["body"], "no json");
        assert_eq!(line("{}")["surface"], "openai");
        assert_eq!(line("{}")["headers"][0][1], "Bearer k");
    }
}
