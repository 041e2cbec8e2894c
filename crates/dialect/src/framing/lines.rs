//! One JSON value a line, as Ollama streams.
//!
//! Owns the cut at line ends and the cap on a line. Leaves the JSON to the wire. **Invariant:** the lines are the same
//! for every way of cutting the input into chunks.

use crate::sse::{FRAME_BYTES_MAX, Frame};
use crate::wire::ReplyFault;

/// Cuts chunks into lines; empty ones are passed over.
#[derive(Debug, Default)]
pub struct LineFramer {
    held: Vec<u8>,
    /// Bytes of `held` that were given out.
    taken: usize,
    /// Bytes of `held` in which no line end is, counted from `taken`.
    searched: usize,
}

impl LineFramer {
    /// Takes the next chunk of the body.
    pub fn push(&mut self, chunk: &[u8]) {
        self.held.drain(..self.taken);
        self.taken = 0;
        self.held.extend_from_slice(chunk);
    }

    /// The next whole line, without its end.
    ///
    /// # Errors
    /// [`ReplyFault::Malformed`] when a line is longer than [`FRAME_BYTES_MAX`].
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, ReplyFault> {
        loop {
            let rest = self.held.get(self.taken + self.searched..).unwrap_or_default();
            let Some(length) = memchr::memchr(b'\n', rest).map(|offset| self.searched + offset) else {
                self.searched += rest.len();
                return if self.searched > FRAME_BYTES_MAX {
                    Err(ReplyFault::Malformed("a line of the stream is too long"))
                } else {
                    Ok(None)
                };
            };
            let start = self.taken;
            self.taken = start + length + 1;
            self.searched = 0;
            let is_blank = self.held.get(start..start + length).unwrap_or_default().trim_ascii().is_empty();
            if !is_blank {
                let line = self.held.get(start..start + length).unwrap_or_default();
                return Ok(Some(Frame::new(None, line.trim_ascii())));
            }
        }
    }

    /// What has come of a last line without an end.
    pub fn take_pending(&mut self) -> Option<Frame<'_>> {
        let start = std::mem::replace(&mut self.taken, self.held.len());
        self.searched = 0;
        let line = self.held.get(start..).unwrap_or_default().trim_ascii();
        (!line.is_empty()).then(|| Frame::new(None, line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str, size: usize) -> Vec<String> {
        let mut framer = LineFramer::default();
        let mut lines = Vec::new();
        for chunk in text.as_bytes().chunks(size) {
            framer.push(chunk);
            while let Some(frame) = framer.next_frame().unwrap() {
                lines.push(String::from_utf8(frame.data.to_vec()).unwrap());
            }
        }
        lines.extend(framer.take_pending().map(|frame| String::from_utf8(frame.data.to_vec()).unwrap()));
        lines
    }

    #[test]
    fn lines_are_the_same_however_the_stream_is_cut() {
        let text = "{\"a\":1}\n\r\n  {\"b\":\"é\"}\r\n\n{\"c\":3}";
        for size in 1..=text.len() {
            assert_eq!(lines(text, size), ["{\"a\":1}", "{\"b\":\"é\"}", "{\"c\":3}"], "{size}");
        }
    }

    #[test]
    fn a_line_without_end_is_refused_at_the_cap() {
        let mut framer = LineFramer::default();
        framer.push(&vec![b'x'; FRAME_BYTES_MAX + 1]);
        assert!(framer.next_frame().is_err());
    }
}
