//! Which group serves a request next, once a group has not.
//!
//! Three sources, in this order: the caller's own list, the operator's tiers, the operator's fallbacks by what went
//! wrong. Chains nest, depth first: a target's own chain comes before the rest of the chain that led to it. Leaves to
//! others: attempts within a group ([`crate::plan`]), and whether a group has a place ([`crate::choice`]).
//!
//! **Invariant:** each target is gone to once per request, and a caller's own fault (400, 413, 422) goes nowhere.
//! **Invariant:** a provider's refusal goes on by `content_policy_fallbacks` alone: a refusal is an answer.

mod rules;
#[cfg(test)]
mod tests;

pub use rules::{
    ChainRules, FALLBACKS_MAX_DEFAULT, Fallbacks, MovesOn, Setback, Target, Tier, TierList, TierPlace,
};

use crate::failure::FailureKind;
use std::sync::Arc;
use std::time::Duration;

/// Which list led to a leg.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// The request's own model.
    Asked,
    /// The caller's own list.
    Client,
    /// `fallbacks` or `default_fallbacks`.
    Fallbacks,
    /// `context_window_fallbacks`.
    ContextWindow,
    /// `content_policy_fallbacks`.
    ContentPolicy,
    /// A tier that comes after another.
    Tiers,
}

impl Source {
    /// One word for logs, metrics and tables.
    pub fn word(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Client => "client",
            Self::Fallbacks => "fallbacks",
            Self::ContextWindow => "context_window_fallbacks",
            Self::ContentPolicy => "content_policy_fallbacks",
            Self::Tiers => "tiers",
        }
    }
}

/// One group of a request's way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leg {
    /// The model group; `None` is the tier of canned answers.
    pub group: Option<String>,
    /// What led to it.
    pub source: Source,
    /// Its tier, where it is one, whichever list led to it.
    pub tier: Option<TierPlace>,
    /// The [`Target::overrides`] of the target that it was made from.
    pub overrides: Option<usize>,
    /// The time for the first token that its tier gives it.
    pub first_token: Option<Duration>,
    /// How many legs came before it: LiteLLM's `x-litellm-attempted-fallbacks`.
    pub attempted_fallbacks: u32,
}

/// What is left of a list.
#[derive(Debug, Clone, Copy)]
struct Rest {
    list: List,
    next: usize,
}

#[derive(Debug, Clone, Copy)]
enum List {
    Client,
    Fallbacks(usize),
    ContextWindow(usize),
    ContentPolicy(usize),
    Tiers(usize),
}

/// What was gone to, so that it is not gone to again.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Visit {
    Group(String, Option<usize>),
    Canned(TierPlace),
}

/// The way of one request through the groups.
#[derive(Debug, Clone)]
pub struct Chain {
    rules: Arc<ChainRules>,
    client: Option<Vec<Target>>,
    is_disabled: bool,
    current: Leg,
    /// Empty until the first leg is left: most requests never do, and remember nothing.
    visits: Vec<Visit>,
    rests: Vec<Rest>,
    fallbacks: u32,
}

impl Chain {
    /// The way of a request for `name`: a model group, or a list of tiers. `client` is the request's own list, which
    /// stands in the place of `fallbacks`.
    pub fn new(rules: Arc<ChainRules>, name: &str, client: Option<Vec<Target>>) -> Self {
        let current = leg(&rules, (name, None), Source::Asked);
        Self {
            rules,
            client,
            is_disabled: false,
            current,
            visits: Vec::new(),
            rests: Vec::new(),
            fallbacks: 0,
        }
    }

    /// The same with nothing after the first leg, if `is_disabled` (LiteLLM's `disable_fallbacks`).
    #[must_use]
    pub fn disabled(mut self, is_disabled: bool) -> Self {
        self.is_disabled = is_disabled;
        self
    }

    /// Where the request is.
    pub fn current(&self) -> &Leg {
        &self.current
    }

    /// The tier of the current leg.
    pub fn tier(&self) -> Option<&Tier> {
        self.rules.tier(self.current.tier?)
    }

    /// Goes on after `setback`, and says where; `None` where the request ends with it.
    pub fn after(&mut self, setback: impl Into<Setback>) -> Option<&Leg> {
        let setback = setback.into();
        let ends = matches!(setback, Setback::Failed(FailureKind::BadRequest | FailureKind::TooLarge));
        if self.is_disabled || ends {
            return None;
        }
        if self.visits.is_empty() {
            self.visits.push(visit(&self.current));
        }
        // Each tier says for itself whether the next follows: what the one before has opened does not hold for it.
        if let Some(place) = self.current.tier {
            self.rests.retain(|rest| !matches!(rest.list, List::Tiers(list) if list == place.list));
        }
        let is_refusal = setback == Setback::Failed(FailureKind::ContentPolicy);
        let is_opened = self.open(setback);
        if is_refusal && !is_opened {
            return None;
        }
        self.current = self.next()?;
        Some(&self.current)
    }

