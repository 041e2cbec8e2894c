//! The stream of a response.
//!
//! Owns: the events, their order and numbers. Leaves to others: the items that they build up (`reply`, `hosted`).
//!
//! **Invariant:** `sequence_number` counts from 0 without a gap; the deltas of an item put together are what its `done`
//! event says; the last event is the response as a plain reply would have it.

use super::Breaks;
use super::hosted::{self, Step};
use super::reply::{Made, logprobs};
use crate::ask::{items_at, pieces, text_at};
use crate::reply::{Event, Making, Role};
use serde_json::{Map, Value, json};

/// The events of a response that ends as `whole`.
pub(super) fn events(made: &Made, whole: &Value, making: &mut Making<'_>) -> Vec<Event> {
    let mut stream = Stream { made, events: Vec::new(), making };
    let first = if made.background { "queued" } else { "in_progress" };
    stream.response(Role::Opening, "created", &made.begun(first, &Value::Null));
    if made.background {
        stream.response(Role::Opening, "queued", &made.begun(first, &Value::Null));
    }
    stream.response(Role::Opening, "in_progress", &made.begun("in_progress", &made.first_usage));
    for (index, item) in made.items.iter().enumerate() {
        stream.item(index, item);
    }
    stream.response(Role::End, text_at(whole, "status"), whole);
    stream.events
}

/// The stream cut after so many tokens, with the end of one that breaks off.
pub(super) fn broken(events: Vec<Event>, breaks: Breaks, made: &Made) -> Vec<Event> {
    let (Breaks::Error { after, .. } | Breaks::Failed { after }) = breaks;
    let mut left = after;
    let mut kept: Vec<Event> = events
        .into_iter()
        .take_while(|event| {
            let fits = match event.role {
                Role::Opening => true,
                Role::Content => left > 0,
                Role::Closing | Role::End => false,
            };
            left -= usize::from(fits && event.role == Role::Content);
            fits
        })
        .collect();
    let sequence = kept.len();
    kept.push(match breaks {
        Breaks::Failed { .. } => {
            framed(Role::Closing, "response.failed", json!({"response": made.failed()}), sequence)
        }
        Breaks::Error { status, .. } => {
            let (code, message) = match status {
                429 => ("rate_limit_exceeded", "Rate limit reached. Please try again later."),
                _ => (
                    "server_error",
                    "The server had an error while processing your request. Sorry about that!",
                ),
            };
            framed(Role::Closing, "error", json!({"code": code, "message": message, "param": null}), sequence)
        }
    });
    kept
}

fn framed(role: Role, kind: &str, fields: Value, sequence: usize) -> Event {
    let mut data = Map::new();
    data.insert("type".to_owned(), json!(kind));
    data.insert("sequence_number".to_owned(), json!(sequence));
    if let Value::Object(fields) = fields {
        data.extend(fields);
    }
    Event::named(role, kind, &Value::Object(data))
}

/// A stream, being written.
struct Stream<'a, 'b> {
    made: &'a Made,
    events: Vec<Event>,
    making: &'a mut Making<'b>,
}

/// Where an event belongs.
#[derive(Clone, Copy)]
struct Place<'a> {
    item: &'a str,
    output: usize,
    /// The index of a part, and the name that this index has.
    part: Option<(&'static str, usize)>,
}

impl Place<'_> {
    fn fields(&self) -> Value {
        let mut fields = json!({"item_id": self.item, "output_index": self.output});
        if let (Some((name, index)), Some(fields)) = (self.part, fields.as_object_mut()) {
            fields.insert(name.to_owned(), json!(index));
        }
        fields
    }
}

impl Stream<'_, '_> {
    fn push(&mut self, role: Role, kind: &str, fields: Value) {
        let event = framed(role, &format!("response.{kind}"), fields, self.events.len());
        self.events.push(event);
    }

    fn response(&mut self, role: Role, kind: &str, response: &Value) {
        self.push(role, kind, json!({"response": response}));
    }

    fn at(&mut self, role: Role, kind: &str, place: Place<'_>, more: Value) {
        let mut fields = place.fields();
        if let (Some(fields), Value::Object(more)) = (fields.as_object_mut(), more) {
            fields.extend(more);
        }
        self.push(role, kind, fields);
    }

