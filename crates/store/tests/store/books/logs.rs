//! Single attempts: found by whatever, sorted, page by page, purged.

use std::time::Duration;

use tollgate_store::books::{Books, LogFilter, LogOrder, LogQuery, Page, SpendRow, Status, Visible};
use tollgate_store::{Location, Store, StoreOptions, Trouble};

use super::rows::full;
use super::{NOON, batch, engines, row};

/// Six attempts that differ in everything that can be asked for.
fn attempts() -> Vec<SpendRow> {
    let text = |text: &str| text.to_owned();
    let at =
        |number: u128, minute: i64| SpendRow { started_at: NOON + minute * 60_000_000, ..row(number, 0) };
    vec![
        SpendRow {
            cost: 10,
            user_id: text("ann"),
            session_id: text("s1"),
            tags: vec![text("blue")],
            ..at(1, 1)
        },
        SpendRow {
            cost: 20,
            user_id: text("bob"),
            end_user: text("100%_of\\it"),
            cache_hit: true,
            ..at(2, 2)
        },
        SpendRow { cost: 30, status: Status::Failure, status_code: 429, model: text("claude"), ..at(3, 3) },
        SpendRow { cost: 5, api_key: text("k2"), team_id: text(""), session_id: text("s1"), ..at(4, 4) },
        SpendRow {
            overhead: true,
            tags: vec![text("blue"), text("green")],
            provider: text("azure"),
            ..at(5, 5)
        },
        SpendRow {
            project_id: text("p"),
            organization_id: text("o"),
            model_id: text("d"),
            call_id: text("c"),
            ..at(6, 6)
        },
    ]
}

async fn ids(books: &Books, query: LogQuery) -> Vec<u128> {
    let page = books.spend_logs(query).await.unwrap();
    page.rows.iter().map(|row| row.attempt_id).collect()
}

