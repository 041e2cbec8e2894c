//! Databases as every earlier release left them, with something in every table: today's release opens them and finds all of
//! it. And the steps themselves, which are never changed once they were released.

use std::path::Path;

use rusqlite::Connection;
use tollgate_store::books::{
    AuditEntry, AuditFilter, Books, Claim, Delete, Expected, Holds, Page, PostgresOptions, Put, RecordChange,
    Settled,
};
use tollgate_store::{Durability, Location, Store, StoreOptions, StoredOverride};

use super::server::{self, Schema, query};
use super::{account, batch, row};
use crate::folder::Folder;
use crate::{NOW, owner, turn};

/// The steps of the file: name, statements, and the mark of these (FNV-1a).
const FILE_STEPS: [(&str, &str, u64); 7] = [
    ("responses", include_str!("../../../src/migrations/0001_responses.sql"), 0xD525_1F62_CF2C_23E1),
    ("overrides", include_str!("../../../src/migrations/0002_overrides.sql"), 0x1E24_E451_698A_514E),
    ("records", include_str!("../../../src/migrations/0003_records.sql"), 0x5B42_FCA8_B8CE_3141),
    ("spend", include_str!("../../../src/migrations/0004_spend.sql"), 0xDAB6_B101_E9BD_975F),
    ("told", include_str!("../../../src/migrations/0005_told.sql"), 0xA1DF_FA55_459E_C15E),
    ("log", include_str!("../../../src/migrations/0006_log.sql"), 0xA594_8FD0_BBBC_39BD),
    ("prices", include_str!("../../../src/migrations/0007_prices.sql"), 0x1046_7C75_FD37_D186),
];

/// The steps of PostgreSQL.
const SERVER_STEPS: [(&str, &str, u64); 5] = [
    ("books", include_str!("../../../src/migrations/postgres/0001_books.sql"), 0x09CD_347B_75D5_D24B),
    ("following", include_str!("../../../src/migrations/postgres/0002_following.sql"), 0xBFE8_E143_046B_AEEB),
    ("log", include_str!("../../../src/migrations/postgres/0003_log.sql"), 0xA594_8FD0_BBBC_39BD),
    ("holds", include_str!("../../../src/migrations/postgres/0004_holds.sql"), 0x7157_835B_F0A7_541F),
    ("prices", include_str!("../../../src/migrations/postgres/0005_prices.sql"), 0x1046_7C75_FD37_D186),
];

/// Columns that are gone, of which no row has ever had anything.
const GONE: [(&str, &str); 1] = [("attempts", "prices")];

/// How rows of a table with these columns, of an earlier release, are copied from today's.
fn copy_of(table: &str, columns: &str, (to, from): (&str, &str)) -> String {
    let is_gone = |column: &&str| GONE.contains(&(table, column));
    let (gone, there): (Vec<&str>, Vec<&str>) = columns.split(", ").partition(is_gone);
    let (into, values) = (there.iter().chain(&gone), there.iter().copied().chain(gone.iter().map(|_| "''")));
    let list = |names: Vec<&str>| names.join(", ");
    let (into, values) = (list(into.copied().collect()), list(values.collect()));
    format!("INTO {to}{table} ({into}) SELECT {values} FROM {from}{table}; ")
}

/// Without the columns that are gone.
fn kept(tables: Vec<(String, String)>) -> Vec<(String, String)> {
    let keep = |(table, columns): (String, String)| {
        let is_there = |column: &&str| !GONE.contains(&(table.as_str(), column));
        let columns = columns.split(", ").filter(is_there).collect::<Vec<_>>().join(", ");
        (table, columns)
    };
    tables.into_iter().map(keep).collect()
}

fn mark(text: &str) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3);
    text.bytes().fold(0xCBF2_9CE4_8422_2325, step)
}

#[test]
fn a_step_that_was_released_is_never_changed() {
    for (name, text, known) in FILE_STEPS.into_iter().chain(SERVER_STEPS) {
        assert_eq!(mark(text), known, "{name}: 0x{:016X}", mark(text));
    }
}

