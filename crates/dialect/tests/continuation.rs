//! An answer that broke off and goes on from another provider is the same answer to the caller, wherever it broke.
#![allow(clippy::unwrap_used, clippy::panic)]

use bytes::Bytes;
use proptest::prelude::*;
use std::sync::Arc;
use tollgate_dialect::continuation::{
    Continuation, Mode, Sent, Unfit, can_prefill, mark_prefix, prefill, read_again,
};
use tollgate_dialect::conversation::{
    ChatRequest, Issuer, MediaSource, Part, Reasoning, ResponseFormat, Role, Signature, StopReason,
    StreamEvent, Usage,
};
use tollgate_dialect::framing::Framing;
use tollgate_dialect::openai::{self, ChunkDecoder, ChunkEncoder, StreamPlan, StreamShape};
use tollgate_dialect::relay::{NativeRelay, OpenAiRelay, RelayOptions};
use tollgate_dialect::responses::Echo;
use tollgate_dialect::sse::{Frame, Framer};
use tollgate_dialect::translate::Translator;
use tollgate_dialect::wire::{
    Dialect, EventDecoder, EventEncoder, Reading, ReplyFacts, ReplyFault, Transducer,
};
use tollgate_dialect::{anthropic, bedrock, cohere, gemini, responses};

const TEXT: &str = "One  day, the gr\u{fc}ne \u{1f600}\n\ntoll was paid.";

/// A provider each of whose frames is the number of one of these lists of events.
struct Said(Vec<Vec<StreamEvent>>);

impl EventDecoder for Said {
    fn read(&mut self, _: &Frame<'_>, out: &mut Vec<StreamEvent>) -> Result<(), ReplyFault> {
        if !self.0.is_empty() {
            out.extend(self.0.remove(0));
        }
        Ok(())
    }

    fn is_complete(&self) -> bool {
        self.0.is_empty()
    }
}

fn text(delta: &str) -> StreamEvent {
    StreamEvent::Text { choice: 0, delta: delta.to_owned() }
}

fn thought(delta: &str) -> StreamEvent {
    StreamEvent::Reasoning { choice: 0, delta: delta.to_owned() }
}

fn signature(bytes: &str) -> StreamEvent {
    StreamEvent::ReasoningSignature { choice: 0, signature: Signature::read(bytes, Issuer::Anthropic) }
}

fn call() -> StreamEvent {
    let (id, name) = ("c".to_owned(), "look".to_owned());
    StreamEvent::ToolCallStart { choice: 0, index: 0, id, name, is_custom: false, signature: None }
}

fn start() -> StreamEvent {
    StreamEvent::Start { id: "i".to_owned(), model: "m".to_owned() }
}

fn end() -> StreamEvent {
    StreamEvent::Finish { choice: 0, stop: StopReason::Stop, stop_sequence: None }
}

/// What passes of a new stream of these events, neighbouring texts joined.
fn passes(sent: Vec<StreamEvent>, mode: Mode, new: Vec<StreamEvent>) -> Result<Vec<StreamEvent>, ReplyFault> {
    let sent = Arc::new(Sent::new(sent).unwrap());
    let count = new.len();
    let said = Said(new.into_iter().map(|event| vec![event]).collect());
    let mut continuation = Continuation::new(said, sent, mode);
    let mut out = Vec::new();
    for _ in 0..count {
        continuation.read(&Frame::new(None, b"{}"), &mut out)?;
    }
    assert!(continuation.is_complete());
    Ok(out.into_iter().fold(Vec::new(), |mut joined: Vec<StreamEvent>, event| {
        match (joined.last_mut(), event) {
            (Some(StreamEvent::Text { delta: before, .. }), StreamEvent::Text { delta, .. }) => {
                before.push_str(&delta);
            }
            (Some(StreamEvent::Reasoning { delta: before, .. }), StreamEvent::Reasoning { delta, .. }) => {
                before.push_str(&delta);
            }
            (_, event) => joined.push(event),
        }
        joined
    }))
}

