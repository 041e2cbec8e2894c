//! Many callers at once, and what became of each of their requests.

use super::{CHAT, Connection, Told, hello, post, streamed};
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How much is asked.
#[derive(Debug, Clone)]
pub(crate) struct Load {
    requests: usize,
    at_once: usize,
    body: Value,
    is_mixed: bool,
}

impl Load {
    /// So many requests for the group `m`, so many at once, every second one a stream.
    pub(crate) fn new(requests: usize, at_once: usize) -> Self {
        Self { requests, at_once, body: hello("m"), is_mixed: true }
    }

    /// With this body.
    pub(crate) fn body(mut self, body: Value) -> Self {
        self.body = body;
        self
    }

    /// Plain requests alone.
    pub(crate) fn plain(mut self) -> Self {
        self.is_mixed = false;
        self
    }

    /// Asks all of it.
    pub(crate) async fn run(self, address: SocketAddr) -> Outcomes {
        let (next, load) = (Arc::new(AtomicUsize::new(0)), Arc::new(self));
        let callers: Vec<_> = (0..load.at_once)
            .map(|_| tokio::spawn(caller(address, Arc::clone(&next), Arc::clone(&load))))
            .collect();
        let mut answers = Vec::new();
        for caller in callers {
            answers.extend(caller.await.unwrap());
        }
        assert_eq!(answers.len(), load.requests);
        Outcomes { answers }
    }
}

/// Asks one request after the other on a connection of its own.
async fn caller(address: SocketAddr, next: Arc<AtomicUsize>, load: Arc<Load>) -> Vec<Told> {
    let mut answers = Vec::new();
    let mut connection = Connection::open(address).await;
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= load.requests {
            return answers;
        }
        let is_stream = load.is_mixed && number % 2 == 1;
        let body = if is_stream { streamed(load.body.clone()) } else { load.body.clone() };
        connection.write(&post(CHAT, &[], body.to_string().as_bytes())).await;
        let told = Told::read(&mut connection).await;
        if !told.is_whole || told.header("connection") == Some("close") {
            connection = Connection::open(address).await;
        }
        answers.push(told);
    }
}

/// What became of the requests, in no order.
#[derive(Debug)]
pub(crate) struct Outcomes {
    pub(crate) answers: Vec<Told>,
}

impl Outcomes {
    /// The answers of a status.
    pub(crate) fn of(&self, status: u16) -> usize {
        self.answers.iter().filter(|told| told.status() == status).count()
    }

    /// Holds that every request was answered, in full and by the same text.
    pub(crate) fn all_answered(&self) {
        let mut texts: Vec<String> = self.answers.iter().map(text_of).collect();
        texts.sort();
        texts.dedup();
        assert_eq!(texts.len(), 1, "{texts:?}");
    }
}

/// The text of a complete answer, streamed or not.
fn text_of(told: &Told) -> String {
    assert_eq!(told.status(), 200, "{}", told.body());
    if told.header("content-type").is_some_and(|kind| kind.starts_with("text/event-stream")) {
        return told.complete("m");
    }
    told.json()["choices"][0]["message"]["content"].as_str().unwrap().to_owned()
}
