//! `/health*`: whether the process takes requests, and what every deployment answers to a short question.

use crate::drain::Stage;
use crate::pipeline::json_response;
use crate::reply::GatewayBody;
use crate::snapshot::Snapshot;
use crate::target::Target;
use crate::worker::Worker;
use bytes::Bytes;
use http::{Response, StatusCode};
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::time::Duration;
use tollgate_catalog::Mode;
use tollgate_config::Deployment;

/// Longest wait for a deployment's answer, where its own `timeout` is not shorter.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Deployments asked at a time, so that a large configuration does not open hundreds of connections.
const AT_A_TIME: usize = 16;

/// `GET /health/readiness`: 503 once the drain has begun, so that a balancer stops sending.
pub(super) fn readiness(worker: &Worker) -> Response<GatewayBody> {
    if worker.gateway.drain().stage() == Stage::Running {
        return json_response(r#"{"status":"healthy","db":"Not connected"}"#);
    }
    let mut response = json_response(r#"{"status":"draining","db":"Not connected"}"#);
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    response
}

/// `GET /health`: a real, tiny call to every deployment, or to those of one group. Wildcards name no model to ask.
pub(super) async fn ask_deployments(
    worker: &Worker,
    snapshot: &Snapshot,
    group: Option<&str>,
) -> Response<GatewayBody> {
    let wanted: Vec<(Deployment, Arc<Target>)> = snapshot
        .config()
        .deployments
        .iter()
        .filter(|deployment| !deployment.model_name.contains('*'))
        .filter(|deployment| {
            group.is_none_or(|group| deployment.model_name == group || deployment.id == group)
        })
        .filter_map(|deployment| {
            let alone = snapshot.group(worker.gateway.metrics(), &deployment.id)?;
            Some((deployment.clone(), Arc::clone(alone.targets().first()?)))
        })
        .collect();
    let (mut healthy, mut unhealthy) = (Vec::new(), Vec::new());
    for batch in wanted.chunks(AT_A_TIME) {
        let mut asking = tokio::task::JoinSet::new();
        for (position, (deployment, target)) in batch.iter().enumerate() {
            let (client, target) = (Arc::clone(&worker.client), Arc::clone(target));
            let is_embedding =
                snapshot.model_facts(deployment).is_some_and(|facts| facts.mode == Mode::Embedding);
            asking.spawn(async move {
                let limit = target.timeout.unwrap_or(TIMEOUT).min(TIMEOUT);
                let asked = crate::pipeline::probe(&client, &target, is_embedding, limit).await;
                (position, asked)
            });
        }
        let mut answers = asking.join_all().await;
        answers.sort_by_key(|(position, _)| *position);
        for (position, answer) in answers {
            let Some((deployment, target)) = batch.get(position) else { continue };
            match answer {
                Ok(headers) => healthy.push(endpoint(deployment, target, &headers, None)),
                Err(error) => {
                    unhealthy.push(endpoint(deployment, target, &http::HeaderMap::new(), Some(error)));
                }
            }
        }
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
fn endpoint(
    deployment: &Deployment,
    target: &Target,
    headers: &http::HeaderMap,
    error: Option<(u16, String)>,
) -> Value {
    let mut row = Map::new();
    if let Some(base) = &deployment.api_base {
        row.insert("api_base".to_owned(), json!(base));
    }
    for (name, limit) in [("tpm", deployment.tpm), ("rpm", deployment.rpm)] {
        if let Some(limit) = limit {
            row.insert(name.to_owned(), json!(limit));
        }
    }
    row.insert("model".to_owned(), json!(format!("{}/{}", target.provider.name, target.model)));
    for name in ["x-ratelimit-remaining-requests", "x-ratelimit-remaining-tokens"] {
        if let Some(value) = headers.get(name).and_then(|value| value.to_str().ok()) {
            row.insert(name.to_owned(), json!(value));
        }
    }
    if let Some((status, message)) = error {
        row.insert("error".to_owned(), json!(message));
        row.insert("exception_status".to_owned(), json!(status));
    }
    row.insert("model_id".to_owned(), json!(deployment.id));
    Value::Object(row)
}
