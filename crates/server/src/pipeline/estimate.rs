//! How much a model has said, where its provider does not tell.
//!
//! Leaves what that costs to `settle`. **Invariant:** nothing here is read where a provider reports its usage.

use bytes::Bytes;
use serde_json::Value;

/// Members that hold what a model has said, in every dialect: texts, reasoning, arguments of tools.
const SAID: [&str; 8] =
    ["content", "text", "refusal", "reasoning", "reasoning_content", "thinking", "arguments", "transcript"];
/// Members that hold arguments of tools as an object.
const SAID_IN_OBJECTS: [&str; 2] = ["input", "args"];
/// Levels that are looked into; no dialect has as many.
const DEPTH_MAX: usize = 24;

/// Bytes of what a plain reply says, without what is around it. What is no JSON is said from its first byte to its last.
pub(super) fn said_bytes(segments: &[Bytes]) -> u64 {
    let whole = segments.concat();
    match serde_json::from_slice(&whole) {
        Ok(reply) => said(&reply, DEPTH_MAX),
        Err(_) => whole.len() as u64,
    }
}

fn said(value: &Value, depth: usize) -> u64 {
    let Some(depth) = depth.checked_sub(1) else { return 0 };
    match value {
        Value::Array(items) => items.iter().map(|item| said(item, depth)).sum(),
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| match value {
                Value::String(text) if SAID.contains(&name.as_str()) => text.len() as u64,
                Value::Object(_) if SAID_IN_OBJECTS.contains(&name.as_str()) => {
                    value.to_string().len() as u64
                }
                _ => said(value, depth),
            })
            .sum(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_counted_and_what_is_around_it_is_not() {
        let check = |reply: &str, bytes: u64| {
            assert_eq!(said_bytes(&[Bytes::from(reply.to_owned())]), bytes, "{reply}");
        };
        check(r#"{"id":"x","model":"a","choices":[{"message":{"role":"assistant","content":"12345"}}]}"#, 5);
        check(
            r#"{"choices":[{"message":{"content":null,"tool_calls":[{"function":{"name":"f","arguments":"{}"}}]}}]}"#,
            2,
        );
        check(r#"{"content":[{"type":"text","text":"123"},{"type":"tool_use","input":{"a":1}}]}"#, 10);
        check(r#"{"candidates":[{"content":{"parts":[{"text":"1234"}],"role":"model"}}]}"#, 4);
        check(r#"{"output":[{"type":"message","content":[{"type":"output_text","text":"12"}]}]}"#, 2);
        check("no JSON", 7);
        check("{}", 0);
    }
}
