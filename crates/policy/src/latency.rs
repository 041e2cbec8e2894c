//! How quick a deployment has been of late.
//!
//! Owns the samples of one deployment and the score that latency-based routing compares. Leaves to others: what
//! follows from it (choice). An untried deployment has no score, which is not the same as a good one: whoever chooses
//! explores it. **Invariant:** at most [`SAMPLES_LIMIT`] samples a measure, none of them older than the rules allow.

use crate::clock::Moment;
use crate::silence::Silence;
use std::collections::VecDeque;
use std::time::Duration;

/// The most samples that are kept, whatever is configured.
pub const SAMPLES_LIMIT: usize = 100;
/// What a failed attempt counts for (LiteLLM's figure for a timeout).
pub const PENALTY: Duration = Duration::from_secs(1_000);
/// How long a failed attempt is held against a deployment.
pub const PENALTY_MEMORY: Duration = Duration::from_secs(60);

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Measure {
    /// From the send to the first token, for streams.
    FirstToken,
    /// The whole time of a reply over its output tokens.
    PerToken,
}

/// How samples become a score (LiteLLM's `routing_strategy_args`).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LatencyRules {
    /// How long a sample counts (`ttl`).
    pub ttl: Duration,
    /// The most samples that count (`max_latency_list_size`), up to [`SAMPLES_LIMIT`].
    pub samples_max: usize,
    /// How much slower than the quickest still counts as quick, as a share of it (`lowest_latency_buffer`).
    pub buffer: f64,
    /// The quantile in `0..=1` that is the score; the mean where there is none (`ttft_percentile`).
    pub percentile: Option<f64>,
}

impl Default for LatencyRules {
    fn default() -> Self {
        Self { ttl: Duration::from_secs(3_600), samples_max: 10, buffer: 0.0, percentile: None }
    }
}

/// The samples of one deployment.
#[derive(Debug, Default)]
pub struct Latency {
    first_token: Samples,
    per_token: Samples,
    /// Whom it keeps waiting.
    pub silence: Silence,
}

