//! A request whose maximum is lowered to what its caller's budgets leave.
//!
//! Owns where each dialect says the maximum of an answer. Leaves how low it is to the toll. **Invariant:** nothing else in
//! the request changes, and no maximum in it stays above the lowered one.

use super::receive::Received;
use crate::surface::Surface;
use crate::target::Target;
use bytes::Bytes;
use serde_json::{Map, Value};

/// The request with this maximum; none where it has no place for one.
pub(super) fn body(received: &Received<'_>, surface: Surface, target: &Target, most: u64) -> Option<Bytes> {
    let mut members: Map<String, Value> = serde_json::from_slice(received.body).ok()?;
    match surface {
        Surface::GenerateContent => {
            let outer = ["generationConfig", "generation_config"];
            let outer = outer.into_iter().find(|name| members.contains_key(*name)).unwrap_or(outer[0]);
            set_within(&mut members, outer, &["maxOutputTokens", "max_output_tokens"], most)?;
        }
        Surface::Converse => set_within(&mut members, "inferenceConfig", &["maxTokens"], most)?,
        Surface::Chat => {
            // OpenAI's newer models know the longer name alone, most others the shorter.
            let is_openais = matches!(target.provider.name, "openai" | "azure");
            let first = if is_openais { "max_completion_tokens" } else { "max_tokens" };
            set(&mut members, &[first, "max_completion_tokens", "max_tokens"], most);
        }
        Surface::Responses => set(&mut members, &["max_output_tokens"], most),
        _ => set(&mut members, &["max_tokens"], most),
    }
    // Thinking has its own part of Anthropic's maximum, which must be below it.
    if surface == Surface::Messages
        && let Some(budget) =
            members.get_mut("thinking").and_then(|thinking| thinking.get_mut("budget_tokens"))
        && budget.as_u64().is_some_and(|budget| budget >= most)
    {
        return None;
    }
    Some(Bytes::from(Value::Object(members).to_string()))
}

/// Sets the first of these names that is there, and any other that is there too; else the first.
fn set(members: &mut Map<String, Value>, names: &[&str], most: u64) {
    let mut is_set = false;
    for name in names {
        if let Some(value) = members.get_mut(*name).filter(|value| !value.is_null()) {
            *value = Value::from(most);
            is_set = true;
        }
    }
    if let Some(first) = names.first().filter(|_| !is_set) {
        members.insert((*first).to_owned(), Value::from(most));
    }
}

fn set_within(members: &mut Map<String, Value>, outer: &str, names: &[&str], most: u64) -> Option<()> {
    let inner = members.entry(outer).or_insert_with(|| Value::Object(Map::new()));
    if inner.is_null() {
        *inner = Value::Object(Map::new());
    }
    set(inner.as_object_mut()?, names, most);
    Some(())
}
