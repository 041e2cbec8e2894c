//! Organizations: what their teams spend together, who is in them, and what goes when they go.

use crate::office::{Office, names, refused};
use crate::support::admin::{key, made, seen, start, tried};
use serde_json::{Value, json};

async fn team(office: &Office, organization: &str, id: &str) -> String {
    let body = json!({"team_id": id, "team_alias": id, "organization_id": organization});
    office.good("POST", "/team/new", body).await;
    office.key(json!({"team_id": id})).await
}

#[tokio::test]
async fn an_organization_is_made_seen_changed_and_deleted() {
    let office = Office::open("").await;
    let body = json!({
        "organization_id": "o", "organization_alias": "Acme", "max_budget": 10, "models": ["chat"],
    });
    let made = office.good("POST", "/organization/new", body.clone()).await;
    let wanted = ["organization_id", "organization_alias", "budget_id", "spend", "metadata", "models"];
    assert_eq!(names(&made)[..6], wanted);
    assert_eq!(made["litellm_budget_table"]["max_budget"], json!(10.0));
    assert_eq!(office.bad("POST", "/organization/new", body).await.0, 400);
    let change = json!({"organization_id": "o", "organization_alias": "Acme Ltd", "max_budget": 20});
    let changed = office.good("PATCH", "/organization/update", change).await;
    assert_eq!((&changed["budget_id"], &changed["members"]), (&made["budget_id"], &json!([])));
    assert_eq!(changed["litellm_budget_table"]["max_budget"], json!(20.0));
    let again = office.good("PATCH", "/v2/organization/o", json!({"rpm_limit": 3})).await;
    assert_eq!(again["litellm_budget_table"]["rpm_limit"], json!(3));
    assert_eq!(office.good("GET", "/organization/info?organization_id=o", Value::Null).await, again);
    let several = office.good("POST", "/organization/info", json!({"organizations": ["o"]})).await;
    assert_eq!(several, json!([again]));
    assert_eq!(office.good("GET", "/organization/list?org_alias=acme", Value::Null).await, several);
    assert_eq!(office.good("GET", "/organization/list?org_id=other", Value::Null).await, json!([]));
    let gone = office.good("DELETE", "/organization/delete", json!({"organization_ids": ["o"]})).await;
    assert_eq!(gone, several);
    let missing = (404, "Organization not found, passed organization_id=o".to_owned());
    assert_eq!(office.bad("GET", "/organization/info?organization_id=o", Value::Null).await, missing);
    assert_eq!(office.bad("PATCH", "/organization/update", json!({"organization_id": "o"})).await, missing);
    assert_eq!(office.bad("POST", "/organization/new", json!({"max_budget": 1})).await.0, 400);
    office.0.stop().await;
}

#[tokio::test]
async fn members_come_are_changed_and_go() {
    let office = Office::open("").await;
    for id in ["o", "p"] {
        let body = json!({"organization_id": id, "organization_alias": id});
        office.good("POST", "/organization/new", body).await;
    }
    let body = json!({
        "organization_id": "o", "max_budget_in_organization": 5,
        "member": [{"user_id": "boss", "role": "org_admin"}, {"user_email": "a@b.c", "role": "internal_user"}],
    });
    let added = office.good("POST", "/organization/member_add", body.clone()).await;
    assert_eq!(names(&added), ["organization_id", "updated_users", "updated_organization_memberships"]);
    assert_eq!(added["updated_users"][1]["user_email"], json!("a@b.c"));
    let places = added["updated_organization_memberships"].as_array().unwrap();
    assert_eq!((&places[0]["user_id"], &places[0]["user_role"]), (&json!("boss"), &json!("org_admin")));
    assert_eq!(places[1]["litellm_budget_table"]["max_budget"], json!(5.0));
    assert_eq!(office.bad("POST", "/organization/member_add", body).await.0, 400);
    let of = |more: Value| {
        let mut body = json!({"organization_id": "o", "user_email": "A@b.c"});
        for (name, value) in more.as_object().into_iter().flatten() {
            body[name] = value.clone();
        }
        body
    };
    let change = of(json!({"role": "internal_user_viewer", "max_budget_in_organization": 6}));
    let changed = office.good("PATCH", "/organization/member_update", change).await;
    assert_eq!(changed["user_role"], json!("internal_user_viewer"));
    assert_eq!(changed["litellm_budget_table"]["max_budget"], json!(6.0));
    // Each has a budget of its own, so the other's is as it was.
    let info = office.good("GET", "/organization/info?organization_id=o", Value::Null).await;
    let budgets: Vec<&Value> = info["members"]
        .as_array()
        .unwrap()
        .iter()
        .map(|member| &member["litellm_budget_table"]["max_budget"])
        .collect();
    assert_eq!(budgets.len(), 2);
    assert!(budgets.contains(&&json!(5.0)) && budgets.contains(&&json!(6.0)), "{budgets:?}");
    // Who administers one organization has nothing of another.
    let boss = office.key(json!({"user_id": "boss"})).await;
    let own = json!({"organization_id": "o", "organization_alias": "ours"});
    let update = ("PATCH", "/organization/update");
    assert_eq!(office.ask(&boss, update, &[], &own).await.status, 200);
    let other = json!({"organization_id": "p", "organization_alias": "ours"});
    assert_eq!(office.ask(&boss, update, &[], &other).await.status, 404);
    let listed = office.ask(&boss, ("GET", "/organization/list"), &[], &Value::Null).await.json();
    assert_eq!(listed.as_array().unwrap().len(), 1);
    let add = json!({"organization_id": "o", "member": {"user_id": "new", "role": "internal_user"}});
    assert_eq!(office.ask(&boss, ("POST", "/organization/member_add"), &[], &add).await.status, 200);
    office.good("DELETE", "/organization/member_delete", of(json!({}))).await;
    let gone = office.bad("DELETE", "/organization/member_delete", of(json!({}))).await;
    assert_eq!(gone, (404, "User is not a member of organization=o".to_owned()));
    office.0.stop().await;
}

