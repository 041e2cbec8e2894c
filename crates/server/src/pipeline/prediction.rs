//! A provider that makes a prediction and is then asked for it: Replicate.
//!
//! Owns the requests that one attempt takes there, their order and their pauses, and the prediction's end when nobody
//! waits for it any more. Leaves what a prediction says to the dialect, and how an answer is read to `respond`.
//! **Invariant:** an address that a prediction names is followed to the deployment's own host or over TLS to
//! `replicate.com` alone, so that the credential goes nowhere else; a stream on `replicate.net` is read without it.
//! **Invariant:** a prediction that is left before it is known to be over is cancelled once, and one that is known to be
//! over never.

use super::attempt::{
    AttemptFailure, CallLimits, Order, Unread, from_error_reply, from_failure, from_fault, from_quality,
};
use super::outbound::Prepared;
use super::respond::{self, Answer};
use super::speech::Speech;
use crate::reply::Upstream;
use crate::target::Target;
use crate::worker::Worker;
use bytes::Bytes;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Uri};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep, timeout_at};
use tollgate_dialect::framing::Framing;
use tollgate_dialect::replicate::{self, Prediction};
use tollgate_dialect::wire::ReplyFault;
use tollgate_upstream::{
    Client, Endpoint, Failure, Kind, Outgoing, Phase, Reply, ReplyBody, SegmentBody, Timeouts, Trust,
};

/// The pause before the second look; each is twice the one before.
const PAUSE_MIN: Duration = Duration::from_millis(250);
/// The longest pause between two looks.
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// Longest that one look may take.
const LOOK_MAX: Duration = Duration::from_secs(15);
/// Looks in a row that may fail in passing: they say nothing of the prediction.
const LOOKS_MISSED_MAX: u32 = 3;
/// Longest that a stream which has ended waits for its tokens to be counted.
const LAST_LOOK_MAX: Duration = Duration::from_secs(10);
/// Longest that cancelling may take.
const CANCEL_MAX: Duration = Duration::from_secs(10);
/// The shortest life that Replicate lets a prediction be given.
const LIFE_SECONDS_MIN: u64 = 5;
/// Replicate's header for the longest life of a prediction, in case nobody is left to cancel it.
const CANCEL_AFTER: HeaderName = HeaderName::from_static("cancel-after");
const PREFER: HeaderName = HeaderName::from_static("prefer");

/// One attempt: makes a prediction, and reads it until it is over or its first content is there.
pub(super) async fn attempt(order: Order<'_>, prepared: Prepared) -> Result<Answer, AttemptFailure> {
    let Order { worker, received, target, limits, .. } = order;
    let timeouts = limits.timeouts();
    let sent = Instant::now();
    let (mut outgoing, plan) = prepared.outgoing(timeouts);
    let desk = Arc::new(Desk::new(worker, target, limits, &outgoing.headers));
    if !received.stream {
        let life = timeouts.whole_by.saturating_duration_since(sent).as_secs_f64().ceil();
        outgoing.headers.insert(CANCEL_AFTER, life_header(life));
    }
    let reading = order.reading(plan, sent, timeouts);
    let reply = desk.send(&target.endpoint, outgoing).await?;
    let headers = reply.headers;
    let body = reply.body.collect().await.map_err(|failure| desk.broken(&failure))?;
    let made = Prediction::read(&body).map_err(|fault| desk.unread(&fault))?;
    let cancelling = Cancelling::of(&desk, &made);
    if received.stream {
        let upstream = open_stream(&desk, made, cancelling, timeouts).await?;
        let read = respond::read_stream(reading, headers, Upstream::Prediction(Box::new(upstream))).await;
        return read.map_err(|fault| match fault {
            Unread::Failure(failure) => desk.broken(&failure),
            Unread::Fault(fault) => desk.unread(&fault),
            Unread::Quality(rule, wasted) => from_quality((rule, wasted), target),
        });
    }
    let seen = desk.until_over((made, body), timeouts.head_by).await?;
    cancelling.no_more();
    respond::read_several(reading, headers, &[seen.1]).map_err(|fault| desk.unread(&fault))
}

