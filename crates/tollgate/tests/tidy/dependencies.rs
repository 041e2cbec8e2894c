//! What the workspace depends on, read from `cargo metadata --locked`: arrows between its crates, what pure crates
//! must not have, licences and sources of everything else.
//!
//! The allow lists of licences and the banned packages are `deny.toml`'s; this file only reads them.
//!
//! **Invariant**: every package of the lock file is judged, those of other platforms included.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

use super::{PURE, none, root};

/// Which crates of ours a crate may depend on. Arrows point down; the program at the top may use all.
const ARROWS: &[(&str, &[&str])] = &[
    ("catalog", &[]),
    ("dialect", &[]),
    ("policy", &["catalog"]),
    ("identity", &["policy", "catalog"]),
    ("config", &["policy", "catalog"]),
    ("upstream", &["dialect", "catalog"]),
    ("store", &[]),
    ("ledger", &["identity", "policy", "catalog", "store"]),
    ("credentials", &["upstream"]),
    ("oidc", &["upstream", "identity", "policy"]),
    ("alerts", &["upstream", "config", "catalog"]),
    ("simulator", &["dialect"]),
    ("similarity", &[]),
    ("embedder", &[]),
    ("cache", &["similarity"]),
    (
        "server",
        &[
            "alerts",
            "cache",
            "similarity",
            "upstream",
            "credentials",
            "oidc",
            "store",
            "ledger",
            "identity",
            "config",
            "policy",
            "dialect",
            "catalog",
        ],
    ),
    (
        "tollgate",
        &[
            "server",
            "simulator",
            "cache",
            "similarity",
            "upstream",
            "store",
            "ledger",
            "identity",
            "config",
            "policy",
            "dialect",
            "catalog",
        ],
    ),
    ("xtask", &["identity", "store"]),
];

/// Packages that bring I/O, a runtime, a clock or randomness.
const IMPURE: &[&str] =
    &["tokio", "hyper", "hyper-util", "mio", "rand", "fastrand", "getrandom", "notify", "socket2", "rustls"];

fn metadata() -> Value {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--locked"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

/// The packages of the workspace, by the names of their folders.
fn ours(metadata: &Value) -> Vec<(String, Value)> {
    let packages = metadata["packages"].as_array().unwrap();
    let members = packages.iter().filter(|package| package["source"].is_null());
    members.map(|package| (short(text(package, "name")).to_owned(), package.clone())).collect()
}

fn short(name: &str) -> &str {
    name.strip_prefix("tollgate-").unwrap_or(name)
}

/// The names that a package depends on, development dependencies among them or not.
fn dependencies(package: &Value, with_development: bool) -> Vec<String> {
    let all = package["dependencies"].as_array().unwrap();
    let wanted = all.iter().filter(|dependency| with_development || dependency["kind"] != "dev");
    wanted.map(|dependency| text(dependency, "name").to_owned()).collect()
}

fn allowed(package: &str) -> &'static [&'static str] {
    let row = ARROWS.iter().find(|(name, _)| *name == package);
    row.unwrap_or_else(|| panic!("{package} has no row in the table of arrows")).1
}

#[test]
fn arrows_between_crates_point_down_only() {
    let packages = ours(&metadata());
    let names: BTreeSet<&str> = packages.iter().map(|(name, _)| name.as_str()).collect();
    let mut wrong = Vec::new();
    for (name, package) in &packages {
        let built = dependencies(package, false);
        for dependency in built.iter().map(|dependency| short(dependency)) {
            if names.contains(dependency) && !allowed(name).contains(&dependency) {
                wrong.push(format!("{name} -> {dependency}"));
            }
        }
        // Tests may besides use the simulated providers.
        for dependency in dependencies(package, true) {
            let dependency = short(&dependency).to_owned();
            let known = allowed(name).contains(&dependency.as_str()) || dependency == "simulator";
            if names.contains(dependency.as_str()) && !known {
                wrong.push(format!("{name} -> {dependency} (for tests)"));
            }
        }
    }
    none("an arrow that the design does not have", &wrong);
}

#[test]
fn pure_crates_depend_on_nothing_that_acts() {
    let packages = ours(&metadata());
    let pure = packages.iter().filter(|(name, _)| PURE.contains(&name.as_str()));
    let wrong: Vec<String> = pure
        .flat_map(|(name, package)| {
            let built = dependencies(package, false);
            let impure = built.into_iter().filter(|dependency| IMPURE.contains(&dependency.as_str()));
            impure.map(move |dependency| format!("{name} -> {dependency}"))
        })
        .collect();
    none("a pure crate depends on something that acts", &wrong);
}

