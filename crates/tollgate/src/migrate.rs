//! `tollgate migrate litellm`: a LiteLLM database into the books.
//!
//! Owns where it comes from and goes to, and the report. Leaves what a row means to `tollgate_identity::import`.
//! **Invariant:** nothing is written to LiteLLM's tables. **Invariant:** what is in the books already stays as it is, so that
//! a second run takes only what the first has not: records, and what they have spent with them.

use crate::cli::{LitellmArguments, complain, say};
use crate::files;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use tollgate_config::{BudgetSettings, Config, Secret};
use tollgate_identity::Kind;
use tollgate_identity::form::{BadForm, Context};
use tollgate_identity::import::{Import, Opener, Source, Spent, Taken, Terms, import};
use tollgate_identity::secret::{Place, Sealer};
use tollgate_ledger::Charge;
use tollgate_policy::clock::Wall;
use tollgate_store::books::{
    AuditEntry, Books, Expected, LiteLlmDatabase, LiteLlmTable, PostgresOptions, Put, RecordChange, Settled,
};
use tollgate_store::{LazyStore, Location, StoreError, StoreOptions};

/// Records that are written in one transaction.
const BATCH: usize = 500;
/// Who the audit says has made them.
const ACTOR: &str = "tollgate migrate litellm";
/// Bytes of a nonce (NIST SP 800-38D).
const NONCE: usize = 12;

