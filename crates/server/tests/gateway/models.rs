//! Deployments made by the admin API: served at once, kept sealed, and a team's own for the team alone.

use crate::support::{Answer, App, Setup, Wire, hello, model_list, post};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tollgate_simulator::Script;
use tollgate_store::books::{Books, Expected, Put, RecordChange};
use tollgate_store::{LazyStore, Location, StoreOptions};

const MASTER: &str = "sk-master-0123456789";
const KEY: &str = "sk-key-of-provider-secret";

fn config() -> String {
    let list = model_list(&[("chat", &Wire::OpenAi.parameters("a"))]);
    format!("{list}general_settings: {{master_key: {MASTER}}}\n")
}

async fn start() -> App {
    App::start(config(), Script::new()).await
}

async fn call(app: &App, (method, key): (&str, &str), path: &str, body: Value) -> Answer {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let request = post(path, &[("authorization", &format!("Bearer {key}"))], body.as_bytes());
    let text = String::from_utf8(request).unwrap();
    app.ask(text.replacen("POST", method, 1).as_bytes()).await
}

async fn admin(app: &App, path: &str, body: Value) -> Answer {
    let answer = call(app, ("POST", MASTER), path, body).await;
    assert!(!answer.text().contains(KEY), "{}", answer.text());
    answer
}

async fn get(app: &App, key: &str, path: &str) -> Answer {
    let answer = call(app, ("GET", key), path, Value::Null).await;
    assert!(!answer.text().contains(KEY), "{}", answer.text());
    answer
}

async fn chat(app: &App, key: &str, model: &str) -> u16 {
    call(app, ("POST", key), "/v1/chat/completions", hello(model)).await.status
}

/// A deployment at `/d/<name>`.
fn deployment(app: &App, group: &str, name: &str) -> Value {
    let base = format!("http://{}/d/{name}/v1", app.simulator.address());
    json!({
        "model_name": group,
        "litellm_params": {"model": "openai/gpt-4o", "api_key": KEY, "api_base": base},
        "model_info": {"id": format!("id-{name}")},
    })
}

