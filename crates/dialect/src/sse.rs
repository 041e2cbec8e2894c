//! Server-sent-event framing: chunks of bytes in, frames out.
//!
//! Owns the line and field grammar of the WHATWG event stream and the cap on one frame. Leaves what the data means to
//! each wire. **Invariant:** the frames, and the bytes that each one takes, are the same for every way of cutting the
//! input into chunks. **Invariant:** a frame that lies within one chunk is not copied.

use crate::wire::ReplyFault;
use bytes::Bytes;
use std::borrow::Cow;
use std::ops::Range;

/// Longest frame that is accepted, in bytes, its line ends included. Well above any text delta; wires that carry
/// whole pictures in one frame ask for more through [`Framer::with_cap`].
pub const FRAME_BYTES_MAX: usize = 1 << 20;

/// The byte order mark that a stream may begin with.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// One event of a stream, borrowed from the framer.
#[derive(Debug, Clone)]
pub struct Frame<'a> {
    /// The `event:` field, the last one where there are several.
    pub event: Option<&'a str>,
    /// The `data:` fields, joined by LF.
    pub data: Cow<'a, [u8]>,
    has_data: bool,
    raw: &'a [u8],
    /// Where the data begin in `raw`, where they are one piece of it.
    data_offset: Option<usize>,
    /// Where `raw` begins in the chunk pushed last, where it lies in it.
    chunk_offset: Option<usize>,
}

impl<'a> Frame<'a> {
    /// A frame made of its parts, for callers that frame by other means.
    pub fn new(event: Option<&'a str>, data: &'a [u8]) -> Self {
        let data_offset = Some(0);
        Self { event, data: Cow::Borrowed(data), has_data: true, raw: data, data_offset, chunk_offset: None }
    }

    /// The frame as it came: from the first byte after the frame before to the end of its blank line.
    pub fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// Whether there is any `data:` field; without one, a frame is a comment or is to be ignored.
    pub fn has_data(&self) -> bool {
        self.has_data
    }

    pub(crate) fn data_offset(&self) -> Option<usize> {
        self.data_offset
    }

    pub(crate) fn chunk_offset(&self) -> Option<usize> {
        self.chunk_offset
    }
}

/// Cuts chunks into frames.
#[derive(Debug)]
pub struct Framer {
    chunk: Bytes,
    /// How much of the chunk has been taken.
    taken: usize,
    /// A frame that began in an earlier chunk and has not ended.
    tail: Vec<u8>,
    /// The frame that was put together last from a tail and the begin of a chunk.
    joined: Vec<u8>,
    boundary: Boundary,
    is_first: bool,
    bytes_max: usize,
}

/// Where a block lies and what its fields are, in offsets of its raw bytes.
#[derive(Debug, Clone)]
struct Block {
    /// Offset in the chunk; `None` for a joined one.
    chunk_offset: Option<usize>,
    len: usize,
    fields: Fields,
}

impl Default for Framer {
    fn default() -> Self {
        Self::with_cap(FRAME_BYTES_MAX)
    }
}

impl Framer {
    /// A framer at the beginning of a stream, with [`FRAME_BYTES_MAX`] as its cap.
    pub fn new() -> Self {
        Self::default()
    }

    /// A framer that accepts frames of up to this many bytes.
    pub fn with_cap(bytes_max: usize) -> Self {
        Self {
            chunk: Bytes::new(),
            taken: 0,
            tail: Vec::new(),
            joined: Vec::new(),
            boundary: Boundary::default(),
            is_first: true,
            bytes_max,
        }
    }

    /// Takes the next chunk of the body. Call [`Framer::next_frame`] until it gives `None` before the next push: frames
    /// of the chunk before that were not taken are lost.
    pub fn push(&mut self, chunk: Bytes) {
        self.chunk = chunk;
        self.taken = 0;
    }

