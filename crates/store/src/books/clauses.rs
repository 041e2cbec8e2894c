//! A statement with conditions that a caller chose, put together from texts of ours and bound values.
//!
//! Owns how values become places in the text, and how a text is looked for literally.
//!
//! **Invariant**: what is appended to a statement is `&'static str`, a number of a place, or nothing.

use super::session::{Dialect, Value};

/// A part of the rows, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// Rows before it.
    pub offset: u64,
    /// Rows of it, at most.
    pub limit: u32,
}

impl Default for Page {
    /// The first hundred.
    fn default() -> Self {
        Self { offset: 0, limit: 100 }
    }
}

/// A statement that grows.
pub(super) struct Clauses {
    dialect: Dialect,
    pub(super) sql: String,
    pub(super) values: Vec<Value>,
    has_conditions: bool,
}

impl Clauses {
    pub(super) fn new(dialect: Dialect) -> Self {
        Self { dialect, sql: String::new(), values: Vec::new(), has_conditions: false }
    }

    /// Appends text of ours.
    pub(super) fn text(&mut self, text: &'static str) -> &mut Self {
        self.sql.push_str(text);
        self
    }

    /// Appends columns, with commas between.
    pub(super) fn columns(&mut self, columns: &[&'static str]) -> &mut Self {
        for (place, column) in columns.iter().enumerate() {
            self.text(if place == 0 { "" } else { ", " }).text(column);
        }
        self
    }

    /// Appends a place and binds a value to it.
    pub(super) fn bind(&mut self, value: Value) -> &mut Self {
        use std::fmt::Write as _;
        self.values.push(value);
        let _ = write!(self.sql, "${}", self.values.len());
        self
    }

    /// Begins a condition that all others have to hold beside.
    pub(super) fn condition(&mut self) -> &mut Self {
        let joint = if self.has_conditions { " AND " } else { " WHERE " };
        self.has_conditions = true;
        self.text(joint)
    }

    /// `condition` and a value, where there is one.
    pub(super) fn hold(&mut self, condition: &'static str, value: Option<Value>) -> &mut Self {
        if let Some(value) = value {
            self.condition().text(condition).bind(value);
        }
        self
    }

    /// A column is one of these texts; any where there are none. Empty texts are nothing in columns that may be nothing.
    pub(super) fn among(&mut self, column: &'static str, texts: &[String]) -> &mut Self {
        if !texts.is_empty() {
            self.condition().is_among(column, texts);
        }
        self
    }

    /// A column that may be nothing is one of these texts, of which an empty one means nothing; any where there are none.
    pub(super) fn among_optional(&mut self, column: &'static str, texts: &[String]) -> &mut Self {
        if texts.iter().any(String::is_empty) {
            self.condition().text("(").text(column).text(" IS NULL OR ").is_among(column, texts).text(")");
            return self;
        }
        self.among(column, texts)
    }

    /// The bare comparison of [`among`](Self::among), for conditions that are joined otherwise.
    pub(super) fn is_among(&mut self, column: &'static str, texts: &[String]) -> &mut Self {
        if let [text] = texts {
            return self.text(column).text(" = ").bind(text.as_str().into());
        }
        let (before, after) = match self.dialect {
            Dialect::Sqlite => (" IN (SELECT value FROM json_each(", "))"),
            // As an array, an index of the column can be used.
            Dialect::Postgres => (" = ANY (ARRAY(SELECT json_array_elements_text(", "::json)))"),
        };
        let list = serde_json::to_string(texts).unwrap_or_default();
        self.text(column).text(before).bind(list.into()).text(after)
    }

    /// The order and the part of the rows.
    pub(super) fn page(&mut self, page: Page) -> &mut Self {
        let offset = i64::try_from(page.offset).unwrap_or(i64::MAX);
        self.text(" LIMIT ").bind(i64::from(page.limit).into()).text(" OFFSET ").bind(offset.into())
    }

    /// The word that compares a text with a pattern, in whatever case.
    pub(super) fn like(&self) -> &'static str {
        self.dialect.pick(" LIKE ", " ILIKE ")
    }
}

/// The pattern that finds a text literally, anywhere; to be followed by [`ESCAPE`].
pub(super) fn containing(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len() + 2);
    pattern.push('%');
    for char in text.chars().filter(|char| *char != '\0') {
        if matches!(char, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(char);
    }
    pattern.push('%');
    pattern
}

/// What follows a pattern of [`containing`].
pub(super) const ESCAPE: &str = " ESCAPE '\\'";

/// Texts of a filter as the columns hold them: no engine has a zero in a text.
pub(super) fn searchable(texts: &[String]) -> Vec<String> {
    texts.iter().cloned().map(super::columns::id_of).collect()
}
