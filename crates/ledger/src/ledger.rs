//! The ledger: who there is, what each has spent, and the way of every record into the books.
//!
//! Owns the order in which things become true: a change of a record is in the books before it is in memory, an intent in
//! the journal before its attempt is sent, a settlement in memory at once and in the books soon. Leaves the counting to
//! `accounts`, the files to `journal`, the carrying to `feeder`.
//!
//! **Invariant:** no lock of this module is held across an await, but the one that puts changes of records in order.

mod changing;
mod health;

use crate::accounts::Accounts;
use crate::attempt::LedgerUnavailable;
use crate::charge::{Charge, Past, scope_of};
use crate::clock::Clock;
use crate::confirming::Confirming;
use crate::feeder::{self, Feeder};
use crate::following::{Follower, Following};
use crate::journal::{Journal, Options, Orphan, Position};
use crate::rows::read_record;
use crate::uses::LastUses;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};
use tollgate_catalog::PicoDollars;
use tollgate_identity::{Directory, Kind, Limits, Record, Scope, ScopeKind};
use tollgate_policy::accounts::{Crossing, Reservation};
use tollgate_policy::clock::Wall;
use tollgate_store::StoreError;
use tollgate_store::books::{self, Batch, Books, Changes, Checkpoint, Records, SpendRow, Status};

/// Records that are kept in memory while the journal's disk refuses. Beyond, nothing is sent any more.
const BACKLOG_MAX: usize = 100_000;
/// Records that are read from the books at a time.
const RECORDS_PAGE: u32 = 500;

/// How often other gateways' changes are asked for at most, for callers whose keys are not known.
const CATCH_UP_EVERY: Duration = Duration::from_millis(250);

/// Told of a budget that has passed a mark.
pub type Listener = Box<dyn Fn(&Scope, &Crossing) + Send + Sync>;

/// Told of records that have changed, once they are so in memory.
pub type Observer = Box<dyn Fn(&Changes) + Send + Sync>;

