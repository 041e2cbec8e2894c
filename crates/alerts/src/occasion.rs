//! The occasions about money and about records: each with its sentence, its gravity, and how often it is said.
//!
//! Owns: these words. Leaves to others: noticing that there is an occasion.
//!
//! **Invariant:** a threshold is told once a period, and once only where a budget has no period.

use crate::alert::{Alert, Amounts, Event, Period, Quiet, Scope, ScopeKind, Severity, Threshold};
use crate::text::{cadence, clean, dollars};
use serde_json::{Value, json};
use tollgate_catalog::PicoDollars;

/// An account and what it has spent.
#[derive(Debug, Clone)]
pub struct Spent {
    /// Whose.
    pub scope: Scope,
    /// In the period.
    pub spend: PicoDollars,
    /// What may be spent in it, if there is a limit.
    pub budget: Option<PicoDollars>,
    /// The period of the budget; `None` for a budget that is for ever.
    pub period: Option<Period>,
}

/// Somebody who spends far more than is usual.
#[derive(Debug, Clone)]
pub struct Anomaly {
    /// Who.
    pub scope: Scope,
    /// What was spent in the time that is looked at.
    pub spend: PicoDollars,
    /// What is usual in as much time, of this one or of the organization: whichever is the larger.
    pub usual: PicoDollars,
    /// The time that is looked at, in words: `hour`, `day`.
    pub within: &'static str,
    /// Whether it is slowed down from now on.
    pub is_throttled: bool,
}

/// What a user has spent in a day or a month of the calendar, of which an operator wants to know.
#[derive(Debug, Clone)]
pub struct UserSpend {
    /// Who.
    pub scope: Scope,
    /// In the day or the month.
    pub spend: PicoDollars,
    /// As much is told.
    pub threshold: PicoDollars,
    /// `day` or `month`.
    pub within: &'static str,
    /// The day or the month.
    pub period: Period,
}

/// What one of many has spent in the time of a report.
#[derive(Debug, Clone)]
pub struct Share {
    /// The id of a team, or a tag.
    pub id: String,
    /// The name that people gave it.
    pub alias: Option<String>,
    /// How much.
    pub spend: PicoDollars,
}

/// What was spent in a time, and by whom, the dearest first.
#[derive(Debug, Clone)]
pub struct Report {
    /// The time.
    pub period: Period,
    /// How often there is such a report: `7d`, `1mo`.
    pub frequency: String,
    /// By all together.
    pub spend: PicoDollars,
    /// By teams.
    pub teams: Vec<Share>,
    /// By tags.
    pub tags: Vec<Share>,
}

impl Alert {
    /// A share of a budget is spent: at 1,000,000 millionths all of it. `tier` says what follows: `warn`, `downgrade`,
    /// `overflow`, `refuse`.
    pub fn threshold(spent: Spent, millionths: u32, tier: &'static str) -> Self {
        let is_all = millionths >= 1_000_000;
        let threshold = Threshold::Share(millionths);
        let (event, severity) = match is_all {
            true => (Event::BudgetCrossed, Severity::Error),
            false => (Event::ThresholdCrossed, Severity::Warning),
        };
        let of = spent.budget.map(|budget| format!(" of {}", dollars(budget))).unwrap_or_default();
        let (who, spend, within) = (named(&spent.scope), dollars(spent.spend), cadence(spent.period));
        let sentence = format!("{who} has spent {spend}{of}{within}: {} of the budget.", threshold.percent());
        let alert = crossing(event, severity, threshold, spent, sentence);
        alert.fact("tier", tier)
    }

    /// A soft budget is spent: nobody is refused.
    pub fn soft_budget(spent: Spent, soft: PicoDollars) -> Self {
        let (who, spend, within) = (named(&spent.scope), dollars(spent.spend), cadence(spent.period));
        let sentence =
            format!("{who} has spent {spend}{within}, above the soft budget of {}.", dollars(soft));
        let event = Event::SoftBudgetCrossed;
        let mut alert = crossing(event, Severity::Warning, Threshold::Soft, spent, sentence);
        alert.amounts.soft_budget = Some(soft);
        alert
    }

