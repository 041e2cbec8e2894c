//! The gateway under test: simulated providers behind it, a raw caller before it.
//!
//! Owns: [`App`], which starts all of it on free ports of the test's own runtime and ends it. Leaves to others: reading
//! and writing HTTP (`caller`), the deployments that tests are about (`deployments`).

pub(crate) mod admin;
mod caller;
mod deployments;
pub(crate) mod issuer;
mod raw_provider;

pub(crate) use caller::{Answer, Connection, Stream, data, post};
pub(crate) use deployments::{WIRES, Wire, many, one_of, two_of};
pub(crate) use raw_provider::{RawProvider, is_whole};

use serde_json::{Value, json};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tollgate_config::{Config, Severity};
use tollgate_policy::clock::Wall;
use tollgate_server::{ConnectionLimits, Gateway, Stage, Worker, serve};
use tollgate_simulator::{Received, Script, Simulator};
use tollgate_upstream::{Limits, Lookup, Resolver, Shared};

/// Longer than anything takes that is going to happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Largest reply of a provider: small, so that tests that go beyond it are quick.
pub(crate) const REPLY_BYTES_MAX: u64 = 4 << 20;

/// What a test starts with.
pub(crate) struct Setup {
    yaml: String,
    files: Vec<(&'static str, &'static str)>,
    script: Script,
    limits: ConnectionLimits,
    reply_bytes_max: u64,
    lookup: Option<Lookup>,
    database: Option<PathBuf>,
    wall: Option<Box<dyn Fn() -> Wall + Send + Sync>>,
}

impl Setup {
    /// A configuration, in which `{sim}` is the simulator's address.
    pub(crate) fn new(yaml: impl Into<String>) -> Self {
        let limits = ConnectionLimits {
            connections: Arc::new(Semaphore::new(1_024)),
            head_timeout: Duration::from_secs(10),
            head_bytes_max: 64 << 10,
            headers_max: 100,
            write_stall_max: Duration::from_secs(60),
        };
        Self {
            yaml: yaml.into(),
            files: Vec::new(),
            script: Script::new(),
            limits,
            reply_bytes_max: REPLY_BYTES_MAX,
            lookup: None,
            database: None,
            wall: None,
        }
    }

    /// A file beside the configuration.
    pub(crate) fn file(mut self, name: &'static str, text: &'static str) -> Self {
        self.files.push((name, text));
        self
    }

    /// What the providers do.
    pub(crate) fn script(mut self, script: Script) -> Self {
        self.script = script;
        self
    }

    /// Most connections of callers at a time.
    pub(crate) fn connections_max(mut self, most: usize) -> Self {
        self.limits.connections = Arc::new(Semaphore::new(most));
        self
    }

    /// Largest reply of a provider.
    pub(crate) fn reply_bytes_max(mut self, most: u64) -> Self {
        self.reply_bytes_max = most;
        self
    }

    /// Looks hosts up in this way.
    pub(crate) fn lookup(mut self, lookup: Lookup) -> Self {
        self.lookup = Some(lookup);
        self
    }

    /// Keeps its records in this file, which outlives it.
    pub(crate) fn database(mut self, file: &Path) -> Self {
        self.database = Some(file.to_owned());
        self
    }

    /// Hangs this clock on the gateway's wall.
    pub(crate) fn wall(mut self, read: impl Fn() -> Wall + Send + Sync + 'static) -> Self {
        self.wall = Some(Box::new(read));
        self
    }

