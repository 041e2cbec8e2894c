//! Replies and streams of every provider, written for every caller.

use crate::cell::{self, Group, Outcome, Row};
use crate::collect::collect;
use crate::feed;
use crate::forms;
use crate::goldens::{self, Feature};
use crate::surface::{self, SURFACES, Surface};
use crate::view;
use bytes::Bytes;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::OnceLock;
use tollgate_dialect::conversation::{ChatReply, StreamEvent};
use tollgate_dialect::framing::Framing;
use tollgate_dialect::translate::Translator;
use tollgate_dialect::wire::{EventDecoder, Losses, Transducer};

const BASE: &str = include_str!("replies/base.json");

/// Groups of features by the heading of their table.
pub(crate) const GROUPS: &[(&str, &str)] = &[
    ("Content of answers", include_str!("replies/content.json")),
    ("Why an answer ended", include_str!("replies/stops.json")),
    ("Usage and service tier", include_str!("replies/usage.json")),
];

/// How a stream is cut: characters of a piece of text, and bytes of a chunk.
const CUTS: [(usize, &[usize]); 2] = [(3, &[7, 64]), (1_000, &[1])];

/// The body that a provider of this dialect sends.
pub(crate) fn body(provider: &Surface, members: &Value) -> Value {
    let base: Value = serde_json::from_str(BASE).unwrap();
    goldens::merge(&base[provider.dialect.name()], members)
}

/// A provider's body, read.
pub(crate) fn read(provider: &Surface, feature: &str, body: &Value) -> ChatReply {
    let read = (provider.decode_reply)(body.to_string().as_bytes(), &surface::reading(provider));
    read.unwrap_or_else(|fault| panic!("{feature}: {}: {fault:?}", provider.title))
}

/// Everything that a stream's bytes tell.
pub(crate) fn events(of: &Surface, bytes: &[u8]) -> Vec<StreamEvent> {
    let mut decoder = (of.decoder)(surface::reading(of));
    let mut framing: Framing = (of.framing)();
    let mut events = Vec::new();
    framing.push(Bytes::copy_from_slice(bytes));
    while let Some(frame) = framing.next_frame().expect("whole frames") {
        decoder.read(&frame, &mut events).unwrap_or_else(|fault| panic!("{}: {fault:?}", of.title));
    }
    assert!(decoder.is_complete(), "{}: the stream has its end mark", of.title);
    events
}

/// A provider's stream as the caller gets it, with the chunks cut at `cut` bytes.
pub(crate) fn translated(caller: &Surface, provider: &Surface, bytes: &[u8], cut: usize) -> Vec<u8> {
    let decoder = (provider.decoder)(surface::reading(provider));
    let encoder = (caller.encoder)(surface::facts());
    let mut translator = Translator::new((provider.framing)(), decoder, encoder);
    let mut out = Vec::new();
    for chunk in bytes.chunks(cut.min(bytes.len().max(1))) {
        translator.push(Bytes::copy_from_slice(chunk), &mut out).expect("a good stream");
    }
    translator.finish(&mut out).expect("a whole stream");
    out.concat()
}

/// What becomes of a reply for a caller, plain and streamed.
fn outcome(feature: &Feature, caller: &Surface, provider: &Surface) -> Option<Outcome> {
    let body = body(provider, feature.body(provider)?);
    let reply = read(provider, &feature.name, &body);
    let mut losses = Losses::default();
    let written = (caller.encode_reply)(&reply, &surface::facts(), &mut losses);
    let arrived = match (caller.decode_reply)(&written, &surface::reading(caller)) {
        Ok(arrived) => arrived,
        Err(fault) => return Some(Outcome::Lost(format!("the caller cannot read it: {fault:?}"))),
    };
    let (said, heard) = (view::reply(&reply), view::reply(&arrived));
    let limit = match streamed(caller, provider, &body, &heard) {
        Ok(limit) => limit,
        Err(how) => return Some(Outcome::Lost(how)),
    };
    let outcome = match (said == heard, losses.is_empty()) {
        (_, false) => Outcome::Told(losses.names().collect::<Vec<_>>().join(", ")),
        (true, true) => limit.map_or(Outcome::Kept, |limit| Outcome::Near(limit.to_owned())),
        (false, true) => match forms::reply_form(&said, &heard) {
            Some(form) => Outcome::Near(form),
            None => Outcome::Lost(view::difference(&said, &heard)),
        },
    };
    Some(outcome)
}

