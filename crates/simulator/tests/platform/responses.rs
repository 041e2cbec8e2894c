//! The Responses API over a socket.

use crate::{ask, common::until, post, simulator};
use serde_json::{Value, json};
use tollgate_simulator::{Behaviour, Rule, Verdict};

fn types(events: &[String]) -> Vec<String> {
    let read =
        |event: &String| serde_json::from_str::<Value>(event).unwrap()["type"].as_str().unwrap().to_owned();
    events.iter().map(read).collect()
}

#[tokio::test]
async fn a_response_is_made_kept_and_deleted() {
    let simulator = simulator().await;
    let made = post(&simulator, "/v1/responses", &json!({"model": "gpt-4.1", "input": "hello"})).await.json();
    let path = format!("/v1/responses/{}", made["id"].as_str().unwrap());
    assert_eq!(ask(&simulator, "GET", &path).await.json(), made);
    assert_eq!(ask(&simulator, "DELETE", &path).await.json()["deleted"], true);
    assert_eq!(ask(&simulator, "GET", &path).await.status, 404);
    assert_eq!(ask(&simulator, "PATCH", &path).await.status, 405);
    let operations: Vec<&str> = simulator.received().iter().map(|received| received.operation).collect();
    assert_eq!(operations[..3], ["response", "get_response", "delete_response"]);
}

#[tokio::test]
async fn a_stream_is_cut_after_so_many_tokens_and_ends_without_a_mark() {
    let simulator = simulator().await;
    let body = |model: &str| json!({"model": model, "input": "hello", "stream": true});
    let whole = post(&simulator, "/v1/responses", &body("sim-tokens-5")).await;
    assert!(whole.text().starts_with("event: response.created\ndata: {\"type\":\"response.created\""));
    assert_eq!(types(&whole.events()).last().unwrap(), "response.completed");
    post(&simulator, "/v1/responses", &body("sim-tokens-5+cut-3")).await;
    until("the record of the cut", || simulator.received().len() == 2).await;
    assert_eq!(simulator.received()[1].tokens_written, 3);
    let endless = post(&simulator, "/v1/responses", &body("sim-nodone")).await;
    assert_eq!(types(&endless.events()).last().unwrap(), "response.output_item.done");
    let failed = post(&simulator, "/v1/responses", &body("sim-tokens-5+failed-2")).await;
    let kinds = types(&failed.events());
    let deltas = kinds.iter().filter(|kind| *kind == "response.output_text.delta").count();
    assert_eq!((deltas, kinds.last().unwrap().as_str()), (2, "response.failed"));
}

#[tokio::test]
async fn a_provider_without_the_api_has_no_such_route() {
    let simulator = simulator().await;
    let body = json!({"model": "sim-noresponses", "input": "hello"});
    let refused = post(&simulator, "/v1/responses", &body).await;
    assert_eq!((refused.status, &refused.json()["error"]["code"]), (404, &Value::Null));
    let chat = json!({"model": "sim-noresponses", "messages": [{"role": "user", "content": "hello"}]});
    assert_eq!(post(&simulator, "/v1/chat/completions", &chat).await.status, 200);
    let without = Behaviour { no_responses: true, ..Behaviour::new() };
    simulator.script().push(Rule::deployment("old", without));
    let body = json!({"model": "gpt-4.1", "input": "hello"});
    assert_eq!(post(&simulator, "/d/old/v1/responses", &body).await.status, 404);
    assert_eq!(post(&simulator, "/d/new/v1/responses", &body).await.status, 200);
}

#[tokio::test]
async fn what_is_wrong_is_refused_and_recorded() {
    let simulator = simulator().await;
    let body = json!({"model": "gpt-4.1", "input": "x", "max_tokens": 5});
    let refused = post(&simulator, "/v1/responses", &body).await.json();
    assert_eq!(refused["error"]["param"], "max_tokens");
    assert!(
        matches!(&simulator.received()[0].verdict, Verdict::Rejected(why) if why.contains("max_output_tokens"))
    );
    let lenient = json!({"model": "sim-lenient", "input": "x", "max_tokens": 5});
    assert_eq!(post(&simulator, "/v1/responses", &lenient).await.status, 200);
}
