//! Stored responses of the Responses API: kept, found, followed back, deleted, expired.
//!
//! Owns the SQL of the table `responses`. What is in the JSON, and which ids callers see, is the server's.
//!
//! **Invariant**: every statement that a caller's id reaches is filtered by its owner: what is another's, what has expired
//! and what never was look the same. **Invariant**: every statement finds its rows by an index, however many there are.

use std::fmt;

use rusqlite::{CachedStatement, Connection, OptionalExtension as _, Row, named_params, params};

use crate::error::{Fault, StoreError};
use crate::options::Durability;
use crate::store::Store;

/// How long a response is kept when nobody says otherwise: 30 days, as OpenAI keeps its own ("Conversation state" in
/// OpenAI's guides: response objects are saved for 30 days by default).
pub const RETENTION_DEFAULT_SECONDS: i64 = 30 * 24 * 60 * 60;

/// The most that one turn may have in bytes, its items and its response together.
pub const RESPONSE_BYTES_MAX: usize = 128 * 1024 * 1024;

const COLUMNS: &str = "owner, id, previous_id, model_group, deployment_id, provider_response_id, status, \
                       created_at, expires_at, input_items, response";

/// A row that is there already becomes what is put.
const PUT: &str = "INSERT INTO responses (owner, id, previous_id, model_group, deployment_id, provider_response_id, \
     status, created_at, expires_at, input_items, response) \
     VALUES (:owner, :id, :previous_id, :model_group, :deployment_id, :provider_response_id, \
     :status, :created_at, :expires_at, :input_items, :response) \
     ON CONFLICT (owner, id) DO UPDATE SET previous_id = excluded.previous_id, model_group = excluded.model_group, \
     deployment_id = excluded.deployment_id, provider_response_id = excluded.provider_response_id, \
     status = excluded.status, created_at = excluded.created_at, expires_at = excluded.expires_at, \
     input_items = excluded.input_items, response = excluded.response";

const FOUND: &str = "FROM responses WHERE owner = ?1 AND id = ?2 AND expires_at > ?3";

const DELETE: &str = "DELETE FROM responses WHERE owner = ?1 AND id = ?2 AND expires_at > ?3";

const PURGE: &str = "DELETE FROM responses WHERE seq IN \
     (SELECT seq FROM responses WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2)";

/// Whose a row is: a hash of the caller's key, or of what else names the caller. Never the key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Owner(String);

impl Owner {
    /// The owner with this hash.
    pub fn new(hash: impl Into<String>) -> Self {
        Self(hash.into())
    }

    /// The hash.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// One turn of a conversation, as it is kept.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredResponse {
    /// The id that the caller knows; unique for its owner.
    pub id: String,
    /// Whose it is.
    pub owner: Owner,
    /// The model group, as it was asked for.
    pub group: String,
    /// The deployment whose provider keeps the response as well.
    pub deployment_id: Option<String>,
    /// Its id at that provider.
    pub provider_response_id: Option<String>,
    /// The turn before.
    pub previous_id: Option<String>,
    /// Seconds since 1970.
    pub created_at: i64,
    /// Seconds since 1970; from this second on the row is not found.
    pub expires_at: i64,
    /// The response's `status`.
    pub status: String,
    /// A JSON array: the input items of this turn, without those of the turns before.
    pub input_items: Vec<u8>,
    /// The whole response object in JSON.
    pub response: Vec<u8>,
}

impl StoredResponse {
    /// What the turn counts, in bytes: its items and its response.
    pub fn bytes(&self) -> usize {
        self.input_items.len().saturating_add(self.response.len())
    }
}

/// Without the conversation: of the two bodies only the lengths.
impl fmt::Debug for StoredResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredResponse")
            .field("id", &self.id)
            .field("group", &self.group)
            .field("deployment_id", &self.deployment_id)
            .field("previous_id", &self.previous_id)
            .field("status", &self.status)
            .field("expires_at", &self.expires_at)
            .field("input_items_bytes", &self.input_items.len())
            .field("response_bytes", &self.response.len())
            .finish_non_exhaustive()
    }
}

