//! How often the same is said, how fast a channel is told, and what a storm comes to.

use crate::receiver::{Answer, Received, Receiver};
use crate::rules::Rules;
use crate::support::{AT, Stand, advance, numbered, settle, slack, spent, until, until_later, webhook};
use std::collections::HashMap;
use std::time::Duration;
use tollgate_alerts::{Alert, Period};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: i64 = 3_600_000_000;

#[tokio::test]
async fn a_threshold_is_told_once_a_period_and_once_where_there_is_none() {
    let receiver = Receiver::start(Rules::Webhook).await;
    let stand = Stand::new(vec![webhook(&receiver.url(), None)]);
    let told = |start: Option<i64>, millionths: u32| {
        let period = start.map(|start| Period { start, end: Some(start + 24 * HOUR) });
        stand.alerts.tell(Alert::threshold(spent("k", 950, period), millionths, "warn"))
    };
    assert!(told(Some(AT), 750_000) && !told(Some(AT), 750_000));
    assert!(told(Some(AT), 900_000) && !told(Some(AT), 900_000));
    // A day later on the steady clock alone it is the same period still.
    advance(25 * 3_600 * SECOND).await;
    assert!(!told(Some(AT), 750_000));
    *stand.wall.lock().unwrap() = AT + 24 * HOUR;
    assert!(told(Some(AT + 24 * HOUR), 750_000) && !told(Some(AT + 24 * HOUR), 750_000));
    assert!(told(None, 750_000));
    *stand.wall.lock().unwrap() = AT + 10_000 * HOUR;
    assert!(!told(None, 750_000));
    until("all are told", || receiver.count() == 4).await;
    assert_eq!((receiver.received().len(), stand.counts.raised()), (4, 4));
}

#[tokio::test]
async fn a_projection_is_told_again_after_the_operators_time() {
    let stand = Stand::new(Vec::new());
    let projected = || {
        let period = Some(Period { start: AT, end: Some(AT + 1_000 * HOUR) });
        let dollars = tollgate_catalog::PicoDollars::parse_dollars("15").unwrap();
        stand.alerts.tell(Alert::projected(spent("k", 400, period), dollars, None))
    };
    assert!(projected() && !projected());
    advance(Duration::from_secs(86_399)).await;
    assert!(!projected());
    advance(SECOND).await;
    assert!(projected());
}

/// How many alerts of each sentence a webhook got.
fn each(received: &[Received]) -> HashMap<String, usize> {
    received.iter().fold(HashMap::new(), |mut each, request| {
        *each.entry(request.json()["event_message"].as_str().unwrap().to_owned()).or_default() += 1;
        each
    })
}

#[tokio::test]
async fn a_storm_of_ten_thousand_from_many_threads_is_one_of_each() {
    let (machine, people) = (Receiver::start(Rules::Webhook).await, Receiver::start(Rules::Slack).await);
    let stand = Stand::new(vec![webhook(&machine.url(), None), slack(&people.url())]);
    std::thread::scope(|threads| {
        for thread in 0..8 {
            let alerts = stand.alerts.clone();
            threads.spawn(move || {
                for number in 0..1_250 {
                    alerts.tell(numbered((number * 8 + thread) % 500));
                }
            });
        }
    });
    assert_eq!(stand.counts.raised(), 500);
    until_later("all are told", SECOND, || {
        stand.counts.delivered("webhook") == 500 && stand.counts.delivered("slack") == 500
    })
    .await;
    let each = each(&machine.received());
    assert_eq!((each.len(), machine.count()), (500, 500));
    // People got a burst, and the rest in one message.
    let texts: Vec<String> =
        people.received().iter().map(|request| request.json()["text"].as_str().unwrap().to_owned()).collect();
    assert_eq!(texts.len(), 11, "{texts:?}");
    assert!(
        texts[10].contains("490 more alerts") && texts[10].contains("490 cooldown_deployment"),
        "{}",
        texts[10]
    );
    assert_eq!((stand.counts.dropped("webhook"), stand.counts.dropped("slack")), (0, 0));
}

#[tokio::test]
async fn a_storm_at_a_channel_that_is_dead_is_bounded_and_counted() {
    let dead = Receiver::start(Rules::Webhook).await.always(Answer::Silent);
    let stand = Stand::new(vec![webhook(&dead.url(), None)]);
    for number in 0..12_000 {
        stand.alerts.tell(numbered(number));
    }
    // Ten thousand wait; one is being told, or will be.
    let dropped = stand.counts.dropped("webhook");
    assert!((1_999..=2_000).contains(&dropped), "{dropped}");
    stand.alerts.close(Duration::ZERO).await;
    assert_eq!(stand.counts.dropped("webhook"), 12_000);
}

#[tokio::test]
async fn a_channel_is_told_no_faster_than_it_bears() {
    let people = Receiver::start(Rules::Slack).await;
    let stand = Stand::new(vec![slack(&people.url())]);
    for number in 0..10 {
        stand.alerts.tell(numbered(number));
    }
    until("the burst is told", || people.count() == 10).await;
    stand.alerts.tell(numbered(10));
    settle().await;
    assert_eq!(people.count(), 10, "the eleventh waits");
    advance(SECOND).await;
    until("it is told", || people.count() == 11).await;
    let text = people.received()[10].json()["text"].as_str().unwrap().to_owned();
    assert!(text.contains("Deployment 10 is out."), "one that waits alone is told as it is: {text}");
}

#[tokio::test]
async fn a_channel_that_is_dead_delays_no_other() {
    let dead = Receiver::start(Rules::Slack).await.always(Answer::Silent);
    let (one, other) = (Receiver::start(Rules::Slack).await, Receiver::start(Rules::Webhook).await);
    let stand = Stand::new(vec![slack(&dead.url()), slack(&one.url()), webhook(&other.url(), None)]);
    for number in 0..10 {
        stand.alerts.tell(numbered(number));
    }
    // The clock stands still meanwhile, so that nothing here has waited for a time limit.
    until("the others are told", || (one.count(), other.count()) == (10, 10)).await;
    assert_eq!(dead.count(), 1);
}
