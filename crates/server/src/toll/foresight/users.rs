//! What users have spent in the day and in the month, held against LiteLLM's thresholds and its rule of an average.
//!
//! Leaves the judgement on a day to `tollgate_policy::anomaly`, and what is told once to the whole.
//!
//! **Invariant:** a user who spends less than is to be told costs nothing to look at. **Invariant:** days and months are
//! those of UTC, as the sums are.

use super::outlook::by_day;
use super::{Foresight, Found, Sought, Told, midnight_after, midnight_before, whose};
use jiff::tz::TimeZone;
use std::collections::HashMap;
use std::time::Duration;
use tollgate_alerts::{Alert, AlertType, Anomaly, Period, UserSpend};
use tollgate_catalog::PicoDollars;
use tollgate_identity::{Scope, ScopeKind};
use tollgate_ledger::Ledger;
use tollgate_policy::anomaly::AverageRule;
use tollgate_policy::clock::Wall;
use tollgate_policy::period::Cadence;
use tollgate_policy::projection::DAY_MICROS;
use tollgate_store::StoreError;
use tollgate_store::books::{self, Books, DailyFilter, EntityKind, Group, SumQuery};

/// Users that are looked at: those that spent the most.
const USERS_MAX: u32 = 10_000;
/// Users whose days are read at one time.
const USERS_AT_ONCE: usize = 500;
/// What a timer may be early by.
const EARLY: Duration = Duration::from_secs(1);

/// A stretch of time with whatever is told of it.
struct Stretch {
    within: &'static str,
    start: Wall,
    end: Wall,
    told: fn(Scope) -> Told,
}

pub(super) async fn look(
    foresight: &Foresight,
    (ledger, books): (&Ledger, &Books),
    sought: Sought<'_>,
    wall: Wall,
) -> Result<Vec<Found>, StoreError> {
    let settings = &sought.alerting.users;
    let last = foresight.memory().users_at.filter(|last| *last <= wall);
    if last.is_some_and(|last| last.until(wall).saturating_add(EARLY) < settings.every) {
        return Ok(Vec::new());
    }
    let day = Stretch {
        within: "day",
        start: midnight_before(wall),
        end: midnight_after(wall),
        told: Told::UserDay,
    };
    let of_month = Cadence::Months(1).period(wall, wall, &TimeZone::UTC);
    let month = Stretch { within: "month", start: of_month.start, end: of_month.end, told: Told::UserMonth };
    let mut found = Vec::new();
    if sought.is_told(AlertType::UserSpendThresholds) {
        for (stretch, threshold) in [(&day, settings.daily), (&month, settings.monthly)] {
            let Some(threshold) = threshold else { continue };
            found.extend(above(foresight, (ledger, books), (stretch, threshold), wall).await?);
        }
    }
    if let Some(rule) = settings.anomaly.filter(|_| sought.is_told(AlertType::UserSpendAnomalies)) {
        found.extend(strange(foresight, (ledger, books), (&day, rule), wall).await?);
    }
    foresight.memory().users_at = Some(wall);
    Ok(found)
}

/// Users that have spent as much since a moment, the dearest first.
async fn spenders(
    books: &Books,
    (from, to): (Wall, Wall),
    least: PicoDollars,
) -> Result<Vec<(Scope, PicoDollars)>, StoreError> {
    let day = |at: Wall| Some(books::day_of(at.micros()));
    let (from_day, to_day) = (day(from), day(to));
    let filter = DailyFilter { entity: EntityKind::User, from_day, to_day, ..DailyFilter::default() };
    let group_by = vec![Group::Entity];
    let sums = books.sums(SumQuery { filter, group_by, by_spend: true, limit: Some(USERS_MAX) }).await?;
    let named = sums.into_iter().filter_map(|sum| {
        let id = sum.keys.into_iter().next().filter(|id| !id.is_empty())?;
        Some((Scope::new(ScopeKind::User, id), PicoDollars(sum.totals.spend)))
    });
    Ok(named.filter(|(_, spent)| *spent >= least && *spent > PicoDollars::ZERO).collect())
}

async fn above(
    foresight: &Foresight,
    (ledger, books): (&Ledger, &Books),
    (stretch, threshold): (&Stretch, PicoDollars),
    wall: Wall,
) -> Result<Vec<Found>, StoreError> {
    let mut all = Vec::new();
    for (scope, spend) in spenders(books, (stretch.start, wall), threshold).await? {
        let told = (stretch.told)(scope.clone());
        if foresight.is_told(&told) {
            continue;
        }
        let period = Period { start: stretch.start.micros(), end: Some(stretch.end.micros()) };
        let scope = whose(&scope, &ledger.directory());
        let alert = Alert::user_spend(UserSpend { scope, spend, threshold, within: stretch.within, period });
        all.push(Found { told, start: stretch.start, until: stretch.end, alert });
    }
    Ok(all)
}

async fn strange(
    foresight: &Foresight,
    (ledger, books): (&Ledger, &Books),
    (day, rule): (&Stretch, AverageRule),
    wall: Wall,
) -> Result<Vec<Found>, StoreError> {
    let mut dear = spenders(books, (day.start, wall), rule.floor).await?;
    dear.retain(|(scope, _)| !foresight.is_told(&Told::Anomaly(scope.clone())));
    let mut all = Vec::new();
    for some in dear.chunks(USERS_AT_ONCE) {
        let days = days_before(books, some, (day.start, rule.days)).await?;
        for (scope, spend) in some {
            let own = days.get(scope.id.as_ref()).map(Vec::as_slice).unwrap_or_default();
            let Some(usual) = rule.judge(*spend, own) else { continue };
            let named = whose(scope, &ledger.directory());
            let alert = Alert::anomaly(Anomaly {
                scope: named,
                spend: *spend,
                usual,
                within: day.within,
                is_throttled: false,
            });
            all.push(Found { told: Told::Anomaly(scope.clone()), start: day.start, until: day.end, alert });
        }
    }
    Ok(all)
}

/// What each has spent on each of so many days before a day, on which it spent anything.
async fn days_before(
    books: &Books,
    users: &[(Scope, PicoDollars)],
    (today, days): (Wall, u32),
) -> Result<HashMap<String, Vec<PicoDollars>>, StoreError> {
    let before = |days: i64| Some(books::day_of(today.micros().saturating_sub(days * DAY_MICROS)));
    let filter = DailyFilter {
        entity: EntityKind::User,
        entity_ids: users.iter().map(|(scope, _)| scope.id.as_ref().to_owned()).collect(),
        from_day: before(i64::from(days)),
        to_day: before(1),
        ..DailyFilter::default()
    };
    let mut all: HashMap<String, Vec<PicoDollars>> = HashMap::new();
    for (id, _, spent) in by_day(books, filter, Group::Entity).await? {
        if spent > PicoDollars::ZERO {
            all.entry(id).or_default().push(spent);
        }
    }
    Ok(all)
}
