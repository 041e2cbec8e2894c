//! PostgreSQL that is away while requests are served, in every way in which it can be.

use crate::proxy::Wire;
use crate::stand::Stand;
use crate::support::{Answer, COST, ask, chat, count, ms, patiently, until};
use serde_json::{Value, json};
use tokio::task::JoinSet;

/// Strangers who knock at the same time.
const STRANGERS: usize = 20;

/// Ends the gateway's connections, so that it needs others.
const END: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'gate'";

/// What is wrong with the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    /// It was stopped.
    Stopped,
    /// It is there, and says nothing.
    Hung,
    /// It takes nothing.
    ReadOnly,
    /// It has no connection for the gateway: the same code, 53300, as where all of them are taken.
    Full,
}

impl Trouble {
    async fn begin(self, stand: &mut Stand) {
        match self {
            Self::Stopped => stand.stop_server().await,
            Self::Hung => stand.proxy.set(Wire::Dead),
            Self::ReadOnly => {
                stand.execute("ALTER ROLE gate SET default_transaction_read_only TO on").await;
                stand.execute(END).await;
            }
            Self::Full => {
                stand.execute("ALTER ROLE gate CONNECTION LIMIT 0").await;
                stand.execute(END).await;
            }
        }
    }

    async fn end(self, stand: &mut Stand) {
        match self {
            Self::Stopped => stand.run_server().await,
            Self::Hung => stand.proxy.set(Wire::Whole),
            Self::ReadOnly => {
                stand.execute("ALTER ROLE gate SET default_transaction_read_only TO off").await;
                stand.execute(END).await;
            }
            Self::Full => stand.execute("ALTER ROLE gate CONNECTION LIMIT -1").await,
        }
    }

    /// What can be read is read.
    fn can_be_read(self) -> bool {
        self == Self::ReadOnly
    }
}

/// What is said to people whom nobody knows, all at the same time.
async fn knock(stand: &Stand) -> Vec<u16> {
    let address = stand.site.gateway.address;
    let mut asking = JoinSet::new();
    for number in 0..STRANGERS {
        let key = format!("sk-of-a-stranger-{number:04}");
        asking.spawn(async move {
            let answer = chat(address, &key, "stranger").await;
            let kind = answer.json()["error"]["type"].as_str().unwrap().to_owned();
            assert_eq!(answer.status == 503, kind == "service_unavailable", "{}", answer.text());
            answer.status
        });
    }
    asking.join_all().await
}

/// Admin calls that read: records, and what was spent.
const READS: [&str; 7] = [
    "/key/list",
    "/team/list",
    "/user/list",
    "/customer/list",
    "/budget/list",
    "/global/spend",
    "/spend/logs/v2?start_date=2026-01-01&end_date=2036-01-01",
];

/// The status of admin calls: of one that writes, and of those that read, which are all the same.
async fn administer(stand: &Stand) -> [u16; 2] {
    let gateway = &stand.site.gateway;
    let made = gateway.call("POST", "/key/generate", &json!({"key_alias": "in-vain"})).await;
    let mut read = Vec::new();
    for path in READS {
        let answer = gateway.call("GET", path, &Value::Null).await;
        read.push((path, answer.status));
        check_refusal(&answer);
    }
    check_refusal(&made);
    assert!(read.iter().all(|(_, status)| *status == read[0].1), "{read:?}");
    [made.status, read[0].1]
}

/// Nothing of where the database is, and how one gets in, is said.
fn check_refusal(answer: &Answer) {
    let text = answer.text();
    assert!(answer.status == 200 || !text.contains("127.0.0.1") && !text.contains("secret"), "{text}");
}

/// What readiness says of the database; its status is 200 whatever that is.
async fn readiness(stand: &Stand) -> String {
    let answer = ask(stand.site.gateway.address, "", ("GET", "/health/readiness"), &[], &Value::Null).await;
    assert_eq!((answer.status, &answer.json()["status"]), (200, &json!("healthy")), "{}", answer.text());
    answer.json()["db"].as_str().unwrap().to_owned()
}

async fn until_ready(stand: &Stand, expect: &str) {
    patiently("readiness says how the database is", async {
        while readiness(stand).await != expect {
            tokio::time::sleep(ms(20)).await;
        }
    })
    .await;
}

