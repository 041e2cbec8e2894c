//! Which words of two questions stand for each other.
//!
//! Owns: the pairing of terms, by meaning first, then by spelling. Leaves to others: what the pairs and the unpaired words mean for
//! the answer (`guard`).
//!
//! **Invariant:** symmetric: swapping the questions swaps the sides of the result and changes nothing else.

use crate::facts::Term;
use crate::lexicon::Weight;
use crate::words::is_slip;

/// Weight of a framing word beside a word of matter (1).
const WEAK: f32 = 0.25;

/// The pairing of two questions' terms.
#[derive(Debug, Default)]
pub(crate) struct Alignment<'a> {
    pub(crate) pairs: Vec<(&'a Term, &'a Term)>,
    /// Pairs that are the same word but for a slip of the pen.
    pub(crate) slips: usize,
    /// Pairs of a word and its opposite by prefix ("lock", "unlock").
    pub(crate) opposites: usize,
    pub(crate) left_a: Vec<&'a Term>,
    pub(crate) left_b: Vec<&'a Term>,
}

/// The weight of terms, a word of matter counting one.
pub(crate) fn weight<'a>(terms: impl IntoIterator<Item = &'a Term>) -> f32 {
    terms.into_iter().map(|term| if term.weight == Weight::Full { 1.0 } else { WEAK }).sum()
}

/// Pairs the terms of two questions.
pub(crate) fn align<'a>(a: &'a [Term], b: &'a [Term]) -> Alignment<'a> {
    let mut alignment =
        Alignment { left_a: a.iter().collect(), left_b: b.iter().collect(), ..Alignment::default() };
    alignment.pair(|a, b| a.stem == b.stem && a.is_negated == b.is_negated);
    alignment.pair(|a, b| a.stem == b.stem);
    alignment.pair(|a, b| a.head == b.head && a.is_negated == b.is_negated);
    alignment.pair(|a, b| a.head == b.head);
    alignment.pair(|a, b| a.sides.iter().any(|side| b.sides.contains(side)));
    alignment.opposites =
        alignment.pair(|a, b| is_opposite(&a.stem, &b.stem) || is_opposite(&b.stem, &a.stem));
    alignment.slips = alignment.pair(|a, b| {
        a.sides.is_empty() && b.sides.is_empty() && !(a.is_name && b.is_name) && is_slip(&a.stem, &b.stem)
    });
    alignment.drop_repeats();
    alignment
}

impl<'a> Alignment<'a> {
    /// Moves the terms that fit each other from the left over to the pairs; says how many.
    fn pair(&mut self, fits: impl Fn(&Term, &Term) -> bool) -> usize {
        let before = self.pairs.len();
        let mut left_a = Vec::with_capacity(self.left_a.len());
        for a in std::mem::take(&mut self.left_a) {
            match self.left_b.iter().position(|b| fits(a, b)) {
                Some(at) => self.pairs.push((a, self.left_b.remove(at))),
                None => left_a.push(a),
            }
        }
        self.left_a = left_a;
        self.pairs.len() - before
    }

    /// A word said twice is no more than a word said once.
    fn drop_repeats(&mut self) {
        let Alignment { pairs, left_a, left_b, .. } = self;
        left_a.retain(|term| {
            !pairs.iter().any(|(a, _)| a.head == term.head && a.is_negated == term.is_negated)
        });
        left_b.retain(|term| {
            !pairs.iter().any(|(_, b)| b.head == term.head && b.is_negated == term.is_negated)
        });
    }
}

/// Whether `long` is `short` with a prefix that turns it round.
fn is_opposite(long: &str, short: &str) -> bool {
    const PREFIXES: [&str; 9] = ["un", "dis", "de", "non", "in", "im", "ir", "il", "mis"];
    short.len() >= 4 && PREFIXES.iter().any(|prefix| long.strip_prefix(prefix) == Some(short))
}
