//! Requests of every caller, written for every provider.

use crate::cell::{self, Group, Outcome, Row};
use crate::forms;
use crate::goldens::{self, Feature};
use crate::surface::Surface;
use crate::view;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::OnceLock;
use tollgate_dialect::conversation::{ChatRequest, ResponseFormat};
use tollgate_dialect::wire::{Dialect, EncodeError, EncodeOptions, Outbound};

const BASE: &str = include_str!("requests/base.json");

/// Groups of features by the heading of their table.
const GROUPS: &[(&str, &str)] = &[
    ("Messages", include_str!("requests/messages.json")),
    ("Media and documents", include_str!("requests/media.json")),
    ("Tools", include_str!("requests/tools.json")),
    ("Reasoning", include_str!("requests/reasoning.json")),
    ("Parameters", include_str!("requests/settings.json")),
];

/// The body that a client of this dialect sends.
fn body(caller: &Surface, members: &Value) -> Value {
    let base: Value = serde_json::from_str(BASE).unwrap();
    match members {
        Value::Null => base[caller.dialect.name()].clone(),
        members => goldens::merge(&base[caller.dialect.name()], members),
    }
}

/// What a provider's newest models take.
fn options(drop_unsupported: bool) -> EncodeOptions {
    EncodeOptions {
        drop_unsupported,
        native_structured_output: true,
        reasoning_by_level: true,
        ..EncodeOptions::default()
    }
}

/// A client's body as the server hands it on: with the deployment's model.
fn read(caller: &Surface, provider: &Surface, feature: &Feature) -> Option<ChatRequest> {
    let body = body(caller, feature.body(caller)?).to_string();
    let read = (caller.decode_request)(body.as_bytes());
    let mut request = read.unwrap_or_else(|error| panic!("{}: {}: {error}", feature.name, caller.title));
    request.model = provider.model.to_owned();
    Some(request)
}

/// What becomes of a request at a provider.
fn outcome(feature: &str, request: &ChatRequest, provider: &Surface) -> Outcome {
    let strict = (provider.encode_chat)(request, &options(false));
    let lenient = match (provider.encode_chat)(request, &options(true)) {
        Ok(outbound) => outbound,
        Err(EncodeError::Invalid { param, .. }) => return Outcome::Impossible(param),
        Err(error @ EncodeError::Unsupported { .. }) => {
            return Outcome::Lost(format!("not even dropped: {error}"));
        }
    };
    let lost: Vec<&str> = lenient.lost.names().collect();
    let refused = match strict {
        Err(EncodeError::Unsupported { params }) => params,
        Err(EncodeError::Invalid { param, .. }) => vec![param],
        Ok(outbound) if outbound != lenient => return Outcome::Lost("drop_params changes it".to_owned()),
        Ok(_) => return compare(feature, request, provider, &lenient),
    };
    match refused.iter().find(|param| !lost.contains(&param.as_str())) {
        Some(param) => Outcome::Lost(format!("{param} is refused, but not told when it is dropped")),
        None => Outcome::Refused(refused.join(", ")),
    }
}

fn compare(feature: &str, request: &ChatRequest, provider: &Surface, outbound: &Outbound) -> Outcome {
    if !outbound.lost.is_empty() {
        return Outcome::Told(outbound.lost.names().collect::<Vec<_>>().join(", "));
    }
    let arrived = match (provider.decode_request)(&outbound.body) {
        Ok(arrived) => with_answer_form(arrived, outbound),
        Err(error) => return Outcome::Lost(format!("the provider cannot read it: {error}")),
    };
    let (mut said, mut heard) = (view::request(request), view::request(&arrived));
    forms::forget_additions(&mut said, &mut heard, provider.dialect);
    if said == heard {
        return Outcome::Kept;
    }
    match forms::other_form(feature, provider.dialect, &said, &heard) {
        Some(form) => Outcome::Near(form),
        None => Outcome::Lost(view::difference(&said, &heard)),
    }
}

/// What becomes of a request with addresses before a provider that fetches none: the server puts bytes in their place.
fn outcome_of_bytes(feature: &str, request: &ChatRequest, provider: &Surface) -> Option<Outcome> {
    if provider.dialect != Dialect::Bedrock {
        return None;
    }
    let mut whole = request.clone();
    for address in request.media_addresses() {
        let media_type = if address.ends_with(".pdf") { "application/pdf" } else { "image/png" };
        whole.place_media(address, media_type, b"bytes");
    }
    let is_kept = whole != *request && outcome(feature, &whole, provider) == Outcome::Kept;
    is_kept.then(|| Outcome::Near("its bytes, which the gateway fetches".to_owned()))
}

/// A tool that stands in for the form of the answer is that form.
fn with_answer_form(mut arrived: ChatRequest, outbound: &Outbound) -> ChatRequest {
    let Some(name) = &outbound.reading.answer_tool else { return arrived };
    let index = arrived
        .tools
        .iter()
        .position(|tool| tool.name == *name)
        .expect("the tool that stands in is declared");
    let schema = arrived.tools.remove(index).parameters.unwrap_or_default();
    let is_any = schema.get("properties").is_none_or(|properties| properties.as_object().unwrap().is_empty());
    arrived.response_format = Some(match is_any {
        true => ResponseFormat::JsonObject,
        false => {
            ResponseFormat::JsonSchema { name: String::new(), description: None, schema, strict: Some(true) }
        }
    });
    (arrived.tool_choice, arrived.parallel_tool_calls) = (None, None);
    arrived
}

/// The rows of every group, made once.
pub(crate) fn groups() -> &'static [Group] {
    static MADE: OnceLock<Vec<Group>> = OnceLock::new();
    let rows = |file| goldens::read(file).iter().map(row).collect();
    MADE.get_or_init(|| GROUPS.iter().map(|(heading, file)| (*heading, rows(file))).collect())
}

fn row(feature: &Feature) -> Row {
    let known = |name: &String| crate::surface::name_is_known(name);
    assert!(feature.bodies.keys().all(known), "{}: an unknown dialect", feature.name);
    let mut cells = BTreeMap::new();
    for (pair, caller, provider) in cell::pairs() {
        if let Some(request) = read(caller, provider, feature) {
            let as_written = outcome(&feature.name, &request, provider);
            let fetched = matches!(as_written, Outcome::Impossible(_))
                .then(|| outcome_of_bytes(&feature.name, &request, provider));
            cells.insert(pair, fetched.flatten().unwrap_or(as_written));
        }
    }
    Row { feature: feature.name.clone(), cells }
}

#[test]
fn what_a_caller_says_arrives_or_is_told() {
    cell::require_nothing_lost(groups());
}

#[test]
fn a_plain_request_is_kept_by_every_pair() {
    for (_, caller, provider) in cell::pairs() {
        let mut request = (caller.decode_request)(body(caller, &Value::Null).to_string().as_bytes()).unwrap();
        request.model = provider.model.to_owned();
        assert_eq!(outcome("", &request, provider), Outcome::Kept, "{} -> {}", caller.title, provider.title);
    }
}
