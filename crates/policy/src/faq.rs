//! Answers that an operator wrote down, found by the words of a question.
//!
//! Owns how alike two questions are: the words that they share, each worth the more the fewer questions have it (inverse
//! document frequency, Sparck Jones 1972), and what vetoes a likeness. Leaves to others: when such an answer may stand in
//! for a model's. **Invariant:** a question with another number, or with a negation that the entry has not, never matches.

use std::collections::{BTreeSet, HashMap};

/// Words that say nothing of what is asked.
const EMPTY_WORDS: &[&str] = &[
    "a", "an", "and", "are", "at", "be", "can", "could", "do", "does", "for", "from", "have", "hello", "hi",
    "how", "i", "in", "is", "it", "me", "my", "of", "on", "or", "please", "tell", "thank", "thanks", "that",
    "the", "this", "to", "we", "what", "when", "where", "which", "who", "will", "with", "would", "you",
    "your",
];

/// Words that turn a question into its opposite.
const NEGATIONS: &[&str] =
    &["cannot", "cant", "don", "dont", "isn", "never", "no", "not", "won", "wont", "without", "unable"];

/// Longest question that is looked at, in bytes; a longer one is no question of an FAQ.
const QUESTION_BYTES_MAX: usize = 2_000;

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Found<'f> {
    /// The operator's answer.
    pub answer: &'f str,
    /// The question that it answers, as written.
    pub question: &'f str,
    /// How alike the questions are, `0..=1`.
    pub score: f64,
}

#[derive(Debug, Clone, PartialEq)]
struct Phrasing {
    question: String,
    answer: usize,
    words: BTreeSet<String>,
}

/// The operator's answers, ready to be searched.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Faq {
    answers: Vec<String>,
    phrasings: Vec<Phrasing>,
    /// What a word is worth.
    worth: HashMap<String, f64>,
}

impl Faq {
    /// Entries: the phrasings of a question, and its answer.
    pub fn new(entries: impl IntoIterator<Item = (Vec<String>, String)>) -> Self {
        let mut faq = Self::default();
        for (questions, answer) in entries {
            let number = faq.answers.len();
            faq.answers.push(answer);
            faq.phrasings.extend(questions.into_iter().map(|question| Phrasing {
                words: words(&question),
                question,
                answer: number,
            }));
        }
        let total = faq.phrasings.len() as f64;
        let mut counts: HashMap<String, f64> = HashMap::new();
        for word in faq.phrasings.iter().flat_map(|phrasing| &phrasing.words) {
            *counts.entry(word.clone()).or_default() += 1.0;
        }
        faq.worth = counts.into_iter().map(|(word, count)| (word, (1.0 + total / count).ln())).collect();
        faq
    }

    /// The entry that is most alike, if it is as alike as `threshold` (`0..=1`) asks.
    pub fn find(&self, question: &str, threshold: f64) -> Option<Found<'_>> {
        if question.len() > QUESTION_BYTES_MAX {
            return None;
        }
        let asked = words(question);
        let scored = self.phrasings.iter().map(|phrasing| (self.likeness(&asked, &phrasing.words), phrasing));
        let (score, best) = scored.max_by(|(one, _), (other, _)| one.total_cmp(other))?;
        let answer = self.answers.get(best.answer)?;
        (score > 0.0 && score >= threshold).then_some(Found { answer, question: &best.question, score })
    }

    /// Twice the worth of the words that both have, by the worth of all words of both (Dice's coefficient, weighted).
    fn likeness(&self, one: &BTreeSet<String>, other: &BTreeSet<String>) -> f64 {
        if marks(one) != marks(other) {
            return 0.0;
        }
        // A word that no entry has is as telling as one that a single entry has.
        let unknown = (1.0 + self.phrasings.len() as f64).ln();
        let worth = |word: &String| self.worth.get(word).copied().unwrap_or(unknown);
        let shared: f64 = one.intersection(other).map(worth).sum();
        let all: f64 = one.iter().map(worth).sum::<f64>() + other.iter().map(worth).sum::<f64>();
        if all > 0.0 { 2.0 * shared / all } else { 0.0 }
    }
}

