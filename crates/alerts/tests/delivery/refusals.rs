//! What becomes of an alert that a receiver does not take, and what is said of it.

use crate::receiver::{Answer, Receiver};
use crate::rules::Rules;
use crate::support::{Stand, numbered, slack, spent, until, until_later, webhook};
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tollgate_alerts::Alert;
use tollgate_config::{AlertWay, Secret};

const SECOND: Duration = Duration::from_secs(1);

fn says(status: u16) -> Answer {
    Answer::Says(status, "", "no")
}

#[tokio::test]
async fn what_may_pass_is_tried_again_with_the_same_id() {
    let hiccups =
        [says(500), says(503), Answer::Says(429, "retry-after: 30\r\n", "slow down"), Answer::Closes];
    let receiver = Receiver::start(Rules::Webhook).await.answers(hiccups);
    let stand = Stand::new(vec![webhook(&receiver.url(), Some("whsec"))]);
    stand.alerts.tell(numbered(1));
    until_later("it is taken", SECOND, || stand.counts.delivered("webhook") == 1).await;
    let received = receiver.received();
    assert_eq!((received.len(), stand.counts.dropped("webhook")), (5, 0));
    let first = received[0].header("x-tollgate-delivery").unwrap();
    assert!(received.iter().all(|request| request.header("x-tollgate-delivery") == Some(first)));
    assert!(received.iter().all(|request| request.body == received[0].body));
}

#[tokio::test]
async fn a_receiver_that_asks_for_time_gets_it() {
    let slow = Answer::Says(429, "retry-after: 120\r\n", "slow down");
    let receiver = Receiver::start(Rules::Slack).await.answers([slow]);
    let stand = Stand::new(vec![slack(&receiver.url())]);
    stand.alerts.tell(numbered(1));
    until("it is refused", || receiver.count() == 1).await;
    let steps = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&steps);
    until_later("it is taken", 10 * SECOND, || {
        *counted.lock().unwrap() += 1;
        stand.counts.delivered("slack") == 1
    })
    .await;
    // Looked at before the first step and after each of ten seconds.
    assert!(*steps.lock().unwrap() > 12, "{steps:?}");
}

#[tokio::test]
async fn what_no_other_try_can_change_is_counted_at_once() {
    for status in [301, 302, 307, 308, 400, 401, 403, 404, 410, 413] {
        let receiver = Receiver::start(Rules::Slack).await.always(says(status));
        let stand = Stand::new(vec![slack(&receiver.url())]);
        stand.alerts.tell(numbered(1));
        until("it is counted", || stand.counts.dropped("slack") == 1).await;
        assert_eq!((receiver.count(), stand.counts.delivered("slack")), (1, 0), "{status}");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let other = Receiver::start(Rules::Slack).await;
    let head: &'static str = Box::leak(format!("location: {}\r\n", other.url()).into_boxed_str());
    let receiver = Receiver::start(Rules::Slack).await.always(Answer::Says(307, head, ""));
    let stand = Stand::new(vec![slack(&receiver.url())]);
    stand.alerts.tell(numbered(1));
    until("it is counted", || stand.counts.dropped("slack") == 1).await;
    assert_eq!(other.count(), 0);
}

#[tokio::test]
async fn after_some_tries_it_is_given_up_and_the_next_one_gets_its_turn() {
    let refusals = std::iter::repeat_n(says(500), 8);
    let receiver = Receiver::start(Rules::Webhook).await.answers(refusals);
    let stand = Stand::new(vec![webhook(&receiver.url(), None)]);
    stand.alerts.tell(numbered(1));
    stand.alerts.tell(numbered(2));
    until_later("the second is told", 5 * SECOND, || stand.counts.delivered("webhook") == 1).await;
    assert_eq!((receiver.received().len(), stand.counts.dropped("webhook")), (9, 1));
    assert_eq!(receiver.received()[8].json()["number"], 2);
}

#[tokio::test]
async fn a_connector_that_says_no_in_a_good_reply_is_understood() {
    let no = "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 429 with ContextId x";
    let receiver = Receiver::start(Rules::Teams).await.answers([Answer::Says(200, "", no)]);
    let stand = Stand::new(vec![AlertWay::MsTeams { url: Secret::new(receiver.url()) }]);
    stand.alerts.tell(numbered(1));
    until_later("it is taken", SECOND, || stand.counts.delivered("ms_teams") == 1).await;
    assert_eq!(receiver.received().len(), 2);
}

#[tokio::test]
async fn a_reply_without_an_end_costs_nothing_but_its_connection() {
    let endless: &'static str = Box::leak("x".repeat(1 << 20).into_boxed_str());
    let receiver = Receiver::start(Rules::Webhook).await.always(Answer::Says(200, "", endless));
    let stand = Stand::new(vec![webhook(&receiver.url(), None)]);
    stand.alerts.tell(numbered(1));
    stand.alerts.tell(numbered(2));
    until("both are told", || stand.counts.delivered("webhook") == 2).await;
}

/// A log that is kept.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_line_of_the_log_has_a_secret() {
    let log = Log::default();
    let writing = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_ansi(false)
        .with_writer(move || writing.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let receiver =
        Receiver::start(Rules::Slack).await.always(Answer::Says(403, "", "s3cr3t of the receiver"));
    let closed = "http://127.0.0.1:1/hook/s3cr3t?key=s3cr3t";
    let url = || Secret::new(closed);
    let stand = Stand::new(vec![
        slack(&receiver.url()),
        webhook(closed, Some("signing s3cr3t")),
        AlertWay::MsTeams { url: url() },
        AlertWay::Discord { url: url() },
        AlertWay::PagerDuty { url: url(), key: Secret::new("routing s3cr3t") },
        // Nobody is reached by way of an address that is never one.
        slack("http://192.0.2.1/s3cr3t"),
    ]);
    stand.alerts.tell(Alert::threshold(spent("k", 750, None), 750_000, "warn"));
    let words = ["slack", "webhook", "ms_teams", "discord", "pagerduty"];
    until_later("all are given up", 10 * SECOND, || words.iter().all(|word| stand.counts.dropped(word) > 0))
        .await;
    until_later("both are given up", SECOND, || stand.counts.dropped("slack") == 2).await;
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("an alert was not delivered") && log.contains("channel=\"pagerduty\""), "{log}");
    assert!(!log.contains("s3cr3t"), "{log}");
    assert!(!format!("{:?}", stand.alerts).contains("s3cr3t"));
}
