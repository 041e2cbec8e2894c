//! What a record says of limits and budgets, read from its document, and the account that follows from it.
//!
//! Leaves counting to `tollgate_policy::accounts`. **Invariant:** every account has a purse without an end, so that what
//! was spent is known also where nothing limits it.

use crate::document::{BadMember, Document, count, money};
use serde_json::Value;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use tollgate_catalog::PicoDollars;
use tollgate_policy::accounts::{AccountRules, BudgetRule, Increase, Part, RateRule, TierRules, Unit};
use tollgate_policy::clock::Wall;
use tollgate_policy::period::Cadence;
use tollgate_policy::sliding::Length;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// So much money in so long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// How often it begins anew; never where there is none.
    pub cadence: Option<Cadence>,
    /// The most that is spent.
    pub limit: PicoDollars,
}

/// Who may send critical requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Critical {
    /// Nobody.
    #[default]
    Never,
    /// Each request is.
    Always,
    /// Each request that says so.
    PerRequest,
}

/// What of the tiers a record says itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OwnTiers {
    warn: Option<Part>,
    downgrade: Option<Part>,
    overflow: Option<Part>,
    /// Which model answers in place of which.
    pub fallbacks: BTreeMap<Box<str>, Box<str>>,
}

/// Limits of single models.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ModelLimits {
    /// Requests a minute by model.
    pub requests: BTreeMap<Box<str>, u64>,
    /// Tokens a minute by model.
    pub tokens: BTreeMap<Box<str>, u64>,
    /// Input tokens a minute by model.
    pub input_tokens: BTreeMap<Box<str>, u64>,
    /// Output tokens a minute by model.
    pub output_tokens: BTreeMap<Box<str>, u64>,
    /// `model_max_budget`.
    pub budgets: BTreeMap<Box<str>, Window>,
}

/// What most records say of single models: nothing.
static NO_MODELS: LazyLock<Arc<ModelLimits>> = LazyLock::new(Arc::default);
/// What most say of tiers: nothing.
static NO_TIERS: LazyLock<Arc<OwnTiers>> = LazyLock::new(Arc::default);

/// The one that all share where it is like it.
fn shared<T: PartialEq>(own: T, common: &Arc<T>) -> Arc<T> {
    if own == **common { Arc::clone(common) } else { Arc::new(own) }
}

/// Limits and budgets of one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Rates other than those of models.
    pub rates: Box<[RateRule]>,
    /// Requests at the same time.
    pub parallel: Option<u32>,
    /// Those of single models.
    pub models: Arc<ModelLimits>,
    /// `max_budget` in `budget_duration`.
    pub budget: Option<PicoDollars>,
    /// How often it begins anew.
    pub cadence: Option<Cadence>,
    /// `budget_limits`.
    pub windows: Box<[Window]>,
    /// `soft_budget`.
    pub soft: Option<PicoDollars>,
    /// `temp_budget_increase`, up to `temp_budget_expiry`.
    pub increase: Option<Box<Increase>>,
    /// When the budgets began.
    pub anchor: Wall,
    /// What of the tiers it says itself.
    pub tiers: Arc<OwnTiers>,
    /// Whether its requests are critical.
    pub critical: Critical,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            rates: Box::default(),
            parallel: None,
            models: Arc::clone(&NO_MODELS),
            budget: None,
            cadence: None,
            windows: Box::default(),
            soft: None,
            increase: None,
            anchor: Wall::default(),
            tiers: Arc::clone(&NO_TIERS),
            critical: Critical::default(),
        }
    }
}

