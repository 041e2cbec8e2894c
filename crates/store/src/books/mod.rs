//! The books: what the admin API keeps, what was spent, and who changed what, in SQLite or in PostgreSQL.
//!
//! Owns the facade and the choice of the engine; every noun has a module, written once for both engines
//! (`session.rs`). Leaves to others what a document means, whose spend counts where, and what time it is.
//!
//! **Invariant**: a write that was answered with `Ok` is committed and outlives the loss of power. **Invariant**: both
//! engines answer alike.

mod accounts;
mod audit;
mod clauses;
mod columns;
mod confirm;
mod daily;
mod holds;
mod litellm;
mod logs;
mod post;
mod postgres;
mod records;
mod reports;
mod reprice;
mod row;
mod session;
pub(crate) mod sqlite;
#[cfg(test)]
mod tests;
mod told;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

pub use accounts::{AccountChanges, Settled};
pub use audit::{AuditCheck, AuditEntry, AuditFilter, AuditPage, AuditRow, Tampering};
pub use clauses::Page;
pub use columns::{ID_BYTES_MAX, TOKENS_MAX, day_of};
pub use confirm::{Answer, Asked, Claimed, Found, Need, Question};
pub use daily::{EntityKind, Totals};
pub use holds::{Holds, Joined, Look};
pub use litellm::{LiteLlmDatabase, LiteLlmRows, LiteLlmTable};
pub use logs::{LogFilter, LogOrder, LogPage, LogQuery, SessionSum, TOTAL_MAX, Visible};
pub use post::{Batch, Checkpoint};
pub use postgres::PostgresOptions;
pub use records::{
    Changes, Delete, Expected, Put, RECORD_BYTES_MAX, RECORD_ID_BYTES_MAX, Record, RecordChange, Records,
};
pub use reports::{DailyFilter, DailyPage, DailyRow, Group, Sum, SumQuery};
pub use reprice::{Charging, Correction, Repriced};
pub use row::{Account, SpendRow, Status};
pub use told::Claim;

use self::postgres::{Mode, Postgres};
use self::session::Session;
use self::sqlite::Transaction;
use crate::error::{Fault, StoreError};
use crate::lazy::LazyStore;
use crate::options::Durability;
use crate::store::Store;

/// The books of a gateway. Clones are the same books.
#[derive(Clone)]
pub struct Books {
    engine: Engine,
    /// Never told anything: what those watch who have no other gateway beside them.
    silence: Arc<watch::Sender<i64>>,
}

#[derive(Clone)]
enum Engine {
    /// A file that is open.
    Open(Store),
    /// A file that is opened when it is needed.
    Lazy(Arc<LazyStore>),
    /// PostgreSQL.
    Postgres(Arc<Postgres>),
}

impl Books {
    /// Books in an embedded database that is open.
    pub fn of_store(store: Store) -> Self {
        Self::on(Engine::Open(store))
    }

    /// Books in an embedded database that is opened, and created, by the first who writes: until then they are empty.
    pub fn sqlite(store: Arc<LazyStore>) -> Self {
        Self::on(Engine::Lazy(store))
    }

    /// Books in PostgreSQL, at `postgresql://user:password@host:port/database?sslmode=...`. No connection is opened before
    /// the first request; [`ready`](Self::ready) is one.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] for an address, an option of it or a schema that cannot be used, and for files of
    /// certificates that cannot be read.
    pub fn postgres(url: &str, options: PostgresOptions) -> Result<Self, StoreError> {
        Ok(Self::on(Engine::Postgres(Arc::new(Postgres::new(url, options)?))))
    }

    /// Where the books are, for people: a file, or host, port and database. Never a user or a password.
    pub fn place(&self) -> String {
        match &self.engine {
            Engine::Open(store) => store.location().to_string(),
            Engine::Lazy(lazy) => lazy.location().to_string(),
            Engine::Postgres(postgres) => postgres.place().to_owned(),
        }
    }

