//! Rehearsals: a plan that is told, requests and deployments that fail on purpose, and the operator who is told.

use crate::page::{Design, says, shows};
use crate::stand::{Stand, TEXT, answers, question};
use crate::support::until;
use crate::wealth::{AZURE, MINI, MISTRAL, adviser, bonds, start, with};
use serde_json::{Value, json};
use tollgate_simulator::Fault;

/// What a request of the page asks, which has nothing of its own but a tag.
fn fund() -> Value {
    with(question("wealth-chat", "How did my fund do?"), "metadata", json!({"tags": ["portfolio"]}))
}

#[tokio::test]
async fn the_plan_is_told_and_nothing_is_sent() {
    let stand = start().await;
    let answer = stand.post("/route/explain", &[], &json!({"request": fund()})).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    says("explains: a sensitive request", &answer.json());
    let answer = stand.ask_with(&[("x-tollgate-dry-run", "true")], &fund()).await;
    says("explains: a sensitive request", &answer.json());
    assert_eq!(stand.sent(), [""; 0]);
    stand.let_fail(&[AZURE, MISTRAL, MINI], &Fault::status(500));
    assert_eq!(stand.ask(&fund()).await.status, 500);
    assert_eq!(stand.sent(), [AZURE, MISTRAL], "as it was told");
    stand.stop().await;
}

#[tokio::test]
async fn one_request_rehearses_a_failover_and_azure_is_not_called() {
    let stand = start().await;
    let answer = stand.ask(&with(bonds(), "mock_testing_fallbacks", json!(true))).await;
    assert_eq!(answer.content(), TEXT);
    shows("wealth mocked", &answer);
    assert_eq!(stand.sent(), [MISTRAL]);
    for member in ["mock_testing_rate_limit_error", "mock_testing_context_fallbacks"] {
        assert_eq!(stand.ask(&with(bonds(), member, json!(true))).await.status, 200, "{member}");
        assert_eq!(stand.sent(), [MISTRAL], "{member}");
    }
    stand.stop().await;
}

async fn force(stand: &Stand, deployment: &str, state: &str) {
    let order = json!({"model_id": deployment, "state": state, "expires_in": "10m"});
    let answer = stand.post("/health/override", &[], &order).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[tokio::test]
async fn a_deployment_is_taken_out_for_everybody_and_taken_back() {
    let stand = start().await;
    force(&stand, AZURE, "down").await;
    shows("wealth forced", &stand.ask(&bonds()).await);
    shows("wealth forced", &stand.stream(&bonds()).await.head);
    assert_eq!(stand.sent(), [MISTRAL, MISTRAL]);
    let held = stand.get("/health/override").await.json();
    assert_eq!(held["overrides"][0]["model_id"], AZURE);
    assert_eq!(held["overrides"][0]["state"], "down");
    assert_eq!(stand.get("/health/deployments").await.status, 200);
    force(&stand, MISTRAL, "down").await;
    shows("wealth dependable", &stand.ask(&bonds()).await);
    assert_eq!(stand.sent(), [MINI]);
    assert_eq!(stand.ask(&fund()).await.status, 503);
    let sensitive = with(adviser(), "metadata", json!({"tags": ["portfolio"]}));
    shows("wealth canned", &stand.ask(&sensitive).await);
    assert_eq!(stand.sent(), [""; 0]);
    force(&stand, AZURE, "auto").await;
    shows("wealth well", &stand.ask(&fund()).await);
    stand.stop().await;
}

/// The configuration with a fault at its first deployment.
async fn staged(fault: &str) -> Stand {
    let change = |yaml: String| {
        let line = "      rpm: 300\n";
        yaml.replacen(line, &format!("{line}      tollgate_fault: {fault}\n"), 1)
    };
    Stand::start_changed(Design::Wealth, change).await
}

#[tokio::test]
async fn a_staged_fault_moves_requests_on_as_a_real_one_does() {
    let stand = staged("{kind: rate_limit, retry_after: 30s}").await;
    let told = stand.stream(&bonds()).await;
    answers(&told);
    shows("wealth staged", &told.head);
    assert_eq!(stand.sent(), [MISTRAL]);
    stand.stop().await;
    for fault in
        ["{kind: error}", "{kind: error, status: 503}", "{kind: latency, delay: 60s}", "{kind: reset}"]
    {
        let stand = staged(fault).await;
        let told = stand.stream(&bonds()).await;
        answers(&told);
        shows("wealth second", &told.head);
        assert_eq!(stand.sent().last().map(String::as_str), Some(MISTRAL), "{fault}");
        stand.stop().await;
    }
}

#[tokio::test]
async fn a_staged_break_of_a_stream_is_rescued_as_a_real_one_is() {
    for fault in ["{kind: cut, after: 3}", "{kind: malformed}", "{kind: reset, after: 2}"] {
        let stand = staged(fault).await;
        let told = stand.stream(&bonds()).await;
        answers(&told);
        shows("wealth well", &told.head);
        assert!(told.body().contains(": x-tollgate-rescued deployment=mistral-eu"), "{}", told.body());
        assert_eq!(stand.sent(), [AZURE, MISTRAL], "{fault}");
        stand.stop().await;
    }
}

#[tokio::test]
async fn the_operator_is_told_when_the_last_tier_answers_too_often() {
    let told = "tollgate_settings:\n  alerts: {webhook_url: os.environ/ALERTS_URL}\n";
    let change = |yaml: String| yaml.replace("tollgate_settings:\n", told);
    let stand = Stand::start_changed(Design::Wealth, change).await;
    for _ in 0..49 {
        assert_eq!(stand.ask(&bonds()).await.content(), TEXT);
    }
    stand.let_fail(&[AZURE, MISTRAL, MINI], &Fault::status(500));
    shows("wealth canned", &stand.ask(&adviser()).await);
    until("the operator is told", || !stand.alerts().is_empty()).await;
    says("alert: the last tier", &stand.alerts()[0]);
    let counted = async |tier: &str| {
        let row = format!("tollgate_tier_requests_total{{list=\"default\",tier=\"{tier}\"}} ");
        let metrics = stand.get("/metrics").await.text();
        metrics.lines().find_map(|line| line.strip_prefix(&row)).map(str::to_owned)
    };
    assert_eq!(counted("primary").await.as_deref(), Some("49"));
    assert_eq!(counted("canned").await.as_deref(), Some("1"));
    shows("wealth canned", &stand.ask(&adviser()).await);
    assert_eq!(stand.alerts().len(), 1, "it is said once");
    stand.stop().await;
}
