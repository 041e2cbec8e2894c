//! A LiteLLM database as records of ours: for those who move.
//!
//! Owns what each column of LiteLLM's tables (`schema.prisma`) becomes, what is left out, and why. Leaves reading the tables
//! to the store, and keeping the records to whoever asked.
//!
//! **Invariant:** a record that would allow more here than it does there, since what holds it is not there or cannot be
//! read, is left out; what of a record has no counterpart is said. Nothing is dropped in silence but what is counted anew.

mod opened;
mod people;
mod row;
mod sealed;
mod spent;
#[cfg(test)]
mod tests;

pub use sealed::Opener;
pub use spent::Spent;

use crate::form::lifetime::superseded;
use crate::form::{BadForm, Context, Draft, put};
use crate::kind::Kind;
use crate::record::Record;
use jiff::tz::TimeZone;
use row::Row;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use tollgate_policy::clock::Wall;

/// The rows of a database: each a JSON object with the columns' names.
#[derive(Debug, Default)]
pub struct Source {
    tables: BTreeMap<String, Vec<Row>>,
}

impl Source {
    /// Adds the rows of a table, by its name (`LiteLLM_TeamTable`).
    ///
    /// # Errors
    /// Where a row is no JSON object.
    pub fn add(&mut self, table: &str, rows: &[String]) -> Result<(), String> {
        let read = |row: &String| {
            let members = serde_json::from_str::<Map<String, Value>>(row);
            members.map(Row).map_err(|_| format!("a row of {table} is no JSON object"))
        };
        let rows = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        self.tables.entry(table.to_owned()).or_default().extend(rows);
        Ok(())
    }

    fn rows(&self, table: &str) -> &[Row] {
        self.tables.get(table).map(Vec::as_slice).unwrap_or_default()
    }
}

/// Seals a text as it is kept here. It is told the record's id, the member and the text.
pub type SealAnew<'a> = &'a dyn Fn(&str, &str, &str) -> Result<String, BadForm>;

/// What an import needs to know beside the rows.
pub struct Terms<'a> {
    /// The time, and who is said to have made what names nobody.
    pub context: Context<'a>,
    /// Where days and months begin.
    pub zone: &'a TimeZone,
    /// Opens what LiteLLM has sealed.
    pub opener: &'a Opener,
    /// Seals it anew.
    pub seal: SealAnew<'a>,
}

/// A record that is taken.
#[derive(Debug, Clone, PartialEq)]
pub struct Taken {
    /// The record.
    pub draft: Draft,
    /// What it has spent so far.
    pub spent: Vec<Spent>,
    /// What of it has no counterpart here, as sentences.
    pub remarks: Vec<String>,
}

/// A row that is left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// The table.
    pub table: &'static str,
    /// What it is of, for people; never a secret.
    pub what: String,
    /// Why.
    pub reason: String,
}

/// What an import would do.
#[derive(Debug, Default, PartialEq)]
pub struct Import {
    /// Each after those that it refers to.
    pub taken: Vec<Taken>,
    /// What is left out.
    pub left: Vec<Left>,
}

const BUDGETS: &str = "LiteLLM_BudgetTable";
const ORGANIZATIONS: &str = "LiteLLM_OrganizationTable";
const TEAMS: &str = "LiteLLM_TeamTable";
const ALIASES: &str = "LiteLLM_ModelTable";
const USERS: &str = "LiteLLM_UserTable";
const PLACES: &str = "LiteLLM_TeamMembership";
const SEATS: &str = "LiteLLM_OrganizationMembership";
const PROJECTS: &str = "LiteLLM_ProjectTable";
const KEYS: &str = "LiteLLM_VerificationToken";
const REPLACED: &str = "LiteLLM_DeprecatedVerificationToken";
const CUSTOMERS: &str = "LiteLLM_EndUserTable";
const TAGS: &str = "LiteLLM_TagTable";
const GROUPS: &str = "LiteLLM_AccessGroupTable";
const MODELS: &str = "LiteLLM_ProxyModelTable";
const CREDENTIALS: &str = "LiteLLM_CredentialsTable";
const SETTINGS: &str = "LiteLLM_Config";