    fn on(engine: Engine) -> Self {
        Self { engine, silence: Arc::new(watch::channel(0).0) }
    }

    /// Opens the database if it is not open, brings its schema up to this release, and asks it for the revision of the last
    /// change of records.
    ///
    /// # Errors
    /// Whatever keeps the database from being used.
    pub async fn ready(&self) -> Result<i64, StoreError> {
        self.write(records::revision).await
    }

    /// The revision of the last change of records, as it becomes known: of changes of other gateways within
    /// [`PostgresOptions::poll_interval`] at the latest, mostly at once. 0 until something is known; in an embedded database
    /// it stays so.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when no thread can be started.
    pub fn listen(&self) -> Result<watch::Receiver<i64>, StoreError> {
        match &self.engine {
            Engine::Open(_) | Engine::Lazy(_) => Ok(self.silence.subscribe()),
            Engine::Postgres(postgres) => postgres.listen(),
        }
    }

    /// Whether other gateways may change them too.
    pub fn are_shared(&self) -> bool {
        matches!(self.engine, Engine::Postgres(_))
    }

    /// Whether whoever [listens](Self::listen) hears nothing of the database any more; of an embedded one there is nothing to
    /// be heard.
    pub fn are_silent(&self) -> bool {
        match &self.engine {
            Engine::Open(_) | Engine::Lazy(_) => false,
            Engine::Postgres(postgres) => postgres.is_silent(),
        }
    }

    /// Closes connections to PostgreSQL when what waits has been carried out. An embedded database is closed by whoever has
    /// opened it.
    pub async fn close(&self) {
        if let Engine::Postgres(postgres) = &self.engine {
            postgres.close().await;
        }
    }

    /// Every record, with the revision at which it was so.
    ///
    /// # Errors
    /// Those of every read.
    pub async fn records(&self) -> Result<Records, StoreError> {
        self.read(records::all).await
    }

    /// At most `limit` records after the one of this kind and id, from the first on where there is none, by kind and id; the
    /// revision is that of this page. For whoever wants all of them and not all at once: what
    /// [changes since](Self::changes_since) the first page's revision has to be taken in after the last.
    ///
    /// # Errors
    /// Those of every read.
    pub async fn records_after(
        &self,
        after: Option<(String, String)>,
        limit: u32,
    ) -> Result<Records, StoreError> {
        self.read(move |session| records::page(session, after.as_ref(), limit)).await
    }

    /// Carries a change out, and returns its revision: the version of every record that it wrote.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when a record is not as expected, [`StoreError::Invalid`] and [`StoreError::TooLarge`] for
    /// what cannot be kept, and those of every write. After [`StoreError::Unavailable`] it may have been carried out;
    /// [`changes_since`](Self::changes_since) tells.
    pub async fn commit(&self, change: RecordChange) -> Result<i64, StoreError> {
        records::check(&change)?;
        self.write(move |session| records::commit(session, &change)).await
    }

    /// What is not as it was at a revision.
    ///
    /// # Errors
    /// Those of every read.
    pub async fn changes_since(&self, revision: i64) -> Result<Changes, StoreError> {
        self.look(move |session| records::since(session, revision)).await
    }

    /// Puts rows of a journal that are not there yet, adds them to sums and accounts, moves the journal's checkpoint, and
    /// says how many rows were new. Posting twice is posting once.
    ///
    /// # Errors
    /// Those of every write. Whatever the error, the same batch can be posted again.
    pub async fn post(&self, batch: Batch) -> Result<u64, StoreError> {
        let batch = post::ready(batch);
        self.write(move |session| post::post(session, &batch)).await
    }

    /// How far a journal is in the books; `None` for one that they do not know.
    ///
    /// # Errors
    /// Those of every read.
    pub async fn checkpoint(&self, journal: &str) -> Result<Option<Checkpoint>, StoreError> {
        let journal = journal.to_owned();
        self.look(move |session| post::checkpoint(session, &journal)).await
    }

