//! What a candidate has beside its content: sources on the web, probabilities of tokens; and tokens by modality.
//!
//! Owns: their shapes (`GroundingMetadata`, `LogprobsResult`, `ModalityTokenCount`). Leaves to others: the candidate.
//!
//! **Invariant:** tokens by modality add up to the count that they detail.

use crate::ask::{Ask, pieces};
use crate::compose::{Citation, Composed};
use crate::openai::embedding::hash;
use serde_json::{Value, json};

/// Tokens of a generated image (Gemini API pricing: 1290 for one of up to 1024 by 1024).
pub(crate) const IMAGE_TOKENS: u64 = 1_290;

/// Tokens by modality: of the attachments 85 each, the rest is text.
pub(super) fn modalities(total: u64, attached: &[&'static str]) -> Value {
    let mut left = total;
    let mut details = Vec::new();
    for modality in ["IMAGE", "AUDIO", "VIDEO", "DOCUMENT"] {
        let count = attached.iter().filter(|one| **one == modality).count() as u64;
        let tokens = (count * crate::ask::ATTACHMENT_TOKENS).min(left);
        if tokens > 0 {
            details.push(json!({"modality": modality, "tokenCount": tokens}));
            left -= tokens;
        }
    }
    if left > 0 || details.is_empty() {
        details.insert(0, json!({"modality": "TEXT", "tokenCount": left}));
    }
    json!(details)
}

/// The modality of a media type.
pub(super) fn modality(mime: &str) -> &'static str {
    match mime.split('/').next() {
        Some("audio") => "AUDIO",
        Some("video") => "VIDEO",
        Some("application" | "text") => "DOCUMENT",
        _ => "IMAGE",
    }
}

/// Where an answer has its words from.
pub(super) fn grounding(composed: &Composed) -> Value {
    let text = &composed.text;
    let whole = [Citation {
        start: 0,
        end: text.chars().count(),
        url: "https://example.com/page-1".to_owned(),
        title: "Page 1".to_owned(),
    }];
    let cited = if composed.citations.is_empty() { &whole[..] } else { &composed.citations };
    let chunks: Vec<Value> =
        cited.iter().map(|page| json!({"web": {"uri": page.url, "title": page.title}})).collect();
    let supports: Vec<Value> =
        cited.iter().enumerate().map(|(index, page)| support(text, index, page)).collect();
    let query: String = text.chars().take(40).collect();
    json!({
        "webSearchQueries": [query.trim()],
        "searchEntryPoint": {"renderedContent": "<div>simulated search</div>"},
        "groundingChunks": chunks,
        "groundingSupports": supports,
    })
}

/// A part of the text with its source; its place is told in bytes, as the API has it.
fn support(text: &str, index: usize, page: &Citation) -> Value {
    let byte = |char: usize| text.char_indices().nth(char).map_or(text.len(), |(at, _)| at);
    let (start, end) = (byte(page.start), byte(page.end));
    json!({
        "segment": {"startIndex": start, "endIndex": end, "text": text.get(start..end)},
        "groundingChunkIndices": [index],
        "confidenceScores": [0.9],
    })
}

/// The probabilities of the tokens of a text, with so many alternatives.
pub(super) fn logprobs(text: &str, alternatives: usize) -> Value {
    let one = |token: &str, probability: f64| json!({"token": token, "tokenId": hash(token) % 100_000, "logProbability": probability});
    let tokens = pieces(text);
    let chosen: Vec<Value> = tokens.iter().map(|token| one(token, -0.1)).collect();
    let top: Vec<Value> = tokens
        .iter()
        .map(|token| {
            let others = (1..alternatives.max(1)).map(|rank| {
                let letter = char::from(b'a' + u8::try_from(rank % 26).unwrap_or(0));
                one(&letter.to_string(), -1.0 - f64::from(u32::try_from(rank).unwrap_or(0)))
            });
            let candidates: Vec<Value> = std::iter::once(one(token, -0.1)).chain(others).collect();
            json!({"candidates": candidates})
        })
        .collect();
    json!({"topCandidates": top, "chosenCandidates": chosen})
}

/// What a candidate of a request has beside its content; `text` is that of the candidate, `ends` whether it is whole.
pub(super) fn beside(ask: &Ask, composed: &Composed, text: &str, ends: bool) -> Vec<(&'static str, Value)> {
    let mut fields = Vec::new();
    if ends && composed.searched {
        fields.push(("groundingMetadata", grounding(composed)));
    }
    if let Some(alternatives) = ask.logprobs {
        if ends {
            fields.push(("avgLogprobs", json!(-0.1)));
        }
        if !text.is_empty() {
            fields.push(("logprobsResult", logprobs(text, alternatives)));
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modalities_add_up() {
        for (total, attached, expect) in [
            (9, vec![], json!([{"modality": "TEXT", "tokenCount": 9}])),
            (
                100,
                vec!["IMAGE"],
                json!([{"modality": "TEXT", "tokenCount": 15}, {"modality": "IMAGE", "tokenCount": 85}]),
            ),
            (50, vec!["AUDIO"], json!([{"modality": "AUDIO", "tokenCount": 50}])),
            (0, vec![], json!([{"modality": "TEXT", "tokenCount": 0}])),
        ] {
            assert_eq!(modalities(total, &attached), expect);
        }
        assert_eq!(
            (modality("audio/wav"), modality("application/pdf"), modality("image/png")),
            ("AUDIO", "DOCUMENT", "IMAGE")
        );
    }

    #[test]
    fn segments_are_told_in_bytes() {
        let citations = vec![Citation { start: 1, end: 3, url: "u".to_owned(), title: "t".to_owned() }];
        let composed = Composed { text: "äöü".to_owned(), citations, ..Composed::default() };
        let made = grounding(&composed);
        assert_eq!(
            made["groundingSupports"][0]["segment"],
            json!({"startIndex": 2, "endIndex": 6, "text": "öü"})
        );
        assert_eq!(made["groundingChunks"][0]["web"]["uri"], "u");
    }

    #[test]
    fn each_token_has_its_alternatives() {
        let made = logprobs("abcdef", 3);
        assert_eq!(made["chosenCandidates"].as_array().unwrap().len(), 2);
        assert_eq!(made["topCandidates"][1]["candidates"].as_array().unwrap().len(), 3);
        assert_eq!(made["topCandidates"][0]["candidates"][0], made["chosenCandidates"][0]);
    }
}
