//! Bearer tokens of an identity provider in the place of keys: whom they stand for, who pays, and what they open.

use super::support::admin::{
    MASTER, admin, ask_as, chat, get_as, key, made, made_as, refused_as, seen, text, tried,
};
use super::support::issuer::{HEADER, Issuer, NOW, claims, rsa_signed, signed, token};
use super::support::{App, advance, hello, post, seconds};
use serde_json::{Value, json};

const USER: &str = "user_id_jwt_field: sub";
const TEAM: &str = "team_id_jwt_field: team";
const GROUPS: &str = "team_ids_jwt_field: groups";
const UPSERTS: [&str; 4] = [USER, TEAM, "user_id_upsert: true", "team_id_upsert: true"];

async fn team(app: &App, id: &str, more: Value) {
    let mut body = json!({"team_id": id, "team_alias": format!("the {id}")});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    made(app, "/team/new", body).await;
}

async fn user(app: &App, id: &str) {
    made(app, "/user/new", json!({"user_id": id, "auto_create_key": false})).await;
}

/// What somebody has spent, in requests of the price of [`super::support::admin::counted`].
fn requests(spend: &Value) -> f64 {
    (spend.as_f64().unwrap() / 0.0035).round()
}

fn error(answer: &super::support::Answer) -> (u16, String, String) {
    let error = &answer.json()["error"];
    let text = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
    (answer.status, text("type"), text("message"))
}

#[tokio::test]
async fn a_token_calls_as_its_user_within_its_team_and_all_of_them_pay() {
    let issuer = Issuer::start().await;
    let app =
        issuer.gateway(&[USER, TEAM, "org_id_jwt_field: org", "end_user_id_jwt_field: customer"], "").await;
    made(&app, "/organization/new", json!({"organization_id": "o1", "organization_alias": "o"})).await;
    made(&app, "/customer/new", json!({"user_id": "c1"})).await;
    team(&app, "t1", json!({})).await;
    user(&app, "u1").await;
    let bearer = token(&json!({"team": "t1", "org": "o1", "customer": "c1"}));
    for _ in 0..3 {
        assert_eq!(tried(&app, &bearer, "chat").await.0, 200);
    }
    let mut body = hello("chat");
    // The token's word on the end user goes before the request's.
    body["user"] = json!("somebody else");
    assert_eq!(chat(&app, &bearer, &body).await.status, 200);
    let info = seen(&app, "/team/info?team_id=t1").await;
    assert_eq!(requests(&info["team_info"]["spend"]), 4.0);
    assert_eq!(requests(&seen(&app, "/user/info?user_id=u1").await["user_info"]["spend"]), 4.0);
    assert_eq!(requests(&seen(&app, "/organization/info?organization_id=o1").await["spend"]), 4.0);
    assert_eq!(requests(&seen(&app, "/customer/info?end_user_id=c1").await["spend"]), 4.0);
    // It is a member of its team from then on, as in LiteLLM.
    let members = info["team_memberships"].as_array().unwrap();
    assert!(members.iter().any(|row| row["user_id"] == "u1"), "{members:?}");
    assert_eq!(issuer.asked(), 1);
    app.stop().await;
}

#[tokio::test]
async fn rows_name_the_user_the_team_and_the_tokens_subject() {
    let issuer = Issuer::start().await;
    let app = issuer.gateway(&UPSERTS, "").await;
    // Two tokens of one subject are one caller.
    for until in [NOW + 600, NOW + 700] {
        let bearer = token(&json!({"team": "t1", "exp": until}));
        assert_eq!(tried(&app, &bearer, "chat").await.0, 200);
    }
    let rows = loop {
        let rows = seen(&app, "/spend/logs/v2").await;
        if rows["total"] == 2 {
            break rows["data"].as_array().unwrap().clone();
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    };
    for row in &rows {
        assert_eq!((&row["user"], &row["team_id"]), (&json!("u1"), &json!("t1")));
        assert!(text(&row["api_key"]).starts_with("jwt-"), "{row}");
        assert_eq!(row["api_key"], rows[0]["api_key"]);
    }
    app.stop().await;
}

/// The texts of a page's blocks of this language.
fn blocks<'a>(page: &'a str, language: &str) -> Vec<&'a str> {
    let mut parts = page.split("```").skip(1).step_by(2).filter_map(|part| part.split_once('\n'));
    parts.by_ref().filter(|(name, _)| *name == language).map(|(_, text)| text).collect()
}

