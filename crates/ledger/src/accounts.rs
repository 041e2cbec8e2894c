//! The accounts of all scopes, behind one lock: opened when they are first touched, and admitted, reserved and settled
//! together.
//!
//! Leaves the counting to `tollgate_policy::accounts` and who belongs to whom to `tollgate_identity`.
//!
//! **Invariant:** the lock is held for one call into the kernel, and never across an await. **Invariant:** an account
//! is opened with everything that was spent before in it.

use crate::charge::{Booked, Charge, Crossings, Past};
use crate::sync::{Arc, Mutex, MutexGuard, PoisonError};
use smallvec::SmallVec;
use std::collections::HashMap;
use tollgate_catalog::PicoDollars;
use tollgate_identity::{Limits, ModelLimits, Record, Scope, ScopeKind};
use tollgate_policy::accounts::{
    AccountId, Ask, BudgetStanding, Crossing, Kernel, Money, Passage, RateRule, RateStanding, Refusal,
    Reservation, Standing, TierRules, Times, Tokens, Unit,
};
use tollgate_policy::clock::{Moment, Wall};
use tollgate_policy::period::Cadence;
use tollgate_policy::sliding::Length;

/// The accounts that a request touches.
pub type Touched = SmallVec<[AccountId; 12]>;

/// Rules that are not of one record.
#[derive(Debug, Clone)]
pub struct Defaults {
    /// What follows as a budget runs low.
    pub tiers: TierRules,
    /// What a limit of tokens counts.
    pub token_unit: Unit,
    /// Requests at the same time of keys that say nothing of it.
    pub key_parallel: Option<u32>,
    /// What a key may do with a model that it has no rate of, by model.
    pub key_models: Arc<ModelLimits>,
}

impl Default for Defaults {
    fn default() -> Self {
        let (key_parallel, key_models) = (None, Arc::default());
        Self { tiers: TierRules::default(), token_unit: Unit::Tokens, key_parallel, key_models }
    }
}

/// A limit that stands in the way, and whose it is.
#[derive(Debug, Clone)]
pub struct Refused {
    /// Whose.
    pub scope: Scope,
    /// Which.
    pub refusal: Refusal,
}

/// So few requests a minute for a while, beside whatever limits there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Throttle {
    /// Requests a minute.
    pub limit: u64,
    /// Up to this moment.
    pub until: Wall,
}

impl Throttle {
    /// Puts it in place of the account's own rate, where that allows more.
    fn narrow(self, rates: &mut Vec<RateRule>) {
        let rule = RateRule { unit: Unit::Requests, length: Length::MINUTE, limit: self.limit };
        let same = |rate: &&mut RateRule| rate.unit == rule.unit && rate.length == rule.length;
        match rates.iter_mut().find(same) {
            Some(rate) => rate.limit = rate.limit.min(rule.limit),
            None => rates.push(rule),
        }
    }
}

/// What is known of a budget in a period before its account is opened.
#[derive(Debug, Clone, Copy)]
struct Untouched {
    past: Past,
    /// What of it is not in the books yet.
    unposted: PicoDollars,
}

impl Untouched {
    fn is_of(&self, cadence: Option<Cadence>, start: Wall) -> bool {
        self.past.cadence == cadence && self.past.start == start
    }
}

/// Periods of one cadence that are kept of an account that nobody has touched yet: the present one and the one before it, and
/// as many of what the budget was aligned to before.
const PERIODS_KEPT: usize = 4;

/// What other gateways hold of a scope's budgets, by how often these begin anew and when.
pub(crate) type Elsewhere = HashMap<Scope, Vec<(Option<Cadence>, Wall, PicoDollars)>>;

pub(crate) struct State {
    pub(crate) kernel: Kernel,
    defaults: Defaults,
    pub(crate) ids: HashMap<Scope, AccountId>,
    pub(crate) scopes: HashMap<AccountId, Scope>,
    /// Of accounts that nobody has touched yet.
    past: HashMap<Scope, Vec<Untouched>>,
    throttles: HashMap<Scope, Throttle>,
    pub(crate) elsewhere: Elsewhere,
}

