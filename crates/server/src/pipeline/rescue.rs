//! Mid-stream rescue: a stream that broke goes on from another deployment.
//!
//! Owns what is kept of a stream for that ([`Past`]), what it takes to ask again ([`Lifeline`]), and the attempts until
//! one goes on. Leaves to others where the two streams meet (`dialect::continuation`), who is asked next (`successors`),
//! and the caller's connection (`reply::stream`).
//!
//! **Invariant:** what a rescue needs it owns: it lives in the caller's stream and ends with it. **Invariant:** the caller
//! sees of another answer only what comes after the seam; of one that disagrees, nothing.

use super::attempt::{self, note_failure};
use super::boarding::Boarding;
use super::outbound::{ReadPlan, Road};
use super::receive::{self, Received};
use super::respond::Begun;
use super::settle::{BYTES_PER_TOKEN, Settlement};
use super::speech::Speech;
use super::successors::{Rest, Successors};
use super::thread::Thread;
use super::walk::Errand;
use super::wasted::{Wasted, book_unanswered};
use super::{Call, caller};
use crate::routing::{Group, Place};
use crate::snapshot::Snapshot;
use crate::surface::Surface;
use crate::target::Target;
use crate::toll::Stake;
use crate::worker::Worker;
use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use tollgate_dialect::compat::Flavor;
use tollgate_dialect::continuation::{Continuation, Mode, Sent, Unfit, can_prefill, read_again};
use tollgate_dialect::conversation::{ChatRequest, StreamEvent};
use tollgate_dialect::json::{Limits, scan};
use tollgate_dialect::responses::Passed;
use tollgate_dialect::wire::{EventDecoder, Reading};
use tollgate_policy::failure::FailureKind;

/// Longest part of a provider's stream that is kept to be read again, in bytes. A longer answer is not rescued.
const PAST_BYTES_MAX: usize = 1 << 20;

/// Where an answer goes on, and how it was asked for.
#[derive(Debug, Clone)]
pub(crate) struct Onward {
    /// What the caller has.
    pub(crate) sent: Sent,
    pub(crate) mode: Mode,
    /// The id that the caller's chunks have, where it is the provider's.
    pub(crate) id: Option<String>,
    /// The time that the caller's answer has, in seconds since 1970.
    pub(crate) created: u64,
    /// The model that the caller's answer names, where it is not the one that was asked for.
    pub(crate) model: Option<String>,
    /// The items of a response that was passed on.
    pub(crate) passed: Option<Passed>,
}

/// What is kept of a stream, so that what the caller has of it can be read again.
pub(crate) struct Past {
    /// The provider's bytes; `None` where there were too many.
    raw: Option<BytesMut>,
    speech: Speech,
    reading: Reading,
    way: Way,
    created: u64,
    /// What the caller had before this stream, which went on from there.
    before: Option<Arc<Onward>>,
}

/// How the provider's bytes became the caller's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Relayed,
    Native,
    Translated,
}

impl Past {
    /// At the beginning of a stream; `None` where it could not be read again.
    pub(crate) fn new(plan: &ReadPlan, received: &Received<'_>, created: u64) -> Option<Self> {
        let before = received.onward.clone();
        let (reading, way) = match &plan.road {
            Road::Relay => (Reading::default(), Way::Relayed),
            Road::Native(reading) => (reading.clone(), Way::Native),
            Road::Translate(reading) => (reading.clone(), Way::Translated),
            Road::Pass | Road::TranslateRerank(_) | Road::TranslateEmbeddings(_) => return None,
        };
        // What goes on from a stream is always translated.
        let way = if before.is_some() { Way::Translated } else { way };
        Some(Self { raw: Some(BytesMut::new()), speech: plan.speech, reading, way, created, before })
    }

    /// Keeps a chunk.
    pub(crate) fn note(&mut self, chunk: &Bytes) {
        if let Some(raw) = &mut self.raw {
            if raw.len() + chunk.len() > PAST_BYTES_MAX {
                self.raw = None;
            } else {
                raw.extend_from_slice(chunk);
            }
        }
    }

    /// What the caller has, of a stream of which so many frames were passed on.
    fn read(mut self, frames: u64, surface: Surface) -> Result<Onward, Unfit> {
        let raw = self.raw.take().ok_or(Unfit::Unreadable)?.freeze();
        let (framing, decoder) = self.speech.stream(self.reading);
        let mut decoder: Box<dyn EventDecoder> = match &self.before {
            None => decoder,
            Some(onward) => Box::new(Continuation::new(decoder, Arc::new(onward.sent.clone()), onward.mode)),
        };
        let is_translated = self.way == Way::Translated;
        let heard = read_again(raw.clone(), (framing, decoder.as_mut()), frames, is_translated)?;
        if let Some(onward) = &self.before {
            let mut events = onward.sent.events().to_vec();
            events.extend(heard);
            return Ok(Onward { sent: Sent::new(events)?, ..Onward::clone(onward) });
        }
        let mut onward = Onward {
            sent: Sent::new(heard)?,
            mode: Mode::Replay,
            id: None,
            model: None,
            created: self.created,
            passed: None,
        };
        match self.way {
            Way::Relayed => {
                onward.id = start_id(onward.sent.events());
                onward.created = created_of(&raw).unwrap_or(self.created);
            }
            // The ids and numbers of its items are the provider's own.
            Way::Native if surface == Surface::Responses => {
                let passed = Passed::read(raw, frames);
                if !caller::can_take_place(&onward.sent, &passed) {
                    return Err(Unfit::Unreadable);
                }
                onward.created = passed.created().unwrap_or(self.created);
                onward.passed = Some(passed);
            }
            Way::Native | Way::Translated => {}
        }
        Ok(onward)
    }
}

