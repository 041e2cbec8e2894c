//! What operators are told: the metric, the webhooks, and how often.

use crate::support::{App, Wire, advance, is_whole, many, model_list, seconds, settle, until};
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tollgate_simulator::{Behaviour, Fault, Rule, Script};

/// A webhook that notes what it is told.
pub(crate) struct Hook {
    pub(crate) address: SocketAddr,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Hook {
    /// One that answers with this status; none is one that never answers.
    pub(crate) async fn start(status: Option<u16>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let noting = Arc::clone(&heard);
        tokio::spawn(async move {
            let mut held = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = Vec::new();
                while !is_whole(&request) {
                    if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
                        break;
                    }
                }
                noting.lock().unwrap().push(String::from_utf8(request).unwrap());
                let Some(status) = status else {
                    held.push(stream);
                    continue;
                };
                let reply = format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                stream.write_all(reply.as_bytes()).await.unwrap();
            }
        });
        Self { address, heard }
    }

    /// The requests so far, once there are so many.
    pub(crate) async fn heard(&self, count: usize) -> Vec<String> {
        until("the webhook is told", || self.heard.lock().unwrap().len() >= count).await;
        self.heard.lock().unwrap().clone()
    }

    /// The bodies so far, once there are so many.
    pub(crate) async fn bodies(&self, count: usize) -> Vec<Value> {
        let heard = self.heard(count).await;
        let body =
            |request: &String| serde_json::from_str(request.split_once("\r\n\r\n").unwrap().1).unwrap();
        heard.iter().map(body).collect()
    }

    pub(crate) fn json(&self) -> String {
        format!(
            "tollgate_settings: {{alerts: {{webhook_url: \"http://{}/alert?key=s3cr3t\"}}}}\n",
            self.address
        )
    }
}

fn failing(fault: Fault) -> Script {
    Script::new().rule(Rule::deployment("a", Behaviour::new().fault(fault)))
}

/// A group `m` of `a`, asked first and taken out at its first failure, and `b`.
fn two(more: &str) -> String {
    let first = format!("{}, weight: 1, allowed_fails: 0", Wire::OpenAi.parameters("a"));
    let second = format!("{}, weight: 0", Wire::OpenAi.parameters("b"));
    let list = model_list(&[("m", &first), ("m", &second)]);
    list.replace("allowed_fails: 0}", "cooldown_time: 5}, model_info: {id: dep-a, allowed_fails: 0}") + more
}