async fn check(books: &Books, filter: LogFilter, expect: &[u128]) {
    let query = LogQuery { filter, ascending: true, ..LogQuery::default() };
    assert_eq!(ids(books, query.clone()).await, expect, "{query:?}");
    assert_eq!(books.spend_logs(query).await.unwrap().total, expect.len() as u64);
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[tokio::test]
async fn attempts_are_found_by_everything_that_names_them() {
    for engine in engines::all().await {
        let books = &engine.books;
        books.post(batch(1, attempts())).await.unwrap();
        let any = LogFilter::default;
        check(books, any(), &[1, 2, 3, 4, 5, 6]).await;
        check(
            books,
            LogFilter { from: Some(NOON + 120_000_000), to: Some(NOON + 240_000_000), ..any() },
            &[2, 3],
        )
        .await;
        check(books, LogFilter { api_keys: texts(&["k2"]), ..any() }, &[4]).await;
        check(books, LogFilter { api_keys: texts(&["k2", "key-hash"]), ..any() }, &[1, 2, 3, 4, 5, 6]).await;
        check(books, LogFilter { api_keys: texts(&["nobody"]), ..any() }, &[]).await;
        check(books, LogFilter { user_ids: texts(&["ann", "bob"]), ..any() }, &[1, 2]).await;
        check(books, LogFilter { user_ids: texts(&["", "ann"]), ..any() }, &[1, 3, 4, 5, 6]).await;
        check(books, LogFilter { team_ids: texts(&[""]), ..any() }, &[4]).await;
        check(
            books,
            LogFilter { organization_ids: texts(&["o"]), project_ids: texts(&["p"]), ..any() },
            &[6],
        )
        .await;
        check(books, LogFilter { request_ids: texts(&["request-3"]), ..any() }, &[3]).await;
        check(books, LogFilter { call_ids: texts(&["c"]), model_ids: texts(&["d"]), ..any() }, &[6]).await;
        check(books, LogFilter { session_ids: texts(&["s1"]), ..any() }, &[1, 4]).await;
        check(
            books,
            LogFilter { models: texts(&["claude"]), model_groups: texts(&["gpt-4o"]), ..any() },
            &[3],
        )
        .await;
        check(books, LogFilter { providers: texts(&["azure"]), ..any() }, &[5]).await;
        check(books, LogFilter { tags: texts(&["blue"]), ..any() }, &[1, 5]).await;
        check(books, LogFilter { tags: texts(&["red", "green"]), ..any() }, &[5]).await;
        check(books, LogFilter { status: Some(Status::Failure), ..any() }, &[3]).await;
        check(books, LogFilter { status_code: Some(429), ..any() }, &[3]).await;
        check(books, LogFilter { cache_hit: Some(true), ..any() }, &[2]).await;
        check(books, LogFilter { overhead: Some(false), ..any() }, &[1, 2, 3, 4, 6]).await;
        check(books, LogFilter { cost_min: Some(10), cost_max: Some(20), ..any() }, &[1, 2]).await;
        check(
            books,
            LogFilter { cost_min: Some(i128::MIN), cost_max: Some(i128::MAX), ..any() },
            &[1, 2, 3, 4, 5, 6],
        )
        .await;
    }
}

#[tokio::test]
async fn a_search_takes_every_character_literally() {
    for engine in engines::all().await {
        let books = &engine.books;
        books.post(batch(1, attempts())).await.unwrap();
        let search = |text: &str| LogFilter { search: Some(text.to_owned()), ..LogFilter::default() };
        check(books, search("100%_of\\it"), &[2]).await;
        check(books, search("100%"), &[2]).await;
        for nowhere in ["100_%", "%%%%", "____", "\\\\", "it'; DROP TABLE attempts; --", "$1", "?1", "\0%"] {
            check(books, search(nowhere), if nowhere == "\0%" { &[2] } else { &[] }).await;
        }
        check(books, search("CLAUDE"), &[3]).await;
        check(books, search(""), &[1, 2, 3, 4, 5, 6]).await;
        let hostile = LogFilter { api_keys: texts(&["' OR 1=1 --", "\"]'"]), ..LogFilter::default() };
        check(books, hostile, &[]).await;
    }
}

#[tokio::test]
async fn somebody_sees_what_is_of_one_of_theirs_and_nothing_else() {
    for engine in engines::all().await {
        let books = &engine.books;
        books.post(batch(1, attempts())).await.unwrap();
        let see = |visible: Visible| LogFilter { visible: Some(visible), ..LogFilter::default() };
        check(books, see(Visible::default()), &[]).await;
        let own = Visible { user_ids: texts(&["ann"]), api_keys: texts(&["k2"]), ..Visible::default() };
        check(books, see(own.clone()), &[1, 4]).await;
        // What is asked for narrows it further, and never widens it.
        check(books, LogFilter { user_ids: texts(&["bob"]), ..see(own) }, &[]).await;
        // Nobody's is not everybody's.
        check(books, see(Visible { team_ids: texts(&[""]), ..Visible::default() }), &[]).await;
    }
}

#[tokio::test]
async fn pages_have_an_order_and_do_not_overlap() {
    for engine in engines::all().await {
        let books = &engine.books;
        books.post(batch(1, attempts())).await.unwrap();
        let part = |offset: u64, limit: u32| LogQuery { page: Page { offset, limit }, ..LogQuery::default() };
        assert_eq!(ids(books, part(0, 4)).await, [6, 5, 4, 3], "{}", engine.name);
        assert_eq!(ids(books, part(4, 4)).await, [2, 1]);
        assert_eq!(ids(books, part(6, 4)).await, [0_u128; 0]);
        assert_eq!(ids(books, part(u64::MAX, u32::MAX)).await, [0_u128; 0]);
        let sorted = async |order: LogOrder, ascending: bool| {
            ids(books, LogQuery { order, ascending, ..LogQuery::default() }).await
        };
        assert_eq!(sorted(LogOrder::Cost, false).await, [3, 2, 1, 4, 6, 5]);
        assert_eq!(sorted(LogOrder::Cost, true).await, [5, 6, 4, 1, 2, 3]);
        for order in [
            LogOrder::Started,
            LogOrder::Ended,
            LogOrder::TotalTokens,
            LogOrder::Duration,
            LogOrder::FirstToken,
            LogOrder::ModelGroup,
            LogOrder::Model,
        ] {
            let mut up = sorted(order, true).await;
            let down = sorted(order, false).await;
            up.reverse();
            assert_eq!(up, down, "{order:?}");
        }
    }
}

#[tokio::test]
async fn a_row_comes_back_as_it_was_posted_and_conversations_only_if_asked_for() {
    for engine in engines::all().await {
        engine.books.post(batch(1, vec![full()])).await.unwrap();
        let with = LogQuery { with_bodies: true, ..LogQuery::default() };
        assert_eq!(engine.books.spend_logs(with).await.unwrap().rows, [full()], "{}", engine.name);
        let empty = String::new;
        let without = SpendRow { messages: empty(), response: empty(), proxy_request: empty(), ..full() };
        assert_eq!(engine.books.spend_logs(LogQuery::default()).await.unwrap().rows, [without]);
    }
}

#[tokio::test]
async fn the_count_ends_where_it_becomes_dear() {
    for engine in engines::all().await {
        let books = &engine.books;
        for part in 0..5 {
            let rows = (0..2_000).map(|number| row(part * 2_000 + number, 1)).collect();
            books.post(batch(1, rows)).await.unwrap();
        }
        let page = books.spend_logs(LogQuery::default()).await.unwrap();
        assert_eq!((page.rows.len(), page.total, page.is_capped), (100, 10_000, false), "{}", engine.name);
        books.post(batch(1, vec![row(10_000, 1)])).await.unwrap();
        let page = books.spend_logs(LogQuery::default()).await.unwrap();
        assert_eq!((page.total, page.is_capped), (10_000, true));
    }
}

#[tokio::test]
async fn sessions_are_summed_over_their_attempts() {
    for engine in engines::all().await {
        let books = &engine.books;
        let named = |number: u128, model: &str, cache_hit: bool| SpendRow {
            session_id: "s1".to_owned(),
            model: model.to_owned(),
            cache_hit,
            ..row(number, i128::from(i64::MAX))
        };
        let failed = SpendRow { status: Status::Failure, status_code: 429, ..named(3, "b", false) };
        let rows = vec![named(1, "a", false), named(2, "b", true), failed, row(4, 1)];
        books.post(batch(1, rows)).await.unwrap();
        let sums = books.session_sums(texts(&["s1", "nobody"])).await.unwrap();
        let [sum] = sums.as_slice() else { panic!("{sums:?}") };
        assert_eq!(
            (sum.totals.requests, sum.totals.successes, sum.totals.failures),
            (3, 2, 1),
            "{}",
            engine.name
        );
        // More than 64 bits hold.
        assert_eq!(sum.totals.spend, 3 * i128::from(i64::MAX));
        assert_eq!((sum.totals.rate_limited, sum.totals.response_ms, sum.duration_ms), (1, 3_000, 4_500));
        assert_eq!((sum.totals.prompt_tokens, sum.cache_hits), (30, 1));
        assert_eq!(sum.models.iter().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(books.session_sums(vec![]).await, Ok(vec![]));
    }
}

#[tokio::test]
async fn old_attempts_are_purged_in_batches_and_their_sums_stay() {
    for engine in engines::all().await {
        let books = &engine.books;
        books.post(batch(1, attempts())).await.unwrap();
        let accounts = books.load_accounts(0).await.unwrap();
        let before = NOON + 5 * 60_000_000;
        assert_eq!(books.purge_attempts(before, 3).await, Ok(3), "{}", engine.name);
        assert_eq!(books.purge_attempts(before, 3).await, Ok(1));
        assert_eq!(books.purge_attempts(before, 3).await, Ok(0));
        check(books, LogFilter::default(), &[5, 6]).await;
        check(books, LogFilter { tags: texts(&["blue"]), ..LogFilter::default() }, &[5]).await;
        assert_eq!(books.load_accounts(0).await, Ok(accounts));
        let sums = books.sums(Default::default()).await.unwrap();
        assert_eq!(sums.first().unwrap().totals.requests, 5);
    }
}

#[tokio::test]
async fn a_search_that_takes_too_long_is_given_up_and_holds_nobody_up() {
    let options = StoreOptions { search_timeout: Duration::ZERO, ..StoreOptions::default() };
    let store = Store::open(Location::Memory, &options).await.unwrap();
    let books = Books::of_store(store);
    books.post(batch(1, (0..2_000).map(|number| row(number, 1)).collect())).await.unwrap();
    let filter = LogFilter { search: Some("%nowhere%".to_owned()), ..LogFilter::default() };
    let error = books.spend_logs(LogQuery { filter, ..LogQuery::default() }).await.unwrap_err();
    assert_eq!(error.to_string(), "the store in memory: a search took too long");
    assert_eq!(error.trouble(), Trouble::Unavailable);
    // What the gateway has to know is waited for, and so is what is written.
    assert_eq!(books.load_accounts(0).await.unwrap().len(), 2);
    assert_eq!(books.post(batch(1, (0..3_000).map(|number| row(number, 1)).collect())).await, Ok(1_000));
}
