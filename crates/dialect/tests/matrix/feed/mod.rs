//! A provider's whole reply as the stream that the same provider would have sent.
//!
//! Owns the order of a stream's events as each provider documents them, apart from the crate's own encoders, so that no
//! mistake is made on both sides. Text comes in pieces of a few characters.

mod anthropic;
mod bedrock;
mod cohere;
mod gemini;
mod openai;
mod responses;

use serde_json::Value;
use tollgate_dialect::framing::event_stream;
use tollgate_dialect::wire::Dialect;

/// One event: its name, where the framing has one, and its data.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) name: Option<String>,
    pub(crate) data: Value,
}

/// Collects events.
#[derive(Debug, Default)]
struct Feed {
    events: Vec<Event>,
}

impl Feed {
    /// An event without a name.
    fn push(&mut self, data: Value) {
        self.events.push(Event { name: None, data });
    }

    /// An event with a name.
    fn named(&mut self, name: &str, data: Value) {
        self.events.push(Event { name: Some(name.to_owned()), data });
    }
}

/// The events of a reply, with texts in pieces of `size` characters.
pub(crate) fn events(dialect: Dialect, reply: &Value, size: usize) -> Vec<Event> {
    let mut feed = Feed::default();
    match dialect {
        Dialect::OpenAi => openai::write(reply, size, &mut feed),
        Dialect::Responses => responses::write(reply, size, &mut feed),
        Dialect::Anthropic => anthropic::write(reply, size, &mut feed),
        Dialect::Gemini => gemini::write(reply, size, &mut feed),
        Dialect::Bedrock => bedrock::write(reply, size, &mut feed),
        Dialect::Cohere => cohere::write(reply, size, &mut feed),
    }
    feed.events
}

/// Events as the bytes of their dialect's stream.
pub(crate) fn bytes(dialect: Dialect, events: &[Event]) -> Vec<u8> {
    let mut out = Vec::new();
    for event in events {
        let data = event.data.to_string();
        match (dialect, &event.name) {
            (Dialect::Bedrock, name) => {
                event_stream::write_event(name.as_deref().unwrap_or_default(), data.as_bytes(), &mut out);
            }
            (Dialect::Gemini, _) => out.extend(format!("data: {data}\r\n\r\n").into_bytes()),
            (_, Some(name)) => out.extend(format!("event: {name}\ndata: {data}\n\n").into_bytes()),
            (_, None) => out.extend(format!("data: {data}\n\n").into_bytes()),
        }
    }
    if dialect == Dialect::OpenAi {
        out.extend_from_slice(b"data: [DONE]\n\n");
    }
    out
}

/// A text in pieces of `size` characters.
fn pieces(text: &str, size: usize) -> Vec<String> {
    let characters: Vec<char> = text.chars().collect();
    characters.chunks(size).map(|piece| piece.iter().collect()).collect()
}

/// A text member.
fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap_or_default()
}

/// The items of a list member.
fn items<'v>(value: &'v Value, name: &str) -> &'v [Value] {
    value[name].as_array().map_or(&[], Vec::as_slice)
}

/// A copy without some members.
fn without(value: &Value, names: &[&str]) -> Value {
    let mut value = value.clone();
    if let Value::Object(members) = &mut value {
        members.retain(|name, _| !names.contains(&name.as_str()));
    }
    value
}
