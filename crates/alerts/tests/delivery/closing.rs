//! The end of the process, changed settings, and those who tell from outside of any runtime.

use crate::receiver::{Answer, Receiver};
use crate::rules::Rules;
use crate::support::{Stand, numbered, settle, slack, until, until_later, webhook};
use std::time::Duration;

#[tokio::test]
async fn what_waits_is_told_at_the_end_without_any_pause() {
    let (machine, people) = (Receiver::start(Rules::Webhook).await, Receiver::start(Rules::Slack).await);
    let stand = Stand::new(vec![webhook(&machine.url(), None), slack(&people.url())]);
    for number in 0..300 {
        stand.alerts.tell(numbered(number));
    }
    stand.alerts.close(Duration::from_secs(30)).await;
    assert_eq!((machine.received().len(), people.received().len()), (300, 11));
    assert_eq!((stand.counts.delivered("webhook"), stand.counts.delivered("slack")), (300, 300));
}

#[tokio::test]
async fn the_end_does_not_wait_for_the_dead_and_counts_what_they_were_not_told() {
    let dead = Receiver::start(Rules::Webhook).await.always(Answer::Silent);
    let people = Receiver::start(Rules::Slack).await;
    let stand = Stand::new(vec![webhook(&dead.url(), None), slack(&people.url())]);
    for number in 0..5 {
        stand.alerts.tell(numbered(number));
    }
    until("the dead one is called", || dead.count() == 1).await;
    stand.alerts.close(Duration::from_millis(200)).await;
    assert_eq!((stand.counts.dropped("webhook"), stand.counts.delivered("slack")), (5, 5));
}

#[tokio::test]
async fn what_was_told_on_a_runtime_that_is_gone_is_told_by_the_next() {
    let receiver = Receiver::start(Rules::Webhook).await;
    let url = receiver.url();
    let stand = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let stand = runtime.block_on(async { Stand::new(vec![webhook(&url, None)]) });
        // Its errands never run.
        stand.alerts.tell(numbered(1));
        stand.alerts.tell(numbered(2));
        drop(runtime);
        stand
    })
    .join()
    .unwrap();
    stand.alerts.tell(numbered(3));
    until("all are told", || receiver.count() == 3).await;
    let numbers: Vec<u64> =
        receiver.received().iter().map(|request| request.json()["number"].as_u64().unwrap()).collect();
    assert_eq!(numbers, [1, 2, 3]);
}

#[tokio::test]
async fn a_thread_without_a_runtime_may_tell() {
    let receiver = Receiver::start(Rules::Webhook).await;
    let stand = Stand::new(vec![webhook(&receiver.url(), None)]);
    let alerts = stand.alerts.clone();
    std::thread::spawn(move || assert!(alerts.tell(numbered(1)))).join().unwrap();
    until("it is told", || receiver.count() == 1).await;
}

#[tokio::test]
async fn without_sockets_alerts_wait_and_are_counted_at_the_end() {
    let stand = Stand::detached();
    stand.configure(vec![slack("http://127.0.0.1:1/x")]);
    stand.alerts.tell(numbered(1));
    settle().await;
    assert_eq!(stand.counts.dropped("slack"), 0);
    stand.alerts.close(Duration::from_secs(1)).await;
    assert_eq!(stand.counts.dropped("slack"), 1);
}

#[tokio::test]
async fn changed_settings_change_who_is_told_and_lose_nothing() {
    let (old, new) = (Receiver::start(Rules::Slack).await, Receiver::start(Rules::Webhook).await);
    let stand = Stand::new(vec![slack(&old.url())]);
    for number in 0..12 {
        stand.alerts.tell(numbered(number));
    }
    until("the burst is told", || old.count() == 10).await;
    stand.configure(vec![webhook(&new.url(), None)]);
    stand.alerts.tell(numbered(12));
    until("the new one is told", || new.count() == 1).await;
    until_later("the old one gets what waited", Duration::from_secs(1), || old.count() == 11).await;
    assert_eq!(stand.counts.delivered("slack"), 12);
    assert!(!stand.alerts.tell(numbered(3)), "what was said is remembered");
}
