//! Tests of what callers cannot see: transactions, plans of statements, steps of the schema, queues.

use std::future::Future as _;
use std::pin::pin;
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};

use rusqlite::Connection;

use crate::books::{Account, Batch, Books, Claim, LogFilter, LogQuery, RecordChange, SpendRow};
use crate::error::{Fault, StoreError, Trouble};
use crate::migrate::{self, MIGRATIONS, Migration};
use crate::options::{Durability, Location, StoreOptions};
use crate::store::Store;
use crate::{Owner, overrides, responses};

async fn memory(options: &StoreOptions) -> Store {
    let store = Store::open(Location::Memory, options).await.unwrap();
    sql(&store, "CREATE TABLE marks (mark TEXT PRIMARY KEY)").await.unwrap();
    store
}

async fn sql(store: &Store, sql: &'static str) -> Result<(), StoreError> {
    store.write(Durability::Process, move |connection| Ok(connection.execute_batch(sql)?)).await
}

fn mark(connection: &Connection, mark: &str) -> Result<(), Fault> {
    connection.execute("INSERT INTO marks (mark) VALUES (?1)", [mark])?;
    Ok(())
}

async fn marks(store: &Store) -> Vec<String> {
    let all = |connection: &Connection| -> Result<Vec<String>, Fault> {
        let mut statement = connection.prepare("SELECT mark FROM marks ORDER BY rowid")?;
        let marks = statement.query_map([], |row| row.get(0))?;
        Ok(marks.collect::<Result<_, _>>()?)
    };
    store.read(all).await.unwrap()
}

/// What a write of a test does.
#[derive(Clone, Copy)]
enum Act {
    /// Leaves its mark.
    Mark,
    /// Leaves its mark, and fails.
    Fail,
    /// Leaves its mark, and panics.
    Panic,
    /// Leaves its mark, and ends everybody's transaction, as SQLite does when the disk is full.
    GiveUp,
}

fn act(connection: &Connection, name: &str, act: Act) -> Result<(), Fault> {
    mark(connection, name)?;
    match act {
        Act::Mark => Ok(()),
        Act::Fail => Err(StoreError::Busy(name.to_owned()).into()),
        Act::Panic => panic!("as the test wants it"),
        Act::GiveUp => {
            connection.execute_batch("ROLLBACK")?;
            Err(StoreError::Full(name.to_owned()).into())
        }
    }
}

/// Puts writes called 0, 1, 2 ... into one batch: the writer is held until all of them wait.
async fn batch(store: &Store, acts: &[Act]) -> Vec<Result<(), StoreError>> {
    let (started, has_started) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let mut context = Context::from_waker(Waker::noop());
    let mut first = pin!(store.write(Durability::Process, move |_| {
        let _ = started.send(());
        let _ = released.recv();
        Ok(())
    }));
    assert!(first.as_mut().poll(&mut context).is_pending());
    has_started.recv().unwrap();
    let mut writes: Vec<_> = Vec::new();
    for (number, wanted) in acts.iter().copied().enumerate() {
        let name = number.to_string();
        let work = move |connection: &Connection| act(connection, &name, wanted);
        let mut write = Box::pin(store.write(Durability::Process, work));
        assert!(write.as_mut().poll(&mut context).is_pending());
        writes.push(write);
    }
    release.send(()).unwrap();
    first.await.unwrap();
    let mut answers = Vec::new();
    for write in writes {
        answers.push(write.await);
    }
    answers
}

#[tokio::test]
async fn a_write_that_fails_or_panics_leaves_its_neighbours_alone() {
    let store = memory(&StoreOptions::default()).await;
    let answers = batch(&store, &[Act::Mark, Act::Fail, Act::Mark, Act::Panic, Act::Mark]).await;
    let expect = [Ok(()), Err(StoreError::Busy("1".into())), Ok(()), Err(StoreError::Interrupted), Ok(())];
    assert_eq!(answers, expect);
    assert_eq!(marks(&store).await, ["0", "2", "4"]);
}

