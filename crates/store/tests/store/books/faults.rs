//! PostgreSQL that is away, dead, full, frozen or cut off in the wrong moment.

use std::time::Duration;

use tollgate_store::books::{
    Batch, Books, Checkpoint, LogQuery, PostgresOptions, Put, RecordChange, SpendRow, SumQuery,
};
use tollgate_store::{StoreError, Trouble};

use super::proxy::{Proxy, Wire};
use super::server::{self, Schema, Server};
use super::{batch, row};

/// Limits that a test can wait for.
fn hasty(schema: &str) -> PostgresOptions {
    PostgresOptions {
        schema: schema.to_owned(),
        connections: 2,
        acquire_timeout: Duration::from_millis(500),
        connect_timeout: Duration::from_millis(1_500),
        statement_timeout: Duration::from_millis(500),
        transaction_timeout: Duration::from_millis(1_500),
        load_timeout: Duration::from_millis(1_500),
        poll_interval: Duration::from_millis(100),
        ..PostgresOptions::default()
    }
}

fn books(url: &str, schema: &str) -> Books {
    Books::postgres(url, hasty(schema)).unwrap()
}

/// Reads and writes are answered that it is unavailable, and in time. Returns what is said of a write.
async fn check_unavailable(books: &Books) -> String {
    let in_time = Duration::from_secs(20);
    let posted = tokio::time::timeout(in_time, books.post(batch(1, vec![row(999, 1)]))).await.unwrap();
    let read = tokio::time::timeout(in_time, books.records()).await.unwrap().map(|_| 0);
    for error in [posted.clone().unwrap_err(), read.unwrap_err()] {
        assert_eq!(error.trouble(), Trouble::Unavailable, "{error}");
        let text = format!("{error} {error:?}");
        assert!(!text.contains("secret") && !text.contains("INSERT") && !text.contains("SELECT"), "{text}");
    }
    posted.unwrap_err().to_string()
}

