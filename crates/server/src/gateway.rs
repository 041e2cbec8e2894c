//! What all workers share: the routes, the metrics, the snapshot and the drain.

use crate::build::BuildError;
use crate::checks::Checks;
use crate::drain::{Drain, Stage};
use crate::guesses::Guesses;
use crate::made::{self, Stored, Unfit};
use crate::routes::Routes;
use crate::routing::{Admission, Alerts, Fleet, Leg, Tally, Word, Words, recall};
use crate::settings;
use crate::snapshot::Snapshot;
use crate::telemetry::Metrics;
use crate::toll::{Foresight, Sought, TollRules, Trouble, found_at_start, listener};
use crate::vitals::Vitals;
use arc_swap::ArcSwap;
use serde_json::{Map, Value};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::watch;
use tollgate_catalog::Overlay;
use tollgate_config::{Config, Durability, LedgerSettings, Loaded};
use tollgate_identity::Kind;
use tollgate_ledger::journal::{Options, Sync as Outlives};
use tollgate_ledger::{Accounts, Ledger, Recovery, StartError};
use tollgate_policy::accounts::Kernel;
use tollgate_policy::clock::Wall;
use tollgate_store::books::{Books, Changes, PostgresOptions};
use tollgate_store::{LazyStore, Location, StoreError, StoreOptions};

/// Rows of one deletion of what has expired.
const PURGE_BATCH: u32 = 1_000;
/// How long it is known what was told of a period: a year, and the one before it.
const TOLD_KEPT_MICROS: i64 = 2 * 366 * 24 * 60 * 60 * 1_000_000;
/// How long rows of requests are kept that nobody is shown: what reaches the database twice is counted once by them.
const HIDDEN_ROWS_KEPT: Duration = Duration::from_secs(86_400);

/// How often it is looked where budgets are going.
const FORESEE_EVERY: Duration = Duration::from_secs(5 * 60);

/// How often it is looked whether the journal's disk and the database take what they are given.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// How long the end of the process waits for the last rows to be in the database; what is not is in the journal.
const LEDGER_PATIENCE: Duration = Duration::from_secs(5);

/// A ledger of which nothing is kept yet.
fn new_ledger(
    rules: &TollRules,
    clock: crate::routing::Clock,
    wall: impl Fn() -> Wall + Send + Sync + 'static,
) -> Ledger {
    let clock = tollgate_ledger::Clock::new(move || clock.now(), wall);
    let accounts = Accounts::new(Kernel::new(rules.zone()), rules.defaults());
    Ledger::new(clock, accounts)
}

fn postgres_options(settings: &LedgerSettings) -> PostgresOptions {
    PostgresOptions {
        connections: usize::try_from(settings.database_connections_max).unwrap_or(1),
        acquire_timeout: settings.database_timeout,
        ..PostgresOptions::default()
    }
}

/// The configuration as the operator wrote it; what is served is that with what the admin API has made.
struct Origin {
    config: Config,
    overlay: Option<Overlay>,
}

/// Whether a change of records is one of what is served.
fn concerns_models(changes: &Changes) -> bool {
    let kinds = [Kind::Model, Kind::Credential, Kind::Setting].map(Kind::word);
    let written = changes.written.iter().map(|record| record.kind.as_str());
    let deleted = changes.deleted.iter().map(|(kind, _)| kind.as_str());
    written.chain(deleted).any(|kind| kinds.contains(&kind))
}

/// Why a gateway could not be made.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// The configuration cannot be served.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The table of routes contradicts itself.
    #[error("routes: {0}")]
    Routes(String),
}

/// The gateway.
pub struct Gateway {
    routes: Routes,
    metrics: Metrics,
    snapshot: ArcSwap<Snapshot>,
    /// Held while a snapshot is made, so that none is made of what another has already replaced.
    origin: Mutex<Origin>,
    drain: Arc<Drain>,
    fleet: Arc<Fleet>,
    alerts: Alerts,
    tally: Tally,
    admission: Arc<Admission>,
    checks: Checks,
    guesses: Guesses,
    reloads: watch::Sender<u64>,
    words: Words,
    store: Arc<LazyStore>,
    retention_seconds: i64,
    ledger: Arc<Ledger>,
    foresight: Foresight,
    trouble: Trouble,
    vitals: Vitals,
}

