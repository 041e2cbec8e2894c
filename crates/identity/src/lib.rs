//! Who calls and what each may do: the objects of LiteLLM's admin API, without I/O.
//!
//! Owns what a key, a team, a user, an organization, a project, a customer, a tag, a budget is, how it is written, and
//! what it allows. Leaves to others keeping it, counting against it, and saying it over HTTP.
//!
//! **Invariant:** nothing here reads a clock or draws a random number.

pub mod access;
mod directory;
mod document;
pub mod form;
pub mod grant;
pub mod import;
pub mod jwt;
mod kind;
mod limits;
mod models;
mod record;
pub mod reply;
pub mod role;
mod scope;
pub mod secret;

pub use directory::{Directory, Holder, member_id};
pub use document::{BadMember, Document, dollars};
pub use kind::Kind;
pub use limits::{Critical, Limits, ModelLimits, OwnTiers, Window};
pub use models::Models;
pub use record::{Parents, Record};
pub use scope::{Scope, ScopeKind};
