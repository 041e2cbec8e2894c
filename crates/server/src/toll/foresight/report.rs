//! What teams and tags have spent, told for each week (or whatever `spend_report_frequency` says) and each month.
//!
//! Leaves what is told once to the whole, and the sums to the books.
//!
//! **Invariant:** a report is of whole days (UTC) that are over, and the same whoever makes it. **Invariant:** where nothing
//! was spent nothing is told.

use super::{Foresight, Found, Sought, Told};
use jiff::tz::TimeZone;
use tollgate_alerts::{Alert, AlertType, Period, Report, Share};
use tollgate_catalog::PicoDollars;
use tollgate_identity::Kind;
use tollgate_ledger::Ledger;
use tollgate_policy::clock::Wall;
use tollgate_policy::period::{self, Cadence};
use tollgate_store::StoreError;
use tollgate_store::books::{self, Books, DailyFilter, EntityKind, Group, SumQuery};

/// How long after its end a report is made: by then every gateway has brought over what it had.
const SETTLED_AFTER_MICROS: i64 = 60 * 60 * 1_000_000;
/// Teams, and tags, that a report names: those that spent the most.
const NAMED_MAX: u32 = 100;
/// Where stretches of days begin that are neither weeks nor months.
const ANCHOR: Wall = Wall::from_micros(0);

pub(super) async fn due(
    foresight: &Foresight,
    (ledger, books): (&Ledger, &Books),
    sought: Sought<'_>,
    wall: Wall,
) -> Result<Vec<Found>, StoreError> {
    if !sought.is_told(AlertType::SpendReports) {
        return Ok(Vec::new());
    }
    let mut all: Vec<Found> = Vec::new();
    for cadence in [Cadence::Months(1), sought.alerting.report_every] {
        let now = cadence.period(wall, ANCHOR, &TimeZone::UTC);
        let told = Told::Report(cadence);
        let is_settled = wall.micros() >= now.start.micros().saturating_add(SETTLED_AFTER_MICROS);
        if !is_settled || foresight.is_told(&told) {
            continue;
        }
        let before = Wall::from_micros(now.start.micros().saturating_sub(1));
        let last = cadence.period(before, ANCHOR, &TimeZone::UTC);
        // Thirty days are a month.
        if all.iter().any(|found| (found.start, found.until) == (last.start, now.end)) {
            continue;
        }
        match report((ledger, books), cadence, last).await? {
            Some(report) => {
                let alert = Alert::spend_report(report);
                all.push(Found { told, start: last.start, until: now.end, alert });
            }
            None => foresight.note(told, now.end),
        }
    }
    Ok(all)
}

/// What was spent in a time; none where nothing was.
async fn report(
    (ledger, books): (&Ledger, &Books),
    cadence: Cadence,
    of: period::Period,
) -> Result<Option<Report>, StoreError> {
    let all = sums(books, (EntityKind::Global, Vec::new()), of).await?;
    let spend = all.first().map_or(PicoDollars::ZERO, |(_, spend)| *spend);
    if spend <= PicoDollars::ZERO {
        return Ok(None);
    }
    let teams = sums(books, (EntityKind::Team, vec![Group::Entity]), of).await?;
    let tags = sums(books, (EntityKind::Tag, vec![Group::Entity]), of).await?;
    let directory = ledger.directory();
    let team = |(id, spend): (String, PicoDollars)| {
        let alias = directory.get(Kind::Team, &id).and_then(|team| team.alias()).map(str::to_owned);
        Share { id, alias, spend }
    };
    Ok(Some(Report {
        period: Period { start: of.start.micros(), end: Some(of.end.micros()) },
        frequency: cadence.to_string(),
        spend,
        teams: teams.into_iter().map(team).collect(),
        tags: tags.into_iter().map(|(id, spend)| Share { id, alias: None, spend }).collect(),
    }))
}

/// Who has spent how much, the dearest first.
async fn sums(
    books: &Books,
    (entity, group_by): (EntityKind, Vec<Group>),
    of: period::Period,
) -> Result<Vec<(String, PicoDollars)>, StoreError> {
    let day = |micros: i64| Some(books::day_of(micros));
    let (from_day, to_day) = (day(of.start.micros()), day(of.end.micros().saturating_sub(1)));
    let filter = DailyFilter { entity, from_day, to_day, ..DailyFilter::default() };
    let sums = books.sums(SumQuery { filter, group_by, by_spend: true, limit: Some(NAMED_MAX) }).await?;
    let named = sums
        .into_iter()
        .map(|sum| (sum.keys.into_iter().next().unwrap_or_default(), PicoDollars(sum.totals.spend)));
    Ok(named.filter(|(_, spend)| *spend > PicoDollars::ZERO).collect())
}
