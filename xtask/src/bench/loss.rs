//! One of three deployments is lost under load, and comes back: what callers see of it.
//!
//! Three stand-ins, each a process of its own. Shut: its process is killed, so that connections break and new ones are
//! refused. Hung: its process is stopped, so that the kernel accepts and nobody answers. The words are
//! `routed.rs`'s.
//!
//! **Invariant**: requests come at the same rate before, during and after the loss, and every one of them is counted.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::arrivals::{Arrivals, Reply};
use super::contender::{Contender, deployment, general_settings};
use super::load::Target;
use super::process::Server;
use super::stats::percentile;
use super::tail::Tail;
use super::{start_upstream, upstream_at};
use crate::shell::Workspace;

/// Requests a second, plain and streamed in turns.
pub(crate) const RATE: u32 = 200;
/// What the stand-ins take: nothing is under way at a provider that answers at once.
const PACE: Tail = Tail { low_ms: 20, high_ms: 40, slow_percent: 0, slow_ms: 0 };
/// Failures in a row after which a deployment is ejected, as the gateway's defaults have it.
const FAILURES_TO_EJECT: u32 = 3;

/// How a deployment is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    /// Connections break and are refused.
    Shut,
    /// Connections are accepted and nothing is answered.
    Hung,
}

impl Loss {
    /// The words for tables.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Shut => "shut: connections refused",
            Self::Hung => "hung: never answers, 1 s allowed",
        }
    }

    fn group(self) -> &'static str {
        match self {
            Self::Shut => "shut",
            Self::Hung => "hung",
        }
    }

    fn limits(self) -> &'static [&'static str] {
        match self {
            Self::Shut => &[],
            Self::Hung => &["timeout: 1", "stream_timeout: 1"],
        }
    }
}

/// How long each part of it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LossPlan {
    /// Before what is measured: connections are opened.
    pub(crate) warm: Duration,
    /// All three are there.
    pub(crate) steady: Duration,
    /// Two are.
    pub(crate) lost: Duration,
    /// The longest that the third is waited for after it has come back.
    pub(crate) back_max: Duration,
}

/// What was seen of one loss.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LossRow {
    /// How it was lost.
    pub(crate) loss: Loss,
    /// Requests of the window.
    pub(crate) requests: usize,
    /// Callers that got an error, from the first request to the last, and what the first of them got.
    pub(crate) errors: usize,
    pub(crate) first_error: Option<String>,
    /// 99th percentile before the loss, milliseconds.
    pub(crate) steady_p99: f64,
    /// 99th percentile during the loss.
    pub(crate) lost_p99: f64,
    /// The longest during the loss.
    pub(crate) lost_longest: f64,
    /// Attempts at the lost deployment up to its ejection.
    pub(crate) attempts_before: u32,
    /// Attempts by requests that came after it.
    pub(crate) attempts_after: u32,
    /// Requests that came between its return and the first that it answered, and how long that took; none where it was
    /// not used again in time.
    pub(crate) until_used: Option<(usize, Duration)>,
}

/// Loses the first of three deployments, once for each way.
///
/// # Errors
/// When a stand-in or the gateway does not start.
pub(crate) async fn measure(
    workspace: &Workspace,
    folder: &Path,
    plan: LossPlan,
) -> Result<Vec<LossRow>, String> {
    let mut rows = Vec::new();
    for loss in [Loss::Shut, Loss::Hung] {
        eprintln!("loss of one of three, {}", loss.title());
        // A gateway for each: what one loss has taught does not help with the next.
        let (first, port) = start_upstream(workspace)?;
        let (second, third) = (start_upstream(workspace)?, start_upstream(workspace)?);
        let ports = [port, second.1, third.1];
        let gateway = Contender::gateway(workspace, folder, ("loss", &config(loss, ports)))?;
        let targets = [false, true].map(|stream| gateway.chat(loss.group(), stream));
        let outage = Outage { workspace, loss, plan, port };
        let (replies, moments) = outage.run(first, &targets).await?;
        rows.push(LossRow::of(loss, &replies, moments));
    }
    Ok(rows)
}

fn config(loss: Loss, ports: [u16; 3]) -> String {
    let rows = (0..).zip(ports);
    let rows: String =
        rows.map(|(at, port)| deployment(loss.group(), &PACE.model(), at, port, loss.limits())).collect();
    format!("model_list:\n{rows}{}", general_settings())
}

/// When what happened, since the first request.
#[derive(Clone, Copy, Debug)]
struct Moments {
    steady: Duration,
    lost: Duration,
    back: Duration,
}

struct Outage<'a> {
    workspace: &'a Workspace,
    loss: Loss,
    plan: LossPlan,
    port: u16,
}

