//! The study of a semantic cache: what each threshold serves, how much of it is wrong, and what each guard adds and costs.
//!
//! Owns: the figures. Leaves to others: reading files, vectors, tables and plots.
//!
//! **Invariant:** rows are in the order of their thresholds; hits are the right ones and the wrong ones, and nothing is counted twice.

use crate::guard::{Findings, Reason, Weighs};
use crate::statistics::wilson;

/// One question and the stored one nearest to it.
#[derive(Clone, Debug)]
pub struct Sample {
    /// The cosine of the two.
    pub cosine: f32,
    /// What the guards find.
    pub findings: Findings,
    /// Whether the stored answer is right for the question.
    pub right: bool,
    /// What an answer of the model costs, in picodollars; saved by a hit.
    pub cost: u64,
}

/// Whether the guards are heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guards {
    /// The cosine alone decides.
    Off,
    /// The findings are weighed in.
    On,
}

/// What a threshold does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row {
    /// Scores from here on are served.
    pub threshold: f32,
    /// Questions asked.
    pub asked: u64,
    /// Questions served the right answer.
    pub right: u64,
    /// Questions served a wrong answer.
    pub wrong: u64,
    /// Share of hits that are wrong, 0 to 1; 0 without hits.
    pub wrong_share: f64,
    /// Its interval at 95 % (Wilson).
    pub wrong_interval: (f64, f64),
    /// What the right hits saved, in picodollars. A wrong one saves nothing worth having.
    pub saved: u128,
}

impl Row {
    /// Questions served, right or wrong.
    #[must_use]
    pub fn hits(&self) -> u64 {
        self.right + self.wrong
    }

    /// Share of the questions that are served, 0 to 1.
    #[must_use]
    pub fn hit_rate(&self) -> f64 {
        if self.asked == 0 { 0.0 } else { self.hits() as f64 / self.asked as f64 }
    }
}

/// Thresholds from 0.70 to 0.99, a hundredth apart.
#[must_use]
pub fn thresholds() -> Vec<f32> {
    (70_u8..=99).map(|hundredths| f32::from(hundredths) / 100.0).collect()
}

/// One row for each threshold.
#[must_use]
pub fn sweep(samples: &[Sample], guards: Guards, thresholds: &[f32]) -> Vec<Row> {
    let score = |sample: &Sample| match guards {
        Guards::Off => Some(sample.cosine),
        Guards::On => sample.findings.score(sample.cosine),
    };
    let scored: Vec<_> = samples.iter().map(|sample| (score(sample), sample.right, sample.cost)).collect();
    let mut thresholds = thresholds.to_vec();
    thresholds.sort_by(f32::total_cmp);
    thresholds.iter().map(|threshold| row(&scored, *threshold)).collect()
}

fn row(scored: &[(Option<f32>, bool, u64)], threshold: f32) -> Row {
    let (mut right, mut wrong, mut saved) = (0, 0, 0);
    for (_, is_right, cost) in
        scored.iter().filter(|(score, ..)| score.is_some_and(|score| score >= threshold))
    {
        if *is_right {
            right += 1;
            saved += u128::from(*cost);
        } else {
            wrong += 1;
        }
    }
    let hits = right + wrong;
    let wrong_share = if hits == 0 { 0.0 } else { wrong as f64 / hits as f64 };
    Row {
        threshold,
        asked: scored.len() as u64,
        right,
        wrong,
        wrong_share,
        wrong_interval: wilson(wrong, hits),
        saved,
    }
}

/// What one guard does at a threshold, all others in place: the difference to the same guards without it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuardRow {
    /// The guard.
    pub reason: Reason,
    /// Pairs in which it found something.
    pub found: u64,
    /// Pairs that it forbade, alone or with others.
    pub vetoed: u64,
    /// Wrong answers that only it kept back: what it adds.
    pub wrong_stopped: u64,
    /// Right answers that only it kept back: what it costs.
    pub right_lost: u64,
}

/// What each guard adds and costs at a threshold, in the order of [`Reason::ALL`]; guards that found nothing are left out.
#[must_use]
pub fn guards(samples: &[Sample], threshold: f32) -> Vec<GuardRow> {
    let served =
        |findings: &Findings, cosine: f32| findings.score(cosine).is_some_and(|score| score >= threshold);
    let mut rows = Vec::new();
    for reason in Reason::ALL {
        let mut row = GuardRow { reason, found: 0, vetoed: 0, wrong_stopped: 0, right_lost: 0 };
        for sample in samples {
            let mut own = sample.findings.list().iter().filter(|finding| finding.reason == reason).peekable();
            if own.peek().is_none() {
                continue;
            }
            row.found += 1;
            row.vetoed += u64::from(own.any(|finding| finding.weighs == Weighs::Veto));
            let stopped = !served(&sample.findings, sample.cosine)
                && served(&sample.findings.without(reason), sample.cosine);
            match (stopped, sample.right) {
                (true, true) => row.right_lost += 1,
                (true, false) => row.wrong_stopped += 1,
                (false, _) => {}
            }
        }
        if row.found > 0 {
            rows.push(row);
        }
    }
    rows
}

/// A threshold that keeps to an error rate on the outcomes given.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Recommendation {
    /// Scores from here on are to be served.
    pub threshold: f32,
    /// Outcomes at or above it.
    pub hits: u64,
    /// Wrong ones among them.
    pub wrong: u64,
    /// The wrong share's interval at 95 % (Wilson): its upper end says how far the outcomes given can be trusted.
    pub wrong_interval: (f64, f64),
}

/// The lowest of the scores given from which on the share of wrong outcomes is at most `error_rate` (0 to 1); none where no score does, or
/// there is no outcome. Equal scores stand or fall together.
#[must_use]
pub fn recommend(scored: &[(f32, bool)], error_rate: f64) -> Option<Recommendation> {
    let mut sorted: Vec<_> = scored.iter().copied().filter(|(score, _)| score.is_finite()).collect();
    sorted.sort_by(|one, other| other.0.total_cmp(&one.0));
    let (mut hits, mut wrong, mut best) = (0_u64, 0_u64, None);
    for (at, (score, right)) in sorted.iter().enumerate() {
        hits += 1;
        wrong += u64::from(!right);
        let ties_on = sorted.get(at + 1).is_some_and(|next| next.0 == *score);
        if !ties_on && wrong as f64 <= error_rate * hits as f64 {
            let wrong_interval = wilson(wrong, hits);
            best = Some(Recommendation { threshold: *score, hits, wrong, wrong_interval });
        }
    }
    best
}
