//! The events of a stream: their frame and their numbers.
//!
//! **Invariant:** `sequence_number` counts from 0 without a gap.

use crate::json::write::Object;

/// Where events go; nowhere for a plain reply.
pub(super) struct Events<'a> {
    out: Option<&'a mut Vec<u8>>,
    sequence: &'a mut u64,
}

impl<'a> Events<'a> {
    /// Events that go to a caller.
    pub(super) fn to(out: &'a mut Vec<u8>, sequence: &'a mut u64) -> Self {
        Self { out: Some(out), sequence }
    }

    /// No events.
    pub(super) fn none(sequence: &'a mut u64) -> Self {
        Self { out: None, sequence }
    }

    /// Writes an event with what `fill` puts behind its type and number.
    pub(super) fn write(&mut self, kind: &str, fill: impl FnOnce(&mut Object<'_>)) {
        let Some(out) = self.out.as_deref_mut() else { return };
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(kind.as_bytes());
        out.extend_from_slice(b"\ndata: ");
        let mut event = Object::open(out);
        event.string("type", kind);
        event.integer("sequence_number", *self.sequence);
        fill(&mut event);
        event.close();
        out.extend_from_slice(b"\n\n");
        *self.sequence += 1;
    }
}
