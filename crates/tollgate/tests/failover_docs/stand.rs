//! A configuration of the page before simulated providers.
//!
//! **Invariant:** the simulator knows each deployment by its `model_info.id`.

use crate::page::{self, Design};
use crate::support::{Answer, CHAT, Connection, Site, Told, post, streamed};
use serde_json::{Value, json};
use tollgate_simulator::{Behaviour, Fault, Rule, Script};

/// What stands before the name of a variable.
const VARIABLE: &str = "os.environ/";
/// Whom alerts are for, as the simulator knows him.
const OPERATOR: &str = "operator";
/// What every provider answers.
pub(crate) const TEXT: &str =
    "Bonds fell, as yields rose on the news of the week, and nobody was much surprised by it.";

/// A running configuration of the page.
pub(crate) struct Stand {
    pub(crate) site: Site,
}

/// Header lines of a request.
pub(crate) type Headers<'h> = &'h [(&'h str, &'h str)];

impl Stand {
    /// With all providers well.
    pub(crate) async fn start(design: Design) -> Self {
        Self::start_changed(design, |yaml| yaml).await
    }

    /// The same with something put into the configuration, as the page tells to.
    pub(crate) async fn start_changed(design: Design, change: impl Fn(String) -> String) -> Self {
        let yaml = at_the_simulator(&change(page::configuration(design)));
        Self { site: Site::start(&yaml, Script::new().rule(well())).await }
    }

    /// From now on these deployments fail like this, and all others answer.
    pub(crate) fn let_fail(&self, deployments: &[&str], fault: &Fault) {
        let failing = |name: &&str| Rule::deployment(*name, Behaviour::new().text(TEXT).fault(fault.clone()));
        let rules = deployments.iter().map(failing).chain([well()]).collect();
        self.site.simulator.script().set_rules(rules);
    }

    /// Asks, and reads the whole answer.
    pub(crate) async fn ask(&self, body: &Value) -> Answer {
        self.ask_with(&[], body).await
    }

    /// The same with headers of the caller's own.
    pub(crate) async fn ask_with(&self, headers: Headers<'_>, body: &Value) -> Answer {
        self.post(CHAT, headers, body).await
    }

    /// Posts to a path.
    pub(crate) async fn post(&self, path: &str, headers: Headers<'_>, body: &Value) -> Answer {
        let mut connection = self.send(path, headers, body).await;
        connection.answer().await
    }

    /// The answer of a path.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        let head = format!("GET {path} HTTP/1.1\r\nhost: gateway\r\n\r\n");
        let mut connection = self.site.connect().await;
        connection.write(head.as_bytes()).await;
        connection.answer().await
    }

    /// Asks for a stream, and reads every byte of it.
    pub(crate) async fn stream(&self, body: &Value) -> Told {
        self.stream_with(&[], body).await
    }

    /// The same with headers of the caller's own.
    pub(crate) async fn stream_with(&self, headers: Headers<'_>, body: &Value) -> Told {
        let mut connection = self.send(CHAT, headers, &streamed(body.clone())).await;
        Told::read(&mut connection).await
    }

    async fn send(&self, path: &str, headers: Headers<'_>, body: &Value) -> Connection {
        let mut connection = self.site.connect().await;
        connection.write(&post(path, headers, body.to_string().as_bytes())).await;
        connection
    }

    /// The deployments that were sent to since the last time, in order.
    pub(crate) fn sent(&self) -> Vec<String> {
        let mut order = self.site.order();
        self.site.simulator.forget_received();
        order.retain(|name| name != OPERATOR);
        order
    }

    /// The alerts that reached the operator so far.
    pub(crate) fn alerts(&self) -> Vec<Value> {
        let received = self.site.received().into_iter();
        let to_operator = received.filter(|request| request.deployment.as_deref() == Some(OPERATOR));
        to_operator.map(|request| request.json()).collect()
    }

    /// Ends everything, and holds that nothing was left behind.
    pub(crate) async fn stop(self) {
        self.site.stop().await;
    }
}

/// Holds that a stream is a whole answer of a provider's: its text, one end, no error.
pub(crate) fn answers(told: &Told) {
    assert!(told.is_whole && told.is_done() && told.error().is_none(), "{}", told.body());
    assert_eq!((told.text().as_str(), told.finishes().len()), (TEXT, 1), "{}", told.body());
}

/// A question to a model.
pub(crate) fn question(model: &str, text: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": text}]})
}

fn well() -> Rule {
    Rule::any(Behaviour::new().text(TEXT))
}

/// The value of a variable: an address at the simulator, or a secret.
fn value(name: &str) -> String {
    if name.ends_with("_URL") { format!("http://{{sim}}/d/{OPERATOR}/alerts") } else { secret(name) }
}

/// A secret that a variable has.
pub(crate) fn secret(name: &str) -> String {
    format!("sk-{}", name.to_ascii_lowercase())
}

/// A configuration with its deployments at the simulator, its variables set, and its canned answers where the page is.
fn at_the_simulator(yaml: &str) -> String {
    let mut parts = yaml.split("  - model_name:");
    let mut text = parts.next().unwrap().to_owned();
    for part in parts {
        let id = part.split_once("id: ").unwrap().1.split([',', '}']).next().unwrap();
        let (before, rest) = part.split_once("api_base: ").unwrap_or_else(|| panic!("{id} has no api_base"));
        let (_, after) = rest.split_once('\n').unwrap();
        let model = before.split_once("model: ").unwrap().1;
        let base = match model.split('/').next().unwrap() {
            "azure" => "",
            "mistral" => "/mistral/v1",
            _ => "/v1",
        };
        text.push_str(&format!("  - model_name:{before}api_base: http://{{sim}}/d/{id}{base}\n{after}"));
    }
    with_values(&text).replace("faq: faq-", &format!("faq: {}/faq-", page::folder().display()))
}

fn with_values(yaml: &str) -> String {
    let mut parts = yaml.split(VARIABLE);
    let mut text = parts.next().unwrap().to_owned();
    for part in parts {
        let end = part.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(part.len());
        let (name, rest) = part.split_at(end);
        text.push_str(&value(name));
        text.push_str(rest);
    }
    text
}
