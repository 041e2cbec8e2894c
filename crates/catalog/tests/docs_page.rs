//! Holds the table of docs/providers.md to the provider table. `UPDATE_DOCS=1` rewrites it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use tollgate_catalog::{KeyPlacement, Provider, Wire, providers};

const BEGIN: &str =
    "<!-- providers: made from crates/catalog/src/provider/table.rs; a test compares them -->\n\n";
const END: &str = "\n\n<!-- end of providers -->\n";

#[test]
fn the_page_lists_exactly_the_providers_of_the_table() {
    let page = std::fs::read_to_string(page_path()).unwrap();
    let (before, rest) = page.split_once(BEGIN).expect("the mark before the table");
    let (written, after) = rest.split_once(END).expect("the mark after the table");
    let expected = table();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(page_path(), format!("{before}{BEGIN}{expected}{END}{after}")).unwrap();
        return;
    }
    let differs = written.lines().zip(expected.lines()).find(|(written, expected)| written != expected);
    assert!(written == expected, "run this test with UPDATE_DOCS=1; first difference: {differs:?}");
}

#[test]
fn the_page_says_how_many_there_are() {
    let page = std::fs::read_to_string(page_path()).unwrap();
    let count = format!("{} providers", providers().len());
    assert!(page.contains(&count), "the page does not say `{count}`");
}

#[test]
fn a_row_shows_what_an_operator_has_to_write() {
    let check = |name: &str, expect: &str| {
        let provider = tollgate_catalog::provider(name).unwrap();
        assert_eq!(row(provider), expect);
    };
    check(
        "openai",
        "| `openai` | OpenAI | `https://api.openai.com/v1` | `OPENAI_BASE_URL`, `OPENAI_API_BASE` | `OPENAI_API_KEY` |",
    );
    check(
        "azure",
        "| `azure` | Azure | your `api_base` | `AZURE_API_BASE` | `AZURE_OPENAI_API_KEY`, `AZURE_API_KEY` in `api-key` |",
    );
    check(
        "gemini",
        "| `gemini`, `google` | Gemini | `https://generativelanguage.googleapis.com` | `GEMINI_API_BASE` | \
         `GEMINI_API_KEY`, `GOOGLE_API_KEY` in `x-goog-api-key` |",
    );
}

fn page_path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/providers.md")
}

fn table() -> String {
    let mut table = String::from(
        "| name in `model` | wire | address | variables for the address | variables for the key |\n|---|---|---|---|---|\n",
    );
    for provider in providers() {
        // Writing to a String cannot fail.
        let _ = writeln!(table, "{}", row(provider));
    }
    table.truncate(table.trim_end().len());
    table
}

fn row(provider: &Provider) -> String {
    let names: Vec<&str> = [provider.name].into_iter().chain(provider.aliases.iter().copied()).collect();
    let address =
        provider.base_url.map_or_else(|| "your `api_base`".to_owned(), |address| format!("`{address}`"));
    format!(
        "| {} | {} | {address} | {} | {}{} |",
        code(&names),
        wire(provider.wire),
        code(provider.base_env),
        code(provider.key_env),
        placement(provider.key),
    )
}

/// Names as code, with commas between them.
fn code(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn wire(wire: Wire) -> &'static str {
    match wire {
        Wire::OpenAi => "OpenAI",
        Wire::Azure => "Azure",
        Wire::Anthropic => "Anthropic",
        Wire::Gemini => "Gemini",
        Wire::Vertex => "Vertex AI",
        Wire::Bedrock => "Bedrock",
        Wire::Cohere => "Cohere",
        Wire::Ollama => "Ollama",
        Wire::Watsonx => "watsonx.ai",
        Wire::Replicate => "Replicate",
        Wire::SageMaker => "SageMaker",
    }
}

/// What the column of keys adds where the key is not a plain bearer token.
fn placement(key: KeyPlacement) -> String {
    match key {
        KeyPlacement::Bearer => String::new(),
        KeyPlacement::OptionalBearer => " (optional)".to_owned(),
        KeyPlacement::Header(name) => format!(" in `{name}`"),
    }
}
