//! Tokens whose claim stands for a key that was given out.

use super::support::admin::{
    MASTER, admin, ask_as, chat, get_as, key, made, made_as, refused_as, seen, tried,
};
use super::support::hello;
use super::support::issuer::{ISSUER, Issuer, token};
use serde_json::{Value, json};

const CLIENT: &str = "virtual_key_claim_field: client_id";

fn client(id: &str) -> String {
    token(&json!({"sub": "absent", "client_id": id}))
}

fn mapping(key: &str, value: &str) -> Value {
    json!({"jwt_claim_name": "client_id", "jwt_claim_value": value, "key": key, "description": "d"})
}

#[tokio::test]
async fn a_claim_stands_for_a_key_with_all_that_the_key_is_held_to() {
    let issuer = Issuer::start().await;
    let app = issuer.gateway(&[CLIENT, "unregistered_jwt_client_behavior: reject"], "").await;
    let own = key(&app, json!({"models": ["chat"], "max_budget": 0.0035})).await;
    let row = made(&app, "/jwt/key/mapping/new", mapping(&own, "alice")).await;
    assert_eq!(
        (&row["jwt_claim_value"], &row["is_active"], &row["description"]),
        (&json!("alice"), &json!(true), &json!("d"))
    );
    // Which key it is nobody is told.
    assert!(row.get("token").is_none() && row.get("key").is_none(), "{row}");
    let bearer = client("alice");
    assert_eq!(tried(&app, &bearer, "other").await, (403, "key_model_access_denied".to_owned()));
    assert_eq!(tried(&app, &bearer, "chat").await.0, 200);
    // By token and by its text it is one key.
    for credential in [&bearer, &own] {
        assert_eq!(tried(&app, credential, "chat").await, (422, "budget_exceeded".to_owned()));
    }
    let info = seen(&app, &format!("/key/info?key={own}")).await;
    assert_eq!(info["info"]["spend"], 0.0035);
    // A regeneration takes the claim along.
    let anew = made(&app, "/key/regenerate", json!({"key": own, "max_budget": 1})).await;
    assert_eq!(tried(&app, &bearer, "chat").await.0, 200);
    assert_eq!(tried(&app, &own, "chat").await.0, 401);
    let anew = anew["key"].as_str().unwrap();
    made(&app, "/key/block", json!({"key": anew})).await;
    assert_eq!(tried(&app, &bearer, "chat").await.0, 401);
    assert_eq!(admin(&app, "/key/delete", json!({"keys": [anew]})).await.status, 200);
    assert_eq!(tried(&app, &bearer, "chat").await.0, 401);
    app.stop().await;
}

#[tokio::test]
async fn who_is_not_registered_is_refused_or_goes_by_its_user() {
    let issuer = Issuer::start().await;
    let settings = [CLIENT, "unregistered_jwt_client_behavior: reject", "user_id_jwt_field: sub"];
    let app = issuer.gateway(&settings, "").await;
    made(&app, "/user/new", json!({"user_id": "u1", "auto_create_key": false})).await;
    let bearer = token(&json!({"client_id": "bob"}));
    let (status, message) = refused_as(&app, &bearer, "/v1/chat/completions", hello("chat")).await;
    assert_eq!(status, 403);
    assert_eq!(message, "JWT Key Mapping: No registered mapping for client_id='bob'. Access denied.");
    assert_eq!(tried(&app, &token(&json!({})), "chat").await.0, 403);
    // Administrators need none.
    let admins = token(&json!({"scope": "litellm_proxy_admin"}));
    made_as(&app, &admins, "/team/new", json!({"team_id": "t1"})).await;
    assert_eq!(app.received().len(), 0);
    app.reload(&issuer.config(&[CLIENT, "user_id_jwt_field: sub"], ""));
    assert_eq!(tried(&app, &bearer, "chat").await.0, 200);
    app.stop().await;
}

