//! Prices: what one model, or one deployment of it, charges per token, request, image, character, second and query.
//!
//! Owns reading prices from a catalogue object and from an operator's overrides, and which price holds for a prompt
//! length, a service tier and a picture's size. Leaves counting tokens to others and the sum to [`crate::cost`].
//!
//! **Invariant:** a price is the decimal text that was written; an absent price is absent, and never zero.

mod keys;
mod off_peak;
mod reading;
mod region;
mod tools;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::money::{MoneyError, Price};
pub(crate) use keys::{Dimension, RateKey};
pub use keys::{PRICE_KEYS, ServiceTier, UNBILLED_PRICE_KEYS};
use off_peak::OffPeak;
use reading::Draft;
use region::Uplifts;
pub use region::openai_residency;
pub(crate) use tools::ToolPrices;

/// What a model charges. A clone shares the numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prices {
    /// Sorted by key, so that a dimension's rates stand together.
    rates: Arc<[(RateKey, Price)]>,
    rare: Option<Arc<Rare>>,
}

/// What few models have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Rare {
    /// `tiered_pricing`, sorted by where a range begins; takes the place of the rates.
    ranges: Vec<Range>,
    search: SearchPrices,
    /// A grounded prompt is billed once, however many queries it led to.
    search_is_per_prompt: bool,
    /// A threshold is crossed by a prompt of exactly its length.
    threshold_is_inclusive: bool,
    /// Prices of pictures of one size and quality, sorted by their names.
    sizes: Vec<Size>,
    /// Lengths of prompt beyond which, or at which, other rates hold; each once, in order.
    steps: Vec<u64>,
    tools: ToolPrices,
    uplifts: Uplifts,
    off_peak: Option<OffPeak>,
}

/// The prices of a picture of one size, as `1024-x-1024` or `hd/1024-x-1792`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Size {
    name: String,
    rates: Vec<(RateKey, Price)>,
}

/// One entry of `tiered_pricing`: the rates of prompts of `from < tokens <= to`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Range {
    from: u64,
    to: u64,
    rates: Vec<(Dimension, Price)>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct SearchPrices {
    low: Option<Price>,
    medium: Option<Price>,
    high: Option<Price>,
}

/// How much of the web a search brings into the context; some models price the sizes apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SearchContextSize {
    /// `low`
    Low,
    /// `medium`, the default of the providers that have sizes.
    #[default]
    Medium,
    /// `high`
    High,
}

/// A price that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{key}`: {problem}")]
pub struct PriceError {
    /// The price's name.
    pub key: String,
    /// What is wrong with it.
    pub problem: PriceProblem,
}

/// What is wrong with a price.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PriceProblem {
    /// The number is not one.
    #[error("`{text}` is not a price in dollars: {error}")]
    Number {
        /// The text that was to be a number.
        text: String,
        /// Why it is none.
        error: MoneyError,
    },
    /// A compound price of the wrong form.
    #[error("must be {0}")]
    Form(&'static str),
    /// Nobody's name for a price.
    #[error("is not the name of a price{}", .nearest.map_or_else(String::new, |name| format!(", did you mean `{name}`?")))]
    Unknown {
        /// The name that was likely meant.
        nearest: Option<&'static str>,
    },
}

/// The rates at which one request is billed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Billed {
    pub(crate) input: Price,
    pub(crate) output: Price,
    pub(crate) cache_read: Price,
    pub(crate) cache_read_audio: Price,
    pub(crate) cache_read_image: Price,
    pub(crate) cache_write: Price,
    pub(crate) cache_write_hour: Price,
    pub(crate) reasoning: Price,
    pub(crate) audio_input: Price,
    pub(crate) audio_output: Price,
    pub(crate) image_input: Price,
    pub(crate) image_output: Price,
    pub(crate) video_input: Price,
    pub(crate) video_output: Price,
    pub(crate) cache_write_audio: Price,
    pub(crate) citation: Price,
    pub(crate) request: Price,
}

/// The rates of what is not tokens; `None` where there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UnitRates {
    pub(crate) picture: Option<PictureRate>,
    pub(crate) character: Option<Price>,
    /// Of sound that was heard.
    pub(crate) second: Option<Price>,
    /// Of sound that was made.
    pub(crate) spoken_second: Option<Price>,
    /// Of the provider's time; none where it sells tokens.
    pub(crate) elapsed_second: Option<Price>,
    pub(crate) query: Option<Price>,
}

