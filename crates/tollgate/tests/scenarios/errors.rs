//! 1 to 5: the primary says no, fails, or is not there.

use crate::support::{Site, open_ai};
use crate::{FALLBACKS, answering, script, sites_config, whole};
use std::time::{Duration, Instant};
use tollgate_simulator::{Fault, ResetPoint, Rule};

fn limited(deployment: &str, after: &str) -> Rule {
    Rule::deployment(deployment, answering().fault(Fault::status_retry_after(429, after)))
}

#[tokio::test]
async fn s01_a_limit_is_honoured_for_as_long_as_it_says() {
    let site = Site::start(&sites_config(FALLBACKS), script([])).await;
    let text = whole(&site).await;
    site.simulator.script().push_first(limited("p", "30").times(1));
    for _ in 0..20 {
        assert_eq!(site.hello_stream("m").await.complete("m"), text);
    }
    assert_eq!(site.sends(["p", "s", "f"]), [1, 20, 0]);
    // Where the second is limited as well the group to fall back on answers.
    site.simulator.script().push_first(limited("s", "30").times(1));
    for _ in 0..20 {
        assert_eq!(site.hello_stream("m").await.complete("m"), text);
    }
    assert_eq!(site.sends(["p", "s", "f"]), [1, 21, 20]);
    site.stop().await;
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
async fn s02_a_limit_that_lasts_is_not_hammered() {
    let site = Site::start(&sites_config(FALLBACKS), script([])).await;
    let text = whole(&site).await;
    site.simulator.script().push_first(limited("p", "60"));
    for _ in 0..50 {
        assert_eq!(site.hello_stream("m").await.complete("m"), text);
    }
    assert_eq!(site.sends(["p", "s", "f"]), [1, 50, 0]);
    site.stop().await;
    // Where everybody is limited the caller hears for how long, and nobody is asked once more.
    // A minute would be waited for where there is but one deployment.
    let limited = ["p", "s", "f"].map(|name| limited(name, "90"));
    let site = Site::start(&sites_config(FALLBACKS), script(limited)).await;
    for _ in 0..20 {
        let told = site.hello_stream("m").await;
        assert_eq!(told.status(), 429, "{}", told.body());
        let after: u64 = told.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=90).contains(&after), "{after}");
    }
    assert_eq!(site.sends(["p", "s", "f"]), [1, 1, 1]);
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

#[tokio::test]
async fn s04_a_deployment_that_is_overloaded_is_left_alone_after_three_times() {
    let site = Site::start(&sites_config(FALLBACKS), script([])).await;
    let text = whole(&site).await;
    site.simulator.script().push_first(Rule::deployment("p", answering().fault(Fault::status(503))));
    for _ in 0..20 {
        assert_eq!(site.hello_stream("m").await.complete("m"), text);
    }
    assert_eq!(site.sends(["p", "s", "f"]), [3, 20, 0]);
    // With the second down too, the group to fall back on answers.
    site.simulator.script().push_first(Rule::deployment("s", answering().fault(Fault::status(503))));
    for _ in 0..10 {
        assert_eq!(site.hello_stream("m").await.complete("m"), text);
    }
    assert_eq!(site.sends(["f"]), [10]);
    site.stop().await;
}

#[tokio::test]
async fn s05_a_connection_that_is_reset_costs_nothing() {
    for point in [ResetPoint::BeforeHead, ResetPoint::AfterHead, ResetPoint::AfterEvents(0)] {
        let site = Site::start(&sites_config(FALLBACKS), script([])).await;
        let text = whole(&site).await;
        site.simulator.script().push_first(Rule::deployment("p", answering().fault(Fault::Reset(point))));
        for _ in 0..10 {
            assert_eq!(site.hello_stream("m").await.complete("m"), text, "{point:?}");
        }
        let [p, s, f] = site.sends(["p", "s", "f"]);
        // A kept connection that is reset at once is replaced by a new one before it counts.
        assert!((3..=6).contains(&p) && s == 10 && f == 0, "{point:?}: {p} {s} {f}");
        site.stop().await;
    }
}