/// The accounts.
pub struct Accounts(Mutex<State>);

impl Accounts {
    /// No accounts; calendars are those of the kernel's time zone.
    pub fn new(kernel: Kernel, defaults: Defaults) -> Self {
        let (ids, scopes, past) = (HashMap::new(), HashMap::new(), HashMap::new());
        let (throttles, elsewhere) = (HashMap::new(), HashMap::new());
        Self(Mutex::new(State { kernel, defaults, ids, scopes, past, throttles, elsewhere }))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes up other rules for whatever says nothing itself. Open accounts keep theirs until they are configured.
    pub fn set_defaults(&self, defaults: Defaults) {
        self.lock().defaults = defaults;
    }

    /// What was spent before this process began, for when the account is opened.
    pub fn remember(&self, scope: Scope, past: Past) {
        let mut state = self.lock();
        if let Some(&id) = state.ids.get(&scope) {
            state.kernel.restore(id, past.cadence, past.start, past.settled);
            return;
        }
        if let Some(known) = state.untouched(scope, past.cadence, past.start) {
            known.past.settled = known.past.settled.saturating_add(past.settled);
        }
    }

    /// The same of what comes into the books only now.
    pub fn remember_unposted(&self, scope: Scope, past: Past) {
        let Past { cadence, start, settled } = past;
        self.remember(scope.clone(), past);
        let mut state = self.lock();
        if let Some(&id) = state.ids.get(&scope) {
            state.kernel.expect(id, (cadence, start), settled);
            return;
        }
        if let Some(known) = state.untouched(scope, cadence, start) {
            known.unposted = known.unposted.saturating_add(settled);
        }
    }

    /// So much of what was spent of a budget in its period has come into the books.
    pub fn posted(&self, charge: Charge, amount: PicoDollars) {
        let Charge { scope, cadence, start } = charge;
        let mut state = self.lock();
        if let Some(&id) = state.ids.get(&scope) {
            state.kernel.posted(id, (cadence, start), amount);
            return;
        }
        let known = state.past.get_mut(&scope).map(Vec::as_mut_slice).unwrap_or_default();
        if let Some(known) = known.iter_mut().find(|known| known.is_of(cadence, start)) {
            known.unposted = known.unposted.saturating_sub(amount).max(PicoDollars::ZERO);
        }
    }

    /// What was spent of a budget in its period and is not in the books yet.
    pub fn unposted(&self, charge: &Charge) -> PicoDollars {
        let Charge { scope, cadence, start } = charge;
        let state = self.lock();
        if let Some(&id) = state.ids.get(scope) {
            return state.kernel.unposted(id, (*cadence, *start));
        }
        let known = state.past.get(scope).into_iter().flatten().find(|it| it.is_of(*cadence, *start));
        known.map_or(PicoDollars::ZERO, |known| known.unposted)
    }

    /// What the books have of a budget in its period, whoever brought it there, and which marks were passed by it. To be told
    /// while nothing of this process is between here and the books without being known to be on this side or on that.
    pub fn follow(&self, charge: Charge, wall: Wall, in_books: PicoDollars) -> Crossings {
        let Charge { scope, cadence, start } = charge;
        let mut state = self.lock();
        if let Some(&id) = state.ids.get(&scope) {
            let crossings = state.kernel.follow(id, (cadence, start), wall, in_books);
            return crossings.into_iter().map(|crossing| (scope.clone(), crossing)).collect();
        }
        if in_books == PicoDollars::ZERO && !state.past.contains_key(&scope) {
            // Of a record that is gone, as a rule.
            return SmallVec::new();
        }
        if let Some(known) = state.untouched(scope, cadence, start) {
            known.past.settled = in_books.saturating_add(known.unposted);
        }
        SmallVec::new()
    }

    /// The account of a scope, opened with these limits where it is not open yet.
    pub fn touch(&self, scope: &Scope, limits: &Limits, wall: Wall) -> Option<AccountId> {
        self.lock().touch(scope, limits, wall)
    }

    /// The accounts of scopes with their limits, in the same order: a scope with a model has one only where its limits say
    /// something of that model.
    pub fn touch_all<'a>(&self, scopes: impl Iterator<Item = (Scope, &'a Limits)>, wall: Wall) -> Touched {
        let mut state = self.lock();
        scopes.filter_map(|(scope, limits)| state.touch(&scope, limits, wall)).collect()
    }

    /// Takes up other limits of a scope, and of its models, where their accounts are open.
    pub fn configure(&self, scope: &Scope, limits: &Limits, wall: Wall) {
        let mut state = self.lock();
        let open: Vec<(Scope, AccountId)> = match state.ids.get(scope) {
            Some(&id) if !limits.has_models() && !state.has_key_models(scope) => vec![(scope.clone(), id)],
            _ => {
                let of_scope = |(it, id): (&Scope, &AccountId)| {
                    (it.kind == scope.kind && it.id == scope.id).then(|| (it.clone(), *id))
                };
                state.ids.iter().filter_map(of_scope).collect()
            }
        };
        for (scope, id) in open {
            if let Some(rules) = state.rules(&scope, limits) {
                state.kernel.configure(id, &rules, wall);
            } else {
                state.close(&scope);
            }
        }
    }

    /// The same of all records of a kind, of which `limits` finds the one of an id.
    pub fn configure_all(&self, kind: ScopeKind, wall: Wall, limits: impl Fn(&str) -> Option<Arc<Record>>) {
        let open: Vec<(Scope, AccountId)> = {
            let state = self.lock();
            let of_kind = state.ids.iter().filter(|(scope, _)| scope.kind == kind);
            of_kind.map(|(scope, id)| (scope.clone(), *id)).collect()
        };
        for (scope, id) in open {
            let Some(record) = limits(&scope.id) else { continue };
            let mut state = self.lock();
            match state.rules(&scope, &record.limits) {
                _ if state.ids.get(&scope) != Some(&id) => {}
                Some(rules) => state.kernel.configure(id, &rules, wall),
                None => state.close(&scope),
            }
        }
    }

    /// Whose accounts of a kind are open.
    pub fn ids_of(&self, kind: ScopeKind) -> Vec<Arc<str>> {
        let state = self.lock();
        state.ids.keys().filter(|scope| scope.kind == kind).map(|scope| Arc::clone(&scope.id)).collect()
    }

    /// Slows a scope down, with all its models, until the throttle is [lifted](Self::lift). It outlives other limits that the
    /// scope is given meanwhile, and no restart.
    pub fn throttle(&self, scope: &Scope, limits: &Limits, throttle: Throttle, wall: Wall) {
        self.lock().throttles.insert(scope.clone(), throttle);
        self.configure(scope, limits, wall);
    }

    /// Takes those throttles back whose time is over. The scopes are returned: they go on as they did once they are
    /// [configured](Self::configure).
    pub fn lift(&self, wall: Wall) -> Vec<Scope> {
        let mut state = self.lock();
        state.throttles.extract_if(|_, throttle| throttle.until <= wall).map(|(scope, _)| scope).collect()
    }

    /// Closes the accounts of a scope and of its models.
    pub fn close(&self, kind: ScopeKind, id: &str) {
        let mut state = self.lock();
        let gone: Vec<Scope> =
            state.ids.keys().filter(|scope| scope.kind == kind && &*scope.id == id).cloned().collect();
        for scope in gone {
            state.close(&scope);
        }
        state.throttles.retain(|scope, _| scope.kind != kind || &*scope.id != id);
        state.past.retain(|scope, _| scope.kind != kind || &*scope.id != id);
    }

    /// What is known of these scopes, by budget and period.
    pub fn charges_of(&self, is_wanted: impl Fn(&Scope) -> bool, wall: Wall) -> Vec<Charge> {
        let mut state = self.lock();
        let State { kernel, ids, past, .. } = &mut *state;
        let mut charges = Vec::new();
        for (scope, &account) in ids.iter().filter(|(scope, _)| is_wanted(scope)) {
            let periods = kernel.periods(&[account], wall).into_iter();
            charges.extend(periods.map(|(_, cadence, start)| Charge {
                scope: scope.clone(),
                cadence,
                start,
            }));
        }
        for (scope, known) in past.iter().filter(|(scope, _)| is_wanted(scope)) {
            let periods = known.iter().map(|known| (known.past.cadence, known.past.start));
            charges.extend(periods.map(|(cadence, start)| Charge { scope: scope.clone(), cadence, start }));
        }
        charges
    }

    /// Lets a request in by all its accounts, or by none.
    ///
    /// # Errors
    /// The limit that stands in the way.
    pub fn admit(&self, times: Times, ask: &Ask<'_>) -> Result<(Passage, Reservation), Box<Refused>> {
        let mut state = self.lock();
        let admitted = state.kernel.admit(times, ask);
        admitted.map_err(|refusal| state.refused(refusal))
    }

    /// Lets one more answer of a request in that was let in, by all its rates, or by none.
    ///
    /// # Errors
    /// The limit that stands in the way.
    pub fn admit_again(&self, now: Moment, ask: &Ask<'_>) -> Result<Passage, Box<Refused>> {
        let mut state = self.lock();
        let admitted = state.kernel.admit_again(now, ask);
        admitted.map_err(|refusal| state.refused(refusal))
    }

    /// Puts another hold in place of one, in these accounts, or leaves it as it is.
    ///
    /// # Errors
    /// The budget that stands in the way.
    pub fn rebook(
        &self,
        reservation: &mut Reservation,
        wall: Wall,
        accounts: &[AccountId],
        money: Money,
    ) -> Result<(), Box<Refused>> {
        let mut state = self.lock();
        let rebooked = state.kernel.rebook(reservation, wall, accounts, money);
        rebooked.map_err(|refusal| state.refused(refusal))
    }

    /// Holds money for an attempt in all these accounts, or in none.
    ///
    /// # Errors
    /// The budget that stands in the way.
    pub fn reserve(
        &self,
        wall: Wall,
        accounts: &[AccountId],
        money: Money,
    ) -> Result<Reservation, Box<Refused>> {
        let mut state = self.lock();
        let reserved = state.kernel.reserve(wall, accounts, money);
        reserved.map_err(|refusal| state.refused(refusal))
    }

    /// What a reservation would be booked in.
    pub fn charges(&self, reservation: &Reservation) -> Vec<Charge> {
        let state = self.lock();
        state.kernel.charges(reservation).filter_map(|it| state.charge(it)).collect()
    }

    /// Books what an attempt has cost, and says whose budgets have passed a mark by it.
    pub fn settle(&self, reservation: Reservation, wall: Wall, cost: PicoDollars) -> Booked {
        let mut state = self.lock();
        let moved = state.kernel.moved(&reservation, wall);
        let charges = moved.map(|moved| moved.into_iter().filter_map(|it| state.charge(it)).collect());
        let crossings = state.kernel.settle(reservation, wall, cost);
        Booked { charges, crossings: state.named(crossings) }
    }

    /// Books what was spent in accounts that were not asked.
    pub fn charge(&self, accounts: &[AccountId], wall: Wall, cost: PicoDollars) -> Booked {
        let mut state = self.lock();
        let periods = state.kernel.periods(accounts, wall);
        let periods = periods.into_iter().filter_map(|it| state.charge(it)).collect();
        let crossings = state.kernel.charge(accounts, wall, cost);
        Booked { charges: Some(periods), crossings: state.named(crossings) }
    }

    /// Where it would be booked.
    pub fn periods(&self, accounts: &[AccountId], wall: Wall) -> Vec<Charge> {
        let mut state = self.lock();
        let periods = state.kernel.periods(accounts, wall);
        periods.into_iter().filter_map(|it| state.charge(it)).collect()
    }

    /// Gives money back that was not spent.
    pub fn release(&self, reservation: Reservation) {
        self.lock().kernel.release(reservation);
    }

    /// Ends a request that was sent.
    pub fn finish(&self, passage: Passage, now: Moment, tokens: Tokens) {
        self.lock().kernel.finish(passage, now, tokens);
    }

    /// Ends a request of which nothing was sent.
    pub fn withdraw(&self, passage: Passage, now: Moment) {
        self.lock().kernel.withdraw(passage, now);
    }

    /// How the accounts stand together, and whose budget is the tightest.
    pub fn standing(&self, accounts: &[AccountId], wall: Wall) -> (Standing, Option<Scope>) {
        let mut state = self.lock();
        let standing = state.kernel.standing(accounts, wall);
        let scope = standing.tightest.and_then(|tightest| state.scopes.get(&tightest.account).cloned());
        (standing, scope)
    }

    /// The budgets of a scope as they stand; none where nothing was ever spent in it and nothing limits it. An account that
    /// nobody has touched stays closed: whoever only looks opens none.
    pub fn budgets(&self, scope: &Scope, limits: &Limits, wall: Wall) -> SmallVec<[BudgetStanding; 2]> {
        let mut state = self.lock();
        if let Some(&id) = state.ids.get(scope) {
            return state.kernel.budgets(id, wall);
        }
        state.look(scope, limits, wall, |kernel, id| kernel.budgets(id, wall)).unwrap_or_default()
    }

    /// The rates of accounts as they stand, in their order.
    pub fn rates(&self, accounts: &[AccountId], now: Moment) -> Vec<(Scope, SmallVec<[RateStanding; 4]>)> {
        let mut state = self.lock();
        let mut found = Vec::new();
        for &id in accounts {
            let rates = state.kernel.rates(id, now);
            if rates.is_empty() {
                continue;
            }
            if let Some(scope) = state.scopes.get(&id).cloned() {
                found.push((scope, rates));
            }
        }
        found
    }

    /// The places of an account: those that are taken, of how many.
    pub fn places(&self, account: AccountId) -> Option<(u32, Option<u32>)> {
        self.lock().kernel.places(account)
    }

    /// Sets what was spent of a budget in its period, as far as it is in the books; what is held stays held.
    pub fn set(&self, charge: &Charge, settled: PicoDollars) {
        let Charge { scope, cadence, start } = charge;
        let mut state = self.lock();
        if let Some(&id) = state.ids.get(scope) {
            state.kernel.set(id, *cadence, *start, settled);
            return;
        }
        if let Some(known) = state.untouched(scope.clone(), *cadence, *start) {
            known.past.settled = settled.saturating_add(known.unposted);
        }
    }

    /// Adds to what was spent of a budget in its period, or takes from it, and says which marks were passed by it; of an
    /// account that nobody has touched by these limits.
    pub fn correct(
        &self,
        charge: &Charge,
        limits: Option<&Limits>,
        wall: Wall,
        difference: PicoDollars,
    ) -> Crossings {
        let &Charge { ref scope, cadence, start } = charge;
        let mut state = self.lock();
        let correct = |kernel: &mut Kernel, id| kernel.correct(id, (cadence, start), wall, difference);
        let crossings = match state.ids.get(scope) {
            Some(&id) => Some(correct(&mut state.kernel, id)),
            None => {
                let crossings = limits.and_then(|limits| state.look(scope, limits, wall, correct));
                if let Some(known) = state.untouched(scope.clone(), cadence, start) {
                    known.past.settled = known.past.settled.saturating_add(difference);
                }
                crossings
            }
        };
        crossings.into_iter().flatten().map(|crossing| (scope.clone(), crossing)).collect()
    }

    /// Whether any budget limits one of these accounts.
    pub fn are_bound(&self, accounts: &[AccountId]) -> bool {
        self.lock().kernel.are_bound(accounts)
    }

    /// How many accounts are open.
    pub fn open(&self) -> usize {
        self.lock().ids.len()
    }
}