/// Runs it.
pub(crate) fn run(arguments: &LitellmArguments) -> ExitCode {
    match outcome(arguments) {
        Ok(report) => {
            say(&report);
            ExitCode::SUCCESS
        }
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

fn outcome(arguments: &LitellmArguments) -> Result<String, String> {
    let config = match files::find_config(arguments.config.as_deref()) {
        Some(path) => {
            let config = files::read_config(&path).config;
            let error = || format!("{} has errors: `tollgate check` lists them", path.display());
            Some(config.ok_or_else(error)?)
        }
        None => None,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    runtime.block_on(Box::pin(migrate(arguments, config.as_ref())))
}

async fn migrate(arguments: &LitellmArguments, config: Option<&Config>) -> Result<String, String> {
    let source = read(&arguments.database_url).await?;
    let secret = secret(config);
    let import = imported(&source, config, secret.as_deref());
    let store = arguments.to.as_ref().map(Secret::expose);
    let (books, file) = books(store, config)?;
    let place = books.place();
    let away = |error: StoreError| format!("{place}: {error}");
    let known = books.records().await.map_err(away)?;
    let known: BTreeSet<(&str, &str)> =
        known.records.iter().map(|record| (record.kind.as_str(), record.id.as_str())).collect();
    let is_known = |taken: &Taken| known.contains(&(taken.draft.kind.word(), taken.draft.id.as_str()));
    let new: Vec<&Taken> = import.taken.iter().filter(|taken| !is_known(taken)).collect();
    if !arguments.dry_run {
        for batch in new.chunks(BATCH) {
            books.commit(change(batch)).await.map_err(away)?;
        }
    }
    books.close().await;
    // The file's own threads end with it.
    drop(file);
    let report = Report { import: &import, new: &new, place: &place, is_dry: arguments.dry_run };
    Ok(if arguments.json { report.json().to_string() } else { report.text() })
}

async fn read(url: &Secret) -> Result<Source, String> {
    let away = |error: StoreError| format!("LiteLLM's database: {error}");
    let database = LiteLlmDatabase::new(url.expose()).map_err(away)?;
    let tables = database.read(LiteLlmTable::ALL.to_vec()).await.map_err(away)?;
    database.close().await;
    let is_empty = tables.iter().all(|table| table.rows.is_empty());
    if is_empty {
        return Err(
            "LiteLLM's database: it has none of LiteLLM's tables, or nothing is in them; if they are in another schema, \
             add schema= to the address"
                .to_owned(),
        );
    }
    let mut source = Source::default();
    for table in tables {
        source.add(table.table, &table.rows)?;
    }
    Ok(source)
}

/// What LiteLLM seals with, and so does this gateway: the salt key, else the master key.
fn secret(config: Option<&Config>) -> Option<String> {
    let of_config = config.and_then(|config| {
        let secret = config.ledger.salt_key.as_ref().or(config.general.master_key.as_ref());
        secret.map(|secret| secret.expose().to_owned())
    });
    let variables = ["LITELLM_SALT_KEY", "LITELLM_MASTER_KEY"];
    of_config.or_else(|| variables.iter().find_map(|name| files::variable(name).filter(|it| !it.is_empty())))
}

fn imported(source: &Source, config: Option<&Config>, secret: Option<&str>) -> Import {
    let sealer = Sealer::new(secret.unwrap_or_default());
    let seal = |record: &str, member: &str, text: &str| {
        let refused = |reason: String| BadForm::wrong(member, reason);
        let sealer = sealer.as_ref().map_err(|error| refused(error.to_string()))?;
        let mut nonce = [0_u8; NONCE];
        getrandom::fill(&mut nonce).map_err(|_| refused("cannot be sealed".to_owned()))?;
        sealer.seal(Place { record, member }, nonce, text).map_err(|error| refused(error.to_string()))
    };
    let zone = config.map_or_else(|| BudgetSettings::default().zone, |config| config.budgets.zone.clone());
    let opener = Opener::new(secret);
    let context =
        Context { now: now(), actor: ACTOR, is_admin: true, is_operator: true, fresh: &String::new };
    import(source, &Terms { context, zone: &zone, opener: &opener, seal: &seal })
}

fn now() -> Wall {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Wall::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// The books to write: those that are named, else those of the configuration; and the file, if they are in one.
fn books(to: Option<&str>, config: Option<&Config>) -> Result<(Books, Option<Arc<LazyStore>>), String> {
    let postgres =
        |url: &str| Books::postgres(url, PostgresOptions::default()).map_err(|error| error.to_string());
    let in_file = |location| {
        let file = Arc::new(LazyStore::new(location, StoreOptions::default()));
        (Books::sqlite(Arc::clone(&file)), Some(file))
    };
    match (to, config) {
        (Some(to), _) if to.starts_with("postgres://") || to.starts_with("postgresql://") => {
            Ok((postgres(to)?, None))
        }
        (Some(to), _) => Ok(in_file(Location::File(to.into()))),
        (None, Some(config)) => match (&config.general.database_url, &config.tollgate.database_file) {
            (Some(url), _) => Ok((postgres(url.expose())?, None)),
            (None, Some(file)) => Ok(in_file(Location::File(file.clone()))),
            (None, None) => Err("the configuration keeps nothing: its database is in memory".to_owned()),
        },
        (None, None) => {
            Err("where to? Name a database with --to, or a configuration with --config".to_owned())
        }
    }
}

fn change(batch: &[&Taken]) -> RecordChange {
    let at = now().micros();
    let mut change = RecordChange { at, ..RecordChange::default() };
    for taken in batch {
        let doc = Value::Object(taken.draft.document.0.clone()).to_string();
        let (kind, id) = (taken.draft.kind.word().to_owned(), taken.draft.id.clone());
        change.audits.push(AuditEntry {
            at,
            actor: ACTOR.to_owned(),
            actor_key: String::new(),
            action: "created".to_owned(),
            kind: kind.clone(),
            object_id: id.clone(),
            before: None,
            after: Some(doc.clone()),
        });
        change.puts.push(Put { kind, id, doc, expected: Expected::Absent });
        change.accounts.extend(taken.spent.iter().map(settled));
    }
    change
}

fn settled(spent: &Spent) -> Settled {
    let charge = Charge { scope: spent.scope.clone(), cadence: spent.cadence, start: spent.start };
    Settled { account: charge.into_account(), amount: spent.amount.0 }
}

/// What was done, or would be.
struct Report<'a> {
    import: &'a Import,
    new: &'a [&'a Taken],
    place: &'a str,
    is_dry: bool,
}

impl Report<'_> {
    /// Of each kind: how many are taken, and how many were there already.
    fn counts(&self) -> BTreeMap<Kind, (usize, usize)> {
        let mut counts: BTreeMap<Kind, (usize, usize)> = BTreeMap::new();
        for taken in &self.import.taken {
            counts.entry(taken.draft.kind).or_default().1 += 1;
        }
        for taken in self.new {
            let (taken, there) = counts.entry(taken.draft.kind).or_default();
            *taken += 1;
            *there = there.saturating_sub(1);
        }
        counts
    }

    fn text(&self) -> String {
        let verb = if self.is_dry { "Would take" } else { "Took" };
        let mut lines = vec![format!("{verb} into {}:", self.place)];
        for (kind, (taken, there)) in self.counts() {
            let there = if there == 0 { String::new() } else { format!(" ({there} there already)") };
            lines.push(format!("  {:<20} {taken:>8}{there}", kind.word().replace('_', " ")));
        }
        let remarks = self.new.iter().flat_map(|taken| {
            let name = format!("{} {}", taken.draft.kind.word().replace('_', " "), name(taken));
            taken.remarks.iter().map(move |remark| format!("  {name}: {remark}"))
        });
        let remarks: Vec<String> = remarks.collect();
        if !remarks.is_empty() {
            lines.push("\nTaken without something:".to_owned());
            lines.extend(remarks);
        }
        if !self.import.left.is_empty() {
            lines.push("\nLeft out:".to_owned());
            let left = self.import.left.iter();
            lines.extend(left.map(|left| format!("  {} {}: {}", left.table, left.what, left.reason)));
        }
        lines.join("\n")
    }

    fn json(&self) -> Value {
        let counts: Map<String, Value> = self
            .counts()
            .into_iter()
            .map(|(kind, (taken, there))| {
                (kind.word().to_owned(), json!({"taken": taken, "there_already": there}))
            })
            .collect();
        let remarks = self.new.iter().filter(|taken| !taken.remarks.is_empty());
        let remarks = remarks.map(
            |taken| json!({"kind": taken.draft.kind.word(), "name": name(taken), "remarks": taken.remarks}),
        );
        let left = self.import.left.iter();
        let left = left.map(|left| json!({"table": left.table, "name": left.what, "reason": left.reason}));
        json!({
            "dry_run": self.is_dry,
            "into": self.place,
            "records": counts,
            "taken_without": remarks.collect::<Vec<_>>(),
            "left_out": left.collect::<Vec<_>>(),
        })
    }
}

/// What people know a record by.
fn name(taken: &Taken) -> &str {
    let alias = taken.draft.kind.alias_member().and_then(|member| taken.draft.document.text(member));
    let key = taken.draft.document.text("key_name").filter(|_| taken.draft.kind == Kind::Key);
    alias.or(key).unwrap_or(&taken.draft.id)
}
