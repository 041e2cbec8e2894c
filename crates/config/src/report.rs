//! What was found in a configuration: errors, warnings and notes, each with its place.
//!
//! Owns: the shape of a finding and how it is printed. Leaves to others: deciding what is wrong.
//!
//! **Invariant:** a message holds key names, words of our own, and values of closed sets only; a scalar that may be a
//! secret is never repeated. **Invariant:** names from the file are printed without control characters.

use std::fmt;
use std::path::PathBuf;

use crate::yaml::Place;

/// Longest name from a file that is printed whole.
const NAME_CHARS_MAX: usize = 80;

/// Findings that are kept; of the others only their number is told.
pub const FINDINGS_MAX: usize = 1_000;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The configuration cannot be used.
    Error,
    /// It can be used, but something in it has no effect or is probably not meant.
    Warning,
    /// Nothing is wrong; the operator should know it.
    Note,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        })
    }
}

/// One thing that was found. Prints as `config.yaml:12: error: router_settings.num_retries: wants a whole number`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// The file as it was named on the command line or by `include`.
    pub file: PathBuf,
    /// Line from 1; 0 where the file as a whole is meant.
    pub line: usize,
    /// Column from 1; 0 where the file as a whole is meant.
    pub column: usize,
    /// Path of the key, such as `model_list[0].litellm_params.rpm`; empty for syntax errors.
    pub key: String,
    /// What is the matter, without values that may be secrets.
    pub message: String,
    /// The nearest known key or value, where one is near.
    pub nearest: Option<String>,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", printable(&self.file.to_string_lossy()))?;
        if self.line > 0 {
            write!(f, "{}:", self.line)?;
        }
        if self.line > 0 && self.key.is_empty() {
            write!(f, "{}:", self.column)?;
        }
        write!(f, " {}: ", self.severity)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)?;
        match &self.nearest {
            Some(nearest) => write!(f, " (nearest: {nearest})"),
            None => Ok(()),
        }
    }
}

/// Everything that was found, in the order of the files and lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The findings.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Number of findings of one severity.
    pub fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|f| f.severity == severity).count()
    }

    /// Whether the configuration cannot be used.
    pub fn has_errors(&self) -> bool {
        self.findings.iter().any(|f| f.severity == Severity::Error)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.findings.iter().try_for_each(|finding| writeln!(f, "{finding}"))
    }
}

/// What is said, and the name that was probably meant.
pub(crate) struct Message {
    text: String,
    nearest: Option<String>,
}

impl Message {
    /// Adds the nearest known name, where there is one.
    pub(crate) fn with_nearest(text: impl Into<String>, nearest: Option<&str>) -> Self {
        Self { text: text.into(), nearest: nearest.map(str::to_owned) }
    }
}

impl From<&str> for Message {
    fn from(text: &str) -> Self {
        Self::with_nearest(text, None)
    }
}

impl From<String> for Message {
    fn from(text: String) -> Self {
        Self::with_nearest(text, None)
    }
}

/// Collects findings while a configuration is read.
#[derive(Debug, Default)]
pub(crate) struct Collector {
    files: Vec<PathBuf>,
    found: Vec<(Place, Finding)>,
    /// Findings beyond [`FINDINGS_MAX`], and the gravest of them.
    beyond: usize,
    beyond_severity: Option<Severity>,
}

impl Collector {
    /// Adds a file; the number that comes back is the one that places carry.
    pub(crate) fn add_file(&mut self, path: PathBuf) -> usize {
        self.files.push(path);
        self.files.len() - 1
    }

    /// Number of findings so far.
    pub(crate) fn len(&self) -> usize {
        self.found.len() + self.beyond
    }

    /// Whether a further finding is only counted, so that no work needs to go into it.
    pub(crate) fn is_full(&self) -> bool {
        self.found.len() >= FINDINGS_MAX
    }

    pub(crate) fn files(&self) -> &[PathBuf] {
        &self.files
    }

    pub(crate) fn file(&self, place: Place) -> PathBuf {
        self.files.get(place.file).cloned().unwrap_or_default()
    }

    pub(crate) fn has_errors(&self) -> bool {
        self.beyond_severity == Some(Severity::Error)
            || self.found.iter().any(|(_, f)| f.severity == Severity::Error)
    }

    pub(crate) fn error(&mut self, place: Place, key: &str, message: impl Into<Message>) {
        self.add(Severity::Error, place, key, message.into());
    }

    pub(crate) fn warning(&mut self, place: Place, key: &str, message: impl Into<Message>) {
        self.add(Severity::Warning, place, key, message.into());
    }

