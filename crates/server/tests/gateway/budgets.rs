//! Budgets that others refer to: each with a purse of its own and the limit that all have.

use crate::office::{Office, names, refused};
use serde_json::{Value, json};

#[tokio::test]
async fn a_budget_is_made_seen_changed_and_deleted_as_recorded() {
    let office = Office::open("").await;
    let body = json!({"budget_id": "b-1", "max_budget": 3, "budget_duration": "1d", "rpm_limit": 5});
    let made = office.good("POST", "/budget/new", body.clone()).await;
    assert_eq!(names(&made)[..4], ["budget_id", "max_budget", "soft_budget", "max_parallel_requests"]);
    assert_eq!((&made["max_budget"], &made["rpm_limit"]), (&json!(3.0), &json!(5)));
    assert!(made["budget_reset_at"].as_str().unwrap().ends_with("T00:00:00Z"), "{made}");
    assert_eq!(office.bad("POST", "/budget/new", body).await.0, 409);
    assert_eq!(office.good("POST", "/budget/info", json!({"budgets": ["b-1", "b-2"]})).await, json!([made]));
    let change = json!({"budget_id": "b-1", "max_budget": 4});
    let changed = office.good("POST", "/budget/update", change).await;
    assert_eq!((&changed["max_budget"], &changed["rpm_limit"]), (&json!(4.0), &json!(5)));
    assert_eq!(office.good("GET", "/budget/list", Value::Null).await, json!([changed]));
    let settings = office.good("GET", "/budget/settings?budget_id=b-1", Value::Null).await;
    assert_eq!(
        (&settings[0]["field_name"], &settings[0]["field_value"]),
        (&json!("max_budget"), &json!(4.0))
    );
    let gone = office.good("POST", "/budget/delete", json!({"id": "b-1"})).await;
    assert_eq!(gone, changed);
    let missing = (404, "Budget=b-1 not found".to_owned());
    assert_eq!(office.bad("POST", "/budget/delete", json!({"id": "b-1"})).await, missing);
    assert_eq!(office.bad("POST", "/budget/update", json!({"budget_id": "b-1"})).await, missing);
    assert_eq!(office.bad("GET", "/budget/settings?budget_id=b-1", Value::Null).await, missing);
    assert_eq!(office.bad("POST", "/key/generate", json!({"budget_id": "b-1"})).await, missing);
    office.0.stop().await;
}

#[tokio::test]
async fn those_who_share_a_budget_have_each_a_purse_of_its_limit() {
    let office = Office::open("").await;
    office.good("POST", "/budget/new", json!({"budget_id": "b", "max_budget": 0.003})).await;
    let one = office.key(json!({"budget_id": "b"})).await;
    let other = office.key(json!({"budget_id": "b"})).await;
    let told = "Budget has been exceeded! Key=key (sk-...";
    for key in [&one, &other] {
        assert_eq!(office.chat(key, "chat", json!({})).await.status, 200);
        refused(&office.chat(key, "chat", json!({})).await, 422, "budget_exceeded", told);
    }
    // One change lets both in at once.
    office.good("POST", "/budget/update", json!({"budget_id": "b", "max_budget": 1, "rpm_limit": 3})).await;
    for key in [&one, &other] {
        let answer = office.chat(key, "chat", json!({})).await;
        assert_eq!((answer.status, answer.header("x-litellm-key-max-budget")), (200, Some("1.0")));
        assert_eq!(answer.header("x-litellm-key-rpm-limit"), Some("3"));
    }
    // What holds them stays for as long as they refer to it.
    let (status, message) = office.bad("POST", "/budget/delete", json!({"id": "b"})).await;
    assert_eq!(status, 400);
    assert!(message.starts_with("Cannot delete budget b. 2 refer(s) to it: key "), "{message}");
    refused(
        &office.chat(&office.key(json!({"max_budget": 0.0})).await, "chat", json!({})).await,
        422,
        "budget_exceeded",
        told,
    );
    // Without the budget nothing is left of its limits; what each has spent is known all the same.
    for key in [&one, &other] {
        office.good("POST", "/key/update", json!({"key": key, "budget_id": null})).await;
    }
    office.good("POST", "/budget/delete", json!({"id": "b"})).await;
    for key in [&one, &other] {
        let answer = office.chat(key, "chat", json!({})).await;
        assert_eq!((answer.status, answer.header("x-litellm-key-max-budget")), (200, None));
        let info = office.good("GET", &format!("/key/info?key={key}"), Value::Null).await;
        assert_eq!((&info["info"]["budget_id"], &info["info"]["spend"]), (&Value::Null, &json!(0.0105)));
    }
    office.0.stop().await;
}

#[tokio::test]
async fn a_budget_that_somebody_refers_to_is_not_deleted_and_it_is_said_who() {
    let office = Office::open("").await;
    office.good("POST", "/budget/new", json!({"budget_id": "b", "max_budget": 1})).await;
    office.good("POST", "/customer/new", json!({"user_id": "c1", "budget_id": "b"})).await;
    office.good("POST", "/tag/new", json!({"name": "t1", "budget_id": "b"})).await;
    office.good("POST", "/team/new", json!({"team_id": "t", "team_member_budget": 2})).await;
    office
        .good("POST", "/team/member_add", json!({"team_id": "t", "member": {"user_id": "u", "role": "user"}}))
        .await;
    let told = "Cannot delete budget b. 2 refer(s) to it: customer c1, tag t1. Please give them another budget first.";
    assert_eq!(office.bad("POST", "/budget/delete", json!({"id": "b"})).await, (400, told.to_owned()));
    let of_team = office.good("GET", "/team/info?team_id=t", Value::Null).await;
    let shared = of_team["team_info"]["metadata"]["team_member_budget_id"].clone();
    let (status, message) = office.bad("POST", "/budget/delete", json!({"id": shared})).await;
    assert!(
        message.contains("3 refer(s) to it: member default_user_id of t, member u of t, team t."),
        "{message}"
    );
    assert_eq!(status, 400);
    let left = office.good("GET", "/budget/list", Value::Null).await;
    assert_eq!(left.as_array().unwrap().len(), 2);
    for (path, body) in
        [("/customer/delete", json!({"user_ids": ["c1"]})), ("/tag/delete", json!({"name": "t1"}))]
    {
        office.good("POST", path, body).await;
    }
    office.good("POST", "/budget/delete", json!({"id": "b"})).await;
    office.0.stop().await;
}

#[tokio::test]
async fn a_budget_that_others_share_is_not_changed_by_one_of_them() {
    let office = Office::open("").await;
    office.good("POST", "/budget/new", json!({"budget_id": "b", "max_budget": 1})).await;
    for id in ["c1", "c2"] {
        office.good("POST", "/customer/new", json!({"user_id": id, "budget_id": "b"})).await;
    }
    let both = json!({"user_id": "c3", "budget_id": "b", "max_budget": 2});
    assert_eq!(office.bad("POST", "/customer/new", both).await.0, 400);
    let changed = office.good("POST", "/customer/update", json!({"user_id": "c1", "max_budget": 2})).await;
    assert_ne!(changed["budget_id"], json!("b"));
    assert_eq!(changed["litellm_budget_table"]["max_budget"], json!(2.0));
    let other = office.good("GET", "/customer/info?end_user_id=c2", Value::Null).await;
    assert_eq!(other["litellm_budget_table"]["max_budget"], json!(1.0));
    office.0.stop().await;
}
