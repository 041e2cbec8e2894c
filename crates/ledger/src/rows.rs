//! Records as the books have them.
//!
//! **Invariant:** one that cannot be read is told in the log and left out; the others are not.

use tollgate_identity::{Document, Kind, Record};
use tollgate_store::books;

/// Reads a row; none where it is of a kind that there is not, or not as its kind has to be.
pub(crate) fn read_record(row: &books::Record) -> Option<Record> {
    let kind = Kind::from_word(&row.kind)?;
    let read = match serde_json::from_str(&row.doc) {
        Ok(serde_json::Value::Object(members)) => {
            Record::read(kind, &row.id, row.version, &Document(members)).map_err(|error| error.to_string())
        }
        Ok(_) => Err("it is no object".to_owned()),
        Err(error) => Err(error.to_string()),
    };
    match read {
        Ok(record) => Some(record),
        Err(error) => {
            tracing::error!(kind = row.kind, id = row.id, error, "a record cannot be read");
            None
        }
    }
}
