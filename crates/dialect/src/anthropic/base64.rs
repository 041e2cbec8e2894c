//! Decodes standard base64 (RFC 4648 section 4), for text documents that arrive encoded but go out as text.

/// The bytes that `text` stands for. Line breaks are passed over, as in RFC 2045; padding may be left out.
/// `None` when a character is not of the alphabet, stands after the padding, or bits are left over.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let mut bits: u32 = 0;
    let mut bit_count = 0;
    let mut padding = 0;
    for character in text.bytes().filter(|byte| !matches!(byte, b'\r' | b'\n')) {
        if character == b'=' {
            padding += 1;
            continue;
        }
        if padding > 0 {
            return None;
        }
        bits = (bits << 6) | u32::from(sextet(character)?);
        bit_count += 6;
        if bit_count >= 8 {
            bit_count -= 8;
            bytes.push(u8::try_from((bits >> bit_count) & 0xff).ok()?);
        }
    }
    let is_whole = bit_count < 6 && padding <= 2 && bits & ((1 << bit_count) - 1) == 0;
    is_whole.then_some(bytes)
}

/// The six bits of one character of the alphabet.
fn sextet(character: u8) -> Option<u8> {
    match character {
        b'A'..=b'Z' => Some(character - b'A'),
        b'a'..=b'z' => Some(character - b'a' + 26),
        b'0'..=b'9' => Some(character - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn the_vectors_of_rfc_4648_decode() {
        let check =
            |input: &str, expect: Option<&[u8]>| assert_eq!(decode(input).as_deref(), expect, "{input}");
        check("", Some(b""));
        check("Zg==", Some(b"f"));
        check("Zg", Some(b"f"));
        check("Zm8=", Some(b"fo"));
        check("Zm9v", Some(b"foo"));
        check("Zm9vYg==", Some(b"foob"));
        check("Zm9v\r\nYmFy", Some(b"foobar"));
        check("+/+/", Some(&[0xfb, 0xff, 0xbf]));
    }

    #[test]
    fn what_is_not_base64_is_refused() {
        for input in ["Z", "Zm9vY", "Zh==", "Zg==Zg==", "Zm9v!", "Zg===", "Zm 9v", "é"] {
            assert_eq!(decode(input), None, "{input}");
        }
    }
}
