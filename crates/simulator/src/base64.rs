//! Reading base64, the standard alphabet and the one for URLs.
//!
//! Owns: decoding (RFC 4648, sections 4 and 5). Leaves to others: encoding (`openai::embedding`).
//!
//! **Invariant:** text that is not of the alphabet, or of a length that cannot be, is refused and never guessed at.

/// The bytes of standard base64 with padding; `None`: it is none.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(4) {
        return None;
    }
    let body = text.strip_suffix("==").or_else(|| text.strip_suffix('=')).unwrap_or(text);
    unpack(body, |byte| match byte {
        b'+' => Some(62),
        b'/' => Some(63),
        _ => common(byte),
    })
}

/// The bytes of base64 for URLs without padding; `None`: it is none.
pub(crate) fn decode_url(text: &str) -> Option<Vec<u8>> {
    unpack(text, |byte| match byte {
        b'-' => Some(62),
        b'_' => Some(63),
        _ => common(byte),
    })
}

/// How many bytes standard base64 stands for; `None`: it is none.
pub(crate) fn decoded_len(text: &str) -> Option<usize> {
    decode(text).map(|bytes| bytes.len())
}

fn common(byte: u8) -> Option<u32> {
    let value = match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        _ => return None,
    };
    Some(u32::from(value))
}

fn unpack(text: &str, value: impl Fn(u8) -> Option<u32>) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3 + 2);
    for group in text.as_bytes().chunks(4) {
        if group.len() == 1 {
            return None;
        }
        let mut bits = 0;
        for byte in group {
            bits = bits << 6 | value(*byte)?;
        }
        bits <<= 6 * (4 - group.len());
        let octets = bits.to_be_bytes();
        out.extend(octets.iter().skip(1).take(group.len() - 1));
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_decoded_or_refused() {
        for (text, expect) in [
            ("", Some("")),
            ("Zg==", Some("f")),
            ("Zm8=", Some("fo")),
            ("Zm9v", Some("foo")),
            ("Zm9vYmFy", Some("foobar")),
            ("Zg", None),
            ("Zg=", None),
            ("Z===", None),
            ("Zm9-", None),
            ("no base64!", None),
        ] {
            assert_eq!(decode(text), expect.map(|plain| plain.as_bytes().to_vec()), "{text}");
        }
        assert_eq!(decode_url("-_8"), Some(vec![0xfb, 0xff]));
        assert_eq!(decode_url("a"), None);
        assert_eq!(decoded_len("AAAA"), Some(3));
    }
}
