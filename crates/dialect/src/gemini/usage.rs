//! `usageMetadata` and how the conversation model counts tokens.
//!
//! Owns which of Google's counts are parts of which. **Invariant:** totals come from the totals, never from a sum of
//! modalities, so nothing is counted twice. **Invariant:** a usage that was written reads back the same, but for what
//! Google has no count for: tokens written to a cache, searches, pages.

use crate::conversation::Usage;
use crate::wire::Losses;
use serde_json::{Map, Value, json};

/// Vertex's kinds of traffic and AI Studio's tiers, by OpenAI's words. Capacity that was bought beforehand is OpenAI's
/// `scale`.
const TIERS: &[(&str, &str)] = &[
    ("ON_DEMAND", "default"),
    ("ON_DEMAND_FLEX", "flex"),
    ("ON_DEMAND_PRIORITY", "priority"),
    ("PROVISIONED_THROUGHPUT", "scale"),
    ("standard", "default"),
    ("flex", "flex"),
    ("priority", "priority"),
];

/// Reads `usageMetadata` of a reply or of a stream's frame, where it counts from the beginning of the answer.
///
/// Input is `promptTokenCount` (cached tokens included) and `toolUsePromptTokenCount` (what Google's own tools put
/// into the prompt, billed as input). Output is `candidatesTokenCount` and `thoughtsTokenCount`. Some models count the
/// thoughts into the candidates: the total tells, and then they are not added again.
pub(super) fn read_usage(metadata: &Value) -> Usage {
    let count = |name: &str| metadata.get(name).and_then(Value::as_u64).unwrap_or(0);
    let tool_prompt_tokens = count("toolUsePromptTokenCount");
    let input_tokens = count("promptTokenCount").saturating_add(tool_prompt_tokens);
    let candidates = count("candidatesTokenCount");
    let thoughts = count("thoughtsTokenCount");
    let holds_thoughts =
        candidates >= thoughts && input_tokens.saturating_add(candidates) == count("totalTokenCount");
    let input = |modality| {
        let prompt = modality_tokens(metadata, "promptTokensDetails", modality);
        let tools = modality_tokens(metadata, "toolUsePromptTokensDetails", modality);
        prompt.saturating_add(tools).min(input_tokens)
    };
    Usage {
        input_tokens,
        cached_tokens: count("cachedContentTokenCount").min(input_tokens),
        tool_prompt_tokens,
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

/// The tier that served, in OpenAI's word where it has one, else in Google's.
pub(super) fn read_tier(metadata: &Value) -> Option<String> {
    let word = metadata.get("trafficType").or_else(|| metadata.get("serviceTier"))?.as_str()?;
    if matches!(word, "TRAFFIC_TYPE_UNSPECIFIED" | "unspecified") {
        return None;
    }
    Some(TIERS.iter().find(|(known, _)| *known == word).map_or(word, |(_, tier)| tier).to_owned())
}

/// Writes `usageMetadata`. Counts that are 0 are left out, as Google does, but for prompt, answer and total.
pub(super) fn write_usage(usage: &Usage, tier: Option<&str>, lost: &mut Losses) -> Value {
    let prompt = usage.input_tokens.saturating_sub(usage.tool_prompt_tokens);
    let answer = usage.output_tokens.saturating_sub(usage.reasoning_tokens);
    let mut out = Map::new();
    out.insert("promptTokenCount".to_owned(), json!(prompt));
    out.insert("candidatesTokenCount".to_owned(), json!(answer));
    out.insert("totalTokenCount".to_owned(), json!(usage.total_tokens()));
    let counts = [
        ("cachedContentTokenCount", usage.cached_tokens),
        ("toolUsePromptTokenCount", usage.tool_prompt_tokens),
        ("thoughtsTokenCount", usage.reasoning_tokens),
    ];
    for (name, count) in counts {
        if count > 0 {
            out.insert(name.to_owned(), json!(count));
        }
    }
    write_details(
        "promptTokensDetails",
        prompt,
        usage.input_image_tokens,
        usage.input_audio_tokens,
        &mut out,
    );
    let (images, sounds) = (usage.output_image_tokens, usage.output_audio_tokens);
    write_details("candidatesTokensDetails", answer, images, sounds, &mut out);
    if let Some(tier) = tier {
        match TIERS.iter().find(|(_, known)| *known == tier) {
            Some((word, _)) => {
                out.insert("trafficType".to_owned(), json!(word));
            }
            None => lost.note("service_tier"),
        }
    }
    Value::Object(out)
}

/// Tokens by modality, where more than text is known of; what is neither picture nor sound is text.
fn write_details(name: &str, total: u64, images: u64, sounds: u64, out: &mut Map<String, Value>) {
    if images == 0 && sounds == 0 {
        return;
    }
    let text = total.saturating_sub(images).saturating_sub(sounds);
    let details: Vec<Value> = [("TEXT", text), ("IMAGE", images), ("AUDIO", sounds)]
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .map(|(modality, count)| json!({ "modality": modality, "tokenCount": count }))
        .collect();
    out.insert(name.to_owned(), Value::Array(details));
}
