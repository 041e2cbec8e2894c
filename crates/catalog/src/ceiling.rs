//! What a request can cost at most, known before it is sent.
//!
//! Owns the highest cost of any usage within stated bounds, and the longest answer whose highest cost an amount of money
//! covers. Leaves where the bounds come from to those who read requests, and what is done with an amount to those who
//! hold accounts.
//!
//! **Invariant:** for every usage that the bounds cover, served at any tier that may serve it, the ceiling is at least
//! what [`crate::cost`] says; it is the same sum of integers, rounded in the same way, and no float is part of it.

use crate::adjustment::Adjustment;
use crate::cost::Usage;
use crate::money::{ExactSum, PicoDollars, Price};
use crate::prices::{Billed, Prices, SearchContextSize, ServiceTier, UnitRates};

/// The most that a request can use. What it cannot use is 0, `false` or [`CacheWrites::No`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// Tokens of the whole prompt.
    pub input_tokens: u64,
    /// Of these, tokens of audio.
    pub input_audio_tokens: u64,
    /// Of these, tokens of images.
    pub input_image_tokens: u64,
    /// Of these, tokens of video.
    pub input_video_tokens: u64,
    /// Tokens of what an answer cites, beside the prompt.
    pub citation_tokens: u64,
    /// Whether the provider may keep some of the prompt, and be paid for it.
    pub cache_writes: CacheWrites,
    /// Tokens of one answer, reasoning included.
    pub output_tokens: u64,
    /// Answers that are made (`n`, `best_of`, `candidateCount`). None counts as one.
    pub choices: u64,
    /// The answer may be spoken.
    pub may_speak: bool,
    /// The answer may be images or video.
    pub may_draw: bool,
    /// Pictures that are made.
    pub images: u64,
    /// Their width and height, where they are known; each size that has a price of its own counts otherwise.
    pub image_size: Option<(u32, u32)>,
    /// Their quality, likewise.
    pub image_quality: Option<String>,
    /// Picture elements of one of them, where it has no size.
    pub image_pixels: u64,
    /// Characters of a text that is spoken.
    pub characters: u64,
    /// Sound that is heard, in milliseconds.
    pub audio_ms: u64,
    /// Sound that is made, in milliseconds.
    pub spoken_ms: u64,
    /// Queries (search units) of a ranking.
    pub queries: u64,
    /// How long the provider may take, in milliseconds.
    pub elapsed_ms: u64,
    /// Queries that the provider may put to a service of maps.
    pub map_queries: u64,
    /// Sessions in which the provider may run code.
    pub code_sessions: u64,
    /// Searches that the provider may make in the caller's files.
    pub file_searches: u64,
    /// Searches that the provider may make on the web.
    pub web_searches: u64,
    /// How much these may bring in, where the request says it; the dearest size counts otherwise.
    pub search_context_size: Option<SearchContextSize>,
}

/// What a prompt may leave in the provider's cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CacheWrites {
    /// Nothing that is paid for.
    #[default]
    No,
    /// Entries that live for minutes.
    Minutes,
    /// Entries that live for an hour, or for minutes.
    Hour,
}

/// The tiers at which a request may be billed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Served {
    /// The one that was asked for, or the plain one: providers fall back to that.
    Asked(Option<ServiceTier>),
    /// Any: it is left to the provider (`service_tier: auto`).
    Any,
}

impl Served {
    /// What a request's `service_tier` allows; `None` where it has none.
    pub fn from_name(name: Option<&str>) -> Served {
        match name {
            Some(name) if name.eq_ignore_ascii_case("auto") => Served::Any,
            name => Served::Asked(name.and_then(ServiceTier::from_name)),
        }
    }

    /// Each tier once.
    fn tiers(self) -> impl Iterator<Item = Option<ServiceTier>> {
        let (asked, all) = match self {
            Served::Asked(tier) => (tier, &[][..]),
            Served::Any => (None, ServiceTier::ALL),
        };
        std::iter::once(None).chain(asked.map(Some)).chain(all.iter().copied().map(Some))
    }
}

