//! Changes that this gateway makes: of records, and of what attempts have cost.
//!
//! **Invariant:** what is changed is in the books before it is in memory.

use super::{CommitError, Ledger};
use crate::charge::{Charge, scope_of};
use crate::following::alone_with;
use std::collections::{BTreeMap, HashSet};
use tollgate_catalog::PicoDollars;
use tollgate_identity::{Kind, Limits, Scope, ScopeKind};
use tollgate_store::StoreError;
use tollgate_store::books::{self, Books, Changes, Charging, Put, RecordChange, Repriced, Settled};

/// Whom spending is booked to in the books even where no record is there of them: whoever calls names them.
const UNWRITTEN: [ScopeKind; 3] = [ScopeKind::EndUser, ScopeKind::Tag, ScopeKind::User];

impl Ledger {
    /// Makes a change of records: in the books, then in memory. Changes are made one after another.
    ///
    /// # Errors
    /// Where the books do not take it; nothing has changed then.
    pub async fn commit(&self, mut change: RecordChange) -> Result<i64, CommitError> {
        let books = self.books.get().ok_or(CommitError::NoBooks)?;
        let order = self.changing.lock().await;
        let made = (change.puts.clone(), change.deletes.clone(), change.accounts.clone());
        change.accounts.extend(self.emptied(&change.deletes));
        let alone = alone_with(self, &change.accounts).await;
        self.recall(books, &change.puts, alone.is_some()).await?;
        let revision = books.commit(change).await?;
        let (puts, deletes, accounts) = made;
        let written = puts.into_iter().map(|put| books::Record {
            kind: put.kind,
            id: put.id,
            doc: put.doc,
            version: revision,
        });
        let deleted = deletes.into_iter().map(|delete| (delete.kind, delete.id)).collect();
        let own = Changes { written: written.collect(), deleted, revision };
        self.take_over_own(books, &own).await;
        for settled in accounts {
            if let Some(charge) = Charge::from_account(&settled.account) {
                self.accounts.set(&charge, PicoDollars(settled.amount));
            }
        }
        drop((alone, order));
        Ok(revision)
    }

    /// What was spent under the names of new records while nothing was written of them, so that their budgets begin with it. Of
    /// books that are shared it is known already; what is on its way at this moment is found at the next start.
    async fn recall(&self, books: &Books, puts: &[Put], is_alone: bool) -> Result<(), StoreError> {
        let unwritten = self.unwritten(puts);
        if books.are_shared() || unwritten.is_empty() {
            return Ok(());
        }
        let alone = if is_alone { None } else { Some(self.following.order().lock_owned().await) };
        let wall = self.clock.wall();
        for (kind, ids) in unwritten {
            for Settled { account, amount } in books.accounts_of(kind.to_owned(), ids).await? {
                if let Some(charge) = Charge::from_account(&account) {
                    self.accounts.follow(charge, wall, PicoDollars(amount));
                }
            }
        }
        drop(alone);
        Ok(())
    }

    /// Of whom nothing was written up to now and yet may have been spent, by the names of their kinds.
    fn unwritten(&self, puts: &[Put]) -> BTreeMap<&'static str, Vec<String>> {
        let mut unwritten: BTreeMap<&'static str, Vec<String>> = BTreeMap::new();
        let directory = self.directory();
        for put in puts {
            let kind = Kind::from_word(&put.kind).filter(|kind| directory.get(*kind, &put.id).is_none());
            if let Some(scope) = kind.and_then(Kind::scope).filter(|it| UNWRITTEN.contains(it)) {
                unwritten.entry(scope.word()).or_default().push(put.id.clone());
            }
        }
        unwritten
    }

    /// The accounts of what is deleted: whoever is made under the same id has spent nothing.
    fn emptied(&self, deletes: &[books::Delete]) -> Vec<Settled> {
        let directory = self.directory();
        let records = deletes.iter().filter_map(|it| directory.get(Kind::from_word(&it.kind)?, &it.id));
        // One that has a successor spends what that may spend.
        let scopes = records.filter(|record| record.successor().is_none()).filter_map(|it| scope_of(it));
        let gone: HashSet<Scope> = scopes.collect();
        drop(directory);
        if gone.is_empty() {
            return Vec::new();
        }
        // With the accounts of its models.
        let is_gone = |scope: &Scope| gone.contains(&Scope { model: None, ..scope.clone() });
        let charges = self.accounts.charges_of(is_gone, self.clock.wall()).into_iter();
        charges.map(|charge| Settled { account: charge.into_account(), amount: 0 }).collect()
    }

    /// Sets what attempts cost, in the books; with [`Charging::Correct`] the accounts in memory get what theirs got, and marks
    /// that are passed by it are told. Says how many were changed. `rules` has the limits of those that have no record.
    ///
    /// # Errors
    /// Where the books do not take it.
    pub async fn reprice(
        &self,
        priced: Vec<Repriced>,
        charging: Charging,
        rules: &(dyn Fn(&Scope) -> Option<Limits> + Sync),
    ) -> Result<u64, CommitError> {
        let books = self.books.get().ok_or(CommitError::NoBooks)?;
        let alone = self.following.order().lock_owned().await;
        let done = books.reprice(priced, charging).await?;
        let wall = self.clock.wall();
        for settled in &done.differences {
            let Some(charge) = Charge::from_account(&settled.account) else { continue };
            let limits = self.limits_of(&charge.scope).or_else(|| rules(&charge.scope));
            let difference = PicoDollars(settled.amount);
            for (scope, crossing) in self.accounts.correct(&charge, limits.as_ref(), wall, difference) {
                self.tell(&scope, &crossing);
            }
        }
        drop(alone);
        Ok(done.attempts)
    }
}