#[tokio::test]
async fn a_transaction_that_sqlite_gave_up_is_an_error_for_each_of_its_writes() {
    let store = memory(&StoreOptions::default()).await;
    let full = Err(StoreError::Full("1".into()));
    let answers = batch(&store, &[Act::Mark, Act::GiveUp, Act::Mark]).await;
    assert_eq!(answers, [full.clone(), full.clone(), full]);
    assert_eq!(marks(&store).await, [""; 0]);
    assert_eq!(batch(&store, &[Act::Mark]).await, [Ok(())]);
    assert_eq!(marks(&store).await, ["0"]);
}

#[tokio::test]
async fn a_batch_ends_at_its_limit() {
    let store = memory(&StoreOptions { batch_max: 2, ..StoreOptions::default() }).await;
    let full = || Err(StoreError::Full("3".into()));
    let acts = [Act::Mark, Act::Mark, Act::Mark, Act::GiveUp, Act::Mark];
    assert_eq!(batch(&store, &acts).await, [Ok(()), Ok(()), full(), full(), Ok(())]);
    assert_eq!(marks(&store).await, ["0", "1", "4"]);
}

#[tokio::test]
async fn a_full_disk_is_told_as_such_and_passes() {
    let store = memory(&StoreOptions::default()).await;
    let limit = |connection: &Connection, pages: i64| -> Result<i64, Fault> {
        let sql = format!("PRAGMA max_page_count = {pages}");
        Ok(connection.query_row(&sql, [], |row| row.get(0))?)
    };
    let large = |connection: &Connection| mark(connection, &"x".repeat(1 << 20));
    store.write(Durability::Process, move |connection| limit(connection, 40)).await.unwrap();
    let error = store.write(Durability::Full, large).await.unwrap_err();
    assert_eq!(error, StoreError::Full("the store in memory".into()));
    assert!(error.is_passing());
    store.write(Durability::Process, move |connection| limit(connection, 4_000)).await.unwrap();
    store.write(Durability::Full, large).await.unwrap();
    assert_eq!(marks(&store).await.len(), 1);
}

#[tokio::test]
async fn each_write_chooses_what_it_outlives() {
    let store = memory(&StoreOptions::default()).await;
    let level = |connection: &Connection| -> Result<i64, Fault> {
        Ok(connection.query_row("PRAGMA synchronous", [], |row| row.get(0))?)
    };
    // 1 is NORMAL, 2 is FULL.
    for (durability, expect) in [(Durability::Process, 1), (Durability::Full, 2), (Durability::Process, 1)] {
        assert_eq!(store.write(durability, level).await, Ok(expect));
    }
}

#[tokio::test]
async fn a_full_queue_makes_callers_wait_and_loses_nobody() {
    let store = memory(&StoreOptions { queue_max: 1, ..StoreOptions::default() }).await;
    let (started, has_started) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let mut context = Context::from_waker(Waker::noop());
    let mut running = pin!(store.write(Durability::Process, move |connection| {
        let _ = started.send(());
        let _ = released.recv();
        mark(connection, "running")
    }));
    assert!(running.as_mut().poll(&mut context).is_pending());
    has_started.recv().unwrap();
    let mut queued = pin!(store.write(Durability::Process, |connection| mark(connection, "queued")));
    assert!(queued.as_mut().poll(&mut context).is_pending());
    let mut outside = pin!(store.write(Durability::Process, |connection| mark(connection, "outside")));
    for _ in 0..3 {
        assert!(outside.as_mut().poll(&mut context).is_pending());
    }
    // One that gives up before it was let in is never run.
    {
        let mut gone = pin!(store.write(Durability::Process, |connection| mark(connection, "gone")));
        assert!(gone.as_mut().poll(&mut context).is_pending());
    }
    let mut closing = pin!(store.close());
    assert!(closing.as_mut().poll(&mut context).is_pending());
    release.send(()).unwrap();
    let (running, queued, outside, ()) = tokio::join!(running, queued, outside, closing);
    assert_eq!((running, queued, outside), (Ok(()), Ok(()), Ok(())));
    assert_eq!(sql(&store, "SELECT 1").await, Err(StoreError::Closed));
}

#[tokio::test]
async fn a_write_whose_caller_has_gone_is_carried_out_once_it_is_queued() {
    let store = memory(&StoreOptions::default()).await;
    {
        let mut write = pin!(store.write(Durability::Process, |connection| mark(connection, "kept")));
        let polled = write.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(polled, Poll::Pending | Poll::Ready(Ok(()))));
    }
    assert_eq!(marks(&store).await, ["kept"]);
}

