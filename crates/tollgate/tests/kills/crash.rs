//! Kills in the midst of requests.

use crate::ground::{JOURNAL, ask, rows, settled, site, until_books};
use crate::support::{COST, Site, chat, count, ms};
use serde_json::json;
use std::path::Path;
use tollgate_identity::secret::Token;
use tollgate_ledger::journal::{Journal, Options, Sync};
use tollgate_store::books::{Account, SpendRow, Status};

/// Attempts of a journal that was never carried anywhere: two records each.
const LEFT: u64 = 50_000;

/// Asks so often at once in each of so many rounds, and kills the gateway in the midst of it. What was answered.
async fn kill_often(site: &mut Site, key: &str, rounds: usize, requests: usize) -> Vec<String> {
    let mut answered: Vec<String> = Vec::new();
    for round in 0..rounds {
        let (address, before) = (site.gateway.address, site.received().len());
        let calls = (0..requests)
            .map(|number| tokio::spawn(ask(address, key.to_owned(), format!("c-{round}-{number}"))));
        let calls: Vec<_> = calls.collect();
        // Another moment each time: before the first send, among the sends, among the replies, after the last of them.
        let sends = (round * 17) % (requests + 1);
        site.until("so many were sent", |site| site.received().len() >= before + sends).await;
        tokio::time::sleep(ms((round as u64 * 11) % 40)).await;
        site.gateway.restart(|_| {}).await;
        for call in calls {
            answered.extend(call.await.unwrap());
        }
    }
    answered
}

#[tokio::test]
async fn r31_a_kill_at_any_moment_loses_nothing_and_doubles_nothing() {
    let mut site = site("").await;
    let key = site.gateway.new_key(json!({"max_budget": 1_000})).await;
    let requests = count(40, 100);
    let mut answered = kill_often(&mut site, &key, count(5, 100), requests).await;
    // One whole round, so that something was answered in any case.
    for number in 0..requests {
        answered.extend(ask(site.gateway.address, key.clone(), format!("last-{number}")).await);
    }
    assert!(answered.len() >= requests, "{}", answered.len());
    let received = site.received().len();
    let spent = site.gateway.spent(&key).await;
    let folder = site.gateway.folder().to_owned();
    until_books("every row is in the books", || {
        let rows = rows(&folder);
        let all: usize = rows.values().map(Vec::len).sum();
        all >= received && answered.iter().all(|call| rows.contains_key(call))
    })
    .await;
    let rows = rows(&folder);
    let mut late = 0;
    for call in &answered {
        match rows.get(call).map(Vec::as_slice) {
            Some([(COST, false)]) => {}
            // Answered in the moment of the kill, before that was on the disk: booked as its intent says, and flagged.
            Some([(_, true)]) if !call.starts_with("last-") => late += 1,
            other => panic!("{call}: {other:?}"),
        }
    }
    let doubled: Vec<_> = rows.iter().filter(|(_, rows)| rows.len() > 1).collect();
    assert!(doubled.is_empty(), "{doubled:?}");
    let sum: i128 = rows.values().flatten().map(|(cost, _)| cost).sum();
    assert_eq!((settled(&folder), spent), (sum, sum), "the account is the sum of its rows");
    let recovered = rows.values().flatten().filter(|(_, recovered)| *recovered).count();
    eprintln!(
        "{} answered, {late} of them while it was killed, {received} received, {} rows, {recovered} recovered",
        answered.len(),
        rows.len()
    );
    site.stop().await;
}

/// A row of a key's that cost a cent.
fn row(attempt: u64, token: &str) -> SpendRow {
    let account = Account { kind: "key".to_owned(), id: token.to_owned(), ..Account::default() };
    SpendRow {
        attempt_id: u128::from(attempt),
        request_id: format!("left-{attempt}"),
        call_id: format!("left-{attempt}"),
        api_key: token.to_owned(),
        cost: 10_000_000_000,
        status: Status::Success,
        accounts: vec![account],
        ..SpendRow::default()
    }
}

/// Leaves a journal as a process does whose books were away all the time.
fn leave(folder: &Path, token: &str) {
    let options = Options { sync: Sync::Later, ..Options::default() };
    let (journal, _) = Journal::open(&folder.join(JOURNAL), options).unwrap();
    for attempt in 0..LEFT {
        let payload = row(attempt + 1, token).to_json();
        assert!(journal.note_intent(u128::from(attempt) + 1, &payload));
        assert!(journal.settle(u128::from(attempt) + 1, &payload));
    }
}

/// The bytes of the journal's files.
fn bytes(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder.join(JOURNAL)).unwrap();
    entries.map(|entry| entry.unwrap().metadata().unwrap().len()).sum()
}

#[tokio::test]
async fn r31_a_journal_of_100_000_records_is_read_in_few_steps_before_the_first_caller() {
    let mut site = site("").await;
    let key = site.gateway.new_key(json!({"max_budget": 1_000})).await;
    let token = Token::of(key.as_bytes());
    site.gateway.restart(|folder| leave(folder, token.as_str())).await;
    // A whole journal is read twice: for what is open, and for what the books do not have.
    let (read, calls) = site.gateway.reads();
    let (journal, megabytes) = (bytes(site.gateway.folder()), bytes(site.gateway.folder()) >> 20);
    assert!(megabytes > 10, "{megabytes}");
    let own = 16 << 20;
    assert!(read < 3 * journal + own, "{read} bytes of {journal} were read");
    assert!(calls < 2_000, "in {calls} calls");
    let log = site.gateway.log_text();
    assert!(log.contains(&format!("replayed={LEFT}")) && log.contains("orphans=0"), "{log}");
    // Its budget knows of all of it: $500 of $1,000.
    assert_eq!(site.gateway.spent(&key).await, i128::from(LEFT) * 10_000_000_000);
    let answer = chat(site.gateway.address, &key, "first").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    if count(0, 1) == 1 {
        let folder = site.gateway.folder().to_owned();
        until_books("all of it is in the books", || rows(&folder).len() as u64 > LEFT).await;
        assert_eq!(settled(&folder), i128::from(LEFT) * 10_000_000_000 + COST);
    }
    eprintln!("{journal} bytes of journal: {read} bytes read in {calls} calls");
}
