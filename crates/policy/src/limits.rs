//! What a deployment may be sent: requests and tokens per minute, and requests at the same time.
//!
//! Owns the limits of one deployment over its sliding minute. Leaves the window to `sliding`, and to others: what to do when it is full (queue, chain), and giving
//! a ticket back when its request ends in any way (the server wraps it). **Invariant:** in no window of 60 s are more
//! requests let through than `rpm`, nor more tokens reserved than `tpm`, save one request that is larger than `tpm`
//! itself and has an empty window for its own.

use crate::clock::Moment;
use crate::sliding::{Grain, Length, Sliding};

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
    /// way, as it does where they may give back enough of the tokens that they have reserved, and for a limit of zero.
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
    grain: Grain,
    tokens: u64,
}

/// Requests, tokens, and those of the tokens that are reserved by requests under way.
type Counts = [u64; 3];

fn requests([requests, _, _]: Counts) -> u64 {
    requests
}

fn tokens([_, tokens, _]: Counts) -> u64 {
    tokens
}

/// The sliding minute of one deployment: at most 601 entries, and none until the first request.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
pub struct Limiter {
    window: Sliding<3>,
    in_flight: u32,
}

impl Default for Limiter {
    fn default() -> Self {
        Self { window: Sliding::new(Length::MINUTE), in_flight: 0 }
    }
}

impl Limiter {
    /// Whether a request of so many `tokens` may go now. A request that is larger than `tpm` itself passes only into a
    /// window without tokens: else it could never go.
    ///
    /// # Errors
    /// [`Full`] with the limit that stands in the way longest.
    pub fn room(&mut self, now: Moment, rates: Rates, asked: u64) -> Result<(), Full> {
        let [sent, used, reserved] = self.window.sums(now);
        if rates.parallel.is_some_and(|parallel| self.in_flight >= parallel) {
            return Err(Full { by: LimitKind::Parallel, free_at: None });
        }
        let requests = rates.rpm.filter(|&rpm| sent >= rpm).map(|rpm| Full {
            by: LimitKind::Requests,
            free_at: rpm.checked_sub(1).and_then(|most| self.window.falls_to(most, requests)),
        });
        let most_tokens = rates.tpm.map(|tpm| tpm.saturating_sub(asked));
        let tokens = most_tokens.filter(|&most| used > most || rates.tpm == Some(0)).map(|most| Full {
            by: LimitKind::Tokens,
            free_at: match rates.tpm {
                Some(0) => None,
                // They may take less than they have reserved, and then there is room as soon as they end.
                _ if used.saturating_sub(reserved) <= most => None,
                _ => self.window.falls_to(most, tokens),
            },
        });
        match (requests, tokens) {
            (None, None) => Ok(()),
            (Some(full), None) | (None, Some(full)) => Err(full),
            // What comes back of the tokens is no use before there are requests again.
            (Some(requests), Some(tokens)) if rates.tpm != Some(0) && tokens.free_at.is_none() => {
                Err(requests)
            }
            (Some(requests), Some(tokens)) => Err(longer(requests, tokens)),
        }
    }

    /// Takes a place and reserves `tokens`.
    ///
    /// # Errors
    /// As [`Self::room`].
    pub fn take(&mut self, now: Moment, rates: Rates, tokens: u64) -> Result<Ticket, Full> {
        self.room(now, rates, tokens)?;
        let grain = self.window.add(now, [1, tokens, tokens]);
        self.in_flight = self.in_flight.saturating_add(1);
        Ok(Ticket { grain, tokens })
    }

