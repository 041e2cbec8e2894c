//! What a seed stands for: the deployments, what befalls them, who asks and when.
//!
//! Owns the drawing of scenarios. Leaves to others: playing them (world). **Invariant:** the same seed is the same
//! scenario, and from `quiet_from` on every provider is well.

use std::time::Duration;
use tollgate_policy::budget::BudgetRules;
use tollgate_policy::failure::FailureKind;
use tollgate_policy::health::{AllowedFails, Forced, HealthRules};
use tollgate_policy::limits::Rates;
use tollgate_policy::plan::RetryRules;
use tollgate_policy::profile::Profile;
use tollgate_policy::strategy::Strategy;

/// Microseconds.
pub(crate) const MS: u64 = 1_000;
pub(crate) const SECOND: u64 = 1_000 * MS;
/// What a deployment takes at most from its recovery to being half-open, under default cooldowns.
pub(crate) const PROBE_INTERVAL_MAX: u64 = 30 * SECOND;

/// Random numbers of one seed (splitmix64).
pub(crate) struct Draws(u64);

impl Draws {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0xD134_2543_DE82_EF95))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// In `0..most`; zero where `most` is.
    pub(crate) fn below(&mut self, most: u64) -> u64 {
        self.next().checked_rem(most).unwrap_or(0)
    }

    pub(crate) fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.below(most - least + 1)
    }

    /// In `0..1`.
    pub(crate) fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub(crate) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub(crate) fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }
}

/// What is wrong with a provider.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Fault {
    /// Answers take seconds to half a minute.
    Slow,
    /// No connection.
    Refusing,
    /// No answer.
    Silent,
    /// By turns well and refusing.
    Flapping { period: u64 },
    /// 429, with or without Retry-After in seconds.
    Storm { retry_after: Option<u64> },
    /// Such a share fails, the rest is answered.
    Errors { percent: u64, kind: FailureKind },
    /// 404.
    Missing,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Phase {
    pub(crate) from: u64,
    pub(crate) to: u64,
    pub(crate) fault: Fault,
}

/// What the deployments of a group have in common.
#[derive(Debug, Clone, Copy)]
struct Common {
    quiet_from: u64,
    /// Every one has few parallel places.
    is_tight: bool,
}

/// A deployment, its provider and its provider's troubles.
#[derive(Debug)]
pub(crate) struct Spec {
    pub(crate) profile: Profile,
    pub(crate) credential: Option<usize>,
    pub(crate) phases: Vec<Phase>,
    /// The quickest answer of a provider that is well.
    pub(crate) latency: u64,
    /// Whether it says when its own limits are used up.
    pub(crate) tells_resets: bool,
}

/// A request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrival {
    pub(crate) at: u64,
    pub(crate) deadline: u64,
    pub(crate) priority: u8,
    pub(crate) team: u64,
    /// Reserved and real tokens.
    pub(crate) estimate: u64,
    pub(crate) real: u64,
    pub(crate) is_stream: bool,
    /// Wrong wherever it is sent.
    pub(crate) is_bad: bool,
    pub(crate) sticky_key: Option<u64>,
    /// The deployment that holds its session.
    pub(crate) affinity: Option<usize>,
    /// When its caller loses patience.
    pub(crate) hangs_up_at: Option<u64>,
}

/// An operator's word.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Override {
    pub(crate) at: u64,
    pub(crate) position: usize,
    pub(crate) forced: Option<Forced>,
    pub(crate) until: Option<u64>,
}

#[derive(Debug)]
pub(crate) struct Scenario {
    pub(crate) strategy: Strategy,
    pub(crate) retries: RetryRules,
    pub(crate) rules: HealthRules,
    pub(crate) hedges: Option<BudgetRules>,
    pub(crate) queue_size: usize,
    pub(crate) queue_wait: u64,
    pub(crate) attempt_timeout: u64,
    pub(crate) deployments: Vec<Spec>,
    /// When each credential is refused.
    pub(crate) credentials: Vec<Vec<(u64, u64)>>,
    pub(crate) arrivals: Vec<Arrival>,
    pub(crate) overrides: Vec<Override>,
    /// The machine was suspended for so long.
    pub(crate) jumps: Vec<(u64, u64)>,
    pub(crate) quiet_from: u64,
    /// The draws of the play itself.
    pub(crate) draws_seed: u64,
}

