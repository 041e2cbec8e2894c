//! Records: written, expected, deleted, followed.

use tollgate_store::books::{Books, Delete, Expected, Put, Record, RecordChange, Records, Settled};
use tollgate_store::{StoreError, Trouble};

use super::{account, engines};

fn put(kind: &str, id: &str, doc: &str, expected: Expected) -> Put {
    Put { kind: kind.to_owned(), id: id.to_owned(), doc: doc.to_owned(), expected }
}

fn delete(kind: &str, id: &str, expected: Expected) -> Delete {
    Delete { kind: kind.to_owned(), id: id.to_owned(), expected }
}

fn record(kind: &str, id: &str, doc: &str, version: i64) -> Record {
    Record { kind: kind.to_owned(), id: id.to_owned(), doc: doc.to_owned(), version }
}

async fn write(books: &Books, puts: Vec<Put>, deletes: Vec<Delete>) -> Result<i64, StoreError> {
    books.commit(RecordChange { at: 1, puts, deletes, ..RecordChange::default() }).await
}

#[tokio::test]
async fn what_was_written_is_loaded_with_its_revision() {
    for engine in engines::all().await {
        let books = &engine.books;
        assert_eq!(books.records().await.unwrap().revision, 0, "{}", engine.name);
        let doc = r#"{"z":1,"a":"\u0000 \ud800 ünï","a":{}}"#;
        let first = write(books, vec![put("team", "red", doc, Expected::Any)], vec![]).await.unwrap();
        let puts = vec![put("key", "k1", "{}", Expected::Absent), put("key", "k2", "{}", Expected::Absent)];
        let second = write(books, puts, vec![]).await.unwrap();
        assert!(first < second);
        let loaded = books.records().await.unwrap();
        let expect = [
            record("key", "k1", "{}", second),
            record("key", "k2", "{}", second),
            record("team", "red", doc, first),
        ];
        // The document comes back as the bytes that it was.
        assert_eq!(loaded.records, expect, "{}", engine.name);
        assert!(loaded.records.iter().zip(&expect).all(|(found, expect)| found.doc == expect.doc));
        assert_eq!(loaded.revision, second);
    }
}

#[tokio::test]
async fn records_are_read_page_by_page_each_once_and_in_the_same_order() {
    for engine in engines::all().await {
        let books = &engine.books;
        assert_eq!(books.records_after(None, 3).await.unwrap(), Records::default(), "{}", engine.name);
        let ids = ["", "a", "a/b", "b", "B", "ü", "z"];
        let of_kind = |kind: &'static str| ids.iter().map(move |id| put(kind, id, "{}", Expected::Any));
        write(books, of_kind("key").chain(of_kind("team")).collect(), vec![]).await.unwrap();
        let all = books.records().await.unwrap();
        for limit in [1, 3, 7, 14, 20] {
            let (mut found, mut after) = (Vec::new(), None);
            loop {
                let page = books.records_after(after.take(), limit).await.unwrap();
                assert!(page.records.len() <= limit as usize);
                assert_eq!(page.revision, all.revision);
                let Some(last) = page.records.last() else { break };
                after = Some((last.kind.clone(), last.id.clone()));
                found.extend(page.records);
            }
            assert_eq!(found, all.records, "{} {limit}", engine.name);
        }
    }
}

#[tokio::test]
async fn a_change_that_expects_something_else_changes_nothing() {
    for engine in engines::all().await {
        let books = &engine.books;
        let version = write(books, vec![put("key", "k", "1", Expected::Absent)], vec![]).await.unwrap();
        let check = |puts: Vec<Put>, deletes: Vec<Delete>| async move {
            let error = write(books, puts, deletes).await.unwrap_err();
            assert_eq!(error, StoreError::Conflict { kind: "key".to_owned(), id: "k".to_owned() });
            assert_eq!(error.trouble(), Trouble::Conflict);
            assert_eq!(error.to_string(), "the key was changed by somebody else meanwhile");
        };
        let other = put("team", "t", "1", Expected::Any);
        check(vec![other.clone(), put("key", "k", "2", Expected::Absent)], vec![]).await;
        check(vec![other.clone(), put("key", "k", "2", Expected::Version(version + 1))], vec![]).await;
        check(vec![other], vec![delete("key", "k", Expected::Version(version + 1))]).await;
        check(vec![], vec![delete("key", "k", Expected::Absent)]).await;
        let loaded = books.records().await.unwrap();
        assert_eq!(loaded.records, [record("key", "k", "1", version)], "{}", engine.name);
        assert_eq!(loaded.revision, version, "a change that was refused has no revision");
        let next =
            write(books, vec![put("key", "k", "2", Expected::Version(version))], vec![]).await.unwrap();
        assert_eq!(books.records().await.unwrap().records, [record("key", "k", "2", next)]);
    }
}

#[tokio::test]
async fn a_record_that_was_deleted_and_written_again_has_another_version() {
    for engine in engines::all().await {
        let books = &engine.books;
        let first = write(books, vec![put("key", "k", "1", Expected::Any)], vec![]).await.unwrap();
        write(books, vec![], vec![delete("key", "k", Expected::Version(first))]).await.unwrap();
        write(books, vec![put("key", "k", "1", Expected::Absent)], vec![]).await.unwrap();
        let stale = write(books, vec![put("key", "k", "2", Expected::Version(first))], vec![]).await;
        assert_eq!(stale.unwrap_err().trouble(), Trouble::Conflict, "{}", engine.name);
        // What is not there is deleted already.
        assert!(write(books, vec![], vec![delete("key", "nobody", Expected::Any)]).await.is_ok());
        let missing = write(books, vec![], vec![delete("key", "nobody", Expected::Version(1))]).await;
        assert_eq!(missing.unwrap_err().trouble(), Trouble::Conflict);
    }
}

