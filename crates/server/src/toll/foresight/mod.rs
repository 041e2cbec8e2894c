//! What is told of sums of days: budgets that will be spent long before their period ends, keys and users that spend far
//! more than is usual, users who spend as much as an operator wants to know of, and what teams and tags have spent.
//!
//! Looks at the sums of days every few minutes, off the way of requests. Owns when something is told again. Leaves the
//! judgement to `tollgate_policy`, the sums to the books, and the throttle to the accounts.
//!
//! **Invariant:** a budget is told once a period, an anomaly once a day and a report once, by one process of all that share
//! the books, over restarts too. **Invariant:** what cannot be read changes nothing that holds.

mod anomaly;
mod outlook;
mod report;
#[cfg(test)]
mod tests;
mod users;

pub(crate) use outlook::{Budgeted, KINDS as SCOPE_KINDS, Outlook, of_gateway, of_record, outlooks};

use super::TollRules;
use super::watch::whose;
use anomaly::{Reading, Strange};
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tollgate_alerts::{Alert, AlertType, Anomaly, Period, Spent};
use tollgate_config::{Alerting, AnomalySettings};
use tollgate_identity::{Kind, Scope, ScopeKind};
use tollgate_ledger::{Ledger, Throttle};
use tollgate_policy::clock::Wall;
use tollgate_policy::period::Cadence;
use tollgate_policy::projection::{DAY_MICROS, ProjectionRule, day_of};
use tollgate_store::StoreError;
use tollgate_store::books::{Account, Books, Claim};

/// What was told, up to the end of the time for which it is told once.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Told {
    Projection(Scope, Option<Cadence>),
    Anomaly(Scope),
    UserDay(Scope),
    UserMonth(Scope),
    Report(Cadence),
}

impl Told {
    /// What is claimed, so that of several processes one tells it.
    fn claim(&self, start: Wall) -> Claim {
        let (kind, cadence, scope) = match self {
            Self::Projection(scope, cadence) => {
                ("projection", cadence.map(|it| it.to_string()).unwrap_or_default(), Some(scope))
            }
            Self::Anomaly(scope) => ("anomaly", "1d".to_owned(), Some(scope)),
            Self::UserDay(scope) => ("user_spend", "1d".to_owned(), Some(scope)),
            Self::UserMonth(scope) => ("user_spend", "1mo".to_owned(), Some(scope)),
            Self::Report(cadence) => ("report", cadence.to_string(), None),
        };
        let id = scope.map(|scope| scope.id.as_ref().to_owned()).unwrap_or_default();
        let model = scope.and_then(|scope| scope.model.as_deref()).unwrap_or_default().to_owned();
        let threshold = scope.map_or("", |scope| scope.kind.word()).to_owned();
        let account = Account { kind: kind.to_owned(), id, model, cadence, start: start.micros() };
        Claim { account, threshold, mark: 0 }
    }
}

/// What was found, and is told where nobody was told it yet.
struct Found {
    told: Told,
    /// The beginning of the time in which it is told once.
    start: Wall,
    /// Its end.
    until: Wall,
    alert: Alert,
}

/// By what is looked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sought<'a> {
    pub(crate) rules: &'a TollRules,
    pub(crate) anomaly: &'a AnomalySettings,
    pub(crate) alerting: &'a Alerting,
}

impl Sought<'_> {
    /// Whether there is anybody who is told of this type.
    fn is_told(&self, of: AlertType) -> bool {
        self.alerting.channels.iter().any(|channel| channel.types.has(of))
    }
}

#[derive(Debug, Default)]
struct Memory {
    told: HashMap<Told, Wall>,
    /// What was spent today as it stood at the last looks, for the spend of an hour.
    readings: VecDeque<Reading>,
    /// When users' spend was looked at last.
    users_at: Option<Wall>,
}

/// What was told, and what is to be told.
#[derive(Debug, Default)]
pub(crate) struct Foresight {
    memory: Mutex<Memory>,
    /// One look at a time.
    looking: tokio::sync::Mutex<()>,
}

impl Foresight {
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is to be told now, each once. Slows keys down as the settings say, and lets go those whose time is over.
    ///
    /// # Errors
    /// Where the books cannot be read.
    pub(crate) async fn look(&self, ledger: &Ledger, sought: Sought<'_>) -> Result<Vec<Alert>, StoreError> {
        let _alone = self.looking.lock().await;
        let wall = ledger.clock().wall();
        lift(ledger, wall);
        self.memory().told.retain(|_, until| *until > wall);
        let Some(books) = ledger.books() else { return Ok(Vec::new()) };
        let mut found = self.projected((ledger, books), sought.rules, wall).await?;
        found.extend(self.strange((ledger, books), sought.anomaly, wall).await?);
        found.extend(users::look(self, (ledger, books), sought, wall).await?);
        found.extend(report::due(self, (ledger, books), sought, wall).await?);
        self.first_of(books, found).await
    }

