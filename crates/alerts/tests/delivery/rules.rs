//! What each receiver takes, by the limits that it publishes.
//!
//! Owns: the rules. Leaves to others: the connection. Sources: Slack's reference of blocks, the schema of Adaptive Cards
//! 1.4 and the limits of Teams' webhooks, Discord's reference of webhooks and embeds, PagerDuty's Events API v2, and
//! LiteLLM's `WebhookEvent`. **Invariant:** a member that a receiver does not know breaks its rules.

use crate::receiver::{Answer, Received};
use serde_json::Value;

/// Whose rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rules {
    Slack,
    Teams,
    Discord,
    PagerDuty,
    Webhook,
}

type Verdict = Result<(), String>;

fn holds(is_so: bool, what: &str, value: &Value) -> Verdict {
    if is_so { Ok(()) } else { Err(format!("{what}: {value}")) }
}

fn text<'a>(value: &'a Value, what: &str, characters_max: usize) -> Result<&'a str, String> {
    let text = value.as_str().ok_or_else(|| format!("{what} is no text: {value}"))?;
    let length = text.chars().count();
    holds((1..=characters_max).contains(&length), &format!("{what} has {length} characters"), value)?;
    Ok(text)
}

fn list<'a>(value: &'a Value, what: &str, most: usize) -> Result<&'a Vec<Value>, String> {
    let list = value.as_array().ok_or_else(|| format!("{what} is no list: {value}"))?;
    holds((1..=most).contains(&list.len()), &format!("{what} has {} entries", list.len()), value)?;
    Ok(list)
}

/// No member but these.
fn only(value: &Value, known: &[&str]) -> Verdict {
    let members = value.as_object().ok_or_else(|| format!("no object: {value}"))?;
    match members.keys().find(|name| !known.contains(&name.as_str())) {
        Some(stranger) => Err(format!("an unknown member {stranger}: {value}")),
        None => Ok(()),
    }
}

fn moment(value: &Value) -> Verdict {
    let text = text(value, "a moment", 40)?;
    let is_one = text.len() == 20 && text.ends_with('Z') && text.as_bytes().get(10) == Some(&b'T');
    holds(is_one, "no moment of ISO 8601", value)
}

impl Rules {
    /// Where the receiver wants its messages.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Slack => "/services/T0/B0/s3cr3t",
            Self::Teams => "/workflows/s3cr3t/triggers/manual/paths/invoke?api-version=2016-06-01&sig=s3cr3t",
            Self::Discord => "/api/webhooks/1/s3cr3t",
            Self::PagerDuty => "/v2/enqueue",
            Self::Webhook => "/alerts/?key=s3cr3t",
        }
    }

    /// What it says to a good one.
    pub(crate) fn thanks(self) -> Answer {
        match self {
            Self::Slack => Answer::Says(200, "content-type: text/html\r\n", "ok"),
            Self::Teams => Answer::Says(202, "", ""),
            Self::Discord => Answer::Says(204, "", ""),
            Self::PagerDuty => Answer::Says(202, "", r#"{"status":"success","message":"Event processed"}"#),
            Self::Webhook => Answer::Says(200, "", "{}"),
        }
    }

    /// Whether a message is good.
    pub(crate) fn judge(self, request: &Received) -> Verdict {
        if request.target != self.path() {
            return Err(format!("the path {}", request.target));
        }
        if request.header("content-type") != Some("application/json") {
            return Err(format!("the type {:?}", request.header("content-type")));
        }
        let body: Value = serde_json::from_slice(&request.body).map_err(|error| error.to_string())?;
        match self {
            Self::Slack => slack(&body),
            Self::Teams => teams(&body, request.body.len()),
            Self::Discord => discord(&body),
            Self::PagerDuty => pagerduty(&body, request.body.len()),
            Self::Webhook => webhook(&body),
        }
    }
}

fn slack(body: &Value) -> Verdict {
    only(body, &["text", "blocks"])?;
    let harmless = |text: &str| {
        let is_markup = ["<!", "<@", "<#", "<http"].iter().any(|mark| text.contains(mark));
        if is_markup { Err(format!("markup: {text}")) } else { Ok(()) }
    };
    harmless(text(&body["text"], "text", 40_000)?)?;
    for block in list(&body["blocks"], "blocks", 50)? {
        match block["type"].as_str() {
            Some("section") => {
                only(block, &["type", "text", "fields"])?;
                if let Some(it) = block.get("text") {
                    holds(it["type"] == "mrkdwn", "no kind of text", it)?;
                    harmless(text(&it["text"], "a section", 3_000)?)?;
                }
                if let Some(fields) = block.get("fields") {
                    for field in list(fields, "fields", 10)? {
                        holds(field["type"] == "mrkdwn", "no kind of text", field)?;
                        harmless(text(&field["text"], "a field", 2_000)?)?;
                    }
                }
                holds(block.get("text").or(block.get("fields")).is_some(), "an empty section", block)?;
            }
            Some("context") => {
                for element in list(&block["elements"], "elements", 10)? {
                    holds(element["type"] == "plain_text", "no kind of text", element)?;
                    text(&element["text"], "an element", 3_000)?;
                }
            }
            _ => return Err(format!("a block of no kind: {block}")),
        }
    }
    Ok(())
}

