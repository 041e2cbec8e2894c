//! `tollgate serve`: from arguments to a running gateway, and to its end.
//!
//! One thread per worker, each with a runtime, an accept loop and connections to providers of its own, so that a request
//! is served where it was accepted and no lock is shared on its way. The main thread minds signals and reloads.

use crate::cli::ServeArguments;
use crate::{builtin, files, limits, logging, watch, watchdog};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Semaphore;
use tollgate_catalog::Overlay;
use tollgate_config::{Config, Loaded, Severity, diff};
use tollgate_server::{ConnectionLimits, Door, Gateway, Stage, Worker};
use tollgate_simulator::{Script, Simulator};
use tollgate_upstream::{Limits, Resolver, Shared, extra_roots_from_pem};

/// Connections that wait to be accepted.
const BACKLOG: i32 = 1_024;
/// After a change of a file, further changes are waited for this long: editors write in several steps.
const SETTLE: Duration = Duration::from_millis(50);

/// The signal of a process that has come to its limit of a file's size: not caught, it ends the process.
const SIGXFSZ: i32 = 25;

/// How often what has expired in the database is looked for.
const PURGE_EVERY: Duration = Duration::from_secs(600);

/// What is to be served, and where.
pub(crate) struct Plan {
    config: Config,
    overlay: Option<Overlay>,
    /// The file that it came from, if any.
    entry: Option<PathBuf>,
    host: IpAddr,
    port: u16,
    num_workers: Option<usize>,
    debug: bool,
    notices: Vec<String>,
}

impl Plan {
    /// A plan for a configuration that the process made itself.
    pub(crate) fn of_text(text: &str, host: IpAddr, port: u16) -> Result<Self, String> {
        let config = good(files::read_builtin(text), &mut Vec::new())?;
        let notices = Vec::new();
        Ok(Self { config, overlay: None, entry: None, host, port, num_workers: None, debug: false, notices })
    }
}

/// Serves until it is told to end.
pub(crate) fn run(arguments: &ServeArguments) -> Result<(), String> {
    let mut notices = Vec::new();
    let found = files::find_config(arguments.config.as_deref());
    let (config, _simulator) = match &found {
        Some(path) => (good(files::read_config(path), &mut notices)?, None),
        None => {
            let (address, simulator) = start_simulator()?;
            let builtin = builtin::compose(address, &files::variable);
            notices.push(introduce(&builtin.providers));
            (good(files::read_builtin(&builtin.yaml), &mut Vec::new())?, Some(simulator))
        }
    };
    let overlay = files::read_overlay(&config)?;
    let plan = Plan {
        config,
        overlay,
        entry: found,
        host: arguments.host,
        port: arguments.port,
        num_workers: arguments.num_workers,
        debug: arguments.debug,
        notices,
    };
    run_plan(plan, |_| {})
}

fn introduce(providers: &[&str]) -> String {
    if providers.is_empty() {
        return "no configuration and no provider key found: serving simulated models (gpt-4o, gpt-4o-mini, \
                claude-sonnet-4-5, gemini-2.5-flash, text-embedding-3-small, simulated/*)"
            .to_owned();
    }
    let open: Vec<String> = providers.iter().map(|name| format!("{name}/*")).collect();
    format!(
        "no configuration: serving the providers whose keys are in the environment ({}) and simulated/*",
        open.join(", ")
    )
}

/// The configuration, if it has no error; what else was found is noted.
fn good(loaded: Loaded, notices: &mut Vec<String>) -> Result<Config, String> {
    let texts = |wanted: Severity| {
        let findings = loaded.report.findings.iter().filter(move |finding| finding.severity == wanted);
        findings.map(ToString::to_string)
    };
    notices.extend(texts(Severity::Warning));
    let not_active = texts(Severity::Note).count();
    if not_active > 0 {
        notices.push(format!("{not_active} settings are not yet active; `tollgate check` lists them"));
    }
    let errors: Vec<String> = texts(Severity::Error).collect();
    loaded.config.ok_or_else(|| format!("the configuration has errors:\n{}", errors.join("\n")))
}

/// Starts the simulated providers on a thread of their own.
pub(crate) fn start_simulator() -> Result<(SocketAddr, JoinHandle<()>), String> {
    let listener =
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|error| format!("simulator: {error}"))?;
    listener.set_nonblocking(true).map_err(|error| format!("simulator: {error}"))?;
    let address = listener.local_addr().map_err(|error| format!("simulator: {error}"))?;
    let thread = std::thread::Builder::new().name("simulator".to_owned()).spawn(move || {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
        runtime.block_on(async {
            let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
            if let Ok(_running) = Simulator::start(listener, Script::new().keep(0)).await {
                std::future::pending::<()>().await;
            }
        });
    });
    Ok((address, thread.map_err(|error| format!("simulator: {error}"))?))
}