fn start_id(events: &[StreamEvent]) -> Option<String> {
    events.iter().find_map(|event| match event {
        StreamEvent::Start { id, .. } if !id.is_empty() => Some(id.clone()),
        _ => None,
    })
}

/// The time that OpenAI's chunks say.
fn created_of(raw: &[u8]) -> Option<u64> {
    let lines = raw.split(|byte| matches!(byte, b'\n' | b'\r'));
    let data = lines.filter_map(|line| line.strip_prefix(b"data:"));
    data.take(8).find_map(|json| {
        scan(json, &Limits::REPLY)
            .ok()?
            .get("created")
            .and_then(|value| value.as_u64())
            .filter(|time| *time > 0)
    })
}

/// The rest of a stream that broke off elsewhere.
pub(crate) struct Continued {
    pub(crate) begun: Begun,
    pub(crate) settlement: Settlement,
    pub(crate) mode: Mode,
    pub(crate) lifeline: Option<Box<Lifeline>>,
}

impl Continued {
    /// The id of the deployment that goes on.
    pub(crate) fn deployment(&self) -> &str {
        &self.settlement.target().id
    }

    /// With what the request holds at that deployment.
    pub(crate) fn with_place(self, place: Place, stake: Option<Stake>) -> Self {
        Self { settlement: self.settlement.with_place(place).with_stake(stake), ..self }
    }

    /// With what it takes to go on from elsewhere again.
    pub(crate) fn with_lifeline(self, lifeline: Box<Lifeline>) -> Self {
        Self { lifeline: Some(lifeline), ..self }
    }
}

/// What it takes to ask again for a request whose stream is under way.
pub(crate) struct Lifeline {
    worker: Worker,
    snapshot: Arc<Snapshot>,
    call: Call,
    headers: HeaderMap,
    body: Bytes,
    thread: Option<Thread>,
    /// The model that the answer names, where another group gives it than the one that was asked for.
    model: Option<String>,
    successors: Successors,
}

/// A request, as far as a lifeline holds on to it.
pub(crate) struct Asked<'a> {
    pub(crate) worker: &'a Worker,
    pub(crate) snapshot: &'a Arc<Snapshot>,
    pub(crate) call: &'a Call,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: &'a Bytes,
    pub(crate) thread: Option<Thread>,
}

/// A rescue that is under way: whoever goes on, and the lifeline for the next break.
pub(crate) type Rescue = Pin<Box<dyn Future<Output = Option<Box<Continued>>> + Send>>;

/// Whether the stream of a request may be rescued, so that it is worth keeping what it was.
pub(crate) fn is_possible(snapshot: &Snapshot, call: &Call, received: &Received<'_>, group: &Group) -> bool {
    // Legacy completions have no seam: their prompts are no conversations.
    let surface = call.surface.is_conversation() && call.surface != Surface::Completions;
    received.stream
        && surface
        && snapshot.rescues_streams()
        && Successors::may_exist(snapshot, received, group)
}

impl Lifeline {
    /// For a stream that is answered where a walk has ended.
    pub(crate) fn new(asked: Asked<'_>, rest: Rest) -> Option<Box<Self>> {
        let Asked { worker, snapshot, call, headers, body, thread } = asked;
        let answering = rest.group.targets().get(rest.position);
        let is_fallback = rest.journey.leg().depth > 0;
        let model = answering.filter(|_| is_fallback).map(|target| target.model.clone());
        let successors = Successors::new(rest);
        if successors.is_empty() {
            return None;
        }
        Some(Box::new(Self {
            worker: worker.clone(),
            snapshot: Arc::clone(snapshot),
            call: call.clone(),
            headers: headers.clone(),
            body: body.clone(),
            thread,
            model,
            successors,
        }))
    }

