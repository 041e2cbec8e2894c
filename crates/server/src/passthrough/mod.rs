//! Requests that pass through: to a provider's own API, to OpenAI's resources at a provider, to an endpoint of the
//! operator's own.
//!
//! The gateway's key comes in, the account's credential goes out, and the rest is the provider's business: path, query and
//! bodies pass as they are, within the gateway's limits. Nothing is tried twice, since nobody here knows what a request
//! does. Leaves to others: signing (authorization), the caller's key (auth), usage (dialect), money (settle).
//! **Invariant:** the caller's key, in whatever header or parameter it came, goes nowhere.

mod accounts;
mod address;
mod platform;
mod reply;
mod request;
mod way;

use crate::error::Rejection;
use crate::pipeline::Call;
use crate::pipeline::attempt::{
    AttemptFailure, CallLimits, Unread, from_credential, from_failure, from_fault, from_quality,
};
use crate::pipeline::ceiling::{RequestBounds, Words};
use crate::pipeline::outbound::{Prepared, ReadPlan, Road};
use crate::pipeline::receive;
use crate::pipeline::wasted::book_unanswered;
use crate::reply::GatewayBody;
use crate::routes::{Access, Found, Passage, PathModel, Route, passing};
use crate::routing::Wish;
use crate::snapshot::Snapshot;
use crate::target::Target;
use crate::telemetry::Metrics;
use crate::tokens::settle;
use crate::toll::{Entry, Stake, Toll};
use crate::worker::Worker;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response};
use hyper::body::Incoming;
use reply::Passing;
use request::Sent;

use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::Instant;
use tollgate_config::PASS_THROUGH_TIMEOUT_DEFAULT;
use tollgate_dialect::anthropic;
use tollgate_dialect::json::{Limits, scan};
use tollgate_dialect::wire::{Dialect, Losses};
use tollgate_identity::Kind;
use tollgate_identity::grant::Denied;
use tollgate_policy::ask::Requirements;
use tollgate_policy::choice;
use tollgate_upstream::SegmentBody;
use way::Way;

pub(crate) use accounts::Accounts;

/// What a request asks for.
struct Asking<'a> {
    snapshot: &'a Snapshot,
    metrics: &'a Metrics,
    passage: Passage,
    /// The path behind the passage's prefix; empty, or from its slash on.
    rest: &'a str,
    query: &'a str,
    /// The provider that LiteLLM's spelling of a resource begins with.
    provider: Option<&'a str>,
    is_post: bool,
    /// It reads or deletes.
    is_reading: bool,
    /// What whoever sees the request must fulfil, by its headers: its body means nothing to the gateway.
    requirements: &'a Requirements,
}

impl Asking<'_> {
    /// Whether its data may go to a deployment or an account.
    fn admits(&self, target: &Target) -> Result<(), Rejection> {
        match choice::unmet(self.requirements, &target.profile) {
            None => Ok(()),
            Some(reason) => Err(Rejection::outside_policy(&target.model, reason)),
        }
    }

    /// Whether it begins work that is billed when it ends.
    fn is_billed_later(&self) -> bool {
        self.is_post && address::is_billed_later(self.passage, self.rest)
    }

    /// Whether no provider asks anything for it: what reads, deletes or cancels, and a file that is sent.
    fn is_free(&self) -> bool {
        let is_kept_apart = matches!(
            self.passage,
            Passage::Files | Passage::Batches | Passage::FineTuning | Passage::MessageBatches
        );
        self.is_reading || (is_kept_apart && !self.is_billed_later())
    }

    /// Parameters of the query that are the gateway's.
    fn own_parameters(&self) -> &'static [&'static str] {
        match self.passage {
            // Google's clients may send the key there.
            Passage::Gemini | Passage::Vertex => &["key", "access_token"],
            Passage::Files | Passage::Batches | Passage::FineTuning | Passage::VectorStores => {
                platform::own_parameters(self.passage)
            }
            _ => &[],
        }
    }
}

