//! The operator's webhooks: alerts on their way to them.
//!
//! Owns the queue, its bound, and the calls. Leaves to others what is worth an alert. **Invariant:** whoever raises an
//! alert never waits; one call at a time is made beside the requests, and an alert that is not delivered is counted.
//! **Invariant:** an address is a secret: no line of the log and no message has it.

use super::Alert;
use crate::routing::fleet::lock;
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue, USER_AGENT};
use http::{Method, Uri};
use prometheus_client::metrics::counter::Counter;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::time::Instant;
use tollgate_config::{AlertShape, AlertTarget};
use tollgate_upstream::{Client, Endpoint, Outgoing, SegmentBody, Shared, Timeouts, Trust};

/// Most alerts that wait; beyond it the oldest are dropped.
const WAITING_MAX: usize = 100;
/// Longest call of a webhook.
const CALL_MAX: Duration = Duration::from_secs(10);

/// One webhook.
#[derive(Debug)]
struct Address {
    endpoint: Endpoint,
    target: Uri,
    shape: AlertShape,
}

#[derive(Debug, Default)]
struct Queue {
    alerts: VecDeque<Arc<Alert>>,
    is_sending: bool,
}

/// The way out.
#[derive(Debug, Default)]
pub(super) struct Post {
    addresses: Mutex<Arc<[Address]>>,
    queue: Mutex<Queue>,
    shared: OnceLock<Arc<Shared>>,
    dropped: Counter,
}

impl Post {
    /// Counts in this counter what is not delivered.
    pub(super) fn new(dropped: Counter) -> Self {
        Self { dropped, ..Self::default() }
    }

    /// Calls these from now on.
    pub(super) fn address(&self, targets: &[AlertTarget]) {
        let address = |target: &AlertTarget| {
            let endpoint = Endpoint::parse(target.url.expose(), Trust::Operator).ok()?;
            let uri = whole_target(&endpoint, target.url.expose())?;
            Some(Address { endpoint, target: uri, shape: target.shape })
        };
        *lock(&self.addresses) = targets.iter().filter_map(address).collect();
    }

    /// By these sockets.
    pub(super) fn attach(&self, shared: &Arc<Shared>) {
        // All workers share one.
        let _ = self.shared.set(Arc::clone(shared));
    }

    /// Takes an alert along.
    pub(super) fn put(self: &Arc<Self>, alert: Alert) {
        if lock(&self.addresses).is_empty() {
            return;
        }
        let mut queue = lock(&self.queue);
        queue.alerts.push_back(Arc::new(alert));
        if queue.alerts.len() > WAITING_MAX {
            queue.alerts.pop_front();
            self.dropped.inc();
        }
        if queue.is_sending {
            return;
        }
        let (Some(shared), Ok(runtime)) = (self.shared.get(), Handle::try_current()) else { return };
        queue.is_sending = true;
        drop(queue);
        let sending = Sending { post: Arc::clone(self), is_done: false };
        // Its connections are its own: those of a worker belong to that worker's thread.
        let client = Client::new(Arc::clone(shared));
        runtime.spawn(async move {
            sending.post.send_all(&client).await;
            sending.done();
        });
    }

    /// The next one; where there is none, whoever puts one in sends it.
    fn next(&self) -> Option<Arc<Alert>> {
        let mut queue = lock(&self.queue);
        let next = queue.alerts.pop_front();
        queue.is_sending = next.is_some();
        next
    }

    async fn send_all(&self, client: &Client) {
        while let Some(alert) = self.next() {
            let addresses = Arc::clone(&lock(&self.addresses));
            for address in addresses.iter() {
                if let Err(reason) = call(client, address, &alert).await {
                    self.dropped.inc();
                    tracing::warn!(alert = alert.kind.word(), reason, "an alert was not delivered");
                }
            }
        }
    }
}

/// A sender at work. If it is stopped, the next alert finds another.
struct Sending {
    post: Arc<Post>,
    is_done: bool,
}

impl Sending {
    /// Nothing was left to send.
    fn done(mut self) {
        self.is_done = true;
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        if !self.is_done {
            lock(&self.post.queue).is_sending = false;
        }
    }
}

/// The address as it was written: a slash at its end means something to some.
fn whole_target(endpoint: &Endpoint, url: &str) -> Option<Uri> {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let is_slashed = path.ends_with('/');
    endpoint.target(if is_slashed { "/" } else { "" }).ok()
}