    pub(crate) fn note(&mut self, place: Place, key: &str, message: impl Into<Message>) {
        self.add(Severity::Note, place, key, message.into());
    }

    fn add(&mut self, severity: Severity, place: Place, key: &str, message: Message) {
        if self.is_full() {
            self.beyond += 1;
            self.beyond_severity =
                Some(self.beyond_severity.map_or(severity, |gravest| gravest.min(severity)));
            return;
        }
        let Message { text: message, nearest } = message;
        let Place { line, column, .. } = place;
        let finding =
            Finding { severity, file: self.file(place), line, column, key: key.into(), message, nearest };
        self.found.push((place, finding));
    }

    pub(crate) fn into_report(mut self) -> Report {
        self.found.sort_by_key(|(place, _)| *place);
        let mut findings: Vec<Finding> = self.found.into_iter().map(|(_, finding)| finding).collect();
        if let Some(severity) = self.beyond_severity {
            findings.push(Finding {
                severity,
                file: self.files.first().cloned().unwrap_or_default(),
                line: 0,
                column: 0,
                key: String::new(),
                message: format!("{} more findings are not shown", self.beyond),
                nearest: None,
            });
        }
        Report { findings }
    }
}

/// A name from the file, fit for a terminal and a log line: no control characters, not longer than a line, and not
/// shown at all where it looks like a key of a provider that slipped into a key's place.
pub(crate) fn printable(name: &str) -> String {
    if name.starts_with("sk-") {
        return crate::secret::MASK.to_owned();
    }
    let mut out: String =
        name.chars().take(NAME_CHARS_MAX).map(|c| if is_hidden(c) { '?' } else { c }).collect();
    if name.chars().nth(NAME_CHARS_MAX).is_some() {
        out.push_str("...");
    }
    out
}

/// Control characters, and the marks that reorder a line or hide in it.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(line: usize, key: &str, nearest: Option<&str>) -> Finding {
        Finding {
            severity: Severity::Error,
            file: "config.yaml".into(),
            line,
            column: 3,
            key: key.into(),
            message: "unknown key".into(),
            nearest: nearest.map(str::to_owned),
        }
    }

    #[test]
    fn a_finding_prints_file_line_key_and_the_nearest_name() {
        let check = |finding: Finding, expect: &str| assert_eq!(finding.to_string(), expect);
        check(
            finding(12, "router_settings.routing_stratgy", Some("routing_strategy")),
            "config.yaml:12: error: router_settings.routing_stratgy: unknown key (nearest: routing_strategy)",
        );
        check(finding(12, "", None), "config.yaml:12:3: error: unknown key");
        check(finding(0, "", None), "config.yaml: error: unknown key");
    }

    #[test]
    fn a_name_cannot_forge_a_line_or_show_a_key() {
        let check = |name: &str, expect: &str| assert_eq!(printable(name), expect);
        check("rpm", "rpm");
        check("a\nerror: b\u{1b}[31m", "a?error: b?[31m");
        check("a\u{202e}b", "a?b");
        check("sk-abcdef", "****");
        check(&"x".repeat(100), &format!("{}...", "x".repeat(80)));
    }

    #[test]
    fn findings_have_an_end_and_an_error_beyond_it_still_counts() {
        let mut collector = Collector::default();
        let place = Place { file: collector.add_file("a.yaml".into()), line: 1, column: 1 };
        for _ in 0..FINDINGS_MAX {
            collector.note(place, "", "x");
        }
        collector.warning(place, "", "x");
        assert!(collector.is_full() && !collector.has_errors());
        collector.error(place, "", "x");
        assert!(collector.has_errors());
        let report = collector.into_report();
        assert!(report.has_errors());
        assert_eq!(report.findings.len(), FINDINGS_MAX + 1);
        let last = report.findings.last().map(ToString::to_string);
        assert_eq!(last.as_deref(), Some("a.yaml: error: 2 more findings are not shown"));
    }

    #[test]
    fn a_report_is_in_the_order_of_files_and_lines() {
        let mut collector = Collector::default();
        let file = collector.add_file("a.yaml".into());
        collector.warning(Place { file, line: 9, column: 1 }, "late", "x");
        collector.note(Place { file, line: 2, column: 1 }, "early", "y");
        let report = collector.into_report();
        assert_eq!(report.to_string(), "a.yaml:2: note: early: y\na.yaml:9: warning: late: x\n");
        assert_eq!((report.count(Severity::Warning), report.has_errors()), (1, false));
    }
}
