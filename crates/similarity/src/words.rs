//! A question taken apart into words.
//!
//! Owns: where a word begins and ends, what its writing says (capitals, digits, quotation marks), its stem, and whether
//! a word is another one misspelt. Leaves to others: what a word means (`lexicon`) and what it counts (`values`).
//!
//! **Invariant:** one pass over at most [`TEXT_BYTES_MAX`] bytes and [`WORDS_MAX`] words; what goes beyond them is said
//! to have been cut off, never quietly ignored.

/// The most bytes of a question that are read.
pub const TEXT_BYTES_MAX: usize = 4096;

/// The most words of a question that are read.
pub const WORDS_MAX: usize = 384;

/// How a word is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Small letters, or letters of a script without capitals.
    Plain,
    /// A capital first.
    Capital,
    /// Capitals alone, two or more, or capitals within.
    Capitals,
    /// Digits, with or without separators and signs.
    Number,
    /// Letters and digits, an address or a path.
    Code,
    /// One sign that counts: a currency or a percent sign.
    Sign,
}

/// A word of a question.
#[derive(Clone, Debug)]
pub(crate) struct Word {
    /// In small letters, apostrophes folded, contractions apart.
    pub(crate) text: String,
    pub(crate) shape: Shape,
    /// Nothing but a full stop, a colon or the beginning stands before it.
    pub(crate) opens_sentence: bool,
    /// A mark that ends a clause stands after it.
    pub(crate) ends_clause: bool,
    /// A hyphen or a slash ties it to the word before it.
    pub(crate) tied: bool,
}

/// The words of a text, and whether that was all of it.
pub(crate) fn words(text: &str) -> (Vec<Word>, bool) {
    let (read, mut whole) = clip(text);
    let mut found = Vec::with_capacity(32);
    let mut opens = true;
    let mut tied = false;
    let mut after_word = false;
    let mut rest = read;
    while let Some(first) = rest.chars().next() {
        if found.len() >= WORDS_MAX {
            whole = false;
            break;
        }
        let length = length_of_word(rest);
        if length == 0 {
            tied = matches!(first, '-' | '/' | '\u{2010}' | '\u{2011}') && !found.is_empty();
            let hyphen = after_word && first == '-';
            opens = if hyphen { opens } else { mark(rest, &mut found, opens) };
            after_word = false;
            rest = rest.get(first.len_utf8()..).unwrap_or_default();
            continue;
        }
        let (raw, after) = rest.split_at_checked(length).unwrap_or((rest, ""));
        rest = after;
        push(raw, opens, tied, &mut found);
        opens = false;
        tied = false;
        after_word = true;
    }
    (found, whole)
}

fn clip(text: &str) -> (&str, bool) {
    if text.len() <= TEXT_BYTES_MAX {
        return (text, true);
    }
    let end = (0..=TEXT_BYTES_MAX).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    (text.get(..end).unwrap_or_default(), false)
}

/// Takes note of a mark between words; says whether the next word opens a sentence.
fn mark(rest: &str, found: &mut Vec<Word>, opens: bool) -> bool {
    let Some(mark) = rest.chars().next() else { return opens };
    if is_sign(mark) || mark == '-' && opens_number(rest) {
        let text = mark.to_string();
        found.push(Word { text, shape: Shape::Sign, opens_sentence: false, ends_clause: false, tied: false });
        return false;
    }
    let ends_sentence = matches!(mark, '.' | '!' | '?' | ':' | '\n' | '。' | '？' | '！');
    let ends_clause = ends_sentence || matches!(mark, ',' | ';' | '(' | ')' | '，' | '、');
    if let Some(last) = found.last_mut().filter(|_| ends_clause) {
        last.ends_clause = true;
    }
    ends_sentence || (opens && !mark.is_alphanumeric())
}

fn is_sign(mark: char) -> bool {
    matches!(
        mark,
        '%' | '$' | '€' | '£' | '¥' | '₹' | '₽' | '₩' | '+' | '*' | '=' | '<' | '>' | '^' | '×' | '÷'
    )
}

/// Whether a hyphen is a minus: a digit stands behind it (and, as the caller has seen, no word right before it).
fn opens_number(rest: &str) -> bool {
    rest.chars().nth(1).is_some_and(|next| next.is_ascii_digit())
}

/// Bytes of the word that `rest` begins with; none where it begins with something else.
fn length_of_word(rest: &str) -> usize {
    let Some(first) = rest.chars().next() else { return 0 };
    if !first.is_alphanumeric() {
        return 0;
    }
    if is_ideograph(first) {
        return first.len_utf8();
    }
    let blank =
        rest.find(|c: char| c.is_whitespace() || matches!(c, '"' | ',' | ')' | '(' | '<' | '>' | ';'));
    let run = rest.get(..blank.unwrap_or(rest.len())).unwrap_or_default();
    if is_address(run) {
        return run.trim_end_matches(['.', '?', '!', ':', ',', '\'']).len();
    }
    let mut end = 0;
    let mut before = first;
    for (at, here) in rest.char_indices() {
        let next = rest.get(at + here.len_utf8()..).and_then(|after| after.chars().next());
        let within =
            here.is_alphanumeric() && !is_ideograph(here) || is_combining(here) || joins(before, here, next);
        if !within {
            break;
        }
        end = at + here.len_utf8();
        before = here;
    }
    let after = rest.get(end..).unwrap_or_default();
    let names_language = end <= 2 && first.is_ascii_alphabetic();
    match after.as_bytes() {
        [b'+', b'+', ..] if names_language => end + 2,
        [b'#', ..] if names_language => end + 1,
        _ => end,
    }
}