async fn call(client: &Client, address: &Address, alert: &Alert) -> Result<(), &'static str> {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(USER_AGENT, HeaderValue::from_static(concat!("tollgate/", env!("CARGO_PKG_VERSION"))));
    let by = Instant::now() + CALL_MAX;
    let outgoing = Outgoing {
        method: Method::POST,
        target: address.target.clone(),
        headers,
        body: SegmentBody::from(Bytes::from(body(alert, address.shape).to_string())),
        timeouts: Timeouts { connect: CALL_MAX, head_by: by, idle: CALL_MAX, whole_by: by },
    };
    let reply = client.send(&address.endpoint, outgoing).await.map_err(|failure| failure.kind.word())?;
    if !reply.status.is_success() {
        return Err("refused");
    }
    // Read to its end, so that the connection serves the next one.
    reply.body.collect().await.map(|_| ()).map_err(|failure| failure.kind.word())
}

/// What a webhook is told.
fn body(alert: &Alert, shape: AlertShape) -> Value {
    let Alert { kind, sentence, facts, at } = alert;
    match shape {
        AlertShape::Slack => {
            let sign = match kind.level() {
                "info" => ":white_check_mark:",
                "error" => ":rotating_light:",
                _ => ":warning:",
            };
            json!({"text": format!("{sign} *Tollgate* `{}`\n{sentence}", kind.word())})
        }
        AlertShape::Json => {
            let mut members = facts.clone();
            members.insert("event".to_owned(), json!(kind.word()));
            members.insert("event_message".to_owned(), json!(sentence));
            members.insert("level".to_owned(), json!(kind.level()));
            members.insert("timestamp".to_owned(), json!(at));
            Value::Object(members)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::AlertKind;
    use super::*;
    use tollgate_config::Secret;

    fn alert(kind: AlertKind) -> Alert {
        let facts = json!({"deployment": "a", "failures": 3});
        let Value::Object(facts) = facts else { unreachable!("it is one") };
        Alert { kind, sentence: "Deployment a is out.".to_owned(), facts, at: 17 }
    }

    #[test]
    fn each_shape_says_the_same() {
        let slack = body(&alert(AlertKind::Recovered), AlertShape::Slack);
        assert_eq!(slack, json!({"text": ":white_check_mark: *Tollgate* `recovered`\nDeployment a is out."}));
        assert_eq!(
            body(&alert(AlertKind::Cooldown), AlertShape::Json),
            json!({
                "event": "cooldown_deployment", "event_message": "Deployment a is out.", "level": "warning",
                "timestamp": 17, "deployment": "a", "failures": 3,
            })
        );
    }

    #[test]
    fn the_level_is_the_logs() {
        let check = |kind: AlertKind, level: &str, sign: &str| {
            assert_eq!(body(&alert(kind), AlertShape::Json)["level"], level, "{kind:?}");
            let slack = body(&alert(kind), AlertShape::Slack);
            assert!(slack["text"].as_str().unwrap().starts_with(sign), "{slack}");
        };
        check(AlertKind::Recovered, "info", ":white_check_mark: ");
        check(AlertKind::Outage, "error", ":rotating_light: ");
        check(AlertKind::Cooldown, "warning", ":warning: ");
        check(AlertKind::CredentialRefused, "warning", ":warning: ");
        check(AlertKind::ModelNotFound, "warning", ":warning: ");
        check(AlertKind::TierShare, "warning", ":warning: ");
    }

    #[test]
    fn an_address_is_called_as_it_was_written() {
        for (url, expect) in [
            ("https://hooks.example/services/T0/B0/x", "/services/T0/B0/x"),
            ("https://hooks.example/alert/?key=1", "/alert/?key=1"),
            ("https://hooks.example/alert?key=1", "/alert?key=1"),
            ("https://hooks.example", "/"),
        ] {
            let endpoint = Endpoint::parse(url, Trust::Operator).unwrap();
            assert_eq!(whole_target(&endpoint, url).unwrap().to_string(), expect);
        }
    }

    #[test]
    fn without_a_runtime_alerts_wait_and_the_oldest_are_dropped_and_counted() {
        let post = Arc::new(Post::default());
        post.put(alert(AlertKind::Outage));
        assert_eq!(lock(&post.queue).alerts.len(), 0, "nobody is to be told");
        let url = Secret::new("https://hooks.example/x");
        post.address(&[AlertTarget { url, shape: AlertShape::Json }]);
        for _ in 0..150 {
            post.put(alert(AlertKind::Outage));
        }
        assert_eq!((lock(&post.queue).alerts.len(), post.dropped.get()), (100, 50));
    }
}
