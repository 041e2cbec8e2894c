//! A tiny real call to one deployment, for `/health`: the same road as a caller's request.

use super::Call;
use super::outbound;
use super::receive;
use crate::routes::PathModel;
use crate::surface::Surface;
use crate::target::Target;
use bytes::Bytes;
use http::HeaderMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tollgate_upstream::{Client, Timeouts};

/// LiteLLM's question, and a limit that every model takes.
const CHAT: &str = r#"{"model":"m","messages":[{"role":"user","content":"What's 1 + 1?"}],"max_tokens":16}"#;
const EMBEDDING: &str = r#"{"model":"m","input":["What's 1 + 1?"]}"#;

/// The reply's headers, or a status and a sentence.
pub(crate) async fn probe(
    client: &Arc<Client>,
    target: &Arc<Target>,
    is_embedding: bool,
    limit: Duration,
) -> Result<HeaderMap, (u16, String)> {
    let (surface, body) = if is_embedding { (Surface::Embeddings, EMBEDDING) } else { (Surface::Chat, CHAT) };
    let body = Bytes::from_static(body.as_bytes());
    let headers = HeaderMap::new();
    let call = Call::new(surface, PathModel::default(), &headers, std::time::Instant::now());
    let rejection =
        |rejection: crate::error::Rejection| (rejection.status().as_u16(), rejection.message().to_owned());
    let received = receive::read(&body, &call, &headers).map_err(rejection)?;
    let mut prepared = outbound::prepare(&received, call.surface, target).map_err(rejection)?;
    let unreachable =
        |failure: tollgate_upstream::Failure| (500, format!("Connection error: {}", failure.kind.word()));
    target.authorization.put_on(&mut prepared, &target.endpoint, client).await.map_err(unreachable)?;
    let by = Instant::now() + limit;
    let timeouts = Timeouts { connect: limit, head_by: by, idle: limit, whole_by: by };
    let (outgoing, plan) = prepared.outgoing(timeouts);
    let reply = client.send(&target.endpoint, outgoing).await.map_err(unreachable)?;
    if reply.status.is_success() {
        // Read to its end, so that the connection serves again.
        reply.body.collect().await.map_err(unreachable)?;
        return Ok(reply.headers);
    }
    let failure = super::attempt::from_error_reply(reply, plan.speech, target, timeouts).await;
    Err((failure.rejection.status().as_u16(), failure.rejection.message().to_owned()))
}