impl Limits {
    /// Reads a document. `token_unit` is what `tpm_limit` counts.
    ///
    /// # Errors
    /// The first member that is not what it should be.
    pub fn read(document: &Document) -> Result<Self, BadMember> {
        let rate = |unit, length| move |limit| RateRule { unit, length, limit };
        let rates = [
            document.count("rpm_limit")?.map(rate(Unit::Requests, Length::MINUTE)),
            document.count("tpm_limit")?.map(rate(Unit::Tokens, Length::MINUTE)),
            document.count("rpd_limit")?.map(rate(Unit::Requests, Length::new(DAY))),
            document.count("tpd_limit")?.map(rate(Unit::Tokens, Length::new(DAY))),
        ];
        let models = ModelLimits {
            requests: document.counts("model_rpm_limit")?,
            tokens: document.counts("model_tpm_limit")?,
            input_tokens: document.counts("model_itpm_limit")?,
            output_tokens: document.counts("model_otpm_limit")?,
            budgets: model_budgets(document)?,
        };
        Ok(Self {
            rates: rates.into_iter().flatten().chain(own_rates(document)?).collect(),
            parallel: document
                .count("max_parallel_requests")?
                .map(|limit| u32::try_from(limit).unwrap_or(u32::MAX)),
            models: shared(models, &NO_MODELS),
            budget: document.money("max_budget")?,
            cadence: cadence(document, "budget_duration")?,
            windows: windows(document)?,
            soft: document.money("soft_budget")?,
            increase: increase(document)?,
            anchor: document.wall("budget_began_at")?.or(document.wall("created_at")?).unwrap_or_default(),
            tiers: shared(OwnTiers::read(document.metadata("budget_tiers"))?, &NO_TIERS),
            critical: critical(document)?,
        })
    }

    /// What is missing here, as a budget says it that the record refers to.
    #[must_use]
    pub fn or(mut self, shared: &Limits) -> Self {
        let own = std::mem::take(&mut self.rates);
        let is_own =
            |rule: &&RateRule| !own.iter().any(|it| it.unit == rule.unit && it.length == rule.length);
        self.rates = own.iter().chain(shared.rates.iter().filter(is_own)).copied().collect();
        self.parallel = self.parallel.or(shared.parallel);
        if self.budget.is_none() {
            self.budget = shared.budget;
            self.increase = self.increase.or_else(|| shared.increase.clone());
        }
        self.cadence = self.cadence.or(shared.cadence);
        self.soft = self.soft.or(shared.soft);
        self.models = self.models.or(&shared.models);
        if self.windows.is_empty() {
            self.windows.clone_from(&shared.windows);
        }
        self
    }

    /// With the rates of single models that others say, where nothing is said here of any model: as in LiteLLM, whoever
    /// says something of one model has said all.
    pub fn with_rates_of(&self, others: &Arc<ModelLimits>) -> Cow<'_, Self> {
        let models = &self.models;
        let lacks = |own: &BTreeMap<Box<str>, u64>, theirs: &BTreeMap<Box<str>, u64>| {
            own.is_empty() && !theirs.is_empty()
        };
        let lacks_requests = lacks(&models.requests, &others.requests);
        let lacks_tokens = lacks(&models.tokens, &others.tokens);
        if !lacks_requests && !lacks_tokens {
            return Cow::Borrowed(self);
        }
        let mut with = ModelLimits::clone(models);
        if lacks_requests {
            with.requests.clone_from(&others.requests);
        }
        if lacks_tokens {
            with.tokens.clone_from(&others.tokens);
        }
        Cow::Owned(Self { models: Arc::new(with), ..self.clone() })
    }

    /// Whether any model has limits of its own.
    pub fn has_models(&self) -> bool {
        *self.models != **NO_MODELS
    }

    /// The account of the record, all its models together. `token_unit` is what limits of tokens count.
    pub fn account(&self, tiers: &TierRules, token_unit: Unit) -> AccountRules {
        let counted = |rule: &RateRule| {
            let unit = if rule.unit == Unit::Tokens { token_unit } else { rule.unit };
            RateRule { unit, ..*rule }
        };
        let mut budgets = Purses::of(self.anchor);
        budgets.add(self.cadence, self.budget, self.soft, self.increase.as_deref().copied());
        for window in &self.windows {
            budgets.add(window.cadence, Some(window.limit), None, None);
        }
        AccountRules {
            rates: self.rates.iter().map(counted).collect(),
            parallel: self.parallel,
            budgets: budgets.rules,
            tiers: self.tiers.over(tiers),
        }
    }

    /// The account of what the record does with one model; none where that model has no limits of its own.
    pub fn model_account(&self, model: &str, tiers: &TierRules, token_unit: Unit) -> Option<AccountRules> {
        let rate = |counts: &BTreeMap<Box<str>, u64>, unit| {
            counts.get(model).map(|&limit| RateRule { unit, length: Length::MINUTE, limit })
        };
        let rates: Vec<RateRule> = [
            rate(&self.models.requests, Unit::Requests),
            rate(&self.models.tokens, token_unit),
            rate(&self.models.input_tokens, Unit::InputTokens),
            rate(&self.models.output_tokens, Unit::OutputTokens),
        ]
        .into_iter()
        .flatten()
        .collect();
        let budget = self.models.budgets.get(model);
        if rates.is_empty() && budget.is_none() {
            return None;
        }
        let mut budgets = Purses::of(self.anchor);
        if let Some(window) = budget {
            budgets.add(window.cadence, Some(window.limit), None, None);
        }
        Some(AccountRules { rates, parallel: None, budgets: budgets.rules, tiers: self.tiers.over(tiers) })
    }
}

