//! One alert: what happened, to whom, and the amounts.
//!
//! Owns: the words of events, scopes and severities. Leaves to others: sentences ([`crate::occasion`]), shapes.
//!
//! **Invariant:** an amount is exact from here to the receiver: it is never a float. **Invariant:** an event has one word
//! and one of LiteLLM's types.

use serde_json::{Map, Value};
use std::time::Duration;
use tollgate_catalog::PicoDollars;
use tollgate_config::{AlertType, AlertWay};

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Event {
    /// A budget is spent.
    BudgetCrossed,
    /// A soft budget is spent: nobody is refused.
    SoftBudgetCrossed,
    /// A share of a budget is spent.
    ThresholdCrossed,
    /// A budget will be spent before its period ends.
    ProjectedLimitExceeded,
    /// An end user's spend was noted.
    SpendTracked,
    /// A user has spent as much in a day or a month as an operator wants to know of.
    UserSpendThreshold,
    /// Somebody spends far more than is usual.
    SpendAnomaly,
    /// A request was answered by a model without a price.
    ModelUnpriced,
    /// What was spent cannot be kept as it should.
    JournalTrouble,
    /// The database does not answer.
    DatabaseTrouble,
    /// What was spent in a period.
    SpendReport,
    /// A key was made.
    KeyCreated,
    /// A key has a new text.
    KeyRotated,
    /// A key is due for a new text and cannot get one.
    KeyRotationFailed,
    /// A key was changed.
    KeyUpdated,
    /// A key was deleted.
    KeyDeleted,
    /// A team was made.
    TeamCreated,
    /// A team was changed.
    TeamUpdated,
    /// A team was deleted.
    TeamDeleted,
    /// A user was made.
    UserCreated,
    /// A user was changed.
    UserUpdated,
    /// A user was deleted.
    UserDeleted,
    /// A model was added.
    ModelAdded,
    /// A deployment is taken out for its failures.
    Cooldown,
    /// A provider refuses a credential.
    CredentialRefused,
    /// A provider does not know a deployment's model.
    ModelNotFound,
    /// All deployments of a group are out.
    Outage,
    /// A tier answers more than its share.
    TierShare,
    /// What was out is back.
    Recovered,
    /// Alerts that came too fast for a channel, in one.
    HeldBack,
}

use AlertType as T;

/// Every event, its word and its type. LiteLLM's words where it has them.
const EVENTS: [(Event, &str, AlertType); 30] = [
    (Event::BudgetCrossed, "budget_crossed", T::BudgetAlerts),
    (Event::SoftBudgetCrossed, "soft_budget_crossed", T::BudgetAlerts),
    (Event::ThresholdCrossed, "threshold_crossed", T::BudgetAlerts),
    (Event::ProjectedLimitExceeded, "projected_limit_exceeded", T::BudgetAlerts),
    (Event::SpendTracked, "spend_tracked", T::BudgetAlerts),
    (Event::UserSpendThreshold, "user_spend_threshold_crossed", T::UserSpendThresholds),
    (Event::SpendAnomaly, "spend_anomaly", T::UserSpendAnomalies),
    (Event::ModelUnpriced, "model_unpriced", T::FailedTrackingSpend),
    (Event::JournalTrouble, "journal_trouble", T::DbExceptions),
    (Event::DatabaseTrouble, "database_trouble", T::DbExceptions),
    (Event::SpendReport, "spend_report", T::SpendReports),
    (Event::KeyCreated, "key_created", T::NewVirtualKeyCreated),
    (Event::KeyRotated, "key_rotated", T::VirtualKeyUpdated),
    (Event::KeyRotationFailed, "key_rotation_failed", T::VirtualKeyUpdated),
    (Event::KeyUpdated, "key_updated", T::VirtualKeyUpdated),
    (Event::KeyDeleted, "key_deleted", T::VirtualKeyDeleted),
    (Event::TeamCreated, "team_created", T::NewTeamCreated),
    (Event::TeamUpdated, "team_updated", T::TeamUpdated),
    (Event::TeamDeleted, "team_deleted", T::TeamDeleted),
    (Event::UserCreated, "internal_user_created", T::NewInternalUserCreated),
    (Event::UserUpdated, "internal_user_updated", T::InternalUserUpdated),
    (Event::UserDeleted, "internal_user_deleted", T::InternalUserDeleted),
    (Event::ModelAdded, "model_added", T::NewModelAdded),
    (Event::Cooldown, "cooldown_deployment", T::CooldownDeployment),
    (Event::CredentialRefused, "credential_refused", T::CooldownDeployment),
    (Event::ModelNotFound, "model_not_found", T::LlmExceptions),
    (Event::Outage, "outage", T::OutageAlerts),
    (Event::TierShare, "tier_share", T::FallbackReports),
    (Event::Recovered, "recovered", T::CooldownDeployment),
    (Event::HeldBack, "alerts_held_back", T::DailyReports),
];

