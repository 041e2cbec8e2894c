//! Wrong keys, counted by where they come from: who sends too many in a minute is told to wait.
//!
//! Owns the counts of the minute that runs. Leaves to others which key is wrong (`auth`), where a request comes from (its
//! `Visit`), and what is answered (`error`).
//!
//! **Invariant:** wrong keys alone are counted and refused: whoever has a good key never comes here, and waits for no lock.
//! **Invariant:** what is kept does not grow with the number of addresses.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tollgate_policy::clock::Moment;

/// How long wrong keys are counted together.
const WINDOW: Duration = Duration::from_secs(60);
/// The most networks that are counted apart in one window; those that come later are counted with all others alone.
const NETWORKS_MAX: usize = 8_192;
/// All networks together may send as many times what one may.
const ALL_TIMES: u64 = 100;

/// Wrong keys of the minute that runs.
#[derive(Debug, Default)]
pub(crate) struct Guesses {
    window: Mutex<Window>,
}

#[derive(Debug, Default)]
struct Window {
    began: Moment,
    all: u64,
    by_network: HashMap<IpAddr, u64>,
}

impl Guesses {
    /// Counts a wrong key that came from there; how long to wait where more than `most` did within a minute, or more of all
    /// addresses than that many times over. `most` of 0 is no limit.
    pub(crate) fn note(&self, from: IpAddr, most: u64, now: Moment) -> Option<Duration> {
        if most == 0 {
            return None;
        }
        let network = network(from);
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        if window.all == 0 || now.since(window.began) >= WINDOW {
            window.began = now;
            window.all = 0;
            window.by_network.clear();
        }
        let own = window.count(network);
        if own <= most {
            // One address alone does not use up what all have together.
            window.all = window.all.saturating_add(1);
        }
        let wait = now.until(window.began.after(WINDOW));
        let is_over_all = window.all > most.saturating_mul(ALL_TIMES);
        drop(window);
        // Once a minute and network: what guesses must not fill the log.
        if own == most.saturating_add(1) {
            tracing::warn!(%network, most, "wrong keys: more than an address may send in a minute");
        }
        (own > most || is_over_all).then_some(wait)
    }
}

impl Window {
    /// One more of a network: how many there are; none of one that is not counted apart.
    fn count(&mut self, network: IpAddr) -> u64 {
        if self.by_network.len() >= NETWORKS_MAX && !self.by_network.contains_key(&network) {
            return 0;
        }
        let count = self.by_network.entry(network).or_default();
        *count = count.saturating_add(1);
        *count
    }
}

/// Whom an address is counted with: of IPv6 the 64 bits that one household has (RFC 6177), of IPv4 itself.
fn network(from: IpAddr) -> IpAddr {
    match from.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::default().after(Duration::from_secs(seconds))
    }

    fn note(guesses: &Guesses, from: &str, seconds: u64) -> Option<u64> {
        guesses.note(from.parse().unwrap(), 3, at(seconds)).map(|wait| wait.as_secs())
    }

    #[test]
    fn an_address_waits_to_the_end_of_the_minute_in_which_it_sent_too_many() {
        let guesses = Guesses::default();
        assert_eq!([5, 10, 20].map(|second| note(&guesses, "192.0.2.1", second)), [None; 3]);
        assert_eq!([21, 64].map(|second| note(&guesses, "192.0.2.1", second)), [Some(44), Some(1)]);
        assert_eq!(note(&guesses, "192.0.2.2", 64), None);
        assert_eq!(note(&guesses, "192.0.2.1", 65), None);
    }

    #[test]
    fn addresses_of_one_network_are_one() {
        let guesses = Guesses::default();
        let of_one = ["2001:db8::1", "2001:db8::2:3", "2001:db8:0:0:9::", "2001:db8::ffff"];
        assert_eq!(of_one.map(|from| note(&guesses, from, 0)), [None, None, None, Some(60)]);
        assert_eq!(note(&guesses, "2001:db8:0:1::1", 0), None);
        let mapped = ["192.0.2.1", "::ffff:192.0.2.1", "192.0.2.1", "::ffff:192.0.2.1"];
        assert_eq!(mapped.map(|from| note(&guesses, from, 0)), [None, None, None, Some(60)]);
    }

    #[test]
    fn what_one_address_sends_beyond_its_own_is_not_charged_to_all() {
        let guesses = Guesses::default();
        let passed = (0..10_000).filter(|_| note(&guesses, "192.0.2.1", 0).is_none()).count();
        assert_eq!((passed, note(&guesses, "192.0.2.2", 0)), (3, None));
    }

    #[test]
    fn many_addresses_together_are_held_and_take_no_more_room() {
        let guesses = Guesses::default();
        let from = |number: u32| IpAddr::V4(number.into());
        // One of each: beyond 300 nobody's is answered as one alone would be.
        let passed = (0..20_000).filter(|number| guesses.note(from(*number), 3, at(0)).is_none()).count();
        assert_eq!(passed, 300);
        assert_eq!(guesses.window.lock().unwrap().by_network.len(), NETWORKS_MAX);
        assert_eq!(guesses.note(from(1), 3, at(60)), None);
    }

    #[test]
    fn without_a_limit_nothing_is_counted() {
        let guesses = Guesses::default();
        assert!((0..10_000).all(|_| guesses.note([192, 0, 2, 1].into(), 0, at(0)).is_none()));
        assert_eq!(guesses.window.lock().unwrap().all, 0);
    }
}
