//! Decompression of a provider's reply, capped.
//!
//! The gateway asks for no encoding; a provider that compresses all the same is understood for gzip, deflate and
//! brotli (RFC 7932).
//! **Invariant:** no more than `bytes_max` come out in all, and never more than [`RATIO_MAX`] times what went in (beyond a
//! small allowance), so that a bomb is cut early.

use crate::failure::{Failure, Kind, Phase};
use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};
use bytes::Bytes;
use flate2::write::{MultiGzDecoder, ZlibDecoder};
use std::io::Write;

/// Most bytes out per byte in.
const RATIO_MAX: u64 = 100;
/// Bytes out that are always fine, whatever the ratio.
const ALLOWANCE: u64 = 64 * 1024;
/// Input is fed in pieces of this size, so that one piece cannot expand beyond about a megabyte before it is judged.
const PIECE: usize = 1_024;

/// Most bytes that one piece of brotli may become before it is judged; deflate's own format allows no more.
const PIECE_OUT_MAX: usize = 1 << 20;
/// Bytes that brotli is asked for at a time.
const STEP: usize = 16 << 10;

enum Decoder {
    Brotli(Box<Brotli>),
    Gzip(MultiGzDecoder<Vec<u8>>),
    Zlib(ZlibDecoder<Vec<u8>>),
}

/// Brotli by steps: the format sets no bound on what one byte may become, so the output is judged within a piece.
struct Brotli {
    state: BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>,
    out: Vec<u8>,
    is_over: bool,
}

impl Brotli {
    fn new() -> Self {
        let alloc = StandardAlloc::default;
        Self { state: BrotliState::new(alloc(), alloc(), alloc()), out: Vec::new(), is_over: false }
    }

    fn write(&mut self, piece: &[u8]) -> Result<(), Failure> {
        let (mut left, mut read, mut total) = (piece.len(), 0, 0);
        let mut step = vec![0; STEP];
        while !self.is_over {
            let (mut room, mut written) = (step.len(), 0);
            let result = BrotliDecompressStream(
                &mut left,
                &mut read,
                piece,
                &mut room,
                &mut written,
                &mut step,
                &mut total,
                &mut self.state,
            );
            self.out.extend_from_slice(step.get(..written).unwrap_or_default());
            match result {
                BrotliResult::NeedsMoreInput => return Ok(()),
                BrotliResult::NeedsMoreOutput if self.out.len() > PIECE_OUT_MAX => return Err(too_large()),
                BrotliResult::NeedsMoreOutput => {}
                BrotliResult::ResultSuccess => self.is_over = true,
                BrotliResult::ResultFailure => return Err(invalid()),
            }
        }
        if left == 0 { Ok(()) } else { Err(invalid()) }
    }
}

fn invalid() -> Failure {
    Failure::new(Kind::Protocol, Phase::Reading, "the reply is not valid compressed data")
}

fn too_large() -> Failure {
    Failure::new(Kind::TooLarge, Phase::Reading, "the reply decompresses beyond the cap")
}

/// A running decompression.
pub(crate) struct Inflate {
    decoder: Decoder,
    bytes_in: u64,
    bytes_out: u64,
    bytes_max: u64,
}

impl Inflate {
    /// For a `content-encoding`; `None` when there is nothing to undo.
    pub(crate) fn for_encoding(encoding: Option<&[u8]>, bytes_max: u64) -> Result<Option<Self>, Failure> {
        let Some(encoding) = encoding else { return Ok(None) };
        // Names of encodings have no case (RFC 9110, 8.4.1).
        let decoder = match encoding.trim_ascii().to_ascii_lowercase().as_slice() {
            b"" | b"identity" => return Ok(None),
            b"gzip" | b"x-gzip" => Decoder::Gzip(MultiGzDecoder::new(Vec::new())),
            b"br" => Decoder::Brotli(Box::new(Brotli::new())),
            b"deflate" => Decoder::Zlib(ZlibDecoder::new(Vec::new())),
            _ => return Err(Failure::new(Kind::Protocol, Phase::Reading, "unknown content-encoding")),
        };
        Ok(Some(Self { decoder, bytes_in: 0, bytes_out: 0, bytes_max }))
    }

