//! One record: its document, and what every request asks of it, read once.

use crate::document::{BadMember, Document};
use crate::grant::Reach;
use crate::kind::Kind;
use crate::limits::{Critical, Limits};
use crate::models::Models;
use std::sync::Arc;
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

/// A record.
#[derive(Debug, Clone)]
pub struct Record {
    /// What it is.
    pub kind: Kind,
    /// Its id.
    pub id: Arc<str>,
    /// How often it was changed, from 1 on.
    pub version: i64,
    /// Its members.
    pub document: Document,
    /// Nothing is let through.
    pub is_blocked: bool,
    /// The models that it may use.
    pub models: Models,
    /// The routes, networks and aliases that it has.
    pub reach: Reach,
    /// Its limits and budgets.
    pub limits: Limits,
    /// Whom it belongs to.
    pub parents: Parents,
    /// From when on it is no longer valid.
    pub expires: Option<Wall>,
}

impl Record {
    /// Reads a document.
    ///
    /// # Errors
    /// The first member that is not what it should be.
    pub fn read(kind: Kind, id: &str, version: i64, document: Document) -> Result<Self, BadMember> {
        let parent =
            |member: &str, own: Kind| document.text(member).filter(|_| kind != own).map(Arc::<str>::from);
        Ok(Self {
            kind,
            id: id.into(),
            version,
            is_blocked: document.flag("blocked"),
            models: document.models("models"),
            reach: Reach::read(&document)?,
            limits: Limits::read(&document)?,
            parents: Parents {
                user: parent("user_id", Kind::User).filter(|_| kind != Kind::Customer),
                team: parent("team_id", Kind::Team),
                project: parent("project_id", Kind::Project),
                organization: parent("organization_id", Kind::Organization),
                budget: parent("budget_id", Kind::Budget),
            },
            expires: document.wall("expires")?,
            document,
        })
    }

    /// What people know it by; its id where it has no such name.
    pub fn name(&self) -> &str {
        self.alias().unwrap_or(&self.id)
    }

    /// What people know it by.
    pub fn alias(&self) -> Option<&str> {
        self.document.text(self.kind.alias_member()?)
    }

    /// The key that has taken the place of this one, which is let through for a while beside it. What either spends is the
    /// successor's.
    pub fn successor(&self) -> Option<&str> {
        if self.kind == Kind::Key { self.document.text("superseded_by") } else { None }
    }

    /// Whether its requests are critical.
    pub fn critical(&self) -> Critical {
        self.limits.critical
    }
}
