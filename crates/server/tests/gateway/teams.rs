//! Teams and their members: made, used, limited, changed and taken away, by operators and by those who administer them.

use crate::support::App;
use crate::support::admin::{
    MASTER, each, get_as, key, made, made_as, names, refused_as, seen, start, text, tried,
};
use serde_json::{Value, json};

const REFUSE: &str = "tollgate_settings: {budget_maximum: refuse}\n";

async fn team(app: &App, body: Value) -> String {
    text(&made(app, "/team/new", body).await["team_id"])
}

/// A key of a user in a team.
async fn key_of(app: &App, team: &str, user: &str) -> String {
    key(app, json!({"team_id": team, "user_id": user})).await
}

async fn spent(app: &App, team: &str) -> Value {
    seen(app, &format!("/team/info?team_id={team}")).await["team_info"]["spend"].clone()
}

fn roles(team: &Value) -> Vec<(String, String)> {
    let members = &team["members_with_roles"];
    each(members, "user_id").into_iter().zip(each(members, "role")).collect()
}

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(one, other)| ((*one).to_owned(), (*other).to_owned())).collect()
}

#[tokio::test]
async fn a_team_is_made_as_litellm_shows_it() {
    let app = start("").await;
    let body = json!({
        "team_alias": "t1", "max_budget": 0.00001, "models": ["chat"], "rpm_limit": 5,
        "members_with_roles": [{"role": "admin", "user_id": "u-admin"}],
    });
    let team = made(&app, "/team/new", body).await;
    assert_eq!(roles(&team), pairs(&[("u-admin", "admin"), ("default_user_id", "admin")]));
    assert_eq!(names(&team)[..4], ["team_alias", "team_id", "organization_id", "admins"]);
    let shown = [&team["max_budget"], &team["spend"], &team["blocked"], &team["models"]];
    assert_eq!(shown, [&json!(0.00001), &json!(0.0), &json!(false), &json!(["chat"])]);
    // The user that a seat names is there from then on.
    assert_eq!(seen(&app, "/user/info?user_id=u-admin").await["user_info"]["user_role"], "internal_user");
    let id = text(&team["team_id"]);
    let (status, said) = refused_as(&app, MASTER, "/team/new", json!({"team_id": id})).await;
    assert_eq!(
        (status, said),
        (400, format!("Team id = {id} already exists. Please use a different team id."))
    );
    let info = seen(&app, &format!("/team/info?team_id={id}")).await;
    assert_eq!(names(&info), ["team_id", "team_info", "keys", "team_memberships"]);
    assert_eq!(info["team_info"]["caller_edit_access"], json!({"kind": "unrestricted"}));
    assert_eq!(each(&info["team_memberships"], "budget_source"), ["none", "none"]);
    app.stop().await;
}

#[tokio::test]
async fn a_teams_budget_is_what_all_its_keys_spend_together() {
    let app = start(REFUSE).await;
    let team = team(&app, json!({"max_budget": 0.007})).await;
    let keys = [key(&app, json!({"team_id": team})).await, key(&app, json!({"team_id": team})).await];
    assert_eq!(tried(&app, &keys[0], "chat").await.0, 200);
    assert_eq!(tried(&app, &keys[1], "chat").await.0, 200);
    assert_eq!(spent(&app, &team).await, json!(0.007));
    for key in &keys {
        assert_eq!(tried(&app, key, "chat").await, (422, "budget_exceeded".to_owned()));
    }
    made(&app, "/team/update", json!({"team_id": team, "max_budget": 0.02})).await;
    assert_eq!(tried(&app, &keys[0], "chat").await.0, 200);
    let more = refused_as(&app, MASTER, "/key/generate", json!({"team_id": team, "max_budget": 1})).await;
    assert_eq!(more.0, 403);
    assert!(more.1.starts_with("'max_budget' exceeds that of the team"), "{}", more.1);
    app.stop().await;
}

#[tokio::test]
async fn a_blocked_team_blocks_its_keys_until_it_is_let_through_again() {
    let app = start("").await;
    let team = team(&app, json!({})).await;
    let key = key(&app, json!({"team_id": team})).await;
    let blocked = made(&app, "/team/block", json!({"team_id": team})).await;
    assert_eq!((&blocked["blocked"], names(&blocked)[0]), (&json!(true), "team_id"));
    let (status, said) = refused_as(&app, &key, "/v1/chat/completions", crate::support::hello("chat")).await;
    let wanted = format!(
        "Authentication Error, Team={team} is blocked. Update via `/team/unblock` if you're an admin."
    );
    assert_eq!((status, said), (401, wanted));
    assert_eq!(made(&app, "/team/unblock", json!({"team_id": team})).await["blocked"], json!(false));
    assert_eq!(tried(&app, &key, "chat").await.0, 200);
    app.stop().await;
}

