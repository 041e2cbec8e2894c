//! What sessions may cost and how much they may ask: each answer is held for before it can begin, and booked when it is over.

use crate::realtime::{Caller, Played, connect, events, next, say};
use crate::support::admin::{MASTER, key, made, rows, seen};
use crate::support::{App, settle};
use futures_util::{FutureExt, SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

type Provider = WebSocketStream<TcpStream>;

/// The most that gpt-realtime can say in an answer is 4,096 tokens, at 64 dollars a million: 0.262144.
const LONGEST: f64 = 0.262_144;

async fn start() -> (Played, App) {
    Played::start_with(&format!("general_settings: {{master_key: {MASTER}}}\n")).await
}

async fn session(played: &Played, app: &App, key: &str) -> (Caller, Provider) {
    let bearer = format!("Bearer {key}");
    let headers = [("authorization", bearer.as_str())];
    let (caller, provider) =
        tokio::join!(connect(app, "/v1/realtime?model=voice", &headers), played.accept());
    (caller.unwrap().0, provider)
}

async fn tell(provider: &mut Provider, event: Value) {
    provider.send(Message::text(event.to_string())).await.unwrap();
}

async fn begin(provider: &mut Provider, id: &str) {
    tell(provider, json!({"type": "response.created", "response": {"id": id}})).await;
}

/// An answer of so many tokens of sound to a prompt of so many of text, of which each kind has 4 and 64 dollars a million.
async fn end(provider: &mut Provider, id: &str, (input, output): (u64, u64)) {
    let usage = json!({
        "total_tokens": input + output, "input_tokens": input, "output_tokens": output,
        "output_token_details": {"text_tokens": 0, "audio_tokens": output},
    });
    tell(provider, json!({"type": "response.done", "response": {"id": id, "usage": usage}})).await;
}

fn cost((input, output): (u64, u64)) -> f64 {
    (input * 4 + output * 64) as f64 / 1e6
}

/// The next event that a provider is sent.
async fn heard(provider: &mut Provider) -> Value {
    loop {
        match next(provider).await {
            Some(Ok(Message::Text(text))) => return serde_json::from_str(&text).unwrap(),
            Some(Ok(Message::Close(frame))) => return json!(frame.map(|frame| u16::from(frame.code))),
            Some(Ok(_)) => {}
            other => panic!("{other:?}"),
        }
    }
}

async fn spent(app: &App, key: &str) -> f64 {
    let info = seen(app, &format!("/key/info?key={key}")).await;
    info["info"]["spend"].as_f64().unwrap()
}

fn close_to(found: f64, expected: f64) -> bool {
    (found - expected).abs() < 1e-9
}

#[tokio::test]
async fn an_answer_is_booked_when_it_is_over_and_not_with_its_session() {
    let (played, app) = start().await;
    let held = key(&app, json!({"max_budget": 5})).await;
    let (mut caller, mut provider) = session(&played, &app, &held).await;
    let counts = [(1_000, 500), (3_000, 100)];
    for (at, count) in counts.into_iter().enumerate() {
        say(&mut caller, json!({"type": "response.create"})).await;
        assert_eq!(heard(&mut provider).await["type"], "response.create");
        let id = format!("resp_{at}");
        begin(&mut provider, &id).await;
        end(&mut provider, &id, count).await;
        events(&mut caller, "response.done").await;
    }
    // The session goes on.
    let costs = counts.map(cost);
    let both = rows(&app, 2).await;
    let mut found: Vec<f64> = (0..2).map(|row| both[row]["spend"].as_f64().unwrap()).collect();
    found.sort_by(f64::total_cmp);
    assert!(close_to(found[0], costs[1]) && close_to(found[1], costs[0]), "{found:?} {costs:?}");
    assert!(close_to(spent(&app, &held).await, costs[0] + costs[1]));
    assert_eq!(both[0]["request_id"], both[1]["request_id"]);
    caller.close(None).await.unwrap();
    while let Some(Ok(_)) = next(&mut provider).await {}
    app.until("the session ends", |app| app.gateway.in_flight() == 0).await;
    rows(&app, 2).await;
    app.stop().await;
}

#[tokio::test]
async fn a_session_ends_when_its_budget_leaves_no_answer_more() {
    let (played, app) = start().await;
    let held = key(&app, json!({"max_budget": 0.5})).await;
    let (mut caller, mut provider) = session(&played, &app, &held).await;
    say(&mut caller, json!({"type": "response.create"})).await;
    heard(&mut provider).await;
    begin(&mut provider, "resp_0").await;
    end(&mut provider, "resp_0", (1_000, 4_000)).await;
    let (said, close) = events(&mut caller, "nothing").await;
    let types: Vec<&str> = said.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["response.created", "response.done", "error"]);
    let error = &said[2]["error"];
    assert_eq!((&error["type"], &error["code"]), (&json!("budget_exceeded"), &json!("budget_exceeded")));
    assert!(error["message"].as_str().unwrap().contains("Budget has been exceeded"), "{error}");
    assert_eq!(close.map(|(code, _)| code), Some(1_008));
    assert_eq!(heard(&mut provider).await, json!(1_001));
    drop(provider);
    app.until("the session ends", |app| app.gateway.in_flight() == 0).await;
    assert!(close_to(spent(&app, &held).await, cost((1_000, 4_000))));
    // Nothing is held any more: what is left is there for others.
    let left = key(&app, json!({"max_budget": LONGEST / 2.0})).await;
    let bearer = format!("Bearer {left}");
    let refused = connect(&app, "/v1/realtime?model=voice", &[("authorization", bearer.as_str())]).await;
    assert!(refused.is_err(), "a session is not opened that has no room for an answer");
    app.stop().await;
}