async fn check(trouble: Trouble) {
    let mut stand = Stand::start().await;
    let budget = json!({"max_budget": 100_000, "budget_duration": "30d", "rpm_limit": 10_000_000});
    let keys = [stand.site.gateway.new_key(budget).await, stand.site.gateway.new_key(json!({})).await];
    let mut calls = stand.serve(&keys, "before", 5).await;
    stand.check_books(&calls).await;
    assert_eq!(readiness(&stand).await, "connected");

    trouble.begin(&mut stand).await;
    // Those whom it knows are served while those whom it does not wait for an answer.
    let (served, strangers, statuses) =
        tokio::join!(stand.serve(&keys, "away", 20), knock(&stand), administer(&stand));
    calls.extend(served);
    let expect = if trouble.can_be_read() { (401, [503, 200]) } else { (503, [503, 503]) };
    assert_eq!((strangers, statuses), (vec![expect.0; STRANGERS], expect.1));
    until_ready(&stand, "Not connected").await;
    // Five minutes where all is to be tried.
    for round in 0..count(2, 300) {
        calls.extend(stand.serve(&keys, &format!("long-{round}"), count(10, 20)).await);
        tokio::time::sleep(ms(count(50, 1_000) as u64)).await;
        if !trouble.can_be_read() {
            assert_eq!(readiness(&stand).await, "Not connected");
        }
    }
    let address = stand.site.gateway.address;
    let spent = chat(address, &keys[0], "told").await;
    calls.push("told".to_owned());
    assert!(spent.header("x-tollgate-budget-remaining").is_some(), "budgets hold from memory");

    trouble.end(&mut stand).await;
    calls.extend(stand.serve(&keys, "after", 5).await);
    stand.check_books(&calls).await;
    until_ready(&stand, "connected").await;
    assert_eq!(knock(&stand).await, [401; STRANGERS]);
    assert_eq!(administer(&stand).await, [200, 200]);
    let log = stand.site.gateway.log_text();
    assert!(
        log.contains("rows cannot be brought into the books") && log.contains("the books are there again")
    );
    eprintln!("{trouble:?}: {} attempts, lost 0, doubled 0", calls.len());
    stand.site.stop().await;
}

#[tokio::test]
async fn r39_with_postgresql_stopped_those_who_are_known_go_on_and_no_record_is_lost() {
    check(Trouble::Stopped).await;
}

#[tokio::test]
async fn r39_with_postgresql_hung_those_who_are_known_go_on_and_no_record_is_lost() {
    check(Trouble::Hung).await;
}

#[tokio::test]
async fn r39_with_postgresql_read_only_those_who_are_known_go_on_and_no_record_is_lost() {
    check(Trouble::ReadOnly).await;
}

#[tokio::test]
async fn r39_with_postgresql_full_those_who_are_known_go_on_and_no_record_is_lost() {
    check(Trouble::Full).await;
}

#[tokio::test]
async fn r39_a_restart_of_postgresql_in_the_midst_of_requests_is_noticed_by_nobody() {
    let mut stand = Stand::start().await;
    let keys = [stand.site.gateway.new_key(json!({"max_budget": 100_000})).await];
    let mut calls = Vec::new();
    for round in 0..count(2, 10) {
        calls.extend(stand.serve(&keys, &format!("before-{round}"), 10).await);
        stand.stop_server().await;
        calls.extend(stand.serve(&keys, &format!("away-{round}"), 10).await);
        stand.run_server().await;
        until_ready(&stand, "connected").await;
    }
    stand.check_books(&calls).await;
    assert_eq!(stand.site.gateway.spent(&keys[0]).await, COST * calls.len() as i128);
    // It is noticed where nobody asks for anything, too.
    stand.stop_server().await;
    until_ready(&stand, "Not connected").await;
    stand.run_server().await;
    until_ready(&stand, "connected").await;
    stand.site.stop().await;
}

#[tokio::test]
async fn r40_without_postgresql_nothing_is_started_and_it_is_said_why() {
    let mut stand = Stand::start().await;
    let keys = [stand.site.gateway.new_key(json!({"max_budget": 1})).await];
    let calls = stand.serve(&keys, "before", 3).await;
    stand.check_books(&calls).await;
    stand.stop_server().await;
    let said = stand.site.gateway.start_in_vain(|_| {}).await;
    let last = said.lines().last().unwrap_or_default();
    assert!(last.contains("the books cannot be read: PostgreSQL at 127.0.0.1:"), "{said}");
    assert!(!said.contains("secret"), "{said}");
}

#[tokio::test]
async fn r41_a_commit_whose_answer_never_came_is_booked_once() {
    let stand = Stand::start().await;
    let keys = [stand.site.gateway.new_key(json!({"max_budget": 100_000})).await];
    let mut calls = Vec::new();
    for round in 0..count(6, 300) {
        let before = stand.proxy.cuts();
        stand.proxy.set(Wire::CutAtCommit);
        calls.extend(stand.serve(&keys, &format!("cut-{round}"), 4).await);
        until("a commit was cut", || stand.proxy.cuts() > before).await;
        stand.proxy.set(Wire::Whole);
        stand.check_books(&calls).await;
    }
    eprintln!("{} commits were cut, {} attempts, lost 0, doubled 0", stand.proxy.cuts(), calls.len());
    stand.site.stop().await;
}
