//! `/health/override`: an operator forces a deployment up, down or draining, for a time, or lets it begin anew.
//!
//! Owns the question and the answer. Leaves what it means to `policy::health`, who is affected to the fleet, and how it
//! outlives the process to `routing::words`.
//! **Invariant:** no word of an operator's holds for ever: each has its end, a week away at most. **Invariant:** it holds
//! at once, whatever the database does.

use crate::error::Rejection;
use crate::routing::{EXPIRY_MAX, Word, forced_named, forced_word};
use crate::snapshot::Snapshot;
use crate::worker::Worker;
use serde_json::{Map, Value, json};
use std::time::Duration;
use tollgate_policy::health::Forced;

/// The path in errors.
const PATH: &str = "/health/override";
/// How long a word holds that does not say.
const EXPIRY_DEFAULT: Duration = Duration::from_secs(3_600);

/// What an operator wants of a deployment.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Wanted {
    /// To force it.
    Forced(Forced),
    /// To take an earlier word back.
    Auto,
    /// To forget, once, what speaks against it.
    Reset,
}

/// What an operator wants.
#[derive(Debug, PartialEq)]
struct Order {
    id: String,
    wanted: Wanted,
    expires_in: Duration,
}

impl Order {
    fn read(body: &[u8]) -> Result<Self, Rejection> {
        let invalid = |name: &str, reason: &str| Rejection::invalid(PATH, name, reason);
        let members: Map<String, Value> =
            serde_json::from_slice(body).map_err(|_| Rejection::bad_json("expected an object"))?;
        let (mut id, mut state, mut expires_in) = (None, None, EXPIRY_DEFAULT);
        for (name, value) in &members {
            match name.as_str() {
                "model_id" | "deployment" => {
                    let text = value.as_str().ok_or_else(|| invalid(name, "expected a deployment's id"))?;
                    id = Some(text.to_owned());
                }
                "state" => {
                    let found = read_state(value).ok_or_else(|| {
                        invalid(
                            name,
                            "expected \"up\", \"down\", \"draining\", \"auto\" to take it back, or \"reset\" to end \
                             its pause and ejection",
                        )
                    })?;
                    state = Some(found);
                }
                "expires_in" if value.is_null() => {}
                "expires_in" => {
                    expires_in = read_expiry(value).ok_or_else(|| {
                        invalid(name, "expected seconds or a text such as \"10m\", at most \"7d\"")
                    })?;
                }
                // A misspelt expiry must not become an hour.
                _ => return Err(invalid(name, "not a member of this request")),
            }
        }
        let id = id.ok_or_else(|| Rejection::missing(PATH, "model_id"))?;
        let wanted = state.ok_or_else(|| Rejection::missing(PATH, "state"))?;
        Ok(Self { id, wanted, expires_in })
    }
}

fn read_state(value: &Value) -> Option<Wanted> {
    match value.as_str() {
        Some("auto") => Some(Wanted::Auto),
        Some("reset") => Some(Wanted::Reset),
        Some(word) => forced_named(word).map(Wanted::Forced),
        None => value.is_null().then_some(Wanted::Auto),
    }
}

/// Seconds, or a number with its unit.
fn read_expiry(value: &Value) -> Option<Duration> {
    let seconds = match value {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => {
            let digits = text.trim_end_matches(['s', 'm', 'h', 'd']);
            let unit = match text.get(digits.len()..)? {
                "" | "s" => 1.0,
                "m" => 60.0,
                "h" => 3_600.0,
                "d" => 86_400.0,
                _ => return None,
            };
            digits.parse::<f64>().ok()? * unit
        }
        _ => return None,
    };
    let span = Duration::try_from_secs_f64(seconds).ok()?;
    (!span.is_zero() && span <= EXPIRY_MAX).then_some(span)
}

