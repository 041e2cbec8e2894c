//! LiteLLM's types of alerts, by which an operator chooses what to be told.
//!
//! Owns: the types, their words, and which are told where nothing is chosen. Leaves to others: what is worth an alert.
//!
//! **Invariant:** the words are LiteLLM's, all 27 of them; a type of Tollgate's own would be one that no file can name.

/// What an alert is about, as `general_settings.alert_types` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the names are LiteLLM's words, and `word` says them")]
pub enum AlertType {
    LlmExceptions,
    LlmTooSlow,
    LlmRequestsHanging,
    BudgetAlerts,
    SpendReports,
    FailedTrackingSpend,
    UserSpendThresholds,
    UserSpendAnomalies,
    DbExceptions,
    DailyReports,
    CooldownDeployment,
    NewModelAdded,
    ModelDeprecationWarnings,
    OutageAlerts,
    RegionOutageAlerts,
    FallbackReports,
    NewVirtualKeyCreated,
    VirtualKeyUpdated,
    VirtualKeyDeleted,
    NewTeamCreated,
    TeamUpdated,
    TeamDeleted,
    NewInternalUserCreated,
    InternalUserUpdated,
    InternalUserDeleted,
    McpToolDescriptionBlocked,
    McpPinnedToolsChanged,
}

use AlertType as T;

/// Every type and its word.
const WORDS: [(AlertType, &str); 27] = [
    (T::LlmExceptions, "llm_exceptions"),
    (T::LlmTooSlow, "llm_too_slow"),
    (T::LlmRequestsHanging, "llm_requests_hanging"),
    (T::BudgetAlerts, "budget_alerts"),
    (T::SpendReports, "spend_reports"),
    (T::FailedTrackingSpend, "failed_tracking_spend"),
    (T::UserSpendThresholds, "user_spend_thresholds"),
    (T::UserSpendAnomalies, "user_spend_anomalies"),
    (T::DbExceptions, "db_exceptions"),
    (T::DailyReports, "daily_reports"),
    (T::CooldownDeployment, "cooldown_deployment"),
    (T::NewModelAdded, "new_model_added"),
    (T::ModelDeprecationWarnings, "model_deprecation_warnings"),
    (T::OutageAlerts, "outage_alerts"),
    (T::RegionOutageAlerts, "region_outage_alerts"),
    (T::FallbackReports, "fallback_reports"),
    (T::NewVirtualKeyCreated, "new_virtual_key_created"),
    (T::VirtualKeyUpdated, "virtual_key_updated"),
    (T::VirtualKeyDeleted, "virtual_key_deleted"),
    (T::NewTeamCreated, "new_team_created"),
    (T::TeamUpdated, "team_updated"),
    (T::TeamDeleted, "team_deleted"),
    (T::NewInternalUserCreated, "new_internal_user_created"),
    (T::InternalUserUpdated, "internal_user_updated"),
    (T::InternalUserDeleted, "internal_user_deleted"),
    (T::McpToolDescriptionBlocked, "mcp_tool_description_blocked"),
    (T::McpPinnedToolsChanged, "mcp_pinned_tools_changed"),
];

/// Those of which LiteLLM says nothing unless they are asked for: what its admins do themselves.
const ASKED_FOR: AlertTypes = AlertTypes::of(&[
    T::NewVirtualKeyCreated,
    T::VirtualKeyUpdated,
    T::VirtualKeyDeleted,
    T::NewTeamCreated,
    T::TeamUpdated,
    T::TeamDeleted,
    T::NewInternalUserCreated,
    T::InternalUserUpdated,
    T::InternalUserDeleted,
]);

impl AlertType {
    /// LiteLLM's word.
    pub fn word(self) -> &'static str {
        WORDS.iter().find(|(of, _)| *of == self).map_or("", |(_, word)| word)
    }

    /// The type of a word.
    pub fn of_word(word: &str) -> Option<Self> {
        WORDS.iter().find(|(_, known)| *known == word).map(|(of, _)| *of)
    }

    /// Every type, in LiteLLM's order.
    pub fn all() -> impl Iterator<Item = Self> {
        WORDS.iter().map(|(of, _)| *of)
    }

    const fn bit(self) -> u32 {
        1 << self as u32
    }
}

/// Some of the types.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct AlertTypes(u32);

impl AlertTypes {
    /// None of them.
    pub const NONE: Self = Self(0);
    /// Every one.
    pub const ALL: Self = Self((1 << WORDS.len()) - 1);
    /// What is told where `alert_types` is not written: all but what admins do to keys, teams and users.
    pub const DEFAULT: Self = Self(Self::ALL.0 & !ASKED_FOR.0);
    /// What is told by e-mail where `alert_types` is not written: what is about money.
    pub const MONEY: Self =
        Self::of(&[T::BudgetAlerts, T::SpendReports, T::UserSpendThresholds, T::UserSpendAnomalies]);

    /// These.
    pub const fn of(mut types: &[AlertType]) -> Self {
        let mut bits = 0;
        while let [first, rest @ ..] = types {
            bits |= first.bit();
            types = rest;
        }
        Self(bits)
    }

    /// Whether the type is among them.
    pub fn has(self, of: AlertType) -> bool {
        self.0 & of.bit() != 0
    }

    /// These and those.
    #[must_use]
    pub fn with(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// These without those.
    #[must_use]
    pub fn without(self, others: Self) -> Self {
        Self(self.0 & !others.0)
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl std::fmt::Debug for AlertTypes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(AlertType::all().filter(|of| self.has(*of)).map(AlertType::word)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_has_its_word_and_its_place() {
        assert_eq!(WORDS.len(), AlertType::McpPinnedToolsChanged as usize + 1);
        for (place, (of, word)) in WORDS.into_iter().enumerate() {
            assert_eq!((of as usize, of.word(), AlertType::of_word(word)), (place, word, Some(of)));
        }
        assert_eq!(AlertType::of_word("budget"), None);
    }

    #[test]
    fn sets_hold_what_was_put_in() {
        assert!(AlertType::all().all(|of| AlertTypes::ALL.has(of) && !AlertTypes::NONE.has(of)));
        let default = AlertType::all().filter(|of| AlertTypes::DEFAULT.has(*of)).count();
        assert_eq!(default, 18, "LiteLLM's 17 and the anomalies");
        let some = AlertTypes::of(&[T::BudgetAlerts, T::DailyReports]);
        assert_eq!(format!("{some:?}"), "{\"budget_alerts\", \"daily_reports\"}");
        let rest = some.without(AlertTypes::MONEY);
        assert!(rest.has(T::DailyReports) && !rest.has(T::BudgetAlerts) && !rest.is_empty());
        assert_eq!(rest.with(some), some);
    }
}
