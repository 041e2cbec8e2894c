//! Groups of models: of the configuration and of records, whom they give models, and what is spent on them.

use crate::office::{MASTER, Office, names, refused};
use crate::support::Wire;
use serde_json::{Value, json};

/// `chat` and `other`; `chat` is in the group `written`.
async fn open() -> Office {
    let (a, b) = (Wire::OpenAi.parameters("a"), Wire::OpenAi.parameters("b"));
    Office::of(&format!(
        "model_list:\n  - {{model_name: chat, litellm_params: {{{a}}}, model_info: {{id: first, access_groups: [written]}}}}\n  \
         - {{model_name: other, litellm_params: {{{b}}}, model_info: {{id: second}}}}\n"
    ))
    .await
}

async fn statuses(office: &Office, key: &str) -> [u16; 2] {
    [office.chat(key, "chat", json!({})).await.status, office.chat(key, "other", json!({})).await.status]
}

#[tokio::test]
async fn a_group_gives_models_and_takes_them_at_once() {
    let office = open().await;
    let made =
        office.good("POST", "/access_group/new", json!({"access_group": "g", "model_names": ["chat"]})).await;
    let wanted =
        json!({"access_group": "g", "model_names": ["chat"], "model_ids": null, "models_updated": 1});
    assert_eq!(made, wanted);
    let key = office.key(json!({"models": ["g"]})).await;
    assert_eq!(statuses(&office, &key).await, [200, 403]);
    office.good("PUT", "/access_group/g/update", json!({"model_ids": ["second"]})).await;
    assert_eq!(statuses(&office, &key).await, [403, 200]);
    let models = office.ask(&key, ("GET", "/v1/models"), &[], &Value::Null).await.json();
    assert_eq!(models["data"].as_array().unwrap().len(), 1);
    let gone = office.good("DELETE", "/access_group/g/delete", Value::Null).await;
    let told = "Access group 'g' deleted successfully";
    assert_eq!(gone, json!({"access_group": "g", "models_updated": 1, "message": told}));
    assert_eq!(statuses(&office, &key).await, [403, 403]);
    let missing = (404, "Access group 'g' not found".to_owned());
    assert_eq!(office.bad("GET", "/access_group/g/info", Value::Null).await, missing);
    assert_eq!(office.bad("PUT", "/access_group/g/update", json!({"model_names": ["chat"]})).await, missing);
    let unknown = json!({"access_group": "g", "model_names": ["chat", "none"]});
    let told = office.bad("POST", "/access_group/new", unknown).await;
    assert_eq!(told, (404, "Model(s) not found: none".to_owned()));
    office.0.stop().await;
}

#[tokio::test]
async fn groups_of_the_configuration_and_of_records_are_there_together() {
    let office = open().await;
    let key = office.key(json!({"models": ["written", "more"]})).await;
    assert_eq!(statuses(&office, &key).await, [200, 403]);
    office.good("POST", "/access_group/new", json!({"access_group": "more", "model_names": ["other"]})).await;
    assert_eq!(statuses(&office, &key).await, [200, 200]);
    let listed = office.good("GET", "/access_group/list", Value::Null).await;
    let rows = listed["access_groups"].as_array().unwrap();
    let told: Vec<_> =
        rows.iter().map(|row| (row["access_group"].clone(), row["model_names"].clone())).collect();
    assert_eq!(told, [(json!("more"), json!(["other"])), (json!("written"), json!(["chat"]))]);
    assert_eq!(names(&rows[0]), ["access_group", "model_names", "deployment_count", "spend", "budget"]);
    let again = json!({"access_group": "written", "model_names": ["other"]});
    assert_eq!(office.bad("POST", "/access_group/new", again).await.0, 409);
    // Whoever may use the model of that name would be given more.
    let like_a_model = json!({"access_group": "chat", "model_names": ["other"]});
    assert_eq!(office.bad("POST", "/access_group/new", like_a_model).await.0, 409);
    let (status, message) = office.bad("DELETE", "/access_group/written/delete", Value::Null).await;
    assert!(status == 400 && message.contains("written in the configuration"), "{message}");
    office.0.stop().await;
}

