//! The names of prices: which dimension, above how many prompt tokens, at which service tier.
//!
//! Owns the grammar `<dimension>[_above_<N>k_tokens][_<tier>]` (the dimension alone where it is no token) and the lists of names that are accepted. Leaves the
//! numbers to its parent.
//!
//! **Invariant:** every name of [`PRICE_KEYS`] is either one that the grammar reads or one of the few compound ones;
//! a name is never in both lists.

mod table;

pub use table::{PRICE_KEYS, UNBILLED_PRICE_KEYS};

/// What a price is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Dimension {
    Input,
    Output,
    CacheRead,
    CacheWrite,
    /// Cache entries that live for an hour; [`Dimension::CacheWrite`] is for five minutes.
    CacheWriteHour,
    Reasoning,
    AudioInput,
    AudioOutput,
    ImageInput,
    ImageOutput,
    /// What the cache gave of a prompt's audio; [`Dimension::CacheRead`] is for text.
    CacheReadAudio,
    /// The same of its images.
    CacheReadImage,
    VideoInput,
    VideoOutput,
    /// What the cache took of a prompt's audio.
    CacheWriteAudio,
    /// Tokens of what an answer cites.
    Citation,
    Request,
    /// An image that was asked for, by the name that LiteLLM's rows have for it at OpenAI and xAI.
    ImageAsked,
    /// An image that was made.
    ImageMade,
    /// A picture element, by either name.
    PixelAsked,
    PixelMade,
    /// A character of text that was spoken.
    Character,
    /// A second of sound that was heard; of the provider's time where it sells that.
    SecondHeard,
    /// The same by the name that some rows have for it.
    SecondMade,
    /// A second of the provider's time.
    Second,
    /// A query: what rerankers count.
    Query,
}

impl Dimension {
    /// It prices something other than tokens and requests.
    pub(crate) fn is_unit(self) -> bool {
        self > Dimension::Request
    }

    /// It prices pictures.
    pub(crate) fn is_picture(self) -> bool {
        (Dimension::ImageAsked..=Dimension::PixelMade).contains(&self)
    }

    /// It prices time.
    pub(crate) fn is_time(self) -> bool {
        (Dimension::SecondHeard..=Dimension::Second).contains(&self)
    }
}

/// Longer names stand before the names that they begin with.
const DIMENSIONS: &[(&str, Dimension)] = &[
    ("cache_creation_input_token_cost_above_1hr", Dimension::CacheWriteHour),
    ("cache_creation_input_token_cost", Dimension::CacheWrite),
    ("cache_read_input_token_cost", Dimension::CacheRead),
    ("cache_read_input_audio_token_cost", Dimension::CacheReadAudio),
    ("cache_read_input_image_token_cost", Dimension::CacheReadImage),
    // DeepSeek's name for the same; its rows carry both with one value.
    ("input_cost_per_token_cache_hit", Dimension::CacheRead),
    ("input_cost_per_token", Dimension::Input),
    ("output_cost_per_token", Dimension::Output),
    ("output_cost_per_reasoning_token", Dimension::Reasoning),
    ("input_cost_per_audio_token", Dimension::AudioInput),
    ("output_cost_per_audio_token", Dimension::AudioOutput),
    ("input_cost_per_image_token", Dimension::ImageInput),
    ("output_cost_per_image_token", Dimension::ImageOutput),
    ("input_cost_per_video_token", Dimension::VideoInput),
    ("output_cost_per_video_token", Dimension::VideoOutput),
    ("cache_creation_input_audio_token_cost", Dimension::CacheWriteAudio),
    ("citation_cost_per_token", Dimension::Citation),
    ("input_cost_per_request", Dimension::Request),
    ("input_cost_per_image", Dimension::ImageAsked),
    ("output_cost_per_image", Dimension::ImageMade),
    ("input_cost_per_pixel", Dimension::PixelAsked),
    ("output_cost_per_pixel", Dimension::PixelMade),
    ("input_cost_per_character", Dimension::Character),
    ("input_cost_per_second", Dimension::SecondHeard),
    ("output_cost_per_second", Dimension::SecondMade),
    ("cost_per_second", Dimension::Second),
    ("input_cost_per_query", Dimension::Query),
];

/// The speed and price class at which a provider served a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ServiceTier {
    /// Faster and dearer (`priority`, also `fast`).
    Priority,
    /// Slower and cheaper.
    Flex,
    /// Asynchronous batches.
    Batches,
    /// Between flex and the default.
    Balanced,
    /// The fastest.
    Ultrafast,
}

const TIERS: &[(&str, ServiceTier)] = &[
    ("priority", ServiceTier::Priority),
    ("flex", ServiceTier::Flex),
    ("batches", ServiceTier::Batches),
    ("balanced", ServiceTier::Balanced),
    ("ultrafast", ServiceTier::Ultrafast),
];

impl ServiceTier {
    /// Every tier.
    pub const ALL: &[ServiceTier] = &[
        ServiceTier::Priority,
        ServiceTier::Flex,
        ServiceTier::Batches,
        ServiceTier::Balanced,
        ServiceTier::Ultrafast,
    ];

    /// The tier that a request's or reply's `service_tier` names; `None` for `default`, `auto` and any other, which
    /// have the plain price.
    pub fn from_name(name: &str) -> Option<ServiceTier> {
        let name = name.to_ascii_lowercase();
        match name.as_str() {
            "fast" => Some(ServiceTier::Priority),
            "batch" => Some(ServiceTier::Batches),
            other => TIERS.iter().find(|(known, _)| *known == other).map(|(_, tier)| *tier),
        }
    }

    /// Its name, which [`from_name`](Self::from_name) reads.
    pub fn name(self) -> &'static str {
        TIERS.iter().find(|(_, tier)| *tier == self).map_or("", |(name, _)| name)
    }
}

/// A price's name, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RateKey {
    pub(crate) dimension: Dimension,
    /// Prompt tokens above which it holds; 0 for always.
    pub(crate) above: u64,
    pub(crate) tier: Option<ServiceTier>,
}

impl RateKey {
    /// The plain price of a dimension.
    pub(crate) fn base(dimension: Dimension) -> RateKey {
        RateKey { dimension, above: 0, tier: None }
    }

    /// Takes a name apart; `None` if it does not follow the grammar.
    pub(crate) fn parse(name: &str) -> Option<RateKey> {
        DIMENSIONS.iter().find_map(|(prefix, dimension)| {
            let rest = name.strip_prefix(prefix)?;
            let (above, rest) = threshold(rest)?;
            let tier = match rest.strip_prefix('_') {
                Some(tier) => Some(TIERS.iter().find(|(known, _)| *known == tier)?.1),
                None if rest.is_empty() => None,
                None => return None,
            };
            // Thresholds are in tokens of a prompt, and tiers are of its price.
            let is_plain = above == 0 && tier.is_none();
            (is_plain || !dimension.is_unit()).then_some(RateKey { dimension: *dimension, above, tier })
        })
    }
}

/// The `_above_<N>k_tokens` (or `_above_<N>_tokens`) at the beginning of `rest`, if there is one, and what follows.
fn threshold(rest: &str) -> Option<(u64, &str)> {
    let Some(after) = rest.strip_prefix("_above_") else { return Some((0, rest)) };
    let (count, after) = after.split_once("_tokens")?;
    let tokens = match count.strip_suffix('k') {
        Some(thousands) => thousands.parse::<u64>().ok()?.checked_mul(1000)?,
        None => count.parse().ok()?,
    };
    Some((tokens, after))
}