/// What must be the same in both: whether there is a negation, and which numbers there are.
fn marks(words: &BTreeSet<String>) -> (bool, Vec<&String>) {
    let is_negative = words.iter().any(|word| NEGATIONS.contains(&word.as_str()));
    (is_negative, words.iter().filter(|word| word.bytes().any(|byte| byte.is_ascii_digit())).collect())
}

/// The telling words of a text, in lower case, without the endings of plurals.
fn words(text: &str) -> BTreeSet<String> {
    let lower = text.to_lowercase();
    let split = lower.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty());
    split.filter(|word| !EMPTY_WORDS.contains(word) || NEGATIONS.contains(word)).map(stem).collect()
}

/// The commonest English endings alone: both sides go through it, so that it need not be right, only the same.
fn stem(word: &str) -> String {
    let short = |ending: &str| word.strip_suffix(ending).filter(|stem| stem.chars().count() >= 3);
    let stem = match word {
        _ if !word.is_ascii() || word.ends_with("ss") => None,
        _ => short("ies").or_else(|| short("ing")).or_else(|| short("ed")).or_else(|| short("es")),
    };
    let stem = stem.or_else(|| if word.ends_with("ss") { None } else { short("s") }).unwrap_or(word);
    let mut stem = stem.trim_end_matches(['e', 'y']).to_owned();
    // resetting, cancelled
    let mut last = stem.bytes().rev();
    if stem.len() < word.len() && stem.is_ascii() && last.next() == last.next() {
        stem.pop();
    }
    stem
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faq() -> Faq {
        let entry = |questions: &[&str], answer: &str| {
            (questions.iter().map(|text| (*text).to_owned()).collect(), answer.to_owned())
        };
        Faq::new([
            entry(
                &["How do I reset my password?", "I forgot my password"],
                "Use the link on the sign-in page.",
            ),
            entry(&["What are your opening hours?"], "9 to 17 on weekdays."),
            entry(&["Can I cancel my order?"], "Yes, within an hour."),
            entry(&["How long does shipping take?", "When will my parcel arrive?"], "Two days."),
            entry(&["What is the fee for plan 2?"], "10 EUR."),
        ])
    }

    #[test]
    fn a_question_finds_its_answer_in_other_words() {
        let check = |question: &str, expect: Option<&str>| {
            let faq = faq();
            assert_eq!(faq.find(question, 0.6).map(|found| found.answer), expect, "{question}");
        };
        check("how do i reset the password", Some("Use the link on the sign-in page."));
        check("Password resetting, please!", Some("Use the link on the sign-in page."));
        check("opening hours?", Some("9 to 17 on weekdays."));
        check("Can I cancel my orders", Some("Yes, within an hour."));
        check("When does my parcel arrive?", Some("Two days."));
        check("What is the weather in Oslo?", None);
        check("", None);
        check(&"password ".repeat(400), None);
    }

    #[test]
    fn a_negation_or_another_number_is_another_question() {
        let faq = faq();
        assert_eq!(faq.find("Can I not cancel my order?", 0.3), None);
        assert_eq!(faq.find("What is the fee for plan 3?", 0.3), None);
        assert!(faq.find("the fee for plan 2", 0.6).is_some());
    }

    #[test]
    fn the_threshold_is_what_decides() {
        let faq = faq();
        let found = faq.find("reset my password on the phone", 0.1).unwrap();
        assert!(found.score > 0.3 && found.score < 1.0, "{}", found.score);
        assert_eq!(faq.find("reset my password on the phone", found.score + 0.01), None);
        assert_eq!(faq.find("How do I reset my password?", 1.0).unwrap().score, 1.0);
    }
}
