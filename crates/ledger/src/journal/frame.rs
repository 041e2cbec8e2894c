//! One record of the journal on the disk: a mark, a length, a checksum, and what is checked by it.
//!
//! `[mark 2][length u32][crc32 u32][kind u8][attempt u128][payload]`, integers little-endian; length and checksum are of all
//! that follows them. **Invariant:** a record whose checksum is wrong is never read as one.

use memchr::memmem;

/// Where a record may begin: what a reader looks for behind a damaged one. Not in any UTF-8 text, so that no payload that a
/// caller has a word in can pass for a record.
const MARK: [u8; 2] = [0xFF, 0xFE];
/// Mark, length and checksum.
const HEAD_BYTES: usize = 10;
/// Kind and attempt.
const KEY_BYTES: usize = 17;
/// The most bytes of a payload: a row is some hundreds.
pub(super) const PAYLOAD_BYTES_MAX: usize = 1 << 20;
/// The most bytes of a record.
pub(super) const FRAME_BYTES_MAX: usize = HEAD_BYTES + KEY_BYTES + PAYLOAD_BYTES_MAX;

/// What a record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An attempt is about to be sent; the payload is what it is booked as if nothing more is heard of it.
    Intent,
    /// An attempt is over; the payload is what it is booked as.
    Settled,
    /// An attempt was not sent, or cost nothing that is booked.
    Dropped,
}

impl Kind {
    fn byte(self) -> u8 {
        match self {
            Self::Intent => 1,
            Self::Settled => 2,
            Self::Dropped => 3,
        }
    }

    fn of(byte: u8) -> Option<Self> {
        [Self::Intent, Self::Settled, Self::Dropped].into_iter().find(|kind| kind.byte() == byte)
    }
}

/// A record as it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// What it says.
    pub kind: Kind,
    /// Of which attempt.
    pub attempt: u128,
    /// The row, in whatever form whoever wrote it gave it.
    pub payload: &'a [u8],
}

/// Writes a record; none where the payload is larger than any row.
pub(super) fn encode(out: &mut Vec<u8>, frame: Frame<'_>) -> Option<()> {
    let length = u32::try_from(frame.payload.len() + KEY_BYTES).ok()?;
    if frame.payload.len() > PAYLOAD_BYTES_MAX {
        return None;
    }
    let key = frame.attempt.to_le_bytes();
    let mut checksum = crc32fast::Hasher::new();
    for part in [&[frame.kind.byte()][..], &key, frame.payload] {
        checksum.update(part);
    }
    out.extend_from_slice(&MARK);
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&checksum.finalize().to_le_bytes());
    out.push(frame.kind.byte());
    out.extend_from_slice(&key);
    out.extend_from_slice(frame.payload);
    Some(())
}

/// What stands at the beginning of some bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found<'a> {
    /// A record, of so many bytes.
    Frame(Frame<'a>, usize),
    /// The beginning of one, perhaps.
    Part,
    /// None.
    Damage,
}

pub(super) fn decode(bytes: &[u8]) -> Found<'_> {
    let marked = bytes.iter().zip(&MARK).all(|(byte, mark)| byte == mark);
    if !marked {
        return Found::Damage;
    }
    let Some((head, rest)) = bytes.split_at_checked(HEAD_BYTES) else { return Found::Part };
    let number =
        |at: usize| head.get(at..at + 4).and_then(|four| four.try_into().ok()).map_or(0, u32::from_le_bytes);
    let (length, checksum) = (number(2) as usize, number(6));
    if !(KEY_BYTES..=PAYLOAD_BYTES_MAX + KEY_BYTES).contains(&length) {
        return Found::Damage;
    }
    let Some(body) = rest.get(..length) else { return Found::Part };
    if crc32fast::hash(body) != checksum {
        return Found::Damage;
    }
    let Some((key, payload)) = body.split_at_checked(KEY_BYTES) else { return Found::Damage };
    let kind = key.first().copied().and_then(Kind::of);
    let attempt = key.get(1..).and_then(|bytes| bytes.try_into().ok()).map(u128::from_le_bytes);
    match (kind, attempt) {
        (Some(kind), Some(attempt)) => Found::Frame(Frame { kind, attempt, payload }, HEAD_BYTES + length),
        _ => Found::Damage,
    }
}

/// Where the next record behind a damaged one begins, as far as these bytes go.
pub(super) fn next_after_damage(bytes: &[u8]) -> Option<usize> {
    memmem::find_iter(bytes, &MARK)
        .filter(|at| *at > 0)
        .find(|at| bytes.get(*at..).is_some_and(|rest| matches!(decode(rest), Found::Frame(..))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(frame: Frame<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        encode(&mut out, frame).unwrap();
        out
    }

    const FRAME: Frame<'static> = Frame { kind: Kind::Settled, attempt: 7 << 90, payload: b"{\"cost\":1}" };

    #[test]
    fn a_record_is_read_as_it_was_written() {
        for kind in [Kind::Intent, Kind::Settled, Kind::Dropped] {
            for payload in [&b""[..], b"x", &[b'x'; 5_000]] {
                let frame = Frame { kind, payload, ..FRAME };
                let bytes = encoded(frame);
                assert_eq!(decode(&bytes), Found::Frame(frame, bytes.len()));
            }
        }
        let large = vec![0; PAYLOAD_BYTES_MAX + 1];
        assert_eq!(encode(&mut Vec::new(), Frame { payload: &large, ..FRAME }), None);
    }

    #[test]
    fn no_record_is_read_from_a_part_of_one_or_with_any_bit_turned() {
        let bytes = encoded(FRAME);
        for length in 0..bytes.len() {
            assert_eq!(decode(&bytes[..length]), Found::Part, "{length} bytes");
        }
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(!matches!(decode(&damaged), Found::Frame(..)), "bit {bit}");
        }
        assert_eq!(decode(&[0; 64]), Found::Damage, "a file's end that was never written");
    }

    #[test]
    fn the_record_behind_a_damaged_one_is_found() {
        let whole = encoded(FRAME);
        for bit in 0..whole.len() * 8 {
            let mut bytes = [whole.clone(), whole.clone()].concat();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(next_after_damage(&bytes), Some(whole.len()), "bit {bit}");
        }
        assert_eq!(next_after_damage(&whole[..whole.len() - 1]), None);
    }
}