#[tokio::test]
async fn changes_are_told_from_a_revision_on_with_what_was_deleted() {
    for engine in engines::all().await {
        let books = &engine.books;
        let empty = books.changes_since(0).await.unwrap();
        assert_eq!((empty.written.len(), empty.deleted.len(), empty.revision), (0, 0, 0));
        let first = write(books, vec![put("key", "a", "1", Expected::Any)], vec![]).await.unwrap();
        let puts = vec![put("key", "b", "1", Expected::Any), put("key", "c", "1", Expected::Any)];
        let second = write(books, puts, vec![]).await.unwrap();
        let gone = vec![delete("key", "a", Expected::Any), delete("key", "b", Expected::Any)];
        let third = write(books, vec![], gone).await.unwrap();
        let fourth = write(books, vec![put("key", "b", "2", Expected::Absent)], vec![]).await.unwrap();
        let changes = books.changes_since(first).await.unwrap();
        assert_eq!(changes.written, [record("key", "c", "1", second), record("key", "b", "2", fourth)]);
        assert_eq!(changes.deleted, [("key".to_owned(), "a".to_owned())], "{}", engine.name);
        assert_eq!(changes.revision, fourth);
        let changes = books.changes_since(third).await.unwrap();
        assert_eq!((changes.written.len(), changes.deleted.len()), (1, 0));
        let changes = books.changes_since(fourth).await.unwrap();
        assert_eq!((changes.written.len(), changes.deleted.len(), changes.revision), (0, 0, fourth));
    }
}

#[tokio::test]
async fn what_cannot_be_kept_is_refused_alike() {
    let check = async |books: &Books, change: RecordChange, expect: &str| {
        let error = books.commit(change).await.unwrap_err();
        assert_eq!(error.trouble(), Trouble::Bad);
        assert_eq!(error.to_string(), expect);
    };
    for engine in engines::all().await {
        let change = |put: Put| RecordChange { puts: vec![put], ..RecordChange::default() };
        let any = Expected::Any;
        let zero = "a kind or an id has characters that it cannot have";
        check(&engine.books, change(put("", "k", "1", any)), zero).await;
        check(&engine.books, change(put("key", "a\0b", "1", any)), zero).await;
        check(&engine.books, change(put("key", &"x".repeat(514), "1", any)), "an id has more than 513 bytes")
            .await;
        check(&engine.books, change(put("key", "k", "\0", any)), "a document is no JSON").await;
        let twice = RecordChange {
            puts: vec![put("key", "k", "1", any)],
            deletes: vec![delete("key", "k", any)],
            ..RecordChange::default()
        };
        check(&engine.books, twice, "a change names one key twice").await;
        let rich = Settled { account: account("key", "k"), amount: 10_i128.pow(37) };
        let rich = RecordChange { accounts: vec![rich], ..RecordChange::default() };
        check(&engine.books, rich, "an amount of money is too large").await;
        assert!(write(&engine.books, vec![put("key", &"x".repeat(513), "1", any)], vec![]).await.is_ok());
    }
}

#[tokio::test]
async fn changes_at_the_same_time_have_revisions_of_their_own_and_none_is_lost() {
    for engine in engines::all().await {
        let mut writers = tokio::task::JoinSet::new();
        for number in 0..40 {
            let books = engine.books.clone();
            let change = put("key", &format!("k{number}"), "1", Expected::Absent);
            writers.spawn(async move { write(&books, vec![change], vec![]).await.unwrap() });
        }
        let mut revisions = writers.join_all().await;
        revisions.sort_unstable();
        assert_eq!(revisions, (1..=40).collect::<Vec<i64>>(), "{}", engine.name);
        assert_eq!(engine.books.records().await.unwrap().records.len(), 40);
    }
}

#[tokio::test]
async fn of_those_who_change_one_version_one_succeeds() {
    for engine in engines::all().await {
        let version = write(&engine.books, vec![put("key", "k", "0", Expected::Any)], vec![]).await.unwrap();
        let mut writers = tokio::task::JoinSet::new();
        for number in 1..=20 {
            let books = engine.books.clone();
            let change = put("key", "k", &number.to_string(), Expected::Version(version));
            writers.spawn(async move { write(&books, vec![change], vec![]).await });
        }
        let outcomes = writers.join_all().await;
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1, "{}", engine.name);
        let refused = outcomes.iter().filter_map(|outcome| outcome.as_ref().err());
        assert!(refused.map(StoreError::trouble).all(|trouble| trouble == Trouble::Conflict));
    }
}

/// A hundred thousand where there is time for it.
#[tokio::test]
async fn many_records_are_loaded_at_once() {
    let parts = if std::env::var_os("TOLLGATE_TEST_LONG").is_some() { 10 } else { 1 };
    for engine in engines::all().await {
        let doc = format!(r#"{{"models":["gpt-4o"],"metadata":{{"note":"{}"}}}}"#, "x".repeat(200));
        for part in 0..parts {
            let ids = (0..10_000).map(|number| format!("{part}-{number:05}"));
            let puts = ids.map(|id| put("key", &id, &doc, Expected::Absent)).collect();
            write(&engine.books, puts, vec![]).await.unwrap();
        }
        let start = std::time::Instant::now();
        let loaded = engine.books.records().await.unwrap();
        println!("{}: {} records in {:?}", engine.name, loaded.records.len(), start.elapsed());
        assert_eq!((loaded.records.len(), loaded.revision), (10_000 * parts, parts as i64));
    }
}
