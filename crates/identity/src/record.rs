//! One record: its document, and what every request asks of it, read once.
//!
//! There are many, so each is as small as it can be: the document is kept as text, and what most say nothing of is the same
//! for all of them. **Invariant:** nothing that a model call asks of a record is looked for in its document.

use crate::document::{BadMember, Document, Kept};
use crate::grant::Reach;
use crate::kind::Kind;
use crate::limits::{Critical, Limits};
use crate::models::Models;
use serde_json::Value;
use std::sync::{Arc, LazyLock};
use tollgate_catalog::PicoDollars;
use tollgate_policy::clock::Wall;

/// Whom a record belongs to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parents {
    /// `user_id`, of a key.
    pub user: Option<Arc<str>>,
    /// `team_id`.
    pub team: Option<Arc<str>>,
    /// `project_id`.
    pub project: Option<Arc<str>>,
    /// `organization_id`.
    pub organization: Option<Arc<str>>,
    /// `budget_id`.
    pub budget: Option<Arc<str>>,
}

impl Parents {
    /// Each, with its kind.
    pub(crate) fn of_kinds(&mut self) -> [(Kind, &mut Option<Arc<str>>); 5] {
        [
            (Kind::User, &mut self.user),
            (Kind::Team, &mut self.team),
            (Kind::Project, &mut self.project),
            (Kind::Organization, &mut self.organization),
            (Kind::Budget, &mut self.budget),
        ]
    }
}

/// A record.
#[derive(Debug, Clone)]
pub struct Record {
    /// What it is.
    pub kind: Kind,
    /// Its id.
    pub id: Arc<str>,
    /// How often it was changed, from 1 on.
    pub version: i64,
    kept: Kept,
    /// Nothing is let through.
    pub is_blocked: bool,
    /// The models that it may use.
    pub models: Models,
    /// The routes, networks and aliases that it has.
    pub reach: Arc<Reach>,
    /// Its limits and budgets.
    pub limits: Limits,
    /// Whom it belongs to.
    pub parents: Parents,
    /// From when on it is no longer valid.
    pub expires: Option<Wall>,
    alias: Option<Box<str>>,
    /// Of a user what an identity provider calls it, of a key its successor.
    other_id: Option<Box<str>>,
    created_at: Wall,
}

/// The member of a document that says what was set back, in picodollars. No reply shows it, and no form sets it.
const SET_BACK: &str = "spend_set_back";

/// What most records say of where their holders get: nothing.
static EVERYWHERE: LazyLock<Arc<Reach>> = LazyLock::new(Arc::default);

impl Record {
    /// Reads a document.
    ///
    /// # Errors
    /// The first member that is not what it should be.
    pub fn read(kind: Kind, id: &str, version: i64, document: &Document) -> Result<Self, BadMember> {
        let parent =
            |member: &str, own: Kind| document.text(member).filter(|_| kind != own).map(Arc::<str>::from);
        let other_id = match kind {
            Kind::Key => document.text("superseded_by"),
            Kind::User => document.text("sso_user_id"),
            _ => None,
        };
        let reach = Reach::read(document)?;
        Ok(Self {
            kind,
            id: id.into(),
            version,
            is_blocked: document.flag("blocked"),
            models: document.models("models"),
            reach: if reach == **EVERYWHERE { Arc::clone(&EVERYWHERE) } else { Arc::new(reach) },
            limits: Limits::read(document)?,
            parents: Parents {
                user: parent("user_id", Kind::User).filter(|_| kind != Kind::Customer),
                team: parent("team_id", Kind::Team),
                project: parent("project_id", Kind::Project),
                organization: parent("organization_id", Kind::Organization),
                budget: parent("budget_id", Kind::Budget),
            },
            expires: document.wall("expires")?,
            alias: kind.alias_member().and_then(|member| document.text(member)).map(Into::into),
            other_id: other_id.map(Into::into),
            // Whatever else a document says there, nothing is decided by it.
            created_at: document.wall("created_at").ok().flatten().unwrap_or_default(),
            kept: document.into(),
        })
    }

    /// All its members, read anew: for whoever wants several of them, or changes them.
    pub fn document(&self) -> Document {
        self.kept.document()
    }

    /// One member; none where it is not there or null.
    pub fn member(&self, name: &str) -> Option<Value> {
        self.kept.member(name)
    }

    /// A text; none where it is empty.
    pub fn text(&self, name: &str) -> Option<String> {
        match self.member(name)? {
            Value::String(text) if !text.is_empty() => Some(text),
            _ => None,
        }
    }

    /// What people know it by; its id where it has no such name.
    pub fn name(&self) -> &str {
        self.alias().unwrap_or(&self.id)
    }

