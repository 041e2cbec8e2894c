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
