//! `/key/*`.

use crate::support::{Recording, at, check, clock, kept, recording};
use std::sync::Arc;
use tollgate_identity::Record;
use tollgate_identity::form::key::{self as form, Secret};
use tollgate_identity::reply::key::{self as reply, Shown};
use tollgate_identity::reply::{Amounts, Page};

const MADE: &str = "2026-11-22T11:00:33.437000Z";
const TOKEN: &str = "6e7956a58e9823fff9c8b89fa51013a78f564319dcfa5e27080b6713cd8b88da";
const KEY: &str = "sk-k2kSDjet7R2P1H2aljDfeA";
const EXPIRES: (&str, &str) = ("expires", "to the millisecond, as the other replies have it");
const DURATION: (&str, &str) = ("duration", "LiteLLM loses it on the way");
const MADE_LATER: &str = "LiteLLM takes the time of the settings some milliseconds before that of the row";

fn made() -> Arc<Record> {
    let recording = recording("key_generate");
    let secret = Secret { token: TOKEN, name: "sk-...DfeA" };
    // LiteLLM reckons the end from when it read the request, eight milliseconds before it made the row.
    let mut draft = at("2026-11-22T11:00:33.429240Z", |context| {
        form::new(&recording.request, None, secret, context).unwrap()
    });
    for name in ["created_at", "updated_at"] {
        draft.document.0.insert(name.to_owned(), MADE.into());
    }
    kept(&draft)
}

fn changed(key: &Record, name: &'static str, time: &str) -> (Recording, Arc<Record>) {
    let recording = recording(name);
    let draft = at(time, |context| match name {
        "key_update" => form::change(&key.id, &key.document(), &recording.request, context).unwrap(),
        _ => {
            assert_eq!(form::blocking(&recording.request, context).unwrap(), KEY);
            form::block(&key.id, &key.document(), name == "key_block", context)
        }
    });
    (recording, kept(&draft))
}

fn shown<'a>(key: &'a Record, amounts: &'a Amounts) -> Shown<'a> {
    Shown { key, amounts, budget: None }
}

#[test]
fn a_key_that_is_made_is_shown_as_litellm_shows_it() {
    let (key, amounts) = (made(), Amounts::default());
    let reply = reply::generated(shown(&key, &amounts), KEY, &clock(MADE));
    check(&recording("key_generate"), &reply, &[EXPIRES, DURATION]);

    let recording = recording("key_gen_expired");
    let secret = Secret {
        token: "5eac9e72562846c6cf1ade38e266a1922e46d52ead09b746deedd52329b126f9",
        name: "sk-...iLXA",
    };
    let draft = at("2026-11-22T11:00:36.749Z", |context| {
        form::new(&recording.request, None, secret, context).unwrap()
    });
    let key = kept(&draft);
    let reply = reply::generated(shown(&key, &amounts), "sk-IAnJzT_pt_6wGAJxR_iLXA", &clock(MADE));
    check(&recording, &reply, &[EXPIRES, DURATION]);
}

#[test]
fn a_key_is_shown_to_who_asks_for_it_and_to_itself() {
    let (key, amounts) = (made(), Amounts::default());
    let info = |asked: &str| reply::info(shown(&key, &amounts), asked, &clock(MADE));
    check(&recording("key_info"), &info(KEY), &[]);
    check(&recording("key_info_hashed"), &info(TOKEN), &[]);
    check(&recording("key_info_self"), &info(TOKEN), &[]);
}

#[test]
fn a_key_that_is_changed_blocked_and_let_through_again_says_so() {
    let amounts = Amounts::default();
    let later = |place: &'static str| (place, MADE_LATER);
    let (recorded, key) = changed(&made(), "key_update", "2026-11-22T11:00:33.752Z");
    let reply = reply::updated(shown(&key, &amounts), KEY, &clock(MADE));
    check(&recorded, &reply, &[later("updated_at")]);

    let list = recording("key_list_full");
    let keys = [reply::view(shown(&key, &amounts), &[], &clock(MADE))];
    let page = Page { number: 1, size: 2, total: 1 };
    check(&list, &reply::list(&keys, page), &[later("keys[0].updated_at")]);

    let (recorded, key) = changed(&key, "key_block", "2026-11-22T11:00:33.968Z");
    assert!(key.is_blocked);
    check(&recorded, &reply::blocked(shown(&key, &amounts), &clock(MADE)), &[later("updated_at")]);
    assert_eq!(reply::status(&key, &clock(MADE)), "revoked");

    let (recorded, key) = changed(&key, "key_unblock", "2026-11-22T11:00:34.115Z");
    assert!(!key.is_blocked);
    let reply = reply::row(shown(&key, &amounts), &clock(MADE));
    check(&recorded, &reply.into(), &[later("updated_at")]);
}

#[test]
fn keys_are_listed_named_and_deleted() {
    let page = Page { number: 1, size: 10, total: 1 };
    check(&recording("key_list"), &reply::list(&[TOKEN.into()], page), &[]);
    let aliases = reply::aliases(&["k-1795345233"], Page { size: 50, ..page });
    check(&recording("key_aliases"), &aliases, &[]);
    let deletion = recording("key_delete");
    let asked = at(MADE, |context| form::deletion(&deletion.request, context).unwrap());
    let form::Deletion::Keys(keys) = asked else { panic!("keys") };
    check(&deletion, &reply::deleted(&keys), &[]);
    check(&recording("key_health"), &reply::health(), &[]);
}

#[test]
fn a_keys_soft_budget_is_where_litellms_page_looks_for_it() {
    let key = crate::support::record(
        tollgate_identity::Kind::Key,
        "t",
        r#"{"soft_budget": 2, "allowed_ips": ["10.0.0.1"]}"#,
    );
    let amounts = Amounts::default();
    let told = reply::info(shown(&key, &amounts), "t", &clock(MADE));
    assert_eq!(told["info"]["litellm_budget_table"]["soft_budget"], 2.0);
    assert_eq!(told["info"]["allowed_ips"][0], "10.0.0.1");
    let several = reply::info_of_several(&["t".to_owned()], &[shown(&key, &amounts)], &clock(MADE));
    assert_eq!((&several["key"][0], &several["info"][0]), (&"t".into(), &told["info"]));
}

#[test]
fn every_recording_is_compared() {
    let sources = [
        include_str!("budgets.rs"),
        include_str!("customers.rs"),
        include_str!("keys.rs"),
        include_str!("others.rs"),
        include_str!("tags.rs"),
        include_str!("teams.rs"),
        include_str!("users.rs"),
    ];
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/litellm_wire");
    let mut count = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let name = format!("\"{}\"", path.file_stem().unwrap().to_str().unwrap());
        assert!(sources.iter().any(|source| source.contains(&name)), "{name}");
        count += 1;
    }
    assert!(count > 50, "{count}");
}
