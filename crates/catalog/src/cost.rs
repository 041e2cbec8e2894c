//! What a usage costs.
//!
//! Owns which tokens are billed at which rate, as LiteLLM does it. Leaves where the counts come from to the wire
//! formats, and margins and discounts to the ledger.
//!
//! **Invariant:** the total is rounded once, half up, from the exact sum; no part is ever negative; no price means
//! no cost (`None`), never a cost of zero.

use crate::money::{ExactSum, PicoDollars};
use crate::prices::{Prices, SearchContextSize, ServiceTier};

/// What one attempt used, in tokens as the provider counted them. The parts are included in the totals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Usage {
    /// The whole prompt: what was read from and written to the provider's cache included.
    pub input_tokens: u64,
    /// Prompt tokens that came from the provider's cache.
    pub cached_tokens: u64,
    /// Of [`Usage::cached_tokens`], audio. Where a provider tells it, [`Usage::input_audio_tokens`] is the rest.
    pub cached_audio_tokens: u64,
    /// Of [`Usage::cached_tokens`], images; as with audio.
    pub cached_image_tokens: u64,
    /// Prompt tokens that were written to the provider's cache, whatever their time to live.
    pub cache_write_tokens: u64,
    /// Of [`Usage::cache_write_tokens`], those that live for an hour.
    pub cache_write_1h_tokens: u64,
    /// Prompt tokens of audio.
    pub input_audio_tokens: u64,
    /// Prompt tokens of images.
    pub input_image_tokens: u64,
    /// The whole answer: reasoning included.
    pub output_tokens: u64,
    /// Answer tokens of reasoning.
    pub reasoning_tokens: u64,
    /// Answer tokens of audio.
    pub output_audio_tokens: u64,
    /// Answer tokens of images.
    pub output_image_tokens: u64,
    /// Searches that the provider made on the web.
    pub web_search_requests: u64,
    /// How much those searches brought in.
    pub search_context_size: SearchContextSize,
}

/// What an attempt cost. `total` is rounded from the exact sum of all parts; each part is rounded by itself, so that
/// their sum may differ from the total by a picodollar or two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Cost {
    /// `input + output + cache_read + cache_write + tool_usage`.
    pub total: PicoDollars,
    /// The prompt without what the cache gave or took: text, audio, images, and the price per request.
    pub input: PicoDollars,
    /// The whole answer, reasoning included.
    pub output: PicoDollars,
    /// What the cache gave.
    pub cache_read: PicoDollars,
    /// What the cache took.
    pub cache_write: PicoDollars,
    /// The part of `output` that was reasoning.
    pub reasoning: PicoDollars,
    /// Web searches.
    pub tool_usage: PicoDollars,
}

/// What `usage` costs at `prices`, when served at `tier` (`None` for the provider's default). `None` if the prices say
/// nothing about tokens or requests. A prompt's length, cached tokens included, decides which threshold holds, and
/// it holds for the whole request.
///
/// If the counts contradict each other, the parts count: more cached tokens than prompt are billed as cached, more
/// reasoning than answer as reasoning, and what is left of the total, which is nothing, as text.
pub fn cost(prices: &Prices, usage: &Usage, tier: Option<ServiceTier>) -> Option<Cost> {
    if !prices.is_priced() {
        return None;
    }
    let rates = prices.billed(usage.input_tokens, tier);

    let in_cache = usage.cached_tokens.saturating_add(usage.cache_write_tokens);
    let outside_cache = usage.input_tokens.saturating_sub(in_cache);
    // Cached tokens may be audio or images too: those parts are billed only as far as the cache did not cover them.
    let audio = usage.input_audio_tokens.min(outside_cache);
    let images = usage.input_image_tokens.min(outside_cache - audio);
    let mut input = ExactSum::default();
    input.add(rates.input, outside_cache - audio - images);
    input.add(rates.audio_input, audio);
    input.add(rates.image_input, images);
    input.add(rates.request, 1);

    let mut cache_read = ExactSum::default();
    let cached_audio = usage.cached_audio_tokens.min(usage.cached_tokens);
    let cached_images = usage.cached_image_tokens.min(usage.cached_tokens - cached_audio);
    cache_read.add(rates.cache_read, usage.cached_tokens - cached_audio - cached_images);
    cache_read.add(rates.cache_read_audio, cached_audio);
    cache_read.add(rates.cache_read_image, cached_images);

    let hour = usage.cache_write_1h_tokens.min(usage.cache_write_tokens);
    let mut cache_write = ExactSum::default();
    cache_write.add(rates.cache_write, usage.cache_write_tokens - hour);
    cache_write.add(rates.cache_write_hour, hour);

    let mut reasoning = ExactSum::default();
    reasoning.add(rates.reasoning, usage.reasoning_tokens);

    let text_answer = usage
        .output_tokens
        .saturating_sub(usage.reasoning_tokens)
        .saturating_sub(usage.output_audio_tokens)
        .saturating_sub(usage.output_image_tokens);
    let mut output = reasoning;
    output.add(rates.output, text_answer);
    output.add(rates.audio_output, usage.output_audio_tokens);
    output.add(rates.image_output, usage.output_image_tokens);

    let mut tool_usage = ExactSum::default();
    if let Some((times, price)) = prices.search(usage.web_search_requests, usage.search_context_size) {
        tool_usage.add(price, times);
    }

    let total = input.plus(cache_read).plus(cache_write).plus(output).plus(tool_usage);
    Some(Cost {
        total: total.rounded(),
        input: input.rounded(),
        output: output.rounded(),
        cache_read: cache_read.rounded(),
        cache_write: cache_write.rounded(),
        reasoning: reasoning.rounded(),
        tool_usage: tool_usage.rounded(),
    })
}

#[cfg(test)]
mod tests;