impl ModelLimits {
    /// What is missing here, as others say it.
    fn or(self: Arc<Self>, shared: &Arc<Self>) -> Arc<Self> {
        if self == *shared || *shared == *NO_MODELS {
            return self;
        }
        if self == *NO_MODELS {
            return Arc::clone(shared);
        }
        let mut own = Self::clone(&self);
        let counts = [
            (&mut own.requests, &shared.requests),
            (&mut own.tokens, &shared.tokens),
            (&mut own.input_tokens, &shared.input_tokens),
            (&mut own.output_tokens, &shared.output_tokens),
        ];
        for (own, shared) in counts {
            if own.is_empty() {
                own.clone_from(shared);
            }
        }
        if own.budgets.is_empty() {
            own.budgets.clone_from(&shared.budgets);
        }
        Arc::new(own)
    }
}

/// The budgets of an account: at most one of a cadence, and always one without an end.
struct Purses {
    anchor: Wall,
    rules: Vec<BudgetRule>,
}

impl Purses {
    fn of(anchor: Wall) -> Self {
        let endless = BudgetRule { cadence: None, anchor, limit: None, soft: None, increase: None };
        Self { anchor, rules: vec![endless] }
    }

    fn add(
        &mut self,
        cadence: Option<Cadence>,
        limit: Option<PicoDollars>,
        soft: Option<PicoDollars>,
        increase: Option<Increase>,
    ) {
        let anchor = self.anchor;
        match self.rules.iter_mut().find(|rule| rule.cadence == cadence) {
            Some(rule) => {
                rule.limit = match (rule.limit, limit) {
                    (Some(one), Some(other)) => Some(one.min(other)),
                    (one, other) => one.or(other),
                };
                rule.soft = rule.soft.or(soft);
                rule.increase = rule.increase.or(increase);
            }
            None => self.rules.push(BudgetRule { cadence, anchor, limit, soft, increase }),
        }
    }
}

