//! Whether a place outside of this process is to be asked at all.
//!
//! Owns when it is left alone and when it is tried again. **Invariant**: of a place that is left alone one thing is asked in
//! each [`PAUSE`]. **Invariant**: the log has one line for each time that it is left alone, and one for each return.

use super::{Event, FarError, Told};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Failures in a row after which it is left alone.
const FAILURES_MAX: u32 = 3;
/// How long it is left alone before something is tried again.
const PAUSE: Duration = Duration::from_secs(5);

/// How a place has been.
pub(super) struct Health {
    /// What is done with the place, as the log says it.
    what: &'static str,
    kind: &'static str,
    state: Mutex<State>,
    told: Told,
}

#[derive(Default)]
struct State {
    /// In a row.
    failures: u32,
    /// While it is left alone: when it is tried again.
    next_try: Option<Instant>,
}

impl Health {
    pub(super) fn new(what: &'static str, kind: &'static str, told: Told) -> Self {
        Self { what, kind, state: Mutex::default(), told }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It is not left alone.
    pub(super) fn is_well(&self) -> bool {
        self.state().next_try.is_none()
    }

    /// Whether it is to be asked now. Whoever asks while it is left alone is the one who tries it.
    pub(super) fn may_ask(&self) -> bool {
        let mut state = self.state();
        let Some(next_try) = state.next_try else { return true };
        let now = Instant::now();
        if now < next_try {
            return false;
        }
        state.next_try = Some(now + PAUSE);
        true
    }

    /// Whoever was to try it did not get there: the next one tries.
    pub(super) fn nothing_learnt(&self) {
        let mut state = self.state();
        if state.next_try.is_some() {
            state.next_try = Some(Instant::now());
        }
    }

    /// It did what it was asked.
    pub(super) fn was_well(&self) {
        let mut state = self.state();
        state.failures = 0;
        if state.next_try.take().is_some() {
            drop(state);
            (self.told)(Event::Up);
            tracing::info!(place = self.kind, "kept answers are {} it again", self.what);
        }
    }

    /// It did not.
    pub(super) fn has_failed(&self, error: &FarError) {
        let mut state = self.state();
        state.failures = state.failures.saturating_add(1);
        if state.failures < FAILURES_MAX || state.next_try.is_some() {
            return;
        }
        state.next_try = Some(Instant::now() + PAUSE);
        drop(state);
        (self.told)(Event::Down);
        tracing::warn!(
            place = self.kind,
            error = %error,
            "kept answers cannot be {} it: it is left alone for a while, and answers are kept in memory",
            self.what
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[tokio::test(start_paused = true)]
    async fn after_failures_in_a_row_it_is_left_alone_and_one_asks_in_each_pause() {
        let heard: Arc<Mutex<Vec<Event>>> = Arc::default();
        let hears = Arc::clone(&heard);
        let health =
            Health::new("read from", "disk", Arc::new(move |event| hears.lock().unwrap().push(event)));
        let failed = FarError::late();
        for _ in 0..FAILURES_MAX - 1 {
            health.has_failed(&failed);
        }
        health.was_well();
        for _ in 0..FAILURES_MAX - 1 {
            health.has_failed(&failed);
        }
        assert!(health.may_ask() && health.is_well(), "a success in between begins anew");
        health.has_failed(&failed);
        health.has_failed(&failed);
        assert!(!health.may_ask() && !health.is_well());
        tokio::time::advance(PAUSE).await;
        let asked = (0..100).filter(|_| health.may_ask()).count();
        assert_eq!(asked, 1, "one tries it");
        health.has_failed(&failed);
        tokio::time::advance(PAUSE).await;
        assert!(health.may_ask() && !health.may_ask());
        health.nothing_learnt();
        assert!(health.may_ask() && !health.may_ask(), "the turn passes on");
        health.was_well();
        assert!(health.may_ask() && health.may_ask() && health.is_well());
        assert_eq!(*heard.lock().unwrap(), [Event::Down, Event::Up]);
    }
}
