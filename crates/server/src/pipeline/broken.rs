//! A stream whose first chunk had content and then a fault: the fault is told again when the stream is polled.

use bytes::Bytes;
use tollgate_dialect::wire::{CallerError, Progress, ReplyFault, Transducer};

/// A stream that has met its fault already.
pub(super) struct Broken {
    inner: Box<dyn Transducer>,
    fault: ReplyFault,
    progress: Progress,
}

impl Broken {
    pub(super) fn new(inner: Box<dyn Transducer>, fault: ReplyFault) -> Self {
        let progress = Progress { complete: false, ..inner.progress().clone() };
        Self { inner, fault, progress }
    }
}

impl Transducer for Broken {
    fn push(&mut self, _: Bytes, _: &mut Vec<Bytes>) -> Result<(), ReplyFault> {
        Err(self.fault.clone())
    }

    fn finish(&mut self, _: &mut Vec<Bytes>) -> Result<(), ReplyFault> {
        Err(self.fault.clone())
    }

    fn fail(&mut self, error: &CallerError<'_>, out: &mut Vec<Bytes>) {
        self.inner.fail(error, out);
    }

    fn progress(&self) -> &Progress {
        &self.progress
    }
}
