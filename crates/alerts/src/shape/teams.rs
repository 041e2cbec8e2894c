//! A message with an Adaptive Card, as workflows of Microsoft Teams take it (and the connectors before them).
//!
//! Owns: the card, of version 1.4, and its size: Teams takes 28 KB a message.
//!
//! **Invariant:** nothing that a stranger has named is a link or a mention.

use crate::alert::{Alert, Severity};
use crate::text::{clean, clip, escape_markdown, moment, rows};
use serde_json::{Value, json};

/// Most characters of the sentence, before escaping.
const SENTENCE_MAX: usize = 1_000;
/// Most facts of a card.
const FACTS_MAX: usize = 20;

/// The whole body.
pub(crate) fn body(alert: &Alert) -> Value {
    let color = match alert.severity {
        Severity::Info => "Good",
        Severity::Warning => "Warning",
        Severity::Error | Severity::Critical => "Attention",
    };
    let block = |text: String| json!({"type": "TextBlock", "text": text, "wrap": true});
    let title = format!("Tollgate: {}", alert.event.word().replace('_', " "));
    let title = json!({"type": "TextBlock", "text": title, "wrap": true, "weight": "Bolder", "size": "Medium", "color": color});
    let fact = |(name, value): (String, String)| json!({"title": escape_markdown(&clip(&clean(&name), 60)), "value": escape_markdown(&value)});
    let foot =
        format!("{}, {}, {}", alert.event.alert_type().word(), alert.severity.word(), moment(alert.at));
    let mut parts = vec![title, block(escape_markdown(&clip(&clean(&alert.sentence), SENTENCE_MAX)))];
    let facts: Vec<Value> = rows(alert).into_iter().take(FACTS_MAX).map(fact).collect();
    if !facts.is_empty() {
        parts.push(json!({"type": "FactSet", "facts": facts}));
    }
    parts.push(json!({"type": "TextBlock", "text": foot, "wrap": true, "isSubtle": true, "size": "Small"}));
    json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": null,
            "content": {
                "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                "type": "AdaptiveCard",
                "version": "1.4",
                "body": parts,
            },
        }],
    })
}

#[cfg(test)]
mod tests {
    use super::super::samples::{budget, hostile};
    use super::*;

    #[test]
    fn the_card_says_what_how_much_and_how_grave() {
        let body = body(&budget());
        let card = &body["attachments"][0]["content"];
        assert_eq!(card["body"][0]["text"], "Tollgate: threshold crossed");
        assert_eq!(card["body"][0]["color"], "Warning");
        assert!(card["body"][1]["text"].as_str().unwrap().starts_with("Key chatbot has spent $7.5"));
        let facts = card["body"][2]["facts"].as_array().unwrap();
        assert!(facts.contains(&json!({"title": "threshold", "value": "75%"})), "{facts:?}");
        assert!(facts.contains(&json!({"title": "budget", "value": "$10.00"})));
    }

    #[test]
    fn the_largest_is_within_what_teams_takes_and_has_no_link() {
        let body = body(&hostile()).to_string();
        assert!(body.len() < 28 << 10, "{}", body.len());
        assert!(!body.contains("[x](") && body.contains("\\\\[x\\\\]("));
    }
}