/// As one does who does not give up.
async fn until_posted(books: &Books, batch: &Batch) -> u64 {
    for _ in 0..200 {
        match books.post(batch.clone()).await {
            Ok(inserted) => return inserted,
            Err(error) => assert_eq!(error.trouble(), Trouble::Unavailable, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it never went through");
}

#[tokio::test]
async fn a_connection_that_is_cut_at_its_commit_loses_and_doubles_nothing() {
    let posts: u64 = if std::env::var_os("TOLLGATE_TEST_LONG").is_some() { 1_000 } else { 60 };
    let schema = Schema::new(server::shared());
    let config: tokio_postgres::Config = schema.url.parse().unwrap();
    let port = config.get_ports()[0];
    let proxy = Proxy::to(port).await;
    let url = schema.url.replace(&format!(":{port}/"), &format!(":{}/", proxy.port));
    let books =
        Books::postgres(&url, PostgresOptions { schema: schema.name.clone(), ..PostgresOptions::default() });
    let books = books.unwrap();
    books.ready().await.unwrap();
    let (mut told, mut cut) = (0, 0);
    for number in 0..posts {
        let rows: Vec<SpendRow> =
            (0..3).map(|place| row(u128::from(number * 3 + place), i128::from(number + place))).collect();
        let one = batch(number + 1, rows);
        // Two of three commits are cut.
        proxy.set(if number % 3 == 2 { Wire::Whole } else { Wire::CutAtCommit });
        if books.post(one.clone()).await.is_ok() {
            told += 1;
            continue;
        }
        cut += 1;
        proxy.set(Wire::Whole);
        until_posted(&books, &one).await;
    }
    assert_eq!((told, cut, proxy.cuts()), (posts / 3, posts - posts / 3, posts - posts / 3));
    let expect: i128 = (0..posts).map(|number| 3 * i128::from(number) + 3).sum();
    let accounts = books.load_accounts(0).await.unwrap();
    assert_eq!(accounts.iter().map(|settled| settled.amount).collect::<Vec<_>>(), [expect, expect]);
    let totals = books.sums(SumQuery::default()).await.unwrap()[0].totals;
    assert_eq!((totals.spend, totals.requests), (expect, posts * 3));
    assert_eq!(books.spend_logs(LogQuery::default()).await.unwrap().total, posts * 3);
    let checkpoint = books.checkpoint("journal-1").await.unwrap();
    assert_eq!(checkpoint, Some(Checkpoint { segment: 1, offset: posts }));
    books.close().await;
}

#[tokio::test]
async fn a_wire_that_goes_dead_is_unavailable_and_comes_back() {
    let schema = Schema::new(server::shared());
    let config: tokio_postgres::Config = schema.url.parse().unwrap();
    let port = config.get_ports()[0];
    let proxy = Proxy::to(port).await;
    let books = books(&schema.url.replace(&format!(":{port}/"), &format!(":{}/", proxy.port)), &schema.name);
    books.post(batch(1, vec![row(1, 5)])).await.unwrap();
    proxy.set(Wire::Dead);
    assert_eq!(books.place(), format!("PostgreSQL at 127.0.0.1:{}/postgres", proxy.port));
    let said = check_unavailable(&books).await;
    assert!(said.ends_with("it does not answer in time") || said.ends_with("it does not answer"), "{said}");
    // Many at once get their answer too.
    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let books = books.clone();
        waiting.spawn(async move { tokio::time::timeout(Duration::from_secs(30), books.records()).await });
    }
    let answers = waiting.join_all().await;
    assert!(
        answers.into_iter().all(|answer| answer.unwrap().is_err_and(|e| e.trouble() == Trouble::Unavailable))
    );
    proxy.set(Wire::Whole);
    assert_eq!(until_posted(&books, &batch(2, vec![row(1, 5), row(2, 5)])).await, 1);
}

#[tokio::test]
async fn a_server_that_stops_freezes_or_is_full_is_unavailable_and_comes_back() {
    let mut server =
        Server::start(&["max_connections=6", "superuser_reserved_connections=0", "max_wal_senders=0"]);
    let books = books(&server.url(), "gate");
    assert_eq!(books.ready().await, Ok(0));
    books.post(batch(1, vec![row(1, 5)])).await.unwrap();

    // Its connections are ended while nobody uses them: nobody notices.
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'tollgate'";
    server::execute(&server.url(), end).await.unwrap();
    for number in 2..6 {
        assert_eq!(books.post(batch(1, vec![row(number, 5)])).await, Ok(1));
    }

    // Stopped, and started again.
    server.stop();
    let said = check_unavailable(&books).await;
    assert!(said.contains("it cannot be reached: connection refused") || said.contains("broke"), "{said}");
    server.run();
    assert_eq!(until_posted(&books, &batch(2, vec![row(6, 5)])).await, 1);

    // Frozen by its operator.
    let freeze = |on: &str| format!("ALTER DATABASE postgres SET default_transaction_read_only TO {on}");
    server::execute(&server.url(), &freeze("on")).await.unwrap();
    server::execute(&server.url(), end).await.unwrap();
    let posted = books.post(batch(1, vec![row(7, 1)])).await.unwrap_err();
    assert_eq!(posted.trouble(), Trouble::Unavailable);
    assert!(posted.to_string().ends_with("it can only be read (25006)"), "{posted}");
    assert_eq!(books.load_accounts(0).await.unwrap().len(), 2, "what can be read is read");
    let thaw = format!("BEGIN READ WRITE; {}; COMMIT", freeze("off"));
    server::execute(&server.url(), &thaw).await.unwrap();
    assert_eq!(until_posted(&books, &batch(2, vec![row(7, 5)])).await, 1);

    // Full of others.
    server::execute(&server.url(), end).await.unwrap();
    let mut others = Vec::new();
    for _ in 0..50 {
        match tokio_postgres::connect(&server.url(), tokio_postgres::NoTls).await {
            Ok((client, connection)) => {
                tokio::spawn(connection);
                others.push(client);
            }
            Err(_) => break,
        }
    }
    let said = check_unavailable(&books).await;
    assert!(said.ends_with("it has too many connections (53300)"), "{said}");
    others.clear();
    assert_eq!(until_posted(&books, &batch(2, vec![row(8, 5)])).await, 1);
    let accounts = books.load_accounts(0).await.unwrap();
    assert_eq!(accounts.iter().map(|settled| settled.amount).collect::<Vec<_>>(), [40, 40]);
    books.close().await;
}

#[tokio::test]
async fn who_waits_for_a_lock_is_told_in_time() {
    let schema = Schema::new(server::shared());
    let books = books(&schema.url, &schema.name);
    books.ready().await.unwrap();
    let (client, connection) = tokio_postgres::connect(&schema.url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let lock = |table: &str| format!("BEGIN; LOCK TABLE {}.{table} IN ACCESS EXCLUSIVE MODE", schema.name);
    client.batch_execute(&lock("heads")).await.unwrap();
    let put = Put { kind: "key".to_owned(), id: "k".to_owned(), doc: "{}".to_owned(), ..Put::default() };
    let change = RecordChange { puts: vec![put], ..RecordChange::default() };
    let error = books.commit(change.clone()).await.unwrap_err();
    assert!(error.to_string().ends_with("a lock was not to be had in time (55P03)"), "{error}");
    assert_eq!(error.trouble(), Trouble::Unavailable);
    client.batch_execute("ROLLBACK").await.unwrap();
    client.batch_execute(&lock("attempts")).await.unwrap();
    let error = books.spend_logs(LogQuery::default()).await.unwrap_err();
    assert_eq!(error.trouble(), Trouble::Unavailable);
    client.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(books.commit(change).await, Ok(1));
}

#[tokio::test]
async fn what_is_wrong_with_an_address_is_said_without_its_password() {
    let right = server::shared();
    let config: tokio_postgres::Config = right.parse().unwrap();
    let place = format!("PostgreSQL at 127.0.0.1:{}", config.get_ports()[0]);
    let check = async |url: String, expect: &str| {
        let error = books(&url, "gate").ready().await.unwrap_err();
        assert_eq!(error.trouble(), Trouble::Unavailable, "{error}");
        assert_eq!(error.to_string(), expect);
    };
    let password = std::str::from_utf8(config.get_password().unwrap()).unwrap();
    let wrong = right.replace(&format!(":{password}@"), ":opensesame@");
    check(wrong, &format!("{place}/postgres: it refuses the user or the password (28P01)")).await;
    let nowhere = right.replace("/postgres", "/nowhere");
    check(nowhere, &format!("{place}/nowhere: there is no such database (3D000)")).await;
    let host = "postgresql://ann:opensesame@127.0.0.1:1/gate".to_owned();
    let expect = "PostgreSQL at 127.0.0.1:1/gate: it cannot be reached: connection refused";
    check(host, expect).await;
    let secure = format!("{}?sslmode=require", right.split('?').next().unwrap());
    let error = books(&secure, "gate").ready().await.unwrap_err();
    assert!(error.to_string().starts_with(&place), "{error}");
    assert_eq!(error.trouble(), Trouble::Unavailable);
}

#[tokio::test]
async fn gateways_that_start_together_make_one_schema() {
    let schema = Schema::new(server::shared());
    let mut starting = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let options =
            PostgresOptions { schema: schema.name.clone(), connections: 2, ..PostgresOptions::default() };
        let books = Books::postgres(&schema.url, options).unwrap();
        starting.spawn(async move { books.ready().await });
    }
    assert!(starting.join_all().await.iter().all(|ready| *ready == Ok(0)));
    // A newer release was here: this one leaves everything as it is.
    let newer = format!("INSERT INTO {}.schema_version VALUES (99, 'later')", schema.name);
    server::execute(&schema.url, &newer).await.unwrap();
    let error = books(&schema.url, &schema.name).ready().await.unwrap_err();
    assert!(matches!(error, StoreError::SchemaNewer { found: 99, known: 5, .. }), "{error}");
}

#[tokio::test]
async fn a_change_of_one_gateway_is_heard_by_another_also_after_its_ear_was_cut_off() {
    let schema = Schema::new(server::shared());
    let (one, other) = (books(&schema.url, &schema.name), books(&schema.url, &schema.name));
    let mut heard = other.listen().unwrap();
    let mut also = other.listen().unwrap();
    let hear = async |heard: &mut tokio::sync::watch::Receiver<i64>, revision: i64| {
        let waiting = heard.wait_for(|heard| *heard == revision);
        tokio::time::timeout(Duration::from_secs(30), waiting).await.unwrap().unwrap();
    };
    for revision in 1..=3 {
        assert_eq!(one.commit(RecordChange::default()).await, Ok(revision));
        hear(&mut heard, revision).await;
        hear(&mut also, revision).await;
    }
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
               WHERE application_name = 'tollgate' AND pid <> pg_backend_pid()";
    // The server is shared with other tests; they come back too.
    let _ = server::execute(&schema.url, &format!("{end} AND query LIKE '%{}%'", schema.name)).await;
    assert_eq!(one.commit(RecordChange::default()).await, Ok(4));
    hear(&mut heard, 4).await;
}

#[tokio::test]
async fn a_search_that_takes_too_long_is_ended_by_the_server_and_a_report_is_waited_for() {
    let schema = Schema::new(server::shared());
    let limits = PostgresOptions {
        schema: schema.name.clone(),
        search_timeout: Duration::from_millis(200),
        ..PostgresOptions::default()
    };
    let books = Books::postgres(&schema.url, limits).unwrap();
    books.post(batch(1, vec![row(1, 1)])).await.unwrap();
    assert_eq!(books.spend_logs(LogQuery::default()).await.unwrap().rows.len(), 1);
    let slow = |table: &str| {
        format!(
            "SET search_path TO {}; ALTER TABLE {table} RENAME TO kept; CREATE VIEW {table} AS SELECT kept.* FROM \
             kept, pg_sleep(1)",
            schema.name
        )
    };
    server::execute(&schema.url, &slow("attempts")).await.unwrap();
    let error = books.spend_logs(LogQuery::default()).await.unwrap_err();
    assert_eq!(error.trouble(), Trouble::Unavailable, "{error}");
    assert!(error.to_string().contains("57014"), "{error}");
    let back = format!(
        "SET search_path TO {}; DROP VIEW attempts; ALTER TABLE kept RENAME TO attempts",
        schema.name
    );
    server::execute(&schema.url, &back).await.unwrap();
    server::execute(&schema.url, &slow("daily")).await.unwrap();
    assert_eq!(books.sums(SumQuery::default()).await.unwrap().len(), 1);
    assert_eq!(books.spend_logs(LogQuery::default()).await.unwrap().rows.len(), 1);
}
