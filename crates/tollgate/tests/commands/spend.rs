//! `tollgate spend reprice` and `tollgate spend reconcile`, over requests that were answered and booked.

use super::support::chat;
use super::{MASTER, Stand};
use serde_json::Value;
use tollgate_simulator::Simulator;

/// A gateway before a provider of a known price, which has answered twice: $0.0035 each.
async fn stand() -> (Stand, Simulator, String) {
    let (stand, simulator) = Stand::priced().await;
    for call in ["one", "two"] {
        assert_eq!(chat(stand.gateway.address, MASTER, call).await.status, 200);
    }
    let requests = |day: &Value| day["metrics"]["api_requests"].as_u64().unwrap_or(0);
    for _ in 0..600 {
        let told = stand.run("spend --by day --since 1d --json").json();
        let days = told["results"].as_array().unwrap();
        if let Some(day) = days.iter().find(|day| requests(day) == 2) {
            let date = day["date"].as_str().unwrap().to_owned();
            return (stand, simulator, date);
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("the two requests are not in the books");
}

#[tokio::test]
async fn attempts_are_priced_again_once_it_is_said_so() {
    let (stand, _simulator, date) = stand().await;
    let prices = stand.gateway.folder().join("prices.json");
    std::fs::write(&prices, r#"{"openai/gpt-4o": {"input_cost_per_token": 0.000005}}"#).unwrap();
    let unchanged = stand.run(&format!("spend reprice --since {date}")).good();
    assert_eq!(
        unchanged,
        "No attempt has another price.\n\nAttempts that stay as they are: 2 cost what they did.\n"
    );
    let line = format!("spend reprice --since {date} --prices {}", prices.display());
    let dry = stand.run(&line).good();
    let head = "DAY         MODEL          REQUESTS   BEFORE    AFTER  DIFFERENCE\n";
    let rows = format!(
        "{head}{date}  openai/gpt-4o         2  $0.0070  $0.0120     $0.0050\n\
         total       -                     2  $0.0070  $0.0120     $0.0050"
    );
    assert_eq!(dry, format!("{rows}\n\nNothing is changed yet: --apply does it.\n"));
    let spent = || stand.run(&format!("spend --by model --since {date}")).good();
    assert!(spent().contains("$0.0070"), "{}", spent());
    let told = stand.run(&format!("{line} --json")).json();
    assert_eq!((&told["dry_run"], &told["difference"]), (&true.into(), &0.005.into()));
    let done = stand.run(&format!("{line} --apply --correct-budgets")).good();
    assert_eq!(done, format!("{rows}\n\nThis was changed.\n"));
    assert!(spent().contains("$0.0120"), "{}", spent());
    let missing = stand.run(&format!("spend reprice --since {date} --prices nowhere.json"));
    assert_eq!(missing.status, 2);
    assert!(missing.error.starts_with("tollgate: nowhere.json: "), "{}", missing.error);
}

#[tokio::test]
async fn an_invoice_is_compared_with_what_was_booked() {
    let (stand, _simulator, date) = stand().await;
    let invoice = stand.gateway.folder().join("invoice.csv");
    let compare = |amount: &str, more: &str| {
        std::fs::write(&invoice, format!("date,model,amount\n{date},gpt-4o,{amount}\n")).unwrap();
        stand.run(&format!("spend reconcile {} --provider openai{more}", invoice.display()))
    };
    let same = format!("openai, {date} to {date} (UTC): booked $0.0070, invoiced $0.0070.");
    assert_eq!(compare("0.007", "").good(), format!("{same} No model differs on any day.\n"));
    assert_eq!(
        compare("0.0100", "").good(),
        format!(
            "openai, {date} to {date} (UTC)\n\n\
             DAY         MODEL    BOOKED  INVOICED  DIFFERENCE\n\
             {date}  gpt-4o  $0.0070     $0.01     $0.0030\n\
             total       -       $0.0070     $0.01     $0.0030\n"
        )
    );
    assert!(compare("0.0100", " --tolerance 0.01").good().contains("No model differs"));
    assert_eq!(compare("0.0100", " --json").json()["count"], 1);
    let wrong = compare("much", "");
    assert_eq!(wrong.status, 1);
    assert!(wrong.error.contains("line 2"), "{}", wrong.error);
}
