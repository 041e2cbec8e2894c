//! Which answer of a closed set of answers a question is given, and how sure that is.
//!
//! Owns: answers with several verified phrasings each (a FAQ), and the score that sets the best answer against the other ones.
//! Leaves to others: the open tier, where an answer may be missing, so that distance to other answers says nothing (there the
//! score is [`crate::Findings::score`]); the threshold (`calibration`); vectors (they come as slices of unit length).
//!
//! How it scores, measured on CLINC and Banking77 over 8 to 24 draws a part (right hits at 1 % and 2 % wrong among hits):
//! - cosines are taken around the mean of the FAQ's vectors: what all its questions share says nothing about which of them is meant;
//! - the phrasings of an answer are joined by a soft maximum, so that several that are near count for more than one;
//! - words in common are added, each weighted by how few phrasings have it;
//! - the score is the share of the best answer among the nearest ones (a softmax), which is the margin where there is one rival and
//!   less where there are several.
//!
//! **Invariant:** a score is in 0 to 1 and does not depend on the order in which phrasings were given.

use std::collections::{BTreeMap, HashMap};

use crate::facts::Facts;
use crate::guard::{Findings, Weighs, compare};

/// The most phrasings of a closed tier: each question is set against all of them.
pub const PHRASINGS_MAX: usize = 20_000;

/// How sharp the soft maximum over the phrasings of an answer is.
const PHRASING_SHARPNESS: f32 = 8.0;

/// How sharp the contest between answers is.
const ANSWER_SHARPNESS: f32 = 20.0;

/// Answers that the contest is among.
const RIVALS: usize = 6;

/// What words in common add at most, beside a cosine. Measured from 0.05 to 0.3: up to 0.1 they help, above they harm.
const WORDS_SHARE: f32 = 0.08;

/// A verified way to ask for an answer.
#[derive(Clone, Copy, Debug)]
pub struct Phrasing<'a> {
    /// The answer's number, the caller's own.
    pub answer: u32,
    /// Its vector, of unit length.
    pub vector: &'a [f32],
    /// What it says.
    pub facts: &'a Facts,
}

/// The answer that fits best.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// Its number.
    pub answer: u32,
    /// The index of its nearest phrasing, in the order given.
    pub phrasing: usize,
    /// The cosine with that phrasing.
    pub cosine: f32,
    /// That cosine less the best one of a phrasing of another answer; the cosine itself where there is no other answer.
    pub margin: f32,
    /// How surely it is this answer and not another one, 0 to 1; what a threshold is set on.
    pub score: f32,
    /// What speaks against it, of the phrasing of this answer that least is said against.
    pub findings: Findings,
}

impl Choice {
    /// Whether a guard forbids the answer, whatever the score. In a closed tier the answer is the matter and the phrasing an example of
    /// it, so it is forbidden only where every near phrasing of it is.
    #[must_use]
    pub fn is_vetoed(&self) -> bool {
        self.findings.list().iter().any(|finding| finding.weighs == Weighs::Veto)
    }
}

/// A closed set of answers.
#[derive(Clone, Debug)]
pub struct Closed {
    mean: Vec<f32>,
    phrasings: Vec<Kept>,
    /// Weight of a word, by its meaning.
    rarity: HashMap<String, f32>,
}

#[derive(Clone, Debug)]
struct Kept {
    answer: u32,
    /// Around the mean, of unit length.
    centred: Vec<f32>,
    vector: Vec<f32>,
    facts: Facts,
    /// Length of the vector of its words.
    words_length: f32,
}

/// Why a set of phrasings cannot be a closed tier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClosedError {
    /// More than [`PHRASINGS_MAX`].
    #[error("more than {PHRASINGS_MAX} phrasings")]
    TooMany,
    /// Vectors of different lengths, or of none.
    #[error("vectors of different lengths, or empty ones")]
    Dimensions,
}

impl Closed {
    /// A closed tier of these phrasings.
    ///
    /// # Errors
    /// Where there are too many of them, or their vectors differ in length.
    pub fn new(phrasings: &[Phrasing<'_>]) -> Result<Closed, ClosedError> {
        if phrasings.len() > PHRASINGS_MAX {
            return Err(ClosedError::TooMany);
        }
        let dimensions = phrasings.first().map_or(0, |phrasing| phrasing.vector.len());
        if phrasings.iter().any(|phrasing| phrasing.vector.len() != dimensions || dimensions == 0) {
            return Err(ClosedError::Dimensions);
        }
        let mut mean = vec![0.0; dimensions];
        for phrasing in phrasings {
            mean.iter_mut()
                .zip(phrasing.vector)
                .for_each(|(sum, value)| *sum += value / phrasings.len() as f32);
        }
        // One answer, or phrasings that are all alike, leave nothing around the mean.
        if phrasings
            .iter()
            .all(|phrasing| phrasing.answer == phrasings.first().map_or(0, |first| first.answer))
        {
            mean.fill(0.0);
        }
        let rarity = rarity(phrasings);
        let keep = |phrasing: &Phrasing<'_>| Kept {
            answer: phrasing.answer,
            centred: around(phrasing.vector, &mean),
            vector: phrasing.vector.to_vec(),
            facts: phrasing.facts.clone(),
            words_length: words_length(phrasing.facts, &rarity),
        };
        let phrasings = phrasings.iter().map(keep).collect();
        Ok(Closed { mean, phrasings, rarity })
    }

