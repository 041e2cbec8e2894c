//! The frames of an MP3 (MPEG-1, 2 and 2.5, layer III; ISO/IEC 11172-3 and 13818-3), counted as they come.
//!
//! Owns the heads of frames and what stands before them. Leaves the sound within them alone. **Invariant:** a count is
//! the same however the bytes are cut.

/// Bytes of a frame's head.
const HEAD_BYTES: usize = 4;
/// Bytes of the head of an ID3v2 tag.
const TAG_BYTES: usize = 10;
/// Bytes of a frame's beginning that say whether it is the one that holds an index instead of sound (`Xing`, `Info`).
const INDEX_BYTES: usize = 40;

/// Kilobits a second, by the head's four bits: MPEG-1, and the others.
const RATES_1: [u32; 15] = [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320];
const RATES_2: [u32; 15] = [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];

/// A count of what has come.
#[derive(Debug, Clone, Default)]
pub(super) struct Frames {
    /// Bytes that belong to nothing of interest.
    skip: u64,
    /// The beginning of what follows them.
    head: Vec<u8>,
    /// Sound so far, in samples of one channel.
    samples: u64,
    frames: u64,
    /// Samples a second.
    rate: u32,
    /// What came is no MP3, or its frames have ended.
    is_over: bool,
}

/// One frame's head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Frame {
    bytes: u32,
    samples: u32,
    rate: u32,
}

impl Frames {
    pub(super) fn push(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && !self.is_over {
            let skipped = usize::try_from(self.skip).unwrap_or(usize::MAX).min(bytes.len());
            self.skip -= skipped as u64;
            bytes = bytes.get(skipped..).unwrap_or_default();
            let wanted = self.wanted().saturating_sub(self.head.len()).min(bytes.len());
            self.head.extend_from_slice(bytes.get(..wanted).unwrap_or_default());
            bytes = bytes.get(wanted..).unwrap_or_default();
            if self.head.len() == self.wanted() {
                self.read_head();
            }
        }
    }

    /// How much of what follows has to be seen: its first byte says it.
    fn wanted(&self) -> usize {
        match self.head.first() {
            None => 1,
            Some(b'I') => TAG_BYTES,
            _ if self.frames == 0 => INDEX_BYTES,
            _ => HEAD_BYTES,
        }
    }

    fn read_head(&mut self) {
        let head = std::mem::take(&mut self.head);
        if head.starts_with(b"ID3") && self.frames == 0 {
            // Seven bits of each of four bytes, without the head.
            let size =
                head.iter().skip(6).take(4).fold(0_u64, |size, byte| size << 7 | u64::from(byte & 0x7f));
            self.skip = size;
            return;
        }
        let Some(frame) = read_frame(&head).filter(|frame| self.frames == 0 || frame.rate == self.rate)
        else {
            self.is_over = true;
            return;
        };
        self.skip = u64::from(frame.bytes).saturating_sub(head.len() as u64);
        self.rate = frame.rate;
        let is_index = self.frames == 0 && [&b"Xing"[..], b"Info"].iter().any(|name| contains(&head, name));
        self.samples += if is_index { 0 } else { u64::from(frame.samples) };
        self.frames += 1;
    }

    /// The length so far, as samples and how many are a second; `None` before there are two frames, since the first
    /// bytes of many things look like one.
    pub(super) fn length(&self) -> Option<(u64, u64)> {
        (self.frames >= 2).then_some((self.samples, u64::from(self.rate)))
    }
}

fn contains(bytes: &[u8], name: &[u8]) -> bool {
    memchr::memmem::find(bytes, name).is_some()
}

