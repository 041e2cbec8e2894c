//! Stored responses: whose they are, how long they are there, how a conversation is followed back.

use rusqlite::Connection;
use tollgate_store::{
    Chain, ChainLimits, Durability, RESPONSE_BYTES_MAX, RETENTION_DEFAULT_SECONDS, Store, StoreError,
    StoredResponse,
};

use crate::{NOW, fresh, memory, owner, turn};

async fn put(store: &Store, rows: &[StoredResponse]) {
    for row in rows {
        store.responses().put(row.clone(), Durability::Process).await.unwrap();
    }
}

async fn chain(store: &Store, id: &str) -> Option<(Vec<String>, Option<String>)> {
    let found = store.responses().chain(&owner("a"), id, ChainLimits::default(), NOW).await.unwrap();
    found.map(|Chain { turns, missing }| (turns.into_iter().map(|turn| turn.id).collect(), missing))
}

/// What [`chain`] is expected to give.
fn whole(ids: &[&str], missing: Option<&str>) -> Option<(Vec<String>, Option<String>)> {
    Some((ids.iter().map(|id| (*id).to_owned()).collect(), missing.map(str::to_owned)))
}

#[tokio::test]
async fn what_is_put_is_got_byte_for_byte() {
    for store in [fresh().await.1, memory().await] {
        let mut rich = turn("a", "résp_\u{1f600}'; --", Some("r0"));
        rich.input_items = (0..=255).cycle().take(300_000).collect();
        let mut poor = turn("a", "", None);
        poor.deployment_id = None;
        poor.provider_response_id = None;
        poor.input_items.clear();
        poor.response.clear();
        put(&store, &[rich.clone(), poor.clone()]).await;
        assert_eq!(store.responses().get(&owner("a"), &rich.id, NOW).await, Ok(Some(rich.clone())));
        assert_eq!(store.responses().get(&owner("a"), "", NOW).await, Ok(Some(poor)));
        let items = store.responses().input_items(&owner("a"), &rich.id, NOW).await;
        assert_eq!(items, Ok(Some(rich.input_items)));
    }
}

#[tokio::test]
async fn putting_twice_is_putting_once_and_the_last_one_counts() {
    let (folder, store) = fresh().await;
    let mut row = turn("a", "r1", None);
    row.status = "in_progress".to_owned();
    put(&store, &[row.clone(), row]).await;
    let done = turn("a", "r1", Some("r0"));
    put(&store, std::slice::from_ref(&done)).await;
    assert_eq!(store.responses().get(&owner("a"), "r1", NOW).await, Ok(Some(done)));
    let connection = Connection::open(folder.file()).unwrap();
    let rows: i64 = connection.query_row("SELECT count(*) FROM responses", [], |row| row.get(0)).unwrap();
    assert_eq!(rows, 1);
}

#[tokio::test]
async fn anothers_row_looks_like_none() {
    let store = memory().await;
    put(&store, &[turn("a", "r1", None), turn("a", "r2", Some("r1"))]).await;
    let responses = store.responses();
    for (who, id) in [("b", "r2"), ("a", "r3"), ("", "r2"), ("a", "R2"), ("a%", "r2")] {
        let who = owner(who);
        assert_eq!(responses.get(&who, id, NOW).await, Ok(None));
        assert_eq!(responses.input_items(&who, id, NOW).await, Ok(None));
        assert_eq!(responses.chain(&who, id, ChainLimits::default(), NOW).await, Ok(None));
        assert_eq!(responses.delete(&who, id, NOW, Durability::Full).await, Ok(false));
    }
    assert_eq!(chain(&store, "r2").await, whole(&["r1", "r2"], None));
}

