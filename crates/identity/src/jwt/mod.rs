//! Bearer tokens of an identity provider (JWT, RFC 7519, as RFC 8725 wants them checked): verified, and turned into who
//! calls.
//!
//! Owns the check of a token against keys and a moment that are given, and the mapping of its claims by LiteLLM's
//! settings. Leaves fetching keys to others. The signatures are checked by `ring`, which TLS brings already: the releases
//! of the usual crate that are kept bring a second library of cryptography with them.
//!
//! **Invariant:** a [`Claims`] comes from [`Issuer::verify`] alone. **Invariant:** nothing that a token says decides how
//! it is checked, but which of the configured issuers and of their keys it is held against. **Invariant:** a key is used
//! with the algorithms of its kind alone, and no key is a shared secret.

mod claims;
mod json;
mod keys;
mod mapping;
#[cfg(test)]
mod mapping_tests;
mod resolve;
#[cfg(test)]
mod tests;
mod token;

pub use claims::Claims;
pub use keys::{BadKeys, JwkSet};
pub use mapping::{BadIdentity, Identity, JwtMapping, RoleRow, ScopeRow};
pub use resolve::user_named;
pub use token::{BadToken, Issuer, is_token, issuer_of};