impl State {
    fn charge(&self, (id, cadence, start): (AccountId, Option<Cadence>, Wall)) -> Option<Charge> {
        Some(Charge { scope: self.scopes.get(&id)?.clone(), cadence, start })
    }

    fn named(&self, crossings: impl IntoIterator<Item = (AccountId, Crossing)>) -> Crossings {
        let named = |(id, crossing)| Some((self.scopes.get(&id)?.clone(), crossing));
        crossings.into_iter().filter_map(named).collect()
    }

    /// Whether a scope's models may have rates that it does not say itself.
    fn has_key_models(&self, scope: &Scope) -> bool {
        scope.kind == ScopeKind::Key && *self.defaults.key_models != ModelLimits::default()
    }

    fn rules(&self, scope: &Scope, limits: &Limits) -> Option<tollgate_policy::accounts::AccountRules> {
        let Defaults { tiers, token_unit, key_parallel, key_models } = &self.defaults;
        let is_key = scope.kind == ScopeKind::Key;
        match &scope.model {
            None => {
                let mut rules = limits.account(tiers, *token_unit);
                rules.parallel = rules.parallel.or(key_parallel.filter(|_| is_key));
                if let Some(throttle) = self.throttles.get(scope) {
                    throttle.narrow(&mut rules.rates);
                }
                Some(rules)
            }
            Some(model) if is_key => {
                limits.with_rates_of(key_models).model_account(model, tiers, *token_unit)
            }
            Some(model) => limits.model_account(model, tiers, *token_unit),
        }
    }

