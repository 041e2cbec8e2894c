//! What a reply says of limits and budgets: LiteLLM's headers, and what remains of the tightest budget.
//!
//! **Invariant:** a reply under no limit has none of them, and nothing is allocated for it.

use crate::auth::Caller;
use crate::reply::{header_number, header_text};
use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};
use tollgate_catalog::PicoDollars;
use tollgate_identity::{Record, Scope};
use tollgate_ledger::{Ledger, Touched};
use tollgate_policy::accounts::{Standing, Unit};
use tollgate_policy::clock::Wall;
use tollgate_policy::sliding::Length;

static KEY_RPM: HeaderName = HeaderName::from_static("x-litellm-key-rpm-limit");
static KEY_TPM: HeaderName = HeaderName::from_static("x-litellm-key-tpm-limit");
static KEY_BUDGET: HeaderName = HeaderName::from_static("x-litellm-key-max-budget");
static REMAINING: HeaderName = HeaderName::from_static("x-tollgate-budget-remaining");
static TIER: HeaderName = HeaderName::from_static("x-tollgate-budget-tier");
static SCOPE: HeaderName = HeaderName::from_static("x-tollgate-budget-scope");

/// What a reply says of a request that was let in; `before` is how its budgets stood then, `token_unit` what a `tpm_limit`
/// counts.
pub(super) fn of(
    ledger: &Ledger,
    accounts: &Touched,
    caller: &Caller,
    (before, token_unit): (&(Standing, Option<Scope>), Unit),
) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if let Some(holder) = caller.holder() {
        of_key(&holder.key, ledger.clock().wall(), &mut headers);
    }
    of_rates(ledger, accounts, token_unit, &mut headers);
    of_budget(before, &mut headers);
    headers
}

fn of_key(key: &Record, wall: Wall, headers: &mut HeaderMap) {
    let limits = &key.limits;
    for rule in limits.rates.iter().filter(|rule| rule.length == Length::MINUTE) {
        let name = match rule.unit {
            Unit::Requests => &KEY_RPM,
            Unit::Tokens => &KEY_TPM,
            // LiteLLM has neither.
            Unit::InputTokens | Unit::OutputTokens => continue,
        };
        headers.insert(name, header_number(rule.limit));
    }
    if let Some(budget) = limits.budget {
        // What is given for a while is part of it, as LiteLLM shows it.
        let more = limits
            .increase
            .as_ref()
            .filter(|more| wall < more.until)
            .map_or(PicoDollars::ZERO, |more| more.by);
        let budget = budget.saturating_add(more);
        headers.insert(&KEY_BUDGET, header_text(&budget.as_litellm_number()));
    }
}

/// What remains of the limits of these accounts alone.
pub(super) fn ratelimits(ledger: &Ledger, accounts: &Touched, token_unit: Unit) -> HeaderMap {
    let mut headers = HeaderMap::new();
    of_rates(ledger, accounts, token_unit, &mut headers);
    headers
}

fn of_rates(ledger: &Ledger, accounts: &Touched, token_unit: Unit, headers: &mut HeaderMap) {
    let now = ledger.clock().now();
    for (scope, rates) in ledger.accounts().rates(accounts, now) {
        let descriptor = scope.kind.descriptor(scope.model.is_some());
        for rate in rates.iter().filter(|rate| rate.rule.length == Length::MINUTE) {
            let (prefix, unit) = match counted(rate.rule.unit, token_unit) {
                "input_tokens" => ("x-tollgate-ratelimit", "input-tokens"),
                "output_tokens" => ("x-tollgate-ratelimit", "output-tokens"),
                litellms => ("x-ratelimit", litellms),
            };
            let mut put = |what: &str, number: u64| {
                let name = HeaderName::try_from(format!("{prefix}-{descriptor}-{what}-{unit}"));
                if let Ok(name) = name {
                    headers.insert(name, header_number(number));
                }
            };
            put("remaining", rate.remaining);
            put("limit", rate.rule.limit);
        }
    }
}

/// What a limit counts, in a word: LiteLLM's for those that LiteLLM has. `token_unit` is what a `tpm_limit` counts, and
/// LiteLLM says `tokens` of that, whatever it is.
pub(super) fn counted(unit: Unit, token_unit: Unit) -> &'static str {
    match unit {
        Unit::Requests => "requests",
        unit if unit == token_unit => "tokens",
        Unit::Tokens => "tokens",
        Unit::InputTokens => "input_tokens",
        Unit::OutputTokens => "output_tokens",
    }
}

fn of_budget((standing, scope): &(Standing, Option<Scope>), headers: &mut HeaderMap) {
    let (Some(tightest), Some(scope)) = (standing.tightest, scope) else { return };
    headers.insert(&REMAINING, dollars(tightest.remaining));
    headers.insert(&TIER, HeaderValue::from_static(standing.tier.word()));
    headers.insert(&SCOPE, header_text(scope.kind.word()));
}

fn dollars(amount: PicoDollars) -> HeaderValue {
    header_text(&amount.as_litellm_number())
}
