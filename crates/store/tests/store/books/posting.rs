//! Rows from a journal: each once, with its sums, its accounts and its checkpoint.

use tollgate_store::books::{Account, Books, Checkpoint, Settled, SpendRow};

use super::{account, batch, engines, row};

async fn standing(books: &Books) -> Vec<(String, i128)> {
    let accounts = books.load_accounts(0).await.unwrap();
    accounts
        .into_iter()
        .map(|Settled { account, amount }| (format!("{}:{}", account.kind, account.id), amount))
        .collect()
}

fn amounts(expect: &[(&str, i128)]) -> Vec<(String, i128)> {
    expect.iter().map(|(name, amount)| ((*name).to_owned(), *amount)).collect()
}

#[tokio::test]
async fn a_row_counts_once_however_often_it_is_posted() {
    for engine in engines::all().await {
        let books = &engine.books;
        assert_eq!(books.checkpoint("journal-1").await, Ok(None));
        assert_eq!(books.post(batch(100, vec![row(1, 5), row(2, 7)])).await, Ok(2), "{}", engine.name);
        // Again, as after a commit whose outcome is not known.
        assert_eq!(books.post(batch(100, vec![row(1, 5), row(2, 7)])).await, Ok(0));
        // One that overlaps, one that has a row twice.
        assert_eq!(books.post(batch(200, vec![row(2, 7), row(3, 11), row(3, 11)])).await, Ok(1));
        assert_eq!(standing(books).await, amounts(&[("key:key-hash", 23), ("team:red", 23)]));
        assert_eq!(books.checkpoint("journal-1").await, Ok(Some(Checkpoint { segment: 1, offset: 200 })));
        assert_eq!(books.checkpoint("journal-2").await, Ok(None));
    }
}

#[tokio::test]
async fn a_checkpoint_goes_where_it_is_put_also_without_rows() {
    for engine in engines::all().await {
        assert_eq!(engine.books.post(batch(u64::MAX, vec![])).await, Ok(0));
        let expect = Checkpoint { segment: 1, offset: u64::try_from(i64::MAX).unwrap() };
        assert_eq!(engine.books.checkpoint("journal-1").await, Ok(Some(expect)), "{}", engine.name);
        // A journal that begins again.
        assert_eq!(engine.books.post(batch(3, vec![])).await, Ok(0));
        assert_eq!(
            engine.books.checkpoint("journal-1").await,
            Ok(Some(Checkpoint { segment: 1, offset: 3 }))
        );
    }
}

#[tokio::test]
async fn what_is_charged_may_differ_from_what_it_cost() {
    for engine in engines::all().await {
        let free = SpendRow { charged: Some(0), ..row(1, 5) };
        let dear = SpendRow { charged: Some(8), ..row(2, 5) };
        engine.books.post(batch(1, vec![free, dear])).await.unwrap();
        assert_eq!(standing(&engine.books).await, amounts(&[("key:key-hash", 8), ("team:red", 8)]));
    }
}

/// Rows that one engine or the other could not keep as they are.
#[tokio::test]
async fn no_row_stands_in_the_way_of_others() {
    for engine in engines::all().await {
        let long = "ü".repeat(3_000);
        let odd = SpendRow {
            request_id: "zero\0zero".to_owned(),
            end_user: long.clone(),
            user_id: long.clone(),
            model: format!("model\0{long}"),
            session_id: long.clone(),
            tags: vec![long.clone(), "a".to_owned(), "a".to_owned(), "\0".to_owned()],
            metadata: r#"{"text":"\u0000 \ud800"}"#.to_owned(),
            messages: "not\0json".to_owned(),
            prompt_tokens: u64::MAX,
            total_tokens: u64::MAX,
            started_at: i64::MIN,
            ended_at: i64::MAX,
            accounts: vec![
                account("end_user", &long),
                Account { model: long.clone(), cadence: long.clone(), ..account("ke\0y", "a\0") },
            ],
            ..row(u128::MAX, i128::MAX)
        };
        let odder = SpendRow { attempt_id: 0, cost: i128::MIN, started_at: i64::MAX, ..odd.clone() };
        let rows = vec![odd.clone(), row(2, 1), odder];
        assert_eq!(engine.books.post(batch(1, rows)).await, Ok(3), "{}", engine.name);
        assert_eq!(engine.books.post(batch(1, vec![odd])).await, Ok(0));
    }
}

#[tokio::test]
async fn posts_at_the_same_time_add_up() {
    for engine in engines::all().await {
        let mut posts = tokio::task::JoinSet::new();
        for number in 0..40_u128 {
            let books = engine.books.clone();
            // Every row comes twice, from two sides and in another order.
            let mut rows: Vec<SpendRow> =
                (0..10).map(|place| row(number / 2 * 10 + place, 1 << (place * 3))).collect();
            if number % 2 == 1 {
                rows.reverse();
            }
            posts.spawn(async move { books.post(batch(1, rows)).await.unwrap() });
        }
        assert_eq!(posts.join_all().await.into_iter().sum::<u64>(), 200, "{}", engine.name);
        let expect = 20 * (0..10).map(|place| 1_i128 << (place * 3)).sum::<i128>();
        assert_eq!(standing(&engine.books).await, amounts(&[("key:key-hash", expect), ("team:red", expect)]));
    }
}

/// What piles up while a database is away. Sixty thousand rows where there is time for it; how long it took is printed.
#[tokio::test]
async fn a_backlog_is_brought_over() {
    let batches = if std::env::var_os("TOLLGATE_TEST_LONG").is_some() { 120 } else { 4 };
    for engine in engines::all().await {
        let start = std::time::Instant::now();
        for number in 0..batches {
            let rows = (0..500).map(|place| SpendRow {
                api_key: format!("key-{}", place % 50),
                user_id: format!("user-{}", place % 20),
                accounts: vec![account("key", &format!("key-{}", place % 50)), account("global", "")],
                ..row(number * 500 + place, 3)
            });
            engine.books.post(batch(1, rows.collect())).await.unwrap();
        }
        println!("{}: {} rows in {:?}", engine.name, batches * 500, start.elapsed());
        let accounts = engine.books.load_accounts(0).await.unwrap();
        let global = accounts.iter().find(|settled| settled.account.kind == "global").unwrap();
        assert_eq!(global.amount, 1_500 * batches as i128, "{}", engine.name);
    }
}