#[test]
fn an_answer_from_the_beginning_is_skipped_as_far_as_it_agrees() {
    let check = |new: Vec<StreamEvent>, expect: Result<Vec<StreamEvent>, ReplyFault>| {
        assert_eq!(
            passes(vec![start(), text("ab"), text("cd")], Mode::Replay, new.clone()),
            expect,
            "{new:?}"
        );
    };
    check(vec![start(), text("abcdef"), end()], Ok(vec![text("ef"), end()]));
    check(vec![text(""), text("a"), text("bc"), text("de"), text("f")], Ok(vec![text("ef")]));
    check(vec![text("abcd"), end()], Ok(vec![end()]));
    check(vec![thought("hm"), text("abcd"), text(""), text("e"), text(""), text("f")], Ok(vec![text("ef")]));
    check(vec![text("abcd"), call(), end()], Ok(vec![call(), end()]));
    check(vec![text("abcdX"), thought("hm")], Ok(vec![text("X"), thought("hm")]));
    let usage = StreamEvent::Usage(Usage { output_tokens: 4, ..Usage::default() });
    check(vec![usage.clone(), text("abcd")], Ok(vec![usage]));
    for other in [
        vec![text("x")],
        vec![text("abx")],
        vec![text("abc"), text("x")],
        vec![text("ABCD")],
        vec![text("abc"), end()],
        vec![text("ab"), call()],
        vec![end()],
        vec![StreamEvent::Refusal { choice: 0, delta: "no".to_owned() }],
        vec![StreamEvent::Text { choice: 1, delta: "ab".to_owned() }],
    ] {
        check(other, Err(ReplyFault::Disagrees));
    }
}

#[test]
fn an_answer_that_goes_on_begins_with_the_white_space_that_its_provider_was_not_sent() {
    let check = |sent: &str, new: &[&str], expect: &str| {
        let mut events: Vec<StreamEvent> = new.iter().map(|delta| text(delta)).collect();
        events.push(end());
        let passed = passes(vec![text(sent)], Mode::Prefill, events).unwrap();
        let expect = if expect.is_empty() { vec![end()] } else { vec![text(expect), end()] };
        assert_eq!(passed, expect, "{sent:?} {new:?}");
    };
    check("one", &[" two"], " two");
    check("one ", &[" two"], "two");
    check("one ", &["two"], "two");
    check("one\n\n", &["\n", "\n", "two"], "two");
    check("one\n\n", &["\ntwo"], "two");
    check("one\n\n", &["\n", " two"], " two");
    check("one \u{2003}", &[" \u{2003}", "two"], "two");
    check("one ", &["", " ", "", "two"], "two");
    check("one ", &[" "], "");
    check("one", &[], "");
}

#[test]
fn a_provider_that_repeats_the_turn_is_noticed() {
    let sent = "It was the best of times, it was the worst of times, ";
    let check = |new: &[&str], expect: &str| {
        let mut events: Vec<StreamEvent> = new.iter().map(|delta| text(delta)).collect();
        events.push(end());
        assert_eq!(
            passes(vec![text(sent)], Mode::Prefill, events).unwrap(),
            vec![text(expect), end()],
            "{new:?}"
        );
    };
    check(&["it was"], "it was");
    check(&["It was ", "the best of times, it was the worst of times, it was"], "it was");
    check(&["It was the best of times, it was the worst of times,", " it was"], "it was");
    check(&["It was the best of times, it was the worst of times,", "\nit was"], "\nit was");
    check(&["It was the b", "ad of times"], "It was the bad of times");
    check(&["It was the best"], "It was the best");
}

#[test]
fn reasoning_that_was_begun_goes_on_where_it_agrees_and_is_left_where_it_does_not() {
    let check = |sent: &[StreamEvent], new: &[StreamEvent], expect: &[StreamEvent]| {
        assert_eq!(passes(sent.to_vec(), Mode::Replay, new.to_vec()).unwrap(), expect, "{sent:?} {new:?}");
    };
    let new = [thought("a"), thought("bc"), signature("s"), text("x"), end()];
    check(&[thought("ab")], &new, &[thought("c"), signature("s"), text("x"), end()]);
    check(&[thought("abc")], &new, &[signature("s"), text("x"), end()]);
    // What another thought is of no use, and its signature would not be of what the caller has.
    check(&[thought("ax")], &new, &[text("x"), end()]);
    check(&[thought("abcd")], &new, &[text("x"), end()]);
    check(&[thought("abc"), signature("t")], &new, &[text("x"), end()]);
    check(&[thought("other"), text("x")], &new, &[end()]);
    check(&[thought("other")], &[text("x"), thought("more")], &[text("x"), thought("more")]);
}

#[test]
fn what_cannot_go_on_is_named() {
    let check = |events: Vec<StreamEvent>, expect: Unfit| {
        assert_eq!(Sent::new(events.clone()), Err(expect), "{events:?}");
    };
    check(vec![text("a"), call()], Unfit::ToolCall);
    let arguments = StreamEvent::ToolCallArguments { choice: 0, index: 0, delta: String::new() };
    check(vec![arguments], Unfit::ToolCall);
    check(vec![text("a"), end()], Unfit::Finished);
    check(vec![StreamEvent::Text { choice: 1, delta: "a".to_owned() }], Unfit::Several);
    check(vec![StreamEvent::Refusal { choice: 0, delta: "no".to_owned() }], Unfit::NotText);
    let source = MediaSource::Url("https://example.com".to_owned());
    check(vec![StreamEvent::Image { choice: 0, source }], Unfit::NotText);
}

