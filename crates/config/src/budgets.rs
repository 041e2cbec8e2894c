//! Limits and budgets of everything, of providers, tags, model groups and deployments, and what follows as one runs low.
//!
//! Owns: their resolution from every section that has a part of them. Leaves to others: counting against them (policy,
//! ledger), the limits of records (identity, records).
//!
//! **Invariant:** no amount passes through a float. **Invariant:** a limit of 0 that is LiteLLM's "no limit" is none here,
//! and it is said.

use std::collections::BTreeMap;

use jiff::tz::{self, TimeZone};
use tollgate_catalog::{PicoDollars, is_known_elsewhere, nearest_provider, provider};
use tollgate_policy::accounts::{Part, TierRules, Unit};
use tollgate_policy::anomaly::AnomalyRule;
use tollgate_policy::period::Cadence;

use crate::keys::{budgets, general, litellm, nearest, router, tollgate};
use crate::report::{Collector, Message, printable};
use crate::section::{Section, entries_of};
use crate::span::cadence;
use crate::targets::{Groups, is_pattern};
use crate::yaml::{Entry, Node};

/// Tokens below which a maximum is not lowered.
pub const BUDGET_MAXIMUM_FLOOR_DEFAULT: u64 = 16;

/// LiteLLM's status of a refusal because a budget is spent.
pub const BUDGET_EXCEEDED_STATUS_DEFAULT: u16 = 422;

/// The statuses that clients may be told it with: of no use to try again, or as LiteLLM once had it.
const BUDGET_EXCEEDED_STATUSES: &[u16] = &[400, 402, 422, 429];

/// So much money in so long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BudgetLimit {
    /// The most that is spent; no limit where there is none.
    pub max: Option<PicoDollars>,
    /// How often it begins anew; never where there is none.
    pub cadence: Option<Cadence>,
}

/// What a tag or a model group may send and spend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScopeLimit {
    /// Requests a minute.
    pub rpm: Option<u64>,
    /// Tokens a minute, as [`BudgetSettings::token_unit`] counts them.
    pub tpm: Option<u64>,
    /// Requests at the same time.
    pub parallel: Option<u32>,
    /// Money.
    pub budget: BudgetLimit,
}

/// What follows as a budget runs low, where a record says nothing else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BudgetTiers {
    /// From which shares on.
    pub rules: TierRules,
    /// Which model group answers in place of which.
    pub fallbacks: BTreeMap<Box<str>, Box<str>>,
}

/// When somebody's spend is told as an anomaly, and what follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AnomalySettings {
    /// When.
    pub rule: AnomalyRule,
    /// Requests a minute that such a key is held to until the next day; nothing follows where there is none.
    pub throttle_rpm: Option<u64>,
}

/// What is done with a maximum of tokens that the budget does not cover.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BudgetMaximum {
    /// It is lowered to what the budget covers.
    #[default]
    Lower,
    /// The request is refused.
    Refuse,
}

/// What end users without a budget of their own may spend.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndUserLimit {
    /// The most, for ever.
    pub max: Option<PicoDollars>,
    /// The budget that holds for each, which goes before `max`.
    pub budget_id: Option<String>,
}

/// What a key may do with a model that it says nothing of, by the model's deployments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyRates {
    /// Requests a minute.
    pub rpm: Option<u64>,
    /// Tokens a minute.
    pub tpm: Option<u64>,
}

impl KeyRates {
    /// Reads `litellm_params`.
    pub(crate) fn of_deployment(params: &Section<'_>) -> Self {
        Self {
            rpm: params.count("default_api_key_rpm_limit"),
            tpm: params.count("default_api_key_tpm_limit"),
        }
    }

    /// The lower ones of both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let lower = |one: Option<u64>, other: Option<u64>| one.into_iter().chain(other).min();
        Self { rpm: lower(self.rpm, other.rpm), tpm: lower(self.tpm, other.tpm) }
    }
}

