//! A streamed reply: the provider's chunks, turned into the caller's, as fast as the caller takes them.
//!
//! Nothing runs beside it: the provider is read when the caller's connection asks for more, so a slow reader slows the
//! provider, and a caller that goes away drops the provider's connection at once. **Invariant:** however the stream
//! ends, its settlement happens once.

use super::DrainHandle;
use crate::drain::Stage;
use crate::error::strike_out;
use crate::pipeline::caller::FinalSlot;
use crate::pipeline::prediction::Streamed;
use crate::pipeline::settle::{Ending, Settlement};
use crate::pipeline::thread::Keeping;
use bytes::{Bytes, BytesMut};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Context, Poll};
use tollgate_dialect::wire::{CallerError, ReplyFault, Transducer};
use tollgate_upstream::{Failure, Kind, ReplyBody};

/// Pieces that are at hand together go out as one up to this many bytes: a write for each would cost more than the copy.
const JOINED_BYTES_MAX: usize = 16 << 10;

/// Where a stream's chunks come from.
#[expect(clippy::large_enum_variant, reason = "nearly all are the large one, which is not to be allocated")]
pub(crate) enum Upstream {
    /// The provider's reply.
    Reply(ReplyBody),
    /// A prediction that the provider makes.
    Prediction(Box<Streamed>),
}

impl Upstream {
    /// The next chunk; `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<Result<Bytes, Failure>> {
        std::future::poll_fn(|context| self.poll_next(context)).await
    }

    /// As [`Upstream::next`], for those who poll.
    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Failure>>> {
        match self {
            Self::Reply(body) => body.poll_next(context),
            Self::Prediction(streamed) => streamed.poll_next(context),
        }
    }
}

/// How often a piece in hand waits for more before it goes out: the caller's connection asks twice within a turn of its own,
/// so that one turn of the provider's connection lies between.
const WAITS: u8 = 2;

/// What a stream is made of.
pub(crate) struct StreamParts {
    /// The provider's body.
    pub(crate) upstream: Upstream,
    /// Turns its chunks into the caller's.
    pub(crate) transducer: Box<dyn Transducer>,
    /// What has been turned already.
    pub(crate) ready: Vec<Bytes>,
    /// The provider's body has ended.
    pub(crate) ended: bool,
    /// Keeps the answer once it is complete.
    pub(crate) keeping: Option<(FinalSlot, Keeping)>,
    /// What is due at the end.
    pub(crate) settlement: Settlement,
    /// The gateway's end.
    pub(crate) drain: DrainHandle,
}

/// Pieces that go out as one.
#[derive(Default)]
struct Gathered {
    /// The only piece so far, as it came.
    first: Bytes,
    /// All of them, where there are several.
    joined: BytesMut,
    /// How often it was asked for more in vain since the last piece.
    waits: u8,
}

impl Gathered {
    fn length(&self) -> usize {
        self.first.len() + self.joined.len()
    }

    fn add(&mut self, piece: Bytes) {
        self.waits = 0;
        if self.length() == 0 {
            self.first = piece;
            return;
        }
        self.joined.extend_from_slice(&std::mem::take(&mut self.first));
        self.joined.extend_from_slice(&piece);
    }

    fn take(&mut self) -> Option<Bytes> {
        self.waits = 0;
        let whole = if self.joined.is_empty() {
            std::mem::take(&mut self.first)
        } else {
            self.joined.split().freeze()
        };
        (!whole.is_empty()).then_some(whole)
    }
}

/// A streamed reply's body.
pub(crate) struct StreamBody {
    upstream: Option<Upstream>,
    transducer: Box<dyn Transducer>,
    ready: VecDeque<Bytes>,
    scratch: Vec<Bytes>,
    gathered: Gathered,
    settlement: Settlement,
    /// Keeps the answer once it is complete.
    keeping: Option<(FinalSlot, Keeping)>,
    /// The answer is complete and being kept; its last pieces wait for that.
    is_keeping: bool,
    drain: DrainHandle,
}

impl StreamBody {
    pub(crate) fn new(parts: StreamParts) -> Self {
        let mut body = Self {
            upstream: (!parts.ended).then_some(parts.upstream),
            transducer: parts.transducer,
            ready: parts.ready.into(),
            scratch: Vec::new(),
            gathered: Gathered::default(),
            settlement: parts.settlement,
            is_keeping: parts.ended && parts.keeping.is_some(),
            keeping: parts.keeping,
            drain: parts.drain,
        };
        body.settlement.stream_opened();
        if parts.ended {
            body.settle(Ending::Complete);
        }
        body
    }