fn teams(body: &Value, bytes: usize) -> Verdict {
    holds(bytes <= 28 << 10, "more than 28 KB", &bytes.into())?;
    only(body, &["type", "attachments"])?;
    holds(body["type"] == "message", "no message", body)?;
    let attachment = &list(&body["attachments"], "attachments", 1)?[0];
    only(attachment, &["contentType", "contentUrl", "content"])?;
    holds(attachment["contentType"] == "application/vnd.microsoft.card.adaptive", "no card", attachment)?;
    let card = &attachment["content"];
    only(card, &["$schema", "type", "version", "body"])?;
    holds(card["type"] == "AdaptiveCard" && card["version"] == "1.4", "no card of 1.4", card)?;
    for element in list(&card["body"], "body", 100)? {
        match element["type"].as_str() {
            Some("TextBlock") => {
                only(element, &["type", "text", "wrap", "weight", "size", "color", "isSubtle"])?;
                let shown = text(&element["text"], "a text", 10_000)?;
                holds(!shown.contains("[x]("), "a link", element)?;
                if let Some(color) = element.get("color") {
                    let known = ["Default", "Dark", "Light", "Accent", "Good", "Warning", "Attention"];
                    holds(color.as_str().is_some_and(|it| known.contains(&it)), "no color", color)?;
                }
            }
            Some("FactSet") => {
                for fact in list(&element["facts"], "facts", 100)? {
                    only(fact, &["title", "value"])?;
                    text(&fact["title"], "a title", 1_000)?;
                    text(&fact["value"], "a value", 10_000)?;
                }
            }
            _ => return Err(format!("an element of no kind: {element}")),
        }
    }
    Ok(())
}

fn discord(body: &Value) -> Verdict {
    only(body, &["username", "allowed_mentions", "embeds"])?;
    let name = text(&body["username"], "username", 80)?;
    holds(!name.to_lowercase().contains("discord"), "a forbidden name", &body["username"])?;
    holds(
        body["allowed_mentions"]["parse"] == Value::Array(Vec::new()),
        "mentions",
        &body["allowed_mentions"],
    )?;
    for embed in list(&body["embeds"], "embeds", 10)? {
        only(embed, &["title", "description", "color", "fields", "timestamp", "footer"])?;
        let mut all = text(&embed["title"], "title", 256)?.chars().count();
        all += text(&embed["description"], "description", 4_096)?.chars().count();
        all += text(&embed["footer"]["text"], "footer", 2_048)?.chars().count();
        let color = embed["color"].as_u64();
        holds(color.is_some_and(|color| color <= 0xff_ffff), "no color", &embed["color"])?;
        moment(&embed["timestamp"])?;
        let fields = embed["fields"].as_array().ok_or("no fields")?;
        holds(fields.len() <= 25, "too many fields", &embed["fields"])?;
        for field in fields {
            only(field, &["name", "value", "inline"])?;
            all += text(&field["name"], "a field's name", 256)?.chars().count();
            all += text(&field["value"], "a field's value", 1_024)?.chars().count();
        }
        holds(all <= 6_000, "more than 6,000 characters", &all.into())?;
    }
    Ok(())
}

fn pagerduty(body: &Value, bytes: usize) -> Verdict {
    holds(bytes <= 512 << 10, "more than 512 KB", &bytes.into())?;
    only(body, &["routing_key", "event_action", "dedup_key", "client", "payload"])?;
    holds(text(&body["routing_key"], "routing_key", 32)?.len() == 32, "no routing key", body)?;
    text(&body["dedup_key"], "dedup_key", 255)?;
    if body["event_action"] == "resolve" {
        return holds(body.get("payload").is_none(), "a payload of what is over", body);
    }
    holds(body["event_action"] == "trigger", "no action", body)?;
    let payload = &body["payload"];
    let known =
        ["summary", "source", "severity", "timestamp", "component", "group", "class", "custom_details"];
    only(payload, &known)?;
    text(&payload["summary"], "summary", 1_024)?;
    text(&payload["source"], "source", 1_000)?;
    let severity = payload["severity"].as_str().unwrap_or_default();
    holds(["critical", "error", "warning", "info"].contains(&severity), "no severity", payload)?;
    moment(&payload["timestamp"])
}

fn webhook(body: &Value) -> Verdict {
    for name in ["event", "event_message", "alert_type", "level"] {
        text(&body[name], name, 1 << 20)?;
    }
    if body.get("scope").is_none() {
        return Ok(());
    }
    // What a client that reads LiteLLM's event by its class wants to find.
    let nullable = [
        "max_budget",
        "soft_budget",
        "token",
        "customer_id",
        "user_id",
        "team_id",
        "team_alias",
        "organization_id",
        "user_email",
        "key_alias",
        "projected_exceeded_date",
        "projected_spend",
        "alert_emails",
        "max_budget_alert_emails",
        "spend",
        "threshold",
        "budget",
        "period_start",
        "period_end",
    ];
    let optional = ["threshold"];
    for name in nullable.into_iter().filter(|name| !optional.contains(name)) {
        holds(body.get(name).is_some(), &format!("{name} is missing"), body)?;
    }
    for name in ["spend", "max_budget", "soft_budget", "projected_spend", "budget"] {
        holds(body[name].is_null() || body[name].is_number(), &format!("{name} is no number"), body)?;
    }
    text(&body["event_group"], "event_group", 40)?;
    text(&body["scope"]["kind"], "the scope's kind", 40).map(drop)
}
