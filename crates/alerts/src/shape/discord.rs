//! A message of Discord's webhooks, with one embed.
//!
//! Owns: the message. Limits are Discord's: a title of 256 characters, a description of 4,096, 25 fields of 256 and
//! 1,024, 6,000 in all.
//!
//! **Invariant:** nobody is mentioned, whatever is written.

use crate::alert::{Alert, Severity};
use crate::text::{clean, clip, escape_markdown, moment, rows};
use serde_json::{Value, json};

/// Most characters of the sentence, before escaping.
const SENTENCE_MAX: usize = 800;
/// Most characters of a field's name and of its value, before escaping.
const FIELD_MAX: (usize, usize) = (40, 100);
/// Most fields.
const FIELDS_MAX: usize = 14;

/// The whole body.
pub(crate) fn body(alert: &Alert) -> Value {
    let color = match alert.severity {
        Severity::Info => 0x2e_cc71,
        Severity::Warning => 0xf1_c40f,
        Severity::Error => 0xe7_4c3c,
        Severity::Critical => 0x99_2d22,
    };
    let field = |(name, value): (String, String)| {
        let (name, value) = (clip(&clean(&name), FIELD_MAX.0), clip(&value, FIELD_MAX.1));
        json!({"name": escape_markdown(&name), "value": escape_markdown(&value), "inline": true})
    };
    let fields: Vec<Value> = rows(alert).into_iter().take(FIELDS_MAX).map(field).collect();
    json!({
        "username": "Tollgate",
        "allowed_mentions": {"parse": []},
        "embeds": [{
            "title": alert.event.word().replace('_', " "),
            "description": escape_markdown(&clip(&clean(&alert.sentence), SENTENCE_MAX)),
            "color": color,
            "fields": fields,
            "timestamp": moment(alert.at),
            "footer": {"text": format!("{}, {}", alert.event.alert_type().word(), alert.severity.word())},
        }],
    })
}

#[cfg(test)]
mod tests {
    use super::super::samples::{budget, hostile};
    use super::*;

    #[test]
    fn the_embed_says_what_and_how_much() {
        let body = body(&budget());
        let embed = &body["embeds"][0];
        assert_eq!(
            (&embed["title"], &embed["timestamp"]),
            (&"threshold crossed".into(), &"2026-11-23T04:46:27Z".into())
        );
        assert!(
            embed["fields"]
                .as_array()
                .unwrap()
                .contains(&json!({"name": "budget", "value": "$10.00", "inline": true}))
        );
    }

    #[test]
    fn the_largest_is_within_what_discord_takes_and_mentions_nobody() {
        let body = body(&hostile());
        let embed = &body["embeds"][0];
        let length = |value: &Value| value.as_str().map_or(0, |text| text.chars().count());
        let mut all =
            length(&embed["title"]) + length(&embed["description"]) + length(&embed["footer"]["text"]);
        assert!(length(&embed["description"]) <= 4_096);
        for field in embed["fields"].as_array().unwrap() {
            assert!(
                (1..=256).contains(&length(&field["name"])) && (1..=1_024).contains(&length(&field["value"]))
            );
            all += length(&field["name"]) + length(&field["value"]);
        }
        assert!(all <= 6_000, "{all}");
        assert_eq!(body["allowed_mentions"], json!({"parse": []}));
    }
}
