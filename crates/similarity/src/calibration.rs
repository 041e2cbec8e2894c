//! From which score on answers are served, so that a chosen share of them at most is wrong.
//!
//! Owns: what is known of a namespace's scores and outcomes, the threshold that follows, and what an entry's own feedback adds to it.
//! Leaves to others: who says what was right (a judge, a user), and where the state is kept (it is plain data, for JSON).
//!
//! How: outcomes are counted by score. A logistic curve is fitted to them, held near the curve that general data gave
//! ([`PRIOR`]), so that one label moves it little and a hundred move it far. Above each threshold the curve stands in for 400 labels,
//! over the scores evenly; they and the outcomes that are known there give the wrong share, and the threshold is the lowest above
//! which even the upper end of that share's posterior (Beta, one-sided 80 %) is within the error rate. So few labels give a
//! careful threshold, and it comes down only by answers that were right.
//!
//! **Invariant:** the threshold is a function of the state and the error rate alone, and never below [`SCORE_MIN`].

use serde::{Deserialize, Serialize};

use crate::statistics::beta_quantile;

/// The lowest score that is ever a threshold, and the lower end of the lowest bin.
pub const SCORE_MIN: f32 = 0.5;

/// Bins of scores, from [`SCORE_MIN`] to 1, each a hundredth wide.
pub const BINS: usize = 50;

/// Labels after which all counts are halved, so that a namespace whose questions change is not held to its past.
pub const LABELS_MAX: f64 = 20_000.0;

/// What the curve counts for above each threshold, in labels.
const PSEUDO_LABELS: f64 = 400.0;

/// How sure the bound on the wrong share is.
const CONFIDENCE: f64 = 0.80;

/// A logistic curve of the chance that an answer is right: `1 / (1 + exp(-(level + slope * (score - 0.85))))`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Curve {
    /// The log odds at a score of 0.85.
    pub level: f64,
    /// Log odds per unit of score.
    pub slope: f64,
}

impl Curve {
    /// The chance that an answer with this score is right, 0 to 1.
    #[must_use]
    pub fn chance(self, score: f64) -> f64 {
        1.0 / (1.0 + (-(self.level + self.slope * (score - MIDDLE))).exp())
    }
}

const MIDDLE: f64 = 0.85;

/// The curve of general data for all-MiniLM-L6-v2 and the guards: scores of the nearest stored question on Banking77 (50 of 77
/// intents stored) and CLINC (100 of 150, and questions out of scope), one and five phrasings, and on the trap pairs, each set weighing
/// the same. Measured there by twentieths of score from 0.80: 0.94, 0.96, 0.98, 1.00 right; a part of the wrong ones are questions
/// that the sets file under either of two intents.
pub const PRIOR: Curve = Curve { level: 2.9, slope: 17.0 };

/// How far the prior's level and slope may be off (standard deviations, in log odds).
const PRIOR_SPREAD: Curve = Curve { level: 1.0, slope: 6.0 };

/// What is known of a namespace's scores.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct Calibration {
    right: [f64; BINS],
    wrong: [f64; BINS],
}

/// The form of a [`Calibration`] in JSON: counts by bin.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Stored {
    right: Vec<f64>,
    wrong: Vec<f64>,
}

/// Why a stored state is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a calibration has {BINS} counts of right and of wrong answers, none of them negative")]
pub struct BadCalibration;

impl TryFrom<Stored> for Calibration {
    type Error = BadCalibration;

    fn try_from(stored: Stored) -> Result<Calibration, BadCalibration> {
        let sound = |counts: &[f64]| {
            counts.iter().all(|count| count.is_finite() && (0.0..=LABELS_MAX).contains(count))
        };
        if !(sound(&stored.right) && sound(&stored.wrong)) {
            return Err(BadCalibration);
        }
        let right = stored.right.try_into().map_err(|_| BadCalibration)?;
        let wrong = stored.wrong.try_into().map_err(|_| BadCalibration)?;
        Ok(Calibration { right, wrong })
    }
}

impl From<Calibration> for Stored {
    fn from(state: Calibration) -> Stored {
        Stored { right: state.right.to_vec(), wrong: state.wrong.to_vec() }
    }
}

impl Default for Calibration {
    fn default() -> Calibration {
        Calibration { right: [0.0; BINS], wrong: [0.0; BINS] }
    }
}

impl Calibration {
    /// Takes note that an answer with this score was right or wrong. Scores below [`SCORE_MIN`], and what is no number, are left out.
    pub fn learn(&mut self, score: f32, right: bool) {
        let Some(bin) = bin(score) else { return };
        let counts = if right { &mut self.right } else { &mut self.wrong };
        if let Some(count) = counts.get_mut(bin) {
            *count += 1.0;
        }
        if self.labels() > LABELS_MAX {
            self.right.iter_mut().chain(&mut self.wrong).for_each(|count| *count /= 2.0);
        }
    }