#[tokio::test]
async fn a_key_is_made_once_for_each_client_that_is_new() {
    let issuer = Issuer::start().await;
    let settings = [
        CLIENT,
        "unregistered_jwt_client_behavior: auto_register",
        "user_id_jwt_field: sub",
        "team_id_jwt_field: team",
        "user_id_upsert: true",
        "team_id_upsert: true",
    ];
    let more = "litellm_settings:\n  default_key_generate_params: {models: [chat]}\n";
    let app = issuer.gateway(&settings, more).await;
    let bearer = token(&json!({"client_id": "cli", "team": "t1"}));
    let tries = (0..8).map(|_| tried(&app, &bearer, "chat"));
    let answers = futures_util::future::join_all(tries).await;
    assert!(answers.iter().all(|(status, _)| *status == 200), "{answers:?}");
    let keys = seen(&app, "/key/list?return_full_object=true").await;
    let keys = keys["keys"].as_array().unwrap();
    assert_eq!(keys.len(), 1, "{keys:?}");
    assert_eq!((&keys[0]["user_id"], &keys[0]["team_id"]), (&json!("u1"), &json!("t1")));
    assert_eq!(tried(&app, &bearer, "other").await.0, 403);
    // It has what an operator gives it later on.
    let change = json!({"key": keys[0]["token"], "models": ["other"]});
    made(&app, "/key/update", change).await;
    assert_eq!(tried(&app, &bearer, "other").await.0, 200);
    // Whom no rule lets in gets no key.
    let nobody = token(&json!({"client_id": "new", "sub": "absent", "team": "absent"}));
    assert_eq!(tried(&app, &nobody, "chat").await.0, 403);
    assert_eq!(tried(&app, &token(&json!({"sub": "u2", "team": "t1"})), "chat").await.0, 403);
    assert_eq!(seen(&app, "/jwt/key/mapping/list").await["total_count"], 1);
    app.stop().await;
}

#[tokio::test]
async fn mappings_are_an_administrators() {
    let issuer = Issuer::start().await;
    let app = issuer.gateway(&[CLIENT], "").await;
    let (one, other) = (key(&app, json!({})).await, key(&app, json!({"models": ["other"]})).await);
    let row = made(&app, "/jwt/key/mapping/new", mapping(&one, "a")).await;
    assert_eq!(admin(&app, "/jwt/key/mapping/new", mapping(&other, "a")).await.status, 409);
    assert_eq!(admin(&app, "/jwt/key/mapping/new", mapping("sk-nobody-has-this-one", "b")).await.status, 400);
    for missing in ["jwt_claim_name", "jwt_claim_value", "key"] {
        let mut body = mapping(&one, "c");
        body.as_object_mut().unwrap().remove(missing);
        let answer = admin(&app, "/jwt/key/mapping/new", body).await;
        assert!([400, 422].contains(&answer.status), "{missing}: {}", answer.text());
    }
    // That of the issuer goes before that of any.
    let mut own = mapping(&other, "a");
    own["jwt_issuer"] = json!(ISSUER);
    made(&app, "/jwt/key/mapping/new", own).await;
    assert_eq!(tried(&app, &client("a"), "chat").await.0, 403);
    let list = seen(&app, "/jwt/key/mapping/list?size=1").await;
    assert_eq!([&list["total_count"], &list["total_pages"], &list["current_page"]], [2, 2, 1]);
    let id = row["id"].as_str().unwrap();
    let its = list["mappings"][0]["id"].as_str().unwrap().to_owned();
    made(&app, "/jwt/key/mapping/update", json!({"id": its, "is_active": false})).await;
    assert_eq!(tried(&app, &client("a"), "chat").await.0, 200);
    let changed = made(&app, "/jwt/key/mapping/update", json!({"id": id, "key": other})).await;
    assert_eq!(seen(&app, &format!("/jwt/key/mapping/info?id={id}")).await, changed);
    assert_eq!(tried(&app, &client("a"), "chat").await.0, 403);
    for (path, body) in [
        ("/jwt/key/mapping/new", mapping(&one, "x")),
        ("/jwt/key/mapping/update", json!({"id": id})),
        ("/jwt/key/mapping/delete", json!({"id": id})),
    ] {
        assert_eq!(ask_as(&app, &one, path, &body).await.status, 401, "{path}");
    }
    assert_eq!(get_as(&app, &one, "/jwt/key/mapping/list").await.status, 401);
    assert_eq!(made(&app, "/jwt/key/mapping/delete", json!({"id": id})).await, json!({"status": "success"}));
    assert_eq!(get_as(&app, MASTER, &format!("/jwt/key/mapping/info?id={id}")).await.status, 404);
    // It names nobody else: nothing is left that it stands for.
    assert_eq!(chat(&app, &client("a"), &hello("chat")).await.status, 403);
    app.stop().await;
}
