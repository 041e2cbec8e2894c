//! The toll: what a request may cost its caller, and what it did cost.
//!
//! [`Toll::enter`] lets a request in by every limit of everybody whom it is charged to; [`Toll::stake`] holds the money
//! for one attempt; the settlement books what it came to. Owns whom a request touches. Leaves counting and keeping to
//! the ledger, prices to the catalogue, words to `refusal` and `headers`.
//!
//! **Invariant:** whatever is sent to a provider for a caller has a stake, and each stake is settled or released once.

mod count;
mod failed;
mod foresight;
mod gauges;
mod headers;
mod hit;
mod refusal;
mod row;
mod rules;
mod stake;
mod trouble;
mod watch;

pub(crate) use count::CountToll;
pub(crate) use failed::note as note_failure;
pub(crate) use foresight::{
    Budgeted, Foresight, Outlook, SCOPE_KINDS, Sought, of_gateway, of_record, outlooks,
};
pub(crate) use gauges::gauges as ledger_gauges;
pub(crate) use hit::Hit;
pub(crate) use rules::TollRules;
pub(crate) use stake::{Spent, Stake};
pub(crate) use trouble::{Trouble, found_at_start};
pub(crate) use watch::{listener, named};

use crate::auth::Caller;
use crate::error::Rejection;
use crate::pipeline::Call;
use crate::pipeline::ceiling::RequestBounds;
use crate::reply::{KEY_SPEND, header_text};
use crate::routing::Wish;
use crate::snapshot::Snapshot;
use crate::surface::Surface;
use http::HeaderMap;
use row::Facts;
use serde_json::{Map, Value};
use std::fmt;
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex};
use tollgate_catalog::PicoDollars;
use tollgate_identity::{Critical, Directory, Holder, Kind, Limits, Record, Scope, ScopeKind};
use tollgate_ledger::{Admission, Ledger, Touched, scope_of};
use tollgate_policy::accounts::{Money, Tier};

/// A request that was let in.
pub(crate) struct Toll {
    admission: Arc<Admission>,
    facts: Facts,
    /// What every reply to it says of limits and budgets, as of its admission.
    headers: HeaderMap,
    /// The key that it came with, where that was given out.
    key: Option<(Scope, Arc<Record>)>,
    tier: Tier,
    /// What it can use at most.
    bounds: RequestBounds,
    /// Whether its maximum can be lowered.
    may_lower: bool,
    /// Attempts that were sent, and those of them that have a row which counts as a request.
    sent: AtomicU32,
    rows: AtomicU32,
    /// What a row says of the budget that stood in the way of an attempt last.
    stood: Mutex<Map<String, Value>>,
}

impl fmt::Debug for Toll {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Toll").field("tier", &self.tier).finish_non_exhaustive()
    }
}

/// A request that wants to be let in.
pub(crate) struct Entry<'a> {
    pub(crate) call: &'a Call,
    pub(crate) wish: &'a Wish,
    /// The group that is asked for.
    pub(crate) group: &'a str,
    /// What it can use at most.
    pub(crate) bounds: RequestBounds,
    /// By whose rules.
    pub(crate) snapshot: &'a Snapshot,
}

/// Everybody whom a request is charged to.
struct Party {
    /// Whom it is asked of, in the order in which a refusal names them.
    asked: Vec<(Scope, Source)>,
    /// Whom it is booked to, whatever they allow.
    also: Vec<(Scope, Source)>,
    /// Whom it is booked to in the database alone: nothing is written of them that would have to be counted here.
    elsewhere: Vec<Scope>,
    /// An end user who is blocked.
    blocked: Option<Arc<Record>>,
}

/// Where somebody's limits are found.
enum Source {
    Record(Arc<Record>),
    Rules(Arc<Limits>),
}

impl Source {
    fn limits(&self) -> &Limits {
        match self {
            Self::Record(record) => &record.limits,
            Self::Rules(limits) => limits,
        }
    }
}

