//! What an operator should know at once: ejections, refused credentials, outages, a last tier that answers too often.
//!
//! Owns: what is said of deployments, groups and tiers. Leaves the way of an alert, and how often the same is said, to the
//! crate `alerts`. **Invariant:** an alert never waits for anybody. **Invariant:** no alert has a credential, an address
//! or a prompt in it.

use super::place::Lesson;
use super::tiers::TierList;
use crate::target::Target;
use crate::telemetry::{AlertMetrics, Metrics};
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tollgate_alerts::{Alert, Event, Observe, Severity, Surroundings};
use tollgate_config::Config;
use tollgate_policy::health::Change;
use tollgate_policy::share::Crossing;
use tollgate_upstream::Shared;

/// How long the process waits at its end for alerts that are on their way.
const CLOSE_MAX: Duration = Duration::from_secs(5);

/// Where alerts go. A clone goes there too.
#[derive(Debug, Clone)]
pub(crate) struct Alerts {
    way: tollgate_alerts::Alerts,
    tracks_end_users: Arc<AtomicBool>,
}

/// Counts into the metrics.
struct Counting(AlertMetrics);

impl Observe for Counting {
    fn raised(&self, event: &'static str) {
        self.0.raised(event);
    }

    fn delivered(&self, _channel: &'static str, _alerts: u64) {}

    fn dropped(&self, _channel: &'static str, alerts: u64) {
        self.0.dropped().inc_by(alerts);
    }
}

/// Microseconds since 1970.
fn wall() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

impl Alerts {
    /// Nothing has happened yet.
    pub(crate) fn new(metrics: &Metrics) -> Self {
        let surroundings = Surroundings { wall: Arc::new(wall), draw: Arc::new(crate::chance::draw) };
        let way = tollgate_alerts::Alerts::new(Arc::new(Counting(metrics.alerts())), surroundings);
        Self { way, tracks_end_users: Arc::default() }
    }

    /// Tells those whom a configuration names.
    pub(crate) fn configure(&self, config: &Config) {
        self.tracks_end_users.store(config.general.alerts.tracks_end_users, Ordering::Relaxed);
        self.way.configure(&config.general.alerts);
    }

    /// By these sockets.
    pub(crate) fn attach(&self, shared: &Arc<Shared>) {
        self.way.attach(shared);
    }

    /// Whether somebody is told of every request of an end user's.
    pub(crate) fn tracks_end_users(&self) -> bool {
        self.tracks_end_users.load(Ordering::Relaxed)
    }

    /// Says whatever is worth it.
    pub(crate) fn tell(&self, alert: Alert) {
        self.way.tell(alert);
    }

    /// Tells what is still on its way; called once requests have ended.
    pub(crate) async fn close(&self) {
        self.way.close(CLOSE_MAX).await;
    }

    /// An attempt taught something.
    pub(crate) fn learned(&self, target: &Target, lesson: &Lesson) {
        if let Some(change) = lesson.health {
            self.changed(target, ("deployment", Event::Cooldown), change);
        }
        if let Some(change) = lesson.credential {
            self.changed(target, ("credential", Event::CredentialRefused), change);
        }
    }

    fn changed(&self, target: &Target, (what, event): (&'static str, Event), change: Change) {
        match change {
            Change::Ejected { for_, failures } => {
                target.metrics.cooldowns.inc();
                let seconds = for_.as_secs_f64();
                tracing::warn!(
                    alert = event.word(),
                    deployment = %target.id,
                    provider = target.provider.name,
                    model = %target.model,
                    failures,
                    seconds,
                    "{what} is taken out for its failures"
                );
                let reason = match event {
                    Event::CredentialRefused => "its provider refuses its credential".to_owned(),
                    _ => format!("failures in a row: {failures}"),
                };
                let sentence = format!("{} is out for {seconds:.1} s: {reason}.", named(target));
                let mut facts = facts_of(target);
                facts.insert("failures".to_owned(), json!(failures));
                facts.insert("seconds".to_owned(), json!(seconds));
                self.raise(event, &target.id, sentence, facts);
            }
            Change::Paused { for_ } => {
                tracing::info!(deployment = %target.id, seconds = for_.as_secs_f64(), "deployment paused: rate limit");
            }
            Change::Recovered => {
                tracing::info!(alert = "recovered", deployment = %target.id, "{what} is back");
                let sentence = format!("{} answers again.", named(target));
                let ended = [(Event::Cooldown, &*target.id), (Event::CredentialRefused, &*target.id)];
                let ended = ended.into_iter().chain([(Event::Outage, target.metrics.group())]);
                let keys = ended.map(|(event, about)| Alert::key_of(event, about)).collect();
                let back = Alert::new(Event::Recovered, Severity::Info, &target.id, sentence);
                self.tell(back.facts(facts_of(target)).resolves(keys));
            }
        }
    }

    /// A provider does not know a deployment's model.
    pub(crate) fn model_not_found(&self, target: &Target) {
        let sentence = format!("The provider of {} does not know its model.", named(target));
        self.raise(Event::ModelNotFound, &target.id, sentence, facts_of(target));
    }

    /// A deployment has answered whose model has no price.
    pub(crate) fn unpriced(&self, target: &Target) {
        self.tell(Alert::unpriced(&target.model, target.provider.name));
    }

    /// The last deployment of a group that was in is out.
    pub(crate) fn outage(&self, group: &str, deployments: usize) {
        let sentence = format!("Every deployment of {group} is out ({deployments}).");
        tracing::error!(alert = "outage", group, deployments, "every deployment is out");
        let facts = object(json!({"model_group": group, "deployments": deployments}));
        self.raise(Event::Outage, group, sentence, facts);
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
        self.raise(Event::TierShare, &format!("{}/{tier}", list.label()), sentence, facts);
    }

    fn raise(&self, event: Event, about: &str, sentence: String, facts: Map<String, Value>) {
        let severity = if event == Event::Outage { Severity::Error } else { Severity::Warning };
        self.tell(Alert::new(event, severity, about, sentence).facts(facts));
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
