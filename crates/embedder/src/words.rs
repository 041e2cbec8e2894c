//! Text into the numbers of the model's vocabulary.
//!
//! Owns WordPiece as BERT's uncased models use it (Devlin et al. 2018, section 3; the rules of cleaning are those of the
//! original's `BasicTokenizer`): characters of control out, CJK characters words of their own, accents stripped, lower case,
//! punctuation split off, then the longest pieces of the vocabulary. It leaves the model to `model`.
//!
//! **Invariant**: at most [`TOKENS_MAX`] numbers, each of the vocabulary, whatever the text; the work is bounded by
//! [`BYTES_MAX`], not by the text.

use std::collections::HashMap;

use unicode_normalization::UnicodeNormalization;
use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeGeneralCategory};

/// Tokens of a text, with the two that frame it. The model was trained on 128 (its model card), and a question has 15.
pub const TOKENS_MAX: usize = 128;

/// Bytes of a text that are read at all: 128 tokens are under 1 KiB of almost any text.
pub const BYTES_MAX: usize = 16 * 1024;

/// Characters of a word that is looked up in pieces; a longer one is unknown as a whole (the original's limit).
const WORD_MAX: usize = 100;

const VOCABULARY: &str = include_str!("../model/vocab.txt");

/// The vocabulary, ready for use.
#[derive(Debug)]
pub(crate) struct Words {
    /// Pieces that begin a word.
    first: HashMap<&'static str, i32>,
    /// Pieces that go on with one, without their `##`.
    more: HashMap<&'static str, i32>,
    unknown: i32,
    start: i32,
    end: i32,
}

impl Words {
    /// Reads the vocabulary that is part of the binary.
    pub(crate) fn load() -> Self {
        let mut first = HashMap::with_capacity(26_000);
        let mut more = HashMap::with_capacity(6_000);
        for (piece, number) in VOCABULARY.lines().zip(0_i32..) {
            match piece.strip_prefix("##") {
                Some(rest) if !rest.is_empty() => more.insert(rest, number),
                _ => first.insert(piece, number),
            };
        }
        let special = |name| first.get(name).copied().unwrap_or_default();
        let (unknown, start, end) = (special("[UNK]"), special("[CLS]"), special("[SEP]"));
        Self { first, more, unknown, start, end }
    }

    /// The numbers of a text, framed. Two at least; [`TOKENS_MAX`] at most, the rest of the text is left out.
    pub(crate) fn numbers(&self, text: &str) -> Vec<i32> {
        let mut numbers = Vec::with_capacity(24);
        numbers.push(self.start);
        let mut word = Word::default();
        for character in cleaned(cut(text)) {
            if numbers.len() >= TOKENS_MAX {
                break;
            }
            if character == ' ' {
                self.close(&mut word, &mut numbers);
            } else if stands_alone(character) {
                self.close(&mut word, &mut numbers);
                word.push(character);
                self.close(&mut word, &mut numbers);
            } else {
                word.push(character);
            }
        }
        self.close(&mut word, &mut numbers);
        numbers.truncate(TOKENS_MAX - 1);
        numbers.push(self.end);
        numbers
    }

    /// The pieces of a finished word, the longest first; one unknown for a word that does not come apart.
    fn close(&self, word: &mut Word, numbers: &mut Vec<i32>) {
        let before = numbers.len();
        let mut rest = word.text.as_str();
        if word.characters > WORD_MAX {
            numbers.push(self.unknown);
            rest = "";
        }
        let mut table = &self.first;
        while !rest.is_empty() {
            let Some((piece, number)) = longest(table, rest) else {
                numbers.truncate(before);
                numbers.push(self.unknown);
                break;
            };
            numbers.push(number);
            rest = rest.get(piece..).unwrap_or_default();
            table = &self.more;
        }
        word.text.clear();
        word.characters = 0;
    }
}

/// A word under way. Its text stops growing where it is longer than any that is looked up.
#[derive(Debug, Default)]
struct Word {
    text: String,
    characters: usize,
}

impl Word {
    fn push(&mut self, character: char) {
        self.characters += 1;
        if self.characters <= WORD_MAX {
            self.text.push(character);
        }
    }
}

