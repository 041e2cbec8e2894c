//! Where the spend of scopes is going, as the admin API shows it: whose, and to whom.

use crate::office::{MASTER, Office, names};
use serde_json::{Value, json};

const ROW: [&str; 11] = [
    "scope",
    "id",
    "alias",
    "budget_duration",
    "period_start",
    "period_end",
    "spend",
    "max_budget",
    "daily_rate",
    "projected_spend",
    "exhausted_on",
];

/// Scope, id and budget of each row.
fn rows(shown: &Value) -> Vec<(&str, &str, &Value)> {
    let all = shown["projections"].as_array().unwrap();
    all.iter()
        .map(|row| (row["scope"].as_str().unwrap(), row["id"].as_str().unwrap(), &row["max_budget"]))
        .collect()
}

#[tokio::test]
async fn an_organizations_projection_is_shown_with_its_budget() {
    let office = Office::open("").await;
    let lab = json!({"organization_id": "lab", "organization_alias": "Lab", "max_budget": 0.0035, "budget_duration": "30d"});
    let made = office.good("POST", "/organization/new", lab).await;
    let id = made["organization_id"].as_str().unwrap();
    let key = office.key(json!({"organization_id": id})).await;
    assert_eq!(office.chat(&key, "chat", json!({})).await.status, 200);
    let path = format!("/tollgate/projection?scope=organization&id={id}");
    let shown = office.good("GET", &path, Value::Null).await;
    assert_eq!(rows(&shown), [("organization", id, &json!(0.0035))]);
    let row = &shown["projections"][0];
    assert_eq!(names(row), ROW);
    assert_eq!((&row["spend"], &row["budget_duration"]), (&json!(0.0035), &json!("30d")));
    assert_eq!(row["alias"], json!("Lab"));
    // It is spent: today is the day. It is too young for more to be said.
    assert!(row["exhausted_on"].as_str().unwrap().starts_with("20"), "{row}");
    assert_eq!((&row["daily_rate"], &row["projected_spend"]), (&Value::Null, &Value::Null), "{row}");
    assert_eq!(shown["total_count"], json!(1));
    office.0.stop().await;
}

#[tokio::test]
async fn everybody_sees_their_own_alone() {
    let office = Office::open("").await;
    let one = office.key(json!({"max_budget": 1})).await;
    let other = office.key(json!({"max_budget": 2})).await;
    office.good("POST", "/tag/new", json!({"name": "job", "max_budget": 3})).await;
    let all = office.good("GET", "/tollgate/projection", Value::Null).await;
    let found = rows(&all);
    let count = |kind| found.iter().filter(|(scope, ..)| *scope == kind).count();
    assert_eq!((count("global"), count("tag"), count("key")), (1, 1, 2), "{all}");
    let ask = async |key: &str, path: &str| {
        let answer = office.ask(key, ("GET", path), &[], &Value::Null).await;
        (answer.status, answer.json())
    };
    let (status, own) = ask(&one, "/tollgate/projection").await;
    assert_eq!(status, 200, "{own}");
    let budgets: Vec<(&str, &Value)> =
        rows(&own).iter().map(|(scope, _, budget)| (*scope, *budget)).collect();
    assert_eq!(budgets, [("key", &json!(1.0))], "{own}");
    assert_eq!(ask(&one, &format!("/tollgate/projection?scope=key&id={one}")).await.0, 200);
    assert_eq!(ask(&one, &format!("/tollgate/projection?scope=key&id={other}")).await.0, 404);
    assert_eq!(ask(&one, "/tollgate/projection?scope=global").await.0, 401);
    assert_eq!(ask(MASTER, "/tollgate/projection?scope=global").await.0, 200);
    assert_eq!(ask(MASTER, "/tollgate/projection?scope=planet").await.0, 400);
    assert_eq!(ask(MASTER, "/tollgate/projection?id=job").await.0, 400);
    office.0.stop().await;
}

#[tokio::test]
async fn a_list_comes_in_pages() {
    let office = Office::open("").await;
    for number in 1..=3 {
        office.key(json!({"max_budget": number})).await;
    }
    let page = office.good("GET", "/tollgate/projection?scope=key&page=2&size=2", Value::Null).await;
    assert_eq!(rows(&page).len(), 1);
    let told = ["total_count", "current_page", "total_pages", "size"].map(|name| page[name].as_u64());
    assert_eq!(told, [Some(3), Some(2), Some(2), Some(2)]);
    office.0.stop().await;
}
