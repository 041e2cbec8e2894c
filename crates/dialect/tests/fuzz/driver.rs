//! Runs one target over its corpus and over mutations of it, a bounded number that is the same each time.
//!
//! Owns how many inputs there are and what becomes of one that fails: it is made as small as it gets, kept in a file and
//! shown. Leaves how an input is changed to `mutation.rs` and what must hold to `targets/`.
//!
//! `TOLLGATE_TEST_LONG=1` (`cargo xtask test --long`) runs many more; `TOLLGATE_FUZZ_SEED=N` runs others.

use crate::mutation::{Dice, Mutator, fold};
use crate::targets::{TARGETS, Target};
use std::cell::Cell;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Once;

/// Mutations of each file of a corpus.
const MUTATIONS: usize = 12;
/// The same in a long run.
const MUTATIONS_LONG: usize = 6_000;
/// Attempts at making a failing input smaller.
const SHRINKS_MAX: usize = 3_000;

thread_local! {
    /// A failure is looked for, so its words need not be printed.
    static IS_LOOKING: Cell<bool> = const { Cell::new(false) };
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

/// The names of the corpora.
pub(crate) fn corpus_folders() -> BTreeSet<String> {
    let entries = std::fs::read_dir(folder()).expect("the corpus").flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// A target's corpus: names and inputs, by name.
pub(crate) fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let entries = std::fs::read_dir(folder().join(target)).expect("a folder of the corpus").flatten();
    let mut files: Vec<(String, Vec<u8>)> = entries
        .map(|entry| {
            let input = std::fs::read(entry.path()).expect("a file of the corpus");
            (entry.file_name().to_string_lossy().into_owned(), input)
        })
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{target} has an empty corpus");
    files
}

/// Runs a target.
pub(crate) fn drive(name: &str) {
    be_quiet_while_looking();
    let target = TARGETS.iter().find(|target| target.name == name).expect("a target of that name");
    let files = corpus(name);
    for (file, input) in &files {
        if fails(target, input) {
            report(target, file, input);
        }
    }
    let seed = std::env::var("TOLLGATE_FUZZ_SEED").unwrap_or_default();
    let is_long = std::env::var("TOLLGATE_TEST_LONG").is_ok_and(|value| !value.is_empty());
    let count = if is_long { MUTATIONS_LONG } else { MUTATIONS };
    let mutator = Mutator::new(files.iter().map(|(_, input)| input.as_slice()));
    for (file, input) in &files {
        let mut dice = Dice::new(&format!("{seed}{file}"));
        for _ in 0..count {
            let mutant = mutator.mutate(input, &mut dice);
            if fails(target, &mutant) {
                report(target, file, &mutant);
            }
        }
    }
}

fn fails(target: &Target, input: &[u8]) -> bool {
    IS_LOOKING.set(true);
    let outcome = catch_unwind(AssertUnwindSafe(|| (target.check)(input)));
    IS_LOOKING.set(false);
    outcome.is_err()
}

/// Keeps the smallest input that fails and lets it fail aloud.
fn report(target: &Target, file: &str, input: &[u8]) {
    let smallest = shrink(target, input);
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-{:x}", target.name, fold(&smallest)));
    std::fs::write(&path, &smallest).expect("a place for what failed");
    let text = String::from_utf8_lossy(&smallest);
    println!(
        "{} fails on what was made of {file}; the smallest input is in {}:\n{text}",
        target.name,
        path.display()
    );
    (target.check)(&smallest);
}

/// Leaves out pieces, large ones first, for as long as the rest fails.
fn shrink(target: &Target, input: &[u8]) -> Vec<u8> {
    let mut smallest = input.to_vec();
    let mut attempts = 0;
    let mut size = smallest.len() / 2;
    while size > 0 && attempts < SHRINKS_MAX {
        let mut at = 0;
        while at < smallest.len() && attempts < SHRINKS_MAX {
            let end = (at + size).min(smallest.len());
            let mut without = smallest.clone();
            without.drain(at..end);
            attempts += 1;
            if fails(target, &without) {
                smallest = without;
            } else {
                at += size;
            }
        }
        size /= 2;
    }
    smallest
}

/// Lets a failure that is looked for pass without its words on the terminal.
fn be_quiet_while_looking() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let aloud = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !IS_LOOKING.get() {
                aloud(info);
            }
        }));
    });
}
