//! Answers that are kept in one form and given out in the other: a plain reply as a stream, a stream as a plain reply, in
//! the dialect of the caller that it was first written for.

use crate::replies::{self, GROUPS};
use crate::surface::{self, SURFACES, Surface};
use crate::{feed, forms, goldens, view};
use serde_json::Value;
use tollgate_dialect::conversation::{
    ChatReply, Choice, Citation, Issuer, MediaSource, Part, Signature, StopReason, StreamEvent,
};
use tollgate_dialect::replay::{events_of, reply_of};
use tollgate_dialect::wire::{Dialect, Losses};

/// Every feature of every dialect, as its provider's body.
fn bodies() -> impl Iterator<Item = (String, &'static Surface, Value)> {
    let features = GROUPS.iter().flat_map(|(_, file)| goldens::read(file));
    features.flat_map(|feature| {
        SURFACES.iter().filter_map(move |surface| {
            let name = format!("{}: {}", feature.name, surface.title);
            Some((name, surface, replies::body(surface, feature.body(surface)?)))
        })
    })
}

/// A stream of the dialect, as its callers get it.
fn streamed(surface: &Surface, events: &[StreamEvent]) -> Vec<u8> {
    let mut encoder = (surface.encoder)(surface::facts());
    let mut bytes = Vec::new();
    encoder.encode(events, &mut bytes);
    encoder.finish(&mut bytes);
    bytes
}

fn plain(surface: &Surface, reply: &ChatReply) -> ChatReply {
    let bytes = (surface.encode_reply)(reply, &surface::facts(), &mut Losses::default());
    (surface.decode_reply)(&bytes, &surface::reading(surface)).unwrap()
}

/// What a dialect's written form has no place for, whole or streamed: its encoders tell of it by name.
const UNSAID: &[(Dialect, &str, &str)] = &[(Dialect::Gemini, "usage", "searches")];

/// What an answer means, without the format of a sound, which no event says, and without what is [`UNSAID`].
fn meant(surface: &Surface, reply: &ChatReply) -> Value {
    let mut reply = reply.clone();
    for part in reply.choices.iter_mut().flat_map(|choice| &mut choice.parts) {
        if let Part::Audio { source: MediaSource::Base64 { media_type, .. }, format, .. } = part {
            media_type.clear();
            format.clear();
        }
    }
    let mut view = view::reply(&reply);
    for (_, group, name) in UNSAID.iter().filter(|(dialect, ..)| *dialect == surface.dialect) {
        if let Some(members) = view[*group].as_object_mut() {
            members.shift_remove(*name);
        }
    }
    view
}

fn require_none(differing: &[String]) {
    assert!(differing.is_empty(), "{} differ:\n{}", differing.len(), differing.join("\n"));
}

#[test]
fn a_plain_reply_is_the_same_when_it_is_streamed() {
    let mut differing = Vec::new();
    for (name, surface, body) in bodies() {
        let reply = replies::read(surface, &name, &body);
        let events = events_of(&reply);
        let again = reply_of(&events).unwrap_or_else(|| panic!("{name}: not whole"));
        // What is kept in the model alone, and then by way of the wire.
        let (said, heard) = (meant(surface, &reply), meant(surface, &again));
        if said != heard {
            differing.push(format!("{name}: the events:{}", view::difference(&said, &heard)));
        }
        let arrived = replies::events(surface, &streamed(surface, &events));
        let arrived = reply_of(&arrived).unwrap_or_else(|| panic!("{name}: not whole"));
        let heard = meant(surface, &arrived);
        if said != heard {
            differing.push(format!("{name}: the stream:{}", view::difference(&said, &heard)));
        }
    }
    require_none(&differing);
}

#[test]
fn a_stream_is_the_same_when_it_is_given_out_whole() {
    let mut differing = Vec::new();
    for (name, surface, body) in bodies() {
        for size in [1, 3, 1_000] {
            let fed = feed::bytes(surface.dialect, &feed::events(surface.dialect, &body, size));
            let events = replies::events(surface, &fed);
            let reply = reply_of(&events).unwrap_or_else(|| panic!("{name}: not whole"));
            let (said, heard) = (meant(surface, &reply), meant(surface, &plain(surface, &reply)));
            if forms::in_order(&said) != forms::in_order(&heard) {
                differing.push(format!("{name}:{}", view::difference(&said, &heard)));
                break;
            }
        }
    }
    require_none(&differing);
}

