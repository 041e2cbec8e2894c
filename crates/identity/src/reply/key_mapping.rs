//! The replies of `/jwt/key/mapping/*`, which never say which key it is.

use super::From::{Date, Id, Member};
use super::Or::{False, Null};
use super::{Amounts, Clock, Page, Source, Table};
use crate::record::Record;
use serde_json::{Value, json};

const MAPPING: &Table = &[
    ("id", Id),
    ("jwt_claim_name", Member(Null)),
    ("jwt_claim_value", Member(Null)),
    ("jwt_issuer", Member(Null)),
    ("description", Member(Null)),
    ("is_active", Member(False)),
    ("created_at", Date),
    ("updated_at", Date),
    ("created_by", Member(Null)),
    ("updated_by", Member(Null)),
];

/// `/jwt/key/mapping/new`, `/jwt/key/mapping/update`, `/jwt/key/mapping/info`.
pub fn row(mapping: &Record, clock: &Clock<'_>) -> Value {
    Value::Object(Source::new(mapping, &Amounts::default(), clock).object(MAPPING))
}

/// `/jwt/key/mapping/list`.
pub fn list(rows: &[Value], page: &Page) -> Value {
    json!({
        "mappings": rows,
        "total_count": page.total,
        "current_page": page.number,
        "total_pages": page.total.div_ceil(page.size.max(1)),
    })
}
