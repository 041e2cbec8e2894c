//! Operators' words: kept in the place of the last one, taken back, expired, and there again after the file was closed.

use tollgate_store::{Durability, Store, StoredOverride};

use crate::{NOW, fresh, memory, open};

fn word(id: &str, state: &str, seconds: i64) -> StoredOverride {
    StoredOverride { deployment_id: id.to_owned(), state: state.to_owned(), expires_at: NOW + seconds }
}

async fn put(store: &Store, words: &[StoredOverride]) {
    for word in words {
        store.overrides().put(word.clone(), Durability::Full).await.unwrap();
    }
}

async fn all(store: &Store, now: i64) -> Vec<StoredOverride> {
    store.overrides().all(now, 100).await.unwrap()
}

#[tokio::test]
async fn a_word_takes_the_place_of_the_last_one_on_the_same_deployment() {
    let store = memory().await;
    put(&store, &[word("b", "down", 50), word("a", "up", 90), word("b", "draining", 60)]).await;
    assert_eq!(all(&store, NOW).await, [word("b", "draining", 60), word("a", "up", 90)]);
    assert_eq!(store.overrides().all(NOW, 1).await.unwrap(), [word("b", "draining", 60)]);
}

#[tokio::test]
async fn a_word_that_was_taken_back_is_gone() {
    let store = memory().await;
    put(&store, &[word("a", "down", 50), word("b", "down", 50)]).await;
    for (id, was_there) in [("a", true), ("a", false), ("nobody", false)] {
        assert_eq!(store.overrides().delete(id, Durability::Full).await, Ok(was_there), "{id}");
    }
    assert_eq!(all(&store, NOW).await, [word("b", "down", 50)]);
}

#[tokio::test]
async fn a_word_ends_with_its_second_and_is_removed_by_the_purge() {
    let store = memory().await;
    put(&store, &[word("a", "down", 50), word("b", "up", 51)]).await;
    assert_eq!(all(&store, NOW + 49).await.len(), 2);
    assert_eq!(all(&store, NOW + 50).await, [word("b", "up", 51)]);
    store.overrides().purge_expired(NOW + 50).await.unwrap();
    assert_eq!(all(&store, NOW).await, [word("b", "up", 51)], "nobody else's");
}

#[tokio::test]
async fn words_outlive_the_store_that_kept_them() {
    let (folder, store) = fresh().await;
    put(&store, &[word("a", "down", 50)]).await;
    store.close().await;
    let again = open(&folder).await.unwrap();
    assert_eq!(all(&again, NOW).await, [word("a", "down", 50)]);
}
