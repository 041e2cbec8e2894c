//! What both engines can do inside a transaction, so that what is done with them is written once.
//!
//! Owns values on their way in and out, and the words in which the two dialects of SQL differ. Leaves connections and
//! transactions to the engines.
//!
//! **Invariant**: the text of a statement is made of `&'static str` alone; what callers give is bound as a value.

use crate::error::Fault;

/// Which SQL is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// SQLite's.
    Sqlite,
    /// PostgreSQL's.
    Postgres,
}

impl Dialect {
    /// The text for this dialect.
    pub(crate) fn pick(self, sqlite: &'static str, postgres: &'static str) -> &'static str {
        match self {
            Self::Sqlite => sqlite,
            Self::Postgres => postgres,
        }
    }
}

/// What stands in a column, or for a parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    /// Nothing.
    Null,
    /// A number. Money that needs more bits is text.
    Int(i64),
    /// A text.
    Text(String),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<bool> for Value {
    fn from(is: bool) -> Self {
        Self::Int(i64::from(is))
    }
}

/// Rows to be put into a table.
pub(crate) struct Insert {
    /// The table.
    pub(crate) table: &'static str,
    /// Its columns, the key's among them, in the order of the values.
    pub(crate) columns: &'static [&'static str],
    /// `ON CONFLICT ...` in SQLite's words; empty where a conflict is an error.
    pub(crate) sqlite: &'static str,
    /// The same in PostgreSQL's.
    pub(crate) postgres: &'static str,
}

/// An open transaction. Parameters are `$1`, `$2`, ... in both dialects.
pub(crate) trait Session {
    /// Whose SQL is spoken.
    fn dialect(&self) -> Dialect;

    /// Runs a statement and reads what it returns.
    fn query(&mut self, sql: &str, values: &[Value]) -> Result<Vec<Row>, Fault>;

    /// Runs a statement and says how many rows it touched.
    fn execute(&mut self, sql: &str, values: &[Value]) -> Result<u64, Fault>;

    /// Puts rows into a table, and says which of them, by their places, were put: all but those that a `DO NOTHING` left
    /// out. With `DO NOTHING` the first column has to be the key, a text.
    fn insert(&mut self, insert: &Insert, rows: &[Vec<Value>]) -> Result<Vec<usize>, Fault>;
}

/// A row that was read, taken apart from its first column to its last.
#[derive(Debug)]
pub(crate) struct Row(std::vec::IntoIter<Value>);

impl Row {
    pub(crate) fn new(values: Vec<Value>) -> Self {
        Self(values.into_iter())
    }

    /// The next column, a text; nothing is an empty one.
    pub(crate) fn text(&mut self) -> Result<String, Fault> {
        match self.0.next() {
            Some(Value::Text(text)) => Ok(text),
            Some(Value::Null) => Ok(String::new()),
            _ => Err(Fault::Shape),
        }
    }

    /// The next column, a text or nothing.
    pub(crate) fn text_or_none(&mut self) -> Result<Option<String>, Fault> {
        match self.0.next() {
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(Value::Null) => Ok(None),
            _ => Err(Fault::Shape),
        }
    }

    /// The next column, a number; nothing is 0.
    pub(crate) fn int(&mut self) -> Result<i64, Fault> {
        match self.0.next() {
            Some(Value::Int(number)) => Ok(number),
            Some(Value::Null) => Ok(0),
            _ => Err(Fault::Shape),
        }
    }

    /// The next column, a count.
    pub(crate) fn count(&mut self) -> Result<u64, Fault> {
        u64::try_from(self.int()?).map_err(|_| Fault::Shape)
    }

    /// The next column, a mark.
    pub(crate) fn flag(&mut self) -> Result<bool, Fault> {
        Ok(self.int()? != 0)
    }

    /// The next column, money as decimal text; nothing is 0.
    pub(crate) fn amount(&mut self) -> Result<i128, Fault> {
        match self.0.next() {
            Some(Value::Text(text)) => text.parse().map_err(|_| Fault::Shape),
            Some(Value::Int(number)) => Ok(i128::from(number)),
            Some(Value::Null) => Ok(0),
            None => Err(Fault::Shape),
        }
    }
}

/// The only row of a statement that always has one.
pub(crate) fn one(rows: Vec<Row>) -> Result<Row, Fault> {
    rows.into_iter().next().ok_or(Fault::Shape)
}