    /// What nobody was told yet, by this process or another.
    async fn first_of(&self, books: &Books, mut found: Vec<Found>) -> Result<Vec<Alert>, StoreError> {
        let mut seen = HashSet::new();
        found.retain(|found| seen.insert(found.told.clone()));
        if found.is_empty() {
            return Ok(Vec::new());
        }
        let claims = found.iter().map(|found| found.told.claim(found.start)).collect();
        let mine = books.claim_once(claims).await?;
        let mut alerts = Vec::new();
        for (Found { told, until, alert, .. }, is_mine) in found.into_iter().zip(mine) {
            self.note(told, until);
            alerts.extend(is_mine.then_some(alert));
        }
        Ok(alerts)
    }

    fn is_told(&self, told: &Told) -> bool {
        self.memory().told.contains_key(told)
    }

    fn note(&self, told: Told, until: Wall) {
        self.memory().told.insert(told, until);
    }

    async fn projected(
        &self,
        (ledger, books): (&Ledger, &Books),
        rules: &TollRules,
        wall: Wall,
    ) -> Result<Vec<Found>, StoreError> {
        let rule = ProjectionRule::default();
        let is_worth = |budgeted: &outlook::Budgeted| {
            let told = Told::Projection(budgeted.scope.clone(), budgeted.standing.cadence);
            rule.may_hold(&budgeted.course(wall, &[])) && !self.is_told(&told)
        };
        let worth = outlook::budgets((ledger, rules), wall, is_worth).await;
        let mut all = Vec::new();
        for outlook in outlooks(Some(books), wall, worth).await? {
            let Outlook { budgeted, days, projection: Some(projection) } = &outlook else { continue };
            let Some(at_end) = projection.at_end else { continue };
            if !rule.holds(&budgeted.course(wall, days), projection) {
                continue;
            }
            let standing = &budgeted.standing;
            let (start, end) = (standing.period.start, standing.period.end);
            let spent = Spent {
                scope: whose(&budgeted.scope, &ledger.directory()),
                spend: standing.settled,
                budget: standing.limit,
                period: Some(Period { start: start.micros(), end: Some(end.micros()) }),
            };
            let day = projection.exhausted_at.and_then(|at| day_of(at, rules.zone_ref()));
            let told = Told::Projection(budgeted.scope.clone(), standing.cadence);
            all.push(Found { told, start, until: end, alert: Alert::projected(spent, at_end, day) });
        }
        Ok(all)
    }

    async fn strange(
        &self,
        (ledger, books): (&Ledger, &Books),
        settings: &AnomalySettings,
        wall: Wall,
    ) -> Result<Vec<Found>, StoreError> {
        let tomorrow = midnight_after(wall);
        let mut all = Vec::new();
        let reading = Reading::take(books, wall).await?;
        let earlier = {
            let mut memory = self.memory();
            let earlier = anomaly::an_hour_ago(&mut memory.readings, wall);
            memory.readings.push_back(reading.clone());
            earlier
        };
        let mut found = reading.dear(settings.rule.floor);
        found.retain(|scope| !self.is_told(&Told::Anomaly(scope.clone())));
        let compared = anomaly::compare((ledger, books), (&reading, earlier.as_ref()), &found).await?;
        for spender in compared {
            let Some(Strange { spend, usual, within }) = spender.judge(&settings.rule) else { continue };
            let scope = spender.scope;
            let throttle = settings.throttle_rpm.map(|limit| Throttle { limit, until: tomorrow });
            let is_throttled = throttle.is_some_and(|throttle| slow_down(ledger, &scope, throttle, wall));
            let named = whose(&scope, &ledger.directory());
            let alert = Alert::anomaly(Anomaly { scope: named, spend, usual, within, is_throttled });
            let start = midnight_before(wall);
            all.push(Found { told: Told::Anomaly(scope), start, until: tomorrow, alert });
        }
        Ok(all)
    }
}

/// The last midnight, UTC.
fn midnight_before(wall: Wall) -> Wall {
    Wall::from_micros(wall.micros().div_euclid(DAY_MICROS).saturating_mul(DAY_MICROS))
}

/// The next midnight, UTC: the sums of days are of its days.
fn midnight_after(wall: Wall) -> Wall {
    let day = wall.micros().div_euclid(DAY_MICROS);
    Wall::from_micros(day.saturating_add(1).saturating_mul(DAY_MICROS))
}

/// Slows a key down; false where there is no such key, and for whoever is no key.
fn slow_down(ledger: &Ledger, scope: &Scope, throttle: Throttle, wall: Wall) -> bool {
    let key = match scope.kind {
        ScopeKind::Key => ledger.directory().get(Kind::Key, &scope.id).cloned(),
        _ => None,
    };
    let Some(key) = key else { return false };
    ledger.accounts().throttle(scope, &key.limits, throttle, wall);
    true
}

/// Lets keys go as they did whose time is over.
fn lift(ledger: &Ledger, wall: Wall) {
    for scope in ledger.accounts().lift(wall) {
        let key = ledger.directory().get(Kind::Key, &scope.id).cloned();
        if let Some(key) = key {
            ledger.accounts().configure(&scope, &key.limits, wall);
        }
    }
}