    /// Ends a request: frees its parallel place, and puts the real `tokens` in place of the reserved ones, in the
    /// window where they were reserved. Where that has left already, only what goes beyond the reservation is counted,
    /// as of now. Zero tokens give the whole reservation back; the request itself stays counted, for it was sent.
    #[expect(clippy::needless_pass_by_value, reason = "a ticket is used up")]
    pub fn settle(&mut self, now: Moment, ticket: Ticket, tokens: u64) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.window.settle(now, ticket.grain, [0, ticket.tokens, ticket.tokens], [0, tokens, 0]);
    }

    /// What the window holds now.
    pub fn used(&mut self, now: Moment) -> Used {
        let [requests, tokens, _] = self.window.sums(now);
        Used { requests, tokens, in_flight: self.in_flight }
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

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: u64 = 60_000_000;

    fn at(milliseconds: u64) -> Moment {
        Moment::from_micros(milliseconds * 1_000)
    }

    fn rpm(rpm: u64) -> Rates {
        Rates { rpm: Some(rpm), ..Rates::default() }
    }

    fn tpm(tpm: u64) -> Rates {
        Rates { tpm: Some(tpm), ..Rates::default() }
    }

    fn parallel(parallel: u32) -> Rates {
        Rates { parallel: Some(parallel), ..Rates::default() }
    }

    fn full(by: LimitKind, free_at_milliseconds: u64) -> Full {
        Full { by, free_at: Some(at(free_at_milliseconds)) }
    }

    /// What the limiter says after requests of so many tokens at those milliseconds, all of them over at once.
    fn after(sent: &[(u64, u64)], milliseconds: u64, rates: Rates, tokens: u64) -> Result<(), Full> {
        let mut limiter = Limiter::default();
        for &(sent_at, tokens) in sent {
            let ticket = limiter.take(at(sent_at), Rates::default(), tokens).unwrap();
            limiter.settle(at(sent_at), ticket, tokens);
            limiter.in_flight += 1;
        }
        limiter.room(at(milliseconds), rates, tokens)
    }

    #[test]
    fn each_limit_has_room_up_to_its_figure_and_says_when_again() {
        let check = |rates: Rates, tokens: u64, expect: Result<(), Full>| {
            let sent = [(0, 100), (30_050, 200), (30_099, 50), (59_900, 0)];
            assert_eq!(after(&sent, 59_999, rates, tokens), expect, "{rates:?}, {tokens} tokens");
        };
        check(Rates::default(), u64::MAX, Ok(()));
        check(rpm(5), 0, Ok(()));
        check(rpm(4), 0, Err(full(LimitKind::Requests, 60_100)));
        check(rpm(3), 0, Err(full(LimitKind::Requests, 90_100)));
        check(rpm(1), 0, Err(full(LimitKind::Requests, 120_000)));
        check(rpm(0), 0, Err(Full { by: LimitKind::Requests, free_at: None }));
        check(tpm(400), 50, Ok(()));
        check(tpm(400), 51, Err(full(LimitKind::Tokens, 60_100)));
        check(tpm(400), 150, Err(full(LimitKind::Tokens, 60_100)));
        check(tpm(400), 151, Err(full(LimitKind::Tokens, 90_100)));
        check(tpm(400), 401, Err(full(LimitKind::Tokens, 90_100)));
        check(tpm(349), 0, Err(full(LimitKind::Tokens, 60_100)));
        check(tpm(0), 0, Err(Full { by: LimitKind::Tokens, free_at: None }));
        check(parallel(5), 0, Ok(()));
        check(parallel(4), 0, Err(Full { by: LimitKind::Parallel, free_at: None }));
        check(parallel(0), 0, Err(Full { by: LimitKind::Parallel, free_at: None }));
    }

    #[test]
    fn of_several_limits_the_one_that_lasts_longest_is_named() {
        let check = |rates: Rates, expect: Full| {
            let sent = [(0, 100), (30_000, 200)];
            assert_eq!(after(&sent, 40_000, rates, 100), Err(expect), "{rates:?}");
        };
        let both = |rpm, tpm| Rates { rpm: Some(rpm), tpm: Some(tpm), parallel: None };
        check(both(2, 200), full(LimitKind::Tokens, 90_100));
        check(both(1, 300), full(LimitKind::Requests, 90_100));
        check(both(2, 300), full(LimitKind::Requests, 60_100));
        check(both(0, 300), Full { by: LimitKind::Requests, free_at: None });
        check(both(2, 0), Full { by: LimitKind::Tokens, free_at: None });
        check(Rates { parallel: Some(2), ..both(2, 200) }, Full { by: LimitKind::Parallel, free_at: None });
    }

    #[test]
    fn tokens_that_requests_under_way_may_give_back_are_waited_for() {
        let pending = Err(Full { by: LimitKind::Tokens, free_at: None });
        let check = |rates: Rates, tokens: u64, expect: Result<(), Full>| {
            let mut limiter = Limiter::default();
            let spent = limiter.take(at(0), Rates::default(), 300).unwrap();
            limiter.settle(at(10), spent, 300);
            let _under_way = limiter.take(at(10_000), Rates::default(), 600).unwrap();
            assert_eq!(limiter.room(at(20_000), rates, tokens), expect, "{rates:?}, {tokens} tokens");
        };
        check(tpm(1_000), 100, Ok(()));
        check(tpm(1_000), 101, pending);
        check(tpm(1_000), 700, pending);
        check(tpm(1_000), 701, Err(full(LimitKind::Tokens, 70_100)));
        check(tpm(300), 1, Err(full(LimitKind::Tokens, 70_100)));
        check(tpm(0), 0, Err(Full { by: LimitKind::Tokens, free_at: None }));
        // Without requests left, tokens are no use.
        let both = |rpm| Rates { rpm: Some(rpm), ..tpm(1_000) };
        check(both(3), 101, pending);
        check(both(2), 101, Err(full(LimitKind::Requests, 60_100)));
        check(both(0), 101, Err(Full { by: LimitKind::Requests, free_at: None }));
    }

    #[test]
    fn what_is_given_back_makes_room_and_what_is_taken_says_until_when() {
        let mut limiter = Limiter::default();
        let (one, two) = (limiter.take(at(0), tpm(1_000), 500), limiter.take(at(0), tpm(1_000), 500));
        let refused = |limiter: &mut Limiter| limiter.room(at(300), tpm(1_000), 500).unwrap_err().free_at;
        assert_eq!(refused(&mut limiter), None);
        limiter.settle(at(300), one.unwrap(), 500);
        assert_eq!(refused(&mut limiter), None);
        limiter.settle(at(300), two.unwrap(), 400);
        assert_eq!(refused(&mut limiter), Some(at(60_100)), "nobody gives any back");
        let large = limiter.take(at(300), tpm(1_000), 100).unwrap();
        limiter.settle(at(400), large, 0);
        assert_eq!(limiter.room(at(400), tpm(1_000), 100), Ok(()));
        assert_eq!(limiter.window.counted_again(), [3, 900, 0]);
    }

    #[test]
    fn a_request_larger_than_tpm_passes_only_into_an_empty_window() {
        let mut limiter = Limiter::default();
        let small = limiter.take(at(0), tpm(1_000), 1).unwrap();
        let pending = Err(Full { by: LimitKind::Tokens, free_at: None });
        assert_eq!(limiter.room(at(50), tpm(1_000), 5_000), pending);
        limiter.settle(at(60), small, 0);
        let large = limiter.take(at(70), tpm(1_000), 5_000).unwrap();
        assert_eq!(limiter.room(at(80), tpm(1_000), 1), pending);
        limiter.settle(at(90), large, 1_000);
        assert_eq!(limiter.room(at(95), tpm(1_000), 0), Ok(()));
        assert_eq!(limiter.room(at(95), tpm(1_000), 1), Err(full(LimitKind::Tokens, 60_100)));
    }

    #[test]
    fn settling_puts_the_real_tokens_where_they_were_reserved() {
        let check = |reserved: u64, real: u64, settled_at: u64, expect: u64, free_at: u64| {
            let mut limiter = Limiter::default();
            let ticket = limiter.take(at(10_000), Rates::default(), reserved).unwrap();
            let other = limiter.take(at(20_000), Rates::default(), 1).unwrap();
            limiter.settle(at(20_000), other, 1);
            limiter.settle(at(settled_at), ticket, real);
            let used = limiter.used(at(settled_at));
            assert_eq!((used.tokens, used.in_flight), (expect, 0), "{reserved} reserved, {real} real");
            let room = limiter.room(at(settled_at), tpm(1), 1);
            assert_eq!(room, Err(full(LimitKind::Tokens, free_at)), "{reserved} reserved, {real} real");
        };
        check(100, 100, 30_000, 101, 80_100);
        check(100, 20, 30_000, 21, 80_100);
        check(100, 900, 30_000, 901, 80_100);
        check(100, 0, 30_000, 1, 80_100);
        // The reservation has left the window: only what goes beyond it counts, from now on.
        check(100, 20, 75_000, 1, 80_100);
        check(100, 130, 75_000, 31, 135_100);
    }

    #[test]
    fn a_settled_request_frees_its_parallel_place_and_stays_counted() {
        let mut limiter = Limiter::default();
        let ticket = limiter.take(at(0), parallel(1), 10).unwrap();
        assert_eq!(limiter.used(at(1)), Used { requests: 1, tokens: 10, in_flight: 1 });
        assert!(limiter.room(at(1), parallel(1), 0).is_err());
        limiter.settle(at(2), ticket, 0);
        assert_eq!(limiter.used(at(2)), Used { requests: 1, tokens: 0, in_flight: 0 });
        assert_eq!(limiter.room(at(2), parallel(1), 0), Ok(()));
        assert_eq!(limiter.used(at(60_100)), Used::default());
    }

    #[test]
    fn an_untouched_limiter_allocates_nothing_and_a_busy_one_keeps_a_minute() {
        let mut limiter = Limiter::default();
        assert_eq!(limiter.room(at(0), rpm(1), 1), Ok(()));
        assert_eq!(limiter.window.entries(), 0);
        for millisecond in 0..200_000 {
            let ticket = limiter.take(at(millisecond), Rates::default(), 1).unwrap();
            limiter.settle(at(millisecond), ticket, 1);
        }
        assert_eq!(limiter.window.entries(), 601);
    }

    #[test]
    fn each_limit_has_its_word() {
        let words = [LimitKind::Requests, LimitKind::Tokens, LimitKind::Parallel].map(LimitKind::word);
        assert_eq!(words, ["rpm", "tpm", "max_parallel_requests"]);
    }

    fn xorshift(state: &mut u64, most: u64) -> u64 {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        *state % most
    }

    /// A random minute-odd of one limiter: sends, ends and refusals, each refusal checked by stepping to its end.
    struct Run {
        seed: u64,
        state: u64,
        rates: Rates,
        limiter: Limiter,
        now: u64,
        sent: Vec<u64>,
        under_way: Vec<(Ticket, u64)>,
        refused: usize,
    }

    impl Run {
        fn new(seed: u64) -> Self {
            let mut state = seed;
            let mut some = |most: u64| (xorshift(&mut state, 3) > 0).then(|| 1 + xorshift(&mut state, most));
            let (rpm, tpm, parallel) = (some(20), some(3_000), some(8));
            let rates = Rates { rpm, tpm, parallel: parallel.map(|most| most as u32) };
            let (limiter, sent, under_way) = (Limiter::default(), Vec::new(), Vec::new());
            Self { seed, state, rates, limiter, now: 0, sent, under_way, refused: 0 }
        }

        fn draw(&mut self, most: u64) -> u64 {
            xorshift(&mut self.state, most)
        }

        fn step(&mut self) {
            self.now += match self.draw(10) {
                0 => self.draw(20_000_000),
                1 => 0,
                _ => self.draw(2_000_000),
            };
            let moment = Moment::from_micros(self.now);
            if self.draw(3) == 0 && !self.under_way.is_empty() {
                let position = self.draw(self.under_way.len() as u64) as usize;
                let (ticket, reserved) = self.under_way.swap_remove(position);
                // Never upward: what a provider makes longer than reserved is beyond the limit already.
                let real = self.draw(reserved + 1);
                self.limiter.settle(moment, ticket, real);
                return;
            }
            let tokens = self.draw(400);
            match self.limiter.take(moment, self.rates, tokens) {
                Ok(ticket) => {
                    self.sent.push(self.now);
                    self.under_way.push((ticket, tokens));
                }
                Err(full) => self.check_refusal(full, tokens),
            }
            self.check_window();
        }

        /// The refusal ends exactly when it says.
        fn check_refusal(&mut self, full: Full, tokens: u64) {
            self.refused += 1;
            let Some(free_at) = full.free_at else {
                if full.by == LimitKind::Tokens {
                    return self.check_given_back(tokens);
                }
                let most = self.rates.parallel.unwrap() as usize;
                assert_eq!(
                    (full.by, self.under_way.len()),
                    (LimitKind::Parallel, most),
                    "seed {}",
                    self.seed
                );
                return;
            };
            assert!(free_at > Moment::from_micros(self.now), "seed {}: free already", self.seed);
            let mut copy = self.limiter.clone();
            let before = Moment::from_micros(free_at.micros() - 1);
            let still = copy.room(before, self.rates, tokens).unwrap_err();
            let is_pending = still == Full { by: LimitKind::Tokens, free_at: None };
            assert!(
                is_pending || still.free_at == Some(free_at),
                "seed {}: at {}: {still:?}",
                self.seed,
                self.now
            );
            // The requests are there again, and it may be for those under way to give back tokens.
            let then = copy.room(free_at, self.rates, tokens);
            let is_pending = Err(Full { by: LimitKind::Tokens, free_at: None });
            assert!(then == Ok(()) || then == is_pending, "seed {}: at {}: {then:?}", self.seed, self.now);
        }

        /// Had all under way taken nothing, there would be room.
        fn check_given_back(&self, tokens: u64) {
            let (mut copy, now) = (self.limiter.clone(), Moment::from_micros(self.now));
            for (ticket, _) in &self.under_way {
                copy.settle(now, Ticket { grain: ticket.grain, tokens: ticket.tokens }, 0);
            }
            assert_eq!(copy.room(now, self.rates, tokens), Ok(()), "seed {}: at {}", self.seed, self.now);
        }

        fn check_window(&mut self) {
            let within = self.sent.iter().filter(|&&at| at + MINUTE > self.now).count() as u64;
            assert!(self.rates.rpm.is_none_or(|rpm| within <= rpm), "seed {}: {within} requests", self.seed);
            let used = self.limiter.used(Moment::from_micros(self.now));
            assert!(used.requests >= within, "seed {}", self.seed);
            assert_eq!(used.in_flight as usize, self.under_way.len(), "seed {}", self.seed);
            let is_over = self.rates.tpm.is_some_and(|tpm| used.tokens > tpm.max(400));
            assert!(!is_over, "seed {}: {} tokens", self.seed, used.tokens);
            let [requests, tokens, _] = self.limiter.window.counted_again();
            assert_eq!((used.requests, used.tokens), (requests, tokens), "seed {}", self.seed);
        }
    }

    #[test]
    fn no_window_holds_more_than_the_limit_and_a_refusal_ends_exactly_when_it_says() {
        let mut refused = 0;
        for seed in 1..=300 {
            let mut run = Run::new(seed * 0x9E37_79B9);
            for _ in 0..300 {
                run.step();
            }
            refused += run.refused;
        }
        assert!(refused > 10_000, "{refused} refusals");
    }
}