#[test]
fn a_request_ends_with_what_was_sent_where_that_can_be_said() {
    let ask = |json: serde_json::Value| openai::decode_chat(json.to_string().as_bytes()).unwrap();
    let plain = || {
        ask(
            serde_json::json!({"model": "m", "max_tokens": 100, "messages": [{"role": "user", "content": "hi"}]}),
        )
    };
    let sent = Sent::new(vec![text("Once upon \n")]).unwrap();
    let mut request = plain();
    assert!(can_prefill(&request, &sent));
    prefill(&mut request, &sent);
    let last = request.messages.last().unwrap();
    assert_eq!((last.role, &last.parts), (Role::Assistant, &vec![Part::text("Once upon")]));
    assert_eq!(request.sampling.max_tokens, Some(98));
    let begun = r#"{"model":"m","messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"Well: "}]}"#;
    let mut request = openai::decode_chat(begun.as_bytes()).unwrap();
    prefill(&mut request, &sent);
    assert_eq!(request.messages.last().unwrap().parts, vec![Part::text("Well: Once upon")]);

    let refuses = |request: ChatRequest, sent: &[StreamEvent]| {
        assert!(!can_prefill(&request, &Sent::new(sent.to_vec()).unwrap()), "{sent:?}");
    };
    refuses(plain(), &[text(" \n")]);
    refuses(plain(), &[thought("hm"), text("a")]);
    refuses(ChatRequest { reasoning: Some(Reasoning::Adaptive), ..plain() }, &[text("a")]);
    refuses(ChatRequest { response_format: Some(ResponseFormat::JsonObject), ..plain() }, &[text("a")]);
    let mut several = plain();
    several.sampling.n = Some(2);
    refuses(several, &[text("a")]);
    let mut ends_in_call = plain();
    ends_in_call.messages.push(tollgate_dialect::conversation::Message {
        role: Role::Assistant,
        parts: Vec::new(),
        name: None,
    });
    refuses(ends_in_call, &[text("a")]);
}

