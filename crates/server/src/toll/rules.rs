//! Limits and budgets that the configuration says, made ready.

use jiff::tz::TimeZone;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use tollgate_config::{BudgetLimit, BudgetMaximum, Config, KeyRates, ScopeLimit, Unpriced};
use tollgate_identity::{Directory, Kind, Limits, ModelLimits, Scope, ScopeKind};
use tollgate_ledger::{Defaults, Ledger};
use tollgate_policy::accounts::{RateRule, TierRules, Unit};
use tollgate_policy::sliding::Length;

/// What the configuration says of limits and budgets.
#[derive(Debug)]
pub(crate) struct TollRules {
    global: Arc<Limits>,
    providers: HashMap<String, Arc<Limits>>,
    deployments: HashMap<String, Arc<Limits>>,
    models: HashMap<String, Arc<Limits>>,
    tags: HashMap<String, Arc<Limits>>,
    end_user: Option<Arc<Limits>>,
    end_user_budget: Option<String>,
    /// Requests at the same time of keys that say nothing of it, and what they may do with models that they say nothing of.
    keys: (Option<u32>, Arc<ModelLimits>),
    /// What follows as a budget runs low.
    pub(crate) tiers: TierRules,
    /// Which model answers in place of which, once a budget is nearly spent.
    pub(crate) fallbacks: HashMap<String, String>,
    /// The time zone of calendars.
    pub(crate) zone: TimeZone,
    /// What a limit of tokens counts.
    pub(crate) token_unit: Unit,
    /// A user's own budget holds for keys of a team too.
    pub(crate) user_pays_for_team: bool,
    /// A model without a price is not asked.
    pub(crate) denies_unpriced: bool,
    /// A maximum that a budget does not leave is lowered to what it does.
    pub(crate) lowers_maximum: bool,
    /// Not below so many tokens.
    pub(crate) maximum_floor: u64,
    /// The status of a budget that is spent.
    pub(crate) exceeded_status: u16,
}

impl TollRules {
    /// What a configuration says.
    pub(crate) fn of(config: &Config) -> Self {
        let budgets = &config.budgets;
        let scope = |(name, limit): &(String, ScopeLimit)| (name.clone(), Arc::new(limits_of(limit)));
        let money = |limit: &BudgetLimit| Arc::new(money_of(limit));
        let own = config.deployments.iter().filter_map(|deployment| {
            let limit = deployment.budget.as_ref()?;
            Some((deployment.id.clone(), money(limit)))
        });
        let end_users = &budgets.end_users;
        Self {
            global: Arc::new(Limits { parallel: budgets.parallel, ..money_of(&budgets.global) }),
            keys: (budgets.key_parallel, key_models(config)),
            providers: budgets.providers.iter().map(|(name, limit)| (name.clone(), money(limit))).collect(),
            deployments: own.collect(),
            models: budgets.models.iter().map(scope).collect(),
            tags: budgets.tags.iter().map(scope).collect(),
            end_user: end_users
                .max
                .map(|max| money(&BudgetLimit { max: Some(max), ..BudgetLimit::default() })),
            end_user_budget: end_users.budget_id.clone(),
            tiers: budgets.tiers.rules,
            fallbacks: budgets
                .tiers
                .fallbacks
                .iter()
                .map(|(dear, cheap)| (dear.as_ref().to_owned(), cheap.as_ref().to_owned()))
                .collect(),
            zone: budgets.zone.clone(),
            token_unit: budgets.token_unit,
            user_pays_for_team: budgets.apply_user_budget_to_team_keys,
            denies_unpriced: config.costs.unpriced == Unpriced::Deny,
            lowers_maximum: budgets.maximum == BudgetMaximum::Lower,
            maximum_floor: budgets.maximum_floor,
            exceeded_status: budgets.exceeded_status,
        }
    }

    /// Holds the accounts that are open to what the configuration says now; what is opened later finds it by itself.
    pub(crate) fn take_up(&self, ledger: &Ledger) {
        let (accounts, wall) = (ledger.accounts(), ledger.clock().wall());
        accounts.configure(&Scope::global(), &self.global, wall);
        let named = [
            (ScopeKind::Provider, &self.providers),
            (ScopeKind::Deployment, &self.deployments),
            (ScopeKind::Model, &self.models),
        ];
        for (kind, rows) in named {
            for (id, limits) in rows {
                accounts.configure(&Scope::new(kind, id.as_str()), limits, wall);
            }
        }
        accounts
            .configure_all(ScopeKind::Key, wall, |id| ledger.directory().get(Kind::Key, id).map(Arc::clone));
        let directory = ledger.directory();
        let end_user = self.end_user(&directory);
        for id in accounts.ids_of(ScopeKind::EndUser) {
            if let (None, Some(limits)) = (directory.get(Kind::Customer, &id), &end_user) {
                accounts.configure(&Scope::new(ScopeKind::EndUser, id), limits, wall);
            }
        }
        for (tag, limits) in &self.tags {
            if directory.get(Kind::Tag, tag).is_none() {
                accounts.configure(&Scope::new(ScopeKind::Tag, tag.as_str()), limits, wall);
            }
        }
    }

    /// Where the days of calendars begin.
    pub(crate) fn zone(&self) -> TimeZone {
        self.zone.clone()
    }

