//! A store that opens when it is first needed.

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
    assert_eq!(folder.names(), [""; 0]);
    assert_eq!(lazy.get().await.unwrap().responses().get(&owner("a"), "r1", NOW).await, Ok(None));
    assert!(lazy.opened().is_some());
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
    let lazy = lazy(&folder);
    std::fs::create_dir(folder.file()).unwrap();
    // Joined futures are polled in order: the first opens, the others wait for it. Once the first has failed, the cause is
    // removed, so that a second attempt would be seen to succeed.
    let first = async {
        let failed = lazy.get().await.is_err();
        std::fs::remove_dir(folder.file()).unwrap();
        failed
    };
    let others = async { (lazy.get().await.is_err(), lazy.get().await.is_ok()) };
    assert_eq!(tokio::join!(biased; first, others), (true, (true, true)));
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
