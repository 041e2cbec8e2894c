//! Where whoever knows is away, nobody comes in: no route answers what cannot be verified, and none says that it is wrong.

use super::roles::path_of;
use crate::support::admin::{MASTER, chat, get_as, key, tried};
use crate::support::issuer::{Issuer, token};
use crate::support::{App, hello};
use serde_json::json;
use std::collections::BTreeMap;
use tollgate_identity::access::ROUTES;
use tollgate_server::routes::{Access, Found, PREFIXES, Routes, TABLE};

/// Who would be made of tokens, had anybody verified them.
const RULES: [&str; 4] = [
    "admin_jwt_scope: administrator",
    "user_id_jwt_field: sub",
    "user_id_upsert: true",
    "team_id_upsert: true",
];

/// Every route that wants somebody: method, path.
fn routes() -> Vec<(String, String)> {
    let of_table = TABLE.iter().filter(|row| row.access != Access::Open);
    let of_table = of_table.map(|row| (row.method.to_string(), path_of(row.path)));
    let of_admin = ROUTES.iter().map(|row| (row.method.to_owned(), path_of(row.path)));
    let passing = PREFIXES.iter().map(|prefix| ("POST".to_owned(), format!("{}/v1/x", prefix.path)));
    let router = Routes::new().unwrap();
    let is_there =
        |(method, path): &(String, String)| router.find(&method.parse().unwrap(), path) != Found::Nothing;
    of_table.chain(of_admin).chain(passing).filter(is_there).collect()
}

/// What a credential gets on a route.
async fn ask(app: &App, (method, path): &(String, String), says: &str) -> u16 {
    let body = hello("chat").to_string();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: gateway\r\n{says}content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    app.ask(request.as_bytes()).await.status
}

#[tokio::test]
async fn while_nobody_can_verify_a_token_no_route_is_open_to_it() {
    let issuer = Issuer::start().await;
    issuer.fail();
    let app = issuer.gateway(&RULES, "tollgate_settings: {wrong_keys_per_minute: 0}\n").await;
    let known = key(&app, json!({})).await;
    // Good ones, had anybody the keys to tell: of a user, of an administrator.
    let tokens = [token(&json!({"team": "t1"})), token(&json!({"scope": "administrator"}))];
    let headers = ["authorization: Bearer ", "x-api-key: ", "api-key: ", "x-litellm-api-key: "];
    let (mut asked, mut told, mut wrong) = (0, BTreeMap::<u16, usize>::new(), Vec::new());
    for (number, route) in routes().iter().enumerate() {
        let token = &tokens[number % tokens.len()];
        let says = format!("{}{token}\r\n", headers[number % headers.len()]);
        let status = ask(&app, route, &says).await;
        asked += 1;
        *told.entry(status).or_default() += 1;
        if status != 503 {
            wrong.push(format!("{route:?} {says:.20}: {status}"));
        }
        let stranger = ask(&app, route, "authorization: Bearer sk-known-to-nobody-at-all\r\n").await;
        let nobody = ask(&app, route, "").await;
        if (stranger, nobody) != (401, 401) {
            wrong.push(format!("{route:?}: {stranger} {nobody}"));
        }
    }
    assert!(wrong.is_empty(), "{told:?}\n{}", wrong.join("\n"));
    assert!(asked > 300, "{asked}");
    assert_eq!(app.received().len(), 0);
    // Nobody was made of them, and keys go on.
    assert_eq!(get_as(&app, MASTER, "/user/list").await.json()["total"], json!(0));
    assert_eq!(chat(&app, &known, &hello("chat")).await.status, 200);
    assert_eq!(tried(&app, MASTER, "chat").await.0, 200);
    app.stop().await;
}
