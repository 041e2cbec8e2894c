//! Streams: the same events for every way of cutting the bytes, in an order that encoders can rely on; written for every
//! caller the same however they come in; and read back as the same where provider and caller speak one dialect.

use super::cuts;
use super::wires::{self, Wire};
use bytes::Bytes;
use std::collections::HashSet;
use tollgate_dialect::bedrock;
use tollgate_dialect::conversation::StreamEvent;
use tollgate_dialect::framing::Framing;
use tollgate_dialect::relay::{NativeRelay, OpenAiRelay, PassRelay, RelayOptions};
use tollgate_dialect::translate::Translator;
use tollgate_dialect::wire::{Progress, ReplyFault, Transducer};

/// What a stream came to: its events, and whether it ended as it should.
#[derive(Debug, Clone, PartialEq)]
struct Course {
    /// The events of each frame.
    frames: Vec<Vec<StreamEvent>>,
    fault: Option<ReplyFault>,
    is_complete: bool,
}

/// A stream of this wire, in its framing.
pub(crate) fn check(wire: &Wire, input: &[u8]) {
    let mut courses = cuts::all(input).into_iter().map(|chunks| read(wire, &chunks));
    let course = courses.next().expect("the whole is a way of cutting");
    for other in courses {
        assert_eq!(other, course, "another cutting");
    }
    check_order(&course.frames.concat());
    for caller in wires::ALL {
        check_written(caller, &course);
    }
    if wire.is_of_callers && course.fault.is_none() && course.is_complete {
        check_read_back(wire, &course);
    }
    check_transducers(wire, input, &course);
}

/// Reads a stream to its end or first fault.
fn read(wire: &Wire, chunks: &[Bytes]) -> Course {
    let (mut framing, mut decoder) = ((wire.framing)(), (wire.decoder)());
    let mut frames = Vec::new();
    let mut fault = None;
    for chunk in chunks {
        framing.push(chunk.clone());
        fault = loop {
            match framing.next_frame() {
                Ok(Some(frame)) => {
                    let mut events = Vec::new();
                    let outcome = decoder.read(&frame, &mut events);
                    frames.push(events);
                    if let Err(fault) = outcome {
                        break Some(fault);
                    }
                }
                Ok(None) => break None,
                Err(fault) => break Some(fault),
            }
        };
        if fault.is_some() {
            break;
        }
    }
    if let (None, Some(frame)) = (&fault, framing.take_pending()) {
        let mut events = Vec::new();
        fault = decoder.read(&frame, &mut events).err();
        frames.push(events);
    }
    Course { frames, fault, is_complete: decoder.is_complete() }
}

/// What every encoder relies on: one start at the begin, calls that begin before they go on and count up without gaps.
fn check_order(events: &[StreamEvent]) {
    let mut calls: HashSet<(u64, u64)> = HashSet::new();
    for (place, event) in events.iter().enumerate() {
        match event {
            StreamEvent::Start { .. } => assert_eq!(place, 0, "a start within the stream: {events:?}"),
            StreamEvent::ToolCallStart { choice, index, .. } => {
                let before = calls.iter().filter(|(of, _)| of == choice).count() as u64;
                assert_eq!(*index, before, "calls are counted without gaps: {events:?}");
                calls.insert((*choice, *index));
            }
            StreamEvent::ToolCallArguments { choice, index, .. } => {
                assert!(calls.contains(&(*choice, *index)), "arguments before their call: {events:?}");
            }
            _ => {}
        }
    }
}

/// Writes the events, those of this many frames at a time.
fn written(caller: &Wire, course: &Course, at_once: usize) -> Vec<u8> {
    let mut encoder = (caller.encoder)();
    let mut out = Vec::new();
    for frames in course.frames.chunks(at_once.max(1)) {
        encoder.encode(&frames.concat(), &mut out);
    }
    match &course.fault {
        None if course.is_complete => encoder.finish(&mut out),
        _ => encoder.fail(&wires::caller_error("it broke"), &mut out),
    }
    out
}

/// Log probabilities came apart from their text. They go out with it if both are there, and after it otherwise, so what
/// is written then hangs on how many frames come at once; what it says does not.
fn has_late_logprobs(course: &Course) -> bool {
    course.frames.iter().any(|events| {
        let of_logprobs = |event: &StreamEvent| matches!(event, StreamEvent::Logprobs { .. });
        let of_text = |event: &StreamEvent| matches!(event, StreamEvent::Text { .. });
        let first = events.iter().position(of_logprobs);
        first.is_some_and(|place| !events.iter().take(place).any(of_text))
    })
}

