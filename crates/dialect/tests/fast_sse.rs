//! Framing gives the same frames for every cutting, and those that the WHATWG grammar gives.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test that cannot go on says so")]

mod fast_support;

use bytes::Bytes;
use fast_support::Dice;
use proptest::prelude::*;
use tollgate_dialect::sse::{FRAME_BYTES_MAX, Framer};
use tollgate_dialect::wire::ReplyFault;

/// A frame's event, data and raw bytes.
type Seen = (Option<String>, Vec<u8>, Vec<u8>);

fn drain(framer: &mut Framer, seen: &mut Vec<Seen>) {
    while let Some(frame) = framer.next_frame().expect("no fault") {
        seen.push((frame.event.map(str::to_owned), frame.data.to_vec(), frame.raw().to_vec()));
    }
}

/// The frames of a stream cut at these places, and what is pending at its end.
fn frames_of(stream: &[u8], cuts: &[usize]) -> (Vec<Seen>, Vec<u8>) {
    let mut framer = Framer::new();
    let mut seen = Vec::new();
    let ends = cuts.iter().copied().chain([stream.len()]);
    let mut start = 0;
    for end in ends {
        framer.push(Bytes::copy_from_slice(&stream[start..end]));
        drain(&mut framer, &mut seen);
        start = end;
    }
    let pending = framer.pending().to_vec();
    (seen, pending)
}

fn check(stream: &str, expect: &[(Option<&str>, &str)]) {
    let (whole, pending) = frames_of(stream.as_bytes(), &[]);
    let found: Vec<_> = whole.iter().map(|(event, data, _)| (event.as_deref(), data.as_slice())).collect();
    let expect: Vec<_> = expect.iter().map(|(event, data)| (*event, data.as_bytes())).collect();
    assert_eq!(found, expect, "{stream:?}");
    for first in 0..=stream.len() {
        let cut = frames_of(stream.as_bytes(), &[first]);
        assert_eq!((&cut.0, &cut.1), (&whole, &pending), "{stream:?} cut at {first}");
        for second in first..=stream.len() {
            assert_eq!(
                frames_of(stream.as_bytes(), &[first, second]).0,
                whole,
                "{stream:?} at {first}, {second}"
            );
        }
    }
    let every_byte: Vec<_> = (0..stream.len()).collect();
    assert_eq!(frames_of(stream.as_bytes(), &every_byte), (whole, pending), "{stream:?} byte by byte");
}

#[test]
fn frames_end_at_a_blank_line_of_any_kind() {
    check("data: a\n\ndata: b\n\n", &[(None, "a"), (None, "b")]);
    check("data: a\r\n\r\ndata: b\r\n\r\n", &[(None, "a"), (None, "b")]);
    check("data: a\r\rdata: b\r\r", &[(None, "a"), (None, "b")]);
    check(
        "data: a\n\r\ndata: b\r\n\ndata: c\r\r\ndata: d\n\n",
        &[(None, "a"), (None, "b"), (None, "c"), (None, "d")],
    );
    check("\n\r\n\rdata: a\n\n\n\r\r\n\ndata: b\n\n", &[(None, "a"), (None, "b")]);
}

#[test]
fn fields_are_read_as_the_grammar_says() {
    check("data:a\n\n", &[(None, "a")]);
    check("data:  a \n\n", &[(None, " a ")]);
    check("data: {\"a\": \"b: c\"}\n\n", &[(None, "{\"a\": \"b: c\"}")]);
    check("event: ping\ndata: a\n\n", &[(Some("ping"), "a")]);
    check("data: a\nevent:x\nevent: y\n\n", &[(Some("y"), "a")]);
    check("event:\ndata: a\n\n", &[(None, "a")]);
    check("id: 1\nretry: 5\nother: x\ndata: a\n\n", &[(None, "a")]);
    check("data: a\ndata: b\ndata:\ndata: c\n\n", &[(None, "a\nb\n\nc")]);
    check("data\n\n", &[(None, "")]);
    check("data\ndata\n\n", &[(None, "\n")]);
    check(" data: a\n\nDATA: b\n\ndatas: c\n\n", &[]);
}