    /// What is known of a budget of an account that nobody has touched yet, to be changed; none where so much is known of
    /// later periods that it is of no account.
    fn untouched(&mut self, scope: Scope, cadence: Option<Cadence>, start: Wall) -> Option<&mut Untouched> {
        let known = self.past.entry(scope).or_default();
        if let Some(place) = known.iter().position(|it| it.is_of(cadence, start)) {
            return known.get_mut(place);
        }
        let past = Past { cadence, start, settled: PicoDollars::ZERO };
        known.push(Untouched { past, unposted: PicoDollars::ZERO });
        let starts = known.iter().filter(|it| it.past.cadence == cadence).map(|it| it.past.start);
        if let Some(oldest) = starts.clone().min().filter(|_| starts.count() > PERIODS_KEPT) {
            known.retain(|it| !it.is_of(cadence, oldest));
        }
        known.iter_mut().find(|it| it.is_of(cadence, start))
    }

    fn touch(&mut self, scope: &Scope, limits: &Limits, wall: Wall) -> Option<AccountId> {
        if let Some(id) = self.ids.get(scope) {
            return Some(*id);
        }
        let rules = self.rules(scope, limits)?;
        let id = self.kernel.open(&rules, wall);
        for Untouched { past, unposted } in self.past.remove(scope).unwrap_or_default() {
            self.kernel.restore(id, past.cadence, past.start, past.settled);
            self.kernel.expect(id, (past.cadence, past.start), unposted);
        }
        for &(cadence, start, held) in self.elsewhere.get(scope).into_iter().flatten() {
            self.kernel.set_elsewhere(id, (cadence, start), held);
        }
        self.ids.insert(scope.clone(), id);
        self.scopes.insert(id, scope.clone());
        Some(id)
    }

    /// Looks at an account that nobody has touched as it is when it is opened; it stays closed.
    fn look<T>(
        &mut self,
        scope: &Scope,
        limits: &Limits,
        wall: Wall,
        look: impl FnOnce(&mut Kernel, AccountId) -> T,
    ) -> Option<T> {
        let rules = self.rules(scope, limits)?;
        let Self { kernel, past, .. } = self;
        let id = kernel.open(&rules, wall);
        for Untouched { past, .. } in past.get(scope).into_iter().flatten() {
            kernel.restore(id, past.cadence, past.start, past.settled);
        }
        let seen = look(kernel, id);
        kernel.close(id);
        Some(seen)
    }

    fn close(&mut self, scope: &Scope) {
        if let Some(id) = self.ids.remove(scope) {
            self.scopes.remove(&id);
            self.kernel.close(id);
        }
    }

    fn refused(&self, refusal: Refusal) -> Box<Refused> {
        let scope = self.scopes.get(&refusal.account).cloned().unwrap_or_else(Scope::global);
        Box::new(Refused { scope, refusal })
    }
}
