//! JSON strings: skipping their bodies many bytes at a time, unescaping, escaping.
//!
//! Owns nothing but bytes. **Invariant:** [`write_string`] and [`unescape`] are inverse to each other.

use std::borrow::Cow;

/// 0x01 in every byte of a word.
const ONES: u64 = u64::from_ne_bytes([0x01; 8]);
/// The highest bit of every byte of a word.
const TOPS: u64 = u64::from_ne_bytes([0x80; 8]);
/// How many bytes are tested at once; 32 fills two SSE2 registers and is short enough for prose full of `\n`.
const BLOCK: usize = 32;

/// How many of the first bytes are neither `"` nor `\` nor a control character.
#[inline]
pub(super) fn plain_run(bytes: &[u8]) -> usize {
    let mut rest = bytes;
    // Most names and many values end within the first two words, where a word at a time is fastest.
    for _ in 0..2 {
        let Some((word, after)) = rest.split_first_chunk::<8>() else { break };
        let special = special_bits(u64::from_le_bytes(*word));
        if special != 0 {
            return bytes.len() - rest.len() + (special.trailing_zeros() / 8) as usize;
        }
        rest = after;
    }
    while let Some((block, after)) = rest.split_first_chunk::<BLOCK>() {
        if has_special(block) {
            break;
        }
        rest = after;
    }
    while let Some((word, after)) = rest.split_first_chunk::<8>() {
        let special = special_bits(u64::from_le_bytes(*word));
        if special != 0 {
            return bytes.len() - rest.len() + (special.trailing_zeros() / 8) as usize;
        }
        rest = after;
    }
    let short = rest.iter().position(|&byte| is_special(byte)).unwrap_or(rest.len());
    bytes.len() - rest.len() + short
}

/// As [`plain_run`], for a text in which there is no control character at all.
#[inline]
pub(super) fn run_without_controls(bytes: &[u8]) -> usize {
    // A short run ends before a search with vectors has begun.
    if let Some((word, _)) = bytes.split_first_chunk::<8>() {
        let special = special_bits(u64::from_le_bytes(*word));
        if special != 0 {
            return (special.trailing_zeros() / 8) as usize;
        }
    }
    memchr::memchr2(b'"', b'\\', bytes).unwrap_or(bytes.len())
}

/// The least byte; written as one fold so that it becomes vector instructions.
pub(super) fn least_byte(bytes: &[u8]) -> u8 {
    bytes.iter().fold(u8::MAX, |least, &byte| least.min(byte))
}

#[inline]
fn is_special(byte: u8) -> bool {
    byte == b'"' || byte == b'\\' || byte < 0x20
}

/// Written without branches so that it becomes vector instructions.
#[inline]
fn has_special(block: &[u8; BLOCK]) -> bool {
    let mut found = 0_u8;
    for &byte in block {
        found |= u8::from(byte == b'"') | u8::from(byte == b'\\') | u8::from(byte < 0x20);
    }
    found != 0
}

/// Marks the top bit of each special byte. Borrows can mark bytes above a special one too, so only the lowest mark is
/// exact, and only that is used.
#[inline]
fn special_bits(word: u64) -> u64 {
    let quote = word ^ (ONES * u64::from(b'"'));
    let backslash = word ^ (ONES * u64::from(b'\\'));
    let quotes = quote.wrapping_sub(ONES) & !quote;
    let backslashes = backslash.wrapping_sub(ONES) & !backslash;
    let controls = word.wrapping_sub(ONES * 0x20) & !word;
    (quotes | backslashes | controls) & TOPS
}

/// The text that the body of a valid JSON string stands for; borrowed where nothing is escaped.
pub(super) fn unescape(raw: &str) -> Cow<'_, str> {
    if memchr::memchr(b'\\', raw.as_bytes()).is_none() {
        return Cow::Borrowed(raw);
    }
    let mut text = String::with_capacity(raw.len());
    pieces(raw, |piece| match piece {
        Piece::Plain(plain) => text.push_str(plain),
        Piece::Escaped(character) => text.push(character),
    });
    Cow::Owned(text)
}

/// How many bytes of UTF-8 the body of a valid JSON string stands for.
pub(crate) fn unescaped_len(raw: &str) -> usize {
    let mut len = 0;
    pieces(raw, |piece| {
        len += match piece {
            Piece::Plain(plain) => plain.len(),
            Piece::Escaped(character) => character.len_utf8(),
        }
    });
    len
}

enum Piece<'a> {
    Plain(&'a str),
    Escaped(char),
}

fn pieces<'a>(raw: &'a str, mut each: impl FnMut(Piece<'a>)) {
    let mut rest = raw;
    while let Some((plain, escape)) = rest.split_once('\\') {
        each(Piece::Plain(plain));
        let (character, used) = read_escape(escape);
        each(Piece::Escaped(character));
        rest = escape.get(used..).unwrap_or_default();
    }
    each(Piece::Plain(rest));
}

