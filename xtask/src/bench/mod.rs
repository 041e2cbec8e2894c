//! `cargo xtask bench`: the gateway beside nginx and beside no proxy, in one run, on one machine, in turns.
//!
//! Owns the order of measurements and their lengths. Starting contenders is `contender.rs`'s, making load
//! `load.rs`'s, words and ratios `report.rs`'s.
//!
//! **Invariant**: contenders take turns within every round (A B A B), and a figure is the median over rounds, so a
//! machine that slows down slows all of them alike.

mod accounted;
mod arrivals;
mod contender;
mod crossed;
mod durable;
mod hedging;
mod hot;
mod instructions;
mod load;
mod loss;
mod machine;
mod many;
mod noisy;
mod page;
mod peers;
mod people;
mod printed;
mod process;
mod report;
mod routed;
mod routing;
mod stats;
mod tail;
mod threads;
mod tolls;
pub(crate) mod upstream;
mod wire;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use self::accounted::Accounted;
use self::contender::{CORE, Contender, Kind, Road};
use self::loss::LossPlan;
use self::many::ManyPlan;
use self::process::{CoreTime, Memory, Server, free_port};
use self::report::{LatencyRow, MemoryRow, PaceRow, Results, RoadRow, StartRow};
use self::routed::Routed;
use crate::services;
use crate::setup;
use crate::shell::{self, Workspace};

/// A run of paced streams.
pub(crate) struct PacedRun {
    streams: u32,
    pace_ms: u64,
    tokens: usize,
}

impl PacedRun {
    fn road(&self) -> Road {
        Road::Paced { pace_ms: self.pace_ms, tokens: self.tokens }
    }
}

/// Few streams for the cost of a token, many for stalls; the short version of both for `--quick`.
pub(crate) const PACED: &[PacedRun] = &[
    PacedRun { streams: 8, pace_ms: 20, tokens: 250 },
    PacedRun { streams: 512, pace_ms: 50, tokens: 200 },
    PacedRun { streams: 8, pace_ms: 20, tokens: 100 },
    PacedRun { streams: 512, pace_ms: 50, tokens: 60 },
];

/// Connections of the closed loop.
const CONNECTIONS: usize = 16;
/// Requests a second of the low load.
const LOW_RATE: u32 = 100;

/// How long and how often each thing is measured.
struct Plan {
    rounds: usize,
    warm: Duration,
    window: Duration,
    /// Of what is measured with keys and budgets: none of those rows is to take more than three minutes.
    accounts_window: Duration,
    low_window: Duration,
    starts: usize,
    paced: &'static [PacedRun],
    loss: LossPlan,
    hedge_window: Duration,
    many_starts: usize,
}

impl Plan {
    fn new(quick: bool) -> Self {
        let (long, short) = PACED.split_at(2);
        if quick {
            Self {
                rounds: 2,
                warm: Duration::from_millis(300),
                window: Duration::from_millis(1200),
                accounts_window: Duration::from_millis(1200),
                low_window: Duration::from_millis(2000),
                starts: 5,
                paced: short,
                loss: LossPlan {
                    warm: Duration::from_secs(1),
                    steady: Duration::from_secs(3),
                    lost: Duration::from_secs(5),
                    back_max: Duration::from_secs(15),
                },
                hedge_window: Duration::from_secs(3),
                many_starts: 2,
            }
        } else {
            Self {
                rounds: 5,
                warm: Duration::from_millis(500),
                window: Duration::from_secs(4),
                accounts_window: Duration::from_secs(3),
                low_window: Duration::from_secs(6),
                starts: 15,
                paced: long,
                loss: LossPlan {
                    warm: Duration::from_secs(2),
                    steady: Duration::from_secs(20),
                    lost: Duration::from_secs(20),
                    back_max: Duration::from_secs(40),
                },
                hedge_window: Duration::from_secs(8),
                many_starts: 5,
            }
        }
    }
}