impl Gateway {
    /// A gateway that serves this configuration. `overlay` has the operator's own facts about models.
    ///
    /// # Errors
    /// [`GatewayError::Build`] names the entry that cannot be served.
    pub fn new(config: Config, overlay: Option<Overlay>) -> Result<Arc<Self>, GatewayError> {
        let wall = || {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
            Wall::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
        };
        Self::with_wall(config, overlay, wall)
    }

    /// The same, on whose wall another clock hangs: budgets and keys go by it.
    ///
    /// # Errors
    /// As for [`new`](Self::new).
    pub fn with_wall(
        config: Config,
        overlay: Option<Overlay>,
        wall: impl Fn() -> Wall + Send + Sync + 'static,
    ) -> Result<Arc<Self>, GatewayError> {
        let metrics = Metrics::new();
        let location = match &config.tollgate.database_file {
            Some(file) => Location::File(file.clone()),
            None => Location::Memory,
        };
        let retention_seconds =
            i64::try_from(config.tollgate.responses_retention.as_secs()).unwrap_or(i64::MAX);
        let fleet = Fleet::new();
        let alerts = Alerts::new(&metrics);
        alerts.configure(&config);
        let admission = Arc::new(Admission::default());
        admission.configure(&config);
        let origin = Origin { config, overlay };
        let (snapshot, _) = build(&origin, &Stored::default(), (&metrics, &fleet), None)?;
        let ledger = new_ledger(snapshot.toll_rules(), fleet.clock(), wall);
        let routes = Routes::new().map_err(GatewayError::Routes)?;
        Ok(Arc::new(Self {
            routes,
            metrics,
            snapshot: ArcSwap::from_pointee(snapshot),
            origin: Mutex::new(origin),
            drain: Arc::default(),
            fleet,
            alerts,
            tally: Tally::default(),
            admission,
            checks: Checks::default(),
            guesses: Guesses::default(),
            reloads: watch::Sender::default(),
            words: Words::default(),
            store: Arc::new(LazyStore::new(location, StoreOptions::default())),
            retention_seconds,
            ledger: Arc::new(ledger),
            foresight: Foresight::default(),
            trouble: Trouble::default(),
            vitals: Vitals::default(),
        }))
    }

    /// Takes a new configuration over as a whole. Requests that run keep the old one to their end.
    ///
    /// # Errors
    /// [`BuildError`]; the old configuration stays.
    pub fn reload(&self, config: Config, overlay: Option<Overlay>) -> Result<(), BuildError> {
        let mut origin = self.origin();
        let new = Origin { config, overlay };
        let stored = Stored::of(&self.ledger.directory());
        let (snapshot, unfit) =
            build(&new, &stored, (&self.metrics, &self.fleet), Some(&self.snapshot.load()))?;
        *origin = new;
        self.serve(snapshot, &unfit);
        self.metrics.reloads.inc();
        Ok(())
    }

    fn origin(&self) -> MutexGuard<'_, Origin> {
        self.origin.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets requests find a new snapshot from now on.
    fn serve(&self, snapshot: Snapshot, unfit: &[Unfit]) {
        for Unfit { id, member, reason } in unfit {
            tracing::error!(id, member, reason, "what was made over the admin API is left out");
        }
        self.alerts.configure(snapshot.config());
        self.admission.configure(snapshot.config());
        self.ledger.accounts().set_defaults(snapshot.toll_rules().defaults());
        snapshot.toll_rules().take_up(&self.ledger);
        self.snapshot.store(Arc::new(snapshot));
        self.fleet.prune();
        self.reloads.send_modify(|number| *number += 1);
    }

