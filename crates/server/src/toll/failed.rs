//! The row of a request that its caller got no answer to, and that no attempt stands for.
//!
//! Owns which failures are written down: those of callers that were let in by their key, whoever stood in the way then.
//! Whoever was not let in leaves no row.
//!
//! **Invariant:** such a row costs nothing and is in no account. **Invariant:** a request that fails has one row at least,
//! and no more beside those of its attempts.

use super::headers::counted;
use super::row::Facts;
use crate::error::Rejection;
use crate::pipeline::Call;
use crate::routing::Wish;
use serde_json::{Map, Value, json};
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use tollgate_identity::{ScopeKind, dollars};
use tollgate_ledger::{Ledger, Refused};
use tollgate_policy::accounts::{Reason, Unit};
use tollgate_store::books::{SpendRow, Status};

/// Rows that wait for the books from which on failures are not written down any more: they must not stand in the way of
/// what costs money.
const BACKLOG_MAX: usize = 10_000;

/// What a row says of a failure beside its words, in LiteLLM's order.
const OF_FAILURES: [&str; 7] = [
    "error_budget_limit",
    "error_budget_spend",
    "error_rate_limit_type",
    "error_budget_entity_id",
    "error_budget_entity_type",
    "error_provider_request_id",
    "error_rate_limit_category",
];

/// Writes down that a request failed, unless an attempt of it is booked, or its refusal was written down.
pub(crate) fn note(ledger: &Ledger, call: &Call, rejection: &Rejection) {
    if ledger.backlog() >= BACKLOG_MAX {
        return;
    }
    if let Some(toll) = call.toll.get() {
        if toll.rows.load(Ordering::Relaxed) == 0 {
            let stood = toll.stood.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let more = if rejection.is_of_limits() { stood } else { Map::new() };
            write(ledger, call, &toll.facts, (rejection, more));
        }
        return;
    }
    if call.caller.holder().is_none() || rejection.is_of_limits() {
        return;
    }
    let group = call.group.get().map(|group| group.name()).unwrap_or_default();
    write(ledger, call, &Facts::of(call, &Wish::default(), group), (rejection, Map::new()));
}

/// Writes down that a limit or a budget stood in the way.
pub(super) fn note_refused(
    ledger: &Ledger,
    call: &Call,
    facts: &Facts,
    (refused, token_unit, rejection): (&Refused, Unit, &Rejection),
) {
    if ledger.backlog() < BACKLOG_MAX {
        write(ledger, call, facts, (rejection, of_limit(refused, token_unit)));
    }
}

/// What LiteLLM says of a limit that stood in the way.
pub(super) fn of_limit(refused: &Refused, token_unit: Unit) -> Map<String, Value> {
    let mut written = Map::new();
    let mut put = |name: &str, value: Value| {
        written.insert(name.to_owned(), value);
    };
    let scope = &refused.scope;
    match refused.refusal.reason {
        Reason::Budget { limit, settled, held, .. } => {
            let kind = match scope.kind {
                ScopeKind::EndUser => "end_user",
                kind => kind.word(),
            };
            put("error_budget_limit", dollars(limit));
            put("error_budget_spend", dollars(settled.saturating_add(held)));
            put("error_rate_limit_type", json!("budget"));
            put("error_budget_entity_id", json!(&*scope.id));
            put("error_budget_entity_type", json!(kind));
        }
        Reason::Parallel { .. } => put("error_rate_limit_type", json!("max_parallel_requests")),
        Reason::Rate { rule, .. } => {
            put("error_rate_limit_type", json!(counted(rule.unit, token_unit)));
        }
    }
    put("error_rate_limit_category", json!("litellm_rate_limit"));
    written
}

/// What LiteLLM calls the exception of a status.
fn class(rejection: &Rejection) -> &'static str {
    match (rejection.kind(), rejection.status().as_u16()) {
        ("budget_exceeded", _) => "BudgetExceededError",
        (kind, _) if kind.ends_with("model_access_denied") => "ModelAccessDeniedProxyException",
        (_, 400) => "BadRequestError",
        (_, 401) => "AuthenticationError",
        (_, 403) => "PermissionDeniedError",
        (_, 404) => "NotFoundError",
        (_, 408 | 504) => "Timeout",
        (_, 429) => "RateLimitError",
        (_, 503) => "ServiceUnavailableError",
        _ => "APIError",
    }
}

/// LiteLLM's code by which its pages gather failures whose words differ.
fn normalized(rejection: &Rejection) -> &'static str {
    let says = |words: &str| rejection.message().contains(words);
    match (rejection.kind(), rejection.status().as_u16()) {
        ("budget_exceeded", _) => "429_BUDGET_EXCEEDED",
        ("auth_error" | "expired_key" | "token_not_found_in_db", _) => "401_AUTHENTICATION_FAILED",
        ("not_found_error", _) => "404_RESOURCE_NOT_FOUND",
        (kind, _) if kind.ends_with("model_access_denied") => "403_MODEL_ACCESS_DENIED",
        (_, 400) if says("ContextWindowExceededError") => "400_CONTEXT_WINDOW_EXCEEDED",
        (_, 400) if says("ContentPolicyViolationError") => "400_CONTENT_POLICY_VIOLATION",
        (_, 400 | 413) => "400_INVALID_REQUEST",
        (_, 401) => "401_AUTHENTICATION_FAILED",
        (_, 403) => "403_PERMISSION_DENIED",
        (_, 404) => "404_RESOURCE_NOT_FOUND",
        (_, 408 | 504) => "408_UPSTREAM_TIMEOUT",
        (_, 422) => "400_INVALID_PARAMETER_VALUE",
        (_, 429) if says("No deployments available") => "429_NO_HEALTHY_DEPLOYMENTS",
        (_, 429) => "429_RATE_LIMIT_EXCEEDED",
        (_, 500) if says("Connection error") => "500_PROVIDER_CONNECTION_ERROR",
        (_, 500 | 502) => "500_PROVIDER_INTERNAL_ERROR",
        (_, 503) => "503_PROVIDER_OVERLOADED",
        _ => "UNCLASSIFIED",
    }
}

fn write(ledger: &Ledger, call: &Call, facts: &Facts, (rejection, more): (&Rejection, Map<String, Value>)) {
    let status = rejection.status().as_u16();
    let mut error = Map::new();
    for (name, value) in [
        ("traceback", json!("")),
        ("error_code", json!(status.to_string())),
        ("error_class", json!(class(rejection))),
        ("llm_provider", json!("")),
        ("error_message", json!(rejection.message())),
        ("normalized_error", json!(normalized(rejection))),
    ] {
        error.insert(name.to_owned(), value);
    }
    // Every member is there, also of a failure that it says nothing of.
    for name in OF_FAILURES {
        let id = || rejection.provider_request_id().map(Value::from);
        let value = if name == "error_provider_request_id" { id() } else { more.get(name).cloned() };
        error.insert(name.to_owned(), value.unwrap_or_default());
    }
    let ended_at = ledger.clock().wall().micros();
    let took = i64::try_from(call.started.elapsed().as_micros()).unwrap_or(0);
    let row = SpendRow {
        attempt_id: crate::chance::ordered(ended_at),
        started_at: ended_at.saturating_sub(took),
        ended_at,
        status: Status::Failure,
        status_code: status,
        metadata: facts.metadata(&[("error_information", &Value::Object(error).to_string())]),
        ..facts.unsent()
    };
    ledger.settled(&row);
}
