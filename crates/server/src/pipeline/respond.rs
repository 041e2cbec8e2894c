//! What a provider answered, turned into the caller's reply.
//!
//! How it is read is in [`reading`]. Once a stream's first content was read, a failure is no longer the attempt's: the
//! caller's stream ends with an error event.

mod reading;

pub(crate) use reading::{facts, read_reply, read_several, read_stream};

use super::arrival::Arrival;
use super::caller::FinalSlot;
use super::receive::Received;
use super::rescue::{Asked, Continued, Lifeline, Past};
use super::settle::{Billing, Settlement};
use super::staged::X_TOLLGATE_FAULT;
use super::thread::Keeper;
use super::units::Units;
use super::{Call, caller};
use crate::caching::{AnswerFacts, Memo};
use crate::reply::{
    GatewayBody, Keep, ReplyHeaders, SharedStream, StreamBody, StreamParts, Upstream, X_TOLLGATE_CACHE,
};
use crate::surface::Surface;
use crate::target::Target;
use crate::worker::Worker;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tollgate_dialect::continuation::Mode;
use tollgate_dialect::wire::{Losses, Transducer};

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
    /// What is to be kept of it.
    memo: Option<Box<Memo>>,
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

    /// With what is to be kept of it, where that is what was asked for; a request that met a fault on purpose is none to keep.
    pub(super) fn with_memo(self, memo: Option<Box<Memo>>) -> Self {
        let is_as_asked =
            self.arrival.as_ref().is_some_and(|arrival| arrival.is_as_asked()) && self.met.is_none();
        match memo {
            Some(memo) if !is_as_asked => {
                memo.give_up();
                self
            }
            memo => Self { memo, ..self },
        }
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

/// Where a stream's type is not that of server-sent events.
pub(crate) fn content_type(map: &mut HeaderMap, surface: Surface, received: &Received<'_>) {
    if received.stream
        && let Some(kind) = caller::stream_type(surface, received.as_array)
    {
        map.insert(CONTENT_TYPE, kind);
    }
}

/// What is said of an answer that was looked for among those that are kept.
const MISS: HeaderValue = HeaderValue::from_static("miss");

/// Makes the caller's reply and settles, or hands the settlement to the stream.
pub(crate) fn respond(
    worker: &Worker,
    call: &Call,
    received: &Received<'_>,
    answer: Answer,
    keeper: Option<Keeper>,
) -> Response<GatewayBody> {
    let Answer { target, provider_headers, body, lost, sent, answered, arrival, lifeline, memo, met, .. } =
        answer;
    let at_provider = answered.saturating_duration_since(sent);
    let total = call.started.elapsed();
    let mut headers = opening(&body, &target, call);
    headers.provider(&provider_headers, target.credential());
    let (tier, fallbacks) = arrival.as_ref().map(|arrival| arrival.way()).unwrap_or_default();
    let held = arrival.map(|arrival| arrival.tell(&mut headers, &target));
    let labels =
        [memo.is_some().then_some((X_TOLLGATE_CACHE, MISS)), met.map(|fault| (X_TOLLGATE_FAULT, fault))];
    for (name, value) in labels.into_iter().flatten() {
        headers.add(name, value);
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
            let bill = settlement.settle_plain(&billing);
            headers.bill(bill.as_ref()).toll(call.toll.get());
            if let Some(memo) = memo {
                let facts = AnswerFacts { usage: *billing.usage(), cost: bill.map(|bill| bill.total) };
                memo.keep_whole(&segments, (&target.id, &facts), settlement.now());
            }
            let map = with_type(headers.into_map(), call.surface, &provider_headers);
            reply(map, GatewayBody::segments(segments))
        }
        AnswerBody::Stream(begun) => {
            if call.surface.resource().is_some() {
                settlement = settlement.with_units(Units::asked(call.surface, received, &target));
            }
            if begun.is_opaque
                && let Some(cost) = settlement.foretell()
            {
                headers.bill(Some(&cost));
            }
            settlement.first_token(total);
            let mut map = with_type(headers.into_map(), call.surface, &provider_headers);
            content_type(&mut map, call.surface, received);
            let Begun { upstream, transducer, ready, ended, slot, past, .. } = *begun;
            let parts = StreamParts {
                upstream,
                transducer,
                ready,
                ended,
                settlement,
                keeping: keeper.zip(slot).map(|(keeper, slot)| Keep::new(slot, keeper)),
                rescue: past.zip(lifeline),
                is_quiet: !takes_comments(call.surface, received),
                memo,
                drain: worker.gateway.drain_handle(),
            };
            reply(map, begin(parts, target, received.asks_usage))
        }
    }
}

fn opening(body: &AnswerBody, target: &Target, call: &Call) -> ReplyHeaders {
    match body {
        AnswerBody::Whole { .. } => ReplyHeaders::plain(&target.reply_headers, &call.id),
        AnswerBody::Stream(_) => ReplyHeaders::stream(&target.reply_headers, &call.id),
    }
}

/// A stream's body for its caller; where others may wait for it, one that they can read along.
fn begin(parts: StreamParts, target: Arc<Target>, tells_usage: bool) -> GatewayBody {
    let is_led = parts.memo.as_ref().is_some_and(|memo| memo.is_led());
    let body = StreamBody::new(parts);
    if !is_led {
        return GatewayBody::stream(body);
    }
    let listener = SharedStream::begin(body, target, tells_usage);
    listener.share();
    GatewayBody::listen(listener)
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
