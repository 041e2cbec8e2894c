//! What a provider answered, read and turned into the caller's reply.
//!
//! A plain reply is read whole, since its cost stands in its head. A stream is read up to its first content; until then
//! a failure is the attempt's, after that it is the caller's stream that ends with an error event.

use super::arrival::Arrival;
use super::attempt::{ReadReply, Unread};
use super::broken::Broken;
use super::caller::FinalSlot;
use super::estimate::said_bytes;
use super::outbound::{self, Road};
use super::quality;
use super::receive::Received;
use super::rescue::{Asked, Continued, Lifeline, Onward, Past};
use super::settle::{Billing, Settlement, weigh};
use super::speech::Speech;
use super::staged::X_TOLLGATE_FAULT;
use super::thread::{Keeper, Watching};
use super::units::Units;
use super::{Call, caller, embedding};
use crate::reply::{GatewayBody, Keep, ReplyHeaders, StreamBody, StreamParts, Upstream};
use crate::surface::Surface;
use crate::target::Target;
use crate::worker::Worker;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::{Instant, timeout_at};
use tollgate_catalog::Wire;
use tollgate_dialect::continuation::{Continuation, Mode};
use tollgate_dialect::conversation::Usage;
use tollgate_dialect::relay::{OpenAiRelay, PassRelay, RelayOptions, relay_reply, rename_reply, reply_usage};
use tollgate_dialect::rerank;
use tollgate_dialect::translate::Translator;
use tollgate_dialect::wire::{EventDecoder, Losses, Reading, ReplyFacts, ReplyFault, Transducer};
use tollgate_upstream::{Failure, Kind, Phase, Reply, ReplyBody};

/// Longest part of a stream that is held back until its first content, in bytes.
const HELD_BYTES_MAX: usize = 1 << 20;

/// An attempt that answered.
pub(crate) struct Answer {
    target: Arc<Target>,
    provider_headers: HeaderMap,
    body: AnswerBody,
    /// What one side said and the other could not.
    lost: Losses,
    /// Caller and provider speak the same dialect.
    is_native: bool,
    /// When the request was sent.
    sent: Instant,
    /// When the answer (plain) or its first content (stream) was there.
    answered: Instant,
    /// How the request came to it.
    arrival: Option<Box<Arrival>>,
    /// For a stream that can go on from elsewhere.
    lifeline: Option<Box<Lifeline>>,
    /// The fault that the request has met on purpose.
    met: Option<HeaderValue>,
}

impl Answer {
    /// With a fault that it has met on purpose.
    pub(super) fn met(self, fault: HeaderValue) -> Self {
        Self { met: Some(fault), ..self }
    }

    /// With one that the request had met before, where it has met none itself.
    pub(super) fn met_before(self, fault: Option<HeaderValue>) -> Self {
        Self { met: self.met.or(fault), ..self }
    }

    /// It is there only now.
    pub(super) fn late(self) -> Self {
        Self { answered: Instant::now(), ..self }
    }

    /// With what it takes to go on from elsewhere, where it is a stream that may need that.
    pub(super) fn with_lifeline(mut self, asked: Asked<'_>) -> Self {
        let keeps_past = matches!(&self.body, AnswerBody::Stream(begun) if begun.past.is_some());
        if !keeps_past {
            return self;
        }
        let rest = self.arrival.as_mut().and_then(|arrival| arrival.rest.take());
        self.lifeline = rest.and_then(|rest| Lifeline::new(asked, rest));
        self
    }

    /// As the rest of a stream that broke off elsewhere; `None` where it is no stream.
    pub(super) fn into_continued(
        self,
        worker: &Worker,
        call: &Call,
        prompt_bytes: u64,
        mode: Mode,
    ) -> Option<Continued> {
        let at_provider = self.answered.saturating_duration_since(self.sent);
        let settlement = Settlement::new(worker, call, &self.target, prompt_bytes, at_provider);
        match self.body {
            AnswerBody::Stream(begun) => Some(Continued { begun: *begun, settlement, mode, lifeline: None }),
            AnswerBody::Whole { .. } => None,
        }
    }