/// Serves a plan; `ready` is told the address once callers are accepted.
pub(crate) fn run_plan(plan: Plan, ready: impl FnOnce(SocketAddr)) -> Result<(), String> {
    let Plan { config, overlay, entry, host, port, num_workers, debug, notices } = plan;
    let hosts = [Some(host), config.access.admin_listen.map(|address| address.ip())];
    let open = hosts.into_iter().flatten().find(|host| !host.is_loopback());
    if let Some(host) = open.filter(|_| config.general.master_key.is_none()) {
        return Err(format!(
            "refusing to listen on {host} without a master key: set general_settings.master_key, or listen on 127.0.0.1"
        ));
    }
    let _log = logging::start(&config.tollgate, debug);
    for notice in notices {
        tracing::warn!("{notice}");
    }
    let settings = config.tollgate.clone();
    let shared = shared(&config)?;
    let gateway = Gateway::new(config.clone(), overlay).map_err(|error| error.to_string())?;
    // Signals first: who is told that it listens may ask it to end.
    let (runtime, signals) = minding()?;
    runtime.block_on(gateway.begin()).map_err(|error| error.to_string())?;
    runtime.block_on(gateway.recall());
    watchdog::start(&gateway, settings.memory_bytes_max)?;
    let listener = bind(SocketAddr::new(host, port))?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    let most = settings.connections_max.and_then(|most| usize::try_from(most).ok());
    let connection_limits = ConnectionLimits {
        connections: Arc::new(Semaphore::new(most.unwrap_or_else(limits::connections_max))),
        head_timeout: settings.header_timeout,
        head_bytes_max: 64 << 10,
        headers_max: 100,
        write_stall_max: settings.client_stall_timeout,
    };
    let configured = settings.workers.and_then(|workers| usize::try_from(workers).ok());
    let count = num_workers
        .or(configured)
        .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, std::num::NonZero::get));
    let mut threads = Vec::new();
    let operators = config.access.admin_listen.map(bind).transpose()?;
    let door = if operators.is_some() { Door::Callers } else { Door::Only };
    if let Some(listener) = operators {
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        let worker = Worker::behind(Door::Operator, Arc::clone(&gateway), Arc::clone(&shared));
        threads.push(start_worker("operator", listener, worker, connection_limits.clone())?);
        tracing::info!(address = %address, "the admin API has a door of its own");
    }
    for number in 0..count.max(1) {
        let listener = listener.try_clone().map_err(|error| format!("{address}: {error}"))?;
        let worker = Worker::behind(door, Arc::clone(&gateway), Arc::clone(&shared));
        threads.push(start_worker(&format!("worker-{number}"), listener, worker, connection_limits.clone())?);
    }
    drop(listener);
    tracing::info!(address = %address, workers = threads.len(), deployments = config.deployments.len(), "listening");
    ready(address);
    mind((runtime, signals), &Worker::new(Arc::clone(&gateway), shared), config, entry);
    wind_down(&gateway, threads, settings.drain_timeout);
    Ok(())
}

fn shared(config: &Config) -> Result<Arc<Shared>, String> {
    let defaults = Limits::default();
    let reply_bytes_max = config.general.response_bytes_max.unwrap_or(defaults.reply_bytes_max);
    let roots = match files::extra_roots()? {
        Some(pem) => extra_roots_from_pem(&pem).map_err(|error| format!("SSL_CERT_FILE: {error}"))?,
        None => Vec::new(),
    };
    let shared = Shared::new(Resolver::default(), Limits { reply_bytes_max, ..defaults }, roots)?;
    Ok(Arc::new(shared))
}

fn bind(address: SocketAddr) -> Result<TcpListener, String> {
    let say = |error: std::io::Error| format!("{address}: {error}");
    let domain = socket2::Domain::for_address(address);
    let socket =
        socket2::Socket::new(domain, socket2::Type::STREAM, Some(socket2::Protocol::TCP)).map_err(say)?;
    // So that a restart need not wait for connections of the process before it.
    socket.set_reuse_address(true).map_err(say)?;
    socket.set_nonblocking(true).map_err(say)?;
    socket.bind(&address.into()).map_err(say)?;
    socket.listen(BACKLOG).map_err(say)?;
    Ok(socket.into())
}

fn start_worker(
    name: &str,
    listener: TcpListener,
    worker: Arc<Worker>,
    limits: ConnectionLimits,
) -> Result<JoinHandle<()>, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("no runtime: {error}"))?;
    let (gateway, own_name) = (Arc::clone(&worker.gateway), name.to_owned());
    let run = move || {
        runtime.block_on(async {
            // It ends with the runtime.
            tokio::spawn(async move { gateway.vitals().beat(&own_name).await });
            match tokio::net::TcpListener::from_std(listener) {
                Ok(listener) => tollgate_server::serve(listener, worker, limits).await,
                Err(error) => tracing::error!(%error, "a worker has no listener"),
            }
        });
    };
    let thread = std::thread::Builder::new().name(name.to_owned()).spawn(run);
    thread.map_err(|error| format!("no thread: {error}"))
}

/// The signals that the process minds.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