    /// The same, to look at.
    pub(crate) fn zone_ref(&self) -> &TimeZone {
        &self.zone
    }

    /// What holds for whoever says nothing itself.
    pub(crate) fn defaults(&self) -> Defaults {
        let (key_parallel, key_models) = self.keys.clone();
        Defaults { tiers: self.tiers, token_unit: self.token_unit, key_parallel, key_models }
    }

    /// Whether keys that say nothing of a model may do so much with it.
    pub(super) fn has_key_rates(&self, group: &str) -> bool {
        let ModelLimits { requests, tokens, .. } = &*self.keys.1;
        requests.contains_key(group) || tokens.contains_key(group)
    }

    /// What everybody together may spend.
    pub(crate) fn global_budget(&self) -> Option<tollgate_catalog::PicoDollars> {
        self.global.budget
    }

    /// The providers that have a budget, in no order.
    pub(crate) fn providers(&self) -> impl Iterator<Item = (&str, &Limits)> {
        self.providers.iter().map(|(name, limits)| (name.as_str(), limits.as_ref()))
    }

    pub(super) fn global(&self) -> Arc<Limits> {
        Arc::clone(&self.global)
    }

    pub(super) fn model(&self, group: &str) -> Option<Arc<Limits>> {
        self.models.get(group).map(Arc::clone)
    }

    pub(super) fn tag(&self, tag: &str) -> Option<Arc<Limits>> {
        self.tags.get(tag).map(Arc::clone)
    }

    pub(super) fn provider(&self, name: &str) -> Option<&Arc<Limits>> {
        self.providers.get(name)
    }

    pub(super) fn deployment(&self, id: &str) -> Option<&Arc<Limits>> {
        self.deployments.get(id)
    }

    /// What holds for a scope of which there is no record.
    pub(crate) fn limits_of(&self, scope: &Scope, directory: &Directory) -> Option<Arc<Limits>> {
        let id = &*scope.id;
        match scope.kind {
            ScopeKind::Global => Some(self.global()),
            ScopeKind::Provider => self.provider(id).map(Arc::clone),
            ScopeKind::Deployment => self.deployment(id).map(Arc::clone),
            ScopeKind::Model => self.model(id),
            ScopeKind::Tag => self.tag(id),
            ScopeKind::EndUser => self.end_user(directory),
            _ => None,
        }
    }

    /// What an end user has of whom nothing is written.
    pub(super) fn end_user(&self, directory: &Directory) -> Option<Arc<Limits>> {
        let shared = self.end_user_budget.as_deref().and_then(|id| directory.get(Kind::Budget, id));
        shared.map(|record| Arc::new(record.limits.clone())).or_else(|| self.end_user.clone())
    }
}

/// What keys may do with single models that say nothing of them, by the lowest figures of each model's deployments.
fn key_models(config: &Config) -> Arc<ModelLimits> {
    let mut all: BTreeMap<&str, KeyRates> = BTreeMap::new();
    for deployment in config.deployments.iter().filter(|it| it.key_rates != KeyRates::default()) {
        let rates = all.entry(deployment.model_name.as_str()).or_default();
        *rates = rates.and(deployment.key_rates);
    }
    let by = |of: fn(&KeyRates) -> Option<u64>| {
        all.iter().filter_map(|(model, rates)| Some((Box::from(*model), of(rates)?))).collect()
    };
    Arc::new(ModelLimits { requests: by(|it| it.rpm), tokens: by(|it| it.tpm), ..ModelLimits::default() })
}

fn money_of(limit: &BudgetLimit) -> Limits {
    Limits { budget: limit.max, cadence: limit.cadence, ..Limits::default() }
}

fn limits_of(limit: &ScopeLimit) -> Limits {
    let rate = |unit, limit: Option<u64>| Some(RateRule { unit, length: Length::MINUTE, limit: limit? });
    let rates = [rate(Unit::Requests, limit.rpm), rate(Unit::Tokens, limit.tpm)];
    Limits {
        rates: rates.into_iter().flatten().collect(),
        parallel: limit.parallel,
        ..money_of(&limit.budget)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tollgate_catalog::PicoDollars;

    #[test]
    fn what_has_no_record_has_the_limits_that_the_configuration_gives_it() {
        let budget = |max: i128| BudgetLimit { max: Some(PicoDollars(max)), ..BudgetLimit::default() };
        let mut config = Config::default();
        config.budgets.global = budget(1);
        config.budgets.providers = vec![("openai".into(), budget(2))];
        config.budgets.end_users.max = Some(PicoDollars(3));
        let (rules, directory) = (TollRules::of(&config), Directory::default());
        let check = |kind, id: &str, expect: Option<i128>| {
            let limits = rules.limits_of(&Scope::new(kind, id), &directory);
            assert_eq!(limits.map(|limits| limits.budget.unwrap().0), expect, "{kind:?} {id}");
        };
        check(ScopeKind::Global, "", Some(1));
        check(ScopeKind::Provider, "openai", Some(2));
        check(ScopeKind::Provider, "anthropic", None);
        check(ScopeKind::EndUser, "anybody", Some(3));
        check(ScopeKind::Key, "k", None);
    }
}
