//! What a provider answered to a request that passed, on its way to the caller: status, body and a few headers as they
//! are.
//!
//! Owns which of the provider's headers come as they are, reading an error's bytes, and the end of a stream that broke.
//! Leaves usage to `relay::PassRelay` and money to the settlement. **Invariant:** no byte of the account's credential
//! that a provider repeats in an error reaches the caller.

use super::platform;
use super::way::Way;
use crate::error::Rejection;
use crate::pipeline::Call;
use crate::pipeline::attempt::{Unread, disposition};
use crate::pipeline::caller::encode_error;
use crate::pipeline::settle::{Billing, Settlement};
use crate::reply::{GatewayBody, ReplyHeaders, StreamBody, StreamParts, Upstream};
use crate::routes::Passage;
use crate::surface::Surface;
use crate::toll::{Stake, note_failure};
use crate::worker::Worker;
use bytes::Bytes;
use http::header::{CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use serde_json::json;
use std::sync::{Mutex, PoisonError};
use tokio::time::Instant;
use tollgate_dialect::relay::{PassRelay, reply_usage};
use tollgate_dialect::wire::{CallerError, Dialect, Progress, ReplyFault, Transducer};
use tollgate_upstream::{Reply, ReplyBody};

/// Longest error body that is passed on, in bytes.
const ERROR_BYTES_MAX: usize = 256 << 10;
/// What is put in a credential's place.
const STRUCK: &[u8] = b"****";
/// Headers of a provider's that come as they are.
const PLAIN: [HeaderName; 9] = [
    CONTENT_TYPE,
    CONTENT_DISPOSITION,
    CONTENT_RANGE,
    ETAG,
    RETRY_AFTER,
    HeaderName::from_static("retry-after-ms"),
    HeaderName::from_static("x-should-retry"),
    HeaderName::from_static("x-request-id"),
    HeaderName::from_static("request-id"),
];
/// Families of such headers.
const PLAIN_FAMILIES: [&str; 4] = ["openai-", "anthropic-", "x-goog-upload-", "x-amzn-bedrock-"];

/// What passing a reply on takes.
pub(super) struct Passing<'a> {
    pub(super) worker: &'a Worker,
    pub(super) call: &'a Call,
    pub(super) way: Way,
    pub(super) prompt_bytes: u64,
    /// The request asked for a stream.
    pub(super) is_stream: bool,
    /// It begins work that is billed when it ends.
    pub(super) is_billed_later: bool,
    /// The provider asks nothing for it.
    pub(super) is_free: bool,
    pub(super) sent: Instant,
    /// What is held of the caller's budgets, until it is the settlement's.
    pub(super) stake: Mutex<Option<Stake>>,
}

