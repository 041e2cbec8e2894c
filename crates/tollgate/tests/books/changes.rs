//! What an operator takes away while streams run, at the gateway that is told and at another one on the same database.

use crate::stand::Stand;
use crate::support::{CHAT, Connection, Gateway, Told, ask, hello, ms, patiently, post, priced, streamed};
use serde_json::{Value, json};
use std::net::SocketAddr;
use tokio::task::JoinHandle;
use tollgate_simulator::Rule;

/// Requests after the first that was refused, all of which must be refused.
const AFTER: usize = 10;

/// What is taken away, and what the next request is told.
struct Change {
    name: &'static str,
    path: &'static str,
    /// `KEY`, `TOKEN`, `TEAM` and `MODEL` are replaced.
    body: Value,
    status: u16,
}

fn changes() -> Vec<Change> {
    let change = |name, path, body, status| Change { name, path, body, status };
    vec![
        change("a key is deleted", "/key/delete", json!({"keys": ["KEY"]}), 401),
        change("a key is blocked", "/key/block", json!({"key": "KEY"}), 401),
        change("a key is regenerated", "/key/regenerate", json!({"key": "KEY"}), 401),
        change("a key's budget is lowered", "/key/update", json!({"key": "KEY", "max_budget": 0.001}), 422),
        change("a key loses the model", "/key/update", json!({"key": "KEY", "models": ["other"]}), 403),
        change("a team is blocked", "/team/block", json!({"team_id": "TEAM"}), 401),
        change(
            "a team's budget is lowered",
            "/team/update",
            json!({"team_id": "TEAM", "max_budget": 0.001}),
            422,
        ),
        change("a model is removed", "/model/delete", json!({"id": "MODEL"}), 400),
    ]
}

/// A key, its team, and a model that the admin API has made.
struct Holder {
    key: String,
    team: String,
    model: String,
}

impl Holder {
    async fn new(stand: &Stand, number: usize) -> Self {
        let gateway = &stand.site.gateway;
        let (team, model) = (format!("team-{number}"), format!("model-{number}"));
        gateway.good("POST", "/team/new", &json!({"team_id": team, "max_budget": 100})).await;
        let key = gateway.new_key(json!({"team_id": team, "max_budget": 100})).await;
        let base = format!("http://{}/d/{model}/v1", stand.site.simulator.address());
        let parameters = json!({"model": "openai/gpt-4o", "api_base": base, "api_key": "sk-of-a-provider"});
        let new = json!({"model_name": model, "litellm_params": parameters, "model_info": {"id": model}});
        gateway.good("POST", "/model/new", &new).await;
        Self { key, team, model }
    }

    fn fill(&self, body: &Value) -> Value {
        let text = body.to_string().replace("KEY", &self.key).replace("TEAM", &self.team);
        serde_json::from_str(&text.replace("MODEL", &self.model)).unwrap()
    }

    fn request(&self) -> Value {
        let mut body = hello(&self.model);
        body["max_tokens"] = json!(100);
        body
    }

    async fn chat(&self, address: SocketAddr) -> u16 {
        ask(address, &self.key, ("POST", CHAT), &[], &self.request()).await.status
    }

    /// Begins a stream; what it comes to is told at its end.
    fn stream(&self, address: SocketAddr) -> JoinHandle<Told> {
        let bearer = format!("Bearer {}", self.key);
        let body = streamed(self.request()).to_string();
        let request = post(CHAT, &[("authorization", &bearer)], body.as_bytes());
        tokio::spawn(async move {
            let mut connection = Connection::open(address).await;
            connection.write(&request).await;
            Told::read(&mut connection).await
        })
    }
}

/// Waits until a key and a model that one gateway has made are known to another.
async fn until_known(holder: &Holder, other: &Gateway) {
    patiently("the other gateway knows of it", async {
        while holder.chat(other.address).await != 200 {
            tokio::time::sleep(ms(5)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn r51_what_is_taken_away_during_a_stream_refuses_the_next_request_at_every_gateway() {
    let stand = Stand::start().await;
    let other = stand.another().await;
    let script = stand.site.simulator.script();
    for (number, change) in changes().iter().enumerate() {
        let holder = Holder::new(&stand, number).await;
        let own = stand.site.gateway.address;
        assert_eq!(holder.chat(own).await, 200, "{}", change.name);
        until_known(&holder, &other).await;
        script.set_rules(vec![Rule::any(priced().text("a b c d e f g h i j").pace(ms(100)))]);
        let streams = [holder.stream(own), holder.stream(other.address)];
        stand.site.until("both streams run", |site| site.simulator.active_requests() == 2).await;
        script.set_rules(vec![Rule::any(priced())]);
        stand.site.gateway.good("POST", change.path, &holder.fill(&change.body)).await;
        let next = holder.chat(own).await;
        assert_eq!(next, change.status, "{}", change.name);
        patiently("the other gateway has followed", async {
            while holder.chat(other.address).await == 200 {
                tokio::time::sleep(ms(5)).await;
            }
        })
        .await;
        for _ in 0..AFTER {
            let statuses = (holder.chat(own).await, holder.chat(other.address).await);
            assert_eq!(statuses, (change.status, change.status), "{}", change.name);
        }
        for stream in streams {
            let told = stream.await.unwrap();
            assert_eq!(told.complete(&holder.model).split(' ').count(), 10, "{}: goes on", change.name);
        }
    }
    other.stop().await;
    stand.site.stop().await;
}

#[tokio::test]
async fn r51_a_key_that_one_gateway_has_made_is_known_to_another_at_its_first_request() {
    let stand = Stand::start().await;
    let other = stand.another().await;
    for number in 0..crate::support::count(10, 200) {
        let key = stand.site.gateway.new_key(json!({"max_budget": 1})).await;
        // A stranger has just had it looked for.
        let stranger = format!("sk-of-a-stranger-{number:04}");
        assert_eq!(crate::support::chat(other.address, &stranger, "stranger").await.status, 401);
        let made = stand.site.gateway.new_key(json!({"max_budget": 1})).await;
        for key in [&key, &made] {
            let answer = crate::support::chat(other.address, key, "first").await;
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
    }
    other.stop().await;
    stand.site.stop().await;
}
