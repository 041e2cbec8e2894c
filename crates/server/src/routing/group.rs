//! A model group: the deployments that answer to one name, and the choice among them.
//!
//! Owns the readings that a choice is made from. Leaves the choice to `policy`. **Invariant:** the same function reads for
//! a request and for its explanation.

use super::fleet::{Clock, Fleet, GroupState, lock};
use super::rules::GroupRules;
use super::waiting::WaitingRoom;
use crate::target::Target;
use http::HeaderMap;
use http::header::USER_AGENT;
use regex::{Regex, RegexBuilder};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tollgate_policy::affinity::Affinities;
use tollgate_policy::ask::Ask;
use tollgate_policy::choice::{self, Candidate, Choice, Reading, Table};
use tollgate_policy::health::{Forced, Standing};
use tollgate_policy::latency::Measure;
use tollgate_policy::limits::Rates;
use tollgate_policy::strategy::StrategyState;

/// A model group.
#[derive(Debug)]
pub(crate) struct Group {
    name: String,
    targets: Vec<Arc<Target>>,
    rules: Arc<GroupRules>,
    state: Arc<GroupState>,
    clock: Clock,
    /// The `tag_regex` of its deployments, as written and compiled.
    patterns: Vec<(String, Regex)>,
    /// What answers of its deployments depend on, once somebody has asked.
    fingerprint: OnceLock<String>,
}

/// A choice told in full.
#[derive(Debug)]
pub(crate) struct Explained {
    /// How each deployment is, in the group's order.
    pub(crate) readings: Vec<Reading>,
    /// What came of it.
    pub(crate) table: Table,
}

/// What is read of deployments besides their health and the limits that they have.
#[derive(Debug, Clone, Copy)]
struct Look {
    /// How fast they were.
    latency: bool,
    /// What they are doing, where they have no limits too.
    load: bool,
    /// Whom they keep waiting.
    silence: bool,
}

impl Look {
    const EVERYWHERE: Self = Self { latency: true, load: true, silence: true };
}

impl Group {
    /// A group without deployments.
    pub(crate) fn new(name: String, rules: Arc<GroupRules>, fleet: &Fleet) -> Self {
        let state = fleet.group(&name, rules.budgets);
        Self {
            name,
            targets: Vec::new(),
            rules,
            state,
            clock: fleet.clock(),
            patterns: Vec::new(),
            fingerprint: OnceLock::new(),
        }
    }

    /// The same under another name.
    pub(crate) fn named(self, name: &str) -> Self {
        Self { name: name.to_owned(), fingerprint: OnceLock::new(), ..self }
    }

    /// With one more deployment.
    pub(crate) fn add(&mut self, target: Arc<Target>) {
        if self.rules.choice.tags.is_some() {
            for written in &target.profile.tag_regex {
                // The configuration has refused what does not compile.
                let compiled =
                    RegexBuilder::new(written).size_limit(tollgate_config::REGEX_BYTES_MAX).build();
                self.patterns.extend(compiled.ok().map(|compiled| (written.clone(), compiled)));
            }
        }
        self.targets.push(target);
    }

    /// One deployment of this group by itself, under the same rules.
    pub(crate) fn alone(&self, target: Arc<Target>) -> Self {
        Self {
            name: self.name.clone(),
            targets: vec![target],
            rules: Arc::clone(&self.rules),
            state: Arc::clone(&self.state),
            clock: self.clock,
            patterns: Vec::new(),
            fingerprint: OnceLock::new(),
        }
    }

    /// The name that callers use.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// What is `made` of its deployments, once.
    pub(crate) fn fingerprint(&self, made: impl FnOnce(&[Arc<Target>]) -> String) -> &str {
        self.fingerprint.get_or_init(|| made(&self.targets))
    }

    /// Its deployments.
    pub(crate) fn targets(&self) -> &[Arc<Target>] {
        &self.targets
    }

