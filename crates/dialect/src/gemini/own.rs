//! What a Gemini caller says and the conversation model has no field for, on its way back to Gemini.
//!
//! Members of `generationConfig` and `toolConfig` travel in [`native`](ChatRequest::native) under their paths; members of
//! parts, declarations and results under the kind of thing, a dot and the member's name, with a map from the thing's key
//! to the value. Owns those names, the keys, and their way back.
//! **Invariant:** for a caller of another dialect nothing is taken, and every name of its `native` is noted as lost.

use super::host::Host;
use super::ident::seed_of;
use crate::conversation::ChatRequest;
use crate::wire::{Dialect, Losses};
use serde_json::{Map, Value};

/// Members of a part beside what it says, by [`part_key`].
pub(super) const PARTS: &str = "parts.";
/// Members of a part's bytes or address, by [`part_key`].
pub(super) const MEDIA: &str = "media.";
/// Members of a function's declaration, by its name.
pub(super) const DECLARATIONS: &str = "functionDeclarations.";
/// Members of a call, by its id.
pub(super) const CALLS: &str = "functionCall.";
/// Members of a result, by the call's id.
pub(super) const RESULTS: &str = "functionResponse.";
/// Members of `generationConfig`.
pub(super) const GENERATION: &str = "generationConfig.";
/// Members of `toolConfig`.
pub(super) const TOOL_CONFIG: &str = "toolConfig.";
/// The members of the search tools, whole, by the tool's name.
pub(super) const SEARCHES: &str = "tools.";
/// The search tool.
pub(super) const SEARCH: &str = "googleSearch";
/// The older search tool.
pub(super) const SEARCH_RETRIEVAL: &str = "googleSearchRetrieval";

/// Keeps members of one of the request's own objects; `prefix` is [`GENERATION`] or [`TOOL_CONFIG`].
pub(super) fn keep_all(prefix: &str, members: Map<String, Value>, request: &mut ChatRequest) {
    for (name, value) in members {
        request.native.insert(format!("{prefix}{name}"), value);
    }
}

/// The key of a part by what it holds: text, base64 or an address.
pub(super) fn part_key(held: &str) -> String {
    format!("{:016x}", seed_of(held.as_bytes()))
}

/// What was found while a request was read.
#[derive(Debug, Default)]
pub(super) struct Asides(Map<String, Value>);

impl Asides {
    /// Keeps what is left of a thing's members. `kind` is one of this module's constants that end in a dot.
    pub(super) fn keep(&mut self, kind: &str, key: &str, members: Map<String, Value>) {
        for (name, value) in members.into_iter().filter(|(_, value)| !value.is_null()) {
            let values = self.0.entry(format!("{kind}{name}")).or_insert_with(|| Map::new().into());
            if let Value::Object(values) = values {
                values.insert(key.to_owned(), value);
            }
        }
    }

    /// Keeps one member of a thing.
    pub(super) fn keep_one(&mut self, kind: &str, key: &str, name: &str, value: Value) {
        self.keep(kind, key, Map::from_iter([(name.to_owned(), value)]));
    }

    /// All of them, as members of `native`.
    pub(super) fn into_members(self) -> Map<String, Value> {
        self.0
    }
}

/// The way back.
#[derive(Debug, Clone, Copy)]
pub(super) struct Own<'r> {
    native: Option<&'r Map<String, Value>>,
    host: Host,
}

impl<'r> Own<'r> {
    /// What is the request's own at `host`; what is not is noted.
    pub(super) fn new(request: &'r ChatRequest, host: Host, lost: &mut Losses) -> Self {
        let is_own = request.dialect == Dialect::Gemini;
        for name in request.native.keys() {
            let member = name.rsplit('.').next().unwrap_or(name);
            if !is_own || !host.takes(member) {
                lost.note(name.clone());
            }
        }
        Self { native: is_own.then_some(&request.native), host }
    }

    /// The caller speaks this dialect.
    pub(super) fn is_own(&self) -> bool {
        self.native.is_some()
    }

    /// The caller speaks this dialect, and a member of its request means something at the host.
    pub(super) fn takes(&self, member: &str) -> bool {
        self.is_own() && self.host.takes(member)
    }

    /// The members of a search tool, where it has any.
    pub(super) fn search(&self, tool: &str) -> Option<&'r Value> {
        self.native?.get(&format!("{SEARCHES}{tool}"))
    }

    /// Top-level members that go out as they came in.
    pub(super) fn top_level(&self) -> impl Iterator<Item = (&'r String, &'r Value)> {
        let host = self.host;
        let members = self.native.into_iter().flatten();
        members.filter(move |(name, _)| !name.contains('.') && host.takes(name))
    }

    /// The members of one of the request's own objects, as they came in.
    pub(super) fn members(&self, prefix: &'static str) -> impl Iterator<Item = (String, Value)> {
        let host = self.host;
        let members = self.native.into_iter().flatten();
        members.filter_map(move |(name, value)| {
            let member = name.strip_prefix(prefix).filter(|member| host.takes(member))?;
            Some((member.to_owned(), value.clone()))
        })
    }

    /// Adds what belongs to the thing of this key. The caller's word stands where both have one.
    pub(super) fn complete(&self, kind: &str, key: &str, members: &mut Map<String, Value>) {
        for (name, values) in self.native.into_iter().flatten() {
            let Some(member) = name.strip_prefix(kind).filter(|member| self.host.takes(member)) else {
                continue;
            };
            if let Some(value) = values.get(key) {
                members.insert(member.to_owned(), value.clone());
            }
        }
    }

    /// Adds what belongs to a part that holds text, bytes or an address.
    pub(super) fn complete_part(&self, part: &mut Map<String, Value>) {
        if self.native.is_none_or(Map::is_empty) {
            return;
        }
        let member = |name: &str, of: &str| part.get(name)?.get(of)?.as_str().map(part_key);
        let media = member("inlineData", "data").map(|key| ("inlineData", key));
        let media = media.or_else(|| member("fileData", "fileUri").map(|key| ("fileData", key)));
        if let Some((name, key)) = media {
            if let Some(Value::Object(held)) = part.get_mut(name) {
                self.complete(MEDIA, &key, held);
            }
            self.complete(PARTS, &key, part);
        } else if let Some(key) = part.get("text").and_then(Value::as_str).map(part_key) {
            self.complete(PARTS, &key, part);
        }
    }
}
