//! The prompt cache: what a marked prefix costs the first time and the second.
//!
//! Owns: finding the marks of a request, the prefixes remembered and their ends. Leaves to others: where marks may stand
//! (`check`).
//!
//! **Invariant:** a prefix is read only by the credential and the model that wrote it, and until its time is over, which
//! each reading starts anew. Counts that a behaviour sets are left as they are.

use crate::ask::{items_at, text_at, tokens_of};
use crate::bedrock;
use crate::behaviour::Behaviour;
use crate::clouds::Op;
use crate::compose::Counts;
use crate::exchange::Asked;
use crate::openai::embedding::hash;
use crate::server::Shared;
use crate::surface::Operation;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Most prefixes remembered; those that ended go first.
const PREFIXES_MAX: usize = 10_000;
/// The shortest prefix that is kept, in tokens (prompt caching guide: 1024 for most models).
pub(crate) const PREFIX_TOKENS_MIN: u64 = 1_024;

/// A prefix that ends in a mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Of all that comes before it, itself included.
    pub(crate) hash: u64,
    pub(crate) tokens: u64,
    pub(crate) hour: bool,
}

/// What was written.
#[derive(Debug, Default)]
pub(crate) struct Prefixes {
    ends: Mutex<HashMap<u64, (Instant, Duration)>>,
}

impl Prefixes {
    /// Counts what the marks of a request read and write. `owner` is whose cache it is.
    pub(crate) fn count(&self, owner: &str, marks: &[Mark], counts: &mut Counts) {
        let kept: Vec<Mark> = marks.iter().copied().filter(|mark| mark.tokens >= PREFIX_TOKENS_MIN).collect();
        let Some(last) = kept.last() else { return };
        let now = Instant::now();
        let key = |mark: &Mark| hash(&format!("{owner}\u{0}{}", mark.hash));
        let mut ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        let known = |mark: &&Mark| ends.get(&key(mark)).is_some_and(|(end, _)| now < *end);
        let read = kept.iter().rfind(known).map_or(0, |mark| mark.tokens);
        counts.cached = read.min(counts.prompt);
        counts.cache_written = last.tokens.min(counts.prompt).saturating_sub(counts.cached);
        // What lies before the last mark of an hour, and was not read, is written for an hour.
        let long = kept.iter().rfind(|mark| mark.hour).map_or(0, |mark| mark.tokens.saturating_sub(read));
        counts.cache_written_1h = long.min(counts.cache_written);
        if ends.len() + kept.len() > PREFIXES_MAX {
            ends.retain(|_, (end, _)| now < *end);
        }
        for mark in kept.iter().take(PREFIXES_MAX.saturating_sub(ends.len())) {
            let lifetime = Duration::from_secs(if mark.hour { 3_600 } else { 300 });
            ends.insert(key(mark), (now + lifetime, lifetime));
        }
    }
}

/// What comes before a place in a request.
#[derive(Debug)]
pub(crate) struct Prefix {
    text: String,
    tokens: u64,
    pub(crate) marks: Vec<Mark>,
}

impl Default for Prefix {
    fn default() -> Prefix {
        // What a request costs beside its blocks.
        Prefix { text: String::new(), tokens: 3, marks: Vec::new() }
    }
}

impl Prefix {
    /// Adds a block.
    pub(crate) fn block(&mut self, block: &Value) {
        let plain = block.to_string();
        let text = block.as_str().or_else(|| block.get("text").and_then(Value::as_str));
        self.tokens += tokens_of(text.unwrap_or(&plain));
        self.text.push_str(&plain);
    }

    /// Marks what there is so far.
    pub(crate) fn mark(&mut self, hour: bool) {
        self.marks.push(Mark { hash: hash(&self.text), tokens: self.tokens, hour });
    }

    /// Adds a block with the mark that stands on it; the mark itself is no part of what is compared.
    fn marked(&mut self, block: &Value, mark: Option<&Value>) {
        let mut plain = block.clone();
        if let Some(fields) = plain.as_object_mut() {
            fields.shift_remove("cache_control");
        }
        self.block(&plain);
        if let Some(mark) = mark.filter(|mark| !mark.is_null()) {
            self.mark(text_at(mark, "ttl") == "1h");
        }
    }
}