/// What a picture costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PictureRate {
    pub(crate) price: Price,
    /// The price is that of a picture element.
    pub(crate) is_per_pixel: bool,
    /// The price's name begins with `output`.
    pub(crate) is_output: bool,
}

/// Whether `name` may stand in a configuration as a price.
pub fn is_price_key(name: &str) -> bool {
    RateKey::parse(name).is_some()
        || PRICE_KEYS.binary_search(&name).is_ok()
        || UNBILLED_PRICE_KEYS.binary_search(&name).is_ok()
}

impl Prices {
    /// Reads the prices among a catalogue object's fields (name, JSON text); other fields are skipped.
    pub(crate) fn read<'a>(
        provider: &str,
        fields: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Result<Prices, PriceError> {
        let mut draft = Draft::default();
        // Only xAI counts a prompt of exactly the threshold as above it (its pricing page: "at or above").
        draft.rare.threshold_is_inclusive = provider == "xai";
        // Google bills a grounded prompt, not its queries, unless the model says otherwise.
        draft.rare.search_is_per_prompt = provider == "gemini" || provider.starts_with("vertex_ai");
        for (name, json) in fields.filter(|(_, json)| *json != "null") {
            draft.put(name, json)?;
        }
        draft.rare.tools = draft.rare.tools.or_listed(provider, draft.rare.search_is_per_prompt);
        Ok(draft.finish())
    }

    /// These prices with an operator's numbers in place of some: (name, number or JSON text), as `input_cost_per_token`
    /// may stand in `litellm_params` or `model_info`. A plain price (one without a threshold or a tier) also takes the
    /// place of the catalogue's thresholds, tiers and ranges of the same dimension: the operator's number is the
    /// price, unless the operator writes the others too. A price of pictures takes the place of all of the catalogue's,
    /// those of sizes included; a price per second that of all others by time, and of tokens and requests unless the
    /// operator prices those too. An unknown name or a wrong number is an error.
    pub fn with_overrides<'a>(
        &self,
        overrides: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Result<Prices, PriceError> {
        let mut written = Draft::default();
        let mut names = BTreeSet::new();
        for (name, text) in overrides {
            if !is_price_key(name) {
                let problem = PriceProblem::Unknown { nearest: nearest_key(name) };
                return Err(PriceError { key: name.to_owned(), problem });
            }
            written.put(name, text)?;
            names.insert(name);
        }

        let mut draft = Draft {
            rates: self.rates.iter().copied().collect(),
            rare: self.rare.as_deref().cloned().unwrap_or_default(),
        };
        draft.flatten(written.rates.iter().map(|(key, price)| (*key, *price)));
        draft.displace(&written.rates);
        if written.rates.keys().any(|key| !key.dimension.is_unit()) {
            draft.rare.off_peak = None;
        }
        draft.rates.extend(written.rates);
        draft.rare.tools = written.rare.tools.or(draft.rare.tools);
        draft.rare.uplifts = written.rare.uplifts.or(draft.rare.uplifts);
        if written.rare.off_peak.is_some() {
            draft.rare.off_peak = written.rare.off_peak;
        }
        if names.contains("tiered_pricing") {
            draft.rare.ranges = written.rare.ranges;
        }
        if names.contains("search_context_cost_per_query") {
            draft.rare.search = written.rare.search;
        }
        if names.contains("web_search_billing_unit") {
            draft.rare.search_is_per_prompt = written.rare.search_is_per_prompt;
        }
        Ok(draft.finish())
    }

    /// These prices with those of pictures of certain sizes: name, prices (see [`crate::model::sizes`]).
    pub fn with_sizes(self, sizes: Vec<(String, Prices)>) -> Prices {
        if sizes.is_empty() {
            return self;
        }
        let mut rare = self.rare.as_deref().cloned().unwrap_or_default();
        for (name, prices) in sizes {
            let rates = prices.rates.iter().filter(|(key, _)| key.dimension.is_picture()).copied().collect();
            rare.sizes.push(Size { name, rates });
        }
        rare.sizes.sort_by(|one, other| one.name.cmp(&other.name));
        Prices { rates: self.rates, rare: Some(Arc::new(rare)) }
    }

