//! The replies of `/credentials`.

use super::masked::{masked, within};
use crate::record::Record;
use serde_json::{Map, Value, json};

/// A credential of `GET /credentials`, `GET /credentials/by_name/{name}` and `GET /credentials/by_model/{id}`. `values` are its
/// values opened; secrets among them are masked.
pub fn view(credential: &Record, values: &Map<String, Value>) -> Value {
    let document = &credential.document();
    json!({
        "credential_name": &*credential.id,
        "display_name": document.get("display_name"),
        "credential_info": document.get("credential_info").cloned().unwrap_or_else(|| json!({})),
        "credential_values": within(values, &masked),
        "source": "db",
    })
}

/// `GET /credentials`, of credentials as [`view`] writes them.
pub fn list(credentials: &[Value]) -> Value {
    json!({"success": true, "credentials": credentials})
}

/// What was done with a credential: `POST`, `PATCH` and `DELETE`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// It was made.
    Created,
    /// It was changed.
    Updated,
    /// It was deleted.
    Deleted,
}

/// `POST /credentials`, `PATCH` and `DELETE /credentials/{credential_name}`.
pub fn done(what: Done) -> Value {
    let word = match what {
        Done::Created => "created",
        Done::Updated => "updated",
        Done::Deleted => "deleted",
    };
    json!({"success": true, "message": format!("Credential {word} successfully")})
}
