//! The end of the process in three steps: running, draining, over.
//!
//! Draining refuses new connections and lets what runs finish; over ends the streams that are still open with an error
//! event. **Invariant:** steps only go forward.

use std::sync::atomic::{AtomicU8, Ordering};
use tokio::sync::watch;

/// Where the process stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Takes requests.
    Running,
    /// Takes no new connections; finishes what runs.
    Draining,
    /// Ends what still runs.
    Over,
}

/// The stage, to be read at no cost and to be waited for.
#[derive(Debug)]
pub struct Drain {
    stage: AtomicU8,
    told: watch::Sender<Stage>,
}

impl Default for Drain {
    fn default() -> Self {
        Self { stage: AtomicU8::new(0), told: watch::Sender::new(Stage::Running) }
    }
}

impl Drain {
    /// The stage now.
    pub fn stage(&self) -> Stage {
        match self.stage.load(Ordering::Relaxed) {
            0 => Stage::Running,
            1 => Stage::Draining,
            _ => Stage::Over,
        }
    }

    /// Goes forward to a stage; going back is not possible and does nothing.
    pub fn advance(&self, stage: Stage) {
        let number = match stage {
            Stage::Running => 0,
            Stage::Draining => 1,
            Stage::Over => 2,
        };
        if self.stage.fetch_max(number, Ordering::Relaxed) < number {
            self.told.send_replace(stage);
        }
    }

    /// A receiver that wakes at every step.
    pub fn subscribe(&self) -> watch::Receiver<Stage> {
        self.told.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_only_go_forward() {
        let drain = Drain::default();
        assert_eq!(drain.stage(), Stage::Running);
        drain.advance(Stage::Over);
        drain.advance(Stage::Draining);
        assert_eq!(drain.stage(), Stage::Over);
        assert_eq!(*drain.subscribe().borrow(), Stage::Over);
    }
}