/// Answers `POST /health/override`.
pub(in crate::info) async fn set(
    worker: &Worker,
    snapshot: &Snapshot,
    body: &[u8],
) -> Result<Value, Rejection> {
    let Order { id, wanted, expires_in } = Order::read(body)?;
    if !snapshot.config().deployments.iter().any(|deployment| deployment.id == id) {
        return Err(Rejection::no_such_deployment(&id));
    }
    let forced = match wanted {
        Wanted::Forced(forced) => Some(forced),
        Wanted::Auto => None,
        Wanted::Reset => {
            tracing::warn!(deployment = %id, state = "reset", "an operator lets a deployment begin anew");
            worker.gateway.fleet().reset(&id);
            // It is done, and nothing of it is kept.
            return Ok(row(&id, "reset", None));
        }
    };
    let state = forced.map_or("auto", forced_word);
    let seconds = forced.map(|_| expires_in.as_secs_f64());
    tracing::warn!(deployment = %id, state, seconds, "an operator's word on a deployment");
    let word = forced.map(|forced| Word { forced, left: expires_in });
    let is_kept = worker.gateway.speak(&id, word).await;
    let mut row = row(&id, state, forced.map(|_| expires_in));
    if let Some(row) = row.as_object_mut() {
        row.insert("is_kept".to_owned(), json!(is_kept));
    }
    Ok(row)
}

/// Answers `GET /health/override`.
pub(in crate::info) fn list(worker: &Worker) -> Value {
    let fleet = worker.gateway.fleet();
    let now = fleet.clock().now();
    let rows: Vec<Value> = fleet
        .forced()
        .iter()
        .map(|(id, forced, until)| row(id, forced_word(*forced), Some(now.until(*until))))
        .collect();
    json!({ "overrides": rows })
}

fn row(id: &str, state: &str, left: Option<Duration>) -> Value {
    let left = left.map(|left| left.as_secs() + u64::from(left.subsec_nanos() > 0));
    json!({"model_id": id, "state": state, "expires_in_seconds": left})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_read_or_refused_by_the_name_of_what_is_wrong() {
        let check = |body: &str, expect: Result<(Wanted, u64), &str>| {
            let read = Order::read(body.as_bytes());
            match (&read, expect) {
                (Ok(order), Ok((wanted, seconds))) => {
                    let found = (order.id.as_str(), order.wanted, order.expires_in);
                    assert_eq!(found, ("a", wanted, Duration::from_secs(seconds)), "{body}");
                }
                (Err(rejection), Err(part)) => assert!(rejection.message().contains(part), "{body}"),
                _ => panic!("{body}: {read:?}"),
            }
        };
        check(r#"{"model_id":"a","state":"down"}"#, Ok((Wanted::Forced(Forced::Down), 3_600)));
        check(r#"{"deployment":"a","state":"up","expires_in":90}"#, Ok((Wanted::Forced(Forced::Up), 90)));
        check(
            r#"{"model_id":"a","state":"draining","expires_in":"10m"}"#,
            Ok((Wanted::Forced(Forced::Draining), 600)),
        );
        check(
            r#"{"model_id":"a","state":"up","expires_in":"7d"}"#,
            Ok((Wanted::Forced(Forced::Up), 604_800)),
        );
        check(r#"{"model_id":"a","state":"up","expires_in":"45"}"#, Ok((Wanted::Forced(Forced::Up), 45)));
        check(r#"{"model_id":"a","state":"auto"}"#, Ok((Wanted::Auto, 3_600)));
        check(r#"{"model_id":"a","state":null,"expires_in":null}"#, Ok((Wanted::Auto, 3_600)));
        for expiry in
            ["0", "-1", "604801", "\"8d\"", "\"soon\"", "\"\"", "\"1m1m\"", "\"1ms\"", "true", "1e400"]
        {
            let body = format!(r#"{{"model_id":"a","state":"up","expires_in":{expiry}}}"#);
            let found = Order::read(body.as_bytes()).unwrap_err();
            assert!(found.message().contains("expires_in") || expiry == "1e400", "{expiry}: {found:?}");
        }
        check(r#"{"model_id":"a"}"#, Err("'state'"));
        check(r#"{"state":"up"}"#, Err("'model_id'"));
        check(r#"{"model_id":7,"state":"up"}"#, Err("'model_id'"));
        check(r#"{"model_id":"a","state":"reset"}"#, Ok((Wanted::Reset, 3_600)));
        check(r#"{"model_id":"a","state":"off"}"#, Err("'state'"));
        check(r#"{"model_id":"a","state":"off"}"#, Err("\"reset\""));
        check(r#"{"model_id":"a","state":false}"#, Err("'state'"));
        check(r#"{"model_id":"a","state":"up","expires":"1m"}"#, Err("'expires'"));
        check("[]", Err("expected an object"));
    }
}
