//! Answers from the cache: which requests have the same, whose they are, what is kept and what is not.

use crate::support::admin::{MASTER, admin, ask_as, config, counted, get_as, key, made, seen};
use crate::support::{Answer, App, Wire, hello, model_list, post, settle, streamed};
use serde_json::{Value, json};
use std::time::Duration;
use tollgate_simulator::{Behaviour, Fault, Rule, Script};

const ON: &str = "litellm_settings: {cache: true}\n";
const KEY: &str = "x-litellm-cache-key";
const CACHE: &str = "x-tollgate-cache";

/// One open gateway with a cache.
async fn start(more: &str) -> App {
    start_with(more, Script::new()).await
}

async fn start_with(more: &str, script: Script) -> App {
    let list = model_list(&[("m", &Wire::OpenAi.parameters("a")), ("n", &Wire::OpenAi.parameters("b"))]);
    App::start(format!("{list}{ON}{more}"), script).await
}

async fn with(app: &App, more: Value) -> Answer {
    let mut body = hello("m");
    for (name, value) in more.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    app.chat(&body).await
}

/// `exact`, `miss` or nothing.
fn said(answer: &Answer) -> &str {
    answer.header(CACHE).unwrap_or_default()
}

#[tokio::test]
async fn the_same_request_has_the_same_answer_whatever_its_spacing_and_order() {
    let app = start("").await;
    let first = app.hello("m").await;
    assert_eq!((said(&first), first.header(KEY)), ("miss", None));
    let second = app.hello("m").await;
    assert_eq!((second.status, said(&second), &second.body), (200, "exact", &first.body));
    assert_eq!(second.header(KEY).map(str::len), Some(64));
    assert_eq!(second.header("x-tollgate-cache-age"), Some("0"));
    for name in ["x-litellm-response-cost", "x-litellm-response-cost-original"] {
        assert_eq!(second.header(name), Some("0.0"), "{name}");
    }
    assert_eq!(second.header("x-litellm-model-id"), first.header("x-litellm-model-id"));
    assert_ne!(second.header("x-litellm-call-id"), first.header("x-litellm-call-id"));
    let other_words =
        "{ \"messages\" : [ {\"content\":\"hello\\u0020there\", \"role\":\"user\"} ],\n\"model\":\"m\" }";
    let third = app.ask(&post("/v1/chat/completions", &[], other_words.as_bytes())).await;
    assert_eq!((said(&third), &third.body), ("exact", &first.body));
    for neutral in [
        json!({"user": "u"}),
        json!({"metadata": {"a": 1}}),
        json!({"timeout": 5}),
        json!({"num_retries": 1}),
        json!({"litellm_call_id": "x"}),
    ] {
        assert_eq!(said(&with(&app, neutral.clone()).await), "exact", "{neutral}");
    }
    assert_eq!(app.sends(["a"]), [1]);
    for other in [
        json!({"temperature": 0.5}),
        json!({"seed": 1}),
        json!({"max_tokens": 100}),
        json!({"max_completion_tokens": 100}),
        json!({"tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}]}),
        json!({"top_p": 0.5}),
        json!({"messages": [{"role": "user", "content": "hello There"}]}),
        json!({"messages": [{"role": "system", "content": "x"}, {"role": "user", "content": "hello there"}]}),
        json!({"model": "n"}),
        json!({"stop": ["x"]}),
        json!({"logit_bias": {"1": 1}}),
    ] {
        let one = with(&app, other.clone()).await;
        assert_eq!((one.status, said(&one)), (200, "miss"), "{other}: {}", one.text());
        assert_eq!(said(&with(&app, other.clone()).await), "exact", "{other}");
    }
    assert_eq!(app.metric("litellm_cache_hits_metric_total", &["\"m\""]).await as u64, 7 + 10);
    app.stop().await;
}

#[tokio::test]
async fn a_stream_comes_again_byte_for_byte_and_is_kept_only_when_it_was_whole() {
    let cut =
        Rule::any(Behaviour::new().text("one two three").fault(Fault::ErrorEvent { after: 2, code: 500 }))
            .times(1);
    let app = start_with("tollgate_settings: {rescue: false}\n", Script::new().rule(cut)).await;
    let mut whole = Vec::new();
    for expect in ["miss", "miss", "exact", "exact"] {
        let mut stream = app.hello_stream("m").await;
        assert_eq!(stream.head.header(CACHE), Some(expect));
        whole.push(stream.rest().await);
    }
    assert_ne!(whole[0], whole[1], "the first was cut");
    assert_eq!((&whole[2], &whole[3]), (&whole[1], &whole[1]));
    assert_eq!(app.sends(["a"]), [2]);
    app.stop().await;
}

#[tokio::test]
async fn litellms_controls_say_what_is_looked_up_and_what_is_kept() {
    let app = start("").await;
    let cache = async |controls: Value| with(&app, json!({"cache": controls})).await;
    assert_eq!(said(&cache(json!({"no-store": true})).await), "");
    assert_eq!(said(&cache(json!({})).await), "miss");
    assert_eq!(said(&cache(json!({"no-store": true})).await), "exact");
    assert_eq!(said(&cache(json!({"no-cache": true})).await), "miss");
    assert_eq!(said(&cache(json!({"use-cache": false})).await), "");
    assert_eq!(said(&cache(json!({"s-maxage": 0})).await), "miss");
    assert_eq!(said(&cache(json!({"s-maxage": 600})).await), "exact");
    assert_eq!(said(&cache(json!({"namespace": "x"})).await), "miss");
    assert_eq!(said(&cache(json!({"namespace": "x"})).await), "exact");
    assert_eq!(said(&cache(json!({"ttl": 0, "namespace": "y"})).await), "miss");
    assert_eq!(said(&cache(json!({"namespace": "y"})).await), "miss");
    let headers = |value: &'static str| [("cache-control", value)];
    assert_eq!(said(&app.hello_with("m", &headers("no-cache")).await), "miss");
    assert_eq!(said(&app.hello_with("m", &headers("max-age=600")).await), "exact");
    let wrong = cache(json!({"no-cash": true})).await;
    assert_eq!(wrong.status, 400);
    assert!(wrong.error_message().contains("'cache.no-cash'"), "{}", wrong.text());
    // What is the gateway's is not sent on.
    assert!(app.received().iter().all(|request| !String::from_utf8_lossy(&request.body).contains("cache")));
    app.stop().await;
}

#[tokio::test]
async fn where_it_is_off_by_default_a_request_asks_for_it() {
    let yaml = "tollgate_settings: {cache: {never: {models: [n]}}}\n";
    let app = start(yaml).await;
    let more = "litellm_settings: {cache: true, cache_params: {mode: default_off, supported_call_types: [acompletion]}}\n";
    let list = model_list(&[("m", &Wire::OpenAi.parameters("a")), ("n", &Wire::OpenAi.parameters("b"))]);
    let on = json!({"cache": {"use-cache": true}});
    let never = json!({"model": "n"});
    assert_eq!([said(&app.hello("m").await), said(&with(&app, never.clone()).await)], ["miss", ""]);
    app.reload(&format!("{list}{more}{yaml}"));
    assert_eq!(said(&app.hello("m").await), "");
    assert_eq!(said(&with(&app, on.clone()).await), "exact", "what is kept outlives a change of the rules");
    assert_eq!(said(&with(&app, json!({"model": "n", "cache": {"use-cache": true}})).await), "");
    app.stop().await;
}

#[tokio::test]
async fn many_at_once_are_one_request_to_the_provider() {
    let slow = Rule::any(Behaviour::new().text("one two three").latency(Duration::from_millis(200)));
    let app = start_with("", Script::new().rule(slow)).await;
    let plain: Vec<Answer> = all((0..100).map(|_| app.hello("m"))).await;
    assert!(plain.iter().all(|answer| answer.status == 200 && answer.body == plain[0].body));
    assert_eq!(app.sends(["a"]), [1]);
    assert_eq!(plain.iter().filter(|answer| said(answer) == "miss").count(), 1);
    let streams = all((0..100).map(|_| async {
        let body = streamed(json!({"model": "n", "messages": hello("n")["messages"]}));
        let mut stream = app.stream(&body).await;
        (said(&stream.head).to_owned(), stream.rest().await)
    }))
    .await;
    assert!(streams.iter().all(|(_, events)| *events == streams[0].1 && events.len() > 3));
    assert_eq!(app.sends(["b"]), [1]);
    assert_eq!(streams.iter().filter(|(said, _)| said == "miss").count(), 1);
    app.stop().await;
}

async fn all<T>(futures: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    futures_util::future::join_all(futures).await
}

#[tokio::test]
async fn a_stream_goes_on_for_the_others_when_the_one_who_asked_goes_away() {
    let slow = Behaviour::new().text("one two three four five").pace(Duration::from_millis(50));
    let app = start_with("", Script::new().rule(Rule::any(slow))).await;
    let mut first = app.hello_stream("m").await;
    assert!(first.event().await.is_some());
    let second = app.hello_stream("m").await;
    assert_eq!((said(&first.head), said(&second.head)), ("miss", "exact"));
    drop(first);
    let mut second = second;
    let events = second.rest().await;
    assert!(events.last().is_some_and(|last| last.contains("[DONE]")), "{events:?}");
    let mut third = app.hello_stream("m").await;
    assert_eq!(said(&third.head), "exact");
    assert_eq!(third.rest().await, events);
    assert_eq!(app.sends(["a"]), [1]);
    app.stop().await;
}

#[tokio::test]
async fn the_lead_passes_on_when_the_one_who_asks_goes_away_or_fails() {
    let hang = Rule::any(Behaviour::new().fault(Fault::Hang)).times(1);
    let app = start_with("", Script::new().rule(hang)).await;
    let mut leader = app.connect().await;
    leader.write(&post("/v1/chat/completions", &[], hello("m").to_string().as_bytes())).await;
    app.until_waiting(1).await;
    let waiting = async { all((0..10).map(|_| app.hello("m"))).await };
    let leave = async {
        settle().await;
        drop(leader);
    };
    let (answers, ()) = futures_util::future::join(waiting, leave).await;
    assert!(answers.iter().all(|answer| answer.status == 200));
    assert_eq!(app.sends(["a"]), [2]);
    app.stop().await;
}

#[tokio::test]
async fn failures_are_nobodys_answer() {
    let fails = Rule::any(Behaviour::new().fault(Fault::ErrorInOk)).times(1);
    let app = start_with("router_settings: {num_retries: 0}\n", Script::new().rule(fails)).await;
    let bad = app.hello("m").await;
    assert_eq!((bad.status >= 500, said(&bad)), (true, ""));
    assert_eq!(said(&app.hello("m").await), "miss");
    assert_eq!(said(&app.hello("m").await), "exact");
    app.stop().await;
}

#[tokio::test]
async fn teams_never_see_each_others_answers_and_a_hit_costs_nothing() {
    let app = App::start(config(ON), counted()).await;
    for team in ["red", "blue"] {
        made(&app, "/team/new", json!({"team_id": team, "max_budget": 1})).await;
    }
    let [red, red_too, blue, alone, alone_too] = [
        key(&app, json!({"team_id": "red"})).await,
        key(&app, json!({"team_id": "red", "rpm_limit": 2})).await,
        key(&app, json!({"team_id": "blue"})).await,
        key(&app, json!({})).await,
        key(&app, json!({})).await,
    ];
    let ask = async |key: &str| ask_as(&app, key, "/v1/chat/completions", &hello("chat")).await;
    for (key, expect) in [
        (&red, "miss"),
        (&red, "exact"),
        (&red_too, "exact"),
        (&blue, "miss"),
        (&blue, "exact"),
        (&alone, "miss"),
        (&alone_too, "miss"),
        (&alone, "exact"),
    ] {
        let answer = ask(key).await;
        assert_eq!((answer.status, said(&answer)), (200, expect), "{}", answer.text());
        let cost = answer.header("x-litellm-response-cost").map(str::to_owned);
        assert_eq!(cost.as_deref(), Some(if expect == "exact" { "0.0" } else { "0.0035" }));
    }
    // Limits go before a hit: one more is let in, the next is not.
    assert_eq!([ask(&red_too).await.status, ask(&red_too).await.status], [200, 429]);
    let mut rows = Vec::new();
    for _ in 0..1_000 {
        rows = seen(&app, "/spend/logs").await.as_array().cloned().unwrap_or_default();
        if rows.iter().filter(|row| row["status"] != json!("failure")).count() == 9 {
            break;
        }
        settle().await;
    }
    let hits: Vec<&Value> = rows.iter().filter(|row| row["cache_hit"] == json!("True")).collect();
    assert_eq!(hits.len(), 5, "{rows:?}");
    for row in hits {
        assert_eq!((&row["spend"], &row["total_tokens"]), (&json!(0.0), &json!(1_100)));
        assert_eq!(row["cache_key"].as_str().map(str::len), Some(64));
    }
    let team = seen(&app, "/team/info?team_id=red").await;
    assert_eq!(team["team_info"]["spend"], json!(0.0035));
    app.stop().await;
}

#[tokio::test]
async fn a_reply_names_the_model_by_which_it_was_asked_for() {
    let alias = "router_settings: {model_group_alias: {other: chat}}\n";
    let app = App::start(config(&format!("{ON}{alias}")), counted()).await;
    for name in ["chat", "other"] {
        for expect in ["miss", "exact"] {
            let answer = ask_as(&app, MASTER, "/v1/chat/completions", &hello(name)).await;
            assert_eq!((said(&answer), &answer.json()["model"]), (expect, &json!(name)));
        }
    }
    app.stop().await;
}

#[tokio::test]
async fn an_operator_sees_whether_answers_are_kept_and_has_them_forgotten() {
    let none = App::start(config(""), counted()).await;
    let absent = get_as(&none, MASTER, "/cache/ping").await;
    assert_eq!((absent.status, &absent.json()["error"]["type"]), (503, &json!("cache_ping_error")));
    none.stop().await;
    let app = App::start(config(ON), counted()).await;
    let ask = async || ask_as(&app, MASTER, "/v1/chat/completions", &hello("chat")).await;
    ask().await;
    let hit = ask().await;
    let kept = hit.header(KEY).unwrap().to_owned();
    let ping = seen(&app, "/cache/ping").await;
    assert_eq!(
        (&ping["status"], &ping["cache_type"], &ping["tollgate_entries"]),
        (&json!("healthy"), &json!("local"), &json!(1))
    );
    let keys = json!({"keys": [kept, "no key", "0".repeat(64)]});
    assert_eq!(made(&app, "/cache/delete", keys).await, json!({"status": "success", "tollgate_deleted": 1}));
    assert_eq!([said(&ask().await), said(&ask().await)], ["miss", "exact"]);
    assert_eq!(made(&app, "/cache/flushall", json!({})).await, json!({"status": "success"}));
    assert_eq!(said(&ask().await), "miss");
    assert_eq!(admin(&app, "/cache/delete", json!({"keys": "x"})).await.status, 400);
    let own = key(&app, json!({})).await;
    for path in ["/cache/delete", "/cache/flushall"] {
        assert!(matches!(ask_as(&app, &own, path, &json!({"keys": []})).await.status, 401 | 403), "{path}");
    }
    app.stop().await;
}

#[tokio::test]
async fn a_key_says_which_controls_it_has_and_what_holds_for_all_its_requests() {
    let app = App::start(config(ON), counted()).await;
    let bound = key(&app, json!({"allowed_cache_controls": ["no-cache"]})).await;
    let never = key(&app, json!({"metadata": {"cache": {"no-cache": true, "no-store": true}}})).await;
    let ask = async |key: &str, controls: Value| {
        let mut body = hello("chat");
        body["cache"] = controls;
        ask_as(&app, key, "/v1/chat/completions", &body).await
    };
    assert_eq!(ask(&bound, json!({"no-cache": true})).await.status, 200);
    let refused = ask(&bound, json!({"no-cache": true, "ttl": 5})).await;
    assert_eq!(refused.status, 403);
    let words = "Not allowed to set ttl as a cache control. Contact admin to change permissions.";
    assert!(refused.error_message().contains(words), "{}", refused.text());
    assert_eq!(said(&ask(&bound, json!({})).await), "exact");
    for _ in 0..2 {
        assert_eq!(said(&ask(&never, json!({})).await), "");
    }
    assert_eq!(app.sends(["a"]), [3]);
    app.stop().await;
}