impl Toll {
    /// Lets a request in by everybody whom it is charged to, or by nobody.
    pub(crate) fn enter(ledger: &Arc<Ledger>, entry: Entry<'_>) -> Result<Self, Rejection> {
        let Entry { call, wish, group, bounds, snapshot } = entry;
        let rules = snapshot.toll_rules();
        let mut facts = Facts::of(call, wish, group);
        let party = Party::of(&ledger.directory(), snapshot, (&call.caller, wish), group);
        let blocked = party.blocked.clone();
        facts.book_elsewhere(party.elsewhere.iter());
        let wall = ledger.clock().wall();
        let (asked, also) = party.touch(ledger);
        let is_critical = is_critical(&call.caller, wish.is_critical);
        let money = Money { most: PicoDollars::ZERO, is_free: false, is_critical };
        let all = |tokens: u64| tokens.saturating_mul(bounds.choices.max(1));
        let tokens = (bounds.estimate_input_tokens, bounds.asked_output_tokens.map(all));
        let before = ledger.accounts().standing(&asked, wall);
        let admission = Admission::enter(ledger, (asked, also), tokens, money).map_err(|refused| {
            let mut rejection = refusal::reject(&refused, ledger, rules, &call.caller);
            let headers =
                headers::of(ledger, &party.touch(ledger).0, &call.caller, (&before, rules.token_unit));
            rejection.headers_mut().extend(headers);
            failed::note_refused(ledger, call, &facts, (&refused, rules.token_unit, &rejection));
            rejection
        })?;
        // As in LiteLLM a spent budget is told before the block; the admission takes itself back.
        if let Some(end_user) = blocked {
            return Err(Rejection::end_user_blocked(&end_user.id));
        }
        let headers = headers::of(ledger, admission.accounts(), &call.caller, (&before, rules.token_unit));
        // What the answers of a session may be is said within it.
        let may_lower = call.surface.is_conversation() && call.surface != Surface::Realtime;
        let key = call.caller.holder().map(|holder| Arc::clone(&holder.key));
        let key = key.and_then(|key| Some((scope_of(&key)?, key)));
        let (admission, tier) = (Arc::new(admission), before.0.tier);
        let (sent, rows, stood) = (AtomicU32::new(0), AtomicU32::new(0), Mutex::default());
        Ok(Self { admission, facts, headers, key, tier, bounds, may_lower, sent, rows, stood })
    }

    /// The group that answers in place of the one that was asked for, where a budget of its caller's is nearly spent and an
    /// operator has named one; none for what is critical.
    pub(crate) fn cheaper(
        ledger: &Ledger,
        snapshot: &Snapshot,
        (caller, wish): (&Caller, &Wish),
        group: &str,
    ) -> Option<String> {
        let rules = snapshot.toll_rules();
        let own = caller.holder().into_iter().flat_map(Holder::records);
        let mut own = own.filter_map(|record| record.limits.tiers.fallbacks.get(group));
        let name =
            own.next().map(AsRef::as_ref).or_else(|| rules.fallbacks.get(group).map(String::as_str))?;
        if name == group || is_critical(caller, wish.is_critical) {
            return None;
        }
        let party = Party::of(&ledger.directory(), snapshot, (caller, wish), group);
        let (standing, _) = ledger.accounts().standing(&party.touch(ledger).0, ledger.clock().wall());
        (standing.tier >= Tier::Downgrade).then(|| name.to_owned())
    }

    /// Whether a budget is spent of somebody whom a request for a group would be charged to.
    pub(crate) fn is_spent(
        ledger: &Ledger,
        snapshot: &Snapshot,
        (caller, wish): (&Caller, &Wish),
        group: &str,
    ) -> bool {
        let party = Party::of(&ledger.directory(), snapshot, (caller, wish), group);
        let (standing, _) = ledger.accounts().standing(&party.touch(ledger).0, ledger.clock().wall());
        standing.tier == Tier::Overflow
    }

    /// Says in a reply's head how limits and budgets stand, and what the key has spent up to now.
    pub(crate) fn tell(&self, headers: &mut HeaderMap) {
        for (name, value) in &self.headers {
            headers.insert(name, value.clone());
        }
        if let Some((scope, key)) = &self.key {
            tell_spend(self.ledger(), (scope, &key.limits), headers);
        }
    }

    /// What it can use at most.
    pub(crate) fn bounds(&self) -> &RequestBounds {
        &self.bounds
    }

    /// About how many tokens its prompt has.
    pub(crate) fn estimated_tokens(&self) -> u64 {
        self.bounds.estimate_input_tokens
    }

    /// What is kept of it.
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn ledger(&self) -> &Arc<Ledger> {
        self.admission.ledger()
    }
}

impl Party {
    fn of(directory: &Directory, snapshot: &Snapshot, (caller, wish): (&Caller, &Wish), group: &str) -> Self {
        let rules = snapshot.toll_rules();
        let (also, elsewhere) = (Vec::new(), Vec::new());
        let mut party = Self { asked: Vec::with_capacity(8), also, elsewhere, blocked: None };
        if let Some(holder) = caller.holder() {
            party.add_holder(directory, holder, (rules, wish, group));
        }
        if let Some(name) = wish.payer.as_deref() {
            party.add_payer(directory, name, (rules, caller, group));
        }
        if let Some(name) = wish.user.as_deref() {
            let customer = directory.get(Kind::Customer, name);
            party.blocked = customer.filter(|customer| customer.is_blocked).map(Arc::clone);
        }
        if let Some(name) = wish.user.as_deref().filter(|_| !wish.is_uncounted) {
            let customer = directory.get(Kind::Customer, name);
            let source = customer.map(|it| Source::Record(Arc::clone(it)));
            let source = source.or_else(|| rules.end_user(directory).map(Source::Rules));
            party.ask_or_book(Scope::new(ScopeKind::EndUser, name), source, group);
        }
        for tag in &wish.tags {
            let source = directory.get(Kind::Tag, tag).map(|it| Source::Record(Arc::clone(it)));
            let source = source.or_else(|| rules.tag(tag).map(Source::Rules));
            party.ask_or_book(Scope::new(ScopeKind::Tag, tag.as_str()), source, group);
        }
        for name in snapshot.access_groups(directory).of(group) {
            let Some(record) = directory.get(Kind::AccessGroup, name) else { continue };
            let scope = Scope::new(ScopeKind::AccessGroup, name);
            party.ask(scope, Source::Record(Arc::clone(record)), group);
        }
        if let Some(limits) = rules.model(group) {
            party.ask(Scope::new(ScopeKind::Model, group), Source::Rules(limits), group);
        }
        party.ask(Scope::global(), Source::Rules(rules.global()), group);
        party
    }

