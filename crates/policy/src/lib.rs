//! Which deployment answers, and whether to try again.
//!
//! Owns: the choice among the deployments of a model group, and what follows a failed attempt. Leaves to others: what
//! a failure means on the wire (dialect), sending (upstream), and the clock: durations and random numbers come in as
//! arguments.
//!
//! **Invariant:** nothing here does I/O, reads a clock or draws a random number of its own. **Invariant:** one request
//! sends at most `1 + num_retries` attempts, and never more than [`plan::SENDS_PER_REQUEST_MAX`].

pub mod accounts;
pub mod affinity;
pub mod anomaly;
pub mod ask;
pub mod budget;
pub mod chain;
pub mod choice;
pub mod clock;
pub mod deployment;
pub mod failure;
pub mod faq;
pub mod health;
pub mod latency;
pub mod limits;
pub mod period;
pub mod plan;
pub mod profile;
pub mod projection;
pub mod quantile;
pub mod queue;
pub mod share;
pub mod shuffle;
pub mod silence;
pub mod sliding;
pub mod strategy;
pub mod tags;
