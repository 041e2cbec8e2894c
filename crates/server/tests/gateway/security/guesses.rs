//! Guessing of keys: who sends wrong ones is counted and told to wait, whoever has a good one never is, and no answer tells
//! one wrong key from another.

use super::world::{Line, World};
use crate::support::admin::tried;
use crate::support::{Answer, advance, seconds};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Instant;
use tollgate_identity::secret::Token;

/// Twenty wrong keys a minute, of whoever a balancer says that it is.
const HELD: &str = "tollgate_settings: {wrong_keys_per_minute: 20, trusted_proxies: [127.0.0.0/8]}\n";

/// Somebody's line from an address.
fn from(world: &World, who: &str, address: &str) -> Line {
    let mut line = world.line(who);
    line.says.push_str(&format!("x-forwarded-for: {address}\r\n"));
    line
}

/// A line with a key of one's own invention.
fn guessing(world: &World, key: &str, address: &str) -> Line {
    let says = format!("authorization: Bearer {key}\r\nx-forwarded-for: {address}\r\n");
    let mut line = world.line("anonymous");
    line.says = says;
    line
}

/// A question with an answer that costs.
fn chat() -> Value {
    json!({"model": "chat", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 5})
}

async fn models(line: &mut Line) -> u16 {
    line.ask("GET", "/v1/models", &Value::Null).await.status
}

/// Sends so many wrong keys, no two the same: how many were a 401.
async fn guess(line: &mut Line, many: usize) -> usize {
    let says = line.says.clone();
    let mut plain = 0;
    for number in 0..many {
        line.says = says.replacen("sk-", &format!("sk-{number:08}"), 1);
        let answer = line.ask("GET", "/v1/models", &Value::Null).await;
        match answer.status {
            401 => plain += 1,
            429 => {
                let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
                assert!((1..=60).contains(&wait), "{wait}");
            }
            status => panic!("{status}: {}", answer.text()),
        }
    }
    line.says = says;
    plain
}

#[tokio::test]
async fn wrong_keys_are_counted_and_a_good_one_is_served_among_any_number_of_them() {
    let world = World::open(HELD).await;
    let is_long = std::env::var_os("TOLLGATE_TEST_LONG").is_some();
    let (rounds, began) = (if is_long { 10_000 } else { 20 }, Instant::now());
    let mut wrong = guessing(&world, "sk-guess", "192.0.2.1");
    let mut good =
        ["master", "member-team-a", "bare-a", "admin"].map(|who| (who, from(&world, who, "192.0.2.1")));
    let (mut plain, mut served) = (0, 0);
    for round in 0..rounds {
        plain += guess(&mut wrong, 100).await;
        for (who, line) in &mut good {
            let answer = line.ask("GET", "/v1/models", &Value::Null).await;
            assert_eq!(answer.status, 200, "{who} in round {round}: {}", answer.text());
            served += 1;
        }
        if round % 10 == 0 {
            good[1].1.good("POST", "/v1/chat/completions", chat()).await;
            good[0].1.good("GET", "/key/list", Value::Null).await;
        }
    }
    let minutes = usize::try_from(began.elapsed().as_secs() / 60).unwrap();
    assert!((20..=20 * (minutes + 2)).contains(&plain), "{plain} of {}", rounds * 100);
    assert_eq!(served, rounds * 4);
    // From elsewhere nobody is held.
    assert_eq!(guess(&mut guessing(&world, "sk-guess", "192.0.2.2"), 20).await, 20);
    world.close().await;
}

#[tokio::test]
async fn behind_a_balancer_that_is_not_believed_good_keys_are_served_as_well() {
    let world = World::open("tollgate_settings: {wrong_keys_per_minute: 20}\n").await;
    // All of them are the balancer.
    let mut told = BTreeSet::new();
    for number in 0..60 {
        let mut wrong = guessing(&world, &format!("sk-guess-{number}"), &format!("192.0.2.{number}"));
        told.insert(models(&mut wrong).await);
        assert_eq!(models(&mut from(&world, "bare-a", &format!("198.51.100.{number}"))).await, 200);
    }
    assert_eq!(told, BTreeSet::from([401, 429]));
    world.close().await;
}

