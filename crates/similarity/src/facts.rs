//! What a question says that a vector of it blurs: numbers, names, codes, what is negated, what excludes what.
//!
//! Owns: the one pass over the words of a question. Leaves to others: whether two questions agree (`guard`).
//!
//! **Invariant:** work and memory are bounded by [`crate::TEXT_BYTES_MAX`] and [`crate::WORDS_MAX`], whatever the text.

use crate::language::{Language, language};
use crate::lexicon::{LEXICON, Side, Weight};
use crate::question::{Mood, mood};
use crate::values::{self, Value};
use crate::words::{Shape, Word, stem, words};

/// How many words of matter a negation reaches: the first is what is denied, the next ones are denied of it.
const NEGATION_REACH: usize = 1;

/// How far before an "on" or "off" its verb may stand.
const PARTICLE_REACH: usize = 6;

/// Which end of a way a word names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Neither.
    None,
    /// "From" here.
    Source,
    /// "To" here.
    Target,
}

/// A word of matter, or a phrase that is one.
#[derive(Clone, Debug)]
pub(crate) struct Term {
    /// The stem that stands for the meaning.
    pub(crate) head: String,
    /// The stem as it was written.
    pub(crate) stem: String,
    pub(crate) weight: Weight,
    pub(crate) sides: &'static [Side],
    pub(crate) is_negated: bool,
    pub(crate) is_name: bool,
    pub(crate) role: Role,
    /// The word at which it stands.
    pub(crate) at: usize,
}

/// What a question says, as far as it decides whether another one's answer will do.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The words in small letters, courtesies left out.
    pub(crate) plain: String,
    /// Whether all of the question was read.
    pub(crate) is_whole: bool,
    pub(crate) terms: Vec<Term>,
    pub(crate) values: Vec<Value>,
    pub(crate) codes: Vec<String>,
    pub(crate) negations: usize,
    pub(crate) mood: Mood,
    pub(crate) language: Language,
}

impl Facts {
    /// Reads a question.
    #[must_use]
    pub fn of(text: &str) -> Facts {
        let (words, is_whole) = words(text);
        let mut reader = Reader::new(&words);
        while reader.at < words.len() {
            reader.step();
        }
        let kept = words.iter().map(|word| word.text.as_str()).filter(|word| !is_courtesy(word));
        Facts {
            plain: kept.collect::<Vec<_>>().join(" "),
            is_whole,
            terms: reader.terms,
            values: reader.values,
            codes: reader.codes,
            negations: reader.negations,
            mood: mood(&words),
            language: language(&words),
        }
    }

    /// The language of the question.
    #[must_use]
    pub fn language(&self) -> Language {
        self.language
    }
}

fn is_courtesy(word: &str) -> bool {
    matches!(
        word,
        "please"
            | "thanks"
            | "thank"
            | "cheers"
            | "hi"
            | "hello"
            | "hey"
            | "um"
            | "uh"
            | "er"
            | "erm"
            | "hmm"
            | "yeah"
            | "okay"
            | "kindly"
    )
}

struct Reader<'a> {
    words: &'a [Word],
    at: usize,
    /// Whether capitals tell names from other words in this text.
    capitals_tell: bool,
    /// Words of matter that the last negation still reaches.
    reach: usize,
    /// The value that waits for the word that it counts.
    waiting: Option<usize>,
    terms: Vec<Term>,
    values: Vec<Value>,
    codes: Vec<String>,
    negations: usize,
}

impl<'a> Reader<'a> {
    fn new(words: &'a [Word]) -> Reader<'a> {
        let lettered = words.iter().filter(|word| word.text.chars().any(char::is_alphabetic)).count();
        let capitals =
            words.iter().filter(|word| matches!(word.shape, Shape::Capital | Shape::Capitals)).count();
        Reader {
            words,
            at: 0,
            capitals_tell: capitals * 2 <= lettered.max(6),
            reach: 0,
            waiting: None,
            terms: Vec::new(),
            values: Vec::new(),
            codes: Vec::new(),
            negations: 0,
        }
    }

    fn word(&self, at: usize) -> Option<&'a Word> {
        self.words.get(at)
    }

