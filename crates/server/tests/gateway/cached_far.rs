//! Answers that outlive the gateway, and that other gateways find.

use crate::folder::Folder;
use crate::support::admin::{MASTER, admin, ask_as, config, counted, get_as, key, made, seen};
use crate::support::{Answer, App, Setup, Wire, hello, model_list, streamed, sum_of};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tollgate_cache::{DiskPlace, Far, FarRules, Key};
use tollgate_policy::clock::Wall;
use tollgate_simulator::{Behaviour, Rule, Script};

const LOOKS: &str = "tollgate_cache_place_looks_total";
const WRITES: &str = "tollgate_cache_place_writes_total";

/// A cache on this folder; looks are patient, so that a busy machine changes no count.
fn on_disk(folder: &Folder, more: &str) -> String {
    let at = folder.path().join("answers");
    format!(
        "litellm_settings: {{cache: true, cache_params: {{type: disk, disk_cache_dir: '{}'{more}}}}}\n\
         tollgate_settings: {{cache: {{lookup_timeout: 30}}}}\n",
        at.display()
    )
}

fn open_yaml(folder: &Folder, more: &str) -> String {
    let list = model_list(&[("m", &Wire::OpenAi.parameters("a"))]);
    format!("{list}{}", on_disk(folder, more))
}

/// Another gateway, or the same after a restart: its providers are those of the first.
fn beside(first: &App, yaml: &str) -> Setup {
    Setup::new(yaml.replace("{sim}", &first.simulator.address().to_string()))
}

fn said(answer: &Answer) -> &str {
    answer.header("x-tollgate-cache").unwrap_or_default()
}

async fn outcome(app: &App, name: &str, outcome: &str) -> u64 {
    app.metric(name, &["place=\"disk\"", &format!("outcome=\"{outcome}\"")]).await as u64
}

/// The folder as somebody else opens it.
fn place(folder: &Folder) -> Far {
    let rules = FarRules { timeout: Duration::from_secs(30), told: Arc::new(|_| {}), give_way: || {} };
    Far::disk(&DiskPlace { folder: folder.path().join("answers"), bytes_max: 1 << 30 }, &rules)
}

#[tokio::test]
async fn an_answer_is_there_after_a_restart_whole_or_as_a_stream() {
    let folder = Folder::new();
    let yaml = open_yaml(&folder, "");
    let first = App::start(&*yaml, Script::new()).await;
    let whole = first.hello("m").await;
    // Another request: the same one would have the whole answer, said as a stream.
    let mut other = streamed(hello("m"));
    other["seed"] = json!(7);
    let events = first.stream(&other).await.rest().await;
    first.gateway.close().await;
    assert_eq!((outcome(&first, WRITES, "written").await, outcome(&first, LOOKS, "absent").await), (2, 2));
    let second = beside(&first, &yaml).start().await;
    for _ in 0..3 {
        let again = second.hello("m").await;
        assert_eq!((said(&again), &again.body), ("exact", &whole.body));
        let mut stream = second.stream(&other).await;
        assert_eq!(
            (said(&stream.head).to_owned(), stream.rest().await),
            ("exact".to_owned(), events.clone())
        );
    }
    assert_eq!(outcome(&second, LOOKS, "found").await, 2, "then they are in memory");
    assert_eq!(first.sends(["a"]), [2]);
    second.stop().await;
    first.stop().await;
}

#[tokio::test]
async fn a_herd_makes_one_look_and_one_request_to_the_provider() {
    let folder = Folder::new();
    let yaml = open_yaml(&folder, "");
    let slow = Rule::any(Behaviour::new().text("one two three").latency(Duration::from_millis(200)));
    let first = App::start(&*yaml, Script::new().rule(slow)).await;
    let herd = async |app: &App| futures_util::future::join_all((0..500).map(|_| app.hello("m"))).await;
    let answers = herd(&first).await;
    assert!(answers.iter().all(|answer| answer.status == 200 && answer.body == answers[0].body));
    assert_eq!((outcome(&first, LOOKS, "absent").await, first.sends(["a"])), (1, [1]));
    first.gateway.close().await;
    let second = beside(&first, &yaml).start().await;
    let again = herd(&second).await;
    assert!(again.iter().all(|answer| said(answer) == "exact" && answer.body == answers[0].body));
    assert_eq!((outcome(&second, LOOKS, "found").await, first.sends(["a"])), (1, [1]));
    second.stop().await;
    first.stop().await;
}

