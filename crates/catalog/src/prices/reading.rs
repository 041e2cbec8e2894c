//! Prices while they are read from names and numbers.
//!
//! Owns what is kept of each field, and which fields take the place of others. Leaves the grammar of names to `keys`, and
//! which prices are read to its parent. **Invariant:** a field that is no price is skipped; a wrong price is an error.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::value::RawValue;

use super::keys::{Dimension, RateKey, UNBILLED_PRICE_KEYS};
use super::off_peak::OffPeak;
use super::{PriceError, PriceProblem, Prices, Range, Rare, SearchPrices};
use crate::money::Price;

/// Prices while they are read.
#[derive(Default)]
pub(super) struct Draft {
    pub(super) rates: BTreeMap<RateKey, Price>,
    pub(super) rare: Rare,
}

impl Draft {
    /// Takes one field; one that is no price is skipped.
    pub(super) fn put(&mut self, name: &str, json: &str) -> Result<(), PriceError> {
        match name {
            "tiered_pricing" => self.rare.ranges = ranges(json)?,
            "search_context_cost_per_query" => self.rare.search = search(json)?,
            "web_search_billing_unit" => {
                self.rare.search_is_per_prompt = json.trim_matches('"') != "per_query";
            }
            "off_peak_pricing" => self.rare.off_peak = OffPeak::read(json)?,
            "provider_specific_entry" => {
                self.rare.uplifts.put(name, json)?;
            }
            // Other objects are prices that no usage is billed by yet; their form is not checked.
            _ if json.starts_with(['{', '[']) => {}
            _ => match RateKey::parse(name) {
                Some(key) if name == "input_cost_per_token_cache_hit" => {
                    let hit = number(name, json)?;
                    self.rates.entry(key).or_insert(hit);
                }
                Some(key) => {
                    self.rates.insert(key, number(name, json)?);
                }
                None if self.rare.tools.put(name, json)? || self.rare.uplifts.put(name, json)? => {}
                None if UNBILLED_PRICE_KEYS.binary_search(&name).is_ok() => {
                    number(name, json)?;
                }
                None => {}
            },
        }
        Ok(())
    }

    /// Puts plain prices in the place of every price of their dimensions.
    pub(super) fn flatten(&mut self, plain: impl Iterator<Item = (RateKey, Price)>) {
        for (key, price) in plain.filter(|(key, _)| *key == RateKey::base(key.dimension)) {
            self.rates.retain(|known, _| known.dimension != key.dimension);
            self.rates.insert(key, price);
            for range in &mut self.rare.ranges {
                range.rates.retain(|(dimension, _)| *dimension != key.dimension);
                range.rates.push((key.dimension, price));
            }
        }
    }

    /// Makes room for an operator's prices of pictures and of time.
    pub(super) fn displace(&mut self, written: &BTreeMap<RateKey, Price>) {
        let has = |is: fn(Dimension) -> bool| written.keys().any(|key| is(key.dimension));
        if has(Dimension::is_picture) {
            self.rates.retain(|key, _| !key.dimension.is_picture());
            self.rare.sizes.clear();
        }
        if has(Dimension::is_time) {
            self.rates.retain(|key, _| !key.dimension.is_time());
            if !has(|dimension| !dimension.is_unit()) {
                self.rates.retain(|key, _| key.dimension.is_unit());
                self.rare.ranges.clear();
            }
        }
    }

    pub(super) fn finish(mut self) -> Prices {
        let above = self.rates.keys().map(|key| key.above).filter(|above| *above > 0);
        self.rare.steps = above.chain(self.rare.ranges.iter().map(|range| range.to)).collect();
        self.rare.steps.sort_unstable();
        self.rare.steps.dedup();
        if let Some(mut off_peak) = self.rare.off_peak.take() {
            off_peak.complete(&self);
            self.rare.off_peak = Some(off_peak);
        }
        let rare = (self.rare != Rare::default()).then(|| Arc::new(self.rare));
        Prices { rates: self.rates.into_iter().collect(), rare }
    }
}

/// A price from the text of a JSON number, or of a JSON string that holds one.
pub(super) fn number(key: &str, json: &str) -> Result<Price, PriceError> {
    let text = json.trim().trim_matches('"');
    Price::parse(text).map_err(|error| PriceError {
        key: key.to_owned(),
        problem: PriceProblem::Number { text: text.chars().take(40).collect(), error },
    })
}

pub(super) type Fields<'a> = BTreeMap<String, &'a RawValue>;

pub(super) fn form(key: &str, expected: &'static str) -> PriceError {
    PriceError { key: key.to_owned(), problem: PriceProblem::Form(expected) }
}

/// Reads `tiered_pricing`. Its entries for search results (`max_results_range`) price no tokens and are left out.
fn ranges(json: &str) -> Result<Vec<Range>, PriceError> {
    const KEY: &str = "tiered_pricing";
    let wrong = || form(KEY, "a list of objects with `range: [from, to]` and prices per token");
    let entries: Vec<Fields<'_>> = serde_json::from_str(json).map_err(|_| wrong())?;
    let mut ranges = Vec::new();
    for entry in entries {
        let Some(bounds) = entry.get("range") else { continue };
        // Token counts; the data writes them as floats (`256000.0`).
        let [from, to]: [f64; 2] = serde_json::from_str(bounds.get()).map_err(|_| wrong())?;
        if !(from >= 0.0 && to > from) {
            return Err(wrong());
        }
        let mut rates = Vec::new();
        for (name, value) in &entry {
            let Some(key) = RateKey::parse(name) else { continue };
            if key != RateKey::base(key.dimension) {
                return Err(wrong());
            }
            rates.push((key.dimension, number(name, value.get())?));
        }
        if rates.iter().any(|(dimension, _)| *dimension == Dimension::Input) {
            ranges.push(Range { from: from as u64, to: to as u64, rates });
        }
    }
    ranges.sort_by_key(|range| range.from);
    Ok(ranges)
}

/// Reads `search_context_cost_per_query`: an object of sizes, or one number for all of them.
fn search(json: &str) -> Result<SearchPrices, PriceError> {
    const KEY: &str = "search_context_cost_per_query";
    if !json.starts_with('{') {
        let price = Some(number(KEY, json)?);
        return Ok(SearchPrices { low: price, medium: price, high: price });
    }
    let sizes: Fields<'_> = serde_json::from_str(json)
        .map_err(|_| form(KEY, "an object with `search_context_size_low`, `_medium` and `_high`"))?;
    let size = |name: &str| sizes.get(name).map(|value| number(KEY, value.get())).transpose();
    Ok(SearchPrices {
        low: size("search_context_size_low")?,
        medium: size("search_context_size_medium")?,
        high: size("search_context_size_high")?,
    })
}
