//! What a question asks for, and in which mood.
//!
//! Owns: the kind of answer (an amount, a reason, a place, ...), modality, tense, quantifiers and person. Leaves to others: what
//! the question is about (`facts`).
//!
//! **Invariant:** where the words do not tell, the kind is [`Kind::Other`], which conflicts with nothing.

use crate::words::Word;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// "How much", "what does it cost".
    Amount,
    /// "How many", "how often".
    Count,
    /// "How long".
    Duration,
    /// "When", "what time".
    Time,
    /// "Where".
    Place,
    /// "Who".
    Person,
    /// "Why", "how come".
    Reason,
    /// "How do I".
    Procedure,
    /// "Can I", "is there", "do you".
    YesNo,
    /// "What", "which".
    What,
    /// A wish, an order or a statement.
    Other,
}

impl Kind {
    /// Whether both may ask for the same thing, the other words being the same.
    pub(crate) fn agrees(self, other: Kind) -> bool {
        let wide = |kind: Kind| matches!(kind, Kind::Procedure | Kind::YesNo | Kind::What | Kind::Other);
        self == other || wide(self) && wide(other)
    }

    /// Whether an answer to one is no answer to the other. What may be worded either way ("how do I", "can I", "what is the way")
    /// conflicts with nothing.
    pub(crate) fn conflicts(self, other: Kind) -> bool {
        use Kind::{Amount, Count, Duration, Person, Place, Procedure, Reason, Time};
        let strict = [Amount, Count, Duration, Time, Place, Person, Reason];
        let narrow = |kind: Kind| strict.contains(&kind);
        let apart = self != other && (narrow(self) && narrow(other));
        apart
            || matches!(
                (self, other),
                (Procedure, Reason | Time | Place | Person) | (Reason | Time | Place | Person, Procedure)
            )
    }
}

/// The grammar of a question, as far as it changes the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mood {
    pub(crate) kind: Kind,
    /// "must", "have to", "need to" against "can", "may".
    pub(crate) is_duty: bool,
    /// "did", "was", "had".
    pub(crate) is_past: bool,
    /// "only", "all", "every", "both" and their like, one bit each.
    pub(crate) quantifiers: u8,
    /// "he", "she", "they", "someone": not the one who asks.
    pub(crate) is_third_person: bool,
    /// Whose: "my" or "your", where only one of them is said.
    pub(crate) owner: Option<Owner>,
}

/// Whose something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// Of the one who asks.
    Mine,
    /// Of the one who is asked.
    Yours,
}

const QUANTIFIERS: [&[&str]; 7] = [
    &["another", "second", "extra", "additional"],
    &["only", "solely"],
    &["all", "every", "each", "everything"],
    &["both"],
    &["either"],
    &["most"],
    &["half"],
];

/// Reads the mood of a question.
pub(crate) fn mood(words: &[Word]) -> Mood {
    let has = |list: &[&str]| words.iter().any(|word| list.contains(&word.text.as_str()));
    let follows = |first: &[&str], next: &str| {
        words
            .windows(2)
            .any(|pair| matches!(pair, [a, b] if first.contains(&a.text.as_str()) && b.text == next))
    };
    let mut quantifiers = 0;
    for (bit, list) in QUANTIFIERS.iter().enumerate() {
        quantifiers |= u8::from(has(list)) << bit;
    }
    Mood {
        kind: kind(words),
        is_duty: has(&["must", "mandatory", "compulsory", "required", "obliged", "necessary"])
            || follows(&["have", "has", "need", "needs", "got"], "to"),
        is_past: has(&["did", "was", "were", "had"]),
        quantifiers,
        owner: match (has(&["my", "our"]), has(&["your"])) {
            (true, false) => Some(Owner::Mine),
            (false, true) => Some(Owner::Yours),
            _ => None,
        },
        is_third_person: has(&[
            "he", "she", "his", "her", "they", "their", "them", "someone", "somebody", "him",
        ]),
    }
}

fn kind(words: &[Word]) -> Kind {
    let text = |at: usize| words.get(at).map_or("", |word| word.text.as_str());
    // "Do not cancel it" is an order, no question.
    let opens = words.iter().position(|word| !is_filler(&word.text));
    let opens_yes_no =
        opens.is_some_and(|at| is_auxiliary(text(at)) && !(text(at) == "do" && text(at + 1) == "not"));
    for at in 0..words.len().min(48) {
        let free = !opens_yes_no || at > 0 && is_asking(text(at - 1));
        if !free {
            continue;
        }
        if let Some(kind) = at_word(text(at), text(at + 1), text(at + 2)) {
            return kind;
        }
    }
    if opens_yes_no { Kind::YesNo } else { Kind::Other }
}

fn at_word(word: &str, next: &str, third: &str) -> Option<Kind> {
    let kind = match (word, next) {
        ("how", "much") => Kind::Amount,
        ("how", "many" | "often" | "frequently") => Kind::Count,
        ("how", "long" | "soon" | "quickly" | "fast") => Kind::Duration,
        ("how", "come") | ("why", _) => Kind::Reason,
        (
            "how",
            "do" | "can" | "to" | "could" | "would" | "should" | "might" | "does" | "i" | "you" | "we" | "is"
            | "are",
        ) => Kind::Procedure,
        ("how", _) => Kind::What,
        ("when", _) => Kind::Time,
        ("what" | "which", "time" | "date" | "day") => Kind::Time,
        ("what", "is" | "" | "are" | "was" | "does" | "will" | "would" | "do") | ("what", _) => {
            what(next, third)
        }
        ("where", _) => Kind::Place,
        ("who" | "whom", _) => Kind::Person,
        ("which", _) => Kind::What,
        _ => return None,
    };
    Some(kind)
}

fn what(next: &str, third: &str) -> Kind {
    let asked = if matches!(next, "the" | "your" | "my") { third } else { next };
    match asked {
        "price" | "cost" | "fee" | "charge" => Kind::Amount,
        "reason" => Kind::Reason,
        _ => Kind::What,
    }
}

fn is_asking(word: &str) -> bool {
    matches!(
        word,
        "tell"
            | "me"
            | "know"
            | "ask"
            | "wonder"
            | "wondering"
            | "explain"
            | "show"
            | "see"
            | "out"
            | "understand"
            | "about"
            | "say"
    )
}

fn is_filler(word: &str) -> bool {
    matches!(
        word,
        "hi" | "hello"
            | "hey"
            | "please"
            | "so"
            | "um"
            | "uh"
            | "er"
            | "erm"
            | "and"
            | "ok"
            | "okay"
            | "well"
            | "yeah"
            | "but"
            | "team"
            | "there"
            | "quick"
            | "question"
    )
}

fn is_auxiliary(word: &str) -> bool {
    matches!(
        word,
        "can"
            | "could"
            | "is"
            | "are"
            | "am"
            | "was"
            | "were"
            | "do"
            | "does"
            | "did"
            | "will"
            | "would"
            | "should"
            | "shall"
            | "may"
            | "might"
            | "must"
            | "have"
            | "has"
            | "had"
    )
}
