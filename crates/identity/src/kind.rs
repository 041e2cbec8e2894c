//! The kinds of records.

use crate::scope::ScopeKind;

/// What a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A virtual key; its id is LiteLLM's `token`, the SHA-256 of the key in hexadecimal.
    Key,
    /// A team.
    Team,
    /// A user within a team; its id is `team/user`.
    Member,
    /// A user.
    User,
    /// An organization.
    Organization,
    /// A user within an organization; its id is `organization/user`.
    OrganizationMember,
    /// A project of a team.
    Project,
    /// An end user, LiteLLM's customer.
    Customer,
    /// A tag of requests.
    Tag,
    /// A budget that others refer to.
    Budget,
    /// A named list of models.
    AccessGroup,
    /// Provider credentials that deployments refer to.
    Credential,
    /// A deployment that was made over the admin API.
    Model,
    /// An invitation to a user.
    Invitation,
    /// A setting that was made over the admin API.
    Setting,
    /// A claim of tokens that stands for a key.
    KeyMapping,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 16] = [
        Self::Key,
        Self::Team,
        Self::Member,
        Self::User,
        Self::Organization,
        Self::OrganizationMember,
        Self::Project,
        Self::Customer,
        Self::Tag,
        Self::Budget,
        Self::AccessGroup,
        Self::Credential,
        Self::Model,
        Self::Invitation,
        Self::Setting,
        Self::KeyMapping,
    ];

    /// Whose spending is counted of it; none of those that spend nothing themselves.
    pub const fn scope(self) -> Option<ScopeKind> {
        match self {
            Self::Key => Some(ScopeKind::Key),
            Self::Team => Some(ScopeKind::Team),
            Self::Member => Some(ScopeKind::Member),
            Self::OrganizationMember => Some(ScopeKind::OrganizationMember),
            Self::User => Some(ScopeKind::User),
            Self::Organization => Some(ScopeKind::Organization),
            Self::Project => Some(ScopeKind::Project),
            Self::Customer => Some(ScopeKind::EndUser),
            Self::Tag => Some(ScopeKind::Tag),
            Self::AccessGroup => Some(ScopeKind::AccessGroup),
            Self::Budget
            | Self::Credential
            | Self::Model
            | Self::Invitation
            | Self::Setting
            | Self::KeyMapping => None,
        }
    }

    /// The records that scopes of a kind are of; none of those that no record stands for.
    pub fn of_scope(scope: ScopeKind) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.scope() == Some(scope))
    }

    /// Its name in the database and in messages.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Team => "team",
            Self::Member => "member",
            Self::User => "user",
            Self::Organization => "organization",
            Self::OrganizationMember => "organization_member",
            Self::Project => "project",
            Self::Customer => "customer",
            Self::Tag => "tag",
            Self::Budget => "budget",
            Self::AccessGroup => "access_group",
            Self::Credential => "credential",
            Self::Model => "model",
            Self::Invitation => "invitation",
            Self::Setting => "setting",
            Self::KeyMapping => "key_mapping",
        }
    }

    /// The kind of this name.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }

    /// The member of its document that is its id.
    pub const fn id_member(self) -> &'static str {
        match self {
            Self::Key => "token",
            Self::Team => "team_id",
            Self::User | Self::Customer => "user_id",
            Self::Organization => "organization_id",
            Self::Project => "project_id",
            Self::Tag | Self::Setting => "name",
            Self::Budget => "budget_id",
            Self::AccessGroup => "access_group",
            Self::Credential => "credential_name",
            Self::Model => "model_id",
            Self::Member | Self::OrganizationMember | Self::Invitation | Self::KeyMapping => "id",
        }
    }

    /// The member of its document that people know it by.
    pub const fn alias_member(self) -> Option<&'static str> {
        match self {
            Self::Key => Some("key_alias"),
            Self::Team => Some("team_alias"),
            Self::User => Some("user_alias"),
            Self::Organization => Some("organization_alias"),
            Self::Project => Some("project_alias"),
            Self::Customer => Some("alias"),
            _ => None,
        }
    }
}
