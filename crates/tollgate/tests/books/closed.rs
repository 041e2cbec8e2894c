//! With the books away, whoever is not known already is let in by no route.

use crate::proxy::Wire;
use crate::stand::Stand;
use crate::support::{ask, chat, patiently};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tokio::task::JoinSet;

/// Every call that the server's tests make of the admin API.
const CALLS: &str = include_str!("../../../server/tests/gateway/security/calls.txt");
/// Calls of models and of what passes through.
const MODELS: [&str; 8] = [
    "POST /v1/chat/completions",
    "POST /v1/messages",
    "POST /v1/responses",
    "POST /v1/embeddings",
    "GET /v1/models",
    "POST /openai/v1/x",
    "GET /v1/files",
    "GET /metrics",
];

/// Every call: method, target.
fn calls() -> Vec<(String, String)> {
    let admin = CALLS.lines().filter(|line| !line.starts_with('#'));
    let admin = admin.map(|line| line.trim_start_matches(['-', '=', '+']));
    let split = |line: &str| {
        let mut words = line.split(' ');
        Some((words.next()?.to_owned(), words.next()?.replace(['<', '>'], "")))
    };
    admin.chain(MODELS).filter_map(split).filter(|(_, target)| target.starts_with('/')).collect()
}

/// What all of the calls are answered to somebody, by their status.
async fn told(stand: &Stand, key: &'static str) -> BTreeMap<u16, Vec<String>> {
    let (address, mut told) = (stand.site.gateway.address, BTreeMap::<u16, Vec<String>>::new());
    let mut asking = JoinSet::new();
    for (method, target) in calls() {
        asking.spawn(async move {
            let body = if method == "GET" { Value::Null } else { json!({"model": "m"}) };
            let answer = ask(address, key, (&method, &target), &[], &body).await;
            (answer.status, format!("{method} {target}"))
        });
    }
    for (status, call) in asking.join_all().await {
        told.entry(status).or_default().push(call);
    }
    told
}

#[tokio::test]
async fn with_the_books_away_no_route_lets_a_stranger_in() {
    let mut stand = Stand::start().await;
    let known = stand.site.gateway.new_key(json!({})).await;
    assert_eq!(chat(stand.site.gateway.address, &known, "before").await.status, 200);
    for is_stopped in [true, false] {
        if is_stopped {
            stand.stop_server().await;
        } else {
            stand.proxy.set(Wire::Dead);
        }
        let sent = stand.site.received().len();
        let stranger = patiently("strangers are answered", told(&stand, "sk-known-to-nobody-at-all")).await;
        assert_eq!(stranger.keys().collect::<Vec<_>>(), [&503], "{is_stopped}: {stranger:?}");
        assert!(stranger[&503].len() > 300, "{}", stranger[&503].len());
        let malformed = patiently("others are answered", told(&stand, "no-key-of-ours")).await;
        // So many of them are more than an address may send.
        assert!(malformed.keys().all(|status| [401, 429].contains(status)), "{is_stopped}: {malformed:?}");
        assert_eq!(stand.site.received().len(), sent);
        // Whoever is known goes on.
        assert_eq!(chat(stand.site.gateway.address, &known, "away").await.status, 200);
        if is_stopped {
            stand.run_server().await;
        } else {
            stand.proxy.set(Wire::Whole);
        }
    }
    stand.site.stop().await;
}
