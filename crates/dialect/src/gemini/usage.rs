//! `usageMetadata` as the conversation model counts tokens.
//!
//! Owns which of Google's counts are parts of which. **Invariant:** totals come from the totals, never from a sum of
//! modalities, so nothing is counted twice.

use crate::conversation::Usage;
use serde_json::Value;

/// Reads `usageMetadata` of a reply or of a stream's frame, where it counts from the beginning of the answer.
///
/// Input is `promptTokenCount` (cached tokens included) and `toolUsePromptTokenCount` (what Google's own tools put
/// into the prompt, billed as input). Output is `candidatesTokenCount` and `thoughtsTokenCount`. Some models count the
/// thoughts into the candidates: the total tells, and then they are not added again.
pub(super) fn read_usage(metadata: &Value) -> Usage {
    let count = |name: &str| metadata.get(name).and_then(Value::as_u64).unwrap_or(0);
    let input_tokens = count("promptTokenCount").saturating_add(count("toolUsePromptTokenCount"));
    let candidates = count("candidatesTokenCount");
    let thoughts = count("thoughtsTokenCount");
    let holds_thoughts =
        candidates >= thoughts && input_tokens.saturating_add(candidates) == count("totalTokenCount");
    let input = |modality| {
        let prompt = modality_tokens(metadata, "promptTokensDetails", modality);
        prompt.saturating_add(modality_tokens(metadata, "toolUsePromptTokensDetails", modality))
    };
    Usage {
        input_tokens,
        cached_tokens: count("cachedContentTokenCount").min(input_tokens),
        input_audio_tokens: input("AUDIO"),
        input_image_tokens: input("IMAGE"),
        output_tokens: if holds_thoughts { candidates } else { candidates.saturating_add(thoughts) },
        reasoning_tokens: thoughts,
        output_audio_tokens: modality_tokens(metadata, "candidatesTokensDetails", "AUDIO"),
        output_image_tokens: modality_tokens(metadata, "candidatesTokensDetails", "IMAGE"),
        ..Usage::default()
    }
}

fn modality_tokens(metadata: &Value, list: &str, modality: &str) -> u64 {
    let details = metadata.get(list).and_then(Value::as_array).into_iter().flatten();
    let of_modality = details.filter(|detail| detail.get("modality").is_some_and(|name| name == modality));
    let counts = of_modality.filter_map(|detail| detail.get("tokenCount").and_then(Value::as_u64));
    counts.fold(0, u64::saturating_add)
}