impl Event {
    /// Its word in messages, logs and metrics.
    pub fn word(self) -> &'static str {
        EVENTS.iter().find(|(event, ..)| *event == self).map_or("", |(_, word, _)| word)
    }

    /// LiteLLM's type, by which operators choose.
    pub fn alert_type(self) -> AlertType {
        EVENTS.iter().find(|(event, ..)| *event == self).map_or(T::DailyReports, |(.., of)| *of)
    }

    /// Whether a channel is told of it at all. What one request of an end user's cost is for machines, as LiteLLM has it.
    pub(crate) fn is_for(self, way: &AlertWay) -> bool {
        self != Self::SpendTracked || matches!(way, AlertWay::Webhook { .. })
    }

    /// Every event.
    pub fn all() -> impl Iterator<Item = Self> {
        EVENTS.iter().map(|(event, ..)| *event)
    }
}

/// How grave it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Good to know.
    Info,
    /// Somebody should look.
    Warning,
    /// Something does not work.
    Error,
    /// Money or requests are being lost.
    Critical,
}

impl Severity {
    /// Its word, which PagerDuty takes too.
    pub fn word(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Critical => "critical",
        }
    }
}

/// What kind of account an alert is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ScopeKind {
    /// The whole gateway.
    Global,
    /// An organization.
    Organization,
    /// A project.
    Project,
    /// A team.
    Team,
    /// A user as a member of a team.
    Member,
    /// A user as a member of an organization.
    OrganizationMember,
    /// An internal user.
    User,
    /// A virtual key.
    Key,
    /// A customer.
    EndUser,
    /// A tag.
    Tag,
    /// An access group of models.
    AccessGroup,
    /// A model group.
    Model,
    /// A provider.
    Provider,
    /// A deployment.
    Deployment,
}

impl ScopeKind {
    /// Its word in `event_group`; LiteLLM's where it has one.
    pub fn word(self) -> &'static str {
        match self {
            Self::Global => "proxy",
            Self::Organization => "organization",
            Self::Project => "project",
            Self::Team => "team",
            Self::Member => "team_member",
            Self::OrganizationMember => "organization_member",
            Self::User => "user",
            Self::Key => "key",
            Self::EndUser => "end_user",
            Self::Tag => "tag",
            Self::AccessGroup => "model_access_group",
            Self::Model => "model",
            Self::Provider => "provider",
            Self::Deployment => "deployment",
        }
    }

    /// Its name in a sentence.
    pub fn name(self) -> &'static str {
        match self {
            Self::Global => "gateway",
            Self::Member => "member",
            Self::OrganizationMember => "member of an organization",
            Self::EndUser => "customer",
            Self::AccessGroup => "access group",
            other => other.word(),
        }
    }
}

