//! Amazon's binary event stream (`application/vnd.amazon.eventstream`), read and written.
//!
//! Owns the form of a message: two lengths, a checksum over them, headers, payload, a checksum over all of it (AWS's
//! description of the event stream encoding). Leaves what a payload means to the wire. **Invariant:** the messages,
//! and the bytes that each one takes, are the same for every way of cutting the input into chunks. **Invariant:** a
//! message whose checksums or lengths do not fit is never given out, and none after it.

use crate::json::write::Object;
use crate::sse::Frame;
use crate::wire::ReplyFault;
use bytes::Bytes;

/// The content type of such a stream.
pub const CONTENT_TYPE: &str = "application/vnd.amazon.eventstream";

/// Longest message that is accepted, in bytes: the longest payload that AWS describes, with room for its headers.
pub const MESSAGE_BYTES_MAX: usize = (16 << 20) + (128 << 10);

/// The name under which an error without a shape is given out; its data are `{"__type": code, "message": words}`.
pub const UNMODELLED_ERROR: &str = "error";

/// Bytes of the two lengths and their checksum.
const PRELUDE_BYTES: usize = 12;

/// Bytes of the checksum at the end.
const CHECKSUM_BYTES: usize = 4;

/// Bytes of a message without headers and payload, which is the shortest there is.
const EMPTY_BYTES: usize = PRELUDE_BYTES + CHECKSUM_BYTES;

/// Type 7 of a header's value: a string after a length of two bytes.
const STRING: u8 = 7;

/// Cuts chunks into messages.
#[derive(Debug)]
pub struct EventStreamFramer {
    chunk: Bytes,
    /// How much of the chunk has been taken.
    taken: usize,
    /// A message that began in an earlier chunk and has not ended.
    tail: Vec<u8>,
    /// The message that was put together last from a tail and the begin of a chunk.
    joined: Vec<u8>,
    /// What stands for the payload of an error that is told in headers.
    told: Vec<u8>,
    is_broken: bool,
    bytes_max: usize,
}

/// One message.
#[derive(Debug)]
pub struct Message<'a> {
    /// The type of the event or exception; [`UNMODELLED_ERROR`] for an error without a shape.
    pub name: Option<&'a str>,
    /// The payload.
    pub payload: &'a [u8],
    /// The message as it came, from its first length to its last checksum.
    pub raw: &'a [u8],
    /// Where `raw` begins in the chunk pushed last, where it lies in it.
    pub chunk_offset: Option<usize>,
}

/// The headers that say what a message is. Others (the content type, the service's own) are passed over.
#[derive(Debug, Default)]
struct Headers<'a> {
    message_type: Option<&'a str>,
    event_type: Option<&'a str>,
    exception_type: Option<&'a str>,
    error_code: Option<&'a str>,
    error_message: Option<&'a str>,
}

impl Default for EventStreamFramer {
    fn default() -> Self {
        Self::with_cap(MESSAGE_BYTES_MAX)
    }
}

impl EventStreamFramer {
    /// A framer that accepts messages of up to this many bytes.
    pub fn with_cap(bytes_max: usize) -> Self {
        let (tail, joined, told) = (Vec::new(), Vec::new(), Vec::new());
        Self { chunk: Bytes::new(), taken: 0, tail, joined, told, is_broken: false, bytes_max }
    }

    /// Takes the next chunk of the body. Call [`Self::next_message`] until it gives `None` before the next push:
    /// messages of the chunk before that were not taken are lost.
    pub fn push(&mut self, chunk: Bytes) {
        self.chunk = chunk;
        self.taken = 0;
    }

