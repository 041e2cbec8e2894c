//! A store that opens when it is first needed.

use std::time::Duration;

use rusqlite::Connection;
use tollgate_store::{LazyStore, StoreError, StoreOptions};

use crate::NOW;
use crate::folder::Folder;
use crate::owner;

fn lazy(folder: &Folder) -> LazyStore {
    LazyStore::new(folder.location(), StoreOptions::default())
}

#[tokio::test]
async fn nothing_is_there_until_somebody_asks() {
    let folder = Folder::new();
    let lazy = lazy(&folder);
    assert_eq!(lazy.location(), &folder.location());
    assert!(lazy.opened().is_none() && lazy.last_error().await.is_none());
    assert!(!lazy.exists());
    assert_eq!(folder.names(), [""; 0]);
    assert_eq!(lazy.get().await.unwrap().responses().get(&owner("a"), "r1", NOW).await, Ok(None));
    assert!(lazy.opened().is_some() && lazy.exists());
    assert!(folder.names().contains(&"gate.db".to_owned()));
}

#[tokio::test]
async fn an_error_is_remembered_and_tried_again() {
    let folder = Folder::new();
    let lazy = lazy(&folder);
    std::fs::create_dir(folder.file()).unwrap();
    let error = lazy.get().await.map(|_| ()).unwrap_err();
    assert!(matches!(error, StoreError::Unusable { .. }), "{error}");
    assert_eq!(lazy.last_error().await, Some(error));
    std::fs::remove_dir(folder.file()).unwrap();
    assert!(lazy.get().await.is_ok());
    assert_eq!(lazy.last_error().await, None);
}

#[tokio::test]
async fn those_who_ask_together_share_one_attempt() {
    let folder = Folder::new();
    let lock = Connection::open(folder.file()).unwrap();
    lock.execute_batch("BEGIN EXCLUSIVE").unwrap();
    // Long enough for all to ask while the first attempt waits for the lock.
    let options = StoreOptions { busy_timeout: Duration::from_millis(300), ..StoreOptions::default() };
    let lazy = LazyStore::new(folder.location(), options);
    // The first to be polled opens, the other waits for it. Then the lock goes, so that a second attempt would succeed.
    let first = async {
        let failed = lazy.get().await.is_err();
        lock.execute_batch("ROLLBACK").unwrap();
        failed
    };
    let other = async { (lazy.get().await.is_err(), lazy.get().await.is_ok()) };
    assert_eq!(tokio::join!(biased; first, other), (true, (true, true)));
}

#[tokio::test]
async fn a_closed_one_is_not_opened_any_more() {
    let folder = Folder::new();
    let unused = lazy(&folder);
    unused.close().await;
    assert_eq!(unused.get().await.map(|_| ()), Err(StoreError::Closed));
    assert_eq!(folder.names(), [""; 0]);
    let used = lazy(&folder);
    used.get().await.unwrap();
    used.close().await;
    let found = used.get().await.unwrap().responses().get(&owner("a"), "r1", NOW).await;
    assert_eq!(found, Err(StoreError::Closed));
    assert_eq!(folder.names(), ["gate.db"]);
}
