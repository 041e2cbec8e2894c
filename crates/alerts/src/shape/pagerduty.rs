//! Events of PagerDuty's Events API v2.
//!
//! Owns: the events, and which alerts make one. Limits are PagerDuty's: a summary of 1,024 characters, a deduplication
//! key of 255, 512 KB in all.
//!
//! **Invariant:** nobody is paged for what is only good to know; what is back ends the incidents that it began with.

use crate::alert::{Alert, Severity};
use crate::shape::json::{self, Members};
use crate::signature::hex;
use crate::text::{clean, clip, moment};
use ring::digest::{SHA256, digest};

/// Most characters of a summary.
const SUMMARY_MAX: usize = 1_024;
/// Most bytes of a deduplication key.
const KEY_MAX: usize = 255;
/// Most bytes of the details; the summary says what matters.
const DETAILS_MAX: usize = 256 << 10;

/// What PagerDuty is sent for an alert: most often one event, none for what is only good to know.
pub(crate) fn bodies(alert: &Alert, routing_key: &str) -> Vec<String> {
    if !alert.resolves.is_empty() {
        return alert.resolves.iter().map(|key| event(routing_key, "resolve", key).end()).collect();
    }
    if alert.severity == Severity::Info {
        return Vec::new();
    }
    let mut event = event(routing_key, "trigger", &alert.key);
    event.value("client", "Tollgate");
    event.raw("payload", &payload(alert));
    vec![event.end()]
}

fn event(routing_key: &str, action: &str, key: &str) -> Members {
    let mut event = Members::new();
    event.value("routing_key", routing_key);
    event.value("event_action", action);
    event.value("dedup_key", bounded(key));
    event
}

fn payload(alert: &Alert) -> String {
    let summary = clip(&clean(&alert.sentence), SUMMARY_MAX);
    let mut payload = Members::new();
    payload.value("summary", if summary.is_empty() { alert.event.word().to_owned() } else { summary });
    payload.value("source", "tollgate");
    payload.value("severity", alert.severity.word());
    payload.value("timestamp", moment(alert.at));
    payload.value("component", alert.scope.as_ref().map_or("gateway", |scope| scope.kind.word()));
    payload.value("group", alert.event.alert_type().word());
    payload.value("class", alert.event.word());
    let details = json::body(alert);
    if details.len() <= DETAILS_MAX {
        payload.raw("custom_details", &details);
    }
    payload.end()
}

/// A key within the limit: one that is longer is its own digest.
fn bounded(key: &str) -> String {
    if key.len() <= KEY_MAX { key.to_owned() } else { hex(digest(&SHA256, key.as_bytes()).as_ref()) }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{budget, cooldown, hostile};
    use super::*;
    use crate::alert::Event;
    use serde_json::Value;

    fn events(alert: &Alert) -> Vec<Value> {
        bodies(alert, "R0").iter().map(|body| serde_json::from_str(body).unwrap()).collect()
    }

    #[test]
    fn trouble_triggers_and_what_is_back_resolves() {
        let [trigger] = &events(&cooldown())[..] else { panic!("one event") };
        assert_eq!(
            (&trigger["event_action"], &trigger["dedup_key"]),
            (&"trigger".into(), &"cooldown_deployment:dep-a".into())
        );
        assert_eq!(
            (&trigger["routing_key"], &trigger["payload"]["severity"]),
            (&"R0".into(), &"warning".into())
        );
        assert_eq!(trigger["payload"]["timestamp"], "2026-11-23T04:46:27Z");
        let keys = [Event::Cooldown, Event::Outage].map(|event| Alert::key_of(event, "dep-a"));
        let back = Alert::new(Event::Recovered, Severity::Info, "dep-a", "Back.").resolves(keys.to_vec());
        let seen: Vec<Value> = events(&back).iter().map(|event| event["dedup_key"].clone()).collect();
        assert_eq!(seen, ["cooldown_deployment:dep-a", "outage:dep-a"]);
        assert!(
            events(&back)
                .iter()
                .all(|event| event["event_action"] == "resolve" && event.get("payload").is_none())
        );
    }

    #[test]
    fn nobody_is_paged_for_what_is_good_to_know() {
        assert!(bodies(&Alert::new(Event::KeyCreated, Severity::Info, "k", "Made."), "R0").is_empty());
    }

    #[test]
    fn amounts_are_exact_and_limits_are_kept() {
        assert!(bodies(&budget(), "R0")[0].contains(r#""custom_details":{"spend":7.500000000001,"#));
        let [event] = &events(&hostile())[..] else { panic!("one event") };
        assert!(event["payload"]["summary"].as_str().unwrap().chars().count() <= SUMMARY_MAX);
        assert!(event["dedup_key"].as_str().unwrap().len() == 64);
        assert!(event["payload"].get("custom_details").is_none());
        assert!(event.to_string().len() < 512 << 10);
    }
}
