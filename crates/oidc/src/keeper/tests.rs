//! Keys in virtual time, fetched from nowhere.

use super::*;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::time::{advance, sleep};

/// Hands out one key after the other, or fails.
#[derive(Default)]
pub(crate) struct Fake {
    fetched: AtomicUsize,
    is_away: AtomicBool,
    /// Which key of the fixture is handed out; all of them from the last on.
    key: AtomicUsize,
    slow: AtomicBool,
}

impl Fake {
    pub(crate) fn fetched(&self) -> usize {
        self.fetched.load(Ordering::SeqCst)
    }

    pub(crate) fn go_away(&self, is_away: bool) {
        self.is_away.store(is_away, Ordering::SeqCst);
    }

    pub(crate) fn hand_out(&self, key: usize) {
        self.key.store(key, Ordering::SeqCst);
    }

    pub(crate) fn be_slow(&self) {
        self.slow.store(true, Ordering::SeqCst);
    }
}

pub(crate) fn fixture() -> serde_json::Value {
    serde_json::from_str(include_str!("../../../identity/src/jwt/fixture.json")).unwrap()
}

impl Fetch for Fake {
    async fn keys(&self, _: &Address) -> Result<JwkSet, String> {
        self.fetched.fetch_add(1, Ordering::SeqCst);
        if self.slow.load(Ordering::SeqCst) {
            sleep(Duration::from_secs(2)).await;
        }
        if self.is_away.load(Ordering::SeqCst) {
            return Err("away".to_owned());
        }
        let keys = fixture();
        let key = keys["keys"].get(self.key.load(Ordering::SeqCst)).cloned();
        let set =
            key.map_or(serde_json::json!({"keys": keys["keys"]}), |key| serde_json::json!({"keys": [key]}));
        JwkSet::parse(set.to_string().as_bytes()).map_err(|error| error.to_string())
    }
}

fn keeper() -> (Arc<Keeper>, Arc<Fake>) {
    let address = Address::parse("https://id.example.com/keys", None).unwrap();
    (Arc::new(Keeper::new(address)), Arc::default())
}

const TIMES: Times = Times { fresh: Duration::from_secs(600), stale: Duration::from_secs(3_600) };

#[tokio::test(start_paused = true)]
async fn keys_are_fetched_once_and_kept_while_they_are_fresh() {
    let (keeper, fake) = keeper();
    for _ in 0..50 {
        assert!(keeper.keys(&fake, TIMES).await.is_ok());
        advance(Duration::from_secs(10)).await;
    }
    assert_eq!(fake.fetched(), 1);
    advance(Duration::from_secs(200)).await;
    assert_eq!(keeper.keys(&fake, TIMES).await.unwrap().generation, 1);
    assert_eq!(fake.fetched(), 2);
}

#[tokio::test(start_paused = true)]
async fn all_who_need_the_first_keys_wait_for_one_fetch() {
    let (keeper, fake) = keeper();
    fake.be_slow();
    let waiting: Vec<_> = (0..20)
        .map(|_| {
            let (keeper, fake) = (Arc::clone(&keeper), Arc::clone(&fake));
            tokio::spawn(async move { keeper.keys(&fake, TIMES).await.is_ok() })
        })
        .collect();
    for waiting in waiting {
        assert!(waiting.await.unwrap());
    }
    assert_eq!(fake.fetched(), 1);
}

#[tokio::test(start_paused = true)]
async fn old_keys_are_used_beside_a_fetch_and_while_the_address_is_away() {
    let (keeper, fake) = keeper();
    keeper.keys(&fake, TIMES).await.unwrap();
    advance(Duration::from_secs(601)).await;
    fake.be_slow();
    let fetching = tokio::spawn({
        let (keeper, fake) = (Arc::clone(&keeper), Arc::clone(&fake));
        async move { keeper.keys(&fake, TIMES).await.is_ok() }
    });
    sleep(Duration::from_millis(1)).await;
    let before = Instant::now();
    assert!(keeper.keys(&fake, TIMES).await.is_ok());
    assert_eq!(before.elapsed(), Duration::ZERO);
    assert!(fetching.await.unwrap());
    fake.go_away(true);
    advance(Duration::from_secs(601)).await;
    assert!(keeper.keys(&fake, TIMES).await.is_ok());
    advance(Duration::from_secs(3_590)).await;
    assert!(keeper.keys(&fake, TIMES).await.is_ok());
    advance(Duration::from_secs(20)).await;
    assert_eq!(keeper.keys(&fake, TIMES).await.unwrap_err(), "away");
    fake.go_away(false);
    advance(RETRY_AFTER).await;
    assert!(keeper.keys(&fake, TIMES).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn an_address_that_is_away_is_asked_now_and_then() {
    let (keeper, fake) = keeper();
    fake.go_away(true);
    for _ in 0..100 {
        assert_eq!(keeper.keys(&fake, TIMES).await.unwrap_err(), "away");
        advance(Duration::from_secs(1)).await;
    }
    assert_eq!(fake.fetched(), 20);
}

#[tokio::test(start_paused = true)]
async fn keys_that_are_not_known_are_looked_for_now_and_then() {
    let (keeper, fake) = keeper();
    let held = keeper.keys(&fake, TIMES).await.unwrap();
    fake.hand_out(1);
    assert_eq!(keeper.newer(&held, &fake).await.map(|held| held.is_some()), Ok(false));
    assert_eq!(fake.fetched(), 1);
    advance(REFETCH_AFTER).await;
    for _ in 0..50 {
        assert_eq!(keeper.newer(&held, &fake).await.unwrap().unwrap().generation, 2);
    }
    assert_eq!(fake.fetched(), 2);
    let newer = keeper.keys(&fake, TIMES).await.unwrap();
    for _ in 0..100 {
        assert_eq!(keeper.newer(&newer, &fake).await.map(|held| held.is_some()), Ok(false));
        advance(Duration::from_secs(1)).await;
    }
    assert!(fake.fetched() <= 6, "{}", fake.fetched());
}

#[tokio::test(start_paused = true)]
async fn whether_there_is_a_newer_key_is_not_known_while_the_address_is_away() {
    let (keeper, fake) = keeper();
    let held = keeper.keys(&fake, TIMES).await.unwrap();
    fake.go_away(true);
    // Just now there was none.
    assert_eq!(keeper.newer(&held, &fake).await.map(|held| held.is_some()), Ok(false));
    advance(REFETCH_AFTER).await;
    for _ in 0..10 {
        assert_eq!(keeper.newer(&held, &fake).await.map(|held| held.is_some()), Err("away".to_owned()));
    }
    assert_eq!(fake.fetched(), 2);
}

#[tokio::test(start_paused = true)]
async fn nobody_keeps_the_keys_away_by_hanging_up() {
    let (keeper, fake) = keeper();
    fake.be_slow();
    for _ in 0..10 {
        let caller = tokio::spawn({
            let (keeper, fake) = (Arc::clone(&keeper), Arc::clone(&fake));
            async move { keeper.keys(&fake, TIMES).await.is_ok() }
        });
        sleep(Duration::from_millis(500)).await;
        caller.abort();
    }
    assert!(keeper.keys(&fake, TIMES).await.is_ok());
    assert_eq!(fake.fetched(), 1);
}