/// The caller's stream is the same however many frames come at once, is whole frames, and is one that its dialect can read.
fn check_written(caller: &Wire, course: &Course) {
    let whole = written(caller, course, usize::MAX);
    let ways: &[usize] = if has_late_logprobs(course) { &[] } else { &[1, 3] };
    for at_once in ways.iter().copied() {
        let other = written(caller, course, at_once);
        let (other, whole) = (String::from_utf8_lossy(&other), String::from_utf8_lossy(&whole));
        assert_eq!(other, whole, "{} for {at_once} frames at once", caller.name);
    }
    let again = read(caller, &[Bytes::from(whole.clone())]);
    let text = String::from_utf8_lossy(&whole);
    if let Some(ReplyFault::Malformed(rule)) = &again.fault {
        panic!("{} is written what is malformed: {rule}\n{text}\n{:?}", caller.name, course.frames);
    }
}

/// A stream in the provider's own dialect reads as what it was written from.
///
/// Several answers are looked at one after the other. Which of two says its next piece first means nothing, and it
/// changes where a piece waits until it is known to be whole: Gemini's calls, and the signature of a text.
fn check_read_back(wire: &Wire, course: &Course) {
    let again = read(wire, &[Bytes::from(written(wire, course, usize::MAX))]);
    if again.fault.is_none() {
        let [first, second] = [course, &again].map(|course| written(wire, &in_turn(course), usize::MAX));
        assert_eq!(String::from_utf8_lossy(&first), String::from_utf8_lossy(&second), "read back");
    }
}

/// The same answers, each told to its end before the next.
fn in_turn(course: &Course) -> Course {
    let mut events = course.frames.concat();
    events.sort_by_key(StreamEvent::choice);
    Course { frames: vec![events], ..course.clone() }
}

/// What passes a stream on gives the same bytes for every cutting, and knows the same of it in the end.
fn check_transducers(wire: &Wire, input: &[u8], course: &Course) {
    let caller = if has_late_logprobs(course) { &wires::ANTHROPIC } else { &wires::OPENAI };
    let translated = check_cuts(input, || {
        let (framing, decoder) = ((wire.framing)(), (wire.decoder)());
        Box::new(Translator::new(framing, decoder, (caller.encoder)()))
    });
    if course.fault.is_none() && course.is_complete {
        let direct = written(caller, course, usize::MAX);
        assert_eq!(
            String::from_utf8_lossy(&translated.bytes),
            String::from_utf8_lossy(&direct),
            "translated"
        );
    }
    match (wire.name, (wire.framing)(), wire.model_place) {
        ("openai", ..) => {
            for hide_usage in [false, true] {
                check_cuts(input, || {
                    let client_model = Some("alias".to_owned());
                    Box::new(OpenAiRelay::new(RelayOptions {
                        client_model,
                        hide_usage,
                        ..RelayOptions::default()
                    }))
                });
            }
        }
        (_, Framing::Events(_), Some(place)) if wire.is_of_callers => {
            check_cuts(input, || {
                let Framing::Events(framer) = (wire.framing)() else { panic!("events") };
                Box::new(NativeRelay::new(framer, ((wire.decoder)(), (wire.encoder)()), place, "alias"))
            });
        }
        ("bedrock", ..) => {
            check_cuts(input, || Box::new(bedrock::StreamRelay::new(wires::reading())));
        }
        // Nobody speaks it on both sides.
        _ => {}
    }
}

/// What came out of a transducer.
#[derive(Debug, PartialEq)]
struct Passed {
    bytes: Vec<u8>,
    is_faulty: bool,
    progress: Progress,
}

fn check_cuts(input: &[u8], make: impl Fn() -> Box<dyn Transducer>) -> Passed {
    let mut outcomes = cuts::all(input).into_iter().map(|chunks| pass(make(), chunks));
    let whole = outcomes.next().expect("the whole is a way of cutting");
    for other in outcomes {
        let (other_text, text) =
            (String::from_utf8_lossy(&other.bytes), String::from_utf8_lossy(&whole.bytes));
        assert_eq!(other_text, text, "another cutting passes other bytes");
        assert_eq!(other, whole, "another cutting");
    }
    whole
}

fn pass(mut transducer: Box<dyn Transducer>, chunks: Vec<Bytes>) -> Passed {
    let mut out = Vec::new();
    let mut outcome = Ok(());
    for chunk in chunks {
        outcome = transducer.push(chunk, &mut out);
        if outcome.is_err() {
            break;
        }
    }
    let outcome = outcome.and_then(|()| transducer.finish(&mut out));
    if outcome.is_err() {
        transducer.fail(&wires::caller_error("it broke"), &mut out);
    }
    Passed { bytes: out.concat(), is_faulty: outcome.is_err(), progress: transducer.progress().clone() }
}

/// A reply of any kind on its way through: every byte as it came, the usage the same for every cutting.
pub(crate) fn check_pass_through(input: &[u8]) {
    const TYPES: [&[u8]; 5] = [
        b"text/event-stream; charset=utf-8",
        b"application/x-ndjson",
        b"application/json",
        b"application/vnd.amazon.eventstream",
        b"audio/mpeg",
    ];
    for content_type in TYPES {
        let whole = check_cuts(input, || Box::new(PassRelay::for_type(content_type)));
        assert!(whole.is_faulty || whole.bytes == input, "{}", String::from_utf8_lossy(content_type));
    }
}