/// How far a conversation is followed back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChainLimits {
    /// Turns, the last one included.
    pub turns_max: usize,
    /// Bytes of items and responses, over all turns.
    pub bytes_max: usize,
}

impl Default for ChainLimits {
    /// 1,000 turns, 64 MiB.
    fn default() -> Self {
        Self { turns_max: 1_000, bytes_max: 64 * 1024 * 1024 }
    }
}

/// A conversation, from its root to the turn that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// Oldest first; never empty.
    pub turns: Vec<StoredResponse>,
    /// The turn before the oldest one, if there was one: it was deleted or has expired, and what it said is lost. `None`
    /// when the conversation is whole.
    pub missing: Option<String>,
}

/// The stored responses of a [`Store`]. Times are seconds since 1970 and always the caller's.
#[derive(Clone, Copy)]
pub struct Responses<'a> {
    store: &'a Store,
}

impl<'a> Responses<'a> {
    pub(crate) fn new(store: &'a Store) -> Self {
        Self { store }
    }

    /// Keeps a response. One of the same owner and id is replaced, so putting twice is putting once.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`] beyond [`RESPONSE_BYTES_MAX`], and those of every write.
    pub async fn put(self, response: StoredResponse, durability: Durability) -> Result<(), StoreError> {
        let bytes = response.bytes();
        if bytes > RESPONSE_BYTES_MAX {
            return Err(StoreError::TooLarge { bytes, bytes_max: RESPONSE_BYTES_MAX });
        }
        self.store.write(durability, move |connection| put(connection, &response)).await
    }

    /// One response, `None` if its owner has none of this id at this time.
    ///
    /// # Errors
    /// Those of every read.
    pub async fn get(self, owner: &Owner, id: &str, now: i64) -> Result<Option<StoredResponse>, StoreError> {
        let (owner, id) = (owner.clone(), id.to_owned());
        self.store.read(move |connection| Ok(find(&mut lookup(connection)?, &owner, &id, now)?)).await
    }

    /// The input items of one turn, a JSON array; `None` as in [`get`](Self::get).
    ///
    /// # Errors
    /// Those of every read.
    pub async fn input_items(self, owner: &Owner, id: &str, now: i64) -> Result<Option<Vec<u8>>, StoreError> {
        let (owner, id) = (owner.clone(), id.to_owned());
        self.store
            .read(move |connection| {
                let mut statement = connection.prepare_cached(&input_items_sql())?;
                Ok(statement.query_row(params![owner.0, id, now], |row| row.get(0)).optional()?)
            })
            .await
    }

    /// The conversation that ends with a response, from one state of the file; `None` as in [`get`](Self::get).
    ///
    /// # Errors
    /// [`StoreError::ChainTooLong`] and [`StoreError::ChainTooLarge`] beyond the limits, and those of every read.
    pub async fn chain(
        self,
        owner: &Owner,
        id: &str,
        limits: ChainLimits,
        now: i64,
    ) -> Result<Option<Chain>, StoreError> {
        let (owner, id) = (owner.clone(), id.to_owned());
        self.store.read(move |connection| chain(connection, &owner, &id, limits, now)).await
    }

    /// Deletes one response and says whether it was there. Turns that follow it stay, and miss it in their
    /// [`chain`](Self::chain).
    ///
    /// # Errors
    /// Those of every write.
    pub async fn delete(
        self,
        owner: &Owner,
        id: &str,
        now: i64,
        durability: Durability,
    ) -> Result<bool, StoreError> {
        let (owner, id) = (owner.clone(), id.to_owned());
        self.store
            .write(durability, move |connection| {
                Ok(connection.prepare_cached(DELETE)?.execute(params![owner.0, id, now])? > 0)
            })
            .await
    }

