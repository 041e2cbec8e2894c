//! The open loop: requests that come when they come, however long the ones before them take.
//!
//! Every request has its moment, and its time counts from there: a gateway that stands still for a while is seen in the
//! times of all requests that came meanwhile, not of the one that it stood at. What the replies mean is `loss.rs`'s and
//! `hedging.rs`'s.
//!
//! **Invariant**: nothing is left out: a request that fails is a reply with an error.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use memchr::memmem;
use tokio::task::JoinSet;

use super::load::Target;
use super::stats::percentile;
use super::wire::{Client, header};

/// Bytes of a reply that are looked at for errors: its end.
const END_BYTES: usize = 4_096;
/// The longest that one request is waited for.
const REPLY_MAX: Duration = Duration::from_secs(60);

/// What became of one request.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Reply {
    /// When it came, since the beginning.
    pub(crate) at: Duration,
    /// From then to the last byte of its answer, milliseconds.
    pub(crate) took_ms: f64,
    /// What the caller got in place of an answer.
    pub(crate) error: Option<String>,
    /// The deployment that answered.
    pub(crate) deployment: String,
    /// Attempts before the one that answered.
    pub(crate) retries: u32,
    /// Whether another deployment was asked beside the first.
    pub(crate) was_hedged: bool,
}

impl Reply {
    /// When its answer was there, since the beginning.
    pub(crate) fn ended_at(&self) -> Duration {
        self.at + Duration::from_secs_f64(self.took_ms / 1e3)
    }
}

/// What was seen of the replies, one value a round.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Seen {
    /// Median time, milliseconds.
    pub(crate) p50: Vec<f64>,
    /// 99th percentile.
    pub(crate) p99: Vec<f64>,
    /// Requests that were not answered with 200.
    pub(crate) errors: usize,
}

impl Seen {
    /// Adds a round.
    pub(crate) fn note(&mut self, replies: &[Reply]) {
        let took: Vec<f64> = replies.iter().map(|reply| reply.took_ms).collect();
        self.p50.push(percentile(&took, 50.0));
        self.p99.push(percentile(&took, 99.0));
        self.errors += replies.iter().filter(|reply| reply.error.is_some()).count();
    }
}

/// Sends `rate` requests a second for the length of a window, the targets in turns: the replies, and the seconds until the last of
/// them.
pub(crate) async fn within(targets: &[Target], rate: u32, window: Duration) -> (Vec<Reply>, f64) {
    let arrivals = Arrivals::new();
    let clock = async {
        tokio::time::sleep(window).await;
        arrivals.stop();
    };
    tokio::join!(arrivals.send(targets, rate), clock);
    (arrivals.replies(), arrivals.elapsed().as_secs_f64())
}

/// Requests on their way, shared with whoever watches them.
pub(crate) struct Arrivals {
    begun: Instant,
    replies: Mutex<Vec<Reply>>,
    idle: Mutex<Vec<Client>>,
    is_over: AtomicBool,
}