    /// The next whole frame that has data; comments and frames without a `data:` field are passed over.
    ///
    /// # Errors
    /// [`ReplyFault::Malformed`] when a frame is longer than the cap.
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, ReplyFault> {
        loop {
            match self.next_place()? {
                None => return Ok(None),
                Some(block) if block.fields.data.is_none() => {}
                Some(block) => return Ok(Some(self.frame(&block))),
            }
        }
    }

    /// The next whole block, comments and frames without data included: for those who pass on every byte.
    ///
    /// # Errors
    /// As [`Framer::next_frame`].
    pub fn next_block(&mut self) -> Result<Option<Frame<'_>>, ReplyFault> {
        Ok(self.next_place()?.map(|block| self.frame(&block)))
    }

    /// The bytes of a frame whose end has not come. WHATWG discards them at the end of the input.
    pub fn pending(&self) -> &[u8] {
        &self.tail
    }

    /// At the end of the input: what is pending, read as if its blank line had come, if there is any data in it
    /// (providers that close early often leave out the blank line after `data: [DONE]`).
    pub fn take_pending(&mut self) -> Option<Frame<'_>> {
        let block = self.join(0);
        block.fields.data.as_ref()?;
        Some(self.frame(&block))
    }

    fn next_place(&mut self) -> Result<Option<Block>, ReplyFault> {
        let rest = self.chunk.get(self.taken..).unwrap_or_default();
        let Some(len) = self.boundary.find_end(rest) else {
            self.tail.extend_from_slice(rest);
            self.taken = self.chunk.len();
            return if self.tail.len() > self.bytes_max { Err(self.overflow()) } else { Ok(None) };
        };
        if self.tail.len() + len > self.bytes_max {
            return Err(self.overflow());
        }
        if !self.tail.is_empty() {
            return Ok(Some(self.join(len)));
        }
        let fields = Fields::read(rest.get(..len).unwrap_or_default(), self.is_first);
        let block = Block { chunk_offset: Some(self.taken), len, fields };
        self.taken += len;
        self.is_first = false;
        Ok(Some(block))
    }

    /// Puts the tail and this many bytes of the chunk together.
    fn join(&mut self, len: usize) -> Block {
        let rest = self.chunk.get(self.taken..).unwrap_or_default();
        self.tail.extend_from_slice(rest.get(..len).unwrap_or_default());
        self.taken += len;
        std::mem::swap(&mut self.tail, &mut self.joined);
        self.tail.clear();
        self.boundary = Boundary::default();
        let fields = Fields::read(&self.joined, self.is_first);
        self.is_first = false;
        Block { chunk_offset: None, len: self.joined.len(), fields }
    }

    /// Lets go of everything, so that a caller who goes on regardless gets no half frame.
    fn overflow(&mut self) -> ReplyFault {
        self.tail = Vec::new();
        self.taken = self.chunk.len();
        self.boundary = Boundary::default();
        ReplyFault::Malformed("an event of the stream is longer than the limit")
    }

    fn frame(&self, block: &Block) -> Frame<'_> {
        let raw = match block.chunk_offset {
            Some(start) => self.chunk.get(start..start + block.len).unwrap_or_default(),
            None => &self.joined,
        };
        let Fields { event, data, has_many_data, begin } = &block.fields;
        let event = event.clone().and_then(|span| raw.get(span));
        let one_piece = data.clone().filter(|_| !has_many_data);
        let data = match (&one_piece, data) {
            (Some(span), _) => Cow::Borrowed(raw.get(span.clone()).unwrap_or_default()),
            (None, Some(_)) => Cow::Owned(join_data(raw, *begin)),
            (None, None) => Cow::Borrowed(&[][..]),
        };
        Frame {
            // A name that is not UTF-8 is no name that anybody knows.
            event: event.map(|name| std::str::from_utf8(name).unwrap_or("\u{FFFD}")),
            has_data: block.fields.data.is_some(),
            data,
            raw,
            data_offset: one_piece.map(|span| span.start),
            chunk_offset: block.chunk_offset,
        }
    }
}

