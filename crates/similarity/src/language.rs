//! The language of a question, as far as its letters and commonest words tell it.
//!
//! Owns: scripts, and the words by which the languages of the Latin script are told apart. Leaves to others: what a difference
//! means (`guard`).
//!
//! **Invariant:** [`Language::Unknown`] is never taken for a difference: a short text says too little.

use crate::words::Word;

/// The language, or for scripts that serve many the script.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are the meaning")]
pub enum Language {
    English,
    German,
    French,
    Spanish,
    Italian,
    Portuguese,
    Dutch,
    Cyrillic,
    Greek,
    Arabic,
    Hebrew,
    Devanagari,
    Thai,
    Japanese,
    Korean,
    Chinese,
    /// Too little to tell.
    Unknown,
}

impl Language {
    /// Whether a question in one of them is certainly not in the other.
    #[must_use]
    pub fn differs_from(self, other: Language) -> bool {
        self != other && self != Language::Unknown && other != Language::Unknown
    }
}

/// Words that are common in one language and rare in the others; those that two share are left out.
const COMMON: &[(Language, &str)] = &[
    (
        Language::English,
        "the is are was what how why when where who which my your our you i it this that of and to for with can could do does did \
         not have has will would should if be been from they we there any",
    ),
    (
        Language::German,
        "der die das und ist ich wie warum wann wo wer welche mein meine meinen kann nicht ein eine einen mit auf für zu den dem des \
         sie wir habe hat wird werden bitte gibt kein keine sind von bei nach über muss",
    ),
    (
        Language::French,
        "le la les est je comment pourquoi quand où qui quel quelle mon ma mes vous nous puis peut pas une des du avec pour dans sur \
         et sont il elle ai avez quoi que ce cette au aux",
    ),
    (
        Language::Spanish,
        "el los las es yo cómo como qué por cuándo cuando dónde donde quién cuál mi mis puedo puede una unos del con para en y son \
         está hay mi tengo usted su cuánto cuesta",
    ),
    (
        Language::Italian,
        "il lo gli è io come perché quando dove chi quale mio mia posso può non un una della del con per di e sono ho che cosa nel \
         alla quanto costa",
    ),
    (
        Language::Portuguese,
        "o os as é eu como porquê quando onde quem qual meu minha posso pode não um uma da do com para em e são tenho você seu quanto \
         custa ao está",
    ),
    (
        Language::Dutch,
        "de het een is ik hoe waarom wanneer waar wie welke mijn kan niet met op voor van en zijn heb heeft wordt kunnen geen naar \
         bij mag moet",
    ),
];

/// The language of these words.
pub(crate) fn language(words: &[Word]) -> Language {
    let mut of_script = [0_usize; 9];
    let mut latin = 0;
    for letter in words.iter().flat_map(|word| word.text.chars()).filter(|c| c.is_alphabetic()) {
        match script(letter).and_then(|script| SCRIPTS.iter().position(|known| *known == script)) {
            Some(at) => {
                if let Some(count) = of_script.get_mut(at) {
                    *count += 1;
                }
            }
            None => latin += 1,
        }
    }
    let most = of_script.iter().enumerate().max_by_key(|(_, count)| **count);
    if let Some((at, count)) = most.filter(|(_, count)| **count * 2 > latin) {
        return of_letters(at, *count, &of_script);
    }
    of_words(words)
}

const SCRIPTS: [Language; 9] = [
    Language::Cyrillic,
    Language::Greek,
    Language::Arabic,
    Language::Hebrew,
    Language::Devanagari,
    Language::Thai,
    Language::Japanese,
    Language::Korean,
    Language::Chinese,
];

fn of_letters(at: usize, count: usize, of_script: &[usize]) -> Language {
    let found = SCRIPTS.get(at).copied().unwrap_or(Language::Unknown);
    // Japanese is written with Chinese characters too; a single kana tells it apart.
    let kana = SCRIPTS.iter().position(|known| *known == Language::Japanese).and_then(|at| of_script.get(at));
    if found == Language::Chinese && kana.is_some_and(|kana| *kana > 0) {
        return Language::Japanese;
    }
    if count == 0 { Language::Unknown } else { found }
}

fn script(letter: char) -> Option<Language> {
    Some(match letter {
        '\u{400}'..='\u{52F}' => Language::Cyrillic,
        '\u{370}'..='\u{3FF}' => Language::Greek,
        '\u{600}'..='\u{6FF}' | '\u{750}'..='\u{77F}' => Language::Arabic,
        '\u{590}'..='\u{5FF}' => Language::Hebrew,
        '\u{900}'..='\u{97F}' => Language::Devanagari,
        '\u{E00}'..='\u{E7F}' => Language::Thai,
        '\u{3040}'..='\u{30FF}' => Language::Japanese,
        '\u{AC00}'..='\u{D7AF}' | '\u{1100}'..='\u{11FF}' => Language::Korean,
        '\u{3400}'..='\u{9FFF}' => Language::Chinese,
        _ => return None,
    })
}

/// The language with the most of its common words, where it leads by two or has all that there are.
fn of_words(words: &[Word]) -> Language {
    let mut counts: Vec<(usize, Language)> = COMMON
        .iter()
        .map(|(language, common)| {
            let known =
                words.iter().filter(|word| common.split_ascii_whitespace().any(|c| c == word.text)).count();
            (known, *language)
        })
        .collect();
    counts.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
    match counts.as_slice() {
        [(most, language), (next, _), ..] if *most >= 2 && *most >= next + 2 => *language,
        _ => Language::Unknown,
    }
}
