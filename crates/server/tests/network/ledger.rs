//! What happened in a play, as it was seen at the gateway's sockets, at the providers and by the callers.
//!
//! Owns the record. Leaves to others what must hold of it (oracle). **Invariant:** all of it is in virtual time and in the
//! order in which it happened, so that two plays of a seed leave the same record.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

/// What ends every whole reply of a provider.
pub(crate) const REPLY_ENDS: [&[u8]; 3] = [b"\"end\":true}", b"data: [DONE]", b"event: message_stop"];
/// What ends a body in chunks, whole or not.
const BODY_ENDS: &[u8] = b"\r\n0\r\n\r\n";
/// What the first content of a provider's stream looks like.
const CONTENT_BEGINS: [&[u8]; 2] = [b"\"delta\":{\"content\"", b"\"text_delta\""];
/// A kept connection that breaks so soon after a request, without a byte of a reply, was closed before it: the gateway
/// sends that request once more.
const STALE_WITHIN: Duration = Duration::from_secs(1);
/// The longest of the byte strings that are looked for across two reads.
const OVERLAP_BYTES: usize = 24;

/// A request that went out to a provider.
#[derive(Debug, Clone)]
pub(crate) struct Send {
    pub(crate) call: u64,
    pub(crate) deployment: String,
    pub(crate) at: Duration,
    /// When it was decided: before the connection was opened that was opened for it.
    pub(crate) decided: Duration,
    /// When the gateway had its whole reply, or had let go of it.
    pub(crate) ended: Option<Duration>,
    /// Of the reply.
    pub(crate) status: Option<u16>,
    pub(crate) has_content: bool,
    pub(crate) is_whole: bool,
    /// It met a connection that had been closed while it was idle.
    pub(crate) is_stale: bool,
    was_kept: bool,
    heard: Vec<u8>,
}

/// How a request ended for its caller.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Outcome {
    /// A whole answer.
    Answered,
    /// An error in the caller's dialect.
    Refused(u16),
    /// Part of an answer, and an error event.
    BrokenOff,
    /// The caller went away.
    Left,
    /// The connection to the gateway broke, or was never there.
    Lost(String),
    /// Nothing came within the limits.
    Overdue,
}

/// A request, as its caller saw it.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) outcome: Outcome,
    pub(crate) text: String,
    /// From the request to the head of the reply.
    pub(crate) head_after: Option<Duration>,
    pub(crate) rescues: usize,
    pub(crate) deployment: Option<String>,
}

/// A connection to a provider.
#[derive(Debug, Default)]
struct Line {
    saying: Vec<u8>,
    requests: u64,
    dialed: Duration,
    current: Option<usize>,
    is_open: bool,
}

/// All of a play.
#[derive(Debug, Default)]
pub(crate) struct Record {
    lines: Vec<Line>,
    pub(crate) sends: Vec<Send>,
    pub(crate) seen: BTreeMap<u64, Vec<Seen>>,
    /// A deployment and until when it has asked to be left alone.
    pub(crate) pauses: Vec<(String, Duration, Duration)>,
    pub(crate) broken: Vec<String>,
    pub(crate) log: Vec<String>,
    now: Duration,
}

/// The record, shared by all hosts.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    record: Mutex<Record>,
    is_traced: bool,
}

impl Ledger {
    pub(crate) fn new(is_traced: bool) -> Self {
        Self { is_traced, ..Self::default() }
    }

