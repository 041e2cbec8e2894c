//! Why somebody is not let in: with LiteLLM's status, type and opening words.
//!
//! Leaves the body of the answer to the server. **Invariant:** what is said names nothing that the caller may not know.

use std::fmt;
use std::net::IpAddr;
use tollgate_policy::clock::Wall;

use crate::kind::Kind;

/// Why somebody is not let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Denied {
    /// Somebody of those that a key belongs to is blocked, or the key itself.
    Blocked {
        /// Who.
        kind: Kind,
        /// Its id.
        id: String,
    },
    /// Somebody that a key belongs to is gone.
    Gone {
        /// What it was.
        kind: Kind,
        /// Its id.
        id: String,
    },
    /// The key, or somebody that it belongs to, is no longer valid.
    Expired {
        /// What it may be recognised by: `sk-...` and the last four digits of its token.
        key: String,
        /// Since when.
        since: Wall,
        /// What time it is.
        now: Wall,
    },
    /// A model is not allowed.
    Model {
        /// To whom.
        kind: Kind,
        /// The model as it was asked for.
        model: String,
    },
    /// A route is not allowed to the key.
    Route {
        /// The routes that are.
        allowed: Vec<String>,
        /// The path.
        path: String,
    },
    /// A caller may not come from there.
    Address(IpAddr),
    /// What is asked for is an administrator's.
    NotAdmin {
        /// The path.
        path: String,
        /// The caller's role.
        role: &'static str,
    },
    /// The operator has not opened a route to anybody.
    Unserved {
        /// The path.
        path: String,
    },
    /// The operator has a route for administrators alone.
    AdminOnly {
        /// The path.
        path: String,
    },
    /// What is asked for is not there, as far as the caller may know.
    NotFound {
        /// What.
        kind: Kind,
        /// Its id, as it was asked for.
        id: String,
    },
    /// What is asked for may be seen, and not changed.
    Forbidden {
        /// What.
        kind: Kind,
        /// Its id.
        id: String,
    },
}

impl Denied {
    /// The HTTP status.
    pub const fn status(&self) -> u16 {
        match self {
            Self::Blocked { .. } | Self::Gone { .. } | Self::Expired { .. } | Self::NotAdmin { .. } => 401,
            Self::Model { .. }
            | Self::Route { .. }
            | Self::Address(_)
            | Self::Unserved { .. }
            | Self::AdminOnly { .. }
            | Self::Forbidden { .. } => 403,
            Self::NotFound { .. } => 404,
        }
    }

    /// LiteLLM's type of error.
    pub const fn error_type(&self) -> &'static str {
        match self {
            Self::Expired { .. } => "expired_key",
            Self::Model { kind: Kind::Key, .. } => "key_model_access_denied",
            Self::Model { kind: Kind::Team | Kind::Member, .. } => "team_model_access_denied",
            Self::Model { kind: Kind::User, .. } => "user_model_access_denied",
            Self::Model { kind: Kind::Project, .. } => "project_model_access_denied",
            Self::Model { kind: Kind::Organization, .. } => "org_model_access_denied",
            Self::Model { kind: Kind::Customer, .. } => "customer_model_access_denied",
            Self::NotFound { .. } => "not_found_error",
            _ => "auth_error",
        }
    }

    /// What it is about.
    pub fn param(&self) -> &str {
        match self {
            Self::Expired { key, .. } => key,
            Self::Model { .. } => "model",
            _ => "None",
        }
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blocked { kind: Kind::Key, .. } => out.write_str(
                "Authentication Error, Key is blocked. Update via `/key/unblock` if you're an admin.",
            ),
            Self::Blocked { kind, id } => {
                let (name, path) = match kind {
                    Kind::Team => ("Team", "/team/unblock"),
                    Kind::Project => ("Project", "/project/update"),
                    Kind::Organization => ("Organization", "/organization/update"),
                    Kind::Member => ("Team member", "/team/member_update"),
                    Kind::Customer => ("Customer", "/customer/unblock"),
                    _ => ("User", "/user/update"),
                };
                let id = id.as_str();
                write!(
                    out,
                    "Authentication Error, {name}={id} is blocked. Update via `{path}` if you're an admin."
                )
            }
            Self::Gone { kind, id } => {
                write!(out, "Authentication Error, {} doesn't exist. {}={id}", noun(*kind), noun(*kind))
            }
            Self::Expired { since, now, .. } => write!(
                out,
                "Authentication Error - Expired Key. Key Expiry time {} and current time {}",
                python_time(*since),
                python_time(*now)
            ),
            Self::Model { kind: Kind::Customer, model } => write!(
                out,
                "The requested model '{model}' is not in the allowed models for this customer. Check the models this \
                 customer can use and try again."
            ),
            Self::Model { model, .. } => write!(
                out,
                "The requested model '{model}' is not available for this API key, or the model name is invalid. \
                 Check the models available to you and try again."
            ),
            Self::Route { allowed, path } => {
                let allowed: Vec<String> = allowed.iter().map(|route| format!("'{route}'")).collect();
                let allowed = allowed.join(", ");
                write!(
                    out,
                    "Virtual key is not allowed to call this route. Only allowed to call routes: [{allowed}]. \
                     Tried to call route: {}",
                    Path(path)
                )
            }
            Self::Address(address) => write!(out, "Access forbidden: IP address {address} not allowed."),
            Self::NotAdmin { path, role } => write!(
                out,
                "Authentication Error, Only proxy admin can be used to generate, delete, update info for new \
                 keys/users/teams. Route={}. Your role={role}. Your user_id=*******",
                Path(path)
            ),
            Self::Unserved { path } => write!(out, "Access forbidden: Route {} not allowed", Path(path)),
            Self::AdminOnly { path } => {
                let path = Path(path);
                write!(out, "user not allowed to access this route. Route={path} is an admin only route")
            }
            Self::NotFound { kind, id } => write!(out, "{}={id} not found", noun(*kind)),
            Self::Forbidden { kind, id } => {
                write!(out, "{}={id} may be seen by you, not changed", noun(*kind))
            }
        }
    }
}

impl std::error::Error for Denied {}

/// A path as it may be repeated: a key that stands in it is not.
struct Path<'a>(&'a str);

impl fmt::Display for Path<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of_key = self.0.strip_prefix("/key/").and_then(|rest| rest.split_once('/'));
        match of_key.filter(|(key, _)| *key != "service-account") {
            Some((_, action)) => write!(out, "/key/{{key}}/{action}"),
            None => out.write_str(self.0),
        }
    }
}

fn noun(kind: Kind) -> &'static str {
    match kind {
        Kind::Key => "Key",
        Kind::Team => "Team",
        Kind::Member => "Team member",
        Kind::User => "User",
        Kind::Organization => "Organization",
        Kind::OrganizationMember => "Organization member",
        Kind::Project => "Project",
        Kind::Customer => "Customer",
        Kind::Tag => "Tag",
        Kind::Budget => "Budget",
        Kind::AccessGroup => "Access group",
        Kind::Credential => "Credential",
        Kind::Model => "Model",
        Kind::Invitation => "Invitation",
        Kind::Setting => "Setting",
        Kind::KeyMapping => "Mapping",
    }
}

/// As Python prints a time of UTC: `2026-11-22 11:00:37.737000+00:00`.
fn python_time(at: Wall) -> String {
    at.rfc3339().replace('T', " ").replace('Z', "+00:00")
}
