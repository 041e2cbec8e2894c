//! 6 and 7: the primary is silent, or late.

use crate::support::{FAILURES, Site};
use crate::{FALLBACKS, answering, script, sites_config, whole};
use std::time::Duration;
use tollgate_simulator::{Fault, Rule};

/// The limit of the first token, short, so that no test waits for long.
fn impatient() -> String {
    let settings = "router_settings: {fallbacks: [{m: [other]}], stream_timeout: 0.4}\n";
    assert!(settings.starts_with(&FALLBACKS[..FALLBACKS.len() - 2]), "the same chain");
    sites_config(settings)
}

/// Streams once with a primary that does this, and holds that it was let go and the second answered.
async fn check(fault: Fault) {
    let site = Site::start(&impatient(), script([])).await;
    let text = whole(&site).await;
    site.simulator.script().push_first(Rule::deployment("p", answering().fault(fault.clone())));
    let told = site.hello_stream("m").await;
    assert_eq!(told.complete("m"), text, "{fault:?}");
    assert_eq!(site.order(), ["p", "s"], "{fault:?}: who stayed silent is asked once");
    site.until("the silent one is let go", |site| site.received()[0].hung_up).await;
    assert_eq!(site.gateway.counted(FAILURES, &["model_id=\"p\"", "\"timeout\""]).await, 1, "{fault:?}");
    // Nobody else in the group: the group to fall back on.
    site.simulator.script().push_first(Rule::deployment("s", answering().fault(fault.clone())));
    site.simulator.forget_received();
    let told = site.hello_stream("m").await;
    assert_eq!(told.complete("m"), text, "{fault:?}");
    assert_eq!(site.order(), ["p", "s", "f"], "{fault:?}");
    assert_eq!(told.header("x-litellm-attempted-fallbacks"), Some("1"));
    site.stop().await;
}

#[tokio::test]
async fn s06_silence_costs_its_limit_and_another_answers() {
    check(Fault::Hang).await;
    check(Fault::Stall { after: 0 }).await;
}

#[tokio::test]
async fn s07_a_first_token_that_is_twenty_seconds_late_is_not_waited_for() {
    check(Fault::SlowFirstEvent(Duration::from_secs(20))).await;
}
