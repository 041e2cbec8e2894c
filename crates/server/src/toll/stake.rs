//! What one attempt holds of its caller's budgets, from before it is sent until what it cost is known.

use super::row::count;
use super::{Toll, TollRules, failed, refusal};
use crate::auth::Caller;
use crate::error::Rejection;
use crate::pipeline::ceiling::{ModelFacts, RequestBounds};
use crate::pipeline::settle::catalogue_usage;
use crate::target::Target;
use smallvec::SmallVec;
use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tollgate_alerts::{Alert, Belongs, Scope as Whose, ScopeKind as Whom};
use tollgate_catalog::{Bill, Bounds, PicoDollars, ServiceTier, Terms, cost};
use tollgate_dialect::conversation::Usage;
use tollgate_identity::{Kind, Limits, Scope, ScopeKind};
use tollgate_ledger::{Admission, Attempt, Refused};
use tollgate_policy::accounts::{Reason, Tokens};
use tollgate_store::books::Status;

/// Tokens of an answer whose length nobody knows, for what is booked if the process is killed meanwhile.
const OUTPUT_TOKENS_UNKNOWN: u64 = 256;

/// Money that is held for an attempt.
pub(crate) struct Stake {
    toll: Arc<Toll>,
    attempt: Attempt,
    target: Arc<Target>,
    /// Most tokens of its answer.
    output_tokens: u64,
    /// When it was about to be sent, in microseconds since 1970.
    began_at: i64,
    /// The maximum that the budgets leave, where it is below the one that was asked for.
    lowered: Option<u64>,
    /// It is in the journal.
    was_intended: bool,
}

impl fmt::Debug for Stake {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Stake({} USD)", self.attempt.held())
    }
}

/// What an attempt came to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Spent {
    /// What was used.
    pub(crate) usage: Usage,
    /// What it cost; none where there is no price.
    pub(crate) cost: Option<PicoDollars>,
    /// The provider asks nothing for it, so that no price is missing.
    pub(crate) is_free: bool,
    /// The provider did not say.
    pub(crate) is_estimated: bool,
    /// It did not come to its end.
    pub(crate) is_cut: bool,
    /// When the first content came, in microseconds after it was sent.
    pub(crate) first_token_micros: Option<i64>,
    /// What the price was made of.
    pub(crate) bill: Option<Bill>,
    /// The provider's tier that served it.
    pub(crate) tier: Option<ServiceTier>,
    /// Something else than tokens was billed.
    pub(crate) has_units: bool,
    /// The groups that were tried before.
    pub(crate) fallbacks: u32,
    /// What the answer was kept under, where it came from the cache.
    pub(crate) cache_key: Option<String>,
}

/// What a row's `usage` says of an attempt that was billed for something else than tokens.
const UNITS: &str = r#"{"units":true}"#;

/// What `metadata` says of an attempt, as JSON texts.
struct Told {
    parts: Option<String>,
    tier: Option<String>,
    retries: Option<String>,
    fallbacks: Option<String>,
}

impl Spent {
    /// What is told of it, where the request was sent so often.
    fn told(&self, sent: u32) -> Told {
        let retries = sent.saturating_sub(1).saturating_sub(self.fallbacks);
        Told {
            // Whole numbers of picodollars: whoever reads them writes them as dollars.
            parts: self.bill.map(|bill| {
                let Bill { parts, discount, margin, .. } = bill;
                format!(
                    "[{},{},{},{},{},{},{},{}]",
                    parts.total.0,
                    parts.input.0,
                    parts.output.0,
                    parts.cache_read.0,
                    parts.cache_write.0,
                    parts.tool_usage.0,
                    discount.0,
                    margin.0
                )
            }),
            tier: self.tier.map(|tier| format!("\"{}\"", tier.name())),
            retries: (retries > 0).then(|| retries.to_string()),
            fallbacks: (self.fallbacks > 0).then(|| self.fallbacks.to_string()),
        }
    }
}

