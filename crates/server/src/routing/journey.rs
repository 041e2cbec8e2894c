//! A request's way through model groups: its own, then those of the chain.
//!
//! Owns what the operator wrote about chains, made ready, and what a leg brings with it: other members of the body, a
//! tier's name, canned answers. Leaves which leg is next to `policy::chain`. **Invariant:** what a leg puts into the body
//! goes through the same checks as the caller's own members.

use super::tiers::TierList;
use super::wish::{Mock, Wish};
use crate::error::Rejection;
use crate::pipeline::receive::Received;
use crate::reply::header_text;
use bytes::Bytes;
use http::HeaderValue;
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tollgate_config::{Canned, Config, FallbackTarget, Fallbacks, Tier, TierTarget};
use tollgate_policy::chain::{self, Chain, ChainRules, MovesOn, Setback, Target, TierPlace};
use tollgate_policy::failure::FailureKind;
use tollgate_policy::faq::Faq;

/// Answers that stand in for a model's.
#[derive(Debug)]
pub(crate) struct CannedAnswers {
    faq: Faq,
    threshold: f64,
    otherwise: Option<String>,
}

impl CannedAnswers {
    fn of(canned: &Canned) -> Self {
        let entries = canned.entries.iter().map(|entry| (entry.questions.clone(), entry.answer.clone()));
        Self {
            faq: Faq::new(entries),
            threshold: canned.threshold,
            otherwise: canned.answer_when_nothing_matches.clone(),
        }
    }

    /// The answer to a question.
    pub(crate) fn answer(&self, question: &str) -> Option<&str> {
        let found = self.faq.find(question, self.threshold).map(|found| found.answer);
        found.or(self.otherwise.as_deref())
    }
}

/// What the operator wrote about chains, made ready.
#[derive(Debug, Default)]
pub(crate) struct Chains {
    rules: Arc<ChainRules>,
    /// What targets put into the request, by their numbers.
    overrides: Vec<Map<String, Value>>,
    canned: HashMap<TierPlace, Arc<CannedAnswers>>,
    lists: Vec<Arc<TierList>>,
}

impl Chains {
    /// From the configuration.
    pub(crate) fn of(config: &Config) -> Self {
        let router = &config.router;
        let mut overrides = Vec::new();
        let mut lists = |written: &Fallbacks| -> chain::Fallbacks {
            written.iter().map(|(group, chain)| (group.clone(), targets(chain, &mut overrides))).collect()
        };
        let mut fallbacks = lists(&router.fallbacks);
        let context_window_fallbacks = lists(&router.context_window_fallbacks);
        let content_policy_fallbacks = lists(&router.content_policy_fallbacks);
        if !router.default_fallbacks.is_empty() {
            fallbacks.push(("*".to_owned(), router.default_fallbacks.iter().map(Target::new).collect()));
        }
        let rules = ChainRules {
            fallbacks,
            context_window_fallbacks,
            content_policy_fallbacks,
            fallbacks_max: router.max_fallbacks,
            tiers: config.tollgate.tiers.lists().map(|(name, tiers)| tier_list(name, tiers)).collect(),
        };
        let mut canned = HashMap::new();
        for (list, (_, tiers)) in config.tollgate.tiers.lists().enumerate() {
            for (tier, written) in tiers.iter().enumerate() {
                if let TierTarget::Canned(answers) = &written.target {
                    canned.insert(TierPlace { list, tier }, Arc::new(CannedAnswers::of(answers)));
                }
            }
        }
        let lists = config.tollgate.tiers.lists().map(|(name, tiers)| Arc::new(TierList::of(name, tiers)));
        let lists = lists.collect();
        Self { rules: Arc::new(rules), overrides, canned, lists }
    }

    /// The group in which a request begins that names a list of tiers.
    pub(crate) fn first_group(&self, name: &str) -> Option<&str> {
        self.rules.tier(self.rules.tier_for(name)?)?.group.as_deref()
    }
}