async fn made(app: &App, body: Value) -> Value {
    let answer = admin(app, "/model/new", body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

#[tokio::test]
async fn a_model_serves_the_next_request_and_is_changed_blocked_and_deleted() {
    let app = start().await;
    let told = made(&app, deployment(&app, "dyn", "one")).await;
    assert_eq!((&told["model_id"], &told["model_name"]), (&json!("id-one"), &json!("dyn")));
    assert_eq!(told["litellm_params"]["api_key"], "*****");
    assert_eq!(chat(&app, MASTER, "dyn").await, 200);
    assert_eq!(app.received()[0].header("authorization"), Some(format!("Bearer {KEY}").as_str()));

    let base = format!("http://{}/d/two/v1", app.simulator.address());
    let change =
        json!({"model_info": {"id": "id-one"}, "litellm_params": {"api_base": base, "api_key": "sk****et"}});
    assert_eq!(admin(&app, "/model/update", change).await.status, 200);
    assert_eq!(chat(&app, MASTER, "dyn").await, 200);
    assert_eq!(app.sends(["one", "two"]), [1, 1]);
    assert_eq!(app.received()[1].header("authorization"), Some(format!("Bearer {KEY}").as_str()));

    let patch = json!({"litellm_params": {"rpm": 5}});
    let patched = call(&app, ("PATCH", MASTER), "/model/id-one/update", patch).await;
    assert_eq!((patched.status, &patched.json()["litellm_params"]["rpm"]), (200, &json!(5)));
    assert_eq!(admin(&app, "/model/block", json!({"model_id": "id-one"})).await.json()["blocked"], true);
    assert_ne!(chat(&app, MASTER, "dyn").await, 200);
    assert_eq!(admin(&app, "/model/unblock", json!({"model_id": "id-one"})).await.status, 200);
    assert_eq!(chat(&app, MASTER, "dyn").await, 200);

    let gone = admin(&app, "/model/delete", json!({"id": "id-one"})).await;
    assert_eq!(gone.json(), json!({"message": "Model: id-one deleted successfully"}));
    assert_eq!(chat(&app, MASTER, "dyn").await, 400);
    assert_eq!(admin(&app, "/model/delete", json!({"id": "id-one"})).await.status, 404);
    assert_eq!(app.sends(["one", "two"]), [1, 2]);
    app.stop().await;
}

#[tokio::test]
async fn a_models_lists_show_it_as_one_of_the_database() {
    let app = start().await;
    made(&app, deployment(&app, "dyn", "one")).await;
    for path in [
        "/model/info?litellm_model_id=id-one",
        "/v1/model/info?litellm_model_id=id-one",
        "/v2/model/info?model=dyn",
    ] {
        let told = get(&app, MASTER, path).await.json();
        assert_eq!(told["data"].as_array().unwrap().len(), 1, "{path}");
        assert_eq!(told["data"][0]["model_info"]["db_model"], true, "{path}");
        assert_eq!(told["data"][0]["model_name"], "dyn", "{path}");
        assert_eq!(told["data"][0]["litellm_params"].get("api_key"), None, "{path}");
    }
    let page = get(&app, MASTER, "/v2/model/info?size=1&page=2").await.json();
    assert_eq!(
        (&page["total_count"], &page["total_pages"], &page["current_page"]),
        (&json!(2), &json!(2), &json!(2))
    );
    let groups = get(&app, MASTER, "/model_group/info?model_group=dyn").await.json();
    assert_eq!(groups["data"][0]["providers"], json!(["openai"]));
    assert!(get(&app, MASTER, "/v1/models").await.text().contains("\"dyn\""));
    app.stop().await;
}

#[tokio::test]
async fn what_could_not_be_served_is_refused_with_its_member_and_not_kept() {
    let app = start().await;
    let check = async |path: &str, value: Value, status: u16, words: &str| {
        let mut body = deployment(&app, "dyn", "one");
        *body.pointer_mut(path).unwrap() = value;
        let refused = admin(&app, "/model/new", body).await;
        assert_eq!(refused.status, status, "{path} {}", refused.text());
        let message = refused.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(message.contains(words), "{path} {message}");
    };
    let params = |more: Value| {
        let mut params = deployment(&app, "dyn", "one")["litellm_params"].clone();
        params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        params
    };
    check("/litellm_params", params(json!({"rpm": "many"})), 400, "litellm_params.rpm").await;
    check("/litellm_params", params(json!({"model": "gpt-of-nobody"})), 400, "litellm_params.model").await;
    check("/litellm_params", params(json!({"organization": "a\u{1}b"})), 400, "organization").await;
    check("/litellm_params", params(json!({"litellm_credential_name": "c"})), 400, "litellm_credential_name")
        .await;
    check("/litellm_params", params(json!({"api_key": "os.environ/HOME"})), 400, "litellm_params.api_key")
        .await;
    check("/litellm_params", params(json!({"api_key": "sk****et"})), 400, "litellm_params.api_key").await;
    check("/litellm_params", json!({"rpm": 1}), 400, "litellm_params.model").await;
    check("/model_info", json!({"team_id": "nobody"}), 404, "nobody").await;
    check("/model_name", json!(null), 400, "model_name").await;
    assert_eq!(chat(&app, MASTER, "dyn").await, 400);
    assert_eq!(get(&app, MASTER, "/v2/model/info").await.json()["total_count"], 1);
    made(&app, deployment(&app, "dyn", "one")).await;
    check("/model_name", json!("dyn"), 409, "id-one").await;
    assert_eq!(chat(&app, MASTER, "dyn").await, 200);
    app.stop().await;
}

#[tokio::test]
async fn what_is_in_the_files_is_changed_there() {
    let app = start().await;
    let info = get(&app, MASTER, "/v2/model/info").await.json();
    let id = info["data"][0]["model_info"]["id"].as_str().unwrap();
    let refused = admin(&app, "/model/delete", json!({"id": id})).await;
    assert_eq!(refused.status, 400);
    assert!(refused.text().contains("configuration's file"), "{}", refused.text());
    app.stop().await;
}

#[tokio::test]
async fn a_model_survives_a_reload_and_a_restart_and_is_nowhere_in_clear() {
    let folder = Folder::new();
    let file = folder.0.join("tollgate.db");
    let app = Setup::new(config()).database(&file).start().await;
    made(&app, deployment(&app, "dyn", "one")).await;
    app.reload(&config().replace("chat", "renamed"));
    assert_eq!((chat(&app, MASTER, "dyn").await, chat(&app, MASTER, "renamed").await), (200, 200));
    app.gateway.close().await;
    app.stop_while_draining().await;
    for entry in std::fs::read_dir(&folder.0).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap_or_default();
        let has = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
        assert!(!has(KEY), "{}", path.display());
    }
    // Another process, and its provider is elsewhere: the deployment is found again, and told where.
    let app = Setup::new(config()).database(&file).start().await;
    let base = format!("http://{}/d/two/v1", app.simulator.address());
    let patch = json!({"litellm_params": {"api_base": base}});
    assert_eq!(call(&app, ("PATCH", MASTER), "/model/id-one/update", patch).await.status, 200);
    assert_eq!(chat(&app, MASTER, "dyn").await, 200);
    assert_eq!(app.received()[0].header("authorization"), Some(format!("Bearer {KEY}").as_str()));
    app.stop().await;
}

#[tokio::test]
async fn a_sealed_key_that_is_moved_to_another_row_takes_its_deployment_out_alone() {
    let folder = Folder::new();
    let file = folder.0.join("tollgate.db");
    let app = Setup::new(config()).database(&file).start().await;
    let mut other = deployment(&app, "other", "two");
    other["litellm_params"]["api_key"] = json!("sk-key-of-other-provider");
    made(&app, deployment(&app, "dyn", "one")).await;
    made(&app, other).await;
    made(&app, deployment(&app, "third", "three")).await;
    app.gateway.close().await;
    app.stop_while_draining().await;
    swap_keys(&file, "id-one", "id-two").await;
    let app = Setup::new(config()).database(&file).start().await;
    assert_eq!(get(&app, MASTER, "/v2/model/info").await.json()["total_count"], 2);
    assert_eq!((chat(&app, MASTER, "dyn").await, chat(&app, MASTER, "other").await), (400, 400));
    assert_eq!(chat(&app, MASTER, "chat").await, 200);
    app.stop().await;
}

/// A gateway whose database has the teams `t` and `other`, of which `u` administers the first.
async fn start_with_teams(folder: &Folder) -> App {
    let file = folder.0.join("tollgate.db");
    let team = |id: &str, members: Value| {
        ("team", id.to_owned(), json!({"team_id": id, "members_with_roles": members}))
    };
    let user = json!({"user_id": "u", "user_role": "internal_user", "teams": ["t"]});
    let admin = json!([{"user_id": "u", "role": "admin"}]);
    let rows = [team("t", admin), team("other", json!([])), ("user", "u".to_owned(), user)];
    write(&file, rows.to_vec()).await;
    Setup::new(config()).database(&file).start().await
}

async fn key(app: &App, body: Value) -> String {
    let made = admin(app, "/key/generate", body).await;
    assert_eq!(made.status, 200, "{}", made.text());
    made.json()["key"].as_str().unwrap().to_owned()
}

async fn names(app: &App, key: &str) -> Vec<String> {
    let listed = get(app, key, "/v1/models").await.json();
    listed["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_teams_model_is_seen_and_used_by_that_team_alone() {
    let folder = Folder::new();
    let app = start_with_teams(&folder).await;
    let mut own = deployment(&app, "chat", "team");
    own["model_info"]["team_id"] = json!("t");
    made(&app, own.clone()).await;
    own["model_name"] = json!("wild/*");
    own["model_info"]["id"] = json!("id-wild");
    own["litellm_params"]["model"] = json!("openai/*");
    made(&app, own).await;
    let (team, other) =
        (key(&app, json!({"team_id": "t"})).await, key(&app, json!({"team_id": "other"})).await);
    let (nobody, narrow) =
        (key(&app, json!({})).await, key(&app, json!({"team_id": "t", "models": ["wild/a"]})).await);

    // The team's own stands before that of all by the same name.
    assert_eq!((chat(&app, &team, "chat").await, chat(&app, &team, "wild/gpt-4o").await), (200, 200));
    assert_eq!(app.sends(["team", "a"]), [2, 0]);
    for key in [&other, &nobody] {
        assert_eq!(chat(&app, key, "chat").await, 200);
        for name in ["id-team", "id-wild", "wild/gpt-4o", "model_name_t/chat", "model_name_t/wild/gpt-4o"] {
            assert_ne!(chat(&app, key, name).await, 200, "{name}");
        }
    }
    assert_eq!(app.sends(["team", "a"]), [2, 2]);
    let counted = hello("id-team");
    let counts = async |key: &str| {
        call(&app, ("POST", key), "/v1/messages/count_tokens", counted.clone()).await.status
    };
    assert_eq!((counts(&team).await, counts(&other).await), (200, 400));
    assert_eq!((chat(&app, &narrow, "wild/a").await, chat(&app, &narrow, "wild/b").await), (200, 403));

    assert_eq!(names(&app, &team).await, ["chat", "wild/*"]);
    assert_eq!(
        (names(&app, &other).await, names(&app, &nobody).await),
        (vec!["chat".to_owned()], vec!["chat".to_owned()])
    );
    for (key, expect) in [(&team, 3), (&other, 1), (&nobody, 1)] {
        let info = get(&app, key, "/model/info").await.json();
        assert_eq!(info["data"].as_array().unwrap().len(), expect);
        assert_eq!(get(&app, key, "/v2/model/info").await.json()["total_count"], expect);
    }
    app.stop().await;
}

#[tokio::test]
async fn whoever_administers_a_team_brings_its_own_key_and_reaches_nothing_of_the_gateways() {
    let folder = Folder::new();
    let app = start_with_teams(&folder).await;
    let key = key(&app, json!({"user_id": "u"})).await;
    let ask = async |path: &str, body: Value| call(&app, ("POST", &key), path, body).await;
    let mine =
        |params: Value, info: Value| json!({"model_name": "m", "litellm_params": params, "model_info": info});
    let params = json!({"model": "openai/gpt-4o", "api_key": "sk-own-key-of-team", "api_base": "http://93.184.216.34/v1"});
    let with = |name: &str, value: Value| {
        let mut params = params.clone();
        params[name] = value;
        params
    };
    let own = json!({"team_id": "t", "id": "mine"});
    let refused = [
        (mine(params.clone(), json!({})), "no team's"),
        (mine(params.clone(), json!({"team_id": "other"})), "another team's"),
        (mine(with("input_cost_per_token", json!(0)), own.clone()), "its price"),
        (mine(with("litellm_credential_name", json!("c")), own.clone()), "a credential"),
        (mine(with("api_key", json!("os.environ/OPENAI_API_KEY")), own.clone()), "a variable"),
        (mine(with("api_key", json!("")), own.clone()), "no key"),
        (mine(params.clone(), json!({"team_id": "t", "access_groups": ["g"]})), "a group"),
    ];
    for (body, what) in refused {
        let answer = ask("/model/new", body).await;
        assert!((400..=404).contains(&answer.status), "{what}: {} {}", answer.status, answer.text());
    }
    assert_eq!(ask("/model/new", mine(params.clone(), own.clone())).await.status, 200);
    // It goes nowhere inside, whatever it says.
    let inside = with("api_base", json!(format!("http://{}/d/inside/v1", app.simulator.address())));
    assert_eq!(ask("/model/update", mine(inside, own.clone())).await.status, 200);
    let team = admin(&app, "/key/generate", json!({"team_id": "t"})).await.json();
    assert_ne!(chat(&app, team["key"].as_str().unwrap(), "m").await, 200);
    assert_eq!(app.sends(["inside"]), [0]);
    // A key that is kept stays where it was meant for.
    let keyless = json!({"model_info": own, "litellm_params": {"api_base": "http://93.184.216.35/v1"}});
    assert_eq!(ask("/model/update", keyless).await.status, 400);
    let mut operators = deployment(&app, "ops", "ops");
    operators["model_info"]["team_id"] = json!("t");
    made(&app, operators).await;
    let moved = json!({"model_info": {"id": "id-ops"}, "litellm_params": params});
    assert_eq!(ask("/model/update", moved).await.status, 403);
    let limited = json!({"model_info": {"id": "id-ops"}, "litellm_params": {"rpm": 3}});
    assert_eq!(ask("/model/update", limited).await.status, 200);
    assert_eq!(ask("/model/delete", json!({"id": "mine"})).await.status, 200);
    app.stop().await;
}

/// A folder of a test's own, gone with it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("tollgate-models-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What somebody could do who has the database and no key to it.
async fn swap_keys(file: &Path, one: &str, other: &str) {
    let store = Arc::new(LazyStore::new(Location::File(file.to_owned()), StoreOptions::default()));
    let books = Books::sqlite(Arc::clone(&store));
    let records = books.records().await.unwrap().records;
    let read = |id: &str| -> Value {
        let record = records.iter().find(|record| record.kind == "model" && record.id == id).unwrap();
        serde_json::from_str(&record.doc).unwrap()
    };
    let (mut first, mut second) = (read(one), read(other));
    std::mem::swap(&mut first["litellm_params"]["api_key"], &mut second["litellm_params"]["api_key"]);
    store.close().await;
    write(file, vec![("model", one.to_owned(), first), ("model", other.to_owned(), second)]).await;
}

/// Writes rows into a database that no gateway has open.
async fn write(file: &Path, rows: Vec<(&str, String, Value)>) {
    let store = Arc::new(LazyStore::new(Location::File(file.to_owned()), StoreOptions::default()));
    let put = |(kind, id, document): (&str, String, Value)| Put {
        kind: kind.to_owned(),
        id,
        doc: document.to_string(),
        expected: Expected::Any,
    };
    let puts = rows.into_iter().map(put).collect();
    let change = RecordChange { puts, ..RecordChange::default() };
    Books::sqlite(Arc::clone(&store)).commit(change).await.unwrap();
    store.close().await;
}