    /// The answer that fits best; none in an empty tier, or for a vector of another length.
    #[must_use]
    pub fn best(&self, vector: &[f32], facts: &Facts) -> Option<Choice> {
        if vector.len() != self.mean.len() {
            return None;
        }
        let centred = around(vector, &self.mean);
        let words = words_length(facts, &self.rarity);
        let mut answers: BTreeMap<u32, Standing> = BTreeMap::new();
        for (at, kept) in self.phrasings.iter().enumerate() {
            let likeness =
                dot(&centred, &kept.centred) + WORDS_SHARE * self.words_in_common(facts, words, kept);
            let cosine = dot(vector, &kept.vector);
            answers.entry(kept.answer).or_default().add(at, likeness, cosine);
        }
        let mut ranked: Vec<(u32, f32, &Standing)> =
            answers.iter().map(|(answer, standing)| (*answer, standing.likeness(), standing)).collect();
        ranked.sort_by(|one, other| other.1.total_cmp(&one.1).then(one.0.cmp(&other.0)));
        let (answer, likeness, standing) = *ranked.first()?;
        let rival = ranked.iter().skip(1).map(|(_, _, standing)| standing.cosine).fold(0.0_f32, f32::max);
        let contest: f32 = ranked
            .iter()
            .take(RIVALS)
            .map(|(_, other, _)| ((other - likeness) * ANSWER_SHARPNESS).exp())
            .sum();
        Some(Choice {
            answer,
            phrasing: standing.nearest,
            cosine: standing.cosine,
            margin: standing.cosine - rival,
            score: 1.0 / contest.max(1.0),
            findings: self.least_against(answer, facts, standing.nearest),
        })
    }

    /// The findings of the nearest phrasing, or of another one of the answer that no guard forbids.
    fn least_against(&self, answer: u32, facts: &Facts, nearest: usize) -> Findings {
        let Some(first) = self.phrasings.get(nearest) else { return Findings::default() };
        let findings = compare(facts, &first.facts);
        if findings.score(1.0).is_some() {
            return findings;
        }
        let others = self.phrasings.iter().filter(|kept| kept.answer == answer);
        others
            .map(|kept| compare(facts, &kept.facts))
            .find(|other| other.score(1.0).is_some())
            .unwrap_or(findings)
    }

    /// The cosine of two questions' words, each weighted by its rarity.
    fn words_in_common(&self, facts: &Facts, length: f32, kept: &Kept) -> f32 {
        if length <= 0.0 || kept.words_length <= 0.0 {
            return 0.0;
        }
        let shared: f32 = distinct(facts)
            .filter(|head| kept.facts.terms.iter().any(|term| term.head == *head))
            .map(|head| self.rarity.get(head).copied().unwrap_or(0.0).powi(2))
            .sum();
        shared / (length * kept.words_length)
    }
}

/// How near the phrasings of one answer are.
#[derive(Debug)]
struct Standing {
    sum: f32,
    count: f32,
    nearest: usize,
    cosine: f32,
}

impl Default for Standing {
    fn default() -> Standing {
        Standing { sum: 0.0, count: 0.0, nearest: 0, cosine: f32::NEG_INFINITY }
    }
}

impl Standing {
    fn add(&mut self, at: usize, likeness: f32, cosine: f32) {
        self.sum += (likeness * PHRASING_SHARPNESS).exp();
        self.count += 1.0;
        if cosine > self.cosine {
            self.cosine = cosine;
            self.nearest = at;
        }
    }

    fn likeness(&self) -> f32 {
        (self.sum / self.count.max(1.0)).ln() / PHRASING_SHARPNESS
    }
}

/// The meanings of a question's words, each once.
fn distinct(facts: &Facts) -> impl Iterator<Item = &str> {
    let terms = &facts.terms;
    let first = |at: usize, head: &str| !terms.iter().take(at).any(|term| term.head == head);
    terms
        .iter()
        .enumerate()
        .filter(move |(at, term)| first(*at, &term.head))
        .map(|(_, term)| term.head.as_str())
}

/// The weight of each word: the logarithm of one over the share of phrasings that have it, smoothed.
fn rarity(phrasings: &[Phrasing<'_>]) -> HashMap<String, f32> {
    let mut counts: HashMap<String, f32> = HashMap::new();
    for head in phrasings.iter().flat_map(|phrasing| distinct(phrasing.facts)) {
        *counts.entry(head.to_owned()).or_default() += 1.0;
    }
    let all = phrasings.len() as f32;
    counts.into_iter().map(|(head, count)| (head, ((1.0 + all) / (1.0 + count)).ln() + 1.0)).collect()
}

fn words_length(facts: &Facts, rarity: &HashMap<String, f32>) -> f32 {
    distinct(facts).map(|head| rarity.get(head).copied().unwrap_or(0.0).powi(2)).sum::<f32>().sqrt()
}

fn around(vector: &[f32], mean: &[f32]) -> Vec<f32> {
    let mut centred: Vec<f32> = vector.iter().zip(mean).map(|(value, mean)| value - mean).collect();
    let length = dot(&centred, &centred).sqrt();
    if length > 1e-6 {
        centred.iter_mut().for_each(|value| *value /= length);
    }
    centred
}

/// The dot product, summed in eight lanes so that it is vectorised without a change of result between machines.
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0_f32; 8];
    let (chunks_a, chunks_b) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f32 = chunks_a.remainder().iter().zip(chunks_b.remainder()).map(|(x, y)| x * y).sum();
    for (x, y) in chunks_a.zip(chunks_b) {
        for ((lane, x), y) in lanes.iter_mut().zip(x).zip(y) {
            *lane += x * y;
        }
    }
    lanes.iter().sum::<f32>() + rest
}