/// The marks of a request, in the order in which the API reads it: tools, system, messages.
pub(crate) fn marks(body: &Value) -> Vec<Mark> {
    let mut prefix = Prefix::default();
    for tool in items_at(body, "tools") {
        prefix.marked(tool, tool.get("cache_control"));
    }
    match body.get("system") {
        Some(Value::Array(blocks)) => {
            blocks.iter().for_each(|block| prefix.marked(block, block.get("cache_control")));
        }
        Some(system) => prefix.marked(system, None),
        None => {}
    }
    let messages = items_at(body, "messages");
    for (index, message) in messages.iter().enumerate() {
        // A mark on the request itself stands for one on its last block.
        let whole = body.get("cache_control").filter(|_| index + 1 == messages.len());
        match message.get("content") {
            Some(Value::Array(blocks)) => {
                for (at, block) in blocks.iter().enumerate() {
                    let whole = whole.filter(|_| at + 1 == blocks.len());
                    prefix.marked(block, block.get("cache_control").filter(|mark| !mark.is_null()).or(whole));
                }
            }
            Some(text) => prefix.marked(text, whole),
            None => {}
        }
    }
    prefix.marks
}

/// Puts what the prompt cache makes of a request into its counts, unless the behaviour sets them.
pub(crate) fn apply(shared: &Shared, asked: &Asked, behaviour: &Behaviour, counts: &mut Counts) {
    let said = &behaviour.tokens;
    if said.cached.is_some() || said.cache_written.is_some() || behaviour.extras.cache_written_1h.is_some() {
        return;
    }
    let marks = match asked.route.operation {
        Some(Operation::Messages) => marks(&asked.json),
        Some(Operation::Cloud(Op::Converse | Op::ConverseStream)) => bedrock::cache::marks(&asked.json),
        Some(Operation::Cloud(
            Op::InvokeModel | Op::InvokeModelStream | Op::RawPredict | Op::StreamRawPredict,
        )) => marks(&asked.json),
        _ => return,
    };
    let owner = format!("{}\u{0}{}", asked.credential.as_deref().unwrap_or_default(), asked.model);
    shared.clouds.prefixes.count(&owner, &marks, counts);
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn body(question: &str, ttl: &str) -> Value {
        let mark = json!({"type": "ephemeral", "ttl": ttl});
        json!({
            "system": [{"type": "text", "text": "a".repeat(8_000), "cache_control": mark}],
            "messages": [{"role": "user", "content": question}],
        })
    }

    fn counted(prefixes: &Prefixes, owner: &str, body: &Value) -> (u64, u64, u64) {
        let mut counts = Counts { prompt: 3_000, ..Counts::default() };
        prefixes.count(owner, &marks(body), &mut counts);
        (counts.cached, counts.cache_written, counts.cache_written_1h)
    }

    #[tokio::test(start_paused = true)]
    async fn a_prefix_is_written_once_and_then_read_until_its_time_is_over() {
        let prefixes = Prefixes::default();
        assert_eq!(counted(&prefixes, "k", &body("one", "5m")), (0, 2_003, 0));
        assert_eq!(counted(&prefixes, "k", &body("two", "5m")), (2_003, 0, 0));
        assert_eq!(counted(&prefixes, "other", &body("two", "5m")), (0, 2_003, 0));
        tokio::time::advance(Duration::from_secs(200)).await;
        assert_eq!(counted(&prefixes, "k", &body("three", "5m")), (2_003, 0, 0));
        tokio::time::advance(Duration::from_secs(200)).await;
        assert_eq!(counted(&prefixes, "k", &body("four", "5m")), (2_003, 0, 0));
        tokio::time::advance(Duration::from_secs(301)).await;
        assert_eq!(counted(&prefixes, "k", &body("five", "1h")), (0, 2_003, 2_003));
    }

    #[test]
    fn a_longer_prefix_reads_what_it_has_and_writes_the_rest() {
        let prefixes = Prefixes::default();
        let first = body("one", "1h");
        counted(&prefixes, "k", &first);
        let mut longer = first;
        longer["messages"] = json!([{"role": "user", "content": [
            {"type": "text", "text": "b".repeat(400), "cache_control": {"type": "ephemeral"}},
        ]}]);
        assert_eq!(counted(&prefixes, "k", &longer), (2_003, 100, 0));
    }

    #[test]
    fn a_short_prefix_is_not_kept() {
        let prefixes = Prefixes::default();
        let short =
            json!({"messages": [{"role": "user", "content": "hi"}], "cache_control": {"type": "ephemeral"}});
        assert_eq!(marks(&short).len(), 1);
        assert_eq!(counted(&prefixes, "k", &short), (0, 0, 0));
        assert_eq!(counted(&prefixes, "k", &short), (0, 0, 0));
    }
}