#[tokio::test]
async fn a_team_uses_its_models_and_no_others() {
    let app = start("").await;
    let team = team(&app, json!({"models": ["chat"]})).await;
    let key = key(&app, json!({"team_id": team})).await;
    assert_eq!(tried(&app, &key, "other").await, (403, "team_model_access_denied".to_owned()));
    let body = |models: &[&str]| json!({"team_id": team, "models": models});
    assert_eq!(made(&app, "/team/model/add", body(&["other"])).await["models"], json!(["chat", "other"]));
    assert_eq!(tried(&app, &key, "other").await.0, 200);
    let fewer = made(&app, "/team/model/delete", body(&["other", "chat"])).await;
    assert_eq!(fewer["models"], json!(["no-default-models"]));
    assert_eq!(tried(&app, &key, "chat").await, (403, "team_model_access_denied".to_owned()));
    app.stop().await;
}

#[tokio::test]
async fn a_members_budget_is_its_own_within_the_team() {
    let app = start(REFUSE).await;
    let team = team(&app, json!({"max_budget": 1})).await;
    let body =
        json!({"team_id": team, "member": {"role": "user", "user_id": "m"}, "max_budget_in_team": 0.0035});
    let added = made(&app, "/team/member_add", body.clone()).await;
    assert_eq!(each(&added["updated_users"], "user_id"), ["m"]);
    assert_eq!(added["updated_users"][0]["teams"], json!([team]));
    assert_eq!(added["updated_team_memberships"][0]["litellm_budget_table"]["max_budget"], json!(0.0035));
    let again = refused_as(&app, MASTER, "/team/member_add", body).await;
    assert_eq!(again, (400, "User already in team. Member: user_id=m, user_email=None".to_owned()));
    made(&app, "/team/member_add", json!({"team_id": team, "member": {"role": "user", "user_id": "n"}}))
        .await;
    let (of_m, of_n) = (key_of(&app, &team, "m").await, key_of(&app, &team, "n").await);
    assert_eq!(tried(&app, &of_m, "chat").await.0, 200);
    assert_eq!(tried(&app, &of_m, "chat").await, (422, "budget_exceeded".to_owned()));
    assert_eq!(tried(&app, &of_n, "chat").await.0, 200);
    let change = json!({"team_id": team, "user_id": "m", "max_budget_in_team": 0.007});
    assert_eq!(made(&app, "/team/member_update", change).await["max_budget_in_team"], json!(0.007));
    assert_eq!(tried(&app, &of_m, "chat").await.0, 200);
    assert_eq!(tried(&app, &of_m, "chat").await.0, 422);
    let set_back = format!("/team/{team}/member/m/reset_spend");
    let reply = made(&app, &set_back, json!({"reset_to": 0})).await;
    assert_eq!((&reply["spend"], &reply["previous_spend"]), (&json!(0.0), &json!(0.007)));
    assert_eq!(tried(&app, &of_m, "chat").await.0, 200);
    // The team has spent it all the same.
    assert_eq!(spent(&app, &team).await, json!(0.014));
    let own = get_as(&app, &of_m, &format!("/team/{team}/members/me")).await.json();
    assert_eq!((&own["user_id"], &own["role"], &own["spend"]), (&json!("m"), &json!("user"), &json!(0.0035)));
    app.stop().await;
}

