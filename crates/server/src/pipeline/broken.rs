//! A stream whose first chunk had content and then a fault: the fault is told again when the stream is polled, once.

use bytes::Bytes;
use tollgate_dialect::wire::{CallerError, Progress, ReplyFault, Transducer};

/// A stream that has met its fault already.
pub(super) struct Broken {
    inner: Box<dyn Transducer>,
    fault: ReplyFault,
    progress: Progress,
    is_told: bool,
}

impl Broken {
    pub(super) fn new(inner: Box<dyn Transducer>, fault: ReplyFault) -> Self {
        let progress = Progress { complete: false, ..inner.progress().clone() };
        Self { inner, fault, progress, is_told: false }
    }
}

impl Transducer for Broken {
    fn push(&mut self, _: Bytes, _: &mut Vec<Bytes>) -> Result<(), ReplyFault> {
        self.is_told = true;
        Err(self.fault.clone())
    }

    fn finish(&mut self, out: &mut Vec<Bytes>) -> Result<(), ReplyFault> {
        let was_told = std::mem::replace(&mut self.is_told, true);
        // Who has heard of a break may end the stream all the same, where nothing of the answer is missing.
        if was_told && matches!(self.fault, ReplyFault::Malformed(_)) {
            return self.inner.finish(out);
        }
        Err(self.fault.clone())
    }

    fn fail(&mut self, error: &CallerError<'_>, out: &mut Vec<Bytes>) {
        self.inner.fail(error, out);
    }

    fn progress(&self) -> &Progress {
        &self.progress
    }
}
