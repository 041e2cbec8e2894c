//! What an operator should know at once: ejections, refused credentials, a last tier that answers too often.
//!
//! Owns the lines of the log, the metrics, and the webhook. **Invariant:** an alert never waits for anybody: the webhook
//! is called beside the requests, one call at a time, and what it misses is counted.

use super::place::Lesson;
use crate::target::Target;
use tollgate_policy::health::Change;

/// Where alerts go.
#[derive(Debug, Default)]
pub(crate) struct Alerts {}

impl Alerts {
    /// An attempt taught something.
    pub(crate) fn learned(&self, target: &Target, lesson: &Lesson) {
        if let Some(change) = lesson.health {
            tell(target, "deployment", change);
        }
        if let Some(change) = lesson.credential {
            tell(target, "credential", change);
        }
    }
}

fn tell(target: &Target, what: &'static str, change: Change) {
    match change {
        Change::Ejected { for_, failures } => {
            target.metrics.cooldowns.inc();
            tracing::warn!(
                alert = if what == "credential" { "credential_refused" } else { "cooldown_deployment" },
                deployment = %target.id,
                provider = target.provider.name,
                model = %target.model,
                failures,
                seconds = for_.as_secs_f64(),
                "{what} is taken out for its failures"
            );
        }
        Change::Paused { for_ } => {
            tracing::info!(deployment = %target.id, seconds = for_.as_secs_f64(), "deployment paused: rate limit");
        }
        Change::Recovered => tracing::info!(deployment = %target.id, "{what} is back"),
    }
}