impl Bounds {
    /// Tokens of all answers together.
    pub fn output_tokens_in_all(&self) -> u64 {
        self.output_tokens.saturating_mul(self.choices.max(1))
    }

    /// Whether a usage lies within them, and its parts within their totals.
    pub fn covers(&self, usage: &Usage) -> bool {
        let in_cache = usage.cached_tokens.saturating_add(usage.cache_write_tokens);
        let drawn = usage.output_image_tokens.saturating_add(usage.output_video_tokens);
        let answer_parts = [usage.reasoning_tokens, usage.output_audio_tokens, drawn];
        let audio = usage.input_audio_tokens.saturating_add(usage.cached_audio_tokens);
        let images = usage.input_image_tokens.saturating_add(usage.cached_image_tokens);
        let (writes, hourly) = match self.cache_writes {
            CacheWrites::No => (0, 0),
            CacheWrites::Minutes => (u64::MAX, 0),
            CacheWrites::Hour => (u64::MAX, u64::MAX),
        };
        let pairs = [
            (usage.input_tokens, self.input_tokens),
            (in_cache, usage.input_tokens),
            (audio, self.input_audio_tokens),
            (images, self.input_image_tokens),
            (usage.input_video_tokens, self.input_video_tokens),
            (usage.citation_tokens, self.citation_tokens),
            (usage.cache_write_tokens, writes),
            (usage.cache_write_audio_tokens, self.input_audio_tokens.saturating_sub(audio)),
            (usage.cache_write_1h_tokens, hourly),
            (usage.output_tokens, self.output_tokens_in_all()),
            (answer_parts.into_iter().fold(0, u64::saturating_add), usage.output_tokens),
            (usage.output_audio_tokens, if self.may_speak { u64::MAX } else { 0 }),
            (drawn, if self.may_draw { u64::MAX } else { 0 }),
            (usage.images, self.images),
            (usage.pixels, usage.images.saturating_mul(self.pixels_of_one())),
            (usage.input_characters, self.characters),
            (usage.audio_ms, self.audio_ms),
            (usage.spoken_ms, self.spoken_ms),
            (usage.queries, self.queries),
            (usage.elapsed_ms, self.elapsed_ms),
            (usage.map_queries, self.map_queries),
            (usage.code_sessions, self.code_sessions),
            (usage.file_searches, self.file_searches),
            (usage.web_search_requests, self.web_searches),
        ];
        let is_size = self.search_context_size.is_none_or(|size| size == usage.search_context_size);
        pairs.into_iter().all(|(used, bound)| used <= bound) && (usage.web_search_requests == 0 || is_size)
    }

    /// Picture elements of one picture.
    fn pixels_of_one(&self) -> u64 {
        self.image_size.map_or(self.image_pixels, pixels_of)
    }
}

fn pixels_of((width, height): (u32, u32)) -> u64 {
    u64::from(width) * u64::from(height)
}

/// The highest cost of any usage within `bounds` at `prices`. `None` if the prices say nothing about what the request
/// can use.
pub fn ceiling(prices: &Prices, bounds: &Bounds, served: Served) -> Option<PicoDollars> {
    if !prices.is_priced() {
        return None;
    }
    // A request is billed at the hour at which it ends, which nobody knows.
    let later = prices.off_peak().and_then(|prices| ceiling(prices, bounds, served));
    at_any_size(prices, bounds, served).max(later)
}

/// The same at one hour's prices.
fn at_any_size(prices: &Prices, bounds: &Bounds, served: Served) -> Option<PicoDollars> {
    if bounds.images == 0 {
        return of_rates(prices, bounds, served, 0).map(ExactSum::rounded);
    }
    let pictures = prices.of_pictures(bounds.image_quality.as_deref(), bounds.image_size);
    let sums = pictures.iter().map(|(prices, size)| {
        let pixels = size.map_or(bounds.image_pixels, pixels_of);
        of_rates(prices, bounds, served, pixels)
    });
    sums.max().flatten().map(ExactSum::rounded)
}

