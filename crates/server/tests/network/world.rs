//! One play: the hosts, what befalls the network between them, and the questions that are asked once all is well.
//!
//! Owns time and the faults. Leaves to others what must hold (oracle). **Invariant:** all hosts run in one thread by turns,
//! in virtual time, and every draw comes from the seed, the gateway's own included.

use crate::caller;
use crate::ledger::{Ledger, Outcome};
use crate::oracle::{self, Tally};
use crate::provider::Provider;
use crate::scenario::{
    Blow, CALLER_HOSTS, CALLER_MAX, Call, Dialect, Fault, GROUPS, Host, LATENCY, QUIET_FROM, RECOVERY_MAX,
    Scenario, Spec,
};
use crate::sockets::{Door, Network};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::sleep;
use tollgate_server::{ConnectionLimits, Gateway, Worker, serve};
use tollgate_upstream::{Client, Limits, Resolver, Shared};
use turmoil::Sim;

/// How long all hosts run by turns before the network moves on.
const TICK: Duration = Duration::from_millis(20);
/// Most connections of callers.
const CONNECTIONS_MAX: usize = 64;
/// How long the gateway keeps connections to providers that it does not use.
const IDLE_MAX: Duration = Duration::from_secs(4);
/// Beyond it no play lasts.
const PLAY_MAX: Duration = Duration::from_secs(600);
/// Numbers of the requests that are made after the faults.
const JUDGED_FROM: u64 = 1_000;
/// After so long all of a deployment's requests of a minute are out of its window.
const WINDOW: Duration = Duration::from_secs(61);

/// What is looked at from outside the gateway's host.
#[derive(Clone)]
struct Inside {
    gateway: Arc<Gateway>,
    client: Arc<Client>,
}

/// The parts of a play that its hosts share.
#[derive(Clone)]
struct Stage {
    scenario: Arc<Scenario>,
    ledger: Arc<Ledger>,
    inside: Arc<Mutex<Option<Inside>>>,
    permits: Arc<Semaphore>,
    entered: Arc<AtomicUsize>,
    /// Accept loops that run.
    serving: Arc<AtomicUsize>,
}

/// What came of a play.
pub(crate) struct Played {
    pub(crate) tally: Tally,
    pub(crate) broken: Vec<String>,
    pub(crate) log: Vec<String>,
}

/// Plays a scenario to its end.
pub(crate) fn play(scenario: Scenario, is_traced: bool) -> Played {
    // Every draw of the gateway's comes from this thread's generator.
    fastrand::seed(scenario.seed);
    let stage = Stage {
        scenario: Arc::new(scenario),
        ledger: Arc::new(Ledger::new(is_traced)),
        inside: Arc::default(),
        permits: Arc::new(Semaphore::new(CONNECTIONS_MAX)),
        entered: Arc::default(),
        serving: Arc::default(),
    };
    let mut sim = turmoil::Builder::new()
        .tick_duration(TICK)
        .simulation_duration(PLAY_MAX)
        .min_message_latency(Duration::from_millis(1))
        .max_message_latency(LATENCY)
        .rng_seed(stage.scenario.seed)
        .build();
    people(&mut sim, &stage);
    let ended = run(&mut sim, &stage);
    drop(sim);
    if let Err(error) = ended {
        stage.ledger.broken(format!("the play ends with {error}"));
    }
    let tally = oracle::judge(&stage.scenario, &stage.ledger);
    let record = stage.ledger.record();
    Played { tally, broken: record.broken.clone(), log: record.log.clone() }
}

fn people(sim: &mut Sim<'_>, stage: &Stage) {
    let inner = stage.clone();
    sim.host(Host::Gateway.address(), move || gateway(inner.clone()));
    for number in 0..stage.scenario.deployments.len() {
        let provider = Provider::new(&stage.scenario, number, &stage.ledger);
        sim.host(Host::Provider(number).address(), move || provider.clone().run());
    }
    for host in 0..CALLER_HOSTS {
        sim.client(Host::Caller(host).address(), callers(stage.clone(), host));
    }
    sim.client(Host::Judge.address(), judge(stage.clone()));
}

