//! The most tokens that a picture in a prompt can be.
//!
//! Owns the providers' published maxima. Leaves finding pictures to `prompt`. **Invariant:** a model of which nothing is
//! published has the largest maximum that any has by default.

/// A picture of low detail, for an estimate (OpenAI's guide to images).
pub(super) const LOW_ESTIMATE: u64 = 85;

/// OpenAI's models that see tiles: scaled to 2048 pixels and then to 768 on the shorter side, a picture has at most eight
/// tiles of 170 tokens, and 85 around them ("Images and vision", calculating costs).
const TILES: u64 = 8;
const TILED: (u64, u64) = (85 + 170 * TILES, 85);
/// `gpt-4o-mini` by the same rule, at its own numbers.
const TILED_MINI: (u64, u64) = (2_833 + 5_667 * TILES, 2_833);
/// Those that see patches of 32 pixels: 10,000 of them where a picture is kept as it is, 1.62 tokens each in the smaller
/// models (the same guide). Low detail is 512 pixels square, 256 patches, at most 2.46 tokens each.
const PATCHED: (u64, u64) = (16_384, 640);
/// Anthropic's guide to vision: 4,784 at most for the models of the highest resolution, 1,600 for the others.
const ANTHROPIC: (u64, u64) = (4_784, 4_784);
/// Google's tiles of 258 tokens: 24 of them for a picture of 3,072 pixels that is as narrow as tiles allow ("Understand
/// and count tokens"). Gemini 3 has 2,240 at its highest resolution.
const GOOGLE: (u64, u64) = (24 * 258, 24 * 258);
/// Models that others serve: Qwen's, with the largest limit of all that have one by default.
const OTHERS: (u64, u64) = (16_384, 16_384);

/// Most tokens of a picture as it is, and of one of low detail.
pub(super) fn tokens_max(provider: &str, model: &str) -> (u64, u64) {
    let name = model.rsplit('/').next().unwrap_or(model).to_ascii_lowercase();
    let begins = |families: &[&str]| families.iter().any(|family| name.starts_with(family));
    match provider {
        _ if name.contains("claude") => ANTHROPIC,
        "gemini" | "vertex_ai" => GOOGLE,
        "openai" | "azure" | "azure_ai" => match () {
            () if begins(&["gpt-4o-mini"]) => TILED_MINI,
            () if begins(&["gpt-4.1-mini", "gpt-4.1-nano", "o3-mini", "o1-mini"]) => PATCHED,
            () if begins(&["gpt-4o", "chatgpt-4o", "gpt-4.1", "gpt-4.5", "gpt-4-turbo", "o1", "o3"]) => TILED,
            () => PATCHED,
        },
        _ => OTHERS,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_models_maximum_is_its_makers_whoever_serves_it() {
        let check = |provider: &str, model: &str, expect: (u64, u64)| {
            assert_eq!(tokens_max(provider, model), expect, "{provider} {model}");
        };
        check("openai", "gpt-4o", (1_445, 85));
        check("openai", "gpt-4o-2024-11-20", (1_445, 85));
        check("azure", "gpt-4o-mini", (48_169, 2_833));
        check("openai", "gpt-4.1", (1_445, 85));
        check("openai", "gpt-4.1-nano", (16_384, 640));
        check("openai", "gpt-5.4", (16_384, 640));
        check("azure", "my-deployment", (16_384, 640));
        check("bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0", (4_784, 4_784));
        check("openrouter", "anthropic/claude-opus-4.7", (4_784, 4_784));
        check("gemini", "gemini-2.5-flash", (6_192, 6_192));
        check("groq", "meta-llama/llama-4-scout", (16_384, 16_384));
    }
}