#[tokio::test]
async fn an_organizations_budget_is_what_its_teams_spend_together() {
    let office = Office::open("").await;
    let body = json!({
        "organization_id": "o", "organization_alias": "o", "max_budget": 0.005, "models": ["chat"],
    });
    office.good("POST", "/organization/new", body).await;
    let (one, other) = (team(&office, "o", "t1").await, team(&office, "o", "t2").await);
    let denied = office.chat(&one, "other", json!({})).await;
    refused(&denied, 403, "org_model_access_denied", "The requested model 'other' is not");
    assert_eq!(office.chat(&one, "chat", json!({})).await.status, 200);
    assert_eq!(office.chat(&other, "chat", json!({})).await.status, 200);
    let told = "Budget has been exceeded! Organization=o Current cost: 0.007, Max budget: 0.005";
    for key in [&one, &other] {
        refused(&office.chat(key, "chat", json!({})).await, 422, "budget_exceeded", told);
    }
    let info = office.good("GET", "/organization/info?organization_id=o", Value::Null).await;
    assert_eq!((&info["spend"], info["teams"].as_array().unwrap().len()), (&json!(0.007), 2));
    let change = json!({"organization_id": "o", "max_budget": 1, "rpm_limit": 1});
    office.good("PATCH", "/organization/update", change).await;
    assert_eq!(office.chat(&one, "chat", json!({})).await.status, 200);
    let told =
        "Rate limit exceeded for organization: o. Limit type: requests. Current limit: 1, Remaining: 0.";
    refused(&office.chat(&other, "chat", json!({})).await, 429, "throttling_error", told);
    // A team gets no more than its organization has.
    let larger = json!({"team_id": "t3", "organization_id": "o", "max_budget": 2});
    assert_eq!(office.bad("POST", "/team/new", larger).await.0, 403);
    office.0.stop().await;
}

#[tokio::test]
async fn with_an_organization_go_its_teams_and_their_keys() {
    let office = Office::open("").await;
    for id in ["o", "p"] {
        let body = json!({"organization_id": id, "organization_alias": id});
        office.good("POST", "/organization/new", body).await;
    }
    let (gone, stays) = (team(&office, "o", "t1").await, team(&office, "p", "t2").await);
    let own = office.key(json!({"organization_id": "o"})).await;
    let project = json!({"project_id": "x", "team_id": "t1"});
    office.good("POST", "/project/new", project).await;
    let in_project = office.key(json!({"team_id": "t1", "project_id": "x"})).await;
    assert_eq!(office.chat(&in_project, "chat", json!({})).await.status, 200);
    office.good("DELETE", "/organization/delete", json!({"organization_ids": ["o"]})).await;
    for key in [&gone, &own, &in_project] {
        let answer = office.chat(key, "chat", json!({})).await;
        assert_eq!(answer.json()["error"]["type"], json!("token_not_found_in_db"));
    }
    assert_eq!(office.bad("GET", "/project/info?project_id=x", Value::Null).await.0, 404);
    assert_eq!(office.bad("GET", "/team/info?team_id=t1", Value::Null).await.0, 404);
    assert_eq!(office.chat(&stays, "chat", json!({})).await.status, 200);
    office.0.stop().await;
}

#[tokio::test]
async fn what_a_member_may_spend_in_an_organization_holds_in_it_and_its_teams_and_nowhere_else() {
    let app = start("tollgate_settings: {budget_maximum: refuse}\n").await;
    made(&app, "/organization/new", json!({"organization_id": "o", "organization_alias": "o"})).await;
    for team in ["t", "s"] {
        made(&app, "/team/new", json!({"team_id": team, "organization_id": "o"})).await;
    }
    // Two requests of the model cost so much.
    let members =
        json!([{"user_id": "ann", "role": "internal_user"}, {"user_id": "bob", "role": "internal_user"}]);
    let body = json!({"organization_id": "o", "member": members, "max_budget_in_organization": 0.007});
    made(&app, "/organization/member_add", body).await;
    let of = |user: &str, more: Value| {
        let mut body = more;
        body["user_id"] = json!(user);
        body
    };
    let in_teams = [
        key(&app, of("ann", json!({"team_id": "t"}))).await,
        key(&app, of("ann", json!({"team_id": "s"}))).await,
        key(&app, of("ann", json!({"organization_id": "o"}))).await,
    ];
    let elsewhere = key(&app, of("ann", json!({}))).await;
    let of_bob = key(&app, of("bob", json!({"team_id": "t"}))).await;
    assert_eq!(tried(&app, &in_teams[0], "chat").await.0, 200);
    assert_eq!(tried(&app, &in_teams[1], "chat").await.0, 200);
    for key in &in_teams {
        assert_eq!(tried(&app, key, "chat").await, (422, "budget_exceeded".to_owned()));
    }
    assert_eq!(tried(&app, &elsewhere, "chat").await.0, 200);
    assert_eq!(tried(&app, &of_bob, "chat").await.0, 200);
    let info = seen(&app, "/organization/info?organization_id=o").await;
    let spent = |user: &str| {
        let all = info["members"].as_array().unwrap();
        all.iter().find(|member| member["user_id"] == *user).unwrap()["spend"].clone()
    };
    assert_eq!((spent("ann"), spent("bob")), (json!(0.007), json!(0.0035)));
    app.stop().await;
}
