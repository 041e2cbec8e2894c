//! Which chosen keys are too easy to find.
//!
//! Only a hash of a key is kept, without a salt, so that a database that is lost gives away what can be guessed. A key that
//! was drawn cannot be; one that was chosen is held to rules here. **Invariant:** no rule looks anything up elsewhere.

use super::words::WORDS;
use std::collections::BTreeSet;

/// The fewest characters of a chosen key, `sk-` among them.
const LENGTH_MIN: usize = 16;
/// The most: a header line has to hold it.
const LENGTH_MAX: usize = 512;
/// The fewest bits that as many different characters can hold at that length.
const BITS_MIN: u32 = 32;
/// The fewest letters and digits that are left when well-known words and sequences are taken out.
const REST_MIN: usize = 8;
/// The fewest of them beside a well-known word, where all of them are digits: a date and a year are eight and twelve.
const DIGITS_MIN: usize = 13;
/// The shortest run of neighbours (`abcd`, `4321`, `7777`, `qwer`) that counts as a sequence.
const RUN_MIN: usize = 4;
/// The shortest piece whose repetition counts for nothing, and the fewest different characters in it.
const PIECE_MIN: usize = 3;
/// The longest piece whose repetition is looked for.
const PIECE_MAX: usize = 32;

/// Neighbours beside those of alphabet and digits: the rows of keyboards, and their columns.
const KEYBOARD: [&str; 8] = [
    "qwertyuiop",
    "qwertzuiop",
    "azertyuiop",
    "asdfghjkl",
    "zxcvbnm",
    "yxcvbnm",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm",
    "!qaz@wsx#edc$rfv",
];

/// What is written in the place of letters, with the letters.
const INSTEAD: [(u8, &[u8]); 9] = [
    (b'@', b"a"),
    (b'4', b"a"),
    (b'3', b"e"),
    (b'1', b"il"),
    (b'!', b"i"),
    (b'0', b"o"),
    (b'$', b"s"),
    (b'5', b"s"),
    (b'7', b"t"),
];

/// Why a chosen key is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WeakKey {
    /// It does not begin like a key.
    #[error("a key begins with 'sk-'")]
    Prefix,
    /// It is too short.
    #[error("a key has at least {LENGTH_MIN} characters")]
    Short,
    /// It is too long.
    #[error("a key has at most {LENGTH_MAX} characters")]
    Long,
    /// It has characters that a header cannot hold, or that are not seen.
    #[error("a key consists of visible ASCII characters")]
    Characters,
    /// It repeats itself or hardly varies.
    #[error("this key is too easy to guess: it repeats itself")]
    Repeated,
    /// It consists of what many choose.
    #[error("this key is too easy to guess: it consists of common words or sequences")]
    Common,
    /// It is the master key.
    #[error("this key is taken")]
    Master,
}

/// Refuses a chosen key that is easy to find.
///
/// # Errors
/// The first rule that it does not meet.
pub fn refuse_weak(text: &str) -> Result<(), WeakKey> {
    let rest = text.strip_prefix("sk-").ok_or(WeakKey::Prefix)?;
    if !rest.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(WeakKey::Characters);
    }
    if text.len() < LENGTH_MIN {
        return Err(WeakKey::Short);
    }
    if text.len() > LENGTH_MAX {
        return Err(WeakKey::Long);
    }
    let bytes = rest.as_bytes();
    if bits_max(bytes) < BITS_MIN || is_periodic(bytes) {
        return Err(WeakKey::Repeated);
    }
    if !has_substance(&rest.to_ascii_lowercase()) {
        return Err(WeakKey::Common);
    }
    Ok(())
}

/// The most bits that a text of this length and of as many different characters can hold, rounded down for each eight.
fn bits_max(bytes: &[u8]) -> u32 {
    let mut seen = [false; 128];
    for byte in bytes {
        if let Some(place) = seen.get_mut(usize::from(*byte)) {
            *place = true;
        }
    }
    let different = u32::try_from(seen.iter().filter(|seen| **seen).count()).unwrap_or(0);
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    // The logarithm of the eighth power: as exact as whole numbers need here, and without floats.
    different.checked_pow(4).unwrap_or(u32::MAX).checked_ilog2().unwrap_or(0).saturating_mul(length) / 4
}

/// Whether a text is another one, written twice or more.
fn is_periodic(bytes: &[u8]) -> bool {
    (1..=bytes.len() / 2).any(|period| bytes.iter().zip(bytes.iter().skip(period)).all(|(a, b)| a == b))
}