    /// At its present rate an account will spend `projected` by the end of its period. `exceeded_on` is the day on which
    /// the budget will be spent, as `2026-11-30`.
    pub fn projected(spent: Spent, projected: PicoDollars, exceeded_on: Option<String>) -> Self {
        let of = spent.budget.map(|budget| format!(" of {}", dollars(budget))).unwrap_or_default();
        let when = exceeded_on
            .as_ref()
            .map(|day| format!(" The budget will be spent on {day}."))
            .unwrap_or_default();
        let sentence = format!(
            "{} has spent {}{of} and will have spent {} when its period ends.{when}",
            named(&spent.scope),
            dollars(spent.spend),
            dollars(projected),
        );
        let about = format!("{}:{}", spent.scope.key(), spent.period.map_or(0, |period| period.start));
        let mut alert = Self::new(Event::ProjectedLimitExceeded, Severity::Warning, &about, sentence);
        alert.quiet = Quiet::Budget;
        alert.exceeded_on = exceeded_on;
        alert.put_spent(spent);
        alert.amounts.projected_spend = Some(projected);
        alert
    }

    /// Somebody spends far more than is usual.
    pub fn anomaly(anomaly: Anomaly) -> Self {
        let Anomaly { scope, spend, usual, within, is_throttled } = anomaly;
        let follows = if is_throttled { " It is slowed down." } else { "" };
        let article = if within.starts_with('h') { "an" } else { "a" };
        let sentence = format!(
            "{} has spent {} within {article} {within}; {} is usual.{follows}",
            named(&scope),
            dollars(spend),
            dollars(usual)
        );
        let mut alert = Self::new(Event::SpendAnomaly, Severity::Warning, &scope.key(), sentence);
        alert.quiet = Quiet::Budget;
        alert.amounts = Amounts { spend: Some(spend), ..Amounts::default() };
        alert.scope = Some(scope);
        alert.fact("usual_spend", usual.to_string()).fact("within", within).fact("throttled", is_throttled)
    }

    /// A request was answered by a model of which nobody knows the price: what it cost is not counted.
    pub fn unpriced(model: &str, provider: &str) -> Self {
        let sentence = format!(
            "{} of {} has no price: what it answers is counted as unpriced, not as free.",
            clean(model),
            clean(provider)
        );
        let about = format!("{provider}/{model}");
        let alert = Self::new(Event::ModelUnpriced, Severity::Warning, &about, sentence).quiet(Quiet::Budget);
        alert.fact("model", model).fact("provider", provider)
    }

    /// What was spent cannot be kept as it should: `what` is one word (`disk_full`, `torn`, `quarantined`), `sentence`
    /// says it.
    pub fn journal(what: &str, sentence: impl Into<String>) -> Self {
        Self::new(Event::JournalTrouble, Severity::Critical, what, sentence).fact("trouble", what)
    }

    /// The database does not answer: `what` is one word.
    pub fn database(what: &str, sentence: impl Into<String>) -> Self {
        Self::new(Event::DatabaseTrouble, Severity::Error, what, sentence).fact("trouble", what)
    }

    /// A key, team or user was made, changed or deleted by `actor`.
    pub fn record(event: Event, scope: Scope, actor: &str) -> Self {
        let what = match event {
            Event::KeyCreated | Event::TeamCreated | Event::UserCreated => "was created",
            Event::KeyDeleted | Event::TeamDeleted | Event::UserDeleted => "was deleted",
            Event::KeyRotated => "has a new text",
            _ => "was changed",
        };
        let sentence = format!("{} {what} by {}.", named(&scope), clean(actor));
        let alert = Self::new(event, Severity::Info, &scope.key(), sentence).quiet(Quiet::Never);
        alert.scope(scope).fact("actor", actor)
    }

    /// A key is due for a new text and cannot get one: `why` says it.
    pub fn rotation_failed(scope: Scope, why: &str) -> Self {
        let sentence =
            format!("{} is due for a new text and keeps the old one: {}.", named(&scope), clean(why));
        let alert = Self::new(Event::KeyRotationFailed, Severity::Error, &scope.key(), sentence);
        alert.scope(scope).fact("reason", clean(why))
    }