    /// The prices of pictures of that quality (`standard` where none is said) and size. A size that is priced by itself
    /// takes the place of the model's own price of pictures: in that quality, else in none, else in `high`, as LiteLLM
    /// looks.
    pub fn at_size(&self, quality: Option<&str>, (width, height): (u32, u32)) -> Prices {
        let sizes = self.rare.as_deref().map_or(&[][..], |rare| &rare.sizes);
        let plain = format!("{width}-x-{height}");
        let quality = quality.unwrap_or("standard");
        let names = [format!("{quality}/{plain}"), plain.clone(), format!("high/{plain}")];
        let found = names.iter().find_map(|name| {
            sizes.binary_search_by(|size| size.name.cmp(name)).ok().and_then(|at| sizes.get(at))
        });
        found.map_or_else(|| self.clone(), |size| self.of_size(size))
    }

    /// With the prices of one size in the place of the model's own of pictures.
    fn of_size(&self, size: &Size) -> Prices {
        let mut rates: BTreeMap<RateKey, Price> =
            self.rates.iter().filter(|(key, _)| !key.dimension.is_picture()).copied().collect();
        rates.extend(size.rates.iter().copied());
        Prices { rates: rates.into_iter().collect(), rare: self.rare.clone() }
    }

    /// Every price at which pictures of that quality and size may be billed, each with its size where it has one of its
    /// own; what the request leaves to the provider may be any.
    pub(crate) fn of_pictures(
        &self,
        quality: Option<&str>,
        size: Option<(u32, u32)>,
    ) -> Vec<(Prices, Option<(u32, u32)>)> {
        if let (Some(_), Some(size)) = (quality, size) {
            return vec![(self.at_size(quality, size), Some(size))];
        }
        let sizes = self.rare.as_deref().map_or(&[][..], |rare| &rare.sizes);
        let priced = sizes.iter().filter_map(|row| Some((row, row.size()?)));
        let may_be = priced.filter(|(row, own)| {
            size.is_none_or(|size| size == *own) && quality.is_none_or(|quality| row.may_stand_for(quality))
        });
        let mut all: Vec<_> = may_be.map(|(row, own)| (self.of_size(row), Some(own))).collect();
        all.push((self.clone(), size));
        all
    }