#[test]
fn comments_and_events_without_data_are_passed_over() {
    check(": keep-alive\n\ndata: a\n\n", &[(None, "a")]);
    check(":\n\n:\n\n: OPENROUTER PROCESSING\n\n", &[]);
    check("event: ping\n\ndata: a\n\n", &[(None, "a")]);
    check(": c\ndata: a\n: d\n\n", &[(None, "a")]);
}

#[test]
fn a_byte_order_mark_is_passed_over_at_the_beginning_only() {
    check("\u{feff}data: a\n\n", &[(None, "a")]);
    check("\u{feff}data: a\ndata: b\n\n", &[(None, "a\nb")]);
    check("data: a\n\n\u{feff}data: b\n\n", &[(None, "a")]);
    check("\u{feff}\n\ndata: a\n\n", &[(None, "a")]);
}

#[test]
fn letters_of_several_bytes_survive_every_cut() {
    check(
        "data: gr\u{fc}\u{df}e \u{1f600}\n\nevent: \u{e9}\ndata: \u{4e2d}\n\n",
        &[(None, "gr\u{fc}\u{df}e \u{1f600}"), (Some("\u{e9}"), "\u{4e2d}")],
    );
}

#[test]
fn an_event_name_that_is_not_utf_8_is_no_known_name() {
    let (seen, _) = frames_of(b"event: \xFF\ndata: a\n\n", &[]);
    assert_eq!(seen[0].0.as_deref(), Some("\u{fffd}"));
}

#[test]
fn an_unfinished_frame_is_pending_and_can_be_read_at_the_end() {
    let check = |stream: &str, pending: &str, data: Option<&str>| {
        let mut framer = Framer::new();
        framer.push(Bytes::copy_from_slice(stream.as_bytes()));
        drain(&mut framer, &mut Vec::new());
        assert_eq!(framer.pending(), pending.as_bytes(), "{stream:?}");
        let frame = framer.take_pending();
        assert_eq!(
            frame.map(|frame| frame.data.to_vec()),
            data.map(|data| data.as_bytes().to_vec()),
            "{stream:?}"
        );
        assert!(framer.pending().is_empty());
    };
    check("data: a\n\ndata: [DONE]", "data: [DONE]", Some("[DONE]"));
    check("data: a\n\ndata: [DONE]\n", "data: [DONE]\n", Some("[DONE]"));
    check("data: [DONE]\r\n\r", "data: [DONE]\r\n\r", Some("[DONE]"));
    check("data: a\n\n: bye\n", ": bye\n", None);
    check("data: a\n\n\n", "\n", None);
    check("data: a\n\n", "", None);
}

#[test]
fn the_stream_goes_on_after_a_pending_frame_was_taken() {
    let mut framer = Framer::new();
    framer.push(Bytes::from_static(b"data: a"));
    drain(&mut framer, &mut Vec::new());
    assert_eq!(framer.take_pending().unwrap().data.as_ref(), b"a");
    framer.push(Bytes::from_static(b"data: b\n\n"));
    assert_eq!(framer.next_frame().unwrap().unwrap().data.as_ref(), b"b");
}

#[test]
fn a_frame_within_one_chunk_is_not_copied() {
    let chunk = Bytes::from_static(b"data: a\n\ndata: b\n\nda");
    let range = chunk.as_ptr_range();
    let mut framer = Framer::new();
    framer.push(chunk);
    let mut count = 0;
    while let Some(frame) = framer.next_frame().unwrap() {
        assert!(range.contains(&frame.data.as_ptr()) && range.contains(&frame.raw().as_ptr()));
        count += 1;
    }
    assert_eq!(count, 2);
}

