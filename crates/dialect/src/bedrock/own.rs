//! What a Bedrock caller said beyond the conversation model, found again by the encoder for Bedrock.
//!
//! Leaves the names and the reading to [`inbound`](super::inbound). **Invariant:** for a request of another dialect
//! everything here is empty, and every member of its `native` that does not go out is named as lost.

use super::inbound::blocks::{BlockReader, KEPT};
use super::inbound::tools::OTHER_TOOLS;
use super::model::Model;
use super::params::OWN_MEMBERS;
use super::reasoning_blocks::HOME;
use crate::conversation::{CacheControl, ChatRequest, Part};
use crate::json::read::Place;
use crate::wire::{Dialect, Losses};
use serde_json::{Map, Value};

/// Members of Anthropic's own request that its models take past Converse.
const ANTHROPIC_FIELDS: [&str; 4] = ["thinking", "output_config", "context_management", "anthropic_beta"];

/// Members with a place of their own, into which what is left of them is put back.
const MERGED: [&str; 4] = ["inferenceConfig", "outputConfig", "serviceTier", "additionalModelRequestFields"];

/// What of a request's `native` goes out.
#[derive(Debug, Default)]
pub(super) struct Own<'r> {
    /// Top-level members as the caller wrote them.
    pub(super) members: Vec<(&'r String, &'r Value)>,
    /// What is left of members that are written: by their names.
    merged: Vec<(&'r String, &'r Map<String, Value>)>,
    /// Tools that are no functions.
    pub(super) tools: Vec<Value>,
    /// Members for the model itself, from a caller of Anthropic's dialect.
    pub(super) fields: Vec<(&'r String, &'r Value)>,
    /// Blocks that say more than the parts that were made of them; each goes out once.
    blocks: Vec<(Part, &'r Value)>,
}

impl<'r> Own<'r> {
    /// Sorts what the caller said beyond the model, and notes what cannot come out again.
    pub(super) fn of(request: &'r ChatRequest, model: Model<'_>, lost: &mut Losses) -> Self {
        let mut own = Self::default();
        let in_extra = request
            .extra
            .iter()
            .filter(|(name, value)| OWN_MEMBERS.contains(&name.as_str()) && !value.is_null());
        own.members.extend(in_extra);
        for name in ["additionalModelRequestFields", "anthropic_beta"] {
            match request.extra.get_key_value(name) {
                Some((name, Value::Object(members))) => own.merged.push((name, members)),
                Some(member) if model.is_anthropic() && !member.1.is_null() => own.fields.push(member),
                Some((name, value)) if !value.is_null() => lost.note(name.clone()),
                _ => {}
            }
        }
        for (name, value) in &request.native {
            let is_known = match request.dialect {
                Dialect::Bedrock => own.take(name, value),
                Dialect::Anthropic if model.is_anthropic() && ANTHROPIC_FIELDS.contains(&name.as_str()) => {
                    own.fields.push((name, value));
                    true
                }
                _ => false,
            };
            if !is_known {
                lost.note(name.clone());
            }
        }
        own
    }

    fn take(&mut self, name: &'r String, value: &'r Value) -> bool {
        match value {
            Value::Array(blocks) if name.starts_with(KEPT) => {
                self.blocks.extend(blocks.iter().filter_map(|block| Some((read(block)?, block))));
            }
            Value::Array(tools) if name == OTHER_TOOLS => self.tools.extend(tools.iter().cloned()),
            Value::Object(members) if MERGED.contains(&name.as_str()) => self.merged.push((name, members)),
            _ => self.members.push((name, value)),
        }
        true
    }

    /// What is left of a member that is written.
    pub(super) fn rest_of<'o>(&'o self, name: &'o str) -> impl Iterator<Item = (&'r String, &'r Value)> + 'o {
        self.merged.iter().filter(move |(known, _)| *known == name).flat_map(|(_, members)| members.iter())
    }

    /// The block that a part was, if it said more than the part does, and the part's mark.
    pub(super) fn take_block(&mut self, part: &Part) -> Option<(Value, Option<CacheControl>)> {
        if self.blocks.is_empty() {
            return None;
        }
        let mut bare = part.clone();
        let mark = match &mut bare {
            Part::Text { cache_control, .. }
            | Part::Image { cache_control, .. }
            | Part::File { cache_control, .. }
            | Part::ToolResult { cache_control, .. } => cache_control.take(),
            _ => None,
        };
        let position = self.blocks.iter().position(|(known, _)| *known == bare)?;
        Some((self.blocks.remove(position).1.clone(), mark))
    }
}

/// The part that a kept block was made into.
fn read(block: &Value) -> Option<Part> {
    let (kind, value) = block.as_object()?.iter().next()?;
    BlockReader::new(HOME).read_part(kind.clone(), value.clone(), &Place::Top(KEPT)).ok()
}