#[tokio::test]
async fn answers_that_nobody_asks_for_never_pass_a_budget() {
    let (played, app) = start().await;
    let held = key(&app, json!({"max_budget": 1})).await;
    let (mut caller, mut provider) = session(&played, &app, &held).await;
    let (count, mut made) = ((500, 4_000), 0);
    // A provider that answers by itself as long as it is listened to.
    let ended = loop {
        let id = format!("resp_{made}");
        let created = json!({"type": "response.created", "response": {"id": id}});
        if provider.send(Message::text(created.to_string())).await.is_err() {
            break None;
        }
        end(&mut provider, &id, count).await;
        made += 1;
        let (said, close) = events(&mut caller, "response.done").await;
        if close.is_some() {
            break said.last().cloned();
        }
        assert!(made < 10, "no budget stands in the way");
        settle().await;
        if let Some(Some(Ok(Message::Close(_)))) = provider.next().now_or_never() {
            let (said, _) = events(&mut caller, "nothing").await;
            break said.last().cloned();
        }
    };
    assert_eq!(ended.unwrap()["error"]["code"], "budget_exceeded");
    drop(provider);
    app.until("the session ends", |app| app.gateway.in_flight() == 0).await;
    let all = spent(&app, &held).await;
    assert!(all <= 1.0 && close_to(all, cost(count) * made as f64), "{all} of {made}");
    assert_eq!(made, 3);
    app.stop().await;
}

#[tokio::test]
async fn sound_waits_where_a_budget_leaves_room_for_one_answer_at_a_time() {
    let (played, app) = start().await;
    let held = key(&app, json!({"max_budget": 0.4})).await;
    let (mut caller, mut provider) = session(&played, &app, &held).await;
    say(&mut caller, json!({"type": "response.create"})).await;
    heard(&mut provider).await;
    begin(&mut provider, "resp_0").await;
    events(&mut caller, "response.created").await;
    // What leads to no answer goes on at once, and sound waits behind it.
    say(&mut caller, json!({"type": "response.cancel"})).await;
    assert_eq!(heard(&mut provider).await["type"], "response.cancel");
    say(&mut caller, json!({"type": "input_audio_buffer.append", "audio": "AAAA"})).await;
    settle().await;
    assert!(provider.next().now_or_never().is_none(), "an answer could begin that nothing is held for");
    end(&mut provider, "resp_0", (10, 10)).await;
    assert_eq!(heard(&mut provider).await["type"], "input_audio_buffer.append");
    drop((caller, provider));
    app.until("the session ends", |app| app.gateway.in_flight() == 0).await;
    app.stop().await;
}

#[tokio::test]
async fn a_conversation_that_grows_is_held_for_as_long_as_it_is() {
    let (played, app) = start().await;
    // Room for an answer to some 4,000 tokens of sound, at 32 dollars a million.
    let held = key(&app, json!({"max_budget": LONGEST + 0.128})).await;
    let (mut caller, mut provider) = session(&played, &app, &held).await;
    let text = |bytes: usize| {
        let content = json!([{"type": "input_text", "text": "a".repeat(bytes)}]);
        json!({"type": "conversation.item.create", "item": {"type": "message", "role": "user", "content": content}})
    };
    say(&mut caller, text(1_000)).await;
    assert_eq!(heard(&mut provider).await["type"], "conversation.item.create");
    say(&mut caller, text(4_000)).await;
    let (said, close) = events(&mut caller, "nothing").await;
    assert_eq!(said[0]["error"]["code"], "budget_exceeded");
    assert_eq!(close.map(|(code, _)| code), Some(1_008));
    assert_eq!(heard(&mut provider).await, json!(1_001), "the longer prompt went to the provider");
    drop(provider);
    app.until("the session ends", |app| app.gateway.in_flight() == 0).await;
    assert!(close_to(spent(&app, &held).await, 0.0));
    app.stop().await;
}

/// A session in which an answer runs while its key is taken away, by this call: what the caller hears from then on.
async fn taken_away(route: &str, body: fn(&str) -> Value) -> Vec<Value> {
    let (played, app) = start().await;
    let held = key(&app, json!({})).await;
    let (mut caller, mut provider) = session(&played, &app, &held).await;
    say(&mut caller, json!({"type": "response.create"})).await;
    heard(&mut provider).await;
    begin(&mut provider, "resp_0").await;
    events(&mut caller, "response.created").await;
    made(&app, route, body(&held)).await;
    // What runs is heard to its end, and nothing more goes to the provider.
    say(&mut caller, json!({"type": "response.create"})).await;
    end(&mut provider, "resp_0", (10, 10)).await;
    let (said, close) = events(&mut caller, "nothing").await;
    assert_eq!(close.map(|(code, _)| code), Some(1_008));
    assert_eq!(heard(&mut provider).await, json!(1_001));
    drop(provider);
    app.until("the session ends", |app| app.gateway.in_flight() == 0).await;
    app.stop().await;
    said
}