/// Opens the stream of a prediction, or waits for the whole of one that has none.
async fn open_stream(
    desk: &Arc<Desk>,
    made: Prediction,
    cancelling: Cancelling,
    timeouts: Timeouts,
) -> Result<Streamed, AttemptFailure> {
    let Some(stream) = made.stream_url().filter(|_| !made.is_over()) else {
        let (seen, _) = desk.until_over((made, Bytes::new()), timeouts.head_by).await?;
        cancelling.no_more();
        return Ok(Streamed::told(&seen));
    };
    let look = desk.way(made.get_url()).map_err(|fault| desk.unread(&fault))?;
    let (stream, mut headers) = match Way::to_stream_apart(stream) {
        Some(way) => (way, HeaderMap::new()),
        None => (desk.way(Some(stream)).map_err(|fault| desk.unread(&fault))?, desk.headers.clone()),
    };
    headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let outgoing = stream.outgoing(Method::GET, headers, timeouts);
    let reply = desk.send(&stream.endpoint, outgoing).await?;
    if !Speech::Replicate.is_stream(&reply.headers) {
        return Err(desk.unread(&ReplyFault::Malformed("not an event stream")));
    }
    Ok(Streamed {
        body: Some(reply.body),
        ends: Framing::events_with_cap(replicate::FRAME_BYTES_MAX),
        has_ended: false,
        last_look: None,
        broke: None,
        source: Some(Source { desk: Arc::clone(desk), look, cancelling }),
    })
}

/// The life of a prediction in whole seconds.
fn life_header(seconds: f64) -> HeaderValue {
    let whole = Duration::try_from_secs_f64(seconds).map_or(LIFE_SECONDS_MIN, |life| life.as_secs());
    HeaderValue::from_str(&format!("{}s", whole.max(LIFE_SECONDS_MIN)))
        .unwrap_or_else(|_| HeaderValue::from_static("1m"))
}

/// Where one of a prediction's addresses leads.
#[derive(Debug)]
struct Way {
    endpoint: Endpoint,
    target: Uri,
}

impl Way {
    /// The way to an address, where the credential may go there.
    fn to(url: &str, own: &Endpoint) -> Result<Self, ReplyFault> {
        const FOREIGN: ReplyFault = ReplyFault::Malformed("a prediction's address is not at its provider");
        let named = Endpoint::parse(url, Trust::Catalogue).map_err(|_| FOREIGN)?;
        let target = named.target("").map_err(|_| FOREIGN)?;
        let host = named.host();
        let is_replicates = named.is_tls() && (host == "replicate.com" || host.ends_with(".replicate.com"));
        match () {
            () if own.is_same_origin(&named) => Ok(Self { endpoint: own.clone(), target }),
            () if is_replicates => Ok(Self { endpoint: named, target }),
            () => Err(FOREIGN),
        }
    }

    /// The way to a stream on one of Replicate's `*.replicate.net`: its path is secret enough, and no credential goes along.
    fn to_stream_apart(url: &str) -> Option<Self> {
        let endpoint = Endpoint::parse(url, Trust::Catalogue).ok()?;
        let is_apart = endpoint.is_tls() && endpoint.host().ends_with(".replicate.net");
        let target = endpoint.target("").ok().filter(|_| is_apart)?;
        Some(Self { endpoint, target })
    }

    fn outgoing(&self, method: Method, headers: HeaderMap, timeouts: Timeouts) -> Outgoing {
        Outgoing { method, target: self.target.clone(), headers, body: SegmentBody::default(), timeouts }
    }
}

/// What every request about a prediction takes.
struct Desk {
    client: Arc<Client>,
    target: Arc<Target>,
    limits: CallLimits,
    /// Those of the making, without what speaks of its body.
    headers: HeaderMap,
}

impl Desk {
    fn new(worker: &Worker, target: &Arc<Target>, limits: CallLimits, making: &HeaderMap) -> Self {
        let mut headers = making.clone();
        headers.remove(CONTENT_TYPE);
        headers.remove(PREFER);
        Self { client: Arc::clone(&worker.client), target: Arc::clone(target), limits, headers }
    }

    fn broken(&self, failure: &Failure) -> AttemptFailure {
        from_failure(failure, &self.target, self.limits)
    }

    fn unread(&self, fault: &ReplyFault) -> AttemptFailure {
        from_fault(fault, &self.target)
    }

    fn way(&self, url: Option<&str>) -> Result<Way, ReplyFault> {
        let url = url.ok_or(ReplyFault::Malformed("a prediction has no address to look at"))?;
        Way::to(url, &self.target.endpoint)
    }

    /// Sends a request; what is no success is a failure.
    async fn send(&self, endpoint: &Endpoint, outgoing: Outgoing) -> Result<Reply, AttemptFailure> {
        let timeouts = outgoing.timeouts;
        let sent = self.client.send(endpoint, outgoing).await;
        let reply = sent.map_err(|failure| self.broken(&failure))?;
        if reply.status.is_success() {
            return Ok(reply);
        }
        Err(from_error_reply(reply, Speech::Replicate, &self.target, timeouts).await)
    }

