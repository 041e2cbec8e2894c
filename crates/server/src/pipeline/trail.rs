//! `include_fallback_errors`: what was tried in vain before a reply, in its head.
//!
//! Owns the header's form and its bound. **Invariant:** it says of each group no more than the caller would have been told
//! had the request ended there.

use crate::error::Rejection;
use http::{HeaderName, HeaderValue};
use serde_json::{Value, json};

/// LiteLLM's name for it.
pub(super) const X_LITELLM_FALLBACK_ERRORS: HeaderName = HeaderName::from_static("x-litellm-fallback-errors");
/// Longest sentence, in characters.
const SENTENCE_MAX: usize = 256;

/// The groups that did not answer, in their order.
#[derive(Debug, Clone, Default)]
pub(super) struct Trail(Vec<Value>);

impl Trail {
    /// A group did not answer.
    pub(super) fn add(&mut self, group: &str, rejection: &Rejection) {
        let message: String = rejection.message().chars().take(SENTENCE_MAX).collect();
        let status = rejection.status().as_u16();
        self.0.push(json!({"model_group": group, "status_code": status, "message": message}));
    }

    /// A JSON list; none where there is nothing to say.
    pub(super) fn header(&self) -> Option<HeaderValue> {
        if self.0.is_empty() {
            return None;
        }
        let text = Value::Array(self.0.clone()).to_string();
        // A header carries visible ASCII alone; JSON has an escape for the rest.
        let mut ascii = String::with_capacity(text.len());
        for unit in text.chars() {
            match unit {
                ' '..='~' => ascii.push(unit),
                _ => {
                    let mut units = [0; 2];
                    for half in unit.encode_utf16(&mut units) {
                        ascii.push_str(&format!("\\u{half:04x}"));
                    }
                }
            }
        }
        HeaderValue::from_str(&ascii).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_ascii_and_says_the_same() {
        let mut trail = Trail::default();
        assert_eq!(trail.header(), None);
        trail.add("gr\u{fc}n \u{1f600}", &Rejection::invalid("/p", "x", "too \"long\""));
        let header = trail.header().unwrap();
        let told: Value = serde_json::from_str(header.to_str().unwrap()).unwrap();
        assert_eq!(
            (&told[0]["model_group"], &told[0]["status_code"]),
            (&json!("gr\u{fc}n \u{1f600}"), &json!(400))
        );
        assert!(told[0]["message"].as_str().unwrap().contains("\"long\""), "{told}");
    }
}