    /// What people know it by.
    pub fn alias(&self) -> Option<&str> {
        self.alias.as_deref()
    }

    /// The key that has taken the place of this one, which is let through for a while beside it. What either spends is the
    /// successor's.
    pub fn successor(&self) -> Option<&str> {
        self.other_id.as_deref().filter(|_| self.kind == Kind::Key)
    }

    /// What an identity provider calls a user.
    pub fn sso_id(&self) -> Option<&str> {
        self.other_id.as_deref().filter(|_| self.kind == Kind::User)
    }

    /// When it was made; the beginning of time where it does not say so.
    pub fn created_at(&self) -> Wall {
        self.created_at
    }

    /// What was taken off what it has spent, by those who set that back, where it has no period that begins anew: with it
    /// the account has what was spent of all time. Less than nothing where something was put on.
    pub fn set_back(&self) -> PicoDollars {
        let text = self.text(SET_BACK);
        PicoDollars(text.and_then(|text| text.parse().ok()).unwrap_or(0))
    }

    /// Its document, after what it has spent was set from one amount to another.
    pub fn document_set_back(&self, before: PicoDollars, after: PicoDollars) -> Document {
        let sum = self.set_back().0.saturating_add(before.0).saturating_sub(after.0);
        let mut document = self.document();
        document.0.insert(SET_BACK.to_owned(), Value::from(sum.to_string()));
        document
    }

    /// Whether its requests are critical.
    pub fn critical(&self) -> Critical {
        self.limits.critical
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(kind: Kind, value: Value) -> Record {
        let Value::Object(members) = value else { panic!("an object") };
        Record::read(kind, "id", 1, &Document(members)).unwrap()
    }

    #[test]
    fn a_document_comes_back_as_it_was_with_its_order_and_its_digits() {
        let value = json!({
            "z": 1, "a": [1e-7, 0.1, 18446744073709551615_u64, -3], "text": "\u{0}\"\\ \u{1f600}",
            "metadata": {"b": null, "a": {"deep": [true, {}]}}, "nothing": null,
        });
        let record = read(Kind::Key, value.clone());
        assert_eq!(Value::Object(record.document().0).to_string(), value.to_string());
    }

    #[test]
    fn one_member_is_found_like_among_all_of_them() {
        let value = json!({
            "key_alias": "first", "empty": "", "number": 3, "nothing": null, "\u{e4}\n": "named strangely",
            "object": {"key_alias": "inner"}, "last": [1, 2],
        });
        let record = read(Kind::Key, value.clone());
        let document = record.document();
        let names = value.as_object().unwrap().keys().map(String::as_str);
        for name in names.chain(["", "inner", "key", "key_alias2"]) {
            assert_eq!(record.member(name), document.get(name).cloned(), "{name}");
            assert_eq!(record.text(name).as_deref(), document.text(name), "{name}");
        }
    }

    #[test]
    fn what_is_read_once_is_what_the_document_says() {
        let key = read(Kind::Key, json!({"key_alias": "a", "superseded_by": "b", "sso_user_id": "c"}));
        assert_eq!((key.alias(), key.successor(), key.sso_id()), (Some("a"), Some("b"), None));
        let user = read(Kind::User, json!({"key_alias": "a", "superseded_by": "b", "sso_user_id": "c"}));
        assert_eq!((user.alias(), user.successor(), user.sso_id()), (None, None, Some("c")));
        let made = read(Kind::Team, json!({"created_at": "2026-11-23T11:38:03.714000Z"})).created_at();
        assert_eq!(Some(made), Wall::from_rfc3339("2026-11-23T11:38:03.714Z"));
        assert_eq!(read(Kind::Team, json!({})).created_at(), Wall::default());
    }

    #[test]
    fn a_record_is_small_and_what_most_say_nothing_of_is_there_once() {
        // With the counts of an Arc 384 bytes, a size in which allocators have pages.
        assert!(size_of::<Record>() <= 368, "{}", size_of::<Record>());
        let (one, other) = (read(Kind::Key, json!({})), read(Kind::Team, json!({"models": ["m"]})));
        assert!(Arc::ptr_eq(&one.reach, &other.reach));
        assert!(Arc::ptr_eq(&one.limits.models, &other.limits.models));
        assert!(Arc::ptr_eq(&one.limits.tiers, &other.limits.tiers));
        let own = read(Kind::Key, json!({"tags": ["t"], "model_rpm_limit": {"m": 1}}));
        assert_eq!((own.reach.tags.len(), own.limits.models.requests.len()), (1, 1));
    }

    #[test]
    fn what_is_in_a_document_is_not_shown_by_debug() {
        let record = read(Kind::User, json!({"password": "a-hash-of-it"}));
        assert!(!format!("{record:?}").contains("a-hash-of-it"));
    }
}
