//! The three ways in which bytes are written as text here: percent-encoding, hexadecimal, base64.

use std::fmt::Write as _;

const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const URL_SAFE: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Leaves the unreserved characters of RFC 3986, 2.3 as they are and encodes everything else. What goes into a form, a
/// path segment or a query value this way can neither add a parameter nor end the segment.
pub(crate) fn percent(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    percent_into(&mut encoded, text.as_bytes());
    encoded
}

/// As [`percent`], for bytes, onto the end of a text.
pub(crate) fn percent_into(encoded: &mut String, bytes: &[u8]) {
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            encoded.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
}

/// Undoes percent-encoding; a `%` without two digits behind it stands for itself.
pub(crate) fn unpercent(text: &str) -> Vec<u8> {
    let digit = |byte: Option<&u8>| {
        byte.and_then(|byte| char::from(*byte).to_digit(16)).and_then(|digit| u8::try_from(digit).ok())
    };
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        match (byte, digit(tail.first()), digit(tail.get(1))) {
            (b'%', Some(high), Some(low)) => {
                bytes.push(high << 4 | low);
                rest = tail.get(2..).unwrap_or_default();
            }
            _ => bytes.push(byte),
        }
    }
    bytes
}

/// `application/x-www-form-urlencoded` of names and values, in order.
pub(crate) fn form(pairs: &[(&str, &str)]) -> String {
    let mut encoded = String::new();
    for (name, value) in pairs {
        if !encoded.is_empty() {
            encoded.push('&');
        }
        percent_into(&mut encoded, name.as_bytes());
        encoded.push('=');
        percent_into(&mut encoded, value.as_bytes());
    }
    encoded
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut encoded = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _ = write!(encoded, "{byte:02x}");
    }
    encoded
}

/// Base64 with padding (RFC 4648, 4).
pub(crate) fn base64(bytes: &[u8]) -> String {
    let mut encoded = base64_digits(bytes, STANDARD);
    while !encoded.len().is_multiple_of(4) {
        encoded.push('=');
    }
    encoded
}

/// Base64 for URLs, without padding, as JSON Web Tokens have it (RFC 7515, 2).
pub(crate) fn base64_url(bytes: &[u8]) -> String {
    base64_digits(bytes, URL_SAFE)
}

fn base64_digits(bytes: &[u8], alphabet: &[u8; 64]) -> String {
    let mut encoded = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let mut three = [0; 4];
        for (place, byte) in three.iter_mut().skip(1).zip(group) {
            *place = *byte;
        }
        let bits = u32::from_be_bytes(three);
        for sextet in 0..=group.len() {
            let position = (bits >> (18 - 6 * sextet)) & 63;
            let digit = usize::try_from(position).ok().and_then(|position| alphabet.get(position));
            encoded.extend(digit.map(|digit| char::from(*digit)));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_value_cannot_add_a_parameter() {
        assert_eq!(form(&[("a", "b&c=d"), ("e", " +\u{e4}~")]), "a=b%26c%3Dd&e=%20%2B%C3%A4~");
        assert_eq!(form(&[]), "");
    }

    #[test]
    fn percent_encoding_is_undone_and_broken_escapes_stand_for_themselves() {
        for (text, expected) in
            [("a%20b", "a b"), ("%c3%A4", "\u{e4}"), ("%", "%"), ("%4", "%4"), ("%zz", "%zz")]
        {
            assert_eq!(unpercent(text), expected.as_bytes(), "{text}");
        }
    }

    #[test]
    fn base64_is_that_of_the_standard() {
        // RFC 4648, 10.
        for (text, expected) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(text.as_bytes()), expected);
            assert_eq!(base64_url(text.as_bytes()), expected.trim_end_matches('='));
        }
        assert_eq!(base64(&[0xfb, 0xff, 0xbf]), "+/+/");
        assert_eq!(base64_url(&[0xfb, 0xff, 0xbf]), "-_-_");
    }

    #[test]
    fn hexadecimal_is_lower_case() {
        assert_eq!(hex(&[0, 0x9f, 0xff]), "009fff");
    }
}
