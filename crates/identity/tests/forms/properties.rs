//! Whatever a body says, it is read or refused, and what comes of it can be kept.

use crate::support::{admin, document, holder};
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use tollgate_identity::form::{Context, Draft, budget, customer, key, tables, team, user};
use tollgate_identity::{Document, Record};

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3_i64..1_000_000).prop_map(Value::from),
        (0.0..1e6_f64).prop_map(Value::from),
        prop_oneof![
            Just("30d"),
            Just("1h"),
            Just("-1"),
            Just("2026-12-01T00:00:00Z"),
            Just("admin"),
            Just("7"),
            Just("")
        ]
        .prop_map(Value::from),
        "\\PC{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        let names = prop_oneof![
            Just("max_budget"),
            Just("budget_duration"),
            Just("budget_limit"),
            Just("m"),
            Just("critical")
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((names, inner), 0..4)
                .prop_map(|rows| rows.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()),
        ]
    })
}

fn any_body() -> impl Strategy<Value = Map<String, Value>> {
    let names: Vec<&'static str> = tables().iter().flat_map(|form| form.rows().map(|row| row.name)).collect();
    prop::collection::vec((prop::sample::select(names), any_value()), 0..5)
        .prop_map(|rows| rows.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

fn drafts(body: &Map<String, Value>, before: &Document, context: &Context<'_>) -> Vec<Draft> {
    let secret = key::Secret { token: "t0", name: "sk-...0000" };
    let mut drafts = Vec::new();
    drafts.extend(key::new(body, None, secret, context));
    drafts.extend(key::change("t0", before, body, context));
    drafts.extend(key::regenerate("t0", before, body, secret, context).map(|made| made.new));
    drafts.extend(team::new(body, context).map(|made| made.team));
    drafts.extend(team::change("t", before, None, body, context).map(|made| made.team));
    drafts.extend(user::new(body, context).map(|made| made.user));
    drafts.extend(user::change("u", before, body, context).map(|made| made.user));
    drafts.extend(budget::new(body, context));
    let customers = customer::change("c", before, None, body, context);
    drafts.extend(customers.into_iter().flat_map(|drafts| drafts.others.into_iter().chain([drafts.record])));
    drafts
}

proptest! {
    #[test]
    fn what_comes_of_a_body_can_be_read_as_a_record(body in any_body()) {
        let before = document(json!({"metadata": {"critical": true}, "max_budget": 1, "user_id": "ada"}));
        for draft in admin(|context| drafts(&body, &before, context)) {
            prop_assert!(Record::read(draft.kind, &draft.id, 1, &draft.document).is_ok());
        }
    }

    #[test]
    fn nobody_but_an_administrator_makes_requests_critical_or_frees_what_is_blocked(body in any_body()) {
        let before = document(json!({"metadata": {"critical": true}, "blocked": true, "user_id": "ada", "user_role": "internal_user"}));
        for draft in holder(|context| drafts(&body, &before, context)) {
            let was = |name: &str| before.0.get(name).cloned().unwrap_or_default();
            let is = |name: &str| draft.document.0.get(name).cloned().unwrap_or_default();
            let is_change = draft.document.0.get("blocked").is_some();
            if is_change {
                prop_assert_eq!(is("blocked"), was("blocked"));
                prop_assert_eq!(is("user_role"), was("user_role"));
            } else {
                let critical = draft.document.metadata("critical").cloned().unwrap_or_default();
                let is_critical = !matches!(critical, Value::Null | Value::Bool(false));
                prop_assert!(!is_critical, "{critical}");
            }
        }
    }
}
