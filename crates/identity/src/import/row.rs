//! A row of LiteLLM's, and the document that it becomes.

use super::wall;
use crate::document::Document;
use crate::form::put;
use serde_json::{Map, Value};
use tollgate_policy::clock::Wall;
use tollgate_policy::period::Cadence;

/// Columns that are counted, worked out or kept in records of their own here.
const ANEW: &[&str] = &[
    "spend",
    "total_spend",
    "model_spend",
    "budget_reset_at",
    "soft_budget_cooldown",
    "last_active",
    "last_breach_check_at",
    "model_id",
    "admins",
    "members",
    "members_with_roles",
    "teams",
];
/// Columns of times.
const TIMES: &[&str] = &[
    "created_at",
    "updated_at",
    "expires",
    "temp_budget_expiry",
    "settings_updated_at",
    "last_rotation_at",
    "key_rotation_at",
];
/// Columns of JSON.
const JSON: &[&str] = &[
    "metadata",
    "aliases",
    "config",
    "permissions",
    "model_max_budget",
    "model_rpm_limit",
    "model_tpm_limit",
    "router_settings",
    "budget_limits",
    "model_info",
];
/// What a column of permissions for MCP servers and the like points to.
const OBJECTS: &str = "object_permission_id";

/// The columns of a row.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Row(pub(super) Map<String, Value>);

impl Row {
    /// A column that is there and not null.
    pub(super) fn get(&self, column: &str) -> Option<&Value> {
        self.0.get(column).filter(|value| !value.is_null())
    }

    /// A text that is not empty.
    pub(super) fn text(&self, column: &str) -> Option<&str> {
        self.get(column)?.as_str().filter(|text| !text.is_empty())
    }

    /// The row under the names of its columns, without what is counted anew and without what is named; and a sentence
    /// for each of the latter that had something in it.
    pub(super) fn document(&self, without: &[&str]) -> (Document, Vec<String>) {
        let mut document = Document::default();
        let mut remarks = Vec::new();
        for (column, value) in &self.0 {
            let value = tidy(column, value);
            if ANEW.contains(&column.as_str()) || is_nothing(&value) {
                continue;
            }
            if without.contains(&column.as_str()) || column == OBJECTS {
                remarks.push(format!("'{column}' has no counterpart here"));
            } else {
                put(&mut document, column, value);
            }
        }
        self.begin(&mut document);
        (document, remarks)
    }

    /// The budget begins anew when it would have there: its periods are counted from one of those times.
    fn begin(&self, document: &mut Document) {
        let cadence = document.text("budget_duration").map(Cadence::parse);
        let (Some(Ok(cadence)), Some(reset)) = (cadence, self.text("budget_reset_at").and_then(wall)) else {
            return;
        };
        let Some(length) = cadence.seconds() else { return };
        let length = i64::try_from(length.as_micros()).unwrap_or(i64::MAX);
        let began = Wall::from_micros(reset.micros().saturating_sub(length));
        put(document, "budget_began_at", Value::from(began.rfc3339()));
    }
}

/// A value as it is kept here: times in RFC 3339, JSON that lies in a text as what it is.
fn tidy(column: &str, value: &Value) -> Value {
    match value {
        Value::String(text) if TIMES.contains(&column) => {
            wall(text).map_or_else(|| value.clone(), |at| Value::from(at.rfc3339()))
        }
        // Some releases have put JSON into columns of JSON as its text.
        Value::String(text) if JSON.contains(&column) => {
            serde_json::from_str(text).unwrap_or_else(|_| value.clone())
        }
        other => other.clone(),
    }
}

/// What is the default anyway.
fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Bool(true) | Value::Number(_) => false,
    }
}
