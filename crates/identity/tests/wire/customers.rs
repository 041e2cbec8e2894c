//! `/customer/*`.

use crate::support::{at, at_with, check, clock, kept, recording};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use tollgate_catalog::PicoDollars;
use tollgate_identity::Record;
use tollgate_identity::form::customer as form;
use tollgate_identity::reply::Amounts;
use tollgate_identity::reply::customer::{self as reply, Shown};

const MADE: &str = "2026-11-22T11:01:16.865Z";
const BUDGET: &str = "ad5c5067-1c5c-496f-94a0-f485fc321646";

fn made() -> (Arc<Record>, Arc<Record>) {
    let new = recording("customer_new");
    let drafts = at_with(MADE, BUDGET, |context| form::new(&new.request, context).unwrap());
    (kept(&drafts.record), kept(&drafts.others[0]))
}

#[test]
fn a_customer_is_made_with_its_budget_blocked_changed_and_deleted() {
    let none = Amounts::default();
    let spent = PicoDollars(75_000_000);
    let amounts = Amounts { spend: spent, total_spend: spent, model_spend: BTreeMap::new(), last_use: None };
    let (customer, budget) = made();
    let show = |customer: &Record, budget: &Record, amounts: &Amounts| {
        reply::row(Shown { customer, amounts, budget: Some(budget) }, &clock(MADE))
    };
    check(&recording("customer_new"), &show(&customer, &budget, &none), &[]);

    let blocked = at(MADE, |context| kept(&form::block("c1", Some(&customer.document()), true, context)));
    check(&recording("customer_info"), &show(&blocked, &budget, &amounts), &[]);
    let list: Value = [show(&blocked, &budget, &amounts)].into_iter().collect();
    check(&recording("customer_list"), &list, &[]);

    let update = recording("customer_update");
    let own = Some((&*budget.id, &budget.document()));
    let drafts = at("2026-11-22T11:01:21.338Z", |context| {
        form::change("c1", &blocked.document(), own, &update.request, context).unwrap()
    });
    let changed = show(&kept(&drafts.record), &kept(&drafts.others[0]), &amounts);
    check(&update, &changed, &[]);

    let delete = recording("customer_delete");
    let gone = at(MADE, |context| form::several(&delete.request, context).unwrap());
    check(&delete, &reply::deleted(&gone), &[]);
}
