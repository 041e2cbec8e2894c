//! Every kind of alert at every channel, held against the channel's own rules.

use crate::receiver::Receiver;
use crate::rules::Rules;
use crate::support::{AT, Stand, everything, numbered, slack, spent, until_later, webhook};
use serde_json::Value;
use std::collections::HashSet;
use std::time::Duration;
use tollgate_alerts::{Alert, Scope, ScopeKind, Severity};
use tollgate_config::{AlertWay, Secret};

const ROUTING_KEY: &str = "R0123456789abcdef0123456789abcde";

fn way(rules: Rules, url: &str) -> AlertWay {
    let url = Secret::new(url);
    match rules {
        Rules::Slack => AlertWay::Slack { url },
        Rules::Teams => AlertWay::MsTeams { url },
        Rules::Discord => AlertWay::Discord { url },
        Rules::PagerDuty => AlertWay::PagerDuty { url, key: Secret::new(ROUTING_KEY) },
        Rules::Webhook => AlertWay::Webhook { url, secret: None },
    }
}

#[tokio::test]
async fn every_alert_is_taken_by_every_channel() {
    for rules in [Rules::Slack, Rules::Teams, Rules::Discord, Rules::PagerDuty, Rules::Webhook] {
        let receiver = Receiver::start(rules).await;
        let stand = Stand::new(vec![way(rules, &receiver.url())]);
        let mut expect = 0;
        for alert in everything() {
            let is_event =
                rules != Rules::PagerDuty || alert.severity > Severity::Info || !alert.resolves.is_empty();
            expect += usize::from(is_event);
            let told = stand.counts.delivered(way(rules, "").word());
            assert!(stand.alerts.tell(alert));
            // One after the other, so that none is told along with another.
            let word = way(rules, "").word();
            until_later("it is told", Duration::from_secs(1), || stand.counts.delivered(word) > told).await;
        }
        assert_eq!(receiver.received().len(), expect, "{rules:?}");
        assert_eq!(stand.counts.dropped(way(rules, "").word()), 0);
    }
}

#[tokio::test]
async fn what_an_end_user_was_charged_is_for_webhooks_alone() {
    let (machine, people) = (Receiver::start(Rules::Webhook).await, Receiver::start(Rules::Slack).await);
    let stand = Stand::new(vec![webhook(&machine.url(), None), slack(&people.url())]);
    let scope = || Scope::new(ScopeKind::EndUser, "acme");
    let paid = tollgate_catalog::PicoDollars::parse_dollars("0.1").unwrap();
    for _ in 0..2 {
        assert!(stand.alerts.tell(Alert::spend_tracked(scope(), paid, None)));
    }
    stand.alerts.tell(numbered(1));
    until_later("both are told", Duration::from_secs(1), || machine.count() == 3 && people.count() == 1)
        .await;
    let body = machine.received()[0].json();
    for (name, expect) in [
        ("event", Value::from("spend_tracked")),
        ("event_group", Value::from("end_user")),
        ("customer_id", Value::from("acme")),
        ("spend", Value::from(0.1)),
    ] {
        assert_eq!(body[name], expect, "{name}");
    }
}