    /// Serves what the admin API has made, as it is now, with the configuration as it was read last.
    fn renew(&self) {
        let origin = self.origin();
        let stored = Stored::of(&self.ledger.directory());
        let known = (&self.metrics, &self.fleet);
        match build(&origin, &stored, known, Some(&self.snapshot.load())) {
            Ok((snapshot, unfit)) => self.serve(snapshot, &unfit),
            Err(error) => tracing::error!(%error, "what was made is not served, the last good state stays"),
        }
    }

    /// Why the deployment or the credential of this id could not be served if all that is stored were this.
    pub(crate) fn try_out(&self, stored: &Stored) -> Vec<Unfit> {
        let origin = self.origin();
        let known = (&self.metrics, &self.fleet);
        match build(&origin, stored, known, Some(&self.snapshot.load())) {
            Ok((_, unfit)) => unfit,
            Err(error) => {
                let id = String::new();
                vec![Unfit { id, member: "litellm_params".to_owned(), reason: error.reason().to_owned() }]
            }
        }
    }

    /// What comes of reading the configuration with the settings that are stored.
    pub(crate) fn read_with(&self, stored: &Stored) -> Loaded {
        settings::tried(&self.origin().config, stored)
    }

    /// A section of the configuration as the files have it, secrets masked.
    pub(crate) fn written(&self, section: &str) -> Map<String, Value> {
        self.origin().config.written(section)
    }

    /// A setting as the files have it, its secrets open.
    pub(crate) fn written_in_full(&self, section: &str, name: &str) -> Option<Value> {
        self.origin().config.written_in_full(section, name)
    }

    /// Counts a configuration that was refused, here or before it came here.
    pub fn note_refused_reload(&self) {
        self.metrics.reload_failures.inc();
    }

    /// Goes forward to a stage of the process's end.
    pub fn advance(&self, stage: Stage) {
        self.drain.advance(stage);
    }

    /// Requests that are being answered.
    pub fn in_flight(&self) -> i64 {
        self.metrics.in_flight.get()
    }

    /// The embedded database, opened when it is first needed.
    pub(crate) fn store(&self) -> &LazyStore {
        &self.store
    }