impl Outage<'_> {
    async fn run(&self, first: Server, targets: &[Target]) -> Result<(Vec<Reply>, Moments), String> {
        let arrivals = Arrivals::new();
        let direct = async {
            let directed = self.direct(first, &arrivals).await;
            arrivals.stop();
            directed
        };
        let ((), moments) = tokio::join!(arrivals.send(targets, RATE), direct);
        Ok((arrivals.replies(), moments?))
    }

    /// Takes the deployment away and gives it back. The programs that do so are waited for beside the load.
    async fn direct(&self, first: Server, arrivals: &Arc<Arrivals>) -> Result<Moments, String> {
        tokio::time::sleep(self.plan.warm).await;
        let steady = arrivals.elapsed();
        tokio::time::sleep(self.plan.steady).await;
        let lost = arrivals.elapsed();
        let mut server = match self.loss {
            Loss::Shut => beside(move || drop(first)).await.map(|()| None)?,
            Loss::Hung => Some(
                beside(move || {
                    first.pause();
                    first
                })
                .await?,
            ),
        };
        tokio::time::sleep_until((arrivals.begun() + lost + self.plan.lost).into()).await;
        let mut restart = upstream_at(self.workspace, self.port)?;
        let port = self.port;
        server = match server {
            None => Some(beside(move || Server::start(&mut restart, port, "/")).await??),
            Some(stopped) => Some(
                beside(move || {
                    stopped.resume();
                    stopped
                })
                .await?,
            ),
        };
        let back = arrivals.elapsed();
        let name = format!("{}-0", self.loss.group());
        while arrivals.elapsed() < back + self.plan.back_max
            && !arrivals.any(|reply| reply.at >= back && reply.deployment == name)
        {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        // Once it is used, it stays so: the rest shows that.
        tokio::time::sleep(Duration::from_secs(1)).await;
        arrivals.stop();
        drop(server);
        Ok(Moments { steady, lost, back })
    }
}

/// Runs what blocks on a thread of its own.
async fn beside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, String> {
    tokio::task::spawn_blocking(work).await.map_err(|error| error.to_string())
}

impl LossRow {
    fn of(loss: Loss, replies: &[Reply], moments: Moments) -> Self {
        let Moments { steady, lost, back } = moments;
        let within = |from: Duration, to: Duration| {
            let window = replies.iter().filter(move |reply| reply.at >= from && reply.at < to);
            window.map(|reply| reply.took_ms).collect::<Vec<f64>>()
        };
        let window = within(lost, back);
        let errors = replies.iter().filter(|reply| reply.error.is_some());
        let mut failed: Vec<&Reply> =
            replies.iter().filter(|reply| reply.retries > 0 && reply.ended_at() >= lost).collect();
        failed.sort_by_key(|reply| reply.ended_at());
        let ejected = ejected_at(&failed).unwrap_or(Duration::MAX);
        let attempts = |is_after: bool| {
            let them = failed.iter().filter(|reply| (reply.at >= ejected) == is_after && reply.at < back);
            them.map(|reply| reply.retries).sum()
        };
        let name = format!("{}-0", loss.group());
        let used = replies.iter().filter(|reply| reply.at >= back && reply.deployment == name);
        let used = used.map(|reply| reply.at).min();
        Self {
            loss,
            requests: window.len(),
            errors: errors.clone().count(),
            first_error: errors.clone().next().and_then(|reply| reply.error.clone()),
            steady_p99: percentile(&within(steady, lost), 99.0),
            lost_p99: percentile(&window, 99.0),
            lost_longest: percentile(&window, 100.0),
            attempts_before: attempts(false),
            attempts_after: attempts(true),
            until_used: used.map(|at| (within(back, at).len(), at - back)),
        }
    }
}

/// When as many attempts had failed as eject a deployment.
fn ejected_at(failed: &[&Reply]) -> Option<Duration> {
    let mut failures = 0;
    failed.iter().find_map(|reply| {
        failures += reply.retries;
        (failures >= FAILURES_TO_EJECT).then(|| reply.ended_at())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(at_ms: u64, took_ms: f64, retries: u32, deployment: &str) -> Reply {
        let at = Duration::from_millis(at_ms);
        Reply { at, took_ms, retries, deployment: deployment.to_owned(), ..Reply::default() }
    }

    fn moments() -> Moments {
        let [steady, lost, back] = [1_000, 2_000, 3_000].map(Duration::from_millis);
        Moments { steady, lost, back }
    }

    #[test]
    fn attempts_are_told_apart_by_the_ejection() {
        let replies = [
            reply(500, 900.0, 0, "shut-0"),
            reply(1_000, 5.0, 0, "shut-1"),
            reply(1_990, 20.0, 1, "shut-1"),
            reply(2_000, 30.0, 1, "shut-2"),
            reply(2_010, 40.0, 1, "shut-1"),
            // Came before the third failure was known.
            reply(2_040, 8.0, 1, "shut-2"),
            reply(2_900, 8.0, 1, "shut-2"),
            reply(3_000, 8.0, 1, "shut-2"),
            reply(3_100, 8.0, 0, "shut-2"),
            reply(3_250, 8.0, 0, "shut-0"),
        ];
        let row = LossRow::of(Loss::Shut, &replies, moments());
        assert_eq!((row.attempts_before, row.attempts_after), (4, 1));
        assert_eq!(row.until_used, Some((2, Duration::from_millis(250))));
        assert_eq!((row.steady_p99, row.lost_p99, row.requests), (20.0, 40.0, 4));
    }

    #[test]
    fn errors_count_from_the_first_request_to_the_last() {
        let broken = Reply { error: Some("503: no".to_owned()), ..reply(3_500, 1.0, 0, "") };
        let row = LossRow::of(Loss::Hung, &[reply(10, 1.0, 0, "hung-1"), broken], moments());
        assert_eq!((row.errors, row.first_error.as_deref()), (1, Some("503: no")));
        assert_eq!(row.until_used, None);
    }

    #[test]
    fn the_three_deployments_have_names_and_ports_of_their_own() {
        let text = config(Loss::Hung, [1, 2, 3]);
        for (at, port) in (0..).zip([1, 2, 3]) {
            assert!(text.contains(&format!("id: \"hung-{at}\"")), "{text}");
            assert!(text.contains(&format!("http://127.0.0.1:{port}/v1")), "{text}");
        }
        assert_eq!(text.matches("stream_timeout: 1").count(), 3);
    }
}
