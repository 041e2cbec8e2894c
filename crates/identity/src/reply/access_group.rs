//! The replies of `/access_group/*` and of `/v1/access_group`.

use super::From::{Date, ResetAt};
use super::{Amounts, Clock, Source, amount};
use crate::document::dollars;
use crate::record::Record;
use serde_json::{Value, json};

/// A group of models, with what was spent on them and the budget of those who use them.
#[derive(Clone, Copy)]
pub struct Shown<'a> {
    /// The group.
    pub group: &'a Record,
    /// What was spent on its models.
    pub amounts: &'a Amounts,
    /// The budget of its `budget_id`.
    pub budget: Option<&'a Record>,
}

impl Shown<'_> {
    fn budget(&self, clock: &Clock<'_>) -> Value {
        let Some(budget) = self.budget else { return Value::Null };
        let source = Source::new(budget, self.amounts, clock);
        let document = budget.document();
        json!({
            "budget_id": &*budget.id,
            "max_budget": amount(&document, "max_budget"),
            "soft_budget": amount(&document, "soft_budget"),
            "budget_duration": document.get("budget_duration"),
            "budget_reset_at": source.value("budget_reset_at", ResetAt),
        })
    }
}

/// `/access_group/new`, `/access_group/{access_group}/update`: how many deployments are in it.
pub fn made(group: &Record, deployments_count: usize) -> Value {
    let document = group.document();
    let texts = |name: &str| document.texts(name).collect::<Vec<_>>();
    let (names, ids) = (texts("models"), texts("model_ids"));
    json!({
        "access_group": &*group.id,
        "model_names": if names.is_empty() { Value::Null } else { Value::from(names) },
        "model_ids": if ids.is_empty() { Value::Null } else { Value::from(ids) },
        "models_updated": deployments_count,
    })
}

/// `/access_group/{access_group}/info`, and each of `/access_group/list`. `models` are the names of its deployments' groups.
pub fn info(shown: Shown<'_>, models: &[&str], deployments_count: usize, clock: &Clock<'_>) -> Value {
    json!({
        "access_group": &*shown.group.id,
        "model_names": models,
        "deployment_count": deployments_count,
        "spend": dollars(shown.amounts.spend),
        "budget": shown.budget(clock),
    })
}

/// `/access_group/list`, of groups as [`info`] writes them.
pub fn list(groups: &[Value]) -> Value {
    json!({"access_groups": groups})
}

/// `/access_group/{access_group}/budget`.
pub fn budget(shown: Shown<'_>, clock: &Clock<'_>) -> Value {
    json!({
        "access_group": &*shown.group.id,
        "spend": dollars(shown.amounts.spend),
        "budget": shown.budget(clock),
    })
}

/// `DELETE /access_group/{access_group}/budget`.
pub fn budget_deleted(group: &str, had_one: bool) -> Value {
    let message = if had_one {
        format!("Budget for access group '{group}' deleted successfully")
    } else {
        format!("Access group '{group}' has no budget to delete")
    };
    json!({"access_group": group, "budget_deleted": had_one, "message": message})
}

/// `/access_group/{access_group}/delete`: how many deployments were in it.
pub fn deleted(group: &str, deployments_count: usize) -> Value {
    json!({
        "access_group": group,
        "models_updated": deployments_count,
        "message": format!("Access group '{group}' deleted successfully"),
    })
}

/// Someone whom a group is assigned to: an id, and what people know it by.
pub type Named<'a> = (&'a str, Option<&'a str>);

/// `/v1/access_group`: a group with the teams and the keys that it is assigned to.
pub fn named(group: &Record, teams: &[Named<'_>], keys: &[Named<'_>], clock: &Clock<'_>) -> Value {
    let none = Amounts::default();
    let source = Source::new(group, &none, clock);
    let document = &group.document();
    let ids = |named: &[Named<'_>]| named.iter().map(|row| Value::from(row.0)).collect::<Value>();
    let resources = |named: &[Named<'_>]| {
        named.iter().map(|(id, name)| json!({"id": id, "name": name})).collect::<Value>()
    };
    let models: Vec<&str> = document.texts("models").filter(|model| *model != "no-default-models").collect();
    json!({
        "access_group_id": &*group.id,
        "access_group_name": document.get("access_group_name"),
        "description": document.get("description"),
        "access_model_names": models,
        "access_mcp_server_ids": [],
        "access_agent_ids": [],
        "assigned_team_ids": ids(teams),
        "assigned_key_ids": ids(keys),
        "access_mcp_servers": [],
        "access_agents": [],
        "assigned_teams": resources(teams),
        "assigned_keys": resources(keys),
        "created_at": source.value("created_at", Date),
        "created_by": document.get("created_by"),
        "updated_at": source.value("updated_at", Date),
        "updated_by": document.get("updated_by"),
    })
}
