//! The road of a request, from the socket to the settlement.
//!
//! [`answer`] finds the route; [`serve_call`] is the road of a model call and reads like the list in ARCHITECTURE.md.
//! Each stage is one call. **Invariant:** no stage reaches back; what a stage needs of an earlier one is its result.

mod arrival;
pub(crate) mod attempt;
mod boarding;
mod broken;
pub(crate) mod caller;
pub(crate) mod canned;
pub(crate) mod ceiling;
#[cfg(test)]
mod cost;
mod embedding;
mod estimate;
mod hedge;
mod lowered;
pub(crate) mod media;
pub(crate) mod outbound;
pub(crate) mod overrides;
pub(crate) mod prediction;
mod preview;
mod probe;
mod quality;
pub(crate) mod receive;
pub(crate) mod rescue;
pub(crate) mod respond;
pub(crate) mod settle;
pub(crate) mod speech;
pub(crate) mod staged;
mod successors;
pub(crate) mod thread;
mod trail;
pub(crate) mod units;
pub(crate) mod walk;
pub(crate) mod wasted;

use crate::admin;
use crate::auth::{Caller, Visit};
use crate::caching::{Memo, Recalled, recall};
use crate::counting;
use crate::error::Rejection;
use crate::gateway::Gateway;
use crate::info;
use crate::passthrough;
use crate::percent;
use crate::realtime;
use crate::reply::{GatewayBody, ReplyHeaders, add_security_headers, header_text};
use crate::routes::{Found, PathModel, Route};
use crate::routing::{Admitted, Group, Urgency};
use crate::snapshot::Snapshot;
use crate::surface::Surface;
use crate::tokens::settle;
use crate::toll::{Entry, Toll, is_critical, note_failure, tell_of_key};
use crate::worker::{Door, Worker};
use attempt::Walked;
use ceiling::{RequestBounds, Words};
use http::header::{CONTENT_TYPE, HeaderValue, USER_AGENT};
use http::{HeaderMap, Method, Request, Response};
use hyper::body::Incoming;
use receive::{BodyKind, Received};
use rescue::Asked;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;
use thread::Thread;
use tokio::time::Instant;
use tollgate_dialect::wire::Dialect;
use tollgate_identity::Kind;
use tollgate_identity::grant::Denied;
use tollgate_store::Owner;
use walk::Errand;

pub(crate) use boarding::Opened as Boarded;
pub(crate) use preview::preview;
pub(crate) use probe::{PROBE_TOKENS, Question, probe};

/// One model call, from its arrival on.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    /// What was asked for.
    pub(crate) surface: Surface,
    /// Who calls.
    pub(crate) caller: Caller,
    /// What the path says of it.
    pub(crate) path: PathModel,
    /// Google's `alt=sse`: a stream comes as events.
    pub(crate) asks_events: bool,
    /// How its body is written.
    pub(crate) body_kind: BodyKind,
    /// When its head had come.
    pub(crate) started: Instant,
    /// Its id, as a header.
    pub(crate) id: HeaderValue,
    /// The caller's program, as it says itself.
    pub(crate) agent: Option<HeaderValue>,
    /// The group that it is for, once that is known.
    pub(crate) group: OnceLock<Arc<Group>>,
    /// What it holds of its caller's limits, once it was let in.
    pub(crate) toll: OnceLock<Arc<Toll>>,
}

impl Call {
    pub(crate) fn new(surface: Surface, path: PathModel, headers: &HeaderMap, started: Instant) -> Self {
        let id = overrides::call_id(headers).unwrap_or_else(|| new_call_id(SystemTime::now()));
        let body_kind = BodyKind::Json;
        let caller = Caller::default();
        let agent = headers.get(USER_AGENT).cloned();
        let (group, toll) = (OnceLock::new(), OnceLock::new());
        Self { surface, caller, path, asks_events: false, body_kind, started, id, agent, group, toll }
    }
}

