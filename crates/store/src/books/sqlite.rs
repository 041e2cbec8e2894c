//! The embedded engine: a transaction of the [`Store`](crate::Store)'s threads as a [`Session`], and sums of money in SQL.
//!
//! Leaves transactions to `batch.rs` and what is done in them to the modules of each noun.
//!
//! **Invariant**: money is added as 128 bits, never as a float; a sum that does not fit is an error, not a wrong number.
//! **Invariant**: a search ends, however much there is to be searched.

use std::cell::Cell;
use std::time::{Duration, Instant};

use rusqlite::functions::{Aggregate, Context, FunctionFlags};
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ToSql};

use super::session::{Dialect, Insert, Row, Session, Value};
use crate::background::Turns;
use crate::error::Fault;

/// Statements that a connection keeps prepared.
const STATEMENTS_KEPT: usize = 64;

/// Steps of SQLite's machine between two looks at the clock: some tenths of a millisecond.
const STEPS_BETWEEN_LOOKS: i32 = 10_000;

thread_local! {
    /// When what runs on this thread's connection is to be given up.
    static DEADLINE: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// While it lives, statements of this thread's connection end at a moment.
struct Patience;

impl Patience {
    fn until(deadline: Instant) -> Self {
        DEADLINE.set(Some(deadline));
        Self
    }
}

impl Drop for Patience {
    fn drop(&mut self) {
        DEADLINE.set(None);
    }
}

/// Gives a connection what the statements of this module's neighbours use: `pico_add(a, b)` and `pico_sum(a)`, over
/// decimal texts and integers.
pub(crate) fn prepare(connection: &mut Connection) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
    let is_over = || DEADLINE.get().is_some_and(|deadline| Instant::now() >= deadline);
    connection.progress_handler(STEPS_BETWEEN_LOOKS, Some(is_over))?;
    // Innocuous: they may be called although the schema is not trusted.
    let flags =
        FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_INNOCUOUS;
    connection.create_scalar_function("pico_add", 2, flags, |context| {
        let sum = amount(context.get_raw(0))?.checked_add(amount(context.get_raw(1))?);
        sum.map(|sum| sum.to_string()).ok_or_else(too_large)
    })?;
    connection.create_aggregate_function("pico_sum", 1, flags, Sum)
}

struct Sum;

impl Aggregate<i128, String> for Sum {
    fn init(&self, _: &mut Context<'_>) -> rusqlite::Result<i128> {
        Ok(0)
    }

    fn step(&self, context: &mut Context<'_>, sum: &mut i128) -> rusqlite::Result<()> {
        *sum = sum.checked_add(amount(context.get_raw(0))?).ok_or_else(too_large)?;
        Ok(())
    }

    fn finalize(&self, _: &mut Context<'_>, sum: Option<i128>) -> rusqlite::Result<String> {
        Ok(sum.unwrap_or(0).to_string())
    }
}

fn amount(value: ValueRef<'_>) -> rusqlite::Result<i128> {
    let text = match value {
        ValueRef::Integer(number) => return Ok(i128::from(number)),
        ValueRef::Null => return Ok(0),
        ValueRef::Text(text) => std::str::from_utf8(text).ok(),
        ValueRef::Real(_) | ValueRef::Blob(_) => None,
    };
    let read = text.and_then(|text| text.parse().ok());
    read.ok_or_else(|| rusqlite::Error::UserFunctionError("an amount of money is no number".into()))
}

fn too_large() -> rusqlite::Error {
    rusqlite::Error::UserFunctionError("a sum of money is too large".into())
}

/// A transaction on one of the store's threads.
pub(super) struct Transaction<'a>(pub(super) &'a Connection);

/// Runs work that is given up after a while.
pub(super) fn within<T>(
    patience: Duration,
    connection: &Connection,
    work: impl FnOnce(&mut dyn Session) -> Result<T, Fault>,
) -> Result<T, Fault> {
    let _patience = Instant::now().checked_add(patience).map(Patience::until);
    work(&mut Transaction(connection))
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Null => ToSqlOutput::Borrowed(ValueRef::Null),
            Self::Int(number) => ToSqlOutput::Borrowed(ValueRef::Integer(*number)),
            Self::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
        })
    }
}

/// Parameters are `?1` here. No statement has a dollar sign otherwise.
fn spelled(sql: &str) -> String {
    sql.replace('$', "?")
}

fn read_row(row: &rusqlite::Row<'_>, columns: usize) -> Result<Row, Fault> {
    let mut values = Vec::with_capacity(columns);
    for column in 0..columns {
        values.push(match row.get_ref(column)? {
            ValueRef::Null => Value::Null,
            ValueRef::Integer(number) => Value::Int(number),
            ValueRef::Text(text) => {
                Value::Text(std::str::from_utf8(text).map_err(|_| Fault::Shape)?.to_owned())
            }
            ValueRef::Real(_) | ValueRef::Blob(_) => return Err(Fault::Shape),
        });
    }
    Ok(Row::new(values))
}

impl Session for Transaction<'_> {
    fn dialect(&self) -> Dialect {
        Dialect::Sqlite
    }

    fn query(&mut self, sql: &str, values: &[Value]) -> Result<Vec<Row>, Fault> {
        let mut statement = self.0.prepare_cached(&spelled(sql))?;
        let columns = statement.column_count();
        let mut rows = statement.query(rusqlite::params_from_iter(values))?;
        let mut read = Vec::new();
        while let Some(row) = rows.next()? {
            read.push(read_row(row, columns)?);
        }
        Ok(read)
    }

    fn execute(&mut self, sql: &str, values: &[Value]) -> Result<u64, Fault> {
        let mut statement = self.0.prepare_cached(&spelled(sql))?;
        Ok(statement.execute(rusqlite::params_from_iter(values))? as u64)
    }

    fn insert(&mut self, insert: &Insert, rows: &[Vec<Value>]) -> Result<Vec<usize>, Fault> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let places: Vec<String> = (1..=insert.columns.len()).map(|number| format!("?{number}")).collect();
        let sql = format!(
            "INSERT INTO {} ({}) VALUES ({}) {}",
            insert.table,
            insert.columns.join(", "),
            places.join(", "),
            insert.sqlite
        );
        let mut statement = self.0.prepare_cached(&sql)?;
        let mut put = Vec::with_capacity(rows.len());
        let mut turns = Turns::default();
        for (place, row) in rows.iter().enumerate() {
            turns.step();
            if statement.execute(rusqlite::params_from_iter(row))? > 0 {
                put.push(place);
            }
        }
        Ok(put)
    }
}