impl Passing<'_> {
    fn take_stake(&self) -> Option<Stake> {
        self.stake.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Passes a reply on.
pub(super) async fn pass_on(passing: Passing<'_>, reply: Reply) -> Result<Response<GatewayBody>, Unread> {
    let Reply { status, headers, body } = reply;
    if status.is_redirection() || status.is_informational() {
        return Err(Unread::Fault(ReplyFault::Malformed("a redirect, which is never followed")));
    }
    if !status.is_success() {
        return Ok(error(&passing, status, &headers, body).await);
    }
    let kind = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    let is_json = kind.get(..16).is_some_and(|start| start.eq_ignore_ascii_case(b"application/json"));
    if is_json && !passing.is_stream {
        let bytes = body.collect().await.map_err(Unread::Failure)?;
        return Ok(whole(&passing, status, &headers, bytes));
    }
    Ok(stream(&passing, status, &headers, body))
}

fn begin(passing: &Passing<'_>, provider: &HeaderMap, is_stream: bool) -> ReplyHeaders {
    let Passing { call, way, sent, .. } = passing;
    let mut headers = match is_stream {
        true => ReplyHeaders::stream(&way.target.reply_headers, &call.id),
        false => ReplyHeaders::plain(&way.target.reply_headers, &call.id),
    };
    let total = call.started.elapsed();
    headers.provider(provider, way.target.credential());
    headers.durations(total, total.saturating_sub(sent.elapsed()));
    if passing.is_billed_later {
        headers.unpriced(&way.target.model);
    }
    if passing.is_free {
        headers.free();
    }
    headers
}

/// The caller's head: the gateway's headers, then the provider's that come as they are.
fn head(headers: ReplyHeaders, provider: &HeaderMap, secret: Option<&str>) -> HeaderMap {
    let mut map = headers.into_map();
    // Without a type in the provider's reply there is none in the caller's.
    map.remove(CONTENT_TYPE);
    for (name, value) in provider {
        let is_plain =
            PLAIN.contains(name) || PLAIN_FAMILIES.iter().any(|family| name.as_str().starts_with(family));
        let is_secret =
            secret.is_some_and(|secret| memchr::memmem::find(value.as_bytes(), secret.as_bytes()).is_some());
        if is_plain && !is_secret {
            map.insert(name.clone(), value.clone());
        }
    }
    map
}

fn response(status: StatusCode, headers: HeaderMap, body: GatewayBody) -> Response<GatewayBody> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

fn whole(
    passing: &Passing<'_>,
    status: StatusCode,
    provider: &HeaderMap,
    bytes: Bytes,
) -> Response<GatewayBody> {
    let mut headers = begin(passing, provider, false);
    let usage = passing.way.bills.then(|| reply_usage(&bytes)).flatten();
    let mut settlement = settlement(passing);
    headers.bill(settlement.settle_plain(&Billing::reported(usage)).as_ref());
    let bytes = match passing.call.surface {
        Surface::Passed(Passage::Anthropic | Passage::MessageBatches) => platform::with_own_results(&bytes),
        _ => bytes,
    };
    let map = head(headers, provider, passing.way.target.credential());
    response(status, map, GatewayBody::whole(bytes))
}

fn stream(
    passing: &Passing<'_>,
    status: StatusCode,
    provider: &HeaderMap,
    upstream: ReplyBody,
) -> Response<GatewayBody> {
    let headers = begin(passing, provider, true);
    let kind = provider.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    let mut settlement = settlement(passing);
    settlement.first_token(passing.call.started.elapsed());
    let relay = PassRelay::for_type(if passing.way.bills { kind } else { b"" });
    let is_events = kind.get(..17).is_some_and(|start| start.eq_ignore_ascii_case(b"text/event-stream"));
    let transducer = Box::new(Ended { relay, dialect: passing.call.surface.dialect(), is_events });
    let mut map = head(headers, provider, passing.way.target.credential());
    if let Some(length) = provider.get(CONTENT_LENGTH) {
        map.insert(CONTENT_LENGTH, length.clone());
    }
    let parts = StreamParts {
        upstream: Upstream::Reply(upstream),
        transducer,
        ready: Vec::new(),
        ended: false,
        keeping: None,
        settlement,
        rescue: None,
        is_quiet: true,
        memo: None,
        drain: passing.worker.gateway.drain_handle(),
    };
    response(status, map, GatewayBody::stream(StreamBody::new(parts)))
}

fn settlement(passing: &Passing<'_>) -> Settlement {
    let Passing { worker, call, way, prompt_bytes, sent, .. } = passing;
    let settlement = Settlement::new(worker, call, &way.target, *prompt_bytes, sent.elapsed());
    let settlement = settlement.with_stake(passing.take_stake());
    match (passing.is_billed_later, passing.is_free) {
        (true, _) => settlement.billed_later(),
        (false, true) => settlement.free(),
        (false, false) => settlement,
    }
}

/// A provider's error with its own status and bytes.
async fn error(
    passing: &Passing<'_>,
    status: StatusCode,
    provider: &HeaderMap,
    mut body: ReplyBody,
) -> Response<GatewayBody> {
    let Passing { worker, call, way, .. } = passing;
    if let Some(stake) = passing.take_stake() {
        stake.release();
    }
    let mut bytes = Vec::new();
    while let Some(Ok(piece)) = body.next().await {
        let room = ERROR_BYTES_MAX.saturating_sub(bytes.len());
        bytes.extend_from_slice(piece.get(..room.min(piece.len())).unwrap_or_default());
        if bytes.len() >= ERROR_BYTES_MAX {
            break;
        }
    }
    let credential = way.target.credential();
    let (_, class) = disposition(&way.target.speech.decode_error(status.as_u16(), &bytes));
    let metrics = worker.gateway.metrics();
    metrics.attempt_failed(&way.target.metrics, status.as_u16(), class);
    metrics.request_failed(way.target.metrics.group(), status.as_u16(), call.surface.path());
    tracing::info!(
        call_id = %call.id.to_str().unwrap_or_default(),
        deployment = %way.target.id,
        provider = way.target.provider.name,
        class,
        status = status.as_u16(),
        "the provider refused a request that passed through"
    );
    let refused =
        Rejection::told(status, "invalid_request_error", format!("The provider answered {status}."));
    note_failure(worker.gateway.ledger(), call, &refused);
    let mut headers = ReplyHeaders::failed(&call.id);
    headers.provider(provider, credential);
    let map = head(headers, provider, credential);
    response(status, map, GatewayBody::whole(struck_out(bytes, credential)))
}

/// A body without the credential.
fn struck_out(bytes: Vec<u8>, secret: Option<&str>) -> Vec<u8> {
    let Some(secret) = secret.map(str::as_bytes).filter(|secret| !secret.is_empty()) else { return bytes };
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes.as_slice();
    while let Some(at) = memchr::memmem::find(rest, secret) {
        out.extend_from_slice(rest.get(..at).unwrap_or_default());
        out.extend_from_slice(STRUCK);
        rest = rest.get(at + secret.len()..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
    out
}

/// Passes a stream on; one of events that breaks ends with an error event in the words of its path's dialect.
struct Ended {
    relay: PassRelay,
    dialect: Dialect,
    is_events: bool,
}

impl Transducer for Ended {
    fn push(&mut self, chunk: Bytes, out: &mut Vec<Bytes>) -> Result<(), ReplyFault> {
        self.relay.push(chunk, out)
    }

    fn finish(&mut self, out: &mut Vec<Bytes>) -> Result<(), ReplyFault> {
        self.relay.finish(out)
    }

    fn fail(&mut self, error: &CallerError<'_>, out: &mut Vec<Bytes>) {
        if !self.is_events {
            return;
        }
        let own = encode_error(self.dialect, error).and_then(|body| String::from_utf8(body).ok());
        let plain =
            || json!({"error": {"message": error.message, "type": "api_error", "code": error.status}});
        let body = own.unwrap_or_else(|| plain().to_string());
        let name = if self.dialect == Dialect::Anthropic { "event: error\n" } else { "" };
        // The blank line ends whatever event was cut.
        out.push(Bytes::from(format!("\n\n{name}data: {body}\n\n")));
    }

    fn progress(&self) -> &Progress {
        self.relay.progress()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_is_struck_out_wherever_it_stands() {
        let check = |text: &str, expect: &str| {
            let out = struck_out(text.as_bytes().to_vec(), Some("sk-1234"));
            assert_eq!(String::from_utf8(out).unwrap(), expect);
        };
        check("", "");
        check("no key", "no key");
        check("sk-1234", "****");
        check("a sk-1234sk-1234 b sk-123", "a ******** b sk-123");
        assert_eq!(struck_out(vec![0xff, 0], Some("x")), [0xff, 0]);
    }

    #[test]
    fn a_broken_stream_of_events_ends_with_an_error_in_its_dialect() {
        let error = CallerError {
            status: 500,
            kind: None,
            message: "broke",
            param: None,
            code: None,
            request_id: None,
        };
        let check = |dialect: Dialect, is_events: bool, expect: &[&str]| {
            let relay = PassRelay::for_type(b"text/event-stream");
            let mut out = Vec::new();
            Ended { relay, dialect, is_events }.fail(&error, &mut out);
            let text = String::from_utf8(out.concat()).unwrap();
            assert_eq!(text.is_empty(), expect.is_empty(), "{text}");
            assert!(expect.iter().all(|part| text.contains(part)), "{text}");
        };
        check(Dialect::OpenAi, true, &["\n\ndata: {", "\"broke\""]);
        check(Dialect::Anthropic, true, &["\n\nevent: error\ndata: {", "\"type\":\"error\"", "broke"]);
        check(Dialect::OpenAi, false, &[]);
    }
}
