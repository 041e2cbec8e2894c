//! What is created, what is refused and with which words, what is there after closing.

use std::time::Duration;

use rusqlite::Connection;
use tollgate_store::{Durability, Location, Store, StoreError, StoreOptions};

use crate::folder::Folder;
use crate::{NOW, fresh, memory, open, owner, turn};

/// Opens a file that was prepared, and holds the error's text, in which `FILE` stands for the path, and that the file
/// is as it was.
async fn check_refused(prepare: impl FnOnce(&Folder), expect: &str) -> StoreError {
    let folder = Folder::new();
    prepare(&folder);
    let before = std::fs::read(folder.file()).ok();
    let error = open(&folder).await.map(|_| ()).unwrap_err();
    let text = error.to_string().replace(&folder.file().display().to_string(), "FILE");
    assert_eq!(text, expect);
    assert_eq!(std::fs::read(folder.file()).ok(), before);
    error
}

#[cfg(unix)]
#[tokio::test]
async fn files_are_created_for_their_user_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let (folder, store) = fresh().await;
    store.responses().put(turn("a", "r1", None), Durability::Full).await.unwrap();
    assert_eq!(folder.names(), ["gate.db", "gate.db-shm", "gate.db-wal"]);
    for name in folder.names() {
        let mode = std::fs::metadata(folder.path().join(&name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    store.close().await;
    // The log went into the file.
    assert_eq!(folder.names(), ["gate.db"]);
    // Rights that an operator has set stay.
    std::fs::set_permissions(folder.file(), std::fs::Permissions::from_mode(0o640)).unwrap();
    open(&folder).await.unwrap().close().await;
    assert_eq!(std::fs::metadata(folder.file()).unwrap().permissions().mode() & 0o777, 0o640);
}

#[tokio::test]
async fn a_missing_directory_is_named_and_not_created() {
    let folder = Folder::new();
    let file = folder.path().join("missing").join("gate.db");
    let opened = Store::open(Location::File(file.clone()), &StoreOptions::default()).await;
    let error = opened.map(|_| ()).unwrap_err();
    assert_eq!(error.to_string(), format!("{}: its directory does not exist", file.display()));
    assert_eq!(error, StoreError::DirectoryMissing(file));
    assert_eq!(folder.names(), [""; 0]);
}

#[tokio::test]
async fn what_is_no_file_is_refused() {
    let directory = |folder: &Folder| std::fs::create_dir(folder.file()).unwrap();
    check_refused(directory, "FILE: a directory").await;
}

#[tokio::test]
async fn what_is_no_database_is_refused() {
    let text = |folder: &Folder| std::fs::write(folder.file(), "general_settings:\n".repeat(400)).unwrap();
    let expect = "FILE: damaged, or not a database: file is not a database (26)";
    let error = check_refused(text, expect).await;
    assert!(!error.is_passing());
}

#[tokio::test]
async fn a_database_of_another_program_is_refused() {
    let foreign = |folder: &Folder| {
        let connection = Connection::open(folder.file()).unwrap();
        connection.execute_batch("CREATE TABLE bookmarks (url TEXT)").unwrap();
    };
    check_refused(foreign, "FILE: a database, but of another program").await;
    let marked = |folder: &Folder| {
        let connection = Connection::open(folder.file()).unwrap();
        connection.execute_batch("PRAGMA application_id = 7").unwrap();
    };
    check_refused(marked, "FILE: a database, but of another program").await;
}

#[tokio::test]
async fn a_file_of_a_newer_release_is_refused() {
    let (folder, store) = fresh().await;
    store.close().await;
    let newer = |target: &Folder| {
        std::fs::copy(folder.file(), target.file()).unwrap();
        let connection = Connection::open(target.file()).unwrap();
        connection.execute_batch("INSERT INTO schema_version VALUES (99, 'later')").unwrap();
    };
    check_refused(newer, "FILE: has schema version 99, and this release knows versions up to 7").await;
}

#[tokio::test]
async fn an_empty_file_is_taken() {
    let folder = Folder::new();
    std::fs::write(folder.file(), "").unwrap();
    let store = open(&folder).await.unwrap();
    assert_eq!(store.verify().await, Ok(()));
}

#[tokio::test]
async fn a_path_is_never_read_as_a_uri() {
    let folder = Folder::new();
    let file = folder.path().join("file:x?mode=memory");
    let store = Store::open(Location::File(file), &StoreOptions::default()).await.unwrap();
    store.close().await;
    assert_eq!(folder.names(), ["file:x?mode=memory"]);
}

#[tokio::test]
async fn damage_inside_a_file_is_found() {
    let (folder, store) = fresh().await;
    store.close().await;
    // The schema ends here.
    let empty = usize::try_from(std::fs::metadata(folder.file()).unwrap().len()).unwrap();
    let store = open(&folder).await.unwrap();
    for number in 0..200 {
        let row = turn("a", &format!("r{number}"), None);
        store.responses().put(row, Durability::Process).await.unwrap();
    }
    assert_eq!(store.verify().await, Ok(()));
    store.close().await;
    let mut bytes = std::fs::read(folder.file()).unwrap();
    bytes[empty..].fill(0xff);
    std::fs::write(folder.file(), bytes).unwrap();
    let store = open(&folder).await.unwrap();
    let error = store.verify().await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
    assert!(error.to_string().contains("gate.db: damaged"), "{error}");
    let mut damaged = 0;
    for number in 0..200 {
        match store.responses().get(&owner("a"), &format!("r{number}"), NOW).await {
            Err(StoreError::Corrupt { .. }) => damaged += 1,
            other => assert_eq!(other, Ok(Some(turn("a", &format!("r{number}"), None)))),
        }
    }
    assert!(damaged > 0);
}

#[tokio::test]
async fn a_lock_that_stays_is_an_error_that_passes_and_readers_do_not_mind() {
    let folder = Folder::new();
    let options = StoreOptions { busy_timeout: Duration::from_millis(20), ..StoreOptions::default() };
    let store = Store::open(folder.location(), &options).await.unwrap();
    store.responses().put(turn("a", "r1", None), Durability::Process).await.unwrap();
    let other = Connection::open(folder.file()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = store.responses().put(turn("a", "r2", None), Durability::Full).await.unwrap_err();
    assert_eq!(error.to_string(), format!("{}: locked by another process", folder.file().display()));
    assert!(error.is_passing());
    assert_eq!(store.responses().get(&owner("a"), "r1", NOW).await, Ok(Some(turn("a", "r1", None))));
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(store.responses().get(&owner("a"), "r2", NOW).await, Ok(None));
    assert_eq!(store.responses().put(turn("a", "r2", None), Durability::Full).await, Ok(()));
}

#[tokio::test]
async fn a_new_file_that_another_process_locks_is_waited_for() {
    let folder = Folder::new();
    let other = Connection::open(folder.file()).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let hasty = StoreOptions { busy_timeout: Duration::from_millis(20), ..StoreOptions::default() };
    let error = Store::open(folder.location(), &hasty).await.map(|_| ()).unwrap_err();
    assert_eq!(error, StoreError::Busy(folder.file().display().to_string()));
    let opening = tokio::spawn({
        let location = folder.location();
        async move { Store::open(location, &StoreOptions::default()).await.map(|_| ()) }
    });
    tokio::task::yield_now().await;
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(opening.await.unwrap(), Ok(()));
}

#[tokio::test]
async fn rows_are_there_after_opening_again() {
    let (folder, store) = fresh().await;
    store.responses().put(turn("a", "r1", None), Durability::Process).await.unwrap();
    store.close().await;
    let store = open(&folder).await.unwrap();
    assert_eq!(store.responses().get(&owner("a"), "r1", NOW).await, Ok(Some(turn("a", "r1", None))));
}

#[tokio::test]
async fn a_closed_store_says_so_and_closes_once() {
    for store in [fresh().await.1, memory().await] {
        let clone = store.clone();
        tokio::join!(store.close(), clone.close());
        store.close().await;
        let put = clone.responses().put(turn("a", "r1", None), Durability::Process).await;
        assert_eq!(put, Err(StoreError::Closed));
        assert_eq!(clone.responses().get(&owner("a"), "r1", NOW).await, Err(StoreError::Closed));
    }
}

#[tokio::test]
async fn closing_carries_out_what_waits() {
    let folder = Folder::new();
    let options = StoreOptions { queue_max: 8, batch_max: 3, ..StoreOptions::default() };
    let store = Store::open(folder.location(), &options).await.unwrap();
    let mut writes = tokio::task::JoinSet::new();
    for number in 0..100 {
        let store = store.clone();
        let row = turn("a", &format!("r{number}"), None);
        writes.spawn(async move { store.responses().put(row, Durability::Process).await });
    }
    // Let them begin to queue.
    tokio::task::yield_now().await;
    store.close().await;
    let answers = writes.join_all().await;
    let written = answers.iter().filter(|answer| answer.is_ok()).count();
    let refused = answers.iter().filter(|answer| **answer == Err(StoreError::Closed)).count();
    assert_eq!(written + refused, 100);
    let connection = Connection::open(folder.file()).unwrap();
    let rows: u32 = connection.query_row("SELECT count(*) FROM responses", [], |row| row.get(0)).unwrap();
    assert_eq!(rows as usize, written);
    assert!(written >= 8, "{written}");
}
