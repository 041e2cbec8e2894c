//! `/health*`: whether the process takes requests, what every deployment answers to a short question, what is known of each,
//! and what an operator says of them.

mod deployments;
mod overrides;

use super::models::Shows;
use crate::checks::{Check, Checked, Manner, Outcome, SHOWN, ask_all};
use crate::drain::Stage;
use crate::pipeline::json_response;
use crate::reply::GatewayBody;
use crate::snapshot::Snapshot;
use crate::worker::Worker;
use bytes::Bytes;
use http::{Response, StatusCode};
use serde_json::{Map, Value, json};
use tollgate_config::Deployment;

pub(super) use deployments::{gauges, list as deployments};
pub(super) use overrides::{list as overrides, set as set_override};

/// Deployments asked at a time, so that a large configuration does not open hundreds of connections.
const AT_A_TIME: usize = 16;

/// `GET /health/readiness`: 503 once the drain has begun, so that a balancer stops sending.
pub(super) fn readiness(worker: &Worker) -> Response<GatewayBody> {
    let ledger = worker.gateway.ledger();
    let db = match ledger.books() {
        Some(_) if ledger.are_books_there() => "connected",
        _ => "Not connected",
    };
    if worker.gateway.drain().stage() == Stage::Running {
        return json_response(format!(r#"{{"status":"healthy","db":"{db}"}}"#));
    }
    let mut response = json_response(format!(r#"{{"status":"draining","db":"{db}"}}"#));
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    response
}

/// `GET /health`, for administrators and viewers: what every deployment that the caller may use, or those of one group,
/// answers to a short question; asked now, or by the last check beside the requests where those are on.
pub(super) async fn answers(
    worker: &Worker,
    snapshot: &Snapshot,
    (group, shows): (Option<&str>, Shows<'_>),
) -> Response<GatewayBody> {
    let is_meant = |deployment: &Deployment| {
        shows(&deployment.model_name).is_some()
            && group.is_none_or(|group| {
                snapshot.config().router.covers(group, &deployment.model_name) || deployment.id == group
            })
    };
    let config = snapshot.config();
    let in_background = config.general.background_health_checks;
    let is_wanted = |deployment: &Deployment| {
        is_meant(deployment) && !(in_background && deployment.health_check.is_left_out)
    };
    let checks = Check::all(worker, snapshot, is_wanted);
    let mut outcomes: Vec<Option<Outcome>> = vec![None; checks.len()];
    if in_background {
        let is_fresh = |checked: &Checked| checked.at.elapsed() <= config.router.health_check_staleness;
        let last = |check: &Check| worker.gateway.checks().of(&check.deployment.id).filter(is_fresh);
        outcomes = checks.iter().map(|check| last(check).map(|checked| checked.outcome)).collect();
    } else {
        let no_room = || Err((429, "Not asked: its own limits leave no room.".to_owned()));
        ask_all(worker, &checks, (Manner::default(), AT_A_TIME), |position, outcome| {
            if let Some(place) = outcomes.get_mut(position) {
                *place = Some(outcome.unwrap_or_else(no_room));
            }
        })
        .await;
    }
    let with_details = config.general.health_check_details;
    let (mut healthy, mut unhealthy) = (Vec::new(), Vec::new());
    for (check, outcome) in checks.iter().zip(outcomes) {
        let Some(outcome) = outcome else { continue };
        let rows = if outcome.is_ok() { &mut healthy } else { &mut unhealthy };
        rows.push(endpoint(check, outcome, with_details));
    }
    let body = json!({
        "healthy_count": healthy.len(),
        "unhealthy_count": unhealthy.len(),
        "healthy_endpoints": healthy,
        "unhealthy_endpoints": unhealthy,
    });
    json_response(Bytes::from(body.to_string()))
}

/// One deployment's row; the error is the caller's sentence, never a trace or a body.
fn endpoint(check: &Check, outcome: Outcome, with_details: bool) -> Value {
    let Check { deployment, target, .. } = check;
    let mut row = Map::new();
    row.insert("model".to_owned(), json!(format!("{}/{}", target.provider.name, target.model)));
    row.insert("model_id".to_owned(), json!(deployment.id));
    if !with_details {
        return Value::Object(row);
    }
    if let Some(base) = &deployment.api_base {
        row.insert("api_base".to_owned(), json!(base));
    }
    for (name, limit) in [("tpm", deployment.tpm), ("rpm", deployment.rpm)] {
        if let Some(limit) = limit {
            row.insert(name.to_owned(), json!(limit));
        }
    }
    match outcome {
        Ok(headers) => {
            for name in SHOWN {
                if let Some(value) = headers.get(name).and_then(|value| value.to_str().ok()) {
                    row.insert(name.to_owned(), json!(value));
                }
            }
        }
        Err((status, message)) => {
            row.insert("error".to_owned(), json!(message));
            row.insert("exception_status".to_owned(), json!(status));
        }
    }
    Value::Object(row)
}
