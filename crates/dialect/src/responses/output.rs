//! The items of an answer while it is put together, and the events that say so.
//!
//! Owns which part of an answer is which item, their ids, and the order of a stream's events. Plain replies and streams are
//! both put together here. **Invariant:** what the items are does not depend on whether events are written.
//! **Invariant:** an item's events stand between its `added` and its `done`; tool calls stay open to the end, since
//! providers may go on with an earlier one.

use super::events::Events;
use super::item::{Call, Item, Said, Speech, Thought};
use super::{annotation, seal};
use crate::conversation::custom::InputReader;
use crate::conversation::{Citation, MediaSource, Namespace, Signature};
use crate::json::write::Object;
use crate::wire::ReplyFacts;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The items so far.
#[derive(Debug, Default)]
pub(super) struct Output {
    /// What ids are made of.
    seed: String,
    custom_tools: Vec<String>,
    namespaced_tools: Vec<(String, Namespace)>,
    items: Vec<Item>,
    /// Characters of text in all of them.
    text_chars: u64,
    /// The message or the reasoning that is going on is the last item.
    is_open: bool,
    /// Where each call stands, by its number.
    calls: BTreeMap<u64, usize>,
    has_ended: bool,
    /// The last item was cut short.
    is_cut: bool,
}

impl Output {
    pub(super) fn new(facts: &ReplyFacts) -> Self {
        Self {
            seed: facts.fallback_id.clone(),
            custom_tools: facts.custom_tools.clone(),
            namespaced_tools: facts.namespaced_tools.clone(),
            ..Self::default()
        }
    }

    /// The message or the reasoning that is going on.
    pub(super) fn open_item(&mut self) -> Option<&mut Item> {
        self.items.last_mut().filter(|_| self.is_open)
    }

    /// Puts other items in the place of those so far; the last is still going on.
    pub(super) fn replace_items(&mut self, items: Vec<Item>) {
        self.items = items;
    }

    /// The words of a piece of text; `logprobs` are chat completions' for it.
    pub(super) fn text(&mut self, delta: &str, logprobs: Option<&Value>, events: &mut Events<'_>) {
        let entries = logprobs.and_then(|logprobs| logprobs.get("content")?.as_array());
        let entries = entries.map_or(&[][..], Vec::as_slice);
        if delta.is_empty() && entries.is_empty() {
            return;
        }
        self.open_text(events);
        let place = self.place();
        let chars = delta.chars().count() as u64;
        self.text_chars += chars;
        if let Some(Said::Text(speech)) = self.said() {
            speech.text.push_str(delta);
            speech.chars += chars;
            speech.logprobs.extend_from_slice(entries);
            let content = place.content;
            events.write("response.output_text.delta", |event| {
                place.write(event);
                event.integer("content_index", content);
                event.string("delta", delta);
                event.list("logprobs", entries, crate::json::write::value);
            });
        }
    }

    pub(super) fn refusal(&mut self, delta: &str, events: &mut Events<'_>) {
        if delta.is_empty() {
            return;
        }
        self.open_message(events);
        if !matches!(self.said(), Some(Said::Refusal(_))) {
            self.begin_said(Said::Refusal(String::new()), events);
        }
        let place = self.place();
        if let Some(Said::Refusal(text)) = self.said() {
            text.push_str(delta);
            events.write("response.refusal.delta", |event| {
                place.write(event);
                event.integer("content_index", place.content);
                event.string("delta", delta);
            });
        }
    }

    /// A span of the answer's text as one of the text that is going on, or of the one that would begin here.
    pub(super) fn within(&self, (from, to): (u64, u64)) -> (u64, u64) {
        let start = self.speech().map_or(self.text_chars, |speech| speech.start);
        (from.saturating_sub(start), to.saturating_sub(start))
    }

    /// How many characters the text that is going on has.
    pub(super) fn chars(&self) -> u64 {
        self.speech().map_or(0, |speech| speech.chars)
    }