#[test]
fn a_frame_may_be_as_long_as_the_cap_and_no_longer() {
    let check = |data_len: usize, step: usize, is_accepted: bool| {
        let stream = [b"data: ok\n\ndata: ".to_vec(), vec![b'x'; data_len], b"\n\n".to_vec()].concat();
        let mut framer = Framer::with_cap(1_000);
        let mut count = 0;
        let mut fault = None;
        for chunk in stream.chunks(step) {
            framer.push(Bytes::copy_from_slice(chunk));
            loop {
                match framer.next_frame() {
                    Ok(Some(_)) => count += 1,
                    Ok(None) => break,
                    Err(error) => {
                        fault = Some(error);
                        break;
                    }
                }
            }
            if fault.is_some() {
                break;
            }
        }
        assert_eq!(count, if is_accepted { 2 } else { 1 }, "{data_len} by {step}");
        let expect = ReplyFault::Malformed("an event of the stream is longer than the limit");
        assert_eq!(fault, if is_accepted { None } else { Some(expect) }, "{data_len} by {step}");
    };
    for step in [1, 7, 999, 1_000, 10_000] {
        check(1_000 - "data: \n\n".len(), step, true);
        check(1_001 - "data: \n\n".len(), step, false);
        check(50_000, step, false);
    }
    assert_eq!(FRAME_BYTES_MAX, 1_048_576);
}

/// The grammar read slowly, over the whole stream at once, with line ends made equal first.
fn reference(stream: &str) -> Vec<(Option<String>, String)> {
    let text = stream.strip_prefix('\u{feff}').unwrap_or(stream).replace("\r\n", "\n").replace('\r', "\n");
    let mut frames = Vec::new();
    let (mut event, mut data) = (String::new(), Vec::<&str>::new());
    let Some((complete, _)) = text.rsplit_once('\n') else { return frames };
    for line in complete.split('\n') {
        if line.is_empty() {
            if !data.is_empty() {
                frames.push((Some(event.clone()).filter(|name| !name.is_empty()), data.join("\n")));
            }
            event.clear();
            data.clear();
            continue;
        }
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "data" => data.push(value),
            "event" => event = value.to_owned(),
            _ => {}
        }
    }
    frames
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn any_mixture_in_any_cutting_gives_what_the_grammar_gives(
        parts in prop::collection::vec(
            prop::sample::select(vec![
                "data: a", "data: ", "data", "data:b\u{e9}", ": c", "event: e", "event:", "id: 1", "x", "\u{feff}",
                "\n", "\r", "\r\n", "\n\n", "\r\n\r\n", "\r\r", ":", " ",
            ]),
            0..24,
        ),
        seed in any::<u64>(),
    ) {
        let stream = parts.concat();
        let mut dice = Dice(seed);
        let mut cuts: Vec<_> = (0..dice.roll(6)).map(|_| dice.roll(stream.len() + 1)).collect();
        cuts.sort_unstable();
        let whole = frames_of(stream.as_bytes(), &[]);
        prop_assert_eq!(&frames_of(stream.as_bytes(), &cuts), &whole);
        // Every byte is in exactly one frame, unless it belongs to a block without data.
        let raw_len: usize = whole.0.iter().map(|(_, _, raw)| raw.len()).sum();
        prop_assert!(raw_len + whole.1.len() <= stream.len());
        let mut found: Vec<_> =
            whole.0.into_iter().map(|(event, data, _)| (event, String::from_utf8(data).unwrap())).collect();
        let expect = reference(&stream);
        // At the end of the input a CR that may still get its LF keeps the last frame pending.
        if found.len() + 1 == expect.len() && stream.ends_with('\r') {
            let mut framer = Framer::new();
            framer.push(Bytes::from(stream));
            drain(&mut framer, &mut Vec::new());
            let last = framer.take_pending().unwrap();
            found.push((last.event.map(str::to_owned), String::from_utf8(last.data.to_vec()).unwrap()));
        }
        prop_assert_eq!(found, expect);
    }
}
