//! Refusals of bearer tokens, with LiteLLM's statuses and types.

use super::Rejection;
use http::StatusCode;
use std::time::Duration;
use tollgate_identity::jwt::{BadIdentity, BadToken};
use tollgate_oidc::Refusal;

impl Rejection {
    /// A token that is not taken, or of which nobody can say that now.
    pub(crate) fn token_refused(refusal: &Refusal) -> Self {
        match refusal {
            Refusal::Bad(BadToken::Expired) => {
                Self::new(StatusCode::UNAUTHORIZED, "expired_key", "Token Expired").at("None")
            }
            Refusal::Bad(bad) => {
                let message = format!("Authentication Error, Validation fails: {bad}");
                Self::new(StatusCode::UNAUTHORIZED, "auth_error", message).at("None")
            }
            Refusal::NoKeys(_) => {
                let message = "Service Unavailable, the identity provider's keys cannot be had now, so that nobody can say \
                               whether the token is good. Try again.";
                let status = StatusCode::SERVICE_UNAVAILABLE;
                let mut rejection = Self::new(status, "auth_provider_unavailable", message).at("None");
                rejection.retry_after = Some(Duration::from_secs(5));
                rejection
            }
        }
    }

    /// A good token that is nobody's here.
    pub(crate) fn token_is_nobodys(bad: &BadIdentity) -> Self {
        let (status, param) = match bad {
            BadIdentity::NoTeam(_) | BadIdentity::NoSuchUser(_) | BadIdentity::Id(_) => {
                (StatusCode::UNAUTHORIZED, "None")
            }
            BadIdentity::NoSuchTeam(_) | BadIdentity::NoSuchOrganization(_) => {
                (StatusCode::NOT_FOUND, "None")
            }
            BadIdentity::Domain => (StatusCode::FORBIDDEN, "user_email"),
            _ => (StatusCode::FORBIDDEN, "None"),
        };
        let opening = if status == StatusCode::UNAUTHORIZED { "Authentication Error, " } else { "" };
        Self::new(status, "auth_error", format!("{opening}{bad}")).at(param)
    }

    /// A token whose claim stands for no key, where it has to.
    pub(crate) fn unmapped(field: &str, value: Option<&str>) -> Self {
        let value: String = value.unwrap_or("None").chars().take(200).collect();
        let message = format!("JWT Key Mapping: No registered mapping for {field}='{value}'. Access denied.");
        Self::new(StatusCode::FORBIDDEN, "auth_error", message).at("None")
    }

    /// None of a token's teams has the model.
    pub(crate) fn no_team_has(model: &str, teams: &[String]) -> Self {
        let model: String = model.chars().take(200).collect();
        let message = format!(
            "No team has access to the requested model: {model}. Checked teams={teams:?}. See `/v1/models` for those that \
             there are."
        );
        Self::new(StatusCode::FORBIDDEN, "auth_error", message).at("None")
    }
}
