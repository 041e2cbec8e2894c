//! Moderation of text and images.
//!
//! Owns: its rules and replies. Leaves to others: the fields (`tables`).
//!
//! **Invariant:** a text is flagged for a category when it has that category's word in it, so that a test can choose.

use super::{Sent, fields, tables};
use crate::ask::{items_at, text_at};
use crate::error::ApiError;
use crate::reply::{Making, Reply};
use serde_json::{Map, Value, json};

/// Categories, the word that each is found by, and whether it looks at images.
const CATEGORIES: &[(&str, &str, bool)] = &[
    ("harassment", "idiot", false),
    ("harassment/threatening", "get you", false),
    ("hate", "hate", false),
    ("hate/threatening", "wipe out", false),
    ("illicit", "steal", false),
    ("illicit/violent", "bomb", false),
    ("self-harm", "hurt myself", true),
    ("self-harm/instructions", "how to hurt myself", true),
    ("self-harm/intent", "will hurt myself", true),
    ("sexual", "sexual", true),
    ("sexual/minors", "minors", false),
    ("violence", "kill", true),
    ("violence/graphic", "blood", true),
];

/// Checks a body.
pub(super) fn check(body: &Value, model: &str) -> Result<(), ApiError> {
    fields(body, tables::MODERATION)?;
    let has_parts = items_at(body, "input").iter().any(Value::is_object);
    if has_parts && model.starts_with("text-moderation") {
        let message = "Invalid type for 'input': this model takes text alone.";
        return Err(ApiError::bad_request(message).param("input").code("invalid_type"));
    }
    let strings = items_at(body, "input").iter().any(Value::is_string);
    if has_parts && strings {
        let message = "Invalid 'input': text and parts cannot be mixed.";
        return Err(ApiError::bad_request(message).param("input").code("invalid_type"));
    }
    Ok(())
}

/// The reply: a result for each text, or one for all parts together.
pub(super) fn make(sent: Sent<'_>, making: &mut Making<'_>) -> Reply {
    let results: Vec<Value> = match sent.body.get("input") {
        Some(Value::Array(items)) if items.iter().all(Value::is_string) => {
            items.iter().filter_map(Value::as_str).map(|text| result(text, false)).collect()
        }
        Some(Value::Array(parts)) => {
            let text: Vec<&str> = parts.iter().map(|part| text_at(part, "text")).collect();
            let image = parts.iter().any(|part| text_at(part, "type") == "image_url");
            vec![result(&text.join(" "), image)]
        }
        input => vec![result(input.and_then(Value::as_str).unwrap_or_default(), false)],
    };
    let model = if sent.model.is_empty() { "omni-moderation-latest" } else { sent.model };
    Reply::json(&json!({"id": making.ids.next("modr-", 24), "model": model, "results": results}))
}

fn result(text: &str, image: bool) -> Value {
    let text = text.to_ascii_lowercase();
    let (mut found, mut scores, mut inputs) = (Map::new(), Map::new(), Map::new());
    let mut flagged = false;
    for (category, word, of_images) in CATEGORIES {
        let hit = text.contains(word);
        flagged |= hit;
        found.insert((*category).to_owned(), json!(hit));
        scores.insert((*category).to_owned(), json!(if hit { 0.98 } else { 0.0001 }));
        let looked: &[&str] = if image && *of_images { &["text", "image"] } else { &["text"] };
        inputs.insert((*category).to_owned(), json!(looked));
    }
    json!({"flagged": flagged, "categories": found, "category_scores": scores, "category_applied_input_types": inputs})
}
