//! What each channel is sent.
//!
//! Owns: nothing but the list. Leaves to others: sending it.
//!
//! **Invariant:** a shape is a pure function of the alert, and stays within the limits that its receiver publishes.

pub(crate) mod discord;
pub(crate) mod json;
pub(crate) mod mail;
pub(crate) mod pagerduty;
pub(crate) mod slack;
pub(crate) mod teams;

#[cfg(test)]
mod samples;