/// The most tokens for each answer, at most those of `bounds`, whose ceiling `budget` covers. `None` if not even an
/// answer of one token is covered, or nothing has a price; 0 only where the bounds have no answer.
pub fn lower(prices: &Prices, bounds: &Bounds, served: Served, budget: PicoDollars) -> Option<u64> {
    Terms { prices, served, adjustment: Adjustment::default() }.lower(bounds, budget)
}

/// On which terms a request is charged.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'p> {
    /// What the provider asks.
    pub prices: &'p Prices,
    /// The tiers at which it may be billed.
    pub served: Served,
    /// What is charged for that.
    pub adjustment: Adjustment,
}

impl Terms<'_> {
    /// The most that is charged for any usage within `bounds`; see [`ceiling`].
    pub fn ceiling(&self, bounds: &Bounds) -> Option<PicoDollars> {
        ceiling(self.prices, bounds, self.served).map(|highest| self.adjustment.total(highest))
    }

    /// The most tokens for each answer that `budget` covers; see [`lower`].
    pub fn lower(&self, bounds: &Bounds, budget: PicoDollars) -> Option<u64> {
        let mut tried = bounds.clone();
        let mut fits = |output_tokens: u64| {
            tried.output_tokens = output_tokens;
            Some(self.ceiling(&tried)? <= budget)
        };
        if fits(bounds.output_tokens)? {
            return Some(bounds.output_tokens);
        }
        // What does not fit lies above; what fits, or is no answer, at or below.
        let (mut fitting, mut beyond) = (0, bounds.output_tokens);
        while beyond - fitting > 1 {
            let middle = fitting + (beyond - fitting) / 2;
            if fits(middle)? { fitting = middle } else { beyond = middle }
        }
        (fitting > 0).then_some(fitting)
    }
}

/// The highest exact sum over the tiers and over the lengths of prompt at which rates change. Between two such lengths a
/// longer prompt is never cheaper, so that the last length before each change and the longest prompt are enough.
fn of_rates(prices: &Prices, bounds: &Bounds, served: Served, pixels: u64) -> Option<ExactSum> {
    let units = of_units(prices.units(), bounds, pixels);
    if !units.are_priced && !prices.prices_tokens() {
        return None;
    }
    let mut highest = ExactSum::default();
    for tier in served.tiers() {
        let ends = prices.lengths_before_a_change(bounds.input_tokens);
        for length in ends.chain(std::iter::once(bounds.input_tokens)) {
            highest = highest.max(at_length(&prices.billed(length, tier), bounds, length, &units));
        }
    }
    Some(highest.plus(units.always).plus(searches(prices, bounds)).plus(tools(prices, bounds)))
}

/// What is not tokens, at most.
struct Units {
    /// Billed beside tokens.
    always: ExactSum,
    /// Speech, where no tokens of an answer are counted.
    spoken: ExactSum,
    /// Billed in the place of tokens.
    instead: ExactSum,
    are_priced: bool,
}

/// `pixels` are those of one picture.
fn of_units(rates: UnitRates, bounds: &Bounds, pixels: u64) -> Units {
    let mut units = Units {
        always: ExactSum::default(),
        spoken: ExactSum::default(),
        instead: ExactSum::default(),
        are_priced: false,
    };
    let mut due = |price: Option<Price>, count: u64| {
        let price = price.filter(|_| count > 0);
        units.are_priced |= price.is_some();
        price.unwrap_or_default()
    };
    units.always.add(due(rates.character, bounds.characters), bounds.characters);
    units.always.add(due(rates.query, bounds.queries), bounds.queries);
    units.spoken.add_thousandths(due(rates.spoken_second, bounds.spoken_ms), bounds.spoken_ms);
    units.instead.add_thousandths(due(rates.second, bounds.audio_ms), bounds.audio_ms);
    units.instead.add_thousandths(due(rates.elapsed_second, bounds.elapsed_ms), bounds.elapsed_ms);
    if let Some(rate) = rates.picture {
        let count = if rate.is_per_pixel { bounds.images.saturating_mul(pixels) } else { bounds.images };
        units.instead.add(due(Some(rate.price), bounds.images), count);
    }
    units
}