#[derive(Default)]
struct Options {
    quick: bool,
    peers: bool,
    no_write: bool,
    without_gateway: bool,
    only: Vec<String>,
}

const ROWS: [&str; 17] = [
    "plain",
    "stream",
    "large",
    "crossed",
    "latency",
    "pace",
    "loss",
    "hedge",
    "routing",
    "toll",
    "instructions",
    "hot",
    "noisy",
    "keys",
    "journal",
    "memory",
    "start",
];

impl Options {
    fn parse(args: &[String]) -> Result<Self, String> {
        let mut options = Self::default();
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--quick" => options.quick = true,
                "--peers" => options.peers = true,
                "--no-write" => options.no_write = true,
                "--without-gateway" => options.without_gateway = true,
                "--only" => {
                    let name = args.next().ok_or("--only wants the name of a row")?;
                    if !ROWS.contains(&name.as_str()) {
                        return Err(format!("no row is called {name:?}; there are {}", ROWS.join(", ")));
                    }
                    options.only.push(name.clone());
                }
                other => return Err(format!("unknown argument {other:?}; see cargo xtask help")),
            }
        }
        Ok(options)
    }

    fn wants(&self, row: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|name| name == row)
    }
}

/// The runtime of load and stand-in: one thread, so that each is on one core.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, String> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start the runtime: {error}"))
}

/// Runs the command: builds for release, goes on in the release build of this program, measures, reports.
///
/// # Errors
/// When a contender cannot be built, started or measured.
pub(crate) fn run(args: &[String]) -> Result<bool, String> {
    let options = Options::parse(args)?;
    let workspace = Workspace::find();
    if cfg!(debug_assertions) {
        return in_release(&workspace, args);
    }
    setup::programs(&workspace, services::FOR_BENCH)?;
    if std::thread::available_parallelism().map_or(1, usize::from) < 2 {
        return Err("the benchmark wants two cores: one for the contender, one for load and stand-in".into());
    }
    let folder = Scratch::new(&workspace)?;
    pin_self(&workspace)?;
    let results = measure(&workspace, &options, &folder.path)?;
    let text = report::markdown(&results, &machine::describe());
    println!("{text}");
    // A short run does not stand for the machine.
    if !options.quick && !options.no_write && !options.without_gateway {
        let file = workspace.root.join("docs/benchmarks.md");
        let whole = options.only.is_empty();
        let old = if whole { String::new() } else { fs::read_to_string(&file).unwrap_or_default() };
        setup::write(&file, &page::merged(&old, &text))?;
        println!("written to docs/benchmarks.md");
    }
    Ok(true)
}

fn in_release(workspace: &Workspace, args: &[String]) -> Result<bool, String> {
    shell::run(&mut workspace.cargo(&["build", "--release", "--locked", "-p", "tollgate", "-p", "xtask"]))?;
    let program = workspace.target.join("release/xtask");
    let mut command = workspace.command(&program.to_string_lossy(), &["bench"]);
    shell::run(command.args(args)).map(|()| true)
}

/// A folder for configurations and logs, removed at the end.
struct Scratch {
    path: PathBuf,
}

