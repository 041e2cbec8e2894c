//! Writes events as the caller's stream.
//!
//! Owns the events of the response as a whole. Leaves those of its items to [`crate::responses::output`].
//! **Invariant:** nothing is written before there is something to show. **Invariant:** the response of the last event is
//! what [`crate::responses::encode_reply`] gives for the same answer.

use crate::conversation::{ChatReply, StopReason, StreamEvent, Usage};
use crate::responses::echo::Echo;
use crate::responses::events::Events;
use crate::responses::item::Item;
use crate::responses::output::{CallStart, Output};
use crate::responses::response::{Response, Status};
use crate::wire::{CallerError, Dialect, EventEncoder, Losses, ReplyFacts};
use bytes::Bytes;
use std::sync::{Arc, OnceLock};

/// Writes events.
#[derive(Debug)]
pub struct StreamEncoder {
    facts: ReplyFacts,
    echo: Echo,
    output: Output,
    provider_id: String,
    sequence: u64,
    has_begun: bool,
    refuses: bool,
    stop: Option<StopReason>,
    usage: Option<Usage>,
    service_tier: Option<String>,
    last: Arc<OnceLock<Bytes>>,
}

impl StreamEncoder {
    /// An encoder at the beginning of a stream; `echo` is what the response repeats of its request.
    pub fn new(facts: ReplyFacts, echo: Echo) -> Self {
        Self {
            output: Output::new(&facts),
            facts,
            echo,
            provider_id: String::new(),
            sequence: 0,
            has_begun: false,
            refuses: false,
            stop: None,
            usage: None,
            service_tier: None,
            last: Arc::default(),
        }
    }

    /// The response object of the last event, once that was written: what there is to store.
    pub fn final_response(&self) -> Option<&Bytes> {
        self.last.get()
    }

    /// Where the response object of the last event will be, for those who give the encoder away before it is written.
    pub fn final_slot(&self) -> Arc<OnceLock<Bytes>> {
        Arc::clone(&self.last)
    }

    /// The items so far.
    pub(in crate::responses) fn output_mut(&mut self) -> &mut Output {
        &mut self.output
    }

    /// Numbers the next event.
    pub(in crate::responses) fn set_sequence(&mut self, next: u64) {
        self.sequence = next;
    }

    /// Writes an event that carries the response; gives the response.
    fn write_response(&mut self, status: Status<'_>, event: &str, out: &mut Vec<u8>) -> Vec<u8> {
        let is_end = !matches!(status, Status::InProgress);
        let response = Response {
            facts: &self.facts,
            echo: &self.echo,
            provider_id: &self.provider_id,
            created: self.facts.created,
            status,
            output: is_end.then_some(&self.output),
            usage: self.usage.as_ref().filter(|_| is_end),
            service_tier: self.service_tier.as_deref(),
        };
        let mut object = Vec::with_capacity(1_024);
        response.write(&mut object);
        Events::to(out, &mut self.sequence).write(event, |event| {
            event.member("response").extend_from_slice(&object);
        });
        object
    }

