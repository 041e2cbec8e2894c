//! Why an admin request is not served, in the envelope of LiteLLM's errors.

use crate::error::Rejection;
use http::StatusCode;
use serde_json::{Value, json};
use tollgate_identity::form::{BadForm, Fault};
use tollgate_identity::grant::{Denied, Exceeds};
use tollgate_identity::role::{Actor, Role};
use tollgate_ledger::CommitError;
use tollgate_store::{StoreError, Trouble};

/// Why not.
#[derive(Debug)]
pub(crate) enum Problem {
    /// The form is wrong.
    Form(BadForm),
    /// Whoever asks may not.
    Denied(Denied),
    /// A child would hold more than its parent.
    Exceeds(Exceeds),
    /// It is not there: the member that names it, and what, as a sentence.
    Missing(&'static str, String),
    /// It is there already, or contradicts what is there.
    Conflict(String),
    /// The request makes no sense; the member that it is about.
    Bad(&'static str, String),
    /// What LiteLLM says in a case of its own: the status, the type and the words.
    Said(StatusCode, &'static str, String),
    /// The same, of a part that it names: the status, the type, the part and the words.
    SaidOf(StatusCode, &'static str, &'static str, String),
    /// A value of the query is none that its parameter may have: the status, the words, and LiteLLM's `detail` of it.
    Query(StatusCode, String, Value),
    /// The books are away, or there are none.
    Unavailable,
    /// Something else went wrong, and was logged.
    Internal,
}

impl From<BadForm> for Problem {
    fn from(bad: BadForm) -> Self {
        Self::Form(bad)
    }
}

impl From<Denied> for Problem {
    fn from(denied: Denied) -> Self {
        Self::Denied(denied)
    }
}

impl From<Exceeds> for Problem {
    fn from(exceeds: Exceeds) -> Self {
        Self::Exceeds(exceeds)
    }
}

impl From<CommitError> for Problem {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Books(error) => error.into(),
            CommitError::NoBooks => Self::Unavailable,
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error.trouble() {
            Trouble::Conflict => {
                Self::Conflict("it was changed by somebody else meanwhile; try again".to_owned())
            }
            Trouble::Bad => Self::Bad("request_body", error.to_string()),
            Trouble::Unavailable => {
                tracing::warn!(%error, "the books did not answer an admin request");
                Self::Unavailable
            }
            Trouble::Defect => {
                tracing::error!(%error, "the books failed an admin request");
                Self::Internal
            }
        }
    }
}

impl Problem {
    /// LiteLLM's words in a case of its own.
    pub(crate) fn said(status: u16, kind: &'static str, words: &str) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self::Said(status, kind, words.to_owned())
    }

    /// LiteLLM's words for a key that is not there.
    pub(crate) fn no_key() -> Self {
        Self::Missing("key", "Key not found in database".to_owned())
    }

    /// The same of several that are to be deleted.
    pub(crate) fn no_keys() -> Self {
        Self::said(404, "internal_server_error", "{'error': 'No keys found'}")
    }

    /// Of a deletion.
    pub(crate) fn or_no_keys(self) -> Self {
        if matches!(self, Self::Missing("key", _)) { Self::no_keys() } else { self }
    }

    /// LiteLLM's words about the query, where its framework answers with them.
    pub(crate) fn query(words: &str) -> Self {
        Self::Query(StatusCode::BAD_REQUEST, words.to_owned(), json!({"error": words}))
    }

    /// The same, where LiteLLM itself answers: with its words as Python writes them.
    pub(crate) fn query_as_python(words: &str) -> Self {
        let quote = if words.contains('\'') { '"' } else { '\'' };
        let message = format!("{{'error': {quote}{words}{quote}}}");
        Self::said(400, "internal_server_error", &message)
    }

    /// What is not there, in LiteLLM's words of its kind.
    pub(crate) fn or_missing(self, member: &'static str, what: impl FnOnce() -> String) -> Self {
        match self {
            Self::Denied(denied) if denied.status() == 404 => Self::Missing(member, what()),
            other => other,
        }
    }

    /// Whoever asks may not make that there.
    pub(crate) fn not_allowed(actor: &Actor, path: &str) -> Self {
        let role = actor.role.map_or("unknown", Role::word);
        Self::Denied(Denied::NotAdmin { path: path.to_owned(), role })
    }

    /// As the caller sees it.
    pub(crate) fn into_rejection(self) -> Rejection {
        let bad = |status, kind, message: String, param: &str| Rejection::admin(status, kind, message, param);
        match self {
            Self::Form(form) => {
                let status = match form.fault {
                    Fault::Forbidden => StatusCode::FORBIDDEN,
                    Fault::Unknown | Fault::Missing | Fault::Wrong | Fault::Unsupported => {
                        StatusCode::BAD_REQUEST
                    }
                };
                bad(status, "bad_request_error", form.to_string(), &form.member)
            }
            Self::Denied(denied) => Rejection::denied(&denied),
            Self::Exceeds(exceeds) => {
                let member = exceeds.member.clone();
                bad(StatusCode::FORBIDDEN, "permission_error", exceeds.to_string(), &member)
            }
            Self::Missing(member, what) => bad(StatusCode::NOT_FOUND, "not_found_error", what, member),
            Self::Conflict(what) => bad(StatusCode::CONFLICT, "bad_request_error", what, "None"),
            Self::Bad(member, reason) => bad(StatusCode::BAD_REQUEST, "bad_request_error", reason, member),
            Self::Said(status, kind, words) => Rejection::told(status, kind, words),
            Self::SaidOf(status, kind, part, words) => bad(status, kind, words, part),
            Self::Query(status, words, detail) => Rejection::detailed(status, words, detail),
            Self::Unavailable => Rejection::keys_unavailable(),
            Self::Internal => Rejection::internal(),
        }
    }
}
