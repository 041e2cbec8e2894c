//! Every route of the router against everybody: what is answered is what the tables say, written by hand.
//!
//! The admin API is held to `identity`'s table of expectations, every other route to `routes.txt` beside this file. A body
//! that says a member twice is sent everywhere: who is let in is told so, and nothing is done.

use super::world::World;
use crate::support::Answer;
use std::collections::{BTreeMap, BTreeSet};
use tollgate_identity::access::ROUTES;
use tollgate_server::routes::{Found, PREFIXES, Routes, TABLE};

const EXPECTED: &str = include_str!("../../../../identity/src/access/expected.txt");
const OTHERS: &str = include_str!("routes.txt");
const LITELLM: &str = include_str!("../../../data/litellm_routes.txt");
/// Where forms do not look, since the scan before them has refused it.
pub(super) const TWICE: &str = r#"{"a": 1, "a": 2}"#;

/// Those who are not let in.
const OUTSIDE: [&str; 7] =
    ["anonymous", "unknown", "expired", "blocked", "revoked", "replaced", "of a shut team"];

/// Columns of the expectations, by those of this world; there are no keys with the role of a team or of a customer.
const COLUMNS: [(&str, &str); 17] = [
    ("anonymous", "anonymous"),
    ("expired", "expired"),
    ("blocked", "blocked"),
    ("bare key", "bare-a"),
    ("ghost", "ghost"),
    ("team key", "team-a"),
    ("reader", "reader"),
    ("user", "alone-a"),
    ("member", "member-a"),
    ("permitted", "permitted"),
    ("team admin", "chief-a"),
    ("org admin", "boss-a"),
    ("viewer", "viewer"),
    ("llm key", "llm key"),
    ("info key", "info key"),
    ("admin", "admin"),
    ("master", "master"),
];

/// `-` not let in, `r` not a route of the key, `.` nobody like this may, `x` let in.
pub(super) fn verdict(answer: &Answer) -> char {
    let said = answer.everything();
    match answer.status {
        401 if said.contains("Only proxy admin can be used to generate") => '.',
        401 => '-',
        403 if said.contains("Virtual key is not allowed to call this route") => 'r',
        _ => 'x',
    }
}

/// What a column of the expectations gives somebody of a route of the admin API.
pub(super) fn expected_of(column: &str, method: &str, pattern: &str) -> char {
    let head = EXPECTED.lines().next().unwrap().trim_start_matches("# ");
    let at = head.split(", ").position(|name| name == column).unwrap();
    let row = EXPECTED.lines().find(|line| {
        let mut words = line.split(' ');
        words.next() == Some(method) && words.next().is_some_and(|path| path_of(path) == path_of(pattern))
    });
    match row.unwrap_or_else(|| panic!("{method} {pattern}")).split(' ').nth(at + 2).unwrap() {
        one @ ("-" | "r" | ".") => one.chars().next().unwrap(),
        _ => 'x',
    }
}

/// A path of a pattern; what changes in it is nobody's.
pub(super) fn path_of(pattern: &str) -> String {
    let parts = pattern.split('/').map(|part| match part.split_once('{') {
        Some((before, rest)) => {
            let after = rest.split_once('}').map_or("", |(_, after)| after);
            format!("{before}none-such{after}")
        }
        None => part.to_owned(),
    });
    parts.collect::<Vec<_>>().join("/")
}

/// What each of these is answered, in their order.
async fn verdicts(world: &World, who: &str, asked: &[(String, String)]) -> Vec<char> {
    let mut line = world.line(who);
    let mut told = Vec::with_capacity(asked.len());
    for (method, path) in asked {
        told.push(verdict(&line.ask_text(method, path, TWICE).await));
    }
    told
}

