//! What a deployment may be sent: requests and tokens per minute, and requests at the same time.
//!
//! Owns the sliding minute of one deployment. Leaves to others: what to do when it is full (queue, chain), and giving
//! a ticket back when its request ends in any way (the server wraps it). **Invariant:** in no window of 60 s are more
//! requests let through than `rpm`, nor more tokens reserved than `tpm`, save one request that is larger than `tpm`
//! itself and has an empty window for its own.

use crate::clock::Moment;
use std::collections::VecDeque;
use std::time::Duration;

/// The window that `rpm` and `tpm` are counted over.
pub const WINDOW: Duration = Duration::from_secs(60);
/// The grain of the window. An entry leaves when the last instant of its grain is 60 s old, so that a place comes back
/// up to this much late and never early.
pub const GRAIN: Duration = Duration::from_millis(100);

const WINDOW_MICROS: u64 = 60_000_000;
const GRAIN_MICROS: u64 = 100_000;

/// The limits of one deployment; none is no limit, and zero lets nothing through.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rates {
    /// Requests in 60 s.
    pub rpm: Option<u64>,
    /// Tokens in 60 s, prompt and answer together.
    pub tpm: Option<u64>,
    /// Requests at the same time.
    pub parallel: Option<u32>,
}

/// Which limit is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LimitKind {
    /// `rpm`.
    Requests,
    /// `tpm`.
    Tokens,
    /// `max_parallel_requests`.
    Parallel,
}

impl LimitKind {
    /// One word for logs, metrics and tables.
    pub fn word(self) -> &'static str {
        match self {
            Self::Requests => "rpm",
            Self::Tokens => "tpm",
            Self::Parallel => "max_parallel_requests",
        }
    }
}

/// There is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full {
    /// The limit that stands in the way longest.
    pub by: LimitKind,
    /// The earliest moment with room if nothing else happens; `None` where that depends on requests that are under
    /// way, and for a limit of zero.
    pub free_at: Option<Moment>,
}

/// What the window holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Used {
    /// Requests in the last 60 s.
    pub requests: u64,
    /// Tokens in the last 60 s: real ones where a request has ended, estimates where it has not.
    pub tokens: u64,
    /// Requests under way.
    pub in_flight: u32,
}

/// The right to send one request; to be given back by [`Limiter::settle`] exactly once.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a ticket that is not settled holds its place for ever"]
pub struct Ticket {
    grain: u64,
    tokens: u64,
}

/// What was let through within one grain.
#[derive(Debug, Clone, Copy)]
struct Entry {
    /// The number of the grain since the start of time.
    grain: u64,
    requests: u64,
    tokens: u64,
}

impl Entry {
    /// When it no longer counts.
    fn leaves_at(&self) -> Moment {
        Moment::from_micros((self.grain + 1).saturating_mul(GRAIN_MICROS).saturating_add(WINDOW_MICROS))
    }
}

/// The sliding minute of one deployment: at most 601 entries, and none until the first request.
#[derive(Debug, Default)]
pub struct Limiter {
    entries: VecDeque<Entry>,
    requests: u64,
    tokens: u64,
    in_flight: u32,
}

impl Limiter {
    /// Whether a request of so many `tokens` may go now. A request that is larger than `tpm` itself passes only into a
    /// window without tokens: else it could never go.
    ///
    /// # Errors
    /// [`Full`] with the limit that stands in the way longest.
    pub fn room(&mut self, now: Moment, rates: Rates, tokens: u64) -> Result<(), Full> {
        self.forget(now);
        if rates.parallel.is_some_and(|parallel| self.in_flight >= parallel) {
            return Err(Full { by: LimitKind::Parallel, free_at: None });
        }
        let requests = rates.rpm.filter(|&rpm| self.requests >= rpm).map(|rpm| Full {
            by: LimitKind::Requests,
            free_at: rpm
                .checked_sub(1)
                .and_then(|most| self.falls_to(most, self.requests, |entry| entry.requests)),
        });
        let most_tokens = rates.tpm.map(|tpm| tpm.saturating_sub(tokens));
        let tokens =
            most_tokens.filter(|&most| self.tokens > most || rates.tpm == Some(0)).map(|most| Full {
                by: LimitKind::Tokens,
                free_at: match rates.tpm {
                    Some(0) => None,
                    _ => self.falls_to(most, self.tokens, |entry| entry.tokens),
                },
            });
        match (requests, tokens) {
            (None, None) => Ok(()),
            (Some(full), None) | (None, Some(full)) => Err(full),
            (Some(requests), Some(tokens)) => Err(longer(requests, tokens)),
        }
    }

