//! A text that is never printed.
//!
//! Owns: [`Secret`], the only type that carries keys, passwords and tokens out of a configuration. Leaves to others:
//! where a secret is put on the wire.
//!
//! **Invariant:** `Debug` and `Display` show [`MASK`] and nothing of the text; [`Secret::expose`] is the only way to it.

use std::fmt;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_prints_its_mask_alone() {
        let secret = Secret::new("sk-very-secret");
        assert_eq!(format!("{secret} {secret:?} {:#?}", Some(&secret)), "**** **** Some(\n    ****,\n)");
        assert_eq!(secret.expose(), "sk-very-secret");
    }
}