/// Leads a request that no row serves to an endpoint of the operator's own, where there is one, and one for a model of
/// Google's that no group is named for to Google, where its path asks for Google's own API.
pub(crate) fn lead(
    found: Found,
    worker: &Worker,
    snapshot: &Snapshot,
    (method, path): (&Method, &str),
) -> Found {
    if let Found::Served { route, access, model, .. } = &found
        && path.starts_with("/gemini/")
        && (*route == Route::GeminiCount
            || route.surface().is_some_and(|surface| surface.dialect() == Dialect::Gemini))
        && let Some(name) = &model.name
        && snapshot.group(worker.gateway.metrics(), name).is_none()
        && !snapshot.accounts().of("gemini").is_empty()
    {
        let route = Route::Pass(Passage::Gemini);
        return Found::Served { route, access: *access, pattern: None, model: PathModel::default() };
    }
    or_own(found, snapshot, method, path)
}

fn or_own(found: Found, snapshot: &Snapshot, method: &Method, path: &str) -> Found {
    let is_taken = matches!(&found, Found::Served { route, .. } if *route != Route::NotImplemented);
    if is_taken || snapshot.accounts().own().is_empty() {
        return found;
    }
    let mut other_methods = Vec::new();
    for own in snapshot.accounts().own() {
        if own_rest(&own.written, path).is_none() {
            continue;
        }
        if own.written.methods.iter().any(|known| known == method.as_str()) {
            let access = if own.written.needs_key { Access::Caller } else { Access::Open };
            let (route, model) = (Route::Pass(Passage::Own), PathModel::default());
            return Found::Served { route, access, pattern: None, model };
        }
        other_methods.extend(own.written.methods.iter().filter_map(|method| method.parse().ok()));
    }
    if other_methods.is_empty() { found } else { Found::WrongMethod(other_methods) }
}

/// What a path has below an endpoint of the operator's own.
fn own_rest<'p>(own: &tollgate_config::PassThroughEndpoint, path: &'p str) -> Option<&'p str> {
    let rest = path.strip_prefix(own.path.as_str())?;
    (rest.is_empty() || (own.include_subpath && rest.starts_with('/'))).then_some(rest)
}

/// Serves a request that passes. Whoever comes here has been authenticated, where the way wants it.
pub(crate) async fn serve(
    worker: &Worker,
    snapshot: &Snapshot,
    (call, passage): (&Call, Passage),
    request: Request<Incoming>,
) -> Result<Response<GatewayBody>, Rejection> {
    let (head, body) = request.into_parts();
    let path = head.uri.path();
    let (provider, rest) = match passage {
        Passage::Own => (None, path),
        _ => match passing::find_at_provider(path).filter(|(_, of, _)| *of == passage) {
            Some((provider, _, rest)) => (Some(provider), rest),
            None => (None, passing::find(path).map(|(_, rest)| rest).unwrap_or_default()),
        },
    };
    let nothing = scan(b"{}", &Limits::REQUEST).map_err(|error| Rejection::bad_json(&error.to_string()))?;
    // The body is the provider's, and says nothing to the gateway; only the headers do.
    let mut wish = Wish::read(call.surface.path(), &head.headers, &nothing)?;
    let by = (&call.caller, call.surface.path(), &**worker.gateway.ledger());
    snapshot.rules().name_end_user(by, &head.headers, &mut wish)?;
    let requirements = snapshot.requirements(&wish.clone().marked(&call.caller));
    let asking = Asking {
        snapshot,
        metrics: worker.gateway.metrics(),
        passage,
        rest,
        query: head.uri.query().unwrap_or_default(),
        provider,
        is_post: head.method == Method::POST,
        is_reading: [Method::GET, Method::HEAD, Method::OPTIONS, Method::DELETE].contains(&head.method),
        requirements: &requirements,
    };
    let body = receive::read_body(&head.headers, body, snapshot.receive_limits()).await?;
    let sent = Sent::read(&head.headers, &body)?;
    let is_stream = sent.asks_stream() || rest.contains("stream") || rest.contains("Stream");
    let (way, out) = choose(&asking, &head.headers, &sent, &body)?;
    asking.admits(&way.target)?;
    if asking.is_billed_later() && snapshot.toll_rules().denies_unpriced {
        return Err(Rejection::billed_later());
    }
    let written = sent.text("model");
    let group = Some(way.target.metrics.group()).filter(|group| !group.is_empty());
    // The name that led there is the one that counts, wherever it stood; another in the body is asked for beside it.
    let model = way.named.as_deref().or(written.as_deref()).or(group);
    let ledger = worker.gateway.ledger();
    if let Some(model) = model {
        settle(snapshot, ledger, &call.caller, model)?;
    }
    let end_user = wish.user.as_deref();
    for model in model.into_iter().chain(written.as_deref().filter(|written| Some(*written) != model)) {
        // What it stands for is the provider's to say: nothing in the body is the gateway's.
        snapshot.allow(&call.caller, model, ledger)?;
        if snapshot.allow_end_user(ledger, end_user, model)?.is_some() {
            // Nothing else can answer in its place: the body is the provider's.
            let denied = Denied::Model { kind: Kind::Customer, model: model.to_owned() };
            return Err(Rejection::denied(&denied));
        }
    }
    enter(worker, snapshot, call, (&way, &sent), &wish.marked(&call.caller))?;
    let prepared = prepare(&asking, &way, (head.method, &head.headers), out)?;
    send(Sending { worker, call, asking: &asking, way, is_stream }, prepared).await
}

