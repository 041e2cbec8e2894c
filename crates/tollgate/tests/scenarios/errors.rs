//! 1 to 5: the primary says no, fails, or is not there.

use crate::support::{Site, open_ai};
use crate::{FALLBACKS, answering, script, sites_config, whole};
use std::time::{Duration, Instant};
use tollgate_simulator::{Fault, ResetPoint, Rule};

fn limited(deployment: &str, after: &str) -> Rule {
    Rule::deployment(deployment, answering().fault(Fault::status_retry_after(429, after)))
}

#[tokio::test]
async fn s01_a_lone_deployment_is_asked_again_after_its_time_and_not_before() {
    let yaml = format!("model_list:\n{}", open_ai("m", "p", ""));
    let site = Site::start(&yaml, script([limited("p", "1").times(1)])).await;
    let started = Instant::now();
    let told = site.hello_stream("m").await;
    assert!(!told.complete("m").is_empty());
    assert!(started.elapsed() >= Duration::from_secs(1), "the provider's time was not waited for");
    assert_eq!(site.order(), ["p", "p"]);
    assert_eq!(told.header("x-litellm-attempted-retries"), Some("1"));
    site.stop().await;
}

#[tokio::test]
async fn s03_one_error_is_mended_elsewhere_and_held_against_nobody() {
    let site = Site::start(&sites_config(FALLBACKS), script([])).await;
    let text = whole(&site).await;
    site.simulator.script().push_first(Rule::deployment("p", answering().fault(Fault::status(500))).times(1));
    let told = site.hello_stream("m").await;
    assert_eq!(told.complete("m"), text);
    assert_eq!(site.order(), ["p", "s"]);
    assert_eq!(told.header("x-litellm-model-id"), Some("s"));
    assert_eq!(told.header("x-litellm-attempted-retries"), Some("1"));
    assert_eq!(told.header("x-litellm-attempted-fallbacks"), Some("0"));
    for _ in 0..10 {
        assert_eq!(site.hello_stream("m").await.complete("m"), text);
    }
    assert_eq!(site.sends(["p", "s", "f"]), [11, 1, 0]);
    site.stop().await;
}
