//! One request's life: read, decide, check, limit, answer, deliver.
//!
//! Owns: the order of these, and the reading of a request. Leaves to others: each stage (`script`, `admission`,
//! `answer`, `delivery`).
//!
//! **Invariant:** every request whose body came to its end is recorded before anything is decided on it, and its record
//! says how it ended.

use crate::admission;
use crate::answer::{self, Answered};
use crate::body::{Exchange, PacedBody};
use crate::compose::Ids;
use crate::control;
use crate::delivery::{self, Act, Delivery};
use crate::error::ApiError;
use crate::fault::Fault;
use crate::platform;
use crate::realtime;
use crate::received::{Received, Verdict};
use crate::reply::{Reply, Role};
use crate::script::Facts;
use crate::server::Shared;
use crate::socket::Socket;
use crate::surface::{Operation, Route, Surface, route};
use crate::wire;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderName, HeaderValue, Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::Value;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

/// Largest request body.
const BODY_BYTES_MAX: usize = 64 << 20;

/// The connection is to end now; the reply, if any, was written past hyper.
#[derive(Debug)]
pub(crate) struct Ended;

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the script ends this connection")
    }
}

impl std::error::Error for Ended {}

/// A request, read.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) head: Parts,
    pub(crate) body: Bytes,
    /// The body as JSON; null when it is none.
    pub(crate) json: Value,
    pub(crate) route: Route,
    pub(crate) model: String,
    pub(crate) credential: Option<String>,
}

impl Asked {
    /// The query of the request, or nothing.
    pub(crate) fn query(&self) -> &str {
        self.head.uri.query().unwrap_or_default()
    }

    pub(crate) fn surface(&self) -> Surface {
        self.route.surface
    }

    fn received(&self, connection: u64) -> Received {
        let value = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers = self.head.headers.iter().map(|(name, text)| (name.as_str().to_owned(), value(text)));
        let path = self
            .head
            .uri
            .path_and_query()
            .map_or_else(|| self.head.uri.path().to_owned(), ToString::to_string);
        Received {
            number: 0,
            method: self.head.method.to_string(),
            path,
            headers: headers.collect(),
            body: self.body.clone(),
            surface: self.route.surface,
            operation: self.route.operation.map_or("", Operation::name),
            deployment: self.route.deployment.clone(),
            model: self.model.clone(),
            credential: self.credential.clone(),
            verdict: Verdict::Answered,
            status: 0,
            connection,
            hung_up: false,
            finished: false,
            events_written: 0,
            tokens_written: 0,
            tokens: (0, 0),
            messages: Vec::new(),
        }
    }
}

/// Serves one request of a connection.
pub(crate) async fn serve(
    shared: Arc<Shared>,
    socket: Arc<Socket>,
    (connection, slot): (u64, Arc<realtime::Slot>),
    mut request: Request<Incoming>,
) -> Result<Response<PacedBody>, Ended> {
    let upgrade = hyper::upgrade::on(&mut request);
    let (head, incoming) = request.into_parts();
    if head.uri.path().starts_with(control::PREFIX) {
        let body = read_body(incoming).await.unwrap_or_default();
        return Ok(control::answer(&shared, &head, &body));
    }
    let body = read_body(incoming).await;
    let too_large = body.is_none();
    let asked = read(&shared, head, body.unwrap_or_default());
    let kept = shared.script.read(|script| script.kept);
    let exchange = Exchange::begin(shared.recorder.add(asked.received(connection), kept), &shared.active);
    let facts = Facts {
        surface: asked.surface(),
        model: &asked.model,
        deployment: asked.route.deployment.as_deref(),
        credential: asked.credential.as_deref(),
    };
    let wire = wire::of(asked.surface());
    let settled = wire.and_then(|wire| wire.settled(&shared, &asked)).map(|behaviour| (behaviour, 0));
    let (behaviour, seed) = match settled.map_or_else(|| shared.script.decide(&facts), Ok) {
        Ok(decided) => decided,
        Err(error) => {
            let error = ApiError::new(404, format!("The model name is not understood at {error}."));
            return Ok(refuse(&asked, &error, exchange));
        }
    };
    if behaviour.fault == Some(Fault::Refuse) {
        return play(vec![Act::Reset], &socket, Duration::ZERO, exchange, Verdict::Faulted).await;
    }
    let checked = if too_large {
        Err(admission::too_large(asked.surface()))
    } else {
        admission::check(&shared, &asked, &behaviour)
    };
    if let Err(error) = checked {
        return Ok(refuse(&asked, &error, exchange));
    }
    let mut ids = Ids::new(seed);
    let latency = behaviour.latency + jitter(behaviour.latency_jitter, &mut ids);
    if !latency.is_zero() {
        sleep(latency).await;
    }
    let is_session = asked.route.operation == Some(Operation::Platform(platform::Op::Realtime));
    if is_session && realtime::is_within(behaviour.fault.as_ref()) {
        return Ok(realtime::open(&asked, (behaviour, ids), upgrade, exchange, &slot));
    }
    let Answered { reply, verdict, tokens } = answer::answer(&shared, &asked, &behaviour, &mut ids);
    exchange.set_tokens(tokens.0, tokens.1);
    let spared = wire.is_some_and(|wire| wire.spares(&asked));
    let fault = behaviour
        .fault
        .as_ref()
        .filter(|_| !spared && (verdict == Verdict::Answered || verdict == Verdict::Faulted));
    match delivery::deliver(reply, fault) {
        Delivery::Orderly(reply, first) => {
            exchange.set_verdict(verdict);
            Ok(send(reply, behaviour.pace, first, exchange))
        }
        Delivery::Raw(acts) => play(acts, &socket, behaviour.pace, exchange, Verdict::Faulted).await,
    }
}

