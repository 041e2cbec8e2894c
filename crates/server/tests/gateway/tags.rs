//! Tags of requests: made, limited, changed and taken away.

use crate::office::{MASTER, Office, names, refused};
use crate::support::settle;
use serde_json::{Value, json};

#[tokio::test]
async fn a_tag_is_made_seen_changed_and_deleted_as_recorded() {
    let office = Office::open("").await;
    let made =
        office.good("POST", "/tag/new", json!({"name": "tagx", "description": "d", "models": []})).await;
    assert_eq!(made["message"], json!("Tag tagx created successfully"));
    let wanted = ["name", "description", "models", "model_info", "created_at", "updated_at", "created_by"];
    assert_eq!(names(&made["tag"]), wanted);
    let again = office.bad("POST", "/tag/new", json!({"name": "tagx"})).await;
    assert_eq!(again, (400, "Tag tagx already exists".to_owned()));
    let info = office.good("POST", "/tag/info", json!({"names": ["tagx"]})).await;
    assert_eq!(info, json!({"tagx": made["tag"]}));
    let change = json!({"name": "tagx", "description": "e", "max_budget": 2});
    let changed = office.good("POST", "/tag/update", change).await;
    assert_eq!(changed["message"], json!("Tag tagx updated successfully"));
    let listed = office.good("GET", "/tag/list", Value::Null).await;
    assert_eq!(listed[0]["description"], json!("e"));
    assert_eq!(listed[0]["litellm_budget_table"]["max_budget"], json!(2.0));
    let gone = office.good("POST", "/tag/delete", json!({"name": "tagx"})).await;
    assert_eq!(gone, json!({"message": "Tag tagx deleted successfully"}));
    let missing = (404, "Tag tagx not found".to_owned());
    assert_eq!(office.bad("POST", "/tag/delete", json!({"name": "tagx"})).await, missing);
    assert_eq!(office.bad("POST", "/tag/update", json!({"name": "tagx"})).await, missing);
    assert_eq!(office.bad("POST", "/tag/info", json!({"names": ["tagx"]})).await, missing);
    office.0.stop().await;
}

#[tokio::test]
async fn a_tags_budget_and_rate_hold_for_all_who_send_it() {
    let office = Office::open("").await;
    office.good("POST", "/tag/new", json!({"name": "job", "max_budget": 0.003})).await;
    office.good("POST", "/tag/new", json!({"name": "slow", "rpm_limit": 1})).await;
    let key = office.key(json!({})).await;
    let job = || json!({"metadata": {"tags": ["job"]}});
    assert_eq!(office.chat(&key, "chat", job()).await.status, 200);
    let told = "Budget has been exceeded! Tag=job Current cost: 0.0035, Max budget: 0.003";
    refused(&office.chat(MASTER, "chat", job()).await, 422, "budget_exceeded", told);
    let header = [("x-litellm-tags", "slow")];
    assert_eq!(office.chat_with(&key, "chat", &header, json!({})).await.status, 200);
    let second = office.chat_with(MASTER, "chat", &header, json!({})).await;
    refused(&second, 429, "throttling_error", "Rate limit exceeded for tag: slow. Limit type: requests.");
    office.good("POST", "/tag/update", json!({"name": "job", "max_budget": 1})).await;
    assert_eq!(office.chat(&key, "chat", job()).await.status, 200);
    // A tag that is gone limits nothing.
    office.good("POST", "/tag/delete", json!({"name": "slow"})).await;
    assert_eq!(office.chat_with(&key, "chat", &header, json!({})).await.status, 200);
    office.0.stop().await;
}

#[tokio::test]
async fn tags_that_requests_alone_have_are_listed_beside_those_that_were_made() {
    let office = Office::open("").await;
    office.good("POST", "/tag/new", json!({"name": "made"})).await;
    let header = [("x-litellm-tags", "made,found")];
    assert_eq!(office.chat_with(MASTER, "chat", &header, json!({})).await.status, 200);
    let mut listed = Value::Null;
    // What was spent comes into the database a little later.
    for _ in 0..1_000 {
        listed = office.good("GET", "/tag/list", Value::Null).await;
        if listed.as_array().unwrap().len() > 1 {
            break;
        }
        settle().await;
    }
    let rows = listed.as_array().unwrap();
    assert_eq!((rows.len(), &rows[0]["name"], &rows[1]["name"]), (2, &json!("made"), &json!("found")));
    assert_eq!(names(&rows[1]), ["name", "description", "models", "created_at", "updated_at"]);
    office.0.stop().await;
}