/// Whether enough is left of a text, which is in lower case, without well-known words, sequences and repetitions.
fn has_substance(text: &str) -> bool {
    let bytes = text.as_bytes();
    let mut known = vec![false; bytes.len()];
    let mut mark = |start: usize, length: usize| {
        known.iter_mut().skip(start).take(length).for_each(|place| *place = true);
    };
    let mut has_words = false;
    let mut at = 0;
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        for word in WORDS.iter().filter(|word| begins_with(rest, word)) {
            has_words = true;
            mark(at, word.len());
        }
        let run = run_length(rest);
        if run >= RUN_MIN {
            mark(at, run);
        }
        mark(at, repeated(bytes, at));
        // The last of a run may be the first of another.
        at += if run >= RUN_MIN { run - 1 } else { 1 };
    }
    let left = || bytes.iter().zip(&known).filter(|(byte, known)| byte.is_ascii_alphanumeric() && !**known);
    let are_digits = left().all(|(byte, _)| byte.is_ascii_digit());
    left().count() >= if has_words && are_digits { DIGITS_MIN } else { REST_MIN }
}

/// Whether a text begins with a word, with a few of its letters written otherwise.
fn begins_with(text: &[u8], word: &str) -> bool {
    let is_instead = |byte: u8, letter: u8| {
        INSTEAD.iter().any(|(written, letters)| *written == byte && letters.contains(&letter))
    };
    let Some(start) = text.get(..word.len()) else { return false };
    let pairs = || start.iter().copied().zip(word.bytes());
    // A word of digits alone would be found in numbers.
    let same = pairs().filter(|(byte, letter)| byte == letter).count();
    same * 2 >= word.len() && pairs().all(|(byte, letter)| byte == letter || is_instead(byte, letter))
}

/// How many characters from here on say again what stands before them.
fn repeated(bytes: &[u8], at: usize) -> usize {
    let again = |period: usize| {
        let (Some(before), Some(rest)) = (at.checked_sub(period), bytes.get(at..)) else { return 0 };
        let before = bytes.get(before..).unwrap_or_default();
        let same = rest.iter().zip(before).take_while(|(one, other)| one == other).count();
        // Of few characters, pieces come again by chance.
        let is_varied = || before.iter().take(period).collect::<BTreeSet<_>>().len() >= PIECE_MIN;
        if same >= period && is_varied() { same } else { 0 }
    };
    (PIECE_MIN..=at.min(PIECE_MAX)).map(again).max().unwrap_or(0)
}

/// How many characters from here on are neighbours, each of the one before.
fn run_length(bytes: &[u8]) -> usize {
    let pairs = || bytes.iter().zip(bytes.iter().skip(1)).map(|(a, b)| (*a, *b));
    let steps: [&dyn Fn(u8, u8) -> bool; 5] = [
        &|a, b| a == b,
        &|a, b| b == a.wrapping_add(1) || (a, b) == (b'9', b'0'),
        &|a, b| a == b.wrapping_add(1) || (a, b) == (b'0', b'9'),
        &|a, b| are_on_keyboard(a, b),
        &|a, b| are_on_keyboard(b, a),
    ];
    let run = |step: &&dyn Fn(u8, u8) -> bool| 1 + pairs().take_while(|(a, b)| step(*a, *b)).count();
    steps.iter().map(run).max().unwrap_or(1)
}