    /// Starts everything.
    pub(crate) async fn start(self) -> App {
        let simulator = Simulator::bind(self.script).await.unwrap();
        let mut config = read(&self.yaml, &self.files, simulator.address());
        config.tollgate.database_file = self.database;
        let gateway = match self.wall {
            Some(wall) => Gateway::with_wall(config, None, wall).unwrap(),
            None => Gateway::new(config, None).unwrap(),
        };
        let resolver = self.lookup.map_or_else(Resolver::default, Resolver::with_lookup);
        let limits = Limits { reply_bytes_max: self.reply_bytes_max, ..Limits::default() };
        let shared = Arc::new(Shared::new(resolver, limits, Vec::new()).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        gateway.begin().await.unwrap();
        let worker = Worker::new(Arc::clone(&gateway), shared);
        let serving = tokio::spawn(serve(listener, Arc::clone(&worker), self.limits));
        App { simulator, gateway, worker, address, serving }
    }
}

/// Reads a configuration that must be good.
fn read(yaml: &str, files: &[(&str, &str)], simulator: SocketAddr) -> Config {
    let text = yaml.replace("{sim}", &simulator.to_string());
    let mut open = |path: &Path| {
        let others = files.iter().map(|(name, text)| (*name, *text));
        let mut known = others.chain([("config.yaml", text.as_str())]);
        let found = known.find(|(name, _)| path == Path::new(name));
        found.map(|(_, text)| text.to_owned()).ok_or_else(|| std::io::ErrorKind::NotFound.into())
    };
    let loaded = tollgate_config::load(Path::new("config.yaml"), &mut open, &|_| None);
    let errors: Vec<String> = loaded
        .report
        .findings
        .iter()
        .filter(|finding| finding.severity == Severity::Error)
        .map(ToString::to_string)
        .collect();
    let mut config = loaded.config.unwrap_or_else(|| panic!("{text}\n{errors:?}"));
    // Tests leave no file behind.
    config.tollgate.database_file = None;
    config.ledger.journal = None;
    config
}

/// A gateway that serves, and its providers.
pub(crate) struct App {
    pub(crate) simulator: Simulator,
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) worker: Arc<Worker>,
    pub(crate) address: SocketAddr,
    serving: JoinHandle<()>,
}

impl App {
    /// A gateway of this configuration and providers of this script.
    pub(crate) async fn start(yaml: impl Into<String>, script: Script) -> Self {
        Setup::new(yaml).script(script).start().await
    }

    /// A connection of a caller.
    pub(crate) async fn connect(&self) -> Connection {
        Connection::open(self.address).await
    }

    /// Sends one request on a connection of its own and reads the whole answer.
    pub(crate) async fn ask(&self, request: &[u8]) -> Answer {
        let mut connection = self.connect().await;
        connection.write(request).await;
        connection.answer().await
    }

