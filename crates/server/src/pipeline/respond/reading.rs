//! What a provider answered, read.
//!
//! A plain reply is read whole, since its cost stands in its head. A stream is read up to its first content; until then
//! a failure is the attempt's.

use super::{Answer, AnswerBody, Begun};
use crate::pipeline::attempt::{ReadReply, Unread};
use crate::pipeline::broken::Broken;
use crate::pipeline::caller::FinalSlot;
use crate::pipeline::estimate::said_bytes;
use crate::pipeline::outbound::{self, Road};
use crate::pipeline::quality;
use crate::pipeline::receive::Received;
use crate::pipeline::rescue::{Onward, Past};
use crate::pipeline::settle::{Billing, weigh};
use crate::pipeline::speech::Speech;
use crate::pipeline::thread::Watching;
use crate::pipeline::units::Units;
use crate::pipeline::wasted::Wasted;
use crate::pipeline::{Call, caller, embedding};
use crate::reply::Upstream;
use crate::surface::Surface;
use crate::target::Target;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::time::{Instant, timeout_at};
use tollgate_catalog::Wire;
use tollgate_dialect::continuation::Continuation;
use tollgate_dialect::conversation::Usage;
use tollgate_dialect::relay::{OpenAiRelay, PassRelay, RelayOptions, relay_reply, rename_reply, reply_usage};
use tollgate_dialect::rerank;
use tollgate_dialect::translate::Translator;
use tollgate_dialect::wire::{EventDecoder, Losses, Reading, ReplyFacts, ReplyFault, Transducer};
use tollgate_upstream::{Failure, Kind, Phase, Reply, ReplyBody};

/// Longest part of a stream that is held back until its first content, in bytes.
const HELD_BYTES_MAX: usize = 1 << 20;

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
        if let Some((rule, wasted)) = quality::rule_broken_by(&reading, &bytes) {
            return Err(Unread::Quality(rule, wasted));
        }
        read_whole(reading, std::slice::from_ref(&bytes), &headers).map_err(Unread::Fault)?
    };
    Ok(Answer { is_native, ..answered((target, sent), headers, (body, lost)) })
}

/// An answer that is there at this moment.
fn answered(
    (target, sent): (Arc<Target>, Instant),
    provider_headers: HeaderMap,
    (body, lost): (AnswerBody, Losses),
) -> Answer {
    Answer {
        target,
        provider_headers,
        body,
        lost,
        is_native: false,
        sent,
        answered: Instant::now(),
        arrival: None,
        lifeline: None,
        memo: None,
        met: None,
    }
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
    Ok(answered((target, sent), headers, (body, lost)))
}

/// Makes one answer of the replies to a request that took several calls.
pub(crate) fn read_several(
    reading: ReadReply<'_>,
    headers: HeaderMap,
    bodies: &[Bytes],
) -> Result<Answer, ReplyFault> {
    let (target, sent) = (Arc::clone(reading.target), reading.sent);
    let (body, lost) = read_whole(reading, bodies, &headers)?;
    Ok(answered((target, sent), headers, (body, lost)))
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
                    return Err(Unread::Quality(quality::EMPTY, Wasted::Prompt));
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

pub(crate) fn facts(call: &Call, received: &Received<'_>) -> ReplyFacts {
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
