//! The numbers of a grant: budgets, rates, places, and how long it is valid.
//!
//! Two limits over different stretches of time are compared where the child's stretch is the shorter one: $40 a day is
//! within $50 a month, $60 a day is not, and $100 a month is not compared with $5 a day, of which it may be the smaller
//! part. **Invariant:** a child that passes here is still held to its parents' accounts when it spends.

use crate::limits::{Limits, Window};
use crate::record::Record;
use std::collections::BTreeMap;
use std::time::Duration;
use tollgate_catalog::PicoDollars;
use tollgate_policy::accounts::Unit;
use tollgate_policy::period::Cadence;

/// A member of the child, and what the parent has of it.
type Excess = (String, String);

/// A month of the Gregorian calendar on average, to the second: 146,097 days in 4,800 months.
const MONTH: Duration = Duration::from_secs(2_629_746);

/// Whether the child's numbers are within the parent's. `must_say`: the child has a limit wherever the parent has one.
pub(super) fn within(child: &Record, parent: &Record, must_say: bool) -> Result<(), Excess> {
    let (own, theirs) = (&child.limits, &parent.limits);
    budgets(own, theirs, must_say)?;
    model_budgets(own, theirs, must_say)?;
    rates(own, theirs, must_say)?;
    let maps = [
        ("model_rpm_limit", &own.models.requests, &theirs.models.requests),
        ("model_tpm_limit", &own.models.tokens, &theirs.models.tokens),
        ("model_itpm_limit", &own.models.input_tokens, &theirs.models.input_tokens),
        ("model_otpm_limit", &own.models.output_tokens, &theirs.models.output_tokens),
    ];
    for (member, own, theirs) in maps {
        counts(member, own, theirs, must_say)?;
    }
    if let Some(most) = theirs.parallel
        && own.parallel.map_or(must_say, |own| own > most)
    {
        return Err(("max_parallel_requests".to_owned(), most.to_string()));
    }
    if let Some(end) = parent.expires
        && child.expires.map_or(must_say, |own| own > end)
    {
        return Err(("expires".to_owned(), end.rfc3339()));
    }
    Ok(())
}

/// A limit of money, with the member that says it.
struct Purse<'a> {
    member: &'a str,
    window: Window,
}

/// The budgets of a record. A temporary increase counts for the child, and not for the parent.
fn purses(limits: &Limits, with_increase: bool) -> impl Iterator<Item = Purse<'_>> {
    let more =
        limits.increase.as_ref().filter(|_| with_increase).map_or(PicoDollars::ZERO, |increase| increase.by);
    let main = limits.budget.map(|limit| Purse {
        member: "max_budget",
        window: Window { cadence: limits.cadence, limit: limit.saturating_add(more) },
    });
    let windows = limits.windows.iter().map(|window| Purse { member: "budget_limits", window: *window });
    main.into_iter().chain(windows)
}

fn budgets(own: &Limits, theirs: &Limits, must_say: bool) -> Result<(), Excess> {
    for parent in purses(theirs, false) {
        let excess = |member: &str| (member.to_owned(), window_text(parent.window));
        let mut is_held = false;
        for child in purses(own, true) {
            if is_more(child.window, parent.window) {
                return Err(excess(child.member));
            }
            is_held |= length(child.window.cadence) >= length(parent.window.cadence)
                && child.window.limit <= parent.window.limit;
        }
        if must_say && !is_held {
            return Err(excess(parent.member));
        }
    }
    Ok(())
}

fn model_budgets(own: &Limits, theirs: &Limits, must_say: bool) -> Result<(), Excess> {
    for (model, parent) in &theirs.models.budgets {
        let child = own.models.budgets.get(model);
        if child.map_or(must_say, |child| is_more(*child, *parent)) {
            return Err((format!("model_max_budget.{model}"), window_text(*parent)));
        }
    }
    Ok(())
}

fn rates(own: &Limits, theirs: &Limits, must_say: bool) -> Result<(), Excess> {
    for parent in &theirs.rates {
        let stretch = parent.length.duration();
        let mut is_held = false;
        for child in own.rates.iter().filter(|child| child.unit == parent.unit) {
            if child.limit > parent.limit && child.length.duration() <= stretch {
                return Err((rate_member(child.unit, child.length.duration()), parent.limit.to_string()));
            }
            is_held |= child.limit <= parent.limit && child.length.duration() >= stretch;
        }
        if must_say && !is_held {
            return Err((rate_member(parent.unit, stretch), parent.limit.to_string()));
        }
    }
    Ok(())
}

fn counts(
    member: &str,
    own: &BTreeMap<Box<str>, u64>,
    theirs: &BTreeMap<Box<str>, u64>,
    must_say: bool,
) -> Result<(), Excess> {
    for (model, most) in theirs {
        if own.get(model).map_or(must_say, |own| own > most) {
            return Err((format!("{member}.{model}"), most.to_string()));
        }
    }
    Ok(())
}

/// Whether so much in so long is certainly more than the other.
fn is_more(child: Window, parent: Window) -> bool {
    child.limit > parent.limit && length(child.cadence) <= length(parent.cadence)
}

fn length(cadence: Option<Cadence>) -> Duration {
    match cadence {
        None => Duration::MAX,
        Some(Cadence::Months(count)) => MONTH.saturating_mul(count),
        // LiteLLM's 30 days are a month of the calendar.
        Some(Cadence::Days(30)) => MONTH,
        Some(cadence) => cadence.seconds().unwrap_or(Duration::MAX),
    }
}

fn window_text(window: Window) -> String {
    let limit = window.limit.as_litellm_number();
    window.cadence.map_or(limit.clone(), |cadence| format!("{limit} in {cadence:?}"))
}

fn rate_member(unit: Unit, stretch: Duration) -> String {
    let name = match (unit, stretch.as_secs()) {
        (Unit::Requests, 60) => "rpm_limit",
        (Unit::Tokens, 60) => "tpm_limit",
        (Unit::Requests, 86_400) => "rpd_limit",
        (Unit::Tokens, 86_400) => "tpd_limit",
        _ => "tollgate_rate_limits",
    };
    name.to_owned()
}