    /// The accounts whose period began at this moment (microseconds since 1970) or later, and those that never end.
    ///
    /// # Errors
    /// Those of every read.
    pub async fn load_accounts(&self, since: i64) -> Result<Vec<Settled>, StoreError> {
        self.read(move |session| accounts::load(session, since)).await
    }

    /// The accounts of these scopes of a kind, of all periods.
    ///
    /// # Errors
    /// Those of every read.
    pub async fn accounts_of(&self, kind: String, ids: Vec<String>) -> Result<Vec<Settled>, StoreError> {
        self.read(move |session| accounts::of(session, &kind, &ids)).await
    }

    /// From where on [`others`](Self::others) is to be asked: of what is there now, and of nothing that is
    /// read after this, a change is missed.
    ///
    /// # Errors
    /// Those of every read.
    pub async fn accounts_seen(&self) -> Result<i64, StoreError> {
        self.look(accounts::seen).await
    }

    /// A gateway begins, under its journal's id. In an embedded database it is alone.
    ///
    /// # Errors
    /// Those of every write.
    pub async fn join(&self, gateway: String) -> Result<Joined, StoreError> {
        if !self.are_shared() {
            return Ok(Joined::default());
        }
        self.write(move |session| holds::join(session, &gateway)).await
    }

    /// It ends, and holds nothing any more.
    ///
    /// # Errors
    /// Those of every write.
    pub async fn leave(&self, gateway: String) -> Result<(), StoreError> {
        self.write(move |session| holds::leave(session, &gateway)).await
    }

    /// Shows other gateways what is news of what one holds.
    ///
    /// # Errors
    /// Those of every write.
    pub async fn show_holds(&self, holds: Holds) -> Result<(), StoreError> {
        self.write_in_haste(move |session| holds::show(session, &holds)).await
    }

    /// Shows them all of it, that it is there, and up to which of those that began it has shown it to.
    ///
    /// # Errors
    /// Those of every write.
    pub async fn renew(&self, holds: Holds, knows: i64) -> Result<(), StoreError> {
        self.write_in_haste(move |session| holds::renew(session, &holds, knows)).await
    }

    /// Whether what a gateway wants to let in fits into budgets beside what all of them have spent and hold; what fits is shown
    /// to the others at once.
    ///
    /// # Errors
    /// Those of every write.
    pub async fn confirm(&self, question: Question) -> Result<Answer, StoreError> {
        self.write_in_haste(move |session| confirm::confirm(session, &question)).await
    }

    /// [Posts](Self::post), and sets what is held of the accounts in the same transaction.
    ///
    /// # Errors
    /// Those of every write. Whatever the error, the same batch can be posted again.
    pub async fn post_and_show(&self, batch: Batch, holds: Holds) -> Result<u64, StoreError> {
        self.write(move |session| holds::post(session, &batch, &holds)).await
    }

    /// What other gateways have spent since, some of it perhaps a second time, and what they hold, in one state of the database.
    /// In an embedded one there is nothing of it. After a long time it may be as much as at the start: `is_long` gives it as
    /// much time.
    ///
    /// # Errors
    /// Those of every read.
    pub async fn others(&self, gateway: String, seen: i64, is_long: bool) -> Result<Look, StoreError> {
        let look = move |session: &mut dyn Session| holds::look(session, &gateway, seen);
        if is_long { self.read(look).await } else { self.look(look).await }
    }

    /// Says of each of these marks, in their order, whether it is for whoever asks to tell it: whether nobody was told so
    /// before it.
    ///
    /// # Errors
    /// Those of every write.
    pub async fn claim(&self, claims: Vec<Claim>) -> Result<Vec<bool>, StoreError> {
        if !self.are_shared() {
            return Ok(vec![true; claims.len()]);
        }
        self.write(move |session| told::claim(session, &claims)).await
    }

    /// Says of each of these, in their order, whether nobody was told it before, over restarts too. The mark does not matter.
    ///
    /// # Errors
    /// Those of every write.
    pub async fn claim_once(&self, claims: Vec<Claim>) -> Result<Vec<bool>, StoreError> {
        self.write(move |session| told::once(session, &claims)).await
    }

