//! The operator's desk in tests of the admin API: a gateway with a master key, and providers whose replies cost a known
//! amount.

use crate::support::{Answer, App, Wire, model_list, post};
use serde_json::{Value, json};
use tollgate_simulator::{Behaviour, Rule, Script, TokenCounts};

pub(crate) const MASTER: &str = "sk-master-0123456789";
/// What one reply costs: 1,000 tokens of prompt and 100 of answer by the price of gpt-4o.
pub(crate) const COST: f64 = 0.0035;

/// An operator's gateway, with the groups `chat` and `other`.
pub(crate) struct Office(pub(crate) App);

impl Office {
    /// With more of a configuration. A maximum that a budget does not leave is refused, so that what passes is known.
    pub(crate) async fn open(more: &str) -> Self {
        let entries = [Wire::OpenAi.parameters("a"), Wire::OpenAi.parameters("b")];
        let list = model_list(&[("chat", &entries[0]), ("other", &entries[1])]);
        Self::of(&format!("{list}{more}")).await
    }

    /// With deployments of one's own.
    pub(crate) async fn of(config: &str) -> Self {
        let tokens = TokenCounts { prompt: Some(1_000), completion: Some(100), ..TokenCounts::default() };
        let script = Script::new().rule(Rule::any(Behaviour::new().text("one two").tokens(tokens)));
        let general = format!("general_settings: {{master_key: {MASTER}}}\n");
        let settings = "tollgate_settings: {budget_maximum: refuse}\n";
        Self(App::start(format!("{config}{general}{settings}"), script).await)
    }

    /// Asks with a key and more headers.
    pub(crate) async fn ask(
        &self,
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
        self.0.ask(request.replacen("POST", method, 1).as_bytes()).await
    }

    /// As the operator.
    pub(crate) async fn call(&self, method: &str, path: &str, body: Value) -> Answer {
        self.ask(MASTER, (method, path), &[], &body).await
    }

    /// As the operator, what must be served.
    pub(crate) async fn good(&self, method: &str, path: &str, body: Value) -> Value {
        let answer = self.call(method, path, body).await;
        assert_eq!(answer.status, 200, "{method} {path}: {}", answer.text());
        answer.json()
    }

    /// As the operator, what must be refused: the status and the message.
    pub(crate) async fn bad(&self, method: &str, path: &str, body: Value) -> (u16, String) {
        let answer = self.call(method, path, body).await;
        (answer.status, message(&answer))
    }

    /// A new key.
    pub(crate) async fn key(&self, body: Value) -> String {
        self.good("POST", "/key/generate", body).await["key"].as_str().unwrap().to_owned()
    }

    /// Chats, with few tokens of answer asked for, and more members in the body.
    pub(crate) async fn chat(&self, key: &str, model: &str, more: Value) -> Answer {
        self.chat_with(key, model, &[], more).await
    }

    /// The same with headers.
    pub(crate) async fn chat_with(
        &self,
        key: &str,
        model: &str,
        headers: &[(&str, &str)],
        more: Value,
    ) -> Answer {
        let mut body = json!({
            "model": model, "max_tokens": 5, "messages": [{"role": "user", "content": "hello there"}],
        });
        for (name, value) in more.as_object().into_iter().flatten() {
            body[name] = value.clone();
        }
        self.ask(key, ("POST", "/v1/chat/completions"), headers, &body).await
    }
}

/// The message of an error.
pub(crate) fn message(answer: &Answer) -> String {
    answer.json()["error"]["message"].as_str().unwrap_or_default().to_owned()
}

/// Holds that a reply is of a status, and that its message is so.
pub(crate) fn refused(answer: &Answer, status: u16, kind: &str, starts: &str) {
    assert_eq!(answer.status, status, "{}", answer.text());
    assert_eq!(answer.json()["error"]["type"], json!(kind), "{}", answer.text());
    let message = message(answer);
    assert!(message.starts_with(starts), "{message}");
}

/// The names of an object's members, in their order.
pub(crate) fn names(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}
