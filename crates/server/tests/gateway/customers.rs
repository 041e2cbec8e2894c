//! End users: made, held to what they may, blocked, changed and taken away.

use crate::office::{COST, MASTER, Office, message, names, refused};
use crate::support::admin::rows;
use serde_json::{Value, json};

#[tokio::test]
async fn an_end_user_is_made_seen_changed_and_deleted_as_recorded() {
    let office = Office::open("").await;
    let made = office.good("POST", "/customer/new", json!({"user_id": "c1", "max_budget": 0.00001})).await;
    let wanted = [
        "user_id",
        "blocked",
        "alias",
        "spend",
        "allowed_model_region",
        "default_model",
        "models",
        "budget_id",
        "litellm_budget_table",
        "object_permission_id",
        "object_permission",
    ];
    assert_eq!(names(&made), wanted);
    assert_eq!((&made["blocked"], &made["spend"]), (&json!(false), &json!(0.0)));
    assert_eq!(made["litellm_budget_table"]["max_budget"], json!(0.00001));
    let seen = office.good("GET", "/end_user/info?end_user_id=c1", Value::Null).await;
    assert_eq!(seen, made);
    let again = office.bad("POST", "/customer/new", json!({"user_id": "c1"})).await;
    let told = "Customer already exists, passed user_id=c1. Please pass a new user_id.";
    assert_eq!(again, (400, told.to_owned()));
    let changed = office.good("POST", "/end_user/update", json!({"user_id": "c1", "max_budget": 5})).await;
    // The budget is its own: it is changed, not replaced.
    assert_eq!(changed["budget_id"], made["budget_id"]);
    assert_eq!(changed["litellm_budget_table"]["max_budget"], json!(5.0));
    assert_eq!(office.good("GET", "/customer/list", Value::Null).await, json!([changed]));
    let gone = office.good("POST", "/customer/delete", json!({"user_ids": ["c1"]})).await;
    let told = "Successfully deleted customers with ids: ['c1']";
    assert_eq!(gone, json!({"deleted_customers": 1, "message": told}));
    let missing = (404, "End User Id=c1 does not exist in db".to_owned());
    assert_eq!(office.bad("GET", "/customer/info?end_user_id=c1", Value::Null).await, missing);
    assert_eq!(office.bad("POST", "/customer/update", json!({"user_id": "c1"})).await, missing);
    assert_eq!(office.bad("POST", "/customer/delete", json!({"user_ids": ["c1"]})).await, missing);
    assert_eq!(office.bad("POST", "/customer/new", json!({"user_id": "c", "spent": 1})).await.0, 400);
    office.0.stop().await;
}

#[tokio::test]
async fn an_end_users_budget_is_spent_by_the_body_and_by_the_header() {
    let office = Office::open("").await;
    office.good("POST", "/customer/new", json!({"user_id": "c1", "max_budget": 0.005})).await;
    let key = office.key(json!({})).await;
    let user = || json!({"user": "c1"});
    assert_eq!(office.chat(&key, "chat", user()).await.status, 200);
    let header = [("x-litellm-customer-id", "c1")];
    assert_eq!(office.chat_with(MASTER, "chat", &header, json!({})).await.status, 200);
    let spent = office.good("GET", "/customer/info?end_user_id=c1", Value::Null).await;
    assert_eq!(spent["spend"], json!(2.0 * COST));
    let told = "ExceededBudget: End User=c1 over budget. Spend=0.007, Budget=0.005";
    refused(&office.chat(&key, "chat", user()).await, 422, "budget_exceeded", told);
    refused(&office.chat_with(&key, "chat", &header, json!({})).await, 422, "budget_exceeded", told);
    let other = [("x-litellm-end-user-id", "c2")];
    assert_eq!(office.chat_with(&key, "chat", &other, json!({})).await.status, 200);
    assert_eq!(office.0.received().len(), 3);
    // A larger budget lets it in at once, and what was spent stays.
    office.good("POST", "/customer/update", json!({"user_id": "c1", "max_budget": 5})).await;
    assert_eq!(office.chat(&key, "chat", user()).await.status, 200);
    let spent = office.good("GET", "/customer/info?end_user_id=c1", Value::Null).await;
    assert_eq!(spent["spend"], json!(0.0105));
    office.0.stop().await;
}

#[tokio::test]
async fn whoever_has_spent_before_a_record_is_made_of_them_has_spent_it_in_their_budget() {
    let office = Office::open("").await;
    let named = || json!({"user": "c1", "metadata": {"tags": ["t1"]}});
    assert_eq!(office.chat(MASTER, "chat", named()).await.status, 200);
    assert_eq!(office.chat(MASTER, "chat", named()).await.status, 200);
    rows(&office.0, 2).await;
    office.good("POST", "/customer/new", json!({"user_id": "c1", "max_budget": 0.005})).await;
    let spent = office.good("GET", "/customer/info?end_user_id=c1", Value::Null).await;
    assert_eq!(spent["spend"], json!(2.0 * COST));
    let told = "ExceededBudget: End User=c1 over budget. Spend=0.007, Budget=0.005";
    refused(&office.chat(MASTER, "chat", named()).await, 422, "budget_exceeded", told);
    office.good("POST", "/customer/delete", json!({"user_ids": ["c1"]})).await;
    office.good("POST", "/tag/new", json!({"name": "t1", "max_budget": 0.005})).await;
    let refusal = office.chat(MASTER, "chat", named()).await;
    assert_eq!(refusal.status, 422, "{}", refusal.text());
    assert!(message(&refusal).contains("Tag=t1"), "{}", refusal.text());
    assert_eq!(office.0.received().len(), 2);
    office.0.stop().await;
}