    /// A user whom a header names, in place of the key's.
    fn add_payer(
        &mut self,
        directory: &Directory,
        name: &str,
        (rules, caller, group): (&TollRules, &Caller, &str),
    ) {
        let scope = Scope::new(ScopeKind::User, name);
        let source = directory.get(Kind::User, name).map(|it| Source::Record(Arc::clone(it)));
        let is_teams = caller.holder().is_some_and(|holder| holder.team.is_some());
        match source {
            Some(source) if is_teams && !rules.user_pays_for_team => self.also.push((scope, source)),
            source => self.ask_or_book(scope, source, group),
        }
    }

    fn add_holder(
        &mut self,
        directory: &Directory,
        holder: &Holder,
        (rules, wish, group): (&TollRules, &Wish, &str),
    ) {
        let is_teams = holder.team.is_some();
        let pays = |record: &&Arc<Record>| record.kind != Kind::User || wish.payer.is_none();
        for record in holder.records().filter(pays) {
            // Who is let through in another's place is held to what that one may spend now.
            let successor = record.successor().and_then(|token| directory.get(Kind::Key, token));
            let record = successor.unwrap_or(record);
            let Some(scope) = scope_of(record) else { continue };
            // A team's keys are the team's affair; their user pays for them only where the operator says so.
            let only_booked = record.kind == Kind::User && is_teams && !rules.user_pays_for_team;
            if only_booked {
                self.also.push((scope, Source::Record(Arc::clone(record))));
            } else {
                let has_model = record.kind == Kind::Key
                    && rules.has_key_rates(group)
                    && !record.limits.has_models()
                    && holder.team.as_ref().is_none_or(|team| !team.limits.has_models());
                if has_model {
                    let model = scope.clone().with_model(group);
                    self.asked.push((model, Source::Record(Arc::clone(record))));
                }
                self.ask(scope, Source::Record(Arc::clone(record)), group);
            }
        }
    }

    /// The accounts of those who are asked, and of those to whom it is booked beside them.
    fn touch(&self, ledger: &Ledger) -> (Touched, Touched) {
        let wall = ledger.clock().wall();
        let touch = |list: &[(Scope, Source)]| -> Touched {
            let rows = list.iter().map(|(scope, of)| (scope.clone(), of.limits()));
            ledger.accounts().touch_all(rows, wall)
        };
        (touch(&self.asked), touch(&self.also))
    }

    fn ask_or_book(&mut self, scope: Scope, of: Option<Source>, group: &str) {
        match of {
            Some(of) => self.ask(scope, of, group),
            None => self.elsewhere.push(scope),
        }
    }

    fn ask(&mut self, scope: Scope, of: Source, group: &str) {
        if of.limits().has_models() {
            let again = match &of {
                Source::Record(record) => Source::Record(Arc::clone(record)),
                Source::Rules(limits) => Source::Rules(Arc::clone(limits)),
            };
            self.asked.push((scope.clone().with_model(group), again));
        }
        self.asked.push((scope, of));
    }
}

/// Whether a request is critical: its key or its team says so, or lets it say so. It may go into the overflow, and is served
/// while memory is short.
pub(crate) fn is_critical(caller: &Caller, says_so: bool) -> bool {
    let Some(holder) = caller.holder() else { return says_so && caller.is_master() };
    let words = [Some(&holder.key), holder.team.as_ref()];
    words.into_iter().flatten().any(|record| match record.critical() {
        Critical::Always => true,
        Critical::PerRequest => says_so,
        Critical::Never => false,
    })
}

/// Says what the caller's key has spent, where nothing else is known of its request.
pub(crate) fn tell_of_key(ledger: &Ledger, caller: &Caller, headers: &mut HeaderMap) {
    let key = caller.holder().map(|holder| &holder.key);
    if let Some((scope, key)) = key.and_then(|key| Some((scope_of(key)?, key))) {
        tell_spend(ledger, (&scope, &key.limits), headers);
    }
}

fn tell_spend(ledger: &Ledger, (scope, limits): (&Scope, &Limits), headers: &mut HeaderMap) {
    let budgets = ledger.accounts().budgets(scope, limits, ledger.clock().wall());
    let own = budgets.iter().find(|budget| budget.cadence == limits.cadence);
    if let Some(budget) = own.or(budgets.first()) {
        headers.insert(KEY_SPEND, header_text(&budget.settled.as_litellm_number()));
    }
}
