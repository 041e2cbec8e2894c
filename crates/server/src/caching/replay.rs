//! An answer that is kept, held against what may be kept, and said again.
//!
//! **Invariant:** where it was said in the form that is asked for, it comes byte for byte; else its caller's dialect says the same
//! answer in the other form, or it is not said at all.

use crate::pipeline::speech::Speech;
use crate::pipeline::{caller, respond, walk::Errand};
use crate::surface::Surface;
use bytes::Bytes;
use tollgate_cache::{Entry, Form};
use tollgate_dialect::anthropic::Host;
use tollgate_dialect::conversation::{ChatReply, StopReason, StreamEvent, Usage};
use tollgate_dialect::gemini;
use tollgate_dialect::json::{Limits, scan};
use tollgate_dialect::replay::{events_of, reply_of};
use tollgate_dialect::wire::{Losses, Reading};

/// The wire that a caller's dialect is, where its answers can be read.
fn speech(surface: Surface) -> Option<Speech> {
    match surface {
        Surface::Chat => Some(Speech::OpenAi),
        Surface::Responses => Some(Speech::Responses),
        Surface::Messages => Some(Speech::Anthropic(Host::Anthropic)),
        Surface::GenerateContent => Some(Speech::Gemini(gemini::Host::AiStudio)),
        Surface::Converse => Some(Speech::Bedrock),
        Surface::CohereChat => Some(Speech::Cohere),
        _ => None,
    }
}

/// The events of a stream that was kept; `None` where it cannot be read to its end.
fn events(speech: Speech, frames: &Bytes) -> Option<Vec<StreamEvent>> {
    let (mut framing, mut decoder) = speech.stream(Reading::default());
    let mut events = Vec::new();
    framing.push(frames.clone());
    while let Some(frame) = framing.next_frame().ok()? {
        decoder.read(&frame, &mut events).ok()?;
    }
    decoder.is_complete().then_some(events)
}

/// Whether an answer may be kept: it can be read, says something, and nobody has blocked it.
pub(super) fn is_good(surface: Surface, entry: &Entry) -> bool {
    let Some(speech) = speech(surface) else {
        let is_json = || scan(&entry.body, &Limits::REPLY).is_ok();
        return if entry.form == Form::Whole { is_json() } else { !entry.body.is_empty() };
    };
    match entry.form {
        Form::Whole => {
            speech.decode_reply(&entry.body, &Reading::default()).is_ok_and(|reply| is_sound(&reply))
        }
        Form::Stream { .. } => events(speech, &entry.body).is_some_and(|events| {
            let stops: Vec<StopReason> = events.iter().filter_map(stop).collect();
            !stops.is_empty() && stops.into_iter().all(may_stop)
        }),
    }
}

fn stop(event: &StreamEvent) -> Option<StopReason> {
    match event {
        StreamEvent::Finish { stop, .. } => Some(*stop),
        _ => None,
    }
}

fn is_sound(reply: &ChatReply) -> bool {
    !reply.choices.is_empty() && reply.choices.iter().all(|choice| choice.stop.is_some_and(may_stop))
}

/// A filter, a refusal or a turn that was cut short may end otherwise when it is asked again.
fn may_stop(stop: StopReason) -> bool {
    match stop {
        StopReason::Stop | StopReason::StopSequence | StopReason::Length | StopReason::ToolCalls => true,
        StopReason::ContextWindow
        | StopReason::ContentFilter
        | StopReason::Recitation
        | StopReason::Refusal
        | StopReason::Pause
        | StopReason::MalformedToolCall => false,
    }
}

/// Whether what was said whole can be said as a stream, and the other way round.
pub(super) fn crosses(surface: Surface) -> bool {
    speech(surface).is_some()
}

/// The body for a request that wants it whole or as a stream; `None` where it cannot be said so.
pub(super) fn body(errand: Errand<'_>, entry: &Entry, usage: &Usage) -> Option<Bytes> {
    let received = errand.received;
    let wanted = match received.stream {
        true => Form::Stream { tells_usage: received.asks_usage },
        false => Form::Whole,
    };
    match entry.form == wanted && !received.as_array {
        true => Some(entry.body.clone()),
        false => crossed(errand, entry, usage),
    }
}

/// It, said in the form that it is asked for in and was not kept in.
fn crossed(Errand { call, received, .. }: Errand<'_>, entry: &Entry, usage: &Usage) -> Option<Bytes> {
    let speech = speech(call.surface)?;
    let mut events = match entry.form {
        Form::Whole => events_of(&speech.decode_reply(&entry.body, &Reading::default()).ok()?),
        Form::Stream { .. } => events(speech, &entry.body)?,
    };
    // A stream whose caller did not ask for it does not say what was used.
    if matches!(entry.form, Form::Stream { tells_usage: false }) {
        events.push(StreamEvent::Usage(*usage));
    }
    let facts = respond::facts(call, received);
    if received.stream {
        let (mut encoder, _) = caller::stream_encoder(call.surface, facts, received);
        let mut out = Vec::new();
        encoder.encode(&events, &mut out);
        encoder.finish(&mut out);
        return Some(Bytes::from(out));
    }
    let reply = reply_of(&events)?;
    let said = caller::encode_reply((call.surface, received), &reply, &facts, &mut Losses::default());
    Some(Bytes::from(said))
}
