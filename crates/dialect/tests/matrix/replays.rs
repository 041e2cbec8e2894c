//! Answers that are kept in one form and given out in the other: a plain reply as a stream, a stream as a plain reply, in
//! the dialect of the caller that it was first written for.

use crate::replies::{self, GROUPS};
use crate::surface::{self, SURFACES, Surface};
use crate::{feed, forms, goldens, view};
use serde_json::Value;
use tollgate_dialect::conversation::{ChatReply, MediaSource, Part, StreamEvent};
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