fn events(bodies: &[Value]) -> Vec<&str> {
    bodies.iter().map(|body| body["event"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_deployment_that_is_taken_out_and_comes_back_is_told_once_each() {
    let hook = Hook::start(Some(200)).await;
    let app = App::start(two(&hook.json()), failing(Fault::status(500))).await;
    for _ in 0..5 {
        assert_eq!(app.hello("m").await.status, 200);
    }
    let told = hook.heard(1).await;
    assert!(told[0].starts_with("POST /alert?key=s3cr3t HTTP/1.1\r\n"), "{}", told[0]);
    app.simulator.script().clear();
    advance(seconds(7)).await;
    assert_eq!(app.hello("m").await.status, 200);
    let bodies = hook.bodies(2).await;
    assert_eq!(events(&bodies), ["cooldown_deployment", "recovered"]);
    for (name, expect) in
        [("deployment", "dep-a"), ("provider", "openai"), ("model", "gpt-4o"), ("model_group", "m")]
    {
        assert_eq!(bodies[0][name], expect);
    }
    assert_eq!((&bodies[0]["failures"], &bodies[0]["level"]), (&Value::from(1), &Value::from("warning")));
    for request in hook.heard(2).await {
        assert!(!request.contains("sk-key"), "{request}");
    }
    // Again within the minute: nothing more; after it, told again.
    app.simulator.script().set_rules(vec![Rule::deployment("a", Behaviour::new().fault(Fault::status(500)))]);
    assert_eq!(app.hello("m").await.status, 200);
    assert!((app.metric("tollgate_alerts_total", &["cooldown_deployment"]).await - 1.0).abs() < 0.1);
    advance(seconds(70)).await;
    assert_eq!(app.hello("m").await.status, 200);
    assert_eq!(events(&hook.bodies(3).await)[2], "cooldown_deployment");
    assert!((app.metric("tollgate_alerts_total", &["cooldown_deployment"]).await - 2.0).abs() < 0.1);
    assert!((app.metric("tollgate_alerts_total", &["recovered"]).await - 1.0).abs() < 0.1);
    app.stop().await;
}

#[tokio::test]
async fn a_model_without_a_price_that_answers_is_told_once() {
    let hook = Hook::start(Some(200)).await;
    let own = "model: openai/my-own-model, api_base: \"http://{sim}/v1\", api_key: sk-1";
    let list = model_list(&[("priced", &Wire::OpenAi.parameters("a")), ("own", own)]);
    let app = App::start(list + &hook.json(), Script::new()).await;
    for model in ["priced", "own", "own"] {
        assert_eq!(app.hello(model).await.status, 200);
    }
    let bodies = hook.bodies(1).await;
    assert_eq!(events(&bodies), ["model_unpriced"]);
    for (name, expect) in
        [("model", "my-own-model"), ("provider", "openai"), ("alert_type", "failed_tracking_spend")]
    {
        assert_eq!(bodies[0][name], expect);
    }
    assert!((app.metric("tollgate_alerts_total", &["model_unpriced"]).await - 1.0).abs() < 0.1);
    app.stop().await;
}

#[tokio::test]
async fn every_kind_has_its_own_cause() {
    for (fault, lone, expect) in [
        (Fault::status(401), false, vec!["credential_refused"]),
        (Fault::status(403), false, vec!["credential_refused"]),
        (Fault::status(404), false, vec!["cooldown_deployment", "model_not_found"]),
        (Fault::status(500), true, vec!["cooldown_deployment", "outage"]),
        (Fault::status(401), true, vec!["credential_refused", "outage"]),
    ] {
        let hook = Hook::start(Some(204)).await;
        let yaml = two(&hook.json());
        let yaml = if lone {
            yaml.lines().filter(|line| !line.contains("/d/b/")).map(|line| format!("{line}\n")).collect()
        } else {
            yaml
        };
        let app = App::start(yaml, failing(fault.clone())).await;
        app.hello("m").await;
        let bodies = hook.bodies(expect.len()).await;
        assert_eq!(events(&bodies), expect, "{fault:?}");
        if lone {
            assert_eq!(bodies[1]["model_group"], "m");
        }
        assert!((app.metric("tollgate_alerts_total", &[]).await - expect.len() as f64).abs() < 0.1);
        app.stop().await;
    }
}

#[tokio::test]
async fn what_hurts_nobody_is_no_alert() {
    for fault in [Fault::status(400), Fault::status(422), Fault::status_retry_after(429, "1")] {
        let hook = Hook::start(Some(200)).await;
        let app = App::start(two(&hook.json()), failing(fault)).await;
        app.hello("m").await;
        assert!(app.metric("tollgate_alerts_total", &[]).await.abs() < 0.1);
        assert_eq!(hook.heard.lock().unwrap().len(), 0);
        app.stop().await;
    }
}

#[tokio::test]
async fn slack_is_told_in_its_own_shape_beside_others() {
    let (slack, json) = (Hook::start(Some(200)).await, Hook::start(Some(200)).await);
    let more = format!(
        "router_settings: {{alerting_config: {{webhook_url: \"http://{}/services/T/B/x\"}}}}\n{}",
        slack.address,
        json.json()
    );
    let app = App::start(two(&more), failing(Fault::status(500))).await;
    app.hello("m").await;
    let text = slack.bodies(1).await[0]["text"].as_str().unwrap().to_owned();
    assert!(text.contains("cooldown_deployment") && text.contains("dep-a"), "{text}");
    assert_eq!(events(&json.bodies(1).await), ["cooldown_deployment"]);
    app.stop().await;
}

#[tokio::test]
async fn a_webhook_that_refuses_or_is_silent_keeps_nobody_waiting_and_is_counted() {
    for status in [Some(500), Some(302), None] {
        let hook = Hook::start(status).await;
        let app = App::start(two(&hook.json()), failing(Fault::status(500))).await;
        assert_eq!(app.hello("m").await.status, 200);
        hook.heard(1).await;
        for _ in 0..20 {
            assert_eq!(app.hello("m").await.status, 200);
        }
        // What may be tried again is, some times; a redirect is not followed and not asked again.
        while app.metric("tollgate_alerts_dropped_total", &[]).await < 0.5 {
            advance(seconds(61)).await;
            settle().await;
        }
        let tries = hook.heard.lock().unwrap().len();
        assert!(if status == Some(302) { tries == 1 } else { tries > 2 }, "{status:?}: {tries}");
        app.stop().await;
    }
}

#[tokio::test]
async fn a_reload_changes_who_is_told() {
    let (old, new) = (Hook::start(Some(200)).await, Hook::start(Some(200)).await);
    let app = App::start(two(&old.json()), failing(Fault::status(500))).await;
    app.reload(&two(&new.json()));
    app.hello("m").await;
    assert_eq!(events(&new.bodies(1).await), ["cooldown_deployment"]);
    assert_eq!(old.heard.lock().unwrap().len(), 0);
    app.stop().await;
}

#[tokio::test]
async fn without_a_webhook_alerts_are_counted_all_the_same() {
    let script = Script::new().rule(Rule::any(Behaviour::new().fault(Fault::status(401))));
    let app = App::start(many(3, ""), script).await;
    app.hello("m").await;
    assert!((app.metric("tollgate_alerts_total", &["credential_refused"]).await - 3.0).abs() < 0.1);
    assert!((app.metric("tollgate_alerts_total", &["outage"]).await - 1.0).abs() < 0.1);
    assert!(app.metric("tollgate_alerts_dropped_total", &[]).await.abs() < 0.1);
    app.stop().await;
}

#[tokio::test]
async fn only_the_types_that_were_chosen_are_told() {
    let hook = Hook::start(Some(200)).await;
    let more = format!("general_settings: {{alert_types: [outage_alerts]}}\n{}", hook.json());
    let lone: String =
        two(&more).lines().filter(|line| !line.contains("/d/b/")).map(|line| format!("{line}\n")).collect();
    let app = App::start(lone, failing(Fault::status(500))).await;
    app.hello("m").await;
    assert_eq!(events(&hook.bodies(1).await), ["outage"]);
    assert!((app.metric("tollgate_alerts_total", &["cooldown_deployment"]).await - 1.0).abs() < 0.1);
    app.stop().await;
}

#[tokio::test]
async fn a_webhook_is_signed_where_there_is_a_secret() {
    let hook = Hook::start(Some(200)).await;
    let more = format!(
        "general_settings: {{alerting: [webhook]}}\n\
         environment_variables: {{WEBHOOK_URL: \"http://{}/hook\", WEBHOOK_SECRET: whsec}}\n",
        hook.address
    );
    let app = App::start(two(&more), failing(Fault::status(500))).await;
    app.hello("m").await;
    let heard = hook.heard(1).await;
    let line = heard[0].lines().find_map(|line| line.strip_prefix("x-tollgate-signature: ")).unwrap();
    let (moment, mac) = line.strip_prefix("t=").unwrap().split_once(",v1=").unwrap();
    assert!(moment.parse::<u64>().is_ok() && mac.len() == 64, "{line}");
    assert!(!heard[0].contains("whsec"));
    app.stop().await;
}

#[tokio::test]
async fn what_waits_when_the_process_ends_is_told_before_it_does() {
    let (refusing, hook) = (Hook::start(Some(503)).await, Hook::start(Some(200)).await);
    let more = format!(
        "router_settings: {{alerting_config: {{webhook_url: \"http://{}/slack\"}}}}\n{}",
        refusing.address,
        hook.json()
    );
    let app = App::start(two(&more), failing(Fault::status(401))).await;
    app.hello("m").await;
    refusing.heard(1).await;
    let gateway = Arc::clone(&app.gateway);
    app.stop().await;
    gateway.close().await;
    assert_eq!(events(&hook.bodies(1).await), ["credential_refused"]);
    // Once more at the end, without the wait between two tries.
    assert_eq!(refusing.heard.lock().unwrap().len(), 2);
}
