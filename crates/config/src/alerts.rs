//! Who is told when something needs an operator.
//!
//! Owns: the addresses, wherever they are written. Leaves to others: what is worth an alert, sending it (server).
//!
//! **Invariant:** an address is a secret: whoever has a webhook's address can write to it.

use crate::environment::Environment;
use crate::keys::router::ALERTING;
use crate::keys::{general, nearest, router, tiers, tollgate};
use crate::report::{Collector, Message, printable};
use crate::secret::Secret;
use crate::section::{NOT_YET_ACTIVE, Section};
use crate::yaml::Node;

/// What an address expects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlertShape {
    /// A Slack-compatible message.
    Slack,
    /// A JSON object that says what happened.
    Json,
}

/// One address that is told.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertTarget {
    /// An http(s) address.
    pub url: Secret,
    /// What it expects.
    pub shape: AlertShape,
}

/// LiteLLM's ways to tell an operator that Tollgate does not have yet.
const LATER: &[&str] = &["email", "pagerduty"];

/// The ways that `general_settings.alerting` names: the variable of the address, and what it expects.
const NAMED: &[(&str, &str, AlertShape)] =
    &[("slack", "SLACK_WEBHOOK_URL", AlertShape::Slack), ("webhook", "WEBHOOK_URL", AlertShape::Json)];

/// Every address of the configuration, each once.
pub(crate) fn resolve(root: &Node, environment: &Environment<'_>, found: &mut Collector) -> Vec<AlertTarget> {
    let tollgate = Section::new(root.get("tollgate_settings"), tollgate::TABLE, "tollgate_settings");
    let own = tollgate.section("alerts", tiers::ALERTS).secret("webhook_url");
    let of_router = |section: &str| {
        let section = Section::new(root.get(section), router::TABLE, section);
        section.section("alerting_config", ALERTING).secret("webhook_url")
    };
    let routers = of_router("router_settings").or_else(|| of_router("litellm_settings"));
    let mut targets: Vec<AlertTarget> = Vec::new();
    let own = own.map(|url| AlertTarget { url, shape: AlertShape::Json });
    let routers = routers.map(|url| AlertTarget { url, shape: AlertShape::Slack });
    for target in own.into_iter().chain(routers).chain(named(root, environment, found)) {
        if !targets.iter().any(|known| known.url == target.url) {
            targets.push(target);
        }
    }
    targets
}

/// The addresses of `general_settings.alerting`.
fn named(root: &Node, environment: &Environment<'_>, found: &mut Collector) -> Vec<AlertTarget> {
    let general = Section::new(root.get("general_settings"), general::TABLE, "general_settings");
    let path = general.path_of("alerting");
    let mut targets = Vec::new();
    for item in general.items("alerting") {
        let Some(word) = item.text() else { continue };
        let Some((_, variable, shape)) = NAMED.iter().find(|(name, ..)| *name == word) else {
            if LATER.contains(&word) {
                found.note(item.place, &path, format!("{word} is {NOT_YET_ACTIVE}"));
            } else {
                // What resembles none of the words may be an address, which is not shown.
                let near = nearest(word, NAMED.iter().map(|(name, ..)| *name));
                let shown = near.map(|_| format!(" `{}`", printable(word))).unwrap_or_default();
                let message = format!("unknown value{shown}; slack and webhook are known");
                found.warning(item.place, &path, Message::with_nearest(message, near));
            }
            continue;
        };
        match environment.first_of(&[variable]) {
            None => {
                let message = format!("{variable} is not set: {word} is told nothing");
                found.warning(item.place, &path, message);
            }
            Some(url) if url.chars().any(char::is_control) || crate::address::why_not(&url).is_some() => {
                found.error(item.place, &path, format!("the variable {variable} is no http(s) address"));
            }
            Some(url) => targets.push(AlertTarget { url: Secret::new(url), shape: *shape }),
        }
    }
    targets
}