impl OwnTiers {
    /// Reads `budget_tiers`.
    ///
    /// # Errors
    /// The member that is not what it should be.
    pub fn read(value: Option<&Value>) -> Result<Self, BadMember> {
        const NAME: &str = "budget_tiers";
        let Some(value) = value else { return Ok(Self::default()) };
        let rows = value.as_object().ok_or_else(|| BadMember::new(NAME, "is no object"))?;
        let mut tiers = Self::default();
        for (name, value) in rows {
            let member = format!("{NAME}.{name}");
            let part = |most: f64| {
                let share = value.as_f64().filter(|share| (0.0..=most).contains(share));
                let share = share.ok_or_else(|| {
                    BadMember::new(member.as_str(), format!("is no share from 0 to {most}"))
                })?;
                Ok(Some(Part::millionths((share * 1e6).round() as u32)))
            };
            match name.as_str() {
                "warn" => tiers.warn = part(1.0)?,
                "downgrade" => tiers.downgrade = part(1.0)?,
                "overflow" => tiers.overflow = part(10.0)?,
                "budget_fallback_model" => tiers.fallbacks = fallbacks(&member, value)?,
                _ => {
                    let known = "is unknown: there are warn, downgrade, overflow, budget_fallback_model";
                    return Err(BadMember::new(member, known));
                }
            }
        }
        Ok(tiers)
    }

    /// What follows from these, and where they say nothing from others.
    pub fn over(&self, others: &TierRules) -> TierRules {
        TierRules {
            warn: self.warn.or(others.warn),
            downgrade: self.downgrade.or(others.downgrade),
            overflow: self.overflow.unwrap_or(others.overflow),
        }
    }
}

fn fallbacks(member: &str, value: &Value) -> Result<BTreeMap<Box<str>, Box<str>>, BadMember> {
    let bad = || BadMember::new(member, "is no object of model names by model name");
    let rows = value.as_object().ok_or_else(bad)?;
    let row = |(dear, cheap): (&String, &Value)| {
        Ok((dear.as_str().into(), cheap.as_str().filter(|cheap| !cheap.is_empty()).ok_or_else(bad)?.into()))
    };
    rows.iter().map(row).collect()
}

fn cadence(document: &Document, member: &str) -> Result<Option<Cadence>, BadMember> {
    document.get(member).map(|value| parse_cadence(member, value)).transpose()
}

fn parse_cadence(member: &str, value: &Value) -> Result<Cadence, BadMember> {
    let text = value.as_str().ok_or_else(|| BadMember::new(member, "is no duration such as 30d"))?;
    Cadence::parse(text).map_err(|error| BadMember::new(member, format!("is wrong: {error}")))
}

fn windows(document: &Document) -> Result<Box<[Window]>, BadMember> {
    const NAME: &str = "budget_limits";
    let Some(value) = document.get(NAME) else { return Ok(Box::default()) };
    let rows = value.as_array().ok_or_else(|| BadMember::new(NAME, "is no list"))?;
    let window = |(at, row): (usize, &Value)| {
        let member = |name: &str| format!("{NAME}[{at}].{name}");
        let needed = |name: &str| {
            row.get(name)
                .filter(|value| !value.is_null())
                .ok_or_else(|| BadMember::new(member(name), "is missing"))
        };
        Ok(Window {
            cadence: Some(parse_cadence(&member("budget_duration"), needed("budget_duration")?)?),
            limit: money(&member("max_budget"), needed("max_budget")?)?,
        })
    };
    rows.iter().enumerate().map(window).collect()
}

fn model_budgets(document: &Document) -> Result<BTreeMap<Box<str>, Window>, BadMember> {
    const NAME: &str = "model_max_budget";
    let Some(value) = document.get_anywhere(NAME) else { return Ok(BTreeMap::new()) };
    let rows = value.as_object().ok_or_else(|| BadMember::new(NAME, "is no object of budgets by model"))?;
    let budget = |(model, row): (&String, &Value)| {
        let member = format!("{NAME}.{model}");
        if row.is_number() {
            return Ok((model.as_str().into(), Window { cadence: None, limit: money(&member, row)? }));
        }
        // LiteLLM's two spellings.
        let either =
            |one: &str, other: &str| row.get(one).or_else(|| row.get(other)).filter(|value| !value.is_null());
        let limit = either("budget_limit", "max_budget")
            .ok_or_else(|| BadMember::new(format!("{member}.budget_limit"), "is missing"))?;
        let period = either("time_period", "budget_duration");
        let cadence =
            period.map(|value| parse_cadence(&format!("{member}.time_period"), value)).transpose()?;
        Ok((
            model.as_str().into(),
            Window { cadence, limit: money(&format!("{member}.budget_limit"), limit)? },
        ))
    };
    rows.iter().map(budget).collect()
}