    /// What a chunk decompresses to; may be empty.
    pub(crate) fn push(&mut self, chunk: &[u8]) -> Result<Bytes, Failure> {
        let mut out = Vec::new();
        for piece in chunk.chunks(PIECE) {
            self.bytes_in += piece.len() as u64;
            self.write(piece)?;
            self.take(&mut out)?;
        }
        self.flush()?;
        self.take(&mut out)?;
        Ok(Bytes::from(out))
    }

    /// The provider has sent everything.
    pub(crate) fn finish(&mut self) -> Result<Bytes, Failure> {
        if self.bytes_in == 0 {
            // No body at all: the answer to HEAD, or 304.
            return Ok(Bytes::new());
        }
        let is_whole = match &mut self.decoder {
            Decoder::Brotli(decoder) => decoder.is_over,
            Decoder::Gzip(decoder) => decoder.try_finish().is_ok(),
            Decoder::Zlib(decoder) => decoder.try_finish().is_ok(),
        };
        if !is_whole {
            return Err(Failure::new(Kind::Protocol, Phase::Reading, "the compressed reply ended early"));
        }
        let mut out = Vec::new();
        self.take(&mut out)?;
        Ok(Bytes::from(out))
    }

    fn write(&mut self, piece: &[u8]) -> Result<(), Failure> {
        let written = match &mut self.decoder {
            Decoder::Brotli(decoder) => return decoder.write(piece),
            Decoder::Gzip(decoder) => decoder.write_all(piece),
            Decoder::Zlib(decoder) => decoder.write_all(piece),
        };
        written.map_err(|_| invalid())
    }

    fn flush(&mut self) -> Result<(), Failure> {
        let flushed = match &mut self.decoder {
            Decoder::Brotli(_) => Ok(()),
            Decoder::Gzip(decoder) => decoder.flush(),
            Decoder::Zlib(decoder) => decoder.flush(),
        };
        flushed.map_err(|_| invalid())
    }

