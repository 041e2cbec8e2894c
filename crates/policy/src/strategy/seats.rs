//! What strategies know of each deployment by its id: its turn, and its place in the hash.
//!
//! A seat per candidate, at the candidate's position, so that a choice looks nothing up; the seats are laid anew when
//! the group has changed. **Invariant:** a deployment that stays in its group keeps its turn.

use crate::choice::Group;

#[derive(Debug, Clone)]
struct Seat {
    id: Box<str>,
    hash: u64,
    turn: f64,
}

/// One seat per candidate.
#[derive(Debug, Clone, Default)]
pub(super) struct Seats(Vec<Seat>);

impl Seats {
    /// nginx's smooth weighted round robin: everyone's turn grows by its weight, the largest goes, and gives back the
    /// sum of all. Those that are not in `kept` neither gain nor lose.
    pub(super) fn next(&mut self, group: &Group<'_>, kept: &[u32], weights: &[f64]) -> Option<usize> {
        self.lay(group);
        let mut best: Option<(usize, u32, f64)> = None;
        for (index, (&position, &weight)) in kept.iter().zip(weights).enumerate() {
            let seat = self.0.get_mut(position as usize)?;
            if weight <= 0.0 {
                continue;
            }
            seat.turn += weight;
            if best.is_none_or(|(_, _, turn)| seat.turn > turn) {
                best = Some((index, position, seat.turn));
            }
        }
        let (index, position, _) = best?;
        self.0.get_mut(position as usize)?.turn -= weights.iter().sum::<f64>();
        Some(index)
    }

    /// Rendezvous hashing: the highest score of key and id together.
    pub(super) fn by_key(
        &mut self,
        group: &Group<'_>,
        kept: &[u32],
        weights: &[f64],
        key: u64,
    ) -> Option<usize> {
        self.lay(group);
        let score = self.scorer(weights, key);
        let mut best: Option<(usize, f64)> = None;
        for (index, (&position, &weight)) in kept.iter().zip(weights).enumerate() {
            let score = score(position, weight);
            if best.is_none_or(|(_, highest)| score > highest) {
                best = Some((index, score));
            }
        }
        best.map(|(index, _)| index)
    }

    /// The score of each candidate for a key: `-weight / ln(u)` with `u` uniform in `0..1`, by which each deployment
    /// has keys in proportion to its weight (Schindelhauer and Schomaker, 2005); `u` itself, which has the same order
    /// and no logarithm, where all weights are alike.
    pub(super) fn scorer(&self, weights: &[f64], key: u64) -> impl Fn(u32, f64) -> f64 {
        let is_even = weights.windows(2).all(|pair| pair.first() == pair.last());
        let key = mix(key);
        move |position, weight| {
            let hash = self.0.get(position as usize).map_or(0, |seat| seat.hash);
            // 53 bits, the middle of each step: never 0 and never 1.
            let uniform = ((mix(hash ^ key) >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
            if is_even { uniform } else { -weight / uniform.ln() }
        }
    }

    /// How much of a turn a candidate has come to.
    pub(super) fn turn(&self, position: u32) -> f64 {
        self.0.get(position as usize).map_or(0.0, |seat| seat.turn)
    }

    /// A seat for every candidate, at its position.
    pub(super) fn lay(&mut self, group: &Group<'_>) {
        let candidates = group.candidates.iter();
        let is_laid = self.0.len() == group.candidates.len()
            && candidates.clone().zip(&self.0).all(|(candidate, seat)| *candidate.profile.id == *seat.id);
        if is_laid {
            return;
        }
        let mut before: std::collections::BTreeMap<Box<str>, Seat> =
            self.0.drain(..).map(|seat| (seat.id.clone(), seat)).collect();
        self.0.extend(candidates.map(|candidate| {
            let id = candidate.profile.id.as_str();
            before.remove(id).unwrap_or_else(|| Seat { id: id.into(), hash: hash(id), turn: 0.0 })
        }));
    }
}

/// FNV-1a, 64 bits (Fowler, Noll and Vo): the same on every machine and in every version of this program.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// The finalizer of SplitMix64 (Steele, Lea and Flood, 2014): every bit depends on every other.
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}
