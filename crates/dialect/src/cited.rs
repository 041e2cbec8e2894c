//! Texts and what they lean on, for wires whose sources are of whole blocks.
//!
//! **Invariant:** the pieces put together are the text.

use crate::conversation::Citation;

/// Cuts a text where its support changes, as Anthropic and Bedrock do: other wires cite characters within one text.
pub(crate) fn cut<'t>(text: &'t str, cited: &'t [Citation]) -> Vec<(&'t str, Vec<&'t Citation>)> {
    let spans: Vec<(u64, u64)> = cited.iter().filter_map(|citation| citation.span).collect();
    let mut ends: Vec<u64> = spans.iter().flat_map(|(start, end)| [*start, *end]).collect();
    ends.sort_unstable();
    ends.dedup();
    let mut pieces = Vec::with_capacity(ends.len() + 1);
    let (mut rest, mut start) = (text, 0);
    for end in ends.into_iter().chain([u64::MAX]) {
        let (piece, after) = split_characters(rest, end.saturating_sub(start));
        // A citation without a span, or of none of the characters, is one of the whole.
        let covers = |citation: &&Citation| {
            citation.span.is_none_or(|(first, last)| first >= last || (first <= start && end <= last))
        };
        if !piece.is_empty() {
            pieces.push((piece, cited.iter().filter(covers).collect()));
        }
        (rest, start) = (after, end);
    }
    if pieces.is_empty() {
        pieces.push((text, cited.iter().collect()));
    }
    pieces
}

fn split_characters(text: &str, count: u64) -> (&str, &str) {
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let end = text.char_indices().nth(count).map_or(text.len(), |(end, _)| end);
    text.split_at_checked(end).unwrap_or((text, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_where_its_support_changes() {
        let check = |text: &str, spans: &[Option<(u64, u64)>], expect: &[(&str, &[usize])]| {
            let cited: Vec<Citation> = spans
                .iter()
                .enumerate()
                .map(|(number, span)| Citation {
                    span: *span,
                    document: Some(number as u64),
                    ..Citation::default()
                })
                .collect();
            let pieces = cut(text, &cited);
            let found: Vec<(&str, Vec<usize>)> = pieces
                .iter()
                .map(|(text, cited)| {
                    let numbers =
                        cited.iter().filter_map(|citation| usize::try_from(citation.document?).ok());
                    (*text, numbers.collect())
                })
                .collect();
            let expect: Vec<(&str, Vec<usize>)> =
                expect.iter().map(|(text, numbers)| (*text, numbers.to_vec())).collect();
            assert_eq!(found, expect);
        };
        check("Sky. Blue.", &[Some((5, 10))], &[("Sky. ", &[]), ("Blue.", &[0])]);
        check("\u{e9}ab", &[Some((1, 2))], &[("\u{e9}", &[]), ("a", &[0]), ("b", &[])]);
        check("abc", &[Some((0, 2)), Some((1, 3))], &[("a", &[0]), ("b", &[0, 1]), ("c", &[1])]);
        check("abc", &[None], &[("abc", &[0])]);
        check("abc", &[Some((2, 2))], &[("ab", &[0]), ("c", &[0])]);
        check("", &[None], &[("", &[0])]);
    }
}
