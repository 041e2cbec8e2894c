//! Who waits, who is computed together, and who is told to do without. No threads here: the tests take the turns.

use super::*;

fn idle(settings: Settings) -> Embedder {
    let shared = Arc::new(Shared {
        words: Words::load(),
        model: Model::load().unwrap(),
        line: Mutex::default(),
        news: Condvar::new(),
        known: Cache::new(settings.remembered),
        pace: AtomicU64::new(FIRST_GUESS),
        settings,
    });
    Embedder { shared, threads: Vec::new() }
}

fn numbers(length: usize) -> Box<[i32]> {
    vec![101; length].into()
}

fn lengths(tickets: &[Ticket]) -> Vec<usize> {
    tickets.iter().map(|ticket| ticket.numbers.len()).collect()
}

#[test]
fn a_queue_that_is_full_or_late_is_said_at_once() {
    let embedder = idle(Settings {
        waiting_max: 3,
        patience: Duration::from_micros(2 * FIRST_GUESS),
        ..Settings::default()
    });
    let waiting: Vec<_> = (0..3).map(|_| embedder.queue(numbers(9)).unwrap()).collect();
    assert_eq!(embedder.queue(numbers(9)).unwrap_err(), Skipped::Full);
    drop(waiting);
    let embedder = idle(Settings { patience: Duration::from_micros(2 * FIRST_GUESS), ..Settings::default() });
    let waiting: Vec<_> = (0..3).map(|_| embedder.queue(numbers(9)).unwrap()).collect();
    assert_eq!(embedder.queue(numbers(9)).unwrap_err(), Skipped::Late, "three turns are longer than two");
    drop(waiting);
}

#[test]
fn texts_of_like_length_are_computed_together_and_the_rest_keep_their_order() {
    let embedder = idle(Settings { patience: Duration::from_secs(600), ..Settings::default() });
    let _waiting: Vec<_> =
        [10, 40, 11, 12, 41, 60].into_iter().map(|length| embedder.queue(numbers(length)).unwrap()).collect();
    assert_eq!(lengths(&embedder.shared.next().unwrap()), [10, 11, 12]);
    assert_eq!(lengths(&embedder.shared.next().unwrap()), [40, 41]);
    assert_eq!(lengths(&embedder.shared.next().unwrap()), [60]);
}

#[test]
fn each_thread_has_its_share_and_no_batch_is_beyond_the_most() {
    let patience = Duration::from_secs(600);
    let two = idle(Settings { threads: NonZeroUsize::new(2).unwrap(), patience, ..Settings::default() });
    let _waiting: Vec<_> = (0..5).map(|_| two.queue(numbers(9)).unwrap()).collect();
    assert_eq!(two.shared.next().unwrap().len(), 3);
    let one = idle(Settings { patience, ..Settings::default() });
    let _others: Vec<_> = (0..40).map(|_| one.queue(numbers(9)).unwrap()).collect();
    assert_eq!(one.shared.next().unwrap().len(), BATCH);
}

#[test]
fn who_went_away_is_not_computed_and_who_waited_too_long_is_told() {
    let embedder = idle(Settings { patience: Duration::from_secs(600), ..Settings::default() });
    drop(embedder.queue(numbers(9)).unwrap());
    let mut late = embedder.queue(numbers(10)).unwrap();
    let _kept = embedder.queue(numbers(20)).unwrap();
    embedder.shared.line().waiting[1].since -= Duration::from_secs(601);
    assert_eq!(lengths(&embedder.shared.next().unwrap()), [20]);
    assert_eq!(late.try_recv().unwrap().unwrap_err(), Skipped::Late);
}

#[test]
fn who_waits_where_the_embedder_ends_is_told() {
    let embedder = idle(Settings::default());
    let mut waiting = embedder.queue(numbers(9)).unwrap();
    let shared = Arc::clone(&embedder.shared);
    drop(embedder);
    assert!(shared.next().is_none());
    assert!(waiting.try_recv().is_err_and(|error| error == oneshot::error::TryRecvError::Closed));
}

#[tokio::test]
async fn a_repeated_text_is_remembered() {
    let embedder = Embedder::start(Settings::default()).unwrap();
    let first = embedder.embed("Is it open?").await.unwrap();
    embedder.shared.line().closed = true;
    let again = embedder.embed("is it  OPEN ?").await.unwrap();
    assert!(Arc::ptr_eq(&first, &again), "the same tokens, and nothing computed");
    assert_eq!(embedder.embed("Is it closed?").await.unwrap_err(), Skipped::Closed);
}
