//! JSON read by one strict scan and changed by splicing, without building a tree.
//!
//! Owns the grammar (RFC 8259), the limits on a body, edits of top-level members, readers that say where a wrong value
//! stands (`read`), a writer without a tree (`write`), and the one form of a body that keys are made of
//! ([`canonical`]). Leaves what members mean to the wires. **Invariant:** what
//! the scan accepts, `serde_json` accepts with the same values, so the fast road and the decoders can never disagree
//! about a body.

pub mod canonical;
pub(crate) mod read;
pub mod scan;
pub mod splice;
mod text;
pub(crate) mod value;
mod walk;
pub(crate) mod write;

pub(crate) use scan::text_of;
pub use scan::{Kind, Member, Object, Value, scan};
pub use splice::{Segments, Splice};
pub(crate) use text::unescaped_len;
pub use text::write_string;
pub(crate) use walk::{Fault, Text, Walker};
pub use walk::{Limits, Mentions, ScanError, ScanErrorKind};