    /// Takes a place and reserves `tokens`.
    ///
    /// # Errors
    /// As [`Self::room`].
    pub fn take(&mut self, now: Moment, rates: Rates, tokens: u64) -> Result<Ticket, Full> {
        self.room(now, rates, tokens)?;
        let grain = self.count(now, 1, tokens);
        self.in_flight = self.in_flight.saturating_add(1);
        Ok(Ticket { grain, tokens })
    }

    /// Ends a request: frees its parallel place, and puts the real `tokens` in place of the reserved ones, in the
    /// window where they were reserved. Where that has left already, only what goes beyond the reservation is counted,
    /// as of now. Zero tokens give the whole reservation back; the request itself stays counted, for it was sent.
    #[expect(clippy::needless_pass_by_value, reason = "a ticket is used up")]
    pub fn settle(&mut self, now: Moment, ticket: Ticket, tokens: u64) {
        self.forget(now);
        self.in_flight = self.in_flight.saturating_sub(1);
        let position = self.entries.partition_point(|entry| entry.grain < ticket.grain);
        match self.entries.get_mut(position).filter(|entry| entry.grain == ticket.grain) {
            Some(entry) => {
                entry.tokens = entry.tokens.saturating_sub(ticket.tokens).saturating_add(tokens);
                self.tokens = self.tokens.saturating_sub(ticket.tokens).saturating_add(tokens);
            }
            None => {
                let beyond = tokens.saturating_sub(ticket.tokens);
                if beyond > 0 {
                    self.count(now, 0, beyond);
                }
            }
        }
    }

    /// What the window holds now.
    pub fn used(&mut self, now: Moment) -> Used {
        self.forget(now);
        Used { requests: self.requests, tokens: self.tokens, in_flight: self.in_flight }
    }

    /// Drops what has left the window.
    fn forget(&mut self, now: Moment) {
        while let Some(entry) = self.entries.front().filter(|entry| entry.leaves_at() <= now) {
            self.requests = self.requests.saturating_sub(entry.requests);
            self.tokens = self.tokens.saturating_sub(entry.tokens);
            self.entries.pop_front();
        }
    }

    /// Counts into the grain of this moment, and says which that is.
    fn count(&mut self, now: Moment, requests: u64, tokens: u64) -> u64 {
        self.requests = self.requests.saturating_add(requests);
        self.tokens = self.tokens.saturating_add(tokens);
        let grain = now.micros() / GRAIN_MICROS;
        match self.entries.back_mut() {
            Some(newest) if newest.grain >= grain => {
                newest.requests = newest.requests.saturating_add(requests);
                newest.tokens = newest.tokens.saturating_add(tokens);
                newest.grain
            }
            _ => {
                self.entries.push_back(Entry { grain, requests, tokens });
                grain
            }
        }
    }

    /// When a figure that now sums up to `sum` has fallen to `most`.
    fn falls_to(&self, most: u64, sum: u64, figure: impl Fn(&Entry) -> u64) -> Option<Moment> {
        let mut left = sum;
        for entry in &self.entries {
            left = left.saturating_sub(figure(entry));
            if left <= most {
                return Some(entry.leaves_at());
            }
        }
        None
    }
}

/// The one of the two that lasts longer; for ever is longest.
fn longer(one: Full, other: Full) -> Full {
    match (one.free_at, other.free_at) {
        (None, _) => one,
        (_, None) => other,
        (Some(first), Some(second)) => {
            if second > first {
                other
            } else {
                one
            }
        }
    }
}