/// Puts something into every table that there is.
async fn fill(books: &Books) {
    let put = |id: &str| Put {
        kind: "key".to_owned(),
        id: id.to_owned(),
        doc: format!(r#"{{"key_alias":"{id}","max_budget":1.5}}"#),
        expected: Expected::Any,
    };
    let audit = |id: &str| AuditEntry {
        at: 7,
        actor: "somebody".to_owned(),
        action: "created".to_owned(),
        kind: "key".to_owned(),
        object_id: id.to_owned(),
        after: Some("{}".to_owned()),
        ..AuditEntry::default()
    };
    let ids = ["a", "b", "ü"];
    let change = RecordChange {
        at: 1,
        puts: ids.iter().map(|id| put(id)).collect(),
        audits: ids.iter().map(|id| audit(id)).collect(),
        accounts: vec![Settled { account: account("team", "set"), amount: i128::from(u64::MAX) * 9 }],
        ..RecordChange::default()
    };
    books.commit(change).await.unwrap();
    let gone = Delete { kind: "key".to_owned(), id: "b".to_owned(), expected: Expected::Any };
    books.commit(RecordChange { at: 2, deletes: vec![gone], ..RecordChange::default() }).await.unwrap();
    let rows = (1..=5_u32).map(|number| tollgate_store::books::SpendRow {
        tags: vec![format!("tag-{number}")],
        ..row(number.into(), i128::from(number) * 1_000_000_007)
    });
    books.post(batch(9, rows.collect())).await.unwrap();
    books
        .claim(vec![Claim { account: account("key", "k"), threshold: "warn".to_owned(), mark: 5 }])
        .await
        .unwrap();
    let once = Claim { account: account("report", "r"), threshold: "told".to_owned(), mark: 0 };
    books.claim_once(vec![once]).await.unwrap();
    if books.are_shared() {
        books.join("a".to_owned()).await.unwrap();
        let held = vec![Settled { account: account("key", "k"), amount: 12 }];
        books.show_holds(Holds { gateway: "a".to_owned(), held }).await.unwrap();
    }
}

/// All that the books say.
async fn said(books: &Books) -> String {
    let audit = books.audit(AuditFilter::default(), Page::default()).await.unwrap();
    format!(
        "{:?}\n{:?}\n{:?}\n{:?}\n{:?}\n{audit:?}\n{:?}",
        books.records().await.unwrap(),
        books.changes_since(0).await.unwrap(),
        books.load_accounts(0).await.unwrap(),
        books.checkpoint("journal-1").await.unwrap(),
        books.scan_attempts(Default::default(), 100).await.unwrap(),
        books.verify_audit().await.unwrap(),
    )
}

/// What is written today goes in as ever.
async fn check_usable(books: &Books) {
    books.post(batch(10, vec![row(77, 3)])).await.unwrap();
    assert_eq!(
        books
            .scan_attempts(Default::default(), 100)
            .await
            .unwrap()
            .iter()
            .filter(|row| row.cost == 3)
            .count(),
        1
    );
    let put = Put {
        kind: "key".to_owned(),
        id: "new".to_owned(),
        doc: "{}".to_owned(),
        expected: Expected::Absent,
    };
    books.commit(RecordChange { at: 3, puts: vec![put], ..RecordChange::default() }).await.unwrap();
    assert!(books.records().await.unwrap().records.iter().any(|record| record.id == "new"));
}

/// The tables of a file with their columns.
fn file_tables(connection: &Connection, schema: &str) -> Vec<(String, String)> {
    let sql = format!(
        "SELECT name, (SELECT group_concat(name, ', ') FROM pragma_table_info(t.name, '{schema}')) \
         FROM {schema}.sqlite_schema AS t WHERE type = 'table' AND name <> 'schema_version' ORDER BY name"
    );
    let mut statement = connection.prepare(&sql).unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.map(Result::unwrap).collect()
}

/// The rows of these tables, as far as these columns go.
fn file_rows(file: &Path, tables: &[(String, String)]) -> Vec<(String, Vec<String>)> {
    let connection = Connection::open(file).unwrap();
    let rows = |(table, columns): &(String, String)| {
        let quoted: Vec<String> = columns.split(", ").map(|column| format!("quote({column})")).collect();
        let sql = format!("SELECT {} FROM {table} ORDER BY 1", quoted.join(" || '|' || "));
        let mut statement = connection.prepare(&sql).unwrap();
        let rows = statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        (table.clone(), rows)
    };
    tables.iter().map(rows).collect()
}

/// A file as the release left it whose last step was `version`, with the rows of today's.
fn file_of(version: usize, today: &Path) -> Folder {
    let folder = Folder::new();
    let connection = Connection::open(folder.file()).unwrap();
    let begin = "CREATE TABLE schema_version (version INTEGER PRIMARY KEY, name TEXT NOT NULL) STRICT; \
                 PRAGMA application_id = 1414285140; PRAGMA journal_mode = WAL";
    connection.execute_batch(begin).unwrap();
    for (place, (name, sql, _)) in FILE_STEPS.iter().enumerate().take(version) {
        connection.execute_batch(sql).unwrap();
        let row = format!("INSERT INTO schema_version VALUES ({}, '{name}')", place + 1);
        connection.execute_batch(&row).unwrap();
    }
    let attach = format!("ATTACH DATABASE '{}' AS today", today.display());
    connection.execute_batch(&attach).unwrap();
    for (table, columns) in file_tables(&connection, "main") {
        let copy = copy_of(&table, &columns, ("main.", "today."));
        connection.execute_batch(&format!("INSERT OR REPLACE {copy}")).unwrap();
    }
    folder
}

#[tokio::test]
async fn a_file_of_every_earlier_release_is_opened_with_everything_that_is_in_it() {
    let today = Folder::new();
    let store = Store::open(today.location(), &StoreOptions::default()).await.unwrap();
    store.responses().put(turn("a", "r1", None), Durability::Full).await.unwrap();
    store.responses().put(turn("a", "r2", Some("r1")), Durability::Full).await.unwrap();
    let word =
        StoredOverride { deployment_id: "d".to_owned(), state: "down".to_owned(), expires_at: NOW + 9 };
    store.overrides().put(word.clone(), Durability::Full).await.unwrap();
    let books = Books::of_store(store.clone());
    fill(&books).await;
    let all = said(&books).await;
    store.close().await;
    let newest = file_tables(&Connection::open(today.file()).unwrap(), "main");
    for (table, rows) in file_rows(&today.file(), &newest) {
        assert!(!rows.is_empty(), "nothing is in {table}");
    }
    for version in 1..=FILE_STEPS.len() {
        let folder = file_of(version, &today.file());
        let tables = kept(file_tables(&Connection::open(folder.file()).unwrap(), "main"));
        let before = file_rows(&folder.file(), &tables);
        assert_eq!(before, file_rows(&today.file(), &tables), "{version}");
        let store = Store::open(Location::File(folder.file()), &StoreOptions::default()).await.unwrap();
        for id in ["r1", "r2"] {
            assert!(store.responses().get(&owner("a"), id, NOW).await.unwrap().is_some(), "{version} {id}");
        }
        let words = if version >= 2 { vec![word.clone()] } else { Vec::new() };
        assert_eq!(store.overrides().all(NOW, 10).await.unwrap(), words, "{version}");
        let books = Books::of_store(store.clone());
        if version >= 4 {
            assert_eq!(said(&books).await, all);
        } else if version >= 3 {
            assert_eq!(books.records().await.unwrap().records.len(), 2);
        }
        assert_eq!(file_rows(&folder.file(), &tables), before, "{version}");
        if version < 4 {
            fill_after(&books, version).await;
        }
        check_usable(&books).await;
        store.verify().await.unwrap();
        store.close().await;
    }
}

/// What came with later steps can be used beside what was there.
async fn fill_after(books: &Books, version: usize) {
    let before = books.records().await.unwrap().records.len();
    assert_eq!(before, if version >= 3 { 2 } else { 0 });
    let check = books.verify_audit().await.unwrap();
    fill(books).await;
    assert_ne!(books.verify_audit().await.unwrap(), check);
    assert_eq!(books.scan_attempts(Default::default(), 100).await.unwrap().len(), 5);
}

/// The tables of a schema with their columns.
async fn server_tables(schema: &Schema) -> Vec<(String, String)> {
    let sql = format!(
        "SELECT CAST(table_name AS TEXT), string_agg(CAST(column_name AS TEXT), ', ' ORDER BY ordinal_position) \
         FROM information_schema.columns WHERE table_schema = '{}' AND table_name <> 'schema_version' \
         GROUP BY 1 ORDER BY 1",
        schema.name
    );
    let rows = query(&schema.url, &sql).await;
    rows.into_iter().map(|row| (row[0].clone(), row[1].clone())).collect()
}

async fn server_rows(schema: &Schema, tables: &[(String, String)]) -> Vec<(String, Vec<Vec<String>>)> {
    let mut all = Vec::new();
    for (table, columns) in tables {
        // Which transaction wrote an account is not the same where it was copied.
        let columns = columns.replace(", changed", "");
        let sql = format!(
            "SELECT CAST(row_to_json(t) AS TEXT) FROM (SELECT {columns} FROM {}.{table}) AS t ORDER BY 1",
            schema.name
        );
        all.push((table.clone(), query(&schema.url, &sql).await));
    }
    all
}

/// A schema as the release left it whose last step was `version`, with the rows of today's.
async fn schema_of(version: usize, today: &Schema) -> Schema {
    let schema = Schema::new(server::shared());
    let mut sql = format!(
        "CREATE SCHEMA {0}; SET search_path TO {0}; \
         CREATE TABLE schema_version (version BIGINT PRIMARY KEY, name TEXT NOT NULL);",
        schema.name
    );
    for (place, (name, step, _)) in SERVER_STEPS.iter().enumerate().take(version) {
        sql.push_str(&format!("{step}; INSERT INTO schema_version VALUES ({}, '{name}'); ", place + 1));
    }
    server::execute(&schema.url, &sql).await.unwrap();
    let mut copy = format!("SET search_path TO {}; DELETE FROM heads; ", schema.name);
    for (table, columns) in server_tables(&schema).await {
        let from = format!("{}.", today.name);
        copy.push_str(&format!("INSERT {}", copy_of(&table, &columns, ("", &from))));
    }
    server::execute(&schema.url, &copy).await.unwrap();
    schema
}

fn books_of(schema: &Schema) -> Books {
    let options = PostgresOptions { schema: schema.name.clone(), ..PostgresOptions::default() };
    Books::postgres(&schema.url, options).unwrap()
}

#[tokio::test]
async fn a_schema_of_every_earlier_release_is_used_with_everything_that_is_in_it() {
    let today = Schema::new(server::shared());
    let books = books_of(&today);
    fill(&books).await;
    let all = said(&books).await;
    let newest = server_tables(&today).await;
    for (table, rows) in server_rows(&today, &newest).await {
        assert!(!rows.is_empty(), "nothing is in {table}");
    }
    for version in 1..=SERVER_STEPS.len() {
        let schema = schema_of(version, &today).await;
        let tables = kept(server_tables(&schema).await);
        let before = server_rows(&schema, &tables).await;
        assert_eq!(before, server_rows(&today, &tables).await, "{version}");
        let books = books_of(&schema);
        assert_eq!(said(&books).await, all, "{version}");
        assert_eq!(server_rows(&schema, &tables).await, before, "{version}");
        assert_eq!(server_tables(&schema).await, newest, "{version}");
        // What was there before it is followed from now on as what came after it.
        let seen = books.accounts_seen().await.unwrap();
        check_usable(&books).await;
        let look = books.others("b".to_owned(), seen, false).await.unwrap();
        assert!(look.changes.accounts.iter().any(|settled| settled.account.id == "key-hash"), "{version}");
        books.close().await;
    }
}
