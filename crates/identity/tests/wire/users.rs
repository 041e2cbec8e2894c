//! `/user/*`.

use crate::support::{at, check, clock, kept, record, recording};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::Arc;
use tollgate_catalog::PicoDollars;
use tollgate_identity::form::key::{self as keys, Secret};
use tollgate_identity::form::user as form;
use tollgate_identity::reply::user::{self as reply, Shown};
use tollgate_identity::reply::{Amounts, Page, key as key_reply};
use tollgate_identity::{Kind, Record};

const NOW: &str = "2026-11-22T11:02:09.000Z";
const ID: &str = "u-1795345328";

fn made(name: &'static str, times: [&str; 2], secret: Secret<'_>) -> (Arc<Record>, Arc<Record>) {
    let recording = recording(name);
    let made = at(times[0], |context| form::new(&recording.request, context).unwrap());
    let key = made.key.unwrap();
    let key = at(times[1], |context| keys::new(&key, None, secret, context).unwrap());
    (kept(&made.user), kept(&key))
}

fn second() -> (Arc<Record>, Arc<Record>) {
    let token = "14fd15a20c7d07ea55fe8cc31d0a3d450db7cf64bff5aa60f2f5a415bdcdee37";
    let times = ["2026-11-22T11:02:08.907Z", "2026-11-22T11:02:08.921Z"];
    made("user_new2", times, Secret { token, name: "sk-...x5ew" })
}

fn changed(user: &Record) -> Arc<Record> {
    let update = recording("user_update");
    let draft = at("2026-11-22T11:02:08.995Z", |context| {
        form::change(&user.id, &user.document(), &update.request, context).unwrap()
    });
    kept(&draft.user)
}

fn shown<'a>(user: &'a Record, amounts: &'a Amounts, teams: &'a [&'a str]) -> Shown<'a> {
    Shown { user, amounts, teams }
}

#[test]
fn a_user_is_made_with_a_key() {
    let none = Amounts::default();
    let (user, key) = second();
    let text = "sk-bNZ2lAjZVPsCFcsSBPx5ew";
    let reply = reply::generated(shown(&user, &none, &[]), Some((&key, text)), &clock(NOW));
    check(&recording("user_new2"), &reply, &[]);

    let times = ["2026-11-22T11:01:12.628Z", "2026-11-22T11:01:12.646Z"];
    let (user, key) = made("user_new", times, Secret { token: "t", name: "sk-...Jd7A" });
    let text = "sk-k9Sh8w_bjUvQYFkzjIJd7A";
    let reply = reply::generated(shown(&user, &none, &[]), Some((&key, text)), &clock(NOW));
    check(&recording("user_new"), &reply, &[]);
}

#[test]
fn a_user_is_told_of_with_its_keys() {
    let none = Amounts::default();
    let (user, key) = second();
    let key =
        reply::info_key(key_reply::Shown { key: &key, amounts: &none, budget: None }, None, &clock(NOW));
    let told = reply::info(shown(&user, &none, &[]), &[key], &[], &[], &clock(NOW));
    let known = "LiteLLM forgets of a key that it makes with a user who made it, and of what type it is";
    let differences =
        ["keys[0].key_type", "keys[0].created_by", "keys[0].updated_by"].map(|place| (place, known));
    check(&recording("user_info"), &told, &differences);
}

#[test]
fn a_user_changes_and_is_listed() {
    let none = Amounts::default();
    let user = changed(&second().0);
    check(&recording("user_update"), &reply::updated(shown(&user, &none, &[]), &clock(NOW)), &[]);

    let spent = PicoDollars(75_000_000);
    let amounts = Amounts { spend: spent, total_spend: spent, model_spend: BTreeMap::new(), last_use: None };
    let of = |id: &str, document: &str| {
        let dates = r#""user_role":"internal_user","created_at":"#;
        record(Kind::User, id, &format!("{{{dates}{document}}}"))
    };
    let member = of("mem1", r#""2026-11-22T11:02:08.145Z","updated_at":"2026-11-22T11:02:08.337Z""#);
    let first = of(
        "u1-1795345272",
        r#""2026-11-22T11:01:12.628Z","updated_at":"2026-11-22T11:01:17.867Z",
           "max_budget":1e-05,"user_email":"a1795345272@b.c""#,
    );
    let admin = of("u-admin", r#""2026-11-22T11:01:08.165Z","updated_at":"2026-11-22T11:01:08.165Z""#);
    let actor =
        of("default_user_id", r#""2026-11-22T11:01:08.165Z","updated_at":"2026-11-22T11:02:07.701Z""#);
    let teams = ["cb2766f2-6af1-4bf9-8e0c-e7c8ecb282fc"];
    let rows = [
        reply::listed(shown(&user, &none, &[]), 1, &clock(NOW)),
        reply::listed(shown(&member, &none, &[]), 0, &clock(NOW)),
        reply::listed(shown(&first, &amounts, &[]), 1, &clock(NOW)),
        reply::listed(shown(&admin, &none, &teams), 0, &clock(NOW)),
        reply::listed(shown(&actor, &none, &teams), 0, &clock(NOW)),
    ];
    let page = Page { number: 1, size: 25, total: 5 };
    check(&recording("user_list"), &reply::pages(&rows, page), &[]);
}

#[test]
fn roles_are_listed_and_users_deleted() {
    check(&recording("user_available_roles"), &reply::available_roles(), &[]);
    let delete = recording("user_delete");
    let gone = at(NOW, |context| form::deletion(&delete.request, context).unwrap());
    assert_eq!(gone, [ID]);
    check(&delete, &reply::deleted(gone.len()), &[]);
}

#[test]
fn a_user_without_a_key_is_told_of_too() {
    let mut body = Map::new();
    body.insert("auto_create_key".to_owned(), Value::Bool(false));
    let made = at(NOW, |context| form::new(&body, context).unwrap());
    assert_eq!(made.key, None);
    let user = kept(&made.user);
    let reply = reply::generated(shown(&user, &Amounts::default(), &["t"]), None, &clock(NOW));
    let recorded = recording("user_new").reply;
    let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&reply), names(&recorded));
    assert_eq!((&reply["key"], &reply["user_id"]), (&Value::Null, &Value::from("fresh-1")));
    assert_eq!(reply["teams"], Value::from(vec!["t"]));
    assert_eq!(reply["created_at"], "2026-11-22T11:02:09Z");
}
