//! Holds docs/configuration.md to the tables of keys. `UPDATE_DOCS=1` rewrites the page.

use std::path::Path;

const BEGIN: &str = "<!-- keys: made from the tables in crates/config/src/keys; a test compares them -->\n\n";

#[test]
fn the_configuration_page_lists_exactly_the_keys_of_the_tables() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
    let page = std::fs::read_to_string(&path).expect("docs/configuration.md");
    let (prose, written) = page.split_once(BEGIN).expect("the mark before the generated tables");
    let expect = tollgate_config::reference();
    let expect = expect.trim_end().to_owned() + "\n";
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, format!("{prose}{BEGIN}{expect}")).expect("docs/configuration.md is writable");
    } else {
        let differs = written.lines().zip(expect.lines()).find(|(a, b)| a != b);
        assert!(written == expect, "run this test with UPDATE_DOCS=1; first difference: {differs:?}");
    }
}

#[test]
fn the_page_says_what_must_be_written() {
    let page = tollgate_config::reference();
    let marked = |title: &str| {
        let section = page.split("### ").find(|section| section.starts_with(title)).unwrap_or_default();
        let rows = section.lines().filter(|row| row.contains("| required"));
        rows.filter_map(|row| row.split('`').nth(1)).collect::<Vec<_>>()
    };
    for (title, expect) in [
        ("`model_list[]`", vec!["model_name", "litellm_params"]),
        ("`litellm_params`", vec!["model"]),
        ("`litellm_params.tollgate_fault`", vec!["kind"]),
        (
            "`router_settings.routing_groups[]`",
            vec!["group_name", "model_priorities", "models", "routing_strategy"],
        ),
        ("`general_settings.pass_through_endpoints[]`", vec!["path", "target"]),
        ("`tollgate_settings.tiers[]`", vec!["model"]),
        ("`tollgate_settings.tiers[].canned`", vec!["faq"]),
        ("Entries of an FAQ file", vec!["questions", "answer"]),
        ("`tollgate_settings.sensitive[]`", vec!["tags"]),
    ] {
        let mut marked = marked(title);
        marked.sort_unstable();
        let mut expect = expect;
        expect.sort_unstable();
        assert_eq!(marked, expect, "{title}");
    }
}

#[test]
fn the_examples_of_the_page_are_configurations_without_findings() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
    let page = std::fs::read_to_string(path).expect("docs/configuration.md");
    let mut examples = 0;
    for block in page.split("```yaml\n").skip(1) {
        let text = block.split("```").next().unwrap_or_default();
        let loaded = tollgate_config::Config::from_yaml_text(text, &|name| {
            name.ends_with("_KEY").then(|| "sk-set".to_owned())
        });
        assert!(loaded.report.findings.is_empty(), "{text}\n{}", loaded.report);
        examples += 1;
    }
    assert!(examples >= 3, "{examples} examples");
}
