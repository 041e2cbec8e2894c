//! Users and invitations: made with a key, used, limited, changed and taken away.

use crate::support::App;
use crate::support::admin::{
    MASTER, chat, each, get_as, key, made, made_as, names, refused_as, seen, start, text, tried,
};
use crate::support::hello;
use serde_json::{Value, json};

const REFUSE: &str = "tollgate_settings: {budget_maximum: refuse}\n";

/// A new user's key.
async fn user(app: &App, body: Value) -> String {
    text(&made(app, "/user/new", body).await["key"])
}

#[tokio::test]
async fn a_user_is_made_with_a_key_that_is_shown_once() {
    let app = start("").await;
    let body = json!({"user_id": "u", "max_budget": 3, "user_email": "a@b.c", "user_role": "internal_user"});
    let made_user = made(&app, "/user/new", body.clone()).await;
    assert_eq!(names(&made_user)[..5], ["key_alias", "duration", "models", "spend", "max_budget"]);
    let key = text(&made_user["key"]);
    assert!(key.starts_with("sk-") && key.len() == 46, "{key}");
    assert_eq!(text(&made_user["key_name"]), format!("sk-...{}", &key[42..]));
    assert_eq!(chat(&app, &key, &hello("chat")).await.status, 200);
    let info = seen(&app, "/user/info?user_id=u").await;
    assert_eq!(names(&info), ["user_id", "user_info", "keys", "teams"]);
    let shown = &info["user_info"];
    assert_eq!([&shown["spend"], &shown["max_budget"]], [&json!(0.0035), &json!(3.0)]);
    assert_eq!((&shown["user_email"], &shown["organization_memberships"]), (&json!("a@b.c"), &json!([])));
    assert_eq!((info["keys"].as_array().unwrap().len(), &info["keys"][0]["team_alias"]), (1, &json!("None")));
    assert!(!info.to_string().contains(&key));
    assert_eq!(refused_as(&app, MASTER, "/user/new", body).await.0, 409);
    let twin = json!({"user_email": "A@b.c"});
    let (status, said) = refused_as(&app, MASTER, "/user/new", twin).await;
    assert_eq!(status, 409, "{said}");
    let bare = made(&app, "/user/new", json!({"user_id": "v", "auto_create_key": false})).await;
    assert_eq!((&bare["key"], &bare["user_id"]), (&Value::Null, &json!("v")));
    assert_eq!(seen(&app, "/v2/user/info?user_id=u").await["teams"], json!([]));
    app.stop().await;
}

#[tokio::test]
async fn a_users_budget_is_for_personal_keys_and_not_for_those_of_teams() {
    let app = start(REFUSE).await;
    let own = user(&app, json!({"user_id": "u", "max_budget": 0.0035})).await;
    let team = text(&made(&app, "/team/new", json!({})).await["team_id"]);
    let of_team = key(&app, json!({"team_id": team, "user_id": "u"})).await;
    assert_eq!(tried(&app, &own, "chat").await.0, 200);
    let answer = chat(&app, &own, &hello("chat")).await;
    let error = answer.json()["error"].clone();
    assert_eq!((answer.status, &error["type"]), (422, &json!("budget_exceeded")));
    assert_eq!(error["message"], "ExceededBudget: User=u over budget. Spend=0.0035, Budget=0.0035");
    assert_eq!(tried(&app, &of_team, "chat").await.0, 200);
    // It is booked to the user all the same.
    assert_eq!(seen(&app, "/user/info?user_id=u").await["user_info"]["spend"], json!(0.007));
    made(&app, "/user/update", json!({"user_id": "u", "max_budget": 0.0105})).await;
    assert_eq!(tried(&app, &own, "chat").await.0, 200);
    assert_eq!(tried(&app, &own, "chat").await.0, 422);
    app.stop().await;
}