/// Rates over other stretches of time: `rate_limits: [{unit: requests, window: 1h, limit: 100}]`.
fn own_rates(document: &Document) -> Result<Vec<RateRule>, BadMember> {
    const NAME: &str = "tollgate_rate_limits";
    let Some(value) = document.get_anywhere(NAME) else { return Ok(Vec::new()) };
    let rows = value.as_array().ok_or_else(|| BadMember::new(NAME, "is no list"))?;
    let rate = |(at, row): (usize, &Value)| {
        let member = |name: &str| format!("{NAME}[{at}].{name}");
        let unit = match row.get("unit").and_then(Value::as_str) {
            Some("requests") => Unit::Requests,
            Some("tokens") => Unit::Tokens,
            Some("input_tokens") => Unit::InputTokens,
            Some("output_tokens") => Unit::OutputTokens,
            _ => {
                let units = "is none of requests, tokens, input_tokens, output_tokens";
                return Err(BadMember::new(member("unit"), units));
            }
        };
        let seconds = row.get("window").and_then(Value::as_str).and_then(|text| Cadence::parse(text).ok());
        let seconds = seconds.and_then(Cadence::seconds);
        let length = seconds.ok_or_else(|| {
            BadMember::new(member("window"), "is no stretch of time such as 30s, 5m, 1h, 1d or 1w")
        })?;
        let limit = row.get("limit").ok_or_else(|| BadMember::new(member("limit"), "is missing"))?;
        Ok(RateRule { unit, length: Length::new(length), limit: count(&member("limit"), limit)? })
    };
    rows.iter().enumerate().map(rate).collect()
}

fn increase(document: &Document) -> Result<Option<Box<Increase>>, BadMember> {
    const NAME: &str = "temp_budget_increase";
    let Some(by) = document.get_anywhere(NAME) else { return Ok(None) };
    let until =
        document.get_anywhere("temp_budget_expiry").and_then(Value::as_str).and_then(Wall::from_rfc3339);
    let until = until.ok_or_else(|| BadMember::new("temp_budget_expiry", "is no date and time"))?;
    Ok(Some(Box::new(Increase { by: money(NAME, by)?, until })))
}

