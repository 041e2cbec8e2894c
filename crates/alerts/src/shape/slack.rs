//! A message of Slack's incoming webhooks, and of what takes the same (Mattermost, Rocket.Chat, Discord's `/slack`).
//!
//! Owns: the message. Limits are those of Slack's reference of blocks: 3,000 characters of a section, 10 fields of
//! 2,000, 75 of a context. `text` says all of it again for those who do not know blocks.
//!
//! **Invariant:** nothing that a stranger has named is markup: `<!channel>` is a text here.

use crate::alert::{Alert, Severity};
use crate::text::{clean, clip, moment, rows};
use serde_json::{Value, json};

/// Most characters of the sentence, with room for what escaping adds.
const SENTENCE_MAX: usize = 500;
/// Most characters of a field, likewise.
const FIELD_MAX: usize = 300;
/// Most fields of a section.
const FIELDS_MAX: usize = 10;

/// The whole body.
pub(crate) fn body(alert: &Alert) -> Value {
    let sign = match alert.severity {
        Severity::Info => ":white_check_mark:",
        Severity::Warning => ":warning:",
        Severity::Error | Severity::Critical => ":rotating_light:",
    };
    let head = format!("{sign} *Tollgate* `{}`", alert.event.word());
    let sentence = escape(&clip(&clean(&alert.sentence), SENTENCE_MAX));
    let rows: Vec<(String, String)> = rows(alert)
        .into_iter()
        .take(FIELDS_MAX)
        .map(|(name, value)| (escape(&clip(&clean(&name), 60)), escape(&clip(&value, FIELD_MAX))))
        .collect();
    let lines: String = rows.iter().map(|(name, value)| format!("\n*{name}:* {value}")).collect();
    let mut blocks =
        vec![json!({"type": "section", "text": {"type": "mrkdwn", "text": format!("{head}\n{sentence}")}})];
    if !rows.is_empty() {
        let field = |(name, value): &(String, String)| json!({"type": "mrkdwn", "text": format!("*{name}*\n{value}")});
        blocks.push(json!({"type": "section", "fields": rows.iter().map(field).collect::<Vec<_>>()}));
    }
    let foot = format!(
        "{} \u{b7} {} \u{b7} {}",
        alert.event.alert_type().word(),
        alert.severity.word(),
        moment(alert.at)
    );
    blocks.push(json!({"type": "context", "elements": [{"type": "plain_text", "text": foot}]}));
    json!({"text": format!("{head}\n{sentence}{lines}"), "blocks": blocks})
}

/// Slack's three characters of control, and the quotation of code, which would end ours.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('`', "'")
}

#[cfg(test)]
mod tests {
    use super::super::samples::{budget, cooldown, hostile};
    use super::*;
    use crate::alert::Event;

    #[test]
    fn it_says_what_happened_in_text_and_in_blocks() {
        let body = body(&cooldown());
        assert_eq!(
            body["text"],
            ":warning: *Tollgate* `cooldown_deployment`\nDeployment a is out.\n*deployment:* a\n*failures:* 3"
        );
        assert_eq!(
            body["blocks"][0]["text"]["text"],
            ":warning: *Tollgate* `cooldown_deployment`\nDeployment a is out."
        );
        assert_eq!(body["blocks"][1]["fields"][1], json!({"type": "mrkdwn", "text": "*failures*\n3"}));
        let text = super::body(&budget())["text"].as_str().unwrap().to_owned();
        for part in ["chatbot", "75%", "$7.500000000001", "$10.00", "research"] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn the_sign_is_the_gravitys() {
        let check = |severity: Severity, sign: &str| {
            let text = body(&Alert::new(Event::Outage, severity, "m", "Out."))["text"].to_string();
            assert!(text.starts_with(&format!("\"{sign} ")), "{text}");
        };
        check(Severity::Info, ":white_check_mark:");
        check(Severity::Warning, ":warning:");
        check(Severity::Error, ":rotating_light:");
        check(Severity::Critical, ":rotating_light:");
    }

    #[test]
    fn a_strangers_words_are_no_markup() {
        let body = body(&hostile()).to_string();
        assert!(!body.contains("<!channel>") && body.contains("&lt;!channel&gt;"));
    }
}