    /// The whole body, for whoever keeps it; none for a stream.
    pub(super) fn whole(&self) -> Option<Bytes> {
        match &self.body {
            AnswerBody::Whole { segments, .. } => match segments.as_slice() {
                [one] => Some(one.clone()),
                several => Some(Bytes::from(several.concat())),
            },
            AnswerBody::Stream(_) => None,
        }
    }

    /// The deployment, where its provider keeps the response too.
    pub(super) fn holder(&self) -> Option<String> {
        self.is_native.then(|| self.target.id.clone())
    }

    /// With how the request came to it.
    pub(super) fn by(self, arrival: Arrival) -> Self {
        Self { arrival: Some(Box::new(arrival)), ..self }
    }

    /// How long the provider took to the answer (plain), or to its first content (stream).
    pub(super) fn took(&self) -> Duration {
        self.answered.saturating_duration_since(self.sent)
    }

    /// The provider's headers.
    pub(super) fn provider_headers(&self) -> &HeaderMap {
        &self.provider_headers
    }

    /// Whether it is a stream.
    pub(super) fn is_stream(&self) -> bool {
        matches!(self.body, AnswerBody::Stream(_))
    }
}

enum AnswerBody {
    Whole { segments: Vec<Bytes>, billing: Billing },
    Stream(Box<Begun>),
}

/// A stream that has begun.
pub(crate) struct Begun {
    pub(crate) upstream: Upstream,
    pub(crate) transducer: Box<dyn Transducer>,
    pub(crate) ready: Vec<Bytes>,
    pub(crate) ended: bool,
    /// Where the whole answer will be.
    pub(crate) slot: Option<FinalSlot>,
    /// Nothing that it brings says what it costs.
    is_opaque: bool,
    /// What has come of it, where it may have to go on from elsewhere.
    pub(crate) past: Option<Box<Past>>,
}

/// Reads a successful reply.
pub(crate) async fn read_reply(reading: ReadReply<'_>, reply: Reply) -> Result<Answer, Unread> {
    let Reply { headers, body, .. } = reply;
    let (target, sent) = (Arc::clone(reading.target), reading.sent);
    let is_native = matches!(reading.plan.road, Road::Native(_));
    let (body, lost) = if matches!(reading.plan.road, Road::Pass) {
        (read_passed(reading, &headers, body).await?, Losses::default())
    } else if reading.received.stream {
        if !reading.plan.speech.is_stream(&headers) {
            return Err(Unread::Fault(ReplyFault::Malformed("not an event stream")));
        }
        let lost = reading.plan.lost.clone();
        (read_stream_head(reading, Upstream::Reply(body)).await?, lost)
    } else {
        let bytes = body.collect().await.map_err(Unread::Failure)?;
        if let Some(rule) = quality::rule_broken_by(&reading, &bytes) {
            return Err(Unread::Quality(rule));
        }
        read_whole(reading, std::slice::from_ref(&bytes), &headers).map_err(Unread::Fault)?
    };
    Ok(Answer {
        target,
        provider_headers: headers,
        body,
        lost,
        is_native,
        sent,
        answered: Instant::now(),
        arrival: None,
        lifeline: None,
        met: None,
    })
}

/// Reads a stream that is not the reply to the request itself; `headers` are those of the reply.
pub(crate) async fn read_stream(
    reading: ReadReply<'_>,
    headers: HeaderMap,
    upstream: Upstream,
) -> Result<Answer, Unread> {
    let (target, sent) = (Arc::clone(reading.target), reading.sent);
    let lost = reading.plan.lost.clone();
    let body = read_stream_head(reading, upstream).await?;
    Ok(Answer {
        target,
        provider_headers: headers,
        body,
        lost,
        is_native: false,
        sent,
        answered: Instant::now(),
        arrival: None,
        lifeline: None,
        met: None,
    })
}