    /// Who there is, and what each has spent.
    pub(crate) fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }

    /// How long a response is kept.
    pub(crate) fn retention_seconds(&self) -> i64 {
        self.retention_seconds
    }

    /// Begins to keep what is spent, and takes over what was kept before; called before anybody is served.
    ///
    /// # Errors
    /// Where the database or the journal cannot be read.
    pub async fn begin(self: &Arc<Self>) -> Result<Recovery, StartError> {
        self.ledger.listen(listener(&self.ledger, self.alerts.clone()));
        let snapshot = self.snapshot.load();
        let settings = &snapshot.config().ledger;
        let (books, is_kept) = match &snapshot.config().general.database_url {
            Some(url) => {
                let books = Books::postgres(url.expose(), postgres_options(settings))?;
                // Whatever is wrong with it is said before anybody is served.
                books.ready().await?;
                (books, true)
            }
            None => {
                let is_kept = matches!(self.store.location(), Location::File(_));
                (Books::sqlite(Arc::clone(&self.store)), is_kept)
            }
        };
        let sync = match settings.durability {
            Durability::Strict => Outlives::Always,
            Durability::Relaxed => Outlives::Later,
        };
        let journal = settings.journal.clone().filter(|_| is_kept);
        let journal = journal.map(|folder| (folder, Options { sync, ..Options::default() }));
        let recovery = self.ledger.begin(books, journal).await?;
        let gateway = Arc::downgrade(self);
        self.ledger.observe(Box::new(move |changes| {
            if let Some(gateway) = gateway.upgrade().filter(|_| concerns_models(changes)) {
                gateway.renew();
            }
        }));
        self.renew();
        if let Some(alert) = found_at_start(&recovery) {
            self.alerts.tell(alert);
        }
        if recovery != Recovery::default() {
            tracing::warn!(
                orphans = recovery.orphans,
                replayed = recovery.replayed,
                damages = recovery.damages,
                unreadable = recovery.unreadable,
                "the ledger was not closed properly"
            );
        }
        Ok(recovery)
    }

    /// Takes over what operators said of deployments before this start; called before anybody is served. What cannot be
    /// read is logged and stops nothing.
    pub async fn recall(&self) {
        recall(&self.store, &self.fleet, self.snapshot.load().config()).await;
    }

    /// Lets an operator's word on a deployment hold, or takes the last one back; true once a restart cannot change that.
    pub(crate) async fn speak(&self, id: &str, word: Option<Word>) -> bool {
        self.words.speak(&self.store, &self.fleet, id, word).await
    }

    /// Deletes what has expired, in bounded batches; nothing where the database is not in use.
    pub async fn purge(&self) {
        self.purge_rows().await;
        self.purge_accounts().await;
        let Some(store) = self.store.opened() else { return };
        let now = crate::pipeline::thread::now_seconds();
        if let Err(error) = store.overrides().purge_expired(now).await {
            tracing::warn!(%error, "expired words of operators could not be deleted");
        }
        in_batches("expired responses", async || store.responses().purge_expired(now, PURGE_BATCH).await)
            .await;
    }

    /// Deletes the rows of requests that are older than the operator keeps them; their sums stay.
    async fn purge_rows(&self) {
        let snapshot = self.snapshot.load_full();
        let settings = &snapshot.config().ledger;
        let kept = settings.rows_kept_for.filter(|_| settings.keeps_rows);
        let kept = kept.or((!settings.keeps_rows).then_some(HIDDEN_ROWS_KEPT));
        let (Some(books), Some(kept)) = (self.ledger.books(), kept) else { return };
        let kept = i64::try_from(kept.as_micros()).unwrap_or(i64::MAX);
        let before = self.ledger.clock().wall().micros().saturating_sub(kept);
        in_batches("old rows of requests", async || books.purge_attempts(before, PURGE_BATCH).await).await;
    }

    /// Deletes what stood in budgets in periods that nobody asks of any more.
    async fn purge_accounts(&self) {
        let Some(books) = self.ledger.books() else { return };
        let told_before = self.ledger.clock().wall().micros().saturating_sub(TOLD_KEPT_MICROS);
        let purge = async || books.purge_accounts(told_before, PURGE_BATCH).await;
        in_batches("old periods of budgets", purge).await;
    }

    /// Looks once where budgets are going and who spends far more than is usual, and tells what is worth it.
    pub async fn foresee(&self) {
        let snapshot = self.snapshot.load_full();
        let config = snapshot.config();
        let (anomaly, alerting) = (&config.budgets.anomaly, &config.general.alerts);
        let sought = Sought { rules: snapshot.toll_rules(), anomaly, alerting };
        match self.foresight.look(&self.ledger, sought).await {
            Ok(alerts) => alerts.into_iter().for_each(|alert| self.alerts.tell(alert)),
            Err(error) => tracing::warn!(%error, "the sums of days cannot be read"),
        }
    }

    /// Does so from time to time, without an end.
    pub async fn watch_spend(self: Arc<Self>) {
        loop {
            self.foresee().await;
            let users_every = self.snapshot.load().config().general.alerts.users.every;
            tokio::time::sleep(FORESEE_EVERY.min(users_every)).await;
        }
    }

    /// Looks once whether the ledger is in trouble, and tells it.
    pub fn look_at_ledger(&self) {
        self.trouble.look(&self.ledger).into_iter().for_each(|alert| self.alerts.tell(alert));
    }

    /// Does so from time to time, without an end.
    pub async fn watch_ledger(self: Arc<Self>) {
        let mut look = tokio::time::interval(LOOK_EVERY);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            look.tick().await;
            self.look_at_ledger();
        }
    }

    /// Carries the last rows into the database, tells what alerts are left, and closes; called once requests have ended.
    pub async fn close(&self) {
        self.ledger.close(LEDGER_PATIENCE).await;
        if let Some(books) = self.ledger.books() {
            books.close().await;
        }
        self.alerts.close().await;
        let snapshot = self.snapshot();
        if let Some(answers) = snapshot.answers() {
            answers.settle().await;
        }
        self.store.close().await;
    }

    /// How the process is.
    pub fn vitals(&self) -> &Vitals {
        &self.vitals
    }

    /// Looks whether all workers go on, and takes note of the memory that is used, of so much that may be, where that is
    /// known. To be called several times a second, from a thread of its own.
    pub fn look_at_process(&self, now: Instant, memory: Option<(u64, u64)>) {
        self.vitals.look(now, &self.metrics);
        if let Some((used, most)) = memory {
            self.vitals.note_memory(used, most, &self.metrics);
        }
    }

    /// What is known of deployments.
    pub(crate) fn fleet(&self) -> &Fleet {
        &self.fleet
    }

    /// What the last health checks found.
    pub(crate) fn checks(&self) -> &Checks {
        &self.checks
    }

    /// Who sent wrong keys of late.
    pub(crate) fn guesses(&self) -> &Guesses {
        &self.guesses
    }

    /// Told of every configuration that is taken over.
    pub(crate) fn reloads(&self) -> watch::Receiver<u64> {
        self.reloads.subscribe()
    }

    pub(crate) fn routes(&self) -> &Routes {
        &self.routes
    }

    /// Who is served at one time.
    pub(crate) fn admission(&self) -> &Arc<Admission> {
        &self.admission
    }

    /// What an operator should know at once.
    pub(crate) fn alerts(&self) -> &Alerts {
        &self.alerts
    }

    /// A leg of a request's way has answered it: counts its tier.
    pub(crate) fn served(&self, leg: &Leg) {
        let Some((list, tier)) = &leg.served else { return };
        self.metrics.served_by_tier(list.label(), list.name_of(*tier));
        for crossing in self.tally.note(list, *tier, self.fleet.clock().now()) {
            self.alerts.crossed(list, crossing);
        }
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    pub(crate) fn drain(&self) -> &Drain {
        &self.drain
    }

    pub(crate) fn drain_handle(&self) -> Arc<Drain> {
        Arc::clone(&self.drain)
    }
}

