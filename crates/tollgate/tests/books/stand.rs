//! A gateway before a PostgreSQL of its own, and a wire between them that can be cut.

use crate::proxy::Proxy;
use crate::server::{self, Server, query};
use crate::support::{COST, Gateway, Site, chat, open_ai, patiently, priced};
use std::collections::HashMap;
use tokio::task::{JoinSet, spawn_blocking};
use tollgate_simulator::{Rule, Script};

/// Requests that are under way at the same time.
const AT_ONCE: usize = 8;

/// What the books have of an attempt: its cost, and whether it was settled after a crash.
pub(crate) type Row = (i128, bool);

/// A gateway, its providers, its database.
pub(crate) struct Stand {
    pub(crate) site: Site,
    pub(crate) proxy: Proxy,
    /// None while it is being started.
    server: Option<Server>,
    /// Past the wire, as the database's owner.
    pub(crate) direct: String,
    url: String,
    /// What its configuration says beside that of all.
    more: String,
}

/// A configuration of one group `m` with two deployments, and this address of a database.
pub(crate) fn yaml(url: &str) -> String {
    let list: String = ["a", "b"].map(|name| open_ai("m", name, "")).concat();
    format!(
        "model_list:\n{list}general_settings: {{master_key: sk-master-0123456789, database_url: \"{url}\"}}\n"
    )
}

/// Providers whose replies have a price.
pub(crate) fn script() -> Script {
    Script::new().rule(Rule::any(priced()))
}

impl Stand {
    /// The gateway is a user like any other there, whose rights can be taken away.
    pub(crate) async fn start() -> Self {
        Self::start_with("", script()).await
    }

    /// The same with more of a configuration, and other providers.
    pub(crate) async fn start_with(more: &str, script: Script) -> Self {
        let server = spawn_blocking(|| Server::start(&["max_connections=60"])).await.unwrap();
        let direct = server.url();
        let user = "CREATE ROLE gate LOGIN PASSWORD 'secret'; GRANT CREATE ON DATABASE postgres TO gate";
        server::execute(&direct, user).await.unwrap();
        let proxy = Proxy::to(server.port).await;
        let url = format!("postgresql://gate:secret@127.0.0.1:{}/postgres?sslmode=disable", proxy.port);
        let site = Site::start(&format!("{}{more}", yaml(&url)), script).await;
        Self { site, proxy, server: Some(server), direct, url, more: more.to_owned() }
    }

    /// One more gateway before the same providers and the same database.
    pub(crate) async fn another(&self) -> Gateway {
        let text = yaml(&self.url).replace("{sim}", &self.site.simulator.address().to_string());
        Gateway::start(&format!("{text}{}", self.more)).await
    }

    /// Stops the server at once, as a crash does.
    pub(crate) async fn stop_server(&mut self) {
        self.with_server(Server::stop).await;
    }

    /// Starts it again where it was.
    pub(crate) async fn run_server(&mut self) {
        self.with_server(Server::run).await;
    }

    /// On a thread of its own: callers and providers live on this one.
    async fn with_server(&mut self, work: fn(&mut Server)) {
        let mut server = self.server.take().unwrap();
        let done = spawn_blocking(move || {
            work(&mut server);
            server
        });
        self.server = Some(done.await.unwrap());
    }

    /// Runs statements as the database's owner.
    pub(crate) async fn execute(&self, sql: &str) {
        server::execute(&self.direct, sql).await.unwrap();
    }

    /// Chats so often with each key, some at a time; each must be answered. What the calls were named.
    pub(crate) async fn serve(&self, keys: &[String], round: &str, each: usize) -> Vec<String> {
        let address = self.site.gateway.address;
        let (mut calls, mut asking) = (Vec::new(), JoinSet::new());
        for number in 0..each {
            for (at, key) in keys.iter().enumerate() {
                let (key, call) = (key.clone(), format!("{round}-{at}-{number}"));
                calls.push(call.clone());
                asking.spawn(async move { (chat(address, &key, &call).await, call) });
                if asking.len() >= AT_ONCE {
                    check_served(asking.join_next().await.unwrap().unwrap());
                }
            }
        }
        asking.join_all().await.into_iter().for_each(check_served);
        calls
    }

    /// What the books have of each call that cost something.
    pub(crate) async fn rows(&self) -> HashMap<String, Vec<Row>> {
        rows(&self.direct).await
    }

    /// Waits until the books have a row of each of these calls, and holds that they have each once, at its cost, that they
    /// have nothing else, and that every account is the sum of its rows.
    pub(crate) async fn check_books(&self, calls: &[String]) {
        patiently("every row is in the books", async {
            while self.rows().await.len() < calls.len() {
                tokio::time::sleep(crate::support::ms(50)).await;
            }
        })
        .await;
        let rows = self.rows().await;
        assert_eq!(rows.len(), calls.len());
        for call in calls {
            assert_eq!(rows.get(call).map(Vec::as_slice), Some(&[(COST, false)][..]), "{call}");
        }
        let sum = COST * calls.len() as i128;
        let all = "SELECT sum(settled)::text FROM tollgate.accounts WHERE kind = 'key' AND cadence = ''";
        assert_eq!(query(&self.direct, all).await, [[sum.to_string()]], "the keys' accounts");
        let days =
            "SELECT sum(spend)::text, sum(successes)::text FROM tollgate.daily WHERE entity_kind = 'global'";
        let days = query(&self.direct, days).await;
        assert_eq!(days, [[sum.to_string(), calls.len().to_string()]], "the sums of days");
    }
}

fn check_served((answer, call): (crate::support::Answer, String)) {
    assert_eq!(answer.status, 200, "{call}: {}", answer.text());
}

/// What the books at this address have of each call that cost something: those that were refused have a row too.
pub(crate) async fn rows(url: &str) -> HashMap<String, Vec<Row>> {
    let mut rows: HashMap<String, Vec<Row>> = HashMap::new();
    for row in
        query(url, "SELECT call_id, cost::text, recovered::text FROM tollgate.attempts WHERE cost > 0").await
    {
        let [call, cost, recovered] = row.try_into().unwrap();
        rows.entry(call).or_default().push((cost.parse().unwrap(), recovered != "0"));
    }
    rows
}
