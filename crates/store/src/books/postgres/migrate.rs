//! From an empty or older schema to the one of this release, step by step.
//!
//! Owns the list of steps and the table that remembers them.
//!
//! **Invariant**: all steps are taken or none, once, in order, also when several gateways start at the same time.
//! **Invariant**: a schema of a newer release is left as it was found.

use super::failure::Failure;
use super::link::{Transaction, settled};
use super::options::PostgresOptions;
use crate::books::session::{Session as _, one};
use crate::error::{Fault, StoreError};

/// One step. A step that was released is never changed; what is wrong with it is put right by a later one.
struct Migration {
    /// The version that the step leads to: its place in the list, from 1.
    version: i64,
    /// For people who look into the database.
    name: &'static str,
    /// Statements, without `BEGIN` and `COMMIT`.
    sql: &'static str,
}

/// Every step, oldest first.
const MIGRATIONS: &[Migration] = &[
    Migration { version: 1, name: "books", sql: include_str!("../../migrations/postgres/0001_books.sql") },
    Migration {
        version: 2,
        name: "following",
        sql: include_str!("../../migrations/postgres/0002_following.sql"),
    },
    Migration { version: 3, name: "log", sql: include_str!("../../migrations/postgres/0003_log.sql") },
    Migration { version: 4, name: "holds", sql: include_str!("../../migrations/postgres/0004_holds.sql") },
    Migration { version: 5, name: "prices", sql: include_str!("../../migrations/postgres/0005_prices.sql") },
];

/// Whoever takes steps holds this lock: `TLGT`, twice.
const LOCK: i64 = 0x544C_4754_544C_4754;

/// Brings the schema up to this release, in one transaction.
pub(super) fn migrate(transaction: &mut Transaction<'_>, options: &PostgresOptions) -> Result<(), Failure> {
    let patience = options.migration_timeout.as_millis();
    transaction.batch(&format!("BEGIN; SET LOCAL statement_timeout TO {patience}"))?;
    match steps(transaction, &options.schema) {
        Ok(()) => transaction.batch("COMMIT"),
        Err(fault) => Err(transaction.failure.take().unwrap_or_else(|| {
            let error = settled(fault, transaction.database);
            Failure { error, aftermath: super::failure::Aftermath::Lost }
        })),
    }
}

fn steps(transaction: &mut Transaction<'_>, schema: &str) -> Result<(), Fault> {
    transaction.query("SELECT CAST(pg_advisory_xact_lock($1) AS TEXT)", &[LOCK.into()])?;
    // Looked for first: to make a schema `IF NOT EXISTS` needs the right to make one even where it exists.
    let schemas = "SELECT count(*) FROM pg_namespace WHERE nspname = $1";
    if one(transaction.query(schemas, &[schema.into()])?)?.int()? == 0 {
        statements(transaction, &format!("CREATE SCHEMA {schema}"))?;
    }
    statements(transaction, &format!("SET LOCAL search_path TO {schema}"))?;
    let tables = "SELECT count(*) FROM pg_tables WHERE schemaname = $1 AND tablename = 'schema_version'";
    if one(transaction.query(tables, &[schema.into()])?)?.int()? == 0 {
        statements(
            transaction,
            "CREATE TABLE schema_version (version BIGINT PRIMARY KEY, name TEXT NOT NULL)",
        )?;
    }
    let newest = "SELECT coalesce(max(version), 0) FROM schema_version";
    let found = one(transaction.query(newest, &[])?)?.int()?;
    let known = MIGRATIONS.last().map_or(0, |last| last.version);
    if found > known {
        return Err(StoreError::SchemaNewer { file: transaction.database.to_owned(), found, known }.into());
    }
    for migration in MIGRATIONS.iter().filter(|migration| migration.version > found) {
        statements(transaction, migration.sql)
            .map_err(|fault| failed(transaction, migration.version, fault))?;
        let row = [migration.version.into(), migration.name.into()];
        transaction.execute("INSERT INTO schema_version (version, name) VALUES ($1, $2)", &row)?;
    }
    Ok(())
}

fn statements(transaction: &mut Transaction<'_>, sql: &str) -> Result<(), Fault> {
    transaction.batch(sql).map_err(|failure| {
        let fault = Fault::Store(failure.error.clone());
        transaction.failure = Some(failure);
        fault
    })
}

/// What the server does not understand is said with the step; that it is away says enough by itself.
fn failed(transaction: &mut Transaction<'_>, version: i64, fault: Fault) -> Fault {
    match fault {
        Fault::Store(StoreError::Other { file, detail }) => {
            transaction.failure = None;
            StoreError::Migration { file, version, detail }.into()
        }
        other => other,
    }
}