fn tier_list(name: Option<&str>, tiers: &[Tier]) -> chain::TierList {
    let tier = |tier: &Tier| chain::Tier {
        name: tier.name.clone(),
        group: tier.target.group().map(str::to_owned),
        moves_on: MovesOn {
            rate_limit: tier.move_on.rate_limit,
            server_error: tier.move_on.server_error,
            context_window: tier.move_on.context_window,
            quality: tier.move_on.quality,
            first_token: tier.move_on.first_token,
        },
    };
    chain::TierList { name: name.map(str::to_owned), tiers: tiers.iter().map(tier).collect() }
}

fn targets(chain: &[FallbackTarget], overrides: &mut Vec<Map<String, Value>>) -> Vec<Target> {
    let target = |target: &FallbackTarget| {
        let number = (!target.overrides.is_empty()).then(|| {
            overrides.push(target.overrides.clone());
            overrides.len() - 1
        });
        Target { group: target.model.clone(), overrides: number }
    };
    chain.iter().map(target).collect()
}

/// One group of the way.
#[derive(Debug, Clone, Default)]
pub(crate) struct Leg {
    /// The group; none is the tier of canned answers.
    pub(crate) group: Option<String>,
    /// Which list led to it, in a word.
    pub(crate) source: &'static str,
    /// The tier's name.
    pub(crate) tier: Option<HeaderValue>,
    /// The tier's own time for the first token.
    pub(crate) first_token: Option<Duration>,
    /// The answers of the tier without a model.
    pub(crate) canned: Option<Arc<CannedAnswers>>,
    /// Groups before this one.
    pub(crate) depth: u32,
    /// An answer that does not do moves the request on from its tier.
    pub(crate) checks_quality: bool,
    /// The list that its tier is of, and the tier's position.
    pub(crate) served: Option<(Arc<TierList>, usize)>,
    overrides: Option<Map<String, Value>>,
}

impl Leg {
    /// Whether this leg sends another request than the caller's.
    pub(crate) fn changes_request(&self) -> bool {
        self.overrides.is_some()
    }

    /// The request as this leg sends it, where it is not as the caller sent it.
    pub(crate) fn body(&self, received: &Received<'_>) -> Result<Option<Bytes>, Rejection> {
        let Some(overrides) = self.overrides.as_ref().filter(|_| received.form.is_none()) else {
            return Ok(None);
        };
        let mut members: Map<String, Value> =
            serde_json::from_slice(received.body).map_err(|error| Rejection::bad_json(&error.to_string()))?;
        for (name, value) in overrides {
            members.insert(name.clone(), value.clone());
        }
        Ok(Some(Bytes::from(Value::Object(members).to_string())))
    }
}

/// The way of one request.
#[derive(Debug, Clone)]
pub(crate) struct Journey {
    chains: Arc<Chains>,
    chain: Chain,
    /// What the caller's own targets put into the request.
    own: Vec<Map<String, Value>>,
    leg: Leg,
    mock: Option<Mock>,
    /// A group was passed by whose deployments are all ejected, since another one follows.
    has_passed_by: bool,
    /// Nobody follows: the least bad is asked.
    takes_least_bad: bool,
}

impl Journey {
    /// Begins at the group that was asked for, by the name that it was asked for.
    pub(crate) fn new(chains: &Arc<Chains>, wish: &Wish, name: &str) -> Self {
        let mut own = Vec::new();
        let client = wish.fallbacks.general.as_ref().map(|list| targets(list, &mut own));
        let mut rules = Arc::clone(&chains.rules);
        let special = [&wish.fallbacks.context_window, &wish.fallbacks.content_policy];
        if special.iter().any(|list| list.is_some()) {
            let mut changed = ChainRules::clone(&rules);
            let mut put = |list: &Option<Vec<FallbackTarget>>, place: &mut chain::Fallbacks| {
                if let Some(list) = list {
                    *place = vec![("*".to_owned(), targets(list, &mut own))];
                }
            };
            put(special[0], &mut changed.context_window_fallbacks);
            put(special[1], &mut changed.content_policy_fallbacks);
            rules = Arc::new(changed);
        }
        // The caller's numbers come after the operator's.
        let first_own = chains.overrides.len();
        let client = client.map(|list| renumbered(list, first_own));
        let chain = Chain::new(rules, name, client).disabled(wish.disable_fallbacks);
        let mut journey = Self {
            chains: Arc::clone(chains),
            chain,
            own,
            leg: Leg::default(),
            mock: wish.mock,
            has_passed_by: false,
            takes_least_bad: false,
        };
        journey.leg = journey.made_ready();
        journey
    }