#[tokio::test]
async fn what_was_damaged_or_put_elsewhere_is_no_answer_and_goes_away() {
    let folder = Folder::new();
    let yaml = open_yaml(&folder, "");
    let first = App::start(&*yaml, Script::new()).await;
    let ask = async |app: &App, seed: u32| {
        let mut body = hello("m");
        body["seed"] = json!(seed);
        app.chat(&body).await
    };
    let mut keys = Vec::new();
    for seed in 0..2 {
        ask(&first, seed).await;
        let hit = ask(&first, seed).await;
        keys.push(Key::from_hex(hit.header("x-litellm-cache-key").unwrap()).unwrap());
    }
    first.gateway.close().await;
    let far = place(&folder);
    let misplaced = far.get(keys[1], 0).await.unwrap();
    far.put(keys[0], misplaced.clone(), (0, i64::MAX));
    far.put(keys[1], misplaced.slice(..misplaced.len() - 1), (0, i64::MAX));
    far.settle().await.unwrap();
    let second = beside(&first, &yaml).start().await;
    for seed in 0..2 {
        let answer = ask(&second, seed).await;
        assert_eq!((answer.status, said(&answer)), (200, "miss"));
    }
    assert_eq!(second.metric("tollgate_cache_place_damaged_total", &[]).await as u64, 2);
    second.gateway.close().await;
    let third = beside(&first, &yaml).start().await;
    for seed in 0..2 {
        assert_eq!(said(&ask(&third, seed).await), "exact", "what is right has taken its place");
    }
    assert_eq!(first.sends(["a"]), [4]);
    third.stop().await;
    second.stop().await;
    first.stop().await;
}

#[tokio::test]
async fn teams_do_not_meet_there_either() {
    let folder = Folder::new();
    let yaml = config(&on_disk(&folder, ""));
    let ask = async |app: &App, key: &str| ask_as(app, key, "/v1/chat/completions", &hello("chat")).await;
    let teams = async |app: &App| {
        let mut keys = Vec::new();
        for team in ["red", "blue"] {
            made(app, "/team/new", json!({"team_id": team})).await;
            keys.push(key(app, json!({"team_id": team})).await);
        }
        keys
    };
    let first = App::start(&*yaml, counted()).await;
    let keys = teams(&first).await;
    assert_eq!(said(&ask(&first, &keys[0]).await), "miss");
    first.gateway.close().await;
    let second = beside(&first, &yaml).start().await;
    let keys = teams(&second).await;
    assert_eq!(said(&ask(&second, &keys[1]).await), "miss", "blue");
    let hit = ask(&second, &keys[0]).await;
    assert_eq!((said(&hit), hit.header("x-litellm-response-cost")), ("exact", Some("0.0")), "red");
    second.stop().await;
    first.stop().await;
}

