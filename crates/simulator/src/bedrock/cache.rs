//! The prompt cache over Converse: where its points stand.
//!
//! Owns: finding the points of a request. Leaves to others: what they cost (`anthropic::cache`).
//!
//! **Invariant:** tools come first, then the system's blocks, then messages, as the service puts them together.

use crate::anthropic::cache::{Mark, Prefix};
use crate::ask::{items_at, text_at};
use serde_json::Value;

/// The points of a conversation.
pub(crate) fn marks(body: &Value) -> Vec<Mark> {
    let tools = body.pointer("/toolConfig/tools").and_then(Value::as_array).into_iter().flatten();
    let system = items_at(body, "system").iter();
    let messages = items_at(body, "messages").iter().flat_map(|message| items_at(message, "content"));
    let mut prefix = Prefix::default();
    for block in tools.chain(system).chain(messages) {
        match block.get("cachePoint") {
            Some(point) => prefix.mark(text_at(point, "ttl") == "1h"),
            None => prefix.block(block),
        }
    }
    prefix.marks
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_point_stands_for_all_before_it() {
        let point = |ttl: &str| json!({"cachePoint": {"type": "default", "ttl": ttl}});
        let body = json!({
            "system": [{"text": "abcdefgh"}, point("1h")],
            "messages": [{"role": "user", "content": [{"text": "ijkl"}, point("5m"), {"text": "x"}]}],
        });
        let found: Vec<(u64, bool)> = marks(&body).iter().map(|mark| (mark.tokens, mark.hour)).collect();
        assert_eq!(found, [(5, true), (6, false)]);
    }
}
