//! Which issuer a token is held against, and what is known of it afterwards.

use super::*;
use crate::keeper::tests::{Fake, fixture};
use crate::keeper::{REFETCH_AFTER, RETRY_AFTER};
use tokio::time::advance;

const NOW: Wall = Wall::from_micros(1_795_001_000_000_000);

fn token(row: usize) -> String {
    fixture()["good"][row][1].as_str().unwrap().to_owned()
}

fn source(issuer: Option<&str>, is_fallback: bool) -> Source {
    Source {
        issuer: Issuer { issuer: issuer.map(str::to_owned), audiences: vec!["gateway".to_owned()] },
        addresses: vec![Address::parse("https://id.example.com/keys", None).unwrap()],
        is_fallback,
    }
}

fn gate(sources: Vec<Source>) -> Gate {
    Gate::new(sources, Times::default(), None)
}

const ISSUER: &str = "https://id.example.com";

#[tokio::test(start_paused = true)]
async fn a_token_is_held_against_the_issuer_that_it_names_or_the_one_for_others() {
    let fake = Arc::new(Fake::default());
    fake.hand_out(99);
    let check = async |sources, is_good: bool| {
        let checked = gate(sources).check_by(&fake, &token(9), NOW).await;
        assert_eq!(checked.is_ok(), is_good, "{checked:?}");
        checked.err()
    };
    check(vec![source(Some(ISSUER), false)], true).await;
    check(vec![source(None, true)], true).await;
    check(vec![source(Some(ISSUER), true)], true).await;
    let other = || source(Some("https://other.example.com"), false);
    assert_eq!(check(vec![other()], false).await, Some(Refusal::Bad(BadToken::Issuer)));
    check(vec![other(), source(Some(ISSUER), false)], true).await;
    check(vec![other(), source(None, true)], true).await;
    // Who is named is held to it, whatever the one for others would say.
    let strict = Source {
        issuer: Issuer { audiences: vec!["x".to_owned()], ..source(Some(ISSUER), false).issuer },
        ..source(Some(ISSUER), false)
    };
    let refusal = check(vec![strict, source(None, true)], false).await;
    assert_eq!(refusal, Some(Refusal::Bad(BadToken::Audience)));
    assert_eq!(check(Vec::new(), false).await, Some(Refusal::Bad(BadToken::Issuer)));
}

#[tokio::test(start_paused = true)]
async fn a_token_that_was_checked_is_known_while_it_and_its_keys_are() {
    let fake = Arc::new(Fake::default());
    fake.hand_out(4);
    let gate = gate(vec![source(Some(ISSUER), false)]);
    for _ in 0..5 {
        gate.check_by(&fake, &token(9), NOW).await.unwrap();
    }
    assert_eq!((gate.verified.len(), fake.fetched()), (1, 1));
    let over = Wall::from_micros(1_795_003_660_000_000);
    assert_eq!(gate.check_by(&fake, &token(9), over).await.unwrap_err(), BadToken::Expired.into());
    // Its key is taken back.
    fake.hand_out(0);
    advance(Duration::from_secs(601)).await;
    assert_eq!(gate.check_by(&fake, &token(9), NOW).await.unwrap_err(), BadToken::UnknownKey.into());
    assert!(gate.check_by(&fake, &token(0), NOW).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn tokens_that_begin_alike_are_different_tokens() {
    let fake = Arc::new(Fake::default());
    fake.hand_out(99);
    let gate = gate(vec![source(Some(ISSUER), false)]);
    let good = token(9);
    gate.check_by(&fake, &good, NOW).await.unwrap();
    let mut changed = good.clone().into_bytes();
    let last = changed.len() - 2;
    changed[last] = if changed[last] == b'A' { b'B' } else { b'A' };
    let changed = String::from_utf8(changed).unwrap();
    assert_eq!(gate.check_by(&fake, &changed, NOW).await.unwrap_err(), BadToken::Signature.into());
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_new_is_looked_for_once_in_a_while() {
    let fake = Arc::new(Fake::default());
    let gate = gate(vec![source(Some(ISSUER), false)]);
    gate.check_by(&fake, &token(0), NOW).await.unwrap();
    fake.hand_out(99);
    for _ in 0..20 {
        assert_eq!(gate.check_by(&fake, &token(9), NOW).await.unwrap_err(), BadToken::UnknownKey.into());
    }
    assert_eq!(fake.fetched(), 1);
    advance(REFETCH_AFTER).await;
    gate.check_by(&fake, &token(9), NOW).await.unwrap();
    assert_eq!(fake.fetched(), 2);
}

#[tokio::test(start_paused = true)]
async fn without_keys_nobody_is_let_in() {
    let fake = Arc::new(Fake::default());
    fake.go_away(true);
    let gate = gate(vec![source(Some(ISSUER), false), source(None, true)]);
    for row in 0..10 {
        let refusal = gate.check_by(&fake, &token(row), NOW).await.unwrap_err();
        assert_eq!(refusal, Refusal::NoKeys("away".to_owned()));
    }
    fake.go_away(false);
    fake.hand_out(99);
    advance(RETRY_AFTER).await;
    assert!(gate.check_by(&fake, &token(3), NOW).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn the_first_address_that_has_the_key_counts() {
    let fake = Arc::new(Fake::default());
    fake.hand_out(99);
    let mut two = source(None, true);
    two.addresses.push(Address::parse("https://id.example.com/more", None).unwrap());
    let gate = gate(vec![two]);
    assert!(gate.check_by(&fake, &token(9), NOW).await.is_ok());
    assert_eq!(fake.fetched(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_gate_made_anew_has_the_keys_of_the_one_before() {
    let fake = Arc::new(Fake::default());
    fake.hand_out(99);
    let first = gate(vec![source(Some(ISSUER), false)]);
    first.check_by(&fake, &token(9), NOW).await.unwrap();
    fake.go_away(true);
    let again =
        Gate::new(vec![source(Some(ISSUER), false), source(None, true)], Times::default(), Some(&first));
    assert!(again.check_by(&fake, &token(9), NOW).await.is_ok());
    assert_eq!(fake.fetched(), 1);
    let mut elsewhere = source(Some(ISSUER), false);
    elsewhere.addresses = vec![Address::parse("https://id.example.com/others", None).unwrap()];
    let other = Gate::new(vec![elsewhere], Times::default(), Some(&first));
    assert_eq!(other.check_by(&fake, &token(9), NOW).await.unwrap_err(), Refusal::NoKeys("away".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn whether_a_new_key_is_good_is_not_said_while_nobody_knows() {
    let fake = Arc::new(Fake::default());
    let gate = gate(vec![source(Some(ISSUER), false)]);
    gate.check_by(&fake, &token(0), NOW).await.unwrap();
    advance(REFETCH_AFTER).await;
    fake.go_away(true);
    assert_eq!(gate.check_by(&fake, &token(9), NOW).await.unwrap_err(), Refusal::NoKeys("away".to_owned()));
    // Those that are known go on.
    assert!(gate.check_by(&fake, &token(0), NOW).await.is_ok());
}
