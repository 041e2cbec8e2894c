//! Tokens counted by the provider that will answer.
//!
//! Owns which providers have an endpoint for it and how they are asked. Leaves counting here to `local`. **Invariant:**
//! a provider is asked once, and its refusal of the request itself is the caller's to see.

use crate::error::Rejection;
use crate::pipeline::attempt::{CallLimits, from_credential, from_error_reply, from_failure, from_fault};
use crate::pipeline::outbound::{Prepared, ReadPlan, Road};
use crate::pipeline::speech::{Speech, add_betas};
use crate::target::Target;
use crate::worker::Worker;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tollgate_dialect::anthropic::{self, Host};
use tollgate_dialect::conversation::ChatRequest;
use tollgate_dialect::wire::{EncodeError, EncodeOptions, Losses, Outbound, ReplyFault};
use tollgate_dialect::{bedrock, gemini};
use tollgate_upstream::SegmentBody;

/// Longest wait for a count; it stands before the call that it is for.
const COUNT_TIMEOUT: Duration = Duration::from_secs(30);
/// Where Claude's tokens are counted on Vertex AI.
const VERTEX_COUNT_PATH: &str = "/publishers/anthropic/models/count-tokens:rawPredict";

/// Why there is no count.
pub(super) enum NoCount {
    /// The provider has no endpoint, or was not to be reached: it can be counted here.
    Unavailable,
    /// The request itself is wrong.
    Refused(Rejection),
}

/// The name of a provider's count, as LiteLLM has it; `None` where there is none.
pub(super) fn name(speech: Speech) -> Option<&'static str> {
    match speech {
        Speech::Anthropic(Host::Anthropic) => Some("anthropic_api"),
        Speech::Anthropic(Host::Vertex) => Some("vertex_ai_partner_models"),
        Speech::Anthropic(Host::BedrockInvoke) | Speech::Bedrock => Some("bedrock_api"),
        Speech::Gemini(_) => Some("gemini_api"),
        _ => None,
    }
}

/// Asks a deployment's provider how many tokens a conversation has.
pub(super) async fn count(
    worker: &Worker,
    target: &Arc<Target>,
    request: &ChatRequest,
    betas: Option<&HeaderValue>,
) -> Result<u64, NoCount> {
    let outbound = encode(target, request)?;
    let mut prepared = prepare(target, outbound, betas)?;
    let limits = CallLimits {
        deadline: Instant::now() + COUNT_TIMEOUT,
        connect: COUNT_TIMEOUT,
        attempt: COUNT_TIMEOUT,
        idle: COUNT_TIMEOUT,
        stream: false,
        is_fallback: false,
        checks_quality: false,
    };
    let gone = |detail: String| {
        tracing::info!(deployment = %target.id, %detail, "the provider did not count; counting here");
        NoCount::Unavailable
    };
    let authorized = target.authorization.put_on(&mut prepared, &target.endpoint, &worker.client).await;
    authorized.map_err(|failure| gone(from_credential(&failure, target, limits).detail))?;
    let timeouts = limits.timeouts();
    let (outgoing, plan) = prepared.outgoing(timeouts);
    let sent = worker.client.send(&target.endpoint, outgoing).await;
    let reply = sent.map_err(|failure| gone(from_failure(&failure, target, limits).detail))?;
    if !reply.status.is_success() {
        let status = reply.status.as_u16();
        let failure = from_error_reply(reply, plan.speech, target, timeouts).await;
        // Another model, a limit or a fault of the provider's is nothing that the caller can mend.
        let is_callers = matches!(status, 400 | 413 | 422);
        return Err(if is_callers { NoCount::Refused(failure.rejection) } else { gone(failure.detail) });
    }
    let body = reply.body.collect().await.map_err(|failure| gone(failure.to_string()))?;
    decode(target.speech, &body).map_err(|fault| gone(from_fault(&fault, target).detail))
}

fn encode(target: &Target, request: &ChatRequest) -> Result<Outbound, NoCount> {
    let mut request = request.clone();
    request.model.clone_from(&target.model);
    let options = EncodeOptions { drop_unsupported: true, ..target.options.clone() };
    let encoded = match target.speech {
        Speech::Anthropic(Host::Anthropic) => anthropic::encode_count(&request, &options),
        Speech::Anthropic(Host::Vertex) => anthropic::encode_count(&request, &options)
            .map(|outbound| Outbound { path: VERTEX_COUNT_PATH.to_owned(), headers: Vec::new(), ..outbound }),
        Speech::Anthropic(Host::BedrockInvoke) | Speech::Bedrock => bedrock::encode_count(&request, &options),
        Speech::Gemini(host) => gemini::encode_count_request_for(host, &request, &options),
        _ => return Err(NoCount::Unavailable),
    };
    encoded.map_err(|error| match error {
        EncodeError::Unsupported { .. } => NoCount::Unavailable,
        EncodeError::Invalid { param, message } => {
            NoCount::Refused(Rejection::not_expressible(target.provider.exception, &param, &message))
        }
    })
}

fn prepare(target: &Target, outbound: Outbound, betas: Option<&HeaderValue>) -> Result<Prepared, NoCount> {
    let path = target.endpoint.target(&format!("{}{}", target.prefix, outbound.path));
    let path = path.map_err(|_| NoCount::Unavailable)?;
    let mut headers = target.headers.clone();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    for (name, value) in outbound.headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
    if let (Speech::Anthropic(Host::Anthropic), Some(asked)) = (target.speech, betas) {
        add_betas(&mut headers, asked);
    }
    let plan = ReadPlan { road: Road::Pass, speech: target.speech, lost: Losses::default() };
    let body = SegmentBody::from(Bytes::from(outbound.body));
    Ok(Prepared { method: Method::POST, target: path, headers, body, plan, more: Vec::new() })
}

fn decode(speech: Speech, body: &[u8]) -> Result<u64, ReplyFault> {
    match speech {
        Speech::Anthropic(Host::Anthropic | Host::Vertex) => anthropic::decode_count_reply(body),
        Speech::Gemini(_) => gemini::decode_count(body),
        _ => bedrock::decode_count_reply(body),
    }
}
