//! A provider's stream that breaks off on purpose, after so many events with content.
//!
//! Owns where it breaks and with what. Leaves to whoever reads it what follows. **Invariant:** up to that place the bytes
//! are the provider's own, and none of them after it gets through.

use super::{Staged, reset, timeout};
use crate::pipeline::outbound::{ReadPlan, Road};
use crate::reply::Upstream;
use bytes::Bytes;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::time::{Sleep, sleep};
use tollgate_config::FaultKind;
use tollgate_dialect::framing::Framing;
use tollgate_dialect::wire::{EventDecoder, Progress, Reading};
use tollgate_upstream::{Failure, Phase};

/// An event whose JSON is broken; in a framing that has no such lines, it is no frame at all.
const MALFORMED: &[u8] = b"data: {\"broken\": \"on purpo\n\n";

/// A stream with a fault ahead.
pub(crate) struct StagedStream {
    staged: Staged,
    /// The provider's; none once it has broken off.
    upstream: Option<Upstream>,
    /// Reads along, to know where content is.
    framing: Framing,
    decoder: Box<dyn EventDecoder>,
    /// Events with content that are still to go out.
    left: u32,
    /// The silence before the end.
    silence: Option<Pin<Box<Sleep>>>,
    /// What comes in the place of the rest.
    last: Option<Result<Bytes, Failure>>,
}

impl StagedStream {
    pub(super) fn new(staged: Staged, upstream: Upstream, plan: &ReadPlan) -> Self {
        let reading = match &plan.road {
            Road::Native(reading) | Road::Translate(reading) => reading.clone(),
            Road::Relay | Road::TranslateEmbeddings(_) | Road::TranslateRerank(_) | Road::Pass => {
                Reading::default()
            }
        };
        let (framing, decoder) = plan.speech.stream(reading);
        let left = staged.fault.after;
        Self { staged, upstream: Some(upstream), framing, decoder, left, silence: None, last: None }
    }

    /// The next chunk; `None` at the end.
    pub(crate) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Failure>>> {
        if self.left == 0 && self.upstream.is_some() {
            self.break_off();
        }
        if let Some(upstream) = &mut self.upstream {
            let next = ready!(upstream.poll_next(context));
            return Poll::Ready(next.map(|chunk| chunk.map(|chunk| self.pass(&chunk))));
        }
        if let Some(silence) = &mut self.silence {
            ready!(silence.as_mut().poll(context));
            self.silence = None;
        }
        Poll::Ready(self.last.take())
    }

    /// As much of a chunk as goes out.
    fn pass(&mut self, chunk: &Bytes) -> Bytes {
        let mut events = Vec::new();
        // Byte by byte, since a chunk may hold several events and the break lies between two of them.
        for end in 1..=chunk.len() {
            self.framing.push(chunk.slice(end - 1..end));
            while let Ok(Some(frame)) = self.framing.next_frame() {
                // What cannot be read is met again by whoever reads the stream.
                if self.decoder.read(&frame, &mut events).is_err() {
                    return chunk.clone();
                }
            }
            for event in events.drain(..) {
                let mut progress = Progress::default();
                progress.note(&event);
                self.left = self.left.saturating_sub(u32::from(progress.content_started));
            }
            if self.left == 0 {
                return chunk.slice(..end);
            }
        }
        chunk.clone()
    }

    fn break_off(&mut self) {
        self.upstream = None;
        match self.staged.fault.kind {
            FaultKind::Stall => {
                self.silence = Some(Box::pin(sleep(self.staged.idle)));
                self.last = Some(Err(timeout(Phase::Reading)));
            }
            FaultKind::Reset => self.last = Some(Err(reset(Phase::Reading))),
            FaultKind::Malformed => self.last = Some(Ok(Bytes::from_static(MALFORMED))),
            FaultKind::Error | FaultKind::RateLimit | FaultKind::Latency | FaultKind::Cut => {}
        }
    }
}