/// Deletes a batch after the other until none is left, and lets others go on in between.
async fn in_batches<N: Into<u64> + Copy>(what: &str, mut delete: impl AsyncFnMut() -> Result<N, StoreError>) {
    loop {
        match delete().await {
            Ok(deleted) if deleted.into() == u64::from(PURGE_BATCH) => tokio::task::yield_now().await,
            Ok(_) => return,
            Err(error) => {
                tracing::warn!(%error, "{what} could not be deleted");
                return;
            }
        }
    }
}

/// The configuration with what is stored, made ready, and what of that had to be left out.
fn build(
    origin: &Origin,
    stored: &Stored,
    known: (&Metrics, &Arc<Fleet>),
    previous: Option<&Snapshot>,
) -> Result<(Snapshot, Vec<Unfit>), BuildError> {
    let (laid, mut unfit) = settings::laid(&origin.config, stored);
    let (mut config, left_out) = made::complete(&laid, stored);
    unfit.extend(left_out);
    loop {
        let error = match Snapshot::build(config.clone(), origin.overlay.clone(), known, previous) {
            Ok(snapshot) => return Ok((snapshot, unfit)),
            Err(error) => error,
        };
        // What came over the admin API is left out alone; what is in the files is the operator's to mend.
        let guilty = config.deployments.iter().position(|one| one.is_made && error.is_of(&one.id));
        let Some(guilty) = guilty else { return Err(error) };
        let deployment = config.deployments.remove(guilty);
        let member = "litellm_params".to_owned();
        unfit.push(Unfit { id: deployment.id, member, reason: error.reason().to_owned() });
    }
}
