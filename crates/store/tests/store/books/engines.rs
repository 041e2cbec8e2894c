//! The engines that the suite is run against, each with empty books.

use std::sync::Arc;

use tollgate_store::books::Books;
use tollgate_store::{LazyStore, Location, Store, StoreOptions};

use crate::folder::Folder;

/// Empty books of one engine.
pub(crate) struct Engine {
    pub(crate) name: &'static str,
    pub(crate) books: Books,
    /// What the books lie in, gone with this value.
    _ground: Option<Folder>,
}

/// Every engine.
pub(crate) async fn all() -> Vec<Engine> {
    vec![memory().await, file()]
}

pub(crate) async fn memory() -> Engine {
    let store = Store::open(Location::Memory, &StoreOptions::default()).await.unwrap();
    Engine { name: "memory", books: Books::of_store(store), _ground: None }
}

pub(crate) fn file() -> Engine {
    let folder = Folder::new();
    let lazy = Arc::new(LazyStore::new(folder.location(), StoreOptions::default()));
    Engine { name: "file", books: Books::sqlite(lazy), _ground: Some(folder) }
}
