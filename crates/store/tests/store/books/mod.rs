//! The books from outside: one suite, run against every engine.

mod accounts;
mod audit;
mod cost;
mod crash;
mod earlier;
mod engines;
mod faults;
mod following;
mod holds;
mod litellm;
mod logs;
mod posting;
mod proxy;
mod records;
mod reports;
mod reprice;
mod rows;
mod server;
mod tls;

use tollgate_store::books::{Account, Batch, Checkpoint, SpendRow};

/// Noon of 2026-11-22 (UTC), in microseconds.
const NOON: i64 = 1_795_348_800_000_000;

fn account(kind: &str, id: &str) -> Account {
    Account { kind: kind.to_owned(), id: id.to_owned(), ..Account::default() }
}

/// An attempt that cost `cost` and charged its key and its team.
fn row(attempt_id: u128, cost: i128) -> SpendRow {
    SpendRow {
        attempt_id,
        request_id: format!("request-{attempt_id}"),
        call_type: "acompletion".to_owned(),
        api_key: "key-hash".to_owned(),
        team_id: "red".to_owned(),
        model: "gpt-4o-2024-08-06".to_owned(),
        model_group: "gpt-4o".to_owned(),
        provider: "openai".to_owned(),
        started_at: NOON,
        ended_at: NOON + 1_500_000,
        status_code: 200,
        prompt_tokens: 10,
        completion_tokens: 5,
        total_tokens: 15,
        cost,
        accounts: vec![account("key", "key-hash"), account("team", "red")],
        ..SpendRow::default()
    }
}

fn batch(upto: u64, rows: Vec<SpendRow>) -> Batch {
    Batch { journal: "journal-1".to_owned(), upto: Checkpoint { segment: 1, offset: upto }, rows }
}
