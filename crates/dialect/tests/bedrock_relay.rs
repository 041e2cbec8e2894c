//! Converse streams between two ends of the dialect: relayed, and translated.
#![allow(clippy::unwrap_used, clippy::panic, clippy::needless_pass_by_value)]

mod bedrock_support;

use bedrock_support::*;
use bytes::Bytes;
use proptest::prelude::*;
use serde_json::json;
use tollgate_dialect::bedrock::{StreamDecoder, StreamEncoder, StreamRelay};
use tollgate_dialect::framing::Framing;
use tollgate_dialect::framing::event_stream::write_exception;
use tollgate_dialect::translate::Translator;
use tollgate_dialect::wire::{CallerError, Progress, ReplyFacts, ReplyFault, Transducer};

fn relayed(
    bytes: &[u8],
    sizes: impl IntoIterator<Item = usize>,
) -> (Vec<u8>, Result<(), ReplyFault>, Progress) {
    let mut relay = StreamRelay::new(of(CLAUDE));
    let (mut out, mut result, mut rest) = (Vec::new(), Ok(()), bytes);
    for size in sizes.into_iter().chain([bytes.len()]) {
        let (chunk, after) = rest.split_at(size.min(rest.len()));
        rest = after;
        let before = out.len();
        result = result.and_then(|()| relay.push(Bytes::copy_from_slice(chunk), &mut out));
        assert!(out.len() <= before + 1, "one piece of a chunk at most");
    }
    let result = result.and_then(|()| relay.finish(&mut out));
    (out.concat(), result, relay.progress().clone())
}

#[test]
fn a_relay_passes_every_byte_on_and_reads_the_usage() {
    let bytes = long_stream();
    for size in 1..=bytes.len() {
        let (out, result, progress) = relayed(&bytes, vec![size; bytes.len() / size]);
        assert_eq!((out.as_slice(), result), (bytes.as_slice(), Ok(())), "{size}");
        assert_eq!(progress.usage, Some(usage()));
        assert!(progress.complete && progress.content_started);
        assert_eq!(progress.content_bytes, 12);
    }
}

#[test]
fn a_relay_lies_in_the_chunk_where_it_can() {
    let chunk = Bytes::from(long_stream());
    let mut relay = StreamRelay::new(of(CLAUDE));
    let mut out = Vec::new();
    relay.push(chunk.clone(), &mut out).unwrap();
    assert_eq!(out[0].as_ptr(), chunk.as_ptr(), "not copied");
}

#[test]
fn a_relay_stops_before_an_exception_and_before_what_is_broken() {
    let good = stream(&[start(), delta(0, json!({"text": "a"}))]);
    let mut failed = good.clone();
    write_exception("throttlingException", br#"{"message":"why"}"#, &mut failed);
    let mut broken = good.clone();
    let at = broken.len() + 20;
    broken.extend(stream(&[stop("end_turn")]));
    broken[at] ^= 1;
    for bytes in [&failed, &broken] {
        for size in 1..bytes.len() {
            let (out, result, progress) = relayed(bytes, vec![size; bytes.len() / size]);
            assert_eq!(out, good, "{size}");
            assert!(result.is_err() && !progress.complete, "{size}");
        }
    }
    let (out, result, _) = relayed(&good[..good.len() - 1], [4]);
    assert!(out.len() < good.len() && result.is_err());
    let mut bytes = Vec::new();
    let error =
        CallerError { status: 429, kind: None, message: "why", param: None, code: None, request_id: None };
    StreamRelay::new(of(CLAUDE)).fail(&error, &mut bytes);
    assert_eq!(messages(&bytes.concat())[0].0, "throttlingException");
}

#[test]
fn a_relay_that_is_cut_behind_the_reason_to_stop_has_ended() {
    let stopped = stream(&[start(), delta(0, json!({"text": "a"})), stop("end_turn")]);
    for size in 1..stopped.len() {
        let (out, result, progress) = relayed(&stopped, vec![size; stopped.len() / size]);
        assert_eq!((out.as_slice(), result), (stopped.as_slice(), Ok(())), "{size}");
        assert!(progress.finished && !progress.complete, "what was used is missing");
    }
    let (_, result, _) = relayed(&stopped[..stopped.len() - 1], [4]);
    assert!(result.is_err(), "half of the reason came");
}

proptest! {
    #[test]
    fn a_relay_gives_the_same_bytes_for_every_cutting(sizes in prop::collection::vec(0..200_usize, 0..30)) {
        let bytes = long_stream();
        let (out, result, _) = relayed(&bytes, sizes);
        prop_assert_eq!((out, result), (bytes, Ok(())));
    }

    #[test]
    fn a_translation_gives_the_same_bytes_for_every_cutting(sizes in prop::collection::vec(1..200_usize, 0..30)) {
        let translated = |sizes: Vec<usize>| {
            let parts = (StreamDecoder::new(of(CLAUDE)), StreamEncoder::new(ReplyFacts::default()));
            let mut translator = Translator::new(Framing::event_stream(), parts.0, parts.1);
            let bytes = long_stream();
            let (mut out, mut rest) = (Vec::new(), bytes.as_slice());
            for size in sizes.into_iter().chain([bytes.len()]) {
                let (chunk, after) = rest.split_at(size.min(rest.len()));
                rest = after;
                translator.push(Bytes::copy_from_slice(chunk), &mut out).unwrap();
            }
            translator.finish(&mut out).unwrap();
            out.concat()
        };
        prop_assert_eq!(translated(sizes), translated(Vec::new()));
    }
}
