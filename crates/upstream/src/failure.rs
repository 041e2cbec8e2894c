//! What can go wrong with one attempt, decided where it happens.

use std::fmt;

/// What went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The host's name did not resolve.
    Dns,
    /// The address guard refused every address of the host.
    Blocked,
    /// No connection: refused, unreachable.
    Connect,
    /// The TLS handshake failed (certificate, name, version).
    Tls,
    /// A time limit ran out.
    Timeout,
    /// The connection broke.
    Reset,
    /// Not HTTP, or HTTP that is not accepted (too many headers, unknown encoding).
    Protocol,
    /// More bytes than the cap allows, as they came or decompressed.
    TooLarge,
}

impl Kind {
    /// One word for logs and metrics.
    pub fn word(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Blocked => "blocked",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Timeout => "timeout",
            Self::Reset => "reset",
            Self::Protocol => "protocol",
            Self::TooLarge => "too_large",
        }
    }
}

/// How far the attempt had come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// No byte of the request was sent.
    Connecting,
    /// The request was sent at least in part; no head of a reply had come. The provider may have worked on it.
    AwaitingHead,
    /// The head had come.
    Reading,
}

/// One attempt's failure below the level of HTTP statuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What went wrong.
    pub kind: Kind,
    /// How far it had come.
    pub phase: Phase,
    /// For the log only: may name hosts and addresses, never credentials or bodies.
    pub detail: String,
}

impl Failure {
    /// A failure with its detail for the log.
    pub fn new(kind: Kind, phase: Phase, detail: impl Into<String>) -> Self {
        Self { kind, phase, detail: detail.into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} while {:?}: {}", self.kind.word(), self.phase, self.detail)
    }
}

impl std::error::Error for Failure {}