    /// Removes responses that have expired, oldest first and at most `batch` of them, and says how many: when it is
    /// `batch`, there may be more. Other writes get their turn between two batches.
    ///
    /// # Errors
    /// Those of every write.
    pub async fn purge_expired(self, now: i64, batch: u32) -> Result<u32, StoreError> {
        self.store
            .write(Durability::Process, move |connection| {
                let purged = connection.prepare_cached(PURGE)?.execute(params![now, batch])?;
                Ok(u32::try_from(purged).unwrap_or(batch))
            })
            .await
    }
}

fn input_items_sql() -> String {
    format!("SELECT input_items {FOUND}")
}

fn lookup_sql() -> String {
    format!("SELECT {COLUMNS} {FOUND}")
}

fn lookup(connection: &Connection) -> rusqlite::Result<CachedStatement<'_>> {
    connection.prepare_cached(&lookup_sql())
}

fn put(connection: &Connection, response: &StoredResponse) -> Result<(), Fault> {
    connection.prepare_cached(PUT)?.execute(named_params! {
        ":owner": response.owner.0,
        ":id": response.id,
        ":previous_id": response.previous_id,
        ":model_group": response.group,
        ":deployment_id": response.deployment_id,
        ":provider_response_id": response.provider_response_id,
        ":status": response.status,
        ":created_at": response.created_at,
        ":expires_at": response.expires_at,
        ":input_items": response.input_items,
        ":response": response.response,
    })?;
    Ok(())
}

fn find(
    lookup: &mut CachedStatement<'_>,
    owner: &Owner,
    id: &str,
    now: i64,
) -> rusqlite::Result<Option<StoredResponse>> {
    lookup.query_row(params![owner.0, id, now], read_row).optional()
}

/// Follows `previous_id` turn by turn: what is held is at most one turn beyond the limits.
fn chain(
    connection: &Connection,
    owner: &Owner,
    id: &str,
    limits: ChainLimits,
    now: i64,
) -> Result<Option<Chain>, Fault> {
    let mut lookup = lookup(connection)?;
    let mut turns: Vec<StoredResponse> = Vec::new();
    let mut bytes: usize = 0;
    let mut next = Some(id.to_owned());
    while let Some(id) = next {
        let Some(turn) = find(&mut lookup, owner, &id, now)? else {
            next = Some(id);
            break;
        };
        if turns.len() >= limits.turns_max {
            return Err(StoreError::ChainTooLong { turns_max: limits.turns_max }.into());
        }
        bytes = bytes.saturating_add(turn.bytes());
        if bytes > limits.bytes_max {
            return Err(StoreError::ChainTooLarge { bytes_max: limits.bytes_max }.into());
        }
        next = turn.previous_id.clone();
        turns.push(turn);
    }
    turns.reverse();
    Ok(if turns.is_empty() { None } else { Some(Chain { turns, missing: next }) })
}

fn read_row(row: &Row<'_>) -> rusqlite::Result<StoredResponse> {
    Ok(StoredResponse {
        owner: Owner(row.get("owner")?),
        id: row.get("id")?,
        previous_id: row.get("previous_id")?,
        group: row.get("model_group")?,
        deployment_id: row.get("deployment_id")?,
        provider_response_id: row.get("provider_response_id")?,
        status: row.get("status")?,
        created_at: row.get("created_at")?,
        expires_at: row.get("expires_at")?,
        input_items: row.get("input_items")?,
        response: row.get("response")?,
    })
}

/// The statements that find rows, each with the plan that it must have.
#[cfg(test)]
pub(crate) fn plans() -> Vec<(String, Vec<&'static str>)> {
    let by_id = "SEARCH responses USING INDEX responses_by_owner_and_id (owner=? AND id=?)";
    vec![
        (lookup_sql(), vec![by_id]),
        (input_items_sql(), vec![by_id]),
        (DELETE.to_owned(), vec![by_id]),
        (
            PURGE.to_owned(),
            vec![
                "SEARCH responses USING INTEGER PRIMARY KEY (rowid=?)",
                "LIST SUBQUERY 1",
                "SEARCH responses USING COVERING INDEX responses_by_expiry (expires_at<?)",
            ],
        ),
    ]
}
