//! Health checks: a short question to every deployment, when `/health` is asked and from time to time beside the requests.
//!
//! Owns which deployments are asked, how many at a time, and what the last answers were. Leaves the question to the probe
//! and what an answer teaches to `policy::health`. **Invariant:** a check takes a place like a request and is left out
//! where there is none; nothing is sent to a deployment that is paused or that an operator has taken out.

use crate::drain::Stage;
use crate::pipeline::attempt::AttemptFailure;
use crate::pipeline::staged::X_TOLLGATE_FAULT;
use crate::pipeline::wasted::book_overhead;
use crate::pipeline::{PROBE_TOKENS, Question, probe};
use crate::routing::{CheckPlace, NotAsked};
use crate::snapshot::Snapshot;
use crate::target::Target;
use crate::worker::Worker;
use http::HeaderMap;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tollgate_catalog::Mode;
use tollgate_config::Deployment;
use tollgate_policy::failure::FailureKind;

/// Longest wait for a deployment's answer, where neither `health_check_timeout` nor a shorter `timeout` is set.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Deployments asked at a time beside the requests, so that these hardly notice.
const AT_A_TIME: usize = 4;
/// What of an answer's headers is shown.
pub(crate) const SHOWN: [&str; 2] = ["x-ratelimit-remaining-requests", "x-ratelimit-remaining-tokens"];

/// The headers that are shown, or a status and the sentence that a caller would see.
pub(crate) type Outcome = Result<HeaderMap, (u16, String)>;

/// What one check found.
#[derive(Debug, Clone)]
pub(crate) struct Checked {
    /// When.
    pub(crate) at: Instant,
    /// What.
    pub(crate) outcome: Outcome,
}

/// What the last checks found, by the deployments' ids.
#[derive(Debug, Default)]
pub(crate) struct Checks(Mutex<HashMap<String, Checked>>);

impl Checks {
    /// The last one of a deployment.
    pub(crate) fn of(&self, id: &str) -> Option<Checked> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    fn note(&self, id: &str, outcome: Outcome) {
        let checked = Checked { at: Instant::now(), outcome };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(id.to_owned(), checked);
    }

    /// Forgets all but those of these deployments.
    fn retain(&self, checks: &[Check]) {
        let is_known = |id: &String| checks.iter().any(|check| check.deployment.id == *id);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|id, _| is_known(id));
    }
}

/// One deployment that can be asked.
#[derive(Debug, Clone)]
pub(crate) struct Check {
    pub(crate) deployment: Deployment,
    /// Whose place is taken, and whom the answer concerns.
    pub(crate) target: Arc<Target>,
    /// Who is asked: the same, but for `health_check_model`.
    asked: Arc<Target>,
    question: Question,
}

impl Check {
    /// Those that can be asked, in the configuration's order: not wildcards that name no model, nor models whose answer
    /// would cost too much.
    pub(crate) fn all(
        worker: &Worker,
        snapshot: &Snapshot,
        is_wanted: impl Fn(&Deployment) -> bool,
    ) -> Vec<Self> {
        let wanted = snapshot.config().deployments.iter().filter(|deployment| is_wanted(deployment));
        wanted.filter_map(|deployment| Self::of(worker, snapshot, deployment)).collect()
    }

    fn of(worker: &Worker, snapshot: &Snapshot, deployment: &Deployment) -> Option<Self> {
        let metrics = worker.gateway.metrics();
        let question = Question::of(mode(snapshot, deployment))?;
        let other = deployment.health_check.model.as_deref().and_then(|model| {
            let (name, model) = named(deployment, model);
            snapshot.builder().target(deployment, &name, &model, metrics).ok().map(Arc::new)
        });
        let own = || {
            let alone = snapshot.group(metrics, &deployment.id)?;
            alone.targets().first().map(Arc::clone)
        };
        let target = if deployment.model_name.contains('*') { other.clone()? } else { own()? };
        let asked = other.unwrap_or_else(|| Arc::clone(&target));
        Some(Self { deployment: deployment.clone(), target, asked, question })
    }

    fn limit(&self) -> Duration {
        let own = self.deployment.health_check.timeout;
        own.unwrap_or_else(|| self.target.timeout.unwrap_or(TIMEOUT).min(TIMEOUT))
    }

    /// Asks; nothing where this is not the moment to ask.
    async fn run(&self, worker: &Worker, manner: Manner) -> Option<Outcome> {
        let place = match CheckPlace::take(&self.target, PROBE_TOKENS, manner.counts) {
            Ok(place) => place,
            Err(NotAsked::Forced) => return Some(not_asked(503, "an operator has taken it out")),
            Err(NotAsked::Paused) => return Some(not_asked(429, "it has asked for a pause")),
            Err(NotAsked::Probed | NotAsked::Full) => return None,
        };
        let alerts = worker.gateway.alerts();
        match probe(&worker.client, &self.asked, self.question, self.limit()).await {
            Ok(headers) => {
                alerts.learned(&self.target, &place.answered());
                book_overhead(&self.asked, None, PROBE_TOKENS / 2);
                Some(Ok(shown(&headers)))
            }
            Err(failure) => {
                self.tell(&failure);
                if manner.counts && !(manner.ignores_passing && is_passing(&failure)) {
                    let lesson = place.failed(failure.kind, failure.retry_after);
                    alerts.learned(&self.target, &lesson);
                }
                let mut rejection = failure.rejection;
                let mut message = rejection.message().to_owned();
                let met = rejection.headers_mut().remove(X_TOLLGATE_FAULT);
                let met = met.as_ref().and_then(|fault| fault.to_str().ok());
                if let Some(fault) = met.filter(|_| !message.contains("tollgate_fault")) {
                    message = format!("{message} (tollgate_fault: {fault})");
                }
                Some(Err((rejection.status().as_u16(), message)))
            }
        }
    }

