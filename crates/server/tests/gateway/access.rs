//! What the operator lets anybody do at all: addresses, routes, what a request must have.

use crate::support::admin::{MASTER, admin, ask_as, chat, get_as, key, made, start, text, tried};
use crate::support::admin::{config, counted, seen};
use crate::support::{App, Setup, hello, post};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use tollgate_policy::clock::Wall;

/// A configuration with more of `general_settings`.
fn with(more: &str) -> String {
    config("").replace(&format!("{{master_key: {MASTER}}}"), &format!("{{master_key: {MASTER}, {more}}}"))
}

/// A gateway with more of `general_settings`.
async fn start_with(more: &str) -> App {
    App::start(with(more), counted()).await
}

fn error(answer: &crate::support::Answer) -> (u16, String, String) {
    let error = &answer.json()["error"];
    (answer.status, text(&error["type"]), text(&error["message"]))
}

#[tokio::test]
async fn only_addresses_that_are_allowed_call() {
    let app = start_with("allowed_ips: [10.0.0.0/8]").await;
    let refused = chat(&app, MASTER, &hello("chat")).await;
    let said = "Access forbidden: IP address 127.0.0.1 not allowed.".to_owned();
    assert_eq!(error(&refused), (403, "auth_error".to_owned(), said));
    assert_eq!(admin(&app, "/key/generate", json!({})).await.status, 403);
    // Whether the gateway is well is for everybody who asks.
    assert_eq!(get_as(&app, MASTER, "/health/liveliness").await.status, 200);
    assert_eq!(app.received().len(), 0);
    app.stop().await;
    let app = start_with("allowed_ips: [127.0.0.0/8, '::1']").await;
    assert_eq!(chat(&app, MASTER, &hello("chat")).await.status, 200);
    app.stop().await;
    let app = start_with("allowed_ips: []").await;
    assert_eq!(chat(&app, MASTER, &hello("chat")).await.status, 403);
    app.stop().await;
}

#[tokio::test]
async fn only_routes_that_are_allowed_are_served() {
    let app = start_with("allowed_routes: [/v1/chat/completions, LiteLLMRoutes.info_routes, '/key/*']").await;
    let key = key(&app, json!({})).await;
    assert_eq!(tried(&app, &key, "chat").await.0, 200);
    assert_eq!(get_as(&app, &key, "/key/info").await.status, 200);
    for path in ["/chat/completions", "/engines/chat/chat/completions", "/team/new"] {
        let refused = ask_as(&app, MASTER, path, &hello("chat")).await;
        let said = format!("Access forbidden: Route {path} not allowed");
        assert_eq!(error(&refused), (403, "auth_error".to_owned(), said));
    }
    app.stop().await;
    let app = start_with("allowed_routes: []").await;
    assert_eq!(chat(&app, MASTER, &hello("chat")).await.status, 403);
    app.stop().await;
}

#[tokio::test]
async fn routes_of_administrators_are_refused_to_everybody_else() {
    let app = start_with("admin_only_routes: ['/key/*', /v1/embeddings]").await;
    let admin_user = made(&app, "/user/new", json!({"user_role": "proxy_admin"})).await;
    let user = made(&app, "/user/new", json!({"user_role": "internal_user"})).await;
    let (admin_key, key) = (text(&admin_user["key"]), text(&user["key"]));
    let refused = get_as(&app, &key, "/key/info").await;
    let said = "user not allowed to access this route. Route=/key/info is an admin only route".to_owned();
    assert_eq!(error(&refused), (403, "auth_error".to_owned(), said));
    assert_eq!(ask_as(&app, &key, "/key/%61/regenerate", &json!({})).await.status, 403);
    assert_eq!(get_as(&app, &admin_key, "/key/info").await.status, 200);
    assert_eq!(
        ask_as(&app, &key, "/v1/embeddings", &json!({"model": "chat", "input": "a"})).await.status,
        403
    );
    assert_eq!(tried(&app, &key, "chat").await.0, 200);
    app.stop().await;
}

#[tokio::test]
async fn a_public_route_needs_no_key_and_gives_no_rights() {
    let app = start_with("public_routes: [/v1/chat/completions, /key/list, /key/generate, /user/list]").await;
    let held = key(&app, json!({"max_budget": 1.0})).await;
    let open = app.ask(&post("/v1/chat/completions", &[], hello("chat").to_string().as_bytes())).await;
    assert_eq!(open.status, 200);
    assert_eq!(tried(&app, "sk-unknown-000000000000", "chat").await.0, 200);
    // A key that is good pays for what it calls.
    assert_eq!(tried(&app, &held, "chat").await.0, 200);
    let info = get_as(&app, MASTER, &format!("/key/info?key={held}")).await;
    assert_eq!(info.json()["info"]["spend"], json!(0.0035));
    // Nobody is no administrator.
    let listed = app.ask(b"GET /key/list HTTP/1.1\r\nhost: gateway\r\n\r\n").await;
    assert!(listed.status != 200 || listed.json()["total_count"] == json!(0), "{}", listed.text());
    assert_eq!(app.ask(&post("/key/generate", &[], b"{}")).await.status, 401);
    let users = app.ask(b"GET /user/list HTTP/1.1\r\nhost: gateway\r\n\r\n").await;
    assert!(users.status != 200 || users.json()["users"] == json!([]), "{}", users.text());
    // What is not open stays shut.
    let shut = app.ask(&post("/v1/completions", &[], b"{\"model\":\"chat\",\"prompt\":\"a\"}")).await;
    assert_eq!(shut.status, 401);
    app.stop().await;
}

