//! The ledger as it stands, for the metrics: what waits, and what is left of budgets.
//!
//! **Invariant:** of each kind so many budgets are told at most, those that are nearest to their end first.

use crate::telemetry::{BudgetGauge, LedgerGauges};
use std::sync::Arc;
use tollgate_catalog::PicoDollars;
use tollgate_identity::{Directory, Kind, Record};
use tollgate_ledger::{Ledger, scope_of};
use tollgate_policy::clock::Wall;

/// Budgets of one kind that are told at most.
const BUDGETS_MAX: usize = 1_000;

/// How the ledger stands.
pub(crate) fn gauges(ledger: &Ledger) -> LedgerGauges {
    let (refuses, journal_backlog) = ledger.journal_trouble();
    let now = ledger.clock().wall();
    let (mut budgets, mut left_out) = (Vec::new(), 0);
    for of in [Kind::Key, Kind::Team, Kind::User, Kind::Organization] {
        let records = with_budgets(of, &ledger.directory());
        let told = records.iter().filter_map(|record| gauge(ledger, record, (of, now)));
        let (mut told, too_many) = nearest(told, BUDGETS_MAX);
        left_out += too_many;
        budgets.append(&mut told);
    }
    LedgerGauges {
        journal_refused: refuses,
        journal_backlog,
        journal_unsynced: ledger.journal_unsynced(),
        books_away: !ledger.are_books_there(),
        books_backlog: ledger.backlog(),
        open_attempts: ledger.open_attempts(),
        unconfirmed: ledger.unconfirmed(),
        budgets,
        left_out,
    }
}

fn with_budgets(kind: Kind, directory: &Directory) -> Vec<Arc<Record>> {
    // Of a key that another has taken the place of, that one tells it.
    let has_budget = |record: &&Arc<Record>| record.limits.budget.is_some() && record.successor().is_none();
    directory.all(kind).filter(has_budget).map(Arc::clone).collect()
}

fn gauge(ledger: &Ledger, record: &Record, (of, now): (Kind, Wall)) -> Option<BudgetGauge> {
    let scope = scope_of(record)?;
    let budgets = ledger.accounts().budgets(&scope, &record.limits, now);
    let budget = budgets.iter().find(|budget| budget.cadence == record.limits.cadence)?;
    let most = budget.limit?;
    let ends =
        budget.cadence.is_some().then(|| budget.period.end.micros().saturating_sub(now.micros()).max(0));
    Some(BudgetGauge {
        of,
        id: record.id.as_ref().to_owned(),
        alias: record.alias().unwrap_or_default().to_owned(),
        most: dollars(most),
        left: dollars(most) - dollars(budget.settled),
        hours: ends.map(|micros| micros as f64 / 3_600e6),
    })
}

/// Those that are nearest to their end, and how many there are besides. There may be very many, of which twice as many as
/// are told are there at the same time.
fn nearest(budgets: impl IntoIterator<Item = BudgetGauge>, most: usize) -> (Vec<BudgetGauge>, usize) {
    let (mut nearest, mut too_many) = (Vec::new(), 0);
    let mut cut = |nearest: &mut Vec<BudgetGauge>| {
        nearest.sort_by(|one, other| one.share_left().total_cmp(&other.share_left()));
        too_many += nearest.len().saturating_sub(most);
        nearest.truncate(most);
    };
    for budget in budgets {
        nearest.push(budget);
        if nearest.len() >= 2 * most.max(1) {
            cut(&mut nearest);
        }
    }
    cut(&mut nearest);
    (nearest, too_many)
}

fn dollars(amount: PicoDollars) -> f64 {
    amount.0 as f64 / 1e12
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_too_many_budgets_those_that_are_nearest_to_their_end_are_told() {
        let budget = |id: &str, most: f64, left: f64| BudgetGauge {
            of: Kind::Key,
            id: id.to_owned(),
            alias: String::new(),
            most,
            left,
            hours: None,
        };
        let all = || vec![budget("half", 2.0, 1.0), budget("over", 2.0, -0.1), budget("none", 0.0, 0.0)];
        let check = |most: usize, expect: &[&str], left_out: usize| {
            let (told, too_many) = nearest(all(), most);
            let ids: Vec<&str> = told.iter().map(|one| one.id.as_str()).collect();
            assert_eq!((ids.as_slice(), too_many), (expect, left_out));
        };
        check(5, &["over", "none", "half"], 0);
        check(2, &["over", "none"], 1);
        check(1, &["over"], 2);
        check(0, &[], 3);
    }
}
