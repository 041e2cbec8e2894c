//! Ways of cutting an input into chunks: whole, byte by byte, and a few that the input itself decides.

use bytes::Bytes;

/// Cuts that an input decides.
const ODD_CUTS: u64 = 3;

/// Every way that is tried of cutting an input.
pub(crate) fn all(input: &[u8]) -> Vec<Vec<Bytes>> {
    let whole = Bytes::copy_from_slice(input);
    let byte_by_byte = (0..input.len()).map(|at| whole.slice(at..=at)).collect();
    let mut ways = vec![vec![whole.clone()], byte_by_byte];
    ways.extend((0..ODD_CUTS).map(|seed| oddly(&whole, seed)));
    ways
}

/// Pieces of uneven length, some of them empty.
fn oddly(whole: &Bytes, seed: u64) -> Vec<Bytes> {
    let mut state = whole.iter().fold(seed, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(*byte)));
    let mut pieces = Vec::new();
    let mut at = 0;
    while at < whole.len() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let longest = if seed == 0 { 7 } else { 97 };
        let end = (at + (state >> 40) as usize % longest).min(whole.len());
        pieces.push(whole.slice(at..end));
        at = end;
    }
    pieces
}

/// Where a text may be cut: its pieces of up to this many characters.
pub(crate) fn of_text(text: &str, characters: usize) -> Vec<String> {
    let all: Vec<char> = text.chars().collect();
    all.chunks(characters.max(1)).map(|piece| piece.iter().collect()).collect()
}
