//! The store from outside, on real files: opening, responses, closing, several processes; the books, on every engine.

// Helpers of tests are outside of `#[test]` functions, and may fail as these do.
#![allow(clippy::unwrap_used, clippy::panic)]

mod books;
mod folder;
mod lazy;
mod opening;
mod overrides;
mod processes;
mod responses;

use tollgate_store::{Location, Owner, Store, StoreError, StoreOptions, StoredResponse};

use folder::Folder;

/// A moment at which nothing of a test has expired yet.
const NOW: i64 = 1_700_000_000;

async fn open(folder: &Folder) -> Result<Store, StoreError> {
    Store::open(folder.location(), &StoreOptions::default()).await
}

/// A store on a new file.
async fn fresh() -> (Folder, Store) {
    let folder = Folder::new();
    let store = open(&folder).await.unwrap();
    (folder, store)
}

async fn memory() -> Store {
    Store::open(Location::Memory, &StoreOptions::default()).await.unwrap()
}

fn owner(name: &str) -> Owner {
    Owner::new(name)
}

/// A turn that lives for 100 seconds from [`NOW`] on.
fn turn(owner_name: &str, id: &str, previous: Option<&str>) -> StoredResponse {
    StoredResponse {
        id: id.to_owned(),
        owner: owner(owner_name),
        group: "gpt".to_owned(),
        deployment_id: Some("eu".to_owned()),
        provider_response_id: Some(format!("provider-{id}")),
        previous_id: previous.map(str::to_owned),
        created_at: NOW,
        expires_at: NOW + 100,
        status: "completed".to_owned(),
        input_items: format!(r#"[{{"role":"user","content":"{id}"}}]"#).into_bytes(),
        response: format!(r#"{{"id":"{id}"}}"#).into_bytes(),
    }
}