/// The resolved limits and budgets that are of no record.
#[derive(Clone, Debug, PartialEq)]
pub struct BudgetSettings {
    /// Of all requests together.
    pub global: BudgetLimit,
    /// By the providers' names in the catalogue, or as they were written where it has none of that name.
    pub providers: Vec<(String, BudgetLimit)>,
    /// By the requests' tags.
    pub tags: Vec<(String, ScopeLimit)>,
    /// By model group.
    pub models: Vec<(String, ScopeLimit)>,
    /// Requests of everybody at the same time.
    pub parallel: Option<u32>,
    /// Requests at the same time of a key that says nothing of it.
    pub key_parallel: Option<u32>,
    /// Of end users that have none of their own.
    pub end_users: EndUserLimit,
    /// What follows as a budget runs low.
    pub tiers: BudgetTiers,
    /// When somebody's spend is an anomaly.
    pub anomaly: AnomalySettings,
    /// What is done with a maximum that the budget does not cover.
    pub maximum: BudgetMaximum,
    /// A request whose maximum would have to be lowered below this many tokens is refused.
    pub maximum_floor: u64,
    /// Status of a refusal because a budget is spent: 400, 402, 422 or 429.
    pub exceeded_status: u16,
    /// The share of its rates, more than 0 and at most 1, at which a key with `throttle_on_budget_exceeded` goes on when
    /// its budget is spent; where there is none it is refused.
    pub throttle_percentage: Option<f64>,
    /// Whose midnights periods are aligned to.
    pub zone: TimeZone,
    /// What a limit of tokens counts: [`Unit::Tokens`], [`Unit::InputTokens`] or [`Unit::OutputTokens`].
    pub token_unit: Unit,
    /// Whether a user's own budget holds for the keys of teams too.
    pub apply_user_budget_to_team_keys: bool,
}

impl Default for BudgetSettings {
    fn default() -> Self {
        Self {
            global: BudgetLimit::default(),
            providers: Vec::new(),
            tags: Vec::new(),
            models: Vec::new(),
            parallel: None,
            key_parallel: None,
            end_users: EndUserLimit::default(),
            tiers: BudgetTiers::default(),
            anomaly: AnomalySettings::default(),
            maximum: BudgetMaximum::default(),
            maximum_floor: BUDGET_MAXIMUM_FLOOR_DEFAULT,
            exceeded_status: BUDGET_EXCEEDED_STATUS_DEFAULT,
            throttle_percentage: None,
            zone: TimeZone::UTC,
            token_unit: Unit::Tokens,
            apply_user_budget_to_team_keys: false,
        }
    }
}

/// The sections that have a part of them.
struct Sections<'a> {
    general: Section<'a>,
    litellm: Section<'a>,
    router: Section<'a>,
    tollgate: Section<'a>,
}

impl BudgetSettings {
    /// Resolves the settings of a checked configuration.
    pub(crate) fn resolve(root: &Node, groups: &Groups<'_>, found: &mut Collector) -> Self {
        let own = Sections {
            general: Section::new(root.get("general_settings"), general::TABLE, "general_settings"),
            litellm: Section::new(root.get("litellm_settings"), litellm::TABLE, "litellm_settings"),
            router: Section::new(root.get("router_settings"), router::TABLE, "router_settings"),
            tollgate: Section::new(root.get("tollgate_settings"), tollgate::TABLE, "tollgate_settings"),
        };
        own.say_what_always_holds(found);
        Self {
            global: own.global(found),
            providers: own.providers(found),
            tags: own.tags(found),
            models: own.models(groups, found),
            parallel: own.general.count32("global_max_parallel_requests"),
            key_parallel: own.general.count32("max_parallel_requests"),
            end_users: EndUserLimit {
                max: own.litellm.limit("max_end_user_budget", found),
                budget_id: own.litellm.text("max_end_user_budget_id").filter(|id| !id.is_empty()),
            },
            tiers: BudgetTiers::read(&own.tollgate.section("budget_tiers", budgets::TIERS), groups, found),
            anomaly: AnomalySettings::read(&own.tollgate.section("anomaly", budgets::ANOMALY), found),
            maximum: match own.tollgate.text("budget_maximum").as_deref() {
                Some("refuse") => BudgetMaximum::Refuse,
                _ => BudgetMaximum::Lower,
            },
            maximum_floor: own.tollgate.count("budget_maximum_floor").unwrap_or(BUDGET_MAXIMUM_FLOOR_DEFAULT),
            exceeded_status: own.status(found),
            throttle_percentage: own.throttle(found),
            zone: own.zone(found),
            token_unit: match own.general.text("token_rate_limit_type").as_deref() {
                Some("input") => Unit::InputTokens,
                Some("output") => Unit::OutputTokens,
                _ => Unit::Tokens,
            },
            apply_user_budget_to_team_keys: own
                .general
                .flag("apply_user_budget_to_team_keys")
                .unwrap_or(false),
        }
    }
}