    /// The text that is going on.
    fn speech(&self) -> Option<&Speech> {
        match self.items.last() {
            Some(Item::Message { said, .. }) if self.is_open => match said.last() {
                Some(Said::Text(speech)) => Some(speech),
                _ => None,
            },
            _ => None,
        }
    }

    /// A source of the text that is going on. One without a span is of what came since the last one that stood
    /// elsewhere.
    pub(super) fn cite(&mut self, citation: &Citation, span: Option<(u64, u64)>, events: &mut Events<'_>) {
        self.open_text(events);
        let place = self.place();
        if let Some(Said::Text(speech)) = self.said() {
            if speech.chars > speech.cited_to {
                (speech.cited_from, speech.cited_to) = (speech.cited_to, speech.chars);
            }
            let span = span.unwrap_or((speech.cited_from, speech.cited_to));
            let annotation = annotation::write(citation, span);
            events.write("response.output_text.annotation.added", |event| {
                place.write(event);
                event.integer("content_index", place.content);
                event.integer("annotation_index", speech.annotations.len() as u64);
                event.value("annotation", &annotation);
            });
            speech.annotations.push(annotation);
        }
    }

    pub(super) fn reasoning(&mut self, delta: &str, events: &mut Events<'_>) {
        if delta.is_empty() {
            return;
        }
        if !self.is_open || !matches!(self.items.last(), Some(Item::Reasoning(_))) {
            let id = self.make_id("rs");
            self.begin(Item::Reasoning(Thought { id, ..Thought::default() }), events);
            self.is_open = true;
            let place = self.place();
            events.write("response.reasoning_summary_part.added", |event| {
                place.write_summary(event);
                event.raw("part", r#"{"type":"summary_text","text":""}"#);
            });
        }
        let place = self.place();
        if let Some(Item::Reasoning(thought)) = self.items.last_mut() {
            thought.summary.push_str(delta);
            events.write("response.reasoning_summary_text.delta", |event| {
                place.write_summary(event);
                event.string("delta", delta);
            });
        }
    }

    /// The signature that closes the reasoning that is going on; one without reasoning is an item of its own.
    pub(super) fn sign(&mut self, signature: &Signature, events: &mut Events<'_>) {
        match self.items.last_mut() {
            // The item's id is out already, so OpenAI's own signature goes with the id that it belongs to.
            Some(Item::Reasoning(thought)) if self.is_open => {
                thought.encrypted = Some(seal::foreign(signature));
                self.close(events);
            }
            _ => {
                let (id, encrypted) = match seal::split(signature) {
                    Some((id, encrypted)) => (id.to_owned(), encrypted.to_owned()),
                    None => (self.make_id("rs"), seal::foreign(signature)),
                };
                self.sealed(id, encrypted, events);
            }
        }
    }

    pub(super) fn redacted(&mut self, data: &Signature, events: &mut Events<'_>) {
        let (id, encrypted) = match seal::split(data) {
            Some((id, encrypted)) => (id.to_owned(), encrypted.to_owned()),
            None => (self.make_id("rs"), seal::redacted(data)),
        };
        self.sealed(id, encrypted, events);
    }

    /// An item of reasoning without a readable text.
    fn sealed(&mut self, id: String, encrypted: String, events: &mut Events<'_>) {
        let encrypted = Some(encrypted).filter(|encrypted| !encrypted.is_empty());
        self.whole(Item::Reasoning(Thought { id, summary: String::new(), encrypted }), events);
    }

    /// A tool call begins. A signature that belongs to it goes before it, as reasoning that says nothing.
    pub(super) fn call(&mut self, start: CallStart<'_>, events: &mut Events<'_>) {
        if let Some(signature) = start.signature {
            let (id, encrypted) = (self.make_id("rs"), seal::call(signature));
            self.sealed(id, encrypted, events);
        }
        let is_listed = self.custom_tools.iter().any(|name| name == start.name);
        let is_custom = start.is_custom || is_listed;
        let (name, namespace) = self.own_name(start.name);
        let call = Call {
            id: self.make_id(if is_custom { "ctc" } else { "fc" }),
            call_id: if start.id.is_empty() { self.make_id("call") } else { start.id.to_owned() },
            name,
            namespace,
            input: String::new(),
            is_custom,
            reader: (is_custom && !start.is_custom).then(InputReader::default),
            is_done: false,
        };
        self.begin(Item::Call(call), events);
        self.calls.insert(start.index, self.items.len() - 1);
    }

    /// What a tool is called in its namespace, and the namespace.
    fn own_name(&self, name: &str) -> (String, Option<String>) {
        let found = self.namespaced_tools.iter().find(|(made, _)| made == name);
        found.map_or((name.to_owned(), None), |(_, space)| (space.tool.clone(), Some(space.name.clone())))
    }

    pub(super) fn arguments(&mut self, index: u64, delta: &str, events: &mut Events<'_>) {
        if let Some(position) = self.calls.get(&index).copied()
            && let Some(Item::Call(call)) = self.items.get_mut(position)
        {
            match &mut call.reader {
                Some(reader) => {
                    let piece = reader.push(delta);
                    call.say(&piece, position, events);
                }
                None => call.say(delta, position, events),
            }
        }
    }

    /// A picture that the model made. False when it is no base64 data, which is all that an item of this API holds.
    pub(super) fn image(&mut self, source: &MediaSource, events: &mut Events<'_>) -> bool {
        let MediaSource::Base64 { media_type, data } = source else { return false };
        let id = self.make_id("ig");
        let format = media_type.strip_prefix("image/").unwrap_or("png");
        let item = json!({
            "id": id, "type": "image_generation_call", "status": "completed", "output_format": format, "result": data,
        });
        self.whole(Item::Whole(item), events);
        true
    }

    /// An item that is there as a whole.
    pub(super) fn whole(&mut self, item: Item, events: &mut Events<'_>) {
        self.begin(item, events);
        self.write_done(self.items.len() - 1, events);
    }

    /// The answer has ended; `is_cut` when there would have been more. Ends every item that is open.
    pub(super) fn end(&mut self, is_cut: bool, events: &mut Events<'_>) {
        if std::mem::replace(&mut self.has_ended, true) {
            return;
        }
        self.is_cut = is_cut;
        let open_calls = std::mem::take(&mut self.calls).into_values();
        let open = self.is_open.then(|| self.items.len().saturating_sub(1));
        let mut places: Vec<usize> = open_calls.chain(open).collect();
        places.sort_unstable();
        for position in places {
            match self.items.get_mut(position) {
                Some(Item::Call(call)) => {
                    call.end(position, events);
                    self.write_done(position, events);
                }
                _ => self.close(events),
            }
        }
    }

    /// Writes the list of items.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.push(b'[');
        for (position, item) in self.items.iter().enumerate() {
            if position > 0 {
                out.push(b',');
            }
            item.write(self.status(position), out);
        }
        out.push(b']');
    }

