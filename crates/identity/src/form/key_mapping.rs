//! The bodies of `/jwt/key/mapping/*`: claims of tokens that stand for keys.
//!
//! A mapping is known by the claim, its value and the issuer, so that a token finds it at once and no claim stands for two
//! keys. Leaves finding the key that a body names to the caller. **Invariant:** no text of a key is kept.

use super::filled::set;
use super::row::{Form, On, Row, Want};
use super::{BadForm, Context, Draft, Filled, named, sign, touch};
use crate::document::Document;
use crate::kind::Kind;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

/// Every form of mappings.
pub(super) const FORMS: &[&Form] = &[&MAPPING, &DELETE];

const KNOWN_BY: &str = "is what the mapping is known by: delete it and make another";

static MAPPING: Form = Form {
    title: "mapping of a token's claim to a key",
    new_routes: &["POST /jwt/key/mapping/new"],
    change_routes: &["POST /jwt/key/mapping/update"],
    groups: &[&[
        Row::apart("id", Want::Text).change_only(),
        Row::apart("jwt_claim_name", Want::Text).new_only(),
        Row::apart("jwt_claim_value", Want::Text).new_only(),
        Row::apart("jwt_issuer", Want::Text).new_only(),
        Row::apart("key", Want::Text),
        Row::apart("token", Want::Text),
        Row::stored("description", Want::Lines),
        Row::acts("is_active", Want::Flag),
        Row::unsupported("jwt_claim_name", KNOWN_BY).change_only(),
        Row::unsupported("jwt_claim_value", KNOWN_BY).change_only(),
        Row::unsupported("jwt_issuer", KNOWN_BY).change_only(),
    ]],
};

static DELETE: Form = Form {
    title: "deletion of a mapping of a token's claim",
    new_routes: &[],
    change_routes: &["POST /jwt/key/mapping/delete"],
    groups: &[&[Row::apart("id", Want::Text)]],
};

/// The id of the mapping of a claim: in the form of a UUID, and the same each time.
pub fn id_of(claim: &str, value: &str, issuer: Option<&str>) -> String {
    let mut hash = Sha256::new();
    for text in [claim, value, issuer.unwrap_or_default()] {
        hash.update(text.len().to_be_bytes());
        hash.update(text.as_bytes());
    }
    let digits: String = hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    let mut id = String::with_capacity(36);
    for (place, digit) in digits.chars().enumerate() {
        if matches!(place, 8 | 12 | 16 | 20) {
            id.push('-');
        }
        // A UUID of its maker's own kind (RFC 9562, version 8).
        id.push(match place {
            12 => '8',
            16 => 'a',
            _ => digit,
        });
    }
    id
}

/// The key that a body names, by its text or its token.
fn key_of(filled: &mut Filled) -> Option<String> {
    let (key, token) = (filled.take_text("key"), filled.take_text("token"));
    key.or(token)
}

/// A new mapping (`/jwt/key/mapping/new`); `token` says by which token the key is kept that a body names.
///
/// # Errors
/// The first member that is unknown, missing or wrong.
pub fn new(
    body: &Map<String, Value>,
    token: impl Fn(&str) -> String,
    context: &Context<'_>,
) -> Result<Draft, BadForm> {
    let mut filled = MAPPING.read(On::New, body, context)?;
    let claim = filled.take_needed("jwt_claim_name")?;
    let value = filled.take_needed("jwt_claim_value")?;
    let issuer = filled.take_text("jwt_issuer");
    let key = key_of(&mut filled).ok_or_else(|| BadForm::missing("key"))?;
    let id = id_of(&claim, &value, issuer.as_deref());
    let mut document = Document::default();
    set(&mut document, "id", Value::from(id.as_str()));
    set(&mut document, "jwt_claim_name", Value::from(claim));
    set(&mut document, "jwt_claim_value", Value::from(value));
    set(&mut document, "jwt_issuer", issuer.map_or(Value::Null, Value::from));
    set(&mut document, "mapped_token", Value::from(token(&key)));
    set(&mut document, "is_active", Value::Bool(true));
    filled.fill(&mut document, context)?;
    sign(&mut document, context);
    Draft::checked(Kind::KeyMapping, &id, document)
}

/// The mapping that a body is about.
///
/// # Errors
/// Where it names none.
pub fn subject(body: &Map<String, Value>) -> Result<&str, BadForm> {
    named(body, "id")
}

/// A mapping, changed (`/jwt/key/mapping/update`).
///
/// # Errors
/// The first member that is unknown, wrong or unsupported.
pub fn change(
    id: &str,
    document: &Document,
    body: &Map<String, Value>,
    token: impl Fn(&str) -> String,
    context: &Context<'_>,
) -> Result<Draft, BadForm> {
    let mut filled = MAPPING.read(On::Change, body, context)?;
    filled.take("id");
    let mut document = document.clone();
    if let Some(key) = key_of(&mut filled) {
        set(&mut document, "mapped_token", Value::from(token(&key)));
    }
    filled.fill(&mut document, context)?;
    touch(&mut document, context);
    Draft::checked(Kind::KeyMapping, id, document)
}

/// A mapping to the key that has taken the place of the one before.
pub fn moved(id: &str, document: &Document, token: &str, context: &Context<'_>) -> Draft {
    let mut document = document.clone();
    set(&mut document, "mapped_token", Value::from(token));
    touch(&mut document, context);
    Draft { kind: Kind::KeyMapping, id: id.to_owned(), document }
}

/// Reads `/jwt/key/mapping/delete`.
///
/// # Errors
/// Where it names none.
pub fn deletion(body: &Map<String, Value>, context: &Context<'_>) -> Result<String, BadForm> {
    DELETE.read(On::Change, body, context)?.take_needed("id")
}