#[tokio::test]
async fn members_share_the_budget_that_the_team_gives_each() {
    let app = start(REFUSE).await;
    let team = team(&app, json!({})).await;
    made(&app, "/team/member_add", json!({"team_id": team, "member": {"role": "user", "user_id": "m"}}))
        .await;
    let key = key_of(&app, &team, "m").await;
    assert_eq!(tried(&app, &key, "chat").await.0, 200);
    made(&app, "/team/update", json!({"team_id": team, "team_member_budget": 0.0035})).await;
    assert_eq!(tried(&app, &key, "chat").await, (422, "budget_exceeded".to_owned()));
    let info = seen(&app, &format!("/team/info?team_id={team}")).await;
    assert_eq!(info["team_info"]["team_member_budget_table"]["max_budget"], json!(0.0035));
    assert!(each(&info["team_memberships"], "budget_source").contains(&"team_default".to_owned()));
    let change = json!({"team_id": team, "user_id": "m", "max_budget_in_team": 1});
    made(&app, "/team/member_update", change).await;
    assert_eq!(tried(&app, &key, "chat").await.0, 200);
    let reset = made(&app, &format!("/team/{team}/member/m/reset_budget"), json!({})).await;
    assert_eq!(
        (&reset["budget_source"], reset["previous_budget_id"].is_string()),
        (&json!("team_default"), true)
    );
    assert_eq!(tried(&app, &key, "chat").await.0, 422);
    app.stop().await;
}

#[tokio::test]
async fn who_leaves_a_team_leaves_no_key_in_it() {
    let app = start("").await;
    let team = team(&app, json!({})).await;
    for user in ["m", "n"] {
        let member = json!({"role": "user", "user_id": user});
        made(&app, "/team/member_add", json!({"team_id": team, "member": member})).await;
    }
    let (of_m, of_n) = (key_of(&app, &team, "m").await, key_of(&app, &team, "n").await);
    let left = made(&app, "/team/member_delete", json!({"team_id": team, "user_id": "m"})).await;
    assert_eq!(roles(&left), pairs(&[("default_user_id", "admin"), ("n", "user")]));
    assert_eq!(tried(&app, &of_m, "chat").await, (401, "token_not_found_in_db".to_owned()));
    assert_eq!(tried(&app, &of_n, "chat").await.0, 200);
    let gone =
        refused_as(&app, MASTER, "/team/member_delete", json!({"team_id": team, "user_id": "m"})).await;
    assert_eq!(gone, (404, format!("User not found in team. Team id = {team}")));
    app.stop().await;
}

#[tokio::test]
async fn many_are_added_at_once_and_each_is_told_of() {
    let app = start("").await;
    let team = team(&app, json!({})).await;
    let members = json!([{"role": "user", "user_id": "m"}, {"role": "user", "user_email": "n@x.y"},
        {"role": "user", "user_id": "m"}]);
    let body = json!({"team_id": team, "members": members, "max_budget_in_team": 1});
    let added = made(&app, "/team/bulk_member_add", body).await;
    let counts =
        ["total_requested", "successful_additions", "failed_additions"].map(|name| added[name].clone());
    assert_eq!(counts, [json!(3), json!(2), json!(1)]);
    assert_eq!(added["results"][1]["updated_user"]["user_email"], "n@x.y");
    assert_eq!(added["results"][2]["error"], "User already in team");
    let all = json!({"team_id": team, "all_users": true});
    let added = made(&app, "/team/bulk_member_add", all).await;
    assert_eq!((&added["total_requested"], &added["successful_additions"]), (&json!(2), &json!(0)));
    app.stop().await;
}

#[tokio::test]
async fn a_team_is_deleted_with_all_that_is_its() {
    let app = start("").await;
    let team = team(&app, json!({"team_member_budget": 1})).await;
    let body = json!({"team_id": team, "member": {"role": "user", "user_id": "m"}, "max_budget_in_team": 1});
    made(&app, "/team/member_add", body).await;
    let (of_team, own) = (key_of(&app, &team, "m").await, key(&app, json!({"user_id": "m"})).await);
    assert_eq!(
        refused_as(&app, MASTER, "/team/delete", json!({"team_ids": [team, "nobody"]})).await,
        (404, "Team not found, passed team_id=nobody".to_owned())
    );
    assert_eq!(tried(&app, &of_team, "chat").await.0, 200);
    let deleted = made(&app, "/team/delete", json!({"team_ids": [team, team]})).await;
    assert_eq!(deleted, json!({"deleted_teams": [team]}));
    assert_eq!(tried(&app, &of_team, "chat").await.0, 401);
    assert_eq!(tried(&app, &own, "chat").await.0, 200);
    assert_eq!(seen(&app, "/user/info?user_id=m").await["teams"], json!([]));
    assert_eq!(get_as(&app, MASTER, &format!("/team/info?team_id={team}")).await.status, 404);
    app.stop().await;
}

