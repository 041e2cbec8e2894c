//! `/budget/*`.

use crate::support::{at, check, clock, kept, record, recording};
use serde_json::Value;
use std::sync::Arc;
use tollgate_identity::form::budget as form;
use tollgate_identity::reply::budget as reply;
use tollgate_identity::{Kind, Record};

const NOW: &str = "2026-11-22T11:02:10.000Z";
const ID: &str = "b-1795345329";

fn made() -> Arc<Record> {
    let new = recording("budget_new");
    let draft = at("2026-11-22T11:02:09.372Z", |context| form::new(&new.request, context).unwrap());
    assert_eq!(draft.id, ID);
    kept(&draft)
}

fn changed() -> Arc<Record> {
    let (budget, update) = (made(), recording("budget_update"));
    assert_eq!(form::subject(&update.request).unwrap(), ID);
    let draft = at("2026-11-22T11:02:09.421Z", |context| {
        form::change(ID, &budget.document(), &update.request, context).unwrap()
    });
    kept(&draft)
}

#[test]
fn a_budget_is_made_changed_told_of_and_deleted() {
    let row = |budget: &Record| reply::row(budget, &clock(NOW));
    check(&recording("budget_new"), &row(&made()), &[]);
    let info = recording("budget_info");
    assert_eq!(at(NOW, |context| form::asked(&info.request, context).unwrap()), [ID]);
    check(&info, &Value::from(vec![row(&made())]), &[]);
    check(&recording("budget_update"), &row(&changed()), &[]);
    check(&recording("budget_settings"), &reply::settings(&changed(), &clock(NOW)), &[]);
    let delete = recording("budget_delete");
    assert_eq!(at(NOW, |context| form::deletion(&delete.request, context).unwrap()), ID);
    check(&delete, &row(&changed()), &[]);
}

#[test]
fn budgets_of_others_are_listed_too() {
    let of = |id: &str, most: f64, created: &str, updated: &str| {
        let by = r#""created_by":"default_user_id","updated_by":"default_user_id""#;
        let dates = format!(r#""created_at":"{created}","updated_at":"{updated}""#);
        record(Kind::Budget, id, &format!(r#"{{"max_budget":{most},{by},{dates}}}"#))
    };
    let of_customer = of(
        "ad5c5067-1c5c-496f-94a0-f485fc321646",
        5.0,
        "2026-11-22T11:01:16.865Z",
        "2026-11-22T11:01:21.338Z",
    );
    let of_member = of(
        "e23a30be-d454-468f-a0e7-4c9863ae3f83",
        2.0,
        "2026-11-22T11:02:08.145Z",
        "2026-11-22T11:02:08.280Z",
    );
    let rows: Value = [&of_customer, &of_member, &changed()]
        .map(|budget| reply::row(budget, &clock(NOW)))
        .into_iter()
        .collect();
    check(&recording("budget_list"), &rows, &[]);
}
