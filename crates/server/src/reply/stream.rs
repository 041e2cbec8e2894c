//! A streamed reply: the provider's chunks, turned into the caller's, as fast as the caller takes them.
//!
//! Nothing runs beside it: the provider is read when the caller's connection asks for more, so a slow reader slows the
//! provider, and a caller that goes away drops the provider's connection at once. A stream that breaks off goes on from
//! another deployment where that is possible (`pipeline::rescue`); that, too, runs when the caller's connection asks.
//! **Invariant:** however a provider's stream ends, its settlement happens once. **Invariant:** a stream that broke off
//! and does not go on ends with an error event, never as if it were complete.

use super::{DrainHandle, SharedStream};
use crate::caching::{AnswerFacts, Memo};
use crate::drain::Stage;
use crate::error::strike_out;
use crate::pipeline::caller::FinalSlot;
use crate::pipeline::prediction::Streamed;
use crate::pipeline::rescue::Continued;
use crate::pipeline::rescue::{Lifeline, Past, Rescue};
use crate::pipeline::settle::{Ending, Settlement};
use crate::pipeline::staged::StagedStream;
use crate::pipeline::thread::{Keeper, Keeping};
use crate::routing::Admitted;
use bytes::{Bytes, BytesMut};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Weak;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep_until};
use tollgate_dialect::conversation::Usage;
use tollgate_dialect::failure::FailureClass;
use tollgate_dialect::wire::{CallerError, ReplyFault, Transducer};
use tollgate_policy::failure::{FailureKind, Verdict};
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
    /// Either, with a fault on purpose.
    Staged(Box<StagedStream>),
}

impl Upstream {
    /// The next chunk; `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<Result<Bytes, Failure>> {
        std::future::poll_fn(|context| self.poll_next(context)).await
    }

    /// As [`Upstream::next`], for those who poll.
    pub(crate) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Failure>>> {
        match self {
            Self::Staged(staged) => staged.poll_next(context),
            Self::Reply(body) => body.poll_next(context),
            Self::Prediction(streamed) => streamed.poll_next(context),
        }
    }
}

/// What the caller is told when the gateway's own code failed; another deployment's stream would meet the same.
const BUG_RULE: &str = "the gateway could not read the stream";

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
    pub(crate) keeping: Option<Keep>,
    /// What is due at the end.
    pub(crate) settlement: Settlement,
    /// What it takes to go on from elsewhere.
    pub(crate) rescue: Option<(Box<Past>, Box<Lifeline>)>,
    /// The caller's stream has no place for comments.
    pub(crate) is_quiet: bool,
    /// What is to be kept of it.
    pub(crate) memo: Option<Box<Memo>>,
    /// The gateway's end.
    pub(crate) drain: DrainHandle,
}

/// Keeps an answer once it is complete.
pub(crate) struct Keep {
    /// Where the whole answer will be.
    slot: FinalSlot,
    /// Until it is there.
    keeper: Option<Keeper>,
    /// From then on.
    keeping: Option<Keeping>,
}

impl Keep {
    /// Keeps what will be in the slot.
    pub(crate) fn new(slot: FinalSlot, keeper: Keeper) -> Self {
        let keeper = Some(keeper.with_slot(slot.clone()));
        Self { slot, keeper, keeping: None }
    }

    /// No single provider has the whole answer any more.
    fn forget_holder(&mut self) {
        self.keeper = self.keeper.take().map(|keeper| keeper.held_by(None));
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if let Some(keeper) = self.keeper.take() {
            self.keeping = Some(keeper.into_future());
        }
        self.keeping.as_mut().map_or(Poll::Ready(()), |keeping| keeping.as_mut().poll(context))
    }
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
    keeping: Option<Keep>,
    /// The answer is complete and being kept; its last pieces wait for that.
    is_keeping: bool,
    /// Where the whole answer will be of a stream that went on from elsewhere.
    moved_slot: Option<FinalSlot>,
    /// What it takes to go on from elsewhere.
    lifeline: Option<(Box<Past>, Box<Lifeline>)>,
    /// The search for whoever goes on, and what to say if nobody does.
    rescue: Option<(Rescue, String)>,
    comments: Comments,
    drain: DrainHandle,
    memo: Option<Box<Memo>>,
    /// The request's place among those that are served.
    admitted: Option<Admitted>,
}

