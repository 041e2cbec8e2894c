//! How long a sound is, as its container says it.
//!
//! Owns the heads of the containers in which speech is sent (WAV, FLAC, Ogg, MP4, MP3) as far as length goes. Leaves
//! decoding to whoever hears. **Invariant:** what a container does not say plainly is not guessed.

mod mp3;

use mp3::Frames;

/// Bytes at the beginning of a sound on its way past that are kept.
const HEAD_BYTES_MAX: usize = 4 << 10;
/// Bytes at its end: more than the longest page of an Ogg (RFC 3533, 6).
const TAIL_BYTES_MAX: usize = 66 << 10;
/// Bytes of a second of bare samples as OpenAI's speech has them: 24 kHz, 16 bits, one channel.
const PCM_BYTES_A_SECOND: u64 = 48_000;

/// The length of a sound in milliseconds, rounded to the nearest; `None` for a container that is unknown or broken, or
/// does not say.
pub fn length_ms(file: &[u8]) -> Option<u64> {
    if at(file, 4, 4) == Some(b"ftyp") {
        return mp4(file);
    }
    in_container(file, file, file.len() as u64).unwrap_or_else(|| {
        let mut frames = Frames::default();
        frames.push(file);
        in_frames(&frames)
    })
}

/// A sound on its way past.
#[derive(Debug, Clone)]
pub struct Passing {
    is_bare: bool,
    head: Vec<u8>,
    tail: Vec<u8>,
    bytes: u64,
    frames: Frames,
}

impl Passing {
    /// A sound of this content type; `None` for what is no sound.
    pub fn of_type(content_type: &str) -> Option<Self> {
        let kind = content_type.strip_prefix("audio/")?;
        let is_bare = kind == "pcm";
        Some(Self { is_bare, head: Vec::new(), tail: Vec::new(), bytes: 0, frames: Frames::default() })
    }

    /// Takes what comes next.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        let room = HEAD_BYTES_MAX.saturating_sub(self.head.len()).min(bytes.len());
        self.head.extend_from_slice(bytes.get(..room).unwrap_or_default());
        self.frames.push(bytes);
        self.tail.extend_from_slice(bytes);
        let surplus = self.tail.len().saturating_sub(TAIL_BYTES_MAX);
        // Moving what is kept only when there is as much to drop.
        if surplus > TAIL_BYTES_MAX {
            self.tail.drain(..surplus);
        }
    }

    /// How long it was so far, in milliseconds.
    pub fn length_ms(&self) -> Option<u64> {
        if self.is_bare {
            return milliseconds(self.bytes, PCM_BYTES_A_SECOND);
        }
        in_container(&self.head, &self.tail, self.bytes).unwrap_or_else(|| in_frames(&self.frames))
    }
}

/// The length by a container's head and end, of so many bytes in all; the outer `None` for no known container.
fn in_container(head: &[u8], tail: &[u8], bytes: u64) -> Option<Option<u64>> {
    match head {
        [b'R', b'I', b'F', b'F', ..] => Some(wav(head, bytes)),
        [b'f', b'L', b'a', b'C', ..] => Some(flac(head)),
        [b'O', b'g', b'g', b'S', ..] => Some(ogg(head, tail)),
        _ => None,
    }
}

fn in_frames(frames: &Frames) -> Option<u64> {
    let (samples, rate) = frames.length()?;
    milliseconds(samples, rate)
}

/// `count` bytes from `start`.
fn at(bytes: &[u8], start: usize, count: usize) -> Option<&[u8]> {
    bytes.get(start..start.checked_add(count)?)
}

