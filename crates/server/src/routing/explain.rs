//! The candidate table of a choice, as JSON.
//!
//! Owns the words and figures that operators read. Leaves the decision to `policy` and the readings to the group.
//! **Invariant:** what is shown was read by the function that reads for requests.

use super::group::{Explained, Group};
use crate::target::Target;
use serde_json::{Map, Value, json};
use std::time::Duration;
use tollgate_policy::ask::Requirements;
use tollgate_policy::choice::{Reading, Reason, Row};
use tollgate_policy::clock::Moment;
use tollgate_policy::health::{Forced, Standing};
use tollgate_policy::limits::{Rates, Used};
use tollgate_policy::strategy::Unit;

/// What the catalogue counts prices in; shown to people, a float does.
const USD_PER_UNIT: f64 = 1e-24;

/// Seconds to the millisecond.
pub(crate) fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1_000.0).round() / 1_000.0
}

/// One word for where a deployment or a credential stands.
pub(crate) fn standing_word(standing: Standing) -> &'static str {
    match standing {
        Standing::Up => "up",
        Standing::HalfOpen => "half_open",
        Standing::Probing => "probing",
        Standing::Ejected { .. } => "ejected",
        Standing::Paused { .. } => "paused",
    }
}

/// One word for an operator's word.
pub(crate) fn forced_word(forced: Forced) -> &'static str {
    match forced {
        Forced::Up => "up",
        Forced::Down => "down",
        Forced::Draining => "draining",
    }
}

/// The operator's word of this name.
pub(crate) fn forced_named(word: &str) -> Option<Forced> {
    [Forced::Up, Forced::Down, Forced::Draining].into_iter().find(|forced| forced_word(*forced) == word)
}

/// How long that will last, in seconds, where it ends by itself.
pub(crate) fn standing_seconds(standing: Standing, now: Moment) -> Option<f64> {
    match standing {
        Standing::Ejected { until } | Standing::Paused { until } => Some(seconds(now.until(until))),
        Standing::Up | Standing::HalfOpen | Standing::Probing => None,
    }
}

/// The limits that a deployment has, with what of them is used in the last minute and what is left.
pub(crate) fn limits_json(rates: Rates, used: Used) -> Value {
    let mut limits = Map::new();
    let rows = [
        ("rpm", rates.rpm, used.requests),
        ("tpm", rates.tpm, used.tokens),
        ("max_parallel_requests", rates.parallel.map(u64::from), u64::from(used.in_flight)),
    ];
    for (name, limit, used) in rows {
        if let Some(limit) = limit {
            let left = limit.saturating_sub(used);
            limits.insert(name.to_owned(), json!({"limit": limit, "used": used, "left": left}));
        }
    }
    Value::Object(limits)
}

/// A row for each deployment of a group.
pub(crate) fn candidates(group: &Group, explained: &Explained, requirements: &Requirements) -> Vec<Value> {
    let now = group.clock().now();
    let rows = explained.table.rows.iter().zip(&explained.readings);
    let row = |(row, reading): (&Row, &Reading)| {
        let target = group.targets().get(row.position)?;
        Some(candidate(target, (row, reading), requirements, now))
    };
    rows.filter_map(row).collect()
}

fn candidate(
    target: &Target,
    (row, reading): (&Row, &Reading),
    requirements: &Requirements,
    now: Moment,
) -> Value {
    let is_price = row.unit == Some(Unit::Price);
    json!({
        "model_id": target.id,
        "provider": target.provider.name,
        "model": target.model,
        "eligible": row.passed.is_none(),
        "passed_over": row.passed.map(|reason| passed_over(reason, requirements, now)),
        "chosen": row.is_chosen,
        "score": row.score.map(|score| if is_price { score * USD_PER_UNIT } else { score }),
        "unit": row.unit.map(|unit| if is_price { "usd" } else { unit.word() }),
        "share": row.share,
        "order": target.profile.order,
        "standing": standing_word(reading.standing),
        "standing_seconds": standing_seconds(reading.standing, now),
        "credential": standing_word(reading.credential),
        "credential_seconds": standing_seconds(reading.credential, now),
        "forced": reading.forced.map(forced_word),
        "consecutive_failures": reading.consecutive_failures,
        "in_flight": reading.used.in_flight,
        "limits": limits_json(target.profile.rates, reading.used),
    })
}

fn passed_over(reason: Reason, requirements: &Requirements, now: Moment) -> Value {
    json!({"reason": reason.word(), "because": reason.sentence(requirements, now)})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_limits_that_are_set_are_shown_and_nothing_is_left_of_one_that_is_exceeded() {
        let used = Used { requests: 3, tokens: 900, in_flight: 2 };
        let check = |rates: Rates, expect: Value| assert_eq!(limits_json(rates, used), expect);
        check(Rates::default(), json!({}));
        check(
            Rates { rpm: Some(5), tpm: Some(500), parallel: Some(2) },
            json!({
                "rpm": {"limit": 5, "used": 3, "left": 2},
                "tpm": {"limit": 500, "used": 900, "left": 0},
                "max_parallel_requests": {"limit": 2, "used": 2, "left": 0},
            }),
        );
    }

    #[test]
    fn every_standing_has_its_word_and_those_that_end_their_seconds() {
        let now = Moment::from_micros(1_000_000);
        let until = Moment::from_micros(3_500_400);
        for (standing, word, left) in [
            (Standing::Up, "up", None),
            (Standing::HalfOpen, "half_open", None),
            (Standing::Probing, "probing", None),
            (Standing::Ejected { until }, "ejected", Some(2.5)),
            (Standing::Paused { until }, "paused", Some(2.5)),
        ] {
            assert_eq!((standing_word(standing), standing_seconds(standing, now)), (word, left));
        }
    }
}