    /// The lengths of prompt below `tokens` after which other rates hold, and some more.
    pub(crate) fn lengths_before_a_change(&self, tokens: u64) -> impl Iterator<Item = u64> + '_ {
        let steps = self.rare.as_deref().map_or(&[][..], |rare| &rare.steps);
        let is_inclusive = self.rare.as_ref().is_some_and(|rare| rare.threshold_is_inclusive);
        let ends = steps.iter().flat_map(move |step| [step.saturating_sub(u64::from(is_inclusive)), *step]);
        ends.take_while(move |end| *end < tokens)
    }

    /// Whether anything that [`crate::cost::cost`] bills has a price. A price of 0 is one.
    pub fn is_priced(&self) -> bool {
        let has_more = |rare: &Arc<Rare>| {
            !rare.ranges.is_empty() || rare.sizes.iter().any(|size| !size.rates.is_empty())
        };
        !self.rates.is_empty() || self.rare.as_ref().is_some_and(has_more)
    }

    /// Whether tokens or requests have a price. A price of 0 is one.
    pub fn prices_tokens(&self) -> bool {
        self.rates.iter().any(|(key, _)| !key.dimension.is_unit())
            || self.rare.as_ref().is_some_and(|rare| !rare.ranges.is_empty())
    }

    /// The rates of what is not tokens. Several prices of one picture or one second are one price by several names, and
    /// never added up: what a model makes goes before what it is asked for, a picture before its elements, and a price
    /// before one of 0.
    pub(crate) fn units(&self) -> UnitRates {
        let of = |dimension| {
            let key = RateKey::base(dimension);
            let at = self.rates.binary_search_by(|(known, _)| known.cmp(&key)).ok()?;
            self.rates.get(at).map(|(_, price)| *price)
        };
        let first = |dimensions: &[Dimension]| {
            let priced = || dimensions.iter().filter_map(|dimension| Some((*dimension, of(*dimension)?)));
            priced().find(|(_, price)| *price > Price::ZERO).or_else(|| priced().next())
        };
        use Dimension::{ImageAsked, ImageMade, PixelAsked, PixelMade, Second, SecondHeard, SecondMade};
        let picture = first(&[ImageMade, ImageAsked, PixelAsked, PixelMade]);
        let sells_tokens =
            self.rates.iter().any(|(key, price)| !key.dimension.is_unit() && *price > Price::ZERO);
        let time = first(&[Second, SecondHeard, SecondMade]).map(|(_, price)| price);
        UnitRates {
            picture: picture.map(|(dimension, price)| PictureRate {
                price,
                is_per_pixel: matches!(dimension, PixelAsked | PixelMade),
                is_output: matches!(dimension, ImageMade | PixelMade),
            }),
            character: of(Dimension::Character),
            second: first(&[SecondMade, SecondHeard]).map(|(_, price)| price),
            spoken_second: of(SecondMade),
            elapsed_second: time.filter(|_| !sells_tokens),
            query: of(Dimension::Query),
        }
    }

    /// The plain price of a prompt token. For models priced by ranges of prompt length, that of the shortest.
    pub fn input(&self) -> Option<Price> {
        self.plain(Dimension::Input)
    }

    /// The plain price of an answer's token; see [`Prices::input`].
    pub fn output(&self) -> Option<Price> {
        self.plain(Dimension::Output)
    }

    /// The price of exactly that name, such as `input_cost_per_token_above_200k_tokens`.
    pub fn rate(&self, key: &str) -> Option<Price> {
        let key = RateKey::parse(key)?;
        self.rates.iter().find(|(known, _)| *known == key).map(|(_, price)| *price)
    }

    fn plain(&self, dimension: Dimension) -> Option<Price> {
        let in_range = self.range(0).and_then(|range| range.rate(dimension));
        in_range.or_else(|| self.rate_at(dimension, 0, None))
    }

    /// The prices of tools that the provider runs.
    pub(crate) fn tools(&self) -> ToolPrices {
        self.rare.as_deref().map_or_else(ToolPrices::default, |rare| rare.tools)
    }

    /// Queries to a service of Google's that are billed: each, or one for the prompt.
    pub(crate) fn grounded(&self, queries: u64) -> u64 {
        let is_per_prompt = self.rare.as_deref().is_some_and(|rare| rare.search_is_per_prompt);
        if is_per_prompt { queries.min(1) } else { queries }
    }

    /// The price of `queries` web searches: how often it is due, and at which rate.
    pub(crate) fn search(&self, queries: u64, size: SearchContextSize) -> Option<(u64, Price)> {
        let rare = self.rare.as_deref()?;
        let price = match size {
            SearchContextSize::Low => rare.search.low,
            SearchContextSize::Medium => rare.search.medium,
            SearchContextSize::High => rare.search.high,
        }?;
        Some((self.grounded(queries), price))
    }

    /// The rates for a prompt of that many tokens at that tier. What has no price of its own is billed as what it is
    /// a kind of: cached and cache-writing tokens, audio and images in a prompt as input; reasoning, audio and images
    /// in an answer as output. What has no price at all costs nothing: an embedding model has no output.
    pub(crate) fn billed(&self, prompt_tokens: u64, tier: Option<ServiceTier>) -> Billed {
        let range = self.range(prompt_tokens);
        let speed = self.speed(tier);
        let written = |dimension| match range {
            // A range speaks for all text; only the output may be left to the model.
            Some(range) if dimension < Dimension::AudioInput => range.rate(dimension).or_else(|| {
                (dimension == Dimension::Output)
                    .then(|| self.rate_at(dimension, prompt_tokens, tier))
                    .flatten()
            }),
            _ => self.rate_at(dimension, prompt_tokens, tier),
        };
        let of = |dimension| {
            let price: Option<Price> = written(dimension);
            speed.map_or(price, |by| price.map(|price| price.scaled(by)))
        };
        let input = of(Dimension::Input).unwrap_or_default();
        let image_output = of(Dimension::ImageOutput);
        let output = of(Dimension::Output).or(image_output).unwrap_or_default();
        let cache_read = of(Dimension::CacheRead).unwrap_or(input);
        let cache_write = of(Dimension::CacheWrite).unwrap_or(input);
        let tier_prices_output = range.is_none()
            && tier.is_some()
            && self.has(RateKey { tier, ..RateKey::base(Dimension::Output) });
        let tier_prices_reasoning = self.has(RateKey { tier, ..RateKey::base(Dimension::Reasoning) });
        let reasoning =
            if tier_prices_output && !tier_prices_reasoning { None } else { of(Dimension::Reasoning) };
        Billed {
            input,
            output,
            cache_read,
            cache_read_audio: of(Dimension::CacheReadAudio).unwrap_or(cache_read),
            cache_read_image: of(Dimension::CacheReadImage).unwrap_or(cache_read),
            cache_write,
            cache_write_hour: of(Dimension::CacheWriteHour).unwrap_or(cache_write),
            reasoning: reasoning.unwrap_or(output),
            audio_input: of(Dimension::AudioInput).unwrap_or(input),
            audio_output: of(Dimension::AudioOutput).unwrap_or(output),
            image_input: of(Dimension::ImageInput).unwrap_or(input),
            image_output: image_output.unwrap_or(output),
            video_input: of(Dimension::VideoInput).unwrap_or(input),
            video_output: of(Dimension::VideoOutput).unwrap_or(output),
            cache_write_audio: of(Dimension::CacheWriteAudio).unwrap_or(cache_write),
            citation: of(Dimension::Citation).unwrap_or_default(),
            request: of(Dimension::Request).unwrap_or_default(),
        }
    }

    fn has(&self, key: RateKey) -> bool {
        self.rates.binary_search_by(|(known, _)| known.cmp(&key)).is_ok()
    }

    /// The rate of a dimension: of the highest threshold that the prompt crosses, and there the tier's before the
    /// plain one. Batches have thresholds of their own, if any.
    fn rate_at(&self, dimension: Dimension, prompt_tokens: u64, tier: Option<ServiceTier>) -> Option<Price> {
        let is_inclusive = self.rare.as_ref().is_some_and(|rare| rare.threshold_is_inclusive);
        let first = self.rates.partition_point(|(key, _)| key.dimension < dimension);
        let has_own =
            tier == Some(ServiceTier::Batches) && self.has(RateKey { tier, ..RateKey::base(dimension) });
        self.rates
            .get(first..)?
            .iter()
            .take_while(|(key, _)| key.dimension == dimension)
            .filter(|(key, _)| key.tier == tier || (key.tier.is_none() && !has_own))
            .filter(|(key, _)| {
                key.above == 0 || prompt_tokens > key.above || (is_inclusive && prompt_tokens == key.above)
            })
            .max_by_key(|(key, _)| (key.above, key.tier.is_some()))
            .map(|(_, price)| *price)
    }

    /// The range of a prompt of that length: the first one that holds it, the last one for a prompt beyond them all.
    fn range(&self, prompt_tokens: u64) -> Option<&Range> {
        let ranges = &self.rare.as_deref()?.ranges;
        ranges.iter().find(|range| prompt_tokens <= range.to).or_else(|| ranges.last())
    }
}

impl Size {
    /// Width and height.
    fn size(&self) -> Option<(u32, u32)> {
        let (width, height) = self.name.rsplit('/').next()?.split_once("-x-")?;
        Some((width.parse().ok()?, height.parse().ok()?))
    }

    /// Whether [`Prices::at_size`] may find it for that quality.
    fn may_stand_for(&self, quality: &str) -> bool {
        self.name.split_once('/').is_none_or(|(own, _)| own == quality || own == "high")
    }
}

impl Range {
    fn rate(&self, dimension: Dimension) -> Option<Price> {
        self.rates.iter().find(|(known, _)| *known == dimension).map(|(_, price)| *price)
    }
}

/// The price name with the fewest single-letter edits from `name`, at most a fifth of its letters.
fn nearest_key(name: &str) -> Option<&'static str> {
    let edits_max = name.len() / 5;
    PRICE_KEYS
        .iter()
        .chain(UNBILLED_PRICE_KEYS)
        .map(|known| (strsim::damerau_levenshtein(name, known), *known))
        .filter(|(edits, _)| *edits <= edits_max)
        .min()
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests;
