//! The replies of `/model/new`, `/model/update`, `/model/{id}/update`, `/model/delete`, `/model/block`.

use super::From::{Date, Given, Id, Member};
use super::Or::{False, Null, Object};
use super::masked::{HIDDEN, within};
use super::{Amounts, Clock, Source, Table};
use crate::record::Record;
use serde_json::{Map, Value, json};

const MODEL: &Table = &[
    ("model_id", Id),
    ("model_name", Member(Null)),
    ("litellm_params", Given(Object)),
    ("model_info", Given(Object)),
    ("blocked", Member(False)),
    ("created_at", Date),
    ("created_by", Member(Null)),
    ("updated_at", Date),
    ("updated_by", Member(Null)),
];

/// What LiteLLM's rows say of every deployment.
const PARAMS: &[&str] = &[
    "use_xai_oauth",
    "use_litellm_proxy",
    "use_in_pass_through",
    "allow_client_keepalive_override",
    "merge_reasoning_content_in_choices",
];
const INFO: &[&str] = &["db_model", "member_auto_router"];

/// A deployment's row: `/model/new`, `/model/update`, `/model/{model_id}/update`, `/model/block`, `/model/unblock`. Of secrets
/// nothing is shown: they are sealed here.
pub fn row(model: &Record, clock: &Clock<'_>) -> Value {
    let object = |name: &str| match model.member(name) {
        Some(Value::Object(members)) => members,
        _ => Map::new(),
    };
    let params = within(&object("litellm_params"), &|_| HIDDEN.to_owned());
    let given = [
        ("litellm_params", Value::Object(with(params, PARAMS))),
        ("model_info", Value::Object(with(object("model_info"), INFO))),
    ];
    Value::Object(Source::new(model, &Amounts::default(), clock).given(&given).object(MODEL))
}

/// An object with these members, false where it has none, in the order of PostgreSQL's JSON: by length, then by letters.
fn with(mut members: Map<String, Value>, flags: &[&str]) -> Map<String, Value> {
    for &flag in flags {
        members.entry(flag).or_insert(Value::Bool(false));
    }
    let mut rows: Vec<(String, Value)> = members.into_iter().collect();
    rows.sort_by(|(one, _), (other, _)| (one.len(), one).cmp(&(other.len(), other)));
    rows.into_iter().collect()
}

/// `/model/delete`.
pub fn deleted(id: &str) -> Value {
    json!({"message": format!("Model: {id} deleted successfully")})
}