impl<'a> Sections<'a> {
    /// `general_settings` goes before `litellm_settings`, each key by itself.
    fn global(&self, found: &mut Collector) -> BudgetLimit {
        for name in ["max_budget", "budget_duration"] {
            if let (Some(_), Some(place)) = (self.general.place(name), self.litellm.place(name)) {
                found.warning(place, &self.litellm.path_of(name), "general_settings sets it too, and wins");
            }
        }
        let [own, other] = [&self.general, &self.litellm]
            .map(|section| section.budget(("max_budget", "budget_duration"), found));
        let has_own = self.general.place("max_budget").is_some();
        let limit = BudgetLimit {
            max: if has_own { own.max } else { other.max },
            cadence: own.cadence.or(other.cadence),
        };
        if !has_own && self.litellm.place("max_budget").is_none() {
            for section in [&self.general, &self.litellm] {
                say_alone(section, "budget_duration", "max_budget", found);
            }
        }
        limit
    }

    /// A map of `router_settings`, or the same in `litellm_settings`, and its path.
    fn of_router(&self, name: &'static str) -> (&'a [Entry], String) {
        let has = |section: &&Section<'a>| section.node(name).is_some();
        let section = [&self.router, &self.litellm].into_iter().find(has).unwrap_or(&self.router);
        (section.entries(name), section.path_of(name))
    }

    fn providers(&self, found: &mut Collector) -> Vec<(String, BudgetLimit)> {
        let (entries, path) = self.of_router("provider_budget_config");
        let mut all: Vec<(String, BudgetLimit)> = Vec::new();
        for entry in entries {
            let path = format!("{path}.{}", printable(&entry.key));
            let known = provider(&entry.key);
            if known.is_none() && !is_known_elsewhere(&entry.key) {
                let message =
                    Message::with_nearest("is the name of no provider", nearest_provider(&entry.key));
                found.warning(entry.place, &path, message);
            }
            let limit = Section::new(Some(&entry.value), budgets::PROVIDER, &path).either_budget(found);
            let name = known.map_or(&*entry.key, |row| row.name);
            if all.iter().any(|(other, _)| other == name) {
                let message = format!("is another name of {name}, which has a budget already");
                found.error(entry.place, &path, message);
                continue;
            }
            all.push((name.to_owned(), limit));
        }
        all
    }

    fn tags(&self, found: &mut Collector) -> Vec<(String, ScopeLimit)> {
        let (entries, path) = self.of_router("tag_budget_config");
        let limit = |entry: &Entry| {
            let path = format!("{path}.{}", printable(&entry.key));
            let section = Section::new(Some(&entry.value), budgets::TAG, &path);
            (entry.key.to_string(), section.scope_limit(section.either_budget(found)))
        };
        entries.iter().map(limit).collect()
    }

    fn models(&self, groups: &Groups<'_>, found: &mut Collector) -> Vec<(String, ScopeLimit)> {
        let mut all = Vec::new();
        for entry in self.tollgate.entries("model_budgets") {
            let path = format!("{}.{}", self.tollgate.path_of("model_budgets"), printable(&entry.key));
            check_group(&entry.key, (entry, &path), groups, found);
            let section = Section::new(Some(&entry.value), budgets::GROUP, &path);
            let budget = section.budget(("max_budget", "budget_duration"), found);
            say_alone(&section, "budget_duration", "max_budget", found);
            all.push((entry.key.to_string(), section.scope_limit(budget)));
        }
        all
    }