#[tokio::test]
async fn what_every_request_must_have_is_asked_for() {
    let app = start_with("enforced_params: [user, metadata.generation_name]").await;
    let ask = |body: Value| {
        let mut asked = hello("chat");
        for (name, value) in body.as_object().unwrap() {
            asked[name] = value.clone();
        }
        asked
    };
    let said = |param: &str| {
        format!(
            "Authentication Error, BadRequest please pass param={param} in request body. This is a required param"
        )
    };
    for (body, param) in [
        (json!({}), "user"),
        (json!({"user": "u"}), "[metadata][generation_name]"),
        (json!({"user": "u", "metadata": {}}), "[metadata][generation_name]"),
        (json!({"user": "u", "metadata": "x"}), "[metadata][generation_name]"),
    ] {
        let refused = chat(&app, MASTER, &ask(body)).await;
        assert_eq!(error(&refused), (401, "auth_error".to_owned(), said(param)));
    }
    let whole = json!({"user": "u", "metadata": {"generation_name": "g"}});
    assert_eq!(chat(&app, MASTER, &ask(whole)).await.status, 200);
    assert_eq!(app.received().len(), 1);
    app.stop().await;
}

#[tokio::test]
async fn a_key_and_a_service_account_have_their_own_demands() {
    let app = start_with("service_account_settings: {enforced_params: [user]}").await;
    let strict = key(&app, json!({"enforced_params": ["seed"]})).await;
    let (status, kind) = tried(&app, &strict, "chat").await;
    assert_eq!((status, kind.as_str()), (401, "auth_error"));
    assert_eq!(tried(&app, MASTER, "chat").await.0, 200);
    made(&app, "/team/new", json!({"team_id": "t"})).await;
    let service =
        made(&app, "/key/service-account/generate", json!({"team_id": "t", "key_alias": "s"})).await;
    let service = text(&service["key"]);
    let refused = chat(&app, &service, &hello("chat")).await;
    let said =
        "BadRequest please pass param=user in request body. This is a required param for service account";
    assert_eq!(error(&refused), (400, "bad_request_error".to_owned(), said.to_owned()));
    assert_eq!(refused.json()["error"]["param"], json!("user"));
    let mut with_user = hello("chat");
    with_user["user"] = json!("u");
    assert_eq!(chat(&app, &service, &with_user).await.status, 200);
    app.stop().await;
}

#[tokio::test]
async fn a_key_of_a_route_with_a_name_in_its_path_is_let_through() {
    let app = start("").await;
    let llm = key(&app, json!({"key_type": "llm_api"})).await;
    let narrow = key(&app, json!({"allowed_routes": ["/engines/{model}/chat/completions"]})).await;
    let grouped = key(&app, json!({"allowed_routes": ["llm_api_routes"]})).await;
    for path in ["/engines/chat/chat/completions", "/openai/deployments/chat/chat/completions"] {
        for (key, status) in
            [(&llm, 200), (&grouped, 200), (&narrow, if path.starts_with("/engines") { 200 } else { 403 })]
        {
            let answer = ask_as(&app, key, path, &hello("chat")).await;
            assert_eq!(answer.status, status, "{path}: {}", answer.text());
        }
    }
    assert_eq!(get_as(&app, &llm, "/key/info").await.status, 403);
    app.stop().await;
}

/// A gateway whose wall stands at a moment that may be moved.
async fn start_at(more: &str) -> (App, Arc<AtomicI64>) {
    let wall = Arc::new(AtomicI64::new(Wall::from_rfc3339("2026-11-03T12:00:00Z").unwrap().micros()));
    let read = Arc::clone(&wall);
    let setup = Setup::new(with(more)).script(counted());
    let app = setup.wall(move || Wall::from_micros(read.load(Ordering::Relaxed))).start().await;
    (app, wall)
}

/// So many rows of requests as there are, once the first of them have come.
async fn rows(app: &App, at_least: u64) -> u64 {
    loop {
        let found = seen(app, "/spend/logs/v2?start_date=2026-11-01&end_date=2026-11-30").await;
        let total = found["total"].as_u64().unwrap();
        if total >= at_least {
            return total;
        }
        tokio::task::yield_now().await;
    }
}

/// What the day of a key has cost, once something is there.
async fn of_the_day(app: &App) -> Value {
    loop {
        let found = seen(app, "/user/daily/activity?start_date=2026-11-01&end_date=2026-11-30").await;
        if found["metadata"]["total_spend"] != json!(0.0) {
            return found["metadata"]["total_spend"].clone();
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn rows_of_requests_go_after_their_time_and_their_sums_stay() {
    let (app, wall) = start_at("maximum_spend_logs_retention_period: 7d").await;
    assert_eq!(tried(&app, MASTER, "chat").await.0, 200);
    assert_eq!(rows(&app, 1).await, 1);
    wall.fetch_add(6 * 86_400_000_000, Ordering::Relaxed);
    assert_eq!(tried(&app, MASTER, "chat").await.0, 200);
    assert_eq!(rows(&app, 2).await, 2);
    app.gateway.purge().await;
    assert_eq!(rows(&app, 0).await, 2);
    wall.fetch_add(2 * 86_400_000_000, Ordering::Relaxed);
    app.gateway.purge().await;
    assert_eq!(rows(&app, 0).await, 1);
    assert_eq!(of_the_day(&app).await, json!(0.007));
    app.stop().await;
}

#[tokio::test]
async fn without_rows_the_sums_are_all_that_is_shown() {
    let (app, _) = start_at("disable_spend_logs: true").await;
    let key = key(&app, json!({})).await;
    assert_eq!(tried(&app, &key, "chat").await.0, 200);
    assert_eq!(of_the_day(&app).await, json!(0.0035));
    assert_eq!(rows(&app, 0).await, 0);
    assert_eq!(seen(&app, &format!("/key/info?key={key}")).await["info"]["spend"], json!(0.0035));
    app.stop().await;
}