/// Answers that say one thing each, by its name.
fn said() -> Vec<(&'static str, Choice)> {
    let text = |text: &str| Part::text(text);
    let thought = |text: &str, signature: Option<&str>| Part::Reasoning {
        text: text.to_owned(),
        signature: signature.map(|text| Signature::new(Issuer::Anthropic, text)),
    };
    let call = |id: &str, is_custom: bool| Part::ToolCall {
        id: id.to_owned(),
        name: "f".to_owned(),
        arguments: if is_custom { "words".to_owned() } else { r#"{"a":1}"#.to_owned() },
        is_custom,
        signature: None,
    };
    let source = |span| Citation { url: Some("https://a.example".to_owned()), span, ..Citation::default() };
    let cited = |span| Part::Text {
        text: "It is twelve degrees in Oslo.".to_owned(),
        cache_control: None,
        citations: vec![source(span)],
    };
    let sealed = Part::RedactedReasoning { data: Signature::new(Issuer::Anthropic, "sealed") };
    let data = "iVBORw0KGgo=".to_owned();
    let picture = MediaSource::Base64 { media_type: "image/png".to_owned(), data };
    let sound = MediaSource::Base64 { media_type: "audio/wav".to_owned(), data: "UklGRg==".to_owned() };
    let entry = serde_json::json!({"token": "Hello", "logprob": -0.5, "bytes": [72, 101, 108, 108, 111],
        "top_logprobs": [{"token": "Hi", "logprob": -1.5, "bytes": [72, 105]}]});
    let parts = |parts: Vec<Part>| Choice { parts, stop: Some(StopReason::Stop), ..Choice::default() };
    let probable = serde_json::json!({"content": [entry], "refusal": null});
    vec![
        ("text", parts(vec![text("Hello there, this is a somewhat longer text.")])),
        ("two texts", parts(vec![text("Hello"), text(" again")])),
        ("a source of a text", parts(vec![cited(None)])),
        ("a source of a part of a text", parts(vec![cited(Some((6, 12)))])),
        ("reasoning", parts(vec![thought("Hm.", None), text("Hello")])),
        ("signed reasoning", parts(vec![thought("Hm.", Some("s")), text("Hello")])),
        ("sealed reasoning", parts(vec![sealed, text("Hello")])),
        ("reasoning between texts", parts(vec![text("a"), thought("Hm.", Some("s")), text("b")])),
        ("a call", parts(vec![text("Hello"), call("c1", false)])),
        ("two calls", parts(vec![call("c1", false), call("c2", false)])),
        ("a custom tool's call", parts(vec![call("c1", true)])),
        ("text behind a call", parts(vec![call("c1", false), text("Hello")])),
        ("a refusal", parts(vec![Part::Refusal("I will not.".to_owned())])),
        ("a picture", parts(vec![Part::Image { source: picture, detail: None, cache_control: None }])),
        ("a sound", {
            let (format, transcript) = ("wav".to_owned(), Some("Hello".to_owned()));
            parts(vec![Part::Audio { source: sound, format, transcript }])
        }),
        ("log probabilities", Choice { logprobs: Some(probable), ..parts(vec![text("Hello")]) }),
        (
            "a stop text",
            Choice {
                stop: Some(StopReason::StopSequence),
                stop_sequence: Some("END".to_owned()),
                ..parts(vec![text("Hello")])
            },
        ),
    ]
}

/// The order that a dialect's whole form does not keep: the answer, and the dialect.
const UNORDERED: &[(&str, Dialect)] = &[
    ("reasoning between texts", Dialect::OpenAi),
    ("text behind a call", Dialect::OpenAi),
    ("text behind a call", Dialect::Cohere),
];

/// Part by part, with nothing evened out but what [`meant`] leaves out, and that a source of all of a text has no span.
fn exact(reply: &ChatReply) -> Vec<Choice> {
    let mut choices = reply.choices.clone();
    for part in choices.iter_mut().flat_map(|choice| &mut choice.parts) {
        match part {
            Part::Audio { source: MediaSource::Base64 { media_type, .. }, format, .. } => {
                media_type.clear();
                format.clear();
            }
            Part::Text { text, citations, .. } => {
                let whole = Some((0, text.chars().count() as u64));
                citations
                    .iter_mut()
                    .for_each(|citation| citation.span = citation.span.filter(|_| citation.span != whole));
            }
            _ => {}
        }
    }
    choices
}

#[test]
fn what_a_dialect_can_say_it_says_part_by_part_in_both_forms() {
    for (name, choice) in said() {
        let reply = ChatReply { choices: vec![choice], ..ChatReply::default() };
        for surface in SURFACES {
            let through = |reply: &ChatReply| {
                let events = replies::events(surface, &streamed(surface, &events_of(reply)));
                reply_of(&events).unwrap_or_else(|| panic!("{name}: {}: not whole", surface.title))
            };
            // What the form keeps of it at all, and that again by way of the other form.
            let whole = plain(surface, &reply);
            assert_eq!(exact(&through(&whole)), exact(&whole), "{name}: {}: streamed", surface.title);
            let heard = through(&reply);
            let is_kept = exact(&plain(surface, &heard)) == exact(&heard);
            let is_known = UNORDERED.contains(&(name, surface.dialect));
            assert_eq!(is_kept, !is_known, "{name}: {}: given out whole", surface.title);
        }
    }
}
