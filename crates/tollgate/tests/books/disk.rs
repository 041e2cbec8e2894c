//! A disk that is full, for the gateway alone: a limit of its files' sizes stands in for it, in the midst of a record too.

use crate::stand::{Stand, script};
use crate::support::{COST, Gateway, Site, chat, count, ms, open_ai, patiently};
use serde_json::json;
use std::collections::HashMap;
use std::path::Path;

/// Where the journal is if nothing else is said.
const JOURNAL: &str = "tollgate.db.journal";

/// The bytes of the file that the journal is written to.
fn journal_bytes(gateway: &Gateway) -> u64 {
    let entries = std::fs::read_dir(gateway.folder().join(JOURNAL)).unwrap();
    let files = entries.map(|entry| entry.unwrap().path());
    let newest = files.filter(|path| path.extension().is_some_and(|end| end == "journal")).max();
    newest.unwrap().metadata().unwrap().len()
}

/// Asks so often while the disk is full after so many more bytes: nothing under a budget is sent, all else is served.
/// What was served.
async fn fill(site: &Site, (bound, free): (&str, &str), more: u64, requests: usize) -> Vec<String> {
    let gateway = &site.gateway;
    let address = gateway.address;
    let mut served = Vec::new();
    gateway.limit_files(Some(journal_bytes(gateway) + more));
    patiently("the disk is full", async {
        for number in 0.. {
            let call = format!("filling-{more}-{number}");
            let answer = chat(address, bound, &call).await;
            if answer.status == 503 {
                return;
            }
            assert_eq!(answer.status, 200, "{}", answer.text());
            served.push(call);
        }
    })
    .await;
    let sent = site.received().len();
    for number in 0..requests {
        let refused = chat(address, bound, "refused").await;
        let text = refused.text();
        assert_eq!(
            (refused.status, refused.json()["error"]["type"].clone()),
            (503, json!("ledger_unavailable")),
            "{text}"
        );
        assert!(refused.header("retry-after").is_some(), "{text}");
        let call = format!("full-{more}-{number}");
        let answer = chat(address, free, &call).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        served.push(call);
    }
    assert_eq!(site.received().len(), sent + requests, "what is under a budget was not sent");
    gateway.limit_files(None);
    patiently("requests under a budget are served again", async {
        for number in 0.. {
            let call = format!("again-{more}-{number}");
            if chat(address, bound, &call).await.status == 200 {
                served.push(call);
                return;
            }
            tokio::time::sleep(ms(20)).await;
        }
    })
    .await;
    served
}

/// Fills the disk again and again, each time in the midst of another record.
async fn fill_often(site: &Site, keys: (&str, &str)) -> Vec<String> {
    let mut served = Vec::new();
    for more in (0..count(8, 200)).map(|step| (step * 97) as u64 % 2_000) {
        served.extend(fill(site, keys, more, 5).await);
    }
    served
}

#[tokio::test]
async fn r46_on_a_full_disk_nothing_under_a_budget_is_sent_and_all_else_is_kept_in_memory() {
    let mut stand = Stand::start().await;
    let bound = stand.site.gateway.new_key(json!({"max_budget": 100_000})).await;
    let free = stand.site.gateway.new_key(json!({})).await;
    let served = fill_often(&stand.site, (&bound, &free)).await;
    stand.check_books(&served).await;
    // What was begun and not written whole is no damage.
    stand.site.gateway.restart(|_| {}).await;
    assert!(
        !stand.site.gateway.log_text().contains("not closed properly"),
        "{}",
        stand.site.gateway.log_text()
    );
    stand.check_books(&served).await;
    eprintln!("{} attempts, lost 0, doubled 0", served.len());
    stand.site.stop().await;
}

/// What the file has of each call that cost something.
pub(crate) fn rows(folder: &Path) -> HashMap<String, Vec<i64>> {
    let database = rusqlite::Connection::open(folder.join("tollgate.db")).unwrap();
    let mut query = database.prepare("SELECT call_id, cost FROM attempts WHERE cost > 0").unwrap();
    let read = query.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?))).unwrap();
    let mut rows: HashMap<String, Vec<i64>> = HashMap::new();
    for row in read {
        let (call, cost) = row.unwrap();
        rows.entry(call).or_default().push(cost);
    }
    rows
}

#[tokio::test]
async fn r46_a_disk_that_is_full_for_journal_and_database_loses_nothing_either() {
    let list: String = ["a", "b"].map(|name| open_ai("m", name, "")).concat();
    let yaml = format!("model_list:\n{list}general_settings: {{master_key: sk-master-0123456789}}\n");
    let site = Site::start(&yaml, script()).await;
    let bound = site.gateway.new_key(json!({"max_budget": 100_000})).await;
    let free = site.gateway.new_key(json!({})).await;
    site.gateway.limit_files(Some(0));
    let made = site.gateway.call("POST", "/key/generate", &json!({})).await;
    assert_eq!(made.status, 503, "{}", made.text());
    site.gateway.limit_files(None);
    let served = fill_often(&site, (&bound, &free)).await;
    let folder = site.gateway.folder().to_owned();
    patiently("every row is in the books", async {
        while rows(&folder).len() < served.len() {
            tokio::time::sleep(ms(20)).await;
        }
    })
    .await;
    let rows = rows(&folder);
    for call in &served {
        assert_eq!(rows.get(call).map(Vec::as_slice), Some(&[COST as i64][..]), "{call}");
    }
    assert_eq!(rows.len(), served.len());
    site.gateway.good("POST", "/key/generate", &json!({})).await;
    site.stop().await;
}
