//! Splicing reads as the same edits made on a tree, and leaves the bytes of everything else alone.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test that cannot go on says so")]

mod fast_support;

use bytes::Bytes;
use fast_support::{Dice, NAMES, object, spell, value};
use proptest::prelude::*;
use serde_json::{Map, Value as Tree, json};
use tollgate_dialect::json::{Limits, Splice, scan};
use tollgate_dialect::relay::{RequestEdits, plan_request};

#[derive(Debug, Clone)]
enum Edit {
    Set(&'static str, Tree),
    SetString(&'static str, String),
    SetIn(&'static str, &'static str, Tree),
    Remove(&'static str),
    Rename(&'static str, &'static str),
}

fn edit() -> impl Strategy<Value = Edit> {
    let name = || prop::sample::select(&NAMES[..]);
    prop_oneof![
        (name(), value()).prop_map(|(name, value)| Edit::Set(name, value)),
        (name(), any::<String>()).prop_map(|(name, text)| Edit::SetString(name, text)),
        (name(), name(), value()).prop_map(|(outer, name, value)| Edit::SetIn(outer, name, value)),
        name().prop_map(Edit::Remove),
        (name(), name()).prop_map(|(from, to)| Edit::Rename(from, to)),
    ]
}

fn edit_tree(tree: &mut Map<String, Tree>, edit: &Edit) {
    match edit {
        Edit::Set(name, value) => drop(tree.insert((*name).to_owned(), value.clone())),
        Edit::SetString(name, text) => drop(tree.insert((*name).to_owned(), text.clone().into())),
        Edit::SetIn(outer, name, value) => {
            let current = tree.entry((*outer).to_owned()).or_insert(Tree::Null);
            if current.is_null() {
                *current = json!({});
            }
            if let Some(inner) = current.as_object_mut() {
                inner.insert((*name).to_owned(), value.clone());
            }
        }
        Edit::Remove(name) => drop(tree.remove(*name)),
        Edit::Rename(from, to) => {
            if let Some(value) = tree.remove(*from) {
                tree.insert((*to).to_owned(), value);
            }
        }
    }
}

fn edit_splice(splice: &mut Splice<'_>, edit: &Edit) {
    match edit {
        Edit::Set(name, value) => splice.set(*name, value.to_string()),
        Edit::SetString(name, text) => splice.set_string(*name, text),
        Edit::SetIn(outer, name, value) => {
            splice.set_in(outer, name, &value.to_string()).expect("no duplicates")
        }
        Edit::Remove(name) => splice.remove(name),
        Edit::Rename(from, to) => splice.rename(from, *to),
    };
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn a_splice_reads_as_the_edited_tree(
        members in object(),
        edits in prop::collection::vec(edit(), 0..6),
        seed in any::<u64>(),
    ) {
        let mut text = String::new();
        spell(&Tree::Object(members), &mut Dice(seed), &mut text);
        let mut tree: Map<String, Tree> = serde_json::from_str(&text).unwrap();
        let body = Bytes::from(text);
        let object = scan(&body, &Limits::REPLY).expect("a valid object");
        let mut splice = Splice::new(&object);
        for edit in &edits {
            edit_splice(&mut splice, edit);
            edit_tree(&mut tree, edit);
        }
        prop_assert!(NAMES.iter().all(|name| splice.contains(name) == tree.contains_key(*name)));
        let segments = splice.finish(&body);
        let whole = segments.to_bytes();
        prop_assert_eq!(segments.len(), whole.len());
        prop_assert!(segments.iter().all(|piece| !piece.is_empty()));
        prop_assert!(!edits.is_empty() || (segments.is_unchanged() && whole == body));
        // Strict again, so commas are right and no name comes twice.
        prop_assert!(scan(&whole, &Limits::REPLY).is_ok(), "{}", String::from_utf8_lossy(&whole));
        prop_assert_eq!(serde_json::from_slice::<Tree>(&whole).unwrap(), Tree::Object(tree));
    }
}

/// Applies the edits and compares the bytes.
fn check(body: &'static str, edit: impl FnOnce(&mut Splice<'_>), expect: &str) {
    let bytes = Bytes::from_static(body.as_bytes());
    let object = scan(&bytes, &Limits::REQUEST).expect(body);
    let mut splice = Splice::new(&object);
    edit(&mut splice);
    let whole = splice.finish(&bytes).to_bytes();
    assert_eq!(std::str::from_utf8(&whole).unwrap(), expect);
}

#[test]
fn commas_and_white_space_are_kept_around_every_edit() {
    let body = "{ \"a\" : 1 , \"b\" : 2 , \"c\" : 3 }\n";
    check(
        body,
        |s| {
            s.remove("a");
        },
        "{\"b\" : 2 , \"c\" : 3 }\n",
    );
    check(
        body,
        |s| {
            s.remove("b");
        },
        "{ \"a\" : 1 , \"c\" : 3 }\n",
    );
    check(
        body,
        |s| {
            s.remove("c");
        },
        "{ \"a\" : 1 , \"b\" : 2 }\n",
    );
    check(
        body,
        |s| {
            s.remove("a").remove("b").remove("c");
        },
        "{ }\n",
    );
    check(
        body,
        |s| {
            s.remove("a").remove("b").remove("c").set("d", "4");
        },
        "{\"d\":4 }\n",
    );
    check(
        body,
        |s| {
            s.set("b", "[]");
        },
        "{ \"a\" : 1 , \"b\" : [] , \"c\" : 3 }\n",
    );
    check(
        body,
        |s| {
            s.set("d", "4");
        },
        "{ \"a\" : 1 , \"b\" : 2 , \"c\" : 3,\"d\":4 }\n",
    );
    check(
        body,
        |s| {
            s.rename("c", "x");
        },
        "{ \"a\" : 1 , \"b\" : 2 , \"x\" : 3 }\n",
    );
    check(
        body,
        |s| {
            s.rename("a", "b");
        },
        "{ \"b\" : 1 , \"c\" : 3 }\n",
    );
    check(
        body,
        |s| {
            s.rename("zz", "b");
        },
        body,
    );
    check(
        "{}",
        |s| {
            s.set("a", "1");
        },
        "{\"a\":1}",
    );
    check(
        "{}",
        |s| {
            s.remove("a");
        },
        "{}",
    );
}

#[test]
fn a_member_is_found_under_an_escaped_name() {
    check(
        r#"{"\u006dodel":"a","x":1}"#,
        |s| {
            s.set_string("model", "b\"");
        },
        r#"{"\u006dodel":"b\"","x":1}"#,
    );
    check(
        r#"{"\u006dodel":"a","x":1}"#,
        |s| {
            s.remove("model");
        },
        r#"{"x":1}"#,
    );
}

#[test]
fn a_member_of_a_member_is_set_and_its_neighbours_stay() {
    let set = |s: &mut Splice<'_>| {
        s.set_in("stream_options", "include_usage", "true").unwrap();
    };
    check(r#"{"x":1}"#, set, r#"{"x":1,"stream_options":{"include_usage":true}}"#);
    check(r#"{"stream_options":null}"#, set, r#"{"stream_options":{"include_usage":true}}"#);
    check(r#"{"stream_options":{}}"#, set, r#"{"stream_options":{"include_usage":true}}"#);
    let other = r#"{"stream_options":{"include_obfuscation":false}}"#;
    check(other, set, r#"{"stream_options":{"include_obfuscation":false,"include_usage":true}}"#);
    let refused = r#"{"stream_options":{"include_usage": false , "o":1}}"#;
    check(refused, set, r#"{"stream_options":{"include_usage": true , "o":1}}"#);
    // What is no object is the caller's mistake, and the provider's to refuse.
    check(r#"{"stream_options":"yes"}"#, set, r#"{"stream_options":"yes"}"#);
}

#[test]
fn a_splice_into_an_object_that_names_a_member_twice_is_refused() {
    let body = br#"{"stream_options":{"include_usage":false,"include_\u0075sage":false}}"#;
    let object = scan(body, &Limits::REQUEST).unwrap();
    let mut splice = Splice::new(&object);
    assert!(splice.set_in("stream_options", "include_usage", "true").is_err());
    assert!(splice.finish(&Bytes::from_static(body)).is_unchanged());
}

#[test]
fn a_long_prompt_is_not_copied() {
    let prompt = "word ".repeat(40_000);
    let body =
        Bytes::from(format!(r#"{{"model":"alias","messages":[{{"role":"user","content":"{prompt}"}}]}}"#));
    let object = scan(&body, &Limits::REQUEST).unwrap();
    let edits = RequestEdits { model: Some("real-model"), ..RequestEdits::default() };
    let segments = plan_request(&object, &edits, &body).unwrap();
    assert_eq!(segments.iter().count(), 3);
    let rest = segments.iter().last().unwrap();
    assert_eq!(rest.as_ptr_range().end, body.as_ptr_range().end);
    assert_eq!(segments.len(), body.len() + "real-model".len() - "alias".len());
}

fn check_plan(body: &'static str, edits: &RequestEdits<'_>, expect: &str) {
    let bytes = Bytes::from_static(body.as_bytes());
    let object = scan(&bytes, &Limits::REQUEST).expect(body);
    let segments = plan_request(&object, edits, &bytes).expect("a plan");
    assert_eq!(std::str::from_utf8(&segments.to_bytes()).unwrap(), expect);
    assert_eq!(segments.is_unchanged(), body == expect);
}

#[test]
fn a_request_that_needs_no_edit_is_passed_on_as_it_came() {
    let body = r#"{"model":"m","stream":true,"stream_options":{"include_usage":true}}"#;
    check_plan(body, &RequestEdits::default(), body);
    let edits = RequestEdits {
        model: Some("m"),
        include_usage: true,
        remove: &["metadata"],
        rename: &[("a", "b")],
        ..RequestEdits::default()
    };
    check_plan(body, &edits, body);
}

#[test]
fn the_edits_of_a_request_are_all_made() {
    let edits = RequestEdits {
        model: Some("gpt-4o-2024"),
        include_usage: true,
        remove: &["metadata", "tags"],
        rename: &[("max_completion_tokens", "max_tokens")],
        ..RequestEdits::default()
    };
    check_plan(
        r#"{"metadata":{"a":1},"model":"alias","max_completion_tokens":9,"stream":true,"tags":[]}"#,
        &edits,
        r#"{"model":"gpt-4o-2024","max_tokens":9,"stream":true,"stream_options":{"include_usage":true}}"#,
    );
    check_plan(
        r#"{"model":"alias","max_tokens":1,"max_completion_tokens":9}"#,
        &edits,
        r#"{"model":"gpt-4o-2024","max_tokens":9,"stream_options":{"include_usage":true}}"#,
    );
}

#[test]
fn what_is_removed_is_not_taken_for_what_is_asked() {
    let edits = RequestEdits {
        model: Some("m"),
        include_usage: true,
        remove: &["stream_options", "model"],
        ..RequestEdits::default()
    };
    check_plan(
        r#"{"model":"m","stream_options":{"include_usage":true,"x":1},"n":1}"#,
        &edits,
        r#"{"n":1,"model":"m","stream_options":{"include_usage":true}}"#,
    );
}

#[test]
fn a_default_is_added_only_where_the_caller_gave_nothing() {
    let defaults = [("max_tokens".to_owned(), "7".to_owned()), ("seed".to_owned(), "1".to_owned())];
    let rename = &[("max_completion_tokens", "max_tokens")];
    let edits = RequestEdits { defaults: &defaults, rename, remove: &["seed"], ..RequestEdits::default() };
    check_plan("{}", &edits, r#"{"max_tokens":7,"seed":1}"#);
    check_plan(r#"{"max_tokens":9,"seed":null}"#, &edits, r#"{"max_tokens":9}"#);
    check_plan(r#"{"max_completion_tokens":9}"#, &edits, r#"{"max_tokens":9,"seed":1}"#);
    check_plan(r#"{"max_\u0074okens":9,"s":1}"#, &edits, r#"{"max_\u0074okens":9,"s":1,"seed":1}"#);
}

#[test]
fn usage_that_is_asked_for_in_two_ways_is_refused() {
    let body = Bytes::from_static(
        b"{\"n\":1,\n \"stream_options\":{\"include_usage\":true,\"include_usage\":false}}",
    );
    let object = scan(&body, &Limits::REQUEST).unwrap();
    let edits = RequestEdits { include_usage: true, ..RequestEdits::default() };
    let error = plan_request(&object, &edits, &body).unwrap_err();
    let sentence = "the member \"include_usage\" is given twice: line 2 column 41 (char 48)";
    assert_eq!(error.to_string(), sentence);
}

#[test]
fn pieces_come_in_order_by_reference_and_by_value() {
    let body = Bytes::from_static(br#"{"model":"a","n":1}"#);
    let object = scan(&body, &Limits::REQUEST).unwrap();
    let edits = RequestEdits { model: Some("b"), ..RequestEdits::default() };
    let segments = plan_request(&object, &edits, &body).unwrap();
    let by_reference: Vec<u8> = (&segments).into_iter().flatten().copied().collect();
    let by_value: Vec<u8> = segments.into_iter().flatten().collect();
    assert_eq!(by_reference, br#"{"model":"b","n":1}"#);
    assert_eq!(by_value, by_reference);
}