async fn gateway(stage: Stage) -> turmoil::Result {
    let text = stage.scenario.config.to_string();
    let mut open = |_: &Path| Ok(text.clone());
    let loaded = tollgate_config::load(Path::new("config.yaml"), &mut open, &|_| None);
    let config = loaded.config.unwrap_or_else(|| panic!("{:?}", loaded.report.findings));
    let gateway = Gateway::new(config, None)?;
    let limits = Limits { idle_for_max: IDLE_MAX, ..Limits::default() };
    let shared = Shared::new(Resolver::default(), limits, Vec::new())?;
    let shared = shared.with_dialer(Network::new(&stage.scenario, &stage.ledger));
    let worker = Worker::new(Arc::clone(&gateway), Arc::new(shared));
    *stage.inside.lock().unwrap() = Some(Inside { gateway, client: Arc::clone(&worker.client) });
    let limits = ConnectionLimits {
        connections: Arc::clone(&stage.permits),
        head_timeout: CALLER_MAX,
        head_bytes_max: 64 << 10,
        headers_max: 100,
        write_stall_max: CALLER_MAX,
    };
    stage.serving.fetch_add(1, Ordering::Relaxed);
    serve(Door::open(Arc::clone(&stage.entered)).await?, worker, limits).await;
    stage.serving.fetch_sub(1, Ordering::Relaxed);
    Ok(())
}

async fn callers(stage: Stage, host: usize) -> turmoil::Result {
    let calls = stage.scenario.calls.iter().filter(|call| call.host == host).cloned();
    let asking: Vec<_> = calls
        .map(|call| {
            let ledger = Arc::clone(&stage.ledger);
            tokio::spawn(async move {
                sleep(call.at).await;
                caller::ask(&call, &ledger).await
            })
        })
        .collect();
    for asked in asking {
        asked.await?;
    }
    Ok(())
}

/// Strikes and mends as the scenario says, until every caller has an end.
fn run(sim: &mut Sim<'_>, stage: &Stage) -> turmoil::Result {
    let faults = &stage.scenario.faults;
    let strikes = faults.iter().flat_map(|fault| [(fault.from, fault, true), (fault.to, fault, false)]);
    let mut strikes: Vec<(Duration, &Fault, bool)> = strikes.collect();
    // What ends goes before what begins.
    strikes.sort_by_key(|(at, _, begins)| (*at, *begins));
    let mut strikes = strikes.into_iter().peekable();
    loop {
        while let Some((_, fault, begins)) = strikes.next_if(|(at, _, _)| *at <= sim.elapsed()) {
            let word = if begins { "begins" } else { "ends" };
            stage.ledger.advance(sim.elapsed());
            stage.ledger.note(format_args!("{:?} {word}", fault.blow));
            strike(sim, fault.blow, begins);
        }
        if sim.step()? && strikes.peek().is_none() {
            return Ok(());
        }
    }
}

fn strike(sim: &mut Sim<'_>, blow: Blow, begins: bool) {
    match (blow, begins) {
        (Blow::Partition(one, other), true) => sim.partition(one.address(), other.address()),
        (Blow::Partition(one, other), false) => sim.repair(one.address(), other.address()),
        (Blow::OneWay(from, to), true) => sim.partition_oneway(from.address(), to.address()),
        (Blow::OneWay(from, to), false) => sim.repair_oneway(from.address(), to.address()),
        (Blow::Hold(one, other), true) => sim.hold(one.address(), other.address()),
        (Blow::Hold(one, other), false) => sim.release(one.address(), other.address()),
        (Blow::Latency(one, other, latency), true) => {
            sim.set_link_latency(one.address(), other.address(), latency);
        }
        (Blow::Latency(one, other, _), false) => {
            sim.set_link_latency(one.address(), other.address(), LATENCY);
        }
        (Blow::Crash(number), true) => sim.crash(Host::Provider(number).address()),
        (Blow::Crash(number), false) => sim.bounce(Host::Provider(number).address()),
        // The sockets do it.
        (Blow::Resets { .. }, _) => {}
    }
}

