//! Holds docs/differences.md to the tables of forms. `UPDATE_DOCS=1` rewrites the end of the page.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use tollgate_identity::form::{Effect, Form, Row, tables};

const BEGIN: &str =
    "<!-- members: made from the tables in crates/identity/src/form; a test compares them -->\n\n";

/// A member, with what is said of it, and the forms that have it so.
type Rows = BTreeMap<(&'static str, String), Vec<String>>;

/// The form by its title; where it both makes and changes, and the member is for one of these alone, with which.
fn place(form: &Form, row: &Row) -> String {
    let does_both = !form.new_routes.is_empty() && !form.change_routes.is_empty();
    match (row.is_for_new, row.is_for_change) {
        (true, false) if does_both => format!("new {}", form.title),
        (false, true) if does_both => format!("change of a {}", form.title),
        _ => form.title.to_owned(),
    }
}

fn rows(told: impl Fn(Effect) -> Option<String>) -> Rows {
    let mut rows = Rows::new();
    for form in tables() {
        for row in form.rows() {
            let Some(word) = told(row.effect) else { continue };
            let forms = rows.entry((row.name, word)).or_default();
            let place = place(form, row);
            if !forms.contains(&place) {
                forms.push(place);
            }
        }
    }
    rows
}

fn reference() -> String {
    let mut text = String::from("### Refused\n\n");
    text.push_str("An empty value (null, an empty text, list or object, false) passes: clients send all that they know.\n\n");
    text.push_str("| Member | In the form of | It |\n|---|---|---|\n");
    let refused = rows(|effect| match effect {
        Effect::Unsupported(why) => Some(why.replace('|', "\\|")),
        _ => None,
    });
    for ((name, why), forms) in refused {
        let _ = writeln!(text, "| `{name}` | {} | {why} |", forms.join(", "));
    }
    text.push_str("\n### Kept and shown, without effect\n\n| Member | In the form of |\n|---|---|\n");
    let stored = rows(|effect| matches!(effect, Effect::Stored).then(String::new));
    for ((name, _), forms) in stored {
        let _ = writeln!(text, "| `{name}` | {} |", forms.join(", "));
    }
    text
}

#[test]
fn the_page_of_differences_lists_every_member_that_is_refused_or_without_effect() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/differences.md");
    let page = std::fs::read_to_string(&path).expect("docs/differences.md");
    let (prose, written) = page.split_once(BEGIN).expect("the mark before the generated tables");
    let expect = reference();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, format!("{prose}{BEGIN}{expect}")).expect("docs/differences.md is writable");
    } else {
        let differs = written.lines().zip(expect.lines()).find(|(a, b)| a != b);
        assert!(written == expect, "run this test with UPDATE_DOCS=1; first difference: {differs:?}");
    }
}
