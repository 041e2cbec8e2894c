//! Sounds: silence in each format, and how long a sound is.
//!
//! Owns: the bytes. Leaves to others: who asked.
//!
//! **Invariant:** WAV, PCM and MP3 are whole and play as silence; of the other formats the head is right and the rest
//! is filler.

/// Samples a second of what is made, as the API's PCM has.
const RATE: u32 = 24_000;
/// Bytes a second of audio whose head cannot be read.
const BYTES_A_SECOND: f64 = 16_000.0;
/// Milliseconds of a frame of MPEG-1 layer III at 44.1 kHz, and its bytes at 128 kbit/s without padding.
const MP3_FRAME_MS: u64 = 26;
const MP3_FRAME_BYTES: usize = 417;

/// The content type of a format.
pub(super) fn content_type(format: &str) -> &'static str {
    match format {
        "opus" => "audio/opus",
        "aac" => "audio/aac",
        "flac" => "audio/flac",
        "wav" => "audio/wav",
        "pcm" => "audio/pcm",
        _ => "audio/mpeg",
    }
}

/// So much silence.
pub(crate) fn silence(format: &str, ms: u64) -> Vec<u8> {
    let samples = usize::try_from(u64::from(RATE) * ms / 1_000).unwrap_or(0);
    let pcm = vec![0; samples * 2];
    match format {
        "pcm" | "pcm16" => pcm,
        "wav" => wav(&pcm),
        "mp3" => {
            let mut frame = vec![0; MP3_FRAME_BYTES];
            if let Some(head) = frame.get_mut(..4) {
                head.copy_from_slice(&[0xff, 0xfb, 0x90, 0x64]);
            }
            frame.repeat(usize::try_from(ms / MP3_FRAME_MS + 1).unwrap_or(1))
        }
        other => {
            let head: &[u8] = match other {
                "flac" => b"fLaC",
                "opus" => b"OggS",
                _ => &[0xff, 0xf1, 0x50, 0x80],
            };
            let filler = usize::try_from(ms).unwrap_or(0);
            head.iter().copied().chain(std::iter::repeat_n(0, filler)).collect()
        }
    }
}

/// A WAV file: mono, 16 bits.
fn wav(pcm: &[u8]) -> Vec<u8> {
    let length = u32::try_from(pcm.len()).unwrap_or(u32::MAX - 36);
    let mut out = b"RIFF".to_vec();
    out.extend((length + 36).to_le_bytes());
    out.extend(b"WAVEfmt ");
    out.extend(16_u32.to_le_bytes());
    out.extend([1, 0, 1, 0]);
    out.extend(RATE.to_le_bytes());
    out.extend((RATE * 2).to_le_bytes());
    out.extend([2, 0, 16, 0]);
    out.extend(b"data");
    out.extend(length.to_le_bytes());
    out.extend(pcm);
    out
}

/// How long a sound is, in seconds: of a WAV file what its head says, of others a guess from their size.
pub(super) fn seconds(audio: &[u8]) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "bodies are far smaller than 2^52 bytes")]
    let bytes = audio.len() as f64;
    let rate = audio.get(28..32).and_then(|rate| <[u8; 4]>::try_from(rate).ok()).map(u32::from_le_bytes);
    match rate.filter(|rate| *rate > 0 && audio.starts_with(b"RIFF")) {
        Some(rate) => (bytes - 44.0).max(0.0) / f64::from(rate),
        None => bytes / BYTES_A_SECOND,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wav_file_is_as_long_as_it_was_asked_for() {
        let wav = silence("wav", 1_500);
        assert_eq!((seconds(&wav), wav.len()), (1.5, 44 + 72_000));
        assert_eq!(seconds(&[0; 8_000]), 0.5);
    }

    #[test]
    fn every_format_has_its_head() {
        for (format, head) in [
            ("mp3", &b"\xff\xfb"[..]),
            ("flac", b"fLaC"),
            ("opus", b"OggS"),
            ("aac", b"\xff\xf1"),
            ("wav", b"RIFF"),
        ] {
            assert!(silence(format, 100).starts_with(head), "{format}");
        }
        assert_eq!(silence("pcm", 1_000).len(), 48_000);
    }
}
