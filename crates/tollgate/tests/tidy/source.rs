//! Rust text as far as the tidiness rules need it: what is code, what is a test, where a function ends.
//!
//! A lexer of a page, not a parser: it knows comments, strings, characters and braces, which is enough for counts.
//!
//! **Invariant**: the masked text has the same lines as the original; words inside strings and comments are gone
//! from it.

use std::path::Path;

/// A Rust file.
pub(crate) struct Source {
    /// Its path from the root of the workspace.
    pub(crate) name: String,
    /// The folder name of its crate: `server`, `xtask`.
    pub(crate) package: String,
    /// The text as written.
    pub(crate) text: String,
    /// The text without comments and the insides of strings, `#[cfg(test)]` items blanked.
    product: String,
}

/// A function and its length.
pub(crate) struct Function {
    /// Its name.
    pub(crate) name: String,
    /// The line of its `fn`, from 1.
    pub(crate) at: usize,
    /// Lines of code from `fn` to the closing brace, blank and comment lines apart.
    pub(crate) lines: usize,
}

impl Source {
    /// Reads a file below the root.
    pub(crate) fn read(root: &Path, path: &Path) -> Self {
        let name = path.strip_prefix(root).unwrap().display().to_string();
        let text = std::fs::read_to_string(path).unwrap();
        Self::new(name, text)
    }

    fn new(name: String, text: String) -> Self {
        let mut parts = name.split('/');
        let package = match (parts.next(), parts.next()) {
            (Some("crates"), Some(package)) => package.to_owned(),
            (first, _) => first.unwrap_or_default().to_owned(),
        };
        let product = without_tests(&mask(&text));
        Self { name, package, text, product }
    }

    /// Whether the file is part of what is built for use: not a test, bench, example or build script.
    pub(crate) fn is_product(&self) -> bool {
        let apart = ["/tests/", "/benches/", "/examples/", "/build.rs", "/tests.rs", "_tests.rs"];
        self.name.contains("/src/") && !apart.iter().any(|part| self.name.contains(part))
    }

    /// Lines of the file that are not tests; comments count, since they are read as well.
    pub(crate) fn product_lines(&self) -> usize {
        if !self.is_product() {
            return 0;
        }
        let tests = self.text.lines().position(|line| line.trim_end() == "#[cfg(test)]");
        match tests {
            // Tests close the file, as everywhere here; anything else is counted whole.
            Some(at) if self.product.lines().skip(at).all(|line| line.trim().is_empty()) => at,
            _ => self.text.lines().count(),
        }
    }

    /// The functions of the non-test code.
    pub(crate) fn functions(&self) -> impl Iterator<Item = Function> {
        let text = if self.is_product() { self.product.as_str() } else { "" };
        let starts = text.match_indices("fn ").filter(|(at, _)| is_word_start(text, *at));
        starts.filter_map(|(at, _)| function(text, at))
    }

    /// The lines, from 1, in whose non-test code the path is used; `std::fs` is also found in `use std::{fs, io}`.
    pub(crate) fn uses_of(&self, path: &str) -> impl Iterator<Item = usize> {
        let grouped = path.split_once("::").map(|(head, tail)| (format!("{head}::{{"), tail));
        let found = self.product.lines().enumerate().filter(move |(_, line)| {
            let inside_group = grouped.as_ref().is_some_and(|(head, tail)| {
                line.split_once(head.as_str()).is_some_and(|(_, group)| has_word(group, tail))
            });
            has_word(line, path) || inside_group
        });
        found.map(|(number, _)| number + 1)
    }
}

fn is_name(char: char) -> bool {
    char.is_alphanumeric() || char == '_'
}

fn is_word_start(text: &str, at: usize) -> bool {
    !text[..at].chars().next_back().is_some_and(is_name)
}

fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        is_word_start(line, at) && !line[at + word.len()..].chars().next().is_some_and(is_name)
    })
}

/// The function whose `fn` stands at `at`; none for a declaration without a body or a function pointer type.
fn function(text: &str, at: usize) -> Option<Function> {
    let name: String = text[at + 3..].chars().take_while(|char| is_name(*char)).collect();
    if name.is_empty() {
        return None;
    }
    let body = at + text[at..].find(['{', ';'])?;
    if text[body..].starts_with(';') && !text[at..body].contains('[') {
        return None;
    }
    let open = at + text[at..].find('{')?;
    let end = closing(text, open)?;
    let lines = text[at..end].lines().filter(|line| !line.trim().is_empty()).count();
    Some(Function { name, at: text[..at].matches('\n').count() + 1, lines })
}

/// The place after the brace that closes the one at `open`.
fn closing(text: &str, open: usize) -> Option<usize> {
    let mut depth = 0usize;
    for (at, char) in text[open..].char_indices() {
        match char {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(open + at + 1);
        }
    }
    None
}

/// Blanks every `#[cfg(test)]` item of a masked text.
fn without_tests(masked: &str) -> String {
    let mut text = masked.to_owned();
    while let Some(at) = text.find("#[cfg(test)]") {
        let rest = &text[at..];
        let end = match (rest.find('{'), rest.find(';')) {
            (Some(open), Some(semicolon)) if semicolon < open => at + semicolon + 1,
            (Some(open), _) => closing(&text, at + open).unwrap_or(text.len()),
            (None, Some(semicolon)) => at + semicolon + 1,
            (None, None) => text.len(),
        };
        let blank = blanked(&text[at..end]);
        text.replace_range(at..end, &blank);
    }
    text
}

