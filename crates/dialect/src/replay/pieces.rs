//! Where a text is cut that is to be seen moving.
//!
//! **Invariant:** the pieces put together are the text; none is empty, and none ends within a character.

/// Characters after which a piece ends at the next white space: some words, as providers send them.
const PIECE_CHARS_MIN: usize = 20;

/// Most pieces that a text is aimed to be cut into, so that the framing of a long text stays small beside it. One
/// without white space has no more than this either, since a piece ends at twice its least length.
const PIECES_MAX: usize = 1_024;

/// Longest piece of a sound in characters of base64: half a second of 24,000 samples of 16 bits each.
const SOUND_CHARS_MAX: usize = 32_000;

/// The least length of a piece of a text of so many bytes.
pub(super) fn least(bytes: usize) -> usize {
    PIECE_CHARS_MIN.max(bytes.div_ceil(PIECES_MAX))
}

/// Cuts a text behind white space; where there is none for long, behind any character.
pub(super) fn of_text(text: &str) -> Vec<&str> {
    let least = least(text.len());
    let mut ends = Vec::new();
    let mut chars = 0;
    for (start, character) in text.char_indices() {
        chars += 1;
        if (chars >= least && character.is_whitespace()) || chars >= 2 * least {
            ends.push(start + character.len_utf8());
            chars = 0;
        }
    }
    split(text, &ends)
}

/// Cuts base64 where each piece stands for whole bytes, so that each can be played when it comes.
pub(super) fn of_sound(data: &str) -> Vec<&str> {
    // Broken into lines, its fours are not where they are counted.
    let is_plain = data.is_ascii() && !data.contains(['\r', '\n']);
    let ends: Vec<usize> = (SOUND_CHARS_MAX..data.len()).step_by(SOUND_CHARS_MAX).collect();
    split(data, if is_plain { &ends } else { &[] })
}

/// The text between these ends, and what is behind the last.
fn split<'t>(text: &'t str, ends: &[usize]) -> Vec<&'t str> {
    let starts = [0].into_iter().chain(ends.iter().copied());
    let ends = ends.iter().copied().chain([text.len()]);
    starts
        .zip(ends)
        .filter_map(|(start, end)| text.get(start..end))
        .filter(|piece| !piece.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_behind_white_space() {
        let check = |text: &str, expect: &[&str]| {
            assert_eq!(of_text(text), expect);
            assert_eq!(of_text(text).concat(), text);
        };
        check("", &[]);
        check("Hi", &["Hi"]);
        check(
            "It is twelve degrees in Oslo, and it rains.",
            &["It is twelve degrees ", "in Oslo, and it rains."],
        );
        check(&"\u{1f600}".repeat(50), &[&"\u{1f600}".repeat(40), &"\u{1f600}".repeat(10)]);
        check("01234567890123456789 \n x", &["01234567890123456789 ", "\n x"]);
    }

    #[test]
    fn a_long_text_has_no_more_pieces_than_it_may() {
        for text in ["a".repeat(1 << 20), "ab ".repeat(1 << 19), "\u{4e2d}".repeat(1 << 18)] {
            let pieces = of_text(&text);
            assert!(pieces.len() <= PIECES_MAX, "{}", pieces.len());
            assert_eq!(pieces.concat(), text);
        }
    }

    #[test]
    fn a_sound_is_cut_at_whole_bytes() {
        let data = crate::base64::encode([7; 50_000]);
        let pieces = of_sound(&data);
        assert_eq!(pieces.iter().map(|piece| piece.len()).collect::<Vec<_>>(), [32_000, 32_000, 2_668]);
        let bytes: Vec<u8> =
            pieces.iter().filter_map(|piece| crate::base64::decode(piece)).flatten().collect();
        assert_eq!(bytes, [7; 50_000]);
        assert_eq!(of_sound("AAAA\r\nAAAA").len(), 1);
        assert!(of_sound("").is_empty());
    }
}