    /// What there is for the caller by now, in one piece; `None` at the end.
    ///
    /// The provider's connection hands over one chunk at a time and needs a turn of its own for the next, which may be
    /// there already: with something in hand this gives it that turn, and goes on with what it has when nothing came of it.
    pub(crate) fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        loop {
            match self.poll_one(context) {
                Poll::Ready(Some(piece)) => {
                    self.gathered.add(piece);
                    if self.gathered.length() >= JOINED_BYTES_MAX {
                        return Poll::Ready(self.gathered.take());
                    }
                }
                Poll::Ready(None) => return Poll::Ready(self.gathered.take()),
                Poll::Pending if self.gathered.length() == 0 => return Poll::Pending,
                Poll::Pending if self.gathered.waits == WAITS => return Poll::Ready(self.gathered.take()),
                Poll::Pending => {
                    self.gathered.waits += 1;
                    context.waker().wake_by_ref();
                    return Poll::Pending;
                }
            }
        }
    }

    /// The next piece; `None` at the end, however often it is asked for.
    fn poll_one(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        loop {
            if self.is_keeping {
                std::task::ready!(self.poll_keeping(context));
            }
            if let Some(piece) = self.ready.pop_front() {
                if !piece.is_empty() {
                    return Poll::Ready(Some(piece));
                }
                continue;
            }
            let Some(upstream) = &mut self.upstream else { return Poll::Ready(None) };
            match upstream.poll_next(context) {
                Poll::Ready(outcome) => self.advance(outcome),
                Poll::Pending if self.drain.stage() == Stage::Over => {
                    self.break_off("the gateway is shutting down", Ending::Cut);
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Waits until the answer is kept, so that a caller who has its end can ask for it.
    fn poll_keeping(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if let Some((_, keeping)) = &mut self.keeping {
            std::task::ready!(keeping.as_mut().poll(context));
        }
        self.keeping = None;
        self.is_keeping = false;
        Poll::Ready(())
    }

    /// Takes what the provider's body gave.
    fn advance(&mut self, outcome: Option<Result<Bytes, Failure>>) {
        match outcome {
            Some(Ok(chunk)) => {
                let turned = self.turn(|transducer, out| transducer.push(chunk, out));
                // The whole answer is here: what goes out now may be the last that the caller waits for.
                self.is_keeping |= self.keeping.as_ref().is_some_and(|(slot, _)| slot.get().is_some());
                if let Err(fault) = turned {
                    self.break_off(&self.fault_sentence(&fault), Ending::Cut);
                }
            }
            None => {
                self.upstream = None;
                match self.turn(|transducer, out| transducer.finish(out)) {
                    Ok(()) => {
                        self.is_keeping = self.keeping.is_some();
                        self.settle(Ending::Complete);
                    }
                    Err(fault) => self.break_off(&self.fault_sentence(&fault), Ending::Cut),
                }
            }
            // What comes after the provider's own end of stream cannot hurt the answer.
            Some(Err(_)) if self.transducer.progress().complete => self.advance(None),
            Some(Err(failure)) => self.break_off(failure_sentence(&failure), Ending::Cut),
        }
    }

    /// Runs the transducer behind the panic fence; what it made before a fault is still good.
    fn turn(
        &mut self,
        step: impl FnOnce(&mut dyn Transducer, &mut Vec<Bytes>) -> Result<(), ReplyFault>,
    ) -> Result<(), ReplyFault> {
        let (transducer, scratch) = (&mut self.transducer, &mut self.scratch);
        let turned = catch_unwind(AssertUnwindSafe(|| step(transducer.as_mut(), scratch)));
        self.ready.extend(self.scratch.drain(..));
        turned.unwrap_or_else(|_| {
            self.settlement.note_bug();
            Err(ReplyFault::Malformed("the gateway could not read the stream"))
        })
    }

    /// Ends the stream with an error event in the caller's dialect, and without its usual end.
    fn break_off(&mut self, sentence: &str, ending: Ending) {
        self.upstream = None;
        let exception = self.settlement.target().provider.exception;
        let message = format!("litellm.APIConnectionError: APIConnectionError: {exception} - {sentence}");
        let error = CallerError {
            status: 500,
            kind: None,
            message: &message,
            param: None,
            code: None,
            request_id: None,
        };
        self.transducer.fail(&error, &mut self.scratch);
        self.ready.extend(self.scratch.drain(..));
        self.settle(ending);
    }

    fn fault_sentence(&self, fault: &ReplyFault) -> String {
        match fault {
            ReplyFault::Malformed(rule) => (*rule).to_owned(),
            ReplyFault::Error(error) => strike_out(&error.message, self.settlement.target().credential()),
        }
    }

    fn settle(&mut self, ending: Ending) {
        self.settlement.settle_stream(self.transducer.progress(), ending);
    }
}

impl Drop for StreamBody {
    fn drop(&mut self) {
        // Only a stream that was not settled yet; the caller went away.
        self.settle(Ending::CallerGone);
        self.settlement.stream_closed();
    }
}

fn failure_sentence(failure: &Failure) -> &'static str {
    match failure.kind {
        Kind::Timeout => "Request timed out: the stream stalled",
        Kind::TooLarge => "the stream is larger than the cap",
        Kind::Protocol => "the stream could not be read",
        _ => "Response payload is not completed",
    }
}
