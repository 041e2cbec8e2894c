//! What a caller is told whose limit stands in the way, in LiteLLM's words.

use super::TollRules;
use super::headers::counted;
use crate::auth::Caller;
use crate::error::Rejection;
use std::time::Duration;
use tollgate_catalog::PicoDollars;
use tollgate_identity::{Scope, ScopeKind};
use tollgate_ledger::{Ledger, Refused};
use tollgate_policy::accounts::Reason;
use tollgate_policy::clock::Wall;

/// The refusal.
pub(super) fn reject(refused: &Refused, ledger: &Ledger, rules: &TollRules, caller: &Caller) -> Rejection {
    let times = ledger.clock().times();
    let scope = &refused.scope;
    match refused.refusal.reason {
        Reason::Budget { limit, settled, held, resets_at, .. } => {
            let cost = settled.saturating_add(held);
            let retry = resets_at.map(|at| times.wall.until(at));
            let message = budget_message(scope, caller, cost, limit);
            Rejection::budget_exceeded(rules.exceeded_status, message, retry)
        }
        Reason::Parallel { limit } => {
            let message = rate_message(scope, "max_parallel_requests", (u64::from(limit), 0), None);
            // A place may be free with the next reply.
            Rejection::limit_reached(message, "max_parallel_requests", Some((Duration::from_secs(1), None)))
        }
        Reason::Rate { rule, used, free_at } => {
            let kind = counted(rule.unit, rules.token_unit);
            let wait = free_at.map(|at| times.now.until(at));
            let resets = wait.map(|wait| after(times.wall, wait));
            let left = (rule.limit, rule.limit.saturating_sub(used));
            let message = rate_message(scope, kind, left, resets);
            Rejection::limit_reached(message, kind, wait.map(|wait| (wait, resets.map(spoken))))
        }
    }
}

fn after(wall: Wall, wait: Duration) -> Wall {
    let micros = i64::try_from(wait.as_micros()).unwrap_or(i64::MAX);
    Wall::from_micros(wall.micros().saturating_add(micros))
}

/// `2026-11-22 11:02:03 UTC`, rounded up to the second.
pub(crate) fn spoken(at: Wall) -> String {
    let up = Wall::from_micros(at.micros().saturating_add(999_999));
    let text = up.rfc3339();
    let (date, time) = text.split_once('T').unwrap_or((&text, ""));
    format!("{date} {} UTC", time.get(..8).unwrap_or_default())
}

fn rate_message(scope: &Scope, kind: &str, (limit, left): (u64, u64), resets: Option<Wall>) -> String {
    let name = scope.kind.descriptor(scope.model.is_some());
    let of_model = scope.model.as_ref().map(|model| format!(":{model}")).unwrap_or_default();
    let resets = match resets {
        Some(at) => format!(" Limit resets at: {}", spoken(at)),
        None if kind == "max_parallel_requests" => String::new(),
        None => " The request alone is larger than the limit.".to_owned(),
    };
    format!(
        "Rate limit exceeded for {name}: {}{of_model}. Limit type: {kind}. Current limit: {limit}, Remaining: {left}.{resets}",
        scope.id
    )
}

fn budget_message(scope: &Scope, caller: &Caller, cost: PicoDollars, limit: PicoDollars) -> String {
    let (cost, limit) = (cost.as_litellm_number(), limit.as_litellm_number());
    let id = &scope.id;
    let of_model = scope.model.as_ref().map(|model| format!(" Model={model}")).unwrap_or_default();
    let rest = format!("{of_model} Current cost: {cost}, Max budget: {limit}");
    match scope.kind {
        ScopeKind::Key => {
            let key = caller.holder().map(|holder| &holder.key);
            let alias = key.and_then(|key| key.alias()).unwrap_or("key");
            let name = key.and_then(|key| key.text("key_name")).unwrap_or_else(|| "sk-...".to_owned());
            format!("Budget has been exceeded! Key={alias} ({name}){rest}")
        }
        ScopeKind::User => {
            format!("ExceededBudget: User={id} over budget.{of_model} Spend={cost}, Budget={limit}")
        }
        ScopeKind::EndUser => {
            format!("ExceededBudget: End User={id} over budget.{of_model} Spend={cost}, Budget={limit}")
        }
        ScopeKind::Global => format!("Budget has been exceeded! Proxy{rest}"),
        kind => format!("Budget has been exceeded! {}={id}{rest}", title(kind)),
    }
}

/// How LiteLLM calls a scope in a sentence.
fn title(kind: ScopeKind) -> &'static str {
    match kind {
        ScopeKind::Team => "Team",
        ScopeKind::Member => "TeamMember",
        ScopeKind::OrganizationMember => "OrganizationMember",
        ScopeKind::Organization => "Organization",
        ScopeKind::Project => "Project",
        ScopeKind::Tag => "Tag",
        ScopeKind::Model => "Model",
        ScopeKind::Provider => "Provider",
        ScopeKind::Deployment => "Deployment",
        ScopeKind::AccessGroup => "AccessGroup",
        ScopeKind::Key => "Key",
        ScopeKind::User => "User",
        ScopeKind::EndUser => "End User",
        ScopeKind::Global => "Proxy",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_limit_is_told_in_litellms_words() {
        let at = Wall::from_rfc3339("2026-11-22T11:02:02.5Z");
        let key = Scope::new(ScopeKind::Key, "d093");
        assert_eq!(
            rate_message(&key, "requests", (2, 0), at),
            "Rate limit exceeded for api_key: d093. Limit type: requests. Current limit: 2, Remaining: 0. \
             Limit resets at: 2026-11-22 11:02:03 UTC"
        );
        assert!(
            rate_message(&key.with_model("gpt-4o"), "tokens", (1, 0), at)
                .starts_with("Rate limit exceeded for model_per_key: d093:gpt-4o. Limit type: tokens.")
        );
    }

    #[test]
    fn a_spent_budget_is_told_in_litellms_words() {
        let check = |kind: ScopeKind, wants: &str| {
            let scope = Scope::new(kind, "x");
            let told =
                budget_message(&scope, &Caller::default(), PicoDollars(75_000_000), PicoDollars(10_000_000));
            assert_eq!(told, wants);
        };
        check(
            ScopeKind::Key,
            "Budget has been exceeded! Key=key (sk-...) Current cost: 7.5e-05, Max budget: 1e-05",
        );
        check(ScopeKind::Team, "Budget has been exceeded! Team=x Current cost: 7.5e-05, Max budget: 1e-05");
        check(ScopeKind::User, "ExceededBudget: User=x over budget. Spend=7.5e-05, Budget=1e-05");
        check(ScopeKind::EndUser, "ExceededBudget: End User=x over budget. Spend=7.5e-05, Budget=1e-05");
    }
}