#[tokio::test]
async fn it_stays_longer_on_the_disk_than_in_memory_and_never_longer_than_it_may() {
    let folder = Folder::new();
    let yaml = open_yaml(&folder, ", default_in_memory_ttl: 30");
    let wall = Arc::new(AtomicI64::new(Wall::from_rfc3339("2026-11-03T12:00:00Z").unwrap().micros()));
    let read = Arc::clone(&wall);
    let app = Setup::new(yaml).wall(move || Wall::from_micros(read.load(Ordering::Relaxed))).start().await;
    let pass = |seconds: i64| wall.fetch_add(seconds * 1_000_000, Ordering::Relaxed);
    let brief = async || {
        let mut body = hello("m");
        body["seed"] = json!(1);
        body["cache"] = json!({"ttl": 40});
        app.chat(&body).await
    };
    assert_eq!([said(&app.hello("m").await), said(&brief().await)], ["miss", "miss"]);
    app.gateway.close().await;
    pass(29);
    assert_eq!([said(&app.hello("m").await), said(&brief().await)], ["exact", "exact"]);
    assert_eq!(outcome(&app, LOOKS, "found").await, 0, "memory has it");
    pass(2);
    assert_eq!([said(&app.hello("m").await), said(&brief().await)], ["exact", "exact"]);
    assert_eq!(outcome(&app, LOOKS, "found").await, 2);
    // What came from there is in memory for what it has left, not for 30 seconds more.
    pass(10);
    assert_eq!([said(&app.hello("m").await), said(&brief().await)], ["exact", "miss"]);
    pass(560);
    assert_eq!(said(&app.hello("m").await), "miss");
    app.stop().await;
}

#[tokio::test]
async fn a_folder_that_cannot_be_used_costs_no_request_and_is_left_alone() {
    let folder = Folder::new();
    std::fs::write(folder.path().join("answers"), b"a file").unwrap();
    let app = App::start(config(&on_disk(&folder, "")), counted()).await;
    assert_eq!(admin(&app, "/cache/ping", json!({})).await.status, 405);
    let ping = get_as(&app, MASTER, "/cache/ping").await;
    assert_eq!((ping.status, ping.json()["error"]["type"].as_str().unwrap()), (503, "cache_ping_error"));
    for seed in 0..20 {
        let mut body = hello("chat");
        body["seed"] = json!(seed);
        for expect in ["miss", "exact"] {
            let answer = ask_as(&app, MASTER, "/v1/chat/completions", &body).await;
            assert_eq!((answer.status, said(&answer)), (200, expect));
        }
    }
    let metrics = get_as(&app, MASTER, "/metrics").await.text();
    assert!(metrics.contains("tollgate_cache_place_up{place=\"disk\"} 0\n"), "{metrics}");
    let outcome = |outcome: &str| sum_of(&metrics, LOOKS, &[&format!("outcome=\"{outcome}\"")]) as u64;
    let [failed, passed] = ["failed", "passed"].map(outcome);
    // One more may have tried it again where the test took long.
    assert!((3..=5).contains(&failed) && failed + passed == 20, "{failed} failed, {passed} passed");
    app.stop().await;
}

#[tokio::test]
async fn an_operator_sees_it_and_forgets_what_is_there() {
    let folder = Folder::new();
    let yaml = config(&on_disk(&folder, ""));
    let first = App::start(&*yaml, counted()).await;
    let ask = async |app: &App, seed: u32| {
        let mut body = hello("chat");
        body["seed"] = json!(seed);
        ask_as(app, MASTER, "/v1/chat/completions", &body).await
    };
    for seed in 0..3 {
        ask(&first, seed).await;
    }
    let known = ask(&first, 0).await.header("x-litellm-cache-key").unwrap().to_owned();
    first.gateway.close().await;
    let second = beside(&first, &yaml).start().await;
    let ping = seen(&second, "/cache/ping").await;
    assert_eq!((&ping["cache_type"], &ping["status"]), (&json!("disk"), &json!("healthy")));
    // It is in nobody's memory here.
    let deleted = made(&second, "/cache/delete", json!({"keys": [known, "x"]})).await;
    assert_eq!(deleted, json!({"status": "success", "tollgate_deleted": 1}));
    assert_eq!(said(&ask(&second, 0).await), "miss");
    assert_eq!(said(&ask(&second, 1).await), "exact");
    made(&second, "/cache/flushall", json!({})).await;
    for seed in 1..3 {
        assert_eq!(said(&ask(&second, seed).await), "miss");
    }
    second.stop().await;
    first.stop().await;
}