impl Arrivals {
    /// None yet; time counts from here.
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            begun: Instant::now(),
            replies: Mutex::default(),
            idle: Mutex::default(),
            is_over: AtomicBool::new(false),
        })
    }

    /// When it began.
    pub(crate) fn begun(&self) -> Instant {
        self.begun
    }

    /// Time since the beginning.
    pub(crate) fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    /// No more requests come.
    pub(crate) fn stop(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    /// The replies so far, in the order of their ends.
    pub(crate) fn replies(&self) -> Vec<Reply> {
        lock(&self.replies).clone()
    }

    /// Whether one of the replies so far is of that kind.
    pub(crate) fn any(&self, is_it: impl FnMut(&Reply) -> bool) -> bool {
        lock(&self.replies).iter().any(is_it)
    }

    /// Sends `rate` requests a second until it is stopped, the targets in turns; ends with the last reply.
    pub(crate) async fn send(self: &Arc<Self>, targets: &[Target], rate: u32) {
        let first = self.elapsed();
        let mut tasks = JoinSet::new();
        for (number, target) in (0u32..).zip(targets.iter().cycle()) {
            let at = first + Duration::from_secs(1) * number / rate;
            tokio::time::sleep_until((self.begun + at).into()).await;
            if self.is_over.load(Ordering::Relaxed) {
                break;
            }
            let (own, target) = (Arc::clone(self), target.clone());
            tasks.spawn(async move { own.one(&target, at).await });
            while tasks.try_join_next().is_some() {}
        }
        while tasks.join_next().await.is_some() {}
    }

    async fn one(&self, target: &Target, at: Duration) {
        let mut reply = Reply { at, ..Reply::default() };
        let asked = tokio::time::timeout(REPLY_MAX, self.ask(target, &mut reply)).await;
        let asked = asked.unwrap_or_else(|_| Err(format!("no answer within {} s", REPLY_MAX.as_secs())));
        reply.error = asked.err();
        reply.took_ms = (self.elapsed().saturating_sub(at)).as_secs_f64() * 1e3;
        lock(&self.replies).push(reply);
    }

    async fn ask(&self, target: &Target, reply: &mut Reply) -> Result<(), String> {
        let idle = {
            let mut idle = lock(&self.idle);
            std::iter::from_fn(|| idle.pop()).find(Client::is_open)
        };
        let mut client = match idle {
            Some(client) => client,
            None => Client::connect(target.port).await.map_err(|error| format!("connect: {error}"))?,
        };
        let mut end = Vec::new();
        let exchange = client.exchange(&target.request, |part| keep_end(&mut end, part)).await;
        let status = exchange.map_err(|error| format!("exchange: {error}"))?;
        reply.read(client.head());
        lock(&self.idle).push(client);
        match fault(status, &end) {
            Some(fault) => Err(fault),
            None => Ok(()),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Reply {
    /// Reads what the gateway says of the way.
    fn read(&mut self, head: &[u8]) {
        let text = |name| std::str::from_utf8(header(head, name).unwrap_or_default()).unwrap_or_default();
        self.deployment = text("x-litellm-model-id").to_owned();
        self.retries = text("x-litellm-attempted-retries").parse().unwrap_or(0);
        self.was_hedged = text("x-tollgate-hedged") == "true";
    }
}

fn keep_end(end: &mut Vec<u8>, part: &[u8]) {
    end.extend_from_slice(part);
    let surplus = end.len().saturating_sub(END_BYTES);
    end.drain(..surplus);
}

/// What is wrong with an answer: its status, an error event, or a stream without an end.
fn fault(status: u16, end: &[u8]) -> Option<String> {
    let has = |text: &[u8]| memmem::find(end, text).is_some();
    let is_stream = has(b"data: ");
    if status == 200 && !has(b"\"error\":") && (!is_stream || has(b"data: [DONE]")) {
        return None;
    }
    Some(format!("{status}: {}", String::from_utf8_lossy(end)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    #[test]
    fn an_answer_is_whole_or_at_fault() {
        let check = |status: u16, end: &str, expect: bool| {
            assert_eq!(fault(status, end.as_bytes()).is_none(), expect, "{status} {end}");
        };
        check(200, "{\"choices\":[]}", true);
        check(200, "data: {\"choices\":[]}\n\ndata: [DONE]\n\n", true);
        check(200, "data: {\"choices\":[]}\n\n", false);
        check(200, "data: {\"error\":{}}\n\ndata: [DONE]\n\n", false);
        check(503, "{\"choices\":[]}", false);
    }

    #[test]
    fn the_head_says_the_way() {
        let mut reply = Reply::default();
        reply.read(
            b"HTTP/1.1 200 OK\r\nx-litellm-model-id: b\r\nX-LiteLLM-Attempted-Retries: 2\r\n\
              x-tollgate-hedged: true\r\n\r\n",
        );
        assert_eq!((reply.deployment.as_str(), reply.retries, reply.was_hedged), ("b", 2, true));
        reply.read(b"HTTP/1.1 200 OK\r\n\r\n");
        assert_eq!((reply.deployment.as_str(), reply.retries, reply.was_hedged), ("", 0, false));
    }

    #[test]
    fn a_round_is_summed_up() {
        let reply = |took_ms| Reply { took_ms, ..Reply::default() };
        let failed = Reply { error: Some("503".to_owned()), ..reply(9.0) };
        let mut seen = Seen::default();
        seen.note(&[reply(1.0), reply(2.0), reply(3.0), failed]);
        seen.note(&[reply(4.0)]);
        assert_eq!(seen, Seen { p50: vec![2.0, 4.0], p99: vec![9.0, 4.0], errors: 1 });
    }

    #[test]
    fn only_the_end_of_an_answer_is_kept() {
        let mut end = Vec::new();
        for _ in 0..10 {
            keep_end(&mut end, &[b'x'; 1_000]);
        }
        keep_end(&mut end, b"data: [DONE]");
        assert_eq!(end.len(), END_BYTES);
        assert!(end.ends_with(b"data: [DONE]"));
    }

    /// A server whose first request is never answered, and which does not hold up the others.
    #[tokio::test]
    async fn a_request_that_hangs_delays_no_other() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let (first, _) = listener.accept().await.unwrap();
            while let Ok((mut socket, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut buffer = Vec::new();
                    while let Ok(Some(length)) =
                        super::super::wire::read_message(&mut socket, &mut buffer).await
                    {
                        buffer.drain(..length);
                        socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
                    }
                });
            }
            drop(first);
        });
        let request = Arc::from(&b"POST / HTTP/1.1\r\ncontent-length: 0\r\n\r\n"[..]);
        let target = Target { port, request };
        let arrivals = Arrivals::new();
        let sending = {
            let arrivals = Arc::clone(&arrivals);
            tokio::spawn(async move { arrivals.send(&[target], 500).await })
        };
        while arrivals.replies().len() < 10 {
            tokio::task::yield_now().await;
        }
        arrivals.stop();
        sending.abort();
        let replies = arrivals.replies();
        assert!(replies.iter().all(|reply| reply.error.is_none()), "{replies:?}");
        assert!(
            replies.iter().all(|reply| reply.at > Duration::ZERO),
            "the first has no answer: {replies:?}"
        );
    }
}
