//! Scopes: whom a limit or a budget is of.

use std::fmt;
use std::sync::Arc;

/// What a scope is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ScopeKind {
    /// Everything that goes through the gateway.
    Global,
    /// A provider.
    Provider,
    /// A model group.
    Model,
    /// A deployment.
    Deployment,
    /// A group of models that keys are given together.
    AccessGroup,
    /// A tag of requests.
    Tag,
    /// An end user.
    EndUser,
    /// An organization.
    Organization,
    /// A project.
    Project,
    /// A team.
    Team,
    /// A user within a team.
    Member,
    /// A user within an organization.
    OrganizationMember,
    /// A user.
    User,
    /// A key.
    Key,
}

impl ScopeKind {
    const ALL: [Self; 14] = [
        Self::Global,
        Self::Provider,
        Self::Model,
        Self::Deployment,
        Self::AccessGroup,
        Self::Tag,
        Self::EndUser,
        Self::Organization,
        Self::Project,
        Self::Team,
        Self::Member,
        Self::OrganizationMember,
        Self::User,
        Self::Key,
    ];

    /// Its name in the database, in headers and in alerts.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Global => "global",
            Self::Provider => "provider",
            Self::Model => "model",
            Self::Deployment => "deployment",
            Self::AccessGroup => "access_group",
            Self::Tag => "tag",
            Self::EndUser => "end_user",
            Self::Organization => "organization",
            Self::Project => "project",
            Self::Team => "team",
            Self::Member => "team_member",
            Self::OrganizationMember => "organization_member",
            Self::User => "user",
            Self::Key => "key",
        }
    }

    /// The kind of this name.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }

    /// LiteLLM's name of it in the refusal of a rate limit and in `x-ratelimit-{name}-...` headers; with a model, of the
    /// limit for that model.
    pub const fn descriptor(self, has_model: bool) -> &'static str {
        match (self, has_model) {
            (Self::Key, false) => "api_key",
            (Self::Key, true) => "model_per_key",
            (Self::Team, true) => "model_per_team",
            (Self::Organization, true) => "model_per_organization",
            (Self::Project, true) => "model_per_project",
            (Self::User, true) => "model_per_user",
            (Self::Member, true) => "model_per_team_member",
            (Self::EndUser, true) => "model_per_end_user",
            (Self::Tag, true) => "model_per_tag",
            (kind, _) => kind.word(),
        }
    }
}

/// Whom an account is of.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Scope {
    /// What it is of.
    pub kind: ScopeKind,
    /// Which one; empty for everything.
    pub id: Arc<str>,
    /// Only of what it does with this model.
    pub model: Option<Arc<str>>,
}

impl Scope {
    /// One scope, with all its models.
    pub fn new(kind: ScopeKind, id: impl Into<Arc<str>>) -> Self {
        Self { kind, id: id.into(), model: None }
    }

    /// Everything.
    pub fn global() -> Self {
        Self::new(ScopeKind::Global, "")
    }

    /// The same, with one model alone.
    #[must_use]
    pub fn with_model(self, model: impl Into<Arc<str>>) -> Self {
        Self { model: Some(model.into()), ..self }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.kind.word())?;
        if !self.id.is_empty() {
            write!(out, " {}", self.id)?;
        }
        self.model.as_ref().map_or(Ok(()), |model| write!(out, " with {model}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_found_by_its_name() {
        for kind in ScopeKind::ALL {
            assert_eq!(ScopeKind::from_word(kind.word()), Some(kind));
        }
        for kind in crate::Kind::ALL {
            assert_eq!(crate::Kind::from_word(kind.word()), Some(kind));
        }
    }
}
