//! What one dialect alone can say. Owns the type only.

use crate::wire::Dialect;
use serde_json::Value;

/// A piece of a conversation for which the model has no field: it comes out again in the same dialect, and any other
/// encoder counts it among what it could not express.
#[derive(Debug, Clone, PartialEq)]
pub struct Native {
    /// Whose words they are.
    pub dialect: Dialect,
    /// The words.
    pub value: Value,
}
