//! A whole answer as a stream, and a stream as a whole answer, without a wire between them.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use serde_json::{Value, json};
use tollgate_dialect::conversation::{
    ChatReply, Choice, Citation, Issuer, MediaSource, Native, Part, Signature, StopReason, StreamEvent, Usage,
};
use tollgate_dialect::replay::{events_of, reply_of};
use tollgate_dialect::wire::Dialect;

fn of_parts(parts: Vec<Part>) -> ChatReply {
    let choices = vec![Choice { parts, stop: Some(StopReason::Stop), ..Choice::default() }];
    ChatReply { choices, ..ChatReply::default() }
}

fn text(delta: &str) -> StreamEvent {
    StreamEvent::Text { choice: 0, delta: delta.to_owned() }
}

fn source(url: &str, span: Option<(u64, u64)>) -> Citation {
    Citation { url: Some(url.to_owned()), span, ..Citation::default() }
}

fn cited(url: &str, span: Option<(u64, u64)>) -> StreamEvent {
    StreamEvent::Citation { choice: 0, citation: Box::new(source(url, span)) }
}

fn cited_text(text: &str, citations: Vec<Citation>) -> Part {
    Part::Text { text: text.to_owned(), cache_control: None, citations }
}

fn call_start(index: u64, is_custom: bool) -> StreamEvent {
    let (id, name) = (format!("call_{index}"), "get_weather".to_owned());
    StreamEvent::ToolCallStart { choice: 0, index, id, name, is_custom, signature: None }
}

fn arguments(index: u64, delta: &str) -> StreamEvent {
    StreamEvent::ToolCallArguments { choice: 0, index, delta: delta.to_owned() }
}

fn finish(choice: u64) -> StreamEvent {
    StreamEvent::Finish { choice, stop: StopReason::Stop, stop_sequence: None }
}

/// The parts that these events tell before their end.
fn parts_of(mut events: Vec<StreamEvent>) -> Option<Vec<Part>> {
    events.push(finish(0));
    Some(reply_of(&events)?.choices.remove(0).parts)
}