impl Told {
    fn named(&self) -> SmallVec<[(&'static str, &str); 4]> {
        let all = [
            ("tollgate_cost_parts", &self.parts),
            ("service_tier", &self.tier),
            ("attempted_retries", &self.retries),
            ("attempted_fallbacks", &self.fallbacks),
        ];
        all.into_iter().filter_map(|(name, text)| Some((name, text.as_deref()?))).collect()
    }
}

impl Toll {
    /// Holds what an attempt at a deployment can cost at most, or what the budgets leave for it where its maximum can be
    /// lowered to that, if `may_lower`. `own` is what the request can use where it is not sent as the caller wrote it.
    ///
    /// # Errors
    /// The budget that stands in the way.
    pub(crate) async fn stake(
        self: &Arc<Self>,
        rules: &TollRules,
        (target, time_max): (&Arc<Target>, Duration),
        own: Option<&RequestBounds>,
        may_lower: bool,
    ) -> Result<Stake, Box<Refused>> {
        let request = own.unwrap_or(&self.bounds);
        let hold = async |most: PicoDollars, output_tokens: u64, lowered: Option<u64>| {
            let more = rules.of_target(target);
            let attempt = self.admission.attempt(self.next_id(), more, most)?.confirmed().await?;
            Ok(Stake { lowered, ..self.staked(attempt, target, output_tokens) })
        };
        if !self.is_bound(rules, target) {
            return hold(PicoDollars::ZERO, u64::MAX, None).await;
        }
        let facts = ModelFacts::of(target, time_max);
        let bounds = request.at(&facts);
        let (prices, adjustment) = (&target.prices, target.adjustment);
        let terms = Terms { prices, served: request.served(&facts), adjustment };
        let most = |bounds: &Bounds| terms.ceiling(bounds);
        let asked = bounds.output_tokens;
        let refused = match hold(most(&bounds).unwrap_or(PicoDollars::ZERO), asked, None).await {
            Ok(stake) => return Ok(stake),
            Err(refused) => refused,
        };
        let left = lower_to(&refused).filter(|_| may_lower && self.may_lower && rules.lowers_maximum);
        let tokens = left.and_then(|left| terms.lower(&bounds, left));
        match tokens.filter(|tokens| *tokens >= rules.maximum_floor) {
            Some(tokens) => {
                let bounds = Bounds { output_tokens: tokens, ..bounds };
                hold(most(&bounds).unwrap_or(PicoDollars::ZERO), tokens, Some(tokens)).await
            }
            None => Err(refused),
        }
    }

    /// Whether any budget limits what it costs at a deployment.
    pub(crate) fn is_bound(&self, rules: &TollRules, target: &Target) -> bool {
        self.admission.is_bound() || rules.binds(target)
    }

    /// Holds so much for an answer of a session, of so many tokens at most.
    ///
    /// # Errors
    /// The budget that stands in the way.
    pub(crate) fn stake_most(
        self: &Arc<Self>,
        rules: &TollRules,
        target: &Arc<Target>,
        (most, output_tokens): (PicoDollars, u64),
    ) -> Result<Stake, Box<Refused>> {
        let attempt = self.admission.attempt(self.next_id(), rules.of_target(target), most)?;
        Ok(self.staked(attempt, target, output_tokens))
    }

    /// A stake that holds nothing, for what is booked beside what is held for.
    pub(crate) fn beside(self: &Arc<Self>, rules: &TollRules, target: &Arc<Target>) -> Option<Stake> {
        let attempt = self.admission.beside(self.next_id(), rules.of_target(target)).ok()?;
        let began_at = self.ledger().clock().wall().micros();
        Some(Stake { began_at, ..self.staked(attempt, target, 0) })
    }

    /// The number of an attempt that begins now.
    fn next_id(&self) -> u128 {
        crate::chance::ordered(self.ledger().clock().wall().micros())
    }