/// The longest beginning of `text` in the table: its length in bytes and its number.
fn longest(table: &HashMap<&'static str, i32>, text: &str) -> Option<(usize, i32)> {
    let ends = text.char_indices().rev().map(|(at, character)| at + character.len_utf8());
    ends.into_iter().find_map(|end| Some((end, *table.get(text.get(..end)?)?)))
}

fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(BYTES_MAX)).unwrap_or_default()
}

/// The text as the vocabulary has it: white space is one kind of character, what cannot be seen is gone.
fn cleaned(text: &str) -> impl Iterator<Item = char> {
    text.chars()
        .filter_map(|character| match character {
            '\0' | '\u{fffd}' => None,
            '\t' | '\n' | '\r' => Some(' '),
            _ if character.is_whitespace() => Some(' '),
            _ if character.general_category_group() == GeneralCategoryGroup::Other => None,
            _ => Some(character),
        })
        .nfd()
        .filter(|character| character.general_category() != GeneralCategory::NonspacingMark)
        .flat_map(char::to_lowercase)
}

/// Whether a character is a word by itself: punctuation (all of ASCII that is neither letter nor digit, and Unicode's classes P)
/// and the CJK ideographs, whose words are not set apart by spaces.
fn stands_alone(character: char) -> bool {
    character.is_ascii_punctuation()
        || (!character.is_ascii()
            && (is_ideograph(character)
                || character.general_category_group() == GeneralCategoryGroup::Punctuation))
}

/// The blocks of CJK Unified and Compatibility Ideographs (Unicode 15, chapter 18); Hangul and kana are words like others.
fn is_ideograph(character: char) -> bool {
    matches!(u32::from(character),
        0x4E00..=0x9FFF | 0x3400..=0x4DBF | 0x2_0000..=0x2_A6DF | 0x2_A700..=0x2_B73F
        | 0x2_B740..=0x2_B81F | 0x2_B820..=0x2_CEAF | 0xF900..=0xFAFF | 0x2_F800..=0x2_FA1F)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(text: &str) -> Vec<&'static str> {
        let names: Vec<&str> = VOCABULARY.lines().collect();
        Words::load().numbers(text).iter().map(|number| names[usize::try_from(*number).unwrap()]).collect()
    }

    #[test]
    fn the_numbers_are_the_originals() {
        let sentences: Vec<String> = serde_json::from_str(include_str!("../tests/data/sents.json")).unwrap();
        let expected: Vec<Vec<i32>> = serde_json::from_str(include_str!("../tests/data/ids.json")).unwrap();
        let words = Words::load();
        let numbers: Vec<Vec<i32>> = sentences.iter().map(|sentence| words.numbers(sentence)).collect();
        assert_eq!(numbers, expected);
    }

    #[test]
    fn words_come_apart_into_the_longest_pieces() {
        assert_eq!(
            pieces("Unaffable  cafés,\tno?"),
            ["[CLS]", "una", "##ffa", "##ble", "cafes", ",", "no", "?", "[SEP]"]
        );
        assert_eq!(pieces(""), ["[CLS]", "[SEP]"]);
        assert_eq!(pieces("\u{200b}\u{7}\u{fffd}"), ["[CLS]", "[SEP]"], "what cannot be seen is not a word");
    }

    #[test]
    fn what_other_scripts_write_is_split_as_they_do() {
        assert_eq!(pieces("中国"), ["[CLS]", "中", "国", "[SEP]"]);
        assert_eq!(pieces("o\u{308}re"), pieces("öre"), "an accent of its own is an accent");
        assert_eq!(pieces("«a»"), ["[CLS]", "«", "a", "»", "[SEP]"]);
        assert_eq!(pieces("🦀"), ["[CLS]", "[UNK]", "[SEP]"]);
    }

    #[test]
    fn the_names_of_special_tokens_are_words_like_others() {
        assert_eq!(pieces("[SEP]"), ["[CLS]", "[", "sep", "]", "[SEP]"]);
    }

    #[test]
    fn any_length_has_a_bounded_answer() {
        assert_eq!(pieces(&"a".repeat(101)), ["[CLS]", "[UNK]", "[SEP]"]);
        let many = pieces(&"word ".repeat(400_000));
        assert_eq!((many.len(), many.last()), (TOKENS_MAX, Some(&"[SEP]")));
        assert_eq!(pieces(&"é".repeat(1_000_000)), ["[CLS]", "[UNK]", "[SEP]"]);
    }
}
