//! The tables themselves.

use crate::support::{admin, object};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tollgate_identity::form::{Effect, On, Want, tables};

#[test]
fn every_form_says_where_it_is_sent_and_every_member_once() {
    for form in tables() {
        assert!(!form.new_routes.is_empty() || !form.change_routes.is_empty(), "{}", form.title);
        for on in [On::New, On::Change] {
            let mut names = BTreeSet::new();
            for row in form.rows().filter(|row| row.is_on(on)) {
                assert!(names.insert(row.name), "{}: {} twice", form.title, row.name);
            }
        }
    }
    let count: usize = tables().iter().map(|form| form.rows().count()).sum();
    assert!(count > 300, "{count}");
}

#[test]
fn what_cannot_be_had_says_why_and_an_empty_value_of_it_passes() {
    for form in tables() {
        for row in form.rows() {
            let Effect::Unsupported(why) = row.effect else { continue };
            assert!(why.starts_with("is ") || why.starts_with("follows "), "{}: {why}", row.name);
            let on = if row.is_on(On::New) { On::New } else { On::Change };
            for empty in [json!(null), json!([]), json!({}), json!(""), json!(false), json!({"a": []})] {
                let body = object(json!({row.name: empty}));
                let read = admin(|context| form.read(on, &body, context));
                assert!(read.is_ok_and(|filled| filled.is_empty()), "{}", row.name);
            }
        }
    }
}

#[test]
fn no_value_of_a_wrong_kind_passes_or_is_repeated() {
    let wrong = |want: Want| match want {
        Want::Any => None,
        Want::Text | Want::Lines => Some(json!(["sEcReT"])),
        Want::Texts => Some(json!({"sEcReT": 1})),
        Want::Objects => Some(json!(["sEcReT"])),
        Want::Object | Want::Names | Want::Counts | Want::ModelBudgets | Want::Windows => {
            Some(json!("sEcReT"))
        }
        Want::Money
        | Want::Count
        | Want::Flag
        | Want::Cadence
        | Want::Lifetime
        | Want::Time
        | Want::Words(_) => Some(json!("sEcReT")),
    };
    for form in tables() {
        for row in form.rows().filter(|row| !matches!(row.effect, Effect::Unsupported(_))) {
            let Some(value) = wrong(row.want) else { continue };
            let on = if row.is_on(On::New) { On::New } else { On::Change };
            let body = object(json!({row.name: value}));
            let bad = admin(|context| form.read(on, &body, context)).unwrap_err();
            assert_eq!(bad.member, row.name);
            assert!(!bad.to_string().contains("sEcReT"), "{bad}");
            assert!(bad.reason.contains(&row.want.phrase()), "{bad}");
        }
    }
}

#[test]
fn numbers_may_be_texts_and_an_empty_text_is_nothing() {
    for form in tables() {
        for row in form.rows().filter(|row| matches!(row.want, Want::Money | Want::Count)) {
            let on = if row.is_on(On::New) { On::New } else { On::Change };
            let read = |value: Value| {
                let body = object(json!({row.name: value}));
                admin(|context| form.read(on, &body, context)).unwrap().get(row.name).cloned()
            };
            assert_eq!(read(json!("12")), Some(json!(12)), "{}", row.name);
            assert_eq!(read(json!(" ")), Some(Value::Null), "{}", row.name);
        }
    }
}
