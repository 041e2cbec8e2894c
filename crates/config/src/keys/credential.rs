//! The keys of one entry of `credential_list`.
//!
//! Owns: the rows. Leaves to others: what a credential's values do (made).
//!
//! **Invariant:** every value is a secret.

use super::{ANY_MAP, Kind, Table, active};

/// One entry of `credential_list`.
pub(crate) static TABLE: Table = &[&[
    active("credential_name", Kind::Text, "required", "What `litellm_credential_name` says."),
    active(
        "credential_values",
        ANY_MAP,
        "required",
        "Keys of `litellm_params`, for each deployment that refers to it and does not have them itself.",
    ),
    active("credential_info", ANY_MAP, "", "What is known of it; shown by `/credentials` as written."),
]];
