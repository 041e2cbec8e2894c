//! Which chosen keys are too easy to find.
//!
//! Only a hash of a key is kept, without a salt, so that a database that is lost gives away what can be guessed. A key that
//! was drawn cannot be; one that was chosen is held to rules here. **Invariant:** no rule looks anything up elsewhere.

/// The fewest characters of a chosen key, `sk-` among them.
const LENGTH_MIN: usize = 16;
/// The most: a header line has to hold it.
const LENGTH_MAX: usize = 512;
/// The fewest different characters after `sk-`.
const DIFFERENT_MIN: usize = 6;
/// The fewest letters and digits that are left when well-known words and sequences are taken out.
const REST_MIN: usize = 8;
/// The shortest run of neighbours (`abcd`, `4321`, `7777`, `qwer`) that counts as a sequence.
const RUN_MIN: usize = 4;

/// Neighbours beside those of alphabet and digits: the rows of a keyboard.
const KEYBOARD: [&str; 4] = ["qwertyuiop", "asdfghjkl", "zxcvbnm", "1qaz2wsx3edc4rfv"];

/// Words that keys are made of by those who mean to change them later. Longer ones before those that they contain.
const WORDS: [&str; 44] = [
    "placeholder",
    "development",
    "production",
    "changethis",
    "replaceme",
    "litellm",
    "password",
    "passw0rd",
    "anthropic",
    "changeme",
    "tollgate",
    "internal",
    "default",
    "example",
    "gateway",
    "letmein",
    "service",
    "staging",
    "virtual",
    "welcome",
    "azure",
    "admin",
    "dummy",
    "local",
    "login",
    "master",
    "openai",
    "proxy",
    "sample",
    "secret",
    "testing",
    "token",
    "value",
    "demo",
    "here",
    "root",
    "test",
    "user",
    "your",
    "this",
    "abc",
    "api",
    "key",
    "my",
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
    let mut seen = [false; 128];
    for byte in bytes {
        if let Some(place) = seen.get_mut(usize::from(*byte)) {
            *place = true;
        }
    }
    if seen.iter().filter(|seen| **seen).count() < DIFFERENT_MIN || is_periodic(bytes) {
        return Err(WeakKey::Repeated);
    }
    if without_the_known(rest) < REST_MIN {
        return Err(WeakKey::Common);
    }
    Ok(())
}

/// Whether a text is another one, written twice or more.
fn is_periodic(bytes: &[u8]) -> bool {
    (1..=bytes.len() / 2).any(|period| bytes.iter().zip(bytes.iter().skip(period)).all(|(a, b)| a == b))
}

/// How many letters and digits are left without well-known words and sequences.
fn without_the_known(text: &str) -> usize {
    let mut text = text.to_ascii_lowercase();
    for word in WORDS {
        // What stood around the word must not become a word.
        text = text.replace(word, "\n");
    }
    let bytes = text.as_bytes();
    let mut left = 0;
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let run = run_length(bytes.get(at..).unwrap_or_default());
        if run >= RUN_MIN {
            at += run;
            continue;
        }
        left += usize::from(byte.is_ascii_alphanumeric());
        at += 1;
    }
    left
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
        ] {
            check(text, Err(WeakKey::Common));
        }
    }
}