/// Makes one answer of the replies to a request that took several calls.
pub(crate) fn read_several(
    reading: ReadReply<'_>,
    headers: HeaderMap,
    bodies: &[Bytes],
) -> Result<Answer, ReplyFault> {
    let (target, sent) = (Arc::clone(reading.target), reading.sent);
    let (body, lost) = read_whole(reading, bodies, &headers)?;
    Ok(Answer {
        target,
        provider_headers: headers,
        body,
        lost,
        is_native: false,
        sent,
        answered: Instant::now(),
        arrival: None,
        lifeline: None,
        met: None,
    })
}

fn read_whole(
    reading: ReadReply<'_>,
    several: &[Bytes],
    headers: &HeaderMap,
) -> Result<(AnswerBody, Losses), ReplyFault> {
    let counted = embedding::counted_tokens(headers);
    let nothing = Bytes::new();
    let bytes = several.first().unwrap_or(&nothing);
    let model = reading.shown_model();
    let ReadReply { call, received, plan, .. } = reading;
    let outbound::ReadPlan { road, speech, mut lost } = plan;
    let facts = || ReplyFacts { client_model: model.to_owned(), ..facts(call, received) };
    let mut units = Units::default();
    let (segments, usage, tier) = match road {
        Road::Relay => {
            let view = relay_reply(bytes, Some(model))?;
            (view.body.iter().cloned().collect(), view.usage, view.service_tier)
        }
        Road::TranslateRerank(request) => {
            let reply = rerank::decode_reply(bytes, &request)?;
            let text = rerank::encode_reply(&reply, &request, &facts());
            units = Units::ranked(reply.usage.search_units, request.documents.len());
            (vec![Bytes::from(text)], Some(reply.usage), None)
        }
        // Read by `read_passed`.
        Road::Pass => (vec![bytes.clone()], reply_usage(bytes), None),
        Road::Native(reading) => {
            let reply = speech.decode_reply(bytes, &reading)?;
            (vec![rename_reply(bytes, speech.reply_model(), model)], Some(reply.usage), reply.service_tier)
        }
        Road::Translate(reading) => {
            let reply = speech.decode_reply(bytes, &reading)?;
            let text = caller::encode_reply((call.surface, received), &reply, &facts(), &mut lost);
            (vec![Bytes::from(text)], Some(reply.usage), reply.service_tier)
        }
        Road::TranslateEmbeddings(request) => {
            let mut reply = embedding::decode_reply(speech, several, &request)?;
            if reply.usage == Usage::default() {
                reply.usage.input_tokens = counted.unwrap_or(0);
            }
            let text = embedding::encode_reply((call.surface, received), &reply, &request, &facts());
            (vec![Bytes::from(text)], Some(reply.usage), None)
        }
    };
    // A provider that reports nothing at all is estimated; one that reports zeros is believed.
    let is_said = || speech.believes_zero() && reply_usage(bytes).is_some();
    let usage = usage.filter(|usage| *usage != Usage::default() || is_said());
    let said = || if call.surface.is_embedding() { 0 } else { said_bytes(&segments) };
    let billing = if call.surface.resource().is_some() {
        Billing::reported(usage).with_units(units)
    } else {
        Billing::new(usage, weigh(call, received.body.len() as u64), said, tier.as_deref())
    };
    Ok((AnswerBody::Whole { segments, billing }, lost))
}

