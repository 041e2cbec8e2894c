//! The load: closed loops for throughput, an open loop at a low rate for latency, paced streams for stalls.
//!
//! One thread makes all load, so that it shares a core with the stand-in and leaves the other to the contender.
//! What is sent is `contender.rs`'s, what the numbers mean `report.rs`'s.
//!
//! **Invariant**: a reply that is not a 200 ends the measurement with its text; a failure is never counted as speed.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use memchr::memmem;
use tokio::task::JoinSet;

use super::upstream::now_ns;
use super::wire::Client;

/// Where a load goes and what each request is.
#[derive(Clone)]
pub(crate) struct Target {
    /// Port on the loopback.
    pub(crate) port: u16,
    /// The whole request, head and body.
    pub(crate) request: Arc<[u8]>,
}

/// Requests completed in a window, with what was sampled at both of its ends.
pub(crate) struct Burst<S> {
    /// Requests whose last byte arrived in the window.
    pub(crate) requests: u64,
    /// Length of the window.
    pub(crate) seconds: f64,
    /// The sample at the window's start.
    pub(crate) before: S,
    /// The sample at the window's end.
    pub(crate) after: S,
}

/// Keeps `connections` busy for `warm`, then for the measured `window`, with the targets in turns.
///
/// # Errors
/// On the first failed exchange.
pub(crate) async fn saturate<S>(
    targets: &[Target],
    connections: usize,
    warm: Duration,
    window: Duration,
    sample: impl Fn() -> S,
) -> Result<Burst<S>, String> {
    let done = Arc::new(AtomicBool::new(false));
    let count = Arc::new(AtomicU64::new(0));
    let turn = Arc::new(AtomicUsize::new(0));
    let targets: Arc<[Target]> = Arc::from(targets);
    let mut tasks = JoinSet::new();
    for _ in 0..connections {
        let turns = (Arc::clone(&targets), Arc::clone(&turn));
        tasks.spawn(closed_loop(turns, Arc::clone(&done), Arc::clone(&count)));
    }
    let clock = async {
        tokio::time::sleep(warm).await;
        let (before, first, start) = (sample(), count.load(Ordering::Relaxed), Instant::now());
        tokio::time::sleep(window).await;
        let (seconds, last, after) = (start.elapsed().as_secs_f64(), count.load(Ordering::Relaxed), sample());
        done.store(true, Ordering::Relaxed);
        Burst { requests: last - first, seconds, before, after }
    };
    let mut clock = std::pin::pin!(clock);
    loop {
        tokio::select! {
            burst = &mut clock => return Ok(burst),
            ended = tasks.join_next() => match ended {
                Some(Ok(Ok(()))) => {}
                Some(Ok(Err(message))) => return Err(message),
                Some(Err(error)) => return Err(error.to_string()),
                None => return Err("every connection ended before the window did".to_owned()),
            },
        }
    }
}

