//! Projects of teams: their models and budgets, and that they stay within their team.

use crate::office::{Office, names, refused};
use serde_json::{Value, json};

async fn office() -> Office {
    let office = Office::open("").await;
    for (id, budget) in [("t", 1), ("u", 2)] {
        let body = json!({"team_id": id, "team_alias": id, "max_budget": budget});
        office.good("POST", "/team/new", body).await;
    }
    office
}

#[tokio::test]
async fn a_project_is_made_seen_changed_and_deleted() {
    let office = office().await;
    let body = json!({"project_id": "p", "project_alias": "Pilot", "team_id": "t", "max_budget": 0.5});
    let made = office.good("POST", "/project/new", body.clone()).await;
    assert_eq!(names(&made)[..5], ["project_id", "project_alias", "description", "team_id", "budget_id"]);
    assert_eq!(made["litellm_budget_table"]["max_budget"], json!(0.5));
    let again = office.bad("POST", "/project/new", body).await;
    assert_eq!(again, (400, "Project id = p already exists. Please use a different project id.".to_owned()));
    let change = json!({"project_id": "p", "description": "d", "max_budget": 0.6});
    let changed = office.good("POST", "/project/update", change).await;
    assert_eq!((&changed["budget_id"], &changed["description"]), (&made["budget_id"], &json!("d")));
    assert_eq!(office.good("GET", "/project/info?project_id=p", Value::Null).await, changed);
    assert_eq!(office.good("GET", "/project/list", Value::Null).await, json!([changed]));
    let key = office.key(json!({"team_id": "t", "project_id": "p"})).await;
    let kept = office.bad("DELETE", "/project/delete", json!({"project_ids": ["p"]})).await;
    assert!(kept.0 == 400 && kept.1.starts_with("Cannot delete project p. 1 key(s)"), "{kept:?}");
    office.good("POST", "/key/delete", json!({"keys": [key]})).await;
    let gone = office.good("DELETE", "/project/delete", json!({"project_ids": ["p"]})).await;
    assert_eq!(gone, json!([changed]));
    let missing = (404, "Project not found, project_id=p".to_owned());
    assert_eq!(office.bad("GET", "/project/info?project_id=p", Value::Null).await, missing);
    assert_eq!(office.bad("POST", "/project/update", json!({"project_id": "p"})).await, missing);
    let homeless = office.bad("POST", "/project/new", json!({"team_id": "nobody"})).await;
    assert_eq!(homeless, (404, "Team not found, team_id=nobody".to_owned()));
    assert_eq!(office.bad("POST", "/project/new", json!({"project_alias": "x"})).await.0, 400);
    office.0.stop().await;
}

#[tokio::test]
async fn a_projects_keys_have_its_models_and_spend_its_budget() {
    let office = office().await;
    let body = json!({"project_id": "p", "team_id": "t", "max_budget": 0.003, "models": ["chat"]});
    office.good("POST", "/project/new", body).await;
    let one = office.key(json!({"team_id": "t", "project_id": "p"})).await;
    let other = office.key(json!({"team_id": "t", "project_id": "p"})).await;
    let denied = office.chat(&one, "other", json!({})).await;
    refused(&denied, 403, "project_model_access_denied", "The requested model 'other' is not");
    assert_eq!(office.chat(&one, "chat", json!({})).await.status, 200);
    let told = "Budget has been exceeded! Project=p Current cost: 0.0035, Max budget: 0.003";
    refused(&office.chat(&other, "chat", json!({})).await, 422, "budget_exceeded", told);
    office
        .good("POST", "/project/update", json!({"project_id": "p", "max_budget": 0.9, "rpm_limit": 1}))
        .await;
    assert_eq!(office.chat(&other, "chat", json!({})).await.status, 200);
    let told = "Rate limit exceeded for project: p. Limit type: requests.";
    refused(&office.chat(&one, "chat", json!({})).await, 429, "throttling_error", told);
    office.good("POST", "/project/update", json!({"project_id": "p", "blocked": true})).await;
    let blocked = "Authentication Error, Project=p is blocked.";
    refused(&office.chat(&one, "chat", json!({})).await, 401, "auth_error", blocked);
    let info = office.good("GET", "/project/info?project_id=p", Value::Null).await;
    assert_eq!((&info["spend"], &info["blocked"]), (&json!(0.007), &json!(true)));
    office.0.stop().await;
}

#[tokio::test]
async fn a_project_stays_within_its_team() {
    let office = office().await;
    let larger = json!({"project_id": "p", "team_id": "t", "max_budget": 1.5});
    let told = office.bad("POST", "/project/new", larger).await;
    assert_eq!(told.0, 403);
    assert!(told.1.starts_with("'max_budget' exceeds that of the team 't'"), "{told:?}");
    let shared = json!({"budget_id": "b", "max_budget": 1.5});
    office.good("POST", "/budget/new", shared).await;
    let by_reference = json!({"project_id": "p", "team_id": "t", "budget_id": "b"});
    assert_eq!(office.bad("POST", "/project/new", by_reference).await.0, 403);
    office.good("POST", "/project/new", json!({"project_id": "p", "team_id": "u", "max_budget": 1.5})).await;
    assert_eq!(
        office.bad("POST", "/project/update", json!({"project_id": "p", "max_budget": 3})).await.0,
        403
    );
    // Where it would go to counts as well.
    assert_eq!(
        office.bad("POST", "/project/update", json!({"project_id": "p", "team_id": "t"})).await.0,
        403
    );
    office.0.stop().await;
}

#[tokio::test]
async fn who_administers_a_team_has_its_projects_and_no_budget_of_the_operators() {
    let office = office().await;
    for (user, role) in [("boss", "admin"), ("worker", "user")] {
        let body = json!({"team_id": "t", "member": {"user_id": user, "role": role}});
        office.good("POST", "/team/member_add", body).await;
    }
    let (boss, worker) =
        (office.key(json!({"user_id": "boss"})).await, office.key(json!({"user_id": "worker"})).await);
    let new = ("POST", "/project/new");
    let own = json!({"project_id": "p", "team_id": "t", "max_budget": 0.5});
    assert_eq!(office.ask(&worker, new, &[], &own).await.status, 401);
    assert_eq!(office.ask(&boss, new, &[], &own).await.status, 200);
    // Of another team it may not even know.
    let other = json!({"project_id": "q", "team_id": "u"});
    assert_eq!(office.ask(&boss, new, &[], &other).await.status, 404);
    office.good("POST", "/budget/new", json!({"budget_id": "b", "max_budget": 0.1})).await;
    let shared = json!({"project_id": "q", "team_id": "t", "budget_id": "b"});
    refused(
        &office.ask(&boss, new, &[], &shared).await,
        403,
        "bad_request_error",
        "'budget_id' can be set by",
    );
    let update = ("POST", "/project/update");
    let moved = json!({"project_id": "p", "team_id": "u"});
    assert_eq!(office.ask(&boss, update, &[], &moved).await.status, 404);
    let changed = json!({"project_id": "p", "max_budget": 0.6});
    assert_eq!(office.ask(&boss, update, &[], &changed).await.status, 200);
    let seen = office.ask(&worker, ("GET", "/project/info?project_id=p"), &[], &Value::Null).await;
    assert_eq!((seen.status, &seen.json()["litellm_budget_table"]["max_budget"]), (200, &json!(0.6)));
    office.0.stop().await;
}
