//! `/cache/*`: whether answers are kept, and forgetting them.
//!
//! Owns the words of LiteLLM's routes. Leaves keeping to `caching`.

use super::{Desk, Outcome, Problem, Served, asks};
use crate::caching::Answers;
use http::StatusCode;
use serde_json::{Value, json};
use std::sync::Arc;
use tollgate_cache::{FarError, Key};

/// The operator's.
pub(super) const ROUTES: &[Served] = &[
    asks("GET", "/cache/ping", |desk| Box::pin(ping(desk)), "Whether answers are kept, and how many"),
    asks("POST", "/cache/delete", |desk| Box::pin(delete(desk)), "Forget kept answers by their keys"),
    asks("POST", "/cache/flushall", |desk| Box::pin(flush(desk)), "Forget all kept answers"),
];

/// Most keys of one call.
const KEYS_MAX: usize = 10_000;

/// What LiteLLM says where there is no cache, as Python writes it.
const NONE: &str = r#"{"message": "Cache not initialized. litellm.cache is None", "litellm_cache_params": "{}", "health_check_cache_params": "{}"}"#;

fn answers<'a>(
    desk: &'a Desk<'_>,
    (kind, part): (&'static str, &'static str),
) -> Result<&'a Arc<Answers>, Problem> {
    let none = || Problem::SaidOf(StatusCode::SERVICE_UNAVAILABLE, kind, part, NONE.to_owned());
    desk.snapshot.answers().ok_or_else(none)
}

/// LiteLLM's words where the place fails.
fn failed(kind: &'static str, part: &'static str) -> impl FnOnce(FarError) -> Problem {
    move |error| {
        let said = json!({
            "message": format!("Service Unhealthy ({error})"),
            "litellm_cache_params": "{}",
            "health_check_cache_params": "{}",
        });
        Problem::SaidOf(StatusCode::SERVICE_UNAVAILABLE, kind, part, said.to_string())
    }
}

async fn ping(desk: &Desk<'_>) -> Outcome {
    let answers = answers(desk, ("cache_ping_error", "cache_ping"))?;
    if let Some(far) = answers.far() {
        far.ping().await.map_err(failed("cache_ping_error", "cache_ping"))?;
    }
    let (entries, bytes) = answers.memory().room();
    Ok(json!({
        "status": "healthy",
        "cache_type": answers.place(),
        "ping_response": true,
        "set_cache_response": "success",
        "litellm_cache_params": "{}",
        "health_check_cache_params": "{}",
        "tollgate_entries": entries,
        "tollgate_bytes": bytes,
    }))
}

async fn delete(desk: &Desk<'_>) -> Outcome {
    let said = ("cache_delete_error", "cache_delete");
    let answers = answers(desk, said)?;
    let wrong = || Problem::Bad("keys", "expected a list of at most 10000 cache keys".to_owned());
    let keys = desk
        .body
        .get("keys")
        .and_then(Value::as_array)
        .filter(|keys| keys.len() <= KEYS_MAX)
        .ok_or_else(wrong)?;
    let keys: Vec<&str> = keys.iter().map(Value::as_str).collect::<Option<_>>().ok_or_else(wrong)?;
    // A text that is no key is nobody's, as one that is not kept.
    let known = keys.iter().filter_map(|key| Key::from_hex(key)).collect();
    let deleted = answers.forget(known).await.map_err(failed(said.0, said.1))?;
    tracing::info!(asked = keys.len(), deleted, "kept answers were deleted");
    Ok(json!({ "status": "success", "tollgate_deleted": deleted }))
}

async fn flush(desk: &Desk<'_>) -> Outcome {
    let said = ("cache_flushall_error", "cache_flushall");
    answers(desk, said)?.forget_all().await.map_err(failed(said.0, said.1))?;
    tracing::info!("all kept answers were deleted");
    Ok(json!({ "status": "success" }))
}