    fn status(&self, position: usize) -> &'static str {
        if self.is_cut && position + 1 == self.items.len() { "incomplete" } else { "completed" }
    }

    fn make_id(&self, prefix: &str) -> String {
        format!("{prefix}_{}_{}", self.seed, self.items.len())
    }

    fn place(&self) -> Place {
        let item = self.items.last();
        Place {
            item_id: item.map(|item| item.id().to_owned()).unwrap_or_default(),
            output: self.items.len().saturating_sub(1) as u64,
            content: match item {
                Some(Item::Message { said, .. }) => said.len().saturating_sub(1) as u64,
                _ => 0,
            },
        }
    }

    /// Adds an item, after the one that is open has been closed.
    fn begin(&mut self, item: Item, events: &mut Events<'_>) {
        self.close(events);
        let position = self.items.len() as u64;
        events.write("response.output_item.added", |event| {
            event.integer("output_index", position);
            item.write_begun(event.member("item"));
        });
        self.items.push(item);
        self.has_ended = false;
    }

    fn open_message(&mut self, events: &mut Events<'_>) {
        if !self.is_open || !matches!(self.items.last(), Some(Item::Message { .. })) {
            let id = self.make_id("msg");
            self.begin(Item::Message { id, said: Vec::new() }, events);
            self.is_open = true;
        }
    }

    fn open_text(&mut self, events: &mut Events<'_>) {
        self.open_message(events);
        if !matches!(self.said(), Some(Said::Text(_))) {
            let speech = Speech { start: self.text_chars, ..Speech::default() };
            self.begin_said(Said::Text(speech), events);
        }
    }

    /// The piece of the message that is going on.
    fn said(&mut self) -> Option<&mut Said> {
        match self.items.last_mut() {
            Some(Item::Message { said, .. }) if self.is_open => said.last_mut(),
            _ => None,
        }
    }

    fn begin_said(&mut self, piece: Said, events: &mut Events<'_>) {
        self.close_said(events);
        if let Some(Item::Message { said, .. }) = self.items.last_mut() {
            said.push(piece);
        }
        let place = self.place();
        if let Some(piece) = self.said() {
            events.write("response.content_part.added", |event| {
                place.write(event);
                event.integer("content_index", place.content);
                piece.write(event.member("part"));
            });
        }
    }

    fn close_said(&mut self, events: &mut Events<'_>) {
        let place = self.place();
        let Some(piece) = self.said() else { return };
        match piece {
            Said::Text(speech) => events.write("response.output_text.done", |event| {
                place.write(event);
                event.integer("content_index", place.content);
                event.string("text", &speech.text);
                event.list("logprobs", &speech.logprobs, crate::json::write::value);
            }),
            Said::Refusal(text) => events.write("response.refusal.done", |event| {
                place.write(event);
                event.integer("content_index", place.content);
                event.string("refusal", text);
            }),
        }
        events.write("response.content_part.done", |event| {
            place.write(event);
            event.integer("content_index", place.content);
            piece.write(event.member("part"));
        });
    }

    /// Closes the message or the reasoning that is going on.
    pub(super) fn close(&mut self, events: &mut Events<'_>) {
        if !self.is_open {
            return;
        }
        self.close_said(events);
        self.is_open = false;
        let place = self.place();
        if let Some(Item::Reasoning(thought)) = self.items.last() {
            events.write("response.reasoning_summary_text.done", |event| {
                place.write_summary(event);
                event.string("text", &thought.summary);
            });
            events.write("response.reasoning_summary_part.done", |event| {
                place.write_summary(event);
                event.object("part", |part| {
                    part.string("type", "summary_text");
                    part.string("text", &thought.summary);
                });
            });
        }
        self.write_done(self.items.len().saturating_sub(1), events);
    }

    fn write_done(&self, position: usize, events: &mut Events<'_>) {
        if let Some(item) = self.items.get(position) {
            events.write("response.output_item.done", |event| {
                event.integer("output_index", position as u64);
                item.write(self.status(position), event.member("item"));
            });
        }
    }
}

/// How a tool call begins.
#[derive(Debug, Clone, Copy)]
pub(super) struct CallStart<'a> {
    /// Its number within the answer.
    pub(super) index: u64,
    pub(super) id: &'a str,
    pub(super) name: &'a str,
    /// Its arguments come as free text.
    pub(super) is_custom: bool,
    pub(super) signature: Option<&'a Signature>,
}

/// Where the item stands that an event is about.
struct Place {
    item_id: String,
    output: u64,
    content: u64,
}

impl Place {
    fn write(&self, event: &mut Object<'_>) {
        event.string("item_id", &self.item_id);
        event.integer("output_index", self.output);
    }

    /// There is one summary in an item of reasoning that is written here.
    fn write_summary(&self, event: &mut Object<'_>) {
        self.write(event);
        event.integer("summary_index", 0);
    }
}
