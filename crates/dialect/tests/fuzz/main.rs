//! Every decoder meets its committed corpus, and what chance makes of it.
//!
//! The targets are a module of their own (`targets/`), which the coverage-guided engine in `crates/dialect/fuzz` drives
//! as well; here they run on any toolchain, with a bounded and repeatable number of inputs. `driver.rs` says how many.
//!
//! **Invariant:** every target has a folder of `crates/dialect/corpus` with something in it, and every folder a target.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a property that does not hold says so by failing"
)]

mod driver;
mod mutation;
mod targets;

use std::collections::BTreeSet;

/// A test for each target, and the names of all.
macro_rules! targets {
    ($($name:ident)*) => {
        $(#[test] fn $name() { driver::drive(stringify!($name)); })*
        const NAMES: &[&str] = &[$(stringify!($name)),*];
    };
}

targets! {
    openai_request openai_reply openai_stream openai_error openai_completions
    responses_request responses_reply responses_stream responses_error
    anthropic_request anthropic_reply anthropic_stream anthropic_error
    gemini_request gemini_reply gemini_stream gemini_error
    bedrock_request bedrock_reply bedrock_stream bedrock_error
    cohere_request cohere_reply cohere_stream cohere_error
    ollama_reply ollama_stream sagemaker_reply sagemaker_stream compatible_reply compatible_stream
    replicate_reply replicate_stream provider_error
    embeddings rerank multipart json_scan json_splice custom_input sse lines event_stream pass_through
}

#[test]
fn every_target_has_a_test_a_corpus_and_an_engine() {
    let names: BTreeSet<String> = NAMES.iter().map(|name| (*name).to_owned()).collect();
    let table: BTreeSet<String> = targets::TARGETS.iter().map(|target| target.name.to_owned()).collect();
    assert_eq!(names, table, "tests and targets");
    assert_eq!(driver::corpus_folders(), table, "folders of the corpus and targets");
    let manifest = include_str!("../../fuzz/Cargo.toml");
    let engines: BTreeSet<String> = manifest
        .lines()
        .filter_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'))
        .filter(|name| *name != "tollgate-dialect-fuzz")
        .map(str::to_owned)
        .collect();
    assert_eq!(engines, table, "binaries of the engine and targets");
}

#[test]
fn the_corpus_stays_small() {
    let bytes: usize = NAMES.iter().flat_map(|name| driver::corpus(name)).map(|(_, input)| input.len()).sum();
    assert!(bytes < 300_000, "{bytes} bytes");
}
