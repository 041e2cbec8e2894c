//! A database of LiteLLM's, read for those who move: its rows, table by table, as the JSON that PostgreSQL makes of them.
//!
//! Owns which tables those are (models of LiteLLM's `schema.prisma`). What a row means here is
//! for those who import it.
//!
//! **Invariant**: nothing is written: every transaction is read-only, and no table of ours is made.

use super::postgres::{Mode, Postgres};
use super::session::{Session, one};
use crate::error::{Fault, StoreError};

/// What is worth moving.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LiteLlmTable {
    /// Budgets.
    Budgets,
    /// Organizations.
    Organizations,
    /// Teams.
    Teams,
    /// What models are called in teams, which refer to it.
    ModelAliases,
    /// Users.
    Users,
    /// Who is in which team, with a budget of their own.
    TeamMemberships,
    /// Who is in which organization.
    OrganizationMemberships,
    /// Projects.
    Projects,
    /// Keys, by their hashes.
    Keys,
    /// Keys that others were put in place of, while they are let through.
    ReplacedKeys,
    /// Customers.
    Customers,
    /// Tags.
    Tags,
    /// Groups of models that access is given to.
    AccessGroups,
    /// Models that were added by the API.
    Models,
    /// Credentials of providers, sealed with LiteLLM's salt.
    Credentials,
    /// Settings that were changed by the API.
    Settings,
}

impl LiteLlmTable {
    /// Every table, each after those that it refers to.
    pub const ALL: [Self; 16] = [
        Self::Budgets,
        Self::Organizations,
        Self::Teams,
        Self::ModelAliases,
        Self::Users,
        Self::TeamMemberships,
        Self::OrganizationMemberships,
        Self::Projects,
        Self::Keys,
        Self::ReplacedKeys,
        Self::Customers,
        Self::Tags,
        Self::AccessGroups,
        Self::Models,
        Self::Credentials,
        Self::Settings,
    ];

    /// Its name in LiteLLM's database.
    pub fn name(self) -> &'static str {
        match self {
            Self::Budgets => "LiteLLM_BudgetTable",
            Self::Organizations => "LiteLLM_OrganizationTable",
            Self::Teams => "LiteLLM_TeamTable",
            Self::ModelAliases => "LiteLLM_ModelTable",
            Self::Users => "LiteLLM_UserTable",
            Self::TeamMemberships => "LiteLLM_TeamMembership",
            Self::OrganizationMemberships => "LiteLLM_OrganizationMembership",
            Self::Projects => "LiteLLM_ProjectTable",
            Self::Keys => "LiteLLM_VerificationToken",
            Self::ReplacedKeys => "LiteLLM_DeprecatedVerificationToken",
            Self::Customers => "LiteLLM_EndUserTable",
            Self::Tags => "LiteLLM_TagTable",
            Self::AccessGroups => "LiteLLM_AccessGroupTable",
            Self::Models => "LiteLLM_ProxyModelTable",
            Self::Credentials => "LiteLLM_CredentialsTable",
            Self::Settings => "LiteLLM_Config",
        }
    }
}

/// A database of LiteLLM's.
pub struct LiteLlmDatabase {
    postgres: Postgres,
}

/// The rows of a table, each a JSON object with the columns' names. Times are UTC without saying so
/// (`2026-11-22T11:01:21.172`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LiteLlmRows {
    /// The table's name.
    pub table: &'static str,
    /// In no order.
    pub rows: Vec<String>,
}

impl LiteLlmDatabase {
    /// The database at an address as LiteLLM has it, `schema=` included. No connection is opened yet.
    ///
    /// # Errors
    /// Those of [`Books::postgres`](super::Books::postgres).
    pub fn new(url: &str) -> Result<Self, StoreError> {
        Ok(Self { postgres: Postgres::foreign(url)? })
    }

    /// The rows of all these tables, as they are at one moment. A table that the database does not have, since its release
    /// of LiteLLM does not, has none.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], also where the user may not read a table.
    pub async fn read(&self, tables: Vec<LiteLlmTable>) -> Result<Vec<LiteLlmRows>, StoreError> {
        let work = move |session: &mut dyn Session| {
            tables.iter().map(|table| rows(session, *table)).collect::<Result<_, Fault>>()
        };
        self.postgres.perform(Mode::Load, work).await
    }

    /// Closes the connection.
    pub async fn close(&self) {
        self.postgres.close().await;
    }
}

const EXISTS: &str = "SELECT count(*) FROM pg_tables WHERE schemaname = current_schema() AND tablename = $1";

fn rows(session: &mut dyn Session, table: LiteLlmTable) -> Result<LiteLlmRows, Fault> {
    let name = table.name();
    if one(session.query(EXISTS, &[name.into()])?)?.int()? == 0 {
        return Ok(LiteLlmRows { table: name, rows: Vec::new() });
    }
    // The name is one of ours, above.
    let sql = format!("SELECT CAST(row_to_json(t) AS TEXT) FROM \"{name}\" AS t");
    let rows = session.query(&sql, &[])?.into_iter().map(|mut row| row.text());
    Ok(LiteLlmRows { table: name, rows: rows.collect::<Result<_, _>>()? })
}