    /// The next whole message.
    ///
    /// # Errors
    /// [`ReplyFault::Malformed`] when a message is longer than the cap, or its lengths, checksums or headers are wrong.
    /// The stream cannot be read on from there.
    pub fn next_message(&mut self) -> Result<Option<Message<'_>>, ReplyFault> {
        if self.is_broken {
            return Err(ReplyFault::Malformed("the event stream is broken"));
        }
        let place = self.next_place().inspect_err(|_| self.is_broken = true)?;
        let Some((chunk_offset, length)) = place else { return Ok(None) };
        let raw = match chunk_offset {
            Some(start) => self.chunk.get(start..start + length).unwrap_or_default(),
            None => &self.joined,
        };
        match read_message(raw, &mut self.told) {
            Ok((name, payload)) => {
                let payload = payload.unwrap_or(&self.told);
                Ok(Some(Message { name, payload, raw, chunk_offset }))
            }
            Err(fault) => {
                self.is_broken = true;
                Err(fault)
            }
        }
    }

    /// The next whole message as a frame: its name is the event, its payload the data.
    ///
    /// # Errors
    /// As [`Self::next_message`].
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, ReplyFault> {
        Ok(self.next_message()?.map(|message| Frame::new(message.name, message.payload)))
    }

    /// A message has begun and not ended.
    pub fn has_pending(&self) -> bool {
        !self.tail.is_empty()
    }

    /// Where the next whole message lies: its offset in the chunk (`None` for the joined one) and its length.
    fn next_place(&mut self) -> Result<Option<(Option<usize>, usize)>, ReplyFault> {
        if !self.tail.is_empty() {
            self.fill_tail(PRELUDE_BYTES);
        }
        let rest = self.chunk.get(self.taken..).unwrap_or_default();
        let head = if self.tail.is_empty() { rest } else { &self.tail };
        let Some(length) = message_length(head, self.bytes_max)? else {
            if self.tail.is_empty() {
                self.fill_tail(rest.len());
            }
            return Ok(None);
        };
        if self.tail.is_empty() && rest.len() >= length {
            let start = self.taken;
            self.taken += length;
            return Ok(Some((Some(start), length)));
        }
        self.fill_tail(length);
        if self.tail.len() < length {
            return Ok(None);
        }
        std::mem::swap(&mut self.tail, &mut self.joined);
        self.tail.clear();
        Ok(Some((None, length)))
    }

    /// Moves bytes of the chunk to the tail until it has this many, or the chunk has no more.
    fn fill_tail(&mut self, length: usize) {
        let rest = self.chunk.get(self.taken..).unwrap_or_default();
        let wanted = length.saturating_sub(self.tail.len()).min(rest.len());
        self.tail.extend_from_slice(rest.get(..wanted).unwrap_or_default());
        self.taken += wanted;
    }
}

/// The length of the message that begins here; `None` while its prelude is not whole.
fn message_length(head: &[u8], bytes_max: usize) -> Result<Option<usize>, ReplyFault> {
    let Some(prelude) = head.get(..PRELUDE_BYTES) else { return Ok(None) };
    let (Some(total), Some(headers), Some(checksum)) =
        (word_at(prelude, 0), word_at(prelude, 4), word_at(prelude, 8))
    else {
        return Ok(None);
    };
    if prelude.get(..8).map(crc32fast::hash) != Some(checksum) {
        return Err(ReplyFault::Malformed("the checksum of a message's prelude is wrong"));
    }
    let (Ok(total), Ok(headers)) = (usize::try_from(total), usize::try_from(headers)) else {
        return Err(ReplyFault::Malformed("a message of the event stream is too long"));
    };
    if total > bytes_max {
        return Err(ReplyFault::Malformed("a message of the event stream is too long"));
    }
    if total < EMPTY_BYTES || headers > total - EMPTY_BYTES {
        return Err(ReplyFault::Malformed("the lengths of a message do not fit each other"));
    }
    Ok(Some(total))
}

/// What a whole message says: its name and its payload, which is in `told` for an error that is told in headers.
fn read_message<'a>(
    raw: &'a [u8],
    told: &mut Vec<u8>,
) -> Result<(Option<&'a str>, Option<&'a [u8]>), ReplyFault> {
    const LENGTHS: ReplyFault = ReplyFault::Malformed("the lengths of a message do not fit each other");
    let body_end = raw.len().saturating_sub(CHECKSUM_BYTES);
    let (body, checksum) = (raw.get(..body_end), word_at(raw, body_end));
    if body.map(crc32fast::hash) != checksum {
        return Err(ReplyFault::Malformed("the checksum of a message is wrong"));
    }
    let length = word_at(raw, 4).and_then(|length| usize::try_from(length).ok()).ok_or(LENGTHS)?;
    let headers = raw.get(PRELUDE_BYTES..PRELUDE_BYTES + length).ok_or(LENGTHS)?;
    let payload = raw.get(PRELUDE_BYTES + length..body_end).ok_or(LENGTHS)?;
    let headers =
        Headers::read(headers).ok_or(ReplyFault::Malformed("the headers of a message are broken"))?;
    Ok(match headers.message_type {
        Some("error") => {
            told.clear();
            let mut error = Object::open(told);
            error.string("__type", headers.error_code.unwrap_or_default());
            error.string("message", headers.error_message.unwrap_or_default());
            error.close();
            (Some(UNMODELLED_ERROR), None)
        }
        Some("exception") => (headers.exception_type.or(Some(UNMODELLED_ERROR)), Some(payload)),
        _ => (headers.event_type, Some(payload)),
    })
}