/// The team that sessions of LiteLLM's console say they are of.
const CONSOLE: &str = "litellm-dashboard";
/// Why what refers to a budget that is not there is not taken.
const NO_BUDGET: &str = "its budget is not there, so that nothing would hold it";

/// Reads a database.
pub fn import(source: &Source, terms: &Terms<'_>) -> Import {
    let mut reading = Reading { source, terms, import: Import::default(), budgets: BTreeMap::new() };
    reading.budgets();
    reading.plain(ORGANIZATIONS, Kind::Organization, "organization_id", &[]);
    reading.teams();
    reading.plain(USERS, Kind::User, "user_id", &["password"]);
    reading.places();
    reading.seats();
    reading.plain(PROJECTS, Kind::Project, "project_id", &[]);
    reading.keys();
    reading.replaced_keys();
    reading.plain(CUSTOMERS, Kind::Customer, "user_id", &["allowed_model_region"]);
    reading.tags();
    reading.groups();
    reading.credentials();
    reading.models();
    for setting in source.rows(SETTINGS) {
        let name = setting.text("param_name").unwrap_or_default();
        reading.leave(SETTINGS, name, "settings are those of the configuration");
    }
    reading.import
}

/// An import at work.
struct Reading<'a> {
    source: &'a Source,
    terms: &'a Terms<'a>,
    import: Import,
    /// Budgets that others may refer to, with their rows.
    budgets: BTreeMap<String, (Record, &'a Row)>,
}