impl Latency {
    /// Adds a sample; the oldest makes room for it.
    pub fn observe(&mut self, now: Moment, measure: Measure, took: Duration, rules: &LatencyRules) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        match measure {
            Measure::FirstToken => self.first_token.add(Sample { at: now, micros, is_penalty: false }, rules),
            Measure::PerToken => self.per_token.add(Sample { at: now, micros, is_penalty: false }, rules),
        }
    }

    /// Holds a failed attempt against it in both measures, so that a deployment that fails fast is not the quickest.
    pub fn penalize(&mut self, now: Moment, rules: &LatencyRules) {
        let sample = Sample { at: now, micros: PENALTY.as_micros() as u64, is_penalty: true };
        self.first_token.add(sample, rules);
        self.per_token.add(sample, rules);
    }

    /// The mean or the percentile of the samples that still count; `None` where there are none.
    pub fn score(&self, now: Moment, measure: Measure, rules: &LatencyRules) -> Option<Duration> {
        match measure {
            Measure::FirstToken => self.first_token.score(now, rules),
            Measure::PerToken => self.per_token.score(now, rules),
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Sample {
    at: Moment,
    micros: u64,
    is_penalty: bool,
}

impl Sample {
    fn counts(&self, now: Moment, rules: &LatencyRules) -> bool {
        let memory = if self.is_penalty { rules.ttl.min(PENALTY_MEMORY) } else { rules.ttl };
        now.since(self.at) < memory
    }
}

/// Samples of one measure, oldest first.
#[derive(Debug, Default)]
struct Samples {
    kept: VecDeque<Sample>,
    sum: u64,
    has_penalties: bool,
}

impl Samples {
    fn add(&mut self, sample: Sample, rules: &LatencyRules) {
        self.kept.retain(|kept| kept.counts(sample.at, rules));
        let most = rules.samples_max.clamp(1, SAMPLES_LIMIT);
        while self.kept.len() >= most {
            self.kept.pop_front();
        }
        self.kept.push_back(sample);
        self.sum = self.kept.iter().fold(0, |sum, kept| sum.saturating_add(kept.micros));
        self.has_penalties = self.kept.iter().any(|kept| kept.is_penalty);
    }

    fn score(&self, now: Moment, rules: &LatencyRules) -> Option<Duration> {
        let oldest = self.kept.front()?;
        let Some(percentile) = rules.percentile else {
            // Where nothing can have left, the sum is at hand: a choice asks this of a hundred deployments.
            let mean = if oldest.counts(now, rules) && !self.has_penalties {
                self.sum.checked_div(self.kept.len() as u64)
            } else {
                let (sum, count) = self
                    .counting(now, rules)
                    .fold((0_u64, 0_u64), |(sum, count), micros| (sum.saturating_add(micros), count + 1));
                sum.checked_div(count)
            };
            return mean.map(Duration::from_micros);
        };
        let mut sorted = [0; SAMPLES_LIMIT];
        let mut count = 0;
        for (place, micros) in sorted.iter_mut().zip(self.counting(now, rules)) {
            *place = micros;
            count += 1;
        }
        let sorted = sorted.get_mut(..count)?;
        sorted.sort_unstable();
        sorted.get(crate::quantile::rank(percentile, count)?).copied().map(Duration::from_micros)
    }

    fn counting(&self, now: Moment, rules: &LatencyRules) -> impl Iterator<Item = u64> {
        self.kept.iter().filter(move |kept| kept.counts(now, rules)).map(|kept| kept.micros)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000;

    fn at(seconds: u64) -> Moment {
        Moment::from_micros(seconds * 1_000_000)
    }

    fn observe(latency: &mut Latency, seconds: u64, milliseconds: u64, rules: &LatencyRules) {
        latency.observe(at(seconds), Measure::FirstToken, Duration::from_millis(milliseconds), rules);
    }

    fn score(latency: &Latency, seconds: u64, rules: &LatencyRules) -> Option<u64> {
        let score = latency.score(at(seconds), Measure::FirstToken, rules)?;
        Some(u64::try_from(score.as_micros()).unwrap())
    }

    #[test]
    fn an_untried_deployment_has_no_score() {
        let latency = Latency::default();
        assert_eq!(score(&latency, 5, &LatencyRules::default()), None);
        assert_eq!(score(&latency, 5, &LatencyRules { percentile: Some(0.5), ..Default::default() }), None);
    }

    #[test]
    fn the_score_is_the_mean_or_the_percentile_of_the_samples() {
        let check = |samples: &[u64], percentile: Option<f64>, expect: u64| {
            let rules = LatencyRules { percentile, ..Default::default() };
            let mut latency = Latency::default();
            for sample in samples {
                observe(&mut latency, 1, *sample, &rules);
            }
            assert_eq!(score(&latency, 2, &rules), Some(expect), "{samples:?} at {percentile:?}");
        };
        check(&[100], None, 100 * MS);
        check(&[100, 200, 600], None, 300 * MS);
        check(&[100], Some(0.95), 100 * MS);
        check(&[900, 100, 200, 300], Some(0.5), 200 * MS);
        check(&[900, 100, 200, 300], Some(0.0), 100 * MS);
        check(&[900, 100, 200, 300], Some(0.75), 300 * MS);
        check(&[900, 100, 200, 300], Some(0.76), 900 * MS);
        check(&[900, 100, 200, 300], Some(1.0), 900 * MS);
        check(&[0, 0], None, 0);
    }

    #[test]
    fn the_two_measures_are_apart() {
        let rules = LatencyRules::default();
        let mut latency = Latency::default();
        latency.observe(at(1), Measure::PerToken, Duration::from_millis(7), &rules);
        assert_eq!(score(&latency, 1, &rules), None);
        assert_eq!(latency.score(at(1), Measure::PerToken, &rules), Some(Duration::from_millis(7)));
    }

    #[test]
    fn the_oldest_sample_makes_room_and_a_smaller_list_is_obeyed_after_a_reload() {
        let mut rules = LatencyRules { samples_max: 3, ..Default::default() };
        let mut latency = Latency::default();
        for sample in [1_000, 10, 20, 30] {
            observe(&mut latency, 1, sample, &rules);
        }
        assert_eq!(score(&latency, 1, &rules), Some(20 * MS));
        rules.samples_max = 1;
        observe(&mut latency, 1, 50, &rules);
        assert_eq!(score(&latency, 1, &rules), Some(50 * MS));
        rules.samples_max = usize::MAX;
        for _ in 0..500 {
            observe(&mut latency, 1, 70, &rules);
        }
        assert_eq!(latency.first_token.kept.len(), SAMPLES_LIMIT);
        rules.samples_max = 0;
        observe(&mut latency, 1, 80, &rules);
        assert_eq!(score(&latency, 1, &rules), Some(80 * MS), "none at all would be no routing by latency");
    }

    #[test]
    fn samples_leave_with_their_time_to_live() {
        let rules = LatencyRules { ttl: Duration::from_secs(100), ..Default::default() };
        for percentile in [None, Some(1.0)] {
            let rules = LatencyRules { percentile, ..rules };
            let mut latency = Latency::default();
            observe(&mut latency, 10, 500, &rules);
            observe(&mut latency, 60, 500, &rules);
            observe(&mut latency, 60, 500, &rules);
            assert_eq!(score(&latency, 109, &rules), Some(500 * MS));
            observe(&mut latency, 110, 500, &rules);
            assert_eq!(latency.first_token.kept.len(), 3);
            assert_eq!(score(&latency, 209, &rules), Some(500 * MS), "the last one alone");
            assert_eq!(score(&latency, 210, &rules), None);
        }
    }

    #[test]
    fn a_fast_failure_is_no_quick_answer_and_is_forgotten_after_a_minute() {
        let rules = LatencyRules::default();
        let mut latency = Latency::default();
        latency.penalize(at(10), &rules);
        assert_eq!(score(&latency, 69, &rules), Some(1_000_000 * MS));
        assert_eq!(latency.score(at(69), Measure::PerToken, &rules), Some(PENALTY));
        assert_eq!(score(&latency, 70, &rules), None, "to be explored again");
        observe(&mut latency, 30, 100, &rules);
        assert_eq!(score(&latency, 31, &rules), Some(500_050 * MS));
        assert_eq!(score(&latency, 70, &rules), Some(100 * MS));
        observe(&mut latency, 80, 200, &rules);
        assert_eq!(score(&latency, 80, &rules), Some(150 * MS));
    }

    #[test]
    fn what_lasted_for_ever_does_not_overflow() {
        let rules = LatencyRules::default();
        let mut latency = Latency::default();
        for _ in 0..3 {
            latency.observe(at(1), Measure::FirstToken, Duration::MAX, &rules);
        }
        assert_eq!(score(&latency, 1, &rules), Some(u64::MAX / 3));
    }
}