    /// Looks for whoever goes on with a stream that broke like this, after so many frames.
    pub(crate) fn rescue(mut self: Box<Self>, past: Past, frames: u64, kind: FailureKind) -> Rescue {
        Box::pin(async move {
            let rescued = self.go_on(past, frames, kind).await;
            let outcome = match &rescued {
                Ok(continued) => continued.mode.name(),
                Err(Lost::Unfit(_)) => "impossible",
                Err(Lost::Nobody) => "failed",
            };
            self.worker.gateway.metrics().rescued(outcome);
            let call_id = self.call.id.to_str().unwrap_or_default().to_owned();
            match rescued {
                Ok(continued) => {
                    let (deployment, mode) = (continued.deployment(), continued.mode.name());
                    tracing::warn!(call_id, deployment, mode, "a stream broke and goes on from elsewhere");
                    Some(Box::new(continued.with_lifeline(self)))
                }
                Err(Lost::Unfit(reason)) => {
                    tracing::warn!(call_id, %reason, "a stream broke and cannot go on");
                    None
                }
                Err(Lost::Nobody) => {
                    tracing::warn!(call_id, "a stream broke and nobody goes on with it");
                    None
                }
            }
        })
    }

    async fn go_on(&mut self, past: Past, frames: u64, mut kind: FailureKind) -> Result<Continued, Lost> {
        let extended = self.thread.as_ref().and_then(|thread| thread.extended.clone()).unwrap_or_default();
        let mut received = receive::read(&self.body, &self.call, &self.headers).map_err(|_| Lost::Nobody)?;
        if let Some(thread) = &self.thread {
            if thread.extended.is_some() {
                let whole = receive::read(&extended, &self.call, &self.headers).map_err(|_| Lost::Nobody)?;
                received.extended = Some(Box::new(whole));
            }
            received.follow(thread);
        }
        received.keep_past();
        let several = |request: &ChatRequest| request.sampling.n.is_some_and(|count| count > 1);
        if received.conversation(self.call.surface).is_ok_and(several) {
            return Err(Lost::Unfit(Unfit::Several));
        }
        let onward = past.read(frames, self.call.surface).map_err(Lost::Unfit)?;
        self.successors.note_sent(onward.sent.text().len() + onward.sent.reasoning().len());
        let mut retry_after = None;
        let (worker, snapshot, call) = (&self.worker, self.snapshot.as_ref(), &self.call);
        loop {
            let errand = Errand { worker, snapshot, call, received: &received };
            let Some(boarding) = self.successors.next(errand, kind).await else { break };
            let Boarding { target, limits, mut place, mut stake, .. } = boarding;
            let mode = mode_of(&received, call.surface, &target, &onward.sent);
            for mode in [Some(mode), (mode == Mode::Prefill).then_some(Mode::Replay)].into_iter().flatten() {
                received.go_on_from(Arc::new(Onward { mode, model: self.model.clone(), ..onward.clone() }));
                let errand = Errand { worker, snapshot, call, received: &received };
                let failure = match attempt::fetch_and_send(errand, &target, limits).await {
                    Ok(answer) => {
                        let bytes = received.body.len() as u64;
                        let lesson = place.answered(None);
                        worker.gateway.alerts().learned(&target, &lesson);
                        return answer
                            .into_continued(worker, call, bytes, mode)
                            .map(|continued| continued.with_place(place, stake.take()))
                            .ok_or(Lost::Nobody);
                    }
                    Err(failure) => failure,
                };
                note_failure(worker, call, &target, &failure);
                if !matches!(failure.wasted, Wasted::Nothing) {
                    // An answer that does not go on from what the caller has, or one that was left.
                    let tokens = (received.body.len() as u64).div_ceil(BYTES_PER_TOKEN);
                    book_unanswered((&target, stake.take()), &failure.wasted, tokens);
                }
                (kind, retry_after) = (failure.kind, failure.retry_after);
                // A model that does not go on from the assistant's turn refuses the request; it is asked anew.
                let may_have_refused = mode == Mode::Prefill && kind == FailureKind::BadRequest;
                if !(may_have_refused && self.successors.again()) {
                    break;
                }
            }
            if let Some(stake) = stake {
                stake.release();
            }
            let lesson = place.failed(kind, retry_after, &target.health_rules);
            worker.gateway.alerts().learned(&target, &lesson);
            // What one deployment refuses the next may take: the caller's request was good at the first.
            if kind == FailureKind::BadRequest {
                kind = FailureKind::NotExpressible;
            }
        }
        Err(Lost::Nobody)
    }
}

/// Why a rescue came to nothing.
enum Lost {
    /// Nothing can go on from what the caller has.
    Unfit(Unfit),
    /// Nobody went on with it.
    Nobody,
}

/// How a deployment is asked for the rest.
fn mode_of(received: &Received<'_>, surface: Surface, target: &Target, sent: &Sent) -> Mode {
    let speech = target.speech_for(surface);
    let received = received.for_deployment(&target.id, speech);
    let takes = target.options.takes_prefill && speech != Speech::Responses;
    // Mistral repeats the turn.
    let is_noticed = speech != Speech::Compat(Flavor::Mistral) || sent.shows_echoes();
    let can =
        takes && is_noticed && received.conversation(surface).is_ok_and(|request| can_prefill(request, sent));
    if can { Mode::Prefill } else { Mode::Replay }
}