/// Lets a request in by everybody whom it is charged to: for what its body says that it can use, as far as it says so.
fn enter(
    worker: &Worker,
    snapshot: &Snapshot,
    call: &Call,
    (way, sent): (&Way, &Sent<'_>),
    wish: &Wish,
) -> Result<(), Rejection> {
    let nothing = scan(b"{}", &Limits::REQUEST).map_err(|error| Rejection::bad_json(&error.to_string()))?;
    let object = match sent {
        Sent::Json(object) => object,
        Sent::Form(_) | Sent::Other => &nothing,
    };
    let form = match sent {
        Sent::Form(form) => Some(form),
        Sent::Json(_) | Sent::Other => None,
    };
    let bounds = RequestBounds::of(call.surface, Words { object, form, dropped: &[] });
    let entry = Entry { call, wish, group: way.target.metrics.group(), bounds, snapshot };
    let toll = Toll::enter(worker.gateway.ledger(), entry)?;
    let _ = call.toll.set(Arc::new(toll));
    Ok(())
}

/// The way, and the body as it goes out.
fn choose(
    asking: &Asking<'_>,
    headers: &HeaderMap,
    sent: &Sent<'_>,
    body: &Bytes,
) -> Result<(Way, SegmentBody), Rejection> {
    if asking.passage != Passage::Own && !address::is_safe(asking.rest) {
        return Err(bad_path(asking));
    }
    let way = match asking.passage {
        Passage::Own => return own(asking, body),
        Passage::MessageBatches => {
            let (way, edited) = platform::message_batches(asking, sent, body)?;
            return Ok((way, edited.unwrap_or_else(|| SegmentBody::from(body.clone()))));
        }
        Passage::Files | Passage::Batches | Passage::FineTuning | Passage::VectorStores => {
            platform::choose(asking, headers, sent)?
        }
        _ => way::to_provider(asking, sent)?,
    };
    let renamed = match asking.passage {
        Passage::Files => platform::batch_file(asking, &way, sent, body),
        _ => None,
    };
    let out = match renamed {
        Some(body) => Sent::read(headers, &body)?.rewrite(&body, None, way.remove)?,
        None => sent.rewrite(body, way.model.as_deref(), way.remove)?,
    };
    Ok((way, out))
}

fn bad_path(asking: &Asking<'_>) -> Rejection {
    let reason = "it leads out of what passes here";
    Rejection::invalid(asking.passage.pattern(), "path", reason)
}

/// The way of an endpoint of the operator's own; its path was written by the operator, what is below it by the caller.
fn own(asking: &Asking<'_>, body: &Bytes) -> Result<(Way, SegmentBody), Rejection> {
    let owns = asking.snapshot.accounts().own();
    let found = owns.iter().find_map(|own| Some((own, own_rest(&own.written, asking.rest)?)));
    let (own, rest) = found.ok_or_else(Rejection::internal)?;
    if !address::is_safe(rest) {
        return Err(bad_path(asking));
    }
    let below = Asking { rest, ..*asking };
    Ok((way::to_own(&below, own)?, SegmentBody::from(body.clone())))
}

/// The request as it goes out.
fn prepare(
    asking: &Asking<'_>,
    way: &Way,
    (method, caller): (Method, &HeaderMap),
    body: SegmentBody,
) -> Result<Prepared, Rejection> {
    let mut headers = HeaderMap::new();
    let key = asking.snapshot.rules().key_header();
    request::forward(caller, (way.all_headers, key), &mut headers);
    for (name, value) in &way.target.headers {
        let is_default = *name == http::header::ACCEPT && headers.contains_key(name);
        if !is_default {
            headers.insert(name.clone(), value.clone());
        }
    }
    if matches!(asking.passage, Passage::Anthropic | Passage::MessageBatches) {
        let version = HeaderName::from_static("anthropic-version");
        headers.entry(version).or_insert(HeaderValue::from_static(anthropic::API_VERSION));
    }
    let target = way.endpoint.target(&way.path).map_err(|_| bad_path(asking))?;
    let plan = ReadPlan { road: Road::Pass, speech: way.target.speech, lost: Losses::default() };
    Ok(Prepared { method, target, headers, body, plan, more: Vec::new() })
}

/// What sending takes.
struct Sending<'a> {
    worker: &'a Worker,
    call: &'a Call,
    asking: &'a Asking<'a>,
    way: Way,
    is_stream: bool,
}