/// Whose account an alert is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// What kind.
    pub kind: ScopeKind,
    /// Its id; of a key the hex SHA-256 of its text, never the text. Empty for the whole gateway.
    pub id: String,
    /// The name that people gave it.
    pub alias: Option<String>,
    /// The model, where the account is that of one model (`model_max_budget`).
    pub model: Option<String>,
    /// What else is known of it.
    pub belongs: Belongs,
}

impl Scope {
    /// The account of this id.
    pub fn new(kind: ScopeKind, id: impl Into<String>) -> Self {
        Self { kind, id: id.into(), alias: None, model: None, belongs: Belongs::default() }
    }

    /// With the name that people gave it; an empty one is none.
    #[must_use]
    pub fn alias(self, alias: impl Into<String>) -> Self {
        Self { alias: Some(alias.into()).filter(|alias| !alias.is_empty()), ..self }
    }

    /// Of one model.
    #[must_use]
    pub fn model(self, model: impl Into<String>) -> Self {
        Self { model: Some(model.into()), ..self }
    }

    /// With what else is known.
    #[must_use]
    pub fn belongs(self, belongs: Belongs) -> Self {
        Self { belongs, ..self }
    }

    /// One text for it, by which alerts are told apart.
    pub(crate) fn key(&self) -> String {
        format!("{}:{}:{}", self.kind.word(), self.id, self.model.as_deref().unwrap_or_default())
    }
}

/// Whom a scope belongs to, as far as it is known; LiteLLM's webhook has members for these.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are LiteLLM's members")]
pub struct Belongs {
    pub token: Option<String>,
    pub key_alias: Option<String>,
    pub user_id: Option<String>,
    pub user_email: Option<String>,
    pub customer_id: Option<String>,
    pub team_id: Option<String>,
    pub team_alias: Option<String>,
    pub organization_id: Option<String>,
}

/// The amounts of an alert, in picodollars.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Amounts {
    /// Spent in the period.
    pub spend: Option<PicoDollars>,
    /// What may be spent in it.
    pub budget: Option<PicoDollars>,
    /// Above which alerts are told and nobody is refused.
    pub soft_budget: Option<PicoDollars>,
    /// What will have been spent when the period ends.
    pub projected_spend: Option<PicoDollars>,
}

/// What was crossed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Threshold {
    /// This share of the budget, in millionths: 750,000 are 75%.
    Share(u32),
    /// The soft budget.
    Soft,
}

impl Threshold {
    /// The share as an exact decimal (`0.75`, `1`), or `soft`.
    pub fn word(self) -> String {
        match self {
            Self::Share(millionths) => decimal(millionths, 6),
            Self::Soft => "soft".to_owned(),
        }
    }

    /// The share in percent: `75%`; or `soft`.
    pub(crate) fn percent(self) -> String {
        match self {
            Self::Share(millionths) => decimal(millionths, 4) + "%",
            Self::Soft => "soft".to_owned(),
        }
    }
}

/// A number with so many decimals, without zeros at its end.
fn decimal(number: u32, decimals: u32) -> String {
    let scale = 10_u32.saturating_pow(decimals).max(1);
    let (whole, rest) = (number / scale, number % scale);
    let width = decimals as usize;
    let rest = format!("{rest:0width$}");
    let rest = rest.trim_end_matches('0');
    if rest.is_empty() { whole.to_string() } else { format!("{whole}.{rest}") }
}

/// The period of a budget, in microseconds since 1970 (UTC).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    /// When it began.
    pub start: i64,
    /// When it ends; `None` for a budget that is for ever.
    pub end: Option<i64>,
}

/// How long the same is not said again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quiet {
    /// It is always said.
    Never,
    /// For so long.
    For(Duration),
    /// As long as `outage_alert_ttl` says.
    Outage,
    /// As long as `budget_alert_ttl` says.
    Budget,
    /// Until this moment, in microseconds since 1970.
    Until(i64),
    /// As long as the process runs.
    Forever,
}