fn migrated(migrations: &[Migration]) -> (Connection, Result<(), StoreError>) {
    let mut connection = Connection::open_in_memory().unwrap();
    let result = migrate::migrate(&mut connection, &Location::Memory, migrations);
    (connection, result.map_err(|fault| fault.at(&Location::Memory)))
}

fn rows(connection: &Connection, sql: &str) -> Vec<String> {
    let mut statement = connection.prepare(sql).unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

#[test]
fn steps_are_numbered_by_their_place() {
    let versions: Vec<i64> = MIGRATIONS.iter().map(|migration| migration.version).collect();
    assert_eq!(versions, (1..=versions.len() as i64).collect::<Vec<_>>());
}

#[test]
fn every_statement_finds_its_rows_by_an_index() {
    let (connection, result) = migrated(MIGRATIONS);
    assert_eq!(result, Ok(()));
    for (statement, expect) in responses::plans().into_iter().chain(overrides::plans()) {
        let mut explained = connection.prepare(&format!("EXPLAIN QUERY PLAN {statement}")).unwrap();
        let arguments = explained.parameter_count();
        let arguments = rusqlite::params_from_iter((0..arguments).map(|_| 1));
        let steps = explained.query_map(arguments, |row| row.get::<_, String>("detail")).unwrap();
        let steps: Vec<String> = steps.map(Result::unwrap).collect();
        assert_eq!(steps, expect, "{statement}");
    }
}

#[test]
fn a_step_that_fails_leaves_the_file_at_the_version_before_it() {
    let good = Migration { version: 1, name: "good", sql: "CREATE TABLE a (x)" };
    let bad = Migration { version: 2, name: "bad", sql: "CREATE TABLE b (x); CREATE TABLE a (x)" };
    let mut steps = [good, bad];
    let (mut connection, result) = migrated(&steps);
    let text = "the store in memory: the step to schema version 2 failed: table a already exists";
    assert_eq!(result.unwrap_err().to_string(), text);
    assert_eq!(rows(&connection, "SELECT name FROM sqlite_schema ORDER BY name"), ["a", "schema_version"]);
    assert_eq!(rows(&connection, "SELECT name FROM schema_version"), ["good"]);
    steps[1].sql = "CREATE TABLE b (x)";
    assert!(migrate::migrate(&mut connection, &Location::Memory, &steps).is_ok());
    // Again: nothing is left to be taken.
    assert!(migrate::migrate(&mut connection, &Location::Memory, &steps).is_ok());
    assert_eq!(rows(&connection, "SELECT name FROM schema_version ORDER BY version"), ["good", "bad"]);
}

#[test]
fn steps_are_taken_from_where_the_file_stands() {
    let (mut connection, result) = migrated(MIGRATIONS);
    assert_eq!(result, Ok(()));
    let released = MIGRATIONS.iter().map(|m| Migration { version: m.version, name: m.name, sql: "broken" });
    let next = MIGRATIONS.len() as i64 + 1;
    let added = Migration { version: next, name: "next", sql: "CREATE TABLE next (x)" };
    let steps: Vec<Migration> = released.chain([added]).collect();
    assert!(migrate::migrate(&mut connection, &Location::Memory, &steps).is_ok());
    // And the release before it refuses the file from now on.
    let error = migrate::inspect(&connection, &Location::Memory, next - 1).unwrap_err().at(&Location::Memory);
    let expect = StoreError::SchemaNewer { file: "the store in memory".into(), found: next, known: next - 1 };
    assert_eq!(error, expect);
}

/// Rows of every version, as the release that made it wrote them: never changed, like the steps.
const ROWS: [&str; 7] = [
    "INSERT INTO responses (owner, id, previous_id, model_group, deployment_id, provider_response_id, status, \
     created_at, expires_at, input_items, response) VALUES ('a', 'r1', NULL, 'gpt', 'eu', 'p1', 'completed', 1, 100, \
     x'5b5d', x'7b7d')",
    "INSERT INTO overrides (deployment_id, state, expires_at) VALUES ('eu', 'down', 100)",
    "INSERT INTO records (kind, id, doc, revision, updated_at) VALUES ('team', 'red', '{\"a\":1}', 1, 5); \
     INSERT INTO deletions (kind, id, revision) VALUES ('key', 'k', 2); UPDATE heads SET revision = 2",
    "INSERT INTO accounts (kind, id, model, cadence, start, settled) VALUES ('team', 'red', '', '', 0, '12'); \
     INSERT INTO journals (journal, segment, place) VALUES ('j', 3, 4); \
     INSERT INTO daily VALUES ('global', '', '2026-11-22', 'k', 'm', 'g', 'p', '12', 1, 2, 3, 4, 5, 6, 6, 0, 0, 9); \
     INSERT INTO attempts VALUES ('0000000000000000000000000000000f', 'r1', 'c1', 'acompletion', NULL, 'k', NULL, NULL, \
     NULL, NULL, NULL, 'm', 'mi', 'g', 'p', '', 1, 2, 0, 'success', 200, 1, 2, 3, 0, 0, 0, 0, 0, 0, 0, 0, '', 12, 12, '', \
     0, 0, 0, 0, 0, '', '', '', '', '', '', '', '', '', '')",
    "INSERT INTO told (kind, id, model, cadence, start, threshold, mark) VALUES ('report', '', '', '7d', 5, '', 0)",
    "INSERT INTO attempts SELECT '0000000000000000000000000000000e', 'c2', 'c2', call_type, session_id, api_key, user_id, \
     team_id, organization_id, project_id, end_user, model, model_id, model_group, provider, api_base, started_at, \
     ended_at, first_token_at, status, status_code, prompt_tokens, completion_tokens, total_tokens, cache_read_tokens, \
     cache_write_tokens, cache_write_1h_tokens, reasoning_tokens, audio_input_tokens, audio_output_tokens, \
     image_input_tokens, image_output_tokens, usage, cost, charged, prices, estimated, recovered, unpriced, overhead, \
     cache_hit, cache_key, tags, metadata, requester_ip, agent_id, tool_name, messages, response, proxy_request, accounts \
     FROM attempts",
    "INSERT INTO attempts SELECT '0000000000000000000000000000000d', 'c3', 'c3', call_type, session_id, api_key, user_id, \
     team_id, organization_id, project_id, end_user, model, model_id, model_group, provider, api_base, started_at, \
     ended_at, first_token_at, status, status_code, prompt_tokens, completion_tokens, total_tokens, cache_read_tokens, \
     cache_write_tokens, cache_write_1h_tokens, reasoning_tokens, audio_input_tokens, audio_output_tokens, \
     image_input_tokens, image_output_tokens, usage, cost, charged, estimated, recovered, unpriced, overhead, \
     cache_hit, cache_key, tags, metadata, requester_ip, agent_id, tool_name, messages, response, proxy_request, accounts \
     FROM attempts WHERE request_id = 'c2'",
];

/// How many attempts have this request's id.
async fn found(books: &Books, request_id: &str) -> u64 {
    let filter = LogFilter { request_ids: vec![request_id.to_owned()], ..LogFilter::default() };
    books.spend_logs(LogQuery { filter, ..LogQuery::default() }).await.unwrap().total
}

/// A file as the release of that version left it.
fn file_of_version(path: &std::path::Path, version: usize) {
    let mut connection = Connection::open(path).unwrap();
    assert!(migrate::migrate(&mut connection, &Location::Memory, &MIGRATIONS[..0]).is_ok());
    for (place, rows) in ROWS[..version].iter().enumerate() {
        assert!(migrate::migrate(&mut connection, &Location::Memory, &MIGRATIONS[..=place]).is_ok());
        connection.execute_batch(rows).unwrap();
    }
}

#[tokio::test]
async fn a_file_of_every_earlier_version_is_brought_up_with_what_is_in_it() {
    assert_eq!(ROWS.len(), MIGRATIONS.len(), "a new version needs rows");
    for version in 0..=MIGRATIONS.len() {
        let path = std::env::temp_dir().join(format!("tollgate-version-{}-{version}.db", std::process::id()));
        let _ = std::fs::remove_file(&path);
        file_of_version(&path, version);
        let store = Store::open(Location::File(path.clone()), &StoreOptions::default()).await.unwrap();
        let books = Books::of_store(store.clone());
        let response = store.responses().get(&Owner::new("a"), "r1", 50).await.unwrap();
        assert_eq!(response.map(|found| found.response), (version >= 1).then(|| b"{}".to_vec()));
        assert_eq!(store.overrides().all(50, 9).await.unwrap().len(), usize::from(version >= 2));
        let changes = books.changes_since(0).await.unwrap();
        let expect = if version >= 3 { (1, 1, 2) } else { (0, 0, 0) };
        assert_eq!((changes.written.len(), changes.deleted.len(), changes.revision), expect, "{version}");
        let accounts = books.load_accounts(0).await.unwrap();
        let amounts: Vec<i128> = accounts.iter().map(|settled| settled.amount).collect();
        assert_eq!(amounts, if version >= 4 { vec![12] } else { vec![] }, "{version}");
        assert_eq!(books.checkpoint("j").await.unwrap().is_some(), version >= 4);
        let account =
            Account { kind: "report".to_owned(), cadence: "7d".to_owned(), start: 5, ..Account::default() };
        let claim = Claim { account, ..Claim::default() };
        assert_eq!(books.claim_once(vec![claim]).await.unwrap(), [version < 5]);
        for (id, since) in [("r1", 4), ("c2", 6), ("c3", 7)] {
            assert_eq!(found(&books, id).await, u64::from(version >= since), "{id} {version}");
        }
        assert_eq!(found(&books, "c1").await, 0, "the call's id is not the request's");
        // And it goes on from there.
        assert_eq!(books.commit(RecordChange::default()).await, Ok(expect.2 + 1));
        let rows = vec![SpendRow { attempt_id: 1, cost: 5, ..SpendRow::default() }];
        assert_eq!(books.post(Batch { rows, ..Batch::default() }).await, Ok(1));
        assert_eq!(store.verify().await, Ok(()));
        store.close().await;
        std::fs::remove_file(&path).unwrap();
    }
}

#[test]
fn every_error_says_whose_trouble_it_is() {
    let check = |error: StoreError, expect: Trouble| assert_eq!(error.trouble(), expect, "{error:?}");
    let text = || "text".to_owned();
    check(StoreError::Busy(text()), Trouble::Unavailable);
    check(StoreError::Full(text()), Trouble::Unavailable);
    check(StoreError::Closed, Trouble::Unavailable);
    check(StoreError::Interrupted, Trouble::Unavailable);
    check(StoreError::Unavailable { database: text(), detail: text() }, Trouble::Unavailable);
    check(StoreError::Corrupt { file: text(), detail: text() }, Trouble::Unavailable);
    check(StoreError::SchemaNewer { file: text(), found: 2, known: 1 }, Trouble::Unavailable);
    check(StoreError::Conflict { kind: text(), id: text() }, Trouble::Conflict);
    check(StoreError::Invalid(text()), Trouble::Bad);
    check(StoreError::TooLarge { bytes: 2, bytes_max: 1 }, Trouble::Bad);
    check(StoreError::Other { file: text(), detail: text() }, Trouble::Defect);
}

#[tokio::test]
async fn books_in_a_file_that_another_process_locks_are_unavailable_and_keep_nothing_by_halves() {
    let path = std::env::temp_dir().join(format!("tollgate-locked-{}.db", std::process::id()));
    let options =
        StoreOptions { busy_timeout: std::time::Duration::from_millis(20), ..StoreOptions::default() };
    let store = Store::open(Location::File(path.clone()), &options).await.unwrap();
    let books = Books::of_store(store.clone());
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let rows = vec![SpendRow { attempt_id: 1, cost: 5, ..SpendRow::default() }];
    let one = Batch { rows, ..Batch::default() };
    assert_eq!(books.post(one.clone()).await.unwrap_err().trouble(), Trouble::Unavailable);
    let refused = books.commit(RecordChange::default()).await.unwrap_err();
    assert_eq!(refused.trouble(), Trouble::Unavailable);
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(books.post(one.clone()).await, Ok(1));
    assert_eq!(books.post(one).await, Ok(0));
    assert_eq!(books.commit(RecordChange::default()).await, Ok(1));
    store.close().await;
    drop(other);
    std::fs::remove_file(&path).unwrap();
}