    /// A user has spent as much as an operator wants to know of.
    pub fn user_spend(spent: UserSpend) -> Self {
        let UserSpend { scope, spend, threshold, within, period } = spent;
        let sentence = format!(
            "{} has spent {}{}: the threshold of a {within} is {}.",
            named(&scope),
            dollars(spend),
            cadence(Some(period)),
            dollars(threshold),
        );
        let about = format!("{}:{within}:{}", scope.key(), period.start);
        let mut alert = Self::new(Event::UserSpendThreshold, Severity::Warning, &about, sentence);
        alert.quiet = period.end.map_or(Quiet::Forever, Quiet::Until);
        alert.amounts.spend = Some(spend);
        (alert.scope, alert.period) = (Some(scope), Some(period));
        alert.fact("within", within).fact("threshold_spend", threshold.to_string())
    }

    /// A request of an end user's was paid: `spend` is what it cost alone, as LiteLLM tells it.
    pub fn spend_tracked(scope: Scope, spend: PicoDollars, budget: Option<PicoDollars>) -> Self {
        let sentence = format!("{} has spent {}.", named(&scope), dollars(spend));
        let alert = Self::new(Event::SpendTracked, Severity::Info, &scope.key(), sentence);
        let mut alert = alert.quiet(Quiet::Never).scope(scope);
        alert.amounts = Amounts { spend: Some(spend), budget, ..Amounts::default() };
        alert
    }

    /// What was spent in a time, by teams and by tags.
    pub fn spend_report(report: Report) -> Self {
        let Report { period, frequency, spend, teams, tags } = report;
        let sentence = format!("{} were spent{}.", dollars(spend), cadence(Some(period)));
        let about = format!("{frequency}:{}", period.start);
        let mut alert = Self::new(Event::SpendReport, Severity::Info, &about, sentence).quiet(Quiet::Forever);
        alert.amounts.spend = Some(spend);
        alert.scope = Some(Scope::new(ScopeKind::Global, ""));
        alert.period = Some(period);
        let team =
            |it: Share| json!({"team_id": it.id, "team_alias": it.alias, "spend": it.spend.to_string()});
        let tag = |it: Share| json!({"tag": it.id, "spend": it.spend.to_string()});
        let teams: Vec<Value> = teams.into_iter().map(team).collect();
        let tags: Vec<Value> = tags.into_iter().map(tag).collect();
        alert.fact("frequency", frequency).fact("teams", teams).fact("tags", tags)
    }

    fn put_spent(&mut self, spent: Spent) {
        self.amounts.spend = Some(spent.spend);
        self.amounts.budget = spent.budget;
        self.period = spent.period;
        self.scope = Some(spent.scope);
    }
}

fn crossing(event: Event, severity: Severity, threshold: Threshold, spent: Spent, sentence: String) -> Alert {
    let start = spent.period.map_or(0, |period| period.start);
    let about = format!("{}:{}:{start}", spent.scope.key(), threshold.word());
    let mut alert = Alert::new(event, severity, &about, sentence);
    alert.quiet = spent.period.and_then(|period| period.end).map_or(Quiet::Forever, Quiet::Until);
    alert.threshold = Some(threshold);
    alert.put_spent(spent);
    alert
}

