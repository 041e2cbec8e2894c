//! Just enough HTTP/1.1 for a load generator and its stand-in: where a message ends, and its body as it arrives.
//!
//! Trusts its peers: both ends are the benchmark's own or a proxy under measurement. Not for untrusted bytes.
//!
//! **Invariant**: a message is never said to be complete before its last byte was read.

use std::io;

use memchr::{memchr, memmem};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The longest message head that is waited for, bytes.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// The length of the head with its empty line, if it is complete.
pub(crate) fn head_length(bytes: &[u8]) -> Option<usize> {
    memmem::find(bytes, b"\r\n\r\n").map(|at| at + 4)
}

/// The value of a header of a complete head, spaces trimmed. `name` is lower case.
pub(crate) fn header<'a>(head: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let mut rest = head;
    while let Some(end) = memchr(b'\n', rest) {
        let line = rest.get(..end).unwrap_or_default();
        rest = rest.get(end + 1..).unwrap_or_default();
        if let Some((key, value)) = line.split_at_checked(name.len())
            && key.eq_ignore_ascii_case(name.as_bytes())
            && let Some(value) = value.strip_prefix(b":")
        {
            return Some(value.trim_ascii());
        }
    }
    None
}

/// The length of the whole message, head and `content-length` body, if its head is complete.
pub(crate) fn message_length(bytes: &[u8]) -> Option<usize> {
    let head = head_length(bytes)?;
    let length = header(bytes.get(..head)?, "content-length").and_then(decimal).unwrap_or(0);
    Some(head + length)
}