/// Whether a mark belongs to the word around it: an apostrophe, and the marks within numbers.
fn joins(before: char, here: char, next: Option<char>) -> bool {
    let Some(next) = next else { return false };
    match here {
        '\'' | '\u{2019}' | '\u{2BC}' => before.is_alphabetic() && next.is_alphabetic(),
        '.' | ',' | ':' => before.is_ascii_digit() && next.is_ascii_digit(),
        '_' => next.is_alphanumeric(),
        '&' => before.is_uppercase() && next.is_uppercase(),
        _ => false,
    }
}

fn is_address(run: &str) -> bool {
    let mail = run.split_once('@').is_some_and(|(name, host)| !name.is_empty() && host.contains('.'));
    mail || run.contains("://") || run.starts_with("www.")
}

pub(crate) fn is_ideograph(c: char) -> bool {
    matches!(c, '\u{3040}'..='\u{30FF}' | '\u{3400}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{2FA1F}')
}

fn is_combining(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36F}' | '\u{200C}' | '\u{200D}')
}

fn push(raw: &str, opens: bool, tied: bool, found: &mut Vec<Word>) {
    let shape = shape(raw);
    let small = raw.to_lowercase().replace(['\u{2019}', '\u{2BC}'], "'");
    let mut word = Word { text: small, shape, opens_sentence: opens, ends_clause: false, tied };
    let Some((stem, negated)) = contraction(&word.text) else {
        found.push(word);
        return;
    };
    word.text = stem;
    found.push(word);
    if negated {
        let text = "not".to_owned();
        found.push(Word {
            text,
            shape: Shape::Plain,
            opens_sentence: false,
            ends_clause: false,
            tied: false,
        });
    }
}

fn shape(raw: &str) -> Shape {
    let digits = raw.chars().filter(char::is_ascii_digit).count();
    let letters = raw.chars().filter(|c| c.is_alphabetic()).count();
    if is_address(raw) || raw.contains('_') {
        return Shape::Code;
    }
    if digits > 0 {
        return if letters == 0 { Shape::Number } else { Shape::Code };
    }
    let capitals = raw.chars().filter(|c| c.is_uppercase()).count();
    let leads = raw.chars().next().is_some_and(char::is_uppercase);
    match (capitals, leads) {
        (0, _) => Shape::Plain,
        (1, true) => Shape::Capital,
        _ => Shape::Capitals,
    }
}

/// The word without what an apostrophe adds to it, and whether that was a negation.
fn contraction(small: &str) -> Option<(String, bool)> {
    const WITHOUT_APOSTROPHE: &[&str] = &[
        "dont", "doesnt", "didnt", "isnt", "arent", "wasnt", "werent", "havent", "hasnt", "hadnt", "wouldnt",
        "couldnt", "shouldnt", "mustnt", "neednt", "aint",
    ];
    match small {
        "can't" | "cant" | "cannot" => return Some(("can".to_owned(), true)),
        "won't" | "wont" => return Some(("will".to_owned(), true)),
        "shan't" => return Some(("shall".to_owned(), true)),
        _ => {}
    }
    if let Some(stem) = small.strip_suffix("n't") {
        return Some((stem.to_owned(), true));
    }
    if WITHOUT_APOSTROPHE.contains(&small) {
        return Some((small.trim_end_matches("nt").to_owned(), true));
    }
    let (stem, _) =
        small.split_once('\'').filter(|(_, end)| matches!(*end, "s" | "re" | "ve" | "ll" | "d" | "m"))?;
    Some((stem.to_owned(), false))
}

/// The stem of an English word: plural, past and `-ing` are taken off, a silent `e`, a double consonant and `y` folded.
/// Made to be the same for the forms of one word, not to be a word.
pub(crate) fn stem(word: &str) -> String {
    let mut stem = word.to_owned();
    if !word.is_ascii() || word.len() <= 3 {
        return stem;
    }
    if let Some(base) = word.strip_suffix("ies").filter(|base| base.len() >= 2) {
        stem = format!("{base}y");
    } else if ["sses", "shes", "ches", "xes"].iter().any(|end| word.ends_with(end)) {
        stem.truncate(word.len() - 2);
    } else if word.ends_with('s') && !["ss", "us", "is"].iter().any(|end| word.ends_with(end)) {
        stem.truncate(word.len() - 1);
    }
    for end in ["ing", "ed"] {
        let base = stem.strip_suffix(end).filter(|base| base.len() >= 3 && base.contains(is_vowel));
        if let Some(length) = base.map(str::len) {
            stem.truncate(length);
            break;
        }
    }
    fold_end(stem)
}

fn is_vowel(c: char) -> bool {
    matches!(c, 'a' | 'e' | 'i' | 'o' | 'u' | 'y')
}

fn fold_end(mut stem: String) -> String {
    if stem.len() > 3 && stem.ends_with('e') {
        stem.pop();
    }
    let mut ends = stem.chars().rev();
    let doubled =
        ends.next().zip(ends.next()).is_some_and(|(last, before)| last == before && !is_vowel(last));
    if doubled && stem.len() > 3 {
        stem.pop();
    }
    if stem.ends_with('y') {
        stem.pop();
        stem.push('i');
    }
    stem
}

/// Whether two words are likely one word, one of them misspelt: the same first letter, and one slip of a letter (two in words
/// of eight letters or more); a slip is a letter more, less, other, or two that changed places.
pub(crate) fn is_slip(one: &str, other: &str) -> bool {
    let (shorter, longer) = (one.len().min(other.len()), one.len().max(other.len()));
    if shorter < 4 || longer > 24 || one.chars().next() != other.chars().next() {
        return false;
    }
    let slips_max = if shorter >= 8 { 2 } else { 1 };
    longer - shorter <= slips_max && strsim::osa_distance(one, other) <= slips_max
}
