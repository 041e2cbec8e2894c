//! What gateways see of each other: who is there, and what is held.

use tollgate_store::books::{Account, Books, Holds, Look, Settled};

use super::engines::{self, Engine};
use super::{account, batch, row};

fn holds(gateway: &str, held: &[(&str, i128)]) -> Holds {
    let held = held.iter().map(|(id, amount)| Settled { account: account("key", id), amount: *amount });
    Holds { gateway: gateway.to_owned(), held: held.collect() }
}

async fn look(books: &Books, gateway: &str) -> Look {
    books.others(gateway.to_owned(), 0, false).await.unwrap()
}

/// What a gateway sees to be held elsewhere, by id.
async fn seen(books: &Books, gateway: &str) -> Vec<(String, i128)> {
    let mut held: Vec<_> =
        look(books, gateway).await.held.into_iter().map(|held| (held.account.id, held.amount)).collect();
    held.sort();
    held
}

fn held(held: &[(&str, i128)]) -> Vec<(String, i128)> {
    held.iter().map(|(id, amount)| ((*id).to_owned(), *amount)).collect()
}

async fn joined(engine: &Engine, gateways: &[&str]) {
    for gateway in gateways {
        engine.books.join((*gateway).to_owned()).await.unwrap();
    }
}

/// Nothing was heard of a gateway for so many seconds.
async fn silent(engine: &Engine, gateway: &str, seconds: u64) {
    let sql = format!("UPDATE gateways SET seen_at = seen_at - {seconds}000000 WHERE gateway = '{gateway}'");
    engine.raw(&sql).await.unwrap();
}

#[tokio::test]
async fn what_one_holds_the_others_see_and_what_all_hold_is_one_sum() {
    let engine = engines::postgres();
    let books = &engine.books;
    joined(&engine, &["a", "b", "c"]).await;
    books.show_holds(holds("a", &[("k", 5), ("l", 1)])).await.unwrap();
    books.show_holds(holds("b", &[("k", 7)])).await.unwrap();
    assert_eq!(seen(books, "a").await, held(&[("k", 7)]));
    assert_eq!(seen(books, "b").await, held(&[("k", 5), ("l", 1)]));
    assert_eq!(seen(books, "c").await, held(&[("k", 12), ("l", 1)]));
    books.show_holds(holds("a", &[("k", 2), ("l", 0)])).await.unwrap();
    assert_eq!(seen(books, "c").await, held(&[("k", 9)]));
    books.leave("b".to_owned()).await.unwrap();
    assert_eq!((seen(books, "c").await, look(books, "c").await.others), (held(&[("k", 2)]), 1));
}

#[tokio::test]
async fn what_goes_from_what_is_held_into_the_accounts_is_always_in_one_of_them() {
    let engine = engines::postgres();
    let books = engine.books.clone();
    joined(&engine, &["a", "b"]).await;
    let row = |number: u128| tollgate_store::books::SpendRow {
        accounts: vec![account("key", "k")],
        ..row(number, 10)
    };
    books.show_holds(holds("a", &[("k", 300)])).await.unwrap();
    let posting = tokio::spawn(async move {
        for number in 1..=30u64 {
            let left = 300 - 10 * i128::from(number);
            let batch = batch(number, vec![row(number.into())]);
            books.post_and_show(batch, holds("a", &[("k", left)])).await.unwrap();
        }
    });
    while !posting.is_finished() {
        let look = look(&engine.books, "b").await;
        let of = |all: &[Settled]| -> i128 {
            all.iter().filter(|settled| settled.account.id == "k").map(|settled| settled.amount).sum()
        };
        assert_eq!(of(&look.changes.accounts) + of(&look.held), 300, "{look:?}");
    }
    posting.await.unwrap();
    assert_eq!(seen(&engine.books, "b").await, held(&[]));
}

#[tokio::test]
async fn who_is_not_heard_of_holds_nothing_after_a_while_and_is_not_there_after_a_longer_one() {
    let engine = engines::postgres();
    let books = &engine.books;
    joined(&engine, &["a", "b"]).await;
    books.show_holds(holds("a", &[("k", 5)])).await.unwrap();
    silent(&engine, "a", 20).await;
    assert_eq!(seen(books, "b").await, held(&[("k", 5)]));
    silent(&engine, "a", 11).await;
    assert_eq!((seen(books, "b").await, look(books, "b").await.others), (held(&[]), 1));
    silent(&engine, "a", 30).await;
    assert_eq!(look(books, "b").await.others, 0);
    books.renew(holds("a", &[("k", 4)]), 2).await.unwrap();
    assert_eq!((seen(books, "b").await, look(books, "b").await.others), (held(&[("k", 4)]), 1));
    // After a day nothing is left of it.
    silent(&engine, "a", 86_401).await;
    joined(&engine, &["c"]).await;
    books.renew(holds("b", &[]), 3).await.unwrap();
    assert_eq!(books.join("a".to_owned()).await.unwrap().left, []);
}

#[tokio::test]
async fn whoever_begins_under_the_same_name_learns_what_was_held_and_a_renewal_keeps_what_it_names_alone() {
    let engine = engines::postgres();
    let books = &engine.books;
    joined(&engine, &["a", "b"]).await;
    books.show_holds(holds("a", &[("k", 5), ("l", 3)])).await.unwrap();
    let again = books.join("a".to_owned()).await.unwrap();
    assert_eq!(again.left.iter().map(|left| left.amount).sum::<i128>(), 8);
    assert_eq!(again.joined, look(books, "b").await.newest);
    assert_eq!(seen(books, "b").await, held(&[("k", 5), ("l", 3)]));
    // Whoever began last waits until all others know it.
    assert_eq!(look(books, "a").await.knows, 0);
    books.renew(holds("b", &[]), again.joined).await.unwrap();
    assert_eq!(look(books, "a").await.knows, again.joined);
    books.renew(holds("a", &[("l", 3)]), again.joined).await.unwrap();
    assert_eq!(seen(books, "b").await, held(&[("l", 3)]));
    // Another period is another account.
    let start = Account { start: 100, cadence: "1d".to_owned(), ..account("key", "l") };
    let holds = Holds { gateway: "a".to_owned(), held: vec![Settled { account: start, amount: 9 }] };
    books.show_holds(holds).await.unwrap();
    assert_eq!(seen(books, "b").await, held(&[("l", 3), ("l", 9)]));
}

#[tokio::test]
async fn in_an_embedded_database_there_is_nobody_else_and_nothing_is_shown() {
    for engine in [engines::memory().await, engines::file()] {
        let books = &engine.books;
        assert_eq!(books.join("a".to_owned()).await, Ok(Default::default()), "{}", engine.name);
        let posted = books.post_and_show(batch(1, vec![row(1, 5)]), holds("a", &[("k", 5)])).await;
        assert_eq!(posted, Ok(1));
        assert_eq!(look(books, "b").await, Look::default());
        books.leave("a".to_owned()).await.unwrap();
    }
}