/// Reads a reply of a kind that means nothing to the gateway. JSON is read whole for its usage; anything else is passed on
/// from its first bytes.
async fn read_passed(
    reading: ReadReply<'_>,
    headers: &HeaderMap,
    mut upstream: ReplyBody,
) -> Result<AnswerBody, Unread> {
    let kind = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    let is = |prefix: &[u8]| kind.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
    if is(b"application/json") {
        let bytes = upstream.collect().await.map_err(Unread::Failure)?;
        let usage = reply_usage(&bytes);
        let asked = Units::asked(reading.call.surface, reading.received, reading.target);
        let billing = Billing::reported(usage).with_units(asked.answered(&bytes));
        return Ok(AnswerBody::Whole { segments: vec![bytes], billing });
    }
    let is_events = is(b"text/event-stream");
    let mut transducer = Box::new(PassRelay::for_type(kind));
    let mut ready = Vec::new();
    let late = || Failure::new(Kind::Timeout, Phase::AwaitingHead, "no content in time");
    let first = timeout_at(reading.head_by, upstream.next()).await.map_err(|_| Unread::Failure(late()))?;
    let ended = match first {
        Some(Ok(chunk)) => {
            transducer.push(chunk, &mut ready).map_err(Unread::Fault)?;
            false
        }
        Some(Err(failure)) => return Err(Unread::Failure(failure)),
        None => true,
    };
    let may_say_usage = is_events || is(b"application/x-ndjson") || is(b"application/stream+json");
    let (upstream, is_opaque) = (Upstream::Reply(upstream), !may_say_usage);
    Ok(AnswerBody::Stream(Box::new(Begun {
        upstream,
        transducer,
        ready,
        ended,
        slot: None,
        is_opaque,
        past: None,
    })))
}

/// Reads a stream until something the caller sees as content is there, or until its end.
async fn read_stream_head(reading: ReadReply<'_>, upstream: Upstream) -> Result<AnswerBody, Unread> {
    let mut upstream = match reading.staged {
        Some(staged) => staged.stream(upstream, &reading.plan),
        None => upstream,
    };
    let (head_by, checks_quality) = (reading.head_by, reading.checks_quality);
    let goes_on = reading.received.onward.is_some();
    let created = reading.received.onward.as_ref().map_or_else(now_seconds, |onward| onward.created);
    let mut past = if reading.received.keeps_past {
        Past::new(&reading.plan, reading.received, created).map(Box::new)
    } else {
        None
    };
    let (mut transducer, slot) = transducer(reading, created);
    let mut ready = Vec::new();
    let mut has_come = false;
    while !transducer.progress().content_started
        && ready.iter().map(Bytes::len).sum::<usize>() < HELD_BYTES_MAX
    {
        let late = || Failure::new(Kind::Timeout, Phase::AwaitingHead, "no token in time");
        // What a new answer repeats of an old one may take long; then its silences alone are limited.
        let next = if goes_on && has_come {
            upstream.next().await
        } else {
            timeout_at(head_by, upstream.next()).await.map_err(|_| Unread::Failure(late()))?
        };
        has_come = true;
        if let (Some(past), Some(Ok(chunk))) = (&mut past, &next) {
            past.note(chunk);
        }
        match next {
            Some(Ok(chunk)) => match transducer.push(chunk, &mut ready) {
                Ok(()) => {}
                // The fault comes after content in the same chunk: the stream's business, where it will be met again.
                Err(fault) if !transducer.progress().content_started => return Err(Unread::Fault(fault)),
                Err(fault) => return Ok(broken(upstream, ready, (transducer, slot, past), fault)),
            },
            Some(Err(failure)) => return Err(Unread::Failure(failure)),
            None => {
                transducer.finish(&mut ready).map_err(Unread::Fault)?;
                if checks_quality && !transducer.progress().content_started {
                    return Err(Unread::Quality(quality::EMPTY));
                }
                return Ok(AnswerBody::Stream(Box::new(Begun {
                    upstream,
                    transducer,
                    ready,
                    ended: true,
                    slot,
                    is_opaque: false,
                    past: None,
                })));
            }
        }
    }
    Ok(AnswerBody::Stream(Box::new(Begun {
        upstream,
        transducer,
        ready,
        ended: false,
        slot,
        is_opaque: false,
        past,
    })))
}

