//! One connection to PostgreSQL, driven by the thread that uses it, and transactions on it.
//!
//! Owns when bytes move: only while the thread waits for an answer. Leaves to `worker.rs` whose turn it is and what follows a
//! failure.
//!
//! **Invariant**: no wait is longer than its deadline. **Invariant**: a connection that is dropped is closed at once.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Error};

use super::failure::Failure;
use super::options::{Address, PostgresOptions};
use super::tls::Tls;
use crate::books::session::{Dialect, Insert, Row, Session, Value};
use crate::error::{Fault, StoreError};

/// Rows that are put with one statement.
const ROWS_AT_ONCE: usize = 1_000;

/// How a transaction looks at the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// All its statements see one state, and change nothing; callers have said what is looked for.
    Search,
    /// The same of what is small, or made of sums, with more time.
    Look,
    /// The same of all that there is, with more time still.
    Load,
    /// Every statement sees what was committed before it.
    Write,
    /// The same, by somebody who waits neither long nor for the disk: a crash of the server may take it.
    Haste,
}

/// The other half of the driver: moves the bytes, ends with the connection.
type Pump = Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>;

/// A connection.
pub(super) struct Link {
    client: Client,
    /// `None` when it has ended.
    pump: Option<Pump>,
}

impl Link {
    /// Connects.
    pub(super) fn open(
        runtime: &Runtime,
        address: &Address,
        tls: &Tls,
        patience: Duration,
    ) -> Result<Self, Failure> {
        let name = address.name();
        let opened = runtime
            .block_on(async { tokio::time::timeout(patience, address.config.connect(tls.clone())).await });
        match opened {
            Ok(Ok((client, connection))) => Ok(Self { client, pump: Some(Box::pin(connection)) }),
            Ok(Err(error)) => Err(Failure::of(&name, &error)),
            Err(_) => Err(Failure::lost(&name, "it does not answer")),
        }
    }

    /// Waits for an answer while the bytes move.
    fn wait<T>(
        &mut self,
        runtime: &Runtime,
        deadline: Instant,
        database: &str,
        answer: impl AsyncFnOnce(&Client) -> Result<T, Error>,
    ) -> Result<T, Failure> {
        let Self { client, pump } = self;
        // Why the connection ended, which the answer then does not know.
        let mut ended = None;
        let work = async {
            let mut answer = pin!(answer(client));
            poll_fn(|context| {
                if let Some(moving) = pump
                    && let Poll::Ready(end) = moving.as_mut().poll(context)
                {
                    ended = end.err();
                    *pump = None;
                }
                answer.as_mut().poll(context)
            })
            .await
        };
        let result = runtime.block_on(async { tokio::time::timeout_at(deadline.into(), work).await });
        match result {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => {
                Err(Failure::of(database, ended.as_ref().filter(|_| error.is_closed()).unwrap_or(&error)))
            }
            Err(_) => Err(Failure::lost(database, "it does not answer in time")),
        }
    }
}

/// An open transaction.
pub(super) struct Transaction<'a> {
    pub(super) link: &'a mut Link,
    pub(super) runtime: &'a Runtime,
    pub(super) database: &'a str,
    pub(super) deadline: Instant,
    /// What went wrong last, with what follows it.
    pub(super) failure: Option<Failure>,
}

impl Transaction<'_> {
    /// Begins: the limits hold for this transaction alone, so that a pooler between may give the connection to others.
    pub(super) fn begin(&mut self, mode: Mode, options: &PostgresOptions) -> Result<(), Failure> {
        let kind = match mode {
            Mode::Search | Mode::Look | Mode::Load => "ISOLATION LEVEL REPEATABLE READ READ ONLY",
            Mode::Write | Mode::Haste => "ISOLATION LEVEL READ COMMITTED",
        };
        let haste = if mode == Mode::Haste { "; SET LOCAL synchronous_commit TO off" } else { "" };
        let statement = options.statement_limit(mode).as_millis();
        // Less, so that it is said what was waited for.
        let lock = options.statement_timeout.min(options.statement_limit(mode)).as_millis() / 2;
        let transaction = options.transaction_limit(mode).as_millis();
        let schema = &options.schema;
        self.batch(&format!(
            "BEGIN {kind}; SET LOCAL search_path TO {schema}; SET LOCAL statement_timeout TO {statement}; \
             SET LOCAL lock_timeout TO {lock}; SET LOCAL idle_in_transaction_session_timeout TO {transaction}{haste}"
        ))
    }

    /// Runs statements without values.
    pub(super) fn batch(&mut self, sql: &str) -> Result<(), Failure> {
        self.link
            .wait(self.runtime, self.deadline, self.database, async |client| client.batch_execute(sql).await)
    }

    fn fault(&mut self, failure: Failure) -> Fault {
        let fault = Fault::Store(failure.error.clone());
        self.failure = Some(failure);
        fault
    }
}