impl Scenario {
    pub(crate) fn from_seed(seed: u64) -> Self {
        let mut draws = Draws::new(seed);
        let draws = &mut draws;
        let quiet_from = draws.one_of(&[20, 40, 60, 200]) * SECOND;
        let count = draws.between(3, 6) as usize;
        let credentials = credentials(draws, quiet_from);
        let group = Common { quiet_from, is_tight: draws.chance(30) };
        let deployments: Vec<Spec> =
            (0..count).map(|position| deployment(draws, position, credentials.len(), group)).collect();
        let arrivals = arrivals(draws, count, quiet_from);
        let wait_min = Duration::from_millis(draws.one_of(&[0, 0, 500]));
        Self {
            strategy: draws.one_of(&[
                Strategy::SimpleShuffle,
                Strategy::SimpleShuffle,
                Strategy::RoundRobin,
                Strategy::LeastBusy,
                Strategy::Latency,
                Strategy::Usage,
                Strategy::Cost,
                Strategy::ConsistentHash,
            ]),
            retries: RetryRules { num_retries: draws.below(8) as u32, wait_min, ..RetryRules::default() },
            rules: health_rules(draws),
            hedges: draws.chance(40).then_some(BudgetRules::HEDGES),
            queue_size: draws.one_of(&[0, 2, 8, 1_000]),
            queue_wait: draws.one_of(&[0, 1, 1, 5, 30]) * SECOND,
            // Some longer than any caller waits for: what is silent then hangs until its caller goes.
            attempt_timeout: draws.one_of(&[2, 5, 9, 12, 55, 600]) * SECOND,
            overrides: overrides(draws, count, quiet_from),
            jumps: jumps(draws, quiet_from),
            deployments,
            credentials,
            arrivals,
            quiet_from,
            draws_seed: draws.next(),
        }
    }

    /// As [`PROBE_INTERVAL_MAX`], under these.
    pub(crate) fn probe_interval(&self) -> u64 {
        PROBE_INTERVAL_MAX.max(self.rules.cooldown.as_micros() as u64 * 12 / 10)
    }

    /// Whether every deployment that may be probed is probed by the next request.
    pub(crate) fn gives_all_a_part(&self) -> bool {
        let is_by_part = matches!(self.strategy, Strategy::Cost | Strategy::ConsistentHash);
        !is_by_part && self.deployments.iter().all(|spec| spec.profile.order.is_none())
    }
}

fn health_rules(draws: &mut Draws) -> HealthRules {
    let mut entry = || draws.chance(15).then(|| draws.below(5) as u32);
    let by_kind = AllowedFails {
        rate_limit: entry(),
        internal_server: entry(),
        bad_request: entry(),
        not_found: entry(),
        ..AllowedFails::default()
    };
    HealthRules {
        by_kind,
        allowed_fails: draws.chance(30).then(|| draws.below(6) as u32),
        cooldown: Duration::from_secs(draws.one_of(&[5, 5, 5, 1, 20])),
        cooldowns_disabled: draws.chance(5),
    }
}

fn credentials(draws: &mut Draws, quiet_from: u64) -> Vec<Vec<(u64, u64)>> {
    (0..draws.below(3))
        .map(|_| {
            let is_refused = draws.chance(40);
            is_refused.then(|| window(draws, quiet_from)).into_iter().collect()
        })
        .collect()
}

fn window(draws: &mut Draws, quiet_from: u64) -> (u64, u64) {
    let from = draws.below(quiet_from);
    (from, draws.between(from, quiet_from))
}

