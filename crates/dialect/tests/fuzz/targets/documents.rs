//! Whole documents: JSON by scan and splice against `serde_json`'s tree, multipart forms, and the text of custom tools.

use super::cuts;
use bytes::Bytes;
use serde_json::{Map, Value as Tree, json};
use tollgate_dialect::conversation::custom::{InputReader, unwrap_input, wrap_input};
use tollgate_dialect::json::{Limits, Object, ScanErrorKind, Splice, scan};
use tollgate_dialect::multipart::{Form, boundary};

/// The scan accepts what `serde_json` accepts, with equal values, unless it is stricter on purpose.
pub(crate) fn check_scan(body: &[u8]) {
    let tree = serde_json::from_slice::<Tree>(body);
    match (scan(body, &Limits::REPLY), tree) {
        (Ok(object), Ok(tree)) => check_same(&object, &tree, body),
        (Ok(_), Err(error)) => panic!("only the scan accepts it: {error}"),
        (Err(error), Ok(tree)) => {
            assert!(is_stricter_on_purpose(&error.kind, &tree), "only serde_json accepts it: {error}");
        }
        (Err(error), Err(_)) => assert!(error.offset <= body.len() && error.character <= error.offset),
    }
    // Tighter limits refuse more and read nothing differently.
    if let Ok(object) = scan(body, &Limits::REQUEST) {
        let looser = scan(body, &Limits::REPLY).expect("the looser limits");
        assert_eq!(object.len(), looser.len());
    }
}

/// What the scan refuses although it is JSON; each kind of refusal has its ground in the tree.
fn is_stricter_on_purpose(kind: &ScanErrorKind, tree: &Tree) -> bool {
    match kind {
        ScanErrorKind::DuplicateMember(name) => tree.get(name).is_some(),
        ScanErrorKind::NotAnObject => !tree.is_object(),
        _ => false,
    }
}

fn check_same(object: &Object<'_>, tree: &Tree, body: &[u8]) {
    let tree = tree.as_object().expect("an object");
    assert_eq!(object.len(), tree.len());
    for (member, (name, value)) in object.members().zip(tree) {
        assert_eq!(&member.name, name);
        assert_eq!(body.get(member.value.span()), Some(member.value.raw()));
        let parsed: Tree = serde_json::from_slice(member.value.raw()).expect("a valid value");
        assert_eq!(&parsed, value);
        assert_eq!(member.value.as_str().as_deref(), value.as_str());
        assert_eq!(member.value.as_bool(), value.as_bool());
        assert_eq!(member.value.is_null(), value.is_null());
        if let Some(number) = value.as_f64() {
            assert_eq!(member.value.as_f64(), Some(number));
        }
        if let Some(items) = value.as_array() {
            let scanned = member.value.array_items().map(|item| serde_json::from_slice(item.raw()));
            let scanned: Result<Vec<Tree>, _> = scanned.collect();
            assert_eq!(&scanned.expect("valid items"), items);
        }
        if let Some(inner) = member.value.as_object() {
            check_same(&inner, value, body);
        }
    }
}