impl Session for Transaction<'_> {
    fn dialect(&self) -> Dialect {
        Dialect::Postgres
    }

    fn query(&mut self, sql: &str, values: &[Value]) -> Result<Vec<Row>, Fault> {
        let bound = bound(values);
        let rows = self.link.wait(self.runtime, self.deadline, self.database, async |client| {
            client.query_typed(sql, &bound).await
        });
        match rows {
            Ok(rows) => rows.iter().map(row).collect(),
            Err(failure) => Err(self.fault(failure)),
        }
    }

    fn execute(&mut self, sql: &str, values: &[Value]) -> Result<u64, Fault> {
        let bound = bound(values);
        let touched = self.link.wait(self.runtime, self.deadline, self.database, async |client| {
            client.execute_typed(sql, &bound).await
        });
        touched.map_err(|failure| self.fault(failure))
    }

    /// The rows travel as one JSON array, which PostgreSQL takes apart by the columns of the table.
    fn insert(&mut self, insert: &Insert, rows: &[Vec<Value>]) -> Result<Vec<usize>, Fault> {
        let columns = insert.columns.join(", ");
        let Insert { table, postgres, .. } = insert;
        let key = insert.columns.first().copied().unwrap_or_default();
        let sql = format!(
            "INSERT INTO {table} ({columns}) SELECT {columns} FROM json_populate_recordset(NULL::{table}, $1::json) \
             {postgres}"
        );
        let skips = postgres.contains("DO NOTHING");
        let mut put = Vec::with_capacity(rows.len());
        for (number, part) in rows.chunks(ROWS_AT_ONCE).enumerate() {
            let first = number * ROWS_AT_ONCE;
            let json = [Value::Text(json(insert.columns, part))];
            if !skips {
                self.execute(&sql, &json)?;
                put.extend(first..first + part.len());
                continue;
            }
            let kept = self.query(&format!("{sql} RETURNING {key}"), &json)?;
            let kept: Result<std::collections::HashSet<String>, Fault> =
                kept.into_iter().map(|mut row| row.text()).collect();
            let mut kept = kept?;
            for (place, row) in part.iter().enumerate() {
                // Of two rows with one key it was the first.
                if let Some(Value::Text(key)) = row.first()
                    && kept.remove(key)
                {
                    put.push(first + place);
                }
            }
        }
        Ok(put)
    }
}

fn json(columns: &[&str], rows: &[Vec<Value>]) -> String {
    let object = |row: &Vec<Value>| -> serde_json::Map<String, serde_json::Value> {
        let cells = columns.iter().zip(row).map(|(column, value)| {
            let value = match value {
                Value::Null => serde_json::Value::Null,
                Value::Int(number) => (*number).into(),
                Value::Text(text) => text.as_str().into(),
            };
            ((*column).to_owned(), value)
        });
        cells.collect()
    };
    serde_json::Value::Array(rows.iter().map(|row| object(row).into()).collect()).to_string()
}

fn bound(values: &[Value]) -> Vec<(&(dyn ToSql + Sync), Type)> {
    values.iter().map(bind).collect()
}

fn bind(value: &Value) -> (&(dyn ToSql + Sync), Type) {
    match value {
        Value::Null => (&None::<String>, Type::TEXT),
        Value::Int(number) => (number, Type::INT8),
        Value::Text(text) => (text, Type::TEXT),
    }
}

fn row(row: &tokio_postgres::Row) -> Result<Row, Fault> {
    let mut values = Vec::with_capacity(row.len());
    for (place, column) in row.columns().iter().enumerate() {
        let kind = column.type_();
        let value = if *kind == Type::INT8 {
            row.try_get::<_, Option<i64>>(place).map(|number| number.map(Value::Int))
        } else if *kind == Type::INT4 {
            row.try_get::<_, Option<i32>>(place).map(|number| number.map(|number| Value::Int(number.into())))
        } else {
            row.try_get::<_, Option<String>>(place).map(|text| text.map(Value::Text))
        };
        values.push(value.map_err(|_| Fault::Shape)?.unwrap_or(Value::Null));
    }
    Ok(Row::new(values))
}

/// What a fault is outside.
pub(super) fn settled(fault: Fault, database: &str) -> StoreError {
    match fault {
        Fault::Store(error) => error,
        Fault::Sql(_) | Fault::Shape => crate::error::shape(database.to_owned()),
    }
}