#[test]
fn the_last_message_is_marked_as_a_beginning() {
    let marked =
        mark_prefix(br#"{"messages":[{"role":"user"},{"role":"assistant","content":"a"}]}"#.to_vec());
    let expect = r#"{"messages":[{"role":"user"},{"role":"assistant","content":"a","prefix":true}]}"#;
    assert_eq!(String::from_utf8(marked).unwrap(), expect);
    assert_eq!(mark_prefix(b"x".to_vec()), b"x");
}

fn decoder(dialect: Dialect) -> (Framing, Box<dyn EventDecoder>) {
    let reading = Reading { model: "m".to_owned(), ..Reading::default() };
    match dialect {
        Dialect::OpenAi => (Framing::events(), Box::new(ChunkDecoder::new())),
        Dialect::Responses => (Framing::events(), Box::new(responses::StreamDecoder::new())),
        Dialect::Anthropic => (Framing::events(), Box::new(anthropic::StreamDecoder::new(reading))),
        Dialect::Gemini => (Framing::events(), Box::new(gemini::StreamDecoder::new(&reading))),
        Dialect::Bedrock => (Framing::event_stream(), Box::new(bedrock::StreamDecoder::new(reading))),
        Dialect::Cohere => (Framing::events(), Box::new(cohere::StreamDecoder::new(reading))),
    }
}

fn encoder(dialect: Dialect) -> Box<dyn EventEncoder> {
    let facts = ReplyFacts {
        client_model: "mine".to_owned(),
        created: 7,
        fallback_id: "0f1e".to_owned(),
        include_usage: true,
        ..ReplyFacts::default()
    };
    match dialect {
        Dialect::OpenAi => Box::new(ChunkEncoder::new(StreamPlan { facts, shape: StreamShape::Chat })),
        Dialect::Responses => Box::new(responses::StreamEncoder::new(facts, Echo::default())),
        Dialect::Anthropic => Box::new(anthropic::StreamEncoder::new(facts)),
        Dialect::Gemini => Box::new(gemini::StreamEncoder::new(facts, false)),
        Dialect::Bedrock => Box::new(bedrock::StreamEncoder::new(facts)),
        Dialect::Cohere => Box::new(cohere::StreamEncoder::new(facts)),
    }
}

/// A provider's stream of a text in these pieces.
fn stream_of(dialect: Dialect, pieces: &[&str]) -> Vec<u8> {
    let mut events = vec![start()];
    events.extend(pieces.iter().map(|piece| text(piece)));
    events.push(end());
    events.push(StreamEvent::Usage(Usage { input_tokens: 3, output_tokens: 9, ..Usage::default() }));
    let (mut encoder, mut bytes) = (encoder(dialect), Vec::new());
    // Each event by itself, as a provider sends them.
    events.iter().for_each(|event| encoder.encode(std::slice::from_ref(event), &mut bytes));
    encoder.finish(&mut bytes);
    bytes
}

/// The text and the number of ends of a caller's stream.
fn heard(dialect: Dialect, bytes: Vec<u8>) -> (String, usize) {
    let (mut framing, mut decoder) = decoder(dialect);
    let mut events = Vec::new();
    framing.push(Bytes::from(bytes));
    while let Some(frame) = framing.next_frame().unwrap() {
        decoder.read(&frame, &mut events).unwrap();
    }
    assert!(decoder.is_complete());
    let ends = events.iter().filter(|event| matches!(event, StreamEvent::Finish { .. })).count();
    let said = events.iter().filter_map(|event| match event {
        StreamEvent::Text { delta, .. } => Some(delta.as_str()),
        _ => None,
    });
    (said.collect(), ends)
}

/// Makes the stream that goes on from what was sent.
type Onward<'a> = &'a dyn Fn(&Sent) -> Vec<u8>;

/// What a caller gets of a stream cut after so many bytes that goes on with another; `None` where there was no text yet or
/// it had ended.
fn rescued(
    (old, cut): (&[u8], usize),
    (mut first, provider): (Box<dyn Transducer>, Dialect),
    (new, other, mode): (Onward<'_>, Dialect, Mode),
    caller: Dialect,
) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let raw = Bytes::copy_from_slice(&old[..cut]);
    first.push(raw.clone(), &mut out).unwrap();
    if first.finish(&mut out).is_ok() {
        return None;
    }
    let (framing, mut reader) = decoder(provider);
    let events = read_again(raw, (framing, &mut reader), first.progress().frames, true).unwrap();
    let sent = match Sent::new(events) {
        Ok(sent) if !sent.text().is_empty() => sent,
        Ok(_) | Err(Unfit::Finished) => return None,
        Err(unfit) => panic!("{unfit}"),
    };
    let new = new(&sent);
    let mut writer = encoder(caller);
    writer.encode(sent.events(), &mut Vec::new());
    let (framing, reader) = decoder(other);
    let reader = Continuation::new(reader, Arc::new(sent), mode);
    let mut second = Translator::new(framing, reader, writer);
    for chunk in new.chunks(11) {
        second.push(Bytes::copy_from_slice(chunk), &mut out).unwrap();
    }
    second.finish(&mut out).unwrap();
    Some(out.concat())
}

fn translator(provider: Dialect, caller: Dialect) -> Box<dyn Transducer> {
    let (framing, decoder) = decoder(provider);
    Box::new(Translator::new(framing, decoder, encoder(caller)))
}

fn pieces(size: usize) -> Vec<String> {
    let chars: Vec<char> = TEXT.chars().collect();
    chars.chunks(size).map(|piece| piece.iter().collect()).collect()
}

#[test]
fn for_every_pair_of_wires_and_every_cut_the_caller_hears_the_whole_answer_once() {
    let (three, five) = (pieces(3), pieces(5));
    let three: Vec<&str> = three.iter().map(String::as_str).collect();
    let five: Vec<&str> = five.iter().map(String::as_str).collect();
    let mut count = 0;
    for provider in Dialect::ALL {
        let old = stream_of(provider, &three);
        for other in Dialect::ALL {
            let whole = stream_of(other, &five);
            let anew = |_: &Sent| whole.clone();
            let rest = |sent: &Sent| stream_of(other, &[&TEXT[sent.text().trim_end().len()..]]);
            for caller in Dialect::ALL {
                for cut in (0..old.len()).step_by(331) {
                    for (new, mode) in [(&anew as Onward<'_>, Mode::Replay), (&rest, Mode::Prefill)] {
                        let first = (translator(provider, caller), provider);
                        let Some(bytes) = rescued((&old, cut), first, (new, other, mode), caller) else {
                            continue;
                        };
                        let place = format!("{provider:?} {other:?} {caller:?} {mode:?} at {cut}");
                        assert_eq!(heard(caller, bytes), (TEXT.to_owned(), 1), "{place}");
                        count += 1;
                    }
                }
            }
        }
    }
    assert!(count > 500, "{count}");
}

#[test]
fn what_was_passed_on_unread_goes_on_too() {
    let (three, five) = (pieces(3), pieces(5));
    let three: Vec<&str> = three.iter().map(String::as_str).collect();
    let five: Vec<&str> = five.iter().map(String::as_str).collect();
    for dialect in [Dialect::OpenAi, Dialect::Anthropic, Dialect::Gemini, Dialect::Bedrock, Dialect::Cohere] {
        let old = stream_of(dialect, &three);
        let whole = stream_of(Dialect::Gemini, &five);
        let anew = |_: &Sent| whole.clone();
        let mut count = 0;
        for cut in (0..old.len()).step_by(5) {
            let relay: Box<dyn Transducer> = match dialect {
                Dialect::OpenAi => Box::new(OpenAiRelay::new(RelayOptions::default())),
                Dialect::Bedrock => Box::new(bedrock::StreamRelay::new(Reading::default())),
                _ => {
                    let parts = (decoder(dialect).1, encoder(dialect));
                    Box::new(NativeRelay::new(Framer::new(), parts, &[], "mine"))
                }
            };
            let new: Onward<'_> = &anew;
            let bytes = rescued((&old, cut), (relay, dialect), (new, Dialect::Gemini, Mode::Replay), dialect);
            let Some(bytes) = bytes else { continue };
            assert_eq!(heard(dialect, bytes), (TEXT.to_owned(), 1), "{dialect:?} at {cut}");
            count += 1;
        }
        assert!(count > 20, "{dialect:?} {count}");
    }
}

#[test]
fn what_cannot_be_read_again_is_told() {
    let raw =
        Bytes::from_static(b"data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\ndata: nonsense\n\n");
    let check = |frames: u64, ends_in_fault: bool, expect: Result<usize, Unfit>| {
        let mut decoder = ChunkDecoder::new();
        let read = read_again(raw.clone(), (Framing::events(), &mut decoder), frames, ends_in_fault);
        assert_eq!(read.map(|events| events.len()), expect, "{frames} {ends_in_fault}");
    };
    check(0, false, Ok(0));
    check(1, false, Ok(2));
    check(2, true, Ok(2));
    check(2, false, Err(Unfit::Unreadable));
    check(3, true, Err(Unfit::Unreadable));
}

fn cut_into(words: &str, sizes: &[usize]) -> Vec<StreamEvent> {
    let (mut chars, mut sizes) = (words.chars().peekable(), sizes.iter().cycle());
    let mut events = Vec::new();
    while chars.peek().is_some() {
        let piece: String = chars.by_ref().take((*sizes.next().unwrap()).max(1)).collect();
        events.push(text(&piece));
    }
    events
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn however_both_streams_are_cut_the_text_is_whole(
        whole in "[ab \n\u{e9}\u{1f600}]{1,60}",
        at in 0..60_usize,
        old_sizes in prop::collection::vec(1..7_usize, 1..5),
        new_sizes in prop::collection::vec(1..7_usize, 1..5),
        is_prefill in any::<bool>(),
    ) {
        let at = whole.char_indices().nth(at).map_or(whole.len(), |(at, _)| at);
        let (had, rest) = whole.split_at(at);
        let (mode, new) = if is_prefill {
            (Mode::Prefill, &whole[had.trim_end().len()..])
        } else {
            (Mode::Replay, whole.as_str())
        };
        let mut new = cut_into(new, &new_sizes);
        new.push(end());
        let passed = passes(cut_into(had, &old_sizes), mode, new).unwrap();
        let said: String = passed.iter().filter_map(|event| match event {
            StreamEvent::Text { delta, .. } => Some(delta.as_str()),
            _ => None,
        }).collect();
        prop_assert_eq!(said, rest);
        prop_assert_eq!(passed.last(), Some(&end()));
    }

    #[test]
    fn a_text_that_differs_never_passes(
        whole in "[ab]{2,40}",
        at in 0..40_usize,
        sizes in prop::collection::vec(1..7_usize, 1..5),
    ) {
        let at = at % whole.len();
        let mut other = whole.clone().into_bytes();
        other[at] = b'x';
        let other = String::from_utf8(other).unwrap();
        let passed = passes(vec![text(&whole)], Mode::Replay, cut_into(&other, &sizes));
        prop_assert_eq!(passed, Err(ReplyFault::Disagrees));
    }
}
