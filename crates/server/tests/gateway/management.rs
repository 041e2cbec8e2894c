//! Many users and members at once, and lists in pages.

use crate::support::admin::{MASTER, admin, chat, each, get_as, key, made, refused_as, seen, start};
use crate::support::hello;
use serde_json::{Value, json};

#[tokio::test]
async fn of_many_users_each_is_made_or_not_for_itself() {
    let app = start("").await;
    made(&app, "/team/new", json!({"team_id": "t"})).await;
    let body = json!({"users": [
        {"user_id": "ann", "user_email": "ann@example.com", "teams": ["t"]},
        {"user_id": "ann"},
        {"user_id": "ben", "auto_create_key": true},
        {"user_id": "cat", "nonsense": 1},
    ]});
    let told = made(&app, "/management/v1/users/bulk", body).await;
    assert_eq!(told["meta"], json!({"total_requested": 4, "created": 2, "failed": 2}));
    let data = told["data"].as_array().unwrap();
    assert_eq!(
        (&data[0]["user_id"], &data[0]["teams"], &data[0]["key"]),
        (&json!("ann"), &json!(["t"]), &Value::Null)
    );
    assert_eq!((&data[1]["success"], &data[1]["user_id"]), (&json!(false), &json!("ann")));
    assert!(data[1]["error"].as_str().unwrap().contains("already exists"));
    assert!(data[3]["error"].as_str().unwrap().contains("nonsense"));
    let secret = data[2]["key"].as_str().unwrap();
    assert_eq!(chat(&app, secret, &hello("chat")).await.status, 200);

    let gone = json!({"user_ids": ["ann", "nobody", "ann", "ben"]});
    let told = made(&app, "/management/v1/users/bulk_delete", gone).await;
    let done: Vec<bool> =
        told["data"].as_array().unwrap().iter().map(|row| row["success"].as_bool().unwrap()).collect();
    assert_eq!(done, [true, false, false, true]);
    assert_eq!(chat(&app, secret, &hello("chat")).await.status, 401);
    assert_eq!(get_as(&app, MASTER, "/v2/user/info?user_id=ann").await.status, 404);
    app.stop().await;
}

#[tokio::test]
async fn bodies_without_rows_with_too_many_or_with_others_are_refused() {
    let app = start("").await;
    made(&app, "/team/new", json!({"team_id": "t"})).await;
    let check = async |path: &str, body: Value, words: &str| {
        let answer = admin(&app, path, body).await;
        assert!(answer.status == 400 && answer.text().contains(words), "{path} {}", answer.text());
    };
    check("/management/v1/users/bulk", json!({}), "users").await;
    check("/management/v1/users/bulk", json!({"users": [], "more": 1}), "more").await;
    check("/management/v1/users/bulk", json!({"users": vec![json!({}); 501]}), "500").await;
    check("/management/v1/users/bulk_delete", json!({"user_ids": [1]}), "user_ids").await;
    check("/management/v1/teams/t/members/bulk_delete", json!({"members": [{}]}), "members").await;
    let user = key(&app, json!({})).await;
    for path in ["/management/v1/users/bulk", "/management/v1/users/bulk_delete"] {
        let (status, _) = refused_as(&app, &user, path, json!({"users": [{"user_id": "x"}]})).await;
        assert!([401, 403].contains(&status), "{path} {status}");
    }
    app.stop().await;
}

