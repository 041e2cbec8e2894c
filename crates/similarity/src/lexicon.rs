//! What words mean to the guards: which carry no matter, which say the same, which exclude each other.
//!
//! Owns: the tables in `tables/`, read once. Leaves to others: how the words of two questions are set against each other.
//! The tables are English; a question in another language is compared by its numbers, names and negations alone.
//!
//! **Invariant:** a table's line that cannot be read is caught by a test, and is skipped, never a panic.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use crate::words::stem;

/// How much a word says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weight {
    /// Grammar: dropped.
    Stop,
    /// Framing ("get", "need", "process"): may come and go.
    Weak,
    /// Matter.
    Full,
}

/// One of the sides of an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Side {
    pub(crate) axis: u16,
    pub(crate) side: u8,
}

/// Words that exclude each other.
#[derive(Debug)]
pub(crate) struct Axis {
    /// A negation turns one side into the other.
    pub(crate) is_pair: bool,
    /// A clash is a veto, not only a doubt.
    pub(crate) is_strict: bool,
}

/// The tables.
#[derive(Debug, Default)]
pub(crate) struct Lexicon {
    stop: HashSet<&'static str>,
    weak: HashSet<String>,
    /// Stems and phrases of stems, to the one that stands for all of their meaning.
    heads: HashMap<String, String>,
    sides: HashMap<String, Vec<Side>>,
    /// Stems that a phrase begins with.
    phrase_starts: HashSet<String>,
    pub(crate) axes: Vec<Axis>,
}

/// The tables, read at the first use.
pub(crate) static LEXICON: LazyLock<Lexicon> = LazyLock::new(Lexicon::read);

impl Lexicon {
    fn read() -> Lexicon {
        let mut lexicon = Lexicon {
            stop: lines(include_str!("tables/stop.txt")).flat_map(str::split_whitespace).collect(),
            weak: lines(include_str!("tables/weak.txt")).flat_map(str::split_whitespace).map(stem).collect(),
            ..Lexicon::default()
        };
        for line in lines(include_str!("tables/synonyms.txt")) {
            let mut words =
                line.split_whitespace().map(|word| lexicon.key(word)).collect::<Vec<_>>().into_iter();
            let Some(head) = words.next() else { continue };
            for word in words {
                lexicon.heads.entry(word).or_insert_with(|| head.clone());
            }
        }
        for line in lines(include_str!("tables/axes.txt")) {
            lexicon.read_axis(line);
        }
        lexicon
    }

    fn read_axis(&mut self, line: &'static str) {
        let Some((head, sides)) = line.split_once(':') else { return };
        let Some((kind, _name)) = head.split_once(' ') else { return };
        let Ok(axis) = u16::try_from(self.axes.len()) else { return };
        for (side, words) in sides.split('|').enumerate() {
            for word in words.split_whitespace() {
                let key = self.key(word);
                let side = Side { axis, side: u8::try_from(side).unwrap_or(u8::MAX) };
                let known = self.sides.entry(key).or_default();
                if !known.contains(&side) {
                    known.push(side);
                }
            }
        }
        self.axes.push(Axis { is_pair: kind.ends_with("pair"), is_strict: !kind.starts_with('~') });
    }

    /// The stems of a table's word, phrases with a blank between.
    fn key(&mut self, word: &str) -> String {
        let mut parts = word.split('_').map(stem);
        let first = parts.next().unwrap_or_default();
        let rest = parts.collect::<Vec<_>>();
        if rest.is_empty() {
            return first;
        }
        self.phrase_starts.insert(first.clone());
        format!("{first} {}", rest.join(" "))
    }

    pub(crate) fn starts_phrase(&self, stem: &str) -> bool {
        self.phrase_starts.contains(stem)
    }

    pub(crate) fn has_phrase(&self, stems: &str) -> bool {
        self.heads.contains_key(stems) || self.sides.contains_key(stems)
    }

    /// The stem that stands for the meaning of this one.
    pub(crate) fn head<'a>(&'a self, stem: &'a str) -> &'a str {
        self.heads.get(stem).map_or(stem, String::as_str)
    }

    pub(crate) fn sides(&self, stem: &str) -> &[Side] {
        self.sides.get(stem).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn weight(&self, word: &str, stem: &str) -> Weight {
        if self.stop.contains(word) {
            return Weight::Stop;
        }
        if self.weak.contains(stem) { Weight::Weak } else { Weight::Full }
    }

    pub(crate) fn axis(&self, side: Side) -> Option<&Axis> {
        self.axes.get(usize::from(side.axis))
    }
}

/// The lines of a table, without blank ones and comments.
fn lines(table: &'static str) -> impl Iterator<Item = &'static str> {
    table.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_axis_has_a_kind_a_name_of_its_own_and_two_sides_or_more() {
        let mut names = HashSet::new();
        for line in lines(include_str!("tables/axes.txt")) {
            let (head, sides) = line.split_once(':').unwrap_or_else(|| panic!("{line}"));
            let (kind, name) = head.split_once(' ').unwrap_or_else(|| panic!("{line}"));
            let count = sides.split('|').filter(|side| !side.trim().is_empty()).count();
            assert!(["pair", "set", "~set", "~pair"].contains(&kind), "{line}");
            assert!(count >= 2 && (count == 2 || kind.ends_with("set")), "{line}");
            assert!(names.insert(name), "{name} is there twice");
        }
        assert_eq!(names.len(), LEXICON.axes.len());
    }

    #[test]
    fn no_word_stands_on_two_sides_of_one_axis() {
        for (word, sides) in &LEXICON.sides {
            for (at, side) in sides.iter().enumerate() {
                assert!(!sides.iter().skip(at + 1).any(|other| other.axis == side.axis), "{word}");
            }
        }
    }

    #[test]
    fn words_of_one_meaning_do_not_exclude_each_other() {
        for line in lines(include_str!("tables/synonyms.txt")) {
            let stems: Vec<String> = line
                .split_whitespace()
                .map(|word| word.split('_').map(stem).collect::<Vec<_>>().join(" "))
                .collect();
            assert!(stems.len() >= 2, "{line}");
            for (at, one) in stems.iter().enumerate() {
                for other in stems.iter().skip(at + 1) {
                    let apart = LEXICON.sides(one).iter().any(|side| {
                        let mut others = LEXICON.sides(other).iter().filter(|stand| stand.axis == side.axis);
                        others.any(|stand| stand.side != side.side)
                    });
                    assert!(!apart, "{one} and {other} in: {line}");
                }
            }
        }
    }
}