#[tokio::test]
async fn a_session_whose_key_is_taken_away_ends_with_the_answer_that_runs() {
    for (route, body, begins) in [
        (
            "/key/block",
            (|key| json!({"key": key})) as fn(&str) -> Value,
            "Authentication Error, Key is blocked.",
        ),
        (
            "/key/delete",
            |key| json!({"keys": [key]}),
            "Authentication Error, Invalid proxy server token passed.",
        ),
    ] {
        let said = taken_away(route, body).await;
        let types: Vec<&str> = said.iter().map(|event| event["type"].as_str().unwrap()).collect();
        assert_eq!(types, ["response.done", "error"], "{route}");
        assert_eq!(said[1]["error"]["code"], "invalid_api_key", "{route}");
        let message = said[1]["error"]["message"].as_str().unwrap();
        assert!(message.starts_with(begins), "{route}: {message}");
    }
}

#[tokio::test]
async fn each_answer_is_a_request_of_the_limits() {
    let (played, app) = start().await;
    let held = key(&app, json!({"rpm_limit": 2, "max_parallel_requests": 1})).await;
    let (mut caller, mut provider) = session(&played, &app, &held).await;
    for id in ["resp_0", "resp_1"] {
        say(&mut caller, json!({"type": "response.create"})).await;
        assert_eq!(heard(&mut provider).await["type"], "response.create");
        begin(&mut provider, id).await;
        end(&mut provider, id, (10, 10)).await;
        events(&mut caller, "response.done").await;
    }
    say(&mut caller, json!({"type": "response.create", "event_id": "event_7"})).await;
    let (said, _) = events(&mut caller, "error").await;
    let error = &said[0]["error"];
    assert_eq!((&error["code"], &error["event_id"]), (&json!("rate_limit_exceeded"), &json!("event_7")));
    assert!(error["message"].as_str().unwrap().contains("Limit type: requests"), "{error}");
    // The session goes on, and what was refused went nowhere.
    say(&mut caller, json!({"type": "response.cancel"})).await;
    assert_eq!(heard(&mut provider).await["type"], "response.cancel");
    // One that nobody asked for is one too many as well.
    begin(&mut provider, "resp_2").await;
    let (said, close) = events(&mut caller, "nothing").await;
    assert_eq!(said.last().unwrap()["error"]["code"], "rate_limit_exceeded");
    assert_eq!(close.map(|(code, _)| code), Some(1_008));
    drop(provider);
    app.until("the session ends", |app| app.gateway.in_flight() == 0).await;
    app.stop().await;
}

#[tokio::test]
async fn a_limit_of_tokens_counts_what_each_answer_used() {
    let (played, app) = start().await;
    let held = key(&app, json!({"tpm_limit": 10_000})).await;
    let (mut caller, mut provider) = session(&played, &app, &held).await;
    say(&mut caller, json!({"type": "response.create"})).await;
    heard(&mut provider).await;
    begin(&mut provider, "resp_0").await;
    end(&mut provider, "resp_0", (9_000, 900)).await;
    events(&mut caller, "response.done").await;
    say(&mut caller, json!({"type": "response.create"})).await;
    let (said, _) = events(&mut caller, "error").await;
    assert!(said[0]["error"]["message"].as_str().unwrap().contains("Limit type: tokens"), "{said:?}");
    drop((caller, provider));
    app.until("the session ends", |app| app.gateway.in_flight() == 0).await;
    app.stop().await;
}

#[tokio::test]
async fn what_is_written_down_is_booked_by_itself() {
    let (played, app) = start().await;
    let held = key(&app, json!({"max_budget": 5})).await;
    let (mut caller, mut provider) = session(&played, &app, &held).await;
    let transcription = json!({"audio": {"input": {"transcription": {"model": "gpt-4o-transcribe"}}}});
    tell(&mut provider, json!({"type": "session.updated", "session": transcription})).await;
    tell(&mut provider, json!({"type": "input_audio_buffer.committed"})).await;
    let usage = json!({"type": "tokens", "input_tokens": 100, "output_tokens": 40, "total_tokens": 140});
    let kind = "conversation.item.input_audio_transcription.completed";
    tell(&mut provider, json!({"type": kind, "usage": usage})).await;
    events(&mut caller, kind).await;
    let found = rows(&app, 1).await[0]["spend"].as_f64().unwrap();
    // 2.5 and 10 dollars a million.
    assert!(close_to(found, 0.000_65), "{found}");
    assert!(close_to(spent(&app, &held).await, 0.000_65));
    drop((caller, provider));
    app.until("the session ends", |app| app.gateway.in_flight() == 0).await;
    rows(&app, 1).await;
    app.stop().await;
}
