//! Percent-encoding (RFC 3986, 2.1) of path segments, query values and form fields.

use std::fmt::Write as _;

/// Leaves the unreserved characters as they are and encodes everything else, so that a value can neither climb in a path
/// nor add a parameter. A dot at the beginning is encoded too: `..` is a name here and never a way up.
pub(crate) fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        let is_dot = byte == b'.' && !text.starts_with('.');
        if is_dot || byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'~') {
            encoded.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// `None` for a broken escape, or for bytes that are not UTF-8 or not visible text.
pub(crate) fn decode(text: &str) -> Option<String> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte == b'%' {
            let (high, low) = (digit(tail.first()?)?, digit(tail.get(1)?)?);
            bytes.push(high << 4 | low);
            rest = tail.get(2..)?;
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok().filter(|text| !text.chars().any(char::is_control))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_can_neither_climb_nor_add_a_parameter() {
        for (text, expected) in [
            ("gpt-4o", "gpt-4o"),
            ("gpt-4.1", "gpt-4.1"),
            ("..", "%2E%2E"),
            ("../admin", "%2E%2E%2Fadmin"),
            ("a?b=c", "a%3Fb%3Dc"),
            ("a&scope=b c~", "a%26scope%3Db%20c~"),
            ("a#b", "a%23b"),
            ("\u{e4}", "%C3%A4"),
        ] {
            assert_eq!(encode(text), expected);
            assert_eq!(decode(expected).as_deref(), Some(text));
        }
    }

    #[test]
    fn broken_escapes_and_invisible_text_are_refused() {
        for text in ["%", "%4", "%zz", "%+1", "%-1", "%ff", "a%0ab", "%00", "%7f"] {
            assert_eq!(decode(text), None, "{text}");
        }
    }
}