/// The character of an escape and the length of the escape after its backslash.
fn read_escape(escape: &str) -> (char, usize) {
    match escape.as_bytes().first() {
        Some(b'b') => ('\u{8}', 1),
        Some(b'f') => ('\u{c}', 1),
        Some(b'n') => ('\n', 1),
        Some(b'r') => ('\r', 1),
        Some(b't') => ('\t', 1),
        Some(b'u') => read_unicode_escape(escape),
        Some(&byte) => (char::from(byte), 1),
        None => (char::REPLACEMENT_CHARACTER, 0),
    }
}

fn read_unicode_escape(escape: &str) -> (char, usize) {
    let first = hex4(escape.as_bytes(), 1).unwrap_or(0xFFFD);
    let units = [first, hex4(escape.as_bytes(), 7).unwrap_or(0)];
    let is_pair = (0xD800..0xDC00).contains(&first);
    let unit_count = if is_pair { 2 } else { 1 };
    let character =
        char::decode_utf16(units).next().and_then(Result::ok).unwrap_or(char::REPLACEMENT_CHARACTER);
    (character, if unit_count == 2 { 11 } else { 5 })
}

/// Four hexadecimal digits at an offset.
pub(super) fn hex4(bytes: &[u8], at: usize) -> Option<u16> {
    let digits = bytes.get(at..at.checked_add(4)?)?;
    digits.iter().try_fold(0_u16, |value, &digit| {
        let digit = char::from(digit).to_digit(16)?;
        Some(value << 4 | u16::try_from(digit).ok()?)
    })
}

/// Appends a text as a JSON string, quotes included, in the shortest form.
pub fn write_string(out: &mut Vec<u8>, text: &str) {
    out.reserve(text.len() + 2);
    out.push(b'"');
    let mut rest = text.as_bytes();
    loop {
        let (plain, special) = rest.split_at(plain_run(rest).min(rest.len()));
        out.extend_from_slice(plain);
        let Some((&byte, after)) = special.split_first() else { break };
        write_escape(out, byte);
        rest = after;
    }
    out.push(b'"');
}

fn write_escape(out: &mut Vec<u8>, byte: u8) {
    let letter = match byte {
        b'"' | b'\\' => byte,
        0x08 => b'b',
        0x0C => b'f',
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        control => {
            let hex = |digit: u8| char::from_digit(u32::from(digit), 16).map_or(b'0', |digit| digit as u8);
            out.extend_from_slice(&[b'\\', b'u', b'0', b'0', hex(control >> 4), hex(control & 0x0F)]);
            return;
        }
    };
    out.extend_from_slice(&[b'\\', letter]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_run_ends_at_the_first_special_byte_wherever_it_is() {
        for len in 0..130 {
            assert_eq!(plain_run(&vec![b'a'; len]), len);
            assert_eq!(plain_run(&vec![0x7F; len]), len);
            assert_eq!(plain_run(&vec![0xFF; len]), len);
            for at in 0..len {
                for special in [b'"', b'\\', 0x00, 0x1F, b'\n'] {
                    let mut bytes = vec![b'!'; len];
                    bytes[at..].fill(special);
                    assert_eq!(plain_run(&bytes), at, "{special} at {at} of {len}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn a_run_is_what_a_byte_by_byte_search_finds(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let slow = bytes.iter().position(|&byte| is_special(byte)).unwrap_or(bytes.len());
            prop_assert_eq!(plain_run(&bytes), slow);
        }

        #[test]
        fn a_string_is_written_as_serde_json_writes_it_and_read_back(text in any::<String>()) {
            let mut out = Vec::new();
            write_string(&mut out, &text);
            prop_assert_eq!(std::str::from_utf8(&out).unwrap(), serde_json::to_string(&text).unwrap());
            let body = std::str::from_utf8(&out[1..out.len() - 1]).unwrap();
            prop_assert_eq!(&unescape(body), &text);
            prop_assert_eq!(unescaped_len(body), text.len());
        }
    }

    #[test]
    fn every_escape_is_read() {
        let check = |raw: &str, expect: &str| {
            assert_eq!(unescape(raw), expect, "{raw}");
            assert_eq!(unescaped_len(raw), expect.len(), "{raw}");
        };
        check(r#"a\"b\\c\/d"#, "a\"b\\c/d");
        check(r"\b\f\n\r\t", "\u{8}\u{c}\n\r\t");
        check(r"\u0000\u006d\u00E9\uFFff", "\0m\u{e9}\u{ffff}");
        check(r"x\ud83d\ude00y", "x\u{1f600}y");
    }
}
