//! Places outside of the process, as whoever uses them meets them.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod disk;
mod support;
