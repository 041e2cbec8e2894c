//! What a deployment's silence tells: whom it keeps waiting for longer than it ever did of late.
//!
//! A provider that hangs while its callers lose patience never fails: nobody waits long enough. So how long it was silent
//! is known here, of those that wait still and of those that gave up. Leaves to others: what follows from it (strategies
//! that go by time or by load prefer somebody else), and health, to which a caller's leaving is no failure.
//! **Invariant:** the first answer ends all of it, and nothing is held against it for longer than [`SILENCE_MEMORY`].

use crate::clock::Moment;
use std::time::Duration;

/// How long it is held against a deployment that somebody gave it up.
pub const SILENCE_MEMORY: Duration = Duration::from_secs(60);
/// So many answers tell what is usual.
const WAITS: usize = 10;

/// What is known of those that a deployment keeps waiting.
#[derive(Debug, Clone, Default)]
pub struct Silence {
    /// Attempts that nothing was heard of yet.
    awaited: u32,
    /// Its last word, or the begin of the first attempt since it owes one.
    since: Moment,
    /// How long its last answers were waited for.
    waits: [Duration; WAITS],
    /// Answers so far.
    answers: usize,
    given_up: u32,
    given_up_at: Moment,
    /// The longest that one was waited for that was given up.
    given_up_after: Duration,
}

/// A silence that is longer than usual.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Silent {
    /// How long it has lasted, or had when it was given up.
    pub lasted: Duration,
    /// How many gave up since the last answer.
    pub given_up: u32,
}

impl Silence {
    /// An attempt begins.
    pub fn begin(&mut self, now: Moment) {
        if self.awaited == 0 {
            self.since = now;
        }
        self.awaited = self.awaited.saturating_add(1);
    }

    /// An attempt was answered, after so long: a reply, or the first content of a stream.
    pub fn answer(&mut self, now: Moment, took: Duration) {
        self.speak(now);
        (self.given_up, self.given_up_after) = (0, Duration::ZERO);
        if let Some(wait) = self.waits.get_mut(self.answers % WAITS) {
            *wait = took;
        }
        self.answers = self.answers.wrapping_add(1).max(1);
    }

    /// An attempt failed by a word of the deployment's. That is no silence, nor an answer.
    pub fn speak(&mut self, now: Moment) {
        self.end();
        self.since = now;
    }

    /// An attempt failed without a word, or was none that an answer is learned of.
    pub fn end(&mut self) {
        self.awaited = self.awaited.saturating_sub(1);
    }

    /// An attempt was left alone before it was answered, after so long: the caller hung up, a hedge won.
    pub fn give_up(&mut self, now: Moment, after: Duration) {
        self.end();
        if self.usual().is_some_and(|usual| after <= usual) {
            return;
        }
        if !self.remembers(now) {
            (self.given_up, self.given_up_after) = (0, Duration::ZERO);
        }
        self.given_up = self.given_up.saturating_add(1);
        self.given_up_after = self.given_up_after.max(after);
        self.given_up_at = now;
    }

    /// How it is now; `None` where it is no more silent than usual. Of an untried deployment that is waited for for the
    /// first time nothing is usual yet.
    pub fn read(&self, now: Moment) -> Option<Silent> {
        let (given_up, after) =
            if self.remembers(now) { (self.given_up, self.given_up_after) } else { (0, Duration::ZERO) };
        let waited = if self.awaited > 0 { now.since(self.since) } else { Duration::ZERO };
        let is_overdue = self.usual().is_some_and(|usual| waited > usual);
        let lasted = if is_overdue { waited.max(after) } else { after };
        (is_overdue || given_up > 0).then_some(Silent { lasted, given_up })
    }

    fn remembers(&self, now: Moment) -> bool {
        self.given_up > 0 && now.since(self.given_up_at) < SILENCE_MEMORY
    }

    /// The longest of its last answers; `None` where there are none.
    fn usual(&self) -> Option<Duration> {
        self.waits.iter().take(self.answers).max().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: u64) -> Moment {
        Moment::from_micros(milliseconds * 1_000)
    }

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    fn silent(lasted: u64, given_up: u32) -> Option<Silent> {
        Some(Silent { lasted: ms(lasted), given_up })
    }

    /// One that has answered after so many milliseconds each, and has nothing to answer now.
    fn answered(waits: &[u64]) -> Silence {
        let mut silence = Silence::default();
        for &wait in waits {
            silence.begin(at(0));
            silence.answer(at(0), ms(wait));
        }
        silence
    }

    #[test]
    fn an_untried_one_that_was_given_up_counts_as_silent_for_a_minute() {
        let mut silence = Silence::default();
        silence.begin(at(0));
        assert_eq!(silence.read(at(50_000)), None, "nothing is usual yet");
        silence.give_up(at(500), ms(500));
        assert_eq!(silence.read(at(501)), silent(500, 1));
        assert_eq!(silence.read(at(60_499)), silent(500, 1));
        assert_eq!(silence.read(at(60_500)), None, "to be tried again");
    }

    #[test]
    fn those_that_gave_up_are_counted_until_an_answer() {
        let mut silence = Silence::default();
        for begin in 0..3 {
            silence.begin(at(begin));
        }
        silence.give_up(at(100), ms(100));
        silence.give_up(at(200), ms(199));
        assert_eq!(silence.read(at(300)), silent(199, 2));
        silence.answer(at(300), ms(298));
        assert_eq!(silence.read(at(300)), None);
    }

    #[test]
    fn to_leave_before_the_usual_time_is_over_says_nothing() {
        let check = |waits: &[u64], after: u64, expect: Option<Silent>| {
            let mut silence = answered(waits);
            silence.begin(at(0));
            silence.give_up(at(after), ms(after));
            assert_eq!(silence.read(at(after)), expect, "{waits:?}, given up after {after}");
        };
        check(&[300], 299, None);
        check(&[300], 300, None);
        check(&[300], 301, silent(301, 1));
        check(&[300, 900, 200], 800, None);
        // The slow answer was eleven answers ago.
        check(&[900, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1], 800, silent(800, 1));
    }

    #[test]
    fn whoever_is_waited_for_longer_than_usual_is_silent_before_anybody_gives_up() {
        let mut silence = answered(&[100]);
        assert_eq!(silence.read(at(90_000)), None, "it owes nothing");
        silence.begin(at(1_000));
        silence.begin(at(1_050));
        assert_eq!(silence.read(at(1_100)), None);
        assert_eq!(silence.read(at(1_101)), silent(101, 0));
        // One of the two is answered: whoever speaks is not silent.
        silence.answer(at(1_150), ms(100));
        assert_eq!(silence.read(at(1_200)), None);
        assert_eq!(silence.read(at(1_251)), silent(101, 0), "the other one is still owed");
        silence.speak(at(1_251));
        assert_eq!(silence.read(at(9_000)), None);
    }

    #[test]
    fn a_failure_in_words_is_no_silence_and_a_failure_without_one_ends_none() {
        let mut silence = answered(&[100]);
        for _ in 0..3 {
            silence.begin(at(0));
        }
        silence.speak(at(150));
        assert_eq!(silence.read(at(200)), None);
        silence.end();
        assert_eq!(silence.read(at(300)), silent(150, 0));
        silence.end();
        silence.end();
        assert_eq!(silence.read(at(300)), None, "nobody waits, and no count falls below zero");
    }
}