    /// Outcomes known, old ones counting less.
    #[must_use]
    pub fn labels(&self) -> f64 {
        self.right.iter().chain(&self.wrong).sum()
    }

    /// The curve that fits the outcomes and the prior best (the posterior's mode, by Newton's method).
    #[must_use]
    pub fn curve(&self) -> Curve {
        let mut curve = PRIOR;
        for _ in 0..NEWTON_STEPS {
            let next = self.newton(curve);
            let moved = (next.level - curve.level).abs() + (next.slope - curve.slope).abs();
            curve = next;
            if moved < 1e-9 {
                break;
            }
        }
        curve
    }

    fn newton(&self, at: Curve) -> Curve {
        let (precise_level, precise_slope) = (PRIOR_SPREAD.level.powi(-2), PRIOR_SPREAD.slope.powi(-2));
        let (mut gradient_level, mut gradient_slope) =
            ((PRIOR.level - at.level) * precise_level, (PRIOR.slope - at.slope) * precise_slope);
        let (mut level, mut cross, mut slope) = (precise_level, 0.0, precise_slope);
        for (bin, (right, wrong)) in self.right.iter().zip(&self.wrong).enumerate() {
            let score = middle(bin);
            let (x, chance, count) = (score - MIDDLE, at.chance(score), right + wrong);
            let error = right - count * chance;
            let weight = count * chance * (1.0 - chance);
            gradient_level += error;
            gradient_slope += error * x;
            level += weight;
            cross += weight * x;
            slope += weight * x * x;
        }
        let determinant = level * slope - cross * cross;
        // Half a step where a whole one would leap: the posterior is concave, so that this ends all the same.
        let step = |change: f64, most: f64| change.clamp(-most, most);
        Curve {
            level: at.level + step((gradient_level * slope - gradient_slope * cross) / determinant, 2.0),
            slope: (at.slope + step((gradient_slope * level - gradient_level * cross) / determinant, 10.0))
                .max(1.0),
        }
    }

    /// The lowest score from which on answers are served, for a share of wrong ones among those served of `error_rate` at most (0 to 1);
    /// 1 where nothing but the very same words may be served.
    #[must_use]
    pub fn threshold(&self, error_rate: f64) -> f32 {
        let curve = self.curve();
        let (mut right, mut wrong, mut chances) = (0.0, 0.0, 0.0);
        let mut threshold = 1.0;
        for (bin, (known_right, known_wrong)) in self.right.iter().zip(&self.wrong).enumerate().rev() {
            right += known_right;
            wrong += known_wrong;
            chances += curve.chance(middle(bin));
            let chance = chances / (BINS - bin) as f64;
            let bound = beta_quantile(
                wrong + PSEUDO_LABELS * (1.0 - chance),
                right + PSEUDO_LABELS * chance,
                CONFIDENCE,
            );
            if bound <= error_rate {
                threshold = SCORE_MIN + bin as f32 / (2 * BINS) as f32;
            }
        }
        threshold
    }
}

const NEWTON_STEPS: usize = 100;

fn bin(score: f32) -> Option<usize> {
    if !(score >= SCORE_MIN && score.is_finite()) {
        return None;
    }
    let bin = ((score - SCORE_MIN) * (2 * BINS) as f32).floor() as usize;
    Some(bin.min(BINS - 1))
}

fn middle(bin: usize) -> f64 {
    f64::from(SCORE_MIN) + (bin as f64 + 0.5) / (2 * BINS) as f64
}

/// What feedback has been given on one entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Feedback {
    /// Thumbs up, or a judge's yes.
    pub up: u32,
    /// Thumbs down, or a judge's no.
    pub down: u32,
}

/// Thumbs down, beyond those that thumbs up make good, at which an entry is served no more.
pub const DOWNS_MAX: u32 = 3;

impl Feedback {
    /// The threshold of the entry, of its namespace's: each thumbs down takes half of what is left to 1, four thumbs up make one of
    /// them good. None where the entry should be removed.
    #[must_use]
    pub fn threshold(self, of_namespace: f32) -> Option<f32> {
        let downs = self.down.saturating_sub(self.up / 4);
        if downs >= DOWNS_MAX {
            return None;
        }
        let left = (1.0 - of_namespace) * 0.5_f32.powi(i32::try_from(downs).unwrap_or(i32::MAX));
        Some(1.0 - left)
    }
}
