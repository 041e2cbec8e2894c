//! Links in Markdown documents: does the file exist, and the heading that is named after `#`?
//!
//! Links to other sites are not followed.
//!
//! **Invariant**: a heading's name for links is made as the common forges make it: lower case, punctuation gone,
//! spaces as hyphens.

use std::path::Path;

/// The links of a document that lead nowhere, with their lines.
pub(crate) fn broken(root: &Path, document: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(document).unwrap();
    let name = document.strip_prefix(root).unwrap_or(document).display();
    let mut found = Vec::new();
    for (number, line) in prose(&text) {
        for link in targets(line) {
            if !resolves(document, link) {
                found.push(format!("{name}:{number}: {link}"));
            }
        }
    }
    found
}

/// The lines outside fenced code, with their numbers from 1.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    text.lines().enumerate().filter_map(move |(number, line)| {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
            return None;
        }
        (!fenced).then_some((number + 1, line))
    })
}

/// What stands between `](` and `)`.
fn targets(line: &str) -> impl Iterator<Item = &str> {
    line.match_indices("](").filter_map(|(at, _)| line[at + 2..].split(')').next())
}

fn resolves(document: &Path, link: &str) -> bool {
    if link.contains("://") || link.starts_with("mailto:") {
        return true;
    }
    let (path, heading) = link.split_once('#').unwrap_or((link, ""));
    let file = if path.is_empty() {
        document.to_path_buf()
    } else {
        document.parent().unwrap_or(document).join(path)
    };
    if heading.is_empty() || !file.is_file() {
        return file.exists();
    }
    let text = std::fs::read_to_string(&file).unwrap();
    prose(&text).any(|(_, line)| line.starts_with('#') && slug(line) == heading)
}

fn slug(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = text.chars().filter(|char| char.is_alphanumeric() || " -_".contains(*char));
    kept.map(|char| if char == ' ' { '-' } else { char }).collect()
}

#[test]
fn headings_are_named_as_forges_name_them() {
    assert_eq!(slug("## What's here, and `why`"), "whats-here-and-why");
    assert_eq!(slug("# One_two - three"), "one_two---three");
}

#[test]
fn links_are_found_outside_code_only() {
    let text = "see [a](b.md) and [c](d.md#e)\n```\n[x](y)\n```\n";
    let found: Vec<&str> = prose(text).flat_map(|(_, line)| targets(line)).collect();
    assert_eq!(found, ["b.md", "d.md#e"]);
}
