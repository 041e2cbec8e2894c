//! What an operator should know at once: ejections, refused credentials, outages, a last tier that answers too often.
//!
//! Owns the kinds, their words, and how often one is told. Leaves the webhooks to `webhook`. **Invariant:** an alert never
//! waits for anybody, and of one kind about one thing there is one a minute at most. **Invariant:** no alert has a
//! credential, an address or a prompt in it.

mod webhook;

use super::fleet::lock;
use super::place::Lesson;
use super::tiers::TierList;
use crate::target::Target;
use crate::telemetry::Metrics;
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::Instant;
use tollgate_config::Config;
use tollgate_policy::health::Change;
use tollgate_policy::share::Crossing;
use tollgate_upstream::Shared;
use webhook::Post;

/// How long nothing more is said of the same.
const QUIET: Duration = Duration::from_secs(60);
/// Beyond so many remembered alerts, those that may be said again are forgotten.
const REMEMBERED: usize = 1_024;

/// What has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum AlertKind {
    /// A deployment is taken out for its failures.
    Cooldown,
    /// A provider refuses a credential.
    CredentialRefused,
    /// A provider does not know a deployment's model.
    ModelNotFound,
    /// All deployments of a group are out.
    Outage,
    /// A tier answers more than its share.
    TierShare,
    /// What was out is back.
    Recovered,
}

impl AlertKind {
    /// Its name in messages, logs and metrics; LiteLLM's where it has one.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Cooldown => "cooldown_deployment",
            Self::CredentialRefused => "credential_refused",
            Self::ModelNotFound => "model_not_found",
            Self::Outage => "outage",
            Self::TierShare => "tier_share",
            Self::Recovered => "recovered",
        }
    }

    /// How grave it is, as the log has it.
    fn level(self) -> &'static str {
        match self {
            Self::Recovered => "info",
            Self::Outage => "error",
            Self::Cooldown | Self::CredentialRefused | Self::ModelNotFound | Self::TierShare => "warning",
        }
    }
}

/// One alert.
#[derive(Debug)]
struct Alert {
    kind: AlertKind,
    sentence: String,
    facts: Map<String, Value>,
    /// Seconds since 1970.
    at: u64,
}

/// Where alerts go.
#[derive(Debug)]
pub(crate) struct Alerts {
    metrics: crate::telemetry::AlertMetrics,
    /// When something was last said, by what and about what.
    said: Mutex<HashMap<(AlertKind, String), Instant>>,
    post: Arc<Post>,
}

impl Alerts {
    /// Nothing has happened yet.
    pub(crate) fn new(metrics: &Metrics) -> Self {
        let metrics = metrics.alerts();
        let post = Arc::new(Post::new(metrics.dropped()));
        Self { metrics, said: Mutex::default(), post }
    }

    /// Tells those whom a configuration names.
    pub(crate) fn configure(&self, config: &Config) {
        self.post.address(&config.general.alerts);
    }

    /// By these sockets.
    pub(crate) fn attach(&self, shared: &Arc<Shared>) {
        self.post.attach(shared);
    }

    /// An attempt taught something.
    pub(crate) fn learned(&self, target: &Target, lesson: &Lesson) {
        if let Some(change) = lesson.health {
            self.changed(target, ("deployment", AlertKind::Cooldown), change);
        }
        if let Some(change) = lesson.credential {
            self.changed(target, ("credential", AlertKind::CredentialRefused), change);
        }
    }

    fn changed(&self, target: &Target, (what, kind): (&'static str, AlertKind), change: Change) {
        match change {
            Change::Ejected { for_, failures } => {
                target.metrics.cooldowns.inc();
                let seconds = for_.as_secs_f64();
                tracing::warn!(
                    alert = kind.word(),
                    deployment = %target.id,
                    provider = target.provider.name,
                    model = %target.model,
                    failures,
                    seconds,
                    "{what} is taken out for its failures"
                );
                let reason = match kind {
                    AlertKind::CredentialRefused => "its provider refuses its credential".to_owned(),
                    _ => format!("failures in a row: {failures}"),
                };
                let sentence = format!("{} is out for {seconds:.1} s: {reason}.", named(target));
                let mut facts = facts_of(target);
                facts.insert("failures".to_owned(), json!(failures));
                facts.insert("seconds".to_owned(), json!(seconds));
                self.raise(kind, &target.id, sentence, facts);
            }
            Change::Paused { for_ } => {
                tracing::info!(deployment = %target.id, seconds = for_.as_secs_f64(), "deployment paused: rate limit");
            }
            Change::Recovered => {
                tracing::info!(alert = "recovered", deployment = %target.id, "{what} is back");
                let sentence = format!("{} answers again.", named(target));
                self.raise(AlertKind::Recovered, &target.id, sentence, facts_of(target));
            }
        }
    }

    /// A provider does not know a deployment's model.
    pub(crate) fn model_not_found(&self, target: &Target) {
        let sentence = format!("The provider of {} does not know its model.", named(target));
        self.raise(AlertKind::ModelNotFound, &target.id, sentence, facts_of(target));
    }

    /// The last deployment of a group that was in is out.
    pub(crate) fn outage(&self, group: &str, deployments: usize) {
        let sentence = format!("Every deployment of {group} is out ({deployments}).");
        tracing::error!(alert = "outage", group, deployments, "every deployment is out");
        let facts = object(json!({"model_group": group, "deployments": deployments}));
        self.raise(AlertKind::Outage, group, sentence, facts);
    }

    /// A tier's share has crossed its threshold.
    pub(crate) fn crossed(&self, list: &TierList, crossing: Crossing) {
        let tier = list.name_of(crossing.tier);
        let percent = crossing.share * 100.0;
        if !crossing.is_above {
            tracing::info!(
                alert = "tier_share",
                list = list.label(),
                tier,
                percent,
                "a tier's share is back"
            );
            return;
        }
        tracing::warn!(alert = "tier_share", list = list.label(), tier, percent, "a tier answers too often");
        let limit = list.thresholds().get(crossing.tier).copied().flatten().unwrap_or_default() * 100.0;
        let sentence = format!(
            "The tier {tier} of {} answers {percent:.1}% of the requests; its alert_share is {limit:.1}%.",
            list.label()
        );
        let facts = object(json!({"list": list.label(), "tier": tier, "share": crossing.share}));
        self.raise(AlertKind::TierShare, &format!("{}/{tier}", list.label()), sentence, facts);
    }

    fn raise(&self, kind: AlertKind, about: &str, sentence: String, facts: Map<String, Value>) {
        let now = Instant::now();
        {
            let mut said = lock(&self.said);
            let is_quiet = |at: &Instant| now.saturating_duration_since(*at) < QUIET;
            if said.len() >= REMEMBERED {
                said.retain(|_, at| is_quiet(at));
            }
            let key = (kind, about.to_owned());
            if said.get(&key).is_some_and(is_quiet) {
                return;
            }
            said.insert(key, now);
        }
        self.metrics.raised(kind.word());
        let at = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        self.post.put(Alert { kind, sentence, facts, at });
    }
}

fn named(target: &Target) -> String {
    format!("deployment {} ({}/{})", target.id, target.provider.name, target.model)
}

fn facts_of(target: &Target) -> Map<String, Value> {
    object(json!({
        "deployment": target.id,
        "provider": target.provider.name,
        "model": target.model,
        "model_group": target.metrics.group(),
    }))
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}
