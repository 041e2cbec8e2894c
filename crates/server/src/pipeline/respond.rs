//! What a provider answered, read and turned into the caller's reply.
//!
//! A plain reply is read whole, since its cost stands in its head. A stream is read up to its first content; until then
//! a failure is the attempt's, after that it is the caller's stream that ends with an error event.

use super::attempt::{ReadReply, Unread};
use super::outbound::Road;
use super::receive::Received;
use super::settle::{Billing, Settlement};
use super::{Call, Surface};
use crate::reply::{GatewayBody, ReplyHeaders, StreamBody, StreamParts};
use crate::target::Target;
use crate::worker::Worker;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap};
use http::{Response, StatusCode};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::time::{Instant, timeout_at};
use tollgate_catalog::Wire;
use tollgate_dialect::conversation::{EmbeddingRequest, Usage};
use tollgate_dialect::openai::{ReplyFacts, StreamPlan, StreamShape, Translator, VectorForm};
use tollgate_dialect::relay::{OpenAiRelay, RelayOptions, relay_reply};
use tollgate_dialect::wire::{Reading, ReplyFault, Transducer};
use tollgate_dialect::{anthropic, gemini, openai};
use tollgate_upstream::{Failure, Kind, Phase, Reply, ReplyBody};

/// Longest part of a stream that is held back until its first content, in bytes.
const HELD_BYTES_MAX: usize = 1 << 20;

/// An attempt that answered.
pub(crate) struct Answer {
    target: Arc<Target>,
    provider_headers: HeaderMap,
    body: AnswerBody,
    /// When the request was sent.
    sent: Instant,
    /// When the answer (plain) or its first content (stream) was there.
    answered: Instant,
    /// Attempts before this one.
    retries: u32,
    /// Attempts that there could have been before it.
    retries_max: u32,
}

impl Answer {
    /// The answer of an attempt that came after `retries` others, of `retries_max` that were allowed.
    pub(super) fn after(self, retries: u32, retries_max: u32) -> Self {
        Self { retries, retries_max, ..self }
    }
}

enum AnswerBody {
    Whole { segments: Vec<Bytes>, billing: Billing },
    Stream(Box<Begun>),
}

/// A stream that has begun.
struct Begun {
    upstream: ReplyBody,
    transducer: Box<dyn Transducer>,
    ready: Vec<Bytes>,
    ended: bool,
}

/// Reads a successful reply.
pub(crate) async fn read_reply(reading: ReadReply<'_>, reply: Reply) -> Result<Answer, Unread> {
    let Reply { headers, body, .. } = reply;
    let (target, sent) = (Arc::clone(reading.target), reading.sent);
    let body = if reading.received.stream {
        check_event_stream(&headers).map_err(Unread::Fault)?;
        read_stream_head(reading, body).await?
    } else {
        let bytes = body.collect().await.map_err(Unread::Failure)?;
        read_whole(reading, &bytes).map_err(Unread::Fault)?
    };
    Ok(Answer {
        target,
        provider_headers: headers,
        body,
        sent,
        answered: Instant::now(),
        retries: 0,
        retries_max: 0,
    })
}

fn read_whole(reading: ReadReply<'_>, bytes: &Bytes) -> Result<AnswerBody, ReplyFault> {
    let ReadReply { call, received, target, road, .. } = reading;
    let facts = || facts(call, &received.model);
    let (segments, usage, tier) = match road {
        Road::Relay => {
            let view = relay_reply(bytes, Some(&received.model))?;
            (view.body.iter().cloned().collect(), view.usage, view.service_tier)
        }
        Road::Translate(reading) => {
            let reply = match target.provider.wire {
                Wire::OpenAi | Wire::Azure => openai::decode_reply(bytes)?,
                Wire::Anthropic => anthropic::decode_reply(bytes, &reading)?,
                Wire::Gemini => gemini::decode_reply(bytes, &reading)?,
            };
            let text = match call.surface {
                Surface::Completions => openai::encode_completion(&reply, &facts()),
                _ => openai::encode_reply(&reply, &facts()),
            };
            (vec![Bytes::from(text)], Some(reply.usage), reply.service_tier)
        }
        Road::TranslateEmbeddings(request) => {
            let (text, usage) = translate_embeddings(bytes, &request, &facts())?;
            (vec![text], usage, None)
        }
    };
    // A provider that reports nothing at all is estimated; one that reports zeros is believed.
    let answer_bytes = segments.iter().map(Bytes::len).sum::<usize>() as u64;
    let usage = usage.filter(|usage| {
        *usage != Usage::default() || matches!(target.provider.wire, Wire::OpenAi | Wire::Azure)
    });
    let answer_bytes = if call.surface == Surface::Embeddings { 0 } else { answer_bytes };
    let billing = Billing::new(usage, received.body.len() as u64, answer_bytes, tier.as_deref());
    Ok(AnswerBody::Whole { segments, billing })
}

fn translate_embeddings(
    bytes: &Bytes,
    request: &EmbeddingRequest,
    facts: &ReplyFacts,
) -> Result<(Bytes, Option<Usage>), ReplyFault> {
    let reply = gemini::decode_embeddings(bytes, request)?;
    let form = if request.base64 { VectorForm::Base64 } else { VectorForm::Numbers };
    let usage = (reply.usage != Usage::default()).then_some(reply.usage);
    Ok((Bytes::from(openai::encode_embeddings(&reply, form, facts)), usage))
}

fn check_event_stream(headers: &HeaderMap) -> Result<(), ReplyFault> {
    let is_stream = headers.get(CONTENT_TYPE).is_some_and(|value| {
        value.as_bytes().trim_ascii_start().to_ascii_lowercase().starts_with(b"text/event-stream")
    });
    if is_stream { Ok(()) } else { Err(ReplyFault::Malformed("not an event stream")) }
}

