//! The page, read: its configurations, and the replies that it shows.
//!
//! **Invariant:** a reply is found by the name in the mark on the line before it; every reply is compared by a test.

use crate::stand::secret;
use crate::support::Answer;
use serde_json::Value;
use std::path::{Path, PathBuf};
use tollgate_config::Severity;

/// What stands on the line before a reply, but for its name.
const MARK: &str = "<!-- reply: ";

/// The configurations of the page, in its order.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Design {
    Wealth,
    Support,
}

/// The folder of the page.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").canonicalize().unwrap()
}

fn text() -> String {
    std::fs::read_to_string(folder().join("failover.md")).unwrap()
}

/// The blocks of a language, each with the line before it.
fn blocks(language: &str) -> Vec<(String, String)> {
    let text = text();
    let opening = format!("```{language}");
    let mut found = Vec::new();
    let (mut before, mut lines) = ("", text.lines());
    while let Some(line) = lines.next() {
        if line == opening {
            let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            found.push((before.to_owned(), block.join("\n") + "\n"));
        }
        before = line;
    }
    found
}

/// A configuration of the page.
pub(crate) fn configuration(design: Design) -> String {
    blocks("yaml").into_iter().nth(design as usize).unwrap().1
}

/// The replies of the page: name and lines.
fn replies() -> Vec<(String, String)> {
    let named = |(before, block): (String, String)| {
        let name = before.strip_prefix(MARK).and_then(|rest| rest.strip_suffix(" -->"));
        (name.unwrap_or_else(|| panic!("a reply without a name:\n{block}")).to_owned(), block)
    };
    blocks("http").into_iter().map(named).collect()
}

/// Holds a reply against the one of this name on the page: its status and every header that the page shows.
pub(crate) fn shows(name: &str, reply: &Answer) {
    let replies = replies();
    let (_, shown) = replies.iter().find(|(known, _)| known == name).unwrap_or_else(|| panic!("no {name}"));
    let mut lines = shown.lines();
    assert_eq!(reply.raw_head.lines().next(), lines.next(), "{name}: {}", reply.everything());
    for line in lines {
        let (header, value) = line.split_once(": ").unwrap();
        assert_eq!(reply.header(header), Some(value), "{name}: {header} in\n{}", reply.raw_head);
    }
}

/// Holds JSON against that below this mark on the page: what is shown there is in it.
pub(crate) fn says(mark: &str, answer: &Value) {
    let mark = format!("<!-- {mark} -->");
    let (_, shown) = blocks("json").into_iter().find(|(before, _)| *before == mark).unwrap();
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert!(holds(answer, &shown), "{shown:#}\nis not all in\n{answer:#}");
}

/// Whether `whole` has everything that `part` has: members of objects, and all elements of lists in their order.
fn holds(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => {
            part.iter().all(|(name, part)| whole.get(name).is_some_and(|whole| holds(whole, part)))
        }
        (Value::Array(whole), Value::Array(part)) => {
            whole.len() == part.len() && whole.iter().zip(part).all(|(whole, part)| holds(whole, part))
        }
        (whole, part) => whole == part,
    }
}

#[test]
fn every_reply_of_the_page_is_compared_by_a_test() {
    let tests = [
        include_str!("wealth.rs"),
        include_str!("sensitive.rs"),
        include_str!("support_bot.rs"),
        include_str!("rehearsals.rs"),
    ];
    let tests = tests.concat();
    let replies = replies();
    assert!(!replies.is_empty());
    for (at, (name, _)) in replies.iter().enumerate() {
        assert!(tests.contains(&format!("shows(\"{name}\"")), "nothing is compared with {name}");
        assert!(replies[..at].iter().all(|(other, _)| other != name), "{name} is there twice");
    }
}

#[test]
fn every_request_of_the_page_is_json() {
    for (_, block) in blocks("json") {
        serde_json::from_str::<Value>(&block).unwrap_or_else(|error| panic!("{error}: {block}"));
    }
}

#[test]
fn the_configurations_of_the_page_are_whole_and_have_no_findings_but_notes() {
    assert_eq!(blocks("yaml").len(), 2, "a configuration that no test runs");
    for design in [Design::Wealth, Design::Support] {
        let (yaml, entry) = (configuration(design), folder().join("a-configuration-of-the-page.yaml"));
        let mut read =
            |path: &Path| if path == entry { Ok(yaml.clone()) } else { std::fs::read_to_string(path) };
        let variable = |name: &str| yaml.contains(&format!("os.environ/{name}")).then(|| secret(name));
        let loaded = tollgate_config::load(&entry, &mut read, &variable);
        let report = &loaded.report;
        assert!(loaded.config.is_some(), "{design:?}\n{report}");
        let is_note = |severity: Severity| severity == Severity::Note;
        assert!(report.findings.iter().all(|finding| is_note(finding.severity)), "{design:?}\n{report}");
        assert!(!report.to_string().contains("not yet active"), "{design:?}\n{report}");
        assert_eq!(loaded.files.len(), 2, "{design:?} has its canned answers beside the page");
    }
}