#[tokio::test]
async fn a_users_budget_is_for_keys_of_teams_where_the_operator_says_so() {
    let config = "  apply_user_budget_to_team_keys: true\n";
    let base = crate::support::admin::config(REFUSE);
    let general = format!("general_settings: {{master_key: {MASTER}}}\n");
    let long = format!("general_settings:\n  master_key: {MASTER}\n{config}");
    let app = App::start(base.replace(&general, &long), crate::support::admin::counted()).await;
    user(&app, json!({"user_id": "u", "max_budget": 0.0035})).await;
    let team = text(&made(&app, "/team/new", json!({})).await["team_id"]);
    let of_team = key(&app, json!({"team_id": team, "user_id": "u"})).await;
    assert_eq!(tried(&app, &of_team, "chat").await.0, 200);
    assert_eq!(tried(&app, &of_team, "chat").await, (422, "budget_exceeded".to_owned()));
    app.stop().await;
}

#[tokio::test]
async fn a_user_changes_of_itself_what_is_its_own_and_nothing_of_others() {
    let app = start("").await;
    let own = user(&app, json!({"user_id": "u", "max_budget": 1})).await;
    user(&app, json!({"user_id": "v"})).await;
    let renamed = made_as(&app, &own, "/user/update", json!({"user_id": "u", "user_alias": "U"})).await;
    assert_eq!(renamed["data"]["user_alias"], "U");
    for body in [
        json!({"user_role": "proxy_admin"}),
        json!({"max_budget": 5}),
        json!({"max_budget": null}),
        json!({"models": ["other"]}),
        json!({"user_email": "x@y.z"}),
        json!({"metadata": {"critical": true}}),
    ] {
        let mut body = body;
        body["user_id"] = json!("u");
        assert_eq!(refused_as(&app, &own, "/user/update", body.clone()).await.0, 403, "{body}");
    }
    let other = json!({"user_id": "v", "user_alias": "mine"});
    assert_eq!(refused_as(&app, &own, "/user/update", other).await.0, 404);
    assert_eq!(get_as(&app, &own, "/user/info?user_id=v").await.status, 404);
    assert_eq!(get_as(&app, &own, "/user/info").await.json()["user_id"], "u");
    for (path, body) in [
        ("/user/new", json!({})),
        ("/user/delete", json!({"user_ids": ["u"]})),
        ("/invitation/new", json!({"user_id": "u"})),
    ] {
        assert_eq!(refused_as(&app, &own, path, body).await.0, 401, "{path}");
    }
    assert_eq!(get_as(&app, &own, "/user/list").await.status, 401);
    let roles = get_as(&app, &own, "/user/available_roles").await.json();
    assert_eq!(names(&roles), ["proxy_admin", "proxy_admin_viewer", "internal_user", "internal_user_viewer"]);
    app.stop().await;
}

#[tokio::test]
async fn a_password_is_changed_by_who_knows_it_and_is_nowhere_shown() {
    let app = start("").await;
    let own = user(&app, json!({"user_id": "u"})).await;
    let set = json!({"user_id": "u", "password": "correct horse"});
    let shown = made(&app, "/user/update", set).await;
    assert!(!shown.to_string().contains("argon2"), "{shown}");
    let body = |current: &str, new: &str| json!({"current_password": current, "new_password": new});
    let path = "/user/password/change";
    assert_eq!(refused_as(&app, &own, path, body("wrong horse", "battery staple")).await.0, 400);
    assert_eq!(refused_as(&app, &own, path, body("correct horse", "short")).await.0, 400);
    let changed = made_as(&app, &own, path, body("correct horse", "battery staple")).await;
    assert_eq!(changed, json!({"user_id": "u", "message": "Password updated successfully."}));
    assert_eq!(refused_as(&app, &own, path, body("correct horse", "battery staple")).await.0, 400);
    // One that there is is not replaced by who has a key alone.
    let set = json!({"user_id": "u", "password": "another one"});
    assert_eq!(refused_as(&app, &own, "/user/update", set).await.0, 403);
    assert!(!seen(&app, "/user/info?user_id=u").await.to_string().contains("argon2"));
    app.stop().await;
}