/// The number in `count` bytes from `start`, the largest byte first.
fn big(bytes: &[u8], start: usize, count: usize) -> Option<u64> {
    Some(at(bytes, start, count)?.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

/// The same, the smallest byte first.
fn little(bytes: &[u8], start: usize, count: usize) -> Option<u64> {
    Some(at(bytes, start, count)?.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

/// `units` of which `rate` are a second, in milliseconds.
fn milliseconds(units: u64, rate: u64) -> Option<u64> {
    let scaled = u128::from(units).checked_mul(1_000)?.checked_add(u128::from(rate / 2))?;
    u64::try_from(scaled.checked_div(u128::from(rate))?).ok()
}

/// RIFF: chunks of a name and a length; `fmt ` has the bytes of a second, `data` the samples. A stream whose length was
/// not known when its head was written says 0 or the largest number, and ends with the file.
fn wav(head: &[u8], bytes: u64) -> Option<u64> {
    if at(head, 8, 4)? != b"WAVE" {
        return None;
    }
    let mut start = 12_usize;
    let mut bytes_a_second = None;
    loop {
        let name = at(head, start, 4)?;
        let length = little(head, start + 4, 4)?;
        let body = start + 8;
        if name == b"fmt " {
            bytes_a_second = Some(little(head, body + 8, 4)?);
        }
        if name == b"data" {
            let there = bytes.saturating_sub(body as u64);
            let sound = if length == 0 { there } else { length.min(there) };
            return milliseconds(sound, bytes_a_second?);
        }
        // Chunks begin at even places.
        start = body.checked_add(usize::try_from(length.checked_add(length & 1)?).ok()?)?;
    }
}

/// FLAC (RFC 9639, 8.2): 20 bits of samples a second, and behind eight others 36 of samples, 0 where they are unknown.
fn flac(head: &[u8]) -> Option<u64> {
    let packed = big(head, 18, 8)?;
    let samples = packed & ((1 << 36) - 1);
    (samples > 0).then(|| milliseconds(samples, packed >> 44)).flatten()
}

/// Ogg (RFC 3533): the last page of the stream says how many samples there are up to its end. Opus (RFC 7845) has
/// 48,000 a second and some before the sound; Vorbis says its own rate.
fn ogg(head: &[u8], tail: &[u8]) -> Option<u64> {
    let serial = at(head, 14, 4)?;
    let packet = head.get(27 + usize::from(*head.get(26)?)..)?;
    let (rate, before) = if packet.starts_with(b"OpusHead") {
        (48_000, little(packet, 10, 2)?)
    } else if packet.starts_with(b"\x01vorbis") {
        (little(packet, 12, 4)?, 0)
    } else {
        return None;
    };
    let last = memchr::memmem::rfind_iter(tail, b"OggS")
        .find(|start| at(tail, start + 4, 1) == Some(&[0]) && at(tail, start + 14, 4) == Some(serial))?;
    let samples = little(tail, last + 6, 8)?;
    // All bits are 1 on a page where no packet ends.
    (samples != u64::MAX).then(|| milliseconds(samples.saturating_sub(before), rate)).flatten()
}

/// MP4 (ISO/IEC 14496-12): boxes of a length and a name; `moov` holds `mvhd`, which has the units of a second and the
/// length in them.
fn mp4(file: &[u8]) -> Option<u64> {
    let head = inner(inner(file, b"moov")?, b"mvhd")?;
    let (rate, units) = match head.first()? {
        0 => (big(head, 12, 4)?, big(head, 16, 4)?),
        1 => (big(head, 20, 4)?, big(head, 24, 8)?),
        _ => return None,
    };
    (units > 0).then(|| milliseconds(units, rate)).flatten()
}

/// What a box of that name holds.
fn inner<'b>(boxes: &'b [u8], wanted: &[u8; 4]) -> Option<&'b [u8]> {
    let mut rest = boxes;
    loop {
        let name = at(rest, 4, 4)?;
        let (length, head) = match big(rest, 0, 4)? {
            0 => (rest.len() as u64, 8),
            1 => (big(rest, 8, 8)?, 16),
            length => (length, 8),
        };
        let length = usize::try_from(length).ok().filter(|length| *length >= head)?;
        if name == wanted {
            return rest.get(head..length.min(rest.len()));
        }
        rest = rest.get(length..)?;
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

    /// A FLAC of so many samples at 44.1 kHz.
    fn flac_of(samples: u64) -> Vec<u8> {
        let mut file = b"fLaC\x80\0\0\x22".to_vec();
        file.extend_from_slice(&[0; 10]);
        file.extend_from_slice(&(44_100_u64 << 44 | 15 << 36 | samples).to_be_bytes());
        file.resize(42, 0);
        file
    }

    /// A page of an Ogg stream.
    fn page(serial: u32, samples: u64, body: &[u8]) -> Vec<u8> {
        let mut page = b"OggS\0\0".to_vec();
        page.extend_from_slice(&samples.to_le_bytes());
        page.extend_from_slice(&serial.to_le_bytes());
        page.extend_from_slice(&[0; 8]);
        page.extend_from_slice(&[1, u8::try_from(body.len()).unwrap()]);
        page.extend_from_slice(body);
        page
    }

    fn mp4_box(name: &[u8; 4], body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + 8).unwrap();
        [&length.to_be_bytes()[..], name, body].concat()
    }

    #[test]
    fn flac_says_its_samples() {
        assert_eq!(length_ms(&flac_of(44_100 * 90)), Some(90_000));
        assert_eq!(length_ms(&flac_of(0)), None);
        assert_eq!(length_ms(&flac_of(1)[..20]), None);
    }

    #[test]
    fn ogg_says_them_on_its_last_page() {
        let opus = page(7, 0, b"OpusHead\x01\x01\x38\x01\x80\xbb\0\0\0\0\0");
        let vorbis = page(7, 0, b"\x01vorbis\0\0\0\0\x01\x80\x3e\0\0");
        let check = |pages: &[Vec<u8>], expect: Option<u64>| assert_eq!(length_ms(&pages.concat()), expect);
        // 312 samples are before the sound.
        check(&[opus.clone(), page(7, 48_312, b"a"), page(7, 96_312, b"b")], Some(2_000));
        check(&[vorbis, page(7, 24_000, b"a")], Some(1_500));
        check(&[opus.clone(), page(7, 48_312, b"a"), page(8, 9, b"another stream")], Some(1_000));
        check(&[opus, page(7, u64::MAX, b"a")], None);
        check(&[page(7, 0, b"fishead"), page(7, 48_000, b"a")], None);
        check(&[b"OggS".to_vec()], None);
    }

    #[test]
    fn mp4_says_its_length_in_units_of_its_own() {
        let movie = |version: u8, numbers: &[u8]| {
            let dates = vec![0; if version == 0 { 8 } else { 16 }];
            mp4_box(b"mvhd", &[&[version, 0, 0, 0][..], &dates, numbers].concat())
        };
        let start = mp4_box(b"ftyp", b"M4A ");
        let file =
            |inner: &[u8]| [start.clone(), mp4_box(b"mdat", &[0; 99]), mp4_box(b"moov", inner)].concat();
        let short = [600_u32.to_be_bytes(), 900_u32.to_be_bytes()].concat();
        assert_eq!(length_ms(&file(&movie(0, &short))), Some(1_500));
        let long = [&600_u32.to_be_bytes()[..], &900_u64.to_be_bytes()].concat();
        assert_eq!(length_ms(&file(&movie(1, &long))), Some(1_500));
        assert_eq!(length_ms(&file(&movie(0, &[0; 8]))), None);
        assert_eq!(length_ms(&file(b"")), None);
        assert_eq!(length_ms(&[&start[..], &[0, 0, 0, 3], b"moov"].concat()), None);
    }

    #[test]
    fn a_sound_on_its_way_past_is_as_long_as_the_file_however_it_is_cut() {
        let mp3 = [&[0xff, 0xfb, 0x90, 0][..], &[0; 413]].concat().repeat(500);
        let samples = vec![0; 64_000];
        let wave = riff(&[(b"fmt ", 16, format().as_slice()), (b"data", u32::MAX, &samples)]);
        let opus = page(7, 0, b"OpusHead\x01\x01\x38\x01\x80\xbb\0\0\0\0\0");
        let pages: Vec<u8> = (1..2_000).flat_map(|at| page(7, at * 960 + 312, &[0; 200])).collect();
        for (kind, file, expect) in [
            ("audio/mpeg", mp3, 13_061),
            ("audio/wav", wave, 2_000),
            ("audio/opus", [opus, pages].concat(), 39_980),
            ("audio/pcm", vec![0; 96_000], 2_000),
        ] {
            for size in [1, 417, 5_000, file.len()] {
                let mut passing = Passing::of_type(kind).unwrap();
                file.chunks(size).for_each(|chunk| passing.push(chunk));
                assert_eq!(passing.length_ms(), Some(expect), "{kind} by {size}");
                assert!(passing.tail.len() <= 2 * TAIL_BYTES_MAX + size);
            }
            if kind != "audio/pcm" {
                assert_eq!(length_ms(&file), Some(expect), "{kind}");
            }
        }
        assert!(Passing::of_type("text/plain").is_none());
        assert_eq!(Passing::of_type("audio/aac").unwrap().length_ms(), None);
    }
}
