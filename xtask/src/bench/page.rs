//! The page with the sections of a partial run in place of its own.
//!
//! Knows a page by its headings and the rows of its table of aims alone; what is in a section is for others.
//!
//! **Invariant**: what a run has not measured stays as it was, byte for byte.

/// The heading of the table of aims, which is taken over row by row.
const AIMS: &str = "## Aims";

/// A page cut at its headings: what is before the first, then each section from its `## ` on.
fn sections(page: &str) -> Vec<&str> {
    let mut cuts: Vec<usize> = page.match_indices("\n## ").map(|(at, _)| at + 1).collect();
    cuts.insert(0, 0);
    cuts.push(page.len());
    let parts = cuts.windows(2).filter_map(|cut| page.get(*cut.first()?..*cut.last()?));
    parts.filter(|part| !part.is_empty()).collect()
}

fn heading(section: &str) -> &str {
    section.lines().next().unwrap_or_default()
}

/// The old page, with what the new one has. A section that the old one does not have comes behind the one that it follows in
/// the new one.
pub(crate) fn merged(old: &str, new: &str) -> String {
    let mut parts: Vec<String> = sections(old).into_iter().map(str::to_owned).collect();
    let mut behind = 0;
    for (at, section) in sections(new).into_iter().enumerate() {
        let same = parts.iter().position(|part| heading(part) == heading(section));
        match same.and_then(|at| Some((at, parts.get_mut(at)?))) {
            Some((found, part)) => {
                *part = if heading(section) == AIMS { with_rows(part, section) } else { section.to_owned() };
                behind = found;
            }
            None => {
                behind = (behind + usize::from(at > 0)).min(parts.len());
                parts.insert(behind, section.to_owned());
            }
        }
    }
    let parts: Vec<&str> = parts.iter().map(|part| part.trim_end()).collect();
    parts.join("\n\n") + "\n"
}

/// A table with the rows of another: those with the same first cell in their place, the others at its end.
fn with_rows(old: &str, new: &str) -> String {
    let cell =
        |line: &str| line.strip_prefix("| ").and_then(|line| line.split(" | ").next()).map(str::to_owned);
    let mut lines: Vec<String> = old.trim_end().lines().map(str::to_owned).collect();
    for line in new.lines().filter(|line| cell(line).is_some_and(|first| !first.starts_with('|'))) {
        match lines.iter_mut().find(|old| cell(old) == cell(line)) {
            Some(old) => *old = line.to_owned(),
            None => lines.push(line.to_owned()),
        }
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "# Page\n\nOf all.\n\n## Machine\n\n- Date: 1\n\n## Aims\n\n| | aim |\n|---|---|\n| a | 1 |\n\
                       | b | 2 |\n\n## First\n\nold first\n\n## Last\n\nold last\n";

    #[test]
    fn a_section_takes_the_place_of_its_own() {
        let new = "# Page\n\nOf all.\n\n## Machine\n\n- Date: 2\n\n## Aims\n\n| | aim |\n|---|---|\n| b | 3 |\n\
                   | c | 4 |\n\n## First\n\nnew first\n\n## Between\n\nnew\n";
        let expect = "# Page\n\nOf all.\n\n## Machine\n\n- Date: 2\n\n## Aims\n\n| | aim |\n|---|---|\n| a | 1 |\n\
                      | b | 3 |\n| c | 4 |\n\n## First\n\nnew first\n\n## Between\n\nnew\n\n## Last\n\nold last\n";
        assert_eq!(merged(OLD, new), expect);
    }

    #[test]
    fn a_page_that_is_all_new_is_the_new_one() {
        assert_eq!(merged("", OLD), OLD);
        assert_eq!(merged(OLD, OLD), OLD);
    }
}
