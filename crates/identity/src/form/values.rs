//! Values of members, made what their rows want.
//!
//! **Invariant:** what is said of a wrong value never repeats it: it may be a secret in the wrong place.

use super::row::Want;
use super::{BadForm, TEXT_LETTERS_MAX};
use crate::document::{count, money};
use serde_json::{Map, Value};
use std::collections::HashSet;
use tollgate_policy::clock::Wall;
use tollgate_policy::period::Cadence;

/// Items of a list and members of an object, at most.
pub(crate) const ITEMS_MAX: usize = 10_000;
/// Letters of a text that may have lines, at most.
const LINES_LETTERS_MAX: usize = 100_000;

/// Makes a value what its row wants; null stays null.
pub(super) fn normal(want: Want, member: &str, value: &Value) -> Result<Value, BadForm> {
    let wrong = || BadForm::wrong(member, format!("is wrong: it is {}", article(&want.phrase())));
    // LiteLLM's page sends an empty field as an empty text.
    let is_blank = value.as_str().is_some_and(|text| text.trim().is_empty());
    if value.is_null() || (is_blank && want != Want::Any) {
        return Ok(Value::Null);
    }
    match want {
        Want::Text => text(value, TEXT_LETTERS_MAX, false).ok_or_else(wrong),
        Want::Lines => text(value, LINES_LETTERS_MAX, true).ok_or_else(wrong),
        Want::Texts => texts(value).ok_or_else(wrong),
        Want::Money => money(member, &number(value)).map(|_| number(value)).map_err(|_| wrong()),
        Want::Count => count(member, &number(value)).map(Value::from).map_err(|_| wrong()),
        Want::Flag => flag(value).map(Value::Bool).ok_or_else(wrong),
        Want::Cadence => cadence(value).map(Value::String).ok_or_else(wrong),
        Want::Lifetime if value.as_str() == Some("-1") || value.as_i64() == Some(-1) => Ok(Value::from("-1")),
        Want::Lifetime => cadence(value).map(Value::String).ok_or_else(wrong),
        Want::Time => time(value).ok_or_else(wrong),
        Want::Object => object(value).map(|map| Value::Object(map.clone())).ok_or_else(wrong),
        Want::Names => names(value).ok_or_else(wrong),
        Want::Counts => counts(member, value).ok_or_else(wrong),
        Want::Windows => windows(member, value),
        Want::ModelBudgets => model_budgets(member, value),
        Want::Words(words) => {
            let word = value.as_str().filter(|word| words.contains(word));
            word.map(Value::from).ok_or_else(wrong)
        }
        Want::Objects => objects(value).ok_or_else(wrong),
        Want::Any => Ok(value.clone()),
    }
}

/// Whether a value says nothing: null, nothing in it, no.
pub(super) fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Bool(true) | Value::Number(_) => false,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.values().all(is_empty),
    }
}

/// Whether two values say the same: 2 and 2.0 do.
pub(super) fn is_same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one == other || one.as_f64() == other.as_f64(),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| is_same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            let has =
                |(name, one): (&String, &Value)| other.get(name).is_some_and(|other| is_same(one, other));
            one.len() == other.len() && one.iter().all(has)
        }
        _ => one == other,
    }
}

/// A phrase with its article.
fn article(phrase: &str) -> String {
    match phrase {
        _ if phrase.starts_with("one of") || phrase.starts_with("true") || phrase.starts_with("any") => {
            phrase.to_owned()
        }
        _ if phrase.starts_with(['a', 'o']) => format!("an {phrase}"),
        _ => format!("a {phrase}"),
    }
}

/// A number, also where it was written as a text: forms on pages send texts.
fn number(value: &Value) -> Value {
    let read = |text: &str| {
        let digits = text.trim();
        let is_number = digits.starts_with(|first: char| first.is_ascii_digit() || first == '.');
        is_number.then(|| serde_json::from_str::<Value>(digits).ok()).flatten()
    };
    value.as_str().and_then(read).filter(Value::is_number).unwrap_or_else(|| value.clone())
}

fn text(value: &Value, letters_max: usize, may_have_lines: bool) -> Option<Value> {
    let text = value.as_str()?;
    let is_fit =
        |letter: char| !letter.is_control() || (may_have_lines && matches!(letter, '\n' | '\r' | '\t'));
    (text.chars().count() <= letters_max && text.chars().all(is_fit)).then(|| Value::from(text))
}

fn texts(value: &Value) -> Option<Value> {
    let items = value.as_array().filter(|items| items.len() <= ITEMS_MAX)?;
    let mut seen = HashSet::new();
    let mut kept = Vec::with_capacity(items.len());
    for item in items {
        let item = text(item, TEXT_LETTERS_MAX, false)?;
        if seen.insert(item.as_str().map(str::to_owned)) {
            kept.push(item);
        }
    }
    Some(Value::Array(kept))
}

