//! Callers who pay: keys that were given out, and replies of a known cost.

use super::{Answer, CHAT, Connection, Gateway, hello, post};
use serde_json::{Value, json};
use std::net::SocketAddr;
use tollgate_simulator::{Behaviour, TokenCounts};

/// The operator's own key.
pub(crate) const MASTER: &str = "sk-master-0123456789";
/// What a reply of [`priced`] costs by the price of gpt-4o, in picodollars: $0.0035.
pub(crate) const COST: i128 = 3_500_000_000;
/// The same in dollars.
pub(crate) const COST_DOLLARS: f64 = 0.0035;
/// The tokens of an answer of [`priced`]; who asks for no more reserves what it costs and little beyond.
pub(crate) const ANSWER_TOKENS: u64 = 100;

/// Replies of [`COST`] each: 1,000 tokens of prompt, whatever was asked, and [`ANSWER_TOKENS`] of answer.
pub(crate) fn priced() -> Behaviour {
    let tokens =
        TokenCounts { prompt: Some(1_000), completion: Some(ANSWER_TOKENS), ..TokenCounts::default() };
    Behaviour::new().text("one two three").tokens(tokens)
}

/// Asks with a key of any kind.
pub(crate) async fn ask(
    address: SocketAddr,
    key: &str,
    (method, path): (&str, &str),
    headers: &[(&str, &str)],
    body: &Value,
) -> Answer {
    let bearer = format!("Bearer {key}");
    let mut all = vec![("authorization", bearer.as_str())];
    all.extend(headers);
    let text = if body.is_null() { String::new() } else { body.to_string() };
    let request = String::from_utf8(post(path, &all, text.as_bytes())).unwrap();
    let mut connection = Connection::open(address).await;
    connection.write(request.replacen("POST", method, 1).as_bytes()).await;
    connection.answer().await
}

/// Chats under a name of the caller's own for the call.
pub(crate) async fn chat(address: SocketAddr, key: &str, call: &str) -> Answer {
    let mut body = hello("m");
    body["max_tokens"] = json!(ANSWER_TOKENS);
    ask(address, key, ("POST", CHAT), &[("x-litellm-call-id", call)], &body).await
}

impl Gateway {
    /// Asks as the operator.
    pub(crate) async fn call(&self, method: &str, path: &str, body: &Value) -> Answer {
        ask(self.address, MASTER, (method, path), &[], body).await
    }

    /// Asks as the operator what must be served.
    pub(crate) async fn good(&self, method: &str, path: &str, body: &Value) -> Value {
        let answer = self.call(method, path, body).await;
        assert_eq!(answer.status, 200, "{method} {path}: {}", answer.text());
        answer.json()
    }

    /// A new key.
    pub(crate) async fn new_key(&self, body: Value) -> String {
        self.good("POST", "/key/generate", &body).await["key"].as_str().unwrap().to_owned()
    }

    /// What a key has spent, in picodollars.
    pub(crate) async fn spent(&self, key: &str) -> i128 {
        let told = self.good("GET", &format!("/key/info?key={key}"), &Value::Null).await;
        (told["info"]["spend"].as_f64().unwrap() * 1e12).round() as i128
    }
}