    /// Puts the lists that the current leg brings up on top of what is left of the others, the first to be used last.
    /// Whether there is any.
    fn open(&mut self, setback: Setback) -> bool {
        let rules = Arc::clone(&self.rules);
        let group = self.current.group.as_deref().unwrap_or_default();
        let before = self.rests.len();
        if setback == Setback::Failed(FailureKind::ContentPolicy) {
            let found = rules::find(&rules.content_policy_fallbacks, group).map(List::ContentPolicy);
            self.rests.extend(found.map(Rest::whole));
            return self.rests.len() > before;
        }
        let is_asked = self.current.source == Source::Asked;
        let has_client = self.client.is_some();
        let is_too_long = setback == Setback::Failed(FailureKind::ContextWindow);
        let special = is_too_long && !rules.context_window_fallbacks.is_empty();
        let fallbacks = if special {
            rules::find(&rules.context_window_fallbacks, group).map(List::ContextWindow)
        } else if has_client || self.current.tier.is_some() {
            None
        } else {
            rules::find(&rules.fallbacks, group).map(List::Fallbacks)
        };
        let tiers = self
            .current
            .tier
            .filter(|&place| rules.tier(place).is_some_and(|tier| tier.moves_on.by(setback)));
        self.rests.extend(fallbacks.map(Rest::whole));
        self.rests.extend(tiers.map(|place| Rest { list: List::Tiers(place.list), next: place.tier + 1 }));
        self.rests.extend((is_asked && has_client).then_some(Rest::whole(List::Client)));
        self.rests.len() > before
    }

    /// The next target that has not been gone to.
    fn next(&mut self) -> Option<Leg> {
        let rules = Arc::clone(&self.rules);
        loop {
            let rest = self.rests.last_mut()?;
            let (list, index) = (rest.list, rest.next);
            rest.next += 1;
            let Some(mut next) = self.leg_of(&rules, list, index) else {
                self.rests.pop();
                continue;
            };
            let visit = visit(&next);
            let is_fallback = next.source != Source::Tiers;
            if self.visits.contains(&visit) || (is_fallback && self.fallbacks >= rules.fallbacks_max) {
                continue;
            }
            next.attempted_fallbacks = u32::try_from(self.visits.len()).unwrap_or(u32::MAX);
            self.fallbacks += u32::from(is_fallback);
            self.visits.push(visit);
            return Some(next);
        }
    }

    fn leg_of(&self, rules: &ChainRules, list: List, index: usize) -> Option<Leg> {
        let of = |fallbacks: &Fallbacks, chain: usize, source: Source| {
            fallbacks.get(chain)?.1.get(index).map(|target| leg(rules, target.parts(), source))
        };
        match list {
            List::Client => {
                self.client.as_ref()?.get(index).map(|target| leg(rules, target.parts(), Source::Client))
            }
            List::Fallbacks(chain) => of(&rules.fallbacks, chain, Source::Fallbacks),
            List::ContextWindow(chain) => of(&rules.context_window_fallbacks, chain, Source::ContextWindow),
            List::ContentPolicy(chain) => of(&rules.content_policy_fallbacks, chain, Source::ContentPolicy),
            List::Tiers(list) => tier_leg(rules, TierPlace { list, tier: index }, Source::Tiers, None),
        }
    }
}

impl Rest {
    fn whole(list: List) -> Self {
        Self { list, next: 0 }
    }
}

/// A target's leg: the tier that it names or whose group it is, else the group.
fn leg(rules: &ChainRules, (group, overrides): (&str, Option<usize>), source: Source) -> Leg {
    let tier = rules.tier_for(group);
    tier.and_then(|place| tier_leg(rules, place, source, overrides)).unwrap_or_else(|| Leg {
        group: Some(group.to_owned()),
        source,
        tier: None,
        overrides,
        first_token: None,
        attempted_fallbacks: 0,
    })
}

fn tier_leg(rules: &ChainRules, place: TierPlace, source: Source, overrides: Option<usize>) -> Option<Leg> {
    let tier = rules.tier(place)?;
    Some(Leg {
        group: tier.group.clone(),
        source,
        tier: Some(place),
        overrides,
        first_token: tier.moves_on.first_token,
        attempted_fallbacks: 0,
    })
}

fn visit(leg: &Leg) -> Visit {
    match (&leg.group, leg.tier) {
        (None, Some(place)) => Visit::Canned(place),
        (group, _) => Visit::Group(group.clone().unwrap_or_default(), leg.overrides),
    }
}
