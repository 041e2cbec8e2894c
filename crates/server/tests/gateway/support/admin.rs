//! The admin API as an operator and others use it: a gateway with a master key, and the calls that most tests make.

use super::{Answer, App, Wire, hello, model_list, post};
use serde_json::Value;
use tollgate_simulator::{Behaviour, Rule, Script, TokenCounts};

pub(crate) const MASTER: &str = "sk-master-0123456789";

/// Two groups, `chat` and `other`; a database in memory; `more` beside.
pub(crate) fn config(more: &str) -> String {
    let entries = [Wire::OpenAi.parameters("a"), Wire::OpenAi.parameters("b")];
    let list = model_list(&[("chat", &entries[0]), ("other", &entries[1])]);
    format!("{list}general_settings: {{master_key: {MASTER}}}\n{more}")
}

/// 1,000 tokens of prompt and 100 of answer: $0.0035 by the price of gpt-4o.
pub(crate) fn counted() -> Script {
    let tokens = TokenCounts { prompt: Some(1_000), completion: Some(100), ..TokenCounts::default() };
    Script::new().rule(Rule::any(Behaviour::new().text("one two").tokens(tokens)))
}

pub(crate) async fn start(more: &str) -> App {
    App::start(config(more), counted()).await
}

pub(crate) async fn ask_as(app: &App, key: &str, path: &str, body: &Value) -> Answer {
    let bearer = format!("Bearer {key}");
    app.ask(&post(path, &[("authorization", &bearer)], body.to_string().as_bytes())).await
}

/// Asks as the operator.
pub(crate) async fn admin(app: &App, path: &str, body: Value) -> Answer {
    ask_as(app, MASTER, path, &body).await
}

/// The same, which is to be served: the reply.
pub(crate) async fn made(app: &App, path: &str, body: Value) -> Value {
    made_as(app, MASTER, path, body).await
}

/// Asks with a key, which is to be served: the reply.
pub(crate) async fn made_as(app: &App, key: &str, path: &str, body: Value) -> Value {
    let answer = ask_as(app, key, path, &body).await;
    assert_eq!(answer.status, 200, "{path} {body}: {}", answer.text());
    answer.json()
}

/// Asks with a key, which is to be refused: the status, and what is said.
pub(crate) async fn refused_as(app: &App, key: &str, path: &str, body: Value) -> (u16, String) {
    let answer = ask_as(app, key, path, &body).await;
    assert_ne!(answer.status, 200, "{path} {body}: {}", answer.text());
    (answer.status, answer.json()["error"]["message"].as_str().unwrap_or_default().to_owned())
}

pub(crate) async fn get_as(app: &App, key: &str, path: &str) -> Answer {
    let request = format!("GET {path} HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {key}\r\n\r\n");
    app.ask(request.as_bytes()).await
}

/// Reads as the operator, who is to be served.
pub(crate) async fn seen(app: &App, path: &str) -> Value {
    let answer = get_as(app, MASTER, path).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    answer.json()
}

pub(crate) async fn key(app: &App, body: Value) -> String {
    text(&made(app, "/key/generate", body).await["key"])
}

pub(crate) async fn chat(app: &App, key: &str, body: &Value) -> Answer {
    ask_as(app, key, "/v1/chat/completions", body).await
}

/// A short question: its status, and the type of the error.
pub(crate) async fn tried(app: &App, key: &str, model: &str) -> (u16, String) {
    let mut body = hello(model);
    body["max_tokens"] = Value::from(5);
    let answer = chat(app, key, &body).await;
    (answer.status, answer.json()["error"]["type"].as_str().unwrap_or_default().to_owned())
}

/// A JSON text.
pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("a text, not {value}")).to_owned()
}

/// The texts of a member of each item.
pub(crate) fn each(list: &Value, member: &str) -> Vec<String> {
    list.as_array()
        .unwrap_or_else(|| panic!("a list, not {list}"))
        .iter()
        .map(|it| text(&it[member]))
        .collect()
}

/// The names of an object's members, in their order.
pub(crate) fn names(value: &Value) -> Vec<&str> {
    value.as_object().unwrap_or_else(|| panic!("an object, not {value}")).keys().map(String::as_str).collect()
}

/// Waits until there are so many rows of attempts, and returns them.
pub(crate) async fn rows(app: &App, count: u64) -> Value {
    let mut page = Value::Null;
    for _ in 0..500 {
        page = seen(app, "/spend/logs/v2").await;
        if page["total"] == count {
            return page["data"].clone();
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("{page}");
}
