//! Tidiness of the whole workspace, held by ordinary tests: who may depend on whom, what pure crates may not touch,
//! how large files and functions grow, which licences come in, where links lead.
//!
//! The rules are here and in `dependencies.rs`; reading Rust text is `source.rs`'s, links are `links.rs`'s.
//!
//! **Invariant**: a failure names the file and line, or the package, and the rule that it breaks.

// Helpers of tests are outside of `#[test]` functions, and may fail as these do.
#![allow(clippy::unwrap_used, clippy::panic)]

mod dependencies;
mod links;
mod source;

use std::path::{Path, PathBuf};

use source::Source;

/// Lines of non-test code that a file may have.
const FILE_LINES_MAX: usize = 600;
/// Lines of code that a function may have, its signature included.
const FUNCTION_LINES_MAX: usize = 70;

/// Files that are tables: rows of facts without control flow, which read best in one piece.
const TABLES: &[&str] = &["crates/catalog/src/provider/table.rs"];

/// Crates without I/O, clock and randomness of their own.
const PURE: &[&str] = &["catalog", "config", "dialect", "identity", "policy", "similarity"];

/// The root of the workspace.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// The files below a folder with one of the endings, without build output and version control.
fn files(folder: &Path, endings: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap().flatten() {
            let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
            if path.is_dir() {
                let skipped = ["target", ".git", "node_modules", "__pycache__", ".pytest_cache", ".venv"];
                if !skipped.contains(&name.as_str()) {
                    folders.push(path);
                }
            } else if endings.iter().any(|ending| name.ends_with(ending)) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Every Rust file of the workspace.
fn sources() -> Vec<Source> {
    let root = root();
    let found: Vec<Source> = ["crates", "xtask"]
        .iter()
        .flat_map(|folder| files(&root.join(folder), &[".rs"]))
        .map(|path| Source::read(&root, &path))
        .collect();
    assert!(found.len() > 20, "only {} Rust files were found", found.len());
    found
}

/// Fails with every violation at once.
fn none(rule: &str, violations: &[String]) {
    assert!(violations.is_empty(), "{rule}:\n  {}", violations.join("\n  "));
}

#[test]
fn every_file_opens_by_saying_what_it_owns() {
    let silent = sources().into_iter().filter(|source| !source.text.starts_with("//! "));
    none("a file opens with //!", &silent.map(|source| source.name).collect::<Vec<_>>());
}

#[test]
fn files_stay_short_enough_to_be_read_in_one_sitting() {
    let long = sources().into_iter().filter(|source| !TABLES.contains(&source.name.as_str()));
    let long = long.filter(|source| source.product_lines() > FILE_LINES_MAX);
    let long: Vec<String> =
        long.map(|source| format!("{}: {} lines", source.name, source.product_lines())).collect();
    none("a file has at most 600 lines of non-test code, tables apart", &long);
}

#[test]
fn a_function_is_a_page() {
    let mut long = Vec::new();
    for source in sources() {
        for function in source.functions().filter(|function| function.lines > FUNCTION_LINES_MAX) {
            long.push(format!("{}:{}: {} has {}", source.name, function.at, function.name, function.lines));
        }
    }
    none("a function has at most 70 lines of code", &long);
}

#[test]
fn nothing_is_left_to_do_later() {
    // Spelt in halves, so that this file does not find itself.
    let marks = [["TO", "DO"].concat(), ["FIX", "ME"].concat(), ["XX", "X:"].concat()];
    let mut left = Vec::new();
    for source in sources() {
        for (number, line) in source.text.lines().enumerate() {
            if marks.iter().any(|mark| line.contains(mark.as_str())) {
                left.push(format!("{}:{}: {}", source.name, number + 1, line.trim()));
            }
        }
    }
    none("what is not done is said in the issue, not in the code", &left);
}

/// Finds forbidden paths in the non-test code of the crates that `among` chooses.
fn uses(among: impl Fn(&str) -> bool, forbidden: &[&str]) -> Vec<String> {
    let chosen = sources().into_iter().filter(|source| source.is_product() && among(&source.package));
    let mut found = Vec::new();
    for source in chosen {
        for path in forbidden {
            found.extend(source.uses_of(path).map(|line| format!("{}:{line}: {path}", source.name)));
        }
    }
    found
}

#[test]
fn pure_crates_have_no_clock_no_files_no_network_no_environment() {
    let forbidden = [
        "SystemTime",
        "Instant::now",
        "std::fs",
        "std::net::TcpStream",
        "std::net::TcpListener",
        "std::net::UdpSocket",
        "std::net::ToSocketAddrs",
        "std::env",
        "std::thread",
        "std::process",
        "thread_local!",
    ];
    none("a pure crate takes everything as an argument", &uses(|name| PURE.contains(&name), &forbidden));
}

#[test]
fn programs_are_started_by_xtask_and_tests_alone() {
    none(
        "std::process::Command is for xtask and tests",
        &uses(|name| name != "xtask", &["process::Command"]),
    );
}

#[test]
fn sockets_to_the_outside_are_opened_in_upstream_alone() {
    let elsewhere = |name: &str| !["upstream", "simulator", "xtask"].contains(&name);
    let forbidden = ["TcpStream::connect", "TcpSocket::new_v4", "TcpSocket::new_v6", "UnixStream::connect"];
    none("outbound sockets live in upstream", &uses(elsewhere, &forbidden));
}

/// Where files are read and written beside the road of a request: keys that are replaced by themselves, credentials that are
/// renewed, and a test.
const BESIDE_THE_ROAD: [&str; 3] = [
    "crates/server/src/rotation.rs",
    "crates/credentials/src/surroundings.rs",
    "crates/server/src/pipeline/cost.rs",
];

#[test]
fn what_serves_requests_waits_on_no_thread() {
    let serving = ["server", "upstream", "credentials", "oidc", "alerts"];
    let forbidden = [
        "std::fs",
        "thread::sleep",
        "thread::park",
        "blocking_recv",
        "blocking_send",
        "blocking_lock",
        "block_on",
        "block_in_place",
        "Condvar",
    ];
    let found = uses(|name| serving.contains(&name), &forbidden).into_iter();
    let beside = |line: &String| BESIDE_THE_ROAD.iter().any(|file| line.starts_with(file));
    let found: Vec<String> = found.filter(|line| !beside(line)).collect();
    none("nothing waits on a thread that serves requests", &found);
    let slow = sources().into_iter().filter(|source| source.is_product() && source.package == "server");
    let mut found = Vec::new();
    for source in slow {
        for line in ["hash_password(", "is_password("] {
            let lines = source.text.lines().filter(|found| found.contains(line));
            let waiting = lines.filter(|line| !line.contains("spawn_blocking"));
            found.extend(waiting.map(|line| format!("{}: {}", source.name, line.trim())));
        }
    }
    none("a password's hash is made where nobody waits for it", &found);
}

#[test]
fn no_file_names_a_machine_of_ours() {
    let root = root();
    // Spelt in parts, so that this file does not find itself.
    let marks = [["/wo", "rk/"].concat(), ["/ro", "ot/"].concat(), ["/ho", "me/"].concat()];
    let endings = [".rs", ".md", ".toml", ".py", ".mjs", ".yaml", ".yml", ".json", ".ini"];
    let mut found = Vec::new();
    for path in files(&root, &endings) {
        let name = path.strip_prefix(&root).unwrap().display().to_string();
        // Catalogue data and recordings hold strings of other people's making.
        if name.contains("/data/") || name.contains("/fixtures/") {
            continue;
        }
        let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
        for (number, line) in text.lines().enumerate() {
            if marks.iter().any(|mark| line.contains(mark.as_str())) {
                found.push(format!("{name}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    none("a path of one machine has no place in the repository", &found);
}

#[test]
fn the_documents_of_the_house_are_there() {
    let root = root();
    let expected = [
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "SECURITY.md",
        "LICENSE",
        "deny.toml",
        "rustfmt.toml",
    ];
    let missing: Vec<String> =
        expected.iter().filter(|name| !root.join(name).is_file()).map(|name| (*name).to_owned()).collect();
    none("a document is missing", &missing);
}

#[test]
fn links_between_documents_lead_somewhere() {
    let root = root();
    let mut documents = files(&root.join("docs"), &[".md"]);
    let top = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"];
    documents.extend(top.iter().map(|name| root.join(name)).filter(|path| path.is_file()));
    assert!(!documents.is_empty());
    let broken: Vec<String> = documents.iter().flat_map(|document| links::broken(&root, document)).collect();
    none("a link leads to nothing", &broken);
}