    /// Looks at a prediction once.
    async fn look(&self, way: &Way, by: Instant) -> Result<(Prediction, Bytes), AttemptFailure> {
        let by = (Instant::now() + LOOK_MAX).min(by);
        let timeouts = Timeouts { connect: self.limits.connect, head_by: by, idle: LOOK_MAX, whole_by: by };
        let outgoing = way.outgoing(Method::GET, self.headers.clone(), timeouts);
        let reply = self.send(&way.endpoint, outgoing).await?;
        let body = reply.body.collect().await.map_err(|failure| self.broken(&failure))?;
        let seen = Prediction::read(&body).map_err(|fault| self.unread(&fault))?;
        Ok((seen, body))
    }

    /// Looks at a prediction that was seen like this until it is over.
    async fn until_over(
        &self,
        seen: (Prediction, Bytes),
        by: Instant,
    ) -> Result<(Prediction, Bytes), AttemptFailure> {
        if seen.0.is_over() {
            return Ok(seen);
        }
        let way = self.way(seen.0.get_url()).map_err(|fault| self.unread(&fault))?;
        self.look_until_over(&way, PAUSE_MIN, by).await
    }

    /// Looks after a first pause, and then after others that grow.
    async fn look_until_over(
        &self,
        way: &Way,
        mut pause: Duration,
        by: Instant,
    ) -> Result<(Prediction, Bytes), AttemptFailure> {
        let looks = async {
            let mut missed = 0;
            loop {
                sleep(pause).await;
                pause = (pause * 2).clamp(PAUSE_MIN, PAUSE_MAX);
                match self.look(way, by).await {
                    Ok(seen) if seen.0.is_over() => return Ok(seen),
                    Ok(_) => missed = 0,
                    Err(failure) if missed < LOOKS_MISSED_MAX && failure.is_passing() => {
                        missed += 1;
                        pause = pause.max(failure.retry_after.unwrap_or_default());
                    }
                    Err(failure) => return Err(failure),
                }
            }
        };
        let late = Failure::new(Kind::Timeout, Phase::AwaitingHead, "the prediction was not over in time");
        match timeout_at(by, looks).await {
            Ok(seen) => seen,
            Err(_) => Err(self.broken(&late)),
        }
    }

    /// Asks the provider to end a prediction. Nobody waits for it, and nothing follows where it fails.
    async fn cancel(self: Arc<Self>, way: Way) {
        let by = Instant::now() + CANCEL_MAX;
        let timeouts = Timeouts { connect: self.limits.connect, head_by: by, idle: CANCEL_MAX, whole_by: by };
        let outgoing = way.outgoing(Method::POST, self.headers.clone(), timeouts);
        let cancelled = match self.send(&way.endpoint, outgoing).await {
            // Read to its end, so that the connection serves again.
            Ok(reply) => reply.body.collect().await.map(|_| ()).map_err(|failure| failure.to_string()),
            Err(failure) => Err(failure.detail),
        };
        if let Err(detail) = cancelled {
            tracing::warn!(deployment = %self.target.id, %detail, "a prediction could not be cancelled");
        }
    }
}

/// Cancels a prediction when it is dropped, unless that was called off.
struct Cancelling {
    desk: Arc<Desk>,
    way: Option<Way>,
}

impl Cancelling {
    /// Of a prediction that was seen like this.
    fn of(desk: &Arc<Desk>, seen: &Prediction) -> Self {
        let url = seen.cancel_url().filter(|_| !seen.is_over());
        let way = url.and_then(|url| Way::to(url, &desk.target.endpoint).ok());
        Self { desk: Arc::clone(desk), way }
    }

    /// The prediction is over.
    fn no_more(mut self) {
        self.way = None;
    }
}

impl Drop for Cancelling {
    fn drop(&mut self) {
        if let (Some(way), Ok(runtime)) = (self.way.take(), Handle::try_current()) {
            runtime.spawn(Arc::clone(&self.desk).cancel(way));
        }
    }
}

/// The last look at a prediction that is over, as the decoder is told it.
type LastLook = Pin<Box<dyn Future<Output = Option<Bytes>> + Send>>;

/// Where a prediction that is streamed can be looked at and ended.
struct Source {
    desk: Arc<Desk>,
    look: Way,
    cancelling: Cancelling,
}

impl Source {
    /// Looks once more when the stream is over: what it cost stands nowhere else. A stream that said its own end is
    /// waited for; one that broke may belong to a prediction that still runs, which is then left and so cancelled.
    async fn last_look(self, has_ended: bool) -> Option<Bytes> {
        let Self { desk, look, cancelling } = self;
        let by = Instant::now() + LAST_LOOK_MAX;
        let seen = if has_ended {
            desk.look_until_over(&look, Duration::ZERO, by).await
        } else {
            desk.look(&look, by).await
        };
        let (seen, _) = seen.ok().filter(|(seen, _)| seen.is_over())?;
        cancelling.no_more();
        Some(Bytes::from(seen.last_look()))
    }
}

