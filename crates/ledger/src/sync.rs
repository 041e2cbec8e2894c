//! The locks and counters of what requests hold, by one name: `tests/schedules` compiles the same modules with those of a
//! scheduler that draws the order of every step.

pub(crate) use std::sync::{Arc, Mutex, MutexGuard, PoisonError, atomic};
