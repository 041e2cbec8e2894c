//! The replies of `/customer/*`.

use super::From::{Always, Given, Id, Member, Spend};
use super::Or::{False, List, Null};
use super::{Amounts, Clock, Source, Table, budget};
use crate::record::Record;
use serde_json::{Value, json};

const CUSTOMER: &Table = &[
    ("user_id", Id),
    ("blocked", Member(False)),
    ("alias", Member(Null)),
    ("spend", Spend),
    ("allowed_model_region", Always(Null)),
    ("default_model", Member(Null)),
    ("models", Member(List)),
    ("budget_id", Member(Null)),
    ("litellm_budget_table", Given(Null)),
    ("object_permission_id", Always(Null)),
    ("object_permission", Always(Null)),
];

/// A customer, with what it has spent and the budget that it refers to.
#[derive(Clone, Copy)]
pub struct Shown<'a> {
    /// The customer.
    pub customer: &'a Record,
    /// What it has spent.
    pub amounts: &'a Amounts,
    /// The budget of its `budget_id`.
    pub budget: Option<&'a Record>,
}

/// `/customer/new`, `/customer/update`, `/customer/info`, and each of `/customer/list`.
pub fn row(shown: Shown<'_>, clock: &Clock<'_>) -> Value {
    let given = [("litellm_budget_table", shown.budget.map_or(Value::Null, |it| budget::table(it, clock)))];
    let source = Source::new(shown.customer, shown.amounts, clock).given(&given);
    Value::Object(source.object(CUSTOMER))
}

/// `/customer/block`, of customers as [`row`] writes them.
pub fn blocked(customers: &[Value]) -> Value {
    json!({"blocked_users": customers})
}

/// `/customer/unblock`: who is still blocked. LiteLLM names the list so.
pub fn unblocked(still_blocked: &[String]) -> Value {
    json!({"blocked_users": still_blocked})
}

/// `/customer/delete`: whom the body named. LiteLLM writes them as Python does.
pub fn deleted(customers: &[String]) -> Value {
    let names: Vec<String> = customers.iter().map(|id| format!("'{id}'")).collect();
    let message = format!("Successfully deleted customers with ids: [{}]", names.join(", "));
    json!({"deleted_customers": customers.len(), "message": message})
}
