//! The vectors of one partition, and the scan over them.
//!
//! **Invariant:** the three lists are of one length, each entry in the same place of all.

use super::Near;

/// A vector in 8 bits a number: its direction alone, which is what a cosine sees.
#[derive(Debug)]
pub(super) struct Code {
    numbers: Box<[i8]>,
    /// One by the length of `numbers`.
    scale: f32,
}

impl Code {
    /// The largest number becomes 127, the others their share of it. `None` where there is no direction in it.
    pub(super) fn of(vector: &[f32]) -> Option<Self> {
        let largest = vector.iter().fold(0.0_f32, |largest, number| largest.max(number.abs()));
        let fits = largest.is_normal() && vector.iter().all(|number| number.is_finite());
        // Between -127 and 127, so that nothing is cut off.
        #[expect(clippy::cast_possible_truncation, reason = "in range by the division")]
        let numbers: Option<Box<[i8]>> =
            fits.then(|| vector.iter().map(|number| (number / largest * 127.0).round() as i8).collect());
        let numbers = numbers?;
        let scale = 1.0 / real(dot(&numbers, &numbers)).sqrt();
        Some(Self { numbers, scale })
    }
}

/// One partition's entries.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    ids: Vec<u64>,
    scales: Vec<f32>,
    numbers: Vec<i8>,
}

impl Shelf {
    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Puts an entry in; whether there was none of its number.
    pub(super) fn put(&mut self, id: u64, code: &Code) -> bool {
        let is_new = !self.take(id, code.numbers.len());
        self.ids.push(id);
        self.scales.push(code.scale);
        self.numbers.extend_from_slice(&code.numbers);
        is_new
    }

    /// Takes an entry out, the last one into its place; whether there was one.
    pub(super) fn take(&mut self, id: u64, width: usize) -> bool {
        let Some(at) = self.ids.iter().position(|held| *held == id) else { return false };
        self.ids.swap_remove(at);
        self.scales.swap_remove(at);
        let last = self.numbers.len().saturating_sub(width);
        self.numbers.copy_within(last.., at * width);
        self.numbers.truncate(last);
        true
    }

    pub(super) fn nearest(&self, code: &Code, most: usize, at_least: f32) -> Vec<Near> {
        let mut best: Vec<Near> = Vec::with_capacity(most.min(self.len()).saturating_add(1));
        let mut bar = at_least;
        let rows = self.numbers.chunks_exact(code.numbers.len().max(1));
        for ((id, scale), numbers) in self.ids.iter().zip(&self.scales).zip(rows) {
            let similarity = real(dot(&code.numbers, numbers)) * code.scale * scale;
            if similarity < bar || most == 0 {
                continue;
            }
            let near = Near { id: *id, similarity };
            let at = best.partition_point(|held| {
                held.similarity > similarity || (held.similarity == similarity && held.id < near.id)
            });
            best.insert(at, near);
            best.truncate(most);
            if best.len() == most {
                bar = best.last().map_or(bar, |last| last.similarity);
            }
        }
        best
    }
}

/// A sum of products of 8 bits: 4,096 of them stay within 2^26, so an `i32` holds it and an `f32` comes within a millionth.
#[expect(clippy::cast_precision_loss, reason = "a millionth of a cosine")]
fn real(sum: i32) -> f32 {
    sum as f32
}

/// The compiler makes vector instructions of this form: products in 16 bits, sums in 32.
fn dot(a: &[i8], b: &[i8]) -> i32 {
    a.iter().zip(b).map(|(a, b)| i32::from(i16::from(*a) * i16::from(*b))).sum()
}