fn deployment(draws: &mut Draws, position: usize, credentials: usize, group: Common) -> Spec {
    let Common { quiet_from, is_tight } = group;
    let phases = (0..draws.below(4))
        .map(|_| {
            let (from, to) = window(draws, quiet_from);
            Phase { from, to, fault: fault(draws) }
        })
        .collect();
    let mut some = |percent: u64, choices: &[u64]| {
        let chosen = draws.one_of(choices);
        draws.chance(percent).then_some(chosen)
    };
    let rates = Rates {
        rpm: some(30, &[3, 10, 30, 60]),
        tpm: some(25, &[1_500, 6_000, 20_000]),
        parallel: some(if is_tight { 100 } else { 20 }, &[1, 2, 5]).map(|most| most as u32),
    };
    let profile = Profile {
        id: format!("deployment-{position}"),
        order: some(15, &[1, 2]).map(|order| order as i64),
        input_price: Some(u128::from(draws.between(1, 9))),
        output_price: Some(u128::from(draws.between(1, 9))),
        rates,
        ..Profile::default()
    };
    let credential = (draws.chance(60) && credentials > 0).then(|| draws.below(credentials as u64) as usize);
    let latency = draws.between(20, 400) * MS;
    Spec { profile, credential, phases, latency, tells_resets: draws.chance(20) }
}

fn fault(draws: &mut Draws) -> Fault {
    match draws.below(7) {
        0 => Fault::Slow,
        1 => Fault::Refusing,
        2 => Fault::Silent,
        3 => Fault::Flapping { period: draws.between(200, 9_000) * MS },
        4 => Fault::Storm { retry_after: draws.chance(60).then(|| draws.below(15)) },
        5 => {
            let kinds = [FailureKind::Server, FailureKind::Unavailable, FailureKind::BadGateway];
            Fault::Errors { percent: draws.one_of(&[30, 30, 70, 100]), kind: draws.one_of(&kinds) }
        }
        _ => Fault::Missing,
    }
}

/// At most two, which together end before it grows quiet.
fn jumps(draws: &mut Draws, quiet_from: u64) -> Vec<(u64, u64)> {
    let mut jump = || {
        let at = draws.below(quiet_from);
        (at, draws.below((quiet_from - at) / 2))
    };
    match jump() {
        (at, micros) if micros % 3 == 0 => vec![(at, micros)],
        first if first.1 % 3 == 1 => vec![first, jump()],
        _ => vec![],
    }
}

fn overrides(draws: &mut Draws, count: usize, quiet_from: u64) -> Vec<Override> {
    let words = [Some(Forced::Up), Some(Forced::Down), Some(Forced::Draining), None];
    (0..draws.below(4))
        .map(|_| {
            let at = draws.below(quiet_from);
            // All of them end before it grows quiet.
            let until = Some(draws.between(at, quiet_from));
            Override { at, position: draws.below(count as u64) as usize, forced: draws.one_of(&words), until }
        })
        .collect()
}

/// Bursts while there is trouble, then one request a second for as long as recovery and a full window may take.
fn arrivals(draws: &mut Draws, count: usize, quiet_from: u64) -> Vec<Arrival> {
    let mut arrivals = Vec::new();
    let bursts = draws.between(3, 12);
    for _ in 0..bursts {
        let start = draws.below(quiet_from);
        let spread = draws.one_of(&[0, 200, 5_000, 20_000]) * MS;
        for _ in 0..draws.between(1, 18) {
            let at = (start + draws.below(spread + 1)).min(quiet_from);
            arrivals.push(arrival(draws, count, at));
        }
    }
    arrivals.sort_by_key(|arrival| arrival.at);
    for second in 1..=50 {
        let calm = arrival(draws, count, quiet_from + second * SECOND);
        let deadline = calm.at + 60 * SECOND;
        arrivals.push(Arrival { deadline, is_bad: false, affinity: None, hangs_up_at: None, ..calm });
    }
    arrivals
}

fn arrival(draws: &mut Draws, count: usize, at: u64) -> Arrival {
    let estimate = draws.one_of(&[10, 100, 400, 2_000]);
    // One in ten becomes longer than was reckoned with.
    let real = if draws.chance(10) { estimate + draws.below(500) } else { draws.between(1, estimate) };
    Arrival {
        at,
        deadline: at + draws.one_of(&[500, 3_000, 20_000, 60_000, 60_000]) * MS,
        priority: draws.one_of(&[0, 0, 5, 255]),
        team: draws.below(3),
        estimate,
        real,
        is_stream: draws.chance(60),
        is_bad: draws.chance(5),
        sticky_key: draws.chance(50).then(|| draws.below(5)),
        affinity: draws.chance(10).then(|| draws.below(count as u64) as usize),
        hangs_up_at: draws.chance(8).then(|| at + draws.below(3_000) * MS),
    }
}
