//! What the caller gets for one chunk of a stream: the chunk itself, a slice of it, or one new buffer.
//!
//! **Invariant:** at most one piece comes of a chunk, since every piece costs the caller's connection a write.

use bytes::Bytes;
use std::ops::Range;

/// Collects what is kept of a chunk and what is put in.
#[derive(Debug, Default)]
pub(super) struct Output {
    chunk: Bytes,
    /// What is kept and not yet copied.
    run: Range<usize>,
    built: Vec<u8>,
}

impl Output {
    pub(super) fn new(chunk: Bytes) -> Self {
        Self { chunk, run: 0..0, built: Vec::new() }
    }

    /// Passes on a part of the chunk.
    pub(super) fn keep(&mut self, span: Range<usize>) {
        if self.run.end == span.start && !self.run.is_empty() {
            self.run.end = span.end;
            return;
        }
        self.copy_run();
        self.run = span;
    }

    /// Passes on something that is not in the chunk.
    pub(super) fn insert(&mut self, bytes: &[u8]) {
        self.copy_run();
        if self.built.capacity() == 0 {
            self.built.reserve(self.chunk.len().max(bytes.len()) + bytes.len());
        }
        self.built.extend_from_slice(bytes);
    }

    fn copy_run(&mut self) {
        if self.run.is_empty() {
            return;
        }
        if self.built.capacity() == 0 {
            // Room for the whole chunk and a few longer names.
            self.built.reserve(self.chunk.len() + self.chunk.len() / 4);
        }
        self.built.extend_from_slice(self.chunk.get(self.run.clone()).unwrap_or_default());
        self.run = 0..0;
    }

    /// The last byte so far.
    pub(super) fn last_byte(&self) -> Option<u8> {
        let run = self.chunk.get(self.run.clone()).unwrap_or_default();
        run.last().or(self.built.last()).copied()
    }

    /// Appends the piece, if there is any.
    pub(super) fn flush(mut self, out: &mut Vec<Bytes>) {
        if self.built.is_empty() {
            if !self.run.is_empty() {
                out.push(self.chunk.slice(self.run));
            }
            return;
        }
        self.copy_run();
        out.push(Bytes::from(self.built));
    }
}