#[tokio::test]
async fn owners_with_the_same_id_do_not_meet() {
    let store = memory().await;
    let (of_a, mut of_b) = (turn("a", "r1", None), turn("b", "r1", None));
    of_b.response = b"{}".to_vec();
    put(&store, &[of_a.clone(), of_b.clone()]).await;
    // A conversation is not continued into another's, either.
    put(&store, &[turn("b", "r0", None), turn("a", "r2", Some("r0"))]).await;
    assert_eq!(chain(&store, "r2").await, whole(&["r2"], Some("r0")));
    assert_eq!(store.responses().delete(&owner("a"), "r1", NOW, Durability::Process).await, Ok(true));
    assert_eq!(store.responses().get(&owner("a"), "r1", NOW).await, Ok(None));
    assert_eq!(store.responses().get(&owner("b"), "r1", NOW).await, Ok(Some(of_b)));
}

#[tokio::test]
async fn what_is_deleted_is_gone_and_missed() {
    let (folder, store) = fresh().await;
    let mut secret = turn("a", "r1", None);
    secret.input_items = b"the-password-is-swordfish".repeat(10);
    put(&store, &[secret, turn("a", "r2", Some("r1")), turn("a", "r3", Some("r2"))]).await;
    let delete = async || store.responses().delete(&owner("a"), "r1", NOW, Durability::Process).await;
    assert_eq!(delete().await, Ok(true));
    assert_eq!(delete().await, Ok(false));
    assert_eq!(chain(&store, "r1").await, None);
    assert_eq!(chain(&store, "r3").await, whole(&["r2", "r3"], Some("r1")));
    store.close().await;
    // Nor is it left in a page that nothing refers to.
    let bytes = std::fs::read(folder.file()).unwrap();
    assert!(!bytes.windows(9).any(|window| window == b"swordfish"));
}

#[tokio::test]
async fn a_conversation_comes_oldest_first_whatever_branches_off() {
    let store = memory().await;
    let rows = [
        turn("a", "leaf", Some("middle")),
        turn("a", "middle", Some("root")),
        turn("a", "branch", Some("middle")),
        turn("a", "root", None),
    ];
    put(&store, &rows).await;
    assert_eq!(chain(&store, "leaf").await, whole(&["root", "middle", "leaf"], None));
    assert_eq!(chain(&store, "branch").await, whole(&["root", "middle", "branch"], None));
    assert_eq!(chain(&store, "root").await, whole(&["root"], None));
}

#[tokio::test]
async fn a_conversation_is_bounded_in_turns_and_bytes() {
    let (_folder, store) = fresh().await;
    let rows: Vec<StoredResponse> = (0..5)
        .map(|n: i32| turn("a", &format!("r{n}"), (n > 0).then(|| format!("r{}", n - 1)).as_deref()))
        .collect();
    put(&store, &rows).await;
    let bytes: usize = rows.iter().map(StoredResponse::bytes).sum();
    let check = async |turns_max: usize, bytes_max: usize, expect: Result<usize, StoreError>| {
        let limits = ChainLimits { turns_max, bytes_max };
        let found = store.responses().chain(&owner("a"), "r4", limits, NOW).await;
        assert_eq!(found.map(|chain| chain.map_or(0, |chain| chain.turns.len())), expect);
    };
    check(5, bytes, Ok(5)).await;
    check(4, bytes, Err(StoreError::ChainTooLong { turns_max: 4 })).await;
    check(0, bytes, Err(StoreError::ChainTooLong { turns_max: 0 })).await;
    check(5, bytes - 1, Err(StoreError::ChainTooLarge { bytes_max: bytes - 1 })).await;
    check(5, 0, Err(StoreError::ChainTooLarge { bytes_max: 0 })).await;
}

#[tokio::test]
async fn a_conversation_of_a_thousand_turns_is_read_and_a_circle_is_not_followed() {
    let (_folder, store) = fresh().await;
    for n in 0..1_000 {
        put(&store, &[turn("a", &n.to_string(), Some(&(n - 1).to_string()))]).await;
    }
    let (ids, missing) = chain(&store, "999").await.unwrap();
    assert_eq!(ids, (0..1_000).map(|n| n.to_string()).collect::<Vec<_>>());
    assert_eq!(missing.as_deref(), Some("-1"));
    put(&store, &[turn("a", "-1", Some("999"))]).await;
    let found = store.responses().chain(&owner("a"), "999", ChainLimits::default(), NOW).await;
    assert_eq!(found, Err(StoreError::ChainTooLong { turns_max: 1_000 }));
}

