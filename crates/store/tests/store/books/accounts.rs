//! Accounts: added to, set, loaded by period, purged.

use tollgate_store::books::{Account, RecordChange, Settled, SpendRow, Status};

use super::{account, batch, engines, row};

fn period(start: i64) -> Account {
    Account { cadence: "30d".to_owned(), start, model: "gpt-4o".to_owned(), ..account("key", "k") }
}

#[tokio::test]
async fn an_account_holds_more_than_64_bits() {
    for engine in engines::all().await {
        let books = &engine.books;
        let large = 10_i128.pow(37) - 5;
        let settled = |amount: i128| Settled { account: account("team", "red"), amount };
        books.set_account(settled(large)).await.unwrap();
        let charged = SpendRow { accounts: vec![account("team", "red")], ..row(1, 9) };
        books.post(batch(1, vec![charged])).await.unwrap();
        assert_eq!(books.load_accounts(0).await, Ok(vec![settled(large + 9)]), "{}", engine.name);
        books.set_account(settled(-large)).await.unwrap();
        assert_eq!(books.load_accounts(0).await, Ok(vec![settled(-large)]));
    }
}

#[tokio::test]
async fn a_change_of_records_may_set_accounts_with_it() {
    for engine in engines::all().await {
        let charged = SpendRow { accounts: vec![account("key", "k")], ..row(1, 9) };
        engine.books.post(batch(1, vec![charged])).await.unwrap();
        let accounts = vec![Settled { account: account("key", "k"), amount: 0 }];
        engine
            .books
            .commit(RecordChange { accounts: accounts.clone(), ..RecordChange::default() })
            .await
            .unwrap();
        assert_eq!(engine.books.load_accounts(0).await, Ok(accounts), "{}", engine.name);
    }
}

#[tokio::test]
async fn periods_are_loaded_from_a_moment_on_and_the_last_eight_of_each_budget_are_kept() {
    for engine in engines::all().await {
        let books = &engine.books;
        for start in [0, 100, 200, 300, 400, 500, 600, 700, 800, 900, 1_000] {
            let account = period(start);
            books.set_account(Settled { account, amount: i128::from(start) }).await.unwrap();
        }
        // Another budget, whose periods are all older.
        let weekly = Account { cadence: "7d".to_owned(), ..period(50) };
        books.set_account(Settled { account: weekly, amount: 1 }).await.unwrap();
        let starts = async |since: i64| {
            let mut accounts = books.load_accounts(since).await.unwrap();
            accounts.sort_by_key(|settled| settled.account.start);
            accounts.into_iter().map(|settled| settled.account.start).collect::<Vec<_>>()
        };
        assert_eq!(starts(900).await, [0, 900, 1_000], "{}", engine.name);
        assert_eq!(books.purge_accounts(0, 1).await, Ok(1));
        assert_eq!(books.purge_accounts(0, 10).await, Ok(1));
        assert_eq!(books.purge_accounts(0, 10).await, Ok(0));
        assert_eq!(starts(0).await, [0, 50, 300, 400, 500, 600, 700, 800, 900, 1_000], "{}", engine.name);
    }
}

#[tokio::test]
async fn the_last_use_of_a_key_is_when_it_was_last_answered() {
    for engine in engines::all().await {
        let books = &engine.books;
        assert_eq!(books.last_uses().await, Ok(Vec::new()), "{}", engine.name);
        let used = |number: u64, key: &str, at: i64, status: Status| SpendRow {
            api_key: key.to_owned(),
            started_at: at,
            ended_at: at + 5,
            status,
            ..row(number.into(), 1)
        };
        let rows = vec![
            used(1, "a", 100, Status::Success),
            used(2, "a", 300, Status::Success),
            used(3, "a", 400, Status::Failure),
            used(4, "b", 200, Status::Failure),
            used(5, "c", 50, Status::Success),
        ];
        books.post(batch(1, rows)).await.unwrap();
        let known = vec![("a".to_owned(), 305), ("c".to_owned(), 55)];
        assert_eq!(books.last_uses().await, Ok(known), "{}", engine.name);
    }
}
