//! The audit: written with its change, found again, and whoever lays hands on it is found out.

use tollgate_store::books::{
    AuditCheck, AuditEntry, AuditFilter, AuditPage, Books, Expected, Page, Put, RecordChange, Tampering,
};

use super::engines::{self, Engine};

fn entry(number: i64) -> AuditEntry {
    AuditEntry {
        at: 1_000 * number,
        actor: format!("admin-{}", number % 2),
        actor_key: "key-hash".to_owned(),
        action: if number == 1 { "created" } else { "updated" }.to_owned(),
        kind: "team".to_owned(),
        object_id: format!("t{number}"),
        before: (number > 1).then(|| r#"{"a": 1}"#.to_owned()),
        after: Some(r#"{"a": 2}"#.to_owned()),
    }
}

async fn write(books: &Books, numbers: std::ops::RangeInclusive<i64>) {
    for number in numbers {
        let audits = vec![entry(number)];
        books.commit(RecordChange { at: 1, audits, ..RecordChange::default() }).await.unwrap();
    }
}

async fn found(books: &Books, filter: AuditFilter) -> Vec<i64> {
    let AuditPage { rows, total } = books.audit(filter, Page::default()).await.unwrap();
    assert_eq!(rows.len() as u64, total);
    rows.iter().map(|row| row.seq).collect()
}

#[tokio::test]
async fn a_change_and_its_audit_are_written_together_or_not_at_all() {
    for engine in engines::all().await {
        let put = |expected: Expected| Put {
            kind: "team".to_owned(),
            id: "t".to_owned(),
            expected,
            ..Put::default()
        };
        let change = |expected: Expected| RecordChange {
            puts: vec![put(expected)],
            audits: vec![entry(1), entry(2)],
            ..RecordChange::default()
        };
        engine.books.commit(change(Expected::Absent)).await.unwrap();
        engine.books.commit(change(Expected::Absent)).await.unwrap_err();
        let page = engine.books.audit(AuditFilter::default(), Page::default()).await.unwrap();
        assert_eq!(page.rows.iter().map(|row| row.seq).collect::<Vec<_>>(), [2, 1], "{}", engine.name);
        assert_eq!(page.rows.iter().map(|row| row.entry.clone()).collect::<Vec<_>>(), [entry(2), entry(1)]);
    }
}

#[tokio::test]
async fn rows_are_found_by_who_what_and_when() {
    for engine in engines::all().await {
        let books = &engine.books;
        write(books, 1..=5).await;
        let any = AuditFilter::default;
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(found(books, any()).await, [5, 4, 3, 2, 1], "{}", engine.name);
        assert_eq!(
            found(books, AuditFilter { actor: text("admin-1"), ascending: true, ..any() }).await,
            [1, 3, 5]
        );
        assert_eq!(found(books, AuditFilter { action: text("created"), ..any() }).await, [1]);
        assert_eq!(
            found(books, AuditFilter { kind: text("team"), object_id: text("t4"), ..any() }).await,
            [4]
        );
        assert_eq!(found(books, AuditFilter { from: Some(2_000), to: Some(4_000), ..any() }).await, [3, 2]);
        assert_eq!(found(books, AuditFilter { seq: Some(2), ..any() }).await, [2]);
        assert_eq!(found(books, AuditFilter { actor_key: text("other"), ..any() }).await, [0_i64; 0]);
        let part = books.audit(any(), Page { offset: 1, limit: 2 }).await.unwrap();
        assert_eq!((part.rows.iter().map(|row| row.seq).collect::<Vec<_>>(), part.total), (vec![4, 3], 5));
    }
}

#[tokio::test]
async fn an_audit_that_nobody_touched_is_whole() {
    for engine in engines::all().await {
        assert_eq!(engine.books.verify_audit().await, Ok(AuditCheck::default()), "{}", engine.name);
        // More than are read at a time.
        let audits = (1..=2_500).map(entry).collect();
        engine.books.commit(RecordChange { audits, ..RecordChange::default() }).await.unwrap();
        let check = engine.books.verify_audit().await.unwrap();
        assert_eq!((check.rows, check.broken, check.last_hash.len()), (2_500, None, 64));
    }
}

/// Lays hands on five rows, holds what is found, and puts everything back.
async fn check(engine: &Engine, hands: &str, expect: Option<(i64, Tampering)>) {
    engine.raw(hands).await.unwrap();
    let check = engine.books.verify_audit().await.unwrap();
    assert_eq!(check.broken, expect, "{}: {hands}", engine.name);
    let whole = expect.map_or(5, |(seq, _)| seq - 1);
    assert_eq!(check.rows, whole as u64, "{hands}");
    let back = "DELETE FROM audit; INSERT INTO audit SELECT * FROM audit_kept; \
                DELETE FROM heads; INSERT INTO heads SELECT * FROM heads_kept";
    engine.raw(back).await.unwrap();
}

#[tokio::test]
async fn whoever_lays_hands_on_the_audit_is_found_out() {
    let hands = [
        ("UPDATE audit SET actor = 'somebody' WHERE seq = 3", Some((3, Tampering::Changed))),
        ("UPDATE audit SET at = at + 1 WHERE seq = 1", Some((1, Tampering::Changed))),
        ("UPDATE audit SET before = '' WHERE seq = 1", Some((1, Tampering::Changed))),
        ("UPDATE audit SET before = NULL WHERE seq = 2", Some((2, Tampering::Changed))),
        ("UPDATE audit SET after = '{}' WHERE seq = 5", Some((5, Tampering::Changed))),
        ("UPDATE audit SET action = 'created', kind = 'team' WHERE seq = 4", Some((4, Tampering::Changed))),
        // What is moved from one column into the next.
        (
            "UPDATE audit SET actor = actor || actor_key, actor_key = '' WHERE seq = 2",
            Some((2, Tampering::Changed)),
        ),
        ("UPDATE audit SET hash = 'x' WHERE seq = 2", Some((2, Tampering::Changed))),
        ("UPDATE audit SET previous_hash = 'x' WHERE seq = 2", Some((2, Tampering::Unlinked))),
        ("DELETE FROM audit WHERE seq = 1", Some((1, Tampering::Missing))),
        ("DELETE FROM audit WHERE seq = 3", Some((3, Tampering::Missing))),
        ("DELETE FROM audit WHERE seq = 5", Some((5, Tampering::Missing))),
        ("DELETE FROM audit", Some((1, Tampering::Missing))),
        (
            "DELETE FROM audit WHERE seq = 2; UPDATE audit SET seq = seq - 1 WHERE seq = 3",
            Some((2, Tampering::Unlinked)),
        ),
        (
            "UPDATE audit SET seq = 9 WHERE seq = 2; UPDATE audit SET seq = 2 WHERE seq = 3; \
          UPDATE audit SET seq = 3 WHERE seq = 9",
            Some((2, Tampering::Unlinked)),
        ),
        (
            "INSERT INTO audit SELECT 6, at, actor, actor_key, action, kind, object_id, before, after, hash, hash \
          FROM audit WHERE seq = 5",
            Some((6, Tampering::Added)),
        ),
        ("UPDATE heads SET audit_hash = 'x'", Some((5, Tampering::Changed))),
        ("UPDATE heads SET audit_seq = 4", Some((4, Tampering::Changed))),
        (
            "UPDATE heads SET audit_seq = 4, audit_hash = (SELECT hash FROM audit WHERE seq = 4)",
            Some((5, Tampering::Added)),
        ),
        ("UPDATE heads SET audit_seq = 6", Some((6, Tampering::Missing))),
        ("SELECT 1", None),
    ];
    for engine in engines::raw() {
        write(&engine.books, 1..=5).await;
        engine.raw(engine.unlock_audit()).await.unwrap();
        let keep =
            "CREATE TABLE audit_kept AS SELECT * FROM audit; CREATE TABLE heads_kept AS SELECT * FROM heads";
        engine.raw(keep).await.unwrap();
        for (hands, expect) in hands {
            check(&engine, hands, expect).await;
        }
    }
}

#[tokio::test]
async fn the_database_itself_refuses_to_change_the_audit() {
    for engine in engines::raw() {
        write(&engine.books, 1..=2).await;
        for hands in ["UPDATE audit SET actor = 'x'", "DELETE FROM audit WHERE seq = 2"] {
            let error = engine.raw(hands).await.unwrap_err();
            assert!(error.contains("the audit is only added to"), "{}: {error}", engine.name);
        }
        assert_eq!(engine.books.verify_audit().await.unwrap().rows, 2);
    }
}

/// The form is described for those who verify it themselves; these hashes were worked out by another program.
#[tokio::test]
async fn the_hash_of_a_row_is_that_of_the_form_that_is_described() {
    for engine in engines::all().await {
        write(&engine.books, 1..=2).await;
        let page = engine.books.audit(AuditFilter::default(), Page::default()).await.unwrap();
        let hashes: Vec<_> = page.rows.iter().map(|row| row.hash.as_str()).collect();
        let expect = [
            "e2e91e0fed4a8f6f6acc35a5616ea2416f5ee087f63dfd864fabf5471c42354b",
            "392e8f4d40329f2a00d2ebd917935cc9bcbc633f6f06a2946e36434b38747b28",
        ];
        assert_eq!(hashes, expect, "{}", engine.name);
        assert_eq!(engine.books.verify_audit().await.unwrap().last_hash, expect[0]);
    }
}