impl StreamBody {
    /// Keeps the request's place until the stream is over.
    pub(super) fn hold(&mut self, place: Admitted) {
        self.admitted = Some(place);
    }

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
            moved_slot: None,
            lifeline: parts.rescue,
            rescue: None,
            comments: Comments::new(parts.is_quiet),
            drain: parts.drain,
            memo: parts.memo,
            admitted: None,
        };
        if let Some(memo) = &mut body.memo {
            memo.note(body.ready.make_contiguous());
        }
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
                    self.comments.note_piece();
                    self.gathered.add(piece);
                    if self.gathered.length() >= JOINED_BYTES_MAX {
                        return Poll::Ready(self.gathered.take());
                    }
                }
                Poll::Ready(None) => return Poll::Ready(self.gathered.take()),
                Poll::Pending if self.gathered.length() == 0 => {
                    return self.comments.poll_due(context).map(Some);
                }
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
            if let Some((rescue, _)) = &mut self.rescue {
                // A panic is fenced as one in reading a stream is.
                let rescued = match catch_unwind(AssertUnwindSafe(|| rescue.as_mut().poll(context))) {
                    Ok(Poll::Ready(rescued)) => rescued,
                    Ok(Poll::Pending) if self.drain.stage() == Stage::Over => None,
                    Ok(Poll::Pending) => return Poll::Pending,
                    Err(_) => {
                        self.settlement.note_bug();
                        None
                    }
                };
                self.go_on(rescued);
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
        if let Some(keep) = &mut self.keeping {
            std::task::ready!(keep.poll(context));
        }
        self.keeping = None;
        self.is_keeping = false;
        Poll::Ready(())
    }

    /// Takes what the provider's body gave.
    fn advance(&mut self, outcome: Option<Result<Bytes, Failure>>) {
        match outcome {
            Some(Ok(chunk)) => {
                if let Some((past, _)) = &mut self.lifeline {
                    past.note(&chunk);
                }
                let turned = self.turn(|transducer, out| transducer.push(chunk, out));
                self.look_for_whole();
                if let Err(fault) = turned {
                    self.met(&fault);
                }
            }
            None => {
                self.upstream = None;
                if let Err(fault) = self.finish(Ending::Complete) {
                    self.met(&fault);
                }
            }
            Some(Err(failure)) => {
                if !self.mend() {
                    self.broke(failure_sentence(&failure).to_owned(), failure_kind(&failure));
                }
            }
        }
    }

    /// The provider's stream cannot be read on.
    fn met(&mut self, fault: &ReplyFault) {
        // What a provider calls an error is one, also behind the answer.
        let is_break = matches!(fault, ReplyFault::Malformed(rule) if *rule != BUG_RULE);
        if !(is_break && self.mend()) {
            self.broke(self.fault_sentence(fault), fault_kind(fault));
        }
    }

    /// Ends a broken stream as it should have ended, where nothing of the answer is missing. What comes behind the end mark
    /// cannot hurt it at all; where that is missing too, the deployment's health hears of the break.
    fn mend(&mut self) -> bool {
        let progress = self.transducer.progress();
        let ending = if progress.complete { Ending::Complete } else { Ending::Mended };
        let may_be_whole = progress.complete || progress.finished;
        // A fault that came along with the first content is told first.
        may_be_whole && (self.finish(ending).is_ok() || self.finish(ending).is_ok())
    }

    /// Ends the stream as it should; an error where it is not complete.
    fn finish(&mut self, ending: Ending) -> Result<(), ReplyFault> {
        self.turn(|transducer, out| transducer.finish(out))?;
        self.upstream = None;
        self.look_for_whole();
        self.is_keeping = self.keeping.is_some();
        self.settle(ending);
        Ok(())
    }

    /// The whole answer is here: what goes out now may be the last that the caller waits for.
    fn look_for_whole(&mut self) {
        let Some(Keep { slot, .. }) = &self.keeping else { return };
        if let Some(whole) = self.moved_slot.as_ref().and_then(|moved| moved.get()) {
            // Set once; the second time it is the same.
            let _ = slot.set(whole.clone());
        }
        self.is_keeping |= slot.get().is_some();
    }

    /// The provider's stream broke off: it goes on from elsewhere where it can.
    fn broke(&mut self, sentence: String, kind: Option<FailureKind>) {
        self.upstream = None;
        self.settle(Ending::Cut);
        self.settlement.tell_broken(&sentence, kind);
        match (self.lifeline.take(), kind) {
            (Some((past, lifeline)), Some(kind)) if kind.verdict() != Verdict::Never => {
                let frames = self.transducer.progress().frames;
                self.rescue = Some((lifeline.rescue(*past, frames, kind), sentence));
            }
            _ => self.break_off(&sentence, Ending::Cut),
        }
    }

    /// Takes over from whoever goes on; the error where nobody does.
    fn go_on(&mut self, continued: Option<Box<Continued>>) {
        let Some((_, sentence)) = self.rescue.take() else { return };
        let Some(continued) = continued else { return self.break_off(&sentence, Ending::Cut) };
        if !self.comments.is_quiet {
            let (deployment, mode) = (comment_word(continued.deployment()), continued.mode.name());
            let label = format!(": x-tollgate-rescued deployment={deployment} mode={mode}\n\n");
            self.ready.push_back(Bytes::from(label));
        }
        if let Some(keep) = &mut self.keeping {
            keep.forget_holder();
        }
        let Continued { begun, settlement, lifeline, .. } = *continued;
        self.settlement = settlement;
        self.transducer = begun.transducer;
        self.moved_slot = begun.slot;
        self.ready.extend(begun.ready);
        self.lifeline = begun.past.zip(lifeline);
        if begun.ended {
            self.look_for_whole();
            self.is_keeping = self.keeping.is_some();
            self.settle(Ending::Complete);
        } else {
            self.upstream = Some(begun.upstream);
            self.look_for_whole();
        }
    }

    /// Runs the transducer behind the panic fence; what it made before a fault is still good.
    fn turn(
        &mut self,
        step: impl FnOnce(&mut dyn Transducer, &mut Vec<Bytes>) -> Result<(), ReplyFault>,
    ) -> Result<(), ReplyFault> {
        let (transducer, scratch) = (&mut self.transducer, &mut self.scratch);
        let turned = catch_unwind(AssertUnwindSafe(|| step(transducer.as_mut(), scratch)));
        if let Some(memo) = &mut self.memo {
            memo.note(&self.scratch);
        }
        self.ready.extend(self.scratch.drain(..));
        turned.unwrap_or_else(|_| {
            self.settlement.note_bug();
            Err(ReplyFault::Malformed(BUG_RULE))
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
        self.settlement.tell_failed();
    }

    fn fault_sentence(&self, fault: &ReplyFault) -> String {
        match fault {
            ReplyFault::Malformed(rule) => (*rule).to_owned(),
            ReplyFault::Error(error) => strike_out(&error.message, self.settlement.target().credential()),
            ReplyFault::Disagrees => "the answer could not go on".to_owned(),
        }
    }

    fn settle(&mut self, ending: Ending) {
        self.settlement.settle_stream(self.transducer.progress(), ending);
        match ending {
            Ending::Complete => {
                let usage = self.used().unwrap_or_default();
                let Some(memo) = self.memo.take() else { return };
                let facts = AnswerFacts { usage, cost: self.settlement.charged() };
                memo.keep_stream((&self.settlement.target().id, &facts), self.settlement.now());
            }
            // Where it goes on from elsewhere, what came of it is its callers' alone.
            Ending::Mended | Ending::Cut => {
                if let Some(memo) = &mut self.memo {
                    memo.forget_frames();
                }
            }
            Ending::CallerGone => {}
        }
    }

    /// What was used, where the provider has said so.
    pub(super) fn used(&self) -> Option<Usage> {
        self.transducer.progress().usage
    }

    /// Has others told that they may read it along.
    pub(crate) fn share(&self, stream: Weak<SharedStream>) {
        if let Some(memo) = &self.memo {
            memo.share(stream);
        }
    }
}

impl Drop for StreamBody {
    fn drop(&mut self) {
        // Only a stream that was not settled yet; the caller went away.
        self.settle(Ending::CallerGone);
        if self.rescue.is_some() {
            self.settlement.tell_left();
        }
        self.settlement.stream_closed();
    }
}

/// How long a caller hears nothing at most.
const COMMENT_EVERY: Duration = Duration::from_secs(15);
const COMMENT: &[u8] = b": keep-alive\n\n";

/// Comments that keep the caller's connection alive while its stream waits.
struct Comments {
    is_quiet: bool,
    /// When the caller last got something.
    since: Instant,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Comments {
    fn new(is_quiet: bool) -> Self {
        Self { is_quiet, since: Instant::now(), timer: None }
    }

    fn note_piece(&mut self) {
        if !self.is_quiet {
            self.since = Instant::now();
        }
    }

    /// A comment, when one is due.
    fn poll_due(&mut self, context: &mut Context<'_>) -> Poll<Bytes> {
        if self.is_quiet {
            return Poll::Pending;
        }
        loop {
            let due = self.since + COMMENT_EVERY;
            let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
            std::task::ready!(timer.as_mut().poll(context));
            // The timer is not moved with each piece; when it is over, it may be early.
            if Instant::now() >= due {
                self.since = Instant::now();
                timer.as_mut().reset(self.since + COMMENT_EVERY);
                return Poll::Ready(Bytes::from_static(COMMENT));
            }
            timer.as_mut().reset(due);
        }
    }
}

/// A word in a comment of one line.
fn comment_word(text: &str) -> String {
    text.chars().map(|char| if char.is_control() || char.is_whitespace() { '_' } else { char }).collect()
}

/// What kind of failure a fault within a stream is; `None` where another answer would be no better.
fn fault_kind(fault: &ReplyFault) -> Option<FailureKind> {
    match fault {
        ReplyFault::Malformed(BUG_RULE) => None,
        ReplyFault::Malformed(_) => Some(FailureKind::BadGateway),
        ReplyFault::Disagrees => Some(FailureKind::Quality),
        ReplyFault::Error(error) => Some(match error.class {
            FailureClass::BadRequest => FailureKind::BadRequest,
            FailureClass::ContextWindow => FailureKind::ContextWindow,
            FailureClass::ContentPolicy => FailureKind::ContentPolicy,
            FailureClass::TooLarge => FailureKind::TooLarge,
            FailureClass::Authentication => FailureKind::Authentication,
            FailureClass::Permission => FailureKind::Permission,
            FailureClass::NotFound => FailureKind::NotFound,
            FailureClass::RateLimit => FailureKind::RateLimit,
            FailureClass::Timeout => FailureKind::Timeout,
            FailureClass::Overloaded => FailureKind::Unavailable,
            FailureClass::Server => FailureKind::Server,
        }),
    }
}

/// As [`fault_kind`], of a connection.
fn failure_kind(failure: &Failure) -> Option<FailureKind> {
    match failure.kind {
        Kind::Timeout => Some(FailureKind::Timeout),
        Kind::TooLarge => None,
        _ => Some(FailureKind::Connection),
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