#[tokio::test]
async fn several_users_are_changed_and_each_is_told_of() {
    let app = start("").await;
    for id in ["u", "v"] {
        user(&app, json!({"user_id": id, "user_email": format!("{id}@x.y")})).await;
    }
    let users = json!([{"user_id": "u", "max_budget": 2}, {"user_email": "v@x.y", "max_budget": 3},
        {"user_id": "nobody", "max_budget": 3}, {"user_id": "u", "max_budgte": 3}]);
    let changed = made(&app, "/user/bulk_update", json!({"users": users})).await;
    assert_eq!((&changed["successful_updates"], &changed["failed_updates"]), (&json!(2), &json!(2)));
    assert_eq!(changed["results"][1]["updated_user"]["max_budget"], json!(3.0));
    assert_eq!(changed["results"][2]["error"], "User=nobody not found");
    assert!(text(&changed["results"][3]["error"]).contains("max_budgte"));
    let all = json!({"all_users": true, "user_updates": {"rpm_limit": 9}});
    assert_eq!(made(&app, "/user/bulk_update", all).await["successful_updates"], json!(2));
    assert_eq!(seen(&app, "/v2/user/info?user_id=v").await["rpm_limit"], json!(9));
    app.stop().await;
}

#[tokio::test]
async fn users_are_listed_in_pages_and_by_what_is_asked_for() {
    let app = start("").await;
    let team = text(&made(&app, "/team/new", json!({})).await["team_id"]);
    for number in 0..5 {
        let role = if number == 0 { "proxy_admin_viewer" } else { "internal_user" };
        let email = format!("person{number}@x.y");
        let body = json!({"user_id": format!("u{number}"), "user_email": email, "user_role": role,
            "teams": if number > 2 { json!([team]) } else { json!([]) }});
        user(&app, body).await;
    }
    let by = |query: &str| format!("/user/list?sort_by=user_id&sort_order=asc&{query}");
    let page = seen(&app, &by("page=2&page_size=2")).await;
    assert_eq!(each(&page["users"], "user_id"), ["u2", "u3"]);
    assert_eq!([&page["total"], &page["total_pages"]], [&json!(5), &json!(3)]);
    assert_eq!((&page["users"][1]["key_count"], &page["users"][1]["teams"]), (&json!(1), &json!([team])));
    for (query, wanted) in [
        ("role=proxy_admin_viewer", vec!["u0"]),
        ("user_ids=u1,u4", vec!["u1", "u4"]),
        ("user_email=PERSON3", vec!["u3"]),
        ("search=u2", vec!["u2"]),
        (&format!("team={team}"), vec!["u3", "u4"]),
        ("organization_ids=none", vec![]),
    ] {
        assert_eq!(each(&seen(&app, &by(query)).await["users"], "user_id"), wanted, "{query}");
    }
    let counts = seen(&app, "/user/available_users").await;
    assert_eq!((&counts["total_users_used"], &counts["total_teams_used"]), (&json!(5), &json!(1)));
    let all = seen(&app, "/user/info").await;
    assert_eq!((all["keys"].as_array().unwrap().len(), all["teams"].as_array().unwrap().len()), (5, 1));
    app.stop().await;
}

#[tokio::test]
async fn a_user_is_deleted_with_keys_and_places() {
    let app = start("").await;
    let own = user(&app, json!({"user_id": "u", "user_email": "u@x.y"})).await;
    let member = json!([{"role": "user", "user_id": "u"}]);
    let team = text(&made(&app, "/team/new", json!({"members_with_roles": member})).await["team_id"]);
    let of_team = key(&app, json!({"team_id": team, "user_id": "u"})).await;
    made(&app, "/invitation/new", json!({"user_id": "u"})).await;
    assert_eq!(refused_as(&app, MASTER, "/user/delete", json!({"user_ids": ["u", "nobody"]})).await.0, 404);
    assert_eq!(tried(&app, &own, "chat").await.0, 200);
    assert_eq!(made(&app, "/user/delete", json!({"user_ids": ["u", "u"]})).await, json!(1));
    for key in [&own, &of_team] {
        assert_eq!(tried(&app, key, "chat").await.0, 401);
    }
    let info = seen(&app, &format!("/team/info?team_id={team}")).await;
    assert_eq!(each(&info["team_info"]["members_with_roles"], "user_id"), ["default_user_id"]);
    assert_eq!(get_as(&app, MASTER, "/user/info?user_id=u").await.status, 404);
    app.stop().await;
}