/// Answers one request. Never fails: a failure is an answer too.
pub(crate) async fn answer(
    worker: &Worker,
    request: Request<Incoming>,
    peer: Option<IpAddr>,
) -> Response<GatewayBody> {
    let started = Instant::now();
    let snapshot = worker.gateway.snapshot();
    snapshot.start_authorizations(&worker.client);
    let is_head = request.method() == Method::HEAD;
    let found = worker.gateway.routes().find(request.method(), request.uri().path());
    let asked = (request.method(), request.uri().path());
    let found = passthrough::lead(found, worker, &snapshot, asked);
    let found = if worker.door == Door::Callers && found.is_operators() { Found::Nothing } else { found };
    let answered = match found {
        Found::Served { route, access, pattern, model } => {
            let in_query = key_in_query(route, &request);
            let (headers, in_query) = (request.headers(), in_query.as_deref());
            let visit = Visit { headers, in_query, path: asked.1, pattern, peer };
            let caller = snapshot.admit_to(worker, access, &visit).await;
            match (caller, route.surface()) {
                (Err(rejection), surface) => {
                    let rejection = rejection.spoken_on(surface.or_else(|| counting::voice(route)));
                    Err(unread(rejection, request).await)
                }
                (Ok(caller), Some(surface)) => {
                    let mut call = Call::new(surface, model, request.headers(), started);
                    call.caller = caller;
                    call.asks_events = request.uri().query().is_some_and(asks_events);
                    return model_call(worker, &snapshot, call, request).await;
                }
                // Boxed, as below: rare, and its state would be part of every request's.
                (Ok(caller), None) if counting::serves(route) => {
                    let voice = counting::voice(route).unwrap_or(Surface::Chat);
                    let path = PathModel::default();
                    let mut call = Call::new(voice, path, request.headers(), started);
                    call.caller = caller;
                    Box::pin(counting::answer(worker, &snapshot, (route, model.name, &call), request))
                        .await
                        .map_err(|rejection| rejection.spoken_on(counting::voice(route)))
                }
                (Ok(caller), None) if info::takes_body(route) => {
                    Box::pin(info::answer_body(worker, &snapshot, (route, &caller), request)).await
                }
                (Ok(caller), None) => {
                    let asked = info::Asked { route, name: model.name.as_deref(), caller: &caller };
                    Box::pin(info::answer(worker, &snapshot, asked, &request)).await
                }
            }
        }
        // Boxed, as below: rare, and its state would be part of every request's.
        Found::Admin(found) => Box::pin(admin::answer(worker, &snapshot, found, (request, peer))).await,
        Found::WrongMethod(_) if request.method() == Method::OPTIONS => {
            Ok(info::preflight(request.headers()))
        }
        Found::WrongMethod(allowed) => Err(unread(Rejection::wrong_method(&allowed), request).await),
        Found::Nothing => {
            let rejection = Rejection::no_route(request.method(), request.uri().path());
            Err(unread(rejection, request).await)
        }
    };
    let mut response = answered.unwrap_or_else(Rejection::into_response);
    if is_head {
        *response.body_mut() = GatewayBody::whole("");
    }
    finish_headers(response)
}

/// Refuses a request whose body nobody reads.
async fn unread(rejection: Rejection, request: Request<Incoming>) -> Rejection {
    // Boxed: rare, and its state would be part of every request's.
    Box::pin(receive::refuse_unread(rejection, request.into_body())).await
}

/// Adds what every reply has.
pub(crate) fn finish_headers(mut response: Response<GatewayBody>) -> Response<GatewayBody> {
    add_security_headers(response.headers_mut());
    response
}

