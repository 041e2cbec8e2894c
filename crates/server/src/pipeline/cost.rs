//! What it costs to say who calls, to let the request in, and to book it, printed on demand; `cargo xtask bench` reads it:
//! `cargo test --release -p tollgate-server --lib pipeline::cost -- --ignored --nocapture`.
//!
//! A test of this crate rather than a program beside it: the stages that are timed stay private. It is the processor time
//! of threads that is told, not the time that passes: the one that requests are served on, the journal's, the
//! database's. What of it is the test's own (a request that is made and read) was measured alone and is taken off.

#![allow(clippy::print_stdout, reason = "figures are printed")]

use super::{Call, authorize, downgrade, enter, receive};
use crate::auth::Visit;
use crate::gateway::Gateway;
use crate::routes::{Access, PathModel};
use crate::surface::Surface;
use crate::toll::Spent;
use crate::worker::Worker;
use bytes::Bytes;
use futures_util::future::join_all;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tollgate_catalog::cost;
use tollgate_dialect::conversation::Usage;
use tollgate_identity::Kind;
use tollgate_identity::secret::Token;
use tollgate_store::books::{Expected, Put, RecordChange};
use tollgate_upstream::{Limits, Resolver, Shared};

/// The binary's: what is measured is what runs.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Requests that are on their way at the same time: the connections of the benchmark's closed loop.
const TOGETHER: usize = 16;
/// Requests of one measurement.
const REQUESTS: usize = 8_000;
/// Measurements, of which the median is told.
const ROUNDS: usize = 5;
/// Keys of the largest directory.
const MANY: usize = 100_000;
/// Of those, how many are asked for in turns.
const SOUGHT: usize = 20_000;
const BODY: &[u8] =
    br#"{"model":"m","messages":[{"role":"user","content":"Answer in eight tokens, please."}]}"#;

/// Who calls.
#[derive(Clone, Copy, PartialEq)]
enum Who {
    Master,
    Key,
    Budgets,
}

impl Who {
    fn title(self) -> &'static str {
        match self {
            Self::Master => "master key",
            Self::Key => "key without limits",
            Self::Budgets => "key, team, user and global budgets",
        }
    }

    fn settings(self) -> &'static str {
        match self {
            Self::Master | Self::Key => "",
            Self::Budgets => {
                "  apply_user_budget_to_team_keys: true\nlitellm_settings: {max_budget: 1000000}\n"
            }
        }
    }

    fn document(self, number: usize) -> Value {
        let named = json!({"key_alias": format!("alias-{number}"), "team_id": "t", "user_id": "u"});
        match self {
            Self::Budgets => json!({"max_budget": 1_000, "key_alias": "one", "team_id": "t", "user_id": "u"}),
            Self::Master | Self::Key => named,
        }
    }

    fn budget(self) -> Value {
        if self == Self::Budgets {
            json!({"max_budget": 100_000, "budget_duration": "30d"})
        } else {
            json!({})
        }
    }
}

/// A folder that goes with its value.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("tollgate-cost-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn secret(number: usize) -> String {
    format!("sk-one-of-many-{number:012}")
}

fn bearer(key: &str) -> HeaderMap {
    HeaderMap::from_iter([(AUTHORIZATION, format!("Bearer {key}").parse().unwrap())])
}

/// A gateway with one deployment, so many keys of one team and one user, and everything that it writes in a folder.
async fn worker(folder: &Path, who: Who, keys: usize) -> Arc<Worker> {
    let text = format!(
        "model_list:\n  - {{model_name: m, litellm_params: {{model: openai/m, api_base: \"http://127.0.0.1:9/v1\", \
         api_key: sk-up, input_cost_per_token: 0.0000025, output_cost_per_token: 0.00001}}}}\n\
         general_settings:\n  master_key: sk-master-0123456789\n  tollgate_database: \"{}\"\n{}",
        folder.join("tollgate.db").display(),
        who.settings()
    );
    let loaded = tollgate_config::load(Path::new("config.yaml"), &mut |_| Ok(text.clone()), &|_| None);
    let gateway = Gateway::new(loaded.config.unwrap(), None).unwrap();
    gateway.begin().await.unwrap();
    let put = |kind: Kind, id: &str, doc: Value| Put {
        kind: kind.word().to_owned(),
        id: id.to_owned(),
        doc: doc.to_string(),
        expected: Expected::Any,
    };
    let mut puts = vec![put(Kind::Team, "t", who.budget()), put(Kind::User, "u", who.budget())];
    let key = |number| put(Kind::Key, Token::of(secret(number).as_bytes()).as_str(), who.document(number));
    puts.extend((0..keys).map(key));
    gateway.ledger().commit(RecordChange { puts, ..RecordChange::default() }).await.unwrap();
    let shared = Shared::new(Resolver::default(), Limits::default(), Vec::new()).unwrap();
    Worker::new(gateway, Arc::new(shared))
}