impl Scratch {
    fn new(workspace: &Workspace) -> Result<Self, String> {
        let path = workspace.target.join(format!("bench-{}", std::process::id()));
        fs::create_dir_all(&path).map_err(|error| format!("cannot make {}: {error}", path.display()))?;
        Ok(Self { path })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// The core of load and stand-in.
const LOAD_CORE: &str = "0";

fn pin_self(workspace: &Workspace) -> Result<(), String> {
    let pid = std::process::id().to_string();
    shell::output(&mut workspace.command("taskset", &["--all-tasks", "--cpu-list", "--pid", LOAD_CORE, &pid]))
        .map(|_| ())
}

fn measure(workspace: &Workspace, options: &Options, folder: &Path) -> Result<Results, String> {
    let plan = Plan::new(options.quick);
    let (upstream, upstream_port) = start_upstream(workspace)?;
    let mut results = Results::new(options.quick);
    if options.wants("start") && !options.without_gateway {
        results.starts = starts(workspace, &plan, folder, upstream_port)?;
    }
    let mut contenders =
        vec![Contender::direct(upstream_port), Contender::nginx(workspace, folder, upstream_port)?];
    if !options.without_gateway {
        contenders.push(Contender::tollgate(workspace, folder, upstream_port)?);
    }
    if options.peers {
        contenders.extend(peers::start(workspace, folder, upstream_port)?);
    }
    std::thread::sleep(Duration::from_millis(500));
    let idle: Vec<Memory> = contenders.iter().map(memory_of).collect();
    let runtime = runtime()?;
    runtime.block_on(async {
        let all: Vec<&Contender> = contenders.iter().collect();
        for (name, road) in [("plain", Road::Plain), ("stream", Road::Stream), ("large", Road::Large)] {
            if options.wants(name) {
                results.roads.extend(roads(&all, road, &plan).await?);
            }
        }
        if options.wants("crossed") {
            let able: Vec<&Contender> =
                contenders.iter().filter(|contender| contender.kind.is_in_crossed_rows()).collect();
            for (pair, stream) in crossed::PAIRS.iter().flat_map(|&pair| [(pair, false), (pair, true)]) {
                results.crossed.extend(roads(&able, Road::Crossed { pair, stream }, &plan).await?);
            }
        }
        if options.wants("latency") {
            let _awake = Awake::start(workspace)?;
            results.latencies = latencies(&all, &plan).await?;
        }
        if options.wants("pace") {
            results.paces = paces(&all, &plan).await?;
        }
        Ok::<(), String>(())
    })?;
    if options.wants("memory") {
        let rows = contenders.iter().zip(idle).filter(|(contender, _)| contender.server.is_some());
        results.memory = rows
            .map(|(contender, idle)| MemoryRow { kind: contender.kind, idle, loaded: memory_of(contender) })
            .collect();
    }
    drop(contenders);
    if !options.without_gateway {
        let place = (workspace, folder);
        runtime.block_on(routed(&mut results.routed, (options, &plan), place, upstream_port))?;
        runtime.block_on(accounted(&mut results.accounted, (options, &plan), place, upstream_port))?;
    }
    drop(upstream);
    Ok(results)
}

/// What is measured of the gateway alone, against itself.
async fn routed(
    results: &mut Routed,
    (options, plan): (&Options, &Plan),
    (workspace, folder): (&Workspace, &Path),
    upstream_port: u16,
) -> Result<(), String> {
    if options.wants("loss") {
        let _awake = Awake::start(workspace)?;
        results.losses = loss::measure(workspace, folder, plan.loss).await?;
    }
    if options.wants("hedge") {
        let _awake = Awake::start(workspace)?;
        let place = (workspace, folder);
        results.hedges = hedging::measure(place, upstream_port, plan.rounds, plan.hedge_window).await?;
    }
    if options.wants("routing") {
        let (place, times) = ((workspace, folder), (plan.warm, plan.window));
        results.routings = routing::measure(place, upstream_port, plan.rounds, times).await?;
    }
    Ok(())
}

/// What is measured of the gateway alone where callers have keys and budgets.
async fn accounted(
    results: &mut Accounted,
    (options, plan): (&Options, &Plan),
    place: (&Workspace, &Path),
    upstream_port: u16,
) -> Result<(), String> {
    let Plan { rounds, warm, accounts_window: window, .. } = *plan;
    if options.wants("toll") {
        results.tolls = tolls::measure(place, upstream_port, rounds, (warm, window)).await?;
    }
    if options.wants("instructions") {
        results.instructions = instructions::measure(place, upstream_port).await?;
    }
    if options.wants("hot") {
        results.hot = hot::measure(place, upstream_port, rounds, window).await?;
    }
    if options.wants("noisy") {
        results.noisy = noisy::measure(place, upstream_port, rounds, window).await?;
    }
    if options.wants("keys") {
        let plan = ManyPlan { starts: plan.many_starts, rounds, warm, window };
        results.many = many::measure(place, upstream_port, plan).await?;
    }
    if options.wants("journal") {
        let _awake = Awake::start(place.0)?;
        results.durable = durable::measure(place, upstream_port, rounds, window).await?;
    }
    Ok(())
}

fn start_upstream(workspace: &Workspace) -> Result<(Server, u16), String> {
    let port = free_port()?;
    Ok((Server::start(&mut upstream_at(workspace, port)?, port, "/")?, port))
}

/// The command of a stand-in on a port.
fn upstream_at(workspace: &Workspace, port: u16) -> Result<Command, String> {
    let program = std::env::current_exe().map_err(|error| format!("where is this program? {error}"))?;
    let mut command = workspace.command("taskset", &["--cpu-list", LOAD_CORE]);
    command.arg(program).args(["upstream", "--port", &port.to_string()]);
    Ok(command)
}

fn memory_of(contender: &Contender) -> Memory {
    contender.server.as_ref().map_or_else(Memory::default, Server::memory)
}

/// Runs while the contender alone may run: the others are stopped, so that none works off what was left to it.
struct Turn<'a> {
    others: Vec<&'a Server>,
}

impl<'a> Turn<'a> {
    fn of(contender: &Contender, all: &[&'a Contender]) -> Self {
        let others = all.iter().copied().filter(|other| other.kind != contender.kind);
        let others: Vec<&Server> = others.filter_map(|other| other.server.as_ref()).collect();
        for other in &others {
            other.pause();
        }
        Self { others }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        for other in &self.others {
            other.resume();
        }
    }
}

/// One road through every contender, in turns.
async fn roads(contenders: &[&Contender], road: Road, plan: &Plan) -> Result<Vec<RoadRow>, String> {
    let mut rows: Vec<RoadRow> =
        contenders.iter().map(|contender| RoadRow::new(contender.kind, road)).collect();
    for round in 1..=plan.rounds {
        eprintln!("{}: round {round} of {}", road.title(), plan.rounds);
        for (contender, row) in contenders.iter().zip(&mut rows) {
            let _turn = Turn::of(contender, contenders);
            let sample = || {
                let cpu = contender.server.as_ref().map_or(0.0, Server::cpu_seconds);
                (cpu, CoreTime::of(CORE))
            };
            let target = contender.target(road);
            let burst = load::saturate(&[target], CONNECTIONS, plan.warm, plan.window, sample)
                .await
                .map_err(|error| format!("{}, {}: {error}", contender.kind.name(), road.title()))?;
            row.per_second.push(burst.requests as f64 / burst.seconds);
            row.cpu_us.push((burst.after.0 - burst.before.0) * 1e6 / burst.requests.max(1) as f64);
            row.busy.push(burst.after.1.busy_since(burst.before.1));
            row.own.push((burst.after.0 - burst.before.0) / burst.seconds);
        }
    }
    Ok(rows)
}

/// Keeps both cores from sleeping, at a priority that yields to everything at once.
///
/// At a low rate an idle virtual core is halted between requests, and to wake it costs more than any contender does:
/// without this the figure would be one of the machine.
struct Awake {
    spinners: Vec<Child>,
}

impl Awake {
    fn start(workspace: &Workspace) -> Result<Self, String> {
        let mut spinners = Vec::new();
        for core in [LOAD_CORE.to_owned(), CORE.to_string()] {
            let args = ["--cpu-list", &core, "chrt", "--idle", "0", "sh", "-c", "while :; do :; done"];
            let child = workspace.command("taskset", &args).spawn();
            spinners.push(child.map_err(|error| format!("cannot start taskset: {error}"))?);
        }
        Ok(Self { spinners })
    }
}

impl Drop for Awake {
    fn drop(&mut self) {
        for spinner in &mut self.spinners {
            let _ = spinner.kill();
            let _ = spinner.wait();
        }
    }
}

/// Plain and streamed requests at a low rate, in turns.
async fn latencies(contenders: &[&Contender], plan: &Plan) -> Result<Vec<LatencyRow>, String> {
    let mut rows: Vec<LatencyRow> =
        contenders.iter().map(|contender| LatencyRow::new(contender.kind)).collect();
    for round in 1..=plan.rounds {
        eprintln!("low load: round {round} of {}", plan.rounds);
        for (contender, row) in contenders.iter().zip(&mut rows) {
            let _turn = Turn::of(contender, contenders);
            let plain = load::low_rate(&contender.target(Road::Plain), LOW_RATE, plan.low_window).await?;
            row.whole_p50.push(stats::percentile(&plain.whole_us, 50.0));
            row.whole_p99.push(stats::percentile(&plain.whole_us, 99.0));
            let stream =
                load::low_rate(&contender.target(Road::Stream), LOW_RATE, plan.low_window / 2).await?;
            row.first_p50.push(stats::percentile(&stream.first_us, 50.0));
        }
    }
    Ok(rows)
}

/// Paced streams through every contender.
async fn paces(contenders: &[&Contender], plan: &Plan) -> Result<Vec<PaceRow>, String> {
    let mut rows = Vec::new();
    for run in plan.paced {
        for contender in contenders.iter().filter(|contender| run.streams <= contender.kind.streams_max()) {
            let _turn = Turn::of(contender, contenders);
            eprintln!("{} paced streams: {}", run.streams, contender.kind.name());
            let target = contender.target(run.road());
            let pace = Duration::from_millis(run.pace_ms);
            let seen = load::paced(&target, run.streams, pace, run.tokens)
                .await
                .map_err(|error| format!("{}, paced streams: {error}", contender.kind.name()))?;
            rows.push(PaceRow {
                kind: contender.kind,
                asked: run.streams,
                pace_ms: run.pace_ms,
                finished: seen.streams,
                stalls: seen.stalls,
                token_p50: stats::percentile(&seen.relay_us, 50.0),
                token_p99: stats::percentile(&seen.relay_us, 99.0),
            });
        }
    }
    Ok(rows)
}

/// From start to the first 200, several times over.
fn starts(
    workspace: &Workspace,
    plan: &Plan,
    folder: &Path,
    upstream_port: u16,
) -> Result<Vec<StartRow>, String> {
    let mut rows = vec![
        StartRow { kind: Kind::Nginx, ready_ms: vec![] },
        StartRow { kind: Kind::Tollgate, ready_ms: vec![] },
    ];
    for _ in 0..plan.starts {
        for row in &mut rows {
            let contender = match row.kind {
                Kind::Nginx => Contender::nginx(workspace, folder, upstream_port)?,
                _ => Contender::tollgate(workspace, folder, upstream_port)?,
            };
            row.ready_ms.extend(contender.server.map(|server| server.ready.as_secs_f64() * 1e3));
        }
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_choose_rows() {
        let args: Vec<String> = ["--quick", "--only", "plain", "--no-write"].map(str::to_owned).into();
        let options = Options::parse(&args).unwrap();
        assert!(options.quick && options.no_write && !options.peers);
        assert!(options.wants("plain") && !options.wants("stream"));
        assert!(Options::default().wants("stream"));
        let wrong: Vec<String> = ["--only", "plane"].map(str::to_owned).into();
        assert!(Options::parse(&wrong).err().unwrap().contains("plain, stream"));
    }

    #[test]
    fn both_plans_have_few_and_many_streams() {
        for quick in [false, true] {
            let streams: Vec<u32> = Plan::new(quick).paced.iter().map(|run| run.streams).collect();
            assert_eq!(streams, [8, 512]);
        }
    }
}
