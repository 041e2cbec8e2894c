//! What an Anthropic caller said beyond the conversation model, found again by the encoder for Anthropic.
//!
//! Leaves the names and the reading to [`asides`](super::inbound::asides). **Invariant:** for a request of another
//! dialect everything here is empty, and every member of its `native` is named as lost.

use super::inbound::asides::{DOCUMENT_CONTENT, SEARCH_RESULT, TOOL_RESULT, TOOL_USE, TOOLS};
use super::members::text;
use crate::conversation::{ChatRequest, MediaSource, Part};
use crate::wire::{Dialect, Losses};
use serde_json::{Map, Value};

/// What of a request's `native` belongs to its tools and blocks.
#[derive(Debug, Default)]
pub(super) struct Own<'r> {
    /// `native` of an Anthropic caller.
    native: Option<&'r Map<String, Value>>,
    /// Blocks that became documents of text, with the text that they became; each goes out once.
    blocks: Vec<(String, &'r Value)>,
}

impl<'r> Own<'r> {
    /// Notes what cannot come out again.
    pub(super) fn of(request: &'r ChatRequest, lost: &mut Losses) -> Self {
        if request.dialect != Dialect::Anthropic {
            for name in request.native.keys() {
                lost.note(name.clone());
            }
            return Self::default();
        }
        let mut blocks = Vec::new();
        for (name, value) in &request.native {
            let is_kept = [TOOLS, TOOL_USE, TOOL_RESULT].iter().any(|kind| name.starts_with(kind));
            match value.as_array() {
                Some(list) if name == SEARCH_RESULT || name == DOCUMENT_CONTENT => {
                    blocks.extend(list.iter().map(|block| (own_text(block), block)));
                }
                _ if is_kept || !name.contains('.') => {}
                _ => lost.note(name.clone()),
            }
        }
        Self { native: Some(&request.native), blocks }
    }

    /// The top-level members, as the caller wrote them.
    pub(super) fn top_level(&self) -> impl Iterator<Item = (&'r String, &'r Value)> {
        let members = self.native.into_iter().flatten();
        members.filter(|(name, value)| !name.contains('.') && *name != SEARCH_RESULT && !value.is_null())
    }

    /// Gives a tool or block the members that the caller gave it. `kind` is one of the constants of `asides`.
    pub(super) fn restore_members(&self, kind: &str, key: &str, block: &mut Map<String, Value>) {
        for (name, values) in self.native.into_iter().flatten() {
            if let Some(member) = name.strip_prefix(kind)
                && let Some(value) = values.get(key)
            {
                block.insert(member.to_owned(), value.clone());
            }
        }
    }

    /// The block that a document of text was, if it was one.
    pub(super) fn take_block(&mut self, part: &Part) -> Option<Value> {
        let Part::File { source: MediaSource::Text(words), filename, context, .. } = part else {
            return None;
        };
        let position = self.blocks.iter().position(|(text, block)| {
            text == words && is_titled(block, filename.as_deref(), context.as_deref())
        })?;
        Some(self.blocks.remove(position).1.clone())
    }
}

fn is_titled(block: &Value, filename: Option<&str>, context: Option<&str>) -> bool {
    let beside = if text(block, "type") == Some("search_result") { "source" } else { "context" };
    text(block, "title") == filename && text(block, beside) == context
}

/// The text that such a block became.
fn own_text(block: &Value) -> String {
    let holder = if text(block, "type") == Some("search_result") { Some(block) } else { block.get("source") };
    match holder.and_then(|holder| holder.get("content")) {
        Some(Value::String(words)) => words.clone(),
        Some(Value::Array(blocks)) => {
            blocks.iter().filter_map(|block| text(block, "text")).collect::<Vec<_>>().join("\n")
        }
        _ => String::new(),
    }
}
