//! Canned answers: FAQ files, read with the configuration.
//!
//! Owns: their shape and their limits. Leaves to others: finding the entry that a question resembles (policy).
//!
//! **Invariant:** an entry has a question and an answer, and neither is empty; a file is read once. **Invariant:** a tier
//! of canned answers has one at least.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::include::Reader;
use crate::keys::tiers::{CANNED, FAQ, FAQ_ENTRY};
use crate::report::{Collector, printable};
use crate::section::{Section, check, items_of};
use crate::yaml::{Budget, FILES_MAX, Node, Place, parse};

/// A tier that answers without a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Canned {
    /// What it can answer; empty only where [`Canned::answer_when_nothing_matches`] answers everything.
    pub entries: Vec<FaqEntry>,
    /// How much a caller's question must resemble one of an entry's, 0 to 1.
    pub threshold: f64,
    /// The answer to all other questions; `None` to answer with the error of the tier before.
    pub answer_when_nothing_matches: Option<String>,
}

/// One answer and the questions that it belongs to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FaqEntry {
    /// The ways in which callers ask it; at least one, none empty.
    pub questions: Vec<String>,
    /// What they are answered; not empty.
    pub answer: String,
}

/// The resemblance that is asked for where nothing is written.
const THRESHOLD_DEFAULT: f64 = 0.6;

/// The FAQ files of one configuration.
pub(crate) struct FaqFiles<'r> {
    read: Reader<'r>,
    known: HashMap<PathBuf, Vec<FaqEntry>>,
}

impl<'r> FaqFiles<'r> {
    pub(crate) fn new(read: Reader<'r>) -> Self {
        Self { read, known: HashMap::new() }
    }

    /// Reads a `canned` block. `None` if it has no answer or names no usable file; the reason is in `found`.
    pub(crate) fn canned(&mut self, node: &Node, path: &str, found: &mut Collector) -> Option<Canned> {
        let section = Section::new(Some(node), CANNED, path);
        let threshold = section.share("threshold").unwrap_or(THRESHOLD_DEFAULT);
        let otherwise = section.text("answer_when_nothing_matches").filter(|text| !text.trim().is_empty());
        let entries = match section.place("faq") {
            Some(place) => {
                let name = crate::model::required(&section, "faq", node.place, found)?;
                let entries = self.entries(&name, (place, &section.path_of("faq")), found);
                (!entries.is_empty()).then_some(entries)?
            }
            None if otherwise.is_some() => {
                note_threshold(&section, found);
                Vec::new()
            }
            None => {
                // An answer of a wrong type, or from a variable that is not set, has been reported already.
                let answer = section.node("answer_when_nothing_matches");
                if answer.is_none_or(|answer| answer.text().is_some()) {
                    let message = "is required, or answer_when_nothing_matches";
                    found.error(node.place, &section.path_of("faq"), message);
                }
                return None;
            }
        };
        Some(Canned { entries, threshold, answer_when_nothing_matches: otherwise })
    }

    /// The entries of the file `name`, relative to the file that names it `at` a place and key.
    fn entries(&mut self, name: &str, at: (Place, &str), found: &mut Collector) -> Vec<FaqEntry> {
        let folder = found.file(at.0).parent().map(Path::to_path_buf).unwrap_or_default();
        let path = folder.join(name);
        if let Some(known) = self.known.get(&path) {
            return known.clone();
        }
        let shown = printable(&path.to_string_lossy());
        let entries = match (found.files().len() >= FILES_MAX, (self.read)(&path)) {
            (true, _) => {
                found.error(at.0, at.1, format!("{shown}: more than {FILES_MAX} files"));
                Vec::new()
            }
            (false, Err(error)) => {
                found.error(at.0, at.1, format!("{shown}: cannot be read: {}", error.kind()));
                Vec::new()
            }
            (false, Ok(text)) => entries_of_file(&text, found.add_file(path.clone()), found),
        };
        self.known.insert(path, entries.clone());
        entries
    }
}

/// One answer for every question needs no likeness.
fn note_threshold(section: &Section<'_>, found: &mut Collector) {
    if let Some(place) = section.place("threshold") {
        let message = "has no effect without faq: one answer is given to every question";
        found.warning(place, &section.path_of("threshold"), message);
    }
}

fn entries_of_file(text: &str, file: usize, found: &mut Collector) -> Vec<FaqEntry> {
    let start = Place { file, line: 1, column: 1 };
    let root = match parse(text, file, &mut Budget::default()) {
        Ok(root) => root.filter(|root| !root.is_null()),
        Err(error) => {
            found.error(error.place, "", error.message);
            return Vec::new();
        }
    };
    let Some(root) = root else {
        found.error(start, "", "the file is empty: it wants a list of questions and answers");
        return Vec::new();
    };
    check(&root, FAQ, "faq", found);
    let items = items_of(&root);
    if items.is_empty() && matches!(root.data, crate::yaml::Data::List(_)) {
        found.error(start, "faq", "has no entries");
    }
    items.iter().enumerate().filter_map(|(index, item)| entry(item, index, found)).collect()
}

fn entry(node: &Node, index: usize, found: &mut Collector) -> Option<FaqEntry> {
    let path = format!("faq[{index}]");
    let section = Section::new(Some(node), FAQ_ENTRY, &path);
    let answer = crate::model::required(&section, "answer", node.place, found);
    let mut questions = section.texts("questions");
    questions.retain(|question| !question.trim().is_empty());
    let is_list =
        section.node("questions").is_none_or(|node| matches!(node.data, crate::yaml::Data::List(_)));
    if questions.is_empty() && is_list {
        let place = section.place("questions").unwrap_or(node.place);
        found.error(place, &section.path_of("questions"), "is required");
    }
    let answer = answer?;
    (!questions.is_empty()).then_some(FaqEntry { questions, answer })
}