async fn closed_loop(
    (targets, turn): (Arc<[Target]>, Arc<AtomicUsize>),
    done: Arc<AtomicBool>,
    count: Arc<AtomicU64>,
) -> Result<(), String> {
    let first = targets.first().ok_or("nothing is asked for")?;
    let mut client = connect(first).await?;
    while !done.load(Ordering::Relaxed) {
        let target = targets.get(turn.fetch_add(1, Ordering::Relaxed) % targets.len()).unwrap_or(first);
        exchange(&mut client, target, |_| {}).await?;
        count.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

async fn connect(target: &Target) -> Result<Client, String> {
    Client::connect(target.port).await.map_err(|error| format!("connect to port {}: {error}", target.port))
}

async fn exchange(
    client: &mut Client,
    target: &Target,
    mut on_body: impl FnMut(&[u8]),
) -> Result<(), String> {
    let mut text = Vec::new();
    let status = client
        .exchange(&target.request, |part| {
            // The text matters only when the reply is an error, which is short.
            if text.len() < 2000 {
                text.extend_from_slice(part.get(..part.len().min(2000)).unwrap_or_default());
            }
            on_body(part);
        })
        .await
        .map_err(|error: io::Error| format!("exchange with port {}: {error}", target.port))?;
    match status {
        200 => Ok(()),
        status => Err(format!("port {} answered {status}: {}", target.port, String::from_utf8_lossy(&text))),
    }
}

/// What a low rate of requests saw, microseconds from the first byte sent.
#[derive(Default)]
pub(crate) struct Latencies {
    /// To the first part of the body.
    pub(crate) first_us: Vec<f64>,
    /// To the last byte.
    pub(crate) whole_us: Vec<f64>,
}

/// Connections that share the low rate, so that a slow contender is not measured by a queue of one.
const LOW_RATE_CONNECTIONS: u32 = 4;

/// Sends `rate` requests a second for the time of the window.
///
/// # Errors
/// On the first failed exchange.
pub(crate) async fn low_rate(target: &Target, rate: u32, window: Duration) -> Result<Latencies, String> {
    let pause = Duration::from_secs(1) * LOW_RATE_CONNECTIONS / rate;
    let mut tasks = JoinSet::new();
    for number in 0..LOW_RATE_CONNECTIONS {
        tasks.spawn(open_loop(target.clone(), pause, pause / LOW_RATE_CONNECTIONS * number, window));
    }
    let mut all = Latencies::default();
    while let Some(ended) = tasks.join_next().await {
        let part = ended.map_err(|error| error.to_string())??;
        all.first_us.extend(part.first_us);
        all.whole_us.extend(part.whole_us);
    }
    Ok(all)
}

async fn open_loop(
    target: Target,
    pause: Duration,
    offset: Duration,
    window: Duration,
) -> Result<Latencies, String> {
    let mut client = connect(&target).await?;
    // The first exchange on a connection opens the contender's own connection; that is not what is measured.
    exchange(&mut client, &target, |_| {}).await?;
    tokio::time::sleep(offset).await;
    let mut ticks = tokio::time::interval(pause);
    let end = Instant::now() + window;
    let mut seen = Latencies::default();
    while Instant::now() < end {
        ticks.tick().await;
        let (start, mut first) = (Instant::now(), None);
        exchange(&mut client, &target, |_| {
            first.get_or_insert_with(|| start.elapsed());
        })
        .await?;
        seen.whole_us.push(micros(start.elapsed()));
        seen.first_us.extend(first.map(micros));
    }
    Ok(seen)
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// What paced streams saw.
#[derive(Default)]
pub(crate) struct Paced {
    /// From the stand-in's write of each token to its arrival, microseconds.
    pub(crate) relay_us: Vec<f64>,
    /// Tokens that came later after the one before than three times the pace.
    pub(crate) stalls: u64,
    /// Streams that were read to their end.
    pub(crate) streams: u64,
}

/// Opens `streams` streams at once, their starts spread over one pace, and reads them to their end.
///
/// # Errors
/// On the first failed stream, or one that has not its number of tokens.
pub(crate) async fn paced(
    target: &Target,
    streams: u32,
    pace: Duration,
    tokens: usize,
) -> Result<Paced, String> {
    let mut tasks = JoinSet::new();
    for number in 0..streams {
        let (target, offset) = (target.clone(), pace * number / streams);
        tasks.spawn(async move {
            let mut client = connect(&target).await?;
            tokio::time::sleep(offset).await;
            one_stream(&mut client, &target, pace, tokens).await
        });
    }
    let mut all = Paced::default();
    while let Some(ended) = tasks.join_next().await {
        let part = ended.map_err(|error| error.to_string())??;
        all.relay_us.extend(part.relay_us);
        all.stalls += part.stalls;
        all.streams += 1;
    }
    Ok(all)
}

async fn one_stream(
    client: &mut Client,
    target: &Target,
    pace: Duration,
    tokens: usize,
) -> Result<Paced, String> {
    let mut seen = Paced::default();
    let mut last: Option<Instant> = None;
    exchange(client, target, |part| {
        let (now, now_ns) = (Instant::now(), now_ns());
        for written in stamps(part) {
            seen.relay_us.push(now_ns.saturating_sub(written) as f64 / 1e3);
            let late = last.is_some_and(|last| now.duration_since(last) > pace * 3);
            seen.stalls += u64::from(late);
            last = Some(now);
        }
    })
    .await?;
    match seen.relay_us.len() {
        count if count == tokens => Ok(seen),
        count => Err(format!("a stream of {tokens} tokens through port {} had {count}", target.port)),
    }
}

/// The times that the paced tokens in a part of the body carry: `"content":"@NANOSECONDS"`.
fn stamps(part: &[u8]) -> impl Iterator<Item = u128> {
    memmem::find_iter(part, b"\"@").filter_map(|at| {
        let digits = part.get(at + 2..)?;
        let end = memchr::memchr(b'"', digits)?;
        std::str::from_utf8(digits.get(..end)?).ok()?.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_are_read_from_every_event_of_a_part() {
        let part = br#"data: {"content":"@17"} data: {"content":"@18"} data: {"content":"x"}"#;
        assert_eq!(stamps(part).collect::<Vec<_>>(), [17, 18]);
        assert_eq!(stamps(b"\"@cut").count(), 0);
    }

    /// A server that answers every request on one connection with the given bytes.
    async fn server(reply: &'static [u8]) -> Target {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut buffer = Vec::new();
                    while let Ok(Some(length)) =
                        super::super::wire::read_message(&mut socket, &mut buffer).await
                    {
                        buffer.drain(..length);
                        tokio::io::AsyncWriteExt::write_all(&mut socket, reply).await.unwrap();
                    }
                });
            }
        });
        Target { port, request: Arc::from(&b"POST / HTTP/1.1\r\ncontent-length: 0\r\n\r\n"[..]) }
    }

    #[tokio::test]
    async fn a_closed_loop_counts_completed_requests() {
        let target = server(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
        let window = Duration::from_millis(50);
        let targets = [target.clone(), target.clone()];
        let burst = saturate(&targets, 2, Duration::ZERO, window, || 7).await.unwrap();
        assert!(burst.requests > 0);
        assert_eq!((burst.before, burst.after), (7, 7));
        let seen = low_rate(&target, 200, window).await.unwrap();
        assert_eq!(seen.first_us.len(), seen.whole_us.len());
        assert!(!seen.whole_us.is_empty());
    }

    #[tokio::test]
    async fn an_error_reply_ends_the_measurement_with_its_text() {
        let target = server(b"HTTP/1.1 429 Slow\r\ncontent-length: 4\r\n\r\nslow").await;
        let window = Duration::from_secs(5);
        let error = saturate(&[target], 1, Duration::ZERO, window, || ()).await.err().unwrap();
        assert!(error.ends_with("answered 429: slow"), "{error}");
    }

    #[tokio::test]
    async fn a_stream_with_too_few_tokens_is_an_error() {
        let target = server(
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n\"@17\"\r\n5\r\n\"@18\"\r\n0\r\n\r\n",
        )
        .await;
        let pace = Duration::from_millis(1);
        let seen = paced(&target, 3, pace, 2).await.unwrap();
        assert_eq!((seen.streams, seen.relay_us.len()), (3, 6));
        let error = paced(&target, 1, pace, 3).await.err().unwrap();
        assert!(error.contains("3 tokens") && error.ends_with("had 2"), "{error}");
    }
}
