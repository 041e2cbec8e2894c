//! The crate's one door to randomness. Not for secrets.

/// Of an id that begins with a moment: the bits that are left. Microseconds need the 56 others until the year 4253.
const RANDOM_BITS: u32 = 72;

/// 128 random bits.
pub(crate) fn bits() -> u128 {
    fastrand::u128(..)
}

/// 128 bits that are larger than those of earlier moments, in microseconds since 1970; the last 72 of them are random. What is kept
/// under such ids is added at the end of an index, and not all over it.
pub(crate) fn ordered(micros: i64) -> u128 {
    (u128::try_from(micros).unwrap_or(0) << RANDOM_BITS) | (bits() >> (u128::BITS - RANDOM_BITS))
}

/// A number that is uniform in `0..1`.
pub(crate) fn draw() -> f64 {
    fastrand::f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_in_the_order_of_their_moments_and_differ() {
        let now = 1_795_348_800_000_000;
        let ids = [ordered(now), ordered(now), ordered(now + 1), ordered(now + 1_000_000)];
        assert_ne!(ids[0], ids[1]);
        assert!(ids[0].max(ids[1]) < ids[2] && ids[2] < ids[3], "{ids:x?}");
        assert_eq!(ids.map(|id| id >> RANDOM_BITS), [0, 0, 1, 1_000_000].map(|more| now as u128 + more));
        assert!(ordered(-1) >> RANDOM_BITS == 0, "a clock before 1970");
    }
}
