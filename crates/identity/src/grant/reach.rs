//! What a record says of where its holder gets: routes, networks, and models beside the list of them.
//!
//! Read once with the record, so that nothing is parsed where requests are judged.

use super::networks::Networks;
use crate::document::{BadMember, Document};
use crate::role::{Call, KeyType, Routes};
use serde_json::Value;

/// Names of models, and what they stand for.
pub type Aliases = Box<[(Box<str>, Box<str>)]>;

/// Where a record's holder gets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reach {
    /// `allowed_routes`.
    pub routes: Routes,
    /// `key_type`.
    pub key_type: KeyType,
    /// `allowed_ips`.
    pub networks: Networks,
    /// `access_group_ids`: groups of models that are allowed beside the list.
    pub groups: Box<[Box<str>]>,
    /// `aliases` of a key, `model_aliases` of a team: what a model is called here, and what it is.
    pub aliases: Aliases,
    /// Whether guardrails that are for everybody are left out.
    pub is_unguarded: bool,
    /// The rights of `permissions` that are given.
    pub permissions: Box<[Box<str>]>,
    /// `tags` of a key, a team or a project, which all of its requests have.
    pub tags: Box<[Box<str>]>,
    /// `enforced_params`: what every request must have.
    pub params: Box<[Box<str>]>,
}

impl Reach {
    /// Reads a document.
    ///
    /// # Errors
    /// The first member that is not what it should be.
    pub fn read(document: &Document) -> Result<Self, BadMember> {
        let networks = texts(document, "allowed_ips")?;
        let networks = Networks::parse(networks).map_err(|text| {
            let text: String = text.chars().take(60).collect();
            BadMember::new("allowed_ips", format!("has '{text}', which is neither an address nor a network"))
        })?;
        let key_type = match document.get("key_type").map(|value| value.as_str().and_then(KeyType::from_word))
        {
            None => KeyType::Default,
            Some(Some(known)) => known,
            Some(None) => {
                let known = "is none of default, llm_api, management, read_only";
                return Err(BadMember::new("key_type", known));
            }
        };
        let permissions = document.get("permissions").and_then(Value::as_object);
        let given = permissions.into_iter().flatten().filter(|(_, value)| is_given(value));
        Ok(Self {
            routes: Routes::new(texts(document, "allowed_routes")?),
            key_type,
            networks,
            groups: texts(document, "access_group_ids")?.map(Into::into).collect(),
            aliases: aliases(document)?,
            is_unguarded: document.get_anywhere("disable_global_guardrails") == Some(&Value::Bool(true)),
            permissions: given.map(|(name, _)| name.as_str().into()).collect(),
            // In metadata anything may stand under this name.
            tags: document.get_anywhere("tags").and_then(Value::as_array).map_or_else(Box::default, |tags| {
                tags.iter().filter_map(Value::as_str).map(Into::into).collect()
            }),
            params: texts(document, "enforced_params")?.map(Into::into).collect(),
        })
    }

    /// Whether a route may be called.
    pub fn allows(&self, call: &Call<'_>) -> bool {
        let is_for = self.key_type == KeyType::Default || self.key_type.groups().meet(call.groups);
        is_for && self.routes.allow(call)
    }

    /// What a model is that is called so here.
    pub fn alias(&self, model: &str) -> Option<&str> {
        self.aliases.iter().find(|(name, _)| **name == *model).map(|(_, target)| target.as_ref())
    }
}

/// Whether a permission gives something: `true`, or an object with something given in it.
fn is_given(value: &Value) -> bool {
    match value {
        Value::Bool(given) => *given,
        Value::Null => false,
        Value::Object(rows) => rows.values().any(is_given),
        _ => true,
    }
}

/// A list of texts. One that is none would narrow nothing without anybody's knowing.
fn texts<'a>(document: &'a Document, member: &str) -> Result<impl Iterator<Item = &'a str>, BadMember> {
    let value = document.get_anywhere(member);
    let is_list =
        value.is_none_or(|value| value.as_array().is_some_and(|rows| rows.iter().all(Value::is_string)));
    if !is_list {
        return Err(BadMember::new(member, "is no list of texts"));
    }
    Ok(value.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str))
}

fn aliases(document: &Document) -> Result<Aliases, BadMember> {
    let mut all = Vec::new();
    for member in ["aliases", "model_aliases"] {
        let Some(value) = document.get(member) else { continue };
        let bad = || BadMember::new(member, "is no object of model names by model name");
        for (name, target) in value.as_object().ok_or_else(bad)? {
            all.push((name.as_str().into(), target.as_str().ok_or_else(bad)?.into()));
        }
    }
    Ok(all.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(value: Value) -> Result<Reach, String> {
        let Value::Object(members) = value else { panic!("an object") };
        Reach::read(&Document(members)).map_err(|error| error.to_string())
    }

    #[test]
    fn a_record_that_says_nothing_reaches_everything() {
        let reach = read(json!({})).unwrap();
        assert_eq!(reach, Reach::default());
        assert!(reach.routes.is_unlimited() && reach.networks.is_unlimited());
    }

    #[test]
    fn members_are_read_where_litellm_keeps_them() {
        let reach = read(json!({
            "allowed_routes": ["llm_api_routes"], "key_type": "llm_api", "aliases": {"a": "b"},
            "permissions": {"get_spend_routes": true, "off": false, "pii": {"x": false}, "more": {"x": true}},
            "metadata": {"allowed_ips": ["10.0.0.0/8"], "disable_global_guardrails": true},
        }))
        .unwrap();
        assert_eq!(reach.alias("a"), Some("b"));
        assert_eq!(reach.alias("b"), None);
        assert_eq!(reach.permissions, ["get_spend_routes".into(), "more".into()].into());
        assert!(reach.is_unguarded);
        assert!(!reach.networks.allow([192, 0, 2, 1].into()));
    }

    #[test]
    fn what_would_narrow_nothing_is_refused() {
        let check = |value: Value, wants: &str| assert_eq!(read(value).unwrap_err(), wants);
        check(
            json!({"allowed_ips": ["10.0.0.0/40"]}),
            "'allowed_ips' has '10.0.0.0/40', which is neither an address nor a network",
        );
        check(json!({"allowed_ips": "10.0.0.1"}), "'allowed_ips' is no list of texts");
        check(json!({"allowed_routes": [1]}), "'allowed_routes' is no list of texts");
        check(json!({"allowed_routes": {"a": 1}}), "'allowed_routes' is no list of texts");
        check(json!({"key_type": "admin"}), "'key_type' is none of default, llm_api, management, read_only");
        check(json!({"aliases": ["a"]}), "'aliases' is no object of model names by model name");
        check(json!({"aliases": {"a": 1}}), "'aliases' is no object of model names by model name");
    }
}
