//! Very many keys: those that there are, and those that there are not.

use crate::disk::rows;
use crate::server::query;
use crate::stand::{Stand, script};
use crate::support::{CHAT, COST, Connection, Site, chat, count, hello, open_ai, patiently, post};
use serde_json::{Value, json};
use tokio::task::JoinSet;

const MIB: u64 = 1 << 20;
/// What a key may take, with its share of a team and with all that is taken only while it is read: with what the gateway
/// takes itself 100,000 stay below 200 MiB.
const KEY_BYTES: u64 = 1_400;

async fn alone() -> Site {
    let list: String = ["a", "b"].map(|name| open_ai("m", name, "")).concat();
    let yaml = format!("model_list:\n{list}general_settings: {{master_key: sk-master-0123456789}}\n");
    Site::start(&yaml, script()).await
}

/// Wrong keys that an address may send in a minute before it is told to wait (`wrong_keys_per_minute`).
const WRONG_MAX: usize = 100;

/// Knocks with so many keys that there are not, each once; returns how many were said to be wrong, and how many were told
/// to wait.
async fn knock(site: &Site, round: &str, keys: usize) -> (usize, usize) {
    let (address, mut knocking) = (site.gateway.address, JoinSet::new());
    for caller in 0..8 {
        let round = round.to_owned();
        knocking.spawn(async move {
            let mut connection = Connection::open(address).await;
            let mut told = (0, 0);
            for number in 0..keys / 8 {
                let bearer = format!("Bearer sk-{round}-{caller}-{number}-that-nobody-has-made");
                let headers = [("authorization", bearer.as_str())];
                connection.write(&post(CHAT, &headers, hello("m").to_string().as_bytes())).await;
                let answer = connection.answer().await;
                match answer.status {
                    401 => told.0 += 1,
                    429 => told.1 += 1,
                    status => panic!("{status}: {}", answer.text()),
                }
                if answer.header("connection") == Some("close") {
                    connection = Connection::open(address).await;
                }
            }
            told
        });
    }
    knocking.join_all().await.into_iter().fold((0, 0), |sum, told| (sum.0 + told.0, sum.1 + told.1))
}

#[tokio::test]
async fn r53_keys_that_there_are_not_take_no_memory_however_many_are_tried() {
    let site = alone().await;
    let key = site.gateway.new_key(json!({"max_budget": 100})).await;
    let (wrong, waiting) = knock(&site, "first", 800).await;
    // A minute may end meanwhile, and another begin.
    assert!((WRONG_MAX..=2 * WRONG_MAX).contains(&wrong) && wrong + waiting == 800, "{wrong} {waiting}");
    let before = site.gateway.memory_max();
    knock(&site, "more", count(4_000, 50_000)).await;
    let grown = site.gateway.memory_max().saturating_sub(before);
    assert!(grown < 4 * MIB, "{grown} bytes");
    assert_eq!(site.received().len(), 0);
    assert_eq!(chat(site.gateway.address, &key, "known").await.status, 200);
    eprintln!("{grown} bytes for {} keys", count(4_000, 50_000));
    site.stop().await;
}

#[tokio::test]
async fn r53_requests_of_one_key_at_the_same_time_are_all_served_and_all_booked() {
    let site = alone().await;
    let key = site.gateway.new_key(json!({"max_budget": 10_000, "rpm_limit": 1_000_000})).await;
    let (requests, mut asking) = (count(300, 10_000), JoinSet::new());
    for number in 0..requests {
        let (address, key) = (site.gateway.address, key.clone());
        asking.spawn(async move { chat(address, &key, &format!("hot-{number}")).await.status });
        if asking.len() >= 60 {
            assert_eq!(asking.join_next().await.unwrap().unwrap(), 200);
        }
    }
    assert!(asking.join_all().await.iter().all(|status| *status == 200));
    assert_eq!(site.gateway.spent(&key).await, COST * requests as i128);
    let folder = site.gateway.folder().to_owned();
    patiently("every row is in the books", async {
        while rows(&folder).len() < requests {
            tokio::time::sleep(crate::support::ms(20)).await;
        }
    })
    .await;
    assert!(rows(&folder).values().all(|costs| costs.as_slice() == [COST as i64]));
    site.stop().await;
}

/// The key of a number.
fn key(number: usize) -> String {
    format!("sk-one-of-many-{number:012}")
}

/// Makes keys and teams as the gateway has made the first of each: a team for every ten keys.
async fn seed(stand: &Stand, keys: usize) {
    let gateway = &stand.site.gateway;
    gateway.good("POST", "/team/new", &json!({"team_id": "team-0", "max_budget": 1_000})).await;
    let first = json!({"key": key(0), "team_id": "team-0", "max_budget": 100, "key_alias": "alias-0"});
    gateway.good("POST", "/key/generate", &first).await;
    let teams = keys / 10;
    stand
        .execute(&format!(
            "INSERT INTO tollgate.records (kind, id, doc, revision, updated_at) \
             SELECT kind, 'team-' || n, replace(doc, 'team-0', 'team-' || n), revision, updated_at \
             FROM tollgate.records, generate_series(1, {teams} - 1) AS n WHERE kind = 'team' AND id = 'team-0'"
        ))
        .await;
    let token = "encode(sha256(convert_to('sk-one-of-many-' || lpad(n::text, 12, '0'), 'UTF8')), 'hex')";
    stand
        .execute(&format!(
            "INSERT INTO tollgate.records (kind, id, doc, revision, updated_at) SELECT kind, {token}, \
             replace(replace(replace(doc, id, {token}), 'team-0', 'team-' || (n % {teams})), 'alias-0', 'alias-' || n), \
             revision, updated_at FROM tollgate.records, generate_series(1, {keys} - 1) AS n WHERE kind = 'key'"
        ))
        .await;
}

#[tokio::test]
async fn r52_a_hundred_thousand_keys_are_read_at_the_start_listed_and_found() {
    let mut stand = Stand::start().await;
    let keys = count(10_000, 100_000);
    seed(&stand, keys).await;
    let counted = "SELECT count(*)::text FROM tollgate.records WHERE kind IN ('key', 'team')";
    assert_eq!(query(&stand.direct, counted).await, [[(keys + keys / 10).to_string()]]);
    stand.site.gateway.restart(|_| {}).await;
    let gateway = &stand.site.gateway;
    for number in [0, 1, keys / 2, keys - 1] {
        let answer = chat(gateway.address, &key(number), "one").await;
        assert_eq!(answer.status, 200, "{number}: {}", answer.text());
    }
    assert_eq!(chat(gateway.address, &key(keys), "none").await.status, 401);
    for page in [1, keys / 100] {
        let path = format!("/key/list?size=100&page={page}");
        let listed = gateway.good("GET", &path, &Value::Null).await;
        let found = (listed["keys"].as_array().unwrap().len(), listed["total_count"].as_u64().unwrap());
        assert_eq!(found, (100, keys as u64), "{page}");
    }
    let alias = format!("/key/list?key_alias=alias-{}", keys / 2);
    let listed = gateway.good("GET", &alias, &Value::Null).await;
    assert_eq!(listed["total_count"], 1, "{listed}");
    let teams = gateway.good("GET", "/v2/team/list?page=1&page_size=10", &Value::Null).await;
    assert_eq!(teams["total"].as_u64(), Some(keys as u64 / 10), "{teams}");
    let memory = gateway.memory_max();
    eprintln!("{keys} keys, {} teams: {} MiB", keys / 10, memory / MIB);
    assert!(memory < 64 * MIB + keys as u64 * KEY_BYTES, "{memory} bytes for {keys} keys");
    stand.site.stop().await;
}
