//! `/budget/*`, and the budgets of customers, tags, organizations and projects.

use crate::support::{admin, document, get, holder, object, said};
use serde_json::{Value, json};
use tollgate_catalog::PicoDollars;
use tollgate_identity::form::{BadForm, Drafts, budget, customer, organization, project, tag};
use tollgate_identity::{Document, Kind, Record};

type New =
    fn(&serde_json::Map<String, Value>, &tollgate_identity::form::Context<'_>) -> Result<Drafts, BadForm>;
type Change = fn(
    &str,
    &Document,
    budget::Own<'_>,
    &serde_json::Map<String, Value>,
    &tollgate_identity::form::Context<'_>,
) -> Result<Drafts, BadForm>;

/// Who has a budget: its kind, the least that its form needs, and its form.
const OWNERS: [(Kind, &str, New, Change); 4] = [
    (Kind::Customer, r#"{"user_id": "x"}"#, customer::new, customer::change),
    (Kind::Tag, r#"{"name": "x"}"#, tag::new, tag::change),
    (
        Kind::Organization,
        r#"{"organization_id": "x", "organization_alias": "a"}"#,
        organization::new,
        organization::change,
    ),
    (Kind::Project, r#"{"project_id": "x", "team_id": "t"}"#, project::new, project::change),
];

fn with(least: &str, more: Value) -> serde_json::Map<String, Value> {
    let mut body = object(serde_json::from_str(least).unwrap());
    body.extend(object(more));
    body
}

#[test]
fn who_says_something_of_a_budget_gets_one_and_keeps_it() {
    for (kind, least, new, change) in OWNERS {
        let drafts =
            admin(|context| new(&with(least, json!({"max_budget": 5, "budget_duration": "7d"})), context));
        let drafts = drafts.unwrap();
        assert_eq!((drafts.record.kind, drafts.record.id.as_str()), (kind, "x"));
        let [own] = drafts.others.as_slice() else { panic!("one budget of {kind:?}") };
        assert_eq!(get(&drafts.record.document, "budget_id"), own.id.as_str());
        assert_eq!(get(&drafts.record.document, "max_budget"), Value::Null);
        assert_eq!(get(&own.document, "budget_began_at"), crate::support::NOW);

        let change = |own: budget::Own<'_>, body: Value| {
            admin(|context| change("x", &drafts.record.document, own, &object(body), context))
        };
        let mine = Some((own.id.as_str(), &own.document));
        let more = change(mine, json!({"max_budget": 7})).unwrap();
        assert_eq!(
            (more.others[0].id.as_str(), get(&more.others[0].document, "max_budget")),
            (&*own.id, json!(7))
        );
        assert_eq!(get(&more.others[0].document, "budget_duration"), "7d");
        let null = change(mine, json!({"max_budget": null, "budget_id": own.id})).unwrap();
        assert_eq!(get(&null.others[0].document, "max_budget"), Value::Null);

        let another = change(mine, json!({"budget_id": "shared"})).unwrap();
        assert!(another.others.is_empty());
        assert_eq!(get(&another.record.document, "budget_id"), "shared");
        let both = change(mine, json!({"budget_id": "shared", "max_budget": 1}));
        assert_eq!(said(both), "'budget_id' cannot be given beside the members of a budget");
        let apart = change(None, json!({"rpm_limit": 3})).unwrap();
        assert_eq!(get(&apart.others[0].document, "budget_duration"), Value::Null);
        assert!(change(mine, json!({})).unwrap().others.is_empty());

        let unsaid = admin(|context| new(&with(least, json!({"max_budget": null})), context)).unwrap();
        assert!(unsaid.others.is_empty());
        assert_eq!(get(&unsaid.record.document, "budget_id"), Value::Null);
    }
}

#[test]
fn what_is_needed_is_asked_for_by_name() {
    let check = |new: New, body: Value, wants: &str| {
        assert_eq!(said(admin(|context| new(&object(body), context))), wants);
    };
    check(customer::new, json!({}), "'user_id' is missing");
    check(tag::new, json!({}), "'name' is missing");
    check(organization::new, json!({}), "'organization_alias' is missing");
    check(project::new, json!({}), "'team_id' is missing");
    check(customer::new, json!({"user_id": "u", "spend": 3}), "'spend' is counted, not set");
    check(
        customer::new,
        json!({"user_id": "u", "metadata": {}}),
        "'metadata' is unknown: the nearest known is 'models'",
    );
    check(
        customer::new,
        json!({"user_id": "u", "allowed_model_region": "eu"}),
        "'allowed_model_region' is not supported: models says which models an end user may use",
    );
    check(
        tag::new,
        json!({"name": "t", "models": ["m"]}),
        "'models' is not supported: litellm_params.tags of a deployment says which tags it is for",
    );
    let named = [customer::subject, tag::subject, organization::subject, project::subject, budget::subject];
    let names = ["user_id", "name", "organization_id", "project_id", "budget_id"];
    for (subject, name) in named.iter().zip(names) {
        assert_eq!(subject(&object(json!({name: "x"}))).unwrap(), "x");
        assert_eq!(said(subject(&object(json!({name: null})))), format!("'{name}' is missing"));
    }
}

#[test]
fn no_column_of_these_is_set_by_its_name() {
    let columns = [
        "created_at",
        "updated_at",
        "created_by",
        "budget_began_at",
        "model_spend",
        "total_spend",
        "version",
    ];
    for (_, _, _, change) in OWNERS {
        for column in columns {
            let changed = admin(|context| {
                change(
                    "x",
                    &Document::default(),
                    None,
                    &object(json!({column: "2030-01-01T00:00:00Z"})),
                    context,
                )
            });
            assert_eq!(changed.unwrap_err().member, column);
        }
        let dates = json!({"budget_reset_at": "2030-01-01T00:00:00Z"});
        let reset = admin(|context| change("x", &Document::default(), None, &object(dates), context));
        // Whether it is what follows from the duration, is held where the time zone is known.
        assert!(reset.is_ok(), "{reset:?}");
        let more = json!({"temp_budget_increase": 5, "temp_budget_expiry": "2030-01-01T00:00:00Z"});
        let more = holder(|context| change("x", &Document::default(), None, &object(more), context));
        assert_eq!(said(more), "'temp_budget_increase' can be set by administrators only");
    }
}

#[test]
fn a_budget_is_made_with_an_id_or_gets_one() {
    let new = |body: Value| admin(|context| budget::new(&object(body), context)).unwrap();
    assert_eq!(new(json!({"budget_id": "b"})).id, "b");
    let made = new(json!({"max_budget": 1, "soft_budget": 0.5, "tpm_limit": 10, "allowed_models": ["m"]}));
    assert_eq!(made.id, "fresh-1");
    let limits = Record::read(Kind::Budget, "b", 1, &made.document).unwrap().limits;
    assert_eq!(
        (limits.budget, limits.soft),
        (Some(PicoDollars(1_000_000_000_000)), Some(PicoDollars(500_000_000_000)))
    );
    let before = document(json!({"budget_id": "b", "budget_duration": "1d", "max_budget": 3}));
    let body = object(json!({"budget_id": "b", "budget_duration": null}));
    let changed = admin(|context| budget::change("b", &before, &body, context)).unwrap();
    assert_eq!(get(&changed.document, "budget_duration"), Value::Null);
    assert_eq!(get(&changed.document, "max_budget"), 3);
    assert_eq!(
        said(admin(|context| budget::asked(&object(json!({"budgets": []})), context))),
        "'budgets' is missing"
    );
    assert_eq!(said(admin(|context| budget::deletion(&object(json!({})), context))), "'id' is missing");
}
