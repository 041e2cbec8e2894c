//! Tokens that say their team or their organization by an alias, teams that are not there, and none at all.

use super::support::admin::{made, seen, tried};
use super::support::issuer::{Issuer, token};
use super::support::{App, hello, post};
use serde_json::{Value, json};

const USER: &str = "user_id_jwt_field: sub";

async fn team(app: &App, id: &str, alias: &str, members: &[&str]) {
    let members: Vec<Value> = members.iter().map(|user| json!({"user_id": user, "role": "user"})).collect();
    made(app, "/team/new", json!({"team_id": id, "team_alias": alias, "members_with_roles": members})).await;
}

async fn user(app: &App, id: &str) {
    made(app, "/user/new", json!({"user_id": id, "auto_create_key": false})).await;
}

/// Requests of the price of [`super::support::admin::counted`] that a team has paid for.
async fn paid(app: &App, team: &str) -> f64 {
    let info = seen(app, &format!("/team/info?team_id={team}")).await;
    (info["team_info"]["spend"].as_f64().unwrap() / 0.0035).round()
}

/// The status and the message of a request within a team that a header names.
async fn within(app: &App, bearer: &str, team: &str) -> (u16, String) {
    let bearer = format!("Bearer {bearer}");
    let headers = [("authorization", bearer.as_str()), ("x-litellm-team-id", team)];
    let answer = app.ask(&post("/v1/chat/completions", &headers, hello("chat").to_string().as_bytes())).await;
    (answer.status, answer.json()["error"]["message"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn a_team_and_an_organization_are_found_by_their_aliases_where_they_are_one_alone() {
    let issuer = Issuer::start().await;
    let fields = [USER, "team_id_jwt_field: team", "team_alias_jwt_field: crew", "org_alias_jwt_field: firm"];
    let app = issuer.gateway(&fields, "").await;
    made(&app, "/organization/new", json!({"organization_id": "o1", "organization_alias": "acme"})).await;
    user(&app, "u1").await;
    team(&app, "t1", "research", &[]).await;
    team(&app, "t2", "twins", &[]).await;
    team(&app, "t3", "twins", &[]).await;
    let named = token(&json!({"crew": "research", "firm": "acme"}));
    assert_eq!(tried(&app, &named, "chat").await.0, 200);
    assert_eq!(paid(&app, "t1").await, 1.0);
    let spend = seen(&app, "/organization/info?organization_id=o1").await["spend"].as_f64().unwrap();
    assert_eq!((spend / 0.0035).round(), 1.0);
    // An id goes before an alias.
    assert_eq!(tried(&app, &token(&json!({"team": "t2", "crew": "research"})), "chat").await.0, 200);
    assert_eq!((paid(&app, "t1").await, paid(&app, "t2").await), (1.0, 1.0));
    let (status, said) = within(&app, &token(&json!({"crew": "twins"})), "").await;
    assert!(status == 404 && said.starts_with("Team doesn't exist in db. Team=twins."), "{status} {said}");
    let (status, said) = within(&app, &token(&json!({"crew": "research", "firm": "globex"})), "").await;
    assert!(status == 404 && said.starts_with("Organization doesn't exist in db."), "{status} {said}");
    app.stop().await;
}

#[tokio::test]
async fn teams_that_are_not_there_give_way_to_the_users_only_one_where_the_operator_says_so() {
    for (setting, expect) in [("", [false, false, false]), ("team_claim_fallback: true", [true, true, false])]
    {
        let issuer = Issuer::start().await;
        let fields = [USER, "team_ids_jwt_field: groups", "team_alias_jwt_field: crew", setting];
        let fields: Vec<&str> = fields.into_iter().filter(|field| !field.is_empty()).collect();
        let app = issuer.gateway(&fields, "").await;
        for id in ["u1", "u2"] {
            user(&app, id).await;
        }
        team(&app, "t1", "one", &["u1", "u2"]).await;
        team(&app, "t2", "two", &["u2"]).await;
        let groups = token(&json!({"groups": ["g1", "g2"]}));
        let alias = token(&json!({"crew": "nowhere"}));
        // Of several teams nobody knows which is meant.
        let several = token(&json!({"sub": "u2", "groups": ["g1"]}));
        for (bearer, passes) in [groups, alias, several].into_iter().zip(expect) {
            let (status, said) = tried(&app, &bearer, "chat").await;
            assert_eq!(status == 200, passes, "{setting} {status} {said}");
        }
        let count = if setting.is_empty() { 0.0 } else { 2.0 };
        assert_eq!((paid(&app, "t1").await, paid(&app, "t2").await), (count, 0.0), "{setting}");
        // A team that is there is the one.
        assert_eq!(tried(&app, &token(&json!({"sub": "u2", "groups": ["t2"]})), "chat").await.0, 200);
        assert_eq!(paid(&app, "t2").await, 1.0);
        app.stop().await;
    }
}

#[tokio::test]
async fn a_token_without_a_team_calls_within_any_of_its_users_where_the_operator_says_so() {
    let issuer = Issuer::start().await;
    let app = issuer.gateway(&[USER, "team_ids_jwt_field: groups", "fallback_to_db_teams: true"], "").await;
    user(&app, "u1").await;
    team(&app, "t1", "one", &["u1"]).await;
    team(&app, "t2", "two", &["u1"]).await;
    team(&app, "t3", "three", &[]).await;
    let bearer = token(&json!({}));
    assert_eq!(within(&app, &bearer, "t2").await.0, 200);
    assert_eq!(within(&app, &bearer, "one").await.0, 200);
    assert_eq!((paid(&app, "t1").await, paid(&app, "t2").await), (1.0, 1.0));
    let (status, said) = within(&app, &bearer, "t3").await;
    assert!(status != 200 && said.starts_with("x-litellm-team-id 't3' is no team"), "{status} {said}");
    // Without a header it is the first of them, and somebody pays.
    assert_eq!(tried(&app, &bearer, "chat").await.0, 200);
    assert_eq!(paid(&app, "t1").await + paid(&app, "t2").await, 3.0);
    app.stop().await;
}