    fn item(&mut self, output: usize, item: &Value) {
        let id = text_at(item, "id");
        let place = Place { item: id, output, part: None };
        let hosted = hosted::steps(item);
        let begun = hosted.as_ref().map_or_else(|| blank(item), |(begun, _)| begun.clone());
        self.push(Role::Opening, "output_item.added", json!({"output_index": output, "item": begun}));
        match text_at(item, "type") {
            "message" => {
                for (index, part) in items_at(item, "content").iter().enumerate() {
                    self.part(Place { part: Some(("content_index", index)), ..place }, part);
                }
            }
            "reasoning" => self.reasoning(place, item),
            "function_call" => self.text(place, "function_call_arguments", "arguments", item),
            "custom_tool_call" => self.text(place, "custom_tool_call_input", "input", item),
            _ => {
                for step in hosted.map(|(_, steps)| steps).unwrap_or_default() {
                    match step {
                        Step::Plain(kind) => self.at(Role::Opening, kind, place, json!({})),
                        Step::Text(kind, member) => self.text(place, kind, member, item),
                    }
                }
            }
        }
        self.push(Role::Opening, "output_item.done", json!({"output_index": output, "item": item}));
    }

    /// The deltas of a text and its end.
    fn text(&mut self, place: Place<'_>, kind: &str, member: &str, of: &Value) {
        let text = text_at(of, member);
        for piece in pieces(text) {
            let mut more = json!({"delta": piece});
            if let Some(fields) = more.as_object_mut() {
                if kind == "output_text" {
                    let told = self.made.logprobs.map_or_else(|| json!([]), |top| logprobs(piece, top));
                    fields.insert("logprobs".to_owned(), told);
                }
                if self.made.obfuscates {
                    fields.insert(
                        "obfuscation".to_owned(),
                        json!(self.making.ids.next("", 16 - piece.len() % 16)),
                    );
                }
            }
            self.at(Role::Content, &format!("{kind}.delta"), place, more);
        }
        let mut done = Map::new();
        done.insert(member.to_owned(), json!(text));
        if kind == "output_text" {
            let told = self.made.logprobs.map_or_else(|| json!([]), |top| logprobs(text, top));
            done.insert("logprobs".to_owned(), told);
        }
        if kind == "function_call_arguments" {
            done.insert("name".to_owned(), json!(text_at(of, "name")));
        }
        self.at(Role::Opening, &format!("{kind}.done"), place, Value::Object(done));
    }

    fn part(&mut self, place: Place<'_>, part: &Value) {
        let (kind, member) = match text_at(part, "type") {
            "refusal" => ("refusal", "refusal"),
            "reasoning_text" => ("reasoning_text", "text"),
            _ => ("output_text", "text"),
        };
        let mut empty = part.clone();
        if let Some(fields) = empty.as_object_mut() {
            fields.insert(member.to_owned(), json!(""));
            for list in ["annotations", "logprobs"] {
                if fields.contains_key(list) {
                    fields.insert(list.to_owned(), json!([]));
                }
            }
        }
        self.at(Role::Opening, "content_part.added", place, json!({"part": empty}));
        self.text(place, kind, member, part);
        for (index, annotation) in items_at(part, "annotations").iter().enumerate() {
            let more = json!({"annotation_index": index, "annotation": annotation});
            self.at(Role::Opening, "output_text.annotation.added", place, more);
        }
        self.at(Role::Opening, "content_part.done", place, json!({"part": part}));
    }

    fn reasoning(&mut self, place: Place<'_>, item: &Value) {
        for (index, part) in items_at(item, "summary").iter().enumerate() {
            let place = Place { part: Some(("summary_index", index)), ..place };
            let empty = json!({"type": "summary_text", "text": ""});
            self.at(Role::Opening, "reasoning_summary_part.added", place, json!({"part": empty}));
            self.text(place, "reasoning_summary_text", "text", part);
            self.at(Role::Opening, "reasoning_summary_part.done", place, json!({"part": part}));
        }
        for (index, part) in items_at(item, "content").iter().enumerate() {
            self.part(Place { part: Some(("content_index", index)), ..place }, part);
        }
    }
}

/// An item before it has any content.
fn blank(item: &Value) -> Value {
    let mut item = item.clone();
    let Some(fields) = item.as_object_mut() else { return item };
    for (member, empty) in
        [("content", json!([])), ("summary", json!([])), ("arguments", json!("")), ("input", json!(""))]
    {
        if fields.contains_key(member) {
            fields.insert(member.to_owned(), empty);
        }
    }
    if fields.contains_key("status") {
        fields.insert("status".to_owned(), json!("in_progress"));
    }
    item
}
