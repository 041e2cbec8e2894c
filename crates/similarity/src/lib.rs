//! Whether one question may be answered with the answer of another.
//!
//! Owns: what a question says beside its vector ([`Facts`]), the guards that compare two questions ([`compare`], [`judge`]), which
//! requests may be answered from likeness at all ([`eligible`]), the choice among a closed set of answers ([`Closed`]), the threshold for
//! a chosen error rate ([`Calibration`]) and the figures of a study ([`evaluate`]). Leaves to others: vectors (embedder), where
//! answers are kept and found (cache), files and plots (the command line).
//!
//! The way of a candidate in the open tier: [`eligible`] when the question comes; [`Facts::of`] both questions; [`compare`];
//! [`Findings::score`] of the cosine; served where that is at least [`Calibration::threshold`], raised by the entry's own
//! [`Feedback::threshold`]. In a closed tier [`Closed::best`] gives the score instead: there every answer is known, so that the
//! distance to the next one tells; in an open one it tells nothing.
//!
//! **Invariant:** nothing here does I/O, reads a clock or draws a random number; the same arguments give the same answer on every
//! machine. Text of any length is read in bounded time and memory.

mod accept;
mod align;
mod calibration;
mod eligible;
pub mod evaluate;
mod facts;
mod guard;
mod language;
mod lexicon;
mod question;
mod statistics;
mod values;
mod words;

pub use accept::{Choice, Closed, ClosedError, PHRASINGS_MAX, Phrasing};
pub use calibration::{
    BINS, BadCalibration, Calibration, Curve, DOWNS_MAX, Feedback, LABELS_MAX, PRIOR, SCORE_MIN,
};
pub use eligible::{Allowed, Ineligible, Request, eligible};
pub use facts::Facts;
pub use guard::{Finding, Findings, Reason, SAME_COSINE_MIN, SAME_DISTANCE, Verdict, Weighs, compare, judge};
pub use language::Language;
pub use statistics::{beta_quantile, wilson};
pub use words::{TEXT_BYTES_MAX, WORDS_MAX};
