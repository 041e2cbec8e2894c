//! A receiver of alerts over HTTP that notes what it gets, and answers as it is told.
//!
//! Owns: the server. Leaves to others: what is a good message ([`crate::rules`]). **Invariant:** a message that breaks the
//! rules is answered with 400 and noted; the test that started the receiver fails when it looks.

use crate::rules::Rules;
use serde_json::Value;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What was received.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// An answer: status, further lines of the head, body.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    Says(u16, &'static str, &'static str),
    /// The connection is closed without a word.
    Closes,
    /// Nothing ever comes.
    Silent,
}

#[derive(Debug, Default)]
struct Notes {
    received: Vec<Received>,
    broken: Vec<String>,
    answers: VecDeque<Answer>,
    /// For all that come after the answers.
    always: Option<Answer>,
}

/// The receiver.
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    rules: Rules,
    notes: Arc<Mutex<Notes>>,
}

impl Receiver {
    /// One that takes every good message.
    pub(crate) async fn start(rules: Rules) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let notes = Arc::new(Mutex::new(Notes::default()));
        let noting = Arc::clone(&notes);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, rules, Arc::clone(&noting)));
            }
        });
        Self { address, rules, notes }
    }

    /// It answers so, in turn, before it takes messages again.
    pub(crate) fn answers(self, answers: impl IntoIterator<Item = Answer>) -> Self {
        self.notes.lock().unwrap().answers.extend(answers);
        self
    }

    /// It always answers so.
    pub(crate) fn always(self, answer: Answer) -> Self {
        self.notes.lock().unwrap().always = Some(answer);
        self
    }

    /// Where it is, with a secret in it.
    pub(crate) fn url(&self) -> String {
        format!("http://{}{}", self.address, self.rules.path())
    }

    pub(crate) fn count(&self) -> usize {
        self.notes.lock().unwrap().received.len()
    }

    /// All that was received; none of it broke a rule.
    pub(crate) fn received(&self) -> Vec<Received> {
        let notes = self.notes.lock().unwrap();
        assert_eq!(notes.broken, [] as [String; 0]);
        notes.received.clone()
    }
}

async fn serve(mut stream: TcpStream, rules: Rules, notes: Arc<Mutex<Notes>>) {
    let mut read = Vec::new();
    while let Some(request) = request(&mut stream, &mut read).await {
        let answer = {
            let mut notes = notes.lock().unwrap();
            let verdict = rules.judge(&request);
            notes.received.push(request);
            let planned = notes.answers.pop_front().or_else(|| notes.always.clone());
            match (verdict, planned) {
                (Err(broken), _) => {
                    notes.broken.push(broken);
                    Answer::Says(400, "", "invalid_payload")
                }
                (Ok(()), Some(answer)) => answer,
                (Ok(()), None) => rules.thanks(),
            }
        };
        let Answer::Says(status, head, body) = answer else {
            if matches!(answer, Answer::Silent) {
                std::future::pending::<()>().await;
            }
            return;
        };
        let length = body.len();
        let reply = format!("HTTP/1.1 {status} X\r\n{head}content-length: {length}\r\n\r\n{body}");
        let reply = if status == 204 { format!("HTTP/1.1 204 X\r\n{head}\r\n") } else { reply };
        if stream.write_all(reply.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// One request; `None` when the other side has gone.
async fn request(stream: &mut TcpStream, read: &mut Vec<u8>) -> Option<Received> {
    let head_end = loop {
        if let Some(at) = read.windows(4).position(|part| part == b"\r\n\r\n") {
            break at;
        }
        if stream.read_buf(read).await.unwrap_or(0) == 0 {
            return None;
        }
    };
    let head = String::from_utf8(read[..head_end].to_vec()).unwrap();
    let mut lines = head.split("\r\n");
    let mut words = lines.next().unwrap().split(' ');
    assert_eq!(words.next(), Some("POST"));
    let target = words.next().unwrap().to_owned();
    let headers: Vec<(String, String)> = lines
        .map(|line| line.split_once(": ").unwrap())
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length =
        headers.iter().find(|(name, _)| name == "content-length").unwrap().1.parse::<usize>().unwrap();
    let whole = head_end + 4 + length;
    while read.len() < whole {
        if stream.read_buf(read).await.unwrap_or(0) == 0 {
            return None;
        }
    }
    let rest = read.split_off(whole);
    let body = read.split_off(head_end + 4);
    *read = rest;
    Some(Received { target, headers, body })
}
