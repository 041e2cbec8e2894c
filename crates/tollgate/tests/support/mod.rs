//! What tests of the running binary share: the process, simulated providers, a caller that sees every byte, load.
//!
//! Owns: [`Site`], simulated providers with a gateway before them. Leaves to others: what a test is about. Reading and
//! writing HTTP by hand, and a provider of fixed bytes, are those of the server's tests.
//!
//! **Invariant:** waits are for something that happens, bounded by a patience that is far longer than anything takes;
//! nothing is concluded from how long it took.
#![allow(dead_code, unused_imports, reason = "each suite of tests uses its own part")]

#[path = "../../../server/tests/gateway/support/caller.rs"]
mod caller;
mod gateway;
mod load;
mod network;
mod paying;
#[path = "../../../server/tests/gateway/support/raw_provider.rs"]
mod raw_provider;
mod site;
mod told;

pub(crate) use caller::{Answer, Connection, Stream, data, post};
pub(crate) use gateway::{CONFIG, Gateway};
pub(crate) use load::{Load, Outcomes};
pub(crate) use network::{BlackHole, Eavesdropper};
pub(crate) use paying::{ANSWER_TOKENS, COST, COST_DOLLARS, MASTER, ask, chat, priced};
pub(crate) use raw_provider::{RawProvider, is_whole};
pub(crate) use site::{Site, deployment, hello, open_ai, streamed};
pub(crate) use told::Told;

use std::time::Duration;

/// The chat route.
pub(crate) const CHAT: &str = "/v1/chat/completions";

/// Longer than anything takes that is going to happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Waits for something that must happen.
pub(crate) async fn patiently<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(done) => done,
        Err(_) => panic!("waited in vain until {what}"),
    }
}

/// Waits until something is so.
pub(crate) async fn until(what: &str, is_so: impl Fn() -> bool) {
    patiently(what, async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

/// A number of requests: the second where all is to be tried (`TOLLGATE_TEST_LONG=1`), the first otherwise.
pub(crate) fn count(usual: usize, long: usize) -> usize {
    if std::env::var("TOLLGATE_TEST_LONG").as_deref() == Ok("1") { long } else { usual }
}

/// The metric of failed attempts.
pub(crate) const FAILURES: &str = "litellm_deployment_failure_responses_total";
/// The metric of attempts.
pub(crate) const ATTEMPTS: &str = "litellm_deployment_total_requests_total";

/// A text of so many tokens at the simulator, no two of which are alike.
pub(crate) fn words(tokens: usize) -> String {
    (0..tokens).map(|number| format!("w{number:02} ")).collect()
}

/// Milliseconds.
pub(crate) fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}