#[tokio::test]
async fn from_its_last_second_on_a_response_is_not_there() {
    let store = memory().await;
    put(&store, &[turn("a", "r1", None)]).await;
    let (a, end) = (owner("a"), NOW + 100);
    let responses = store.responses();
    assert!(responses.get(&a, "r1", end - 1).await.unwrap().is_some());
    assert_eq!(responses.get(&a, "r1", end).await, Ok(None));
    assert_eq!(responses.input_items(&a, "r1", end).await, Ok(None));
    assert_eq!(responses.chain(&a, "r1", ChainLimits::default(), end).await, Ok(None));
    assert_eq!(responses.delete(&a, "r1", end, Durability::Process).await, Ok(false));
    // A younger turn misses it.
    let mut young = turn("a", "r2", Some("r1"));
    young.expires_at = end + RETENTION_DEFAULT_SECONDS;
    put(&store, &[young]).await;
    let found = responses.chain(&a, "r2", ChainLimits::default(), end).await.unwrap().unwrap();
    assert_eq!((found.turns.len(), found.missing.as_deref()), (1, Some("r1")));
}

#[tokio::test]
async fn purging_takes_the_oldest_first_in_batches() {
    let (folder, store) = fresh().await;
    for n in 0..10 {
        let mut row = turn("a", &n.to_string(), None);
        row.expires_at = NOW + i64::from(n);
        put(&store, &[row]).await;
    }
    let left = || {
        let connection = Connection::open(folder.file()).unwrap();
        let mut ids = connection.prepare("SELECT id FROM responses ORDER BY expires_at").unwrap();
        let ids = ids.query_map([], |row| row.get::<_, String>(0)).unwrap();
        ids.map(Result::unwrap).collect::<Vec<_>>().concat()
    };
    let steps = [(-1, 3, 0, "0123456789"), (0, 3, 1, "123456789"), (6, 4, 4, "56789"), (6, 4, 2, "789")];
    for (after, batch, expect, expect_left) in steps {
        assert_eq!(store.responses().purge_expired(NOW + after, batch).await, Ok(expect));
        assert_eq!(left(), expect_left);
    }
    assert_eq!(store.responses().purge_expired(NOW + 99, 0).await, Ok(0));
}

#[tokio::test]
async fn a_row_that_is_too_large_is_refused() {
    let store = memory().await;
    let mut row = turn("a", "r1", None);
    row.input_items.clear();
    row.response = vec![b' '; RESPONSE_BYTES_MAX + 1];
    let error = store.responses().put(row, Durability::Process).await.unwrap_err();
    let (bytes, bytes_max) = (RESPONSE_BYTES_MAX + 1, RESPONSE_BYTES_MAX);
    assert_eq!(error, StoreError::TooLarge { bytes, bytes_max });
    assert_eq!(store.responses().get(&owner("a"), "r1", NOW).await, Ok(None));
}

#[test]
fn no_conversation_is_in_debug_output() {
    let text = format!("{:?}", turn("a", "r1", None));
    assert!(text.contains("response_bytes: 11") && !text.contains("role"), "{text}");
}

#[tokio::test]
async fn many_callers_at_once_get_what_is_theirs() {
    let (_folder, store) = fresh().await;
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..40 {
        let store = store.clone();
        callers.spawn(async move {
            let name = format!("caller{caller}");
            for n in 0..10_i32 {
                let previous = (n > 0).then(|| (n - 1).to_string());
                let row = turn(&name, &n.to_string(), previous.as_deref());
                store.responses().put(row, Durability::Process).await.unwrap();
            }
            let found = store.responses().chain(&owner(&name), "9", ChainLimits::default(), NOW).await;
            let Chain { turns, missing } = found.unwrap().unwrap();
            assert!(turns.iter().all(|turn| turn.owner == owner(&name)) && missing.is_none());
            turns.len()
        });
    }
    assert_eq!(callers.join_all().await, vec![10; 40]);
}