/// One model call: its road, and the shape of its failure.
async fn model_call(
    worker: &Worker,
    snapshot: &Arc<Snapshot>,
    mut call: Call,
    mut request: Request<Incoming>,
) -> Response<GatewayBody> {
    let gateway = &worker.gateway;
    let in_flight = InFlight::new(gateway);
    // Before the body is read: who may say that it is critical says so there.
    let heard = refuse_dry_run(&call, request.headers()).and_then(|()| shed(gateway, &call, true));
    if let Err(rejection) = heard {
        let rejection = unread(rejection, request).await;
        return in_flight.over(failure(gateway, &call, rejection));
    }
    let mut place = None;
    if let Surface::Passed(passage) = call.surface {
        let served = Box::pin(async {
            let priority = request.headers().get("x-litellm-priority").and_then(|value| value.to_str().ok());
            let priority = priority.and_then(|text| text.trim().parse().ok());
            place = Some(admit(worker, snapshot, &call, priority).await?);
            passthrough::serve(worker, snapshot, (&call, passage), request).await
        });
        let served = served.await.unwrap_or_else(|rejection| failure(gateway, &call, rejection));
        return in_flight.over(held(served, place));
    }
    if call.surface == Surface::Realtime {
        // Boxed: rare, and its state would be part of every request's.
        let opened = Box::pin(realtime::open(worker, snapshot, &mut call, &mut request)).await;
        let opened = opened.map_or_else(|rejection| failure(gateway, &call, rejection), finish_headers);
        return in_flight.over(opened);
    }
    let served = match receive::check_content_type(request.headers(), call.surface) {
        Ok(kind) => {
            call.body_kind = kind;
            serve_call(worker, snapshot, &call, request, &mut place).await
        }
        Err(rejection) => Err(unread(rejection, request).await),
    };
    in_flight.over(held(served.unwrap_or_else(|rejection| failure(gateway, &call, rejection)), place))
}

/// A reply that keeps its request's place until it is over.
fn held(mut response: Response<GatewayBody>, place: Option<Admitted>) -> Response<GatewayBody> {
    if let Some(place) = place {
        response.body_mut().hold(place);
    }
    response
}

/// Refuses a dry run of what has no plan to show: what is not to be sent must not be.
fn refuse_dry_run(call: &Call, headers: &HeaderMap) -> Result<(), Rejection> {
    const NAME: &str = "x-tollgate-dry-run";
    let has_plan = !matches!(call.surface, Surface::Passed(_) | Surface::Realtime);
    let Some(value) = headers.get(NAME).filter(|_| !has_plan) else { return Ok(()) };
    let is_off = [&b"false"[..], b"0", b"no"].iter().any(|off| value.as_bytes().eq_ignore_ascii_case(off));
    let reason = "sessions and requests that pass through are not rehearsed; ask /route/explain";
    if is_off { Ok(()) } else { Err(Rejection::invalid(call.surface.path(), NAME, reason)) }
}

/// Refuses what is not critical while memory is short.
fn shed(gateway: &Gateway, call: &Call, says_critical: bool) -> Result<(), Rejection> {
    if !gateway.vitals().is_memory_short() || is_critical(&call.caller, says_critical) {
        return Ok(());
    }
    gateway.metrics().shed.inc();
    Err(Rejection::shed())
}

/// Counts and logs a failed call, and makes its reply.
fn failure(gateway: &Gateway, call: &Call, rejection: Rejection) -> Response<GatewayBody> {
    let group = call.group.get().map(|group| group.name()).unwrap_or_default();
    gateway.metrics().request_failed(group, rejection.status().as_u16(), call.surface.path());
    note_failure(gateway.ledger(), call, &rejection);
    tracing::info!(
        call_id = %call.id.to_str().unwrap_or_default(),
        status = rejection.status().as_u16(),
        model = group,
        message = rejection.message(),
        "request failed"
    );
    let mut response = rejection.spoken_on(Some(call.surface)).into_response_to(Some(&call.id));
    if call.surface == Surface::Converse {
        response.headers_mut().insert(respond::AMZN_REQUEST_ID, call.id.clone());
    }
    let mut headers = ReplyHeaders::failed(&call.id);
    headers.toll(call.toll.get());
    let mut headers = headers.into_map();
    if call.toll.get().is_none() {
        tell_of_key(gateway.ledger(), &call.caller, &mut headers);
    }
    response.headers_mut().extend(headers);
    finish_headers(response)
}

/// A place among the requests that are served at one time, where the configuration limits them.
async fn admit(
    worker: &Worker,
    snapshot: &Snapshot,
    call: &Call,
    priority: Option<u8>,
) -> Result<Admitted, Rejection> {
    let priority = priority.unwrap_or(snapshot.default_priority());
    let urgency = Urgency { priority, team: call.caller.hash() };
    worker.gateway.admission().enter(urgency).await.map_err(|_| Rejection::not_admitted())
}

