//! `docs/dialects.md`: the matrix as tables. `UPDATE_DOCS=1` writes the page.

use crate::cell::{Group, Outcome, Row};
use crate::surface::SURFACES;
use crate::{replies, requests};
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
    let mut page = HEAD.to_owned();
    page.push_str(
        "\n## The pairs\n\nFeatures of requests that arrive, of those that the caller's dialect can say:\n\n",
    );
    counts(requests::groups(), "caller \\ provider", |c, p| (c, p), &mut page);
    page.push_str("\nFeatures of answers, plain and streamed, that arrive, of those that the provider's dialect can say:\n\n");
    counts(replies::groups(), "provider \\ caller", |p, c| (c, p), &mut page);
    for (index, caller) in SURFACES.iter().enumerate() {
        let _ = write!(page, "\n## A caller of {}\n", caller.title);
        for (heading, rows) in requests::groups().iter().chain(replies::groups()) {
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

/// How many cells arrive, by what `pair` makes of a line and a column.
fn counts(groups: &[Group], corner: &str, pair: fn(usize, usize) -> (usize, usize), page: &mut String) {
    head(corner, page);
    for (row, surface) in SURFACES.iter().enumerate() {
        let count = |column: usize| {
            let rows = groups.iter().flat_map(|(_, rows)| rows);
            let cells: Vec<&Outcome> = rows.filter_map(|of| of.cells.get(&pair(row, column))).collect();
            let arrives = |cell: &&&Outcome| matches!(cell, Outcome::Kept | Outcome::Near(_));
            format!("{} of {}", cells.iter().filter(arrives).count(), cells.len())
        };
        line(std::iter::once(surface.title.to_owned()).chain((0..SURFACES.len()).map(count)), page);
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
