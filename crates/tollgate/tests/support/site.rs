//! Simulated providers with a gateway before them.

use super::{Answer, CHAT, Connection, Gateway, Load, Outcomes, Told, patiently, post};
use serde_json::{Value, json};
use std::net::SocketAddr;
use tollgate_simulator::{Received, Script, Simulator};

/// A gateway that serves, and its providers.
pub(crate) struct Site {
    pub(crate) simulator: Simulator,
    pub(crate) gateway: Gateway,
}

impl Site {
    /// A gateway of this configuration, in which `{sim}` is the address of providers of this script.
    pub(crate) async fn start(yaml: &str, script: Script) -> Self {
        Self::start_with(yaml, script, &[]).await
    }

    /// The same with addresses of others by their names in braces.
    pub(crate) async fn start_with(yaml: &str, script: Script, others: &[(&str, SocketAddr)]) -> Self {
        let simulator = Simulator::bind(script).await.unwrap();
        Self::before(simulator, yaml, others).await
    }

    /// A gateway before providers that are there already.
    pub(crate) async fn before(simulator: Simulator, yaml: &str, others: &[(&str, SocketAddr)]) -> Self {
        let mut text = yaml.replace("{sim}", &simulator.address().to_string());
        for (name, address) in others {
            text = text.replace(&format!("{{{name}}}"), &address.to_string());
        }
        let gateway = Gateway::start(&text).await;
        Self { simulator, gateway }
    }

    /// A connection of a caller.
    pub(crate) async fn connect(&self) -> Connection {
        self.gateway.connect().await
    }

    /// Posts a chat and reads the whole answer.
    pub(crate) async fn chat(&self, body: &Value) -> Answer {
        self.chat_with(&[], body).await
    }

    /// The same with headers of the caller's own.
    pub(crate) async fn chat_with(&self, headers: &[(&str, &str)], body: &Value) -> Answer {
        let mut connection = self.connect().await;
        connection.write(&post(CHAT, headers, body.to_string().as_bytes())).await;
        connection.answer().await
    }

    /// Chats with a model in one short message.
    pub(crate) async fn hello(&self, model: &str) -> Answer {
        self.chat(&hello(model)).await
    }

    /// Streams an answer and reads every byte of it.
    pub(crate) async fn stream(&self, body: &Value) -> Told {
        self.stream_with(&[], body).await
    }

    /// The same with headers of the caller's own.
    pub(crate) async fn stream_with(&self, headers: &[(&str, &str)], body: &Value) -> Told {
        let mut connection = self.connect().await;
        connection.write(&post(CHAT, headers, streamed(body.clone()).to_string().as_bytes())).await;
        Told::read(&mut connection).await
    }

    /// Streams an answer to one short message.
    pub(crate) async fn hello_stream(&self, model: &str) -> Told {
        self.stream(&hello(model)).await
    }

    /// Puts the gateway under load.
    pub(crate) async fn load(&self, load: Load) -> Outcomes {
        load.run(self.gateway.address).await
    }

    /// What the providers received.
    pub(crate) fn received(&self) -> Vec<Received> {
        self.simulator.received()
    }

    /// The deployments that were sent to, in order.
    pub(crate) fn order(&self) -> Vec<String> {
        self.received().into_iter().map(|request| request.deployment.unwrap_or_default()).collect()
    }

    /// How often each deployment was sent to, in the order of `names`.
    pub(crate) fn sends<const N: usize>(&self, names: [&str; N]) -> [usize; N] {
        let order = self.order();
        names.map(|name| order.iter().filter(|sent| sent.as_str() == name).count())
    }

    /// Waits until something is so.
    pub(crate) async fn until(&self, what: &str, is_so: impl Fn(&Site) -> bool) {
        super::until(what, || is_so(self)).await;
    }

    /// Asks for one chat after the other until something is so; all of them must be answered. How many they were.
    pub(crate) async fn ask_until(&self, what: &str, is_so: impl Fn(&Site) -> bool) -> usize {
        let mut asked = 0;
        patiently(what, async {
            while !is_so(self) {
                let answer = self.hello("m").await;
                assert_eq!(answer.status, 200, "while waiting until {what}: {}", answer.text());
                asked += 1;
                tokio::time::sleep(super::ms(20)).await;
            }
        })
        .await;
        asked
    }

    /// Ends everything, and holds that nothing was left behind.
    pub(crate) async fn stop(self) {
        let simulator = &self.simulator;
        super::until("the providers' requests end", || simulator.active_requests() == 0).await;
        self.gateway.stop().await;
    }
}

/// A deployment of a group, in YAML: its id is its name, `more` are further parameters (each after a comma).
pub(crate) fn deployment(group: &str, name: &str, model: &str, more: &str) -> String {
    format!(
        "  - {{model_name: {group}, model_info: {{id: {name}}}, \
         litellm_params: {{model: {model}, api_key: sk-key-of-{name}{more}}}}}\n"
    )
}

/// A deployment of OpenAI's at the simulator, by its base path `/d/<name>`.
pub(crate) fn open_ai(group: &str, name: &str, more: &str) -> String {
    let base = format!(", api_base: \"http://{{sim}}/d/{name}/v1\"{more}");
    deployment(group, name, "openai/gpt-4o", &base)
}

/// A short chat with a model.
pub(crate) fn hello(model: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": "hello there"}]})
}

/// The same, streamed.
pub(crate) fn streamed(mut body: Value) -> Value {
    body["stream"] = Value::Bool(true);
    body
}
