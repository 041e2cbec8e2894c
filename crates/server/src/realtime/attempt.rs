//! One attempt at opening a session: the provider's address, our headers, its answer to the handshake.
//!
//! Owns OpenAI's and Azure's spellings of the address. Leaves the classes of failures to the pipeline's attempts.
//! **Invariant:** the credential that goes out is the deployment's, and no header is the caller's.

use crate::error::Rejection;
use crate::percent;
use crate::pipeline::attempt::{
    AttemptFailure, CallLimits, from_credential, from_error_reply, from_failure, from_fault,
};
use crate::pipeline::speech::Speech;
use crate::pipeline::staged::Staged;
use crate::pipeline::wasted::Wasted;
use crate::surface::Surface;
use crate::target::Target;
use crate::worker::Worker;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::uri::PathAndQuery;
use http::{Method, Uri};
use std::time::Duration;
use tokio::time::Instant;
use tollgate_catalog::Wire;
use tollgate_dialect::wire::ReplyFault;
use tollgate_policy::failure::FailureKind;
use tollgate_upstream::websocket::{Handshake, WebSocket};
use tollgate_upstream::{Outgoing, SegmentBody};

/// What is asked of every deployment.
#[derive(Debug)]
pub(super) struct Asked {
    /// The kind of session, where the caller says one.
    pub(super) intent: Option<String>,
    /// The API as it was in its beta.
    pub(super) is_beta: bool,
    /// Largest message.
    pub(super) message_bytes_max: usize,
}

/// A session that a provider has opened.
pub(super) struct Opened {
    /// The headers of its 101.
    pub(super) headers: HeaderMap,
    /// The connection.
    pub(super) socket: Box<WebSocket>,
    /// How long that took.
    pub(super) at_provider: Duration,
}

/// Opens a session at one deployment.
pub(super) async fn attempt(
    worker: &Worker,
    asked: &Asked,
    target: &Target,
    limits: CallLimits,
) -> Result<Opened, AttemptFailure> {
    target.metrics.attempts.inc();
    Staged::open(target, limits).await?;
    let uri = address(target, asked.intent.as_deref()).ok_or_else(|| has_none(target))?;
    let mut headers = target.headers.clone();
    if asked.is_beta {
        headers.insert(HeaderName::from_static("openai-beta"), HeaderValue::from_static("realtime=v1"));
    }
    let authorized = target.authorization.put_on_headers(&mut headers, &worker.client).await;
    authorized.map_err(|failure| from_credential(&failure, target, limits))?;
    let (sent, timeouts) = (Instant::now(), limits.timeouts());
    let outgoing =
        Outgoing { method: Method::GET, target: uri, headers, body: SegmentBody::default(), timeouts };
    let answer = worker.client.open_websocket(&target.endpoint, outgoing, asked.message_bytes_max).await;
    match answer.map_err(|failure| from_failure(&failure, target, limits))? {
        Handshake::Open { headers, socket } => Ok(Opened { headers, socket, at_provider: sent.elapsed() }),
        Handshake::Refused(reply) if reply.status.is_success() => {
            Err(from_fault(&ReplyFault::Malformed("no WebSocket where one was asked for"), target))
        }
        Handshake::Refused(reply) => Err(from_error_reply(*reply, Speech::OpenAi, target, timeouts).await),
    }
}

/// Another deployment of the group may be one that has it.
fn has_none(target: &Target) -> AttemptFailure {
    let reason = "this provider has no realtime sessions";
    let path = Surface::Realtime.path();
    AttemptFailure {
        kind: FailureKind::NotExpressible,
        retry_after: None,
        rejection: Rejection::not_expressible(target.provider.exception, path, reason),
        class: "bad_request",
        detail: reason.to_owned(),
        names_model: false,
        wasted: Wasted::Nothing,
    }
}

/// Where a deployment's sessions are: `/realtime?model=` below an OpenAI-compatible base and on Azure's version-free
/// surface, `/openai/realtime?deployment=` on Azure's older one, which is not below the deployment's own address.
fn address(target: &Target, intent: Option<&str>) -> Option<Uri> {
    if !matches!(target.provider.wire, Wire::OpenAi | Wire::Azure) {
        return None;
    }
    let uri = target.operation("realtime")?;
    let mut text = spelled(uri.path(), uri.query(), &target.model);
    if let Some(intent) = intent {
        text.push_str("&intent=");
        text.push_str(intent);
    }
    PathAndQuery::from_maybe_shared(text).ok().map(Uri::from)
}

fn spelled(path: &str, query: Option<&str>, model: &str) -> String {
    let deployment = path.split_once("/openai/deployments/").and_then(|(before, rest)| {
        let (deployment, operation) = rest.split_once('/')?;
        Some((format!("{before}/openai/{operation}"), deployment))
    });
    let (path, parameter) = match deployment {
        Some((path, deployment)) => (path, format!("deployment={deployment}")),
        None => (path.to_owned(), format!("model={}", percent::encode(model))),
    };
    match query {
        Some(query) => format!("{path}?{query}&{parameter}"),
        None => format!("{path}?{parameter}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_an_address_names_the_model_where_it_belongs() {
        let check = |path: &str, query: Option<&str>, expect: &str| {
            assert_eq!(spelled(path, query, "gpt-realtime"), expect, "{path}");
        };
        check("/v1/realtime", None, "/v1/realtime?model=gpt-realtime");
        check("/openai/v1/realtime", None, "/openai/v1/realtime?model=gpt-realtime");
        check(
            "/openai/v1/realtime",
            Some("api-version=preview"),
            "/openai/v1/realtime?api-version=preview&model=gpt-realtime",
        );
        check(
            "/openai/deployments/mine/realtime",
            Some("api-version=2024-10-21"),
            "/openai/realtime?api-version=2024-10-21&deployment=mine",
        );
        check("/d/a/openai/deployments/x%2Fy/realtime", None, "/d/a/openai/realtime?deployment=x%2Fy");
        assert_eq!(spelled("/v1/realtime", None, "a&b=c"), "/v1/realtime?model=a%26b%3Dc");
    }
}
