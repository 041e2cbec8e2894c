//! Providers' secrets on their way into records: sealed for their record and member before anything is kept.
//!
//! **Invariant:** what is sealed here opens for the same record and member alone; nothing of it is logged.

use super::Problem;
use super::desk::{Desk, random_bits};
use crate::made;
use tollgate_identity::form::BadForm;
use tollgate_identity::secret::{Place, SealError, Vault};

/// Bytes of a nonce of AES-GCM.
const NONCE: usize = 12;

/// Seals the secrets of one record.
pub(super) struct Sealing<'a> {
    record: &'a str,
    vault: Result<Vault, SealError>,
}

impl<'a> Sealing<'a> {
    /// For the record of this id.
    pub(super) fn of(desk: &Desk<'_>, record: &'a str) -> Self {
        Self { record, vault: made::vault(desk.snapshot.config()) }
    }

    /// Seals a member's text.
    pub(super) fn seal(&self, member: &str, text: &str) -> Result<String, BadForm> {
        let refused = |reason: String| BadForm::wrong(member, reason);
        let vault = self.vault.as_ref().map_err(|error| refused(error.to_string()))?;
        let bits = random_bits().map_err(|_: Problem| refused("cannot be sealed".to_owned()))?;
        let nonce = bits.first_chunk::<NONCE>().ok_or_else(|| refused("cannot be sealed".to_owned()))?;
        let place = Place { record: self.record, member };
        vault.seal(place, *nonce, text).map_err(|error| refused(error.to_string()))
    }
}