    /// When each key was answered last, in microseconds since 1970.
    ///
    /// # Errors
    /// Those of every read.
    pub async fn last_uses(&self) -> Result<Vec<(String, i64)>, StoreError> {
        self.read(accounts::last_uses).await
    }

    /// Sets what stands in an account. For a change of records that sets accounts too, see [`RecordChange::accounts`].
    ///
    /// # Errors
    /// [`StoreError::Invalid`] for more than 37 digits, and those of every write.
    pub async fn set_account(&self, settled: Settled) -> Result<(), StoreError> {
        let settled = [settled];
        accounts::check(&settled)?;
        self.write(move |session| accounts::set(session, &settled)).await
    }

    /// Removes accounts of periods that eight later ones of the same budget have followed, at most `batch` of them, and says
    /// how many: when it is `batch`, there may be more. Those that never end stay. What was told of periods that began before
    /// a moment is forgotten.
    ///
    /// # Errors
    /// Those of every write.
    pub async fn purge_accounts(&self, told_before: i64, batch: u32) -> Result<u64, StoreError> {
        self.tidy(move |session| accounts::purge(session, told_before, batch)).await
    }

    /// Single attempts, page by page. Conversations are read only if the query says so.
    ///
    /// # Errors
    /// Those of every read.
    pub async fn spend_logs(&self, query: LogQuery) -> Result<LogPage, StoreError> {
        self.search(move |session| logs::page(session, &query)).await
    }

    /// Attempts in the order in which they began, without conversations; [`LogFilter::after`] is where the last call ended.
    ///
    /// # Errors
    /// Those of every read.
    pub async fn scan_attempts(&self, filter: LogFilter, limit: u32) -> Result<Vec<SpendRow>, StoreError> {
        self.look(move |session| logs::scan(session, &filter, limit)).await
    }

    /// Sets what attempts cost, corrects every sum that they are in, and says how many of them there are and what accounts
    /// got. Twice is once.
    ///
    /// # Errors
    /// Those of every write.
    pub async fn reprice(&self, priced: Vec<Repriced>, charging: Charging) -> Result<Correction, StoreError> {
        self.write(move |session| reprice::reprice(session, &priced, charging)).await
    }

    /// What these sessions cost, by their ids; those that are not known are not there.
    ///
    /// # Errors
    /// Those of every read.
    pub async fn session_sums(&self, ids: Vec<String>) -> Result<Vec<SessionSum>, StoreError> {
        self.search(move |session| logs::sessions(session, &ids)).await
    }

    /// Sums over days, by whatever they are grouped by. Without groups it is one, also where nothing was spent.
    ///
    /// # Errors
    /// Those of every read.
    pub async fn sums(&self, query: SumQuery) -> Result<Vec<Sum>, StoreError> {
        let is_one = query.group_by.is_empty();
        let mut sums = self.look(move |session| reports::sums(session, &query)).await?;
        if is_one && sums.is_empty() {
            sums.push(Sum::default());
        }
        Ok(sums)
    }

    /// The rows of which sums are made, the newest day first.
    ///
    /// # Errors
    /// Those of every read.
    pub async fn daily(&self, filter: DailyFilter, page: Page) -> Result<DailyPage, StoreError> {
        self.look(move |session| reports::rows(session, &filter, page)).await
    }

    /// Removes attempts that began before a moment (microseconds since 1970), oldest first and at most `batch` of them, and
    /// says how many: when it is `batch`, there may be more. Sums and accounts stay.
    ///
    /// # Errors
    /// Those of every write.
    pub async fn purge_attempts(&self, before: i64, batch: u32) -> Result<u64, StoreError> {
        self.tidy(move |session| logs::purge(session, before, batch)).await
    }

