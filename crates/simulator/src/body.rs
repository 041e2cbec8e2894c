//! The body of a good reply, paced.
//!
//! Owns: [`PacedBody`] and [`Exchange`], the mark of a request under way. Leaves to others: what is in the body
//! (`reply`), bodies that go wrong (`delivery`).
//!
//! **Invariant:** an exchange counts as under way from the reading of its request until its reply is written or given
//! up; one that is dropped before its end says that the caller hung up.

use crate::received::{Entry, Verdict};
use crate::reply::{Content, Event, Role};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep_until};

/// How many requests are under way, and the most that ever were at once.
#[derive(Debug, Default)]
pub(crate) struct Active {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Active {
    pub(crate) fn now(&self) -> usize {
        self.now.load(Ordering::Acquire)
    }

    pub(crate) fn most(&self) -> usize {
        self.most.load(Ordering::Acquire)
    }
}

/// A request under way.
#[derive(Debug)]
pub(crate) struct Exchange {
    entry: Arc<Entry>,
    active: Arc<Active>,
    over: bool,
}

impl Exchange {
    pub(crate) fn begin(entry: Arc<Entry>, active: &Arc<Active>) -> Exchange {
        let now = active.now.fetch_add(1, Ordering::AcqRel) + 1;
        active.most.fetch_max(now, Ordering::AcqRel);
        Exchange { entry, active: Arc::clone(active), over: false }
    }

    pub(crate) fn set_verdict(&self, verdict: Verdict) {
        self.entry.set_verdict(verdict);
    }

    pub(crate) fn set_tokens(&self, prompt: u64, completion: u64) {
        self.entry.set_tokens(prompt, completion);
    }

    pub(crate) fn set_status(&self, status: u16) {
        self.entry.set_status(status);
    }

    /// Notes a message of a WebSocket's caller.
    pub(crate) fn heard(&self, message: &str) {
        self.entry.heard(message);
    }

    /// Notes that events were written.
    pub(crate) fn wrote(&self, event: &Event) {
        self.entry.wrote(1, usize::from(event.role == Role::Content));
    }

    /// Notes that the whole reply was written.
    pub(crate) fn finish(&mut self) {
        self.over = true;
        self.entry.set_finished();
    }

    /// Notes that the simulator itself ends the exchange early.
    pub(crate) fn give_up(&mut self) {
        self.over = true;
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if !self.over {
            self.entry.set_hung_up();
        }
        self.active.now.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A body, paced.
#[derive(Debug)]
pub(crate) struct PacedBody {
    whole: Option<Bytes>,
    events: std::iter::Peekable<std::vec::IntoIter<Event>>,
    pace: Duration,
    /// Until when the next content waits.
    waits: Option<Pin<Box<Sleep>>>,
    exchange: Option<Exchange>,
}

impl PacedBody {
    /// A body of this content. `first` is how long the first content waits beyond the pace.
    pub(crate) fn new(content: Content, pace: Duration, first: Duration, exchange: Exchange) -> PacedBody {
        let (whole, events) = match content {
            Content::Whole(bytes) => (Some(bytes), Vec::new()),
            Content::Events(events) => (None, events),
        };
        let wait = pace + first;
        let waits = (!wait.is_zero()).then(|| Box::pin(sleep_until(Instant::now() + wait)));
        let empty = whole.as_ref().is_some_and(Bytes::is_empty);
        let mut body =
            PacedBody { whole, events: events.into_iter().peekable(), pace, waits, exchange: Some(exchange) };
        if empty {
            // Nobody polls a body that is known to be empty.
            body.finish();
        }
        body
    }

    /// A body at once, of a reply that is of no exchange.
    pub(crate) fn at_once(bytes: Bytes) -> PacedBody {
        PacedBody {
            whole: Some(bytes),
            events: Vec::new().into_iter().peekable(),
            pace: Duration::ZERO,
            waits: None,
            exchange: None,
        }
    }

    fn finish(&mut self) {
        if let Some(mut exchange) = self.exchange.take() {
            exchange.finish();
        }
    }
}

impl Body for PacedBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        if let Some(bytes) = this.whole.take() {
            this.finish();
            return Poll::Ready(Some(Ok(Frame::data(bytes))));
        }
        let is_content = this.events.peek().is_some_and(|event| event.role == Role::Content);
        if let (true, Some(waits)) = (is_content, &mut this.waits) {
            ready!(waits.as_mut().poll(cx));
            let next = waits.deadline() + this.pace;
            if this.pace.is_zero() { this.waits = None } else { waits.as_mut().reset(next) }
        }
        let Some(event) = this.events.next() else {
            this.finish();
            return Poll::Ready(None);
        };
        if let Some(exchange) = &this.exchange {
            exchange.wrote(&event);
        }
        Poll::Ready(Some(Ok(Frame::data(event.bytes))))
    }

    fn is_end_stream(&self) -> bool {
        // The end of a stream is polled for, so that its exchange is known to be over.
        self.whole.is_none() && self.exchange.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.whole {
            Some(bytes) => SizeHint::with_exact(bytes.len() as u64),
            None if self.exchange.is_none() => SizeHint::with_exact(0),
            None => SizeHint::default(),
        }
    }
}