    /// Posts JSON to a path.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.ask(&post(path, &[], body.to_string().as_bytes())).await
    }

    /// Posts JSON to the chat route.
    pub(crate) async fn chat(&self, body: &Value) -> Answer {
        self.post("/v1/chat/completions", body).await
    }

    /// Chats with a model in one short message.
    pub(crate) async fn hello(&self, model: &str) -> Answer {
        self.chat(&hello(model)).await
    }

    /// Chats with headers of the caller's own.
    pub(crate) async fn hello_with(&self, model: &str, headers: &[(&str, &str)]) -> Answer {
        self.ask(&post("/v1/chat/completions", headers, hello(model).to_string().as_bytes())).await
    }

    /// Begins a stream; the head has been read.
    pub(crate) async fn stream(&self, body: &Value) -> Stream {
        let mut connection = self.connect().await;
        connection.write(&post("/v1/chat/completions", &[], body.to_string().as_bytes())).await;
        connection.stream().await
    }

    /// Begins a stream of one short message.
    pub(crate) async fn hello_stream(&self, model: &str) -> Stream {
        self.stream(&streamed(hello(model))).await
    }

    /// Gets a path.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask(format!("GET {path} HTTP/1.1\r\nhost: gateway\r\n\r\n").as_bytes()).await
    }

    /// What the providers received.
    pub(crate) fn received(&self) -> Vec<Received> {
        self.simulator.received()
    }

    /// How often each base path `/d/<name>` was sent to, in the order of `names`.
    pub(crate) fn sends<const N: usize>(&self, names: [&str; N]) -> [usize; N] {
        let received = self.received();
        names
            .map(|name| received.iter().filter(|request| request.deployment.as_deref() == Some(name)).count())
    }

    /// The sum of a metric over the label sets whose text contains all of `labels`.
    pub(crate) async fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        let text = self.get("/metrics").await.text();
        sum_of(&text, name, labels)
    }

    /// Takes a new configuration over.
    pub(crate) fn reload(&self, yaml: &str) {
        self.gateway.reload(read(yaml, &[], self.simulator.address()), None).unwrap();
    }

    /// Waits until something is so.
    pub(crate) async fn until(&self, what: &str, is_so: impl Fn(&App) -> bool) {
        until(what, || is_so(self)).await;
    }

    /// Waits until a provider works on so many requests and the gateway is left with nothing to do but to wait.
    pub(crate) async fn until_waiting(&self, requests: usize) {
        let what = format!("{requests} requests wait at a provider");
        self.until(&what, |app| app.simulator.active_requests() == requests).await;
        settle().await;
    }

    /// Ends everything, and holds that nothing was left behind: no request in flight, no connection, no bug.
    pub(crate) async fn stop(self) {
        let bugs = self.metric("tollgate_bugs_total", &[]).await;
        assert!(bugs.abs() < f64::EPSILON, "{bugs} panics were fenced");
        self.stop_while_draining().await;
    }

    /// As [`App::stop`], where the metrics cannot be asked any more or a panic was the point.
    pub(crate) async fn stop_while_draining(self) {
        self.gateway.advance(Stage::Draining);
        patiently("the gateway ends", self.serving).await.unwrap();
        assert_eq!(self.gateway.in_flight(), 0);
        let simulator = self.simulator;
        until("the providers' requests end", || simulator.active_requests() == 0).await;
    }
}

/// Waits, without the runtime's clock, until something is so.
pub(crate) async fn until(what: &str, is_so: impl Fn() -> bool) {
    let started = std::time::Instant::now();
    while !is_so() {
        assert!(started.elapsed() < PATIENCE, "waited in vain until {what}");
        tokio::task::yield_now().await;
    }
}

/// Waits for something that must happen. The runtime's clock may be moved meanwhile; patience is the wall clock's.
pub(crate) async fn patiently<T>(what: &str, future: impl Future<Output = T>) -> T {
    let started = std::time::Instant::now();
    let mut future = std::pin::pin!(future);
    loop {
        if let Ok(done) = tokio::time::timeout(Duration::from_millis(100), future.as_mut()).await {
            return done;
        }
        assert!(started.elapsed() < PATIENCE, "waited in vain until {what}");
    }
}

/// Lets everything that is on its way through local sockets arrive.
pub(crate) async fn settle() {
    for _ in 0..2_000 {
        tokio::task::yield_now().await;
    }
}

/// Moves the runtime's clock. It is not left paused: a paused clock jumps whenever bytes are on their way.
pub(crate) async fn advance(by: Duration) {
    tokio::time::pause();
    tokio::time::advance(by).await;
    tokio::time::resume();
}

/// Seconds.
pub(crate) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The sum of a metric in Prometheus' text.
pub(crate) fn sum_of(text: &str, name: &str, labels: &[&str]) -> f64 {
    let rows = text.lines().filter(|line| {
        let rest = line.strip_prefix(name).unwrap_or_default();
        rest.starts_with([' ', '{']) && labels.iter().all(|label| rest.contains(label))
    });
    rows.map(|row| row.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
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

/// A YAML `model_list` of these entries: group, parameters in flow style.
pub(crate) fn model_list(entries: &[(&str, &str)]) -> String {
    entries.iter().fold("model_list:\n".to_owned(), |mut yaml, (group, parameters)| {
        // Writing to a String cannot fail.
        let _ = writeln!(yaml, "  - {{model_name: {group:?}, litellm_params: {{{parameters}}}}}");
        yaml
    })
}