async fn send(sending: Sending<'_>, mut prepared: Prepared) -> Result<Response<GatewayBody>, Rejection> {
    let Sending { worker, call, asking, way, is_stream } = sending;
    let config = asking.snapshot.config();
    let attempt = way.timeout.or(config.pass_through.timeout).unwrap_or(PASS_THROUGH_TIMEOUT_DEFAULT);
    let limits = CallLimits {
        deadline: Instant::now() + attempt,
        connect: config.tollgate.connect_timeout,
        attempt,
        // A stream that pauses has stalled; anything else may come as slowly as it is made.
        idle: if is_stream { config.tollgate.chunk_timeout } else { attempt },
        stream: true,
        is_fallback: false,
        checks_quality: false,
    };
    let stake = match call.toll.get() {
        Some(toll) => Some(stake(toll, asking.snapshot, call, (&way.target, attempt)).await?),
        None => None,
    };
    way.target.metrics.attempts.inc();
    let authorized = way.target.authorization.put_on(&mut prepared, &way.endpoint, &worker.client).await;
    if let Err(failure) = authorized {
        stake.into_iter().for_each(Stake::release);
        return Err(failed(worker, call, &way.target, from_credential(&failure, &way.target, limits)));
    }
    let prompt_bytes = prepared.body.length();
    let sent = Instant::now();
    let (outgoing, _) = prepared.outgoing(limits.timeouts());
    let reply = match worker.client.send(&way.endpoint, outgoing).await {
        Ok(reply) => reply,
        Err(failure) => {
            let failure = from_failure(&failure, &way.target, limits);
            let prompt_tokens = call.toll.get().map_or(0, |toll| toll.estimated_tokens());
            book_unanswered((&way.target, stake), &failure.wasted, prompt_tokens);
            return Err(failed(worker, call, &way.target, failure));
        }
    };
    let target = Arc::clone(&way.target);
    let (is_billed_later, is_free) = (asking.is_billed_later(), asking.is_free());
    let stake = Mutex::new(stake);
    let passing =
        Passing { worker, call, way, prompt_bytes, is_stream, is_billed_later, is_free, sent, stake };
    reply::pass_on(passing, reply).await.map_err(|unread| {
        let failure = match unread {
            Unread::Failure(failure) => from_failure(&failure, &target, limits),
            Unread::Fault(fault) => from_fault(&fault, &target),
            Unread::Quality(rule, wasted) => from_quality((rule, wasted), &target),
        };
        failed(worker, call, &target, failure)
    })
}

/// Holds what a request can cost, and has it written that it is about to be sent.
async fn stake(
    toll: &Arc<Toll>,
    snapshot: &Snapshot,
    call: &Call,
    to: (&Arc<Target>, Duration),
) -> Result<Stake, Rejection> {
    let rules = snapshot.toll_rules();
    let staked = toll.stake(rules, to, None, false).await;
    let mut stake = staked.map_err(|refused| toll.reject(&refused, rules, &call.caller))?;
    stake.intend().await?;
    Ok(stake)
}

/// Counts and logs an attempt without a reply.
fn failed(worker: &Worker, call: &Call, target: &Target, failure: AttemptFailure) -> Rejection {
    let status = failure.rejection.status().as_u16();
    worker.gateway.metrics().attempt_failed(&target.metrics, status, failure.class);
    tracing::warn!(
        call_id = %call.id.to_str().unwrap_or_default(),
        deployment = %target.id,
        provider = target.provider.name,
        class = failure.class,
        status,
        detail = %failure.detail,
        "a request could not be passed on"
    );
    failure.rejection
}
