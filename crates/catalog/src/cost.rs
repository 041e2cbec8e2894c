//! What a usage costs.
//!
//! Owns which tokens, pictures, characters, seconds and queries are billed at which rate, as LiteLLM does it but where
//! that is plainly not what the provider asks for (each place says so). Leaves where the counts come from to the wire
//! formats, and margins and discounts to the ledger.
//!
//! **Invariant:** the total is rounded once, half up, from the exact sum; no part is ever negative; no price means
//! no cost (`None`), never a cost of zero.

use crate::money::{ExactSum, PicoDollars, Price};
use crate::prices::{Prices, SearchContextSize, ServiceTier};

/// What one attempt used, in tokens as the provider counted them. The parts are included in the totals. What is not
/// tokens stands beside them, and is 0 where nothing of it was used.
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
    /// Prompt tokens of video.
    pub input_video_tokens: u64,
    /// Answer tokens of video.
    pub output_video_tokens: u64,
    /// Of [`Usage::cache_write_tokens`], audio.
    pub cache_write_audio_tokens: u64,
    /// Tokens of what an answer cites, which are no part of the prompt.
    pub citation_tokens: u64,
    /// Queries that the provider put to a service of maps.
    pub map_queries: u64,
    /// Sessions in which the provider ran code.
    pub code_sessions: u64,
    /// Searches that the provider made in the caller's files.
    pub file_searches: u64,
    /// Searches that the provider made on the web.
    pub web_search_requests: u64,
    /// How much those searches brought in.
    pub search_context_size: SearchContextSize,
    /// Pictures that were made.
    pub images: u64,
    /// Picture elements of all of them together.
    pub pixels: u64,
    /// Characters of the text that was spoken, spaces included: Unicode scalar values.
    pub input_characters: u64,
    /// Sound that was heard, in milliseconds.
    pub audio_ms: u64,
    /// Sound that was made, in milliseconds; billed where no tokens of it are counted.
    pub spoken_ms: u64,
    /// Queries as the provider counts them: Cohere's search units.
    pub queries: u64,
    /// How long the provider took, in milliseconds, where its time may be what it sells.
    pub elapsed_ms: u64,
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
    /// Searches on the web, in files and on maps, and sessions of code.
    pub tool_usage: PicoDollars,
}

/// What `usage` costs at `prices`, when served at `tier` (`None` for the provider's default). `None` if the prices say
/// nothing about what was used. A prompt's length, cached tokens included, decides which threshold holds, and it holds
/// for the whole request.
///
/// If the counts contradict each other, the parts count: more cached tokens than prompt are billed as cached, more
/// reasoning than answer as reasoning, and what is left of the total, which is nothing, as text.
///
/// Pictures and sound are billed by tokens where the provider counts tokens and they cost something, and by themselves
/// otherwise, never by both.
pub fn cost(prices: &Prices, usage: &Usage, tier: Option<ServiceTier>) -> Option<Cost> {
    if !prices.is_priced() {
        return None;
    }
    let mut parts = of_tokens(prices, usage, tier);
    let counts_tokens = usage.input_tokens > 0 || usage.output_tokens > 0;
    let is_by_tokens = counts_tokens && !parts.input.plus(parts.output).plus(parts.cache_read).is_zero();
    let is_by_unit = add_units(prices, usage, is_by_tokens, &mut parts);
    let uses_units =
        [usage.images, usage.input_characters, usage.audio_ms, usage.queries].iter().any(|n| *n > 0);
    let is_told = if uses_units { counts_tokens || !parts.request.is_zero() } else { true };
    let is_priced = is_by_unit || (prices.prices_tokens() && is_told);
    if !is_priced {
        return None;
    }
    if let Some((times, price)) = prices.search(usage.web_search_requests, usage.search_context_size) {
        parts.tool_usage.add(price, times);
    }
    let tools = prices.tools();
    parts.tool_usage.add(tools.map_query.unwrap_or_default(), prices.grounded(usage.map_queries));
    parts.tool_usage.add(tools.code_session.unwrap_or_default(), usage.code_sessions);
    parts.tool_usage.add(tools.file_search.unwrap_or_default(), usage.file_searches);
    Some(parts.rounded())
}

/// The exact parts of a cost.
#[derive(Clone, Copy, Debug, Default)]
struct Parts {
    input: ExactSum,
    request: ExactSum,
    output: ExactSum,
    cache_read: ExactSum,
    cache_write: ExactSum,
    reasoning: ExactSum,
    tool_usage: ExactSum,
}

