//! A text that is never printed, and a way to compare secrets without keeping them.
//!
//! Owns: [`Secret`], which carries keys and tokens through this crate. Leaves to others: where they go on the wire.
//!
//! **Invariant:** `Debug` and `Display` show [`MASK`] and nothing of the text; [`Secret::expose`] is the only way to it.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher;
use std::sync::OnceLock;

/// What is shown in place of a secret.
pub const MASK: &str = "****";

/// A key, password or token. Printing it shows [`MASK`].
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Box<str>);

impl Secret {
    /// Wraps `text`.
    pub fn new(text: impl Into<Box<str>>) -> Self {
        Self(text.into())
    }

    /// The text itself. Call it where the bytes leave for their one destination, nowhere else.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

/// Tells one list of secrets from another within this process; says nothing about them outside of it, since its key is
/// drawn at random when it is first used.
pub(crate) fn fingerprint(secrets: &[&str]) -> String {
    static KEY: OnceLock<RandomState> = OnceLock::new();
    format!("{:016x}", KEY.get_or_init(RandomState::new).hash_one(secrets))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_prints_its_mask_alone() {
        let secret = Secret::new("sk-very-secret");
        assert_eq!(format!("{secret} {secret:?} {:#?}", Some(&secret)), "**** **** Some(\n    ****,\n)");
        assert_eq!(secret.expose(), "sk-very-secret");
    }

    #[test]
    fn fingerprints_tell_secrets_apart_without_showing_them() {
        assert_eq!(fingerprint(&["one", "two"]), fingerprint(&["one", "two"]));
        for other in [&["one"][..], &["onetwo"], &["two", "one"], &["one", "two", ""]] {
            assert_ne!(fingerprint(&["one", "two"]), fingerprint(other), "{other:?}");
        }
        assert!(!fingerprint(&["secret"]).contains("secret"));
    }
}