    fn take(&mut self, out: &mut Vec<u8>) -> Result<(), Failure> {
        let inner = match &mut self.decoder {
            Decoder::Brotli(decoder) => &mut decoder.out,
            Decoder::Gzip(decoder) => decoder.get_mut(),
            Decoder::Zlib(decoder) => decoder.get_mut(),
        };
        self.bytes_out += inner.len() as u64;
        out.append(inner);
        let by_ratio = self.bytes_in.saturating_mul(RATIO_MAX).saturating_add(ALLOWANCE);
        if self.bytes_out > self.bytes_max.min(by_ratio) {
            return Err(too_large());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::{GzEncoder, ZlibEncoder};

    const MAX: u64 = 1 << 20;

    fn gzip(plain: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    fn inflate(encoding: &str, packed: &[u8], chunk: usize, max: u64) -> Result<Vec<u8>, Kind> {
        let mut inflate = Inflate::for_encoding(Some(encoding.as_bytes()), max).map_err(|f| f.kind)?.unwrap();
        let mut out = Vec::new();
        for chunk in packed.chunks(chunk) {
            out.extend_from_slice(&inflate.push(chunk).map_err(|f| f.kind)?);
        }
        out.extend_from_slice(&inflate.finish().map_err(|f| f.kind)?);
        Ok(out)
    }

    #[test]
    fn gzip_and_deflate_come_out_whole_however_they_are_cut() {
        let plain: Vec<u8> =
            (0..50_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
        zlib.write_all(&plain).unwrap();
        let zlib = zlib.finish().unwrap();
        for chunk in [1, 7, 1_000, 1_000_000] {
            assert_eq!(inflate("gzip", &gzip(&plain), chunk, MAX).unwrap(), plain);
            assert_eq!(inflate("deflate", &zlib, chunk, MAX).unwrap(), plain);
        }
    }

    /// An event stream, every event flushed, as Python's `brotli` 1.2 packs it at quality 5.
    const BROTLI: &[u8] = include_bytes!("../tests/fixtures/events.br");
    const EVENTS: &str = include_str!("../tests/fixtures/events.txt");
    /// 64 MiB of zeros in 106 bytes.
    const BROTLI_BOMB: &[u8] = include_bytes!("../tests/fixtures/zeros.br");

    #[test]
    fn brotli_comes_out_whole_however_it_is_cut_and_event_by_event() {
        for chunk in [1, 2, 3, 7, 64, 100_000] {
            assert_eq!(inflate("br", BROTLI, chunk, MAX).unwrap(), EVENTS.as_bytes(), "{chunk}");
        }
        let mut inflate = Inflate::for_encoding(Some(b"br"), MAX).unwrap().unwrap();
        let mut pieces = 0;
        for byte in BROTLI {
            pieces += usize::from(!inflate.push(&[*byte]).unwrap().is_empty());
        }
        assert!(pieces >= EVENTS.matches("data: ").count(), "{pieces}");
    }

    #[test]
    fn a_brotli_stream_that_is_cut_false_or_a_bomb_is_a_failure() {
        assert_eq!(inflate("br", &BROTLI[..BROTLI.len() - 1], 64, MAX), Err(Kind::Protocol));
        assert_eq!(inflate("br", b"<html>no brotli</html>", 64, MAX), Err(Kind::Protocol));
        let trailing = [BROTLI, b"more"].concat();
        assert_eq!(inflate("br", &trailing, 64, MAX), Err(Kind::Protocol));
        assert_eq!(inflate("br", BROTLI_BOMB, 1_024, 64 << 20), Err(Kind::TooLarge));
        assert_eq!(inflate("br", b"", 1, MAX).unwrap(), b"");
    }

    #[test]
    fn a_bomb_is_cut_by_ratio_and_a_large_reply_by_size() {
        assert_eq!(inflate("gzip", &gzip(&vec![0; 10 << 20]), 4_096, 64 << 20), Err(Kind::TooLarge));
        let noise: Vec<u8> =
            (0..400_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
        assert_eq!(inflate("gzip", &gzip(&noise), 4_096, MAX), Err(Kind::TooLarge));
    }

    #[test]
    fn a_truncated_or_false_stream_is_a_protocol_failure() {
        let packed = gzip(b"hello hello hello");
        assert_eq!(inflate("gzip", &packed[..packed.len() - 6], 4, MAX), Err(Kind::Protocol));
        assert_eq!(inflate("gzip", b"<html>not gzip</html>", 4_096, MAX), Err(Kind::Protocol));
    }

    #[test]
    fn an_encoded_body_that_is_not_there_is_empty() {
        assert_eq!(inflate("gzip", b"", 1, MAX).unwrap(), b"");
        assert_eq!(inflate("Deflate", b"", 1, MAX).unwrap(), b"");
        assert_eq!(inflate("X-GZIP", &gzip(b"x"), 1, MAX).unwrap(), b"x");
    }

    #[test]
    fn unknown_encodings_are_refused_and_identity_is_nothing() {
        assert_eq!(Inflate::for_encoding(Some(b"zstd"), MAX).err().map(|f| f.kind), Some(Kind::Protocol));
        assert_eq!(
            Inflate::for_encoding(Some(b"gzip, gzip"), MAX).err().map(|f| f.kind),
            Some(Kind::Protocol)
        );
        assert!(Inflate::for_encoding(Some(b"identity"), MAX).unwrap().is_none());
        assert!(Inflate::for_encoding(None, MAX).unwrap().is_none());
    }
}
