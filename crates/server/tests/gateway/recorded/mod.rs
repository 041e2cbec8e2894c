//! What LiteLLM Proxy was seen to answer on the admin API, played again to the running gateway: one session, in its recorded
//! order, with the ids, keys and times that come out of it here.
//!
//! Owns: the session, and the page of the differences. Leaves to others: the shapes of forms and replies as pure functions
//! (`crates/identity/tests/wire`), chats and the provider's part of them (`tests/python/test_contract.py`).
//!
//! **Invariant:** status, headers and members that differ are rows of one table, and a row that nothing differs by fails.

mod compare;
mod exchange;
mod intended;
mod session;

use crate::server;
use compare::{Difference, Names};
use exchange::Exchange;
use intended::{INTENDED, Intended};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

const BEGIN: &str =
    "<!-- replies: made from the table in crates/server/tests/gateway/recorded; a test compares them -->\n\n";
const END: &str = "\n<!-- end of replies -->\n";

#[tokio::test]
async fn a_recorded_session_is_answered_as_litellm_answered_it() {
    play(None).await;
}

#[tokio::test]
async fn the_same_session_is_answered_in_the_same_way_on_postgresql() {
    let shared = server::shared();
    let name = format!("recorded_{}", std::process::id());
    server::execute(&shared, &format!("CREATE DATABASE {name}")).await.unwrap();
    let (address, _) = shared.rsplit_once('/').unwrap();
    play(Some(&format!("{address}/{name}"))).await;
    server::execute(&shared, &format!("DROP DATABASE {name} WITH (FORCE)")).await.unwrap();
}

/// Plays the session, and holds each answer against the recorded one.
async fn play(database: Option<&str>) {
    let (mut unnamed, mut used) = (String::new(), vec![0_usize; INTENDED.len()]);
    let mut names = Names::default();
    let mut play = session::Play::open(database).await;
    for at in 0..session::STEPS.len() {
        let Some((theirs, ours)) = play.step(at, &mut names).await else { continue };
        let before = unnamed.len();
        for difference in compare::exchanges(&theirs, &ours, &mut names) {
            explain(&theirs, &difference, &mut used, &mut unnamed);
        }
        if unnamed.len() > before {
            let _ = writeln!(unnamed, "    {}: {}", theirs.name, ours.text);
        }
    }
    play.close().await;
    let idle = INTENDED.iter().zip(&used).filter(|(_, count)| **count == 0).map(|(row, _)| row);
    let idle: Vec<_> = idle.map(|row| format!("{} {}", row.replies, row.place)).collect();
    assert!(unnamed.is_empty(), "differences that nothing explains:\n{unnamed}\nunused: {idle:#?}");
    assert!(idle.is_empty(), "differences that are none any more: {idle:#?}");
}

/// Finds the row that a difference is meant by, or writes it down.
fn explain(theirs: &Exchange, difference: &Difference, used: &mut [usize], unnamed: &mut String) {
    let mut found = false;
    for (row, count) in INTENDED.iter().zip(used) {
        if row.is_for(theirs) && compare::is_like(row.place, &difference.place) {
            *count += 1;
            found = true;
        }
    }
    if !found {
        let _ = writeln!(unnamed, "{}: {}: {}", theirs.name, difference.place, difference.what);
    }
}

#[test]
fn every_recording_here_is_played() {
    let mut played: Vec<String> = session::names().map(str::to_owned).collect();
    for folder in exchange::FOLDERS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        for file in std::fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap();
            let at = played.iter().position(|other| other == name);
            played.swap_remove(at.unwrap_or_else(|| panic!("{name} is not played")));
        }
    }
    assert!(played.is_empty(), "without a recording: {played:?}");
}

#[test]
fn the_page_of_differences_has_every_reply_that_differs() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/differences.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (prose, rest) = page.split_once(BEGIN).expect("the mark before the table of replies");
    let (written, rest) = rest.split_once(END).expect("the mark behind the table of replies");
    let expect = table();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, format!("{prose}{BEGIN}{expect}{END}{rest}")).unwrap();
    } else {
        let differs = written.lines().zip(expect.lines()).find(|(one, other)| one != other);
        assert!(written == expect, "run this test with UPDATE_DOCS=1; first difference: {differs:?}");
    }
}

/// The table as the page has it: a line for each reason, with all that it explains.
fn table() -> String {
    let recorded: Vec<Exchange> = session::names().map(Exchange::read).collect();
    let mut text = String::from("| Reply to | What is otherwise | Why |\n|---|---|---|\n");
    let mut told: Vec<&str> = Vec::new();
    for why in INTENDED.iter().map(|row| row.why) {
        if told.contains(&why) {
            continue;
        }
        told.push(why);
        let rows: Vec<&Intended> = INTENDED.iter().filter(|row| row.why == why).collect();
        let routes = recorded.iter().filter(|one| rows.iter().any(|row| row.is_for(one))).map(route);
        let routes: BTreeSet<String> = routes.collect();
        let places: BTreeSet<&str> = rows.iter().map(|row| row.place).collect();
        let routes =
            if rows.iter().any(|row| row.replies == "*") { "all".to_owned() } else { quoted(&routes) };
        let _ = writeln!(text, "| {routes} | {} | {why} |", quoted(&places));
    }
    text
}

fn quoted<T: AsRef<str>>(list: &BTreeSet<T>) -> String {
    list.iter().map(|it| format!("`{}`", it.as_ref())).collect::<Vec<_>>().join(", ")
}

/// The path of a recording, without what stands for one record.
fn route(exchange: &Exchange) -> String {
    let path = exchange.path.split('?').next().unwrap();
    let is_id = |part: &str| part.contains(|letter: char| letter.is_ascii_digit()) && part.len() > 3;
    let parts: Vec<&str> = path.split('/').map(|part| if is_id(part) { "{id}" } else { part }).collect();
    parts.join("/")
}
