//! Who spends far more today than is usual: what is compared with what.
//!
//! A key is compared with its own days of the last four weeks on which it spent anything, and with the other keys of its
//! organization; a user with its own and with all other users. Leaves the judgement to `tollgate_policy::anomaly`.
//!
//! **Invariant:** whoever spends less than the floor costs nothing to look at. **Invariant:** a day that is not over is
//! compared with whole days.

use super::outlook::by_day;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use tollgate_catalog::PicoDollars;
use tollgate_identity::{Directory, Kind, Scope, ScopeKind};
use tollgate_ledger::Ledger;
use tollgate_policy::anomaly::{AnomalyRule, Sighting, Usual};
use tollgate_policy::clock::Wall;
use tollgate_policy::projection::DAY_MICROS;
use tollgate_store::StoreError;
use tollgate_store::books::{self, Books, DailyFilter, EntityKind, Group, SumQuery};

/// Keys, and users, that are looked at: those that spent the most today.
const SPENDERS_MAX: u32 = 1_000;
/// How far back one's own days go.
const OWN_DAYS: i64 = 28;
/// How far back those of the others go.
const OTHERS_DAYS: i64 = 7;
/// Sums of days of others that are read at most: in the order of their ids, which of keys are hashes.
const OTHERS_MAX: u32 = 20_000;
/// Hours in which a day's spend is usual; what is usual in one is this part of a day's.
const BUSY_HOURS: u32 = 8;
const HOUR_MICROS: i64 = 60 * 60 * 1_000_000;

const KINDS: [ScopeKind; 2] = [ScopeKind::Key, ScopeKind::User];

/// Where the books have the sums of keys, and of users.
fn sums_of(kind: ScopeKind) -> (EntityKind, Group) {
    match kind {
        ScopeKind::User => (EntityKind::User, Group::Entity),
        _ => (EntityKind::Global, Group::ApiKey),
    }
}

/// Who has spent the most today, as it stood at one moment.
#[derive(Debug, Clone)]
pub(super) struct Reading {
    at: Wall,
    day: String,
    spent: HashMap<Scope, PicoDollars>,
    /// The least that is known of, where there were too many.
    least: PicoDollars,
}

impl Reading {
    pub(super) async fn take(books: &Books, at: Wall) -> Result<Self, StoreError> {
        let day = books::day_of(at.micros());
        let mut reading = Self { at, day: day.clone(), spent: HashMap::new(), least: PicoDollars::ZERO };
        for kind in KINDS {
            let (entity, group) = sums_of(kind);
            let day = Some(day.clone());
            let filter = DailyFilter { entity, from_day: day.clone(), to_day: day, ..DailyFilter::default() };
            let query = SumQuery { filter, group_by: vec![group], by_spend: true, limit: Some(SPENDERS_MAX) };
            let sums = books.sums(query).await?;
            if sums.len() >= SPENDERS_MAX as usize {
                let last = sums.last().map_or(0, |sum| sum.totals.spend);
                reading.least = reading.least.max(PicoDollars(last));
            }
            let named = sums.into_iter().filter_map(|sum| {
                let id = sum.keys.into_iter().next().filter(|id| !id.is_empty())?;
                Some((Scope::new(kind, id), PicoDollars(sum.totals.spend)))
            });
            reading.spent.extend(named);
        }
        Ok(reading)
    }

    /// Those who have spent as much as this, in the order of their names.
    pub(super) fn dear(&self, floor: PicoDollars) -> Vec<Scope> {
        let dear = |spent: PicoDollars| spent >= floor && spent > PicoDollars::ZERO;
        let mut all: Vec<Scope> =
            self.spent.iter().filter(|(_, spent)| dear(**spent)).map(|(scope, _)| scope.clone()).collect();
        all.sort_unstable();
        all
    }

    fn of(&self, scope: &Scope) -> Option<PicoDollars> {
        self.spent.get(scope).copied()
    }

    /// What was spent since an earlier reading: at least.
    fn since(&self, earlier: &Self, scope: &Scope) -> PicoDollars {
        let now = self.of(scope).unwrap_or_default();
        if earlier.day != self.day {
            return now;
        }
        now.saturating_sub(earlier.of(scope).unwrap_or(earlier.least)).max(PicoDollars::ZERO)
    }
}

/// The last reading that is an hour old; older ones are forgotten.
pub(super) fn an_hour_ago(readings: &mut VecDeque<Reading>, now: Wall) -> Option<Reading> {
    let is_old = |reading: &Reading| reading.at.micros() <= now.micros().saturating_sub(HOUR_MICROS);
    while readings.get(1).is_some_and(is_old) {
        readings.pop_front();
    }
    // After a pause it says nothing of an hour.
    let is_of_now = |reading: &Reading| reading.at.micros() > now.micros().saturating_sub(2 * HOUR_MICROS);
    readings.front().filter(|reading| is_old(reading) && is_of_now(reading)).cloned()
}

/// A spender, with all that it is compared with.
#[derive(Debug)]
pub(super) struct Spender {
    pub(super) scope: Scope,
    today: PicoDollars,
    last_hour: Option<PicoDollars>,
    own: Option<Usual>,
    others: Option<Usual>,
}

/// An anomaly.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Strange {
    pub(super) spend: PicoDollars,
    pub(super) usual: PicoDollars,
    pub(super) within: &'static str,
}

