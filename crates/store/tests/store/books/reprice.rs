//! Attempts that are priced again: the sums stay the sums of the attempts.

use tollgate_store::books::{
    Books, Charging, Correction, Group, LogFilter, LogQuery, Page, Repriced, Settled, SpendRow,
};

use super::reports::{KINDS, expected, some, sums};
use super::{account, batch, engines, row};

fn priced(attempt_id: u128, cost: i128) -> Repriced {
    Repriced { attempt_id, cost, charged: None }
}

async fn standing(books: &Books) -> Vec<i128> {
    books.load_accounts(0).await.unwrap().iter().map(|settled| settled.amount).collect()
}

#[tokio::test]
async fn sums_follow_what_is_priced_again() {
    for engine in engines::all().await {
        let books = &engine.books;
        let mut chance = fastrand::Rng::with_seed(9);
        let mut rows: Vec<SpendRow> = (0..120).map(|number| some(&mut chance, number)).collect();
        books.post(batch(1, rows.clone())).await.unwrap();
        let mut changes = Vec::new();
        for row in rows.iter_mut().filter(|row| row.attempt_id % 3 != 0) {
            row.cost = i128::from(chance.i64(..));
            changes.push(priced(row.attempt_id, row.cost));
        }
        // One that is not there.
        changes.push(priced(u128::MAX, 1));
        for _ in 0..2 {
            let done = Correction { attempts: 80, differences: vec![] };
            assert_eq!(books.reprice(changes.clone(), Charging::Keep).await, Ok(done), "{}", engine.name);
            for kind in KINDS {
                for groups in [vec![], vec![Group::Day, Group::Entity, Group::Model]] {
                    assert_eq!(sums(books, kind, &groups).await, expected(&rows, kind, &groups), "{kind:?}");
                }
            }
        }
        assert_eq!(books.reprice(vec![], Charging::Correct).await, Ok(Correction::default()));
    }
}

#[tokio::test]
async fn accounts_are_corrected_only_if_that_is_wanted() {
    for engine in engines::all().await {
        let books = &engine.books;
        let first = SpendRow { unpriced: true, ..row(1, 0) };
        let second = SpendRow { charged: Some(50), ..row(2, 100) };
        books.post(batch(1, vec![first, second])).await.unwrap();
        books.reprice(vec![priced(1, 7)], Charging::Keep).await.unwrap();
        assert_eq!(standing(books).await, [50, 50], "{}", engine.name);
        let half = Repriced { charged: Some(60), ..priced(2, 120) };
        // What is there is what the books have, not what whoever prices has seen: the second time it is nothing.
        for more in [10, 0] {
            let done = books.reprice(vec![half.clone()], Charging::Correct).await.unwrap();
            let added: Vec<i128> = done.differences.iter().map(|settled| settled.amount).collect();
            assert_eq!((done.attempts, added), (1, vec![more; if more == 0 { 0 } else { 2 }]));
            assert_eq!(standing(books).await, [60, 60]);
        }
        let team = Settled { account: account("team", "red"), amount: 60 };
        assert!(books.load_accounts(0).await.unwrap().contains(&team));
        let found = books.spend_logs(LogQuery { ascending: true, ..LogQuery::default() }).await.unwrap().rows;
        let seen: Vec<_> = found.iter().map(|row| (row.cost, row.charge(), row.unpriced)).collect();
        assert_eq!(seen, [(7, 7, false), (120, 60, false)]);
    }
}

#[tokio::test]
async fn all_attempts_are_gone_through_in_pieces() {
    for engine in engines::all().await {
        // Many began in the same microsecond.
        let rows: Vec<SpendRow> =
            (0..50).map(|number| SpendRow { started_at: (number % 3) as i64, ..row(number, 1) }).collect();
        engine.books.post(batch(1, rows)).await.unwrap();
        let (mut filter, mut seen) = (LogFilter::default(), Vec::new());
        loop {
            let piece = engine.books.scan_attempts(filter.clone(), 7).await.unwrap();
            let Some(last) = piece.last() else { break };
            filter.after = Some((last.started_at, last.attempt_id));
            seen.extend(piece.iter().map(|row| (row.started_at, row.attempt_id)));
        }
        let mut expect: Vec<_> = (0..50).map(|number| ((number % 3) as i64, number)).collect();
        expect.sort_unstable();
        assert_eq!(seen, expect, "{}", engine.name);
        let page =
            engine.books.spend_logs(LogQuery { page: Page { offset: 0, limit: 1 }, ..LogQuery::default() });
        assert_eq!(page.await.unwrap().total, 50);
    }
}