/// Processor time of this process's threads, in nanoseconds: this one's, the journal's, the database's.
fn clock() -> [f64; 3] {
    let own = fs::read_link("/proc/thread-self").unwrap();
    let own = own.file_name().unwrap().to_owned();
    let mut sums = [0.0; 3];
    for task in fs::read_dir("/proc/self/task").unwrap().flatten() {
        let Ok(name) = fs::read_to_string(task.path().join("comm")) else { continue };
        let Ok(text) = fs::read_to_string(task.path().join("schedstat")) else { continue };
        let taken: f64 = text.split(' ').next().and_then(|text| text.parse().ok()).unwrap_or_default();
        let of = match name.trim_end() {
            _ if task.file_name() == own => 0,
            "journal" | "journal-sync" => 1,
            name if name == "ledger" || name.starts_with("store") => 2,
            _ => continue,
        };
        sums[of] += taken;
    }
    sums
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// How far a request goes.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
enum Stop {
    Read,
    Authenticated,
    Admitted,
    Settled,
}

/// A request up to a stage. What it would have been answered is that of eight tokens.
async fn request(worker: &Worker, headers: &HeaderMap, stop: Stop) {
    let snapshot = worker.gateway.snapshot();
    let mut call = Call::new(Surface::Chat, PathModel::default(), headers, Instant::now());
    let path = "/v1/chat/completions";
    if stop >= Stop::Authenticated {
        let peer = Some([127, 0, 0, 1].into());
        let visit = Visit { headers, in_query: None, path, pattern: Some(path), peer };
        call.caller = snapshot.admit_to(worker, Access::Caller, &visit).await.unwrap();
    }
    let body = Bytes::from_static(BODY);
    let mut received = receive::read(&body, &call, headers).unwrap();
    let group = snapshot.group(worker.gateway.metrics(), &received.model).unwrap();
    let group = call.group.get_or_init(|| group);
    if stop >= Stop::Admitted {
        authorize(worker, &snapshot, &call, &mut received).unwrap();
        assert!(downgrade(worker, &snapshot, &call, &mut received).is_none());
        enter(worker, &snapshot, (&call, &received), group).unwrap();
    }
    if stop < Stop::Settled {
        return;
    }
    let (toll, target) = (call.toll.get().unwrap(), &group.targets()[0]);
    let to = (target, Duration::from_secs(600));
    let mut stake = toll.stake(snapshot.toll_rules(), to, None, false).await.unwrap();
    stake.intend().await.unwrap();
    let usage = Usage { input_tokens: 9, output_tokens: 8, ..Usage::default() };
    let bill = cost(&target.prices, &super::settle::catalogue_usage(&usage), None);
    let bill = bill.map(|cost| target.adjustment.bill(cost));
    stake.settle(&Spent { usage, cost: bill.map(|bill| bill.total), bill, ..Spent::default() });
}

/// Microseconds of processor time per request, by thread.
async fn measure(worker: &Worker, headers: &HeaderMap, stop: Stop) -> [f64; 3] {
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let before = clock();
        for _ in 0..REQUESTS / TOGETHER {
            join_all((0..TOGETHER).map(|_| request(worker, headers, stop))).await;
        }
        let after = clock();
        rounds.push([0, 1, 2].map(|of| (after[of] - before[of]) / 1e3 / REQUESTS as f64));
    }
    [0, 1, 2].map(|of| median(rounds.iter().map(|round| round[of]).collect()))
}

#[tokio::test]
async fn a_request_is_admitted_and_booked_to_all_its_budgets() {
    let folder = Folder::new("booked");
    let worker = worker(&folder.0, Who::Budgets, 1).await;
    request(&worker, &bearer(&secret(0)), Stop::Settled).await;
    let ledger = worker.gateway.ledger();
    let (directory, wall) = (ledger.directory(), ledger.clock().wall());
    let key = directory.get(Kind::Key, Token::of(secret(0).as_bytes()).as_str()).unwrap();
    for (kind, id) in [(Kind::Key, key.id.as_ref()), (Kind::Team, "t"), (Kind::User, "u")] {
        let record = directory.get(kind, id).unwrap();
        let scope = tollgate_ledger::scope_of(record).unwrap();
        let budgets = ledger.accounts().budgets(&scope, &record.limits, wall);
        assert_eq!(budgets[0].settled.0, 102_500_000, "{kind:?}: 9 tokens at $2.50 and 8 at $10 a million");
    }
}

#[tokio::test]
#[ignore = "prints figures; means something in release mode only"]
async fn of_a_request() {
    for who in [Who::Master, Who::Key, Who::Budgets] {
        let folder = Folder::new("step");
        let worker = worker(&folder.0, who, 1).await;
        let headers = bearer(&if who == Who::Master { "sk-master-0123456789".to_owned() } else { secret(0) });
        let [read, _, _] = measure(&worker, &headers, Stop::Read).await;
        let [authenticated, _, _] = measure(&worker, &headers, Stop::Authenticated).await;
        let [admitted, _, _] = measure(&worker, &headers, Stop::Admitted).await;
        let [settled, journal, database] = measure(&worker, &headers, Stop::Settled).await;
        let rows = [
            ("authenticate", authenticated - read),
            ("admit", admitted - authenticated),
            ("stake and settle", settled - admitted),
            ("whole", settled - read),
            ("journal", journal),
            ("database", database),
        ];
        for (what, figure) in rows {
            println!("toll {what}, {}: {figure:.2} us", who.title());
        }
        worker.gateway.close().await;
    }
}

#[tokio::test]
#[ignore = "prints figures; means something in release mode only"]
async fn of_a_lookup() {
    for keys in [1, MANY] {
        let folder = Folder::new("lookup");
        let worker = worker(&folder.0, Who::Key, keys).await;
        // A stride without a common divisor: no two that follow each other lie beside each other.
        let sought = (0..SOUGHT).map(|number| bearer(&secret(number * 7_919 % keys)));
        let sought: Vec<HeaderMap> = sought.collect();
        let snapshot = worker.gateway.snapshot();
        let path = "/v1/chat/completions";
        let mut rounds = Vec::new();
        for _ in 0..ROUNDS {
            let [before, ..] = clock();
            for headers in &sought {
                let visit = Visit { headers, in_query: None, path, pattern: Some(path), peer: None };
                std::hint::black_box(snapshot.admit_to(&worker, Access::Caller, &visit).await.unwrap());
            }
            rounds.push((clock()[0] - before) / 1e3 / SOUGHT as f64);
        }
        println!("toll lookup, {keys} keys: {:.2} us", median(rounds));
        worker.gateway.close().await;
    }
}
