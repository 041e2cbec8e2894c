//! What the accounts show to other gateways, and learn from them.
//!
//! Leaves the amounts to `tollgate_policy::accounts`, and when anything is shown or looked at to `following`.

use crate::accounts::{Accounts, Elsewhere};
use crate::charge::Charge;
use std::collections::BTreeMap;
use tollgate_catalog::PicoDollars;
use tollgate_policy::accounts::{Beyond, Extent, Reservation, Shown};
use tollgate_policy::clock::Wall;
use tollgate_store::books::{Account, Settled};

impl Accounts {
    /// Whether there are other gateways.
    pub fn share(&self, is_shared: bool) {
        self.lock().kernel.share(is_shared);
    }

    /// What is to be shown, and what it is of.
    pub(crate) fn show(&self, extent: Extent, wall: Wall) -> Vec<(Account, Shown)> {
        let mut state = self.lock();
        let all = state.kernel.show(extent, wall).into_iter();
        let named = all.filter_map(|shown| {
            let scope = state.scopes.get(&shown.account)?.clone();
            let charge = Charge { scope, cadence: shown.cadence, start: shown.start };
            Some((charge.into_account(), shown))
        });
        named.collect()
    }

    /// What is to be shown of these accounts once what is brought is in the books.
    pub(crate) fn show_posted(&self, brought: &BTreeMap<&Account, i128>) -> Vec<Settled> {
        let mut state = self.lock();
        let shown = brought.iter().filter_map(|(account, amount)| {
            let charge = Charge::from_account(account)?;
            let id = *state.ids.get(&charge.scope)?;
            let period = (charge.cadence, charge.start);
            let left = state.kernel.show_posted(id, period, PicoDollars(*amount))?;
            Some(Settled { account: (*account).clone(), amount: left.0 })
        });
        shown.collect()
    }

    /// Other gateways see these amounts now; or nobody knows whether they do.
    pub(crate) fn shown<'a>(&self, held: impl Iterator<Item = &'a Settled>, is_known: bool) {
        let mut state = self.lock();
        for settled in held {
            let Some(charge) = Charge::from_account(&settled.account) else { continue };
            let Some(&id) = state.ids.get(&charge.scope) else { continue };
            let amount = is_known.then_some(PicoDollars(settled.amount));
            state.kernel.shown(id, (charge.cadence, charge.start), amount);
        }
    }

    /// They saw them, and what they hold is known since.
    pub(crate) fn vouch<'a>(&self, shown: impl Iterator<Item = &'a Shown>) {
        let mut state = self.lock();
        shown.for_each(|shown| state.kernel.vouch(shown));
    }

    /// They may have seen them, and what they hold is not known.
    pub(crate) fn show_again<'a>(&self, shown: impl Iterator<Item = &'a Shown>) {
        let mut state = self.lock();
        shown.for_each(|shown| state.kernel.note_again(shown));
    }

    /// What other gateways hold: all of it.
    pub(crate) fn set_elsewhere(&self, held: Vec<Settled>) {
        let mut elsewhere = Elsewhere::new();
        for Settled { account, amount } in held {
            let Some(Charge { scope, cadence, start }) = Charge::from_account(&account) else { continue };
            elsewhere.entry(scope).or_default().push((cadence, start, PicoDollars(amount)));
        }
        let mut state = self.lock();
        let before = std::mem::replace(&mut state.elsewhere, elsewhere);
        for (scope, held) in before {
            let Some(&id) = state.ids.get(&scope) else { continue };
            for (cadence, start, _) in held {
                state.kernel.set_elsewhere(id, (cadence, start), PicoDollars::ZERO);
            }
        }
        let state = &mut *state;
        for (scope, held) in &state.elsewhere {
            let Some(&id) = state.ids.get(scope) else { continue };
            for &(cadence, start, amount) in held {
                state.kernel.set_elsewhere(id, (cadence, start), amount);
            }
        }
    }

    /// What is to be shown of these budgets, in their order, before anything else is let in; those that are gone are left out.
    pub(crate) fn show_present<'a>(&self, beyond: impl Iterator<Item = &'a Beyond>) -> Vec<(Charge, Shown)> {
        let mut state = self.lock();
        let shown = beyond.filter_map(|&Beyond { account, cadence, start, .. }| {
            let scope = state.scopes.get(&account)?.clone();
            let shown = state.kernel.show_present(account, (cadence, start))?;
            Some((Charge { scope, cadence, start }, shown))
        });
        shown.collect()
    }

    /// These are let in.
    pub(crate) fn answered<'a>(&self, reservations: impl Iterator<Item = &'a mut Reservation>) {
        let mut state = self.lock();
        reservations.for_each(|reservation| state.kernel.answered(reservation));
    }

    /// Other gateways see this of a budget, and this is what they hold of it.
    pub(crate) fn confirmed(&self, charge: &Charge, shown: &Shown, elsewhere: PicoDollars) {
        let Charge { scope, cadence, start } = charge;
        let mut state = self.lock();
        let held = state.elsewhere.entry(scope.clone()).or_default();
        held.retain(|(of, from, _)| (of, from) != (cadence, start));
        held.push((*cadence, *start, elsewhere));
        let (id, period) = (shown.account, (*cadence, *start));
        state.kernel.set_elsewhere(id, period, elsewhere);
        state.kernel.shown(id, period, Some(shown.amount));
        state.kernel.vouch(shown);
    }
}
