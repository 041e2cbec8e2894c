//! The encrypted content of reasoning items.
//!
//! Owns: making it and telling it from what others made. Leaves to others: where it stands.
//!
//! **Invariant:** what [`open`] takes is what [`seal`] made, byte for byte.

/// What sealed content begins with, as that of the API does.
const PREFIX: &str = "gAAAAAB";

/// FNV-1a, 64 bits.
fn checksum(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

/// Seals the reasoning of an item.
pub(super) fn seal(id: &str, reasoning: &str) -> String {
    let inner: String = format!("{id}.{:016x}", checksum(reasoning));
    let sum = checksum(&inner);
    format!("{PREFIX}{inner}.{sum:016x}")
}

/// The item's id, when the content is whole.
pub(super) fn open(sealed: &str) -> Option<&str> {
    let (inner, sum) = sealed.strip_prefix(PREFIX)?.rsplit_once('.')?;
    let whole = u64::from_str_radix(sum, 16).ok()? == checksum(inner);
    inner.rsplit_once('.').map(|(id, _)| id).filter(|_| whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sealed_is_opened_and_nothing_else() {
        let sealed = seal("rs_1", "because");
        assert_eq!(open(&sealed), Some("rs_1"));
        for wrong in ["", "gAAAAAB", "signature", &sealed[1..], &sealed.replace("rs_1", "rs_2")] {
            assert_eq!(open(wrong), None, "{wrong}");
        }
    }
}
