//! `GET /health/deployments`: what the gateway knows of every deployment, without asking any; and the same as gauges.
//!
//! Owns the words and figures. Leaves the state to the fleet. **Invariant:** looking changes nothing.

use crate::routing::{
    GroupRules, Live, LiveReading, forced_word, limits_json, seconds, standing_seconds, standing_word,
};
use crate::snapshot::Snapshot;
use crate::telemetry::{DeploymentGauges, TargetLabels};
use crate::worker::Worker;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use tollgate_config::Deployment;
use tollgate_policy::clock::Moment;
use tollgate_policy::health::{Forced, Standing};
use tollgate_policy::latency::{LatencyRules, Measure};
use tollgate_policy::limits::Rates;

/// One deployment, or one model of a wildcard's that was asked for.
struct Known<'a> {
    deployment: &'a Deployment,
    /// The model as its provider names it; the pattern of a wildcard that was not asked yet.
    model: String,
    live: Option<Arc<Live>>,
}

impl Known<'_> {
    fn reading(&self) -> LiveReading {
        self.live.as_ref().map(|live| live.read()).unwrap_or_default()
    }
}

fn known<'a>(worker: &Worker, snapshot: &'a Snapshot) -> Vec<Known<'a>> {
    let mut known = Vec::new();
    for deployment in &snapshot.config().deployments {
        let is_wildcard = deployment.model_name.contains('*');
        let models = worker.gateway.fleet().models_of(&deployment.id).into_iter();
        let models = models.filter(|(model, _)| is_wildcard || *model == deployment.model);
        let before = known.len();
        known.extend(models.map(|(model, live)| Known { deployment, model, live: Some(live) }));
        if known.len() == before {
            known.push(Known { deployment, model: deployment.model.clone(), live: None });
        }
    }
    known
}

/// Answers `GET /health/deployments`; `wanted` is a group or an id.
pub(in crate::info) fn list(worker: &Worker, snapshot: &Snapshot, wanted: Option<&str>) -> Value {
    let fleet = worker.gateway.fleet();
    let now = fleet.clock().now();
    let ends: HashMap<String, Moment> =
        fleet.forced().into_iter().map(|(id, _, until)| (id, until)).collect();
    let mut rules: HashMap<&str, GroupRules> = HashMap::new();
    let mut rows = Vec::new();
    for known in known(worker, snapshot) {
        let deployment = known.deployment;
        let router = &snapshot.config().router;
        let is_meant =
            |wanted: &str| router.covers(wanted, &deployment.model_name) || wanted == deployment.id;
        if wanted.is_some_and(|wanted| !is_meant(wanted)) {
            continue;
        }
        let rules = rules
            .entry(&deployment.model_name)
            .or_insert_with(|| GroupRules::of(snapshot.config(), &deployment.model_name));
        let mut row = row(&known, now);
        if let Some(row) = row.as_object_mut() {
            let until = ends.get(&deployment.id).map(|until| seconds(now.until(*until)));
            row.insert("forced_seconds".to_owned(), json!(until));
            row.insert("latency".to_owned(), latency(&known, &rules.latency));
            row.insert("last_check".to_owned(), last_check(worker, &deployment.id));
        }
        rows.push(row);
    }
    json!({ "deployments": rows })
}

fn row(known: &Known<'_>, now: Moment) -> Value {
    let deployment = known.deployment;
    let reading = known.reading();
    let rates =
        Rates { rpm: deployment.rpm, tpm: deployment.tpm, parallel: deployment.max_parallel_requests };
    json!({
        "model_id": deployment.id,
        "model_name": deployment.model_name,
        "provider": deployment.provider.name,
        "model": known.model,
        "standing": standing_word(reading.standing),
        "standing_seconds": standing_seconds(reading.standing, now),
        "credential": standing_word(reading.credential),
        "credential_seconds": standing_seconds(reading.credential, now),
        "forced": reading.forced.map(forced_word),
        "consecutive_failures": reading.consecutive_failures,
        "ejections": reading.ejections,
        "in_flight": reading.used.in_flight,
        "requests_last_minute": reading.used.requests,
        "tokens_last_minute": reading.used.tokens,
        "limits": limits_json(rates, reading.used),
    })
}

fn latency(known: &Known<'_>, rules: &LatencyRules) -> Value {
    let score = |measure| known.live.as_ref()?.latency(measure, rules).map(|took| took.as_secs_f64());
    json!({
        "first_token_seconds": score(Measure::FirstToken),
        "per_token_seconds": score(Measure::PerToken),
    })
}

fn last_check(worker: &Worker, id: &str) -> Value {
    let Some(checked) = worker.gateway.checks().of(id) else { return Value::Null };
    json!({
        "is_healthy": checked.outcome.is_ok(),
        "status": checked.outcome.as_ref().err().map(|(status, _)| status),
        "age_seconds": seconds(checked.at.elapsed()),
    })
}

/// The gauges of all deployments, as they stand.
pub(in crate::info) fn gauges(worker: &Worker, snapshot: &Snapshot) -> Vec<DeploymentGauges> {
    let known = known(worker, snapshot).into_iter();
    let gauges = known.map(|known| {
        let reading = known.reading();
        DeploymentGauges {
            labels: TargetLabels {
                requested_model: known.deployment.model_name.clone(),
                model: known.model,
                model_id: known.deployment.id.clone(),
                api_provider: known.deployment.provider.name.to_owned(),
            },
            state: state(&reading),
            forced: reading.forced,
        }
    });
    gauges.collect()
}

/// LiteLLM's figure: 0 healthy, 1 partial outage, 2 complete outage.
fn state(reading: &LiveReading) -> i64 {
    let of = |standing: Standing| match standing {
        Standing::Up => 0,
        Standing::HalfOpen | Standing::Probing | Standing::Paused { .. } => 1,
        Standing::Ejected { .. } => 2,
    };
    let health = of(reading.standing).max(of(reading.credential));
    match reading.forced {
        Some(Forced::Down) => 2,
        Some(Forced::Draining) => health.max(1),
        Some(Forced::Up) => 0,
        None => health.max(i64::from(reading.consecutive_failures > 0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gauge_follows_health_credential_and_the_operators_word() {
        let until = Moment::from_micros(9);
        let check = |standing, credential, forced, consecutive_failures, expect: i64| {
            let reading =
                LiveReading { standing, credential, forced, consecutive_failures, ..LiveReading::default() };
            assert_eq!(state(&reading), expect, "{reading:?}");
        };
        let (up, out) = (Standing::Up, Standing::Ejected { until });
        check(up, up, None, 0, 0);
        check(up, up, None, 1, 1);
        check(Standing::Paused { until }, up, None, 0, 1);
        check(Standing::HalfOpen, up, None, 3, 1);
        check(Standing::Probing, up, None, 3, 1);
        check(out, up, None, 3, 2);
        check(up, out, None, 0, 2);
        check(up, up, Some(Forced::Down), 0, 2);
        check(up, up, Some(Forced::Draining), 0, 1);
        check(out, up, Some(Forced::Draining), 3, 2);
        check(out, up, Some(Forced::Up), 3, 0);
    }
}
