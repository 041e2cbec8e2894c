//! Members of tools and blocks that the conversation model has no field for.
//!
//! Owns the names under which they travel in [`native`](crate::conversation::ChatRequest::native): the kind of the
//! thing, a dot, the member's own name, with a map from the thing's name or id to the value; or a list of whole blocks.
//! They are read by the encoder of the same dialect alone; every other one names them as lost, by these names.

use serde_json::{Map, Value};

/// Members of a declared tool, by the tool's name.
pub(in crate::anthropic) const TOOLS: &str = "tools.";
/// Members of a `tool_use` block, by the call's id.
pub(in crate::anthropic) const TOOL_USE: &str = "tool_use.";
/// Members of a `tool_result` block, by the call's id.
pub(in crate::anthropic) const TOOL_RESULT: &str = "tool_result.";
/// The whole `search_result` blocks that became documents of text, in order.
pub(in crate::anthropic) const SEARCH_RESULT: &str = "search_result";
/// The whole `document` blocks whose source is a list of blocks, in order.
pub(in crate::anthropic) const DOCUMENT_CONTENT: &str = "document.content";

/// What was found so far.
#[derive(Debug, Default)]
pub(in crate::anthropic) struct Asides(Map<String, Value>);

impl Asides {
    /// Keeps what is left of a thing's members. `kind` is one of the constants of this module.
    pub(super) fn keep(&mut self, kind: &str, key: &str, members: Map<String, Value>) {
        for (name, value) in members {
            if value.is_null() {
                continue;
            }
            let values = self.0.entry(format!("{kind}{name}")).or_insert_with(|| Map::new().into());
            if let Value::Object(values) = values {
                values.insert(key.to_owned(), value);
            }
        }
    }

    /// Keeps a whole block, or a value of one that nothing names.
    pub(super) fn push(&mut self, name: &str, value: Value) {
        let list = self.0.entry(name).or_insert_with(|| Value::Array(Vec::new()));
        if let Value::Array(list) = list {
            list.push(value);
        }
    }

    /// All of them, as members of `native`.
    pub(super) fn into_members(self) -> Map<String, Value> {
        self.0
    }
}