/// `Key chatbot`, `Member alice of team research`, `Key chatbot (gpt-4o)`.
fn named(scope: &Scope) -> String {
    let mut name = scope.kind.name().to_owned();
    if let Some(first) = name.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    if scope.kind == ScopeKind::Global {
        return format!("The {}", scope.kind.name());
    }
    let called = scope.alias.as_deref().unwrap_or(&scope.id);
    let called = match scope.kind {
        // The end of a long hash tells nobody anything.
        ScopeKind::Key if scope.alias.is_none() => called.get(..8).unwrap_or(called),
        _ => called,
    };
    let of = scope.model.as_ref().map(|model| format!(" ({})", clean(model))).unwrap_or_default();
    format!("{name} {}{of}", clean(called))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Period = Period { start: 1_764_547_200_000_000, end: Some(1_764_633_600_000_000) };

    fn spent(period: Option<Period>) -> Spent {
        Spent {
            scope: Scope::new(ScopeKind::Key, "88dc28d0f030c55e").alias("chatbot"),
            spend: PicoDollars::parse_dollars("7.6").unwrap(),
            budget: Some(PicoDollars::parse_dollars("10").unwrap()),
            period,
        }
    }

    #[test]
    fn a_threshold_is_told_apart_by_scope_share_and_period() {
        let one = Alert::threshold(spent(Some(DAY)), 750_000, "warn");
        assert_eq!(one.key, "threshold_crossed:key:88dc28d0f030c55e::0.75:1764547200000000");
        assert_eq!(one.quiet, Quiet::Until(1_764_633_600_000_000));
        assert_eq!(
            one.sentence,
            "Key chatbot has spent $7.60 of $10.00 from 2025-12-01 to 2025-12-02: 75% of the budget."
        );
        let next = Alert::threshold(spent(Some(Period { start: 1, end: None })), 750_000, "warn");
        assert_ne!(one.key, next.key);
        assert_ne!(one.key, Alert::threshold(spent(Some(DAY)), 900_000, "downgrade").key);
    }

    #[test]
    fn without_a_period_it_is_told_once() {
        let alert = Alert::threshold(spent(None), 1_000_000, "refuse");
        assert_eq!(
            (alert.event, alert.severity, alert.quiet),
            (Event::BudgetCrossed, Severity::Error, Quiet::Forever)
        );
        assert_eq!(alert.sentence, "Key chatbot has spent $7.60 of $10.00: 100% of the budget.");
    }

    #[test]
    fn a_soft_budget_says_soft() {
        let alert = Alert::soft_budget(spent(None), PicoDollars::parse_dollars("5").unwrap());
        assert_eq!((alert.event.word(), alert.threshold), ("soft_budget_crossed", Some(Threshold::Soft)));
        assert_eq!(alert.sentence, "Key chatbot has spent $7.60, above the soft budget of $5.00.");
    }

    #[test]
    fn what_recurs_is_quiet_for_as_long_as_the_operator_says() {
        let projected = Alert::projected(spent(Some(DAY)), PicoDollars::parse_dollars("15.2").unwrap(), None);
        let anomaly = Alert::anomaly(Anomaly {
            scope: Scope::new(ScopeKind::User, "pupil"),
            spend: PicoDollars::parse_dollars("40").unwrap(),
            usual: PicoDollars::parse_dollars("0.5").unwrap(),
            within: "day",
            is_throttled: true,
        });
        let unpriced = Alert::unpriced("m", "openai");
        assert_eq!([projected.quiet, anomaly.quiet, unpriced.quiet], [Quiet::Budget; 3]);
        assert_eq!(
            anomaly.sentence,
            "User pupil has spent $40.00 within a day; $0.50 is usual. It is slowed down."
        );
        assert_eq!(
            projected.sentence,
            "Key chatbot has spent $7.60 of $10.00 and will have spent $15.20 when its period ends."
        );
    }

    #[test]
    fn a_record_is_named_with_who_changed_it() {
        let scope = Scope::new(ScopeKind::Member, "alice\r\nBcc: x").model("gpt-4o");
        let alert = Alert::record(Event::UserUpdated, scope, "admin");
        assert_eq!(alert.sentence, "Member alice  Bcc: x (gpt-4o) was changed by admin.");
        let long =
            Scope::new(ScopeKind::Key, "88dc28d0f030c55ed4ab77ed8faf098196cb1c05df778539800c9f1243fe6b4b");
        assert_eq!(Alert::record(Event::KeyDeleted, long, "a").sentence, "Key 88dc28d0 was deleted by a.");
        let all = Alert::record(Event::KeyCreated, Scope::new(ScopeKind::Global, ""), "a");
        assert_eq!(all.sentence, "The gateway was created by a.");
    }
}