/// The main thread's runtime, and the signals that it minds from now on.
fn minding() -> Result<(Runtime, Signals), String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("no runtime: {error}"))?;
    let signals = {
        let _within = runtime.enter();
        let mind = |kind| signal(kind).map_err(|error| format!("signals: {error}"));
        // From now on such a limit is what a full disk is: an error of who writes.
        let _ = mind(SignalKind::from_raw(SIGXFSZ))?;
        Signals {
            terminate: mind(SignalKind::terminate())?,
            interrupt: mind(SignalKind::interrupt())?,
            hangup: mind(SignalKind::hangup())?,
        }
    };
    Ok((runtime, signals))
}

/// Minds signals and the configuration's files until the process is told to end.
fn mind(
    (runtime, signals): (Runtime, Signals),
    worker: &Arc<Worker>,
    config: Config,
    entry: Option<PathBuf>,
) {
    let gateway = &worker.gateway;
    runtime.block_on(async {
        // On this thread, where they are in no request's way; they end with the runtime.
        tokio::spawn(tollgate_server::check_deployments(Arc::clone(worker)));
        tokio::spawn(tollgate_server::rotate_keys(Arc::clone(worker)));
        tokio::spawn(Arc::clone(gateway).watch_spend());
        tokio::spawn(Arc::clone(gateway).watch_ledger());
        let Signals { mut terminate, mut interrupt, mut hangup } = signals;
        let mut reloader = entry.map(|entry| Reloader::new(Arc::clone(gateway), config, entry));
        let mut purge = tokio::time::interval(PURGE_EVERY);
        let ended = async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        tokio::pin!(ended);
        loop {
            match &mut reloader {
                Some(reloader) => tokio::select! {
                    () = &mut ended => return,
                    _ = hangup.recv() => reloader.reload(true),
                    _ = purge.tick() => reloader.gateway.purge().await,
                    () = reloader.watch.changed() => {
                        tokio::time::sleep(SETTLE).await;
                        reloader.reload(false);
                    }
                },
                None => tokio::select! {
                    () = &mut ended => return,
                    _ = hangup.recv() => tracing::info!("no configuration file to reload"),
                    _ = purge.tick() => gateway.purge().await,
                },
            }
        }
    });
}

/// Waits for SIGTERM or SIGINT.
pub(crate) async fn ended() {
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

/// Takes a changed configuration over, or keeps the last good one.
struct Reloader {
    gateway: Arc<Gateway>,
    config: Config,
    entry: PathBuf,
    files: Vec<PathBuf>,
    contents: Vec<Vec<u8>>,
    watch: watch::Watch,
}

impl Reloader {
    fn new(gateway: Arc<Gateway>, config: Config, entry: PathBuf) -> Self {
        let mut watch = watch::Watch::new();
        let files = config.files.clone();
        watch.add(&files);
        Self { gateway, contents: watch::contents(&files), config, entry, files, watch }
    }

    /// Reads the files again. Without `asked`, only if one of them is not as it was.
    fn reload(&mut self, asked: bool) {
        if !asked && watch::contents(&self.files) == self.contents {
            return;
        }
        let loaded = files::read_config(&self.entry);
        self.files.clone_from(&loaded.files);
        self.watch.add(&self.files);
        self.contents = watch::contents(&self.files);
        let mut notices = Vec::new();
        let config = match good(loaded, &mut notices) {
            Ok(config) => config,
            Err(error) => {
                self.gateway.note_refused_reload();
                tracing::error!("the configuration was not reloaded, the last good one stays: {error}");
                return;
            }
        };
        for notice in notices {
            tracing::warn!("{notice}");
        }
        let taken = files::read_overlay(&config).and_then(|overlay| {
            let lacks_key = config.general.master_key.is_none() && self.config.general.master_key.is_some();
            if lacks_key {
                return Err("the master key is gone; restart to serve without one".to_owned());
            }
            self.gateway.reload(config.clone(), overlay).map_err(|error| error.to_string())
        });
        match taken {
            Ok(()) => self.note(config),
            Err(error) => {
                self.gateway.note_refused_reload();
                tracing::error!("the configuration was not reloaded, the last good one stays: {error}");
            }
        }
    }

    fn note(&mut self, config: Config) {
        let difference = diff(&self.config, &config);
        for setting in &difference.restart {
            tracing::warn!(setting, "changed; takes effect at the next start");
        }
        tracing::info!(
            added = difference.added.len(),
            removed = difference.removed.len(),
            changed = difference.changed.len(),
            kept = difference.kept.len(),
            "configuration reloaded"
        );
        self.config = config;
    }
}

/// Lets what runs finish, then ends what is left.
fn wind_down(gateway: &Gateway, threads: Vec<JoinHandle<()>>, grace: Duration) {
    tracing::info!(grace_seconds = grace.as_secs(), "draining");
    gateway.advance(Stage::Draining);
    let deadline = std::time::Instant::now() + grace;
    while threads.iter().any(|thread| !thread.is_finished()) {
        if std::time::Instant::now() >= deadline {
            tracing::warn!("the grace time is over: ending the streams that are left");
            gateway.advance(Stage::Over);
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    for thread in threads {
        if thread.join().is_err() {
            tracing::error!("a worker thread panicked");
        }
    }
    if let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() {
        runtime.block_on(gateway.close());
    }
    tracing::info!("ended");
}
