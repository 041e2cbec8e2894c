//! The replies of `/audit`.

use super::masked::{HIDDEN, within};
use super::{Dates, Page, date};
use crate::document::Document;
use crate::kind::Kind;
use serde_json::{Map, Value, json};
use tollgate_policy::clock::Wall;

/// One change that somebody made.
#[derive(Debug, Clone)]
pub struct Entry<'a> {
    /// Its number.
    pub id: &'a str,
    /// When.
    pub at: Wall,
    /// Who.
    pub actor: &'a str,
    /// With which key, by its token.
    pub key: Option<&'a str>,
    /// What: `created`, `updated`, `deleted`, `blocked`, `unblocked`, `rotated`.
    pub action: &'a str,
    /// Of what.
    pub kind: Kind,
    /// Of which.
    pub object: &'a str,
    /// How it was, as [`values`] shows it.
    pub before: Option<Value>,
    /// How it is.
    pub after: Option<Value>,
}

/// LiteLLM's table of a kind of record.
pub const fn table(kind: Kind) -> &'static str {
    match kind {
        Kind::Key => "LiteLLM_VerificationToken",
        Kind::Team => "LiteLLM_TeamTable",
        Kind::Member => "LiteLLM_TeamMembership",
        Kind::User => "LiteLLM_UserTable",
        Kind::Organization => "LiteLLM_OrganizationTable",
        Kind::OrganizationMember => "LiteLLM_OrganizationMembership",
        Kind::Project => "LiteLLM_ProjectTable",
        Kind::Customer => "LiteLLM_EndUserTable",
        Kind::Tag => "LiteLLM_TagTable",
        Kind::Budget => "LiteLLM_BudgetTable",
        Kind::AccessGroup => "LiteLLM_AccessGroupTable",
        Kind::Credential => "LiteLLM_CredentialsTable",
        Kind::Model => "LiteLLM_ProxyModelTable",
        Kind::Invitation => "LiteLLM_InvitationLink",
        Kind::Setting => "LiteLLM_Config",
        Kind::KeyMapping => "LiteLLM_JWTKeyMapping",
    }
}

/// A document as an audit keeps it: without secrets, sealed or hashed.
pub fn values(document: &Document) -> Value {
    let hide = |_: &str| HIDDEN.to_owned();
    let mut shown = Map::with_capacity(document.0.len());
    for (name, value) in &document.0 {
        let value = match (name.as_str(), value) {
            ("password", Value::String(_)) => Value::from(HIDDEN),
            ("credential_values", Value::Object(values)) => values
                .iter()
                .map(|(name, _)| (name.clone(), Value::from(HIDDEN)))
                .collect::<Map<_, _>>()
                .into(),
            ("litellm_params" | "metadata" | "config", Value::Object(members)) => {
                Value::Object(within(members, &hide))
            }
            _ => value.clone(),
        };
        shown.insert(name.clone(), value);
    }
    Value::Object(shown)
}

/// A change, as LiteLLM's audit log has it.
pub fn row(entry: &Entry<'_>) -> Value {
    json!({
        "id": entry.id,
        "updated_at": date(entry.at, Dates::Zulu),
        "changed_by": entry.actor,
        "changed_by_api_key": entry.key,
        "action": entry.action,
        "table_name": table(entry.kind),
        "object_id": entry.object,
        "before_value": entry.before,
        "updated_values": entry.after,
    })
}

/// `/audit`, of changes as [`row`] writes them.
pub fn pages(entries: &[Value], page: Page) -> Value {
    json!({
        "audit_logs": entries,
        "total": page.total,
        "page": page.number,
        "page_size": page.size,
        "total_pages": page.count(),
    })
}
