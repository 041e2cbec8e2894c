//! Base64 (RFC 4648, section 4), read strictly.
//!
//! Owns: decoding. Leaves to others: encoding (`openai::embedding`).
//!
//! **Invariant:** what is decoded has its padding and nothing but the alphabet.

/// The bytes that a text stands for.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(4) {
        return None;
    }
    let bare = text.strip_suffix("==").or_else(|| text.strip_suffix('=')).unwrap_or(text);
    let mut out = Vec::with_capacity(bare.len() * 3 / 4);
    let (mut bits, mut held) = (0_u32, 0_u32);
    for byte in bare.bytes() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push(u8::try_from(bits >> held & 0xff).unwrap_or(0));
            bits &= (1 << held) - 1;
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openai::embedding::base64;

    #[test]
    fn what_was_encoded_is_decoded() {
        for length in 0..20_u8 {
            let bytes: Vec<u8> = (0..length).map(|byte| byte.wrapping_mul(37)).collect();
            assert_eq!(decode(&base64(&bytes)).as_deref(), Some(bytes.as_slice()));
        }
        for wrong in ["A", "AAA", "AA*A", "AAAA\n", "=AAA"] {
            assert_eq!(decode(wrong), None, "{wrong}");
        }
    }
}