/// Holds that everybody gets the expected verdict; the routes as method, pattern, and what each of `names` is to get.
async fn check(world: &World, names: &[&str], rows: &[(String, String, Vec<char>)]) -> usize {
    let asked: Vec<(String, String)> =
        rows.iter().map(|(method, pattern, _)| (method.clone(), path_of(pattern))).collect();
    let mut wrong = Vec::new();
    for (at, who) in names.iter().enumerate() {
        let told = verdicts(world, who, &asked).await;
        for ((method, pattern, expected), told) in rows.iter().zip(told) {
            if expected[at] != told {
                wrong.push(format!("{method} {pattern}: {who} is to get {} and got {told}", expected[at]));
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong verdicts:\n{}", wrong.len(), wrong.join("\n"));
    names.len() * rows.len()
}

fn is_served(routes: &Routes, method: &str, path: &str) -> bool {
    let found = routes.find(&method.parse().unwrap(), &path_of(path));
    let missing = "NotImplemented";
    match &found {
        Found::Served { route, .. } => format!("{route:?}") != missing,
        Found::Admin(_) => true,
        Found::WrongMethod(_) | Found::Nothing => false,
    }
}

#[tokio::test]
async fn every_route_of_the_admin_api_gives_everybody_what_the_table_says() {
    let world = World::open("").await;
    let routes = Routes::new().unwrap();
    let mut lines = EXPECTED.lines();
    let head: Vec<&str> = lines.next().unwrap().trim_start_matches("# ").split(", ").collect();
    let at = |column: &str| head.iter().position(|name| *name == column).unwrap();
    let columns: Vec<usize> = COLUMNS.iter().map(|(column, _)| at(column)).collect();
    let names: Vec<&str> = COLUMNS.iter().map(|(_, who)| *who).chain(OUTSIDE).collect();
    let mut rows = Vec::new();
    for line in lines {
        let mut words = line.split(' ');
        let (method, path) = (words.next().unwrap(), words.next().unwrap());
        if !is_served(&routes, method, path) {
            continue;
        }
        let letters: Vec<&str> = words.collect();
        let of = |at: &usize| match letters[*at] {
            one @ ("-" | "r" | ".") => one.chars().next().unwrap(),
            _ => 'x',
        };
        let expected = columns.iter().map(of).chain(OUTSIDE.map(|_| '-')).collect();
        rows.push((method.to_owned(), path.to_owned(), expected));
    }
    assert!(rows.len() > 200, "{}", rows.len());
    let asked = check(&world, &names, &rows).await;
    assert!(asked > 4_500, "{asked}");
    world.close().await;
}

/// What everybody gets on a route of each class: those outside, those inside, whoever sees everything, keys for models
/// alone and for information alone, those who administer the gateway.
fn class(name: &str) -> [char; 6] {
    match name {
        "open" => ['x', 'x', 'x', 'x', 'x', 'x'],
        "model" => ['-', 'x', 'x', 'x', 'r', 'x'],
        "both" => ['-', 'x', 'x', 'x', 'x', 'x'],
        "own" => ['-', 'x', 'x', 'r', 'r', 'x'],
        "change" => ['-', '.', '.', 'r', 'r', 'x'],
        other => panic!("{other} is no class"),
    }
}

/// Every route that is not of the admin API: of the table, below the prefixes.
fn others() -> BTreeSet<(String, String)> {
    let is_admin = |method: &str, path: &str| {
        ROUTES.iter().any(|row| row.method == method && path_of(row.path) == path_of(path))
    };
    let of_table = TABLE.iter().map(|row| (row.method.to_string(), row.path.to_owned()));
    let below = PREFIXES.iter().map(|prefix| ("*".to_owned(), format!("{}/{{below}}", prefix.path)));
    of_table.chain(below).filter(|(method, path)| !is_admin(method, path)).collect()
}

#[tokio::test]
async fn every_other_route_gives_everybody_what_the_list_says() {
    let world = World::open("").await;
    let listed: BTreeMap<(String, String), &str> = OTHERS
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let words: Vec<&str> = line.split(' ').collect();
            ((words[1].to_owned(), words[2].to_owned()), words[0])
        })
        .collect();
    let there = others();
    let missing: Vec<_> = there.iter().filter(|route| !listed.contains_key(route)).collect();
    let gone: Vec<_> = listed.keys().filter(|route| !there.contains(*route)).collect();
    assert!(missing.is_empty() && gone.is_empty(), "not listed: {missing:?}\nnot there: {gone:?}");
    let inside = ["bare-a", "project-a", "team-a", "reader", "alone-a", "member-a", "chief-a", "boss-a"];
    let names: Vec<&str> = OUTSIDE
        .into_iter()
        .chain(inside)
        .chain(["viewer", "llm key", "info key", "admin", "master"])
        .collect();
    let rows = listed.iter().flat_map(|((method, path), name)| {
        let [outside, within, viewer, llm, info, admin] = class(name);
        let expected: Vec<char> = std::iter::repeat_n(outside, OUTSIDE.len())
            .chain(std::iter::repeat_n(within, inside.len()))
            .chain([viewer, llm, info, admin, admin])
            .collect();
        let methods = if method == "*" { "GET POST PUT PATCH DELETE" } else { method };
        methods.split(' ').map(move |method| (method.to_owned(), path.clone(), expected.clone()))
    });
    let asked = check(&world, &names, &rows.collect::<Vec<_>>()).await;
    assert!(asked > 3_000, "{asked}");
    assert_eq!(world.app.received().iter().filter(|request| request.path.contains("none-such")).count(), 0);
    world.close().await;
}

#[tokio::test]
async fn a_route_of_litellms_that_is_not_there_is_not_told_to_those_outside() {
    let world = World::open("").await;
    let routes = Routes::new().unwrap();
    let rows = LITELLM.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once(' '));
    let rows = rows.flat_map(|(path, methods)| methods.split(',').map(move |method| (method, path)));
    let rows = rows.filter(|(method, _)| *method != "HEAD");
    let missing = rows.filter(|(method, path)| {
        let found = routes.find(&method.parse().unwrap(), &path_of(path));
        matches!(found, Found::Served { route, .. } if format!("{route:?}") == "NotImplemented")
    });
    let expected: Vec<char> = OUTSIDE.iter().map(|_| '-').chain(['x']).collect();
    let rows: Vec<_> =
        missing.map(|(method, path)| (method.to_owned(), path.to_owned(), expected.clone())).collect();
    assert!(rows.len() > 100, "{}", rows.len());
    let names: Vec<&str> = OUTSIDE.into_iter().chain(["master"]).collect();
    check(&world, &names, &rows).await;
    world.close().await;
}
