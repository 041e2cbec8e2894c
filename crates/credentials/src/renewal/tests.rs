//! Renewal against scripted fetches, in time that the test moves.

use super::*;
use crate::call::refused;
use std::collections::VecDeque;
use std::sync::atomic::AtomicUsize;
use tollgate_upstream::{Limits, Resolver, Shared};

type Answer = Result<(u32, Option<u64>), &'static str>;

/// Gives these answers one after another, the last one for ever, each after a while.
struct Script {
    answers: Mutex<VecDeque<Answer>>,
    takes: Duration,
    calls: Arc<AtomicUsize>,
}

impl Fetch for Script {
    type Value = u32;

    async fn fetch(&self, _: Courier<'_>) -> Result<Fresh<u32>, Failure> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let answer = {
            let mut answers = self.answers.lock().unwrap();
            if answers.len() > 1 { answers.pop_front().unwrap() } else { answers[0] }
        };
        tokio::time::sleep(self.takes).await;
        let (value, seconds) = answer.map_err(refused)?;
        Ok(Fresh { value, life: seconds.map(Duration::from_secs) })
    }
}

struct Stage {
    renewal: Arc<Renewal<Script>>,
    client: Arc<Client>,
    calls: Arc<AtomicUsize>,
}

impl Stage {
    fn new(takes_seconds: u64, answers: &[Answer]) -> Self {
        let calls = Arc::new(AtomicUsize::new(0));
        let takes = Duration::from_secs(takes_seconds);
        let answers = Mutex::new(answers.iter().copied().collect());
        let script = Script { answers, takes, calls: Arc::clone(&calls) };
        let shared = Shared::new(Resolver::default(), Limits::default(), Vec::new()).unwrap();
        let client = Arc::new(Client::new(Arc::new(shared)));
        Self { renewal: Renewal::new("scripted".to_owned(), script), client, calls }
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    async fn current(&self) -> Result<u32, String> {
        self.renewal.current(&self.client).await.map_err(|failure| failure.detail)
    }

    /// What there is without any wait.
    async fn at_once(&self) -> Option<Result<u32, String>> {
        tokio::select! {
            biased;
            outcome = self.current() => Some(outcome),
            () = std::future::ready(()) => None,
        }
    }
}

async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn a_hundred_callers_wait_for_one_fetch() {
    let stage = Arc::new(Stage::new(3, &[Ok((1, Some(3_600))), Ok((2, Some(3_600)))]));
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let stage = Arc::clone(&stage);
        callers.spawn(async move { stage.current().await });
    }
    assert_eq!(callers.join_all().await, vec![Ok(1); 100]);
    pass(60).await;
    assert_eq!(stage.calls(), 1, "nobody's wish outlives the fetch that has answered it");
}

