//! Framings: the same frames for every way of cutting the bytes, and no byte of the input is in two of them.

use super::cuts;
use bytes::Bytes;
use tollgate_dialect::framing::{EventStreamFramer, Framing, event_stream};
use tollgate_dialect::sse::Framer;

/// A frame's name and data.
type Parts = (Option<String>, Vec<u8>);

/// Server-sent events.
pub(crate) fn check_events(input: &[u8]) {
    check_framing(input, Framing::events);
    check_framing(input, || Framing::events_with_cap(64));
    // The blocks, with what is pending after the last one, are the input.
    for chunks in cuts::all(input) {
        let mut framer = Framer::new();
        let mut passed = Vec::new();
        for chunk in chunks {
            framer.push(chunk);
            while let Some(block) = framer.next_block().expect("no block is too long") {
                passed.extend_from_slice(block.raw());
            }
        }
        passed.extend_from_slice(framer.pending());
        assert_eq!(passed, input, "blocks in their order are the input");
    }
}

/// Lines of JSON.
pub(crate) fn check_lines(input: &[u8]) {
    let frames = check_framing(input, Framing::lines);
    let lines = input.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty());
    let lines: Vec<Parts> = lines.map(|line| (None, line.to_vec())).collect();
    assert_eq!(frames, lines, "every line that is not blank is a frame");
}

/// Amazon's messages: as the bytes are, and with the lengths and checksums put right.
pub(crate) fn check_event_stream(input: &[u8]) {
    check_messages(input);
    check_messages(&repaired(input));
    check_messages(&messages_of_lines(input));
}

fn check_messages(input: &[u8]) {
    check_framing(input, Framing::event_stream);
    for chunks in cuts::all(input) {
        let mut framer = EventStreamFramer::default();
        let mut passed = Vec::new();
        'stream: for chunk in chunks {
            framer.push(chunk);
            loop {
                match framer.next_message() {
                    Ok(Some(message)) => passed.extend_from_slice(message.raw),
                    Ok(None) => break,
                    Err(_) => break 'stream,
                }
            }
        }
        assert!(input.starts_with(&passed), "messages in their order are the begin of the input");
    }
}

/// The frames, for every cutting the same; with the pending one in the end where nothing was wrong.
fn check_framing(input: &[u8], make: impl Fn() -> Framing) -> Vec<Parts> {
    let mut outcomes = cuts::all(input).into_iter().map(|chunks| frames(make(), &chunks));
    let whole = outcomes.next().expect("the whole is a way of cutting");
    for other in outcomes {
        assert_eq!(other, whole, "another cutting");
    }
    whole.0
}

fn frames(mut framing: Framing, chunks: &[Bytes]) -> (Vec<Parts>, bool) {
    let mut found = Vec::new();
    for chunk in chunks {
        framing.push(chunk.clone());
        loop {
            match framing.next_frame() {
                Ok(Some(frame)) => found.push((frame.event.map(str::to_owned), frame.data.to_vec())),
                Ok(None) => break,
                Err(_) => return (found, false),
            }
        }
    }
    found.extend(framing.take_pending().map(|frame| (frame.event.map(str::to_owned), frame.data.to_vec())));
    (found, true)
}

/// Messages written as lines, `name payload` each, so that what changes them leaves their checksums right. A name that
/// ends in `Exception` makes an exception.
pub(crate) fn messages_of_lines(input: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for line in input.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let at = line.iter().position(|byte| *byte == b' ').unwrap_or(line.len());
        let (name, payload) = line.split_at(at);
        let (name, payload) = (String::from_utf8_lossy(name), payload.trim_ascii());
        if name.ends_with("Exception") {
            event_stream::write_exception(&name, payload, &mut out);
        } else {
            event_stream::write_event(&name, payload, &mut out);
        }
    }
    out
}

/// The input as the payloads of messages, a few dozen bytes in each.
pub(crate) fn parts(input: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    input.chunks(37).for_each(|part| event_stream::write_event("PayloadPart", part, &mut out));
    out
}

/// The input with lengths that fit it and checksums that are right: one message of its headers and payload.
fn repaired(input: &[u8]) -> Vec<u8> {
    const PRELUDE: usize = 12;
    let body = input.get(PRELUDE..input.len().saturating_sub(4)).unwrap_or_default();
    let header_bytes = input.get(4..8).and_then(|word| word.try_into().ok()).map_or(0, u32::from_be_bytes);
    let length = u32::try_from(body.len() + PRELUDE + 4).unwrap_or(u32::MAX);
    let mut out = length.to_be_bytes().to_vec();
    out.extend_from_slice(&header_bytes.min(length).to_be_bytes());
    out.extend_from_slice(&checksum(&out).to_be_bytes());
    out.extend_from_slice(body);
    out.extend_from_slice(&checksum(&out).to_be_bytes());
    out
}

/// CRC-32 of the encoding, bit by bit: this side owes nothing to the side that is tested.
fn checksum(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(
            sum ^ u32::from(*byte),
            |sum, _| if sum & 1 == 1 { (sum >> 1) ^ 0xedb8_8320 } else { sum >> 1 },
        )
    })
}