/// Whether the caller may use the model that it asks for, and those that it names to fall back to.
pub(crate) fn authorize(
    worker: &Worker,
    snapshot: &Snapshot,
    call: &Call,
    received: &mut Received<'_>,
) -> Result<(), Rejection> {
    let ledger = worker.gateway.ledger();
    if !received.model_is_missing {
        // First: it says within which of its teams a token calls, and what follows is that team's.
        settle(snapshot, ledger, &call.caller, &received.model)?;
    }
    snapshot.rules().demand(&call.caller, &received.object)?;
    let (by, headers) = ((&call.caller, call.surface.path(), &**ledger), received.headers);
    snapshot.rules().name_end_user(by, headers, &mut received.wish)?;
    received.wish.mark(&call.caller);
    let end_user = received.wish.user.as_deref();
    if received.model_is_missing || (call.caller.is_master() && end_user.is_none()) {
        return Ok(());
    }
    for target in received.wish.fallbacks.all() {
        snapshot.allow(&call.caller, &target.model, ledger)?;
        if snapshot.allow_end_user(ledger, end_user, &target.model)?.is_some() {
            let denied = Denied::Model { kind: Kind::Customer, model: target.model.clone() };
            return Err(Rejection::denied(&denied));
        }
    }
    if let Some(meant) = snapshot.allow(&call.caller, &received.model, ledger)? {
        received.model = meant;
    }
    if let Some(instead) = snapshot.allow_end_user(ledger, received.wish.user.as_deref(), &received.model)? {
        let meant = snapshot.allow(&call.caller, &instead, ledger)?;
        received.model = meant.unwrap_or(instead);
    }
    Ok(())
}

/// The group that answers in place of the one that was asked for, where a budget is nearly spent.
fn downgrade(
    worker: &Worker,
    snapshot: &Snapshot,
    call: &Call,
    received: &mut Received<'_>,
) -> Option<Arc<Group>> {
    let asked = call.group.get()?;
    let name =
        Toll::cheaper(worker.gateway.ledger(), snapshot, (&call.caller, &received.wish), asked.name())?;
    let cheaper = snapshot.group(worker.gateway.metrics(), &name)?;
    tracing::info!(
        call_id = %call.id.to_str().unwrap_or_default(),
        asked = asked.name(),
        group = name,
        "a budget is nearly spent: a cheaper model answers"
    );
    received.model = name;
    Some(cheaper)
}