    /// Its rules.
    pub(crate) fn rules(&self) -> &GroupRules {
        &self.rules
    }

    /// Time for the policies.
    pub(crate) fn clock(&self) -> Clock {
        self.clock
    }

    /// Who waits for a place.
    pub(crate) fn room(&self) -> &WaitingRoom {
        &self.state.room
    }

    /// Lets the next of those who wait look for a place.
    pub(crate) fn call_next(&self) {
        if !self.state.room.is_empty() {
            self.state.room.call_next();
        }
    }

    /// The deployment for a request that reserves so many tokens. `excluded` says of each position whether it is out.
    pub(crate) fn choose(&self, ask: &Ask<'_>, tokens: u64, excluded: &[bool]) -> Choice {
        let candidates = self.candidates(tokens, self.look(ask));
        let mut state = lock(&self.state.strategy);
        choice::choose(&self.seen(&candidates, excluded), ask, &mut state, crate::chance::draw())
    }

    /// The candidate table of a request, with the readings that it is made from. Nothing changes.
    pub(crate) fn explain(&self, ask: &Ask<'_>, tokens: u64, draw: f64) -> Explained {
        let candidates = self.candidates(tokens, Look::EVERYWHERE);
        let table = choice::table(&self.seen(&candidates, &[]), ask, &self.turns(), draw);
        Explained { readings: candidates.iter().map(|candidate| candidate.now).collect(), table }
    }

    /// As [`Group::choose`], with whose turn it is in the caller's own copy. Nothing of the group's changes.
    pub(crate) fn rehearse(
        &self,
        (ask, tokens): (&Ask<'_>, u64),
        excluded: &[bool],
        turns: &mut StrategyState,
        draw: f64,
    ) -> Choice {
        let candidates = self.candidates(tokens, self.look(ask));
        choice::choose(&self.seen(&candidates, excluded), ask, turns, draw)
    }

    /// Whose turn it is, as a copy.
    pub(crate) fn turns(&self) -> StrategyState {
        lock(&self.state.strategy).clone()
    }

    /// Whether every deployment is ejected, or forced down.
    pub(crate) fn is_out(&self) -> bool {
        let now = self.clock.now();
        self.targets.iter().all(|target| {
            let health = target.live.health.condition(now);
            let reading = Reading {
                standing: health.standing,
                credential: target.live.credential.condition(now).standing,
                forced: health.forced,
                ..Reading::default()
            };
            let is_ejected = matches!(reading.standing(), Standing::Ejected { .. } | Standing::Probing);
            is_ejected
                || target.profile.is_blocked
                || matches!(reading.forced, Some(Forced::Down | Forced::Draining))
        })
    }

    /// The name that it has in metrics: a configured one.
    pub(crate) fn label(&self) -> &str {
        self.targets.first().map_or(&self.name, |target| target.metrics.group())
    }

    fn seen<'c>(&self, candidates: &'c [Candidate<'c>], excluded: &'c [bool]) -> choice::Group<'c> {
        choice::Group { strategy: self.rules.strategy, rules: self.rules.choice, candidates, excluded }
    }

    /// What a choice depends on.
    fn look(&self, ask: &Ask<'_>) -> Look {
        Look {
            latency: self.rules.reads_latency(ask.leaning),
            load: self.rules.reads_load(ask.leaning),
            silence: self.rules.reads_silence(ask.leaning),
        }
    }