fn decimal(text: &[u8]) -> Option<usize> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Reads until the buffer starts with a complete message with a `content-length`; gives that message's length, or
/// `None` when the peer closed between messages.
///
/// # Errors
/// When the socket fails, closes within a message, or sends a head without end.
pub(crate) async fn read_message<R: AsyncRead + Unpin>(
    socket: &mut R,
    buffer: &mut Vec<u8>,
) -> io::Result<Option<usize>> {
    let mut wanted = None;
    loop {
        if wanted.is_none() {
            wanted = message_length(buffer);
        }
        match wanted {
            Some(length) if buffer.len() >= length => return Ok(Some(length)),
            Some(length) => buffer.reserve(length - buffer.len()),
            None if buffer.len() > HEAD_BYTES_MAX => return Err(io::ErrorKind::InvalidData.into()),
            None => buffer.reserve(4096),
        }
        if socket.read_buf(buffer).await? == 0 {
            let between = buffer.is_empty();
            return if between { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
        }
    }
}

/// A client connection that is used for one request after the other.
pub(crate) struct Client {
    socket: TcpStream,
    buffer: Vec<u8>,
    head: Vec<u8>,
}

impl Client {
    /// Connects to a port of this machine.
    ///
    /// # Errors
    /// When nobody listens there.
    pub(crate) async fn connect(port: u16) -> io::Result<Self> {
        let socket = TcpStream::connect(("127.0.0.1", port)).await?;
        socket.set_nodelay(true)?;
        Ok(Self { socket, buffer: Vec::with_capacity(16 * 1024), head: Vec::with_capacity(4 * 1024) })
    }

    /// Sends a request and reads its whole reply; `on_body` gets each part of the body as it arrives.
    /// Gives the status.
    ///
    /// # Errors
    /// When the socket fails, or the reply is not HTTP/1.1 with a length or in chunks.
    pub(crate) async fn exchange(
        &mut self,
        request: &[u8],
        mut on_body: impl FnMut(&[u8]),
    ) -> io::Result<u16> {
        self.socket.write_all(request).await?;
        self.buffer.clear();
        let head = loop {
            self.fill().await?;
            if let Some(head) = head_length(&self.buffer) {
                break head;
            }
        };
        let bytes = self.buffer.get(..head).unwrap_or_default();
        let status = bytes.get(9..12).and_then(decimal).ok_or(io::ErrorKind::InvalidData)?;
        let length = header(bytes, "content-length").and_then(decimal);
        let chunked = header(bytes, "transfer-encoding").is_some_and(|value| value.ends_with(b"chunked"));
        self.head.clear();
        self.head.extend_from_slice(bytes);
        self.buffer.drain(..head);
        match length {
            Some(length) => self.body_of(length, &mut on_body).await?,
            None if chunked => self.chunks(&mut on_body).await?,
            None => return Err(io::ErrorKind::InvalidData.into()),
        }
        u16::try_from(status).map_err(|_| io::ErrorKind::InvalidData.into())
    }

    /// Whether the other end may still answer: it closes connections that nobody uses, and whoever keeps one looks
    /// before it is used again.
    pub(crate) fn is_open(&self) -> bool {
        let waiting = self.socket.try_read(&mut [0; 1]);
        waiting.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    /// The head of the last reply.
    pub(crate) fn head(&self) -> &[u8] {
        &self.head
    }

    async fn fill(&mut self) -> io::Result<()> {
        match self.socket.read_buf(&mut self.buffer).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    async fn body_of(&mut self, length: usize, on_body: &mut impl FnMut(&[u8])) -> io::Result<()> {
        while self.buffer.len() < length {
            self.fill().await?;
        }
        on_body(self.buffer.get(..length).unwrap_or_default());
        Ok(())
    }

    async fn chunks(&mut self, on_body: &mut impl FnMut(&[u8])) -> io::Result<()> {
        let mut at = 0;
        loop {
            match chunk_at(self.buffer.get(at..).unwrap_or_default())? {
                Some(Chunk { start, end, next: _ }) if start == end => return Ok(()),
                Some(Chunk { start, end, next }) => {
                    on_body(self.buffer.get(at + start..at + end).unwrap_or_default());
                    at += next;
                }
                None => {
                    self.buffer.drain(..at);
                    at = 0;
                    self.fill().await?;
                }
            }
        }
    }
}

/// One chunk's data and where the next chunk begins, counted from the chunk's first byte.
#[derive(Debug, PartialEq, Eq)]
struct Chunk {
    start: usize,
    end: usize,
    next: usize,
}

/// The chunk that the bytes begin with, if it is there to its last byte.
fn chunk_at(bytes: &[u8]) -> io::Result<Option<Chunk>> {
    let Some(line) = memchr(b'\n', bytes) else { return Ok(None) };
    let size = bytes.get(..line).unwrap_or_default().trim_ascii();
    let size = std::str::from_utf8(size).ok().and_then(|text| usize::from_str_radix(text, 16).ok());
    let size = size.ok_or(io::ErrorKind::InvalidData)?;
    let chunk = Chunk { start: line + 1, end: line + 1 + size, next: line + 1 + size + 2 };
    Ok((bytes.len() >= chunk.next).then_some(chunk))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_found_whatever_their_case() {
        let head = b"HTTP/1.1 200 OK\r\nX-Content-Length: 7\r\nContent-LENGTH:  42 \r\n\r\n";
        assert_eq!(header(head, "content-length"), Some(&b"42"[..]));
        assert_eq!(header(head, "transfer-encoding"), None);
        assert_eq!(message_length(head), Some(head.len() + 42));
        assert_eq!(message_length(b"HTTP/1.1 200 OK\r\n"), None);
    }

    #[test]
    fn a_chunk_counts_only_when_it_is_complete() {
        let whole = b"5\r\nhello\r\n0\r\n\r\n";
        assert_eq!(chunk_at(whole).unwrap(), Some(Chunk { start: 3, end: 8, next: 10 }));
        assert_eq!(chunk_at(&whole[10..]).unwrap(), Some(Chunk { start: 3, end: 3, next: 5 }));
        for cut in 0..10 {
            assert_eq!(chunk_at(&whole[..cut]).unwrap(), None, "cut at {cut}");
        }
        assert!(chunk_at(b"zz\r\n").is_err());
    }

    #[tokio::test]
    async fn a_connection_is_open_until_the_other_end_closes_it() {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let client = Client::connect(listener.local_addr().unwrap().port()).await.unwrap();
        let (other, _) = listener.accept().await.unwrap();
        assert!(client.is_open());
        drop(other);
        client.socket.readable().await.unwrap();
        assert!(!client.is_open());
    }

    #[tokio::test]
    async fn messages_are_read_one_by_one_from_a_socket_that_has_several() {
        let mut bytes: &[u8] = b"POST / HTTP/1.1\r\ncontent-length: 2\r\n\r\nabGET / HTTP/1.1\r\n\r\n";
        let mut buffer = Vec::new();
        let length = read_message(&mut bytes, &mut buffer).await.unwrap().unwrap();
        assert!(buffer[..length].ends_with(b"ab"));
        buffer.drain(..length);
        let length = read_message(&mut bytes, &mut buffer).await.unwrap().unwrap();
        assert_eq!(length, buffer.len());
        buffer.clear();
        assert_eq!(read_message(&mut bytes, &mut buffer).await.unwrap(), None);
        let mut cut: &[u8] = b"POST / HT";
        assert!(read_message(&mut cut, &mut buffer).await.is_err());
    }
}
