//! Metrics of the ledger: gauges that are set when they are read.
//!
//! Owns their names and labels. Leaves what they are set to, and how many, to the toll.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::hash::Hash;
use std::sync::atomic::AtomicU64;
use tollgate_identity::Kind;

type FloatGauge = Gauge<f64, AtomicU64>;

/// A budget as it stands.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct BudgetGauge {
    /// Whose: a key's, a team's, a user's or an organization's.
    pub(crate) of: Kind,
    /// Of a key its hash.
    pub(crate) id: String,
    pub(crate) alias: String,
    /// US dollars.
    pub(crate) most: f64,
    /// US dollars; below 0 where an overflow was used.
    pub(crate) left: f64,
    /// Until it begins anew; none of a budget that never does.
    pub(crate) hours: Option<f64>,
}

impl BudgetGauge {
    /// The share that is left; a budget of nothing has nothing left.
    pub(crate) fn share_left(&self) -> f64 {
        if self.most > 0.0 { self.left / self.most } else { 0.0 }
    }
}

/// The ledger as it stands.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct LedgerGauges {
    /// The journal's disk refuses.
    pub(crate) journal_refused: bool,
    /// Records that wait in memory for it.
    pub(crate) journal_backlog: usize,
    /// Records that a loss of power may take.
    pub(crate) journal_unsynced: usize,
    /// The database does not answer.
    pub(crate) books_away: bool,
    /// Rows that wait for it in memory.
    pub(crate) books_backlog: usize,
    /// Attempts whose intent is in the journal and whose end is not.
    pub(crate) open_attempts: usize,
    /// Attempts that were let in without its being known whether other gateways leave room for them.
    pub(crate) unconfirmed: u64,
    pub(crate) budgets: Vec<BudgetGauge>,
    /// Budgets that are not told, since there are too many.
    pub(crate) left_out: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KeyLabels {
    hashed_api_key: String,
    api_key_alias: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TeamLabels {
    team: String,
    team_alias: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct UserLabels {
    user: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OrganizationLabels {
    org_id: String,
    org_alias: String,
}

/// What LiteLLM tells of the budgets of one kind.
#[derive(Debug)]
struct Budgets<L: Clone + Hash + Eq> {
    left: Family<L, FloatGauge>,
    most: Family<L, FloatGauge>,
    hours: Family<L, FloatGauge>,
}

impl<L: Clone + Hash + Eq> Default for Budgets<L> {
    fn default() -> Self {
        Self { left: Family::default(), most: Family::default(), hours: Family::default() }
    }
}

impl<L> Budgets<L>
where
    L: EncodeLabelSet + Clone + Hash + Eq + std::fmt::Debug + Send + Sync + 'static,
{
    fn register(&self, registry: &mut Registry, word: &str, who: &str) {
        let left = format!("What is left of the budgets of {who}, in USD");
        registry.register(format!("litellm_remaining_{word}_budget_metric"), left, self.left.clone());
        let most = format!("The budgets of {who}, in USD");
        registry.register(format!("litellm_{word}_max_budget_metric"), most, self.most.clone());
        let hours = format!("Hours until the budgets of {who} begin anew");
        registry.register(format!("litellm_{word}_budget_remaining_hours_metric"), hours, self.hours.clone());
    }

    fn clear(&self) {
        self.left.clear();
        self.most.clear();
        self.hours.clear();
    }

    fn set(&self, labels: &L, budget: &BudgetGauge) {
        self.left.get_or_create(labels).set(budget.left);
        self.most.get_or_create(labels).set(budget.most);
        if let Some(hours) = budget.hours {
            self.hours.get_or_create(labels).set(hours);
        }
    }
}

/// The gauges.
#[derive(Debug, Default)]
pub(super) struct LedgerMetrics {
    journal_refused: Gauge,
    journal_backlog: Gauge,
    journal_unsynced: Gauge,
    books_away: Gauge,
    books_backlog: Gauge,
    open_attempts: Gauge,
    unconfirmed: Gauge,
    left_out: Gauge,
    keys: Budgets<KeyLabels>,
    teams: Budgets<TeamLabels>,
    users: Budgets<UserLabels>,
    organizations: Budgets<OrganizationLabels>,
}

impl LedgerMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        self.keys.register(registry, "api_key", "virtual keys");
        self.teams.register(registry, "team", "teams");
        self.users.register(registry, "user", "users");
        self.organizations.register(registry, "org", "organizations");
        let mut own = |name: &str, help: &str, gauge: &Gauge| registry.register(name, help, gauge.clone());
        own("tollgate_journal_refused", "1 while the journal's disk refuses", &self.journal_refused);
        own("tollgate_journal_backlog_records", "Records that wait for the disk", &self.journal_backlog);
        own("tollgate_journal_unsynced_records", "Records that are not yet synced", &self.journal_unsynced);
        own("tollgate_books_away", "1 while the database does not answer", &self.books_away);
        own("tollgate_books_backlog_rows", "Rows that wait in memory for the database", &self.books_backlog);
        own("tollgate_open_attempts", "Attempts in the journal that are not over", &self.open_attempts);
        own(
            "tollgate_unconfirmed_attempts",
            "Attempts let in unconfirmed, since the start",
            &self.unconfirmed,
        );
        own("tollgate_budgets_left_out", "Budgets that are not told, being too many", &self.left_out);
    }

    pub(super) fn set(&self, ledger: &LedgerGauges) {
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.journal_refused.set(i64::from(ledger.journal_refused));
        self.journal_backlog.set(number(ledger.journal_backlog));
        self.books_away.set(i64::from(ledger.books_away));
        self.journal_unsynced.set(number(ledger.journal_unsynced));
        self.books_backlog.set(number(ledger.books_backlog));
        self.open_attempts.set(number(ledger.open_attempts));
        self.unconfirmed.set(i64::try_from(ledger.unconfirmed).unwrap_or(i64::MAX));
        self.left_out.set(number(ledger.left_out));
        self.keys.clear();
        self.teams.clear();
        self.users.clear();
        self.organizations.clear();
        for budget in &ledger.budgets {
            let (id, alias) = (budget.id.clone(), budget.alias.clone());
            match budget.of {
                Kind::Key => {
                    self.keys.set(&KeyLabels { hashed_api_key: id, api_key_alias: alias }, budget);
                }
                Kind::Team => self.teams.set(&TeamLabels { team: id, team_alias: alias }, budget),
                Kind::User => self.users.set(&UserLabels { user: id }, budget),
                Kind::Organization => {
                    self.organizations.set(&OrganizationLabels { org_id: id, org_alias: alias }, budget);
                }
                _ => {}
            }
        }
    }
}