#[tokio::test]
async fn a_webhook_gets_litellms_event_with_exact_amounts() {
    let receiver = Receiver::start(Rules::Webhook).await;
    let stand = Stand::new(vec![webhook(&receiver.url(), None)]);
    let mut spent = spent("88dc28d0", 0, None);
    // More digits than a float has.
    spent.spend = tollgate_catalog::PicoDollars(123_456_789_012_345_678_901);
    stand.alerts.tell(Alert::threshold(spent, 900_000, "downgrade"));
    until_later("it is told", Duration::from_secs(1), || receiver.count() == 1).await;
    let received = &receiver.received()[0];
    let text = String::from_utf8(received.body.clone()).unwrap();
    assert!(text.starts_with(r#"{"spend":123456789.012345678901,"max_budget":10.0,"#), "{text}");
    let body = received.json();
    for (name, expect) in [
        ("event", Value::from("threshold_crossed")),
        ("event_group", "key".into()),
        ("token", "88dc28d0".into()),
        ("key_alias", "alias of 88dc28d0".into()),
        ("threshold", 0.9.into()),
        ("tier", "downgrade".into()),
        ("timestamp", (AT / 1_000_000).into()),
    ] {
        assert_eq!(body[name], expect, "{name}");
    }
    assert_eq!(body["scope"]["alias"], "alias of 88dc28d0");
}

#[tokio::test]
async fn a_signature_can_be_checked_by_whoever_has_the_secret() {
    let receiver = Receiver::start(Rules::Webhook).await;
    let stand = Stand::new(vec![webhook(&receiver.url(), Some("whsec_1"))]);
    stand.alerts.tell(numbered(1));
    stand.alerts.tell(numbered(2));
    until_later("both are told", Duration::from_secs(1), || receiver.count() == 2).await;
    let received = receiver.received();
    for request in &received {
        let signature = request.header("x-tollgate-signature").unwrap();
        let (moment, mac) = signature.strip_prefix("t=").unwrap().split_once(",v1=").unwrap();
        assert_eq!(moment, (AT / 1_000_000).to_string());
        let mac: Vec<u8> =
            (0..mac.len()).step_by(2).map(|at| u8::from_str_radix(&mac[at..at + 2], 16).unwrap()).collect();
        let signed = [moment.as_bytes(), b".", &request.body].concat();
        let key = |secret: &str| ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret.as_bytes());
        assert!(ring::hmac::verify(&key("whsec_1"), &signed, &mac).is_ok());
        assert!(ring::hmac::verify(&key("whsec_2"), &signed, &mac).is_err());
    }
    let ids: HashSet<_> =
        received.iter().map(|request| request.header("x-tollgate-delivery").unwrap()).collect();
    assert_eq!(ids.len(), 2);
}

#[tokio::test]
async fn without_a_secret_nothing_is_signed() {
    let receiver = Receiver::start(Rules::Webhook).await;
    let stand = Stand::new(vec![webhook(&receiver.url(), None)]);
    stand.alerts.tell(numbered(1));
    until_later("it is told", Duration::from_secs(1), || receiver.count() == 1).await;
    assert_eq!(receiver.received()[0].header("x-tollgate-signature"), None);
}

#[tokio::test]
async fn what_is_back_ends_the_incident_that_it_began_with() {
    let receiver = Receiver::start(Rules::PagerDuty).await;
    let stand = Stand::new(vec![way(Rules::PagerDuty, &receiver.url())]);
    stand.alerts.tell(numbered(1));
    let back = Alert::new(tollgate_alerts::Event::Recovered, Severity::Info, "1", "Back.");
    stand.alerts.tell(back.resolves(vec![numbered(1).key]));
    until_later("both are told", Duration::from_secs(1), || receiver.count() == 2).await;
    let events: Vec<Value> = receiver.received().iter().map(crate::receiver::Received::json).collect();
    assert_eq!(
        (&events[0]["event_action"], &events[1]["event_action"]),
        (&"trigger".into(), &"resolve".into())
    );
    assert_eq!(events[0]["dedup_key"], events[1]["dedup_key"]);
    assert_eq!(events[0]["routing_key"], ROUTING_KEY);
}

#[tokio::test]
async fn each_is_told_of_its_own_types() {
    use tollgate_alerts::{AlertType, AlertTypes};
    use tollgate_config::{AlertChannel, Alerting};
    let (money, all) = (Receiver::start(Rules::Slack).await, Receiver::start(Rules::Webhook).await);
    let stand = Stand::new(Vec::new());
    let channels = vec![
        AlertChannel { way: slack(&money.url()), types: AlertTypes::of(&[AlertType::BudgetAlerts]) },
        AlertChannel { way: webhook(&all.url(), None), types: AlertTypes::ALL },
    ];
    stand.alerts.configure(&Alerting { channels, ..Alerting::default() });
    stand.alerts.tell(numbered(1));
    stand.alerts.tell(Alert::threshold(spent("k", 750, None), 750_000, "warn"));
    until_later("all are told", Duration::from_secs(1), || (money.count(), all.count()) == (1, 2)).await;
    assert!(money.received()[0].json()["text"].as_str().unwrap().contains("threshold_crossed"));
}