#[tokio::test]
async fn no_key_and_keys_that_were_good_are_no_guesses() {
    let world = World::open(HELD).await;
    let answered = [("anonymous", 401), ("expired", 401), ("blocked", 401), ("of a shut team", 401)];
    for (who, status) in answered {
        let mut line = from(&world, who, "192.0.2.1");
        for _ in 0..30 {
            assert_eq!(models(&mut line).await, status, "{who}");
        }
        // Not where it may go, nor what it may ask: nothing of that is a wrong key.
        assert_eq!(
            from(&world, "bare-a", "192.0.2.1").ask("GET", "/user/list", &Value::Null).await.status,
            401
        );
    }
    assert_eq!(guess(&mut guessing(&world, "sk-guess", "192.0.2.1"), 30).await, 20);
    // And where wrong keys are held, these are told as before.
    for (who, status) in answered {
        assert_eq!(models(&mut from(&world, who, "192.0.2.1")).await, status, "{who}");
    }
    // What asks for no key does not look at one.
    let mut wrong = guessing(&world, "sk-guess", "192.0.2.1");
    assert_eq!(wrong.ask("GET", "/health/liveliness", &Value::Null).await.status, 200);
    world.close().await;
}

#[tokio::test]
async fn a_minute_later_a_wrong_key_is_a_401_again() {
    let world = World::open(HELD).await;
    let mut wrong = guessing(&world, "sk-guess", "192.0.2.1");
    assert_eq!(guess(&mut wrong, 25).await, 20);
    advance(seconds(60)).await;
    assert_eq!(guess(&mut wrong, 25).await, 20);
    world.close().await;
}

/// What an answer says that is not of the key or the moment.
fn said(answer: &Answer, key: &str) -> (u16, Vec<(String, String)>, String) {
    let hash = Token::of(key.as_bytes()).as_str().to_owned();
    let volatile = ["date", "retry-after", "x-litellm-call-id", "content-length"];
    let headers = answer.headers.iter().filter(|(name, _)| !volatile.contains(&name.as_str()));
    assert!(!answer.everything().contains(key), "{key} in {}", answer.everything());
    (answer.status, headers.cloned().collect(), answer.text().replace(&hash, "HASH"))
}

#[tokio::test]
async fn no_answer_tells_one_wrong_key_from_another() {
    let world = World::open(HELD).await;
    let real = world.key("member-team-a").to_owned();
    let hash = Token::of(real.as_bytes()).as_str().to_owned();
    let (mut changed, last) = (real.clone(), real.chars().last().unwrap());
    changed.pop();
    changed.push(if last == 'a' { 'b' } else { 'a' });
    let wrong = [
        super::world::UNKNOWN.to_owned(),
        world.key("revoked").to_owned(),
        world.key("replaced").to_owned(),
        format!("sk-{hash}"),
        real[..real.len() - 1].to_owned(),
        format!("{real}a"),
        format!("sk-{}", real[3..].to_uppercase()),
        format!("sk-...{}", &real[real.len() - 4..]),
        changed,
        format!("{}0", super::world::MASTER),
        super::world::MASTER[..10].to_owned(),
    ];
    let calls = [
        ("GET", "/v1/models"),
        ("POST", "/v1/chat/completions"),
        ("POST", "/v1/messages"),
        ("POST", "/v1beta/models/chat:generateContent"),
        ("POST", "/model/chat/converse"),
        ("POST", "/v2/chat"),
        ("GET", "/key/info"),
        ("POST", "/key/generate"),
        ("GET", "/metrics"),
        ("GET", "/openai/v1/files"),
    ];
    for (place, (method, path)) in calls.into_iter().enumerate() {
        let mut told = BTreeSet::new();
        for key in &wrong {
            let mut line = guessing(&world, key, &format!("192.0.2.{place}"));
            told.insert(said(&line.ask(method, path, &Value::Null).await, key));
        }
        assert_eq!(told.len(), 1, "{method} {path}: {told:#?}");
        assert_eq!(told.first().unwrap().0, 401, "{method} {path}");
        // Nor where too many came.
        let address = format!("198.51.100.{place}");
        guess(&mut guessing(&world, "sk-guess", &address), 20).await;
        let mut told = BTreeSet::new();
        for key in &wrong {
            let mut line = guessing(&world, key, &address);
            told.insert(said(&line.ask(method, path, &Value::Null).await, key));
        }
        assert_eq!(told.len(), 1, "{method} {path}: {told:#?}");
        let (status, _, text) = told.first().unwrap();
        assert!(*status == 429 && !text.contains("HASH"), "{method} {path}: {text}");
    }
    // The one that all of them are near to.
    assert_eq!(tried(&world.app, &real, "chat").await.0, 200);
    world.close().await;
}