/// The fields that matter here. `id` and `retry` serve reconnecting, which no provider's stream supports.
#[derive(Debug, Clone, Default)]
struct Fields {
    /// Where the first line begins: after the byte order mark, if there is one.
    begin: usize,
    event: Option<Range<usize>>,
    /// The value of the first `data:` field.
    data: Option<Range<usize>>,
    has_many_data: bool,
}

impl Fields {
    fn read(raw: &[u8], is_first: bool) -> Self {
        let has_mark = is_first && raw.starts_with(BYTE_ORDER_MARK);
        let begin = if has_mark { BYTE_ORDER_MARK.len() } else { 0 };
        let mut fields = Self { begin, ..Self::default() };
        each_field(raw, begin, |name, value| match name {
            b"data" if fields.data.is_none() => fields.data = Some(value),
            b"data" => fields.has_many_data = true,
            b"event" => fields.event = Some(value),
            _ => {}
        });
        fields.event = fields.event.filter(|span| !span.is_empty());
        fields
    }
}

/// The values of all `data:` fields.
fn join_data(raw: &[u8], begin: usize) -> Vec<u8> {
    let mut joined = Vec::with_capacity(raw.len());
    let mut is_first = true;
    each_field(raw, begin, |name, value| {
        if name == b"data" {
            if !is_first {
                joined.push(b'\n');
            }
            is_first = false;
            joined.extend_from_slice(raw.get(value).unwrap_or_default());
        }
    });
    joined
}

/// Calls `each` with the name and the span of the value of every field of a block.
fn each_field<'a>(raw: &'a [u8], begin: usize, mut each: impl FnMut(&'a [u8], Range<usize>)) {
    let mut start = begin;
    while start < raw.len() {
        let rest = raw.get(start..).unwrap_or_default();
        let end = start + memchr::memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
        let line = raw.get(start..end).unwrap_or_default();
        // Nearly every line is `data: ...`; the colon of others is near the start too.
        let colon = line.iter().position(|&byte| byte == b':').unwrap_or(line.len());
        let name = line.get(..colon).unwrap_or_default();
        let value = (colon + 1).min(line.len());
        let space = usize::from(line.get(value) == Some(&b' '));
        if !name.is_empty() {
            each(name, start + value + space..end);
        }
        start = end + 1;
    }
}

/// Finds the blank line that ends a block, over any cutting of the input.
///
/// Blank lines before a block belong to it. A CR that ends a block after a line that ended with CR LF (or LF) takes
/// the LF that may follow with it, so the block is known to be over only when the next byte comes; after a line that
/// ended with a bare CR the block ends at once, since such a stream has no LF to wait for.
#[derive(Debug, Clone, Copy, Default)]
struct Boundary {
    has_line: bool,
    is_line_open: bool,
    is_after_cr: bool,
    is_ending: bool,
}

impl Boundary {
    /// Reads on. The offset after the block's last byte, once it is known; the state is then that of a new block.
    fn find_end(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        loop {
            if self.is_after_cr {
                let next = *bytes.get(at)?;
                self.is_after_cr = false;
                at += usize::from(next == b'\n');
                let is_bare_pair = next == b'\r' && self.has_line;
                if self.is_ending || is_bare_pair {
                    let is_pair_end = !self.is_ending && is_bare_pair;
                    *self = Self::default();
                    return Some(at + usize::from(is_pair_end));
                }
            }
            let rest = bytes.get(at..).unwrap_or_default();
            let Some(len) = memchr::memchr2(b'\n', b'\r', rest) else {
                self.is_line_open |= !rest.is_empty();
                return None;
            };
            let is_blank = len == 0 && !self.is_line_open;
            let is_end = is_blank && self.has_line;
            self.has_line |= !is_blank;
            self.is_line_open = false;
            at += len;
            if bytes.get(at) == Some(&b'\r') {
                self.is_after_cr = true;
                self.is_ending = is_end;
            } else if is_end {
                *self = Self::default();
                return Some(at + 1);
            }
            at += 1;
        }
    }
}
