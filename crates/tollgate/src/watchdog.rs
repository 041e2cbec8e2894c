//! The thread that watches the others, and how much memory they take.
//!
//! A thread and no task: a runtime that stands still says nothing. **Invariant:** it holds nothing that keeps the gateway
//! from ending.

use crate::limits;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tollgate_server::Gateway;

/// How often it looks.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Looks once, so that the first request finds how things are, and then from a thread of its own until the gateway is gone.
pub(crate) fn start(gateway: &Arc<Gateway>, memory_bytes_max: Option<u64>) -> Result<(), String> {
    let most = limits::memory_max(memory_bytes_max);
    let memory = move || limits::memory_used().zip(most);
    gateway.look_at_process(Instant::now(), memory());
    let watched = Arc::downgrade(gateway);
    let run = move || {
        while let Some(gateway) = watched.upgrade() {
            gateway.look_at_process(Instant::now(), memory());
            drop(gateway);
            std::thread::sleep(LOOK_EVERY);
        }
    };
    let thread = std::thread::Builder::new().name("watchdog".to_owned()).spawn(run);
    thread.map(drop).map_err(|error| format!("no thread: {error}"))
}