#[test]
fn every_crate_takes_the_lints_and_the_data_of_the_workspace() {
    let mut wrong = Vec::new();
    for (name, package) in ours(&metadata()) {
        let manifest = std::fs::read_to_string(text(&package, "manifest_path")).unwrap();
        let inherits = ["[lints]\nworkspace = true", "version.workspace = true", "edition.workspace = true"];
        for wanted in inherits.iter().filter(|wanted| !manifest.contains(**wanted)) {
            wrong.push(format!("{name}: {wanted:?} is missing"));
        }
        if text(&package, "description").is_empty() || text(&package, "license") != "Apache-2.0" {
            wrong.push(format!("{name}: a description and the licence of the project are wanted"));
        }
    }
    none("a manifest that goes its own way", &wrong);
}

/// The quoted strings of a list in deny.toml that starts with the given line.
fn listed(deny: &str, start: &str) -> Vec<String> {
    let lines = deny.lines().skip_while(|line| line.trim() != start).skip(1);
    let lines = lines.take_while(|line| line.trim() != "]").filter(|line| !line.trim().starts_with('#'));
    lines.filter_map(|line| line.split('"').nth(1).map(str::to_owned)).collect()
}

fn deny() -> String {
    std::fs::read_to_string(root().join("deny.toml")).unwrap()
}

#[test]
fn licences_are_those_that_the_project_allows() {
    let allowed = listed(&deny(), "allow = [");
    assert!(allowed.len() > 3, "{allowed:?}");
    let metadata = metadata();
    let packages = metadata["packages"].as_array().unwrap();
    let wrong: Vec<String> = packages
        .iter()
        .filter(|package| !package["source"].is_null() && !satisfied(text(package, "license"), &allowed))
        .map(|package| format!("{}: {}", text(package, "name"), text(package, "license")))
        .collect();
    none("a licence that deny.toml does not allow", &wrong);
}

#[test]
fn packages_come_from_one_registry_and_none_is_banned() {
    let banned = listed(&deny(), "deny = [");
    assert!(banned.iter().any(|name| name == "reqwest") && banned.iter().any(|name| name == "native-tls"));
    let metadata = metadata();
    let packages = metadata["packages"].as_array().unwrap();
    let foreign: Vec<&Value> = packages.iter().filter(|package| !package["source"].is_null()).collect();
    let sources: BTreeSet<&str> = foreign.iter().map(|package| text(package, "source")).collect();
    assert_eq!(sources.len(), 1, "{sources:?}");
    assert!(sources.iter().all(|source| source.starts_with("registry+")), "{sources:?}");
    let wrong = foreign.iter().map(|package| text(package, "name").to_owned());
    let wrong: Vec<String> = wrong.filter(|name| banned.contains(name)).collect();
    none("a banned package", &wrong);
}

/// Whether an SPDX expression can be met with the allowed licences. `/` is the old spelling of OR.
fn satisfied(expression: &str, allowed: &[String]) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    any(&mut rest, allowed) && rest.is_empty() && !words.is_empty()
}

fn any(rest: &mut &[&str], allowed: &[String]) -> bool {
    let mut met = all(rest, allowed);
    while rest.first() == Some(&"OR") {
        *rest = &rest[1..];
        met |= all(rest, allowed);
    }
    met
}

fn all(rest: &mut &[&str], allowed: &[String]) -> bool {
    let mut met = one(rest, allowed);
    while rest.first() == Some(&"AND") {
        *rest = &rest[1..];
        met &= one(rest, allowed);
    }
    met
}

fn one(rest: &mut &[&str], allowed: &[String]) -> bool {
    match *rest {
        ["(", ..] => {
            *rest = &rest[1..];
            let met = any(rest, allowed);
            let closed = rest.first() == Some(&")");
            *rest = rest.get(1..).unwrap_or_default();
            met && closed
        }
        [name, "WITH", exception, ..] => {
            let name = format!("{name} WITH {exception}");
            *rest = &rest[3..];
            allowed.contains(&name)
        }
        [name, ..] => {
            let met = allowed.iter().any(|allowed| allowed == name);
            *rest = &rest[1..];
            met
        }
        [] => false,
    }
}

#[test]
fn licence_expressions_are_read_as_spdx_means_them() {
    let allowed: Vec<String> = ["MIT", "ISC", "Apache-2.0 WITH LLVM-exception"].map(str::to_owned).into();
    let check = |expression: &str, expect: bool| {
        assert_eq!(satisfied(expression, &allowed), expect, "{expression:?}");
    };
    check("MIT", true);
    check("GPL-3.0", false);
    check("GPL-3.0 OR MIT", true);
    check("Unlicense/MIT", true);
    check("MIT AND ISC", true);
    check("MIT AND GPL-3.0", false);
    check("(MIT OR GPL-3.0) AND ISC", true);
    check("(MIT OR GPL-3.0) AND Unicode-3.0", false);
    check("Apache-2.0 WITH LLVM-exception OR GPL-3.0", true);
    check("Apache-2.0", false);
    check("", false);
    check("MIT MIT", false);
}