#[tokio::test]
async fn a_groups_budget_is_spent_by_all_who_use_its_models() {
    let office = open().await;
    let path = "/access_group/written/budget";
    assert_eq!(office.good("GET", path, Value::Null).await["budget"], Value::Null);
    let set = office.good("PUT", path, json!({"max_budget": 0.005, "budget_duration": "30d"})).await;
    assert_eq!((&set["spend"], &set["budget"]["max_budget"]), (&json!(0.0), &json!(0.005)));
    assert!(set["budget"]["budget_reset_at"].is_string(), "{set}");
    let key = office.key(json!({})).await;
    assert_eq!(office.chat(&key, "chat", json!({})).await.status, 200);
    assert_eq!(office.chat(MASTER, "chat", json!({})).await.status, 200);
    let told = "Budget has been exceeded! AccessGroup=written Current cost: 0.007, Max budget: 0.005";
    refused(&office.chat(&key, "chat", json!({})).await, 422, "budget_exceeded", told);
    assert_eq!(office.chat(&key, "other", json!({})).await.status, 200);
    let info = office.good("GET", "/access_group/written/info", Value::Null).await;
    assert_eq!((&info["spend"], &info["deployment_count"]), (&json!(0.007), &json!(1)));
    let gone = office.good("DELETE", path, Value::Null).await;
    assert_eq!(gone["budget_deleted"], json!(true));
    assert_eq!(office.chat(&key, "chat", json!({})).await.status, 200);
    assert_eq!(office.good("DELETE", path, Value::Null).await["budget_deleted"], json!(false));
    office.0.stop().await;
}

#[tokio::test]
async fn a_named_group_is_given_to_keys_and_taken_from_them() {
    let office = open().await;
    let key = office.key(json!({"models": ["chat"], "key_alias": "k"})).await;
    let body =
        json!({"access_group_name": "extra", "access_model_names": ["other"], "assigned_key_ids": [key]});
    let made = office.call("POST", "/v1/access_group", body.clone()).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let made = made.json();
    let id = made["access_group_id"].as_str().unwrap().to_owned();
    assert_eq!(made["assigned_keys"][0]["name"], json!("k"));
    assert_eq!(statuses(&office, &key).await, [200, 200]);
    assert_eq!(office.bad("POST", "/v1/access_group", body).await.0, 409);
    let path = format!("/v1/access_group/{id}");
    let seen = office.good("GET", &format!("/v1/unified_access_group/{id}"), Value::Null).await;
    assert_eq!(seen, made);
    assert_eq!(office.good("GET", "/v1/access_group", Value::Null).await, json!([made]));
    // Groups by id are none of those by name.
    assert_eq!(office.bad("GET", &format!("/access_group/{id}/info"), Value::Null).await.0, 404);
    let changed = office.good("PUT", &path, json!({"assigned_key_ids": [], "description": "d"})).await;
    assert_eq!((&changed["assigned_keys"], &changed["description"]), (&json!([]), &json!("d")));
    assert_eq!(statuses(&office, &key).await, [200, 403]);
    let token = office.good("GET", &format!("/key/info?key={key}"), Value::Null).await["key"].clone();
    office.good("PUT", &path, json!({"assigned_key_ids": [token]})).await;
    office.good("PUT", &path, json!({"access_model_names": []})).await;
    assert_eq!(statuses(&office, &key).await, [200, 403]);
    office.good("PUT", &path, json!({"access_model_names": ["other"]})).await;
    assert_eq!(statuses(&office, &key).await, [200, 200]);
    let gone = office.call("DELETE", &path, Value::Null).await;
    assert_eq!((gone.status, gone.body.len()), (204, 0));
    assert_eq!(statuses(&office, &key).await, [200, 403]);
    let unknown = json!({"access_group_name": "x", "assigned_team_ids": ["nobody"]});
    assert_eq!(
        office.bad("POST", "/v1/access_group", unknown).await,
        (404, "Team=nobody not found".to_owned())
    );
    office.0.stop().await;
}

#[tokio::test]
async fn a_named_group_is_given_to_a_team_with_its_keys() {
    let office = open().await;
    office.good("POST", "/team/new", json!({"team_id": "t", "team_alias": "T", "models": ["chat"]})).await;
    let key = office.key(json!({"team_id": "t"})).await;
    assert_eq!(statuses(&office, &key).await, [200, 403]);
    let body = json!({"access_group_name": "x", "access_model_names": ["other"], "assigned_team_ids": ["t"]});
    let made = office.call("POST", "/v1/unified_access_group", body).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let made = made.json();
    assert_eq!(made["assigned_teams"], json!([{"id": "t", "name": "T"}]));
    assert_eq!(statuses(&office, &key).await, [200, 200]);
    let path = format!("/v1/unified_access_group/{}", made["access_group_id"].as_str().unwrap());
    assert_eq!(office.call("DELETE", &path, Value::Null).await.status, 204);
    assert_eq!(statuses(&office, &key).await, [200, 403]);
    office.0.stop().await;
}