    fn tell(&self, failure: &AttemptFailure) {
        tracing::warn!(
            deployment = %self.deployment.id,
            provider = self.asked.provider.name,
            model = %self.asked.model,
            class = failure.class,
            status = failure.rejection.status().as_u16(),
            detail = %failure.detail,
            "health check failed"
        );
    }
}

/// What a deployment's models are for, by the operator's word or the catalogue's.
fn mode(snapshot: &Snapshot, deployment: &Deployment) -> Mode {
    let written = deployment.model_info.get("mode").and_then(serde_json::Value::as_str);
    let known = || snapshot.model_facts(deployment).map_or(Mode::Unknown, |facts| facts.mode);
    written.map_or_else(known, Mode::from_name)
}

/// The name by which callers would ask a deployment for `model`, and the model as its provider names it.
fn named(deployment: &Deployment, model: &str) -> (String, String) {
    let provider = deployment.provider.name;
    let plain = model.strip_prefix(provider).and_then(|rest| rest.strip_prefix('/')).unwrap_or(model);
    let star = deployment.model.split_once('*').and_then(|(before, after)| {
        plain.strip_prefix(before)?.strip_suffix(after).filter(|star| !star.is_empty())
    });
    let name = deployment.model_name.replacen('*', star.unwrap_or(plain), 1);
    (name, plain.to_owned())
}

/// A 408, a 429 or a timeout.
fn is_passing(failure: &AttemptFailure) -> bool {
    matches!(failure.kind, FailureKind::Timeout | FailureKind::RateLimit)
}

fn not_asked(status: u16, why: &str) -> Outcome {
    Err((status, format!("Not asked: {why}.")))
}

fn shown(headers: &HeaderMap) -> HeaderMap {
    let mut shown = HeaderMap::new();
    for name in SHOWN {
        if let Some(value) = headers.get(name) {
            shown.insert(name, value.clone());
        }
    }
    shown
}

/// What a check is for.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Manner {
    /// What it finds counts as the end of a request does.
    counts: bool,
    /// But for a 408, a 429 or a timeout.
    ignores_passing: bool,
}

/// Asks so many at a time; `done` is told the position of each and what was found.
pub(crate) async fn ask_all(
    worker: &Worker,
    checks: &[Check],
    (manner, at_a_time): (Manner, usize),
    mut done: impl FnMut(usize, Option<Outcome>),
) {
    let mut waiting = checks.iter().cloned().enumerate();
    let mut asking = JoinSet::new();
    loop {
        while asking.len() < at_a_time {
            let Some((position, check)) = waiting.next() else { break };
            let worker = worker.clone();
            asking.spawn(async move { (position, check.run(&worker, manner).await) });
        }
        match asking.join_next().await {
            Some(Ok((position, outcome))) => done(position, outcome),
            Some(Err(error)) => tracing::error!(%error, "a health check's code panicked"),
            None => return,
        }
    }
}

/// Asks every deployment from time to time, where the configuration wants it (`background_health_checks`), until the drain
/// begins. Ends with the drain; one for the whole process.
pub async fn check_deployments(worker: Arc<Worker>) {
    let gateway = &worker.gateway;
    let (mut stage, mut reloads) = (gateway.drain().subscribe(), gateway.reloads());
    let mut last: Option<Instant> = None;
    while *stage.borrow_and_update() == Stage::Running {
        reloads.mark_unchanged();
        let snapshot = gateway.snapshot();
        let general = &snapshot.config().general;
        let (is_wanted, interval) = (general.background_health_checks, general.health_check_interval);
        let next = last.filter(|_| is_wanted).map_or_else(Instant::now, |last| last + interval);
        last = last.filter(|_| is_wanted);
        if is_wanted && next <= Instant::now() {
            last = Some(Instant::now());
            tokio::select! {
                biased;
                _ = stage.changed() => continue,
                () = round(&worker, &snapshot) => {}
            }
        }
        drop(snapshot);
        let next = last.map(|last| last + interval);
        tokio::select! {
            biased;
            _ = stage.changed() => {}
            _ = reloads.changed() => {}
            () = sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {}
        }
    }
}

/// Asks all of them once.
async fn round(worker: &Worker, snapshot: &Snapshot) {
    let checks = Check::all(worker, snapshot, |deployment| !deployment.health_check.is_left_out);
    let router = &snapshot.config().router;
    let manner = Manner {
        counts: router.enable_health_check_routing,
        ignores_passing: router.health_check_ignore_transient_errors,
    };
    let results = worker.gateway.checks();
    results.retain(&checks);
    ask_all(worker, &checks, (manner, AT_A_TIME), |position, outcome| {
        if let (Some(check), Some(outcome)) = (checks.get(position), outcome) {
            results.note(&check.deployment.id, outcome);
        }
    })
    .await;
}
