//! What a stream that was passed on said of its items, so that another can go on in its place.
//!
//! Owns ids, numbers and whole items. Leaves what the events mean to the decoder.

use super::item::Item;
use super::output::Output;
use crate::sse::Framer;
use bytes::Bytes;
use serde_json::Value;

/// The items and numbers of a stream as far as it was passed on.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Passed {
    /// The number of the next event.
    next_sequence: u64,
    /// When the response was made, in seconds since 1970.
    created: Option<u64>,
    /// The items in order, whole once they are done.
    items: Vec<(Value, bool)>,
    /// Pieces of content of the item that is going on.
    parts: usize,
}

impl Passed {
    /// Reads the first `frames` events of a stream.
    pub fn read(raw: Bytes, frames: u64) -> Self {
        let mut framer = Framer::with_cap(super::FRAME_BYTES_MAX);
        framer.push(raw);
        let mut passed = Self::default();
        for _ in 0..frames {
            let Ok(Some(frame)) = framer.next_frame() else { break };
            if let Ok(event) = serde_json::from_slice::<Value>(&frame.data) {
                passed.note(event);
            }
        }
        passed
    }

    /// When the response was made, in seconds since 1970, where it says so.
    pub fn created(&self) -> Option<u64> {
        self.created
    }

    fn note(&mut self, mut event: Value) {
        if let Some(number) = event.get("sequence_number").and_then(Value::as_u64) {
            self.next_sequence = number.saturating_add(1);
        }
        let item = event.get_mut("item").map(Value::take).unwrap_or_default();
        match event.get("type").and_then(Value::as_str).unwrap_or_default() {
            "response.created" => {
                self.created = event.pointer("/response/created_at").and_then(Value::as_u64);
            }
            "response.output_item.added" => {
                self.items.push((item, false));
                self.parts = 0;
            }
            "response.output_item.done" => {
                let position = event.get("output_index").and_then(Value::as_u64).unwrap_or(u64::MAX);
                let position = usize::try_from(position).unwrap_or(usize::MAX);
                if let Some(place) = self.items.get_mut(position) {
                    *place = (item, true);
                }
            }
            "response.content_part.added" => self.parts += 1,
            _ => {}
        }
    }
}

impl Output {
    /// Takes the place of a stream's items: all that are done as they were, and the message that is going on under its own
    /// id. False where that is not the message that is going on here too.
    pub(super) fn take_place_of(&mut self, passed: &Passed) -> bool {
        let Some(((open, false), done)) = passed.items.split_last() else { return false };
        let is_message = open.get("type").is_some_and(|kind| kind == "message");
        let own = open.get("id").and_then(Value::as_str);
        let (Some(own), true) = (own, is_message && done.iter().all(|(_, is_done)| *is_done)) else {
            return false;
        };
        let Some(Item::Message { said, .. }) = self.open_item() else { return false };
        if said.len() != passed.parts {
            return false;
        }
        let said = std::mem::take(said);
        let items = done.iter().map(|(item, _)| Item::Whole(item.clone()));
        self.replace_items(items.chain([Item::Message { id: own.to_owned(), said }]).collect());
        true
    }
}

impl super::StreamEncoder {
    /// Goes on in the place of a stream that was passed on, whose events this encoder has been given. False where what it
    /// would write does not fit behind that.
    pub fn go_on_after(&mut self, passed: &Passed) -> bool {
        self.set_sequence(passed.next_sequence);
        self.output_mut().take_place_of(passed)
    }
}