fn are_on_keyboard(a: u8, b: u8) -> bool {
    KEYBOARD.iter().any(|row| row.as_bytes().windows(2).any(|pair| pair == [a, b]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::KeyText;
    use sha2::{Digest, Sha256};

    fn check(text: &str, wants: Result<(), WeakKey>) {
        assert_eq!(refuse_weak(text), wants, "{text}");
    }

    #[test]
    fn a_key_that_was_drawn_passes() {
        for seed in 0_u16..2_000 {
            let random = Sha256::digest(seed.to_be_bytes()).into();
            check(KeyText::minted(random).as_str(), Ok(()));
        }
    }

    #[test]
    fn a_key_of_some_thought_passes() {
        for text in [
            "sk-k2kSDjet7R2P1H2aljDfeA",
            "sk-research-team-7f3a91",
            "sk-9fR2_kq7Zt0vLmXw",
            "sk-correct-horse-battery-staple",
            "sk-d41d8cd98f00b204e9800998ecf8427e",
        ] {
            check(text, Ok(()));
        }
    }

    #[test]
    fn form_and_length_are_asked_first() {
        check("", Err(WeakKey::Prefix));
        check("pk-9fR2_kq7Zt0vLmXw", Err(WeakKey::Prefix));
        check("SK-9fR2_kq7Zt0vLmXw", Err(WeakKey::Prefix));
        check("sk-1234", Err(WeakKey::Short));
        check("sk-9fR2_kq7Zt0v", Err(WeakKey::Short));
        check("sk-9fR2_kq7Zt0vL", Ok(()));
        check("sk-9fR2 kq7Zt0vLmXw", Err(WeakKey::Characters));
        check("sk-9fR2\nkq7Zt0vLmXw", Err(WeakKey::Characters));
        check("sk-9fR2\u{e9}kq7Zt0vLmXw", Err(WeakKey::Characters));
        check(&format!("sk-{}", "9fR2_kq7Zt0vLmXw".repeat(40)), Err(WeakKey::Long));
    }

    #[test]
    fn what_repeats_itself_is_refused() {
        for text in [
            "sk-aaaaaaaaaaaaaaaa",
            "sk-0000000000000000",
            "sk-abababababababab",
            "sk-abcabcabcabcabcabc",
            "sk-kq7Zt0vLkq7Zt0vL",
            "sk-kq7Zt0kq7Zt0kq7Z",
            "sk-aaaaaaaabbbbbbbb",
        ] {
            check(text, Err(WeakKey::Repeated));
        }
    }

    #[test]
    fn what_many_choose_is_refused() {
        for text in [
            "sk-1234567890123456",
            "sk-9876543210987654",
            "sk-abcdefghijklmnop",
            "sk-zyxwvutsrqponmlk",
            "sk-qwertyuiopasdfgh",
            "sk-1qaz2wsx3edc4rfv",
            "sk-password-1234567",
            "sk-my-master-key-1234",
            "sk-MyMasterKey-2024",
            "sk-litellm-master-key",
            "sk-your-api-key-here",
            "sk-changeme-changethis",
            "sk-test-key-00000001",
            "sk-admin-secret-token-1",
            "sk-openai-proxy-default-key",
            "sk-iloveyou123456789",
            "sk-iloveyou20242025",
            "sk-password123456789",
            "sk-p@ssw0rd-2024-01-31",
            "sk-P4$$w0rdP4$$w0rd!",
            "sk-qwertyuiop123456",
            "sk-qwertzuiopasdfgh",
            "sk-1qaz@WSX3edc$RFV",
            "sk-january-february-2025",
            "sk-September2025!!!",
            "sk-monday-tuesday-1",
            "sk-sunshine-sunshine",
            "sk-dragon-dragon-99",
            "sk-monkeyDragon1987",
            "sk-letmein-letmein-please",
            "sk-helloworld-helloworld",
            "sk-company-password-1",
            "sk-zebra7-zebra7-zebra8",
            "sk-123123123-456456",
        ] {
            check(text, Err(WeakKey::Common));
        }
    }

    /// An alphabet, and how many of its characters hold 64 bits.
    const ALPHABETS: [(&str, usize); 8] = [
        ("01", 64),
        ("0123456789", 20),
        ("0123456789abcdef", 16),
        ("abcdefghijklmnopqrstuvwxyz", 14),
        ("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 13),
        ("0123456789abcdefghijklmnopqrstuvwxyz", 13),
        ("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", 13),
        ("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", 13),
    ];

    #[test]
    fn what_was_drawn_of_any_alphabet_passes() {
        for (alphabet, length_min) in ALPHABETS {
            for seed in 0_u32..400 {
                let length = length_min + usize::try_from(seed % 40).unwrap();
                let text: String = drawn(alphabet, seed).take(length).collect();
                check(&format!("sk-{text}"), Ok(()));
            }
        }
    }

    /// Characters of an alphabet, the same for a seed each time.
    fn drawn(alphabet: &'static str, seed: u32) -> impl Iterator<Item = char> {
        let letters: Vec<char> = alphabet.chars().collect();
        // What is beyond the last whole multiple is left out, so that no character comes more often.
        let whole = 256 / letters.len() * letters.len();
        let blocks = (0_u32..)
            .flat_map(move |block| Sha256::digest((u64::from(seed) << 32 | u64::from(block)).to_be_bytes()));
        blocks
            .map(usize::from)
            .filter(move |byte| *byte < whole)
            .map(move |byte| letters[byte % letters.len()])
    }

    #[test]
    fn ids_that_others_drew_pass() {
        for text in [
            "sk-proj-T3BlbkFJk2kSDjet7R2P1H2aljDfeA",
            "sk-ant-api03-9fR2_kq7Zt0vLmXw",
            "sk-2f1c9a7e-5b3d-4c8e-9a61-7d0f4e2b8c95",
            "sk-team-alpha-7f3a91c2d4",
            "sk-01J9ZQ4V7K8M2N3P5R6S7T8V9W",
        ] {
            check(text, Ok(()));
        }
    }
}