fn flag(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(flag) => Some(*flag),
        Value::String(text) if text.eq_ignore_ascii_case("true") => Some(true),
        Value::String(text) if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

fn cadence(value: &Value) -> Option<String> {
    let text = value.as_str()?.trim();
    Cadence::parse(text).ok().map(|_| text.to_owned())
}

fn time(value: &Value) -> Option<Value> {
    let text = value.as_str()?.trim();
    // A day alone is its midnight.
    let wall = Wall::from_rfc3339(text).or_else(|| Wall::from_rfc3339(&format!("{text}T00:00:00Z")))?;
    Some(Value::from(wall.rfc3339()))
}

fn object(value: &Value) -> Option<&Map<String, Value>> {
    value.as_object().filter(|members| members.len() <= ITEMS_MAX)
}

fn names(value: &Value) -> Option<Value> {
    let rows = object(value)?;
    let row = |(name, value): (&String, &Value)| Some((name.clone(), text(value, TEXT_LETTERS_MAX, false)?));
    rows.iter().map(row).collect::<Option<Map<_, _>>>().map(Value::Object)
}

fn counts(member: &str, value: &Value) -> Option<Value> {
    let rows = object(value)?;
    let row = |(name, value): (&String, &Value)| {
        Some((name.clone(), Value::from(count(member, &number(value)).ok()?)))
    };
    let given = rows.iter().filter(|(_, value)| !value.is_null());
    given.map(row).collect::<Option<Map<_, _>>>().map(Value::Object)
}

fn objects(value: &Value) -> Option<Value> {
    match value {
        Value::Object(_) => Some(Value::Array(vec![value.clone()])),
        Value::Array(items) if items.len() <= ITEMS_MAX && items.iter().all(Value::is_object) => {
            Some(value.clone())
        }
        _ => None,
    }
}

fn windows(member: &str, value: &Value) -> Result<Value, BadForm> {
    let phrase = article(&Want::Windows.phrase());
    let wrong = || BadForm::wrong(member, format!("is wrong: it is {phrase}"));
    let rows = value.as_array().filter(|rows| rows.len() <= ITEMS_MAX).ok_or_else(wrong)?;
    let row = |(at, row): (usize, &Value)| {
        let row = row.as_object().ok_or_else(wrong)?;
        let mut window = Map::new();
        for (name, value) in row {
            let place = format!("{member}[{at}].{name}");
            let want = match name.as_str() {
                "budget_duration" => Want::Cadence,
                "max_budget" => Want::Money,
                // LiteLLM shows when the window begins anew; it follows from the duration.
                "reset_at" => continue,
                _ => {
                    let known = "is unknown: there are budget_duration and max_budget";
                    return Err(BadForm::unknown(place, known));
                }
            };
            window.insert(name.clone(), normal(want, &place, value)?);
        }
        for name in ["budget_duration", "max_budget"] {
            if window.get(name).is_none_or(Value::is_null) {
                return Err(BadForm::missing(format!("{member}[{at}].{name}")));
            }
        }
        Ok(Value::Object(window))
    };
    rows.iter().enumerate().map(row).collect::<Result<Vec<_>, _>>().map(Value::Array)
}

fn model_budgets(member: &str, value: &Value) -> Result<Value, BadForm> {
    let phrase = article(&Want::ModelBudgets.phrase());
    let wrong = || BadForm::wrong(member, format!("is wrong: it is {phrase}"));
    let rows = object(value).ok_or_else(wrong)?;
    let mut budgets = Map::new();
    for (model, row) in rows {
        if let Ok(amount) = normal(Want::Money, member, row) {
            budgets.insert(model.clone(), amount);
            continue;
        }
        let row = row.as_object().ok_or_else(wrong)?;
        let mut budget = Map::new();
        for (name, value) in row {
            let place = format!("{member}.{model}.{name}");
            let want = match name.as_str() {
                "budget_limit" | "max_budget" => Want::Money,
                "time_period" | "budget_duration" => Want::Cadence,
                "rpm_limit" | "tpm_limit" if value.is_null() => continue,
                "rpm_limit" | "tpm_limit" => {
                    let why = format!("is not supported: model_{name} holds a model to a rate");
                    return Err(BadForm::unsupported(place, why));
                }
                _ => {
                    return Err(BadForm::unknown(
                        place,
                        "is unknown: there are budget_limit and time_period",
                    ));
                }
            };
            budget.insert(name.clone(), normal(want, &place, value)?);
        }
        let given = |name: &str| budget.get(name).is_some_and(|value| !value.is_null());
        if !given("budget_limit") && !given("max_budget") {
            return Err(BadForm::missing(format!("{member}.{model}.budget_limit")));
        }
        budgets.insert(model.clone(), Value::Object(budget));
    }
    Ok(Value::Object(budgets))
}