    pub(crate) fn record(&self) -> MutexGuard<'_, Record> {
        let mut record = self.record.lock().unwrap();
        // Outside a host's turn, as in the end of a play, it is as late as it was.
        record.now = turmoil::sim_elapsed().unwrap_or(record.now).max(record.now);
        record
    }

    pub(crate) fn now(&self) -> Duration {
        self.record().now
    }

    /// Time has come so far, as those say who are outside of all hosts.
    pub(crate) fn advance(&self, to: Duration) {
        let mut record = self.record();
        record.now = record.now.max(to);
    }

    /// Notes an event.
    pub(crate) fn note(&self, event: impl std::fmt::Display) {
        let mut record = self.record();
        let line = format!("{:>9.3} {event}", record.now.as_secs_f64());
        if self.is_traced {
            eprintln!("{line}");
        }
        record.log.push(line);
    }

    /// Something that must hold does not.
    pub(crate) fn broken(&self, what: impl Into<String>) {
        let what = what.into();
        self.note(format_args!("BROKEN {what}"));
        self.record().broken.push(what);
    }

    /// A connection to a provider is there, which was asked for then.
    pub(crate) fn opened(&self, dialed: Duration) -> usize {
        let mut record = self.record();
        record.lines.push(Line { is_open: true, dialed, ..Line::default() });
        record.lines.len() - 1
    }

    /// The gateway has let go of a connection.
    pub(crate) fn closed(&self, line: usize) {
        let ended = {
            let mut record = self.record();
            record.lines[line].is_open = false;
            record.end(line, false)
        };
        self.tell(ended, "is let go");
    }

    /// A connection broke.
    pub(crate) fn broke(&self, line: usize, was_reset: bool) {
        let ended = self.record().end(line, true);
        self.tell(ended, if was_reset { "is reset" } else { "is closed by the provider" });
    }

    /// The gateway wrote.
    pub(crate) fn said(&self, line: usize, bytes: &[u8]) {
        let sent = self.record().said(line, bytes);
        if let Some((call, deployment, was_kept)) = sent {
            self.note(format_args!(
                "call {call} is sent to {deployment}{}",
                if was_kept { " (kept)" } else { "" }
            ));
        }
    }

    /// The gateway read.
    pub(crate) fn heard(&self, line: usize, bytes: &[u8]) {
        let ended = self.record().heard(line, bytes);
        self.tell(ended, "is answered");
    }

    /// Connections to providers that are open.
    pub(crate) fn open_lines(&self) -> usize {
        self.record().lines.iter().filter(|line| line.is_open).count()
    }

    fn tell(&self, ended: Option<usize>, how: &str) {
        let Some(ended) = ended else { return };
        let send = self.record().sends[ended].clone();
        let stale = if send.is_stale { " (stale)" } else { "" };
        self.note(format_args!("call {} at {} {how}: {:?}{stale}", send.call, send.deployment, send.status));
    }
}

impl Record {
    fn said(&mut self, line: usize, bytes: &[u8]) -> Option<(u64, String, bool)> {
        let now = self.now;
        let book = &mut self.lines[line];
        book.saying.extend_from_slice(bytes);
        let text = String::from_utf8_lossy(&book.saying);
        let (_, rest) = text.split_once("POST /d/")?;
        let (deployment, rest) = rest.split_once('/')?;
        let (_, rest) = rest.split_once("number=")?;
        let (number, _) = rest.split_once(' ')?;
        let (call, deployment) = (number.parse().unwrap(), deployment.to_owned());
        let was_kept = book.requests > 0;
        let decided = if was_kept { now } else { book.dialed };
        book.saying.clear();
        book.requests += 1;
        book.current = Some(self.sends.len());
        self.sends.push(Send {
            call,
            deployment: deployment.clone(),
            at: now,
            decided,
            ended: None,
            status: None,
            has_content: false,
            is_whole: false,
            is_stale: false,
            was_kept,
            heard: Vec::new(),
        });
        Some((call, deployment, was_kept))
    }

    fn heard(&mut self, line: usize, bytes: &[u8]) -> Option<usize> {
        let now = self.now;
        let current = self.lines[line].current?;
        let send = &mut self.sends[current];
        let from = send.heard.len().saturating_sub(OVERLAP_BYTES);
        send.heard.extend_from_slice(bytes);
        let fresh = &send.heard[from..];
        send.has_content |= CONTENT_BEGINS.iter().any(|mark| contains(fresh, mark));
        if send.status.is_none() && contains(&send.heard, b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&send.heard).to_ascii_lowercase();
            send.status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
            let asked = head.split_once("retry-after: ").and_then(|(_, rest)| rest.split("\r\n").next());
            if let (Some(429), Some(seconds)) = (send.status, asked.and_then(|text| text.parse().ok())) {
                self.pauses.push((send.deployment.clone(), now, now + Duration::from_secs(seconds)));
            }
        }
        send.is_whole |= REPLY_ENDS.iter().any(|mark| contains(fresh, mark));
        if !send.is_whole && !contains(fresh, BODY_ENDS) {
            return None;
        }
        send.ended = Some(now);
        self.lines[line].current = None;
        Some(current)
    }

    fn end(&mut self, line: usize, by_peer: bool) -> Option<usize> {
        let now = self.now;
        let current = self.lines[line].current.take()?;
        let send = &mut self.sends[current];
        send.ended = Some(now);
        send.is_stale = by_peer && send.was_kept && send.heard.is_empty() && now - send.at < STALE_WITHIN;
        Some(current)
    }
}

fn contains(bytes: &[u8], mark: &[u8]) -> bool {
    bytes.windows(mark.len()).any(|window| window == mark)
}