/// The highest sum of a prompt of `length` tokens at `rates`.
fn at_length(rates: &Billed, bounds: &Bounds, length: u64, units: &Units) -> ExactSum {
    let written = match bounds.cache_writes {
        CacheWrites::No => Price::ZERO,
        CacheWrites::Minutes => rates.cache_write,
        CacheWrites::Hour => rates.cache_write.max(rates.cache_write_hour),
    };
    let text = rates.input.max(rates.cache_read).max(written);
    let sound = if bounds.cache_writes == CacheWrites::No { Price::ZERO } else { rates.cache_write_audio };
    let kinds = [
        (text.max(rates.audio_input).max(rates.cache_read_audio).max(sound), bounds.input_audio_tokens),
        (text.max(rates.image_input).max(rates.cache_read_image), bounds.input_image_tokens),
        (text.max(rates.video_input), bounds.input_video_tokens),
    ];
    let prompt = dearest_first(kinds, text, length);
    let mut answer_rate = rates.output.max(rates.reasoning);
    if bounds.may_speak {
        answer_rate = answer_rate.max(rates.audio_output);
    }
    if bounds.may_draw {
        answer_rate = answer_rate.max(rates.image_output).max(rates.video_output);
    }
    let mut answer = ExactSum::default();
    answer.add(answer_rate, bounds.output_tokens_in_all());
    // Where tokens cost nothing, what was written to the cache still does, and units are billed beside it.
    let mut writes = ExactSum::default();
    writes.add(written.max(sound), length);

    let by_tokens = prompt.plus(answer.max(units.spoken));
    let by_units = writes.plus(units.instead).plus(units.spoken);
    let mut request = ExactSum::default();
    request.add(rates.request, 1);
    request.add(rates.citation, bounds.citation_tokens);
    by_tokens.max(by_units).plus(request)
}

/// `length` tokens, of which each kind has as many as it may have, the dearest first, and the rest is text.
fn dearest_first<const N: usize>(mut kinds: [(Price, u64); N], text: Price, length: u64) -> ExactSum {
    kinds.sort_unstable_by_key(|(price, _)| std::cmp::Reverse(*price));
    let mut sum = ExactSum::default();
    let mut left = length;
    for (price, most) in kinds {
        let taken = most.min(left);
        sum.add(price, taken);
        left -= taken;
    }
    sum.add(text, left);
    sum
}

/// Other tools of the provider's.
fn tools(prices: &Prices, bounds: &Bounds) -> ExactSum {
    let tools = prices.tools();
    let mut sum = ExactSum::default();
    sum.add(tools.map_query.unwrap_or_default(), prices.grounded(bounds.map_queries));
    sum.add(tools.code_session.unwrap_or_default(), bounds.code_sessions);
    sum.add(tools.file_search.unwrap_or_default(), bounds.file_searches);
    sum
}

/// The dearest searches.
fn searches(prices: &Prices, bounds: &Bounds) -> ExactSum {
    use SearchContextSize::{High, Low, Medium};
    let sizes = [Low, Medium, High].into_iter();
    let asked = sizes.filter(|size| bounds.search_context_size.is_none_or(|asked| asked == *size));
    asked.fold(ExactSum::default(), |highest, size| {
        let mut sum = ExactSum::default();
        if let Some((times, price)) = prices.search(bounds.web_searches, size) {
            sum.add(price, times);
        }
        highest.max(sum)
    })
}

#[cfg(test)]
mod tests;
