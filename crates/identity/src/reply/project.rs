//! The replies of `/project/*`, as LiteLLM's response models say.

use super::From::{Always, Anywhere, Date, Given, Id, Member, ModelSpend, Spend};
use super::Or::{False, List, Null, Object};
use super::{Amounts, Clock, Source, Table, budget};
use crate::record::Record;
use serde_json::Value;

const PROJECT: &Table = &[
    ("project_id", Id),
    ("project_alias", Member(Null)),
    ("description", Member(Null)),
    ("team_id", Member(Null)),
    ("budget_id", Member(Null)),
    ("metadata", Member(Object)),
    ("models", Member(List)),
    ("spend", Spend),
    ("model_spend", ModelSpend),
    ("model_rpm_limit", Anywhere(Object)),
    ("model_tpm_limit", Anywhere(Object)),
    ("blocked", Member(False)),
    ("object_permission_id", Always(Null)),
    ("created_by", Member(Null)),
    ("updated_by", Member(Null)),
    ("created_at", Date),
    ("updated_at", Date),
    ("litellm_budget_table", Given(Null)),
    ("object_permission", Always(Null)),
];

/// A project, with what it has spent and the budget that it refers to.
#[derive(Clone, Copy)]
pub struct Shown<'a> {
    /// The project.
    pub project: &'a Record,
    /// What it has spent.
    pub amounts: &'a Amounts,
    /// The budget of its `budget_id`.
    pub budget: Option<&'a Record>,
}

/// `/project/new`, `/project/update`, `/project/info`, and each of `/project/list` and `/project/delete`.
pub fn row(shown: Shown<'_>, clock: &Clock<'_>) -> Value {
    let given = [("litellm_budget_table", shown.budget.map_or(Value::Null, |it| budget::short(it, clock)))];
    let source = Source::new(shown.project, shown.amounts, clock).given(&given);
    Value::Object(source.object(PROJECT))
}
