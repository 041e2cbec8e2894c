//! Ends of the process that were asked for, with streams open and rows on their way to the books.

use crate::ground::{DATABASE, ask, rows, settled, site, until_books};
use crate::support::{
    ANSWER_TOKENS, CHAT, COST, Connection, Gateway, Site, Told, count, hello, ms, post, priced, streamed,
};
use rusqlite::Connection as Database;
use serde_json::json;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tollgate_simulator::{Fault, Rule};

const TEXT: &str = "a b c d e f g h i j";

/// Begins so many streams, and waits until all of them run.
async fn stream(site: &Site, key: &str, streams: usize) -> Vec<(String, JoinHandle<Told>)> {
    let mut body = streamed(hello("m"));
    body["max_tokens"] = json!(ANSWER_TOKENS);
    let begin = |number: usize| {
        let call = format!("stream-{number}");
        let bearer = format!("Bearer {key}");
        let headers = [("authorization", bearer.as_str()), ("x-litellm-call-id", call.as_str())];
        let request = post(CHAT, &headers, body.to_string().as_bytes());
        let address = site.gateway.address;
        let told = tokio::spawn(async move {
            let mut connection = Connection::open(address).await;
            connection.write(&request).await;
            Told::read(&mut connection).await
        });
        (call, told)
    };
    let begun = (0..streams).map(begin).collect();
    site.until("all streams run", |site| site.simulator.active_requests() == streams).await;
    begun
}

/// Keeps everybody else from writing into the books.
fn lock(gateway: &Gateway) -> Database {
    let database = Database::open(gateway.folder().join(DATABASE)).unwrap();
    database.execute_batch("BEGIN IMMEDIATE").unwrap();
    database
}

/// Has so many requests answered.
async fn answer(site: &Site, key: &str, requests: usize) -> Vec<String> {
    let mut calls = Vec::new();
    for number in 0..requests {
        let call = ask(site.gateway.address, key.to_owned(), format!("answered-{number}")).await;
        calls.push(call.expect("it is answered"));
    }
    calls
}

async fn until_refused(gateway: &Gateway) {
    crate::support::patiently("nobody else is let in", async {
        while TcpStream::connect(gateway.address).await.is_ok() {
            tokio::time::sleep(ms(5)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn r33_an_end_that_is_asked_for_breaks_no_stream_and_brings_every_row_into_the_books() {
    let mut site = site("").await;
    let key = site.gateway.new_key(json!({"max_budget": 1_000})).await;
    let locked = lock(&site.gateway);
    let mut calls = answer(&site, &key, count(50, 500)).await;
    site.simulator.script().set_rules(vec![Rule::any(priced().text(TEXT).pace(ms(150)))]);
    let streams = stream(&site, &key, count(20, 100)).await;
    assert_eq!(rows(site.gateway.folder()).len(), 0, "all of it waits");
    site.gateway.ask_to_end().await;
    until_refused(&site.gateway).await;
    let whole = streams.len();
    for (call, told) in streams {
        assert_eq!(told.await.unwrap().complete("m"), TEXT, "{call}");
        calls.push(call);
    }
    drop(locked);
    site.gateway.ended().await;
    // What the process has left, before another one looks at it.
    let found = rows(site.gateway.folder());
    assert_eq!(found.len(), calls.len());
    for call in &calls {
        assert_eq!(found.get(call).map(Vec::as_slice), Some(&[(COST, false)][..]), "{call}");
    }
    assert_eq!(settled(site.gateway.folder()), COST * calls.len() as i128);
    eprintln!("{whole} streams whole, {} rows in the books", found.len());
    site.gateway.start_again().await;
    assert!(!site.gateway.log_text().contains("not closed properly"));
    site.simulator.script().set_rules(Vec::new());
    site.stop().await;
}

#[tokio::test]
async fn r33_streams_that_outlast_the_grace_are_told_so_and_paid_for() {
    let mut site = site("tollgate_settings: {drain_timeout_seconds: 1}\n").await;
    let key = site.gateway.new_key(json!({"max_budget": 1_000})).await;
    site.simulator.script().set_rules(vec![Rule::any(priced().text(TEXT).fault(Fault::Stall { after: 3 }))]);
    let streams = stream(&site, &key, count(10, 100)).await;
    site.gateway.ask_to_end().await;
    let mut calls = Vec::new();
    for (call, told) in streams {
        let told = told.await.unwrap();
        assert!(told.is_whole && told.error().is_some() && !told.is_done(), "{call}: {told:?}");
        // Of four letters each.
        assert_eq!(told.text(), "a b c d e f ", "{call}");
        calls.push(call);
    }
    site.gateway.ended().await;
    let found = rows(site.gateway.folder());
    assert_eq!(found.len(), calls.len());
    for call in &calls {
        assert!(matches!(found.get(call).map(Vec::as_slice), Some([(1.., false)])), "{call}");
    }
    assert!(!site.gateway.log_text().contains("taken out"), "no provider is to blame");
}

#[tokio::test]
async fn r33_rows_that_the_books_do_not_take_at_the_end_are_there_after_the_next_start() {
    let mut site = site("").await;
    let key = site.gateway.new_key(json!({"max_budget": 1_000})).await;
    let locked = lock(&site.gateway);
    let calls = answer(&site, &key, count(50, 500)).await;
    site.gateway.ask_to_end().await;
    site.gateway.ended().await;
    drop(locked);
    assert_eq!(rows(site.gateway.folder()).len(), 0);
    site.gateway.start_again().await;
    assert_eq!(site.gateway.spent(&key).await, COST * calls.len() as i128, "before the books have it");
    let folder = site.gateway.folder().to_owned();
    until_books("every row is in the books", || rows(&folder).len() == calls.len()).await;
    assert_eq!(settled(&folder), COST * calls.len() as i128);
    assert!(rows(&folder).values().all(|rows| rows.as_slice() == [(COST, false)]));
    site.stop().await;
}