/// A stream whose first chunk had content and then a fault: the fault is told again when the stream is polled.
fn broken(
    upstream: Upstream,
    ready: Vec<Bytes>,
    (inner, slot, past): (Box<dyn Transducer>, Option<FinalSlot>, Option<Box<Past>>),
    fault: ReplyFault,
) -> AnswerBody {
    let transducer = Box::new(Broken::new(inner, fault));
    let begun = Begun { upstream, transducer, ready, ended: false, slot, is_opaque: false, past };
    AnswerBody::Stream(Box::new(begun))
}

fn transducer(reading: ReadReply<'_>, created: u64) -> (Box<dyn Transducer>, Option<FinalSlot>) {
    let model = reading.shown_model();
    let ReadReply { call, received, target, plan, .. } = reading;
    let outbound::ReadPlan { road, speech, .. } = plan;
    // What goes on names the model that the answer began with.
    let client_model = match &received.onward {
        Some(onward) => onward.model.clone().unwrap_or_else(|| received.model.clone()),
        None => model.to_owned(),
    };
    let facts = ReplyFacts { created, client_model, ..facts(call, received) };
    if let Some(onward) = &received.onward {
        return continuing(onward, (call.surface, facts, received), (road, speech));
    }
    let reading = match road {
        Road::Relay => {
            let relay = Box::new(OpenAiRelay::new(RelayOptions {
                client_model: Some(model.to_owned()),
                hide_usage: !received.asks_usage,
                drops_choiceless: target.provider.wire == Wire::Azure,
                ..RelayOptions::default()
            }));
            return (relay, None);
        }
        Road::Native(reading) => {
            let (encoder, _) = caller::stream_encoder(call.surface, facts, received);
            let slot = FinalSlot::default();
            let watch = |decoder: Box<dyn EventDecoder>| -> Box<dyn EventDecoder> {
                if call.surface != Surface::Responses {
                    return decoder;
                }
                Box::new(Watching::new(decoder, Arc::clone(&slot), model))
            };
            let relay = speech.relay(reading, encoder, model, watch);
            return (relay, Some(slot));
        }
        Road::Translate(reading) => reading,
        Road::TranslateEmbeddings(_) | Road::TranslateRerank(_) | Road::Pass => Reading::default(),
    };
    let (framing, decoder) = speech.stream(reading);
    let (encoder, slot) = caller::stream_encoder(call.surface, facts, received);
    (Box::new(Translator::new(framing, decoder, encoder)), slot)
}

