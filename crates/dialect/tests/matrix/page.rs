//! `docs/dialects.md`: the matrix as tables. `UPDATE_DOCS=1` writes the page.

use crate::cell::{Outcome, Row};
use crate::requests;
use crate::surface::SURFACES;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

const HEAD: &str = include_str!("page/head.md");

fn page_path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/dialects.md")
}

#[test]
fn the_page_is_the_matrix() {
    let expected = page();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(page_path(), expected).unwrap();
        return;
    }
    let written = std::fs::read_to_string(page_path()).unwrap_or_default();
    let differs = written.lines().zip(expected.lines()).find(|(written, expected)| written != expected);
    assert!(written == expected, "run this test with UPDATE_DOCS=1; first difference: {differs:?}");
}

fn page() -> String {
    let requests: Vec<(&str, Vec<Row>)> =
        requests::GROUPS.iter().map(|(heading, file)| (*heading, requests::rows(file))).collect();
    let mut page = HEAD.to_owned();
    page.push_str("\n## The pairs\n\nFeatures of requests that are kept, of those that the caller's dialect can say.\n\n");
    counts(&requests, &mut page);
    for (index, caller) in SURFACES.iter().enumerate() {
        let _ = write!(page, "\n## A caller of {}\n", caller.title);
        for (heading, rows) in &requests {
            table(heading, rows, index, &mut page);
        }
    }
    page
}

/// One line of a table.
fn line(cells: impl IntoIterator<Item = String>, page: &mut String) {
    for cell in cells {
        let _ = write!(page, "| {cell} ");
    }
    page.push_str("|\n");
}

/// The head of a table with a column per provider.
fn head(first: &str, page: &mut String) {
    line(
        std::iter::once(first.to_owned()).chain(SURFACES.iter().map(|surface| surface.title.to_owned())),
        page,
    );
    line(std::iter::repeat_n("---".to_owned(), SURFACES.len() + 1), page);
}

fn counts(groups: &[(&str, Vec<Row>)], page: &mut String) {
    head("caller \\ provider", page);
    for (c, caller) in SURFACES.iter().enumerate() {
        let count = |p: usize| {
            let cells = || groups.iter().flat_map(|(_, rows)| rows).filter_map(|row| row.cells.get(&(c, p)));
            let kept = cells().filter(|cell| matches!(cell, Outcome::Kept | Outcome::Near(_))).count();
            format!("{kept} of {}", cells().count())
        };
        line(std::iter::once(caller.title.to_owned()).chain((0..SURFACES.len()).map(count)), page);
    }
}

fn table(heading: &str, rows: &[Row], caller: usize, page: &mut String) {
    let _ = write!(page, "\n### {heading}\n\n");
    head("", page);
    for row in rows.iter().filter(|row| row.cells.keys().any(|(c, _)| *c == caller)) {
        let cell = |p: usize| row.cells.get(&(caller, p)).map(short).unwrap_or_default();
        line(std::iter::once(row.feature.clone()).chain((0..SURFACES.len()).map(cell)), page);
    }
}

fn short(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Kept => "kept".to_owned(),
        Outcome::Near(form) => format!("≈ {form}"),
        Outcome::Told(names) => format!("told: `{names}`"),
        Outcome::Refused(names) => format!("refused: `{names}`"),
        Outcome::Impossible(place) => format!("error: `{place}`"),
        Outcome::Lost(_) => "**lost**".to_owned(),
    }
}
