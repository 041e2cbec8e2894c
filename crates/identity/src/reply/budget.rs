//! The replies of `/budget/*`, and the budget within the replies of those who refer to it.

use super::From::{Always, Anywhere, Date, Id, Member, Money, ResetAt};
use super::Or::{List, Null};
use super::{Amounts, Clock, Source, Table, amount};
use crate::record::Record;
use serde_json::{Map, Value, json};

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

/// LiteLLM's page of a budget: each setting's name, type and what it is for.
const SETTINGS: &[(&str, &str, &str)] = &[
    ("max_budget", "Float", "Requests will fail if this budget (in USD) is exceeded."),
    ("soft_budget", "Float", "Requests will NOT fail if this is exceeded. Will fire alerting though."),
    ("max_parallel_requests", "Integer", "Max concurrent requests allowed for this budget id."),
    ("tpm_limit", "Integer", "Max tokens per minute, allowed for this budget id."),
    ("rpm_limit", "Integer", "Max requests per minute, allowed for this budget id."),
    ("tpd_limit", "Integer", "Max tokens per day, charged by batch submissions, allowed for this budget id."),
    ("budget_duration", "String", "Max duration budget should be set for (e.g. '1hr', '1d', '28d')"),
    (
        "model_max_budget",
        "Object",
        "Max budget for each model (e.g. {'gpt-4o': {'max_budget': '0.0000001', 'budget_duration': '1d', 'tpm_limit': 1000, 'rpm_limit': 1000}})",
    ),
];

/// A budget within the reply of someone who refers to it.
pub(crate) fn table(budget: &Record, clock: &Clock<'_>) -> Value {
    Value::Object(Source::new(budget, &Amounts::default(), clock).object(TABLE))
}

/// `/budget/new`, `/budget/update`, `/budget/delete`, and each of `/budget/info` and `/budget/list`.
pub fn row(budget: &Record, clock: &Clock<'_>) -> Value {
    Value::Object(Source::new(budget, &Amounts::default(), clock).object(ROW))
}

/// A budget within the reply of an organization, a project or a place in an organization: as [`table`], without its dates.
pub(crate) fn short(budget: &Record, clock: &Clock<'_>) -> Value {
    let mut reply = Source::new(budget, &Amounts::default(), clock).object(TABLE);
    for name in ["budget_reset_at", "created_at"] {
        reply.shift_remove(name);
    }
    Value::Object(reply)
}

/// `/budget/settings`.
pub fn settings(budget: &Record, clock: &Clock<'_>) -> Value {
    let none = Amounts::default();
    let source = Source::new(budget, &none, clock);
    let setting = |(name, kind, description): &(&str, &str, &str)| {
        let is_money = *kind == "Float";
        let value = source.value(name, if is_money { Money } else { Anywhere(Null) });
        json!({
            "field_name": name,
            "field_type": kind,
            "field_description": description,
            "field_value": value,
            "stored_in_db": true,
            "field_default_value": null,
            "premium_field": false,
            "nested_fields": null,
            "field_options": null,
            "field_tab": null,
            "source": "unset",
            "editable": true,
        })
    };
    SETTINGS.iter().map(setting).collect()
}

/// The soft budget of someone who has no budget to refer to, as [`table`] would have it.
pub(crate) fn soft(owner: &Record) -> Value {
    let mut reply: Map<String, Value> =
        TABLE.iter().map(|(name, _)| ((*name).to_owned(), Value::Null)).collect();
    reply.insert("soft_budget".to_owned(), amount(&owner.document(), "soft_budget"));
    Value::Object(reply)
}