impl Reading<'_> {
    fn leave(&mut self, table: &'static str, what: &str, reason: impl Into<String>) {
        self.import.left.push(Left { table, what: what.to_owned(), reason: reason.into() });
    }

    /// Takes a record, if it can be read as one.
    fn take(&mut self, table: &'static str, row: &Row, mut draft: Draft, remarks: Vec<String>) {
        if self.lacks_budget(&draft) {
            self.leave(table, &name_of(draft.kind, &draft.id, row), NO_BUDGET);
            return;
        }
        match Record::read(draft.kind, &draft.id, 1, &draft.document) {
            Ok(record) => {
                let shared = record.parents.budget.as_deref().and_then(|id| self.budgets.get(id));
                let spent = spent::of(&record, row, shared, (self.terms.context.now, self.terms.zone));
                draft.document = spent::set_back(&record, row, shared).unwrap_or(draft.document);
                self.import.taken.push(Taken { draft, spent, remarks });
            }
            Err(bad) => self.leave(table, &name_of(draft.kind, &draft.id, row), bad.to_string()),
        }
    }

    /// Whether a record refers to a budget that is not there, or was left out.
    fn lacks_budget(&self, draft: &Draft) -> bool {
        draft.document.text("budget_id").is_some_and(|id| !self.budgets.contains_key(id))
    }

    /// Takes every row of a table whose columns are what they are here, but for those that have no counterpart.
    fn plain(&mut self, table: &'static str, kind: Kind, id: &str, without: &[&str]) {
        for row in self.source.rows(table) {
            let Some(id) = row.text(id).map(str::to_owned) else {
                self.leave(table, "", "it has no id");
                continue;
            };
            let (document, remarks) = row.document(without);
            self.take(table, row, Draft { kind, id, document }, remarks);
        }
    }

    fn budgets(&mut self) {
        let source = self.source;
        for row in source.rows(BUDGETS) {
            let id = row.text("budget_id").unwrap_or_default();
            let (document, remarks) = row.document(&[]);
            match Record::read(Kind::Budget, id, 1, &document) {
                Ok(record) => {
                    self.budgets.insert(id.to_owned(), (record, row));
                    let draft = Draft { kind: Kind::Budget, id: id.to_owned(), document };
                    self.import.taken.push(Taken { draft, spent: Vec::new(), remarks });
                }
                Err(bad) => self.leave(BUDGETS, id, bad.to_string()),
            }
        }
    }

    fn keys(&mut self) {
        let ids = |table, column| -> BTreeSet<&str> {
            self.source.rows(table).iter().filter_map(|row| row.text(column)).collect()
        };
        let (teams, projects) = (ids(TEAMS, "team_id"), ids(PROJECTS, "project_id"));
        let organizations = ids(ORGANIZATIONS, "organization_id");
        for row in self.source.rows(KEYS) {
            let token = row.text("token").unwrap_or_default();
            let is_hash = token.len() == 64 && token.bytes().all(|byte| byte.is_ascii_hexdigit());
            let lacks =
                |column, there: &BTreeSet<&str>| row.text(column).is_some_and(|id| !there.contains(id));
            let reason = if row.text("team_id") == Some(CONSOLE) {
                Some("it is a session of LiteLLM's console")
            } else if !is_hash {
                Some("it is kept without a hash: make it anew")
            } else if lacks("team_id", &teams) {
                Some("its team is not there, so that nothing would hold it")
            } else if lacks("project_id", &projects) {
                Some("its project is not there, so that nothing would hold it")
            } else if lacks("organization_id", &organizations) {
                Some("its organization is not there, so that nothing would hold it")
            } else {
                None
            };
            if let Some(reason) = reason {
                self.leave(KEYS, &name_of(Kind::Key, token, row), reason);
                continue;
            }
            let id = token.to_ascii_lowercase();
            let (mut document, remarks) = row.document(&["agent_id", "budget_fallbacks"]);
            put(&mut document, "token", Value::from(id.as_str()));
            self.take(KEYS, row, Draft { kind: Kind::Key, id, document }, remarks);
        }
    }

    /// Keys that others were put in place of, and that are still let through for a while.
    fn replaced_keys(&mut self) {
        let source = self.source;
        for row in source.rows(REPLACED) {
            let (Some(token), Some(successor), Some(until)) =
                (row.text("token"), row.text("active_token_id"), row.text("revoke_at").and_then(wall))
            else {
                self.leave(REPLACED, "", "it names no key, or no time");
                continue;
            };
            if until <= self.terms.context.now {
                continue;
            }
            let successor = successor.to_ascii_lowercase();
            let is_successor = |taken: &&Taken| taken.draft.kind == Kind::Key && taken.draft.id == successor;
            let Some(successor_key) = self.import.taken.iter().find(is_successor) else {
                self.leave(REPLACED, token, "the key that was put in its place is not taken");
                continue;
            };
            let id = token.to_ascii_lowercase();
            match superseded(&successor_key.draft.document, until, &successor) {
                Ok(mut document) => {
                    // That of the other one.
                    document.0.shift_remove("key_name");
                    put(&mut document, "token", Value::from(id.as_str()));
                    let draft = Draft { kind: Kind::Key, id, document };
                    self.import.taken.push(Taken { draft, spent: Vec::new(), remarks: Vec::new() });
                }
                Err(bad) => self.leave(REPLACED, token, bad.to_string()),
            }
        }
    }

    fn tags(&mut self) {
        for row in self.source.rows(TAGS) {
            let Some(id) = row.text("tag_name").map(str::to_owned) else {
                self.leave(TAGS, "", "it has no name");
                continue;
            };
            let (mut document, remarks) = row.document(&["models"]);
            document.0.shift_remove("tag_name");
            put(&mut document, "name", Value::from(id.as_str()));
            self.take(TAGS, row, Draft { kind: Kind::Tag, id, document }, remarks);
        }
    }
}

/// What people know a row by: its alias, or what a key may be recognised by.
fn name_of(kind: Kind, id: &str, row: &Row) -> String {
    let alias = kind.alias_member().and_then(|member| row.text(member));
    match (alias, kind) {
        (Some(alias), Kind::Key) => alias.to_owned(),
        (None, Kind::Key) => row.text("key_name").unwrap_or("a key without a name").to_owned(),
        (Some(alias), _) => format!("{alias} ({id})"),
        (None, _) => id.to_owned(),
    }
}

/// A time of LiteLLM's, which is UTC without saying so.
fn wall(text: &str) -> Option<Wall> {
    Wall::from_rfc3339(text)
}