    fn staked(self: &Arc<Self>, attempt: Attempt, target: &Arc<Target>, output_tokens: u64) -> Stake {
        let (toll, target) = (Arc::clone(self), Arc::clone(target));
        Stake { toll, attempt, target, output_tokens, began_at: 0, lowered: None, was_intended: false }
    }

    /// One answer of a session, by the rates.
    ///
    /// # Errors
    /// The limit that stands in the way.
    pub(crate) fn answer(&self) -> Result<Admission, Box<Refused>> {
        self.admission.answer(self.bounds.estimate_input_tokens, self.bounds.asked_output_tokens)
    }

    /// The refusal in the caller's words.
    pub(crate) fn reject(&self, refused: &Refused, rules: &TollRules, caller: &Caller) -> Rejection {
        *self.stood.lock().unwrap_or_else(PoisonError::into_inner) =
            failed::of_limit(refused, rules.token_unit);
        refusal::reject(refused, self.ledger(), rules, caller)
    }
}

/// What is left of the budget that refuses.
fn lower_to(refused: &Refused) -> Option<PicoDollars> {
    match refused.refusal.reason {
        Reason::Budget { available, .. } => Some(available).filter(|left| *left > PicoDollars::ZERO),
        _ => None,
    }
}

impl Stake {
    /// The same, of what begins at this moment and is not sent.
    pub(super) fn begun(self) -> Self {
        let began_at = self.toll.ledger().clock().wall().micros();
        Self { began_at, ..self }
    }

    /// What is held.
    pub(crate) fn held(&self) -> PicoDollars {
        self.attempt.held()
    }

    /// Whether it is to be [confirmed](Self::confirmed) before anything is sent for it.
    pub(crate) fn is_unconfirmed(&self) -> bool {
        self.attempt.is_unconfirmed()
    }

    /// The same, once it is known to fit beside what other gateways hold.
    ///
    /// # Errors
    /// The budget that stands in the way: nothing is held any more, and nothing is charged.
    pub(crate) async fn confirmed(self) -> Result<Self, Box<Refused>> {
        let Self { toll, attempt, target, output_tokens, began_at, lowered, was_intended } = self;
        match attempt.confirmed().await {
            Ok(attempt) => Ok(Self { toll, attempt, target, output_tokens, began_at, lowered, was_intended }),
            Err(refused) => {
                toll.rows.fetch_sub(u32::from(was_intended), Ordering::Relaxed);
                Err(refused)
            }
        }
    }

    /// Holds so much instead; it may have to be confirmed again.
    ///
    /// # Errors
    /// The budget that stands in the way; what was held is held still.
    pub(crate) fn rebook(&mut self, rules: &TollRules, most: PicoDollars) -> Result<(), Box<Refused>> {
        self.attempt.rebook(rules.of_target(&self.target), most)
    }

    /// The maximum that the answer is given, where the budgets do not leave the one that was asked for.
    pub(crate) fn lowered(&self) -> Option<u64> {
        self.lowered
    }