    fn begin(&mut self, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.has_begun, true) {
            self.write_response(Status::InProgress, "response.created", out);
            self.write_response(Status::InProgress, "response.in_progress", out);
        }
    }

    fn write_end(&mut self, status: Status<'_>, out: &mut Vec<u8>) {
        let event = match status {
            Status::Failed(_) => "response.failed",
            Status::Incomplete(_) => "response.incomplete",
            Status::Completed | Status::InProgress => "response.completed",
        };
        let object = self.write_response(status, event, out);
        // Set once: whatever is written after the end of a stream is not its response.
        let _ = self.last.set(Bytes::from(object));
    }

    /// Writes an event of the only answer.
    fn encode_event(&mut self, event: &StreamEvent, logprobs: Option<&serde_json::Value>, out: &mut Vec<u8>) {
        match event {
            StreamEvent::Start { id, .. } => self.provider_id.clone_from(id),
            StreamEvent::Usage(usage) => self.usage = Some(*usage),
            StreamEvent::ServiceTier(tier) => self.service_tier = Some(tier.clone()),
            _ if event.choice() != 0 || is_nothing(event) => {}
            _ => {
                self.begin(out);
                self.encode_content(event, logprobs, out);
            }
        }
    }

    fn encode_content(
        &mut self,
        event: &StreamEvent,
        logprobs: Option<&serde_json::Value>,
        out: &mut Vec<u8>,
    ) {
        let (output, mut events) = (&mut self.output, Events::to(out, &mut self.sequence));
        match event {
            StreamEvent::Text { delta, .. } => output.text(delta, logprobs, &mut events),
            StreamEvent::Logprobs { logprobs, .. } => output.text("", Some(logprobs), &mut events),
            StreamEvent::Audio { transcript, .. } => output.text(transcript, None, &mut events),
            StreamEvent::Reasoning { delta, .. } => output.reasoning(delta, &mut events),
            StreamEvent::ReasoningSignature { signature, .. } => output.sign(signature, &mut events),
            StreamEvent::RedactedReasoning { data, .. } => output.redacted(data, &mut events),
            StreamEvent::Refusal { delta, .. } => {
                self.refuses = true;
                output.refusal(delta, &mut events);
            }
            StreamEvent::ToolCallStart { index, id, name, is_custom, signature, .. } => {
                let (index, is_custom, signature) = (*index, *is_custom, signature.as_ref());
                output.call(CallStart { index, id, name, is_custom, signature }, &mut events);
            }
            StreamEvent::ToolCallArguments { index, delta, .. } => {
                output.arguments(*index, delta, &mut events);
            }
            StreamEvent::Citation { citation, .. } => {
                let span = citation.span.map(|span| output.within(span));
                output.cite(citation, span, &mut events);
            }
            StreamEvent::Image { source, .. } => {
                output.image(source, &mut events);
            }
            StreamEvent::Native { native, .. } => {
                output.whole(Item::Whole(native.value.clone()), &mut events);
            }
            StreamEvent::Finish { stop, .. } => {
                self.stop = Some(*stop);
                output.end(Status::of(self.stop, self.refuses).is_cut(), &mut events);
            }
            StreamEvent::Start { .. } | StreamEvent::Usage(_) | StreamEvent::ServiceTier(_) => {}
        }
    }
}

/// Whether an event shows nothing in this API.
fn is_nothing(event: &StreamEvent) -> bool {
    match event {
        StreamEvent::Text { delta, .. }
        | StreamEvent::Reasoning { delta, .. }
        | StreamEvent::Refusal { delta, .. }
        | StreamEvent::Audio { transcript: delta, .. }
        | StreamEvent::ToolCallArguments { delta, .. } => delta.is_empty(),
        StreamEvent::Image { source, .. } => {
            !matches!(source, crate::conversation::MediaSource::Base64 { .. })
        }
        StreamEvent::Native { native, .. } => native.dialect != Dialect::Responses,
        _ => false,
    }
}

impl EventEncoder for StreamEncoder {
    /// Log probabilities share the event of the text before them where both are among `events`.
    fn encode(&mut self, events: &[StreamEvent], out: &mut Vec<u8>) {
        let mut rest = events.iter().peekable();
        while let Some(event) = rest.next() {
            let logprobs = match (event, rest.peek()) {
                (
                    StreamEvent::Text { choice, delta },
                    Some(StreamEvent::Logprobs { choice: other, logprobs }),
                ) if choice == other && !delta.is_empty() => {
                    rest.next();
                    Some(logprobs)
                }
                _ => None,
            };
            self.encode_event(event, logprobs, out);
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        self.begin(out);
        let status = Status::of(self.stop, self.refuses);
        self.output.end(status.is_cut(), &mut Events::to(out, &mut self.sequence));
        self.write_end(status, out);
    }

    /// The error by itself, and the response as far as it came, as OpenAI sends them.
    fn fail(&mut self, error: &CallerError<'_>, out: &mut Vec<u8>) {
        let status = Status::Failed(error);
        let mut unseen = 0;
        self.output.end(true, &mut Events::none(&mut unseen));
        Events::to(out, &mut self.sequence).write("error", |event| {
            match error.code {
                Some(code) => event.string("code", code),
                None => event.raw("code", "null"),
            }
            event.string("message", error.message);
            match error.param {
                Some(param) => event.string("param", param),
                None => event.raw("param", "null"),
            }
        });
        self.write_end(status, out);
    }

    fn note_lost(&self, reply: &ChatReply, lost: &mut Losses) {
        crate::responses::encode_reply(reply, &self.facts, &self.echo, lost);
    }
}