fn critical(document: &Document) -> Result<Critical, BadMember> {
    match document.metadata("critical") {
        None | Some(Value::Bool(false)) => Ok(Critical::Never),
        Some(Value::Bool(true)) => Ok(Critical::Always),
        Some(Value::String(word)) if word == "per_request" => Ok(Critical::PerRequest),
        Some(_) => Err(BadMember::new("metadata.critical", "is neither true, false nor per_request")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(value: Value) -> Result<Limits, String> {
        let Value::Object(members) = value else { panic!("an object") };
        Limits::read(&Document(members)).map_err(|error| error.to_string())
    }

    fn account(value: Value) -> AccountRules {
        read(value).unwrap().account(&TierRules::default(), Unit::Tokens)
    }

    #[test]
    fn an_account_has_a_purse_without_an_end_beside_its_budgets() {
        let free = account(json!({}));
        assert_eq!(free.budgets.len(), 1);
        assert_eq!((free.budgets[0].cadence, free.budgets[0].limit), (None, None));
        let bound = account(json!({"max_budget": 10, "budget_duration": "30d", "soft_budget": 8.5}));
        assert_eq!(bound.budgets.len(), 2);
        assert_eq!(bound.budgets[1].cadence, Some(Cadence::Days(30)));
        assert_eq!(bound.budgets[1].limit, Some(PicoDollars(10_000_000_000_000)));
        assert_eq!(bound.budgets[1].soft, Some(PicoDollars(8_500_000_000_000)));
        let endless = account(json!({"max_budget": 1e-5}));
        assert_eq!(endless.budgets.len(), 1);
        assert_eq!(endless.budgets[0].limit, Some(PicoDollars(10_000_000)));
    }

    #[test]
    fn several_windows_hold_at_once_and_of_two_of_a_kind_the_lower() {
        let rules = account(json!({
            "max_budget": 100, "budget_duration": "30d",
            "budget_limits": [
                {"budget_duration": "1d", "max_budget": 5},
                {"budget_duration": "30d", "max_budget": 80},
            ],
        }));
        let limits: Vec<_> = rules.budgets.iter().map(|rule| (rule.cadence, rule.limit)).collect();
        assert_eq!(
            limits,
            [
                (None, None),
                (Some(Cadence::Days(30)), Some(PicoDollars(80_000_000_000_000))),
                (Some(Cadence::Days(1)), Some(PicoDollars(5_000_000_000_000))),
            ]
        );
    }

    #[test]
    fn rates_are_read_by_litellms_names_and_by_ours() {
        let rules = account(json!({
            "rpm_limit": 10, "tpm_limit": 1000, "tpd_limit": 5, "max_parallel_requests": 3,
            "metadata": {"tollgate_rate_limits": [{"unit": "requests", "window": "1h", "limit": 7}]},
        }));
        let rates: Vec<_> = rules
            .rates
            .iter()
            .map(|rule| (rule.unit, rule.length.duration().as_secs(), rule.limit))
            .collect();
        assert_eq!(
            rates,
            [
                (Unit::Requests, 60, 10),
                (Unit::Tokens, 60, 1000),
                (Unit::Tokens, 86_400, 5),
                (Unit::Requests, 3_600, 7),
            ]
        );
        assert_eq!(rules.parallel, Some(3));
    }

    #[test]
    fn a_model_has_an_account_only_where_something_is_said_of_it() {
        let limits = read(json!({
            "model_rpm_limit": {"gpt-4o": 2},
            "model_max_budget": {"gpt-4o": {"budget_limit": 1.5, "time_period": "1d"}, "o1": 3},
        }))
        .unwrap();
        let tiers = TierRules::default();
        assert!(limits.model_account("gpt-4o-mini", &tiers, Unit::Tokens).is_none());
        let both = limits.model_account("gpt-4o", &tiers, Unit::Tokens).unwrap();
        assert_eq!((both.rates.len(), both.budgets.len()), (1, 2));
        let endless = limits.model_account("o1", &tiers, Unit::Tokens).unwrap();
        assert_eq!(endless.budgets[0].limit, Some(PicoDollars(3_000_000_000_000)));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        let check = |value: Value, wants: &str| assert_eq!(read(value).unwrap_err(), wants);
        check(json!({"rpm_limit": -1}), "'rpm_limit' is no whole number from 0");
        check(json!({"max_budget": "ten"}), "'max_budget' is no amount of US dollars from 0");
        check(json!({"max_budget": -0.5}), "'max_budget' is no amount of US dollars from 0");
        check(json!({"model_rpm_limit": {"a": 1.5}}), "'model_rpm_limit.a' is no whole number from 0");
        check(
            json!({"budget_limits": [{"budget_duration": "1d"}]}),
            "'budget_limits[0].max_budget' is missing",
        );
        check(
            json!({"metadata": {"critical": "sometimes"}}),
            "'metadata.critical' is neither true, false nor per_request",
        );
        check(
            json!({"metadata": {"budget_tiers": {"warm": 0.5}}}),
            "'budget_tiers.warm' is unknown: there are warn, downgrade, overflow, budget_fallback_model",
        );
    }
}
