//! The replies of `/budget/*`, and the budget within the replies of those who refer to it.

use super::From::{Always, Anywhere, Date, Id, Member, Money, ResetAt};
use super::Or::{List, Null};
use super::{Amounts, Clock, Source, Table};
use crate::record::Record;
use serde_json::Value;

const ROW: &Table = &[
    ("budget_id", Id),
    ("max_budget", Money),
    ("soft_budget", Money),
    ("max_parallel_requests", Member(Null)),
    ("tpm_limit", Member(Null)),
    ("rpm_limit", Member(Null)),
    ("tpd_limit", Member(Null)),
    ("model_max_budget", Anywhere(Null)),
    ("budget_duration", Member(Null)),
    ("budget_reset_at", ResetAt),
    ("allowed_models", Member(List)),
    ("temp_budget_increase", Money),
    ("temp_budget_expiry", Anywhere(Null)),
    ("created_at", Date),
    ("created_by", Member(Null)),
    ("updated_at", Date),
    ("updated_by", Member(Null)),
    ("organization", Always(Null)),
    ("projects", Always(Null)),
    ("keys", Always(Null)),
    ("end_users", Always(Null)),
    ("tags", Always(Null)),
    ("model_access_groups", Always(Null)),
    ("team_membership", Always(Null)),
    ("organization_membership", Always(Null)),
];

const TABLE: &Table = &[
    ("budget_id", Id),
    ("soft_budget", Money),
    ("max_budget", Money),
    ("max_parallel_requests", Member(Null)),
    ("tpm_limit", Member(Null)),
    ("rpm_limit", Member(Null)),
    ("tpd_limit", Member(Null)),
    ("model_max_budget", Anywhere(Null)),
    ("budget_duration", Member(Null)),
    ("allowed_models", Member(List)),
    ("temp_budget_increase", Money),
    ("temp_budget_expiry", Anywhere(Null)),
    ("budget_reset_at", ResetAt),
    ("created_at", Date),
];

/// A budget within the reply of someone who refers to it.
pub(crate) fn table(budget: &Record, clock: &Clock<'_>) -> Value {
    Value::Object(Source::new(budget, &Amounts::default(), clock).object(TABLE))
}

/// `/budget/new`, `/budget/update`, `/budget/delete`, and each of `/budget/info` and `/budget/list`.
pub fn row(budget: &Record, clock: &Clock<'_>) -> Value {
    Value::Object(Source::new(budget, &Amounts::default(), clock).object(ROW))
}
