//! Who somebody is to the gateway: LiteLLM's roles, and what a key is for.
//!
//! Owns the names, the groups of routes that keys are narrowed to, and the [`Actor`] that follows from a key's records or
//! from a verified token. Leaves what an actor may do to `access`.

mod actor;
mod groups;
mod routes;

pub use actor::{Actor, Membership, role_in_team};
pub use groups::Groups;
pub(crate) use groups::is_same_route;
pub use routes::{Call, Routes};

/// A user's role (`user_role`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Everything.
    ProxyAdmin,
    /// Sees everything, changes nothing.
    ProxyAdminViewer,
    /// Administers the organizations whose memberships say so.
    OrgAdmin,
    /// Has keys of its own.
    InternalUser,
    /// Sees its own keys.
    InternalUserViewer,
    /// A team that calls by itself, with a token.
    Team,
    /// An end user.
    Customer,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 7] = [
        Self::ProxyAdmin,
        Self::ProxyAdminViewer,
        Self::OrgAdmin,
        Self::InternalUser,
        Self::InternalUserViewer,
        Self::Team,
        Self::Customer,
    ];

    /// Its name in LiteLLM.
    pub const fn word(self) -> &'static str {
        match self {
            Self::ProxyAdmin => "proxy_admin",
            Self::ProxyAdminViewer => "proxy_admin_viewer",
            Self::OrgAdmin => "org_admin",
            Self::InternalUser => "internal_user",
            Self::InternalUserViewer => "internal_user_viewer",
            Self::Team => "team",
            Self::Customer => "customer",
        }
    }

    /// The role of this name.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.word() == word)
    }

    /// Whether it reaches beyond what is one's own, everywhere.
    pub const fn is_global(self) -> bool {
        matches!(self, Self::ProxyAdmin | Self::ProxyAdminViewer)
    }
}

/// What a key is for (`key_type`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum KeyType {
    /// Everything that its user may do.
    #[default]
    Default,
    /// Calling models.
    LlmApi,
    /// The admin API.
    Management,
    /// Looking at what is one's own.
    ReadOnly,
}

impl KeyType {
    /// Every type.
    pub const ALL: [Self; 4] = [Self::Default, Self::LlmApi, Self::Management, Self::ReadOnly];

    /// Its name in LiteLLM.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::LlmApi => "llm_api",
            Self::Management => "management",
            Self::ReadOnly => "read_only",
        }
    }

    /// The type of this name.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }

    /// The routes that it is for.
    pub const fn groups(self) -> Groups {
        match self {
            Self::Default => Groups::ALL,
            Self::LlmApi => Groups::LLM_API,
            Self::Management => Groups::MANAGEMENT,
            Self::ReadOnly => Groups::INFO,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_and_types_are_found_by_their_names() {
        for role in Role::ALL {
            assert_eq!(Role::from_word(role.word()), Some(role));
        }
        for kind in KeyType::ALL {
            assert_eq!(KeyType::from_word(kind.word()), Some(kind));
        }
        assert_eq!(Role::from_word("admin"), None);
        assert_eq!(KeyType::from_word("ai_apis"), None);
    }
}