impl<'a> Headers<'a> {
    /// Reads the headers; `None` when they are cut or of an unknown type, which has no known length.
    fn read(mut bytes: &'a [u8]) -> Option<Self> {
        let mut headers = Self::default();
        while !bytes.is_empty() {
            let name_length = usize::from(take(&mut bytes, 1)?.first().copied()?);
            let name = take(&mut bytes, name_length)?;
            let kind = take(&mut bytes, 1)?.first().copied()?;
            let length = match kind {
                // True and false.
                0 | 1 => 0,
                2 => 1,
                3 => 2,
                4 => 4,
                // A long number and a time.
                5 | 8 => 8,
                // Bytes and a string, after their length.
                6 | STRING => {
                    let length = take(&mut bytes, 2)?;
                    usize::from(u16::from_be_bytes(length.try_into().ok()?))
                }
                // A UUID.
                9 => 16,
                _ => return None,
            };
            let value = take(&mut bytes, length)?;
            if kind == STRING {
                headers.note(name, std::str::from_utf8(value).ok()?);
            }
        }
        Some(headers)
    }

    fn note(&mut self, name: &[u8], value: &'a str) {
        let place = match name {
            b":message-type" => &mut self.message_type,
            b":event-type" => &mut self.event_type,
            b":exception-type" => &mut self.exception_type,
            b":error-code" => &mut self.error_code,
            b":error-message" => &mut self.error_message,
            _ => return,
        };
        *place = Some(value);
    }
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(taken)
}

fn word_at(bytes: &[u8], start: usize) -> Option<u32> {
    let word = bytes.get(start..start.checked_add(4)?)?;
    Some(u32::from_be_bytes(word.try_into().ok()?))
}

/// Appends an event of this type, with JSON as its payload.
pub fn write_event(kind: &str, payload: &[u8], out: &mut Vec<u8>) {
    let headers = [(":event-type", kind), (":content-type", "application/json"), (":message-type", "event")];
    write_message(&headers, payload, out);
}

/// Appends an exception of this type, with JSON as its payload.
pub fn write_exception(kind: &str, payload: &[u8], out: &mut Vec<u8>) {
    let headers =
        [(":exception-type", kind), (":content-type", "application/json"), (":message-type", "exception")];
    write_message(&headers, payload, out);
}

/// Appends a message with headers of strings. Names are cut after 255 bytes and values after 65,535, which is as long
/// as the encoding lets them be.
pub fn write_message(headers: &[(&str, &str)], payload: &[u8], out: &mut Vec<u8>) {
    let cut = |text: &str, bytes_max: usize| text.len().min(bytes_max);
    let lengths = headers.iter().map(|(name, value)| {
        // The length of the name, the type and the length of the value take four bytes.
        cut(name, usize::from(u8::MAX)) + cut(value, usize::from(u16::MAX)) + 4
    });
    let header_bytes: usize = lengths.sum();
    let start = out.len();
    let length = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX).to_be_bytes();
    out.extend_from_slice(&length(EMPTY_BYTES + header_bytes + payload.len()));
    out.extend_from_slice(&length(header_bytes));
    write_checksum(start, out);
    for (name, value) in headers {
        let name = name.as_bytes().get(..usize::from(u8::MAX)).unwrap_or(name.as_bytes());
        let value = value.as_bytes().get(..usize::from(u16::MAX)).unwrap_or(value.as_bytes());
        out.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
        out.extend_from_slice(name);
        out.push(STRING);
        out.extend_from_slice(&u16::try_from(value.len()).unwrap_or(u16::MAX).to_be_bytes());
        out.extend_from_slice(value);
    }
    out.extend_from_slice(payload);
    write_checksum(start, out);
}

/// Appends the checksum of what was written from `start` on.
fn write_checksum(start: usize, out: &mut Vec<u8>) {
    let checksum = crc32fast::hash(out.get(start..).unwrap_or_default());
    out.extend_from_slice(&checksum.to_be_bytes());
}
