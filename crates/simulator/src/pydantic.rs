//! The words of a server that checks its requests with Pydantic, as FastAPI reports them.
//!
//! Owns: the translation of a [`Violation`] into an entry of `detail`. Leaves to others: what a provider puts around
//! the list.
//!
//! **Invariant:** every entry has `type`, `loc`, `msg` and `input`, and `loc` begins with `body`.

use crate::shape::{Step, Violation, Wrong};
use serde_json::{Value, json};

/// The entries for these violations of a body, in order.
pub(crate) fn details(violations: &[Violation], body: &Value) -> Value {
    violations.iter().map(|violation| detail(violation, body)).collect()
}

fn detail(violation: &Violation, body: &Value) -> Value {
    let (kind, message) = words(&violation.wrong);
    let steps = violation.path.iter().map(|step| match step {
        Step::Key(key) => json!(key),
        Step::Index(index) => json!(index),
        Step::Case(case) => json!(case),
    });
    let location: Vec<Value> = std::iter::once(json!("body")).chain(steps).collect();
    json!({"type": kind, "loc": location, "msg": message, "input": input(violation, body)})
}

/// What was given: the value itself, or what it is missing from.
fn input(violation: &Violation, body: &Value) -> Value {
    let missing = violation.wrong == Wrong::Missing;
    let steps = violation.path.iter().filter(|step| !matches!(step, Step::Case(_)));
    let steps: Vec<&Step> = steps.collect();
    let steps = if missing { steps.split_last().map_or(&[][..], |(_, rest)| rest) } else { steps.as_slice() };
    let mut at = body;
    for step in steps {
        let next = match step {
            Step::Key(key) => at.get(key),
            Step::Index(index) => at.get(index),
            Step::Case(_) => None,
        };
        let Some(next) = next else { return Value::Null };
        at = next;
    }
    at.clone()
}

fn words(wrong: &Wrong) -> (&'static str, String) {
    match wrong {
        Wrong::Unknown => ("extra_forbidden", "Extra inputs are not permitted".to_owned()),
        Wrong::Missing => ("missing", "Field required".to_owned()),
        Wrong::Type { expected, .. } => {
            let (kind, noun) = match *expected {
                "a string" => ("string_type", "string"),
                "an integer" => ("int_type", "integer"),
                "a decimal" => ("float_type", "number"),
                "a boolean" => ("bool_type", "boolean"),
                "an object" => ("dict_type", "dictionary"),
                "one of the documented types" => ("string_type", "string or list"),
                _ => ("list_type", "list"),
            };
            (kind, format!("Input should be a valid {noun}"))
        }
        Wrong::Word { allowed, .. } => {
            let quoted: Vec<String> = allowed.iter().map(|word| format!("'{word}'")).collect();
            let listed = match quoted.split_last() {
                Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
                _ => quoted.concat(),
            };
            ("literal_error", format!("Input should be {listed}"))
        }
        Wrong::Below { min, .. } => {
            ("greater_than_equal", format!("Input should be greater than or equal to {min}"))
        }
        Wrong::Above { max, .. } => {
            ("less_than_equal", format!("Input should be less than or equal to {max}"))
        }
        Wrong::Pattern => {
            ("string_pattern_mismatch", "String should match pattern '^[a-zA-Z0-9_-]+$'".to_owned())
        }
        Wrong::TooLong { max, .. } => {
            ("string_too_long", format!("String should have at most {max} characters"))
        }
        Wrong::TooFew { min } => {
            ("too_short", format!("List should have at least {min} item after validation, not 0"))
        }
        Wrong::TooMany { max, len } => {
            ("too_long", format!("List should have at most {max} items after validation, not {len}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: Vec<Step>, wrong: Wrong, expect: Value) {
        let body = json!({"a": [{"b": 1}]});
        assert_eq!(details(&[Violation { path, wrong }], &body), json!([expect]));
    }

    #[test]
    fn an_entry_says_where_what_and_with_which_input() {
        let b =
            || vec![Step::Key("a".to_owned()), Step::Index(0), Step::Case("user"), Step::Key("b".to_owned())];
        check(
            b(),
            Wrong::Unknown,
            json!({"type": "extra_forbidden", "loc": ["body", "a", 0, "user", "b"],
                "msg": "Extra inputs are not permitted", "input": 1}),
        );
        check(
            vec![Step::Key("a".to_owned()), Step::Index(0), Step::Key("c".to_owned())],
            Wrong::Missing,
            json!({"type": "missing", "loc": ["body", "a", 0, "c"], "msg": "Field required", "input": {"b": 1}}),
        );
        check(
            b(),
            Wrong::Word { given: "z".to_owned(), allowed: vec!["x", "y", "w"] },
            json!({"type": "literal_error", "loc": ["body", "a", 0, "user", "b"],
                "msg": "Input should be 'x', 'y' or 'w'", "input": 1}),
        );
    }
}
