//! Reading a `usage` member of a body that is passed on.
//!
//! Leaves what the counts mean to the OpenAI wire. **Invariant:** a count that cannot be one (negative, a fraction,
//! beyond [`TOKENS_MAX`]) makes the whole usage unknown rather than partly zero: nothing is billed by a guess here.

use crate::conversation::Usage;
use crate::json::{Kind, Value};
use crate::openai::read_usage;

/// Most tokens that one request can plausibly take; a thousand times the largest context window.
const TOKENS_MAX: u64 = 10_000_000_000;

/// Deepest member of a usage that holds counts (`prompt_tokens_details.x_tokens`), with one level to spare.
const COUNT_DEPTH_MAX: u32 = 3;

/// What a `usage` member says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum UsageMember {
    /// None, or `null`.
    Absent,
    /// Counts.
    Counted(Usage),
    /// Something that cannot be relied on.
    Unreadable,
}

pub(super) fn read_member(member: Option<Value<'_>>) -> UsageMember {
    let Some(value) = member.filter(|value| !value.is_null()) else { return UsageMember::Absent };
    if !has_plausible_counts(&value, COUNT_DEPTH_MAX) {
        return UsageMember::Unreadable;
    }
    let tree = serde_json::from_slice::<serde_json::Value>(value.raw());
    match tree.ok().and_then(|tree| read_usage(&tree)) {
        Some(usage) => UsageMember::Counted(usage),
        None => UsageMember::Unreadable,
    }
}

/// Whether every `..._tokens` member is a count or `null`. False for what is no object.
fn has_plausible_counts(value: &Value<'_>, depth_left: u32) -> bool {
    let Some(object) = value.as_object() else { return false };
    object.members().all(|member| match member.value.kind() {
        Kind::Object if depth_left > 0 => has_plausible_counts(&member.value, depth_left - 1),
        Kind::Null => true,
        _ if member.name.ends_with("_tokens") => is_count(&member.value),
        _ => true,
    })
}

fn is_count(value: &Value<'_>) -> bool {
    // Some providers write whole numbers as `12.0`.
    let whole = |number: f64| number >= 0.0 && number.fract() == 0.0 && number <= TOKENS_MAX as f64;
    value.as_u64().map_or_else(|| value.as_f64().is_some_and(whole), |count| count <= TOKENS_MAX)
}