#[tokio::test]
async fn a_blocked_end_user_is_refused_until_it_is_let_in_again() {
    let office = Office::open("").await;
    let user = || json!({"user": "c1"});
    // One that nobody has made is made by the block.
    let blocked = office.good("POST", "/customer/block", json!({"user_ids": ["c1", "c1"]})).await;
    assert_eq!(blocked["blocked_users"].as_array().unwrap().len(), 1);
    assert_eq!(blocked["blocked_users"][0]["blocked"], json!(true));
    let told = "User blocked from making LLM API Calls. User=c1";
    for key in [MASTER, &office.key(json!({"rpm_limit": 1})).await] {
        refused(&office.chat(key, "chat", user()).await, 400, "invalid_request_error", told);
        // What was refused has not counted.
        assert_eq!(office.chat(key, "chat", json!({})).await.status, 200);
    }
    let open = office.good("POST", "/end_user/unblock", json!({"user_ids": ["c1"]})).await;
    assert_eq!(open, json!({"blocked_users": []}));
    assert_eq!(office.chat(MASTER, "chat", user()).await.status, 200);
    assert_eq!(office.0.received().len(), 3);
    office.0.stop().await;
}

#[tokio::test]
async fn a_blocked_end_user_whose_budget_is_spent_is_told_of_the_budget() {
    let office = Office::open("").await;
    office.good("POST", "/customer/new", json!({"user_id": "c1", "max_budget": 0.00001})).await;
    office.good("POST", "/customer/update", json!({"user_id": "c1", "max_budget": 1})).await;
    assert_eq!(office.chat(MASTER, "chat", json!({"user": "c1"})).await.status, 200);
    office.good("POST", "/customer/update", json!({"user_id": "c1", "max_budget": 0.00001})).await;
    office.good("POST", "/customer/block", json!({"user_ids": ["c1"]})).await;
    let told = "ExceededBudget: End User=c1 over budget. Spend=0.0035, Budget=1e-05";
    refused(&office.chat(MASTER, "chat", json!({"user": "c1"})).await, 422, "budget_exceeded", told);
    office.0.stop().await;
}

#[tokio::test]
async fn an_end_user_has_its_models_and_a_default_in_place_of_others() {
    let office = Office::open("").await;
    office.good("POST", "/customer/new", json!({"user_id": "c1", "models": ["chat"]})).await;
    let user = || json!({"user": "c1"});
    assert_eq!(office.chat(MASTER, "chat", user()).await.status, 200);
    let denied = office.chat(MASTER, "other", user()).await;
    refused(
        &denied,
        403,
        "customer_model_access_denied",
        "The requested model 'other' is not in the allowed models",
    );
    let mut with_fallback = user();
    with_fallback["fallbacks"] = json!(["other"]);
    let denied = office.chat(MASTER, "chat", with_fallback).await;
    refused(
        &denied,
        403,
        "customer_model_access_denied",
        "The requested model 'other' is not in the allowed models",
    );
    office.good("POST", "/customer/update", json!({"user_id": "c1", "default_model": "chat"})).await;
    assert_eq!(office.chat(MASTER, "other", user()).await.status, 200);
    assert_eq!(office.0.sends(["a", "b"]), [2, 0]);
    // The key is asked for what answers.
    let key = office.key(json!({"models": ["other"]})).await;
    refused(&office.chat(&key, "other", user()).await, 403, "key_model_access_denied", "The requested");
    office.0.stop().await;
}

#[tokio::test]
async fn an_end_users_rate_limit_is_its_own() {
    let office = Office::open("").await;
    office.good("POST", "/customer/new", json!({"user_id": "c1", "rpm_limit": 1})).await;
    assert_eq!(office.chat(MASTER, "chat", json!({"user": "c1"})).await.status, 200);
    let second = office.chat(MASTER, "chat", json!({"user": "c1"})).await;
    let told = "Rate limit exceeded for end_user: c1. Limit type: requests. Current limit: 1, Remaining: 0.";
    refused(&second, 429, "throttling_error", told);
    assert_eq!(office.chat(MASTER, "chat", json!({"user": "c2"})).await.status, 200);
    office.0.stop().await;
}

#[tokio::test]
async fn end_users_are_the_administrators_alone() {
    let office = Office::open("").await;
    let key = office.key(json!({})).await;
    for path in ["/customer/new", "/end_user/block", "/customer/update"] {
        let denied = office.ask(&key, ("POST", path), &[], &json!({"user_id": "c1"})).await;
        assert_eq!(denied.status, 401, "{path}");
        assert!(message(&denied).starts_with("Authentication Error, Only proxy admin can be used"));
    }
    assert_eq!(office.good("GET", "/end_user/list", Value::Null).await, json!([]));
    office.0.stop().await;
}