    fn candidates(&self, tokens: u64, look: Look) -> Vec<Candidate<'_>> {
        let now = self.clock.now();
        let read = |target: &Arc<Target>| {
            let live = &target.live;
            let health = live.health.condition(now);
            let mut reading = Reading {
                standing: health.standing,
                credential: live.credential.condition(now).standing,
                forced: health.forced,
                consecutive_failures: health.consecutive_failures,
                ..Reading::default()
            };
            // What has no limits has room.
            if look.load || target.profile.rates != Rates::default() {
                let mut limiter = lock(&live.limiter);
                reading.room = limiter.room(now, target.profile.rates, tokens);
                reading.used = limiter.used(now);
            }
            if look.latency {
                let latency = lock(&live.latency);
                reading.first_token = latency.score(now, Measure::FirstToken, &self.rules.latency);
                reading.per_token = latency.score(now, Measure::PerToken, &self.rules.latency);
            }
            if look.silence {
                reading.silent = lock(&live.latency).silence.read(now);
            }
            reading
        };
        self.targets.iter().map(|target| Candidate { profile: &target.profile, now: read(target) }).collect()
    }

    /// Those of the deployments' patterns that match the request's headers (LiteLLM's `User-Agent: value`); none where
    /// there is nothing to match.
    pub(crate) fn matched_patterns(&self, headers: &HeaderMap) -> Option<Vec<String>> {
        if self.patterns.is_empty() {
            return None;
        }
        let agent = format!("User-Agent: {}", headers.get(USER_AGENT)?.to_str().ok()?);
        let matching = self.patterns.iter().filter(|(_, pattern)| pattern.is_match(&agent));
        Some(matching.map(|(written, _)| written.clone()).collect())
    }

    /// Who holds sessions and callers.
    pub(super) fn sessions<T>(&self, look: impl FnOnce(&mut Affinities) -> T) -> T {
        look(&mut lock(&self.state.sessions))
    }

    /// Who holds the caches of prompts.
    pub(super) fn caches<T>(&self, look: impl FnOnce(&mut Affinities) -> T) -> T {
        look(&mut lock(&self.state.caches))
    }

    /// How long it is until the first word ends by which an operator keeps one of its deployments out.
    pub(crate) fn word_ends_in(&self) -> Option<Duration> {
        let now = self.clock.now();
        let ends = self.targets.iter().filter_map(|target| {
            let health = target.live.health.lock();
            let is_out = matches!(health.forced(now), Some(Forced::Down | Forced::Draining));
            health.forced_until(now).filter(|_| is_out)
        });
        ends.min().map(|until| now.until(until))
    }

    /// When the first of its deployments is back, where all are out.
    pub(crate) fn soonest_return(&self) -> Option<Duration> {
        let now = self.clock.now();
        let returns = self.targets.iter().map(|target| match target.live.health.condition(now).standing {
            Standing::Ejected { until } | Standing::Paused { until } => Some(now.until(until)),
            Standing::Up | Standing::HalfOpen | Standing::Probing => None,
        });
        // One that is not out makes the whole of them none.
        returns.collect::<Option<Vec<Duration>>>()?.into_iter().min()
    }

    /// A request begins.
    pub(crate) fn note_request(&self) {
        let now = self.clock.now();
        lock(&self.state.retries).note_request(now);
        if self.rules.hedging.is_some() {
            lock(&self.state.hedges).note_request(now);
        }
    }

    /// Whether the group's budget has another retry.
    pub(crate) fn may_retry(&self) -> bool {
        lock(&self.state.retries).try_spend(self.clock.now())
    }

    /// How many retries the group's budget has.
    pub(crate) fn retries_left(&self) -> u64 {
        lock(&self.state.retries).left(self.clock.now())
    }

    /// Whether the group's budget has another hedge.
    pub(crate) fn may_hedge(&self) -> bool {
        lock(&self.state.hedges).try_spend(self.clock.now())
    }

    /// A stream's first token came so long after it was asked for: worth knowing where hedges go by it.
    pub(crate) fn note_first_token(&self, took: Duration) {
        if self.rules.hedging.is_some() {
            lock(&self.state.first_tokens).observe(took);
        }
    }

    /// What that takes in this share of cases; none before there are enough of them.
    pub(crate) fn first_token_quantile(&self, quantile: f64) -> Option<Duration> {
        lock(&self.state.first_tokens).quantile(quantile)
    }
}
