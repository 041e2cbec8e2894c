//! Health under random histories.

use super::*;
use FailureKind::*;

struct Draws(u64);

impl Draws {
    fn below(&mut self, most: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % most
    }

    fn share(&mut self) -> f64 {
        self.below(1_000) as f64 / 999.0
    }
}

const KINDS: [FailureKind; 7] = [Server, Timeout, Connection, NotFound, BadRequest, RateLimit, Unavailable];

/// A history of random attempts, with what must hold after every step of it.
struct History {
    seed: u64,
    draws: Draws,
    health: Health,
    rules: HealthRules,
    now: u64,
    under_way: Vec<Attempt>,
    /// The end of the longest pause that was heard of.
    pause: Moment,
}

impl History {
    fn new(seed: u64) -> Self {
        let mut draws = Draws(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        let allowed_fails = (draws.below(2) == 0).then(|| draws.below(6) as u32);
        let rules = HealthRules { allowed_fails, ..HealthRules::default() };
        let health = Health::default();
        Self { seed, draws, health, rules, now: 0, under_way: vec![], pause: Moment::ZERO }
    }

    fn step(&mut self) {
        self.now += match self.draws.below(4) {
            0 => self.draws.below(8_000_000),
            1 => 0,
            _ => self.draws.below(300_000),
        };
        let now = Moment::from_micros(self.now);
        let before = self.health.standing(now);
        if self.draws.below(2) == 0 || self.under_way.is_empty() {
            let attempt = self.health.begin(now);
            assert_eq!(attempt.is_probe, before == Standing::HalfOpen, "seed {}", self.seed);
            self.under_way.push(attempt);
        } else {
            let position = self.draws.below(self.under_way.len() as u64) as usize;
            let attempt = self.under_way.swap_remove(position);
            self.end(attempt, now, before);
        }
        if self.pause > now {
            assert_eq!(
                self.health.standing(now),
                Standing::Paused { until: self.pause },
                "seed {}",
                self.seed
            );
        }
    }

    fn end(&mut self, attempt: Attempt, now: Moment, before: Standing) {
        let era = self.health.era;
        let change = match self.draws.below(5) {
            0 => {
                self.health.abandon(attempt, now);
                None
            }
            1 => self.health.succeed(attempt, now),
            _ => {
                let kind = KINDS[self.draws.below(KINDS.len() as u64) as usize];
                let seconds = self.draws.below(20);
                let retry_after = (seconds < 10).then(|| Duration::from_secs(seconds));
                let failed = Failed { kind, retry_after, draw: self.draws.share() };
                self.health.fail(attempt, now, failed, &self.rules)
            }
        };
        match change {
            Some(Change::Paused { for_ }) => {
                assert!(now.after(for_) > self.pause, "seed {}: a pause that changed nothing", self.seed);
                self.pause = now.after(for_);
            }
            Some(Change::Ejected { for_, failures }) => {
                assert!(
                    for_ >= Duration::from_secs(4) && for_ <= Duration::from_secs(30),
                    "seed {}",
                    self.seed
                );
                assert!(failures > 0, "seed {}", self.seed);
                let is_ejected = matches!(before, Standing::Ejected { .. });
                assert!(!is_ejected, "seed {}: ejected while it was", self.seed);
            }
            Some(Change::Recovered) => {
                assert_eq!(self.health.consecutive_failures(), 0, "seed {}", self.seed);
            }
            None => {}
        }
        let is_late = attempt.stamp < era;
        assert!(!is_late || self.health.era == era, "seed {}: a late end has turned something", self.seed);
    }

    /// With the fault over, the end of the pause or ejection and one probe are all that it takes.
    fn recover(&mut self) {
        while let Some(attempt) = self.under_way.pop() {
            self.health.abandon(attempt, Moment::from_micros(self.now));
        }
        let ends = Moment::from_micros(self.now + 30_000_000).max(self.pause);
        let standing = self.health.standing(ends);
        assert!(matches!(standing, Standing::Up | Standing::HalfOpen), "seed {}: {standing:?}", self.seed);
        let attempt = self.health.begin(ends);
        self.health.succeed(attempt, ends);
        assert_eq!(self.health.standing(ends), Standing::Up, "seed {}", self.seed);
    }
}

#[test]
fn under_any_history_pauses_hold_ejections_end_and_late_ends_turn_nothing() {
    let (mut ejections, mut pauses) = (0, 0);
    for seed in 1..=400 {
        let mut history = History::new(seed);
        for _ in 0..400 {
            history.step();
        }
        ejections += history.health.ejections();
        pauses += u32::from(history.pause > Moment::ZERO);
        history.recover();
    }
    assert!(ejections > 1_000 && pauses > 300, "{ejections} ejections, {pauses} histories with pauses");
}