/// Splices read as the same edits made on a tree. The body's own names are edited, and some that it may not have.
pub(crate) fn check_splice(body: &[u8]) {
    let bytes = Bytes::copy_from_slice(body);
    let Ok(object) = scan(&bytes, &Limits::REPLY) else { return };
    let Ok(tree) = serde_json::from_slice::<Map<String, Tree>>(body) else { panic!("a scanned object") };
    let names: Vec<&str> =
        tree.keys().map(String::as_str).chain(["model", "stream_options", "\u{e9}\"\n"]).collect();
    let untouched = Splice::new(&object).finish(&bytes);
    assert!(untouched.is_unchanged() && untouched.to_bytes() == bytes);
    for (place, name) in names.iter().enumerate() {
        let other = names.get((place * 7 + 1) % names.len()).copied().unwrap_or_default();
        let mut edited = tree.clone();
        let mut splice = Splice::new(&object);
        splice.set_string(*name, "new \"value\"");
        edited.insert((*name).to_owned(), json!("new \"value\""));
        splice.rename(other, "renamed");
        if let Some(value) = edited.shift_remove(other) {
            edited.insert("renamed".to_owned(), value);
        }
        splice.remove(names.first().copied().unwrap_or_default());
        edited.shift_remove(names.first().copied().unwrap_or_default());
        splice.set("last", "[1]");
        edited.insert("last".to_owned(), json!([1]));
        if splice.set_in("stream_options", "include_usage", "true").is_ok() {
            set_in(&mut edited);
        }
        let whole = splice.finish(&bytes).to_bytes();
        let text = String::from_utf8_lossy(&whole);
        let scanned = scan(&whole, &Limits::REPLY).map(|_| ());
        assert!(scanned.is_ok(), "{scanned:?}: {text}");
        assert_eq!(serde_json::from_slice::<Tree>(&whole).ok(), Some(Tree::Object(edited)), "{text}");
    }
}

fn set_in(tree: &mut Map<String, Tree>) {
    let current = tree.entry("stream_options").or_insert(Tree::Null);
    if current.is_null() {
        *current = json!({});
    }
    if let Some(inner) = current.as_object_mut() {
        inner.insert("include_usage".to_owned(), json!(true));
    }
}

/// A form: its first line is the content type, the rest the body.
pub(crate) fn check_form(input: &[u8]) {
    let at = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    let (head, body) = input.split_at(at);
    let content_type = String::from_utf8_lossy(head);
    let Some(boundary) = boundary(content_type.trim_end()) else { return };
    let body = Bytes::copy_from_slice(body.get(1..).unwrap_or_default());
    let Ok(form) = Form::read(&body, boundary) else { return };
    let values = |form: &Form<'_>, body: &[u8]| -> Vec<(String, bool, Vec<u8>)> {
        let value = |field: &tollgate_dialect::multipart::Field<'_>| {
            body.get(field.value.clone()).map(<[u8]>::to_vec)
        };
        let fields = form.fields().iter();
        fields
            .map(|field| (field.name.to_owned(), field.is_file, value(field).expect("within the body")))
            .collect()
    };
    let before = values(&form, &body);
    let ends: Vec<usize> = form.fields().iter().map(|field| field.value.end).collect();
    assert!(ends.is_sorted(), "fields stand in order");
    assert!(before.iter().filter(|(name, ..)| name == "model").count() <= 1, "one model at most");
    // The boundary ends a value, so a name that holds one cannot be put in.
    for model in ["gpt-4o-mini", "m\u{f6}del"] {
        let rewritten = Bytes::from(form.rewrite(&body, model, &["user"]).concat());
        let again = Form::read(&rewritten, boundary).expect("a form");
        assert_eq!(again.text("model"), Some(model), "{:?}", String::from_utf8_lossy(&rewritten));
        let others = |fields: Vec<(String, bool, Vec<u8>)>| -> Vec<(String, bool, Vec<u8>)> {
            fields.into_iter().filter(|(name, ..)| name != "model" && name != "user").collect()
        };
        assert_eq!(others(values(&again, &rewritten)), others(before.clone()), "the other fields stay");
    }
}

/// The text of a custom tool comes out of its arguments the same for every way of cutting them.
pub(crate) fn check_custom_input(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let whole = unwrap_input(&text);
    for size in [1, 2, 5, usize::MAX] {
        assert_eq!(streamed(&text, size), whole, "pieces of {size} characters of {text:?}");
    }
    let wrapped = wrap_input(&text);
    for size in [1, 3, usize::MAX] {
        assert_eq!(streamed(&wrapped, size), text, "what was wrapped, in pieces of {size} characters");
    }
}

fn streamed(arguments: &str, size: usize) -> String {
    let mut reader = InputReader::default();
    let mut input: String = cuts::of_text(arguments, size).iter().map(|piece| reader.push(piece)).collect();
    input.push_str(&reader.finish());
    input
}
