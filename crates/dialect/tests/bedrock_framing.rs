//! Amazon's event stream: messages read over any cutting, and none that is broken.
#![allow(clippy::unwrap_used, clippy::panic, clippy::needless_pass_by_value)]

use bytes::Bytes;
use proptest::prelude::*;
use tollgate_dialect::framing::Framing;
use tollgate_dialect::framing::event_stream::{
    EventStreamFramer, UNMODELLED_ERROR, write_event, write_exception, write_message,
};
use tollgate_dialect::wire::ReplyFault;

/// A name and a payload for every message, and the fault that ended them.
type Read = (Vec<(Option<String>, Vec<u8>)>, Option<ReplyFault>);

fn read(stream: &[u8], sizes: impl IntoIterator<Item = usize>) -> Read {
    let mut framing = Framing::event_stream();
    let (mut messages, mut rest) = (Vec::new(), stream);
    for size in sizes.into_iter().chain([stream.len()]) {
        let (chunk, after) = rest.split_at(size.min(rest.len()));
        rest = after;
        framing.push(Bytes::copy_from_slice(chunk));
        loop {
            match framing.next_frame() {
                Ok(Some(frame)) => messages.push((frame.event.map(str::to_owned), frame.data.to_vec())),
                Ok(None) => break,
                Err(fault) => return (messages, Some(fault)),
            }
        }
    }
    assert!(framing.take_pending().is_none());
    (messages, None)
}

fn whole(stream: &[u8]) -> Read {
    read(stream, [])
}

/// Gives a message the checksums that fit it.
fn sealed(mut message: Vec<u8>) -> Vec<u8> {
    let prelude = crc(&message[..8]);
    message[8..12].copy_from_slice(&prelude);
    let end = message.len() - 4;
    let checksum = crc(&message[..end]);
    message[end..].copy_from_slice(&checksum);
    message
}

/// CRC-32 as in IEEE 802.3, bit by bit: another writing than the one that is tested.
fn crc(bytes: &[u8]) -> [u8; 4] {
    let step = |crc: u32| if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 };
    let byte = |crc: u32, byte: &u8| (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc));
    (!bytes.iter().fold(u32::MAX, byte)).to_be_bytes()
}

/// A message of raw headers and a payload.
fn message(headers: &[u8], payload: &[u8]) -> Vec<u8> {
    let length = |bytes: usize| u32::try_from(bytes).unwrap().to_be_bytes();
    let mut out = Vec::new();
    out.extend(length(16 + headers.len() + payload.len()));
    out.extend(length(headers.len()));
    out.extend([0; 4]);
    out.extend(headers);
    out.extend(payload);
    out.extend([0; 4]);
    sealed(out)
}

fn header(name: &str, kind: u8, value: &[u8]) -> Vec<u8> {
    let mut out = vec![u8::try_from(name.len()).unwrap()];
    out.extend(name.as_bytes());
    out.push(kind);
    out.extend(value);
    out
}

fn string(text: &str) -> Vec<u8> {
    let mut out = u16::try_from(text.len()).unwrap().to_be_bytes().to_vec();
    out.extend(text.as_bytes());
    out
}

#[test]
fn the_shortest_message_is_the_one_of_the_specification() {
    let mut out = Vec::new();
    write_message(&[], b"", &mut out);
    assert_eq!(out, [0, 0, 0, 16, 0, 0, 0, 0, 5, 194, 72, 235, 125, 152, 200, 255]);
    assert_eq!(whole(&out), (vec![(None, Vec::new())], None));
}

#[test]
fn an_event_has_its_headers_in_the_services_order() {
    let mut out = Vec::new();
    write_event("metadata", b"{}", &mut out);
    let mut headers = header(":event-type", 7, &string("metadata"));
    headers.extend(header(":content-type", 7, &string("application/json")));
    headers.extend(header(":message-type", 7, &string("event")));
    assert_eq!(out, message(&headers, b"{}"));
}

#[test]
fn headers_of_every_type_are_passed_over() {
    let mut headers = Vec::new();
    for (kind, length) in [(0, 0), (1, 0), (2, 1), (3, 2), (4, 4), (5, 8), (8, 8), (9, 16)] {
        headers.extend(header("other", kind, &vec![0xFF; length]));
    }
    headers.extend(header(":event-type", 6, &[0, 3, 1, 2, 3]));
    headers.extend(header("", 7, &string("")));
    headers.extend(header(":event-type", 7, &string("messageStart")));
    let stream = message(&headers, b"payload");
    assert_eq!(whole(&stream), (vec![(Some("messageStart".to_owned()), b"payload".to_vec())], None));
}

