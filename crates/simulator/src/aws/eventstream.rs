//! The frames of AWS's event streams (`application/vnd.amazon.eventstream`).
//!
//! Owns: the binary form of a message: prelude, headers, payload, two checksums. Leaves to others: what is in a payload.
//!
//! **Invariant:** a frame is one whole message; its lengths and both CRC32s are right.

use crate::reply::{Event, Role};
use serde_json::Value;

/// The content type of a stream of such frames.
pub(crate) const CONTENT_TYPE: &str = "application/vnd.amazon.eventstream";
/// Type 7 of a header's value: a string with a length of two bytes.
const STRING: u8 = 7;
/// Bytes of a message beside headers and payload: two lengths and two checksums.
const FRAME_BYTES: usize = 16;

/// A frame with an event of this type.
pub(crate) fn event(role: Role, kind: &str, payload: &Value) -> Event {
    let headers = [(":event-type", kind), (":content-type", "application/json"), (":message-type", "event")];
    Event { bytes: frame(&headers, payload.to_string().as_bytes()).into(), role }
}

/// A frame with raw bytes of this content type.
pub(crate) fn part(role: Role, kind: &str, content_type: &str, payload: &[u8]) -> Event {
    let headers = [(":event-type", kind), (":content-type", content_type), (":message-type", "event")];
    Event { bytes: frame(&headers, payload).into(), role }
}

/// The frame of an exception that ends a stream.
pub(crate) fn exception(kind: &str, payload: &Value) -> Event {
    let headers =
        [(":exception-type", kind), (":content-type", "application/json"), (":message-type", "exception")];
    Event { bytes: frame(&headers, payload.to_string().as_bytes()).into(), role: Role::Closing }
}

fn frame(headers: &[(&str, &str)], payload: &[u8]) -> Vec<u8> {
    let mut head = Vec::new();
    for (name, value) in headers {
        head.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
        head.extend(name.as_bytes());
        head.push(STRING);
        head.extend(u16::try_from(value.len()).unwrap_or(u16::MAX).to_be_bytes());
        head.extend(value.as_bytes());
    }
    let length = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX).to_be_bytes();
    let mut out = Vec::with_capacity(FRAME_BYTES + head.len() + payload.len());
    out.extend(length(FRAME_BYTES + head.len() + payload.len()));
    out.extend(length(head.len()));
    out.extend(crc(&out));
    out.extend(head);
    out.extend(payload);
    out.extend(crc(&out));
    out
}

fn crc(bytes: &[u8]) -> [u8; 4] {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum().to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_frame_has_its_lengths_and_checksums() {
        let bytes = event(Role::Content, "chunk", &json!({"a": 1})).bytes;
        let number = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
        assert_eq!(number(0) as usize, bytes.len());
        let head = number(4) as usize;
        assert_eq!(&bytes[12 + head..bytes.len() - 4], br#"{"a":1}"#);
        assert_eq!(bytes[8..12], crc(&bytes[..8]));
        assert_eq!(bytes[bytes.len() - 4..], crc(&bytes[..bytes.len() - 4]));
        assert_eq!(&bytes[12..28], b"\x0b:event-type\x07\x00\x05c");
    }

    #[test]
    fn a_message_without_content_is_the_one_of_the_specification() {
        // The shortest message there is, from AWS's description of the encoding.
        assert_eq!(frame(&[], b""), [0, 0, 0, 16, 0, 0, 0, 0, 5, 194, 72, 235, 125, 152, 200, 255]);
    }
}
