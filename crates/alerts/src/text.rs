//! Words for people: amounts, times, and texts of strangers made harmless.
//!
//! Owns: how a value is written in a message. Leaves to others: what each channel's markup means.
//!
//! **Invariant:** what a caller has named (an alias, a model) can neither end a line nor reach beyond its place.

use crate::alert::{Alert, Period};
use jiff::Timestamp;
use serde_json::Value;
use tollgate_catalog::PicoDollars;

/// Most characters of one value in a message.
const VALUE_MAX: usize = 300;
/// Most characters of a list of amounts; channels that take less cut it shorter.
const LIST_MAX: usize = 4_000;

/// An amount in dollars: exact, with two decimals at least.
pub(crate) fn dollars(amount: PicoDollars) -> String {
    let exact = amount.to_string();
    let (sign, exact) = exact.strip_prefix('-').map_or(("", exact.as_str()), |rest| ("-", rest));
    let (whole, fraction) = exact.split_once('.').unwrap_or((exact, ""));
    format!("{sign}${whole}.{fraction:0<2}")
}

/// A moment as RFC 3339 has it, in whole seconds; empty for one that is none.
pub(crate) fn moment(micros: i64) -> String {
    Timestamp::from_second(micros.div_euclid(1_000_000)).map_or_else(|_| String::new(), |at| at.to_string())
}

fn day(micros: i64) -> String {
    moment(micros).split('T').next().unwrap_or_default().to_owned()
}

/// ` from 2026-11-01 to 2026-12-01`, or nothing for a budget that is for ever.
pub(crate) fn cadence(period: Option<Period>) -> String {
    match period {
        Some(Period { start, end: Some(end) }) if day(start) == day(end) => {
            format!(" from {} to {}", moment(start), moment(end))
        }
        Some(Period { start, end: Some(end) }) => format!(" from {} to {}", day(start), day(end)),
        _ => String::new(),
    }
}

/// Without control characters, and without those that turn the direction of what follows.
pub(crate) fn clean(text: &str) -> String {
    let is_odd = |it: char| {
        it.is_control()
            || matches!(it, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|it| if is_odd(it) { ' ' } else { it }).collect()
}

/// At most so many characters, the last an ellipsis where there were more.
pub(crate) fn clip(text: &str, characters_max: usize) -> String {
    match text.char_indices().nth(characters_max) {
        None => text.to_owned(),
        Some(_) => text.chars().take(characters_max.saturating_sub(1)).chain(['\u{2026}']).collect(),
    }
}

/// What stands beside the sentence: names and values for people.
pub(crate) fn rows(alert: &Alert) -> Vec<(String, String)> {
    let mut rows: Vec<(String, String)> = Vec::new();
    let mut lists: Vec<(String, String)> = Vec::new();
    let mut put = |name: &str, value: String| {
        if !value.is_empty() {
            rows.push((name.to_owned(), clip(&clean(&value), VALUE_MAX)));
        }
    };
    if let Some(scope) = &alert.scope {
        put("scope", format!("{} {}", scope.kind.word(), scope.id));
        put("alias", scope.alias.clone().unwrap_or_default());
        put("model", scope.model.clone().unwrap_or_default());
        put(
            "team",
            scope.belongs.team_alias.clone().or_else(|| scope.belongs.team_id.clone()).unwrap_or_default(),
        );
        put(
            "user",
            scope.belongs.user_email.clone().or_else(|| scope.belongs.user_id.clone()).unwrap_or_default(),
        );
    }
    let amounts = [
        ("spend", alert.amounts.spend),
        ("budget", alert.amounts.budget),
        ("soft budget", alert.amounts.soft_budget),
        ("projected spend", alert.amounts.projected_spend),
    ];
    put("threshold", alert.threshold.map(super::alert::Threshold::percent).unwrap_or_default());
    for (name, amount) in amounts {
        put(name, amount.map(dollars).unwrap_or_default());
    }
    put("period", cadence(alert.period).trim_start().to_owned());
    for (name, value) in &alert.facts {
        match value {
            Value::String(text) => put(name, text.clone()),
            Value::Null => {}
            Value::Array(items) if items.iter().all(Value::is_object) => {
                lists.push((name.clone(), clip(&clean(&listed(items)), LIST_MAX)));
            }
            other => put(name, other.to_string()),
        }
    }
    rows.extend(lists.into_iter().filter(|(_, list)| !list.is_empty()));
    rows
}

/// `research $12.50, ops $3.00`: what each has spent, by its name.
fn listed(items: &[Value]) -> String {
    let one = |item: &Value| {
        let text = |name: &str| item[name].as_str().filter(|text| !text.is_empty());
        let name = text("team_alias").or_else(|| text("team_id")).or_else(|| text("tag")).unwrap_or("(none)");
        let spend = text("spend").and_then(|spend| PicoDollars::parse_dollars(spend).ok())?;
        Some(format!("{name} {}", dollars(spend)))
    };
    items.iter().filter_map(one).collect::<Vec<_>>().join(", ")
}

/// With a backslash before what Markdown takes as markup.
pub(crate) fn escape_markdown(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for it in text.chars() {
        if matches!(it, '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '~' | '|' | '#') {
            escaped.push('\\');
        }
        escaped.push(it);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::{Event, Scope, ScopeKind, Severity};

    #[test]
    fn amounts_are_exact_with_two_decimals_at_least() {
        let check = |picodollars: i128, expect: &str| assert_eq!(dollars(PicoDollars(picodollars)), expect);
        check(0, "$0.00");
        check(7_500_000_000_000, "$7.50");
        check(10_000_000_000_000, "$10.00");
        check(1, "$0.000000000001");
        check(-1_250_000_000_000, "-$1.25");
        check(123_456_789_012_345_678, "$123456.789012345678");
    }

    #[test]
    fn periods_are_days_or_moments() {
        let check = |start: i64, end: Option<i64>, expect: &str| {
            assert_eq!(
                cadence(Some(Period { start: start * 1_000_000, end: end.map(|end| end * 1_000_000) })),
                expect
            );
        };
        check(1_764_547_200, Some(1_767_225_600), " from 2025-12-01 to 2026-01-01");
        check(1_764_547_200, Some(1_764_547_260), " from 2025-12-01T00:00:00Z to 2025-12-01T00:01:00Z");
        check(1_764_547_200, None, "");
        assert_eq!(cadence(None), "");
        assert_eq!(moment(i64::MAX), "");
    }

    #[test]
    fn texts_of_strangers_stay_in_their_place() {
        assert_eq!(clean("a\r\nb\u{0}c\u{202e}d"), "a  b c d");
        assert_eq!(clip("abcdef", 6), "abcdef");
        assert_eq!(clip("abcdefg", 6), "abcde\u{2026}");
        assert_eq!(clip("\u{e4}\u{f6}\u{fc}", 2), "\u{e4}\u{2026}");
        assert_eq!(escape_markdown("[x](y) *b* @here"), "\\[x\\](y) \\*b\\* @here");
    }

    #[test]
    fn rows_leave_out_what_is_not_there() {
        let alert =
            Alert::new(Event::Outage, Severity::Error, "m", "All out.").fact("model_group", "m").fact("n", 3);
        let alert = alert.fact("none", Value::Null);
        let row = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(rows(&alert), [row("model_group", "m"), row("n", "3")]);
        let scoped = alert.scope(Scope::new(ScopeKind::Team, "t1").alias("research"));
        assert_eq!(rows(&scoped)[..2], [row("scope", "team t1"), row("alias", "research")]);
    }
}