/// Reads a stream until something the caller sees as content is there, or until its end.
async fn read_stream_head(reading: ReadReply<'_>, mut upstream: ReplyBody) -> Result<AnswerBody, Unread> {
    let head_by = reading.head_by;
    let mut transducer = transducer(reading);
    let mut ready = Vec::new();
    while !transducer.progress().content_started
        && ready.iter().map(Bytes::len).sum::<usize>() < HELD_BYTES_MAX
    {
        let late = || Failure::new(Kind::Timeout, Phase::AwaitingHead, "no token in time");
        let next = timeout_at(head_by, upstream.next()).await.map_err(|_| Unread::Failure(late()))?;
        match next {
            Some(Ok(chunk)) => match transducer.push(chunk, &mut ready) {
                Ok(()) => {}
                // The fault comes after content in the same chunk: the stream's business, where it will be met again.
                Err(fault) if !transducer.progress().content_started => return Err(Unread::Fault(fault)),
                Err(fault) => return Ok(broken(upstream, ready, transducer, fault)),
            },
            Some(Err(failure)) => return Err(Unread::Failure(failure)),
            None => {
                transducer.finish(&mut ready).map_err(Unread::Fault)?;
                return Ok(AnswerBody::Stream(Box::new(Begun { upstream, transducer, ready, ended: true })));
            }
        }
    }
    Ok(AnswerBody::Stream(Box::new(Begun { upstream, transducer, ready, ended: false })))
}

/// A stream whose first chunk had content and then a fault: the fault is told again when the stream is polled.
fn broken(
    upstream: ReplyBody,
    ready: Vec<Bytes>,
    inner: Box<dyn Transducer>,
    fault: ReplyFault,
) -> AnswerBody {
    let transducer = Box::new(Broken { inner, fault });
    AnswerBody::Stream(Box::new(Begun { upstream, transducer, ready, ended: false }))
}

struct Broken {
    inner: Box<dyn Transducer>,
    fault: ReplyFault,
}

impl Transducer for Broken {
    fn push(&mut self, _: Bytes, _: &mut Vec<Bytes>) -> Result<(), ReplyFault> {
        Err(self.fault.clone())
    }

    fn finish(&mut self, _: &mut Vec<Bytes>) -> Result<(), ReplyFault> {
        Err(self.fault.clone())
    }

    fn progress(&self) -> tollgate_dialect::wire::Progress {
        tollgate_dialect::wire::Progress { complete: false, ..self.inner.progress() }
    }
}

fn transducer(reading: ReadReply<'_>) -> Box<dyn Transducer> {
    let ReadReply { call, received, target, road, .. } = reading;
    let plan = |received: &Received<'_>| StreamPlan {
        facts: facts(call, &received.model),
        shape: if call.surface == Surface::Completions { StreamShape::Completion } else { StreamShape::Chat },
        include_usage: received.asks_usage,
    };
    let reading = match road {
        Road::Relay => {
            return Box::new(OpenAiRelay::new(RelayOptions {
                client_model: Some(received.model.clone()),
                hide_usage: !received.asks_usage,
                drops_choiceless: target.provider.wire == Wire::Azure,
                ..RelayOptions::default()
            }));
        }
        Road::Translate(reading) => reading,
        Road::TranslateEmbeddings(_) => Reading::default(),
    };
    match target.provider.wire {
        Wire::OpenAi | Wire::Azure => {
            Box::new(Translator::new(openai::ChunkDecoder::default(), plan(received)))
        }
        Wire::Anthropic => Box::new(Translator::new(anthropic::StreamDecoder::new(reading), plan(received))),
        Wire::Gemini => Box::new(Translator::new(gemini::StreamDecoder::new(&reading), plan(received))),
    }
}

fn facts(call: &Call, model: &str) -> ReplyFacts {
    let created = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let id = call.id.to_str().unwrap_or_default();
    ReplyFacts { client_model: model.to_owned(), created, fallback_id: format!("chatcmpl-{id}") }
}

/// Makes the caller's reply and settles, or hands the settlement to the stream.
pub(crate) fn respond(
    worker: &Worker,
    call: &Call,
    received: &Received<'_>,
    answer: Answer,
) -> Response<GatewayBody> {
    let Answer { target, provider_headers, body, sent, answered, retries, retries_max } = answer;
    let at_provider = answered.saturating_duration_since(sent);
    let total = call.started.elapsed();
    let mut headers = match &body {
        AnswerBody::Whole { .. } => ReplyHeaders::plain(&target.reply_headers, &call.id),
        AnswerBody::Stream(_) => ReplyHeaders::stream(&target.reply_headers, &call.id),
    };
    headers.provider(&provider_headers, target.credential()).attempts(retries, retries_max);
    headers.not_yet_active(&received.overrides.not_yet_active);
    headers.durations(total, total.saturating_sub(at_provider));
    let mut settlement = Settlement::new(worker, call, &target, received.body.len() as u64, at_provider);
    match body {
        AnswerBody::Whole { segments, billing } => {
            headers.cost(settlement.settle_plain(&billing).as_ref());
            reply(headers.into_map(), GatewayBody::segments(segments))
        }
        AnswerBody::Stream(begun) => {
            let Begun { upstream, transducer, ready, ended } = *begun;
            settlement.first_token(total);
            let parts = StreamParts {
                upstream,
                transducer,
                ready,
                ended,
                settlement,
                drain: worker.gateway.drain_handle(),
            };
            reply(headers.into_map(), GatewayBody::stream(StreamBody::new(parts)))
        }
    }
}

fn reply(headers: HeaderMap, body: GatewayBody) -> Response<GatewayBody> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::OK;
    *response.headers_mut() = headers;
    response
}