/// A team `t` with the admin `a` and the member `m`, another `o`, and keys of `a` and `m` in `t`.
async fn two_teams(app: &App) -> [String; 4] {
    let members = json!([{"role": "admin", "user_id": "a"}, {"role": "user", "user_id": "m"}]);
    let body = json!({"team_id": "t", "max_budget": 5, "models": ["chat"], "members_with_roles": members});
    let t = team(app, body).await;
    let o = team(app, json!({"team_id": "o"})).await;
    let (a, m) = (key_of(app, &t, "a").await, key_of(app, &t, "m").await);
    [t, o, a, m]
}

#[tokio::test]
async fn a_team_admin_runs_its_team_and_changes_nothing_of_what_it_was_given() {
    let app = start("").await;
    let [t, _, a, m] = two_teams(&app).await;
    let member = json!({"team_id": t, "member": {"role": "user", "user_id": "n"}, "max_budget_in_team": 1});
    made_as(&app, &a, "/team/member_add", member).await;
    made_as(&app, &a, "/team/member_update", json!({"team_id": t, "user_id": "n", "tpm_limit": 5000})).await;
    let of_n = made_as(&app, &a, "/key/generate", json!({"team_id": t, "user_id": "n"})).await;
    assert_eq!(tried(&app, &text(&of_n["key"]), "chat").await.0, 200);
    made_as(&app, &a, "/key/block", json!({"key": m})).await;
    assert_eq!(tried(&app, &m, "chat").await.0, 401);
    let renamed = json!({"team_id": t, "team_alias": "ours", "metadata": {"x": 1}, "team_member_budget": 2});
    let team = made_as(&app, &a, "/team/update", renamed).await;
    assert_eq!(team["data"]["team_alias"], "ours");
    let given = [
        json!({"max_budget": 6}),
        json!({"models": ["chat", "other"]}),
        json!({"models": []}),
        json!({"rpm_limit": 5}),
        json!({"blocked": true}),
        json!({"budget_duration": "1d"}),
        json!({"model_aliases": {"chat": "other"}}),
        json!({"metadata": {"x": 1, "model_rpm_limit": {"chat": 5}}}),
        json!({"metadata": {"x": 1, "critical": true}}),
        json!({"organization_id": "somewhere"}),
    ];
    for mut body in given {
        body["team_id"] = json!(t);
        let (status, said) = refused_as(&app, &a, "/team/update", body.clone()).await;
        assert!(status == 403 || status == 401, "{body}: {status} {said}");
    }
    for (path, body) in [
        ("/team/block", json!({"team_id": t})),
        ("/team/delete", json!({"team_ids": [t]})),
        ("/team/model/add", json!({"team_id": t, "models": ["other"]})),
        ("/team/new", json!({})),
        ("/user/new", json!({})),
    ] {
        assert_eq!(refused_as(&app, &a, path, body).await.0, 401, "{path}");
    }
    let info = get_as(&app, &a, &format!("/team/info?team_id={t}")).await.json();
    assert_eq!(info["team_info"]["caller_edit_access"]["kind"], "team_admin");
    assert_eq!(info["team_info"]["max_budget"], json!(5.0));
    assert_eq!(info["keys"].as_array().unwrap().len(), 3);
    app.stop().await;
}

#[tokio::test]
async fn a_team_admin_reaches_nothing_of_another_team() {
    let app = start("").await;
    let [_, o, a, _] = two_teams(&app).await;
    let theirs = key(&app, json!({"team_id": o})).await;
    for (path, body) in [
        ("/team/update", json!({"team_id": o, "team_alias": "mine"})),
        ("/team/member_add", json!({"team_id": o, "member": {"role": "admin", "user_id": "a"}})),
        ("/team/member_update", json!({"team_id": o, "user_id": "default_user_id", "role": "user"})),
        ("/team/member_delete", json!({"team_id": o, "user_id": "default_user_id"})),
        ("/team/permissions_update", json!({"team_id": o, "team_member_permissions": []})),
        ("/key/block", json!({"key": theirs})),
        ("/key/delete", json!({"keys": [theirs]})),
    ] {
        assert_eq!(refused_as(&app, &a, path, body).await.0, 404, "{path}");
    }
    for body in [json!({"team_id": o}), json!({"team_id": o, "user_id": "a"})] {
        assert_eq!(refused_as(&app, &a, "/key/generate", body).await.0, 401);
    }
    // A key does not move to where none may be made.
    let own = json!({"key": a, "team_id": o});
    assert_eq!(refused_as(&app, &a, "/key/update", own).await.0, 401);
    assert_eq!(get_as(&app, &a, &format!("/team/info?team_id={o}")).await.status, 404);
    assert_eq!(each(&get_as(&app, &a, "/team/list").await.json(), "team_id"), ["t"]);
    app.stop().await;
}