/// The stream of a prediction, with a last look behind it.
pub(crate) struct Streamed {
    body: Option<ReplyBody>,
    /// Finds the event that ends the stream.
    ends: Framing,
    /// That event has come.
    has_ended: bool,
    last_look: Option<LastLook>,
    /// What the stream broke with; told behind the last look.
    broke: Option<Failure>,
    source: Option<Source>,
}

impl Streamed {
    /// A stream of one look at a prediction that is over.
    fn told(seen: &Prediction) -> Self {
        let frame = Bytes::from(seen.last_look());
        let last_look: LastLook = Box::pin(std::future::ready(Some(frame)));
        let ends = Framing::events();
        Self { body: None, ends, has_ended: true, last_look: Some(last_look), broke: None, source: None }
    }

    /// The next chunk; `None` at the end.
    pub(crate) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Failure>>> {
        while let Some(body) = &mut self.body {
            match ready!(body.poll_next(context)) {
                Some(Ok(chunk)) => {
                    self.note(&chunk);
                    return Poll::Ready(Some(Ok(chunk)));
                }
                Some(Err(failure)) => self.end(Some(failure)),
                None => self.end(None),
            }
        }
        if let Some(look) = &mut self.last_look {
            let told = ready!(look.as_mut().poll(context));
            self.last_look = None;
            if let Some(frame) = told {
                return Poll::Ready(Some(Ok(frame)));
            }
        }
        Poll::Ready(self.broke.take().map(Err))
    }

    /// Notes whether the stream has said its end: from then on there is nothing to cancel.
    fn note(&mut self, chunk: &Bytes) {
        self.ends.push(chunk.clone());
        while let Ok(Some(frame)) = self.ends.next_frame() {
            self.has_ended |= replicate::ends(&frame);
        }
        if let Some(source) = self.source.as_mut().filter(|_| self.has_ended) {
            source.cancelling.way = None;
        }
    }

    fn end(&mut self, broke: Option<Failure>) {
        self.body = None;
        self.broke = broke;
        if let Some(source) = self.source.take() {
            self.last_look = Some(Box::pin(source.last_look(self.has_ended)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_credential_goes_to_the_deployments_own_host_and_replicates_alone() {
        let check = |base: &str, url: &str, expect: Option<(&str, &str)>| {
            let own = Endpoint::parse(base, Trust::Operator).unwrap();
            let way = Way::to(url, &own).ok();
            let found = way.map(|way| (way.endpoint.host().to_owned(), way.target.to_string()));
            let expect = expect.map(|(host, target)| (host.to_owned(), target.to_owned()));
            assert_eq!(found, expect, "{base} {url}");
        };
        let replicate = "https://api.replicate.com/v1";
        let id = Some(("api.replicate.com", "/v1/predictions/x?y=1"));
        check(replicate, "https://api.replicate.com/v1/predictions/x?y=1", id);
        check(replicate, "https://API.replicate.com:443/v1/predictions/x?y=1", id);
        check(replicate, "https://stream.replicate.com/v1/s", Some(("stream.replicate.com", "/v1/s")));
        check(
            "http://127.0.0.1:80/v1",
            "https://stream.replicate.com/s",
            Some(("stream.replicate.com", "/s")),
        );
        check("http://127.0.0.1:8080/a", "http://127.0.0.1:8080/b/c", Some(("127.0.0.1", "/b/c")));
        for url in [
            "http://api.replicate.com/v1/predictions/x",
            "https://replicate.com.evil.test/v1",
            "https://evilreplicate.com/v1",
            "https://api.replicate.com@evil.test/v1",
            "https://evil.test/api.replicate.com",
            "https://stream-b.svc.ric1.c.replicate.net/v1/streams/x",
            "//api.replicate.com/v1",
            "/v1/predictions/x",
            "https://api.replicate.com/v1/../x y",
            "",
        ] {
            check(replicate, url, None);
        }
        check("http://127.0.0.1:8080/v1", "http://127.0.0.1:8081/v1", None);
        check("http://127.0.0.1:8080/v1", "https://127.0.0.1:8080/v1", None);
    }

    #[test]
    fn streams_at_hosts_of_their_own_are_known() {
        let check =
            |url: &str, expect: bool| assert_eq!(Way::to_stream_apart(url).is_some(), expect, "{url}");
        check("https://stream-b.svc.ric1.c.replicate.net/v1/streams/x", true);
        check("http://stream-b.svc.ric1.c.replicate.net/v1/streams/x", false);
        check("https://stream.replicate.com/v1/streams/x", false);
        check("https://replicate.net.evil.test/v1/streams/x", false);
    }

    #[test]
    fn a_life_is_whole_seconds_and_not_shorter_than_it_may_be() {
        let check = |seconds: f64, expect: &str| assert_eq!(life_header(seconds), expect);
        check(30.0, "30s");
        check(1.0, "5s");
        check(f64::INFINITY, "5s");
    }
}