    /// Has it written that the attempt is about to be sent.
    ///
    /// # Errors
    /// Where the ledger cannot be written: it must not be sent.
    pub(crate) async fn intend(&mut self) -> Result<(), Rejection> {
        let Self { toll, target, output_tokens, .. } = self;
        let mut row = toll.facts().row(target, toll.ledger().clock().wall());
        let prompt = Usage { input_tokens: toll.bounds.estimate_input_tokens, ..Usage::default() };
        let asked = toll.bounds.asked_output_tokens.unwrap_or(OUTPUT_TOKENS_UNKNOWN);
        let answer = asked.saturating_mul(toll.bounds.choices.max(1)).min(*output_tokens);
        let whole = Usage { output_tokens: answer, ..prompt };
        let priced = |usage: &Usage| {
            let cost = cost(&target.prices, &catalogue_usage(usage), None);
            cost.map_or(PicoDollars::ZERO, |cost| target.adjustment.total(cost.total))
        };
        count(&mut row, &prompt);
        (row.estimated, row.status) = (true, Status::Failure);
        row.cost = priced(&prompt).0;
        let killed = priced(&whole);
        self.began_at = row.started_at;
        self.attempt.intend(row, killed).await.map_err(|_| Rejection::ledger_unavailable())?;
        self.was_intended = true;
        self.toll.sent.fetch_add(1, Ordering::Relaxed);
        self.toll.rows.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// No row of it counts as a request.
    fn uncount(&self) {
        if self.was_intended {
            self.toll.rows.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// What is told of it where every request of an end user's is: what it cost alone.
    pub(crate) fn tracked(&self, cost: PicoDollars) -> Option<Alert> {
        let (end_user, token, key_alias) = self.toll.facts().end_user()?;
        let customer = self.toll.ledger().directory().get(Kind::Customer, end_user).map(Arc::clone);
        let belongs = Belongs { token: Some(token.to_owned()), key_alias, ..Belongs::default() };
        let scope = Whose::new(Whom::EndUser, end_user);
        let scope = scope.alias(customer.as_ref().and_then(|it| it.alias()).unwrap_or_default());
        let budget = customer.and_then(|it| it.limits.budget);
        Some(Alert::spend_tracked(scope.belongs(belongs), cost, budget))
    }

    /// Nothing of it is charged.
    pub(crate) fn release(self) {
        self.uncount();
        self.attempt.release();
    }

    /// Its caller got nothing of it, and pays nothing: it is the gateway's own.
    pub(crate) fn write_off(self, spent: &Spent) {
        self.uncount();
        self.book(spent, true);
    }

    /// Books what it came to.
    pub(crate) fn settle(self, spent: &Spent) {
        self.book(spent, false);
    }

    fn book(self, spent: &Spent, is_overhead: bool) {
        let Self { toll, attempt, target, began_at, .. } = self;
        let now = toll.ledger().clock().wall();
        let mut row = toll.facts().row(&target, now);
        count(&mut row, &spent.usage);
        row.started_at = began_at;
        row.first_token_at =
            spent.first_token_micros.map_or(0, |micros| row.started_at.saturating_add(micros));
        row.estimated = spent.is_estimated;
        row.unpriced = (row.unpriced || spent.cost.is_none()) && !spent.is_free;
        row.overhead = is_overhead;
        row.metadata = toll.facts().metadata(&spent.told(toll.sent.load(Ordering::Relaxed)).named());
        row.usage = if spent.has_units { UNITS.to_owned() } else { String::new() };
        row.charged = is_overhead.then_some(0);
        row.status = if spent.is_cut || is_overhead { Status::Failure } else { Status::Success };
        if let Some(key) = &spent.cache_key {
            (row.cache_hit, row.unpriced) = (true, false);
            row.cache_key.clone_from(key);
            attempt.admission().note_served();
        } else if !is_overhead {
            let tokens = Tokens { input: spent.usage.input_tokens, output: spent.usage.output_tokens };
            attempt.admission().note_tokens(tokens);
        }
        let cost = spent.cost.unwrap_or(PicoDollars::ZERO);
        // What is guessed is at most what was held: that is the most it can have been.
        let is_over = spent.is_estimated && attempt.is_bound() && cost > attempt.held();
        let cost = if is_over { attempt.held() } else { cost };
        attempt.settle(row, cost);
    }
}

impl TollRules {
    /// The budgets of a deployment and of its provider.
    fn of_target<'a>(&'a self, target: &'a Target) -> impl Iterator<Item = (Scope, &'a Limits)> {
        let provider = self.provider(target.provider.name);
        let provider =
            provider.map(|limits| (Scope::new(ScopeKind::Provider, target.provider.name), limits.as_ref()));
        let deployment = self.deployment(&target.id);
        let deployment =
            deployment.map(|limits| (Scope::new(ScopeKind::Deployment, target.id.as_str()), limits.as_ref()));
        provider.into_iter().chain(deployment)
    }

    fn binds(&self, target: &Target) -> bool {
        self.provider(target.provider.name).is_some() || self.deployment(&target.id).is_some()
    }
}