#[tokio::test]
async fn new_users_have_what_the_operator_says() {
    let app = start(
        "litellm_settings:\n  max_internal_user_budget: 4\n  internal_user_budget_duration: 7d\n  \
         default_internal_user_params: {models: [chat], user_role: internal_user, teams: [t]}\n",
    )
    .await;
    made(&app, "/team/new", json!({"team_id": "t"})).await;
    let made_user = made(&app, "/user/new", json!({"user_id": "u"})).await;
    let had =
        [&made_user["models"], &made_user["max_budget"], &made_user["budget_duration"], &made_user["teams"]];
    assert_eq!(had, [&json!(["chat"]), &json!(4.0), &json!("7d"), &json!(["t"])]);
    assert_eq!(
        tried(&app, &text(&made_user["key"]), "other").await,
        (403, "user_model_access_denied".to_owned())
    );
    let boss = made(&app, "/user/new", json!({"user_role": "proxy_admin"})).await;
    assert_eq!((&boss["max_budget"], &boss["models"]), (&Value::Null, &json!([])));
    // Also those who are made since a team names them; they are put in that team alone.
    made(&app, "/team/new", json!({"members": ["w"], "team_id": "s"})).await;
    let info = seen(&app, "/v2/user/info?user_id=w").await;
    assert_eq!((&info["max_budget"], &info["teams"]), (&json!(4.0), &json!(["s"])));
    app.stop().await;
}

#[tokio::test]
async fn an_administrator_by_role_does_what_the_master_key_does() {
    let app = start("").await;
    let boss = user(&app, json!({"user_id": "boss", "user_role": "proxy_admin"})).await;
    let team = made_as(&app, &boss, "/team/new", json!({"team_id": "t"})).await;
    assert_eq!(each(&team["members_with_roles"], "user_id"), ["boss"]);
    made_as(&app, &boss, "/user/new", json!({"user_id": "u", "user_role": "internal_user_viewer"})).await;
    let viewer = user(&app, json!({"user_id": "looks", "user_role": "proxy_admin_viewer"})).await;
    let listed = get_as(&app, &viewer, "/user/list").await.json();
    assert_eq!(listed["total"], json!(3));
    assert_eq!(refused_as(&app, &viewer, "/user/delete", json!({"user_ids": ["u"]})).await.0, 401);
    app.stop().await;
}

#[tokio::test]
async fn an_invitation_is_made_seen_accepted_and_taken_back() {
    let app = start("").await;
    user(&app, json!({"user_id": "u"})).await;
    let invitation = made(&app, "/invitation/new", json!({"user_id": "u"})).await;
    let wanted = [
        "id",
        "user_id",
        "is_accepted",
        "accepted_at",
        "expires_at",
        "created_at",
        "created_by",
        "updated_at",
        "updated_by",
    ];
    assert_eq!(names(&invitation), wanted);
    assert_eq!(
        (&invitation["is_accepted"], &invitation["created_by"]),
        (&json!(false), &json!("default_user_id"))
    );
    let id = text(&invitation["id"]);
    assert_eq!((id.len(), &id[14..15]), (36, "4"));
    assert_eq!(seen(&app, &format!("/invitation/info?invitation_id={id}")).await, invitation);
    let body = json!({"invitation_id": id, "is_accepted": true});
    assert!(made(&app, "/invitation/update", body).await["accepted_at"].is_string());
    assert_eq!(made(&app, "/invitation/delete", json!({"invitation_id": id})).await["id"], json!(id));
    let gone = refused_as(&app, MASTER, "/invitation/delete", json!({"invitation_id": id})).await;
    assert_eq!(gone, (404, "Invitation id does not exist in the database.".to_owned()));
    assert_eq!(refused_as(&app, MASTER, "/invitation/new", json!({"user_id": "nobody"})).await.0, 404);
    app.stop().await;
}