    fn status(&self, found: &mut Collector) -> u16 {
        const NAME: &str = "budget_exceeded_status_code";
        let Some(written) = self.litellm.count(NAME) else { return BUDGET_EXCEEDED_STATUS_DEFAULT };
        let known = BUDGET_EXCEEDED_STATUSES.iter().find(|status| u64::from(**status) == written);
        if let (None, Some(place)) = (known, self.litellm.place(NAME)) {
            found.error(place, &self.litellm.path_of(NAME), "wants one of 400, 402, 422 and 429");
        }
        known.copied().unwrap_or(BUDGET_EXCEEDED_STATUS_DEFAULT)
    }

    fn throttle(&self, found: &mut Collector) -> Option<f64> {
        const NAME: &str = "budget_exceeded_throttle_percentage";
        let share = self.litellm.share(NAME)?;
        if share <= 0.0 {
            let place = self.litellm.place(NAME)?;
            let message = "has no effect: at 0 a key is refused when its budget is spent, as without it";
            found.warning(place, &self.litellm.path_of(NAME), message);
            return None;
        }
        Some(share)
    }

    fn zone(&self, found: &mut Collector) -> TimeZone {
        let Some(name) = self.litellm.text("timezone") else { return TimeZone::UTC };
        match TimeZone::get(&name) {
            Ok(zone) => zone,
            Err(_) => {
                let place = self.litellm.place("timezone");
                let names: Vec<String> = tz::db().available().map(|name| name.to_string()).collect();
                let message = "is no time zone: write a name such as Europe/Berlin, or UTC";
                let message =
                    Message::with_nearest(message, nearest(&name, names.iter().map(String::as_str)));
                if let Some(place) = place {
                    found.error(place, &self.litellm.path_of("timezone"), message);
                }
                TimeZone::UTC
            }
        }
    }

    /// Values that are accepted for LiteLLM's sake alone.
    fn say_what_always_holds(&self, found: &mut Collector) {
        const NAME: &str = "fail_closed_budget_enforcement";
        if self.general.flag(NAME) == Some(false)
            && let Some(place) = self.general.place(NAME)
        {
            let message = "has no effect: a request under a budget that cannot be booked is always refused";
            found.warning(place, &self.general.path_of(NAME), message);
        }
    }
}

impl BudgetLimit {
    /// Of a deployment; none where it has no limit.
    pub(crate) fn of_deployment(params: &Section<'_>, found: &mut Collector) -> Option<Self> {
        let limit = params.budget(("max_budget", "budget_duration"), found);
        say_alone(params, "budget_duration", "max_budget", found);
        limit.max.map(|_| limit)
    }
}

impl Section<'_> {
    /// An amount of dollars that is a limit; 0 is none, as LiteLLM has it.
    pub(crate) fn limit(&self, name: &'static str, found: &mut Collector) -> Option<PicoDollars> {
        let node = self.node(name)?;
        let amount = dollars(node, &self.path_of(name), found)?;
        if amount == PicoDollars::ZERO {
            found.warning(node.place, &self.path_of(name), "0 is no limit, as LiteLLM has it");
            return None;
        }
        Some(amount)
    }

    fn budget(&self, (max, span): (&'static str, &'static str), found: &mut Collector) -> BudgetLimit {
        BudgetLimit { max: self.limit(max, found), cadence: self.text(span).and_then(|text| cadence(&text)) }
    }

    /// A budget in either of LiteLLM's spellings; that of its router goes before, as there.
    fn either_budget(&self, found: &mut Collector) -> BudgetLimit {
        for (name, other) in [("max_budget", "budget_limit"), ("budget_duration", "time_period")] {
            if let (Some(_), Some(place)) = (self.place(other), self.place(name)) {
                found.warning(place, &self.path_of(name), format!("has no effect: {other} is written too"));
            }
        }
        let max = if self.place("budget_limit").is_some() { "budget_limit" } else { "max_budget" };
        let span = if self.place("time_period").is_some() { "time_period" } else { "budget_duration" };
        say_alone(self, span, max, found);
        self.budget((max, span), found)
    }

    fn scope_limit(&self, budget: BudgetLimit) -> ScopeLimit {
        ScopeLimit {
            rpm: self.count("rpm_limit"),
            tpm: self.count("tpm_limit"),
            parallel: self.count32("max_parallel_requests"),
            budget,
        }
    }
}

