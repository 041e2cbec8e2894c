//! A stream that several callers read: the one who asked for it, and those who came with the same request meanwhile.
//!
//! Nothing runs beside it here either: whichever caller's connection asks for more reads the provider for all of them, so
//! that the stream goes on for the others when the one who asked for it goes away, and ends when the last one does.
//!
//! **Invariant:** every caller gets all of it, from its beginning. **Invariant:** what is held of it is bounded: once it is
//! too long to be kept nobody joins any more, and the fastest reader waits for the slowest.

use super::StreamBody;
use crate::target::Target;
use crate::toll::Hit;
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

/// Bytes that are held for callers who come later; of a stream that is longer, so much is held for the slowest reader.
const HELD_BYTES_MAX: usize = 1 << 20;

/// A stream that several callers read.
pub(crate) struct SharedStream {
    state: Mutex<State>,
    wakers: Arc<Wakers>,
    target: Arc<Target>,
    tells_usage: bool,
}

struct State {
    body: Option<Box<StreamBody>>,
    /// The pieces that somebody may still have to get.
    pieces: VecDeque<Bytes>,
    /// The number of the first of them.
    first: u64,
    held: usize,
    /// The number of the piece that each is to get next.
    readers: BTreeMap<u64, u64>,
    next_reader: u64,
    /// All of it is still here.
    is_whole: bool,
    is_over: bool,
    known: Option<tollgate_dialect::conversation::Usage>,
}

/// Whoever waits for the next piece.
#[derive(Default)]
struct Wakers(Mutex<BTreeMap<u64, Waker>>);

impl Wakers {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Waker>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake_all(&self) {
        let all = std::mem::take(&mut *self.lock());
        all.into_values().for_each(Waker::wake);
    }
}

impl Wake for Wakers {
    fn wake(self: Arc<Self>) {
        self.wake_all();
    }
}

impl SharedStream {
    /// Shares a stream; the listener is that of the one who asked for it.
    pub(crate) fn begin(body: StreamBody, target: Arc<Target>, tells_usage: bool) -> Listener {
        let state = State {
            body: Some(Box::new(body)),
            pieces: VecDeque::new(),
            first: 0,
            held: 0,
            readers: BTreeMap::from([(0, 0)]),
            next_reader: 1,
            is_whole: true,
            is_over: false,
            known: None,
        };
        let shared = Arc::new(Self { state: Mutex::new(state), wakers: Arc::default(), target, tells_usage });
        Listener { shared, reader: 0, hit: None }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Reads on for all; what comes of it is among the pieces.
    fn read(&mut self, context: &mut Context<'_>) -> Poll<()> {
        // Whoever is fast waits for the slowest where not everything can be held.
        if !self.is_whole && self.held > HELD_BYTES_MAX {
            return Poll::Pending;
        }
        let Some(body) = &mut self.body else { return Poll::Ready(()) };
        match std::task::ready!(body.poll_piece(context)) {
            Some(piece) => {
                self.held += piece.len();
                self.pieces.push_back(piece);
                self.is_whole &= self.held <= HELD_BYTES_MAX;
            }
            None => {
                self.is_over = true;
                self.known = body.used();
            }
        }
        Poll::Ready(())
    }

    /// Lets go of what everybody has, where nobody joins any more.
    fn trim(&mut self) {
        if self.is_whole {
            return;
        }
        let slowest = self.readers.values().min().copied().unwrap_or(u64::MAX);
        while self.first < slowest {
            let Some(piece) = self.pieces.pop_front() else { return };
            self.held -= piece.len();
            self.first += 1;
        }
    }
}

/// One reader of a shared stream.
pub(crate) struct Listener {
    shared: Arc<SharedStream>,
    reader: u64,
    /// What is booked for it at the end, where it did not ask for the stream itself.
    hit: Option<(Hit, String)>,
}

impl Listener {
    /// Joins a stream that is under way; `None` where it is over, too long, or not in the form that is wanted.
    pub(crate) fn join(shared: &Arc<SharedStream>, tells_usage: bool) -> Option<Self> {
        let mut state = shared.lock();
        if state.is_over || !state.is_whole || state.first > 0 || shared.tells_usage != tells_usage {
            return None;
        }
        let reader = state.next_reader;
        state.next_reader += 1;
        state.readers.insert(reader, 0);
        Some(Self { shared: Arc::clone(shared), reader, hit: None })
    }

    /// With what is to be booked for it.
    pub(crate) fn with_hit(self, hit: Option<(Hit, String)>) -> Self {
        // Fields are moved one by one: a listener that is dropped leaves the stream.
        let mut listener = self;
        listener.hit = hit;
        listener
    }

    /// Who answers.
    pub(crate) fn target(&self) -> &Arc<Target> {
        &self.shared.target
    }

    /// Has others told that they may join.
    pub(crate) fn share(&self) {
        let shared = Arc::downgrade(&self.shared);
        self.with_body(|body| body.share(shared));
    }

    /// Lets the stream do something with its one body.
    pub(super) fn with_body(&self, act: impl FnOnce(&mut StreamBody)) {
        if let Some(body) = &mut self.shared.lock().body {
            act(body);
        }
    }

    /// The next piece; `None` at the end.
    pub(crate) fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let mut state = self.shared.lock();
        loop {
            let at = state.readers.get(&self.reader).copied().unwrap_or(u64::MAX);
            let place = at.checked_sub(state.first).and_then(|place| usize::try_from(place).ok());
            if let Some(piece) = place.and_then(|place| state.pieces.get(place)).cloned() {
                state.readers.insert(self.reader, at + 1);
                let was_full = !state.is_whole && state.held > HELD_BYTES_MAX;
                state.trim();
                if was_full && state.held <= HELD_BYTES_MAX {
                    self.shared.wakers.wake_all();
                }
                return Poll::Ready(Some(piece));
            }
            if state.is_over {
                return Poll::Ready(None);
            }
            self.shared.wakers.lock().insert(self.reader, context.waker().clone());
            let waker = Waker::from(Arc::clone(&self.shared.wakers));
            std::task::ready!(state.read(&mut Context::from_waker(&waker)));
            self.shared.wakers.lock().remove(&self.reader);
            self.shared.wakers.wake_all();
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let (last, known) = {
            let mut state = self.shared.lock();
            state.readers.remove(&self.reader);
            state.trim();
            // The last one takes the stream along; it is let go of outside of the lock.
            let last = state.readers.is_empty().then(|| state.body.take());
            (last, state.known)
        };
        self.shared.wakers.lock().remove(&self.reader);
        if last.is_none() {
            // Whoever had been waiting for this one reads on.
            self.shared.wakers.wake_all();
        }
        if let Some((hit, key)) = self.hit.take() {
            hit.settle(&known.unwrap_or_default(), tollgate_catalog::PicoDollars::ZERO, key);
        }
    }
}