#[tokio::test]
async fn who_administers_an_organization_makes_users_in_it_and_acts_for_nobody_else() {
    let app = start("").await;
    for id in ["ours", "theirs"] {
        made(&app, "/organization/new", json!({"organization_id": id, "organization_alias": id})).await;
    }
    let boss = user(&app, json!({"user_id": "boss"})).await;
    let member = json!({"role": "org_admin", "user_id": "boss"});
    made(&app, "/organization/member_add", json!({"organization_id": "ours", "member": [member]})).await;
    user(&app, json!({"user_id": "bob"})).await;
    let seats = json!([{"role": "admin", "user_id": "bob"}]);
    made(&app, "/team/new", json!({"team_id": "far", "members_with_roles": seats})).await;

    let new = json!({"user_id": "n", "organizations": ["ours"]});
    made_as(&app, &boss, "/user/new", new).await;
    made_as(&app, &boss, "/team/new", json!({"team_id": "near", "organization_id": "ours"})).await;
    let key = json!({"user_id": "n", "organization_id": "ours"});
    assert_eq!(refused_as(&app, &boss, "/key/generate", key).await.0, 403);
    let member = json!({"team_id": "near", "member": {"role": "user", "user_id": "n"}});
    made_as(&app, &boss, "/team/member_add", member).await;
    made_as(&app, &boss, "/key/generate", json!({"user_id": "n", "team_id": "near"})).await;
    made_as(&app, &boss, "/user/update", json!({"user_id": "n", "user_alias": "N"})).await;
    let listed = get_as(&app, &boss, "/user/list?sort_by=user_id&sort_order=asc").await.json();
    assert_eq!(each(&listed["users"], "user_id"), ["boss", "n"]);

    for (path, body) in [
        ("/user/new", json!({"user_id": "x"})),
        ("/user/new", json!({"user_id": "x", "organizations": ["ours", "theirs"]})),
        ("/user/new", json!({"user_id": "x", "organizations": ["ours"], "user_role": "proxy_admin"})),
        ("/user/new", json!({"user_id": "default_user_id", "organizations": ["ours"]})),
        ("/user/new", json!({"user_id": "x", "organizations": ["ours"], "teams": ["far"]})),
        ("/user/update", json!({"user_id": "n", "user_role": "proxy_admin"})),
        ("/user/update", json!({"user_id": "n", "password": "taken over"})),
        ("/user/update", json!({"user_id": "bob", "user_alias": "x"})),
        ("/user/delete", json!({"user_ids": ["bob"]})),
        ("/team/new", json!({"team_id": "x"})),
        ("/team/new", json!({"team_id": "x", "organization_id": "theirs"})),
        ("/team/update", json!({"team_id": "near", "organization_id": "theirs"})),
        ("/team/update", json!({"team_id": "near", "organization_id": null})),
        ("/invitation/new", json!({"user_id": "bob"})),
    ] {
        let (status, said) = refused_as(&app, &boss, path, body.clone()).await;
        assert!([401, 403, 404, 409].contains(&status), "{path} {body}: {status} {said}");
    }
    // To take somebody in gives no power over what they do elsewhere.
    for id in ["bob", "default_user_id"] {
        let member = json!({"role": "internal_user", "user_id": id});
        let body = json!({"organization_id": "ours", "member": [member]});
        let status =
            crate::support::admin::ask_as(&app, &boss, "/organization/member_add", &body).await.status;
        assert_eq!(status, if id == "bob" { 200 } else { 409 });
        for key in [json!({"user_id": id, "organization_id": "ours"}), json!({"user_id": id})] {
            let status = refused_as(&app, &boss, "/key/generate", key).await.0;
            assert!([401, 403].contains(&status), "{id}: {status}");
        }
    }
    app.stop().await;
}