#[test]
fn exceptions_and_errors_are_named() {
    let mut stream = Vec::new();
    write_exception("throttlingException", br#"{"message":"slow"}"#, &mut stream);
    let headers =
        [(":message-type", "error"), (":error-code", "InternalFailure"), (":error-message", "a \"b\"")];
    write_message(&headers, b"ignored", &mut stream);
    write_message(&[(":message-type", "exception")], b"{}", &mut stream);
    let expect = [
        ("throttlingException", r#"{"message":"slow"}"#),
        (UNMODELLED_ERROR, r#"{"__type":"InternalFailure","message":"a \"b\""}"#),
        (UNMODELLED_ERROR, "{}"),
    ];
    let expect = expect.map(|(name, payload)| (Some(name.to_owned()), payload.as_bytes().to_vec()));
    assert_eq!(whole(&stream), (expect.to_vec(), None));
}

#[test]
fn a_flipped_bit_anywhere_is_found_and_nothing_comes_after_it() {
    let mut stream = Vec::new();
    write_event("contentBlockDelta", br#"{"delta":{"text":"hello"}}"#, &mut stream);
    let length = stream.len();
    write_event("messageStop", b"{}", &mut stream);
    for bit in 0..length * 8 {
        let mut broken = stream.clone();
        broken[bit / 8] ^= 1 << (bit % 8);
        let (messages, fault) = whole(&broken);
        assert!(messages.is_empty(), "{bit}");
        assert!(matches!(fault, Some(ReplyFault::Malformed(_))), "{bit}");
    }
}

#[test]
fn lengths_that_do_not_fit_are_refused() {
    let check = |change: &dyn Fn(&mut Vec<u8>), expect: &str| {
        let mut stream = message(&header(":event-type", 7, &string("x")), b"{}");
        change(&mut stream);
        let stream = sealed(stream);
        let (messages, fault) = whole(&stream);
        assert!(messages.is_empty());
        assert_eq!(fault.unwrap().to_string(), format!("malformed reply: {expect}"));
    };
    let lengths = "the lengths of a message do not fit each other";
    check(&|stream| stream[..4].copy_from_slice(&[0, 0, 0, 15]), lengths);
    check(&|stream| stream[4..8].copy_from_slice(&[0, 0, 1, 0]), lengths);
    check(
        &|stream| stream[..4].copy_from_slice(&[0x7F, 0, 0, 0]),
        "a message of the event stream is too long",
    );
    // A value that reaches beyond the headers, and a type that nobody knows the length of.
    check(&|stream| stream[25..27].copy_from_slice(&[0xFF, 0xFF]), "the headers of a message are broken");
    check(&|stream| stream[24] = 10, "the headers of a message are broken");
}

#[test]
fn a_message_above_the_cap_is_refused_before_it_has_come() {
    let mut stream = Vec::new();
    write_event("x", &[b' '; 100], &mut stream);
    let mut framer = EventStreamFramer::with_cap(stream.len());
    framer.push(Bytes::from(stream.clone()));
    assert!(framer.next_message().unwrap().is_some());
    let mut framer = EventStreamFramer::with_cap(stream.len() - 1);
    framer.push(Bytes::copy_from_slice(&stream[..11]));
    assert!(framer.next_message().unwrap().is_none());
    framer.push(Bytes::copy_from_slice(&stream[11..12]));
    assert!(framer.next_message().is_err());
    framer.push(Bytes::copy_from_slice(&stream[12..]));
    assert!(framer.next_message().is_err(), "a broken stream stays broken");
}

#[test]
fn half_a_message_is_pending_and_never_given_out() {
    let mut stream = Vec::new();
    write_event("x", b"{}", &mut stream);
    for cut in 1..stream.len() {
        let mut framer = EventStreamFramer::default();
        framer.push(Bytes::copy_from_slice(&stream[..cut]));
        assert!(framer.next_message().unwrap().is_none());
        assert!(framer.has_pending(), "{cut}");
    }
}

proptest! {
    #[test]
    fn messages_are_the_same_for_every_cutting(
        messages in prop::collection::vec(("[a-zA-Z]{0,12}", prop::collection::vec(any::<u8>(), 0..40)), 0..6),
        sizes in prop::collection::vec(0..40_usize, 0..60),
    ) {
        let mut stream = Vec::new();
        for (name, payload) in &messages {
            write_event(name, payload, &mut stream);
        }
        let expect = messages.into_iter().map(|(name, payload)| (Some(name), payload)).collect::<Vec<_>>();
        prop_assert_eq!(whole(&stream), (expect.clone(), None));
        prop_assert_eq!(read(&stream, sizes), (expect.clone(), None));
        prop_assert_eq!(read(&stream, vec![1; stream.len()]), (expect, None));
    }

    #[test]
    fn any_bytes_are_read_or_refused_the_same_for_every_cutting(
        bytes in prop::collection::vec(any::<u8>(), 0..64),
        sizes in prop::collection::vec(0..9_usize, 0..20),
    ) {
        prop_assert_eq!(read(&bytes, sizes), whole(&bytes));
    }
}