    /// The leg that it is on.
    pub(crate) fn leg(&self) -> &Leg {
        &self.leg
    }

    /// Whether another group follows such a setback.
    pub(crate) fn has_next(&self, setback: Setback) -> bool {
        self.chain.clone().after(setback).is_some()
    }

    /// Whether a group follows such a setback; answers that were written down are none.
    pub(crate) fn has_next_group(&self, setback: Setback) -> bool {
        let mut chain = self.chain.clone();
        while let Some(leg) = chain.after(setback) {
            if leg.group.is_some() {
                return true;
            }
        }
        false
    }

    /// Whether a group whose deployments are all ejected is left for one that follows. The last usable deployment is that of
    /// the whole chain.
    pub(crate) fn passes_by(&mut self) -> bool {
        let passes = !self.takes_least_bad && self.has_next_group(Setback::Down);
        self.has_passed_by |= passes;
        passes
    }

    /// Nobody was asked, since groups were passed by for others that cannot serve: `again` is the way from its beginning, on
    /// which the least bad is asked. Once.
    pub(crate) fn turn_back(&mut self, sends: u32, again: impl FnOnce() -> Self) -> bool {
        let turns = self.has_passed_by && sends == 0 && !self.takes_least_bad;
        if turns {
            *self = Self { takes_least_bad: true, ..again() };
        }
        turns
    }

    /// How many groups may follow, one after the other, where all of them fail like this.
    pub(crate) fn groups_after(&self, setback: Setback) -> u32 {
        let (mut chain, mut groups) = (self.chain.clone(), 0);
        while let Some(leg) = chain.after(setback) {
            groups += u32::from(leg.group.is_some());
        }
        groups
    }

    /// So many groups came before the leg that it is on: those of the chain that are there.
    pub(crate) fn note_depth(&mut self, groups: u32) {
        self.leg.depth = groups;
    }

    /// Goes on to the next group; false where none follows.
    pub(crate) fn advance(&mut self, setback: Setback) -> bool {
        if self.chain.after(setback).is_none() {
            return false;
        }
        self.leg = self.made_ready();
        true
    }

    /// The failure that the caller asks to see happen, once.
    pub(crate) fn take_mock(&mut self) -> Option<(FailureKind, Rejection)> {
        let mock = self.mock.take()?;
        let group = self.leg.group.as_deref().unwrap_or_default();
        let kind = match mock {
            Mock::Fallbacks => FailureKind::Server,
            Mock::Context => FailureKind::ContextWindow,
            Mock::ContentPolicy => FailureKind::ContentPolicy,
            Mock::RateLimit => FailureKind::RateLimit,
        };
        Some((kind, Rejection::mocked(kind, group)))
    }

    fn made_ready(&self) -> Leg {
        let current = self.chain.current();
        let overrides = current.overrides.and_then(|number| {
            let own = number.checked_sub(self.chains.overrides.len());
            match own {
                Some(own) => self.own.get(own),
                None => self.chains.overrides.get(number),
            }
        });
        Leg {
            group: current.group.clone(),
            source: current.source.word(),
            tier: self.chain.tier().map(|tier| header_text(&tier.name)),
            first_token: current.first_token,
            canned: current.tier.and_then(|place| self.chains.canned.get(&place).cloned()),
            depth: current.attempted_fallbacks,
            checks_quality: self.chain.tier().is_some_and(|tier| tier.moves_on.quality),
            served: current
                .tier
                .and_then(|place| Some((Arc::clone(self.chains.lists.get(place.list)?), place.tier))),
            overrides: overrides.cloned(),
        }
    }
}

fn renumbered(list: Vec<Target>, first: usize) -> Vec<Target> {
    let moved =
        |target: Target| Target { overrides: target.overrides.map(|number| number + first), ..target };
    list.into_iter().map(moved).collect()
}
