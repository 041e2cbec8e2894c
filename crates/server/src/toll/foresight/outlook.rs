//! Where the spend of budgets is going, with the sums of their days.
//!
//! Leaves the arithmetic to `tollgate_policy::projection`.
//!
//! **Invariant:** the books are asked for some hundred scopes at a time, and for no more days than count.

use crate::toll::TollRules;
use std::collections::HashMap;
use std::sync::Arc;
use tollgate_catalog::PicoDollars;
use tollgate_identity::{Kind, Limits, Record, Scope, ScopeKind};
use tollgate_ledger::{Ledger, scope_of};
use tollgate_policy::accounts::BudgetStanding;
use tollgate_policy::clock::Wall;
use tollgate_policy::projection::{Course, DAY_MICROS, DaySpend, Projection};
use tollgate_store::StoreError;
use tollgate_store::books::{self, Books, DailyFilter, EntityKind, Group, SumQuery};

/// Scopes of one question to the books.
const SCOPES_MAX: usize = 500;
/// Budgets that are looked at before others get their turn on the thread.
const BUDGETS_MAX: usize = 256;
/// Days that count for a rate, and today, and one for the hour of midnight.
const DAYS: i64 = 9;

/// The kinds of records that may have a budget.
pub(crate) const KINDS: [Kind; 9] = [
    Kind::Organization,
    Kind::Project,
    Kind::Team,
    Kind::Member,
    Kind::User,
    Kind::Key,
    Kind::Customer,
    Kind::Tag,
    Kind::AccessGroup,
];

/// One budget of somebody, as it stands.
#[derive(Debug, Clone)]
pub(crate) struct Budgeted {
    pub(crate) scope: Scope,
    pub(crate) standing: BudgetStanding,
    /// When it began to be counted.
    began: Wall,
}

impl Budgeted {
    /// How its spend has gone so far, by what is known of its days.
    pub(crate) fn course<'a>(&self, now: Wall, days: &'a [DaySpend]) -> Course<'a> {
        let BudgetStanding { period, settled, limit, .. } = self.standing;
        Course { period, began: self.began, now, spent: settled, budget: limit, days }
    }
}

/// One budget of somebody, and where it is going.
#[derive(Debug, Clone)]
pub(crate) struct Outlook {
    pub(crate) budgeted: Budgeted,
    pub(crate) days: Vec<DaySpend>,
    pub(crate) projection: Option<Projection>,
}

/// Every budget of records and of the whole gateway that has a limit and is worth a question. There may be very many that
/// are not: they are not kept.
pub(super) async fn budgets(
    (ledger, rules): (&Ledger, &TollRules),
    wall: Wall,
    is_worth: impl Fn(&Budgeted) -> bool,
) -> Vec<Budgeted> {
    let limited = |limits: &Limits| limits.budget.is_some() || !limits.windows.is_empty();
    let is_wanted = |budgeted: &Budgeted| budgeted.standing.limit.is_some() && is_worth(budgeted);
    let mut all = of_gateway(ledger, rules, wall);
    all.retain(is_wanted);
    for kind in KINDS {
        let records: Vec<Arc<Record>> = {
            let directory = ledger.directory();
            directory.all(kind).filter(|record| limited(&record.limits)).map(Arc::clone).collect()
        };
        for some in records.chunks(BUDGETS_MAX) {
            for record in some {
                let Some(scope) = scope_of(record) else { continue };
                all.extend(standings(ledger, &scope, &record.limits, wall).into_iter().filter(is_wanted));
            }
            tokio::task::yield_now().await;
        }
    }
    all
}

/// The budgets of the whole gateway.
pub(crate) fn of_gateway(ledger: &Ledger, rules: &TollRules, wall: Wall) -> Vec<Budgeted> {
    let limits = rules.global();
    telling(standings(ledger, &Scope::global(), &limits, wall), &limits)
}

fn standings(ledger: &Ledger, scope: &Scope, limits: &Limits, wall: Wall) -> Vec<Budgeted> {
    let standings = ledger.accounts().budgets(scope, limits, wall);
    standings
        .into_iter()
        .map(|standing| Budgeted { scope: scope.clone(), standing, began: limits.anchor })
        .collect()
}

/// The budgets of one record that say the most of it: those with a limit, else the one that its spend is shown in.
pub(crate) fn of_record(ledger: &Ledger, record: &Record, wall: Wall) -> Vec<Budgeted> {
    let Some(scope) = scope_of(record) else { return Vec::new() };
    telling(standings(ledger, &scope, &record.limits, wall), &record.limits)
}

