//! What is wrong with a credential before anything was sent.

/// Why a credential cannot be used, in words for the operator: it names files, variables and keys of the configuration,
/// and never a value that may be secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct CredentialError(String);

impl CredentialError {
    pub(crate) fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}
