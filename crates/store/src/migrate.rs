//! From an empty or older file to the schema of this release, step by step.
//!
//! Owns the list of steps, the table that remembers them and the mark by which a file is known as ours. What a step
//! creates belongs to the modules that read it.
//!
//! **Invariant**: a step is taken whole or not at all, once, in order, also when several processes open the file at the
//! same time. **Invariant**: a file of another program, or of a newer release, is left as it was found.

use rusqlite::{Connection, TransactionBehavior};

use crate::error::{Fault, StoreError};
use crate::options::Location;

/// `TLGT`: tells our files from other SQLite databases (the `application_id` of the header, offset 68 of SQLite's file
/// format).
const APPLICATION_ID: i64 = 0x544C_4754;

/// One step. A step that was released is never changed; what is wrong with it is put right by a later one.
pub(crate) struct Migration {
    /// The version that the step leads to: its place in the list, from 1.
    pub(crate) version: i64,
    /// For people who look into the file.
    pub(crate) name: &'static str,
    /// Statements, without `BEGIN` and `COMMIT`.
    pub(crate) sql: &'static str,
}

/// Every step, oldest first.
pub(crate) const MIGRATIONS: &[Migration] = &[
    Migration { version: 1, name: "responses", sql: include_str!("migrations/0001_responses.sql") },
    Migration { version: 2, name: "overrides", sql: include_str!("migrations/0002_overrides.sql") },
    Migration { version: 3, name: "records", sql: include_str!("migrations/0003_records.sql") },
    Migration { version: 4, name: "spend", sql: include_str!("migrations/0004_spend.sql") },
    Migration { version: 5, name: "told", sql: include_str!("migrations/0005_told.sql") },
    Migration { version: 6, name: "log", sql: include_str!("migrations/0006_log.sql") },
    Migration { version: 7, name: "prices", sql: include_str!("migrations/0007_prices.sql") },
];

/// Refuses files that are not ours or newer than this release. Reads only.
pub(crate) fn inspect(connection: &Connection, location: &Location, known: i64) -> Result<(), Fault> {
    // One state of the file: another process may be creating the schema at this moment.
    let snapshot = connection.unchecked_transaction()?;
    let application: i64 = snapshot.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    let objects: i64 = snapshot.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let is_empty = application == 0 && objects == 0;
    if application != APPLICATION_ID && !is_empty {
        return Err(StoreError::Foreign(location.to_string()).into());
    }
    let found = version(&snapshot)?;
    if found > known {
        return Err(StoreError::SchemaNewer { file: location.to_string(), found, known }.into());
    }
    Ok(())
}

/// Takes the steps that the file has not seen yet.
pub(crate) fn migrate(
    connection: &mut Connection,
    location: &Location,
    migrations: &[Migration],
) -> Result<(), Fault> {
    let known = migrations.last().map_or(0, |last| last.version);
    if version(connection)? == known {
        return Ok(());
    }
    for migration in migrations {
        step(connection, location, migration)?;
    }
    // Another process, of a newer release, may have been quicker.
    inspect(connection, location, known)
}

fn step(connection: &mut Connection, location: &Location, migration: &Migration) -> Result<(), Fault> {
    // Immediate: whoever else opens the file waits here, and then finds the step taken.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found = version(&transaction)?;
    if found >= migration.version {
        return Ok(());
    }
    apply(&transaction, migration).map_err(|error| {
        let fault = Fault::Sql(error).at(location);
        match fault {
            StoreError::Other { file, detail } => {
                StoreError::Migration { file, version: migration.version, detail }
            }
            // A full disk or a damaged file says more than the step during which it was met.
            other => other,
        }
    })?;
    transaction.commit()?;
    Ok(())
}

fn apply(connection: &Connection, migration: &Migration) -> rusqlite::Result<()> {
    connection.execute_batch(
        "CREATE TABLE IF NOT EXISTS schema_version (version INTEGER PRIMARY KEY, name TEXT NOT NULL) STRICT",
    )?;
    connection.execute_batch(migration.sql)?;
    let row = (migration.version, migration.name);
    connection.execute("INSERT INTO schema_version (version, name) VALUES (?1, ?2)", row)?;
    connection.pragma_update(None, "application_id", APPLICATION_ID)
}

/// The newest step that the file has seen, 0 for an empty one.
fn version(connection: &Connection) -> rusqlite::Result<i64> {
    let exists = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'schema_version'";
    let tables: i64 = connection.query_row(exists, [], |row| row.get(0))?;
    if tables == 0 {
        return Ok(0);
    }
    connection.query_row("SELECT coalesce(max(version), 0) FROM schema_version", [], |row| row.get(0))
}
