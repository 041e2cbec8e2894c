//! What a provider asks more for where it has to serve from one region, or fast.
//!
//! Owns the multipliers and applying them. Leaves which region a deployment is in to its endpoint.
//!
//! **Invariant:** a multiplier is a fraction of integers; it raises the prices of tokens and requests, and of nothing else.

use super::reading::{Fields, number};
use super::{PriceError, Prices, Rare, ServiceTier};
use crate::money::{Price, Ratio};

/// Multipliers, by what they are for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Uplifts {
    /// OpenAI's `eu.api.openai.com`.
    eu: Option<Ratio>,
    /// OpenAI's `us.api.openai.com`.
    us: Option<Ratio>,
    /// Any of Vertex AI's locations but `global`.
    vertex: Option<Ratio>,
    /// Anthropic's fast mode.
    fast: Option<Ratio>,
}

impl Uplifts {
    /// Takes one field, if it is one of these.
    pub(super) fn put(&mut self, name: &str, json: &str) -> Result<bool, PriceError> {
        if name == "provider_specific_entry" {
            let entry: Fields<'_> = serde_json::from_str(json).unwrap_or_default();
            let fast = entry.get("fast").map(|fast| number("fast", fast.get())).transpose()?;
            self.fast = fast.map(Ratio::of);
            return Ok(true);
        }
        let uplift = match name {
            "regional_processing_uplift_multiplier_eu" => &mut self.eu,
            "regional_processing_uplift_multiplier_us" => &mut self.us,
            "regional_endpoint_uplift_multiplier" => &mut self.vertex,
            _ => return Ok(false),
        };
        *uplift = Some(Ratio::of(number(name, json)?));
        Ok(true)
    }

    /// These, and where there is none the other's.
    pub(super) fn or(self, other: Self) -> Self {
        Self {
            eu: self.eu.or(other.eu),
            us: self.us.or(other.us),
            vertex: self.vertex.or(other.vertex),
            fast: self.fast.or(other.fast),
        }
    }
}

/// The region of OpenAI's that a host stands for: `eu` for `eu.api.openai.com`.
pub fn openai_residency(host: &str) -> Option<&str> {
    host.strip_suffix(".api.openai.com").filter(|region| matches!(*region, "eu" | "us"))
}

impl Prices {
    /// What a request is multiplied by that is served at a tier which has no prices of its own.
    pub(super) fn speed(&self, tier: Option<ServiceTier>) -> Option<Ratio> {
        let fast = self.rare.as_deref()?.uplifts.fast;
        fast.filter(|_| tier == Some(ServiceTier::Priority))
    }

    /// These prices where the model is served from one region: of OpenAI's (see [`openai_residency`]), or in a location of
    /// Vertex AI's. Models that cost the same everywhere keep their prices.
    pub fn in_region(&self, residency: Option<&str>, location: Option<&str>) -> Prices {
        let Some(rare) = self.rare.as_deref() else { return self.clone() };
        let processing = match residency.map(str::to_ascii_lowercase).as_deref() {
            Some("eu") => rare.uplifts.eu,
            Some("us") => rare.uplifts.us,
            _ => None,
        };
        let is_regional = location.is_some_and(|location| !location.eq_ignore_ascii_case("global"));
        let endpoint = rare.uplifts.vertex.filter(|_| is_regional);
        [processing, endpoint].into_iter().flatten().fold(self.clone(), |prices, by| prices.raised(by))
    }

    /// With every price of tokens and requests multiplied.
    fn raised(&self, by: Ratio) -> Prices {
        let raised = |is_unit: bool, price: Price| if is_unit { price } else { price.scaled(by) };
        let rates = self.rates.iter().map(|(key, price)| (*key, raised(key.dimension.is_unit(), *price)));
        let rare = self.rare.as_deref().map(|rare| {
            let mut rare = Rare::clone(rare);
            for (dimension, price) in rare.ranges.iter_mut().flat_map(|range| &mut range.rates) {
                *price = raised(dimension.is_unit(), *price);
            }
            rare.off_peak = rare.off_peak.map(|off_peak| off_peak.with(|prices| prices.raised(by)));
            rare.into()
        });
        Prices { rates: rates.collect(), rare }
    }
}