fn telling(mut all: Vec<Budgeted>, limits: &Limits) -> Vec<Budgeted> {
    let has_limit = all.iter().any(|budgeted| budgeted.standing.limit.is_some());
    all.retain(|budgeted| match has_limit {
        true => budgeted.standing.limit.is_some(),
        false => budgeted.standing.cadence == limits.cadence,
    });
    all
}

/// Where budgets are going, in their order; without books, as far as memory tells.
///
/// # Errors
/// Where the books cannot be read.
pub(crate) async fn outlooks(
    books: Option<&Books>,
    wall: Wall,
    budgets: Vec<Budgeted>,
) -> Result<Vec<Outlook>, StoreError> {
    let days = match books {
        Some(books) => days_of(books, wall, &budgets).await?,
        None => HashMap::new(),
    };
    let outlook = |budgeted: Budgeted| {
        let days = days.get(&budgeted.scope).cloned().unwrap_or_default();
        let projection = budgeted.course(wall, &days).project();
        Outlook { budgeted, days, projection }
    };
    Ok(budgets.into_iter().map(outlook).collect())
}

async fn days_of(
    books: &Books,
    wall: Wall,
    budgets: &[Budgeted],
) -> Result<HashMap<Scope, Vec<DaySpend>>, StoreError> {
    let from = books::day_of(wall.micros().saturating_sub(DAYS * DAY_MICROS));
    let mut by_kind: HashMap<ScopeKind, Vec<&Scope>> = HashMap::new();
    for Budgeted { scope, .. } in budgets {
        by_kind.entry(scope.kind).or_default().push(scope);
    }
    let mut days: HashMap<Scope, Vec<DaySpend>> = HashMap::new();
    for (kind, mut scopes) in by_kind {
        scopes.sort_unstable();
        scopes.dedup();
        for some in scopes.chunks(SCOPES_MAX) {
            let ids = some.iter().map(|scope| scope.id.as_ref().to_owned()).collect();
            let Some((filter, group)) = sums_of(kind, ids) else { continue };
            let filter = DailyFilter { from_day: Some(from.clone()), ..filter };
            for (id, day, spent) in by_day(books, filter, group).await? {
                let Some(start) = start_of(&day) else { continue };
                let id = if kind == ScopeKind::Global { "" } else { id.as_str() };
                days.entry(Scope::new(kind, id)).or_default().push(DaySpend { start, spent });
            }
        }
    }
    Ok(days)
}

/// Where the books keep the sums of such scopes; nowhere for some.
fn sums_of(kind: ScopeKind, ids: Vec<String>) -> Option<(DailyFilter, Group)> {
    let of = |entity| DailyFilter { entity, ..DailyFilter::default() };
    let entity = match kind {
        ScopeKind::Global => return Some((of(EntityKind::Global), Group::Entity)),
        ScopeKind::Key => {
            return Some((DailyFilter { api_keys: ids, ..of(EntityKind::Global) }, Group::ApiKey));
        }
        ScopeKind::Organization => EntityKind::Organization,
        ScopeKind::Project => EntityKind::Project,
        ScopeKind::Team => EntityKind::Team,
        ScopeKind::Member => EntityKind::Member,
        ScopeKind::User => EntityKind::User,
        ScopeKind::EndUser => EntityKind::EndUser,
        ScopeKind::Tag => EntityKind::Tag,
        ScopeKind::Provider
        | ScopeKind::Model
        | ScopeKind::Deployment
        | ScopeKind::AccessGroup
        | ScopeKind::OrganizationMember => return None,
    };
    Some((DailyFilter { entity_ids: ids, ..of(entity) }, Group::Entity))
}

/// What was spent by whom on which day.
pub(super) async fn by_day(
    books: &Books,
    filter: DailyFilter,
    group: Group,
) -> Result<Vec<(String, String, PicoDollars)>, StoreError> {
    let query = SumQuery { filter, group_by: vec![group, Group::Day], ..SumQuery::default() };
    let sums = books.sums(query).await?;
    let row = |sum: books::Sum| {
        let mut keys = sum.keys.into_iter();
        Some((keys.next()?, keys.next()?, PicoDollars(sum.totals.spend)))
    };
    Ok(sums.into_iter().filter_map(row).collect())
}

/// When a day of the books began.
pub(super) fn start_of(day: &str) -> Option<Wall> {
    Wall::from_rfc3339(&format!("{day}T00:00:00Z"))
}