/// Holds the stream of the same reply to the plain one, for every way of cutting its text and its bytes. Gives what a
/// stream alone cannot say, or how it differs.
fn streamed(
    caller: &Surface,
    provider: &Surface,
    body: &Value,
    plain: &Value,
) -> Result<Option<&'static str>, String> {
    let mut limit = None;
    for (size, cuts) in CUTS {
        let fed = feed::bytes(provider.dialect, &feed::events(provider.dialect, body, size));
        let whole = translated(caller, provider, &fed, usize::MAX);
        let heard = view::reply(&collect(&events(caller, &whole)));
        if forms::in_order(&heard) != forms::in_order(plain) {
            limit = forms::stream_limit(plain, &heard);
            if limit.is_none() {
                return Err(format!("streamed (said is the plain one):{}", view::difference(plain, &heard)));
            }
        }
        for &cut in cuts {
            let cut_up = translated(caller, provider, &fed, cut);
            let again = view::reply(&collect(&events(caller, &cut_up)));
            if again != heard {
                return Err(format!("cut every {cut} bytes:{}", view::difference(&heard, &again)));
            }
        }
    }
    Ok(limit)
}

/// The rows of every group, made once.
pub(crate) fn groups() -> &'static [Group] {
    static MADE: OnceLock<Vec<Group>> = OnceLock::new();
    let rows = |file| goldens::read(file).iter().map(row).collect();
    MADE.get_or_init(|| GROUPS.iter().map(|(heading, file)| (*heading, rows(file))).collect())
}

fn row(feature: &Feature) -> Row {
    let mut cells = BTreeMap::new();
    for (pair, caller, provider) in cell::pairs() {
        if let Some(outcome) = outcome(feature, caller, provider) {
            cells.insert(pair, outcome);
        }
    }
    Row { feature: feature.name.clone(), cells }
}

#[test]
fn what_a_provider_answers_arrives_or_is_told() {
    cell::require_nothing_lost(groups());
}

#[test]
fn a_provider_is_understood_as_it_means() {
    for feature in GROUPS.iter().flat_map(|(_, file)| goldens::read(file)) {
        let Some(means) = feature.bodies.get("means") else { continue };
        for provider in SURFACES {
            let Some(members) = feature.body(provider) else { continue };
            let view = view::reply(&read(provider, &feature.name, &body(provider, members)));
            for (name, expect) in means.as_object().unwrap() {
                let found = view.get(name).or_else(|| view["choices"][0].get(name));
                assert_eq!(found, Some(expect), "{}: {}: {name}", feature.name, provider.title);
            }
        }
    }
}

#[test]
fn a_providers_stream_tells_what_its_plain_reply_tells() {
    let mut differing = Vec::new();
    for feature in GROUPS.iter().flat_map(|(_, file)| goldens::read(file)) {
        for provider in SURFACES {
            let Some(members) = feature.body(provider) else { continue };
            let body = body(provider, members);
            let plain = view::reply(&read(provider, &feature.name, &body));
            for size in [1, 3, 1_000] {
                let fed = feed::bytes(provider.dialect, &feed::events(provider.dialect, &body, size));
                let streamed = view::reply(&collect(&events(provider, &fed)));
                if streamed != plain {
                    let difference = view::difference(&plain, &streamed);
                    differing.push(format!("{}: {}:{difference}", feature.name, provider.title));
                    break;
                }
            }
        }
    }
    assert!(
        differing.is_empty(),
        "{} differ (said is the plain one):\n{}",
        differing.len(),
        differing.join("\n")
    );
}
