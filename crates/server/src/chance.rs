//! The crate's one door to randomness. Not for secrets.

/// 128 random bits.
pub(crate) fn bits() -> u128 {
    fastrand::u128(..)
}

/// A number that is uniform in `0..1`.
pub(crate) fn draw() -> f64 {
    fastrand::f64()
}
