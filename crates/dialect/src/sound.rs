//! How long a sound is, as its container says it.
//!
//! Owns the heads of the containers in which callers send speech (WAV, FLAC, Ogg, MP4, MP3) as far as length goes. Leaves
//! decoding to whoever hears. **Invariant:** what a container does not say plainly is not guessed.

/// The length of a sound in milliseconds, rounded to the nearest; `None` for a container that is unknown or broken, or
/// does not say.
pub fn length_ms(file: &[u8]) -> Option<u64> {
    if file.starts_with(b"RIFF") && at(file, 8, 4)? == b"WAVE" {
        return wav(file);
    }
    None
}

/// `count` bytes from `start`.
fn at(bytes: &[u8], start: usize, count: usize) -> Option<&[u8]> {
    bytes.get(start..start.checked_add(count)?)
}

fn little_32(bytes: &[u8], start: usize) -> Option<u64> {
    at(bytes, start, 4)?.try_into().ok().map(u32::from_le_bytes).map(u64::from)
}

/// `units` of which `rate` are a second, in milliseconds.
fn milliseconds(units: u64, rate: u64) -> Option<u64> {
    let scaled = u128::from(units).checked_mul(1_000)?.checked_add(u128::from(rate / 2))?;
    u64::try_from(scaled.checked_div(u128::from(rate))?).ok()
}

/// RIFF: chunks of a name and a length; `fmt ` has the bytes of a second, `data` the samples. A stream whose length was
/// not known when its head was written says 0 or the largest number, and ends with the file.
fn wav(file: &[u8]) -> Option<u64> {
    let mut start = 12_usize;
    let mut bytes_a_second = None;
    loop {
        let name = at(file, start, 4)?;
        let length = little_32(file, start + 4)?;
        let body = start + 8;
        if name == b"fmt " {
            bytes_a_second = Some(little_32(file, body + 8)?);
        }
        if name == b"data" {
            let there = file.len().saturating_sub(body) as u64;
            let bytes = if length == 0 { there } else { length.min(there) };
            return milliseconds(bytes, bytes_a_second?);
        }
        // Chunks begin at even places.
        start = body.checked_add(usize::try_from(length.checked_add(length & 1)?).ok()?)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A head with these chunks, without a length of its own.
    fn riff(chunks: &[(&[u8; 4], u32, &[u8])]) -> Vec<u8> {
        let mut file = b"RIFF\0\0\0\0WAVE".to_vec();
        for (name, length, body) in chunks {
            file.extend_from_slice(*name);
            file.extend_from_slice(&length.to_le_bytes());
            file.extend_from_slice(body);
        }
        file
    }

    /// 16 bits, one channel, 16 kHz: 32,000 bytes a second.
    fn format() -> Vec<u8> {
        let mut body = vec![1, 0, 1, 0];
        body.extend_from_slice(&16_000_u32.to_le_bytes());
        body.extend_from_slice(&32_000_u32.to_le_bytes());
        body.extend_from_slice(&[2, 0, 16, 0]);
        body
    }

    #[test]
    fn a_wave_is_as_long_as_its_samples() {
        let format = format();
        let check = |chunks: &[(&[u8; 4], u32, &[u8])], expect: Option<u64>| {
            assert_eq!(length_ms(&riff(chunks)), expect, "{}", chunks.len());
        };
        let (head, second) = ((b"fmt ", 16, format.as_slice()), vec![0; 32_000]);
        check(&[head, (b"data", 32_000, &second)], Some(1_000));
        check(&[head, (b"LIST", 3, b"abc\0"), (b"data", 16_016, &second[..16_016])], Some(501));
        check(&[head, (b"data", u32::MAX, &second)], Some(1_000));
        check(&[head, (b"data", 0, &second)], Some(1_000));
        check(&[head, (b"data", 64_000, &second)], Some(1_000));
        check(&[head, (b"data", 0, b"")], Some(0));
        check(&[(b"data", 32_000, &second)], None);
        check(&[head], None);
        check(&[head, (b"LIST", u32::MAX, b"")], None);
        let silent = vec![0; 16];
        check(&[(b"fmt ", 16, &silent), (b"data", 4, b"abcd")], None);
    }

    #[test]
    fn what_is_no_known_container_has_no_length() {
        for file in [&b""[..], b"RIFF", b"RIFF\0\0\0\0AVI ", b"RIFF\0\0\0\0WAVE", b"hello", &[0xff; 64]] {
            assert_eq!(length_ms(file), None, "{file:?}");
        }
    }

    #[test]
    fn a_file_that_is_cut_anywhere_is_never_longer() {
        let samples = vec![0; 640];
        let file = riff(&[(b"fmt ", 16, format().as_slice()), (b"data", 640, &samples)]);
        for end in 0..file.len() {
            assert!(length_ms(&file[..end]).is_none_or(|length| length <= 20), "{end}");
        }
        assert_eq!(length_ms(&file), Some(20));
    }
}