/// One alert.
#[derive(Debug, Clone)]
pub struct Alert {
    /// What happened.
    pub event: Event,
    /// How grave it is.
    pub severity: Severity,
    /// Whose account it is about.
    pub scope: Option<Scope>,
    /// What was crossed.
    pub threshold: Option<Threshold>,
    /// How much.
    pub amounts: Amounts,
    /// In which period.
    pub period: Option<Period>,
    /// The day on which a budget will be spent, as `2026-11-30`.
    pub exceeded_on: Option<String>,
    /// One sentence for people.
    pub sentence: String,
    /// What else is to be known; no names of the members above.
    pub facts: Map<String, Value>,
    /// What tells it apart from others: of two with one key the second is not said while the first is remembered.
    pub key: String,
    /// How long the same is not said again.
    pub quiet: Quiet,
    /// Addresses that get it by mail beside those of the configuration.
    pub recipients: Vec<String>,
    /// The keys of alerts that this one ends.
    pub resolves: Vec<String>,
    /// Microseconds since 1970; set when it is told.
    pub at: i64,
}

impl Alert {
    /// Something happened to what `about` names. It is not said again for as long as `outage_alert_ttl` says.
    pub fn new(event: Event, severity: Severity, about: &str, sentence: impl Into<String>) -> Self {
        Self {
            event,
            severity,
            scope: None,
            threshold: None,
            amounts: Amounts::default(),
            period: None,
            exceeded_on: None,
            sentence: sentence.into(),
            facts: Map::new(),
            key: Self::key_of(event, about),
            quiet: Quiet::Outage,
            recipients: Vec::new(),
            resolves: Vec::new(),
            at: 0,
        }
    }

    /// The key of an alert about something.
    pub fn key_of(event: Event, about: &str) -> String {
        format!("{}:{about}", event.word())
    }

    /// With further facts.
    #[must_use]
    pub fn facts(self, facts: Map<String, Value>) -> Self {
        Self { facts, ..self }
    }

    /// With one more fact.
    #[must_use]
    pub fn fact(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.facts.insert(name.to_owned(), value.into());
        self
    }

    /// About this account.
    #[must_use]
    pub fn scope(self, scope: Scope) -> Self {
        Self { scope: Some(scope), ..self }
    }

    /// Not said again for so long.
    #[must_use]
    pub fn quiet(self, quiet: Quiet) -> Self {
        Self { quiet, ..self }
    }

    /// It ends what was said by these keys.
    #[must_use]
    pub fn resolves(self, keys: Vec<String>) -> Self {
        Self { resolves: keys, ..self }
    }

    /// It is mailed to these too (`soft_budget_alerting_emails`, a user's own address).
    #[must_use]
    pub fn mailed_to(self, recipients: Vec<String>) -> Self {
        Self { recipients, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_has_one_word() {
        let mut words: Vec<&str> = Event::all().map(Event::word).collect();
        assert!(EVENTS.iter().enumerate().all(|(place, (event, ..))| *event as usize == place));
        assert_eq!(words.len(), Event::HeldBack as usize + 1);
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), EVENTS.len());
        for litellm in [
            "budget_crossed",
            "soft_budget_crossed",
            "threshold_crossed",
            "projected_limit_exceeded",
            "key_created",
            "key_rotated",
            "internal_user_created",
            "spend_tracked",
        ] {
            assert!(words.contains(&litellm), "{litellm}");
        }
    }

    #[test]
    fn thresholds_are_exact() {
        let check = |millionths: u32, word: &str, percent: &str| {
            let threshold = Threshold::Share(millionths);
            assert_eq!((threshold.word().as_str(), threshold.percent().as_str()), (word, percent));
        };
        check(750_000, "0.75", "75%");
        check(900_000, "0.9", "90%");
        check(1_000_000, "1", "100%");
        check(333_333, "0.333333", "33.3333%");
        check(1_200_000, "1.2", "120%");
        check(0, "0", "0%");
        assert_eq!((Threshold::Soft.word(), Threshold::Soft.percent()), ("soft".into(), "soft".into()));
    }
}