    /// Who changed what, page by page.
    ///
    /// # Errors
    /// Those of every read.
    pub async fn audit(&self, filter: AuditFilter, page: Page) -> Result<AuditPage, StoreError> {
        self.search(move |session| audit::page(session, &filter, page)).await
    }

    /// Goes through the whole audit and names the first row that is not as it was written.
    ///
    /// # Errors
    /// Those of every read.
    pub async fn verify_audit(&self) -> Result<AuditCheck, StoreError> {
        let mut check = AuditCheck::default();
        loop {
            let (next, has_more) = self.look(move |session| audit::verify(session, check.clone())).await?;
            if !has_more {
                return Ok(next);
            }
            check = next;
        }
    }

    /// For what the gateway has to know as a whole: there may be much of it.
    async fn read<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Default + Send + 'static,
        F: Fn(&mut dyn Session) -> Result<T, Fault> + Send + 'static,
    {
        match &self.engine {
            Engine::Postgres(postgres) => postgres.perform(Mode::Load, work).await,
            _ => match self.reading().await? {
                Some(store) => store.read(move |connection| work(&mut Transaction(connection))).await,
                None => Ok(T::default()),
            },
        }
    }

    /// For what is small, and for reports, which are made of sums: given up when it takes too long.
    async fn look<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Default + Send + 'static,
        F: Fn(&mut dyn Session) -> Result<T, Fault> + Send + 'static,
    {
        self.within(Mode::Look, Store::report_timeout, work).await
    }

    /// For what callers look for among rows: given up soon.
    async fn search<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Default + Send + 'static,
        F: Fn(&mut dyn Session) -> Result<T, Fault> + Send + 'static,
    {
        self.within(Mode::Search, Store::search_timeout, work).await
    }

    async fn within<T, F>(
        &self,
        mode: Mode,
        patience: fn(&Store) -> Duration,
        work: F,
    ) -> Result<T, StoreError>
    where
        T: Default + Send + 'static,
        F: Fn(&mut dyn Session) -> Result<T, Fault> + Send + 'static,
    {
        match &self.engine {
            Engine::Postgres(postgres) => postgres.perform(mode, work).await,
            _ => match self.reading().await? {
                Some(store) => {
                    let patience = patience(store);
                    store.read(move |connection| sqlite::within(patience, connection, &work)).await
                }
                None => Ok(T::default()),
            },
        }
    }

    /// The embedded store, if it is there: looking for something makes no file.
    async fn reading(&self) -> Result<Option<&Store>, StoreError> {
        match &self.engine {
            Engine::Open(store) => Ok(Some(store)),
            Engine::Lazy(lazy) if lazy.exists() => lazy.get().await.map(Some),
            Engine::Lazy(_) | Engine::Postgres(_) => Ok(None),
        }
    }

    /// A write that takes away: where there is no file yet there is nothing to be taken, and none is made.
    async fn tidy<F>(&self, work: F) -> Result<u64, StoreError>
    where
        F: Fn(&mut dyn Session) -> Result<u64, Fault> + Send + 'static,
    {
        match &self.engine {
            Engine::Lazy(lazy) if !lazy.exists() => Ok(0),
            _ => self.write(work).await,
        }
    }

    /// A write of what is of use at once or not at all, and is written again should it be lost.
    async fn write_in_haste<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Fn(&mut dyn Session) -> Result<T, Fault> + Send + 'static,
    {
        match &self.engine {
            Engine::Postgres(postgres) => postgres.perform(Mode::Haste, work).await,
            _ => self.write(work).await,
        }
    }

    /// `work` may be run more than once, and what it did before is undone then.
    async fn write<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Fn(&mut dyn Session) -> Result<T, Fault> + Send + 'static,
    {
        let store = match &self.engine {
            Engine::Open(store) => store,
            Engine::Lazy(lazy) => lazy.get().await?,
            Engine::Postgres(postgres) => return postgres.perform(Mode::Write, work).await,
        };
        store.write(Durability::Full, move |connection| work(&mut Transaction(connection))).await
    }
}