fn jitter(most: Duration, ids: &mut Ids) -> Duration {
    let micros = u64::try_from(most.as_micros()).unwrap_or(u64::MAX);
    Duration::from_micros(ids.below(micros.saturating_add(1)))
}

async fn read_body(incoming: Incoming) -> Option<Bytes> {
    let limited = http_body_util::Limited::new(incoming, BODY_BYTES_MAX);
    limited.collect().await.ok().map(http_body_util::Collected::to_bytes)
}

fn read(shared: &Shared, head: Parts, body: Bytes) -> Asked {
    let route = route(&head.method, head.uri.path(), &head.headers);
    let json: Value = match route.operation {
        Some(Operation::Platform(op)) => platform::read_body(op, &head.headers, &body),
        _ => serde_json::from_slice(&body).unwrap_or_default(),
    };
    let named = || crate::ask::text_at(&json, "model").to_owned();
    let model = match wire::of(route.surface) {
        Some(wire) => wire.model(shared, &route, &json),
        None => route.subject.clone().filter(|_| route.surface != Surface::Entra).unwrap_or_else(named),
    };
    let is_session = route.operation == Some(Operation::Platform(platform::Op::Realtime));
    let model = if is_session { realtime::model(head.uri.query().unwrap_or_default()) } else { model };
    let credential = admission::credential(route.surface, &head);
    let credential = credential
        .or_else(|| realtime::protocol_key(&head.headers).filter(|_| is_session).map(str::to_owned));
    Asked { head, body, json, route, model, credential }
}

fn refuse(asked: &Asked, error: &ApiError, exchange: Exchange) -> Response<PacedBody> {
    exchange.set_verdict(Verdict::Rejected(error.message.clone()));
    let reply = answer::error_reply(asked, error, "req_simulated");
    send(reply, Duration::ZERO, Duration::ZERO, exchange)
}

/// A reply in good order.
fn send(reply: Reply, pace: Duration, first: Duration, exchange: Exchange) -> Response<PacedBody> {
    exchange.set_status(reply.status);
    let status = reply.status;
    let headers = reply.headers;
    let mut response = Response::new(PacedBody::new(reply.content, pace, first, exchange));
    *response.status_mut() = http::StatusCode::from_u16(status).unwrap_or_default();
    let map = response.headers_mut();
    map.insert(http::header::CONTENT_TYPE, HeaderValue::from_static(reply.content_type));
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            map.append(name, value);
        }
    }
    response
}

/// Writes a reply past hyper, act by act, and ends the connection.
async fn play(
    acts: Vec<Act>,
    socket: &Socket,
    pace: Duration,
    mut exchange: Exchange,
    verdict: Verdict,
) -> Result<Response<PacedBody>, Ended> {
    exchange.set_verdict(verdict);
    for act in acts {
        let written = match act {
            Act::Head(status, bytes) => {
                exchange.set_status(status);
                socket.write_all(&bytes).await
            }
            Act::Write(bytes) => socket.write_all(&bytes).await,
            Act::Event(event) => {
                if event.role == Role::Content {
                    sleep(pace).await;
                }
                let written = socket.write_all(&delivery::chunk(&event.bytes)).await;
                exchange.wrote(&event);
                written
            }
            Act::Endless(bytes) => write_endlessly(socket, &bytes).await,
            Act::Pause(wait) => {
                sleep(wait).await;
                Ok(())
            }
            // Hyper drops this future when the caller closes the connection.
            Act::Silence => std::future::pending().await,
            Act::Reset => {
                socket.reset_on_close();
                Ok(())
            }
            Act::Close => Ok(()),
        };
        if written.is_err() {
            // The caller closed first; the exchange says so when it is dropped.
            return Err(Ended);
        }
    }
    exchange.give_up();
    Err(Ended)
}

async fn write_endlessly(socket: &Socket, bytes: &Bytes) -> std::io::Result<()> {
    for _ in 0..delivery::endless_rounds(bytes) {
        socket.write_all(bytes).await?;
    }
    Ok(())
}