#[tokio::test]
async fn a_member_sees_its_team_and_may_what_the_team_lets_it() {
    let app = start("").await;
    let [t, _, a, m] = two_teams(&app).await;
    let info = get_as(&app, &m, &format!("/team/info?team_id={t}")).await.json();
    assert_eq!(each(&info["team_info"]["members_with_roles"], "user_id"), ["m"]);
    assert_eq!(info["team_info"]["caller_edit_access"], json!({"kind": "none"}));
    assert_eq!(refused_as(&app, &m, "/key/generate", json!({"team_id": t})).await.0, 401);
    let body = json!({"team_id": t, "team_member_permissions": ["/key/generate"]});
    assert_eq!(refused_as(&app, &m, "/team/permissions_update", body.clone()).await.0, 401);
    made_as(&app, &a, "/team/permissions_update", body).await;
    made_as(&app, &m, "/key/generate", json!({"team_id": t})).await;
    assert_eq!(refused_as(&app, &m, "/key/generate", json!({"team_id": t, "user_id": "a"})).await.0, 403);
    let listed = get_as(&app, &m, &format!("/team/permissions_list?team_id={t}")).await.json();
    assert_eq!(listed["team_member_permissions"], json!(["/key/generate"]));
    let all = json!({"permissions": ["/key/delete"], "apply_to_all_teams": true});
    assert_eq!(refused_as(&app, &a, "/team/permissions_bulk_update", all.clone()).await.0, 401);
    assert_eq!(made(&app, "/team/permissions_bulk_update", all).await["teams_updated"], json!(2));
    let listed = seen(&app, &format!("/team/permissions_list?team_id={t}")).await;
    assert_eq!(listed["team_member_permissions"], json!(["/key/generate", "/key/delete"]));
    app.stop().await;
}

#[tokio::test]
async fn teams_are_listed_in_pages_and_by_what_is_asked_for() {
    let app = start("litellm_settings: {default_internal_user_params: {available_teams: [t2]}}\n").await;
    for number in 0..5 {
        let body = json!({"team_id": format!("t{number}"), "team_alias": format!("Team {number}")});
        team(&app, body).await;
    }
    let by = |query: &str| format!("/v2/team/list?sort_by=team_alias&sort_order=asc&{query}");
    let page = seen(&app, &by("page=2&page_size=2")).await;
    assert_eq!(each(&page["teams"], "team_id"), ["t2", "t3"]);
    assert_eq!(
        [&page["total"], &page["page"], &page["page_size"], &page["total_pages"]],
        [&json!(5), &json!(2), &json!(2), &json!(3)]
    );
    assert_eq!((&page["teams"][0]["members_count"], &page["teams"][0]["keys_count"]), (&json!(1), &json!(0)));
    for (query, wanted) in [
        ("search=team%204", vec!["t4"]),
        ("team_id=t1", vec!["t1"]),
        ("user_id=nobody", vec![]),
        ("user_id=default_user_id&team_alias=3", vec!["t3"]),
        ("organization_id=none", vec![]),
    ] {
        assert_eq!(each(&seen(&app, &by(query)).await["teams"], "team_id"), wanted, "{query}");
    }
    assert_eq!(each(&seen(&app, "/team/list").await, "team_id"), ["t0", "t1", "t2", "t3", "t4"]);
    assert_eq!(each(&seen(&app, "/team/available").await, "team_id"), ["t2"]);
    app.stop().await;
}

#[tokio::test]
async fn new_teams_have_what_the_operator_says() {
    let app = start(
        "litellm_settings: {default_team_params: {max_budget: 5, budget_duration: 30d, rpm_limit: 7}}\n",
    )
    .await;
    let team = made(&app, "/team/new", json!({"max_budget": 2})).await;
    let had = [&team["max_budget"], &team["budget_duration"], &team["rpm_limit"]];
    assert_eq!(had, [&json!(2.0), &json!("30d"), &json!(7)]);
    assert!(team["budget_reset_at"].is_string());
    app.stop().await;
}