#[tokio::test]
async fn members_of_a_team_are_changed_and_taken_out_in_one_request() {
    let app = start("").await;
    let members = json!([{"user_id": "ann", "role": "user"}, {"user_id": "ben", "role": "user"}]);
    made(&app, "/team/new", json!({"team_id": "t", "members_with_roles": members})).await;
    let body = json!({"members": [
        {"user_id": "ann", "max_budget_in_team": 10, "rpm_limit": 5},
        {"user_id": "nobody", "max_budget_in_team": 10},
        {"user_id": "ann", "max_budget_in_team": 11},
        {"user_id": "ben", "role": "admin"},
    ]});
    let told = made(&app, "/management/v1/teams/t/members/bulk_update", body).await;
    let data = told["data"].as_array().unwrap();
    let done: Vec<bool> = data.iter().map(|row| row["success"].as_bool().unwrap()).collect();
    assert_eq!(done, [true, false, false, false]);
    assert_eq!((data[0]["max_budget"].as_f64(), &data[0]["rpm_limit"]), (Some(10.0), &json!(5)));
    assert!(data[3]["error"].as_str().unwrap().contains("role"));

    let body = json!({"members": [{"user_id": "ann"}, {"user_email": "nobody@example.com"}]});
    let told = made(&app, "/management/v1/teams/t/members/bulk_delete", body).await;
    assert_eq!((&told["data"][0]["success"], &told["data"][1]["success"]), (&json!(true), &json!(false)));
    let info = seen(&app, "/team/info?team_id=t").await.to_string();
    assert!(!info.contains("\"ann\"") && info.contains("\"ben\""), "{info}");
    let answer = admin(
        &app,
        "/management/v1/teams/nobody/members/bulk_delete",
        json!({"members": [{"user_id": "a"}]}),
    )
    .await;
    assert_eq!(answer.status, 404);
    app.stop().await;
}

#[tokio::test]
async fn budgets_come_in_pages_with_an_order_and_a_filter() {
    let app = start("").await;
    for (id, most, duration) in [("small", 1, "7d"), ("large", 9, "30d"), ("middle", 5, "30d")] {
        made(&app, "/budget/new", json!({"budget_id": id, "max_budget": most, "budget_duration": duration}))
            .await;
    }
    let told = seen(&app, "/management/v1/budgets?sort=-max_budget&page_size=2").await;
    assert_eq!(each(&told["data"], "budget_id"), ["large", "middle"]);
    assert_eq!(told["meta"], json!({"total_count": 3, "page": 1, "page_size": 2, "total_pages": 2}));
    assert_eq!(told["links"]["next"], "/management/v1/budgets?sort=-max_budget&page_size=2&page=2");
    let path = "/management/v1/budgets?filter%5Bbudget_duration%5D%5Bin%5D=30d&sort=max_budget&q=M";
    assert_eq!(each(&seen(&app, path).await["data"], "budget_id"), ["middle"]);
    for path in ["/management/v1/budgets?sort=color", "/management/v1/budgets?filter[color]=red"] {
        assert_eq!(get_as(&app, MASTER, path).await.status, 400, "{path}");
    }
    app.stop().await;
}

#[tokio::test]
async fn who_spent_in_some_days_is_listed_for_who_sees_all_and_oneself_for_others() {
    let app = start("").await;
    made(&app, "/user/new", json!({"user_id": "ann", "auto_create_key": false})).await;
    let own = key(&app, json!({"user_id": "ann"})).await;
    let mut body = hello("chat");
    body["user"] = json!("visitor");
    assert_eq!(chat(&app, &own, &body).await.status, 200);
    let days = "filter[startTime][gte]=2020-01-01&filter[startTime][lte]=2090-01-01";
    let path = format!("/management/v1/spend_logs/end_users?{days}");
    let mut told = Value::Null;
    for _ in 0..200 {
        told = seen(&app, &path).await;
        if told["data"] == json!(["visitor"]) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!((&told["data"], &told["meta"]["has_more"]), (&json!(["visitor"]), &json!(false)));
    let users = format!("/management/v1/spend_logs/users?{days}");
    assert_eq!(seen(&app, &users).await["data"], json!(["ann"]));
    let own_view = get_as(&app, &own, &users).await;
    assert_eq!((own_view.status, &own_view.json()["data"]), (200, &json!(["ann"])));
    assert_eq!(get_as(&app, &own, &path).await.json()["data"], json!([]));
    assert_eq!(get_as(&app, MASTER, "/management/v1/spend_logs/users").await.status, 400);
    app.stop().await;
}