impl Spender {
    /// Whether it is one: by the day first, of which more is known.
    pub(super) fn judge(&self, rule: &AnomalyRule) -> Option<Strange> {
        let Self { today, own, others, .. } = *self;
        if let Some(usual) = rule.judge(&Sighting { spent: today, own, others }) {
            return Some(Strange { spend: today, usual, within: "day" });
        }
        let part = |usual: Option<Usual>| usual.map(|usual| usual.part(BUSY_HOURS));
        let spent = self.last_hour?;
        let usual = rule.judge(&Sighting { spent, own: part(own), others: part(others) })?;
        Some(Strange { spend: spent, usual, within: "hour" })
    }
}

/// Puts beside spenders what they are compared with.
pub(super) async fn compare(
    (ledger, books): (&Ledger, &Books),
    (now, earlier): (&Reading, Option<&Reading>),
    found: &[Scope],
) -> Result<Vec<Spender>, StoreError> {
    let mut all = Vec::new();
    for kind in KINDS {
        let found: Vec<&Scope> = found.iter().filter(|scope| scope.kind == kind).collect();
        if found.is_empty() {
            continue;
        }
        let own = own_days(books, kind, now, &found).await?;
        let others = Others::read(ledger, books, kind, now).await?;
        for scope in found {
            all.push(Spender {
                scope: scope.clone(),
                today: now.of(scope).unwrap_or_default(),
                last_hour: earlier.map(|earlier| now.since(earlier, scope)),
                own: own.get(scope.id.as_ref()).cloned().and_then(Usual::of),
                others: others.beside(scope, &ledger.directory()),
            });
        }
    }
    Ok(all)
}

/// The days before a reading, back to so many.
fn days_before(now: &Reading, kind: ScopeKind, days: i64) -> (DailyFilter, Group) {
    let (entity, group) = sums_of(kind);
    let day = |days: i64| Some(books::day_of(now.at.micros().saturating_sub(days * DAY_MICROS)));
    (DailyFilter { entity, from_day: day(days), to_day: day(1), ..DailyFilter::default() }, group)
}

/// What each has spent on each of the days on which it spent anything.
async fn own_days(
    books: &Books,
    kind: ScopeKind,
    now: &Reading,
    found: &[&Scope],
) -> Result<HashMap<String, Vec<PicoDollars>>, StoreError> {
    let ids = || found.iter().map(|scope| scope.id.as_ref().to_owned()).collect();
    let (mut filter, group) = days_before(now, kind, OWN_DAYS);
    match kind {
        ScopeKind::User => filter.entity_ids = ids(),
        _ => filter.api_keys = ids(),
    }
    let mut days: HashMap<String, Vec<PicoDollars>> = HashMap::new();
    for (id, _, spent) in by_day(books, filter, group).await? {
        if spent > PicoDollars::ZERO {
            days.entry(id).or_default().push(spent);
        }
    }
    Ok(days)
}

/// What is usual for each of many: the middle of its days.
struct Others {
    kind: ScopeKind,
    usual: Vec<(String, Option<Arc<str>>, PicoDollars)>,
}

impl Others {
    async fn read(
        ledger: &Ledger,
        books: &Books,
        kind: ScopeKind,
        now: &Reading,
    ) -> Result<Self, StoreError> {
        let (filter, group) = days_before(now, kind, OTHERS_DAYS);
        let filter = DailyFilter { to_day: Some(now.day.clone()), ..filter };
        let group_by = vec![group, Group::Day];
        let query = SumQuery { filter, group_by, by_spend: false, limit: Some(OTHERS_MAX) };
        let mut before: HashMap<String, Vec<PicoDollars>> = HashMap::new();
        let mut today: HashMap<String, PicoDollars> = HashMap::new();
        for sum in books.sums(query).await? {
            let mut keys = sum.keys.into_iter();
            let (Some(id), Some(day)) = (keys.next(), keys.next()) else { continue };
            let spent = PicoDollars(sum.totals.spend);
            if id.is_empty() || spent <= PicoDollars::ZERO {
                continue;
            }
            if day == now.day {
                today.insert(id, spent);
            } else {
                before.entry(id).or_default().push(spent);
            }
        }
        // Of somebody who is new there is no other day than this.
        for (id, spent) in today {
            before.entry(id).or_insert_with(|| vec![spent]);
        }
        let directory = ledger.directory();
        let usual = before.into_iter().filter_map(|(id, days)| {
            let organization = organization_of(kind, &id, &directory);
            Some((id, organization, Usual::of(days)?.median))
        });
        Ok(Self { kind, usual: usual.collect() })
    }

    /// What is usual for the others of somebody's organization; for all others where there are too few of those to say.
    fn beside(&self, scope: &Scope, directory: &Directory) -> Option<Usual> {
        let own = organization_of(self.kind, &scope.id, directory);
        let others = || self.usual.iter().filter(|(id, ..)| *id != *scope.id);
        let near: Vec<PicoDollars> =
            others().filter(|(_, of, _)| *of == own).map(|(.., usual)| *usual).collect();
        if near.len() >= AnomalyRule::default().samples_min {
            return Usual::of(near);
        }
        Usual::of(others().map(|(.., usual)| *usual).collect())
    }
}

/// The organization of a key. A user may be in several, and is compared with all users.
fn organization_of(kind: ScopeKind, id: &str, directory: &Directory) -> Option<Arc<str>> {
    let key = directory.get(Kind::Key, id).filter(|_| kind == ScopeKind::Key)?;
    directory.above(key).organization.map(|organization| Arc::clone(&organization.id))
}
