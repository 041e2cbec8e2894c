//! An answer that is kept, held against what may be kept, and said again.
//!
//! **Invariant:** it is said byte for byte as it was, and in no other form.

use crate::pipeline::receive::Received;
use crate::pipeline::speech::Speech;
use crate::surface::Surface;
use bytes::Bytes;
use tollgate_cache::{Entry, Form};
use tollgate_dialect::anthropic::Host;
use tollgate_dialect::conversation::{ChatReply, StopReason, StreamEvent};
use tollgate_dialect::gemini;
use tollgate_dialect::json::{Limits, scan};
use tollgate_dialect::wire::Reading;

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

/// The body for a request that wants it whole or as a stream; `None` where it was not said so.
pub(super) fn body(received: &Received<'_>, entry: &Entry) -> Option<Bytes> {
    let wanted = match received.stream {
        true if received.as_array => return None,
        true => Form::Stream { tells_usage: received.asks_usage },
        false => Form::Whole,
    };
    (entry.form == wanted).then(|| entry.body.clone())
}