fn blanked(text: &str) -> String {
    text.chars().map(|char| if char == '\n' { '\n' } else { ' ' }).collect()
}

/// The text with comments and the insides of strings and characters blanked, line for line.
pub(crate) fn mask(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut before = ' ';
    while let Some(char) = rest.chars().next() {
        let length = token(rest, before);
        let (token, after) = rest.split_at(length.unwrap_or(char.len_utf8()));
        if length.is_some() {
            out.push_str(&blanked(token));
        } else {
            out.push_str(token);
        }
        before = token.chars().next_back().unwrap_or(' ');
        rest = after;
    }
    out
}

/// The length of the comment, string or character that the text begins with.
fn token(text: &str, before: char) -> Option<usize> {
    if text.starts_with("//") {
        return Some(text.find('\n').unwrap_or(text.len()));
    }
    if text.starts_with("/*") {
        return Some(text.find("*/").map_or(text.len(), |end| end + 2));
    }
    if text.starts_with('"') {
        return Some(string(text, 1));
    }
    if text.starts_with('\'') {
        return character(text);
    }
    if is_name(before) {
        return None;
    }
    let raw = text.strip_prefix("br").or_else(|| text.strip_prefix('r'))?;
    let hashes = raw.len() - raw.trim_start_matches('#').len();
    if raw[hashes..].starts_with('"') {
        let end = format!("\"{}", "#".repeat(hashes));
        let start = text.len() - raw.len() + hashes + 1;
        return Some(text[start..].find(&end).map_or(text.len(), |at| start + at + end.len()));
    }
    None
}

/// The length of a character literal; a lifetime is none.
fn character(text: &str) -> Option<usize> {
    let mut chars = text.char_indices().skip(1);
    let (_, first) = chars.next()?;
    if first == '\\' {
        // The escaped character itself may be a quote.
        let (after, _) = chars.nth(1)?;
        return text[after..].find('\'').map(|end| after + end + 1);
    }
    let (at, second) = chars.next()?;
    (second == '\'').then_some(at + 1)
}

fn string(text: &str, start: usize) -> usize {
    let mut escaped = false;
    for (at, char) in text[start..].char_indices() {
        match char {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return start + at + 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_functions(text: &str, expect: &[(&str, usize, usize)]) {
        let source = Source::new("crates/a/src/lib.rs".to_owned(), text.to_owned());
        let found: Vec<_> = source.functions().map(|f| (f.name, f.at, f.lines)).collect();
        let expect: Vec<_> =
            expect.iter().map(|(name, at, lines)| ((*name).to_owned(), *at, *lines)).collect();
        assert_eq!(found, expect, "{text}");
    }

    #[test]
    fn functions_are_counted_in_lines_of_code() {
        check_functions("fn a() {}\n", &[("a", 1, 1)]);
        check_functions("\npub fn a(\n    x: u8,\n) -> u8 {\n    // why\n\n    x\n}\n", &[("a", 2, 5)]);
        check_functions("trait T { fn a(&self); fn b() { 1 } }", &[("b", 1, 1)]);
        check_functions("fn a() { let x = \"}\"; let y = '}'; }\n", &[("a", 1, 1)]);
        check_functions("fn a<'x>(y: &'x str) { let q = ['\"', '\\'', '{']; }\n", &[("a", 1, 1)]);
        check_functions("struct S { f: fn (u8) -> u8 }", &[]);
        check_functions("fn a(x: [u8; 4]) {\n  x;\n}\n", &[("a", 1, 3)]);
    }

    #[test]
    fn tests_are_not_counted_and_not_searched() {
        let text =
            "use std::{fs, io};\nfn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() { std::env::var(); }\n}\n";
        check_functions(text, &[("a", 2, 1)]);
        let source = Source::new("crates/a/src/lib.rs".to_owned(), text.to_owned());
        assert_eq!(source.product_lines(), 2);
        assert_eq!(source.uses_of("std::fs").collect::<Vec<_>>(), [1]);
        assert_eq!(source.uses_of("std::env").count(), 0);
    }

    #[test]
    fn words_in_strings_and_comments_are_no_code() {
        let text =
            "// std::fs\nlet a = \"std::fs \\\" std::fs\"; let b = r#\"std::fs\"#;\nstd::fs::read();\n";
        let source = Source::new("crates/a/src/lib.rs".to_owned(), text.to_owned());
        assert_eq!(source.uses_of("std::fs").collect::<Vec<_>>(), [3]);
        assert_eq!(mask(text).lines().count(), text.lines().count());
    }

    #[test]
    fn a_file_knows_its_crate_and_whether_it_is_a_test() {
        let check = |name: &str, package: &str, product: bool| {
            let source = Source::new(name.to_owned(), String::new());
            assert_eq!((source.package.as_str(), source.is_product()), (package, product), "{name}");
        };
        check("crates/server/src/lib.rs", "server", true);
        check("crates/server/src/reply/tests.rs", "server", false);
        check("crates/server/tests/a.rs", "server", false);
        check("crates/catalog/build.rs", "catalog", false);
        check("xtask/src/main.rs", "xtask", true);
    }
}
