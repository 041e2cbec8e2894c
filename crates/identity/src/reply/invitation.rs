//! The replies of `/invitation/*`.

use super::From::{Date, Id, Member};
use super::Or::{False, Null};
use super::{Amounts, Clock, Source, Table};
use crate::record::Record;
use serde_json::Value;

const INVITATION: &Table = &[
    ("id", Id),
    ("user_id", Member(Null)),
    ("is_accepted", Member(False)),
    ("accepted_at", Date),
    ("expires_at", Date),
    ("created_at", Date),
    ("created_by", Member(Null)),
    ("updated_at", Date),
    ("updated_by", Member(Null)),
];

/// `/invitation/new`, `/invitation/info`, `/invitation/update`, `/invitation/delete`.
pub fn row(invitation: &Record, clock: &Clock<'_>) -> Value {
    Value::Object(Source::new(invitation, &Amounts::default(), clock).object(INVITATION))
}