#[test]
fn the_events_come_in_the_order_of_a_stream() {
    let usage = Usage {
        input_tokens: 9,
        cached_tokens: 4,
        output_tokens: 7,
        reasoning_tokens: 2,
        ..Usage::default()
    };
    let mut reply = of_parts(vec![
        Part::Reasoning { text: "Hm.".to_owned(), signature: Some(Signature::new(Issuer::Anthropic, "s")) },
        cited_text("It is twelve degrees in Oslo.", vec![source("https://a.example", Some((6, 12)))]),
        cited_text("Bye.", vec![source("https://b.example", None)]),
        Part::ToolCall {
            id: "c".to_owned(),
            name: "f".to_owned(),
            arguments: r#"{"city": "Oslo"}"#.to_owned(),
            is_custom: false,
            signature: None,
        },
    ]);
    (reply.id, reply.model, reply.usage) = ("id".to_owned(), "m".to_owned(), usage);
    reply.service_tier = Some("flex".to_owned());
    let prompt = Usage { input_tokens: 9, cached_tokens: 4, ..Usage::default() };
    let call = StreamEvent::ToolCallStart {
        choice: 0,
        index: 0,
        id: "c".to_owned(),
        name: "f".to_owned(),
        is_custom: false,
        signature: None,
    };
    let expect = vec![
        StreamEvent::Start { id: "id".to_owned(), model: "m".to_owned() },
        StreamEvent::ServiceTier("flex".to_owned()),
        StreamEvent::Usage(prompt),
        StreamEvent::Reasoning { choice: 0, delta: "Hm.".to_owned() },
        StreamEvent::ReasoningSignature { choice: 0, signature: Signature::new(Issuer::Anthropic, "s") },
        text("It is twelve degrees "),
        text("in Oslo."),
        cited("https://a.example", Some((6, 12))),
        text(""),
        text("Bye."),
        cited("https://b.example", Some((29, 33))),
        call,
        arguments(0, r#"{"city": "Oslo"}"#),
        finish(0),
        StreamEvent::Usage(usage),
    ];
    assert_eq!(events_of(&reply), expect);
}

#[test]
fn an_answer_without_a_reason_for_its_end_ends_as_its_content_says() {
    let end = |parts: Vec<Part>| {
        let mut reply = of_parts(parts);
        reply.choices[0].stop = None;
        reply_of(&events_of(&reply)).unwrap().choices[0].stop
    };
    let call = Part::ToolCall {
        id: "c".to_owned(),
        name: "f".to_owned(),
        arguments: String::new(),
        is_custom: false,
        signature: None,
    };
    assert_eq!(end(vec![Part::text("a")]), Some(StopReason::Stop));
    assert_eq!(end(vec![Part::text("a"), call]), Some(StopReason::ToolCalls));
}

#[test]
fn what_is_not_whole_is_no_answer() {
    let whole = |events: &[StreamEvent]| reply_of(events).is_some();
    assert!(!whole(&[]));
    assert!(!whole(&[text("Hel")]));
    assert!(whole(&[text("Hello"), finish(0)]));
    let other = StreamEvent::Text { choice: 1, delta: "b".to_owned() };
    assert!(!whole(&[text("a"), other.clone(), finish(0)]), "the second answer has no end");
    assert!(whole(&[text("a"), other, finish(1), finish(0)]));
    let called = |is_custom, pieces: &[&str]| {
        let mut events = vec![call_start(0, is_custom)];
        events.extend(pieces.iter().map(|piece| arguments(0, piece)));
        parts_of(events).is_some()
    };
    assert!(called(false, &[r#"{"city":"#, r#""Oslo"}"#]));
    assert!(called(false, &[]), "a call without arguments");
    assert!(!called(false, &[r#"{"city":"#]));
    assert!(called(true, &["free { text"]));
    assert!(parts_of(vec![call_start(0, false), arguments(1, "{}")]).is_none(), "a piece of no call");
    assert!(parts_of(vec![call_start(0, false), call_start(0, false)]).is_none(), "two calls of one number");
    let sound = |data: &str| StreamEvent::Audio {
        choice: 0,
        id: String::new(),
        data: data.to_owned(),
        transcript: String::new(),
    };
    assert!(parts_of(vec![sound("AA=="), sound("!?")]).is_none());
}

#[test]
fn calls_that_overlap_are_put_together_each_by_itself() {
    let events = vec![
        call_start(0, false),
        arguments(0, "{"),
        call_start(1, false),
        arguments(1, "[]"),
        arguments(0, "}"),
    ];
    let found: Vec<String> = parts_of(events)
        .unwrap()
        .into_iter()
        .filter_map(|part| if let Part::ToolCall { arguments, .. } = part { Some(arguments) } else { None })
        .collect();
    assert_eq!(found, ["{}", "[]"]);
}

#[test]
fn a_source_is_put_to_the_text_that_it_begins_in() {
    let check = |events: Vec<StreamEvent>, expect: Vec<Part>| assert_eq!(parts_of(events), Some(expect));
    let thought = || StreamEvent::Reasoning { choice: 0, delta: "Hm.".to_owned() };
    let thought_part = || Part::Reasoning { text: "Hm.".to_owned(), signature: None };
    let by = |span| vec![source("u", span)];
    // All of a text is said without a span, as in whole answers.
    check(vec![text("\u{e9}a"), cited("u", Some((0, 2)))], vec![cited_text("\u{e9}a", by(None))]);
    check(vec![text("abc"), cited("u", Some((1, 2)))], vec![cited_text("abc", by(Some((1, 2))))]);
    // At the end of all, for the second of two.
    let events = vec![text("abc"), thought(), text("def"), cited("u", Some((4, 6)))];
    check(events, vec![Part::text("abc"), thought_part(), cited_text("def", by(Some((1, 3))))]);
    // Of both: it stays with the first, as far as that goes.
    let events = vec![text("abc"), text(""), text("def"), cited("u", Some((1, 5)))];
    check(events, vec![cited_text("abc", by(Some((1, 3)))), Part::text("def")]);
    // Without a span it is of what came since the last one.
    let events = vec![text("abc"), cited("u", None), text("de"), cited("v", None), cited("w", None)];
    let sources = vec![source("u", Some((0, 3))), source("v", Some((3, 5))), source("w", Some((3, 5)))];
    check(events, vec![cited_text("abcde", sources)]);
    // A block of no words.
    let events = vec![text("abc"), text(""), cited("u", Some((3, 3))), text(""), text("d")];
    check(events, vec![Part::text("abc"), cited_text("", by(None)), Part::text("d")]);
}

#[test]
fn a_sound_in_pieces_is_one() {
    let piece = |data: &str, words: &str| StreamEvent::Audio {
        choice: 0,
        id: "audio_1".to_owned(),
        data: data.to_owned(),
        transcript: words.to_owned(),
    };
    let check = |pieces: &[(&str, &str)], data: &str, words: Option<&str>| {
        let parts = parts_of(pieces.iter().map(|(data, words)| piece(data, words)).collect()).unwrap();
        let media_type = "audio/L16;rate=24000".to_owned();
        let source = MediaSource::Base64 { media_type, data: data.to_owned() };
        let transcript = words.map(str::to_owned);
        assert_eq!(parts, [Part::Audio { source, format: "pcm16".to_owned(), transcript }]);
    };
    check(&[("", "Hel"), ("Zm9v", ""), ("YmFy", "lo")], "Zm9vYmFy", Some("Hello"));
    // Each piece padded by itself: bytes are put together, not letters.
    check(&[("Zg==", ""), ("b28=", "")], "Zm9v", None);
    check(&[("Zm9v", ""), ("Zg==", "")], "Zm9vZg==", None);
}

#[test]
fn log_probabilities_stand_behind_the_words_that_they_are_of() {
    let entry = |token: &str| json!({"token": token, "logprob": -0.25, "bytes": token.as_bytes(), "top_logprobs": []});
    let spelled =
        json!({"content": [entry("It is twelve"), entry(" degrees"), entry(" in Oslo.")], "refusal": null});
    let other = json!({"content": [entry("something else")], "refusal": null});
    let told = |logprobs: &Value| {
        let citations = vec![source("u", Some((0, 2)))];
        let mut reply = of_parts(vec![cited_text("It is twelve degrees in Oslo.", citations)]);
        reply.choices[0].logprobs = Some(logprobs.clone());
        let events = events_of(&reply);
        assert_eq!(reply_of(&events), Some(reply));
        events
    };
    let probable = |content: Value| StreamEvent::Logprobs {
        choice: 0,
        logprobs: json!({"content": content, "refusal": null}),
    };
    let expect = [
        text("It is twelve degrees"),
        probable(json!([entry("It is twelve"), entry(" degrees")])),
        text(" in Oslo."),
        probable(json!([entry(" in Oslo.")])),
        cited("u", Some((0, 2))),
    ];
    assert_eq!(told(&spelled)[2..7], expect);
    let expect = [
        text("It is twelve degrees "),
        text("in Oslo."),
        probable(json!([entry("something else")])),
        cited("u", Some((0, 2))),
    ];
    assert_eq!(told(&other)[2..6], expect);
}

fn any_words() -> impl Strategy<Value = String> {
    "[a-z \u{e9}\u{4e2d}\u{1f600}\n]{1,90}"
}

fn any_signature() -> impl Strategy<Value = Signature> {
    ("[A-Za-z]{1,8}", prop::bool::ANY).prop_map(|(text, is_google)| {
        Signature::new(if is_google { Issuer::Google } else { Issuer::Anthropic }, text)
    })
}

fn any_text() -> impl Strategy<Value = Part> {
    let spans = prop::collection::vec(prop::option::of((0_u64..90, 0_u64..90)), 0..3);
    (any_words(), spans).prop_map(|(text, spans)| {
        let chars = text.chars().count() as u64;
        let within = |(from, length): (u64, u64)| {
            let from = from % chars;
            (from, (from + 1 + length).min(chars))
        };
        // All of a text is said without a span.
        let span = |span: Option<(u64, u64)>| span.map(within).filter(|span| *span != (0, chars));
        let citations = spans.into_iter().map(|place| source("https://a.example", span(place))).collect();
        cited_text(&text, citations)
    })
}

fn any_part() -> impl Strategy<Value = Part> {
    let arguments = prop_oneof![Just(String::new()), Just(r#"{"a": [1, 2]}"#.to_owned())];
    let call = (arguments, prop::bool::ANY, prop::option::of(any_signature())).prop_map(
        |(arguments, is_custom, signature)| Part::ToolCall {
            id: "c".to_owned(),
            name: "f".to_owned(),
            arguments,
            is_custom,
            signature,
        },
    );
    let sound = (1_usize..60_000, prop::option::of(any_words())).prop_map(|(length, transcript)| {
        let data = "AAAA".repeat(length.div_ceil(4));
        let source = MediaSource::Base64 { media_type: "audio/L16;rate=24000".to_owned(), data };
        Part::Audio { source, format: "pcm16".to_owned(), transcript }
    });
    let picture = Just(MediaSource::Url("https://a.example/x.png".to_owned()));
    let native = Native { dialect: Dialect::Anthropic, value: json!({"type": "server_tool_use"}) };
    prop_oneof![
        4 => any_text(),
        2 => (any_words(), prop::option::of(any_signature()))
            .prop_map(|(text, signature)| Part::Reasoning { text, signature }),
        1 => any_signature().prop_map(|data| Part::RedactedReasoning { data }),
        // Words that no text before it has.
        1 => any_words().prop_map(|words| Part::Refusal(format!("No: {words}"))),
        2 => call,
        1 => sound,
        1 => picture.prop_map(|source| Part::Image { source, detail: None, cache_control: None }),
        1 => Just(Part::Native(native)),
    ]
}

/// Leaves out what no event tells from the part before it: more of the same reasoning, refusal or sound.
fn told_apart(parts: Vec<Part>) -> Vec<Part> {
    let goes_on = |before: &Part, part: &Part| {
        matches!(
            (before, part),
            (Part::Reasoning { signature: None, .. }, Part::Reasoning { .. })
                | (Part::Refusal(_), Part::Refusal(_))
                | (Part::Audio { .. }, Part::Audio { .. })
        )
    };
    let mut apart: Vec<Part> = Vec::new();
    for part in parts {
        if !apart.last().is_some_and(|before| goes_on(before, &part)) {
            apart.push(part);
        }
    }
    apart
}

fn any_reply() -> impl Strategy<Value = ChatReply> {
    let end = (prop_oneof![Just(StopReason::Stop), Just(StopReason::Length)], prop::option::of("[a-z]{1,4}"));
    let choice = (prop::collection::vec(any_part(), 0..7), end).prop_map(|(parts, (stop, stop_sequence))| {
        Choice { parts: told_apart(parts), stop: Some(stop), stop_sequence, ..Choice::default() }
    });
    (prop::collection::vec(choice, 1..3), prop::option::of("[a-z]{1,4}"), 0_u64..9).prop_map(
        |(mut choices, service_tier, tokens)| {
            for (index, choice) in (0_u64..).zip(&mut choices) {
                choice.index = index;
            }
            let usage = Usage { input_tokens: tokens, output_tokens: 2, ..Usage::default() };
            let (id, model) = ("id".to_owned(), "m".to_owned());
            ChatReply { id, model, choices, usage, service_tier, ..ChatReply::default() }
        },
    )
}

proptest! {
    #[test]
    fn an_answer_that_is_told_is_heard_again(reply in any_reply()) {
        let events = events_of(&reply);
        prop_assert_eq!(&events, &events_of(&reply));
        prop_assert_eq!(reply_of(&events), Some(reply));
    }

    #[test]
    fn a_stream_that_breaks_off_before_its_last_end_is_no_answer(reply in any_reply(), at in 0.0_f64..1.0) {
        let events = events_of(&reply);
        let last = events.iter().rposition(|event| matches!(event, StreamEvent::Finish { .. })).unwrap();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a place in a list")]
        let cut = (last as f64 * at) as usize;
        let heard = reply_of(events.get(..cut).unwrap());
        // Where an answer is cut off before it said anything, the others may be whole.
        prop_assert!(heard.is_none_or(|heard| heard.choices.len() < reply.choices.len()));
    }
}