#[tokio::test]
async fn the_page_on_tokens_says_what_happens() {
    let page = include_str!("../../../../docs/jwt.md");
    let issuer = Issuer::start().await;
    let (yaml, said) = (blocks(page, "yaml"), blocks(page, "json"));
    let at = format!("http://{}/keys", issuer.address);
    let settings = yaml[0].replace("https://id.example.com/keys", &at);
    let models = issuer.config(&[], "");
    let models = models.split_once("general_settings").unwrap().0;
    let app = issuer.gateway_of(format!("{models}{settings}")).await;
    let bearer = signed(HEADER, said[0]);
    assert_eq!(tried(&app, &bearer, "chat").await.0, 200);
    let members = seen(&app, "/team/info?team_id=research").await["team_memberships"].clone();
    assert!(members.to_string().contains("\"ada\""), "{members}");
    let user = seen(&app, "/user/info?user_id=ada").await["user_info"].clone();
    assert_eq!((&user["user_email"], requests(&user["spend"])), (&json!("ada@example.com"), 1.0));
    let row = loop {
        let rows = seen(&app, "/spend/logs/v2").await;
        if rows["total"] == 1 {
            break rows["data"][0].clone();
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    };
    assert_eq!([&row["user"], &row["team_id"], &row["end_user"]], ["ada", "research", "acme"]);
    app.stop().await;
}

#[tokio::test]
async fn a_teams_budget_is_exact_over_tokens_and_keys() {
    let issuer = Issuer::start().await;
    let app = issuer.gateway(&UPSERTS, "").await;
    team(&app, "t1", json!({"max_budget": 0.0105})).await;
    let own = key(&app, json!({"team_id": "t1"})).await;
    let users = ["u1", "u2"].map(|user| token(&json!({"sub": user, "team": "t1"})));
    assert_eq!(tried(&app, &users[0], "chat").await.0, 200);
    assert_eq!(tried(&app, &users[1], "chat").await.0, 200);
    assert_eq!(tried(&app, &own, "chat").await.0, 200);
    for bearer in users.iter().chain([&own]) {
        assert_eq!(tried(&app, bearer, "chat").await, (422, "budget_exceeded".to_owned()));
    }
    let info = seen(&app, "/team/info?team_id=t1").await;
    assert_eq!(requests(&info["team_info"]["spend"]), 3.0);
    assert_eq!(app.sends(["a"]), [3]);
    app.stop().await;
}

#[tokio::test]
async fn of_many_at_once_a_teams_budget_lets_through_what_it_has_room_for() {
    let issuer = Issuer::start().await;
    let app = issuer.gateway(&UPSERTS, "tollgate_settings: {budget_maximum: refuse}\n").await;
    team(&app, "t1", json!({"max_budget": 0.035})).await;
    let bearers: Vec<String> =
        (0..40).map(|user| token(&json!({"sub": format!("u{}", user % 8), "team": "t1"}))).collect();
    let mut body = hello("chat");
    // What each holds until it ends is about what it costs: $0.0035, 350 tokens of answer less those of the prompt.
    body["max_tokens"] = json!(320);
    let tries = bearers.iter().map(|bearer| chat(&app, bearer, &body));
    let answers = futures_util::future::join_all(tries).await;
    let of = |status| answers.iter().filter(|answer| answer.status == status).count();
    assert_eq!((of(200), of(422)), (10, 30));
    let info = seen(&app, "/team/info?team_id=t1").await;
    assert_eq!(requests(&info["team_info"]["spend"]), 10.0);
    assert_eq!(app.sends(["a"]), [10]);
    app.stop().await;
}

#[tokio::test]
async fn limits_of_the_user_and_of_a_member_hold_for_tokens() {
    let issuer = Issuer::start().await;
    let app = issuer.gateway(&UPSERTS, "").await;
    made(&app, "/user/new", json!({"user_id": "u1", "auto_create_key": false, "rpm_limit": 1})).await;
    let alone = issuer.config(&[USER], "");
    team(&app, "t1", json!({"team_member_budget": 0.0035})).await;
    let bearer = token(&json!({"sub": "u2", "team": "t1"}));
    assert_eq!(tried(&app, &bearer, "chat").await.0, 200);
    assert_eq!(tried(&app, &bearer, "chat").await, (422, "budget_exceeded".to_owned()));
    // Another member has a budget of its own.
    assert_eq!(tried(&app, &token(&json!({"sub": "u3", "team": "t1"})), "chat").await.0, 200);
    app.reload(&alone);
    let bearer = token(&json!({}));
    assert_eq!(tried(&app, &bearer, "chat").await.0, 200);
    assert_eq!(tried(&app, &bearer, "chat").await.0, 429);
    app.stop().await;
}

#[tokio::test]
async fn who_is_not_there_is_refused_or_made_once_and_audited() {
    let issuer = Issuer::start().await;
    let app = issuer.gateway(&[USER, TEAM], "").await;
    let bearer = token(&json!({"team": "t1", "email": "u1@e.com"}));
    let answer = chat(&app, &bearer, &hello("chat")).await;
    let (status, kind, message) = error(&answer);
    assert_eq!((status, kind.as_str()), (401, "auth_error"));
    assert!(
        message.starts_with("Authentication Error, User doesn't exist in db. 'user_id'=u1."),
        "{message}"
    );
    user(&app, "u1").await;
    let (status, _, message) = error(&chat(&app, &bearer, &hello("chat")).await);
    assert_eq!(status, 404);
    assert!(message.starts_with("Team doesn't exist in db. Team=t1."), "{message}");
    assert_eq!(app.received().len(), 0);

    app.reload(&issuer.config(&[&UPSERTS[..], &["user_email_jwt_field: email"]].concat(), ""));
    let bearer = token(&json!({"sub": "u2", "team": "t2", "email": "u2@e.com"}));
    let tries = (0..8).map(|_| tried(&app, &bearer, "chat"));
    let answers = futures_util::future::join_all(tries).await;
    assert!(answers.iter().all(|(status, _)| *status == 200), "{answers:?}");
    let made = seen(&app, "/user/info?user_id=u2").await;
    assert_eq!(made["user_info"]["user_email"], "u2@e.com");
    assert_eq!(made["user_info"]["user_role"], "internal_user");
    let audit = seen(&app, "/audit?page_size=100").await;
    let of = |kind: &str, id: &str| {
        let rows = audit["audit_logs"].as_array().unwrap().iter();
        rows.filter(|row| row["object_id"] == id && text(&row["table_name"]).contains(kind)).count()
    };
    assert_eq!((of("User", "u2"), of("Team", "t2")), (1, 1), "{audit}");
    let by = audit["audit_logs"].as_array().unwrap().iter().find(|row| row["object_id"] == "u2").unwrap();
    assert_eq!(by["changed_by"], "u2");
    assert!(text(&by["changed_by_api_key"]).starts_with("jwt-"));
    app.stop().await;
}

#[tokio::test]
async fn those_who_are_made_have_the_operators_defaults() {
    let issuer = Issuer::start().await;
    let more = "litellm_settings:\n  default_internal_user_params: {max_budget: 0.0035, models: [chat], teams: [x]}\n";
    let app = issuer.gateway(&[USER, "user_id_upsert: true"], more).await;
    let bearer = token(&json!({}));
    assert_eq!(tried(&app, &bearer, "other").await, (403, "user_model_access_denied".to_owned()));
    assert_eq!(tried(&app, &bearer, "chat").await.0, 200);
    assert_eq!(tried(&app, &bearer, "chat").await, (422, "budget_exceeded".to_owned()));
    app.stop().await;
}

#[tokio::test]
async fn an_administrators_scope_opens_the_admin_api_and_nothing_else_does() {
    let issuer = Issuer::start().await;
    let app = issuer.gateway(&UPSERTS, "").await;
    let admins = token(&json!({"scope": "openid litellm_proxy_admin"}));
    let made = made_as(&app, &admins, "/key/generate", json!({"key_alias": "by token"})).await;
    assert_eq!(tried(&app, made["key"].as_str().unwrap(), "chat").await.0, 200);
    made_as(&app, &admins, "/team/new", json!({"team_id": "t1"})).await;
    made_as(&app, &admins, "/user/new", json!({"user_id": "u9", "auto_create_key": false})).await;
    assert_eq!(get_as(&app, &admins, "/spend/logs").await.status, 200);
    // An administrator's routes are those of the settings: calls of models are not among them.
    assert_eq!(chat(&app, &admins, &hello("chat")).await.status, 403);
    for scope in [
        json!("litellm_proxy_admin2"),
        json!("LITELLM_PROXY_ADMIN"),
        json!({"litellm_proxy_admin": 1}),
        json!("x"),
    ] {
        let bearer = token(&json!({"sub": "u2", "team": "t1", "scope": scope}));
        for (path, body) in [
            ("/key/generate", json!({})),
            ("/team/new", json!({})),
            ("/user/new", json!({})),
            ("/model/new", json!({})),
            ("/key/delete", json!({"keys": ["x"]})),
            ("/team/update", json!({"team_id": "t1", "max_budget": 1e9})),
        ] {
            let answer = ask_as(&app, &bearer, path, &body).await;
            assert!([401, 403].contains(&answer.status), "{scope} {path}: {}", answer.text());
        }
    }
    app.stop().await;
}

#[tokio::test]
async fn a_user_without_a_team_acts_by_its_own_role() {
    let issuer = Issuer::start().await;
    let app = issuer.gateway(&[USER], "").await;
    user(&app, "u1").await;
    made(&app, "/user/new", json!({"user_id": "boss", "user_role": "proxy_admin", "auto_create_key": false}))
        .await;
    let bearer = token(&json!({}));
    let own = made_as(&app, &bearer, "/key/generate", json!({})).await;
    assert_eq!(own["user_id"], "u1");
    assert_eq!(refused_as(&app, &bearer, "/team/new", json!({})).await.0, 401);
    made_as(&app, &token(&json!({"sub": "boss"})), "/team/new", json!({"team_id": "t1"})).await;
    // A user who is blocked is blocked by token too, from the next request on.
    assert_eq!(tried(&app, &bearer, "chat").await.0, 200);
    made(&app, "/user/update", json!({"user_id": "u1", "blocked": true})).await;
    assert_eq!(tried(&app, &bearer, "chat").await.0, 401);
    app.stop().await;
}

#[tokio::test]
async fn a_token_of_many_teams_calls_within_the_first_that_has_the_model() {
    let issuer = Issuer::start().await;
    let app = issuer.gateway(&[USER, GROUPS], "").await;
    user(&app, "u1").await;
    team(&app, "t1", json!({"models": ["other"]})).await;
    team(&app, "t2", json!({"models": ["chat"]})).await;
    team(&app, "t3", json!({"models": ["chat", "other"]})).await;
    let bearer = token(&json!({"groups": ["unknown", "t1", "t2", "t3"]}));
    assert_eq!(tried(&app, &bearer, "chat").await.0, 200);
    assert_eq!(tried(&app, &bearer, "other").await.0, 200);
    let spent = async |team: &str| {
        requests(&seen(&app, &format!("/team/info?team_id={team}")).await["team_info"]["spend"])
    };
    assert_eq!((spent("t1").await, spent("t2").await, spent("t3").await), (1.0, 1.0, 0.0));
    // What it is tagged with is what the team has that pays.
    made(&app, "/team/update", json!({"team_id": "t1", "tags": ["of-t1"]})).await;
    made(&app, "/team/update", json!({"team_id": "t2", "tags": ["of-t2"]})).await;
    made(&app, "/tag/new", json!({"name": "of-t1", "max_budget": 0})).await;
    assert_eq!(tried(&app, &bearer, "chat").await.0, 200);
    made(&app, "/tag/new", json!({"name": "of-t2", "max_budget": 0})).await;
    assert_eq!(tried(&app, &bearer, "chat").await.0, 422);
    made(&app, "/tag/delete", json!({"name": "of-t1"})).await;
    made(&app, "/tag/delete", json!({"name": "of-t2"})).await;
    // The caller may say which: by its id, or by its alias.
    let within = async |team: &str, model: &str| {
        let authorization = format!("Bearer {bearer}");
        let headers = [("authorization", authorization.as_str()), ("x-litellm-team-id", team)];
        let body = hello(model).to_string();
        app.ask(&post("/v1/chat/completions", &headers, body.as_bytes())).await
    };
    assert_eq!(within("t3", "chat").await.status, 200);
    assert_eq!(within("the t3", "other").await.status, 200);
    assert_eq!((spent("t3").await, spent("t2").await), (2.0, 2.0));
    assert_eq!(within("t1", "chat").await.status, 403);
    team(&app, "t4", json!({})).await;
    for strange in ["t4", "the t4", "nowhere", "unknown"] {
        let (status, _, message) = error(&within(strange, "chat").await);
        assert_eq!(status, 403);
        assert!(message.starts_with(&format!("x-litellm-team-id '{strange}'")), "{message}");
    }
    let (status, _, message) = error(&chat(&app, &token(&json!({"groups": ["t1"]})), &hello("chat")).await);
    assert_eq!((status, message.contains("not available")), (403, true), "{message}");
    let two = token(&json!({"groups": ["t1", "unknown", "t2"]}));
    made(&app, "/team/update", json!({"team_id": "t2", "models": ["other"]})).await;
    let (status, _, message) = error(&chat(&app, &two, &hello("chat")).await);
    assert_eq!(status, 403);
    assert!(message.starts_with("No team has access to the requested model: chat."), "{message}");
    let (status, _, message) =
        error(&chat(&app, &token(&json!({"groups": ["unknown"]})), &hello("chat")).await);
    assert_eq!(status, 403);
    assert!(message.starts_with("No team has access to the requested model"), "{message}");
    app.stop().await;
}

#[tokio::test]
async fn rules_of_the_settings_hold_before_anything_else() {
    let issuer = Issuer::start().await;
    let settings = [
        &UPSERTS[..],
        &[
            "user_email_jwt_field: email",
            "user_allowed_email_domain: e.com",
            "enforce_scope_based_access: true",
            "scope_mappings: [{scope: small, models: [chat]}, {scope: all}]",
            "team_allowed_routes: [openai_routes]",
        ],
    ];
    let app = issuer.gateway(&settings.concat(), "").await;
    let with = |changes: Value| {
        let mut all = json!({"team": "t1", "email": "u1@e.com", "scope": "small"});
        all.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        token(&all)
    };
    assert_eq!(tried(&app, &with(json!({})), "chat").await.0, 200);
    assert_eq!(tried(&app, &with(json!({})), "other").await, (403, "key_model_access_denied".to_owned()));
    assert_eq!(tried(&app, &with(json!({"scope": "small all"})), "other").await.0, 200);
    let check = async |changes: Value, wants: &str| {
        let (status, kind, message) = error(&chat(&app, &with(changes), &hello("chat")).await);
        assert_eq!((status, kind.as_str()), (403, "auth_error"), "{message}");
        assert!(message.starts_with(wants), "{message}");
    };
    check(json!({"email": "u1@evil.com"}), "Email domain not allowed").await;
    check(json!({"email": "absent"}), "Email domain not allowed").await;
    check(json!({"scope": "other"}), "None of the token's scopes").await;
    let (status, _, message) = error(&chat(&app, &with(json!({"team": "absent"})), &hello("chat")).await);
    assert_eq!(status, 401);
    assert!(message.contains("No team found in token. Checked team_id field 'team'"), "{message}");
    // What is not for teams is not for a token within one.
    assert_eq!(get_as(&app, &with(json!({})), "/key/list").await.status, 403);
    assert_eq!(get_as(&app, &with(json!({})), "/v1/models").await.status, 200);
    app.stop().await;
}

#[tokio::test]
async fn a_new_key_of_the_provider_is_looked_for_once_and_an_old_one_goes_with_it() {
    let issuer = Issuer::start().await;
    issuer.hand_out(&["ed"]);
    let app = issuer.gateway(&[USER, "user_id_upsert: true", "public_key_ttl: 600"], "").await;
    let old = token(&json!({}));
    let new = rsa_signed(r#"{"alg":"RS256","kid":"rsa"}"#, &claims(&json!({})).to_string());
    assert_eq!(tried(&app, &old, "chat").await.0, 200);
    assert_eq!(issuer.asked(), 1);
    issuer.hand_out(&["rsa"]);
    // Just now it was not there; nobody makes the gateway ask at will.
    for _ in 0..5 {
        assert_eq!(tried(&app, &new, "chat").await.0, 401);
    }
    assert_eq!(issuer.asked(), 1);
    advance(seconds(31)).await;
    assert_eq!(tried(&app, &new, "chat").await.0, 200);
    assert_eq!(issuer.asked(), 2);
    // What the provider took back is nobody's, also of those who were let in before.
    assert_eq!(tried(&app, &old, "chat").await.0, 401);
    assert_eq!(tried(&app, &new, "chat").await.0, 200);
    assert_eq!(issuer.asked(), 2);
    app.stop().await;
}

#[tokio::test]
async fn while_the_provider_is_away_nobody_says_that_a_token_is_bad() {
    let issuer = Issuer::start().await;
    issuer.fail();
    let app = issuer.gateway(&UPSERTS, "").await;
    let virtual_key = key(&app, json!({})).await;
    let bearer = token(&json!({"team": "t1"}));
    for _ in 0..5 {
        let answer = chat(&app, &bearer, &hello("chat")).await;
        let (status, kind, message) = error(&answer);
        assert_eq!((status, kind.as_str()), (503, "auth_provider_unavailable"), "{message}");
        assert!(answer.header("retry-after").is_some());
        assert!(!message.contains("127.0.0.1"), "{message}");
    }
    assert_eq!(issuer.asked(), 1);
    assert_eq!(app.received().len(), 0);
    // Keys go on beside it.
    assert_eq!(tried(&app, &virtual_key, "chat").await.0, 200);
    assert_eq!(tried(&app, MASTER, "chat").await.0, 200);
    issuer.hand_out(&["ed"]);
    advance(seconds(6)).await;
    assert_eq!(tried(&app, &bearer, "chat").await.0, 200);
    // From now on those who are known go on without it; of a key that nobody knows nobody can say anything.
    issuer.fail();
    advance(seconds(700)).await;
    assert_eq!(tried(&app, &bearer, "chat").await.0, 200);
    let other = rsa_signed(r#"{"alg":"RS256","kid":"rsa"}"#, &claims(&json!({"team": "t1"})).to_string());
    assert_eq!(tried(&app, &other, "chat").await, (503, "auth_provider_unavailable".to_owned()));
    // Not for ever: 600 s, and 3,600 s more.
    advance(seconds(3_600)).await;
    assert_eq!(tried(&app, &bearer, "chat").await, (503, "auth_provider_unavailable".to_owned()));
    app.stop().await;
}

#[tokio::test]
async fn a_reload_keeps_the_keys_and_takes_the_new_rules() {
    let issuer = Issuer::start().await;
    let app = issuer.gateway(&UPSERTS, "").await;
    let bearer = token(&json!({"team": "t1"}));
    assert_eq!(tried(&app, &bearer, "chat").await.0, 200);
    issuer.fail();
    // As it is, with a model more, and with other rules: the keys are there all the while.
    app.reload(&issuer.config(&UPSERTS, "router_settings: {num_retries: 1}\n"));
    assert_eq!(tried(&app, &bearer, "chat").await.0, 200);
    app.reload(
        &issuer.config(&[USER, "user_allowed_email_domain: e.com", "user_email_jwt_field: email"], ""),
    );
    assert_eq!(tried(&app, &bearer, "chat").await.0, 403);
    assert_eq!(issuer.asked(), 1);
    // Where tokens are not taken, one is no key.
    let plain = super::support::admin::config("");
    app.reload(&plain);
    assert_eq!(tried(&app, &bearer, "chat").await.0, 401);
    app.stop().await;
}

#[tokio::test]
async fn a_token_ends_when_it_says_and_a_team_that_is_gone_takes_it_along() {
    let issuer = Issuer::start().await;
    let app = issuer.gateway(&[USER, TEAM], "").await;
    user(&app, "u1").await;
    team(&app, "t1", json!({})).await;
    let bearer = token(&json!({"team": "t1"}));
    assert_eq!(tried(&app, &bearer, "chat").await.0, 200);
    made(&app, "/team/block", json!({"team_id": "t1"})).await;
    assert_eq!(tried(&app, &bearer, "chat").await.0, 401);
    made(&app, "/team/unblock", json!({"team_id": "t1"})).await;
    assert_eq!(tried(&app, &bearer, "chat").await.0, 200);
    assert_eq!(admin(&app, "/team/delete", json!({"team_ids": ["t1"]})).await.status, 200);
    assert_eq!(tried(&app, &bearer, "chat").await.0, 404);
    team(&app, "t1", json!({})).await;
    assert_eq!(tried(&app, &bearer, "chat").await.0, 200);
    issuer.is_later_by(661);
    assert_eq!(tried(&app, &bearer, "chat").await, (401, "expired_key".to_owned()));
    app.stop().await;
}