/// Says of a span that it does nothing without an amount. What is no span has been reported already.
fn say_alone(section: &Section<'_>, name: &'static str, needed: &'static str, found: &mut Collector) {
    let span = section.text(name).and_then(|text| cadence(&text));
    if let (Some(_), Some(place), None) = (span, section.place(name), section.place(needed)) {
        found.warning(place, &section.path_of(name), format!("has no effect without {needed}"));
    }
}

/// An amount of dollars; what is no number at all has been reported already.
pub(crate) fn dollars(node: &Node, path: &str, found: &mut Collector) -> Option<PicoDollars> {
    let text = node.price()?;
    let mantissa = text.split(['e', 'E']).next().unwrap_or_default();
    let is_zero = !mantissa.bytes().any(|digit| (b'1'..=b'9').contains(&digit));
    match PicoDollars::parse_dollars(&text) {
        Ok(amount) if amount != PicoDollars::ZERO || is_zero => Some(amount),
        Ok(_) => {
            found.error(node.place, path, "is less than can be counted: 0.000000000001 USD is the least");
            None
        }
        Err(_) => {
            found.error(node.place, path, "is no amount of dollars that can be counted");
            None
        }
    }
}

/// Warns of the name of a model group that is not there.
fn check_group(name: &str, (entry, path): (&Entry, &str), groups: &Groups<'_>, found: &mut Collector) {
    if !groups.is_known(name) {
        found.warning(entry.place, path, groups.unknown(name));
    }
}

impl BudgetTiers {
    fn read(section: &Section<'_>, groups: &Groups<'_>, found: &mut Collector) -> Self {
        let default = TierRules::default();
        let rules = TierRules {
            warn: tier(section, "warn", default.warn),
            downgrade: tier(section, "downgrade", default.downgrade),
            overflow: tier(section, "overflow", Some(default.overflow)).unwrap_or(TierRules::NONE.overflow),
        };
        if let (Some(warn), Some(downgrade), Some(place)) =
            (rules.warn, rules.downgrade, section.place("warn"))
            && downgrade < warn
        {
            let message = "comes after downgrade, which tells it too";
            found.warning(place, &section.path_of("warn"), message);
        }
        Self { rules, fallbacks: fallbacks(section, groups, found) }
    }
}

impl AnomalySettings {
    fn read(section: &Section<'_>, found: &mut Collector) -> Self {
        let default = AnomalyRule::default();
        let floor = section.node("floor_usd");
        let floor = floor.and_then(|node| dollars(node, &section.path_of("floor_usd"), found));
        let rule = AnomalyRule {
            factor: section.count32("factor").unwrap_or(default.factor),
            floor: floor.unwrap_or(default.floor),
            ..default
        };
        Self { rule, throttle_rpm: section.count("throttle_rpm") }
    }
}

/// A share, `true` for the default, `false` or nothing at all after the name for none.
fn tier(section: &Section<'_>, name: &'static str, default: Option<Part>) -> Option<Part> {
    let Some(node) = section.node(name) else {
        let is_off = section.raw(name).is_some_and(Node::is_null);
        return default.filter(|_| !is_off);
    };
    match (node.share(), node.flag()) {
        // What a share of money is counted in.
        (Some(share), _) => Some(Part::millionths((share * 1e6).round() as u32)),
        (None, Some(false)) => None,
        (None, _) => default,
    }
}

fn fallbacks(
    section: &Section<'_>,
    groups: &Groups<'_>,
    found: &mut Collector,
) -> BTreeMap<Box<str>, Box<str>> {
    let mut all = BTreeMap::new();
    let name = "budget_fallback_model";
    for entry in section.node(name).map(entries_of).unwrap_or_default() {
        let Some(cheap) = entry.value.text() else { continue };
        let path = format!("{}.{}", section.path_of(name), printable(&entry.key));
        check_group(&entry.key, (entry, &path), groups, found);
        if is_pattern(cheap) {
            let message = format!("{} is a pattern: name one model that it matches", printable(cheap));
            found.warning(entry.value.place, &path, message);
        } else if *entry.key == *cheap {
            found.warning(entry.value.place, &path, "has no effect: it is the model itself");
        } else {
            check_group(cheap, (entry, &path), groups, found);
        }
        all.insert(entry.key.to_string().into(), cheap.into());
    }
    all
}