impl Parts {
    fn rounded(self) -> Cost {
        let input = self.input.plus(self.request);
        let total =
            input.plus(self.cache_read).plus(self.cache_write).plus(self.output).plus(self.tool_usage);
        Cost {
            total: total.rounded(),
            input: input.rounded(),
            output: self.output.rounded(),
            cache_read: self.cache_read.rounded(),
            cache_write: self.cache_write.rounded(),
            reasoning: self.reasoning.rounded(),
            tool_usage: self.tool_usage.rounded(),
        }
    }
}

fn of_tokens(prices: &Prices, usage: &Usage, tier: Option<ServiceTier>) -> Parts {
    let rates = prices.billed(usage.input_tokens, tier);
    let mut parts = Parts::default();

    let in_cache = usage.cached_tokens.saturating_add(usage.cache_write_tokens);
    let outside_cache = usage.input_tokens.saturating_sub(in_cache);
    // Cached tokens may be audio or images too: those parts are billed only as far as the cache did not cover them.
    let audio = usage.input_audio_tokens.min(outside_cache);
    let images = usage.input_image_tokens.min(outside_cache - audio);
    let video = usage.input_video_tokens.min(outside_cache - audio - images);
    parts.input.add(rates.input, outside_cache - audio - images - video);
    parts.input.add(rates.video_input, video);
    parts.input.add(rates.citation, usage.citation_tokens);
    parts.input.add(rates.audio_input, audio);
    parts.input.add(rates.image_input, images);
    parts.request.add(rates.request, 1);

    let cached_audio = usage.cached_audio_tokens.min(usage.cached_tokens);
    let cached_images = usage.cached_image_tokens.min(usage.cached_tokens - cached_audio);
    parts.cache_read.add(rates.cache_read, usage.cached_tokens - cached_audio - cached_images);
    parts.cache_read.add(rates.cache_read_audio, cached_audio);
    parts.cache_read.add(rates.cache_read_image, cached_images);

    let hour = usage.cache_write_1h_tokens.min(usage.cache_write_tokens);
    let spoken = usage.cache_write_audio_tokens.min(usage.cache_write_tokens - hour);
    parts.cache_write.add(rates.cache_write, usage.cache_write_tokens - hour - spoken);
    parts.cache_write.add(rates.cache_write_audio, spoken);
    parts.cache_write.add(rates.cache_write_hour, hour);

    parts.reasoning.add(rates.reasoning, usage.reasoning_tokens);

    let text_answer = usage
        .output_tokens
        .saturating_sub(usage.reasoning_tokens)
        .saturating_sub(usage.output_audio_tokens)
        .saturating_sub(usage.output_image_tokens)
        .saturating_sub(usage.output_video_tokens);
    parts.output = parts.reasoning;
    parts.output.add(rates.output, text_answer);
    parts.output.add(rates.audio_output, usage.output_audio_tokens);
    parts.output.add(rates.image_output, usage.output_image_tokens);
    parts.output.add(rates.video_output, usage.output_video_tokens);
    parts
}

/// Adds what is not tokens. Whether anything that was used has a price.
fn add_units(prices: &Prices, usage: &Usage, is_by_tokens: bool, parts: &mut Parts) -> bool {
    let rates = prices.units();
    let mut is_priced = false;
    let mut due = |price: Option<Price>, count: u64| {
        let price = price.filter(|_| count > 0);
        is_priced |= price.is_some();
        price
    };
    if let Some(price) = due(rates.character, usage.input_characters) {
        parts.input.add(price, usage.input_characters);
    }
    if let Some(price) = due(rates.query, usage.queries) {
        parts.input.add(price, usage.queries);
    }
    if let Some(price) = due(rates.spoken_second, usage.spoken_ms).filter(|_| usage.output_tokens == 0) {
        parts.output.add_thousandths(price, usage.spoken_ms);
    }
    if is_by_tokens {
        return is_priced;
    }
    let picture = rates.picture.filter(|rate| due(Some(rate.price), usage.images).is_some());
    if let Some(rate) = picture {
        let part = if rate.is_output { &mut parts.output } else { &mut parts.input };
        part.add(rate.price, if rate.is_per_pixel { usage.pixels } else { usage.images });
    }
    if let Some(price) = due(rates.second, usage.audio_ms) {
        parts.input.add_thousandths(price, usage.audio_ms);
    }
    if let Some(price) = due(rates.elapsed_second, usage.elapsed_ms) {
        parts.output.add_thousandths(price, usage.elapsed_ms);
    }
    is_priced
}

#[cfg(test)]
mod dimension_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod unit_tests;