/// Why a ledger could not begin.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The books cannot be read.
    #[error("the books cannot be read: {0}")]
    Books(#[from] StoreError),
    /// The journal cannot be opened.
    #[error(transparent)]
    Journal(#[from] crate::journal::OpenError),
    /// The system refuses something else.
    #[error("the ledger cannot begin: {0}")]
    System(#[from] std::io::Error),
}

/// Why a change of records was not made.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// The books do not take it.
    #[error(transparent)]
    Books(#[from] StoreError),
    /// There are no books.
    #[error("there is no database")]
    NoBooks,
}

/// What an earlier process left, and what became of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Attempts whose end was not known: settled as their intents said.
    pub orphans: usize,
    /// Rows that were in the journal and not yet in the books.
    pub replayed: usize,
    /// Damaged places of the journal, of which copies were kept.
    pub damages: usize,
    /// Records that could not be read, and are left out.
    pub unreadable: usize,
}

/// The ledger.
pub struct Ledger {
    clock: Clock,
    accounts: Accounts,
    directory: RwLock<Directory>,
    revision: AtomicI64,
    books: OnceLock<Books>,
    journal: OnceLock<Arc<Journal>>,
    feeder: Feeder,
    following: Following,
    confirming: Confirming,
    listener: OnceLock<Listener>,
    observer: OnceLock<Observer>,
    /// When it was begun last to ask for other gateways' changes, and why that was in vain.
    caught_up: tokio::sync::Mutex<Option<(Instant, Option<StoreError>)>>,
    /// Held while a change of records is made.
    changing: tokio::sync::Mutex<()>,
    uses: LastUses,
}

impl Ledger {
    /// A ledger of which nothing is kept until it is [begun](Self::begin).
    pub fn new(clock: Clock, accounts: Accounts) -> Self {
        Self {
            clock,
            accounts,
            directory: RwLock::default(),
            revision: AtomicI64::new(0),
            books: OnceLock::new(),
            journal: OnceLock::new(),
            feeder: Feeder::default(),
            following: Following::default(),
            confirming: Confirming::default(),
            listener: OnceLock::new(),
            observer: OnceLock::new(),
            caught_up: tokio::sync::Mutex::default(),
            changing: tokio::sync::Mutex::default(),
            uses: LastUses::default(),
        }
    }

    /// Its clocks.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// What each scope has spent and holds.
    pub fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    /// Who there is. Not to be held across an await.
    pub fn directory(&self) -> RwLockReadGuard<'_, Directory> {
        self.directory.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn directory_mut(&self) -> RwLockWriteGuard<'_, Directory> {
        self.directory.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The database; none before it has begun.
    pub fn books(&self) -> Option<&Books> {
        self.books.get()
    }

    /// Has budgets that pass a mark told; the first who asks is told.
    pub fn listen(&self, listener: Listener) {
        let _ = self.listener.set(listener);
    }

    /// Has changes of records told, whoever made them: the next request already finds what follows from them. The first who
    /// asks is told.
    pub fn observe(&self, observer: Observer) {
        let _ = self.observer.set(observer);
    }

    /// Takes over what is in the books, and what an earlier process left in the journal; from then on everything is kept.
    /// Without a folder there is no journal, and rows go to the books from memory.
    ///
    /// # Errors
    /// Where the books or the journal cannot be read.
    pub async fn begin(
        self: &Arc<Self>,
        books: Books,
        journal: Option<(PathBuf, Options)>,
    ) -> Result<Recovery, StartError> {
        let mut recovery = Recovery { unreadable: self.take_over(&books).await?, ..Recovery::default() };
        let seen = books.accounts_seen().await?;
        // Those in which nothing stands are of records that are gone, or as good as not there.
        for settled in books.load_accounts(0).await?.into_iter().filter(|settled| settled.amount != 0) {
            if let Some((scope, past)) = past_of(&settled.account, settled.amount) {
                self.accounts.remember(scope, past);
            }
        }
        let from = match journal {
            None => None,
            Some(journal) => Some(self.open_journal(&books, journal, &mut recovery).await?),
        };
        let follower = match &from {
            _ if !books.are_shared() => None,
            Some((journal, _)) => Some(self.join(&books, journal.clone(), seen).await?),
            None => Some(self.join(&books, feeder::random_name()?, seen).await?),
        };
        let _ = self.books.set(books.clone());
        self.feeder.start(self, books.clone(), from, follower)?;
        // Nobody waits for it: it is shown, and nothing is decided by it.
        let ledger = Arc::downgrade(self);
        tokio::spawn(async move {
            match (books.last_uses().await, ledger.upgrade()) {
                (Ok(known), Some(ledger)) => ledger.uses.remember(&known),
                (Err(error), _) => tracing::warn!(%error, "it is not known when keys were used last"),
                (Ok(_), None) => {}
            }
        });
        Ok(recovery)
    }

    async fn join(&self, books: &Books, gateway: String, seen: i64) -> Result<Follower, StoreError> {
        let follower = Follower::join(self, books, gateway, seen).await?;
        self.following.name(follower.gateway());
        Ok(follower)
    }

    /// When a key was answered last; none of one that never was.
    pub fn last_use(&self, token: &str) -> Option<Wall> {
        self.uses.of(token)
    }

    /// Takes all records over, a page at a time: there may be very many, and their rows take more than they do.
    async fn take_over(&self, books: &Books) -> Result<usize, StoreError> {
        let (mut unreadable, mut after, mut since) = (0, None, None);
        let newest = loop {
            let Records { records, revision } = books.records_after(after, RECORDS_PAGE).await?;
            since.get_or_insert(revision);
            let Some(last) = records.last() else { break revision };
            after = Some((last.kind.clone(), last.id.clone()));
            let mut directory = self.directory_mut();
            for row in &records {
                let Some(record) = read_record(row) else {
                    unreadable += 1;
                    continue;
                };
                if let Err(error) = directory.put(record) {
                    tracing::error!(%error, "a record cannot be read");
                }
            }
        };
        let since = since.unwrap_or(newest);
        // Somebody else has changed records meanwhile, maybe on a page that was read before.
        if since < newest {
            let changes = books.changes_since(since).await?;
            self.take_up(&mut self.directory_mut(), &changes);
            self.revision.store(changes.revision, Ordering::Release);
        } else {
            self.revision.store(since, Ordering::Release);
        }
        Ok(unreadable)
    }

    async fn open_journal(
        &self,
        books: &Books,
        (folder, options): (PathBuf, Options),
        recovery: &mut Recovery,
    ) -> Result<(String, Position), StartError> {
        let name = feeder::journal_name(&folder)?;
        let (journal, recovered) = Journal::open(&folder, options)?;
        let journal = Arc::new(journal);
        let checkpoint = books.checkpoint(&name).await?;
        let from =
            checkpoint.map_or(recovered.first, |at| Position { segment: at.segment, offset: at.offset });
        recovery.damages = recovered.damages.len();
        // What the books do not have yet: it was spent all the same.
        let mut at = from;
        loop {
            let batch = journal.read(at, usize::MAX)?;
            for (_, payload) in &batch.settled {
                if let Ok(row) = SpendRow::from_json(payload) {
                    self.remember_row(&row);
                    recovery.replayed += 1;
                }
            }
            if batch.next == at {
                break;
            }
            at = batch.next;
        }
        for Orphan { attempt, payload } in &recovered.orphans {
            recovery.orphans += 1;
            match SpendRow::from_json(payload) {
                Ok(row) => {
                    let row = SpendRow { recovered: true, estimated: true, ..row };
                    self.remember_row(&row);
                    journal.settle(*attempt, &row.to_json());
                }
                Err(error) => {
                    tracing::error!(%error, attempt = %format_args!("{attempt:032x}"), "an intent cannot be read");
                    journal.drop_intent(*attempt);
                }
            }
        }
        let _ = self.journal.set(journal);
        Ok((name, from))
    }

    fn remember_row(&self, row: &SpendRow) {
        for account in &row.accounts {
            if let Some((scope, past)) = past_of(account, row.charge()) {
                self.accounts.remember_unposted(scope, past);
            }
        }
    }

    /// Writes that an attempt is about to be sent; waits for the disk where it is under a budget.
    pub(crate) async fn intend(&self, row: &SpendRow, is_bound: bool) -> Result<(), LedgerUnavailable> {
        let Some(journal) = self.journal.get() else { return Ok(()) };
        let payload = row.to_json();
        if is_bound {
            return journal.intend(row.attempt_id, &payload).await.map_err(|_| LedgerUnavailable);
        }
        let (is_down, backlog) = journal.trouble();
        if is_down && backlog >= BACKLOG_MAX {
            return Err(LedgerUnavailable);
        }
        journal.note_intent(row.attempt_id, &payload);
        Ok(())
    }

    pub(crate) fn drop_intent(&self, attempt: u128) {
        if let Some(journal) = self.journal.get() {
            journal.drop_intent(attempt);
        }
    }

    /// Has a row carried into the books: of an attempt, or of anything else that is to be counted.
    pub fn settled(&self, row: &SpendRow) {
        if row.status == Status::Success {
            self.uses.note(&row.api_key, row.ended_at);
        }
        match self.journal.get() {
            Some(journal) => {
                journal.settle(row.attempt_id, &row.to_json());
            }
            None => self.feeder.keep(row),
        }
    }

    /// Has it told that a budget has passed a mark: here, or by another gateway that shares the books and has found it too.
    pub(crate) fn tell(&self, scope: &Scope, crossing: &Crossing) {
        if self.books.get().is_some_and(Books::are_shared) {
            self.following.pass(scope, crossing);
        } else {
            self.tell_here(scope, crossing);
        }
    }

    pub(crate) fn tell_here(&self, scope: &Scope, crossing: &Crossing) {
        if let Some(listener) = self.listener.get() {
            listener(scope, crossing);
        }
    }

    pub(crate) fn feeder(&self) -> &Feeder {
        &self.feeder
    }

    pub(crate) fn following(&self) -> &Following {
        &self.following
    }

    pub(crate) fn confirming(&self) -> &Confirming {
        &self.confirming
    }

    /// Has it confirmed that what is held fits beside what other gateways hold, where they may not know of so much; none where
    /// it does not, and is held no more. Where nobody answers it goes on.
    pub(crate) async fn confirm(&self, held: Reservation) -> Option<Reservation> {
        self.confirming.confirm(self, held).await
    }

    pub(crate) fn journal(&self) -> Option<&Arc<Journal>> {
        self.journal.get()
    }

    /// The limits of a record.
    fn limits_of(&self, scope: &Scope) -> Option<Limits> {
        let directory = self.directory();
        Some(directory.get(Kind::of_scope(scope.kind)?, &scope.id)?.limits.clone())
    }

    /// Takes this gateway's own change over, with those of others that came before it.
    async fn take_over_own(&self, books: &Books, own: &Changes) {
        if self.apply(own.revision - 1, own) || self.revision() >= own.revision {
            return;
        }
        if let Err(error) = self.take_over_changes(books).await {
            tracing::warn!(%error, "what others have changed cannot be read");
            // What was made here holds here at once; whoever follows the books reads it again with what came before it.
            let mut directory = self.directory_mut();
            if self.revision() < own.revision {
                self.take_up(&mut directory, own);
            }
            drop(directory);
            self.tell_changed(own);
        }
    }

    /// Takes over everything that is in the books now and not in memory.
    ///
    /// # Errors
    /// Where the books do not answer.
    pub(crate) async fn take_over_changes(&self, books: &Books) -> Result<(), StoreError> {
        let mut newest = None;
        loop {
            let seen = self.revision();
            // It ends: whenever somebody else was faster, memory has come further, and it has to come so far only.
            if newest.is_some_and(|newest| seen >= newest) {
                return Ok(());
            }
            let changes = books.changes_since(seen).await?;
            newest = newest.or(Some(changes.revision));
            if self.apply(seen, &changes) {
                return Ok(());
            }
        }
    }

    /// Takes changes over that were read from the books as what is not as it was at the revision `since`; not where memory
    /// has come further meanwhile: an old answer is no news. Says whether it did.
    pub fn apply(&self, since: i64, changes: &Changes) -> bool {
        let mut directory = self.directory_mut();
        if self.revision() != since {
            return false;
        }
        self.take_up(&mut directory, changes);
        self.revision.fetch_max(changes.revision, Ordering::AcqRel);
        drop(directory);
        self.tell_changed(changes);
        true
    }

    fn take_up(&self, directory: &mut Directory, changes: &Changes) {
        let wall = self.clock.wall();
        for (kind, id) in &changes.deleted {
            let removed = Kind::from_word(kind).and_then(|kind| directory.remove(kind, id));
            // The account of a key that has a successor is the successor's.
            let removed = removed.filter(|record| record.successor().is_none());
            if let Some(scope) = removed.as_deref().and_then(scope_of) {
                self.accounts.close(scope.kind, &scope.id);
            }
        }
        for row in &changes.written {
            let Some(record) = read_record(row) else { continue };
            match directory.put(record) {
                Ok(changed) => changed.iter().for_each(|record| self.configure(record, wall)),
                Err(error) => tracing::error!(%error, "a record cannot be read"),
            }
        }
    }

    fn tell_changed(&self, changes: &Changes) {
        if let Some(observer) = self.observer.get() {
            observer(changes);
        }
    }

    fn configure(&self, record: &Record, wall: Wall) {
        if record.successor().is_some() {
            // Its limits are its successor's, and nothing is booked in its own account any more.
            self.accounts.close(ScopeKind::Key, &record.id);
            return;
        }
        if let Some(scope) = scope_of(record) {
            self.accounts.configure(&scope, &record.limits, wall);
        }
    }

    /// Takes over what other gateways have changed up to now, so that a key that they have made is known, and a key that is
    /// not known is known not to be one. Asked again and again it asks the books a few times a second at most.
    ///
    /// # Errors
    /// Where the books do not answer: then nobody knows.
    pub async fn catch_up(&self) -> Result<(), StoreError> {
        let Some(books) = self.books.get().filter(|books| books.are_shared()) else { return Ok(()) };
        let came = Instant::now();
        let mut asked = self.caught_up.lock().await;
        if let Some((began, error)) = &*asked {
            // What was asked since holds for all who waited: also that there was no answer.
            if *began >= came {
                return error.clone().map_or(Ok(()), Err);
            }
            tokio::time::sleep(CATCH_UP_EVERY.saturating_sub(began.elapsed())).await;
        }
        let began = Instant::now();
        let answer = self.take_over_changes(books).await;
        *asked = Some((began, answer.as_ref().err().cloned()));
        answer
    }

    /// Takes over what other gateways have changed, at once: for operators, who are few and want to see what they did at
    /// another gateway.
    ///
    /// # Errors
    /// Where the books are away, or do not answer.
    pub async fn look_up(&self) -> Result<(), StoreError> {
        let Some(books) = self.books.get().filter(|books| books.are_shared()) else { return Ok(()) };
        if books.are_silent() {
            let detail = "it is away".to_owned();
            return Err(StoreError::Unavailable { database: books.place(), detail });
        }
        self.take_over_changes(books).await
    }

    /// Up to which change of records it has come.
    pub fn revision(&self) -> i64 {
        self.revision.load(Ordering::Acquire)
    }

    /// Carries what waits into the books and ends; gives up at the end of `patience`, and the rest is carried at the next
    /// start.
    pub async fn close(&self, patience: std::time::Duration) {
        if let Some(journal) = self.journal.get() {
            let _ = tokio::time::timeout(patience, journal.flush()).await;
        }
        self.feeder.close(patience).await;
    }
}

fn past_of(account: &books::Account, settled: i128) -> Option<(Scope, Past)> {
    let Charge { scope, cadence, start } = Charge::from_account(account)?;
    Some((scope, Past { cadence, start, settled: PicoDollars(settled) }))
}

/// A batch for the books.
pub(crate) fn batch(journal: &str, upto: Position, rows: Vec<SpendRow>) -> Batch {
    let upto = Checkpoint { segment: upto.segment, offset: upto.offset };
    Batch { journal: journal.to_owned(), upto, rows }
}
