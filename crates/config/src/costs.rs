//! What a cost is charged at: discounts, margins, and what is done where no price is known.
//!
//! Owns: LiteLLM's `cost_discount_config`, `cost_margin_config` and `block_requests_for_models_without_pricing`, and
//! `tollgate_settings.unpriced`. Leaves to others: the arithmetic (catalog), charging it (server).
//!
//! **Invariant:** a discount is a share of at most 1, a margin's share at most 10; no amount passes through a float.

use tollgate_catalog::{
    Adjustment, PicoDollars, Prices, Share, is_known_elsewhere, nearest_provider, provider,
};

use crate::keys::{costs, litellm, tollgate};
use crate::report::{Collector, Message, printable};
use crate::section::Section;
use crate::yaml::{Entry, Node};

/// The name under which a margin holds for every provider that has none of its own.
const GLOBAL: &str = "global";
/// LiteLLM's largest share of a margin.
const MARGIN_MAX: &str = "10";

/// The resolved rules.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Costs {
    /// By the providers' names in the catalogue, or as they were written where it has none of that name.
    discounts: Vec<(String, Share)>,
    /// Likewise; `global` is one of them.
    margins: Vec<(String, Margin)>,
    /// What is done where no price is known.
    pub unpriced: Unpriced,
}

/// What is added to a cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Margin {
    share: Share,
    fixed: PicoDollars,
}

/// What is done with a request that no price is known for.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Unpriced {
    /// It is refused.
    Deny,
    /// It is answered, costs nothing that anybody knows, and is flagged.
    #[default]
    Flag,
    /// It is charged at these prices, and flagged.
    Charge(Prices),
}

impl Costs {
    /// What a provider's costs are charged at.
    pub fn adjustment(&self, provider: &str) -> Adjustment {
        let discount = of(&self.discounts, provider).unwrap_or_default();
        let margin = of(&self.margins, provider).or_else(|| of(&self.margins, GLOBAL)).unwrap_or_default();
        Adjustment { discount, margin: margin.share, fixed: margin.fixed }
    }

    /// Resolves the rules of a checked configuration.
    pub(crate) fn resolve(root: &Node, found: &mut Collector) -> Self {
        let own = Section::new(root.get("litellm_settings"), litellm::TABLE, "litellm_settings");
        let ours = Section::new(root.get("tollgate_settings"), tollgate::TABLE, "tollgate_settings");
        let blocks = own.flag("block_requests_for_models_without_pricing").unwrap_or(false);
        let unless_said = if blocks { Unpriced::Deny } else { Unpriced::Flag };
        Self {
            discounts: by_provider(&own, "cost_discount_config", found, discount),
            margins: by_provider(&own, "cost_margin_config", found, margin),
            unpriced: unpriced(&ours, found).unwrap_or(unless_said),
        }
    }
}

fn of<T: Copy>(rules: &[(String, T)], name: &str) -> Option<T> {
    rules.iter().find(|(known, _)| known == name).map(|(_, rule)| *rule)
}

/// The entries of a map by providers' names. One that is a name of nobody's is pointed out, and kept.
fn by_provider<T>(
    section: &Section<'_>,
    name: &'static str,
    found: &mut Collector,
    read: fn(&Entry, &str, &mut Collector) -> Option<T>,
) -> Vec<(String, T)> {
    let mut rules = Vec::new();
    for entry in section.entries(name) {
        let path = format!("{}.{}", section.path_of(name), printable(&entry.key));
        let known = provider(&entry.key);
        let is_global = &*entry.key == GLOBAL && name == "cost_margin_config";
        if known.is_none() && !is_global && !is_known_elsewhere(&entry.key) {
            let message = Message::with_nearest("is the name of no provider", nearest_provider(&entry.key));
            found.warning(entry.place, &path, message);
        }
        if let Some(rule) = read(entry, &path, found) {
            rules.push((known.map_or(&*entry.key, |row| row.name).to_owned(), rule));
        }
    }
    rules
}

fn discount(entry: &Entry, path: &str, found: &mut Collector) -> Option<Share> {
    share(&entry.value, path, Share::WHOLE, found)
}

fn margin(entry: &Entry, path: &str, found: &mut Collector) -> Option<Margin> {
    let most = Share::parse(MARGIN_MAX).unwrap_or(Share::WHOLE);
    let section = Section::new(Some(&entry.value), costs::MARGIN, path);
    if entry.value.text().is_some() {
        return Some(Margin { share: share(&entry.value, path, most, found)?, fixed: PicoDollars::ZERO });
    }
    let of_cost = section.node("percentage");
    let of_cost = of_cost.map(|node| share(node, &section.path_of("percentage"), most, found));
    let fixed = section.node("fixed_amount").and_then(Node::price);
    Some(Margin {
        share: of_cost.unwrap_or(Some(Share::ZERO))?,
        fixed: fixed.and_then(|text| PicoDollars::parse_dollars(&text).ok()).unwrap_or_default(),
    })
}

/// A share of at most `most`. `None` if it is none; what is no number has been reported already.
fn share(node: &Node, path: &str, most: Share, found: &mut Collector) -> Option<Share> {
    let text = node.price()?;
    let share = Share::parse(&text).ok().filter(|share| *share <= most);
    if share.is_none() {
        let most = most.as_litellm_number();
        let most = most.strip_suffix(".0").unwrap_or(&most);
        found.error(node.place, path, format!("wants a share from 0 to {most}: 0.05 is 5%"));
    }
    share
}

fn unpriced(section: &Section<'_>, found: &mut Collector) -> Option<Unpriced> {
    let node = section.node("unpriced")?;
    match node.text() {
        Some("deny") => return Some(Unpriced::Deny),
        Some(_) => return Some(Unpriced::Flag),
        None => {}
    }
    let path = section.path_of("unpriced");
    let unpriced = Section::new(Some(node), costs::UNPRICED, &path);
    let Some(place) = unpriced.place("charge") else {
        found.error(node.place, &unpriced.path_of("charge"), "is required, or deny or flag in its place");
        return None;
    };
    let charge = unpriced.section("charge", costs::CHARGE);
    let mut prices = Vec::new();
    for name in ["input_cost_per_token", "output_cost_per_token"] {
        match charge.node(name) {
            Some(node) => prices.extend(node.price().map(|price| (name, price))),
            None => found.error(place, &charge.path_of(name), "is required"),
        }
    }
    let prices = prices.iter().map(|(name, price)| (*name, price.as_str()));
    match Prices::default().with_overrides(prices) {
        Ok(prices) => Some(Unpriced::Charge(prices)),
        Err(error) => {
            found.error(place, &charge.path_of(&error.key), error.problem.to_string());
            None
        }
    }
}