/// Lets a request in by everybody whom it is charged to.
fn enter(
    worker: &Worker,
    snapshot: &Snapshot,
    (call, received): (&Call, &Received<'_>),
    group: &Group,
) -> Result<(), Rejection> {
    let bounds = RequestBounds::of(call.surface, Words::of(received));
    let entry = Entry { call, wish: &received.wish, group: group.name(), bounds, snapshot };
    let toll = Toll::enter(worker.gateway.ledger(), entry)?;
    let _ = call.toll.set(Arc::new(toll));
    Ok(())
}

/// The road of a model call. Whoever comes here has been authenticated. `place` is where its place is put, to be held
/// until its reply is over.
async fn serve_call(
    worker: &Worker,
    snapshot: &Arc<Snapshot>,
    call: &Call,
    request: Request<Incoming>,
    place: &mut Option<Admitted>,
) -> Result<Response<GatewayBody>, Rejection> {
    let (head, body) = request.into_parts();
    let body = receive::read_body(&head.headers, body, snapshot.receive_limits()).await?;
    let mut received = receive::read(&body, call, &head.headers)?;
    shed(&worker.gateway, call, received.wish.is_critical)?;
    authorize(worker, snapshot, call, &mut received)?;
    let group = snapshot.group(worker.gateway.metrics(), &received.model).ok_or_else(|| {
        Rejection::unknown_model(call.surface.path(), (!received.model_is_missing).then_some(&received.model))
    })?;
    let group = call.group.get_or_init(|| group);
    receive::require_content(&received, call.surface)?;
    let cheaper = downgrade(worker, snapshot, call, &mut received);
    let group = cheaper.as_ref().unwrap_or(group);
    let asked = Asked { worker, snapshot, call, headers: &head.headers, body: &body, thread: None };
    if call.surface == Surface::Responses {
        // Boxed: it would make the state of every other call larger.
        return Box::pin(serve_response(asked, received, group, place)).await;
    }
    enter(worker, snapshot, (call, &received), group)?;
    let mut memo = match recall(Errand { worker, snapshot, call, received: &received }, group).await? {
        Recalled::Hit(response) => return Ok(finish_headers(*response)),
        Recalled::Miss(memo) => memo,
    };
    *place = Some(admit(worker, snapshot, call, received.wish.priority).await?);
    received.keeps_past = rescue::is_possible(snapshot, call, &received, group);
    if received.wish.is_dry_run {
        return Ok(rehearsed(Errand { worker, snapshot, call, received: &received }, group).await);
    }
    let walked = attempt::walk(worker, snapshot, call, &received, group).await;
    match or_give_up(walked, &mut memo)? {
        Walked::Answer(answered) => {
            let answered = answered.with_memo(memo).with_lifeline(asked);
            Ok(respond::respond(worker, call, &received, answered, None))
        }
        Walked::Canned(response) => Ok(finish_headers(*response)),
    }
}

/// The rest of the road of a call of OpenAI's Responses, which may go on from what was stored before.
async fn serve_response(
    asked: Asked<'_>,
    mut received: Received<'_>,
    group: &Arc<Group>,
    place: &mut Option<Admitted>,
) -> Result<Response<GatewayBody>, Rejection> {
    let Asked { worker, snapshot, call, headers, body, .. } = asked;
    *place = Some(admit(worker, snapshot, call, received.wish.priority).await?);
    received.keeps_past = rescue::is_possible(snapshot, call, &received, group);
    let owner = Owner::new(call.caller.owner());
    let thread = Box::pin(Thread::open(&worker.gateway, owner, body, &received.object)).await?;
    let extended = thread.extended.clone().unwrap_or_default();
    if thread.extended.is_some() {
        received.extended = Some(Box::new(receive::read(&extended, call, headers)?));
    }
    received.follow(&thread);
    // Only now is it known how long it is.
    enter(worker, snapshot, (call, &received), group)?;
    if received.wish.is_dry_run {
        return Ok(rehearsed(Errand { worker, snapshot, call, received: &received }, group).await);
    }
    if received.keeps_past {
        received.keep_past();
    }
    let mut memo = match recall(Errand { worker, snapshot, call, received: &received }, group).await? {
        Recalled::Hit(response) => return Ok(finish_headers(*response)),
        Recalled::Miss(memo) => memo,
    };
    let walked = attempt::walk(worker, snapshot, call, &received, group).await;
    let answered = match or_give_up(walked, &mut memo)? {
        Walked::Answer(answered) => *answered,
        Walked::Canned(response) => return Ok(finish_headers(*response)),
    };
    let asked = Asked { thread: Some(thread.clone()), ..asked };
    let answered = answered.with_memo(memo).with_lifeline(asked);
    let keeper = thread.keeper(&worker.gateway, call, body, group.name());
    let keeper = keeper.map(|keeper| keeper.held_by(answered.holder()));
    if let (Some(keeper), Some(whole)) = (&keeper, answered.whole()) {
        let _ = keeper.slot().set(whole);
    }
    // A whole answer is kept before the caller can ask for it; a stream's before its last piece goes out.
    let (now, later) = if answered.whole().is_some() { (keeper, None) } else { (None, keeper) };
    if let Some(keeper) = now {
        keeper.into_future().await;
    }
    Ok(respond::respond(worker, call, &received, answered, later))
}

/// What came of a walk; where it was no deployment's answer, whoever waits for it asks for itself.
fn or_give_up(walked: Result<Walked, Rejection>, memo: &mut Option<Box<Memo>>) -> Result<Walked, Rejection> {
    if !matches!(walked, Ok(Walked::Answer(_)))
        && let Some(memo) = memo.take()
    {
        memo.give_up();
    }
    walked
}

/// The plan in place of the answer. Boxed: rare, and its state would be part of every request's.
async fn rehearsed(errand: Errand<'_>, group: &Arc<Group>) -> Response<GatewayBody> {
    finish_headers(Box::pin(info::dry_run(errand, group)).await)
}

/// Counts a request until its head is there, and a caller who goes away before; a stream counts itself until its end.
struct InFlight<'a> {
    gateway: &'a Gateway,
    is_over: bool,
}