    fn text(&self, at: usize) -> &'a str {
        self.words.get(at).map_or("", |word| word.text.as_str())
    }

    fn step(&mut self) {
        let from = self.at;
        self.at += self.take().max(1);
        let ended = self.words.get(from..self.at).unwrap_or_default().iter().any(|word| word.ends_clause);
        if ended {
            self.reach = 0;
        }
    }

    /// Takes what begins here; says how many words it is.
    fn take(&mut self) -> usize {
        let Some(word) = self.word(self.at) else { return 1 };
        if let Some(read) = self.take_phrase() {
            return read;
        }
        if let Some((value, read)) = values::read(self.words, self.at) {
            self.waiting = Some(self.values.len());
            self.values.push(value);
            return read;
        }
        match word.shape {
            Shape::Code | Shape::Number => self.codes.push(word.text.clone()),
            Shape::Sign => self.codes.push(word.text.clone()),
            Shape::Plain | Shape::Capital | Shape::Capitals => self.take_word(word),
        }
        1
    }

    fn take_phrase(&mut self) -> Option<usize> {
        let word = self.word(self.at)?;
        let first = stem(&word.text);
        if !LEXICON.starts_phrase(&first) {
            return None;
        }
        let mut phrase = first;
        let mut found = None;
        for length in 2..=3 {
            if self.word(self.at + length - 2).is_some_and(|before| before.ends_clause) {
                break;
            }
            let Some(next) = self.word(self.at + length - 1) else { break };
            phrase = format!("{phrase} {}", stem(&next.text));
            if LEXICON.has_phrase(&phrase) {
                found = Some((phrase.clone(), length));
            }
        }
        let (phrase, length) = found?;
        self.push(&phrase, Weight::Full, false);
        Some(length)
    }

    fn take_word(&mut self, word: &Word) {
        if self.take_negation(word) {
            return;
        }
        if let Some(key) = self.special() {
            self.push(key, Weight::Weak, false);
            return;
        }
        let stemmed = stem(&word.text);
        let weight = LEXICON.weight(&word.text, &stemmed);
        let is_name = self.capitals_tell
            && weight != Weight::Stop
            && (word.shape == Shape::Capitals || word.shape == Shape::Capital && !word.opens_sentence);
        match weight {
            Weight::Stop if LEXICON.sides(&stemmed).is_empty() => {}
            Weight::Stop => self.push(&stemmed, Weight::Weak, false),
            Weight::Weak | Weight::Full => self.push(&stemmed, weight, is_name),
        }
    }

    /// Words that are read by what stands beside them: bounds before numbers, particles behind their verb, months that are also verbs.
    fn special(&self) -> Option<&'static str> {
        let word = self.word(self.at)?;
        let next_counts = values::read(self.words, self.at + 1).is_some();
        match word.text.as_str() {
            "under" | "below" | "beneath" if next_counts => Some("#under"),
            "over" | "above" | "exceeding" | "beyond" if next_counts => Some("#over"),
            "on" | "off" | "in" | "out" => self.particle(&word.text),
            "may" if self.is_month(word) => Some("may month"),
            "march" if self.is_month(word) => Some("march month"),
            _ => None,
        }
    }

    fn is_month(&self, word: &Word) -> bool {
        let before = self.at.checked_sub(1).map_or("", |at| self.text(at));
        let named = word.shape == Shape::Capital && !word.opens_sentence;
        named
            || matches!(
                before,
                "in" | "by" | "since" | "until" | "from" | "last" | "next" | "of" | "early" | "late"
            )
            || before.starts_with(|c: char| c.is_ascii_digit())
    }

    fn particle(&self, particle: &str) -> Option<&'static str> {
        const VERBS: [(&str, &str, &str); 15] = [
            ("turn", "on", "turn on"),
            ("turn", "off", "turn off"),
            ("switch", "on", "turn on"),
            ("switch", "off", "turn off"),
            ("cut", "off", "turn off"),
            ("shut", "off", "turn off"),
            ("opt", "in", "opt in"),
            ("opt", "out", "opt out"),
            ("log", "in", "log in"),
            ("log", "out", "log out"),
            ("sign", "in", "log in"),
            ("sign", "out", "log out"),
            ("check", "in", "check in"),
            ("check", "out", "check out"),
            ("move", "out", "move out"),
        ];
        for back in 1..=PARTICLE_REACH.min(self.at) {
            let before = self.word(self.at - back)?;
            if before.ends_clause {
                return None;
            }
            let verb = stem(&before.text);
            if let Some((_, _, key)) = VERBS.iter().find(|(v, p, _)| *p == particle && *v == verb) {
                return Some(key);
            }
        }
        None
    }

    fn take_negation(&mut self, word: &Word) -> bool {
        let next = self.text(self.at + 1);
        let negates = match word.text.as_str() {
            "not" => next != "only" && !is_knowing(next) && !(self.at > 0 && self.text(self.at - 1) == "or"),
            "no" => next != "idea" && !word.ends_clause && self.at + 1 < self.words.len(),
            "never" | "without" | "nor" | "neither" | "none" | "nobody" | "nothing" | "unable" | "avoid"
            | "avoiding" | "cannot" => true,
            "non" => self.word(self.at + 1).is_some_and(|next| next.tied),
            "stop" | "quit" => next.ends_with("ing"),
            "failed" | "fails" | "fail" => next == "to",
            "nicht" | "kein" | "keine" | "keinen" | "pas" | "nunca" | "non-" | "não" | "niet" | "geen"
            | "sin" | "ohne" | "sans" => true,
            _ => false,
        };
        if negates {
            self.negations += 1;
            self.reach = NEGATION_REACH;
        }
        negates
    }

    fn push(&mut self, stem: &str, weight: Weight, is_name: bool) {
        let is_negated = self.reach > 0;
        if weight == Weight::Full {
            self.reach = self.reach.saturating_sub(1);
            if let Some(value) = self.waiting.take().and_then(|at| self.values.get_mut(at)) {
                LEXICON.head(stem).clone_into(&mut value.of);
            }
        }
        let role = self.role();
        self.terms.push(Term {
            head: LEXICON.head(stem).to_owned(),
            stem: stem.to_owned(),
            weight,
            sides: LEXICON.sides(stem),
            is_negated,
            is_name,
            role,
            at: self.at,
        });
    }

    /// The end of a way that the word here names: a "from" or "to" stands before it, articles, possessives and parts of the
    /// same name between.
    fn role(&self) -> Role {
        for back in 1..=4.min(self.at) {
            let Some(before) = self.word(self.at - back) else { break };
            match before.text.as_str() {
                "from" | "leaving" | "leave" => return Role::Source,
                "to" | "into" | "onto" | "towards" => return Role::Target,
                "for"
                    if self
                        .words
                        .iter()
                        .any(|word| matches!(word.text.as_str(), "leave" | "leaving" | "left")) =>
                {
                    return Role::Target;
                }
                "the" | "my" | "your" | "our" | "a" | "an" => {}
                _ if matches!(before.shape, Shape::Capital | Shape::Capitals) && !before.opens_sentence => {}
                _ => break,
            }
        }
        Role::None
    }
}

fn is_knowing(word: &str) -> bool {
    matches!(
        word,
        "know"
            | "sure"
            | "understand"
            | "see"
            | "clear"
            | "certain"
            | "think"
            | "believe"
            | "remember"
            | "mind"
            | "find"
    )
}
