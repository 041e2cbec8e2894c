//! OpenAI's Realtime: a caller's WebSocket, joined to a provider's.
//!
//! Owns the road of a session: the caller's handshake ([`handshake`]), the walk to a deployment that opens one
//! ([`attempt`]), the frames between the two ([`relay`]), what they say ([`events`]), how long that makes the conversation
//! ([`context`]), what is held for its answers ([`tab`]), what they come to ([`account`]), and its end ([`session`]). Leaves
//! sockets to providers to `upstream`, and the choice of a deployment to the pipeline's walk. **Invariant:** a session lives
//! in its caller's connection's own task and ends with it; no task, no channel and no frame is left behind.
//! **Invariant:** until a deployment has opened, the caller has been told nothing, so that the next one can be tried.

mod account;
mod attempt;
mod context;
mod events;
mod handshake;
mod relay;
mod session;
mod tab;

pub(crate) use handshake::protocol_key;
pub(crate) use session::Session;

use crate::drain::Stage;
use crate::error::Rejection;
use crate::pipeline::ceiling::{RequestBounds, Words};
use crate::pipeline::receive;
use crate::pipeline::walk::{Errand, Walk};
use crate::pipeline::{Call, authorize, settle::Settlement};
use crate::reply::{GatewayBody, ReplyHeaders};
use crate::routes::PathModel;
use crate::snapshot::Snapshot;
use crate::target::Target;
use crate::toll::{Entry, Toll};
use crate::worker::Worker;
use account::Account;
use attempt::{Asked, Opened};
use bytes::Bytes;
use events::Names;
use handshake::Offer;
use http::header::{
    CONNECTION, CONTENT_TYPE, HeaderMap, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_PROTOCOL, UPGRADE,
};
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use session::SessionParts;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tab::Tab;

/// Largest message of either side, in bytes: 15 MiB of sound, the most that one event may have (Realtime reference),
/// are 20 MiB in base64. An operator's lower limit on bodies holds here too.
const MESSAGE_BYTES_MAX: u64 = 24 << 20;

/// Where a connection finds the session that it is to become once it has left HTTP.
#[derive(Clone, Default)]
pub(crate) struct Slot(Arc<Mutex<Option<Box<Session>>>>);

impl Slot {
    fn put(&self, session: Session) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(session));
    }

    /// The session, once.
    pub(crate) fn take(&self) -> Option<Box<Session>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Opens a session for a caller who has been authenticated: the reply to the handshake; the rest lies in the slot.
pub(crate) async fn open(
    worker: &Worker,
    snapshot: &Snapshot,
    call: &mut Call,
    request: &mut Request<Incoming>,
) -> Result<Response<GatewayBody>, Rejection> {
    if worker.gateway.drain().stage() != Stage::Running {
        return Err(Rejection::shutting_down());
    }
    let offer = handshake::read(request)?;
    call.path = PathModel { name: Some(offer.model.clone()), stream: Some(true) };
    let body = Bytes::from_static(b"{}");
    let headers = request.headers().clone();
    let mut received = receive::read(&body, call, &headers)?;
    let call = &*call;
    authorize(worker, snapshot, call, &mut received)?;
    let group = snapshot
        .group(worker.gateway.metrics(), &received.model)
        .ok_or_else(|| Rejection::unknown_model(call.surface.path(), Some(&received.model)))?;
    let group = call.group.get_or_init(|| group);
    let bounds = RequestBounds::of(call.surface, Words::of(&received));
    let entry = Entry { call, wish: &received.wish, group: group.name(), bounds, snapshot };
    let toll = Toll::enter(worker.gateway.ledger(), entry)?;
    let _ = call.toll.set(Arc::new(toll));
    let slot = request.extensions().get::<Slot>().cloned().ok_or_else(Rejection::internal)?;
    let bytes_max = MESSAGE_BYTES_MAX.min(snapshot.receive_limits().bytes_max);
    let message_bytes_max = usize::try_from(bytes_max).unwrap_or(usize::MAX);
    let asked = Asked { intent: offer.intent.clone(), is_beta: offer.is_beta, message_bytes_max };
    let mut walk = Walk::begin(Errand { worker, snapshot, call, received: &received }, group).await?;
    let (boarding, opened) = loop {
        // Nothing that was written down answers a session.
        if walk.leg().group.is_none() {
            walk.next_leg(walk.unanswered())?;
            continue;
        }
        let boarding = match walk.board().await {
            Ok(boarding) => boarding,
            Err(over) => {
                walk.next_leg(over)?;
                continue;
            }
        };
        match attempt::attempt(worker, &asked, &boarding.target, boarding.limits).await {
            Ok(opened) => break (boarding, opened),
            Err(failure) => {
                if let Err(over) = walk.note(boarding, failure) {
                    walk.next_leg(over)?;
                }
            }
        }
    };
    let time_max = boarding.limits.attempt;
    let crate::pipeline::Boarded { target, place, stake, counts } = walk.opened(boarding);
    let target = &target;
    let Opened { headers, socket, at_provider } = opened;
    let response = switching(call, target, &offer, (&headers, counts, at_provider));
    let settlement = Settlement::new(worker, call, target, 0, at_provider).with_place(place);
    let tab =
        call.toll.get().map(|toll| Tab::new(&worker.gateway, toll, (target, time_max), &call.caller, stake));
    slot.put(Session::new(SessionParts {
        upgrade: hyper::upgrade::on(request),
        provider: *socket,
        account: Account::new(settlement, Arc::clone(target), tab),
        names: Names::new(&received.model, target),
        drain: worker.gateway.drain_handle(),
        message_bytes_max,
    }));
    Ok(response)
}

/// The 101 to the caller's handshake, with the headers of every reply.
fn switching(
    call: &Call,
    target: &Target,
    offer: &Offer,
    (provider, (retries, retries_max), at_provider): (&HeaderMap, (u32, u32), Duration),
) -> Response<GatewayBody> {
    let mut headers = ReplyHeaders::stream(&target.reply_headers, &call.id);
    let total = call.started.elapsed();
    headers.attempts(retries, retries_max).durations(total, total.saturating_sub(at_provider));
    let mut told = provider.clone();
    told.remove(SEC_WEBSOCKET_ACCEPT);
    headers.provider(&told, target.credential());
    let mut headers = headers.into_map();
    headers.remove(CONTENT_TYPE);
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, offer.accept.clone());
    if let Some(protocol) = &offer.protocol {
        headers.insert(SEC_WEBSOCKET_PROTOCOL, protocol.clone());
    }
    let mut response = Response::new(GatewayBody::whole(""));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    *response.headers_mut() = headers;
    response
}