/// Reads what is new of another answer, and writes it with an encoder that has written what the caller has.
fn continuing(
    onward: &Onward,
    (surface, facts, received): (Surface, ReplyFacts, &Received<'_>),
    (road, speech): (Road, Speech),
) -> (Box<dyn Transducer>, Option<FinalSlot>) {
    let reading = match road {
        Road::Native(reading) | Road::Translate(reading) => reading,
        Road::Relay | Road::TranslateEmbeddings(_) | Road::TranslateRerank(_) | Road::Pass => {
            Reading::default()
        }
    };
    let (framing, decoder) = speech.stream(reading);
    let decoder = Continuation::new(decoder, Arc::new(onward.sent.clone()), onward.mode);
    let (encoder, slot) = caller::continuing_encoder((surface, facts), received, onward);
    (Box::new(Translator::new(framing, decoder, encoder)), slot)
}

/// Where a stream's type is not that of server-sent events.
pub(super) fn content_type(map: &mut HeaderMap, surface: Surface, received: &Received<'_>) {
    if received.stream
        && let Some(kind) = caller::stream_type(surface, received.as_array)
    {
        map.insert(CONTENT_TYPE, kind);
    }
}

pub(super) fn facts(call: &Call, received: &Received<'_>) -> ReplyFacts {
    ReplyFacts {
        client_model: received.model.clone(),
        created: now_seconds(),
        fallback_id: call.id.to_str().unwrap_or_default().to_owned(),
        custom_tools: received.custom_tools(),
        namespaced_tools: received.namespaced_tools(),
        include_usage: received.asks_usage,
    }
}

/// Seconds since 1970.
fn now_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Makes the caller's reply and settles, or hands the settlement to the stream.
pub(crate) fn respond(
    worker: &Worker,
    call: &Call,
    received: &Received<'_>,
    answer: Answer,
    keeper: Option<Keeper>,
) -> Response<GatewayBody> {
    let Answer { target, provider_headers, body, lost, sent, answered, arrival, lifeline, met, .. } = answer;
    let at_provider = answered.saturating_duration_since(sent);
    let total = call.started.elapsed();
    let mut headers = match &body {
        AnswerBody::Whole { .. } => ReplyHeaders::plain(&target.reply_headers, &call.id),
        AnswerBody::Stream(_) => ReplyHeaders::stream(&target.reply_headers, &call.id),
    };
    headers.provider(&provider_headers, target.credential());
    let (tier, fallbacks) = arrival.as_ref().map(|arrival| arrival.way()).unwrap_or_default();
    let held = arrival.map(|arrival| arrival.tell(&mut headers, &target));
    if let Some(fault) = met {
        headers.add(X_TOLLGATE_FAULT, fault);
    }
    headers.not_yet_active(&received.overrides.not_yet_active).lost(&lost);
    headers.durations(total, total.saturating_sub(at_provider)).toll(call.toll.get());
    if call.surface == Surface::Converse {
        headers.add(AMZN_REQUEST_ID, call.id.clone());
    }
    let mut settlement = Settlement::new(worker, call, &target, received.body.len() as u64, at_provider)
        .with_way(tier, fallbacks);
    if let Some((place, stake)) = held {
        settlement = settlement.with_place(place).with_stake(stake);
    }
    match body {
        AnswerBody::Whole { segments, billing } => {
            headers.bill(settlement.settle_plain(&billing).as_ref()).toll(call.toll.get());
            let map = with_type(headers.into_map(), call.surface, &provider_headers);
            reply(map, GatewayBody::segments(segments))
        }
        AnswerBody::Stream(begun) => {
            let Begun { upstream, transducer, ready, ended, slot, is_opaque, past } = *begun;
            if call.surface.resource().is_some() {
                settlement = settlement.with_units(Units::asked(call.surface, received, &target));
            }
            if is_opaque && let Some(cost) = settlement.foretell() {
                headers.bill(Some(&cost));
            }
            let keeping = keeper.zip(slot).map(|(keeper, slot)| {
                let kept = Arc::clone(&slot);
                Keep::new(slot, keeper.with_slot(kept))
            });
            settlement.first_token(total);
            let parts = StreamParts {
                upstream,
                transducer,
                ready,
                ended,
                settlement,
                keeping,
                rescue: past.zip(lifeline),
                is_quiet: !takes_comments(call.surface, received),
                drain: worker.gateway.drain_handle(),
            };
            let mut map = with_type(headers.into_map(), call.surface, &provider_headers);
            content_type(&mut map, call.surface, received);
            reply(map, GatewayBody::stream(StreamBody::new(parts)))
        }
    }
}

/// Whether a caller's stream takes comments: one of server-sent events that is written here, and not Google's, whose Python
/// package reads a comment as JSON (google-genai 3.4.0; those of OpenAI, Anthropic and Cohere skip it).
fn takes_comments(surface: Surface, received: &Received<'_>) -> bool {
    surface.is_conversation()
        && !matches!(surface, Surface::Passed(_) | Surface::GenerateContent)
        && caller::stream_type(surface, received.as_array).is_none()
}

/// A reply that was passed on has the provider's type.
fn with_type(mut headers: HeaderMap, surface: Surface, provider: &HeaderMap) -> HeaderMap {
    if surface.resource().is_some()
        && surface != Surface::Rerank
        && let Some(kind) = provider.get(CONTENT_TYPE)
    {
        headers.insert(CONTENT_TYPE, kind.clone());
    }
    headers
}

/// AWS's clients look for a request's id under this name.
pub(crate) const AMZN_REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");

fn reply(headers: HeaderMap, body: GatewayBody) -> Response<GatewayBody> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::OK;
    *response.headers_mut() = headers;
    response
}