/// Asks once the faults are over, and looks at what is left.
async fn judge(stage: Stage) -> turmoil::Result {
    let (scenario, ledger) = (&stage.scenario, &stage.ledger);
    sleep(QUIET_FROM).await;
    let mut number = JUDGED_FROM;
    // Where all that can be asked are at their limits of a minute, nobody can be before it is over.
    let is_limited = scenario.deployments.iter().all(|spec| spec.group != GROUPS[0] || spec.rpm.is_some());
    let by = QUIET_FROM + RECOVERY_MAX + if is_limited { WINDOW } else { Duration::ZERO };
    recovered(GROUPS[0], by, ledger, &mut number).await;
    while ledger.record().seen.range(..JUDGED_FROM).count() < scenario.calls.len() {
        sleep(Duration::from_millis(500)).await;
    }
    if scenario.rests {
        sleep(WINDOW).await;
    }
    let by = by.max(ledger.now() + Duration::from_secs(1));
    for spec in scenario.deployments.iter().filter(|spec| scenario.rests || spec.rpm.is_none()) {
        recovered(&spec.id, by, ledger, &mut number).await;
        places(spec, ledger, &mut number).await;
    }
    sleep(IDLE_MAX + CALLER_MAX + Duration::from_secs(2)).await;
    baseline(&stage).await;
    Ok(())
}

/// Asks a group, or a deployment by its id, until it answers.
async fn recovered(model: &str, by: Duration, ledger: &Arc<Ledger>, number: &mut u64) {
    loop {
        *number += 1;
        let seen = caller::ask(&judged(*number, model), ledger).await;
        if seen.outcome == Outcome::Answered {
            return;
        }
        if ledger.now() > by {
            ledger.broken(format!("{model} does not answer, so long after the faults: {:?}", seen.outcome));
            return;
        }
        sleep(Duration::from_millis(500)).await;
    }
}

fn judged(number: u64, model: &str) -> Call {
    Call {
        number,
        host: 0,
        at: Duration::ZERO,
        model: model.to_owned(),
        dialect: Dialect::OpenAi,
        is_stream: true,
        words: 5,
        leaves: None,
    }
}

/// Every place of a deployment is free: as many requests as it has are answered by it at the same time.
async fn places(spec: &Spec, ledger: &Arc<Ledger>, number: &mut u64) {
    let most = spec.rpm.map_or(u32::MAX, |rpm| rpm as u32 - 1);
    let asking: Vec<_> = (0..spec.parallel.unwrap_or(2).min(most))
        .map(|_| {
            *number += 1;
            let (call, ledger) = (judged(*number, &spec.id), Arc::clone(ledger));
            tokio::spawn(async move { caller::ask(&call, &ledger).await })
        })
        .collect();
    for asked in asking {
        let seen = asked.await.unwrap();
        if seen.outcome != Outcome::Answered || seen.deployment.as_ref() != Some(&spec.id) {
            ledger.broken(format!("a place of {} is lost: {seen:?}", spec.id));
        }
    }
}

/// Nothing is held any more.
async fn baseline(stage: &Stage) {
    let ledger = &stage.ledger;
    let inside = stage.inside.lock().unwrap().clone().unwrap();
    let held = [
        ("requests in flight", inside.gateway.in_flight()),
        ("idle connections to providers", inside.client.idle_connections() as i64),
        ("connections to providers", ledger.open_lines() as i64),
        ("connections of callers", stage.entered.load(Ordering::Relaxed) as i64),
        // The next caller's is taken in advance.
        ("permits of connections", CONNECTIONS_MAX as i64 - 1 - stage.permits.available_permits() as i64),
    ];
    for (what, count) in held {
        if count != 0 {
            ledger.broken(format!("{count} {what} are left"));
        }
    }
    match caller::get("/metrics").await {
        Ok(text) => {
            let bugs = text.lines().find(|line| line.starts_with("tollgate_bugs_total"));
            if bugs.is_none_or(|line| !line.ends_with(" 0")) {
                ledger.broken(format!("panics: {bugs:?}"));
            }
        }
        Err(error) => ledger.broken(format!("no metrics: {error}")),
    }
    inside.gateway.advance(tollgate_server::Stage::Draining);
    sleep(Duration::from_secs(1)).await;
    let missing = CONNECTIONS_MAX - stage.permits.available_permits();
    if missing != 0 || stage.serving.load(Ordering::Relaxed) != 0 {
        ledger.broken(format!("the gateway does not end: {missing} permits are missing"));
    }
}