#[tokio::test(start_paused = true)]
async fn what_is_started_is_there_when_it_is_first_asked_for() {
    let stage = Stage::new(3, &[Ok((1, Some(3_600)))]);
    stage.renewal.keep(&stage.client);
    pass(4).await;
    assert_eq!(stage.at_once().await, Some(Ok(1)));
    assert_eq!(stage.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn renewal_runs_beside_the_requests_and_nobody_waits_for_it() {
    let stage = Stage::new(3, &[Ok((1, Some(3_600))), Ok((2, Some(3_600)))]);
    assert_eq!(stage.current().await, Ok(1));
    pass(3_600 - 300 - 4).await;
    assert_eq!((stage.calls(), stage.at_once().await), (1, Some(Ok(1))));
    pass(2).await;
    assert_eq!(
        (stage.calls(), stage.at_once().await),
        (2, Some(Ok(1))),
        "the old one while the new one comes"
    );
    pass(3).await;
    assert_eq!((stage.calls(), stage.at_once().await), (2, Some(Ok(2))));
}

#[tokio::test(start_paused = true)]
async fn an_idle_source_stays_fresh() {
    let stage = Stage::new(0, &[Ok((1, Some(3_600)))]);
    assert_eq!(stage.current().await, Ok(1));
    pass(24 * 3_600).await;
    assert_eq!(stage.calls(), 1 + 24 * 3_600 / 3_300);
    assert_eq!(stage.at_once().await, Some(Ok(1)));
}

#[tokio::test(start_paused = true)]
async fn a_failed_renewal_keeps_what_holds_and_is_tried_again_after_growing_waits() {
    let stage = Stage::new(0, &[Ok((1, Some(3_600))), Err("down")]);
    assert_eq!(stage.current().await, Ok(1));
    tokio::time::sleep(Duration::from_millis(3_300_100)).await;
    assert_eq!(stage.calls(), 2);
    let waits = [250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000];
    for (calls, wait) in (3..).zip(waits) {
        tokio::time::sleep(Duration::from_millis(wait)).await;
        assert_eq!((stage.calls(), stage.at_once().await), (calls, Some(Ok(1))), "after {wait} ms");
    }
    pass(90).await;
    assert_eq!(stage.current().await, Err("down".to_owned()), "30 seconds before its end it is given up");
}

#[tokio::test(start_paused = true)]
async fn a_failed_renewal_is_made_good() {
    let stage = Stage::new(0, &[Ok((1, Some(3_600))), Err("down"), Err("down"), Ok((2, Some(3_600)))]);
    assert_eq!(stage.current().await, Ok(1));
    pass(3_304).await;
    assert_eq!((stage.at_once().await, stage.calls()), (Some(Ok(2)), 4));
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_gets_the_failure_and_for_a_moment_nobody_tries_again() {
    let stage = Stage::new(0, &[Err("refused"), Ok((1, Some(3_600)))]);
    let (first, second) = tokio::join!(stage.current(), stage.current());
    assert_eq!((first, second), (Err("refused".to_owned()), Err("refused".to_owned())));
    assert_eq!(stage.at_once().await, Some(Err("refused".to_owned())));
    assert_eq!(stage.calls(), 1);
    pass(2).await;
    assert_eq!(
        (stage.at_once().await, stage.calls()),
        (Some(Ok(1)), 2),
        "the keeper has tried again by itself"
    );
}

#[tokio::test(start_paused = true)]
async fn a_caller_does_not_wait_for_the_end_of_a_long_pause() {
    let six = [Err("1"), Err("2"), Err("3"), Err("4"), Err("5"), Err("6")];
    let stage = Stage::new(0, &[six.as_slice(), &[Ok((1, Some(3_600)))]].concat());
    assert_eq!(stage.current().await, Err("1".to_owned()));
    pass(10).await;
    assert_eq!(
        (stage.at_once().await, stage.calls()),
        (Some(Err("6".to_owned())), 6),
        "five seconds are not over"
    );
    pass(4).await;
    assert_eq!(stage.calls(), 6, "the next try is due in two seconds");
    assert_eq!((stage.current().await, stage.calls()), (Ok(1), 7));
}

#[tokio::test(start_paused = true)]
async fn a_fetch_that_hangs_is_given_up_in_time() {
    let stage = Stage::new(3_600, &[Ok((1, Some(3_600)))]);
    assert_eq!(stage.current().await, Err("no credential in time".to_owned()));
    assert_eq!(stage.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_does_not_end_is_fetched_once_and_not_kept() {
    let stage = Stage::new(0, &[Ok((1, None))]);
    assert_eq!(stage.current().await, Ok(1));
    pass(100 * 86_400).await;
    assert_eq!((stage.at_once().await, stage.calls()), (Some(Ok(1)), 1));
    assert!(!stage.renewal.is_kept.load(Ordering::SeqCst));
}

#[tokio::test(start_paused = true)]
async fn lives_that_are_absurd_are_cut_to_what_is_sane() {
    let check = async |life: u64, until: u64, calls: usize| {
        let stage = Stage::new(0, &[Ok((1, Some(life)))]);
        assert_eq!(stage.current().await, Ok(1), "{life}");
        pass(until).await;
        assert_eq!(stage.calls(), calls, "{life}");
    };
    // Once a day at least; half of a short life; never more often than every five seconds.
    check(u64::MAX, 86_400, 2).await;
    check(100, 101, 3).await;
    check(2, 11, 3).await;
}

#[tokio::test(start_paused = true)]
async fn what_has_ended_already_is_a_failure() {
    let stage = Stage::new(0, &[Ok((1, Some(0)))]);
    assert_eq!(stage.current().await, Err("the credential has ended already".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn the_keeper_ends_with_its_source() {
    let stage = Stage::new(0, &[Ok((1, Some(3_600)))]);
    assert_eq!(stage.current().await, Ok(1));
    assert_eq!(Arc::strong_count(&stage.client), 2);
    drop(stage.renewal);
    pass(1).await;
    assert_eq!(Arc::strong_count(&stage.client), 1);
}

#[test]
fn another_worker_takes_over_when_the_first_ones_runtime_ends() {
    let runtime =
        || tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let stage = Stage::new(5, &[Ok((1, Some(3_600))), Ok((2, Some(3_600)))]);
    let first = runtime();
    first.block_on(async {
        stage.renewal.keep(&stage.client);
        pass(1).await;
    });
    drop(first);
    assert_eq!(stage.calls(), 1);
    assert_eq!(runtime().block_on(stage.current()), Ok(2));
    assert_eq!(stage.calls(), 2);
}
