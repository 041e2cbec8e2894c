//! The replies of `/tag/*`.

use super::From::{Always, Date, Id, Member};
use super::Or::{List, Null, Object};
use super::{Amounts, Clock, Dates, Source, Table, budget, date};
use crate::record::Record;
use serde_json::{Map, Value, json};
use tollgate_policy::clock::Wall;

const TAG: &Table = &[
    ("name", Id),
    ("description", Member(Null)),
    ("models", Always(List)),
    ("model_info", Member(Object)),
    ("created_at", Date),
    ("updated_at", Date),
    ("created_by", Member(Null)),
];

/// What LiteLLM says of a tag that nobody made and that requests have.
const DYNAMIC: &str =
    "This is just a spend tag that was passed dynamically in a request. It does not control any LLM models.";

/// A tag, and the budget that it refers to, within another reply: `/tag/info`, `/tag/list`.
pub fn row(tag: &Record, own_budget: Option<&Record>, clock: &Clock<'_>) -> Value {
    let mut reply = Source::new(tag, &Amounts::default(), clock).dated(Dates::Offset).object(TAG);
    // LiteLLM's tags without a budget have no such member.
    if let Some(own_budget) = own_budget {
        reply.insert("litellm_budget_table".to_owned(), budget::table(own_budget, clock));
    }
    Value::Object(reply)
}

/// `/tag/new`.
pub fn created(tag: &Record, clock: &Clock<'_>) -> Value {
    json!({"message": format!("Tag {} created successfully", tag.id), "tag": row(tag, None, clock)})
}

/// `/tag/update`.
pub fn updated(tag: &Record, clock: &Clock<'_>) -> Value {
    json!({"message": format!("Tag {} updated successfully", tag.id), "tag": row(tag, None, clock)})
}

/// `/tag/info`: tags as [`row`] writes them, by name.
pub fn info(tags: Vec<(String, Value)>) -> Value {
    Value::Object(tags.into_iter().collect::<Map<_, _>>())
}

/// A tag of `/tag/list` that nobody made: its first and its last request.
pub fn dynamic(name: &str, first: Wall, last: Wall) -> Value {
    let stamp = |wall: Wall| date(wall, Dates::Millis);
    json!({
        "name": name,
        "description": DYNAMIC,
        "models": null,
        "created_at": stamp(first),
        "updated_at": stamp(last),
    })
}

/// `/tag/delete`.
pub fn deleted(name: &str) -> Value {
    json!({"message": format!("Tag {name} deleted successfully")})
}