impl<'a> InFlight<'a> {
    fn new(gateway: &'a Gateway) -> Self {
        gateway.metrics().in_flight.inc();
        Self { gateway, is_over: false }
    }

    /// The head is there.
    fn over(mut self, response: Response<GatewayBody>) -> Response<GatewayBody> {
        self.is_over = true;
        response
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.gateway.metrics().in_flight.dec();
        // A panic is no caller's leaving.
        if !self.is_over && !std::thread::panicking() {
            self.gateway.metrics().disconnects.inc();
        }
    }
}

/// Google's clients may put their key into the query (`?key=`); nobody else's.
fn key_in_query(route: Route, request: &Request<Incoming>) -> Option<String> {
    let surface = route.surface().or_else(|| counting::voice(route));
    let is_googles = surface.is_some_and(|surface| surface.dialect() == Dialect::Gemini);
    let pairs = request.uri().query().filter(|_| is_googles)?.split('&');
    pairs.filter_map(|pair| pair.strip_prefix("key=")).find_map(percent::decode).filter(|key| !key.is_empty())
}

/// Whether a query asks for a stream of events (`alt=sse`).
fn asks_events(query: &str) -> bool {
    query.split('&').any(|pair| pair == "alt=sse")
}

/// A random UUID (RFC 9562, version 4).
pub(crate) fn random_uuid() -> HeaderValue {
    uuid(crate::chance::bits(), 4)
}

/// A UUID that begins with its moment and is random from there on (RFC 9562, version 7): rows are found by it, and an index of ids
/// without order is the dearest part of a row.
fn new_call_id(now: SystemTime) -> HeaderValue {
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    uuid((since.as_millis() << 80) | (crate::chance::bits() >> 48), 7)
}

/// These bits as a UUID of a version.
fn uuid(bits: u128, version: u128) -> HeaderValue {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let bits = (bits & !(0xf_u128 << 76) & !(0x3_u128 << 62)) | (version << 76) | (0x2_u128 << 62);
    let mut text = [b'-'; 36];
    let digits = bits.to_be_bytes().into_iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
    let places = text.iter_mut().enumerate().filter(|(position, _)| !matches!(position, 8 | 13 | 18 | 23));
    for ((_, place), digit) in places.zip(digits) {
        *place = HEX.get(usize::from(digit)).copied().unwrap_or(b'0');
    }
    HeaderValue::from_bytes(&text).unwrap_or_else(|_| header_text(""))
}

/// A JSON answer of the gateway itself.
pub(crate) fn json_response(body: impl Into<bytes::Bytes>) -> Response<GatewayBody> {
    let mut response = Response::new(GatewayBody::whole(body));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn ids_are_uuids_of_their_version_and_differ() {
        let check = |id: &HeaderValue, version: char| {
            let text = id.to_str().unwrap();
            assert_eq!(text.len(), 36);
            let marks: Vec<char> = text.chars().collect();
            assert_eq!((marks[8], marks[13], marks[14], marks[18], marks[23]), ('-', '-', version, '-', '-'));
            assert!("89ab".contains(marks[19]), "{text}");
            assert!(text.chars().all(|c| c == '-' || c.is_ascii_hexdigit()));
        };
        let now = SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_348_800_000);
        for (made, version) in
            [([random_uuid(), random_uuid()], '4'), ([new_call_id(now), new_call_id(now)], '7')]
        {
            made.iter().for_each(|id| check(id, version));
            assert_ne!(made[0], made[1]);
        }
    }

    #[test]
    fn calls_have_ids_in_the_order_of_their_moments() {
        let at = |millis| new_call_id(SystemTime::UNIX_EPOCH + Duration::from_millis(millis));
        let ids = [at(0), at(255), at(256), at(1_795_348_800_000), at(1_795_348_800_001)];
        assert!(ids.is_sorted_by(|one, next| one.as_bytes() < next.as_bytes()), "{ids:?}");
        assert!(ids[3].to_str().unwrap().starts_with("01a20320-a200-7"), "{ids:?}");
    }
}
