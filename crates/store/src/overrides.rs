//! Operators' words on deployments: kept, taken back, listed, expired.
//!
//! Owns the SQL of the table `overrides`. What a state means, and which deployments there are, is the server's.
//!
//! **Invariant**: a deployment has one row at most, the last that was put. **Invariant**: every statement that looks for
//! rows finds them by an index.

use rusqlite::params;

use crate::error::StoreError;
use crate::options::Durability;
use crate::store::Store;

const PUT: &str = "INSERT INTO overrides (deployment_id, state, expires_at) VALUES (?1, ?2, ?3) \
     ON CONFLICT (deployment_id) DO UPDATE SET state = excluded.state, expires_at = excluded.expires_at";

const ALL: &str = "SELECT deployment_id, state, expires_at FROM overrides \
     WHERE expires_at > ?1 ORDER BY expires_at, deployment_id LIMIT ?2";

const DELETE: &str = "DELETE FROM overrides WHERE deployment_id = ?1";

const PURGE: &str = "DELETE FROM overrides WHERE expires_at <= ?1";

/// One word, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredOverride {
    /// The deployment that it is about.
    pub deployment_id: String,
    /// What is said of it.
    pub state: String,
    /// Seconds since 1970; from this second on the row is not found.
    pub expires_at: i64,
}

/// The operators' words of a [`Store`]. Times are seconds since 1970 and always the caller's.
#[derive(Clone, Copy)]
pub struct Overrides<'a> {
    store: &'a Store,
}

impl<'a> Overrides<'a> {
    pub(crate) fn new(store: &'a Store) -> Self {
        Self { store }
    }

    /// Keeps a word in the place of the last one on the same deployment.
    ///
    /// # Errors
    /// Those of every write.
    pub async fn put(self, word: StoredOverride, durability: Durability) -> Result<(), StoreError> {
        self.store
            .write(durability, move |connection| {
                let row = params![word.deployment_id, word.state, word.expires_at];
                connection.prepare_cached(PUT)?.execute(row)?;
                Ok(())
            })
            .await
    }

    /// The words that hold at this time, those that end first before others, at most `limit` of them.
    ///
    /// # Errors
    /// Those of every read.
    pub async fn all(self, now: i64, limit: u32) -> Result<Vec<StoredOverride>, StoreError> {
        self.store
            .read(move |connection| {
                let mut statement = connection.prepare_cached(ALL)?;
                let rows = statement.query_map(params![now, limit], |row| {
                    Ok(StoredOverride {
                        deployment_id: row.get(0)?,
                        state: row.get(1)?,
                        expires_at: row.get(2)?,
                    })
                })?;
                Ok(rows.collect::<Result<_, _>>()?)
            })
            .await
    }

    /// Takes the word on a deployment back and says whether there was one.
    ///
    /// # Errors
    /// Those of every write.
    pub async fn delete(self, deployment_id: &str, durability: Durability) -> Result<bool, StoreError> {
        let id = deployment_id.to_owned();
        self.store
            .write(durability, move |connection| Ok(connection.prepare_cached(DELETE)?.execute([id])? > 0))
            .await
    }

    /// Removes the words that have expired; there is one a deployment at most.
    ///
    /// # Errors
    /// Those of every write.
    pub async fn purge_expired(self, now: i64) -> Result<(), StoreError> {
        self.store
            .write(Durability::Process, move |connection| {
                connection.prepare_cached(PURGE)?.execute([now])?;
                Ok(())
            })
            .await
    }
}

/// The statements that find rows, each with the plan that it must have.
#[cfg(test)]
pub(crate) fn plans() -> Vec<(String, Vec<&'static str>)> {
    vec![
        (
            ALL.to_owned(),
            vec![
                "SEARCH overrides USING INDEX overrides_by_expiry (expires_at>?)",
                "USE TEMP B-TREE FOR LAST TERM OF ORDER BY",
            ],
        ),
        (
            DELETE.to_owned(),
            vec!["SEARCH overrides USING INDEX sqlite_autoindex_overrides_1 (deployment_id=?)"],
        ),
        (PURGE.to_owned(), vec!["SEARCH overrides USING INDEX overrides_by_expiry (expires_at<?)"]),
    ]
}