fn read_frame(head: &[u8]) -> Option<Frame> {
    let &[first, second, third, _, ..] = head else { return None };
    // Eleven bits of 1, and layer III.
    if first != 0xff || second & 0xe6 != 0xe2 {
        return None;
    }
    let version = second >> 3 & 3;
    let (rates, halvings) = match version {
        3 => (RATES_1, 0),
        2 => (RATES_2, 1),
        0 => (RATES_2, 2),
        _ => return None,
    };
    let bits = *rates.get(usize::from(third >> 4))?;
    let rate = *[44_100_u32, 48_000, 32_000].get(usize::from(third >> 2 & 3))? >> halvings;
    let samples = if version == 3 { 1_152 } else { 576 };
    let bytes = samples / 8 * bits * 1_000 / rate + u32::from(third >> 1 & 1);
    (bits > 0).then_some(Frame { bytes, samples, rate })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame of 128 kbit/s at 44.1 kHz: 417 bytes, 1,152 samples.
    fn frame(mark: &[u8]) -> Vec<u8> {
        let mut frame = vec![0xff, 0xfb, 0x90, 0x00];
        frame.resize(417, 0);
        frame[36..36 + mark.len()].copy_from_slice(mark);
        frame
    }

    /// The length, which is the same however the bytes are cut.
    fn length(bytes: &[u8]) -> Option<(u64, u64)> {
        let lengths: Vec<_> = [1, 3, 416, 1_000, bytes.len().max(1)]
            .into_iter()
            .map(|size| {
                let mut frames = Frames::default();
                bytes.chunks(size).for_each(|chunk| frames.push(chunk));
                frames.length()
            })
            .collect();
        assert!(lengths.iter().all(|length| *length == lengths[0]), "{lengths:?}");
        lengths[0]
    }

    #[test]
    fn frames_are_counted_and_what_stands_around_them_is_not() {
        let sound = frame(b"").repeat(10);
        assert_eq!(length(&sound), Some((11_520, 44_100)));
        let indexed = [frame(b"Info"), sound.clone()].concat();
        assert_eq!(length(&indexed), Some((11_520, 44_100)));
        // A tag of 200 bytes before, one of 128 behind.
        let mut tagged = b"ID3\x04\0\0\0\0\x01\x48".to_vec();
        tagged.resize(210, 0xff);
        tagged.extend_from_slice(&sound);
        tagged.extend_from_slice(b"TAG");
        tagged.resize(tagged.len() + 125, 0);
        assert_eq!(length(&tagged), Some((11_520, 44_100)));
        assert_eq!(length(&sound[..4_169]), Some((11_520, 44_100)), "the last one is cut");
        assert_eq!(length(&frame(b"")), None);
        assert_eq!(length(b""), None);
        assert_eq!(length(&[0; 500]), None);
        assert_eq!(length(&[0xff; 500]), None);
    }

    #[test]
    fn heads_are_read_as_the_standard_has_them() {
        let check = |head: [u8; 4], expect: Option<(u32, u32, u32)>| {
            let found = read_frame(&head).map(|frame| (frame.bytes, frame.samples, frame.rate));
            assert_eq!(found, expect, "{head:?}");
        };
        check([0xff, 0xfb, 0x90, 0], Some((417, 1_152, 44_100)));
        check([0xff, 0xfb, 0x92, 0], Some((418, 1_152, 44_100)));
        check([0xff, 0xfb, 0xe4, 0], Some((960, 1_152, 48_000)));
        // MPEG-2 at 24 kHz and 64 kbit/s, and MPEG-2.5 at 8 kHz and 8.
        check([0xff, 0xf3, 0x84, 0], Some((192, 576, 24_000)));
        check([0xff, 0xe3, 0x18, 0], Some((72, 576, 8_000)));
        for wrong in
            [[0xff, 0xfb, 0x00, 0], [0xff, 0xfb, 0xf0, 0], [0xff, 0xfb, 0x9c, 0], [0xff, 0xfd, 0x90, 0]]
        {
            check(wrong, None);
        }
        check([0xff, 0xeb, 0x90, 0], None);
        check([0xfe, 0xfb, 0x90, 0], None);
    }
}
